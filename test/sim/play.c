/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/sim/play.c - one case from the first hook call to the last look at the host */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/cleanup.h"
#include "../../lib/deadline.h"
#include "../../lib/units.h"
#include "../fake/fake.h"
#include "sim.h"

/* What is at work in the background may take so long: a giving back and its lock */
#define SETTLE_MS 20000
/* A monitor is switched in that time, if at all */
#define WAIT_MS	   1500
#define HOST_INPUT 15
/* While a guest runs, switching a monitor is the longest */
#define WORK_MS 3000
#define LOG_MS	1000
/* Of what differs so much is shown of a line */
#define LINE_MAX_SHOWN 160

static const char *const cure_names[NR_CURES] = {
	[CURE_NONE] = "none",
	[CURE_RECOVER] = "recover",
	[CURE_SAME] = "same",
	[CURE_OTHER] = "other",
};

/* --- Cases as text ------------------------------------------------------------------------------ */

static void trim(char *buf, size_t size, const char *from, size_t len)
{
	while (len && strchr(" \t\n", from[0]))
		from++, len--;
	while (len && strchr(" \t\n", from[len - 1]))
		len--;
	tree_format(buf, size, "%.*s", (int)len, from);
}

int case_parse(const char *line, struct sim_case *ret)
{
	const char *bar = strchr(line, '|'), *second = bar ? strchr(bar + 1, '|') : NULL;
	char cure[32];

	*ret = (struct sim_case){ .cure = NR_CURES };
	if (!second || strlen(line) >= sizeof(ret->sequence))
		return -EBADMSG;
	trim(ret->sequence, sizeof(ret->sequence), line, (size_t)(bar - line));
	trim(ret->fault, sizeof(ret->fault), bar + 1, (size_t)(second - bar - 1));
	trim(cure, sizeof(cure), second + 1, strcspn(second + 1, "\n"));
	for (int i = 0; i < NR_CURES; i++)
		if (strcmp(cure, cure_names[i]) == 0)
			ret->cure = (enum cure)i;
	return ret->cure == NR_CURES ? -EBADMSG : 0;
}

void case_print(const struct sim_case *c, FILE *to)
{
	(void)fprintf(to, "%s | %s | %s\n", c->sequence, c->fault, cure_names[c->cure]);
}

bool verdict_good(const struct verdict *verdict)
{
	return !verdict->after && !verdict->late && !verdict->left && !verdict->silent &&
	       !verdict->broken && !verdict->crashed;
}

/* --- The world around the hook -------------------------------------------------------------------- */

static struct life *life_of(struct sim *sim, char guest)
{
	return &sim->lives[guest_find(guest) - guests];
}

static void qemu_end(struct sim *sim, char guest)
{
	struct life *life = life_of(sim, guest);
	const char name[] = { guest, '\0' };

	if (!life->qemu)
		return;
	(void)kill(life->qemu, SIGKILL);
	(void)waitpid(life->qemu, NULL, 0);
	life->qemu = 0;
	(void)guest_gone(name);
}

/* Return: 0, -errno when QEMU did not start: libvirt ends the guest then */
static int qemu_exec(struct sim *sim, char guest)
{
	struct life *life = life_of(sim, guest);
	const char name[] = { guest, '\0' }, *why = "";
	int r;

	life->qemu = __real_fork();
	if (life->qemu == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			(void)pause();
	}
	r = guest_exec(name, life->qemu, &why);
	life->status = true;
	if (r < 0)
		(void)fprintf(sim->report, "QEMU of %c: %s\n", guest, why);
	return r;
}

static void cleanup(struct sim *sim, char guest)
{
	const char name[] = { guest, '\0' };

	(void)guest_cleanup(name);
	life_of(sim, guest)->status = false;
}

static void start_logger(struct sim *sim)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char path[PATH_MAX], line[8192];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), out;
	ssize_t n;

	tree_format(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/dev/log", fake_root());
	tree_path(path, "%s/log", sim->dir);
	out = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || out < 0 || bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		abort();
	sim->logger = __real_fork();
	if (sim->logger == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		while ((n = recv(fd, line, sizeof(line) - 1, 0)) > 0) {
			line[n] = '\n';
			(void)!__real_write(out, line, (size_t)n + 1);
		}
		_exit(0);
	}
	(void)close(fd);
	(void)close(out);
}

