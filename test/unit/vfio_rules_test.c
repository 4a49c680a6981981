/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/vfio_rules_test.c - drivers with rules of their own, and what a device had beside them */
/* wraps: attr_write module_load module_unload process_identify process_alive spawn_detached */
/* wraps: journal_add journal_undone state_write state_remove spawn_run */
/* wraps: sysbus_unit_active sysbus_start_unit sysbus_stop_unit */
#include "vfio_modules.h"

/* --- NVIDIA --------------------------------------------------------------------------------------- */

static void one_nvidia_card_is_unloaded_not_unbound_and_loaded_again(void **state)
{
	char before[512];

	(void)state;
	add_nvidia();
	tree_file(host, "nvidia-persistenced.service", "");
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, GPU_LINE AUDIO_LINE);
	assert_int_equal(apply(), HELPER_DONE);
	assert_string_equal(said, "");
	assert_string_equal(events->log, "stop:nvidia-persistenced.service -nvidia_drm "
					 "-nvidia_modeset -nvidia_uvm -nvidia ");
	assert_string_equal(driver_of(GPU), "vfio-pci");
	/* override and probe of the card; override, unbind and probe of its sound function */
	assert_int_equal(kernel->writes, 5);
	events->log[0] = '\0';
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(said, "");
	assert_string_equal(snapshot(), before);
	for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
		assert_true(is_in(modules[i].name));
	assert_string_equal(events->log, "+nvidia(nvidia) +nvidia_uvm(nvidia) "
					 "+nvidia_modeset(nvidia) +nvidia_drm(nvidia) "
					 "start:nvidia-persistenced.service ");
}

static void nvidia_module_in_use_is_refused_by_name_and_all_is_back(void **state)
{
	char before[512];

	(void)state;
	add_nvidia();
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	use("nvidia_uvm", 1);
	write_claim(UUID, "timeout_ms = 20000\n" PAIR);
	assert_int_equal(apply(), HELPER_FAILED);
	assert_string_equal(said,
			    "usher: win11: 0000:01:00.0 cannot be taken from its driver: module "
			    "nvidia_uvm is in use: end what uses the card (lsmod | grep "
			    "nvidia_uvm, fuser -v /dev/nvidia*)\n");
	assert_string_equal(snapshot(), before);
	for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
		assert_true(is_in(modules[i].name));
	assert_string_equal(events->log, "-nvidia_drm -nvidia_modeset +nvidia_modeset(vfio-pci) "
					 "+nvidia_drm(vfio-pci) ");
	assert_false(claim_has("vfio.journal") && undo() != HELPER_DONE);
}

/* Systemd waits for it, not the kernel: nobody needs to reboot */
static void service_that_does_not_stop_in_time_is_named_with_its_cure(void **state)
{
	char before[512];

	(void)state;
	add_nvidia();
	tree_file(host, "nvidia-persistenced.service", "");
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, "timeout_ms = 1500\n" PAIR);
	events->deaf_service = true;
	assert_int_equal(apply(), HELPER_FAILED);
	assert_non_null(strstr(said, "usher: win11: 0000:01:00.0 needs nvidia-persistenced.service "
				     "stopped, and it did not stop within "));
	assert_non_null(strstr(said, " ms: see systemctl status nvidia-persistenced.service, and "
				     "stop it by hand before the start, or raise timeout in "
				     "[vfio] of the policy\n"));
	assert_null(strstr(said, "stuck"));
	assert_string_equal(snapshot(), before);
	assert_false(claim_has("vfio.worker"));
}

static void process_on_an_nvidia_node_is_refused_but_not_the_drivers_own(void **state)
{
	static const char *const nodes[] = { "/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm",
					     "/dev/nvidia-modeset" };
	char line[128];

	(void)state;
	add_nvidia();
	write_claim(UUID, PAIR);
	add_process("700", "nvidia-persiste", "/dev/nvidiactl");
	assert_int_equal(check(), HELPER_DONE);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		add_process("900", "python3", nodes[i]);
		assert_int_equal(check(), HELPER_FAILED);
		(void)snprintf(line, sizeof(line),
			       "is in use by python3 (pid 900), which has %s open: stop it first\n",
			       nodes[i]);
		assert_non_null(strstr(said, line));
		remove_process_fd("900");
	}
	assert_int_equal(check(), HELPER_DONE);
	assert_string_equal(events->log, "");
}

static void add_second_nvidia_to(int group)
{
	add_nvidia();
	add_device(SECOND, "10de:1b80", "0x030000", group);
	set_driver(SECOND, "nvidia");
}

static void add_second_nvidia(void)
{
	add_second_nvidia_to(20);
}

#define JOURNAL	 CLAIM_DIR "/vfio.journal"
#define UNLOADED "-nvidia_drm -nvidia_modeset -nvidia_uvm -nvidia "

static void assert_second_is_home(void)
{
	assert_string_equal(driver_of(SECOND), "nvidia");
	assert_string_equal(override_of(SECOND), "(null)");
	for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
		assert_true(is_in(modules[i].name));
}

/* With the modules of the first one the second one's driver goes, too; whatever their groups */
static void two_nvidia_cards_are_both_looked_at_before_their_modules_go(void **state)
{
	static const char *const groups[] = { "14", "20" };
	char before[512], target[64];

	(void)state;
	add_second_nvidia();
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		(void)snprintf(target, sizeof(target), "../../../kernel/iommu_groups/%s",
			       groups[i]);
		assert_int_equal(unlinkat(host->rootfd, DEVICES SECOND "/iommu_group", 0), 0);
		tree_link(host, DEVICES SECOND "/iommu_group", target);
		tree_file(host, "nvidia-persistenced.service", "");
		(void)snprintf(before, sizeof(before), "%s", snapshot());
		write_claim(UUID, PAIR SECOND_LINE);
		events->log[0] = '\0';
		assert_int_equal(apply(), HELPER_DONE);
		assert_string_equal(events->log, "stop:nvidia-persistenced.service " UNLOADED);
		assert_non_null(
			strstr(tree_read(host, JOURNAL), " driver " GPU " nvidia vfio-pci\n"));
		assert_non_null(
			strstr(tree_read(host, JOURNAL), " driver " SECOND " nvidia vfio-pci\n"));
		assert_string_equal(driver_of(SECOND), "vfio-pci");
		events->log[0] = '\0';
		assert_int_equal(undo(), HELPER_DONE);
		assert_string_equal(said, "");
		/* The unit last, when both are there */
		assert_string_equal(events->log, "+nvidia(vfio-pci) +nvidia_uvm(vfio-pci) "
						 "+nvidia_modeset(vfio-pci) +nvidia_drm(vfio-pci) "
						 "start:nvidia-persistenced.service ");
		assert_string_equal(snapshot(), before);
		assert_second_is_home();
		assert_false(claim_has("vfio.worker") || claim_has("vfio.journal"));
	}
}

static void one_of_two_nvidia_cards_that_fails_leaves_both_as_before(void **state)
{
	char before[512];

	(void)state;
	add_second_nvidia_to(14);
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, "timeout_ms = 20000\n" GPU_LINE AUDIO_LINE SECOND_LINE);
	/* override and probe of the card; override, unbind and probe of its sound; as the first */
	for (int n = 1; n <= 7; n++) {
		kernel->writes = 0;
		kernel->fail_at = kernel->fail_to = n;
		assert_int_equal(apply(), HELPER_FAILED);
		assert_string_equal(snapshot(), before);
		assert_second_is_home();
		assert_false(claim_has("vfio.worker"));
		assert_false(claim_has("vfio.journal") && undo() != HELPER_DONE);
	}
}

static void kill_9_with_two_nvidia_cards_is_repaired_by_undo(void **state)
{
	char before[512];

	(void)state;
	add_second_nvidia_to(14);
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, PAIR SECOND_LINE);
	kernel->kill_both = true;
	for (int n = 1;; n++) {
		kernel->points = 0;
		kernel->kill_at = n;
		(void)helper_process("apply");
		if (kernel->points < n)
			break;
		kernel->kill_at = 0;
		(void)poll(NULL, 0, 30);
		assert_int_equal(undo(), HELPER_DONE);
		assert_string_equal(snapshot(), before);
		assert_second_is_home();
		assert_true(n < 200);
	}
	kernel->kill_at = 0;
	assert_int_equal(undo(), HELPER_DONE);
	assert_second_is_home();
}

