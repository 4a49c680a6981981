/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/oldtree.c - what an older tree of scripts, in the way of VFIO-Tools, has to tell */
#include "oldtree.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/hookdir.h"
#include "../../lib/pciaddr.h"
#include "../../lib/units.h"

/*
 * How it works
 *
 * The scripts are shell, and no shell is run: words are looked for, line by line, as the guides
 * and collections that all copy from each other write them. Variables are not followed, but the
 * file that holds most of them, kvm.conf, is read as well when a script names it.
 */

#define VARIABLES  "etc/libvirt/hooks/kvm.conf"
#define SCRIPT_MAX ((size_t)256 * 1024)
#define BLANKS	   " \t;&|()\"'="

/* What a script has in it that usher does by itself; the first that fits */
static const struct {
	const char *word, *what;
} duties[] = {
	{ "nr_hugepages", "huge pages" },
	{ "compact_memory", "huge pages" },
	{ "driver_override", "PCI devices" },
	{ "nodedev-detach", "PCI devices" },
	{ "nodedev-reattach", "PCI devices" },
	{ "vfio-pci", "PCI devices" },
	{ "AllowedCPUs", "CPUs" },
	{ "cpuset.cpus", "CPUs" },
	{ "vfio-isolate", "CPUs" },
	{ "isolcpu", "CPUs" },
	{ "cset ", "CPUs" },
	{ "setvcp", "monitors" },
	{ "systemd-inhibit", "sleep" },
	{ "display-manager", "the host's screen" },
	{ "vtcon", "the host's screen" },
	{ "efi-framebuffer", "the host's screen" },
	{ "systemctl isolate", "the host's screen" },
};

void oldtree_free(struct oldtree *tree)
{
	strlist_free(&tree->paths);
	strlist_free(&tree->devices);
	*tree = (struct oldtree){ 0 };
}

/* --- one line ------------------------------------------------------------------------------------ */

static int add_device(const struct pciaddr *addr, struct oldtree *tree)
{
	char text[PCIADDR_STRLEN];

	pciaddr_format(addr, text);
	return strlist_has(&tree->devices, text) ? 0 : strlist_add(&tree->devices, text);
}

/* "pci_0000_01_00_0", as virsh nodedev-list has it. Return: 0, -ENOMEM */
static int read_device(const char *word, struct oldtree *tree)
{
	char text[PCIADDR_STRLEN];
	struct pciaddr addr;
	size_t len;

	if (strncmp(word, "pci_", 4) != 0 || path_format(text, sizeof(text), "%s", word + 4) < 0)
		return 0;
	len = strlen(text);
	if (len < 7 || text[len - 2] != '_')
		return 0;
	text[len - 2] = '.';
	for (char *at = strchr(text, '_'); at; at = strchr(at, '_'))
		*at = ':';
	return pciaddr_parse(text, &addr) < 0 ? 0 : add_device(&addr, tree);
}

/* "0000:01:00.0" as sysfs has it, also as a part of a path. Return: 0, -ENOMEM */
static int read_addresses(const char *line, struct oldtree *tree)
{
	static const char form[] = "xxxx:xx:xx.x";
	int r = 0;

	for (const char *at = line; r == 0 && *at; at++) {
		char text[PCIADDR_STRLEN];
		struct pciaddr addr;
		size_t n = 0;

		if (at > line && isalnum((unsigned char)at[-1]))
			continue;
		while (form[n] &&
		       (form[n] == 'x' ? isxdigit((unsigned char)at[n]) != 0 : at[n] == form[n]))
			n++;
		if (form[n] || isalnum((unsigned char)at[n]))
			continue;
		(void)snprintf(text, sizeof(text), "%.*s", (int)n, at);
		if (pciaddr_parse(text, &addr) == 0)
			r = add_device(&addr, tree);
	}
	return r;
}

/* "ddcutil setvcp 60 0x0f": 60 is hex, whatever is before it */
static void read_input(const struct strlist *words, size_t at, char *buf, size_t size)
{
	const char *feature = at + 2 < words->nr ? words->names[at + 1] : "";
	unsigned int input;

	if (strncmp(feature, "0x", 2) == 0 || *feature == 'x')
		feature = strchr(feature, 'x') + 1;
	if (strcmp(feature, "60") != 0 ||
	    parse_uint(words->names[at + 2], 0, UINT8_MAX, &input) < 0)
		return;
	(void)snprintf(buf, size, "0x%02x", input);
}

/* VFIO-Tools' switch_displays.sh has both inputs for both phases: VM_INPUT="12", hex without 0x */
static void read_variable(const char *name, const char *value, struct oldtree *tree)
{
	char *to = strcmp(name, "VM_INPUT") == 0     ? tree->guest_input
		   : strcmp(name, "HOST_INPUT") == 0 ? tree->host_input
						     : NULL;
	unsigned int input;

	if (to && parse_uint(value, 16, UINT8_MAX, &input) == 0)
		(void)snprintf(to, sizeof(tree->guest_input), "0x%02x", input);
}

static bool is_unit(const char *word, const char *name)
{
	size_t len = strlen(name);

	return strncmp(word, name, len) == 0 &&
	       (word[len] == '\0' || strcmp(word + len, ".service") == 0 ||
		strcmp(word + len, ".target") == 0);
}

/* "systemctl stop sddm.service" */
static bool ends_desktop(const struct strlist *words)
{
	static const char *const units[] = { "display-manager", "gdm",	"gdm3",	 "sddm",
					     "lightdm",		"lxdm", "greetd" };
	bool stops = strlist_has(words, "stop"), isolates = strlist_has(words, "isolate");

	for (size_t i = 0; i < words->nr; i++) {
		if (isolates && is_unit(words->names[i], "multi-user"))
			return true;
		for (size_t j = 0; stops && j < ARRAY_SIZE(units); j++)
			if (is_unit(words->names[i], units[j]))
				return true;
	}
	return false;
}

