#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/journal.h"

#if defined(__SANITIZE_ADDRESS__)
#define WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED 1
#endif
#endif
#ifdef WATCHED
#include <sanitizer/asan_interface.h>
#define HIDE(at, len) ASAN_POISON_MEMORY_REGION(at, len)
#define SHOW(at, len) ASAN_UNPOISON_MEMORY_REGION(at, len)
#define FENCE 16 /* kept hidden behind everything taken */
#else
#define HIDE(at, len) ((void)(at), (void)(len))
#define SHOW(at, len) ((void)(at), (void)(len))
#define FENCE 0
#endif

#define ALIGN ((size_t)16)
#define FIRST ((size_t)256)
#define LARGEST ((size_t)64 * 1024)

/*
 * Memory comes in chunks.  What is free in a chunk is always zero, so taking
 * is only counting; arena_clear() pays for that by wiping what was used.
 */
struct chunk {
	struct chunk *older;
	size_t        room, used; /* of the bytes behind this header */
	size_t        _unused;    /* keeps what follows aligned */
};

/* The arena itself lives in its first chunk. */
struct arena {
	struct arena *outer, *inner;   /* inner: the youngest life inside */
	struct arena *younger, *older; /* its neighbours inside the same life */
	struct chunk *chunk;           /* the one taken from; older ones behind */
	size_t        held;            /* bytes of all chunks */
};

_Static_assert(sizeof(struct chunk) % ALIGN == 0, "what follows a chunk's header is aligned");

static size_t
rounded(size_t n)
{
	return (n + ALIGN - 1) & ~(ALIGN - 1);
}

void *
memory_take(size_t n)
{
	void *at = calloc(1, n == 0 ? 1 : n);

	if (at == NULL)
		panic("out of memory: %zu bytes asked for", n);
	return at;
}

void *
memory_resize(void *old, size_t n)
{
	void *at = realloc(old, n == 0 ? 1 : n);

	if (at == NULL)
		panic("out of memory: %zu bytes asked for", n);
	return at;
}

void
memory_free(void *at)
{
	free(at);
}

static char *
chunk_bytes(struct chunk *c)
{
	return (char *)(c + 1);
}

static struct chunk *
chunk_open(size_t whole)
{
	struct chunk *c = memory_take(whole);

	c->room = whole - sizeof *c;
	HIDE(chunk_bytes(c), c->room);
	return c;
}

static void
chunk_close(struct chunk *c)
{
	SHOW(chunk_bytes(c), c->room);
	memory_free(c);
}

/* The bytes must be there. */
static void *
chunk_take(struct chunk *c, size_t n)
{
	char *at = chunk_bytes(c) + c->used;

	c->used += rounded(n) + FENCE;
	SHOW(at, n);
	return at;
}

static void
chunk_wipe(struct chunk *c, size_t keep)
{
	char *from = chunk_bytes(c) + keep;

	SHOW(from, c->used - keep);
	memset(from, 0, c->used - keep);
	HIDE(from, c->room - keep);
	c->used = keep;
}

static struct arena *
open_with(struct arena *outer, size_t first)
{
	struct chunk *c = chunk_open(first);
	struct arena *a = chunk_take(c, sizeof *a);

	a->chunk = c;
	a->held = first;
	a->outer = outer;
	if (outer != NULL) {
		a->older = outer->inner;
		if (a->older != NULL)
			a->older->younger = a;
		outer->inner = a;
	}
	return a;
}

struct arena *
arena_open(struct arena *outer)
{
	return open_with(outer, FIRST);
}

struct arena *
arena_open_for(struct arena *outer, size_t room)
{
	return open_with(outer, sizeof(struct chunk) + rounded(sizeof(struct arena)) + FENCE +
	                                rounded(room));
}

static void
leave_outer(struct arena *a)
{
	if (a->outer == NULL)
		return;
	if (a->younger != NULL)
		a->younger->older = a->older;
	else
		a->outer->inner = a->older;
	if (a->older != NULL)
		a->older->younger = a->younger;
}

