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

/* It is looked at once a second whether the file has become long: a kilobyte is. */
enum { RECORD_HEAD = 8, ADDRESS_MOST = 2048, FILE_MOST = 256 << 20, LEAN_FROM = 1024 };

struct sent {
	int           dir, fd;
	const char   *name, *name_new; /* in that directory: the file, and one that is not it yet */
	char         *names;
	uint64_t      end;    /* of the file, as far as it is synced  */
	uint64_t      lean;   /* its end when it had only what is needed */
	struct map   *before; /* letter -> struct buffer of addresses, a NUL behind each */
	struct buffer added;
	struct buffer gathered; /* not durable yet: at work, or the disk did not take it */
	struct buffer needed;   /* what the next file begins with      */
	bool          slims;    /* that takes the place of this one with the next sync   */
	bool          unnamed;  /* it has, but its name may not outlive the power        */
	bool at_work, checked;  /* sent_sync() may be running; sent_clear() came meanwhile */
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

/* The directory, and the two names in it. */
static int
names_make(struct sent *s, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t      n = slash != NULL ? (size_t)(slash - path) : 0;
	const char *name = slash != NULL ? slash + 1 : path;
	size_t      len = strlen(name);
	char       *folder;

	/* Zeroed, so that each of the three ends. */
	s->names = memory_take(n + 1 + len + 1 + len + sizeof ".new");
	folder = s->names;
	memcpy(folder, path, n);
	s->name = memcpy(folder + n + 1, name, len);
	s->name_new = memcpy(folder + n + 1 + len + 1, name, len);
	memcpy(folder + n + 1 + len + 1 + len, ".new", sizeof ".new");
	return open(n > 0 ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* One that has just been made has a name only when that is synced, too.  0 or errno. */
static int
file_open(struct sent *s, const char *path)
{
	s->fd = -1;
	if ((s->dir = names_make(s, path)) < 0)
		return errno;
	s->fd = openat(s->dir, s->name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (s->fd < 0)
		return errno;
	(void)disk_unlink(s->dir, s->name_new, 0); /* what became of nothing */
	s->unnamed = disk_sync_name(s->dir) != 0;
	return 0;
}

struct sent *
sent_open(const char *path, struct buffer *errors)
{
	struct sent  *s = memory_take(sizeof *s);
	struct buffer text = { 0 };
	struct stat   st;

	s->before = map_open();
	if ((errno = file_open(s, path)) == 0 && fstat(s->fd, &st) == 0 &&
	    st.st_size <= FILE_MOST &&
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
	buffer_free(&s->needed);
	if (s->fd >= 0)
		(void)close(s->fd);
	if (s->dir >= 0)
		(void)close(s->dir);
	memory_free(s->names);
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

/* What no address begins with. */
enum { TOLD = 1 };

static const char *
told_name(const char *address, struct buffer *name)
{
	buffer_printf(name, "%c%s", TOLD, address);
	buffer_add_char(name, '\0');
	return name->at;
}

void
sent_told(struct sent *s, uint64_t letter, const char *address)
{
	struct buffer name = { 0 };

	sent_add(s, letter, told_name(address, &name));
	buffer_free(&name);
}

bool
sent_was_told(struct sent *s, uint64_t letter, const char *address)
{
	struct buffer name = { 0 };
	bool          was = sent_before(s, letter, told_name(address, &name));

	buffer_free(&name);
	return was;
}

bool
sent_gather(struct sent *s)
{
	buffer_add(&s->gathered, buffer_bytes(&s->added));
	buffer_reset(&s->added);
	s->at_work = s->gathered.len > 0;
	return s->at_work;
}

/* Whoever loses power finds the one or the other under the name, and each is whole. */
static int
slim(struct sent *s)
{
	int fd = openat(s->dir, s->name_new, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
	                0640);
	int why;

	if (fd < 0)
		return errno;
	why = disk_write(fd, s->needed.at, s->needed.len, 0);
	if (why == 0)
		why = disk_write(fd, s->gathered.at, s->gathered.len, s->needed.len);
	if (why == 0)
		why = disk_sync(fd);
	if (why == 0)
		why = disk_rename(s->dir, s->name_new, s->name);
	if (why != 0) {
		(void)close(fd);
		(void)disk_unlink(s->dir, s->name_new, 0);
		return why;
	}
	(void)close(s->fd);
	s->fd = fd;
	s->lean = s->needed.len;
	s->end = s->lean + s->gathered.len;
	s->unnamed = true;
	return 0;
}

static int
append(struct sent *s)
{
	int why = disk_write(s->fd, s->gathered.at, s->gathered.len, s->end);

	if (why == 0)
		why = disk_sync(s->fd);
	if (why == 0)
		s->end += s->gathered.len;
	return why;
}

int
sent_sync(struct sent *s)
{
	bool slims = s->slims;
	int  why = 0;

	s->slims = false;
	if (!slims || slim(s) != 0)
		why = append(s);
	if (why != 0)
		return why;
	buffer_reset(&s->gathered);
	if (s->unnamed && (why = disk_sync_name(s->dir)) == 0)
		s->unnamed = false;
	return why;
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
needed_make(struct sent *s)
{
	buffer_reset(&s->needed);
	for (struct map_place p = { 0 }; map_next(s->before, &p);) {
		struct bytes rest = buffer_bytes(p.value), one;
		uint64_t     letter;

		memcpy(&letter, p.key.at, sizeof letter);
		while (bytes_split(&rest, '\0', &one))
			if (one.len > 0)
				record_add(&s->needed, letter, one);
	}
	s->slims = true;
}

/* What is in the file, and what the disk did not take, is in the ledger. */
static void
trim(struct sent *s)
{
	s->checked = false;
	buffer_reset(&s->gathered);
	s->slims = false;
	if (s->end == 0)
		return;
	if (map_count(s->before) == 0 && disk_cut(s->fd, 0) == 0)
		s->end = s->lean = 0;
	else if (s->end > LEAN_FROM + 2 * s->lean)
		needed_make(s);
}

void
sent_synced(struct sent *s)
{
	s->at_work = false;
	if (s->checked)
		trim(s);
}

void
sent_clear(struct sent *s)
{
	buffer_reset(&s->added);
	s->checked = true;
	if (!s->at_work)
		trim(s);
}
