/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/noise.c - usher noise: what disturbs a guest on this host, and what takes it away */
#include "noise.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "../../lib/attr.h"
#include "../../lib/deadline.h"
#include "../../lib/sched.h"
#include "../../lib/units.h"
#include "host.h"
#include "json.h"
#include "paint.h"

#define SECONDS_DEFAULT 10
#define SECONDS_MAX	3600
#define INTERVAL_MS	100
#define CGROUPS		"sys/fs/cgroup"

/* One look at one guest */
struct look {
	const struct request *request;
	int rootfd;
	struct claims claims;
	const struct claim *claim;
	struct cpulist cpus, others;
	enum noise_apart apart;
	unsigned int seconds;
	int elapsed_ms;
	struct noise noise;
	struct missing missing;
};

static void look_free(struct look *look)
{
	claims_free(&look->claims);
	noise_free(&look->noise);
	cleanup_close(&look->rootfd);
}

/* --- The guest -------------------------------------------------------------------------------- */

static int find_claim(struct look *look)
{
	const char *guest = look->request->guest;
	int r = host_claims(look->rootfd, &look->claims);

	if (r < 0) {
		usher_say("cannot read /run/usher: %s: it is root's to read", strerror(-r));
		return r;
	}
	host_claims_missing(&look->claims, &look->missing);
	for (size_t i = 0; !look->claim && i < look->claims.nr; i++)
		if (strcmp(look->claims.claims[i].guest, guest) == 0)
			look->claim = &look->claims.claims[i];
	if (!look->claim && missing_say(&look->missing))
		return -EBADMSG;
	if (!look->claim || look->claim->state != CLAIM_RUNNING) {
		usher_say("%s does not run, or has no policy: start it first (usher check %s)",
			  guest, quoted(guest));
		return -ESRCH;
	}
	claim_cpus(look->claim, &look->cpus);
	if (!cpulist_empty(&look->cpus))
		return 0;
	usher_say("%s has no CPUs of its own: pin its vCPUs, or set [cpuset] pin = auto", guest);
	return -ESRCH;
}

static bool is_isolated(struct look *look)
{
	struct cpulist isolated;
	char text[ATTR_MAX];
	int r = attr_read(look->rootfd, CGROUPS "/cpuset.cpus.isolated", text, sizeof(text));

	(void)missing_add(&look->missing, r, "/" CGROUPS "/cpuset.cpus.isolated");
	return r >= 0 && cpulist_parse(text, &isolated) == 0 &&
	       cpulist_contains(&isolated, &look->cpus);
}

/* Is a group that QEMU is in, or one above it, a balanced partition */
static bool is_whole(struct look *look)
{
	char text[ATTR_MAX] = "", path[PATH_MAX], *group, *slash;
	int r = path_format(path, sizeof(path), "proc/%d/cgroup", (int)look->claim->owner.pid);

	if (r == 0)
		r = attr_read(look->rootfd, path, text, sizeof(text));
	(void)missing_add(&look->missing, r, "/%s", path);
	group = r < 0 ? NULL : strstr(text, "0::/");
	if (!group)
		return false;
	group += strlen("0::/");
	group[strcspn(group, "\n")] = '\0';
	while (*group) {
		char state[ATTR_MAX];

		r = path_format(path, sizeof(path), CGROUPS "/%s/cpuset.cpus.partition", group);
		if (r == 0)
			r = attr_read(look->rootfd, path, state, sizeof(state));
		if (missing_add(&look->missing, r, "/%s", path))
			return false;
		if (r >= 0 && strcmp(state, "root") == 0)
			return true;
		slash = strrchr(group, '/');
		*(slash ?: group) = '\0';
	}
	return false;
}

/* What is the host's, and how the kernel keeps the guest's CPUs apart */
static void find_others(struct look *look)
{
	int r = host_cpus(look->rootfd, &look->others);

	(void)missing_add(&look->missing, r, "which CPUs are online");
	if (r < 0)
		look->others = (struct cpulist){ 0 };
	for (size_t i = 0; i < look->claims.nr; i++) {
		struct cpulist cpus;

		claim_cpus(&look->claims.claims[i], &cpus);
		cpulist_subtract(&look->others, &cpus);
	}
	if (is_isolated(look))
		look->apart = APART_ISOLATED;
	else if (is_whole(look))
		look->apart = APART_WHOLE;
}

/* QEMU names them "CPU 0/KVM" and "CPU 0/TCG" */
static bool is_vcpu(const char *comm)
{
	return strncmp(comm, "CPU ", 4) == 0 && strchr(comm, '/');
}

