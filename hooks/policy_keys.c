/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hooks/policy_keys.c - every key a policy can have: one row each
 *
 * conf.d/example.ini and conf.d/usher.ini are tested against this table, both ways.
 */

#include "policy.h"

#define STEPS	 "hugepages vfio seat cpuset display nosleep"
#define INHIBITS                                                                                   \
	"sleep idle shutdown handle-lid-switch handle-power-key handle-suspend-key "               \
	"handle-hibernate-key"

const struct policy_key policy_keys[] = {
	{ .section = "guest", .key = "enabled", .type = POLICY_BOOL, .dflt = "yes",
	  .unit = "yes or no",
	  .help = "whether usher does anything for this guest" },
	{ .section = "guest", .key = "uuid", .type = POLICY_UUID, .dflt = "auto", .unit = "UUID",
	  .help = "refuse a guest of this name that has another UUID; auto: any",
	  .guest_only = true },
	{ .section = "guest", .key = "required", .type = POLICY_WORDS, .words = STEPS,
	  .dflt = "hugepages vfio seat", .unit = "some of " STEPS ", or none",
	  .help = "steps whose failure refuses the start; any other failure is a warning" },

	{ .section = "vfio", .key = "devices", .type = POLICY_DEVICES, .dflt = "auto",
	  .unit = "PCI addresses, or none",
	  .help = "host devices to hand over; auto: those in the guest's XML" },
	{ .section = "vfio", .key = "expect", .type = POLICY_EXPECT, .dflt = "auto",
	  .unit = "list of ADDRESS=VENDOR:DEVICE, for NVMe ADDRESS=VENDOR:DEVICE/SERIAL",
	  .help = "refuse the start when another device is at the address; auto: any device" },
	{ .section = "vfio", .key = "driver", .type = POLICY_NAME, .dflt = "vfio-pci",
	  .unit = "kernel module", .help = "driver that the devices are handed to" },
	{ .section = "vfio", .key = "timeout", .type = POLICY_TIMEOUT, .dflt = "10s",
	  .unit = "seconds", .help = "longest time for the devices to change drivers" },

	{ .section = "hugepages", .key = "pages", .type = POLICY_WORD, .words = "none",
	  .dflt = "auto", .unit = "auto or none",
	  .help = "auto: what the guest's XML needs is there at start; none: leave the pool" },
	{ .section = "hugepages", .key = "compact", .type = POLICY_BOOL, .dflt = "yes",
	  .unit = "yes or no", .help = "compact memory when pages are missing" },
	{ .section = "hugepages", .key = "timeout", .type = POLICY_TIMEOUT, .dflt = "30s",
	  .unit = "seconds", .help = "longest time to look for pages" },

	{ .section = "cpuset", .key = "isolate", .type = POLICY_WORD, .words = "yes no",
	  .dflt = "auto", .unit = "yes or no",
	  .help = "keep everything else off the vCPUs' CPUs; auto: when vCPUs are pinned" },
	{ .section = "cpuset", .key = "method", .type = POLICY_WORD,
	  .words = "partition slices plain", .dflt = "auto", .unit = "partition, slices or plain",
	  .help = "how; auto: the best that the kernel has" },
	{ .section = "cpuset", .key = "timeout", .type = POLICY_TIMEOUT, .dflt = "2s",
	  .unit = "seconds", .help = "longest time to isolate the CPUs" },

	{ .section = "display", .key = "monitor", .type = POLICY_MONITOR, .dflt = "none",
	  .unit = "MFG:PRODUCT:SERIAL, MFG:PRODUCT or a connector like card0-DP-1",
	  .help = "monitor that shows the guest, as usher-display list prints it", .own = true },
	{ .section = "display", .key = "guest_input", .type = POLICY_INPUT, .dflt = "auto",
	  .unit = "dp1 dp2 hdmi1 hdmi2 usb-c dvi1 dvi2 vga1 vga2, or 0 to 255",
	  .help = "its input that the guest's GPU is wired to; needed with a monitor",
	  .own = true },
	{ .section = "display", .key = "host_input", .type = POLICY_INPUT, .dflt = "auto",
	  .unit = "as guest_input",
	  .help = "its input that the host's GPU is wired to; auto: what it shows at start",
	  .own = true },
	{ .section = "display", .key = "source_address", .type = POLICY_I2C_ADDRESS,
	  .dflt = "0x51", .unit = "I2C address",
	  .help = "address the monitor takes commands from; some makers want 0x50" },
	{ .section = "display", .key = "delay", .type = POLICY_DURATION, .dflt = "2s",
	  .unit = "seconds", .help = "time from the guest's start to the switch" },
	{ .section = "display", .key = "timeout", .type = POLICY_TIMEOUT, .dflt = "15s",
	  .unit = "seconds", .help = "longest time to try to switch" },

	{ .section = "nosleep", .key = "inhibit", .type = POLICY_WORDS, .words = INHIBITS,
	  .dflt = "sleep",
	  .unit = "some of sleep idle shutdown handle-lid-switch "
		  "handle-{power,suspend,hibernate}-key, or none",
	  .help = "what the host must not do while the guest runs" },
	{ .section = "nosleep", .key = "mode", .type = POLICY_WORD, .words = "block delay",
	  .dflt = "block", .unit = "block or delay",
	  .help = "block: not at all; delay: a few seconds later" },

	{ .section = "seat", .key = "release", .type = POLICY_WORD, .words = "yes no",
	  .dflt = "auto", .unit = "yes or no",
	  .help = "end the host's desktop when a device of the guest shows it; no: refuse the start" },
};
const size_t policy_nr_keys = ARRAY_SIZE(policy_keys);
