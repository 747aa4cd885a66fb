/* Receipts: what APPEND promised in the letter log is in the mailbox after any end, with the uid that was told. */
#include "unit.h"

#include <sys/wait.h>

#include "kit.h"
#include "message/digest.h"
#include "message/envelope.h"
#include "store/inside.h"

enum { SEGMENT = 7, OTHER = 8 };
#define CONTENT BYTES("Subject: kept\r\nDate: Sat, 1 Mar 2025 12:00:00 +0000\r\n\r\nA letter.\r\n")

/* A segment being written: what is in `bytes` is in the file after segment_write(). */
struct log { uint32_t number; struct buffer bytes; };

static void
log_begin(struct log *l, uint32_t number)
{
	char title[SEGMENT_HEADER];

	*l = (struct log){ .number = number };
	segment_title_make(title, number, 1700000000, SEGMENT_SMALL);
	buffer_add(&l->bytes, (struct bytes){ title, sizeof title });
}

static void
log_write(const struct kit *k, const struct log *l)
{
	char name[128];
	FILE *f;

	(void)snprintf(name, sizeof name, "%s/%08x.seg", k->path, l->number);
	f = fopen(name, "w");
	HOLDS("the segment", f != NULL && fwrite(l->bytes.at, 1, l->bytes.len, f) == l->bytes.len && fclose(f) == 0);
}

/* The letter as keeper-append writes it. */
static struct arrival
log_letter_of(struct log *l, const struct receipt *receipt, uint64_t letter, uint32_t flags, uint64_t len)
{
	struct arena   *a = arena_open(NULL);
	struct buffer   digest = { 0 }, packed = { 0 };
	struct digest   d;
	struct arrival  v = { .letter = letter, .size = CONTENT.len,
		              .internal_date = receipt != NULL ? receipt->date : 1600000000,
		              .flags = receipt != NULL ? receipt->flags : 0 };
	struct envelope e = { .letter = v.letter, .flags = flags, .protocol = BYTES("IMAP"), .content_len = len };

	digest_make(CONTENT, a, &digest);
	HOLDS("a digest", digest_view(buffer_bytes(&digest), &d));
	v.sent_date = d.sent;
	e.digest = buffer_bytes(&digest);
	if (receipt != NULL)
		e.receipt = *receipt;
	envelope_pack(&e, &packed);
	if (letter == ((uint64_t)l->number << 32 | l->bytes.len))
		record_add(&l->bytes, RECORD_CONTENT, v.letter, CONTENT);
	v.place = (struct letter_place){ l->number, letter_offset(v.letter) + RECORD_HEADER, CONTENT.len, l->number, l->bytes.len };
	record_add(&l->bytes, RECORD_ENVELOPE, v.letter, buffer_bytes(&packed));
	buffer_free(&digest);
	buffer_free(&packed);
	arena_close(&a);
	return v;
}

static struct arrival
log_letter(struct log *l, const struct receipt *receipt)
{
	return log_letter_of(l, receipt, (uint64_t)l->number << 32 | l->bytes.len, ENVELOPE_APPENDED, CONTENT.len);
}

static bool
promise(struct mailbox *m, struct receipt *r)
{
	bool given = mailbox_promise(m, SEGMENT, r);

	r->flags = FLAG_SEEN;
	r->date = 1500000000;
	r->zone = 90;
	return given;
}

/* The first of a segment waits for the index; then receipts are given. */
static void
first_letter(struct kit *k, struct log *l, struct mailbox *m)
{
	struct receipt r;
	struct arrival v;
	uint32_t uid;
	bool kept;

	HOLDS("not yet", !promise(m, &r));
	v = log_letter(l, NULL);
	log_write(k, l);
	HOLDS("it waits", mailbox_append(m, &v, NULL, &uid, &kept) == 0 && uid == 1 && !kept);
	HOLDS("not before that is durable", !promise(m, &r));
	kit_turns(k);
}

/* `act` in a process that ends at once and tells nobody; then the account is opened by another. */
static void
after_the_end(struct kit *k, void (*act)(struct kit *, struct log *, struct mailbox *))
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct account *a;
		struct mailbox *m;
		struct log l;
		kit_open(k);
		a = kit_take(k, 1);
		m = kit_mailbox(a, "Sent");
		log_begin(&l, SEGMENT);
		first_letter(k, &l, m);
		act(k, &l, m);
		_exit(0);
	}
	HOLDS("the end", waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	kit_open(k);
}

