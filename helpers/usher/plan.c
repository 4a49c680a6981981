/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/plan.c - usher plan: what a start would do, write by write; writes nothing */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/hookdir.h"
#include "../../lib/scripts.h"
#include "../../lib/state.h"
#include "../../lib/step.h"
#include "capture.h"
#include "guest.h"
#include "host.h"
#include "json.h"
#include "oldtree.h"
#include "scratch.h"

/*
 * How it works
 *
 * The hook derives the claim (usher-hook --plan). It is put into a file of its own, and each helper
 * runs on it: `check`, then `--dry-run apply`, in the order of a start. Nothing is said here that
 * the programs of a start do not say themselves. As with the hook, all checks are run, and of what
 * is applied nothing behind the rank in which a required step fails: the start ends there.
 *
 * What a guest's own processes or journals decide, all of its end, can be told only while there are
 * any. Of what is done in `started` the cgroups that its CPUs are written to are known but for the
 * scope's name, and QEMU is taken to have the pages that were made for it. For a guest that holds a
 * claim its own claim file is taken. A start of such a guest would find its own pages and devices
 * taken; what is next for it is its end.
 *
 * What guests that are gone still hold is given back before anything is taken, so that comes first.
 * What the start does then is told of the host as it is now, with all that still taken.
 */

#define STEP_MS 60000

static const struct phase {
	const char *name;
	const char *verb;
	int steps;  /* a step_phase, or STEP_RELEASE */
	bool live;  /* works on what the guest holds now */
	bool start; /* part of a start: shown when no phase is named */
} phases[] = {
	{ "prepare", "apply", STEP_PREPARE, false, true },
	{ "started", "apply", STEP_STARTED, true, true },
	{ "stopped", "undo", STEP_STARTED, true, false },
	{ "release", "undo", STEP_RELEASE, true, false },
};

/* One program's run, and where its output goes */
struct run {
	const struct request *request;
	const struct claim *claim;
	const char *file; /* of that claim */
	int rootfd;
	struct json *json;
	bool dead;   /* the claim's guest is gone */
	bool failed; /* of a required step */
	bool ended;  /* and the start with it */
	bool said;   /* why the plan ends early */
};

/* --- output ------------------------------------------------------------------------------------- */

static void print_lines(const char *text, const char *indent)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		(void)printf("%s%.*s\n", indent, (int)len, text);
		text += len + (text[len] == '\n');
	}
}

static void json_text(struct json *json, const char *key, const char *text)
{
	json_list(json, key);
	json_lines(json, text);
	json_close(json, ']');
}

static void show(const struct run *run, const struct phase *phase, const struct step *step,
		 const char *verb, const struct capture *capture)
{
	bool required = step_required(step, run->claim);

	if (run->json) {
		json_object(run->json, NULL);
		json_string(run->json, "phase", phase->name);
		json_string(run->json, "step", step->name);
		json_string(run->json, "verb", verb);
		json_bool(run->json, "required", required);
		json_number(run->json, "status", capture->status);
		json_text(run->json, "writes", capture->out);
		json_text(run->json, "messages", capture->err);
		json_close(run->json, '}');
		return;
	}
	/* Comments: the whole is a claim that helpers can be run on by hand */
	(void)printf("# %s: usher-%s %s (%s)%s\n", phase->name, step->name, verb,
		     required ? "required" : "best effort", capture->status ? ": fails" : "");
	print_lines(capture->out, "#   ");
	print_lines(capture->err, "#   ");
	/* What a start is refused with is no part of the claim: once, where refusals are looked for */
	if (capture->status && required && !run->failed)
		(void)fputs(capture->err, stderr);
}

/* --- the helpers -------------------------------------------------------------------------------- */

static int run_step(struct run *run, const struct phase *phase, const struct step *step,
		    const char *verb)
{
	_cleanup_capture_ struct capture capture = { 0 };
	_cleanup_free_ char *program = NULL;
	const char *argv[8] = { NULL };
	size_t n = 0;
	int r;

	if (asprintf(&program, "%s/usher-%s", run->request->dir, step->name) < 0) {
		program = NULL;
		return -ENOMEM;
	}
	argv[n++] = program;
	argv[n++] = "--root";
	argv[n++] = run->request->root;
	argv[n++] = "--dry-run";
	argv[n++] = verb;
	argv[n++] = run->file;
	r = capture_run(argv, -1, STEP_MS, &capture);
	if (r < 0) {
		usher_say("%s %s: %s: what follows is not known", program, verb, strerror(-r));
		run->said = true;
		return r;
	}
	show(run, phase, step, verb, &capture);
	if (capture.status == 0 || !step_required(step, run->claim))
		return 0;
	run->failed = true;
	run->ended |= strcmp(verb, "undo") != 0 && strcmp(verb, "settle") != 0;
	return 0;
}

