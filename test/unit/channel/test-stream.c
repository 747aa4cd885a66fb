#include "unit.h"

#include "channel/kit.h"
#include "channel/link.h"
#include "channel/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static struct kit kit;

/* An owner that writes down what happens: A arrived, D drained, T silent, C closed. */
struct owner {
	struct stream *stream;
	struct buffer  got;
	char           what[64], why[64];
	bool           leave_it, pause_it, close_it, finish_it;
	uint64_t       until;          /* bytes; then the run is over */
	const char    *answer;
};

static struct owner o;

static void
happened(struct owner *w, char c)
{
	size_t n = strlen(w->what);

	if (n + 1 < sizeof w->what && (n == 0 || w->what[n - 1] != c))
		w->what[n] = c;
}

static void
on_arrived(void *ctx)
{
	struct owner *w = ctx;
	struct bytes b = stream_peek(w->stream);

	happened(w, 'A');
	if (!w->leave_it) {
		buffer_add(&w->got, b);
		stream_eat(w->stream, b.len);
	}
	if (w->answer != NULL)
		stream_say_string(w->stream, w->answer);
	if (w->pause_it)
		stream_pause(w->stream);
	if (w->close_it)
		stream_close(&w->stream);
	else if (w->finish_it)
		stream_finish(&w->stream);
	if (w->got.len >= w->until)
		kit_done(&kit);
}

static void on_drained(void *ctx) { happened(ctx, 'D'); kit_done(&kit); }
static void on_silent(void *ctx)  { happened(ctx, 'T'); kit_done(&kit); }

static void
on_closed(void *ctx, const char *why)
{
	struct owner *w = ctx;

	happened(w, 'C');
	snprintf(w->why, sizeof w->why, "%s", why);
	kit_done(&kit);
}

static const struct stream_events events = {
	.arrived = on_arrived, .drained = on_drained, .silent = on_silent, .closed = on_closed
};

/* The peer is a bare descriptor, which does not block either. */
static int
begin(void)
{
	int fd[2];

	kit_open(&kit);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	o = (struct owner){ .until = 1 };
	o.stream = stream_open(kit.loop, fd[0], &events, &o);
	return fd[1];
}

