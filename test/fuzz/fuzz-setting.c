/*
 * Any main.cf: read, filled, searched for unknown names, and edited.  What
 * settings_edit() wrote must read back as the value that was asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "base/setting.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

struct house {
	bool                yes;
	int64_t             number, size, time;
	const char         *word, *text;
	struct setting_list list;
	int                 choice;
};
#define AT(f) offsetof(struct house, f)
static const struct setting rows[] = {
	{ "a", SETTING_BOOL, AT(yes), "yes", "", NULL, 0, 0, "0.1" },
	{ "b", SETTING_NUMBER, AT(number), "1", "", NULL, -5, 1000, "0.1" },
	{ "c", SETTING_SIZE, AT(size), "1M", "", NULL, 0, 0, "0.1" },
	{ "d", SETTING_TIME, AT(time), "1h", "", NULL, 1, 0, "0.1" },
	{ "e", SETTING_WORD, AT(word), "word", "", NULL, 0, 0, "0.1" },
	{ "f", SETTING_TEXT, AT(text), "$e $g", "", NULL, 0, 0, "0.1" },
	{ "g", SETTING_LIST, AT(list), "a, b", "", NULL, 0, 0, "0.1" },
	{ "h", SETTING_CHOICE, AT(choice), "may", "", ",may,encrypt", 0, 0, "0.1" },
};
static const struct setting_table table = { "", rows, COUNT(rows) };

/* A value of one line reads back as it was set; taken out, it is not there. */
static void
edited(struct bytes text, const char *value)
{
	struct buffer    out = { 0 }, errors = { 0 }, warnings = { 0 };
	struct settings *s;

	settings_edit(text, "e", value, &out);
	s = settings_read(buffer_bytes(&out), "main.cf", &errors, &warnings);
	if (s == NULL)
		abort();
	const char *read = settings_value(s, "e");
	if ((read == NULL) != (value == NULL) || (read != NULL && strcmp(read, value) != 0))
		abort();
	settings_close(&s);
	buffer_free(&out);
	buffer_free(&errors);
	buffer_free(&warnings);
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes         text = { (const char *)at, len };
	struct buffer        errors = { 0 }, warnings = { 0 };
	struct settings     *s = settings_read(text, "main.cf", &errors, &warnings);
	struct setting_entry e;
	struct house         h;

	if ((s == NULL) != (errors.len > 0))
		abort();
	if (s != NULL) {
		settings_tables(s, &table, 1);
		(void)settings_unknown(s, &warnings);
		for (size_t i = 0; settings_entry(s, i, &e); i++)
			(void)settings_value(s, e.name);
		if (settings_fill(s, &table, "x", &h, &errors) != (errors.len == 0))
			abort();
		if (h.number < -5 || h.number > 1000 || h.size < 0 || h.time < 1)
			abort();
		settings_close(&s);
		edited(text, "new value");
		edited(text, "");
		edited(text, NULL);
	}
	buffer_free(&errors);
	buffer_free(&warnings);
	return 0;
}
