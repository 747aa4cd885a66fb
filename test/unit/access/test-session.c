/* Whole IMAP and POP3 sessions over a store: the same answers however the bytes come,
   news told when the protocol permits, limits. */
#include "unit.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>

#include "lab.h"
#include "spool/disk.h"

static const char letter_a[] =
	"From: Jill <jill@example.com>\r\nTo: jack@example.com\r\nSubject: one\r\n\r\nfirst\r\n";

static struct bytes
answered(struct lab *l, bool pop3, const char *said, size_t step, struct buffer *out)
{
	buffer_reset(out);
	lab_talk(l, pop3, bytes_of(said), step, out);
	return buffer_bytes(out);
}

static bool
says(const struct buffer *out, const char *text)
{
	return bytes_search(buffer_bytes(out), bytes_of(text)) >= 0;
}

/* A session that leaves the account as it found it. */
static const char imap_session[] =
	"a1 CAPABILITY\r\n"
	"a2 LIST \"\" {1}\r\n*\r\n"
	"a3 EXAMINE \"in\\\"box\"\r\n"
	"a4 EXAMINE {5+}\r\nINBOX\r\n"
	"a5 FETCH 1:* (FLAGS UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS ({7+}\r\nSubject TO)] BODY.PEEK[TEXT]<2.3>)\r\n"
	"a6 UID SEARCH SUBJECT {3+}\r\none UNSEEN\r\n"
	"a7 SEARCH BODY first\r\n"
	"a8 BOGUS\r\n"
	"a9 FETCH 1 (FLAGS\r\n"
	"a10 STATUS Trash (MESSAGES UIDNEXT)\r\n"
	"a11 IDLE\r\nDONE\r\n"
	"a12 NOOP\r\n"
	"a13 LOGOUT\r\n";
static const char pop3_session[] =
	"STAT\r\nLIST\r\nUIDL 1\r\nRETR 1\r\nTOP 1 0\r\nDELE 1\r\nRETR 1\r\nRSET\r\nBOGUS\r\nLIST 9\r\nCAPA\r\nNOOP\r\nQUIT\r\n";

static void
test_every_split_says_the_same(void **state)
{
	struct lab *l = lab_open();
	struct buffer whole = { 0 }, split = { 0 };
	static const struct { bool pop3; const char *said, *last; } sessions[] = {
		{ false, imap_session, "a13 OK Logout completed.\r\n" },
		{ true,  pop3_session, "+OK Logging out.\r\n" },
	};

	(void)state;
	lab_letter(l, "INBOX", BYTES("Return-Path: <j@x>\r\n"), BYTES("Received: x\r\n"), bytes_of(letter_a), 1000);
	for (size_t i = 0; i < COUNT(sessions); i++) {
		size_t len = strlen(sessions[i].said);
		answered(l, sessions[i].pop3, sessions[i].said, 0, &whole);
		HOLDS("it came to its end", bytes_ends_nocase(buffer_bytes(&whole), bytes_of(sessions[i].last)));
		for (size_t step = 1; step < len; step++) {
			answered(l, sessions[i].pop3, sessions[i].said, step, &split);
			SAME("split into pieces", buffer_bytes(&split), buffer_bytes(&whole));
		}
	}
	buffer_free(&whole);
	buffer_free(&split);
	lab_close(l);
}

struct news_case { const char *why, *said, *wanted, *unwanted; };
/* Before `said`, message 1 of three is expunged and message 2 flagged by somebody else, and a fourth comes. */
static const struct news_case news[] = {
	{ "rfc3501:7.4.1 NOOP tells of EXPUNGE", "b NOOP\r\n", "* 1 EXPUNGE\r\n* 3 EXISTS\r\n", NULL },
	{ "rfc3501:7.4.1 not while FETCH answers", "b FETCH 2 UID\r\n", "* 2 FETCH (UID 2)\r\n* 4 EXISTS\r\n", "EXPUNGE" },
	{ "rfc3501:7.4.1 not while STORE answers", "b STORE 3 FLAGS ()\r\n", "* 3 FETCH (FLAGS (", "EXPUNGE" },
	{ "rfc3501:7.4.1 not while SEARCH answers", "b SEARCH ALL\r\n", "* SEARCH 2 3\r\n", "EXPUNGE" },
	{ "rfc3501:7.4.1 UID forms may", "b UID SEARCH ALL\r\n", "* 1 EXPUNGE\r\n", NULL },
	{ "rfc3501:7.4.2 flags of others", "b FETCH 3 UID\r\n", "* 2 FETCH (FLAGS (\\Flagged", NULL },
	{ "rfc2180:4.1 a FETCH of what is gone", "b FETCH 1 FLAGS\r\n", "b NO [EXPUNGEISSUED]", NULL },
	{ "rfc2177:3 IDLE tells at once", "b IDLE\r\n", "+ idling\r\n* 1 EXPUNGE\r\n* 3 EXISTS\r\n", NULL },
	{ "rfc3501:6.4.8 UID FETCH of what is gone is no fault", "b UID FETCH 1 FLAGS\r\n", "b OK", NULL },
	{ "rfc3501:6.4.5 numbers stay until told", "b FETCH 3 UID\r\n", "* 3 FETCH (UID 3)\r\n", NULL },
};

