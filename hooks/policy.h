/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hooks/policy.h - what the admin wants: etc/usher/usher.ini and etc/usher/conf.d/GUEST.ini */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "../lib/cleanup.h"
#include "../lib/ini.h"
#include "../lib/pciaddr.h"
#include "../lib/pcidev.h"
#include "../lib/text.h"

#define POLICY_HOST_FILE "etc/usher/usher.ini"
#define POLICY_GUEST_DIR "etc/usher/conf.d"

/* The most a file may set */
#define POLICY_KEYS_MAX	   4096
#define POLICY_TIMEOUT_MAX (10 * 60 * 1000)

/* 1 TiB: as many KiB fit into an int */
#define POLICY_SIZE_MAX_KIB (1ULL << 30)

/*
 * How it works
 *
 * Every key is one row of policy_keys[]. A key that the guest's file has wins over the host's file;
 * one that neither has is "auto". "auto", written or not, means the row's default; written in
 * the guest's file it also takes back what usher.ini says. Where the default is "auto" itself, the
 * planner derives the value from the domain XML.
 *
 * A guest has a monitor for [display] and for each [display NAME] that names one. A named section
 * takes what it lacks (not the monitor and its inputs) from [display].
 */

enum policy_type {
	POLICY_BOOL,	 /* yes no */
	POLICY_WORD,	 /* one of words */
	POLICY_WORDS,	 /* some of words, or "none"; blanks, commas or colons between */
	POLICY_DURATION, /* "1500ms", "2s"; a bare number is seconds; up to POLICY_TIMEOUT_MAX */
	POLICY_TIMEOUT,	 /* a duration over 0 */
	POLICY_NAME,	 /* a kernel module's name */
	POLICY_UUID,
	POLICY_DEVICES,	    /* PCI addresses, or "none"; blanks or commas between */
	POLICY_EXPECT,	    /* ADDR=VENDOR:DEVICE[/SERIAL]; blanks or commas between */
	POLICY_MONITOR,	    /* MFG:PRODUCT[:SERIAL] or a connector; "none" */
	POLICY_INPUT,	    /* an input's name or its VCP 0x60 value */
	POLICY_I2C_ADDRESS, /* 0x00 to 0xff */
	POLICY_SIZE,	    /* "512M", "2 GiB"; a bare number is KiB; up to POLICY_SIZE_MAX_KIB */
	POLICY_BARS,	    /* BAR:SIZE; blanks or commas between */
	POLICY_LATENCY,	    /* microseconds up to a second; "none" */
	POLICY_SCHED,	    /* a scheduling class as sched_parse(); "none" */
	POLICY_NR_TYPES,
};

struct policy_key {
	const char *section;
	const char *key;
	const char *words; /* POLICY_WORD(S): blank-separated; else NULL */
	const char *dflt;  /* what auto means; "auto": derived from the domain */
	const char *unit;  /* what a value is, for people: "seconds", "yes or no" */
	const char *help;  /* one line */
	enum policy_type type;
	bool guest_only;   /* makes no sense for all guests: refused in usher.ini */
	bool auto_is_word; /* "auto" is a value like another, and not what a missing line means */
	bool own;	   /* [display NAME] does not take it from [display] */
};

extern const struct policy_key policy_keys[];
extern const size_t policy_nr_keys;

struct policy {
	char *file; /* the guest's file as messages name it */
	struct inidoc guest;
	struct inidoc host; /* empty when there is no usher.ini */
};

void policy_free(struct policy *policy);
#define _cleanup_policy_ _cleanup_(policy_free)

/* One line without a newline, printable: "/etc/usher/conf.d/win11.ini:3: unknown key ..." */
struct policy_error {
	char what[2048];
};

/**
 * policy_load() - the policy of one guest, checked
 * @guest:	its name as libvirt gives it
 * @ret:	untouched unless 0 is returned
 *
 * Files, and the folders they are in, must be root's (below another root than "/" the effective
 * user's will do) and not writable by group or others; a symlink is resolved inside the root and its
 * target is what is checked.
 *
 * Return: 0, 1 when the guest has no policy ([guest] enabled = no; no file; a name that cannot be a
 * file's), -EBADMSG when a file is not as it must be, -EPERM when it could be somebody else's,
 * -ENOMEM, else -errno of open or read. @err is filled on every error, and for enabled = no with the
 * line that says so; it is "" without a file.
 */
int policy_load(int rootfd, const char *guest, struct policy *ret, struct policy_error *err)
	_must_check_;

/**
 * policy_load_file() - a draft in any place (usher plan --policy FILE) over the root's usher.ini
 *
 * The draft may be anybody's, and anything that can be read: /dev/null, /dev/stdin.
 *
 * Return: as policy_load(), but -ENOENT when there is no such file
 */
int policy_load_file(int rootfd, const char *file, struct policy *ret, struct policy_error *err)
	_must_check_;

/** policy_get() - the value, "auto" when the key is not set or unknown */
const char *policy_get(const struct policy *policy, const char *section, const char *key);

/**
 * policy_value() - the value, with the row's default for "auto" (which may be "auto" too)
 *
 * A key to which "auto" is a word has its default only when it is not set.
 */
const char *policy_value(const struct policy *policy, const char *section, const char *key);

/** policy_bool() - a yes/no key. Return: 1 or 0, -EINVAL when the value is "auto" */
int policy_bool(const struct policy *policy, const char *section, const char *key);

/** policy_ms() - a duration key. Return: milliseconds, -EINVAL when the value is "auto" */
int policy_ms(const struct policy *policy, const char *section, const char *key);

/** policy_kib() - a size key. Return: KiB, -EINVAL when the value is "auto" */
int policy_kib(const struct policy *policy, const char *section, const char *key);

/** policy_number() - an input or I2C address key. Return: 0 to 255, -EINVAL for "auto" */
int policy_number(const struct policy *policy, const char *section, const char *key);

/**
 * policy_words() - the words of a POLICY_WORDS key, none twice; empty for "none"
 *
 * Return: 0, -ENOMEM
 */
int policy_words(const struct policy *policy, const char *section, const char *key,
		 struct strlist *ret) _must_check_;

/**
 * policy_devices() - [vfio] devices, sorted, none twice
 *
 * Return: 0, 1 for "auto" (@ret is untouched), -ENOMEM
 */
int policy_devices(const struct policy *policy, struct pciaddr_list *ret) _must_check_;

struct policy_expect {
	struct pciaddr addr;
	struct pciid id;
	char *serial; /* NULL when none is expected */
};

struct policy_expects {
	struct policy_expect *expects;
	size_t nr;
};

void policy_expects_free(struct policy_expects *list);
#define _cleanup_policy_expects_ _cleanup_(policy_expects_free)

/**
 * policy_expects() - [vfio] expect, in the file's order
 *
 * Return: 0 (@ret is empty for "auto"), -ENOMEM
 */
int policy_expects(const struct policy *policy, struct policy_expects *ret) _must_check_;

/**
 * policy_displays() - the sections that name a monitor: "display", "display left"
 *
 * Return: 0, -ENOMEM
 */
int policy_displays(const struct policy *policy, struct strlist *ret) _must_check_;

/** policy_input() - VCP 0x60 value of an input's name or number. Return: 0 to 255, -EINVAL */
int policy_input(const char *text);

/**
 * policy_where() - "FILE:LINE" of the line that sets a key, for messages
 *
 * The guest's file alone when neither file sets it.
 */
void policy_where(const struct policy *policy, const char *section, const char *key, char *buf,
		  size_t size);
