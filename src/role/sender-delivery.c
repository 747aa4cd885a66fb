/*
 * sender-delivery -- a SEND on its road: its hosts are found and tried one after another, until every recipient has a result
 *
 * Which hosts those are is found out here (smtp/sender/route.h) by the sender's own resolver (sender-answers.c).  SENT is said as
 * soon as the last result is known, and before the connection does anything else.  PROBE goes the same way, and ends before DATA.
 */
#include "base/clock.h"
#include "role/events.h"
#include "role/inquest.h"
#include "role/sender.h"
#include "role/transports.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- results ------------------------------------------------------------------------------ */

static void
delivery_close(struct delivery *d)
{
	struct sender_role *s = sender_of(d->house);
	struct arena       *life = d->life;

	for (struct asked *a = d->asked; a != NULL; a = a->next)
		lookup_clear(&a->lookup);
	sender_lookups_drop(d);
	sender_refit_drop(d);
	contact_part(d);
	*d->at = d->next;
	if (d->next != NULL)
		d->next->at = d->at;
	s->deliveries--;
	if (d->fd >= 0)
		(void)close(d->fd);
	arena_close(&life);
}

/* What the queue is to remember; said once. */
static struct word_sts
learned(struct delivery *d)
{
	struct sts_known *k = d->sts;

	if (k == NULL || !k->learned || d->probe)
		return (struct word_sts){ "", "", { NULL, 0 }, 0 };
	k->learned = false;
	return (struct word_sts){ k->domain, k->id, k->text, k->fetched_s };
}

static void
say_sent(struct delivery *d)
{
	enum role    who = d->probe ? POLICY : QUEUE;
	struct link *l = house_link(d->house, who, d->policy);
	int64_t      now = clock_wall_us(), ready = d->ready_us != 0 ? d->ready_us : now;

	if (!d->probe)
		sender_past_keep(d);
	if (l == NULL || sender_is_past(d))
		return; /* the next queue has it tried again */
	word_pack_sent(link_begin(l, d->probe ? WORD_PROBED : WORD_SENT, d->ticket),
	               &(struct word_sent){
			       .unreachable = !d->talked,
			       .connect_us =
				       ready > d->begun_us ? (uint64_t)(ready - d->begun_us) : 0,
			       .transfer_us = now > ready ? (uint64_t)(now - ready) : 0,
			       .sts = learned(d),
			       .tls = d->tls_result,
			       .tlss = d->tls_results,
			       .recipient = d->result,
			       .recipients = d->w.recipients });
	link_end(l);
	link_flush(l);
}

static void
result_set(struct delivery *d, uint32_t i, enum sent_result result, const char *status,
           const char *text)
{
	d->known[i] = true;
	d->result[i] = (struct sent_recipient){ (uint8_t)result,
		                                arena_copy(d->life, bytes_of(status)),
		                                arena_copy(d->life, bytes_of(text)),
		                                d->relay,
		                                d->tls,
		                                false,
		                                false,
		                                d->loops && result == SENT_REFUSED };
}

/* When nothing is asked about it any more, it is said. */
static void
delivery_finish(struct delivery *d)
{
	if (!sender_results_filter(d))
		return;
	sender_of(d->house)->sent++;
	say_sent(d);
	delivery_close(d);
}

/* Everybody else gets this, and it is over. */
static void
delivery_end(struct delivery *d, enum sent_result result, const char *status, const char *text)
{
	for (uint32_t i = 0; i < d->w.recipients; i++)
		if (!d->known[i])
			result_set(d, i, result, status, text);
	contact_part(d);
	d->ended = true;
	delivery_finish(d);
}

/* ---- hosts, one after another ----------------------------------------------------------------- */

/* By mode R there is a second at least: the queue returns what is too late. */
static int64_t
seconds_left(const struct handling *h)
{
	int64_t left = (h->by_us - clock_wall_us()) / 1000000;

	return h->by_mode == 'R' && left < 1 ? 1 : left;
}

