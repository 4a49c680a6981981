/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/automatic.c - pin = auto: the choice in the claim, and in the guest's groups */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/sched.h"
#include "../../lib/state.h"
#include "../../lib/units.h"
#include "choose.h"

/*
 * How it works
 *
 * The hook's claim says what is wanted:
 *
 *	pin = auto
 *	vcpus = 8		how many run at the start
 *	threads = 2		a core has, as the guest sees it
 *	allowed = 2-15		CPUs the XML lets them run on
 *	partition = /machine/gpu	of the XML, for the slices above it
 *	nodes = 0		its memory is bound to
 *	device = 0000:01:00.0	repeated
 *
 * In `prepare`, before the checks, `choose` adds `cpus` and `vcpu` as a plan from pins has them:
 * from then on the guest is one with pins. In `started` they are written into its groups.
 */

#define SECTION	 "cpuset"
#define CPUS	 "cpuset.cpus"
#define LOCK_MS	 5000
#define TRIES	 64
#define READ_MAX 65536

/* --- What is wanted --------------------------------------------------------------------------- */

static int parse_set(struct cpuset_job *job, const char *key, struct cpulist *ret)
{
	const char *value = inidoc_get(&job->ctx->claim.doc, SECTION, key);

	if (value && cpulist_parse(value, ret) < 0)
		return job_why(job, -EBADMSG, "[cpuset] %s = %s", key, value);
	return 0;
}

/* A device that is not there, or a host with one node: it does not matter where */
static void add_device_node(struct cpuset_job *job, const char *device, struct cpulist *nodes)
{
	unsigned long long node;
	char path[PATH_MAX];
	struct pciaddr addr;

	if (pciaddr_parse(device, &addr) == 0 &&
	    path_format(path, sizeof(path), "sys/bus/pci/devices/%s/numa_node", device) == 0 &&
	    attr_read_ull(job->ctx->rootfd, path, &node) == 0 && node < CPULIST_MAX)
		cpulist_add(nodes, (unsigned int)node);
}

/* What other guests hold, also those that are dead and not given back */
static int add_taken(struct cpuset_job *job, struct cpulist *taken)
{
	for (size_t i = 0; i < job->claims.nr; i++) {
		const struct claim *claim = &job->claims.claims[i];
		const char *value = inidoc_get(&claim->doc, SECTION, "cpus");
		struct cpulist cpus;

		if (value && strcmp(claim->uuid, job->ctx->claim.uuid) != 0 &&
		    cpulist_parse(value, &cpus) == 0)
			cpulist_union(taken, &cpus);
	}
	if (job->claims.unreadable.nr == 0)
		return 0;
	return job_why(job, -EBADMSG,
		       "the claim /run/usher/%s/claim.ini cannot be read (%s), so which CPUs that "
		       "guest holds is not known",
		       job->claims.unreadable.names[0], job->claims.why);
}

/* No thread can be bound to a CPU that a slice above it does not have */
static int add_bounds(struct cpuset_job *job, struct cores_wanted *wanted)
{
	struct cpulist bounds;
	char list[256], text[256];

	if (groups_read_bounds(job, &bounds) < 0)
		return 0;
	if (cpulist_empty(&wanted->allowed)) {
		wanted->allowed = bounds;
		return 0;
	}
	(void)job_cpus_text(&wanted->allowed, list, sizeof(list));
	cpulist_intersect(&wanted->allowed, &bounds);
	if (!cpulist_empty(&wanted->allowed))
		return 0;
	return job_why(job, -ENOSPC,
		       "its XML allows CPUs %s, and the slices above it have %s: change one of the "
		       "two",
		       list, job_cpus_text(&bounds, text, sizeof(text)));
}

