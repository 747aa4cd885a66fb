/* test-drivers -- what store.h promises, of every kind of mailbox: one table of cases, run on all drivers */
#include "../unit.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "kit.h"
#include "message/envelope.h"
#include "spool/disk.h"
#include "store/inside.h"
#include "store/quota.h"

enum { ACCOUNT = 7, LETTERS_MOST = 40 };

/* An account somewhere, and the letters that came to it. */
struct ground {
	struct kit      kit;
	const char     *driver, *options;
	struct account *account;
	struct arena   *arena;
	uint32_t        letters;
	struct buffer   content[LETTERS_MOST]; /* by subject: "letter 3" is the third */
};

static int told;

static void
barrier(void *ctx, int why)
{
	(void)ctx;
	told++;
	assert_int_equal(why, 0);
}

static void
settle(struct ground *g)
{
	told = 0;
	store_barrier(g->kit.store, barrier, NULL);
	kit_turns(&g->kit);
	assert_int_equal(told, 1);
	kit_turns(&g->kit);
}

static void
enter(struct ground *g)
{
	char location[128];

	kit_open(&g->kit);
	g->account = kit_take(&g->kit, ACCOUNT);
	(void)snprintf(location, sizeof location, "%s:%s/outside%s", g->driver, g->kit.path,
	               g->options != NULL ? g->options : "");
	if (strcmp(g->driver, "log") != 0)
		assert_int_equal(account_locate(g->account, location), 0);
}

static void
leave(struct ground *g)
{
	settle(g);
	account_drop(&g->account);
	kit_close(&g->kit);
}

