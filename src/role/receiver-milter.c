/*
 * receiver-milter -- what receivers ask mail filters, through role policy: session by session, and the letter at its end
 */
#include "role/receiver.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "message/address.h"
#include "message/envelope.h"
#include "policy/milter-settings.h"

enum { MACROS_MOST = 24, AWAY_MS = 30000 };

_Static_assert((int)FILTER_CONNECT == (int)STAGE_CONNECT && (int)FILTER_HELO == (int)STAGE_HELO &&
                       (int)FILTER_MAIL == (int)STAGE_MAIL && (int)FILTER_RCPT == (int)STAGE_RCPT &&
                       (int)FILTER_DATA == (int)STAGE_DATA &&
                       (int)FILTER_CONTENT == (int)STAGE_END_OF_DATA &&
                       (int)FILTER_UNKNOWN == (int)STAGE_UNKNOWN &&
                       (int)FILTER_REFUSED == (int)MILTER_STAGES,
               "the session's stages are the filters'");

/* A session that filters are told of; a letter that has been taken may outlive it. */
struct filtering {
	struct receiver *receiver;
	struct visit    *visit;   /* NULL: the client has gone                   */
	struct passage  *passage; /* the letter they look at                     */
	struct buffer    first;   /* CONNECT, until it was answered              */
	uint32_t         ticket;
	unsigned         letters; /* on their way                                */
	bool             waits, lost;
	int64_t          asked_at;
	char             transaction[24];
};

/*
 * Settings
 */

void
milter_settings_new(struct receiver *r)
{
	const struct listeners *all = &r->house->listeners;
	struct milter_settings  s;

	for (size_t i = 0; i < all->count; i++) {
		if (!house_settings(r->house, &milter_setting_table, all->one[i].name, &s))
			continue;
		r->filters[i] = s.smtpd.count > 0 || s.maps.count > 0;
		r->filters_default[i] = s.default_action;
		r->filters_aside[i] = s.quarantine == QUARANTINE_MAILBOX;
	}
}

/* As milter_quarantine says: aside, or in the queue.  What a filter says does not choose. */
static struct bytes
quarantine(const struct receiver *r, const struct receiver_config *c, struct arena *life,
           const char *why)
{
	while (*why == HOLD_ASIDE)
		why++;
	return bytes_of(r->filters_aside[receiver_place(r->house, c)]
	                        ? arena_printf(life, "%c%s", HOLD_ASIDE, why)
	                        : arena_copy(life, bytes_of(why)));
}

/*
 * Macros
 */

struct macros {
	struct arena       *life;
	struct milter_macro each[MACROS_MOST];
	size_t              count;
};

static void
macro(struct macros *m, const char *name, struct bytes value)
{
	if (value.len > 0 && m->count < MACROS_MOST)
		m->each[m->count++] = (struct milter_macro){ bytes_of(name), value };
}

static void
macro_number(struct macros *m, const char *name, uint64_t n)
{
	macro(m, name, bytes_of(arena_printf(m->life, "%" PRIu64, n)));
}

static void
macros_of_connect(struct macros *m, struct session *s, const struct visit *v,
                  const struct session_facts *f)
{
	static const char *const resolved[] = { [NAMED] = "OK",
		                                [NAMED_NOT] = "FAIL",
		                                [NAMED_FOREIGN] = "FORGED",
		                                [NAMED_NO_HOST] = "FORGED",
		                                [NAMED_LATER] = "TEMP" };

	struct peer here = v->here;

	session_here(s, &here);
	macro(m, "j", bytes_of(session_config(s)->myhostname));
	macro(m, "_", bytes_of(arena_printf(m->life, "%s [%s]", f->name, f->peer->text)));
	macro(m, "{daemon_addr}", arena_keep(m->life, bytes_of(here.text)));
	macro_number(m, "{daemon_port}", here.port);
	macro(m, "{client_addr}", bytes_of(f->peer->text));
	macro_number(m, "{client_port}", f->peer->port);
	macro(m, "{client_name}", bytes_of(f->name));
	macro(m, "{client_ptr}", bytes_of(f->reverse));
	macro(m, "{client_resolve}", bytes_of(resolved[f->named]));
	macro_number(m, "{client_connections}", v->connections);
}

