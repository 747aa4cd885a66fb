#include "store/files.h"

#include "base/random.h"
#include "spool/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const char files_vfs[] = "mansio";

/* A -wal file grows by as much as it has, within these. */
enum { GROWS_LEAST = 16 << 10, GROWS_MOST = 256 << 10 };

struct file {
	sqlite3_file base;
	int          fd;
	bool         wal;
	uint64_t     len; /* of a -wal file                */
};

static struct file *
of(sqlite3_file *f)
{
	return (struct file *)(void *)f;
}

/* "7/ab/12/index.db" is ab/12/index.db in the directory with descriptor 7. */
static const char *
path_of(const char *name, int *dir)
{
	char *end;

	*dir = (int)strtol(name, &end, 10);
	return *end == '/' ? end + 1 : name;
}

static int
file_close(sqlite3_file *f)
{
	(void)close(of(f)->fd);
	return SQLITE_OK;
}

static int
file_read(sqlite3_file *f, void *out, int len, sqlite3_int64 at)
{
	char *to = out;
	int   done = 0;

	while (done < len) {
		ssize_t n = pread(of(f)->fd, to + done, (size_t)(len - done), (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return SQLITE_IOERR_READ;
		if (n == 0)
			break;
		done += (int)n;
	}
	if (done == len)
		return SQLITE_OK;
	memset(to + done, 0, (size_t)(len - done)); /* SQLite asks for this */
	return SQLITE_IOERR_SHORT_READ;
}

/* A sync of what was written into room that was there waits for the disk alone; one at a growing end waits for
   the file system's journal, too.  So there are zeros before there are frames, which SQLite takes for the end.
   Where there is no room for them the file grows frame by frame. */
static void
wal_grow(struct file *f, uint64_t need)
{
	static const char zeros[GROWS_LEAST];
	uint64_t          grows = f->len < GROWS_LEAST ? GROWS_LEAST : f->len;
	uint64_t          end = f->len + (grows < GROWS_MOST ? grows : GROWS_MOST);

	if (end < need)
		end = need;
	while (f->len < end) {
		size_t n = end - f->len < sizeof zeros ? (size_t)(end - f->len) : sizeof zeros;
		if (disk_write(f->fd, zeros, n, f->len) != 0)
			return;
		f->len += n;
	}
}

static int
file_write(sqlite3_file *f, const void *from, int len, sqlite3_int64 at)
{
	uint64_t end = (uint64_t)at + (uint64_t)len;
	int      why;

	if (of(f)->wal && end > of(f)->len)
		wal_grow(of(f), end);
	why = disk_write(of(f)->fd, from, (size_t)len, (uint64_t)at);
	if (why == 0 && end > of(f)->len)
		of(f)->len = end;
	if (why == ENOSPC || why == EDQUOT)
		return SQLITE_FULL;
	return why == 0 ? SQLITE_OK : SQLITE_IOERR_WRITE;
}

static int
file_truncate(sqlite3_file *f, sqlite3_int64 len)
{
	if (disk_cut(of(f)->fd, (uint64_t)len) != 0)
		return SQLITE_IOERR_TRUNCATE;
	of(f)->len = (uint64_t)len;
	return SQLITE_OK;
}

static int
file_sync(sqlite3_file *f, int flags)
{
	(void)flags;
	return disk_sync(of(f)->fd) == 0 ? SQLITE_OK : SQLITE_IOERR_FSYNC;
}

static int
file_size(sqlite3_file *f, sqlite3_int64 *out)
{
	struct stat st;

	if (fstat(of(f)->fd, &st) < 0)
		return SQLITE_IOERR_FSTAT;
	*out = st.st_size;
	return SQLITE_OK;
}

static int
file_lock(sqlite3_file *f, int level)
{
	(void)f;
	(void)level;
	return SQLITE_OK;
}

static int
file_reserved(sqlite3_file *f, int *out)
{
	(void)f;
	*out = 0;
	return SQLITE_OK;
}

static int
file_control(sqlite3_file *f, int what, void *arg)
{
	(void)f;
	if (what != SQLITE_FCNTL_PERSIST_WAL)
		return SQLITE_NOTFOUND;
	*(int *)arg = 1;
	return SQLITE_OK;
}

static int
file_sector(sqlite3_file *f)
{
	(void)f;
	return 4096;
}

static int
file_device(sqlite3_file *f)
{
	(void)f;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* clang-format off */
static const sqlite3_io_methods file_methods = {
	.iVersion = 1,
	.xClose = file_close, .xRead = file_read, .xWrite = file_write, .xTruncate = file_truncate,
	.xSync = file_sync, .xFileSize = file_size,
	.xLock = file_lock, .xUnlock = file_lock, .xCheckReservedLock = file_reserved,
	.xFileControl = file_control, .xSectorSize = file_sector, .xDeviceCharacteristics = file_device,
};
/* clang-format on */

static int
files_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat  st;
	int          dir, how = O_CLOEXEC | O_NOFOLLOW;
	const char  *path;

	(void)vfs;
	f->pMethods = NULL;
	if (name == NULL)
		return SQLITE_CANTOPEN; /* temporary files live in memory */
	path = path_of(name, &dir);
	how |= flags & SQLITE_OPEN_READONLY ? O_RDONLY : O_RDWR;
	if (flags & SQLITE_OPEN_CREATE)
		how |= O_CREAT;
	if ((of(f)->fd = openat(dir, path, how, 0600)) < 0)
		return SQLITE_CANTOPEN;
	if ((flags & SQLITE_OPEN_MAIN_DB) && !(flags & SQLITE_OPEN_READONLY) &&
	    fcntl(of(f)->fd, F_OFD_SETLK, &lock) < 0) {
		(void)close(of(f)->fd);
		return SQLITE_BUSY;
	}
	of(f)->wal = flags & SQLITE_OPEN_WAL;
	of(f)->len = of(f)->wal && fstat(of(f)->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
	f->pMethods = &file_methods;
	if (out != NULL)
		*out = flags;
	return SQLITE_OK;
}

static int
files_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	int         dir, why;
	const char *path = path_of(name, &dir);

	(void)vfs;
	(void)sync; /* only while an account is being made, whose names are synced then */
	why = disk_unlink(dir, path, 0);
	if (why == ENOENT)
		return SQLITE_IOERR_DELETE_NOENT;
	return why == 0 ? SQLITE_OK : SQLITE_IOERR_DELETE;
}

static int
files_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
	struct stat st;
	int         dir;
	const char *path = path_of(name, &dir);

	(void)vfs;
	*out = fstatat(dir, path, &st, 0) == 0 && (flags != SQLITE_ACCESS_EXISTS || st.st_size > 0);
	return SQLITE_OK;
}

static int
files_full_path(sqlite3_vfs *vfs, const char *name, int room, char *out)
{
	(void)vfs;
	return snprintf(out, (size_t)room, "%s", name) < room ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int
files_random(sqlite3_vfs *vfs, int len, char *out)
{
	(void)vfs;
	random_fill(out, (size_t)len);
	return len;
}

static int
files_sleep(sqlite3_vfs *vfs, int us)
{
	(void)vfs;
	return us;
}

static int
files_time(sqlite3_vfs *vfs, double *out)
{
	(void)vfs;
	*out = 2440587.5 + (double)time(NULL) / 86400.0;
	return SQLITE_OK;
}

static int
files_error(sqlite3_vfs *vfs, int len, char *out)
{
	(void)vfs;
	(void)len;
	(void)out;
	return errno;
}

/* clang-format off */
static sqlite3_vfs files = {
	.iVersion = 1, .szOsFile = sizeof(struct file), .mxPathname = 256, .zName = files_vfs,
	.xOpen = files_open, .xDelete = files_delete, .xAccess = files_access, .xFullPathname = files_full_path,
	.xRandomness = files_random, .xSleep = files_sleep, .xCurrentTime = files_time, .xGetLastError = files_error,
};
/* clang-format on */

int
files_start(void)
{
	return sqlite3_vfs_find(files_vfs) != NULL ? SQLITE_OK : sqlite3_vfs_register(&files, 0);
}

int
files_wal(sqlite3 *db)
{
	sqlite3_file *f = NULL;

	if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &f) != SQLITE_OK)
		return -1;
	return f == NULL || f->pMethods == NULL ? -1 : of(f)->fd;
}
