/*
 * queue-send -- what goes elsewhere
 *
 * A recipient that is not ours (queue-route.c) stands in the line of its destination (queue/line.h).  Destinations that have room
 * and somebody waiting take turns: one transaction each, with all recipients of one letter that wait there, to a sender
 * that has room.  How many may be under way to one destination the answers teach (queue/pace.h); one that nobody reaches is
 * left alone for a while, and then tried by one.
 *
 * Slots of senders are shared so that no destination, and not all that are slow or silent together, have the last of them: one that
 * answers may have as many as four times those that are free, one of which nothing is known a fourth of them, and one that was silent
 * is tried by one; of all slots seven tenths are for those of which nothing is known, and three twentieths for the silent.  Who
 * waits for one stands in a rota (queue/rota.h): whose letters had least goes first.
 */
#include "base/clock.h"
#include "base/random.h"
#include "message/digest.h"
#include "message/envelope.h"
#include "queue/line.h"
#include "queue/pace.h"
#include "role/queue.h"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum {
	DESTINATIONS_IDLE_MOST = 1000,
	PUT_OFF_EACH_TURN = 500,
	SHARE = 4,
	WAKE_EACH = 8,
	LOOK_PAST = 64
};
/* So many letters, and for so long, a destination goes on by a place it has, before another gets that. */
enum { RUN_MOST = 20, RUN_MS = 300 };
enum trust { UNKNOWN, ANSWERS, SILENT };

/* ---- destinations ---------------------------------------------------------------------------------- */

struct destination {
	char               *key, *nexthop;
	struct transport    transport;
	struct line         line; /* who waits                            */
	struct pace         pace;
	uint32_t            busy;
	enum trust          trust;
	int64_t             next_ms;       /* by its rate delay, patient           */
	int64_t             away_until_ms; /* nobody answers there        */
	char                why[400], status[12];
	struct away        *away;           /* who is put off, until it returns */
	bool                in_turn, given; /* given: its wait for a slot is over */
	struct destination *next;           /* of those in turn, or put off         */
	struct rota_member  place;          /* among those that are short of a slot */
	struct rota        *short_in;
};

/* What a sender was told and has not answered. */
struct sending {
	struct destination *to;
	struct letter      *letter;
	uint32_t            sender, ticket, rcpts;
	bool                slot;
	enum trust          trust; /* of `to` when it was given its slot */
	int64_t             said_us;
	bool                unreachable; /* it came to nothing               */
	uint32_t            run;         /* of its place: letters before it  */
	int64_t             run_ms;      /* the first of them began          */
	struct recipient  **rcpt;
	struct sending     *next; /* of those whose end is not durable yet */
};

/* ---- transports ---------------------------------------------------------------------------------- */

bool
queue_is_transport(const struct queue_role *k, struct bytes name)
{
	return transport_named(k->transports, name) != NULL;
}

/* The settings are new.  What is under way keeps what it began with; destinations go by the new ones. */
void
queue_transports_read(struct house *h)
{
	struct queue_role *k = queue_of(h);
	struct transports *all = memory_take(sizeof *all);

	transports_read(h->settings, k->life, all);
	for (struct map_place p = { 0 };
	     k->destinations != NULL && map_next(k->destinations, &p);) {
		struct destination     *d = p.value;
		const struct transport *t = transport_named(all, bytes_of(d->transport.name));

		if (t != NULL)
			d->transport = *t;
	}
	for (size_t i = 0; k->transports != NULL && i < all->count; i++) {
		const struct transport *before =
			transport_named(k->transports, bytes_of(all->one[i].name));

		all->one[i].next_ms = before != NULL ? before->next_ms : 0;
	}
	memory_free(k->transports);
	k->transports = all;
}

static struct bytes
number_key(const uint32_t *n)
{
	return (struct bytes){ (const char *)n, sizeof *n };
}

static char *
text_keep(const char *text)
{
	size_t n = strlen(text) + 1;

	return memcpy(memory_take(n), text, n);
}

static void
destination_drop(struct queue_role *k, struct destination *d)
{
	(void)map_drop(k->destinations, bytes_of(d->key));
	memory_free(d->key);
	memory_free(d->nexthop);
	queue_away_free(&d->away);
	memory_free(d);
}

