/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/status.c - usher status: who holds what, and a picture of the host */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/deadline.h"
#include "../../lib/holder.h"
#include "../../lib/state.h"
#include "../../lib/units.h"
#include "host.h"
#include "json.h"
#include "paint.h"

/* Every second CPU there can be */
#define LIST_MAX (CPULIST_MAX / 2 * sizeof("16382"))

/* All that is looked at, once */
struct picture {
	int rootfd;
	struct claims claims;
	int unreadable; /* claims that are left out */
	struct topology topology;
	struct host_devices devices;
	struct cpulist online, housekeeping;
	const char *guest; /* of this one alone; NULL: of all */
	struct missing missing;
};

static void picture_free(struct picture *picture)
{
	claims_free(&picture->claims);
	topology_free(&picture->topology);
	host_devices_free(&picture->devices);
	cleanup_close(&picture->rootfd);
}

static int picture_take(const struct request *request, struct picture *ret)
{
	int r = host_claims(ret->rootfd, &ret->claims);

	if (r < 0) {
		usher_say("cannot read /run/usher: %s: it is root's to read", strerror(-r));
		return r;
	}
	ret->unreadable = r;
	ret->guest = request->guest;
	host_claims_missing(&ret->claims, &ret->missing);
	r = topology_read(request->root, &ret->topology);
	(void)missing_add(&ret->missing, r, "this host's CPUs, as lstopo shows them");
	r = host_devices_read(ret->rootfd, &ret->devices);
	(void)missing_add(&ret->missing, r, "the PCI devices, as lspci -D shows them");
	missing_join(&ret->missing, &ret->devices.missing);
	r = host_cpus(ret->rootfd, &ret->online);
	(void)missing_add(&ret->missing, r, "which CPUs are online");
	if (r < 0)
		ret->online = (struct cpulist){ 0 };
	ret->housekeeping = ret->online;
	for (size_t i = 0; i < ret->claims.nr; i++) {
		struct cpulist cpus;

		claim_cpus(&ret->claims.claims[i], &cpus);
		cpulist_subtract(&ret->housekeeping, &cpus);
	}
	return 0;
}

static const char *cpus_text(const struct cpulist *cpus, char *buf, size_t size)
{
	return cpulist_format(cpus, buf, size) < 0 ? "(many)" : *buf ? buf : "none";
}

static const char *cpu_holder(const struct claims *claims, unsigned int cpu)
{
	for (size_t i = 0; i < claims->nr; i++) {
		struct cpulist cpus;

		claim_cpus(&claims->claims[i], &cpus);
		if (cpulist_has(&cpus, cpu))
			return claims->claims[i].guest;
	}
	return NULL;
}

/* Return: the descriptor, else -errno */
static int claim_dir(const struct picture *picture, const struct claim *claim)
{
	_cleanup_close_ int statefd = state_open(picture->rootfd, false);

	return statefd < 0 ? statefd : state_dir(statefd, claim->uuid, false);
}

/* --- what is stuck ---------------------------------------------------------------------------- */

/* A process that is inside the kernel */
struct stuck {
	char device[PCIADDR_STRLEN]; /* "": it is about the host's screen */
	char driver[64];
	char step[96];	     /* "unbind"; "load:nvidia_uvm" where it is not about the driver */
	char path[PATH_MAX]; /* of the screen: what is written to */
	struct process process;
	long long seconds;
};

static int parse_process(const char *pid, const char *start, const char *since, struct stuck *ret)
{
	unsigned long long since_ms;
	unsigned int number;

	if (parse_uint(pid, 10, INT_MAX, &number) < 0 ||
	    parse_ull(start, 10, ULLONG_MAX, &ret->process.start_time) < 0 ||
	    parse_ull(since, 10, LLONG_MAX, &since_ms) < 0)
		return -EBADMSG;
	ret->process.pid = (pid_t)number;
	ret->seconds = (now_ms() - (long long)since_ms) / 1000;
	return 0;
}

/* usher-vfio's: "DRIVER PID START STEP SINCE" */
static int parse_worker(const char *object, char **words, struct stuck *ret)
{
	_cleanup_free_ char *driver = NULL;
	int r = text_decode(words[0], &driver);

	if (r < 0)
		return r;
	(void)snprintf(ret->device, sizeof(ret->device), "%.19s", object);
	(void)snprintf(ret->driver, sizeof(ret->driver), "%.63s", driver);
	(void)snprintf(ret->step, sizeof(ret->step), "%.95s", words[3]);
	return parse_process(words[1], words[2], words[4], ret);
}

