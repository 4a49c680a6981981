/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_state_test.c - files below run/usher, journals and baselines */
/*
 * wraps: write malloc calloc realloc reallocarray strdup strndup
 * wraps: vasprintf __vasprintf_chk open_memstream
 */

#include "tree.h"

#include "nomem.h"

#include <sys/file.h>
#include <sys/wait.h>

#include "lib/baseline.h"
#include "lib/deadline.h"
#include "lib/journal.h"
#include "lib/state.h"

static int short_write; /* > 0: this many writes take only three bytes */
static int write_errno; /* != 0: every write fails */

ssize_t __real_write(int fd, const void *buf, size_t len);
ssize_t __wrap_write(int fd, const void *buf, size_t len);

ssize_t __wrap_write(int fd, const void *buf, size_t len)
{
	if (write_errno) {
		errno = write_errno;
		return -1;
	}
	if (short_write > 0 && len > 3) {
		short_write--;
		return __real_write(fd, buf, 3);
	}
	return __real_write(fd, buf, len);
}

static int state_setup(void **state)
{
	short_write = write_errno = 0;
	return tree_setup(state);
}

#define state_test(fn) cmocka_unit_test_setup_teardown(fn, state_setup, tree_teardown)

static int opened(const struct tree *tree)
{
	int fd = state_open(tree->rootfd, true);

	assert_true(fd >= 0);
	return fd;
}

