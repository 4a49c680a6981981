/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/policy_grammar.c - what the values of a policy look like */

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "../lib/claim.h"
#include "../lib/input.h"
#include "../lib/sched.h"
#include "../lib/units.h"
#include "policy_check.h"

/* ABI: EDID 1.4 section 3.10.3: a serial number descriptor has 13 bytes; each may be written %XX */
#define EDID_SERIAL_MAX 39
/* ABI: NVM Express base specification, Identify Controller: SN has 20 bytes; room for others */
#define SERIAL_MAX 64
/* A CPU that may take a second to wake has no bound */
#define LATENCY_MAX_US 1000000
/* ABI: include/linux/moduleparam.h MAX_PARAM_PREFIX_LEN on 64 bit, Linux 6.12 */
#define MODULE_NAME_LEN 56

int policy_byte(const char *text)
{
	unsigned int value;
	int hex = strncasecmp(text, "0x", 2) == 0;

	/* Base 0 would read 010 as eight, which no user of this file means */
	if (parse_uint(hex ? text + 2 : text, hex ? 16 : 10, 0xff, &value) < 0)
		return -EINVAL;
	return (int)value;
}

int policy_input(const char *text)
{
	int value = input_value(text);

	return value < 0 ? policy_byte(text) : value;
}

static bool only(const char *text, size_t len, int (*is)(int))
{
	for (size_t i = 0; i < len; i++) {
		if (!is((unsigned char)text[i]))
			return false;
	}
	return len > 0;
}

int policy_expect_parse(const char *text, struct policy_expect *ret)
{
	_cleanup_free_ char *copy = strdup(text);
	struct policy_expect expect = { 0 };
	char *id, *serial;

	if (!copy)
		return -ENOMEM;
	id = strchr(copy, '=');
	if (!id)
		return -EINVAL;
	*id++ = '\0';
	serial = strchr(id, '/');
	if (serial)
		*serial++ = '\0';
	if (pciaddr_parse(copy, &expect.addr) < 0 || pciid_parse(id, &expect.id) < 0)
		return -EINVAL;
	if (serial && (!only(serial, strlen(serial), isgraph) || strlen(serial) > SERIAL_MAX))
		return -EINVAL;
	if (serial) {
		expect.serial = strdup(serial);
		if (!expect.serial)
			return -ENOMEM;
	}
	*ret = expect;
	return 0;
}

/* --- One word ---------------------------------------------------------------------------------- */

static int is_bool(const struct policy_key *row, const char *value)
{
	(void)row;
	return parse_bool(value) < 0 ? -EINVAL : 0;
}

static int is_word(const struct policy_key *row, const char *value)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	int r = text_split(row->words, " ", &words);

	if (r < 0)
		return r;
	return strlist_has(&words, value) ? 0 : -EINVAL;
}

static int is_duration(const struct policy_key *row, const char *value)
{
	int ms;

	if (parse_duration_ms(value, &ms) < 0 || ms > POLICY_TIMEOUT_MAX)
		return -EINVAL;
	return row->type == POLICY_TIMEOUT && ms == 0 ? -EINVAL : 0;
}

static int is_module_char(int c)
{
	return isalnum(c) || c == '_' || c == '-';
}

static int is_module(const struct policy_key *row, const char *value)
{
	size_t len = strlen(value);

	(void)row;
	return only(value, len, is_module_char) && len < MODULE_NAME_LEN ? 0 : -EINVAL;
}

static int is_uuid(const struct policy_key *row, const char *value)
{
	char lower[UUID_STRLEN];
	size_t i;

	(void)row;
	if (strlen(value) >= sizeof(lower))
		return -EINVAL;
	for (i = 0; value[i]; i++)
		lower[i] = (char)tolower((unsigned char)value[i]);
	lower[i] = '\0';
	return uuid_valid(lower) ? 0 : -EINVAL;
}

static int is_address(const struct policy_key *row, const char *value)
{
	struct pciaddr addr;

	(void)row;
	return pciaddr_parse(value, &addr) < 0 ? -EINVAL : 0;
}

static int is_expect(const struct policy_key *row, const char *value)
{
	struct policy_expect expect;
	int r = policy_expect_parse(value, &expect);

	(void)row;
	if (r == 0)
		free(expect.serial);
	return r;
}

