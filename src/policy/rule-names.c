/* rule-names.c -- whether the names that a client has and tells are there at all */
#include "policy/rule.h"

#include <string.h>

#include "policy/rule-witness.h"

/*
 * Asking
 */

enum rule_answer
rule_look_up(struct rule_work *w, const char *type, struct bytes name, struct bytes *value)
{
	return rule_ask(w, ASK_DNS, type, arena_lower(w->life, name), value);
}

/* The first that waits is as good as both: they are asked together. */
static enum rule_answer
look_up_addresses(struct rule_work *w, struct bytes name)
{
	struct bytes     value;
	enum rule_answer four = rule_look_up(w, "A", name, &value);
	enum rule_answer six = rule_look_up(w, "AAAA", name, &value);

	if (four == RULE_ANSWER_FOUND || six == RULE_ANSWER_FOUND)
		return RULE_ANSWER_FOUND;
	if (four == RULE_ANSWER_WAIT || six == RULE_ANSWER_WAIT)
		return RULE_ANSWER_WAIT;
	return four == RULE_ANSWER_LATER || six == RULE_ANSWER_LATER ? RULE_ANSWER_LATER
	                                                             : RULE_ANSWER_NONE;
}

enum host {
	HOST_THERE,
	HOST_NOT,
	HOST_TAKES_NOTHING, /* rfc7505 */
	HOST_MALFORMED,     /* its mail exchangers are no hosts */
	HOST_LATER,
	HOST_WAIT
};

static enum host
judge_exchangers(struct bytes value)
{
	enum host        is = HOST_MALFORMED;
	struct witnessed one;

	while (witness_next(&value, &one)) {
		if (bytes_equal(one.text, BYTES(".")))
			return HOST_TAKES_NOTHING;
		if (!one.is_bad)
			is = HOST_THERE;
	}
	return is;
}

static enum host
exists(struct rule_work *w, struct bytes name)
{
	struct bytes     value = { "", 0 };
	enum rule_answer mx = rule_look_up(w, "MX", name, &value), address;
	enum host        is = HOST_NOT;

	if (mx == RULE_ANSWER_WAIT)
		return HOST_WAIT;
	if (mx == RULE_ANSWER_FOUND && value.len == 0)
		return HOST_THERE; /* all of it is left out: smtpd_dns_reply_filter */
	if (mx == RULE_ANSWER_FOUND && (is = judge_exchangers(value)) != HOST_MALFORMED)
		return is;
	address = look_up_addresses(w, name);
	return address == RULE_ANSWER_WAIT                               ? HOST_WAIT
	       : address == RULE_ANSWER_FOUND                            ? HOST_THERE
	       : mx == RULE_ANSWER_LATER || address == RULE_ANSWER_LATER ? HOST_LATER
	                                                                 : is;
}

enum rule_result
rule_tempfail(struct rule_work *w, int action, int code, const char *status, const char *text)
{
	if (action == TEMPFAIL_DEFER)
		return rule_reject(w, code, status, "%s", text);
	return rule_defer_if_permit(w, code, status, "%s", text);
}

/*
 * The client
 */

static bool
is_unknown(struct bytes name)
{
	return name.len == 0 || bytes_is(name, "unknown");
}

static enum rule_result
reject_unknown_client(struct rule_work *w, const struct rule_step *s)
{
	const struct rule_facts *f = w->facts;

	(void)s;
	if (!is_unknown(f->name))
		return RULE_DUNNO;
	return rule_reject(w, f->named == NAME_LATER ? 450 : (int)w->set->witness.unknown_client,
	                   "4.7.25", "Client host rejected: cannot find your hostname, [%s]",
	                   rule_shown(w, f->address));
}

static enum rule_result
reject_unknown_reverse(struct rule_work *w, const struct rule_step *s)
{
	const struct rule_facts *f = w->facts;

	(void)s;
	if (!is_unknown(f->reverse))
		return RULE_DUNNO;
	return rule_reject(w, f->named == NAME_LATER ? 450 : (int)w->set->witness.unknown_client,
	                   "4.7.1", "Client host rejected: cannot find your reverse hostname, [%s]",
	                   rule_shown(w, f->address));
}

/*
 * What it says
 */

