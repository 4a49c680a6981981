/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/rules.c - drivers of the host with rules of their own: data, one row each */
#include <errno.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/drivernodes.h"
#include "vfio.h"

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

/*
 * Intel's i915 and xe have no row, since with them all is as usual. The host's sound function
 * (00:1f.3, in a slot and a group of its own) is bound to the card's driver as a component and holds
 * its module: that could not be unloaded, but an unbind takes the two apart, and they find each other
 * again. Without the card the sound goes on, silent on the screen's outputs; the kernel may tell of
 * an "audio power refcount" that was left. What else would go with the card, virtual functions and
 * the mediated devices of GVT-g, is refused for any driver: holders.c.
 * Source: hdac_component_master_bind(), sound/hda/hdac_component.c; i915_audio_component_unbind(),
 * drivers/gpu/drm/i915/display/intel_audio.c; xe_pci_remove(), drivers/gpu/drm/xe/xe_pci.c; Linux
 * 6.12
 */
static const struct driver_rule rules[] = {
	/*
	 * Unbinding a card of which anything is open spins in the kernel for ever, and an empty
	 * list of openers proves nothing. So the modules go, whose use counts the kernel checks.
	 * Seen on: NVIDIA/open-gpu-kernel-modules issues 1374 (595.58), 1119; vfioctl's notes of
	 * 2026-08. Modules and what they depend on: modinfo of 535 to 580.
	 */
	{ .driver = "nvidia",
	  .modules = LIST("nvidia_drm", "nvidia_modeset", "nvidia_uvm", "nvidia_peermem", "nvidia"),
	  .services = LIST("nvidia-powerd.service", "nvidia-persistenced.service"),
	  .comms = LIST("nvidia-powerd", "nvidia-persiste"),
	  .keeper = "nvidia-persiste",
	  .keeper_tool = "/usr/bin/nvidia-smi",
	  .cure = "stop it" },
	{ .driver = "snd_hda_intel",
	  .cure = "have its sound settings leave that card alone (profile Off), or stop it" },
};

const struct driver_rule *rule_find(const char *driver)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (strcmp(rules[i].driver, driver) == 0)
			return &rules[i];
	return NULL;
}

const struct driver_rule *rule_family(const char *driver)
{
	const struct driver_rule *rule = rule_find(driver);

	return rule && rule->modules ? rule : NULL;
}

const char *rule_cure(const char *driver)
{
	const struct driver_rule *rule = rule_find(driver);

	return rule ? rule->cure : "stop it";
}

bool rule_ignores(const char *driver, const char *comm)
{
	const struct driver_rule *rule = rule_find(driver);

	for (size_t i = 0; rule && rule->comms && rule->comms[i]; i++)
		if (strcmp(rule->comms[i], comm) == 0)
			return true;
	return false;
}

bool rule_can_ask(int rootfd, const char *driver, const char *comm)
{
	const struct driver_rule *rule = rule_find(driver);

	return rule && rule->keeper && strcmp(rule->keeper, comm) == 0 &&
	       attr_exists(rootfd, rule->keeper_tool + 1) > 0;
}

int rule_bound(int rootfd, const char *driver)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	int r = drivernodes_devices(rootfd, driver, &names);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return names.nr > 0;
}
