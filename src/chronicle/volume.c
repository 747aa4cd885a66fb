#include "chronicle/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/checksum.h"
#include "base/file.h"

enum {
	PLACE = 6, /* u32 of the key, u16 of the block, both with the high byte first */
	WHERE = 8, /* of a block                               */
	BLOCK_HEAD = 12,
	BLOCK_MOST = DAYBOOK_BLOCK + DAYBOOK_FRAME_MOST + 64,
	PAGE = 4096 / PLACE, /* places that are read at once             */
};
static const char magic[8] = { 'M', 'A', 'N', 'S', 'V', 'O', 'L', '1' };

void
volume_name(uint64_t number, char out[static 32])
{
	(void)snprintf(out, 32, "%010" PRIu64 ".volume", number);
}

/*
 * Writing
 */

static int
compare_places(const void *a, const void *b)
{
	key_place x = *(const key_place *)a, y = *(const key_place *)b;

	return (x > y) - (x < y);
}

static void
big(struct buffer *b, uint64_t n, int bytes)
{
	while (bytes-- > 0)
		buffer_add_char(b, (char)(n >> 8 * bytes & 0xff));
}

/* Sorted, each once. */
static uint32_t
write_places(const struct daybook *d, struct buffer *out)
{
	struct buffer sorted = { 0 };
	size_t        count = d->places.len / sizeof(key_place);
	uint64_t      last = 0;
	uint32_t      written = 0;

	buffer_add(&sorted, buffer_bytes(&d->places));
	if (count > 0)
		qsort(sorted.at, count, sizeof(key_place), compare_places);
	for (size_t i = 0; i < count; i++) {
		key_place p;
		uint64_t  six;

		memcpy(&p, sorted.at + i * sizeof p, sizeof p);
		six = p >> 32 << 16 | (p & 0xffff);
		if (written > 0 && six == last)
			continue;
		big(out, six, PLACE);
		last = six;
		written++;
	}
	buffer_free(&sorted);
	return written;
}

static bool
write_block(const struct daybook *d, uint32_t block, struct buffer *rows, struct buffer *out)
{
	int n, most;

	buffer_reset(rows);
	if (!daybook_block(d, block, rows) || rows->len > BLOCK_MOST)
		return false;
	most = LZ4_compressBound((int)rows->len);
	pack_u32(out, (uint32_t)rows->len);
	n = LZ4_compress_default(rows->at, buffer_room(out, (size_t)most + 8) + 8, (int)rows->len,
	                         most);
	if (n <= 0)
		return false;
	pack_u32(out, (uint32_t)n);
	pack_u32(out, 0);
	buffer_took(out, (size_t)n);
	return true;
}

static void
put_checksum(struct buffer *out, size_t at)
{
	struct buffer sum = { 0 };

	pack_u32(&sum, checksum_of(bytes_cut(buffer_bytes(out), at + BLOCK_HEAD, SIZE_MAX)));
	memcpy(out->at + at + 8, sum.at, sum.len);
	buffer_free(&sum);
}

static bool
compose(const struct daybook *d, struct buffer *out)
{
	struct buffer rows = { 0 }, where = { 0 };
	uint64_t      blocks_at, places_at;
	uint32_t      places;
	bool          good = true;

	buffer_add(out, (struct bytes){ magic, sizeof magic });
	for (uint32_t i = 0; good && i < daybook_blocks(d); i++) {
		size_t at = out->len;

		pack_u64(&where, at);
		if ((good = write_block(d, i, &rows, out)))
			put_checksum(out, at);
	}
	blocks_at = out->len;
	buffer_add(out, buffer_bytes(&where));
	places_at = out->len;
	places = write_places(d, out);
	pack_u64(out, d->number);
	pack_u64(out, d->secret.half[0]);
	pack_u64(out, d->secret.half[1]);
	pack_i64(out, d->first_us);
	pack_i64(out, d->last_us);
	pack_u64(out, d->events);
	pack_u64(out, blocks_at);
	pack_u64(out, places_at);
	pack_u32(out, daybook_blocks(d));
	pack_u32(out, places);
	pack_u32(out,
	         checksum_of(bytes_cut(buffer_bytes(out), out->len - (VOLUME_FOOT - 4), SIZE_MAX)));
	buffer_free(&rows);
	buffer_free(&where);
	return good;
}