/* What is known of destinations nobody goes to is not kept for ever. */
static void
destinations_sweep(struct queue_role *k)
{
	int64_t now = queue_now_ms();

	for (struct map_place p = { 0 }; map_next(k->destinations, &p);) {
		struct destination *d = p.value;
		if (d->line.waiting == 0 && d->busy == 0 && !d->in_turn && d->away_until_ms <= now)
			destination_drop(k, d);
	}
}

static struct destination *
destination_of(struct queue_role *k, const struct transport *t, const char *nexthop)
{
	struct destination *d;
	struct buffer       key = { 0 };

	buffer_printf(&key, "%s:%s", t->name, nexthop);
	d = map_get(k->destinations, buffer_bytes(&key));
	if (d == NULL) {
		if (map_count(k->destinations) >= k->destinations_most) {
			destinations_sweep(k);
			k->destinations_most =
				2 * map_count(k->destinations) + DESTINATIONS_IDLE_MOST;
		}
		buffer_add_char(&key, '\0');
		d = memory_take(sizeof *d);
		d->key = text_keep(key.at);
		d->nexthop = text_keep(nexthop);
		d->transport = *t;
		d->line.all = &k->in_line;
		pace_begin(&d->pace, &t->pace);
		(void)map_put(k->destinations, bytes_of(d->key), d);
	}
	buffer_free(&key);
	return d;
}

static void
take_turn(struct house *h, struct destination *d)
{
	struct queue_role *k = queue_of(h);

	if (!d->in_turn) {
		d->in_turn = true;
		d->next = NULL;
		*k->turn_last = d;
		k->turn_last = &d->next;
	}
	errand_set(h->loop, &k->send);
}

void
queue_service_name(const struct queue_role *k, const struct transport *t, char out[static 96])
{
	(void)snprintf(out, 96, "%s/%s", k->common.syslog_name, t->service);
}

static void
put_off(struct house *h, struct destination *d, struct recipient *r)
{
	char                 service[96];
	struct queue_attempt by = { service, "none", 0, 0, 0, "" };
	struct buffer        text = { 0 };

	queue_service_name(queue_of(h), &d->transport, service);
	queue_away_waits(queue_of(h)->queue, &d->away, r->letter->id);
	buffer_printf(&text, "delivery temporarily suspended: %s", d->why);
	buffer_add_char(&text, '\0');
	queue_conclude_by(h, r, EVENT_LATER, "deferred", d->status, text.at, &by);
	buffer_free(&text);
}

void
queue_line_up(struct house *h, struct recipient *r, const struct transport *t, const char *nexthop)
{
	struct destination *d = destination_of(queue_of(h), t, nexthop);

	if (d->away_until_ms > queue_now_ms()) {
		put_off(h, d, r);
		return;
	}
	r->turn = rota_turn(&queue_of(h)->turns, queue_party(r->letter, queue_sender_name(r)));
	line_join(&d->line, r, queue_sender_name(r));
	if (d->place.place != 0)
		rota_join(d->short_in, &d->place, r->letter->handling.priority, r->turn);
	take_turn(h, d);
}

/* ---- to a sender ----------------------------------------------------------------------------------------------- */

/* One that has room, the same for one destination while it can be: its connections are there. */
static bool
sender_choose(struct house *h, const struct destination *d, uint32_t *out)
{
	struct queue_role *k = queue_of(h);
	uint32_t           n = house_peers(h, SENDER), first;

	if (n == 0 || n > SENDERS_MOST)
		return false;
	first = (uint32_t)(hash_of(bytes_of(d->key)) % n);
	for (uint32_t i = 0; i < n; i++) {
		*out = (first + i) % n;
		if (house_link(h, SENDER, *out) != NULL &&
		    k->at_sender[*out] < (uint32_t)k->rows.processes)
			return true;
	}
	return false;
}

static bool
go_together(const struct recipient *a, const struct recipient *b)
{
	return strcmp(queue_sender_outside(a), queue_sender_outside(b)) == 0;
}

/* Of transports that have a delay between any two deliveries. */
static struct transport *
spaced(const struct queue_role *k, const struct destination *d)
{
	return d->transport.spacing_ms > 0
	               ? transport_named(k->transports, bytes_of(d->transport.name))
	               : NULL;
}

/* When the next may go there. */
static int64_t
next_of(const struct queue_role *k, const struct destination *d)
{
	const struct transport *t = spaced(k, d);

	return t != NULL && t->next_ms > d->next_ms ? t->next_ms : d->next_ms;
}

