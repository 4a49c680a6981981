/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/helper_privileges_test.c - what each helper still may when it has started, and its page says */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "helpers/helper.h"
#include "lib/attr.h"
#include "lib/process.h"
#include "lib/self.h"
#include "lib/text.h"

/*
 * How it works
 *
 * The helpers are the real ones, on the real root, with a claim that is not there: what they need not
 * they give up before they look for it. The kernel stops each at its end (ptrace(2)), when proc still
 * has all that it may. The sets stand in SECURITY CONSIDERATIONS of its page: either "keeps root's
 * capabilities" or a list behind "all capabilities but" that ends with a colon.
 */

#define UUID "c7a5fdbd-edaf-9455-926a-d65c16db1809"

static const char *const helpers[] = {
	"cpuset", "display", "hugepages", "nosleep", "seat", "vfio"
};

static const struct {
	const char *name;
	unsigned long long bit;
} names[] = {
	{ "CAP_DAC_OVERRIDE", CAP_BIT(CAP_DAC_OVERRIDE) },
	{ "CAP_DAC_READ_SEARCH", CAP_BIT(CAP_DAC_READ_SEARCH) },
	{ "CAP_SYS_ADMIN", CAP_BIT(CAP_SYS_ADMIN) },
	{ "CAP_SYS_MODULE", CAP_BIT(CAP_SYS_MODULE) },
	{ "CAP_SYS_NICE", CAP_BIT(CAP_SYS_NICE) },
	{ "CAP_SYS_PTRACE", CAP_BIT(CAP_SYS_PTRACE) },
};

struct may {
	unsigned long long permitted, effective, inheritable, ambient, bounding;
	unsigned int no_new_privs, umask;
	bool ignores_sigpipe;
};

static unsigned long long field(const char *status, const char *name, int base)
{
	const char *line = strstr(status, name);

	assert_non_null(line);
	return strtoull(line + strlen(name), NULL, base);
}

static struct may may_of(pid_t pid)
{
	_cleanup_close_ int root = root_open("/");
	_cleanup_free_ char *text = NULL;
	char path[32];
	size_t len;

	(void)snprintf(path, sizeof(path), "proc/%d/status", (int)pid);
	assert_int_equal(attr_read_all(root, path, 1 << 16, &text, &len), 0);
	return (struct may){
		.permitted = field(text, "\nCapPrm:", 16),
		.effective = field(text, "\nCapEff:", 16),
		.inheritable = field(text, "\nCapInh:", 16),
		.ambient = field(text, "\nCapAmb:", 16),
		.bounding = field(text, "\nCapBnd:", 16),
		.no_new_privs = (unsigned int)field(text, "\nNoNewPrivs:", 10),
		.umask = (unsigned int)field(text, "\nUmask:", 8),
		.ignores_sigpipe = field(text, "\nSigIgn:", 16) >> (SIGPIPE - 1) & 1,
	};
}

static int program(const char *helper, char buf[static PATH_MAX])
{
	char dir[PATH_MAX / 2];
	int r = self_dir(dir, sizeof(dir));

	return r < 0 ? r : path_format(buf, PATH_MAX, "%s/../usher-%s", dir, helper);
}

static _Noreturn void be_helper(const char *helper, const char *verb, const char *claim)
{
	/* A sanitizer's own look for leaks cannot be traced */
	char *const env[] = { (char[]){ "ASAN_OPTIONS=detect_leaks=0" }, NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char path[PATH_MAX], word[16], file[PATH_MAX];
	char *const argv[] = { path, word, file, NULL };

	if (program(helper, path) < 0 || path_format(word, sizeof(word), "%s", verb) < 0 ||
	    path_format(file, sizeof(file), "%s", claim) < 0 || null < 0)
		_exit(126);
	(void)umask(0);
	(void)dup2(null, STDOUT_FILENO);
	(void)dup2(null, STDERR_FILENO);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(125);
	(void)execve(path, argv, env);
	_exit(127);
}

/* What it may at its end */
static struct may run(const char *helper, const char *verb, const char *claim)
{
	struct may may = { 0 };
	int status;
	pid_t pid = fork();

	if (pid == 0)
		be_helper(helper, verb, claim);
	/* At its execve() */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACEEXIT), 0);
	while (WIFSTOPPED(status)) {
		int sig = WSTOPSIG(status);

		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8))
			may = may_of(pid);
		if (sig == SIGTRAP)
			sig = 0;
		/* NOLINTNEXTLINE(performance-no-int-to-ptr): so ptrace(2) has it */
		assert_int_equal(ptrace(PTRACE_CONT, pid, NULL, (void *)(long)sig), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
	}
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) < 125);
	return may;
}

/* --- The page ---------------------------------------------------------------------------------------- */

