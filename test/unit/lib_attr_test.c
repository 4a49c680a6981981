/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/unit/lib_attr_test.c - kernel attributes below a root fd */
/* wraps: syscall read write readlinkat readdir */
/* wraps: malloc calloc realloc reallocarray strdup strndup */
/* wraps: vasprintf __vasprintf_chk open_memstream */

#include "tree.h"

#include <sys/syscall.h>

#include "nomem.h"

/* --- A kernel that fails as told: each counter is how many calls still fail ------------------- */
static struct {
	int open_fails, open_errno, opens;
	int read_fails, read_errno;
	size_t read_most; /* bytes one read(2) gives; 0: no limit */
	int writes, write_errno;
	size_t write_most;
	int readlink_errno;
	size_t readlink_len;
	int readdir_errno;
} kernel;

long __real_syscall(long nr, ...);
long __wrap_syscall(long nr, ...);
ssize_t __real_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size);
ssize_t __real_write(int fd, const void *buf, size_t size);
ssize_t __wrap_write(int fd, const void *buf, size_t size);
ssize_t __real_readlinkat(int fd, const char *path, char *buf, size_t size);
ssize_t __wrap_readlinkat(int fd, const char *path, char *buf, size_t size);
struct dirent *__real_readdir(DIR *dir);
struct dirent *__wrap_readdir(DIR *dir);

static int fail_with(int err)
{
	errno = err;
	return -1;
}

long __wrap_syscall(long nr, ...)
{
	long arg[4];
	va_list args;

	va_start(args, nr);
	for (size_t i = 0; i < ARRAY_SIZE(arg); i++)
		arg[i] = va_arg(args, long);
	va_end(args);
	assert_int_equal(nr, SYS_openat2);
	kernel.opens++;
	if (kernel.open_fails > 0) {
		kernel.open_fails--;
		return fail_with(kernel.open_errno);
	}
	return __real_syscall(nr, arg[0], arg[1], arg[2], arg[3]);
}

ssize_t __wrap_read(int fd, void *buf, size_t size)
{
	if (kernel.read_fails > 0) {
		kernel.read_fails--;
		return fail_with(kernel.read_errno);
	}
	if (kernel.read_most && size > kernel.read_most)
		size = kernel.read_most;
	return __real_read(fd, buf, size);
}

ssize_t __wrap_write(int fd, const void *buf, size_t size)
{
	kernel.writes++;
	if (kernel.write_errno)
		return fail_with(kernel.write_errno);
	if (kernel.write_most && size > kernel.write_most)
		size = kernel.write_most;
	return __real_write(fd, buf, size);
}

ssize_t __wrap_readlinkat(int fd, const char *path, char *buf, size_t size)
{
	if (kernel.readlink_errno)
		return fail_with(kernel.readlink_errno);
	if (kernel.readlink_len) {
		memset(buf, 'x', kernel.readlink_len);
		return (ssize_t)kernel.readlink_len;
	}
	return __real_readlinkat(fd, path, buf, size);
}

struct dirent *__wrap_readdir(DIR *dir)
{
	struct dirent *de = __real_readdir(dir);

	if (!de && kernel.readdir_errno)
		errno = kernel.readdir_errno;
	return de;
}

static int setup(void **state)
{
	memset(&kernel, 0, sizeof(kernel));
	return tree_setup(state);
}

static int teardown(void **state)
{
	memset(&kernel, 0, sizeof(kernel));
	return tree_teardown(state);
}

/* --- root_open() ------------------------------------------------------------------------------ */
static void root_open_refuses_a_file(void **state)
{
	struct tree *t = *state;
	char path[128];

	tree_file(t, "file", "");
	(void)snprintf(path, sizeof(path), "%s/file", t->dir);
	assert_int_equal(root_open(path), -ENOTDIR);
}

static void root_open_says_when_there_is_no_such_directory(void **state)
{
	(void)state;
	assert_int_equal(root_open("/nonexistent/root"), -ENOENT);
}

