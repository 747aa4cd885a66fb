#include "policy/witness.h"

#include <arpa/inet.h>
#include <string.h>

#include "dns/answer.h"
#include "dns/hostname.h"

const char witness_resting[] = "not asked, for it did not answer lately";

static const struct type {
	const char *name;
	uint16_t    type;
} types[] = {
	{ "A", DNS_A },   { "AAAA", DNS_AAAA }, { "MX", DNS_MX },
	{ "NS", DNS_NS }, { "TXT", DNS_TXT },
};

uint16_t
witness_type(const char *name)
{
	for (size_t i = 0; i < COUNT(types); i++)
		if (strcmp(types[i].name, name) == 0)
			return types[i].type;
	return 0;
}

static void
add_address(const struct answer_record *r, int family, struct buffer *out)
{
	char text[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(family, r->data.at, text, sizeof text);
	buffer_add_string(out, text);
}

static bool
is_address(struct bytes text)
{
	char          name[INET6_ADDRSTRLEN];
	unsigned char raw[16];

	return bytes_string(text, name, sizeof name) &&
	       (inet_pton(AF_INET, name, raw) == 1 || inet_pton(AF_INET6, name, raw) == 1);
}

static void
add_name(const struct answer_record *r, uint16_t type, struct buffer *out)
{
	bool none = type == DNS_MX && bytes_equal(r->name, BYTES("."));

	if (type == DNS_MX)
		buffer_printf(out, "%u:", r->preference);
	if (none || hostname_valid(r->name) || is_address(r->name))
		buffer_add(out, r->name);
	else
		buffer_add_char(out, '!');
}

/* Printable, and not endless: it goes into replies. */
static void
add_text(const struct answer_record *r, struct buffer *out)
{
	struct buffer text = { 0 };

	if (answer_strings(r, &text))
		for (size_t i = 0; i < text.len && i < WITNESS_TEXT_MOST; i++) {
			unsigned char c = (unsigned char)text.at[i];
			buffer_add_char(out, c < ' ' || c >= 127 ? '?' : (char)c);
		}
	buffer_free(&text);
}

void
witness_text(const struct answer *a, uint16_t type, struct buffer *out)
{
	size_t n = a->records < WITNESS_RECORDS_MOST ? a->records : WITNESS_RECORDS_MOST;

	if (a->status == ANSWER_LATER)
		buffer_add_string(out, a->why == NULL ? "" : a->why);
	if (a->status == ANSWER_NO_RECORD)
		buffer_add_char(out, '-');
	if (type == DNS_TXT && n > 1)
		n = 1;
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buffer_add_char(out, ' ');
		if (type == DNS_A || type == DNS_AAAA)
			add_address(&a->record[i], type == DNS_A ? AF_INET : AF_INET6, out);
		else if (type == DNS_TXT)
			add_text(&a->record[i], out);
		else
			add_name(&a->record[i], type, out);
	}
}

bool
witness_next(struct bytes *rest, struct witnessed *out)
{
	struct bytes part;
	ptrdiff_t    colon;
	uint64_t     preference;

	if (rest->len == 0 || !bytes_split(rest, ' ', &part))
		return false;
	*out = (struct witnessed){ .text = part, .is_address = is_address(part) };
	colon = bytes_find(part, ':');
	if (!out->is_address && colon > 0 &&
	    bytes_number(bytes_cut(part, 0, (size_t)colon), &preference)) {
		out->preference = (uint16_t)preference;
		out->text = bytes_cut(part, (size_t)colon + 1, part.len);
		out->is_address = is_address(out->text);
	}
	out->is_bad = bytes_equal(out->text, BYTES("!"));
	return true;
}