/* A letter in a segment of its own, as the receiver writes it. */
static struct arrival
letter_make(struct ground *g)
{
	struct buffer   digest = { 0 }, packed = { 0 }, file = { 0 };
	struct envelope e = { .prefix = BYTES("Received: by us\r\n") };
	struct arrival  v;
	uint32_t        segment = 3 + g->letters;
	struct buffer  *content = &g->content[g->letters++];
	char            name[32];
	int             fd;

	e.letter = (uint64_t)segment << 32 | SEGMENT_HEADER;
	buffer_printf(
		content,
		"From: adam@example.org\r\nMessage-ID: <%u@example.org>\r\nSubject: letter %u\r\n\r\n"
		"From here on it is text.\r\n>From elsewhere\r\n.\r\n%*s\r\n",
		g->letters, g->letters, (int)g->letters, "x");
	digest_make(buffer_bytes(content), g->arena, &digest);
	e.digest = buffer_bytes(&digest);
	e.content_len = content->len;
	envelope_pack(&e, &packed);
	segment_title_make(buffer_room(&file, SEGMENT_HEADER), segment, 0, SEGMENT_SMALL);
	buffer_took(&file, SEGMENT_HEADER);
	record_add(&file, RECORD_CONTENT, e.letter, buffer_bytes(content));
	v = kit_arrival(&g->kit, e.letter);
	v.place = (struct letter_place){ segment, SEGMENT_HEADER + RECORD_HEADER, content->len,
		                         segment, file.len };
	v.prefix_len = (uint32_t)e.prefix.len;
	v.size = v.head.len + e.prefix.len + content->len;
	v.internal_date = 1700000000 + g->letters;
	record_add(&file, RECORD_ENVELOPE, e.letter, buffer_bytes(&packed));
	(void)snprintf(name, sizeof name, "%08x.seg", segment);
	fd = openat(g->kit.dir, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(disk_write(fd, file.at, file.len, 0), 0);
	(void)close(fd);
	buffer_free(&digest);
	buffer_free(&packed);
	buffer_free(&file);
	return v;
}

static uint32_t
arrive(struct ground *g, const char *mailbox, uint64_t flags)
{
	struct mailbox *m = kit_mailbox(g->account, mailbox);
	struct arrival  v = letter_make(g);
	uint32_t        uid;

	v.flags = flags;
	assert_int_equal(mailbox_arrive(m, &v, &uid), 0);
	mailbox_drop(&m);
	return uid;
}

/* ---- what readers see ---- */

static void
tell_message(struct ground *g, struct mailbox *m, uint32_t i, struct buffer *out)
{
	struct entry   e = mailbox_entry(m, i);
	struct message row;
	struct digest  digest;
	struct bytes   prefix;
	char          *text;
	unsigned       n;

	assert_int_equal(message_read(g->account, e.message, g->arena, &row), 0);
	assert_int_equal(message_digest(g->account, &row, g->arena, &digest, &prefix), 0);
	assert_int_equal(e.size, row.size);
	text = arena_take(g->arena, (size_t)row.size + 1);
	assert_int_equal(message_bytes(g->account, &row, prefix, 0, text, (size_t)row.size), 0);
	assert_int_equal(sscanf(digest.subject.at, "letter %u", &n), 1);
	HOLDS("what came is what is read",
	      bytes_ends_nocase((struct bytes){ text, (size_t)row.size },
	                        buffer_bytes(&g->content[n - 1])));
	HOLDS("and what we put before it",
	      bytes_starts((struct bytes){ text, (size_t)row.size },
	                   BYTES("Return-Path: <adam@example.org>\r\n")));
	assert_int_equal(row.internal_date, 1700000000 + n);
	buffer_printf(out, " %u:%u", e.uid, n);
	for (int bit = 0; bit < KEYWORD_FIRST; bit++)
		if (e.flags & (uint64_t)1 << bit)
			buffer_add_char(out, "SAFDT"[bit]);
	for (int k = KEYWORD_FIRST; mailbox_keyword_name(m, k) != NULL; k++)
		if (mailbox_flags_have(m, e.flags, k))
			buffer_printf(out, "+%s", mailbox_keyword_name(m, k));
}

/* "uid:letter" and its flags, for each message. */
static void
expect(struct ground *g, const char *why, const char *mailbox, const char *wanted)
{
	struct mailbox *m = kit_mailbox(g->account, mailbox);
	struct buffer   got = { 0 };

	for (uint32_t i = 0; i < mailbox_count(m); i++)
		tell_message(g, m, i, &got);
	SAME(why, bytes_trim(buffer_bytes(&got)), bytes_of(wanted));
	buffer_free(&got);
	mailbox_drop(&m);
}

/* All there is, with everything that must outlive us. */
static void
tell_all(struct ground *g, struct buffer *out)
{
	struct mailbox_info *info;
	size_t               n = account_list(g->account, g->arena, &info);

	for (size_t i = 0; i < n; i++) {
		struct mailbox_status s;
		struct mailbox       *m;
		buffer_printf(out, "%s %d %d %d", info[i].name, info[i].exists, info[i].subscribed,
		              info[i].use);
		if (info[i].exists) {
			assert_int_equal(account_status(g->account, info[i].name, &s), 0);
			buffer_printf(out, " %u %u %llu %llu", s.uidvalidity, s.uidnext,
			              (unsigned long long)s.highest_modseq,
			              (unsigned long long)s.size);
			m = kit_mailbox(g->account, info[i].name);
			for (uint32_t k = 0; k < mailbox_count(m); k++) {
				tell_message(g, m, k, out);
				buffer_printf(out, "@%llu",
				              (unsigned long long)mailbox_entry(m, k).modseq);
			}
			mailbox_drop(&m);
		}
		buffer_add_char(out, '\n');
	}
}

static struct uid_set
uids(uint32_t first, uint32_t last)
{
	static struct uid_range r[8];
	static size_t           next;
	struct uid_range       *mine = &r[next++ % 8];

	*mine = (struct uid_range){ first, last };
	return (struct uid_set){ mine, 1 };
}

/* ---- the cases ---- */

static void
arrivals(struct ground *g)
{
	struct mailbox *m = kit_mailbox(g->account, "INBOX");
	struct arrival  v = letter_make(g);
	uint32_t        uid;

	assert_int_equal(mailbox_arrive(m, &v, &uid), 0);
	assert_int_equal(uid, 1);
	HOLDS("once only", mailbox_arrive(m, &v, &uid) == EEXIST && uid == 0);
	assert_int_equal(arrive(g, "INBOX", FLAG_FLAGGED), 2);
	assert_int_equal(arrive(g, "Archive", FLAG_SEEN | FLAG_DRAFT), 1);
	expect(g, "at once", "INBOX", "1:1 2:2F");
	settle(g);
	expect(g, "and when it is safe", "INBOX", "1:1 2:2F");
	expect(g, "elsewhere", "Archive", "1:3ST");
	HOLDS("once only, still", mailbox_arrive(m, &v, &uid) == EEXIST);
	mailbox_drop(&m);
}

static void
flags(struct ground *g)
{
	struct mailbox *m = kit_mailbox(g->account, "INBOX");
	struct uid_set  all = uids(1, 9), one = uids(2, 2), modified = { 0 };
	uint64_t        before;

	for (int i = 0; i < 3; i++)
		(void)arrive(g, "INBOX", 0);
	settle(g);
	assert_int_equal(mailbox_flags(m, &all, FLAGS_ADD, FLAG_SEEN | FLAG_ANSWERED, UINT64_MAX,
	                               NULL, NULL, NULL),
	                 0);
	assert_int_equal(mailbox_flags(m, &one, FLAGS_REMOVE, FLAG_SEEN, UINT64_MAX, NULL, NULL,
	                               NULL),
	                 0);
	expect(g, "rfc9051:6.4.6 added and removed", "INBOX", "1:1SA 2:2A 3:3SA");
	before = mailbox_entry(m, 0).modseq;
	settle(g);
	assert_int_equal(mailbox_flags(m, &all, FLAGS_SET, FLAG_DELETED, before, g->arena,
	                               &modified, NULL),
	                 0);
	HOLDS("rfc7162:3.1.3 what changed later is left alone",
	      modified.count == 1 && modified.range[0].first == 2 && modified.range[0].last == 2);
	expect(g, "rfc7162:3.1.3", "INBOX", "1:1D 2:2A 3:3D");
	mailbox_drop(&m);
}

static void
keywords(struct ground *g)
{
	struct mailbox *m = kit_mailbox(g->account, "INBOX");
	struct uid_set  first = uids(1, 1), both = uids(1, 2);
	int             fwd, label;

	(void)arrive(g, "INBOX", FLAG_SEEN);
	(void)arrive(g, "INBOX", 0);
	fwd = mailbox_keyword(m, BYTES("$Forwarded"), true);
	label = mailbox_keyword(m, BYTES("Work"), true);
	assert_int_equal(mailbox_flags(m, &both, FLAGS_ADD, mailbox_flags_with(m, 0, fwd),
	                               UINT64_MAX, NULL, NULL, NULL),
	                 0);
	assert_int_equal(mailbox_flags(m, &first, FLAGS_ADD, mailbox_flags_with(m, 0, label),
	                               UINT64_MAX, NULL, NULL, NULL),
	                 0);
	expect(g, "by name", "INBOX", "1:1S+$Forwarded+Work 2:2+$Forwarded");
	settle(g);
	HOLDS("in any case", mailbox_keyword(m, BYTES("WORK"), false) == label);
	HOLDS("none is made", mailbox_keyword(m, BYTES("other"), false) == -1);
	mailbox_drop(&m);
}

static void
expunges(struct ground *g)
{
	struct mailbox *m = kit_mailbox(g->account, "INBOX");
	struct uid_set  gone = { 0 }, some = uids(2, 3), last = uids(4, 4);
	uint64_t        since;

	for (int i = 0; i < 4; i++)
		(void)arrive(g, "INBOX", i == 0 || i == 1 ? FLAG_DELETED : 0);
	settle(g);
	since = account_modseq(g->account);
	assert_int_equal(mailbox_expunge(m, &some, false, g->arena, &gone, NULL), 0);
	HOLDS("rfc4315:2.1 those with \\Deleted",
	      gone.count == 1 && gone.range[0].first == 2 && gone.range[0].last == 2);
	assert_int_equal(mailbox_expunge(m, &last, true, g->arena, &gone, NULL), 0);
	settle(g);
	expect(g, "the others stay", "INBOX", "1:1D 3:3");
	HOLDS("rfc7162:3.2.6", mailbox_vanished(m, since, g->arena, &gone));
	HOLDS("rfc7162:3.2.6 what vanished since",
	      gone.count == 2 && gone.range[0].first == 2 && gone.range[1].first == 4);
	assert_int_equal(arrive(g, "INBOX", 0), 5);
	expect(g, "rfc9051:2.3.1.1 no uid is given twice", "INBOX", "1:1D 3:3 5:5");
	mailbox_drop(&m);
}

static void
copies(struct ground *g)
{
	struct mailbox  *from = kit_mailbox(g->account, "INBOX"), *to;
	struct uid_set   set = uids(2, 3), source;
	struct uid_range made;
	struct message   one, other;
	int              work;

	assert_int_equal(account_create(g->account, "Kept", USE_NONE), 0);
	to = kit_mailbox(g->account, "Kept");
	(void)mailbox_keyword(to, BYTES("first there"), true);
	for (int i = 0; i < 3; i++)
		(void)arrive(g, "INBOX", i == 2 ? FLAG_SEEN : 0);
	work = mailbox_keyword(from, BYTES("Work"), true);
	assert_int_equal(mailbox_flags(from, &set, FLAGS_ADD, mailbox_flags_with(from, 0, work),
	                               UINT64_MAX, NULL, NULL, NULL),
	                 0);
	assert_int_equal(mailbox_copy(from, &set, to, false, g->arena, &source, &made, NULL), 0);
	HOLDS("rfc4315:3 which they were", source.count > 0 && source.range[0].first == 2);
	HOLDS("rfc4315:3 and are", made.first == 1 && made.last == 2);
	settle(g);
	expect(g, "flags go along", "Kept", "1:2+Work 2:3S+Work");
	expect(g, "they stay", "INBOX", "1:1 2:2+Work 3:3S+Work");
	assert_int_equal(message_read(g->account, mailbox_entry(from, 1).message, g->arena, &one),
	                 0);
	assert_int_equal(message_read(g->account, mailbox_entry(to, 0).message, g->arena, &other),
	                 0);
	HOLDS("rfc8474:5.1 EMAILID", one.email == other.email && one.mark == other.mark);
	assert_int_equal(mailbox_copy(from, &set, from, false, g->arena, &source, &made, NULL), 0);
	settle(g);
	expect(g, "into itself", "INBOX", "1:1 2:2+Work 3:3S+Work 4:2+Work 5:3S+Work");
	mailbox_drop(&from);
	mailbox_drop(&to);
}

static void
moves(struct ground *g)
{
	struct mailbox *from = kit_mailbox(g->account, "INBOX"),
		       *to = kit_mailbox(g->account, "Trash");
	struct uid_set   set = uids(1, 2), source;
	struct uid_range made;

	for (int i = 0; i < 3; i++)
		(void)arrive(g, "INBOX", FLAG_FLAGGED);
	settle(g);
	assert_int_equal(mailbox_copy(from, &set, to, true, g->arena, &source, &made, NULL), 0);
	expect(g, "at once", "Trash", "1:1F 2:2F");
	expect(g, "at once", "INBOX", "3:3F");
	settle(g);
	expect(g, "for good", "Trash", "1:1F 2:2F");
	expect(g, "for good", "INBOX", "3:3F");
	mailbox_drop(&from);
	mailbox_drop(&to);
}

static void
renames(struct ground *g)
{
	struct mailbox_status before, after;

	assert_int_equal(account_create(g->account, "Work", USE_NONE), 0);
	HOLDS("it is there", account_create(g->account, "Work", USE_NONE) == EEXIST);
	(void)arrive(g, "Work", FLAG_SEEN);
	settle(g);
	assert_int_equal(account_status(g->account, "Work", &before), 0);
	assert_int_equal(account_rename(g->account, "Work",
	                                "Arbeit & \xd0\xa0\xd0\xb0\xd0\xb1.ota"),
	                 0);
	settle(g);
	expect(g, "it goes along", "Arbeit & \xd0\xa0\xd0\xb0\xd0\xb1.ota", "1:1S");
	assert_int_equal(account_status(g->account, "Arbeit & \xd0\xa0\xd0\xb0\xd0\xb1.ota",
	                                &after),
	                 0);
	HOLDS("rfc8474:4.1 it is the same",
	      before.id == after.id && before.uidvalidity == after.uidvalidity);
	HOLDS("no more", account_status(g->account, "Work", &after) == ENOENT);
	(void)arrive(g, "INBOX", 0);
	assert_int_equal(account_rename(g->account, "INBOX", "Old"), 0);
	settle(g);
	expect(g, "rfc9051:6.3.6 INBOX gives its messages away", "Old", "1:2");
	expect(g, "rfc9051:6.3.6 and stays", "INBOX", "");
}

static void
deletes(struct ground *g)
{
	struct mailbox_status before, after;
	struct mailbox       *m;

	assert_int_equal(account_create(g->account, "Work", USE_NONE), 0);
	(void)arrive(g, "Work", 0);
	settle(g);
	assert_int_equal(account_status(g->account, "Work", &before), 0);
	m = kit_mailbox(g->account, "Work");
	assert_int_equal(account_delete(g->account, "Work"), 0);
	HOLDS("who has it open hears of it", mailbox_gone(m));
	mailbox_drop(&m);
	HOLDS("no more", account_delete(g->account, "Work") == ENOENT);
	HOLDS("never INBOX", account_delete(g->account, "INBOX") == EINVAL);
	settle(g);
	assert_int_equal(account_create(g->account, "Work", USE_NONE), 0);
	assert_int_equal(account_status(g->account, "Work", &after), 0);
	HOLDS("rfc9051:6.3.5 another one",
	      after.id != before.id && after.uidvalidity > before.uidvalidity);
	expect(g, "and empty", "Work", "");
}

static void
subscriptions(struct ground *g)
{
	assert_int_equal(account_create(g->account, "Work", USE_NONE), 0);
	assert_int_equal(account_subscribe(g->account, "Work", true), 0);
	assert_int_equal(account_subscribe(g->account, "nowhere", true), 0);
	assert_int_equal(account_subscribe(g->account, "Sent", false), 0);
	settle(g);
	HOLDS("rfc9051:6.3.7",
	      account_subscribes(g->account, "Work") && account_subscribes(g->account, "nowhere"));
	HOLDS("rfc9051:6.3.8", !account_subscribes(g->account, "Sent"));
}

static void
history(struct ground *g)
{
	struct mailbox *m = kit_mailbox(g->account, "INBOX");
	struct uid_set  changed, second = uids(2, 2);
	uint64_t        since;

	for (int i = 0; i < 3; i++)
		(void)arrive(g, "INBOX", 0);
	settle(g);
	since = account_modseq(g->account);
	assert_int_equal(mailbox_flags(m, &second, FLAGS_ADD, FLAG_SEEN, UINT64_MAX, NULL, NULL,
	                               NULL),
	                 0);
	(void)arrive(g, "INBOX", 0);
	settle(g);
	mailbox_changed(m, since, g->arena, &changed);
	HOLDS("rfc7162:3.1.4 what changed and what came",
	      changed.count == 2 && changed.range[0].first == 2 && changed.range[0].last == 2 &&
	              changed.range[1].last == 4);
	HOLDS("rfc7162:3.1 it grows",
	      mailbox_entry(m, 1).modseq > since && mailbox_entry(m, 3).modseq > since);
	HOLDS("what did not change", mailbox_entry(m, 0).modseq <= since);
	mailbox_drop(&m);
}

static void
quotas(struct ground *g)
{
	struct mailbox *m = kit_mailbox(g->account, "INBOX");
	struct uid_set  one = uids(1, 1), gone;
	struct quota    q;
	uint64_t        both;

	(void)arrive(g, "INBOX", 0);
	(void)arrive(g, "INBOX", 0);
	settle(g);
	assert_int_equal(account_quota(g->account, &q), 0);
	both = (uint64_t)mailbox_entry(m, 0).size + mailbox_entry(m, 1).size;
	assert_int_equal(q.messages, 2);
	assert_int_equal(q.bytes, both);
	both -= mailbox_entry(m, 0).size;
	assert_int_equal(mailbox_expunge(m, &one, true, g->arena, &gone, NULL), 0);
	settle(g);
	assert_int_equal(account_quota(g->account, &q), 0);
	assert_int_equal(q.messages, 1);
	assert_int_equal(q.bytes, both);
	mailbox_drop(&m);
}

static struct buffer heard;

static void
hear(void *ctx, enum mailbox_news what, const struct uid_set *set, const struct mailbox_watch *by)
{
	static const char *const names[] = { "arrived", "flags", "expunged", "lost", "renamed" };

	(void)ctx;
	(void)by;
	buffer_printf(&heard, "%s %u ", names[what],
	              set != NULL && set->count > 0 ? set->range[0].first : 0);
}

static void
notices(struct ground *g)
{
	struct mailbox       *m = kit_mailbox(g->account, "INBOX");
	struct mailbox_watch *w = mailbox_watch(m, hear, NULL);
	struct uid_set        one = uids(1, 1), gone;

	(void)arrive(g, "INBOX", 0);
	assert_int_equal(mailbox_flags(m, &one, FLAGS_ADD, FLAG_SEEN, UINT64_MAX, NULL, NULL, NULL),
	                 0);
	settle(g);
	assert_int_equal(mailbox_flags(m, &one, FLAGS_ADD, FLAG_SEEN, UINT64_MAX, NULL, NULL, NULL),
	                 0);
	(void)mailbox_sync(m, NULL, NULL);
	assert_int_equal(mailbox_expunge(m, &one, true, g->arena, &gone, NULL), 0);
	settle(g);
	(void)mailbox_sync(m, NULL, NULL);
	SAME("each once, and nothing of our own comes back", buffer_bytes(&heard),
	     BYTES("arrived 1 flags 1 expunged 1 "));
	buffer_free(&heard);
	mailbox_unwatch(&w);
	mailbox_drop(&m);
}

/* clang-format off */
static const struct { const char *name; void (*run)(struct ground *); } cases[] = {
	{ "arrivals", arrivals }, { "flags", flags }, { "keywords", keywords }, { "expunges", expunges }, { "copies", copies },
	{ "moves", moves }, { "renames", renames }, { "deletes", deletes }, { "subscriptions", subscriptions },
	{ "history", history }, { "quotas", quotas }, { "notices", notices },
};
/* clang-format on */

/* Each case, and then: who comes after us finds all as it was. */
static void
run_all(const char *driver, const char *options)
{
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ground g = { .driver = driver, .options = options };
		struct buffer before = { 0 }, after = { 0 };
		print_message("%s: %s\n", driver, cases[i].name);
		g.arena = arena_open(NULL);
		kit_folder(&g.kit);
		enter(&g);
		cases[i].run(&g);
		settle(&g);
		tell_all(&g, &before);
		leave(&g);
		enter(&g);
		tell_all(&g, &after);
		SAME(cases[i].name, buffer_bytes(&after), buffer_bytes(&before));
		leave(&g);
		for (uint32_t k = 0; k < g.letters; k++)
			buffer_free(&g.content[k]);
		buffer_free(&before);
		buffer_free(&after);
		arena_close(&g.arena);
		kit_remove(&g.kit);
	}
}

