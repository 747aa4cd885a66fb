#include "store/rows.h"

#include <string.h>

void
rows_free(struct rows *r)
{
	memory_free(r->uid);
	memory_free(r->size);
	memory_free(r->message);
	memory_free(r->flags);
	memory_free(r->modseq);
	memory_free(r->saved);
	keysets_free(&r->sets);
	*r = (struct rows){ 0 };
}

void
rows_make_room(struct rows *r, uint32_t more)
{
	size_t room = r->room;

	if (more <= r->room - r->count)
		return;
	while (room - r->count < more)
		room = room < 16 ? 16 : room + room / 2;
	r->uid = memory_resize(r->uid, room * sizeof *r->uid);
	r->size = memory_resize(r->size, room * sizeof *r->size);
	r->message = memory_resize(r->message, room * sizeof *r->message);
	r->flags = memory_resize(r->flags, room * sizeof *r->flags);
	r->modseq = memory_resize(r->modseq, room * sizeof *r->modseq);
	r->saved = memory_resize(r->saved, room * sizeof *r->saved);
	r->room = (uint32_t)room;
}

void
rows_add(struct rows *r, const struct entry *e)
{
	rows_make_room(r, 1);
	r->uid[r->count] = e->uid;
	r->message[r->count] = e->message;
	r->size[r->count] = e->size;
	r->flags[r->count] = (uint32_t)e->flags;
	r->modseq[r->count] = e->modseq;
	r->saved[r->count] = e->saved;
	r->count++;
}

void
rows_move(struct rows *r, uint32_t to, uint32_t from)
{
	r->uid[to] = r->uid[from];
	r->size[to] = r->size[from];
	r->message[to] = r->message[from];
	r->flags[to] = r->flags[from];
	r->modseq[to] = r->modseq[from];
	r->saved[to] = r->saved[from];
}

/* The word with its set as `to` numbers it; `known` remembers, by the old number, new number + 1. */
static uint32_t
renamed(const struct keysets *from, struct keysets *to, uint32_t *known, uint32_t flags)
{
	uint32_t      old = flags >> KEYWORD_FIRST;
	struct keyset set;

	if (old == 0)
		return flags;
	if (known[old] == 0) {
		set = keysets_at(from, old);
		known[old] = keysets_name(to, &set) + 1;
	}
	return (flags & SYSTEM_FLAGS) | (known[old] - 1) << KEYWORD_FIRST;
}

void
rows_tidy(struct rows *r)
{
	struct keysets fresh = { 0 };
	uint32_t      *known = memory_take((r->sets.count + 1) * sizeof *known);

	for (uint32_t i = 0; i < r->count; i++)
		r->flags[i] = renamed(&r->sets, &fresh, known, r->flags[i]);
	keysets_free(&r->sets);
	r->sets = fresh;
	memory_free(known);
}

