/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/plan.h - derive the claim: domain + policy + host, once, in prepare */
#pragma once

#include "../lib/claim.h"
#include "../lib/cleanup.h"
#include "domain.h"
#include "policy.h"

/* One line without a newline, printable, with cause, object and cure */
struct plan_error {
	char what[2048];
};

/**
 * plan_claim() - what the guest will hold of the host, and how
 * @rootfd:	the host is read (devices, groups, page sizes), nothing is changed
 * @owner:	who keeps the claim alive while it is being prepared
 *
 * The form of the claim is described in lib/claim.h. Functions of the same slot and IOMMU group
 * are added to the devices: a GPU's USB controller goes along with it.
 *
 * Return: 0, -EINVAL when policy, domain and host do not fit together (@err filled), -ENOMEM, else
 * -errno of reading the host (@err filled)
 */
int plan_claim(int rootfd, const struct domain *domain, const struct policy *policy,
	       const struct process *owner, struct claim *ret, struct plan_error *err) _must_check_;

/**
 * plan_print() - the claim and the steps prepare and started would take, on stdout
 *
 * Return: 0, -ENOMEM
 */
int plan_print(const struct claim *claim) _must_check_;
