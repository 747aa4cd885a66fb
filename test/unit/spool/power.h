/*
 * power -- pulling the plug in a test
 *
 * power_run(): a child works in `dir` with disk_step set.  At its n-th step it stops:
 *   POWER_KILLED  the process is gone, the kernel keeps what was written
 *   POWER_CUT     only what was synced is there: contents as of the last sync of each file, names as of
 *                 the last sync of each directory
 *   POWER_TORN    like CUT, but of what was not synced any sectors may have come through
 * and what a disk would hold then lies in `after`.  With
 *   POWER_EIO, POWER_FULL   that step and the next fail with EIO or ENOSPC, and the child goes on.
 * True when the child came to its end before step n.
 */
#ifndef POWER_H
#define POWER_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spool/disk.h"

enum power { POWER_KILLED, POWER_CUT, POWER_TORN, POWER_EIO, POWER_FULL };
/* So many steps fail, then the disk is well again. */
enum { POWER_FAULTS = 2 };

struct power_file { ino_t inode; bool folder; char *bytes; size_t len; };   /* folder: lines "inode name\n" */
static struct {
	enum power   how;
	long         step, stop;
	int          dir;
	const char  *after;
	struct power_file file[512];
	size_t       files;
	unsigned     random;
} power;

static struct power_file *
power_file_of(ino_t inode)
{
	for (size_t i = 0; i < power.files; i++)
		if (power.file[i].inode == inode)
			return &power.file[i];
	if (power.files == 512)
		abort();
	power.file[power.files] = (struct power_file){ .inode = inode };
	return &power.file[power.files++];
}

static char *
power_read(int fd, size_t *len)
{
	struct stat st;
	char *bytes;

	if (fstat(fd, &st) < 0 || (bytes = malloc((size_t)st.st_size + 1)) == NULL)
		abort();
	*len = (size_t)st.st_size;
	if (disk_read(fd, bytes, *len, 0) != 0)
		abort();
	return bytes;
}

static void
power_remember_file(int fd)
{
	struct stat st;
	struct power_file *f;

	if (fstat(fd, &st) < 0)
		abort();
	f = power_file_of(st.st_ino);
	free(f->bytes);
	if (S_ISDIR(st.st_mode)) {
		struct dirent *e;
		DIR *d = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		FILE *out = open_memstream(&f->bytes, &f->len);
		f->folder = true;
		while ((e = readdir(d)) != NULL)
			if (e->d_name[0] != '.')
				fprintf(out, "%lu %s\n", (unsigned long)e->d_ino, e->d_name);
		closedir(d);
		fclose(out);
	} else {
		int again;
		char path[64];
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		if ((again = open(path, O_RDONLY | O_CLOEXEC)) < 0)
			abort();
		f->bytes = power_read(again, &f->len);
		close(again);
	}
}

/* What was synced, mixed with what was not. */
static void
power_tear(char **bytes, size_t *len, const char *now_path)
{
	int fd = open(now_path, O_RDONLY | O_CLOEXEC);
	char *now;
	size_t n;

	if (fd < 0)
		return;
	now = power_read(fd, &n);
	close(fd);
	if (n > *len) {
		*bytes = realloc(*bytes, n + 1);
		memset(*bytes + *len, 0, n - *len);
		*len = n;
	}
	for (size_t at = 0; at < n; at += 512) {
		size_t m = n - at < 512 ? n - at : 512;
		power.random = power.random * 1103515245u + 12345u;
		if (power.random >> 16 & 1)
			memcpy(*bytes + at, now + at, m);
	}
	free(now);
}

