#include "queue/ledger.h"
#include "base/clock.h"
#include "base/journal.h"
#include "base/map.h"
#include "queue/crowd.h"
#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

static const char schema[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE mark(segment INTEGER PRIMARY KEY, at INTEGER NOT NULL);"
	"CREATE TABLE letter(id INTEGER PRIMARY KEY, envelope_segment INTEGER NOT NULL, envelope_at INTEGER NOT NULL,"
	" content_segment INTEGER NOT NULL, content_at INTEGER NOT NULL, content_len INTEGER NOT NULL,"
	" arrived_us INTEGER NOT NULL, flags INTEGER NOT NULL, sender TEXT NOT NULL);"
	"CREATE TABLE recipient(letter INTEGER NOT NULL REFERENCES letter(id) ON DELETE CASCADE, state INTEGER NOT NULL,"
	" account INTEGER NOT NULL, original TEXT NOT NULL, address TEXT NOT NULL, detail TEXT NOT NULL, orcpt TEXT NOT NULL,"
	" notify INTEGER NOT NULL, tries INTEGER NOT NULL, due_ms INTEGER NOT NULL, status TEXT NOT NULL, text TEXT NOT NULL, known INTEGER NOT NULL);"
	"CREATE INDEX recipient_letter ON recipient(letter);"
	"PRAGMA user_version = 1;"
	"COMMIT;";

/* Version 2: how a letter is to be handled, as an envelope says it; whether the sender knows that it takes long. */
static const char version_2[] =
	"BEGIN IMMEDIATE;"
	"ALTER TABLE letter ADD COLUMN handling BLOB NOT NULL DEFAULT x'';"
	"ALTER TABLE recipient ADD COLUMN warned INTEGER NOT NULL DEFAULT 0;"
	"PRAGMA user_version = 2;"
	"COMMIT;";

/* Version 3: the recipients of a letter lie together, by number. */
static const char version_3[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE together(letter INTEGER NOT NULL, number INTEGER NOT NULL, state INTEGER NOT NULL, account INTEGER NOT NULL,"
	" original TEXT NOT NULL, address TEXT NOT NULL, detail TEXT NOT NULL, orcpt TEXT NOT NULL, notify INTEGER NOT NULL,"
	" tries INTEGER NOT NULL, due_ms INTEGER NOT NULL, status TEXT NOT NULL, text TEXT NOT NULL, known INTEGER NOT NULL,"
	" sender TEXT NOT NULL, warned INTEGER NOT NULL, PRIMARY KEY(letter, number)) WITHOUT ROWID;"
	"INSERT INTO together SELECT letter, row_number() OVER (PARTITION BY letter ORDER BY rowid), state, account, original, address, detail, orcpt, notify, tries, due_ms, status,"
	" text, known, sender, warned FROM recipient;"
	"DROP TABLE recipient;"
	"ALTER TABLE together RENAME TO recipient;"
	"PRAGMA user_version = 3;"
	"COMMIT;";

/* Version 4: a recipient may be there only to be told of (STORED_NAME); who does not know that would try it. */
static const char version_4[] = "PRAGMA user_version = 4";

/* In version 3 from its first day on, but for those who made theirs a moment before. */
static const char kept_table[] =
	"CREATE TABLE IF NOT EXISTS kept(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID";

/* What came to the format later and harms nobody who does not know it; it fails where it is there. */
static const char addition[] = "ALTER TABLE recipient ADD COLUMN sender TEXT NOT NULL DEFAULT ''";
static const char addition_through[] =
	"ALTER TABLE recipient ADD COLUMN through TEXT NOT NULL DEFAULT ''";

enum { CHECKED_MOST = 8192, SHRUNK_FROM = 1024, SHRUNK_MOST = 512 }; /* pages */
enum query {
	BEGIN,
	COMMIT,
	ROLLBACK,
	MARK_GET,
	MARK_SET,
	MARK_DROP,
	LETTER_PUT,
	LETTER_DROP,
	RECIPIENT_PUT,
	RECIPIENT_DROP,
	RECIPIENTS_DROP,
	LETTERS,
	RECIPIENTS,
	RECIPIENTS_FROM,
	LEAP,
	KEEP,
	KEEP_NOT,
	KEPT,
	QUERIES
};
/* clang-format off */
static const char *const query_text[QUERIES] = {
	[BEGIN] = "BEGIN IMMEDIATE", [COMMIT] = "COMMIT", [ROLLBACK] = "ROLLBACK",
	[MARK_GET] = "SELECT at FROM mark WHERE segment=?1",
	[MARK_SET] = "INSERT OR REPLACE INTO mark(segment, at) VALUES(?1, ?2)",
	[MARK_DROP] = "DELETE FROM mark WHERE segment=?1",
	[LETTER_PUT] = "INSERT INTO letter(id, envelope_segment, envelope_at, content_segment, content_at, content_len,"
	               " arrived_us, flags, sender, handling) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
	               " ON CONFLICT(id) DO UPDATE SET envelope_segment=?2, envelope_at=?3, content_segment=?4, content_at=?5,"
	               " flags=?8, sender=?9, handling=?10",
	[LETTER_DROP] = "DELETE FROM letter WHERE id=?1",
	[RECIPIENT_PUT] = "INSERT OR REPLACE INTO recipient(letter, number, state, account, original, address, detail, orcpt, notify,"
	                  " tries, due_ms, status, text, known, sender, warned, through)"
	                  " VALUES(?1, ?16, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?17)",
	[RECIPIENT_DROP] = "DELETE FROM recipient WHERE letter=?1 AND number=?2",
	[RECIPIENTS_DROP] = "DELETE FROM recipient WHERE letter=?1",
	[LETTERS] = "SELECT id, envelope_segment, envelope_at, content_segment, content_at, content_len, arrived_us, flags, sender,"
	            " handling FROM letter ORDER BY id",
	[RECIPIENTS] = "SELECT state, account, original, address, detail, orcpt, notify, tries, due_ms, status, text, known, sender,"
	               " warned, letter, number, through FROM recipient ORDER BY letter, number",
	[RECIPIENTS_FROM] = "SELECT state, account, original, address, detail, orcpt, notify, tries, due_ms, status, text, known, sender,"
	                    " warned, letter, number, through FROM recipient WHERE letter=?1 AND number>=?2 ORDER BY number",
	[LEAP] = "UPDATE recipient SET due_ms=due_ms+?2 WHERE letter=?1",
	[KEEP] = "INSERT OR REPLACE INTO kept(name, value) VALUES(?1, ?2)",
	[KEEP_NOT] = "DELETE FROM kept WHERE name=?1",
	[KEPT] = "SELECT name, value FROM kept WHERE name >= ?1 ORDER BY name",
};
/* clang-format on */

struct kept {
	size_t len;
	char   at[];
};

struct ledger {
	sqlite3      *db;
	sqlite3_stmt *ready[QUERIES];
	struct map   *marks;     /* segment -> at, not yet written       */
	struct buffer finished;  /* ids whose rows are to go             */
	struct buffer gone;      /* segments whose marks are to go       */
	bool          loading;   /* the two statements stand at a row    */
	int           recipient; /* whether that of recipients does      */
	struct map   *kept;      /* name -> struct kept, not yet written */
};

/* One number of a pragma; -1: there is none. */
static int
pragma(sqlite3 *db, const char *text)
{
	sqlite3_stmt *s = NULL;
	int           got = -1;

	if (sqlite3_prepare_v2(db, text, -1, &s, NULL) == SQLITE_OK &&
	    sqlite3_step(s) == SQLITE_ROW)
		got = strcmp((const char *)sqlite3_column_text(s, 0), "ok") == 0
		              ? 1
		              : sqlite3_column_int(s, 0);
	return sqlite3_finalize(s) == SQLITE_OK ? got : -1;
}

/* False with words: the database cannot be used. */
static bool
prepare(struct ledger *g, const char *path, struct buffer *errors)
{
	int version;

	if (sqlite3_open_v2(path, &g->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
	            SQLITE_OK ||
	    sqlite3_exec(
		    g->db,
		    "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
		    "PRAGMA cache_size=-4096; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;"
		    "PRAGMA cell_size_check=ON;",
		    NULL, NULL, NULL) != SQLITE_OK ||
	    (version = pragma(g->db, "PRAGMA user_version")) < 0 ||
	    (version == 0 && sqlite3_exec(g->db, schema, NULL, NULL, NULL) != SQLITE_OK)) {
		buffer_printf(errors, "%s: cannot open the queue's ledger: %s\n", path,
		              g->db != NULL ? sqlite3_errmsg(g->db) : "out of memory");
		return false;
	}
	if (version > LEDGER_VERSION) {
		buffer_printf(errors, "%s has format version %d; this program knows version %d\n",
		              path, version, LEDGER_VERSION);
		return false;
	}
	if (version < 3)
		(void)sqlite3_exec(g->db, addition, NULL, NULL, NULL);
	if ((version < 2 && sqlite3_exec(g->db, version_2, NULL, NULL, NULL) != SQLITE_OK) ||
	    (version < 3 && sqlite3_exec(g->db, version_3, NULL, NULL, NULL) != SQLITE_OK) ||
	    (version < 4 && sqlite3_exec(g->db, version_4, NULL, NULL, NULL) != SQLITE_OK) ||
	    sqlite3_exec(g->db, kept_table, NULL, NULL, NULL) != SQLITE_OK) {
		buffer_printf(errors, "%s: cannot be brought to format version %d: %s\n", path,
		              LEDGER_VERSION, sqlite3_errmsg(g->db));
		return false;
	}
	(void)sqlite3_exec(g->db, addition_through, NULL, NULL, NULL);
	/* A large one is looked at while it is read. */
	if (pragma(g->db, "PRAGMA page_count") <= CHECKED_MOST &&
	    pragma(g->db, "PRAGMA quick_check(1)") != 1) {
		buffer_printf(
			errors,
			"%s is damaged; restore it from a backup, or move it away: "
			"the letters are in the log, and are then delivered again where they are missing\n",
			path);
		return false;
	}
	for (int q = 0; q < QUERIES; q++)
		if (sqlite3_prepare_v3(g->db, query_text[q], -1, SQLITE_PREPARE_PERSISTENT,
		                       &g->ready[q], NULL) != SQLITE_OK) {
			buffer_printf(errors, "%s: %s\n", path, sqlite3_errmsg(g->db));
			return false;
		}
	return true;
}

struct ledger *
ledger_open(const char *path, struct buffer *errors)
{
	struct ledger *g = memory_take(sizeof *g);

	g->marks = map_open();
	g->kept = map_open();
	if (!prepare(g, path, errors))
		ledger_close(&g);
	return g;
}

static void
kept_drop(struct ledger *g)
{
	for (struct map_place p = { 0 }; map_next(g->kept, &p);)
		memory_free(map_drop(g->kept, p.key));
}

void
ledger_close(struct ledger **gp)
{
	struct ledger *g = *gp;

	*gp = NULL;
	if (g == NULL)
		return;
	for (int q = 0; q < QUERIES; q++)
		sqlite3_finalize(g->ready[q]);
	sqlite3_close(g->db);
	map_close(&g->marks);
	kept_drop(g);
	map_close(&g->kept);
	buffer_free(&g->finished);
	buffer_free(&g->gone);
	memory_free(g);
}

static sqlite3_stmt *
query(struct ledger *g, enum query q)
{
	sqlite3_reset(g->ready[q]);
	return g->ready[q];
}

/* A statement that gives no rows. */
static bool
run(struct ledger *g, sqlite3_stmt *s)
{
	int did = sqlite3_step(s);

	sqlite3_reset(s);
	if (did == SQLITE_DONE || did == SQLITE_ROW)
		return true;
	fault("queue.db: %s", sqlite3_errmsg(g->db));
	return false;
}

static const char *
text_of(struct arena *a, sqlite3_stmt *s, int at)
{
	return arena_copy(a, (struct bytes){ (const char *)sqlite3_column_text(s, at),
	                                     (size_t)sqlite3_column_bytes(s, at) });
}

/* ---- reading -------------------------------------------------------------------------- */

/* In this column stand, too, those that are there to be told of; who was asked for (queue retry, ETRN) is so much more, and
   who was held by a table, or let go then, once or twice so much. */
enum {
	STORED_DELIVERED = 16 + OPENED_NOT,
	STORED_NAME = 16 + OPENED_NAME,
	STORED_LIST = 16 + OPENED_LIST,
	STORED_REFUSED,
	STORED_ASKED_FOR = 32,
	STORED_KEPT = 2 * STORED_ASKED_FOR,
	STORED_END = (KEPT_NO_MORE + 1) * STORED_KEPT
};

static int
is_stored(int state)
{
	return state >= 0 && state < STORED_END ? state % STORED_ASKED_FOR : state;
}

static bool
is_to_be_told_of(int stored)
{
	return stored >= STORED_DELIVERED && stored <= STORED_REFUSED;
}

static void
state_load(struct recipient *r, int stored)
{
	if (is_to_be_told_of(stored)) {
		r->refused = stored == STORED_REFUSED;
		r->reported = !r->refused;
		if (r->reported)
			r->opened = (uint8_t)(stored - STORED_DELIVERED + OPENED_NOT);
		r->state = RECIPIENT_DONE;
		return;
	}
	if (stored >= 0 && stored < STORED_END) {
		r->asked_for = stored / STORED_ASKED_FOR % 2 != 0;
		r->kept_by = (uint8_t)(stored / STORED_KEPT);
	}
	stored = is_stored(stored);
	/* Who was being tried is tried again. */
	r->state = stored == RECIPIENT_NEW || stored == RECIPIENT_HELD
	                   ? (enum recipient_state)stored
	                   : RECIPIENT_WAITING;
}

/* Of a letter from before there was any, and of one that is broken, nothing is said. */
static void
load_handling(sqlite3_stmt *s, struct letter *l)
{
	struct bytes    packed = { sqlite3_column_blob(s, 9), (size_t)sqlite3_column_bytes(s, 9) };
	struct unpack   u = unpack_of(packed);
	struct handling h;

	if (packed.len > 0 && handling_unpack(&u, &h) && unpack_done(&u))
		l->handling = handling_keep(l->life, &h);
}

/* A text that is empty, or that another of the recipient's is, takes no room. */
static const char *
text_like(struct arena *life, sqlite3_stmt *s, int at, const char *like)
{
	const char *text = (const char *)sqlite3_column_text(s, at);

	if (text == NULL || *text == '\0')
		return "";
	return strcmp(text, like) == 0 ? like : text_of(life, s, at);
}

static const char *
text_shared(struct queue *q, sqlite3_stmt *s, int at)
{
	return queue_text(q, (struct bytes){ (const char *)sqlite3_column_text(s, at),
	                                     (size_t)sqlite3_column_bytes(s, at) });
}

static struct bytes
column(sqlite3_stmt *s, int at)
{
	return (struct bytes){ (const char *)sqlite3_column_text(s, at),
		               (size_t)sqlite3_column_bytes(s, at) };
}

/* What the row says, but for what was said of it: that is shared, or the row's. */
static void
fill_recipient(struct recipient *r, sqlite3_stmt *s)
{
	state_load(r, sqlite3_column_int(s, 0));
	r->account = (uint64_t)sqlite3_column_int64(s, 1);
	r->address = text_like(r->life, s, 3, r->original);
	r->detail = text_like(r->life, s, 4, "");
	r->orcpt = text_like(r->life, s, 5, "");
	r->notify = (uint8_t)sqlite3_column_int(s, 6);
	r->tries = (uint32_t)sqlite3_column_int64(s, 7);
	r->due_ms = sqlite3_column_int64(s, 8);
	r->known = sqlite3_column_int(s, 11) != 0;
	r->sender = text_like(r->life, s, 12, "");
	r->warned = sqlite3_column_int(s, 13) != 0;
	r->through = text_like(r->life, s, 16, "");
	r->number = (uint32_t)sqlite3_column_int64(s, 15);
}

static void
fill_shared(struct queue *q, struct recipient *r, sqlite3_stmt *s)
{
	fill_recipient(r, s);
	r->status = text_shared(q, s, 9);
	r->text = text_shared(q, s, 10);
}

/* Of a letter to many those come that have something to do now, if there is room, and who is to be told of. */
static bool
stays_away(const struct queue *q, const struct letter *l, sqlite3_stmt *s, int64_t now_ms)
{
	int state = is_stored(sqlite3_column_int(s, 0));

	if (l->recipients < l->few || is_to_be_told_of(state))
		return false;
	return state == RECIPIENT_HELD || sqlite3_column_int64(s, 8) > now_ms || !crowd_fits(q, l);
}

static void
load_recipient(struct queue *q, struct letter *l, sqlite3_stmt *s, int64_t now_ms)
{
	uint32_t number = (uint32_t)sqlite3_column_int64(s, 15);

	if (stays_away(q, l, s, now_ms))
		crowd_absent(q, l, number, sqlite3_column_int64(s, 8),
		             is_stored(sqlite3_column_int(s, 0)) == RECIPIENT_HELD);
	else
		fill_shared(q, letter_recipient(q, l, column(s, 2)), s);
	if (number >= l->numbers)
		l->numbers = number + 1;
}

/* The rows of both tables come in order of letters: one of `s` for letters before this one is of none. */
static bool
load_recipients(struct queue *q, struct letter *l, sqlite3_stmt *s, int *did)
{
	int64_t now_ms = clock_wall_us() / 1000;

	while (*did == SQLITE_ROW && (uint64_t)sqlite3_column_int64(s, 14) <= l->id) {
		if ((uint64_t)sqlite3_column_int64(s, 14) == l->id)
			load_recipient(q, l, s, now_ms);
		*did = sqlite3_step(s);
	}
	return *did == SQLITE_ROW || *did == SQLITE_DONE;
}

static void
load_letter(struct queue *q, struct letter *l, sqlite3_stmt *s)
{
	l->envelope_segment = (uint32_t)sqlite3_column_int64(s, 1);
	l->envelope_at = (uint64_t)sqlite3_column_int64(s, 2);
	l->content_segment = (uint32_t)sqlite3_column_int64(s, 3);
	l->content_at = (uint64_t)sqlite3_column_int64(s, 4);
	l->content_len = (uint64_t)sqlite3_column_int64(s, 5);
	l->arrived_us = sqlite3_column_int64(s, 6);
	l->flags = (uint32_t)sqlite3_column_int64(s, 7);
	l->sender = text_shared(q, s, 8);
	load_handling(s, l);
}

static int
by_id(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return x < y ? -1 : x > y;
}

/* It came while the ledger was being read, and is gone again: its rows go with the next checkpoint. */
static bool
is_finished(const struct ledger *g, uint64_t id)
{
	size_t n = g->finished.len / sizeof id;

	return n > 0 && bsearch(&id, g->finished.at, n, sizeof id, by_id) != NULL;
}

long
ledger_load(struct ledger *g, struct queue *q, size_t most)
{
	sqlite3_stmt *s = g->loading ? g->ready[LETTERS] : query(g, LETTERS);
	sqlite3_stmt *of = g->loading ? g->ready[RECIPIENTS] : query(g, RECIPIENTS);
	size_t        n = 0;
	int           did = SQLITE_ROW;

	if (!g->loading)
		g->recipient = sqlite3_step(of);
	g->loading = true;
	if (g->finished.len > 0)
		qsort(g->finished.at, g->finished.len / sizeof(uint64_t), sizeof(uint64_t), by_id);
	while (n < most && (did = sqlite3_step(s)) == SQLITE_ROW) {
		uint64_t       id = (uint64_t)sqlite3_column_int64(s, 0);
		struct letter *l = is_finished(g, id) ? NULL : queue_add_for(q, id, 1, 96);

		if (l == NULL)
			continue;
		load_letter(q, l, s);
		if (!load_recipients(q, l, of, &g->recipient)) {
			did = SQLITE_CORRUPT;
			break;
		}
		queue_saved(q, l);
		queue_enter(q, l);
		n++;
	}
	if (did == SQLITE_ROW)
		return (long)n;
	g->loading = false;
	sqlite3_reset(s);
	sqlite3_reset(of);
	if (did == SQLITE_DONE)
		return (long)n;
	fault("queue.db cannot be read: %s", sqlite3_errmsg(g->db));
	return -1;
}

/* As it would be in memory, for a look. */
static enum ledger_choice
look_at(struct letter *l, sqlite3_stmt *s, struct arena *a,
        enum ledger_choice (*choose)(void *ctx, const struct recipient *), void *ctx)
{
	struct recipient r = { .letter = l, .life = a, .outside = "" };

	r.original = text_like(a, s, 2, "");
	fill_recipient(&r, s);
	r.status = text_like(a, s, 9, "");
	r.text = text_like(a, s, 10, "");
	return choose(ctx, &r);
}

static void
come(struct queue *q, struct letter *l, sqlite3_stmt *s)
{
	struct recipient *r = crowd_take(q, l, (uint32_t)sqlite3_column_int64(s, 15), column(s, 2));

	fill_shared(q, r, s);
	queue_recipient_enter(q, r);
	r->changed = r->due_ms != sqlite3_column_int64(s, 8);
	if (r->changed)
		queue_change(q, l);
}

int
ledger_absent(struct ledger *g, struct queue *q, struct letter *l, uint32_t *from, size_t most,
              enum ledger_choice (*choose)(void *ctx, const struct recipient *), void *ctx)
{
	sqlite3_stmt      *s = query(g, RECIPIENTS_FROM);
	struct arena      *a;
	enum ledger_choice choice = LEDGER_PASS;
	int                did = SQLITE_DONE;

	if (crowd_count(l) == 0)
		return 0;
	a = arena_open(NULL);
	sqlite3_bind_int64(s, 1, (sqlite3_int64)l->id);
	sqlite3_bind_int64(s, 2, *from);
	while (crowd_count(l) > 0 && (did = sqlite3_step(s)) == SQLITE_ROW && most-- > 0) {
		uint32_t number = (uint32_t)sqlite3_column_int64(s, 15);

		if (crowd_has(l, number)) {
			arena_clear(a);
			choice = look_at(l, s, a, choose, ctx);
		}
		if (choice == LEDGER_STOP)
			break;
		*from = number + 1;
		if (choice == LEDGER_TAKE)
			come(q, l, s);
		choice = LEDGER_PASS;
	}
	sqlite3_reset(s);
	arena_close(&a);
	if (did == SQLITE_ROW || did == SQLITE_DONE)
		return did == SQLITE_ROW;
	fault("queue.db cannot be read: %s", sqlite3_errmsg(g->db));
	return -1;
}

int
ledger_leap(struct ledger *g, struct queue *q, int64_t ms)
{
	bool ok = run(g, query(g, BEGIN));

	for (struct letter *l = queue_oldest(q); ok && l != NULL; l = l->newer) {
		sqlite3_stmt *s;

		if (crowd_count(l) == 0)
			continue;
		s = query(g, LEAP);
		sqlite3_bind_int64(s, 1, (sqlite3_int64)l->id);
		sqlite3_bind_int64(s, 2, ms);
		ok = run(g, s);
	}
	if (ok && run(g, query(g, COMMIT)))
		return 0;
	if (!sqlite3_get_autocommit(g->db))
		(void)run(g, query(g, ROLLBACK));
	return -1;
}

uint64_t
ledger_mark(struct ledger *g, uint32_t segment)
{
	sqlite3_stmt *s = query(g, MARK_GET);
	uint64_t      key = segment, at = (uint64_t)(uintptr_t)map_get(g->marks, map_number(&key));

	if (at != 0)
		return at; /* set since the last checkpoint */
	sqlite3_bind_int64(s, 1, segment);
	if (sqlite3_step(s) == SQLITE_ROW)
		at = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return at;
}

/* ---- writing ------------------------------------------------------------------------------ */

void
ledger_mark_set(struct ledger *g, uint32_t segment, uint64_t at)
{
	uint64_t key = segment;

	if (at > ledger_mark(g, segment))
		(void)map_put(g->marks, map_number(&key), (void *)(uintptr_t)at);
}

void
ledger_segment_gone(struct ledger *g, uint32_t segment)
{
	uint64_t key = segment;

	(void)map_drop(g->marks, map_number(&key));
	buffer_add(&g->gone, (struct bytes){ (const char *)&key, sizeof key });
}

void
ledger_finished(struct ledger *g, const struct letter *l)
{
	if (l->stored)
		buffer_add(&g->finished, (struct bytes){ (const char *)&l->id, sizeof l->id });
}

/* One statement for each number in the list. */
static bool
run_each(struct ledger *g, enum query q, const struct buffer *numbers)
{
	for (size_t at = 0; at < numbers->len; at += sizeof(uint64_t)) {
		sqlite3_stmt *s = query(g, q);
		uint64_t      n;

		memcpy(&n, numbers->at + at, sizeof n);
		sqlite3_bind_int64(s, 1, (sqlite3_int64)n);
		if (!run(g, s))
			return false;
	}
	return true;
}

static bool
put_marks(struct ledger *g)
{
	for (struct map_place p = { 0 }; map_next(g->marks, &p);) {
		sqlite3_stmt *s = query(g, MARK_SET);
		uint64_t      segment;

		memcpy(&segment, p.key.at, sizeof segment);
		sqlite3_bind_int64(s, 1, (sqlite3_int64)segment);
		sqlite3_bind_int64(s, 2, (sqlite3_int64)(uintptr_t)p.value);
		if (!run(g, s))
			return false;
	}
	return true;
}

static bool
put_recipient(struct ledger *g, const struct recipient *r)
{
	sqlite3_stmt *s = query(g, RECIPIENT_PUT);

	sqlite3_bind_int64(s, 1, (sqlite3_int64)r->letter->id);
	/* The sender is not told of its end yet: that is done after a crash, and nothing is tried again. */
	sqlite3_bind_int(s, 2,
	                 r->opened == OPENED_NAME   ? STORED_NAME
	                 : r->opened == OPENED_LIST ? STORED_LIST
	                 : r->state == RECIPIENT_DONE
	                         ? (r->refused ? STORED_REFUSED : STORED_DELIVERED)
	                         : (int)r->state + (r->asked_for ? STORED_ASKED_FOR : 0) +
	                                   r->kept_by * STORED_KEPT);
	sqlite3_bind_int64(s, 3, (sqlite3_int64)r->account);
	sqlite3_bind_text(s, 4, r->original, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 5, r->address, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 6, r->detail, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 7, r->orcpt, -1, SQLITE_STATIC);
	sqlite3_bind_int(s, 8, r->notify);
	sqlite3_bind_int64(s, 9, r->tries);
	sqlite3_bind_int64(s, 10, r->due_ms);
	sqlite3_bind_text(s, 11, r->status, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 12, r->text, -1, SQLITE_STATIC);
	sqlite3_bind_int(s, 13, r->known);
	sqlite3_bind_text(s, 14, r->sender, -1, SQLITE_STATIC);
	sqlite3_bind_int(s, 15, r->warned);
	sqlite3_bind_int64(s, 16, r->number);
	sqlite3_bind_text(s, 17, r->through, -1, SQLITE_STATIC);
	return run(g, s);
}

static bool
drop_recipient(struct ledger *g, const struct recipient *r)
{
	sqlite3_stmt *s = query(g, RECIPIENT_DROP);

	sqlite3_bind_int64(s, 1, (sqlite3_int64)r->letter->id);
	sqlite3_bind_int64(s, 2, r->number);
	return run(g, s);
}

/* Who is done, and need not be told of any more, has no row. */
static bool
put_recipients(struct ledger *g, const struct letter *l)
{
	for (const struct recipient *r = l->first; r != NULL; r = r->next) {
		bool lives =
			r->state != RECIPIENT_DONE || ((r->refused || r->reported) && !r->told);

		if (r->changed && lives && !put_recipient(g, r))
			return false;
		if (r->changed && !lives && r->stored && !drop_recipient(g, r))
			return false;
	}
	return true;
}

static bool
put_letter(struct ledger *g, const struct letter *l)
{
	sqlite3_stmt *s;
	struct buffer packed = { 0 };
	bool          good;

	s = query(g, LETTER_PUT);
	sqlite3_bind_int64(s, 1, (sqlite3_int64)l->id);
	sqlite3_bind_int64(s, 2, l->envelope_segment);
	sqlite3_bind_int64(s, 3, (sqlite3_int64)l->envelope_at);
	sqlite3_bind_int64(s, 4, l->content_segment);
	sqlite3_bind_int64(s, 5, (sqlite3_int64)l->content_at);
	sqlite3_bind_int64(s, 6, (sqlite3_int64)l->content_len);
	sqlite3_bind_int64(s, 7, l->arrived_us);
	sqlite3_bind_int64(s, 8, l->flags);
	sqlite3_bind_text(s, 9, l->sender, -1, SQLITE_STATIC);
	handling_pack(&l->handling, &packed);
	sqlite3_bind_blob(s, 10, packed.at, (int)packed.len, SQLITE_STATIC);
	good = run(g, s);
	buffer_free(&packed);
	return good && put_recipients(g, l);
}

/* New ones all, for a mark may go past them; of the others so many. */
static bool
put_letters(struct ledger *g, struct queue *q, size_t most, size_t *changed)
{
	for (struct letter *l = queue_unsaved(q, false); l != NULL; l = l->unsaved_next)
		if (!put_letter(g, l))
			return false;
	*changed = 0;
	for (struct letter *l = queue_unsaved(q, true); l != NULL && *changed < most;
	     l = l->unsaved_next, (*changed)++)
		if (!put_letter(g, l))
			return false;
	return true;
}

static void
all_saved(struct queue *q, size_t changed)
{
	struct letter *l;

	/* First these, for the others go behind them. */
	while (changed-- > 0)
		queue_saved(q, queue_unsaved(q, true));
	while ((l = queue_unsaved(q, false)) != NULL)
		queue_saved(q, l);
}

/* ---- what else is kept -------------------------------------------------------------------- */

void
ledger_keep(struct ledger *g, const char *name, struct bytes value)
{
	struct kept *k = memory_take(sizeof *k + value.len);

	k->len = value.len;
	if (value.len > 0)
		memcpy(k->at, value.at, value.len);
	memory_free(map_put(g->kept, bytes_of(name), k));
}

static bool
put_kept(struct ledger *g)
{
	for (struct map_place p = { 0 }; map_next(g->kept, &p);) {
		const struct kept *k = p.value;
		sqlite3_stmt      *s = query(g, k->len > 0 ? KEEP : KEEP_NOT);

		sqlite3_bind_text(s, 1, p.key.at, (int)p.key.len, SQLITE_STATIC);
		if (k->len > 0)
			sqlite3_bind_blob64(s, 2, k->at, k->len, SQLITE_STATIC);
		if (!run(g, s))
			return false;
	}
	return true;
}

void
ledger_kept(struct ledger *g, const char                                        *prefix,
            void (*each)(void *ctx, const char *name, struct bytes value), void *ctx)
{
	sqlite3_stmt *s = query(g, KEPT);
	size_t        n = strlen(prefix);

	sqlite3_bind_text(s, 1, prefix, -1, SQLITE_STATIC);
	while (sqlite3_step(s) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(s, 0);

		if (name == NULL || strncmp(name, prefix, n) != 0)
			break;
		each(ctx, name,
		     (struct bytes){ sqlite3_column_blob(s, 1),
		                     (size_t)sqlite3_column_bytes(s, 1) });
	}
	sqlite3_reset(s);
}

int
ledger_checkpoint(struct ledger *g, struct queue *q, size_t most)
{
	size_t changed;
	bool   ok;

	if (map_count(g->marks) == 0 && map_count(g->kept) == 0 && g->finished.len == 0 &&
	    g->gone.len == 0 && queue_unsaved(q, false) == NULL && queue_unsaved(q, true) == NULL)
		return 0;
	ok = run(g, query(g, BEGIN)) && run_each(g, RECIPIENTS_DROP, &g->finished) &&
	     run_each(g, LETTER_DROP, &g->finished) && run_each(g, MARK_DROP, &g->gone) &&
	     put_marks(g) && put_kept(g) && put_letters(g, q, most, &changed);
	if (!ok || !run(g, query(g, COMMIT))) {
		if (!sqlite3_get_autocommit(g->db))
			(void)run(g, query(g, ROLLBACK));
		return -1;
	}
	all_saved(q, changed);
	for (struct map_place p = { 0 }; map_next(g->marks, &p);)
		(void)map_drop(g->marks, p.key);
	kept_drop(g);
	buffer_reset(&g->finished);
	buffer_reset(&g->gone);
	return queue_unsaved(q, true) != NULL;
}

void
ledger_shrink(struct ledger *g)
{
	int all = pragma(g->db, "PRAGMA page_count"), none = pragma(g->db, "PRAGMA freelist_count");

	if (g->loading || none < 0 || all < SHRUNK_FROM || all - none > SHRUNK_MOST)
		return;
	if (sqlite3_exec(g->db, "VACUUM; PRAGMA wal_checkpoint(TRUNCATE);", NULL, NULL, NULL) !=
	    SQLITE_OK)
		warn_("queue.db keeps the room it has no use for: %s", sqlite3_errmsg(g->db));
}
