/* rule-others.c -- policy services, the greylist, other servers asked about an address, and whether we are a backup */
#include "policy/rule-witness.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/pack.h"

enum rule_result
rule_resolve(struct rule_work *w, const char *how, struct bytes address, uint8_t *is,
             struct bytes *why)
{
	struct bytes     value = { "", 0 };
	struct unpack    u;
	enum rule_answer a = rule_ask(w, ASK_RESOLVE, how, address, &value);

	if (a == RULE_ANSWER_WAIT)
		return RULE_WAITS;
	u = unpack_of(value);
	*is = unpack_u8(&u);
	*why = unpack_bytes(&u);
	if (a == RULE_ANSWER_LATER || !unpack_done(&u) || *is == RECIPIENT_LATER)
		return rule_unsure(w, address);
	return RULE_OK;
}

/*
 * Policy services
 */

/* xtext, as Postfix has subjects of certificates: what is not printable, + and = are +HH (rfc3461:4). */
static struct bytes
xtext(struct arena *a, struct bytes b)
{
	struct buffer out = { 0 };
	struct bytes  text;

	for (size_t i = 0; i < b.len; i++) {
		unsigned char c = (unsigned char)b.at[i];
		if (c <= ' ' || c >= 127 || c == '+' || c == '=')
			buffer_printf(&out, "+%02X", c);
		else
			buffer_add_char(&out, (char)c);
	}
	text = arena_keep(a, buffer_bytes(&out));
	buffer_free(&out);
	return text;
}

/* A name that nobody vouches for is none. */
static struct bytes
vouched(struct arena *a, const struct rule_facts *f, struct bytes name)
{
	return f->tls_trusted ? xtext(a, name) : BYTES("");
}

static const char *
state_of(const struct rule_facts *f)
{
	static const char *const states[RULE_MOMENTS] = {
		[AT_CONNECT] = "CONNECT",    [AT_HELO] = "HELO", [AT_MAIL] = "MAIL",
		[AT_RCPT] = "RCPT",          [AT_VRFY] = "VRFY", [AT_DATA] = "DATA",
		[AT_END] = "END-OF-MESSAGE", [AT_ETRN] = "ETRN",
	};

	if (f->moment == AT_HELO)
		return f->esmtp ? "EHLO" : "HELO";
	if (f->moment == AT_CONNECT && f->forwarded)
		return "XCLIENT";
	return f->moment < RULE_MOMENTS ? states[f->moment] : "RCPT";
}

/* At the first EHLO it is not known yet whether it will be ESMTP; who has begun TLS has said it before. */
static struct bytes
protocol_of(const struct rule_facts *f)
{
	return f->lmtp                                        ? BYTES("LMTP")
	       : f->esmtp && (f->moment != AT_HELO || f->tls) ? BYTES("ESMTP")
	                                                      : BYTES("SMTP");
}

/* In the order of Postfix; a service may look at any of them.  What the letter will be called is not known before it
   is there: queue_id is the transaction's name. */
