/* mbox-change.c -- flags and removals of many letters of an mbox at once, in the thread (mbox.h, driver.h) */
#include "store/mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { STATE_LEAST = 40 };
/* What was done is written down for so many letters at a time. */
enum { TOLD_AT_ONCE = 512 };

void
mbox_keyword_words(const struct mailbox *m, uint64_t flags, struct buffer *out)
{
	for (int bit = KEYWORD_FIRST; bit < KEYWORD_FIRST + m->keywords && bit < 64; bit++)
		if (flags & (uint64_t)1 << bit)
			buffer_printf(out, "%s%s", out->len > 0 ? " " : "",
			              m->keyword[bit - KEYWORD_FIRST]);
}

/* What a letter is to become. */
struct wanted {
	bool         gone;
	uint64_t     flags;
	struct bytes words;
};

/* The thread touches nothing of the folder: all it needs is here. */
struct mbox_changing {
	struct folder     *folder; /* NULL: closed meanwhile                   */
	struct arena      *life;
	struct mbox_home   home;
	struct mbox_names  names;
	struct mbox_locked lock;
	int                fd;     /* -1: given back                           */
	struct map        *wanted; /* by name                                  */
	struct applied    *what;
	size_t             count, told;
	struct mbox_edit  *edit;
	size_t             edits, room;
	struct buffer      base; /* the X-IMAPbase line of a first letter that goes */
	int                why;
};

static struct buffer *
edit_add(struct mbox_changing *c, uint64_t at, uint64_t remove)
{
	if (c->edits == c->room) {
		c->room = c->room ? c->room * 2 : 16;
		c->edit = memory_resize(c->edit, c->room * sizeof *c->edit);
	}
	c->edit[c->edits] = (struct mbox_edit){ .at = at, .remove = remove };
	return &c->edit[c->edits++].insert;
}

/* The status fields go, wherever they stand in the header, and come back at its end; what we do not change of
   them (X-UID, X-IMAPbase) stays where it is. */
static void
change_flags(struct mbox_changing *c, const struct mbox_text *t, const struct mbox_letter *l,
             uint64_t flags, struct bytes words)
{
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
	to = edit_add(c, empty, 0);
	if (c->base.len > 0)
		buffer_add(to, buffer_bytes(&c->base));
	buffer_reset(&c->base);
	mbox_state_write(flags & SYSTEM_FLAGS, true, words,
	                 room > STATE_LEAST ? room : MBOX_STATE_ROOM, to);
}

static void
keep_base(struct mbox_changing *c, const struct mbox_text *t, const struct mbox_letter *l)
{
	struct bytes line;

	for (size_t at = l->header; at < l->body && mbox_line(t, at, &line); at += line.len)
		if (mbox_field_of(line) == MBOX_X_IMAPBASE)
			buffer_add(&c->base, line);
}

static void
gather_edits(struct mbox_changing *c, const struct mbox_text *t)
{
	struct mbox_numbering numbers;
	struct buffer         name = { 0 };
	struct mbox_letter    l = { 0 };

	mbox_numbering_open(&numbers, &c->names);
	while (mbox_letter_next(t, l.end, &l)) {
		const struct wanted *w;
		if (l.internal)
			continue;
		mbox_number_name(&numbers, l.name, &name);
		w = map_get(c->wanted, bytes_of(name.at));
		if (w != NULL && w->gone) {
			keep_base(c, t, &l);
			(void)edit_add(c, l.from, l.end - l.from);
		} else if (w != NULL)
			change_flags(c, t, &l, w->flags, w->words);
		else if (c->base.len > 0)
			change_flags(c, t, &l, l.state.system, l.state.keywords);
	}
	mbox_numbering_close(&numbers);
	buffer_free(&name);
}

static void
change_run(void *job)
{
	struct mbox_changing *c = job;
	struct mbox_text      t;

	if ((c->why = mbox_text_open(c->fd, &t)) != 0)
		return;
	gather_edits(c, &t);
	if ((c->why = mbox_text_close(&t)) == 0)
		c->why = mbox_rewrite(&c->home, c->fd, c->edit, c->edits);
}

static void
changing_free(struct mbox_changing *c)
{
	for (size_t i = 0; i < c->edits; i++)
		buffer_free(&c->edit[i].insert);
	memory_free(c->edit);
	buffer_free(&c->base);
	map_close(&c->wanted);
	mbox_names_close(&c->names);
	arena_close(&c->life);
	memory_free(c);
}

static void
give_back(struct mbox_changing *c)
{
	if (c->fd < 0)
		return;
	mbox_give(c->fd, &c->lock);
	(void)close(c->lock.dir);
	c->fd = -1;
}

static void
nothing(void *job)
{
	(void)job;
}

/* What was done is written down, some of it at a time. */
static void
change_done(void *job)
{
	struct mbox_changing *c = job;
	struct account       *a = c->folder != NULL ? c->folder->mailbox->account : NULL;
	size_t                n = c->count - c->told;

	give_back(c);
	if (a == NULL) {
		changing_free(c);
		return;
	}
	store_hold(a);
	if (n > TOLD_AT_ONCE && c->why == 0)
		n = TOLD_AT_ONCE;
	folder_applied(c->folder, c->what + c->told, n, c->why);
	c->told += n;
	if (c->folder != NULL && c->told < c->count) {
		a->store->needs.job(a->store->ctx, nothing, change_done, c);
	} else {
		if (c->folder != NULL) {
			struct mbox *d = c->folder->mine;
			d->changing = NULL;
			d->stamp = (struct stamp){ { 0 } };
		}
		changing_free(c);
	}
	account_drop(&a);
}

void
mbox_changing_leave(struct mbox_changing *c)
{
	if (c != NULL)
		c->folder = NULL;
}

static void
want(struct mbox_changing *c, struct file **file)
{
	struct wanted *all = arena_take_array(c->life, c->count, sizeof *all);
	struct buffer  words = { 0 };

	c->what = arena_take_array(c->life, c->count, sizeof *c->what);
	c->wanted = map_open();
	for (size_t i = 0; i < c->count; i++) {
		buffer_reset(&words);
		mbox_keyword_words(c->folder->mailbox, file[i]->flags, &words);
		all[i] = (struct wanted){ file[i]->gone, file[i]->flags,
			                  arena_keep(c->life, buffer_bytes(&words)) };
		c->what[i] = (struct applied){ file[i]->message, file[i]->flags, file[i]->gone };
		(void)map_put(c->wanted, bytes_of(file[i]->name), &all[i]);
	}
	buffer_free(&words);
}

int
mbox_apply(struct folder *f, struct file **file, size_t count)
{
	struct mbox          *d = f->mine;
	struct store         *s = f->mailbox->account->store;
	struct mbox_changing *c;
	struct mbox_locked    lock;
	int                   fd;

	if (d->changing != NULL)
		return EINPROGRESS;
	if ((fd = mbox_take(f, true, &lock)) < 0)
		return errno == ENOENT ? 0 : errno;
	c = memory_take(sizeof *c);
	*c = (struct mbox_changing){ .folder = f,
		                     .life = arena_open(NULL),
		                     .home = mbox_home_of(f),
		                     .lock = lock,
		                     .fd = fd,
		                     .count = count };
	/* The folder may be closed before the lock is given back. */
	c->lock.dir = fcntl(d->dir, F_DUPFD_CLOEXEC, 0);
	mbox_names_open(&c->names, f, c->life);
	want(c, file);
	d->changing = c;
	s->needs.job(s->ctx, change_run, change_done, c);
	return EINPROGRESS;
}
