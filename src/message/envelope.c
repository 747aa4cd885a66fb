#include "message/envelope.h"

#include <inttypes.h>
#include <stdio.h>

/* A recipient takes at least two lengths and a byte: a count that promises
   more than the bytes can hold is broken before any memory is asked for. */
enum { RECIPIENT_LEAST = 4 + 4 + 1 };

enum { PRIORITY_MOST = 9 };

void
handling_pack(const struct handling *h, struct buffer *out)
{
	pack_i64(out, h->not_before_us);
	pack_i64(out, h->by_us);
	pack_u8(out, h->by_mode);
	pack_bool(out, h->by_trace);
	pack_u8(out, (uint8_t)(h->priority + PRIORITY_MOST));
	pack_bytes(out, h->hold);
	pack_bytes(out, h->filter);
	pack_bytes(out, h->redirect);
	pack_bytes(out, h->verp);
}

bool
handling_unpack(struct unpack *u, struct handling *out)
{
	struct handling h = { 0 };
	uint8_t         priority;

	h.not_before_us = unpack_i64(u);
	h.by_us = unpack_i64(u);
	h.by_mode = unpack_u8(u);
	h.by_trace = unpack_bool(u);
	priority = unpack_u8(u);
	h.hold = unpack_bytes(u);
	h.filter = unpack_bytes(u);
	h.redirect = unpack_bytes(u);
	h.verp = unpack_bytes(u);
	if (u->broken || priority > 2 * PRIORITY_MOST ||
	    (h.by_mode != 0 && h.by_mode != 'R' && h.by_mode != 'N'))
		return false;
	h.priority = (int8_t)((int)priority - PRIORITY_MOST);
	*out = h;
	return true;
}

bool
handling_is_aside(const struct handling *h)
{
	return h->hold.len > 0 && h->hold.at[0] == HOLD_ASIDE;
}

struct bytes
handling_why(const struct handling *h)
{
	return handling_is_aside(h) ? bytes_cut(h->hold, 1, h->hold.len) : h->hold;
}

struct handling
handling_keep(struct arena *a, const struct handling *h)
{
	struct handling kept = *h;

	/* Most say nothing, and a queue has a million of them. */
	for (size_t i = 0; i < 4; i++) {
		struct bytes *text = (struct bytes *[]){ &kept.hold, &kept.filter, &kept.redirect,
			                                 &kept.verp }[i];

		*text = text->len > 0 ? arena_keep(a, *text) : BYTES("");
	}
	return kept;
}

static void
receipt_pack(const struct receipt *r, struct buffer *out)
{
	pack_u64(out, r->account);
	pack_u64(out, r->mailbox);
	pack_u64(out, r->modseq);
	pack_u32(out, r->uidvalidity);
	pack_u32(out, r->uid);
	pack_u32(out, r->flags);
	pack_i64(out, r->date);
	pack_i64(out, r->zone);
}

/* One of account 0 is not written, nor read. */
static bool
receipt_unpack(struct unpack *u, struct receipt *r)
{
	int64_t zone;

	r->account = unpack_u64(u);
	r->mailbox = unpack_u64(u);
	r->modseq = unpack_u64(u);
	r->uidvalidity = unpack_u32(u);
	r->uid = unpack_u32(u);
	r->flags = unpack_u32(u);
	r->date = unpack_i64(u);
	zone = unpack_i64(u);
	r->zone = (int32_t)zone;
	return !u->broken && r->account != 0 && r->zone == zone;
}

static bool
origin_is_empty(const struct origin_facts *o)
{
	return o->port == 0 && o->method.len == 0 && o->auth_sender.len == 0 && o->solicit.len == 0;
}

static void
origin_pack(const struct origin_facts *o, struct buffer *out)
{
	pack_u16(out, o->port);
	pack_bytes(out, o->method);
	pack_bytes(out, o->auth_sender);
	pack_bytes(out, o->solicit);
}

/* One that says nothing is not written, nor read. */
static bool
origin_unpack(struct unpack *u, struct origin_facts *o)
{
	o->port = unpack_u16(u);
	o->method = unpack_bytes(u);
	o->auth_sender = unpack_bytes(u);
	o->solicit = unpack_bytes(u);
	return !u->broken && !origin_is_empty(o);
}

/* Version 3 has a receipt at its end, version 4 what else is known of who brought it; an envelope with neither is written as
   version 2.  What was appended was brought by nobody. */
