/*
 * receiver-rewrite -- what the clerk has written instead of addresses of a letter, before it is judged: the sender of
 * the envelope; the fields of a letter that one of our users submits; and who gets a copy besides
 */
#include "role/receiver.h"

#include <errno.h>
#include <string.h>

#include "directory/resolve.h"
#include "message/address.h"
#include "message/envelope.h"
#include "policy/settings.h"

enum { ADDRESSES_MOST = 2000, ADDRESS_ROOM = 512, QUOTED_MOST = 20 };

/* A letter whose addresses the clerk looks at, in the letter's arena. */
struct rewriting {
	struct house  *house;
	struct letter *letter;
	uint32_t       ticket;
	void (*then)(struct house *, struct letter *, bool good);
	struct rewrite_address *asked;
	struct place {
		size_t at, len; /* of the field in the content */
	} * place;
	uint32_t addresses;
};

static const struct {
	const char *name;
	bool        sender;
} fields[] = {
	{ "From", true },
	{ "Sender", true },
	{ "Reply-To", true },
	{ "Resent-From", true },
	{ "Resent-Sender", true },
	{ "Resent-Reply-To", true },
	{ "To", false },
	{ "Cc", false },
	{ "Resent-To", false },
	{ "Resent-Cc", false },
	{ "Errors-To", true },
	{ "Return-Receipt-To", true },
	{ "Disposition-Notification-To", true },
	{ "Mail-Followup-To", true },
	{ "Apparently-To", false },
};

void
rewrite_settings(struct receiver *r)
{
	struct resolve_rules rules;

	if (!house_settings(r->house, &resolve_setting_table, NULL, &rules))
		return;
	r->rewrites_fields = resolve_rewrites(&rules, HEADER_SENDER) ||
	                     resolve_rewrites(&rules, HEADER_RECIPIENT);
	r->rewrites = r->rewrites_fields || resolve_rewrites(&rules, ENVELOPE_SENDER) ||
	              rules.always_bcc[0] != '\0' || rules.sender_bcc_maps.count > 0 ||
	              rules.recipient_bcc_maps.count > 0;
}

/* ---- the fields ------------------------------------------------------------------- */

bool
rewrite_is_field(struct bytes name, bool *sender)
{
	for (size_t i = 0; i < COUNT(fields); i++)
		if (bytes_is(name, fields[i].name)) {
			*sender = fields[i].sender;
			return true;
		}
	return false;
}

/* Where the field that begins at `at` ends: behind its last continuation line. */
static size_t
field_end(struct bytes content, size_t at)
{
	for (;;) {
		ptrdiff_t lf = bytes_find(bytes_cut(content, at, content.len), '\n');

		at = lf < 0 ? content.len : at + (size_t)lf + 1;
		if (at >= content.len || (content.at[at] != ' ' && content.at[at] != '\t'))
			return at;
	}
}

static void
gather_field(struct rewriting *w, struct bytes content, size_t at, size_t end)
{
	struct bytes     field = bytes_cut(content, at, end - at), name;
	ptrdiff_t        colon = bytes_find(field, ':');
	struct mailboxes list;
	struct mailbox   box;

	name = bytes_trim(bytes_cut(field, 0, colon < 0 ? 0 : (size_t)colon));
	for (size_t i = 0; i < COUNT(fields); i++) {
		if (!bytes_is(name, fields[i].name))
			continue;
		list = mailboxes_of(bytes_cut(field, (size_t)colon + 1, field.len),
		                    w->letter->life);
		while (w->addresses < ADDRESSES_MOST && mailboxes_next(&list, &box)) {
			struct address a = { box.local, box.domain };

			if (box.group_start || box.group_end || box.domain.len == 0)
				continue;
			w->place[w->addresses] = (struct place){ at, end - at };
			w->asked[w->addresses++] =
				(struct rewrite_address){ fields[i].sender,
				                          address_text(w->letter->life, &a) };
		}
		return;
	}
}

static void
gather(struct rewriting *w)
{
	struct bytes content = buffer_bytes(&w->letter->content);
	size_t       at = 0;

	w->asked = arena_take_array(w->letter->life, ADDRESSES_MOST, sizeof *w->asked);
	w->place = arena_take_array(w->letter->life, ADDRESSES_MOST, sizeof *w->place);
	while (at < content.len && content.at[at] != '\r' && content.at[at] != '\n') {
		size_t end = field_end(content, at);

		gather_field(w, content, at, end);
		at = end;
	}
}

static bool
part_of_address(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (unsigned char)c >= 0x80 ||
	       (c != '\0' && strchr(".!#$%&'*+-/=?^_`{|}~@\"", c) != NULL);
}