uint32_t
rows_first_at_least(const struct rows *r, uint32_t uid)
{
	uint32_t low = 0, high = r->count, step = 1, first, last;

	if (high == 0 || uid <= (first = r->uid[0]))
		return 0;
	if (uid > (last = r->uid[high - 1]))
		return high;
	/* Most mailboxes have few gaps: the answer is near the place it would have without any. */
	low = (uint32_t)((uint64_t)(uid - first) * (high - 1) / (last - first));
	if (r->uid[low] >= uid) {
		for (high = low; low > 0 && r->uid[low] >= uid; step *= 2) {
			high = low;
			low = low > step ? low - step : 0;
		}
	} else {
		for (high = low + 1; r->uid[high] < uid; step *= 2) {
			low = high;
			high = r->count - 1 - high > step ? high + step : r->count - 1;
		}
	}
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (r->uid[middle] < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* ---- numbers ---- */

void
pack_number(struct buffer *out, uint64_t n)
{
	char  *p = buffer_room(out, 10);
	size_t len = 0;

	for (; n > 0x7f; n >>= 7)
		p[len++] = (char)(unsigned char)(n | 0x80);
	p[len++] = (char)n;
	buffer_took(out, len);
}

uint64_t
unpack_number(struct unpack *u)
{
	const unsigned char *p = (const unsigned char *)u->rest.at;
	uint64_t             n = 0;
	size_t               len = 0;

	/* Most are of one byte or two. */
	if (!u->broken && u->rest.len >= 2 && (p[0] < 0x80 || p[1] < 0x80)) {
		len = p[0] < 0x80 ? 1 : 2;
		n = len == 1 ? p[0] : (uint64_t)(p[0] & 0x7f) | (uint64_t)p[1] << 7;
		u->rest.at += len;
		u->rest.len -= len;
		return n;
	}
	while (!u->broken && len < u->rest.len && len < 10) {
		unsigned char c = (unsigned char)u->rest.at[len];
		if (len == 9 && c > 1)
			break;
		n |= (uint64_t)(c & 0x7f) << 7 * len++;
		if (c < 0x80) {
			u->rest.at += len;
			u->rest.len -= len;
			return n;
		}
	}
	u->broken = true;
	return 0;
}

static uint64_t
folded(uint64_t from, uint64_t to)
{
	int64_t d = (int64_t)(to - from);

	return (uint64_t)d << 1 ^ (uint64_t)(d >> 63);
}

static uint64_t
unfolded(uint64_t from, uint64_t n)
{
	return from + (n >> 1 ^ (0 - (n & 1)));
}

/* ---- columns ---- */

/* A column told value by value: how often the same comes, or with `steps` the same difference. */
struct runs {
	struct buffer *out;
	bool           steps;
	uint64_t       before, value;
	uint32_t       count;
};

static void
runs_end(struct runs *r)
{
	if (r->count == 0)
		return;
	pack_number(r->out, r->value);
	pack_number(r->out, r->count);
	r->count = 0;
}

static void
runs_add(struct runs *r, uint64_t next)
{
	uint64_t value = r->steps ? folded(r->before, next) : next;

	r->before = next;
	if (r->count == 0 || value != r->value)
		runs_end(r);
	r->value = value;
	r->count++;
}

static void
pack_uid_column(const uint32_t *uid, uint32_t count, struct buffer *out)
{
	uint32_t next = 0;

	for (uint32_t i = 0; i < count;) {
		uint32_t n = 1;
		while (i + n < count && uid[i + n] == uid[i] + n)
			n++;
		pack_number(out, uid[i] - next);
		pack_number(out, n);
		next = uid[i] + n;
		i += n;
	}
}

/* Uids ascend and are never 0. */
static void
unpack_uid_column(struct unpack *u, uint32_t *uid, uint32_t count)
{
	uint64_t next = 0;

	for (uint32_t i = 0; i < count && !u->broken;) {
		uint64_t gap = unpack_number(u);
		uint64_t n = unpack_number(u);
		if (n == 0 || n > count - i || gap > UINT32_MAX || next + gap == 0 ||
		    next + gap + n - 1 > UINT32_MAX - 1) {
			u->broken = true;
			return;
		}
		next += gap;
		for (; n > 0; n--)
			uid[i++] = (uint32_t)next++;
	}
}

/* Only the sets in use, numbered anew, so that the bytes stand for themselves. */
static void
pack_flags(const struct rows *r, uint32_t from, uint32_t count, struct buffer *out)
{
	struct keysets used = { 0 };
	uint32_t      *known = memory_take((r->sets.count + 1) * sizeof *known);
	struct runs    flags = { .out = out };

	for (uint32_t i = from; i < from + count; i++)
		(void)renamed(&r->sets, &used, known, r->flags[i]);
	pack_number(out, used.count);
	for (uint32_t i = 0; i < used.count; i++)
		keyset_pack(out, &used.set[i]);
	for (uint32_t i = from; i < from + count; i++)
		runs_add(&flags, renamed(&r->sets, &used, known, r->flags[i]));
	runs_end(&flags);
	keysets_free(&used);
	memory_free(known);
}

void
rows_pack(const struct rows *r, uint32_t from, uint32_t count, struct buffer *out)
{
	struct runs modseqs = { .out = out, .steps = true }, saved = modseqs;
	uint64_t    before = 0;

	pack_number(out, count);
	pack_uid_column(r->uid + from, count, out);
	for (uint32_t i = from; i < from + count; i++) {
		pack_number(out, folded(before, r->message[i]));
		before = r->message[i];
	}
	for (uint32_t i = from; i < from + count; i++)
		pack_number(out, r->size[i]);
	pack_flags(r, from, count, out);
	for (uint32_t i = from; i < from + count; i++)
		runs_add(&modseqs, r->modseq[i]);
	runs_end(&modseqs);
	for (uint32_t i = from; i < from + count; i++)
		runs_add(&saved, r->saved[i]);
	runs_end(&saved);
}

/* The sets as they are numbered in the bytes: names[n] is ours.  NULL: broken. */
static uint32_t *
unpack_sets(struct unpack *u, struct keysets *sets, uint32_t count, uint64_t *most)
{
	uint32_t *names;

	*most = unpack_number(u);
	if (u->broken || *most > count)
		return NULL;
	names = memory_take((*most + 1) * sizeof *names);
	for (uint64_t i = 1; i <= *most; i++) {
		struct keyset set;
		if (!keyset_unpack(u, &set)) {
			memory_free(names);
			return NULL;
		}
		names[i] = keysets_name(sets, &set);
	}
	return names;
}

/* The next run of a column: its value and how many rows have it; 0 when it is broken. */
static uint32_t
next_run(struct unpack *u, uint32_t left, uint64_t *value)
{
	uint64_t n;

	*value = unpack_number(u);
	n = unpack_number(u);
	if (n == 0 || n > left)
		u->broken = true;
	return u->broken ? 0 : (uint32_t)n;
}

static void
unpack_modseqs(struct unpack *u, uint64_t *modseq, uint32_t count)
{
	uint64_t value, before = 0;

	for (uint32_t i = 0, n; i < count && (n = next_run(u, count - i, &value)) > 0;)
		for (; n > 0; n--)
			modseq[i++] = before = unfolded(before, value);
}

static void
unpack_flags(struct unpack *u, enum rows_form form, struct rows *r, uint32_t count)
{
	uint64_t  value, most = 0;
	uint32_t *names = NULL, *out = r->flags + r->count;

	if (form == ROWS_WIDE && (names = unpack_sets(u, &r->sets, count, &most)) == NULL) {
		u->broken = true;
		return;
	}
	for (uint32_t i = 0, n; i < count && (n = next_run(u, count - i, &value)) > 0;) {
		uint64_t      above = value >> KEYWORD_FIRST;
		struct keyset set = { { above } };
		uint32_t      name = 0, word;

		if (form == ROWS_WIDE && above > most) {
			u->broken = true;
			break;
		}
		if (above > 0)
			name = form == ROWS_WIDE ? names[above] : keysets_name(&r->sets, &set);
		word = (uint32_t)(value & SYSTEM_FLAGS) | name << KEYWORD_FIRST;
		for (; n > 0; n--)
			out[i++] = word;
	}
	memory_free(names);
}

static void
unpack_saved(struct unpack *u, enum rows_form form, uint32_t *saved, uint32_t count)
{
	uint64_t value, before = 0;

	if (form != ROWS_WIDE) {
		memset(saved, 0, count * sizeof *saved);
		return;
	}
	for (uint32_t i = 0, n; i < count && (n = next_run(u, count - i, &value)) > 0;)
		for (; n > 0; n--) {
			before = unfolded(before, value);
			u->broken |= before > UINT32_MAX;
			saved[i++] = (uint32_t)before;
		}
}

bool
rows_unpack(struct unpack *u, enum rows_form form, struct rows *r)
{
	uint64_t count = unpack_number(u);
	uint64_t message = 0;
	uint32_t at = r->count;

	/* Each row takes two bytes at the least. */
	if (u->broken || count > u->rest.len / 2 || count > UINT32_MAX - r->count)
		return false;
	if (count == 0) {
		unpack_flags(u, form, r, 0);
		return !u->broken;
	}
	rows_make_room(r, (uint32_t)count);
	unpack_uid_column(u, r->uid + at, (uint32_t)count);
	if (at > 0 && r->uid[at] <= r->uid[at - 1])
		u->broken = true;
	for (uint32_t i = 0; i < count && !u->broken; i++)
		r->message[at + i] = message = unfolded(message, unpack_number(u));
	for (uint32_t i = 0; i < count && !u->broken; i++) {
		uint64_t size = unpack_number(u);
		if (size > UINT32_MAX)
			u->broken = true;
		r->size[at + i] = (uint32_t)size;
	}
	unpack_flags(u, form, r, (uint32_t)count);
	unpack_modseqs(u, r->modseq + at, (uint32_t)count);
	unpack_saved(u, form, r->saved + at, (uint32_t)count);
	if (u->broken)
		return false;
	r->count += (uint32_t)count;
	return true;
}

/* ---- sets of uids ---- */

void
pack_uids(struct buffer *out, const struct uid_set *set)
{
	uint32_t next = 0;

	pack_number(out, set->count);
	for (size_t i = 0; i < set->count; i++) {
		pack_number(out, set->range[i].first - next);
		pack_number(out, set->range[i].last - set->range[i].first);
		next = set->range[i].last;
	}
}

bool
unpack_uids(struct unpack *u, struct arena *arena, struct uid_set *set)
{
	uint64_t          count = unpack_number(u), next = 0;
	struct uid_range *range;

	*set = (struct uid_set){ NULL, 0 };
	if (u->broken || count > u->rest.len / 2)
		return false;
	range = arena_take_array(arena, (size_t)count + 1, sizeof *range);
	for (size_t i = 0; i < count; i++) {
		uint64_t gap = unpack_number(u), width = unpack_number(u);
		if (u->broken || gap == 0 || gap > UINT32_MAX || width > UINT32_MAX ||
		    next + gap + width > UINT32_MAX)
			return false;
		range[i].first = (uint32_t)(next + gap);
		range[i].last = (uint32_t)(next + gap + width);
		next = range[i].last;
	}
	*set = (struct uid_set){ range, (size_t)count };
	return true;
}

void
uid_list_add(struct uid_list *l, uint32_t uid, bool joins)
{
	if (l->count > 0 && (joins || l->range[l->count - 1].last + 1 == uid)) {
		l->range[l->count - 1].last = uid;
		return;
	}
	if (l->count == l->room) {
		l->room = l->room ? l->room * 2 : 8;
		l->range = memory_resize(l->range, l->room * sizeof *l->range);
	}
	l->range[l->count++] = (struct uid_range){ uid, uid };
}

void
uid_list_free(struct uid_list *l)
{
	memory_free(l->range);
	*l = (struct uid_list){ 0 };
}

struct uid_set
uid_list_set(const struct uid_list *l)
{
	return (struct uid_set){ l->range, l->count };
}

struct uid_set
uid_list_keep(const struct uid_list *l, struct arena *arena)
{
	struct uid_range *range = arena_take_array(arena, l->count + 1, sizeof *range);

	if (l->count > 0)
		memcpy(range, l->range, l->count * sizeof *range);
	return (struct uid_set){ range, l->count };
}