static void
power_restore(ino_t inode, const char *from, const char *to)
{
	struct power_file *f = power_file_of(inode);
	struct stat st;
	char *line = f->bytes, *save = NULL;
	bool folder = f->folder;

	/* A folder never synced is there with its name, and empty. */
	if (!folder && f->bytes == NULL && stat(from, &st) == 0 && S_ISDIR(st.st_mode))
		folder = true;
	if (folder) {
		mkdir(to, 0700);
		if (line == NULL)
			return;
		for (line = strtok_r(line, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
			char name[300], a[700], b[700];
			unsigned long child;
			if (sscanf(line, "%lu %299s", &child, name) != 2)
				abort();
			snprintf(a, sizeof a, "%s/%s", from, name);
			snprintf(b, sizeof b, "%s/%s", to, name);
			power_restore((ino_t)child, a, b);
		}
		return;
	}
	char *bytes = malloc(f->len + 1);
	size_t len = f->len;
	int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (len > 0)
		memcpy(bytes, f->bytes, len);
	if (power.how == POWER_TORN && stat(from, &st) == 0 && st.st_ino == inode)
		power_tear(&bytes, &len, from);
	if (fd < 0 || (len > 0 && pwrite(fd, bytes, len, 0) != (ssize_t)len))
		abort();
	close(fd);
	free(bytes);
}

static void
power_fail(void)
{
	char path[64], from[512];
	struct stat st;
	ssize_t n;

	disk_step = NULL;
	snprintf(path, sizeof path, "/proc/self/fd/%d", power.dir);
	n = readlink(path, from, sizeof from - 1);
	if (n < 0 || fstat(power.dir, &st) < 0)
		abort();
	from[n] = '\0';
	if (power.how == POWER_CUT || power.how == POWER_TORN)
		power_restore(st.st_ino, from, power.after);
	_exit(7);
}

static int
power_step(const char *what, int fd)
{
	if (strcmp(what, "synced") == 0 || strcmp(what, "named") == 0) {
		if (power.how == POWER_CUT || power.how == POWER_TORN)
			power_remember_file(fd);
		return 0;
	}
	if (power.step++ < power.stop)
		return 0;
	if (power.how == POWER_EIO || power.how == POWER_FULL)
		return power.step > power.stop + POWER_FAULTS ? 0 : power.how == POWER_EIO ? EIO : ENOSPC;
	power_fail();
	return 0;
}

/* The disk begins as the directory is now. */
static void
power_remember_all(int dir)
{
	struct dirent *e;
	DIR *d = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	power_remember_file(dir);
	while ((e = readdir(d)) != NULL) {
		struct stat st;
		int fd;
		if (e->d_name[0] == '.')
			continue;
		if ((fd = openat(dir, e->d_name, O_RDONLY | O_CLOEXEC)) < 0 || fstat(fd, &st) < 0)
			abort();
		if (S_ISDIR(st.st_mode))
			power_remember_all(fd);
		else
			power_remember_file(fd);
		close(fd);
	}
	closedir(d);
}

/* Memory that the child and the test share. */
static void *
power_shared(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

static long *power_steps;        /* how many there were in all */

static bool
power_run(enum power how, long stop, int dir, const char *after, void (*work)(int dir, void *ctx), void *ctx)
{
	int status;
	pid_t child;

	if (power_steps == NULL)
		power_steps = power_shared(sizeof *power_steps);
	child = fork();
	if (child == 0) {
		power.how = how;
		power.stop = stop;
		power.step = 0;
		power.dir = dir;
		power.after = after;
		power.random = (unsigned)stop * 2654435761u + 1;
		if (how == POWER_CUT || how == POWER_TORN)
			power_remember_all(dir);
		disk_step = power_step;
		work(dir, ctx);
		*power_steps = power.step;
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		abort();
	if (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 7) {
		(void)fprintf(stderr, "step %ld: the child ended with %d\n", stop, WEXITSTATUS(status));
		abort();
	}
	return how < POWER_EIO ? WEXITSTATUS(status) == 0 : power_steps != NULL && *power_steps <= stop;
}

static int
power_remove_one(const char *path)
{
	char command[600];

	snprintf(command, sizeof command, "rm -rf '%s'", path);
	return system(command);
}

#endif
