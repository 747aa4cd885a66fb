/*
 * Databases whose settings stand in main.cf: their lines are a file of their own, and what other roles read has them no more, in
 * whatever company they stand.  Every line keeps its number.
 */
#include <stdlib.h>
#include <string.h>

#include "role/tables.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static const char lines[] = "\nrelay_domains = ldap:acc\nacc_bind_pw = xyzzyplugh\nacc_server_host =\n xyzzyplugh\n";

static size_t
count_lines(struct bytes text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += text.at[i] == '\n';
	return n;
}

/* True: somebody still asks that database, by a name that says so. */
static bool
is_asked(const struct settings *s)
{
	struct setting_entry e;

	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (strcmp(e.name, "relay_domains") == 0)
			return strcmp(e.value, "ldap:acc") == 0;
	return false;
}

static void
try_text(struct buffer *text)
{
	struct buffer    errors = { 0 }, warnings = { 0 }, file = { 0 };
	struct settings *s = settings_read(buffer_bytes(text), "main.cf", &errors, &warnings);
	size_t           before = count_lines(buffer_bytes(text));
	bool             asked = s != NULL && is_asked(s);

	if (s != NULL) {
		tables_know_parameters(s);
		if (asked && !tables_parameters(s, "ldap:acc", &file))
			abort();
		tables_hide_parameters(s, text);
		if (count_lines(buffer_bytes(text)) < before)
			abort();
	}
	if (asked && bytes_search(buffer_bytes(text), BYTES("xyzzyplugh")) >= 0)
		abort();
	settings_close(&s);
	buffer_free(&errors);
	buffer_free(&warnings);
	buffer_free(&file);
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes  in = { (const char *)at, len };
	size_t        half = len > 0 ? at[0] % len : 0;
	struct buffer text = { 0 };

	if (bytes_search(in, BYTES("xyzzyplugh")) >= 0)
		return 0; /* a remark, or another's */
	buffer_add(&text, bytes_cut(in, 0, half));
	buffer_add_string(&text, lines);
	buffer_add(&text, bytes_cut(in, half, SIZE_MAX));
	try_text(&text);
	buffer_free(&text);
	return 0;
}