/* usher-seat's: "PID START SINCE PATH" */
static int parse_write(const char *object, char **words, struct stuck *ret)
{
	int r = path_format(ret->path, sizeof(ret->path), "/%s", words[3]);

	(void)object;
	return r < 0 ? r : parse_process(words[0], words[1], words[2], ret);
}

/* What helpers leave in a claim's directory of a process that they have left behind */
static const struct {
	const char *prefix; /* the object's name comes behind it */
	size_t nr_words;
	int (*parse)(const char *object, char **words, struct stuck *ret);
} marks[] = {
	{ "vfio.worker.", 5, parse_worker },
	{ "seat.left.", 4, parse_write },
};

/* Return: 1, 0 no mark, or its process is back, else -errno */
static int stuck_read(int rootfd, int dirfd, const char *file, struct stuck *ret)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t i = 0, len;
	int r;

	while (i < ARRAY_SIZE(marks) &&
	       strncmp(file, marks[i].prefix, strlen(marks[i].prefix)) != 0)
		i++;
	*ret = (struct stuck){ 0 };
	if (i == ARRAY_SIZE(marks))
		return 0;
	r = state_read(dirfd, file, &text, &len);
	if (r == 0)
		r = text_split(text, " \n", &words);
	if (r == 0 && words.nr != marks[i].nr_words)
		r = -EBADMSG;
	if (r == 0)
		r = marks[i].parse(file + strlen(marks[i].prefix), words.names, ret);
	return r < 0 ? r : process_alive(rootfd, &ret->process);
}

/* Every mark of a claim, one call each */
static void stuck_each(struct picture *picture, const struct claim *claim,
		       void (*each)(void *data, const struct stuck *stuck), void *data)
{
	_cleanup_close_ int dirfd = claim_dir(picture, claim);
	_cleanup_strlist_ struct strlist names = { 0 };
	int r = dirfd < 0 ? dirfd : attr_list(dirfd, ".", &names);

	(void)missing_add(&picture->missing, r, "what hangs of %s, in /run/usher/%s",
			  shown(claim->guest), claim->uuid);
	for (size_t i = 0; r == 0 && i < names.nr; i++) {
		struct stuck stuck;
		int found = stuck_read(picture->rootfd, dirfd, names.names[i], &stuck);

		(void)missing_add(&picture->missing, found, "what hangs of %s, from its %s",
				  shown(claim->guest), names.names[i]);
		if (found > 0)
			each(data, &stuck);
	}
}

/* --- who keeps the host awake --------------------------------------------------------------------- */

/* Return: 1, 0, -1 it is not known */
static int is_inhibited(struct picture *picture, const struct claim *claim)
{
	_cleanup_close_ int dirfd = claim_dir(picture, claim);
	int r = dirfd < 0 ? dirfd : holder_holds(picture->rootfd, dirfd, &claim->owner);

	return missing_add(&picture->missing, r, "whether %s keeps the host awake",
			   shown(claim->guest))
		       ? -1
		       : r > 0;
}

/* The host may sleep under it */
static bool lacks_inhibitor(struct picture *picture, const struct claim *claim)
{
	int r;

	if (claim->state != CLAIM_RUNNING || !inidoc_get(&claim->doc, "nosleep", "inhibit"))
		return false;
	r = process_alive(picture->rootfd, &claim->owner);
	(void)missing_add(&picture->missing, r, "whether %s runs", shown(claim->guest));
	return r > 0 && is_inhibited(picture, claim) == 0;
}

/* In doubt it is alive: nothing is taken from it */
static bool is_alive(struct picture *picture, const struct claim *claim)
{
	int r = registry_alive(picture->rootfd, claim);

	(void)missing_add(&picture->missing, r, "whether %s is alive", shown(claim->guest));
	return r != 0;
}

/* --- the claims as text ----------------------------------------------------------------------- */

static void print_device(const struct picture *picture, const char *value)
{
	const struct host_device *device;
	struct claim_device claimed;
	char addr[PCIADDR_STRLEN];

	if (claim_device_parse(value, &claimed) < 0)
		return;
	pciaddr_format(&claimed.addr, addr);
	device = host_device_find(&picture->devices, &claimed.addr);
	(void)printf("  device      %s %s, driver %s\n", addr, device ? device->name : "is gone",
		     device && *device->driver ? device->driver : "none");
}