/* The next in line, and recipients of its letter that wait here too. */
static struct sending *
sending_make(struct queue_role *k, struct destination *d)
{
	uint32_t          most = (uint32_t)d->transport.recipients;
	struct sending   *s = memory_take(sizeof *s);
	struct transport *t = spaced(k, d);

	s->to = d;
	s->said_us = clock_wall_us();
	s->rcpt = memory_take((most < d->line.waiting ? most : d->line.waiting) * sizeof *s->rcpt);
	s->rcpts = line_take(&d->line, s->rcpt, most, go_together);
	s->letter = s->rcpt[0]->letter;
	rota_served(&k->turns, s->rcpt[0]->turn);
	d->next_ms = clock_patient_ms() + d->transport.rate_ms;
	if (t != NULL)
		t->next_ms = clock_patient_ms() + t->spacing_ms;
	while (s->ticket = ++k->next_ticket,
	       s->ticket == 0 || map_get(k->sending, number_key(&s->ticket)) != NULL)
		continue;
	d->busy++;
	return s;
}

static void
sending_close(struct queue_role *k, struct sending *s)
{
	(void)map_drop(k->sending, number_key(&s->ticket));
	s->to->busy--;
	if (s->slot) {
		k->slots[s->trust]--;
		k->at_sender[s->sender]--;
	}
	memory_free(s->rcpt);
	memory_free(s);
}

/* The same for all of them. */
static void
sending_fail(struct house *h, struct sending *s, enum recipient_event e, const char *how,
             const char *status, const char *text)
{
	for (uint32_t i = 0; i < s->rcpts; i++)
		if (e == EVENT_LOST)
			queue_event(queue_of(h)->queue, s->rcpt[i], e, NULL, NULL, queue_now_ms());
		else
			queue_conclude(h, s->rcpt[i], e, how, status, text);
	sending_close(queue_of(h), s);
}

/* The envelope of this letter.  It is kept until another letter's is asked for: one to many goes in many transactions, and to read
   fifty thousand recipients for each would take longer than to send them.  0 or errno. */
static int
envelope_of(struct queue_role *k, const struct letter *l, struct envelope **out)
{
	struct queue_envelope *kept = &k->envelope;
	struct bytes           packed;
	int                    why;

	*out = &kept->envelope;
	if (kept->letter == l->id && kept->segment == l->envelope_segment &&
	    kept->at == l->envelope_at)
		return 0;
	arena_close(&kept->life);
	kept->life = arena_open(NULL);
	kept->letter = 0;
	why = letters_envelope(spool_letters(k->spool), l->envelope_segment, l->envelope_at, l->id,
	                       kept->life, &packed);
	if (why == 0 && !envelope_unpack(packed, kept->life, &kept->envelope))
		why = EBADMSG;
	if (why == 0) {
		kept->letter = l->id;
		kept->segment = l->envelope_segment;
		kept->at = l->envelope_at;
	}
	return why;
}

/* The letter's trace fields and what else the sender needs of the envelope.  0 or errno. */
static int
send_fill(struct queue_role *k, const struct sending *s, struct word_send *w)
{
	struct envelope *e;
	struct digest    digest;
	int              why = envelope_of(k, s->letter, &e);

	if (why != 0)
		return why;
	w->prefix = e->prefix;
	w->envid = e->envid;
	w->client = e->client;
	w->helo = e->helo;
	w->protocol = e->protocol;
	w->port = e->origin.port;
	w->solicit = e->origin.solicit;
	w->ret = e->ret;
	w->body = e->body;
	w->flags = e->flags;
	w->handling = e->handling;
	w->eight_bit = digest_view(e->digest, &digest) ? (digest.flags & DIGEST_8BIT) != 0
	                                               : e->body == BODY_8BITMIME;
	return 0;
}

static int64_t
age_of(const struct letter *l)
{
	int64_t us = clock_wall_us() - l->arrived_us;

	return us > 0 ? us / 1000000 : 0;
}

/* Of all places at senders, those in use; false: there is no sender. */
static bool
slots_count(struct house *h, uint32_t *all, uint32_t *used)
{
	struct queue_role *k = queue_of(h);
	uint32_t           n = house_peers(h, SENDER);

	*all = *used = 0;
	for (uint32_t i = 0; i < n && i < SENDERS_MOST; i++)
		if (house_link(h, SENDER, i) != NULL) {
			*all += (uint32_t)k->rows.processes;
			*used += k->at_sender[i];
		}
	return *all > 0;
}

