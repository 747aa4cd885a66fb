/*
 * Restriction lists: the replies are those Postfix gives to the same lists (test/whole/test_restrictions_beside_postfix.py asks it);
 * here is what only we can see: who rides along, what is asked and when, what is compiled.
 */
#include "unit.h"

#include <string.h>

#include "policy/rules.h"

/* A table has what stands here; with `waits` its answers are not here at first. */
struct world {
	const char *waits;             /* the key that has to be asked for, NULL none */
	bool        answered;
	int         asked;
};

static const struct { const char *key, *value; } access_table[] = {
	{ "hold@x.example", "HOLD wait for me" },
	{ "discard@x.example", "DISCARD" },
	{ "filter@x.example", "FILTER scan:[127.0.0.1]:10025" },
	{ "redirect@x.example", "REDIRECT post@example.com" },
	{ "bcc@x.example", "BCC archive@example.com" },
	{ "prepend@x.example", "PREPEND X-Seen: by us" },
	{ "forged@x.example", "PREPEND X-Seen : by us" },
	{ "notofield@x.example", "PREPEND nonsense" },
	{ "warn@x.example", "WARN look at this" },
	{ "reject@x.example", "REJECT" },
	{ "x@y@x.example", "REJECT" },
	{ "a\"b@x.example", "REJECT" },
	{ "bad.example", "REJECT" },
	{ "loop@x.example", "circle" },
	{ "table@x.example", "check_sender_access hash:other" },
	{ "number@x.example", "sleep 700" },
	{ "sleep@x.example", "sleep 3" },
	{ "later@x.example", "?" },
};

static enum rule_answer
ask(void *ctx, enum rule_question_kind kind, const char *name, struct bytes key, struct arena *life, struct bytes *value)
{
	struct world *w = ctx;

	(void)name;
	(void)life;
	*value = BYTES("");
	w->asked++;
	if (kind != ASK_TABLE)
		return RULE_ANSWER_LATER;
	if (w->waits != NULL && bytes_is(key, w->waits) && !w->answered)
		return RULE_ANSWER_WAIT;
	for (size_t i = 0; i < COUNT(access_table); i++)
		if (bytes_is(key, access_table[i].key)) {
			*value = bytes_of(access_table[i].value);
			return access_table[i].value[0] == '?' ? RULE_ANSWER_LATER : RULE_ANSWER_FOUND;
		}
	return RULE_ANSWER_NONE;
}
static const struct rule_needs needs = { ask };

static bool is_pattern(void *c, const char *table) { (void)c; return strncmp(table, "pcre:", 5) == 0; }

static const char *
table_fault(void *c, const char *table, struct arena *a)
{
	(void)c;
	(void)a;
	return strncmp(table, "nosuch:", 7) == 0 ? "there is no such type" : NULL;
}

static bool
class_of(void *settings, const char *name, struct setting_list *out)
{
	const struct setting row = { .name = name, .kind = SETTING_RULES, .standard = "" };
	struct setting_entry e;

	settings_know(settings, name);
	for (size_t i = 0; settings_entry(settings, i, &e); i++)
		if (strcmp(e.name, name) == 0)
			return settings_fill(settings, &(struct setting_table){ "", &row, 1 }, NULL, out, NULL);
	return false;
}

static struct rules *
compile(const char *cf, struct buffer *errors, struct buffer *warnings)
{
	struct settings       *s = settings_read(bytes_of(cf), "main.cf", errors, warnings);
	struct rule_world      world = { .is_pattern = is_pattern, .table_fault = table_fault, .class_of = class_of, .ctx = s, .delimiters = "+", .bare_parents = true };
	struct policy_settings set = { 0 };
	struct rules          *rules = NULL;

	if (s != NULL && settings_fill(s, &policy_setting_table, NULL, &set, errors))
		rules = rules_compile(&set, &world, errors, warnings);
	settings_close(&s);
	return rules;
}

static struct rule_facts
facts_of(const char *sender)
{
	return (struct rule_facts){ .moment = AT_RCPT, .address = BYTES("192.0.2.7"), .name = BYTES("unknown"), .reverse = BYTES("unknown"),
		.helo_said = true, .helo = BYTES("c.example.org"), .has_sender = true, .sender = bytes_of(sender), .sender_whole = bytes_of(sender),
		.has_recipient = true, .recipient = BYTES("jill@example.com"), .recipient_whole = BYTES("jill@example.com"), .recipient_is = RECIPIENT_LOCAL };
}

