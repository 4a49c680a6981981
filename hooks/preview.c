/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/preview.c - by hand: the claim that a start would make, and what is wrong with a policy */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../lib/attr.h"
#include "../lib/registry.h"
#include "../lib/state.h"
#include "conflict.h"
#include "phase.h"
#include "plan.h"
#include "policy.h"
#include "prepare.h"
#include "refuse.h"

/* A start gives those back first whose guest is gone */
static void forget_dead(const struct host *host, struct claims *claims)
{
	size_t nr = 0;

	for (size_t i = 0; i < claims->nr; i++) {
		if (registry_alive(host->rootfd, &claims->claims[i]) == 0)
			claim_free(&claims->claims[i]);
		else
			claims->claims[nr++] = claims->claims[i];
	}
	claims->nr = nr;
}

/* As if that one were about to run. No text is no claim. Return: 0, -EBADMSG, -ENOMEM, else -errno */
static int load_beside(const char *path, struct claims *ret)
{
	_cleanup_close_ int dirfd = root_open(*path == '/' ? "/" : ".");
	_cleanup_free_ char *text = NULL;
	struct ini_error err;
	size_t len = 0;
	int r = dirfd < 0 ? dirfd : attr_read_all(dirfd, path, INI_FILE_MAX, &text, &len);

	if (r < 0 || len == 0)
		return r;
	ret->claims = calloc(1, sizeof(*ret->claims));
	if (!ret->claims)
		return -ENOMEM;
	r = claim_parse(text, len, ret->claims, &err);
	if (r < 0)
		return r;
	ret->claims->state = CLAIM_HANDED;
	ret->nr = 1;
	return 0;
}

/* @claim: NULL of a guest without a policy */
static int plan_conflict(const struct event *event, struct host *host, const struct domain *domain,
			 const struct claim *claim)
{
	_cleanup_claims_ struct claims claims = { 0 };
	struct conflict conflict;
	int r;

	host->statefd = state_open(host->rootfd, false);
	if (event->beside)
		r = load_beside(event->beside, &claims);
	else
		r = host->statefd < 0 ? 0 : registry_load(host->statefd, &claims);
	if (r < 0 && event->beside)
		return refuse_errno(event, host, "read the other guest's claim", r);
	if (r > 0)
		return claim ? refuse_unreadable(event, host, &claims) : 0;
	if (r == 0 && !event->beside)
		forget_dead(host, &claims);
	if (r < 0 || conflict_find(host, domain, claim, &claims, &conflict) <= 0)
		return 0;
	return claim ? refuse_conflict(event, host, &conflict)
		     : refuse_unmanaged(event, host, &conflict);
}

static int load_policy(const struct event *event, const struct host *host, const char *guest,
		       struct policy *ret, struct policy_error *err)
{
	if (event->policy)
		return policy_load_file(host->rootfd, event->policy, ret, err);
	return policy_load(host->rootfd, guest, ret, err);
}

int phase_check(const struct event *event, struct host *host)
{
	_cleanup_policy_ struct policy policy = { 0 };
	struct policy_error err;
	int r = load_policy(event, host, event->guest, &policy, &err);

	return r < 0 ? refuse(event, host, err.what) : 0;
}

int phase_plan(const struct event *event, struct host *host)
{
	_cleanup_policy_ struct policy policy = { 0 };
	_cleanup_domain_ struct domain domain = { 0 };
	_cleanup_claim_ struct claim claim = { 0 };
	struct event named = *event;
	struct policy_error err;
	int r;

	if (prepare_domain(event, host, &domain))
		return 1;
	named.guest = domain.name;
	r = load_policy(event, host, domain.name, &policy, &err);
	if (r < 0)
		return refuse(&named, host, err.what);
	if (r == 1 && plan_conflict(&named, host, &domain, NULL))
		return 1;
	if (r == 1) {
		(void)printf("# guest %s %s: none of usher's business\n", domain.name,
			     *err.what ? err.what : "has no policy");
		return 0;
	}
	if (prepare_claim(&named, host, &policy, &domain, &claim) ||
	    plan_conflict(&named, host, &domain, &claim))
		return 1;
	return plan_print(&claim) < 0;
}