static void
transaction_make(struct delivery *d)
{
	struct outgoing_transaction *t = &d->t;

	*t = (struct outgoing_transaction){
		.sender = d->w.sender,
		.envid = d->w.envid,
		.ret = d->w.ret,
		.binary = d->w.body == BODY_BINARYMIME,
		.eight_bit = d->w.eight_bit,
		.utf8 = (d->w.flags & ENVELOPE_SMTPUTF8) != 0,
		.require_tls = (d->w.flags & ENVELOPE_REQUIRETLS) != 0,
		.by_mode = d->w.handling.by_mode,
		.by_trace = d->w.handling.by_trace,
		.by = seconds_left(&d->w.handling),
		.priority = d->w.handling.priority,
		.solicit = d->w.solicit,
		.probe = d->probe || (d->w.flags & ENVELOPE_VERIFY) != 0,
		.size = d->w.prefix.len + sender_content_len(d),
		.seven = !d->rows->no_conversion,
		.origin = sender_origin(d),
		.rcpt = arena_take_array(d->life, d->w.recipients, sizeof *t->rcpt),
	};
	d->which = arena_take_array(d->life, d->w.recipients, sizeof *d->which);
	for (uint32_t i = 0; i < d->w.recipients; i++) {
		const struct send_recipient *r = &d->w.recipient[i];

		if (d->known[i])
			continue;
		d->which[t->rcpts] = i;
		t->rcpt[t->rcpts++] = (struct outgoing_recipient){ .address = r->address,
			                                           .orcpt = r->orcpt,
			                                           .notify = r->notify };
	}
}

static bool
is_over(const struct delivery *d)
{
	for (uint32_t i = 0; i < d->w.recipients; i++)
		if (!d->known[i])
			return false;
	return true;
}

static void delivery_go_on(struct delivery *);

/* Connects once it is known what is to be asked of the host. */
static void
host_begin(struct delivery *d)
{
	switch (sender_wishes(d, d->here)) {
	case WISHES_WAIT: return;
	case WISHES_KNOWN:
		if (sender_tables_ready(d, sender_host_name(d), d->here->peer.text))
			contact_begin(d, d->here, NULL);
		return;
	case WISHES_NOT: break;
	}
	d->relay = arena_printf(d->life, "%s[%s]:%u", d->here->name, d->here->peer.text,
	                        d->here->peer.port);
	delivery_go_on(d);
}

/* The place of the next host.  With how many of a destination we may begin to talk is bounded: then it is the turn of the
   destination that is named behind it, as smtp_fallback_relay is. */
static size_t
next_host(const struct delivery *d)
{
	const struct route_host *all = d->route.host;
	size_t                   most = (size_t)d->rows->session_most, i = d->host;

	while (most > 0 && d->sessions >= most && i > 0 && i < d->route.hosts &&
	       all[i].destination == all[i - 1].destination)
		i++;
	return i;
}

/* The next host, or the end. */
static void
delivery_go_on(struct delivery *d)
{
	const struct route_host *all = d->route.host;
	size_t                   i = next_host(d);

	if (is_over(d) || i >= d->route.hosts || sender_is_past(d)) {
		delivery_end(d, SENT_LATER, d->status, d->text);
		return;
	}
	if (i > 0 && all[i].destination != all[i - 1].destination)
		d->sessions = 0;
	transaction_make(d);
	d->local = d->helo = "";
	d->here = &all[i];
	d->host = i + 1;
	host_begin(d);
}

void
delivery_again(struct delivery *d)
{
	if (d->host > 0)
		d->host--;
	if (d->sessions > 0)
		d->sessions--;
}

/* As Postfix does: of a host that cannot be reached there is a line of its own, and of one that was no good while another is
   left for its letter. */
static void
note_trouble(const struct delivery *d, const char *words)
{
	const struct sender_role *s = sender_of(d->house);
	char                      service[96], id[24];

	if (d->probe)
		return;
	letter_id_text(d->w.letter, id);
	(void)snprintf(service, sizeof service, "%s/%s", s->common.syslog_name,
	               d->w.lmtp ? "lmtp" : "smtp");
	if (bytes_starts(bytes_of(words), BYTES("connect to ")))
		note_as(service, "%s", words);
	else if (next_host(d) < d->route.hosts)
		note_as(service, "%s: %s", id, words);
}

