/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/seat_screen_test.c - whose screen a GPU shows, and what is not taken from a user unasked */
/* wraps: attr_write sysbus_unit_active sysbus_start_unit sysbus_stop_unit sysbus_end_session */
/* wraps: process_identify process_alive */
#include "seat_host.h"

static void gpu_that_shows_nothing_passes(void **state)
{
	(void)state;
	assert_int_equal(run("check"), HELPER_DONE);
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_string_equal(said, "");
}

/* Computing on a card is not showing a screen on it: usher-vfio looks after that */
static void render_node_is_no_screen(void **state)
{
	(void)state;
	add_process("/dev/dri/renderD128");
	assert_int_equal(run("check"), HELPER_DONE);
}

static void connector_of_a_card_is_no_node(void **state)
{
	(void)state;
	tree_dir(host, GPU_DIR "drm/card0-DP-1");
	add_process("/dev/dri/card0-DP-1");
	assert_int_equal(run("check"), HELPER_DONE);
}

static void console_on_another_gpus_frame_buffer_is_no_matter(void **state)
{
	(void)state;
	tree_file(host, "sys/class/vtconsole/vtcon1/bind", "1\n");
	tree_link(host, "sys/class/graphics/fb0/device/subsystem", "../../../bus/pci");
	tree_file(host, GPU_DIR "boot_vga", "1\n");
	assert_int_equal(run("check"), HELPER_DONE);
}

static void desktop_of_a_user_is_not_ended_unasked(void **state)
{
	(void)state;
	add_process("/dev/dri/card0");
	tree_file(host, MANAGER, "");
	add_session("2", "seat0", "user", "wayland");
	assert_refused(
		"usher: win11: GPU 0000:01:00.0 shows the desktop of user alice, in use by "
		"gnome-shell (pid 812): log out there, or set release = yes in [seat] of the "
		"policy to end it at the guest's start\n");
	assert_string_equal(events->log, "");
	write_claim("release = yes\n" SEAT);
	assert_int_equal(run("check"), HELPER_DONE);
}

/* A greeter, a text login, and a desktop on another seat are nobody's desktop here */
static void greeter_may_be_ended_unasked(void **state)
{
	(void)state;
	add_process("/dev/dri/card0");
	tree_file(host, MANAGER, "");
	add_session("c1", "seat0", "greeter", "wayland");
	add_session("3", "seat0", "user", "tty");
	add_session_of("xrdp-sesman", "4", "", "user", "x11");
	assert_int_equal(run("check"), HELPER_DONE);
	add_session("5", "seat1", "user", "wayland");
	assert_int_equal(run("check"), HELPER_DONE);
	/* udev has given the card to that seat */
	tree_file(host, "sys/class/drm/card0/dev", "226:0\n");
	tree_file(host, "run/udev/data/c226:0", "I:1\nE:ID_SEAT=seat1\nG:seat\n");
	assert_int_equal(run("check"), HELPER_FAILED);
	assert_non_null(strstr(said, "shows the desktop of user alice"));
}

/* It is not stopped under another seat's user, and what it alone ends comes back */
static void greeter_of_a_display_manager_that_others_work_with_is_refused(void **state)
{
	(void)state;
	tree_file(host, GPU_DIR "boot_vga", "1\n");
	tree_file(host, MANAGER, "");
	add_named_process("812", "gnome-shell", "/user.slice/user-42.slice/session-c1.scope",
			  "/dev/dri/card0");
	add_session("c1", "seat0", "greeter", "wayland");
	assert_int_equal(run("check"), HELPER_DONE);
	add_session("9", "seat1", "user", "wayland");
	for (int yes = 0; yes <= 1; yes++) {
		write_claim(yes ? "release = yes\n" SEAT : "release = auto\n" SEAT);
		assert_refused(
			"usher: win11: GPU 0000:01:00.0 shows the screen of seat0, in use by "
			"gnome-shell (pid 812), and the display manager, which would start "
			"its login screen there anew, is not stopped under user alice on "
			"seat1: have that user log out before the guest's start\n");
	}
	assert_string_equal(events->log, "");
	/* Its own desktop there comes to the same */
	assert_int_equal(unlinkat(host->rootfd, "run/systemd/sessions/c1", 0), 0);
	add_session("2", "seat0", "user", "wayland");
	assert_int_equal(run("check"), HELPER_FAILED);
	assert_non_null(strstr(said, "is not stopped under user alice on seat1"));
	/* A second card it may drop */
	tree_file(host, GPU_DIR "boot_vga", "0\n");
	assert_int_equal(run("check"), HELPER_DONE);
}

/* systemd 256 and later */
static void desktop_of_any_class_of_user_is_not_ended_unasked(void **state)
{
	static const char *const classes[] = { "user-early", "user-light", "user-early-light" };

	(void)state;
	add_process("/dev/dri/card0");
	tree_file(host, MANAGER, "");
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		add_session("2", "seat0", classes[i], "wayland");
		assert_int_equal(run("check"), HELPER_FAILED);
		assert_non_null(strstr(said, "shows the desktop of user alice"));
	}
	add_session("2", "seat0", "greeter", "wayland");
	assert_int_equal(run("check"), HELPER_DONE);
}

