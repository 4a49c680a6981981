/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/main.c - usher-display: monitors that follow the guest */
#include "display.h"

int main(int argc, char **argv)
{
	return helper_main(argc, argv, &display_helper);
}