/* They wait for QEMU's end, the one with the inhibitor, the other when it has switched the monitor */
static bool is_watcher(pid_t pid)
{
	char path[64], name[32] = "";
	_cleanup_fclose_ FILE *f = NULL;

	tree_path(path, "/proc/%d/comm", (int)pid);
	f = fopen(path, "re");
	return f && fscanf(f, "%31s", name) == 1 &&
	       (strcmp(name, "usher-nosleep") == 0 || strcmp(name, "usher-display") == 0);
}

/* Processes below us, but QEMU, the daemon and the logger. Return: their number, the last in @ret */
static size_t others(const struct sim *sim, bool watchers, pid_t *ret)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[64];
	size_t nr = 0;
	int pid;

	while (waitpid(-1, NULL, WNOHANG | __WNOTHREAD) > 0)
		;
	tree_path(path, "/proc/self/task/%d/children", (int)getpid());
	f = fopen(path, "re");
	while (f && fscanf(f, "%d", &pid) == 1) {
		bool ours = pid == sim->daemon.pid || pid == sim->logger;

		for (size_t i = 0; i < GUESTS_MAX; i++)
			ours |= pid == sim->lives[i].qemu;
		if (!ours && (watchers || !is_watcher(pid))) {
			*ret = pid;
			nr++;
		}
	}
	return nr;
}

static void nap(long ms)
{
	const struct timespec ts = { .tv_nsec = ms * 1000000L };

	(void)nanosleep(&ts, NULL);
}

/* All that works on in the background has come to its end. Return: false when it has not in time */
static bool settle(struct sim *sim, int timeout_ms)
{
	long long deadline = deadline_in(timeout_ms);
	pid_t pid;

	while (others(sim, true, &pid)) {
		if (deadline_left(deadline) == 0)
			return false;
		nap(3);
	}
	inhibitors_sweep();
	return true;
}

static void kill_others(const struct sim *sim)
{
	pid_t pid;

	while (others(sim, true, &pid)) {
		(void)kill(pid, SIGKILL);
		nap(2);
	}
}

/* Monitors are switched after the hook has returned; a guest that lives longer sees it done */
static void wait_for_monitors(void)
{
	long long deadline = deadline_in(WAIT_MS);

	while (tree_num(".fake/monitor/left/input") == HOST_INPUT && deadline_left(deadline))
		nap(3);
}

/* --- libvirt ---------------------------------------------------------------------------------------- */

static const struct {
	char op;
	const char *name, *sub;
	int budget_ms; /* 0: by need */
} ops[] = {
	{ 'P', "prepare", "begin", 0 },	 { 'S', "start", "begin", 0 },
	{ 'D', "started", "begin", 0 },	 { 'X', "stopped", "end", 2000 },
	{ 'R', "release", "end", 5000 }, { 'C', "reconnect", "begin", 2000 },
	{ 'T', "restore", "begin", 0 },	 { 'M', "migrate", "begin", 0 },
};

static size_t op_index(char op)
{
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (ops[i].op == op)
			return i;
	return ARRAY_SIZE(ops);
}

/* "R:a" "R:a:crashed": in which a blank is written "_" */
static bool call_make(const char *word, struct hook_call *ret)
{
	static const char *const reasons[] = { "shutdown", "destroyed",	    "crashed", "saved",
					       "failed",   "from snapshot", "daemon",  "unknown" };
	size_t op = op_index(word[0]);

	if (op == ARRAY_SIZE(ops) || word[1] != ':' || !guest_find(word[2]))
		return false;
	*ret = (struct hook_call){ .guest = word[2],
				   .op = ops[op].name,
				   .sub = ops[op].sub,
				   .extra = word[0] == 'R' ? "shutdown" : "-" };
	for (size_t i = 0; word[3] == ':' && i < ARRAY_SIZE(reasons); i++)
		if (strncmp(word + 4, reasons[i], 4) == 0)
			ret->extra = reasons[i];
	return true;
}

/* What a machine that is busy adds */
#define MARGIN_MS  4000
#define BY_NEED_MS 60000

static int budget_of(const struct hook_call *call)
{
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (strcmp(ops[i].name, call->op) == 0 && ops[i].budget_ms)
			return ops[i].budget_ms;
	return BY_NEED_MS;
}

