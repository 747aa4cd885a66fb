/* care.c -- history forgotten in its time, letters that moved, and the check (store.h) */
#include "store/foreign.h"

#include "base/clock.h"
#include "base/journal.h"
#include "message/envelope.h"
#include "spool/disk.h"
#include "store/digests.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A message's row outlives its last mention by an hour at the least: the queue may bring its letter again
   after a crash, and must hear that it came before. */
enum { ROW_LEAST_S = 3600 };

/* All that is mentioned is read for it, in one turn: with more messages than so many not more often than so. */
enum { ROWS_MANY = 200 * 1000, ROWS_AGAIN_MS = 3600 * 1000 };

/* Messages in the snapshots of one turn, where there is more than one. */
enum { SNAPSHOTS_A_TURN = 50 * 1000 };

/* ---- history ---- */

/* The snapshots of a mailbox, newest first. */
struct shot {
	uint64_t modseq;
	int64_t  time;
};
enum { SHOTS_MOST = 32 };

static int
list_shots(struct mailbox *m, struct shot shot[static SHOTS_MOST], size_t *count)
{
	struct index *x = m->account->index;
	sqlite3_stmt *s = index_ready(x, SNAPSHOT_LIST);
	int           more;

	*count = 0;
	if (s == NULL)
		return index_why(x);
	(void)sqlite3_bind_int64(s, 1, (int64_t)m->id);
	while ((more = index_row(x, s)) == 1 && *count < SHOTS_MOST)
		shot[(*count)++] = (struct shot){ (uint64_t)sqlite3_column_int64(s, 0),
			                          sqlite3_column_int64(s, 1) };
	(void)sqlite3_reset(s);
	return more < 0 ? index_why(x) : 0;
}

static int
run2(struct index *x, enum statement which, int64_t first, int64_t second)
{
	sqlite3_stmt *s = index_ready(x, which);

	if (s == NULL)
		return index_why(x);
	(void)sqlite3_bind_int64(s, 1, first);
	if (sqlite3_bind_parameter_count(s) > 1)
		(void)sqlite3_bind_int64(s, 2, second);
	return index_do(x, s);
}

/*
 * Which snapshots stay: the newest, the one before it (should the newest be damaged), and the newest that is
 * older than the history to be kept: facts before that one, or before the second, whichever is older, go.
 */
static int
forget_facts(struct mailbox *m, int64_t cut, bool *forgot)
{
	struct index *x = m->account->index;
	struct shot   shot[SHOTS_MOST];
	size_t        count, base = 0;
	int           why;

	if ((why = list_shots(m, shot, &count)) != 0 || count < 2)
		return why;
	for (base = 1; base < count && shot[base].time > cut; base++)
		;
	for (size_t i = 2; i < count && why == 0; i++)
		if (i != base)
			why = run2(x, SNAPSHOT_DELETE, (int64_t)m->id, (int64_t)shot[i].modseq);
	if (why != 0 || base == count || shot[base].modseq <= m->forgotten)
		return why;
	m->forgotten = shot[base].modseq;
	*forgot = true;
	why = run2(x, MAILBOX_FORGOT, (int64_t)m->id, (int64_t)m->forgotten);
	return why == 0 ? run2(x, FACT_FORGET, (int64_t)m->id, (int64_t)m->forgotten) : why;
}

/* The time of the oldest fact since the last snapshot is old enough to be forgotten once there is a newer one.
   `wrote` gets the messages of a snapshot. */
