/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/fuzz/policy_fuzz.c - a guest's file, and behind a byte 0x01 the host's
 *
 * objs: hooks
 */

#include "fuzz.h"

#include "hooks/policy_check.h"

#define FILE_NAME "/etc/usher/conf.d/win11.ini"

static void check_error(const struct policy_error *err)
{
	CHECK(strncmp(err->what, FILE_NAME ":", strlen(FILE_NAME) + 1) == 0 ||
	      strncmp(err->what, "/" POLICY_HOST_FILE ":", strlen(POLICY_HOST_FILE) + 2) == 0);
	for (const char *p = err->what; *p; p++)
		CHECK((unsigned char)*p >= ' ' && *p != 0x7f);
}

static void check_lists(const struct policy *policy)
{
	_cleanup_pciaddr_list_ struct pciaddr_list devices = { 0 };
	_cleanup_policy_expects_ struct policy_expects expects = { 0 };
	_cleanup_strlist_ struct strlist displays = { 0 };

	CHECK(policy_devices(policy, &devices) >= 0);
	for (size_t i = 1; i < devices.nr; i++)
		CHECK(pciaddr_cmp(&devices.addrs[i - 1], &devices.addrs[i]) < 0);
	CHECK(policy_expects(policy, &expects) == 0);
	CHECK(policy_displays(policy, &displays) == 0);
	for (size_t i = 0; i < displays.nr; i++) {
		int input = policy_number(policy, displays.names[i], "guest_input");

		CHECK(input >= 0 && input <= 255);
		CHECK(policy_ms(policy, displays.names[i], "timeout") > 0);
		CHECK(policy_ms(policy, displays.names[i], "delay") >= 0);
	}
}

static void check_value(const struct policy *policy, const struct policy_key *row)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	const char *value = policy_value(policy, row->section, row->key);
	struct policy_error err;
	char where[256];

	CHECK(policy_check_value(row, value, &err) == 0);
	policy_where(policy, row->section, row->key, where, sizeof(where));
	CHECK(*where == '/');
	switch (row->type) {
	case POLICY_BOOL:
		CHECK(policy_bool(policy, row->section, row->key) >= 0);
		break;
	case POLICY_TIMEOUT:
		CHECK(policy_ms(policy, row->section, row->key) > 0 ||
		      (strcmp(row->dflt, "auto") == 0 && strcmp(value, "auto") == 0));
		break;
	case POLICY_WORDS:
		CHECK(policy_words(policy, row->section, row->key, &words) == 0);
		for (size_t i = 0; i < words.nr; i++)
			CHECK(strstr(row->words, words.names[i]));
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *split = size > 0 ? memchr(data, 1, size) : NULL;
	size_t guest_len = split ? (size_t)(split - data) : size;
	size_t host_len = split ? size - guest_len - 1 : 0;
	_cleanup_free_ char *guest = fuzz_text(data, guest_len);
	_cleanup_free_ char *host = fuzz_text(split ? split + 1 : data, host_len);
	_cleanup_policy_ struct policy policy = { .file = strdup(FILE_NAME) };
	struct policy_error err = { "" };
	struct ini_error ini;
	int r;

	if (inidoc_parse(guest, guest_len, &policy.guest, &ini) < 0 ||
	    inidoc_parse(host, host_len, &policy.host, &ini) < 0)
		return 0;
	r = policy_check(&policy, &err);
	CHECK(r == 0 || r == -EBADMSG);
	if (r < 0) {
		check_error(&err);
		return 0;
	}
	for (size_t i = 0; i < policy_nr_keys; i++)
		check_value(&policy, &policy_keys[i]);
	check_lists(&policy);
	return 0;
}
