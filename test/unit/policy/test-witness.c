#include "unit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/pack.h"
#include "dns/answer.h"
#include "policy/rules.h"
#include "policy/witness.h"

/* What others say in a test: "dns A good.example=192.0.2.1", "dns MX x=!" (cannot tell), "dns MX x=-" (there is none). */
struct world {
	const char *const *said;
	char asked[1000];
};

static const char *const kinds[RULE_QUESTION_KINDS] = {
	[ASK_TABLE] = "table", [ASK_RESOLVE] = "resolve", [ASK_OWNER] = "owner", [ASK_DNS] = "dns",
	[ASK_SERVICE] = "service", [ASK_GREY] = "grey", [ASK_PROBE] = "probe",
};

static enum rule_answer
say(void *ctx, enum rule_question_kind kind, const char *name, struct bytes key, struct arena *life, struct bytes *value)
{
	struct world *w = ctx;
	const char   *question;
	bool          plain = kind != ASK_SERVICE && kind != ASK_GREY;

	question = arena_printf(life, "%s %s%s%.*s=", kinds[kind], name, *name != '\0' && plain ? " " : "", plain ? (int)key.len : 0, key.at);
	for (size_t i = 0; w->said[i] != NULL; i++) {
		const char *answer = w->said[i] + strlen(question);
		if (strncmp(w->said[i], question, strlen(question)) != 0)
			continue;
		*value = bytes_of(answer);
		if (kind == ASK_RESOLVE) {
			struct buffer b = { 0 };
			pack_u8(&b, strcmp(answer, "local") == 0 ? RECIPIENT_LOCAL : strcmp(answer, "unknown") == 0 ? RECIPIENT_UNKNOWN : RECIPIENT_FOREIGN);
			pack_bytes(&b, BYTES("virtual mailbox table"));
			*value = arena_keep(life, buffer_bytes(&b));
			buffer_free(&b);
			return RULE_ANSWER_FOUND;
		}
		return *answer == '!' ? RULE_ANSWER_LATER : *answer == '-' ? RULE_ANSWER_NONE : RULE_ANSWER_FOUND;
	}
	(void)snprintf(w->asked + strlen(w->asked), sizeof w->asked - strlen(w->asked), "%.*s;", (int)strlen(question) - 1, question);
	*value = (struct bytes){ NULL, 0 };
	return RULE_ANSWER_WAIT;
}

static bool
no_pattern(void *ctx, const char *table)
{
	(void)ctx;
	(void)table;
	return false;
}

static const char *
no_fault(void *ctx, const char *table, struct arena *a)
{
	(void)ctx;
	(void)table;
	(void)a;
	return NULL;
}

static struct rules *
compile(const char *text, struct buffer *errors, int tempfail)
{
	static const char     *word[32];
	static char            copy[600];
	struct buffer          warnings = { 0 };
	struct policy_settings set = { .delay = true, .reject = 554, .defer = 450, .map_reject = 554, .map_defer = 450, .relay = 554, .invalid_name = 501, .null_key = "<>" };
	struct rule_world      world = { .is_pattern = no_pattern, .table_fault = no_fault, .delimiters = "+" };
	struct rules          *rules;
	size_t                 n = 0;

	set.witness = (struct witness_settings){
		.unknown_client = 450, .unknown_helo = 450, .unknown_address = 450, .rbl = 554, .helo_tempfail = tempfail, .address_tempfail = tempfail,
		.unverified_sender = 450, .unverified_sender_defer = 450, .unverified_recipient = 550, .unverified_recipient_defer = 450,
		.rbl_reply = "$rbl_code Service unavailable; $rbl_class [$rbl_what] blocked using $rbl_domain${rbl_reason?; $rbl_reason}",
		.service = { .try_limit = 1, .default_action = "451 4.3.5 Server configuration problem", .policy_context = "" },
		.grey_code = 450, .grey_text = "Greylisted",
	};
	(void)bytes_string(bytes_of(text), copy, sizeof copy);
	for (char *at = strtok(copy, " "); at != NULL; at = strtok(NULL, " "))
		word[n++] = at;
	word[n++] = "reject_unauth_destination";
	set.list[RULE_RECIPIENT] = (struct setting_list){ word, n };
	rules = rules_compile(&set, &world, errors, &warnings);
	buffer_free(&warnings);
	return rules;
}

