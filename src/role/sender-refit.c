/*
 * sender-refit -- letters are fitted to the road they go: smtp_generic_maps, smtp_header_checks, hosts without 8BITMIME
 *
 * The addresses of the envelope are looked up here.  What is within the letter a verifier tells (REFIT), and it says what
 * is to stand instead: senders parse no letters.
 */
#include "directory/lookup.h"
#include "directory/resolve.h"
#include "role/inquest.h"
#include "role/sender.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum refit_state { REFIT_ENVELOPE, REFIT_TELLING, REFIT_LOOKING, REFIT_FITTING, REFIT_OVER };

struct refitting {
	struct question     question; /* first                                     */
	struct delivery    *delivery;
	enum refit_state    state;
	bool                open, seven;
	const struct bytes *address;
	uint32_t            addresses;
	struct refit_pair  *pair;
	uint32_t            pairs;
	struct inquest     *inquest; /* NULL: checks ask no table that is elsewhere */
};

/* ---- generic(5) ---- */

static const struct setting_list *
maps_of(const struct delivery *d)
{
	return d->w.lmtp ? &d->rows->lmtp_generic : &d->rows->generic;
}

static const struct setting_list *
checks_of(const struct delivery *d)
{
	return d->w.lmtp ? d->rows->lmtp_checks : d->rows->checks;
}

static bool
has_checks(const struct delivery *d)
{
	const struct setting_list *list = checks_of(d);

	for (size_t i = 0; i < CHECK_LISTS; i++)
		if (list[i].count > 0)
			return true;
	return false;
}

/* What stands for an address; itself when nothing does. */
static enum table_outcome
generic(struct delivery *d, struct bytes address, struct bytes *out)
{
	const char *propagate =
		settings_value(d->house->settings, "propagate_unmatched_extensions");
	ptrdiff_t          at = bytes_find_last(address, '@');
	struct bytes       value, extension;
	enum table_outcome o = sender_lookup_address(d, maps_of(d), address, &value, &extension);

	*out = address;
	if (o != TABLE_FOUND)
		return o == TABLE_NONE ? TABLE_FOUND : o;
	value = bytes_trim(value);
	if (value.len == 0 || bytes_find(value, '\n') >= 0 || bytes_find(value, '\r') >= 0)
		return TABLE_FOUND;
	if (value.at[0] == '@')
		value = bytes_of(arena_printf(d->life, "%.*s%.*s", (int)at, address.at,
		                              (int)value.len, value.at));
	else if (bytes_find(value, '@') < 0)
		value = bytes_of(arena_printf(d->life, "%.*s@%s", (int)value.len, value.at,
		                              sender_of(d->house)->common.myorigin));
	if (propagate == NULL || strstr(propagate, "generic") == NULL)
		extension.len = 0;
	*out = arena_keep(d->life, lookup_extended(d->life, value, extension));
	return TABLE_FOUND;
}

/* All of them: so that all that is not known is asked for at once.  The worst of the outcomes. */
static enum table_outcome
generics(struct delivery *d, const struct bytes *from, uint32_t n, struct bytes *to)
{
	enum table_outcome all = TABLE_FOUND;

	for (uint32_t i = 0; i < n; i++) {
		enum table_outcome o = from[i].len > 0 ? generic(d, from[i], &to[i]) : TABLE_FOUND;

		if (from[i].len == 0)
			to[i] = from[i];
		if (o == TABLE_LATER || (o == TABLE_WAIT && all == TABLE_FOUND))
			all = o;
	}
	return all;
}

/* ---- the envelope ---- */

static enum table_outcome
envelope_fit(struct delivery *d)
{
	uint32_t               n = d->w.recipients;
	struct bytes          *from = arena_take_array(d->life, n + 1, sizeof *from);
	struct bytes          *to = arena_take_array(d->life, n + 1, sizeof *to);
	struct send_recipient *rcpt = arena_take_array(d->life, n, sizeof *rcpt);
	enum table_outcome     o;

	from[n] = d->w.sender;
	for (uint32_t i = 0; i < n; i++)
		from[i] = d->w.recipient[i].address;
	if ((o = generics(d, from, n + 1, to)) != TABLE_FOUND)
		return o;
	for (uint32_t i = 0; i < n; i++) {
		rcpt[i] = d->w.recipient[i];
		rcpt[i].address = to[i];
	}
	d->w.recipient = rcpt;
	d->w.sender = to[n];
	return TABLE_FOUND;
}