/* A TCP peer, for what unix sockets do not do. */
static int
begin_tcp(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof at;
	int door = socket(AF_INET, SOCK_STREAM, 0), peer = socket(AF_INET, SOCK_STREAM, 0), fd;

	kit_open(&kit);
	assert_int_equal(bind(door, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(door, 1), 0);
	assert_int_equal(getsockname(door, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(connect(peer, (struct sockaddr *)&at, len), 0);
	fd = accept4(door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	close(door);
	o = (struct owner){ .until = 1 };
	o.stream = stream_open(kit.loop, fd, &events, &o);
	return peer;
}

static void
end(int peer)
{
	if (peer >= 0)
		close(peer);
	stream_close(&o.stream);
	stream_close(&o.stream);
	buffer_free(&o.got);
	kit_close(&kit);
}

/* One turn, and whatever comes of it. */
static void
turn(void)
{
	(void)kit_run(&kit, 2);
}

static void
put(int fd, struct bytes what)
{
	assert_int_equal(send(fd, what.at, what.len, MSG_NOSIGNAL), what.len);
}

static struct bytes
take(int fd)
{
	static char at[1 << 16];
	ssize_t n = recv(fd, at, sizeof at, MSG_DONTWAIT);

	return (struct bytes){ at, n < 0 ? 0 : (size_t)n };
}

static void
test_what_is_not_eaten_stays(void **state)
{
	int peer = begin();

	(void)state;
	o.leave_it = true;
	o.until = 0;
	put(peer, BYTES("EHLO"));
	assert_true(kit_run(&kit, 5000));
	SAME("peeked", stream_peek(o.stream), BYTES("EHLO"));
	turn();
	SAME("not announced again", bytes_of(o.what), BYTES("A"));
	stream_eat(o.stream, 2);
	SAME("eaten", stream_peek(o.stream), BYTES("LO"));
	put(peer, BYTES(" x"));
	assert_true(kit_run(&kit, 5000));
	SAME("more, behind it", stream_peek(o.stream), BYTES("LO x"));
	stream_eat(o.stream, 4);
	SAME("all eaten", stream_peek(o.stream), BYTES(""));
	end(peer);
}

static void
test_a_pause_holds_back_and_resume_tells_again(void **state)
{
	int peer = begin();

	(void)state;
	o.leave_it = o.pause_it = true;
	o.until = 0;
	put(peer, BYTES("one"));
	assert_true(kit_run(&kit, 5000));
	put(peer, BYTES("two"));
	turn();
	SAME("paused", stream_peek(o.stream), BYTES("one"));
	o.what[0] = '\0';
	o.leave_it = o.pause_it = false;
	o.until = 6;
	stream_resume(o.stream);
	SAME("never from within a call", bytes_of(o.what), BYTES(""));
	assert_true(kit_run(&kit, 5000));
	SAME("both", buffer_bytes(&o.got), BYTES("onetwo"));
	end(peer);
}

static void
test_the_end_waits_for_a_paused_owner(void **state)
{
	int peer = begin();

	(void)state;
	o.pause_it = true;
	put(peer, BYTES("QUIT"));
	close(peer);
	assert_true(kit_run(&kit, 5000));
	turn();
	SAME("not yet", bytes_of(o.what), BYTES("A"));
	stream_resume(o.stream);
	assert_true(kit_run(&kit, 5000));
	SAME("now", bytes_of(o.what), BYTES("AC"));
	SAME("why", bytes_of(o.why), BYTES("end of file"));
	end(-1);
}

static void
test_no_more_is_held_than_allowed(void **state)
{
	char piece[1000];
	int peer = begin();

	(void)state;
	memset(piece, 'x', sizeof piece);
	o.leave_it = true;
	o.until = UINT64_MAX;
	stream_most_unread(o.stream, 2500);
	for (int i = 0; i < 5; i++) {
		put(peer, (struct bytes){ piece, sizeof piece });
		turn();
	}
	HOLDS("no more than 2500", stream_peek(o.stream).len == 2500);
	stream_eat(o.stream, 1000);
	turn();
	HOLDS("room again", stream_peek(o.stream).len == 2500);
	stream_most_unread(o.stream, 100000);
	turn();
	HOLDS("all", stream_peek(o.stream).len == 4000);
	end(peer);
}

static void
test_large_unread_input_grows_in_its_place(void **state)
{
	static char all[300000];
	size_t sent = 0;
	int peer = begin();

	(void)state;
	for (size_t i = 0; i < sizeof all; i++)
		all[i] = (char)(i * 7 + i / 251);
	o.leave_it = true;
	o.until = UINT64_MAX;
	stream_most_unread(o.stream, sizeof all);
	for (int i = 0; i < 1000 && stream_peek(o.stream).len < sizeof all; i++) {
		size_t left = sizeof all - sent, most = 1 + (size_t)i * 997 % 50000;
		ssize_t n = send(peer, all + sent, left < most ? left : most, MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		turn();
	}
	SAME("as it was sent", stream_peek(o.stream), ((struct bytes){ all, sizeof all }));
	end(peer);
}

static void
test_everything_said_in_one_turn_goes_with_one_write(void **state)
{
	int fd[2], peer = begin();

	(void)state;
	end(peer);
	kit_open(&kit);         /* here each write is a packet */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fd), 0);
	o = (struct owner){ 0 };
	o.stream = stream_open(kit.loop, fd[0], &events, &o);
	stream_say_string(o.stream, "250-one\r\n");
	stream_printf(o.stream, "250-%d\r\n", 2);
	buffer_add_string(stream_out(o.stream), "250 three\r\n");
	HOLDS("gathered", stream_pending(o.stream) == 27);
	SAME("nothing yet", take(fd[1]), BYTES(""));
	turn();
	SAME("one packet", take(fd[1]), BYTES("250-one\r\n250-2\r\n250 three\r\n"));
	end(fd[1]);
}

static void
test_a_flood_is_drained_as_the_peer_reads(void **state)
{
	static char flood[1 << 20];
	uint64_t in, out;
	size_t read_by_peer = 0;
	int peer = begin();

	(void)state;
	stream_say(o.stream, (struct bytes){ flood, sizeof flood });
	turn();
	HOLDS("some waits", stream_pending(o.stream) > 64 << 10);
	SAME("not drained", bytes_of(o.what), BYTES(""));
	while (read_by_peer < sizeof flood) {
		struct bytes b = take(peer);

		read_by_peer += b.len;
		if (b.len == 0)
			turn();
	}
	turn();
	SAME("told once", bytes_of(o.what), BYTES("D"));
	stream_counts(o.stream, &in, &out);
	HOLDS("counted", in == 0 && out == sizeof flood);
	end(peer);
}

static void
test_a_flood_that_goes_at_once_is_drained_too(void **state)
{
	static char flood[70 << 10];
	int peer = begin();

	(void)state;
	stream_say(o.stream, (struct bytes){ flood, sizeof flood });
	assert_true(kit_run(&kit, 5000));
	SAME("drained", bytes_of(o.what), BYTES("D"));
	end(peer);
}

/* ---- files ---- */

static char file_bytes[400000];

static int
make_file(void)
{
	char name[] = "/tmp/mansio-unit-XXXXXX";
	int fd = mkstemp(name);

	unlink(name);
	for (size_t i = 0; i < sizeof file_bytes; i++)
		file_bytes[i] = (char)(i * 31 + i / 255);
	assert_int_equal(write(fd, file_bytes, sizeof file_bytes), sizeof file_bytes);
	return fd;
}

/* Said: bytes, a large range, bytes, a small range, bytes. */
static void
say_letter(struct stream *s, int file, struct buffer *wanted)
{
	stream_say_string(s, "* 1 FETCH {350000}\r\n");
	stream_say_file(s, file, 1000, 350000);
	stream_say_string(s, ")\r\n* 2 FETCH {100}\r\n");
	stream_say_file(s, file, 5, 100);
	stream_say_file(s, file, 0, 0);
	stream_say_file(s, file, 0, 60000);
	stream_say_string(s, ")\r\n");
	buffer_add_string(wanted, "* 1 FETCH {350000}\r\n");
	buffer_add(wanted, (struct bytes){ file_bytes + 1000, 350000 });
	buffer_add_string(wanted, ")\r\n* 2 FETCH {100}\r\n");
	buffer_add(wanted, (struct bytes){ file_bytes + 5, 100 });
	buffer_add(wanted, (struct bytes){ file_bytes, 60000 });
	buffer_add_string(wanted, ")\r\n");
}

static void
test_files_go_where_they_were_said(void **state)
{
	struct buffer wanted = { 0 }, got = { 0 };
	int peer = begin(), file = make_file();

	(void)state;
	say_letter(o.stream, file, &wanted);
	close(file);            /* ours; the stream has its own */
	HOLDS("pending", stream_pending(o.stream) == wanted.len);
	for (int i = 0; i < 10000 && got.len < wanted.len; i++) {
		struct bytes b = take(peer);

		buffer_add(&got, b);
		if (b.len == 0)
			turn();
	}
	HOLDS("in order, whole", bytes_equal(buffer_bytes(&got), buffer_bytes(&wanted)));
	HOLDS("nothing pending", stream_pending(o.stream) == 0);
	buffer_free(&wanted);
	buffer_free(&got);
	end(peer);
}

static void
test_a_file_that_became_short_breaks_the_stream(void **state)
{
	int peer = begin(), file = make_file();

	(void)state;
	stream_say_file(o.stream, file, 390000, 100000);
	close(file);
	assert_true(kit_run(&kit, 5000));
	SAME("closed", bytes_of(o.what), BYTES("C"));
	SAME("why", bytes_of(o.why), BYTES("a file is shorter than it was"));
	end(peer);
}

/* ---- ends ---- */

static void
test_the_end_of_file_comes_after_the_bytes(void **state)
{
	int peer = begin();

	(void)state;
	put(peer, BYTES("bye"));
	close(peer);
	while (o.why[0] == '\0')
		assert_true(kit_run(&kit, 5000));
	SAME("bytes, then the end", bytes_of(o.what), BYTES("AC"));
	SAME("why", bytes_of(o.why), BYTES("end of file"));
	end(-1);
}

static void
test_unread_bytes_can_be_peeked_at_the_end(void **state)
{
	int peer = begin();

	(void)state;
	o.leave_it = true;
	put(peer, BYTES("half a li"));
	close(peer);
	while (o.why[0] == '\0')
		assert_true(kit_run(&kit, 5000));
	SAME("still there", stream_peek(o.stream), BYTES("half a li"));
	end(-1);
}

static void
test_half_closed_peers_get_their_answer(void **state)
{
	int peer = begin();

	(void)state;
	put(peer, BYTES("QUIT\r\n"));
	shutdown(peer, SHUT_WR);
	while (o.why[0] == '\0')
		assert_true(kit_run(&kit, 5000));
	stream_say_string(o.stream, "221 bye\r\n");
	stream_finish(&o.stream);
	turn();
	SAME("the answer", take(peer), BYTES("221 bye\r\n"));
	HOLDS("gone at once", stream_leaving(kit.loop) == 0);
	end(peer);
}

static void
test_a_reset_is_told(void **state)
{
	struct linger hard = { .l_onoff = 1 };
	int peer = begin_tcp();

	(void)state;
	setsockopt(peer, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	close(peer);
	assert_true(kit_run(&kit, 5000));
	SAME("why", bytes_of(o.why), BYTES("Connection reset by peer"));
	stream_say_string(o.stream, "said to nobody");
	turn();
	HOLDS("dropped", stream_pending(o.stream) == 0);
	SAME("told once", bytes_of(o.what), BYTES("C"));
	end(-1);
}

static void
test_a_broken_pipe_is_told_even_when_paused(void **state)
{
	int peer = begin();

	(void)state;
	stream_pause(o.stream);
	close(peer);
	stream_say_string(o.stream, "220 hello\r\n");
	stream_flush(o.stream);
	SAME("never from within a call", bytes_of(o.what), BYTES(""));
	assert_true(kit_run(&kit, 5000));
	SAME("why", bytes_of(o.why), BYTES("Broken pipe"));
	end(-1);
}

static void
test_a_stream_may_be_closed_where_it_tells(void **state)
{
	int peer = begin();

	(void)state;
	o.close_it = true;
	put(peer, BYTES("x"));
	assert_true(kit_run(&kit, 5000));
	HOLDS("closed", o.stream == NULL && recv(peer, &o.why, 1, 0) == 0);
	end(peer);
}

static void
test_a_finished_stream_says_its_last_words(void **state)
{
	static char flood[1 << 20];
	size_t n = 0;
	int peer = begin();
	char c;

	(void)state;
	stream_say(o.stream, (struct bytes){ flood, sizeof flood });
	stream_finish(&o.stream);
	HOLDS("nulled", o.stream == NULL);
	turn();
	HOLDS("leaving", stream_leaving(kit.loop) == 1);
	for (int i = 0; i < 10000 && n < sizeof flood; i++) {
		size_t got = take(peer).len;

		n += got;
		if (got == 0)
			turn();
	}
	HOLDS("all of it", n == sizeof flood);
	turn();
	HOLDS("then the end", recv(peer, &c, 1, 0) == 0);
	put(peer, BYTES("late words go nowhere"));
	turn();
	HOLDS("it waits for us", stream_leaving(kit.loop) == 1);
	close(peer);
	turn();
	HOLDS("no longer", stream_leaving(kit.loop) == 0);
	end(-1);
}

/* A client still sending when it is refused must be able to read why: no reset. */
static void
test_a_reply_survives_unread_input(void **state)
{
	static char flood[100000];
	int peer = begin_tcp();

	(void)state;
	o.finish_it = true;
	o.answer = "554 5.7.1 no\r\n";
	put(peer, (struct bytes){ flood, sizeof flood });
	assert_true(kit_run(&kit, 5000));
	turn();
	for (int i = 0; i < 10; i++) {
		put(peer, (struct bytes){ flood, 1000 });
		turn();
	}
	SAME("the reply", take(peer), BYTES("554 5.7.1 no\r\n"));
	end(peer);
}

static void
test_a_loop_closes_with_streams_still_leaving(void **state)
{
	static char flood[1 << 20];
	int peer = begin();

	(void)state;
	stream_say(o.stream, (struct bytes){ flood, sizeof flood });
	stream_finish(&o.stream);
	turn();
	end(peer);
}

static void
test_patience_counts_from_the_last_sign_of_life(void **state)
{
	int peer = begin();

	(void)state;
	stream_patience(o.stream, 600);
	assert_false(kit_run(&kit, 300));
	put(peer, BYTES("x"));
	assert_true(kit_run(&kit, 5000));
	assert_false(kit_run(&kit, 400));
	SAME("not yet", bytes_of(o.what), BYTES("A"));
	assert_true(kit_run(&kit, 5000));
	SAME("now", bytes_of(o.what), BYTES("AT"));
	o.what[0] = o.what[1] = '\0';
	assert_true(kit_run(&kit, 5000));
	SAME("and again", bytes_of(o.what), BYTES("T"));
	stream_patience(o.stream, 0);
	assert_false(kit_run(&kit, 1000));
	end(peer);
}

static void
test_a_detached_descriptor_goes_on_elsewhere(void **state)
{
	struct buffer unread = { 0 };
	int peer = begin(), fd;

	(void)state;
	o.leave_it = true;
	o.until = 0;
	put(peer, BYTES("unread"));
	assert_true(kit_run(&kit, 5000));
	fd = stream_detach(&o.stream, &unread);
	SAME("handed over", buffer_bytes(&unread), BYTES("unread"));
	put(peer, BYTES("more"));
	SAME("open", take(fd), BYTES("more"));
	close(fd);
	buffer_free(&unread);
	end(peer);
}

/* ---- joined ---- */

struct joined { uint64_t ab, ba; char why[64]; int times; };
static struct joined j;

static void
on_done(void *ctx, uint64_t ab, uint64_t ba, const char *why)
{
	struct joined *d = ctx;

	d->ab = ab;
	d->ba = ba;
	d->times++;
	snprintf(d->why, sizeof d->why, "%s", why);
	kit_done(&kit);
}

/* Two peers joined through us: client -- a, b -- server. */
static void
begin_joined(int *client, int *server)
{
	struct stream *b;
	int fd[2];

	*client = begin();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	*server = fd[1];
	b = stream_open(kit.loop, fd[0], &events, &o);
	j = (struct joined){ 0 };
	o.leave_it = true;
	o.until = 0;
	put(*client, BYTES("early "));
	assert_true(kit_run(&kit, 5000));
	stream_join(&o.stream, &b, on_done, &j);
	HOLDS("given away", o.stream == NULL && b == NULL);
}

static void
test_joined_streams_pass_everything_on(void **state)
{
	static char flood[3 << 20];
	struct buffer got = { 0 };
	size_t sent = 0;
	int client, server;

	(void)state;
	begin_joined(&client, &server);
	for (size_t i = 0; i < sizeof flood; i++)
		flood[i] = (char)(i * 13 + i / 257);
	put(server, BYTES("* OK\r\n"));
	for (int i = 0; i < 100000 && got.len < sizeof flood + 6; i++) {
		struct bytes b;
		ssize_t n = send(client, flood + sent, sizeof flood - sent, MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		if (i % 3 == 0) {               /* a slow reader */
			b = take(server);
			buffer_add(&got, b);
		}
		(void)kit_run(&kit, 0);
	}
	HOLDS("what was unread comes first", bytes_starts(buffer_bytes(&got), BYTES("early ")));
	HOLDS("all, in order", bytes_equal(bytes_cut(buffer_bytes(&got), 6, got.len),
	                                   (struct bytes){ flood, sizeof flood }));
	SAME("the other way", take(client), BYTES("* OK\r\n"));
	close(client);
	close(server);
	while (j.times == 0)
		assert_true(kit_run(&kit, 5000));
	HOLDS("counted", j.ab == 6 + sizeof flood && j.ba == 6);
	buffer_free(&got);
	end(-1);
}

static void
test_the_end_of_one_lets_the_other_answer(void **state)
{
	int client, server;

	(void)state;
	begin_joined(&client, &server);
	put(client, BYTES("a LOGOUT\r\n"));
	shutdown(client, SHUT_WR);
	turn();
	turn();
	SAME("all came", take(server), BYTES("early a LOGOUT\r\n"));
	HOLDS("and the end", recv(server, &(char){ 0 }, 1, MSG_DONTWAIT) == 0);
	put(server, BYTES("* BYE\r\n"));
	close(server);
	while (j.times == 0)
		assert_true(kit_run(&kit, 5000));
	turn();
	SAME("answered", take(client), BYTES("* BYE\r\n"));
	SAME("why", bytes_of(j.why), BYTES("end of file"));
	HOLDS("counted", j.ab == 16 && j.ba == 7 && j.times == 1);
	end(client);
}

static void
test_joined_streams_can_be_ended(void **state)
{
	int client, server;

	(void)state;
	begin_joined(&client, &server);
	HOLDS("not of another", stream_unjoin(kit.loop, &o) == 0);
	HOLDS("one", stream_unjoin(kit.loop, &j) == 1 && j.times == 1);
	SAME("why", bytes_of(j.why), BYTES("ended"));
	HOLDS("none left", stream_unjoin(kit.loop, &j) == 0);
	turn();
	SAME("what was under way still goes", take(server), BYTES("early "));
	close(server);
	end(client);
}

static void
test_a_join_ends_when_one_breaks(void **state)
{
	int client, server;

	(void)state;
	begin_joined(&client, &server);
	turn();
	close(server);          /* with unread bytes: a reset */
	while (j.times == 0)
		assert_true(kit_run(&kit, 5000));
	HOLDS("told why", strcmp(j.why, "Connection reset by peer") == 0);
	end(client);
}

static void
test_a_loop_closes_with_streams_still_joined(void **state)
{
	int client, server;

	(void)state;
	begin_joined(&client, &server);
	turn();
	close(server);
	end(client);
	HOLDS("nobody is told", j.times == 0);
}

/* ---- chaos: everything at any moment, and every byte in its place ---- */

enum { PAIRS = 60, CHAOS_BYTES = 400000, PERIOD = 251 };

struct chaos {
	struct stream *stream;
	uint64_t       heard, said;
	bool           finished, closed, wrong;
};

static struct chaos chaos[2 * PAIRS];
static uint32_t     dice_state = 1;
static int          chaos_file;

static uint32_t
dice(uint32_t sides)
{
	dice_state = dice_state * 1664525 + 1013904223;
	return (dice_state >> 8) % sides;
}

static void
chaos_say(struct chaos *c)
{
	uint64_t left = CHAOS_BYTES - c->said, n = dice(4) == 0 ? dice(90000) : dice(700);
	struct buffer *out;

	if (n > left)
		n = left;
	if (dice(3) == 0) {
		stream_say_file(c->stream, chaos_file, (off_t)(c->said % PERIOD), n);
		c->said += n;
		return;
	}
	out = stream_out(c->stream);
	for (; n > 0; n--)
		buffer_add_char(out, (char)(c->said++ % PERIOD));
}

static void
chaos_hear(struct chaos *c)
{
	struct bytes b = stream_peek(c->stream);
	size_t n = dice(3) == 0 ? dice((uint32_t)b.len + 1) : b.len;

	for (size_t i = 0; i < n; i++)
		c->wrong |= (uint8_t)b.at[i] != (c->heard + i) % PERIOD;
	c->heard += n;
	stream_eat(c->stream, n);
}

/* Whatever an owner may do; also from within callbacks. */
static void
chaos_act(struct chaos *c)
{
	if (c->stream == NULL)
		return;
	switch (dice(9)) {
	case 0: stream_pause(c->stream); break;
	case 1: stream_resume(c->stream); break;
	case 2: stream_flush(c->stream); break;
	case 3: chaos_hear(c); break;
	case 4: stream_most_unread(c->stream, 1000 + dice(100000)); break;
	case 5: stream_patience(c->stream, dice(20)); break;
	default:
		if (stream_pending(c->stream) < 100000)
			chaos_say(c);
	}
	if (c->said == CHAOS_BYTES && c->heard == CHAOS_BYTES && dice(4) == 0) {
		c->finished = true;
		stream_finish(&c->stream);
	}
}

static void
chaos_arrived(void *ctx)
{
	struct chaos *c = ctx;

	chaos_hear(c);
	chaos_act(c);
}

static void chaos_event(void *ctx) { chaos_act(ctx); }

static void
chaos_closed(void *ctx, const char *why)
{
	struct chaos *c = ctx;

	c->closed = true;
	c->wrong |= strcmp(why, "end of file") != 0;
	while (stream_peek(c->stream).len > 0)
		chaos_hear(c);
	stream_close(&c->stream);
}

static void
chaos_rest(void *ctx)
{
	bool left = false;

	(void)ctx;
	for (int i = 0; i < 2 * PAIRS; i++) {
		chaos_act(&chaos[i]);
		if (chaos[i].stream != NULL && dice(3) == 0)
			stream_resume(chaos[i].stream);
		left |= chaos[i].stream != NULL;
	}
	loop_again(kit.loop);
	if (!left)
		kit_done(&kit);
}

static void
test_chaos_loses_no_byte(void **state)
{
	static const struct stream_events chaotic = {
		.arrived = chaos_arrived, .drained = chaos_event, .silent = chaos_event,
		.closed = chaos_closed
	};
	char name[] = "/tmp/mansio-unit-XXXXXX";
	struct buffer pattern = { 0 };
	int fd[2];

	(void)state;
	chaos_file = mkstemp(name);
	unlink(name);
	for (int i = 0; i < 100000 + PERIOD; i++)
		buffer_add_char(&pattern, (char)(i % PERIOD));
	assert_int_equal(write(chaos_file, pattern.at, pattern.len), pattern.len);
	buffer_free(&pattern);
	kit_open(&kit);
	for (int i = 0; i < 2 * PAIRS; i += 2) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
		for (int k = 0; k < 2; k++) {
			chaos[i + k] = (struct chaos){ 0 };
			chaos[i + k].stream = stream_open(kit.loop, fd[k], &chaotic, &chaos[i + k]);
		}
	}
	loop_at_rest(kit.loop, chaos_rest, NULL);
	HOLDS("all come to their end", kit_run(&kit, 40000));
	for (int i = 0; i < 2 * PAIRS; i++) {
		HOLDS("each byte in its place", !chaos[i].wrong);
		HOLDS("all of them", chaos[i].heard == CHAOS_BYTES && chaos[i].said == CHAOS_BYTES);
	}
	close(chaos_file);
	kit_close(&kit);
}

/* ---- memory: printed, never judged ---- */

enum { MANY = 10000 };

static void
test_what_an_idle_stream_holds(void **state)
{
	static struct owner owner[MANY];
	static int peer[MANY];
	struct rlimit few;
	size_t before, after;
	int n, most = MANY;

	(void)state;
	kit_open(&kit);
	getrlimit(RLIMIT_NOFILE, &few);
	few.rlim_cur = few.rlim_max;
	setrlimit(RLIMIT_NOFILE, &few);
	if (few.rlim_cur < MANY * 2 + 100)
		most = (int)(few.rlim_cur / 2) - 50;
	before = mallinfo2().uordblks;
	for (n = 0; n < most; n++) {
		int fd[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) < 0)
			break;
		peer[n] = fd[1];
		owner[n] = (struct owner){ .leave_it = true, .until = UINT64_MAX };
		owner[n].stream = stream_open(kit.loop, fd[0], &events, &owner[n]);
		stream_patience(owner[n].stream, 300000);
		stream_say_string(owner[n].stream, "220 hello\r\n");
		put(peer[n], BYTES("NOOP\r\n"));
	}
	turn();
	(void)kit_run(&kit, 200);
	for (int i = 0; i < n; i++)
		stream_eat(owner[i].stream, stream_peek(owner[i].stream).len);
	after = mallinfo2().uordblks;
	if (after > before)
		print_message("stream: %zu bytes of heap for each of %d idle plain streams\n",
		              (after - before) / (size_t)n, n);
	for (int i = 0; i < n; i++) {
		stream_close(&owner[i].stream);
		close(peer[i]);
	}
	kit_close(&kit);
}

UNIT(test_what_is_not_eaten_stays, test_a_pause_holds_back_and_resume_tells_again,
     test_the_end_waits_for_a_paused_owner,
     test_no_more_is_held_than_allowed, test_large_unread_input_grows_in_its_place,
     test_everything_said_in_one_turn_goes_with_one_write,
     test_a_flood_is_drained_as_the_peer_reads, test_a_flood_that_goes_at_once_is_drained_too,
     test_files_go_where_they_were_said, test_a_file_that_became_short_breaks_the_stream,
     test_the_end_of_file_comes_after_the_bytes, test_unread_bytes_can_be_peeked_at_the_end,
     test_half_closed_peers_get_their_answer, test_a_reset_is_told,
     test_a_broken_pipe_is_told_even_when_paused, test_a_stream_may_be_closed_where_it_tells,
     test_a_finished_stream_says_its_last_words, test_a_reply_survives_unread_input,
     test_a_loop_closes_with_streams_still_leaving,
     test_patience_counts_from_the_last_sign_of_life, test_a_detached_descriptor_goes_on_elsewhere,
     test_joined_streams_pass_everything_on, test_the_end_of_one_lets_the_other_answer,
     test_joined_streams_can_be_ended, test_a_join_ends_when_one_breaks,
     test_a_loop_closes_with_streams_still_joined, test_chaos_loses_no_byte,
     test_what_an_idle_stream_holds)
