/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/bench/empty.c - the least a static program can be: what starting a process costs */
int main(void)
{
	return 0;
}