static void judge_call(struct sim *sim, const struct hook_call *call)
{
	(void)fprintf(sim->report, "%s %c: status %d in %d ms\n", call->op, call->guest,
		      call->status, call->elapsed_ms);
	if (call->status > 0 && WIFSIGNALED(call->status) && WTERMSIG(call->status) != SIGKILL)
		sim->crashed = true;
	if (call->status == -1 || call->elapsed_ms <= budget_of(call) + MARGIN_MS)
		return;
	(void)fprintf(sim->report, "%s %c took longer than %d ms\n", call->op, call->guest,
		      budget_of(call));
	sim->late = true;
}

static long said_so_far(const struct sim *sim)
{
	char path[PATH_MAX];
	struct stat st;

	tree_path(path, "%s/stderr", sim->dir);
	return stat(path, &st) == 0 ? (long)st.st_size : 0;
}

/* The user reads it in a dialog: a refusal without a line of its own guest's is none */
static void judge_refusal(struct sim *sim, const struct hook_call *call, long from)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *line = NULL;
	char path[PATH_MAX], head[32];
	size_t size = 0;

	if (call->status <= 0 || !WIFEXITED(call->status) || strcmp(call->op, "prepare") != 0)
		return;
	tree_path(path, "%s/stderr", sim->dir);
	tree_path(head, "usher: %c: ", call->guest);
	f = fopen(path, "re");
	if (f && fseek(f, from, SEEK_SET) == 0)
		while (getline(&line, &size, f) > 0)
			/* Without memory there is no name; a claim that cannot be read has a uuid */
			if (strncmp(line, head, strlen(head)) == 0 ||
			    strncmp(line, "usher: ?: ", 10) == 0 ||
			    strstr(line, guest_find(call->guest)->uuid))
				return;
	(void)fprintf(sim->report, "no line says why %c was refused\n", call->guest);
	sim->mute = true;
}

static void stop_failed(struct sim *sim, char guest);

/* What libvirt does when a call has come back, or has not */
static void after_call(struct sim *sim, const struct hook_call *call)
{
	struct life *life = life_of(sim, call->guest);

	judge_call(sim, call);
	if (strcmp(call->op, "prepare") == 0)
		life->prepared = true;
	if (strcmp(call->op, "stopped") == 0)
		life->ending = true;
	if (strcmp(call->op, "release") == 0)
		life->prepared = life->ending = false;
	if (call->status <= 0)
		return;
	if (strcmp(call->op, "restore") == 0 || strcmp(call->op, "migrate") == 0)
		life->refused = true;
	else if (call->sub[0] == 'b')
		stop_failed(sim, call->guest);
}

static void call_all(struct sim *sim, struct hook_call *calls, size_t nr)
{
	long from = said_so_far(sim);

	daemon_call(sim, calls, nr);
	for (size_t i = 0; i < nr; i++)
		judge_refusal(sim, &calls[i], from);
	for (size_t i = 0; i < nr; i++)
		after_call(sim, &calls[i]);
}

static void call_one(struct sim *sim, const char *word)
{
	struct hook_call call;

	if (daemon_alive(sim) && call_make(word, &call))
		call_all(sim, &call, 1);
}

static void call_word(struct sim *sim, char op, char guest, const char *reason)
{
	char word[32];

	tree_path(word, "%c:%c:%s", op, guest, reason);
	call_one(sim, word);
}

/* qemuProcessStop() */
static void stop(struct sim *sim, char guest, const char *reason)
{
	qemu_end(sim, guest);
	call_word(sim, 'X', guest, "");
	if (!daemon_alive(sim))
		return;
	cleanup(sim, guest);
	call_word(sim, 'R', guest, reason);
}

static void stop_failed(struct sim *sim, char guest)
{
	struct life *life = life_of(sim, guest);

	life->refused = true;
	stop(sim, guest, "failed");
}

static int recover(const struct sim *sim)
{
	const char *const argv[] = { "usher", "recover", "--root", sim->root, NULL };

	return program_run(sim, argv);
}

/* The unit is ordered after the daemon, which reads its status files before anything else */
static void daemon_restart(struct sim *sim)
{
	int r = daemon_start(sim);

	if (r < 0)
		abort();
	(void)recover(sim);
	/* It has forgotten those without a status file */
	for (size_t i = 0; i < GUESTS_MAX; i++)
		if (sim->lives[i].prepared && !sim->lives[i].status)
			sim->lives[i] = (struct life){ .refused = true };
}

/*
 * The daemon was killed in the last call: the next one finds the guests with a status file, kills
 * none, and ends those that were about to end, or whose QEMU is gone.
 */
