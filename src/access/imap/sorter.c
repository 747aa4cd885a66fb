#include "access/imap/sorter.h"

#include <string.h>

void
sorter_open(struct sorter *s, struct sort_item *item, size_t count, struct arena *arena,
            int (*differ)(const void *ctx, const struct sort_item *, const struct sort_item *),
            const void *ctx)
{
	*s = (struct sorter){
		.item = item, .from = item, .count = count, .width = 1, .differ = differ, .ctx = ctx
	};
	s->to = arena_take_array(arena, count + 1, sizeof *s->to);
}

uint64_t
sort_key_of_text(struct bytes text)
{
	uint64_t key = 0;

	for (size_t i = 0; i < sizeof key; i++)
		key = key << 8 | (i < text.len ? (unsigned char)text.at[i] : 0);
	return key;
}

static bool
follows(const struct sorter *s, const struct sort_item *a, const struct sort_item *b)
{
	if (a->key != b->key)
		return a->key > b->key;
	return s->differ != NULL && s->differ(s->ctx, a, b) > 0;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Stand before the pair of runs that begins at `at`; runs that are in order already are copied. */
static bool
pair_begin(struct sorter *s)
{
	size_t middle = least(s->at + s->width, s->count), end = least(middle + s->width, s->count);

	s->left = s->next = s->at;
	s->right = middle;
	if (middle < end && follows(s, &s->from[middle - 1], &s->from[middle]))
		return true;
	memcpy(s->to + s->at, s->from + s->at, (end - s->at) * sizeof *s->to);
	s->at = end;
	return false;
}

static void
merge(struct sorter *s, size_t *most)
{
	size_t middle = least(s->at + s->width, s->count), end = least(middle + s->width, s->count);

	while (s->next<end && * most> 0) {
		bool right = s->left == middle ||
		             (s->right < end && follows(s, &s->from[s->left], &s->from[s->right]));
		s->to[s->next++] = s->from[right ? s->right++ : s->left++];
		--*most;
	}
	if (s->next == end)
		s->at = end;
}

bool
sorter_go(struct sorter *s, size_t most)
{
	while (s->width < s->count) {
		while (s->at < s->count) {
			if (most == 0)
				return false;
			if (s->next > s->at || pair_begin(s))
				merge(s, &most);
			else
				most--;
		}
		struct sort_item *from = s->from;
		s->from = s->to;
		s->to = from;
		s->width *= 2;
		s->at = s->next = 0;
	}
	if (s->from != s->item && s->count > 0)
		memcpy(s->item, s->from, s->count * sizeof *s->item);
	s->to = s->from != s->item ? s->from : s->to;
	s->from = s->item;
	return true;
}