static void
test_the_log(void **state)
{
	(void)state;
	run_all("log", NULL);
}

static void
test_maildir(void **state)
{
	(void)state;
	run_all("maildir", NULL);
}

static void
test_maildir_in_directories(void **state)
{
	(void)state;
	run_all("maildir", ":LAYOUT=fs");
}

static void
test_mbox(void **state)
{
	(void)state;
	run_all("mbox", NULL);
}

/* Out of new into tmp again, where it was when its row was written. */
static void
take_back(struct ground *g)
{
	char           from[200], to[200];
	struct dirent *e;
	DIR           *d;
	unsigned       moved = 0;

	(void)snprintf(from, sizeof from, "%s/outside/new", g->kit.path);
	d = opendir(from);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(from, sizeof from, "%.60s/outside/new/%.120s", g->kit.path,
		               e->d_name);
		(void)snprintf(to, sizeof to, "%.60s/outside/tmp/%.120s", g->kit.path, e->d_name);
		assert_int_equal(rename(from, to), 0);
		moved++;
	}
	(void)closedir(d);
	assert_int_equal(moved, 1);
}

/* A keeper died between the row of a letter and the letter's way out of tmp: the queue, which was told nothing, brings
   it again. */
static void
test_stranded_in_tmp(void **state)
{
	struct ground   g = { .driver = "maildir" };
	struct mailbox *m;
	struct arrival  v;
	uint32_t        uid;

	(void)state;
	g.arena = arena_open(NULL);
	kit_folder(&g.kit);
	enter(&g);
	m = kit_mailbox(g.account, "INBOX");
	v = letter_make(&g);
	assert_int_equal(mailbox_arrive(m, &v, &uid), 0);
	assert_int_equal(uid, 1);
	mailbox_drop(&m);
	leave(&g);
	take_back(&g);
	enter(&g);
	m = kit_mailbox(g.account, "INBOX");
	HOLDS("it is new to us", mailbox_arrive(m, &v, &uid) == 0 && uid == 2);
	HOLDS("and known then", mailbox_arrive(m, &v, &uid) == EEXIST);
	mailbox_drop(&m);
	settle(&g);
	expect(&g, "once, and readable", "INBOX", "2:1");
	leave(&g);
	enter(&g);
	expect(&g, "by whoever comes next, too", "INBOX", "2:1");
	leave(&g);
	buffer_free(&g.content[0]);
	arena_close(&g.arena);
	kit_remove(&g.kit);
}

UNIT(test_the_log, test_maildir, test_maildir_in_directories, test_mbox, test_stranded_in_tmp)
