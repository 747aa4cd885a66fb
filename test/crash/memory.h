// SPDX-License-Identifier: ISC
//
// memory -- what a disk holds for certain, beside what the files show (forgetfs.c)
//
// file_save()		before bytes of a file change: what they were is set aside, unless that was done since its last fsync.
// file_begin()		the same for its size alone.  Both under the file's lock: 0 or -errno.
// file_settle()	all of the file is on the disk.  dir_settle(): the names of the directory are.
// name_touch()		before a name changes: what it stood for.  Names of one call share a group and thereby their fate.
// file_born()		an inode is new, whatever number it has.  dir_born(): the same.
// power_cut()		all that is not on the disk is forgotten; everything_settle(): nothing is.
#ifndef MEMORY_H
#define MEMORY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { BLOCK = 4096, SECTOR = 512, BUCKETS = 4096 };

// A file somebody changed since its last fsync, or holds open.  .saved has one
// place per block: NULL for one not touched since, NOTHING for one that lay
// beyond the end then, otherwise a copy of what it held.
struct file {
	struct file *next;
	ino_t ino;
	unsigned handles;
	pthread_mutex_t lock;
	bool dirty;
	off_t kept_size;
	char **saved;
	size_t saved_room;
	size_t *touched;
	size_t touched_fill, touched_room;
};

// A name changed since its directory's last fsync, and what it stood for then.
// Names changed by the same call share a group and thereby their fate.
struct name {
	struct name *next;
	char *name;
	ino_t was;		// 0: there was no such name
	bool was_dir;
	uint64_t group;
};

struct dir {
	struct dir *next;
	ino_t ino;
	struct name *names;
};

// A file that lost a name which the disk still knows has another one in
// BACKING/hold, so that it can be given back.
struct held {
	struct held *next;
	ino_t ino;
	unsigned count;
};

struct memory {
	int live, hold;		// directories of the backing
	// Every operation reads; a cut writes and thereby waits for all others.
	pthread_rwlock_t running;
	pthread_mutex_t lock;	// the tables below
	bool cut;
	struct file *files[BUCKETS];
	struct dir *dirs[BUCKETS];
	struct held *held[BUCKETS];
	uint64_t groups;
	double survive;
	unsigned lag;
	uint64_t random;
	const char *control;
};
extern struct memory fs;

struct tally {
	unsigned names, files, blocks;
};

void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void *must(void *p);
const char *path_of(const char *path);
struct file *file_of(ino_t ino);
int file_begin(struct file *f, int fd);
int file_save(struct file *f, int fd, off_t from, off_t to);
void file_settle(struct file *f);
void file_born(ino_t ino);
struct dir *dir_of(ino_t ino);
int name_touch(const char *path, uint64_t group);
void dir_settle(struct dir *d);
void dir_born(ino_t ino);
struct held **held_slot(ino_t ino);
void hold_name(char to[32], ino_t ino);
void hold_empty(void);
struct tally power_cut(void);
void everything_settle(void);

#endif
