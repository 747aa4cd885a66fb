#include "queue/ledger.h"
#include "base/journal.h"
#include "base/map.h"
#include <inttypes.h>
#include <sqlite3.h>
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

/* What came to the format later and harms nobody who does not know it; it fails where it is there. */
static const char addition[] = "ALTER TABLE recipient ADD COLUMN sender TEXT NOT NULL DEFAULT ''";

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
	LETTERS,
	RECIPIENTS,
	QUERIES
};
/* clang-format off */
static const char *const query_text[QUERIES] = {
	[BEGIN] = "BEGIN IMMEDIATE", [COMMIT] = "COMMIT", [ROLLBACK] = "ROLLBACK",
	[MARK_GET] = "SELECT at FROM mark WHERE segment=?1",
	[MARK_SET] = "INSERT OR REPLACE INTO mark(segment, at) VALUES(?1, ?2)",
	[MARK_DROP] = "DELETE FROM mark WHERE segment=?1",
	[LETTER_PUT] = "INSERT OR REPLACE INTO letter(id, envelope_segment, envelope_at, content_segment, content_at, content_len,"
	               " arrived_us, flags, sender, handling) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
	[LETTER_DROP] = "DELETE FROM letter WHERE id=?1",
	[RECIPIENT_PUT] = "INSERT INTO recipient(letter, state, account, original, address, detail, orcpt, notify, tries, due_ms,"
	                  " status, text, known, sender, warned) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
	[RECIPIENT_DROP] = "DELETE FROM recipient WHERE letter=?1",
	[LETTERS] = "SELECT id, envelope_segment, envelope_at, content_segment, content_at, content_len, arrived_us, flags, sender,"
	            " handling FROM letter ORDER BY arrived_us",
	[RECIPIENTS] = "SELECT state, account, original, address, detail, orcpt, notify, tries, due_ms, status, text, known, sender,"
	               " warned FROM recipient WHERE letter=?1",
};
/* clang-format on */

