#include "base/pack.h"

#include <string.h>

#include "base/journal.h"

static void
pack_number(struct buffer *b, uint64_t n, size_t width)
{
	char *at = buffer_room(b, width);

	for (size_t i = 0; i < width; i++)
		at[i] = (char)(n >> (8 * i) & 0xff);
	buffer_took(b, width);
}

void
pack_u8(struct buffer *b, uint8_t n)
{
	pack_number(b, n, sizeof n);
}

void
pack_u16(struct buffer *b, uint16_t n)
{
	pack_number(b, n, sizeof n);
}

void
pack_u32(struct buffer *b, uint32_t n)
{
	pack_number(b, n, sizeof n);
}

void
pack_u64(struct buffer *b, uint64_t n)
{
	pack_number(b, n, sizeof n);
}

void
pack_i64(struct buffer *b, int64_t n)
{
	pack_number(b, (uint64_t)n, sizeof n);
}

void
pack_bool(struct buffer *b, bool yes)
{
	pack_number(b, yes, 1);
}

void
pack_bytes(struct buffer *b, struct bytes what)
{
	INSIDE(what.len <= UINT32_MAX);
	pack_u32(b, (uint32_t)what.len);
	buffer_add(b, what);
}

void
pack_string(struct buffer *b, const char *string)
{
	pack_bytes(b, bytes_of(string));
}

struct unpack
unpack_of(struct bytes b)
{
	return (struct unpack){ .rest = b };
}

/* The next n bytes, or the first fault. */
static struct bytes
unpack_take(struct unpack *u, size_t n)
{
	struct bytes taken;

	if (u->broken || n > u->rest.len) {
		u->broken = true;
		return (struct bytes){ NULL, 0 };
	}
	taken = bytes_cut(u->rest, 0, n);
	u->rest = bytes_cut(u->rest, n, u->rest.len);
	return taken;
}

static uint64_t
unpack_number(struct unpack *u, size_t width)
{
	struct bytes b = unpack_take(u, width);
	uint64_t     n = 0;

	for (size_t i = b.len; i > 0; i--)
		n = n << 8 | (unsigned char)b.at[i - 1];
	return n;
}

uint8_t
unpack_u8(struct unpack *u)
{
	return (uint8_t)unpack_number(u, sizeof(uint8_t));
}

uint16_t
unpack_u16(struct unpack *u)
{
	return (uint16_t)unpack_number(u, sizeof(uint16_t));
}

uint32_t
unpack_u32(struct unpack *u)
{
	return (uint32_t)unpack_number(u, sizeof(uint32_t));
}

uint64_t
unpack_u64(struct unpack *u)
{
	return unpack_number(u, sizeof(uint64_t));
}

int64_t
unpack_i64(struct unpack *u)
{
	return (int64_t)unpack_number(u, sizeof(int64_t));
}

bool
unpack_bool(struct unpack *u)
{
	uint8_t n = unpack_u8(u);

	if (n > 1)
		u->broken = true;
	return n == 1;
}

struct bytes
unpack_bytes(struct unpack *u)
{
	return unpack_take(u, unpack_u32(u));
}

void
unpack_string(struct unpack *u, char *out, size_t room)
{
	if (!bytes_string(unpack_bytes(u), out, room))
		u->broken = true;
}

bool
unpack_done(const struct unpack *u)
{
	return !u->broken && u->rest.len == 0;
}