static void unload_that_hangs_leaves_two_nvidia_cards_to_their_worker(void **state)
{
	char before[512];

	(void)state;
	add_second_nvidia_to(20);
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, "timeout_ms = 1000\n" PAIR SECOND_LINE);
	events->hang_in_unload = 1;
	assert_int_equal(apply(), HELPER_DIRTY);
	assert_non_null(strstr(said, GPU " is stuck: driver nvidia has not been unloaded for "));
	assert_non_null(strstr(said, SECOND " is stuck: driver nvidia has not let go of another "
					    "device of the guest's for "));
	__atomic_store_n(&kernel->release, 1, __ATOMIC_SEQ_CST);
	wait_until(!claim_has("vfio.worker"));
	assert_string_equal(snapshot(), before);
	assert_second_is_home();
	assert_false(claim_has("vfio.journal"));
}

/* The second card works on for the host: no module may go, and its users are no matter */
static void nvidia_card_beside_one_of_the_hosts_is_unbound(void **state)
{
	char before[512];

	(void)state;
	add_second_nvidia();
	add_process("900", "Xorg", "/dev/nvidia1");
	add_process("901", "Xorg", "/dev/nvidiactl");
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, PAIR);
	assert_int_equal(apply(), HELPER_DONE);
	assert_string_equal(events->log, "");
	assert_string_equal(driver_of(GPU), "vfio-pci");
	assert_string_equal(driver_of("0000:05:00.0"), "nvidia");
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(snapshot(), before);
	add_process("902", "python3", "/dev/nvidia0");
	assert_int_equal(check(), HELPER_FAILED);
	assert_non_null(strstr(said, "python3 (pid 902), which has /dev/nvidia0 open"));
}

#define BOOT                                                                                       \
	"have it on vfio-pci from boot on (driver_override, or vfio-pci.ids=10de:1b80 on the "     \
	"kernel's command line)\n"

/* It has the lock that the worker needs when it comes back from the kernel */
static void undo_takes_two_nvidia_cards_over_from_a_worker_that_has_returned(void **state)
{
	char before[512];
	pid_t pid;

	(void)state;
	add_second_nvidia_to(20);
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, "timeout_ms = 1000\n" PAIR SECOND_LINE);
	events->hang_in_unload = 1;
	assert_int_equal(apply(), HELPER_DIRTY);
	write_claim(UUID, "timeout_ms = 20000\n" PAIR SECOND_LINE);
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)poll(NULL, 0, 200);
		__atomic_store_n(&kernel->release, 1, __ATOMIC_SEQ_CST);
		_exit(0);
	}
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(snapshot(), before);
	assert_second_is_home();
	(void)waitpid(pid, NULL, 0);
}

/* Its service stays with the other card: what that has open would have the unbind never return */
static void nvidia_persistenced_lets_go_of_one_card_of_two_and_has_it_back(void **state)
{
	char before[512];

	(void)state;
	add_second_nvidia();
	tree_file(host, "nvidia-persistenced.service", "");
	tree_file(host, "usr/bin/nvidia-smi", "");
	add_process("700", "nvidia-persiste", "/dev/nvidia0");
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, PAIR);
	assert_int_equal(check(), HELPER_DONE);
	assert_string_equal(events->log, "");
	assert_int_equal(apply(), HELPER_DONE);
	assert_string_equal(events->log, "run:/usr/bin/nvidia-smi -pm:0 ");
	assert_string_equal(driver_of(GPU), "vfio-pci");
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(events->log, "run:/usr/bin/nvidia-smi -pm:0 run:/usr/bin/nvidia-smi "
					 "-pm:1 ");
	assert_string_equal(snapshot(), before);
}

static void nvidia_persistenced_that_keeps_one_card_of_two_is_refused(void **state)
{
	char before[512];

	(void)state;
	add_second_nvidia();
	tree_file(host, "nvidia-persistenced.service", "");
	add_process("700", "nvidia-persiste", "/dev/nvidia0");
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, PAIR);
	assert_int_equal(check(), HELPER_FAILED);
	assert_non_null(strstr(said, " is in use by nvidia-persiste (pid 700), which has "
				     "/dev/nvidia0 open: stop it first, or " BOOT));
	tree_file(host, "usr/bin/nvidia-smi", "");
	events->deaf_keeper = true;
	write_claim(UUID, "timeout_ms = 20000\n" PAIR);
	assert_int_equal(apply(), HELPER_FAILED);
	assert_string_equal(said,
			    "usher: win11: 0000:01:00.0 is not taken from driver nvidia, "
			    "which would hang: it is in use by nvidia-persiste (pid 700): end "
			    "that first, or " BOOT);
	assert_string_equal(snapshot(), before);
	assert_int_equal(attr_exists(host->rootfd, "nvidia-persistenced.service"), 1);
}

static void nvidia_card_of_two_is_not_unbound_in_use_even_by_force(void **state)
{
	(void)state;
	add_second_nvidia();
	add_process("900", "python3", "/dev/nvidia0");
	write_claim(UUID, PAIR "in_use = force\n");
	assert_int_equal(check(), HELPER_FAILED);
	assert_int_equal(apply(), HELPER_FAILED);
	assert_non_null(strstr(said, " is in use by python3 (pid 900), which has /dev/nvidia0 "
				     "open: stop it first, or " BOOT));
	assert_string_equal(driver_of(GPU), "nvidia");
	remove_process_fd("900");
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(undo(), HELPER_DONE);
}

static void nvidia_card_of_two_whose_node_is_not_known_is_refused(void **state)
{
	(void)state;
	add_second_nvidia();
	assert_int_equal(unlinkat(host->rootfd, "proc/driver/nvidia/gpus/" GPU "/information", 0),
			 0);
	write_claim(UUID, PAIR);
	assert_int_equal(check(), HELPER_FAILED);
	assert_int_equal(apply(), HELPER_FAILED);
	assert_non_null(strstr(said, " has driver nvidia, which hangs when it is taken from a "
				     "device in use, and does not say which node is this one's "
				     "(/proc/driver/nvidia): " BOOT));
	assert_string_equal(driver_of(GPU), "nvidia");
	assert_int_equal(kernel->writes, 0);
}

/* The display manager's X server shows the screen through the driver's own nodes */
static void nvidias_x_server_is_usher_seats_to_end_and_no_computing_service(void **state)
{
	(void)state;
	add_nvidia();
	tree_link(host, "etc/systemd/system/display-manager.service",
		  "../../../lib/systemd/system/lightdm.service");
	add_process("812", "Xorg", "/dev/nvidia0");
	tree_file(host, "proc/812/cgroup", "0::/system.slice/lightdm.service\n");
	add_process("813", "lightdm-gtk-gre", "/dev/nvidiactl");
	tree_file(host, "proc/813/cgroup", "0::/system.slice/lightdm.service\n");
	write_claim(UUID, PAIR "[seat]\nrelease = yes\ndevice = " GPU "\n");
	assert_int_equal(check(), HELPER_DONE);
	assert_string_equal(said, "");
	/* One that is there to compute by stays */
	tree_file(host, "proc/812/cgroup", "0::/system.slice/xorg-headless.service\n");
	assert_int_equal(check(), HELPER_FAILED);
	assert_non_null(strstr(said, "is in use by Xorg (pid 812), which has /dev/nvidia0 open"));
}

static void unload_that_hangs_is_left_behind_and_undone_later(void **state)
{
	char before[512];
	long long start;

	(void)state;
	add_nvidia();
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, "timeout_ms = 1000\n" PAIR);
	events->hang_in_unload = 1;
	start = now_ms();
	assert_int_equal(apply(), HELPER_DIRTY);
	assert_true(now_ms() - start < 2000);
	assert_non_null(strstr(said, "0000:01:00.0 is stuck: driver nvidia has not been unloaded "
				     "for "));
	__atomic_store_n(&kernel->release, 1, __ATOMIC_SEQ_CST);
	wait_until(!claim_has("vfio.worker"));
	assert_string_equal(snapshot(), before);
	for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
		assert_true(is_in(modules[i].name));
	assert_false(claim_has("vfio.journal"));
}