static int is_input(const struct policy_key *row, const char *value)
{
	(void)row;
	return policy_input(value) < 0 ? -EINVAL : 0;
}

static int is_byte(const struct policy_key *row, const char *value)
{
	(void)row;
	return policy_byte(value) < 0 ? -EINVAL : 0;
}

static int is_size(const struct policy_key *row, const char *value)
{
	unsigned long long kib;

	(void)row;
	return parse_size_kib(value, &kib) < 0 || kib > POLICY_SIZE_MAX_KIB ? -EINVAL : 0;
}

static int is_bar(const struct policy_key *row, const char *value)
{
	struct pcibar bar;

	(void)row;
	return pcibar_parse(value, &bar);
}

static int is_latency(const struct policy_key *row, const char *value)
{
	unsigned int us;

	(void)row;
	if (strcmp(value, "none") == 0)
		return 0;
	return parse_uint(value, 10, LATENCY_MAX_US, &us) < 0 ? -EINVAL : 0;
}

static int is_sched(const struct policy_key *row, const char *value)
{
	struct sched sched;

	(void)row;
	if (strcmp(value, "none") == 0)
		return 0;
	return sched_parse(value, &sched) < 0 ? -EINVAL : 0;
}

static int is_connector_char(int c)
{
	return isalnum(c) || c == '-';
}

/* card0-DP-1, as in sys/class/drm */
static bool is_connector(const char *value)
{
	size_t digits;

	if (strncmp(value, "card", 4) != 0)
		return false;
	value += 4;
	digits = strspn(value, "0123456789");
	if (digits == 0 || value[digits] != '-')
		return false;
	value += digits + 1;
	return only(value, strlen(value), is_connector_char);
}

static int is_maker_char(int c)
{
	return isalpha(c) || c == '?';
}

/* DEL:a0c4, DEL:a0c4:JK9X. A serial may have blanks and colons in it */
static int is_monitor(const struct policy_key *row, const char *value)
{
	const char *serial;

	(void)row;
	if (strcmp(value, "none") == 0 || is_connector(value))
		return 0;
	if (strlen(value) < 8 || !only(value, 3, is_maker_char) || value[3] != ':' ||
	    !only(value + 4, 4, isxdigit))
		return -EINVAL;
	serial = value + 8;
	if (!*serial)
		return 0;
	if (*serial++ != ':' || strlen(serial) > EDID_SERIAL_MAX)
		return -EINVAL;
	return only(serial, strlen(serial), isprint) ? 0 : -EINVAL;
}

/* --- The table --------------------------------------------------------------------------------- */

static const struct grammar {
	int (*is)(const struct policy_key *row, const char *value);
	const char *ends;  /* of one word; NULL when the value is not a list */
	const char *wrong; /* "'foo' is ..."; NULL: "... is none of" the row's words */
} grammars[POLICY_NR_TYPES] = {
	[POLICY_BOOL] = { is_bool, NULL, "neither yes nor no" },
	[POLICY_WORD] = { is_word, NULL, NULL },
	[POLICY_WORDS] = { is_word, POLICY_WORD_ENDS, NULL },
	[POLICY_DURATION] = { is_duration, NULL, "no time like 2s or 1500ms, 10 minutes at most" },
	[POLICY_TIMEOUT] = { is_duration, NULL,
			     "no time like 2s or 1500ms, over 0 and 10 minutes at most" },
	[POLICY_NAME] = { is_module, NULL, "no name of a kernel module" },
	[POLICY_UUID] = { is_uuid, NULL, "no UUID like 1b4e28ba-2fa1-11d2-883f-0016d3cca427" },
	[POLICY_DEVICES] = { is_address, POLICY_BLANKS, "no PCI address like 0000:01:00.0" },
	[POLICY_EXPECT] = { is_expect, POLICY_BLANKS,
			    "not like 0000:01:00.0=10de:1b80 or 0000:03:00.0=144d:a808/S4EWNX0R" },
	[POLICY_MONITOR] = { is_monitor, NULL,
			     "no monitor like DEL:a0c4:JK9X, DEL:a0c4 or card0-DP-1" },
	[POLICY_INPUT] = { is_input, NULL,
			   "no input like dp1, hdmi2 or usb-c, and no number from 0 to 255" },
	[POLICY_I2C_ADDRESS] = { is_byte, NULL, "no number from 0x00 to 0xff" },
	[POLICY_BARS] = { is_bar, POLICY_BLANKS, "no BAR and size like 0:256M, a power of two" },
	[POLICY_LATENCY] = { is_latency, NULL, "no number of microseconds, 1000000 at most" },
	[POLICY_SCHED] = { is_sched, NULL,
			   "not like other:-5, batch:0, idle, fifo:1 or rr:1 (nice -20 to 19, "
			   "priority 1 to 99)" },
	[POLICY_SIZE] = { is_size, NULL, "no size like 512M or 2G, 1 TiB at most" },
};

