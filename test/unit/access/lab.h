/*
 * lab -- a store, a letter log and the two services, for sessions without a house
 *
 * lab_open()    in a folder of its own, gone after lab_close().  Account 1 is there.
 * lab_letter()  puts a letter into a mailbox of account 1, as delivery does.
 * lab_talk()    gives `said` to a new session, `step` bytes at a time (0: all at once), then waits until
 *               it has closed or nothing more comes; what it answered is appended.
 * lab_settle()  goes round the loop until nothing happens any more.
 */
#ifndef ACCESS_LAB_H
#define ACCESS_LAB_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/imap/imap.h"
#include "access/pop3/pop3.h"
#include "base/clock.h"
#include "base/journal.h"
#include "channel/loop.h"
#include "message/digest.h"
#include "message/encoding.h"
#include "message/header.h"
#include "message/envelope.h"
#include "message/search.h"
#include "spool/spool.h"
#include "spool/writer.h"
#include "store/store.h"

enum { LAB_ACCOUNT = 1 };

struct lab {
	char            folder[64];
	int             letters_dir, accounts_dir;
	struct loop    *loop;
	struct spool   *spool;
	struct letters *letters;
	struct writer  *writer;
	struct store   *store;
	struct imap_service *imap;
	struct pop3_service *pop3;
	struct imap_config imap_config;
	struct pop3_config pop3_config;
	struct timer   *stop;
	struct settings *settings;     /* their words are the services'       */
	unsigned        over;          /* sessions that ended                 */
	bool            slow;          /* the disk: nothing of the store comes to it until it is quick again */
	unsigned        working;       /* jobs that a thread has or had, and whose end was not told yet */
};

struct lab_work {
	struct lab *lab;
	void      (*run)(void *);
	void      (*done)(void *);
	void       *job;
};

struct imap_append {
	struct lab   *lab;
	struct buffer content;
	const struct imap_append_events *events;
	void         *who;
	bool          ended, dropped;
	int64_t       sent;
};
struct imap_decode {
	struct timer *timer;
	struct buffer plain;
	uint64_t      from, most;
	void        (*decoded)(void *who, int why, const struct imap_decoded *);
	void         *who;
};
struct imap_seek {
	struct timer *timer;
	uint8_t       says[64];
	void        (*found)(void *who, int why, const uint8_t *says);
	void         *who;
};

static inline void
lab_work_run(void *ctx)
{
	struct lab_work *w = ctx;

	w->run(w->job);
}

static inline void
lab_work_done(void *ctx)
{
	struct lab_work *w = ctx;

	w->lab->working--;
	w->done(w->job);
	memory_free(w);
}

/* Counted: nothing is at rest while a thread is still to get its turn, however long that takes. */
static inline void
lab_job(void *ctx, void (*run)(void *), void (*done)(void *), void *job)
{
	struct lab      *l = ctx;
	struct lab_work *w = memory_take(sizeof *w);

	*w = (struct lab_work){ l, run, done, job };
	l->working++;
	loop_job(l->loop, lab_work_run, lab_work_done, w);
}

static inline void
lab_want(void *ctx, bool own, uint64_t size)
{
	struct lab *l = ctx;
	uint32_t number;
	uint64_t room;
	int fd = spool_lend(l->spool, own, size, &number, &room);

	if (fd < 0)
		writer_refuse(l->writer, own, errno);
	else
		writer_lend(l->writer, number, fd, room, own);
}

static inline void
lab_done(void *ctx, uint32_t segment, uint64_t used, int why)
{
	struct lab *l = ctx;

	if (why == 0)
		(void)spool_done(l->spool, segment, used);
}

static inline void
lab_append_safe(void *ctx, int why, uint64_t letter, uint32_t segment, uint64_t envelope_at)
{
	struct imap_append *a = ctx;
	struct imap_appended made = {
		.letter = letter,
		.place = { letter_segment(letter), letter_offset(letter) + RECORD_HEADER, a->content.len, segment, envelope_at },
		.sent_date = a->sent,
	};

	if (!a->dropped)
		a->events->done(a->who, why, &made);
	buffer_free(&a->content);
	memory_free(a);
}

static inline struct imap_append *
lab_append_begin(void *ctx, const struct access_facts *facts, uint64_t size, const struct imap_append_events *events, void *who)
{
	struct imap_append *a = memory_take(sizeof *a);

	(void)facts;
	(void)size;
	a->lab = ctx;
	a->events = events;
	a->who = who;
	return a;
}

