/*
 * disk -- the few calls that change what lies on a disk, in one place
 *
 * From:     spool, store
 * disk_write() writes the whole of it or says why not (an errno).  disk_sync() is one fdatasync,
 * never tried twice: after an error the pages may be gone (the kernel marks them clean).
 * disk_sync_name() makes names in a directory durable.
 *
 * A test sets disk_step: it is called before each change ("write", "sync", "name", "cut", "unlink",
 * "rename", "make") and after each finished sync ("synced", "named").  What it returns, if not 0, is the
 * errno the change fails with.
 */
#ifndef SPOOL_DISK_H
#define SPOOL_DISK_H

#include <stddef.h>
#include <stdint.h>

extern int (*disk_step)(const char *what, int fd);

int disk_read(int fd, void *out, size_t len, uint64_t at);       /* EBADMSG when the file is shorter */
int disk_read_some(int fd, void *out, size_t len, uint64_t at, size_t *got); /* one pread */
int disk_read_two(int fd, void *out, size_t len, void *more, size_t more_len, uint64_t at); /* one behind the other */
int disk_write(int fd, const void *from, size_t len, uint64_t at);
int disk_sync(int fd);
int disk_sync_name(int dir);
int disk_cut(int fd, uint64_t len);
int disk_unlink(int dir, const char *name, int flags);
int disk_rename(int dir, const char *from, const char *to);
int disk_room(int fd, uint64_t *bytes);                          /* free on its disk, for who is not root */
int disk_make(int dir, const char *name, unsigned mode);         /* a directory */

#endif
