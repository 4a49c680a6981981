/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_scripts_test.c - an older tree of scripts goes on working */

#include "tree.h"

#include "lib/giveback.h"
#include "lib/scripts.h"
#include "lib/state.h"

#define UUID	"1b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define GUEST	"etc/libvirt/hooks/qemu.d/win11"
#define DIR	GUEST "/prepare/begin"
#define RELEASE GUEST "/release/end"

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

static int run_of(const struct tree *tree, struct claim *claim, const char *operation, char **why)
{
	_cleanup_close_ int statefd = state_open(tree->rootfd, true);
	const struct host host = {
		.rootfd = tree->rootfd, .statefd = statefd, .root = tree->dir, .phase = operation
	};

	assert_int_equal(claim_store(statefd, claim), 0);
	return scripts_run(&host, claim, operation, "-", 0, why);
}

static int run(const struct tree *tree, struct claim *claim, char **why)
{
	return run_of(tree, claim, "prepare", why);
}

static void those_of_the_operation_run_in_order_with_the_hooks_arguments(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	script(tree, DIR "/20-b", 0755, "");
	script(tree, DIR "/10-a.sh", 0755, "[ -n \"$PATH\" ] || exit 9");
	script(tree, DIR "/30-c", 0644, "");
	script(tree, RELEASE "/x", 0755, "");
	script(tree, "etc/libvirt/hooks/qemu.d/other/prepare/begin/y", 0755, "");
	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(run(tree, &claim, &why), 0);
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
	assert_int_equal(run(tree, &claim, &why), 0);
	assert_string_equal(tree_read(tree, "told"), "begin win11 prepare begin -\n");
}

static void without_the_policys_word_nothing_is_run(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	script(tree, DIR "/a", 0755, "");
	claim_of("win11", "", &claim);
	assert_int_equal(run(tree, &claim, &why), 0);
	assert_int_equal(attr_exists(tree->rootfd, "told"), 0);
}

static void a_guest_named_dot_dot_leads_nowhere(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	script(tree, "etc/libvirt/hooks/prepare/begin/a", 0755, "");
	claim_of("..", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(run(tree, &claim, &why), 0);
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
	assert_int_equal(run(tree, &claim, &why), 1);
	assert_string_equal(why, "script /" DIR "/a failed with status 3: no disk: mend it, or set "
				 "run = no in [scripts] of the policy");
	assert_string_equal(tree_read(tree, "told"), "a win11 prepare begin -\n");
}

static void in_a_stop_the_others_are_run_all_the_same_and_once(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL, *later = NULL;

	script(tree, RELEASE "/a", 0755, "exit 3");
	script(tree, RELEASE "/b", 0755, "exit 4");
	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(run_of(tree, &claim, "release", &why), 1);
	assert_non_null(strstr(why, "/a failed with status 3"));
	assert_int_equal(run_of(tree, &claim, "release", &later), 0);
	assert_string_equal(tree_read(tree, "told"),
			    "a win11 release end -\nb win11 release end -\n");
}

static void one_that_does_not_end_is_killed(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	script(tree, DIR "/a", 0755, "exec sleep 60");
	claim_of("win11", "[scripts]\nrun = yes\ntimeout_ms = 300\n", &claim);
	assert_int_equal(run(tree, &claim, &why), 1);
	assert_non_null(strstr(why, "did not end within 300 ms and was killed"));
}

static void one_that_others_may_write_is_not_run(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	script(tree, DIR "/a", 0775, "");
	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(run(tree, &claim, &why), 1);
	assert_string_equal(why, "script /" DIR
				 "/a is not run: others may write it: chmod go-w /" DIR "/a");
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
		assert_int_equal(run(tree, &claim, &why), 1);
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
	assert_int_equal(run(tree, &claim, &why), 1);
	assert_string_equal(why, "script /" DIR "/a is not run: it belongs to user 1000, not to "
				 "root: chown root /" DIR "/a");
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
	assert_int_equal(run(tree, &claim, &why), 0);
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
	assert_int_equal(run(tree, &claim, &why), 1);
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
	assert_int_equal(run(tree, &claim, &why), 0);
	assert_string_equal(tree_read(tree, "told"), "d win11 prepare begin -\n");
}

static void a_link_out_of_the_tree_is_resolved_inside_it(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	tree_link(tree, DIR "/a", "/bin/true");
	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(run(tree, &claim, &why), 0);
	assert_null(why);
}

/* --- giving back in libvirt's stead ---------------------------------------------------------- */

#define OWED "run/usher/" UUID "/scripts.owed"

static void make_life(const struct tree *tree)
{
	static const char *const places[] = { "prepare/begin", "start/begin", "started/begin",
					      "stopped/end", "release/end" };
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		(void)snprintf(path, sizeof(path), GUEST "/%s/a", places[i]);
		script(tree, path, 0755, "");
	}
}

