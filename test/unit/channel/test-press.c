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
	0x4a, 0x54, 0xf0, 0xf3, 0xf7, 0x0f, 0xe0, 0xe5, 0xaa, 0x18, 0x05, 0xa3, 0x60, 0x14, 0x0c, 0x7b, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff,
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

UNIT(test_room_is_never_passed, test_what_is_flushed_can_be_read)