static void root_open_gives_a_descriptor_that_exec_closes(void **state)
{
	struct tree *t = *state;

	assert_int_equal(fcntl(t->rootfd, F_GETFD), FD_CLOEXEC);
	assert_true(fcntl(t->rootfd, F_GETFL) & O_PATH);
}

/* --- path_format() ---------------------------------------------------------------------------- */
static void path_format_refuses_to_truncate(void **state)
{
	char buf[8];

	(void)state;
	assert_int_equal(path_format(buf, sizeof(buf), "sys/%s", "abc"), 0);
	assert_string_equal(buf, "sys/abc");
	assert_int_equal(path_format(buf, sizeof(buf), "sys/%s", "abcd"), -ENAMETOOLONG);
}

/* --- attr_open() ------------------------------------------------------------------------------ */
static void open_refuses_to_create(void **state)
{
	struct tree *t = *state;

	assert_int_equal(attr_open(t->rootfd, "new", O_WRONLY | O_CREAT), -EINVAL);
	assert_int_equal(attr_open(t->rootfd, ".", O_WRONLY | O_TMPFILE), -EINVAL);
	assert_int_equal(faccessat(t->rootfd, "new", F_OK, 0), -1);
}

static void open_gives_a_descriptor_that_exec_closes(void **state)
{
	struct tree *t = *state;
	_cleanup_close_ int fd = -1;

	tree_file(t, "sys/x", "1\n");
	fd = attr_open(t->rootfd, "sys/x", O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static void open_keeps_an_absolute_symlink_inside_the_root(void **state)
{
	struct tree *t = *state;
	char buf[16];

	tree_file(t, "sys/real", "inside\n");
	tree_link(t, "sys/link", "/sys/real");
	assert_int_equal(attr_read(t->rootfd, "sys/link", buf, sizeof(buf)), 6);
	assert_string_equal(buf, "inside");
}

static void open_keeps_dots_inside_the_root(void **state)
{
	struct tree *t = *state;
	char buf[16];

	tree_file(t, "etc/hostname", "inside\n");
	tree_link(t, "sys/link", "../../../../../../etc/hostname");
	assert_int_equal(attr_read(t->rootfd, "sys/link", buf, sizeof(buf)), 6);
	assert_int_equal(attr_read(t->rootfd, "../../../etc/hostname", buf, sizeof(buf)), 6);
}

static void open_tries_again_when_a_rename_or_a_signal_came_between(void **state)
{
	static const int errnos[] = { EAGAIN, EINTR };
	struct tree *t = *state;

	tree_file(t, "x", "1\n");
	for (size_t i = 0; i < ARRAY_SIZE(errnos); i++) {
		_cleanup_close_ int fd = -1;

		kernel.opens = 0;
		kernel.open_fails = 3;
		kernel.open_errno = errnos[i];
		fd = attr_open(t->rootfd, "x", O_RDONLY);
		assert_true(fd >= 0);
		assert_int_equal(kernel.opens, 4);
	}
}

static void open_gives_up_when_the_kernel_never_stops_saying_eagain(void **state)
{
	struct tree *t = *state;

	tree_file(t, "x", "1\n");
	kernel.open_fails = 1000000;
	kernel.open_errno = EAGAIN;
	assert_int_equal(attr_open(t->rootfd, "x", O_RDONLY), -EAGAIN);
	assert_true(kernel.opens > 1);
}

static void open_hands_on_what_the_kernel_says(void **state)
{
	struct tree *t = *state;

	assert_int_equal(attr_open(t->rootfd, "missing", O_RDONLY), -ENOENT);
	kernel.open_fails = 1;
	kernel.open_errno = EACCES;
	assert_int_equal(attr_open(t->rootfd, "missing", O_RDONLY), -EACCES);
}

/* --- attr_read() ------------------------------------------------------------------------------ */
static void read_cuts_off_one_newline_only(void **state)
{
	static const struct {
		const char *text, *value;
	} rows[] = {
		{ "vfio-pci\n", "vfio-pci" },
		{ "no newline", "no newline" },
		{ "two\n\n", "two\n" },
		{ "\n", "" },
		{ "", "" },
	};
	struct tree *t = *state;
	char buf[ATTR_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		tree_file(t, "x", rows[i].text);
		assert_int_equal(attr_read(t->rootfd, "x", buf, sizeof(buf)),
				 strlen(rows[i].value));
		assert_string_equal(buf, rows[i].value);
	}
}

static void read_joins_short_reads(void **state)
{
	struct tree *t = *state;
	char buf[32];

	tree_file(t, "x", "one two three four\n");
	kernel.read_most = 4;
	assert_int_equal(attr_read(t->rootfd, "x", buf, sizeof(buf)), 18);
	assert_string_equal(buf, "one two three four");
}

static void read_tries_again_after_a_signal(void **state)
{
	struct tree *t = *state;
	char buf[32];

	tree_file(t, "x", "1\n");
	kernel.read_fails = 2;
	kernel.read_errno = EINTR;
	assert_int_equal(attr_read(t->rootfd, "x", buf, sizeof(buf)), 1);
	assert_int_equal(kernel.read_fails, 0);
}

static void read_fills_the_buffer_to_the_last_byte(void **state)
{
	struct tree *t = *state;
	char buf[5];

	/* With or without the newline that is cut off */
	tree_file(t, "x", "1234\n");
	assert_int_equal(attr_read(t->rootfd, "x", buf, sizeof(buf)), 4);
	assert_string_equal(buf, "1234");
	tree_file(t, "x", "1234");
	assert_int_equal(attr_read(t->rootfd, "x", buf, sizeof(buf)), 4);
}

static void read_refuses_what_does_not_fit(void **state)
{
	static const char *const texts[] = { "12345", "12345\n", "1234\n\n", "123456789\n" };
	struct tree *t = *state;
	char buf[5];

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		tree_file(t, "x", texts[i]);
		memset(buf, 'x', sizeof(buf));
		assert_int_equal(attr_read(t->rootfd, "x", buf, sizeof(buf)), -E2BIG);
		assert_string_equal(buf, "");
	}
	tree_file(t, "x", "");
	assert_int_equal(attr_read(t->rootfd, "x", buf, 0), -E2BIG);
}

static void read_refuses_a_nul_byte(void **state)
{
	struct tree *t = *state;
	char buf[16] = "old";

	tree_bytes(t, "x", "a\0b\n", 4);
	assert_int_equal(attr_read(t->rootfd, "x", buf, sizeof(buf)), -EBADMSG);
	assert_string_equal(buf, "");
}

static void read_hands_on_errors_and_empties_the_buffer(void **state)
{
	struct tree *t = *state;
	char buf[16] = "old";

	assert_int_equal(attr_read(t->rootfd, "missing", buf, sizeof(buf)), -ENOENT);
	assert_string_equal(buf, "");
	strcpy(buf, "old");
	assert_int_equal(attr_read(t->rootfd, ".", buf, sizeof(buf)), -EISDIR);
	assert_string_equal(buf, "");
	tree_file(t, "x", "1\n");
	kernel.read_fails = 1;
	kernel.read_errno = EIO;
	assert_int_equal(attr_read(t->rootfd, "x", buf, sizeof(buf)), -EIO);
}

/* --- attr_read_ull() -------------------------------------------------------------------------- */
static void read_ull_takes_decimal_and_hex(void **state)
{
	static const struct {
		const char *text;
		unsigned long long value;
	} rows[] = {
		{ "0\n", 0 },
		{ "4096\n", 4096 },
		{ "0x10de\n", 0x10de },
		{ "0010\n", 10 },
		{ "18446744073709551615\n", ~0ULL },
		{ "0xffffffffffffffff\n", ~0ULL },
	};
	struct tree *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		unsigned long long value = 1;

		tree_file(t, "x", rows[i].text);
		assert_int_equal(attr_read_ull(t->rootfd, "x", &value), 0);
		assert_true(value == rows[i].value);
	}
}

