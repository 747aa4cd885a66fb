#include "directory/table_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
open_path(void *ctx, const char *path)
{
	(void)ctx;
	return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

const struct table_source table_source_files = { .open = open_path, .default_type = "hash" };

/* One descriptor may be given to several tables: it is read by place where it has places. */
static ssize_t
read_on(int fd, char *into, size_t room, off_t at)
{
	ssize_t n = pread(fd, into, room, at);

	return n < 0 && errno == ESPIPE ? read(fd, into, room) : n;
}

bool
table_read(const struct table_source *source, const char *path, struct buffer *out,
           struct buffer *errors)
{
	size_t      before = out->len, piece = 65536;
	int         fd = source->open(source->ctx, path);
	ssize_t     n = -1;
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
	    st.st_size < TABLE_FILE_MOST)
		piece = (size_t)st.st_size + 1;
	if (fd >= 0)
		while (out->len - before < TABLE_FILE_MOST &&
		       (n = read_on(fd, buffer_room(out, piece), piece,
		                    (off_t)(out->len - before))) > 0)
			buffer_took(out, (size_t)n);
	if (n != 0)
		buffer_printf(errors, "%s: %s\n", path,
		              n > 0 ? "this is too long for a table; a gigabyte may be"
		                    : strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	return n == 0;
}

void
table_fault(struct table_faults *f, int line, const char *form, ...)
{
	va_list list;

	if (++f->said > TABLE_FAULTS_MOST)
		return;
	if (line > 0)
		buffer_printf(f->to, "%s:%d: ", f->file, line);
	else
		buffer_printf(f->to, "%s: ", f->file);
	va_start(list, form);
	buffer_vprintf(f->to, form, list);
	va_end(list);
	buffer_add_char(f->to, '\n');
	if (f->said == TABLE_FAULTS_MOST)
		buffer_printf(f->to, "%s: and perhaps more of this kind\n", f->file);
}

const char *
table_shown(struct bytes b, char out[static 64])
{
	size_t n = 0;

	for (; n < b.len && n < 40; n++)
		out[n] = b.at[n] < ' ' || b.at[n] > '~' ? '?' : b.at[n];
	(void)snprintf(out + n, 64 - n, "%s", n < b.len ? "..." : "");
	return out;
}

/*
 * Lines
 */

/* The next line that is not empty and no comment, its newline off.  What some editors put before the first
   (U+FEFF) is none of it. */
static bool
physical(struct table_lines *l, struct bytes *line)
{
	size_t at;

	if (l->number == 0 && bytes_starts(l->rest, BYTES("\xef\xbb\xbf")))
		l->rest = bytes_cut(l->rest, 3, l->rest.len);
	while (l->rest.len > 0) {
		const char *end = memchr(l->rest.at, '\n', l->rest.len);
		size_t      n = end == NULL ? l->rest.len : (size_t)(end - l->rest.at);
		*line = (struct bytes){ l->rest.at, n };
		l->rest = bytes_cut(l->rest, n + (end != NULL), l->rest.len);
		l->number++;
		for (at = 0; at < n && table_is_blank(line->at[at]);)
			at++;
		if (at < n && line->at[at] != '#')
			return true;
	}
	return false;
}

/* Most lines are followed by one that begins at once. */
static bool
may_go_on(struct bytes rest)
{
	return rest.len > 0 &&
	       (table_is_blank(rest.at[0]) || rest.at[0] == '\n' || rest.at[0] == '#');
}

/* A line with those that go on with it. */
static bool
logical(struct table_lines *l, struct bytes *line)
{
	struct bytes before, more;
	int          number;

	if (!physical(l, line))
		return false;
	l->first = l->number;
	buffer_reset(&l->joined);
	while (may_go_on(l->rest)) {
		before = l->rest;
		number = l->number;
		if (!physical(l, &more))
			break;
		if (!table_is_blank(more.at[0])) {
			l->rest = before;
			l->number = number;
			break;
		}
		if (l->joined.len == 0)
			buffer_add(&l->joined, *line);
		buffer_add(&l->joined, more);
	}
	if (l->joined.len > 0)
		*line = buffer_bytes(&l->joined);
	return true;
}

/* What stands behind a NUL is not read, as by Postfix: an empty line is one that begins with it. */
bool
table_line(struct table_lines *l, struct bytes *line)
{
	const char *nul;

	if (!logical(l, line))
		return false;
	if ((nul = memchr(line->at, '\0', line->len)) != NULL)
		line->len = (size_t)(nul - line->at);
	return true;
}

void
table_lines_end(struct table_lines *l)
{
	buffer_free(&l->joined);
}

/*
 * Braces
 */

bool
table_unbrace(struct bytes text, struct bytes *inner)
{
	int depth = 0;

	text = bytes_trim(text);
	if (text.len < 2 || text.at[0] != '{' || text.at[text.len - 1] != '}')
		return false;
	/* "{a}}" and "{a}{b}" are not in one pair of braces. */
	for (size_t i = 0; i < text.len; i++) {
		depth += (text.at[i] == '{') - (text.at[i] == '}');
		if (depth == 0 && i + 1 < text.len)
			return false;
	}
	if (depth != 0)
		return false;
	*inner = bytes_trim(bytes_cut(text, 1, text.len - 2));
	return true;
}

static bool
is_between(char c)
{
	return table_is_blank(c) || c == ',' || c == '\n';
}

bool
table_part(struct bytes *rest, struct bytes *part)
{
	size_t n = 0, from = 0;
	int    depth = 0;

	while (from < rest->len && is_between(rest->at[from]))
		from++;
	for (n = from; n < rest->len && (depth > 0 || !is_between(rest->at[n])); n++)
		depth += (rest->at[n] == '{') - (rest->at[n] == '}');
	*part = bytes_cut(*rest, from, n - from);
	*rest = bytes_cut(*rest, n, rest->len);
	return part->len > 0;
}
