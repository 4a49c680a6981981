/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/usher_status_test.c - what status says of a guest for which nobody stays awake */

#include "machine.h"
#include "usher_host.h"

#include <fcntl.h>

#include "lib/holder.h"

#define UUID "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define HOME "run/usher/" UUID
#define LOST                                                                                       \
	"  awake       not kept: no process holds the inhibitor: usher-nosleep apply "             \
	"/run/usher/" UUID "/claim.ini\n"

static const struct process qemu = { .pid = 200, .start_time = 2000 };
static const struct process keeper = { .pid = 300, .start_time = 3000 };

static void make_process(const struct tree *tree, const struct process *process)
{
	char path[64], stat[128];

	(void)snprintf(path, sizeof(path), "proc/%d/stat", (int)process->pid);
	(void)snprintf(stat, sizeof(stat),
		       "%d (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %llu 0 0\n",
		       (int)process->pid, process->start_time);
	tree_file(tree, path, stat);
}

static void make_claim(const struct tree *tree, const char *state, const char *nosleep)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "[claim]\nformat = 1\nguest = win11\nuuid = " UUID
		       "\nstate = %s\nowner = 200 2000\nrequired =\n%s",
		       state, nosleep);
	tree_file(tree, HOME "/claim.ini", text);
}

static void make_holder(const struct tree *tree, int error)
{
	const struct holder holder = { .error = error, .process = keeper, .qemu = qemu };
	_cleanup_close_ int dirfd = openat(tree->rootfd, HOME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(dirfd >= 0);
	assert_int_equal(holder_store(dirfd, &holder), 0);
}

static void make_host(const struct tree *tree)
{
	machine_make(tree, &desktop);
	make_process(tree, &qemu);
	make_process(tree, &keeper);
	make_claim(tree, "running", "[nosleep]\ninhibit = sleep\n");
	assert_int_equal(fchmodat(tree->rootfd, "run/usher", 0700, 0), 0);
}

static const char *status_fails(const struct tree *tree, bool json, int fails)
{
	const struct request request = { .root = tree->dir, .json = json };
	int status;
	const char *text = said(&command_status, &request, &status);

	assert_int_equal(status, fails);
	return text;
}

static const char *status_says(const struct tree *tree, bool json)
{
	return status_fails(tree, json, 0);
}

static void a_guest_whose_inhibitor_is_held_is_not_remarked_on(void **state)
{
	const struct tree *tree = *state;

	make_host(tree);
	make_holder(tree, 0);
	assert_non_null(strstr(status_says(tree, false), "  inhibits    sleep\n"));
	assert_null(strstr(status_says(tree, false), "awake"));
	assert_non_null(strstr(status_says(tree, true), "\"inhibited\": true"));
}

static void a_running_guest_whose_holder_is_gone_is_shown(void **state)
{
	const struct tree *tree = *state;

	make_host(tree);
	assert_non_null(strstr(status_says(tree, false), LOST));
	assert_non_null(strstr(status_says(tree, true), "\"inhibited\": false"));
	make_holder(tree, -EACCES);
	assert_non_null(strstr(status_says(tree, false), LOST));
	make_holder(tree, 0);
	assert_int_equal(unlinkat(tree->rootfd, "proc/300/stat", 0), 0);
	assert_non_null(strstr(status_says(tree, false), LOST));
}

static void a_guest_that_does_not_run_or_does_not_ask_for_it_is_not(void **state)
{
	const struct tree *tree = *state;

	make_host(tree);
	make_claim(tree, "running", "");
	assert_null(strstr(status_says(tree, false), "awake"));
	make_claim(tree, "handed", "[nosleep]\ninhibit = sleep\n");
	assert_null(strstr(status_says(tree, false), "awake"));
	make_claim(tree, "running", "[nosleep]\ninhibit = sleep\n");
	assert_int_equal(unlinkat(tree->rootfd, "proc/200/stat", 0), 0);
	assert_null(strstr(status_says(tree, false), "awake"));
}

static void what_is_stuck_is_named(void **state)
{
	static const struct {
		const char *step, *text;
	} rows[] = {
		{ "unbind", "  stuck       0000:02:00.0: driver e1000e has not let go of it for " },
		{ "load:nvidia_uvm",
		  "  stuck       0000:02:00.0: module nvidia_uvm has not been loaded for " },
		{ "service:nvidia-powerd.service",
		  "  stuck       0000:02:00.0: unit nvidia-powerd.service has been neither stopped "
		  "nor started for " },
	};
	const struct tree *tree = *state;

	make_host(tree);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char mark[128];

		(void)snprintf(mark, sizeof(mark), "e1000e 300 3000 %s 1\n", rows[i].step);
		tree_file(tree, HOME "/vfio.worker.0000:02:00.0", mark);
		assert_non_null(strstr(status_says(tree, false), rows[i].text));
		assert_non_null(strstr(status_says(tree, true), "\"driver\": \"e1000e\""));
	}
}

/* As usher-seat leaves it: helpers/seat/write.c */
#define LEFT_TEXT                                                                                  \
	"  stuck       the host's screen: the kernel has not returned from a write to "            \
	"/sys/class/vtconsole/vtcon1/bind for "
#define LEFT_CURE                                                                                  \
	" s (process 300): when it does, that process runs usher recover; only a reboot brings "   \
	"the screen back if it never does\n"

static void a_screen_that_is_stuck_is_named(void **state)
{
	const struct tree *tree = *state;
	const char *text;

	make_host(tree);
	tree_file(tree, HOME "/seat.left.300", "300 3000 1 sys/class/vtconsole/vtcon1/bind\n");
	text = status_says(tree, false);
	assert_non_null(strstr(text, LEFT_TEXT));
	assert_non_null(strstr(text, LEFT_CURE));
	text = status_says(tree, true);
	assert_non_null(strstr(text, "\"path\": \"/sys/class/vtconsole/vtcon1/bind\""));
	assert_non_null(strstr(text, "\"address\": null"));
	assert_non_null(strstr(text, "\"pid\": 300"));
}

static void what_has_returned_is_not_stuck(void **state)
{
	const struct tree *tree = *state;

	make_host(tree);
	tree_file(tree, HOME "/seat.left.300", "300 2999 1 sys/x/bind\n");
	assert_null(strstr(status_says(tree, false), "stuck"));
	assert_non_null(strstr(status_says(tree, true), "\"stuck\": []"));
}

static void a_mark_that_does_not_parse_is_missing(void **state)
{
	static const char *const marks[] = { "300 3000 1\n", "300 3000 x sys/x/bind\n", "" };
	const struct tree *tree = *state;

	make_host(tree);
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		tree_file(tree, HOME "/seat.left.300", marks[i]);
		assert_null(strstr(status_fails(tree, false, 1), "stuck"));
		assert_non_null(strstr(status_fails(tree, true, 1), "\"stuck\": []"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(a_screen_that_is_stuck_is_named),
		tree_test(what_has_returned_is_not_stuck),
		tree_test(a_mark_that_does_not_parse_is_missing),
		tree_test(what_is_stuck_is_named),
		tree_test(a_guest_whose_inhibitor_is_held_is_not_remarked_on),
		tree_test(a_running_guest_whose_holder_is_gone_is_shown),
		tree_test(a_guest_that_does_not_run_or_does_not_ask_for_it_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
