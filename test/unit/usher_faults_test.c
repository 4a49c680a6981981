/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/usher_faults_test.c - what the command cannot find out, it says */
/* wraps: malloc calloc realloc reallocarray strdup strndup */
/* wraps: vasprintf __vasprintf_chk asprintf __asprintf_chk open_memstream */
/* wraps: attr_open attr_read attr_read_ull attr_read_all attr_list attr_link attr_exists */
/* wraps: state_open state_dir state_read state_lock journal_open */
#include "faults.h"

#include <pthread.h>

#include "machine.h"
#include "usher_host.h"
#include "whole.h"

#define UUID "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define HOME "run/usher/" UUID

#define CARD  "0000:01:00.0"
#define AUDIO "0000:01:00.1"
#define NIC   "0000:02:00.0"

/* A guest that runs with two devices, and one of the host's */
static void make_host(const struct tree *tree)
{
	machine_make(tree, &desktop);
	host_process(tree, 200);
	host_process(tree, 300);
	host_device(tree, CARD, "10de:1f02", "0x030000\n", 5);
	host_device(tree, AUDIO, "10de:10f9", "0x040300\n", 5);
	host_device(tree, NIC, "8086:1533", "0x020000\n", 7);
	tree_link(tree, "sys/bus/pci/devices/" CARD "/driver", "../../drivers/vfio-pci");
	tree_file(tree, HOME "/claim.ini",
		  "[claim]\nformat = 1\nguest = win11\nuuid = " UUID
		  "\nstate = running\nowner = 200 2000\nrequired =\n"
		  "[vfio]\ndevice = " CARD " 10de:1f02 hostdev unmanaged\n"
		  "device = " AUDIO " 10de:10f9 slot unmanaged\n");
	tree_file(tree, HOME "/vfio.worker." AUDIO, "snd_hda_intel 300 3000 unbind 1\n");
	assert_int_equal(fchmodat(tree->rootfd, "run/usher", 0700, 0), 0);
}

/* With one allocation failing after the other: what does not exit with 0 has said why */
static void assert_said(const struct command *command, const struct request *request, int at_least)
{
	static struct answer whole, now;
	bool hit = true;
	int n, refused = 0;

	answer(command, request, &whole);
	for (n = 0; hit; n++) {
		faults_begin(FAULT_MEMORY, n, ENOMEM);
		answer(command, request, &now);
		hit = faults_end();
		refused += now.status != 0;
		if (now.status == 0 ? whole.status == 0 : *now.err != '\0')
			continue;
		faults_where();
		fail_msg("%s: fault %d: exit %d, says nothing", command->name, n, now.status);
	}
	assert_int_equal(now.status, whole.status);
	if (refused < at_least)
		fail_msg("%s: of %d faults none was refused: exit %d, says %s", command->name, n,
			 whole.status, whole.err);
}

static void a_command_that_lacks_memory_says_so(void **state)
{
	const struct tree *tree = *state;
	struct request request = { .root = tree->dir, .dir = "/nowhere" };
	char file[128];
	int status;

	make_host(tree);
	assert_said(&command_status, &request, 1);
	assert_said(&command_groups, &request, 1);
	(void)snprintf(file, sizeof(file), "%s/saved.xml", tree->dir);
	request.save = file;
	(void)said(&command_groups, &request, &status);
	assert_int_equal(status, 0);
	request.save = NULL;
	request.xml = file;
	assert_said(&command_groups, &request, 1);
	request.xml = NULL;
	assert_int_equal(unlinkat(tree->rootfd, HOME "/vfio.worker." AUDIO, 0), 0);
	assert_said(&command_recover, &request, 1);
	request.guest = "win11";
	assert_said(&command_recover, &request, 1);
}

static void a_listing_that_lacks_a_detail_fails_and_says_which(void **state)
{
	static const struct command *const listings[] = { &command_status, &command_groups };
	const struct tree *tree = *state;

	make_host(tree);
	for (size_t i = 0; i < ARRAY_SIZE(listings); i++)
		for (int json = 0; json < 2; json++) {
			const struct request request = { .root = tree->dir, .json = json };

			assert_whole(listings[i], &request, FAULT_READ, EIO, 1);
			assert_whole(listings[i], &request, FAULT_MEMORY, ENOMEM, 1);
		}
}