static int wanted_read(struct cpuset_job *job, struct cores_wanted *ret)
{
	const struct claim *claim = &job->ctx->claim;
	int vcpus = claim_int(claim, SECTION, "vcpus", 0);
	int threads = claim_int(claim, SECTION, "threads", 1);
	const struct inidoc_entry *entry = NULL;
	int r;

	if (vcpus < 1 || threads < 1)
		return job_why(job, -EBADMSG, "[cpuset] pin = auto needs vcpus and threads");
	ret->vcpus = (unsigned int)vcpus;
	ret->threads = (unsigned int)threads;
	r = parse_set(job, "online", &ret->online);
	if (r == 0)
		r = parse_set(job, "allowed", &ret->allowed);
	if (r == 0)
		r = add_bounds(job, ret);
	if (r == 0)
		r = parse_set(job, "nodes", &ret->memory_nodes);
	if (r == 0)
		r = add_taken(job, &ret->taken);
	while ((entry = inidoc_next(&claim->doc, entry, SECTION, "device")))
		add_device_node(job, entry->value, &ret->device_nodes);
	if (job_host_cpus(job, "isolated", &ret->boot_isolated) < 0)
		ret->boot_isolated = (struct cpulist){ 0 };
	return r;
}

/* --- The choice ------------------------------------------------------------------------------- */

/* Is somebody pinned there who would lose by it. Return: 1 with its CPUs avoided, 0 */
static int meets_others(struct cpuset_job *job, enum conflict_kind least,
			struct cores_wanted *wanted)
{
	struct conflict conflict = { .kind = CONFLICT_NONE };

	/* A host without cgroup v2 has nobody to meet, and the check says so */
	if (conflict_find(job, &conflict) < 0 || conflict.kind < least)
		return 0;
	cpulist_union(&wanted->avoid, &conflict.cpus);
	return 1;
}

/* The other groups of the guest stay as the claim has them */
static void replace_vcpus(struct cpuset_job *job, const struct pins *chosen)
{
	free(job->pins.vcpus);
	job->pins.vcpus = chosen->vcpus;
	job->pins.nr_vcpus = chosen->nr_vcpus;
	job->pins.cpus = chosen->cpus;
}

static int choose_around(struct cpuset_job *job, const struct topology *topology,
			 enum conflict_kind least, struct cores_wanted *wanted)
{
	int r = -ENOSPC;

	for (int tries = 0; tries < TRIES; tries++) {
		struct pins pins;

		r = cores_choose(topology, wanted, &pins, job->why);
		if (r < 0)
			return r;
		replace_vcpus(job, &pins);
		if (!meets_others(job, least, wanted))
			return r;
	}
	replace_vcpus(job, &(struct pins){ 0 });
	return job_why(job, -EBUSY, "too many other groups are pinned to CPUs of this host");
}

static void avoid_sides(const struct cpuset_job *job, struct cores_wanted *wanted)
{
	for (size_t i = 0; i < job->pins.nr_sides; i++)
		cpulist_union(&wanted->avoid, &job->pins.sides[i].cpus);
}

/*
 * What is kept clear of, less and less. The guest's own emulator or I/O thread on a vCPU's CPU
 * costs it the isolated partitions, so others that can give way do before
 */
static const struct {
	bool sides;
	enum conflict_kind least;
} attempts[] = {
	{ true, CONFLICT_MOVED },
	{ true, CONFLICT_REFUSED },
	{ false, CONFLICT_MOVED },
	{ false, CONFLICT_REFUSED },
};

static int choose_clear(struct cpuset_job *job, const struct topology *topology,
			struct cores_wanted *wanted)
{
	int r = -ENOSPC;

	for (size_t i = 0; i < ARRAY_SIZE(attempts) && (r == -ENOSPC || r == -EBUSY); i++) {
		wanted->avoid = (struct cpulist){ 0 };
		if (attempts[i].sides)
			avoid_sides(job, wanted);
		r = choose_around(job, topology, attempts[i].least, wanted);
	}
	return r;
}

/* They are where the pins will be written: without them nobody else must lose the CPUs */
static int check_groups(struct cpuset_job *job)
{
	char why[WHY_MAX];
	int r = groups_mount(job);

	if (r != -EOPNOTSUPP)
		return r;
	memcpy(why, job->why, sizeof(why));
	return job_why(job, r, "%s, or pin its vCPUs in its XML (<vcpupin>)", why);
}