static void read_ull_refuses_what_is_no_number(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"-1\n",
		"1 2\n",
		"0x\n",
		"12a\n",
		"max\n",
		"18446744073709551616\n",
		"1111111111111111111111111111111111111111111111111111111111111111111111111111\n",
	};
	struct tree *t = *state;
	unsigned long long value = 42;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		tree_file(t, "x", texts[i]);
		assert_int_equal(attr_read_ull(t->rootfd, "x", &value), -EBADMSG);
	}
	assert_int_equal(attr_read_ull(t->rootfd, "missing", &value), -ENOENT);
	assert_true(value == 42);
}

/* --- attr_read_all() -------------------------------------------------------------------------- */
static void read_all_reads_files_of_any_length(void **state)
{
	static const size_t lens[] = { 0, 1, ATTR_MAX - 1, ATTR_MAX, ATTR_MAX + 1, 100000 };
	struct tree *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		_cleanup_free_ char *text = malloc(lens[i] + 1), *got = NULL;
		size_t len = 0;

		memset(text, 'x', lens[i]);
		tree_bytes(t, "x", text, lens[i]);
		assert_int_equal(attr_read_all(t->rootfd, "x", 100000, &got, &len), 0);
		assert_int_equal(len, lens[i]);
		assert_memory_equal(got, text, len);
		assert_int_equal(got[len], '\0');
	}
}

