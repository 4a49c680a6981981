/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/coverage/exit.c - _exit(2) of a build that counts lines: what a child has run is not lost */
#include <stdbool.h>
#include <unistd.h>

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
_Noreturn void __wrap__exit(int status);
_Noreturn void __real__exit(int status);
void __gcov_dump(void);

extern bool coverage_ends;

/* For who lets allocations fail: test/unit/faults.h */
bool coverage_ends;

_Noreturn void __wrap__exit(int status)
{
	coverage_ends = true;
	__gcov_dump();
	__real__exit(status);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
