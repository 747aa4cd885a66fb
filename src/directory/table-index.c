#include "directory/table_inner.h"

#include <string.h>
#include <sys/mman.h>

#include "base/journal.h"
#include "base/map.h"
#include "message/casefold.h"

enum { SLOTS_LEAST = 16, LENGTH_SHORT = 255, PAGE = 4096, LARGE = 4 << 20 };

/*
 * Entries lie one behind the other: length of the key, key, length of the value, value; a length
 * is a byte, or 255 and four more.  A slot of the index is the upper half of the key's hash and
 * where the entry begins, plus one; 0 is free.  At most three of four are taken.
 */
struct table_index {
	struct buffer entries;
	uint64_t     *slot;
	size_t        slots, count; /* slots is a power of two */
	unsigned      how;          /* TABLE_KEEP_CASE ... */
	struct arena *scratch; /* of keys that are no ASCII while they are put; NULL: none was */
};

static void
put_bytes(struct buffer *out, struct bytes b)
{
	uint32_t n = (uint32_t)b.len;

	if (n < LENGTH_SHORT) {
		buffer_add_char(out, (char)n);
	} else {
		buffer_add_char(out, (char)LENGTH_SHORT);
		buffer_add(out, (struct bytes){ (const char *)&n, sizeof n });
	}
	buffer_add(out, b);
}

static struct bytes
get_bytes(const struct buffer *from, size_t *at)
{
	uint32_t     n = (unsigned char)from->at[(*at)++];
	struct bytes b;

	if (n == LENGTH_SHORT) {
		memcpy(&n, from->at + *at, sizeof n);
		*at += sizeof n;
	}
	b = (struct bytes){ from->at + *at, n };
	*at += n;
	return b;
}

static uint32_t
tag_of(struct bytes key)
{
	return (uint32_t)(hash_of(key) >> 32);
}

/* The slot that has the key, or the free one where it would be. */
static uint64_t *
slot_of(const struct table_index *t, struct bytes key, uint32_t tag)
{
	size_t mask = t->slots - 1;

	for (size_t i = tag & mask;; i = (i + 1) & mask) {
		size_t at = (uint32_t)t->slot[i];
		if (at == 0)
			return &t->slot[i];
		at--;
		if (t->slot[i] >> 32 == tag && bytes_equal(get_bytes(&t->entries, &at), key))
			return &t->slot[i];
	}
}

/* Most of what a lookup in a large table costs is to find out where its pages are: large pages are fewer. */
static void
in_large_pages(void *at, size_t size)
{
	uintptr_t from = ((uintptr_t)at + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
	uintptr_t to = ((uintptr_t)at + size) & ~(uintptr_t)(PAGE - 1);

	/* A kernel that has none goes on without. */
	if (size >= LARGE)
		(void)madvise((void *)from, to - from, MADV_HUGEPAGE);
}

static void
make_slots(struct table_index *t, size_t slots)
{
	uint64_t *old = t->slot;
	size_t    had = t->slots, mask = slots - 1;

	t->slot = memory_take(slots * sizeof *t->slot);
	in_large_pages(t->slot, slots * sizeof *t->slot);
	t->slots = slots;
	for (size_t i = 0; i < had; i++) {
		size_t at = old[i] >> 32 & mask;
		if (old[i] == 0)
			continue;
		while (t->slot[at] != 0)
			at = (at + 1) & mask;
		t->slot[at] = old[i];
	}
	memory_free(old);
}

struct table_index *
table_index_open(unsigned how, size_t room)
{
	struct table_index *t = memory_take(sizeof *t);

	t->how = how;
	in_large_pages(buffer_room(&t->entries, room), room);
	make_slots(t, SLOTS_LEAST);
	return t;
}

void
table_index_close(void *own)
{
	struct table_index *t = own;

	buffer_free(&t->entries);
	arena_close(&t->scratch);
	memory_free(t->slot);
	memory_free(t);
}

/* Most keys are ASCII, and folded where they lie: there are millions. */
static void
put_key(struct table_index *t, struct bytes key)
{
	bool   ascii = true;
	size_t from;

	for (size_t i = 0; i < key.len && ascii; i++)
		ascii = (unsigned char)key.at[i] < 0x80;
	if (!ascii && (t->how & TABLE_KEEP_CASE) == 0) {
		if (t->scratch == NULL)
			t->scratch = arena_open(NULL);
		put_bytes(&t->entries, casefold(t->scratch, key));
		arena_clear(t->scratch);
		return;
	}
	put_bytes(&t->entries, key);
	from = t->entries.len - key.len;
	if ((t->how & TABLE_KEEP_CASE) == 0)
		for (size_t i = from; i < t->entries.len; i++)
			t->entries.at[i] = ascii_lower(t->entries.at[i]);
}

/* False: the key was there. */
bool
table_index_put(struct table_index *t, struct bytes key, struct bytes value)
{
	size_t    begin = t->entries.len, at = begin;
	uint32_t  tag;
	uint64_t *slot;
	bool      fresh;

	put_key(t, key);
	key = get_bytes(&t->entries, &at);
	tag = tag_of(key);
	/* Its own entry is not in the index yet. */
	slot = slot_of(t, key, tag);
	fresh = *slot == 0;
	if (!fresh && (t->how & TABLE_LAST_HOLDS) == 0) {
		t->entries.len = begin;
		return false;
	}
	put_bytes(&t->entries, value);
	*slot = (uint64_t)tag << 32 | (uint32_t)(begin + 1);
	if (fresh && ++t->count > t->slots / 4 * 3)
		make_slots(t, t->slots * 2);
	return true;
}

enum table_outcome
table_index_find(void *own, struct bytes key, struct arena *arena, struct bytes *value)
{
	struct table_index *t = own;
	struct bytes        folded = (t->how & TABLE_KEEP_CASE) != 0 ? key : casefold(arena, key);
	uint64_t           *slot = slot_of(t, folded, tag_of(folded));
	size_t              at;

	if (*slot == 0)
		return TABLE_NONE;
	at = (uint32_t)*slot - 1;
	(void)get_bytes(&t->entries, &at);
	*value = arena_keep(arena, get_bytes(&t->entries, &at));
	return TABLE_FOUND;
}

/* An entry that a later one with its key has replaced is passed over. */
void
table_index_each(void *own, void (*each)(void *, struct bytes, struct bytes), void *ctx)
{
	struct table_index *t = own;

	for (size_t at = 0; at < t->entries.len;) {
		size_t       begin = at;
		struct bytes key = get_bytes(&t->entries, &at), value = get_bytes(&t->entries, &at);
		if ((uint32_t)*slot_of(t, key, tag_of(key)) == begin + 1)
			each(ctx, key, value);
	}
}
