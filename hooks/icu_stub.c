/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hooks/icu_stub.c - keep ICU's 32 MB of tables out of the static hook
 *
 * Debian, Fedora and others build libxml2 with ICU, and encoding.o of libxml2.a refers to seven of
 * its entry points. It calls them only for an encoding that libxml2 does not know itself; libvirt
 * sends UTF-8, and hooks/domain.c says so to the reader. These seven refuse instead: to libxml2
 * the encoding is then an unknown one.
 *
 * <unicode/ucnv.h> renames each to the form with ICU's version ("ucnv_open_72"), so that they are
 * what the libxml2.a of the same distribution asks for. A libxml2 without ICU asks for none (Debian
 * 13's), and without the header there is none to stand in for.
 *
 * Seen on: libxml2 2.9.14 with ICU 72.1, Debian 12, 2026-11: hook of 2.6 MB instead of 34.5 MB
 */

#if __has_include(<unicode/ucnv.h>)
#include <unicode/ucnv.h>

UConverter *ucnv_open(const char *name, UErrorCode *err)
{
	(void)name;
	*err = U_FILE_ACCESS_ERROR;
	return NULL;
}

void ucnv_close(UConverter *converter)
{
	(void)converter;
}

/* NOLINTBEGIN(readability-non-const-parameter): ICU's prototype */
void ucnv_convertEx(UConverter *to, UConverter *from, char **target, const char *target_limit,
		    const char **source, const char *source_limit, UChar *pivot_start,
		    UChar **pivot_source, UChar **pivot_target, const UChar *pivot_limit,
		    UBool reset, UBool flush, UErrorCode *err)
{
	(void)to, (void)from, (void)target, (void)target_limit, (void)source, (void)source_limit;
	(void)pivot_start, (void)pivot_source, (void)pivot_target, (void)pivot_limit;
	(void)reset, (void)flush;
	*err = U_UNSUPPORTED_ERROR;
}
/* NOLINTEND(readability-non-const-parameter) */

void ucnv_setToUCallBack(UConverter *converter, UConverterToUCallback action, const void *context,
			 UConverterToUCallback *old_action, const void **old_context,
			 UErrorCode *err)
{
	(void)converter, (void)action, (void)context, (void)old_action, (void)old_context;
	*err = U_UNSUPPORTED_ERROR;
}

void ucnv_setFromUCallBack(UConverter *converter, UConverterFromUCallback action,
			   const void *context, UConverterFromUCallback *old_action,
			   const void **old_context, UErrorCode *err)
{
	(void)converter, (void)action, (void)context, (void)old_action, (void)old_context;
	*err = U_UNSUPPORTED_ERROR;
}

/* Only their addresses are taken */
void UCNV_TO_U_CALLBACK_STOP(const void *context, UConverterToUnicodeArgs *args,
			     const char *code_units, int32_t length,
			     UConverterCallbackReason reason, UErrorCode *err)
{
	(void)context, (void)args, (void)code_units, (void)length, (void)reason;
	*err = U_UNSUPPORTED_ERROR;
}

void UCNV_FROM_U_CALLBACK_STOP(const void *context, UConverterFromUnicodeArgs *args,
			       const UChar *code_units, int32_t length, UChar32 code_point,
			       UConverterCallbackReason reason, UErrorCode *err)
{
	(void)context, (void)args, (void)code_units, (void)length, (void)code_point, (void)reason;
	*err = U_UNSUPPORTED_ERROR;
}
#endif