static void end_inner(struct arena *);

/* All its memory, and that of the lives inside it. */
static void
end(struct arena *a)
{
	end_inner(a);
	for (struct chunk *c = a->chunk, *older; c != NULL; c = older) {
		older = c->older; /* the last one is where *a lives */
		chunk_close(c);
	}
}

static void
end_inner(struct arena *a)
{
	struct arena *inner = a->inner, *older;

	a->inner = NULL;
	for (; inner != NULL; inner = older) {
		older = inner->older;
		end(inner);
	}
}

void
arena_close(struct arena **ap)
{
	struct arena *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	leave_outer(a);
	end(a);
}

void
arena_clear(struct arena *a)
{
	end_inner(a);
	while (a->chunk->older != NULL) {
		struct chunk *c = a->chunk;
		a->chunk = c->older;
		a->held -= sizeof *c + c->room;
		chunk_close(c);
	}
	chunk_wipe(a->chunk, rounded(sizeof *a) + FENCE);
}

/* Chunks double, so that a life of n bytes asks malloc about log(n) times.
   What is large gets a chunk of its own behind the one in use, whose free
   bytes are not lost by it; the first chunk is too small to come to that, so
   it stays the last of the list. */
static void *
take_more(struct arena *a, size_t n)
{
	size_t        whole = sizeof(struct chunk) + rounded(n) + FENCE;
	size_t        next = a->held < LARGEST ? a->held * 2 : LARGEST;
	struct chunk *c;

	if (whole > next / 4 && whole > FIRST && a->chunk->room - a->chunk->used > FIRST) {
		c = chunk_open(whole);
		c->older = a->chunk->older;
		a->chunk->older = c;
	} else {
		c = chunk_open(whole > next ? whole : next);
		c->older = a->chunk;
		a->chunk = c;
	}
	a->held += sizeof *c + c->room;
	return chunk_take(c, n);
}

void *
arena_take(struct arena *a, size_t n)
{
	if (n == 0)
		n = 1;
	if (n > SIZE_MAX / 2)
		panic("out of memory: %zu bytes asked for", n);
	if (rounded(n) + FENCE <= a->chunk->room - a->chunk->used)
		return chunk_take(a->chunk, n);
	return take_more(a, n);
}

void *
arena_take_array(struct arena *a, size_t count, size_t each)
{
	size_t n;

	if (__builtin_mul_overflow(count, each, &n))
		panic("out of memory: %zu things of %zu bytes asked for", count, each);
	return arena_take(a, n);
}

char *
arena_copy(struct arena *a, struct bytes b)
{
	char *at = arena_take(a, b.len + 1);

	if (b.len > 0)
		memcpy(at, b.at, b.len);
	return at;
}

struct bytes
arena_keep(struct arena *a, struct bytes b)
{
	return (struct bytes){ arena_copy(a, b), b.len };
}

char *
arena_printf(struct arena *a, const char *form, ...)
{
	char    near_by[256], *at;
	va_list list, again;
	int     n;

	va_start(list, form);
	va_copy(again, list);
	n = vsnprintf(near_by, sizeof near_by, form, list);
	INSIDE(n >= 0);
	at = arena_take(a, (size_t)n + 1);
	if ((size_t)n < sizeof near_by)
		memcpy(at, near_by, (size_t)n);
	else
		(void)vsnprintf(at, (size_t)n + 1, form, again);
	va_end(again);
	va_end(list);
	return at;
}

struct bytes
arena_lower(struct arena *a, struct bytes b)
{
	char *at = arena_copy(a, b);

	for (size_t i = 0; i < b.len; i++)
		at[i] = ascii_lower(at[i]);
	return (struct bytes){ at, b.len };
}

size_t
arena_size(const struct arena *a)
{
	size_t held = a->held;

	for (const struct arena *inner = a->inner; inner != NULL; inner = inner->older)
		held += arena_size(inner);
	return held;
}