static void daemon_heal(struct sim *sim)
{
	if (daemon_alive(sim))
		return;
	daemon_restart(sim);
	for (size_t i = 0; i < GUESTS_MAX; i++) {
		struct life *life = &sim->lives[i];

		if (!life->status)
			continue;
		if (life->qemu && !life->ending)
			call_word(sim, 'C', guests[i].name, "");
		else
			stop(sim, guests[i].name, "crashed");
	}
}

/* QEMU was killed in the last call, by a fault */
static void qemu_heal(struct sim *sim)
{
	for (size_t i = 0; i < GUESTS_MAX; i++) {
		struct life *life = &sim->lives[i];

		if (!life->qemu || waitpid(life->qemu, NULL, WNOHANG) != life->qemu)
			continue;
		life->refused = true;
		stop(sim, guests[i].name, "crashed");
	}
}

/* --- The sequence --------------------------------------------------------------------------------- */

static bool is_off(const struct life *life)
{
	return !life->prepared && !life->status && !life->qemu;
}

static void step_plain(struct sim *sim, const char *word)
{
	char guest = word[1] == ':' ? word[2] : '\0';

	switch (word[0]) {
	case 'E':
		if (qemu_exec(sim, guest) < 0)
			stop_failed(sim, guest);
		break;
	case 'Q':
		qemu_end(sim, guest);
		break;
	case 'L':
		cleanup(sim, guest);
		break;
	case 'K':
		daemon_kill(sim);
		break;
	case 'U':
		daemon_restart(sim);
		break;
	case 'W':
		wait_for_monitors();
		break;
	default:
		(void)fprintf(sim->report, "no such word: %s\n", word);
		abort();
	}
}

/* A guest whose life was cut short has no more calls until it starts again */
static bool is_moot(struct sim *sim, const char *word)
{
	struct life *life;

	if (word[1] != ':')
		return word[0] == 'U' && daemon_alive(sim);
	life = life_of(sim, word[2]);
	if (strchr("PTM", word[0]) && is_off(life))
		*life = (struct life){ 0 };
	return life->refused && !strchr("TM", word[0]);
}

static void step(struct sim *sim, char *word)
{
	struct hook_call calls[GUESTS_MAX];
	size_t nr = 0;
	char *save = NULL;

	for (char *part = strtok_r(word, "+", &save); part; part = strtok_r(NULL, "+", &save)) {
		if (is_moot(sim, part))
			continue;
		if (!call_make(part, &calls[nr]))
			step_plain(sim, part);
		else if (part[0] == 'R')
			cleanup(sim, part[2]), nr++;
		else
			nr++;
	}
	if (nr && !daemon_alive(sim))
		daemon_heal(sim);
	if (nr)
		call_all(sim, calls, nr);
	if (word[0] == 'K')
		return;
	qemu_heal(sim);
	if (nr)
		daemon_heal(sim);
}

/* What the last word has begun is done */
static void let_work_end(const struct sim *sim)
{
	long long deadline = deadline_in(WORK_MS);
	pid_t pid;

	while (deadline_left(deadline) && others(sim, false, &pid))
		nap(3);
	if (others(sim, true, &pid))
		wait_for_monitors();
}

/* What libvirt knows is a part of the state, too */
static unsigned long long state_hash(struct sim *sim)
{
	unsigned long long hash;
	struct picture now;

	let_work_end(sim);
	if (picture_take(sim->root, &now) < 0)
		abort();
	hash = picture_hash(&now) * 2 + daemon_alive(sim);
	picture_free(&now);
	for (size_t i = 0; i < GUESTS_MAX; i++) {
		const struct life *life = &sim->lives[i];

		hash = hash * 61 + (life->refused | life->status << 1 | life->prepared << 2 |
				    life->ending << 3 | (life->qemu > 0) << 4);
	}
	return hash;
}

static void note_word(struct sim *sim, const char *word)
{
	char state[32];

	tree_path(state, "%016llx", state_hash(sim));
	fake_note(state, word);
}

static void play(struct sim *sim, const char *sequence)
{
	char words[sizeof(sim->c->sequence)], *save = NULL;

	tree_path(words, "%s", sequence);
	for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (sim->c->note_words)
			note_word(sim, word);
		step(sim, word);
	}
}

/* --- The end ------------------------------------------------------------------------------------------ */