static struct bytes
attributes(struct rule_work *w, const struct service *s)
{
	const struct rule_facts *f = w->facts;
	struct arena            *a = w->life;
	struct buffer            b = { 0 };
	struct bytes             out;
	bool                     one = f->moment == AT_RCPT || f->moment == AT_VRFY;
	const struct {
		const char  *name;
		struct bytes value;
	} rows[] = {
		{ "request", BYTES("smtpd_access_policy") },
		{ "protocol_state", bytes_of(state_of(f)) },
		{ "protocol_name", protocol_of(f) },
		{ "client_address", f->address },
		{ "client_name", f->name },
		{ "client_port", f->port },
		{ "reverse_client_name", f->reverse },
		{ "server_address", f->server_address },
		{ "server_port", f->server_port },
		{ "helo_name", f->helo },
		{ "sender", rule_meant(w, f->sender) },
		{ "recipient",
		  one || f->recipients <= 1 ? rule_meant(w, f->recipient) : BYTES("") },
		{ "recipient_count", bytes_of(arena_printf(a, "%u", one ? 0 : f->recipients)) },
		{ "queue_id", f->queue_id },
		{ "instance", f->instance },
		{ "size", bytes_of(arena_printf(a, "%llu", (unsigned long long)f->size)) },
		{ "etrn_domain", f->etrn },
		{ "stress", f->stress ? BYTES("yes") : BYTES("") },
		{ "sasl_method", f->method },
		{ "sasl_username", f->user },
		{ "sasl_sender", f->auth_sender },
		{ "ccert_subject", vouched(a, f, f->subject) },
		{ "ccert_issuer", vouched(a, f, f->issuer) },
		{ "ccert_fingerprint", f->fingerprint },
		{ "ccert_pubkey_fingerprint", f->key_fingerprint },
		{ "encryption_protocol", f->tls_protocol },
		{ "encryption_cipher", f->tls_cipher },
		{ "encryption_keysize", f->tls_bits.len > 0 ? f->tls_bits : BYTES("0") },
		{ "policy_context", bytes_of(s->set.policy_context) },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		service_attribute(&b, rows[i].name, rows[i].value);
	out = arena_keep(a, buffer_bytes(&b));
	buffer_free(&b);
	return out;
}

static enum rule_result
check_service(struct rule_work *w, const struct rule_step *step)
{
	struct service s;
	const char    *why;
	struct bytes   action = { "", 0 };

	if (!service_parse(bytes_of(step->argument), &w->set->witness.service, w->life, &s, &why))
		return rule_misconfigured(w, why);
	switch (rule_ask(w, ASK_SERVICE, step->argument, attributes(w, &s), &action)) {
	case RULE_ANSWER_WAIT: return RULE_WAITS;
	case RULE_ANSWER_FOUND: break;
	default:
		rule_note(w, "warn", "problem talking to policy service %s: %s", step->argument,
		          rule_shown(w, action));
		action = bytes_of(s.set.default_action);
	}
	return rule_take_action(w, step->argument, action, BYTES("policy query"), w->name,
	                        w->class);
}

static const char *
wrong_service(const char *argument, struct arena *a)
{
	static const struct service_settings standard = { .try_limit = 1,
		                                          .default_action = "",
		                                          .policy_context = "" };
	struct service                       s;
	const char                          *wrong = NULL;

	return service_parse(bytes_of(argument), &standard, a, &s, &wrong) ? NULL : wrong;
}

/*
 * The greylist
 */

enum looked { LOOKED_NO, LOOKED_YES, LOOKED_WAITS };

static enum looked
is_in(struct rule_work *w, const struct setting_list *tables, struct bytes key)
{
	struct bytes value;

	for (size_t i = 0; i < tables->count && key.len > 0; i++)
		switch (rule_ask(w, ASK_TABLE, tables->item[i], arena_lower(w->life, key),
		                 &value)) {
		case RULE_ANSWER_WAIT: return LOOKED_WAITS;
		case RULE_ANSWER_FOUND: return LOOKED_YES;
		default: break; /* what cannot be told is no exception */
		}
	return LOOKED_NO;
}

/* The key, and what is left of it when `part` after `part` is cut off its front (a name) or end (an address). */
static enum looked
is_in_any(struct rule_work *w, const struct setting_list *tables, struct bytes key, char part,
          bool front)
{
	enum looked l = LOOKED_NO;

	for (int i = 0; i < 128 && key.len > 0 && l == LOOKED_NO; i++) {
		ptrdiff_t at = front ? bytes_find(key, part) : bytes_find_last(key, part);
		l = is_in(w, tables, key);
		if (at < 0)
			break;
		key = front ? bytes_cut(key, (size_t)at + 1, key.len)
		            : bytes_cut(key, 0, (size_t)at);
	}
	return l;
}

static enum looked
is_excepted(struct rule_work *w)
{
	const struct rule_facts       *f = w->facts;
	const struct witness_settings *set = &w->set->witness;
	ptrdiff_t                      at = bytes_find_last(f->recipient_whole, '@');
	char                           part = bytes_find(f->address, ':') >= 0 ? ':' : '.';
	enum looked                    l;

	l = bytes_is(f->name, "unknown") ? LOOKED_NO
	                                 : is_in_any(w, &set->grey_clients, f->name, '.', true);
	if (l == LOOKED_NO)
		l = is_in_any(w, &set->grey_clients, f->address, part, false);
	if (l == LOOKED_NO)
		l = is_in(w, &set->grey_recipients, f->recipient_whole);
	if (l == LOOKED_NO && at > 0)
		l = is_in_any(w, &set->grey_recipients,
		              bytes_cut(f->recipient_whole, (size_t)at + 1, SIZE_MAX), '.', true);
	if (l == LOOKED_NO && at > 0)
		l = is_in(w, &set->grey_recipients,
		          bytes_cut(f->recipient_whole, 0, (size_t)at + 1));
	return l;
}

/* Who has logged in or is of our networks never waits, and neither do notices: nobody may refuse them (rfc5321:4.5.5). */
static enum rule_result
check_greylist(struct rule_work *w, const struct rule_step *s)
{
	const struct rule_facts *f = w->facts;
	struct buffer            key = { 0 };
	struct bytes             triplet, value = { "", 0 };

	(void)s;
	if (!f->has_recipient || f->moment != AT_RCPT || f->user.len > 0 || f->trusted ||
	    f->sender.len == 0)
		return RULE_DUNNO;
	switch (is_excepted(w)) {
	case LOOKED_WAITS: return RULE_WAITS;
	case LOOKED_YES: rule_tell(w, "%s: an exception", s->name); return RULE_DUNNO;
	case LOOKED_NO: break;
	}
	pack_bytes(&key, f->address);
	pack_bytes(&key, f->sender_whole);
	pack_bytes(&key, f->recipient_whole);
	triplet = arena_keep(w->life, buffer_bytes(&key));
	buffer_free(&key);
	switch (rule_ask(w, ASK_GREY, "", triplet, &value)) {
	case RULE_ANSWER_WAIT: return RULE_WAITS;
	case RULE_ANSWER_FOUND: /* must wait so many seconds */
		return rule_defer_if_permit(w, (int)w->set->witness.grey_code, "4.7.1",
		                            "<%s>: %s rejected: %s",
		                            rule_shown(w, rule_meant(w, f->recipient)),
		                            rule_class_recipient, w->set->witness.grey_text);
	default: return RULE_DUNNO;
	}
}

/*
 * Addresses asked of their own servers
 */

struct verifying {
	struct bytes address, shown;
	const char *class, *status, *name, *reason;
	int64_t refused, later;
	int     tempfail;
};

static enum rule_result
say_unverified(struct rule_work *w, const struct verifying *v, bool bad, struct bytes why)
{
	int         code = (int)(bad ? v->refused : v->later);
	const char *text = arena_printf(w->life, "<%s>: %s rejected: %s address: %.250s",
	                                rule_shown(w, rule_meant(w, v->shown)), v->class,
	                                code / 100 == 4 ? "unverified" : "undeliverable",
	                                *v->reason != '\0' ? v->reason : rule_shown(w, why));

	if (code / 100 == 4)
		return rule_tempfail(w, v->tempfail, code, v->status, text);
	if (code / 100 == 5)
		return rule_reject(w, code, v->status, "%s", text);
	rule_tell(w, "%s: %s, and accepted", v->name, text);
	return RULE_DUNNO;
}

/* What the directory knows nobody else need be asked.  RULE_OK: another server has it. */
static enum rule_result
verify_own(struct rule_work *w, const struct verifying *v)
{
	struct bytes why = { "", 0 };
	uint8_t      is;

	enum rule_result r = rule_resolve(w, "probe", v->address, &is, &why);
	if (r != RULE_OK || is == RECIPIENT_FOREIGN || is == RECIPIENT_ELSEWHERE)
		return r;
	switch ((enum rule_recipient)is) {
	case RECIPIENT_LOCAL:
	case RECIPIENT_DISCARDED: return RULE_DUNNO;
	case RECIPIENT_UNKNOWN:
		return say_unverified(w, v, true,
		                      bytes_of(arena_printf(w->life, "unknown user in %.*s",
		                                            (int)why.len, why.at)));
	case RECIPIENT_FULL:
	case RECIPIENT_FULL_NOW: return say_unverified(w, v, false, BYTES("mailbox is full"));
	case RECIPIENT_LATER: return rule_unsure(w, v->address);
	default: return say_unverified(w, v, true, why.len > 0 ? why : BYTES("mail is not taken"));
	}
}

static enum rule_result
verify(struct rule_work *w, const struct verifying *v)
{
	struct bytes     value = { "", 0 };
	enum rule_result r;

	if (v->address.len == 0)
		return RULE_DUNNO;
	if ((r = verify_own(w, v)) != RULE_OK)
		return r;
	switch (rule_ask(w, ASK_PROBE, v->name, v->address, &value)) {
	case RULE_ANSWER_WAIT: return RULE_WAITS;
	case RULE_ANSWER_FOUND: return RULE_DUNNO;
	case RULE_ANSWER_NONE: return say_unverified(w, v, true, value);
	default: return say_unverified(w, v, false, value);
	}
}

static enum rule_result
reject_unverified_sender(struct rule_work *w, const struct rule_step *s)
{
	const struct witness_settings *set = &w->set->witness;

	(void)s;
	if (!w->facts->has_sender || w->facts->sender.len == 0)
		return RULE_DUNNO;
	return verify(w, &(struct verifying){ w->facts->sender_whole, w->facts->sender,
	                                      rule_class_sender, "4.1.7", "sender",
	                                      set->sender_reason, set->unverified_sender,
	                                      set->unverified_sender_defer, set->sender_tempfail });
}

static enum rule_result
reject_unverified_recipient(struct rule_work *w, const struct rule_step *s)
{
	const struct witness_settings *set = &w->set->witness;

	(void)s;
	if (!w->facts->has_recipient || w->facts->recipient.len == 0)
		return RULE_DUNNO;
	return verify(w, &(struct verifying){ w->facts->recipient_whole, w->facts->recipient,
	                                      rule_class_recipient, "4.1.1", "recipient",
	                                      set->recipient_reason, set->unverified_recipient,
	                                      set->unverified_recipient_defer,
	                                      set->recipient_tempfail });
}

/*
 * Backup
 */

/* A name of a list of domains, those below it, or a table that has it or one above it; ! before it: not that. */
static enum rule_answer
in_domains(struct rule_work *w, const struct setting_list *domains, struct bytes domain)
{
	struct bytes value;

	for (size_t i = 0; i < domains->count; i++) {
		const char      *word = domains->item[i];
		bool             no = *word == '!', table = strchr(word, ':') != NULL;
		struct bytes     name = bytes_of(word + no), key = domain;
		enum rule_answer a = RULE_ANSWER_NONE;

		name = bytes_cut(name, bytes_starts(name, BYTES(".")), SIZE_MAX);
		while (a == RULE_ANSWER_NONE && key.len > 0) {
			ptrdiff_t dot = bytes_find(key, '.');

			if (table)
				a = rule_ask(w, ASK_TABLE, word + no, key, &value);
			else if (bytes_equal_nocase(key, name))
				a = RULE_ANSWER_FOUND;
			key = dot < 0 ? BYTES("") : bytes_cut(key, (size_t)dot + 1, SIZE_MAX);
		}
		if (a != RULE_ANSWER_NONE)
			return a == RULE_ANSWER_FOUND && no ? RULE_ANSWER_NONE : a;
	}
	return RULE_ANSWER_NONE;
}

enum rule_result
rule_recipient_verified(struct rule_work *w)
{
	const struct rule_facts       *f = w->facts;
	const struct witness_settings *set = &w->set->witness;
	ptrdiff_t                      at = bytes_find_last(f->recipient_whole, '@');
	const char                    *wrong;

	if (set->verify_domains.count == 0 || !f->has_recipient || at < 0 ||
	    f->recipient_is == RECIPIENT_FOREIGN ||
	    (receive_overrides(&w->set->overrides, &wrong) & OVERRIDE_UNKNOWN) != 0)
		return RULE_DUNNO;
	switch (in_domains(w, &set->verify_domains,
	                   arena_lower(w->life,
	                               bytes_cut(f->recipient_whole, (size_t)at + 1, SIZE_MAX)))) {
	case RULE_ANSWER_WAIT: return RULE_WAITS;
	case RULE_ANSWER_LATER: return rule_unsure(w, f->recipient);
	case RULE_ANSWER_NONE: return RULE_DUNNO;
	default: break;
	}
	return verify(w, &(struct verifying){
				 f->recipient_whole, f->recipient, rule_class_recipient, "4.1.1",
				 "recipient", set->recipient_reason, 550,
				 set->verify_away == AWAY_ACCEPT ? 250 : 450, TEMPFAIL_DEFER });
}

enum { EXCHANGERS_MOST = 20 };

static bool
is_own(struct rule_work *w, struct bytes address)
{
	const struct witness_settings *set = &w->set->witness;

	if (bytes_equal(address, w->facts->server_address))
		return true;
	for (size_t i = 0; i < set->proxy_interfaces.count; i++)
		if (bytes_is(address, set->proxy_interfaces.item[i]))
			return true;
	return false;
}

/* Addresses of a mail exchanger, A before AAAA. */
static enum rule_answer
addresses_of(struct rule_work *w, struct bytes host, struct bytes value[2])
{
	enum rule_answer a = rule_look_up(w, "+A", host, &value[0]);
	enum rule_answer b = rule_look_up(w, "+AAAA", host, &value[1]);

	if (a != RULE_ANSWER_FOUND)
		value[0].len = 0;
	if (b != RULE_ANSWER_FOUND)
		value[1].len = 0;
	return a == RULE_ANSWER_WAIT || b == RULE_ANSWER_WAIT     ? RULE_ANSWER_WAIT
	       : a == RULE_ANSWER_FOUND || b == RULE_ANSWER_FOUND ? RULE_ANSWER_FOUND
	       : a == RULE_ANSWER_LATER || b == RULE_ANSWER_LATER ? RULE_ANSWER_LATER
	                                                          : RULE_ANSWER_NONE;
}

/* A list of networks and tables: the first that has the address decides.  NONE: nothing has. */
static enum rule_answer
in_networks(struct rule_work *w, const struct setting_list *networks, struct bytes address)
{
	struct peer  peer = { .family = AF_UNSPEC };
	struct bytes value;
	char         text[64];

	if (!bytes_string(address, text, sizeof text))
		return RULE_ANSWER_NONE;
	peer.family = inet_pton(AF_INET, text, peer.raw) == 1    ? AF_INET
	              : inet_pton(AF_INET6, text, peer.raw) == 1 ? AF_INET6
	                                                         : AF_UNSPEC;
	for (size_t i = 0; i < networks->count; i++) {
		const char      *word = networks->item[i], *wrong;
		bool             no = *word == '!';
		struct network   n;
		enum rule_answer a = RULE_ANSWER_NONE;

		if (network_parse(bytes_of(word + no), &n, &wrong))
			a = network_holds(&n, &peer) ? RULE_ANSWER_FOUND : RULE_ANSWER_NONE;
		else if (strchr(word, ':') != NULL)
			a = rule_ask(w, ASK_TABLE, word + no, address, &value);
		if (a != RULE_ANSWER_NONE)
			return a == RULE_ANSWER_FOUND && no ? RULE_ANSWER_NONE : a;
	}
	return RULE_ANSWER_NONE;
}

static enum rule_result
defer_exchangers(struct rule_work *w, const char *what, struct bytes host)
{
	return rule_defer_if_reject(
		w, 450, "4.4.4",
		"<%s>: %s rejected: Unable to look up mail %s%s%s: Host not found, try again",
		rule_shown(w, rule_meant(w, w->facts->recipient)), rule_class_recipient, what,
		host.len > 0 ? " " : "", rule_shown(w, host));
}

/* One exchanger: whether it is this machine, and, of the best, whether it is in the networks. */
static enum rule_result
look_at_exchanger(struct rule_work *w, const struct witnessed *mx, bool best, bool *me, bool *good)
{
	const struct witness_settings *set = &w->set->witness;
	struct bytes                   value[2] = { { "", 0 }, { "", 0 } };
	struct witnessed               one;

	switch (addresses_of(w, mx->text, value)) {
	case RULE_ANSWER_WAIT: return RULE_WAITS;
	case RULE_ANSWER_LATER: return defer_exchangers(w, "exchanger host", mx->text);
	default: break;
	}
	*me = *me || (set->myhostname != NULL && bytes_is(mx->text, set->myhostname));
	for (int i = 0; i < 2; i++)
		while (witness_next(&value[i], &one)) {
			*me = *me || is_own(w, one.text);
			if (*good || !best)
				continue;
			switch (in_networks(w, &set->backup_networks, one.text)) {
			case RULE_ANSWER_WAIT: return RULE_WAITS;
			case RULE_ANSWER_LATER: return rule_unsure(w, w->facts->recipient);
			case RULE_ANSWER_FOUND: *good = true; break;
			default: break;
			}
		}
	return RULE_DUNNO;
}

static enum rule_result
look_at_exchangers(struct rule_work *w, struct bytes value)
{
	struct bytes     rest = value;
	struct witnessed mx;
	uint16_t         least = UINT16_MAX;
	bool             me = false, good = w->set->witness.backup_networks.count == 0;
	enum rule_result r = RULE_DUNNO;

	while (witness_next(&rest, &mx))
		least = mx.preference < least ? mx.preference : least;
	for (int i = 0; i < EXCHANGERS_MOST && r == RULE_DUNNO && witness_next(&value, &mx); i++)
		if (!mx.is_bad && !bytes_equal(mx.text, BYTES(".")))
			r = look_at_exchanger(w, &mx, mx.preference == least, &me, &good);
	if (r != RULE_DUNNO)
		return r;
	return me && good ? rule_permit(w, "this machine is a mail exchanger of the domain")
	                  : RULE_DUNNO;
}

static enum rule_result
permit_backup(struct rule_work *w, const struct rule_step *s)
{
	const struct rule_facts *f = w->facts;
	ptrdiff_t                at = bytes_find_last(f->recipient_whole, '@');
	struct bytes             domain, value = { "", 0 };

	(void)s;
	if (!f->has_recipient || at < 0)
		return RULE_DUNNO;
	if (f->recipient_is == RECIPIENT_LATER)
		return rule_unsure(w, f->recipient);
	if (f->recipient_is != RECIPIENT_FOREIGN && f->recipient_is != RECIPIENT_UNASKED)
		return rule_permit(w, "the recipient's domain is ours");
	domain = bytes_cut(f->recipient_whole, (size_t)at + 1, SIZE_MAX);
	/* Where it would go from here is not sure: user%other@domain, other!user@domain. */
	if (domain.len == 0 || domain.at[0] == '[' ||
	    bytes_find(bytes_cut(f->recipient_whole, 0, (size_t)at), '%') >= 0 ||
	    bytes_find(bytes_cut(f->recipient_whole, 0, (size_t)at), '!') >= 0 ||
	    bytes_find(bytes_cut(f->recipient_whole, 0, (size_t)at), '@') >= 0)
		return RULE_DUNNO;
	switch (rule_look_up(w, "MX", domain, &value)) {
	case RULE_ANSWER_WAIT: return RULE_WAITS;
	case RULE_ANSWER_LATER: return defer_exchangers(w, "exchanger information", BYTES(""));
	case RULE_ANSWER_FOUND: return look_at_exchangers(w, value);
	default: return RULE_DUNNO;
	}
}

/* clang-format off */
static const struct rule rows[] = {
	{ .name = "check_policy_service",        .run = check_service, .takes = TAKES_WORD, .wrong = wrong_service },
	{ .name = "check_greylist",              .run = check_greylist },
	{ .name = "reject_unverified_sender",    .run = reject_unverified_sender },
	{ .name = "reject_unverified_address",   .run = reject_unverified_sender },
	{ .name = "reject_unverified_recipient", .run = reject_unverified_recipient },
	{ .name = "permit_mx_backup",            .run = permit_backup },
};
/* clang-format on */
const struct rule_rows rule_rows_others = { rows, COUNT(rows) };
