/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/hooks_scripts_test.c - an older tree of scripts goes on working */

#include "tree.h"

#include "hooks/scripts.h"

#define UUID  "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define GUEST "etc/libvirt/hooks/qemu.d/win11"
#define DIR   GUEST "/prepare/begin"

static void claim_of(const char *guest, const char *section, struct claim *ret)
{
	char text[512];
	struct ini_error err;

	(void)snprintf(text, sizeof(text),
		       "[claim]\nformat = 1\nguest = %s\nuuid = " UUID
		       "\nstate = preparing\nowner = 1 1\n%s",
		       guest, section);
	assert_int_equal(claim_parse(text, strlen(text), ret, &err), 0);
}

/* Each writes what it was given into "told" in the tree */
static void script(const struct tree *tree, const char *path, mode_t mode, const char *body)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), "#!/bin/sh\necho \"${0##*/} $*\" >>%s/told\n%s\n",
		       tree->dir, body);
	tree_file(tree, path, text);
	assert_int_equal(fchmodat(tree->rootfd, path, mode, 0), 0);
}

static int run(const struct tree *tree, const struct claim *claim, bool stop, char **why)
{
	const struct host host = {
		.rootfd = tree->rootfd, .statefd = -1, .root = tree->dir, .phase = "prepare"
	};

	return scripts_run(&host, claim, "prepare", "begin", "-", stop, why);
}

static void those_of_the_operation_run_in_order_with_the_hooks_arguments(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	script(tree, DIR "/20-b", 0755, "");
	script(tree, DIR "/10-a.sh", 0755, "[ -n \"$PATH\" ] || exit 9");
	script(tree, DIR "/30-c", 0644, "");
	script(tree, "etc/libvirt/hooks/qemu.d/win11/release/end/x", 0755, "");
	script(tree, "etc/libvirt/hooks/qemu.d/other/prepare/begin/y", 0755, "");
	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(run(tree, &claim, true, &why), 0);
	assert_null(why);
	assert_string_equal(tree_read(tree, "told"), "10-a.sh win11 prepare begin -\n"
						     "20-b win11 prepare begin -\n");
}

static void a_file_in_the_folders_place_is_run(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	script(tree, DIR, 0755, "");
	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(run(tree, &claim, true, &why), 0);
	assert_string_equal(tree_read(tree, "told"), "begin win11 prepare begin -\n");
}

static void without_the_policys_word_nothing_is_run(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	script(tree, DIR "/a", 0755, "");
	claim_of("win11", "", &claim);
	assert_int_equal(run(tree, &claim, true, &why), 0);
	assert_int_equal(attr_exists(tree->rootfd, "told"), 0);
}

static void a_guest_named_dot_dot_leads_nowhere(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	script(tree, "etc/libvirt/hooks/prepare/begin/a", 0755, "");
	claim_of("..", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(run(tree, &claim, true, &why), 0);
	assert_int_equal(attr_exists(tree->rootfd, "told"), 0);
}

static void the_first_that_fails_ends_a_start_and_is_named_with_its_last_words(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	script(tree, DIR "/a", 0755, "echo first; echo 'no disk' >&2; exit 3");
	script(tree, DIR "/b", 0755, "");
	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(run(tree, &claim, true, &why), 1);
	assert_string_equal(why, "script /" DIR "/a failed with status 3: no disk: mend it, or set "
				 "run = no in [scripts] of the policy");
	assert_string_equal(tree_read(tree, "told"), "a win11 prepare begin -\n");
}

static void in_a_stop_the_others_are_run_all_the_same(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	script(tree, DIR "/a", 0755, "exit 3");
	script(tree, DIR "/b", 0755, "exit 4");
	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(run(tree, &claim, false, &why), 1);
	assert_non_null(strstr(why, "/a failed with status 3"));
	assert_string_equal(tree_read(tree, "told"),
			    "a win11 prepare begin -\nb win11 prepare begin -\n");
}

static void one_that_does_not_end_is_killed(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	script(tree, DIR "/a", 0755, "exec sleep 60");
	claim_of("win11", "[scripts]\nrun = yes\ntimeout_ms = 300\n", &claim);
	assert_int_equal(run(tree, &claim, true, &why), 1);
	assert_non_null(strstr(why, "did not end within 300 ms and was killed"));
}

static void one_that_others_may_write_is_not_run(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	script(tree, DIR "/a", 0775, "");
	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(run(tree, &claim, true, &why), 1);
	assert_string_equal(why,
			    "script /" DIR "/a is not run: others may write it: chmod go-w it");
	assert_int_equal(attr_exists(tree->rootfd, "told"), 0);
}

/* Who may write the folder may put another file there: the policy's folder is looked at, too */
static void one_in_a_folder_that_others_may_write_is_not_run(void **state)
{
	static const char *const folders[] = { DIR, GUEST, "etc/libvirt/hooks" };
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };

	script(tree, DIR "/a", 0755, "");
	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		_cleanup_free_ char *why = NULL;
		char line[512];

		assert_int_equal(fchmodat(tree->rootfd, folders[i], 0777, 0), 0);
		assert_int_equal(run(tree, &claim, true, &why), 1);
		(void)snprintf(line, sizeof(line),
			       "script /" DIR "/a is not run: others may write /%s: chmod go-w /%s",
			       folders[i], folders[i]);
		assert_string_equal(why, line);
		assert_int_equal(attr_exists(tree->rootfd, "told"), 0);
		assert_int_equal(fchmodat(tree->rootfd, folders[i], 0755, 0), 0);
	}
}

