#include "store/index.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/journal.h"
#include "spool/disk.h"
#include "store/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* clang-format off */
static const char schema[] =
	"CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE mailbox(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, use INTEGER NOT NULL,"
	" uidvalidity INTEGER NOT NULL, recent INTEGER NOT NULL, made INTEGER NOT NULL, forgotten INTEGER NOT NULL);"
	"CREATE TABLE subscription(name TEXT PRIMARY KEY) WITHOUT ROWID;"
	/* content_segment and content_at are NULL while the content lies where the id says;
	   envelope_segment while the envelope lies in the id's segment. */
	"CREATE TABLE message(id INTEGER PRIMARY KEY, content_len INTEGER NOT NULL, prefix_len INTEGER NOT NULL,"
	" size INTEGER NOT NULL, internal_date INTEGER NOT NULL, zone INTEGER NOT NULL, sent_date INTEGER NOT NULL,"
	" saved INTEGER NOT NULL, envelope_at INTEGER NOT NULL, envelope_segment INTEGER,"
	" content_segment INTEGER, content_at INTEGER, head BLOB);"
	"CREATE INDEX message_content ON message(content_segment) WHERE content_segment IS NOT NULL;"
	"CREATE INDEX message_envelope ON message(envelope_segment) WHERE envelope_segment IS NOT NULL;"
	"CREATE TABLE fact(mailbox INTEGER NOT NULL, modseq INTEGER NOT NULL, kind INTEGER NOT NULL,"
	" time INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY(mailbox, modseq)) WITHOUT ROWID;"
	"CREATE TABLE snapshot(mailbox INTEGER NOT NULL, modseq INTEGER NOT NULL, time INTEGER NOT NULL,"
	" data BLOB NOT NULL, PRIMARY KEY(mailbox, modseq)) WITHOUT ROWID;"
	"PRAGMA application_id=1298230899;"     /* "Mans" */
	"PRAGMA user_version=1;";

/* What made each version of the one before: steps[n] leads from version n to n + 1.  A new index
   goes all the way, an old one from where it stands when it is opened next. */
static const char *const steps[INDEX_VERSION] = {
	[1] = /* `copied`: it came with a copy from another account; a delivery of the letter is still to come */
	      "ALTER TABLE message ADD COLUMN copied INTEGER NOT NULL DEFAULT 0;"
	      "CREATE TABLE metadata(mailbox INTEGER NOT NULL, reader INTEGER NOT NULL, entry TEXT NOT NULL,"
	      " value BLOB NOT NULL, PRIMARY KEY(mailbox, reader, entry)) WITHOUT ROWID;"
	      "CREATE TABLE acl(mailbox INTEGER NOT NULL, who TEXT NOT NULL, rights INTEGER NOT NULL,"
	      " granted INTEGER NOT NULL, PRIMARY KEY(mailbox, who)) WITHOUT ROWID;"
	      "CREATE TABLE seen(mailbox INTEGER NOT NULL, reader INTEGER NOT NULL, modseq INTEGER NOT NULL,"
	      " data BLOB NOT NULL, PRIMARY KEY(mailbox, reader)) WITHOUT ROWID;"
	      /* messages whose letters lie outside: where, and what a verifier found in them */
	      "CREATE TABLE file(message INTEGER PRIMARY KEY, mailbox INTEGER NOT NULL, name TEXT NOT NULL,"
	      " outside INTEGER NOT NULL, plain INTEGER NOT NULL, gone INTEGER NOT NULL, letter INTEGER, digest BLOB, email INTEGER NOT NULL);"
	      "CREATE INDEX file_mailbox ON file(mailbox, message) WHERE gone<2;"
	      "CREATE INDEX file_letter ON file(letter) WHERE letter IS NOT NULL;"
	      "CREATE TABLE retrieved(mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, at INTEGER NOT NULL,"
	      " PRIMARY KEY(mailbox, uid)) WITHOUT ROWID;"
	      "CREATE TABLE converted(mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, message INTEGER NOT NULL,"
	      " PRIMARY KEY(mailbox, uid)) WITHOUT ROWID;"
	      /* `account` 0: the mailbox is one of this account's own */
	      "CREATE TABLE urlkey(account INTEGER NOT NULL, mailbox INTEGER NOT NULL, key BLOB NOT NULL,"
	      " PRIMARY KEY(account, mailbox)) WITHOUT ROWID;"
	      "PRAGMA user_version=2;",
	[2] = /* `email` and `mark`: what copies of it have in common, where that is not its id and the checksum of its head */
	      "ALTER TABLE message ADD COLUMN email INTEGER;"
	      "ALTER TABLE message ADD COLUMN mark INTEGER;"
	      "PRAGMA user_version=3;",
	[3] = /* A table with rows of their own: finding one in a tree of keys read all the bytes it was compared with. */
	      "ALTER TABLE snapshot RENAME TO older;"
	      "CREATE TABLE snapshot(id INTEGER PRIMARY KEY, mailbox INTEGER NOT NULL, modseq INTEGER NOT NULL,"
	      " time INTEGER NOT NULL, data BLOB NOT NULL, UNIQUE(mailbox, modseq));"
	      "INSERT INTO snapshot(mailbox,modseq,time,data) SELECT mailbox,modseq,time,data FROM older;"
	      "DROP TABLE older;"
	      "PRAGMA user_version=4;",
	[4] = /* What SELECT and STATUS tell, so that they need not read every message. */
	      "CREATE TABLE tally(mailbox INTEGER PRIMARY KEY, modseq INTEGER NOT NULL, data BLOB NOT NULL);"
	      "PRAGMA user_version=5;",
};