static void
somebody_changes(struct lab *l)
{
	int why;
	struct arena *scratch = arena_open(NULL);
	struct account *account = account_take(l->store, LAB_ACCOUNT, &why);
	struct mailbox *box = mailbox_take(account, "INBOX", &why);
	struct uid_range one = { 1, 1 }, two = { 2, 2 };
	struct uid_set gone;

	assert_int_equal(mailbox_flags(box, &(struct uid_set){ &two, 1 }, FLAGS_ADD, FLAG_FLAGGED, UINT64_MAX, scratch, NULL, NULL), 0);
	assert_int_equal(mailbox_expunge(box, &(struct uid_set){ &one, 1 }, true, scratch, &gone, NULL), 0);
	mailbox_drop(&box);
	account_drop(&account);
	arena_close(&scratch);
	lab_letter(l, "INBOX", (struct bytes){ 0 }, (struct bytes){ 0 }, bytes_of(letter_a), 1000);
}

static void
test_news(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(news); i++) {
		struct lab *l = lab_open();
		struct buffer out = { 0 };
		int fd;
		for (int k = 0; k < 3; k++)
			lab_letter(l, "INBOX", (struct bytes){ 0 }, (struct bytes){ 0 }, bytes_of(letter_a), 1000);
		fd = lab_connect(l, false, BYTES("a SELECT INBOX\r\n"));
		assert_true(lab_hear(l, fd, &out));
		buffer_reset(&out);
		somebody_changes(l);
		assert_int_equal(send(fd, news[i].said, strlen(news[i].said), 0), (ssize_t)strlen(news[i].said));
		assert_true(lab_hear(l, fd, &out));
		if (!says(&out, news[i].wanted) || (news[i].unwanted != NULL && says(&out, news[i].unwanted)))
			fail_msg("%s: got:\n%.*s", news[i].why, (int)out.len, out.at);
		close(fd);
		buffer_free(&out);
		lab_close(l);
	}
}

/* A delivery while the client idles: told without being asked. */
static void
test_idle_is_told_of_a_delivery(void **state)
{
	struct lab *l = lab_open();
	struct buffer out = { 0 };
	int fd = lab_connect(l, false, BYTES("a SELECT INBOX\r\nb IDLE\r\n"));

	(void)state;
	assert_true(lab_hear(l, fd, &out));
	buffer_reset(&out);
	lab_letter(l, "INBOX", (struct bytes){ 0 }, (struct bytes){ 0 }, bytes_of(letter_a), 1000);
	assert_true(lab_hear(l, fd, &out));
	SAME("rfc2177:3", buffer_bytes(&out), BYTES("* 1 EXISTS\r\n* 1 RECENT\r\n"));
	close(fd);
	buffer_free(&out);
	lab_close(l);
}

