/* kit -- a store in a directory of its own, with jobs done when the test says so */
#ifndef KIT_H
#define KIT_H

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../unit.h"
#include "base/clock.h"
#include "base/journal.h"
#include "store/store.h"

struct kit_job { void (*run)(void *); void (*done)(void *); void *ctx; };
struct kit {
	char path[64];
	int dir;
	struct letters *letters;
	struct store *store;
	struct kit_job job[64];
	size_t jobs;
	int64_t history_ms;
	uint64_t next_letter;
	bool others;             /* every account is another keeper's */
};

static void
kit_job_take(void *ctx, void (*run)(void *), void (*done)(void *), void *job)
{
	struct kit *k = ctx;

	k->job[k->jobs++] = (struct kit_job){ run, done, job };
}

static inline size_t
kit_jobs(struct kit *k)
{
	struct kit_job job[64];
	size_t n = k->jobs;

	memcpy(job, k->job, sizeof job);
	k->jobs = 0;
	for (size_t i = 0; i < n; i++) {
		job[i].run(job[i].ctx);
		job[i].done(job[i].ctx);
	}
	return n;
}

static inline void
kit_turns(struct kit *k)
{
	do
		store_at_rest(k->store);
	while (kit_jobs(k) > 0 || (k->store != NULL && store_dirty(k->store)));
}

static bool
kit_ours(void *ctx, uint64_t id)
{
	(void)id;
	return !((struct kit *)ctx)->others;
}

static inline void
kit_open(struct kit *k)
{
	static const struct store_needs needs = { .job = kit_job_take, .ours = kit_ours };

	k->letters = letters_open(k->dir);
	k->store = store_open(k->dir, k->letters, k->history_ms, &needs, k);
}

static void
kit_close(struct kit *k)
{
	while (kit_jobs(k) > 0)
		;
	store_close(&k->store);
	letters_close(&k->letters);
}

static void
kit_folder(struct kit *k)
{
	/* What a sync does to a real disk is not tested here, so memory will do where there is such a place. */
	(void)snprintf(k->path, sizeof k->path, "%s/mansio-store-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(k->path) == NULL || (k->dir = open(k->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		abort();
	journal_open(JOURNAL_FILE, open("/dev/null", O_WRONLY | O_CLOEXEC), false, "test");
	k->next_letter = (uint64_t)1 << 32 | 64;
	k->history_ms = 3600 * 1000;
}

static int
kit_unlink(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static void
kit_remove(struct kit *k)
{
	(void)close(k->dir);
	if (nftw(k->path, kit_unlink, 16, FTW_DEPTH | FTW_PHYS) != 0)
		abort();
}

static inline struct account *
kit_take(struct kit *k, uint64_t id)
{
	int why;
	struct account *a = account_take(k->store, id, &why);

	if (a == NULL) {
		(void)fprintf(stderr, "account_take: %s\n", strerror(why));
		abort();
	}
	return a;
}

static inline struct mailbox *
kit_mailbox(struct account *a, const char *name)
{
	int why;
	struct mailbox *m = mailbox_take(a, name, &why);

	if (m == NULL) {
		(void)fprintf(stderr, "mailbox_take %s: %s\n", name, strerror(why));
		abort();
	}
	return m;
}

static inline struct arrival
kit_arrival(struct kit *k, uint64_t letter)
{
	static const char head[] = "Return-Path: <adam@example.org>\r\nDelivered-To: eva@example.org\r\n";

	if (letter == 0) {
		letter = k->next_letter;
		k->next_letter += 4096;
	}
	return (struct arrival){
		.letter = letter,
		.place = { letter_segment(letter), letter_offset(letter) + RECORD_HEADER, 3000,
		           letter_segment(letter), letter_offset(letter) + 3064 },
		.head = BYTES("Return-Path: <adam@example.org>\r\nDelivered-To: eva@example.org\r\n"),
		.prefix_len = 200, .size = sizeof head - 1 + 200 + 3000,
		.internal_date = 1700000000, .zone = 60, .sent_date = 1699999999,
	};
}

/* The uid it got. */
static inline uint32_t
kit_arrive(struct kit *k, struct mailbox *m, uint64_t letter)
{
	struct arrival v = kit_arrival(k, letter);
	uint32_t uid;

	assert_int_equal(mailbox_arrive(m, &v, &uid), 0);
	return uid;
}

static inline void
kit_told(void *ctx, int why)
{
	int *told = ctx;

	told[0]++;
	told[1] = why;
}

/* All that was changed is on the disk. */
static inline void
kit_settle(struct kit *k)
{
	int told[2] = { 0, 0 };

	store_barrier(k->store, kit_told, told);
	kit_turns(k);
	assert_int_equal(told[0], 1);
	assert_int_equal(told[1], 0);
}

static inline void
kit_again(struct kit *k)
{
	kit_close(k);
	kit_open(k);
}

#endif
