/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/check_guest.c - usher check: one guest's rows */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/hookdir.h"
#include "check.h"
#include "oldtree.h"

/* --- what a start would refuse ---------------------------------------------------------------------- */

/* usher init would not write one either where usher.ini says no */
static void check_no_policy(struct check *check)
{
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL, *none = NULL;
	const struct guest_ask ask = {
		.policy = GUEST_ASK_EMPTY, .beside = GUEST_ASK_EMPTY, .why = &why, .none = &none
	};

	if (guest_claim(check->request, &check->guest, &ask, &claim) > 0)
		found(check, LEVEL_WARNING,
		      "the guest has no policy, and a new one %s: take that line out, then usher "
		      "init %s",
		      none, quoted(check->guest.name));
	else
		found(check, LEVEL_WARNING,
		      "the guest has no policy, so usher does nothing for it: usher init %s",
		      quoted(check->guest.name));
}

static void check_policy(struct check *check)
{
	if (check->refused)
		found(check, LEVEL_ERROR, "%s", check->refused);
	else if (check->none && strcmp(check->none, GUEST_NO_POLICY) == 0)
		check_no_policy(check);
	else if (check->none)
		found(check, LEVEL_WARNING,
		      "the guest %s, so usher does nothing for it: set enabled = yes in [guest] of "
		      "its policy (usher edit %s)",
		      check->none, quoted(check->guest.name));
}

/* --- devices ---------------------------------------------------------------------------------------- */

/* SeaBIOS runs no GPU's firmware without the legacy VGA ranges, which libvirt passes to no guest */
static void check_firmware(struct check *check)
{
	if (!check->has_gpu ||
	    guest_has(check, "/domain/os[@firmware='efi'] | /domain/os/loader[@type='pflash']"))
		return;
	found(check, LEVEL_NOTE,
	      "the guest boots by BIOS, and shows nothing on a passed GPU before its own driver "
	      "runs: choose UEFI (Firmware, in virt-manager's Overview) when it is installed anew");
}

static void check_machine(struct check *check)
{
	_cleanup_free_ char *machine = guest_text(check, "string(/domain/os/type/@machine)");

	check_firmware(check);
	if (!check->has_pci || !machine ||
	    (strncmp(machine, "pc-i440fx", 9) != 0 && strcmp(machine, "pc") != 0))
		return;
	found(check, LEVEL_WARNING,
	      "the guest is an old PC (%s), in which a PCI Express device is a plain PCI one: make "
	      "it machine='q35'",
	      machine);
}

/* Where udev has the disk by its own identity. Return: a path below dev/disk, NULL when nowhere */
static char *stable_name(int rootfd, const char *node)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	const char *base = strrchr(node, '/') + 1;
	char *name = NULL;

	if (attr_list(rootfd, "dev/disk/by-id", &names) < 0)
		return NULL;
	for (size_t i = 0; i < names.nr && !name; i++) {
		char path[PATH_MAX], target[NAME_MAX + 1];

		if (path_format(path, sizeof(path), "dev/disk/by-id/%s", names.names[i]) == 0 &&
		    attr_link(rootfd, path, target, sizeof(target)) > 0 &&
		    strcmp(target, base) == 0 && asprintf(&name, "/%s", path) < 0)
			return NULL;
	}
	return name;
}

static bool is_unstable(const char *dev)
{
	static const char *const unstable[] = { "/dev/sd",  "/dev/nvme",   "/dev/vd",	"/dev/hd",
						"/dev/xvd", "/dev/mmcblk", "/dev/loop", "/dev/dm-",
						"/dev/md",  "/dev/zd",	   "/dev/nbd" };

	/* /dev/md/home is a name */
	for (size_t i = 0; i < ARRAY_SIZE(unstable); i++) {
		size_t len = strlen(unstable[i]);

		if (strncmp(dev, unstable[i], len) == 0 && dev[len] != '/')
			return true;
	}
	return false;
}

/* An empty drive has no source, so it is none of these */
static void check_disks(struct check *check)
{
	for (unsigned int i = 1; i < 256; i++) {
		_cleanup_free_ char *dev = NULL, *stable = NULL;
		char xpath[96];

		(void)snprintf(xpath, sizeof(xpath),
			       "string((/domain/devices/disk[@type='block']/source/@dev)[%u])", i);
		dev = guest_text(check, xpath);
		if (!dev || !*dev)
			return;
		if (!is_unstable(dev))
			continue;
		stable = stable_name(check->rootfd, dev);
		found(check, LEVEL_WARNING,
		      "disk %s can be another disk after the next boot: name it by its identity, "
		      "%s",
		      dev, stable ?: "as ls -l /dev/disk/by-id shows it");
	}
}

/* Source: libvirt's qemu_domain.c: where none is named the controller is an lsilogic */
static bool has_emulated_scsi(const struct check *check)
{
	return guest_has(check,
			 "/domain/devices/disk[not(@device) or @device='disk'][target/@bus='scsi'] "
			 "and /domain/devices/controller[@type='scsi']"
			 "[not(starts-with(@model, 'virtio'))]");
}

