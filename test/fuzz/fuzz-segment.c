/* A segment of the letter log: any file is walked to an end inside of it, and its records can be read. */
#include <sys/mman.h>
#include <unistd.h>

#include "base/journal.h"
#include "spool/disk.h"
#include "spool/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct walk {
	int           fd;
	uint64_t      end, size;
	struct arena *arena;
};

static bool
see(void *ctx, const struct record *r)
{
	struct walk *w = ctx;
	struct bytes body;

	INSIDE(r->at >= w->end && r->body_at == r->at + RECORD_HEADER &&
	       r->body_len <= w->size - r->body_at);
	w->end = r->body_at + record_padded(r->body_len);
	arena_clear(w->arena);
	if (r->whole)
		INSIDE(record_read(w->fd, r->at, r->type, r->letter, w->arena, w->size, &body) !=
		       NULL);
	return true;
}

static void
harm(void *ctx, uint64_t at, const char *why)
{
	const struct walk *w = ctx;

	INSIDE(at <= w->size && why != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct walk w = { .fd = memfd_create("segment", MFD_CLOEXEC),
		          .size = size,
		          .arena = arena_open(NULL) };
	uint64_t    good;

	INSIDE(w.fd >= 0 && disk_write(w.fd, data, size, 0) == 0);
	for (int bodies = 0; bodies < 2; bodies++) {
		w.end = 0;
		(void)segment_scan(w.fd, 0, bodies == 1, see, harm, &w, &good);
		INSIDE(good <= size);
	}
	arena_close(&w.arena);
	(void)close(w.fd);
	return 0;
}
