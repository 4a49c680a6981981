/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/irq_table.c - interrupts: as they are, and as they were */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/ini.h"
#include "../../lib/state.h"
#include "../../lib/units.h"
#include "irq.h"

#define TABLE_DIR  "host"
#define TABLE_FILE "irq.ini"
#define SECTION	   "irq"
#define NONE	   "none"

static void irq_free(struct irq *irq)
{
	free(irq->who);
}

void irqs_free(struct irqs *irqs)
{
	for (size_t i = 0; i < irqs->nr; i++)
		irq_free(&irqs->list[i]);
	free(irqs->list);
	*irqs = (struct irqs){ 0 };
}

int irqs_add(struct irqs *irqs, const struct irq *irq)
{
	struct irq *grown = irqs->list;

	/* A host has hundreds: not one step each */
	if (irqs->nr % 64 == 0)
		grown = reallocarray(grown, irqs->nr + 64, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	irqs->list = grown;
	grown[irqs->nr++] = *irq;
	return 0;
}

void irqs_add_before(struct irqs *irqs, const struct cpulist *held)
{
	struct cpulist *before = irqs->held + 1;

	if (cpulist_empty(held))
		return;
	for (size_t i = 0; i < irqs->nr_before; i++)
		if (cpulist_equal(&before[i], held))
			return;
	/* The eldest goes */
	if (irqs->nr_before == IRQS_BEFORE_MAX)
		memmove(before, before + 1, --irqs->nr_before * sizeof(*before));
	before[irqs->nr_before++] = *held;
}

struct irq *irqs_find(struct irqs *irqs, unsigned int number)
{
	for (size_t i = 0; i < irqs->nr; i++)
		if (irqs->list[i].number == number)
			return &irqs->list[i];
	return NULL;
}

/* --- What there is ------------------------------------------------------------------------------- */

/*
 * The handlers' names are those of the directories. Return: 1, 0 when nobody handles it or it has gone,
 * else -errno
 * ABI: register_handler_proc() in kernel/irq/proc.c, 6.12
 */
static int read_who(const struct cpuset_job *job, const char *dir, char **ret)
{
	_cleanup_strlist_ struct strlist names = { 0 };
	_cleanup_free_ char *who = NULL;
	int r = attr_list_dirs(job->ctx->rootfd, dir, &names);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	for (size_t i = 0; i < names.nr; i++)
		if ((who && text_append(&who, ",") < 0) || text_append(&who, names.names[i]) < 0)
			return -ENOMEM;
	*ret = TAKE_PTR(who);
	return *ret != NULL;
}

static int read_node(const struct cpuset_job *job, const char *dir)
{
	char path[PATH_MAX], text[ATTR_MAX];
	unsigned int node;

	if (path_format(path, sizeof(path), "%s/node", dir) < 0 ||
	    attr_read(job->ctx->rootfd, path, text, sizeof(text)) < 0 ||
	    parse_uint(text, 10, CPULIST_MAX, &node) < 0)
		return -1;
	return (int)node;
}

/* One that nobody handles for now has the name it is known by. Return: as read_who() */
static int find_who(const struct cpuset_job *job, const char *dir, const struct irq *old,
		    char **ret)
{
	int r = read_who(job, dir, ret);

	if (r != 0 || !old)
		return r;
	*ret = strdup(old->who);
	return *ret ? 1 : -ENOMEM;
}

/* An interrupt's is the same as long as it is there; what was loaded does not have it */
static int find_node(const struct cpuset_job *job, const char *dir, const struct irq *old,
		     const struct irq *now)
{
	return old && old->node >= 0 && strcmp(old->who, now->who) == 0 ? old->node
									: read_node(job, dir);
}

/*
 * In a dry run before the guest runs: is it one of its devices', which goes with the host's driver
 * ABI: Documentation/ABI/testing/sysfs-bus-pci, msi_irqs
 */
static bool is_leaving(const struct cpuset_job *job, unsigned int number)
{
	const struct inidoc_entry *entry = NULL;
	char path[PATH_MAX];

	while (job->ahead && (entry = inidoc_next(&job->ctx->claim.doc, entry, "vfio", "device"))) {
		int len = (int)strcspn(entry->value, " ");

		if (path_format(path, sizeof(path), "sys/bus/pci/devices/%.*s/msi_irqs/%u", len,
				entry->value, number) == 0 &&
		    attr_exists(job->ctx->rootfd, path) > 0)
			return true;
	}
	return false;
}

/*
 * One that goes while it is read is -EIO, and not there at the next look. Taken for gone, one that is
 * there would lose what it had.
 * ABI: proc_reg_read() in fs/proc/inode.c, 6.12
 */
static int read_affinity(const struct cpuset_job *job, const char *dir, char *buf, size_t size)
{
	char path[PATH_MAX];
	int r = path_format(path, sizeof(path), "%s/smp_affinity_list", dir);

	if (r == 0)
		r = attr_read(job->ctx->rootfd, path, buf, size);
	return r == -EIO ? attr_read(job->ctx->rootfd, path, buf, size) : r;
}

/* Return: 0, also for one that is none, has gone or is about to, else -errno */
static int scan_irq(const struct cpuset_job *job, const char *name, struct irqs *known,
		    struct irqs *irqs)
{
	struct irq irq = { .here = true };
	char dir[64], text[ATTR_MAX];
	const struct irq *old;
	int r;

	if (parse_uint(name, 10, INT_MAX, &irq.number) < 0 || is_leaving(job, irq.number) ||
	    path_format(dir, sizeof(dir), "proc/irq/%u", irq.number) < 0)
		return 0;
	r = read_affinity(job, dir, text, sizeof(text));
	if (r < 0 || cpulist_parse(text, &irq.now) < 0)
		return r < 0 && r != -ENOENT ? r : 0;
	old = irqs_find(known, irq.number);
	r = find_who(job, dir, old, &irq.who);
	if (r <= 0)
		return r;
	irq.node = find_node(job, dir, old, &irq);
	irq.base = irq.now;
	r = irqs_add(irqs, &irq);
	if (r < 0)
		irq_free(&irq);
	return r;
}

int irqs_scan(const struct cpuset_job *job, struct irqs *known, struct irqs *ret)
{
	_cleanup_irqs_ struct irqs irqs = { 0 };
	_cleanup_strlist_ struct strlist names = { 0 };
	int r = attr_list(job->ctx->rootfd, "proc/irq", &names);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	for (size_t i = 0; r == 0 && i < names.nr; i++)
		r = scan_irq(job, names.names[i], known, &irqs);
	if (r < 0)
		return r;
	*ret = irqs;
	irqs = (struct irqs){ 0 };
	return 0;
}

/* --- The file ------------------------------------------------------------------------------------ */

static int parse_cpus(struct cpulist *ret, const char *word)
{
	if (strcmp(word, NONE) == 0) {
		*ret = (struct cpulist){ 0 };
		return 0;
	}
	return cpulist_parse(word, ret) < 0 ? -EBADMSG : 0;
}

static int parse_default(struct irqs *irqs, char **words)
{
	return parse_cpus(&irqs->dflt, words[0]);
}

static int parse_held(struct irqs *irqs, char **words)
{
	return parse_cpus(&irqs->held[0], words[0]);
}

static int parse_before(struct irqs *irqs, char **words)
{
	struct cpulist held;
	int r = parse_cpus(&held, words[0]);

	if (r == 0)
		irqs_add_before(irqs, &held);
	return r;
}

static int parse_balancer(struct irqs *irqs, char **words)
{
	unsigned int pid;

	if (parse_uint(words[0], 10, INT_MAX, &pid) < 0)
		return -EBADMSG;
	irqs->balancer = (pid_t)pid;
	return parse_cpus(&irqs->banned, words[1]);
}

static int parse_irq(struct irqs *irqs, char **words)
{
	struct irq irq = { .node = -1 };
	int r;

	if (parse_uint(words[0], 10, INT_MAX, &irq.number) < 0 ||
	    parse_cpus(&irq.base, words[1]) < 0)
		return -EBADMSG;
	r = text_decode(words[2], &irq.who);
	if (r == 0)
		r = irqs_add(irqs, &irq);
	if (r < 0)
		irq_free(&irq);
	return r;
}

static int parse_fixed(struct irqs *irqs, char **words)
{
	int r = parse_irq(irqs, words);

	if (r == 0)
		irqs->list[irqs->nr - 1].fixed = true;
	return r;
}

static const struct {
	const char *key;
	size_t nr_words;
	int (*parse)(struct irqs *irqs, char **words);
} keys[] = {
	{ "default", 1, parse_default },   { "held", 1, parse_held }, { "before", 1, parse_before },
	{ "balancer", 2, parse_balancer }, { "irq", 3, parse_irq },   { "fixed", 3, parse_fixed },
};

static int parse_entry(struct irqs *irqs, const struct inidoc_entry *entry)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	int r = text_split(entry->value, " ", &words);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(keys); i++)
		if (strcmp(keys[i].key, entry->key) == 0)
			return words.nr == keys[i].nr_words ? keys[i].parse(irqs, words.names)
							    : -EBADMSG;
	return r < 0 ? r : -EBADMSG;
}

