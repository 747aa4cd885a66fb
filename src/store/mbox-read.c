/* mbox-read.c -- which letters lie in an mbox, and their bytes (mbox.h, driver.h) */
#include "store/mbox.h"

#include "base/clock.h"
#include "spool/disk.h"
#include "store/maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A change as young as this may not show in the stamp. */
enum { YOUNG_S = 2 };

uint64_t
mbox_keyword_bits(struct folder *f, struct bytes words)
{
	struct bytes word;
	uint64_t     bits = 0;

	while (bytes_split(&words, ' ', &word))
		if (word.len > 0)
			bits |= maildir_bit(f, word);
	return bits;
}

void
mbox_names_open(struct mbox_names *n, const struct folder *f, struct arena *arena)
{
	*n = (struct mbox_names){ arena_take_array(arena, f->count + 1, sizeof(char *)), f->count,
		                  map_open() };
	for (size_t i = 0; i < f->count; i++) {
		struct bytes name = bytes_of(f->file[i]->name);
		n->name[i] = arena_copy(arena, name);
		(void)map_put(n->by_name, name, n);
	}
}

void
mbox_names_close(struct mbox_names *n)
{
	map_close(&n->by_name);
}

static struct bytes
name_hash(const char *name)
{
	return bytes_cut(bytes_of(name), 0, (size_t)MBOX_NAME_BYTES * 2);
}

void
mbox_numbering_open(struct mbox_numbering *n, const struct mbox_names *names)
{
	*n = (struct mbox_numbering){ names, map_open(), map_open(),
		                      memory_take((names->count + 1) * sizeof(size_t)) };
	for (size_t i = names->count; i-- > 0;) {
		struct bytes hash = name_hash(names->name[i]);
		n->next[i] = (size_t)(uintptr_t)map_get(n->known, hash);
		(void)map_put(n->known, hash, (void *)(uintptr_t)(i + 1));
	}
}

void
mbox_numbering_close(struct mbox_numbering *n)
{
	map_close(&n->seen);
	map_close(&n->known);
	memory_free(n->next);
}

/* The second of two that are the same is NAME#2, and stays it when the first goes. */
void
mbox_number_name(struct mbox_numbering *x, const char *letter, struct buffer *out)
{
	struct bytes hash = bytes_of(letter);
	uintptr_t    n = (uintptr_t)map_get(x->seen, hash) + 1;
	uintptr_t    known = (uintptr_t)map_get(x->known, hash);

	(void)map_put(x->seen, hash, (void *)n);
	buffer_reset(out);
	if (known != 0) {
		(void)map_drop(x->known, hash);
		if (x->next[known - 1] != 0)
			(void)map_put(x->known, hash, (void *)(uintptr_t)x->next[known - 1]);
		buffer_add_string(out, x->names->name[known - 1]);
	} else
		do {
			buffer_reset(out);
			buffer_add_string(out, letter);
			if (n > 1)
				buffer_printf(out, "#%" PRIuPTR, n);
			n++;
		} while (map_get(x->names->by_name, buffer_bytes(out)) != NULL);
	buffer_add_char(out, '\0');
}

/* ---- a survey: what lies in the file, while its lock is held ---- */

/* A file that is longer is read in the thread. */
enum { AT_ONCE_MOST = 256 << 10 };

struct surveyed {
	uint64_t     at, len, system;
	struct bytes keywords;
	int64_t      date;
	uint32_t     uid;
	char         name[MBOX_NAME_BYTES * 2 + 1];
};

struct mbox_survey {
	struct folder     *folder; /* NULL: closed meanwhile  */
	struct arena      *life;
	int                fd; /* -1: given back          */
	struct mbox_locked lock;
	struct stat        st;
	struct surveyed   *letter;
	size_t             count, room;
	uint32_t           uidvalidity; /* 0: not said             */
	bool               over;
	int                why;
};

static void
survey_add(struct mbox_survey *v, const struct mbox_letter *l)
{
	struct surveyed *to;

	if (v->count == v->room) {
		v->room = v->room ? v->room * 2 : 64;
		v->letter = memory_resize(v->letter, v->room * sizeof *v->letter);
	}
	to = &v->letter[v->count++];
	*to = (struct surveyed){ .at = l->from,
		                 .len = l->end - l->from,
		                 .system = l->state.system,
		                 .keywords = arena_keep(v->life, l->state.keywords),
		                 .date = l->state.date,
		                 .uid = l->state.uid };
	memcpy(to->name, l->name, sizeof to->name);
}

