/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/seat_release_test.c - the host's screen leaves a GPU step by step, and comes back in reverse */
/* wraps: attr_write sysbus_unit_active sysbus_start_unit sysbus_stop_unit sysbus_end_session */
/* wraps: process_identify process_alive */
#include "seat_host.h"

#include <signal.h>
#include <sys/wait.h>

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

static void another_seats_users_are_left_alone(void **state)
{
	(void)state;
	add_all();
	assert_int_equal(unlinkat(host->rootfd, MANAGER, 0), 0);
	add_session("9", "seat1", "user", "wayland");
	events->session_ends_it = true;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_null(strstr(events->log, "stop"));
	assert_null(strstr(events->log, "end 9"));
	assert_non_null(strstr(events->log, "end 2\n"));
}

/* Its greeter would come in the place of what was ended */
static void nothing_is_ended_that_a_display_manager_with_other_users_starts_anew(void **state)
{
	(void)state;
	add_process("/dev/dri/card0");
	tree_file(host, MANAGER, "");
	tree_file(host, "sys/class/drm/card0/uevent", "");
	add_session("2", "seat0", "user", "wayland");
	add_session("9", "seat1", "user", "wayland");
	write_claim("release = yes\n" SEAT);
	assert_int_equal(run("check"), HELPER_DONE);
	assert_int_equal(run("apply"), HELPER_FAILED);
	assert_non_null(strstr(said, "is not stopped under user alice on seat1"));
	assert_string_equal(events->log, "write sys/class/drm/card0/uevent remove\n"
					 "write sys/class/drm/card0/uevent add\n");
}

#define AUDIO "0000:01:00.1"

/* Its user's manager outlives the session: the sound server would keep the card's function */
static void sound_server_is_asked_to_leave_the_function_beside_the_card(void **state)
{
	(void)state;
	add_process("/dev/dri/card0");
	tree_file(host, GPU_DIR "boot_vga", "1\n");
	tree_file(host, MANAGER, "");
	tree_file(host, "sys/bus/pci/devices/" AUDIO "/class", "0x040300\n");
	tree_dir(host, "sys/bus/pci/devices/" AUDIO "/sound/card1/controlC1");
	tree_file(host, "sys/class/sound/card1/uevent", "");
	add_session("2", "seat0", "user", "wayland");
	write_claim("release = yes\n" SEAT "[vfio]\ndevice = " GPU
		    " 10de:1b80 hostdev unmanaged\ndevice = " AUDIO " 10de:10f0 slot unmanaged\n");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_string_equal(events->log, "stop " MANAGER "\nend 2\n");
	assert_int_equal(run("undo"), HELPER_DONE);
	events->log[0] = '\0';
	add_process("/dev/dri/card0");
	add_named_process("1200", "wireplumber",
			  "/user.slice/user-1000.slice/user@1000.service/session.slice/x.service",
			  "/dev/snd/controlC1");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_string_equal(events->log, "stop " MANAGER "\nend 2\n"
					 "write sys/class/sound/card1/uevent remove\n");
	events->log[0] = '\0';
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_string_equal(events->log,
			    "write sys/class/sound/card1/uevent change\nstart " MANAGER "\n");
	assert_int_equal(attr_exists(host->rootfd, JOURNAL), 0);
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
	events->log[0] = '\0';
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_string_equal(events->log, "write sys/class/drm/card0/uevent add\n");
	assert_int_equal(attr_exists(host->rootfd, JOURNAL), 0);
	/* With its driver its node has gone: the kernel tells when it comes back */
	add_process("/dev/dri/card0");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_equal(unlinkat(host->rootfd, GPU_DIR "drm/card0", AT_REMOVEDIR), 0);
	events->log[0] = '\0';
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_string_equal(events->log, "");
}

