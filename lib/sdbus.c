/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/sdbus.c - what lib/sysbus.c calls of libsystemd, loaded when it is first called */
#include <errno.h>
#include <stdarg.h>
#include <systemd/sd-bus.h>

#include "library.h"

static struct library libsystemd = { .sonames = { "libsystemd.so.0", NULL } };

/* A function of the same name, which finds the real one; without the library it fails */
#define FORWARD(type, name, params, args, failed)                                                  \
	type name params                                                                           \
	{                                                                                          \
		static __typeof__(name) *fn;                                                       \
                                                                                                   \
		if (!fn)                                                                           \
			fn = (__typeof__(name) *)library_symbol(&libsystemd, #name);               \
		return fn ? fn args : (failed);                                                    \
	}

/* The first that is called: whoever gets no bus calls nothing else */
FORWARD(int, sd_bus_open_system, (sd_bus * *ret), (ret), -EOPNOTSUPP)
FORWARD(sd_bus *, sd_bus_close_unref, (sd_bus * bus), (bus), NULL)
FORWARD(int, sd_bus_get_fd, (sd_bus * bus), (bus), -EOPNOTSUPP)
FORWARD(int, sd_bus_is_open, (sd_bus * bus), (bus), -EOPNOTSUPP)
FORWARD(int, sd_bus_process, (sd_bus * bus, sd_bus_message **ret), (bus, ret), -EOPNOTSUPP)
FORWARD(int, sd_bus_wait, (sd_bus * bus, uint64_t timeout_usec), (bus, timeout_usec), -EOPNOTSUPP)
FORWARD(int, sd_bus_call_async,
	(sd_bus * bus, sd_bus_slot **slot, sd_bus_message *m, sd_bus_message_handler_t callback,
	 void *userdata, uint64_t usec),
	(bus, slot, m, callback, userdata, usec), -EOPNOTSUPP)
FORWARD(int, sd_bus_match_signal_async,
	(sd_bus * bus, sd_bus_slot **ret, const char *sender, const char *path,
	 const char *interface, const char *member, sd_bus_message_handler_t match_callback,
	 sd_bus_message_handler_t add_callback, void *userdata),
	(bus, ret, sender, path, interface, member, match_callback, add_callback, userdata),
	-EOPNOTSUPP)
FORWARD(sd_bus_slot *, sd_bus_slot_unref, (sd_bus_slot * slot), (slot), NULL)
FORWARD(int, sd_bus_path_encode, (const char *prefix, const char *id, char **ret_path),
	(prefix, id, ret_path), -EOPNOTSUPP)
FORWARD(int, sd_bus_error_get_errno, (const sd_bus_error *e), (e), EOPNOTSUPP)
FORWARD(sd_bus_message *, sd_bus_message_ref, (sd_bus_message * m), (m), NULL)
FORWARD(sd_bus_message *, sd_bus_message_unref, (sd_bus_message * m), (m), NULL)
FORWARD(const sd_bus_error *, sd_bus_message_get_error, (sd_bus_message * m), (m), NULL)
FORWARD(int, sd_bus_message_new_method_call,
	(sd_bus * bus, sd_bus_message **m, const char *destination, const char *path,
	 const char *interface, const char *member),
	(bus, m, destination, path, interface, member), -EOPNOTSUPP)
FORWARD(int, sd_bus_message_open_container, (sd_bus_message * m, char type, const char *contents),
	(m, type, contents), -EOPNOTSUPP)
FORWARD(int, sd_bus_message_close_container, (sd_bus_message * m), (m), -EOPNOTSUPP)
FORWARD(int, sd_bus_message_enter_container, (sd_bus_message * m, char type, const char *contents),
	(m, type, contents), -EOPNOTSUPP)
FORWARD(int, sd_bus_message_append_array,
	(sd_bus_message * m, char type, const void *ptr, size_t size), (m, type, ptr, size),
	-EOPNOTSUPP)
FORWARD(int, sd_bus_message_read_array,
	(sd_bus_message * m, char type, const void **ptr, size_t *size), (m, type, ptr, size),
	-EOPNOTSUPP)
FORWARD(int, sd_bus_message_appendv, (sd_bus_message * m, const char *types, va_list ap),
	(m, types, ap), -EOPNOTSUPP)
FORWARD(int, sd_bus_message_readv, (sd_bus_message * m, const char *types, va_list ap),
	(m, types, ap), -EOPNOTSUPP)

int sd_bus_message_append(sd_bus_message *m, const char *types, ...)
{
	va_list ap;
	int r;

	va_start(ap, types);
	r = sd_bus_message_appendv(m, types, ap);
	va_end(ap);
	return r;
}

int sd_bus_message_read(sd_bus_message *m, const char *types, ...)
{
	va_list ap;
	int r;

	va_start(ap, types);
	r = sd_bus_message_readv(m, types, ap);
	va_end(ap);
	return r;
}
