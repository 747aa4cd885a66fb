/*
 * sender -- takes letters to other hosts
 *
 * The queue says SEND: a letter, recipients of one destination; what becomes of each SENT says (sender-delivery.c).
 * It reads letters from the descriptor that comes with SEND, opens no file, and has alone the passwords for other hosts.
 */
#include "role/sender.h"
#include "directory/resolve.h"
#include "role/enquiry.h"
#include "role/inquest.h"
#include "role/names.h"
#include "role/transports.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LEAVE_MS = 5000 };

/* ---- the card -------------------------------------------------------------------------------------- */

static bool
is_lmtp(const struct transport *t)
{
	return t != NULL && t->kind == BY_LMTP;
}

/* What each transport has of its own.  What is under way goes on by the new ones. */
static void
rows_new(struct house *h)
{
	struct sender_role *s = sender_of(h);
	struct arena       *a = arena_open(NULL);
	struct transports  *all = arena_take(a, sizeof *all);
	size_t              place = 0;
	const char         *name;

	if (s->rows_of == NULL)
		s->rows_of = map_open();
	transports_read(h->settings, a, all);
	while ((name = transports_name(h->settings, false, &place)) != NULL) {
		struct sender_settings *own = map_get(s->rows_of, bytes_of(name));

		if (own == NULL) {
			own = memory_take(sizeof *own);
			(void)map_put(s->rows_of, bytes_of(name), own);
		}
		(void)house_settings(h, &sender_setting_table, name, own);
		if (strcmp(name, TRANSPORT_SMTPS) == 0) {
			own->tls_wrapper = true;
			own->tcp_port = own->tcp_port == s->rows.tcp_port ? SMTPS : own->tcp_port;
		}
		if (is_lmtp(transport_named(all, bytes_of(name))))
			(void)house_settings(h, sender_lmtp_setting_table(), name, own);
	}
	arena_close(&a);
}

static void
settings_new(struct house *h)
{
	struct resolve_rules rules;
	struct sender_role  *s = sender_of(h);

	(void)house_settings(h, &sender_setting_table, NULL, &s->rows);
	(void)house_settings(h, &common_setting_table, NULL, &s->common);
	s->notify = mishap_classes(h, NULL);
	if (house_settings(h, &resolve_setting_table, NULL, &rules)) {
		s->mydestination = rules.mydestination;
		s->relayhost = rules.relayhost;
	}
	rows_new(h);
	sender_tls_forget(h);
	sender_tls_begin(h);
}

static void
sender_reload(struct house *h)
{
	struct sender_role *s = sender_of(h);

	for (struct delivery *d = s->first; d != NULL; d = d->next)
		for (struct asked *a = d->asked; a != NULL; a = a->next)
			if (!a->done)
				lookup_clear(&a->lookup);
	for (struct delivery *d = s->first; d != NULL; d = d->next)
		sender_lookups_drop(d);
	sender_sts_forget(h);
	settings_new(h);
	sender_tables_open(h);
	tables_reload(s->tables);
	resolver_close(&s->resolver);
	s->resolver = house_resolver(h);
	for (struct delivery *d = s->first, *next; d != NULL; d = next) {
		next = d->next;
		if (d->asking == 0)
			continue;
		d->asked = NULL;
		d->asking = 0;
		delivery_heard(d);
	}
}

static void
sender_tables(struct house *h)
{
	tables_reload(sender_of(h)->tables);
}

static void
leave_now(void *ctx)
{
	struct house       *h = ctx;
	struct sender_role *s = sender_of(h);

	if (s->left)
		return;
	s->left = true;
	deliveries_end(h, false);
	house_leave(h);
}

static void
leave_when_free(void *ctx)
{
	struct house       *h = ctx;
	struct sender_role *s = sender_of(h);

	if (h->leaving && !s->left && s->first == NULL && !contacts_busy(h))
		leave_now(h);
}

static bool
sender_start(struct house *h)
{
	struct sender_role *s = memory_take(sizeof *s);

	h->mine = s;
	questions_open(&s->questions, h);
	s->idle = map_open();
	s->refusals = map_open();
	s->chunkless = map_open();
	sender_past_open(h);
	settings_new(h);
	s->tables = tables_open(h, NULL, NULL);
	sender_tables_open(h);
	s->inquests = inquests_open(h);
	s->resolver = house_resolver(h);
	s->leaving = timer_open(h->loop, leave_now, h);
	loop_at_rest(h->loop, leave_when_free, h);
	return true;
}

static bool
sender_hear(struct house *h, enum role from, uint32_t index, enum word word, uint32_t ticket,
            struct bytes body, int fd)
{
	(void)from;
	if (word == WORD_TLSRPT && fd < 0)
		return hear_tlsrpt(h, ticket, body);
	if (word == WORD_SEND || word == WORD_PROBE)
		return hear_send(h, word == WORD_PROBE ? index : 0, ticket, word == WORD_PROBE,
		                 body, fd);
	if (fd >= 0)
		(void)close(fd);
	if (word == WORD_HURRY)
		return hear_hurry(h, ticket);
	if (word == WORD_REFITTED)
		return question_heard(&sender_of(h)->questions, ticket, body);
	if (word == WORD_TABLE_SAID_ALL)
		return inquests_heard(sender_of(h)->inquests, ticket, body);
	return word == WORD_TABLE_SAID && enquiries_heard(sender_of(h)->enquiries, ticket, body);
}

static void
sender_peer(struct house *h, enum role role, uint32_t index)
{
	(void)index;
	if (role == VERIFIER)
		questions_wait_over(&sender_of(h)->questions);
	if (role == PROXYMAP) {
		enquiries_met(sender_of(h)->enquiries);
		inquests_met(sender_of(h)->inquests);
	}
}

static void
sender_lost(struct house *h, enum role role, uint32_t index)
{
	if (role == VERIFIER)
		questions_lost(&sender_of(h)->questions, index);
	if (role == PROXYMAP) {
		enquiries_lost(sender_of(h)->enquiries);
		inquests_lost(sender_of(h)->inquests);
	}
	if (role == QUEUE)
		deliveries_queue_lost(h);
	if (role == POLICY)
		deliveries_end(h, true);
}

/* What is begun is brought to its end, for a while. */
static void
sender_stop(struct house *h)
{
	contacts_leave(h);
	timer_set(sender_of(h)->leaving, LEAVE_MS);
	loop_again(h->loop);
}

static void
sender_status(struct house *h, uint32_t *connections, struct buffer *text)
{
	struct sender_role *s = sender_of(h);

	*connections = s->sessions;
	buffer_printf(text, "sending=%" PRIu32 " sent=%" PRIu64, s->deliveries, s->sent);
}

const struct role_card sender_card = {
	.name = "sender",
	.start = sender_start,
	.hear = sender_hear,
	.peer = sender_peer,
	.lost = sender_lost,
	.reload = sender_reload,
	.tables = sender_tables,
	.stop = sender_stop,
	.status = sender_status,
};
