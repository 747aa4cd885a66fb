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

static struct bytes
name_hash(const struct file *file)
{
	return bytes_cut(bytes_of(file->name), 0, (size_t)MBOX_NAME_BYTES * 2);
}

void
mbox_numbering_open(struct mbox_numbering *n, const struct folder *f)
{
	*n = (struct mbox_numbering){ f, map_open(), map_open(),
		                      memory_take((f->count + 1) * sizeof(size_t)) };
	for (size_t i = f->count; i-- > 0;) {
		n->next[i] = (size_t)(uintptr_t)map_get(n->known, name_hash(f->file[i]));
		(void)map_put(n->known, name_hash(f->file[i]), (void *)(uintptr_t)(i + 1));
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
mbox_number_name(struct mbox_numbering *x, const struct mbox_letter *l, struct buffer *out)
{
	const struct folder *f = x->folder;
	struct bytes         hash = bytes_of(l->name);
	uintptr_t            n = (uintptr_t)map_get(x->seen, hash) + 1;
	uintptr_t            known = (uintptr_t)map_get(x->known, hash);

	(void)map_put(x->seen, hash, (void *)n);
	buffer_reset(out);
	if (known != 0) {
		(void)map_drop(x->known, hash);
		if (x->next[known - 1] != 0)
			(void)map_put(x->known, hash, (void *)(uintptr_t)x->next[known - 1]);
		buffer_add_string(out, f->file[known - 1]->name);
	} else
		do {
			buffer_reset(out);
			buffer_add_string(out, l->name);
			if (n > 1)
				buffer_printf(out, "#%" PRIuPTR, n);
			n++;
		} while (map_get(f->by_name, buffer_bytes(out)) != NULL);
	buffer_add_char(out, '\0');
}

int
mbox_scan(struct folder *f, void (*each)(void *ctx, const struct found *), void *ctx)
{
	struct mbox          *d = f->mine;
	struct mbox_locked    lock;
	struct mbox_letter    l = { 0 };
	struct buffer         name = { 0 };
	struct mbox_numbering names;
	struct mbox_text      t;
	struct stat           st;
	int                   fd = mbox_take(f, false, &lock), why;

	d->stamp = (struct stamp){ { 0 } };
	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	if ((why = mbox_text_open(fd, &t)) != 0 || fstat(fd, &st) < 0) {
		mbox_give(fd, &lock);
		return why != 0 ? why : EIO;
	}
	mbox_numbering_open(&names, f);
	while (mbox_letter_next(&t, l.end, &l)) {
		if (l.state.uidvalidity != 0 && l.from == 0)
			d->uidvalidity = l.state.uidvalidity;
		if (l.internal)
			continue;
		mbox_number_name(&names, &l, &name);
		each(ctx, &(struct found){ .name = bytes_of(name.at),
		                           .where = bytes_of(d->name),
		                           .at = l.from,
		                           .len = l.end - l.from,
		                           .flags = l.state.system |
		                                    mbox_keyword_bits(f, l.state.keywords),
		                           .date = l.state.date,
		                           .uid = d->uidvalidity != 0 ? l.state.uid : 0 });
	}
	mbox_numbering_close(&names);
	buffer_free(&name);
	if ((why = mbox_text_close(&t)) == 0)
		mbox_stamp_of(&st, &d->stamp);
	mbox_give(fd, &lock);
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
		*uidnext = 0;
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