static int
sweep_mailbox(struct mailbox *m, int64_t cut, bool *forgot, uint32_t *wrote)
{
	struct index *x = m->account->index;
	sqlite3_stmt *s;
	uint64_t      last = 0;
	int64_t       facts = 0;
	int           why, more;

	if ((s = index_ready(x, SNAPSHOT_LAST)) == NULL)
		return index_why(x);
	(void)sqlite3_bind_int64(s, 1, (int64_t)m->id);
	if ((more = index_row(x, s)) == 1)
		last = (uint64_t)sqlite3_column_int64(s, 0);
	(void)sqlite3_reset(s);
	if (more < 0 || (s = index_ready(x, FACT_SIZE)) == NULL)
		return index_why(x);
	(void)sqlite3_bind_int64(s, 1, (int64_t)m->id);
	(void)sqlite3_bind_int64(s, 2, (int64_t)last);
	if (index_row(x, s) == 1)
		facts = sqlite3_column_int64(s, 0) +
		        sqlite3_column_int64(s, 1) / FACT_BYTES_LIKE_ONE;
	(void)sqlite3_reset(s);
	if (facts > FACTS_WORTH_A_SNAPSHOT) {
		if ((why = mailbox_load(m)) != 0)
			return why == EBADMSG ? 0 : why;
		if ((why = account_change(m->account)) != 0 || (why = mailbox_snapshot(m)) != 0)
			return why;
		*wrote += m->rows.count;
	}
	if (m->account->damaged)
		return 0;
	return (why = account_change(m->account)) != 0 ? why : forget_facts(m, cut, forgot);
}

/* ---- rows nobody mentions ---- */

struct ids {
	uint64_t *id;
	size_t    count, room;
};

static void
ids_add(struct ids *l, const struct rows *r)
{
	if (r->count > l->room - l->count) {
		l->room = l->count + r->count + l->room / 2 + 64;
		l->id = memory_resize(l->id, l->room * sizeof *l->id);
	}
	if (r->count > 0)
		memcpy(l->id + l->count, r->message, r->count * sizeof *l->id);
	l->count += r->count;
}

/* By the digits of their numbers, for they are millions and everybody waits; digits that all have in common cost
   nothing. */
static void
ids_sort(struct ids *l)
{
	enum { DIGIT = 16, DIGITS = 1 << DIGIT };
	uint64_t *from = l->id, *to = memory_take((l->count + 1) * sizeof *to), *other;
	size_t   *place = memory_take(DIGITS * sizeof *place);

	for (unsigned shift = 0; shift < 64; shift += DIGIT) {
		size_t sum = 0;
		memset(place, 0, DIGITS * sizeof *place);
		for (size_t i = 0; i < l->count; i++)
			place[from[i] >> shift & (DIGITS - 1)]++;
		if (l->count == 0 || place[from[0] >> shift & (DIGITS - 1)] == l->count)
			continue;
		for (size_t d = 0; d < DIGITS; d++) {
			size_t n = place[d];
			place[d] = sum;
			sum += n;
		}
		for (size_t i = 0; i < l->count; i++)
			to[place[from[i] >> shift & (DIGITS - 1)]++] = from[i];
		other = from;
		from = to;
		to = other;
	}
	l->id = from;
	l->room = l->count;
	memory_free(to);
	memory_free(place);
}

/* Every message that a mailbox, or a fact not yet forgotten, mentions.  All mailboxes are loaded for it. */
static int
mentioned(struct account *a, struct ids *l)
{
	struct arena *scratch;
	sqlite3_stmt *s;
	int           why, more;

	for (struct mailbox *m = a->mailboxes; m != NULL; m = m->next) {
		bool was = m->loaded;
		if (m->gone)
			continue;
		if ((why = mailbox_load(m)) != 0)
			return why;
		ids_add(l, &m->rows);
		if (!was && m->users == 0)
			mailbox_unload(m);
	}
	if ((s = index_ready(a->index, FACT_ALL)) == NULL)
		return index_why(a->index);
	scratch = arena_open(NULL);
	while ((more = index_row(a->index, s)) == 1) {
		struct fact_key key = {
			.mailbox = (uint64_t)sqlite3_column_int64(s, 0),
			.modseq = (uint64_t)sqlite3_column_int64(s, 1),
			.kind = (enum fact_kind)sqlite3_column_int(s, 2),
			.time = sqlite3_column_int64(s, 3),
		};
		struct rows rows = { 0 };
		struct fact f;
		bool        right;
		if (key.kind != FACT_ARRIVED && key.kind != FACT_ARRIVED_NARROW)
			continue;
		arena_clear(scratch);
		right = fact_read(&key, index_blob(s, 4), scratch, &f, &rows);
		ids_add(l, &rows);
		rows_free(&rows);
		if (!right) {
			a->damaged = true;
			break;
		}
	}
	(void)sqlite3_reset(s);
	arena_close(&scratch);
	return more < 0 ? index_why(a->index) : a->damaged ? EBADMSG : 0;
}

