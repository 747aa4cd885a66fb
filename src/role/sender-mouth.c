/*
 * sender-mouth -- what a session with another host (smtp/sender/outgoing.h) wants of its connection, and what is told of it: how
 * sure its TLS is, which letter has which end
 */
#include "base/clock.h"
#include "role/sender-contact.h"
#include <stdio.h>
#include <string.h>

/* So many connections wait for a letter at once: each takes descriptors, here and there. */
enum { IDLE_MOST = 500 };

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

	c->met = c->met || what > WAIT_HELLO;
	c->waits = what;
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

const char *
contact_tls_doubt(struct contact *c)
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

void
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
	contact_idle(c);
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

const struct outgoing_needs contact_needs = {
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
