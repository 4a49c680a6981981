/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/seat_release_test.c - the host's screen leaves a GPU step by step, and comes back in reverse */
/* wraps: attr_write sysbus_unit_active sysbus_start_unit sysbus_stop_unit sysbus_end_session */
#include "seat_host.h"

#define VTCON	 "sys/class/vtconsole/vtcon1/bind"
#define FIRMWARE "sys/bus/platform/drivers/efi-framebuffer"
#define JOURNAL	 "run/usher/" UUID "/seat.journal"

/* The boot GPU with a desktop, the text console behind it, and the firmware's frame buffer */
static void add_all(void)
{
	tree_file(host, GPU_DIR "boot_vga", "1\n");
	add_process("/dev/dri/card0");
	tree_file(host, MANAGER, "");
	tree_dir(host, GPU_DIR "graphics/fb0");
	tree_file(host, "sys/class/graphics/fbcon/rotate", "0\n");
	tree_link(host, "sys/class/graphics/fb0", "../../bus/pci/devices/" GPU "/graphics/fb0");
	tree_file(host, VTCON, "1\n");
	tree_file(host, FIRMWARE "/efi-framebuffer.0/uevent", "");
	tree_file(host, FIRMWARE "/bind", "");
	tree_file(host, FIRMWARE "/unbind", "");
	add_session("2", "seat0", "user", "wayland");
	write_claim("release = yes\n" SEAT);
}

#define OUT                                                                                        \
	"stop " MANAGER "\nend 2\nwrite " VTCON " 0\nwrite " FIRMWARE "/unbind "                   \
	"efi-framebuffer.0\n"
#define BACK "write " FIRMWARE "/bind efi-framebuffer.0\nwrite " VTCON " 1\nstart " MANAGER "\n"

static void all_leaves_the_card_and_comes_back_in_reverse(void **state)
{
	(void)state;
	add_all();
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_string_equal(said, "");
	assert_string_equal(events->log, OUT);
	events->log[0] = '\0';
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_string_equal(events->log, BACK);
	assert_int_equal(attr_exists(host->rootfd, JOURNAL), 0);
	events->log[0] = '\0';
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_string_equal(events->log, "");
}

static void applied_twice_does_it_once(void **state)
{
	(void)state;
	add_all();
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_equal(unlinkat(host->rootfd, FIRMWARE "/efi-framebuffer.0/uevent", 0), 0);
	assert_int_equal(unlinkat(host->rootfd, FIRMWARE "/efi-framebuffer.0", AT_REMOVEDIR), 0);
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_string_equal(events->log, OUT);
	events->log[0] = '\0';
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_string_equal(events->log, BACK);
}

/* Nobody is left before a black screen */
static void desktop_comes_back_when_something_keeps_the_card(void **state)
{
	(void)state;
	add_all();
	events->stays = true;
	seat_helper.apply_timeout_ms = 300;
	assert_int_equal(run("apply"), HELPER_FAILED);
	seat_helper.apply_timeout_ms = 1000;
	assert_string_equal(said,
			    "usher: win11: GPU 0000:01:00.0 is still in use by gnome-shell (pid "
			    "812) after the desktop was told to end: stop that program, then "
			    "start the guest again\n");
	assert_string_equal(events->log, "stop " MANAGER "\nend 2\nstart " MANAGER "\n");
	assert_int_equal(attr_exists(host->rootfd, JOURNAL), 0);
	assert_string_equal(tree_read(host, VTCON), "1\n");
}

static void compositor_of_a_text_login_ends_with_that_logins_session(void **state)
{
	(void)state;
	add_all();
	assert_int_equal(unlinkat(host->rootfd, MANAGER, 0), 0);
	assert_int_equal(unlinkat(host->rootfd, "run/systemd/sessions/2", 0), 0);
	add_session("7", "seat0", "user", "tty");
	tree_file(host, "proc/812/cgroup", "0::/user.slice/user-1000.slice/session-7.scope\n");
	events->session_ends_it = true;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_non_null(strstr(events->log, "end 7\n"));
	assert_null(strstr(events->log, "stop"));
	events->log[0] = '\0';
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_null(strstr(events->log, "start"));
}

static void display_manager_of_another_seats_users_is_left_alone(void **state)
{
	(void)state;
	add_all();
	add_session("9", "seat1", "user", "wayland");
	events->stays = true;
	events->session_ends_it = true;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_null(strstr(events->log, "stop"));
	assert_null(strstr(events->log, "end 9"));
	assert_non_null(strstr(events->log, "end 2\n"));
}

/* in_use = stop-seat of a card beside the host's own */
static void compositor_is_asked_to_drop_a_second_card_first(void **state)
{
	(void)state;
	add_process("/dev/dri/card0");
	tree_file(host, MANAGER, "");
	tree_file(host, "sys/class/drm/card0/uevent", "");
	add_session("2", "seat0", "user", "wayland");
	write_claim("release = yes\n" SEAT);
	events->drops = true;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_string_equal(events->log, "write sys/class/drm/card0/uevent remove\n");
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_string_equal(events->log, "write sys/class/drm/card0/uevent remove\n");
}