static inline bool
lab_append_add(struct imap_append *a, struct bytes more)
{
	buffer_add(&a->content, more);
	return true;
}

static inline uint64_t
lab_write(struct lab *l, struct bytes content, struct bytes prefix, int64_t *sent,
          void (*safe)(void *, int, uint64_t, uint32_t, uint64_t), void *who)
{
	struct buffer digest = { 0 }, packed = { 0 };
	struct arena *scratch = arena_open(NULL);
	struct digest view;
	uint64_t letter;

	digest_make(content, scratch, &digest);
	*sent = digest_view(buffer_bytes(&digest), &view) ? view.sent : 0;
	letter = writer_content(l->writer, content);
	if (letter == 0)
		abort();
	envelope_pack(&(struct envelope){ .letter = letter, .arrived_us = clock_wall_us(), .flags = ENVELOPE_APPENDED,
	    .content_len = content.len, .prefix = prefix, .digest = buffer_bytes(&digest) }, &packed);
	writer_envelope(l->writer, letter, buffer_bytes(&packed), safe, who);
	buffer_free(&digest);
	buffer_free(&packed);
	arena_close(&scratch);
	return letter;
}

static inline void
lab_append_end(struct imap_append *a)
{
	a->ended = true;
	(void)lab_write(a->lab, buffer_bytes(&a->content), (struct bytes){ 0 }, &a->sent, lab_append_safe, a);
}

static inline void
lab_append_drop(struct imap_append *a)
{
	a->dropped = true;
	if (!a->ended) {
		buffer_free(&a->content);
		memory_free(a);
	}
}

static inline void
lab_sought(void *ctx)
{
	struct imap_seek *s = ctx;

	s->found(s->who, 0, s->says);
	timer_close(&s->timer);
	memory_free(s);
}

static inline struct imap_seek *
lab_seek(void *ctx, const struct imap_question *q, void (*found)(void *who, int why, const uint8_t *says), void *who)
{
	struct imap_seek *s = memory_take(sizeof *s);
	struct arena *scratch = arena_open(NULL);

	for (uint32_t i = 0; i < q->letters; i++) {
		size_t len = q->letter[i].len;
		char *content = arena_take(scratch, len + 1);

		if (pread(q->fd, content, len, (off_t)q->letter[i].at) != (ssize_t)len)
			abort();
		s->says[i] = letter_says((struct bytes){ content, len }, q->where, q->field, q->needle, scratch);
	}
	s->found = found;
	s->who = who;
	s->timer = timer_open(((struct lab *)ctx)->loop, lab_sought, s);
	timer_set(s->timer, 0);
	arena_close(&scratch);
	return s;
}

static inline void
lab_seek_drop(struct imap_seek *s)
{
	timer_close(&s->timer);
	memory_free(s);
}

static inline void
lab_decoded(void *ctx)
{
	struct imap_decode *d = ctx;
	struct bytes        all = buffer_bytes(&d->plain);

	d->decoded(d->who, 0, &(struct imap_decoded){ .total = all.len, .nul = bytes_find(all, '\0') >= 0, .coded = 0, .plain = 0,
	    .part = bytes_cut(all, d->from, d->most) });
	timer_close(&d->timer);
	buffer_free(&d->plain);
	memory_free(d);
}

static inline struct imap_decode *
lab_decode(void *ctx, const struct imap_coded *c, void (*decoded)(void *who, int why, const struct imap_decoded *), void *who)
{
	struct imap_decode *d = memory_take(sizeof *d);
	struct buffer       coded = { 0 };

	if (pread(c->fd, buffer_room(&coded, c->len + 1), c->len, (off_t)c->at) != (ssize_t)c->len)
		abort();
	buffer_took(&coded, c->len);
	*d = (struct imap_decode){ .decoded = decoded, .who = who, .from = c->from, .most = c->most };
	if (c->fields.len > 0) {
		struct header h = header_of(buffer_bytes(&coded));
		struct field  f;
		while (header_next(&h, &f))
			if (field_chosen(c->fields, c->others, f.name))
				buffer_add(&d->plain, f.whole);
	} else if (c->encoding == ENCODED_QP)
		qp_decode(buffer_bytes(&coded), &d->plain);
	else
		base64_decode_mime(buffer_bytes(&coded), &d->plain);
	buffer_free(&coded);
	d->timer = timer_open(((struct lab *)ctx)->loop, lab_decoded, d);
	timer_set(d->timer, 0);
	return d;
}

static inline void
lab_decode_drop(struct imap_decode *d)
{
	timer_close(&d->timer);
	buffer_free(&d->plain);
	memory_free(d);
}

