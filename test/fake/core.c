/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fake/core.c - the tree's root, one side effect at a time, faults planted in it */
#include "fake.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "../../lib/text.h"
#include "../../lib/units.h"

/*
 * How it works
 *
 * .fake/faults, one fault a line:
 *
 *	WHEN ACTION [ERRNO] [xTIMES | fromNTH]
 *
 * WHEN is the effect's number ("7"), the number among one program's effects ("usher-vfio#3") or
 * among those on the host itself, not on the state files ("host#5"); or it is a pattern over
 * PROGRAM:VERB:PATH in which * also stands for slashes; for reads VERB is "read", they have no
 * number. The first line that fits is taken, TIMES times at most, or from
 * the NTH time on.
 *
 *	fail ERRNO	nothing happens
 *	lie		nothing happens, the result says it did
 *	short		fewer bytes were taken than given: a file has half of them, an attribute
 *			has stored the value all the same; -EIO
 *	hang		it happens, but the call returns only once .fake/release is there
 *	hang-before	the same, and it happens only then
 *	kill		SIGKILL before it happens
 *	kill-after	SIGKILL when it has happened
 *	end FILE	SIGKILL to the process whose pid is in that file of the tree, then it happens
 *
 * In a hang every signal but SIGKILL is kept out, as in the kernel's state D.
 */

#define FAULTS_MAX (256UL * 1024)
#define NAP_MS	   10

enum fault_action {
	FAULT_NONE,
	FAULT_FAIL,
	FAULT_LIE,
	FAULT_SHORT,
	FAULT_HANG,
	FAULT_HANG_BEFORE,
	FAULT_KILL,
	FAULT_KILL_AFTER,
	FAULT_END,
};

static const char *const action_names[] = {
	[FAULT_NONE] = "none", [FAULT_FAIL] = "fail",
	[FAULT_LIE] = "lie",   [FAULT_SHORT] = "short",
	[FAULT_HANG] = "hang", [FAULT_HANG_BEFORE] = "hang-before",
	[FAULT_KILL] = "kill", [FAULT_KILL_AFTER] = "kill-after",
	[FAULT_END] = "end",
};

struct fault {
	enum fault_action action;
	int error; /* of FAULT_FAIL, > 0 */
	pid_t pid; /* of FAULT_END, 0 when there is none */
};

static struct {
	int fd;
	dev_t dev;
	ino_t ino;
	char path[PATH_MAX];
} root = { .fd = -1 };

const char *errno_name(int error)
{
	const char *name = error ? strerrorname_np(error) : "0";

	return name ? name : "?";
}

static int errno_number(const char *name)
{
	for (int i = 1; i < 134; i++)
		if (strcmp(errno_name(i), name) == 0)
			return i;
	return EIO;
}

/* --- The root ------------------------------------------------------------------------------ */

static bool root_is_at(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == root.dev && st.st_ino == root.ino;
}

