/* What is kept of a session for the postmaster, and what a refusal is a sign of. */
#include "unit.h"

#include <string.h>

#include "smtp/history.h"

/* clang-format off */
/* Classes are those of Postfix's smtpd, as test_sessions_told_beside_postfix.py has them from it. */
static const struct blame_case { const char *why, *reply; unsigned fault; } blames[] = {
	{ "what is well", "250 2.0.0 Ok", 0 },
	{ "nor is this a refusal", "354 go on", 0 },
	{ "rfc5321:4.2.2 syntax", "500 5.5.2 Error: command not recognized", FAULT_PROTOCOL },
	{ "without a status", "502 what", FAULT_PROTOCOL },
	{ "rfc5321:4.1.1.11", "555 5.5.4 Unsupported option", FAULT_PROTOCOL },
	{ "out of turn", "503 5.5.1 Error: need MAIL command", FAULT_PROTOCOL },
	{ "too many mistakes", "421 4.7.0 mail.example Error: too many errors", FAULT_PROTOCOL },
	{ "silence", "421 4.4.2 mail.example Error: timeout exceeded", 0 },
	{ "we leave", "421 4.3.2 mail.example Service shutting down", 0 },
	{ "nobody here", "550 5.1.1 <x@y>: Recipient address rejected", FAULT_BOUNCE },
	{ "not yet", "450 4.1.1 <x@y>: Recipient address rejected", FAULT_BOUNCE },
	{ "rfc3463:3.5 too many hops", "554 5.4.6 Error: too many hops", FAULT_BOUNCE },
	{ "too large", "552 5.3.4 Error: message too big", FAULT_BOUNCE },
	{ "a rule", "554 5.7.1 <x@y>: Relay access denied", FAULT_POLICY },
	{ "without a status", "554 go away", FAULT_POLICY },
	{ "no such domain", "450 4.1.8 <x@y>: Sender address rejected: Domain not found", FAULT_POLICY },
	{ "no room", "452 4.3.1 Insufficient system storage", FAULT_RESOURCE },
	{ "a table", "451 4.3.0 <x@y>: Temporary lookup failure", FAULT_DATA },
	{ "settings", "451 4.3.5 Server configuration error", FAULT_SOFTWARE },
	{ "TLS cannot", "454 4.7.0 TLS not available due to local problem", FAULT_SOFTWARE },
	{ "a password that is wrong is nobody's fault", "535 5.7.8 Error: authentication failed", 0 },
	{ "nothing", "", 0 },
	{ "less than a code", "55", 0 },
};
static const struct rule_case { const char *why, *rule, *reply; unsigned fault; } by_rules[] = {
	{ "retry: with a status of its own", "smtpd_reject_unlisted_recipient", "450 4.3.2 <x@y>: Recipient address rejected: not today", FAULT_BOUNCE },
	{ "error: with one", "reject_unlisted_recipient", "550 5.3.0 <x@y>: Recipient address rejected: closed", FAULT_BOUNCE },
	{ "of a sender", "reject_unlisted_sender", "550 5.7.1 <x@y>: Sender address rejected: gone", FAULT_BOUNCE },
	{ "nobody could be asked", "smtpd_reject_unlisted_recipient", "451 4.3.0 <x@y>: Temporary lookup failure", FAULT_DATA },
	{ "defer", "defer", "450 4.3.2 <x@y>: Recipient address rejected: Try again later", FAULT_POLICY },
	{ "a status of a table", "check_sender_access", "450 4.3.1 <x@y>: Sender address rejected: busy", FAULT_POLICY },
	{ "a table that is wrong", "check_sender_access", "451 4.3.5 Server configuration error", FAULT_SOFTWARE },
	{ "another rule", "reject_unauth_destination", "554 5.7.1 <x@y>: Relay access denied", FAULT_POLICY },
	{ "none", "", "451 4.3.5 Server configuration error", FAULT_SOFTWARE },
};
static const struct answer_case { const char *why; uint16_t code; unsigned fault; } answers[] = {
	{ "an intermediate answer where none is", 354, FAULT_PROTOCOL },
	{ "not now", 451, 0 }, { "never", 550, 0 }, { "too much", 552, 0 },
	{ "syntax", 500, FAULT_PROTOCOL }, { "still", 509, FAULT_PROTOCOL }, { "no more", 510, 0 },
	{ "rfc5321:4.1.1.11", 555, FAULT_PROTOCOL }, { "no code that there is", 777, FAULT_PROTOCOL },
};
static const struct line_case { const char *why; bool heard; const char *line, *kept; } lines[] = {
	{ "what is heard", true, "HELO x", " In:  HELO x\r\n" },
	{ "what is said, of two lines", false, "250-x\r\n250 y\r\n", " Out: 250-x\r\n Out: 250 y\r\n" },
	{ "rfc4954:4 a password", true, "AUTH PLAIN AGphY2sAc2VjcmV0", " In:  AUTH PLAIN [not shown]\r\n" },
	{ "behind a tab", true, "auth plain\tAGphY2sAc2VjcmV0", " In:  auth plain [not shown]\r\n" },
	{ "without one", true, "AUTH LOGIN", " In:  AUTH LOGIN\r\n" },
	{ "rfc4468 a URL", true, "BURL imap://x;URLAUTH=y LAST", " In:  BURL [not shown]\r\n" },
	{ "what cannot be shown", true, "NOOP \033[2J\303\244", " In:  NOOP ?[2J??\r\n" },
	{ "nothing", true, "", "" },
};
/* clang-format on */

static void
test_blame(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(blames); i++)
		HOLDS(blames[i].why, fault_of_reply(bytes_of(blames[i].reply)) == blames[i].fault);
	for (size_t i = 0; i < COUNT(by_rules); i++)
		HOLDS(by_rules[i].why, fault_of_rule(bytes_of(by_rules[i].rule), bytes_of(by_rules[i].reply)) == by_rules[i].fault);
	for (size_t i = 0; i < COUNT(answers); i++)
		HOLDS(answers[i].why, fault_of_answer(answers[i].code) == answers[i].fault);
}

static void
test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		struct history h = { .wanted = FAULT_POLICY };

		history_add(&h, lines[i].heard, bytes_of(lines[i].line));
		SAME(lines[i].why, history_text(&h), bytes_of(lines[i].kept));
		history_free(&h);
	}
}

/* However much is said, so much is kept. */
static void
test_bounds(void **state)
{
	struct history h = { .wanted = FAULT_PROTOCOL };
	static char    line[5000];
	struct history none = { 0 };

	(void)state;
	memset(line, 'x', sizeof line - 1);
	for (int i = 0; i < 1000; i++)
		history_add(&h, true, bytes_of(line));
	HOLDS("no more than there may be", history_text(&h).len < HISTORY_MOST + 2 * HISTORY_LINE_MOST);
	HOLDS("all are counted", h.lines + h.left_out == 1000);
	HOLDS("nothing went wrong", !history_is_wanted(&h));
	history_blame(&h, FAULT_POLICY);
	HOLDS("nothing that is wanted", !history_is_wanted(&h));
	history_blame(&h, FAULT_PROTOCOL);
	HOLDS("now", history_is_wanted(&h));
	h.quiet = true;
	HOLDS("but not of this", !history_is_wanted(&h));
	history_free(&h);
	history_add(&none, true, bytes_of(line));
	HOLDS("where nobody wants to know nothing is kept", history_text(&none).len == 0);
}

UNIT(test_blame, test_lines, test_bounds)