/* gnome-remote-desktop through GDM: it would end with the display manager */
static void display_manager_is_not_stopped_under_a_remote_desktop(void **state)
{
	static const char *const others[] = { "sshd", "xrdp-sesman", "tigervnc",
					      "chrome-remote-desktop" };

	(void)state;
	tree_file(host, GPU_DIR "boot_vga", "1\n");
	tree_file(host, MANAGER, "");
	add_named_process("812", "gnome-shell", "/user.slice/user-42.slice/session-c1.scope",
			  "/dev/dri/card0");
	add_session("c1", "seat0", "greeter", "wayland");
	/* The greeter's own for remote logins is nobody's desktop, nor is a text login */
	add_session("c2", "", "greeter", "wayland");
	add_session_of("sshd", "5", "", "user", "tty");
	assert_int_equal(run("check"), HELPER_DONE);
	add_session("9", "", "user", "wayland");
	for (int yes = 0; yes <= 1; yes++) {
		write_claim(yes ? "release = yes\n" SEAT : "release = auto\n" SEAT);
		assert_refused(
			"usher: win11: GPU 0000:01:00.0 shows the screen of seat0, in use by "
			"gnome-shell (pid 812), and the display manager, which would start "
			"its login screen there anew, is not stopped under user alice's "
			"remote desktop: have that user log out before the guest's start\n");
	}
	assert_string_equal(events->log, "");
	write_claim("release = auto\n" SEAT);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		add_session_of(others[i], "9", "", "user", "x11");
		assert_int_equal(run("check"), HELPER_DONE);
	}
}

static void remote_desktop_that_has_the_card_open_is_not_ended_unasked(void **state)
{
	(void)state;
	tree_file(host, MANAGER, "");
	add_named_process("812", "gnome-shell", "/user.slice/user-1000.slice/session-9.scope",
			  "/dev/dri/card0");
	add_session("9", "", "user", "wayland");
	assert_refused(
		"usher: win11: GPU 0000:01:00.0 shows the desktop of user alice, in use by "
		"gnome-shell (pid 812): log out there, or set release = yes in [seat] of the "
		"policy to end it at the guest's start\n");
	write_claim("release = yes\n" SEAT);
	events->session_ends_it = true;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_string_equal(events->log, "end 9\n");
}

static void all_who_show_something_are_named_but_logind(void **state)
{
	(void)state;
	add_process("/dev/dri/card0");
	add_named_process("612", "systemd-logind", "/", "/dev/dri/card0");
	add_named_process("901", "Xwayland", "/", "/dev/dri/card0");
	add_named_process("902", "mpv", "/", "/dev/dri/card0");
	add_named_process("903", "obs", "/", "/dev/dri/card0");
	assert_int_equal(run("check"), HELPER_FAILED);
	assert_non_null(strstr(said, "in use by gnome-shell (pid 812), Xwayland (pid 901), mpv "
				     "(pid 902) and 1 more: stop that program"));
}

static void program_that_no_display_manager_runs_is_refused_with_its_name(void **state)
{
	(void)state;
	add_process("/dev/dri/card0");
	assert_refused(
		"usher: win11: GPU 0000:01:00.0 shows the host's own screen, in use by "
		"gnome-shell (pid 812): stop that program, or set release = yes in [seat] of "
		"the policy to end its session at the guest's start\n");
}

static void desktop_on_simpledrm_belongs_to_the_boot_gpu(void **state)
{
	(void)state;
	tree_link(host, "sys/class/drm/card3/device/subsystem", "../../../bus/platform");
	add_process("/dev/dri/card3");
	assert_int_equal(run("check"), HELPER_DONE);
	tree_file(host, GPU_DIR "boot_vga", "1\n");
	assert_int_equal(run("check"), HELPER_FAILED);
	assert_non_null(strstr(said, "in use by gnome-shell (pid 812)"));
}

#define FIRMWARE "sys/bus/platform/drivers/efi-framebuffer/efi-framebuffer.0"

