/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/monitor.c - who is on which bus, asked side by side */
#include "monitor.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "../../lib/deadline.h"
#include "../../lib/watch.h"
#include "ddc.h"
#include "fanout.h"
#include "i2c.h"

/* Monitors that sleep, or are busy with their menu, do not acknowledge at once */
#define TRIES	   5
#define TRY_GAP_MS 10
/* For the other buses, when a monitor has been found: five times an EDID's normal time */
#define GRACE_MS 100
/* Between attempts to switch, doubled each time */
#define SET_GAP_MIN_MS 50
#define SET_GAP_MAX_MS 1000

int probe_is_heard(const struct probe *probe)
{
	return probe->input_error == 0 || probe->input_error == -ENOMSG ||
	       probe->input_error == -EBADMSG || probe->input_error == -EOPNOTSUPP;
}

/* ABI: Documentation/i2c/fault-codes.rst: -ENXIO; -EREMOTEIO and -EIO of many older drivers */
int probe_is_deaf(const struct probe *probe)
{
	return probe->input_error == -ENXIO || probe->input_error == -EREMOTEIO ||
	       probe->input_error == -EIO;
}

struct question {
	unsigned int bus;
	struct probe_ask ask;
};

/* No other answer is to be expected the next time */
static bool is_final(int error)
{
	return error == -EBUSY || error == -EACCES || error == -EPERM || error == -EOPNOTSUPP;
}

static void pause_ms(int ms)
{
	(void)poll(NULL, 0, ms);
}

static int ask_edid(int fd, struct edid *ret)
{
	int r = edid_read(fd, ret);

	for (int i = 1; r < 0 && !is_final(r) && i < TRIES; i++) {
		pause_ms(TRY_GAP_MS);
		r = edid_read(fd, ret);
	}
	return r;
}

static int ask_input(int fd, uint8_t source_address, uint8_t *ret)
{
	struct ddc_value value;
	int r = ddc_get(fd, source_address, DDC_INPUT_SOURCE, &value);

	for (int i = 1; r < 0 && !is_final(r) && i < TRIES; i++) {
		pause_ms(TRY_GAP_MS);
		r = ddc_get(fd, source_address, DDC_INPUT_SOURCE, &value);
	}
	if (r < 0)
		return r;
	/* ABI: MCCS 2.2: the high byte of a simple feature means nothing */
	*ret = (uint8_t)value.current;
	return 0;
}

static void ask_offers(int fd, uint8_t source_address, struct caps_inputs *ret)
{
	char text[DDC_CAPS_MAX];
	int len = ddc_get_caps(fd, source_address, text);

	if (len < 0 || caps_parse_inputs(text, (size_t)len, ret) < 0)
		ret->nr = 0;
}

/* Runs in a process of its own: see fanout.h */
static void ask_bus(int rootfd, const void *arg, void *result)
{
	const struct question *question = arg;
	struct probe *probe = result;
	_cleanup_close_ int fd = i2c_open(rootfd, question->bus);

	if (fd < 0) {
		probe->error = probe->input_error = fd;
		return;
	}
	if (question->ask.edid)
		probe->error = ask_edid(fd, &probe->edid);
	/* No EDID, nobody there */
	if (probe->error < 0)
		probe->input_error = probe->error;
	else if (question->ask.input)
		probe->input_error = ask_input(fd, question->ask.source_address, &probe->input);
	if (question->ask.offers && probe_is_heard(probe))
		ask_offers(fd, question->ask.source_address, &probe->offers);
}

static void take_answer(const struct question *question, const struct probe *answer,
			struct probe *probe)
{
	if (question->ask.edid) {
		probe->error = answer->error;
		probe->edid = answer->edid;
	}
	if (question->ask.input) {
		probe->input_error = answer->input_error;
		probe->input = answer->input;
		probe->offers = answer->offers;
	}
}

/* One bus's question, and its answer */
struct dialogue {
	struct question question;
	struct probe answer;
	size_t index;
};

static size_t dialogues_begin(const struct bus_list *list, const struct probe_ask *asks,
			      struct dialogue *dialogues, struct fanout_job *jobs)
{
	size_t nr = 0;

	for (size_t i = 0; i < list->nr; i++) {
		if (list->buses[i].hung || (!asks[i].edid && !asks[i].input))
			continue;
		dialogues[nr] = (struct dialogue){
			.question = { .bus = list->buses[i].number, .ask = asks[i] }, .index = i
		};
		jobs[nr] = (struct fanout_job){ .arg = &dialogues[nr].question,
						.result = &dialogues[nr].answer };
		nr++;
	}
	return nr;
}

static int ask_with(const struct fanout *fanout, struct bus_list *list,
		    const struct probe_ask *asks, int timeout_ms, struct probe *probes)
{
	_cleanup_free_ struct dialogue *dialogues = calloc(list->nr + 1, sizeof(*dialogues));
	_cleanup_free_ struct fanout_job *jobs = calloc(list->nr + 1, sizeof(*jobs));
	size_t nr;

	if (!dialogues || !jobs)
		return -ENOMEM;
	nr = dialogues_begin(list, asks, dialogues, jobs);
	fanout_run(fanout, jobs, nr, timeout_ms);
	for (size_t i = 0; i < nr; i++) {
		struct dialogue *dialogue = &dialogues[i];

		if (jobs[i].error < 0)
			dialogue->answer.error = dialogue->answer.input_error = jobs[i].error;
		list->buses[dialogue->index].hung = jobs[i].error == -ETIMEDOUT;
		take_answer(&dialogue->question, &dialogue->answer, &probes[dialogue->index]);
	}
	return 0;
}

