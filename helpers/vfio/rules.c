/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/rules.c - drivers of the host with rules of their own: data, one row each */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/desktop.h"
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
	  .nodes = LIST("/dev/nvidiactl", "/dev/nvidia-modeset", "/dev/nvidia-uvm",
			"/dev/nvidia-uvm-tools"),
	  .keeper = "nvidia-persiste",
	  .keeper_tool = "/usr/bin/nvidia-smi",
	  .cure = "stop it" },
	{ .driver = "snd_hda_intel",
	  .cure = "have its sound settings leave that card alone (profile Off), or stop it" },
	/*
	 * Whoever computes has /dev/kfd open, and the render node of each card that he uses.
	 * Source: kfd_ioctl_acquire_vm(), drivers/gpu/drm/amd/amdkfd/kfd_chardev.c; Linux 6.12
	 */
	{ .driver = "amdgpu", .nodes = LIST("/dev/kfd"), .cure = "stop it" },
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

int rule_nodes(int rootfd, const struct driver_rule *rule, const char *name, bool alone,
	       struct strlist *nodes)
{
	char node[64];
	int r = 0;

	for (size_t i = 0; r == 0 && alone && rule->nodes && rule->nodes[i]; i++)
		r = strlist_add(nodes, rule->nodes[i]);
	if (r == 0)
		r = desktop_card_node(rootfd, rule->driver, name, node, sizeof(node));
	if (r == -ENOENT)
		return 1;
	return r > 0 ? strlist_add(nodes, node) : r;
}

/* The devices of a driver. Return: 0, else -errno; -ENOENT when it is not loaded */
static int bound(int rootfd, const char *driver, struct strlist *ret)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/bus/pci/drivers/%s", driver);

	if (r == 0)
		r = attr_list(rootfd, path, &names);
	for (size_t i = 0; r == 0 && i < names.nr; i++) {
		struct pciaddr addr;

		if (pciaddr_parse(names.names[i], &addr) == 0)
			r = strlist_add(ret, names.names[i]);
	}
	return r;
}

int rule_bound(int rootfd, const char *driver)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	int r = bound(rootfd, driver, &names);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return names.nr > 0;
}

static bool claim_has(const struct helper_ctx *ctx, const struct pciaddr *addr)
{
	const struct inidoc_entry *entry = NULL;

	while ((entry = inidoc_next(&ctx->claim.doc, entry, "vfio", "device"))) {
		struct claim_device device;

		if (claim_device_parse(entry->value, &device) == 0 &&
		    pciaddr_cmp(&device.addr, addr) == 0)
			return true;
	}
	return false;
}

int rule_alone(const struct helper_ctx *ctx, const char *driver)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	int r = bound(ctx->rootfd, driver, &names);

	if (r < 0)
		return r == -ENOENT ? 1 : r;
	for (size_t i = 0; i < names.nr; i++) {
		struct pciaddr addr;

		if (pciaddr_parse(names.names[i], &addr) == 0 && !claim_has(ctx, &addr))
			return 0;
	}
	return 1;
}