static void finish(struct sim *sim, struct verdict *ret)
{
	char path[PATH_MAX];

	/* Whoever hangs in the kernel comes back at last */
	tree_path(path, ".fake/release");
	(void)tree_put(path, "");
	if (!settle(sim, SETTLE_MS)) {
		pid_t pid = 0;

		(void)others(sim, true, &pid);
		(void)fprintf(sim->report, "process %d is left behind\n", (int)pid);
		ret->left = true;
		kill_others(sim);
	}
}

static bool file_has(const char *path, const char *what)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0)
		if (strstr(line, what))
			return true;
	return false;
}

static bool trace_says(const struct sim *sim, const char *what)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *line = NULL;
	char path[PATH_MAX];
	size_t size = 0;

	tree_path(path, "%s/.fake/trace", sim->root);
	f = fopen(path, "re");
	while (f && getline(&line, &size, f) > 0) {
		const char *last = strrchr(line, ' ');

		if (last && strncmp(last + 1, what, strlen(what)) == 0)
			return true;
	}
	return false;
}

static bool file_says(const struct sim *sim, const char *file, const char *left)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *line = NULL;
	char path[PATH_MAX];
	size_t size = 0;

	tree_path(path, "%s/%s", sim->dir, file);
	f = fopen(path, "re");
	while (f && getline(&line, &size, f) > 0)
		if ((line[0] != '<' || strtoul(line + 1, NULL, 10) % 8 <= 4) &&
		    said_names(line, left, sim->c->fault))
			return true;
	return false;
}

/*
 * On stderr, or at warning level or above, a line told what is left or why. The logger is another
 * process: the last lines may not have come to the file.
 */
static bool was_said(const struct sim *sim, const char *left)
{
	long long deadline = deadline_in(LOG_MS);

	while (!file_says(sim, "stderr", left) && !file_says(sim, "log", left)) {
		if (deadline_left(deadline) == 0)
			return false;
		nap(10);
	}
	return true;
}

/* A helper that died of a signal that nobody sent; the hook has it as a status */
static bool helper_crashed(const struct sim *sim)
{
	static const int signals[] = { SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV };
	char path[PATH_MAX], what[64];

	tree_path(path, "%s/log", sim->dir);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		tree_path(what, "failed with status %d:", 128 + signals[i]);
		if (file_has(path, what))
			return true;
	}
	return false;
}

static size_t shorter(size_t len)
{
	return len < LINE_MAX_SHOWN ? len : LINE_MAX_SHOWN;
}

/* Return: number of entries that differ, in the report and in @ret_left */
static size_t compare(struct sim *sim, const struct picture *before, char **ret_left)
{
	struct picture now;
	size_t nr, len;
	FILE *f = open_memstream(ret_left, &len);

	if (!f || picture_take(sim->root, &now) < 0)
		abort();
	nr = picture_differ(before, &now, f);
	if (fclose(f) != 0)
		abort();
	for (const char *line = *ret_left; *line;
	     line += strcspn(line, "\n"), line += *line == '\n')
		(void)fprintf(sim->report, "%.*s\n", (int)shorter(strcspn(line, "\n")), line);
	picture_free(&now);
	return nr;
}

/* What was killed is not asked what it left */
static bool must_say(const struct sim_case *c)
{
	return !strstr(c->fault, "kill") && !strstr(c->fault, " end ") &&
	       strcmp(c->fault, "-") != 0;
}

/* The life of who starts first, whole */
static void play_again(struct sim *sim)
{
	const char *first = strchr(sim->c->sequence, ':');
	char life[64] = "P:@ S:@ E:@ D:@ Q:@ X:@ R:@";

	for (char *c = life; first && *c; c++)
		if (*c == '@')
			*c = first[1];
	play(sim, life);
}

static void cure(struct sim *sim)
{
	if (!daemon_alive(sim) && daemon_start(sim) < 0)
		abort();
	for (size_t i = 0; i < GUESTS_MAX; i++)
		sim->lives[i] = (struct life){ 0 };
	(void)fprintf(sim->report, "cure: %s\n", cure_names[sim->c->cure]);
	if (sim->c->cure == CURE_RECOVER)
		(void)recover(sim);
	else if (sim->c->cure == CURE_SAME)
		play_again(sim);
	else if (sim->c->cure == CURE_OTHER)
		play(sim, "P:z");
}