static enum table_outcome
fields_look(struct delivery *d, struct refitting *f)
{
	struct bytes      *to = arena_take_array(d->life, f->addresses, sizeof *to);
	enum table_outcome o = generics(d, f->address, f->addresses, to);

	f->pair = arena_take_array(d->life, f->addresses, sizeof *f->pair);
	f->pairs = 0;
	for (uint32_t i = 0; o == TABLE_FOUND && i < f->addresses; i++)
		if (!bytes_equal(to[i], f->address[i]))
			f->pair[f->pairs++] = (struct refit_pair){ f->address[i], to[i] };
	return o;
}

/* ---- the question ---- */

static void
refit_say(struct question *q)
{
	struct refitting *f = (struct refitting *)q;
	struct delivery  *d = f->delivery;
	struct link      *l = house_link(d->house, VERIFIER, q->verifier);

	word_pack_refit(link_begin(l, WORD_REFIT, q->ticket),
	                &(struct word_refit){ .transport = d->w.transport,
	                                      .lmtp = d->w.lmtp,
	                                      .tell = f->state == REFIT_TELLING,
	                                      .checks = has_checks(d),
	                                      .seven = f->seven,
	                                      .at = d->w.at,
	                                      .len = d->w.len,
	                                      .pair = f->pair,
	                                      .pairs = f->state == REFIT_TELLING ? 0 : f->pairs,
	                                      .known = f->inquest == NULL
	                                                       ? BYTES("")
	                                                       : inquest_known(f->inquest) });
	link_end_fd(l, d->fd);
}

/* Who asks why a signature does not hold finds it here. */
static void
note_signature(const struct delivery *d)
{
	char service[96], id[24];

	letter_id_text(d->w.letter, id);
	(void)snprintf(service, sizeof service, "%s/%s", sender_of(d->house)->common.syslog_name,
	               d->w.lmtp ? "lmtp" : "smtp");
	note_as(service,
	        "%s: %s takes seven bits alone, so the signature (DKIM) that the letter has does not hold there",
	        id, d->relay != NULL && *d->relay != '\0' ? d->relay : d->w.nexthop);
}

static void
fitted(struct delivery *d, struct refitting *f, const struct word_refitted *w)
{
	struct bytes packed = arena_keep(d->life, w->edits);

	d->walking = false;
	if (!edits_unpack(packed, d->life, &d->edits) || !edits_fit(&d->edits, d->w.len, 0)) {
		d->edits.count = 0;
		delivery_put_off(d, "4.3.0", "the letter cannot be made ready now");
		return;
	}
	f->state = REFIT_OVER;
	if (f->seven)
		d->w.eight_bit = false;
	if (f->seven)
		d->w.body = BODY_7BIT;
	if (f->seven && w->is_signed)
		note_signature(d);
	delivery_heard(d);
}

static void
ask_again(void *ctx)
{
	struct delivery *d = ctx;

	d->refit->open = true;
	question_ask(&sender_of(d->house)->questions, &d->refit->question);
}

/* The checks need tables that are elsewhere: those of this transport are asked, then it is made again. */
static void
ask_elsewhere(struct delivery *d, struct refitting *f, struct bytes wanted)
{
	if (f->inquest == NULL)
		f->inquest = inquest_open(sender_of(d->house)->inquests, ask_again, d);
	if (!inquest_ask(f->inquest, wanted, checks_of(d), CHECK_LISTS))
		delivery_put_off(d, "4.3.0", "the letter cannot be made ready now");
}

static void
refit_heard(struct question *q, const struct bytes *body)
{
	struct refitting    *f = (struct refitting *)q;
	struct delivery     *d = f->delivery;
	struct word_refitted w;

	f->open = false;
	if (body == NULL || !word_unpack_refitted(arena_keep(d->life, *body), d->life, &w) ||
	    w.answer == REFIT_LATER) {
		delivery_put_off(d, "4.3.0", "the letter cannot be made ready now");
	} else if (w.answer == REFIT_CANNOT) {
		delivery_refuse(
			d, "5.6.3",
			"the letter cannot be made one of 7 bits, and the host takes no other");
	} else if (w.answer == REFIT_ASKS) {
		ask_elsewhere(d, f, w.edits);
	} else if (f->state == REFIT_TELLING) {
		f->address = w.address;
		f->addresses = w.addresses;
		f->state = REFIT_LOOKING;
		delivery_heard(d);
	} else {
		fitted(d, f, &w);
	}
}