static void
macros_of_tls(struct macros *m, struct session *s)
{
	struct buffer      packed = { 0 };
	struct tls_channel channel;
	struct tls_facts   t;

	if (!session_tls(s, &t))
		return;
	macro(m, "{tls_version}", arena_keep(m->life, bytes_of(t.version)));
	macro(m, "{cipher}", arena_keep(m->life, bytes_of(t.cipher)));
	macro_number(m, "{cipher_bits}", (uint64_t)t.bits);
	session_channel(s, &packed);
	if (packed.len > 0 &&
	    tls_channel_read(arena_keep(m->life, buffer_bytes(&packed)), &channel))
		macro(m, "{cert_subject}", channel.subject);
	buffer_free(&packed);
}

static struct bytes
host_of(struct bytes address)
{
	return bytes_cut(address, (size_t)(bytes_find_last(address, '@') + 1), address.len);
}

static void
macros_of_mail(struct macros *m, const struct filtering *g, const struct session_facts *f)
{
	macro(m, "i", bytes_of(g->transaction));
	macro(m, "{auth_type}", f->method);
	macro(m, "{auth_authen}", f->user);
	macro(m, "{mail_addr}", f->sender_whole);
	macro(m, "{mail_host}", host_of(f->sender_whole));
}

/* "550 5.1.1 <x>: User unknown": of one that is refused the status and the words. */
static void
macros_of_refusal(struct macros *m, struct bytes reply)
{
	struct bytes rest = reply, code, status;

	if (!bytes_split(&rest, ' ', &code) || !bytes_split(&rest, ' ', &status))
		return;
	macro(m, "{rcpt_mailer}", BYTES("error"));
	macro(m, "{rcpt_host}", status);
	macro(m, "{rcpt_addr}", rest);
}

static void
macros_of_rcpt(struct macros *m, const struct session_facts *f)
{
	bool ours = f->recipient_known && f->recipient_is != RESOLVED_FOREIGN;

	macro(m, "{rcpt_addr}", f->recipient_whole);
	macro(m, "{rcpt_host}", host_of(f->recipient_whole));
	macro(m, "{rcpt_mailer}", ours ? BYTES("local") : BYTES("smtp"));
}

static void
macros_of(struct macros *m, struct session *s, struct filtering *g, const struct filter_event *e,
          const struct session_facts *f)
{
	switch (e->stage) {
	case FILTER_CONNECT: macros_of_connect(m, s, g->visit, f); break;
	case FILTER_HELO: macros_of_tls(m, s); break;
	case FILTER_MAIL: macros_of_mail(m, g, f); break;
	case FILTER_RCPT:
		if (e->refusal.len > 0)
			macros_of_refusal(m, e->refusal);
		else
			macros_of_rcpt(m, f);
		break;
	case FILTER_DATA:
	case FILTER_CONTENT:
	case FILTER_UNKNOWN:
	case FILTER_REFUSED:
	case FILTER_NONE: break;
	}
}

/*
 * Events
 */

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

static void
default_answer(struct receiver *r, const struct receiver_config *c, struct filter_said *out)
{
	static const char *const replies[] = {
		[DEFAULT_ACCEPT] = "",
		[DEFAULT_REJECT] = "550 5.5.0 Service unavailable",
		[DEFAULT_TEMPFAIL] = "451 4.7.1 Service unavailable - try again later",
		[DEFAULT_QUARANTINE] = "",
		[DEFAULT_SHUTDOWN] = "421 4.7.0 Server closing connection",
	};
	int what = r->filters_default[receiver_place(r->house, c)];

	*out = (struct filter_said){ .reply = bytes_of(replies[what]),
		                     .shut = what == DEFAULT_SHUTDOWN,
		                     .hold = what == DEFAULT_QUARANTINE,
		                     .reason = BYTES("default_action"),
		                     .wants = what == DEFAULT_ACCEPT ? 0 : 1u << FILTER_MAIL };
}

static void
answer_default(struct filtering *g)
{
	struct filter_said said;
	struct session    *s = g->visit->session;

	default_answer(g->receiver, session_config(s), &said);
	g->waits = false;
	session_filtered(s, &said);
}

static void
filtering_end(struct filtering *g)
{
	struct link *l = house_link(g->receiver->house, POLICY, 0);

	if (g->visit != NULL || g->letters > 0)
		return;
	if (l != NULL && !g->lost) {
		pack_u8(link_begin(l, WORD_MILTER_OVER, g->ticket), 1);
		link_end(l);
	}
	(void)map_drop(g->receiver->filterings, ticket_key(&g->ticket));
	buffer_free(&g->first);
	memory_free(g);
}

