/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_blockdev_test.c - block devices by the kernel's names, and who writes to a file */
#include "tree.h"

#include <signal.h>
#include <sys/wait.h>

#include "lib/blockdev.h"
#include "lib/process.h"

/* sdb with two partitions, as sysfs has them */
static void add_disk(const struct tree *tree)
{
	tree_file(tree, "sys/devices/x/block/sdb/dev", "8:16\n");
	tree_file(tree, "sys/devices/x/block/sdb/sdb1/partition", "1\n");
	tree_file(tree, "sys/devices/x/block/sdb/sdb2/partition", "2\n");
	tree_dir(tree, "sys/devices/x/block/sdb/queue");
	tree_link(tree, "sys/class/block/sdb", "../../devices/x/block/sdb");
	tree_link(tree, "sys/class/block/sdb1", "../../devices/x/block/sdb/sdb1");
	tree_link(tree, "sys/class/block/sdb2", "../../devices/x/block/sdb/sdb2");
	tree_file(tree, "dev/sdb", "");
	tree_file(tree, "dev/sdb1", "");
}

static void name_is_the_kernels_whatever_link_leads_there(void **state)
{
	const struct tree *tree = *state;
	char name[64], small[3];

	add_disk(tree);
	tree_link(tree, "dev/disk/by-id/x", "../../sdb1");
	tree_link(tree, "dev/absolute", "/dev/sdb");
	tree_file(tree, "dev/plain", "");
	assert_int_equal(blockdev_name(tree->rootfd, "/dev/sdb", name, sizeof(name)), 0);
	assert_string_equal(name, "sdb");
	assert_int_equal(blockdev_name(tree->rootfd, "/dev/disk/by-id/x", name, sizeof(name)), 0);
	assert_string_equal(name, "sdb1");
	assert_int_equal(blockdev_name(tree->rootfd, "/dev/absolute", name, sizeof(name)), 0);
	assert_string_equal(name, "sdb");
	assert_int_equal(blockdev_name(tree->rootfd, "/dev/gone", name, sizeof(name)), -ENOENT);
	assert_int_equal(blockdev_name(tree->rootfd, "/dev/plain", name, sizeof(name)), -ENOTBLK);
	assert_int_equal(blockdev_name(tree->rootfd, "/dev/sdb", small, sizeof(small)),
			 -ENAMETOOLONG);
}

static void partition_knows_its_disk_and_the_disk_its_partitions(void **state)
{
	const struct tree *tree = *state;
	_cleanup_strlist_ struct strlist partitions = { 0 };
	char name[64];

	add_disk(tree);
	assert_int_equal(blockdev_disk(tree->rootfd, "sdb2", name, sizeof(name)), 1);
	assert_string_equal(name, "sdb");
	assert_int_equal(blockdev_disk(tree->rootfd, "sdb", name, sizeof(name)), 0);
	assert_int_equal(blockdev_partitions(tree->rootfd, "sdb", &partitions), 0);
	assert_int_equal(partitions.nr, 2);
	assert_string_equal(partitions.names[0], "sdb1");
	assert_string_equal(partitions.names[1], "sdb2");
	assert_int_equal(blockdev_partitions(tree->rootfd, "sdc", &partitions), -ENOENT);
}

static void loop_device_is_found_by_its_backing_store(void **state)
{
	const struct tree *tree = *state;
	_cleanup_strlist_ struct strlist loops = { 0 };

	assert_int_equal(blockdev_loops(tree->rootfd, "sdb", &loops), 0);
	add_disk(tree);
	tree_link(tree, "dev/disk/by-id/x", "../../sdb");
	tree_file(tree, "sys/class/block/loop0/loop/backing_file", "/dev/disk/by-id/x\n");
	tree_file(tree, "sys/class/block/loop1/loop/backing_file", "/dev/sdb1\n");
	tree_file(tree, "sys/class/block/loop2/loop/backing_file", "/dev/sdb (deleted)\n");
	tree_file(tree, "sys/class/block/loop3/loop/backing_file", "/dev/sdz (deleted)\n");
	tree_file(tree, "sys/class/block/loop4/loop/backing_file", "/srv/dev/sdb\n");
	tree_dir(tree, "sys/class/block/loop5");
	assert_int_equal(blockdev_loops(tree->rootfd, "sdb", &loops), 0);
	assert_int_equal(loops.nr, 2);
	assert_string_equal(loops.names[0], "loop0");
	assert_string_equal(loops.names[1], "loop2");
	assert_int_equal(blockdev_loops(tree->rootfd, "sdz", &loops), 0);
	assert_int_equal(loops.nr, 3);
	assert_string_equal(loops.names[2], "loop3");
}