static void first_card_of_two_is_given_back_when_the_second_stays(void **state)
{
	(void)state;
	add_process("/dev/dri/card0");
	tree_file(host, "sys/class/drm/card0/uevent", "");
	tree_file(host, "sys/bus/pci/devices/0000:02:00.0/boot_vga", "0\n");
	tree_dir(host, "sys/bus/pci/devices/0000:02:00.0/drm/card1");
	add_named_process("900", "kwin_wayland", "/", "/dev/dri/card1");
	tree_file(host, "sys/class/drm/card1/uevent", "");
	write_claim("release = yes\n" SEAT "device = 0000:02:00.0\n");
	events->drops = true;
	assert_int_equal(run("apply"), HELPER_FAILED);
	assert_non_null(strstr(said, "GPU 0000:02:00.0 is still in use by kwin_wayland (pid 900)"));
	assert_string_equal(events->log, "write sys/class/drm/card0/uevent remove\n"
					 "write sys/class/drm/card1/uevent remove\n"
					 "write sys/class/drm/card1/uevent add\n"
					 "write sys/class/drm/card0/uevent add\n");
	assert_int_equal(attr_exists(host->rootfd, JOURNAL), 0);
}

/* Killed between the compositor's dropping it and what comes then */
static void card_is_given_back_after_kill_9(void **state)
{
	pid_t pid;

	(void)state;
	add_process("/dev/dri/card0");
	tree_file(host, "sys/class/drm/card0/uevent", "");
	write_claim("release = yes\n" SEAT);
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(run("apply"));
	for (int i = 0; i < 500 && !strstr(events->log, "remove"); i++)
		(void)poll(NULL, 0, 2);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	assert_string_equal(events->log, "write sys/class/drm/card0/uevent remove\n");
	events->log[0] = '\0';
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_string_equal(events->log, "write sys/class/drm/card0/uevent add\n");
}

static void logind_hides_no_compositor_of_a_text_login(void **state)
{
	(void)state;
	add_all();
	assert_int_equal(unlinkat(host->rootfd, MANAGER, 0), 0);
	assert_int_equal(unlinkat(host->rootfd, "run/systemd/sessions/2", 0), 0);
	add_session("7", "seat0", "user", "tty");
	holder_goes();
	add_named_process("612", "systemd-logind", "/system.slice/systemd-logind.service",
			  "/dev/dri/card0");
	add_named_process("812", "sway", "/user.slice/user-1000.slice/session-7.scope",
			  "/dev/dri/card0");
	seat_helper.apply_timeout_ms = 300;
	assert_int_equal(run("apply"), HELPER_FAILED);
	assert_non_null(strstr(said, "still in use by sway (pid 812) after"));
	events->log[0] = '\0';
	/* It closes its own when the session has ended */
	events->session_ends_it = true;
	assert_int_equal(run("apply"), HELPER_FAILED);
	assert_non_null(strstr(events->log, "end 7\n"));
	assert_non_null(strstr(said, "still in use by systemd-logind (pid 612) after the "
				     "desktop was told to end: end the login session that it "
				     "keeps the card for (loginctl), then start"));
	seat_helper.apply_timeout_ms = 1000;
}

/* The display manager's X server, with the driver's own node and none of DRM's */
static void nvidias_x_server_is_ended_with_the_display_manager(void **state)
{
	(void)state;
	add_all();
	tree_link(host, GPU_DIR "driver", "../../../bus/pci/drivers/nvidia");
	tree_file(host, "proc/driver/nvidia/gpus/" GPU "/information", "Device Minor: \t 0\n");
	tree_link(host, "etc/systemd/system/" MANAGER, "/lib/systemd/system/lightdm.service");
	holder_goes();
	add_named_process("812", "python3", "/user.slice/user-1000.slice/session-2.scope",
			  "/dev/nvidia0");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_null(strstr(events->log, "stop " MANAGER));
	assert_int_equal(run("undo"), HELPER_DONE);
	holder_goes();
	add_named_process("812", "Xorg", "/system.slice/lightdm.service", "/dev/nvidia0");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_non_null(strstr(events->log, "stop " MANAGER "\n"));
	assert_int_equal(run("undo"), HELPER_DONE);
}

