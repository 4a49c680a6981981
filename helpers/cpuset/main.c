/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/cpuset/main.c - usher-cpuset */
#include "cpuset.h"

int main(int argc, char **argv)
{
	return helper_main(argc, argv, &cpuset_helper);
}
