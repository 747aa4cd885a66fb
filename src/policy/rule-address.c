/* rule-address.c -- senders and recipients: how they are written, whether they are ours */
#include "policy/rule.h"

#include <string.h>

#include "base/pack.h"
#include "message/status.h"

/*
 * Fully qualified
 */

static bool
is_full(struct bytes address)
{
	ptrdiff_t    at = bytes_find_last(address, '@');
	struct bytes domain = at < 0 ? BYTES("") : bytes_cut(address, (size_t)at + 1, SIZE_MAX);

	if (domain.len > 1 && domain.at[0] == '[' && domain.at[domain.len - 1] == ']')
		return true;
	if (rule_hostname(domain, true))
		return true;
	/* rfc6531:3.3: a name in its own script is checked where it is looked up. */
	for (size_t i = 0; i < domain.len; i++)
		if ((unsigned char)domain.at[i] >= 128)
			return bytes_find(domain, '.') > 0;
	return false;
}

static enum rule_result
refuse_short(struct rule_work *w, struct bytes address, const char *class)
{
	if (address.len == 0 || is_full(address))
		return RULE_DUNNO;
	return rule_reject_of(w, (int)w->set->non_fqdn, "5.5.2", rule_meant(w, address), class,
	                      "need fully-qualified address");
}

static enum rule_result
reject_short_sender(struct rule_work *w, const struct rule_step *s)
{
	(void)s;
	return refuse_short(w, w->facts->sender, rule_class_sender);
}

static enum rule_result
reject_short_recipient(struct rule_work *w, const struct rule_step *s)
{
	(void)s;
	return refuse_short(w, w->facts->recipient, rule_class_recipient);
}

/*
 * Ours or not
 */

/* user%other@domain, other!user@domain, "user@other"@domain: whoever is next may take it for a way to somewhere else,
   and trust us; a backup would relay for strangers by the primary. */
static bool
is_routed(struct bytes address)
{
	struct bytes local = bytes_cut(address, 0, (size_t)bytes_find_last(address, '@'));

	return bytes_find(local, '%') >= 0 || bytes_find(local, '!') >= 0 ||
	       bytes_find(local, '@') >= 0;
}

static bool
is_ours(const struct rule_work *w)
{
	const struct rule_facts *f = w->facts;

	return f->recipient_is != RECIPIENT_FOREIGN && f->recipient_is != RECIPIENT_UNASKED &&
	       (w->set->untrusted_routing || !is_routed(f->recipient_whole));
}

static enum rule_result
permit_destination(struct rule_work *w, const struct rule_step *s)
{
	if (!w->facts->has_recipient)
		return RULE_DUNNO;
	if (w->facts->recipient_is == RECIPIENT_LATER)
		return rule_unsure(w, w->facts->recipient);
	if (is_ours(w))
		return rule_permit(w, "the recipient's domain is ours");
	rule_tell(w, "%s: the recipient's domain is not ours", s->name);
	return RULE_DUNNO;
}

static enum rule_result
refuse_destination(struct rule_work *w, const struct rule_step *s, int64_t code, const char *status)
{
	if (!w->facts->has_recipient)
		return RULE_DUNNO;
	if (w->facts->recipient_is == RECIPIENT_LATER)
		return rule_unsure(w, w->facts->recipient);
	if (!is_ours(w))
		return rule_reject(w, (int)code, status, "<%s>: Relay access denied",
		                   rule_shown(w, rule_meant(w, w->facts->recipient)));
	rule_tell(w, "%s: the recipient's domain is ours", s->name);
	return RULE_DUNNO;
}

static enum rule_result
reject_destination(struct rule_work *w, const struct rule_step *s)
{
	return refuse_destination(w, s, w->set->relay, "5.7.1");
}

/* Both at once: what ours is comes in, whatever rules follow. */
static enum rule_result
check_relay(struct rule_work *w, const struct rule_step *s)
{
	enum rule_result r = permit_destination(w, s);

	if (r != RULE_DUNNO || !w->facts->has_recipient)
		return r;
	return rule_reject_of(w, (int)w->set->relay, "5.7.1", rule_meant(w, w->facts->recipient),
	                      rule_class_recipient, "Relay access denied");
}

static enum rule_result
defer_destination(struct rule_work *w, const struct rule_step *s)
{
	return refuse_destination(w, s, w->set->relay - 100, "4.7.1");
}

/*
 * Known or not
 */

/* The code is the administrator's; its first digit is that of the status, too. */
static enum rule_result
refuse_unknown(struct rule_work *w, struct bytes address, struct bytes table, const char *class)
{
	static const char *const names[POLICY_UNKNOWN_TABLES] = {
		[POLICY_UNKNOWN_LOCAL] = "local recipient table",
		[POLICY_UNKNOWN_ALIAS] = "virtual alias table",
		[POLICY_UNKNOWN_MAILBOX] = "virtual mailbox table",
		[POLICY_UNKNOWN_RELAY] = "relay recipient table",
	};
	int64_t code = 550;

	for (size_t i = 0; i < POLICY_UNKNOWN_TABLES; i++)
		if (bytes_is(table, names[i]))
			code = w->set->unknown_code[i];
	return rule_reject_of(w, (int)code, class == rule_class_sender ? "5.1.0" : "5.1.1",
	                      rule_meant(w, address), class,
	                      arena_printf(w->life, "User unknown in %s", rule_shown(w, table)));
}

static bool
begins_with_status(struct bytes reply)
{
	return status_is(bytes_cut(reply, 0, status_len(reply)), "45");
}