/* chmod is no cure for a script that is another user's */
static void one_that_is_another_users_is_told_so(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	if (geteuid() != 0)
		skip();
	script(tree, DIR "/a", 0755, "");
	assert_int_equal(fchownat(tree->rootfd, DIR "/a", 1000, 1000, 0), 0);
	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(run(tree, &claim, true, &why), 1);
	assert_string_equal(why, "script /" DIR "/a is not run: it belongs to user 1000, not to "
				 "root: chown root it");
	assert_int_equal(attr_exists(tree->rootfd, "told"), 0);
}

static void a_link_to_a_file_of_roots_is_run(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	script(tree, "opt/vm/1/common.sh", 0755, "");
	tree_link(tree, "opt/vm/now", "1");
	tree_link(tree, DIR "/a", "../../../../../../../opt/./vm/now/common.sh");
	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(run(tree, &claim, true, &why), 0);
	assert_string_equal(tree_read(tree, "told"), "a win11 prepare begin -\n");
}

/* A link in the middle of the way is exchanged as easily as the file */
static void a_link_through_a_folder_that_others_may_write_is_not_run(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	script(tree, "opt/vm/1/common.sh", 0755, "");
	tree_link(tree, "srv/theirs/now", "/opt/vm/1");
	assert_int_equal(fchmodat(tree->rootfd, "srv/theirs", 01777, 0), 0);
	tree_link(tree, DIR "/a", "/srv/theirs/now/common.sh");
	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(run(tree, &claim, true, &why), 1);
	assert_string_equal(why, "script /" DIR "/a is not run: others may write /srv/theirs: "
				 "chmod go-w /srv/theirs");
	assert_int_equal(attr_exists(tree->rootfd, "told"), 0);
}

static void links_that_lead_nowhere_or_round_are_passed_over(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	tree_link(tree, DIR "/a", "a");
	tree_link(tree, DIR "/b", "/nowhere");
	tree_link(tree, DIR "/c", "d/../../begin/d/e");
	script(tree, DIR "/d", 0755, "");
	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(run(tree, &claim, true, &why), 0);
	assert_string_equal(tree_read(tree, "told"), "d win11 prepare begin -\n");
}

static void a_link_out_of_the_tree_is_resolved_inside_it(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	tree_link(tree, DIR "/a", "/bin/true");
	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(run(tree, &claim, true, &why), 0);
	assert_null(why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(those_of_the_operation_run_in_order_with_the_hooks_arguments),
		tree_test(a_file_in_the_folders_place_is_run),
		tree_test(without_the_policys_word_nothing_is_run),
		tree_test(a_guest_named_dot_dot_leads_nowhere),
		tree_test(the_first_that_fails_ends_a_start_and_is_named_with_its_last_words),
		tree_test(in_a_stop_the_others_are_run_all_the_same),
		tree_test(one_that_does_not_end_is_killed),
		tree_test(one_that_others_may_write_is_not_run),
		tree_test(one_in_a_folder_that_others_may_write_is_not_run),
		tree_test(one_that_is_another_users_is_told_so),
		tree_test(a_link_to_a_file_of_roots_is_run),
		tree_test(a_link_through_a_folder_that_others_may_write_is_not_run),
		tree_test(links_that_lead_nowhere_or_round_are_passed_over),
		tree_test(a_link_out_of_the_tree_is_resolved_inside_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
