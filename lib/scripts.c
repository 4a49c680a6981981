/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/scripts.c - an older tree of scripts goes on working: qemu.d/GUEST/OPERATION/SUBOPERATION */
#include "scripts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "attr.h"
#include "hookdir.h"
#include "log.h"
#include "spawn.h"
#include "state.h"
#include "text.h"

#define OWED_FILE "scripts.owed"
#define XML_FILE  "scripts.xml"

#define TIMEOUT_MS 30000
/* Their authors had one */
#define ENV	 "/usr/bin/env"
#define ENV_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct operation {
	const char *name, *sub;
	bool start;	  /* owed before it is run; the first that fails ends it */
	const char *owed; /* what has to be run for it, or still has to be after it */
};

/* A start that fails once QEMU was to be run has libvirt's `stopped`, too */
static const struct operation operations[] = {
	{ "prepare", "begin", true, "release" },
	{ "start", "begin", true, "stopped release" },
	{ "started", "begin", true, "stopped release" },
	{ "stopped", "end", false, "release" },
	{ "release", "end", false, "" },
	{ "reconnect", "begin", false, NULL },
};

/* One operation's scripts */
struct run {
	const struct host *host;
	const struct claim *claim;
	const struct operation *op;
	const char *extra;
	int input;
	bool unread; /* whether there are any, or one may be run, could not be found out */
	char *why;   /* of the first that failed */
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
					 .verb = run->op->name,
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
				 .input = run->input };
	int failed, r = 0;

	if (asprintf(&program, "%s/%s", slash, path) < 0) {
		program = NULL;
		return -ENOMEM;
	}
	job.argv =
		(const char *const[]){ ENV,	      ENV_PATH,	    program,	run->claim->guest,
				       run->op->name, run->op->sub, run->extra, NULL };
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
	run->unread |= r != -EPERM;
	script_log(run, LOG_ERR, NULL, "/%s is not run: %s", path, why);
	if (!run->why && asprintf(&run->why, "script /%s is not run: %s", path, why) < 0) {
		run->why = NULL;
		return -ENOMEM;
	}
	return 1;
}

/* Return: 1, -ENOMEM */
static int say_unread(struct run *run, const char *folder, int error)
{
	run->unread = true;
	script_log(run, LOG_ERR, NULL, "/%s cannot be read: %s", folder, strerror(-error));
	if (!run->why &&
	    asprintf(&run->why, "the scripts in /%s are not run: it cannot be read: %s: see dmesg",
		     folder, strerror(-error)) < 0) {
		run->why = NULL;
		return -ENOMEM;
	}
	return 1;
}