static bool is_after(const char *path)
{
	return strstr(path, "/stopped/") || strstr(path, "/release/");
}

static int read_line(const char *line, const char *path, struct oldtree *tree)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	bool after = is_after(path);
	int r = text_split(line, BLANKS, &words);

	if (r < 0 || words.nr == 0 || *words.names[0] == '#')
		return r;
	for (size_t i = 0; r == 0 && i < words.nr; i++) {
		if (strcmp(words.names[i], "setvcp") == 0)
			read_input(&words, i, after ? tree->host_input : tree->guest_input,
				   sizeof(tree->guest_input));
		r = read_device(words.names[i], tree);
		if (i + 1 < words.nr)
			read_variable(words.names[i], words.names[i + 1], tree);
	}
	if (r == 0)
		r = read_addresses(line, tree);
	if (!after && strlist_has(&words, "systemctl") && ends_desktop(&words))
		tree->display_manager = tree->paths.names[tree->paths.nr - 1];
	return r;
}

/* --- files --------------------------------------------------------------------------------------- */

/* Not what there is, but whether there is something is in doubt then */
static bool is_fault(int r)
{
	return r == -ENOMEM || r == -EIO;
}

/* @ret: NULL for what is no file to be read. Return: 0, -ENOMEM, -EIO */
static int read_script(int rootfd, const char *path, char **ret)
{
	size_t len;
	int r = attr_read_regular(rootfd, path, SCRIPT_MAX, ret, &len);

	return is_fault(r) ? r : 0;
}

/* @path: whose phase counts */
static int read_text(const char *text, const char *path, struct oldtree *tree)
{
	_cleanup_strlist_ struct strlist lines = { 0 };
	int r = text_split(text, "\n", &lines);

	for (size_t i = 0; r == 0 && i < lines.nr; i++)
		r = read_line(lines.names[i], path, tree);
	return r;
}

static int add_script(int rootfd, const char *path, struct oldtree *tree)
{
	_cleanup_free_ char *text = NULL, *variables = NULL;
	int r = read_script(rootfd, path, &text);

	if (r == 0)
		r = strlist_add(&tree->paths, path);
	if (r == 0 && text)
		r = read_text(text, path, tree);
	if (r == 0 && text && strstr(text, "kvm.conf"))
		r = read_script(rootfd, VARIABLES, &variables);
	return r == 0 && variables ? read_text(variables, path, tree) : r;
}

/* Every file below qemu.d/GUEST, two levels down, or one that is a script itself */
static int walk(int rootfd, const char *dir, int depth, struct oldtree *tree)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	int r = attr_list(rootfd, dir, &names);

	if (is_fault(r))
		return r;
	if (r < 0)
		return depth == 0 ? 0 : add_script(rootfd, dir, tree);
	r = 0;
	for (size_t i = 0; r == 0 && i < names.nr && depth < 4; i++) {
		char path[PATH_MAX];

		if (path_format(path, sizeof(path), "%s/%s", dir, names.names[i]) == 0)
			r = walk(rootfd, path, depth + 1, tree);
	}
	return r;
}

int oldtree_read(int rootfd, const char *guest, struct oldtree *ret)
{
	char path[PATH_MAX];

	if (hookdir_scripts(guest, path, sizeof(path)) < 0)
		return 0;
	return walk(rootfd, path, 0, ret);
}

/* --- the policy's section ------------------------------------------------------------------------ */

/* Return: 0, -ENOMEM, -EIO */
static int put_script(FILE *to, int rootfd, const char *guest, const char *path)
{
	_cleanup_free_ char *text = NULL, *printable = NULL, *why = NULL;
	const char *what = NULL;
	int r = text_printable(path, &printable), runs;

	if (r < 0)
		return r;
	if (!hookdir_is_place(guest, path)) {
		(void)fprintf(to, "# /%s: lies where nothing is run from\n", printable);
		return 0;
	}
	runs = hookdir_runs_script(rootfd, path, &why);
	if (runs < 0 && !why)
		return -ENOMEM;
	if (runs <= 0) {
		(void)fprintf(to, "# /%s: is not run: %s\n", printable,
			      why ?: "it cannot be executed: chmod +x it");
		return 0;
	}
	r = read_script(rootfd, path, &text);
	for (size_t i = 0; text && i < ARRAY_SIZE(duties) && !what; i++)
		if (strstr(text, duties[i].word))
			what = duties[i].what;
	(void)fprintf(to, "# /%s%s%s%s\n", printable, what ? ": it does " : "", what ?: "",
		      what ? ", as usher does: take that out" : "");
	return r;
}

int oldtree_put(FILE *to, int rootfd, const char *guest, const struct oldtree *tree)
{
	int r = 0;

	if (tree->paths.nr == 0)
		return 0;
	(void)fputs("\n[scripts]\n", to);
	for (size_t i = 0; r == 0 && i < tree->paths.nr; i++)
		r = put_script(to, rootfd, guest, tree->paths.names[i]);
	/* The collections that such trees come from have a hook of their own that runs them */
	if (hookdir_is_usher(rootfd, HOOKDIR_HOOK) == 0)
		(void)fputs("# /" HOOKDIR_HOOK
			    " is another hook, and may run them itself: with yes "
			    "they would run twice\n#",
			    to);
	(void)fputs("run = yes\n", to);
	return r;
}