/* rfc8689:4.2.1: what one host does not promise to keep another of them may. */
static bool
is_asked_of_the_next(const struct delivery *d, enum outgoing_fate f, const char *status)
{
	return f == FATE_REFUSED && d->t.require_tls && strcmp(status, "5.7.30") == 0 &&
	       next_host(d) < d->route.hosts;
}

void
delivery_fate(struct delivery *d, uint32_t rcpt, enum outgoing_fate f, const char *status,
              const char *words, bool dsn)
{
	static const enum sent_result results[] = { [FATE_DELIVERED] = SENT_DELIVERED,
		                                    [FATE_REFUSED] = SENT_REFUSED,
		                                    [FATE_LATER] = SENT_LATER };
	uint32_t                      i = d->which[rcpt];

	if (f == FATE_ELSEWHERE || is_asked_of_the_next(d, f, status)) {
		note_trouble(d, words);
		result_set(d, i, SENT_LATER, status, words);
		d->known[i] = false;
		d->status = d->result[i].status;
		d->text = d->result[i].text;
		return;
	}
	result_set(d, i, results[f], status, words);
	d->result[i].dsn = dsn;
	d->result[i].final = d->w.lmtp && d->rows->assume_final && !dsn;
}

void
delivery_put_off(struct delivery *d, const char *status, const char *text)
{
	d->talked = true; /* nothing is wrong with any host */
	delivery_end(d, SENT_LATER, status, text);
}

void
delivery_refuse(struct delivery *d, const char *status, const char *text)
{
	delivery_end(d, SENT_REFUSED, status, text);
}

/* Those whom no other host is left for keep what was said of each. */
void
delivery_done(struct delivery *d)
{
	bool last;

	d->contact = NULL;
	if (d->t.wants_data && !d->by_data) {
		d->t.wants_data = false;
		d->by_data = true;
		sender_chunkless_note(d->house, d->relay);
		if (d->here != NULL)
			delivery_again(d); /* by another connection */
		d->here = NULL;
		delivery_heard(d);
		return;
	}
	if (d->t.wants_seven) {
		if (d->here != NULL)
			delivery_again(d);
		d->t.wants_seven = false;
		d->here = NULL;
		sender_refit_seven(d);
		return;
	}
	last = next_host(d) >= d->route.hosts;
	for (uint32_t i = 0; last && i < d->w.recipients; i++)
		if (d->result[i].status != NULL)
			d->known[i] = true;
	delivery_go_on(d);
}

/* Without a session nothing was told of single recipients. */
/* A host that was tried in vain. */
static void
tell_contact(const struct delivery *d)
{
	struct event e = { .kind = LIFE_CONTACT, .letter = d->w.letter };

	if (d->probe)
		return;
	e.text[TEXT_RELAY] = bytes_of(d->relay);
	e.text[TEXT_STATUS] = bytes_of(d->status);
	e.text[TEXT_REPLY] = bytes_of(d->text);
	if (d->tls != NULL)
		e.text[TEXT_TLS] = bytes_of(d->tls);
	event_say(d->house, &e);
}

void
delivery_failed(struct delivery *d, enum outgoing_fate f, const char *status, const char *words)
{
	d->contact = NULL;
	d->status = arena_copy(d->life, bytes_of(status));
	d->text = arena_copy(d->life, bytes_of(words));
	if (f == FATE_ELSEWHERE)
		note_trouble(d, words);
	tell_contact(d);
	if (f == FATE_REFUSED) {
		d->talked |= d->loops; /* nothing is wrong with any host */
		delivery_end(d, SENT_REFUSED, d->status, d->text);
		return;
	}
	if (d->clear)
		delivery_again(d); /* without TLS */
	delivery_go_on(d);
}

/* ---- where to ------------------------------------------------------------------------------------ */

