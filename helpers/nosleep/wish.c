/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/nosleep/wish.c - what the claim asks logind for */
#include <errno.h>
#include <string.h>

#include "../../lib/text.h"
#include "nosleep.h"

/*
 * Seen on: systemd 252; ABI: org.freedesktop.login1(5), Inhibit(): "delay" is for sleep and
 * shutdown alone
 */
static const struct {
	const char *word;
	bool can_delay;
} words[] = {
	{ "sleep", true },
	{ "shutdown", true },
	{ "idle", false },
	{ "handle-lid-switch", false },
	{ "handle-power-key", false },
	{ "handle-suspend-key", false },
	{ "handle-hibernate-key", false },
	{ "handle-reboot-key", false },
};

static const char *const modes[] = { "block", "block-weak", "delay" };

static int check_word(const char *word, const char *mode, char *err, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(words[i].word, word) != 0)
			continue;
		if (words[i].can_delay || strcmp(mode, "delay") != 0)
			return 0;
		(void)snprintf(err, size,
			       "logind can only block %s, not delay it: set mode = block", word);
		return -EINVAL;
	}
	(void)snprintf(err, size, "logind knows no inhibitor for '%.40s'", word);
	return -EINVAL;
}

static int check_mode(const char *mode, char *err, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (strcmp(modes[i], mode) == 0)
			return 0;
	(void)snprintf(err, size, "mode is '%.40s': expected block, block-weak or delay", mode);
	return -EINVAL;
}

int wish_read(const struct claim *claim, struct nosleep_wish *ret, char *err, size_t size)
{
	_cleanup_strlist_ struct strlist list = { 0 };
	const char *what = inidoc_get(&claim->doc, NOSLEEP_NAME, "inhibit") ?: "sleep";
	const char *mode = inidoc_get(&claim->doc, NOSLEEP_NAME, "mode") ?: "block";
	int r = check_mode(mode, err, size);

	if (r == 0)
		r = text_split(what, ":", &list);
	if (r == 0 && list.nr == 0) {
		(void)snprintf(err, size, "inhibit is empty");
		r = -EINVAL;
	}
	for (size_t i = 0; r == 0 && i < list.nr; i++)
		r = check_word(list.names[i], mode, err, size);
	if (r == 0)
		*ret = (struct nosleep_wish){ .what = what, .mode = mode };
	return r;
}

enum helper_exit wish_load(const struct helper_ctx *ctx, struct nosleep_wish *ret)
{
	char err[200] = "out of memory";
	int r = wish_read(&ctx->claim, ret, err, sizeof(err));

	if (r == 0)
		return HELPER_DONE;
	helper_say(ctx, "[nosleep] of the claim: %s", err);
	return r == -EINVAL ? HELPER_USAGE : HELPER_FAILED;
}
