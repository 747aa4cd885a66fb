/* What FETCH said is said again: found where it was kept, forgotten when there is no room, the same for the
   client either way. */
#include "unit.h"

#include "access/imap/answers.h"
#include "lab.h"

static struct answer
answer_of(const char *text, uint32_t counted)
{
	return (struct answer){ bytes_of(text), counted };
}

static void
kept_answers_are_found(void **state)
{
	struct lab            *lab = lab_open();
	struct account        *account;
	struct mailbox        *inbox, *sent;
	struct answers        *all;
	struct answers_column *one, *other, *wide;
	struct answer          a;
	int                    why;

	(void)state;
	account = account_take(lab->store, LAB_ACCOUNT, &why);
	inbox = mailbox_take(account, "INBOX", &why);
	sent = mailbox_take(account, "Sent", &why);
	all = answers_open(lab->loop, 1 << 20);
	one = answers_take(all, inbox, BYTES("ENVELOPE "), false);
	other = answers_take(all, sent, BYTES("ENVELOPE "), false);
	wide = answers_take(all, inbox, BYTES("ENVELOPE "), true);
	HOLDS("nothing is there at first", !answers_find(one, 1, &a));
	for (uint32_t uid = 4000; uid <= 4000; uid -= 3) {
		char text[20];
		(void)snprintf(text, sizeof text, "words of %u", uid);
		a = answer_of(text, uid % 2);
		answers_keep(one, uid, &a);
	}
	for (uint32_t uid = 1; uid <= 4000; uid++) {
		char text[20];
		(void)snprintf(text, sizeof text, "words of %u", uid);
		if (uid % 3 != 1) {
			HOLDS("what was not kept is not found", !answers_find(one, uid, &a));
			continue;
		}
		HOLDS("what was kept is found", answers_find(one, uid, &a));
		HOLDS("as it was", bytes_is(a.text, text) && a.counted == uid % 2);
	}
	for (uint32_t uid = UINT32_MAX; uid > UINT32_MAX / 3; uid -= 100000007) {
		a = answer_of("far away", 7);
		answers_keep(one, uid, &a);
		HOLDS("far apart they are found, too",
		      answers_find(one, uid, &a) && bytes_is(a.text, "far away"));
		HOLDS("and no neighbours",
		      !answers_find(one, uid - 1, &a) && !answers_find(one, uid - 64, &a));
	}
	HOLDS("those of before still are", answers_find(one, 4000, &a) && answers_find(one, 1, &a));
	HOLDS("another mailbox has its own", !answers_find(other, 1, &a));
	HOLDS("so has a client that knows UTF-8", !answers_find(wide, 1, &a));
	answers_drop(&one);
	one = answers_take(all, inbox, BYTES("ENVELOPE "), false);
	HOLDS("it is there after the last has left", answers_find(one, 1, &a));
	answers_drop(&one);
	answers_drop(&other);
	answers_drop(&wide);
	answers_most(all, 0);
	HOLDS("no memory, nothing kept", answers_memory(all) == 0);
	HOLDS("and no column", answers_take(all, inbox, BYTES("ENVELOPE "), false) == NULL);
	answers_close(&all);
	mailbox_drop(&inbox);
	mailbox_drop(&sent);
	account_drop(&account);
	lab_close(lab);
}

static void
memory_has_an_end(void **state)
{
	enum { MOST = 100000 };
	struct lab            *lab = lab_open();
	struct account        *account;
	struct mailbox        *inbox;
	struct answers        *all;
	struct answers_column *old, *fresh;
	struct answer          a;
	char                   text[8000];
	int                    why;

	(void)state;
	memset(text, 'x', sizeof text);
	account = account_take(lab->store, LAB_ACCOUNT, &why);
	inbox = mailbox_take(account, "INBOX", &why);
	all = answers_open(lab->loop, MOST);
	old = answers_take(all, inbox, BYTES("BODYSTRUCTURE "), false);
	a = (struct answer){ { text, sizeof text }, 0 };
	answers_keep(old, 1, &a);
	HOLDS("a long one is not kept", !answers_find(old, 1, &a));
	for (uint32_t uid = 1; uid < 1000; uid++) {
		a = (struct answer){ { text, 500 }, 0 };
		answers_keep(old, uid, &a);
		HOLDS("never more than was said", answers_memory(all) <= MOST);
	}
	HOLDS("what came first stays", answers_find(old, 1, &a));
	HOLDS("what has no room is not kept", !answers_find(old, 999, &a));
	answers_drop(&old);
	fresh = answers_take(all, inbox, BYTES("ENVELOPE "), false);
	for (uint32_t uid = 1; uid < 60; uid++) {
		a = (struct answer){ { text, 500 }, 0 };
		answers_keep(fresh, uid, &a);
	}
	HOLDS("what nobody uses makes room", answers_find(fresh, 59, &a));
	HOLDS("still not more", answers_memory(all) <= MOST);
	answers_drop(&fresh);
	answers_close(&all);
	mailbox_drop(&inbox);
	account_drop(&account);
	lab_close(lab);
}