static void read_all_refuses_more_than_was_allowed(void **state)
{
	struct tree *t = *state;
	char *got = NULL;
	size_t len;

	tree_file(t, "x", "12345");
	assert_int_equal(attr_read_all(t->rootfd, "x", 4, &got, &len), -E2BIG);
	assert_int_equal(attr_read_all(t->rootfd, "x", 0, &got, &len), -E2BIG);
	assert_null(got);
	assert_int_equal(attr_read_all(t->rootfd, "x", 5, &got, &len), 0);
	assert_int_equal(len, 5);
	free(got);
}

static void read_all_hands_on_errors(void **state)
{
	struct tree *t = *state;
	char *got = NULL;
	size_t len;

	assert_int_equal(attr_read_all(t->rootfd, "missing", 9, &got, &len), -ENOENT);
	assert_int_equal(attr_read_all(t->rootfd, ".", 9, &got, &len), -EISDIR);
	assert_null(got);
}

static void read_regular_refuses_a_fifo_at_once(void **state)
{
	struct tree *t = *state;
	char *got = NULL;
	size_t len;

	assert_int_equal(mkfifoat(t->rootfd, "fifo", 0600), 0);
	(void)alarm(10);
	assert_int_equal(attr_read_regular(t->rootfd, "fifo", 9, &got, &len), -EINVAL);
	(void)alarm(0);
	assert_int_equal(attr_read_regular(t->rootfd, ".", 9, &got, &len), -EINVAL);
	assert_int_equal(attr_read_regular(t->rootfd, "missing", 9, &got, &len), -ENOENT);
	assert_null(got);
	tree_file(t, "x", "12345");
	assert_int_equal(attr_read_regular(t->rootfd, "x", 5, &got, &len), 0);
	assert_string_equal(got, "12345");
	free(got);
}

static int read_all_and_free(int rootfd, const char *path)
{
	_cleanup_free_ char *got = NULL;
	size_t len;

	return attr_read_all(rootfd, path, 1000000, &got, &len);
}

static void read_all_survives_without_memory(void **state)
{
	struct tree *t = *state;
	char text[3 * ATTR_MAX];

	memset(text, 'x', sizeof(text));
	tree_bytes(t, "x", text, sizeof(text));
	assert_nomem(read_all_and_free(t->rootfd, "x"), 2);
}

/* --- attr_write() ----------------------------------------------------------------------------- */
static void write_stores_the_value_in_one_write(void **state)
{
	struct tree *t = *state;

	tree_file(t, "x", "");
	kernel.writes = 0;
	assert_int_equal(attr_write(t->rootfd, "x", "0000:01:00.0"), 0);
	assert_int_equal(kernel.writes, 1);
	assert_string_equal(tree_read(t, "x"), "0000:01:00.0");
}