void
envelope_pack(const struct envelope *e, struct buffer *out)
{
	bool has_receipt = e->receipt.account != 0;
	bool has_origin = !has_receipt && !origin_is_empty(&e->origin);

	pack_u16(out, has_receipt ? 3 : has_origin ? 4 : 2);
	pack_u64(out, e->letter);
	pack_i64(out, e->arrived_us);
	pack_u32(out, e->flags);
	pack_u8(out, e->body);
	pack_u8(out, e->ret);
	pack_bytes(out, e->sender);
	pack_bytes(out, e->envid);
	pack_bytes(out, e->user);
	pack_bytes(out, e->client);
	pack_bytes(out, e->helo);
	pack_bytes(out, e->protocol);
	pack_u64(out, e->content_len);
	pack_bytes(out, e->prefix);
	pack_bytes(out, e->digest);
	handling_pack(&e->handling, out);
	pack_u32(out, e->recipients);
	for (uint32_t i = 0; i < e->recipients; i++) {
		pack_bytes(out, e->recipient[i].address);
		pack_bytes(out, e->recipient[i].orcpt);
		pack_u8(out, e->recipient[i].notify);
	}
	if (has_receipt)
		receipt_pack(&e->receipt, out);
	if (has_origin)
		origin_pack(&e->origin, out);
}

static bool
unpack_recipients(struct unpack *u, struct arena *arena, struct envelope *e)
{
	uint32_t                   count = unpack_u32(u);
	struct envelope_recipient *r;

	if (u->broken || count > ENVELOPE_RECIPIENTS_MOST || count > u->rest.len / RECIPIENT_LEAST)
		return false;
	r = arena_take_array(arena, count, sizeof *r);
	for (uint32_t i = 0; i < count; i++) {
		r[i].address = unpack_bytes(u);
		r[i].orcpt = unpack_bytes(u);
		r[i].notify = unpack_u8(u);
	}
	e->recipient = r;
	e->recipients = count;
	return true;
}

bool
envelope_unpack(struct bytes packed, struct arena *arena, struct envelope *out)
{
	struct unpack   u = unpack_of(packed);
	struct envelope e = { 0 };
	uint16_t        version = unpack_u16(&u);

	*out = e;
	if (u.broken || version == 0 || version > ENVELOPE_VERSION)
		return false;
	e.letter = unpack_u64(&u);
	e.arrived_us = unpack_i64(&u);
	e.flags = unpack_u32(&u);
	e.body = unpack_u8(&u);
	e.ret = unpack_u8(&u);
	e.sender = unpack_bytes(&u);
	e.envid = unpack_bytes(&u);
	e.user = unpack_bytes(&u);
	e.client = unpack_bytes(&u);
	e.helo = unpack_bytes(&u);
	e.protocol = unpack_bytes(&u);
	e.content_len = unpack_u64(&u);
	e.prefix = unpack_bytes(&u);
	e.digest = unpack_bytes(&u);
	/* Version 1 ended its list of strings here. */
	if (version > 1 && !handling_unpack(&u, &e.handling))
		return false;
	if (!unpack_recipients(&u, arena, &e) ||
	    (version == 3 && !receipt_unpack(&u, &e.receipt)) ||
	    (version == 4 && !origin_unpack(&u, &e.origin)) || !unpack_done(&u))
		return false;
	if (e.body > BODY_BINARYMIME || (e.ret != 0 && e.ret != 'F' && e.ret != 'H'))
		return false;
	*out = e;
	return true;
}

struct bytes
protocol_plain(struct bytes protocol)
{
	if (bytes_starts(protocol, BYTES("LMTP")) || bytes_starts(protocol, BYTES("UTF8LMTP")))
		return BYTES("LMTP");
	if (bytes_starts(protocol, BYTES("ESMTP")) || bytes_starts(protocol, BYTES("UTF8SMTP")))
		return BYTES("ESMTP");
	return protocol;
}

void
client_halves(struct bytes client, struct bytes *name, struct bytes *address)
{
	ptrdiff_t open = bytes_find_last(client, '['), end = bytes_find_last(client, ']');

	*name = *address = BYTES("");
	if (open < 0 || end < open)
		return;
	*name = bytes_cut(client, 0, (size_t)open);
	*address = bytes_cut(client, (size_t)open + 1, (size_t)(end - open - 1));
}

void
letter_id_text(uint64_t letter, char out[static 24])
{
	(void)snprintf(out, 24, "%010" PRIX64, letter);
}

bool
letter_id_parse(struct bytes text, uint64_t *out)
{
	uint64_t n = 0;

	if (text.len < 10 || text.len > 16)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = ascii_lower(text.at[i]);
		if (c >= '0' && c <= '9')
			n = n << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			n = n << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	*out = n;
	return true;
}
