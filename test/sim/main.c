/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/sim/main.c - simulator: cases in parallel, each on its own copy of the sample host */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <search.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/cleanup.h"
#include "../../lib/deadline.h"
#include "../../lib/units.h"
#include "../fake/fake.h"
#include "sim.h"

/*
 * How it works
 *
 * Cases are collected first. Where a fault is to strike at every side effect, a sequence is played
 * once without: the fake kernel's trace has each effect with the program that made it, so "the
 * third of usher-vfio" is the same one in every run, however helpers that run side by side mix; and
 * it has the words of the sequence, each with a number for the state of host, claims and libvirt
 * before it: an effect of a word in a state that was seen already has no second run.
 *
 * --list prints the cases that would be played. --every N takes each N-th case, from --seed on,
 * --only PROGRAM the points of that one alone. A case that fails is printed as a line that
 * `simulator case` takes, shrunk to the shortest sequence that still fails.
 */

#define JOBS_MAX 64

struct options {
	const char *fake, *trees, *only;
	unsigned int jobs, every, seed, depth;
	bool keep, list;
};

struct list {
	struct sim_case *cases;
	size_t nr;
};

static struct {
	char dir[PATH_MAX], base[PATH_MAX];
	struct verdict
		*verdicts; /* shared with those who play, one a job, the last for shrinking */
} work;

/* --- Sequences and faults ------------------------------------------------------------------------ */

/* One for each row of the scenarios table in libvirt's contract */
static const char *const lives[] = {
	"P:a S:a E:a D:a W Q:a X:a R:a:shutdown",
	"P:a S:a E:a D:a W K U C:a Q:a X:a R:a:destroyed",
	"P:a S:a E:a D:a Q:a X:a K U X:a R:a:crashed",
	"P:a S:a E:a D:a Q:a X:a L:a K U",
	"P:a S:a E:a D:a K Q:a U X:a R:a:crashed",
	"P:a K U",
	"P:a S:a K U P:a S:a E:a D:a Q:a X:a R:a:shutdown",
	"P:a S:a X:a R:a:failed",
	"P:a S:a E:a Q:a X:a R:a:failed",
	"P:a S:a E:a K U C:a Q:a X:a R:a:failed",
	"P:a S:a E:a D:a W T:a Q:a X:a R:a:saved T:a P:a S:a E:a D:a W Q:a X:a R:a:shutdown",
	"P:a S:a E:a D:a W Q:a X:a R:a:from P:a S:a E:a D:a W Q:a X:a R:a:from",
	"M:a P:a S:a E:a D:a Q:a X:a R:a:migrated",
	"P:a S:a E:a D:a P:b S:b E:b D:b Q:a X:a R:a:shutdown Q:b X:b R:b:shutdown",
	"P:a+P:b S:a+S:b E:a E:b D:a+D:b Q:a Q:b X:a+X:b R:a+R:b",
	"P:a+P:b+P:c S:a+S:b+S:c E:a E:b E:c D:a+D:b+D:c K U C:a+C:b+C:c Q:b X:b R:b Q:a Q:c "
	"X:a+X:c R:a+R:c",
};

/* What goes wrong with an effect of that kind; NULL ends */
static const struct {
	const char *verbs;
	const char *faults[9];
} failures[] = {
	{ "write",
	  { "fail EBUSY", "fail EIO", "fail ENOSPC", "fail EPERM", "fail ENODEV", "short", "lie",
	    "hang" } },
	{ "module", { "fail EIO", "fail ENOENT", "lie", "hang" } },
	{ "bus", { "fail EIO", "fail EPERM", "fail ETIMEDOUT", "hang" } },
	{ "i2c", { "fail EBUSY", "fail EIO", "fail ENODEV", "hang" } },
	{ "rename unlink mkdir create", { "fail EIO", "fail ENOSPC", "fail EPERM", "fail EROFS" } },
	{ "append", { "fail EIO", "fail ENOSPC", "fail EROFS", "short" } },
	{ "truncate", { "fail EIO", "fail EROFS", "lie" } },
	{ "signal", { "fail EPERM", "lie" } },
	{ "spawn fork", { "fail EAGAIN", "fail ENOMEM" } },
};