static void module_whose_load_hangs_is_named(void **state)
{
	static const struct {
		const char *hangs, *text;
	} rows[] = {
		{ "nvidia_uvm", " is stuck: module nvidia_uvm has not been loaded for " },
		{ "e1000e", " is stuck: module e1000e has not been loaded for " },
	};
	char before[512];

	(void)state;
	add_nvidia();
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, PAIR NIC_LINE);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		kernel->release = 0;
		events->hang_in_load = NULL;
		assert_int_equal(apply(), HELPER_DONE);
		assert_int_equal(unlinkat(host->rootfd, "sys/bus/pci/drivers/e1000e", AT_REMOVEDIR),
				 0);
		events->hang_in_load = rows[i].hangs;
		assert_int_equal(helper_run("--timeout=1000", "undo"), HELPER_DIRTY);
		assert_non_null(strstr(said, rows[i].text));
		assert_int_equal(check(), HELPER_FAILED);
		assert_non_null(strstr(said, rows[i].text + strlen(" is stuck: ")));
		__atomic_store_n(&kernel->release, 1, __ATOMIC_SEQ_CST);
		wait_until(!claim_has("vfio.worker"));
		assert_string_equal(snapshot(), before);
	}
}

static void kill_9_at_any_point_of_it_is_repaired_by_undo(void **state)
{
	char before[512];

	(void)state;
	add_nvidia();
	tree_file(host, "nvidia-persistenced.service", "");
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, PAIR);
	kernel->kill_both = true;
	for (int n = 1;; n++) {
		int status;

		kernel->points = 0;
		kernel->kill_at = n;
		status = helper_process("apply");
		kernel->kill_at = 0;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			break;
		/* A worker that lost its helper alone goes on by itself */
		(void)poll(NULL, 0, 30);
		assert_int_equal(undo(), HELPER_DONE);
		assert_string_equal(snapshot(), before);
		for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
			assert_true(is_in(modules[i].name));
		assert_int_equal(attr_exists(host->rootfd, "nvidia-persistenced.service"), 1);
		assert_true(n < 200);
	}
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(snapshot(), before);
}

/* --- NVIDIA's cards of two guests ----------------------------------------------------------------- */

#define OTHER_DIR "run/usher/" OTHER_UUID
#define HAD	  "run/usher/host/nvidia.ini"
#define TURN	  "run/usher/host/nvidia-family.lock"
#define SERVICE	  "nvidia-persistenced.service"
#define LOADED                                                                                     \
	"+nvidia(nvidia) +nvidia_uvm(nvidia) +nvidia_modeset(nvidia) +nvidia_drm(nvidia) "         \
	"start:" SERVICE " "

static int as_other(int (*verb)(void))
{
	int r;

	claim_dir = OTHER_DIR;
	r = verb();
	claim_dir = CLAIM_DIR;
	return r;
}

static int other_process(const char *verb)
{
	int status;

	claim_dir = OTHER_DIR;
	status = helper_process(verb);
	claim_dir = CLAIM_DIR;
	return status;
}

/* A worker that lost its helper alone goes on by itself, as a child of ours then */
static bool is_all_over(void)
{
	pid_t pid;

	do
		pid = waitpid(-1, NULL, WNOHANG);
	while (pid > 0);
	return pid < 0;
}

static void add_two_guests(void)
{
	add_second_nvidia();
	tree_file(host, SERVICE, "");
	write_claim(UUID, "timeout_ms = 20000\n" PAIR);
	write_claim(OTHER_UUID, "timeout_ms = 20000\n" SECOND_LINE);
	vfio_helper.undo_timeout_ms = 20000;
}

/* The first one's card is unbound, for the second's the modules go */
static void start_two_guests(void)
{
	add_two_guests();
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(as_other(apply), HELPER_DONE);
	assert_string_equal(events->log, "stop:" SERVICE " " UNLOADED);
	assert_string_equal(driver_of(GPU), "vfio-pci");
	assert_string_equal(driver_of(SECOND), "vfio-pci");
	events->log[0] = '\0';
}

static void assert_family_is_loaded(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
		assert_true(is_in(modules[i].name));
	assert_int_equal(attr_exists(host->rootfd, SERVICE), 1);
}

static void assert_family_is_home(void)
{
	assert_family_is_loaded();
	assert_int_equal(attr_exists(host->rootfd, HAD), 0);
}

static void first_guest_of_two_that_ends_has_the_hosts_nvidia_back(void **state)
{
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	start_two_guests();
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(said, "");
	assert_string_equal(events->log, LOADED);
	assert_string_equal(snapshot(), before);
	assert_family_is_home();
	assert_int_equal(as_other(undo), HELPER_DONE);
	assert_string_equal(events->log, LOADED);
	assert_second_is_home();
	assert_family_is_home();
}

static void guest_for_whom_nvidia_was_unloaded_may_end_first(void **state)
{
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	start_two_guests();
	assert_int_equal(as_other(undo), HELPER_DONE);
	assert_second_is_home();
	assert_family_is_home();
	/* And once more: it is the other one's turn to find nobody else */
	assert_int_equal(as_other(apply), HELPER_DONE);
	assert_int_equal(as_other(undo), HELPER_DONE);
	events->log[0] = '\0';
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(events->log, "");
	assert_string_equal(snapshot(), before);
	assert_second_is_home();
	assert_family_is_home();
}

/* At each point of the second one's start, before the first one ends; then of that end itself */
static void kill_9_with_nvidia_cards_of_two_guests_is_repaired(void **state)
{
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	add_two_guests();
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	kernel->kill_both = true;
	for (int n = 1, ended = 0; ended < 2; n++) {
		bool start = ended == 0;

		events->log[0] = '\0';
		assert_int_equal(apply(), HELPER_DONE);
		if (!start)
			assert_int_equal(as_other(apply), HELPER_DONE);
		kernel->points = 0;
		kernel->kill_at = n;
		(void)(start ? other_process("apply") : helper_process("undo"));
		if (kernel->points < n) {
			ended++;
			n = 0;
		}
		kernel->kill_at = 0;
		wait_until(is_all_over());
		assert_int_equal(start ? undo() : as_other(undo), HELPER_DONE);
		assert_family_is_loaded();
		assert_int_equal(start ? as_other(undo) : undo(), HELPER_DONE);
		assert_string_equal(snapshot(), before);
		assert_second_is_home();
		assert_family_is_home();
		assert_true(n < 200);
	}
}

/* It cannot be bound while the modules go: that would take it away again */
static void nvidia_card_is_left_to_recover_while_the_modules_go_for_another_guest(void **state)
{
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	add_two_guests();
	write_claim(OTHER_UUID, "timeout_ms = 2000\n" SECOND_LINE);
	assert_int_equal(apply(), HELPER_DONE);
	events->hang_in_unload = 1;
	assert_int_equal(as_other(apply), HELPER_DIRTY);
	assert_int_equal(helper_run("--timeout=1500", "undo"), HELPER_DIRTY);
	assert_non_null(strstr(said, GPU " cannot go back to driver nvidia while that is at work "
					 "on " SECOND " of "));
	assert_non_null(strstr(said, "): run usher recover when that is done (usher status shows "
				     "what is stuck)\n"));
	assert_string_equal(driver_of(GPU), "");
	assert_false(claim_has("vfio.worker." GPU));
	__atomic_store_n(&kernel->release, 1, __ATOMIC_SEQ_CST);
	wait_until(attr_exists(host->rootfd, OTHER_DIR "/vfio.journal") == 0);
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(snapshot(), before);
	assert_second_is_home();
	assert_family_is_home();
}

/* Return: the lock, as a worker that takes a card from the driver or gives it back has it */
static int take_turn(int (*lock)(int dirfd, const char *name, int timeout_ms))
{
	struct process self;
	char text[128];
	int fd;

	assert_int_equal(process_identify(host->rootfd, getpid(), &self), 0);
	(void)snprintf(text, sizeof(text), "%d %llu " SECOND " win%%2010\n", (int)self.pid,
		       self.start_time);
	tree_file(host, TURN, text);
	fd = lock(host->rootfd, TURN, 0);
	assert_true(fd >= 0);
	return fd;
}

