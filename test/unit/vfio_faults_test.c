/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/vfio_faults_test.c - no allocation and no read that fails costs the host a device */
/* wraps: attr_write module_load module_unload process_identify process_alive spawn_detached */
/* wraps: journal_add journal_undone state_write state_remove spawn_run */
/* wraps: sysbus_unit_active sysbus_start_unit sysbus_stop_unit */
/* wraps: malloc calloc realloc reallocarray strdup strndup */
/* wraps: vasprintf __vasprintf_chk asprintf __asprintf_chk open_memstream */
/* wraps: attr_open attr_read attr_read_ull attr_read_all attr_list attr_link attr_exists */
/* wraps: state_open state_dir state_read state_lock journal_open */
#include "faults.h"

#include "vfio_modules.h"

#define PAIR GPU_LINE AUDIO_LINE

static char before[512];

/* --- Hosts --------------------------------------------------------------------------------------- */

static void card_of_nvidia(void)
{
	add_nvidia();
	tree_file(host, "nvidia-persistenced.service", "");
	write_claim(UUID, PAIR);
}

static void card_for_no_desktop(void)
{
	tree_dir(host, "run/udev");
	tree_file(host, DEVICES GPU "/power/control", "on\n");
	write_claim(UUID, PAIR "give_back = render\n");
}

static void card_with_other_bars(void)
{
	set_bar0(GPU, 14);
	tree_file(host, DEVICES GPU "/resource0_resize", "0000000000007f00\n");
	tree_file(host, DEVICES GPU "/reset_method", "flr bus\n");
	write_claim(UUID, PAIR "bars = 0:256M\nreset = bus\n");
}

static void (*const hosts[])(void) = { card_of_nvidia, card_for_no_desktop, card_with_other_bars };

static const struct {
	enum fault kind;
	int error;
} kinds[] = { { FAULT_MEMORY, ENOMEM }, { FAULT_READ, EIO } };

/* --- One fault at a time ------------------------------------------------------------------------- */

static int fault_nth;

/* Return: the exit code; *ret_hit: has the fault come */
static int run_with(const char *verb, size_t kind, int nth, bool *ret_hit)
{
	int r;

	fault_nth = nth;
	faults_begin(kinds[kind].kind, nth, kinds[kind].error);
	r = helper_run(NULL, verb);
	*ret_hit = faults_end();
	return r;
}

#define assert_here(condition)                                                                     \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			faults_where();                                                            \
			fail_msg("fault %d: %s; said: %s", fault_nth, #condition, said);           \
		}                                                                                  \
	} while (0)

static void assert_as_before(void)
{
	assert_here(strcmp(snapshot(), before) == 0);
	assert_here(!claim_has("vfio.journal"));
	assert_here(!claim_has("vfio.worker"));
}

static void assert_each_fault_of_apply(size_t kind)
{
	bool hit = true;

	(void)snprintf(before, sizeof(before), "%s", snapshot());
	for (int n = 0; hit; n += faults_every()) {
		int r = run_with("apply", kind, n, &hit);

		assert_here(r == HELPER_DONE || (hit && *said));
		if (r == HELPER_DONE)
			assert_here(strcmp(driver_of(GPU), "vfio-pci") == 0 &&
				    strcmp(driver_of(AUDIO), "vfio-pci") == 0);
		if (r == HELPER_FAILED)
			assert_here(strcmp(snapshot(), before) == 0);
		assert_here(undo() == HELPER_DONE);
		assert_as_before();
	}
}

static void assert_each_fault_of_undo(size_t kind)
{
	bool hit = true;

	(void)snprintf(before, sizeof(before), "%s", snapshot());
	for (int n = 0; hit; n += faults_every()) {
		int r;

		assert_here(apply() == HELPER_DONE);
		r = run_with("undo", kind, n, &hit);
		assert_here(r == HELPER_DONE || (hit && *said));
		if (r == HELPER_DONE)
			assert_as_before();
		assert_here(undo() == HELPER_DONE);
		assert_as_before();
	}
}

