/*
 * sender-session -- connections to other hosts: how they come about, what goes through them (smtp/sender/outgoing.h), and
 * which are kept for a moment because more waits for the same destination
 */
#include "base/clock.h"
#include "role/sender.h"
#include "sasl/supplicant.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* So many connections wait for a letter at once: each takes descriptors, here and there. */
enum { IDLE_MOST = 500 };

struct contact {
	struct contact               *next, **at;
	struct house                 *house;
	struct delivery              *delivery; /* NULL: it waits for one               */
	const struct sender_settings *rows;     /* of its transport               */
	struct arena                 *life;
	int                           fd; /* while it comes about                 */
	struct watch                 *watch;
	struct stream                *stream;
	struct outgoing              *session;
	struct timer                 *timer;
	struct errand                 end;
	struct outgoing_config        config;
	struct setting_list           filter; /* of mechanisms                        */
	uint16_t                      port;
	struct security               security;
	struct tls_demand             wish;
	struct tls                   *secret; /* NULL: no TLS                          */
	const char                   *policy;
	struct reply_filter          *replies; /* NULL: they are read as they are        */
	const char     *gone; /* why it is over, while what it said last still waits */
	const char     *from; /* addresses of ours it comes from          */
	const char     *name, *key, *relay; /* of the host; what makes two alike; for the log  */
	int64_t         made_ms;
	int64_t         taken; /* letters                              */
	bool            idle, keep, closing, leave, secures;
	struct contact *idle_next, *idle_before; /* of the same key */
	bool            wrapped;                 /* TLS from the first byte              */
	bool            by_sts;
	const char     *tls; /* "dane Verified TLSv1.3 with ...", "none" */
};

/* ---- those that wait for a letter, by what makes two alike -------------------------------------- */

static void
idle_begin(struct contact *c)
{
	struct map *all = sender_of(c->house)->idle;

	sender_of(c->house)->idles++;
	c->idle = true;
	c->idle_before = NULL;
	c->idle_next = map_put(all, bytes_of(c->key), c);
	if (c->idle_next != NULL)
		c->idle_next->idle_before = c;
}

static void
idle_end(struct contact *c)
{
	struct map *all = sender_of(c->house)->idle;

	if (!c->idle)
		return;
	sender_of(c->house)->idles--;
	c->idle = false;
	if (c->idle_next != NULL)
		c->idle_next->idle_before = c->idle_before;
	if (c->idle_before != NULL)
		c->idle_before->idle_next = c->idle_next;
	else if (c->idle_next != NULL)
		(void)map_put(all, bytes_of(c->key), c->idle_next);
	else
		(void)map_drop(all, bytes_of(c->key));
}

/* ---- the end ---------------------------------------------------------------------------------- */

/* What was said goes to the postmaster (notify_classes). */
static void
tell_history(const struct contact *c)
{
	const struct history *said = outgoing_history(c->session);

	if (history_is_wanted(said))
		mishap_say(c->house, &sender_of(c->house)->mishaps,
		           &(struct mishap_from){ .what = c->config.lmtp ? "LMTP client"
		                                                         : "SMTP client",
		                                  .who = c->relay },
		           said);
}

static void
contact_close(void *ctx)
{
	struct contact *c = ctx;
	struct arena   *life = c->life;

	if (c->session != NULL)
		tell_history(c);

	errand_clear(&c->end);
	timer_close(&c->timer);
	watch_close(&c->watch);
	if (c->fd >= 0)
		(void)close(c->fd);
	if (c->stream != NULL)
		stream_finish(&c->stream);
	outgoing_close(&c->session);
	reply_filter_close(&c->replies);
	if (c->secret != NULL)
		tls_close(&c->secret);
	*c->at = c->next;
	if (c->next != NULL)
		c->next->at = c->at;
	sender_of(c->house)->sessions--;
	loop_again(c->house->loop);
	arena_close(&life);
}

/* Not from within itself: at the beginning of the next turn. */
static void
contact_end(struct contact *c)
{
	c->closing = true;
	idle_end(c);
	errand_set(c->house->loop, &c->end);
}

