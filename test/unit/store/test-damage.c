#include "../unit.h"

#include <errno.h>
#include <sqlite3.h>

#include "kit.h"
#include "spool/disk.h"

static void
sql(struct kit *k, const char *text)
{
	char     path[128], *error = NULL;
	sqlite3 *db;

	(void)snprintf(path, sizeof path, "%s/05/5/index.db", k->path);
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &error) != SQLITE_OK)
		fail_msg("%s: %s", text, error);
	sqlite3_close(db);
}

/* Its older history is forgotten: what version 3 kept of a mailbox is all there is of it. */
static void
test_a_mailbox_of_version_3(void **state)
{
	struct kit       k = { 0 };
	struct account  *a;
	struct mailbox  *m;
	struct uid_range r = { 3, 3 };

	(void)state;
	kit_folder(&k);
	clock_pretend(1700000000);
	for (int round = 0; round < 2; round++) {
		kit_open(&k);
		a = kit_take(&k, 5);
		m = kit_mailbox(a, "INBOX");
		for (uint32_t i = 0; i < 300; i++) {
			kit_arrive(&k, m, 0);
			kit_settle(&k);
		}
		assert_int_equal(mailbox_flags(m, &(struct uid_set){ &r, 1 }, FLAGS_ADD,
		                               FLAG_FLAGGED, UINT64_MAX, NULL, NULL, NULL),
		                 0);
		kit_settle(&k);
		mailbox_drop(&m);
		account_drop(&a);
		(void)store_sweep(k.store);
		kit_settle(&k);
		kit_close(&k);
	}
	sql(&k,
	    "ALTER TABLE snapshot RENAME TO newer;"
	    "CREATE TABLE snapshot(mailbox INTEGER NOT NULL, modseq INTEGER NOT NULL, time INTEGER NOT NULL,"
	    " data BLOB NOT NULL, PRIMARY KEY(mailbox, modseq)) WITHOUT ROWID;"
	    "INSERT INTO snapshot SELECT mailbox,modseq,time,data FROM newer; DROP TABLE newer;"
	    "DELETE FROM fact WHERE modseq<=(SELECT max(modseq) FROM snapshot);"
	    "DROP TABLE tally; PRAGMA user_version=3");
	for (int round = 0; round < 2; round++) {
		kit_open(&k);
		a = kit_take(&k, 5);
		m = kit_mailbox(a, "INBOX");
		assert_int_equal(mailbox_count(m), 600);
		assert_int_equal(mailbox_entry(m, 2).flags, FLAG_FLAGGED);
		assert_int_equal(mailbox_entry(m, 3).flags, 0);
		mailbox_drop(&m);
		account_drop(&a);
		kit_close(&k);
	}
	kit_remove(&k);
}

/* Two snapshots and the history of 600 letters. */
static void
make_history(struct kit *k)
{
	for (int round = 0; round < 2; round++) {
		struct account *a = kit_take(k, 5);
		struct mailbox *m = kit_mailbox(a, "INBOX");

		for (int i = 0; i < 300; i++) {
			kit_arrive(k, m, 0);
			if (i % 2)
				kit_settle(k);
		}
		for (uint32_t i = 1; i < 260; i++) {
			struct uid_range r = { i, i };
			assert_int_equal(mailbox_flags(m, &(struct uid_set){ &r, 1 }, FLAGS_ADD,
			                               round ? FLAG_FLAGGED : FLAG_SEEN, UINT64_MAX,
			                               NULL, NULL, NULL),
			                 0);
		}
		mailbox_drop(&m);
		account_drop(&a);
		(void)store_sweep(k->store);
		kit_settle(k);
		kit_again(k);
	}
}

/* The store is closed while this is done to its index; then INBOX is opened. */
static struct mailbox *
inbox_after(struct kit *k, const char *done, struct account **a)
{
	kit_close(k);
	sql(k, done);
	kit_open(k);
	*a = kit_take(k, 5);
	return kit_mailbox(*a, "INBOX");
}

