#include "owner.h"

#include "channel/link.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>

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
	int  peer = begin();

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
	size_t      sent = 0;
	int         peer = begin();

	(void)state;
	for (size_t i = 0; i < sizeof all; i++)
		all[i] = (char)(i * 7 + i / 251);
	o.leave_it = true;
	o.until = UINT64_MAX;
	stream_most_unread(o.stream, sizeof all);
	for (int i = 0; i < 1000 && stream_peek(o.stream).len < sizeof all; i++) {
		size_t  left = sizeof all - sent, most = 1 + (size_t)i * 997 % 50000;
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
	kit_open(&kit); /* here each write is a packet */
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
	uint64_t    in, out;
	size_t      read_by_peer = 0;
	int         peer = begin();

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
	int         peer = begin();

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
	int  fd = mkstemp(name);

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
	int           peer = begin(), file = make_file();

	(void)state;
	say_letter(o.stream, file, &wanted);
	close(file); /* ours; the stream has its own */
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
	int           peer = begin_tcp();

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
	size_t      n = 0;
	int         peer = begin();
	char        c;

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
	int         peer = begin_tcp();

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
	int         peer = begin();

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
	int           peer = begin(), fd;

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

/* ---- memory: printed, never judged ---- */

enum { MANY = 10000 };

static void
test_what_an_idle_stream_holds(void **state)
{
	static struct owner owner[MANY];
	static int          peer[MANY];
	struct rlimit       few;
	size_t              before, after;
	int                 n, most = MANY;

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
     test_the_end_waits_for_a_paused_owner, test_no_more_is_held_than_allowed,
     test_large_unread_input_grows_in_its_place,
     test_everything_said_in_one_turn_goes_with_one_write,
     test_a_flood_is_drained_as_the_peer_reads, test_a_flood_that_goes_at_once_is_drained_too,
     test_files_go_where_they_were_said, test_a_file_that_became_short_breaks_the_stream,
     test_the_end_of_file_comes_after_the_bytes, test_unread_bytes_can_be_peeked_at_the_end,
     test_half_closed_peers_get_their_answer, test_a_reset_is_told,
     test_a_broken_pipe_is_told_even_when_paused, test_a_stream_may_be_closed_where_it_tells,
     test_a_finished_stream_says_its_last_words, test_a_reply_survives_unread_input,
     test_a_loop_closes_with_streams_still_leaving, test_patience_counts_from_the_last_sign_of_life,
     test_a_detached_descriptor_goes_on_elsewhere, test_what_an_idle_stream_holds)