static void print_need(struct picture *picture, const char *value)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	const char *nodes;
	unsigned long long kib;
	int r = text_split(value, " ", &words);

	if (missing_add(&picture->missing, r, "the huge pages: %s", value) || words.nr < 3 ||
	    parse_ull(words.names[0], 10, ULLONG_MAX, &kib) < 0)
		return;
	nodes = strcmp(words.names[1], "any") == 0 ? NULL : words.names[1];
	(void)printf("  huge pages  %s of %llu %s%s%s\n", words.names[2],
		     kib % 1048576 ? kib / 1024 : kib / 1048576, kib % 1048576 ? "MiB" : "GiB",
		     nodes ? " on node " : "", nodes ?: "");
}

static void print_values(const struct claim *claim, const char *section, const char *key,
			 const char *label)
{
	const struct inidoc_entry *entry = NULL;

	while ((entry = inidoc_next(&claim->doc, entry, section, key)))
		(void)printf("  %-11s %s\n", label, entry->value);
}

static void print_stuck_screen(const struct stuck *stuck)
{
	(void)printf(
		"  %sstuck%s       the host's screen: the kernel has not returned from a write "
		"to %s for %lld s (process %d): when it does, that process runs usher "
		"recover; only a reboot brings the screen back if it never does\n",
		paint(PAINT_ERROR), paint(PAINT_NONE), stuck->path, stuck->seconds,
		(int)stuck->process.pid);
}

static void print_stuck(void *data, const struct stuck *stuck)
{
	static const struct {
		const char *step, *what, *text;
	} named[] = {
		{ "load:", "module", "has not been loaded" },
		{ "service:", "unit", "has been neither stopped nor started" },
	};
	const char *what = "driver", *text = "has not let go of it";
	const char *name = *stuck->driver ? stuck->driver : "none";

	(void)data;
	if (!*stuck->device) {
		print_stuck_screen(stuck);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
		size_t len = strlen(named[i].step);

		if (strncmp(stuck->step, named[i].step, len) != 0)
			continue;
		what = named[i].what;
		text = named[i].text;
		name = stuck->step + len;
	}
	(void)printf("  %sstuck%s       %s: %s %s %s for %lld s (process %d): only a reboot "
		     "frees it if it never does\n",
		     paint(PAINT_ERROR), paint(PAINT_NONE), stuck->device, what, name, text,
		     stuck->seconds, (int)stuck->process.pid);
}

static void print_claim(struct picture *picture, const struct claim *claim)
{
	_cleanup_free_ char *guest = NULL;
	const struct inidoc_entry *entry = NULL;
	bool alive = is_alive(picture, claim);
	int r = text_printable(claim->guest, &guest);

	if (missing_add(&picture->missing, r, "what /run/usher/%s/" CLAIM_FILE " holds",
			claim->uuid))
		return;
	(void)printf("%s%s%s (%s): %s%s%s", paint(PAINT_GUEST), guest, paint(PAINT_NONE),
		     claim->uuid, paint(alive ? PAINT_OK : PAINT_ERROR),
		     alive ? claim_state_name(claim->state) : "dead", paint(PAINT_NONE));
	if (alive)
		(void)printf(", kept by process %d\n", (int)claim->owner.pid);
	else
		(void)printf(": usher recover gives back what it holds\n");
	while ((entry = inidoc_next(&claim->doc, entry, "vfio", "device")))
		print_device(picture, entry->value);
	print_values(claim, "cpuset", "cpus", "CPUs");
	while ((entry = inidoc_next(&claim->doc, entry, "hugepages", "need")))
		print_need(picture, entry->value);
	for (size_t i = 0; i < claim->doc.nr; i++)
		if (strcmp(claim->doc.entries[i].key, "monitor") == 0)
			(void)printf("  monitor     %s\n", claim->doc.entries[i].value);
	print_values(claim, "nosleep", "inhibit", "inhibits");
	if (lacks_inhibitor(picture, claim))
		(void)printf("  %sawake%s       not kept: no process holds the inhibitor: "
			     "usher-nosleep apply /run/usher/%s/" CLAIM_FILE "\n",
			     paint(PAINT_ERROR), paint(PAINT_NONE), claim->uuid);
	stuck_each(picture, claim, print_stuck, NULL);
}

/* --- the host as text --------------------------------------------------------------------------- */

