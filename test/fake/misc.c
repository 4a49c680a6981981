/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fake/misc.c - IRQ affinities, CPU masks, governors, kernel modules */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/text.h"
#include "../../lib/units.h"
#include "fake.h"

#define ONLINE "sys/devices/system/cpu/online"

/* --- "ffff,0000000f": 32 CPUs a word, the highest first ------------------------------------------ */

int mask_parse(const char *text, struct cpulist *ret)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	struct cpulist set = { 0 };
	unsigned long long bits;

	if (text_split(text, ",\n", &words) < 0 || words.nr == 0 || words.nr > 64)
		return -EINVAL;
	for (size_t i = 0; i < words.nr; i++) {
		if (parse_ull(words.names[i], 16, 0xffffffff, &bits) < 0)
			return -EINVAL;
		for (unsigned int bit = 0; bit < 32; bit++)
			if (bits >> bit & 1)
				cpulist_add(&set, (unsigned int)(words.nr - 1 - i) * 32 + bit);
	}
	*ret = set;
	return 0;
}

static unsigned long word_of(const struct cpulist *set, unsigned int word)
{
	unsigned long bits = 0;

	for (unsigned int bit = 0; bit < 32; bit++)
		if (cpulist_has(set, word * 32 + bit))
			bits |= 1UL << bit;
	return bits;
}

void mask_format(const struct cpulist *set, char *buf, size_t size)
{
	struct cpulist possible = { 0 };
	unsigned int cpus = 0, word;
	char text[ATTR_MAX];
	size_t len;
	int cpu = -1;

	if (tree_get("sys/devices/system/cpu/possible", text, sizeof(text)) >= 0 &&
	    cpulist_parse(text, &possible) == 0)
		while ((cpu = cpulist_next(&possible, (unsigned int)(cpu + 1))) >= 0)
			cpus = (unsigned int)cpu + 1;
	/* The first word is as wide as the host's CPUs need, the others 8 digits */
	word = cpus ? (cpus - 1) / 32 : 0;
	len = (size_t)snprintf(buf, size, "%0*lx", (int)(cpus - word * 32 + 3) / 4,
			       word_of(set, word));
	while (word > 0 && len < size)
		len += (size_t)snprintf(buf + len, size - len, ",%08lx", word_of(set, --word));
}

/* --- IRQs: kernel/irq/proc.c -------------------------------------------------------------------- */

/* write_irq_affinity(): -EIO for a managed interrupt, -EINVAL when no online CPU is left */
static int irq_set(const char *dir, const struct cpulist *set)
{
	struct cpulist online = { 0 };
	char path[PATH_MAX], text[ATTR_MAX];

	tree_path(path, ".fake/irq/%s", strrchr(dir, '/') + 1);
	if (tree_get(path, text, sizeof(text)) >= 0 && strcmp(text, "managed") == 0)
		return -EIO;
	if (tree_get(ONLINE, text, sizeof(text)) < 0 || cpulist_parse(text, &online) < 0 ||
	    !cpulist_intersects(&online, set))
		return -EINVAL;
	if (cpulist_format(set, text, sizeof(text)) < 0)
		return -EINVAL;
	tree_path(path, "%s/smp_affinity_list", dir);
	(void)tree_put(path, text);
	mask_format(set, text, sizeof(text));
	tree_path(path, "%s/smp_affinity", dir);
	(void)tree_put(path, text);
	(void)snprintf(text, sizeof(text), "%d", cpulist_next(set, 0));
	tree_path(path, "%s/effective_affinity_list", dir);
	return tree_has(path) ? tree_put(path, text) : 0;
}

static int irq_store(const char *path, const struct cpulist *set)
{
	char dir[PATH_MAX];

	tree_path(dir, "%.*s", (int)(strrchr(path, '/') - path), path);
	return irq_set(dir, set);
}

static int list_parse(const char *value, struct cpulist *ret)
{
	char text[ATTR_MAX];

	if (path_format(text, sizeof(text), "%.*s", (int)strcspn(value, "\n"), value) < 0)
		return -EINVAL;
	return cpulist_parse(text, ret);
}

int irq_store_list(const char *path, const char *value)
{
	struct cpulist set;
	int r = list_parse(value, &set);

	return r < 0 ? r : irq_store(path, &set);
}

int irq_store_mask(const char *path, const char *value)
{
	struct cpulist set;
	int r = mask_parse(value, &set);

	return r < 0 ? r : irq_store(path, &set);
}

int irq_store_default(const char *path, const char *value)
{
	struct cpulist set;
	char text[ATTR_MAX];
	int r = mask_parse(value, &set);

	if (r < 0 || cpulist_empty(&set))
		return -EINVAL;
	mask_format(&set, text, sizeof(text));
	return tree_put(path, text);
}