struct ledger {
	sqlite3      *db;
	sqlite3_stmt *ready[QUERIES];
	struct map   *marks;    /* segment -> at, not yet written       */
	struct buffer finished; /* ids whose rows are to go             */
	struct buffer gone;     /* segments whose marks are to go       */
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
		    "PRAGMA foreign_keys=ON; PRAGMA cache_size=-1024; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;"
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
	(void)sqlite3_exec(g->db, addition, NULL, NULL, NULL);
	if (version < 2 && sqlite3_exec(g->db, version_2, NULL, NULL, NULL) != SQLITE_OK) {
		buffer_printf(errors, "%s: cannot be brought to format version %d: %s\n", path,
		              LEDGER_VERSION, sqlite3_errmsg(g->db));
		return false;
	}
	if (pragma(g->db, "PRAGMA quick_check(1)") != 1) {
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
	if (!prepare(g, path, errors))
		ledger_close(&g);
	return g;
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

/* Who was being tried is tried again. */
static enum recipient_state
state_of(int stored)
{
	return stored == RECIPIENT_NEW || stored == RECIPIENT_HELD ? (enum recipient_state)stored
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

static bool
load_recipients(struct ledger *g, struct letter *l)
{
	sqlite3_stmt *s = query(g, RECIPIENTS);
	int           did;

	sqlite3_bind_int64(s, 1, (sqlite3_int64)l->id);
	while ((did = sqlite3_step(s)) == SQLITE_ROW) {
		struct recipient *r = letter_recipient(l, text_of(l->life, s, 2));

		r->state = state_of(sqlite3_column_int(s, 0));
		r->account = (uint64_t)sqlite3_column_int64(s, 1);
		r->address = text_of(l->life, s, 3);
		r->detail = text_of(l->life, s, 4);
		r->orcpt = text_of(l->life, s, 5);
		r->notify = (uint8_t)sqlite3_column_int(s, 6);
		r->tries = (uint32_t)sqlite3_column_int64(s, 7);
		r->due_ms = sqlite3_column_int64(s, 8);
		r->status = text_of(l->life, s, 9);
		r->text = text_of(l->life, s, 10);
		r->known = sqlite3_column_int(s, 11) != 0;
		r->sender = text_of(l->life, s, 12);
		r->warned = sqlite3_column_int(s, 13) != 0;
	}
	sqlite3_reset(s);
	return did == SQLITE_DONE;
}

long
ledger_load(struct ledger *g, struct queue *q)
{
	sqlite3_stmt *s = query(g, LETTERS);
	long          n = 0;
	int           did;

	while ((did = sqlite3_step(s)) == SQLITE_ROW) {
		struct letter *l = queue_add(q, (uint64_t)sqlite3_column_int64(s, 0));

		if (l == NULL)
			continue;
		l->envelope_segment = (uint32_t)sqlite3_column_int64(s, 1);
		l->envelope_at = (uint64_t)sqlite3_column_int64(s, 2);
		l->content_segment = (uint32_t)sqlite3_column_int64(s, 3);
		l->content_at = (uint64_t)sqlite3_column_int64(s, 4);
		l->content_len = (uint64_t)sqlite3_column_int64(s, 5);
		l->arrived_us = sqlite3_column_int64(s, 6);
		l->flags = (uint32_t)sqlite3_column_int64(s, 7);
		l->sender = text_of(l->life, s, 8);
		load_handling(s, l);
		l->stored = true;
		if (!load_recipients(g, l))
			break;
		l->dirty = false;
		queue_enter(q, l);
		n++;
	}
	sqlite3_reset(s);
	if (did == SQLITE_DONE)
		return n;
	fault("queue.db cannot be read: %s", sqlite3_errmsg(g->db));
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
	/* The sender is not told of its end yet: after a crash it is tried again, and ends again as it did. */
	sqlite3_bind_int(s, 2, (int)(r->state == RECIPIENT_DONE ? RECIPIENT_WAITING : r->state));
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
	return run(g, s);
}

static bool
put_letter(struct ledger *g, const struct letter *l)
{
	sqlite3_stmt *s = query(g, RECIPIENT_DROP);
	struct buffer packed = { 0 };
	bool          good;

	sqlite3_bind_int64(s, 1, (sqlite3_int64)l->id);
	if (!run(g, s))
		return false;
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
	if (!good)
		return false;
	for (const struct recipient *r = l->first; r != NULL; r = r->next)
		if ((r->state != RECIPIENT_DONE || ((r->refused || r->reported) && !r->told)) &&
		    !put_recipient(g, r))
			return false;
	return true;
}

static bool
nothing_new(const struct ledger *g, const struct queue *q)
{
	if (map_count(g->marks) > 0 || g->finished.len > 0 || g->gone.len > 0)
		return false;
	for (const struct letter *l = queue_oldest(q); l != NULL; l = l->newer)
		if (l->dirty)
			return false;
	return true;
}

int
ledger_checkpoint(struct ledger *g, struct queue *q)
{
	if (nothing_new(g, q))
		return 0;
	bool ok = run(g, query(g, BEGIN)) && run_each(g, LETTER_DROP, &g->finished) &&
	          run_each(g, MARK_DROP, &g->gone) && put_marks(g);

	for (struct letter *l = queue_oldest(q); ok && l != NULL; l = l->newer)
		if (l->dirty)
			ok = put_letter(g, l);
	if (!ok || !run(g, query(g, COMMIT))) {
		if (!sqlite3_get_autocommit(g->db))
			(void)run(g, query(g, ROLLBACK));
		return -1;
	}
	for (struct letter *l = queue_oldest(q); l != NULL; l = l->newer)
		if (l->dirty) {
			l->dirty = false;
			l->stored = true;
		}
	for (struct map_place p = { 0 }; map_next(g->marks, &p);)
		(void)map_drop(g->marks, p.key);
	buffer_reset(&g->finished);
	buffer_reset(&g->gone);
	return 0;
}