static const char *cpu_label(const void *data, unsigned int cpu)
{
	const struct picture *picture = data;
	const char *holder = cpu_holder(&picture->claims, cpu);
	static char text[2][512];
	static unsigned int at;

	/* The one before is still looked at */
	at = !at;
	(void)snprintf(text[at], sizeof(text[at]), "%s%s%s",
		       paint(holder ? PAINT_GUEST : PAINT_DIM), shown(holder ?: "host"),
		       paint(PAINT_NONE));
	return text[at];
}

static void print_cpus(const struct picture *picture)
{
	char list[256], all[256];

	(void)printf("host: housekeeping CPUs %s of %s\n",
		     cpus_text(&picture->housekeeping, list, sizeof(list)),
		     cpus_text(&picture->online, all, sizeof(all)));
	topology_draw(&picture->topology, stdout, cpu_label, picture);
}

static void print_groups(const struct picture *picture)
{
	int last = -1;

	if (picture->devices.nr == 0 || picture->devices.devices[0].group < 0) {
		(void)printf("IOMMU groups: none: usher check says why\n");
		return;
	}
	(void)printf("IOMMU groups\n");
	for (size_t i = 0; i < picture->devices.nr; i++) {
		const struct host_device *device = &picture->devices.devices[i];
		const char *holder = host_device_holder(&picture->claims, &device->addr);
		char addr[PCIADDR_STRLEN], group[16] = "";

		if (device->group < 0)
			continue;
		pciaddr_format(&device->addr, addr);
		if (device->group != last)
			(void)snprintf(group, sizeof(group), "%d", device->group);
		last = device->group;
		(void)printf("  %4s  %s %-40.40s %-14s%s%s%s\n", group, addr, device->name,
			     *device->driver ? device->driver : "-",
			     paint(holder ? PAINT_GUEST : PAINT_DIM), shown(holder ?: "host"),
			     paint(PAINT_NONE));
	}
}

static bool is_asked(const struct picture *picture, const struct claim *claim)
{
	return !picture->guest || strcmp(picture->guest, claim->guest) == 0;
}

static void print_text(struct picture *picture)
{
	size_t shown = 0;

	for (size_t i = 0; i < picture->claims.nr; i++) {
		if (!is_asked(picture, &picture->claims.claims[i]))
			continue;
		print_claim(picture, &picture->claims.claims[i]);
		shown++;
	}
	if (shown == 0)
		(void)printf("%s holds %s\n", picture->guest ?: "no guest",
			     picture->guest ? "nothing" : "anything");
	if (picture->unreadable)
		(void)printf("%d claims in /run/usher cannot be read (%s): what they hold stays "
			     "taken: install the usher that wrote them, or reboot\n",
			     picture->unreadable, picture->claims.why);
	if (picture->guest)
		return;
	print_cpus(picture);
	print_groups(picture);
}

/* --- the same for programs ---------------------------------------------------------------------- */

