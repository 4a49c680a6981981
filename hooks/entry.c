/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/entry.c - the hook's first instructions: leave at once where it has no business */
#include "entry.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/types.h>
#include <stddef.h>
#include <sys/stat.h>

#include "policy.h"

/*
 * How it works
 *
 * libvirt calls the hook several times for each guest, and most guests have no policy. A static
 * program's start is then all that such a call costs, and most of that is the C library looking at
 * the processor: some forty CPUID instructions, each of which traps where the host is a virtual
 * machine itself (Seen on: glibc 2.36, 415 us from start to exit; 137 us without).
 *
 * So the program begins here. usher_entry asks entry_idle() and, if there is nothing to do, exits;
 * else it goes on to the C library's _start with registers and stack as the kernel left them.
 *
 * The C library does not run yet: nothing of it may be called, not even by the compiler (memcpy is
 * chosen by the processor later), and there is no thread pointer, hence no errno, stack protector
 * or sanitizer. The Makefile compiles this file so, and refuses it when it refers to anything but
 * _start. On other processors than x86-64 the hook begins at _start as usual.
 */

#define LIBVIRT_ARGC 5
#define UUID_LEN     36

struct linux_dirent64 {
	__u64 d_ino;
	__s64 d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

#ifdef __x86_64__

/* ABI: arch/x86/entry/entry_64.S: number in rax, result or -errno in rax; rcx and r11 are lost */
static long syscall4(long nr, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return ret;
}

static size_t length(const char *text)
{
	size_t len = 0;

	/* An entry of a directory, if so, was written by the kernel, which the analyzer does not see */
	while (text[len]) // NOLINT(clang-analyzer-core.uninitialized.Branch)
		len++;
	return len;
}

/* Return: the end of what was written, NULL when it does not fit before @end */
static char *append(char *at, const char *end, const char *text)
{
	if (!at || length(text) >= (size_t)(end - at))
		return NULL;
	while (*text)
		*at++ = *text++;
	*at = '\0';
	return at;
}

/* A link is one too: it is refused later, with a reason */
static bool has_no_policy(const char *policies, const char *guest)
{
	char path[PATH_MAX], *end = path + sizeof(path), *at;
	struct stat st;

	for (const char *c = guest; *c; c++)
		if (*c == '/')
			return false;
	at = append(path, end, policies);
	at = append(at, end, "/");
	at = append(at, end, guest);
	at = append(at, end, ".ini");
	return at && *guest &&
	       syscall4(__NR_newfstatat, AT_FDCWD, (long)path, (long)&st, AT_SYMLINK_NOFOLLOW) ==
		       -ENOENT;
}

static bool names_claim(const char *entries, long len)
{
	for (long at = 0; at < len;) {
		const void *entry = entries + at;
		const struct linux_dirent64 *dirent = entry;

		if (length(dirent->d_name) == UUID_LEN)
			return true;
		at += dirent->d_reclen;
	}
	return false;
}

static bool has_no_claims(const char *claims)
{
	long fd = syscall4(__NR_openat, AT_FDCWD, (long)claims,
			   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	char entries[2048] __attribute__((aligned(8)));
	long len;

	if (fd < 0)
		return fd == -ENOENT;
	do
		len = syscall4(__NR_getdents64, fd, (long)entries, sizeof(entries), 0);
	while (len > 0 && !names_claim(entries, len));
	(void)syscall4(__NR_close, fd, 0, 0, 0);
	return len == 0;
}

bool entry_idle_at(long argc, char *const *argv, const char *policies, const char *claims)
{
	if (argc != LIBVIRT_ARGC)
		return false;
	if (syscall4(__NR_geteuid, 0, 0, 0, 0) != 0)
		return true;
	return has_no_policy(policies, argv[1]) && has_no_claims(claims);
}

/* The kernel's first stack: argc, argv, NULL, the environment. ABI: System V x86-64, 3.4.1 */
__attribute__((used)) static bool entry_idle(const long *stack)
{
	const void *argv = stack + 1;

	return entry_idle_at(*stack, argv, "/" POLICY_GUEST_DIR, "/run/usher");
}

__asm__(".pushsection .text.usher_entry,\"ax\",@progbits\n"
	".globl usher_entry\n"
	".type usher_entry, @function\n"
	"usher_entry:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined rip\n"
	"	mov %rsp, %rbx\n"
	"	mov %rdx, %r12\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call entry_idle\n"
	"	test %al, %al\n"
	"	jnz 1f\n"
	"	mov %rbx, %rsp\n"
	"	mov %r12, %rdx\n"
	"	jmp _start\n"
	"1:	mov $231, %eax\n" /* exit_group */
	"	xor %edi, %edi\n"
	"	syscall\n"
	"	hlt\n"
	"	.cfi_endproc\n"
	".size usher_entry, . - usher_entry\n"
	".popsection\n");

#else

bool entry_idle_at(long argc, char *const *argv, const char *policies, const char *claims)
{
	(void)argc, (void)argv, (void)policies, (void)claims;
	return false;
}

#endif