/* Three letters are promised; the index heard of one, and nothing of it is on the disk. */
static void
three_promised(struct kit *k, struct log *l, struct mailbox *m)
{
	for (uint32_t i = 0; i < 3; i++) {
		struct receipt r;
		struct arrival v;
		uint32_t uid;
		bool kept;
		HOLDS("a receipt", promise(m, &r) && r.uid == i + 2);
		v = log_letter(l, &r);
		log_write(k, l);
		if (i == 0)
			HOLDS("kept", mailbox_append(m, &v, &r, &uid, &kept) == 0 && uid == 2 && kept);
	}
}

static void
test_promises_are_kept(void **state)
{
	struct kit k = { 0 };
	struct account *a;
	struct mailbox *m;
	struct mailbox_status status;

	(void)state;
	kit_folder(&k);
	after_the_end(&k, three_promised);
	for (int again = 0; again < 3; again++) {
		a = kit_take(&k, 1);
		m = kit_mailbox(a, "Sent");
		mailbox_status(m, &status);
		HOLDS("all, once", status.messages == 4 && status.uidnext == 5 && status.unseen == 1);
		for (uint32_t i = 0; i < 4; i++) {
			struct arena *arena = arena_open(NULL);
			struct entry e = mailbox_entry(m, i);
			struct message row;
			HOLDS("the uids that were told", e.uid == i + 1);
			HOLDS("modseqs ascend", i == 0 || e.modseq > mailbox_entry(m, i - 1).modseq);
			HOLDS("the row", message_read(a, e.message, arena, &row) == 0 && row.sent_date == 1740830400);
			HOLDS("the date", i == 0 || (row.internal_date == 1500000000 && row.zone == 90));
			arena_close(&arena);
		}
		mailbox_drop(&m);
		account_drop(&a);
		kit_turns(&k);
		kit_close(&k);
		kit_open(&k);
	}
	kit_close(&k);
	kit_remove(&k);
}

static void
torn_behind_one(struct kit *k, struct log *l, struct mailbox *m)
{
	struct receipt r;
	size_t from;

	for (int i = 0; i < 3; i++) {
		from = l->bytes.len;
		HOLDS("a receipt", promise(m, &r));
		(void)log_letter(l, &r);
		if (i == 1)
			l->bytes.at[from + RECORD_HEADER] ^= 1;
	}
	log_write(k, l);
}

static void
refused_one(struct kit *k, struct log *l, struct mailbox *m)
{
	struct receipt r;
	struct arrival v;

	HOLDS("a receipt", promise(m, &r));
	v = log_letter(l, &r);
	log_write(k, l);
	HOLDS("refused", account_refuses(mailbox_account(m), &v.place) == 0);
	kit_turns(k);
}

/* Whoever could write there would say that another's letter is this account's, or more than a letter. */
static void
forged(struct kit *k, struct log *l, struct mailbox *m)
{
	struct receipt r;
	uint64_t here = (uint64_t)SEGMENT << 32;

	HOLDS("a receipt", promise(m, &r));
	(void)log_letter_of(l, &r, (uint64_t)OTHER << 32 | SEGMENT_HEADER, ENVELOPE_APPENDED, CONTENT.len);
	(void)log_letter_of(l, &r, here | 8, ENVELOPE_APPENDED, CONTENT.len);
	(void)log_letter_of(l, &r, here | (l->bytes.len + (1 << 20)), ENVELOPE_APPENDED, CONTENT.len);
	(void)log_letter_of(l, &r, here | l->bytes.len, ENVELOPE_APPENDED, CONTENT.len + 4096);
	(void)log_letter_of(l, &r, here | l->bytes.len, 0, CONTENT.len);
	log_write(k, l);
}

static void
deleted(struct kit *k, struct log *l, struct mailbox *m)
{
	struct receipt r;
	struct account *a = mailbox_account(m);

	HOLDS("a receipt", promise(m, &r));
	(void)log_letter(l, &r);
	log_write(k, l);
	HOLDS("deleted and made again", account_delete(a, "Sent") == 0 && account_create(a, "Sent", USE_NONE) == 0);
	kit_turns(k);
}

