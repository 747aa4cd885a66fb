#include "dns/answer.h"

#include <string.h>

#include "dns/hostname.h"

enum { HEADER = 12, JUMPS_MOST = 64, CLASS_IN = 1, NXDOMAIN = 3 };

/* A place in a packet; the first fault stays. */
struct reading {
	struct bytes packet;
	size_t       at;
	bool         broken;
};

/* A record of the answer section, its data still where it lies. */
struct raw_record {
	struct bytes owner;
	uint16_t     type, class;
	uint32_t     ttl;
	size_t       at, len;
};

static unsigned
byte_at(const struct reading *r, size_t at)
{
	return (unsigned char)r->packet.at[at];
}

/* Big-endian, of one to four bytes. */
static uint32_t
number(struct reading *r, size_t bytes)
{
	uint32_t n = 0;

	if (r->broken || r->packet.len - r->at < bytes) {
		r->broken = true;
		return 0;
	}
	while (bytes-- > 0)
		n = n << 8 | byte_at(r, r->at++);
	return n;
}

/* rfc1035:4.1.4  A name, its pointers followed, each only backwards: appended as labels. */
static void
read_name(struct reading *r, struct buffer *wire)
{
	size_t at = r->at, before = wire->len;
	bool   jumped = false;

	for (int jumps = 0; !r->broken && jumps < JUMPS_MOST;) {
		unsigned n;
		if (at >= r->packet.len || wire->len - before >= HOSTNAME_MOST)
			break;
		n = byte_at(r, at);
		if (n >= 0xc0) {
			size_t to;
			if (at + 2 > r->packet.len)
				break;
			to = (n & 0x3fu) << 8 | byte_at(r, at + 1);
			if (!jumped)
				r->at = at + 2;
			jumped = true;
			jumps++;
			if (to >= at)
				break;
			at = to;
			continue;
		}
		if (n > LABEL_MOST || r->packet.len - at < n + 1)
			break;
		buffer_add(wire, (struct bytes){ r->packet.at + at, n + 1 });
		at += n + 1;
		if (n > 0)
			continue;
		if (!jumped)
			r->at = at;
		r->broken = wire->len - before > HOSTNAME_MOST;
		return;
	}
	r->broken = true;
}

/* The same, as text, in lower case. */
static struct bytes
name_text(struct reading *r, struct arena *life)
{
	struct buffer wire = { 0 }, text = { 0 };
	struct bytes  name = { "", 0 };

	read_name(r, &wire);
	if (!r->broken && hostname_text(buffer_bytes(&wire), &text))
		name = arena_lower(life, buffer_bytes(&text));
	else
		r->broken = true;
	buffer_free(&wire);
	buffer_free(&text);
	return name;
}

static struct raw_record
read_record(struct reading *r, struct arena *life)
{
	struct raw_record raw = { .owner = name_text(r, life) };

	raw.type = (uint16_t)number(r, 2);
	raw.class = (uint16_t)number(r, 2);
	raw.ttl = number(r, 4);
	raw.len = number(r, 2);
	raw.at = r->at;
	if (r->broken || r->packet.len - r->at < raw.len)
		r->broken = true;
	else
		r->at += raw.len;
	return raw;
}

/* The data of a record, with what a caller wants of it ready made. */
static struct answer_record
open_record(struct reading *r, const struct raw_record *raw, struct arena *life)
{
	struct answer_record out = { .data = { r->packet.at + raw->at, raw->len },
		                     .name = { "", 0 },
		                     .ttl = raw->ttl };
	struct reading       inside = { r->packet, raw->at, r->broken };

	out.data = arena_keep(life, out.data);
	if (raw->type == DNS_MX)
		out.preference = (uint16_t)number(&inside, 2);
	if (raw->type == DNS_MX || raw->type == DNS_PTR || raw->type == DNS_CNAME ||
	    raw->type == DNS_NS) {
		out.name = name_text(&inside, life);
		inside.broken = inside.broken || inside.at != raw->at + raw->len;
	}
	if (raw->type == DNS_SRV) { /* rfc2782: priority, weight, port, target */
		out.preference = (uint16_t)number(&inside, 2);
		(void)number(&inside, 4);
		out.name = name_text(&inside, life);
		inside.broken = inside.broken || inside.at != raw->at + raw->len;
	}
	if ((raw->type == DNS_A && raw->len != 4) || (raw->type == DNS_AAAA && raw->len != 16))
		inside.broken = true;
	r->broken = inside.broken;
	return out;
}

