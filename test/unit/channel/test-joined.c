#include "owner.h"

struct joined {
	uint64_t ab, ba;
	char     why[64];
	int      times;
};
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
	int            fd[2];

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
	static char   flood[3 << 20];
	struct buffer got = { 0 };
	size_t        sent = 0;
	int           client, server;

	(void)state;
	begin_joined(&client, &server);
	for (size_t i = 0; i < sizeof flood; i++)
		flood[i] = (char)(i * 13 + i / 257);
	put(server, BYTES("* OK\r\n"));
	for (int i = 0; i < 100000 && got.len < sizeof flood + 6; i++) {
		struct bytes b;
		ssize_t      n = send(client, flood + sent, sizeof flood - sent, MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		if (i % 3 == 0) { /* a slow reader */
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
	close(server); /* with unread bytes: a reset */
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

UNIT(test_joined_streams_pass_everything_on, test_the_end_of_one_lets_the_other_answer,
     test_joined_streams_can_be_ended, test_a_join_ends_when_one_breaks,
     test_a_loop_closes_with_streams_still_joined)