static void systemd_that_does_not_answer_is_told(void **state)
{
	(void)state;
	add_all();
	events->active_error = -ETIMEDOUT;
	assert_int_equal(run("apply"), HELPER_FAILED);
	assert_string_equal(said, "usher: win11: systemd does not say whether "
				  "display-manager.service runs: Connection timed out: GPU "
				  "0000:01:00.0 stays with the host; see systemctl status "
				  "display-manager.service\n");
	/* A host that has another init has none */
	events->active_error = -EHOSTUNREACH;
	events->session_ends_it = true;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_equal(run("undo"), HELPER_DONE);
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

#define DROPPED "write sys/class/drm/card0/uevent remove\n"
#define ENDED	DROPPED "write sys/class/drm/card0/uevent add\nstop " MANAGER "\nend 2\n"

/* A card that is not the host's first, on nvidia, with a desktop of seat0 that drops it when asked */
static void add_nvidia_that_is_dropped(void)
{
	tree_link(host, GPU_DIR "driver", "../../../bus/pci/drivers/nvidia");
	tree_file(host, "sys/bus/pci/drivers/nvidia/" GPU, "");
	tree_file(host, "proc/driver/nvidia/gpus/" GPU "/information", "Device Minor: \t 0\n");
	tree_file(host, "sys/class/drm/card0/uevent", "");
	tree_dir(host, "run/systemd/system");
	tree_link(host, "etc/systemd/system/" MANAGER, "/lib/systemd/system/sddm.service");
	tree_file(host, MANAGER, "");
	add_session("2", "seat0", "user", "wayland");
	/* By ssh, of another user */
	tree_file(host, "run/systemd/sessions/5", "UID=1001\nUSER=bob\nTYPE=tty\nCLASS=user\n");
	write_claim("release = yes\n" SEAT "[vfio]\ndevice = " GPU
		    " 10de:1b80 hostdev unmanaged\n");
	events->drops = true;
}

#define USER(uid)     "/user.slice/user-" uid ".slice/"
#define IN_SESSION    USER("1000") "session-2.scope"
#define OF_MANAGER    USER("1000") "user@1000.service/app.slice/plasma.service"
#define OTHER_SESSION USER("1001") "session-5.scope"
#define OTHER_MANAGER USER("1001") "user@1001.service/app.slice/x.service"

/* usher-vfio would refuse the card all the same, at each start */
static void desktop_that_keeps_another_node_of_a_dropped_card_is_ended(void **state)
{
	static const struct {
		const char *cgroup, *node, *log;
	} rows[] = {
		{ NULL, "/dev/null", DROPPED },
		{ NULL, "/dev/nvidia1", DROPPED },
		{ NULL, "/dev/nvidia0", ENDED },
		{ NULL, "/dev/dri/renderD128", ENDED },
		{ IN_SESSION, "/dev/nvidia-modeset", ENDED },
		{ IN_SESSION, "/dev/dri/renderD128", ENDED },
		{ OF_MANAGER, "/dev/nvidia0", ENDED },
		{ "/system.slice/sddm.service", "/dev/nvidiactl", ENDED },
		/* Whose end would help nobody: they are usher-vfio's to name */
		{ OTHER_SESSION, "/dev/nvidia0", DROPPED },
		{ OTHER_MANAGER, "/dev/nvidia0", DROPPED },
		{ "/system.slice/ollama.service", "/dev/nvidia0", DROPPED },
	};

	(void)state;
	add_nvidia_that_is_dropped();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		add_named_process("812", "kwin_wayland", IN_SESSION, "/dev/dri/card0");
		if (rows[i].cgroup)
			add_named_process("900", "other", rows[i].cgroup, rows[i].node);
		else
			tree_link(host, "proc/812/fd/10", rows[i].node);
		events->log[0] = '\0';
		assert_int_equal(run("apply"), HELPER_DONE);
		assert_string_equal(said, "");
		assert_string_equal(events->log, rows[i].log);
		assert_int_equal(run("undo"), HELPER_DONE);
		holder_goes();
	}
}