/* Whether destinations of which this is known may have a slot more. */
static bool
trust_has_slot(const struct queue_role *k, enum trust t, uint32_t all, uint32_t used)
{
	switch (t) {
	case UNKNOWN: return k->slots[UNKNOWN] * 10 < all * 7;
	case SILENT: return k->slots[SILENT] == 0 || k->slots[SILENT] * 20 < all * 3;
	default: return used < all;
	}
}

/* Somebody waits for a slot and could have one.  Who waits until others of its kind are done, as where the silent have all that is theirs,
   is in nobody's way, and nobody else loses anything by it. */
static bool
somebody_is_short(struct house *h)
{
	struct queue_role *k = queue_of(h);
	uint32_t           all, used;

	if (slots_count(h, &all, &used) && used == all)
		used--; /* the next that is free */
	for (int t = UNKNOWN; t <= SILENT; t++)
		if (rota_first(&k->short_of[t]) != NULL &&
		    trust_has_slot(k, (enum trust)t, all, used))
			return true;
	return false;
}

/* The connection is worth keeping: unless its place is another's next. */
static bool
more_follows(struct house *h, const struct sending *s)
{
	return s->to->line.waiting > 0 && (s->run + 1 < RUN_MOST || !somebody_is_short(h));
}

static int
say_send(struct house *h, struct sending *s)
{
	struct queue_role     *k = queue_of(h);
	struct arena          *a = arena_open(NULL);
	struct send_recipient *to = arena_take_array(a, s->rcpts, sizeof *to);
	struct link           *l = house_link(h, SENDER, s->sender);
	struct word_send       w = { .letter = s->letter->id,
		                     .transport = s->to->transport.name,
		                     .nexthop = s->to->nexthop,
		                     .lmtp = s->to->transport.kind == BY_LMTP,
		                     .more = more_follows(h, s),
		                     .at = s->letter->content_at,
		                     .len = s->letter->content_len,
		                     .age_s = age_of(s->letter),
		                     .sender = bytes_of(queue_sender_outside(s->rcpt[0])),
		                     .recipient = to,
		                     .recipients = s->rcpts };
	int                    why = send_fill(k, s, &w), fd = -1;

	if (*s->rcpt[0]->sender != '\0' &&
	    s->letter->handling.verp.len ==
	            0) { /* rfc3461:5.2.7.1 (b): of a list nothing is derived */
		w.envid = BYTES("");
		w.ret = 0;
	}

	for (uint32_t i = 0; i < s->rcpts; i++)
		to[i] = (struct send_recipient){ bytes_of(s->rcpt[i]->address),
			                         bytes_of(s->rcpt[i]->orcpt), s->rcpt[i]->notify };
	queue_tls_tell(h, a, &w);
	if (why == 0 && (fd = letters_fd(spool_letters(k->spool), s->letter->content_segment)) < 0)
		why = errno;
	if (why == 0) {
		word_pack_send(link_begin(l, WORD_SEND, s->ticket), &w);
		link_end_fd(l, fd);
	}
	arena_close(&a);
	return why;
}

/* A command of that user gets it (queue-pipe.c). */
static void
destination_pipes(struct house *h, struct destination *d)
{
	struct queue_role *k = queue_of(h);
	struct sending    *s = sending_make(k, d);

	s->sender = SENDERS_MOST; /* none */
	(void)map_put(k->sending, number_key(&s->ticket), s);
	queue_pipe(h, &(struct queue_piping){ .ticket = s->ticket,
	                                      .transport = d->transport.name,
	                                      .nexthop = d->nexthop,
	                                      .letter = s->letter,
	                                      .sender = queue_sender_name(s->rcpt[0]),
	                                      .rcpt = s->rcpt,
	                                      .rcpts = s->rcpts });
}

static bool
destination_sends(struct house *h, struct destination *d, uint32_t run, int64_t run_ms)
{
	struct queue_role *k = queue_of(h);
	struct sending    *s;
	uint32_t           sender;
	int                why;

	if (d->transport.kind == BY_PIPE) {
		destination_pipes(h, d);
		return true;
	}
	if (!sender_choose(h, d, &sender))
		return false;
	s = sending_make(k, d);
	s->sender = sender;
	s->run = run;
	s->run_ms = run_ms;
	(void)map_put(k->sending, number_key(&s->ticket), s);
	why = say_send(h, s);
	if (why == 0) {
		k->at_sender[sender]++;
		s->slot = true;
		s->trust = d->trust;
		k->slots[d->trust]++;
		return true;
	}
	sending_fail(h, s, EVENT_LATER, "deferred", "4.3.0", letters_why(why));
	return true;
}

