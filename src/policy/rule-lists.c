/* rule-lists.c -- lists in the DNS: of addresses and names that nobody wants mail from, or everybody */
#include "policy/rule-witness.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "policy/dnsbl.h"

/* What is looked for in a list, and how the refusal calls it. */
struct subject {
	struct bytes what;
	const char *class;
	bool address;
};

/*
 * Asking
 */

static struct peer
peer_of_client(const struct rule_facts *f)
{
	struct peer p = { .family = AF_UNSPEC };
	char        text[sizeof p.text];

	if (!bytes_string(f->address, text, sizeof text))
		return p;
	if (inet_pton(AF_INET, text, p.raw) == 1)
		p.family = AF_INET;
	else if (inet_pton(AF_INET6, text, p.raw) == 1)
		p.family = AF_INET6;
	return p;
}

/* rfc5782:3.1  The domain of an address or a name; empty: there is none that a list could know.  Lists of names do not
   like to be asked about addresses. */
static struct bytes
domain_of(struct bytes what)
{
	ptrdiff_t    at = bytes_find_last(what, '@'), dot;
	struct bytes domain = at < 0 ? what : bytes_cut(what, (size_t)at + 1, what.len), last;
	bool         digits = true;

	if (domain.len == 0 || domain.at[0] == '[' || bytes_is(domain, "unknown"))
		return BYTES("");
	dot = bytes_find_last(domain, '.');
	last = bytes_cut(domain, dot < 0 ? 0 : (size_t)dot + 1, domain.len);
	for (size_t i = 0; i < last.len; i++)
		digits = digits && last.at[i] >= '0' && last.at[i] <= '9';
	return digits ? BYTES("") : domain;
}

static struct bytes
name_in(struct rule_work *w, const struct dnsbl *list, const struct subject *s)
{
	struct peer peer;

	if (!s->address)
		return dnsbl_name(w->life, list, domain_of(s->what));
	peer = peer_of_client(w->facts);
	return dnsbl_address(w->life, list, &peer);
}

static bool
counts(struct rule_work *w, const struct dnsbl *list, struct bytes value)
{
	struct witnessed one;
	unsigned char    raw[4];
	struct bytes     address = { (const char *)raw, sizeof raw };
	char             text[INET_ADDRSTRLEN];

	while (witness_next(&value, &one)) {
		if (!bytes_string(one.text, text, sizeof text) ||
		    inet_pton(AF_INET, text, raw) != 1)
			continue;
		if (dnsbl_counts(list, address))
			return true;
		if (dnsbl_refused(address))
			rule_note(
				w, "warn",
				"%s does not answer to us, it says %s: ask it through a resolver of your own",
				rule_shown(w, list->domain), text);
	}
	return false;
}

/* Whether the list knows it.  A list that does not answer knows nobody: mail is not refused because of it. */
static enum rule_answer
ask_list(struct rule_work *w, const struct dnsbl *list, struct bytes name)
{
	struct bytes value = { "", 0 };
	const char  *what = arena_printf(w->life, "A %.*s", (int)list->domain.len, list->domain.at);
	enum rule_answer a = name.len == 0 ? RULE_ANSWER_NONE : rule_look_up(w, what, name, &value);

	if (a == RULE_ANSWER_LATER && !bytes_equal(value, bytes_of(witness_resting)))
		rule_note(w, "warn", "%s: RBL lookup error: %s", rule_shown(w, name),
		          rule_shown(w, value));
	if (a != RULE_ANSWER_FOUND)
		return a;
	return counts(w, list, value) ? RULE_ANSWER_FOUND : RULE_ANSWER_NONE;
}

/*
 * Refusing
 */

struct reply {
	struct rule_work     *work;
	const struct dnsbl   *list;
	const struct subject *subject;
	struct bytes          reason;
};

static struct bytes
part_of(struct bytes address, bool domain)
{
	ptrdiff_t at = bytes_find_last(address, '@');

	if (domain)
		return at < 0 ? BYTES("") : bytes_cut(address, (size_t)at + 1, address.len);
	return at < 0 ? address : bytes_cut(address, 0, (size_t)at);
}