/* The field with one address in the place of another; names in quotes are nobody's address. */
void
rewrite_address_in(struct bytes field, struct bytes old, struct bytes new, struct buffer *out)
{
	bool   quoted = false;
	size_t from = 0;

	for (size_t i = 0; i < field.len; i++) {
		if (field.at[i] == '\\' && quoted) {
			i++;
			continue;
		}
		if (!quoted && i + old.len <= field.len &&
		    bytes_equal_nocase(bytes_cut(field, i, old.len), old) &&
		    (i == 0 || !part_of_address(field.at[i - 1])) &&
		    (i + old.len == field.len || !part_of_address(field.at[i + old.len]))) {
			buffer_add(out, bytes_cut(field, from, i - from));
			buffer_add(out, new);
			i += old.len - 1;
			from = i + 1;
			continue;
		}
		if (field.at[i] == '"')
			quoted = !quoted;
	}
	buffer_add(out, bytes_cut(field, from, field.len));
}

/* ---- many at once: a letter's addresses and its bytes are not multiplied ----------------- */

/* One in quotes may have anything in it, and is looked for by itself; of these some. */
struct rewrite_pairs {
	struct map  *plain;
	size_t       quoteds;
	struct bytes old[QUOTED_MOST];
	struct bytes instead[QUOTED_MOST];
};

struct rewrite_pairs *
rewrite_pairs_open(void)
{
	struct rewrite_pairs *p = memory_take(sizeof *p);

	p->plain = map_open();
	return p;
}

void
rewrite_pairs_close(struct rewrite_pairs **pp)
{
	map_close(&(*pp)->plain);
	memory_free(*pp);
	*pp = NULL;
}

static bool
lower_in(struct bytes text, char out[static ADDRESS_ROOM])
{
	if (text.len > ADDRESS_ROOM)
		return false;
	for (size_t i = 0; i < text.len; i++)
		out[i] = ascii_lower(text.at[i]);
	return true;
}

void
rewrite_pairs_add(struct rewrite_pairs *p, struct bytes old, const struct bytes *instead)
{
	char lower[ADDRESS_ROOM];
	bool quoted = bytes_find(old, '"') >= 0;

	if (quoted && p->quoteds < QUOTED_MOST) {
		p->old[p->quoteds] = old;
		p->instead[p->quoteds++] = *instead;
	} else if (!quoted && lower_in(old, lower)) {
		(void)map_put(p->plain, (struct bytes){ lower, old.len },
		              (void *)(uintptr_t)instead);
	}
}

/* What is to stand for the address that begins at `at`, and how long that is; NULL: it stays. */
static const struct bytes *
instead_at(const struct rewrite_pairs *p, struct bytes field, size_t at, size_t *len)
{
	char   lower[ADDRESS_ROOM];
	size_t end = at;

	while (end < field.len && part_of_address(field.at[end]))
		end++;
	*len = end - at;
	return lower_in(bytes_cut(field, at, *len), lower)
	               ? map_get(p->plain, (struct bytes){ lower, *len })
	               : NULL;
}

static void
put_plain(const struct rewrite_pairs *p, struct bytes field, struct buffer *out)
{
	const struct bytes *instead;
	bool                quoted = false;
	size_t              from = 0, len;

	for (size_t i = 0; i < field.len; i++) {
		if (field.at[i] == '\\' && quoted) {
			i++;
			continue;
		}
		if (!quoted && part_of_address(field.at[i]) &&
		    (i == 0 || !part_of_address(field.at[i - 1])) &&
		    (instead = instead_at(p, field, i, &len)) != NULL) {
			buffer_add(out, bytes_cut(field, from, i - from));
			buffer_add(out, *instead);
			from = i + len;
			i = from - 1;
			continue;
		}
		if (field.at[i] == '"')
			quoted = !quoted;
	}
	buffer_add(out, bytes_cut(field, from, field.len));
}

void
rewrite_pairs_in(const struct rewrite_pairs *p, struct bytes field, struct buffer *out)
{
	struct buffer now = { 0 }, next = { 0 };

	put_plain(p, field, &now);
	for (size_t i = 0; i < p->quoteds; i++) {
		buffer_reset(&next);
		rewrite_address_in(buffer_bytes(&now), p->old[i], p->instead[i], &next);
		buffer_reset(&now);
		buffer_add(&now, buffer_bytes(&next));
	}
	buffer_add(out, buffer_bytes(&now));
	buffer_free(&now);
	buffer_free(&next);
}

