/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/guest.h - a guest as libvirt has it, and what usher would claim for it */
#pragma once

#include "../../lib/claim.h"
#include "../../lib/pcidev.h"
#include "../../lib/text.h"
#include "usher.h"

struct guest {
	char *name;
	char *xml;
	size_t xml_len; /* with the NUL bytes of a file that is no XML */
	bool autostart;
};

void guest_free(struct guest *guest);
#define _cleanup_guest_ _cleanup_(guest_free)

/**
 * guest_get() - from --xml FILE without libvirt, else from the daemon, read only
 * @request:	has an XML, or a guest
 * @ret:	the XML is that of the next start; the name is the XML's own
 *
 * Return: 0, else -errno, with the reason said on stderr
 */
int guest_get(const struct request *request, struct guest *ret) _must_check_;

/**
 * guest_autostarted() - XMLs of the guests libvirt starts with the host; none without a daemon
 *
 * Return: 0, -ETIMEDOUT libvirt does not answer, -ENOMEM, else -errno of fork(2)
 */
int guest_autostarted(struct strlist *ret) _must_check_;

/**
 * guest_devices() - the host's PCI devices that libvirt passes by this XML, whatever a policy says
 * @ret:	they are added, none twice
 *
 * Return: 0, -ENOMEM
 */
int guest_devices(const char *xml, struct pciaddr_list *ret) _must_check_;

#define GUEST_NO_POLICY "has no policy"

struct guest_ask {
	const char *policy; /* instead of the guest's own file; NULL: that */
	const char *beside; /* a claim's file, instead of all that are held; NULL: those */
	char **why;  /* set to the line a start would be refused with; NULL: say it on stderr */
	char **none; /* set to why usher does nothing for the guest: GUEST_NO_POLICY, or "has
			     * enabled = no (FILE:LINE)"; NULL: not wanted */
};

/* As @policy: the defaults. As @beside: no other guest holds anything */
#define GUEST_ASK_EMPTY "/dev/null"

/**
 * guest_claim() - what the hook would claim for the guest now
 *
 * Return: 0, 1 usher does nothing for the guest, -EINVAL refused, else -errno (said)
 */
int guest_claim(const struct request *request, const struct guest *guest,
		const struct guest_ask *ask, struct claim *ret) _must_check_;
