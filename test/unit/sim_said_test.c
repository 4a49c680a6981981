/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/sim_said_test.c - which lines the simulator takes for a word on what is left */

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "lib/units.h"
#include "test/sim/sim.h"

#define DIR_A "run/usher/aaaaaaaa-0000-4000-8000-00000000000a"

static const char claim[] = "  is  " DIR_A " 40700 \n"
			    "  is  " DIR_A "/claim.ini 100600 [claim]|format = 1|guest = a|\n";

static void a_line_that_names_nothing_is_no_word_on_it(void **state)
{
	static const char *const lines[] = {
		"<27>usher[7]: a: not everything could be given back: usher recover tries again",
		"<27>usher[7]: a: release: failed in 12 ms",
		"<27>usher[7]: a: vfio undo: failed in 40700 ms",
		"usher: a: usher-seat undo failed with status 2: see journalctl -t usher",
		"",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_false(said_names(lines[i], claim, "*:unlink:run/* fail EROFS"));
}

static void one_that_names_it_or_says_why_is(void **state)
{
	static const struct {
		const char *line, *left, *fault;
	} rows[] = {
		{ "a: cannot remove " DIR_A ": look", claim, "x lie" },
		{ "a: cannot give it back: Read-only file system", claim, "x fail EROFS" },
		{ "a: no line in /run: No space left on device", claim,
		  "x fail EROFS;y fail ENOSPC x1" },
		{ "a: 0000:01:00.0 stays", "  was sys/bus/pci/devices/0000:01:00.0/driver 120777 x",
		  "x lie" },
		{ "a: /sys/x/cpumask stays", "  is  sys/x/cpumask 100644 f|", "x lie" },
		{ "a: 12 huge pages stay", "  is  sys/kernel/mm/hugepages/x/y 100644 12|",
		  "x lie" },
		{ "a: efi-framebuffer is not bound",
		  "  is  " DIR_A "/seat.journal 100600 "
		  "1 firmware efi-framebuffer/x bound %|",
		  "x lie" },
		{ "a: usher-vfio undo did not end within 9 ms", claim, "x hang" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_true(said_names(rows[i].line, rows[i].left, rows[i].fault));
}

static void the_text_of_another_error_is_none(void **state)
{
	(void)state;
	assert_false(said_names("a: it did not: Input/output error", claim, "x fail EROFS"));
	assert_false(said_names("a: it did not: Connection timed out", claim, "x fail EROFS"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_that_names_nothing_is_no_word_on_it),
		cmocka_unit_test(one_that_names_it_or_says_why_is),
		cmocka_unit_test(the_text_of_another_error_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