/* They are the driver's, and the other card's user has them open as well */
static void shared_nodes_do_not_count_where_another_card_has_the_driver(void **state)
{
	static const struct {
		const char *other_node, *log;
	} rows[] = {
		{ "/dev/nvidia-modeset", DROPPED },
		{ "/dev/nvidiactl", DROPPED },
		{ "/dev/nvidia0", ENDED },
	};

	(void)state;
	add_nvidia_that_is_dropped();
	tree_file(host, "sys/bus/pci/drivers/nvidia/0000:02:00.0", "");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		add_named_process("812", "kwin_wayland", IN_SESSION, "/dev/dri/card0");
		tree_link(host, "proc/812/fd/10", rows[i].other_node);
		events->log[0] = '\0';
		assert_int_equal(run("apply"), HELPER_DONE);
		assert_string_equal(events->log, rows[i].log);
		assert_int_equal(run("undo"), HELPER_DONE);
		holder_goes();
	}
}

/* The session of a text login is none of the seat's desktops, but for what it shows */
static void compositor_of_a_text_login_that_keeps_another_node_is_ended(void **state)
{
	(void)state;
	add_nvidia_that_is_dropped();
	assert_int_equal(unlinkat(host->rootfd, MANAGER, 0), 0);
	assert_int_equal(unlinkat(host->rootfd, "run/systemd/sessions/2", 0), 0);
	add_session("7", "seat0", "user", "tty");
	add_named_process("812", "niri", USER("1000") "session-7.scope", "/dev/dri/card0");
	tree_link(host, "proc/812/fd/10", "/dev/nvidia0");
	events->session_ends_it = true;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_string_equal(events->log, DROPPED "write sys/class/drm/card0/uevent add\nend 7\n");
}

/* With a frame buffer there the console can be bound; without one it cannot, and nobody is to blame */
static void kernel_that_says_yes_and_binds_no_console_is_noticed(void **state)
{
	(void)state;
	add_all();
	tree_dir(host, "sys/bus/platform/devices/efi-framebuffer.0");
	assert_int_equal(run("apply"), HELPER_DONE);
	events->lies = true;
	assert_int_equal(run("undo"), HELPER_DIRTY);
	assert_string_equal(said, "usher: win11: the text console vtcon1 cannot be bound again: "
				  "Input/output error: see /sys/class/vtconsole/vtcon1\n");
	assert_int_equal(unlinkat(host->rootfd, "sys/class/graphics/fb0", 0), 0);
	assert_int_equal(run("undo"), HELPER_DONE);
}

static void console_comes_back_where_a_dummy_has_the_systems_place(void **state)
{
	(void)state;
	add_all();
	tree_file(host, "sys/class/vtconsole/vtcon0/name", "(M) dummy device\n");
	events->no_system = true;
	assert_int_equal(run("apply"), HELPER_DONE);
	tree_file(host, VTCON_BIND(0), "1\n");
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_string_equal(said, "");
	assert_non_null(strstr(events->log, "write " VTCON " 1\nwrite " VTCON_BIND(0) " 0\n"));
}

static void firmware_unbind(void)
{
	assert_int_equal(unlinkat(host->rootfd, FIRMWARE "/efi-framebuffer.0/uevent", 0), 0);
	assert_int_equal(unlinkat(host->rootfd, FIRMWARE "/efi-framebuffer.0", AT_REMOVEDIR), 0);
}

static void kernel_that_says_yes_and_binds_no_firmware_is_noticed(void **state)
{
	(void)state;
	add_all();
	tree_dir(host, "sys/bus/platform/devices/efi-framebuffer.0");
	assert_int_equal(run("apply"), HELPER_DONE);
	firmware_unbind();
	events->lies = true;
	assert_int_equal(run("undo"), HELPER_DIRTY);
	assert_non_null(strstr(said,
			       "the firmware's frame buffer efi-framebuffer/efi-framebuffer.0 "
			       "cannot be bound again: Input/output error: see dmesg"));
	events->lies = false;
	assert_int_equal(run("undo"), HELPER_DONE);
}

