/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test/bench/race.c - start-to-exit time of several commands, round about, as ratios
 *
 *	race ROUNDS INPUT COMMAND... [-- COMMAND...]...
 *
 * Every round runs each command once with INPUT on its stdin, so that whatever disturbs the machine
 * disturbs all of them. Prints the median of each and its ratio to the first's. What a command
 * prints is dropped; one that fails has not done what was to be measured, and ends the race.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/cleanup.h"

#define COMMANDS_MAX 16

struct racer {
	char **argv;
	double *times_us;
	long peak_kib;
};

static double now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void run_once(struct racer *racer, int round, const char *input)
{
	char *const env[] = { NULL };
	posix_spawn_file_actions_t actions;
	struct rusage usage;
	double start = now_us();
	pid_t pid;
	int r;

	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0);
	(void)posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	r = posix_spawn(&pid, racer->argv[0], &actions, NULL, racer->argv, env);
	if (r != 0) {
		(void)fprintf(stderr, "race: %s: %s\n", racer->argv[0], strerror(r));
		exit(1);
	}
	if (wait4(pid, &r, 0, &usage) != pid || !WIFEXITED(r) || WEXITSTATUS(r) != 0) {
		(void)fprintf(stderr, "race: %s: failed, wait status %#x\n", racer->argv[0],
			      (unsigned int)r);
		exit(1);
	}
	racer->times_us[round] = now_us() - start;
	racer->peak_kib = usage.ru_maxrss > racer->peak_kib ? usage.ru_maxrss : racer->peak_kib;
	(void)posix_spawn_file_actions_destroy(&actions);
}

static size_t split(int argc, char **argv, struct racer *racers, int rounds)
{
	size_t nr = 0;

	for (int i = 0; i < argc && nr < COMMANDS_MAX; i++) {
		racers[nr].argv = argv + i;
		racers[nr++].times_us = calloc((size_t)rounds, sizeof(double));
		while (i < argc && strcmp(argv[i], "--") != 0)
			i++;
		if (i < argc)
			argv[i] = NULL;
	}
	return nr;
}

int main(int argc, char **argv)
{
	struct racer racers[COMMANDS_MAX] = { 0 };
	int rounds = argc > 3 ? atoi(argv[1]) : 0;
	double first = 0;
	size_t nr;

	if (rounds < 1)
		return 64;
	nr = split(argc - 3, argv + 3, racers, rounds);
	for (int round = 0; round < rounds; round++)
		for (size_t i = 0; i < nr; i++)
			run_once(&racers[i], round, argv[2]);
	for (size_t i = 0; i < nr; i++) {
		double median;

		qsort(racers[i].times_us, (size_t)rounds, sizeof(double), by_size);
		median = racers[i].times_us[rounds / 2];
		first = i == 0 ? median : first;
		(void)printf("%6.2fx %8.0f us %6ld KiB  %s\n", median / first, median,
			     racers[i].peak_kib, racers[i].argv[0]);
		free(racers[i].times_us);
	}
	return 0;
}
