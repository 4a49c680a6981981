/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/json.c - what a command found, for programs */
#include "json.h"

#include <string.h>

#include "../../lib/text.h"

static void put_char(struct json *json, unsigned char c)
{
	if (c == '"' || c == '\\')
		(void)fprintf(json->file, "\\%c", c);
	else if (c < 0x20 || c == 0x7f)
		(void)fprintf(json->file, "\\u%04x", c);
	else
		(void)fputc(c, json->file);
}

static void put_text(struct json *json, const char *text, size_t text_len)
{
	const char *end = text + text_len;

	(void)fputc('"', json->file);
	while (text < end) {
		uint32_t c;
		size_t len = text_utf8(text, &c);

		if (len == 1)
			put_char(json, (unsigned char)*text);
		else if (len > 1)
			(void)fwrite(text, 1, len, json->file);
		else
			(void)fputs("\\ufffd", json->file);
		text += len ? len : 1;
	}
	(void)fputc('"', json->file);
}

static void put_key(struct json *json, const char *key)
{
	(void)fputs(json->more[json->depth] ? ",\n" : "\n", json->file);
	json->more[json->depth] = true;
	(void)fprintf(json->file, "%*s", (int)json->depth * 2, "");
	if (!key)
		return;
	put_text(json, key, strlen(key));
	(void)fputs(": ", json->file);
}

static void open_level(struct json *json, const char *key, char bracket)
{
	put_key(json, key);
	(void)fputc(bracket, json->file);
	if (json->depth + 1 < JSON_DEPTH)
		json->depth++;
	json->more[json->depth] = false;
}

void json_begin(struct json *json, FILE *file, const char *command)
{
	*json = (struct json){ .file = file, .depth = 1 };
	(void)fputc('{', file);
	json_number(json, "format", JSON_FORMAT);
	json_string(json, "command", command);
}

void json_end(struct json *json)
{
	json_close(json, '}');
	(void)fputc('\n', json->file);
}

void json_object(struct json *json, const char *key)
{
	open_level(json, key, '{');
}

void json_list(struct json *json, const char *key)
{
	open_level(json, key, '[');
}

void json_close(struct json *json, char bracket)
{
	bool any = json->more[json->depth];

	json->depth--;
	if (any)
		(void)fprintf(json->file, "\n%*s", (int)json->depth * 2, "");
	(void)fputc(bracket, json->file);
}

void json_string(struct json *json, const char *key, const char *value)
{
	put_key(json, key);
	if (value)
		put_text(json, value, strlen(value));
	else
		(void)fputs("null", json->file);
}

void json_lines(struct json *json, const char *text)
{
	for (text += strspn(text, "\n"); *text; text += strspn(text, "\n")) {
		size_t len = strcspn(text, "\n");

		put_key(json, NULL);
		put_text(json, text, len);
		text += len;
	}
}

void json_number(struct json *json, const char *key, long long value)
{
	put_key(json, key);
	(void)fprintf(json->file, "%lld", value);
}

void json_bool(struct json *json, const char *key, bool value)
{
	put_key(json, key);
	(void)fputs(value ? "true" : "false", json->file);
}
