/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/settings.c - the claim's [display] sections */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

#include "../../lib/text.h"
#include "../../lib/units.h"
#include "ddc.h"
#include "display.h"

/* One day: no wait is longer */
#define MS_MAX (24 * 60 * 60 * 1000)

struct number {
	const char *key;
	int dflt; /* -1: none */
	unsigned int max;
	size_t offset;
};

#define NUMBER(key, field, dflt, max)                                                              \
	{                                                                                          \
		key, dflt, max, offsetof(struct display, field)                                    \
	}

static const struct number numbers[] = {
	NUMBER("guest_input", guest_input, -1, UINT8_MAX),
	NUMBER("host_input", host_input, -1, UINT8_MAX),
	NUMBER("delay_ms", delay_ms, 2000, MS_MAX),
	NUMBER("timeout_ms", timeout_ms, 15000, MS_MAX),
};

void display_list_free(struct display_list *list)
{
	free(list->displays);
	*list = (struct display_list){ 0 };
}

_printf_(2, 3) static int invalid(struct display_error *err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(err->what, sizeof(err->what), fmt, args);
	va_end(args);
	return -EINVAL;
}

static int read_number(const struct claim *claim, const char *section, const char *key, int dflt,
		       unsigned int max, int *ret, struct display_error *err)
{
	const char *text = inidoc_get(&claim->doc, section, key);
	unsigned int value;

	if (!text) {
		*ret = dflt;
		return 0;
	}
	if (parse_uint(text, 10, max, &value) < 0)
		return invalid(err, "[%.60s] %s is '%.40s': expected a number up to %u", section,
			       key, text, max);
	*ret = (int)value;
	return 0;
}

static int read_numbers(const struct claim *claim, struct display *display,
			struct display_error *err)
{
	int source = DDC_SOURCE;
	int r = read_number(claim, display->section, "source_address", DDC_SOURCE, UINT8_MAX,
			    &source, err);

	display->source_address = (uint8_t)source;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(numbers); i++)
		r = read_number(claim, display->section, numbers[i].key, numbers[i].dflt,
				numbers[i].max, (int *)((char *)display + numbers[i].offset), err);
	return r;
}

static int read_shared(const struct claim *claim, struct display *display,
		       struct display_error *err)
{
	const char *text = inidoc_get(&claim->doc, display->section, "shared") ?: "yes";
	int shared = parse_bool(text);

	if (shared < 0)
		return invalid(err, "[%.60s] shared is '%.40s': expected yes or no",
			       display->section, text);
	display->shared = shared;
	return 0;
}

static int display_read(const struct claim *claim, const char *section, struct display *ret,
			struct display_error *err)
{
	struct display display = { .section = section,
				   .monitor = inidoc_get(&claim->doc, section, "monitor") };
	int r;

	if (!display.monitor)
		return invalid(err,
			       "[%.60s] names no monitor: usher-display list prints what to set",
			       section);
	if (!monitor_valid(display.monitor))
		return invalid(err,
			       "[%.60s] monitor is '%.80s': expected DEL:a0c4:SERIAL or a "
			       "connector as card0-DP-1; usher-display list prints both",
			       section, display.monitor);
	r = read_numbers(claim, &display, err);
	if (r == 0)
		r = read_shared(claim, &display, err);
	if (r == 0 && display.guest_input < 0)
		return invalid(err,
			       "[%.60s] has no guest_input: set it to the input the guest's cable "
			       "is in",
			       section);
	if (r == 0)
		*ret = display;
	return r;
}

static bool is_display_section(const char *section)
{
	size_t len = strlen(DISPLAY_NAME);

	return strncmp(section, DISPLAY_NAME, len) == 0 &&
	       (section[len] == '\0' || section[len] == ' ');
}

static int add_section(const struct claim *claim, const char *section, struct strlist *seen,
		       struct display_list *list, struct display_error *err)
{
	struct display *longer;
	int r;

	if (!is_display_section(section) || strlist_has(seen, section))
		return 0;
	r = strlist_add(seen, section);
	if (r < 0)
		return r;
	longer = reallocarray(list->displays, list->nr + 1, sizeof(*longer));
	if (!longer)
		return -ENOMEM;
	list->displays = longer;
	r = display_read(claim, section, &list->displays[list->nr], err);
	if (r == 0)
		list->nr++;
	return r;
}

int displays_read(const struct claim *claim, struct display_list *ret, struct display_error *err)
{
	_cleanup_display_list_ struct display_list list = { 0 };
	_cleanup_strlist_ struct strlist seen = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < claim->doc.nr; i++)
		r = add_section(claim, claim->doc.entries[i].section, &seen, &list, err);
	if (r < 0)
		return r;
	ret->nr = list.nr;
	ret->displays = TAKE_PTR(list.displays);
	return 0;
}
