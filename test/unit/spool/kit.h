/* kit -- a spool and a writer in a directory of their own, with jobs done when the test says so */
#ifndef KIT_H
#define KIT_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/journal.h"
#include "message/envelope.h"
#include "spool/disk.h"
#include "spool/spool.h"
#include "spool/writer.h"

struct kit_job { void (*run)(void *); void (*done)(void *); void *ctx; };
struct kit {
	char path[64];
	int dir;
	struct spool *spool;
	struct writer *writer;
	struct kit_job job[64];
	size_t jobs;
	bool lend_later;         /* wants wait until kit_lend()                    */
	int refuse;              /* wants are refused with this                     */
	int wants, own_wants, dones, broken;
	uint64_t own_size;
	uint32_t last_done;
	int ready;
	bool failing;            /* the disk may fail                               */
};

static void
kit_folder(struct kit *k)
{
	/* What a sync does to a real disk is not tested here, so memory will do where there is such a place. */
	(void)snprintf(k->path, sizeof k->path, "%s/mansio-spool-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(k->path) == NULL || (k->dir = open(k->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		abort();
	journal_open(JOURNAL_FILE, open("/dev/null", O_WRONLY | O_CLOEXEC), false, "test");
}

static void
kit_remove(struct kit *k)
{
	char command[128];

	(void)snprintf(command, sizeof command, "rm -rf '%s'", k->path);
	(void)close(k->dir);
	if (system(command) != 0)
		abort();
}

static void
kit_job_take(void *ctx, void (*run)(void *), void (*done)(void *), void *job)
{
	struct kit *k = ctx;

	k->job[k->jobs++] = (struct kit_job){ run, done, job };
}

static void
kit_lend(struct kit *k, bool own, uint64_t size)
{
	uint32_t number;
	uint64_t room;
	int fd = spool_lend(k->spool, own, size, &number, &room);

	if (fd < 0)
		writer_refuse(k->writer, own, errno);
	else
		writer_lend(k->writer, number, fd, room, own);
}

static void
kit_want(void *ctx, bool own, uint64_t size)
{
	struct kit *k = ctx;

	if (own)
		k->own_wants++;
	else
		k->wants++;
	k->own_size = size;
	if (k->refuse != 0)
		writer_refuse(k->writer, own, k->refuse);
	else if (!k->lend_later)
		kit_lend(k, own, size);
}

static void
kit_found(void *ctx, const struct spool_found *f)
{
	(void)ctx;
	(void)f;
}

static void
kit_done(void *ctx, uint32_t segment, uint64_t used, int why)
{
	struct kit *k = ctx;

	k->dones++;
	k->broken += why != 0;
	k->last_done = segment;
	if (k->failing)
		(void)(why == 0 ? spool_done(k->spool, segment, used) : spool_orphan(k->spool, segment, kit_found, k));
	else if (why == 0 && spool_done(k->spool, segment, used) != 0)
		abort();
}

static void
kit_ready(void *ctx)
{
	((struct kit *)ctx)->ready++;
}

/* Does what the thread pool would; a callback's new jobs wait for the next call. */
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

/* Turns of the loop until nothing moves. */
static inline void
kit_turns(struct kit *k)
{
	do
		writer_at_rest(k->writer);
	while (kit_jobs(k) > 0);
}

static void
kit_open(struct kit *k, uint64_t segment_size)
{
	static const struct writer_needs needs = { .job = kit_job_take, .want = kit_want, .done = kit_done, .ready = kit_ready };
	struct buffer errors = { 0 };

	k->spool = spool_open(k->dir, segment_size, 0, 0600, -1, &errors);
	if (k->spool == NULL && k->failing)
		_exit(0);
	if ((k->spool == NULL || errors.len > 0) && !k->failing) {
		(void)fprintf(stderr, "%.*s", (int)errors.len, errors.at);
		abort();
	}
	buffer_free(&errors);
	k->writer = writer_open(&needs, k);
}

static void
kit_close(struct kit *k)
{
	writer_close(&k->writer);
	spool_close(&k->spool);
}

/* An envelope for a letter whose content this is. */
static inline void
kit_envelope(uint64_t letter, struct bytes content, struct buffer *out)
{
	struct envelope_recipient r = { .address = BYTES("eva@example.org") };
	struct envelope e = { .letter = letter, .sender = BYTES("adam@example.org"), .content_len = content.len,
		.prefix = BYTES("Received: here\r\n"), .recipient = &r, .recipients = 1 };

	buffer_reset(out);
	envelope_pack(&e, out);
}

static inline uint64_t
kit_put(struct kit *k, struct bytes content,
        void (*safe)(void *, int, uint64_t, uint32_t, uint64_t), void *ctx)
{
	struct buffer packed = { 0 };
	uint64_t id = writer_content(k->writer, content);

	if (id != 0) {
		kit_envelope(id, content, &packed);
		writer_envelope(k->writer, id, buffer_bytes(&packed), safe, ctx);
	}
	buffer_free(&packed);
	return id;
}

#endif