static struct filtering *
filtering_begin(struct receiver *r, struct visit *v)
{
	struct filtering *g = memory_take(sizeof *g);

	g->receiver = r;
	g->visit = v;
	g->ticket = ++r->next_ticket;
	v->filtering = g;
	(void)map_put(r->filterings, ticket_key(&g->ticket), g);
	return g;
}

static struct visit *
visit_of(struct session *s)
{
	return *session_held(s);
}

static void
say_event(struct filtering *g, struct session *s, const struct filter_event *e)
{
	struct arena            *a = arena_open(NULL);
	struct macros            m = { .life = a };
	struct link             *l = house_link(g->receiver->house, POLICY, 0);
	struct session_facts     f;
	struct bytes             address[2];
	struct buffer            body = { 0 };
	struct word_milter_event w = { .stage = (uint8_t)e->stage,
		                       .listener = session_config(s)->listener,
		                       .peer = *session_peer(s),
		                       .refused = e->refusal.len > 0,
		                       .argument = e->argument,
		                       .arguments = (uint32_t)e->arguments };

	session_facts(s, &f);
	macros_of(&m, s, g, e, &f);
	w.macros = (struct milter_macros){ m.each, m.count };
	if (e->stage == FILTER_CONNECT) {
		address[0] = strcmp(f.name, "unknown") == 0
		                     ? bytes_of(arena_printf(a, "[%s]", f.peer->text))
		                     : bytes_of(f.name);
		address[1] = bytes_of(f.peer->text);
		w.argument = address;
		w.arguments = 2;
	}
	word_pack_milter_event(&body, &w);
	if (e->stage == FILTER_CONNECT)
		buffer_add(&g->first, buffer_bytes(&body));
	if (l != NULL)
		link_say(l, WORD_MILTER_EVENT, g->ticket, buffer_bytes(&body), -1);
	buffer_free(&body);
	arena_close(&a);
}

void
need_filter(void *house, struct session *s, const struct filter_event *e)
{
	struct receiver  *r = receiver_of(house);
	struct visit     *v = visit_of(s);
	struct filtering *g = v->filtering;

	if (e->stage == FILTER_CONNECT) {
		milter_forget(v);
		g = filtering_begin(r, v);
	}
	if (e->stage == FILTER_MAIL)
		(void)snprintf(g->transaction, sizeof g->transaction, "%s", visit_transaction(v));
	if (e->refusal.len == 0) {
		g->waits = true;
		g->asked_at = clock_patient_ms();
	}
	if (!g->lost)
		say_event(g, s, e);
	else if (g->waits)
		answer_default(g);
}

void
need_filter_abort(void *house, struct session *s)
{
	struct visit     *v = visit_of(s);
	struct filtering *g = v != NULL ? v->filtering : NULL;
	struct link      *l = house_link(house, POLICY, 0);

	if (g == NULL || g->lost || l == NULL)
		return;
	pack_u8(link_begin(l, WORD_MILTER_OVER, g->ticket), 0);
	link_end(l);
}

/* The session is over, or begins anew. */
void
milter_forget(struct visit *v)
{
	struct filtering *g = v->filtering;

	v->filtering = NULL;
	if (g == NULL)
		return;
	g->visit = NULL;
	filtering_end(g);
}

static void
heard_said(struct filtering *g, const struct word_milter_said *w, struct arena *scratch)
{
	struct session *s = g->visit->session;

	g->waits = false;
	buffer_free(&g->first);
	session_filtered(s,
	                 &(struct filter_said){ .reply = bytes_of(w->reply),
	                                        .by = bytes_of(w->by),
	                                        .reason = quarantine(g->receiver, session_config(s),
	                                                             scratch, w->reason),
	                                        .shut = w->shut,
	                                        .discard = w->discard,
	                                        .hold = w->hold,
	                                        .wants = w->wants });
}

bool
hear_milter_said(struct house *h, uint32_t ticket, struct bytes body)
{
	struct receiver        *r = receiver_of(h);
	struct filtering       *g = map_get(r->filterings, ticket_key(&ticket));
	struct arena           *a = arena_open(NULL);
	struct word_milter_said w;
	bool                    good = word_unpack_milter_said(body, a, &w);

	if (good && g != NULL && g->visit != NULL && g->waits)
		heard_said(g, &w, a);
	arena_close(&a);
	return good;
}

