/*
 * policydb -- policy.db: what the role policy remembers across a restart
 *
 * From:     role/policy alone (one connection); greylist and verified keep their rows in it
 * Touches:  policy.db, SQLite, through the path given to policydb_open()
 *
 * policydb_open()    NULL with words in *errors: cannot be opened, or of another version.  One that is damaged is
 *     moved aside by the caller: nothing in it is anybody's mail, and all of it is learned again.
 * policydb_run()     one statement that gives no rows; it begins a transaction when none is open.
 * policydb_rows()    how many rows a table has, counted once; whoever adds and takes away keeps it right.
 * policydb_commit()  ends it.  Call it a moment after policydb_is_dirty(): what was learned in that moment is lost
 *     with the power, and a client then tries once more.
 *
 * A database that cannot be written (a full disk) is said once in the log, and rows not written are not there.
 */
#ifndef POLICY_POLICYDB_H
#define POLICY_POLICYDB_H

#include <sqlite3.h>

#include "base/buffer.h"

enum { POLICYDB_VERSION = 1 };
enum policydb_table { POLICYDB_GREY, POLICYDB_CLIENT, POLICYDB_VERIFIED, POLICYDB_TABLES };
enum policydb_query {
	GREY_COUNT, CLIENT_COUNT, VERIFIED_COUNT,      /* as the tables                      */
	GREY_GET, GREY_PUT, GREY_DROP, GREY_LIST, GREY_FLUSH, GREY_EXPIRE, GREY_EXPIRE_CLIENTS, GREY_OLDEST,
	CLIENT_GET, CLIENT_PUT, CLIENT_DROP, CLIENT_LIST, CLIENT_FLUSH, CLIENT_OLDEST,
	VERIFIED_GET, VERIFIED_PUT, VERIFIED_DROP, VERIFIED_LIST, VERIFIED_FLUSH, VERIFIED_EXPIRE, VERIFIED_OLDEST,
	POLICYDB_QUERIES
};

struct policydb;
struct policydb *policydb_open(const char *path, struct buffer *errors);
void policydb_close(struct policydb **);
/* Ready to be bound; of the database alone, and good until the next call for it. */
sqlite3_stmt *policydb_query(struct policydb *, enum policydb_query);
void policydb_bind(sqlite3_stmt *, int at, struct bytes text);
struct bytes policydb_text(sqlite3_stmt *, int column);
/* How many rows it changed; -1: none could be. */
int  policydb_run(struct policydb *, sqlite3_stmt *);
int64_t *policydb_rows(struct policydb *, enum policydb_table);
/* Before one row more: past `most` the oldest hundredth goes by that query. */
void policydb_make_room(struct policydb *, enum policydb_table, enum policydb_query oldest, int64_t most);
bool policydb_is_dirty(const struct policydb *);
void policydb_commit(struct policydb *);

#endif