static void nvidia_that_is_at_work_for_another_guest_is_refused_by_name(void **state)
{
	char before[512], text[256];

	(void)state;
	add_two_guests();
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	/* Before the kernel has it in the driver's list */
	set_driver(SECOND, "");
	write_claim(UUID, "timeout_ms = 2000\n" PAIR);
	{
		_cleanup_close_ int turn = take_turn(state_lock_shared);

		assert_true(turn >= 0);
		assert_int_equal(apply(), HELPER_FAILED);
	}
	(void)snprintf(text, sizeof(text),
		       "usher: win11: " GPU " cannot be taken from driver nvidia while that is at "
		       "work on " SECOND " of win 10 (process %d): start again when that is done "
		       "(usher status shows what is stuck)\n",
		       (int)getpid());
	assert_string_equal(said, text);
	assert_string_equal(snapshot(), before);
	assert_int_equal(undo(), HELPER_DONE);
	write_claim(UUID, PAIR);
	assert_int_equal(apply(), HELPER_DONE);
}

/* Nor must a card on its way back, or one that hangs there, keep one from being unbound */
static void nvidia_card_beside_one_of_the_hosts_waits_for_no_turn(void **state)
{
	static int (*const locks[])(int dirfd, const char *name,
				    int timeout_ms) = { state_lock_shared, state_lock };

	(void)state;
	add_two_guests();
	for (size_t i = 0; i < ARRAY_SIZE(locks); i++) {
		_cleanup_close_ int turn = take_turn(locks[i]);

		assert_true(turn >= 0);
		assert_int_equal(apply(), HELPER_DONE);
		assert_string_equal(said, "");
		assert_string_equal(driver_of(GPU), "vfio-pci");
		assert_string_equal(events->log, "");
		assert_second_is_home();
		cleanup_close(&turn);
		turn = -1;
		assert_int_equal(undo(), HELPER_DONE);
	}
	assert_family_is_home();
}

/* One that hangs there must not keep another from coming back */
static void nvidia_cards_go_back_side_by_side(void **state)
{
	(void)state;
	start_two_guests();
	{
		_cleanup_close_ int turn = take_turn(state_lock_shared);

		assert_true(turn >= 0);
		assert_int_equal(undo(), HELPER_DONE);
		assert_int_equal(as_other(undo), HELPER_DONE);
	}
	assert_second_is_home();
	assert_family_is_home();
}

static void nvidia_that_stays_with_vfio_comes_back_with_the_other_card(void **state)
{
	(void)state;
	start_two_guests();
	write_claim(OTHER_UUID, SECOND_LINE "give_back = vfio\n[claim]\nran = yes\n");
	assert_int_equal(as_other(undo), HELPER_DONE);
	assert_string_equal(driver_of(SECOND), "vfio-pci");
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(events->log, LOADED);
	assert_family_is_home();
	/* What nobody comes back for is not kept for ever */
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(attr_exists(host->rootfd, HAD), 1);
	write_claim_that_ran(PAIR "give_back = vfio\n");
	assert_int_equal(undo(), HELPER_DONE);
	assert_int_equal(attr_exists(host->rootfd, HAD), 0);
	assert_int_equal(attr_exists(host->rootfd, "run/usher/host/snd_hda_intel.lock"), 0);
}

/* A card that is not there any more leaves the driver to the one that is */
static void nvidia_is_back_with_one_card_when_the_other_is_gone(void **state)
{
	(void)state;
	add_second_nvidia();
	tree_file(host, SERVICE, "");
	write_claim(UUID, PAIR SECOND_LINE);
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(renameat(host->rootfd, "sys/bus/pci/devices/" GPU, host->rootfd, "gone"),
			 0);
	assert_int_equal(undo(), HELPER_DONE);
	assert_second_is_home();
	assert_family_is_home();
}

/* An older usher had them in the guest's own journal */
static void nvidia_unloaded_by_an_older_version_comes_back(void **state)
{
	char before[512];

	(void)state;
	add_nvidia();
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, PAIR);
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(unlinkat(host->rootfd, HAD, 0), 0);
	tree_file(host, JOURNAL,
		  "1 modules " GPU " nvidia_drm%20nvidia_modeset%20nvidia_uvm%20nvidia %\n"
		  "2 services " GPU " " SERVICE " %\n"
		  "3 override " GPU " % vfio-pci\n4 driver " GPU " nvidia vfio-pci\n"
		  "5 override " AUDIO " % vfio-pci\n6 driver " AUDIO " snd_hda_intel vfio-pci\n");
	events->log[0] = '\0';
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(events->log, LOADED);
	assert_string_equal(snapshot(), before);
	assert_family_is_home();
}

static void service_that_does_not_start_again_is_tried_again_by_the_next_undo(void **state)
{
	char before[512];

	(void)state;
	add_nvidia();
	tree_file(host, SERVICE, "");
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, PAIR);
	assert_int_equal(apply(), HELPER_DONE);
	events->failing_start = -EIO;
	assert_int_equal(undo(), HELPER_DIRTY);
	assert_string_equal(said, "usher: win11: " GPU " is back, but " SERVICE " does not start: "
				  "Input/output error: see systemctl status " SERVICE ", then run "
				  "usher recover\n");
	assert_string_equal(snapshot(), before);
	events->failing_start = 0;
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(snapshot(), before);
	assert_family_is_home();
	/* One that has been removed meanwhile is nothing to come back to */
	assert_int_equal(apply(), HELPER_DONE);
	events->failing_start = -ENOENT;
	assert_int_equal(undo(), HELPER_DONE);
	assert_non_null(strstr(said, " is back, but " SERVICE " does not start: "));
	assert_int_equal(attr_exists(host->rootfd, HAD), 0);
}

static void keeper_that_does_not_take_a_card_again_is_asked_by_the_next_undo(void **state)
{
	(void)state;
	add_second_nvidia();
	tree_file(host, "usr/bin/nvidia-smi", "");
	add_process("700", "nvidia-persiste", "/dev/nvidia0");
	write_claim(UUID, PAIR);
	assert_int_equal(apply(), HELPER_DONE);
	events->failing_tool = 1;
	assert_int_equal(undo(), HELPER_DIRTY);
	assert_non_null(strstr(said, GPU " is back, but not in persistence mode as it was: try "
					 "nvidia-smi -i " GPU " -pm 1, then run usher recover\n"));
	events->failing_tool = 0;
	events->log[0] = '\0';
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(events->log, "run:/usr/bin/nvidia-smi -pm:1 ");
	assert_false(claim_has("vfio.journal"));
}

/* --- Intel ---------------------------------------------------------------------------------------- */

#define IGPU	     "0000:00:02.0"
#define SOUND	     "0000:00:1f.3"
#define IGPU_LINE    "device = " IGPU " 8086:9bc5 hostdev unmanaged\n"
#define SOUND_LINE   "device = " SOUND " 8086:06c8 hostdev unmanaged\n"
#define SOUND_SERVER "pipewire"

/* The sound function has a reference to the module of the card's driver, and is in use */
static void add_intel(void)
{
	add_driver("i915");
	add_device(IGPU, "8086:9bc5", "0x030000", 2);
	add_device(SOUND, "8086:06c8", "0x040300", 12);
	set_driver(IGPU, "i915");
	set_driver(SOUND, "snd_hda_intel");
	module_in("i915");
	use("i915", 1);
	add_below(SOUND, "sound/card0/controlC0", "sound", "snd/controlC0");
	add_process("700", SOUND_SERVER, "/dev/snd/controlC0");
}

static void assert_intel_is_home(void)
{
	assert_string_equal(driver_of(IGPU), "i915");
	assert_string_equal(override_of(IGPU), "(null)");
	assert_string_equal(driver_of(SOUND), "snd_hda_intel");
	assert_string_equal(override_of(SOUND), "(null)");
	assert_int_equal(use_count("i915"), 1);
}

static void intels_card_leaves_its_sound_function_with_the_host(void **state)
{
	(void)state;
	add_intel();
	write_claim(UUID, IGPU_LINE);
	assert_int_equal(check(), HELPER_DONE);
	assert_int_equal(apply(), HELPER_DONE);
	assert_string_equal(said, "");
	/* Override, unbind and probe: nothing is unloaded, and nobody asked to go */
	assert_int_equal(kernel->writes, 3);
	assert_string_equal(events->log, "");
	assert_string_equal(driver_of(IGPU), "vfio-pci");
	assert_string_equal(driver_of(SOUND), "snd_hda_intel");
	assert_int_equal(undo(), HELPER_DONE);
	assert_intel_is_home();
}