void
contact_part(struct delivery *d)
{
	struct contact *c = d->contact;

	d->contact = NULL;
	if (c == NULL)
		return;
	c->delivery = NULL;
	contact_end(c);
}

/* ---- what the session wants ------------------------------------------------------------------------ */

static struct buffer *
mouth_out(void *ctx)
{
	return stream_out(((struct contact *)ctx)->stream);
}

static size_t
mouth_pending(void *ctx)
{
	return stream_pending(((struct contact *)ctx)->stream);
}

/* The letter as it goes: our trace fields, then the bytes in the log. */
static size_t
mouth_content(void *ctx, uint64_t at, char *to, size_t room)
{
	struct contact         *c = ctx;
	const struct word_send *w = &c->delivery->w;

	if (at < w->prefix.len) {
		struct bytes piece = bytes_cut(w->prefix, (size_t)at, room);

		memcpy(to, piece.at, piece.len);
		return piece.len;
	}
	return sender_content(c->delivery, at - w->prefix.len, to, room);
}

static void
mouth_secure(void *ctx)
{
	/* Behind the answer that allows it: see arrived(). */
	((struct contact *)ctx)->secures = true;
}

static enum response_filtered
mouth_filter(void *ctx, struct bytes line, struct buffer *instead)
{
	return reply_filter_line(((struct contact *)ctx)->replies, line, instead);
}

static bool
mouth_binding(void *ctx, const char *type, struct buffer *out)
{
	return stream_tls_binding(((struct contact *)ctx)->stream, type, out);
}

/* How long all of a letter may take (smtp_per_request_deadline). */
static int64_t
content_ms(const struct contact *c)
{
	const struct sender_settings *r = c->rows;
	uint64_t                      size = c->delivery != NULL ? c->delivery->t.size : 0;

	return r->data_xfer_ms + (int64_t)(size / (uint64_t)r->data_rate) * 1000;
}

static void
mouth_wait(void *ctx, enum outgoing_wait what)
{
	struct contact               *c = ctx;
	const struct sender_settings *r = c->rows;
	const int64_t                 ms[WAITS] = {
				[WAIT_GREETING] = r->helo_ms,
				[WAIT_HELLO] = r->helo_ms,
				[WAIT_STARTTLS] = r->starttls_ms,
				[WAIT_AUTH] = r->mail_ms,
				[WAIT_MAIL] = r->mail_ms,
				[WAIT_RCPT] = r->rcpt_ms,
				[WAIT_DATA_INIT] = r->data_init_ms,
				[WAIT_DATA_DONE] = r->data_done_ms,
				[WAIT_RSET] = r->rset_ms,
				[WAIT_QUIT] = r->quit_ms,
				[WAIT_PAUSE] = r->pix_delay_ms,
				[WAIT_XFORWARD] = r->xforward_ms,
				[WAIT_DATA_CONTENT] = r->deadline ? content_ms(c) : 0,
	};

	if (c->stream != NULL)
		stream_patience(c->stream, what == WAIT_DATA_CONTENT ? r->data_xfer_ms : 0);
	if (ms[what] > 0)
		timer_set(c->timer, ms[what]);
	else
		timer_clear(c->timer);
}

static bool
is_named(void *ctx, const char *name)
{
	return stream_tls_is_for(((struct contact *)ctx)->stream, name);
}

static const char *
trust_word(const struct contact *c, const struct tls_facts *f, const char *doubt)
{
	return !f->certificate                                       ? "Anonymous"
	       : doubt == NULL && c->security.level >= SECURITY_DANE ? "Verified"
	       : f->trusted                                          ? "Trusted"
	                                                             : "Untrusted";
}