struct answer_case { const char *why, *said, *wanted; };
static const struct answer_case answers[] = {
	{ "threats: 20 bad commands end it", "x\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\n",
	  "* BYE Too many invalid IMAP commands.\r\n" },
	{ "Dovecot: a command that is understood ends a row of bad ones",
	  "x\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\n"
	  "a NOOP\r\nx\r\nx\r\nx\r\nx\r\nx\r\nb NOOP\r\n", "b OK" },
	{ "Dovecot: what needs a mailbox, and there is none, is no invalid command",
	  "a FETCH 1 FLAGS\r\na FETCH 1 FLAGS\r\na FETCH 1 FLAGS\r\na FETCH 1 FLAGS\r\na FETCH 1 FLAGS\r\n"
	  "a FETCH 1 FLAGS\r\na FETCH 1 FLAGS\r\na FETCH 1 FLAGS\r\na FETCH 1 FLAGS\r\na FETCH 1 FLAGS\r\n"
	  "a FETCH 1 FLAGS\r\na FETCH 1 FLAGS\r\na FETCH 1 FLAGS\r\na FETCH 1 FLAGS\r\na FETCH 1 FLAGS\r\n"
	  "a FETCH 1 FLAGS\r\na FETCH 1 FLAGS\r\na FETCH 1 FLAGS\r\na FETCH 1 FLAGS\r\na FETCH 1 FLAGS\r\n"
	  "a FETCH 1 FLAGS\r\na FETCH 1 FLAGS\r\na FETCH 1 FLAGS\r\na FETCH 1 FLAGS\r\na FETCH 1 FLAGS\r\n"
	  "b NOOP\r\n", "b OK" },
	{ "and it ends a row of bad ones",
	  "x\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\nx\r\n"
	  "a FETCH 1 FLAGS\r\nx\r\nb NOOP\r\n", "b OK" },
	{ "a literal too big is refused before it comes", "a LIST \"\" {70000}\r\nb NOOP\r\n", "a BAD [TOOBIG]" },
	{ "and the session goes on", "a LIST \"\" {70000}\r\nb NOOP\r\n", "b OK" },
	{ "rfc7888:4 too big to be skipped", "a LIST \"\" {99999999999+}\r\n", "* BYE [TOOBIG]" },
	{ "APPEND above message_size_limit", "a APPEND INBOX {52428801}\r\nb NOOP\r\n", "a NO [TOOBIG]" },
	{ "rfc3501:6.3.11 APPEND to nowhere", "a APPEND nowhere {3}\r\nb NOOP\r\n", "a NO [TRYCREATE]" },
	{ "rfc7888:4 APPEND to nowhere, its bytes skipped", "a APPEND nowhere {3+}\r\nabc\r\nb NOOP\r\n", "b OK" },
	{ "rfc3502:3 APPEND of nothing", "a APPEND INBOX {0+}\r\n\r\nb NOOP\r\n", "a NO [CANNOT] A message of zero bytes" },
	{ "rfc3502:3 asked before it comes", "a APPEND INBOX {0}\r\nb NOOP\r\n", "a NO [CANNOT] A message of zero bytes" },
	{ "rfc3502:3 it calls off what came before it", "a APPEND INBOX {3+}\r\nabc {0+}\r\n\r\nb NOOP\r\n", "a NO Called off by a message of zero bytes" },
	{ "rfc4469:3 CATENATE of nothing", "a APPEND INBOX CATENATE (TEXT {0+}\r\n)\r\nb NOOP\r\n", "a NO [CANNOT] A message of zero bytes" },
	{ "APPEND with a bad date", "a APPEND INBOX \"1-Foo-2020 00:00:00 +0000\" {3+}\r\nabc\r\nb NOOP\r\n", "a BAD" },
	{ "its literal was skipped", "a APPEND INBOX \"1-Foo-2020 00:00:00 +0000\" {3+}\r\nabc\r\nb NOOP\r\n", "b OK" },
	{ "APPEND with words behind", "a APPEND INBOX {3+}\r\nabc def\r\nb NOOP\r\n", "a BAD" },
	{ "rfc3501:6.2 too late", "a LOGIN x y\r\n", "a BAD Already logged in." },
	{ "rfc3501:6.4 needs a mailbox", "a FETCH 1 FLAGS\r\n", "a BAD No mailbox selected." },
	{ "rfc3501:6.3.2 read-only", "a EXAMINE INBOX\r\nb EXPUNGE\r\n", "b NO [READ-ONLY]" },
	{ "rfc3501:6.3.1 a failed SELECT leaves none", "a SELECT INBOX\r\nb SELECT nope\r\nc CLOSE\r\n", "c BAD No mailbox selected." },
	{ "rfc3501:6.3.3 INBOX is there", "a CREATE inbox\r\n", "a NO [ALREADYEXISTS]" },
	{ "rfc3501:6.3.4 INBOX stays", "a DELETE inbox\r\n", "a NO [CANNOT]" },
	{ "rfc3501:6.3.8 the delimiter", "a LIST \"\" \"\"\r\n", "* LIST (\\Noselect) \"/\" \"\"\r\n" },
	{ "rfc3501:6.4.4 BADCHARSET", "a SELECT INBOX\r\nb SEARCH CHARSET X-UNKNOWN ALL\r\n", "b NO [BADCHARSET (UTF-8 US-ASCII ISO-8859-1 GB18030 " },
	{ "rfc4731:3.1 nothing found", "a SELECT INBOX\r\nb SEARCH RETURN (MIN COUNT) ALL\r\n", "* ESEARCH (TAG \"b\") COUNT 0\r\n" },
	{ "rfc5161:3.1 what is unknown is passed over", "a ENABLE X-FOO\r\n", "* ENABLED\r\na OK" },
	{ "rfc6154:3 unknown use", "a CREATE x (USE (\\Foo))\r\n", "a NO [USEATTR]" },
	{ "rfc2342:5", "a NAMESPACE\r\n", "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n" },
	{ "rfc2971:3.1", "a ID NIL\r\n", "* ID (\"name\" \"Mansio\"" },
	{ "rfc3501:9 a number beyond the last", "a SELECT INBOX\r\nb FETCH 1 FLAGS\r\n", "b BAD" },
	{ "rfc3501:9 uids beyond are none", "a SELECT INBOX\r\nb UID FETCH 5:* FLAGS\r\n", "b OK" },
	{ "rfc3501:2.2.1 an empty line", "\r\n", "* BAD" },
	{ "rfc3501:2.2.1 a tag alone", "a\r\n", "* BAD" },
	{ "rfc3501:2.2.1 a NUL in a tag", "a\1b NOOP\r\n", "* BAD" },
	{ "IDLE wants DONE", "a IDLE\r\nb NOOP\r\n", "a BAD Expected DONE.\r\n" },
};

