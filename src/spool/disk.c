#include "spool/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

int (*disk_step)(const char *what, int fd);

static int
step(const char *what, int fd)
{
	return disk_step != NULL ? disk_step(what, fd) : 0;
}

int
disk_read_some(int fd, void *out, size_t len, uint64_t at, size_t *got)
{
	ssize_t n;

	do
		n = pread(fd, out, len, (off_t)at);
	while (n < 0 && errno == EINTR);
	*got = n > 0 ? (size_t)n : 0;
	return n < 0 ? errno : 0;
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
disk_read_two(int fd, void *out, size_t len, void *more, size_t more_len, uint64_t at)
{
	struct iovec two[2] = { { out, len }, { more, more_len } };
	ssize_t      n;
	size_t       got;
	int          why;

	do
		n = preadv(fd, two, 2, (off_t)at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno;
	if ((got = (size_t)n) < len) {
		if ((why = disk_read(fd, (char *)out + got, len - got, at + got)) != 0)
			return why;
		got = len;
	}
	return disk_read(fd, (char *)more + (got - len), more_len - (got - len), at + got);
}

int
disk_write(int fd, const void *from, size_t len, uint64_t at)
{
	const char *p = from;
	int         why;

	if ((why = step("write", fd)) != 0)
		return why;
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
	int why;

	if ((why = step("sync", fd)) != 0)
		return why;
	if (fdatasync(fd) < 0)
		return errno;
	return step("synced", fd);
}

int
disk_sync_name(int dir)
{
	int why;

	if ((why = step("name", dir)) != 0)
		return why;
	if (fsync(dir) < 0)
		return errno;
	return step("named", dir);
}

int
disk_cut(int fd, uint64_t len)
{
	int why = step("cut", fd);

	if (why == 0 && ftruncate(fd, (off_t)len) < 0)
		why = errno;
	return why;
}

int
disk_unlink(int dir, const char *name, int flags)
{
	int why = step("unlink", dir);

	if (why == 0 && unlinkat(dir, name, flags) < 0)
		why = errno;
	return why;
}

int
disk_rename(int dir, const char *from, const char *to)
{
	int why = step("rename", dir);

	if (why == 0 && renameat(dir, from, dir, to) < 0)
		why = errno;
	return why;
}

int
disk_make(int dir, const char *name, unsigned mode)
{
	int why = step("make", dir);

	if (why == 0 && mkdirat(dir, name, (mode_t)mode) < 0)
		why = errno;
	return why;
}

int
disk_room(int fd, uint64_t *bytes)
{
	struct statvfs v;

	if (fstatvfs(fd, &v) < 0)
		return errno;
	*bytes = (uint64_t)v.f_bavail * v.f_frsize;
	return 0;
}
