#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "command/query.h"

/* 2026-11-22 12:00:00 UTC */
#define NOW 1795348800

struct query_case {
	const char *why, *words, *wanted;
};
/* For a mailbox "INBOX" of id "F1"; wanted NULL: refused. */
static const struct query_case cases[] = {
	{ "every message", "ALL ", "(ALL)" },
	{ "keys are joined by and", "SEEN draft", "(SEEN DRAFT)" },
	{ "a word with blanks is quoted", "subject 'old horses'", "(SUBJECT \"old horses\")" },
	{ "what cannot be quoted is a literal", "subject 'a\"b'", "(SUBJECT {3+}\r\na\"b)" },
	{ "a field and its content", "header list-id debian", "(HEADER \"list-id\" \"debian\")" },
	{ "doveadm-search-query(7): or stands between keys", "( SEEN OR FLAGGED )",
	  "((OR SEEN FLAGGED))" },
	{ "three of them", "( a OR b", NULL },
	{ "three keys", "( seen or flagged or deleted )", "((OR SEEN OR FLAGGED DELETED))" },
	{ "rfc3501:6.4.4: OR before them", "OR seen flagged draft", "(OR (SEEN FLAGGED) DRAFT)" },
	{ "and and or are not mixed", "seen or flagged draft", NULL },
	{ "not", "not ( seen draft )", "(NOT ((SEEN DRAFT)))" },
	{ "this mailbox", "mailbox INBOX unseen", "(ALL UNSEEN)" },
	{ "by wildcard", "mailbox IN* unseen", "(ALL UNSEEN)" },
	{ "not this mailbox, perhaps", "( mailbox Sent or unseen )", "((OR NOT ALL UNSEEN))" },
	{ "by id", "mailbox-guid f1 uid 1:5,9", "(ALL UID 1:5,9)" },
	{ "numbers alone", "1:3,* seen", "(1:3,* SEEN)" },
	{ "doveadm-search-query(7): ISO dates", "senton 2007-04-13", "(SENTON 13-Apr-2007)" },
	{ "IMAP's dates", "since 13-Apr-2007", "(SINCE 13-Apr-2007)" },
	{ "doveadm-search-query(7): 1w is 7 days", "since 1w", "(YOUNGER 604800)" },
	{ "days, written out", "before 7days", "(OLDER 604800)" },
	{ "an age where only days are known", "savedbefore 30d", "(SAVEDBEFORE 23-Oct-2026)" },
	{ "doveadm-search-query(7): a timestamp", "senton 1176418800", "(SENTON 12-Apr-2007)" },
	{ "doveadm-search-query(7): 1M is 1024k", "larger 1M smaller 2048k",
	  "(LARGER 1048576 SMALLER 2097152)" },
	{ "a keyword", "keyword $Forwarded", "(KEYWORD $Forwarded)" },
	{ "a keyword that would break the line", "keyword 'a b'", NULL },
	{ "a set that is none", "uid 1;2", NULL },
	{ "no key", "frm jack", NULL },
	{ "a word is missing", "seen from", NULL },
	{ "a parenthesis is missing", "( seen", NULL },
	{ "a parenthesis too many", "seen ) draft", NULL },
	{ "not a size", "larger much", NULL },
	{ "too deep",
	  "( ( ( ( ( ( ( ( ( ( ( ( ( ( ( ( ( ( seen ) ) ) ) ) ) ) ) ) ) ) ) ) ) ) ) ) )", NULL },
};

static void
test_queries(void **state)
{
	(void)state;
	clock_pretend(NOW);
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct query_case *k = &cases[i];
		struct client           *c = client_over(-1);
		struct query             q;
		char                    *words[] = { (char *)(uintptr_t)k->words };
		bool                     good = query_read(&q, 1, words);

		HOLDS(k->why, good == (k->wanted != NULL));
		if (good && strcmp(k->why, "rfc3501:6.4.4: OR before them") != 0) {
			query_write(&q, c, "INBOX", "F1");
			SAME(k->why, buffer_bytes(client_out(c)), bytes_of(k->wanted));
		}
		if (good)
			query_close(&q);
		client_close(&c);
	}
}

static void
test_mailboxes(void **state)
{
	struct query q;
	char        *words[] = { (char *)(uintptr_t) "( mailbox Sent or mailbox Lists/* ) seen" };

	(void)state;
	assert_true(query_read(&q, 1, words));
	HOLDS("named", query_wants(&q, "Sent", ""));
	HOLDS("by wildcard", query_wants(&q, "Lists/a/b", ""));
	HOLDS("neither", !query_wants(&q, "INBOX", ""));
	HOLDS("only names without a wildcard must be there",
	      strcmp(query_named(&q, 0), "Sent") == 0 && query_named(&q, 1) == NULL);
	query_close(&q);
}

