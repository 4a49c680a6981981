/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/nosleep/hold.c - the process that holds the inhibitor as long as QEMU lives */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

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
/* Between attempts to hear of the host's sleep: nobody waits for it */
#define LISTEN_GAP_MS 2000
#define LISTEN_MS     1000

struct hold {
	const struct helper_ctx *ctx;
	int rootfd;
	const char *guest; /* printable */
	struct nosleep_wish wish;
	char *why;
	int qemu;      /* pidfd */
	int inhibitor; /* -1 when lost */
	int backoff_ms;
	struct sysbus_sleep *sleep; /* NULL while there is no bus */
	long long listen_at;	    /* as deadline_in() */
	int wakeup;		    /* from wakeup_open(), -1 when there is none */
	struct slept slept;
	long long suspended_ms; /* that is known of */
	bool sleep_began;	/* so logind said */
};

static void hold_close(struct hold *hold)
{
	cleanup_close(&hold->inhibitor);
	cleanup_close(&hold->qemu);
	cleanup_close(&hold->wakeup);
	sysbus_sleep_close(hold->sleep);
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

/* --- sleep that comes all the same --------------------------------------------------------------- */

/* Less is what two readings of the clocks may differ by */
#define SLEPT_MIN_MS 10

static void fall_asleep(struct hold *hold)
{
	hold->sleep_began = true;
	log_line(hold->rootfd, LOG_WARNING, "%s: the host goes to sleep under the running guest",
		 hold->guest);
}

static void log_slept(struct hold *hold)
{
	_cleanup_free_ char *text = NULL;
	int r = slept_store(hold->ctx->dirfd, &hold->slept);

	if (r == 0)
		r = slept_describe(&hold->ctx->claim, &hold->slept, &text);
	log_line(hold->rootfd, LOG_WARNING, "%s: %s", hold->guest,
		 r < 0 ? "the host has slept under the running guest" : text);
}

/* Of each sleep there are two who tell: the first is believed */
static void look_at_clocks(struct hold *hold)
{
	long long now = suspended_ms(), ms = now - hold->suspended_ms;

	if (ms < SLEPT_MIN_MS)
		return;
	hold->suspended_ms = now;
	hold->sleep_began = false;
	hold->slept.times++;
	hold->slept.seconds = (unsigned int)((ms + 500) / 1000);
	hold->slept.since = (long long)time(NULL) - hold->slept.seconds;
	log_slept(hold);
}

static void wake_up(struct hold *hold)
{
	look_at_clocks(hold);
	if (hold->sleep_began)
		log_line(hold->rootfd, LOG_INFO, "%s: the host did not go to sleep after all",
			 hold->guest);
	hold->sleep_began = false;
}

static void watch_clocks(struct hold *hold)
{
	hold->wakeup = wakeup_open();
	hold->suspended_ms = suspended_ms();
	/* One that was started again goes on counting */
	if (slept_load(hold->ctx->dirfd, &hold->slept) < 0)
		hold->slept = (struct slept){ 0 };
}

static void hear_of_wakeup(struct hold *hold)
{
	if (wakeup_clear(hold->wakeup) < 0) {
		cleanup_close(&hold->wakeup);
		hold->wakeup = -1;
	}
	look_at_clocks(hold);
}

/* Return: ms until the next attempt, -1 when it is listened to */
static int listen_for_sleep(struct hold *hold)
{
	if (hold->sleep)
		return -1;
	if (deadline_left(hold->listen_at) == 0) {
		hold->listen_at = deadline_in(LISTEN_GAP_MS);
		if (sysbus_sleep_open(LISTEN_MS, &hold->sleep) == 0)
			return -1;
	}
	return deadline_left(hold->listen_at);
}

static void hear(struct hold *hold)
{
	int r;

	while ((r = sysbus_sleep_next(hold->sleep)) > 0) {
		if (r == SYSBUS_SLEEP_BEGINS)
			fall_asleep(hold);
		else
			wake_up(hold);
	}
	if (r == 0)
		return;
	sysbus_sleep_close(hold->sleep);
	hold->sleep = NULL;
	hold->listen_at = deadline_in(LISTEN_GAP_MS);
}

/* --- as long as QEMU lives ------------------------------------------------------------------------ */

static int shorter(int a, int b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

enum { FD_QEMU, FD_INHIBITOR, FD_SLEEP, FD_WAKEUP, NR_FDS };

/* Return: 0, -EINTR, else -errno of poll(2) */
static int wait_for_news(struct hold *hold, struct pollfd p[static NR_FDS])
{
	int listen = listen_for_sleep(hold);
	int timeout = shorter(listen, hold->inhibitor < 0 ? hold->backoff_ms : -1);

	/* A negative fd is passed over */
	p[FD_QEMU] = (struct pollfd){ .fd = hold->qemu, .events = POLLIN };
	p[FD_INHIBITOR] = (struct pollfd){ .fd = hold->inhibitor };
	p[FD_SLEEP] = (struct pollfd){ .fd = hold->sleep ? sysbus_sleep_fd(hold->sleep) : -1,
				       .events = POLLIN };
	p[FD_WAKEUP] = (struct pollfd){ .fd = hold->wakeup, .events = POLLIN };
	return poll(p, NR_FDS, timeout) < 0 ? -errno : 0;
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
	struct pollfd p[NR_FDS];

	for (;;) {
		int r = wait_for_news(hold, p);

		if (r == -EINTR)
			continue;
		if (r < 0)
			return r;
		if (p[FD_QEMU].revents)
			return 0;
		if (p[FD_SLEEP].revents)
			hear(hold);
		if (p[FD_WAKEUP].revents)
			hear_of_wakeup(hold);
		if (p[FD_INHIBITOR].revents && take(hold, INHIBIT_MS) < 0)
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
	if (asprintf(&hold->why, "guest %s is running", hold->guest) < 0) {
		hold->why = NULL;
		return -ENOMEM;
	}
	watch_clocks(hold);
	hold->qemu = watch_open(ctx->rootfd, &ctx->claim.owner);
	return hold->qemu < 0 ? hold->qemu : 0;
}

static int hold_guest(struct helper_ctx *ctx, const char *guest, const struct nosleep_wish *wish,
		      unsigned long long caps)
{
	_cleanup_(hold_close) struct hold hold = { .ctx = ctx,
						   .rootfd = ctx->rootfd,
						   .guest = guest,
						   .wish = *wish,
						   .qemu = -1,
						   .inhibitor = -1,
						   .wakeup = -1,
						   .backoff_ms = BACKOFF_MIN_MS };
	int told, r = report(ctx, -EINPROGRESS);

	if (r == 0)
		r = hold_open(ctx, &hold);
	/* Where proc is mounted with hidepid, QEMU was not to be seen without */
	helper_keep(ctx, caps);
	if (r == 0)
		r = take_first(&hold, ctx->deadline);
	told = report(ctx, r);
	if (r == -ESRCH)
		return 0;
	if (r == 0 && told < 0)
		helper_say(ctx, "cannot write /run/usher/%s/" HOLDER_FILE ": %s: see df /run",
			   ctx->claim.uuid, strerror(-told));
	return r < 0 ? r : keep(&hold);
}

int hold(struct helper_ctx *ctx, unsigned long long caps)
{
	_cleanup_free_ char *guest = NULL;
	struct nosleep_wish wish;
	enum helper_exit wrong;
	int r;

	if (ctx->claim.state != CLAIM_RUNNING) {
		helper_say(ctx, "nothing to stay awake for: the claim is %s, not running",
			   claim_state_name(ctx->claim.state));
		return HELPER_FAILED;
	}
	wrong = wish_load(ctx, &wish);
	if (wrong != HELPER_DONE)
		return wrong;
	if (helper_would(ctx, "hold a sleep inhibitor until process %d ends",
			 (int)ctx->claim.owner.pid))
		return HELPER_DONE;
	r = text_printable(ctx->claim.guest, &guest);
	if (r == 0)
		r = hold_guest(ctx, guest, &wish, caps);
	if (r < 0)
		helper_say(ctx, "cannot hold a sleep inhibitor: %s", strerror(-r));
	return r < 0 ? HELPER_FAILED : HELPER_DONE;
}
