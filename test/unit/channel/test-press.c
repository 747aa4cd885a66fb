/* DEFLATE on a socket: what Python's zlib.compressobj(9, zlib.DEFLATED, -15) made is read, never more
   than there is room for; what we say is what zlib's inflate reads. */
#include "unit.h"

#include "channel/press.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

/* zlib.compressobj(9, zlib.DEFLATED, -15): compress(b"a NOOP\r\n" + b"x" * 1000) + flush(Z_SYNC_FLUSH) */
static const unsigned char peers[] = {
	0x4a, 0x54, 0xf0, 0xf3, 0xf7, 0x0f, 0xe0, 0xe5, 0xaa, 0x18, 0x05,
	0xa3, 0x60, 0x14, 0x0c, 0x7b, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff,
};

static void
test_room_is_never_passed(void **state)
{
	struct press *p = press_open();
	struct buffer got = { 0 };
	char          room[10];
	int           pair[2];
	size_t        n;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	struct socket s = { .fd = pair[0] };
	assert_int_equal(write(pair[1], peers, sizeof peers), sizeof peers);
	while (press_read(p, &s, room, sizeof room, &n) == SOCKET_MOVED) {
		HOLDS("it came", n > 0 && n <= sizeof room);
		buffer_add(&got, (struct bytes){ room, n });
	}
	buffer_add(&got, (struct bytes){ room, n });
	SAME("the command", bytes_cut(buffer_bytes(&got), 0, 8), BYTES("a NOOP\r\n"));
	HOLDS("all of it", got.len == 1008);
	HOLDS("nothing is left", !press_holds(p));
	assert_int_equal(write(pair[1], "\xff\xff", 2), 2);
	HOLDS("no DEFLATE", press_read(p, &s, room, sizeof room, &n) == SOCKET_BROKEN);
	close(pair[0]);
	close(pair[1]);
	buffer_free(&got);
	press_close(&p);
}

static void
test_what_is_flushed_can_be_read(void **state)
{
	struct press *p = press_open();
	char          plain[70000], back[sizeof plain + 1];
	z_stream      z = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof plain; i++)
		plain[i] = (char)(i * i >> 5);
	press_add(p, (struct bytes){ plain, 30000 }, false);
	press_add(p, (struct bytes){ plain + 30000, sizeof plain - 30000 }, true);
	assert_int_equal(inflateInit2(&z, -15), Z_OK);
	z.next_in = (unsigned char *)(uintptr_t)press_out(p).at;
	z.avail_in = (unsigned)press_out(p).len;
	z.next_out = (unsigned char *)back;
	z.avail_out = sizeof back;
	assert_int_equal(inflate(&z, Z_SYNC_FLUSH), Z_OK);
	HOLDS("all of it", z.avail_out == 1 && z.avail_in == 0);
	HOLDS("as it was", memcmp(plain, back, sizeof plain) == 0);
	press_gone(p, press_out(p).len);
	HOLDS("gone", press_out(p).len == 0);
	(void)inflateEnd(&z);
	press_close(&p);
}

/* The same with b"a UNAUTHENTICATE\r\n", and what may end it, then b"b NOOP\r\n" as it is. */
static const struct {
	const char   *why;
	unsigned char bytes[32];
	size_t        len;
} last_words[] = {
	{ "flush(Z_SYNC_FLUSH)",
	  { 0x4a, 0x54, 0x08, 0xf5, 0x73, 0x0c, 0x0d, 0xf1, 0x70, 0xf5, 0x0b, 0xf1,
	    0x74, 0x76, 0x0c, 0x71, 0xe5, 0xe5, 0x02, 0x00, 0x00, 0x00, 0xff, 0xff },
	  24 },
	{ "flush(Z_FINISH)",
	  { 0x4b, 0x54, 0x08, 0xf5, 0x73, 0x0c, 0x0d, 0xf1, 0x70, 0xf5,
	    0x0b, 0xf1, 0x74, 0x76, 0x0c, 0x71, 0xe5, 0xe5, 0x02, 0x00 },
	  20 },
	{ "flush(Z_SYNC_FLUSH) + flush(Z_FINISH)",
	  { 0x4a, 0x54, 0x08, 0xf5, 0x73, 0x0c, 0x0d, 0xf1, 0x70, 0xf5, 0x0b, 0xf1, 0x74,
	    0x76, 0x0c, 0x71, 0xe5, 0xe5, 0x02, 0x00, 0x00, 0x00, 0xff, 0xff, 0x03, 0x00 },
	  26 },
};