static void check_virtio(struct check *check)
{
	if (guest_has(check, "/domain/devices/disk[not(@device) or @device='disk']"
			     "[target/@bus='ide' or target/@bus='sata' or target/@bus='usb' or "
			     "target/@bus='fdc' or target/@bus='sd']") ||
	    has_emulated_scsi(check))
		found(check, LEVEL_WARNING,
		      "a disk is on an emulated controller: give it bus='virtio' (install the "
		      "virtio drivers in a Windows guest first)");
	/* virtio, virtio-transitional, virtio-non-transitional; vdpa is nothing else */
	if (guest_has(check, "/domain/devices/interface[@type!='hostdev' and @type!='vdpa']"
			     "[not(starts-with(model/@type, 'virtio'))]"))
		found(check, LEVEL_WARNING,
		      "a network card is emulated: give it <model type='virtio'/> (install the "
		      "virtio drivers in a Windows guest first)");
}

static void check_video(struct check *check)
{
	if (check->has_gpu && guest_has(check, "/domain/devices/video[not(model/@type='none')]"))
		found(check, LEVEL_WARNING,
		      "an emulated video device stands beside the passed GPU: the guest may show "
		      "its "
		      "desktop there: remove Video and Display in virt-manager once the GPU works");
}

static void check_balloon(struct check *check)
{
	/* libvirt adds one where the XML has none */
	if (check->has_pci && guest_has(check, "not(/domain/devices/memballoon[@model='none'])"))
		found(check, LEVEL_WARNING,
		      "the memory balloon is of no use with a passed device, whose guest's memory "
		      "is "
		      "locked: set <memballoon model='none'/>");
}

static void check_cpu_model(struct check *check)
{
	if (check->has_pci && !guest_has(check, "/domain/cpu[@mode='host-passthrough' or "
						"@mode='host-model' or @mode='maximum']"))
		found(check, LEVEL_WARNING,
		      "the guest does not see the host's CPU: set <cpu mode='host-passthrough'/>");
}

/* --- an older tree of scripts ------------------------------------------------------------------------ */

/* Those that the policy would have run, and that are not */
static void find_deaf_scripts(struct check *check)
{
	_cleanup_oldtree_ struct oldtree tree = { 0 };

	if (check_lacks(check, oldtree_read(check->rootfd, check->guest.name, &tree),
			"the guest's scripts"))
		return;
	for (size_t i = 0; i < tree.paths.nr; i++) {
		const char *path = tree.paths.names[i];
		_cleanup_free_ char *why = NULL;
		int r = hookdir_runs_script(check->rootfd, path, &why);

		if (!hookdir_is_place(check->guest.name, path))
			found(check, LEVEL_WARNING,
			      "/%s lies where nothing is run from: move it to "
			      "OPERATION/SUBOPERATION "
			      "(prepare/begin, release/end: see usher-hook(8)), or away",
			      path);
		else if (r == 0)
			found(check, LEVEL_WARNING,
			      "/%s is not run, it cannot be executed: chmod +x it, or move it away",
			      path);
		else if (r < 0)
			found(check, LEVEL_ERROR,
			      "/%s is not run, %s, and look who can have written it", path,
			      why ?: "others may write it");
	}
}

static void check_scripts(struct check *check)
{
	bool run = inidoc_has_section(&check->claim.doc, "scripts");
	int is = hookdir_is_usher(check->rootfd, HOOKDIR_HOOK);
	bool other = is == 0;
	char path[PATH_MAX];
	int r = hookdir_scripts(check->guest.name, path, sizeof(path));

	if (r == 0)
		r = attr_exists(check->rootfd, path);
	if (r < 0 && r != -EINVAL && r != -ENAMETOOLONG)
		(void)check_lacks(check, r, "/" HOOKDIR_SCRIPTS);
	if (r <= 0 || (is < 0 && check_lacks(check, is, "/" HOOKDIR_HOOK)))
		return;
	if (run)
		find_deaf_scripts(check);
	if (run && !other)
		return;
	if (run)
		found(check, LEVEL_WARNING,
		      "/%s may be run twice, by usher and by the hook beside it: remove that hook, "
		      "or run = yes",
		      path);
	else if (other)
		found(check, LEVEL_NOTE,
		      "/%s has scripts, which /" HOOKDIR_HOOK
		      " is left to run: if it does not, set "
		      "run = yes in [scripts] of the policy",
		      path);
	else
		found(check, LEVEL_WARNING,
		      "/%s has scripts that nobody runs: set run = yes in [scripts] of the policy, "
		      "or remove them",
		      path);
}

const struct check_row check_guest_rows[] = {
	{ "policy", "the policy fits the guest and this host", true, check_policy },
	{ "steps", "every step of a start could work now", true, check_steps },
	{ "pins", "nothing is wrong with the pins", true, check_pins },
	{ "tick", "no tick interrupts the guest's CPUs", true, check_tick },
	{ "siblings", "the guest has whole cores", true, check_siblings },
	{ "topology", "the guest's cores are those of the host", true, check_topology },
	{ "nodes", "CPUs and memory are of one NUMA node", true, check_nodes },
	{ "machine", "the machine type suits the devices", true, check_machine },
	{ "disks", "disks have stable names", true, check_disks },
	{ "virtio", "disks and network cards are virtio", true, check_virtio },
	{ "video", "no video device stands beside a GPU", true, check_video },
	{ "balloon", "no balloon stands in a passed device's way", true, check_balloon },
	{ "cpu", "the guest sees the host's CPU", true, check_cpu_model },
	{ "autostart", "no guest of the host's start is in the way", true, check_autostart },
	{ "scripts", "no older scripts are left aside", true, check_scripts },
};
const size_t check_nr_guest_rows = ARRAY_SIZE(check_guest_rows);
