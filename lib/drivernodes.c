/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/drivernodes.c - nodes of a PCI driver that sysfs does not have below its devices */
#include "drivernodes.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "attr.h"
#include "desktop.h"
#include "pciaddr.h"

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Of all its devices: whoever uses one of them has these open */
static const struct {
	const char *driver;
	const char *const *nodes;
} shared[] = {
	{ "nvidia", LIST("/dev/nvidiactl", "/dev/nvidia-modeset", "/dev/nvidia-uvm",
			 "/dev/nvidia-uvm-tools") },
	/*
	 * Whoever computes has /dev/kfd open, and the render node of each card that he uses.
	 * Source: kfd_ioctl_acquire_vm(), drivers/gpu/drm/amd/amdkfd/kfd_chardev.c; Linux 6.12
	 */
	{ "amdgpu", LIST("/dev/kfd") },
};

static int add_shared(const char *driver, struct strlist *nodes)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(shared); i++)
		for (size_t j = 0;
		     r == 0 && strcmp(shared[i].driver, driver) == 0 && shared[i].nodes[j]; j++)
			r = strlist_add(nodes, shared[i].nodes[j]);
	return r;
}

int drivernodes_add(int rootfd, const char *driver, const char *addr, bool alone,
		    struct strlist *nodes)
{
	char node[64];
	int r = alone ? add_shared(driver, nodes) : 0;

	if (r == 0)
		r = desktop_card_node(rootfd, driver, addr, node, sizeof(node));
	if (r == -ENOENT)
		return 1;
	return r > 0 ? strlist_add(nodes, node) : r;
}

int drivernodes_devices(int rootfd, const char *driver, struct strlist *ret)
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

int drivernodes_alone(int rootfd, const struct claim *claim, const char *driver)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	int r = drivernodes_devices(rootfd, driver, &names);

	if (r < 0)
		return r == -ENOENT ? 1 : r;
	for (size_t i = 0; i < names.nr; i++) {
		struct pciaddr addr;

		if (pciaddr_parse(names.names[i], &addr) == 0 && !claim_has_device(claim, &addr))
			return 0;
	}
	return 1;
}
