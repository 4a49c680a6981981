/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/pins.c - the claim's CPUs and pins, and what they allow */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/units.h"
#include "cpuset.h"

void pins_free(struct pins *pins)
{
	free(pins->vcpus);
	free(pins->sides);
	*pins = (struct pins){ 0 };
}

/* "2 0-3": an id and a CPU list that is not empty */
static int parse_pin(const char *value, unsigned int *ret_id, struct cpulist *ret)
{
	const char *blank = strchr(value, ' ');
	char id[16];

	if (!blank || path_format(id, sizeof(id), "%.*s", (int)(blank - value), value) < 0)
		return -EBADMSG;
	if (parse_uint(id, 10, CPULIST_MAX, ret_id) < 0 || cpulist_parse(blank + 1, ret) < 0)
		return -EBADMSG;
	return cpulist_empty(ret) ? -EBADMSG : 0;
}

int pins_add_vcpu(struct pins *pins, const struct vcpu_pin *pin)
{
	struct vcpu_pin *grown;

	for (size_t i = 0; i < pins->nr_vcpus; i++)
		if (pins->vcpus[i].vcpu == pin->vcpu)
			return -EBADMSG;
	if (!cpulist_contains(&pins->cpus, &pin->cpus))
		return -EBADMSG;
	grown = reallocarray(pins->vcpus, pins->nr_vcpus + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	pins->vcpus = grown;
	grown[pins->nr_vcpus++] = *pin;
	return 0;
}

int pins_add_side(struct pins *pins, const struct side_pin *pin)
{
	struct side_pin *grown = reallocarray(pins->sides, pins->nr_sides + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	pins->sides = grown;
	grown[pins->nr_sides++] = *pin;
	return 0;
}

static int parse_cpus(struct pins *pins, const char *value)
{
	if (cpulist_parse(value, &pins->cpus) < 0 || cpulist_empty(&pins->cpus))
		return -EBADMSG;
	return 0;
}

static int parse_vcpu(struct pins *pins, const char *value)
{
	struct vcpu_pin pin;
	int r = parse_pin(value, &pin.vcpu, &pin.cpus);

	return r < 0 ? r : pins_add_vcpu(pins, &pin);
}

static int parse_emulator(struct pins *pins, const char *value)
{
	struct side_pin pin = { .group = "emulator" };

	if (cpulist_parse(value, &pin.cpus) < 0 || cpulist_empty(&pin.cpus))
		return -EBADMSG;
	return pins_add_side(pins, &pin);
}

static int parse_iothread(struct pins *pins, const char *value)
{
	struct side_pin pin = { 0 };
	unsigned int id;
	int r = parse_pin(value, &id, &pin.cpus);

	if (r == 0)
		r = path_format(pin.group, sizeof(pin.group), "iothread%u", id);
	return r < 0 ? r : pins_add_side(pins, &pin);
}

/* "2", or "2 0-3": a vCPU, and the CPUs that it may run on */
static int parse_float(struct pins *pins, const char *value)
{
	struct side_pin side = { .floats = true };
	unsigned int id;
	int r = strchr(value, ' ') ? parse_pin(value, &id, &side.cpus)
				   : parse_uint(value, 10, CPULIST_MAX, &id);

	if (r < 0)
		return -EBADMSG;
	r = path_format(side.group, sizeof(side.group), "vcpu%u", id);
	return r < 0 ? r : pins_add_side(pins, &side);
}

static int parse_automatic(struct pins *pins, const char *value)
{
	pins->automatic = strcmp(value, "auto") == 0;
	return pins->automatic ? 0 : -EBADMSG;
}

/* "cpus" first: the vCPUs' lists are checked against it */
static const struct {
	const char *key;
	int (*parse)(struct pins *pins, const char *value);
} keys[] = {
	{ "cpus", parse_cpus },		{ "vcpu", parse_vcpu },	  { "emulator", parse_emulator },
	{ "iothread", parse_iothread }, { "float", parse_float }, { "pin", parse_automatic },
};

static int parse_key(const struct claim *claim, size_t key, struct pins *pins, char *why)
{
	const struct inidoc_entry *entry = NULL;

	while ((entry = inidoc_next(&claim->doc, entry, "cpuset", keys[key].key))) {
		int r = keys[key].parse(pins, entry->value);

		if (r < 0) {
			(void)snprintf(why, WHY_MAX, "[cpuset] %s = %s", keys[key].key,
				       entry->value);
			return r;
		}
	}
	return 0;
}

int pins_parse(const struct claim *claim, struct pins *ret, char *why)
{
	_cleanup_pins_ struct pins pins = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		int r = parse_key(claim, i, &pins, why);

		if (r < 0)
			return r;
	}
	if ((cpulist_empty(&pins.cpus) || pins.nr_vcpus == 0) &&
	    !(pins.automatic && cpulist_empty(&pins.cpus) && pins.nr_vcpus == 0)) {
		(void)snprintf(why, WHY_MAX, "[cpuset] names no CPUs or no vCPU");
		return -EBADMSG;
	}
	*ret = pins;
	pins = (struct pins){ 0 };
	return 0;
}

/* Of those that were chosen here, several are siblings of one core: a lone thread needs no balance */
static bool one_to_one(const struct pins *pins)
{
	struct cpulist seen = { 0 };

	for (size_t i = 0; i < pins->nr_vcpus; i++) {
		const struct cpulist *cpus = &pins->vcpus[i].cpus;

		if ((cpulist_count(cpus) != 1 && !pins->automatic) ||
		    cpulist_intersects(&seen, cpus))
			return false;
		cpulist_union(&seen, cpus);
	}
	return true;
}

/* In the way of isolated partitions: the kernel has no CPU in one that another group may use */
static bool is_inside(const struct pins *pins, const struct side_pin *side)
{
	return cpulist_intersects(&pins->cpus, &side->cpus);
}

/*
 * In the way of one partition of the whole guest, outside of which nothing of it can run. A vCPU that
 * floats would have to share the others' CPUs all the time.
 */
static bool is_outside(const struct pins *pins, const struct side_pin *side)
{
	if (side->floats)
		return cpulist_empty(&side->cpus) || !cpulist_contains(&pins->cpus, &side->cpus);
	return !is_inside(pins, side);
}

static const struct side_pin *find_side(const struct pins *pins,
					bool (*is)(const struct pins *pins,
						   const struct side_pin *side))
{
	for (size_t i = 0; i < pins->nr_sides; i++)
		if (is(pins, &pins->sides[i]))
			return &pins->sides[i];
	return NULL;
}

static void why_not_isolated(const struct side_pin *side, char *why)
{
	char list[64];

	(void)job_cpus_text(&side->cpus, list, sizeof(list));
	if (side->floats)
		(void)snprintf(
			why, WHY_MAX,
			"%s has no pin and may run on %s, where a pinned one is: pin it, too",
			side->group, list);
	else
		(void)snprintf(why, WHY_MAX,
			       "%s is pinned to %s, where a vCPU is: pin it to other CPUs",
			       side->group, list);
}

static void why_not_whole(const struct pins *pins, const struct side_pin *side, char *why)
{
	char own[64], list[64];

	(void)job_cpus_text(&pins->cpus, own, sizeof(own));
	if (side->floats)
		(void)snprintf(why, WHY_MAX,
			       "the vCPUs share %s and %s has no pin: pin each vCPU to one CPU of "
			       "its own",
			       own, side->group);
	else
		(void)snprintf(why, WHY_MAX,
			       "the vCPUs share %s and %s is pinned outside, to %s: pin each vCPU "
			       "to one CPU of its own",
			       own, side->group, job_cpus_text(&side->cpus, list, sizeof(list)));
}

enum layout pins_layout(const struct pins *pins, char *why)
{
	const struct side_pin *inside = find_side(pins, is_inside);
	const struct side_pin *outside = find_side(pins, is_outside);
	bool pinned = one_to_one(pins);

	why[0] = '\0';
	if (pinned && !inside)
		return LAYOUT_ISOLATED;
	if (pinned)
		why_not_isolated(inside, why);
	if (!outside)
		return LAYOUT_ROOT;
	if (!pinned)
		why_not_whole(pins, outside, why);
	return LAYOUT_NONE;
}

const char *layout_name(enum layout layout)
{
	static const char *const names[] = {
		[LAYOUT_NONE] = "member",
		[LAYOUT_ISOLATED] = "isolated",
		[LAYOUT_ROOT] = "root",
	};

	return names[layout];
}