static void intels_card_and_its_sound_function_go_each_by_itself(void **state)
{
	(void)state;
	add_intel();
	write_claim(UUID, IGPU_LINE SOUND_LINE);
	assert_int_equal(check(), HELPER_FAILED);
	assert_non_null(strstr(said, SOUND));
	assert_non_null(strstr(said, "is in use by " SOUND_SERVER " (pid 700)"));
	remove_process_fd("700");
	assert_int_equal(apply(), HELPER_DONE);
	assert_string_equal(driver_of(IGPU), "vfio-pci");
	assert_string_equal(driver_of(SOUND), "vfio-pci");
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(events->log, "");
	assert_intel_is_home();
}

/* --- driver = auto ------------------------------------------------------------------------------- */

#define ALIASES                                                                                    \
	"alias pci:v00008086d000010D3sv*sd*bc*sc*i* e1000e\n"                                      \
	"alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci\n"                                             \
	"alias vfio_pci:v00008086d000010D3sv*sd*bc*sc*i* nic_vfio_pci\n"                           \
	"alias vfio_pci:v00008086d*sv*sd*bc*sc*i* intel_vfio_pci\n"

static void driver_auto_takes_the_one_made_for_the_model(void **state)
{
	char before[512];

	(void)state;
	tree_file(host, "proc/sys/kernel/osrelease", "6.12.1\n");
	tree_file(host, "lib/modules/6.12.1/modules.alias", ALIASES);
	tree_file(host, "lib/modules/6.12.1/modules.dep", "x/vfio-pci.ko:\nx/nic_vfio_pci.ko:\n");
	tree_file(host, DEVICES NIC "/modalias",
		  "pci:v00008086d000010D3sv00001AF4sd0bc02sc00i00\n");
	tree_file(host, DEVICES USB "/modalias",
		  "pci:v00001033d00000194sv00001AF4sd0bc0Csc03i30\n");
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, "driver = auto\n" NIC_LINE USB_LINE);
	assert_int_equal(check(), HELPER_DONE);
	assert_int_equal(apply(), HELPER_DONE);
	assert_string_equal(driver_of(NIC), "nic_vfio_pci");
	assert_string_equal(driver_of(USB), "vfio-pci");
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(snapshot(), before);
	/* Another name than the module's, as the kernel shows it */
	tree_dir(host, "sys/module/nic_vfio_pci/drivers/pci:nic-vfio-pci");
	add_driver("nic-vfio-pci");
	assert_int_equal(apply(), HELPER_DONE);
	assert_string_equal(driver_of(NIC), "nic-vfio-pci");
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(snapshot(), before);
}

#define HOSTS_ALIASES                                                                              \
	"alias pci:v00001033d*sv*sd*bc*sc*i* other\n"                                              \
	"alias pci:v00008086d000010D3sv*sd*bc*sc*i* e1000e\n"

static void add_nic_without_a_driver(void)
{
	tree_file(host, "proc/sys/kernel/osrelease", "6.12.1\n");
	tree_file(host, "lib/modules/6.12.1/modules.alias", ALIASES HOSTS_ALIASES);
	tree_file(host, DEVICES NIC "/modalias",
		  "pci:v00008086d000010D3sv00001AF4sd0bc02sc00i00\n");
	set_driver(NIC, "");
	write_claim(UUID, NIC_LINE);
}

/* A guest that is started with the host, before udev has loaded the host's drivers */
static void device_without_a_driver_at_an_early_boot_gets_what_the_kernel_chooses(void **state)
{
	static const struct {
		const char *loaded, *override, *driver;
	} rows[] = {
		{ NULL, "(null)", "e1000e" },
		{ "other", "(null)", "e1000e" },
		/* Somebody has taken it from its driver, or keeps it off: so be it */
		{ "e1000e", "(null)", "" },
		{ NULL, "none", "" },
	};

	(void)state;
	add_nic_without_a_driver();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		set_driver(NIC, "");
		tree_file(host, DEVICES NIC "/driver_override", rows[i].override);
		if (rows[i].loaded)
			module_in(rows[i].loaded);
		assert_int_equal(apply(), HELPER_DONE);
		assert_string_equal(driver_of(NIC), "vfio-pci");
		/* Loaded while the guest had it */
		if (!rows[i].loaded)
			module_in("e1000e");
		assert_int_equal(undo(), HELPER_DONE);
		assert_string_equal(driver_of(NIC), rows[i].driver);
		assert_string_equal(override_of(NIC), rows[i].override);
		module_out("e1000e");
	}
}

/* Its driver has been loaded meanwhile, and our override has kept it off */
static void start_that_fails_early_at_boot_leaves_the_choice_to_the_kernel(void **state)
{
	(void)state;
	add_nic_without_a_driver();
	/* override, probe */
	for (int n = 1; n <= 2; n++) {
		set_driver(NIC, "");
		kernel->writes = 0;
		kernel->fail_at = kernel->fail_to = n;
		assert_int_equal(apply(), HELPER_FAILED);
		assert_string_equal(driver_of(NIC), "e1000e");
		assert_string_equal(override_of(NIC), "(null)");
		assert_false(claim_has("vfio.journal") && undo() != HELPER_DONE);
	}
}

static void start_that_is_killed_early_at_boot_leaves_the_choice_to_the_kernel(void **state)
{
	int without = 0;

	(void)state;
	add_nic_without_a_driver();
	kernel->kill_both = true;
	for (int n = 1;; n++) {
		bool written;

		set_driver(NIC, "");
		kernel->points = 0;
		kernel->kill_at = n;
		(void)helper_process("apply");
		if (kernel->points < n)
			break;
		kernel->kill_at = 0;
		written = strcmp(override_of(NIC), "vfio-pci") == 0;
		without += written && !*driver_of(NIC);
		assert_int_equal(undo(), HELPER_DONE);
		assert_string_equal(override_of(NIC), "(null)");
		if (written)
			assert_string_equal(driver_of(NIC), "e1000e");
	}
	assert_true(without > 0);
	kernel->kill_at = 0;
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(driver_of(NIC), "e1000e");
}

/* --- Reset, power, network --------------------------------------------------------------------- */

static const char *attr_of(const char *addr, const char *attr)
{
	static char texts[2][64];
	static int turn;
	char *text = texts[turn++ % 2], path[256];

	device_path(path, sizeof(path), addr, attr);
	(void)(attr_read(host->rootfd, path, text, sizeof(texts[0])) < 0);
	return text;
}

static void add_attrs(void)
{
	tree_file(host, DEVICES GPU "/reset_method", "flr bus\n");
	tree_file(host, DEVICES AUDIO "/reset_method", "bus\n");
	tree_file(host, DEVICES GPU "/d3cold_allowed", "1\n");
	tree_file(host, DEVICES GPU "/power/control", "auto\n");
}

static void reset_method_of_the_policy_is_set_and_taken_back(void **state)
{
	(void)state;
	add_attrs();
	write_claim(UUID, PAIR "reset = flr\n");
	assert_int_equal(check(), HELPER_DONE);
	assert_int_equal(apply(), HELPER_DONE);
	assert_string_equal(attr_of(GPU, "reset_method"), "flr");
	/* Its sound function has no such method, and keeps its own */
	assert_string_equal(attr_of(AUDIO, "reset_method"), "bus");
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(attr_of(GPU, "reset_method"), "flr bus");
	write_claim(UUID, PAIR "reset = none\n");
	assert_int_equal(apply(), HELPER_DONE);
	assert_string_equal(attr_of(GPU, "reset_method"), "");
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(attr_of(GPU, "reset_method"), "flr bus");
	assert_string_equal(attr_of(AUDIO, "reset_method"), "bus");
}

static void reset_method_that_no_device_has_is_refused(void **state)
{
	(void)state;
	add_attrs();
	write_claim(UUID, PAIR "reset = device_specific\n");
	assert_int_equal(check(), HELPER_FAILED);
	assert_string_equal(
		said, "usher: win11: no device of the guest can be reset by 'device_specific': "
		      "cat /sys/bus/pci/devices/0000:01:00.0/reset_method for what it offers, "
		      "and set reset in [vfio] of the policy to one of these or to auto\n");
	write_claim(UUID, PAIR "reset = hard\n");
	assert_int_equal(check(), HELPER_USAGE);
}