/*
 * What nobody can tell from the kernel's own ways: memory that a GPU's driver has taken since, and a
 * uevent, of which nothing can be read back
 */
static const struct {
	const char *path, *fault;
} lawful[] = {
	{ "sys/bus/platform/drivers/efi-framebuffer/bind", "fail EBUSY" },
	{ "sys/class/drm/card1/uevent", "lie" },
	{ "sys/class/sound/card1/uevent", "lie" },
};

/* The whole world is like that, from the beginning */
static const char *const worlds[] = {
	"*:append:run/* fail ENOSPC;*:create:run/* fail ENOSPC;*:mkdir:run/* fail ENOSPC",
	"*:append:run/* fail EROFS;*:create:run/* fail EROFS;*:mkdir:run/* fail EROFS;"
	"*:rename:run/* fail EROFS;*:unlink:run/* fail EROFS",
	"*:bus:* fail ECONNREFUSED;*:read:run/dbus/system_bus_socket fail ENOENT",
	"*:bus:login1* fail ENOENT;*:read:run/systemd/inhibit fail ENOENT",
	"*:bus:* fail ETIMEDOUT",
	/* systemd is not PID 1, and there is no bus either */
	"*:read:run/systemd/system fail ENOENT",
	"*:read:run/systemd/system fail ENOENT;*:bus:* fail ECONNREFUSED;"
	"*:read:run/dbus/system_bus_socket fail ENOENT",
	"*:write:* hang",
	"*:fork:* fail EAGAIN",
	"*:spawn:* fail EAGAIN",
	"*:module:* fail ENOENT",
	"*:i2c:* fail EIO",
	"*:write:sys/fs/cgroup/* fail EBUSY",
	"*:write:proc/irq/* fail EIO",
};

/* The host's desktop is on their card: what usher-seat does there is played beside the rest */
static const char *const seats[] = {
	"P:d S:d E:d D:d Q:d X:d R:d:shutdown",
	"P:e S:e E:e D:e Q:e X:e R:e:shutdown",
};

/* The other way of isolating CPUs; and beside a claim that lives, whose shared settings stay */
static const char *const shared[] = {
	"P:b S:b E:b D:b Q:b X:b R:b:shutdown",
	"P:c S:c E:c D:c P:b S:b E:b D:b Q:c X:c R:c:shutdown Q:b X:b R:b:shutdown",
	"P:c S:c E:c D:c P:b S:b E:b D:b Q:b X:b R:b:shutdown Q:c X:c R:c:shutdown",
};

static const char *const seat_worlds[] = {
	"*:bus:* fail ECONNREFUSED;*:read:run/dbus/system_bus_socket fail ENOENT",
	"*:bus:login1* fail ENOENT;*:read:run/systemd/sessions* fail ENOENT",
	"*:bus:* fail ETIMEDOUT",
	"*:read:run/systemd/system fail ENOENT;*:bus:systemd1* fail EHOSTUNREACH",
	"usher-seat:fork:* fail EAGAIN",
	"usher-seat:append:run/* fail ENOSPC;usher-seat:create:run/* fail ENOSPC",
	"usher-seat:write:* fail EIO",
};

static void add(struct list *list, const char *sequence, const char *fault, enum cure cure)
{
	struct sim_case *grown = reallocarray(list->cases, list->nr + 1, sizeof(*grown));

	if (!grown)
		abort();
	list->cases = grown;
	grown[list->nr] = (struct sim_case){ .cure = cure };
	tree_format(grown[list->nr].sequence, sizeof(grown->sequence), "%s", sequence);
	tree_format(grown[list->nr].fault, sizeof(grown->fault), "%s", fault);
	list->nr++;
}

/* What comes when libvirt does nothing: each in turn */
static enum cure next_cure(size_t nr)
{
	return (enum cure)(CURE_RECOVER + nr % (NR_CURES - CURE_RECOVER));
}

/* --- Playing --------------------------------------------------------------------------------------- */

