/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/fake/i2c.c - monitors on I2C buses: EDID at 0x50, DDC/CI at 0x37 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../../lib/text.h"
#include "../../lib/units.h"
#include "fake.h"

/*
 * How it works
 *
 * .fake/monitors/BUS/cable	the monitor's input (VCP 0x60) that this bus's cable goes to
 * .fake/monitors/BUS/monitor	symlink to the monitor's directory, in which are
 *	edid		hexadecimal, blanks between
 *	input		the input it shows, decimal
 *	capabilities	its capabilities string
 *	character	lines of: slow MS | nak TIMES | garbled | deaf | source ADDRESS
 *
 * deaf: answers DDC/CI only on the cable of the input it shows. garbled: wrong checksums.
 * nak: the first TIMES transfers are not acknowledged. source: the only source address it obeys.
 */

#define MONITORS  ".fake/monitors"
#define EDID_ADDR 0x50
#define DDC_ADDR  0x37
#define BUSES_MAX 64
#define VCP_INPUT 0x60
#define REPLY_MAX 40
#define FRAGMENT  32

/* What a bus was last asked, per descriptor: transfers come in pairs */
static struct bus {
	unsigned int edid_offset;
	uint8_t reply[REPLY_MAX];
	size_t reply_len;
} buses[BUSES_MAX];

/* "BUS/monitor/NAME" of the bus an fd stands for. Return: 0, -ENXIO when nobody is there */
static int bus_file(int fd, const char *name, char *buf, size_t size)
{
	char dir[PATH_MAX];

	if (fd < 0 || fd >= BUSES_MAX || fake_path_of(fd, dir, sizeof(dir)) < 0 ||
	    strncmp(dir, MONITORS "/", strlen(MONITORS "/")) != 0)
		return -ENXIO;
	return path_format(buf, size, "%s/%s", dir, name);
}

static unsigned int bus_num(int fd, const char *name)
{
	char path[PATH_MAX];

	return bus_file(fd, name, path, sizeof(path)) < 0 ? 0 : (unsigned int)tree_num(path);
}

/* @ret_arg: the number behind the word, 0 when there is none */
static bool has_character(int fd, const char *word, unsigned int *ret_arg)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	char path[PATH_MAX], text[ATTR_MAX];

	*ret_arg = 0;
	if (bus_file(fd, "monitor/character", path, sizeof(path)) < 0 ||
	    tree_get(path, text, sizeof(text)) < 0 || text_split(text, " \n", &words) < 0)
		return false;
	for (size_t i = 0; i < words.nr; i++) {
		if (strcmp(words.names[i], word) != 0)
			continue;
		if (i + 1 < words.nr)
			(void)!parse_uint(words.names[i + 1], 10, UINT_MAX, ret_arg);
		return true;
	}
	return false;
}

static bool still_naks(int fd)
{
	unsigned int times, done;
	char path[PATH_MAX];

	if (!has_character(fd, "nak", &times) ||
	    bus_file(fd, "monitor/naks", path, sizeof(path)) < 0)
		return false;
	done = (unsigned int)tree_num(path);
	if (done >= times)
		return false;
	(void)tree_put_num(path, done + 1ULL);
	return true;
}

static void be_slow(int fd)
{
	unsigned int ms;
	struct timespec ts;

	if (!has_character(fd, "slow", &ms))
		return;
	ts = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
	(void)nanosleep(&ts, NULL);
}

/* Does the monitor acknowledge its address. Return: 0, -ENXIO */
static int acknowledge(int fd, unsigned int addr)
{
	char path[PATH_MAX];
	unsigned int unused;

	if (bus_file(fd, "monitor/edid", path, sizeof(path)) < 0 || !tree_has(path))
		return -ENXIO;
	if (addr == EDID_ADDR)
		return 0;
	if (addr != DDC_ADDR)
		return -ENXIO;
	be_slow(fd);
	if (still_naks(fd))
		return -ENXIO;
	if (has_character(fd, "deaf", &unused) &&
	    bus_num(fd, "cable") != bus_num(fd, "monitor/input"))
		return -ENXIO;
	return 0;
}

/* --- EDID -------------------------------------------------------------------------------------- */

static int edid_read(int fd, uint8_t *data, size_t len)
{
	_cleanup_strlist_ struct strlist bytes = { 0 };
	char path[PATH_MAX], text[ATTR_MAX];
	unsigned int byte;

	if (bus_file(fd, "monitor/edid", path, sizeof(path)) < 0 ||
	    tree_get(path, text, sizeof(text)) < 0 || text_split(text, " \n", &bytes) < 0)
		return -ENXIO;
	for (size_t i = 0; i < len; i++) {
		size_t at = (buses[fd].edid_offset + i) % 256;

		data[i] = 0xff;
		if (at < bytes.nr && parse_uint(bytes.names[at], 16, 255, &byte) == 0)
			data[i] = (uint8_t)byte;
	}
	return 0;
}

/* --- DDC/CI ------------------------------------------------------------------------------------ */

static uint8_t checksum(uint8_t seed, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		seed ^= data[i];
	return seed;
}

static void reply(int fd, const uint8_t *body, size_t len)
{
	struct bus *bus = &buses[fd];
	unsigned int unused;

	bus->reply[0] = 0x6e;
	bus->reply[1] = (uint8_t)(0x80 | len);
	memcpy(bus->reply + 2, body, len);
	bus->reply[2 + len] = checksum(0x50, bus->reply, 2 + len);
	if (has_character(fd, "garbled", &unused))
		bus->reply[2 + len] ^= 0xff;
	bus->reply_len = 3 + len;
}