static void
refit_ask(struct delivery *d, struct refitting *f, enum refit_state state)
{
	f->state = state;
	f->open = true;
	question_ask(&sender_of(d->house)->questions, &f->question);
}

/* ---- step after step ---- */

static bool
wait_or_end(struct delivery *d, enum table_outcome o)
{
	if (o == TABLE_LATER)
		delivery_put_off(d, "4.3.0", "smtp_generic_maps cannot be asked");
	return false;
}

bool
sender_refit(struct delivery *d)
{
	struct refitting  *f = d->refit;
	enum table_outcome o;

	if (d->probe || (f == NULL && maps_of(d)->count == 0 && !has_checks(d)))
		return true;
	if (f == NULL) {
		f = d->refit = arena_take(d->life, sizeof *f);
		*f = (struct refitting){ .question = { .ask = refit_say, .answered = refit_heard },
			                 .delivery = d };
	}
	if (f->state == REFIT_ENVELOPE && maps_of(d)->count > 0) {
		if ((o = envelope_fit(d)) != TABLE_FOUND)
			return wait_or_end(d, o);
		refit_ask(d, f, REFIT_TELLING);
		return false;
	}
	if (f->state == REFIT_ENVELOPE)
		f->state = REFIT_LOOKING;
	if (f->state == REFIT_LOOKING) {
		if ((o = fields_look(d, f)) != TABLE_FOUND)
			return wait_or_end(d, o);
		if (f->pairs > 0 || has_checks(d)) {
			refit_ask(d, f, REFIT_FITTING);
			return false;
		}
		f->state = REFIT_OVER;
	}
	return f->state == REFIT_OVER;
}

/* The host takes 7 bits alone. */
void
sender_refit_seven(struct delivery *d)
{
	struct refitting *f = d->refit;

	if (f == NULL) {
		f = d->refit = arena_take(d->life, sizeof *f);
		*f = (struct refitting){ .question = { .ask = refit_say, .answered = refit_heard },
			                 .delivery = d };
	}
	f->seven = true;
	refit_ask(d, f, REFIT_FITTING);
}

void
sender_refit_drop(struct delivery *d)
{
	if (d->refit != NULL && d->refit->open)
		question_drop(&sender_of(d->house)->questions, &d->refit->question);
	if (d->refit != NULL)
		inquest_close(&d->refit->inquest);
}

/* ---- the letter as it goes ---- */

uint64_t
sender_content_len(const struct delivery *d)
{
	return d->edits.count > 0 ? edits_size(&d->edits, d->w.len) : d->w.len;
}

static uint64_t
piece_len(const struct edits_piece *p)
{
	return p->of == PIECE_BYTES ? p->bytes.len : p->len;
}

/* d->piece is the one with this byte of the letter; what is read goes on where it was, however many edits there are. */
static bool
piece_find(struct delivery *d, uint64_t at)
{
	if (!d->walking || at < d->piece_at) {
		d->walk = edits_walk_of(&d->edits, d->w.len);
		d->piece_at = 0;
		d->walking = edits_next(&d->walk, &d->piece);
	}
	while (d->walking && at - d->piece_at >= piece_len(&d->piece)) {
		d->piece_at += piece_len(&d->piece);
		d->walking = edits_next(&d->walk, &d->piece);
	}
	return d->walking;
}

size_t
sender_content(struct delivery *d, uint64_t at, char *to, size_t room)
{
	uint64_t from, left;
	ssize_t  n;

	if (!piece_find(d, at))
		return 0;
	from = at - d->piece_at;
	left = piece_len(&d->piece) - from;
	if (room > left)
		room = (size_t)left;
	if (d->piece.of == PIECE_BYTES) {
		memcpy(to, d->piece.bytes.at + from, room);
		return room;
	}
	do
		n = pread(d->fd, to, room, (off_t)(d->w.at + d->piece.at + from));
	while (n < 0 && errno == EINTR);
	return n > 0 ? (size_t)n : 0;
}
