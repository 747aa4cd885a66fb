#include "base/buffer.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/journal.h"

#define SMALLEST ((size_t)64)

static size_t
front_of(const struct buffer *b)
{
	return b->_start == NULL ? 0 : (size_t)(b->at - b->_start);
}

static size_t
room_of(const struct buffer *b)
{
	return b->_room - front_of(b) - b->len;
}

static void
move_to_front(struct buffer *b)
{
	if (b->_start != NULL && b->at != b->_start)
		memmove(b->_start, b->at, b->len);
	b->at = b->_start;
}

/* Room that was eaten at the front is used again when that moves less than it
   gains; otherwise the buffer doubles.  Either way a byte is moved a bounded
   number of times. */
static void
make_room(struct buffer *b, size_t n)
{
	size_t least, room = b->_room < SMALLEST ? SMALLEST : b->_room;
	bool   half_eaten = front_of(b) >= b->len;

	move_to_front(b);
	if (b->_start != NULL && half_eaten && n <= room_of(b))
		return;
	if (__builtin_add_overflow(b->len, n, &least) || least > PTRDIFF_MAX / 2)
		panic("out of memory: a buffer of %zu bytes asked for %zu more", b->len, n);
	while (room < least || room == b->_room)
		room *= 2;
	b->_start = memory_resize(b->_start, room);
	b->_room = room;
	b->at = b->_start;
}

char *
buffer_room(struct buffer *b, size_t n)
{
	if (b->_start == NULL || n > room_of(b))
		make_room(b, n);
	return b->at + b->len;
}

void
buffer_took(struct buffer *b, size_t n)
{
	INSIDE(n <= room_of(b));
	b->len += n;
}

void
buffer_add(struct buffer *b, struct bytes what)
{
	if (what.len == 0)
		return;
	memcpy(buffer_room(b, what.len), what.at, what.len);
	b->len += what.len;
}

void
buffer_add_string(struct buffer *b, const char *string)
{
	buffer_add(b, bytes_of(string));
}

void
buffer_add_char(struct buffer *b, char c)
{
	*buffer_room(b, 1) = c;
	b->len++;
}

void
buffer_vprintf(struct buffer *b, const char *form, va_list list)
{
	va_list again;
	size_t  room;
	int     n;

	va_copy(again, list);
	(void)buffer_room(b, 1);
	room = room_of(b);
	n = vsnprintf(b->at + b->len, room, form, list);
	INSIDE(n >= 0);
	if ((size_t)n >= room)
		(void)vsnprintf(buffer_room(b, (size_t)n + 1), (size_t)n + 1, form, again);
	va_end(again);
	b->len += (size_t)n;
}

void
buffer_printf(struct buffer *b, const char *form, ...)
{
	va_list list;

	va_start(list, form);
	buffer_vprintf(b, form, list);
	va_end(list);
}

void
buffer_add_number(struct buffer *b, uint64_t n)
{
	char  digits[20];
	char *at = digits + sizeof digits;

	do {
		*--at = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	buffer_add(b, (struct bytes){ at, (size_t)(digits + sizeof digits - at) });
}

void
buffer_eat(struct buffer *b, size_t n)
{
	INSIDE(n <= b->len);
	if (n == 0)
		return;
	b->at += n;
	b->len -= n;
	if (b->len == 0)
		b->at = b->_start;
}

void
buffer_reset(struct buffer *b)
{
	b->at = b->_start;
	b->len = 0;
}

void
buffer_free(struct buffer *b)
{
	memory_free(b->_start);
	*b = (struct buffer){ 0 };
}
