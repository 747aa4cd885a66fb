/*
 * queue-send -- one transaction: recipients of a letter that go to the same destination are told to a sender, and what became of
 * each is heard
 *
 * What a host has taken is written down (queue/sent.h) before its place is given to another letter.
 */
#include "role/queue-send.h"
#include "base/clock.h"
#include "delivery/deliver.h"
#include "message/digest.h"
#include "message/envelope.h"
#include "queue/through.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* So many letters, and for so long, a destination goes on by a place it has, before another gets that. */
enum { RUN_MOST = 20, RUN_MS = 300 };
/* While others wait for its place a host has so long to say its first word. */
enum { FIRST_WORD_MS = 10000 };

/* What a sender was told and has not answered. */
struct sending {
	struct destination *to;
	struct letter      *letter;
	uint32_t            sender, ticket, rcpts;
	bool                slot;
	enum trust          trust; /* of `to` when it was given its slot */
	int64_t             said_us;
	bool                unreachable; /* it came to nothing               */
	int64_t             hurried_ms;  /* when its sender was told that others wait, 0 */
	uint32_t            run;         /* of its place: letters before it  */
	int64_t             run_ms;      /* the first of them began          */
	struct recipient  **rcpt;
	struct sending     *next; /* of those whose end is not durable yet */
};

static struct bytes
number_key(const uint32_t *n)
{
	return (struct bytes){ (const char *)n, sizeof *n };
}

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
	return strcmp(queue_sender_outside(a), queue_sender_outside(b)) == 0 &&
	       strcmp(a->through, b->through) == 0;
}

/* The next in line, and recipients of its letter that wait here too. */
static struct sending *
sending_make(struct queue_role *k, struct destination *d)
{
	uint32_t          most = (uint32_t)d->transport.recipients;
	struct sending   *s = memory_take(sizeof *s);
	struct transport *t = destination_spaced(k, d);

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
int
queue_envelope(struct queue_role *k, const struct letter *l, struct envelope **out)
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
	int              why = queue_envelope(k, s->letter, &e);

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

/* The connection is worth keeping: unless its place is another's next. */
static bool
more_follows(struct house *h, const struct sending *s)
{
	return s->to->line.waiting > 0 && (s->run + 1 < RUN_MOST || !turn_is_short(h));
}

/* What stands before the letter: by which names of ours it came, then what it was given when it came in. */
static struct bytes
prefix_of(const struct sending *s, struct bytes prefix, struct arena *a)
{
	struct buffer all = { 0 };

	if (*s->rcpt[0]->through == '\0')
		return prefix;
	delivery_passed(through_passed(s->rcpt[0]->through), &all);
	buffer_add(&all, prefix);
	prefix = arena_keep(a, buffer_bytes(&all));
	buffer_free(&all);
	return prefix;
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

	w.prefix = prefix_of(s, w.prefix, a);
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
	                                      .passed = through_passed(s->rcpt[0]->through),
	                                      .rcpt = s->rcpt,
	                                      .rcpts = s->rcpts });
}

bool
sending_begin(struct house *h, struct destination *d, uint32_t run, int64_t run_ms)
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

/* Whom others wait for more: who was not asked yet, or longest ago, since a host that is slow with many letters and does not hang is asked
   in vain; then of the destination with most of them the one that waits longest. */
static bool
hurries_before(const struct sending *a, const struct sending *b)
{
	return a->hurried_ms != b->hurried_ms ? a->hurried_ms < b->hurried_ms
	       : a->to->busy != b->to->busy   ? a->to->busy > b->to->busy
	                                      : a->run_ms < b->run_ms;
}

/* Of those that have had the time for a first word. */
static struct sending *
silent_longest(struct queue_role *k, bool all_taken)
{
	struct sending *best = NULL;
	int64_t         now = clock_patient_ms();

	for (struct map_place p = { 0 }; map_next(k->sending, &p);) {
		struct sending *s = p.value;

		if (!s->slot || s->run > 0 || now - s->run_ms < FIRST_WORD_MS ||
		    (s->trust == ANSWERS && now - s->run_ms < HURRY_HANGS_MS) ||
		    (s->trust != UNKNOWN && !all_taken) ||
		    (s->hurried_ms != 0 && now - s->hurried_ms < FIRST_WORD_MS))
			continue;
		if (best == NULL || hurries_before(s, best))
			best = s;
	}
	return best;
}

bool
sending_hurry(struct house *h, bool all_taken)
{
	struct sending *s = silent_longest(queue_of(h), all_taken);
	struct link    *l = s != NULL ? house_link(h, SENDER, s->sender) : NULL;

	if (l == NULL)
		return false;
	s->hurried_ms = clock_patient_ms();
	(void)link_begin(l, WORD_HURRY, s->ticket);
	link_end(l);
	return true;
}

/* ---- what became of it ----------------------------------------------------------------------------------- */

/* It has a connection that waits for more, and answers quickly: some letters go by it before its place is another's.  To come about
   takes longer than to go through, so each in turn by a connection of its own would be slow for all. */
static void
destination_goes_on(struct house *h, struct destination *d, uint32_t run, int64_t run_ms)
{
	int64_t patient = clock_patient_ms();

	if (!h->leaving && run < RUN_MOST && patient - run_ms < RUN_MS && d->line.waiting > 0 &&
	    d->busy < d->pace.window && d->away_until_ms <= queue_now_ms() &&
	    destination_next_ms(queue_of(h), d) <= patient && turn_may_have_slot(h, d))
		(void)sending_begin(h, d, run, run_ms);
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
	turn_again(h, d);
	turn_slots_free(h);
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
	k->settles = false;
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

	if (k->settles || (k->unsettled == NULL && !k->to_settle))
		return;
	k->settles = true;
	k->to_settle = false;
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
		if (one->result == SENT_DELIVERED && !is_verified_only(s->letter)) {
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
	destination_learns(h, s->to, w, s->hurried_ms != 0);
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
	turn_take(h, s->to);
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
		turn_take(h, s->to);
		sending_fail(h, s, EVENT_LOST, NULL, NULL, NULL);
	}
	turn_slots_free(h);
	queue_pump(h);
}
/* ---- the rest ------------------------------------------------------------------------------------------ */

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
	turn_open(h);
	queue_route_open(h);
	k->settle = (struct errand){ .go = settle, .ctx = h };
}