/* Not half of it, as when what is full doubles: a mailbox that is twice as large is kept as long. */
static void
memory_is_used_to_its_end(void **state)
{
	enum { MOST = 1250000, LEN = 500, COUNTED = 8 };
	struct lab            *lab = lab_open();
	struct account        *account;
	struct mailbox        *inbox;
	struct answers        *all;
	struct answers_column *c;
	struct answer          a;
	char                   text[LEN];
	uint32_t               kept = 0;
	int                    why;

	(void)state;
	account = account_take(lab->store, LAB_ACCOUNT, &why);
	inbox = mailbox_take(account, "INBOX", &why);
	all = answers_open(lab->loop, MOST);
	c = answers_take(all, inbox, BYTES("ENVELOPE "), false);
	for (uint32_t uid = 1; uid <= MOST / LEN; uid++) {
		memset(text, (int)('a' + uid % 26), sizeof text);
		a = (struct answer){ { text, LEN - uid % 7 }, uid };
		answers_keep(c, uid, &a);
		HOLDS("never more than was said", answers_memory(all) <= MOST);
	}
	for (uint32_t uid = 1; uid <= MOST / LEN && answers_find(c, uid, &a); uid++, kept++) {
		assert_int_equal(a.text.len, LEN - uid % 7);
		assert_int_equal(a.counted, uid);
		HOLDS("each is its own", a.text.at[0] == (char)('a' + uid % 26) && a.text.at[a.text.len - 1] == (char)('a' + uid % 26));
	}
	HOLDS("nine tenths of it are answers", (uint64_t)kept * (LEN + COUNTED) > MOST / 10 * 9);
	answers_drop(&c);
	HOLDS("all of it is given back", (answers_most(all, 0), answers_memory(all) == 0));
	answers_close(&all);
	mailbox_drop(&inbox);
	account_drop(&account);
	lab_close(lab);
}

/* The same FETCH twice in one session and once in the next: three times the same words. */
static void
the_second_answer_is_the_first(void **state)
{
	static const char ask[] =
		"1 SELECT INBOX\r\n"
		"2 FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE "
		"BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[HEADER] PREVIEW BODY.PEEK[TEXT])\r\n"
		"2 FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE "
		"BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[HEADER] PREVIEW BODY.PEEK[TEXT])\r\n";
	struct lab   *lab = lab_open();
	struct buffer out = { 0 };
	struct bytes  first, second;
	const char   *begin, *middle, *end;

	(void)state;
	for (int i = 0; i < 3; i++)
		lab_letter(lab, "INBOX", BYTES(""), BYTES(""),
		           BYTES("From: jill@example.com\r\nSubject: once and again\r\n"
		                 "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
		                 "--b\r\n\r\nHello.\r\n--b--\r\n"),
		           1234567890);
	lab_talk(lab, false, bytes_of(ask), 0, &out);
	buffer_add_char(&out, '\0');
	begin = strstr(out.at, "* 1 FETCH");
	HOLDS("the first is answered", begin != NULL && strstr(begin, "once and again") != NULL);
	middle = strstr(begin, "2 OK");
	HOLDS("to its end", middle != NULL);
	end = middle != NULL ? strstr(middle + 4, "2 OK") : NULL;
	HOLDS("the second too", end != NULL);
	first = (struct bytes){ begin, (size_t)(middle - begin) };
	begin = strstr(middle, "* 1 FETCH");
	second = (struct bytes){ begin, (size_t)(end - begin) };
	HOLDS("in the same words", bytes_equal(first, second));
	buffer_free(&out);
	lab_close(lab);
}

UNIT(kept_answers_are_found, memory_has_an_end, memory_is_used_to_its_end, the_second_answer_is_the_first)