static void write_of_nothing_is_one_newline(void **state)
{
	struct tree *t = *state;

	tree_file(t, "driver_override", "");
	assert_int_equal(attr_write(t->rootfd, "driver_override", ""), 0);
	assert_string_equal(tree_read(t, "driver_override"), "\n");
}

static void write_calls_a_short_write_an_error_and_does_not_go_on(void **state)
{
	struct tree *t = *state;

	tree_file(t, "x", "");
	kernel.writes = 0;
	kernel.write_most = 3;
	assert_int_equal(attr_write(t->rootfd, "x", "12345"), -EIO);
	assert_int_equal(kernel.writes, 1);
}

static void write_never_creates_a_file(void **state)
{
	struct tree *t = *state;

	assert_int_equal(attr_write(t->rootfd, "missing", "1"), -ENOENT);
	assert_int_equal(faccessat(t->rootfd, "missing", F_OK, 0), -1);
}

static void write_hands_on_what_the_kernel_says_and_does_not_try_again(void **state)
{
	static const int errnos[] = { EBUSY, EINVAL, EINTR, EAGAIN };
	struct tree *t = *state;

	assert_int_equal(attr_write(t->rootfd, ".", "1"), -EISDIR);
	tree_file(t, "x", "");
	for (size_t i = 0; i < ARRAY_SIZE(errnos); i++) {
		kernel.writes = 0;
		kernel.write_errno = errnos[i];
		assert_int_equal(attr_write(t->rootfd, "x", "1"), -errnos[i]);
		assert_int_equal(kernel.writes, 1);
	}
}

/* --- attr_ask() ------------------------------------------------------------------------------- */

/* A file's answer is what stands behind the question; the kernel's ends with a NUL byte */
static void ask_reads_the_answer_to_its_own_question(void **state)
{
	struct tree *t = *state;
	static const char text[] = "???answer";
	char buf[16];

	tree_bytes(t, "x", text, sizeof(text));
	kernel.read_most = 4;
	assert_int_equal(attr_ask(t->rootfd, "x", "a b", buf, sizeof(buf)), 6);
	assert_string_equal(buf, "answer");
	kernel.read_most = 0;
	assert_string_equal(tree_read(t, "x"), "a banswer");
}

static void ask_hands_on_what_the_kernel_says(void **state)
{
	struct tree *t = *state;
	char buf[4] = "x";

	assert_int_equal(attr_ask(t->rootfd, "x", "a b", buf, sizeof(buf)), -ENOENT);
	assert_string_equal(buf, "");
	tree_file(t, "x", "???");
	kernel.write_errno = EINVAL;
	assert_int_equal(attr_ask(t->rootfd, "x", "a b", buf, sizeof(buf)), -EINVAL);
	kernel.write_errno = 0;
	kernel.write_most = 2;
	assert_int_equal(attr_ask(t->rootfd, "x", "a b", buf, sizeof(buf)), -EIO);
	kernel.write_most = 0;
	kernel.read_fails = 1;
	kernel.read_errno = EACCES;
	assert_int_equal(attr_ask(t->rootfd, "x", "a b", buf, sizeof(buf)), -EACCES);
	tree_file(t, "x", "???long");
	assert_int_equal(attr_ask(t->rootfd, "x", "a b", buf, sizeof(buf)), -E2BIG);
	assert_string_equal(buf, "");
}

/* --- attr_link() ------------------------------------------------------------------------------ */
static void link_names_the_last_component(void **state)
{
	struct tree *t = *state;
	char buf[16];

	tree_link(t, "dev/driver", "../../../bus/pci/drivers/nvidia");
	tree_link(t, "dev/plain", "snd_hda_intel");
	assert_int_equal(attr_link(t->rootfd, "dev/driver", buf, sizeof(buf)), 6);
	assert_string_equal(buf, "nvidia");
	assert_int_equal(attr_link(t->rootfd, "dev/plain", buf, sizeof(buf)), 13);
	assert_string_equal(buf, "snd_hda_intel");
}