int
volume_write(int directory, const struct daybook *d)
{
	static const char fresh[] = "volume.new";
	struct buffer     out = { 0 };
	char              name[32];
	int               fd, why = EIO;

	if (daybook_blocks(d) > VOLUME_BLOCKS_MOST || !compose(d, &out))
		goto err0;
	volume_name(d->number, name);
	fd = openat(directory, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		why = errno;
		goto err0;
	}
	why = file_write(fd, buffer_bytes(&out));
	if (why == 0 && fdatasync(fd) < 0)
		why = errno;
	(void)close(fd);
	if (why == 0 && renameat(directory, fresh, directory, name) < 0)
		why = errno;
	if (why != 0)
		(void)unlinkat(directory, fresh, 0);
	else
		(void)fsync(directory);
err0:
	buffer_free(&out);
	return why;
}

/*
 * Reading
 */

static bool
read_at(const struct volume *v, uint64_t at, char *out, size_t len)
{
	while (len > 0) {
		ssize_t n = pread(v->fd, out, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		out += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return true;
}

/* What the foot says must fit the file, all of it. */
static bool
foot_read(struct volume *v, struct bytes foot)
{
	struct unpack u = unpack_of(foot);
	uint64_t      number = unpack_u64(&u), end = v->size - VOLUME_FOOT;

	v->secret.half[0] = unpack_u64(&u);
	v->secret.half[1] = unpack_u64(&u);
	v->first_us = unpack_i64(&u);
	v->last_us = unpack_i64(&u);
	v->events = unpack_u64(&u);
	v->blocks_at = unpack_u64(&u);
	v->places_at = unpack_u64(&u);
	v->blocks = unpack_u32(&u);
	v->places = unpack_u32(&u);
	return unpack_u32(&u) == checksum_of(bytes_cut(foot, 0, foot.len - 4)) && unpack_done(&u) &&
	       number == v->number && v->blocks_at >= sizeof magic && v->blocks_at <= end &&
	       v->places_at <= end && v->blocks <= VOLUME_BLOCKS_MOST &&
	       v->places_at == v->blocks_at + (uint64_t)v->blocks * WHERE &&
	       end == v->places_at + (uint64_t)v->places * PLACE;
}

struct volume *
volume_open(int directory, uint64_t number)
{
	struct volume *v = memory_take(sizeof *v);
	char           name[32], head[sizeof magic], foot[VOLUME_FOOT];
	struct stat    st;

	volume_name(number, name);
	v->number = number;
	v->fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (v->fd < 0) {
		memory_free(v);
		return NULL;
	}
	if (fstat(v->fd, &st) == 0)
		v->size = (uint64_t)st.st_size;
	if (v->size < sizeof magic + VOLUME_FOOT || !read_at(v, 0, head, sizeof head) ||
	    memcmp(head, magic, sizeof magic) != 0 ||
	    !read_at(v, v->size - VOLUME_FOOT, foot, VOLUME_FOOT) ||
	    !foot_read(v, (struct bytes){ foot, VOLUME_FOOT })) {
		volume_close(&v);
		errno = EBADMSG;
	}
	return v;
}

void
volume_close(struct volume **vp)
{
	struct volume *v = *vp;

	*vp = NULL;
	if (v == NULL)
		return;
	(void)close(v->fd);
	memory_free(v);
}

/* Places from..from+count of the sorted row; those that are there. */
static uint32_t
read_places(const struct volume *v, uint32_t from, char page[static PAGE * PLACE])
{
	uint32_t count = v->places - from < PAGE ? v->places - from : PAGE;

	return read_at(v, v->places_at + (uint64_t)from * PLACE, page, (size_t)count * PLACE)
	               ? count
	               : 0;
}

static uint64_t
place_at(const char *page, uint32_t i)
{
	const unsigned char *p = (const unsigned char *)page + (size_t)i * PLACE;
	uint64_t             n = 0;

	for (int b = 0; b < PLACE; b++)
		n = n << 8 | p[b];
	return n;
}

/* So many of a page's places are below. */
static uint32_t
below(const char *page, uint32_t count, uint64_t six)
{
	uint32_t low = 0, high = count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (place_at(page, middle) < six)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The first place that is not below.  Hashes are spread evenly, so it is near where their height says; each step reads
   one page and halves the rest where that guess is wrong. */
static bool
find_first(const struct volume *v, uint64_t six, uint32_t *first)
{
	char     page[PAGE * PLACE];
	uint32_t low = 0, high = v->places; /* it is in low..high */
	bool     guesses = true;

	while (low < high) {
		uint32_t span = high - low, count, at, n;

		if (guesses) {
			at = (uint32_t)((six >> 16) * v->places >> 32);
			at = at > PAGE / 2 ? at - PAGE / 2 : 0;
			at = at < low ? low : at >= high ? high - 1 : at;
		} else {
			at = span <= PAGE ? low : low + span / 2;
		}
		guesses = false;
		if ((count = read_places(v, at, page)) == 0)
			return false;
		if (place_at(page, 0) >= six && at > low) {
			high = at;
			continue;
		}
		n = below(page, count, six);
		if (n < count) {
			*first = at + n;
			return true;
		}
		low = at + count;
	}
	*first = low;
	return true;
}

bool
volume_blocks_of(const struct volume *v, uint64_t key, struct buffer *out)
{
	uint64_t top = key >> 32 << 16;
	char     page[PAGE * PLACE];
	uint32_t at, count;

	if (!find_first(v, top, &at))
		return false;
	for (; at < v->places; at += count) {
		if ((count = read_places(v, at, page)) == 0)
			return false;
		for (uint32_t i = 0; i < count; i++) {
			uint64_t six = place_at(page, i);
			uint32_t block = (uint32_t)(six & 0xffff);

			if (six >> 16 != top >> 16)
				return true;
			if (block < v->blocks)
				buffer_add(out,
				           (struct bytes){ (const char *)&block, sizeof block });
		}
	}
	return true;
}

bool
volume_block(const struct volume *v, uint32_t block, struct buffer *out)
{
	char          where[WHERE], head[BLOCK_HEAD];
	struct buffer packed = { 0 };
	struct unpack u;
	uint64_t      at;
	uint32_t      len, small, sum;
	bool          good = false;

	if (block >= v->blocks || !read_at(v, v->blocks_at + (uint64_t)block * WHERE, where, WHERE))
		return false;
	u = unpack_of((struct bytes){ where, WHERE });
	at = unpack_u64(&u);
	if (at > v->blocks_at || v->blocks_at - at < BLOCK_HEAD ||
	    !read_at(v, at, head, BLOCK_HEAD))
		return false;
	u = unpack_of((struct bytes){ head, BLOCK_HEAD });
	len = unpack_u32(&u);
	small = unpack_u32(&u);
	sum = unpack_u32(&u);
	if (len > BLOCK_MOST || small > v->blocks_at - at - BLOCK_HEAD ||
	    !read_at(v, at + BLOCK_HEAD, buffer_room(&packed, small), small))
		goto out;
	buffer_took(&packed, small);
	good = checksum_of(buffer_bytes(&packed)) == sum &&
	       LZ4_decompress_safe(packed.at, buffer_room(out, len), (int)small, (int)len) ==
	               (int)len;
	if (good)
		buffer_took(out, len);
out:
	buffer_free(&packed);
	return good;
}