/* May it run on the guest's own CPUs alone */
static bool stays(struct look *look, const char *tid)
{
	struct cpulist cpus;
	char dir[PATH_MAX];
	int r = path_format(dir, sizeof(dir), "proc/%d/task/%s", (int)look->claim->owner.pid, tid);

	if (r == 0)
		r = sched_cpus(look->rootfd, dir, &cpus);
	(void)missing_add(&look->missing, r == -ESRCH ? 0 : r, "the CPUs of QEMU's thread %s", tid);
	return r == 0 && cpulist_contains(&look->cpus, &cpus);
}

static enum noise_role role_of(struct look *look, const char *tid, const char *comm)
{
	if (!is_vcpu(comm))
		return ROLE_OTHER;
	return stays(look, tid) ? ROLE_VCPU : ROLE_FLOATING;
}

static int find_threads(struct look *look)
{
	_cleanup_strlist_ struct strlist tids = { 0 };
	int pid = (int)look->claim->owner.pid;
	char path[PATH_MAX], comm[64];
	int r = path_format(path, sizeof(path), "proc/%d/task", pid);

	if (r == 0)
		r = attr_list(look->rootfd, path, &tids);
	for (size_t i = 0; r == 0 && i < tids.nr; i++) {
		unsigned int tid;

		if (parse_uint(tids.names[i], 10, INT_MAX, &tid) < 0 ||
		    path_format(path, sizeof(path), "proc/%d/task/%u/comm", pid, tid) < 0)
			continue;
		r = attr_read(look->rootfd, path, comm, sizeof(comm));
		if (r < 0) {
			(void)missing_add(&look->missing, r == -ESRCH ? 0 : r,
					  "what QEMU's thread %u is", tid);
			r = 0;
			continue;
		}
		r = noise_add_thread(&look->noise, tid, role_of(look, tids.names[i], comm));
	}
	if (r < 0)
		usher_say("cannot list the threads of QEMU (pid %d): %s", pid, strerror(-r));
	return r;
}

/* --- Looking ---------------------------------------------------------------------------------- */

