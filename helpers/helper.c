/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/helper.c - the main() all helpers share: apply|undo|check CLAIM */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/attr.h"
#include "../lib/log.h"
#include "../lib/self.h"
#include "../lib/spawn.h"
#include "../lib/state.h"
#include "../lib/units.h"

#define TIMEOUT_MAX_MS 3600000

/* How long who has given us up may go on with the claim, and how often we look */
#define OWNER_MS      60000
#define LOOK_AGAIN_MS 100

/* apply or undo of the same claim may be at work: it gets what is left of our own time */
static int take_lock(struct helper_ctx *ctx)
{
	char lock[NAME_MAX + 1];
	int r = path_format(lock, sizeof(lock), "%s.lock", ctx->helper->name);

	return r < 0 ? r : state_lock(ctx->dirfd, lock, deadline_left(ctx->deadline));
}

_printf_(2, 0) static void say(const struct helper_ctx *ctx, const char *fmt, va_list args)
{
	const char *guest = ctx->claim.guest;
	_cleanup_free_ char *name = NULL;
	_cleanup_free_ char *text = NULL;
	const char *what;

	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	if (guest && text_printable(guest, &name) < 0)
		name = NULL;
	/* One that fails and says nothing would be the worst */
	what = text ?: "there is no memory left on the host to say why: see free -m";
	if (ctx->detached)
		log_line(ctx->rootfd, LOG_WARNING, "%s%s%s", name ?: "", name ? ": " : "", what);
	else
		(void)fprintf(stderr, "usher: %s%s%s\n", name ?: "", name ? ": " : "", what);
}

void helper_say(const struct helper_ctx *ctx, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(ctx, fmt, args);
	va_end(args);
}

int helper_say_state(const struct helper_ctx *ctx, const char *file, int error, const char *usual)
{
	helper_say(ctx, "cannot use /run/usher/%s/%s: %s: %s", ctx->claim.uuid, file,
		   strerror(-error), state_cure(error, usual));
	return error;
}

bool helper_in_start(const struct helper_ctx *ctx)
{
	return ctx->claim.state == CLAIM_PREPARING &&
	       process_alive(ctx->rootfd, &ctx->claim.owner) > 0;
}

bool helper_is_ahead(const struct helper_ctx *ctx)
{
	return ctx->dry_run &&
	       (ctx->claim.state == CLAIM_PREPARING || ctx->claim.state == CLAIM_HANDED);
}

int helper_write(const struct helper_ctx *ctx, const char *path, const char *val)
{
	if (helper_would(ctx, "write /%s %s", path, *val ? val : "\"\""))
		return 0;
	return attr_write(ctx->rootfd, path, val);
}

int helper_write_sure(const struct helper_ctx *ctx, const char *path, const char *val)
{
	char before[ATTR_MAX], now[ATTR_MAX];
	int r = attr_read(ctx->rootfd, path, before, sizeof(before));

	if (r < 0 || ctx->dry_run || strcmp(before, val) == 0)
		return helper_write(ctx, path, val);
	for (int tries = 0; tries < 2; tries++) {
		r = helper_write(ctx, path, val);
		if (r < 0 || attr_read(ctx->rootfd, path, now, sizeof(now)) < 0 ||
		    strcmp(now, before) != 0)
			return r;
	}
	return -EIO;
}

bool helper_would(const struct helper_ctx *ctx, const char *fmt, ...)
{
	va_list args;

	if (!ctx->dry_run)
		return false;
	if (ctx->quiet)
		return true;
	va_start(args, fmt);
	(void)vprintf(fmt, args);
	va_end(args);
	(void)putchar('\n');
	return true;
}