/* Rows mentioned nowhere and older than `before` go. */
static int
drop_row(struct account *a, uint64_t message)
{
	int why = run2(a->index, MESSAGE_DELETE, (int64_t)message, 0);

	return why == 0 && is_foreign(message) ? run2(a->index, FILE_DELETE, (int64_t)message, 0)
	                                       : why;
}

static bool
conversion_begun(struct account *a)
{
	sqlite3_stmt *s = index_ready(a->index, CONVERTED_ALL);
	bool          begun = s == NULL || index_row(a->index, s) == 1;

	if (s != NULL)
		(void)sqlite3_reset(s);
	return begun;
}

static int
drop_rows(struct account *a, int64_t before)
{
	struct ids    living = { 0 }, dead = { 0 };
	struct rows   one = { .count = 1 };
	uint64_t      id, rows = 0;
	sqlite3_stmt *s;
	size_t        i = 0;
	int           why, more = 0;

	if (conversion_begun(a))
		return 0; /* rows it has made are mentioned nowhere yet */
	if ((why = mentioned(a, &living)) != 0) {
		memory_free(living.id);
		return why;
	}
	if (living.count > ROWS_MANY)
		a->rows_again_ms = clock_patient_ms() + ROWS_AGAIN_MS;
	ids_sort(&living);
	one.message = &id;
	if ((s = index_ready(a->index, MESSAGE_AFTER)) == NULL) {
		why = index_why(a->index);
	} else {
		(void)sqlite3_bind_int64(s, 1, 0);
		while ((more = index_row(a->index, s)) == 1) {
			id = (uint64_t)sqlite3_column_int64(s, 0);
			rows++;
			while (i < living.count && living.id[i] < id)
				i++;
			if ((i == living.count || living.id[i] != id) &&
			    sqlite3_column_int64(s, 1) < before)
				ids_add(&dead, &one);
		}
		if (more < 0)
			why = index_why(a->index);
	}
	for (i = 0; i < dead.count && why == 0; i++)
		why = drop_row(a, dead.id[i]);
	if (why == 0)
		digests_left(a, rows - dead.count);
	memory_free(living.id);
	memory_free(dead.id);
	return why;
}

/* Facts and snapshots of mailboxes that were deleted long ago. */
static int
drop_deleted(struct account *a, int64_t cut, bool *forgot)
{
	uint64_t      id[64];
	size_t        count = 0;
	sqlite3_stmt *s = index_ready(a->index, FACT_MAILBOXES);
	int           why = 0, more;

	if (s == NULL)
		return index_why(a->index);
	while ((more = index_row(a->index, s)) == 1 && count < COUNT(id))
		id[count++] = (uint64_t)sqlite3_column_int64(s, 0);
	(void)sqlite3_reset(s);
	if (more < 0)
		return index_why(a->index);
	for (size_t i = 0; i < count && why == 0; i++) {
		why = run2(a->index, FACT_DROP, (int64_t)id[i], cut);
		if (why == 0 && index_changed(a->index))
			*forgot = true;
		if (why == 0)
			why = run2(a->index, SNAPSHOT_DROP, (int64_t)id[i], 0);
	}
	return why == 0 ? run2(a->index, FACT_DROP_OLD, cut, 0) : why;
}