/*
 * The letter
 */

/* Its session may end before they have seen it. */
void
milter_take(struct passage *p)
{
	struct visit *v = p->letter->session != NULL ? visit_of(p->letter->session) : NULL;

	if (p->filtering != NULL || v == NULL || v->filtering == NULL || !p->letter->filtered)
		return;
	p->filtering = v->filtering;
	p->filtering->letters++;
}

void
milter_release(struct passage *p)
{
	struct filtering *g = p->filtering;

	p->filtering = NULL;
	if (g == NULL)
		return;
	g->letters--;
	g->passage = NULL;
	filtering_end(g);
}

static void
say_letter(struct passage *p)
{
	struct letter            *l = p->letter;
	struct link              *link = house_link(p->house, POLICY, 0);
	struct buffer             fields = { 0 };
	int64_t                   most = l->config->set.message_size;
	struct milter_macro       id = { BYTES("i"), bytes_of(p->filtering->transaction) };
	struct word_milter_letter w = { .most = most > 0 ? (uint64_t)most : UINT64_MAX,
		                        .macros = { &id, 1 } };
	int                       fd = -1;

	letter_missing(l, p->filtering->transaction, &fields);
	w.fields = buffer_bytes(&fields);
	if (p->stream != NULL)
		fd = writer_stream_fd(p->stream, &w.at, &w.len);
	else {
		w.inside = true;
		w.content = buffer_bytes(&l->content);
		w.len = l->content.len;
	}
	word_pack_milter_letter(link_begin(link, WORD_MILTER_LETTER, p->filtering->ticket), &w);
	if (fd >= 0)
		link_end_fd(link, fd);
	else
		link_end(link);
	buffer_free(&fields);
}

/* Who refuses, or does what else is told: a setting, and of several filters which. */
struct refuser {
	const char *setting, *filter; /* filter "": none of them alone */
};

/* The id is of a refusal. */
static void
log_letter(struct passage *p, const char *deed, const char *text, const struct refuser *by,
           struct bytes id)
{
	struct letter *l = p->letter;
	struct bytes   to = l->rcpts > 0 ? l->rcpt[0].address : BYTES("");

	note_as(l->config->service,
	        "%s: milter-%s: END-OF-MESSAGE from %.*s: %s; from=<%.*s> to=<%.*s> proto=%s "
	        "helo=<%.*s>%s%s%s%s%s%.*s",
	        p->filtering->transaction, deed, (int)l->client.len, l->client.at, text,
	        (int)l->sender.len, l->sender.at, (int)to.len, to.at, l->protocol, (int)l->helo.len,
	        l->helo.at, id.len > 0 ? " rule=" : "", id.len > 0 ? by->setting : "",
	        *by->filter != '\0' ? " milter=" : "", by->filter, id.len > 0 ? " id=" : "",
	        (int)id.len, id.at);
}

/* Remembered, told and said under one id. */
static const char *
explain_letter(struct passage *p, const char *reply, const struct refuser *who)
{
	struct letter *l = p->letter;
	struct bytes   by = bytes_of(
		  *who->filter == '\0' ? who->setting
				       : arena_printf(l->life, "%s %s", who->setting, who->filter));
	struct session_refusal r = { .verb = "END-OF-MESSAGE", .reply = bytes_of(reply), .by = by };
	struct bytes           id;

	if (reply[0] != '5' || l->session == NULL)
		return reply;
	(void)bytes_string(need_remember(p->house, l->session, &r), p->refusal, sizeof p->refusal);
	id = bytes_of(p->refusal);
	need_told(p->house, l->session,
	          &(struct session_told){
			  .verb = r.verb, .reply = r.reply, .rule = by, .id = id, .letter = l });
	l->explained = true;
	return id.len == 0 ? reply : arena_printf(l->life, "%s (%s)", reply, p->refusal);
}

static void
refuse_letter(struct passage *p, const char *reply, const struct refuser *by)
{
	struct letter *l = p->letter;
	const char    *said = explain_letter(p, reply, by);

	log_letter(p, "reject", strlen(reply) > 4 ? reply + 4 : reply, by, bytes_of(p->refusal));
	l->told = true;
	l->refused_by = bytes_of(by->setting);
	passage_refuse(p, reply[0] == '5' ? VERDICT_REFUSE : VERDICT_LATER,
	               arena_copy(l->life, bytes_of(said)));
}