/* What libvirt runs by itself from there is usher's link, or another's affair */
static int run_folder(struct run *run, const char *folder)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	int r = attr_list(run->host->rootfd, folder, &names), failed = 0;

	if (r == -ENOTDIR)
		return consider(run, folder);
	if (r < 0)
		return r == -ENOENT || r == -ENOMEM ? r : say_unread(run, folder, r);
	for (size_t i = 0; i < names.nr && (!failed || !run->op->start); i++) {
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

static int run_operation(struct run *run)
{
	char dir[PATH_MAX], folder[PATH_MAX];
	int r = hookdir_scripts(run->claim->guest, dir, sizeof(dir));

	if (r == 0)
		r = path_format(folder, sizeof(folder), "%s/%s/%s", dir, run->op->name,
				run->op->sub);
	if (r == 0)
		r = run_folder(run, folder);
	return r == -EINVAL || r == -ENAMETOOLONG || r == -ENOENT ? 0 : r;
}

/* --- what is owed ----------------------------------------------------------------------------- */

/* Return: 1, 0 when nothing was noted (nothing was run, or by an older usher), else -errno */
static int read_owed(int dirfd, char **ret)
{
	size_t len;
	int r = dirfd < 0 ? dirfd : state_read(dirfd, OWED_FILE, ret, &len);

	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

/* Return: 1, -ENOMEM */
static int say_unread_note(const struct claim *claim, const char *file, int error, char **ret_why)
{
	if (asprintf(ret_why,
		     "the scripts that give back what its others have done are not run: what is "
		     "owed cannot be read from /run/usher/%s/%s: %s: %s",
		     claim->uuid, file, strerror(-error),
		     state_cure(error, "usher recover tries again")) < 0) {
		*ret_why = NULL;
		return -ENOMEM;
	}
	return 1;
}

/* For whoever gives back without libvirt. Return: 0 (also when there is none), else -errno */
static int keep_xml(int dirfd, int input)
{
	struct stat st;
	void *text;
	int r;

	if (input <= 0 || fstat(input, &st) < 0 || st.st_size <= 0)
		return 0;
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, input, 0);
	if (text == MAP_FAILED)
		return -errno;
	r = state_write(dirfd, XML_FILE, text, (size_t)st.st_size);
	(void)munmap(text, (size_t)st.st_size);
	return r;
}

/* Return: 0, else -errno */
static int owe(int dirfd, const struct operation *op)
{
	return dirfd < 0 ? dirfd : state_write(dirfd, OWED_FILE, op->owed, strlen(op->owed));
}

static int run_start(struct run *run, int dirfd)
{
	int r = strcmp(run->op->name, "prepare") == 0 ? keep_xml(dirfd, run->input) : 0;

	if (r == 0)
		r = owe(dirfd, run->op);
	if (r == 0)
		return run_operation(run);
	if (asprintf(&run->why,
		     "its scripts are not run: that cannot be noted in /run/usher: %s: see df /run",
		     strerror(-r)) < 0) {
		run->why = NULL;
		return -ENOMEM;
	}
	return 1;
}

static int run_noting(struct run *run, int dirfd)
{
	int failed = run_operation(run);
	/* Those that could not be looked at are owed still */
	int r = run->op->owed && failed >= 0 && !run->unread ? owe(dirfd, run->op) : 0;

	if (r < 0)
		script_log(run, LOG_ERR, NULL,
			   "cannot note in /run/usher that its scripts have been run: %s: usher "
			   "recover may run them again",
			   strerror(-r));
	return failed;
}

static const struct operation *find_operation(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
		if (strcmp(operations[i].name, name) == 0)
			return &operations[i];
	return NULL;
}

/* libvirt's `stopped` has found the claim's lock taken, or never came. Return: 0, -ENOMEM */
static int run_stopped(struct run *release, int dirfd)
{
	struct run run = *release;
	_cleanup_free_ char *why = NULL;
	int r;

	run.op = find_operation("stopped");
	run.extra = "-";
	r = run_noting(&run, dirfd);
	why = run.why;
	release->unread = run.unread;
	if (run.unread)
		release->why = TAKE_PTR(why);
	else if (why)
		log_line(run.host->rootfd, LOG_ERR, "%s: %s", run.claim->guest, why);
	return r < 0 ? r : 0;
}

/* @owed: NULL when nothing was noted */
static int run_stop(struct run *run, int dirfd, const char *owed)
{
	int r = 0;

	if (owed && !*owed)
		return 0;
	if (strcmp(run->op->name, "release") == 0 && owed &&
	    text_has_word(owed, " ", "stopped", strlen("stopped")))
		r = run_stopped(run, dirfd);
	if (r == 0)
		r = run_noting(run, dirfd);
	return r < 0 ? r : r || run->unread;
}

int scripts_run(const struct host *host, const struct claim *claim, const char *operation,
		const char *extra, int input, char **ret_why)
{
	struct run run = { .host = host,
			   .claim = claim,
			   .op = find_operation(operation),
			   .extra = extra,
			   .input = input };
	_cleanup_close_ int dirfd = -1;
	_cleanup_free_ char *owed = NULL;
	int r;

	*ret_why = NULL;
	if (!run.op || !scripts_wanted(claim))
		return 0;
	dirfd = state_dir(host->statefd, claim->uuid, false);
	if (run.op->start) {
		r = run_start(&run, dirfd);
	} else {
		r = read_owed(dirfd, &owed);
		r = r < 0 ? say_unread_note(claim, OWED_FILE, r, &run.why)
			  : run_stop(&run, dirfd, owed);
	}
	*ret_why = run.why;
	return r;
}

void scripts_after(const struct host *host, const struct claim *claim, const char *operation,
		   const char *extra, int input)
{
	_cleanup_free_ char *why = NULL;
	int r = scripts_run(host, claim, operation, extra, input, &why);

	if (r != 0)
		log_line(host->rootfd, LOG_ERR, "%s: %s", claim->guest,
			 why ?: "no memory for its scripts: see free -m");
}

/* Return: 1 with what is owed, "" for none, 0 without a record, else -errno */
static int owed_of(const struct host *host, const struct claim *claim, char **ret)
{
	_cleanup_close_ int dirfd = -1;

	if (!scripts_wanted(claim))
		return 0;
	dirfd = state_dir(host->statefd, claim->uuid, false);
	return read_owed(dirfd, ret);
}

int scripts_owed(const struct host *host, const struct claim *claim)
{
	_cleanup_free_ char *owed = NULL;
	int r = owed_of(host, claim, &owed);

	return r > 0 ? *owed != '\0' : r;
}

int scripts_owes(const struct host *host, const struct claim *claim, const char *operation)
{
	_cleanup_free_ char *owed = NULL;
	int r = owed_of(host, claim, &owed);

	return r > 0 ? text_has_word(owed, " ", operation, strlen(operation)) : r;
}

int scripts_give_back(const struct host *host, const struct claim *claim, char **ret_why)
{
	struct run run = { .host = host,
			   .claim = claim,
			   .op = find_operation("release"),
			   .extra = claim_has_run(claim) ? "crashed" : "failed" };
	_cleanup_close_ int dirfd = -1, xml = -1;
	_cleanup_free_ char *owed = NULL;
	int r;

	*ret_why = NULL;
	if (!scripts_wanted(claim))
		return 0;
	dirfd = state_dir(host->statefd, claim->uuid, false);
	r = read_owed(dirfd, &owed);
	if (r < 0)
		return say_unread_note(claim, OWED_FILE, r, ret_why);
	if (r == 0 || !*owed)
		return 0;
	xml = attr_open(dirfd, XML_FILE, O_RDONLY | O_NOFOLLOW);
	if (xml < 0 && xml != -ENOENT)
		return say_unread_note(claim, XML_FILE, xml, ret_why);
	run.input = xml < 0 ? 0 : xml;
	r = run_stop(&run, dirfd, owed);
	*ret_why = run.why;
	if (r <= 0 || run.unread)
		return r;
	/* It has been run: another time would not help */
	log_line(host->rootfd, LOG_ERR, "%s: %s", claim->guest, run.why);
	return 0;
}