#define NAVI_LINE "device = " GPU " 1002:731f hostdev unmanaged\n"

static void add_navi(void)
{
	tree_file(host, DEVICES GPU "/vendor", "0x1002\n");
	tree_file(host, DEVICES GPU "/device", "0x731f\n");
	tree_file(host, DEVICES GPU "/reset_method", "pm bus\n");
	tree_file(host, DEVICES AUDIO "/reset_method", "bus\n");
	add_driver("amdgpu");
	set_driver(GPU, "amdgpu");
}

/* It resets the card whenever reset_method is written: never under the host's driver */
static void vendor_reset_is_chosen_between_drivers_and_taken_back(void **state)
{
	static const char *const policies[] = { NAVI_LINE AUDIO_LINE,
						NAVI_LINE AUDIO_LINE "reset = device_specific\n" };

	(void)state;
	add_navi();
	module_in("vendor_reset");
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		write_claim(UUID, policies[i]);
		assert_int_equal(check(), HELPER_DONE);
		assert_string_equal(said, "");
		assert_int_equal(apply(), HELPER_DONE);
		assert_string_equal(driver_of(GPU), "vfio-pci");
		assert_string_equal(attr_of(GPU, "reset_method"), "device_specific");
		assert_string_equal(attr_of(AUDIO, "reset_method"), "bus");
		assert_int_equal(undo(), HELPER_DONE);
		assert_string_equal(said, "");
		assert_string_equal(driver_of(GPU), "amdgpu");
		assert_string_equal(attr_of(GPU, "reset_method"), "pm bus");
		assert_false(kernel->reset_in_use);
	}
}

/* libvirt has given it back itself */
static void vendor_reset_is_not_changed_under_the_hosts_driver(void **state)
{
	(void)state;
	add_navi();
	module_in("vendor_reset");
	write_claim(UUID, NAVI_LINE AUDIO_LINE);
	assert_int_equal(apply(), HELPER_DONE);
	set_driver(GPU, "amdgpu");
	tree_file(host, DEVICES GPU "/driver_override", "(null)");
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(said, "usher: win11: reset_method of 0000:01:00.0 is left at "
				  "'device_specific', and was 'pm bus': its driver has it, and "
				  "vendor-reset would reset it at a change\n");
	assert_false(kernel->reset_in_use);
}

static void vendor_reset_that_the_kernel_refuses_is_no_reason_unless_asked_for(void **state)
{
	char before[512];

	(void)state;
	add_navi();
	module_in("vendor_reset");
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	/* override, unbind, reset_method */
	kernel->fail_at = kernel->fail_to = 3;
	write_claim(UUID, NAVI_LINE AUDIO_LINE);
	assert_int_equal(apply(), HELPER_DONE);
	assert_string_equal(said, "usher: win11: cannot set reset_method of 0000:01:00.0 to "
				  "'device_specific': Input/output error: see dmesg\n");
	assert_int_equal(undo(), HELPER_DONE);
	kernel->writes = 0;
	write_claim(UUID, NAVI_LINE AUDIO_LINE "reset = device_specific\n");
	assert_int_equal(apply(), HELPER_FAILED);
	assert_string_equal(snapshot(), before);
	assert_string_equal(attr_of(GPU, "reset_method"), "pm bus");
}

static void card_that_wants_vendor_reset_and_has_it_not_is_told(void **state)
{
	(void)state;
	add_navi();
	write_claim(UUID, NAVI_LINE AUDIO_LINE);
	assert_int_equal(check(), HELPER_DONE);
	assert_non_null(strstr(said, " is of a kind that the kernel cannot reset (it has: pm bus), "
				     "so after a guest it may be dead until the host is rebooted: "
				     "install vendor-reset (github.com/gnif/vendor-reset) and "
				     "have its module loaded at boot\n"));
	assert_null(strstr(strstr(said, "vendor-reset (") + 1, "vendor-reset ("));
	tree_file(host, DEVICES GPU "/reset_method", "flr bus\n");
	assert_int_equal(check(), HELPER_DONE);
	assert_string_equal(said, "");
	/* Who has chosen one knows */
	tree_file(host, DEVICES GPU "/reset_method", "pm bus\n");
	write_claim(UUID, NAVI_LINE AUDIO_LINE "reset = bus\n");
	assert_int_equal(check(), HELPER_DONE);
	assert_string_equal(said, "");
	/* Another model */
	tree_file(host, DEVICES GPU "/device", "0x73bf\n");
	write_claim(UUID, "device = " GPU " 1002:73bf hostdev unmanaged\n" AUDIO_LINE);
	assert_int_equal(check(), HELPER_DONE);
	assert_string_equal(said, "");
	module_in("vendor_reset");
	assert_int_equal(apply(), HELPER_DONE);
	assert_string_equal(attr_of(GPU, "reset_method"), "pm bus");
	assert_int_equal(undo(), HELPER_DONE);
}

/* vfio-pci itself sets one of them when it comes and when it goes */
static void power_settings_come_back_as_they_were(void **state)
{
	static const char *const controls[] = { "on", "auto" };

	(void)state;
	add_attrs();
	kernel->sets_power = true;
	for (size_t i = 0; i < ARRAY_SIZE(controls); i++) {
		tree_file(host, DEVICES GPU "/power/control", controls[i]);
		write_claim(UUID, PAIR);
		assert_int_equal(apply(), HELPER_DONE);
		assert_string_equal(attr_of(GPU, "power/control"), "auto");
		assert_int_equal(undo(), HELPER_DONE);
		assert_string_equal(said, "");
		assert_string_equal(attr_of(GPU, "d3cold_allowed"), "1");
		assert_string_equal(attr_of(GPU, "power/control"), controls[i]);
	}
}

static void settings_that_somebody_has_changed_meanwhile_stay_and_are_said(void **state)
{
	static const char *const policies[] = { PAIR "reset = flr\n",
						PAIR "reset = flr\ngive_back = vfio\n" };

	(void)state;
	kernel->sets_power = true;
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		add_attrs();
		set_driver(GPU, "nvidia");
		write_claim_that_ran(policies[i]);
		assert_int_equal(apply(), HELPER_DONE);
		tree_file(host, DEVICES GPU "/power/control", "on\n");
		assert_int_equal(undo(), HELPER_DONE);
		assert_string_equal(said, "usher: win11: power/control of 0000:01:00.0 has been "
					  "set to 'on' meanwhile: left so\n");
		assert_string_equal(attr_of(GPU, "power/control"), "on");
		assert_string_equal(attr_of(GPU, "reset_method"), "flr bus");
		assert_int_equal(apply(), HELPER_DONE);
		tree_file(host, DEVICES GPU "/reset_method", "bus\n");
		tree_file(host, DEVICES GPU "/d3cold_allowed", "0\n");
		assert_int_equal(undo(), HELPER_DONE);
		if (i == 0) {
			assert_string_equal(attr_of(GPU, "reset_method"), "bus");
			assert_string_equal(attr_of(GPU, "d3cold_allowed"), "0");
		}
	}
}

static void give_back_vfio_gives_the_rest_back_or_says_what_is_not(void **state)
{
	(void)state;
	add_attrs();
	add_nvidia();
	tree_file(host, "nvidia-persistenced.service", "");
	write_claim_that_ran(PAIR "give_back = vfio\nreset = flr\n");
	assert_int_equal(apply(), HELPER_DONE);
	assert_string_equal(attr_of(GPU, "reset_method"), "flr");
	assert_int_equal(helper_run("--dry-run", "undo"), HELPER_DONE);
	assert_non_null(strstr(said, "leave " GPU " with vfio-pci\nwrite /sys/bus/pci/devices/" GPU
				     "/reset_method flr bus\n"));
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(driver_of(GPU), "vfio-pci");
	assert_string_equal(attr_of(GPU, "reset_method"), "flr bus");
	assert_string_equal(said, "usher: win11: 0000:01:00.0 stays with vfio-pci, so these are "
				  "not back: modules nvidia_drm nvidia_modeset nvidia_uvm nvidia "
				  "units nvidia-persistenced.service: see give_back in "
				  "usher-vfio(8) for how to have it back\n");
	assert_false(claim_has("vfio.journal"));
}