static void a_check_that_lacks_memory_is_not_all_well(void **state)
{
	const struct tree *tree = *state;

	make_host(tree);
	for (int json = 0; json < 2; json++) {
		const struct request request = { .root = tree->dir,
						 .dir = "/nowhere",
						 .json = json };

		assert_whole(&command_check, &request, FAULT_MEMORY, ENOMEM, 1);
	}
}

static void program(const struct tree *tree, const char *path, const char *text)
{
	tree_file(tree, path, text);
	assert_int_equal(fchmodat(tree->rootfd, path, 0755, 0), 0);
}

#define SCRIPTS "etc/libvirt/hooks/qemu.d/games/"

/* As the hook and a helper answer, of a guest with scripts; and another that is gone, which owes its own */
static void make_plan(const struct tree *tree)
{
	make_host(tree);
	program(tree, "usher-hook",
		"#!/bin/sh\ncat <<EOF\n[claim]\nformat = 1\nguest = games\n"
		"uuid = 2b4e28ba-2fa1-11d2-883f-0016d3cca427\nstate = preparing\nowner = 1 1\n"
		"required = vfio\n[vfio]\ndevice = " NIC " 8086:1533 hostdev managed\n"
		"[scripts]\nrun = yes\nEOF\n");
	program(tree, "usher-vfio", "#!/bin/sh\necho write x\necho usher: games: hm >&2\n");
	program(tree, SCRIPTS "prepare/begin/10-a", "#!/bin/sh\nmodprobe -r i915\n");
	tree_file(tree, "games.xml", "<domain><name>games</name></domain>");
	tree_file(tree, HOME "/scripts.owed", "release");
	tree_file(tree, HOME "/claim.ini",
		  "[claim]\nformat = 1\nguest = win11\nuuid = " UUID
		  "\nstate = running\nowner = 1 1\nrequired =\n[scripts]\nrun = yes\n"
		  "[vfio]\ndevice = " CARD " 10de:1f02 hostdev unmanaged\n");
	program(tree, "etc/libvirt/hooks/qemu.d/win11/release/end/10-b", "#!/bin/sh\n");
	assert_int_equal(fchmodat(tree->rootfd, "run/usher", 0700, 0), 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(fchmodat(tree->rootfd,
					  (const char *const[]){ HOME, HOME "/scripts.owed" }[i],
					  i ? 0600 : 0700, 0),
				 0);
}

/* What counts lines allocates before execve(2), and dies of having no memory */
static void child_has_memory(void)
{
	faults_off = true;
}

static void a_plan_that_lacks_a_step_fails_and_says_so(void **state)
{
	const struct tree *tree = *state;
	char xml[128];

	assert_int_equal(pthread_atfork(NULL, NULL, child_has_memory), 0);
	make_plan(tree);
	(void)snprintf(xml, sizeof(xml), "%s/games.xml", tree->dir);
	for (int json = 0; json < 2; json++) {
		const struct request request = {
			.root = tree->dir, .dir = tree->dir, .xml = xml, .json = json
		};

		assert_whole(&command_plan, &request, FAULT_READ, EIO, faults_every());
		assert_whole(&command_plan, &request, FAULT_MEMORY, ENOMEM, faults_every());
	}
}

#define POLICY "etc/usher/conf.d/games.ini"

/* It is the whole new one or the old one, and what does not end with 0 has said why */
static void a_policy_is_written_as_a_whole_or_it_is_said_why_not(void **state)
{
	static const struct command *const commands[] = { &command_init, &command_edit };
	const struct tree *tree = *state;
	char xml[128], editor[128];
	static struct answer now;

	assert_int_equal(pthread_atfork(NULL, NULL, child_has_memory), 0);
	make_plan(tree);
	program(tree, "usher-display", "#!/bin/sh\necho i2c-5 DEL:a0c4:JK9X\n");
	program(tree, "editor", "#!/bin/sh\necho '# edited' >>\"$1\"\n");
	(void)snprintf(xml, sizeof(xml), "%s/games.xml", tree->dir);
	(void)snprintf(editor, sizeof(editor), "%s/editor", tree->dir);
	assert_int_equal(setenv("SUDO_EDITOR", editor, 1), 0);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const bool init = commands[i] == &command_init;
		const struct request request = { .root = tree->dir,
						 .dir = tree->dir,
						 .xml = init ? xml : NULL,
						 .guest = "games",
						 .force = init };
		char whole[8192];
		bool hit = true;

		tree_file(tree, POLICY, "# old\n");
		answer(commands[i], &request, &now);
		assert_int_equal(now.status, 0);
		(void)snprintf(whole, sizeof(whole), "%s", tree_read(tree, POLICY));
		assert_string_not_equal(whole, "# old\n");
		for (int n = 0; hit; n++) {
			const char *text;

			tree_file(tree, POLICY, "# old\n");
			faults_begin(FAULT_MEMORY, n, ENOMEM);
			answer(commands[i], &request, &now);
			hit = faults_end();
			text = tree_read(tree, POLICY);
			if (strcmp(text, now.status ? "# old\n" : whole) == 0 &&
			    (now.status == 0 || *now.err))
				continue;
			faults_where();
			fail_msg("%s: fault %d: exit %d, says '%s', writes\n%s", commands[i]->name,
				 n, now.status, now.err, text);
		}
	}
}

