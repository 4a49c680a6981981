/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/seat_screen_test.c - a GPU that shows the host's own screen is not taken from the user */
#include "tree.h"

#include <getopt.h>

#include "helpers/seat/seat.h"

#define UUID	"1b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define GPU	"0000:01:00.0"
#define GPU_DIR "sys/bus/pci/devices/" GPU "/"
#define CLAIM	"run/usher/" UUID "/claim.ini"
#define SEAT	"device = " GPU "\n"

static const struct helper seat_helper = {
	.name = "seat",
	.help = "test",
	.apply_timeout_ms = 1000,
	.undo_timeout_ms = 1000,
	.apply = seat_apply,
	.undo = seat_undo,
	.check = seat_check,
};

static struct tree *host;
static char said[4096];

static void write_claim(const char *seat)
{
	char text[1024];

	(void)snprintf(text, sizeof(text),
		       "[claim]\nformat = 1\nguest = win11\nuuid = " UUID "\nstate = preparing\n"
		       "owner = 812 53321\nrequired = seat\n[seat]\n%s",
		       seat);
	tree_file(host, CLAIM, text);
}

/* A host with a GPU that nothing is shown on */
static int setup(void **state)
{
	if (tree_setup(state) < 0)
		return -1;
	host = *state;
	(void)umask(022);
	tree_dir(host, "proc");
	tree_file(host, GPU_DIR "class", "0x030000\n");
	tree_file(host, GPU_DIR "boot_vga", "0\n");
	tree_dir(host, GPU_DIR "drm/card0");
	tree_dir(host, GPU_DIR "drm/renderD128");
	tree_file(host, "sys/class/vtconsole/vtcon0/name", "(S) dummy device\n");
	tree_file(host, "sys/class/vtconsole/vtcon0/bind", "1\n");
	tree_file(host, "sys/class/vtconsole/vtcon1/name", "(M) frame buffer device\n");
	tree_file(host, "sys/class/vtconsole/vtcon1/bind", "0\n");
	write_claim("release = auto\n" SEAT);
	return 0;
}

#define seat_test(fn) cmocka_unit_test_setup_teardown(fn, setup, tree_teardown)

/* Return: the exit code; what was written to stderr is in said */
static int run(const char *verb)
{
	char claim[256];
	const char *argv[] = { "usher-seat", "--root", host->dir, verb, claim, NULL };
	int err = dup(STDERR_FILENO), r;
	FILE *file = tmpfile();
	size_t len;

	assert_non_null(file);
	(void)snprintf(claim, sizeof(claim), "%s/" CLAIM, host->dir);
	(void)dup2(fileno(file), STDERR_FILENO);
	optind = 0;
	r = helper_main(5, (char **)(uintptr_t)argv, &seat_helper);
	(void)dup2(err, STDERR_FILENO);
	(void)close(err);
	rewind(file);
	len = fread(said, 1, sizeof(said) - 1, file);
	said[len] = '\0';
	(void)fclose(file);
	return r;
}

static void assert_refused(const char *line)
{
	assert_int_equal(run("check"), HELPER_FAILED);
	assert_string_equal(said, line);
	assert_int_equal(run("apply"), HELPER_FAILED);
	assert_string_equal(said, line);
}

static void add_process(const char *open_file)
{
	tree_file(host, "proc/812/comm", "gnome-shell\n");
	tree_link(host, "proc/812/fd/9", open_file);
}

static void gpu_that_shows_nothing_passes(void **state)
{
	(void)state;
	assert_int_equal(run("check"), HELPER_DONE);
	assert_int_equal(run("apply"), HELPER_DONE);
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_string_equal(said, "");
}