static bool
know(void *ctx, struct bytes name, struct bytes *value)
{
	const struct reply      *r = ctx;
	const struct rule_facts *f = r->work->facts;
	struct arena            *a = r->work->life;
	struct bytes             sender = rule_meant(r->work, f->sender);
	struct bytes             recipient = rule_meant(r->work, f->recipient);
	const struct {
		const char  *name;
		struct bytes value;
	} known[] = {
		{ "rbl_code", bytes_of(arena_printf(a, "%d", (int)r->work->set->witness.rbl)) },
		{ "rbl_class", bytes_of(r->subject->class) },
		{ "rbl_domain", r->list->domain },
		{ "rbl_what", r->subject->what },
		{ "rbl_reason", r->reason },
		{ "rbl_txt", r->reason },
		{ "client", bytes_of(arena_printf(a, "%s[%s]", rule_shown(r->work, f->name),
		                                  rule_shown(r->work, f->address))) },
		{ "client_address", f->address },
		{ "client_name", f->name },
		{ "reverse_client_name", f->reverse },
		{ "helo_name", f->helo },
		{ "sender", sender.len > 0 ? sender : BYTES("<>") },
		{ "sender_name", sender.len > 0 ? part_of(sender, false) : BYTES("<>") },
		{ "sender_domain", part_of(sender, true) },
		{ "recipient", recipient },
		{ "recipient_name", part_of(recipient, false) },
		{ "recipient_domain", part_of(recipient, true) },
	};

	for (size_t i = 0; i < COUNT(known); i++)
		if (bytes_equal(name, bytes_of(known[i].name))) {
			*value = bytes_of(rule_shown(r->work, known[i].value));
			return true;
		}
	return false;
}

/* The list's own reply, or that of all. */
static enum rule_answer
find_template(struct rule_work *w, const struct dnsbl *list, struct bytes *out)
{
	const struct setting_list *maps = &w->set->witness.rbl_reply_maps;

	*out = bytes_of(w->set->witness.rbl_reply);
	for (size_t i = 0; i < maps->count; i++) {
		struct bytes     value;
		enum rule_answer a = rule_ask(w, ASK_TABLE, maps->item[i], list->word, &value);
		if (a == RULE_ANSWER_FOUND)
			*out = value;
		if (a != RULE_ANSWER_NONE)
			return a;
	}
	return RULE_ANSWER_FOUND;
}

/* "554 5.7.1 words": the code and the status off the front, where they are. */
static enum rule_result
refuse_with(struct rule_work *w, const char *class, struct bytes text)
{
	struct bytes rest = text, word;
	uint64_t     code = (uint64_t)w->set->witness.rbl;
	const char  *status = NULL;

	if (text.len > 3 && text.at[3] == ' ' && bytes_number(bytes_cut(text, 0, 3), &code))
		text = rest = bytes_trim(bytes_cut(text, 4, text.len));
	if (bytes_split(&rest, ' ', &word) && word.len >= 5 && word.len < 12 && word.at[1] == '.' &&
	    strchr("245", word.at[0]) != NULL &&
	    strspn(arena_copy(w->life, word), "0123456789.") == word.len) {
		status = arena_copy(w->life, word);
		text = bytes_trim(rest);
	}
	return rule_reject(w, (int)code, status != NULL ? rule_status(w, status, class) : "4.7.1",
	                   "%s", text.len > 0 ? rule_shown_reply(w, text) : "Service unavailable");
}

static enum rule_result
refuse(struct rule_work *w, const struct dnsbl *list, const struct subject *s, struct bytes name)
{
	struct reply  r = { w, list, s, { "", 0 } };
	struct buffer text = { 0 };
	struct bytes template;
	enum rule_answer a = rule_look_up(w, "TXT", name, &r.reason), t;
	enum rule_result result;

	t = find_template(w, list, &template);
	if (a == RULE_ANSWER_WAIT || t == RULE_ANSWER_WAIT)
		return RULE_WAITS;
	if (t == RULE_ANSWER_LATER)
		return rule_unsure(w, s->what);
	if (a != RULE_ANSWER_FOUND)
		r.reason.len = 0;
	settings_expand_later(template, know, &r, &text);
	result = refuse_with(w, s->class, buffer_bytes(&text));
	buffer_free(&text);
	return result;
}

enum rule_answer
rule_listed(struct rule_work *w, const struct dnsbl *list)
{
	struct subject client = { w->facts->address, rule_class_client, true };

	return ask_list(w, list, name_in(w, list, &client));
}

static enum rule_result
reject_listed(struct rule_work *w, const struct rule_step *step, struct subject s)
{
	struct dnsbl     list;
	const char      *why;
	struct bytes     name;
	enum rule_answer a;

	if (!dnsbl_parse(bytes_of(step->argument), &list, &why))
		return rule_misconfigured(w, why);
	name = name_in(w, &list, &s);
	a = ask_list(w, &list, name);
	if (a == RULE_ANSWER_WAIT)
		return RULE_WAITS;
	return a == RULE_ANSWER_FOUND ? refuse(w, &list, &s, name) : RULE_DUNNO;
}

/*
 * The rules
 */

static enum rule_result
reject_client(struct rule_work *w, const struct rule_step *s)
{
	return reject_listed(w, s, (struct subject){ w->facts->address, rule_class_client, true });
}

/* Every list of maps_rbl_domains, as before there was a rule for each. */
static enum rule_result
reject_client_in_all(struct rule_work *w, const struct rule_step *s)
{
	const struct setting_list *domains = &w->set->witness.rbl_domains;
	enum rule_result           r = RULE_DUNNO;

	for (size_t i = 0; i < domains->count && r == RULE_DUNNO; i++) {
		struct rule_step one = *s;

		one.argument = domains->item[i];
		r = reject_client(w, &one);
	}
	return r;
}

