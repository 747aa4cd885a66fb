#include "policy/policydb.h"

#include <string.h>

#include "base/arena.h"
#include "base/journal.h"

static const char schema[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE grey(network TEXT NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL,"
	" first INTEGER NOT NULL, last INTEGER NOT NULL, tries INTEGER NOT NULL, passed INTEGER NOT NULL,"
	" PRIMARY KEY(network, sender, recipient)) WITHOUT ROWID;"
	"CREATE INDEX grey_last ON grey(passed, last);"
	"CREATE TABLE client(network TEXT PRIMARY KEY, passed INTEGER NOT NULL, last INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX client_last ON client(last);"
	"CREATE TABLE verified(address TEXT PRIMARY KEY, outcome INTEGER NOT NULL, text TEXT NOT NULL,"
	" updated INTEGER NOT NULL, probed INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX verified_last ON verified(updated);"
	"PRAGMA user_version = 1;"
	"COMMIT;";

/* clang-format off */
static const char *const query_text[POLICYDB_QUERIES] = {
	[GREY_GET] = "SELECT first, last, tries, passed FROM grey WHERE network=?1 AND sender=?2 AND recipient=?3",
	[GREY_PUT] = "INSERT OR REPLACE INTO grey(network, sender, recipient, first, last, tries, passed) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[GREY_DROP] = "DELETE FROM grey WHERE network=?1 AND (?2='' OR sender=?2) AND (?3='' OR recipient=?3)",
	[GREY_LIST] = "SELECT network, sender, recipient, first, last, tries, passed FROM grey"
	              " WHERE (network, sender, recipient) > (?1, ?2, ?3) ORDER BY network, sender, recipient LIMIT ?4",
	[GREY_COUNT] = "SELECT count(*) FROM grey",
	[GREY_FLUSH] = "DELETE FROM grey",
	[GREY_EXPIRE] = "DELETE FROM grey WHERE (network, sender, recipient) IN (SELECT network, sender, recipient FROM grey"
	                " WHERE (passed=0 AND last<?1) OR (passed>0 AND last<?2) LIMIT ?3)",
	[GREY_EXPIRE_CLIENTS] = "DELETE FROM client WHERE last<?1",
	[GREY_OLDEST] = "DELETE FROM grey WHERE (network, sender, recipient) IN (SELECT network, sender, recipient FROM grey"
	                " ORDER BY passed>0, last LIMIT ?1)",
	[CLIENT_GET] = "SELECT passed, last FROM client WHERE network=?1",
	[CLIENT_PUT] = "INSERT OR REPLACE INTO client(network, passed, last) VALUES(?1, ?2, ?3)",
	[CLIENT_DROP] = "DELETE FROM client WHERE network=?1",
	[CLIENT_LIST] = "SELECT network, passed, last FROM client WHERE network > ?1 ORDER BY network LIMIT ?2",
	[CLIENT_FLUSH] = "DELETE FROM client",
	[CLIENT_COUNT] = "SELECT count(*) FROM client",
	[CLIENT_OLDEST] = "DELETE FROM client WHERE network IN (SELECT network FROM client ORDER BY last LIMIT ?1)",
	[VERIFIED_GET] = "SELECT outcome, text, updated, probed FROM verified WHERE address=?1",
	[VERIFIED_PUT] = "INSERT OR REPLACE INTO verified(address, outcome, text, updated, probed) VALUES(?1, ?2, ?3, ?4, ?5)",
	[VERIFIED_DROP] = "DELETE FROM verified WHERE address=?1",
	[VERIFIED_LIST] = "SELECT address, outcome, text, updated, probed FROM verified WHERE address > ?1 ORDER BY address LIMIT ?2",
	[VERIFIED_FLUSH] = "DELETE FROM verified",
	[VERIFIED_EXPIRE] = "DELETE FROM verified WHERE address IN (SELECT address FROM verified"
	                    " WHERE (outcome=0 AND updated<?1) OR (outcome<>0 AND updated<?2) LIMIT ?3)",
	[VERIFIED_COUNT] = "SELECT count(*) FROM verified",
	[VERIFIED_OLDEST] = "DELETE FROM verified WHERE address IN (SELECT address FROM verified ORDER BY updated LIMIT ?1)",
};
/* clang-format on */

struct policydb {
	sqlite3      *db;
	sqlite3_stmt *ready[POLICYDB_QUERIES];
	int64_t       rows[POLICYDB_TABLES];
	bool          open;    /* a transaction is      */
	bool          failing; /* and was told of       */
};

static int64_t
version_of(sqlite3 *db)
{
	sqlite3_stmt *s = NULL;
	int64_t       version = -1;

	if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL) == SQLITE_OK &&
	    sqlite3_step(s) == SQLITE_ROW)
		version = sqlite3_column_int64(s, 0);
	(void)sqlite3_finalize(s);
	return version;
}

