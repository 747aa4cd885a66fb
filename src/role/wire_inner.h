/* wire_inner -- how bodies of words are read: what wire.c and wire-letter.c share */
#ifndef ROLE_WIRE_INNER_H
#define ROLE_WIRE_INNER_H

#include "role/wire.h"
#include <sys/socket.h>

/*
 * What several bodies share.  A reader holds the fields' first fault and the
 * arena for what cannot be a view.
 */
struct reader {
	struct unpack fields;
	struct arena *life;
};

static inline struct reader
reader_of(struct bytes body, struct arena *life)
{
	return (struct reader){ unpack_of(body), life };
}

static inline bool
reader_done(const struct reader *r)
{
	return unpack_done(&r->fields);
}

/* A word of our own: no NUL in it. */
static inline const char *
read_string(struct reader *r)
{
	struct bytes b = unpack_bytes(&r->fields);

	if (bytes_find(b, '\0') >= 0)
		r->fields.broken = true;
	return r->fields.broken ? "" : arena_copy(r->life, b);
}

/* One of the values 0..most of an enum. */
static inline uint8_t
read_choice(struct reader *r, uint8_t most)
{
	uint8_t n = unpack_u8(&r->fields);

	if (n > most)
		r->fields.broken = true;
	return r->fields.broken ? 0 : n;
}

static inline enum role
read_role(struct reader *r)
{
	return (enum role)read_choice(r, ROLES - 1);
}

static inline int32_t
read_i32(struct reader *r)
{
	return (int32_t)unpack_u32(&r->fields);
}

/* How many items follow, of at least `each` bytes: nobody makes us take memory
   for more than there are. */
static inline uint32_t
read_count(struct reader *r, size_t each, uint32_t most)
{
	uint32_t n = unpack_u32(&r->fields);

	if (n > most || n > r->fields.rest.len / each)
		r->fields.broken = true;
	return r->fields.broken ? 0 : n;
}

/* A peer's family on the wire; not the system's numbers. */
static const int families[] = { AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6 };

static inline void
pack_peer(struct buffer *b, const struct peer *p)
{
	uint8_t family = 0;

	for (size_t i = 0; i < COUNT(families); i++)
		if (families[i] == p->family)
			family = (uint8_t)i;
	pack_u8(b, family);
	pack_u16(b, p->port);
	buffer_add(b, (struct bytes){ (const char *)p->raw, sizeof p->raw });
	pack_string(b, p->text);
}

static inline void
read_peer(struct reader *r, struct peer *p)
{
	p->family = families[read_choice(r, COUNT(families) - 1)];
	p->port = unpack_u16(&r->fields);
	for (size_t i = 0; i < sizeof p->raw; i++)
		p->raw[i] = unpack_u8(&r->fields);
	unpack_string(&r->fields, p->text, sizeof p->text);
}

#endif
