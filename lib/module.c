/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/module.c - kernel modules */
#include "module.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attr.h"
#include "spawn.h"

/* What modprobe says of a module the kernel was built without */
#define NOT_FOUND "not found in directory"
/* Lockdown and signatures: "Operation not permitted", "Key was rejected by service" */
static const char *const refusals[] = { "not permitted", "rejected by service" };

static int module_path(const char *name, char *buf, size_t size)
{
	int r = path_format(buf, size, "sys/module/%s", name);

	for (char *c = buf + strlen("sys/module/"); r == 0 && *c; c++)
		if (*c == '-')
			*c = '_';
	return r;
}

int module_loaded(int rootfd, const char *name)
{
	char path[PATH_MAX];
	int r = module_path(name, path, sizeof(path));

	return r < 0 ? r : attr_exists(rootfd, path);
}

static int modprobe_error(const struct spawn_job *job)
{
	if (job->timed_out)
		return -ETIMEDOUT;
	if (job->error < 0)
		return job->error;
	if (strstr(job->output, NOT_FOUND))
		return -ENOENT;
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
		if (strstr(job->output, refusals[i]))
			return -EPERM;
	return -EIO;
}

int module_load(int rootfd, const char *name, int timeout_ms)
{
	const char *const argv[] = { "/sbin/modprobe", "--", name, NULL };
	struct spawn_job job = { .argv = argv, .timeout_ms = timeout_ms };
	int r;

	r = module_loaded(rootfd, name);
	if (r != 0)
		return r < 0 ? r : 0;
	r = spawn_run(&job, 1);
	if (r > 0)
		r = modprobe_error(&job);
	spawn_job_free(&job);
	return r;
}

int module_unload(int rootfd, const char *name)
{
	char plain[64];
	int r = module_loaded(rootfd, name);

	if (r <= 0)
		return r;
	r = path_format(plain, sizeof(plain), "%s", name);
	for (char *c = plain; r == 0 && *c; c++)
		if (*c == '-')
			*c = '_';
	if (r < 0)
		return r;
	/* Not O_TRUNC: that would take it from under its users */
	if (syscall(SYS_delete_module, plain, O_NONBLOCK) == 0 || errno == ENOENT)
		return 0;
	return errno == EAGAIN ? -EBUSY : -errno;
}
