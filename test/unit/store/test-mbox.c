#include "../unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spool/disk.h"
#include "store/mbox.h"

/* ---- an mbox with letters A, B and C, and the directory of its account ---- */

#define LETTER(name, body) \
	"From " name "@example.org Sat Jan  3 01:05:34 1996\nSubject: " name "\n\n" body "\n\n"
#define A LETTER("a", "first")
#define B LETTER("b", "second")
#define C LETTER("c", "third")
#define LATE LETTER("d", "added by another program while nobody of us lived")

struct house {
	char           path[64];
	int            dir, fd;
	struct mbox_home home;
};

static void
house_open(struct house *h)
{
	*h = (struct house){ .path = "/tmp/unit-mbox-XXXXXX" };
	assert_non_null(mkdtemp(h->path));
	h->dir = open(h->path, O_RDONLY | O_DIRECTORY);
	assert_true(h->dir >= 0);
	assert_int_equal(mkdirat(h->dir, "01", 0700), 0);
	assert_int_equal(mkdirat(h->dir, "01/1", 0700), 0);
	h->fd = openat(h->dir, "box", O_RDWR | O_CREAT, 0600);
	h->home = (struct mbox_home){ h->dir, 1 };
	assert_int_equal(disk_write(h->fd, A B C, strlen(A B C), 0), 0);
}