static void over_all_hosts(void (*each)(size_t kind), void **state)
{
	for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++)
		/* Allocations are many, and of the first host most there are */
		for (size_t i = 0; i < (kind == 0 ? 1 : ARRAY_SIZE(hosts)); i++) {
			assert_int_equal(rules_teardown(state), 0);
			assert_int_equal(rules_setup(state), 0);
			vfio_helper.apply_timeout_ms = vfio_helper.undo_timeout_ms = 60000;
			hosts[i]();
			each(kind);
		}
}

static void each_fault_of_apply_is_said_and_leaves_the_host_to_be_given_back(void **state)
{
	over_all_hosts(assert_each_fault_of_apply, state);
}

static void each_fault_of_undo_is_said_and_the_next_undo_gives_back(void **state)
{
	over_all_hosts(assert_each_fault_of_undo, state);
}

/* A program has the card open; the disk is nobody's */
static void no_fault_of_check_lets_a_device_in_use_pass(void **state)
{
	(void)state;
	add_below(GPU, "drm/card0", "drm", "dri/card0");
	add_process("812", "mpv", "/dev/dri/card0");
	add_below(NVME, "nvme/nvme0/nvme0n1", "block", "nvme0n1");
	write_claim(UUID, "driver = auto\n" NVME_LINE PAIR);
	for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		bool hit = true;

		for (int n = 0; hit; n += faults_every()) {
			assert_here(run_with("check", kind, n, &hit) != HELPER_DONE);
			assert_here(*said);
		}
	}
	assert_non_null(strstr(said, "is in use by mpv (pid 812)"));
	assert_int_equal(kernel->writes, 0);
}

/* The common driver works with less, so that nobody would notice */
static void the_driver_made_for_the_model_is_taken_or_it_is_said_why_not(void **state)
{
	static const char alias[] =
		"alias vfio_pci:v00008086d000010D3sv*sd*bc*sc*i* nic_vfio_pci\n";

	(void)state;
	tree_file(host, "proc/sys/kernel/osrelease", "6.12.1\n");
	tree_file(host, "lib/modules/6.12.1/modules.alias", alias);
	tree_file(host, "lib/modules/6.12.1/modules.dep", "x/vfio-pci.ko:\nx/nic_vfio_pci.ko:\n");
	tree_file(host, DEVICES NIC "/modalias",
		  "pci:v00008086d000010D3sv00001AF4sd0bc02sc00i00\n");
	write_claim(UUID, "driver = auto\n" NIC_LINE);
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		bool hit = true;

		for (int n = 0; hit; n += kinds[kind].kind == FAULT_READ ? 1 : faults_every()) {
			int r = run_with("apply", kind, n, &hit);

			assert_here(r == HELPER_DONE ? strcmp(driver_of(NIC), "nic_vfio_pci") == 0
						     : *said != '\0');
			assert_here(undo() == HELPER_DONE);
			assert_as_before();
		}
	}
}

/* It would be two of them in one driver */
static void device_that_a_process_hangs_in_is_left_to_it_whatever_cannot_be_read(void **state)
{
	bool hit = true, worker;

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, "timeout_ms = 3000\n" NIC_LINE);
	kernel->hang_at = 2;
	assert_int_equal(apply(), HELPER_DIRTY);
	vfio_helper.undo_timeout_ms = 100;
	for (int n = 0; hit && n < 40; n += faults_every()) {
		int r = run_with("undo", 1, n, &hit);

		worker = claim_has("vfio.worker." NIC);
		assert_here(r != HELPER_DONE && *said && worker);
		assert_here(kernel->writes == 2);
	}
	__atomic_store_n(&kernel->release, 1, __ATOMIC_SEQ_CST);
	wait_until(!claim_has("vfio.worker"));
	assert_string_equal(snapshot(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rules_test(each_fault_of_apply_is_said_and_leaves_the_host_to_be_given_back),
		rules_test(each_fault_of_undo_is_said_and_the_next_undo_gives_back),
		rules_test(no_fault_of_check_lets_a_device_in_use_pass),
		rules_test(the_driver_made_for_the_model_is_taken_or_it_is_said_why_not),
		rules_test(device_that_a_process_hangs_in_is_left_to_it_whatever_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
