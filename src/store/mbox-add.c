/* mbox-add.c -- a letter comes into an mbox (mbox.h, driver.h) */
#include "store/mbox.h"

#include "spool/disk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The sender for the From line: of Return-Path, when that stands first. */
static struct bytes
sender_of(struct bytes text)
{
	struct bytes line, path = BYTES("Return-Path: <");
	ptrdiff_t    end;

	if (!bytes_split(&text, '\n', &line) || !bytes_starts_nocase(line, path))
		return BYTES("MAILER-DAEMON");
	line = bytes_cut(line, path.len, line.len);
	end = bytes_find(line, '>');
	if (end <= 0 || bytes_find(bytes_cut(line, 0, (size_t)end), ' ') >= 0)
		return BYTES("MAILER-DAEMON");
	return bytes_cut(line, 0, (size_t)end);
}

static int
read_source(const struct source *source, struct buffer *out)
{
	char *room = buffer_room(out, (size_t)source->size + 1);
	int   why = source->size > 0 ? source->read(source->ctx, 0, room, (size_t)source->size) : 0;

	if (why == 0)
		buffer_took(out, (size_t)source->size);
	return why;
}

static void
write_state(struct folder *f, uint64_t flags, struct buffer *out)
{
	struct buffer words = { 0 };

	mbox_keyword_words(f->mailbox, flags, &words);
	mbox_state_write(flags & SYSTEM_FLAGS, false, buffer_bytes(&words), MBOX_STATE_ROOM, out);
	buffer_free(&words);
}

/* From line, status fields before the empty line, quoting; LF, if nothing is lost by it. */
static void
write_letter(struct folder *f, struct bytes text, const struct file *file, int64_t date,
             struct buffer *out)
{
	struct bytes sender = sender_of(text), line;
	struct tm    tm;
	size_t       skip;
	char         when[64];
	time_t       at = (time_t)date;
	bool         header = true;

	(void)gmtime_r(&at, &tm);
	(void)strftime(when, sizeof when, "%a %b %e %H:%M:%S %Y", &tm);
	buffer_printf(out, "From %.*s %s\n", (int)(sender.len < 400 ? sender.len : 400), sender.at,
	              when);
	while (bytes_split(&text, '\n', &line)) {
		if (text.at == NULL && line.len == 0)
			break;
		if (!file->plain && line.len > 0 && line.at[line.len - 1] == '\r')
			line.len--;
		if (header && mbox_bare(line).len == 0) {
			write_state(f, file->flags, out);
			header = false;
		}
		if (mbox_needs_quote(line))
			buffer_add_char(out, '>');
		else if (header && mbox_is_kept(line, &skip))
			buffer_add_string(out, "X-Kept-");
		buffer_add(out, line);
		buffer_add_char(out, '\n');
	}
	if (header)
		write_state(f, file->flags, out);
	buffer_add_char(out, '\n');
}

/* Whether this is what was given, with LF for CRLF unless it is kept as it stands. */
static bool
is_same(struct bytes given, struct bytes plain, const struct file *file)
{
	size_t j = 0;

	plain.len -= file->cut <= plain.len ? file->cut : plain.len;
	if (file->plain)
		return bytes_equal(given, plain);
	for (size_t i = 0; i < given.len; i++) {
		if (given.at[i] == '\r' && i + 1 < given.len && given.at[i + 1] == '\n')
			continue;
		if (j == plain.len || plain.at[j++] != given.at[i])
			return false;
	}
	return j == plain.len;
}

/* What was added can be read back as it was given, or it is not added. */
static bool
reads_back(const struct buffer *written, struct bytes given, const struct file *file,
           struct mbox_letter *l)
{
	struct mbox_text t = { .at = written->at, .len = written->len };
	struct buffer    plain = { 0 };
	bool             same = mbox_letter_next(&t, 0, l) && l->end == t.len;

	if (same)
		mbox_letter_plain(&t, l, &plain);
	same = same && is_same(given, buffer_bytes(&plain), file);
	buffer_free(&plain);
	return same;
}

/* No empty line is in it; in the mbox there is one. */
static bool
is_header_only(struct bytes text)
{
	struct bytes line;

	while (bytes_split(&text, '\n', &line) && (text.at != NULL || line.len > 0))
		if (mbox_bare(line).len == 0)
			return false;
	return true;
}