static int do_set_input(const struct fake_effect *effect, const char *value)
{
	return tree_put(effect->arg, value);
}

/* The monitor acknowledges also what it does not obey */
static int set_feature(int fd, uint8_t feature, unsigned int value)
{
	char path[PATH_MAX], name[64], old[32], new[32], bus[PATH_MAX];
	const struct fake_effect effect = { .verb = "i2c",
					    .path = name,
					    .old_value = old,
					    .new_value = new,
					    .run = do_set_input,
					    .arg = path };

	if (feature != VCP_INPUT)
		return 0;
	if (bus_file(fd, "monitor/input", path, sizeof(path)) < 0 ||
	    fake_path_of(fd, bus, sizeof(bus)) < 0)
		return -ENXIO;
	tree_path(name, "dev/i2c-%.32s/input", strrchr(bus, '/') + 1);
	tree_path(new, "%u", value);
	(void)!tree_get(path, old, sizeof(old));
	return fake_effect(&effect);
}

static int get_feature(int fd, uint8_t feature)
{
	unsigned int input = bus_num(fd, "monitor/input");
	const uint8_t body[] = {
		0x02, feature != VCP_INPUT,  feature,	     0, 0,
		0xff, (uint8_t)(input >> 8), (uint8_t)input,
	};

	reply(fd, body, sizeof(body));
	return 0;
}

static int get_capabilities(int fd, unsigned int offset)
{
	char path[PATH_MAX], text[ATTR_MAX];
	uint8_t body[3 + FRAGMENT] = { 0xe3, (uint8_t)(offset >> 8), (uint8_t)offset };
	size_t len;
	int r;

	r = bus_file(fd, "monitor/capabilities", path, sizeof(path));
	if (r < 0)
		return r;
	r = tree_get(path, text, sizeof(text));
	len = r < 0 || (unsigned int)r < offset ? 0 : (size_t)r - offset;
	if (len > FRAGMENT)
		len = FRAGMENT;
	memcpy(body + 3, text + offset, len);
	reply(fd, body, 3 + len);
	return 0;
}

/* SOURCE LENGTH|0x80 OPCODE ... CHECKSUM: what is no such message is not answered */
static int command(int fd, const uint8_t *data, size_t len)
{
	unsigned int source = 0x51, wanted;

	buses[fd].reply_len = 0;
	if (has_character(fd, "source", &wanted))
		source = wanted;
	if (len < 4 || data[0] != source || data[1] != (0x80 | (len - 3)) ||
	    data[len - 1] != checksum(0x6e, data, len - 1))
		return 0;
	if (data[2] == 0x03 && len == 7)
		return set_feature(fd, data[3], (unsigned int)data[4] << 8 | data[5]);
	if (data[2] == 0x01 && len == 5)
		return get_feature(fd, data[3]);
	if (data[2] == 0xf3 && len == 6)
		return get_capabilities(fd, (unsigned int)data[3] << 8 | data[4]);
	return 0;
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_i2c_open(int rootfd, unsigned int bus);
int __wrap_i2c_write_at(int fd, unsigned int addr, const uint8_t *data, size_t len);
int __wrap_i2c_read_at(int fd, unsigned int addr, uint8_t *data, size_t len);

/* The node must be there; a bus with nobody on it opens all the same */
int __wrap_i2c_open(int rootfd, unsigned int bus)
{
	char node[64], monitor[64];
	int fd, r;

	tree_path(node, "dev/i2c-%u", bus);
	tree_path(monitor, MONITORS "/%u", bus);
	r = fake_read_fault(node);
	if (r < 0)
		return r;
	fd = __real_attr_open(rootfd, node, O_RDONLY);
	if (fd < 0 || !tree_is_dir(monitor))
		return fd;
	(void)close(fd);
	fd = __real_attr_open(rootfd, monitor, O_RDONLY | O_DIRECTORY);
	if (fd >= 0 && fd < BUSES_MAX)
		buses[fd] = (struct bus){ 0 };
	return fd;
}

static int transfer_fault(int fd)
{
	char path[PATH_MAX];

	return fake_path_of(fd, path, sizeof(path)) < 0 ? -ENXIO : fake_read_fault(path);
}

int __wrap_i2c_write_at(int fd, unsigned int addr, const uint8_t *data, size_t len)
{
	int r = transfer_fault(fd);

	if (r == 0)
		r = acknowledge(fd, addr);
	if (r < 0)
		return r;
	if (addr == DDC_ADDR)
		return command(fd, data, len);
	buses[fd].edid_offset = len ? data[0] : 0;
	return 0;
}

/* Without an answer the monitor sends a null message: 6e 80 be */
int __wrap_i2c_read_at(int fd, unsigned int addr, uint8_t *data, size_t len)
{
	static const uint8_t null_message[] = { 0x6e, 0x80, 0xbe };
	struct bus *bus;
	int r = transfer_fault(fd);

	if (r == 0)
		r = acknowledge(fd, addr);
	if (r < 0)
		return r;
	if (addr == EDID_ADDR)
		return edid_read(fd, data, len);
	bus = &buses[fd];
	if (!bus->reply_len) {
		memcpy(bus->reply, null_message, sizeof(null_message));
		bus->reply_len = sizeof(null_message);
	}
	for (size_t i = 0; i < len; i++)
		data[i] = i < bus->reply_len ? bus->reply[i] : 0;
	return 0;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