static void
one_of_another(struct kit *k, struct log *l, struct mailbox *m)
{
	struct receipt r;

	HOLDS("a receipt", promise(m, &r));
	r.account = 2;
	(void)log_letter(l, &r);
	log_write(k, l);
}

static void
test_what_nobody_was_promised_does_not_come(void **state)
{
	static const struct {
		const char *why;
		void (*act)(struct kit *, struct log *, struct mailbox *);
		uint32_t messages;
	} rows[] = {
		{ "behind a record that is not whole nothing was promised", torn_behind_one, 2 },
		{ "NO was said", refused_one, 1 },
		{ "the mailbox is another one of this name", deleted, 0 },
		{ "somebody else's receipt", one_of_another, 1 },
		{ "a letter that does not lie there, or is not a session's", forged, 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct kit k = { 0 };
		struct account *a;
		struct mailbox *m;

		kit_folder(&k);
		after_the_end(&k, rows[i].act);
		a = kit_take(&k, 1);
		m = kit_mailbox(a, "Sent");
		HOLDS(rows[i].why, mailbox_count(m) == rows[i].messages);
		mailbox_drop(&m);
		account_drop(&a);
		kit_turns(&k);
		kit_close(&k);
		kit_remove(&k);
	}
}

static void
test_what_was_overtaken_waits(void **state)
{
	struct kit k = { 0 };
	struct account *a;
	struct mailbox *m;
	struct mailbox_status status;
	struct log l, other;
	struct receipt r, later;
	struct arrival v, w, x;
	uint32_t uid;
	bool kept;

	(void)state;
	kit_folder(&k);
	kit_open(&k);
	a = kit_take(&k, 1);
	m = kit_mailbox(a, "Sent");
	log_begin(&l, SEGMENT);
	first_letter(&k, &l, m);
	HOLDS("a receipt", promise(m, &r) && r.uid == 2);
	v = log_letter(&l, &r);
	mailbox_status(m, &status);
	HOLDS("nobody is told of a uid that is only promised", status.uidnext == 2);
	w = kit_arrival(&k, 0);
	HOLDS("what comes meanwhile gets another", mailbox_arrive(m, &w, &uid) == 0 && uid == 3);
	HOLDS("overtaken", mailbox_append(m, &v, &r, &uid, &kept) == 0 && uid == 4 && !kept);
	HOLDS("receipts", promise(m, &r) && r.uid == 5 && promise(m, &later) && later.uid == 6);
	v = log_letter(&l, &r);
	x = log_letter(&l, &later);
	HOLDS("the later one first", mailbox_append(m, &x, &later, &uid, &kept) == 0 && uid == 6 && kept);
	HOLDS("the earlier one waits", mailbox_append(m, &v, &r, &uid, &kept) == 0 && uid == 7 && !kept);
	HOLDS("a receipt", promise(m, &r) && r.uid == 8);
	v = log_letter(&l, &r);
	HOLDS("a change", mailbox_flags(m, &(struct uid_set){ &(struct uid_range){ 1, 1 }, 1 }, FLAGS_ADD, FLAG_FLAGGED,
	                                UINT64_MAX, NULL, NULL, NULL) == 0);
	HOLDS("its modseq was overtaken", mailbox_append(m, &v, &r, &uid, &kept) == 0 && uid == 9 && !kept);
	HOLDS("a receipt", promise(m, &r) && r.uid == 10);
	log_write(&k, &l);
	log_begin(&other, OTHER);
	HOLDS("letters go to another segment", !mailbox_promise(m, OTHER, &later));
	x = log_letter(&other, NULL);
	log_write(&k, &other);
	HOLDS("of which the index knows soon", mailbox_append(m, &x, NULL, &uid, &kept) == 0 && uid == 11 && !kept);
	v = log_letter(&l, &r);
	HOLDS("then receipts in the first are not relied on", mailbox_append(m, &v, &r, &uid, &kept) == 0 && !kept);
	kit_turns(&k);
	HOLDS("but in the other", mailbox_promise(m, OTHER, &later) && !mailbox_promise(m, SEGMENT, &r));
	buffer_free(&l.bytes);
	buffer_free(&other.bytes);
	mailbox_drop(&m);
	account_drop(&a);
	kit_turns(&k);
	kit_close(&k);
	kit_remove(&k);
}

UNIT(test_promises_are_kept, test_what_nobody_was_promised_does_not_come, test_what_was_overtaken_waits)