static void
test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(answers); i++) {
		struct lab *l = lab_open();
		struct buffer out = { 0 };
		answered(l, false, answers[i].said, 0, &out);
		if (!says(&out, answers[i].wanted))
			fail_msg("%s: got:\n%.*s", answers[i].why, (int)out.len, out.at);
		buffer_free(&out);
		lab_close(l);
	}
}

static void
test_a_line_without_end(void **state)
{
	struct lab *l = lab_open();
	struct buffer said = { 0 }, out = { 0 };

	(void)state;
	buffer_add_string(&said, "a LIST \"\" ");
	for (int i = 0; i < 200000; i++)
		buffer_add_char(&said, 'x');
	buffer_add_string(&said, "\r\nb NOOP\r\n");
	lab_talk(l, false, buffer_bytes(&said), 0, &out);
	HOLDS("threats: 64 KiB", says(&out, "a BAD [TOOBIG]"));
	HOLDS("the rest of the line is passed over", says(&out, "b OK NOOP completed."));
	buffer_free(&said);
	buffer_free(&out);
	lab_close(l);
}

struct retr_case { const char *why, *letter, *wanted; };
static const struct retr_case retrs[] = {
	{ "rfc1939:3 dots are doubled", "A: b\r\n\r\n.\r\n..\r\n.x\r\n", "A: b\r\n\r\n..\r\n...\r\n..x\r\n.\r\n" },
	{ "rfc1939:3 the dot has a line of its own", "A: b\r\n\r\nx", "A: b\r\n\r\nx\r\n.\r\n" },
	{ "a CR at the very end", "A: b\r\n\r\nx\r", "A: b\r\n\r\nx\r\n.\r\n" },
	{ "a header alone", "A: b\r\n", "A: b\r\n.\r\n" },
};

static void
test_retr(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(retrs); i++) {
		struct lab *l = lab_open();
		struct buffer out = { 0 }, wanted = { 0 };
		lab_letter(l, "INBOX", (struct bytes){ 0 }, (struct bytes){ 0 }, bytes_of(retrs[i].letter), 1000);
		answered(l, true, "RETR 1\r\nQUIT\r\n", 0, &out);
		buffer_printf(&wanted, "+OK Logged in.\r\n+OK %zu octets\r\n%s+OK Logging out.\r\n", strlen(retrs[i].letter), retrs[i].wanted);
		SAME(retrs[i].why, buffer_bytes(&out), buffer_bytes(&wanted));
		buffer_free(&out);
		buffer_free(&wanted);
		lab_close(l);
	}
}

static void
test_dele_happens_at_quit(void **state)
{
	struct lab *l = lab_open();
	struct buffer out = { 0 };

	(void)state;
	lab_letter(l, "INBOX", (struct bytes){ 0 }, (struct bytes){ 0 }, bytes_of(letter_a), 1000);
	lab_letter(l, "INBOX", (struct bytes){ 0 }, (struct bytes){ 0 }, bytes_of(letter_a), 1000);
	answered(l, true, "DELE 1\r\n", 0, &out);
	answered(l, true, "STAT\r\nDELE 1\r\nQUIT\r\n", 0, &out);
	HOLDS("rfc1939:6 a lost connection deletes nothing", says(&out, "+OK 2 "));
	HOLDS("rfc1939:6 QUIT does", says(&out, "+OK Logging out, messages deleted.\r\n"));
	answered(l, true, "STAT\r\nUIDL\r\n", 0, &out);
	HOLDS("one is left", says(&out, "+OK 1 "));
	HOLDS("rfc1939:7 its unique-id is its own", says(&out, "1 00000002"));
	buffer_free(&out);
	lab_close(l);
}

/* Silence: IDLE is told that we are here, others are sent away. */
static void
test_silence(void **state)
{
	struct lab *l = lab_open();
	struct buffer out = { 0 };
	struct imap_config config = { .rows = { .autologout_ms = 700, .idle_notify_ms = 50, .line_most = 1000,
	                              .literal_most = 1000, .errors_most = 3 }, .version = "0.1" };
	int idle, plain;

	(void)state;
	imap_service_config(l->imap, &config);
	idle = lab_connect(l, false, BYTES("a SELECT INBOX\r\nb IDLE\r\n"));
	plain = lab_connect(l, false, (struct bytes){ 0 });
	lab_settle(l, 100);
	assert_true(lab_hear(l, idle, &out));
	HOLDS("rfc2177: routers forget silent connections", says(&out, "* OK Still here\r\n"));
	lab_settle(l, 900);
	buffer_reset(&out);
	HOLDS("rfc3501:5.4 autologout", !lab_hear(l, plain, &out) && says(&out, "* BYE Disconnected for inactivity.\r\n"));
	buffer_reset(&out);
	HOLDS("rfc2177: IDLE is no way around it", !lab_hear(l, idle, &out) && says(&out, "* BYE"));
	HOLDS("both are over", l->over == 2 && imap_service_count(l->imap) == 0);
	close(idle);
	close(plain);
	buffer_free(&out);
	lab_close(l);
}