static bool on_real_root(const struct helper_ctx *ctx)
{
	struct stat a, b;

	return fstat(ctx->rootfd, &a) == 0 && stat("/", &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

void helper_keep(const struct helper_ctx *ctx, unsigned long long caps)
{
	if (on_real_root(ctx))
		(void)caps_keep(caps);
}

/* By now that may be another than who gave us up: libvirt has a failed start released, too */
static bool in_hand(const struct helper_ctx *ctx)
{
	_cleanup_claim_ struct claim now = { 0 };
	_cleanup_free_ char *text = NULL;
	struct ini_error err;
	size_t len;

	if (state_read(ctx->dirfd, CLAIM_FILE, &text, &len) < 0 ||
	    claim_parse(text, len, &now, &err) < 0)
		return process_alive(ctx->rootfd, &ctx->claim.owner) > 0;
	return now.state != CLAIM_RUNNING && process_alive(ctx->rootfd, &now.owner) > 0;
}

void helper_recover(const struct helper_ctx *ctx)
{
	long long until = deadline_in(OWNER_MS);
	char dir[PATH_MAX / 2], path[PATH_MAX];
	char *const env[] = { NULL };
	char name[] = "usher", verb[] = "recover";
	char *const argv[] = { name, verb, NULL };

	if (ctx->claim.state == CLAIM_RUNNING || !on_real_root(ctx) ||
	    self_dir(dir, sizeof(dir)) < 0 || path_format(path, sizeof(path), "%s/usher", dir) < 0)
		return;
	while (in_hand(ctx) && deadline_left(until) > 0)
		(void)poll(NULL, 0, LOOK_AGAIN_MS);
	(void)execve(path, argv, env);
}

static void usage_commands(const struct helper *helper, FILE *to)
{
	for (size_t i = 0; i < helper->nr_verbs; i++)
		(void)fprintf(to, "  %s CLAIM  %s\n", helper->verbs[i].name, helper->verbs[i].help);
	for (size_t i = 0; i < helper->nr_commands; i++) {
		const struct helper_command *command = &helper->commands[i];
		int width = fprintf(to, "  %s %s", command->name, command->args);

		(void)fprintf(to, "%*s%s\n", width < 16 ? 16 - width : 1, "", command->help);
	}
}

static void usage(const struct helper *helper, FILE *to)
{
	(void)fprintf(to,
		      "usher-%s: %s\n\n"
		      "Usage: usher-%s [OPTION...] COMMAND CLAIM\n\n"
		      "  apply CLAIM   do it\n"
		      "  undo CLAIM    give it back\n"
		      "  check CLAIM   say whether apply could work; changes nothing\n",
		      helper->name, helper->help, helper->name);
	usage_commands(helper, to);
	(void)fprintf(to,
		      "\n"
		      "  --root DIR    the host's root directory (/)\n"
		      "  --dry-run     print each write in order instead of making it\n"
		      "  --timeout MS  end within this time, whatever the claim says\n"
		      "  --help        this text\n"
		      "  --version     the version\n\n"
		      "CLAIM is a file as /run/usher/UUID/claim.ini.\n"
		      "Exit: 0 done, 1 failed and the host is as before, 2 failed and it is not,\n"
		      "64 wrong usage or claim.\n");
}

static int usage_error(const struct helper *helper)
{
	(void)fprintf(stderr, "usher-%s: wrong usage: see usher-%s --help\n", helper->name,
		      helper->name);
	return HELPER_USAGE;
}

/* dirname as a descriptor; the claim is then read beside journal and lock */
static int claim_dir(const char *path, char *buf, size_t size, const char **ret_file)
{
	const char *slash = strrchr(path, '/');
	int fd;

	if (slash)
		(void)snprintf(buf, size, "%.*s", (int)(slash - path) + 1, path);
	else
		(void)snprintf(buf, size, "./");
	*ret_file = slash ? slash + 1 : path;
	fd = open(buf, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int claim_text(struct helper_ctx *ctx, const char *path, char **ret, size_t *ret_len)
{
	char dir[PATH_MAX];
	const char *file;
	int r;

	r = claim_dir(path, dir, sizeof(dir), &file);
	if (r < 0)
		return r;
	ctx->dirfd = r;
	return state_read(ctx->dirfd, file, ret, ret_len);
}

static int claim_read(struct helper_ctx *ctx, const char *path)
{
	_cleanup_free_ char *text = NULL;
	struct ini_error err = { 0 };
	size_t len;
	int r;

	r = claim_text(ctx, path, &text, &len);
	if (r == 0)
		r = claim_parse(text, len, &ctx->claim, &err);
	if (r == -EBADMSG && err.line == 0)
		(void)fprintf(stderr, "usher-%s: %s: %s\n", ctx->helper->name, path, err.what);
	else if (r == -EBADMSG)
		(void)fprintf(stderr, "usher-%s: %s:%u: %s\n", ctx->helper->name, path, err.line,
			      err.what);
	else if (r < 0)
		(void)fprintf(stderr, "usher-%s: cannot read the claim %s: %s: %s\n",
			      ctx->helper->name, path, strerror(-r),
			      state_cure(r, "usher status lists those there are"));
	return r;
}

/*
 * Changes are made only for the claim this host holds under that uuid. Return: 1 it is that, 0 not,
 * else -errno of state_open() or state_dir()
 */
static int claim_at_home(const struct helper_ctx *ctx)
{
	_cleanup_close_ int home = -1;
	struct stat a, b;

	if (ctx->statefd < 0)
		return ctx->statefd;
	home = state_dir(ctx->statefd, ctx->claim.uuid, false);
	if (home < 0)
		return home;
	if (fstat(home, &a) < 0 || fstat(ctx->dirfd, &b) < 0)
		return -errno;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* @error: of claim_at_home() */
static int say_not_at_home(const struct helper_ctx *ctx, int error)
{
	const char *cure = state_cure(error, NULL);

	if (cure)
		(void)fprintf(stderr, "usher-%s: cannot use /run/usher/%s: %s: %s\n",
			      ctx->helper->name, ctx->claim.uuid, strerror(-error), cure);
	else
		(void)fprintf(stderr,
			      "usher-%s: the claim does not lie in /run/usher/%s: only check and "
			      "--dry-run work on it\n",
			      ctx->helper->name, ctx->claim.uuid);
	return HELPER_USAGE;
}

static bool has_section(const struct helper_ctx *ctx)
{
	size_t len = strlen(ctx->helper->name);

	for (size_t i = 0; i < ctx->claim.doc.nr; i++) {
		const char *section = ctx->claim.doc.entries[i].section;

		if (strncmp(section, ctx->helper->name, len) == 0 &&
		    (section[len] == '\0' || section[len] == ' '))
			return true;
	}
	return false;
}

static int run_locked(struct helper_ctx *ctx, enum helper_exit (*verb)(struct helper_ctx *))
{
	int home = ctx->dry_run ? 1 : claim_at_home(ctx);
	_cleanup_close_ int lock = -1;

	if (home <= 0)
		return say_not_at_home(ctx, home);
	if (!ctx->dry_run) {
		lock = take_lock(ctx);
		if (lock < 0) {
			helper_say(ctx,
				   "cannot take the %s lock: %s: another usher-%s still works "
				   "on this guest; try again when it has ended",
				   ctx->helper->name,
				   lock == -ETIMEDOUT ? "it is held" : strerror(-lock),
				   ctx->helper->name);
			return HELPER_FAILED;
		}
	}
	return (int)verb(ctx);
}

struct verb {
	const char *name;
	enum helper_exit (*run)(struct helper_ctx *ctx);
	int timeout_ms;
	bool changes;
};

static int run_verb(struct helper_ctx *ctx, const struct verb *verb, const char *path)
{
	int timeout_ms = verb->timeout_ms;

	if (claim_read(ctx, path) < 0)
		return HELPER_USAGE;
	if (!has_section(ctx))
		return HELPER_DONE;
	if (verb->run != ctx->helper->undo && !ctx->helper->fixed_timeout)
		timeout_ms = claim_int(&ctx->claim, ctx->helper->name, "timeout_ms", timeout_ms);
	ctx->deadline = deadline_in(ctx->timeout_ms ? ctx->timeout_ms : timeout_ms);
	return verb->changes ? run_locked(ctx, verb->run) : (int)verb->run(ctx);
}

static int run_command(struct helper_ctx *ctx, int argc, char **argv)
{
	const struct helper *helper = ctx->helper;

	for (size_t i = 0; i < helper->nr_commands; i++) {
		const struct helper_command *command = &helper->commands[i];

		if (strcmp(argv[0], command->name) != 0)
			continue;
		if (command->wants_claim && argc < 2)
			return usage_error(helper);
		if (command->wants_claim && claim_read(ctx, argv[1]) < 0)
			return HELPER_USAGE;
		ctx->deadline =
			deadline_in(ctx->timeout_ms ? ctx->timeout_ms : helper->apply_timeout_ms);
		return command->run(ctx, argc, argv);
	}
	return usage_error(helper);
}

static int dispatch(struct helper_ctx *ctx, int argc, char **argv)
{
	const struct helper *helper = ctx->helper;
	const struct verb verbs[] = {
		{ "apply", helper->apply, helper->apply_timeout_ms, true },
		{ "undo", helper->undo, helper->undo_timeout_ms, true },
		{ "check", helper->check, helper->apply_timeout_ms, false },
	};

	if (argc < 1)
		return usage_error(helper);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(argv[0], verbs[i].name) == 0)
			return argc == 2 ? run_verb(ctx, &verbs[i], argv[1]) : usage_error(helper);
	for (size_t i = 0; i < helper->nr_verbs; i++) {
		const struct helper_verb *own = &helper->verbs[i];
		const struct verb verb = { own->name, own->run, helper->apply_timeout_ms, true };

		if (strcmp(argv[0], own->name) == 0)
			return argc == 2 ? run_verb(ctx, &verb, argv[1]) : usage_error(helper);
	}
	return run_command(ctx, argc, argv);
}

/* Return: -1 to go on, else the exit code */
static int parse_options(struct helper_ctx *ctx, int argc, char **argv)
{
	static const struct option options[] = {
		{ "root", required_argument, NULL, 'r' },    { "dry-run", no_argument, NULL, 'n' },
		{ "timeout", required_argument, NULL, 't' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },	     { 0 },
	};
	unsigned int ms;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			ctx->root = optarg;
			break;
		case 'n':
			ctx->dry_run = true;
			break;
		case 't':
			if (parse_uint(optarg, 10, TIMEOUT_MAX_MS, &ms) < 0 || ms == 0)
				return usage_error(ctx->helper);
			ctx->timeout_ms = (int)ms;
			break;
		case 'h':
			usage(ctx->helper, stdout);
			return HELPER_DONE;
		case 'V':
			(void)printf("usher-%s %s\n", ctx->helper->name, USHER_VERSION);
			return HELPER_DONE;
		default:
			return usage_error(ctx->helper);
		}
	}
	return -1;
}

static void ctx_close(struct helper_ctx *ctx)
{
	claim_free(&ctx->claim);
	cleanup_close(&ctx->dirfd);
	cleanup_close(&ctx->statefd);
	cleanup_close(&ctx->rootfd);
}

int helper_dispatch(int argc, char **argv, const struct helper *helper)
{
	_cleanup_(ctx_close) struct helper_ctx ctx = {
		.helper = helper, .root = "/", .rootfd = -1, .statefd = -1, .dirfd = -1
	};
	int r;

	(void)spawn_fill_std();
	(void)signal(SIGPIPE, SIG_IGN);
	(void)umask(077);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	r = parse_options(&ctx, argc, argv);
	if (r >= 0)
		return r;
	ctx.rootfd = root_open(ctx.root);
	if (ctx.rootfd < 0) {
		(void)fprintf(stderr, "usher-%s: cannot open the root directory %s: %s\n",
			      helper->name, ctx.root, strerror(-ctx.rootfd));
		return HELPER_USAGE;
	}
	helper_keep(&ctx, helper->caps);
	ctx.statefd = state_open(ctx.rootfd, false);
	return dispatch(&ctx, argc - optind, argv + optind);
}

int helper_main(int argc, char **argv, const struct helper *helper)
{
	/* Libraries would ask it where the bus is, and how much they are to say */
	(void)clearenv();
	return helper_dispatch(argc, argv, helper);
}
