/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/usher_host.h - a small host in a tree, and what a command prints about it */
#pragma once

#include "printed.h"

#include "helpers/usher/usher.h"

static inline void host_device(const struct tree *tree, const char *addr, const char *id,
			       const char *class, int group)
{
	char path[256], text[256];

	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/vendor", addr);
	(void)snprintf(text, sizeof(text), "0x%.4s\n", id);
	tree_file(tree, path, text);
	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/device", addr);
	(void)snprintf(text, sizeof(text), "0x%.4s\n", id + 5);
	tree_file(tree, path, text);
	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/class", addr);
	tree_file(tree, path, class);
	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/iommu_group", addr);
	(void)snprintf(text, sizeof(text), "../../../../kernel/iommu_groups/%d", group);
	tree_link(tree, path, text);
	(void)snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d/devices/%s", group, addr);
	tree_file(tree, path, "");
}

/* Started 10 * @pid ticks after boot */
static inline void host_process(const struct tree *tree, int pid)
{
	char path[64], stat[128];

	(void)snprintf(path, sizeof(path), "proc/%d/stat", pid);
	(void)snprintf(stat, sizeof(stat),
		       "%d (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 0 0\n", pid, 10 * pid);
	tree_file(tree, path, stat);
}

/* Whole stdout of one command, until the next call; *ret_status is its exit code */
static inline const char *said(const struct command *command, const struct request *request,
			       int *ret_status)
{
	static char text[65536];
	struct printed printed;

	printed_begin(&printed, STDOUT_FILENO);
	*ret_status = command->run(request);
	return printed_end(&printed, text, sizeof(text));
}