static void
inbox_over(struct mailbox **m, struct account **a)
{
	mailbox_drop(m);
	account_drop(a);
}

/* A part of the history is broken: the rest is served, uids are not given away twice, the check says so. */
static void
one_fact_is_broken(struct kit *k)
{
	struct buffer   out = { 0 };
	struct account *a;
	struct mailbox *m = inbox_after(
		k,
		"DELETE FROM snapshot; UPDATE fact SET data=zeroblob(20) WHERE modseq=(SELECT max(modseq) FROM fact WHERE kind=9)",
		&a);

	assert_true(mailbox_count(m) >= 590 && mailbox_count(m) < 600);
	assert_true(kit_arrive(k, m, 0) > 60000);
	assert_true(store_check_account(a, &out) > 0);
	HOLDS("in words",
	      bytes_search(buffer_bytes(&out),
	                   BYTES("05/5/index.db: mailbox INBOX: part of its history is damaged")) >=
	              0);
	inbox_over(&m, &a);
	buffer_free(&out);
}

/* No database any more: put aside, refused, and not made anew. */
static void
the_file_is_broken(struct kit *k)
{
	struct buffer   out = { 0 };
	struct account *a;
	char            path[128];
	int             fd, why;

	(void)snprintf(path, sizeof path, "%s/05/5/index.db", k->path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(disk_write(fd, "garbage instead of a database", 29, 0), 0);
	(void)close(fd);
	kit_open(k);
	HOLDS("check does not touch it",
	      store_check(k->dir, k->letters, &out) == 1 && access(path, F_OK) == 0);
	HOLDS("refused", account_take(k->store, 5, &why) == NULL && why == EBADMSG);
	HOLDS("put aside", access(path, F_OK) < 0);
	HOLDS("not made anew", account_take(k->store, 5, &why) == NULL && why == EBADMSG);
	a = kit_take(k, 6);
	HOLDS("others are served", a != NULL);
	account_drop(&a);
	kit_close(k);
	buffer_free(&out);
}

static void
test_damage_is_set_aside(void **state)
{
	struct kit      k = { 0 };
	struct account *a;
	struct mailbox *m;
	int             why;

	(void)state;
	kit_folder(&k);
	clock_pretend(1700000000);
	kit_open(&k);
	make_history(&k);
	/* The newest snapshot: the one before it and the history give the same. */
	m = inbox_after(
		&k,
		"UPDATE snapshot SET data=zeroblob(length(data)) WHERE modseq=(SELECT max(modseq) FROM snapshot)",
		&a);
	assert_int_equal(mailbox_count(m), 600);
	assert_int_equal(mailbox_entry(m, 0).flags, FLAG_SEEN | FLAG_FLAGGED);
	inbox_over(&m, &a);
	one_fact_is_broken(&k);
	/* One as the version before this one left it. */
	m = inbox_after(
		&k,
		"ALTER TABLE message DROP COLUMN mark; ALTER TABLE message DROP COLUMN email;"
		"DROP TABLE snapshot; CREATE TABLE snapshot(mailbox INTEGER NOT NULL, modseq INTEGER NOT NULL, time INTEGER NOT NULL,"
		" data BLOB NOT NULL, PRIMARY KEY(mailbox, modseq)) WITHOUT ROWID; DROP TABLE tally; PRAGMA user_version=2",
		&a);
	HOLDS("is brought up", kit_arrive(&k, m, 0) > 60000);
	inbox_over(&m, &a);
	kit_close(&k);
	/* A version from the future. */
	sql(&k, "PRAGMA user_version=1000");
	kit_open(&k);
	HOLDS("refused", account_take(k.store, 5, &why) == NULL && why == EBADMSG);
	kit_close(&k);
	sql(&k, "PRAGMA user_version=5");
	the_file_is_broken(&k);
	clock_pretend(0);
	kit_remove(&k);
}

UNIT(test_a_mailbox_of_version_3, test_damage_is_set_aside)