static void
survey_run(void *job)
{
	struct mbox_survey *v = job;
	struct mbox_letter  l = { 0 };
	struct mbox_text    t;

	if ((v->why = mbox_text_open(v->fd, &t)) != 0)
		return;
	while (mbox_letter_next(&t, l.end, &l)) {
		if (l.state.uidvalidity != 0 && l.from == 0)
			v->uidvalidity = l.state.uidvalidity;
		if (!l.internal)
			survey_add(v, &l);
	}
	v->why = mbox_text_close(&t);
}

static void
survey_unlock(struct mbox_survey *v)
{
	if (v->fd < 0)
		return;
	mbox_give(v->fd, &v->lock);
	(void)close(v->lock.dir);
	v->fd = -1;
}

static void
survey_free(struct mbox_survey *v)
{
	survey_unlock(v);
	memory_free(v->letter);
	arena_close(&v->life);
	memory_free(v);
}

void
mbox_survey_leave(struct mbox_survey *v)
{
	if (v != NULL)
		v->folder = NULL;
}

/* The look that asked for it finds it in the folder. */
static void
survey_done(void *job)
{
	struct mbox_survey *v = job;

	v->over = true;
	if (v->folder != NULL)
		folder_retry(v->folder->mailbox);
	if (v->folder != NULL) {
		struct mbox *d = v->folder->mine;
		d->survey = NULL;
	}
	survey_free(v);
}

/* NULL with errno; ENOENT: there is no file. */
static struct mbox_survey *
survey_open(struct folder *f)
{
	const struct mbox  *d = f->mine;
	struct mbox_survey *v;
	struct mbox_locked  lock;
	int                 fd = mbox_take(f, false, &lock);

	if (fd < 0)
		return NULL;
	v = memory_take(sizeof *v);
	*v = (struct mbox_survey){ .folder = f, .life = arena_open(NULL), .fd = fd, .lock = lock };
	v->lock.dir = fcntl(d->dir, F_DUPFD_CLOEXEC, 0);
	if (fstat(fd, &v->st) < 0)
		v->why = errno;
	return v;
}

static void
survey_tell(const struct mbox_survey *v, struct folder          *f,
            void (*each)(void *ctx, const struct found *), void *ctx)
{
	struct mbox          *d = f->mine;
	struct arena         *life = arena_open(NULL);
	struct buffer         name = { 0 };
	struct mbox_names     names;
	struct mbox_numbering numbers;

	if (v->uidvalidity != 0)
		d->uidvalidity = v->uidvalidity;
	mbox_names_open(&names, f, life);
	mbox_numbering_open(&numbers, &names);
	for (size_t i = 0; i < v->count; i++) {
		const struct surveyed *l = &v->letter[i];
		mbox_number_name(&numbers, l->name, &name);
		each(ctx, &(struct found){ .name = bytes_of(name.at),
		                           .where = bytes_of(d->name),
		                           .at = l->at,
		                           .len = l->len,
		                           .flags = l->system | mbox_keyword_bits(f, l->keywords),
		                           .date = l->date,
		                           .uid = d->uidvalidity != 0 ? l->uid : 0 });
	}
	mbox_numbering_close(&numbers);
	mbox_names_close(&names);
	arena_close(&life);
	buffer_free(&name);
	mbox_stamp_of(&v->st, &d->stamp);
}

/* A long file is read in the thread: EBUSY until that is over, as if another program had it locked. */
static bool
is_long(const struct folder *f, const struct mbox_survey *v)
{
	return v->why == 0 && v->st.st_size > AT_ONCE_MOST && f->mailbox->folder == f;
}

