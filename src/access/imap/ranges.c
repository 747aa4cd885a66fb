#include "access/imap/ranges.h"

#include <string.h>

/* The first range that ends at or after `n`; count when there is none. */
static size_t
place_of(const struct uid_range *at, size_t count, uint32_t n)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (at[middle].last < n)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
ranges_insert(struct ranges *r, size_t place, struct uid_range new)
{
	if (r->count == r->room) {
		r->room = r->room == 0 ? 4 : r->room * 2;
		r->at = memory_resize(r->at, r->room * sizeof *r->at);
	}
	memmove(r->at + place + 1, r->at + place, (r->count - place) * sizeof *r->at);
	r->at[place] = new;
	r->count++;
}

void
ranges_add(struct ranges *r, uint32_t first, uint32_t last)
{
	/* A range that ends just before `first` is touched too. */
	size_t from = place_of(r->at, r->count, first > 0 ? first - 1 : 0), to = from;

	while (to < r->count && (r->at[to].first <= last || r->at[to].first - 1 == last)) {
		if (r->at[to].first < first)
			first = r->at[to].first;
		if (r->at[to].last > last)
			last = r->at[to].last;
		to++;
	}
	if (from == to) {
		ranges_insert(r, from, (struct uid_range){ first, last });
		return;
	}
	r->at[from] = (struct uid_range){ first, last };
	memmove(r->at + from + 1, r->at + to, (r->count - to) * sizeof *r->at);
	r->count -= to - from - 1;
}

void
ranges_add_set(struct ranges *r, const struct uid_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		ranges_add(r, set->range[i].first, set->range[i].last);
}

bool
ranges_hold(const struct ranges *r, uint32_t n)
{
	struct uid_set set = ranges_set(r);
	return uid_set_holds(&set, n);
}

uint64_t
ranges_size(const struct ranges *r)
{
	struct uid_set set = ranges_set(r);
	return uid_set_size(&set);
}

/* Forget every number outside first..last. */
void
ranges_clip(struct ranges *r, uint32_t first, uint32_t last)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->count; i++) {
		struct uid_range one = r->at[i];
		if (one.first < first)
			one.first = first;
		if (one.last > last)
			one.last = last;
		if (one.first <= one.last)
			r->at[kept++] = one;
	}
	r->count = kept;
}

void
ranges_drop_first(struct ranges *r)
{
	r->count--;
	memmove(r->at, r->at + 1, r->count * sizeof *r->at);
}

uint32_t
ranges_next(const struct ranges *r, uint32_t n)
{
	size_t place = place_of(r->at, r->count, n);

	if (place < r->count && r->at[place].first <= n)
		place++;
	return place < r->count ? r->at[place].first : 0;
}

void
ranges_differ(const struct ranges *r, const struct ranges *other, struct ranges *out)
{
	size_t k = 0;

	for (size_t i = 0; i < r->count; i++) {
		uint32_t first = r->at[i].first, last = r->at[i].last;

		while (k < other->count && other->at[k].last < first)
			k++;
		for (size_t j = k; j < other->count && other->at[j].first <= last; j++) {
			if (other->at[j].first > first)
				ranges_add(out, first, other->at[j].first - 1);
			first = other->at[j].last + 1;
			if (first == 0)
				break;
		}
		if (first != 0 && first <= last)
			ranges_add(out, first, last);
	}
}

void
ranges_free(struct ranges *r)
{
	memory_free(r->at);
	*r = (struct ranges){ 0 };
}

struct uid_set
ranges_set(const struct ranges *r)
{
	return (struct uid_set){ r->at, r->count };
}

uint64_t
uid_set_size(const struct uid_set *set)
{
	uint64_t size = 0;

	for (size_t i = 0; i < set->count; i++)
		size += (uint64_t)set->range[i].last - set->range[i].first + 1;
	return size;
}

bool
uid_set_holds(const struct uid_set *set, uint32_t n)
{
	size_t place = place_of(set->range, set->count, n);
	return place < set->count && set->range[place].first <= n;
}

void
uid_set_text(const struct uid_set *set, struct buffer *out)
{
	for (size_t i = 0; i < set->count; i++) {
		if (i > 0)
			buffer_add_char(out, ',');
		buffer_add_number(out, set->range[i].first);
		if (set->range[i].last != set->range[i].first) {
			buffer_add_char(out, ':');
			buffer_add_number(out, set->range[i].last);
		}
	}
}