static enum rule_result
reject_unknown_helo(struct rule_work *w, const struct rule_step *s)
{
	const struct rule_facts *f = w->facts;
	const char              *text = arena_printf(w->life, "<%s>: %s rejected: Host not found",
	                                             rule_shown(w, f->helo), rule_class_helo);

	(void)s;
	if (!f->helo_said)
		return RULE_DUNNO;
	if (f->helo.len > 0 && f->helo.at[0] == '[')
		return rule_literal(f->helo)
		               ? RULE_DUNNO
		               : rule_reject_of(w, (int)w->set->invalid_name, "5.5.2", f->helo,
		                                rule_class_helo, "invalid ip address");
	switch (exists(w, f->helo)) {
	case HOST_WAIT: return RULE_WAITS;
	case HOST_THERE: return RULE_DUNNO;
	case HOST_LATER: return rule_tempfail(w, w->set->witness.helo_tempfail, 450, "4.7.1", text);
	default: return rule_reject(w, (int)w->set->witness.unknown_helo, "4.7.1", "%s", text);
	}
}

/* Whether a letter to the address would come to us; RULE_OK: it would. */
static enum rule_result
is_ours(struct rule_work *w, bool sender)
{
	uint8_t          is = w->facts->recipient_is;
	struct bytes     why;
	enum rule_result r;

	if (sender && (r = rule_resolve(w, "", w->facts->sender_whole, &is, &why)) != RULE_OK)
		return r;
	return is == RECIPIENT_FOREIGN || is == RECIPIENT_UNASKED ? RULE_DUNNO : RULE_OK;
}

/* rfc7505:4.2 has a status of its own for each side. */
static enum rule_result
refuse_domain(struct rule_work *w, enum host is, struct bytes address, struct bytes domain,
              bool sender)
{
	const char *class = sender ? rule_class_sender : rule_class_recipient;
	const char *begin =
		arena_printf(w->life, "<%s>: %s rejected:", rule_shown(w, rule_meant(w, address)),
	                     class);
	const char *status = sender ? "4.1.8" : "4.1.2";

	if (is == HOST_TAKES_NOTHING)
		return rule_reject(w, sender ? 550 : 556, sender ? "4.7.27" : "4.1.10",
		                   "%s Domain %s does not accept mail (nullMX)", begin,
		                   rule_shown(w, domain));
	if (is == HOST_LATER)
		return rule_tempfail(w, w->set->witness.address_tempfail, 450, status,
		                     arena_printf(w->life, "%s Domain not found", begin));
	return rule_reject(w, (int)w->set->witness.unknown_address, status, "%s %s", begin,
	                   is == HOST_MALFORMED ? "Malformed DNS server reply"
	                                        : "Domain not found");
}

static enum rule_result
look_at_domain(struct rule_work *w, struct bytes address, struct bytes whole, bool sender)
{
	ptrdiff_t        at = bytes_find_last(whole, '@');
	struct bytes     domain;
	enum rule_result r;
	enum host        is;

	if (address.len == 0 || at < 0)
		return RULE_DUNNO;
	domain = bytes_cut(whole, (size_t)at + 1, whole.len);
	if (domain.len == 0 || domain.at[0] == '[' || domain.at[0] == '#')
		return RULE_DUNNO;
	r = is_ours(w, sender);
	if (r != RULE_DUNNO)
		return r == RULE_OK ? RULE_DUNNO : r;
	is = exists(w, domain);
	if (is == HOST_WAIT)
		return RULE_WAITS;
	return is == HOST_THERE ? RULE_DUNNO : refuse_domain(w, is, address, domain, sender);
}

static enum rule_result
reject_unknown_sender(struct rule_work *w, const struct rule_step *s)
{
	(void)s;
	if (!w->facts->has_sender)
		return RULE_DUNNO;
	return look_at_domain(w, w->facts->sender, w->facts->sender_whole, true);
}

static enum rule_result
reject_unknown_recipient(struct rule_work *w, const struct rule_step *s)
{
	(void)s;
	if (!w->facts->has_recipient)
		return RULE_DUNNO;
	return look_at_domain(w, w->facts->recipient, w->facts->recipient_whole, false);
}

/* clang-format off */
static const struct rule rows[] = {
	{ .name = "reject_unknown_client_hostname",         .run = reject_unknown_client },
	{ .name = "reject_unknown_client",                  .run = reject_unknown_client },
	{ .name = "reject_unknown_reverse_client_hostname", .run = reject_unknown_reverse },
	{ .name = "reject_unknown_helo_hostname",           .run = reject_unknown_helo,      .ahead = true },
	{ .name = "reject_unknown_hostname",                .run = reject_unknown_helo,      .ahead = true },
	{ .name = "reject_unknown_sender_domain",           .run = reject_unknown_sender,    .ahead = true },
	{ .name = "reject_unknown_address",                 .run = reject_unknown_sender,    .ahead = true },
	{ .name = "reject_unknown_recipient_domain",        .run = reject_unknown_recipient, .ahead = true },
};
/* clang-format on */
const struct rule_rows rule_rows_names = { rows, COUNT(rows) };