static void delivery_begin(struct delivery *);

void
delivery_start(struct delivery *d)
{
	if (is_over(d))
		delivery_end(d, SENT_DELIVERED, "", "");
	else
		delivery_begin(d);
}

void
delivery_heard(struct delivery *d)
{
	if (!delivery_answers_filtered(d))
		return;
	if (d->ended)
		delivery_finish(d);
	else if (d->here != NULL)
		host_begin(d);
	else if (d->route.hosts > 0)
		delivery_go_on(d);
	else
		delivery_begin(d);
}

/* rfc3463:3.2: the domain of its recipients does not exist, and no setting leads elsewhere. */
static bool
is_of_nowhere(const struct delivery *d)
{
	for (uint32_t i = 0; i < d->w.recipients; i++) {
		struct bytes a = d->w.recipient[i].address;
		struct bytes domain = bytes_cut(a, (size_t)(bytes_find_last(a, '@') + 1), SIZE_MAX);

		if (!bytes_equal_nocase(domain, bytes_of(d->w.nexthop)))
			return false;
	}
	return d->route.absent;
}

/* The setting that names a host which cannot be found, and why; NULL: the domain of a recipient does, or a table. */
static const char *
is_misled_by(const struct delivery *d, const char **why)
{
	const char *relay = sender_of(d->house)->relayhost;

	*why = d->route.why;
	if (!d->loops && d->route.no_fallback != NULL) {
		*why = d->route.no_fallback;
		return "smtp_fallback_relay";
	}
	return relay != NULL && *relay != '\0' && strcmp(relay, d->w.nexthop) == 0 ? "relayhost"
	                                                                           : NULL;
}

/* There is no such host.  Where a setting names it that can be put right, and nothing comes back for it: as Postfix has it. */
static void
delivery_nowhere(struct delivery *d)
{
	const char *setting, *why;

	d->talked = true; /* nothing is wrong with any host */
	d->loops = d->route.loops;
	if ((setting = is_misled_by(d, &why)) == NULL) {
		delivery_end(d, SENT_REFUSED, is_of_nowhere(d) ? "5.1.2" : d->route.status,
		             d->route.why);
		return;
	}
	warn_("%s configuration problem: %s", setting, why);
	delivery_end(d, SENT_LATER, "4.3.5", why);
}

static bool
has_word(const struct setting_list *list, const char *word)
{
	for (size_t i = 0; i < list->count; i++)
		if (bytes_is(bytes_of(list->item[i]), word))
			return true;
	return false;
}

static void
delivery_find(struct delivery *d)
{
	struct sender_role  *s = sender_of(d->house);
	struct setting_list *families = &s->common.inet_protocols;
	const char          *own = house_resource_text(d->house, "addresses");
	const char          *hosts = house_resource_text(d->house, "hosts");
	bool                 all = has_word(families, "all") || families->count == 0;
	struct route_request q = {
		.nexthop = d->w.nexthop,
		.port = (uint16_t)(d->w.lmtp ? d->rows->lmtp_port : d->rows->tcp_port),
		.smtp_port = (uint16_t)(d->w.lmtp ? 0 : d->rows->tcp_port),
		.lmtp = d->w.lmtp,
		.dns = has_word(&d->rows->host_lookup, "dns") && !d->rows->no_dns &&
		       d->rows->dns_support != DNS_SUPPORT_DISABLED,
		.native = has_word(&d->rows->host_lookup, "native") || d->rows->no_dns,
		.v4 = all || has_word(families, "ipv4"),
		.v6 = all || has_word(families, "ipv6"),
		.preference = d->rows->address_preference,
		.address_most = (size_t)d->rows->address_most,
		.hosts = bytes_of(hosts != NULL ? hosts : ""),
		.myhostname = s->common.myhostname,
		.own = bytes_of(own != NULL ? own : ""),
		.own_more = d->rows->own_more,
		.fallback = d->probe ? (struct setting_list){ NULL, 0 } : d->rows->fallback,
		.forbidden = d->rows->forbidden,
		.balance = d->rows->balance,
		.in_order = !d->rows->randomize,
		.by_alias = d->rows->by_alias,
		.no_mx_later = d->rows->no_mx_later,
		.ignore_mx_error = d->rows->ignore_mx_error,
		.ask = delivery_ask,
		.ctx = d,
	};

	switch (route_find(&q, d->life, &d->route)) {
	case ROUTE_WAIT: return;
	case ROUTE_FOUND: delivery_go_on(d); return;
	case ROUTE_NEVER: delivery_nowhere(d); return;
	default: delivery_end(d, SENT_LATER, d->route.status, d->route.why);
	}
}

