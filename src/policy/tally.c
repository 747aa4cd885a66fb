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

enum { NEAR = 16 }; /* places looked at for one name       */
enum whose { NETWORK, ACCOUNT };
enum {
	OLD_MARK = 0x314c4154,
	KEPT_MARK = 0x324c4154,
	OLD_HEAD = 20,
	KEPT_HEAD = 24,
	KEPT_ROW = 32,
	PASS_ROW = 16
};

struct counts {
	_Atomic uint64_t name; /* hash of who it is, 0: free          */
	_Atomic int64_t  used; /* milliseconds, when last counted     */
	struct {
		_Atomic int64_t  window;
		_Atomic uint32_t count;
	} rate[TALLY_KINDS];
};
struct slot {
	struct counts    counts;
	_Atomic int64_t  passed; /* a test, until then (wall, ms)      */
	_Atomic uint16_t here[TALLY_COLUMNS];
};
/* Accounts have places of their own: nobody is so many accounts as anybody may be networks. */
struct memory {
	_Atomic uint64_t key[2]; /* 0: not chosen yet                   */
	struct slot      slot[TALLY_SLOTS];
	struct counts    account[TALLY_ACCOUNTS];
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
		if (atomic_load_explicit(&m->slot[i].counts.name, memory_order_relaxed) != 0)
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

/* The counts are the first member. */
static struct slot *
slot_of(struct counts *c)
{
	return (struct slot *)c;
}

static struct counts *
place_of(struct tally *t, enum whose whose, uint64_t n)
{
	return whose == ACCOUNT ? &t->m->account[n % TALLY_ACCOUNTS]
	                        : &t->m->slot[n % TALLY_SLOTS].counts;
}

/* Forget who had this place.  Events counted at this very moment may be lost. */
static void
wipe(struct counts *c, enum whose whose)
{
	for (size_t i = 0; i < TALLY_KINDS; i++)
		atomic_store(&c->rate[i].count, 0);
	if (whose == NETWORK)
		atomic_store(&slot_of(c)->passed, 0);
}

/* The place of a name: its own, else a free one, else the one that has rested
   longest.  NULL: all near it are in use. */
static struct counts *
find(struct tally *t, enum whose whose, const char *who, bool make, int64_t now)
{
	uint64_t       key[2] = { t->m->key[0], t->m->key[1] };
	uint64_t       name = hash_with(key, bytes_of(who)) | 1, was;
	struct counts *oldest = NULL, *c;

	for (size_t i = 0; i < NEAR; i++) {
		c = place_of(t, whose, name + i);
		was = atomic_load(&c->name);
		if (was == name)
			return c;
		if (was == 0) {
			if (!make)
				return NULL;
			if (atomic_compare_exchange_strong(&c->name, &was, name) || was == name)
				return c;
		}
		if ((whose == ACCOUNT || connections(slot_of(c)) == 0) &&
		    (oldest == NULL || c->used < oldest->used))
			oldest = c;
	}
	if (!make || oldest == NULL || now - oldest->used < 1000)
		return NULL;
	was = atomic_load(&oldest->name);
	if (was == name || !atomic_compare_exchange_strong(&oldest->name, &was, name))
		return was == name ? oldest : NULL;
	wipe(oldest, whose);
	return oldest;
}

static struct slot *
find_network(struct tally *t, const char *network, bool make, int64_t now)
{
	struct counts *c = find(t, NETWORK, network, make, now);

	return c == NULL ? NULL : slot_of(c);
}

uint32_t
tally_come(struct tally *t, const char *network)
{
	int64_t      now = clock_patient_ms();
	struct slot *s = find_network(t, network, true, now);

	if (s == NULL)
		return 0;
	atomic_store(&s->counts.used, now);
	atomic_fetch_add(&s->here[t->column], 1);
	return connections(s);
}

void
tally_go(struct tally *t, const char *network)
{
	struct slot *s = find_network(t, network, false, 0);

	if (s != NULL && atomic_load(&s->here[t->column]) > 0)
		atomic_fetch_sub(&s->here[t->column], 1);
}

/* So many more in the window that is now. */
static uint32_t
add(struct tally *t, enum whose whose, const char *who, enum tally_kind kind, uint32_t events,
    int64_t now_ms, int64_t unit_ms)
{
	int64_t        now = clock_patient_ms();
	struct counts *c = find(t, whose, who, true, now);
	int64_t        window = now_ms / (unit_ms > 0 ? unit_ms : 60000), was;

	if (c == NULL)
		return 0;
	atomic_store(&c->used, now);
	was = atomic_load(&c->rate[kind].window);
	if (was != window && atomic_compare_exchange_strong(&c->rate[kind].window, &was, window))
		atomic_store(&c->rate[kind].count, 0);
	return atomic_fetch_add(&c->rate[kind].count, events) + events;
}

uint32_t
tally_event(struct tally *t, const char *network, enum tally_kind kind, int64_t now_ms,
            int64_t unit_ms)
{
	return add(t, NETWORK, network, kind, 1, now_ms, unit_ms);
}

uint32_t
tally_known(struct tally *t, const char *network, enum tally_kind kind, int64_t now_ms,
            int64_t unit_ms)
{
	struct counts *c = find(t, NETWORK, network, false, 0);
	int64_t        window = now_ms / (unit_ms > 0 ? unit_ms : 60000);

	return c == NULL || atomic_load(&c->rate[kind].window) != window
	               ? 0
	               : atomic_load(&c->rate[kind].count);
}

uint32_t
tally_account(struct tally *t, const char *account, enum tally_kind kind, uint32_t events,
              int64_t now_ms, int64_t unit_ms)
{
	return add(t, ACCOUNT, account, kind, events, now_ms, unit_ms);
}

/*
 * Kept
 */

static uint32_t
pack_accounts(const struct tally *t, struct buffer *out)
{
	uint32_t n = 0;

	for (size_t i = 0; i < TALLY_ACCOUNTS; i++) {
		struct counts *c = &t->m->account[i];

		if (atomic_load_explicit(&c->name, memory_order_relaxed) == 0 ||
		    atomic_load(&c->rate[TALLY_DAY].count) +
		                    atomic_load(&c->rate[TALLY_HOUR].count) ==
		            0)
			continue;
		n++;
		pack_u64(out, atomic_load(&c->name));
		for (size_t k = TALLY_HOUR; k <= TALLY_DAY; k++) {
			pack_i64(out, atomic_load(&c->rate[k].window));
			pack_u32(out, atomic_load(&c->rate[k].count));
		}
	}
	return n;
}

void
tally_pack(const struct tally *t, int64_t now_ms, struct buffer *out)
{
	struct buffer accounts = { 0 };
	uint32_t      n = pack_accounts(t, &accounts);

	pack_u32(out, KEPT_MARK);
	pack_u64(out, atomic_load(&t->m->key[0]));
	pack_u64(out, atomic_load(&t->m->key[1]));
	pack_u32(out, n);
	buffer_add(out, buffer_bytes(&accounts));
	buffer_free(&accounts);
	for (size_t i = 0; i < TALLY_SLOTS; i++) {
		struct slot *s = &t->m->slot[i];
		int64_t      passed = atomic_load_explicit(&s->passed, memory_order_relaxed);

		if (passed <= now_ms)
			continue;
		pack_u64(out, atomic_load(&s->counts.name));
		pack_i64(out, passed);
	}
}

/* Of a network that passed. */
static void
pass_back(struct tally *t, struct unpack *u)
{
	uint64_t     name = unpack_u64(u) | 1;
	int64_t      passed = unpack_i64(u);
	struct slot *s;

	for (size_t i = 0; i < NEAR; i++) {
		s = slot_of(place_of(t, NETWORK, name + i));
		if (atomic_load(&s->counts.name) != 0)
			continue;
		atomic_store(&s->counts.used, clock_patient_ms());
		atomic_store(&s->passed, passed);
		atomic_store(&s->counts.name, name);
		return;
	}
}

static void
put_back(struct tally *t, struct unpack *u)
{
	uint64_t       name = unpack_u64(u) | 1;
	struct counts *c = NULL;

	for (size_t i = 0; i < NEAR && c == NULL; i++)
		if (atomic_load(&place_of(t, ACCOUNT, name + i)->name) == 0)
			c = place_of(t, ACCOUNT, name + i);
	for (size_t k = TALLY_HOUR; k <= TALLY_DAY; k++) {
		int64_t  window = unpack_i64(u);
		uint32_t count = unpack_u32(u);

		if (c == NULL)
			continue;
		atomic_store(&c->rate[k].window, window);
		atomic_store(&c->rate[k].count, count);
	}
	if (c != NULL)
		atomic_store(&c->name, name);
}

bool
tally_unpack(struct tally *t, struct bytes kept)
{
	struct unpack u = unpack_of(kept);
	uint32_t      mark = unpack_u32(&u);
	bool          old = mark == OLD_MARK; /* knew accounts only */
	size_t        head = old ? OLD_HEAD : KEPT_HEAD, rows, passes;
	uint64_t      key[2];

	if ((!old && mark != KEPT_MARK) || kept.len < head)
		return false;
	key[0] = unpack_u64(&u) | 1;
	key[1] = unpack_u64(&u) | 1;
	rows = old ? (kept.len - head) / KEPT_ROW : unpack_u32(&u);
	if (rows > TALLY_ACCOUNTS || rows * KEPT_ROW > kept.len - head)
		return false;
	passes = (kept.len - head - rows * KEPT_ROW) / PASS_ROW;
	if (passes > (old ? 0 : TALLY_SLOTS) ||
	    kept.len != head + rows * KEPT_ROW + passes * PASS_ROW)
		return false;
	atomic_store(&t->m->key[0], key[0]);
	atomic_store(&t->m->key[1], key[1]);
	while (rows-- > 0)
		put_back(t, &u);
	while (passes-- > 0)
		pass_back(t, &u);
	return unpack_done(&u);
}

bool
tally_passed(struct tally *t, const char *network, int64_t now_ms, int64_t ms)
{
	int64_t      now = clock_patient_ms();
	struct slot *s = find_network(t, network, ms > 0, now);

	if (s == NULL)
		return false;
	if (ms > 0) {
		atomic_store(&s->counts.used, now);
		atomic_store(&s->passed, now_ms + ms);
	}
	return atomic_load(&s->passed) > now_ms;
}