static void link_that_is_missing_or_a_file_is_enoent(void **state)
{
	struct tree *t = *state;
	char buf[16] = "old";

	assert_int_equal(attr_link(t->rootfd, "dev/driver", buf, sizeof(buf)), -ENOENT);
	assert_string_equal(buf, "");
	tree_file(t, "dev/driver", "");
	assert_int_equal(attr_link(t->rootfd, "dev/driver", buf, sizeof(buf)), -ENOENT);
}

static void link_refuses_a_name_that_does_not_fit(void **state)
{
	struct tree *t = *state;
	char buf[6] = "old";

	tree_link(t, "driver", "../nvidia");
	assert_int_equal(attr_link(t->rootfd, "driver", buf, sizeof(buf)), -ENAMETOOLONG);
	assert_string_equal(buf, "");
	/* A target that fills the buffer may have been cut */
	kernel.readlink_len = ATTR_MAX;
	assert_int_equal(attr_link(t->rootfd, "driver", buf, sizeof(buf)), -ENAMETOOLONG);
}

static void link_hands_on_what_readlinkat_says(void **state)
{
	struct tree *t = *state;
	char buf[16] = "old";

	tree_link(t, "driver", "../nvidia");
	kernel.readlink_errno = EACCES;
	assert_int_equal(attr_link(t->rootfd, "driver", buf, sizeof(buf)), -EACCES);
	assert_string_equal(buf, "");
}

/* --- attr_exists() ---------------------------------------------------------------------------- */
static void exists_tells_yes_from_no(void **state)
{
	struct tree *t = *state;

	tree_file(t, "sys/file", "");
	tree_link(t, "sys/dangling", "nowhere");
	tree_link(t, "sys/link", "/sys/file");
	assert_int_equal(attr_exists(t->rootfd, "sys"), 1);
	assert_int_equal(attr_exists(t->rootfd, "sys/file"), 1);
	assert_int_equal(attr_exists(t->rootfd, "sys/link"), 1);
	assert_int_equal(attr_exists(t->rootfd, "sys/missing"), 0);
	assert_int_equal(attr_exists(t->rootfd, "sys/dangling"), 0);
	assert_int_equal(attr_exists(t->rootfd, "sys/file/below"), 0);
}

static void exists_does_not_call_an_error_a_no(void **state)
{
	struct tree *t = *state;

	tree_link(t, "loop", "loop");
	assert_int_equal(attr_exists(t->rootfd, "loop"), -ELOOP);
	kernel.open_fails = 1;
	kernel.open_errno = EACCES;
	assert_int_equal(attr_exists(t->rootfd, "x"), -EACCES);
}

/* --- attr_list() ------------------------------------------------------------------------------ */
static void list_sorts_and_leaves_the_dots_out(void **state)
{
	static const char *const sorted[] = { ".hidden", "0000:00:01.0", "0000:0a:00.0", "Z", "a" };
	struct tree *t = *state;
	_cleanup_strlist_ struct strlist list = { 0 };

	for (size_t i = ARRAY_SIZE(sorted); i > 0; i--) {
		char path[64];

		(void)snprintf(path, sizeof(path), "d/%s", sorted[i - 1]);
		tree_file(t, path, "");
	}
	assert_int_equal(attr_list(t->rootfd, "d", &list), 0);
	assert_int_equal(list.nr, ARRAY_SIZE(sorted));
	for (size_t i = 0; i < list.nr; i++)
		assert_string_equal(list.names[i], sorted[i]);
}

static void list_of_an_empty_directory_is_empty(void **state)
{
	struct tree *t = *state;
	_cleanup_strlist_ struct strlist list = { 0 };

	tree_dir(t, "d");
	assert_int_equal(attr_list(t->rootfd, "d", &list), 0);
	assert_int_equal(list.nr, 0);
}