/* An end from outside is one as the time's: what was seen is told, and the trace goes */
static int signals_open(void)
{
	sigset_t set;
	int fd;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int watch(struct look *look, struct tracer *tracer, int signals)
{
	struct pollfd stop = { .fd = signals, .events = POLLIN };
	long long begin = now_ms(), deadline = deadline_in((int)look->seconds * 1000);
	int r = 0;

	while (r == 0 && deadline_left(deadline) > 0) {
		int left = deadline_left(deadline);

		if (poll(&stop, 1, left < INTERVAL_MS ? left : INTERVAL_MS) > 0)
			break;
		r = tracer_drain(tracer, &look->noise);
	}
	look->elapsed_ms = (int)(now_ms() - begin);
	if (r == 0)
		r = tracer_stop(tracer);
	if (r == 0)
		r = tracer_drain(tracer, &look->noise);
	return r < 0 ? r : noise_end(&look->noise);
}

/* Whatever happens in between, the instance is taken away again */
static int trace(struct look *look)
{
	struct tracer tracer = TRACER_INIT(look->rootfd);
	_cleanup_close_ int signals = signals_open();
	int r = signals < 0 ? signals : tracer_open(&tracer, &look->cpus), closed;

	if (r == 0)
		r = watch(look, &tracer, signals);
	if (r < 0)
		usher_say("%s", *tracer.why ? tracer.why : strerror(-r));
	closed = tracer_close(&tracer);
	if (closed < 0)
		usher_say("%s", tracer.why);
	return r < 0 ? r : closed;
}

/* --- Telling ---------------------------------------------------------------------------------- */

static const char *list_text(const struct cpulist *cpus, char *buf, size_t size)
{
	return cpulist_format(cpus, buf, size) < 0 || !*buf ? "none" : buf;
}

static void cure_text(const struct look *look, const struct noise_source *source, char *buf,
		      size_t size)
{
	char cpus[256], others[256];

	noise_cure(source, list_text(&look->cpus, cpus, sizeof(cpus)),
		   list_text(&look->others, others, sizeof(others)), look->apart, buf, size);
}

static void print_source(const struct look *look, const struct noise_source *source)
{
	char cure[768];

	cure_text(look, source, cure, sizeof(cure));
	(void)printf("  %-7s %-32s %9llu %12.3f %10.3f\n          %s%s%s\n",
		     noise_kind_name(source->kind), source->name, source->count,
		     (double)source->total_ns / 1e6, (double)source->worst_ns / 1e6,
		     paint(PAINT_DIM), cure, paint(PAINT_NONE));
}

static unsigned long long switches(const struct noise *noise)
{
	return noise_sum(noise, NOISE_TASK) + noise_sum(noise, NOISE_QEMU) +
	       noise_sum(noise, NOISE_WORK);
}

static void print_text(const struct look *look)
{
	char cpus[256];

	(void)printf("%s, CPUs %s, %.1f s: %llu switches to others, %llu interrupts of devices, "
		     "%llu ticks\n",
		     look->request->guest, list_text(&look->cpus, cpus, sizeof(cpus)),
		     look->elapsed_ms / 1e3, switches(&look->noise),
		     noise_sum(&look->noise, NOISE_IRQ), noise_sum(&look->noise, NOISE_TICK));
	if (look->noise.lost)
		(void)printf("%llu events were lost: there was more than is told here\n",
			     look->noise.lost);
	if (look->noise.longest_ns)
		(void)printf("longest interruption of a vCPU: %.3f ms, %s\n",
			     (double)look->noise.longest_ns / 1e6,
			     *look->noise.longest ? look->noise.longest : "waiting for its CPU");
	if (look->noise.nr_sources == 0)
		return;
	(void)printf("  %-7s %-32s %9s %12s %10s\n", "what", "", "count", "total ms", "longest");
	for (size_t i = 0; i < look->noise.nr_sources; i++)
		print_source(look, &look->noise.sources[i]);
}

static void json_source(struct json *json, const struct look *look,
			const struct noise_source *source)
{
	char cure[768];

	cure_text(look, source, cure, sizeof(cure));
	json_object(json, NULL);
	json_string(json, "kind", noise_kind_name(source->kind));
	json_string(json, "name", source->name);
	json_number(json, "number", source->number);
	json_number(json, "count", (long long)source->count);
	json_number(json, "total_us", (long long)(source->total_ns / 1000));
	json_number(json, "longest_us", (long long)(source->worst_ns / 1000));
	json_string(json, "cure", cure);
	json_close(json, '}');
}

static void print_json(const struct look *look)
{
	struct json json;
	char cpus[256];

	json_begin(&json, stdout, "noise");
	json_string(&json, "guest", look->request->guest);
	json_string(&json, "cpus", list_text(&look->cpus, cpus, sizeof(cpus)));
	json_bool(&json, "isolated", look->apart == APART_ISOLATED);
	json_number(&json, "elapsed_ms", look->elapsed_ms);
	json_number(&json, "switches", (long long)switches(&look->noise));
	json_number(&json, "irqs", (long long)noise_sum(&look->noise, NOISE_IRQ));
	json_number(&json, "ticks", (long long)noise_sum(&look->noise, NOISE_TICK));
	json_number(&json, "longest_us", (long long)(look->noise.longest_ns / 1000));
	json_number(&json, "lost", (long long)look->noise.lost);
	json_list(&json, "sources");
	for (size_t i = 0; i < look->noise.nr_sources; i++)
		json_source(&json, look, &look->noise.sources[i]);
	json_close(&json, ']');
	json_end(&json);
}

static int run(const struct request *request)
{
	_cleanup_(look_free) struct look look = { .request = request,
						  .rootfd = usher_root(request),
						  .seconds = SECONDS_DEFAULT };
	int r;

	if (look.rootfd < 0)
		return 1;
	if (request->phase &&
	    (parse_uint(request->phase, 10, SECONDS_MAX, &look.seconds) < 0 || look.seconds == 0)) {
		usher_say("noise looks for 1 to %d seconds, not '%s'", SECONDS_MAX, request->phase);
		return USHER_USAGE;
	}
	if (find_claim(&look) < 0)
		return 1;
	find_others(&look);
	r = noise_init(&look.noise, &look.cpus);
	if (r < 0)
		usher_say("%s: cannot count what runs on its CPUs: %s: see free -m", request->guest,
			  strerror(-r));
	if (r < 0 || find_threads(&look) < 0 || trace(&look) < 0)
		return 1;
	(request->json ? print_json : print_text)(&look);
	return missing_say(&look.missing);
}

const struct command command_noise = {
	.name = "noise",
	.args = "[--json] GUEST [SECONDS]",
	.help = "what disturbs its vCPUs: tasks, interrupts, ticks, each with its cure",
	.options = OPTION_JSON,
	.min_args = 1,
	.max_args = 2,
	.run = run,
};
