/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/seat/main.c - usher-seat: the GPU the host shows its own screen on */
#include "seat.h"

static const struct helper seat = {
	.name = "seat",
	.help = "look after the GPU that the host shows its own screen on",
	.apply_timeout_ms = 15000,
	.undo_timeout_ms = 30000,
	/* Who was left behind in the kernel becomes usher recover, which needs what the helpers need */
	.caps = CAPS_ALL,
	.apply = seat_apply,
	.undo = seat_undo,
	.check = seat_check,
};

int main(int argc, char **argv)
{
	return helper_main(argc, argv, &seat);
}
