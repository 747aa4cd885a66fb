#include "access/imap/sorter.h"

#include <string.h>

enum { VALUES = 1 << DIGIT_BITS };
/* Fewer are merged at once; and so are those of which no more than one in so many follows a greater one. */
enum { DIGITS_WORTH = 512, ORDERLY = 16 };

/* A few, or nearly in order; else the bits in which the keys differ are known. */
static bool
is_orderly(struct sorter *s)
{
	uint64_t all = UINT64_MAX, any = 0;
	size_t   less = 0;

	for (size_t i = 0; i < s->count; i++) {
		all &= s->item[i].key;
		any |= s->item[i].key;
		less += i > 0 && s->item[i].key < s->item[i - 1].key;
	}
	s->differing = all ^ any;
	return s->count < DIGITS_WORTH || less < s->count / ORDERLY;
}

void
sorter_open(struct sorter *s, struct sort_item *item, size_t count, struct arena *arena,
            int (*differ)(const void *ctx, const struct sort_item *, const struct sort_item *),
            const void *ctx)
{
	*s = (struct sorter){
		.item = item, .from = item, .count = count, .width = 1, .differ = differ, .ctx = ctx
	};
	s->to = arena_take_array(arena, count + 1, sizeof *s->to);
	s->tally = arena_take_array(arena, VALUES, sizeof *s->tally);
	s->digit = is_orderly(s) ? DIGITS : 0;
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

static void
swap(struct sorter *s)
{
	struct sort_item *from = s->from;

	s->from = s->to;
	s->to = from;
	s->at = s->next = 0;
}

static uint32_t
digit_of(const struct sorter *s, size_t i)
{
	return (uint32_t)(s->from[i].key >> (s->digit * DIGIT_BITS)) & (VALUES - 1);
}

/* How often each value comes, and so where its items begin. */
static bool
digit_tally(struct sorter *s, size_t *most)
{
	uint32_t before = 0;

	if (s->at == 0)
		memset(s->tally, 0, VALUES * sizeof *s->tally);
	for (; s->at<s->count && * most> 0; --*most)
		s->tally[digit_of(s, s->at++)]++;
	if (s->at < s->count)
		return false;
	for (uint32_t i = 0; i < VALUES; i++) {
		uint32_t many = s->tally[i];
		s->tally[i] = before;
		before += many;
	}
	s->tallied = true;
	s->at = 0;
	return true;
}

/* By one digit after the other, the least first; equal ones stay in their order. */
static bool
digits_go(struct sorter *s, size_t *most)
{
	for (; s->digit < DIGITS; s->digit++) {
		if ((s->differing >> (s->digit * DIGIT_BITS) & (VALUES - 1)) == 0)
			continue;
		if (!s->tallied && !digit_tally(s, most))
			return false;
		for (; s->at<s->count && * most> 0; s->at++, --*most)
			s->to[s->tally[digit_of(s, s->at)]++] = s->from[s->at];
		if (s->at < s->count)
			return false;
		s->tallied = false;
		swap(s);
	}
	return true;
}

bool
sorter_go(struct sorter *s, size_t most)
{
	bool by_digits = s->digit < DIGITS;

	if (!digits_go(s, &most))
		return false;
	if (by_digits && s->differ == NULL)
		s->width = s->count; /* that was all */
	while (s->width < s->count) {
		while (s->at < s->count) {
			if (most == 0)
				return false;
			if (s->next > s->at || pair_begin(s))
				merge(s, &most);
			else
				most--;
		}
		swap(s);
		s->width *= 2;
	}
	if (s->from != s->item && s->count > 0)
		memcpy(s->item, s->from, s->count * sizeof *s->item);
	s->to = s->from != s->item ? s->from : s->to;
	s->from = s->item;
	return true;
}