int fake_root(void)
{
	/* A detached process has closed what it was not told to keep */
	if (root.path[0] && !root_is_at(root.fd))
		root.fd = open(root.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root.fd;
}

const char *fake_root_path(void)
{
	return root.path;
}

bool fake_is_root(int rootfd)
{
	return root.path[0] && root_is_at(rootfd);
}

static int root_remember(int fd)
{
	char self[64];
	struct stat st;
	ssize_t len;

	if (fstat(fd, &st) < 0)
		return -errno;
	tree_path(self, "/proc/self/fd/%d", fd);
	len = readlink(self, root.path, sizeof(root.path) - 1);
	if (len < 0)
		return -errno;
	root.path[len] = '\0';
	root.dev = st.st_dev;
	root.ino = st.st_ino;
	root.fd = fcntl(fd, F_DUPFD_CLOEXEC, 100);
	if (root.fd < 0)
		return -errno;
	fake_alloc_open();
	return 0;
}

/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_root_open(const char *dir);
int __wrap_root_open(const char *dir)
{
	_cleanup_close_ int fd = __real_root_open(dir);
	int r;

	if (fd < 0)
		return fd;
	if (faccessat(fd, ".fake/lock", F_OK, 0) < 0)
		return -errno;
	r = root_remember(fd);
	return r < 0 ? r : TAKE_FD(fd);
}

int fake_path_of(int fd, char *buf, size_t size)
{
	char self[64], target[PATH_MAX];
	size_t len = strlen(root.path);
	ssize_t n;

	if (!len)
		return -ENOENT;
	tree_path(self, "/proc/self/fd/%d", fd);
	n = readlink(self, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (strncmp(target, root.path, len) != 0 || (target[len] && target[len] != '/'))
		return -ENOENT;
	return path_format(buf, size, "%s", target[len] ? target + len + 1 : "");
}

/* --- The lock, numbers and the trace --------------------------------------------------------- */

int fake_lock(void)
{
	int fd = openat(fake_root(), ".fake/lock", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			abort();
	return fd;
}

void fake_unlock(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

/* Verbs that change the host; the others are usher's own files and processes */
static const char *const host_verbs[] = { "write", "module", "bus", "i2c" };

struct number {
	unsigned long long all, program, host;
};

static unsigned long long count(const char *what)
{
	char path[PATH_MAX];
	unsigned long long n;

	tree_path(path, ".fake/count%s%s", what[0] ? "." : "", what);
	n = tree_num(path) + 1;
	(void)tree_put_num(path, n);
	return n;
}

static struct number next_number(const char *verb)
{
	struct number n = { .all = count(""), .program = count(program_invocation_short_name) };

	for (size_t i = 0; i < ARRAY_SIZE(host_verbs); i++)
		if (strcmp(verb, host_verbs[i]) == 0)
			n.host = count("host");
	return n;
}

static void append(const char *path, const char *line)
{
	_cleanup_close_ int fd =
		openat(fake_root(), path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd >= 0)
		(void)!__real_write(fd, line, strlen(line));
}

static void trace(unsigned long long number, const struct fake_effect *effect, const char *result)
{
	const char *const texts[] = { effect->path, effect->old_value, effect->new_value };
	char *words[ARRAY_SIZE(texts)] = { 0 };
	char *line = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (text_encode(texts[i] ? texts[i] : "", &words[i]) < 0)
			words[i] = NULL;
	if (words[0] && words[1] && words[2] &&
	    asprintf(&line, "%llu %s %s %s %s %s %s\n", number, program_invocation_short_name,
		     effect->verb, words[0], words[1], words[2], result) >= 0)
		append(".fake/trace", line);
	free(line);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		free(words[i]);
}

/* --- Faults ---------------------------------------------------------------------------------- */

static bool when_fits(const char *when, const char *subject, const struct number *n)
{
	char own[PATH_MAX];
	unsigned long long number;

	if (parse_ull(when, 10, ~0ULL, &number) == 0)
		return n && n->all == number;
	if (n) {
		tree_path(own, "%s#%llu", program_invocation_short_name, n->program);
		if (strcmp(when, own) == 0)
			return true;
		tree_path(own, "host#%llu", n->host);
		if (strcmp(when, own) == 0)
			return true;
	}
	return fnmatch(when, subject, 0) == 0;
}

/* How often the fault of this line has struck already; counts this time too */
static unsigned int strikes(size_t line)
{
	char path[64];
	unsigned int times;

	tree_path(path, ".fake/struck.%zu", line);
	times = (unsigned int)tree_num(path);
	(void)tree_put_num(path, times + 1ULL);
	return times;
}

static bool fault_parse(const struct strlist *words, size_t line, struct fault *ret)
{
	const char *last = words->names[words->nr - 1];
	unsigned int times;

	if (last[0] == 'x' && parse_uint(last + 1, 10, INT_MAX, &times) == 0 &&
	    strikes(line) >= times)
		return false;
	if (strncmp(last, "from", 4) == 0 && parse_uint(last + 4, 10, INT_MAX, &times) == 0 &&
	    strikes(line) + 1 < times)
		return false;
	*ret = (struct fault){ .error = EIO };
	for (size_t i = 0; i < ARRAY_SIZE(action_names); i++)
		if (strcmp(action_names[i], words->names[1]) == 0)
			ret->action = (enum fault_action)i;
	if (words->nr > 2 && ret->action == FAULT_END)
		ret->pid = (pid_t)tree_num(words->names[2]);
	else if (words->nr > 2)
		ret->error = errno_number(words->names[2]);
	return true;
}

static struct fault fault_find(const char *verb, const char *path, const struct number *n)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_strlist_ struct strlist lines = { 0 };
	struct fault fault = { 0 };
	char subject[PATH_MAX + NAME_MAX];
	size_t len;

	if (__real_attr_read_all(fake_root(), ".fake/faults", FAULTS_MAX, &text, &len) < 0 ||
	    text_split(text, "\n", &lines) < 0)
		return fault;
	tree_path(subject, "%s:%s:%s", program_invocation_short_name, verb, path);
	for (size_t i = 0; i < lines.nr; i++) {
		_cleanup_strlist_ struct strlist words = { 0 };

		if (text_split(lines.names[i], " \t", &words) == 0 && words.nr >= 2 &&
		    when_fits(words.names[0], subject, n) && fault_parse(&words, i, &fault))
			return fault;
	}
	return fault;
}

static void nap(void)
{
	const struct timespec ts = { .tv_nsec = NAP_MS * 1000000L };

	(void)nanosleep(&ts, NULL);
}

/*
 * Waits for .fake/release with all signals kept out: who calls lets them in again when it is done.
 * Gives up when the whole tree is gone, so that no test leaves it behind.
 */
static void hang(sigset_t *old)
{
	sigset_t all;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, old);
	while (!tree_has(".fake/release") && access(root.path, F_OK) == 0)
		nap();
}

static void let_signals_in(const sigset_t *old)
{
	(void)sigprocmask(SIG_SETMASK, old, NULL);
}

static void die(void)
{
	(void)kill(getpid(), SIGKILL);
	abort();
}

static int run_whole(const struct fake_effect *effect)
{
	return effect->run(effect, effect->new_value);
}

/* sysfs gives store() the whole buffer: it can only say that it took less */
static int run_short(const struct fake_effect *effect)
{
	char half[ATTR_MAX];
	size_t len = strlen(effect->new_value) / 2;
	int r;

	if (strcmp(effect->verb, "append") != 0)
		r = run_whole(effect);
	else if (len == 0 ||
		 path_format(half, sizeof(half), "%.*s", (int)len, effect->new_value) < 0)
		r = 0;
	else
		r = effect->run(effect, half);
	return r < 0 ? r : -EIO;
}

/* Under the lock. Return: the result, FAKE_SLEEPS to be called again */
static int run_with(const struct fake_effect *effect, const struct fault *fault)
{
	switch (fault->action) {
	case FAULT_FAIL:
		return -fault->error;
	case FAULT_LIE:
		return 0;
	case FAULT_SHORT:
		/* What has no value cannot be short of it */
		return effect->new_value ? run_short(effect) : run_whole(effect);
	case FAULT_NONE:
	case FAULT_HANG:
	case FAULT_HANG_BEFORE:
	case FAULT_KILL:
	case FAULT_KILL_AFTER:
	case FAULT_END:
		break;
	}
	return run_whole(effect);
}

/* The kernel sleeps in the middle of a store: others go on meanwhile */
static int run_sleeping(const struct fake_effect *effect, const struct fault *fault, int *lock)
{
	int r = run_with(effect, fault);

	while (r == FAKE_SLEEPS && access(root.path, F_OK) == 0) {
		fake_unlock(*lock);
		nap();
		*lock = fake_lock();
		r = run_with(effect, fault);
	}
	return r == FAKE_SLEEPS ? -EINTR : r;
}

/* Return: the result; the lock is @lock's when it comes back */
static int run_faulty(const struct fake_effect *effect, const struct fault *fault, int *lock)
{
	sigset_t old;
	int r;

	if (fault->action != FAULT_HANG && fault->action != FAULT_HANG_BEFORE)
		return run_sleeping(effect, fault, lock);
	if (fault->action == FAULT_HANG) {
		r = run_sleeping(effect, fault, lock);
		fake_unlock(*lock);
		hang(&old);
		*lock = -1;
	} else {
		fake_unlock(*lock);
		hang(&old);
		*lock = fake_lock();
		r = run_sleeping(effect, fault, lock);
	}
	let_signals_in(&old);
	return r;
}

void fake_note(const char *verb, const char *result)
{
	char line[NAME_MAX * 2];

	tree_path(line, "0 %s %s %% %% %% %s\n", program_invocation_short_name, verb, result);
	append(".fake/trace", line);
}

static int effect_locked(const struct fake_effect *effect)
{
	int lock = fake_lock(), r;
	struct number number;
	struct fault fault;
	bool early;

	if (lock < 0)
		return lock;
	number = next_number(effect->verb);
	fault = fault_find(effect->verb, effect->path, &number);
	early = fault.action != FAULT_NONE && fault.action != FAULT_FAIL;
	if (early)
		trace(number.all, effect, action_names[fault.action]);
	if (fault.action == FAULT_KILL)
		die();
	if (fault.action == FAULT_END && fault.pid > 0)
		(void)kill(fault.pid, SIGKILL);
	r = run_faulty(effect, &fault, &lock);
	if (!early)
		trace(number.all, effect, errno_name(r < 0 ? -r : 0));
	if (fault.action == FAULT_KILL_AFTER)
		die();
	fake_unlock(lock);
	return r;
}

int fake_effect(const struct fake_effect *effect)
{
	int r;

	fake_alloc_exempt(true);
	r = effect_locked(effect);
	fake_alloc_exempt(false);
	return r;
}

/* While .fake/reads is there each read is written down in it: PROGRAM PATH */
static void note_read(const char *path)
{
	char line[PATH_MAX + NAME_MAX];

	tree_path(line, "%s %s\n", program_invocation_short_name, path);
	append(".fake/reads", line);
}

int fake_read_fault(const char *path)
{
	struct fault fault;
	sigset_t old;

	if (faccessat(fake_root(), ".fake/reads", W_OK, 0) == 0)
		note_read(path);
	if (faccessat(fake_root(), ".fake/faults", F_OK, 0) < 0)
		return 0;
	fake_alloc_exempt(true);
	fault = fault_find("read", path, NULL);
	fake_alloc_exempt(false);
	if (fault.action == FAULT_HANG) {
		hang(&old);
		let_signals_in(&old);
	}
	return fault.action == FAULT_FAIL ? -fault.error : 0;
}
