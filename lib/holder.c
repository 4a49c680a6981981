/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/holder.c - nosleep.holder: who holds the inhibitor, or why nobody does */
#include "holder.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "attr.h"
#include "state.h"
#include "text.h"
#include "units.h"

/* "ERROR PID START QEMU-PID QEMU-START" */
#define HOLDER_WORDS 5

int holder_store(int dirfd, const struct holder *holder)
{
	char text[128];
	int r = path_format(text, sizeof(text), "%d %d %llu %d %llu\n", -holder->error,
			    (int)holder->process.pid, holder->process.start_time,
			    (int)holder->qemu.pid, holder->qemu.start_time);

	return r < 0 ? r : state_write(dirfd, HOLDER_FILE, text, strlen(text));
}

static int holder_parse(const char *text, struct holder *ret)
{
	static const unsigned long long max[HOLDER_WORDS] = { 4095, INT_MAX, ULLONG_MAX, INT_MAX,
							      ULLONG_MAX };
	_cleanup_strlist_ struct strlist words = { 0 };
	unsigned long long numbers[HOLDER_WORDS];
	int r = text_split(text, " \n", &words);

	if (r < 0)
		return r;
	if (words.nr != HOLDER_WORDS)
		return -EBADMSG;
	for (size_t i = 0; i < HOLDER_WORDS; i++)
		if (parse_ull(words.names[i], 10, max[i], &numbers[i]) < 0)
			return -EBADMSG;
	*ret = (struct holder){
		.error = -(int)numbers[0],
		.process = { .pid = (pid_t)numbers[1], .start_time = numbers[2] },
		.qemu = { .pid = (pid_t)numbers[3], .start_time = numbers[4] },
	};
	return 0;
}

int holder_load(int dirfd, struct holder *ret)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = state_read(dirfd, HOLDER_FILE, &text, &len);

	return r < 0 ? r : holder_parse(text, ret);
}

static bool same_process(const struct process *a, const struct process *b)
{
	return a->pid == b->pid && a->start_time == b->start_time;
}

int holder_holds(int rootfd, int dirfd, const struct process *qemu)
{
	struct holder holder;
	int r = holder_load(dirfd, &holder);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (holder.error != 0 || !same_process(&holder.qemu, qemu))
		return 0;
	return process_alive(rootfd, &holder.process);
}