/* Turn over a byte of what follows `text` in the letter log. */
static void
damage(struct lab *l, const char *text)
{
	char path[128], *data = memory_take(1 << 20);

	for (unsigned number = 0; number < 8; number++) {
		ssize_t len;
		ptrdiff_t at;
		int fd;
		snprintf(path, sizeof path, "%08x.seg", number);
		fd = openat(l->letters_dir, path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		len = pread(fd, data, 1 << 20, 0);
		at = bytes_search((struct bytes){ data, len > 0 ? (size_t)len : 0 }, bytes_of(text));
		if (at >= 0)
			assert_int_equal(pwrite(fd, "~", 1, at), 1);
		close(fd);
	}
	memory_free(data);
}

static void
test_a_damaged_letter_is_set_aside(void **state)
{
	struct lab *l = lab_open();
	struct buffer out = { 0 };
	static const char *const trace[] = { "X-Trace: first\r\n", "X-Trace: damaged\r\n", "X-Trace: third\r\n" };

	(void)state;
	for (size_t i = 0; i < COUNT(trace); i++)
		lab_letter(l, "INBOX", (struct bytes){ 0 }, bytes_of(trace[i]), bytes_of(letter_a), 1000);
	lab_settle(l, 20);
	damage(l, "X-Trace: damaged");
	answered(l, false, "a SELECT INBOX\r\nb FETCH 1:3 ENVELOPE\r\nc SEARCH SUBJECT one\r\nd NOOP\r\n", 0, &out);
	if (!says(&out, "* 1 FETCH (ENVELOPE") || says(&out, "* 2 FETCH (ENVELOPE") || !says(&out, "* 3 FETCH (ENVELOPE") ||
	    !says(&out, "b NO [CORRUPTION]") || !says(&out, "UID 2\r\n") || !says(&out, "* SEARCH 1 3\r\n"))
		fail_msg("others are served, this one is named:\n%.*s", (int)out.len, out.at);
	answered(l, true, "RETR 1\r\nRETR 2\r\nRETR 3\r\nNOOP\r\n", 0, &out);
	HOLDS("rfc2449:8.1.1 [SYS/PERM]", says(&out, "-ERR [SYS/PERM]"));
	HOLDS("the last is served", says(&out, "X-Trace: third"));
	buffer_free(&out);
	lab_close(l);
}

/* Nothing can be written for a while: NO, nothing lost, and on it goes by itself. */
static void
test_a_disk_that_takes_nothing(void **state)
{
	struct lab *l = lab_open();
	struct buffer out = { 0 };
	struct rlimit before, none;
	int fd;

	(void)state;
	for (int i = 0; i < 3; i++)
		lab_letter(l, "INBOX", (struct bytes){ 0 }, (struct bytes){ 0 }, bytes_of(letter_a), 1000);
	fd = lab_connect(l, false, BYTES("a SELECT INBOX\r\n"));
	assert_true(lab_hear(l, fd, &out));
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = (struct rlimit){ 1, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_true(send(fd, "b STORE 1 +FLAGS (\\Answered)\r\n", 30, 0) > 0);
	assert_true(lab_hear(l, fd, &out));
	HOLDS("the promise of OK is not given", says(&out, "b NO [UNAVAILABLE]"));
	assert_true(send(fd, "c FETCH 2 BODY[TEXT]\r\n", 22, 0) > 0);
	assert_true(lab_hear(l, fd, &out));
	HOLDS("reading goes on", says(&out, "* 2 FETCH (BODY[TEXT] {7}\r\nfirst\r\n)\r\n") && says(&out, "c OK"));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	buffer_reset(&out);
	assert_true(send(fd, "d FETCH 1:3 FLAGS\r\ne STORE 1 FLAGS (\\Seen)\r\n", 44, 0) > 0);
	assert_true(lab_hear(l, fd, &out));
	HOLDS("what was not promised did not happen", says(&out, "* 1 FETCH (FLAGS (\\Recent))") && !says(&out, "Answered"));
	HOLDS("and it is taken again", says(&out, "e OK Store completed."));
	close(fd);
	buffer_free(&out);
	lab_close(l);
}

/* What a login read ahead is heard first, in one piece with what follows. */
static void
test_unread_bytes_of_the_login(void **state)
{
	struct lab *l = lab_open();
	struct buffer out = { 0 };
	int fd = lab_connect(l, false, BYTES("a NOOP\r\nb STATUS {5+}\r\nIN"));

	(void)state;
	assert_int_equal(send(fd, "BOX (MESSAGES)\r\n", 16, 0), 16);
	assert_true(lab_hear(l, fd, &out));
	HOLDS("in order", says(&out, "a OK NOOP completed.\r\n* STATUS INBOX (MESSAGES 0)\r\nb OK Status completed.\r\n"));
	close(fd);
	buffer_free(&out);
	lab_close(l);
}

struct shown_case { const char *why; bool pop3; const char *before, *said, *held, *shown; };
/* `before` is answered; then a letter comes and is not on the disk yet; `said` shows nothing of it (`held`, or nothing at
   all) until it is (`shown`). */
static const struct shown_case showns[] = {
	{ "IDLE", false, "a SELECT INBOX\r\nb IDLE\r\n", "", NULL, "* 2 EXISTS\r\n" },
	{ "NOOP", false, "a SELECT INBOX\r\n", "b NOOP\r\n", NULL, "* 2 EXISTS\r\n* 2 RECENT\r\nb OK" },
	{ "SELECT tells its uid", false, "", "a SELECT INBOX\r\n", NULL, "[UIDNEXT 3]" },
	{ "STATUS", false, "", "a STATUS INBOX (UIDNEXT MESSAGES)\r\n", NULL, "(MESSAGES 2 UIDNEXT 3)" },
	{ "what was said with it is in order", false, "", "a NOOP\r\nb STATUS INBOX (UIDNEXT)\r\nc NOOP\r\n", NULL, "a OK NOOP completed.\r\n* STATUS" },
	{ "FETCH", false, "", "a SELECT INBOX\r\nb UID FETCH 1:* (FLAGS)\r\n", NULL, "* 2 FETCH (FLAGS (\\Recent) UID 2)" },
	{ "SEARCH", false, "", "a SELECT INBOX\r\nb UID SEARCH ALL\r\n", NULL, "* SEARCH 1 2\r\n" },
	{ "LOGOUT behind it", false, "", "a STATUS INBOX (UIDNEXT)\r\nb LOGOUT\r\n", NULL, "b OK Logout completed." },
	{ "POP3: unique-ids are uids", true, "", "UIDL\r\n", NULL, "+OK Logged in.\r\n+OK\r\n1 0000000" },
	{ "another mailbox is none of it", false, "", "a STATUS Trash (UIDNEXT)\r\n", "a OK Status", "a OK Status" },
	{ "nor are names", false, "", "a LIST \"\" *\r\n", "a OK List", "a OK List" },
	{ "who logged in to POP3 before numbers what was there then", true, "STAT\r\n", "UIDL\r\n", "+OK\r\n1 0000000", ".\r\n" },
};

static void
test_what_is_not_on_disk_is_not_shown(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(showns); i++) {
		const struct shown_case *c = &showns[i];
		struct lab   *l = lab_open();
		struct buffer out = { 0 };
		int           fd;

		lab_letter(l, "INBOX", (struct bytes){ 0 }, (struct bytes){ 0 }, bytes_of(letter_a), 1000);
		lab_settle(l, 5);
		while (l->working > 0 || store_dirty(l->store))
			lab_settle(l, 1);
		fd = c->before[0] != '\0' ? lab_connect(l, c->pop3, bytes_of(c->before)) : -1;
		assert_true(fd < 0 || lab_hear(l, fd, &out));
		l->slow = true;
		lab_letter(l, "INBOX", (struct bytes){ 0 }, (struct bytes){ 0 }, bytes_of(letter_a), 1000);
		if (fd < 0)
			fd = lab_connect(l, c->pop3, (struct bytes){ 0 });
		buffer_reset(&out);
		if (c->said[0] != '\0')
			assert_true(send(fd, c->said, strlen(c->said), 0) > 0);
		assert_true(lab_hear(l, fd, &out));
		if (c->held == NULL ? says(&out, c->shown) : !says(&out, c->held))
			fail_msg("%s: before it was on disk:\n%.*s", c->why, (int)out.len, out.at);
		l->slow = false;
		(void)lab_hear(l, fd, &out);
		if (!says(&out, c->shown))
			fail_msg("%s: then:\n%.*s", c->why, (int)out.len, out.at);
		close(fd);
		buffer_free(&out);
		lab_close(l);
	}
}

/* A client that has said all it will, and listens on: it hears of nothing before that is on the disk, and then of all. */
static void
test_what_is_not_on_disk_is_not_shown_at_the_end(void **state)
{
	static const struct shown_case rows[] = {
		{ "IMAP", false, NULL, "a STATUS INBOX (UIDNEXT)\r\n", NULL, "(UIDNEXT 2)" },
		{ "IMAP, and LOGOUT", false, NULL, "a STATUS INBOX (UIDNEXT)\r\nb LOGOUT\r\n", NULL, "b OK Logout completed." },
		{ "POP3", true, NULL, "UIDL\r\n", NULL, "+OK Logged in." },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct lab   *l = lab_open();
		struct buffer out = { 0 };
		int           fd;

		l->slow = true;
		lab_letter(l, "INBOX", (struct bytes){ 0 }, (struct bytes){ 0 }, bytes_of(letter_a), 1000);
		fd = lab_connect(l, rows[i].pop3, (struct bytes){ 0 });
		assert_true(send(fd, rows[i].said, strlen(rows[i].said), 0) > 0);
		assert_true(lab_hear(l, fd, &out));
		assert_int_equal(shutdown(fd, SHUT_WR), 0);
		HOLDS(rows[i].why, lab_hear(l, fd, &out));
		if (says(&out, rows[i].shown))
			fail_msg("%s: before it was on disk:\n%.*s", rows[i].why, (int)out.len, out.at);
		l->slow = false;
		HOLDS("then the connection ends", !lab_hear(l, fd, &out));
		if (!says(&out, rows[i].shown))
			fail_msg("%s: then:\n%.*s", rows[i].why, (int)out.len, out.at);
		HOLDS("so does the session", l->over == 1);
		close(fd);
		buffer_free(&out);
		lab_close(l);
	}
}

static int
sync_fails(const char *what, int fd)
{
	(void)fd;
	return strcmp(what, "sync") == 0 ? EIO : 0;
}

/* What was to be shown once it is on disk never comes there. */
static void
test_what_cannot_be_kept_is_never_shown(void **state)
{
	static const char *const said[] = { "a STATUS INBOX (UIDNEXT)\r\n", "a SELECT INBOX\r\n", "a SELECT INBOX\r\nb LOGOUT\r\n" };

	(void)state;
	for (size_t i = 0; i < COUNT(said); i++) {
		struct lab   *l = lab_open();
		struct buffer out = { 0 };
		int           fd;

		fd = lab_connect(l, false, (struct bytes){ 0 });
		assert_true(lab_hear(l, fd, &out));
		l->slow = true;
		lab_letter(l, "INBOX", (struct bytes){ 0 }, (struct bytes){ 0 }, bytes_of(letter_a), 1000);
		buffer_reset(&out);
		assert_true(send(fd, said[i], strlen(said[i]), 0) > 0);
		assert_true(lab_hear(l, fd, &out));
		disk_step = sync_fails;
		l->slow = false;
		HOLDS("the connection ends", !lab_hear(l, fd, &out));
		disk_step = NULL;
		HOLDS("with nothing of it said", out.len == 0);
		close(fd);
		fd = lab_connect(l, false, BYTES("a STATUS INBOX (UIDNEXT MESSAGES)\r\n"));
		assert_true(lab_hear(l, fd, &out));
		HOLDS("who comes again is served", says(&out, "a OK Status completed."));
		close(fd);
		buffer_free(&out);
		lab_close(l);
	}
}

/* Counts that were kept, messages that cannot be read: NO for what asks for them, and the keeper lives. */
static void
test_a_mailbox_that_cannot_be_read_is_refused_alone(void **state)
{
	static const struct { const char *why, *said, *wanted; } rows[] = {
		{ "its counts are told", "b SELECT INBOX\r\n", "* 1200 EXISTS\r\n" },
		{ "FETCH", "b SELECT INBOX\r\nc FETCH 1 FLAGS\r\n", "c NO [CORRUPTION]" },
		{ "and again", "b SELECT INBOX\r\nc FETCH 1 FLAGS\r\nd UID SEARCH ALL\r\n", "d NO [CORRUPTION]" },
		{ "STORE", "b SELECT INBOX\r\nc STORE 1:* +FLAGS (\\Seen)\r\n", "c NO [CORRUPTION]" },
		{ "EXPUNGE", "b SELECT INBOX\r\nc EXPUNGE\r\n", "c NO [CORRUPTION]" },
		{ "COPY from it", "b SELECT INBOX\r\nc COPY 1 Trash\r\n", "c NO [CORRUPTION]" },
		{ "COPY into it", "b SELECT Trash\r\nc UID COPY 1:* INBOX\r\nd NOOP\r\n", "d OK" },
		{ "REPLACE, its literal passed over", "b SELECT INBOX\r\nc REPLACE 1 INBOX {3+}\r\nabc\r\nd NOOP\r\n", "d OK" },
		{ "APPEND to it", "b APPEND INBOX {3+}\r\nabc\r\nc NOOP\r\n", "b NO [CORRUPTION]" },
		{ "QRESYNC", "b ENABLE QRESYNC\r\nc SELECT INBOX (QRESYNC (1 1))\r\nd NOOP\r\n", "c NO [CORRUPTION]" },
		{ "another is selected then", "b SELECT INBOX\r\nc FETCH 1 FLAGS\r\nd SELECT Trash\r\n", "d OK [READ-WRITE]" },
		{ "NOTIFY of it", "b NOTIFY SET STATUS (selected (MessageNew (FLAGS) MessageExpunge)) (inboxes (MessageNew MessageExpunge))\r\nc SELECT INBOX\r\nd FETCH 1 UID\r\n",
		  "d NO [CORRUPTION]" },
	};
	char     path[128];
	sqlite3 *db;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct lab   *l = lab_open();
		struct buffer out = { 0 };

		for (int n = 0; n < 1200; n++)
			lab_letter(l, "INBOX", (struct bytes){ 0 }, (struct bytes){ 0 }, bytes_of(letter_a), 1000);
		lab_settle(l, 5);
		store_close(&l->store);
		(void)snprintf(path, sizeof path, "%s/accounts/01/1/index.db", l->folder);
		assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, "DELETE FROM snapshot; UPDATE mailbox SET forgotten=1000000 WHERE name='INBOX'",
		                              NULL, NULL, NULL), SQLITE_OK);
		sqlite3_close(db);
		lab_reopen(l);
		answered(l, false, rows[i].said, 0, &out);
		if (!says(&out, rows[i].wanted) || says(&out, "* BYE"))
			fail_msg("%s: got:\n%.*s", rows[i].why, (int)out.len, out.at);
		buffer_free(&out);
		lab_close(l);
	}
}