static void state_that_cannot_be_read_is_said_with_its_cure(void **state)
{
	static const struct {
		const struct command *command;
		const char *guest, *text;
	} rows[] = {
		{ &command_status, NULL,
		  "usher: cannot read /run/usher: Input/output error: it is root's to read\n" },
		{ &command_noise, "win11",
		  "usher: cannot read /run/usher: Input/output error: it is root's to read\n" },
		{ &command_recover, NULL,
		  "usher: cannot use /run/usher: Input/output error: see ls -ld /run/usher\n" },
	};
	const struct tree *tree = *state;
	static struct answer now;

	make_host(tree);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct request request = { .root = tree->dir, .guest = rows[i].guest };

		for (int n = 0; n < 64; n++) {
			faults_begin(FAULT_READ, n, EIO);
			answer(rows[i].command, &request, &now);
			if (!faults_end() || strcmp(now.err, rows[i].text) == 0)
				break;
		}
		assert_string_equal(now.err, rows[i].text);
		assert_int_not_equal(now.status, 0);
	}
}

static void noise_wants_a_guest_that_runs_on_cpus_of_its_own(void **state)
{
	const struct tree *tree = *state;
	struct request request = { .root = tree->dir, .guest = "win11" };
	static struct answer now;

	make_host(tree);
	answer(&command_noise, &request, &now);
	assert_string_equal(now.err, "usher: win11 has no CPUs of its own: pin its vCPUs, or set "
				     "[cpuset] pin = auto\n");
	assert_int_not_equal(now.status, 0);
	request.guest = "other guest";
	answer(&command_noise, &request, &now);
	assert_string_equal(now.err, "usher: other guest does not run, or has no policy: start it "
				     "first (usher check 'other guest')\n");
	assert_int_not_equal(now.status, 0);
	request.phase = "0";
	answer(&command_noise, &request, &now);
	assert_non_null(strstr(now.err, "usher: noise looks for 1 to "));
	assert_non_null(strstr(now.err, " seconds, not '0'\n"));
	assert_int_equal(now.status, USHER_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(a_command_that_lacks_memory_says_so),
		tree_test(a_listing_that_lacks_a_detail_fails_and_says_which),
		tree_test(a_check_that_lacks_memory_is_not_all_well),
		tree_test(a_plan_that_lacks_a_step_fails_and_says_so),
		tree_test(a_policy_is_written_as_a_whole_or_it_is_said_why_not),
		tree_test(state_that_cannot_be_read_is_said_with_its_cure),
		tree_test(noise_wants_a_guest_that_runs_on_cpus_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
