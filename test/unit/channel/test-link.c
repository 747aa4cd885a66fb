#include "unit.h"

#include "channel/kit.h"
#include "channel/link.h"
#include "base/arena.h"
#include "base/pack.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HELLO = 1, WITH_FD, LARGE, BYE };

static struct kit kit;

/* What one end has heard. */
struct ear {
	struct link *link;
	uint32_t     frames, lost;
	uint64_t     bytes;
	uint16_t     word;
	uint32_t     ticket;
	int          fd;
	char         body[64];
	bool         close_at_word, wrong;
	uint32_t     until;            /* frames */
};

static void
ear_word(void *ctx, struct link *l, uint16_t word, uint32_t ticket, struct bytes body, int fd)
{
	struct ear *e = ctx;

	assert_ptr_equal(l, e->link);
	e->frames++;
	e->bytes += body.len;
	e->word = word;
	e->ticket = ticket;
	(void)bytes_string(bytes_cut(body, 0, 63), e->body, sizeof e->body);
	if (e->fd >= 0)
		close(e->fd);
	e->fd = fd;
	if (e->close_at_word)
		link_close(&e->link);
	if (e->frames == e->until || e->close_at_word)
		kit_done(&kit);
}

static void
ear_lost(void *ctx, struct link *l)
{
	struct ear *e = ctx;

	assert_ptr_equal(l, e->link);
	e->lost++;
	kit_done(&kit);
}

static const struct link_events ear_events = { ear_word, ear_lost };

static struct ear a, b;

static void
begin(void)
{
	int fd[2];

	kit_open(&kit);
	assert_int_equal(link_pair(fd), 0);
	a = b = (struct ear){ .fd = -1 };
	a.link = link_open(kit.loop, fd[0], &ear_events, &a);
	b.link = link_open(kit.loop, fd[1], &ear_events, &b);
}

static void
end(void)
{
	link_close(&a.link);
	link_close(&b.link);
	if (a.fd >= 0)
		close(a.fd);
	if (b.fd >= 0)
		close(b.fd);
	kit_close(&kit);
}

static void
test_words_arrive_as_they_were_said(void **state)
{
	struct buffer *body;

	(void)state;
	begin();
	link_say(a.link, HELLO, 7, BYTES("salve"), -1);
	HOLDS("gathered", link_pending(a.link) == LINK_HEAD + 5);
	b.until = 1;
	assert_true(kit_run(&kit, 5000));
	HOLDS("all gone", link_pending(a.link) == 0);
	HOLDS("word", b.word == HELLO && b.ticket == 7 && b.fd == -1);
	SAME("body", bytes_of(b.body), BYTES("salve"));

	body = link_begin(a.link, BYE, UINT32_MAX);
	buffer_add_string(body, "va");
	buffer_add_string(body, "le");
	link_end(a.link);
	b.until = 2;
	assert_true(kit_run(&kit, 5000));
	HOLDS("word", b.word == BYE && b.ticket == UINT32_MAX);
	SAME("packed in place", bytes_of(b.body), BYTES("vale"));
	link_say(a.link, HELLO, 0, BYTES(""), -1);
	b.until = 3;
	assert_true(kit_run(&kit, 5000));
	HOLDS("no body", b.word == HELLO && b.bytes == 9);
	end();
}

/* One end is a bare descriptor. */
static int
begin_bare(void)
{
	int fd[2];

	kit_open(&kit);
	assert_int_equal(link_pair(fd), 0);
	b = (struct ear){ .fd = -1 };
	b.link = link_open(kit.loop, fd[1], &ear_events, &b);
	return fd[0];
}

static void
end_bare(int fd)
{
	close(fd);
	link_close(&b.link);
	if (b.fd >= 0)
		close(b.fd);
	kit_close(&kit);
}

static size_t
frame_write(char *at, uint32_t len, uint16_t word, uint16_t flags, const char *body)
{
	struct buffer out = { 0 };
	size_t n;

	pack_u32(&out, len);
	pack_u16(&out, word);
	pack_u16(&out, flags);
	pack_u32(&out, 99);
	buffer_add_string(&out, body);
	n = out.len;
	memcpy(at, out.at, n);
	buffer_free(&out);
	return n;
}