static void json_devices_of(struct json *json, const struct picture *picture,
			    const struct claim *claim)
{
	const struct inidoc_entry *entry = NULL;

	json_list(json, "devices");
	while ((entry = inidoc_next(&claim->doc, entry, "vfio", "device"))) {
		const struct host_device *device;
		struct claim_device claimed;
		char addr[PCIADDR_STRLEN];

		if (claim_device_parse(entry->value, &claimed) < 0)
			continue;
		pciaddr_format(&claimed.addr, addr);
		device = host_device_find(&picture->devices, &claimed.addr);
		json_object(json, NULL);
		json_string(json, "address", addr);
		json_string(json, "driver", device && *device->driver ? device->driver : NULL);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void json_pages_of(struct json *json, struct picture *picture, const struct claim *claim)
{
	const struct inidoc_entry *entry = NULL;

	json_list(json, "hugepages");
	while ((entry = inidoc_next(&claim->doc, entry, "hugepages", "need"))) {
		_cleanup_strlist_ struct strlist words = { 0 };
		unsigned long long kib = 0, pages = 0;

		if (missing_add(&picture->missing, text_split(entry->value, " ", &words),
				"the huge pages: %s", entry->value) ||
		    words.nr < 3 || parse_ull(words.names[0], 10, LLONG_MAX, &kib) < 0 ||
		    parse_ull(words.names[2], 10, LLONG_MAX, &pages) < 0)
			continue;
		json_object(json, NULL);
		json_number(json, "size_kib", (long long)kib);
		json_string(json, "nodes", words.names[1]);
		json_number(json, "pages", (long long)pages);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void json_stuck(void *data, const struct stuck *stuck)
{
	struct json *json = data;

	json_object(json, NULL);
	json_string(json, "address", *stuck->device ? stuck->device : NULL);
	json_string(json, "driver", *stuck->device ? stuck->driver : NULL);
	json_string(json, "path", *stuck->path ? stuck->path : NULL);
	json_number(json, "pid", stuck->process.pid);
	json_number(json, "seconds", stuck->seconds);
	json_close(json, '}');
}

static void json_claim(struct json *json, struct picture *picture, const struct claim *claim)
{
	int inhibited;

	json_object(json, NULL);
	json_string(json, "guest", claim->guest);
	json_string(json, "uuid", claim->uuid);
	json_string(json, "state", claim_state_name(claim->state));
	json_bool(json, "alive", is_alive(picture, claim));
	json_number(json, "owner", claim->owner.pid);
	json_devices_of(json, picture, claim);
	json_string(json, "cpus", inidoc_get(&claim->doc, "cpuset", "cpus"));
	json_pages_of(json, picture, claim);
	json_list(json, "monitors");
	for (size_t i = 0; i < claim->doc.nr; i++)
		if (strcmp(claim->doc.entries[i].key, "monitor") == 0)
			json_string(json, NULL, claim->doc.entries[i].value);
	json_close(json, ']');
	json_string(json, "inhibits", inidoc_get(&claim->doc, "nosleep", "inhibit"));
	inhibited = is_inhibited(picture, claim);
	if (inhibited < 0)
		json_string(json, "inhibited", NULL);
	else
		json_bool(json, "inhibited", inhibited > 0);
	json_list(json, "stuck");
	stuck_each(picture, claim, json_stuck, json);
	json_close(json, ']');
	json_close(json, '}');
}

/* "" is none: what is not known is null */
static void json_cpulist(struct json *json, const char *key, const struct cpulist *cpus, bool known)
{
	char list[LIST_MAX];

	if (cpulist_format(cpus, list, sizeof(list)) < 0)
		known = false;
	json_string(json, key, known ? list : NULL);
}

static void json_index(struct json *json, const char *key, int index)
{
	if (index < 0)
		json_string(json, key, NULL);
	else
		json_number(json, key, index);
}

static void json_cpus(struct json *json, const struct picture *picture)
{
	/* We run on one */
	bool known = !cpulist_empty(&picture->online);

	json_cpulist(json, "online", &picture->online, known);
	json_cpulist(json, "housekeeping", &picture->housekeeping, known);
	json_list(json, "cpus");
	for (size_t i = 0; i < picture->topology.nr; i++) {
		const struct host_cpu *cpu = &picture->topology.cpus[i];

		json_object(json, NULL);
		json_number(json, "cpu", cpu->cpu);
		json_index(json, "core", cpu->core);
		json_index(json, "l3", cpu->l3);
		json_index(json, "node", cpu->os_node);
		json_index(json, "package", cpu->package);
		json_string(json, "guest", cpu_holder(&picture->claims, cpu->cpu));
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void json_devices(struct json *json, const struct picture *picture)
{
	json_list(json, "devices");
	for (size_t i = 0; i < picture->devices.nr; i++) {
		const struct host_device *device = &picture->devices.devices[i];
		char addr[PCIADDR_STRLEN];

		pciaddr_format(&device->addr, addr);
		json_object(json, NULL);
		json_string(json, "address", addr);
		json_number(json, "group", device->group);
		json_string(json, "name", device->name);
		json_string(json, "driver", *device->driver ? device->driver : NULL);
		json_string(json, "guest", host_device_holder(&picture->claims, &device->addr));
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void print_json(struct picture *picture)
{
	struct json json;

	json_begin(&json, stdout, "status");
	json_list(&json, "guests");
	for (size_t i = 0; i < picture->claims.nr; i++)
		if (is_asked(picture, &picture->claims.claims[i]))
			json_claim(&json, picture, &picture->claims.claims[i]);
	json_close(&json, ']');
	json_number(&json, "unreadable", picture->unreadable);
	json_cpus(&json, picture);
	json_devices(&json, picture);
	json_end(&json);
}

static int run(const struct request *request)
{
	_cleanup_(picture_free) struct picture picture = { .rootfd = usher_root(request) };

	if (picture.rootfd < 0 || picture_take(request, &picture) < 0)
		return 1;
	(request->json ? print_json : print_text)(&picture);
	return missing_say(&picture.missing);
}

const struct command command_status = {
	.name = "status",
	.args = "[--json] [GUEST]",
	.help = "who holds what: guests, CPUs, PCI devices",
	.options = OPTION_JSON,
	.max_args = 1,
	.run = run,
};