static size_t
journals(const struct house *h, bool remove)
{
	struct stat st;
	char        name[160];

	assert_int_equal(fstat(h->fd, &st), 0);
	(void)snprintf(name, sizeof name, "01/1/mbox-%llx-%llx.journal",
	               (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	if (remove)
		return unlinkat(h->dir, name, 0) == 0;
	return faccessat(h->dir, name, F_OK, 0) == 0;
}

static void
house_close(struct house *h)
{
	(void)journals(h, true);
	(void)close(h->fd);
	(void)unlinkat(h->dir, "box", 0);
	(void)unlinkat(h->dir, "01/1", AT_REMOVEDIR);
	(void)unlinkat(h->dir, "01", AT_REMOVEDIR);
	(void)close(h->dir);
	assert_int_equal(rmdir(h->path), 0);
}

static void
read_box(const struct house *h, struct buffer *out)
{
	struct stat st;

	buffer_reset(out);
	assert_int_equal(fstat(h->fd, &st), 0);
	assert_int_equal(disk_read(h->fd, buffer_room(out, (size_t)st.st_size + 1),
	                           (size_t)st.st_size, 0),
	                 0);
	buffer_took(out, (size_t)st.st_size);
	buffer_add_char(out, '\0');
}

/* ---- it dies at the n-th thing it does to a disk ---- */

static int steps_left;

static int
die(const char *what, int fd)
{
	(void)what;
	(void)fd;
	return steps_left-- > 0 ? 0 : EIO;
}

static int
rewrite(struct house *h, const char *insert, uint64_t at, uint64_t remove, int steps)
{
	struct mbox_edit e = { .at = at, .remove = remove };
	int              why;

	buffer_add_string(&e.insert, insert);
	steps_left = steps;
	disk_step = die;
	why = mbox_rewrite(&h->home, h->fd, &e, 1);
	disk_step = NULL;
	buffer_free(&e.insert);
	return why;
}

/* Every line of a letter, its empty ones apart: what a reader sees of it. */
static bool
holds(const char *box, const char *letter)
{
	return strstr(box, letter) != NULL;
}

/* clang-format off */
static const struct { const char *why, *insert; uint64_t at, remove; const char *then[3], *gone; } changes[] = {
	{ "a letter is expunged",                "",                 sizeof A - 1, sizeof B - 1, { A, C, C },  "second" },
	{ "a letter becomes longer",             "Status: RO\n",     sizeof A + 46, 0,           { A, C, "Status: RO\n" }, "fourth" },
	{ "a letter is changed where it stands", "x@example.org",    sizeof A + 4, 13,           { A, C, "From x@example.org" }, "From b" },
};
/* clang-format on */

static void
test_stops(void **state)
{
	struct buffer box = { 0 };
	(void)state;

	for (size_t i = 0; i < COUNT(changes); i++)
		for (int late = 0; late < 2; late++)
			for (int steps = 0, why = 1; why != 0; steps++) {
				struct house h;
				house_open(&h);
				why = rewrite(&h, changes[i].insert, changes[i].at,
				              changes[i].remove, steps);
				if (late) {
					struct stat st;
					assert_int_equal(fstat(h.fd, &st), 0);
					assert_int_equal(disk_write(h.fd, LATE, strlen(LATE),
					                            (uint64_t)st.st_size),
					                 0);
				}
				assert_int_equal(mbox_recover(&h.home, h.fd), 0);
				read_box(&h, &box);
				HOLDS(changes[i].why, journals(&h, false) == 0);
				HOLDS(changes[i].why, holds(box.at, A));
				HOLDS(changes[i].why, holds(box.at, C));
				HOLDS(changes[i].why, !late || holds(box.at, LATE));
				if (why == 0)
					for (size_t k = 0; k < COUNT(changes[i].then); k++)
						HOLDS(changes[i].why,
						      holds(box.at, changes[i].then[k]));
				HOLDS(changes[i].why, why != 0 || !holds(box.at, changes[i].gone));
				house_close(&h);
			}
	buffer_free(&box);
}

/* A journal whose name came back after a power cut: what was written since stays. */
static void
test_old_journal(void **state)
{
	struct house  h;
	struct stat   st;
	struct buffer box = { 0 };
	char          name[160];
	(void)state;

	house_open(&h);
	assert_int_equal(fstat(h.fd, &st), 0);
	(void)snprintf(name, sizeof name, "01/1/mbox-%llx-%llx.journal",
	               (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	for (int steps = 0; rewrite(&h, "", sizeof A - 1, sizeof B - 1, steps) != 0; steps++) {
		if (journals(&h, false)) {
			(void)unlinkat(h.dir, "kept", 0);
			assert_int_equal(renameat(h.dir, name, h.dir, "kept"), 0);
		}
		assert_int_equal(disk_cut(h.fd, 0), 0);
		assert_int_equal(disk_write(h.fd, A B C, strlen(A B C), 0), 0);
	}
	assert_int_equal(disk_write(h.fd, LATE, strlen(LATE), strlen(A C)), 0);
	assert_int_equal(renameat(h.dir, "kept", h.dir, name), 0);
	assert_int_equal(mbox_recover(&h.home, h.fd), 0);
	read_box(&h, &box);
	SAME("nothing is undone", bytes_of(box.at), BYTES(A C LATE));
	buffer_free(&box);
	house_close(&h);
}

/* Dovecot and mutt look at the size and the second alone. */
static void
test_changes_show(void **state)
{
	struct house h;
	struct stat  before, after;
	(void)state;

	house_open(&h);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fstat(h.fd, &before), 0);
		assert_int_equal(rewrite(&h, changes[2].insert, changes[2].at, changes[2].remove,
		                         100),
		                 0);
		assert_int_equal(fstat(h.fd, &after), 0);
		assert_int_equal(after.st_size, before.st_size);
		HOLDS("another second", after.st_mtim.tv_sec > before.st_mtim.tv_sec);
	}
	house_close(&h);
}

/* What keeps the folder's data for other servers is no letter, wherever it comes to stand; what only looks like it is. */
static void
test_letters_of_servers(void **state)
{
	static const struct {
		const char *why, *text;
		bool        internal;
	} rows[] = {
		{ "Dovecot's",
		  "From MAILER_DAEMON  Sun Nov 22 08:30:39 2026\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n"
		  "X-IMAP: 1795336245 0000000003\nStatus: RO\n\nThis text is part\n\n",
		  true },
		{ "c-client's",
		  "From MAILER-DAEMON Sun Nov 22 08:30:39 2026\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n"
		  "X-IMAP: 1795336245 0000000003\n\nThis text is part\n\n",
		  true },
		{ "a bounce",
		  "From MAILER-DAEMON Sun Nov 22 08:30:39 2026\nSubject: returned\nX-IMAP: 1 2\n\nx\n\n",
		  false },
		{ "somebody's",
		  "From eva@example.org Sun Nov 22 08:30:39 2026\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n"
		  "X-IMAP: 1 2\n\nx\n\n",
		  false },
	};
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct mbox_text   t = { .at = rows[i].text, .len = strlen(rows[i].text) };
		struct mbox_letter l;
		HOLDS(rows[i].why, mbox_letter_next(&t, 0, &l) && l.internal == rows[i].internal);
	}
}

/* What mutt writes into a header that it rewrites changes neither name nor content. */
static void
test_names_outlive_other_programs(void **state)
{
	static const char one[] =
		"From eva@example.org Sat Jan  3 01:05:34 1996\nSubject: x\n\ntext\n\n";
	static const char other[] =
		"From eva@example.org Sat Jan  3 01:05:34 1996\nSubject: x\nStatus: RO\n"
		"Content-Length: 5\nLines: 1\n\ntext\n\n";
	struct mbox_text a = { .at = one, .len = sizeof one - 1 },
			 b = { .at = other, .len = sizeof other - 1 };
	struct mbox_letter l, m;
	struct buffer      plain = { 0 }, again = { 0 };
	(void)state;

	assert_true(mbox_letter_next(&a, 0, &l) && mbox_letter_next(&b, 0, &m));
	assert_string_equal(l.name, m.name);
	mbox_letter_plain(&a, &l, &plain);
	mbox_letter_plain(&b, &m, &again);
	SAME("as it was", buffer_bytes(&again), buffer_bytes(&plain));
	buffer_free(&plain);
	buffer_free(&again);
}

UNIT(test_stops, test_old_journal, test_changes_show, test_letters_of_servers,
     test_names_outlive_other_programs)