/*
 * Of a whole end, `stopped` has been printed: what it gives back is not there to be given back again
 * in `release`. A monitor's way back may be there only then; which, the devices tell when they are.
 */
static bool was_printed(const struct run *run, const struct phase *phase, const struct step *step)
{
	if (run->dead || run->request->phase || phase->steps != STEP_RELEASE ||
	    step->phase != STEP_STARTED)
		return false;
	if (step->undo_last && !run->json)
		(void)printf("# %s: usher-%s %s: what stopped could not give back\n", phase->name,
			     step->name, phase->verb);
	return true;
}

static int run_steps(struct run *run, const struct phase *phase, int which, const char *verb)
{
	const struct step *order[STEPS_MAX];
	size_t nr = steps_order(run->claim, which, strcmp(verb, "undo") == 0, order);
	bool check = strcmp(verb, "check") == 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < nr; i++) {
		if (run->ended && !check &&
		    (i == 0 || !steps_beside(run->claim, which, order[i - 1], order[i])))
			break;
		if (!was_printed(run, phase, order[i]))
			r = run_step(run, phase, order[i], verb);
	}
	return r;
}

/* Cores for a guest without pins, before anything looks at the claim */
static int run_choose(struct run *run, const struct phase *phase)
{
	if (!inidoc_get(&run->claim->doc, "cpuset", "pin"))
		return 0;
	return run_step(run, phase, step_find("cpuset"), "choose");
}

static void say_later(const struct run *run, const struct phase *phase, const struct step *step,
		      const char *verb)
{
	if (run->json)
		return;
	(void)printf("# %s: usher-%s %s (%s): its writes can be told while the guest runs\n",
		     phase->name, step->name, verb,
		     step_required(step, run->claim) ? "required" : "best effort");
}

/* The pool goes back down before anything else is done in `started` */
static int run_settle(struct run *run, const struct phase *phase)
{
	const struct step *step = step_find("hugepages");

	return step_wanted(step, run->claim) ? run_step(run, phase, step, "settle") : 0;
}

/* The end of a guest that does not run yet */
static void say_end(const struct run *run, const struct phase *phase)
{
	const struct step *order[STEPS_MAX];
	size_t nr = steps_order(run->claim, phase->steps, false, order);

	for (size_t i = 0; i < nr; i++)
		say_later(run, phase, order[i], phase->verb);
}

/* Before anything is applied */
static int run_checks(struct run *run, const struct phase *phase)
{
	int r = run_choose(run, phase);

	return r < 0 || run->ended ? r : run_steps(run, phase, STEP_BOTH, "check");
}

/* @why: it is not run, NULL when it is. One that is refused fails a start as one that fails */
static void show_script(struct run *run, const struct phase *phase, const char *operation,
			const char *path, const char *why)
{
	char line[2 * PATH_MAX];

	(void)snprintf(line, sizeof(line), "/%s is %s%s", shown(path),
		       why ? "not run: " : "run: what it writes cannot be told", why ?: "");
	if (why && phase->start)
		run->failed = run->ended = true;
	if (!run->json) {
		(void)printf("# %s: scripts %s: %s\n", phase->name, operation, line);
		return;
	}
	json_object(run->json, NULL);
	json_string(run->json, "phase", phase->name);
	json_string(run->json, "step", "scripts");
	json_string(run->json, "verb", operation);
	json_bool(run->json, "required", phase->start);
	json_number(run->json, "status", why != NULL);
	json_text(run->json, "writes", "");
	json_text(run->json, "messages", line);
	json_close(run->json, '}');
}

/* Of one folder of the older tree, after the steps, as the hook does. Return: 0, else -errno */
static int show_scripts(struct run *run, const struct phase *phase, const struct oldtree *tree,
			const char *operation)
{
	const char *sub = phase->start ? "begin" : "end";
	char dir[PATH_MAX], folder[PATH_MAX];

	if (hookdir_scripts(run->claim->guest, dir, sizeof(dir)) < 0 ||
	    path_format(folder, sizeof(folder), "%s/%s/%s", dir, operation, sub) < 0)
		return 0;
	for (size_t i = 0; i < tree->paths.nr && !run->ended; i++) {
		const char *path = tree->paths.names[i];
		_cleanup_free_ char *why = NULL;
		size_t len = strlen(folder);
		int runs;

		if (strncmp(path, folder, len) != 0 || (path[len] != '/' && path[len] != '\0') ||
		    !hookdir_is_place(run->claim->guest, path))
			continue;
		runs = hookdir_runs_script(run->rootfd, path, &why);
		if (runs < 0 && (runs != -EPERM || !why))
			return why ? runs : -ENOMEM;
		if (runs != 0)
			show_script(run, phase, operation, path, why);
	}
	return 0;
}

