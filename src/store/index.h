/*
 * index -- an account's index.db: SQLite, one connection, one writer
 *
 * From:     store/account and the other files of this room
 * Touches:  accounts/XX/ID/, XX being the hex number of ID & 0xff
 *
 * index_open()   opens it, or makes a new one with what `first` puts in (NULL: neither makes one, nor
 *                renames a broken one).  A new one is made under another name and appears
 *                whole: names, -wal file and all are on disk when it returns.  NULL with *why: EBADMSG when
 *                it is broken (then it was renamed aside and a fault line says so), or was before.
 * index_ready()  a statement with nothing bound; NULL: index_why() says why.
 * index_do()     runs it to its end; 0 or errno.
 * index_commit() does not sync: durable is what was committed before disk_sync(index_wal()).
 *
 * Checkpoints sync, so they run in the thread pool: index_checkpoint_ask() gives a job or NULL; a call
 * that needs the connection while the job has not begun takes it back, or waits for it when it runs.
 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include <sqlite3.h>
#include "base/bytes.h"

enum { INDEX_VERSION = 5 };
enum statement {
	META_GET, META_PUT, META_DROP,
	MAILBOX_ALL, MAILBOX_PUT, MAILBOX_NAME, MAILBOX_CLAIM, MAILBOX_FORGOT, MAILBOX_USE, MAILBOX_DELETE,
	SUBSCRIPTION_ALL, SUBSCRIPTION_PUT, SUBSCRIPTION_DELETE,
	MESSAGE_PUT, MESSAGE_GET, MESSAGE_LIVES, MESSAGE_AFTER, MESSAGE_DELETE, MESSAGE_REFERS, MESSAGE_MOVE,
	FACT_PUT, FACT_AFTER, FACT_LAST, FACT_FORGET, FACT_ALL, FACT_SIZE, FACT_MAILBOXES, FACT_DROP, FACT_DROP_OLD,
	METADATA_EACH, METADATA_PUT, METADATA_DELETE, METADATA_DROP, METADATA_COPY,
	ACL_EACH, ACL_PUT, ACL_DELETE, ACL_DROP, ACL_REVOKE, ACL_ANY, ACL_INHERIT,
	SEEN_GET, SEEN_PUT, SEEN_DROP, SEEN_LAST,
	URLKEY_GET, URLKEY_PUT, URLKEY_DROP, URLKEY_FORGET,
	MESSAGE_CLAIM,
	LOCATION_GET, LOCATION_PUT, MAILBOX_VALIDITY,
	FILE_PUT, FILE_ALL, FILE_GET, FILE_LETTER, FILE_OUTSIDE, FILE_GONE, FILE_OVER, FILE_DELETE,
	FILE_LEFT, FILE_CAME, FILE_ABANDONED, FILE_COMING, CONVERTED_ALL, CONVERTED_PUT, CONVERTED_DROP, CONVERTED_FORGET, CONVERTING_GET, CONVERTING_PUT,
	RETRIEVED_PUT, RETRIEVED_COUNT, RETRIEVED_OLD, RETRIEVED_DELETE,
	SNAPSHOT_PUT, SNAPSHOT_BEFORE, SNAPSHOT_LAST, SNAPSHOT_LIST, SNAPSHOT_DELETE, SNAPSHOT_DROP,
	TALLY_GET, TALLY_AT, TALLY_PUT, TALLY_DROP,
	STATEMENTS
};

struct index;
struct index *index_open(int accounts, uint64_t account, int (*first)(struct index *), int *why);
void index_close(struct index **);
sqlite3_stmt *index_ready(struct index *, enum statement);
int  index_do(struct index *, sqlite3_stmt *);
/* The next row: 1, 0 at the end, or -1 (index_why()). */
int  index_row(struct index *, sqlite3_stmt *);
int  index_why(const struct index *);
int  index_begin(struct index *);              /* nothing when begun before        */
int  index_commit(struct index *);
void index_rollback(struct index *);
bool index_begun(const struct index *);        /* false too when SQLite rolled back by itself */
bool index_changed(const struct index *);      /* the last index_do() changed a row */
int  index_wal(const struct index *);
uint32_t index_wal_pages(const struct index *);
int  index_check(struct index *, void (*complain)(void *ctx, const char *what), void *ctx);
struct bytes index_blob(sqlite3_stmt *, int column);

struct index_job;
struct index_job *index_checkpoint_ask(struct index *);
void index_checkpoint_run(void *job);          /* in the thread pool               */
void index_checkpoint_done(void *job);         /* in the loop                      */
int  index_checkpoint_now(struct index *);

/* "xx/ID" or "xx/ID" with an ending; room 64. */
void index_path(uint64_t account, const char *ending, char out[static 64]);
bool index_is_there(int accounts, uint64_t account);
int  index_remove(int accounts, uint64_t account);

#endif