static const char *const texts[STATEMENTS] = {
	[META_GET]      = "SELECT value FROM meta WHERE name=?",
	[META_PUT]      = "INSERT OR REPLACE INTO meta VALUES(?,?)",
	[META_DROP]     = "DELETE FROM meta WHERE name=?",
	[MAILBOX_ALL]   = "SELECT id,name,use,uidvalidity,recent,made,forgotten FROM mailbox",
	[MAILBOX_PUT]   = "INSERT INTO mailbox VALUES(?,?,?,?,?,?,?)",
	[MAILBOX_NAME]  = "UPDATE mailbox SET name=?2 WHERE id=?1",
	[MAILBOX_CLAIM] = "UPDATE mailbox SET recent=?2 WHERE id=?1",
	[MAILBOX_FORGOT] = "UPDATE mailbox SET forgotten=?2 WHERE id=?1",
	[MAILBOX_USE] = "UPDATE mailbox SET use=?2 WHERE id=?1",
	[MAILBOX_DELETE] = "DELETE FROM mailbox WHERE id=?",
	[SUBSCRIPTION_ALL]    = "SELECT name FROM subscription",
	[SUBSCRIPTION_PUT]    = "INSERT OR IGNORE INTO subscription VALUES(?)",
	[SUBSCRIPTION_DELETE] = "DELETE FROM subscription WHERE name=?",
	[MESSAGE_PUT]   = "INSERT OR IGNORE INTO message VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[MESSAGE_GET]   = "SELECT content_len,prefix_len,size,internal_date,zone,sent_date,saved,envelope_at,"
	                  "envelope_segment,content_segment,content_at,head,email,mark FROM message WHERE id=?",
	[MESSAGE_LIVES] = "SELECT 1 FROM message WHERE id=?",
	[MESSAGE_AFTER] = "SELECT id,saved FROM message WHERE id>? ORDER BY id",
	[MESSAGE_DELETE] = "DELETE FROM message WHERE id=?",
	[MESSAGE_REFERS] = "SELECT id FROM message WHERE id BETWEEN (?1<<32) AND ((?1<<32)|4294967295) UNION "
	                   "SELECT id FROM message WHERE content_segment=?1 UNION "
	                   "SELECT id FROM message WHERE envelope_segment=?1",
	[MESSAGE_MOVE]  = "UPDATE message SET content_segment=?2,content_at=?3,envelope_segment=?4,envelope_at=?5 WHERE id=?1",
	[FACT_PUT]      = "INSERT INTO fact VALUES(?,?,?,?,?)",
	[FACT_AFTER]    = "SELECT modseq,kind,time,data FROM fact WHERE mailbox=? AND modseq>? ORDER BY modseq",
	[FACT_LAST]     = "SELECT modseq FROM fact WHERE mailbox=? ORDER BY modseq DESC LIMIT 1",
	[FACT_FORGET]   = "DELETE FROM fact WHERE mailbox=? AND modseq<=?",
	[FACT_ALL]      = "SELECT mailbox,modseq,kind,time,data FROM fact",
	[FACT_SIZE]     = "SELECT count(*),sum(length(data)) FROM fact WHERE mailbox=? AND modseq>?",
	[FACT_MAILBOXES] = "SELECT DISTINCT mailbox FROM fact WHERE mailbox NOT IN (SELECT id FROM mailbox) AND mailbox<>0 "
	                   "UNION SELECT DISTINCT mailbox FROM snapshot WHERE mailbox NOT IN (SELECT id FROM mailbox)",
	[FACT_DROP]     = "DELETE FROM fact WHERE mailbox=?1 AND (SELECT max(time) FROM fact WHERE mailbox=?1)<?2",
	[FACT_DROP_OLD] = "DELETE FROM fact WHERE mailbox=0 AND time<?",
	[METADATA_EACH]   = "SELECT entry,value FROM metadata WHERE mailbox=?1 AND reader IN (0,?2) ORDER BY entry",
	[METADATA_PUT]    = "INSERT OR REPLACE INTO metadata VALUES(?,?,?,?)",
	[METADATA_DELETE] = "DELETE FROM metadata WHERE mailbox=? AND reader=? AND entry=?",
	[METADATA_DROP]   = "DELETE FROM metadata WHERE mailbox=?",
	[METADATA_COPY]   = "INSERT OR REPLACE INTO metadata SELECT ?2,reader,entry,value FROM metadata WHERE mailbox=?1",
	[ACL_EACH]        = "SELECT who,rights FROM acl WHERE mailbox=? ORDER BY who",
	[ACL_PUT]         = "INSERT OR REPLACE INTO acl VALUES(?,?,?,?)",
	[ACL_DELETE]      = "DELETE FROM acl WHERE mailbox=? AND who=?",
	[ACL_DROP]        = "DELETE FROM acl WHERE mailbox=?",
	[ACL_REVOKE]      = "DELETE FROM acl WHERE granted<=?2 AND who IN (?1,'-'||?1,'$'||?1,'-$'||?1)",
	[ACL_ANY]         = "SELECT 1 FROM acl LIMIT 1",
	[ACL_INHERIT]     = "INSERT OR REPLACE INTO acl SELECT ?2,who,rights,granted FROM acl WHERE mailbox=?1",
	[SEEN_GET]        = "SELECT modseq,data FROM seen WHERE mailbox=? AND reader=?",
	[SEEN_PUT]        = "INSERT OR REPLACE INTO seen VALUES(?,?,?,?)",
	[SEEN_DROP]       = "DELETE FROM seen WHERE mailbox=?",
	[SEEN_LAST]       = "SELECT max(modseq) FROM seen",
	[URLKEY_GET]      = "SELECT key FROM urlkey WHERE account=? AND mailbox=?",
	[URLKEY_PUT]      = "INSERT OR REPLACE INTO urlkey VALUES(?,?,?)",
	[URLKEY_DROP]     = "DELETE FROM urlkey WHERE mailbox=? AND account=0",
	[URLKEY_FORGET]   = "DELETE FROM urlkey",
	[RETRIEVED_PUT]   = "INSERT OR IGNORE INTO retrieved VALUES(?,?,?)",
	[RETRIEVED_COUNT] = "SELECT count(*) FROM retrieved WHERE mailbox=? AND at<=?",
	[RETRIEVED_OLD]   = "SELECT uid FROM retrieved WHERE mailbox=? AND at<=? ORDER BY uid",
	[RETRIEVED_DELETE] = "DELETE FROM retrieved WHERE mailbox=? AND at<=?",
	[MESSAGE_CLAIM]   = "UPDATE message SET copied=0 WHERE id=? AND copied=1",
	[LOCATION_GET]  = "SELECT value FROM meta WHERE name='location'",
	[LOCATION_PUT]  = "INSERT OR REPLACE INTO meta VALUES('location',?)",
	[MAILBOX_VALIDITY] = "UPDATE mailbox SET uidvalidity=?2 WHERE id=?1",
	[FILE_PUT]      = "INSERT OR REPLACE INTO file VALUES(?,?,?,?,?,?,?,?,?)",
	[FILE_ALL]      = "SELECT message,name,outside,plain,gone FROM file WHERE mailbox=? AND gone<2 ORDER BY message",
	[FILE_GET]      = "SELECT mailbox,digest,email FROM file WHERE message=?",
	[FILE_LETTER]   = "SELECT message FROM file WHERE letter=?",
	[FILE_OUTSIDE]  = "UPDATE file SET outside=?2 WHERE message=?1",
	[FILE_GONE]     = "UPDATE file SET gone=1 WHERE message=?",
	[FILE_OVER]     = "UPDATE file SET gone=2,digest=NULL WHERE message=?",
	[FILE_DELETE]   = "DELETE FROM file WHERE message=?",
	[FILE_LEFT]       = "UPDATE file SET gone=2,digest=NULL WHERE mailbox=? AND gone<2",
	[FILE_CAME]       = "UPDATE file SET gone=0 WHERE mailbox=? AND gone=3",
	[FILE_ABANDONED]  = "DELETE FROM file WHERE gone=3",
	[FILE_COMING]     = "SELECT message,name,outside,plain,gone FROM file WHERE mailbox=? AND gone=3 ORDER BY message",
	[CONVERTED_ALL]   = "SELECT mailbox,uid,message FROM converted",
	[CONVERTED_PUT]   = "INSERT OR REPLACE INTO converted VALUES(?,?,?)",
	[CONVERTED_DROP]   = "DELETE FROM converted WHERE message=?",
	[CONVERTED_FORGET] = "DELETE FROM converted",
	[CONVERTING_GET]  = "SELECT value FROM meta WHERE name='converting'",
	[CONVERTING_PUT]  = "INSERT OR REPLACE INTO meta VALUES('converting',?)",
	[SNAPSHOT_PUT]    = "INSERT OR REPLACE INTO snapshot(mailbox,modseq,time,data) VALUES(?,?,?,?)",
	[SNAPSHOT_BEFORE] = "SELECT modseq,data FROM snapshot WHERE mailbox=? AND modseq<? ORDER BY modseq DESC LIMIT 1",
	[SNAPSHOT_LAST]   = "SELECT modseq FROM snapshot WHERE mailbox=? ORDER BY modseq DESC LIMIT 1",
	[SNAPSHOT_LIST]   = "SELECT modseq,time FROM snapshot WHERE mailbox=? ORDER BY modseq DESC",
	[SNAPSHOT_DELETE] = "DELETE FROM snapshot WHERE mailbox=? AND modseq=?",
	[TALLY_GET]       = "SELECT data FROM tally WHERE mailbox=? AND modseq=?",
	[TALLY_AT]        = "SELECT modseq FROM tally WHERE mailbox=?",
	[TALLY_PUT]       = "INSERT OR REPLACE INTO tally VALUES(?,?,?)",
	[TALLY_DROP]      = "DELETE FROM tally WHERE mailbox=?",
	[SNAPSHOT_DROP]   = "DELETE FROM snapshot WHERE mailbox=?1 AND NOT EXISTS(SELECT 1 FROM fact WHERE mailbox=?1)",
};

