/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/scripts.c - an older tree of scripts goes on working: qemu.d/GUEST/OPERATION/SUBOPERATION */
#include "scripts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../lib/attr.h"
#include "../lib/hookdir.h"
#include "../lib/log.h"
#include "../lib/spawn.h"
#include "../lib/text.h"
#include "given.h"

#define TIMEOUT_MS 30000
/* Their authors had one */
#define ENV	 "/usr/bin/env"
#define ENV_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* One operation's scripts */
struct run {
	const struct host *host;
	const struct claim *claim;
	const char *operation, *suboperation, *extra;
	char *why; /* of the first that failed */
};

bool scripts_wanted(const struct claim *claim)
{
	return inidoc_get(&claim->doc, "scripts", "run") != NULL;
}

/* @job: of a script that has ended, for its result and time; NULL for what was said */
_printf_(4, 5) static void script_log(const struct run *run, int priority,
				      const struct spawn_job *job, const char *fmt, ...)
{
	const struct log_about about = { .guest = run->claim->guest,
					 .uuid = run->claim->uuid,
					 .phase = run->host->phase,
					 .step = "scripts",
					 .verb = run->operation,
					 .result = !job ? NULL
						   : job->status || job->timed_out || job->error
							   ? "failed"
							   : "done",
					 .ms = job ? job->elapsed_ms : -1 };
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	if (text)
		log_event(run->host->rootfd, priority, &about, "%s: %s", run->claim->guest, text);
}

static void log_output(const struct run *run, int priority, const char *name, char *output)
{
	char *save = NULL;

	for (char *line = strtok_r(output, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		script_log(run, priority, NULL, "%s: %s", name, line);
}

/* The last line it said, for who asks why the guest does not start */
static const char *last_line(char *output)
{
	char *end = output + strlen(output), *newline;

	while (end > output && end[-1] == '\n')
		*--end = '\0';
	newline = strrchr(output, '\n');
	return newline ? newline + 1 : output;
}

static int describe(const struct spawn_job *job, const char *path, char **ret)
{
	_cleanup_free_ char *said = NULL;
	const char *cure = "mend it, or set run = no in [scripts] of the policy";
	int n;

	if (text_printable(job->output ? last_line(job->output) : "", &said) < 0)
		return -ENOMEM;
	if (job->error < 0)
		n = asprintf(ret, "script /%s cannot be run: %s: %s", path, strerror(-job->error),
			     cure);
	else if (job->timed_out)
		n = asprintf(ret, "script /%s did not end within %d ms and was killed: %s", path,
			     job->timeout_ms, cure);
	else
		n = asprintf(ret, "script /%s failed with status %d%s%s: %s", path, job->status,
			     *said ? ": " : "", said, cure);
	return n < 0 ? -ENOMEM : 0;
}

static int run_one(struct run *run, const char *path)
{
	const char *slash = strcmp(run->host->root, "/") == 0 ? "" : run->host->root;
	_cleanup_free_ char *program = NULL, *why = NULL;
	struct spawn_job job = { .timeout_ms =
					 claim_int(run->claim, "scripts", "timeout_ms", TIMEOUT_MS),
				 .input = given_take() };
	int failed, r = 0;

	if (asprintf(&program, "%s/%s", slash, path) < 0) {
		program = NULL;
		return -ENOMEM;
	}
	job.argv = (const char *const[]){
		ENV,	    ENV_PATH, program, run->claim->guest, run->operation, run->suboperation,
		run->extra, NULL
	};
	failed = spawn_run(&job, 1);
	if (failed > 0)
		r = describe(&job, path, &why);
	if (failed >= 0 && r == 0) {
		script_log(run, failed ? LOG_ERR : LOG_INFO, &job, "/%s: %s in %d ms", path,
			   failed ? "failed" : "done", job.elapsed_ms);
		if (job.output)
			log_output(run, failed ? LOG_ERR : LOG_INFO, strrchr(path, '/') + 1,
				   job.output);
	}
	spawn_job_free(&job);
	if (why && !run->why)
		run->why = TAKE_PTR(why);
	return r < 0 ? r : failed;
}

static int consider(struct run *run, const char *path)
{
	_cleanup_free_ char *why = NULL;
	int r = hookdir_runs_script(run->host->rootfd, path, &why);

	if (r > 0)
		return run_one(run, path);
	if (r == 0)
		return 0;
	if (!why)
		return -ENOMEM;
	script_log(run, LOG_ERR, NULL, "/%s is not run: %s", path, why);
	if (!run->why && asprintf(&run->why, "script /%s is not run: %s", path, why) < 0) {
		run->why = NULL;
		return -ENOMEM;
	}
	return 1;
}

/* What libvirt runs by itself from there is usher's link, or another's affair */
static int run_folder(struct run *run, const char *folder, bool stop)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	int r = attr_list(run->host->rootfd, folder, &names), failed = 0;

	if (r == -ENOTDIR)
		return consider(run, folder);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	for (size_t i = 0; i < names.nr && (!failed || !stop); i++) {
		char path[PATH_MAX];

		if (path_format(path, sizeof(path), "%s/%s", folder, names.names[i]) < 0)
			continue;
		r = consider(run, path);
		if (r < 0)
			return r;
		failed |= r;
	}
	return failed;
}

int scripts_run(const struct host *host, const struct claim *claim, const char *operation,
		const char *suboperation, const char *extra, bool stop, char **ret_why)
{
	struct run run = { .host = host,
			   .claim = claim,
			   .operation = operation,
			   .suboperation = suboperation,
			   .extra = extra };
	char dir[PATH_MAX], folder[PATH_MAX];
	int r;

	*ret_why = NULL;
	if (!scripts_wanted(claim))
		return 0;
	r = hookdir_scripts(claim->guest, dir, sizeof(dir));
	if (r == 0)
		r = path_format(folder, sizeof(folder), "%s/%s/%s", dir, operation, suboperation);
	if (r == 0)
		r = run_folder(&run, folder, stop);
	if (r == -EINVAL || r == -ENAMETOOLONG)
		r = 0;
	*ret_why = run.why;
	return r;
}
