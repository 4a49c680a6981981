/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fuzz/trace_fuzz.c - lines of the kernel's tracer, with any command's name in them */

#include "fuzz.h"

#include "lib/cpulist.h"
#include "lib/trace.h"

static void check(const struct trace_event *event)
{
	CHECK(event->kind <= TRACE_WORK);
	CHECK(event->cpu < CPULIST_MAX);
	CHECK(memchr(event->name, '\0', sizeof(event->name)));
	CHECK(memchr(event->comm, '\0', sizeof(event->comm)));
	for (const char *c = event->name; *c; c++)
		CHECK(*c >= 0x20 && *c < 0x7f);
}

/* The same whatever stands in the field of the name: it is told by its width */
static void check_name(const char *line, const struct trace_event *event)
{
	_cleanup_free_ char *other = strdup(line);
	struct trace_event again;

	CHECK(other);
	memcpy(other, "x-1 [003] d.. 1.", 16);
	CHECK(trace_parse(other, &again) == 1);
	CHECK(again.cpu == event->cpu && again.ns == event->ns && again.number == event->number);
	CHECK(strcmp(again.name, event->name) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *line = fuzz_text(data, size);
	struct trace_event event;
	int r = trace_parse(line, &event);

	CHECK(r == 1 || r == 0 || r == -EBADMSG);
	if (r == 1) {
		check(&event);
		check_name(line, &event);
	}
	return 0;
}