/* cpufreq's store_scaling_governor(): only what scaling_available_governors lists */
int governor_store(const char *path, const char *value)
{
	_cleanup_strlist_ struct strlist known = { 0 };
	char text[ATTR_MAX], list[PATH_MAX], name[NAME_MAX];

	tree_path(list, "%.*s/scaling_available_governors", (int)(strrchr(path, '/') - path), path);
	if (path_format(name, sizeof(name), "%.*s", (int)strcspn(value, "\n"), value) < 0)
		return -EINVAL;
	if (tree_get(list, text, sizeof(text)) < 0 || text_split(text, " ", &known) < 0 ||
	    !strlist_has(&known, name))
		return -EINVAL;
	return tree_put(path, name);
}

/* --- uevents, platform devices ------------------------------------------------------------------ */

/* The attribute's text stays: udev, and who listens to it, hears the word. ".../drm/card1/uevent" */
int uevent_store(const char *path, const char *value)
{
	char owner[PATH_MAX], name[PATH_MAX], *slash;

	tree_path(name, "%.*s", (int)(strrchr(path, '/') - path), path);
	slash = strrchr(name, '/');
	*slash = '\0';
	tree_path(owner, "uevent.%s.%s", strrchr(name, '/') + 1, slash + 1);
	children_move(owner, strcmp(value, "remove") == 0);
	return 0;
}

/* Is the device there, and has it its driver */
static int platform_state(const char *path, const char *device, bool *ret_bound)
{
	char link[PATH_MAX], dir[PATH_MAX];

	tree_path(dir, "sys/devices/platform/%s", device);
	if (!device[0] || strchr(device, '/') || !tree_is_dir(dir))
		return -ENODEV;
	tree_path(link, "%.*s/%s", (int)(strrchr(path, '/') - path), path, device);
	*ret_bound = tree_has(link);
	return 0;
}

static int platform_move(const char *path, const char *device, bool bind)
{
	char owner[PATH_MAX];
	bool bound;
	int r = platform_state(path, device, &bound);

	if (r < 0)
		return r;
	/* bind_store() says -EBUSY, unbind_store() -ENODEV */
	if (bound == bind)
		return bind ? -EBUSY : -ENODEV;
	tree_path(owner, "platform.%s", device);
	children_move(owner, !bind);
	return 0;
}

int platform_store_bind(const char *path, const char *value)
{
	return platform_move(path, value, true);
}

int platform_store_unbind(const char *path, const char *value)
{
	return platform_move(path, value, false);
}

/* --- Modules --------------------------------------------------------------------------------------- */

static void module_dir(const char *fmt, const char *name, char *buf, size_t size)
{
	tree_format(buf, size, "%s%s", fmt, name);
	for (char *c = buf + strlen(fmt); *c; c++)
		if (*c == '-')
			*c = '_';
}

static int load(const struct fake_effect *effect, const char *value)
{
	char from[PATH_MAX];
	int r;

	(void)effect;
	module_dir(".fake/modules/", value, from, sizeof(from));
	if (!tree_is_dir(from))
		return -ENOENT;
	r = tree_overlay(from, NULL, NULL);
	if (r == 0)
		pci_probe_unbound();
	return r;
}

/* delete_module(): -EAGAIN, for us -EBUSY, while its use count is not 0 */
static int unload(const struct fake_effect *effect, const char *value)
{
	char dir[PATH_MAX], path[PATH_MAX], count[32];

	(void)effect;
	module_dir("sys/module/", value, dir, sizeof(dir));
	tree_format(path, sizeof(path), "%s/refcnt", dir);
	if (tree_get(path, count, sizeof(count)) >= 0 && strcmp(count, "0") != 0)
		return -EBUSY;
	pci_driver_gone(value);
	return tree_remove(dir);
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_module_unload(int rootfd, const char *name);
int __wrap_module_unload(int rootfd, const char *name)
{
	char path[PATH_MAX];
	const struct fake_effect effect = {
		.verb = "module", .path = path, .new_value = name, .run = unload
	};

	if (!fake_is_root(rootfd))
		return -EPERM;
	module_dir("sys/module/", name, path, sizeof(path));
	return tree_has(path) ? fake_effect(&effect) : 0;
}

int __wrap_module_load(int rootfd, const char *name, int timeout_ms);
int __wrap_module_load(int rootfd, const char *name, int timeout_ms)
{
	char path[PATH_MAX];
	const struct fake_effect effect = {
		.verb = "module", .path = path, .new_value = name, .run = load
	};

	(void)timeout_ms;
	if (!fake_is_root(rootfd))
		return -EPERM;
	module_dir("sys/module/", name, path, sizeof(path));
	return tree_has(path) ? 0 : fake_effect(&effect);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