/* Nobody here may say how much others may hold. */
static struct imap_limits *
lab_limits(void *ctx, const struct access_facts *facts, const char *address, const struct quota_limits *limits,
           void (*done)(void *who, int why, uint64_t account), void *who)
{
	(void)ctx, (void)facts, (void)address, (void)limits, (void)done, (void)who;
	errno = EACCES;
	return NULL;
}

static void
lab_limits_drop(struct imap_limits *l)
{
	(void)l;
}

static inline void
lab_over(void *ctx, uint32_t ticket, uint64_t account)
{
	(void)ticket;
	(void)account;
	((struct lab *)ctx)->over++;
}

/* There is nobody else here. */
static inline struct imap_who *
lab_who(void *ctx, const char *address, void (*found)(void *who, const struct access_facts *), void *who)
{
	(void)ctx;
	(void)address;
	(void)found;
	(void)who;
	return NULL;
}

static inline void
lab_who_drop(struct imap_who *w)
{
	(void)w;
}

static inline void
lab_give_back(void *ctx, uint32_t ticket, int fd, struct bytes unread)
{
	(void)unread;
	close(fd);
	lab_over(ctx, ticket, 0);
}

static inline void
lab_stop(void *ctx)
{
	loop_stop(((struct lab *)ctx)->loop);
}

static inline void
lab_rest_writer(void *ctx)
{
	writer_at_rest(((struct lab *)ctx)->writer);
}

static inline void
lab_rest_store(void *ctx)
{
	if (!((struct lab *)ctx)->slow)
		store_at_rest(((struct lab *)ctx)->store);
}

static inline void
lab_settle(struct lab *l, int64_t ms)
{
	timer_set(l->stop, ms);
	loop_run(l->loop);
}

/* The store, and who reads from it. */
static inline void
lab_serve(struct lab *l)
{
	l->store = store_open(l->accounts_dir, l->letters, 86400000, &(struct store_needs){ .job = lab_job }, l);
	l->imap = imap_service_open(l->loop, l->store, &l->imap_config, &(struct imap_needs){ lab_append_begin, lab_append_add,
	    lab_append_end, lab_append_drop, lab_seek, lab_seek_drop, lab_decode, lab_decode_drop, lab_who, lab_who_drop, NULL,
	    lab_limits, lab_limits_drop, NULL, NULL, NULL, NULL, lab_give_back, lab_over }, l);
	l->pop3 = pop3_service_open(l->loop, l->store, &l->pop3_config, &(struct pop3_needs){ lab_over }, l);
}

/* After the store was closed: as after a new start. */
static inline void
lab_reopen(struct lab *l)
{
	imap_service_close(&l->imap);
	pop3_service_close(&l->pop3);
	lab_serve(l);
}

