#include "store/keyset.h"

#include "store/rows.h"

enum { WORDS = KEYSET_BITS / 64, SETS_MOST = 1 << 24 };

static bool
is_empty(const struct keyset *s)
{
	uint64_t any = 0;

	for (int i = 0; i < WORDS; i++)
		any |= s->word[i];
	return any == 0;
}

static struct bytes
bytes_of_set(const struct keyset *s)
{
	return (struct bytes){ (const char *)s->word, sizeof s->word };
}

/* Set n stands at place n - 1.  When no number is left, which care has kept from happening, the
   keywords are lost and not another's shown. */
uint32_t
keysets_name(struct keysets *k, const struct keyset *s)
{
	uintptr_t number;

	if (is_empty(s))
		return 0;
	if (k->place == NULL)
		k->place = map_open();
	if ((number = (uintptr_t)map_get(k->place, bytes_of_set(s))) != 0)
		return (uint32_t)number;
	if (k->count == SETS_MOST - 1)
		return 0;
	if (k->count == k->room) {
		k->room = k->room ? k->room * 2 : 8;
		k->set = memory_resize(k->set, k->room * sizeof *k->set);
	}
	k->set[k->count++] = *s;
	(void)map_put(k->place, bytes_of_set(s), (void *)(uintptr_t)k->count);
	return k->count;
}

struct keyset
keysets_at(const struct keysets *k, uint32_t number)
{
	return number > 0 && number <= k->count ? k->set[number - 1] : (struct keyset){ { 0 } };
}

void
keysets_free(struct keysets *k)
{
	memory_free(k->set);
	map_close(&k->place);
	*k = (struct keysets){ 0 };
}

void
keyset_add(struct keyset *s, int n)
{
	s->word[n / 64] |= (uint64_t)1 << n % 64;
}

bool
keyset_has(const struct keyset *s, int n)
{
	return (s->word[n / 64] >> n % 64 & 1) != 0;
}

struct keyset
keyset_both(const struct keyset *one, const struct keyset *other)
{
	struct keyset s = *one;

	for (int i = 0; i < WORDS; i++)
		s.word[i] |= other->word[i];
	return s;
}

struct keyset
keyset_less(const struct keyset *one, const struct keyset *other)
{
	struct keyset s = *one;

	for (int i = 0; i < WORDS; i++)
		s.word[i] &= ~other->word[i];
	return s;
}

void
keyset_pack(struct buffer *out, const struct keyset *s)
{
	uint64_t count = 0;
	int      next = 0;

	for (int i = 0; i < WORDS; i++)
		count += (uint64_t)__builtin_popcountll(s->word[i]);
	pack_number(out, count);
	for (int n = 0; n < KEYSET_BITS; n++)
		if (keyset_has(s, n)) {
			pack_number(out, (uint64_t)(n - next));
			next = n + 1;
		}
}

bool
keyset_unpack(struct unpack *u, struct keyset *s)
{
	uint64_t count = unpack_number(u), n = 0;

	*s = (struct keyset){ { 0 } };
	for (; count > 0 && !u->broken; count--) {
		uint64_t gap = unpack_number(u);
		if (gap >= KEYWORDS_MOST || n + gap >= KEYWORDS_MOST) {
			u->broken = true;
			return false;
		}
		n += gap;
		keyset_add(s, (int)n++);
	}
	return !u->broken;
}