static void interface_is_waited_for_until_its_manager_has_it_again(void **state)
{
	long long start;
	pid_t pid;

	(void)state;
	tree_link(host, DEVICES NIC "/net/eth0/subsystem", "../../../../../../class/net");
	tree_file(host, "sys/class/net/eth0/ifindex", "3\n");
	tree_file(host, "proc/300/comm", "systemd-network\n");
	tree_file(host, "run/systemd/netif/links/3", "NETWORK_FILE=/x\n");
	write_claim(UUID, NIC_LINE);
	for (int comes = 1; comes >= 0; comes--) {
		tree_file(host, "run/systemd/netif/links/3", "NETWORK_FILE=/x\n");
		assert_int_equal(apply(), HELPER_DONE);
		tree_file(host, "run/systemd/netif/links/3", "ADMIN_STATE=pending\n");
		(void)fflush(stdout);
		pid = fork();
		if (pid == 0) {
			(void)poll(NULL, 0, 300);
			if (comes)
				tree_file(host, "run/systemd/netif/links/3", "NETWORK_FILE=/x\n");
			_exit(0);
		}
		start = now_ms();
		vfio_helper.undo_timeout_ms = 1500;
		assert_int_equal(undo(), HELPER_DONE);
		assert_in_range(now_ms() - start, 250, 2500);
		if (comes)
			assert_string_equal(said, "");
		else
			assert_string_equal(
				said, "usher: win11: 0000:02:00.0 is back, but not configured "
				      "yet as it was (systemd-networkd eth0): see networkctl "
				      "or nmcli\n");
		assert_string_equal(driver_of(NIC), "e1000e");
		(void)waitpid(pid, NULL, 0);
	}
}

/* --- To whom devices go -------------------------------------------------------------------------- */

static void give_back_vfio_leaves_devices_there_for_the_next_start(void **state)
{
	int writes;

	(void)state;
	write_claim_that_ran(PAIR NIC_LINE "give_back = vfio\n");
	assert_int_equal(apply(), HELPER_DONE);
	writes = kernel->writes;
	assert_int_equal(undo(), HELPER_DONE);
	assert_int_equal(kernel->writes, writes);
	assert_string_equal(driver_of(GPU), "vfio-pci");
	assert_string_equal(driver_of(NIC), "vfio-pci");
	assert_false(claim_has("vfio.journal"));
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(undo(), HELPER_DONE);
	assert_int_equal(kernel->writes, writes);
}

static void give_back_vfio_takes_a_half_done_start_back_all_the_same(void **state)
{
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, PAIR "give_back = vfio\n");
	kernel->fail_at = kernel->fail_to = 6;
	assert_int_equal(apply(), HELPER_FAILED);
	assert_string_equal(snapshot(), before);
}

/* QEMU or a script fails behind it: no guest has had the devices */
static void give_back_vfio_takes_a_start_back_that_fails_later(void **state)
{
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	write_claim(UUID, PAIR "give_back = vfio\n");
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(said, "");
	assert_string_equal(snapshot(), before);
	/* Where it was on vfio-pci before, that is how it was */
	set_driver(GPU, "vfio-pci");
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(snapshot(), before);
}

#define RULE_FILE "run/udev/rules.d/72-usher-" GPU ".rules"

static void give_back_render_takes_the_card_out_of_the_seat_before_it_is_touched(void **state)
{
	(void)state;
	tree_dir(host, "run/udev");
	write_claim(UUID, PAIR "give_back = render\n");
	assert_int_equal(apply(), HELPER_DONE);
	assert_string_equal(
		tree_read(host, RULE_FILE),
		"# Written by usher: give_back = render\n"
		"SUBSYSTEM==\"drm\", KERNEL==\"card*\", KERNELS==\"0000:01:00.0\", TAG-=\"seat\", "
		"TAG-=\"master-of-seat\", TAG-=\"uaccess\", TAG+=\"mutter-device-ignore\", "
		"ENV{ID_SEAT}=\"seat-usher\"\n"
		"SUBSYSTEM==\"graphics\", KERNELS==\"0000:01:00.0\", TAG-=\"seat\", "
		"TAG-=\"master-of-seat\", ENV{ID_SEAT}=\"seat-usher\"\n"
		"SUBSYSTEM==\"sound\", KERNELS==\"0000:01:00*\", ENV{ACP_IGNORE}=\"1\", "
		"ENV{PULSE_IGNORE}=\"1\"\n");
	assert_string_equal(events->log, "run:/usr/bin/udevadm ");
	write_claim_that_ran(PAIR "give_back = render\n");
	assert_int_equal(undo(), HELPER_DONE);
	assert_string_equal(driver_of(GPU), "nvidia");
	assert_int_equal(attr_exists(host->rootfd, RULE_FILE), 1);
	assert_false(claim_has("render.journal"));
	/* And a policy that wants it no more takes the rule away */
	write_claim(UUID, PAIR);
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(attr_exists(host->rootfd, RULE_FILE), 0);
	write_claim_that_ran(PAIR);
	assert_int_equal(undo(), HELPER_DONE);
	assert_int_equal(attr_exists(host->rootfd, RULE_FILE), 0);
}

/* Whose card is in the desktop's seat: without its rule, or with one of an earlier guest's life */
static void start_that_fails_leaves_the_card_in_the_seat_it_was_in(void **state)
{
	static const char *const policies[] = { PAIR "give_back = render\n", PAIR };

	(void)state;
	tree_dir(host, "run/udev/rules.d");
	for (int was = 0; was <= 1; was++) {
		write_claim(UUID, policies[was]);
		if (was)
			tree_file(host, RULE_FILE, "# Written by usher\n");
		/* The handover, and what comes after it */
		for (int n = 0; n <= 6; n++) {
			kernel->writes = 0;
			kernel->fail_at = kernel->fail_to = n;
			assert_int_equal(apply(), n ? HELPER_FAILED : HELPER_DONE);
			if (n == 0)
				assert_int_equal(undo(), HELPER_DONE);
			assert_string_equal(driver_of(GPU), "nvidia");
			assert_int_equal(attr_exists(host->rootfd, RULE_FILE), was);
			assert_false(claim_has("render.journal"));
		}
	}
}

static void start_that_is_killed_leaves_the_card_in_the_seat_it_was_in(void **state)
{
	char before[512];
	int written = 0;

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	tree_dir(host, "run/udev/rules.d");
	write_claim(UUID, PAIR "give_back = render\n");
	kernel->kill_both = true;
	for (int n = 1;; n++) {
		kernel->points = 0;
		kernel->kill_at = n;
		(void)helper_process("apply");
		if (kernel->points < n)
			break;
		kernel->kill_at = 0;
		written += attr_exists(host->rootfd, RULE_FILE) == 1;
		assert_int_equal(undo(), HELPER_DONE);
		assert_string_equal(snapshot(), before);
		assert_int_equal(attr_exists(host->rootfd, RULE_FILE), 0);
		assert_false(claim_has("render.journal"));
	}
	assert_true(written > 2);
}

static void render_journal_that_is_none_of_ours_is_refused(void **state)
{
	static const char *const journals[] = {
		"1 rule ../../../etc/passwd none %\n",
		"1 rule 01:00.0 none %\n",
		"1 rule 0000:01:00.0 maybe %\n",
		"1 file 0000:01:00.0 none %\n",
		"garbage\n",
	};

	(void)state;
	tree_file(host, RULE_FILE, "# Written by usher\n");
	for (size_t i = 0; i < ARRAY_SIZE(journals); i++) {
		tree_file(host, CLAIM_DIR "/render.journal", journals[i]);
		assert_int_equal(undo(), HELPER_DIRTY);
		assert_non_null(strstr(said, "render.journal which cards are kept from the "
					     "desktop: Bad message: remove what you do not want "
					     "of /run/udev/rules.d/72-usher-*, then udevadm"));
	}
	assert_int_equal(attr_exists(host->rootfd, RULE_FILE), 1);
}

