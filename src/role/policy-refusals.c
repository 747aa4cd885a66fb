/* policy-refusals.c -- refusals under their ids, appended to one file until it is full; then it becomes the file before */
#include "role/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base32.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/journal.h"
#include "base/random.h"

enum {
	FILE_MOST = 8 << 20,
	TEXT_MOST = 8 << 10,
	PATH_ROOM = 1024,
	HEAD = 8, /* "refusal\n" */
};
static const int64_t file_ages_s = INT64_C(86400) * 7;

/* A record is u32 length of the rest, id, i64 seconds, text; files refusals and refusals.before. */
struct refusals {
	char    now[PATH_ROOM], before[PATH_ROOM];
	int     fd;
	int64_t since_s; /* the file's first record */
	bool    failing;
};

static void
complain(struct refusals *r, const char *what)
{
	if (!r->failing)
		warn_("%s: %s: %s; refusals are not remembered", r->now, what, strerror(errno));
	r->failing = true;
}

static void
begin_file(struct refusals *r)
{
	r->fd = open(r->now, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	r->since_s = clock_wall_us() / 1000000;
	if (r->fd < 0)
		complain(r, "open");
}

struct refusals *
refusals_open(const char *directory)
{
	struct refusals *r = memory_take(sizeof *r);
	struct stat      st;

	(void)snprintf(r->now, sizeof r->now, "%s/refusals", directory);
	(void)snprintf(r->before, sizeof r->before, "%s/refusals.before", directory);
	begin_file(r);
	/* What a crash left half written ends what can be read of that file. */
	if (r->fd >= 0 && fstat(r->fd, &st) == 0 && st.st_size > 0)
		r->since_s = st.st_mtim.tv_sec;
	return r;
}

void
refusals_close(struct refusals **rp)
{
	struct refusals *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	if (r->fd >= 0)
		(void)close(r->fd);
	memory_free(r);
}

static void
turn_over(struct refusals *r)
{
	(void)close(r->fd);
	if (rename(r->now, r->before) < 0)
		(void)unlink(r->now);
	begin_file(r);
}

void
refusals_add(struct refusals *r, struct bytes id, struct bytes text)
{
	struct buffer b = { 0 };
	struct stat   st;
	int64_t       now = clock_wall_us() / 1000000;

	if (r == NULL || r->fd < 0)
		return;
	if (fstat(r->fd, &st) == 0 && (st.st_size > FILE_MOST || now - r->since_s > file_ages_s))
		turn_over(r);
	text = bytes_cut(text, 0, TEXT_MOST);
	pack_u32(&b, (uint32_t)(4 + id.len + 8 + 4 + text.len));
	pack_bytes(&b, id);
	pack_i64(&b, now);
	pack_bytes(&b, text);
	if (r->fd >= 0 && write(r->fd, b.at, b.len) != (ssize_t)b.len)
		complain(r, "write");
	buffer_free(&b);
}

static bool
find_in(const char *path, struct bytes id, struct buffer *out)
{
	struct buffer all = { 0 };
	struct unpack u;
	int           fd = open(path, O_RDONLY | O_CLOEXEC);
	bool          found = false;

	if (fd >= 0) {
		(void)file_read(fd, FILE_MOST + 2 * TEXT_MOST, &all);
		(void)close(fd);
	}
	u = unpack_of(buffer_bytes(&all));
	while (!found && !u.broken && u.rest.len > 0) {
		uint32_t     len = unpack_u32(&u);
		struct bytes is = unpack_bytes(&u);
		int64_t      when = (int64_t)unpack_u64(&u);
		struct bytes text = unpack_bytes(&u);
		char         date[64];

		(void)len;
		if (u.broken || !bytes_equal_nocase(is, id))
			continue;
		clock_rfc5322(when, date, sizeof date);
		buffer_printf(out, "%s\n%.*s", date, (int)text.len, text.at);
		found = true;
	}
	buffer_free(&all);
	return found;
}

bool
refusals_find(struct refusals *r, struct bytes id, struct buffer *out)
{
	return r != NULL && (find_in(r->now, id, out) || find_in(r->before, id, out));
}

void
refusal_id(char out[static REFUSAL_ID_ROOM])
{
	static const char letters[] = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
	uint64_t          n = random_number();

	out[0] = 'P';
	for (int i = 1; i <= 10; i++, n >>= 5)
		out[i] = letters[n & 31];
	out[11] = '\0';
}

static void
describe(struct buffer *out, const char *what, struct bytes value)
{
	if (value.len == 0)
		return;
	buffer_printf(out, "  %s: ", what);
	for (size_t i = 0; i < value.len && i < 300; i++)
		buffer_add_char(out, (unsigned char)value.at[i] < ' ' ? '?' : value.at[i]);
	buffer_add_char(out, '\n');
}

void
refusal_describe(const struct rule_facts *f, const struct rule_verdict *v, struct bytes trace,
                 struct buffer *out)
{
	buffer_printf(out, "%.*s\n", (int)v->reply.len, v->reply.at);
	describe(out, "rule", v->rule);
	describe(out, trace.len > 0 ? "list" : "at", v->list);
	describe(out, "listener", f->listener);
	describe(out, "client", f->address);
	describe(out, "client's name", f->name);
	describe(out, "hello", f->helo);
	describe(out, "sender", f->has_sender && f->sender.len == 0 ? BYTES("<>") : f->sender);
	describe(out, "recipient", f->recipient);
	describe(out, "user", f->user);
	if (trace.len > 0)
		buffer_add_string(out, "what was asked:\n");
	buffer_add(out, trace);
}