/* clang-format on */

enum job_state { JOB_ASKED, JOB_RUNS, JOB_OVER, JOB_TAKEN_BACK };
struct index_job {
	struct index   *index; /* NULL: closed or taken back; the loop's alone */
	sqlite3        *db;
	_Atomic int     state;
	int             rc;
	pthread_mutex_t lock;
	pthread_cond_t  over;
};

struct index {
	sqlite3          *db;
	uint64_t          account;
	sqlite3_stmt     *statement[STATEMENTS];
	struct index_job *job;
	uint32_t          wal_pages;
	int               rc;
};

void
index_path(uint64_t account, const char *ending, char out[static 64])
{
	(void)snprintf(out, 64, "%02x/%" PRIu64 "%s", (unsigned)(account & 0xff), account, ending);
}

/* ---- what went wrong ---- */

static int
errno_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE: return 0;
	case SQLITE_FULL: return ENOSPC;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_SCHEMA:
	case SQLITE_ERROR: return EBADMSG;
	case SQLITE_BUSY: return EBUSY;
	case SQLITE_CONSTRAINT: return EEXIST;
	case SQLITE_NOMEM: return ENOMEM;
	default: return EIO;
	}
}

static int
kept(struct index *x, int rc)
{
	int why = errno_of(rc);

	x->rc = rc;
	if (why != 0 && why != EEXIST && why != ENOSPC)
		warn_("account %" PRIu64 ": index.db: %s", x->account, sqlite3_errmsg(x->db));
	return why;
}