static void list_of_directories_leaves_all_else_out(void **state)
{
	struct tree *t = *state;
	_cleanup_strlist_ struct strlist list = { 0 };

	tree_file(t, "d/file", "");
	tree_dir(t, "d/b");
	tree_dir(t, "d/a");
	tree_link(t, "d/link", "a");
	assert_int_equal(attr_list_dirs(t->rootfd, "d", &list), 0);
	assert_int_equal(list.nr, 2);
	assert_string_equal(list.names[0], "a");
	assert_string_equal(list.names[1], "b");
	assert_int_equal(attr_list_dirs(t->rootfd, "missing", &list), -ENOENT);
}

static void list_hands_on_errors(void **state)
{
	struct tree *t = *state;
	struct strlist list = { 0 };

	tree_file(t, "d/file", "");
	assert_int_equal(attr_list(t->rootfd, "missing", &list), -ENOENT);
	assert_int_equal(attr_list(t->rootfd, "d/file", &list), -ENOTDIR);
	kernel.readdir_errno = EIO;
	assert_int_equal(attr_list(t->rootfd, "d", &list), -EIO);
	assert_int_equal(list.nr, 0);
	assert_null(list.names);
}

static int list_and_free(int rootfd, const char *path)
{
	_cleanup_strlist_ struct strlist list = { 0 };

	return attr_list(rootfd, path, &list);
}

static void list_survives_without_memory(void **state)
{
	struct tree *t = *state;

	tree_file(t, "d/a", "");
	tree_file(t, "d/b", "");
	assert_nomem(list_and_free(t->rootfd, "d"), 4);
}

#define attr_test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		attr_test(root_open_refuses_a_file),
		attr_test(root_open_says_when_there_is_no_such_directory),
		attr_test(root_open_gives_a_descriptor_that_exec_closes),
		attr_test(path_format_refuses_to_truncate),
		attr_test(open_refuses_to_create),
		attr_test(open_gives_a_descriptor_that_exec_closes),
		attr_test(open_keeps_an_absolute_symlink_inside_the_root),
		attr_test(open_keeps_dots_inside_the_root),
		attr_test(open_tries_again_when_a_rename_or_a_signal_came_between),
		attr_test(open_gives_up_when_the_kernel_never_stops_saying_eagain),
		attr_test(open_hands_on_what_the_kernel_says),
		attr_test(read_cuts_off_one_newline_only),
		attr_test(read_joins_short_reads),
		attr_test(read_tries_again_after_a_signal),
		attr_test(read_fills_the_buffer_to_the_last_byte),
		attr_test(read_refuses_what_does_not_fit),
		attr_test(read_refuses_a_nul_byte),
		attr_test(read_hands_on_errors_and_empties_the_buffer),
		attr_test(read_ull_takes_decimal_and_hex),
		attr_test(read_ull_refuses_what_is_no_number),
		attr_test(read_all_reads_files_of_any_length),
		attr_test(read_all_refuses_more_than_was_allowed),
		attr_test(read_all_hands_on_errors),
		attr_test(read_regular_refuses_a_fifo_at_once),
		attr_test(read_all_survives_without_memory),
		attr_test(write_stores_the_value_in_one_write),
		attr_test(write_of_nothing_is_one_newline),
		attr_test(write_calls_a_short_write_an_error_and_does_not_go_on),
		attr_test(write_never_creates_a_file),
		attr_test(write_hands_on_what_the_kernel_says_and_does_not_try_again),
		attr_test(ask_reads_the_answer_to_its_own_question),
		attr_test(ask_hands_on_what_the_kernel_says),
		attr_test(link_names_the_last_component),
		attr_test(link_that_is_missing_or_a_file_is_enoent),
		attr_test(link_refuses_a_name_that_does_not_fit),
		attr_test(link_hands_on_what_readlinkat_says),
		attr_test(exists_tells_yes_from_no),
		attr_test(exists_does_not_call_an_error_a_no),
		attr_test(list_sorts_and_leaves_the_dots_out),
		attr_test(list_of_an_empty_directory_is_empty),
		attr_test(list_of_directories_leaves_all_else_out),
		attr_test(list_hands_on_errors),
		attr_test(list_survives_without_memory),
	};

	return cmocka_run_group_tests_name("lib/attr", tests, NULL, NULL);
}
