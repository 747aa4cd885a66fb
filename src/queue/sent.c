#include "queue/sent.h"
#include "base/arena.h"
#include "base/checksum.h"
#include "base/journal.h"
#include "base/map.h"
#include "base/pack.h"
#include "spool/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORD_HEAD = 8, ADDRESS_MOST = 2048, FILE_MOST = 256 << 20, LEAN_FROM = 1 << 20 };

struct sent {
	int           fd;
	uint64_t      end;    /* of the file, as far as it is whole   */
	uint64_t      lean;   /* its end when it had only what is needed */
	struct map   *before; /* letter -> struct buffer of addresses, a NUL behind each */
	struct buffer added, gathered;
};

/* Checksum of the rest, its length, the letter, the address. */
static void
record_add(struct buffer *out, uint64_t letter, struct bytes address)
{
	struct buffer body = { 0 };

	pack_u64(&body, letter);
	buffer_add(&body, address);
	pack_u32(out, checksum_of(buffer_bytes(&body)));
	pack_u32(out, (uint32_t)body.len);
	buffer_add(out, buffer_bytes(&body));
	buffer_free(&body);
}

static void
before_add(struct sent *s, uint64_t letter, struct bytes address)
{
	struct buffer *list = map_get(s->before, map_number(&letter));

	if (list == NULL) {
		list = memory_take(sizeof *list);
		(void)map_put(s->before, map_number(&letter), list);
	}
	buffer_add(list, address);
	buffer_add_char(list, '\0');
}

/* Up to the first record that is not whole. */
static void
records_read(struct sent *s, struct bytes text)
{
	while (text.len >= RECORD_HEAD) {
		struct unpack u = unpack_of(text);
		uint32_t      sum = unpack_u32(&u), len = unpack_u32(&u);
		struct bytes  body = bytes_cut(text, RECORD_HEAD, len);

		if (len < 8 || len > 8 + ADDRESS_MOST || body.len < len ||
		    checksum_of(body) != sum || bytes_find(bytes_cut(body, 8, SIZE_MAX), '\0') >= 0)
			break;
		u = unpack_of(body);
		before_add(s, unpack_u64(&u), bytes_cut(body, 8, SIZE_MAX));
		text = bytes_cut(text, RECORD_HEAD + (size_t)len, SIZE_MAX);
		s->end += RECORD_HEAD + len;
	}
}

struct sent *
sent_open(const char *path, struct buffer *errors)
{
	struct sent  *s = memory_take(sizeof *s);
	struct buffer text = { 0 };
	struct stat   st;

	s->before = map_open();
	s->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (s->fd >= 0 && fstat(s->fd, &st) == 0 && st.st_size <= FILE_MOST &&
	    (errno = disk_read(s->fd, buffer_room(&text, (size_t)st.st_size + 1),
	                       (size_t)st.st_size, 0)) == 0) {
		buffer_took(&text, (size_t)st.st_size);
		records_read(s, buffer_bytes(&text));
	} else {
		buffer_printf(errors, "%s: %s\n", path,
		              s->fd >= 0 && errno == 0 ? "too large" : strerror(errno));
		sent_close(&s);
	}
	buffer_free(&text);
	return s;
}

void
sent_close(struct sent **sp)
{
	struct sent *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	for (struct map_place p = { 0 }; map_next(s->before, &p);) {
		buffer_free(p.value);
		memory_free(p.value);
	}
	map_close(&s->before);
	buffer_free(&s->added);
	buffer_free(&s->gathered);
	if (s->fd >= 0)
		(void)close(s->fd);
	memory_free(s);
}

bool
sent_before(struct sent *s, uint64_t letter, const char *address)
{
	struct buffer *list = map_get(s->before, map_number(&letter));
	struct bytes   rest, one;
	size_t         n = strlen(address) + 1;

	if (list == NULL)
		return false;
	rest = buffer_bytes(list);
	while (bytes_split(&rest, '\0', &one)) {
		if (one.len + 1 != n || memcmp(one.at, address, n) != 0)
			continue;
		memmove((char *)(uintptr_t)one.at, one.at + n,
		        (size_t)(list->at + list->len - (one.at + n)));
		list->len -= n;
		if (list->len == 0)
			sent_finished(s, letter);
		return true;
	}
	return false;
}

void
sent_finished(struct sent *s, uint64_t letter)
{
	struct buffer *list = map_drop(s->before, map_number(&letter));

	if (list != NULL)
		buffer_free(list);
	memory_free(list);
}

void
sent_add(struct sent *s, uint64_t letter, const char *address)
{
	record_add(&s->added, letter, bytes_cut(bytes_of(address), 0, ADDRESS_MOST));
}

bool
sent_gather(struct sent *s)
{
	struct buffer was = s->gathered;

	s->gathered = s->added;
	s->added = was;
	buffer_reset(&s->added);
	return s->gathered.len > 0;
}

int
sent_sync(struct sent *s)
{
	int why = disk_write(s->fd, s->gathered.at, s->gathered.len, s->end);

	s->end += s->gathered.len;
	return why == 0 ? disk_sync(s->fd) : why;
}

void
sent_keep(struct sent *s, bool (*known)(void *ctx, uint64_t letter), void *ctx)
{
	for (struct map_place p = { 0 }; map_next(s->before, &p);) {
		uint64_t letter;

		memcpy(&letter, p.key.at, sizeof letter);
		if (!known(ctx, letter))
			sent_finished(s, letter);
	}
}

/* Somebody who has it is not asked about, one that is held: for as long as that takes the rest does not stay, too. */
static void
sent_slim(struct sent *s)
{
	struct buffer needed = { 0 };

	for (struct map_place p = { 0 }; map_next(s->before, &p);) {
		struct bytes rest = buffer_bytes(p.value), one;
		uint64_t     letter;

		memcpy(&letter, p.key.at, sizeof letter);
		while (bytes_split(&rest, '\0', &one))
			if (one.len > 0)
				record_add(&needed, letter, one);
	}
	if (disk_write(s->fd, needed.at, needed.len, 0) == 0) {
		/* What is behind is not read in order any more, cut or not: the next is written here. */
		s->end = s->lean = needed.len;
		if (disk_sync(s->fd) == 0)
			(void)disk_cut(s->fd, needed.len);
	}
	buffer_free(&needed);
}

void
sent_clear(struct sent *s)
{
	buffer_reset(&s->added);
	if (s->end == 0)
		return;
	if (map_count(s->before) == 0 && disk_cut(s->fd, 0) == 0)
		s->end = s->lean = 0;
	else if (s->end > LEAN_FROM + 2 * s->lean)
		sent_slim(s);
}