/* Operations of libvirt's, then a giveback by somebody else */
static void live(const struct tree *tree, const char *const *operations, enum claim_state end)
{
	_cleanup_close_ int statefd = state_open(tree->rootfd, true);
	const struct host host = { .rootfd = tree->rootfd,
				   .statefd = statefd,
				   .root = tree->dir,
				   .helpers = tree->dir,
				   .phase = "recover" };
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_claim_ struct claim claim = { 0 };

	make_life(tree);
	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	for (size_t i = 0; operations[i]; i++) {
		_cleanup_free_ char *why = NULL;

		assert_int_equal(run_of(tree, &claim, operations[i], &why), 0);
	}
	assert_int_equal(claim_set_state(statefd, &claim, end, &claim.owner), 0);
	assert_int_equal(giveback_claim(&host, &claim, &result), 0);
	assert_int_equal(attr_exists(tree->rootfd, "run/usher/" UUID), 0);
}

static void what_prepare_has_done_is_given_back_with_the_claim(void **state)
{
	const struct tree *tree = *state;

	live(tree, (const char *const[]){ "prepare", NULL }, CLAIM_HANDED);
	assert_string_equal(tree_read(tree, "told"), "a win11 prepare begin -\n"
						     "a win11 release end failed\n");
}

static void what_started_has_done_is_given_back_with_the_claim(void **state)
{
	const struct tree *tree = *state;

	live(tree, (const char *const[]){ "prepare", "started", NULL }, CLAIM_RUNNING);
	assert_string_equal(tree_read(tree, "told"), "a win11 prepare begin -\n"
						     "a win11 started begin -\n"
						     "a win11 stopped end -\n"
						     "a win11 release end crashed\n");
}

static void what_was_stopped_already_is_not_stopped_again(void **state)
{
	const struct tree *tree = *state;

	live(tree, (const char *const[]){ "prepare", "start", "stopped", NULL }, CLAIM_ENDING);
	assert_string_equal(tree_read(tree, "told"), "a win11 prepare begin -\n"
						     "a win11 start begin -\n"
						     "a win11 stopped end -\n"
						     "a win11 release end failed\n");
}

static void what_libvirt_has_released_is_not_released_again(void **state)
{
	const struct tree *tree = *state;

	/* Its stopped found the lock taken */
	live(tree, (const char *const[]){ "prepare", "started", "release", NULL }, CLAIM_RETURNING);
	assert_string_equal(tree_read(tree, "told"), "a win11 prepare begin -\n"
						     "a win11 started begin -\n"
						     "a win11 stopped end -\n"
						     "a win11 release end -\n");
}

static void a_claim_without_a_start_owes_nothing(void **state)
{
	const struct tree *tree = *state;

	live(tree, (const char *const[]){ NULL }, CLAIM_HANDED);
	assert_int_equal(attr_exists(tree->rootfd, "told"), 0);
}

/* An older usher has noted nothing: libvirt's own release is run all the same */
static void a_release_of_libvirts_needs_no_note(void **state)
{
	const struct tree *tree = *state;

	live(tree, (const char *const[]){ "release", "release", "stopped", NULL }, CLAIM_ENDING);
	assert_string_equal(tree_read(tree, "told"), "a win11 release end -\n");
}

static void it_is_owed_until_it_has_been_run_and_before_it_can_have_done_anything(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL, *later = NULL;
	char look[256];

	(void)snprintf(look, sizeof(look), "cat %s/" OWED " >>%s/told", tree->dir, tree->dir);
	script(tree, DIR "/a", 0755, look);
	script(tree, RELEASE "/a", 0755, look);
	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(run(tree, &claim, &why), 0);
	assert_int_equal(run_of(tree, &claim, "release", &later), 0);
	assert_string_equal(tree_read(tree, "told"), "a win11 prepare begin -\nrelease"
						     "a win11 release end -\nrelease");
	assert_string_equal(tree_read(tree, OWED), "");
}

static void what_cannot_be_noted_is_not_run(void **state)
{
	const struct tree *tree = *state;
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	script(tree, DIR "/a", 0755, "");
	tree_dir(tree, OWED);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(
			fchmodat(tree->rootfd,
				 (const char *const[]){ "run/usher", "run/usher/" UUID, OWED }[i],
				 0700, 0),
			0);
	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(run(tree, &claim, &why), 1);
	assert_non_null(strstr(why, "that cannot be noted in /run/usher: "));
	assert_int_equal(attr_exists(tree->rootfd, "told"), 0);
}