static enum rule_result
reject_client_name(struct rule_work *w, const struct rule_step *s)
{
	return reject_listed(w, s, (struct subject){ w->facts->name, rule_class_client, false });
}

static enum rule_result
reject_reverse_name(struct rule_work *w, const struct rule_step *s)
{
	return reject_listed(w, s,
	                     (struct subject){ w->facts->reverse, rule_class_reverse, false });
}

static enum rule_result
reject_helo(struct rule_work *w, const struct rule_step *s)
{
	return reject_listed(w, s, (struct subject){ w->facts->helo, rule_class_helo, false });
}

static enum rule_result
reject_sender(struct rule_work *w, const struct rule_step *s)
{
	if (w->facts->sender.len == 0)
		return RULE_DUNNO;
	return reject_listed(w, s,
	                     (struct subject){ rule_meant(w, w->facts->sender), rule_class_sender,
	                                       false });
}

static enum rule_result
reject_recipient(struct rule_work *w, const struct rule_step *s)
{
	if (!w->facts->has_recipient || w->facts->recipient.len == 0)
		return RULE_DUNNO;
	return reject_listed(w, s,
	                     (struct subject){ rule_meant(w, w->facts->recipient),
	                                       rule_class_recipient, false });
}

bool
rule_would_relay(const struct rule_work *w)
{
	const struct rule_facts *f = w->facts;

	return f->has_recipient &&
	       (f->recipient_is == RECIPIENT_FOREIGN || f->recipient_is == RECIPIENT_UNASKED ||
	        f->recipient_is == RECIPIENT_LATER);
}

static enum rule_result
permit_listed(struct rule_work *w, const struct rule_step *step, struct subject s)
{
	struct dnsbl list;
	const char  *why;

	/* Whoever is on a list of good ones may not relay because of it. */
	if (rule_would_relay(w))
		return RULE_DUNNO;
	if (!dnsbl_parse(bytes_of(step->argument), &list, &why))
		return rule_misconfigured(w, why);
	switch (ask_list(w, &list, name_in(w, &list, &s))) {
	case RULE_ANSWER_WAIT: return RULE_WAITS;
	case RULE_ANSWER_FOUND: return rule_permit(w, step->argument);
	case RULE_ANSWER_LATER:
		return rule_defer_if_reject(w, 450, "4.7.1",
		                            "<%s>: %s rejected: Service unavailable",
		                            rule_shown(w, s.what), s.class);
	default: return RULE_DUNNO;
	}
}

static enum rule_result
permit_client(struct rule_work *w, const struct rule_step *s)
{
	return permit_listed(w, s, (struct subject){ w->facts->address, rule_class_client, true });
}

static enum rule_result
permit_client_name(struct rule_work *w, const struct rule_step *s)
{
	return permit_listed(w, s, (struct subject){ w->facts->name, rule_class_client, false });
}

static const char *
wrong_list(const char *argument, struct arena *a)
{
	struct dnsbl list;
	const char  *wrong = NULL;

	(void)a;
	return dnsbl_parse(bytes_of(argument), &list, &wrong) ? NULL : wrong;
}

/* clang-format off */
static const struct rule rows[] = {
	{ .name = "reject_rbl_client",          .run = reject_client,       .takes = TAKES_WORD, .wrong = wrong_list, .ahead = true },
	{ .name = "reject_maps_rbl",            .run = reject_client_in_all, .ahead = true,
	  .doubt = "write reject_rbl_client with the name of the list, once for each of maps_rbl_domains" },
	{ .name = "reject_rhsbl_client",        .run = reject_client_name,  .takes = TAKES_WORD, .wrong = wrong_list, .ahead = true },
	{ .name = "reject_rhsbl_reverse_client", .run = reject_reverse_name, .takes = TAKES_WORD, .wrong = wrong_list, .ahead = true },
	{ .name = "reject_rhsbl_helo",          .run = reject_helo,         .takes = TAKES_WORD, .wrong = wrong_list, .ahead = true },
	{ .name = "reject_rhsbl_sender",        .run = reject_sender,       .takes = TAKES_WORD, .wrong = wrong_list, .ahead = true },
	{ .name = "reject_rhsbl_recipient",     .run = reject_recipient,    .takes = TAKES_WORD, .wrong = wrong_list, .ahead = true },
	{ .name = "permit_dnswl_client",        .run = permit_client,       .takes = TAKES_WORD, .wrong = wrong_list, .ahead = true },
	{ .name = "permit_rhswl_client",        .run = permit_client_name,  .takes = TAKES_WORD, .wrong = wrong_list, .ahead = true },
};
/* clang-format on */
const struct rule_rows rule_rows_lists = { rows, COUNT(rows) };