static pid_t spawn_case(const struct options *o, const struct sim_case *c, unsigned int slot,
			size_t number)
{
	char dir[PATH_MAX], path[PATH_MAX];
	pid_t pid;
	FILE *report;

	tree_path(dir, "%s/%zu", work.dir, number);
	tree_path(path, "%s/report.%u", work.dir, slot);
	work.verdicts[slot] = (struct verdict){ .broken = true };
	pid = fork();
	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	report = fopen(path, "we");
	if (!report)
		_exit(1);
	case_play(c, dir, work.base, o->fake, report, &work.verdicts[slot]);
	(void)fclose(report);
	_exit(0);
}

static void cat(const char *path, const char *indent)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0)
		(void)printf("%s%s", indent, line);
}

static void print_failure(const struct options *o, const struct sim_case *c, unsigned int slot,
			  size_t number)
{
	const struct verdict *v = &work.verdicts[slot];
	static const char *const files[] = { "stderr", "log" };
	char path[PATH_MAX];

	(void)printf("not ok: ");
	case_print(c, stdout);
	(void)printf("  %zu entries not back, %zu after the cure%s%s%s%s%s\n", v->own, v->after,
		     v->late ? ", too late" : "", v->left ? ", a process is left" : "",
		     v->silent ? ", and nobody said so" : "", v->crashed ? ", a crash" : "",
		     v->broken ? ", the play broke" : "");
	tree_path(path, "%s/report.%u", work.dir, slot);
	cat(path, "  ");
	for (size_t i = 0; o->keep && i < ARRAY_SIZE(files); i++) {
		tree_path(path, "%s/%zu/%s", work.dir, number, files[i]);
		cat(path, "  > ");
	}
	tree_path(path, "%s/%zu/host/.fake/trace", work.dir, number);
	if (o->keep)
		cat(path, "  . ");
	(void)fflush(stdout);
}

/* How many of the cases that failed are shrunk, once all have been played */
#define SHRUNK_MAX 5

struct tally {
	size_t passed, failed, struck, by_cure;
	struct sim_case bad[SHRUNK_MAX];
};

static void count(struct tally *tally, const struct sim_case *c, const struct verdict *v)
{
	if (verdict_good(v))
		tally->passed++;
	else if (tally->failed++ < SHRUNK_MAX)
		tally->bad[tally->failed - 1] = *c;
	tally->struck += v->struck;
	tally->by_cure += v->own > 0 && v->after == 0;
}

/* Cases end in any order; who looks at them has them in their own, or no two looks were the same */
struct looks {
	const struct list *list;
	bool *ended;
	size_t next, every;
	void (*look)(const struct sim_case *c, const char *dir, void *arg);
	void *arg;
};

static void look_in_order(struct looks *looks, size_t ended)
{
	char dir[PATH_MAX];

	looks->ended[ended] = true;
	for (; looks->next < looks->list->nr && looks->ended[looks->next];
	     looks->next += looks->every) {
		tree_path(dir, "%s/%zu", work.dir, looks->next);
		if (looks->look)
			looks->look(&looks->list->cases[looks->next], dir, looks->arg);
		host_remove(dir);
	}
}

static void play_all(const struct options *o, const struct list *list, struct tally *tally,
		     void (*look)(const struct sim_case *c, const char *dir, void *arg), void *arg)
{
	size_t next = o->seed % o->every, playing[JOBS_MAX];
	_cleanup_free_ bool *ended = calloc(list->nr + 1, sizeof(*ended));
	struct looks looks = { .list = list,
			       .ended = ended,
			       .next = next,
			       .every = o->every,
			       .look = look,
			       .arg = arg };
	pid_t pids[JOBS_MAX] = { 0 };
	unsigned int busy = 0;

	if (!ended)
		abort();

	for (;;) {
		for (unsigned int i = 0; i < o->jobs && next < list->nr; i++) {
			if (pids[i])
				continue;
			playing[i] = next;
			pids[i] = spawn_case(o, &list->cases[next], i, next);
			if (pids[i] < 0)
				abort();
			busy++;
			next += o->every;
		}
		if (!busy)
			return;
		pid_t pid = waitpid(-1, NULL, 0);

		for (unsigned int i = 0; i < o->jobs; i++) {
			const struct sim_case *c;

			if (!pid || pids[i] != pid)
				continue;
			c = &list->cases[playing[i]];
			count(tally, c, &work.verdicts[i]);
			if (!verdict_good(&work.verdicts[i]))
				print_failure(o, c, i, playing[i]);
			look_in_order(&looks, playing[i]);
			pids[i] = 0;
			busy--;
		}
	}
}

