/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/policy_get.c - a checked policy's values, with their types */

#include <errno.h>
#include <string.h>

#include "../lib/units.h"
#include "policy_check.h"

/* The entry that decides a key. Return: NULL when neither file has it; *@ret_host tells which has */
static const struct inidoc_entry *find(const struct policy *policy, const char *section,
				       const char *key, bool *ret_host)
{
	const struct policy_key *row = policy_row(section, key);
	const char *sections[] = { section, row && !row->own ? row->section : section };

	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		const struct inidoc_entry *entry;

		entry = inidoc_next(&policy->guest, NULL, sections[i], key);
		*ret_host = !entry;
		if (!entry)
			entry = inidoc_next(&policy->host, NULL, sections[i], key);
		if (entry)
			return entry;
	}
	return NULL;
}

const char *policy_get(const struct policy *policy, const char *section, const char *key)
{
	bool host;
	const struct inidoc_entry *entry = find(policy, section, key, &host);

	return entry ? entry->value : "auto";
}

const char *policy_value(const struct policy *policy, const char *section, const char *key)
{
	const struct policy_key *row = policy_row(section, key);
	const char *value = policy_get(policy, section, key);
	bool host;

	if (!row || strcmp(value, "auto") != 0)
		return value;
	return row->auto_is_word && find(policy, section, key, &host) ? value : row->dflt;
}

int policy_bool(const struct policy *policy, const char *section, const char *key)
{
	return parse_bool(policy_value(policy, section, key));
}

int policy_ms(const struct policy *policy, const char *section, const char *key)
{
	int ms;

	if (parse_duration_ms(policy_value(policy, section, key), &ms) < 0)
		return -EINVAL;
	return ms;
}

int policy_kib(const struct policy *policy, const char *section, const char *key)
{
	unsigned long long kib;

	if (parse_size_kib(policy_value(policy, section, key), &kib) < 0)
		return -EINVAL;
	return (int)kib;
}

int policy_number(const struct policy *policy, const char *section, const char *key)
{
	return policy_input(policy_value(policy, section, key));
}

/* The words of a list, empty for "none" however it is surrounded */
static int split_list(const char *value, const char *ends, struct strlist *ret)
{
	int r = text_split(value, ends, ret);

	if (r == 0 && ret->nr == 1 && strcmp(ret->names[0], "none") == 0) {
		strlist_free(ret);
		*ret = (struct strlist){ 0 };
	}
	return r;
}

int policy_words(const struct policy *policy, const char *section, const char *key,
		 struct strlist *ret)
{
	_cleanup_strlist_ struct strlist words = { 0 }, list = { 0 };
	int r = split_list(policy_value(policy, section, key), POLICY_WORD_ENDS, &words);

	for (size_t i = 0; i < words.nr && r == 0; i++) {
		if (!strlist_has(&list, words.names[i]))
			r = strlist_add(&list, words.names[i]);
	}
	if (r < 0)
		return r;
	*ret = list;
	list = (struct strlist){ 0 };
	return 0;
}

static int cmp_addr(const void *a, const void *b)
{
	return pciaddr_cmp(a, b);
}

int policy_devices(const struct policy *policy, struct pciaddr_list *ret)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	_cleanup_pciaddr_list_ struct pciaddr_list list = { 0 };
	const char *value = policy_value(policy, "vfio", "devices");
	int r;

	if (strcmp(value, "auto") == 0)
		return 1;
	r = split_list(value, POLICY_BLANKS, &words);
	for (size_t i = 0; i < words.nr && r == 0; i++) {
		struct pciaddr addr;

		r = pciaddr_parse(words.names[i], &addr);
		if (r == 0 && !pciaddr_list_has(&list, &addr))
			r = pciaddr_list_add(&list, &addr);
	}
	if (r < 0)
		return r;
	if (list.nr > 0)
		qsort(list.addrs, list.nr, sizeof(*list.addrs), cmp_addr);
	*ret = list;
	list = (struct pciaddr_list){ 0 };
	return 0;
}

void policy_expects_free(struct policy_expects *list)
{
	for (size_t i = 0; i < list->nr; i++)
		free(list->expects[i].serial);
	free(list->expects);
	*list = (struct policy_expects){ 0 };
}

static int add_expect(struct policy_expects *list, const char *word)
{
	struct policy_expect *grown;
	int r;

	grown = reallocarray(list->expects, list->nr + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	list->expects = grown;
	r = policy_expect_parse(word, &grown[list->nr]);
	list->nr += r == 0;
	return r;
}

int policy_expects(const struct policy *policy, struct policy_expects *ret)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	_cleanup_policy_expects_ struct policy_expects list = { 0 };
	const char *value = policy_value(policy, "vfio", "expect");
	int r = 0;

	if (strcmp(value, "auto") != 0)
		r = text_split(value, POLICY_BLANKS, &words);
	for (size_t i = 0; i < words.nr && r == 0; i++)
		r = add_expect(&list, words.names[i]);
	if (r < 0)
		return r;
	*ret = list;
	list = (struct policy_expects){ 0 };
	return 0;
}

int policy_displays(const struct policy *policy, struct strlist *ret)
{
	_cleanup_strlist_ struct strlist list = { 0 };
	const struct inidoc *docs[] = { &policy->guest, &policy->host };
	int r = 0;

	for (size_t d = 0; d < ARRAY_SIZE(docs); d++) {
		for (size_t i = 0; i < docs[d]->nr && r == 0; i++) {
			const struct inidoc_entry *entry = &docs[d]->entries[i];

			if (strcmp(entry->key, "monitor") == 0 &&
			    !strlist_has(&list, entry->section) &&
			    strcmp(policy_value(policy, entry->section, "monitor"), "none") != 0)
				r = strlist_add(&list, entry->section);
		}
	}
	if (r < 0)
		return r;
	*ret = list;
	list = (struct strlist){ 0 };
	return 0;
}

void policy_where(const struct policy *policy, const char *section, const char *key, char *buf,
		  size_t size)
{
	bool host;
	const struct inidoc_entry *entry = find(policy, section, key, &host);

	if (entry)
		(void)snprintf(buf, size, "%s:%u", host ? "/" POLICY_HOST_FILE : policy->file,
			       entry->line);
	else
		(void)snprintf(buf, size, "%s", policy->file);
}