int automatic_choose(struct cpuset_job *job)
{
	_cleanup_topology_ struct topology topology = { 0 };
	_cleanup_free_ struct cores_wanted *wanted = calloc(1, sizeof(*wanted));
	int r;

	if (!wanted)
		return job_why(job, -ENOMEM, "%s", strerror(ENOMEM));
	r = check_groups(job);
	if (r < 0)
		return r;
	r = wanted_read(job, wanted);
	if (r < 0)
		return r;
	r = topology_read(job->ctx->root, &topology);
	if (r == -EOPNOTSUPP)
		return job_why(job, r, "cores are chosen by hwloc, which is not installed");
	if (r < 0)
		return job_why(job, r, "hwloc cannot tell the CPUs of this host: see lstopo");
	r = choose_clear(job, &topology, wanted);
	return r == -ENOMEM ? job_why(job, r, "%s", strerror(ENOMEM)) : r;
}

/* --- The picture ------------------------------------------------------------------------------ */

static const char *holder_of(const void *data, unsigned int cpu)
{
	const struct cpuset_job *job = data;
	static char text[2][32];
	static unsigned int at;

	for (size_t i = 0; i < job->pins.nr_vcpus; i++) {
		if (!cpulist_has(&job->pins.vcpus[i].cpus, cpu))
			continue;
		/* The one before is still looked at */
		at = !at;
		(void)snprintf(text[at], sizeof(text[at]), "vCPU %u", job->pins.vcpus[i].vcpu);
		return text[at];
	}
	for (size_t i = 0; i < job->claims.nr; i++) {
		const struct claim *claim = &job->claims.claims[i];
		const char *value = inidoc_get(&claim->doc, SECTION, "cpus");
		struct cpulist cpus;

		if (value && cpulist_parse(value, &cpus) == 0 && cpulist_has(&cpus, cpu) &&
		    strcmp(claim->uuid, job->ctx->claim.uuid) != 0)
			return claim->guest;
	}
	return "host";
}

void automatic_show(const struct cpuset_job *job)
{
	_cleanup_topology_ struct topology topology = { 0 };
	char list[256];

	if (topology_read(job->ctx->root, &topology) < 0)
		return;
	(void)printf("%zu vCPUs on CPUs %s\n", job->pins.nr_vcpus,
		     job_cpus_text(&job->pins.cpus, list, sizeof(list)));
	topology_draw(&topology, stdout, holder_of, job);
}

/* --- Into the claim --------------------------------------------------------------------------- */

static int claim_add(struct claim *claim, const struct pins *pins)
{
	_cleanup_free_ char *list = malloc(INI_LINE_MAX);
	int r = list ? cpulist_format(&pins->cpus, list, INI_LINE_MAX) : -ENOMEM;

	if (r == 0)
		r = inidoc_add(&claim->doc, SECTION, "cpus", list);
	for (size_t i = 0; r == 0 && i < pins->nr_vcpus; i++) {
		r = cpulist_format(&pins->vcpus[i].cpus, list, INI_LINE_MAX);
		if (r == 0)
			r = inidoc_addf(&claim->doc, SECTION, "vcpu", "%u %s", pins->vcpus[i].vcpu,
					list);
	}
	return r;
}

/* The caller holds the registry's lock. Return: 0, 1 as cores_choose(), else -errno with why */
static int choose_and_store(struct cpuset_job *job)
{
	struct helper_ctx *ctx = job->ctx;
	char list[256];
	int noted, r = job_load_claims(job);

	if (r == 0)
		r = automatic_choose(job);
	if (r < 0)
		return r;
	noted = r;
	if (helper_would(ctx, "choose CPUs %s", job_cpus_text(&job->pins.cpus, list, sizeof(list))))
		return noted;
	r = claim_add(&ctx->claim, &job->pins);
	if (r == 0)
		r = claim_store(ctx->statefd, &ctx->claim);
	return r < 0 ? job_why(job, r, "cannot write the claim: %s", strerror(-r)) : noted;
}