int irqs_load(const struct cpuset_job *job, struct irqs *ret)
{
	_cleanup_irqs_ struct irqs irqs = { .known = true };
	_cleanup_inidoc_ struct inidoc doc = { 0 };
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int dirfd = -1;
	struct ini_error err;
	size_t len;
	int r;

	*ret = (struct irqs){ 0 };
	if (job->ctx->statefd < 0)
		return 0;
	dirfd = state_dir(job->ctx->statefd, TABLE_DIR, false);
	r = dirfd < 0 ? dirfd : state_read(dirfd, TABLE_FILE, &text, &len);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = inidoc_parse(text, len, &doc, &err);
	for (size_t i = 0; r == 0 && i < doc.nr; i++)
		r = parse_entry(&irqs, &doc.entries[i]);
	if (r < 0)
		return r;
	*ret = irqs;
	irqs = (struct irqs){ 0 };
	return 0;
}

static int add_cpus(struct inidoc *doc, const char *key, const char *first,
		    const struct cpulist *cpus, const char *last)
{
	char list[ATTR_MAX];
	int r = cpulist_format(cpus, list, sizeof(list));

	return r < 0 ? r
		     : inidoc_addf(doc, SECTION, key, "%s%s%s", first, *list ? list : NONE, last);
}

static int add_irq(struct inidoc *doc, const struct irq *irq)
{
	_cleanup_free_ char *who = NULL, *last = NULL;
	char number[16];
	int r = text_encode(irq->who, &who);

	if (r == 0)
		r = path_format(number, sizeof(number), "%u ", irq->number);
	if (r == 0 && asprintf(&last, " %s", who) < 0) {
		last = NULL;
		r = -ENOMEM;
	}
	return r < 0 ? r : add_cpus(doc, irq->fixed ? "fixed" : "irq", number, &irq->base, last);
}