/* A mailbox, and what nobody looks at is let go of. */
static int
sweep_one(struct mailbox *m, int64_t cut, uint32_t *wrote)
{
	struct account *a = m->account;
	int             why = sweep_mailbox(m, cut, &a->sweep_forgot, wrote);

	if (why == 0 && m->users == 0 && m->loaded && a->users == 0) {
		why = tally_keep(m);
		mailbox_unload(m);
	}
	return why;
}

/* What comes when all mailboxes had their turn. */
static int
sweep_rest(struct account *a, int64_t now, int64_t keep)
{
	int why = 0;

	if (a->damaged)
		return 0;
	why = drop_deleted(a, now - keep, &a->sweep_forgot);
	if (why == 0 && a->sweep_forgot && clock_patient_ms() >= a->rows_again_ms) {
		a->sweep_forgot = false;
		why = drop_rows(a, now - (keep > ROW_LEAST_S ? keep : ROW_LEAST_S));
		if (why == EBADMSG)
			why = 0; /* said already; nothing is forgotten */
	}
	return why;
}

/* Everybody whose mail this keeper has waits meanwhile: the mailboxes whose snapshots are worth a turn get
   one each. */
static int
sweep_mailboxes(struct account *a, int64_t cut, bool *all)
{
	uint32_t wrote = 0;
	int      why = 0;

	for (struct mailbox *m = a->mailboxes; m != NULL && why == 0; m = m->next) {
		if (m->gone || m->swept)
			continue;
		if (wrote > 0 && wrote + mailbox_count(m) > SNAPSHOTS_A_TURN) {
			*all = false;
			break;
		}
		m->swept = true;
		why = sweep_one(m, cut, &wrote);
	}
	return why;
}

bool
account_sweep(struct account *a)
{
	int64_t now = clock_wall(), keep = a->store->history_ms / 1000;
	bool    all = true;
	int     why;

	if ((why = account_change(a)) != 0) {
		a->sweeping = false;
		return true;
	}
	if (!a->sweeping)
		for (struct mailbox *m = a->mailboxes; m != NULL; m = m->next)
			m->swept = false;
	if ((why = account_flush(a)) == 0)
		why = account_meta_put(a, "modseq", a->modseq);
	if (why == 0)
		why = sweep_mailboxes(a, now - keep, &all);
	if (why == 0 && all)
		why = sweep_rest(a, now, keep);
	a->sweeping = why == 0 && !all;
	if (why != 0)
		(void)account_fail(a, why);
	return true;
}

/* ---- letters that moved ---- */

