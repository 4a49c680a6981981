/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/cleanup.h - every fd and heap pointer is born in a cleanup variable */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn)	    __attribute__((cleanup(fn)))
#define _must_check_	    __attribute__((warn_unused_result))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

/* Not retried on EINTR: the descriptor is gone either way on Linux */
static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		(void)fclose(*f);
}

static inline void cleanup_closedir(DIR **d)
{
	if (*d)
		(void)closedir(*d);
}

#define _cleanup_free_	   _cleanup_(cleanup_free)
#define _cleanup_close_	   _cleanup_(cleanup_close)
#define _cleanup_fclose_   _cleanup_(cleanup_fclose)
#define _cleanup_closedir_ _cleanup_(cleanup_closedir)

/* Hand the resource on: the cleanup variable is left empty */
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int *taken_fd_ = &(fd);                                                            \
		int fd_ = *taken_fd_;                                                              \
		*taken_fd_ = -1;                                                                   \
		fd_;                                                                               \
	})
#define TAKE_PTR(ptr)                                                                              \
	({                                                                                         \
		__typeof__(ptr) *taken_ptr_ = &(ptr);                                              \
		__typeof__(ptr) ptr_ = *taken_ptr_;                                                \
		*taken_ptr_ = NULL;                                                                \
		ptr_;                                                                              \
	})
