/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/nosleep/hold.c - the process that holds the inhibitor as long as QEMU lives */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "../../lib/log.h"
#include "../../lib/sysbus.h"
#include "../../lib/text.h"
#include "../../lib/watch.h"
#include "nosleep.h"

/* One attempt to take it again: dbus may have to start logind first. While it lasts QEMU's end goes unnoticed */
#define INHIBIT_MS 3000
/* Between attempts, doubled each time */
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000

struct hold {
	int rootfd;
	const char *guest; /* printable */
	struct nosleep_wish wish;
	char *why;
	int qemu;      /* pidfd */
	int inhibitor; /* -1 when lost */
	int backoff_ms;
};

static void hold_close(struct hold *hold)
{
	cleanup_close(&hold->inhibitor);
	cleanup_close(&hold->qemu);
	free(hold->why);
}

/* Another answer is not to be expected from the same question */
static bool is_final(int error)
{
	return error == -EACCES || error == -EPERM || error == -EINVAL || error == -EOPNOTSUPP;
}

/* The new one first: the host must not sleep in between. Return: 0, else -errno */
static int take(struct hold *hold, int timeout_ms)
{
	int fd = sysbus_inhibit(hold->wish.what, "usher", hold->why, hold->wish.mode, timeout_ms);

	if (fd < 0) {
		hold->backoff_ms = hold->backoff_ms * 2 < BACKOFF_MAX_MS ? hold->backoff_ms * 2
									 : BACKOFF_MAX_MS;
		return fd;
	}
	cleanup_close(&hold->inhibitor);
	hold->inhibitor = fd;
	hold->backoff_ms = BACKOFF_MIN_MS;
	return 0;
}

/* Return: 0, -ESRCH when QEMU ended meanwhile, else why logind refuses */
static int take_first(struct hold *hold, long long deadline)
{
	int left = deadline_left(deadline), r;

	while ((r = take(hold, left)) < 0 && !is_final(r)) {
		left = deadline_left(deadline);
		if (left == 0)
			return r;
		if (watch_wait(hold->qemu, left < hold->backoff_ms ? left : hold->backoff_ms) != 0)
			return -ESRCH;
	}
	return r;
}

static void lose(struct hold *hold)
{
	log_line(hold->rootfd, LOG_WARNING,
		 "%s: logind has gone, and with it the sleep inhibitor: taking it again",
		 hold->guest);
	cleanup_close(&hold->inhibitor);
	hold->inhibitor = -1;
	hold->backoff_ms = BACKOFF_MIN_MS;
}

/*
 * Wait for the end of QEMU, or of logind: the other end of the inhibitor's FIFO is closed then.
 * A logind that comes back quickly finds the FIFO again; a second inhibitor is taken all the
 * same and the first one closed, so there is one.
 *
 * Return: 0 when QEMU has ended, else -errno of poll(2)
 * Seen on: systemd 252, 257
 */
static int keep(struct hold *hold)
{
	struct pollfd p[2] = { { .fd = hold->qemu, .events = POLLIN } };

	for (;;) {
		/* A negative fd is passed over */
		p[1] = (struct pollfd){ .fd = hold->inhibitor };
		if (poll(p, 2, hold->inhibitor < 0 ? hold->backoff_ms : -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (p[0].revents)
			return 0;
		if (p[1].revents && take(hold, INHIBIT_MS) < 0)
			lose(hold);
		else if (hold->inhibitor < 0 && take(hold, INHIBIT_MS) == 0)
			log_line(hold->rootfd, LOG_INFO, "%s: the sleep inhibitor is held again",
				 hold->guest);
	}
}

static int report(const struct helper_ctx *ctx, int error)
{
	struct holder holder = { .error = error, .qemu = ctx->claim.owner };
	int r = process_identify(ctx->rootfd, getpid(), &holder.process);

	return r < 0 ? r : holder_store(ctx->dirfd, &holder);
}

static int hold_open(const struct helper_ctx *ctx, struct hold *hold)
{
	char err[200];
	int r = wish_read(&ctx->claim, &hold->wish, err, sizeof(err));

	if (r < 0) {
		helper_say(ctx, "[nosleep] of the claim: %s", err);
		return r;
	}
	if (asprintf(&hold->why, "guest %s is running", hold->guest) < 0) {
		hold->why = NULL;
		return -ENOMEM;
	}
	hold->qemu = watch_open(ctx->rootfd, &ctx->claim.owner);
	return hold->qemu < 0 ? hold->qemu : 0;
}

static int hold_guest(struct helper_ctx *ctx, const char *guest)
{
	_cleanup_(hold_close) struct hold hold = { .rootfd = ctx->rootfd,
						   .guest = guest,
						   .qemu = -1,
						   .inhibitor = -1,
						   .backoff_ms = BACKOFF_MIN_MS };
	int told, r = report(ctx, -EINPROGRESS);

	if (r == 0)
		r = hold_open(ctx, &hold);
	if (r == 0)
		r = take_first(&hold, ctx->deadline);
	if (r == -ESRCH)
		return 0;
	told = report(ctx, r);
	if (r == 0 && told < 0)
		helper_say(ctx, "cannot write run/usher/%s/" HOLDER_FILE ": %s", ctx->claim.uuid,
			   strerror(-told));
	return r < 0 ? r : keep(&hold);
}

int hold(struct helper_ctx *ctx)
{
	_cleanup_free_ char *guest = NULL;
	int r;

	if (ctx->claim.state != CLAIM_RUNNING) {
		helper_say(ctx, "nothing to stay awake for: the claim is %s, not running",
			   claim_state_name(ctx->claim.state));
		return HELPER_FAILED;
	}
	if (helper_would(ctx, "hold a sleep inhibitor until process %d ends",
			 (int)ctx->claim.owner.pid))
		return HELPER_DONE;
	r = text_printable(ctx->claim.guest, &guest);
	if (r == 0)
		r = hold_guest(ctx, guest);
	if (r < 0)
		helper_say(ctx, "cannot hold a sleep inhibitor: %s", strerror(-r));
	return r < 0 ? HELPER_FAILED : HELPER_DONE;
}
