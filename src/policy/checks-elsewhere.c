#include "policy/checks-elsewhere.h"

#include <string.h>

#include "base/map.h"
#include "base/pack.h"

enum { EACH = 4 + 4 + 4 + 1 };

struct elsewhere {
	struct arena *life;
	struct map   *known; /* table, NUL, key -> struct elsewhere_question */
	struct buffer name;
	struct noted {
		struct noted             *next;
		struct elsewhere_question is;
	} * first, **last;
	uint32_t noted;
	size_t   size;
};

void
elsewhere_pack(const struct elsewhere_question *q, uint32_t count, struct buffer *out)
{
	pack_u32(out, count);
	for (uint32_t i = 0; i < count; i++) {
		pack_bytes(out, q[i].table);
		pack_bytes(out, q[i].key);
		pack_bytes(out, q[i].value);
		pack_u8(out, (uint8_t)q[i].answer);
	}
}

struct elsewhere_question *
elsewhere_unpack(struct bytes packed, struct arena *life, uint32_t *count)
{
	struct unpack              u = unpack_of(packed);
	uint32_t                   n = unpack_u32(&u);
	struct elsewhere_question *q;

	*count = 0;
	if (u.broken || n > ELSEWHERE_MOST || n > u.rest.len / EACH)
		return NULL;
	q = arena_take_array(life, n + (size_t)1, sizeof *q);
	for (uint32_t i = 0; i < n; i++) {
		q[i].table = unpack_bytes(&u);
		q[i].key = unpack_bytes(&u);
		q[i].value = unpack_bytes(&u);
		q[i].answer = (enum check_answer)unpack_u8(&u);
		u.broken |= q[i].answer > CHECK_WAIT || bytes_find(q[i].table, '\0') >= 0;
	}
	*count = n;
	return unpack_done(&u) ? q : NULL;
}

/* A name has no NUL in it. */
static struct bytes
name_of(struct elsewhere *e, struct bytes table, struct bytes key)
{
	buffer_reset(&e->name);
	buffer_add(&e->name, table);
	buffer_add_char(&e->name, '\0');
	buffer_add(&e->name, key);
	return buffer_bytes(&e->name);
}

struct elsewhere *
elsewhere_open(struct bytes packed)
{
	struct elsewhere          *e = memory_take(sizeof *e);
	struct elsewhere_question *q = NULL;
	uint32_t                   n = 0;

	e->life = arena_open(NULL);
	e->known = map_open();
	e->last = &e->first;
	if (packed.len > 0 && (q = elsewhere_unpack(packed, e->life, &n)) == NULL)
		elsewhere_close(&e);
	for (uint32_t i = 0; i < n && e != NULL; i++)
		(void)map_put(e->known, name_of(e, q[i].table, q[i].key), &q[i]);
	return e;
}

enum check_answer
elsewhere_find(struct elsewhere *e, const char *table, struct bytes key, struct bytes *value)
{
	struct bytes                     name = name_of(e, bytes_of(table), key);
	const struct elsewhere_question *q = map_get(e->known, name);
	struct noted                    *n;

	if (q != NULL) {
		*value = q->value;
		return q->answer;
	}
	if (e->noted >= ELSEWHERE_PASS_MOST || e->size >= ELSEWHERE_PASS_SIZE)
		return CHECK_ENOUGH;
	n = arena_take(e->life, sizeof *n);
	n->is = (struct elsewhere_question){ .table = arena_keep(e->life, bytes_of(table)),
		                             .key = arena_keep(e->life, key),
		                             .value = BYTES(""),
		                             .answer = CHECK_WAIT };
	*e->last = n;
	e->last = &n->next;
	e->noted++;
	e->size += key.len;
	(void)map_put(e->known, name, &n->is);
	return CHECK_WAIT;
}

void
elsewhere_wanted(const struct elsewhere *e, struct buffer *out)
{
	struct elsewhere_question *q = arena_take_array(e->life, e->noted + (size_t)1, sizeof *q);
	uint32_t                   n = 0;

	for (const struct noted *one = e->first; one != NULL; one = one->next)
		q[n++] = one->is;
	elsewhere_pack(q, n, out);
}

void
elsewhere_close(struct elsewhere **ep)
{
	struct elsewhere *e = *ep;

	*ep = NULL;
	if (e == NULL)
		return;
	map_close(&e->known);
	buffer_free(&e->name);
	arena_close(&e->life);
	memory_free(e);
}