static char *security_of(const char *helper)
{
	_cleanup_close_ int here = root_open(".");
	_cleanup_free_ char *text = NULL;
	const char *begin, *end;
	char path[128];
	size_t len;

	(void)snprintf(path, sizeof(path), "helpers/%s/usher-%s.8", helper, helper);
	assert_int_equal(attr_read_all(here, path, 1 << 20, &text, &len), 0);
	begin = strstr(text, ".Sh SECURITY CONSIDERATIONS\n");
	assert_non_null(begin);
	end = strstr(begin + 1, "\n.Sh ");
	return end ? strndup(begin, (size_t)(end - begin)) : strdup(begin);
}

static unsigned long long bit_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i].name, name) == 0)
			return names[i].bit;
	fail_msg("%s is not known here", name);
	return 0;
}

/* To the colon */
static unsigned long long listed(const char *text)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	unsigned long long set = 0;

	assert_int_equal(text_split(text, " ,\n", &words), 0);
	for (size_t i = 0; i < words.nr && strcmp(words.names[i], ":") != 0; i++)
		if (strncmp(words.names[i], "CAP_", 4) == 0)
			set |= bit_of(words.names[i]);
	return set;
}

static unsigned long long kept_by_page(const char *helper)
{
	_cleanup_free_ char *text = security_of(helper);
	const char *all = strstr(text, "keeps root's capabilities"),
		   *list = strstr(text, "all capabilities but\n");

	if (!all == !list)
		fail_msg("the page of usher-%s does not say what it keeps", helper);
	assert_non_null(strstr(text, "no_new_privs"));
	assert_non_null(strstr(text, "umask of 077"));
	assert_non_null(strstr(text, "no environment"));
	return all ? CAPS_ALL : listed(list);
}

/* --- Tests --------------------------------------------------------------------------------------------- */

static void assert_may(const char *what, const struct may *may, unsigned long long keep)
{
	struct may had = may_of(getpid());

	if (may->permitted != (had.permitted & keep) || may->effective != may->permitted)
		fail_msg("%s has %llx, and its page says %llx", what, may->permitted,
			 had.permitted & keep);
	assert_int_equal(may->inheritable | may->ambient, 0);
	if (had.permitted & CAP_BIT(CAP_SETPCAP))
		assert_int_equal(may->bounding, had.bounding & keep);
	assert_int_equal(may->no_new_privs, 1);
	assert_int_equal(may->umask, 077);
	assert_true(may->ignores_sigpipe);
}

static void a_helper_keeps_what_its_page_says(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(helpers); i++) {
		struct may may = run(helpers[i], "check", "/nonexistent/claim.ini");

		assert_may(helpers[i], &may, kept_by_page(helpers[i]));
	}
}

/* A guest that is gone before there is anything to be held */
static void who_waits_for_a_guests_end_keeps_nothing(void **state)
{
	char dir[] = "/tmp/usher_unit_XXXXXX", claim[sizeof(dir) + 16], command[64];
	struct may may;
	FILE *f;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	(void)snprintf(claim, sizeof(claim), "%s/claim.ini", dir);
	(void)umask(077);
	f = fopen(claim, "we");
	assert_non_null(f);
	(void)fprintf(f, "[claim]\nformat = 1\nguest = win11\nuuid = " UUID
			 "\nstate = running\nowner = 2147483647 1\n[nosleep]\ninhibit = sleep\n"
			 "mode = block\n");
	assert_int_equal(fclose(f), 0);
	may = run("nosleep", "hold", claim);
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	/* NOLINTNEXTLINE(cert-env33-c): a test's own files */
	assert_int_equal(system(command), 0);
	assert_may("nosleep hold", &may, CAPS_NONE);
}

extern char **environ;

static int look_at_environment(struct helper_ctx *ctx, int argc, char **argv)
{
	(void)ctx, (void)argc, (void)argv;
	return environ && *environ;
}

static int with_environment(void)
{
	static const struct helper_command command = { "look", "", "", false, look_at_environment };
	static const struct helper helper = {
		.name = "x", .caps = CAPS_ALL, .commands = &command, .nr_commands = 1
	};
	char *argv[] = { (char[]){ "usher-x" }, (char[]){ "look" }, NULL };

	(void)setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/tmp/mine", 1);
	return helper_main(2, argv, &helper);
}

/* libsystemd asks for the bus it is to talk to, and others for what they are to write down */
static void nobody_tells_a_helper_anything_by_the_environment(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0)
		_exit(with_environment());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_helper_keeps_what_its_page_says),
		cmocka_unit_test(who_waits_for_a_guests_end_keeps_nothing),
		cmocka_unit_test(nobody_tells_a_helper_anything_by_the_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