static int run_scripts(struct run *run, const struct phase *phase)
{
	_cleanup_oldtree_ struct oldtree tree = { 0 };
	int r;

	if (run->ended || !scripts_wanted(run->claim))
		return 0;
	r = oldtree_read(run->rootfd, run->claim->guest, &tree);
	if (r == 0)
		r = show_scripts(run, phase, &tree, phase->name);
	if (r == 0 && phase->steps == STEP_PREPARE)
		r = show_scripts(run, phase, &tree, "start");
	return r;
}

/* Of a guest that is gone, in the order of scripts_give_back() */
static int run_owed_scripts(struct run *run, const struct phase *phase)
{
	static const char *const operations[] = { "stopped", "release" };
	_cleanup_oldtree_ struct oldtree tree = { 0 };
	_cleanup_close_ int statefd = state_open(run->rootfd, false);
	const struct host host = { .rootfd = run->rootfd, .statefd = statefd };
	int r = oldtree_read(run->rootfd, run->claim->guest, &tree);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(operations); i++) {
		int owes = scripts_owes(&host, run->claim, operations[i]);

		r = owes > 0 ? show_scripts(run, phase, &tree, operations[i]) : owes;
	}
	return r;
}

static int run_programs(struct run *run, const struct phase *phase, bool live)
{
	bool apply = strcmp(phase->verb, "apply") == 0;
	int r = 0;

	if (!apply && !live) {
		say_end(run, phase);
		return 0;
	}
	if (!phase->live)
		r = run_checks(run, phase);
	else if (apply)
		r = run_settle(run, phase);
	return r < 0 ? r : run_steps(run, phase, phase->steps, phase->verb);
}

static int run_phase(struct run *run, const struct phase *phase, bool live)
{
	int r = run_programs(run, phase, live);

	return r < 0 ? r : run_scripts(run, phase);
}

/* --- claims --------------------------------------------------------------------------------------- */

/* Without a name: a start, or the end of a guest that has been started */
static bool is_asked(const struct request *request, const struct phase *phase, bool started)
{
	return request->phase ? strcmp(request->phase, phase->name) == 0 : phase->start != started;
}

static void say_started(const struct run *live, const struct phase *phase)
{
	if (live->json)
		return;
	if (!phase->live)
		(void)printf("# %s: guest %s has been started: what it holds counts as taken\n",
			     phase->name, shown(live->claim->guest));
	else if (!live->request->phase && phase->steps == STEP_STARTED)
		(void)printf("# guest %s has been started: this is its end; its claim is %s\n",
			     shown(live->claim->guest), live->file);
}

static int run_dead(struct run *planned, const struct claim *claim)
{
	static const struct phase back = { "prepare", "undo", STEP_RELEASE, true, false };
	_cleanup_free_ char *file = host_claim_file(planned->request, claim);
	struct run run = { .request = planned->request,
			   .claim = claim,
			   .file = file,
			   .rootfd = planned->rootfd,
			   .json = planned->json,
			   .dead = true };
	int r;

	if (!file)
		return -ENOMEM;
	if (!run.json)
		(void)printf(
			"# prepare: guest %s is gone: what it held is given back first, and all "
			"below is told as if that were taken (usher recover gives it back now)\n",
			shown(claim->guest));
	r = run_owed_scripts(&run, &back);
	if (r == 0)
		r = run_steps(&run, &back, STEP_RELEASE, "undo");
	planned->said |= run.said;
	return r;
}

/* What a start finds of guests that are gone, also of an earlier life of its own */
static int run_deads(struct run *planned)
{
	_cleanup_claims_ struct claims claims = { 0 };
	int r;

	if (!is_asked(planned->request, phases, false))
		return 0;
	r = host_claims(planned->rootfd, &claims);
	/* They are root's to see */
	if (r < 0)
		return r == -EACCES ? 0 : r;
	if (r > 0) {
		usher_say("what a guest that may be gone holds is not known: "
			  "/run/usher/%s/" CLAIM_FILE
			  " cannot be read (%s): install the usher that wrote it, or reboot",
			  claims.unreadable.names[0], claims.why);
		planned->said = true;
		return -EBADMSG;
	}
	for (size_t i = 0; r == 0 && i < claims.nr; i++) {
		r = registry_alive(planned->rootfd, &claims.claims[i]);
		if (r >= 0)
			r = r ? 0 : run_dead(planned, &claims.claims[i]);
	}
	return r;
}