/* vfio-pci's probe takes it away, and nobody says so at the start */
static void console_that_would_go_for_good_is_told_by_hand(void **state)
{
	static const char lost[] =
		"usher: win11: the host's only frame buffer is the firmware's, efi-framebuffer.0 "
		"on GPU 0000:01:00.0, which the kernel takes away for vfio-pci: after this guest "
		"the host has no text console until it is rebooted; to keep one give the GPU a "
		"driver that has its own (for nvidia: nvidia-drm.fbdev=1 on the kernel's command "
		"line)\n";
	static const struct {
		const char *boot_vga, *firmware, *other, *said;
	} rows[] = {
		{ "1\n", FIRMWARE, NULL, lost },
		{ "0\n", FIRMWARE, NULL, "" },
		{ "1\n", NULL, NULL, "" },
		{ "1\n", FIRMWARE, GPU_DIR "graphics/fb1", "" },
		{ "1\n", FIRMWARE, "sys/class/graphics/fb1", "" },
	};

	(void)state;
	tree_link(host, "sys/class/graphics/fb0/device/subsystem", "../../../bus/platform");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		tree_file(host, GPU_DIR "boot_vga", rows[i].boot_vga);
		if (rows[i].firmware)
			tree_dir(host, rows[i].firmware);
		if (rows[i].other)
			tree_dir(host, rows[i].other);
		assert_int_equal(run("check"), HELPER_DONE);
		assert_string_equal(said, rows[i].said);
		if (i == 0) {
			write_claim_of_a_start("release = auto\n" SEAT);
			assert_int_equal(run("check"), HELPER_DONE);
			assert_string_equal(said, "");
			write_claim("release = auto\n" SEAT);
		}
		if (rows[i].firmware)
			assert_int_equal(unlinkat(host->rootfd, FIRMWARE, AT_REMOVEDIR), 0);
		if (rows[i].other)
			assert_int_equal(unlinkat(host->rootfd, rows[i].other, AT_REMOVEDIR), 0);
	}
}

static void vga_text_console_is_taken_only_when_asked_to(void **state)
{
	(void)state;
	tree_file(host, "sys/class/vtconsole/vtcon0/name", "(S) VGA+\n");
	assert_int_equal(run("check"), HELPER_DONE);
	tree_file(host, GPU_DIR "boot_vga", "1\n");
	assert_refused(
		"usher: win11: GPU 0000:01:00.0 shows the host's own screen, the text console "
		"in VGA mode, which cannot be taken off it: boot the host on another GPU, or "
		"set release = yes in [seat] of the policy to take it all the same\n");
	write_claim("release = yes\n" SEAT);
	assert_int_equal(run("check"), HELPER_DONE);
	assert_int_equal(run("apply"), HELPER_DONE);
}

static void release_no_looks_at_nothing(void **state)
{
	(void)state;
	add_process("/dev/dri/card0");
	write_claim("release = no\n" SEAT);
	assert_int_equal(run("check"), HELPER_DONE);
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_string_equal(events->log, "");
}

static void gpu_that_is_not_there_is_usher_vfios_to_refuse(void **state)
{
	struct screen screen;

	(void)state;
	assert_int_equal(screen_load(host->rootfd, "0000:09:00.0", &screen), -ENODEV);
	write_claim("release = yes\ndevice = 0000:09:00.0\n");
	assert_int_equal(run("check"), HELPER_DONE);
	assert_int_equal(run("apply"), HELPER_DONE);
}

static void what_cannot_be_looked_at_is_refused(void **state)
{
	(void)state;
	tree_file(host, GPU_DIR "graphics", "no directory");
	assert_int_equal(run("check"), HELPER_FAILED);
	assert_string_equal(said, "usher: win11: cannot look at what GPU 0000:01:00.0 shows: Not a "
				  "directory: see /sys/class/graphics\n");
}

static void malformed_claims_are_refused(void **state)
{
	(void)state;
	write_claim("release = perhaps\n" SEAT);
	assert_int_equal(run("check"), HELPER_USAGE);
	assert_non_null(strstr(said, "release = perhaps"));
	write_claim("release = auto\ndevice = ../../etc\n");
	assert_int_equal(run("apply"), HELPER_USAGE);
	assert_non_null(strstr(said, "device = ../../etc"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		seat_test(gpu_that_shows_nothing_passes),
		seat_test(render_node_is_no_screen),
		seat_test(connector_of_a_card_is_no_node),
		seat_test(console_on_another_gpus_frame_buffer_is_no_matter),
		seat_test(desktop_of_a_user_is_not_ended_unasked),
		seat_test(greeter_may_be_ended_unasked),
		seat_test(greeter_of_a_display_manager_that_others_work_with_is_refused),
		seat_test(desktop_of_any_class_of_user_is_not_ended_unasked),
		seat_test(display_manager_is_not_stopped_under_a_remote_desktop),
		seat_test(remote_desktop_that_has_the_card_open_is_not_ended_unasked),
		seat_test(all_who_show_something_are_named_but_logind),
		seat_test(program_that_no_display_manager_runs_is_refused_with_its_name),
		seat_test(desktop_on_simpledrm_belongs_to_the_boot_gpu),
		seat_test(console_that_would_go_for_good_is_told_by_hand),
		seat_test(vga_text_console_is_taken_only_when_asked_to),
		seat_test(release_no_looks_at_nothing),
		seat_test(gpu_that_is_not_there_is_usher_vfios_to_refuse),
		seat_test(what_cannot_be_looked_at_is_refused),
		seat_test(malformed_claims_are_refused),
	};

	return cmocka_run_group_tests_name("seat/screen", tests, NULL, NULL);
}
