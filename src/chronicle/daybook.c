#include "chronicle/daybook.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/checksum.h"

enum { FRAME_HEAD = 8, FILE_MOST = 2 * DAYBOOK_MOST };
static const char magic[8] = { 'M', 'A', 'N', 'S', 'D', 'A', 'Y', '1' };

void
daybook_name(uint64_t number, char out[static 32])
{
	(void)snprintf(out, 32, "%010" PRIu64 ".daybook", number);
}

/*
 * What is in it
 */

static uint64_t *
block_at(const struct daybook *d, uint32_t block)
{
	return (uint64_t *)(void *)d->blocks.at + block;
}

uint32_t
daybook_blocks(const struct daybook *d)
{
	return (uint32_t)(d->blocks.len / sizeof(uint64_t));
}

static void
place(void *ctx, uint64_t key)
{
	struct daybook *d = ctx;
	key_place       p = key_place_of(key, daybook_blocks(d) - 1);
	uint64_t       *seen = &d->seen[key >> 16 & (COUNT(d->seen) - 1)];

	/* One that shares its slot is written again: that costs room and nothing else. */
	if (*seen == p)
		return;
	*seen = p;
	buffer_add(&d->places, (struct bytes){ (const char *)&p, sizeof p });
}

/* Rows that lie in the file at `at`, a frame of them. */
static void
know(struct daybook *d, uint64_t at, struct bytes rows)
{
	struct bytes packed;
	struct event e;
	bool         broken = false;

	if (daybook_blocks(d) == 0 || at - *block_at(d, daybook_blocks(d) - 1) >= DAYBOOK_BLOCK)
		buffer_add(&d->blocks, (struct bytes){ (const char *)&at, sizeof at });
	while (event_next(&rows, &packed, &e, &broken)) {
		if (d->events++ == 0 || e.at_us < d->first_us)
			d->first_us = e.at_us;
		if (e.at_us > d->last_us)
			d->last_us = e.at_us;
		event_keys(&d->secret, &e, place, d);
	}
}

/*
 * The file
 */

static struct daybook *
daybook_of(int fd, uint64_t number)
{
	struct daybook *d = memory_take(sizeof *d);

	d->fd = fd;
	d->number = number;
	return d;
}

void
daybook_close(struct daybook **dp)
{
	struct daybook *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	(void)close(d->fd);
	buffer_free(&d->places);
	buffer_free(&d->blocks);
	memory_free(d);
}

struct daybook *
daybook_make(int directory, uint64_t number, const struct key_secret *secret)
{
	char            name[32];
	struct buffer   head = { 0 };
	struct daybook *d;
	int             fd, why;

	daybook_name(number, name);
	fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return NULL;
	d = daybook_of(fd, number);
	d->secret = *secret;
	buffer_add(&head, (struct bytes){ magic, sizeof magic });
	pack_u64(&head, secret->half[0]);
	pack_u64(&head, secret->half[1]);
	pack_u64(&head, number);
	if (pwrite(fd, head.at, head.len, 0) != (ssize_t)head.len) {
		why = errno != 0 ? errno : ENOSPC;
		(void)unlinkat(directory, name, 0);
		daybook_close(&d);
		errno = why;
	} else {
		d->size = head.len;
	}
	buffer_free(&head);
	return d;
}

int
daybook_add(struct daybook *d, struct bytes rows)
{
	struct buffer frame = { 0 };
	int           why = 0;
	ssize_t       n;

	pack_u32(&frame, (uint32_t)rows.len);
	pack_u32(&frame, checksum_of(rows));
	buffer_add(&frame, rows);
	errno = 0;
	n = pwrite(d->fd, frame.at, frame.len, (off_t)d->size);
	if (n == (ssize_t)frame.len) {
		know(d, d->size, rows);
		d->size += frame.len;
	} else {
		why = n < 0 && errno != 0 ? errno : ENOSPC;
		(void)!ftruncate(d->fd, (off_t)d->size);
	}
	buffer_free(&frame);
	return why;
}

bool
daybook_frame(struct bytes *rest, struct bytes *rows)
{
	struct unpack u = unpack_of(*rest);
	uint32_t      len = unpack_u32(&u), sum = unpack_u32(&u);
	struct bytes  look, packed;
	struct event  e;
	bool          broken = false;

	if (u.broken || len == 0 || len > DAYBOOK_FRAME_MOST || len > u.rest.len)
		return false;
	*rows = bytes_cut(u.rest, 0, len);
	if (checksum_of(*rows) != sum)
		return false;
	for (look = *rows; event_next(&look, &packed, &e, &broken);)
		continue;
	if (broken)
		return false;
	*rest = bytes_cut(u.rest, len, SIZE_MAX);
	return true;
}

static bool
read_all(int fd, uint64_t at, uint64_t len, struct buffer *out)
{
	while (len > 0) {
		size_t  want = len > 1 << 20 ? 1 << 20 : (size_t)len;
		ssize_t n = pread(fd, buffer_room(out, want), want, (off_t)at);

		if (n <= 0)
			return false;
		buffer_took(out, (size_t)n);
		at += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return true;
}

static bool
head_read(struct daybook *d, struct bytes head)
{
	struct unpack u = unpack_of(bytes_cut(head, sizeof magic, SIZE_MAX));

	if (!bytes_starts(head, (struct bytes){ magic, sizeof magic }))
		return false;
	d->secret.half[0] = unpack_u64(&u);
	d->secret.half[1] = unpack_u64(&u);
	return unpack_u64(&u) == d->number && !u.broken;
}

struct daybook *
daybook_open(int directory, uint64_t number, uint64_t *cut)
{
	char            name[32];
	struct buffer   all = { 0 };
	struct bytes    rest, rows;
	struct stat     st;
	struct daybook *d;
	int             fd, why = EBADMSG;

	daybook_name(number, name);
	fd = openat(directory, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	d = daybook_of(fd, number);
	*cut = 0;
	if (fstat(fd, &st) < 0 || st.st_size < DAYBOOK_HEAD || st.st_size > FILE_MOST)
		goto err0;
	if (!read_all(fd, 0, (uint64_t)st.st_size, &all) || !head_read(d, buffer_bytes(&all)))
		goto err0;
	rest = bytes_cut(buffer_bytes(&all), DAYBOOK_HEAD, SIZE_MAX);
	while (daybook_frame(&rest, &rows))
		know(d, (uint64_t)(rows.at - all.at) - FRAME_HEAD, rows);
	*cut = rest.len;
	d->size = (uint64_t)st.st_size - rest.len;
	if (rest.len > 0 && ftruncate(fd, (off_t)d->size) < 0) {
		why = errno;
		goto err0;
	}
	buffer_free(&all);
	return d;

err0:
	buffer_free(&all);
	daybook_close(&d);
	errno = why;
	return NULL;
}

bool
daybook_block(const struct daybook *d, uint32_t block, struct buffer *out)
{
	uint64_t      from, to;
	struct buffer frames = { 0 };
	struct bytes  rest, rows;
	bool          good;

	if (block >= daybook_blocks(d))
		return false;
	from = *block_at(d, block);
	to = block + 1 < daybook_blocks(d) ? *block_at(d, block + 1) : d->size;
	good = read_all(d->fd, from, to - from, &frames);
	for (rest = buffer_bytes(&frames); good && daybook_frame(&rest, &rows);)
		buffer_add(out, rows);
	buffer_free(&frames);
	return good;
}