static void
test_a_frame_may_come_byte_by_byte(void **state)
{
	char bytes[64];
	size_t n;
	int fd = begin_bare();

	(void)state;
	n = frame_write(bytes, 5, HELLO, 0, "salve");
	n += frame_write(bytes + n, 0, BYE, 0, "");
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(write(fd, bytes + i, 1), 1);
		b.until = i + 1 == n ? 2 : i == 16 ? 1 : 0;
		if (b.until > 0)
			assert_true(kit_run(&kit, 5000));
		else
			assert_false(kit_run(&kit, 0));
		HOLDS("only when whole", b.frames == (i + 1 == n ? 2 : i >= 16 ? 1 : 0));
	}
	HOLDS("both", b.frames == 2 && b.word == BYE && b.ticket == 99);
	end_bare(fd);
}

struct nonsense { const char *why; uint32_t len; uint16_t flags; int fds; };
static const struct nonsense nonsense[] = {
	{ "a body that is too large",           LINK_BODY_MOST + 1, 0,        0 },
	{ "a flag nobody knows",                0,                  2,        0 },
	{ "a descriptor promised and not sent", 0,                  FRAME_FD, 0 },
	{ "two descriptors at once",            0,                  FRAME_FD, 2 },
	{ "a hundred descriptors at once",      0,                  FRAME_FD, 100 },
};

static void
send_with_fds(int to, char *bytes, size_t n, int count)
{
	union { struct cmsghdr align; char room[CMSG_SPACE(sizeof(int) * 100)]; } control = { 0 };
	struct iovec iov = { bytes, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (count > 0) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
		for (int i = 0; i < count; i++)
			memcpy(CMSG_DATA(&control.align) + sizeof(int) * (size_t)i, &(int){ 0 }, sizeof(int));
	}
	assert_int_equal(sendmsg(to, &m, 0), n);
}

static int
open_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void
test_nonsense_ends_a_link(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(nonsense); i++) {
		char bytes[64];
		int before = open_fds(), fd = begin_bare();
		size_t n = frame_write(bytes, 2, HELLO, 0, "ok");

		n += frame_write(bytes + n, nonsense[i].len, BYE, nonsense[i].flags, "");
		send_with_fds(fd, bytes, n, nonsense[i].fds);
		HOLDS(nonsense[i].why, kit_run(&kit, 5000));
		HOLDS(nonsense[i].why, b.lost == 1);
		HOLDS(nonsense[i].why, b.frames == (nonsense[i].fds > 0 ? 0 : 1));
		link_say(b.link, HELLO, 0, BYTES("nobody"), 0);
		HOLDS("said to nobody", link_pending(b.link) == 0);
		end_bare(fd);
		HOLDS(nonsense[i].why, open_fds() == before);
	}
}

static void
test_the_last_words_of_a_lost_link_are_heard(void **state)
{
	(void)state;
	begin();
	link_say(a.link, HELLO, 1, BYTES("last"), -1);
	link_say(b.link, HELLO, 1, BYTES("to nobody"), -1);
	link_close(&a.link);    /* sends what it has */
	while (b.lost == 0)
		assert_true(kit_run(&kit, 5000));
	HOLDS("once, after the words", b.frames == 1 && b.lost == 1);
	SAME("its words", bytes_of(b.body), BYTES("last"));
	link_say(b.link, HELLO, 1, BYTES("to nobody"), -1);
	HOLDS("nothing is kept", link_pending(b.link) == 0);
	end();
}

/* More than is read in a turn, a frame in pieces among it; then its last words are heard, and what comes later is not waited for. */
static void
test_a_link_is_heard_out(void **state)
{
	enum { MANY = 300 };
	static char large[40000];

	(void)state;
	begin();
	for (uint32_t i = 0; i < MANY; i++) {
		link_say(a.link, HELLO, i, BYTES("one of many words that wait to be heard"), -1);
		if (i % 100 == 50)
			link_say(a.link, LARGE, i, (struct bytes){ large, sizeof large }, -1);
	}
	link_flush(a.link);
	link_hear_out(b.link);
	HOLDS("all of them", b.frames == MANY + 3 && b.ticket == MANY - 1 && b.lost == 0);
	link_hear_out(b.link);
	HOLDS("there is nothing", b.frames == MANY + 3 && b.lost == 0);
	link_say(a.link, BYE, 1, BYTES("vale"), -1);
	link_close(&a.link);
	link_hear_out(b.link);
	HOLDS("also when it is gone", b.frames == MANY + 4 && b.word == BYE && b.lost == 0);
	assert_true(kit_run(&kit, 5000));
	HOLDS("that is seen as ever", b.lost == 1);
	end();

	begin();
	for (uint32_t i = 0; i < MANY; i++)
		link_say(a.link, HELLO, i, BYTES("one"), -1);
	link_flush(a.link);
	b.close_at_word = true;
	link_hear_out(b.link);
	HOLDS("a word may close it", b.frames == 1 && b.link == NULL);
	end();
}