/* Each account directory of ours: XX/ID; without a store, of all. */
static int
each_account(int accounts, const struct store *s, int (*each)(void *ctx, uint64_t id), void *ctx)
{
	int why = 0;

	for (unsigned shelf = 0; shelf < 256 && why == 0; shelf++) {
		char           name[8];
		struct dirent *e;
		DIR           *d;
		int            fd;

		(void)snprintf(name, sizeof name, "%02x", shelf);
		if ((fd = openat(accounts, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
			if (errno != ENOENT)
				why = errno;
			continue;
		}
		if ((d = fdopendir(fd)) == NULL) {
			why = errno;
			(void)close(fd);
			continue;
		}
		while ((e = readdir(d)) != NULL && why == 0) {
			uint64_t id;
			if (bytes_number(bytes_of(e->d_name), &id) && (id & 0xff) == shelf &&
			    (s == NULL || s->needs.ours == NULL || s->needs.ours(s->ctx, id)))
				why = each(ctx, id);
		}
		(void)closedir(d);
	}
	return why;
}

struct referring {
	struct store *store;
	uint32_t      segment;
	void (*each)(void *ctx, uint64_t account, uint64_t letter, const struct letter_place *);
	void *ctx;
};

static int
refers_account(void *ctx, uint64_t id)
{
	struct referring *r = ctx;
	struct ids        found = { 0 };
	struct arena     *scratch;
	struct rows       one = { .count = 1 };
	uint64_t          letter;
	sqlite3_stmt     *s;
	int               why, more = 0;
	struct account   *a = account_take(r->store, id, &why);

	/* A letter of an account that cannot be read must not be removed: the whole question fails. */
	if (a == NULL)
		return why;
	one.message = &letter;
	if ((s = index_ready(a->index, MESSAGE_REFERS)) == NULL)
		more = -1;
	if (s != NULL)
		(void)sqlite3_bind_int64(s, 1, r->segment);
	while (s != NULL && (more = index_row(a->index, s)) == 1) {
		letter = (uint64_t)sqlite3_column_int64(s, 0);
		ids_add(&found, &one);
	}
	why = more < 0 ? index_why(a->index) : 0;
	scratch = arena_open(NULL);
	for (size_t i = 0; i < found.count && why == 0; i++) {
		struct message m;
		arena_clear(scratch);
		if ((why = message_read(a, found.id[i], scratch, &m)) != 0)
			break;
		if (m.place.content_segment == r->segment || m.place.envelope_segment == r->segment)
			r->each(r->ctx, id, m.id, &m.place);
	}
	arena_close(&scratch);
	memory_free(found.id);
	account_drop(&a);
	return why;
}

int
store_refers(struct store *s, uint32_t segment,
             void (*each)(void *ctx, uint64_t account, uint64_t letter,
                          const struct letter_place *),
             void *ctx)
{
	struct referring r = { s, segment, each, ctx };

	return each_account(s->accounts, s, refers_account, &r);
}

struct moving {
	struct store              *store;
	const uint64_t            *letter;
	const struct letter_place *to;
	size_t                     count;
};

static int
move_account(void *ctx, uint64_t id)
{
	struct moving  *v = ctx;
	int             why;
	struct account *a = account_take(v->store, id, &why);

	if (a == NULL)
		return why;
	why = account_change(a);
	for (size_t i = 0; i < v->count && why == 0; i++) {
		const struct letter_place *p = &v->to[i];
		sqlite3_stmt              *s = index_ready(a->index, MESSAGE_MOVE);
		if (s == NULL) {
			why = account_fail(a, index_why(a->index));
			break;
		}
		(void)sqlite3_bind_int64(s, 1, (int64_t)v->letter[i]);
		(void)sqlite3_bind_int64(s, 2, p->content_segment);
		(void)sqlite3_bind_int64(s, 3, (int64_t)p->content_at);
		(void)sqlite3_bind_int64(s, 4, p->envelope_segment);
		(void)sqlite3_bind_int64(s, 5, (int64_t)p->envelope_at);
		if ((why = index_do(a->index, s)) != 0)
			why = account_fail(a, why);
	}
	account_drop(&a);
	return why;
}

int
store_moved(struct store *s, const uint64_t *letter, const struct letter_place *to, size_t count)
{
	struct moving v = { s, letter, to, count };

	return each_account(s->accounts, s, move_account, &v);
}

/* ---- check ---- */

struct checking {
	struct account *account;
	struct letters *letters;
	struct buffer  *out;
	size_t          complaints;
	int             accounts;
};

static void complain(struct checking *, const char *form, ...)
	__attribute__((format(printf, 2, 3)));

static void
complain(struct checking *c, const char *form, ...)
{
	char    path[64];
	va_list args;

	c->complaints++;
	index_path(c->account->id, "/index.db", path);
	buffer_printf(c->out, "%s: ", path);
	va_start(args, form);
	buffer_vprintf(c->out, form, args);
	va_end(args);
	buffer_add_char(c->out, '\n');
}

static void
sqlite_complains(void *ctx, const char *what)
{
	complain(ctx, "%s", what);
}

static void
check_message(struct checking *c, const struct mailbox *m, uint32_t i, struct arena *scratch)
{
	uint64_t       id = m->rows.message[i];
	struct message message;
	struct bytes   prefix;
	struct digest  digest;
	char           header[RECORD_HEADER];
	struct record  r;
	int            fd, why = message_read(c->account, id, scratch, &message);

	if (why != 0) {
		complain(c, "mailbox %s, uid %u: letter %010" PRIX64 ": %s", m->name,
		         m->rows.uid[i], id, why == ENOENT ? "its row is missing" : strerror(why));
		return;
	}
	if (message_digest(c->account, &message, scratch, &digest, &prefix) != 0)
		complain(c,
		         "mailbox %s, uid %u: letter %010" PRIX64
		         ": its envelope in %08x.seg at offset %" PRIu64 " cannot be read",
		         m->name, m->rows.uid[i], id, message.place.envelope_segment,
		         message.place.envelope_at);
	if (is_foreign(id)) {
		off_t at;
		if (message_content_fd(c->account, &message, &at) < 0)
			complain(c, "mailbox %s, uid %u: its file cannot be read", m->name,
			         m->rows.uid[i]);
		return;
	}
	fd = letters_fd(c->letters, message.place.content_segment);
	if (fd < 0 ||
	    disk_read(fd, header, sizeof header, message.place.content_at - RECORD_HEADER) != 0 ||
	    !record_header_read(header, &r, NULL) || r.type != RECORD_CONTENT || r.letter != id ||
	    r.body_len != message.place.content_len)
		complain(c,
		         "mailbox %s, uid %u: letter %010" PRIX64
		         ": its content is not in %08x.seg at offset %" PRIu64,
		         m->name, m->rows.uid[i], id, message.place.content_segment,
		         message.place.content_at);
}

static void
check_mailbox(struct checking *c, struct mailbox *m)
{
	struct arena         *scratch;
	bool                  was = m->loaded;
	int                   why;
	struct mailbox_status kept, now;
	bool                  glanced = mailbox_glanced(m);

	mailbox_status(m, &kept);
	if ((why = mailbox_load(m)) != 0)
		complain(c, "mailbox %s cannot be read: %s", m->name, strerror(why));
	if (m->damaged)
		complain(c, "mailbox %s: part of its history is damaged", m->name);
	if (why != 0)
		return;
	mailbox_status(m, &now);
	if (glanced && (kept.messages != now.messages || kept.unseen != now.unseen ||
	                kept.deleted != now.deleted || kept.size != now.size))
		complain(c, "mailbox %s: what is kept of its counts is not what is there", m->name);
	scratch = arena_open(NULL);
	for (uint32_t i = 0; i < m->rows.count; i++) {
		arena_clear(scratch);
		check_message(c, m, i, scratch);
	}
	arena_close(&scratch);
	if (!was && m->users == 0)
		mailbox_unload(m);
}

/* What is kept of the usage must be what is there. */
static void
check_usage(struct checking *c)
{
	struct account *a = c->account;
	struct usage    kept = a->usage;
	bool            counted = a->counted, right;

	if (counted && account_recount(a, &right) == 0 && !right)
		complain(c,
		         "%" PRIu64 " messages of %" PRIu64 " bytes are noted, but %" PRIu64
		         " of %" PRIu64 " are there",
		         kept.messages, kept.bytes, a->usage.messages, a->usage.bytes);
}

static void
check_open(struct checking *c)
{
	int why = index_check(c->account->index, sqlite_complains, c);

	if (why != 0)
		complain(c, "%s", strerror(why));
	for (struct mailbox *m = c->account->mailboxes; m != NULL; m = m->next)
		if (!m->gone)
			check_mailbox(c, m);
	check_usage(c);
}

size_t
store_check_account(struct account *a, struct buffer *out)
{
	struct checking c = { .account = a, .letters = a->store->letters, .out = out };

	check_open(&c);
	return c.complaints;
}

static int
check_account(void *ctx, uint64_t id)
{
	struct checking *c = ctx;
	struct store     alone = { .accounts = c->accounts, .letters = c->letters };
	char             path[64];
	int              why;

	index_path(id, "/index.db", path);
	if ((c->account = account_open(&alone, id, false, &why)) != NULL) {
		check_open(c);
		account_close(&c->account);
	} else if (why == EBUSY) {
		buffer_printf(c->out, "%s: in use by a running keeper; not checked\n", path);
	} else {
		c->complaints++;
		buffer_printf(c->out, "%s: cannot be opened: %s\n", path, strerror(why));
	}
	return 0;
}

size_t
store_check(int accounts, struct letters *letters, struct buffer *out)
{
	struct checking c = { .letters = letters, .out = out, .accounts = accounts };
	int             why = each_account(accounts, NULL, check_account, &c);

	if (why != 0) {
		buffer_printf(out, "accounts: %s\n", strerror(why));
		c.complaints++;
	}
	return c.complaints;
}

/* ---- the check of an account in use ---- */

enum { CHECKED_AT_ONCE = 32 };

struct account_check {
	struct checking checking;
	struct arena   *scratch;
	bool            index_seen;
	uint64_t        last;    /* the id of the mailbox seen before       */
	struct mailbox *mailbox; /* being looked at                         */
	uint32_t        uid;     /* looked at up to this one                */
};

struct account_check *
account_check_open(struct store *s, uint64_t id, int *why)
{
	struct account       *a = account_take(s, id, why);
	struct account_check *c;

	if (a == NULL)
		return NULL;
	c = memory_take(sizeof *c);
	c->checking = (struct checking){ .account = a, .letters = s->letters };
	c->scratch = arena_open(NULL);
	return c;
}

/* The mailbox with the next id: they may come and go between two steps. */
static struct mailbox *
check_next(struct account_check *c)
{
	struct mailbox *next = NULL;

	for (struct mailbox *m = c->checking.account->mailboxes; m != NULL; m = m->next)
		if (!m->gone && m->id > c->last && (next == NULL || m->id < next->id))
			next = m;
	return next;
}

static bool
check_enter(struct account_check *c)
{
	struct mailbox *m = check_next(c);
	int             why = 0;

	if (m == NULL)
		return false;
	c->last = m->id;
	c->uid = 0;
	c->mailbox = mailbox_take(c->checking.account, m->name, &why);
	if (c->mailbox == NULL)
		complain(&c->checking, "mailbox %s cannot be read: %s", m->name, strerror(why));
	else if (c->mailbox->damaged)
		complain(&c->checking, "mailbox %s: part of its history is damaged", m->name);
	return true;
}

static void
check_some(struct account_check *c)
{
	struct mailbox *m = c->mailbox;
	uint32_t        n = mailbox_first_at_least(m, c->uid + 1);

	for (uint32_t i = 0; i < CHECKED_AT_ONCE && !m->gone && n < m->rows.count; i++, n++) {
		arena_clear(c->scratch);
		check_message(&c->checking, m, n, c->scratch);
		c->uid = m->rows.uid[n];
	}
	if (m->gone || n >= m->rows.count)
		mailbox_drop(&c->mailbox);
}

bool
account_check_step(struct account_check *c, struct buffer *out)
{
	int why;

	c->checking.out = out;
	if (c->checking.account->refused != 0) {
		complain(&c->checking, "%s", strerror(c->checking.account->refused));
		return false;
	}
	if (!c->index_seen) {
		c->index_seen = true;
		why = index_check(c->checking.account->index, sqlite_complains, &c->checking);
		if (why != 0)
			complain(&c->checking, "%s", strerror(why));
		return true;
	}
	if (c->mailbox == NULL)
		return check_enter(c);
	check_some(c);
	return true;
}

size_t
account_check_close(struct account_check **cp)
{
	struct account_check *c = *cp;
	size_t                complaints;

	*cp = NULL;
	if (c == NULL)
		return 0;
	complaints = c->checking.complaints;
	mailbox_drop(&c->mailbox);
	account_drop(&c->checking.account);
	arena_close(&c->scratch);
	memory_free(c);
	return complaints;
}

int
store_each_account(struct store *s, int (*each)(void *ctx, uint64_t id), void *ctx)
{
	return each_account(s->accounts, s, each, ctx);
}