/* ---- not too quickly (rate delays) ----------------------------------------------------------------------------------- */

static void
delay_over(void *house)
{
	struct queue_role *k = queue_of(house);
	int64_t            now = clock_patient_ms(), next = INT64_MAX, at_ms;

	k->put_by_last = &k->put_by;
	for (struct destination *d; (d = *k->put_by_last) != NULL;) {
		if ((at_ms = next_of(k, d)) > now) {
			next = at_ms < next ? at_ms : next;
			k->put_by_last = &d->next;
			continue;
		}
		*k->put_by_last = d->next;
		d->in_turn = false;
		take_turn(house, d);
	}
	if (next != INT64_MAX)
		timer_set(k->delays, next - now);
}

/* Behind those that wait already: of a transport's destinations each has its turn. */
static void
wait_for_time(struct house *h, struct destination *d)
{
	struct queue_role *k = queue_of(h);

	d->in_turn = true;
	d->next = NULL;
	*k->put_by_last = d;
	k->put_by_last = &d->next;
	timer_set(k->delays, 1);
}

/* Whether it may have a slot more: one that is full, or has not answered, leaves some for others. */
static bool
may_have_slot(struct house *h, const struct destination *d)
{
	uint32_t all, used;

	if (d->transport.kind == BY_PIPE || !slots_count(h, &all, &used))
		return true; /* when a sender comes it goes on */
	if (used >= all || !trust_has_slot(queue_of(h), d->trust, all, used))
		return false;
	return d->busy == 0 || d->trust == SILENT ||
	       (d->trust == UNKNOWN ? d->busy * SHARE < all - used
	                            : d->busy < SHARE * (all - used));
}

/* Everybody in line waits for another time, some in each turn: there may be very many. */
static bool
put_line_off(struct house *h, struct destination *d)
{
	struct recipient *r;

	for (int n = 0; n < PUT_OFF_EACH_TURN; n++) {
		if ((r = line_leave(&d->line)) == NULL)
			return false;
		rota_back(&queue_of(h)->turns, queue_party(r->letter, queue_sender_name(r)));
		put_off(h, d, r);
	}
	return d->line.waiting > 0;
}

static void
turn_over(struct queue_role *k, struct destination *d)
{
	k->turn = d->next;
	if (k->turn == NULL)
		k->turn_last = &k->turn;
	d->in_turn = false;
}

/* It comes when a slot is free: whose letter goes first is whose turn it is, wherever it goes. */
static void
wait_for_slot(struct queue_role *k, struct destination *d)
{
	const struct recipient *r = line_first(&d->line);

	d->in_turn = true;
	d->short_in = &k->short_of[d->trust];
	rota_join(d->short_in, &d->place, r->letter->handling.priority, r->turn);
}

static struct destination *
destination_at(struct rota_member *m)
{
	return m != NULL ? (struct destination *)((char *)m - offsetof(struct destination, place))
	                 : NULL;
}

/* The first of those that wait and may have a slot; those of one kind that have enough already are looked past.  False: there is none. */
static bool
slot_give(struct house *h, enum trust t)
{
	struct queue_role  *k = queue_of(h);
	struct rota        *of = &k->short_of[t];
	struct destination *past[LOOK_PAST], *d;
	int                 n = 0;
	bool                given = false;

	while (!given && n < LOOK_PAST && (d = destination_at(rota_first(of))) != NULL) {
		rota_leave(of, &d->place);
		given = d->line.waiting == 0 || may_have_slot(h, d);
		if (!given)
			past[n++] = d;
	}
	if (given) {
		d->in_turn = false;
		d->given = true;
		take_turn(h, d);
	}
	while (n-- > 0)
		wait_for_slot(k, past[n]);
	return given;
}

/* What is known of it may have changed. */
static void
stand_again(struct house *h, struct destination *d)
{
	if (d->place.place != 0) {
		rota_leave(d->short_in, &d->place);
		d->in_turn = false;
	}
	take_turn(h, d);
}

