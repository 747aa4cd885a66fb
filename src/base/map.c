#include "base/map.h"

#include <endian.h>
#include <string.h>
#include <threads.h>

#include "base/arena.h"
#include "base/random.h"

#define FEWEST ((size_t)8)

struct entry {
	void  *value;
	size_t len;
	char   key[];
};

/* A slot is empty (NULL), holds an entry, or held one (&gone): a walk or a
   search goes on past what is gone. */
struct slot {
	uint64_t      hash;
	struct entry *entry;
};
static struct entry gone;

struct map {
	struct slot *slot;
	size_t       slots; /* a power of two, or 0 */
	size_t       count; /* slots that hold an entry */
	size_t       used;  /* slots that are not empty */
};

static uint64_t  secret[2];
static once_flag secret_once = ONCE_FLAG_INIT;

static void
make_secret(void)
{
	random_fill(secret, sizeof secret);
}

static inline uint64_t
turned(uint64_t n, int bits)
{
	return n << bits | n >> (64 - bits);
}

static inline void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = turned(v[1], 13) ^ v[0];
	v[3] = turned(v[3], 16) ^ v[2];
	v[0] = turned(v[0], 32) + v[3];
	v[2] += v[1];
	v[3] = turned(v[3], 21) ^ v[0];
	v[1] = turned(v[1], 17) ^ v[2];
	v[2] = turned(v[2], 32);
}

static inline void
sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

/* Up to eight bytes, the first of them lowest. */
static inline uint64_t
little_endian(const char *at, size_t n)
{
	uint64_t word = 0;

	if (n > 0)
		memcpy(&word, at, n);
	return le64toh(word);
}

/* SipHash-2-4 as Aumasson and Bernstein describe it. */
uint64_t
hash_with(const uint64_t key[2], struct bytes b)
{
	uint64_t v[4] = { 0x736f6d6570736575u ^ key[0], 0x646f72616e646f6du ^ key[1],
		          0x6c7967656e657261u ^ key[0], 0x7465646279746573u ^ key[1] };
	size_t   done = 0;

	for (; b.len - done >= 8; done += 8)
		sip_word(v, little_endian(b.at + done, 8));
	sip_word(v, (uint64_t)b.len << 56 |
	                    (done < b.len ? little_endian(b.at + done, b.len - done) : 0));
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t
hash_of(struct bytes b)
{
	call_once(&secret_once, make_secret);
	return hash_with(secret, b);
}

struct map *
map_open(void)
{
	return memory_take(sizeof(struct map));
}

static bool
holds(const struct slot *s)
{
	return s->entry != NULL && s->entry != &gone;
}

void
map_close(struct map **mp)
{
	struct map *m = *mp;

	*mp = NULL;
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->slots; i++)
		if (holds(&m->slot[i]))
			memory_free(m->slot[i].entry);
	memory_free(m->slot);
	memory_free(m);
}

/* The slot of this key, or NULL. */
static struct slot *
find(const struct map *m, uint64_t hash, struct bytes key)
{
	if (m->slots == 0)
		return NULL;
	for (size_t i = hash & (m->slots - 1);; i = (i + 1) & (m->slots - 1)) {
		struct slot *s = &m->slot[i];
		if (s->entry == NULL)
			return NULL;
		if (s->hash == hash && s->entry != &gone &&
		    bytes_equal((struct bytes){ s->entry->key, s->entry->len }, key))
			return s;
	}
}

static void
settle(struct map *m, uint64_t hash, struct entry *e)
{
	size_t i = hash & (m->slots - 1);

	while (m->slot[i].entry != NULL)
		i = (i + 1) & (m->slots - 1);
	m->slot[i] = (struct slot){ hash, e };
	m->used++;
	m->count++;
}

/* All entries again, into so many slots that half are empty; what was gone is
   forgotten here, so a map that was once large becomes small. */
static void
rebuild(struct map *m)
{
	struct map old = *m;

	m->slots = FEWEST;
	while (m->slots / 2 <= old.count)
		m->slots *= 2;
	m->slot = memory_take(m->slots * sizeof *m->slot);
	m->used = m->count = 0;
	for (size_t i = 0; i < old.slots; i++)
		if (holds(&old.slot[i]))
			settle(m, old.slot[i].hash, old.slot[i].entry);
	memory_free(old.slot);
}

void *
map_get(const struct map *m, struct bytes key)
{
	struct slot *s = m->count == 0 ? NULL : find(m, hash_of(key), key);

	return s == NULL ? NULL : s->entry->value;
}

void *
map_put(struct map *m, struct bytes key, void *value)
{
	uint64_t      hash = hash_of(key);
	struct slot  *s = find(m, hash, key);
	struct entry *e;

	if (s != NULL) {
		void *old = s->entry->value;
		s->entry->value = value;
		return old;
	}
	if (m->used >= m->slots / 4 * 3)
		rebuild(m);
	e = memory_take(sizeof *e + key.len);
	e->value = value;
	e->len = key.len;
	if (key.len > 0)
		memcpy(e->key, key.at, key.len);
	settle(m, hash, e);
	return NULL;
}

/* What is gone need not be remembered where no search goes on behind it. */
static void
forget_gone(struct map *m, size_t i)
{
	if (m->slot[(i + 1) & (m->slots - 1)].entry != NULL)
		return;
	while (m->slot[i].entry == &gone) {
		m->slot[i].entry = NULL;
		m->used--;
		i = (i - 1) & (m->slots - 1);
	}
}

void *
map_drop(struct map *m, struct bytes key)
{
	struct slot *s = find(m, hash_of(key), key);
	void        *value;

	if (s == NULL)
		return NULL;
	value = s->entry->value;
	memory_free(s->entry);
	s->entry = &gone;
	m->count--;
	forget_gone(m, (size_t)(s - m->slot));
	return value;
}

size_t
map_count(const struct map *m)
{
	return m->count;
}

bool
map_next(const struct map *m, struct map_place *p)
{
	for (; p->_at < m->slots; p->_at++) {
		struct slot *s = &m->slot[p->_at];
		if (!holds(s))
			continue;
		p->key = (struct bytes){ s->entry->key, s->entry->len };
		p->value = s->entry->value;
		p->_at++;
		return true;
	}
	return false;
}