static void
count_rows(struct policydb *p, enum policydb_table table)
{
	sqlite3_stmt *s = p->ready[GREY_COUNT + table];

	p->rows[table] = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
	(void)sqlite3_reset(s);
}

static bool
prepare(struct policydb *p, const char *path, struct buffer *errors)
{
	int64_t version;

	if (sqlite3_open_v2(path, &p->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
	            SQLITE_OK ||
	    sqlite3_exec(
		    p->db,
		    "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
		    "PRAGMA cache_size=-8192; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;"
		    "PRAGMA cell_size_check=ON;",
		    NULL, NULL, NULL) != SQLITE_OK ||
	    (version = version_of(p->db)) < 0 ||
	    (version == 0 && sqlite3_exec(p->db, schema, NULL, NULL, NULL) != SQLITE_OK)) {
		buffer_printf(errors, "%s: %s\n", path,
		              p->db != NULL ? sqlite3_errmsg(p->db) : "out of memory");
		return false;
	}
	if (version > POLICYDB_VERSION) {
		buffer_printf(errors, "%s has format version %d; this program knows version %d\n",
		              path, (int)version, POLICYDB_VERSION);
		return false;
	}
	for (int q = 0; q < POLICYDB_QUERIES; q++)
		if (sqlite3_prepare_v3(p->db, query_text[q], -1, SQLITE_PREPARE_PERSISTENT,
		                       &p->ready[q], NULL) != SQLITE_OK) {
			buffer_printf(errors, "%s: %s\n", path, sqlite3_errmsg(p->db));
			return false;
		}
	for (int t = 0; t < POLICYDB_TABLES; t++)
		count_rows(p, (enum policydb_table)t);
	return true;
}

struct policydb *
policydb_open(const char *path, struct buffer *errors)
{
	struct policydb *p = memory_take(sizeof *p);

	if (!prepare(p, path, errors))
		policydb_close(&p);
	return p;
}

void
policydb_close(struct policydb **pp)
{
	struct policydb *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	policydb_commit(p);
	for (int q = 0; q < POLICYDB_QUERIES; q++)
		(void)sqlite3_finalize(p->ready[q]);
	(void)sqlite3_close(p->db);
	memory_free(p);
}

sqlite3_stmt *
policydb_query(struct policydb *p, enum policydb_query q)
{
	(void)sqlite3_reset(p->ready[q]);
	return p->ready[q];
}

void
policydb_bind(sqlite3_stmt *s, int at, struct bytes text)
{
	(void)sqlite3_bind_text(s, at, text.at == NULL ? "" : text.at, (int)text.len,
	                        SQLITE_TRANSIENT);
}

struct bytes
policydb_text(sqlite3_stmt *s, int column)
{
	const char *at = (const char *)sqlite3_column_text(s, column);

	return (struct bytes){ at == NULL ? "" : at, (size_t)sqlite3_column_bytes(s, column) };
}

static void
tell(struct policydb *p, bool good)
{
	if (!good && !p->failing)
		fault("policy.db: %s", sqlite3_errmsg(p->db));
	if (good && p->failing)
		note("policy.db: can be written again");
	p->failing = !good;
}

int
policydb_run(struct policydb *p, sqlite3_stmt *s)
{
	int  did;
	bool good;

	if (!p->open)
		p->open = sqlite3_exec(p->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
	did = sqlite3_step(s);
	good = did == SQLITE_DONE || did == SQLITE_ROW;
	tell(p, good);
	(void)sqlite3_reset(s);
	return good ? sqlite3_changes(p->db) : -1;
}

int64_t *
policydb_rows(struct policydb *p, enum policydb_table table)
{
	return &p->rows[table];
}

void
policydb_make_room(struct policydb *p, enum policydb_table table, enum policydb_query oldest,
                   int64_t most)
{
	sqlite3_stmt *s;
	int           n;

	if (p->rows[table] < most)
		return;
	s = policydb_query(p, oldest);
	(void)sqlite3_bind_int64(s, 1, p->rows[table] - most + 1 + most / 100);
	n = policydb_run(p, s);
	p->rows[table] -= n > 0 ? n : 0;
}

bool
policydb_is_dirty(const struct policydb *p)
{
	return p->open;
}

/* What cannot be written is taken back, so that the next moment begins with what is on disk. */
void
policydb_commit(struct policydb *p)
{
	if (!p->open)
		return;
	p->open = false;
	if (sqlite3_exec(p->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
		return;
	tell(p, false);
	(void)sqlite3_exec(p->db, "ROLLBACK", NULL, NULL, NULL);
	for (int t = 0; t < POLICYDB_TABLES; t++)
		count_rows(p, (enum policydb_table)t);
}