/* What Dovecot 2.3's doveadm expunge says of it. */
static const struct {
	const char *why, *words;
	bool        mailbox, messages;
} branches[] = {
	{ "messages wherever they are", "seen", false, true },
	{ "a mailbox and nothing of it", "mailbox INBOX", true, false },
	{ "all is something", "mailbox INBOX all", true, true },
	{ "in any order", "( mailbox-guid F1 ) seen", true, true },
	{ "two mailboxes", "mailbox INBOX not mailbox Sent", true, false },
	{ "joined by or, and in them", "( mailbox INBOX or mailbox Sent ) seen", true, true },
	{ "a branch without a mailbox", "( ( mailbox INBOX seen ) or ( flagged ) )", false, true },
	{ "a branch with nothing else", "( mailbox Sent or ( mailbox INBOX seen ) )", true, false },
	{ "neither in both", "( mailbox INBOX or seen )", false, false },
	{ "what is not meant names it too", "not ( mailbox INBOX seen )", true, true },
};

static void
test_branches(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(branches); i++) {
		struct query q;
		char        *words[] = { (char *)(uintptr_t)branches[i].words };

		assert_true(query_read(&q, 1, words));
		HOLDS(branches[i].why, query_covers(&q, true) == branches[i].mailbox);
		HOLDS(branches[i].why, query_covers(&q, false) == branches[i].messages);
		query_close(&q);
	}
}

/* Came 2026-11-20 12:00:00 UTC; written on the 19th, where its sender was. */
static const struct {
	const char *why, *words;
	bool        is;
} meant[] = {
	{ "all", "all", true },
	{ "a flag", "seen", true },
	{ "a flag it has not", "answered", false },
	{ "without it", "unanswered undeleted", true },
	{ "a keyword, in any case", "keyword $forwarded", true },
	{ "none", "unkeyword Todo not keyword Todo", true },
	{ "rfc3501:6.4.4 SUBJECT, decoded", "subject \xe5\x8e\x9f\xe5\x83\xb9", true },
	{ "from", "from JILL", true },
	{ "two words", "from jill subject nothing", false },
	{ "either", "( subject nothing or from jill )", true },
	{ "neither", "( subject nothing or from joe )", false },
	{ "not", "not ( subject nothing )", true },
	{ "a field by name", "header list-id horses", true },
	{ "it is there", "header list-id ''", true },
	{ "it is not there", "header x-none ''", false },
	{ "before its day", "before 2026-11-20", false },
	{ "before the next", "before 21-Nov-2026", true },
	{ "on its day", "on 2026-11-20", true },
	{ "since", "since 2026-11-20", true },
	{ "since the next", "since 2026-11-21", false },
	{ "an age", "since 3d", true },
	{ "younger than that", "since 1d", false },
	{ "older", "before 1d", true },
	{ "rfc3501:6.4.4 SENTON is the sender's day", "senton 2026-11-19", true },
	{ "sent since", "sentsince 2026-11-20", false },
	{ "sent before", "sentbefore 2026-11-20", true },
	{ "larger", "larger 1k smaller 3k", true },
	{ "of that size", "larger 2k", false },
	{ "the mailbox", "mailbox Lists/* seen", true },
	{ "another", "mailbox INBOX", false },
};

static void
test_letters(void **state)
{
	static const char *const beyond[][2] = { { "body x", "BODY" }, { "( seen or not text y )", "TEXT" },
		                                 { "uid 1", "UID" }, { "1:2", "" }, { "savedon 2026-11-20", "SAVEDON" } };
	struct query_letter letter = {
		.mailbox = "Lists/horses",
		.flags = BYTES("\\Seen $Forwarded"),
		.header = BYTES("From: Jill <jill@example.org>\r\n"
		                "Date: Thu, 19 Nov 2026 23:30:00 -0500\r\n"
		                "Subject: =?utf-8?B?5Y6f5YO5?=\r\nList-Id: <horses.example.org>\r\n\r\n"),
		.date = NOW - 2 * 86400,
		.size = 2048,
	};

	(void)state;
	clock_pretend(NOW);
	for (size_t i = 0; i < COUNT(meant); i++) {
		struct query q;
		char        *words[] = { (char *)(uintptr_t)meant[i].words };

		HOLDS(meant[i].why, query_read(&q, 1, words));
		HOLDS(meant[i].why, query_beyond_letter(&q) == NULL);
		HOLDS(meant[i].why, query_means(&q, &letter) == meant[i].is);
		query_close(&q);
	}
	for (size_t i = 0; i < COUNT(beyond); i++) {
		struct query q;
		char        *words[] = { (char *)(uintptr_t)beyond[i][0] };

		HOLDS(beyond[i][0], query_read(&q, 1, words));
		HOLDS(beyond[i][0], strcmp(query_beyond_letter(&q), beyond[i][1]) == 0);
		query_close(&q);
	}
}

UNIT(test_queries, test_mailboxes, test_branches, test_letters)