/* As much as is there, up to a line. */
static void
hear(struct press *p, struct socket *s, struct buffer *got)
{
	char   room[100];
	size_t n;

	HOLDS("it can be read", press_read(p, s, room, sizeof room, &n) != SOCKET_BROKEN);
	buffer_add(got, (struct bytes){ room, n });
}

/* What follows the last compressed line is read as it is, whatever of it has come by then. */
static void
test_what_follows_the_end_is_plain(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(last_words); i++)
		for (size_t cut = 12; cut <= last_words[i].len; cut++) {
			if (i == 2 && cut == last_words[i].len - 2)
				continue; /* who ends twice, and apart, is not known to */
			struct press *p = press_open();
			struct buffer got = { 0 }, first = { 0 };
			int           pair[2];
			bool          ended = false;

			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair),
			                 0);
			struct socket s = { .fd = pair[0] };
			buffer_add(&first, (struct bytes){ (const char *)last_words[i].bytes,
			                                   last_words[i].len });
			buffer_add_string(&first, "b NOOP\r\n");
			if (cut == last_words[i].len)
				cut = first.len;
			assert_int_equal(write(pair[1], first.at, cut), cut);
			hear(p, &s, &got);
			if (bytes_is(buffer_bytes(&got), "a UNAUTHENTICATE\r\n")) {
				press_end(p);
				ended = true;
			}
			assert_int_equal(write(pair[1], first.at + cut, first.len - cut),
			                 first.len - cut);
			hear(p, &s, &got);
			if (!ended)
				press_end(p);
			hear(p, &s, &got);
			SAME(last_words[i].why, buffer_bytes(&got),
			     BYTES("a UNAUTHENTICATE\r\nb NOOP\r\n"));
			HOLDS(last_words[i].why, press_is_over(p));
			close(pair[0]);
			close(pair[1]);
			buffer_free(&first);
			buffer_free(&got);
			press_close(&p);
		}
}

/* What was read with the last line and is not for us. */
static void
test_the_rest_is_given_back(void **state)
{
	struct press *p = press_open();
	struct buffer got = { 0 }, rest = { 0 };
	int           pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	struct socket s = { .fd = pair[0] };
	assert_int_equal(write(pair[1], last_words[0].bytes, last_words[0].len), last_words[0].len);
	assert_int_equal(write(pair[1], "b NOOP\r\n", 8), 8);
	hear(p, &s, &got);
	press_end(p);
	press_rest(p, &rest);
	SAME("not a byte less", buffer_bytes(&rest), BYTES("b NOOP\r\n"));
	HOLDS("once", !press_holds(p));
	close(pair[0]);
	close(pair[1]);
	buffer_free(&got);
	buffer_free(&rest);
	press_close(&p);
}

/* rfc8437:4.1: zlib's inflate hears that there is no more. */
static void
test_our_end_is_told(void **state)
{
	struct press *p = press_open();
	z_stream      z = { 0 };
	char          back[100];

	(void)state;
	press_add(p, BYTES("* OK\r\n"), true);
	press_end(p);
	press_add(p, BYTES("a OK\r\n"), true);
	assert_int_equal(inflateInit2(&z, -15), Z_OK);
	z.next_in = (unsigned char *)(uintptr_t)press_out(p).at;
	z.avail_in = (unsigned)press_out(p).len;
	z.next_out = (unsigned char *)back;
	z.avail_out = sizeof back;
	assert_int_equal(inflate(&z, Z_SYNC_FLUSH), Z_STREAM_END);
	SAME("all of it", ((struct bytes){ back, sizeof back - z.avail_out }),
	     BYTES("* OK\r\na OK\r\n"));
	HOLDS("and nothing behind", z.avail_in == 0);
	(void)inflateEnd(&z);
	press_close(&p);
}

UNIT(test_room_is_never_passed, test_what_is_flushed_can_be_read,
     test_what_follows_the_end_is_plain, test_the_rest_is_given_back, test_our_end_is_told)