static int
append_text(int fd, const struct buffer *out, uint64_t *at)
{
	struct stat st;
	char        tail[2] = { '\n', '\n' };
	size_t      gap = 0;
	int         why;

	if (fstat(fd, &st) < 0)
		return errno;
	*at = (uint64_t)st.st_size;
	if (st.st_size >= 2 && (why = disk_read(fd, tail, 2, *at - 2)) != 0)
		return why;
	if (st.st_size > 0 && (tail[1] != '\n' || tail[0] != '\n'))
		gap = tail[1] == '\n' ? 1 : 2;
	why = disk_write(fd, "\n\n", gap, *at);
	if (why == 0)
		why = disk_write(fd, out->at, out->len, *at + gap);
	if (why == 0)
		why = disk_sync(fd);
	if (why != 0)
		(void)disk_cut(fd, *at);
	*at += gap;
	return why;
}

static void
take_name(struct folder *f, struct file *file, struct mbox_letter *l)
{
	char name[MBOX_NAME_BYTES * 2 + 24];
	int  n = 1;

	(void)snprintf(name, sizeof name, "%s", l->name);
	while (map_get(f->by_name, bytes_of(name)) != NULL ||
	       (f->strangers != NULL && map_get(f->strangers, bytes_of(name)) != NULL))
		(void)snprintf(name, sizeof name, "%s#%d", l->name, ++n);
	memory_free(file->name);
	file->name = memcpy(memory_take(strlen(name) + 1), name, strlen(name) + 1);
}

/* A conversion that goes on may have put this letter there before it was cut short: then it stays where it lies, and is
   no stranger any more. */
static bool
is_there(struct folder *f, int fd, struct bytes given, struct file *file,
         const struct mbox_letter *made)
{
	struct mbox_text t;
	char             name[MBOX_NAME_BYTES * 2 + 24];
	bool             same = false;
	struct file     *stranger;
	int              n = 1;

	if (f->strangers == NULL || mbox_text_open(fd, &t) != 0)
		return false;
	(void)snprintf(name, sizeof name, "%s", made->name);
	while (!same && ((stranger = map_get(f->strangers, bytes_of(name))) != NULL ||
	                 map_get(f->by_name, bytes_of(name)) != NULL)) {
		struct buffer      plain = { 0 };
		struct mbox_letter l;
		if (stranger != NULL && stranger->at <= t.len &&
		    mbox_letter_next(&t, (size_t)stranger->at, &l) && l.from == stranger->at) {
			mbox_letter_plain(&t, &l, &plain);
			same = is_same(given, buffer_bytes(&plain), file);
		}
		buffer_free(&plain);
		if (!same)
			(void)snprintf(name, sizeof name, "%s#%d", made->name, ++n);
	}
	if (mbox_text_close(&t) != 0 || !same)
		return false;
	(void)map_drop(f->strangers, bytes_of(name));
	memory_free(file->name);
	file->name = stranger->name;
	stranger->name = NULL;
	file->at = stranger->at;
	file->len = stranger->len;
	file->outside = stranger->outside;
	file_free(stranger);
	return true;
}

int
mbox_put(struct folder *f, struct file *file, const struct source *source, int64_t date,
         struct landing **landing)
{
	struct mbox       *d = f->mine;
	struct mbox_locked lock;
	struct buffer      given = { 0 }, out = { 0 };
	struct mbox_letter l;
	struct stat        st;
	struct stamp       before;
	int                fd, why = read_source(source, &given);

	(void)landing;
	if (why == 0)
		why = content_is_plain(source, &file->plain);
	file->cut = given.len > 0 && given.at[given.len - 1] != '\n';
	if (is_header_only(buffer_bytes(&given)))
		file->cut++;
	if (why == 0)
		write_letter(f, buffer_bytes(&given), file, date, &out);
	if (why == 0 && !reads_back(&out, buffer_bytes(&given), file, &l))
		why = EINVAL;
	if (why == 0)
		why = mbox_file_make(d->dir, d->name);
	if (why == 0 && (fd = mbox_take(f, true, &lock)) < 0)
		why = errno;
	else if (why == 0) {
		bool known =
			mbox_stamp(f, &before) && memcmp(&before, &d->stamp, sizeof before) == 0;
		bool there = is_there(f, fd, buffer_bytes(&given), file, &l);
		if (!there && (why = append_text(fd, &out, &file->at)) == 0) {
			take_name(f, file, &l);
			file->len = out.len;
			file->outside = file->flags;
		}
		if (why == 0) {
			file->where = memcpy(memory_take(strlen(d->name) + 1), d->name,
			                     strlen(d->name) + 1);
			if (known && fstat(fd, &st) == 0)
				mbox_stamp_of(&st,
				              &d->stamp); /* all other places are as they were */
		}
		mbox_give(fd, &lock);
	}
	buffer_free(&given);
	buffer_free(&out);
	return why;
}