/* -ENODEV: the kernel has taken the device away for a GPU's driver; while it is there it has not */
static void firmware_that_has_gone_is_none_to_be_bound(void **state)
{
	(void)state;
	add_all();
	tree_dir(host, "sys/bus/platform/devices/efi-framebuffer.0");
	assert_int_equal(run("apply"), HELPER_DONE);
	firmware_unbind();
	events->write_error = -ENODEV;
	assert_int_equal(run("undo"), HELPER_DIRTY);
	assert_non_null(strstr(said,
			       "the firmware's frame buffer efi-framebuffer/efi-framebuffer.0 "
			       "cannot be bound again: No such device"));
	assert_int_equal(
		unlinkat(host->rootfd, "sys/bus/platform/devices/efi-framebuffer.0", AT_REMOVEDIR),
		0);
	assert_int_equal(run("undo"), HELPER_DIRTY);
	assert_null(strstr(said, "the firmware's frame buffer"));
	events->write_error = 0;
	assert_int_equal(run("undo"), HELPER_DONE);
}

/* What vfio-pci's probe has taken away the kernel makes only when it boots */
static void console_that_went_with_the_firmwares_frame_buffer_is_told(void **state)
{
	(void)state;
	add_all();
	/* Or there is a console to be bound, which is another matter */
	tree_dir(host, "sys/class/graphics/fb1");
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_equal(unlinkat(host->rootfd, "sys/class/graphics/fb1", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(host->rootfd, "sys/class/graphics/fb0", 0), 0);
	firmware_unbind();
	events->write_error = -ENODEV;
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_string_equal(said,
			    "usher: win11: the host has no text console until it is rebooted: its "
			    "only frame buffer was the firmware's, efi-framebuffer.0, which the "
			    "kernel has taken away for vfio-pci; to keep one give the GPU a driver "
			    "that has its own (for nvidia: nvidia-drm.fbdev=1 on the kernel's "
			    "command line)\n");
	assert_int_equal(attr_exists(host->rootfd, JOURNAL), 0);
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
	assert_non_null(strstr(said, "usher: win11: display-manager.service did not stop within "));
	assert_non_null(strstr(said, " ms: see systemctl status display-manager.service, stop it "
				     "by hand, then start the guest again\n"));
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

static void desktop_that_does_not_stop_is_told_and_comes_back(void **state)
{
	(void)state;
	add_all();
	events->stop_error = -EIO;
	assert_int_equal(run("apply"), HELPER_FAILED);
	assert_string_equal(said,
			    "usher: win11: " MANAGER " does not stop: Input/output error: see "
			    "systemctl status " MANAGER "\n");
	assert_string_equal(events->log, "stop " MANAGER "\nstart " MANAGER "\n");
	assert_int_equal(attr_exists(host->rootfd, JOURNAL), 0);
}

/* It may end with its display manager all the same */
static void session_that_cannot_be_ended_is_told(void **state)
{
	(void)state;
	add_all();
	events->end_error = -EPERM;
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_string_equal(said,
			    "usher: win11: session 2 cannot be ended: Operation not permitted: "
			    "see loginctl\n");
	assert_int_equal(run("undo"), HELPER_DONE);
}

static void journal_that_cannot_be_read_keeps_the_screen_as_it_is(void **state)
{
	static const char start[] =
		"usher: win11: cannot use /run/usher/" UUID "/seat.journal: Bad message: ";

	(void)state;
	add_all();
	tree_file(host, JOURNAL, "garbage\n");
	assert_int_equal(run("apply"), HELPER_FAILED);
	assert_int_equal(strncmp(said, start, strlen(start)), 0);
	assert_int_equal(run("undo"), HELPER_DIRTY);
	assert_int_equal(strncmp(said, start, strlen(start)), 0);
	assert_string_equal(events->log, "");
}

/* Whoever wrote it: no process of ours that could hang in a write */
static void mark_of_a_write_that_is_malformed_is_nobodys(void **state)
{
	static const char *const marks[] = { "", "812\n", "812 x 1 sys/a/b\n",
					     "812 53321 1 nowhere\n", "0 0 x sys/a/b\n" };

	(void)state;
	add_all();
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		tree_file(host, "run/usher/" UUID "/seat.left.812", marks[i]);
		assert_int_equal(run("check"), HELPER_DONE);
		assert_string_equal(said, "");
	}
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_string_equal(events->log, OUT);
	assert_int_equal(run("undo"), HELPER_DONE);
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

/* What it has left, whenever it returns, is put right by an undo after that */
static void write_that_hangs_is_left_behind_in_time_and_undone_later(void **state)
{
	long long start;

	(void)state;
	add_all();
	events->hang = 1;
	start = now_ms();
	assert_int_equal(run("apply"), HELPER_DIRTY);
	assert_true(now_ms() - start < 3000);
	assert_non_null(strstr(said, VTCON ": Connection timed out"));
	assert_non_null(strstr(said, "usher: win11: the kernel has not returned from a write to "
				     "/" VTCON " for 0 s (process "));
	assert_non_null(strstr(said, "): when it does, that process runs usher recover; if it "
				     "never does, only a reboot of the host brings its screen "
				     "back\n"));
	assert_non_null(strstr(events->log, "start " MANAGER "\n"));
	assert_int_equal(attr_exists(host->rootfd, JOURNAL), 1);
	/* Another start, and an undo, wait for nothing and touch nothing */
	events->log[0] = '\0';
	assert_int_equal(run("check"), HELPER_FAILED);
	assert_int_equal(run("undo"), HELPER_DIRTY);
	assert_string_equal(events->log, "");
	__atomic_store_n(&events->release, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 1000 && !strstr(events->log, VTCON " 0\n"); i++)
		(void)poll(NULL, 0, 2);
	while (waitpid(-1, NULL, 0) > 0)
		;
	assert_string_equal(events->log, "write " VTCON " 0\n");
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_string_equal(events->log, "write " VTCON " 0\nwrite " VTCON " 1\n");
	assert_int_equal(attr_exists(host->rootfd, JOURNAL), 0);
}

static void journal_of_somebody_else_is_not_acted_on(void **state)
{
	static const char *const lines[] = { "1 unit sshd.service active %\n",
					     "1 vtcon ../../x 1 %\n",
					     "1 firmware ../x/y bound %\n",
					     "1 remove ../x/card0 there %\n",
					     "1 remove 0000:01:00.0/../x there %\n",
					     "1 sound 0000:01:00.1 there %\n",
					     "1 other x y %\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		tree_file(host, JOURNAL, lines[i]);
		assert_int_equal(run("undo"), HELPER_DIRTY);
		assert_string_equal(events->log, "");
	}
}

#define VFIO_JOURNAL "run/usher/" UUID "/vfio.journal"
#define VFIO_MARK    "run/usher/" UUID "/vfio.worker." GPU
#define WAITS                                                                                      \
	"usher: win11: the host's screen waits for GPU 0000:01:00.0, which is not back (%s): "     \
	"usher recover brings it back with the GPU, by itself when a driver that hangs returns\n"

/* All has been taken off it, and usher-vfio has handed it over */
static void hand_over(void)
{
	add_all();
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_equal(unlinkat(host->rootfd, GPU_DIR "drm/card0", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(host->rootfd, GPU_DIR "graphics/fb0", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(host->rootfd, "sys/class/graphics/fb0", 0), 0);
	tree_file(host, VFIO_JOURNAL, "1 driver " GPU " nvidia vfio-pci\n");
	events->log[0] = '\0';
}

static void set_driver(const char *driver)
{
	char target[128];

	(void)unlinkat(host->rootfd, GPU_DIR "driver", 0);
	(void)snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver);
	if (*driver)
		tree_link(host, GPU_DIR "driver", target);
}

/* The display manager would fail, and nobody would start it when the card comes */
static void screen_waits_for_its_card_and_comes_back_with_it(void **state)
{
	static const char *const drivers[] = { "", "vfio-pci" };
	char line[512];

	(void)state;
	hand_over();
	(void)snprintf(line, sizeof(line), WAITS,
		       "efi-framebuffer/efi-framebuffer.0, vtcon1, " MANAGER);
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		set_driver(drivers[i]);
		assert_int_equal(run("undo"), HELPER_DIRTY);
		assert_string_equal(said, line);
		assert_string_equal(events->log, "");
		assert_int_equal(attr_exists(host->rootfd, JOURNAL), 1);
	}
	/* A probe that hangs has set the link already */
	set_driver("nvidia");
	tree_file(host, VFIO_MARK, "nvidia 812 1 probe 1\n");
	assert_int_equal(run("undo"), HELPER_DIRTY);
	assert_string_equal(events->log, "");
	assert_int_equal(unlinkat(host->rootfd, VFIO_MARK, 0), 0);
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_string_equal(said, "");
	assert_string_equal(events->log, BACK);
	assert_int_equal(attr_exists(host->rootfd, JOURNAL), 0);
}

/* As usher-vfio leaves a card to who has taken it, and one that stays with vfio-pci or had no driver */
static void screen_does_not_wait_for_a_card_that_nobody_will_give_back(void **state)
{
	static const struct {
		const char *journal, *driver;
	} rows[] = {
		{ "1 driver " GPU " nvidia vfio-pci\n", "nouveau" },
		{ "1 driver " GPU " nvidia vfio-pci\n1 undone\n", "vfio-pci" },
		{ "1 driver " GPU " % vfio-pci\n", "" },
		{ "1 driver 0000:02:00.0 nvidia vfio-pci\n", "" },
		{ "garbage\n", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		hand_over();
		tree_file(host, VFIO_JOURNAL, rows[i].journal);
		set_driver(rows[i].driver);
		assert_int_equal(run("undo"), HELPER_DONE);
		assert_string_equal(said, "");
		assert_string_equal(events->log, BACK);
		firmware_unbind();
		assert_int_equal(unlinkat(host->rootfd, VFIO_JOURNAL, 0), 0);
		tree_dir(host, GPU_DIR "drm/card0");
	}
}

static void display_manager_does_not_wait_where_the_host_has_another_card(void **state)
{
	char line[512];

	(void)state;
	hand_over();
	/* That of another seat is none */
	tree_link(host, "sys/class/drm/card1/device", "../../../bus/pci/devices/0000:00:02.0");
	tree_link(host, "sys/bus/pci/devices/0000:00:02.0/subsystem", "../../../bus/pci");
	tree_file(host, "sys/class/drm/card1/dev", "226:1\n");
	tree_file(host, "run/udev/data/c226:1", "E:ID_SEAT=seat1\n");
	assert_int_equal(run("undo"), HELPER_DIRTY);
	assert_string_equal(events->log, "");
	tree_file(host, "run/udev/data/c226:1", "G:seat\n");
	assert_int_equal(run("undo"), HELPER_DIRTY);
	(void)snprintf(line, sizeof(line), WAITS, "efi-framebuffer/efi-framebuffer.0, vtcon1");
	assert_string_equal(said, line);
	assert_string_equal(events->log, "start " MANAGER "\n");
	events->log[0] = '\0';
	assert_int_equal(unlinkat(host->rootfd, VFIO_JOURNAL, 0), 0);
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_string_equal(events->log,
			    "write " FIRMWARE "/bind efi-framebuffer.0\nwrite " VTCON " 1\n");
}

/* Or usher recover would pass over the claim: the screen stays dark for good */
static void process_that_returns_waits_for_who_gives_back_by_now(void **state)
{
	_cleanup_close_ int rootfd = root_open("/");
	_cleanup_close_ int dirfd =
		attr_open(host->rootfd, "run/usher/" UUID, O_RDONLY | O_DIRECTORY);
	const struct helper_ctx ctx = { .helper = &seat_helper,
					.rootfd = rootfd,
					.dirfd = dirfd,
					.claim = { .state = CLAIM_PREPARING,
						   .owner = { .pid = 1, .start_time = 1 } } };
	struct process release;
	long long start;
	char text[256];
	pid_t pid;

	(void)state;
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)poll(NULL, 0, 300);
		_exit(0);
	}
	assert_int_equal(process_identify(rootfd, pid, &release), 0);
	(void)snprintf(text, sizeof(text),
		       "[claim]\nformat = 1\nguest = win11\nuuid = " UUID "\nstate = returning\n"
		       "owner = %d %llu\nrequired = seat\n",
		       (int)pid, release.start_time);
	tree_file(host, CLAIM, text);
	start = now_ms();
	/* There is no such program beside the test */
	helper_recover(&ctx);
	assert_in_range(now_ms() - start, 200, 5000);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		seat_test(all_leaves_the_card_and_comes_back_in_reverse),
		seat_test(applied_twice_does_it_once),
		seat_test(desktop_comes_back_when_something_keeps_the_card),
		seat_test(compositor_of_a_text_login_ends_with_that_logins_session),
		seat_test(another_seats_users_are_left_alone),
		seat_test(nothing_is_ended_that_a_display_manager_with_other_users_starts_anew),
		seat_test(sound_server_is_asked_to_leave_the_function_beside_the_card),
		seat_test(compositor_is_asked_to_drop_a_second_card_first),
		seat_test(first_card_of_two_is_given_back_when_the_second_stays),
		seat_test(card_is_given_back_after_kill_9),
		seat_test(logind_hides_no_compositor_of_a_text_login),
		seat_test(nvidias_x_server_is_ended_with_the_display_manager),
		seat_test(systemd_that_does_not_answer_is_told),
		seat_test(compositor_that_does_not_drop_it_is_ended),
		seat_test(desktop_that_keeps_another_node_of_a_dropped_card_is_ended),
		seat_test(shared_nodes_do_not_count_where_another_card_has_the_driver),
		seat_test(compositor_of_a_text_login_that_keeps_another_node_is_ended),
		seat_test(kernel_that_says_yes_and_binds_no_console_is_noticed),
		seat_test(console_comes_back_where_a_dummy_has_the_systems_place),
		seat_test(kernel_that_says_yes_and_binds_no_firmware_is_noticed),
		seat_test(firmware_that_has_gone_is_none_to_be_bound),
		seat_test(console_that_went_with_the_firmwares_frame_buffer_is_told),
		seat_test(console_stays_where_the_host_has_another_frame_buffer),
		seat_test(each_single_failure_brings_all_back),
		seat_test(desktop_that_does_not_stop_is_told_and_comes_back),
		seat_test(session_that_cannot_be_ended_is_told),
		seat_test(journal_that_cannot_be_read_keeps_the_screen_as_it_is),
		seat_test(mark_of_a_write_that_is_malformed_is_nobodys),
		seat_test(desktop_that_does_not_start_again_is_told_with_its_cure),
		seat_test(desktop_is_not_started_again_on_a_host_that_goes_down),
		seat_test(write_that_hangs_is_left_behind_in_time_and_undone_later),
		seat_test(journal_of_somebody_else_is_not_acted_on),
		seat_test(screen_waits_for_its_card_and_comes_back_with_it),
		seat_test(screen_does_not_wait_for_a_card_that_nobody_will_give_back),
		seat_test(process_that_returns_waits_for_who_gives_back_by_now),
		seat_test(display_manager_does_not_wait_where_the_host_has_another_card),
	};

	return cmocka_run_group_tests_name("seat/release", tests, NULL, NULL);
}