/* Not root's alone, it is not believed: what it says may be owed all the same */
static void what_is_owed_but_cannot_be_read_is_said_and_the_claim_stays(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int statefd = state_open(tree->rootfd, true);
	const struct host host = {
		.rootfd = tree->rootfd, .statefd = statefd, .root = tree->dir, .phase = "recover"
	};
	static const char line[] =
		"win11: the scripts that give back what its others have done are not run: what is "
		"owed cannot be read from /run/usher/" UUID
		"/scripts.owed: Operation not permitted: it must be a plain file";
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL, *later = NULL;

	make_life(tree);
	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(run(tree, &claim, &why), 0);
	assert_int_equal(fchmodat(tree->rootfd, OWED, 0666, 0), 0);
	assert_int_equal(run_of(tree, &claim, "release", &later), 1);
	assert_non_null(later);
	assert_memory_equal(later, line + strlen("win11: "), strlen(line) - strlen("win11: "));
	assert_int_equal(scripts_owed(&host, &claim), -EPERM);
	assert_int_equal(scripts_owes(&host, &claim, "release"), -EPERM);
	assert_int_equal(giveback_claim(&host, &claim, &result), 1);
	assert_non_null(result.failures);
	assert_non_null(strstr(result.failures, line));
	assert_string_equal(tree_read(tree, "told"), "a win11 prepare begin -\n");
	assert_int_equal(fchmodat(tree->rootfd, OWED, 0600, 0), 0);
	assert_int_equal(giveback_claim(&host, &claim, &result), 0);
	assert_string_equal(tree_read(tree, "told"), "a win11 prepare begin -\n"
						     "a win11 release end failed\n");
}

/* Of a guest whose start waits for nobody's scripts: it is not known whether there are any */
static void a_dead_claim_that_may_owe_some_stays_and_counts(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int statefd = state_open(tree->rootfd, true);
	struct host host = { .rootfd = tree->rootfd,
			     .statefd = statefd,
			     .root = tree->dir,
			     .phase = "prepare",
			     .leaves_scripts = true };
	_cleanup_step_result_ struct step_result result = { 0 };
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;

	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(run(tree, &claim, &why), 0);
	assert_int_equal(fchmodat(tree->rootfd, OWED, 0666, 0), 0);
	assert_int_equal(giveback_dead(&host, NULL, 0, &result), 1);
	assert_non_null(result.failures);
	assert_non_null(strstr(result.failures,
			       "win11: cannot read scripts.owed of /run/usher/" UUID
			       ": Operation not permitted: it must be "));
	assert_int_equal(attr_exists(tree->rootfd, "run/usher/" UUID), 1);
}

/* libvirt gives each of its hooks the domain's XML; what it gave to prepare is left */
static void they_are_given_the_xml_that_prepare_was_given(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int statefd = state_open(tree->rootfd, true);
	const struct host host = {
		.rootfd = tree->rootfd, .statefd = statefd, .root = tree->dir, .phase = "recover"
	};
	_cleanup_claim_ struct claim claim = { 0 };
	_cleanup_free_ char *why = NULL;
	_cleanup_close_ int xml = -1;
	char look[128];

	(void)snprintf(look, sizeof(look), "cat >>%s/told", tree->dir);
	script(tree, RELEASE "/a", 0755, look);
	tree_file(tree, "xml", "<domain/>\n");
	xml = attr_open(tree->rootfd, "xml", O_RDONLY);
	claim_of("win11", "[scripts]\nrun = yes\n", &claim);
	assert_int_equal(claim_store(statefd, &claim), 0);
	assert_int_equal(scripts_run(&host, &claim, "prepare", "-", xml, &why), 0);
	assert_int_equal(scripts_give_back(&host, &claim, &why), 0);
	assert_string_equal(tree_read(tree, "told"), "a win11 release end failed\n<domain/>\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(those_of_the_operation_run_in_order_with_the_hooks_arguments),
		tree_test(a_file_in_the_folders_place_is_run),
		tree_test(without_the_policys_word_nothing_is_run),
		tree_test(a_guest_named_dot_dot_leads_nowhere),
		tree_test(the_first_that_fails_ends_a_start_and_is_named_with_its_last_words),
		tree_test(in_a_stop_the_others_are_run_all_the_same_and_once),
		tree_test(one_that_does_not_end_is_killed),
		tree_test(one_that_others_may_write_is_not_run),
		tree_test(one_in_a_folder_that_others_may_write_is_not_run),
		tree_test(one_that_is_another_users_is_told_so),
		tree_test(a_link_to_a_file_of_roots_is_run),
		tree_test(a_link_through_a_folder_that_others_may_write_is_not_run),
		tree_test(links_that_lead_nowhere_or_round_are_passed_over),
		tree_test(a_link_out_of_the_tree_is_resolved_inside_it),
		tree_test(what_prepare_has_done_is_given_back_with_the_claim),
		tree_test(what_started_has_done_is_given_back_with_the_claim),
		tree_test(what_was_stopped_already_is_not_stopped_again),
		tree_test(what_libvirt_has_released_is_not_released_again),
		tree_test(a_claim_without_a_start_owes_nothing),
		tree_test(a_release_of_libvirts_needs_no_note),
		tree_test(it_is_owed_until_it_has_been_run_and_before_it_can_have_done_anything),
		tree_test(what_cannot_be_noted_is_not_run),
		tree_test(what_is_owed_but_cannot_be_read_is_said_and_the_claim_stays),
		tree_test(a_dead_claim_that_may_owe_some_stays_and_counts),
		tree_test(they_are_given_the_xml_that_prepare_was_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
