#include "policy/tally.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/pack.h"
#include "base/random.h"

enum { NEAR = 16 }; /* slots looked at for one network     */
enum { KEPT_MARK = 0x314c4154, KEPT_HEAD = 20, KEPT_ROW = 32 };

struct slot {
	_Atomic uint64_t name; /* hash of the network, 0: free        */
	_Atomic int64_t  used; /* milliseconds, when last counted     */
	struct {
		_Atomic int64_t  window;
		_Atomic uint32_t count;
	} rate[TALLY_KINDS];
	_Atomic int64_t  passed; /* a test, until then                 */
	_Atomic uint16_t here[TALLY_COLUMNS];
};
struct memory {
	_Atomic uint64_t key[2]; /* 0: not chosen yet                   */
	struct slot      slot[TALLY_SLOTS];
};
struct tally {
	struct memory *m;
	uint32_t       column;
};

size_t
tally_size(void)
{
	return sizeof(struct memory);
}

/* Whoever comes first chooses each half of the key. */
static void
choose_key(struct memory *m)
{
	for (int i = 0; i < 2; i++) {
		uint64_t none = 0;

		(void)atomic_compare_exchange_strong(&m->key[i], &none, random_number() | 1);
	}
}

struct tally *
tally_open(int fd, uint32_t column)
{
	struct stat    st;
	struct memory *m;
	struct tally  *t;

	if (fstat(fd, &st) < 0)
		return NULL;
	if (column >= TALLY_COLUMNS || st.st_size < (off_t)sizeof *m) {
		errno = EINVAL;
		return NULL;
	}
	m = mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (m == MAP_FAILED)
		return NULL;
	choose_key(m);
	for (size_t i = 0; i < TALLY_SLOTS; i++)
		if (atomic_load_explicit(&m->slot[i].name, memory_order_relaxed) != 0)
			atomic_store(&m->slot[i].here[column], 0);
	t = memory_take(sizeof *t);
	t->m = m;
	t->column = column;
	return t;
}

void
tally_close(struct tally **tp)
{
	struct tally *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	(void)munmap(t->m, sizeof *t->m);
	memory_free(t);
}

static uint32_t
connections(const struct slot *s)
{
	uint32_t n = 0;

	for (size_t i = 0; i < TALLY_COLUMNS; i++)
		n += atomic_load_explicit(&s->here[i], memory_order_relaxed);
	return n;
}

/* Forget who had this slot.  Events counted at this very moment may be lost. */
static void
wipe(struct slot *s)
{
	for (size_t i = 0; i < TALLY_KINDS; i++)
		atomic_store(&s->rate[i].count, 0);
	atomic_store(&s->passed, 0);
}

/* The slot of a network: its own, else a free one, else the one that has rested
   longest.  NULL: all near it are in use. */
static struct slot *
find(struct tally *t, const char *network, bool make, int64_t now)
{
	uint64_t     key[2] = { t->m->key[0], t->m->key[1] };
	uint64_t     name = hash_with(key, bytes_of(network)) | 1, was;
	struct slot *oldest = NULL, *s;

	for (size_t i = 0; i < NEAR; i++) {
		s = &t->m->slot[(name + i) % TALLY_SLOTS];
		was = atomic_load(&s->name);
		if (was == name)
			return s;
		if (was == 0) {
			if (!make)
				return NULL;
			if (atomic_compare_exchange_strong(&s->name, &was, name) || was == name)
				return s;
		}
		if (connections(s) == 0 && (oldest == NULL || s->used < oldest->used))
			oldest = s;
	}
	if (!make || oldest == NULL || now - oldest->used < 1000)
		return NULL;
	was = atomic_load(&oldest->name);
	if (was == name || !atomic_compare_exchange_strong(&oldest->name, &was, name))
		return was == name ? oldest : NULL;
	wipe(oldest);
	return oldest;
}

uint32_t
tally_come(struct tally *t, const char *network)
{
	int64_t      now = clock_patient_ms();
	struct slot *s = find(t, network, true, now);

	if (s == NULL)
		return 0;
	atomic_store(&s->used, now);
	atomic_fetch_add(&s->here[t->column], 1);
	return connections(s);
}