/* --- Points ------------------------------------------------------------------------------------------ */

struct counter {
	char program[64], when[80];
	unsigned int nr, in_word; /* effects of it: so far, since the last word */
};

#define COUNTERS_MAX 16

struct collect {
	struct list *list;
	const char *what; /* "crash", "fault", "nomem" */
	const char *only; /* this program's; NULL: all */
	size_t nr;
	void **seen; /* of tsearch(3): points that need no second run */
	size_t repeated;
	/* Of the sequence that is read just now */
	struct counter counters[COUNTERS_MAX];
	char state[32], word[128];
	bool runs[GUESTS_MAX]; /* QEMU does */
};

static struct counter *count_up(struct collect *collect, const char *program)
{
	struct counter *counter = collect->counters;

	while (counter < collect->counters + COUNTERS_MAX - 1 && counter->nr &&
	       strcmp(counter->program, program) != 0)
		counter++;
	tree_format(counter->program, sizeof(counter->program), "%s", program);
	counter->nr++;
	counter->in_word++;
	tree_format(counter->when, sizeof(counter->when), "%s#%u", program, counter->nr);
	return counter;
}

static bool has_word(const char *list, const char *word)
{
	const char *hit = strstr(list, word);
	size_t len = strlen(word);

	return hit && (hit == list || hit[-1] == ' ') && (hit[len] == ' ' || !hit[len]);
}

static int text_cmp(const void *a, const void *b)
{
	return strcmp(a, b);
}

/*
 * An effect in a state of host, claims and libvirt, and in a word, in which it was seen already, in
 * this sequence or another one, goes on as it did there
 */
static bool is_new(struct collect *collect, const struct counter *counter)
{
	char *text, *const *found;

	if (asprintf(&text, "%s %s %s %u", collect->state, collect->word, counter->program,
		     counter->in_word) < 0)
		abort();
	found = tsearch(text, collect->seen, text_cmp);
	if (!found)
		abort();
	if (*found == text)
		return true;
	free(text);
	collect->repeated++;
	return false;
}

static void add_point(struct collect *collect, const struct sim_case *c, const char *when,
		      const char *action)
{
	char fault[128];

	tree_format(fault, sizeof(fault), "%s %s", when, action);
	add(collect->list, c->sequence, fault, next_cure(collect->nr++));
}

static bool is_lawful(const char *path, const char *fault)
{
	for (size_t i = 0; i < ARRAY_SIZE(lawful); i++)
		if (strcmp(lawful[i].path, path) == 0 && strcmp(lawful[i].fault, fault) == 0)
			return true;
	return false;
}

static void add_failures(struct collect *collect, const struct sim_case *c, const char *when,
			 const char *verb, const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(failures); i++)
		for (size_t j = 0; has_word(failures[i].verbs, verb) && failures[i].faults[j]; j++)
			if (!is_lawful(path, failures[i].faults[j]))
				add_point(collect, c, when, failures[i].faults[j]);
}

/* The program is killed, the daemon above it, and QEMU where there is one */
static void add_deaths(struct collect *collect, const struct sim_case *c, const char *when)
{
	add_point(collect, c, when, "kill");
	add_point(collect, c, when, "end run/libvirtd.pid");
	for (size_t i = 0; i < GUESTS_MAX; i++) {
		char action[64];

		if (!collect->runs[i])
			continue;
		tree_path(action, "end .fake/guests/%c/pid", guests[i].name);
		add_point(collect, c, when, action);
	}
}

/*
 * The words in which the next effects are. "After" is where the program's next effect would be
 * killed "before", but for its last one.
 */