static struct fanout fanout_for(int rootfd)
{
	return (struct fanout){ .arg_size = sizeof(struct question),
				.size = sizeof(struct probe),
				.rootfd = rootfd,
				.work = ask_bus };
}

int monitors_ask(int rootfd, struct bus_list *list, const struct probe_ask *asks, int timeout_ms,
		 struct probe *probes)
{
	const struct fanout fanout = fanout_for(rootfd);

	return ask_with(&fanout, list, asks, timeout_ms, probes);
}

static int identify(const struct fanout *fanout, struct bus_list *list, bool ask, int timeout_ms,
		    struct probe **ret)
{
	_cleanup_free_ struct probe_ask *asks = calloc(list->nr + 1, sizeof(*asks));
	_cleanup_free_ struct probe *probes = calloc(list->nr + 1, sizeof(*probes));
	int r;

	if (!asks || !probes)
		return -ENOMEM;
	for (size_t i = 0; i < list->nr; i++) {
		asks[i].edid = ask;
		/* As it stays for a bus that hangs, and is not asked */
		probes[i] = (struct probe){ .error = -ETIMEDOUT, .input_error = -ENODATA };
	}
	r = ask_with(fanout, list, asks, timeout_ms, probes);
	if (r == 0)
		*ret = TAKE_PTR(probes);
	return r;
}

int monitors_identify(int rootfd, struct bus_list *list, int timeout_ms, struct probe **ret)
{
	const struct fanout fanout = fanout_for(rootfd);

	return identify(&fanout, list, true, timeout_ms, ret);
}

static bool is_found(const struct fanout_job *jobs, size_t nr, const void *arg)
{
	const char *monitor = arg;

	for (size_t i = 0; i < nr; i++) {
		const struct probe *probe = jobs[i].result;

		if (jobs[i].error == 0 && probe->error == 0 && edid_matches(&probe->edid, monitor))
			return true;
	}
	return false;
}

/* "DEL:a0c4:JK9X" */
static bool has_serial(const char *monitor)
{
	const char *colon = strchr(monitor, ':');

	return colon && strchr(colon + 1, ':');
}

int monitors_look_for(int rootfd, struct bus_list *list, const char *monitor, bool here,
		      int timeout_ms, struct probe **ret)
{
	const struct fanout_patience patience = { .enough = is_found,
						  .arg = monitor,
						  .grace_ms = GRACE_MS };
	struct fanout fanout = fanout_for(rootfd);

	fanout.here = here;
	if (has_serial(monitor))
		fanout.patience = &patience;
	return identify(&fanout, list, !monitor_is_connector(monitor), timeout_ms, ret);
}

int monitor_is_connector(const char *monitor)
{
	return strncmp(monitor, "card", 4) == 0 && isdigit((unsigned char)monitor[4]) &&
	       strchr(monitor, '-') != NULL;
}

int monitor_valid(const char *monitor)
{
	size_t i;

	if (monitor_is_connector(monitor))
		return 1;
	for (i = 0; i < 3; i++)
		if (!isalpha((unsigned char)monitor[i]) && monitor[i] != '?')
			return 0;
	if (monitor[i] == '\0')
		return 1;
	if (monitor[i++] != ':')
		return 0;
	for (size_t end = i + 4; i < end; i++)
		if (!isxdigit((unsigned char)monitor[i]))
			return 0;
	return monitor[i] == '\0' || (monitor[i] == ':' && monitor[i + 1]);
}

int monitor_is_on(const struct bus *bus, const struct probe *probe, const char *monitor)
{
	if (monitor_is_connector(monitor))
		return strcmp(bus->connector, monitor) == 0;
	return probe->error == 0 && edid_matches(&probe->edid, monitor);
}

int monitor_find(const struct bus_list *list, const struct probe *probes, const char *monitor)
{
	int found = -ENOENT;

	for (size_t i = 0; i < list->nr; i++) {
		if (!monitor_is_on(&list->buses[i], &probes[i], monitor))
			continue;
		if (found >= 0)
			return -ENOTUNIQ;
		found = (int)i;
	}
	return found;
}

/* Return: 0, -ECANCELED when @qemu has ended meanwhile */
static int wait_for_retry(int qemu, int ms)
{
	if (qemu >= 0)
		return watch_wait(qemu, ms) == 0 ? 0 : -ECANCELED;
	pause_ms(ms);
	return 0;
}

int monitor_set_input(int rootfd, unsigned int bus, uint8_t source_address, uint8_t input,
		      long long deadline, int qemu)
{
	_cleanup_close_ int fd = i2c_open(rootfd, bus);
	int gap = SET_GAP_MIN_MS, left, r;

	if (fd < 0)
		return fd;
	while ((r = ddc_set(fd, source_address, DDC_INPUT_SOURCE, input)) < 0 && !is_final(r)) {
		left = deadline_left(deadline);
		if (left == 0 || wait_for_retry(qemu, left < gap ? left : gap) < 0)
			return left == 0 ? r : -ECANCELED;
		gap = gap * 2 < SET_GAP_MAX_MS ? gap * 2 : SET_GAP_MAX_MS;
	}
	return r;
}
