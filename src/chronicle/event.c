#include "chronicle/event.h"

#include <string.h>

/* What is there: a bit for each number, then one for each text. */
enum { HAS_LETTER, HAS_SESSION, HAS_OTHER, HAS_NUMBER, HAS_TEXT, NUMBERS = HAS_TEXT };
_Static_assert(HAS_TEXT + EVENT_TEXTS <= 32, "the bits fit a u32");

const char *const event_kind_names[LIFE_KINDS] = {
	[LIFE_ACCEPTED] = "accepted", [LIFE_REFUSED] = "refused",     [LIFE_RULE] = "rule",
	[LIFE_ENTERED] = "queued",    [LIFE_CONTACT] = "contact",     [LIFE_ATTEMPT] = "attempt",
	[LIFE_NOTICE] = "notice",     [LIFE_ORDER] = "order",         [LIFE_REMOVED] = "removed",
	[LIFE_GAP] = "gap",           [LIFE_DISCARDED] = "discarded",
};

const char *const event_text_names[EVENT_TEXTS] = {
	[TEXT_CLIENT] = "client",
	[TEXT_HELO] = "helo",
	[TEXT_PROTOCOL] = "protocol",
	[TEXT_TLS] = "tls",
	[TEXT_METHOD] = "method",
	[TEXT_USER] = "user",
	[TEXT_MESSAGE_ID] = "message_id",
	[TEXT_SENDER] = "sender",
	[TEXT_RECIPIENT] = "recipient",
	[TEXT_ORIGINAL] = "original",
	[TEXT_RELAY] = "relay",
	[TEXT_STATUS] = "status",
	[TEXT_HOW] = "how",
	[TEXT_REPLY] = "reply",
	[TEXT_ID] = "id",
	[TEXT_RULE] = "rule",
	[TEXT_SERVICE] = "service",
	[TEXT_DELAYS] = "delays",
	[TEXT_MOMENT] = "at",
	[TEXT_MAILBOX] = "mailbox",
};

static uint64_t *
number_of(struct event *e, int which)
{
	uint64_t *all[NUMBERS] = { &e->letter, &e->session, &e->other, &e->number };

	return all[which];
}

/* Not in the middle of a character. */
static struct bytes
text_cut(struct bytes t, size_t room)
{
	size_t n = room < EVENT_TEXT_MOST ? room : EVENT_TEXT_MOST;

	if (t.len <= n)
		return t;
	while (n > 0 && ((unsigned char)t.at[n] & 0xc0) == 0x80)
		n--;
	return bytes_cut(t, 0, n);
}

void
event_pack(const struct event *e, struct buffer *out)
{
	struct event copy = *e;
	uint32_t     has = 0;
	size_t       room = EVENT_MOST - 64;

	for (int i = 0; i < NUMBERS; i++)
		has |= *number_of(&copy, i) != 0 ? 1U << i : 0;
	for (int i = 0; i < EVENT_TEXTS; i++) {
		copy.text[i] = text_cut(copy.text[i], room);
		room -= copy.text[i].len;
		has |= copy.text[i].len > 0 ? 1U << (HAS_TEXT + i) : 0;
	}
	pack_u8(out, e->kind);
	pack_i64(out, e->at_us);
	pack_u32(out, has);
	for (int i = 0; i < NUMBERS; i++)
		if ((has & 1U << i) != 0)
			pack_u64(out, *number_of(&copy, i));
	for (int i = 0; i < EVENT_TEXTS; i++)
		if (copy.text[i].len > 0) {
			pack_u16(out, (uint16_t)copy.text[i].len);
			buffer_add(out, copy.text[i]);
		}
}

bool
event_unpack(struct bytes packed, struct event *e)
{
	struct unpack u = unpack_of(packed);
	uint32_t      has;

	*e = (struct event){ .kind = unpack_u8(&u) };
	e->at_us = unpack_i64(&u);
	has = unpack_u32(&u);
	if (packed.len > EVENT_MOST || e->kind >= LIFE_KINDS ||
	    has >> (HAS_TEXT + EVENT_TEXTS) != 0)
		return false;
	for (int i = 0; i < NUMBERS; i++)
		if ((has & 1U << i) != 0 && (*number_of(e, i) = unpack_u64(&u)) == 0)
			return false;
	for (int i = 0; i < EVENT_TEXTS; i++) {
		size_t len;

		if ((has & 1U << (HAS_TEXT + i)) == 0)
			continue;
		len = unpack_u16(&u);
		if (len == 0 || len > EVENT_TEXT_MOST || len > u.rest.len)
			return false;
		e->text[i] = bytes_cut(u.rest, 0, len);
		u.rest = bytes_cut(u.rest, len, SIZE_MAX);
	}
	return unpack_done(&u);
}

bool
event_next(struct bytes *rest, struct bytes *packed, struct event *e, bool *broken)
{
	struct unpack u = unpack_of(*rest);
	size_t        len;

	if (rest->len == 0)
		return false;
	len = unpack_u16(&u);
	if (u.broken || len > u.rest.len || !event_unpack(bytes_cut(u.rest, 0, len), e)) {
		*broken = true;
		return false;
	}
	*packed = bytes_cut(u.rest, 0, len);
	*rest = bytes_cut(u.rest, len, SIZE_MAX);
	return true;
}