/* Nothing else has fitted */
static void say_sides(struct cpuset_job *job)
{
	char pinned[256], list[256];

	for (size_t i = 0; i < job->pins.nr_sides; i++) {
		const struct side_pin *side = &job->pins.sides[i];
		struct cpulist shared = side->cpus;

		cpulist_intersect(&shared, &job->pins.cpus);
		if (cpulist_empty(&shared))
			continue;
		helper_say(job->ctx,
			   "no whole cores are free for its vCPUs but those that its own %s is "
			   "pinned to (%s), so CPUs %s are not for its vCPUs alone: pin it to "
			   "other CPUs (<%.*spin>)",
			   side->group, job_cpus_text(&side->cpus, pinned, sizeof(pinned)),
			   job_cpus_text(&shared, list, sizeof(list)),
			   (int)strcspn(side->group, "0123456789"), side->group);
		return;
	}
}

static enum helper_exit say_chosen(struct cpuset_job *job, int r)
{
	if (r < 0) {
		helper_say(job->ctx, "no cores can be chosen for it: %s", job->why);
		return HELPER_FAILED;
	}
	if (r > 0)
		helper_say(job->ctx,
			   "its vCPUs share cores that it takes for whole ones: say "
			   "<topology ... threads='N'/> in <cpu> of its XML, N as this host's "
			   "cores have");
	say_sides(job);
	return HELPER_DONE;
}

/* Only in a start: a guest that runs keeps the cores it has */
static bool may_choose(const struct helper_ctx *ctx)
{
	return ctx->dry_run || (ctx->statefd >= 0 && ctx->claim.state == CLAIM_PREPARING);
}

int cpuset_choose(struct helper_ctx *ctx, int argc, char **argv)
{
	_cleanup_job_ struct cpuset_job job = JOB_INIT(ctx);
	_cleanup_close_ int lock = -1;
	const char *method;
	int r = job_parse(&job, &method);

	(void)argc, (void)argv;
	if (!inidoc_get(&ctx->claim.doc, SECTION, "pin"))
		return HELPER_DONE;
	if (r < 0)
		return r == -EBADMSG ? HELPER_USAGE : HELPER_FAILED;
	if (job.pins.nr_vcpus > 0)
		return HELPER_DONE;
	if (!may_choose(ctx)) {
		helper_say(ctx, "cores are chosen when it starts: its claim is in state %s",
			   claim_state_name(ctx->claim.state));
		return HELPER_USAGE;
	}
	lock = ctx->dry_run ? -1 : registry_lock(ctx->statefd, LOCK_MS);
	if (lock < 0 && !ctx->dry_run)
		r = job_why(&job, lock, "cannot lock /run/usher: %s", strerror(-lock));
	else
		r = choose_and_store(&job);
	return say_chosen(&job, r);
}

/* --- Into the guest's groups ------------------------------------------------------------------ */

/* Threads may come and go meanwhile. Below another root the numbers are not of our processes */
static int bind_threads(struct cpuset_job *job, const char *group, const struct cpulist *cpus)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX], list[ATTR_MAX];
	size_t len;
	int r = path_format(path, sizeof(path), "%s/%s/cgroup.threads", job->mount, group);

	if (r < 0 ||
	    helper_would(job->ctx, "bind the threads of /%s/%s to CPUs %s", job->mount, group,
			 job_cpus_text(cpus, list, sizeof(list))) ||
	    !hierarchy_is_ours(job->ctx))
		return r;
	if (attr_read_all(job->ctx->rootfd, path, READ_MAX, &text, &len) < 0)
		return 0;
	r = text_split(text, "\n", &words);
	for (size_t i = 0; r == 0 && i < words.nr; i++) {
		unsigned int tid;

		if (parse_uint(words.names[i], 10, INT_MAX, &tid) == 0)
			r = sched_bind((pid_t)tid, cpus);
		if (r < 0)
			r = r == -ESRCH ? 0
					: job_why(job, r, "cannot bind thread %u: %s", tid,
						  strerror(-r));
	}
	return r;
}