/* The kind of destinations whose first has the earliest turn, of those that may have a slot and were not asked in vain. */
static int
trust_first(const struct queue_role *k, unsigned asked, uint32_t all, uint32_t used)
{
	const struct rota_member *best = NULL, *m;
	int                       first = -1;

	for (int t = UNKNOWN; t <= SILENT; t++) {
		m = rota_first(&k->short_of[t]);
		if (m == NULL || (asked & 1U << t) != 0 ||
		    !trust_has_slot(k, (enum trust)t, all, used))
			continue;
		if (best == NULL || m->priority > best->priority ||
		    (m->priority == best->priority && m->turn < best->turn)) {
			best = m;
			first = t;
		}
	}
	return first;
}

/* Slots may be free: some that wait for one are in turn again. */
static void
slots_free(struct house *h)
{
	struct queue_role *k = queue_of(h);
	uint32_t           all, used;
	unsigned           asked = 0;
	int                t;

	(void)slots_count(h, &all, &used);
	for (uint32_t n = 0; n < WAKE_EACH && used + n < all; n++) {
		if ((t = trust_first(k, asked, all, used)) < 0)
			return;
		if (!slot_give(h, (enum trust)t))
			asked |= 1U << t;
	}
}

/* Who waited has the slot that was found for it; who has just come stands behind those that wait. */
static bool
is_to_wait(struct house *h, struct destination *d)
{
	bool behind = !d->given && d->transport.kind != BY_PIPE && somebody_is_short(h);

	d->given = false;
	return behind || !may_have_slot(h, d);
}

/* One transaction of each destination that has room, and again from the beginning. */
static void
send_turn(void *house)
{
	struct house       *h = house;
	struct queue_role  *k = queue_of(h);
	struct destination *d;
	int64_t             now = queue_now_ms(), patient = clock_patient_ms();
	int                 off = 0;

	while (!h->leaving && off < 4 && (d = k->turn) != NULL) {
		bool away = d->away_until_ms > now;
		bool room = !away && d->busy < d->pace.window && d->line.waiting > 0;

		if (room && next_of(k, d) > patient) {
			turn_over(k, d);
			wait_for_time(h, d);
			continue;
		}
		if (room && is_to_wait(h, d)) {
			turn_over(k, d);
			wait_for_slot(k, d);
			continue;
		}
		if (room && !destination_sends(h, d, 0, patient))
			return; /* no sender has room: when one has, it goes on */
		turn_over(k, d);
		d->given = false;
		if (away && put_line_off(h, d)) {
			off++;
			take_turn(h, d);
		}
		if (room && d->line.waiting > 0 && d->busy < d->pace.window)
			take_turn(h, d);
	}
	if (k->turn == NULL && !h->leaving)
		slots_free(h);
	if (off > 0)
		loop_again(h->loop);
}

/* ---- what became of it ----------------------------------------------------------------------------------------------- */

/* Nobody is reached there: who waits is put off, and then one goes to see. */
static void
destination_away(struct house *h, struct destination *d, const char *status, const char *why)
{
	int64_t wait_ms = queue_of(h)->rows.least_ms;

	/* Not all that were found silent in one moment are looked for in one. */
	d->away_until_ms = queue_now_ms() + wait_ms - wait_ms / 8 +
	                   (int64_t)random_below((uint64_t)wait_ms / 8 + 1);
	(void)snprintf(d->why, sizeof d->why, "%s", why);
	(void)snprintf(d->status, sizeof d->status, "%s", status);
	queue_away(&d->away, d->why);
	d->trust = SILENT;
	pace_probe(&d->pace);
	stand_again(h, d);
}

static void
destination_learns(struct house *h, struct destination *d, const struct word_sent *w)
{
	if (!w->unreachable) {
		d->away_until_ms = 0;
		d->trust = ANSWERS;
		queue_returned(h, &d->away);
		pace_good(&d->pace, &d->transport.pace, d->busy);
	} else if (pace_bad(&d->pace, &d->transport.pace) && w->recipients > 0) {
		destination_away(h, d, w->recipient[0].status, w->recipient[0].text);
	}
}

/* It has a connection that waits for more, and answers quickly: some letters go by it before its place is another's.  To come about
   takes longer than to go through, so each in turn by a connection of its own would be slow for all. */
static void
destination_goes_on(struct house *h, struct destination *d, uint32_t run, int64_t run_ms)
{
	int64_t patient = clock_patient_ms();

	if (!h->leaving && run < RUN_MOST && patient - run_ms < RUN_MS && d->line.waiting > 0 &&
	    d->busy < d->pace.window && d->away_until_ms <= queue_now_ms() &&
	    next_of(queue_of(h), d) <= patient && may_have_slot(h, d))
		(void)destination_sends(h, d, run, run_ms);
}

