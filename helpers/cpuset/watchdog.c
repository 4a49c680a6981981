/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/watchdog.c - the kernel's watchdog of soft lockups, which wakes on each CPU it sees to */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "cpuset.h"

/*
 * A timer of each CPU makes its stopper, migration/N, run for a moment, to see that it can. A CPU of
 * nohz_full= is none of its to begin with; for others this is the same at run time.
 *
 * Whoever writes waits for work on each CPU that it sees to, and a vCPU with a realtime class lets
 * none be done. Whoever reads waits for the lock that a write has meanwhile. So it is a child that
 * does both.
 *
 * Seen on: Linux 7.2, the stopper was two of the ten foreign switches on a guest's CPUs in 15 s
 * Source: __lockup_detector_reconfigure(), softlockup_stop_all(), proc_watchdog_cpumask() in
 * kernel/watchdog.c, 6.12
 * ABI: Documentation/admin-guide/lockup-watchdogs.rst; admin-guide/sysctl/kernel.rst, watchdog_cpumask
 */
#define WATCHDOG_CPUS "proc/sys/kernel/watchdog_cpumask"
#define WRITE_MS      1000
#define READ_MS	      400

int watchdog_cpus(const struct cpuset_job *job, const char *object, struct cpulist *ret)
{
	char text[ATTR_MAX];
	int r = job_read_aside(job, object, text, sizeof(text), READ_MS);

	return r < 0 ? r : cpulist_parse(text, ret);
}

/* Return: @error */
static int fails(struct cpuset_job *job, int error, const char *what, const char *object)
{
	if (error != -ETIMEDOUT)
		return job_why(job, error, "cannot %s /%s: %s", what, object, strerror(-error));
	(void)job_why(
		job, error,
		"/%s does not answer: a write to it waits for a CPU that a realtime task, "
		"perhaps a vCPU (<vcpusched>), does not leave: when it does, run usher recover",
		object);
	job->cured = true;
	return error;
}

static int watchdog_read(struct cpuset_job *job, const char *object, struct cpulist *ret)
{
	int r = watchdog_cpus(job, object, ret);

	return r < 0 ? fails(job, r, "read", object) : 0;
}

static int watchdog_write(struct cpuset_job *job, const char *object, const struct cpulist *value)
{
	int left = job_left(job) / 2;
	char text[ATTR_MAX] = "", answer[ATTR_MAX], what[ATTR_MAX + 16];
	struct cpulist now;
	int r = cpulist_format(value, text, sizeof(text));

	if (r == 0)
		r = job_ask_aside(job, object, text, answer, sizeof(answer),
				  left < WRITE_MS ? left : WRITE_MS);
	if (r == 0)
		r = cpulist_parse(answer, &now);
	if (r == 0 && !cpulist_equal(&now, value))
		r = -EIO;
	(void)snprintf(what, sizeof(what), "write %s to", text);
	return r < 0 ? fails(job, r, what, object) : 0;
}

/* Where it sees to none there is nothing to take */
static int watchdog_reset(struct cpuset_job *job, const char *object)
{
	return job_why(job, -EBADMSG, "/%s had CPUs before", object);
}

static const struct setting_kind setting_watchdog = {
	.verb = "watchdog",
	.takes = true,
	.read = watchdog_read,
	.write = watchdog_write,
	.reset = watchdog_reset,
};

static bool is_wanted(const struct cpuset_job *job)
{
	const char *value = inidoc_get(&job->ctx->claim.doc, "cpuset", "watchdog");

	return value && strcmp(value, "no") == 0 &&
	       attr_exists(job->ctx->rootfd, WATCHDOG_CPUS) != 0;
}

void watchdog_take(struct cpuset_job *job)
{
	struct cpulist now;
	int r;

	if (!is_wanted(job))
		return;
	r = watchdog_read(job, WATCHDOG_CPUS, &now);
	/* Without another CPU it would see to all */
	if (r == 0 && !cpulist_contains(&job->pins.cpus, &now))
		r = setting_take_from(job, &setting_watchdog, WATCHDOG_CPUS, &now);
	if (r < 0)
		helper_say(job->ctx, "the watchdog of lockups runs on its CPUs: %s%s", job->why,
			   job->cured ? "" : ": see dmesg");
}

int watchdog_undo(struct cpuset_job *job, const char *object)
{
	int r;

	if (strcmp(object, WATCHDOG_CPUS) != 0)
		return job_why(job, -EBADMSG, "the journal's watchdog '%s' is none of ours",
			       object);
	r = setting_give_back(job, &setting_watchdog, object);
	return r < 0 ? r : 0;
}