static void
default_letter(struct passage *p)
{
	struct filter_said said;

	default_answer(receiver_of(p->house), p->letter->config, &said);
	if (said.reply.len > 0) {
		refuse_letter(p, said.reply.at, &(struct refuser){ "smtpd_milters", "" });
		return;
	}
	if (said.hold)
		p->letter->handling.hold = said.reason;
	milter_release(p);
	passage_go_on(p);
}

/* True: they look at it, and passage_go_on(), passage_discard() or passage_refuse() follows. */
bool
milter_ask(struct passage *p)
{
	struct filtering *g = p->filtering;

	if (g == NULL)
		return false;
	g->passage = p;
	g->asked_at = clock_patient_ms();
	if (g->lost || house_link(p->house, POLICY, 0) == NULL)
		default_letter(p);
	else
		say_letter(p);
	return true;
}

/*
 * What they made of it
 */

static bool
is_same_address(struct bytes a, struct bytes b)
{
	ptrdiff_t at = bytes_find_last(a, '@');

	return at >= 0 && a.len == b.len &&
	       bytes_equal(bytes_cut(a, 0, (size_t)at), bytes_cut(b, 0, (size_t)at)) &&
	       bytes_equal_nocase(host_of(a), host_of(b));
}

static uint32_t
find_rcpt(const struct letter *l, struct bytes address)
{
	uint32_t i = 0;

	while (i < l->rcpts && !is_same_address(l->rcpt[i].address, address))
		i++;
	return i;
}

static void
more_rcpt(struct passage *p, const struct milter_envelope *e)
{
	struct letter      *l = p->letter;
	struct address      address;
	struct bytes        rest = e->parameters, word, whole;
	struct letter_rcpt *r;

	if (!address_parse(e->address, l->life, &address)) {
		warn_("%s: a milter adds a recipient that is no address: %.*s",
		      p->filtering->transaction, (int)e->address.len, e->address.at);
		return;
	}
	whole = address_text(l->life, &address);
	if (find_rcpt(l, whole) < l->rcpts || l->rcpts + l->copies >= ENVELOPE_RECIPIENTS_MOST)
		return;
	r = letter_add(l, whole);
	while (bytes_split(&rest, ' ', &word))
		if (bytes_is(word, "NOTIFY=NEVER"))
			r->notify = NOTIFY_NEVER;
}

static void
less_rcpt(struct letter *l, struct bytes address)
{
	uint32_t i = find_rcpt(l, address);

	if (i == l->rcpts)
		return;
	l->rcpts--;
	memmove(l->rcpt + i, l->rcpt + i + 1, (l->rcpts - i) * sizeof *l->rcpt);
}

static void
new_sender(struct passage *p, const struct milter_envelope *e)
{
	struct letter *l = p->letter;
	struct address address;

	if (e->address.len == 0)
		l->sender = (struct bytes){ NULL, 0 };
	else if (address_parse(e->address, l->life, &address))
		l->sender = address_text(l->life, &address);
	else
		warn_("%s: a milter makes a sender that is no address: %.*s",
		      p->filtering->transaction, (int)e->address.len, e->address.at);
}

static void
change_envelope(struct passage *p, const struct word_milter_made *w)
{
	for (uint32_t i = 0; i < w->envelopes; i++) {
		const struct milter_envelope *e = &w->envelope[i];

		if (e->change == MILTER_NEW_SENDER)
			new_sender(p, e);
		else if (e->change == MILTER_MORE_RCPT)
			more_rcpt(p, e);
		else
			less_rcpt(p->letter, e->address);
	}
}

/* Fields that come before our own. */
static void
put_before(struct passage *p, struct bytes front)
{
	struct buffer all = { 0 };

	if (front.len == 0)
		return;
	buffer_add(&all, front);
	buffer_add(&all, p->prefix);
	p->prefix = arena_keep(p->letter->life, buffer_bytes(&all));
	buffer_free(&all);
}

/* NULL: that is no answer. */
static struct edits *
edits_of(struct passage *p, const struct word_milter_made *w, int fd)
{
	struct arena *life = p->letter->life;
	struct edits *edits = arena_take(life, sizeof *edits);

	if (!edits_unpack(arena_keep(life, w->edits), life, edits) ||
	    !edits_fit(edits, p->letter->len, w->body_len) || (w->body_len > 0 && fd < 0))
		return NULL;
	return edits;
}

