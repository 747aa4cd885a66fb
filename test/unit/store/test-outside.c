#include "../unit.h"

#include <string.h>

#include "store/location.h"
#include "store/maildir.h"
#include "store/mbox.h"

static void
test_locations(void **state)
{
	static const struct {
		const char *why, *text, *home, *user, *whole;
	} rows[] = {
		{ "R367: the two halves", "maildir:/var/vmail/%d/%n", "", "Eva@Example.org",
		  "maildir:/var/vmail/example.org/eva" },
		{ "R367: a home", "maildir:~/Maildir", "/home/%n", "eva@example.org",
		  "maildir:/home/eva/Maildir" },
		{ "R367: INBOX elsewhere", "mbox:~/mail:INBOX=/var/mail/%u", "/h/%n", "eva@x.org",
		  "mbox:/h/eva/mail:INBOX=/var/mail/eva@x.org" },
		{ "a percent sign", "maildir:/a%%b/%n", "", "eva@x.org", "maildir:/a%b/eva" },
		{ "threats: no way up", "maildir:/v/%n", "", "../root@x.org", NULL },
		{ "threats: no way in", "maildir:/v/%n", "", "a/b@x.org", NULL },
		{ "threats: no option", "maildir:/v/%n", "", "a:INBOX=@x.org", NULL },
		{ "no home", "maildir:%h", NULL, "eva@x.org", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buffer out = { 0 };
		bool          good =
			location_expand(rows[i].text, rows[i].home, bytes_of(rows[i].user), &out);
		if (rows[i].whole == NULL)
			HOLDS(rows[i].why, !good);
		else
			SAME(rows[i].why, buffer_bytes(&out), bytes_of(rows[i].whole));
		buffer_free(&out);
	}
}

static void
test_options(void **state)
{
	static const struct {
		const char        *why, *text;
		bool               good;
		enum location_kind kind;
	} rows[] = {
		{ "Maildir++", "maildir:/m", true, LOCATION_MAILDIR },
		{ "said", "maildir:/m:LAYOUT=maildir++", true, LOCATION_MAILDIR },
		{ "directories", "maildir:/m:LAYOUT=fs:INDEX=/i", true, LOCATION_MAILDIR_FS },
		{ "indexes of another's", "maildir:/m:INDEX=MEMORY", true, LOCATION_MAILDIR },
		{ "which mbox always is", "mbox:/m:LAYOUT=fs", true, LOCATION_MBOX },
		{ "and never is", "mbox:/m:LAYOUT=maildir++", false, 0 },
		{ "of Dovecot's own", "maildir:/m:LAYOUT=index", false, 0 },
		{ "uids elsewhere", "maildir:/m:CONTROL=/c", false, 0 },
		{ "INBOX is the root", "maildir:/m:INBOX=/i", false, 0 },
		{ "unknown", "maildir:/m:UTF-8", false, 0 },
	};
	struct arena *arena = arena_open(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct location l;
		HOLDS(rows[i].why, location_read(rows[i].text, arena, &l) == rows[i].good);
		HOLDS(rows[i].why, !rows[i].good || l.kind == rows[i].kind);
		HOLDS(rows[i].why,
		      (location_complain(rows[i].text, "", arena) == NULL) == rows[i].good);
	}
	arena_close(&arena);
}

static void
test_prefixes(void **state)
{
	static const struct {
		const char *why, *text, *home;
		unsigned    which;
		const char *prefix;
	} rows[] = {
		{ "what varies is cut off", "maildir:/var/vmail/%d/%n", "", 0, "/var/vmail" },
		{ "a name that only begins so", "maildir:/var/vmail/u-%n", "", 0, "/var/vmail" },
		{ "of the home", "maildir:~/Maildir", "/home/%n", 0, "/home" },
		{ "of INBOX", "mbox:~/mail:INBOX=/var/mail/%n", "/home/%n", 1, "/var/mail" },
		{ "no second", "maildir:/var/vmail/%n", "", 1, NULL },
		{ "a layout is no place", "maildir:/var/vmail/%n:LAYOUT=fs", "", 1, NULL },
		{ "nor are indexes", "mbox:~/mail:INDEX=/i/%n:INBOX=/var/mail/%n", "/home/%n", 1,
		  "/var/mail" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buffer out = { 0 };
		bool good = location_prefix(rows[i].text, rows[i].home, rows[i].which, &out);
		HOLDS(rows[i].why, good == (rows[i].prefix != NULL));
		if (good)
			SAME(rows[i].why, buffer_bytes(&out), bytes_of(rows[i].prefix));
		buffer_free(&out);
	}
}

static void
test_from_lines(void **state)
{
	static const struct {
		const char *why, *line;
		int64_t     date;
	} rows[] = {
		{ "rfc4155:A", "From eva@example.org Sat Jan  3 01:05:34 1996", 820631134 },
		{ "a zone before the year", "From eva@example.org Sat Jan  3 01:05:34 UTC 1996",
		  820631134 },
		{ "without seconds", "From eva Thu Jan  1 00:01 1970", 60 },
		{ "a sentence", "From here on all is well", -1 },
		{ "a sentence with a year", "From May 1996 to June", -1 },
		{ "another word", "from eva@example.org Sat Jan  3 01:05:34 1996", -1 },
		{ "quoted", ">From eva@example.org Sat Jan  3 01:05:34 1996", -1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		HOLDS(rows[i].why, mbox_is_from(bytes_of(rows[i].line)) == (rows[i].date >= 0));
		if (rows[i].date >= 0)
			assert_int_equal(mbox_from_date(bytes_of(rows[i].line)), rows[i].date);
	}
}

static void
test_states(void **state)
{
	struct mbox_state s = { 0 };
	struct buffer     out = { 0 };
	size_t            skip;

	(void)state;
	mbox_field_read(MBOX_STATUS, BYTES("Status: RO"), &s);
	mbox_field_read(MBOX_X_STATUS, BYTES("X-Status: AF"), &s);
	mbox_field_read(MBOX_X_KEYWORDS, BYTES("X-Keywords: $Label1 work   "), &s);
	mbox_field_read(MBOX_X_UID, BYTES("X-UID: 17"), &s);
	mbox_field_read(MBOX_X_IMAPBASE, BYTES("X-IMAPbase: 1173189136 20221 $Label1"), &s);
	assert_int_equal(s.system, FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED);
	SAME("R217: keywords", s.keywords, BYTES("$Label1 work"));
	assert_int_equal(s.uid, 17);
	assert_int_equal(s.uidvalidity, 1173189136);
	assert_int_equal(s.last, 20221);
	mbox_state_write(s.system, true, s.keywords, 60, &out);
	assert_int_equal(out.len, 60);
	HOLDS("they fit where they were",
	      bytes_starts(buffer_bytes(&out),
	                   BYTES("Status: RO\nX-Status: AF\nX-Keywords: $Label1 work ")));
	HOLDS("a letter's own", mbox_is_kept(BYTES("X-Kept-Status: RO"), &skip) && skip == 7);
	HOLDS("a letter's own that was kept",
	      mbox_is_kept(BYTES("X-Kept-X-Kept-X-UID: 1"), &skip) && skip == 7);
	HOLDS("nobody's", !mbox_is_kept(BYTES("X-Kept-Subject: x"), &skip));
	HOLDS("mboxrd", mbox_needs_quote(BYTES("From x")) && mbox_needs_quote(BYTES(">>From x")) &&
	                        !mbox_needs_quote(BYTES("> From x")));
	HOLDS("mboxrd back", mbox_is_quoted(BYTES(">From x")) && !mbox_is_quoted(BYTES("From x")));
	buffer_free(&out);
}

static void
note_name(void *ctx, struct bytes name, uint32_t uid)
{
	buffer_printf(ctx, "%u=%.*s ", uid, (int)name.len, name.at);
}

static void
test_uid_lists(void **state)
{
	static const struct {
		const char *why, *text;
		uint32_t    uidvalidity, uidnext;
		const char *names;
	} rows[] = {
		{ "dovecot 3",
		  "3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n25006 :1276528487.M364837P9451.kurkku,S=1355,W=1394:2,\n25017 W2481 :1276533073.M242911P3632.kurkku:2,F\n",
		  1275660208, 25022,
		  "25006=1276528487.M364837P9451.kurkku,S=1355,W=1394 25017=1276533073.M242911P3632.kurkku " },
		{ "dovecot 1", "1 1173189136 20221\n20001 1192034210.M1.host\n", 1173189136, 20221,
		  "20001=1192034210.M1.host " },
		{ "out of order", "3 V5 N9\n7 :a\n6 :b\n8 :c\n", 5, 9, "7=a 8=c " },
		{ "another version", "4 V5 N9\n7 :a\n", 0, 0, NULL },
		{ "nothing", "", 0, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buffer names = { 0 };
		uint32_t      uidvalidity = 0, uidnext = 0;
		bool good = uidlist_read(bytes_of(rows[i].text), &uidvalidity, &uidnext, note_name,
		                         &names);
		HOLDS(rows[i].why, good == (rows[i].names != NULL));
		if (good) {
			assert_int_equal(uidvalidity, rows[i].uidvalidity);
			assert_int_equal(uidnext, rows[i].uidnext);
			SAME(rows[i].why, buffer_bytes(&names), bytes_of(rows[i].names));
		}
		buffer_free(&names);
	}
}

UNIT(test_locations, test_options, test_prefixes, test_from_lines, test_states, test_uid_lists)
