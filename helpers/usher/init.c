/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/init.c - usher init: a policy from the guest's XML and this host */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../../lib/attr.h"
#include "capture.h"
#include "guest.h"
#include "host.h"
#include "oldtree.h"
#include "policyfile.h"

/*
 * How it works
 *
 * What the hook would claim with an empty policy is written down as comments, and what ties
 * the policy to this guest and these devices ([guest] uuid, [vfio] expect) as keys: a renumbered
 * device is then noticed before it is taken. A tree of scripts in the way of VFIO-Tools goes on
 * working ([scripts] run = yes; a comment where another hook may run them); those that do what
 * usher does are named, and what they say of devices, inputs of the monitor and the host's desktop
 * stands beside the key it belongs to.
 */

static bool is_claimed(const struct claim *claim, const char *name)
{
	const struct inidoc_entry *entry = NULL;

	while ((entry = inidoc_next(&claim->doc, entry, "vfio", "device"))) {
		struct claim_device claimed;
		char addr[PCIADDR_STRLEN];

		if (claim_device_parse(entry->value, &claimed) < 0)
			continue;
		pciaddr_format(&claimed.addr, addr);
		if (strcmp(addr, name) == 0)
			return true;
	}
	return false;
}

/* What the older scripts say of devices and of who uses them */
static void put_old_devices(FILE *to, const struct claim *claim, const struct oldtree *old)
{
	_cleanup_free_ char *script = NULL;

	for (size_t i = 0; i < old->devices.nr; i++)
		if (!is_claimed(claim, old->devices.names[i]))
			(void)fprintf(to,
				      "# the scripts below name %s, too, which is not in the "
				      "guest's XML: add it there\n",
				      old->devices.names[i]);
	if (old->display_manager && text_printable(old->display_manager, &script) == 0)
		(void)fprintf(to,
			      "# /%s ends the host's desktop; usher does so when a device is in "
			      "use, and told to\n#in_use = stop-seat\n",
			      script);
}

static void put_devices(FILE *to, const struct host_devices *host, const struct claim *claim,
			const struct oldtree *old)
{
	const struct inidoc_entry *entry = NULL;
	const char *blank = "";

	(void)fputs("\n[vfio]\n", to);
	put_old_devices(to, claim, old);
	while ((entry = inidoc_next(&claim->doc, entry, "vfio", "device"))) {
		const struct host_device *device;
		struct claim_device claimed;
		char addr[PCIADDR_STRLEN];

		if (claim_device_parse(entry->value, &claimed) < 0)
			continue;
		device = host_device_find(host, &claimed.addr);
		pciaddr_format(&claimed.addr, addr);
		if (device)
			(void)fprintf(to, "# %s %s, driver %s, IOMMU group %d\n", addr,
				      device->name, *device->driver ? device->driver : "none",
				      device->group);
	}
	(void)fputs("# refuse the start when the firmware has renumbered them\nexpect = ", to);
	while ((entry = inidoc_next(&claim->doc, entry, "vfio", "device"))) {
		struct claim_device claimed;
		char addr[PCIADDR_STRLEN];

		if (claim_device_parse(entry->value, &claimed) < 0)
			continue;
		pciaddr_format(&claimed.addr, addr);
		(void)fprintf(to, "%s%s=%04x:%04x", blank, addr, claimed.id.vendor,
			      claimed.id.device);
		blank = " ";
	}
	(void)fputc('\n', to);
}

static void put_pages(FILE *to, const struct claim *claim)
{
	const struct inidoc_entry *entry = NULL;

	(void)fputs("\n[hugepages]\n", to);
	while ((entry = inidoc_next(&claim->doc, entry, "hugepages", "need")))
		(void)fprintf(to, "# page size in KiB, host nodes, pages: %s\n", entry->value);
	(void)fputs("#pages = auto\n", to);
}

static void put_cpus(FILE *to, int rootfd, const struct claim *claim)
{
	struct cpulist cpus, left;
	char list[256] = "";

	claim_cpus(claim, &cpus);
	if (host_cpus(rootfd, &left) < 0)
		left = (struct cpulist){ 0 };
	cpulist_subtract(&left, &cpus);
	if (cpulist_format(&left, list, sizeof(list)) < 0)
		*list = '\0';
	(void)fprintf(to, "\n[cpuset]\n# the guest alone runs on CPUs %s; left to the host: %s\n",
		      inidoc_get(&claim->doc, "cpuset", "cpus"), list);
	(void)fputs("#isolate = auto\n", to);
}