static void
test_deeds(void **state)
{
	static const struct { const char *why, *sender; int deed; const char *text, *note; } cases[] = {
		{ "access(5) HOLD", "hold@x.example", DEED_HOLD, "wait for me", "hold" },
		{ "access(5) DISCARD", "discard@x.example", DEED_DISCARD, "", "discard" },
		{ "access(5) FILTER", "filter@x.example", DEED_FILTER, "scan:[127.0.0.1]:10025", "filter" },
		{ "access(5) REDIRECT", "redirect@x.example", DEED_REDIRECT, "post@example.com", "redirect" },
		{ "access(5) BCC", "bcc@x.example", DEED_BCC, "archive@example.com", "bcc" },
		{ "access(5) PREPEND", "prepend@x.example", DEED_PREPEND, "X-Seen: by us", "prepend" },
		{ "rfc5322:2.2 no blank in a field's name", "forged@x.example", -1, "", "warn" },
		{ "PREPEND wants a field", "notofield@x.example", -1, "", "warn" },
		{ "access(5) WARN", "warn@x.example", -1, "", "warn" },
	};
	struct buffer errors = { 0 }, warnings = { 0 };
	struct rules *rules = compile("smtpd_sender_restrictions = check_sender_access hash:x\n", &errors, &warnings);
	struct arena *a = arena_open(NULL);

	(void)state;
	HOLDS("compiled", rules != NULL && errors.len == 0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct rule_facts   f = facts_of(cases[i].sender);
		struct world        w = { 0 };
		struct rule_verdict v = rules_judge(rules, &f, &needs, &w, a, NULL);

		HOLDS(cases[i].why, v.outcome == RULE_PASSES);
		HOLDS(cases[i].why, (v.action != NULL) == (cases[i].deed >= 0));
		if (v.action != NULL) {
			HOLDS(cases[i].why, v.action->deed == cases[i].deed && v.action->next == NULL);
			SAME(cases[i].why, v.action->text, bytes_of(cases[i].text));
		}
		HOLDS(cases[i].why, v.note != NULL);
		SAME(cases[i].why, v.note->what, bytes_of(cases[i].note));
	}
	arena_close(&a);
	rules_drop(&rules);
	buffer_free(&errors);
	buffer_free(&warnings);
}

static void
test_refusals(void **state)
{
	static const struct { const char *why, *sender, *reply, *rule; } cases[] = {
		{ "the log names the rule", "reject@x.example", "554 5.7.1 <reject@x.example>: Sender address rejected: Access denied", "check_sender_access" },
		{ "rfc5321:4.1.2 quotes are no part of the name", "\"reject\"@x.example", "554 5.7.1 <reject@x.example>: Sender address rejected: Access denied", "check_sender_access" },
		{ "nor where it needs them", "\"x@y\"@x.example", "554 5.7.1 <x@y@x.example>: Sender address rejected: Access denied", "check_sender_access" },
		{ "nor is a quoted pair's backslash", "\"a\\\"b\"@x.example", "554 5.7.1 <a\"b@x.example>: Sender address rejected: Access denied", "check_sender_access" },
		{ "nothing between them hides no domain", "\"\"@bad.example", "554 5.7.1 <@bad.example>: Sender address rejected: Access denied", "check_sender_access" },
		{ "a class that leads to itself", "loop@x.example", "451 4.3.5 Server configuration error", NULL },
		{ "an answer names no tables", "table@x.example", "451 4.3.5 Server configuration error", NULL },
		{ "nor longer sleeps than lists may have", "number@x.example", "451 4.3.5 Server configuration error", NULL },
		{ "a table that cannot tell is no no", "later@x.example", "451 4.3.0 <later@x.example>: Temporary lookup failure", NULL },
	};
	struct buffer errors = { 0 }, warnings = { 0 };
	struct rules *rules = compile("smtpd_restriction_classes = circle\ncircle = circle\nsmtpd_sender_restrictions = check_sender_access hash:x\n", &errors, &warnings);
	struct arena *a = arena_open(NULL);

	(void)state;
	HOLDS("compiled", rules != NULL && errors.len == 0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct rule_facts   f = facts_of(cases[i].sender);
		struct world        w = { 0 };
		struct rule_verdict v = rules_judge(rules, &f, &needs, &w, a, NULL);

		HOLDS(cases[i].why, v.outcome == RULE_REFUSES);
		SAME(cases[i].why, v.reply, bytes_of(cases[i].reply));
		if (cases[i].rule != NULL)
			SAME(cases[i].why, v.rule, bytes_of(cases[i].rule));
	}
	arena_close(&a);
	rules_drop(&rules);
	buffer_free(&errors);
	buffer_free(&warnings);
}

