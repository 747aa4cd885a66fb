/* rule-plain.c -- rules that need no name: permit, reject, defer, who the client is and how it behaves */
#include "policy/rule.h"

#include <string.h>

static enum rule_result
permit(struct rule_work *w, const struct rule_step *s)
{
	(void)s;
	return rule_permit(w, "");
}

static enum rule_result
reject(struct rule_work *w, const struct rule_step *s)
{
	(void)s;
	return rule_reject_here(w, (int)w->set->reject, "5.7.1", "Access denied");
}

static enum rule_result
defer(struct rule_work *w, const struct rule_step *s)
{
	(void)s;
	return rule_reject_here(w, (int)w->set->defer, "4.3.2", "Try again later");
}

static enum rule_result
defer_if_permit(struct rule_work *w, const struct rule_step *s)
{
	(void)s;
	return rule_defer_if_permit(w, 450, "4.7.0", "<%s>: %s rejected: defer_if_permit requested",
	                            rule_shown(w, w->name), w->class);
}

static enum rule_result
defer_if_reject(struct rule_work *w, const struct rule_step *s)
{
	(void)s;
	return rule_defer_if_reject(w, 450, "4.7.0", "<%s>: %s rejected: defer_if_reject requested",
	                            rule_shown(w, w->name), w->class);
}

static enum rule_result
sleep_awhile(struct rule_work *w, const struct rule_step *s)
{
	uint64_t all = w->verdict.sleep_s + s->number;

	w->verdict.sleep_s = all < RULE_SLEEP_MOST_S ? (uint32_t)all : RULE_SLEEP_MOST_S;
	rule_tell(w, "%s: %s seconds", s->name, s->argument);
	return RULE_DUNNO;
}

static enum rule_result
permit_mynetworks(struct rule_work *w, const struct rule_step *s)
{
	if (w->facts->trusted)
		return rule_permit(w, "the client is in mynetworks");
	if (w->facts->unsure) {
		rule_note(w, "warn", "mynetworks: table lookup problem");
		return rule_unsure(w, w->name);
	}
	rule_tell(w, "%s: the client is not in mynetworks", s->name);
	return RULE_DUNNO;
}

static enum rule_result
permit_here(struct rule_work *w, const struct rule_step *s)
{
	if (w->facts->here)
		return rule_permit(w, "the client is on this machine");
	rule_tell(w, "%s: the client is on another machine", s->name);
	return RULE_DUNNO;
}

static enum rule_result
permit_authenticated(struct rule_work *w, const struct rule_step *s)
{
	if (w->facts->user.len > 0)
		return rule_permit(w, rule_shown(w, w->facts->user));
	rule_tell(w, "%s: nobody has logged in", s->name);
	return RULE_DUNNO;
}

/* The certificate itself, or its key, is in a table of relay_clientcerts. */
static enum rule_result
permit_certificate(struct rule_work *w, const struct rule_step *s)
{
	const struct bytes         prints[] = { w->facts->fingerprint, w->facts->key_fingerprint };
	const struct setting_list *tables = &w->set->client_certs;
	struct bytes               value;

	if (!w->facts->tls || w->facts->fingerprint.len == 0) {
		rule_tell(w, "%s: the client has shown no certificate", s->name);
		return RULE_DUNNO;
	}
	for (size_t i = 0; i < COUNT(prints); i++)
		for (size_t t = 0; t < tables->count && prints[i].len > 0; t++)
			switch (rule_ask(w, ASK_TABLE, tables->item[t], prints[i], &value)) {
			case RULE_ANSWER_FOUND: return rule_permit(w, "its certificate is listed");
			case RULE_ANSWER_LATER: return rule_unsure(w, w->name);
			case RULE_ANSWER_WAIT: return RULE_WAITS;
			case RULE_ANSWER_NONE: break;
			}
	rule_tell(w, "%s: its certificate is not listed", s->name);
	return RULE_DUNNO;
}

static enum rule_result
permit_all_certificates(struct rule_work *w, const struct rule_step *s)
{
	if (w->facts->tls && w->facts->tls_trusted)
		return rule_permit(w, "its certificate is trusted");
	return permit_certificate(w, s);
}

static enum rule_result
reject_plaintext(struct rule_work *w, const struct rule_step *s)
{
	(void)s;
	if (w->facts->tls)
		return RULE_DUNNO;
	return rule_reject(w, (int)w->set->plaintext, "4.7.1", "Session encryption is required");
}

static enum rule_result
reject_pipelining(struct rule_work *w, const struct rule_step *s)
{
	(void)s;
	if (!w->facts->pipelined)
		return RULE_DUNNO;
	return rule_reject_here(w, 503, "5.5.0", "Improper use of SMTP command pipelining");
}

/* A notice goes to one who sent something. */
static enum rule_result
reject_bounce(struct rule_work *w, const struct rule_step *s)
{
	uint32_t most = w->facts->moment == AT_RCPT ? 0 : 1;

	(void)s;
	if (!w->facts->has_sender || w->facts->sender.len > 0 || w->facts->recipients <= most)
		return RULE_DUNNO;
	return rule_reject_here(w, (int)w->set->bounce, "5.5.3", "Multi-recipient bounce");
}

/* clang-format off */
static const struct rule rows[] = {
	{ .name = "permit",                      .run = permit },
	{ .name = "reject",                      .run = reject,          .final = true },
	{ .name = "defer",                       .run = defer,           .final = true },
	{ .name = "defer_if_permit",             .run = defer_if_permit, .final = true },
	{ .name = "defer_if_reject",             .run = defer_if_reject },
	{ .name = "sleep",                       .run = sleep_awhile,    .takes = TAKES_NUMBER },
	{ .name = "permit_mynetworks",           .run = permit_mynetworks },
	{ .name = "permit_inet_interfaces",      .run = permit_here },
	{ .name = "permit_sasl_authenticated",   .run = permit_authenticated },
	{ .name = "permit_tls_clientcerts",      .run = permit_certificate },
	{ .name = "permit_tls_all_clientcerts",  .run = permit_all_certificates },
	{ .name = "reject_plaintext_session",    .run = reject_plaintext },
	{ .name = "reject_unauth_pipelining",    .run = reject_pipelining },
	{ .name = "reject_multi_recipient_bounce", .run = reject_bounce },
};
/* clang-format on */
const struct rule_rows rule_rows_plain = { rows, COUNT(rows) };