static void
test_a_link_may_be_closed_by_a_word(void **state)
{
	(void)state;
	begin();
	b.close_at_word = true;
	link_say(a.link, HELLO, 1, BYTES("x"), -1);
	link_say(a.link, HELLO, 2, BYTES("y"), -1);
	assert_true(kit_run(&kit, 5000));
	HOLDS("one word, then no more", b.frames == 1 && b.link == NULL);
	end();
}

/* Large and small frames, each third with a descriptor whose file says which. */
enum { LOAD_FRAMES = 3000 };

static uint32_t
load_size(uint32_t i)
{
	return i % 97 == 0 ? 300000 + i : i % 13 == 0 ? 9000 + i : i % 200;
}

static void
load_word(void *ctx, struct link *l, uint16_t word, uint32_t ticket, struct bytes body, int fd)
{
	struct ear *e = ctx;
	uint32_t i = e->frames++;

	(void)l;
	e->wrong |= ticket != i || body.len != load_size(i) || (fd >= 0) != (i % 3 == 0);
	e->wrong |= word != (i % 3 == 0 ? WITH_FD : HELLO);
	for (size_t k = 0; k < body.len; k += 101)
		e->wrong |= (uint8_t)body.at[k] != (uint8_t)(i + k);
	if (fd >= 0) {
		uint32_t is = 0;

		e->wrong |= pread(fd, &is, sizeof is, 0) != sizeof is || is != i;
		e->wrong |= (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0;
		close(fd);
	}
	if (e->frames == LOAD_FRAMES)
		kit_done(&kit);
}

static const struct link_events load_events = { load_word, ear_lost };

/* As askers do: no more than a bounded part of it waits. */
static uint32_t said;

static void
load_some(void *ctx)
{
	struct ear *e = ctx;

	while (said < LOAD_FRAMES && link_pending(e->link) < 1 << 20) {
		uint32_t i = said++;
		int fd = -1;
		struct buffer *body = link_begin(e->link, i % 3 == 0 ? WITH_FD : HELLO, i);
		char *at = buffer_room(body, load_size(i));

		for (uint32_t k = 0; k < load_size(i); k++)
			at[k] = (char)(i + k);
		buffer_took(body, load_size(i));
		if (i % 3 == 0) {
			char name[] = "/tmp/mansio-unit-XXXXXX";

			fd = mkstemp(name);
			unlink(name);
			assert_int_equal(write(fd, &i, sizeof i), sizeof i);
		}
		link_end_fd(e->link, fd);
		if (fd >= 0)
			close(fd);
	}
	if (said < LOAD_FRAMES)
		loop_again(kit.loop);
}

static void
test_descriptors_stay_with_their_frames_under_load(void **state)
{
	int fd[2], before = open_fds();

	(void)state;
	kit_open(&kit);
	assert_int_equal(link_pair(fd), 0);
	a = b = (struct ear){ .fd = -1 };
	said = 0;
	a.link = link_open(kit.loop, fd[0], &load_events, &a);
	b.link = link_open(kit.loop, fd[1], &load_events, &b);
	loop_at_rest(kit.loop, load_some, &a);
	assert_true(kit_run(&kit, 50000));
	HOLDS("all, in order, each with its own", b.frames == LOAD_FRAMES && !b.wrong);
	end();
	HOLDS("none left open", open_fds() == before);
}

static void
test_the_largest_body(void **state)
{
	char *at = calloc(1, LINK_BODY_MOST);

	(void)state;
	assert_non_null(at);
	memset(at, 'x', LINK_BODY_MOST);
	begin();
	link_say(a.link, LARGE, 1, (struct bytes){ at, LINK_BODY_MOST }, -1);
	HOLDS("sent at once as far as it goes", link_pending(a.link) < LINK_BODY_MOST);
	link_say(a.link, BYE, 2, BYTES("vale"), -1);
	b.until = 2;
	assert_true(kit_run(&kit, 50000));
	HOLDS("all of it", b.bytes == LINK_BODY_MOST + 4ull);
	SAME("and what came behind", bytes_of(b.body), BYTES("vale"));
	free(at);
	end();
}

/* ---- asking and waiting ---- */

struct answerer { int fd; int late_ms; bool stale; };

static void
read_whole(int fd, char *to, size_t n)
{
	while (n > 0) {
		ssize_t got = recv(fd, to, n, 0);

		if (got <= 0)
			return;
		to += got;
		n -= (size_t)got;
	}
}

static void *
answer(void *arg)
{
	struct answerer *w = arg;
	char question[LINK_HEAD + 4], reply[64];
	size_t n;

	(void)fcntl(w->fd, F_SETFL, 0);
	read_whole(w->fd, question, sizeof question);
	usleep((useconds_t)w->late_ms * 1000);
	if (w->stale) {         /* to somebody who has given up */
		n = frame_write(reply, 5, BYE, 0, "stale");
		assert_int_equal(write(w->fd, reply, n), n);
	}
	n = frame_write(reply, 4, HELLO, 0, "pong");
	memcpy(reply + 8, question + 8, 4);
	for (size_t i = 0; i < n; i++)
		if (write(w->fd, reply + i, 1) != 1)
			break;
	return NULL;
}

static void
test_a_call_waits_for_its_own_answer(void **state)
{
	struct buffer reply = { 0 };
	struct answerer w = { 0 };
	uint16_t word = 0;
	pthread_t t;
	int fd[2];

	(void)state;
	assert_int_equal(link_pair(fd), 0);
	w = (struct answerer){ .fd = fd[1], .late_ms = 10, .stale = true };
	pthread_create(&t, NULL, answer, &w);
	HOLDS("an answer", link_call(fd[0], HELLO, BYTES("ping"), &word, &reply, 5000));
	HOLDS("its word", word == HELLO);
	SAME("its body", buffer_bytes(&reply), BYTES("pong"));
	pthread_join(t, NULL);

	/* the answer to this one comes too late, the next call throws it away */
	w = (struct answerer){ .fd = fd[1], .late_ms = 100 };
	pthread_create(&t, NULL, answer, &w);
	HOLDS("too late", !link_call(fd[0], HELLO, BYTES("ping"), &word, &reply, 20));
	pthread_join(t, NULL);
	w.late_ms = 0;
	pthread_create(&t, NULL, answer, &w);
	buffer_reset(&reply);
	HOLDS("the next", link_call(fd[0], HELLO, BYTES("ping"), &word, &reply, 5000));
	SAME("has its own", buffer_bytes(&reply), BYTES("pong"));
	pthread_join(t, NULL);

	close(fd[1]);
	HOLDS("nobody there", !link_call(fd[0], HELLO, BYTES("ping"), &word, &reply, 5000));
	close(fd[0]);
	buffer_free(&reply);
}

/* ---- how fast: printed, never judged ---- */

enum { SPEED_FRAMES = 400000 };

static void
speed_word(void *ctx, struct link *l, uint16_t word, uint32_t ticket, struct bytes body, int fd)
{
	struct ear *e = ctx;

	(void)fd;
	if (e == &b)
		link_say(l, word, ticket, body, -1);
	else if (++e->frames == SPEED_FRAMES)
		kit_done(&kit);
}

static const struct link_events speed_events = { speed_word, ear_lost };

static void
speed_some(void *ctx)
{
	struct ear *e = ctx;

	while (said < SPEED_FRAMES && said - e->frames < 4096) {
		said++;
		link_say(e->link, HELLO, said, BYTES("a question of forty bytes, more or less.."), -1);
	}
}

static void
test_how_many_frames_go_and_come(void **state)
{
	struct timespec t0, t1;
	double seconds;
	int fd[2];

	(void)state;
	kit_open(&kit);
	assert_int_equal(link_pair(fd), 0);
	a = b = (struct ear){ .fd = -1 };
	said = 0;
	a.link = link_open(kit.loop, fd[0], &speed_events, &a);
	b.link = link_open(kit.loop, fd[1], &speed_events, &b);
	loop_at_rest(kit.loop, speed_some, &a);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t0);
	assert_true(kit_run(&kit, 50000));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t1);
	seconds = (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9;
	print_message("link: %.0f questions and as many answers a second of one processor\n",
	              SPEED_FRAMES / seconds);
	end();
}

UNIT(test_words_arrive_as_they_were_said, test_a_frame_may_come_byte_by_byte,
     test_nonsense_ends_a_link, test_the_last_words_of_a_lost_link_are_heard,
     test_a_link_is_heard_out, test_a_link_may_be_closed_by_a_word, test_descriptors_stay_with_their_frames_under_load,
     test_the_largest_body, test_a_call_waits_for_its_own_answer,
     test_how_many_frames_go_and_come)
