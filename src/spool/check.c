/* check.c -- `mansio store check` and `mansio store dump`, the log's part (spool.h) */
#include "spool/spool.h"

#include "base/map.h"
#include "message/envelope.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ENVELOPE_MOST ((uint64_t)256 << 20)

struct check {
	struct buffer *out;
	size_t         complaints;
	char           file[24];
	int            fd;
	struct map    *contents;  /* letters whose content was seen          */
	struct map    *envelopes; /* letters whose envelope was seen         */
	struct arena  *scratch;
};

static void complain(struct check *, uint64_t at, const char *form, ...)
	__attribute__((format(printf, 3, 4)));

static void
complain(struct check *c, uint64_t at, const char *form, ...)
{
	va_list args;

	c->complaints++;
	buffer_printf(c->out, "%s: offset %" PRIu64 ": ", c->file, at);
	va_start(args, form);
	buffer_vprintf(c->out, form, args);
	va_end(args);
	buffer_add_char(c->out, '\n');
}

static void
check_damage(void *ctx, uint64_t at, const char *why)
{
	complain(ctx, at, "%s", why);
}

static bool
check_record(void *ctx, const struct record *r)
{
	struct check   *c = ctx;
	struct bytes    packed;
	struct envelope e;

	if (r->type == RECORD_CONTENT) {
		(void)map_put(c->contents, map_number(&r->letter), c);
		return true;
	}
	(void)map_put(c->envelopes, map_number(&r->letter), c);
	arena_clear(c->scratch);
	if (record_read(c->fd, r->at, RECORD_ENVELOPE, r->letter, c->scratch, ENVELOPE_MOST,
	                &packed) == NULL)
		complain(c, r->at, "letter %010" PRIX64 ": its envelope cannot be read: %s",
		         r->letter, strerror(errno));
	else if (!envelope_unpack(packed, c->scratch, &e))
		complain(c, r->at,
		         "letter %010" PRIX64 ": its envelope is broken or of an unknown version",
		         r->letter);
	else if (e.letter != r->letter)
		complain(c, r->at,
		         "letter %010" PRIX64 ": its envelope is that of letter %010" PRIX64,
		         r->letter, e.letter);
	return true;
}

static void
check_segment(struct check *c, int dir)
{
	uint64_t         good;
	enum segment_end end;

	if ((c->fd = openat(dir, c->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0) {
		complain(c, 0, "%s", strerror(errno));
		return;
	}
	end = segment_scan(c->fd, 0, true, check_record, check_damage, c, &good);
	if (end == SEGMENT_END_ALIEN)
		complain(c, 0, "not a segment, or of a version this program does not know");
	else {
		char                 head[SEGMENT_HEADER];
		struct segment_title title;
		if (pread(c->fd, head, sizeof head, 0) == SEGMENT_HEADER &&
		    segment_title_read(head, &title) &&
		    title.number != (uint32_t)strtoul(c->file, NULL, 16))
			complain(c, 0, "its header says it is segment %08x", title.number);
	}
	(void)close(c->fd);
}

static int
is_segment(const struct dirent *e)
{
	return strlen(e->d_name) == 12 && strspn(e->d_name, "0123456789abcdef") == 8 &&
	       strcmp(e->d_name + 8, ".seg") == 0;
}

static void
check_pairs(struct check *c)
{
	for (struct map_place p = { 0 }; map_next(c->envelopes, &p);) {
		uint64_t letter;
		if (map_get(c->contents, p.key) != NULL)
			continue;
		memcpy(&letter, p.key.at, sizeof letter);
		(void)snprintf(c->file, sizeof c->file, "%08x.seg", letter_segment(letter));
		complain(c, letter_offset(letter),
		         "letter %010" PRIX64 " has an envelope but no content", letter);
	}
}

size_t
spool_check(int dir, struct buffer *out)
{
	struct check    c = { .out = out,
		              .contents = map_open(),
		              .envelopes = map_open(),
		              .scratch = arena_open(NULL) };
	struct dirent **name = NULL;
	int             n = scandirat(dir, ".", &name, is_segment, alphasort);

	if (n < 0) {
		(void)snprintf(c.file, sizeof c.file, "segments");
		complain(&c, 0, "%s", strerror(errno));
	}
	for (int i = 0; i < n; i++) {
		(void)snprintf(c.file, sizeof c.file, "%.12s", name[i]->d_name);
		check_segment(&c, dir);
		free(name[i]);
	}
	free(name);
	check_pairs(&c);
	map_close(&c.contents);
	map_close(&c.envelopes);
	arena_close(&c.scratch);
	return c.complaints;
}

/* ---- dump ---- */

static void
dump_envelope(struct check *c, const struct record *r)
{
	struct bytes    packed;
	struct envelope e;

	arena_clear(c->scratch);
	if (record_read(c->fd, r->at, RECORD_ENVELOPE, r->letter, c->scratch, ENVELOPE_MOST,
	                &packed) == NULL ||
	    !envelope_unpack(packed, c->scratch, &e)) {
		buffer_add_string(c->out, " (cannot be read)");
		return;
	}
	buffer_printf(c->out, " from=<%.*s>", (int)e.sender.len, e.sender.at);
	for (uint32_t i = 0; i < e.recipients && i < 20; i++)
		buffer_printf(c->out, " to=<%.*s>", (int)e.recipient[i].address.len,
		              e.recipient[i].address.at);
	if (e.recipients > 20)
		buffer_printf(c->out, " and %u more", e.recipients - 20);
	buffer_printf(c->out, " client=%.*s prefix=%zu digest=%zu", (int)e.client.len, e.client.at,
	              e.prefix.len, e.digest.len);
}

static bool
dump_record(void *ctx, const struct record *r)
{
	struct check *c = ctx;

	buffer_printf(c->out, "%12" PRIu64 "  %-8s  %010" PRIX64 "  %" PRIu64, r->at,
	              r->type == RECORD_CONTENT ? "content" : "envelope", r->letter, r->body_len);
	if (r->type == RECORD_ENVELOPE)
		dump_envelope(c, r);
	buffer_add_char(c->out, '\n');
	return true;
}

bool
spool_dump(int fd, struct buffer *out)
{
	static const char *const ends[] = {
		[SEGMENT_END_SEALED] = "sealed",
		[SEGMENT_END_OPEN] = "open",
		[SEGMENT_END_TORN] = "torn",
		[SEGMENT_END_UNREAD] = "unreadable",
	};
	static const char *const purposes[] = {
		[SEGMENT_SMALL] = "letters",
		[SEGMENT_OWN] = "one large letter",
		[SEGMENT_COMPACTION] = "compaction",
	};
	struct check         c = { .out = out, .fd = fd, .file = "segment" };
	char                 head[SEGMENT_HEADER], made[32] = "";
	struct segment_title title;
	struct tm            tm;
	time_t               t;
	uint64_t             good;
	enum segment_end     end;

	if (pread(fd, head, sizeof head, 0) != SEGMENT_HEADER || !segment_title_read(head, &title))
		return false;
	t = (time_t)title.made;
	if (gmtime_r(&t, &tm) != NULL)
		(void)strftime(made, sizeof made, "%Y-%m-%dT%H:%M:%SZ", &tm);
	buffer_printf(out, "segment %08x, version %u, made %s, for %s\n", title.number,
	              title.version, made, purposes[title.purpose]);
	c.scratch = arena_open(NULL);
	end = segment_scan(fd, 0, true, dump_record, check_damage, &c, &good);
	arena_close(&c.scratch);
	buffer_printf(out, "%12" PRIu64 "  %s\n", good, ends[end]);
	return true;
}

#undef ENVELOPE_MOST