/* Return: -EINVAL, -ENOMEM */
static int say_wrong(const struct policy_key *row, const char *word, struct policy_error *err)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	const char *near;

	if (grammars[row->type].wrong) {
		(void)snprintf(err->what, sizeof(err->what), "'%s' is %s", word,
			       grammars[row->type].wrong);
		return -EINVAL;
	}
	if (text_split(row->words, " ", &words) < 0)
		return -ENOMEM;
	near = text_nearest(word, (const char *const *)words.names, words.nr);
	if (near)
		(void)snprintf(err->what, sizeof(err->what),
			       "'%s' is not known: did you mean '%s'?", word, near);
	else
		(void)snprintf(err->what, sizeof(err->what), "'%s' is none of: auto %s", word,
			       row->words);
	return -EINVAL;
}

static int check_word(const struct policy_key *row, const char *word, struct policy_error *err)
{
	int r = grammars[row->type].is(row, word);

	return r == -EINVAL ? say_wrong(row, word, err) : r;
}

/* "none # no devices": what one word says of the whole, other words would contradict */
static int check_alone(const struct strlist *words, struct policy_error *err)
{
	for (size_t i = 0; i < words->nr; i++) {
		const char *word = words->names[i];

		if (strcmp(word, "none") != 0 && strcmp(word, "auto") != 0)
			continue;
		(void)snprintf(err->what, sizeof(err->what),
			       "'%s' stands alone: put a comment on a line of its own", word);
		return -EINVAL;
	}
	return 0;
}

/* Of two expectations of one address only one could be looked at */
static int check_twice(const struct strlist *words, struct policy_error *err)
{
	_cleanup_pciaddr_list_ struct pciaddr_list seen = { 0 };
	int r = 0;

	for (size_t i = 0; i < words->nr && r == 0; i++) {
		struct policy_expect expect;

		r = policy_expect_parse(words->names[i], &expect);
		if (r < 0)
			return r;
		free(expect.serial);
		if (pciaddr_list_has(&seen, &expect.addr)) {
			(void)snprintf(err->what, sizeof(err->what),
				       "'%s' is the second of its address: remove one",
				       words->names[i]);
			return -EINVAL;
		}
		r = pciaddr_list_add(&seen, &expect.addr);
	}
	return r;
}

static int check_list(const struct policy_key *row, const char *value, struct policy_error *err)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	int r = text_split(value, grammars[row->type].ends, &words);

	if (r == 0 && words.nr == 1 && strcmp(words.names[0], "none") == 0 &&
	    row->type != POLICY_EXPECT && row->type != POLICY_BARS)
		return 0;
	if (r == 0 && words.nr > 1)
		r = check_alone(&words, err);
	for (size_t i = 0; i < words.nr && r == 0; i++)
		r = check_word(row, words.names[i], err);
	return r == 0 && row->type == POLICY_EXPECT ? check_twice(&words, err) : r;
}

int policy_check_value(const struct policy_key *row, const char *value, struct policy_error *err)
{
	if (strcmp(value, "auto") == 0)
		return 0;
	if (!value[strspn(value, POLICY_WORD_ENDS)]) {
		(void)snprintf(err->what, sizeof(err->what),
			       "has no value: write 'auto' or leave the "
			       "line out");
		return -EINVAL;
	}
	if (grammars[row->type].ends)
		return check_list(row, value, err);
	return check_word(row, value, err);
}