int
mbox_scan(struct folder *f, void (*each)(void *ctx, const struct found *), void *ctx)
{
	struct mbox        *d = f->mine;
	struct store       *s = f->mailbox->account->store;
	struct mbox_survey *v = d->survey;
	struct stamp        then, now;
	int                 why;

	if (v != NULL && v->over && v->why == 0 && v->fd >= 0) {
		mbox_stamp_of(&v->st, &then);
		/* Who knows our lock does not write meanwhile. */
		if (mbox_stamp(f, &now) && memcmp(&now, &then, sizeof now) == 0) {
			d->survey = NULL;
			v->folder = NULL;
			f->looked = clock_patient_ms();
			survey_tell(v, f, each, ctx);
			survey_unlock(v);
			return 0;
		}
	}
	if (v != NULL)
		return v->over && v->why != 0 ? v->why : EBUSY;
	d->stamp = (struct stamp){ { 0 } };
	if ((v = survey_open(f)) == NULL)
		return errno == ENOENT ? 0 : errno;
	if (is_long(f, v)) {
		d->survey = v;
		s->needs.job(s->ctx, survey_run, survey_done, v);
		return EBUSY;
	}
	if (v->why == 0)
		survey_run(v);
	if ((why = v->why) == 0)
		survey_tell(v, f, each, ctx);
	survey_free(v);
	return why;
}

bool
mbox_former(struct folder *f, uint32_t *uidvalidity, uint32_t *uidnext)
{
	struct mbox_locked lock;
	struct mbox_letter l;
	struct mbox_text   t;
	int                fd = mbox_take(f, false, &lock);
	bool               found = false;

	if (fd < 0)
		return false; /* with its errno */
	if (mbox_text_open(fd, &t) == 0) {
		found = mbox_letter_next(&t, 0, &l) && l.state.uidvalidity != 0;
		*uidvalidity = found ? l.state.uidvalidity : 0;
		*uidnext = found && l.state.last < UINT32_MAX ? l.state.last + 1 : 0;
		found = mbox_text_close(&t) == 0 && found;
	}
	mbox_give(fd, &lock);
	errno = 0;
	return found;
}

/* Whether it is as it was scanned; else places are looked for anew. */
static bool
is_as_scanned(struct folder *f)
{
	struct mbox *d = f->mine;
	struct stamp now;

	return mbox_stamp(f, &now) && memcmp(&now, &d->stamp, sizeof now) == 0;
}

/* What was scanned under the lock and has not changed for a while may be read while another program has it locked. */
static int
take_unchanged(struct folder *f)
{
	const struct mbox *d = f->mine;

	if (!is_as_scanned(f)) {
		errno = ENOENT;
		return -1;
	}
	if (clock_wall() - d->stamp.at[0] <= YOUNG_S) {
		errno = EBUSY;
		return -1;
	}
	return openat(d->dir, d->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
}

static int
read_letter(int fd, const struct file *file, struct buffer *out)
{
	struct mbox_letter l;
	struct mbox_text   t;
	int                why = mbox_text_open(fd, &t);

	if (why != 0)
		return why;
	if (file->at >= t.len || !mbox_letter_next(&t, file->at, &l) || l.from != file->at)
		why = ENOENT;
	else if (l.stop - l.header > LETTER_MOST)
		why = EFBIG;
	else
		mbox_letter_plain(&t, &l, out);
	return mbox_text_close(&t) != 0 ? ENOENT : why;
}

int
mbox_content(struct folder *f, const struct file *file, uint64_t *at, uint64_t *len)
{
	struct mbox_locked lock;
	struct buffer      out = { 0 };
	int                made = -1, why, fd = mbox_take(f, false, &lock);
	bool               locked = fd >= 0;

	if (!locked && (errno != EBUSY || (fd = take_unchanged(f)) < 0))
		return -1;
	why = !is_as_scanned(f) ? ENOENT : read_letter(fd, file, &out);
	if (!locked && !is_as_scanned(f))
		why = ENOENT;
	if (locked)
		mbox_give(fd, &lock);
	else
		(void)close(fd);
	out.len -= file->cut <= out.len ? file->cut : out.len;
	if (why == 0 && (made = memfd_create("letter", MFD_CLOEXEC)) < 0)
		why = errno;
	if (why == 0 && out.len > 0)
		why = disk_write(made, out.at, out.len, 0);
	*at = 0;
	*len = out.len;
	buffer_free(&out);
	if (why == 0)
		return made;
	if (made >= 0)
		(void)close(made);
	errno = why;
	return -1;
}