/* How sure it is, and what was agreed: what every delivery by it is recorded with. */
static void
tell_tls(struct contact *c, const struct tls_facts *f, const char *doubt)
{
	c->tls = arena_printf(c->life, "%s %s %s with cipher %s (%d/%d bits)",
	                      c->by_sts && c->security.level == SECURITY_VERIFY
	                              ? "sts"
	                              : security_level_names[c->security.level],
	                      trust_word(c, f, doubt), f->version, f->cipher, f->bits,
	                      f->algorithm_bits);
	if (c->delivery != NULL)
		c->delivery->tls = arena_copy(c->delivery->life, bytes_of(c->tls));
}

/* In the words of rfc8460:4.3; under a policy that is tested what would have been counts as well. */
static void
tell_result(struct contact *c, const struct tls_facts *f, const char *doubt)
{
	struct delivery *d = c->delivery;
	bool             tested = c->by_sts && c->security.level < SECURITY_DANE;

	if (d == NULL)
		return;
	sender_met(d, -1, c->session);
	if (doubt == NULL && !(tested && c->security.public))
		sender_tls_result(d, "", "");
	else if (!f->trusted && strstr(f->doubt, "hostname mismatch") != NULL)
		sender_tls_result(d, "certificate-host-mismatch", f->doubt);
	else if (!f->certificate || (!f->trusted && strstr(f->doubt, "expired") == NULL))
		sender_tls_result(d,
		                  c->security.level == SECURITY_DANE ? "validation-failure"
		                                                     : "certificate-not-trusted",
		                  f->doubt);
	else if (!f->trusted)
		sender_tls_result(d, "certificate-expired", f->doubt);
	else if (doubt != NULL || !is_named(c, c->name))
		sender_tls_result(d, "certificate-host-mismatch", "");
	else
		sender_tls_result(d, "", "");
}

static void
note_tls(struct contact *c, const struct tls_facts *f, const char *doubt)
{
	const struct sender_role *s = sender_of(c->house);
	struct buffer             more = { 0 };
	struct tls_facts          seen = *f;
	char                      service[96];

	if (c->rows->tls_loglevel < 1)
		return;
	(void)snprintf(service, sizeof service, "%s/%s", s->common.syslog_name,
	               c->config.lmtp ? "lmtp" : "smtp");
	if (f->certificate && c->rows->tls_loglevel >= 2)
		note_as(service,
		        "%s: subject_CN=%s, issuer_CN=%s, fingerprint=%s, pkey_fingerprint=%s",
		        c->relay, f->subject, f->issuer, f->fingerprint, f->key_fingerprint);
	if (!f->trusted && f->certificate && c->security.level > SECURITY_FINGERPRINT)
		note_as(service, "certificate verification failed for %s: %s", c->relay, f->doubt);
	seen.ours = f->theirs; /* as the host sees it */
	seen.theirs = f->ours;
	tls_facts_more(&seen, " ", " ", &more);
	note_as(service, "%s TLS connection established to %s: %s with cipher %s (%d/%d bits)%.*s",
	        trust_word(c, f, doubt), c->relay, f->version, f->cipher, f->bits,
	        f->algorithm_bits, (int)more.len, more.at);
	buffer_free(&more);
}

/* The handshake is over: is it whom we want?  Why not, in words. */
static const char *
tls_doubt(struct contact *c)
{
	const char      *nexthop = c->delivery != NULL ? c->delivery->w.nexthop : "", *doubt;
	struct tls_facts facts;

	if (!stream_tls_facts(c->stream, &facts))
		return NULL;
	doubt = security_trusts(&c->security, &facts, c->name, nexthop, c->life, is_named, c);
	note_tls(c, &facts, doubt);
	tell_tls(c, &facts, doubt);
	tell_result(c, &facts, doubt);
	return doubt;
}

static void
tell_clear(struct contact *c, struct delivery *d)
{
	const struct sender_role *s = sender_of(c->house);
	char                      service[96];
	bool                      offered = outgoing_offers_tls(c->session);

	sender_met(d, -1, c->session);
	if (!offered)
		sender_tls_result(d, "starttls-not-supported", "");
	(void)snprintf(service, sizeof service, "%s/%s", s->common.syslog_name,
	               c->config.lmtp ? "lmtp" : "smtp");
	if (offered && c->rows->note_offer)
		note_as(service, "Host offered STARTTLS: [%s]", c->name);
}

