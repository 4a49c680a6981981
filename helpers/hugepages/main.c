/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/hugepages/main.c - usher-hugepages: huge pages for a guest, and back */
#include "hugepages.h"

static const struct helper_command commands[] = {
	{ "settle", "CLAIM", "QEMU has its pages: let the kernel free them when it ends", true,
	  hugepages_settle },
	{ "show", "CLAIM", "needed, free and missing pages", true, hugepages_show },
};

static const struct helper hugepages = {
	.name = HUGEPAGES_SECTION,
	.help = "get the huge pages a guest needs and give them back",
	.apply_timeout_ms = 30000,
	.undo_timeout_ms = 10000,
	/* Whose memory is where, and to move it */
	.caps = CAPS_LOOK | CAP_BIT(CAP_SYS_NICE),
	.apply = hugepages_apply,
	.undo = hugepages_undo,
	.check = hugepages_check,
	.commands = commands,
	.nr_commands = ARRAY_SIZE(commands),
};

int main(int argc, char **argv)
{
	return helper_main(argc, argv, &hugepages);
}
