/* dns-finding -- what is said of a record, what must go and what must come */

#include <stdio.h>
#include <string.h>

#include "command/dns_inner.h"
#include "command/inquiry.h"

enum { SHOWN_MOST = 600 };

const char *const finding_names[FINDING_STATES] = {
	[FOUND_RIGHT] = "right",     [FOUND_ADVICE] = "advice", [FOUND_UNKNOWN] = "unknown",
	[FOUND_MISSING] = "missing", [FOUND_WRONG] = "wrong",
};

struct finding *
finding_new(struct findings *out, enum finding_state state, struct bytes name, const char *type)
{
	struct finding *one =
		&out->one[out->count < FINDINGS_MOST ? out->count++ : FINDINGS_MOST - 1];

	*one = (struct finding){ state, name, type, "", "", "", "", "" };
	return one;
}

struct finding *
judge_say(struct judging *j, enum finding_state state, struct bytes name, const char *type,
          const char *form, ...)
{
	struct finding *one = finding_new(j->out, state, name, type);
	struct buffer   text = { 0 };
	va_list         list;

	va_start(list, form);
	buffer_vprintf(&text, form, list);
	va_end(list);
	one->says = arena_copy(j->facts->life, buffer_bytes(&text));
	buffer_free(&text);
	return one;
}

/* The value of a record; of a text all of it, or as much as is shown. */
static void
add_value(uint16_t type, const struct answer_record *a, size_t most, struct buffer *out)
{
	struct buffer text = { 0 };

	if (type == DNS_MX)
		buffer_printf(out, "%u ", a->preference);
	if (type == DNS_SRV && a->data.len > 6)
		buffer_printf(out, "%u %u %u ", a->preference,
		              (unsigned)(unsigned char)a->data.at[2] << 8 |
		                      (unsigned char)a->data.at[3],
		              (unsigned)(unsigned char)a->data.at[4] << 8 |
		                      (unsigned char)a->data.at[5]);
	if (type == DNS_TXT) {
		if (answer_strings(a, &text))
			record_data_text(type, bytes_cut(buffer_bytes(&text), 0, most), out);
	} else if (a->name.len > 0) {
		buffer_add(out, a->name);
		if (!bytes_equal(a->name, BYTES(".")))
			buffer_add_char(out, '.');
	} else
		record_data_text(type, bytes_cut(a->data, 0, most), out);
	buffer_free(&text);
}

void
answer_text(uint16_t type, const struct answer_record *a, struct buffer *out)
{
	add_value(type, a, SHOWN_MOST, out);
}

/* All that is there, by commas. */
const char *
judge_there(struct judging *j, const struct answer *a, uint16_t type)
{
	struct buffer text = { 0 };
	const char   *kept;

	for (size_t i = 0; i < a->records && text.len < SHOWN_MOST; i++) {
		if (i > 0)
			buffer_add_string(&text, ", ");
		answer_text(type, &a->record[i], &text);
	}
	kept = arena_copy(j->facts->life, buffer_bytes(&text));
	buffer_free(&text);
	return kept;
}

const struct answer *
judge_look(struct judging *j, struct bytes name, uint16_t type)
{
	return inquiry_ask(j->ask, name, type);
}

bool
judge_unanswered(struct judging *j, const struct answer *a, struct bytes name, const char *type)
{
	if (a->status != ANSWER_LATER)
		return false;
	if (a->trust == ANSWER_BOGUS)
		judge_say(
			j, FOUND_WRONG, name, type,
			"DNSSEC disproves what the name servers say (%s): nobody who looks believes it.",
			a->why)
			->act =
			"sign the zone anew with the keys its DS names, or have the registrar take the DS away until you have";
	else
		(void)judge_say(j, FOUND_UNKNOWN, name, type,
		                "The name service does not answer: %s.", a->why);
	return true;
}

enum finding_state
judge_missing(const struct record *r)
{
	return r->must == RECORD_MAY ? FOUND_ADVICE : FOUND_MISSING;
}

/*
 * What must go and what must come
 */

/* A line more, but none twice. */
static const char *
with_line(struct facts *f, const char *lines, const char *line)
{
	struct bytes rest = bytes_of(lines), one;

	while (bytes_split(&rest, '\n', &one))
		if (bytes_equal(one, bytes_of(line)))
			return lines;
	return *lines == '\0' ? line : arena_printf(f->life, "%s\n%s", lines, line);
}

void
finding_erase(struct facts *f, struct finding *one, struct bytes name, uint16_t type,
              const struct answer_record *a)
{
	struct buffer line = { 0 };

	buffer_printf(&line, "%.*s. IN %s ", (int)name.len, name.at, record_type_name(type));
	add_value(type, a, SIZE_MAX, &line);
	one->erase = with_line(f, one->erase, arena_copy(f->life, buffer_bytes(&line)));
	buffer_free(&line);
}

void
finding_erase_all(struct facts *f, struct finding *one, uint16_t type, const struct answer *a)
{
	for (size_t i = 0; i < a->records; i++)
		finding_erase(f, one, a->name, type, &a->record[i]);
}

void
finding_write(struct facts *f, struct finding *one, const char *line)
{
	one->write = with_line(f, one->write, line);
}

void
finding_write_record(struct facts *f, struct finding *one, const struct record *r)
{
	finding_write(f, one, record_line(f, r));
}

void
judge_replace(struct judging *j, struct finding *one, const struct answer *a,
              const struct record *r)
{
	const struct answer *alias = judge_look(j, r->name, DNS_CNAME);

	if (alias->status == ANSWER_FOUND)
		finding_erase_all(j->facts, one, DNS_CNAME, alias);
	else
		finding_erase_all(j->facts, one, r->type, a);
	finding_write_record(j->facts, one, r);
}

/* The addresses an alias leads to, as those of the name itself. */
static void
keep_addresses(struct judging *j, struct finding *one, struct bytes name, uint16_t type)
{
	const struct answer *a = judge_look(j, name, type);

	for (size_t i = 0; i < a->records; i++) {
		struct record r = {
			.name = name, .type = type, .ttl = RECORD_TTL, .data = a->record[i].data
		};

		finding_write_record(j->facts, one, &r);
	}
}

/* rfc1034:3.6.2, rfc2181:10.1  Beside CNAME there is nothing, so all that the name needs takes its place. */
bool
judge_alias(struct judging *j, struct bytes name, const char *why)
{
	const struct answer *alias = judge_look(j, name, DNS_CNAME);
	struct finding      *one;
	bool                 addressed = false;

	if (alias->status != ANSWER_FOUND)
		return false;
	one = judge_say(j, FOUND_WRONG, name, "CNAME", "%s", why);
	one->there = judge_there(j, alias, DNS_CNAME);
	finding_erase_all(j->facts, one, DNS_CNAME, alias);
	for (size_t i = 0; i < j->all->count; i++) {
		const struct record *r = &j->all->one[i];

		if (!bytes_equal_nocase(r->name, name))
			continue;
		addressed = addressed || r->type == DNS_A || r->type == DNS_AAAA;
		finding_write_record(j->facts, one, r);
	}
	if (!addressed) {
		keep_addresses(j, one, name, DNS_A);
		keep_addresses(j, one, name, DNS_AAAA);
	}
	return true;
}
