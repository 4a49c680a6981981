/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/recover.c - usher recover: give back what nobody keeps alive */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/giveback.h"
#include "../../lib/registry.h"
#include "../../lib/state.h"
#include "json.h"
#include "usher.h"

/* How long a claim that somebody gives back at this moment is waited for */
#define WAIT_MS 30000

static void host_close(struct host *host)
{
	cleanup_close(&host->statefd);
	cleanup_close(&host->rootfd);
}

/* Return: 0 with the uuid, 1 refused (said), -ENOENT no such claim, else -errno */
static int find_guest(const struct host *host, const char *guest, char ret[static UUID_STRLEN])
{
	_cleanup_claims_ struct claims claims = { 0 };
	int r = registry_load(host->statefd, &claims);

	for (size_t i = 0; r >= 0 && i < claims.nr; i++) {
		pid_t pid;

		if (strcmp(claims.claims[i].guest, guest) != 0)
			continue;
		pid = process_find_qemu(host->rootfd, claims.claims[i].uuid);
		if (pid > 0) {
			usher_say("%s: the guest runs (QEMU is pid %d): shut it down first", guest,
				  (int)pid);
			return 1;
		}
		if (pid == -ETIMEDOUT) {
			usher_say(
				"%s: a process that may be its QEMU hangs in the kernel and cannot "
				"be asked: see ps -eo pid,stat,args (state D), and run this again "
				"when that has ended",
				guest);
			return 1;
		}
		memcpy(ret, claims.claims[i].uuid, UUID_STRLEN);
		return 0;
	}
	return r < 0 ? r : -ENOENT;
}

static int json_lines(struct json *json, const char *text)
{
	_cleanup_strlist_ struct strlist lines = { 0 };
	int r = text ? text_split(text, "\n", &lines) : 0;

	for (size_t i = 0; r == 0 && i < lines.nr; i++)
		json_string(json, NULL, lines.names[i]);
	return r;
}

static void print_json(const struct step_result *result, bool back)
{
	struct json json;

	json_begin(&json, stdout, "recover");
	json_bool(&json, "back", back);
	json_list(&json, "messages");
	(void)!(json_lines(&json, result->failures) ?: json_lines(&json, result->warnings));
	json_close(&json, ']');
	json_end(&json);
}

/* What the host has lost since without anybody telling. A guest whose hook is at work has it now */
static int mend_running(const struct host *host, struct step_result *result)
{
	_cleanup_claims_ struct claims claims = { 0 };
	int r = host->statefd < 0 ? 0 : registry_load(host->statefd, &claims), failed = 0;

	for (size_t i = 0; r >= 0 && i < claims.nr; i++) {
		const struct claim *claim = &claims.claims[i];
		_cleanup_close_ int lock = -1;

		if (claim->state != CLAIM_RUNNING || registry_alive(host->rootfd, claim) <= 0)
			continue;
		lock = giveback_lock(host, claim->uuid, 0);
		if (lock < 0)
			continue;
		r = step_mend(host, claim, result);
		failed |= r > 0;
	}
	return r < 0 ? r : failed;
}

static int recover(const struct request *request, const struct host *host)
{
	const char *guest = request->guest;
	_cleanup_step_result_ struct step_result result = { 0 };
	char uuid[UUID_STRLEN];
	int r = guest ? find_guest(host, guest, uuid) : 0;

	if (r == -ENOENT) {
		usher_say("%s holds nothing", guest);
		r = 0;
	} else if (r == 0) {
		r = giveback_dead(host, guest ? uuid : NULL, WAIT_MS, &result);
		if (r == 0 && !guest)
			r = mend_running(host, &result);
	}
	if (request->json)
		print_json(&result, r == 0);
	else
		(void)fprintf(stderr, "%s%s", result.failures ?: "", result.warnings ?: "");
	if (r < 0)
		usher_say("cannot give back: %s", strerror(-r));
	return r != 0;
}

static int run(const struct request *request)
{
	_cleanup_(host_close) struct host host = {
		.rootfd = usher_root(request),
		.statefd = -1,
		.root = request->root,
		.helpers = request->dir,
		.phase = "recover",
		.replug = request->force,
		.all_count = true,
	};

	if (host.rootfd < 0)
		return 1;
	host.statefd = state_open(host.rootfd, false);
	/* Where usher has never run there is no claim */
	if (host.statefd < 0 && host.statefd != -ENOENT) {
		usher_say("cannot use /run/usher: %s: recover is root's to run",
			  strerror(-host.statefd));
		return 1;
	}
	return recover(request, &host);
}

const struct command command_recover = {
	.name = "recover",
	.args = "[--json] [--force] [GUEST]",
	.options = OPTION_JSON | OPTION_FORCE,
	.max_args = 1,
	.help = "give back what dead claims hold; GUEST's in any case",
	.run = run,
};