/* All fields with what the clerk said instead of their addresses. */
static void
put_fields(struct rewriting *w, const struct word_rewrite *said)
{
	struct letter *l = w->letter;
	struct bytes   content = buffer_bytes(&l->content);
	struct buffer  out = { 0 };
	size_t         at = 0;

	for (uint32_t i = 0; i < w->addresses;) {
		struct place          p = w->place[i];
		struct rewrite_pairs *pairs = rewrite_pairs_open();

		buffer_add(&out, bytes_cut(content, at, p.at - at));
		for (; i < w->addresses && w->place[i].at == p.at; i++) {
			const struct bytes *new = &said->header[i].address;

			if (!bytes_equal(*new, w->asked[i].address) && bytes_find(*new, '\n') < 0 &&
			    bytes_find(*new, '\r') < 0)
				rewrite_pairs_add(pairs, w->asked[i].address, new);
		}
		rewrite_pairs_in(pairs, bytes_cut(content, p.at, p.len), &out);
		rewrite_pairs_close(&pairs);
		at = p.at + p.len;
	}
	if (w->addresses > 0) {
		buffer_add(&out, bytes_cut(content, at, content.len));
		buffer_reset(&l->content);
		buffer_add(&l->content, buffer_bytes(&out));
		if (!l->streamed)
			l->len = l->content.len;
	}
	buffer_free(&out);
}

/* ---- the question ------------------------------------------------------------------- */

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

static void
say_rewrite(const struct rewriting *w)
{
	struct link  *l = house_link(w->house, CLERK, 0);
	struct bytes *rcpt;

	if (l == NULL)
		return; /* asked when it comes */
	rcpt = arena_take_array(w->letter->life, w->letter->rcpts, sizeof *rcpt);
	for (uint32_t i = 0; i < w->letter->rcpts; i++)
		rcpt[i] = w->letter->rcpt[i].address;
	word_pack_rewrite(link_begin(l, WORD_REWRITE, w->ticket),
	                  &(struct word_rewrite){ .sender = w->letter->sender,
	                                          .copy = rcpt,
	                                          .copies = w->letter->rcpts,
	                                          .header = w->asked,
	                                          .headers = w->addresses });
	link_end(l);
}

bool
rewrite_ask(struct house *h, struct letter *l,
            void (*then)(struct house *, struct letter *, bool good))
{
	struct receiver  *r = receiver_of(h);
	struct rewriting *w;

	if (!r->rewrites || l->rewritten ||
	    (r->overrides[receiver_place(
		     r->house, l->config != NULL ? l->config : session_config(l->session))] &
	     OVERRIDE_MAPPINGS) != 0)
		return false;
	w = arena_take(l->life, sizeof *w);
	*w = (struct rewriting){
		.house = h, .letter = l, .ticket = ++r->next_ticket, .then = then
	};
	l->rewritten = true;
	if (l->header_origin != NULL && r->rewrites_fields)
		gather(w);
	(void)map_put(r->rewriting, ticket_key(&w->ticket), w);
	say_rewrite(w);
	return true;
}

bool
hear_rewritten(struct house *h, uint32_t ticket, struct bytes body)
{
	struct receiver    *r = receiver_of(h);
	struct arena       *scratch = arena_open(NULL);
	struct rewriting   *w;
	struct word_rewrite said;
	bool                whole = word_unpack_rewrite(body, scratch, &said);

	w = whole ? map_drop(r->rewriting, ticket_key(&ticket)) : NULL;
	if (w != NULL && said.headers != w->addresses)
		said.later = true;
	if (w != NULL && !said.later) {
		struct letter *l = w->letter;

		put_fields(w, &said);
		l->sender = arena_keep(l->life, said.sender);
		l->copy = arena_take_array(l->life, said.copies, sizeof *l->copy);
		l->copies = said.copies;
		if (l->rcpts + l->copies > ENVELOPE_RECIPIENTS_MOST)
			l->copies = ENVELOPE_RECIPIENTS_MOST - l->rcpts;
		for (uint32_t i = 0; i < l->copies; i++)
			l->copy[i] = arena_keep(l->life, said.copy[i]);
	}
	if (w != NULL)
		w->then(h, w->letter, !said.later);
	arena_close(&scratch);
	return whole;
}

void
rewrite_drop(struct receiver *r, const struct letter *l)
{
	for (struct map_place p = { 0 }; map_next(r->rewriting, &p);)
		if (((struct rewriting *)p.value)->letter == l)
			(void)map_drop(r->rewriting, p.key);
}

void
rewrite_again(struct receiver *r)
{
	for (struct map_place p = { 0 }; map_next(r->rewriting, &p);)
		say_rewrite(p.value);
}