/* What it was at is over, and remembered: the place is free for the next. */
static void
sending_settle(struct house *h, struct sending *s)
{
	struct queue_role  *k = queue_of(h);
	struct destination *d = s->to;
	bool                goes_on = s->slot && !s->unreachable;
	uint32_t            run = s->run + 1;
	int64_t             run_ms = s->run_ms;

	sending_close(k, s);
	if (goes_on)
		destination_goes_on(h, d, run, run_ms);
	stand_again(h, d);
	slots_free(h);
}

static void settle(void *house);

static void
settle_run(void *house)
{
	struct queue_role *k = queue_of(house);

	k->settle_why = sent_sync(k->sent);
}

static void
settle_done(void *house)
{
	struct queue_role *k = queue_of(house);
	struct sending    *s = k->settling, *next;

	k->settling = NULL;
	sent_synced(k->sent);
	if (k->settle_why != 0)
		fault("spool/sent: %s: after a crash letters may go twice",
		      strerror(k->settle_why));
	k->settle_why = 0;
	for (; s != NULL; s = next) {
		next = s->next;
		sending_settle(house, s);
	}
	settle(house);
}

/* One sync for all that came in a turn; what comes meanwhile shares the next. */
static void
settle(void *house)
{
	struct house      *h = house;
	struct queue_role *k = queue_of(h);

	if (k->settling != NULL || k->unsettled == NULL)
		return;
	k->settling = k->unsettled;
	k->unsettled = NULL;
	if (sent_gather(k->sent))
		loop_job_brief(h->loop, settle_run, settle_done, h);
	else
		settle_done(h); /* the ledger has it already */
}

static bool
has_delivered(const struct word_sent *w)
{
	for (uint32_t i = 0; i < w->recipients; i++)
		if (w->recipient[i].result == SENT_DELIVERED)
			return true;
	return false;
}

/* rfc5321:4.5.3.1.10: it was one too many for this letter, and nothing is wrong with it: the host takes it with the next,
   and that need not wait. */
static bool
is_one_too_many(const struct sent_recipient *one)
{
	return one->result == SENT_LATER &&
	       (strcmp(one->status, "4.5.3") == 0 ||
	        bytes_search_nocase(bytes_of(one->text), BYTES("too many recipients")) >= 0);
}

/* Every recipient has a result. */
static void
sending_over(struct house *h, struct sending *s, const struct word_sent *w)
{
	/* clang-format off */
	static const struct { enum recipient_event event; const char *how; } means[] = {
		[SENT_DELIVERED] = { EVENT_DELIVERED, "sent" },
		[SENT_LATER] = { EVENT_LATER, "deferred" },
		[SENT_REFUSED] = { EVENT_REFUSED, "bounced" },
	};
	/* clang-format on */
	struct queue_role   *k = queue_of(h);
	bool                 some = false, delivered = has_delivered(w);
	char                 service[96];
	struct queue_attempt by = { .service = service,
		                    .said_us = s->said_us,
		                    .connect_us = w->connect_us,
		                    .transfer_us = w->transfer_us };

	queue_service_name(k, &s->to->transport, service);
	if (w->unreachable)
		queue_away_waits(k->queue, &s->to->away, s->letter->id);
	for (uint32_t i = 0; i < s->rcpts; i++) {
		const struct sent_recipient *one = &w->recipient[i];

		if (one->loops && queue_pass_on(h, s->rcpt[i]))
			continue;
		by.relay = one->relay;
		by.tls = one->tls;
		if (*one->tls != '\0')
			s->rcpt[i]->tls = queue_text(k->queue, bytes_of(one->tls));
		if (one->final && one->result == SENT_DELIVERED)
			s->rcpt[i]->opened = OPENED_LIST;
		if (one->result == SENT_DELIVERED) {
			sent_add(k->sent, s->letter->id, s->rcpt[i]->address);
			some = true;
		}
		/* rfc3461:5.2.2: who was asked to tell tells. */
		if (one->dsn && one->result == SENT_DELIVERED)
			s->rcpt[i]->notify &= (uint8_t)~NOTIFY_SUCCESS;
		/* rfc2852:4.1.4: each relay is told of to whom asked for a trace. */
		if (one->result == SENT_DELIVERED && s->letter->handling.by_trace &&
		    (s->rcpt[i]->notify & NOTIFY_NEVER) == 0)
			s->rcpt[i]->notify |= NOTIFY_SUCCESS;
		queue_conclude_by(h, s->rcpt[i],
		                  delivered && is_one_too_many(one) ? EVENT_LOST
		                                                    : means[one->result].event,
		                  means[one->result].how, one->status, one->text, &by);
	}
	destination_learns(h, s->to, w);
	s->unreachable = w->unreachable;
	queue_tls_learn(h, s->to->nexthop, w);
	(void)map_drop(k->sending, number_key(&s->ticket));
	if (some) {
		s->next = k->unsettled;
		k->unsettled = s;
		errand_set(h->loop, &k->settle);
	} else {
		sending_settle(h, s);
	}
}

