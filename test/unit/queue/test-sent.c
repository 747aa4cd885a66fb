/* Who has got a letter elsewhere is known after a crash, wherever the file was torn. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queue/sent.h"
#include "spool/disk.h"

static char path[64];

static struct sent *
opened(void)
{
	struct buffer errors = { 0 };
	struct sent  *s;

	if (path[0] == '\0')
		(void)snprintf(path, sizeof path, "/tmp/mansio-sent-%d", (int)getpid());
	s = sent_open(path, &errors);

	HOLDS("it opens", s != NULL && errors.len == 0);
	return s;
}

static off_t
size_now(void)
{
	struct stat st = { 0 };

	(void)stat(path, &st);
	return st.st_size;
}

static void
test_sent(void **state)
{
	struct sent *s = opened();
	off_t        whole;
	(void)state;

	HOLDS("nothing is known of a letter at first", !sent_before(s, 7, "a@x"));
	sent_add(s, 7, "a@x");
	sent_add(s, 7, "b@y");
	sent_add(s, 8, "a@x");
	HOLDS("there is something", sent_gather(s));
	HOLDS("it is written", sent_sync(s) == 0);
	HOLDS("once", !sent_gather(s));
	sent_close(&s);
	whole = size_now();

	for (off_t cut = whole; cut >= 0; cut--) {
		HOLDS("torn", truncate(path, cut) == 0);
		s = opened();
		HOLDS("the last record is whole or not there",
		      sent_before(s, 8, "a@x") == (cut == whole));
		HOLDS("the first too", sent_before(s, 7, "a@x") == (cut >= whole / 3));
		HOLDS("and is forgotten then", !sent_before(s, 7, "a@x"));
		HOLDS("nobody else has it", !sent_before(s, 7, "b@x"));
		sent_clear(s);
		HOLDS("what was not asked about stays", cut < 2 * whole / 3 || size_now() > 0);
		sent_finished(s, 7);
		sent_clear(s);
		HOLDS("until its letter is gone", size_now() == 0 || cut < whole / 3);
		sent_add(s, 9, "c@z");
		HOLDS("it goes on", sent_gather(s) && sent_sync(s) == 0);
		sent_close(&s);
		s = opened();
		HOLDS("behind what is whole", sent_before(s, 9, "c@z"));
		sent_close(&s);
		/* for the next cut all of it again */
		HOLDS("anew", truncate(path, 0) == 0);
		s = opened();
		sent_add(s, 7, "a@x");
		sent_add(s, 7, "b@y");
		sent_add(s, 8, "a@x");
		HOLDS("anew", sent_gather(s) && sent_sync(s) == 0);
		sent_close(&s);
	}
	(void)unlink(path);
}

static void
test_damaged(void **state)
{
	struct sent *s;
	int          fd = open(path, O_RDWR | O_CREAT, 0600);
	(void)state;

	HOLDS("rubbish", write(fd, "\1\2\3\4\377\377\377\377rubbish", 15) == 15);
	(void)close(fd);
	s = opened();
	HOLDS("is nothing", !sent_before(s, 0, ""));
	sent_close(&s);
	(void)unlink(path);
}

/* One of the queue before is never asked about, and a hundred thousand are sent after it. */
static void
test_does_not_grow_for_ever(void **state)
{
	struct sent *s;
	char         text[40];
	(void)state;

	(void)unlink(path);
	s = opened();
	sent_add(s, 7, "held@x");
	sent_add(s, 7, "other@x");
	HOLDS("written", sent_gather(s) && sent_sync(s) == 0);
	sent_close(&s);
	s = opened();
	for (uint64_t n = 0; n < 100000; n++) {
		(void)snprintf(text, sizeof text, "somebody-%u@example.com", (unsigned)n);
		sent_add(s, 1000 + n, text);
		if (n % 1000 != 999)
			continue;
		HOLDS("written", sent_gather(s) && sent_sync(s) == 0);
		sent_clear(s);
		HOLDS("it is not long", size_now() < 1200 * 1024);
	}
	sent_add(s, 8, "last@x");
	HOLDS("written", sent_gather(s) && sent_sync(s) == 0);
	sent_close(&s);
	s = opened();
	HOLDS("they are still known", sent_before(s, 7, "other@x") && sent_before(s, 7, "held@x") && sent_before(s, 8, "last@x"));
	sent_close(&s);
	(void)unlink(path);
}

static const char *fails;

static int
step(const char *what, int fd)
{
	(void)fd;
	return fails != NULL && strcmp(what, fails) == 0 ? EIO : 0;
}

/* While it is made short the disk refuses a part of that: what is added then is still read after a crash. */
static void
test_disk_refuses(void **state)
{
	static const char *const rows[] = { "sync", "cut" };
	char                     text[40];
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sent *s;

		(void)unlink(path);
		s = opened();
		sent_add(s, 6, "asked-about@x");
		sent_add(s, 7, "held@x");
		HOLDS("written", sent_gather(s) && sent_sync(s) == 0);
		sent_close(&s);
		s = opened();
		HOLDS("known", sent_before(s, 6, "asked-about@x"));
		for (uint64_t n = 0; n < 40000; n++) {
			(void)snprintf(text, sizeof text, "somebody-%u@example.com", (unsigned)n);
			sent_add(s, 1000 + n, text);
		}
		HOLDS("written", sent_gather(s) && sent_sync(s) == 0);
		disk_step = step;
		fails = rows[i];
		sent_clear(s);
		fails = NULL;
		disk_step = NULL;
		sent_add(s, 8, "last@x");
		HOLDS("written", sent_gather(s) && sent_sync(s) == 0);
		sent_close(&s);
		s = opened();
		if (!sent_before(s, 7, "held@x") || !sent_before(s, 8, "last@x"))
			fail_msg("%s: somebody who has it is not known", rows[i]);
		sent_close(&s);
	}
	(void)unlink(path);
}

UNIT(test_disk_refuses, test_does_not_grow_for_ever, test_sent, test_damaged)