/* As usher-display list prints them */
static int put_monitors(FILE *to, const struct request *request, const struct oldtree *old)
{
	_cleanup_capture_ struct capture capture = { 0 };
	_cleanup_strlist_ struct strlist lines = { 0 };
	_cleanup_free_ char *program = NULL;
	const char *argv[] = { NULL, "--root", request->root, "list", NULL };
	int r;

	if (asprintf(&program, "%s/usher-display", request->dir) < 0) {
		program = NULL;
		return -ENOMEM;
	}
	argv[0] = program;
	r = capture_run(argv, -1, 15000, &capture);
	/* A bus that hangs is no reason to have no policy */
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	/* Those that it has found, also when it could not look everywhere */
	r = text_split(capture.out, "\n", &lines);
	if (r < 0 || lines.nr == 0)
		return r;
	(void)fputs("\n[display]\n# monitors of this host (usher-display list):\n", to);
	for (size_t i = 0; i < lines.nr; i++)
		(void)fprintf(to, "#   %s\n", lines.names[i]);
	(void)fputs("# the monitor that shows the guest, and its input that the guest's GPU is "
		    "wired to\n#monitor = \n",
		    to);
	(void)fprintf(to, "#guest_input = %s\n", *old->guest_input ? old->guest_input : "hdmi1");
	if (*old->host_input)
		(void)fprintf(to, "#host_input = %s\n", old->host_input);
	return 0;
}

/* --- the whole ---------------------------------------------------------------------------------------- */

static int put_policy(FILE *to, const struct request *request, const char *guest,
		      const struct claim *claim)
{
	_cleanup_host_devices_ struct host_devices host = { 0 };
	_cleanup_close_ int rootfd = usher_root(request);
	_cleanup_oldtree_ struct oldtree old = { 0 };
	_cleanup_free_ char *name = NULL;
	int r = rootfd < 0 ? rootfd : host_devices_read(rootfd, &host);

	if (r == 0)
		r = text_printable(guest, &name);
	if (r == 0)
		r = oldtree_read(rootfd, guest, &old);
	if (r < 0)
		return r;
	(void)fprintf(to,
		      "# What usher does for the guest %s, written by usher init.\n"
		      "#\n"
		      "# An empty file would do: all is derived from the guest's XML. usher.ini(5) "
		      "has every key.\n"
		      "# usher check says what is wrong, usher plan what a start would do.\n\n"
		      "[guest]\n# this guest, and no other of its name\nuuid = %s\n",
		      name, claim->uuid);
	/* There is such a section for disks alone, too */
	if (inidoc_get(&claim->doc, "vfio", "device"))
		put_devices(to, &host, claim, &old);
	if (inidoc_has_section(&claim->doc, "hugepages"))
		put_pages(to, claim);
	if (inidoc_get(&claim->doc, "cpuset", "cpus"))
		put_cpus(to, rootfd, claim);
	else
		(void)fputs("\n[cpuset]\n# its XML pins no vCPU? pin = auto has whole cores "
			    "chosen for it\n#pin = auto\n",
			    to);
	if (inidoc_get(&claim->doc, "vfio", "device"))
		r = put_monitors(to, request, &old);
	return r < 0 ? r : oldtree_put(to, rootfd, guest, &old);
}

static bool may_overwrite(const struct request *request, const struct draft *draft)
{
	_cleanup_free_ char *old = NULL;

	if (draft_old(draft, &old) == 0 || request->force)
		return true;
	(void)fprintf(stderr, "usher: there is a policy already: %s\n", draft->real);
	if (ask("Overwrite it (y/N)?") == 'y')
		return true;
	usher_say("%s is as it was: usher edit changes it, --force overwrites it", draft->real);
	return false;
}

static int write_policy(const struct request *request, const struct guest *guest,
			const struct claim *claim)
{
	_cleanup_draft_ struct draft draft = DRAFT_INIT;
	int fd = draft_open(request, guest->name, &draft);
	FILE *to = fd < 0 ? NULL : fdopen(fd, "w");
	int r;

	if (!to && fd >= 0) {
		usher_say("cannot write %s: %s", draft.real, strerror(errno));
		(void)close(fd);
	}
	if (!to)
		return 1;
	r = put_policy(to, request, guest->name, claim);
	if (fclose(to) != 0 && r == 0)
		r = -EIO;
	if (r < 0) {
		usher_say("cannot write %s: %s", draft.real, strerror(-r));
		return 1;
	}
	if (!may_overwrite(request, &draft) || draft_check(request, guest->name, &draft) < 0 ||
	    draft_install(&draft) < 0)
		return 1;
	if (request->json)
		draft_json(&draft, "init", guest->name, true);
	else
		(void)printf("%s is written: usher check %s\n", draft.real, quoted(guest->name));
	return 0;
}

static int run(const struct request *request)
{
	_cleanup_guest_ struct guest guest = { 0 };
	_cleanup_claim_ struct claim claim = { 0 };
	/* What others hold now is no matter: two guests may have one card by turns */
	const struct guest_ask ask = { .policy = GUEST_ASK_EMPTY, .beside = GUEST_ASK_EMPTY };

	if (guest_get(request, &guest) < 0 || guest_claim(request, &guest, &ask, &claim) < 0)
		return 1;
	if (!claim.guest) {
		usher_say("usher.ini says enabled = no for every guest: take that line out first");
		return 1;
	}
	return write_policy(request, &guest, &claim);
}

const struct command command_init = {
	.name = "init",
	.args = "[--force] [--json] [--xml FILE] GUEST",
	.help = "write a policy from its XML and this host",
	.options = OPTION_JSON | OPTION_XML | OPTION_FORCE,
	.guest = true,
	.max_args = 1,
	.run = run,
};
