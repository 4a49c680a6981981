/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/nosleep/main.c - usher-nosleep: the host stays awake while the guest runs */
#include "nosleep.h"

int main(int argc, char **argv)
{
	return helper_main(argc, argv, &nosleep_helper);
}
