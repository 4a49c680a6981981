/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/i2c_tree.h - sysfs's side of I2C buses in a test's tree */
#pragma once

#include "tree.h"

#define I2C_GPU "0000:00:02.0"

/* A PCI device: "0x030000" is a display controller */
static inline void i2c_tree_pci(const struct tree *tree, const char *addr, const char *class)
{
	char path[256], target[256];

	(void)snprintf(path, sizeof(path), "sys/devices/pci0000:00/%s/class", addr);
	tree_file(tree, path, class);
	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", addr);
	(void)snprintf(target, sizeof(target), "../../../devices/pci0000:00/%s", addr);
	tree_link(tree, path, target);
}

/* A bus below @parent, a path below sys/devices */
static inline void i2c_tree_bus(const struct tree *tree, const char *parent, unsigned int number,
				const char *name)
{
	char path[512], target[512];

	(void)snprintf(path, sizeof(path), "sys/devices/%s/i2c-%u/name", parent, number);
	tree_file(tree, path, name);
	(void)snprintf(path, sizeof(path), "sys/bus/i2c/devices/i2c-%u", number);
	(void)snprintf(target, sizeof(target), "../../../devices/%s/i2c-%u", parent, number);
	tree_link(tree, path, target);
}

/* A connector of the GPU's, its ddc link to a bus; 0 for none */
static inline void i2c_tree_connector(const struct tree *tree, const char *name, unsigned int bus)
{
	char path[512], target[512];

	(void)snprintf(path, sizeof(path), "sys/devices/pci0000:00/" I2C_GPU "/drm/card0/%s/status",
		       name);
	tree_file(tree, path, "connected\n");
	(void)snprintf(path, sizeof(path), "sys/class/drm/%s", name);
	(void)snprintf(target, sizeof(target), "../../devices/pci0000:00/" I2C_GPU "/drm/card0/%s",
		       name);
	tree_link(tree, path, target);
	if (!bus)
		return;
	(void)snprintf(path, sizeof(path), "sys/devices/pci0000:00/" I2C_GPU "/drm/card0/%s/ddc",
		       name);
	(void)snprintf(target, sizeof(target), "../../../i2c-%u", bus);
	tree_link(tree, path, target);
}

/* A display controller with the buses @first to @first + @nr - 1, and i2c-dev loaded */
static inline void i2c_tree_gpu(const struct tree *tree, unsigned int first, unsigned int nr)
{
	i2c_tree_pci(tree, I2C_GPU, "0x030000\n");
	for (unsigned int i = 0; i < nr; i++)
		i2c_tree_bus(tree, "pci0000:00/" I2C_GPU, first + i, "i915 gmbus dpb\n");
	tree_dir(tree, "sys/class/i2c-dev");
}
