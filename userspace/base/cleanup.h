/* SPDX-License-Identifier: BSD-2-Clause */
/* Ownership that can be checked one function at a time: owning locals carry
 * _cleanup_(), start as NULL or -1, and every hand-over goes through TAKE_PTR
 * or TAKE_FD. */
#ifndef SLUICE_BASE_CLEANUP_H
#define SLUICE_BASE_CLEANUP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* unused: clang 14 does not count the cleanup as a use */
#define _cleanup_(f) __attribute__((cleanup(f), unused))

#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		typeof(p) *_pp = &(p);                                                             \
		typeof(p) _v = *_pp;                                                               \
		*_pp = NULL;                                                                       \
		_v;                                                                                \
	})

#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int *_fp = &(fd);                                                                  \
		int _f = *_fp;                                                                     \
		*_fp = -1;                                                                         \
		_f;                                                                                \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void freep(void *p)
{
	free(*(void **)p);
}

/* Closes *fd if it is open; keeps errno. */
static inline void closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

static inline void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)

#endif
