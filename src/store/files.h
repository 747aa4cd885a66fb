/*
 * files -- the files of an index, given to SQLite without a path
 *
 * From:     store/index
 * Touches:  what lies under the accounts directory, through its descriptor: a keeper works in a cage
 *           where no path leads there
 *
 * A VFS for one connection alone (locking_mode=EXCLUSIVE, so no shared memory): the main file is locked when
 * it is opened, by a lock that other processes see and that ends with the descriptor.  The -wal file is
 * never unlinked.  Every change goes through spool/disk.h, where a crash test can cut the power.
 *
 * Names for sqlite3_open_v2() are "FD/path", FD the decimal number of the directory's descriptor.
 */
#ifndef STORE_FILES_H
#define STORE_FILES_H

#include <sqlite3.h>

extern const char files_vfs[];
int files_start(void);                 /* registers the VFS; again does nothing. An SQLite code */
int files_wal(sqlite3 *);              /* the descriptor of the -wal file, -1: none yet         */

#endif