static void compositor_that_does_not_drop_it_is_ended(void **state)
{
	(void)state;
	add_process("/dev/dri/card0");
	tree_file(host, MANAGER, "");
	tree_file(host, "sys/class/drm/card0/uevent", "");
	write_claim("release = yes\n" SEAT);
	seat_helper.apply_timeout_ms = 5000;
	assert_int_equal(run("apply"), HELPER_DONE);
	seat_helper.apply_timeout_ms = 1000;
	assert_string_equal(events->log, "write sys/class/drm/card0/uevent remove\n"
					 "write sys/class/drm/card0/uevent add\n"
					 "stop " MANAGER "\n");
}

/* The console moves there by itself */
static void console_stays_where_the_host_has_another_frame_buffer(void **state)
{
	(void)state;
	add_all();
	tree_dir(host, "sys/class/graphics/fb1");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_null(strstr(events->log, VTCON));
	assert_int_equal(run("undo"), HELPER_DONE);
}

static void each_single_failure_brings_all_back(void **state)
{
	(void)state;
	add_all();
	events->stop_error = -ETIMEDOUT;
	assert_int_equal(run("apply"), HELPER_FAILED);
	assert_string_equal(said, "usher: win11: display-manager.service does not stop: Connection "
				  "timed out: see systemctl status display-manager.service\n");
	assert_string_equal(events->log, "stop " MANAGER "\nstart " MANAGER "\n");
	events->stop_error = 0;
	events->log[0] = '\0';
	events->write_error = -EIO;
	assert_int_equal(run("apply"), HELPER_DIRTY);
	assert_non_null(strstr(said, "cannot take the text console from GPU 0000:01:00.0: /" VTCON
				     ": Input/output error: see dmesg\n"));
	assert_non_null(strstr(said, "the text console vtcon1 cannot be bound again: Input/output "
				     "error: see /sys/class/vtconsole/vtcon1\n"));
	/* The desktop is back in any case, and what is not back is put right when it can be */
	assert_non_null(strstr(events->log, "start " MANAGER "\n"));
	events->write_error = 0;
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_string_equal(tree_read(host, VTCON), "1");
}

static void desktop_that_does_not_start_again_is_told_with_its_cure(void **state)
{
	(void)state;
	add_all();
	assert_int_equal(run("apply"), HELPER_DONE);
	events->start_error = -EIO;
	assert_int_equal(run("undo"), HELPER_DIRTY);
	assert_string_equal(said, "usher: win11: display-manager.service cannot be started again: "
				  "Input/output error: systemctl start display-manager.service "
				  "brings the desktop back\n");
	events->start_error = 0;
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(attr_exists(host->rootfd, JOURNAL), 0);
}

static void desktop_is_not_started_again_on_a_host_that_goes_down(void **state)
{
	(void)state;
	add_all();
	assert_int_equal(run("apply"), HELPER_DONE);
	events->start_error = -ESHUTDOWN;
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_string_equal(said, "");
	assert_int_equal(attr_exists(host->rootfd, JOURNAL), 0);
}

static void write_that_hangs_is_left_behind_in_time(void **state)
{
	long long start;

	(void)state;
	add_all();
	events->hang = 1;
	start = now_ms();
	assert_int_equal(run("apply"), HELPER_FAILED);
	assert_true(now_ms() - start < 3000);
	assert_non_null(strstr(said, VTCON ": Connection timed out"));
	assert_non_null(strstr(events->log, "start " MANAGER "\n"));
}

static void journal_of_somebody_else_is_not_acted_on(void **state)
{
	static const char *const lines[] = { "1 unit sshd.service active %\n",
					     "1 vtcon ../../x 1 %\n", "1 firmware ../x/y bound %\n",
					     "1 other x y %\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		tree_file(host, JOURNAL, lines[i]);
		assert_int_equal(run("undo"), HELPER_DIRTY);
		assert_string_equal(events->log, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		seat_test(all_leaves_the_card_and_comes_back_in_reverse),
		seat_test(applied_twice_does_it_once),
		seat_test(desktop_comes_back_when_something_keeps_the_card),
		seat_test(compositor_of_a_text_login_ends_with_that_logins_session),
		seat_test(display_manager_of_another_seats_users_is_left_alone),
		seat_test(compositor_is_asked_to_drop_a_second_card_first),
		seat_test(compositor_that_does_not_drop_it_is_ended),
		seat_test(console_stays_where_the_host_has_another_frame_buffer),
		seat_test(each_single_failure_brings_all_back),
		seat_test(desktop_that_does_not_start_again_is_told_with_its_cure),
		seat_test(desktop_is_not_started_again_on_a_host_that_goes_down),
		seat_test(write_that_hangs_is_left_behind_in_time),
		seat_test(journal_of_somebody_else_is_not_acted_on),
	};

	return cmocka_run_group_tests_name("seat/release", tests, NULL, NULL);
}
