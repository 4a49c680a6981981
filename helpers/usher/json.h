/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/json.h - what a command found, for programs */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#define JSON_DEPTH 16

/* Told in usher(8); a reader must let pass keys it does not know */
#define JSON_FORMAT 1

struct json {
	FILE *file;
	unsigned int depth;
	bool more[JSON_DEPTH]; /* something stands before, on this level */
};

/** json_begin() - the document: "{" with its format and command */
void json_begin(struct json *json, FILE *file, const char *command);

/** json_end() - "}" and a newline */
void json_end(struct json *json);

/* In a list @key is NULL */
void json_object(struct json *json, const char *key);
void json_list(struct json *json, const char *key);
/** json_close() - the object or list that was begun last */
void json_close(struct json *json, char bracket);
/** json_string() - null for NULL; what is no UTF-8 becomes U+FFFD */
void json_string(struct json *json, const char *key, const char *value);
/** json_lines() - each line of a text, in the list that was begun last */
void json_lines(struct json *json, const char *text);
void json_number(struct json *json, const char *key, long long value);
void json_bool(struct json *json, const char *key, bool value);