static void next_word(struct collect *collect, const struct sim_case *c, const char *state,
		      const char *word)
{
	for (size_t i = 0; i < COUNTERS_MAX; i++) {
		struct counter *counter = &collect->counters[i];

		if (counter->in_word && *counter->when && strcmp(collect->what, "crash") == 0)
			add_point(collect, c, counter->when, "kill-after");
		counter->in_word = 0;
		*counter->when = '\0';
	}
	tree_path(collect->state, "%s", state);
	tree_path(collect->word, "%s", word);
	for (size_t i = 0; i < GUESTS_MAX; i++)
		if (strchr("EQ", word[0]) && word[1] == ':' && word[2] == guests[i].name)
			collect->runs[i] = word[0] == 'E';
}

static void collect_effect(struct collect *collect, const struct sim_case *c, const char *program,
			   const char *verb, const char *path)
{
	struct counter *counter = count_up(collect, program);

	if ((collect->only && strcmp(program, collect->only) != 0) || !is_new(collect, counter))
		*counter->when = '\0';
	else if (strcmp(collect->what, "fault") == 0)
		add_failures(collect, c, counter->when, verb, path);
	else if (strcmp(collect->what, "crash") == 0)
		add_deaths(collect, c, counter->when);
}

static void collect_effects(const struct sim_case *c, const char *dir, void *arg)
{
	struct collect *collect = arg;
	_cleanup_free_ char *line = NULL;
	_cleanup_fclose_ FILE *f = NULL;
	char path[PATH_MAX], program[64], verb[32], at[300], word[128];
	size_t size = 0;

	memset(collect->counters, 0, sizeof(collect->counters));
	memset(collect->runs, 0, sizeof(collect->runs));
	tree_path(path, "%s/host/.fake/trace", dir);
	f = fopen(path, "re");
	while (f && getline(&line, &size, f) > 0) {
		if (sscanf(line, "%*s %63s %31s %299s %*s %*s %127s", program, verb, at, word) != 4)
			continue;
		if (strcmp(program, program_invocation_short_name) == 0)
			next_word(collect, c, verb, word);
		else
			collect_effect(collect, c, program, verb, at);
	}
	next_word(collect, c, "", "");
}

static bool is_known(const struct list *list, size_t first, const char *fault)
{
	for (size_t i = first; i < list->nr; i++)
		if (strcmp(list->cases[i].fault, fault) == 0)
			return true;
	return false;
}

/* A claim that no hook could read stays the living daemon's, until its guest starts again */
static enum cure read_cure(struct collect *collect, const char *program, const char *file)
{
	enum cure next = next_cure(collect->nr++);

	return strcmp(program, "usher-hook") == 0 && strncmp(file, "run/usher/", 10) == 0
		       ? CURE_SAME
		       : next;
}

/*
 * Each file that a program reads, once: it is missing for that program all the time. One of usher's
 * own that cannot be read is something else than one that is gone, see is_forgotten().
 */
static void collect_reads(const struct sim_case *c, const char *dir, void *arg)
{
	struct collect *collect = arg;
	size_t first = collect->list->nr;
	_cleanup_free_ char *line = NULL;
	_cleanup_fclose_ FILE *f = NULL;
	char path[PATH_MAX], program[64], file[300], fault[sizeof(c->fault)];
	size_t size = 0;

	tree_path(path, "%s/host/.fake/reads", dir);
	f = fopen(path, "re");
	while (f && getline(&line, &size, f) > 0) {
		if (sscanf(line, "%63s %299s", program, file) != 2 || strchr(file, '\\') ||
		    (collect->only && strcmp(program, collect->only) != 0))
			continue;
		tree_path(fault, "%s:read:%s fail ENOENT", program, file);
		if (is_known(collect->list, first, fault))
			continue;
		add(collect->list, c->sequence, fault, read_cure(collect, program, file));
		if (strncmp(file, "run/usher/", 10) != 0)
			continue;
		tree_path(fault, "%s:read:%s fail EIO", program, file);
		add(collect->list, c->sequence, fault, read_cure(collect, program, file));
	}
}

