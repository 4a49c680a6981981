/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/vfio/mark.c - which process is at work inside the kernel on which device */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/attr.h"
#include "../../lib/state.h"
#include "../../lib/units.h"
#include "vfio.h"

#define MARK_PREFIX "vfio.worker."

static void mark_file(const char *name, char buf[static NAME_MAX + 1])
{
	(void)snprintf(buf, NAME_MAX + 1, MARK_PREFIX "%s", name);
}

int mark_write(int dirfd, const char *name, const struct mark *mark)
{
	_cleanup_free_ char *driver = NULL;
	_cleanup_free_ char *line = NULL;
	char file[NAME_MAX + 1];
	int r = text_encode(mark->driver, &driver);

	if (r < 0)
		return r;
	r = asprintf(&line, "%s %d %llu %s %lld\n", driver, (int)mark->worker.pid,
		     mark->worker.start_time, mark->step, mark->since_ms);
	if (r < 0)
		return -ENOMEM;
	mark_file(name, file);
	return state_write(dirfd, file, line, (size_t)r);
}

static int mark_parse(const struct strlist *words, struct mark *ret)
{
	_cleanup_free_ char *driver = NULL;
	struct mark mark = { 0 };
	unsigned long long since;
	unsigned int pid;

	if (words->nr != 5 || text_decode(words->names[0], &driver) < 0 ||
	    path_format(mark.driver, sizeof(mark.driver), "%s", driver) < 0 ||
	    parse_uint(words->names[1], 10, INT_MAX, &pid) < 0 ||
	    parse_ull(words->names[2], 10, ULLONG_MAX, &mark.worker.start_time) < 0 ||
	    path_format(mark.step, sizeof(mark.step), "%s", words->names[3]) < 0 ||
	    parse_ull(words->names[4], 10, LLONG_MAX, &since) < 0)
		return -EBADMSG;
	mark.since_ms = (long long)since;
	mark.worker.pid = (pid_t)pid;
	*ret = mark;
	return 0;
}

int mark_read(int dirfd, const char *name, struct mark *ret)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	_cleanup_free_ char *line = NULL;
	char file[NAME_MAX + 1];
	size_t len;
	int r;

	mark_file(name, file);
	r = state_read(dirfd, file, &line, &len);
	if (r == 0)
		r = text_split(line, " \n", &words);
	return r < 0 ? r : mark_parse(&words, ret);
}

int mark_remove(int dirfd, const char *name)
{
	char file[NAME_MAX + 1];

	mark_file(name, file);
	return state_remove(dirfd, file);
}

int mark_devices(int dirfd, struct strlist *ret)
{
	_cleanup_strlist_ struct strlist files = { 0 };
	int r = attr_list(dirfd, ".", &files);

	for (size_t i = 0; r == 0 && i < files.nr; i++)
		if (strncmp(files.names[i], MARK_PREFIX, strlen(MARK_PREFIX)) == 0)
			r = strlist_add(ret, files.names[i] + strlen(MARK_PREFIX));
	return r;
}

/* Return: 1 a living worker's mark, 0 none, else -errno */
static int mark_alive(int rootfd, int statefd, const char *uuid, const char *name, struct mark *ret)
{
	_cleanup_close_ int dirfd = state_dir(statefd, uuid, false);
	struct mark mark;
	int r = dirfd < 0 ? dirfd : mark_read(dirfd, name, &mark);

	if (r == 0)
		r = process_alive(rootfd, &mark.worker);
	if (r > 0)
		*ret = mark;
	/* Another guest's claim may go, or be unreadable, while we look: not this guest's affair */
	return r == -ENOMEM || r >= 0 ? r : 0;
}

int mark_find(int rootfd, const char *name, struct mark *ret)
{
	_cleanup_close_ int statefd = state_open(rootfd, false);
	_cleanup_strlist_ struct strlist uuids = { 0 };
	int r;

	if (statefd < 0)
		return statefd == -ENOENT ? 0 : statefd;
	r = attr_list(statefd, ".", &uuids);
	for (size_t i = 0; r == 0 && i < uuids.nr; i++)
		if (uuid_valid(uuids.names[i]))
			r = mark_alive(rootfd, statefd, uuids.names[i], name, ret);
	return r;
}

/* Before and behind the step's name, or that of the driver that was bound; and when there was none */
static const struct {
	const char *step, *before, *behind, *without;
} texts[] = {
	{ MARK_TURN, "driver ", " has not let go of another device of the guest's",
	  "it has been waiting for another device of the guest's" },
	{ MARK_UNBIND, "driver ", " has not let go of it", "the kernel has not let go of it" },
	{ MARK_PROBE, "it has left driver ", ", but the kernel has not finished giving it another",
	  "the kernel has not finished giving it a driver" },
	{ MARK_REMOVE, "it was on driver ", ", and has not been taken off the bus",
	  "it has not been taken off the bus" },
	{ MARK_RESCAN, "it has left driver ", ", and has not been found on the bus again",
	  "it has not been found on the bus again" },
	{ MARK_UNLOAD, "driver ", " has not been unloaded", "its driver has not been unloaded" },
	{ MARK_LOAD, "module ", " has not been loaded", "its module has not been loaded" },
	{ MARK_FAMILY, "driver ", " has been at work on another guest's card",
	  "its driver has been at work on another guest's card" },
	{ MARK_SERVICE, "unit ", " has been neither stopped nor started",
	  "a unit has not changed" },
	{ MARK_ATTR, "driver ", " has let nobody change its settings",
	  "the kernel has let nobody change its settings" },
	{ MARK_RETURNED, "it has left driver ", " at last, and its return has been due",
	  "its return has been due" },
	{ "", "driver ", " has let nobody look at it", "the kernel has let nobody look at it" },
};

void mark_describe(const struct mark *mark, char *buf, size_t size)
{
	const char *name = strchr(mark->step, ':');
	size_t len = strcspn(mark->step, ":"), i = 0;
	bool named;

	name = name ? name + 1 : mark->driver;
	named = *name;
	while (i < ARRAY_SIZE(texts) - 1 &&
	       (strncmp(mark->step, texts[i].step, len) != 0 || texts[i].step[len] != '\0'))
		i++;
	(void)snprintf(buf, size, "%s%s%s for %lld s (process %d)", named ? texts[i].before : "",
		       name, named ? texts[i].behind : texts[i].without,
		       (now_ms() - mark->since_ms) / 1000, (int)mark->worker.pid);
}