static inline struct lab *
lab_open(void)
{
	struct lab *l = memory_take(sizeof *l);
	struct buffer errors = { 0 };
	struct imap_config imap = { .message_size_limit = 50 << 20, .version = "0.1" };
	struct pop3_config pop3 = { 0 };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	journal_open(JOURNAL_FILE, null, false, "lab");
	snprintf(l->folder, sizeof l->folder, "%s/lab-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(l->folder) == NULL)
		abort();
	int dir = open(l->folder, O_DIRECTORY | O_CLOEXEC);
	if (mkdirat(dir, "letters", 0700) < 0 || mkdirat(dir, "accounts", 0700) < 0)
		abort();
	l->letters_dir = openat(dir, "letters", O_DIRECTORY | O_CLOEXEC);
	l->accounts_dir = openat(dir, "accounts", O_DIRECTORY | O_CLOEXEC);
	close(dir);
	l->loop = loop_open();
	l->stop = timer_open(l->loop, lab_stop, l);
	l->spool = spool_open(l->letters_dir, 8 << 20, 0, 0600, -1, &errors);
	l->letters = letters_open(l->letters_dir);
	l->writer = writer_open(&(struct writer_needs){ .job = lab_job, .want = lab_want, .done = lab_done }, l);
	l->settings = settings_read((struct bytes){ 0 }, "none", &errors, &errors);
	if (!settings_fill(l->settings, &imap_setting_table, NULL, &imap.rows, &errors) ||
	    !settings_fill(l->settings, &pop3_setting_table, NULL, &pop3.rows, &errors))
		abort();
	l->imap_config = imap;
	l->pop3_config = pop3;
	lab_serve(l);
	loop_at_rest(l->loop, lab_rest_writer, l);
	loop_at_rest(l->loop, lab_rest_store, l);
	for (int i = 0; (i < 100 || l->working > 0) && !writer_ready(l->writer, 1000); i++)
		lab_settle(l, 1);
	buffer_free(&errors);
	return l;
}

static inline int
lab_unlink(const char *path, const struct stat *st, int flag, struct FTW *where)
{
	(void)st;
	(void)flag;
	(void)where;
	return remove(path);
}

static inline void
lab_close(struct lab *l)
{
	imap_service_close(&l->imap);
	pop3_service_close(&l->pop3);
	settings_close(&l->settings);
	do
		lab_settle(l, 20);
	while (l->working > 0);
	store_close(&l->store);
	writer_close(&l->writer);
	letters_close(&l->letters);
	spool_close(&l->spool);
	timer_close(&l->stop);
	loop_close(&l->loop);
	close(l->letters_dir);
	close(l->accounts_dir);
	(void)nftw(l->folder, lab_unlink, 16, FTW_DEPTH | FTW_PHYS);
	memory_free(l);
}

struct lab_letter { struct lab *lab; const char *mailbox; struct bytes head, prefix; uint64_t len; int64_t sent, date; uint64_t flags; bool done; };

static inline void
lab_letter_safe(void *ctx, int why, uint64_t letter, uint32_t segment, uint64_t envelope_at)
{
	struct lab_letter *p = ctx;
	struct arrival arrival = {
		.letter = letter,
		.place = { letter_segment(letter), letter_offset(letter) + RECORD_HEADER, p->len, segment, envelope_at },
		.head = p->head, .prefix_len = (uint32_t)p->prefix.len, .size = p->head.len + p->prefix.len + p->len,
		.internal_date = p->date, .sent_date = p->sent, .flags = p->flags,
	};
	struct account *account = account_take(p->lab->store, LAB_ACCOUNT, &why);
	struct mailbox *mailbox = account == NULL ? NULL : mailbox_take(account, p->mailbox, &why);
	uint32_t uid;

	if (mailbox == NULL || mailbox_arrive(mailbox, &arrival, &uid) != 0)
		abort();
	mailbox_drop(&mailbox);
	account_drop(&account);
	p->done = true;
	loop_stop(p->lab->loop);
}

static inline void
lab_letter(struct lab *l, const char *mailbox, struct bytes head, struct bytes prefix, struct bytes content, int64_t date)
{
	struct lab_letter p = { .lab = l, .mailbox = mailbox, .head = head, .prefix = prefix, .len = content.len, .date = date };

	(void)lab_write(l, content, prefix, &p.sent, lab_letter_safe, &p);
	while (!p.done)
		loop_run(l->loop);
}

static inline int
lab_connect(struct lab *l, bool pop3, struct bytes unread)
{
	int fd[2];
	struct access_facts facts = { .user = "jack@example.com", .account = LAB_ACCOUNT, .session = "lab", .tag = "L",
	                              .unread = unread };

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0)
		abort();
	if (pop3)
		pop3_open(l->pop3, fd[0], &facts, 7);
	else
		imap_open(l->imap, fd[0], &facts, 7);
	return fd[1];
}

/* What the session has said so far; false when it has closed. */
static inline bool
lab_hear(struct lab *l, int fd, struct buffer *out)
{
	char some[65536];
	ssize_t n;
	int quiet = 0;

	while (quiet < 30) {
		lab_settle(l, quiet == 0 ? 0 : 1);
		n = read(fd, some, sizeof some);
		if (n == 0)
			return false;
		if (n > 0)
			buffer_add(out, (struct bytes){ some, (size_t)n });
		quiet = n > 0 || l->working > 0 ? 0 : quiet + 1;
	}
	return true;
}

static inline void
lab_talk(struct lab *l, bool pop3, struct bytes said, size_t step, struct buffer *out)
{
	int fd = lab_connect(l, pop3, (struct bytes){ 0 });
	bool open = true;

	while (open && said.len > 0) {
		struct bytes part = bytes_cut(said, 0, step == 0 || step > said.len ? said.len : step);
		ssize_t n = send(fd, part.at, part.len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			break;
		if (n > 0)
			said = bytes_cut(said, (size_t)n, said.len);
		lab_settle(l, 0);
		char some[65536];
		while ((n = read(fd, some, sizeof some)) > 0)
			buffer_add(out, (struct bytes){ some, (size_t)n });
		open = n != 0;
	}
	if (open)
		(void)lab_hear(l, fd, out);
	close(fd);
	do
		lab_settle(l, 1);
	while (l->working > 0);
}

#endif