/* Each allocation of each program */
static void collect_allocs(const struct sim_case *c, const char *dir, void *arg)
{
	static const char *const programs[] = { "usher-hook",	"usher-vfio",	 "usher-hugepages",
						"usher-cpuset", "usher-display", "usher-nosleep",
						"usher-seat",	"usher" };
	struct collect *collect = arg;

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		_cleanup_fclose_ FILE *f = NULL;
		unsigned long long nr = 0;
		char path[PATH_MAX], when[80];

		tree_path(path, "%s/host/.fake/allocs/%s", dir, programs[i]);
		f = fopen(path, "re");
		if (!f || fread(&nr, sizeof(nr), 1, f) != 1 ||
		    (collect->only && strcmp(programs[i], collect->only) != 0))
			continue;
		for (unsigned long long n = 1; n <= nr; n++) {
			tree_path(when, "%s@%llu", programs[i], n);
			add_point(collect, c, when, "nomem");
		}
	}
}

static void collect_all(const struct sim_case *c, const char *dir, void *arg)
{
	collect_effects(c, dir, arg);
	collect_reads(c, dir, arg);
	if (c->count_allocs)
		collect_allocs(c, dir, arg);
}

/* Every effect of these sequences, as they are made when nothing goes wrong */
static void points(const struct options *o, const char *what, const char *only,
		   const char *const *sequences, size_t nr, struct list *ret)
{
	struct options all = *o;
	static void *seen;
	struct collect collect = {
		.list = ret, .what = what, .only = only ?: o->only, .seen = &seen
	};
	struct list plain = { 0 };
	struct tally tally = { 0 };

	if (only && o->only && strcmp(only, o->only) != 0)
		return;
	all.every = 1;
	all.seed = 0;
	for (size_t i = 0; i < nr; i++) {
		add(&plain, sequences[i], "-", CURE_RECOVER);
		plain.cases[i].note_words = true;
		plain.cases[i].note_reads = strcmp(what, "fault") == 0;
		plain.cases[i].count_allocs = strcmp(what, "nomem") == 0;
	}
	play_all(&all, &plain, &tally, collect_all, &collect);
	(void)printf("%zu sequences, %zu effects in a state seen before\n", nr, collect.repeated);
	if (tally.failed)
		(void)printf("%zu of %zu sequences fail without any fault\n", tally.failed, nr);
	free(plain.cases);
}

/* --- Shrinking ------------------------------------------------------------------------------------------ */

static bool fails_again(const struct sim_case *c, void *arg)
{
	const struct options *o = arg;
	char dir[PATH_MAX];
	pid_t pid = spawn_case(o, c, JOBS_MAX, (size_t)-1);

	(void)waitpid(pid, NULL, 0);
	tree_path(dir, "%s/%zu", work.dir, (size_t)-1);
	host_remove(dir);
	return !verdict_good(&work.verdicts[JOBS_MAX]);
}

static void print_shrunk(struct options *o, const struct sim_case *c)
{
	struct sim_case shrunk = *c;

	case_shrink(&shrunk, fails_again, o);
	(void)printf("shrunk: ");
	case_print(&shrunk, stdout);
}

/* --- The command ----------------------------------------------------------------------------------------- */

static void add_sequence(const char *sequence, void *arg)
{
	struct list *list = arg;

	add(list, sequence, "-", next_cure(list->nr));
}

static int report(const struct list *list, const struct tally *tally, const struct options *o,
		  long long start)
{
	(void)printf(
		"%zu points%s, %zu played in %lld s: %zu faults struck, %zu hosts were back by "
		"the next recover or start only\n",
		list->nr, o->every > 1 ? " (a part of them is played)" : "",
		tally->passed + tally->failed, (now_ms() - start) / 1000, tally->struck,
		tally->by_cure);
	(void)printf("%zu passed, %zu failed\n", tally->passed, tally->failed);
	return tally->failed > 0 || tally->passed == 0;
}

static int run_list(const struct options *o, const struct list *list)
{
	struct options again = *o;
	struct tally tally = { 0 };
	long long start = now_ms();

	if (o->list) {
		for (size_t i = o->seed % o->every; i < list->nr; i += o->every)
			case_print(&list->cases[i], stdout);
		return 0;
	}
	play_all(o, list, &tally, NULL, NULL);
	for (size_t i = 0; i < tally.failed && i < SHRUNK_MAX; i++)
		print_shrunk(&again, &tally.bad[i]);
	return report(list, &tally, o, start);
}