/* True: there is to be an edit with fd. */
static bool
obey(struct passage *p, const struct word_milter_made *w, const struct edits *edits)
{
	struct letter       *l = p->letter;
	const struct refuser by = { "smtpd_milters", w->said.by };
	const char          *reply = NULL;
	bool                 discard = false;

	if (w->said.reply[0] != '\0') {
		refuse_letter(p, w->said.reply, &by);
		return false;
	}
	if (w->said.hold) {
		log_letter(p, "hold", "milter triggers HOLD action", &by, BYTES(""));
		l->handling.hold =
			quarantine(receiver_of(p->house), l->config, l->life, w->said.reason);
	}
	change_envelope(p, w);
	if (w->checks.len > 0 && (!checks_add(p, w->checks, &reply, &discard) || reply != NULL)) {
		refuse_letter(p, reply != NULL ? reply : "451 4.3.0 Error: queue file write error",
		              &(struct refuser){ "milter_header_checks", "" });
		return false;
	}
	if (discard) {
		passage_discard(p);
		return false;
	}
	if (w->said.discard || l->rcpts == 0) {
		log_letter(p, "discard", "milter triggers DISCARD action", &by, BYTES(""));
		passage_discard(p);
		return false;
	}
	put_before(p, w->front);
	if (edits->count > 0)
		return true;
	milter_release(p);
	passage_go_on(p);
	return false;
}

bool
hear_milter_made(struct house *h, uint32_t ticket, struct bytes body, int fd)
{
	struct filtering       *g = map_get(receiver_of(h)->filterings, ticket_key(&ticket));
	struct arena           *a = arena_open(NULL);
	struct word_milter_made w;
	bool                    good = word_unpack_milter_made(body, a, &w);
	struct passage         *p = good && g != NULL ? g->passage : NULL;
	struct edits           *edits = p != NULL ? edits_of(p, &w, fd) : NULL;

	good = good && (p == NULL || edits != NULL);
	if (edits != NULL) {
		g->passage = NULL;
		if (obey(p, &w, edits)) {
			milter_release(p);
			p->new_body = fd;
			fd = -1;
			letter_edit(p, edits, p->new_body, w.body_len, passage_edited);
		}
	}
	if (fd >= 0)
		(void)close(fd);
	arena_close(&a);
	return good;
}

/*
 * Role policy comes and goes
 */

static struct filtering **
all_of(struct receiver *r, size_t *n)
{
	struct filtering **list =
		memory_take((map_count(r->filterings) + 1) * sizeof(struct filtering *));

	*n = 0;
	for (struct map_place p = { 0 }; map_next(r->filterings, &p);)
		list[(*n)++] = p.value;
	return list;
}

/* Who has just come is told to its successor; what others were told died with it. */
void
milter_lost(struct receiver *r)
{
	size_t             n;
	struct filtering **list = all_of(r, &n);

	for (size_t i = 0; i < n; i++) {
		struct filtering *g = list[i];

		if (g->first.len > 0)
			continue;
		g->lost = true;
		if (g->passage != NULL) {
			struct passage *p = g->passage;

			g->passage = NULL;
			default_letter(p);
		} else if (g->waits && g->visit != NULL)
			answer_default(g);
	}
	memory_free(list);
}

void
milter_again(struct receiver *r)
{
	struct link *l = house_link(r->house, POLICY, 0);

	for (struct map_place p = { 0 }; map_next(r->filterings, &p);) {
		struct filtering *g = p.value;

		if (g->first.len > 0 && g->waits)
			link_say(l, WORD_MILTER_EVENT, g->ticket, buffer_bytes(&g->first), -1);
	}
}

/* Nobody has come for long. */
void
milter_tick(struct receiver *r)
{
	int64_t            late = clock_patient_ms() - AWAY_MS;
	size_t             n;
	struct filtering **list;

	if (house_link(r->house, POLICY, 0) != NULL || map_count(r->filterings) == 0)
		return;
	list = all_of(r, &n);
	for (size_t i = 0; i < n; i++)
		if (list[i]->waits && list[i]->visit != NULL && list[i]->asked_at < late) {
			list[i]->lost = true;
			buffer_free(&list[i]->first);
			answer_default(list[i]);
		}
	memory_free(list);
}