static int run_phases(struct run *planned, struct run *live)
{
	const struct phase *phase = phases;
	int r = live->claim ? 0 : run_deads(planned);

	for (; r == 0 && phase < phases + ARRAY_SIZE(phases); phase++) {
		bool is_live = phase->live && live->claim;
		struct run *run = is_live ? live : planned;

		if (!is_asked(planned->request, phase, live->claim))
			continue;
		if (live->claim)
			say_started(live, phase);
		r = run_phase(run, phase, is_live);
		if (!run->ended)
			continue;
		if (!run->json)
			(void)printf("# %s: a required step fails: the start ends here\n",
				     phase->name);
		break;
	}
	return r;
}

static int plan(const struct request *request, const char *guest, const struct claim *claim,
		int rootfd)
{
	_cleanup_scratch_ struct scratch scratch = { .dir = "" };
	_cleanup_free_ char *text = NULL, *live_file = NULL;
	_cleanup_claim_ struct claim now = { 0 };
	struct json json = { .file = stdout };
	struct json *to = request->json ? &json : NULL;
	struct run planned = { .request = request,
			       .claim = claim,
			       .file = scratch.file,
			       .rootfd = rootfd,
			       .json = to };
	struct run live = { .request = request, .rootfd = rootfd, .json = to };
	int r = scratch_write(&scratch, claim, &text);

	if (r < 0) {
		usher_say("cannot write a claim below /tmp: %s", strerror(-r));
		return 1;
	}
	r = host_claim_of(request, guest, &now, &live_file);
	if (r > 0)
		r = registry_alive(rootfd, &now);
	if (r < 0 && r != -EACCES) {
		usher_say("%s: cannot find out what it holds now, in /run/usher: %s: see free -m "
			  "and dmesg",
			  guest, strerror(-r));
		return 1;
	}
	if (r > 0) {
		live.claim = &now;
		live.file = live_file;
	}
	if (to) {
		json_begin(to, stdout, "plan");
		json_string(to, "guest", guest);
		json_string(to, "claim", text);
		json_list(to, "steps");
	} else if (!request->phase && !live.claim) {
		(void)printf("%s\n", text);
	}
	r = run_phases(&planned, &live);
	if (r < 0 && !planned.said && !live.said)
		usher_say("%s: what follows is not known: %s: see %s", guest, strerror(-r),
			  r == -ENOMEM ? "free -m" : "dmesg, and ls -lR /run/usher");
	if (to) {
		json_close(to, ']');
		json_end(to);
	}
	return r < 0 || planned.failed || live.failed;
}

/* No claim, no steps */
static void say_none(const struct request *request, const char *guest, const char *none)
{
	struct json json;

	if (!request->json) {
		(void)printf("# guest %s %s: none of usher's business\n", shown(guest), none);
		return;
	}
	json_begin(&json, stdout, "plan");
	json_string(&json, "guest", guest);
	json_string(&json, "claim", NULL);
	json_list(&json, "steps");
	json_close(&json, ']');
	json_end(&json);
}

static bool is_phase(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(phases); i++)
		if (strcmp(name, phases[i].name) == 0)
			return true;
	return false;
}

static int check_phase(const struct request *request)
{
	if (!request->phase || is_phase(request->phase))
		return 0;
	usher_say("no phase '%s': there are prepare, started, stopped and release", request->phase);
	return USHER_USAGE;
}

static int plan_guest(const struct request *request)
{
	_cleanup_guest_ struct guest guest = { 0 };
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *none = NULL;
	_cleanup_close_ int rootfd = -1;
	const struct guest_ask ask = { .policy = request->policy, .none = &none };
	int r = check_phase(request);

	if (r != 0)
		return r;
	rootfd = usher_root(request);
	if (rootfd < 0)
		return 1;
	r = guest_get(request, &guest);
	if (r == 0)
		r = guest_claim(request, &guest, &ask, &claim);
	if (r > 0) {
		say_none(request, guest.name, none);
		return 0;
	}
	return r < 0 ? 1 : plan(request, guest.name, &claim, rootfd);
}

/* With --xml the guest may be left out, also before a phase */
static int run(const struct request *request)
{
	struct request named = *request;

	if (request->xml && request->guest && !request->phase && is_phase(request->guest)) {
		named.phase = request->guest;
		named.guest = NULL;
	}
	return plan_guest(&named);
}

const struct command command_plan = {
	.name = "plan",
	.args = "[--json] [--xml FILE] [--policy FILE] GUEST [PHASE]",
	.help = "what a start would do, write by write; changes nothing",
	.options = OPTION_JSON | OPTION_XML | OPTION_POLICY,
	.guest = true,
	.max_args = 2,
	.run = run,
};
