#include "spool/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

void (*disk_step)(const char *what, int fd);

static void
step(const char *what, int fd)
{
	if (disk_step != NULL)
		disk_step(what, fd);
}

int
disk_read(int fd, void *out, size_t len, uint64_t at)
{
	char *to = out;

	while (len > 0) {
		ssize_t n = pread(fd, to, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (n == 0)
			return EBADMSG;
		to += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int
disk_write(int fd, const void *from, size_t len, uint64_t at)
{
	const char *p = from;

	step("write", fd);
	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (n == 0)
			return EIO;
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int
disk_sync(int fd)
{
	step("sync", fd);
	if (fdatasync(fd) < 0)
		return errno;
	step("synced", fd);
	return 0;
}

int
disk_sync_name(int dir)
{
	step("name", dir);
	if (fsync(dir) < 0)
		return errno;
	step("named", dir);
	return 0;
}

int
disk_cut(int fd, uint64_t len)
{
	step("cut", fd);
	return ftruncate(fd, (off_t)len) < 0 ? errno : 0;
}

int
disk_unlink(int dir, const char *name, int flags)
{
	step("unlink", dir);
	return unlinkat(dir, name, flags) < 0 ? errno : 0;
}

int
disk_rename(int dir, const char *from, const char *to)
{
	step("rename", dir);
	return renameat(dir, from, dir, to) < 0 ? errno : 0;
}

int
disk_make(int dir, const char *name, unsigned mode)
{
	step("make", dir);
	return mkdirat(dir, name, (mode_t)mode) < 0 ? errno : 0;
}