/* "PROGRAM@NTH nomem": that allocation of it fails */
static bool plant_nomem(const struct sim *sim)
{
	unsigned long long numbers[2] = { 0 };
	char program[64], path[PATH_MAX];
	FILE *f;

	if (sscanf(sim->c->fault, "%63[^@ ]@%llu nomem", program, &numbers[1]) != 2)
		return false;
	tree_path(path, "%s/.fake/allocs/%s", sim->root, program);
	f = fopen(path, "we");
	if (!f || fwrite(numbers, sizeof(numbers), 1, f) != 1)
		abort();
	(void)fclose(f);
	return true;
}

static void plant(const struct sim_case *c, const char *path)
{
	const char *planted = getenv("SIM_PLANT");
	FILE *f = fopen(path, "we");

	if (!f)
		abort();
	for (const char *at = c->fault; strcmp(c->fault, "-") != 0 && *at; at += *at == ';')
		at += fprintf(f, "%.*s\n", (int)strcspn(at, ";"), at) - 1;
	if (planted)
		(void)fprintf(f, "%s\n", planted);
	(void)fclose(f);
}

/* "WHEN ACTION ...": what the trace has for it */
static const char *fault_result(const struct sim_case *c, char *buf, size_t size)
{
	char action[32] = "", arg[32] = "";

	(void)sscanf(c->fault, "%*s %31s %31s", action, arg);
	tree_format(buf, size, "%s", strcmp(action, "fail") == 0 ? arg : action);
	return buf;
}

/*
 * What usher has noted and somebody has removed, nobody can know: a start that was killed before it
 * touched anything looks the same. It must not hang, crash or refuse without a word for it.
 */
static bool is_forgotten(const struct sim_case *c)
{
	return strstr(c->fault, ":read:run/usher/") && strstr(c->fault, " fail ENOENT") &&
	       !strstr(c->fault, "/claim.ini ");
}

static void run(struct sim *sim, const struct picture *before, struct verdict *ret)
{
	_cleanup_free_ char *left = NULL, *still = NULL;
	char faults[PATH_MAX], what[32];
	size_t own;

	if (sim->c->note_reads)
		(void)tree_put(".fake/reads", "");
	if (sim->c->count_allocs || strstr(sim->c->fault, " nomem"))
		(void)tree_mkdirs(".fake/allocs");
	tree_path(faults, "%s/.fake/faults", sim->root);
	if (!plant_nomem(sim) && (strcmp(sim->c->fault, "-") != 0 || getenv("SIM_PLANT")))
		plant(sim->c, faults);
	play(sim, sim->c->sequence);
	finish(sim, ret);
	ret->own = own = compare(sim, before, &left);
	ret->struck = trace_says(sim, fault_result(sim->c, what, sizeof(what)));
	ret->silent = own && must_say(sim->c) && !was_said(sim, left);
	if (!getenv("SIM_PLANT"))
		(void)unlink(faults);
	if (own && sim->c->cure != CURE_NONE) {
		cure(sim);
		finish(sim, ret);
		own = compare(sim, before, &still);
	}
	if (is_forgotten(sim->c))
		own = 0, ret->silent = false;
	ret->after = own;
	ret->silent |= sim->mute;
	ret->late = sim->late;
	ret->crashed = sim->crashed || helper_crashed(sim);
}

static int prepare(struct sim *sim, const char *base, struct picture *before)
{
	int r = mkdir(sim->dir, 0700) < 0 ? -errno : host_copy(base, sim->root);

	if (r == 0)
		r = root_open(sim->root);
	if (r >= 0)
		r = host_desktop(sim->c->sequence);
	if (r == 0)
		r = picture_take(sim->root, before);
	if (r == 0)
		r = daemon_start(sim);
	if (r == 0)
		start_logger(sim);
	return r;
}

void case_play(const struct sim_case *c, const char *dir, const char *base, const char *fake,
	       FILE *report, struct verdict *ret)
{
	char root[PATH_MAX];
	struct sim sim = { .c = c, .dir = dir, .root = root, .fake = fake, .report = report };
	struct picture before;

	*ret = (struct verdict){ 0 };
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	tree_path(root, "%s/host", dir);
	if (prepare(&sim, base, &before) < 0) {
		ret->broken = true;
		return;
	}
	run(&sim, &before, ret);
	picture_free(&before);
	daemon_kill(&sim);
	(void)kill(sim.logger, SIGKILL);
	for (size_t i = 0; i < GUESTS_MAX; i++)
		qemu_end(&sim, guests[i].name);
	kill_others(&sim);
}