static struct rule_facts
facts(void)
{
	return (struct rule_facts){
		.moment = AT_RCPT, .named = NAME_CONFIRMED, .recipient_is = RECIPIENT_LOCAL, .esmtp = true, .helo_said = true, .has_sender = true, .has_recipient = true,
		.address = BYTES("192.0.2.9"), .name = BYTES("mail.client.example"), .reverse = BYTES("mail.client.example"),
		.helo = BYTES("mail.client.example"), .sender = BYTES("jack@good.example"), .sender_whole = BYTES("jack@good.example"),
		.recipient = BYTES("jill@here.example"), .recipient_whole = BYTES("jill@here.example"), .server_address = BYTES("203.0.113.1"),
	};
}

/* The replies are Postfix's (test/whole/test_witness_beside_postfix.py); "" passes, "?" waits. */
static void
test_replies(void **state)
{
	static const struct { const char *why, *rules, *said[8], *reply; } cases[] = {
		{ "nothing is known yet", "reject_unknown_sender_domain", { NULL }, "?" },
		{ "rfc5321:5.1 an exchanger is enough", "reject_unknown_sender_domain", { "resolve jack@good.example=foreign", "dns MX good.example=10:mx.good.example" }, "" },
		{ "rfc5321:5.1 or an address", "reject_unknown_sender_domain",
		  { "resolve jack@good.example=foreign", "dns MX good.example=-", "dns A good.example=-", "dns AAAA good.example=2001:db8::1" }, "" },
		{ "none of them", "reject_unknown_sender_domain",
		  { "resolve jack@good.example=foreign", "dns MX good.example=-", "dns A good.example=-", "dns AAAA good.example=-" },
		  "450 4.1.8 <jack@good.example>: Sender address rejected: Domain not found" },
		{ "rfc7505", "reject_unknown_sender_domain", { "resolve jack@good.example=foreign", "dns MX good.example=0:." },
		  "550 5.7.27 <jack@good.example>: Sender address rejected: Domain good.example does not accept mail (nullMX)" },
		{ "our own needs no name", "reject_unknown_sender_domain", { "resolve jack@good.example=local" }, "" },
		{ "cannot be told: put off, if nothing else refuses it", "reject_unknown_sender_domain",
		  { "resolve jack@good.example=foreign", "dns MX good.example=!", "dns A good.example=-", "dns AAAA good.example=-" },
		  "450 4.1.8 <jack@good.example>: Sender address rejected: Domain not found" },
		{ "a list that cannot be asked refuses nobody", "reject_rbl_client dnsbl.example", { "dns A dnsbl.example 9.2.0.192.dnsbl.example=!" }, "" },
		{ "listed, and its reason is waited for", "reject_rbl_client dnsbl.example", { "dns A dnsbl.example 9.2.0.192.dnsbl.example=127.0.0.2" }, "?" },
		{ "listed without a reason", "reject_rbl_client dnsbl.example", { "dns A dnsbl.example 9.2.0.192.dnsbl.example=127.0.0.2", "dns TXT 9.2.0.192.dnsbl.example=-" },
		  "554 5.7.1 Service unavailable; Client host [192.0.2.9] blocked using dnsbl.example" },
		{ "an answer that was not asked for", "reject_rbl_client dnsbl.example=127.0.0.4", { "dns A dnsbl.example 9.2.0.192.dnsbl.example=127.0.0.2 127.0.0.3" }, "" },
		{ "a reason is data, not a template", "reject_rbl_client dnsbl.example",
		  { "dns A dnsbl.example 9.2.0.192.dnsbl.example=127.0.0.2", "dns TXT 9.2.0.192.dnsbl.example=$rbl_what ${sender}" },
		  "554 5.7.1 Service unavailable; Client host [192.0.2.9] blocked using dnsbl.example; $rbl_what ${sender}" },
		{ "a list of good ones", "permit_dnswl_client dnswl.example reject", { "dns A dnswl.example 9.2.0.192.dnswl.example=127.0.0.2" }, "" },
		{ "a list of good ones that cannot be asked", "permit_dnswl_client dnswl.example reject", { "dns A dnswl.example 9.2.0.192.dnswl.example=!" },
		  "450 4.7.1 <192.0.2.9>: Client host rejected: Service unavailable" },
		{ "a service that is away", "check_policy_service inet:h:1", { "service inet:h:1=!gone" },
		  "451 4.3.5 <jill@here.example>: Recipient address rejected: Server configuration problem" },
		{ "a service that answers", "check_policy_service inet:h:1", { "service inet:h:1=REJECT no" }, "554 5.7.1 <jill@here.example>: Recipient address rejected: no" },
		{ "who is new", "check_greylist", { "grey =300 seconds" }, "450 4.7.1 <jill@here.example>: Recipient address rejected: Greylisted" },
		{ "who came again", "check_greylist", { "grey =-" }, "" },
		{ "a sender that is refused", "reject_unverified_sender", { "resolve probe jack@good.example=foreign", "probe sender jack@good.example=-550 no" },
		  "450 4.1.7 <jack@good.example>: Sender address rejected: unverified address: -550 no" },
		{ "one of ours that nobody has", "reject_unverified_sender", { "resolve probe jack@good.example=unknown" },
		  "450 4.1.7 <jack@good.example>: Sender address rejected: unverified address: unknown user in virtual mailbox table" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		static const struct rule_needs needs = { say };
		struct arena       *a = arena_open(NULL);
		struct buffer       errors = { 0 };
		struct rules       *rules = compile(cases[i].rules, &errors, TEMPFAIL_IF_PERMIT);
		struct rule_facts   f = facts();
		struct world        w = { cases[i].said, "" };
		struct rule_verdict v;

		SAME(cases[i].why, buffer_bytes(&errors), BYTES(""));
		v = rules_judge(rules, &f, &needs, &w, a, NULL);
		SAME(cases[i].why, v.outcome == RULE_WAIT ? BYTES("?") : v.outcome == RULE_PASSES ? BYTES("") : v.reply, bytes_of(cases[i].reply));
		rules_drop(&rules);
		buffer_free(&errors);
		arena_close(&a);
	}
}

/* What is asked before its turn: lists and names, up to the first who is not asked by the DNS alone. */
static void
test_asks_ahead(void **state)
{
	static const struct { const char *why, *rules, *said[4], *asked; } cases[] = {
		{ "lists at once", "reject_rbl_client a.example reject_rbl_client b.example reject_rhsbl_sender c.example", { NULL },
		  "dns A a.example 9.2.0.192.a.example;dns A b.example 9.2.0.192.b.example;dns A c.example good.example.c.example;" },
		{ "not behind the greylist, which would remember it", "reject_rbl_client a.example check_greylist reject_rbl_client b.example", { NULL },
		  "dns A a.example 9.2.0.192.a.example;" },
		{ "not behind a service", "reject_rbl_client a.example check_policy_service inet:h:1", { NULL }, "dns A a.example 9.2.0.192.a.example;" },
		{ "not behind what permits already", "reject_rbl_client a.example permit_dnswl_client w.example reject_rbl_client b.example",
		  { "dns A w.example 9.2.0.192.w.example=127.0.0.2" }, "dns A a.example 9.2.0.192.a.example;" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		static const struct rule_needs needs = { say };
		struct arena       *a = arena_open(NULL);
		struct buffer       errors = { 0 };
		struct rules       *rules = compile(cases[i].rules, &errors, TEMPFAIL_IF_PERMIT);
		struct rule_facts   f = facts();
		struct world        w = { cases[i].said, "" };

		HOLDS(cases[i].why, rules != NULL);
		HOLDS(cases[i].why, rules_judge(rules, &f, &needs, &w, a, NULL).outcome == RULE_WAIT);
		SAME(cases[i].why, bytes_of(w.asked), bytes_of(cases[i].asked));
		rules_drop(&rules);
		buffer_free(&errors);
		arena_close(&a);
	}
}

static void
test_tempfail_action(void **state)
{
	static const struct rule_needs  needs = { say };
	static const char *const        said[] = { "dns MX mail.client.example=!", "dns A mail.client.example=-", "dns AAAA mail.client.example=-", NULL };
	static const struct { const char *why; int action; const char *rule; } cases[] = {
		{ "reject_tempfail_action = defer", TEMPFAIL_DEFER, "reject_unknown_helo_hostname" },
		{ "reject_tempfail_action = defer_if_permit", TEMPFAIL_IF_PERMIT, "defer_if_permit" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena       *a = arena_open(NULL);
		struct buffer       errors = { 0 };
		struct rules       *rules = compile("reject_unknown_helo_hostname", &errors, cases[i].action);
		struct rule_facts   f = facts();
		struct world        w = { said, "" };
		struct rule_verdict v = rules_judge(rules, &f, &needs, &w, a, NULL);
		SAME(cases[i].why, v.reply, BYTES("450 4.7.1 <mail.client.example>: Helo command rejected: Host not found"));
		SAME(cases[i].why, v.rule, bytes_of(cases[i].rule));
		rules_drop(&rules);
		buffer_free(&errors);
		arena_close(&a);
	}
}

static void
test_wrong_arguments(void **state)
{
	static const struct { const char *why, *rules; } cases[] = {
		{ "a filter that is none", "reject_rbl_client a.example=127.0.0" }, { "no list", "reject_rbl_client ..." },
		{ "no service", "check_policy_service inet:" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer errors = { 0 };
		struct rules *rules = compile(cases[i].rules, &errors, TEMPFAIL_IF_PERMIT);
		HOLDS(cases[i].why, rules == NULL && errors.len > 0);
		rules_drop(&rules);
		buffer_free(&errors);
	}
}

static struct answer_record
record(const char *data, size_t len, const char *name, uint16_t preference)
{
	return (struct answer_record){ .data = { data, len }, .name = bytes_of(name), .preference = preference };
}

static void
test_texts(void **state)
{
	const struct answer_record mx[] = { record("", 0, "mx.example", 10), record("", 0, ".", 0), record("", 0, "-bad", 20), record("", 0, "192.0.2.1", 30) };
	const struct answer_record txt[] = { record("\x05" "a\nb" "\xff" "c", 6, "", 0), record("\x01x", 2, "", 0) };
	const struct answer_record a[] = { record("\xc0\0\2\1", 4, "", 0), record("\x7f\0\0\2", 4, "", 0) };
	const struct { const char *why; struct answer answer; uint16_t type; const char *text; } cases[] = {
		{ "exchangers", { .record = mx, .records = COUNT(mx) }, DNS_MX, "10:mx.example 0:. 20:! 30:192.0.2.1" },
		{ "of texts the first, printable", { .record = txt, .records = COUNT(txt) }, DNS_TXT, "a?b?c" },
		{ "addresses", { .record = a, .records = COUNT(a) }, DNS_A, "192.0.2.1 127.0.0.2" },
		{ "no such record", { .status = ANSWER_NO_RECORD }, DNS_A, "-" },
		{ "no such name", { .status = ANSWER_NO_NAME }, DNS_A, "" },
		{ "not now", { .status = ANSWER_LATER, .why = "server failure" }, DNS_A, "server failure" },
	};
	struct bytes     rest = BYTES("10:mx.example 30:192.0.2.1 20:! 2001:db8::1");
	struct witnessed one;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer out = { 0 };
		witness_text(&cases[i].answer, cases[i].type, &out);
		SAME(cases[i].why, buffer_bytes(&out), bytes_of(cases[i].text));
		buffer_free(&out);
	}
	assert_true(witness_next(&rest, &one) && one.preference == 10 && !one.is_address && !one.is_bad);
	SAME("its name", one.text, BYTES("mx.example"));
	assert_true(witness_next(&rest, &one) && one.preference == 30 && one.is_address);
	assert_true(witness_next(&rest, &one) && one.is_bad);
	assert_true(witness_next(&rest, &one) && one.is_address);
	SAME("an address with colons", one.text, BYTES("2001:db8::1"));
	assert_false(witness_next(&rest, &one));
}

UNIT(test_replies, test_asks_ahead, test_tempfail_action, test_wrong_arguments, test_texts)