static void
tell_pix(const struct contact *c)
{
	const struct sender_role *s = sender_of(c->house);
	unsigned                  pix = outgoing_pix(c->session);
	char                      service[96];

	if (pix == 0)
		return;
	(void)snprintf(service, sizeof service, "%s/%s", s->common.syslog_name,
	               c->config.lmtp ? "lmtp" : "smtp");
	note_as(service, "enabling PIX workarounds:%s%s for %s",
	        (pix & PIX_DISABLE_ESMTP) != 0 ? " disable_esmtp" : "",
	        (pix & PIX_DELAY_DOTCRLF) != 0 ? " delay_dotcrlf" : "", c->relay);
}

static void
contact_send(struct contact *c)
{
	struct delivery *d = c->delivery;

	if (c->taken == 0)
		tell_pix(c);
	if (c->tls == NULL) {
		c->tls = "none";
		tell_clear(c, d);
	}
	d->tls = arena_copy(d->life, bytes_of(c->tls));
	d->talked = true;
	d->ready_us = clock_wall_us();
	c->taken++;
	outgoing_send(c->session, &d->t);
}

/* Another letter may follow, for a moment. */
static void
mouth_ready(void *ctx)
{
	struct contact *c = ctx;

	if (c->delivery != NULL) {
		contact_send(c);
		return;
	}
	if (!c->keep || c->leave || c->rows->cache_ms == 0 ||
	    sender_of(c->house)->idles >= IDLE_MOST ||
	    clock_patient_ms() - c->made_ms >= c->rows->reuse_ms ||
	    (c->rows->reuse_most > 0 && c->taken >= c->rows->reuse_most)) {
		outgoing_quit(c->session);
		return;
	}
	idle_begin(c);
	timer_set(c->timer, c->rows->cache_ms);
}

static void
mouth_failed(void *ctx, enum outgoing_fate f, const char *status, const char *words)
{
	struct contact  *c = ctx;
	struct delivery *d = c->delivery;

	contact_end(c);
	if (outgoing_login_refused(c->session))
		sender_login_note(c->house, c->rows, &c->config, words);
	if (d == NULL)
		return;
	c->delivery = NULL;
	sender_met(d, -1, c->session);
	if (outgoing_handshake_failed(c->session))
		sender_tls_result(d, "validation-failure", words);
	else if (strcmp(status, "4.7.4") == 0)
		sender_tls_result(d, "starttls-not-supported", "");
	d->clear = outgoing_handshake_failed(c->session) && c->config.tls == OUTGOING_MAY;
	d->loops = outgoing_met_itself(c->session) && c->config.best;
	delivery_failed(d, f, status, words);
}

static void
mouth_fate(void *ctx, uint32_t rcpt, enum outgoing_fate f, const char *status, const char *words)
{
	struct contact *c = ctx;

	if (c->delivery != NULL)
		delivery_fate(c->delivery, rcpt, f, status, words,
		              (outgoing_offers(c->session) & OFFERS_DSN) != 0);
}

static bool
always_kept(const struct sender_settings *r, const char *nexthop)
{
	for (size_t i = 0; i < r->cache_destinations.count; i++)
		if (strcmp(r->cache_destinations.item[i], nexthop) == 0)
			return true;
	return false;
}

static void
mouth_done(void *ctx, bool good)
{
	struct contact  *c = ctx;
	struct delivery *d = c->delivery;

	if (d == NULL)
		return;
	c->keep = good && !c->security.alone &&
	          ((d->w.more && c->rows->cache_on_demand) || always_kept(c->rows, d->w.nexthop));
	c->delivery = NULL;
	/* One that had waited may have been closed meanwhile: then nothing was said to it that counts. */
	if (!good && c->taken > 1 && !d->again && d->host > 0 && outgoing_is_unheard(c->session)) {
		d->again = true;
		delivery_again(d);
	}
	delivery_done(d);
}

static void
mouth_over(void *ctx)
{
	contact_end(ctx);
}