void
tally_go(struct tally *t, const char *network)
{
	struct slot *s = find(t, network, false, 0);

	if (s != NULL && atomic_load(&s->here[t->column]) > 0)
		atomic_fetch_sub(&s->here[t->column], 1);
}

uint32_t
tally_add(struct tally *t, const char *network, enum tally_kind kind, uint32_t events,
          int64_t now_ms, int64_t unit_ms)
{
	int64_t      now = clock_patient_ms();
	struct slot *s = find(t, network, true, now);
	int64_t      window = now_ms / (unit_ms > 0 ? unit_ms : 60000), was;

	if (s == NULL)
		return 0;
	atomic_store(&s->used, now);
	was = atomic_load(&s->rate[kind].window);
	if (was != window && atomic_compare_exchange_strong(&s->rate[kind].window, &was, window))
		atomic_store(&s->rate[kind].count, 0);
	return atomic_fetch_add(&s->rate[kind].count, events) + events;
}

/*
 * Kept
 */

void
tally_pack(const struct tally *t, struct buffer *out)
{
	pack_u32(out, KEPT_MARK);
	pack_u64(out, atomic_load(&t->m->key[0]));
	pack_u64(out, atomic_load(&t->m->key[1]));
	for (size_t i = 0; i < TALLY_SLOTS; i++) {
		struct slot *s = &t->m->slot[i];

		if (atomic_load_explicit(&s->name, memory_order_relaxed) == 0 ||
		    atomic_load(&s->rate[TALLY_DAY].count) +
		                    atomic_load(&s->rate[TALLY_HOUR].count) ==
		            0)
			continue;
		pack_u64(out, atomic_load(&s->name));
		for (size_t k = TALLY_HOUR; k <= TALLY_DAY; k++) {
			pack_i64(out, atomic_load(&s->rate[k].window));
			pack_u32(out, atomic_load(&s->rate[k].count));
		}
	}
}

static void
put_back(struct tally *t, struct unpack *u)
{
	uint64_t     name = unpack_u64(u) | 1;
	struct slot *s = NULL;

	for (size_t i = 0; i < NEAR && s == NULL; i++)
		if (atomic_load(&t->m->slot[(name + i) % TALLY_SLOTS].name) == 0)
			s = &t->m->slot[(name + i) % TALLY_SLOTS];
	for (size_t k = TALLY_HOUR; k <= TALLY_DAY; k++) {
		int64_t  window = unpack_i64(u);
		uint32_t count = unpack_u32(u);

		if (s == NULL)
			continue;
		atomic_store(&s->rate[k].window, window);
		atomic_store(&s->rate[k].count, count);
	}
	if (s != NULL)
		atomic_store(&s->name, name);
}

bool
tally_unpack(struct tally *t, struct bytes kept)
{
	struct unpack u = unpack_of(kept);
	size_t        rows = kept.len < KEPT_HEAD ? 0 : (kept.len - KEPT_HEAD) / KEPT_ROW;
	uint64_t      key[2];

	if (kept.len != KEPT_HEAD + rows * KEPT_ROW || rows > TALLY_SLOTS ||
	    unpack_u32(&u) != KEPT_MARK)
		return false;
	key[0] = unpack_u64(&u) | 1;
	key[1] = unpack_u64(&u) | 1;
	atomic_store(&t->m->key[0], key[0]);
	atomic_store(&t->m->key[1], key[1]);
	while (rows-- > 0)
		put_back(t, &u);
	return unpack_done(&u);
}

uint32_t
tally_event(struct tally *t, const char *network, enum tally_kind kind, int64_t now_ms,
            int64_t unit_ms)
{
	return tally_add(t, network, kind, 1, now_ms, unit_ms);
}

bool
tally_passed(struct tally *t, const char *network, int64_t now_ms, int64_t ms)
{
	struct slot *s = find(t, network, ms > 0, now_ms);

	if (s == NULL)
		return false;
	if (ms > 0) {
		atomic_store(&s->used, now_ms);
		atomic_store(&s->passed, now_ms + ms);
	}
	return atomic_load(&s->passed) > now_ms;
}
