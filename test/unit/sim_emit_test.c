/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/sim_emit_test.c - what the simulator's machine of libvirt's contract emits */

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "lib/units.h"
#include "test/sim/sim.h"

struct looked {
	const char *const *wanted;
	size_t nr, found;
};

static void look(const char *sequence, void *arg)
{
	struct looked *looked = arg;

	for (size_t i = 0; i < looked->nr; i++)
		looked->found += strcmp(looked->wanted[i], sequence) == 0;
}

/* Each of @wanted is emitted, and once */
static struct emitted emit(unsigned int nr_guests, unsigned int depth, const char *const *wanted,
			   size_t nr)
{
	struct looked looked = { .wanted = wanted, .nr = nr };
	struct emitted emitted;

	assert_true(emit_all(nr_guests, depth, look, &looked, &emitted) > 0);
	assert_int_equal(looked.found, nr);
	return emitted;
}

static void all_guests_run_at_once(void **state)
{
	(void)state;
	for (unsigned int nr = 2; nr <= GUESTS_EMITTED; nr++) {
		struct emitted emitted = emit(nr, nr, NULL, 0);

		for (unsigned int i = 2; i <= nr; i++)
			assert_true(emitted.at_once[i] > 0);
	}
}

static void each_may_leave_while_the_others_stay(void **state)
{
	static const char *const wanted[] = {
		"P:a S:a E:a D:a P:b S:b E:b D:b Q:a X:a R:a:shutdown Q:b X:b R:b:shutdown",
		"P:a S:a E:a D:a P:b S:b E:b D:b Q:b X:b R:b:shutdown Q:a X:a R:a:shutdown",
		"P:b S:b E:b D:b P:a S:a E:a D:a Q:b X:b R:b:shutdown Q:a X:a R:a:shutdown",
		"P:a S:a E:a D:a P:b S:b E:b D:b P:c S:c E:c D:c Q:b X:b R:b:shutdown "
		"Q:c X:c R:c:shutdown Q:a X:a R:a:shutdown",
		"P:c S:c E:c D:c P:b S:b E:b D:b P:a S:a E:a D:a Q:a X:a R:a:shutdown "
		"Q:b X:b R:b:shutdown Q:c X:c R:c:shutdown",
	};

	(void)state;
	(void)emit(2, 3, wanted, 3);
	(void)emit(3, 5, wanted + 3, 2);
}

static void two_hooks_are_called_at_once(void **state)
{
	static const char *const wanted[] = {
		"P:a+P:b S:a+S:b E:a E:b D:a+D:b Q:a Q:b X:a+X:b R:a+R:b",
		"P:a+P:b S:a+S:b E:a E:b D:a+D:b K U C:a+C:b Q:a X:a R:a:shutdown "
		"Q:b X:b R:b:shutdown",
	};

	(void)state;
	(void)emit(2, 2, wanted, 1);
	(void)emit(2, 3, wanted + 1, 1);
}

/* Of a start that fails, too: what was never executed is forgotten, the rest is stopped twice */
static void the_daemon_dies_between_stopped_and_release(void **state)
{
	static const char *const wanted[] = {
		"P:a X:a K U",
		"P:a S:a X:a K U",
		"P:a S:a E:a Q:a X:a K U X:a R:a:crashed",
	};

	(void)state;
	(void)emit(1, 4, wanted, 1);
	(void)emit(1, 5, wanted + 1, 1);
	(void)emit(1, 6, wanted + 2, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_guests_run_at_once),
		cmocka_unit_test(each_may_leave_while_the_others_stay),
		cmocka_unit_test(two_hooks_are_called_at_once),
		cmocka_unit_test(the_daemon_dies_between_stopped_and_release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