int
index_why(const struct index *x)
{
	return errno_of(x->rc);
}

/* ---- checkpoints beside the loop ---- */

/* The connection is ours alone again. */
static void
take_back(struct index *x)
{
	struct index_job *j = x->job;
	int               asked = JOB_ASKED;

	if (j == NULL)
		return;
	if (!atomic_compare_exchange_strong(&j->state, &asked, JOB_TAKEN_BACK)) {
		pthread_mutex_lock(&j->lock);
		while (atomic_load(&j->state) != JOB_OVER)
			pthread_cond_wait(&j->over, &j->lock);
		pthread_mutex_unlock(&j->lock);
		if (j->rc == SQLITE_OK)
			x->wal_pages = 0;
	}
	j->index = NULL;
	x->job = NULL;
}

struct index_job *
index_checkpoint_ask(struct index *x)
{
	struct index_job *j;

	if (x->job != NULL || index_begun(x))
		return NULL;
	j = memory_take(sizeof *j);
	j->index = x;
	j->db = x->db;
	atomic_init(&j->state, JOB_ASKED);
	(void)pthread_mutex_init(&j->lock, NULL);
	(void)pthread_cond_init(&j->over, NULL);
	x->job = j;
	return j;
}

void
index_checkpoint_run(void *job)
{
	struct index_job *j = job;
	int               asked = JOB_ASKED;

	if (!atomic_compare_exchange_strong(&j->state, &asked, JOB_RUNS))
		return;
	j->rc = sqlite3_wal_checkpoint_v2(j->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	pthread_mutex_lock(&j->lock);
	atomic_store(&j->state, JOB_OVER);
	pthread_cond_signal(&j->over);
	pthread_mutex_unlock(&j->lock);
}

void
index_checkpoint_done(void *job)
{
	struct index_job *j = job;

	if (j->index != NULL)
		take_back(j->index);
	(void)pthread_mutex_destroy(&j->lock);
	(void)pthread_cond_destroy(&j->over);
	memory_free(j);
}

int
index_checkpoint_now(struct index *x)
{
	int why;

	take_back(x);
	if (index_begun(x))
		return EBUSY;
	why = kept(x,
	           sqlite3_wal_checkpoint_v2(x->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL));
	if (why == 0)
		x->wal_pages = 0;
	return why;
}

static int
committed(void *ctx, sqlite3 *db, const char *name, int pages)
{
	struct index *x = ctx;

	(void)db;
	(void)name;
	x->wal_pages = (uint32_t)pages;
	return SQLITE_OK;
}

/* ---- statements ---- */

sqlite3_stmt *
index_ready(struct index *x, enum statement which)
{
	sqlite3_stmt **s = &x->statement[which];

	take_back(x);
	if (*s == NULL) {
		if (kept(x, sqlite3_prepare_v3(x->db, texts[which], -1, SQLITE_PREPARE_PERSISTENT,
		                               s, NULL)) != 0)
			return NULL;
		return *s;
	}
	(void)sqlite3_reset(*s);
	(void)sqlite3_clear_bindings(*s);
	return *s;
}

int
index_do(struct index *x, sqlite3_stmt *s)
{
	int rc = sqlite3_step(s);
	int why = kept(x, rc);

	(void)sqlite3_reset(s);
	return why;
}

int
index_row(struct index *x, sqlite3_stmt *s)
{
	int rc = sqlite3_step(s);

	if (rc == SQLITE_ROW)
		return 1;
	(void)kept(x, rc);
	(void)sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : -1;
}

struct bytes
index_blob(sqlite3_stmt *s, int column)
{
	const void *at = sqlite3_column_blob(s, column);

	return (struct bytes){ at, (size_t)sqlite3_column_bytes(s, column) };
}

static int
run_text(struct index *x, const char *text)
{
	take_back(x);
	return kept(x, sqlite3_exec(x->db, text, NULL, NULL, NULL));
}

bool
index_begun(const struct index *x)
{
	return !sqlite3_get_autocommit(x->db);
}

int
index_begin(struct index *x)
{
	take_back(x);
	return index_begun(x) ? 0 : run_text(x, "BEGIN IMMEDIATE");
}

int
index_commit(struct index *x)
{
	return run_text(x, "COMMIT");
}

void
index_rollback(struct index *x)
{
	take_back(x);
	for (int i = 0; i < STATEMENTS; i++)
		if (x->statement[i] != NULL)
			(void)sqlite3_reset(x->statement[i]);
	if (index_begun(x))
		(void)run_text(x, "ROLLBACK");
}

bool
index_changed(const struct index *x)
{
	return sqlite3_changes(x->db) > 0;
}

int
index_wal(const struct index *x)
{
	return files_wal(x->db);
}

uint32_t
index_wal_pages(const struct index *x)
{
	return x->wal_pages;
}

int
index_check(struct index *x, void (*complain)(void *ctx, const char *what), void *ctx)
{
	sqlite3_stmt *s = NULL;
	int           rc;

	take_back(x);
	if (kept(x, sqlite3_prepare_v2(x->db, "PRAGMA integrity_check", -1, &s, NULL)) != 0)
		return index_why(x);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		const char *what = (const char *)sqlite3_column_text(s, 0);
		if (what != NULL && strcmp(what, "ok") != 0)
			complain(ctx, what);
	}
	(void)sqlite3_finalize(s);
	return kept(x, rc);
}

