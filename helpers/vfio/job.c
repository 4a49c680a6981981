/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/job.c - one device on its way, there or back, and its records in the journal */
#include <errno.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/pcidev.h"
#include "vfio.h"

#define RECORD_OVERRIDE "override"
#define RECORD_DRIVER	"driver"

void vfio_jobs_free(struct vfio_jobs *jobs)
{
	free(jobs->jobs);
	*jobs = (struct vfio_jobs){ 0 };
}

struct vfio_job *jobs_add(struct vfio_jobs *jobs, const struct pciaddr *addr)
{
	struct vfio_job *grown = reallocarray(jobs->jobs, jobs->nr + 1, sizeof(*grown));
	struct vfio_job *job;

	if (!grown)
		return NULL;
	jobs->jobs = grown;
	job = &grown[jobs->nr++];
	*job = (struct vfio_job){ .addr = *addr };
	pciaddr_format(addr, job->name);
	return job;
}

struct vfio_job *jobs_find(const struct vfio_jobs *jobs, const char *name)
{
	for (size_t i = 0; i < jobs->nr; i++)
		if (strcmp(jobs->jobs[i].name, name) == 0)
			return &jobs->jobs[i];
	return NULL;
}

static void unit_join(struct vfio_jobs *jobs, size_t from, size_t to)
{
	for (size_t i = 0; i < jobs->nr; i++)
		if (jobs->jobs[i].unit == from)
			jobs->jobs[i].unit = to;
}

/* The driver it has, or goes back to */
static const struct driver_rule *job_family(int rootfd, const struct vfio_job *job)
{
	const struct driver_rule *rule = rule_family(job->old_driver);
	char driver[DRIVER_NAME_MAX];

	if (rule || pcidev_driver(rootfd, &job->addr, driver, sizeof(driver)) <= 0)
		return rule;
	return rule_family(driver);
}

static bool go_together(int rootfd, const struct vfio_job *a, const struct vfio_job *b)
{
	const struct driver_rule *family = job_family(rootfd, a);
	int group = pcidev_group(rootfd, &a->addr);

	return pciaddr_same_slot(&a->addr, &b->addr) ||
	       (group >= 0 && pcidev_group(rootfd, &b->addr) == group) ||
	       (family && job_family(rootfd, b) == family);
}

void jobs_group(int rootfd, struct vfio_jobs *jobs)
{
	for (size_t i = 0; i < jobs->nr; i++)
		jobs->jobs[i].unit = i;
	for (size_t i = 0; i < jobs->nr; i++) {
		const struct vfio_job *a = &jobs->jobs[i];

		for (size_t j = 0; j < i; j++) {
			const struct vfio_job *b = &jobs->jobs[j];

			if (go_together(rootfd, a, b))
				unit_join(jobs, a->unit, b->unit);
		}
	}
}

/* Drivers name themselves as they like ("ATI IXP AC97"), but a name is one component of a path */
static int copy_name(char *to, const char *from)
{
	if (*from == '.' || strchr(from, '/'))
		return -EBADMSG;
	return path_format(to, DRIVER_NAME_MAX, "%s", from);
}

/*
 * Records are read last to first: an earlier one has the older, truer values. Of what it was when
 * it was handed over the last one counts.
 */
static int job_take_record(struct vfio_job *job, const struct journal_record *record)
{
	int r, saved = saved_index(record->verb);

	job->journaled = true;
	if (saved >= HANDED_RESET && saved <= HANDED_POWER && *job->saved[saved])
		return 0;
	/* modprobe's word */
	if (saved == SAVED_MODULE && !driver_name_valid(record->old_value))
		return -EBADMSG;
	if (saved >= 0) {
		r = path_format(job->saved[saved], SAVED_MAX, "%s", record->old_value);
		return r < 0 ? -EBADMSG : 0;
	}
	r = copy_name(job->target, record->new_value);
	if (r < 0)
		return -EBADMSG;
	if (strcmp(record->verb, RECORD_DRIVER) == 0)
		r = copy_name(job->old_driver, record->old_value);
	else if (strcmp(record->verb, RECORD_OVERRIDE) == 0)
		r = copy_name(job->old_override, record->old_value);
	else
		r = -EBADMSG;
	return r < 0 ? -EBADMSG : 0;
}

static int jobs_take_record(struct vfio_jobs *jobs, const struct journal_record *record)
{
	struct vfio_job *job = jobs_find(jobs, record->object);
	struct pciaddr addr;

	if (job)
		return job_take_record(job, record);
	if (pciaddr_parse(record->object, &addr) < 0)
		return -EBADMSG;
	job = jobs_add(jobs, &addr);
	if (!job)
		return -ENOMEM;
	/* One form of an address only, or what is undone would not be found again */
	if (strcmp(job->name, record->object) != 0)
		return -EBADMSG;
	return job_take_record(job, record);
}

int jobs_from_journal(const struct journal *journal, struct vfio_jobs *ret)
{
	_cleanup_vfio_jobs_ struct vfio_jobs jobs = { 0 };

	for (size_t i = journal->nr; i > 0; i--) {
		const struct journal_record *record = &journal->records[i - 1];
		int r;

		if (record->undone)
			continue;
		r = jobs_take_record(&jobs, record);
		if (r < 0)
			return r;
	}
	*ret = jobs;
	jobs = (struct vfio_jobs){ 0 };
	return 0;
}

int job_announce(struct journal *journal, const struct vfio_job *job)
{
	int r = 0;

	for (enum saved saved = 0; r >= 0 && saved < NR_SAVED; saved++)
		if (*job->saved[saved])
			r = journal_add(journal, saved_verb(saved), job->name, job->saved[saved],
					"");
	if (r >= 0)
		r = journal_add(journal, RECORD_OVERRIDE, job->name, job->old_override,
				job->target);
	if (r >= 0)
		r = journal_add(journal, RECORD_DRIVER, job->name, job->old_driver, job->target);
	return r < 0 ? r : 0;
}

int job_handed(struct journal *journal, const struct vfio_job *job)
{
	int r = 0;

	for (enum saved saved = HANDED_RESET; r >= 0 && saved <= HANDED_POWER; saved++)
		if (*job->saved[saved])
			r = journal_add(journal, saved_verb(saved), job->name, job->saved[saved],
					"");
	return r < 0 ? r : 0;
}

int job_undone(struct journal *journal, const struct vfio_job *job)
{
	int r = 0;

	for (size_t i = journal->nr; r == 0 && i > 0; i--) {
		const struct journal_record *record = &journal->records[i - 1];

		if (!record->undone && strcmp(record->object, job->name) == 0)
			r = journal_undone(journal, i - 1);
	}
	return r;
}