static bool
is_alias(struct reading *r, const struct raw_record *raw, struct bytes name)
{
	(void)r;
	return raw->type == DNS_CNAME && raw->class == CLASS_IN && bytes_equal(raw->owner, name);
}

/* rfc1034:3.6.2  Where the name leads. */
static struct bytes
follow(struct reading *r, const struct raw_record *raw, size_t n, struct bytes name,
       struct arena *life)
{
	for (int steps = 0; steps < ANSWER_ALIASES; steps++) {
		size_t i = 0;
		while (i < n && !is_alias(r, &raw[i], name))
			i++;
		if (i == n)
			return name;
		name = open_record(r, &raw[i], life).name;
	}
	r->broken = true;
	return name;
}

static void
collect(struct reading *r, const struct raw_record *raw, size_t n, uint16_t type,
        struct arena *life, struct answer *out)
{
	struct answer_record *found = arena_take_array(life, n + 1, sizeof *found);

	out->record = found;
	for (size_t i = 0; i < n && !r->broken; i++)
		if (raw[i].type == type && raw[i].class == CLASS_IN &&
		    bytes_equal(raw[i].owner, out->name))
			found[out->records++] = open_record(r, &raw[i], life);
}

/* Of these some are as good as all.  A text or a certificate that is left out could be the one that forbids. */
static bool
is_choice(uint16_t type)
{
	return type == DNS_MX || type == DNS_A || type == DNS_AAAA;
}

bool
answer_parse(struct bytes packet, struct bytes name, uint16_t type, struct arena *life,
             struct answer *out)
{
	struct reading     r = { packet, 0, packet.len < HEADER };
	struct raw_record *raw;
	unsigned           rcode, questions, answers;

	*out = (struct answer){ .status = ANSWER_LATER, .why = "a broken answer" };
	(void)number(&r, 2);
	rcode = number(&r, 2) & 15;
	questions = number(&r, 2);
	answers = number(&r, 2);
	(void)number(&r, 4);
	if (answers > ANSWER_CHOICE && is_choice(type))
		answers = ANSWER_CHOICE;
	if (r.broken || questions > 1 || (answers > ANSWER_RECORDS && !is_choice(type)))
		return false;
	if (questions == 1) {
		(void)name_text(&r, life);
		(void)number(&r, 4);
	}
	raw = arena_take_array(life, answers + 1, sizeof *raw);
	for (unsigned i = 0; i < answers && !r.broken; i++)
		raw[i] = read_record(&r, life);
	if (r.broken || (rcode != 0 && rcode != NXDOMAIN))
		return false;
	out->name = arena_lower(life, name);
	if (type != DNS_CNAME)
		out->name = follow(&r, raw, answers, out->name, life);
	collect(&r, raw, answers, type, life, out);
	if (r.broken) {
		out->records = 0;
		return false;
	}
	out->status = out->records > 0    ? ANSWER_FOUND
	              : rcode == NXDOMAIN ? ANSWER_NO_NAME
	                                  : ANSWER_NO_RECORD;
	out->why = "";
	return true;
}

/* rfc1035:3.3.14 */
bool
answer_strings(const struct answer_record *record, struct buffer *out)
{
	struct bytes rest = record->data;

	while (rest.len > 0) {
		size_t n = (unsigned char)rest.at[0];
		if (n >= rest.len)
			return false;
		buffer_add(out, bytes_cut(rest, 1, n));
		rest = bytes_cut(rest, n + 1, rest.len);
	}
	return true;
}

struct answer
answer_keep(struct arena *a, const struct answer *from)
{
	struct answer         to = *from;
	struct answer_record *record = arena_take_array(a, from->records, sizeof *record);

	for (size_t i = 0; i < from->records; i++) {
		record[i] = from->record[i];
		record[i].data = arena_keep(a, from->record[i].data);
		record[i].name = arena_keep(a, from->record[i].name);
	}
	to.record = record;
	to.name = arena_keep(a, from->name);
	to.why = from->why != NULL ? arena_copy(a, bytes_of(from->why)) : "";
	return to;
}
