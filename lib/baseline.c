/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/baseline.c - what settings shared by several guests were before the first claim */
#include "baseline.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "attr.h"
#include "state.h"
#include "text.h"

#define SECTION "baseline"
#define KEY	"setting"

void baseline_close(struct baseline *baseline)
{
	inidoc_free(&baseline->doc);
	free(baseline->file);
	if (baseline->dirfd >= 0)
		(void)close(baseline->dirfd);
	if (baseline->lockfd >= 0)
		(void)close(baseline->lockfd);
	*baseline = (struct baseline){ .lockfd = -1, .dirfd = -1 };
}

static int load(struct baseline *baseline)
{
	_cleanup_free_ char *text = NULL;
	struct ini_error err;
	size_t len;
	int r = state_read(baseline->dirfd, baseline->file, &text, &len);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return inidoc_parse(text, len, &baseline->doc, &err);
}

static int store(const struct baseline *baseline)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (baseline->doc.nr == 0)
		return state_remove(baseline->dirfd, baseline->file);
	r = inidoc_format(&baseline->doc, &text, &len);
	return r < 0 ? r : state_write(baseline->dirfd, baseline->file, text, len);
}

int baseline_open(int statefd, const char *name, int timeout_ms, struct baseline *ret)
{
	_cleanup_baseline_ struct baseline baseline = { .lockfd = -1, .dirfd = -1 };
	bool locked = timeout_ms != BASELINE_READ;
	char lock[NAME_MAX + 1];
	int r = path_format(lock, sizeof(lock), "%s.lock", name);

	if (r < 0)
		return r;
	if (asprintf(&baseline.file, "%s.ini", name) < 0) {
		baseline.file = NULL;
		return -ENOMEM;
	}
	baseline.dirfd = state_dir(statefd, BASELINE_DIR, locked);
	if (baseline.dirfd < 0)
		return baseline.dirfd;
	if (locked)
		r = baseline.lockfd = state_lock(baseline.dirfd, lock, timeout_ms);
	if (r >= 0)
		r = load(&baseline);
	if (r < 0)
		return r;
	*ret = baseline;
	baseline = (struct baseline){ .lockfd = -1, .dirfd = -1 };
	return 0;
}

/* Return: 1 with the words SETTING VALUE, 0 when it is another setting, else -errno */
static int entry_match(const struct inidoc_entry *entry, const char *setting_word,
		       struct strlist *words)
{
	int r = text_split(entry->value, " ", words);

	if (r < 0)
		return r;
	if (words->nr != 2)
		return -EBADMSG;
	return strcmp(words->names[0], setting_word) == 0;
}

/* Return: 1 and the entry's index, 0 when nothing is kept, else -errno */
static int find(const struct baseline *baseline, const char *setting, size_t *ret, char **ret_value)
{
	_cleanup_free_ char *word = NULL;
	int r = text_encode(setting, &word);

	for (size_t i = 0; r == 0 && i < baseline->doc.nr; i++) {
		_cleanup_strlist_ struct strlist words = { 0 };

		r = entry_match(&baseline->doc.entries[i], word, &words);
		if (r > 0) {
			*ret = i;
			if (ret_value)
				r = text_decode(words.names[1], ret_value) ?: 1;
		}
	}
	return r;
}

int baseline_get(const struct baseline *baseline, const char *setting, char **ret)
{
	size_t index;

	return find(baseline, setting, &index, ret);
}

/* "SETTING VALUE" */
static int entry_text(const char *setting, const char *value, char **ret)
{
	_cleanup_free_ char *setting_word = NULL, *value_word = NULL;
	int r = text_encode(setting, &setting_word);

	if (r == 0)
		r = text_encode(value, &value_word);
	if (r < 0)
		return r;
	return asprintf(ret, "%s %s", setting_word, value_word) < 0 ? -ENOMEM : 0;
}

static void drop_entry(struct baseline *baseline, size_t index)
{
	struct inidoc_entry *entries = baseline->doc.entries;

	free(entries[index].section);
	free(entries[index].key);
	free(entries[index].value);
	memmove(&entries[index], &entries[index + 1],
		(baseline->doc.nr - index - 1) * sizeof(*entries));
	baseline->doc.nr--;
}

int baseline_keep(struct baseline *baseline, const char *setting, const char *value)
{
	_cleanup_free_ char *text = NULL;
	size_t index;
	int r = find(baseline, setting, &index, NULL);

	if (r != 0)
		return r < 0 ? r : 0;
	r = entry_text(setting, value, &text);
	if (r == 0)
		r = inidoc_addf(&baseline->doc, SECTION, KEY, "%s", text);
	if (r < 0)
		return r;
	r = store(baseline);
	/* What is not on disk is not kept: who asks again must hear so again */
	if (r < 0)
		drop_entry(baseline, baseline->doc.nr - 1);
	return r < 0 ? r : 1;
}

int baseline_renew(struct baseline *baseline, const char *setting, const char *value)
{
	_cleanup_free_ char *text = NULL;
	char *old;
	size_t index;
	int r = find(baseline, setting, &index, NULL);

	if (r == 0)
		r = baseline_keep(baseline, setting, value);
	else if (r > 0)
		r = entry_text(setting, value, &text);
	if (r < 0 || !text || strcmp(baseline->doc.entries[index].value, text) == 0)
		return r < 0 ? r : 0;
	old = baseline->doc.entries[index].value;
	baseline->doc.entries[index].value = text;
	r = store(baseline);
	text = old;
	if (r < 0) {
		text = baseline->doc.entries[index].value;
		baseline->doc.entries[index].value = old;
	}
	return r;
}

int baseline_forget(struct baseline *baseline, const char *setting)
{
	size_t index = 0;
	int r = find(baseline, setting, &index, NULL);

	if (r <= 0)
		return r;
	drop_entry(baseline, index);
	return store(baseline);
}
