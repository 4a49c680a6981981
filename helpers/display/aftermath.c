/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/aftermath.c - what becomes of a monitor that has been switched */
#include <string.h>

#include "../../lib/log.h"
#include "switcher.h"

/* Between two looks at a monitor that has been switched; one that falls back does it in seconds */
#define WATCH_GAP_MS 2000
/* As often it is switched again: a user at its buttons has the last word */
#define SWITCH_AGAIN 3
/* After a switch it is looked at so long, whatever timeout_ms says */
#define SETTLE_MS 4500

struct after {
	bool heard;  /* it has answered since, on the host's cable */
	bool deaf;   /* nobody acknowledged when it was looked at last */
	int error;   /* of that look */
	bool fallen; /* it showed the host's input when it was looked at last */
	int again;
	long long settled; /* as deadline_in() */
};

static void describe(const struct switcher *switcher, unsigned int bus, const struct after *after)
{
	if (!after->heard && after->deaf)
		switcher_report(
			switcher, LOG_WARNING,
			"it answers on its active input only: since it shows the guest, i2c-%u is "
			"deaf; the way back may have to wait for the guest's GPU, or for its "
			"buttons",
			bus);
	else if (!after->heard)
		switcher_report(
			switcher, LOG_WARNING,
			"i2c-%u has not answered since it shows the guest: %s; if its input "
			"does not come back, there are its own buttons",
			bus, strerror(-after->error));
	else if (after->fallen)
		switcher_report(
			switcher, LOG_WARNING,
			"it falls back by itself: the guest's input has no signal; raise delay, or "
			"see that the guest's cable is in input %d",
			switcher->display->guest_input);
}

/* Return: 0 to look on, 1 it is somebody else's now, else -errno */
static int look_after(struct switcher *switcher, size_t index, int host, struct after *after)
{
	unsigned int bus = switcher->buses.buses[index].number;
	struct rival rival;
	struct probe probe;
	int r = switcher_ask(switcher, index, &probe);

	if (r < 0)
		return r;
	after->heard |= probe_is_heard(&probe);
	after->deaf = probe_is_deaf(&probe);
	after->error = probe.input_error;
	after->fallen = probe.input_error == 0 && probe.input == host;
	if (probe.input_error < 0 || probe.input == switcher->display->guest_input)
		return 0;
	/* Neither ours nor the host's: another guest's, or the user's */
	if (!after->fallen)
		return 1;
	r = rival_find(switcher->ctx, bus, switcher->ctx->claim.owner.start_time, &rival);
	if (r < 0 || (r > 0 && rival.later))
		return r < 0 ? r : 1;
	if (after->again == SWITCH_AGAIN || deadline_left(switcher->deadline) == 0)
		return 0;
	after->again++;
	after->settled = deadline_in(SETTLE_MS);
	switcher_report(switcher, LOG_INFO, "it has fallen back to input %d: switched again", host);
	return switcher_write(switcher, bus);
}

static int time_left(const struct switcher *switcher, const struct after *after)
{
	int left = deadline_left(switcher->deadline), settling = deadline_left(after->settled);

	return left > settling ? left : settling;
}

void aftermath(struct switcher *switcher, size_t index, int host)
{
	struct after after = { .settled = deadline_in(SETTLE_MS) };
	int left;

	while ((left = time_left(switcher, &after)) > 0) {
		if (switcher_wait(switcher, left < WATCH_GAP_MS ? left : WATCH_GAP_MS) < 0 ||
		    look_after(switcher, index, host, &after) != 0)
			return;
	}
	describe(switcher, switcher->buses.buses[index].number, &after);
}