/* The display manager would be started again on a seat that has no card */
static void give_back_render_of_the_only_card_of_a_desktop_is_refused(void **state)
{
	(void)state;
	tree_dir(host, "run/udev");
	tree_file(host, DEVICES GPU "/boot_vga", "1\n");
	write_claim(UUID, PAIR "give_back = render\n");
	assert_int_equal(check(), HELPER_DONE);
	tree_link(host, "etc/systemd/system/display-manager.service",
		  "../../../lib/systemd/system/gdm.service");
	assert_int_equal(check(), HELPER_FAILED);
	assert_int_equal(apply(), HELPER_FAILED);
	assert_non_null(strstr(said,
			       " is the only card that the desktop of seat0 has, and with "
			       "give_back = render none may take it after the guest, the "
			       "screen would stay black: set give_back = host in [vfio] of the "
			       "policy, or show the desktop on another card\n"));
	assert_int_equal(attr_exists(host->rootfd, RULE_FILE), 0);
	/* The firmware's is on the same card; another one on another seat */
	tree_link(host, "sys/class/drm/card3/device/subsystem", "../../../bus/platform");
	tree_dir(host, DEVICES "0000:00:02.0");
	tree_link(host, DEVICES "0000:00:02.0/subsystem", "../../../bus/pci");
	tree_link(host, "sys/class/drm/card1/device", "../../../bus/pci/devices/0000:00:02.0");
	tree_file(host, "sys/class/drm/card1/dev", "226:1\n");
	tree_file(host, "run/udev/data/c226:1", "I:1\nE:ID_SEAT=seat1\n");
	assert_int_equal(check(), HELPER_FAILED);
	tree_file(host, "run/udev/data/c226:1", "I:1\nG:seat\n");
	assert_int_equal(check(), HELPER_DONE);
	assert_int_equal(apply(), HELPER_DONE);
	assert_int_equal(undo(), HELPER_DONE);
}

/* It would be started again before a card that has stayed with vfio-pci */
static void give_back_vfio_of_the_only_card_of_a_desktop_is_refused(void **state)
{
	(void)state;
	tree_file(host, DEVICES GPU "/boot_vga", "1\n");
	write_claim(UUID, PAIR "give_back = vfio\n");
	assert_int_equal(check(), HELPER_DONE);
	tree_link(host, "etc/systemd/system/display-manager.service",
		  "../../../lib/systemd/system/gdm.service");
	assert_int_equal(check(), HELPER_FAILED);
	assert_non_null(strstr(said,
			       " is the only card that the desktop of seat0 has, and with "
			       "give_back = vfio none may take it after the guest, the "
			       "screen would stay black: set give_back = host in [vfio] of the "
			       "policy, or show the desktop on another card\n"));
	assert_int_equal(apply(), HELPER_FAILED);
	assert_int_equal(kernel->writes, 0);
	/* One that is there since the host's boot shows nothing that could go black */
	set_driver(GPU, "vfio-pci");
	assert_int_equal(check(), HELPER_DONE);
	set_driver(GPU, "nvidia");
	tree_link(host, "sys/class/drm/card1/device", "../../../bus/pci/devices/0000:00:02.0");
	tree_link(host, DEVICES "0000:00:02.0/subsystem", "../../../bus/pci");
	assert_int_equal(check(), HELPER_DONE);
}

/* --- Processes ------------------------------------------------------------------------------------- */

static void host_without_room_for_a_process_says_so_once(void **state)
{
	char before[512];

	(void)state;
	(void)snprintf(before, sizeof(before), "%s", snapshot());
	events->no_process = true;
	assert_int_equal(apply(), HELPER_FAILED);
	assert_string_equal(said, "usher: win11: no process can be started for the host's drivers: "
				  "Resource temporarily unavailable: see ulimit -u\n");
	assert_string_equal(snapshot(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rules_test(one_nvidia_card_is_unloaded_not_unbound_and_loaded_again),
		rules_test(nvidia_module_in_use_is_refused_by_name_and_all_is_back),
		rules_test(service_that_does_not_stop_in_time_is_named_with_its_cure),
		rules_test(process_on_an_nvidia_node_is_refused_but_not_the_drivers_own),
		rules_test(nvidia_card_beside_one_of_the_hosts_is_unbound),
		rules_test(two_nvidia_cards_are_both_looked_at_before_their_modules_go),
		rules_test(one_of_two_nvidia_cards_that_fails_leaves_both_as_before),
		rules_test(kill_9_with_two_nvidia_cards_is_repaired_by_undo),
		rules_test(unload_that_hangs_leaves_two_nvidia_cards_to_their_worker),
		rules_test(undo_takes_two_nvidia_cards_over_from_a_worker_that_has_returned),
		rules_test(nvidia_persistenced_lets_go_of_one_card_of_two_and_has_it_back),
		rules_test(nvidia_persistenced_that_keeps_one_card_of_two_is_refused),
		rules_test(nvidia_card_of_two_is_not_unbound_in_use_even_by_force),
		rules_test(nvidia_card_of_two_whose_node_is_not_known_is_refused),
		rules_test(nvidias_x_server_is_usher_seats_to_end_and_no_computing_service),
		rules_test(unload_that_hangs_is_left_behind_and_undone_later),
		rules_test(module_whose_load_hangs_is_named),
		rules_test(kill_9_at_any_point_of_it_is_repaired_by_undo),
		rules_test(first_guest_of_two_that_ends_has_the_hosts_nvidia_back),
		rules_test(guest_for_whom_nvidia_was_unloaded_may_end_first),
		rules_test(kill_9_with_nvidia_cards_of_two_guests_is_repaired),
		rules_test(nvidia_card_is_left_to_recover_while_the_modules_go_for_another_guest),
		rules_test(nvidia_that_is_at_work_for_another_guest_is_refused_by_name),
		rules_test(nvidia_card_beside_one_of_the_hosts_waits_for_no_turn),
		rules_test(nvidia_cards_go_back_side_by_side),
		rules_test(nvidia_that_stays_with_vfio_comes_back_with_the_other_card),
		rules_test(nvidia_is_back_with_one_card_when_the_other_is_gone),
		rules_test(nvidia_unloaded_by_an_older_version_comes_back),
		rules_test(service_that_does_not_start_again_is_tried_again_by_the_next_undo),
		rules_test(keeper_that_does_not_take_a_card_again_is_asked_by_the_next_undo),
		rules_test(intels_card_leaves_its_sound_function_with_the_host),
		rules_test(intels_card_and_its_sound_function_go_each_by_itself),
		rules_test(driver_auto_takes_the_one_made_for_the_model),
		rules_test(device_without_a_driver_at_an_early_boot_gets_what_the_kernel_chooses),
		rules_test(start_that_fails_early_at_boot_leaves_the_choice_to_the_kernel),
		rules_test(start_that_is_killed_early_at_boot_leaves_the_choice_to_the_kernel),
		rules_test(reset_method_of_the_policy_is_set_and_taken_back),
		rules_test(reset_method_that_no_device_has_is_refused),
		rules_test(vendor_reset_is_chosen_between_drivers_and_taken_back),
		rules_test(vendor_reset_is_not_changed_under_the_hosts_driver),
		rules_test(vendor_reset_that_the_kernel_refuses_is_no_reason_unless_asked_for),
		rules_test(card_that_wants_vendor_reset_and_has_it_not_is_told),
		rules_test(power_settings_come_back_as_they_were),
		rules_test(settings_that_somebody_has_changed_meanwhile_stay_and_are_said),
		rules_test(give_back_vfio_gives_the_rest_back_or_says_what_is_not),
		rules_test(interface_is_waited_for_until_its_manager_has_it_again),
		rules_test(give_back_vfio_leaves_devices_there_for_the_next_start),
		rules_test(give_back_vfio_takes_a_half_done_start_back_all_the_same),
		rules_test(give_back_vfio_takes_a_start_back_that_fails_later),
		rules_test(give_back_vfio_of_the_only_card_of_a_desktop_is_refused),
		rules_test(give_back_render_takes_the_card_out_of_the_seat_before_it_is_touched),
		rules_test(start_that_fails_leaves_the_card_in_the_seat_it_was_in),
		rules_test(start_that_is_killed_leaves_the_card_in_the_seat_it_was_in),
		rules_test(render_journal_that_is_none_of_ours_is_refused),
		rules_test(give_back_render_of_the_only_card_of_a_desktop_is_refused),
		rules_test(host_without_room_for_a_process_says_so_once),
	};

	return cmocka_run_group_tests_name("vfio/rules", tests, NULL, NULL);
}