bool
hear_sent(struct house *h, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct sending  *s = map_get(queue_of(h)->sending, number_key(&ticket));
	struct arena    *a = arena_open(NULL);
	struct word_sent w;
	bool             whole = word_unpack_sent(body, a, &w) &&
	             (s == NULL || (s->sender == index && s->rcpts == w.recipients));

	if (whole && s != NULL)
		sending_over(h, s, &w);
	arena_close(&a);
	queue_pump(h);
	return whole;
}

void
queue_piped(struct house *h, uint32_t ticket, const struct word_delivered *w, int64_t transfer_us)
{
	static const enum sent_result results[] = { [DELIVER_DONE] = SENT_DELIVERED,
		                                    [DELIVER_LATER] = SENT_LATER,
		                                    [DELIVER_REFUSED] = SENT_REFUSED };
	struct sending               *s = map_get(queue_of(h)->sending, number_key(&ticket));
	struct arena                 *a = arena_open(NULL);
	struct sent_recipient *each = arena_take_array(a, s != NULL ? s->rcpts : 1, sizeof *each);

	for (uint32_t i = 0; s != NULL && i < s->rcpts; i++)
		each[i] = (struct sent_recipient){ .result = (uint8_t)results[w->result],
			                           .status = w->status,
			                           .text = w->text,
			                           .relay = s->to->transport.name,
			                           .tls = "",
			                           .final = s->to->transport.final };
	if (s != NULL)
		sending_over(h, s,
		             &(struct word_sent){ .transfer_us = (uint64_t)transfer_us,
		                                  .recipient = each,
		                                  .recipients = s->rcpts });
	arena_close(&a);
}

void
queue_pipe_lost(struct house *h, uint32_t ticket)
{
	struct sending *s = map_get(queue_of(h)->sending, number_key(&ticket));

	if (s == NULL)
		return;
	take_turn(h, s->to);
	sending_fail(h, s, EVENT_LOST, NULL, NULL, NULL);
}

/* What it had in hand is tried again; whether a host had it already and only we have not heard of it, nobody knows. */
void
queue_sender_lost(struct house *h, uint32_t index)
{
	struct queue_role *k = queue_of(h);

	for (struct map_place p = { 0 }; map_next(k->sending, &p);) {
		struct sending *s = p.value;

		if (s->sender != index)
			continue;
		take_turn(h, s->to);
		sending_fail(h, s, EVENT_LOST, NULL, NULL, NULL);
	}
	slots_free(h);
	queue_pump(h);
}

/* ---- the rest ------------------------------------------------------------------------------------------------------------ */

void
queue_destinations_free(struct house *h)
{
	for (struct map_place p = { 0 }; map_next(queue_of(h)->destinations, &p);)
		((struct destination *)p.value)->away_until_ms = 0;
}

void
queue_destinations_leap(struct house *h, int64_t ms)
{
	for (struct map_place p = { 0 }; map_next(queue_of(h)->destinations, &p);) {
		struct destination *d = p.value;

		if (d->away_until_ms != 0)
			d->away_until_ms += ms;
	}
}

void
queue_send_status(struct house *h, struct buffer *text)
{
	struct queue_role *k = queue_of(h);

	buffer_printf(text, " sending=%zu destinations=%zu", map_count(k->sending),
	              map_count(k->destinations));
}

void
queue_send_open(struct house *h)
{
	struct queue_role *k = queue_of(h);

	k->destinations = map_open();
	k->destinations_most = DESTINATIONS_IDLE_MOST;
	k->sending = map_open();
	k->turn_last = &k->turn;
	k->put_by_last = &k->put_by;
	k->delays = timer_open(h->loop, delay_over, h);
	queue_route_open(h);
	k->send = (struct errand){ .go = send_turn, .ctx = h };
	k->settle = (struct errand){ .go = settle, .ctx = h };
}
