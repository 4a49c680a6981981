/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/prepare.h - what a start and its preview read */
#pragma once

#include "../lib/claim.h"
#include "../lib/step.h"
#include "domain.h"
#include "event.h"
#include "policy.h"

/** prepare_domain() - the domain from --xml or stdin. Return: 0, else 1 with the refusal said */
int prepare_domain(const struct event *event, const struct host *host, struct domain *ret)
	_must_check_;

/** prepare_claim() - what the guest is to hold. Return: 0, 1 refused (said) */
int prepare_claim(const struct event *event, const struct host *host, const struct policy *policy,
		  const struct domain *domain, struct claim *ret) _must_check_;