/* Return: 0, also for a vCPU that is not plugged in, else -errno with why */
static int place_vcpu(struct cpuset_job *job, const char *group, const struct cpulist *cpus)
{
	char old[ATTR_MAX] = "", list[ATTR_MAX];
	/* Where libvirt lets it run by itself is not known before */
	int r = job->ahead ? 0 : groups_read(job, group, CPUS, old, sizeof(old));

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return job_why(job, r, "cannot read " CPUS " of %s: %s", group, strerror(-r));
	r = cpulist_format(cpus, list, sizeof(list));
	if (r < 0)
		return job_why(job, r, "too many CPUs for one write to %s", group);
	if (strcmp(old, list) == 0)
		return 0;
	r = job_announce_old(job, "pin", group, old, list);
	if (r >= 0)
		r = groups_write(job, group, CPUS, list);
	return r < 0 ? r : bind_threads(job, group, cpus);
}

int automatic_place(struct cpuset_job *job)
{
	struct guest_groups groups;
	char group[PATH_MAX];
	int r;

	if (!job->pins.automatic)
		return 0;
	r = groups_mount(job);
	if (r == 0)
		r = groups_of_claim(job, &job->ctx->claim, &groups);
	for (size_t i = 0; r == 0 && i < job->pins.nr_vcpus; i++) {
		const struct vcpu_pin *pin = &job->pins.vcpus[i];

		r = path_format(group, sizeof(group), "%s/vcpu%u", groups.base, pin->vcpu);
		if (r == 0)
			r = place_vcpu(job, group, &pin->cpus);
	}
	return r;
}

/* An empty list is all CPUs, and these stand there where the kernel does not take it back */
static int old_cpus(const struct cpuset_job *job, const char *old, struct cpulist *ret)
{
	return *old ? cpulist_parse(old, ret) : job_host_cpus(job, "possible", ret);
}

/* By an undo that was killed behind it, perhaps before it has bound the threads */
static bool is_restored(const struct cpuset_job *job, const char *old, const char *now)
{
	struct cpulist before, after;

	return strcmp(now, old) == 0 ||
	       (old_cpus(job, old, &before) == 0 && cpulist_parse(now, &after) == 0 &&
		cpulist_equal(&before, &after));
}

static int restore_cpus(struct cpuset_job *job, const char *group, const char *old)
{
	struct cpulist cpus;
	int r = groups_write(job, group, CPUS, old);

	if (r == -ENOSPC && job_host_cpus(job, "possible", &cpus) == 0)
		r = groups_write_cpus(job, group, CPUS, &cpus);
	if (r < 0)
		return r;
	r = old_cpus(job, old, &cpus);
	if (r < 0)
		return job_why(job, r, "cannot tell the CPUs that the threads of %s had: %s", group,
			       strerror(-r));
	return bind_threads(job, group, &cpus);
}

int automatic_undo(struct cpuset_job *job, const char *object)
{
	const struct journal_record *record = journal_find(&job->journal, "pin", object);
	struct guest_groups groups;
	char now[ATTR_MAX];
	int r = groups_mount(job);

	if (r < 0)
		return r;
	if (!record || groups_of_base(object, &groups) < 0)
		return job_why(job, -EBADMSG, "the journal's group '%s' is none", object);
	r = groups_read(job, object, CPUS, now, sizeof(now));
	if (r == -ENOENT || r == -ENODEV)
		return 0;
	if (r < 0)
		return job_why(job, r, "cannot read " CPUS " of %s: %s", object, strerror(-r));
	if (strcmp(now, record->new_value) != 0 && !is_restored(job, record->old_value, now)) {
		helper_say(job->ctx, "somebody else has pinned %s to %s: left so", object, now);
		return 0;
	}
	r = restore_cpus(job, object, record->old_value);
	return r == -ENOENT || r == -ENODEV ? 0 : r;
}