/* "5.1.6 User has moved to ..." */
static enum rule_result
refuse_in_words(struct rule_work *w, int code, struct bytes address, struct bytes reply,
                const char *class)
{
	struct bytes rest = reply, status = { NULL, 0 };

	if (!bytes_split(&rest, ' ', &status) || !status_is(status, "45"))
		status = BYTES("5.7.1");
	if (status.at[0] == '4')
		code = 450;
	/* Of a transport that says none: "5.1.1" is what a recipient is told. */
	if (class == rule_class_sender &&
	    bytes_equal(bytes_cut(status, 1, SIZE_MAX), BYTES(".1.1")))
		status = status.at[0] == '4' ? BYTES("4.1.0") : BYTES("5.1.0");
	return rule_reject_of(w, code, arena_copy(w->life, status), rule_meant(w, address), class,
	                      rule_shown(w, rest));
}

enum rule_result
rule_recipient_refused(struct rule_work *w)
{
	const struct rule_facts *f = w->facts;
	bool                     may_relay = !f->lmtp && (f->trusted || f->user.len > 0);
	const char              *wrong;
	bool overrides = (receive_overrides(&w->set->overrides, &wrong) & OVERRIDE_UNKNOWN) != 0;
	/* Whoever may not relay gets no notice that could go to somebody else. */
	bool borne = ((!w->set->unlisted_recipient && may_relay) || overrides) &&
	             strcmp(w->rule, "reject_unlisted_recipient") != 0;

	w->unlisted_asked = true;
	switch ((enum rule_recipient)f->recipient_is) {
	case RECIPIENT_UNKNOWN:
		return borne ? RULE_DUNNO
		             : refuse_unknown(w, f->recipient, f->recipient_why,
		                              rule_class_recipient);
	case RECIPIENT_REFUSED:
		return borne ? RULE_DUNNO
		             : refuse_in_words(w, 550, f->recipient, f->recipient_why,
		                               rule_class_recipient);
	case RECIPIENT_LATER: return rule_unsure(w, f->recipient);
	case RECIPIENT_LOOP:
		return refuse_in_words(w, 554, f->recipient, f->recipient_why,
		                       rule_class_recipient);
	case RECIPIENT_FULL_NOW: /* rfc3463:3.3: X.2.2 mailbox full */
		return rule_reject(w, 452, "4.2.2",
		                   "<%s>: Quota exceeded (mailbox for user is full)",
		                   rule_shown(w, rule_meant(w, f->recipient)));
	case RECIPIENT_FULL:
		return rule_reject(w, 552, "5.2.2",
		                   "<%s>: Quota exceeded (mailbox for user is full)",
		                   rule_shown(w, rule_meant(w, f->recipient)));
	case RECIPIENT_FOREIGN: /* the transport that has it takes nothing: error:5.1.1 words */
		return begins_with_status(f->recipient_why) && !borne
		               ? refuse_in_words(w, 550, f->recipient, f->recipient_why,
		                                 rule_class_recipient)
		               : RULE_DUNNO;
	default: return RULE_DUNNO;
	}
}

static enum rule_result
reject_unlisted_recipient(struct rule_work *w, const struct rule_step *s)
{
	(void)s;
	if (!w->facts->has_recipient || w->facts->recipient.len == 0)
		return RULE_DUNNO;
	return rule_recipient_refused(w);
}

/* What the directory says of another address: u8 enum rule_recipient, words. */
enum rule_result
rule_sender_unlisted(struct rule_work *w)
{
	const struct rule_facts *f = w->facts;
	struct bytes             value, why;
	struct unpack            u;
	uint8_t                  is;

	w->sender_asked = true;
	if (f->sender_whole.len == 0)
		return RULE_DUNNO;
	switch (rule_ask(w, ASK_RESOLVE, "", f->sender_whole, &value)) {
	case RULE_ANSWER_WAIT: return RULE_WAITS;
	case RULE_ANSWER_LATER: return rule_unsure(w, f->sender);
	default: break;
	}
	u = unpack_of(value);
	is = unpack_u8(&u);
	why = unpack_bytes(&u);
	if (!unpack_done(&u) || is == RECIPIENT_LATER)
		return rule_unsure(w, f->sender);
	if (is == RECIPIENT_UNKNOWN)
		return refuse_unknown(w, f->sender, why, rule_class_sender);
	/* Its transport takes nothing: error:, retry:; or it has moved. */
	if (is == RECIPIENT_REFUSED || (is == RECIPIENT_FOREIGN && begins_with_status(why)))
		return refuse_in_words(w, 550, f->sender, why, rule_class_sender);
	return RULE_DUNNO;
}

static enum rule_result
reject_unlisted_sender(struct rule_work *w, const struct rule_step *s)
{
	(void)s;
	return rule_sender_unlisted(w);
}

/* clang-format off */
static const struct rule rows[] = {
	{ .name = "reject_non_fqdn_sender",      .run = reject_short_sender },
	{ .name = "reject_non_fqdn_recipient",   .run = reject_short_recipient },
	{ .name = "permit_auth_destination",     .run = permit_destination },
	{ .name = "reject_unauth_destination",   .run = reject_destination, .final = true },
	{ .name = "defer_unauth_destination",    .run = defer_destination,  .final = true },
	{ .name = "check_relay_domains",         .run = check_relay,        .final = true,
	  .doubt = "it permits whatever is ours, and rules behind it are not asked; write reject_unauth_destination" },
	{ .name = "reject_unlisted_recipient",   .run = reject_unlisted_recipient },
	{ .name = "check_recipient_maps",        .run = reject_unlisted_recipient },
	{ .name = "reject_unlisted_sender",      .run = reject_unlisted_sender },
};
/* clang-format on */
const struct rule_rows rule_rows_address = { rows, COUNT(rows) };
