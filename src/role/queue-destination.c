/*
 * queue-destination -- where letters go that are not ours: who waits for each destination, and what is known of it
 *
 * A recipient that is not ours (queue-route.c) stands in the line of its destination (queue/line.h).  How many may be under way to one
 * destination the answers teach (queue/pace.h); one that nobody reaches is left alone for a while, and then tried by one.
 */
#include "base/clock.h"
#include "base/random.h"
#include "role/queue-send.h"
#include <stdio.h>
#include <string.h>

enum { PUT_OFF_EACH_TURN = 500 };

/* ---- transports ------------------------------------------------------------------------------------------ */

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

/* ---- destinations ---------------------------------------------------------------------------------------- */

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
	if (rota_waits(&d->place))
		rota_join(d->short_in, &d->place, r->letter->handling.priority, r->turn);
	turn_take(h, d);
}

/* Everybody in line waits for another time, some in each turn: there may be very many. */
bool
destination_put_off(struct house *h, struct destination *d)
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
	turn_again(h, d);
}

void
destination_learns(struct house *h, struct destination *d, const struct word_sent *w, bool hurried)
{
	bool hung = hurried && w->recipients > 0 && strcmp(w->recipient[0].status, "4.4.2") == 0;

	if (!w->unreachable && !hung) {
		d->away_until_ms = 0;
		d->trust = ANSWERS;
		queue_returned(h, &d->away);
		pace_good(&d->pace, &d->transport.pace, d->busy);
	} else if ((pace_bad(&d->pace, &d->transport.pace) || hurried) && w->recipients > 0) {
		destination_away(h, d, w->recipient[0].status, w->recipient[0].text);
	}
}

/* Of transports that have a delay between any two deliveries. */
struct transport *
destination_spaced(const struct queue_role *k, const struct destination *d)
{
	return d->transport.spacing_ms > 0
	               ? transport_named(k->transports, bytes_of(d->transport.name))
	               : NULL;
}

/* When the next may go there. */
int64_t
destination_next_ms(const struct queue_role *k, const struct destination *d)
{
	const struct transport *t = destination_spaced(k, d);

	return t != NULL && t->next_ms > d->next_ms ? t->next_ms : d->next_ms;
}

/* ---- the rest -------------------------------------------------------------------------------------------- */

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
