/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/bars.c - how large the guest finds a card's BARs */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/units.h"
#include "vfio.h"

/*
 * How it works
 *
 * The firmware or the host's driver makes the BARs of a card with ReBAR as large as they can be,
 * and there are guests whose firmware has no room for that, or whose driver fails on it (AMD's for
 * Windows, code 43). The kernel resizes a BAR while no driver has the device, and only then: between
 * the driver that lets go and the one that is probed, on both ways.
 *
 * What is to be seen of a BAR is its range in `resource`; resourceN_resize has what it could be.
 *
 * ABI: Documentation/ABI/testing/sysfs-bus-pci, resourceN_resize, since Linux 6.1
 */

/* Longest `resource`: 17 ranges of 57 characters */
#define RANGES_MAX ((size_t)4096)

/* 1 MiB is size 0 */
#define SIZE_0_SHIFT 20

/* "0x000000e000000000" */
static int parse_hex(const char *word, unsigned long long *ret)
{
	return strncmp(word, "0x", 2) == 0 ? parse_ull(word + 2, 16, ULLONG_MAX, ret) : -EINVAL;
}

/* A line for each BAR: first byte, last byte, flags; three zeros for one that is not there */
static int read_range(int rootfd, const char *name, unsigned int bar, unsigned long long *ret_start,
		      unsigned long long *ret_end)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t len, first = 3 * (size_t)bar;
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/resource", name);

	if (r == 0)
		r = attr_read_all(rootfd, path, RANGES_MAX, &text, &len);
	if (r == 0)
		r = text_split(text, " \n", &words);
	if (r != 0)
		return r;
	if (words.nr < first + 3 || parse_hex(words.names[first], ret_start) < 0 ||
	    parse_hex(words.names[first + 1], ret_end) < 0)
		return -ENXIO;
	return 0;
}

/* Return: the kernel's number for the BAR's size now, -ENXIO when it has none, else -errno */
static int size_now(int rootfd, const char *name, unsigned int bar)
{
	unsigned long long start, end;
	int size, r = read_range(rootfd, name, bar, &start, &end);

	if (r != 0)
		return r;
	for (size = 0; end > start && size < 63 - SIZE_0_SHIFT; size++)
		if (end - start < 1ULL << (size + SIZE_0_SHIFT))
			return size;
	return -ENXIO;
}

/* Return: 1 the BAR can be made that large, 0 not, -ENOENT it cannot be resized, else -errno */
static int can_be(int rootfd, const char *name, const struct pcibar *bar)
{
	unsigned long long sizes;
	char path[PATH_MAX], text[64];
	int r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/resource%u_resize", name,
			    bar->bar);

	if (r == 0)
		r = attr_read(rootfd, path, text, sizeof(text));
	if (r >= 0)
		r = parse_ull(text, 16, ULLONG_MAX, &sizes);
	return r < 0 ? r : (int)(sizes >> bar->size & 1);
}

int bars_can_be(int rootfd, const struct vfio_claim *claim, const struct pcibar *bar)
{
	for (size_t i = 0; i < claim->nr; i++) {
		int r = can_be(rootfd, claim->devices[i].name, bar);

		if (r == -ENOMEM || r > 0)
			return r;
	}
	return 0;
}

static int append(char list[static SAVED_MAX], unsigned int bar, int size)
{
	size_t len = strlen(list);

	return path_format(list + len, SAVED_MAX - len, "%s%u:%d", len ? " " : "", bar, size);
}

int bars_read(struct worker *worker, struct vfio_job *job)
{
	int rootfd = worker->ctx->rootfd, r = 0;

	for (size_t i = 0; r == 0 && i < job->nr_bars; i++) {
		const struct pcibar *bar = &job->bars[i];
		int now;

		if (can_be(rootfd, job->name, bar) <= 0)
			continue;
		/* Without it nobody could take it back */
		now = size_now(rootfd, job->name, bar->bar);
		r = now < 0 ? now : append(job->saved[SAVED_BARS], bar->bar, now);
	}
	return r;
}

/*
 * resize() - one BAR, and look whether it has that size then
 *
 * Return: 0, -ECANCELED, -EIO the kernel has said yes and done nothing, else as attr_write()
 */
static int resize(struct worker *worker, struct vfio_job *job, const struct pcibar *bar)
{
	int rootfd = worker->ctx->rootfd;
	char path[PATH_MAX], size[16];
	int r;

	if (size_now(rootfd, job->name, bar->bar) == (int)bar->size)
		return 0;
	(void)snprintf(size, sizeof(size), "%u", bar->size);
	r = path_format(path, sizeof(path), "sys/bus/pci/devices/%s/resource%u_resize", job->name,
			bar->bar);
	if (r == 0)
		r = worker_step(worker, job, MARK_ATTR, path, size);
	if (r < 0 || worker->ctx->dry_run)
		return r;
	return size_now(rootfd, job->name, bar->bar) == (int)bar->size ? 0 : -EIO;
}

/* The sizes that were read before: what is not there cannot be resized */
static int saved_bars(const struct vfio_job *job, struct strlist *ret)
{
	return text_split(job->saved[SAVED_BARS], " ", ret);
}

/* "0:14" */
static int parse_saved(const char *word, struct pcibar *ret)
{
	if (*word < '0' || *word >= '0' + PCIBAR_NR || word[1] != ':')
		return -EINVAL;
	ret->bar = (unsigned int)(*word - '0');
	return parse_uint(word + 2, 10, 63 - SIZE_0_SHIFT, &ret->size);
}

static bool is_saved(const struct strlist *saved, unsigned int bar)
{
	for (size_t i = 0; i < saved->nr; i++)
		if (saved->names[i][0] == (char)('0' + bar))
			return true;
	return false;
}

int bars_set(struct worker *worker, struct vfio_job *job)
{
	_cleanup_strlist_ struct strlist saved = { 0 };
	int r = saved_bars(job, &saved);

	for (size_t i = 0; r == 0 && i < job->nr_bars; i++) {
		const struct pcibar *bar = &job->bars[i];

		if (!is_saved(&saved, bar->bar))
			continue;
		r = resize(worker, job, bar);
		if (r < 0)
			return job_fail(job, r,
					"BAR %u of %s cannot be made %llu MiB large: %s: see "
					"dmesg, or take bars out of [vfio] in the policy",
					bar->bar, job->name, 1ULL << bar->size, strerror(-r));
	}
	return r;
}

/* A card with a small BAR is slower; one that is not given back for it would be lost */
int bars_restore(struct worker *worker, struct vfio_job *job)
{
	_cleanup_strlist_ struct strlist saved = { 0 };
	int r = saved_bars(job, &saved);

	for (size_t i = 0; r == 0 && i < saved.nr; i++) {
		struct pcibar bar;

		if (parse_saved(saved.names[i], &bar) < 0)
			continue;
		r = resize(worker, job, &bar);
		if (r == -ECANCELED)
			return r;
		if (r < 0)
			(void)job_fail(
				job, 0,
				"%s is back, but its BAR %u is not %llu MiB large as it was: "
				"%s: see dmesg; a reboot of the host restores it",
				job->name, bar.bar, 1ULL << bar.size, strerror(-r));
		r = 0;
	}
	return r;
}
