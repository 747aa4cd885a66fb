#include "policy/dnsfilter.h"

#include <arpa/inet.h>

#include "base/journal.h"

static const struct {
	uint16_t    type;
	const char *name;
} types[] = { { DNS_A, "A" },     { DNS_AAAA, "AAAA" }, { DNS_MX, "MX" },   { DNS_NS, "NS" },
	      { DNS_PTR, "PTR" }, { DNS_TXT, "TXT" },   { DNS_SRV, "SRV" }, { DNS_TLSA, "TLSA" } };

static const char *
name_of(uint16_t type)
{
	for (size_t i = 0; i < COUNT(types); i++)
		if (types[i].type == type)
			return types[i].name;
	return "OTHER";
}

static void
add_name(struct bytes name, struct buffer *out)
{
	buffer_add(out, name);
	if (!bytes_equal(name, BYTES(".")))
		buffer_add_char(out, '.');
}

/* "3 1 1 0D6F..." */
static void
add_tlsa(struct bytes data, struct buffer *out)
{
	for (size_t i = 0; i < data.len; i++)
		buffer_printf(out, i < 3 ? "%u " : "%02X", (unsigned char)data.at[i]);
}

void
dnsfilter_line(const struct answer *a, size_t record, uint16_t type, struct buffer *out)
{
	const struct answer_record *r = &a->record[record];
	char                        text[INET6_ADDRSTRLEN] = "";

	add_name(a->name, out);
	buffer_printf(out, " %u IN %s ", r->ttl, name_of(type));
	if (type == DNS_TXT && answer_strings(r, out))
		return;
	if (type == DNS_A && r->data.len == 4)
		buffer_add_string(out, inet_ntop(AF_INET, r->data.at, text, sizeof text));
	else if (type == DNS_AAAA && r->data.len == 16)
		buffer_add_string(out, inet_ntop(AF_INET6, r->data.at, text, sizeof text));
	else if (type == DNS_TLSA)
		add_tlsa(r->data, out);
	else if (type == DNS_MX)
		buffer_printf(out, "%u ", r->preference);
	if (type != DNS_A && type != DNS_AAAA && type != DNS_TLSA)
		add_name(r->name, out);
}

/* What the tables say of a record. */
struct said {
	struct bytes         line, value;
	enum dnsfilter_found found;
};

static void
ask(const struct answer *in, size_t i, uint16_t type, dnsfilter_find *find, void *ctx,
    struct arena *a, struct said *s)
{
	struct buffer line = { 0 };

	*s = (struct said){ .found = DNSFILTER_NONE };
	/* rfc7505: the word that there is none is no record of one. */
	if (type == DNS_MX && bytes_equal(in->record[i].name, BYTES(".")))
		return;
	dnsfilter_line(in, i, type, &line);
	s->line = arena_keep(a, buffer_bytes(&line));
	s->found = find(ctx, s->line, a, &s->value);
	buffer_free(&line);
}

static bool
is_left_out(const char *name, const struct said *s, bool *wrong)
{
	struct bytes         line = s->line, value = s->value;
	enum dnsfilter_found f = s->found;

	if (f == DNSFILTER_FOUND && !bytes_is(bytes_trim(value), "IGNORE")) {
		warn_("%s: \"%.*s\" is said of \"%.*s\": there is IGNORE alone", name,
		      (int)value.len, value.at, (int)line.len, line.at);
		*wrong = true;
	}
	*wrong = *wrong || f == DNSFILTER_LATER;
	if (f == DNSFILTER_FOUND && !*wrong)
		note("%s: ignored: %.*s", name, (int)line.len, line.at);
	return f == DNSFILTER_FOUND;
}

bool
dnsfilter_apply(const char *name, const struct answer *in, uint16_t type, dnsfilter_find *find,
                void *ctx, struct arena *a, struct answer *out)
{
	struct answer_record *kept = arena_take_array(a, in->records + 1, sizeof *kept);
	struct said          *said = arena_take_array(a, in->records + 1, sizeof *said);
	bool                  wrong = false, waits = false;

	*out = *in;
	if (in->status != ANSWER_FOUND)
		return true;
	for (size_t i = 0; i < in->records; i++) {
		ask(in, i, type, find, ctx, a, &said[i]);
		waits = waits || said[i].found == DNSFILTER_WAIT;
	}
	if (waits)
		return false;
	out->record = kept;
	out->records = 0;
	for (size_t i = 0; i < in->records; i++)
		if (!is_left_out(name, &said[i], &wrong))
			kept[out->records++] = in->record[i];
	if (wrong)
		*out = (struct answer){ .status = ANSWER_LATER,
			                .why = "Invalid DNS reply filter syntax" };
	return true;
}