/* ---- opening ---- */

/* The connection of one file; its version is not looked at yet. */
static struct index *
connect_to(int accounts, uint64_t account, const char *ending, bool make, int *why)
{
	struct index *x = memory_take(sizeof *x);
	char          path[64], name[96];
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (make ? SQLITE_OPEN_CREATE : 0);

	index_path(account, ending, path);
	(void)snprintf(name, sizeof name, "%d/%s/index.db", accounts, path);
	x->account = account;
	(void)files_start();
	x->rc = sqlite3_open_v2(name, &x->db, flags, files_vfs);
	if (x->rc == SQLITE_OK) {
		(void)sqlite3_db_config(x->db, SQLITE_DBCONFIG_LOOKASIDE, NULL, 128, 64);
		(void)sqlite3_db_config(x->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, make ? 0 : 1,
		                        NULL);
		(void)sqlite3_db_config(x->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		(void)sqlite3_extended_result_codes(x->db, 1);
		(void)run_text(
			x,
			"PRAGMA locking_mode=EXCLUSIVE;PRAGMA temp_store=MEMORY;PRAGMA cache_size=-192;"
			"PRAGMA synchronous=NORMAL;PRAGMA foreign_keys=OFF");
	}
	if (x->rc == SQLITE_OK)
		(void)run_text(
			x,
			"PRAGMA journal_mode=WAL;PRAGMA wal_autocheckpoint=0;PRAGMA journal_size_limit=4194304");
	if (x->rc != SQLITE_OK) {
		*why = index_why(x);
		index_close(&x);
		return NULL;
	}
	(void)sqlite3_wal_hook(x->db, committed, x);
	return x;
}

void
index_close(struct index **xp)
{
	struct index *x = *xp;

	*xp = NULL;
	if (x == NULL)
		return;
	take_back(x);
	for (int i = 0; i < STATEMENTS; i++)
		(void)sqlite3_finalize(x->statement[i]);
	(void)sqlite3_close(x->db);
	memory_free(x);
}

/* With all that was ever kept there: damaged indexes that were set aside, and journals of mboxes, too. */
static void
remove_folder(int accounts, const char *path)
{
	int            fd = openat(accounts, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR           *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (d == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			(void)disk_unlink(fd, e->d_name, 0);
	(void)closedir(d);
	(void)disk_unlink(accounts, path, AT_REMOVEDIR);
}

static int
sync_path(int accounts, const char *path, const char *name)
{
	char whole[128];
	int  fd, why;

	(void)snprintf(whole, sizeof whole, "%s%s", path, name);
	if ((fd = openat(accounts, whole, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)
		return errno;
	why = disk_sync_name(fd);
	(void)close(fd);
	return why;
}

static int
climb(struct index *x, int version)
{
	int why = 0;

	for (; why == 0 && version < INDEX_VERSION; version++)
		why = run_text(x, steps[version]);
	return why;
}

/*
 * A new account: XX/ID.new with all in it, synced; then its name.
 *
 *   XX/ID.new   XX/ID
 *      -          -      no account
 *      x          -      being made: removed when made again
 *      -          x      the account
 */
static int
make(int accounts, uint64_t account, int (*first)(struct index *))
{
	char          shelf[64], fresh[64], path[64];
	struct index *x;
	int           why;

	index_path(account, ".new", fresh);
	index_path(account, "", path);
	(void)snprintf(shelf, sizeof shelf, "%02x", (unsigned)(account & 0xff));
	if ((why = disk_make(accounts, shelf, 0700)) != 0 && why != EEXIST)
		return why;
	remove_folder(accounts, fresh);
	if ((why = disk_make(accounts, fresh, 0700)) != 0)
		return why;
	if ((x = connect_to(accounts, account, ".new", true, &why)) == NULL)
		goto undo;
	if ((why = index_begin(x)) == 0 && (why = run_text(x, schema)) == 0 &&
	    (why = climb(x, 1)) == 0 && (why = first(x)) == 0)
		why = index_commit(x);
	index_close(&x);
	if (why != 0)
		goto undo;
	if ((why = sync_path(accounts, fresh, "/index.db")) != 0 ||
	    (why = sync_path(accounts, fresh, "/index.db-wal")) != 0 ||
	    (why = sync_path(accounts, fresh, "")) != 0)
		goto undo;
	if ((why = disk_rename(accounts, fresh, path)) != 0)
		goto undo;
	if ((why = sync_path(accounts, shelf, "")) != 0)
		return why;
	return disk_sync_name(accounts);

undo:
	remove_folder(accounts, fresh);
	return why;
}

/* Broken: it keeps its bytes under another name, for whoever mends it, and the account is refused. */
static void
put_aside(int accounts, uint64_t account, const char *what)
{
	static const char *const names[] = { "index.db", "index.db-wal" };
	char                     path[64], from[128], to[160];

	index_path(account, "", path);
	for (size_t i = 0; i < COUNT(names); i++) {
		(void)snprintf(from, sizeof from, "%s/%s", path, names[i]);
		(void)snprintf(to, sizeof to, "%s.damaged-%" PRId64, from, clock_wall());
		(void)disk_rename(accounts, from, to);
	}
	fault("account %" PRIu64
	      ": %s/index.db is damaged (%s); it was renamed to index.db.damaged-... "
	      "and the account is refused until index.db is restored from a backup",
	      account, path, what);
}

static int
climb_safely(struct index *x, int version)
{
	int why = index_begin(x);

	if (why == 0 && (why = climb(x, version)) == 0)
		return index_commit(x);
	index_rollback(x);
	return why;
}

static int
look_at_version(struct index *x)
{
	sqlite3_stmt *s = NULL;
	int           version = -1;

	if (kept(x, sqlite3_prepare_v2(x->db, "PRAGMA user_version", -1, &s, NULL)) != 0)
		return index_why(x);
	if (sqlite3_step(s) == SQLITE_ROW)
		version = sqlite3_column_int(s, 0);
	if (kept(x, sqlite3_finalize(s)) != 0)
		return index_why(x);
	if (version == INDEX_VERSION)
		return 0;
	if (version >= 1 && version < INDEX_VERSION)
		return climb_safely(x, version);
	fault("account %" PRIu64
	      ": its index.db has version %d, this program knows version %d; the account is refused",
	      x->account, version, INDEX_VERSION);
	return EPROTO;
}

bool
index_is_there(int accounts, uint64_t account)
{
	char        path[64];
	struct stat st;

	index_path(account, "", path);
	return fstatat(accounts, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

struct index *
index_open(int accounts, uint64_t account, int (*first)(struct index *), int *why)
{
	char          path[64];
	struct stat   st;
	struct index *x;
	bool          fresh_wal;

	*why = 0;
	index_path(account, "", path);
	if (fstatat(accounts, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		*why = errno != ENOENT || first == NULL ? errno : make(accounts, account, first);
		if (*why != 0)
			return NULL;
	}
	index_path(account, "/index.db", path);
	if (fstatat(accounts, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		*why = errno == ENOENT ? EBADMSG : errno;
		warn_("account %" PRIu64 ": there is no %s; refused", account, path);
		return NULL;
	}
	index_path(account, "/index.db-wal", path);
	fresh_wal = fstatat(accounts, path, &st, AT_SYMLINK_NOFOLLOW) < 0;
	x = connect_to(accounts, account, "", false, why);
	if (x != NULL && (*why = look_at_version(x)) != 0)
		index_close(&x);
	/* Restored without its -wal file: the new one's name must last, or commits would not. */
	if (x != NULL && fresh_wal) {
		index_path(account, "", path);
		if ((*why = sync_path(accounts, path, "")) != 0)
			index_close(&x);
	}
	if (*why == EBADMSG && first != NULL)
		put_aside(accounts, account, "SQLite cannot read it");
	if (*why == EPROTO)
		*why = EBADMSG;
	return x;
}

int
index_remove(int accounts, uint64_t account)
{
	char path[64], gone[64], shelf[64];
	int  why;

	index_path(account, "", path);
	index_path(account, ".new", gone);
	(void)snprintf(shelf, sizeof shelf, "%02x", (unsigned)(account & 0xff));
	/* Renamed first: a half removed account must not look like a damaged one. */
	remove_folder(accounts, gone);
	if ((why = disk_rename(accounts, path, gone)) != 0)
		return why;
	remove_folder(accounts, gone);
	return sync_path(accounts, shelf, "");
}
