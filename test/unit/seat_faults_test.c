/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/seat_faults_test.c - no allocation and no read that fails costs the host its screen */
/* wraps: attr_write sysbus_unit_active sysbus_start_unit sysbus_stop_unit sysbus_end_session */
/* wraps: process_identify process_alive */
/* wraps: malloc calloc realloc reallocarray strdup strndup */
/* wraps: vasprintf __vasprintf_chk asprintf __asprintf_chk open_memstream */
/* wraps: attr_open attr_read attr_read_ull attr_read_all attr_list attr_link attr_exists */
/* wraps: state_open state_dir state_read state_lock journal_open */
#include "faults.h"

#include "seat_host.h"

#define VTCON	 "sys/class/vtconsole/vtcon1/bind"
#define FIRMWARE "sys/bus/platform/drivers/efi-framebuffer"
#define JOURNAL	 "run/usher/" UUID "/seat.journal"

/* --- Hosts --------------------------------------------------------------------------------------- */

/* The boot GPU with a desktop, the text console behind it, and the firmware's frame buffer */
static void first_card(void)
{
	tree_file(host, GPU_DIR "boot_vga", "1\n");
	add_process("/dev/dri/card0");
	tree_file(host, MANAGER, "");
	tree_file(host, "sys/class/drm/card0/uevent", "");
	tree_dir(host, GPU_DIR "graphics/fb0");
	tree_link(host, "sys/class/graphics/fb0", "../../bus/pci/devices/" GPU "/graphics/fb0");
	tree_file(host, VTCON, "1\n");
	tree_dir(host, "sys/bus/platform/devices/efi-framebuffer.0");
	tree_file(host, FIRMWARE "/efi-framebuffer.0/uevent", "");
	tree_file(host, FIRMWARE "/bind", "");
	tree_file(host, FIRMWARE "/unbind", "");
	add_session("2", "seat0", "user", "wayland");
	write_claim("release = yes\n" SEAT);
}

/* One of two, whose compositor drops it */
static void second_card(void)
{
	tree_dir(host, GPU_DIR "graphics/fb0");
	tree_file(host, "sys/class/drm/card0/uevent", "");
	tree_file(host, MANAGER, "");
	add_process("/dev/dri/card0");
	add_session("2", "seat0", "user", "wayland");
	events->drops = true;
	write_claim("release = yes\n" SEAT);
}

static const struct {
	void (*make)(void);
	const char *out[4]; /* what apply has done to it, in any way that it may go */
} hosts[] = {
	{ first_card,
	  { "stop " MANAGER "\n", "end 2\n", "write " VTCON " 0\n",
	    "write " FIRMWARE "/unbind efi-framebuffer.0\n" } },
	{ second_card, { NULL } },
};

static const struct {
	enum fault kind;
	int error;
} kinds[] = { { FAULT_MEMORY, ENOMEM }, { FAULT_READ, EIO } };

/* --- One fault at a time ------------------------------------------------------------------------- */

static int fault_nth;

#define assert_here(condition)                                                                     \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			faults_where();                                                            \
			fail_msg("fault %d: %s; said: %s; done: %s", fault_nth, #condition, said,  \
				 events->log);                                                     \
		}                                                                                  \
	} while (0)

/* Return: the exit code; *ret_hit: has the fault come */
static int run_with(const char *verb, size_t kind, int nth, bool *ret_hit)
{
	int r;

	fault_nth = nth;
	faults_begin(kinds[kind].kind, nth, kinds[kind].error);
	r = run(verb);
	*ret_hit = faults_end();
	return r;
}

static void make_anew(void **state, size_t i)
{
	assert_int_equal(teardown(state), 0);
	assert_int_equal(setup(state), 0);
	seat_helper.apply_timeout_ms = seat_helper.undo_timeout_ms = 60000;
	hosts[i].make();
}

static void assert_screen_is_back(void)
{
	assert_here(attr_exists(host->rootfd, MANAGER) == 1);
	assert_here(attr_exists(host->rootfd, JOURNAL) == 0);
	assert_here(!strstr(events->log, VTCON " 0") || strstr(events->log, VTCON " 1"));
	assert_here(!strstr(events->log, "/unbind") || strstr(events->log, "/bind efi"));
}

static void assert_screen_has_gone(size_t i)
{
	assert_here(attr_exists(host->rootfd, "proc/812/fd/9") == 0);
	for (size_t j = 0; j < ARRAY_SIZE(hosts[i].out) && hosts[i].out[j]; j++)
		assert_here(strstr(events->log, hosts[i].out[j]));
}

static bool apply_with_fault(size_t i, size_t kind, int nth)
{
	bool hit;
	int r = run_with("apply", kind, nth, &hit);

	assert_here(r == HELPER_DONE || (hit && *said));
	if (r == HELPER_DONE)
		assert_screen_has_gone(i);
	if (r == HELPER_FAILED)
		assert_screen_is_back();
	assert_here(run("undo") == HELPER_DONE);
	assert_screen_is_back();
	return hit;
}

static bool undo_with_fault(size_t i, size_t kind, int nth)
{
	bool hit;
	int r;

	assert_here(run("apply") == HELPER_DONE);
	assert_screen_has_gone(i);
	r = run_with("undo", kind, nth, &hit);
	assert_here(r == HELPER_DONE || (hit && *said));
	if (r == HELPER_DONE)
		assert_screen_is_back();
	assert_here(run("undo") == HELPER_DONE);
	assert_screen_is_back();
	return hit;
}

/* A card that the desktop shows itself on is never taken from somebody who was not asked */
static bool check_with_fault(size_t i, size_t kind, int nth)
{
	bool hit;

	(void)i;
	write_claim("release = auto\n" SEAT);
	assert_here(run_with("check", kind, nth, &hit) != HELPER_DONE);
	assert_here(*said);
	return hit;
}

static void over_all_hosts(bool (*each)(size_t i, size_t kind, int nth), void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
		for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
			bool hit = true;

			for (int n = 0; hit; n += faults_every()) {
				make_anew(state, i);
				hit = each(i, kind, n);
			}
		}
}

static void each_fault_of_apply_is_said_and_leaves_the_screen_to_be_given_back(void **state)
{
	over_all_hosts(apply_with_fault, state);
}

static void each_fault_of_undo_is_said_and_the_next_undo_gives_back(void **state)
{
	over_all_hosts(undo_with_fault, state);
}

static void no_fault_of_check_lets_a_screen_that_is_shown_pass(void **state)
{
	over_all_hosts(check_with_fault, state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		seat_test(each_fault_of_apply_is_said_and_leaves_the_screen_to_be_given_back),
		seat_test(each_fault_of_undo_is_said_and_the_next_undo_gives_back),
		seat_test(no_fault_of_check_lets_a_screen_that_is_shown_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