static const struct outgoing_needs needs = {
	.out = mouth_out,
	.pending = mouth_pending,
	.content = mouth_content,
	.filter = mouth_filter,
	.secure = mouth_secure,
	.binding = mouth_binding,
	.wait = mouth_wait,
	.ready = mouth_ready,
	.failed = mouth_failed,
	.fate = mouth_fate,
	.done = mouth_done,
	.over = mouth_over,
};

/* ---- what the stream tells -------------------------------------------------------------------------- */

/* A host that says its answers to MAIL, RCPT and DATA one by one waits after each until it has heard that the one before came (rfc896), and
   the kernel takes its time with that while we have nothing to say. */
static void
answers_hurry(const struct contact *c)
{
	int on = 1;

	if (stream_pending(c->stream) == 0)
		(void)setsockopt(stream_fd(c->stream), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

static void
arrived(void *ctx)
{
	struct contact *c = ctx;

	if (c->session == NULL || c->closing)
		return;
	stream_eat(c->stream, outgoing_take(c->session, stream_peek(c->stream)));
	if (c->secures && !c->closing)
		stream_secure_to(c->stream, c->secret, &c->wish);
	c->secures = false;
	if (!c->closing && !c->idle)
		answers_hurry(c);
}

static void gone(struct contact *, const char *why, bool patience);

/* What was asked about a line is known. */
static void
line_known(void *ctx)
{
	struct contact *c = ctx;

	arrived(c);
	if (c->gone != NULL && !reply_filter_waits(c->replies))
		gone(c, c->gone, false);
}

static void
session_begin(struct contact *c)
{
	if (c->config.filters)
		c->replies = reply_filter_open(c->house, &c->rows->reply_filter, line_known, c);
	c->session = outgoing_open(&c->config, &needs, c);
}

static void
drained(void *ctx)
{
	struct contact *c = ctx;

	if (c->session != NULL && !c->closing)
		outgoing_drained(c->session);
}

static void
secured(void *ctx, bool ok, const char *why)
{
	struct contact  *c = ctx;
	struct delivery *d = c->delivery;
	const char      *doubt;

	if (c->closing)
		return;
	if (ok && (doubt = tls_doubt(c)) != NULL) {
		c->delivery = NULL;
		contact_end(c);
		if (d != NULL)
			delivery_failed(d, FATE_ELSEWHERE, "4.7.5", doubt);
		return;
	}
	c->config.verified = ok && c->security.level >= SECURITY_DANE;
	if (c->session != NULL) {
		if (c->config.verified)
			outgoing_verified(c->session);
		outgoing_secured(c->session, ok, why);
		return;
	}
	/* TLS came first; a failure is told by `closed`. */
	if (ok)
		session_begin(c);
}

static void
gone(struct contact *c, const char *why, bool patience)
{
	struct delivery *d = c->delivery;

	if (c->closing)
		return;
	/* It may have said that the letter is taken, and gone. */
	if (!patience && reply_filter_waits(c->replies)) {
		c->gone = arena_copy(c->life, bytes_of(why));
		return;
	}
	if (c->session != NULL) {
		outgoing_lost(c->session, why, patience);
		if (!c->closing)
			contact_end(c);
		return;
	}
	c->delivery = NULL;
	contact_end(c);
	if (d != NULL)
		delivery_failed(d, FATE_ELSEWHERE, "4.4.1",
		                arena_printf(d->life, "connect to %s: %s", c->relay, why));
}

static void
silent(void *ctx)
{
	gone(ctx, "", true);
}

static void
closed(void *ctx, const char *why)
{
	gone(ctx, why, false);
}

static const struct stream_events stream_events = { .arrived = arrived,
	                                            .drained = drained,
	                                            .secured = secured,
	                                            .silent = silent,
	                                            .closed = closed };

static void
time_over(void *ctx)
{
	struct contact *c = ctx;

	if (c->idle) {
		idle_end(c);
		outgoing_quit(c->session);
	} else if (c->session == NULL || !outgoing_paused(c->session)) {
		gone(c, "Connection timed out", true);
	}
}

/* ---- coming about ------------------------------------------------------------------------------------- */

static void
connected(struct contact *c)
{
	int fd = c->fd, on = 1;

	watch_close(&c->watch);
	timer_clear(c->timer);
	c->fd = -1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (c->delivery != NULL)
		c->delivery->sessions++;
	sender_met(c->delivery, fd, NULL);
	c->stream = stream_open(c->house->loop, fd, &stream_events, c);
	if (!c->config.secured) {
		session_begin(c);
		return;
	}
	timer_set(c->timer, c->rows->starttls_ms);
	stream_secure_to(c->stream, c->secret, &c->wish);
}

static void
writable(void *ctx, int bits)
{
	struct contact *c = ctx;
	int             why = 0;
	socklen_t       len = sizeof why;

	(void)bits;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0)
		why = errno;
	if (why != 0)
		gone(c, strerror(why), false);
	else
		connected(c);
}

static bool
address_of(const struct peer *p, struct sockaddr_storage *out, socklen_t *len)
{
	struct sockaddr_in  *v4 = (void *)out;
	struct sockaddr_in6 *v6 = (void *)out;

	*out = (struct sockaddr_storage){ .ss_family = (sa_family_t)p->family };
	if (p->family == AF_INET) {
		memcpy(&v4->sin_addr, p->raw, sizeof v4->sin_addr);
		v4->sin_port = htons(p->port);
		*len = sizeof *v4;
	} else {
		memcpy(&v6->sin6_addr, p->raw, sizeof v6->sin6_addr);
		v6->sin6_port = htons(p->port);
		*len = sizeof *v6;
	}
	return true;
}

/* 0 and *fd; EINPROGRESS and *fd; or another errno. */
static int
connect_to(struct contact *c, const struct peer *p, int *fd)
{
	struct sockaddr_storage at;
	socklen_t               len;
	int                     why = 0;

	(void)address_of(p, &at, &len);
	if ((*fd = socket(p->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) < 0)
		return errno;
	if (sender_bind(c->rows, *fd, p->family, c->from) &&
	    connect(*fd, (struct sockaddr *)&at, len) == 0)
		return 0;
	why = errno;
	if (why != EINPROGRESS) {
		(void)close(*fd);
		*fd = -1;
	}
	return why;
}

/* ---- how it is to be spoken to -------------------------------------------------------------------------- */

/* False: it cannot be known now. */
static bool
password_find(struct contact *c, struct delivery *d)
{
	struct bytes       value;
	ptrdiff_t          colon;
	enum table_outcome o = sender_password(d, c->name, &value);

	if (o != TABLE_FOUND)
		return o == TABLE_NONE;
	colon = bytes_find(value, ':');
	c->config.user =
		arena_copy(c->life, bytes_cut(value, 0, colon < 0 ? value.len : (size_t)colon));
	c->config.password =
		arena_copy(c->life,
	                   colon < 0 ? BYTES("") : bytes_cut(value, (size_t)colon + 1, SIZE_MAX));
	c->config.login_refused = sender_login_noted(c->house, c->rows, &c->config, c->life);
	return true;
}

static struct setting_list
list_keep(struct arena *life, const struct setting_list *from)
{
	const char **item = arena_take_array(life, from->count, sizeof *item);

	for (size_t i = 0; i < from->count; i++)
		item[i] = arena_copy(life, bytes_of(from->item[i]));
	return (struct setting_list){ item, from->count };
}

/* What TLSA records prove is part of what makes two connections alike. */
static void
wish_make(struct contact *c, const struct delivery *d)
{
	const struct tlsa *from = &d->dane;
	struct tls_record *record = arena_take_array(c->life, from->records, sizeof *record);
	const char       **name = arena_take_array(c->life, from->names, sizeof *name);
	struct buffer      text = { 0 };

	c->wish = (struct tls_demand){ .record = record, .other_name = name };
	c->wish.name = security_name(&c->security, c->name, d->w.nexthop, c->life);
	c->by_sts = d->by_sts;
	buffer_printf(&text, "%s %d%d%d", d->row, c->security.level, c->by_sts, c->security.public);
	if (c->security.level == SECURITY_DANE) {
		c->wish.name = arena_copy(c->life, bytes_of(from->base));
		for (size_t i = 0; i < from->names; i++)
			name[c->wish.names++] = arena_copy(c->life, bytes_of(from->name[i]));
		for (size_t i = 0; i < from->records; i++) {
			record[i] = from->record[i];
			record[i].data = arena_keep(c->life, from->record[i].data);
			buffer_add_char(&text, ' ');
			tlsa_write(&record[i], &text);
		}
		c->wish.records = from->records;
	}
	c->policy = arena_copy(c->life, buffer_bytes(&text));
	buffer_free(&text);
}

/* What is asked of the host, and the TLS that does it. */
static bool
security_make(struct contact *c, struct delivery *d, const char **why)
{
	struct security *want = &c->security;
	struct tls      *secret = NULL;

	*want = security_keep(c->life, &d->security);
	c->wrapped = c->rows->tls_wrapper || (!d->w.lmtp && c->port == SMTPS);
	if (c->wrapped && want->level < SECURITY_ENCRYPT)
		want->level = SECURITY_ENCRYPT;
	wish_make(c, d);
	if (want->level >= SECURITY_MAY && !d->clear)
		secret = sender_tls_for(c->house, c->rows, want);
	if (secret != NULL)
		c->secret = tls_share(secret);
	*why = "client TLS configuration problem";
	return sender_anchors(c->house, want, c->life, &c->wish) &&
	       (c->secret != NULL || want->level <= SECURITY_MAY);
}

static bool
is_known(enum table_outcome o)
{
	return o == TABLE_FOUND || o == TABLE_NONE;
}

static bool
config_make(struct contact *c, struct delivery *d, const char *address, const char **why)
{
	const struct sender_settings *r = c->rows;
	const struct sender_login    *login = &r->login[d->w.lmtp];

	c->filter = list_keep(c->life, &login->mechanisms);
	c->config = (struct outgoing_config){
		.host = arena_printf(c->life, "%s[%s]", c->name, address),
		.hello = arena_copy(c->life, bytes_of(d->w.lmtp ? r->lhlo_name : r->helo_name)),
		.lmtp = d->w.lmtp,
		.never_ehlo = r->never_ehlo,
		.always_ehlo = r->always_ehlo,
		.verify_data = r->verify_target == 1,
		.secured = c->wrapped,
		.tls = c->secret == NULL                       ? OUTGOING_CLEAR
		       : c->security.level >= SECURITY_ENCRYPT ? OUTGOING_ENCRYPT
		                                               : OUTGOING_MAY,
		.line_most = r->line_most,
		.skip_5xx_greeting = r->skip_5xx,
		.skip_quit = r->skip_quit,
		.auth = login->on,
		.pix_delay = d->w.age_s * 1000 >= r->pix_after_ms,
		.server = c->name,
		.port = c->port,
		.demands = sender_demands(&login->options),
		.demands_tls = sender_demands(&login->tls_options),
		.demands_verified = sender_demands(&login->verified_options),
		.xforward = r->xforward,
		.dummy_auth = r->dummy_auth,
		.filters = r->reply_filter.count > 0,
		.filter = &c->filter,
		.auth_soft = r->auth_soft,
		.history = sender_of(c->house)->notify,
	};
	d->clear = false;
	*why = "smtp_pix_workaround_maps cannot be asked";
	if (!is_known(sender_pix(d, address, &c->config.pix)))
		return false;
	*why = "smtp_discard_ehlo_keyword_address_maps cannot be asked";
	if (!is_known(sender_discards(d, address, &c->config.discard)))
		return false;
	if (sender_is_chunkless(c->house, c->relay))
		c->config.discard |= OFFERS_CHUNKING;
	if ((c->from = sender_bind_words(d, why)) == NULL)
		return false;
	c->from = arena_copy(c->life, bytes_of(c->from));
	*why = "smtp_sasl_password_maps cannot be asked";
	return !c->config.auth || password_find(c, d);
}

/* What makes two connections the same: where to, and how it is spoken to. */
static const char *
key_of(struct contact *c, const char *where, const char *nexthop)
{
	return arena_printf(c->life, "%p %s %s %s %d %d %s %s %s", (const void *)c->rows, where,
	                    c->name, nexthop, c->config.lmtp, c->config.tls, c->policy,
	                    c->config.user != NULL ? c->config.user : "", c->from);
}

static struct contact *
contact_open(struct delivery *d)
{
	struct sender_role *s = sender_of(d->house);
	struct arena       *life = arena_open(NULL);
	struct contact     *c = arena_take(life, sizeof *c);

	*c = (struct contact){ .next = s->contacts,
		               .at = &s->contacts,
		               .house = d->house,
		               .rows = d->rows,
		               .life = life,
		               .fd = -1,
		               .made_ms = clock_patient_ms() };
	c->end = (struct errand){ .go = contact_close, .ctx = c };
	c->timer = timer_open(d->house->loop, time_over, c);
	if (s->contacts != NULL)
		s->contacts->at = &c->next;
	s->contacts = c;
	s->sessions++;
	return c;
}

/* Before it comes about. */
static void
contact_fail(struct contact *c, const char *status, const char *words)
{
	struct delivery *d = c->delivery;

	c->delivery = NULL;
	contact_end(c);
	delivery_failed(d, FATE_ELSEWHERE, status, words);
}

void
contact_begin(struct delivery *d, const struct route_host *h, const char *path)
{
	struct sender_role *s = sender_of(d->house);
	struct contact     *c = contact_open(d), *idle;
	const char         *where = h != NULL ? h->peer.text : path, *wrong = "";
	int                 why;

	c->name = arena_copy(c->life,
	                     bytes_of(h != NULL ? sender_host_name(d) : s->common.myhostname));
	c->port = h != NULL ? h->peer.port : 0;
	c->relay = h != NULL ? arena_printf(c->life, "%s[%s]:%u", c->name, where, h->peer.port)
	                     : arena_printf(c->life, "%s[%s]", c->name, where);
	d->relay = arena_copy(d->life, bytes_of(c->relay));
	d->contact = c;
	c->delivery = d;
	if (!security_make(c, d, &wrong)) {
		contact_fail(c, "4.7.5", wrong);
		return;
	}
	if (!config_make(c, d, where, &wrong)) {
		contact_fail(c, "4.3.0", wrong);
		return;
	}
	sender_name_own(d, h, c->life, &c->config);
	c->key = key_of(c, c->relay, d->w.nexthop);
	c->wish.session = c->key;
	if ((idle = map_get(s->idle, bytes_of(c->key))) != NULL) {
		c->delivery = NULL;
		contact_end(c);
		idle_end(idle);
		idle->delivery = d;
		d->sessions++;
		d->contact = idle;
		contact_send(idle);
		return;
	}
	why = h != NULL ? connect_to(c, &h->peer, &c->fd)
	                : sender_connect_path(path, &s->common.socket_directories, &c->fd);
	if (why == 0) {
		connected(c);
	} else if (why == EINPROGRESS) {
		c->watch = watch_open(d->house->loop, c->fd, writable, c);
		watch_want(c->watch, LOOP_WRITE);
		if (c->rows->connect_ms > 0) /* else as long as the system tries */
			timer_set(c->timer, c->rows->connect_ms);
	} else {
		gone(c, strerror(why), false);
	}
}

/* ---- leaving -------------------------------------------------------------------------------------------- */

void
contacts_leave(struct house *h)
{
	for (struct contact *c = sender_of(h)->contacts; c != NULL; c = c->next) {
		c->leave = true;
		if (c->idle)
			time_over(c);
	}
}

bool
contacts_busy(const struct house *h)
{
	return ((struct sender_role *)h->mine)->contacts != NULL;
}
