#include "queue/texts.h"
#include "base/arena.h"
#include "base/map.h"
#include <stddef.h>
#include <string.h>

enum { FEWEST = 64 };

struct text {
	struct text *next; /* in the same bucket */
	uint64_t     hash;
	uint32_t     taken;
	char         at[];
};
struct texts {
	struct text **bucket;
	size_t        buckets, count;
};

struct texts *
texts_open(void)
{
	struct texts *t = memory_take(sizeof *t);

	t->buckets = FEWEST;
	t->bucket = memory_take(t->buckets * sizeof(struct text *));
	return t;
}

void
texts_close(struct texts **tp)
{
	struct texts *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->buckets; i++)
		for (struct text *x = t->bucket[i], *next; x != NULL; x = next) {
			next = x->next;
			memory_free(x);
		}
	memory_free(t->bucket);
	memory_free(t);
}

static void
grow(struct texts *t)
{
	size_t        buckets = t->buckets * 2;
	struct text **bucket = memory_take(buckets * sizeof *bucket);

	for (size_t i = 0; i < t->buckets; i++)
		for (struct text *x = t->bucket[i], *next; x != NULL; x = next) {
			next = x->next;
			x->next = bucket[x->hash & (buckets - 1)];
			bucket[x->hash & (buckets - 1)] = x;
		}
	memory_free(t->bucket);
	t->bucket = bucket;
	t->buckets = buckets;
}

const char *
texts_take(struct texts *t, struct bytes b)
{
	uint64_t     hash;
	struct text *x;

	if (b.len == 0)
		return "";
	hash = hash_of(b);
	for (x = t->bucket[hash & (t->buckets - 1)]; x != NULL; x = x->next)
		if (x->hash == hash && bytes_equal(b, bytes_of(x->at))) {
			x->taken++;
			return x->at;
		}
	if (t->count++ >= t->buckets)
		grow(t);
	x = memory_take(sizeof *x + b.len + 1);
	x->next = t->bucket[hash & (t->buckets - 1)];
	x->hash = hash;
	x->taken = 1;
	memcpy(x->at, b.at, b.len);
	t->bucket[hash & (t->buckets - 1)] = x;
	return x->at;
}

void
texts_drop(struct texts *t, const char *text)
{
	struct text **at, *x;

	if (*text == '\0')
		return;
	at = &t->bucket[hash_of(bytes_of(text)) & (t->buckets - 1)];
	while (*at != NULL && (*at)->at != text)
		at = &(*at)->next;
	if ((x = *at) == NULL || --x->taken > 0)
		return;
	*at = x->next;
	t->count--;
	memory_free(x);
}

size_t
texts_count(const struct texts *t)
{
	return t->count;
}
