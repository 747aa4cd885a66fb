/*
 * buffer -- bytes that grow at the end and are eaten at the front
 *
 * A zeroed struct buffer is empty and owns nothing.  Content is at..at+len;
 * buffer_eat() drops from the front (cheaply: the room is reused).
 * buffer_reset() keeps the memory; buffer_free() gives it back.
 * Growth is checked; past memory the process ends (see arena.h).
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdarg.h>
#include "base/bytes.h"

struct buffer {
	char  *at;         /* first byte of content                     */
	size_t len;        /* bytes of content                          */
	char  *_start;     /* what was allocated                        */
	size_t _room;
};

void  buffer_add(struct buffer *, struct bytes);
void  buffer_add_string(struct buffer *, const char *);
void  buffer_add_char(struct buffer *, char);
void  buffer_printf(struct buffer *, const char *form, ...) __attribute__((format(printf, 2, 3)));
void  buffer_vprintf(struct buffer *, const char *form, va_list) __attribute__((format(printf, 2, 0)));
void  buffer_add_number(struct buffer *, uint64_t);      /* decimal, quick */
char *buffer_room(struct buffer *, size_t n);   /* n writable bytes after the content */
void  buffer_took(struct buffer *, size_t n);   /* n of them are content now          */
void  buffer_eat(struct buffer *, size_t n);
void  buffer_reset(struct buffer *);
void  buffer_free(struct buffer *);
static inline struct bytes buffer_bytes(const struct buffer *b) { return (struct bytes){ b->at, b->len }; }

#endif