static void
delivery_begin(struct delivery *d)
{
	if (!sender_refit(d))
		return;
	if (!d->w.lmtp || strncmp(d->w.nexthop, "unix:", 5) != 0) {
		delivery_find(d);
		return;
	}
	transaction_make(d);
	switch (sender_wishes(d, NULL)) {
	case WISHES_WAIT: return;
	case WISHES_KNOWN:
		if (sender_tables_ready(d, "", ""))
			contact_begin(d, NULL, d->w.nexthop + 5);
		return;
	default: delivery_end(d, SENT_LATER, d->status, d->text);
	}
}

/* The settings of a transport; those of all where it is not known. */
static const struct sender_settings *
rows_of(struct sender_role *s, const char *transport, bool lmtp)
{
	const struct sender_settings *own = map_get(s->rows_of, bytes_of(transport));

	if (own == NULL && lmtp)
		own = map_get(s->rows_of, BYTES("lmtp"));
	return own != NULL ? own : &s->rows;
}

static struct delivery *
delivery_open(struct house *h)
{
	struct arena    *life = arena_open(NULL);
	struct delivery *d = arena_take(life, sizeof *d);

	*d = (struct delivery){ .next = sender_of(h)->first,
		                .at = &sender_of(h)->first,
		                .house = h,
		                .life = life,
		                .fd = -1,
		                .begun_us = clock_wall_us(),
		                .status = "4.4.1",
		                .text = "no host could be reached",
		                .relay = "none",
		                .tls = "",
		                .local = "",
		                .helo = "" };
	return d;
}

static void
delivery_enter(struct delivery *d)
{
	struct sender_role *s = sender_of(d->house);

	d->rows = rows_of(s, d->w.transport, d->w.lmtp);
	if (s->first != NULL)
		s->first->at = &d->next;
	s->first = d;
	s->deliveries++;
	d->result = arena_take_array(d->life, d->w.recipients, sizeof *d->result);
	d->known = arena_take_array(d->life, d->w.recipients, sizeof *d->known);
	d->queue = s->queues;
	sender_sts_remember(d->house, &d->w);
	if (!sender_past_waits(d))
		delivery_start(d);
}

bool
hear_send(struct house *h, uint32_t policy, uint32_t ticket, bool probe, struct bytes body, int fd)
{
	struct delivery *d = delivery_open(h);
	struct arena    *life = d->life;

	d->ticket = ticket;
	d->policy = policy;
	d->probe = probe;
	d->fd = fd;
	if (probe != (fd < 0) || !word_unpack_send(arena_keep(life, body), life, &d->w)) {
		if (fd >= 0)
			(void)close(fd);
		arena_close(&life);
		return false;
	}
	d->sender = d->w.sender;
	delivery_enter(d);
	return true;
}

/* ---- before their time ------------------------------------------------------------------------ */

void
deliveries_end(struct house *h, bool of_policy)
{
	struct sender_role *s = sender_of(h);

	for (struct delivery *d = s->first, *next; d != NULL; d = next) {
		next = d->next;
		if (!of_policy || d->probe)
			delivery_close(d);
	}
}

void
deliveries_queue_lost(struct house *h)
{
	struct sender_role *s = sender_of(h);

	s->queues++;
	for (struct delivery *d = s->first, *next; d != NULL; d = next) {
		next = d->next;
		if (!d->probe && !(d->talked && d->contact != NULL))
			delivery_close(d);
	}
}