/* A move more or less is several times as many sequences, as is a guest */
static unsigned int depth_with(const struct options *o, unsigned int nr_guests)
{
	static const unsigned int less[] = { [1] = 0, [2] = 2, [3] = 1 };

	/* So many that all of them can run at once */
	return o->depth > less[nr_guests] + nr_guests ? o->depth - less[nr_guests] : nr_guests;
}

struct sequences {
	const char **list;
	size_t nr;
};

static void keep_sequence(const char *sequence, void *arg)
{
	struct sequences *kept = arg;

	kept->list = reallocarray(kept->list, kept->nr + 1, sizeof(*kept->list));
	if (!kept->list || !(kept->list[kept->nr++] = strdup(sequence)))
		abort();
}

/* Beside one of each kind, what is emitted of one guest, and of two that meet */
static int run_crash(const struct options *o, int nr, char **args)
{
	struct sequences emitted = { 0 };
	struct list list = { 0 };

	(void)nr, (void)args;
	for (unsigned int n = 1; n <= 2; n++) {
		struct emitted counted;

		(void)emit_all(n, depth_with(o, n), keep_sequence, &emitted, &counted);
	}
	points(o, "crash", NULL, lives, ARRAY_SIZE(lives), &list);
	points(o, "crash", NULL, emitted.list, emitted.nr, &list);
	points(o, "crash", "usher-seat", seats, ARRAY_SIZE(seats), &list);
	return run_list(o, &list);
}

static int run_fault(const struct options *o, int nr, char **args)
{
	struct list list = { 0 };

	(void)nr, (void)args;
	for (size_t i = 0; !o->only && i < ARRAY_SIZE(worlds); i++) {
		add(&list, lives[0], worlds[i], CURE_RECOVER);
		for (size_t j = 0; j < ARRAY_SIZE(shared) - 1; j++)
			add(&list, shared[j], worlds[i], CURE_RECOVER);
	}
	for (size_t i = 0; i < ARRAY_SIZE(seat_worlds); i++)
		for (size_t j = 0; j < ARRAY_SIZE(seats); j++)
			add(&list, seats[j], seat_worlds[i], CURE_RECOVER);
	points(o, "fault", NULL, lives, 1, &list);
	points(o, "fault", NULL, shared, ARRAY_SIZE(shared), &list);
	points(o, "fault", "usher-seat", seats, ARRAY_SIZE(seats), &list);
	return run_list(o, &list);
}

static int run_nomem(const struct options *o, int nr, char **args)
{
	struct list list = { 0 };

	(void)nr, (void)args;
	points(o, "nomem", NULL, lives, 1, &list);
	points(o, "nomem", "usher-cpuset", shared, ARRAY_SIZE(shared) - 1, &list);
	points(o, "nomem", "usher-seat", seats, ARRAY_SIZE(seats), &list);
	return run_list(o, &list);
}

static int run_lives(const struct options *o, int nr, char **args)
{
	struct list list = { 0 };

	(void)nr, (void)args;
	for (unsigned int n = 1; n <= GUESTS_EMITTED; n++) {
		unsigned int depth = depth_with(o, n);
		struct emitted emitted;

		(void)emit_all(n, depth, add_sequence, &list, &emitted);
		(void)printf("%u guests, %u moves: %zu sequences", n, depth, emitted.nr);
		for (unsigned int i = 2; i <= n; i++)
			(void)printf(", %zu with %u at once", emitted.at_once[i], i);
		(void)printf("\n");
	}
	return run_list(o, &list);
}

static int run_case(const struct options *o, int nr, char **args)
{
	struct list list = { 0 };

	for (int i = 0; i < nr; i++) {
		_cleanup_fclose_ FILE *f = fopen(args[i], "re");
		_cleanup_free_ char *line = NULL;
		struct sim_case c;
		size_t size = 0;

		while (f && getline(&line, &size, f) > 0)
			if (line[0] != '#' && case_parse(line, &c) == 0)
				add(&list, c.sequence, c.fault, c.cure);
	}
	return run_list(o, &list);
}

