/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/nosleep/slept.c - nosleep.slept: that the host has slept under the running guest */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#include "../../lib/attr.h"
#include "../../lib/state.h"
#include "../../lib/text.h"
#include "../../lib/units.h"
#include "nosleep.h"

#define SLEPT_WORDS 3

int slept_store(int dirfd, const struct slept *slept)
{
	char text[96];
	int r = path_format(text, sizeof(text), "%u %u %lld\n", slept->times, slept->seconds,
			    slept->since);

	return r < 0 ? r : state_write(dirfd, SLEPT_FILE, text, strlen(text));
}

int slept_load(int dirfd, struct slept *ret)
{
	static const unsigned long long max[SLEPT_WORDS] = { UINT_MAX, UINT_MAX, LLONG_MAX };
	_cleanup_strlist_ struct strlist words = { 0 };
	_cleanup_free_ char *text = NULL;
	unsigned long long numbers[SLEPT_WORDS];
	size_t len;
	int r = state_read(dirfd, SLEPT_FILE, &text, &len);

	if (r == 0)
		r = text_split(text, " \n", &words);
	if (r < 0)
		return r;
	if (words.nr != SLEPT_WORDS)
		return -EBADMSG;
	for (size_t i = 0; i < SLEPT_WORDS; i++)
		if (parse_ull(words.names[i], 10, max[i], &numbers[i]) < 0)
			return -EBADMSG;
	*ret = (struct slept){ .times = (unsigned int)numbers[0],
			       .seconds = (unsigned int)numbers[1],
			       .since = (long long)numbers[2] };
	return 0;
}

int claim_has_devices(const struct claim *claim)
{
	return inidoc_get(&claim->doc, "vfio", "device") != NULL;
}

int slept_describe(const struct claim *claim, const struct slept *slept, char **ret)
{
	const char *effect =
		claim_has_devices(claim)
			? "its devices lost their power and its drivers were not told: "
			  "shut the guest down and start it again if they do not work"
			: "its clock may be late";
	time_t since = (time_t)slept->since;
	char when[32] = "?";
	struct tm tm;

	if (localtime_r(&since, &tm))
		(void)strftime(when, sizeof(when), "%F %T", &tm);
	if (asprintf(ret, "the host slept for %u s under the running guest, from %s on (%u %s): %s",
		     slept->seconds, when, slept->times, slept->times == 1 ? "time" : "times",
		     effect) < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	return 0;
}
