/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/sim/fakehost.c - fakehost: what QEMU, libvirt and an admin do on a sample host, by hand */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../lib/units.h"
#include "../fake/fake.h"

struct verb {
	const char *name;
	int nr_args;
	const char *args, *help;
	int (*run)(char **args);
};

static int fail(const char *what, const char *why)
{
	(void)fprintf(stderr, "fakehost: %s: %s\n", what, why);
	return 1;
}

static int done(const char *what, int r)
{
	return r < 0 ? fail(what, strerror(-r)) : 0;
}

static int run_exec(char **args)
{
	const char *why = "Permission denied";
	unsigned int pid;
	int r = parse_uint(args[1], 10, INT_MAX, &pid);

	if (r == 0)
		r = guest_exec(args[0], (pid_t)pid, &why);
	return r < 0 ? fail(args[0], why) : 0;
}

static int run_gone(char **args)
{
	return done(args[0], guest_gone(args[0]));
}

static int run_cleanup(char **args)
{
	return done(args[0], guest_cleanup(args[0]));
}

static int run_settle(char **args)
{
	unsigned int ms;
	int r = parse_uint(args[0], 10, INT_MAX, &ms);

	return done("services still run", r < 0 ? r : services_settle((int)ms));
}

static int run_write(char **args)
{
	return done(args[0], attr_write(fake_root(), args[0], args[1]));
}

/* The log daemon: each line that comes to dev/log is appended to a file, until killed */
static int run_log(char **args)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	_cleanup_fclose_ FILE *f = fopen(args[0], "ae");
	char line[8192];
	ssize_t n;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/dev/log",
		       fake_root());
	if (fd < 0 || !f || bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return fail(args[0], strerror(errno));
	while ((n = recv(fd, line, sizeof(line) - 1, 0)) > 0) {
		(void)fprintf(f, "%.*s\n", (int)n, line);
		(void)fflush(f);
	}
	return 0;
}

/* What stands for QEMU: its command line holds the uuid, and it ends with who started it */
static _Noreturn int run_qemu(char **args)
{
	(void)args;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		(void)pause();
}

static const struct verb verbs[] = {
	{ "exec", 2, "GUEST PID", "QEMU was executed: cgroups, huge pages, vfio groups", run_exec },
	{ "gone", 1, "GUEST", "QEMU has ended", run_gone },
	{ "cleanup", 1, "GUEST", "libvirt removes its scope and status files", run_cleanup },
	{ "settle", 1, "MS", "wait until no transient service runs", run_settle },
	{ "write", 2, "PATH VALUE", "write one attribute, as root would", run_write },
	{ "log", 1, "FILE", "be the log daemon until killed", run_log },
	{ "qemu", 2, "-uuid UUID", "be a process until killed", run_qemu },
};

static int usage(void)
{
	(void)fputs("usage: fakehost --root DIR VERB ARGUMENT...\n", stderr);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		(void)fprintf(stderr, "  %-8s %-11s %s\n", verbs[i].name, verbs[i].args,
			      verbs[i].help);
	return 64;
}

int main(int argc, char **argv)
{
	_cleanup_close_ int fd = -1;

	if (argc < 4 || strcmp(argv[1], "--root") != 0)
		return usage();
	fd = root_open(argv[2]);
	if (fd < 0)
		return done(argv[2], fd);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(argv[3], verbs[i].name) == 0 && argc - 4 == verbs[i].nr_args)
			return verbs[i].run(argv + 4);
	return usage();
}