static void a_missing_state_directory_is_made_only_on_request(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int fd = -1;
	struct stat st;

	assert_int_equal(state_open(tree->rootfd, false), -ENOENT);
	fd = opened(tree);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

static void a_state_directory_others_may_write_is_refused(void **state)
{
	const struct tree *tree = *state;

	tree_dir(tree, "run/usher");
	assert_int_equal(fchmodat(tree->rootfd, "run/usher", 0777, 0), 0);
	assert_int_equal(state_open(tree->rootfd, true), -EPERM);
}

static void a_state_directory_that_is_a_symlink_is_refused(void **state)
{
	const struct tree *tree = *state;

	tree_dir(tree, "elsewhere");
	tree_link(tree, "run/usher", "../elsewhere");
	assert_int_equal(state_open(tree->rootfd, true), -ELOOP);
}

static void a_file_is_replaced_whole(void **state)
{
	_cleanup_close_ int fd = opened(*state);
	_cleanup_free_ char *text = NULL;
	size_t len;

	assert_int_equal(state_write(fd, "a", "one", 3), 0);
	short_write = 1;
	assert_int_equal(state_write(fd, "a", "twelve", 6), 0);
	assert_int_equal(state_read(fd, "a", &text, &len), 0);
	assert_string_equal(text, "twelve");
	assert_int_equal(len, 6);
}

static void a_failed_replacement_leaves_the_old_file_and_nothing_else(void **state)
{
	_cleanup_close_ int fd = opened(*state);
	_cleanup_strlist_ struct strlist names = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t len;

	assert_int_equal(state_write(fd, "a", "one", 3), 0);
	write_errno = ENOSPC;
	assert_int_equal(state_write(fd, "a", "two", 3), -ENOSPC);
	write_errno = 0;
	assert_int_equal(state_read(fd, "a", &text, &len), 0);
	assert_string_equal(text, "one");
	assert_int_equal(attr_list(fd, ".", &names), 0);
	assert_int_equal(names.nr, 1);
}

static void what_a_killed_writer_left_is_swept_away(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int fd = opened(tree);
	char mine[64];

	/* No pid is that high: PID_MAX_LIMIT is 4194304 */
	tree_file(tree, "run/usher/.a.4194305", "half");
	tree_file(tree, "run/usher/.ab.4194305", "of another file");
	(void)snprintf(mine, sizeof(mine), "run/usher/.a.%d", (int)getppid());
	tree_file(tree, mine, "of one who still writes");
	assert_int_equal(state_write(fd, "a", "whole", 5), 0);
	assert_int_equal(attr_exists(tree->rootfd, "run/usher/.a.4194305"), 0);
	assert_int_equal(attr_exists(tree->rootfd, "run/usher/.ab.4194305"), 1);
	assert_int_equal(attr_exists(tree->rootfd, mine), 1);
	assert_int_equal(state_remove(fd, "ab"), 0);
	assert_int_equal(attr_exists(tree->rootfd, "run/usher/.ab.4194305"), 0);
}

static void all_that_killed_writers_left_in_a_directory_is_swept_away_at_once(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int fd = opened(tree);
	static const char *const kept[] = { "a", ".hidden", ".4194305", "a.4194305", ".a.12x" };
	char path[64];

	tree_file(tree, "run/usher/.a.ini.4194305", "half");
	tree_file(tree, "run/usher/.b.4194306", "");
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		(void)snprintf(path, sizeof(path), "run/usher/%s", kept[i]);
		tree_file(tree, path, "x");
	}
	state_sweep(fd);
	assert_int_equal(attr_exists(tree->rootfd, "run/usher/.a.ini.4194305"), 0);
	assert_int_equal(attr_exists(tree->rootfd, "run/usher/.b.4194306"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		(void)snprintf(path, sizeof(path), "run/usher/%s", kept[i]);
		assert_int_equal(attr_exists(tree->rootfd, path), 1);
	}
}

static void a_file_that_is_not_ours_alone_is_not_read(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int fd = opened(tree);
	char *text;
	size_t len;

	assert_int_equal(state_read(fd, "none", &text, &len), -ENOENT);
	tree_file(tree, "run/usher/open", "x");
	assert_int_equal(fchmodat(fd, "open", 0666, 0), 0);
	assert_int_equal(state_read(fd, "open", &text, &len), -EPERM);
	tree_link(tree, "run/usher/link", "open");
	assert_int_equal(state_read(fd, "link", &text, &len), -ELOOP);
	assert_int_equal(mkfifoat(fd, "fifo", 0600), 0);
	assert_int_equal(state_read(fd, "fifo", &text, &len), -EPERM);
	assert_int_equal(state_read(fd, "../../open", &text, &len), -EXDEV);
}

static void a_file_past_the_limit_is_not_read(void **state)
{
	_cleanup_close_ int fd = opened(*state);
	_cleanup_close_ int file = state_append(fd, "big");
	char *text;
	size_t len;

	assert_int_equal(ftruncate(file, STATE_FILE_MAX + 1), 0);
	assert_int_equal(state_read(fd, "big", &text, &len), -E2BIG);
}

static void a_directory_goes_with_its_files_but_not_with_directories(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int fd = opened(tree);
	_cleanup_close_ int dir = state_dir(fd, "guest", true);

	assert_int_equal(state_write(dir, "claim.ini", "x", 1), 0);
	assert_int_equal(mkdirat(dir, "deep", 0700), 0);
	assert_int_equal(state_remove_dir(fd, "guest"), -ENOTEMPTY);
	assert_int_equal(unlinkat(dir, "deep", AT_REMOVEDIR), 0);
	assert_int_equal(state_remove_dir(fd, "guest"), 0);
	assert_int_equal(state_remove_dir(fd, "guest"), 0);
	assert_int_equal(state_remove(fd, "guest"), 0);
}

static void a_held_lock_is_waited_for_until_the_deadline(void **state)
{
	_cleanup_close_ int fd = opened(*state);
	_cleanup_close_ int held = state_lock(fd, "l", 0);
	long long start = now_ms();

	assert_true(held >= 0);
	assert_int_equal(state_lock(fd, "l", 0), -ETIMEDOUT);
	assert_int_equal(state_lock(fd, "l", 60), -ETIMEDOUT);
	assert_true(now_ms() - start >= 60);
}

static void a_shared_lock_keeps_off_who_wants_it_alone(void **state)
{
	_cleanup_close_ int fd = opened(*state);
	_cleanup_close_ int one = state_lock_shared(fd, "l", 0);
	_cleanup_close_ int two = state_lock_shared(fd, "l", 0);
	_cleanup_close_ int alone = state_lock(fd, "m", 0);

	assert_true(one >= 0);
	assert_true(two >= 0);
	assert_int_equal(state_lock(fd, "l", 0), -ETIMEDOUT);
	assert_true(alone >= 0);
	assert_int_equal(state_lock_shared(fd, "m", 60), -ETIMEDOUT);
}

static void a_lock_is_taken_as_soon_as_its_holder_dies(void **state)
{
	_cleanup_close_ int fd = opened(*state);
	_cleanup_close_ int lock = -1;
	int ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		if (state_lock(fd, "l", 0) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		(void)usleep(50000);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	lock = state_lock(fd, "l", 10000);
	assert_true(lock >= 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

static void a_lock_file_that_was_unlinked_while_we_waited_is_taken_anew(void **state)
{
	_cleanup_close_ int fd = opened(*state);
	_cleanup_close_ int lock = -1;
	struct stat held, now;
	int ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		if (state_lock(fd, "l", 0) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		(void)usleep(30000);
		_exit(unlinkat(fd, "l", 0) < 0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	lock = state_lock(fd, "l", 10000);
	assert_true(lock >= 0);
	assert_int_equal(fstat(lock, &held), 0);
	assert_int_equal(fstatat(fd, "l", &now, 0), 0);
	assert_int_equal(held.st_ino, now.st_ino);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

/* --- journal ---------------------------------------------------------------------------------- */

static void a_journal_keeps_its_records_in_order_and_as_they_were(void **state)
{
	_cleanup_close_ int fd = opened(*state);
	_cleanup_journal_ struct journal again = { .fd = -1 };
	struct journal journal;

	assert_int_equal(journal_open(fd, "vfio", true, &journal), 0);
	assert_int_equal(journal_add(&journal, "override", "0000:01:00.0", "(null)", "vfio-pci"),
			 0);
	assert_int_equal(journal_add(&journal, "driver", "a b\n%", "", "new value"), 1);
	assert_int_equal(journal_undone(&journal, 0), 0);
	assert_int_equal(journal_undone(&journal, 0), 0);
	assert_int_equal(journal_undone(&journal, 2), -EINVAL);
	journal_close(&journal);
	assert_int_equal(journal_open(fd, "vfio", false, &again), 0);
	assert_int_equal(again.nr, 2);
	assert_true(again.records[0].undone);
	assert_false(again.records[1].undone);
	assert_string_equal(again.records[1].object, "a b\n%");
	assert_string_equal(again.records[1].old_value, "");
	assert_string_equal(again.records[1].new_value, "new value");
	assert_null(journal_find(&again, "override", "0000:01:00.0"));
	assert_ptr_equal(journal_find(&again, "driver", "a b\n%"), &again.records[1]);
}

static void a_record_that_a_kill_cut_off_is_ignored_and_cut_away(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int fd = opened(tree);
	_cleanup_journal_ struct journal journal = { .fd = -1 };

	tree_file(tree, "run/usher/x.journal", "1 driver a b c\n2 driver d e");
	assert_int_equal(fchmodat(fd, "x.journal", 0600, 0), 0);
	assert_int_equal(journal_open(fd, "x", true, &journal), 0);
	assert_int_equal(journal.nr, 1);
	assert_int_equal(journal_add(&journal, "driver", "f", "g", "h"), 1);
	assert_string_equal(tree_read(tree, "run/usher/x.journal"),
			    "1 driver a b c\n2 driver f g h\n");
}

static void a_line_that_was_not_taken_whole_does_not_spoil_the_next_one(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int fd = opened(tree);
	_cleanup_journal_ struct journal journal = { .fd = -1 };

	assert_int_equal(journal_open(fd, "x", true, &journal), 0);
	assert_int_equal(journal_add(&journal, "driver", "a", "b", "c"), 0);
	short_write = 1;
	assert_int_equal(journal_add(&journal, "driver", "d", "e", "f"), -EIO);
	short_write = 1;
	assert_int_equal(journal_undone(&journal, 0), -EIO);
	assert_int_equal(journal.records[0].undone, false);
	assert_int_equal(journal_undone(&journal, 0), 0);
	assert_int_equal(journal_add(&journal, "driver", "g", "h", "i"), 1);
	assert_string_equal(tree_read(tree, "run/usher/x.journal"),
			    "1 driver a b c\n1 undone\n2 driver g h i\n");
}

static void a_journal_with_a_foreign_line_is_refused(void **state)
{
	static const char *const bad[] = {
		"rm -rf /\n",
		"1 driver a b\n",
		"1 driver a b c d\n",
		"2 driver a b c\n",
		"1 undone\n",
		"1 driver a b %2e\n",
		"1 driver a b c\n3 undone\n",
	};
	static const char nul[] = "1 driver a b c\0rm -rf /\n";
	const struct tree *tree = *state;
	_cleanup_close_ int fd = opened(tree);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct journal journal;

		tree_file(tree, "run/usher/x.journal", bad[i]);
		assert_int_equal(fchmodat(fd, "x.journal", 0600, 0), 0);
		assert_int_equal(journal_open(fd, "x", false, &journal), -EBADMSG);
	}
	/* Nothing may hide behind a NUL byte */
	assert_int_equal(state_write(fd, "x.journal", nul, sizeof(nul) - 1), 0);
	assert_int_equal(journal_open(fd, "x", false, &(struct journal){ 0 }), -EBADMSG);
}

/* Each allocation in turn: a record that is in the file has its number in memory, too */
static void a_journal_can_be_read_after_any_record_that_memory_lacked_for(void **state)
{
	_cleanup_close_ int fd = opened(*state);
	int nr = 0, r;

	do {
		_cleanup_journal_ struct journal journal = { .fd = -1 };
		_cleanup_journal_ struct journal again = { .fd = -1 };

		assert_int_equal(journal_open(fd, "x", true, &journal), 0);
		nomem_after = nr++;
		r = journal_add(&journal, "driver", "a", "b", "c");
		nomem_after = -1;
		assert_true(journal_add(&journal, "driver", "d", "e", "f") >= 0);
		assert_int_equal(journal_open(fd, "x", false, &again), 0);
		assert_int_equal(again.nr, journal.nr);
	} while (r == -ENOMEM);
	assert_true(r >= 0 && nr > 5);
}

static void a_journal_others_may_write_is_refused(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int fd = opened(tree);
	struct journal journal;

	tree_file(tree, "run/usher/x.journal", "1 driver a b c\n");
	assert_int_equal(fchmodat(fd, "x.journal", 0622, 0), 0);
	assert_int_equal(journal_open(fd, "x", false, &journal), -EPERM);
	tree_link(tree, "run/usher/y.journal", "x.journal");
	assert_int_equal(journal_open(fd, "y", true, &journal), -ELOOP);
}

static void a_record_that_cannot_be_written_is_an_error(void **state)
{
	_cleanup_close_ int fd = opened(*state);
	_cleanup_journal_ struct journal journal = { .fd = -1 };

	assert_int_equal(journal_open(fd, "x", true, &journal), 0);
	short_write = 1;
	assert_int_equal(journal_add(&journal, "driver", "a", "b", "c"), -EIO);
	write_errno = ENOSPC;
	assert_int_equal(journal_add(&journal, "driver", "a", "b", "c"), -ENOSPC);
	assert_int_equal(journal.nr, 0);
}

static void a_removed_journal_is_an_empty_one(void **state)
{
	_cleanup_close_ int fd = opened(*state);
	_cleanup_journal_ struct journal again = { .fd = -1 };
	struct journal journal;

	assert_int_equal(journal_open(fd, "x", true, &journal), 0);
	assert_int_equal(journal_add(&journal, "v", "o", "a", "b"), 0);
	journal_close(&journal);
	assert_int_equal(journal_remove(fd, "x"), 0);
	assert_int_equal(journal_remove(fd, "x"), 0);
	assert_int_equal(journal_open(fd, "x", false, &again), 0);
	assert_int_equal(again.nr, 0);
}

/* --- baseline --------------------------------------------------------------------------------- */

static void a_baseline_keeps_the_first_value_until_it_is_forgotten(void **state)
{
	_cleanup_close_ int fd = opened(*state);
	_cleanup_baseline_ struct baseline again = { .lockfd = -1, .dirfd = -1 };
	_cleanup_free_ char *first = NULL, *second = NULL, *third = NULL;
	struct baseline baseline;

	assert_int_equal(baseline_open(fd, "cpuset", 0, &baseline), 0);
	assert_int_equal(baseline_keep(&baseline, "sys/a b", ""), 1);
	assert_int_equal(baseline_keep(&baseline, "sys/a b", "0-3"), 0);
	assert_int_equal(baseline_keep(&baseline, "sys/c", "two words"), 1);
	baseline_close(&baseline);
	assert_int_equal(baseline_open(fd, "cpuset", 0, &again), 0);
	assert_int_equal(baseline_get(&again, "sys/a b", &first), 1);
	assert_string_equal(first, "");
	assert_int_equal(baseline_get(&again, "sys/c", &second), 1);
	assert_string_equal(second, "two words");
	assert_int_equal(baseline_get(&again, "sys/d", &second), 0);
	assert_int_equal(baseline_renew(&again, "sys/c", "another"), 0);
	assert_int_equal(baseline_renew(&again, "sys/e", "new"), 0);
	assert_int_equal(baseline_get(&again, "sys/c", &third), 1);
	assert_string_equal(third, "another");
	assert_int_equal(baseline_keep(&again, "sys/e", "old"), 0);
	assert_int_equal(baseline_forget(&again, "sys/a b"), 0);
	assert_int_equal(baseline_forget(&again, "sys/a b"), 0);
	assert_int_equal(baseline_get(&again, "sys/a b", &first), 0);
}

static void what_a_full_disk_does_not_keep_is_not_kept(void **state)
{
	_cleanup_close_ int fd = opened(*state);
	_cleanup_baseline_ struct baseline baseline = { .lockfd = -1, .dirfd = -1 };
	_cleanup_free_ char *value = NULL;

	assert_int_equal(baseline_open(fd, "cpuset", 0, &baseline), 0);
	assert_int_equal(baseline_keep(&baseline, "a", "1"), 1);
	write_errno = ENOSPC;
	/* Whoever asks once more must not take it for kept either */
	assert_int_equal(baseline_keep(&baseline, "b", "2"), -ENOSPC);
	assert_int_equal(baseline_keep(&baseline, "b", "2"), -ENOSPC);
	assert_int_equal(baseline_renew(&baseline, "a", "3"), -ENOSPC);
	write_errno = 0;
	assert_int_equal(baseline_get(&baseline, "a", &value), 1);
	assert_string_equal(value, "1");
}

static void a_baseline_leaves_no_file_when_all_is_forgotten(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int fd = opened(tree);
	_cleanup_baseline_ struct baseline baseline = { .lockfd = -1, .dirfd = -1 };

	assert_int_equal(baseline_open(fd, "cpuset", 0, &baseline), 0);
	assert_int_equal(baseline_keep(&baseline, "a", "b"), 1);
	assert_int_equal(attr_exists(tree->rootfd, "run/usher/host/cpuset.ini"), 1);
	assert_int_equal(baseline_forget(&baseline, "a"), 0);
	assert_int_equal(attr_exists(tree->rootfd, "run/usher/host/cpuset.ini"), 0);
}

static void a_baseline_is_opened_by_one_at_a_time(void **state)
{
	_cleanup_close_ int fd = opened(*state);
	_cleanup_baseline_ struct baseline first = { .lockfd = -1, .dirfd = -1 };
	struct baseline second;

	assert_int_equal(baseline_open(fd, "cpuset", 0, &first), 0);
	assert_int_equal(baseline_open(fd, "cpuset", 20, &second), -ETIMEDOUT);
}

static void a_baseline_that_does_not_parse_is_refused(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int fd = opened(tree);
	_cleanup_close_ int dir = state_dir(fd, "host", true);
	struct baseline baseline;

	assert_int_equal(state_write(dir, "cpuset.ini", "nonsense\n", 9), 0);
	assert_int_equal(baseline_open(fd, "cpuset", 0, &baseline), -EBADMSG);
	assert_int_equal(fchmodat(dir, "cpuset.ini", 0606, 0), 0);
	assert_int_equal(baseline_open(fd, "cpuset", 0, &baseline), -EPERM);
}

static void a_baselines_name_that_no_file_has_is_refused(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int fd = opened(tree);
	struct baseline baseline;
	char name[NAME_MAX + 1];

	memset(name, 'x', NAME_MAX);
	name[NAME_MAX] = '\0';
	assert_int_equal(baseline_open(fd, name, 0, &baseline), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		state_test(a_missing_state_directory_is_made_only_on_request),
		state_test(a_state_directory_others_may_write_is_refused),
		state_test(a_state_directory_that_is_a_symlink_is_refused),
		state_test(a_file_is_replaced_whole),
		state_test(a_failed_replacement_leaves_the_old_file_and_nothing_else),
		state_test(what_a_killed_writer_left_is_swept_away),
		state_test(all_that_killed_writers_left_in_a_directory_is_swept_away_at_once),
		state_test(a_file_that_is_not_ours_alone_is_not_read),
		state_test(a_file_past_the_limit_is_not_read),
		state_test(a_directory_goes_with_its_files_but_not_with_directories),
		state_test(a_held_lock_is_waited_for_until_the_deadline),
		state_test(a_shared_lock_keeps_off_who_wants_it_alone),
		state_test(a_lock_is_taken_as_soon_as_its_holder_dies),
		state_test(a_lock_file_that_was_unlinked_while_we_waited_is_taken_anew),
		state_test(a_journal_keeps_its_records_in_order_and_as_they_were),
		state_test(a_record_that_a_kill_cut_off_is_ignored_and_cut_away),
		state_test(a_line_that_was_not_taken_whole_does_not_spoil_the_next_one),
		state_test(a_journal_with_a_foreign_line_is_refused),
		state_test(a_journal_can_be_read_after_any_record_that_memory_lacked_for),
		state_test(a_journal_others_may_write_is_refused),
		state_test(a_record_that_cannot_be_written_is_an_error),
		state_test(a_removed_journal_is_an_empty_one),
		state_test(a_baseline_keeps_the_first_value_until_it_is_forgotten),
		state_test(what_a_full_disk_does_not_keep_is_not_kept),
		state_test(a_baseline_leaves_no_file_when_all_is_forgotten),
		state_test(a_baseline_is_opened_by_one_at_a_time),
		state_test(a_baselines_name_that_no_file_has_is_refused),
		state_test(a_baseline_that_does_not_parse_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