static int format(const struct irqs *irqs, struct inidoc *doc)
{
	char pid[16];
	int r = add_cpus(doc, "default", "", &irqs->dflt, "");

	if (r == 0)
		r = add_cpus(doc, "held", "", &irqs->held[0], "");
	for (size_t i = 1; r == 0 && i <= irqs->nr_before; i++)
		r = add_cpus(doc, "before", "", &irqs->held[i], "");
	if (r == 0)
		r = path_format(pid, sizeof(pid), "%d ", (int)irqs->balancer);
	if (r == 0 && irqs->balancer)
		r = add_cpus(doc, "balancer", pid, &irqs->banned, "");
	for (size_t i = 0; r == 0 && i < irqs->nr; i++)
		if (irqs->list[i].here)
			r = add_irq(doc, &irqs->list[i]);
	return r;
}

int irqs_store(const struct cpuset_job *job, const struct irqs *irqs)
{
	_cleanup_inidoc_ struct inidoc doc = { 0 };
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int dirfd = -1;
	size_t len = 0;
	int r = format(irqs, &doc);

	if (r == 0)
		r = inidoc_format(&doc, &text, &len);
	if (r < 0 || job->ctx->dry_run)
		return r;
	dirfd = state_dir(job->ctx->statefd, TABLE_DIR, true);
	return dirfd < 0 ? dirfd : state_write(dirfd, TABLE_FILE, text, len);
}

int irqs_forget(const struct cpuset_job *job)
{
	_cleanup_close_ int dirfd = -1;

	if (job->ctx->dry_run)
		return 0;
	dirfd = state_dir(job->ctx->statefd, TABLE_DIR, false);
	return dirfd < 0 ? dirfd : state_remove(dirfd, TABLE_FILE);
}