static void gpu_with_a_desktop_on_it_is_refused_with_its_process(void **state)
{
	(void)state;
	add_process("/dev/dri/card0");
	assert_refused("usher: win11: GPU 0000:01:00.0 shows the host's own screen, in use by "
		       "gnome-shell (pid 812): boot the host on another GPU; or end that session, "
		       "and set release = no in [seat] of the policy to take the text console's "
		       "screen as well\n");
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

static void gpu_with_the_text_console_on_its_frame_buffer_is_refused(void **state)
{
	(void)state;
	tree_dir(host, GPU_DIR "graphics/fb0");
	assert_int_equal(run("check"), HELPER_DONE);
	tree_file(host, "sys/class/vtconsole/vtcon1/bind", "1\n");
	assert_refused(
		"usher: win11: GPU 0000:01:00.0 shows the host's own screen, the text console "
		"on fb0: boot the host on another GPU, or set release = no in [seat] of the "
		"policy to take it all the same\n");
}

static void console_on_another_gpus_frame_buffer_is_no_matter(void **state)
{
	(void)state;
	tree_file(host, "sys/class/vtconsole/vtcon1/bind", "1\n");
	tree_link(host, "sys/class/graphics/fb0/device/subsystem", "../../../bus/pci");
	tree_file(host, GPU_DIR "boot_vga", "1\n");
	assert_int_equal(run("check"), HELPER_DONE);
}

/* efifb is no child of the GPU, but it writes to the boot GPU's memory */
static void firmware_frame_buffer_belongs_to_the_boot_gpu(void **state)
{
	(void)state;
	tree_file(host, "sys/class/vtconsole/vtcon1/bind", "1\n");
	tree_link(host, "sys/class/graphics/fb0/device/subsystem", "../../../bus/platform");
	assert_int_equal(run("check"), HELPER_DONE);
	tree_file(host, GPU_DIR "boot_vga", "1\n");
	assert_refused(
		"usher: win11: GPU 0000:01:00.0 shows the host's own screen, the text console "
		"on fb0: boot the host on another GPU, or set release = no in [seat] of the "
		"policy to take it all the same\n");
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

static void vga_text_console_belongs_to_the_boot_gpu(void **state)
{
	(void)state;
	tree_file(host, "sys/class/vtconsole/vtcon0/name", "(S) VGA+\n");
	assert_int_equal(run("check"), HELPER_DONE);
	tree_file(host, GPU_DIR "boot_vga", "1\n");
	assert_int_equal(run("check"), HELPER_FAILED);
	assert_non_null(strstr(said, "the text console in VGA mode"));
}

static void release_no_looks_at_nothing(void **state)
{
	(void)state;
	add_process("/dev/dri/card0");
	write_claim("release = no\n" SEAT);
	assert_int_equal(run("check"), HELPER_DONE);
	assert_int_equal(run("apply"), HELPER_DONE);
	write_claim("release = yes\n" SEAT);
	assert_int_equal(run("apply"), HELPER_FAILED);
}

static void undo_has_nothing_to_do_whatever_is_shown(void **state)
{
	(void)state;
	add_process("/dev/dri/card0");
	assert_int_equal(run("undo"), HELPER_DONE);
	assert_int_equal(run("undo"), HELPER_DONE);
}

static void gpu_that_is_not_there_is_usher_vfios_to_refuse(void **state)
{
	char text[64];

	(void)state;
	assert_int_equal(screen_use(host->rootfd, "0000:09:00.0", text, sizeof(text)), -ENODEV);
	write_claim("release = auto\ndevice = 0000:09:00.0\n");
	assert_int_equal(run("check"), HELPER_DONE);
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
		seat_test(gpu_with_a_desktop_on_it_is_refused_with_its_process),
		seat_test(render_node_is_no_screen),
		seat_test(connector_of_a_card_is_no_node),
		seat_test(gpu_with_the_text_console_on_its_frame_buffer_is_refused),
		seat_test(console_on_another_gpus_frame_buffer_is_no_matter),
		seat_test(firmware_frame_buffer_belongs_to_the_boot_gpu),
		seat_test(desktop_on_simpledrm_belongs_to_the_boot_gpu),
		seat_test(vga_text_console_belongs_to_the_boot_gpu),
		seat_test(release_no_looks_at_nothing),
		seat_test(undo_has_nothing_to_do_whatever_is_shown),
		seat_test(gpu_that_is_not_there_is_usher_vfios_to_refuse),
		seat_test(what_cannot_be_looked_at_is_refused),
		seat_test(malformed_claims_are_refused),
	};

	return cmocka_run_group_tests_name("seat/screen", tests, NULL, NULL);
}