static const struct {
	const char *name;
	unsigned int depth; /* when none is asked for */
	const char *help;
	int (*run)(const struct options *o, int nr, char **args);
} commands[] = {
	{ "crash", 4,
	  "SIGKILL to hook or helper before and after each side effect, and to daemon and QEMU at\n"
	  "         each, in one life of each kind and what is emitted to --depth of one and two "
	  "guests",
	  run_crash },
	{ "fault", 1, "each side effect fails in each way", run_fault },
	{ "nomem", 1, "each allocation fails", run_nomem },
	{ "lives", 6,
	  "every legal sequence to --depth moves of one guest (calls), 2 less of two (starts, "
	  "ends\n"
	  "         and their halves) and 1 less of three (whole starts and ends), that run at "
	  "once",
	  run_lives },
	{ "case", 1, "FILE...: the cases in these files", run_case },
};

static int usage(void)
{
	(void)fputs("usage: simulator --fake DIR --trees DIR [--jobs N] [--every N] [--seed N] "
		    "[--depth N] [--only PROGRAM] [--keep] [--list] COMMAND\n",
		    stderr);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		(void)fprintf(stderr, "  %-6s %s\n", commands[i].name, commands[i].help);
	return 64;
}

static int set_number(const char *text, unsigned int min, unsigned int *ret)
{
	return parse_uint(text, 10, INT_MAX, ret) < 0 || *ret < min ? -EINVAL : 0;
}

static int parse(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
		{ "fake", required_argument, NULL, 'f' }, { "trees", required_argument, NULL, 't' },
		{ "jobs", required_argument, NULL, 'j' }, { "every", required_argument, NULL, 'e' },
		{ "seed", required_argument, NULL, 's' }, { "depth", required_argument, NULL, 'd' },
		{ "keep", no_argument, NULL, 'k' },	  { "list", no_argument, NULL, 'l' },
		{ "only", required_argument, NULL, 'o' }, { 0 },
	};
	int c, r = 0;

	while (r == 0 && (c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (c) {
		case 'f':
			o->fake = realpath(optarg, NULL);
			break;
		case 't':
			o->trees = realpath(optarg, NULL);
			break;
		case 'j':
			r = set_number(optarg, 1, &o->jobs);
			break;
		case 'e':
			r = set_number(optarg, 1, &o->every);
			break;
		case 's':
			r = set_number(optarg, 0, &o->seed);
			break;
		case 'd':
			r = set_number(optarg, 1, &o->depth);
			break;
		case 'k':
			o->keep = true;
			break;
		case 'l':
			o->list = true;
			break;
		case 'o':
			o->only = optarg;
			break;
		default:
			r = -EINVAL;
		}
	}
	return r < 0 || !o->fake || !o->trees || o->jobs > JOBS_MAX || optind == argc ? -EINVAL : 0;
}

/* A tree of two thousand small files is made ten times faster in memory */
static int work_make(const struct options *o)
{
	const char *base = getenv("TMPDIR");

	if (!base)
		base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	tree_path(work.dir, "%s/usher-sim.XXXXXX", base);
	if (!mkdtemp(work.dir))
		return -errno;
	tree_path(work.base, "%s/base", work.dir);
	work.verdicts = mmap(NULL, (JOBS_MAX + 1) * sizeof(*work.verdicts), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return work.verdicts == MAP_FAILED ? -errno : host_make(work.base, o->trees);
}

int main(int argc, char **argv)
{
	struct options o = { .jobs = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN) * 2, .every = 1 };
	int status = 64;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (parse(argc, argv, &o) < 0)
		return usage();
	if (work_make(&o) < 0) {
		perror("simulator: cannot make the sample host");
		return 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[optind], commands[i].name) != 0)
			continue;
		o.depth = o.depth ?: commands[i].depth;
		status = commands[i].run(&o, argc - optind - 1, argv + optind + 1);
	}
	host_remove(work.dir);
	return status == 64 ? usage() : status;
}