/* Judged again with the answer it is as if it had been there; without tables nobody is asked at all. */
static void
test_questions(void **state)
{
	struct buffer       errors = { 0 }, warnings = { 0 };
	struct rules       *rules = compile("smtpd_sender_restrictions = permit_mynetworks, warn_if_reject reject, check_sender_access hash:x, sleep 2\n", &errors, &warnings);
	struct arena       *a = arena_open(NULL);
	struct rule_facts   f = facts_of("prepend@x.example");
	struct world        w = { .waits = "prepend@x.example" };
	struct rule_verdict v = rules_judge(rules, &f, &needs, &w, a, NULL);

	(void)state;
	HOLDS("it waits", v.outcome == RULE_WAIT && w.asked == 1);
	w.answered = true;
	v = rules_judge(rules, &f, &needs, &w, a, NULL);
	HOLDS("it has gone on", v.outcome == RULE_PASSES && v.sleep_s == 2);
	HOLDS("nothing is said twice", v.note != NULL && v.note->next != NULL && v.note->next->next == NULL);
	HOLDS("nor done twice", v.action != NULL && v.action->next == NULL);
	f.trusted = true;
	v = rules_judge(rules, &f, &rule_needs_nothing, NULL, a, NULL);
	HOLDS("who is trusted before the question needs none", v.outcome == RULE_PASSES && v.action == NULL);
	f.trusted = false;
	v = rules_judge(rules, &f, &rule_needs_nothing, NULL, a, NULL);
	HOLDS("others do", v.outcome == RULE_WAIT);
	f.unsure = true;
	v = rules_judge(rules, &f, &rule_needs_nothing, NULL, a, NULL);
	HOLDS("of whom it cannot be told is put off, not refused", v.outcome == RULE_REFUSES && bytes_starts(v.reply, BYTES("451 4.3.0 ")));
	f.unsure = false;
	arena_close(&a);
	rules_drop(&rules);
	buffer_free(&errors);
	buffer_free(&warnings);
}

static void
test_compiling(void **state)
{
	static const struct { const char *why, *cf, *error; } cases[] = {
		{ "R180: everybody could relay", "smtpd_relay_restrictions =\nsmtpd_recipient_restrictions = permit_mynetworks\n",
		  "specify at least one working instance of: reject_unauth_destination, defer_unauth_destination, reject, defer, defer_if_permit" },
		{ "behind permit nothing is asked", "smtpd_relay_restrictions = permit_mynetworks, permit, reject\n", "specify at least one working instance" },
		{ "a warning is no refusal", "smtpd_relay_restrictions = warn_if_reject reject_unauth_destination\n", "specify at least one working instance" },
		{ "either list will do", "smtpd_relay_restrictions =\nsmtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination\n", NULL },
		{ "no such rule", "smtpd_client_restrictions = permit_mynetwork\n", "smtpd_client_restrictions: permit_mynetwork is no rule; one is permit_mynetworks" },
		{ "no table", "smtpd_client_restrictions = check_client_access\n", "check_client_access wants a table behind it" },
		{ "no such type of table", "smtpd_client_restrictions = check_client_access nosuch:/x\n", "nosuch:/x: there is no such type" },
		{ "a table alone", "smtpd_client_restrictions = hash:/x\n", NULL },
		{ "which means nothing at DATA", "smtpd_data_restrictions = hash:/x\n", "say what is asked for in it" },
		{ "no number", "smtpd_client_restrictions = sleep soon\n", "write a number from 0 to 600" },
		{ "a class that nobody set", "smtpd_restriction_classes = mine\n", "the class mine is nowhere set" },
		{ "a class with a mistake", "smtpd_restriction_classes = mine\nmine = permt\n", "permt is no rule" },
		{ "classes in classes", "smtpd_restriction_classes = a, b\na = b\nb = reject\nsmtpd_client_restrictions = a\n", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer errors = { 0 }, warnings = { 0 };
		struct rules *rules = compile(cases[i].cf, &errors, &warnings);

		HOLDS(cases[i].why, (rules == NULL) == (cases[i].error != NULL));
		if (cases[i].error != NULL)
			HOLDS(cases[i].why, bytes_search(buffer_bytes(&errors), bytes_of(cases[i].error)) >= 0);
		rules_drop(&rules);
		buffer_free(&errors);
		buffer_free(&warnings);
	}
}

/* R193: the trace has each list with what it said. */
static void
test_trace(void **state)
{
	struct buffer     errors = { 0 }, warnings = { 0 }, trace = { 0 };
	struct rules     *rules = compile("smtpd_client_restrictions = permit_mynetworks\nsmtpd_sender_restrictions = reject_non_fqdn_sender\n", &errors, &warnings);
	struct arena     *a = arena_open(NULL);
	struct rule_facts f = facts_of("a@x.example");
	const char       *wanted[] = { "smtpd_client_restrictions:\n", "permit_mynetworks: the client is not in mynetworks\n",
		"smtpd_client_restrictions has no objection\n", "smtpd_sender_restrictions:\n", "smtpd_relay_restrictions:\n",
		"permit_sasl_authenticated: nobody has logged in\n", "reject_unauth_destination: refuses: 554 5.7.1 <jill@example.com>: Relay access denied\n" };
	size_t            from = 0;

	(void)state;
	f.recipient_is = RECIPIENT_FOREIGN;
	(void)rules_judge(rules, &f, &rule_needs_nothing, NULL, a, &trace);
	for (size_t i = 0; i < COUNT(wanted); i++) {
		ptrdiff_t at = bytes_search(bytes_cut(buffer_bytes(&trace), from, SIZE_MAX), bytes_of(wanted[i]));
		HOLDS(wanted[i], at >= 0);
		from += (size_t)at;
	}
	arena_close(&a);
	rules_drop(&rules);
	buffer_free(&trace);
	buffer_free(&errors);
	buffer_free(&warnings);
}

UNIT(test_deeds, test_refusals, test_questions, test_compiling, test_trace)