/* Who is sent away meanwhile hears that with it, and nothing before; when all ends at once, nothing at all. */
static void
test_what_is_not_on_disk_is_not_shown_to_who_is_kicked(void **state)
{
	static const struct { const char *why; bool pop3, all; const char *said, *shown, *bye; } rows[] = {
		{ "IMAP", false, false, "a STATUS INBOX (UIDNEXT)\r\n", "* STATUS INBOX (UIDNEXT 2)\r\n", "* BYE Go.\r\n" },
		{ "IMAP with a command behind it", false, false, "a STATUS INBOX (UIDNEXT)\r\nb NOOP\r\n", "* STATUS INBOX (UIDNEXT 2)\r\n", "* BYE Go.\r\n" },
		{ "POP3", true, false, "UIDL\r\n", "+OK\r\n1 0000000", "-ERR [SYS/TEMP] Go.\r\n" },
		{ "IMAP as the server stops", false, true, "a STATUS INBOX (UIDNEXT)\r\n", NULL, NULL },
		{ "POP3 as the server stops", true, true, "UIDL\r\n", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct lab   *l = lab_open();
		struct buffer out = { 0 };
		int           fd;

		l->slow = true;
		lab_letter(l, "INBOX", (struct bytes){ 0 }, (struct bytes){ 0 }, bytes_of(letter_a), 1000);
		fd = lab_connect(l, rows[i].pop3, bytes_of(rows[i].said));
		assert_true(lab_hear(l, fd, &out));
		HOLDS("it is held", out.len == 0);
		if (rows[i].all) {
			imap_service_close(&l->imap);
			pop3_service_close(&l->pop3);
		} else {
			char words[] = "Go.";
			assert_int_equal(rows[i].pop3 ? pop3_service_kick(l->pop3, 1, words) : imap_service_kick(l->imap, 1, words), 1);
			memset(words, '#', sizeof words - 1);
			HOLDS("the connection stays", lab_hear(l, fd, &out));
			HOLDS("nothing is said before it is on disk", out.len == 0);
		}
		l->slow = false;
		HOLDS("then the connection ends", !lab_hear(l, fd, &out));
		if (rows[i].all ? out.len > 0 : !says(&out, rows[i].shown) || !says(&out, rows[i].bye))
			fail_msg("%s:\n%.*s", rows[i].why, (int)out.len, out.at);
		close(fd);
		buffer_free(&out);
		lab_close(l);
	}
}

UNIT(test_what_is_not_on_disk_is_not_shown_at_the_end, test_every_split_says_the_same, test_news, test_idle_is_told_of_a_delivery, test_answers, test_a_line_without_end,
     test_retr, test_dele_happens_at_quit, test_silence, test_a_damaged_letter_is_set_aside,
     test_unread_bytes_of_the_login, test_a_disk_that_takes_nothing, test_what_is_not_on_disk_is_not_shown,
     test_what_is_not_on_disk_is_not_shown_to_who_is_kicked, test_what_cannot_be_kept_is_never_shown, test_a_mailbox_that_cannot_be_read_is_refused_alone)
