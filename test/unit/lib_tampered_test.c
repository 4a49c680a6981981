/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_tampered_test.c - state that is not root's alone is neither read nor written */
#include "tree.h"

#include "tamper.h"

#include "lib/baseline.h"
#include "lib/claim.h"
#include "lib/journal.h"
#include "lib/state.h"

#define UUID  "c7a5fdbd-edaf-9455-926a-d65c16db1809"
#define CLAIM "[claim]\nformat = 1\nguest = win11\nuuid = " UUID "\nstate = running\nowner = 1 1\n"

/* A FIFO that is opened the wrong way holds up for ever */
#define PATIENCE_S 20

/* Return: 0 it was read, or opened, else -errno */
static int read_claim(int rootfd)
{
	_cleanup_close_ int statefd = state_open(rootfd, false);
	_cleanup_claim_ struct claim claim = { 0 };
	struct ini_error err;

	return statefd < 0 ? statefd : claim_load(statefd, UUID, &claim, &err);
}

static int open_journal(int rootfd, bool write)
{
	_cleanup_close_ int statefd = state_open(rootfd, false), dirfd = -1;
	_cleanup_journal_ struct journal journal = { .fd = -1 };

	if (statefd < 0)
		return statefd;
	dirfd = state_dir(statefd, UUID, false);
	return dirfd < 0 ? dirfd : journal_open(dirfd, "vfio", write, &journal);
}

static int read_journal(int rootfd)
{
	return open_journal(rootfd, false);
}

static int write_journal(int rootfd)
{
	return open_journal(rootfd, true);
}

static int open_baseline(int rootfd, int timeout_ms)
{
	_cleanup_close_ int statefd = state_open(rootfd, false);
	_cleanup_baseline_ struct baseline baseline = { .lockfd = -1, .dirfd = -1 };

	return statefd < 0 ? statefd : baseline_open(statefd, "cpuset", timeout_ms, &baseline);
}

static int read_baseline(int rootfd)
{
	return open_baseline(rootfd, BASELINE_READ);
}

static int lock_baseline(int rootfd)
{
	return open_baseline(rootfd, 0);
}

static const struct {
	const char *path, *text;
	int (*use)(int rootfd);
	bool writes;
} uses[] = {
	{ "run/usher/" UUID "/claim.ini", CLAIM, read_claim, false },
	{ "run/usher/" UUID "/vfio.journal", "1 driver 0000:01:00.0 a b\n", read_journal, false },
	{ "run/usher/" UUID "/vfio.journal", "1 driver 0000:01:00.0 a b\n1 ", write_journal, true },
	{ "run/usher/host/cpuset.ini", "[baseline]\nsetting = a b\n", read_baseline, false },
	{ "run/usher/host/cpuset.ini", "[baseline]\nsetting = a b\n", lock_baseline, false },
	{ "run/usher/host/cpuset.lock", "", lock_baseline, true },
};

static void make_state(const struct tree *tree, const char *path, const char *text)
{
	tree_file(tree, path, text);
	assert_int_equal(fchmodat(tree->rootfd, path, 0600, 0), 0);
}

static void what_is_roots_alone_is_believed(void **state)
{
	const struct tree *tree = *state;

	for (size_t i = 0; i < ARRAY_SIZE(uses); i++) {
		make_state(tree, uses[i].path, uses[i].text);
		assert_int_equal(uses[i].use(tree->rootfd), 0);
	}
}

static void clear_run(const struct tree *tree)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/run", tree->dir);
	assert_int_equal(nftw(path, tree_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void refuse_one(const struct tree *tree, size_t use, const struct tamper *tamper)
{
	int r;

	make_state(tree, uses[use].path, uses[use].text);
	tamper_with(tamper, tree->rootfd, uses[use].path);
	r = uses[use].use(tree->rootfd);
	if (r >= 0)
		fail_msg("%s was believed, being %s", uses[use].path, tamper->what);
	/* For each of them there is a cure that is not that of a full disk */
	assert_string_not_equal(state_cure(r, "as usual"), "as usual");
	clear_run(tree);
}

static void what_is_not_is_refused(void **state)
{
	const struct tree *tree = *state;

	if (geteuid() != 0)
		skip();
	(void)alarm(PATIENCE_S);
	for (size_t i = 0; i < ARRAY_SIZE(uses); i++)
		for (size_t j = 0; j < ARRAY_SIZE(tampers); j++)
			if ((uses[i].writes || !tampers[j].writing) &&
			    tamper_able(tree->rootfd, &tampers[j]))
				refuse_one(tree, i, &tampers[j]);
	(void)alarm(0);
}

/* The journal's last line is cut off where it is not whole: not another file's */
static void a_file_of_two_names_is_not_cut(void **state)
{
	const struct tree *tree = *state;
	const char *text = "1 driver 0000:01:00.0 a b\nhalf";

	tree_file(tree, "run/aside", text);
	tree_dir(tree, "run/usher/" UUID);
	assert_int_equal(fchmodat(tree->rootfd, "run/usher", 0700, 0), 0);
	assert_int_equal(linkat(tree->rootfd, "run/aside", tree->rootfd,
				"run/usher/" UUID "/vfio.journal", 0),
			 0);
	assert_int_equal(write_journal(tree->rootfd), -EPERM);
	assert_string_equal(tree_read(tree, "run/aside"), text);
}

/* Under the name that a file has until it is whole */
static void put_in_the_way(int rootfd, const char *path, size_t how)
{
	switch (how) {
	case 0:
		assert_int_equal(symlinkat("../../victim", rootfd, path), 0);
		break;
	case 1:
		assert_int_equal(linkat(rootfd, "victim", rootfd, path, 0), 0);
		break;
	case 2:
		assert_int_equal(mkfifoat(rootfd, path, 0666), 0);
		break;
	default:
		assert_int_equal(close(openat(rootfd, path, O_CREAT | O_RDWR, 0666)), 0);
		assert_int_equal(fchmodat(rootfd, path, 0666, 0), 0);
	}
}

static void a_new_file_goes_through_nothing_that_was_put_in_its_way(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int statefd = state_open(tree->rootfd, true);
	char path[PATH_MAX];
	struct stat st;

	tree_file(tree, "victim", "as before");
	(void)snprintf(path, sizeof(path), "run/usher/.a.%d", (int)getpid());
	(void)alarm(PATIENCE_S);
	for (size_t how = 0; how < 4; how++) {
		put_in_the_way(tree->rootfd, path, how);
		assert_int_equal(state_write(statefd, "a", "new", 3), 0);
		assert_string_equal(tree_read(tree, "run/usher/a"), "new");
		assert_string_equal(tree_read(tree, "victim"), "as before");
		assert_int_equal(fstatat(statefd, "a", &st, AT_SYMLINK_NOFOLLOW), 0);
		assert_int_equal(st.st_mode, S_IFREG | 0600);
		assert_int_equal(st.st_nlink, 1);
		assert_int_equal(unlinkat(statefd, "a", 0), 0);
	}
	(void)alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(what_is_roots_alone_is_believed),
		tree_test(what_is_not_is_refused),
		tree_test(a_file_of_two_names_is_not_cut),
		tree_test(a_new_file_goes_through_nothing_that_was_put_in_its_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
