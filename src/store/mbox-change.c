/* mbox-change.c -- flags and removals of many letters of an mbox at once (mbox.h, driver.h) */
#include "store/mbox.h"

#include <errno.h>
#include <string.h>

enum { STATE_LEAST = 40 };

void
mbox_keyword_words(const struct mailbox *m, uint64_t flags, struct buffer *out)
{
	for (int bit = KEYWORD_FIRST; bit < KEYWORD_FIRST + m->keywords && bit < 64; bit++)
		if (flags & (uint64_t)1 << bit)
			buffer_printf(out, "%s%s", out->len > 0 ? " " : "",
			              m->keyword[bit - KEYWORD_FIRST]);
}

struct changing {
	struct folder    *folder;
	struct map       *wanted; /* by name                                  */
	struct mbox_edit *edit;
	size_t            count, room;
	struct buffer     base; /* the X-IMAPbase line of a first letter that goes */
};

static struct buffer *
edit_add(struct changing *c, uint64_t at, uint64_t remove)
{
	if (c->count == c->room) {
		c->room = c->room ? c->room * 2 : 16;
		c->edit = memory_resize(c->edit, c->room * sizeof *c->edit);
	}
	c->edit[c->count] = (struct mbox_edit){ .at = at, .remove = remove };
	return &c->edit[c->count++].insert;
}

/* The status fields go, wherever they stand in the header, and come back at its end; what we do not change of
   them (X-UID, X-IMAPbase) stays where it is. */
static void
change_flags(struct changing *c, const struct mbox_text *t, const struct mbox_letter *l,
             uint64_t flags)
{
	struct buffer  words = { 0 };
	struct bytes   line;
	size_t         room = 0, at = l->header, empty = l->body;
	struct buffer *to;

	for (; at < l->body && mbox_line(t, at, &line); at += line.len) {
		enum mbox_field field = mbox_field_of(line);
		if (mbox_bare(line).len == 0)
			empty = at;
		if (field == MBOX_STATUS || field == MBOX_X_STATUS || field == MBOX_X_KEYWORDS) {
			(void)edit_add(c, at, line.len);
			room += line.len;
		}
	}
	mbox_keyword_words(c->folder->mailbox, flags, &words);
	to = edit_add(c, empty, 0);
	if (c->base.len > 0)
		buffer_add(to, buffer_bytes(&c->base));
	buffer_reset(&c->base);
	mbox_state_write(flags & SYSTEM_FLAGS, true, buffer_bytes(&words),
	                 room > STATE_LEAST ? room : MBOX_STATE_ROOM, to);
	buffer_free(&words);
}

static void
keep_base(struct changing *c, const struct mbox_text *t, const struct mbox_letter *l)
{
	struct bytes line;

	for (size_t at = l->header; at < l->body && mbox_line(t, at, &line); at += line.len)
		if (mbox_field_of(line) == MBOX_X_IMAPBASE)
			buffer_add(&c->base, line);
}

static void
gather_edits(struct changing *c, const struct mbox_text *t)
{
	struct mbox_numbering names;
	struct buffer         name = { 0 };
	struct mbox_letter    l = { 0 };

	mbox_numbering_open(&names, c->folder);
	while (mbox_letter_next(t, l.end, &l)) {
		struct file *file;
		if (l.internal)
			continue;
		mbox_number_name(&names, &l, &name);
		file = map_get(c->wanted, bytes_of(name.at));
		if (file != NULL && file->gone) {
			keep_base(c, t, &l);
			(void)edit_add(c, l.from, l.end - l.from);
		} else if (file != NULL)
			change_flags(c, t, &l, file->flags);
		else if (c->base.len > 0)
			change_flags(c, t, &l,
			             l.state.system |
			                     mbox_keyword_bits(c->folder, l.state.keywords));
	}
	mbox_numbering_close(&names);
	buffer_free(&name);
}

int
mbox_apply(struct folder *f, struct file **file, size_t count)
{
	struct mbox       *d = f->mine;
	struct changing    c = { .folder = f };
	struct mbox_locked lock;
	struct mbox_text   t;
	int                why, fd = mbox_take(f, true, &lock);

	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	c.wanted = map_open();
	for (size_t i = 0; i < count; i++)
		(void)map_put(c.wanted, bytes_of(file[i]->name), file[i]);
	if ((why = mbox_text_open(fd, &t)) == 0) {
		gather_edits(&c, &t);
		if ((why = mbox_text_close(&t)) == 0)
			why = mbox_rewrite(f->place, fd, c.edit, c.count);
	}
	for (size_t i = 0; i < count && why == 0; i++)
		file[i]->outside = file[i]->flags;
	for (size_t i = 0; i < c.count; i++)
		buffer_free(&c.edit[i].insert);
	memory_free(c.edit);
	buffer_free(&c.base);
	map_close(&c.wanted);
	mbox_give(fd, &lock);
	d->stamp = (struct stamp){ { 0 } };
	return why;
}