/* What the kernel keeps is for the lab to show; here, that nothing else is taken for it */
static void disk_that_cannot_be_opened_is_not_called_claimed(void **state)
{
	const struct tree *tree = *state;

	add_disk(tree);
	tree_dir(tree, "dev/cciss/c0d0");
	assert_int_equal(blockdev_claimed(tree->rootfd, "sdb"), 0);
	assert_int_equal(blockdev_claimed(tree->rootfd, "sdz"), 0);
	assert_int_equal(blockdev_claimed(tree->rootfd, "cciss!c0d0"), 0);
}

/* Links of a tree cannot have the modes of proc's: our own descriptors do */
static void writer_is_told_from_reader(void **state)
{
	const struct tree *tree = *state;
	_cleanup_close_ int real = root_open("/");
	char path[128];
	const char *const paths[] = { path };
	pid_t pid = 0;

	for (int writes = 0; writes <= 1; writes++) {
		int ready[2];
		char c;

		(void)snprintf(path, sizeof(path), "%s/disk", tree->dir);
		tree_file(tree, "disk", "");
		assert_int_equal(pipe(ready), 0);
		pid = fork();
		if (pid == 0) {
			(void)!open(path, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC);
			(void)!write(ready[1], "1", 1);
			(void)pause();
			_exit(0);
		}
		assert_int_equal(read(ready[0], &c, 1), 1);
		assert_int_equal(process_find_open(real, paths, 1), pid);
		assert_int_equal(process_find_writer(real, paths, 1), writes ? pid : 0);
		assert_int_equal(process_find_open_after(real, paths, 1, pid), 0);
		assert_int_equal(process_find_open_after(real, paths, 1, pid - 1), pid);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		(void)close(ready[0]);
		(void)close(ready[1]);
	}
}

/* In a chroot or a container, or renamed: what proc shows is the path it was opened by */
static void device_is_found_by_its_number_whatever_its_path_is(void **state)
{
	static const struct {
		const char *path;
		bool found;
	} rows[] = {
		{ "/dev/full", true },	    { "/dev/char/1:7", true },	 { "/dev/zero", false },
		{ "/dev/char/1:5", false }, { "/dev/block/1:7", false }, { "/dev/char/1:", false },
	};
	const struct tree *tree = *state;
	_cleanup_close_ int real = root_open("/");
	char path[128];
	const char *const elsewhere[] = { path };
	int ready[2];
	pid_t pid;
	char c;

	(void)snprintf(path, sizeof(path), "%s/srv/dev/renamed", tree->dir);
	tree_link(tree, "srv/dev/renamed", "/dev/full");
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		(void)alarm(30);
		(void)!open("/dev/full", O_RDWR | O_CLOEXEC);
		(void)!write(ready[1], "1", 1);
		(void)pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		pid_t found = process_find_open_after(real, &rows[i].path, 1, pid - 1);

		assert_int_equal(found == pid, rows[i].found);
	}
	assert_int_equal(process_find_open_after(real, elsewhere, 1, pid - 1), pid);
	/* A tree's links lead to this machine's devices, which are not the tree's */
	tree_link(tree, "proc/77/fd/3", "/dev/full");
	assert_int_equal(process_find_open(tree->rootfd, elsewhere, 1), 0);
	assert_int_equal(process_find_open(tree->rootfd, &rows[0].path, 1), 77);
	assert_int_equal(process_find_open(tree->rootfd, &rows[1].path, 1), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(name_is_the_kernels_whatever_link_leads_there),
		tree_test(partition_knows_its_disk_and_the_disk_its_partitions),
		tree_test(loop_device_is_found_by_its_backing_store),
		tree_test(disk_that_cannot_be_opened_is_not_called_claimed),
		tree_test(writer_is_told_from_reader),
		tree_test(device_is_found_by_its_number_whatever_its_path_is),
	};

	return cmocka_run_group_tests_name("lib/blockdev", tests, NULL, NULL);
}
