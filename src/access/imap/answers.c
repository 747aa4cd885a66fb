#include "access/imap/answers.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/map.h"

#include <string.h>

/* A longer answer is cheap to read beside what it costs to send. */
enum { ANSWER_MOST = 4096 };
enum { UNUSED_MS = 5 * 60 * 1000, TIDY_MS = 60 * 1000, SLOTS_FIRST = 64 };

/* A table of uids, each in the slot of its low bits or the next free one: in the order of uids it is
   walked from front to back.  At most half full. */
struct slot {
	uint32_t uid; /* 0: free                                */
	uint32_t at;  /* in `text`: length, counted, the bytes  */
};
struct answers_column {
	struct answers        *answers;
	struct bytes           key;
	struct slot           *slot;
	uint32_t               slots, used;
	struct buffer          text;
	size_t                 memory; /* as counted in answers */
	uint32_t               users;
	int64_t                used_ms;
	struct answers_column *next;
};
struct answers {
	struct map            *columns;
	struct answers_column *first;
	size_t                 most, memory;
	struct timer          *tidy;
	bool                   ticking;
};

static void
recount(struct answers_column *c)
{
	size_t now = sizeof *c + c->key.len + c->slots * sizeof *c->slot + c->text._room;

	c->answers->memory += now - c->memory;
	c->memory = now;
}

static void
column_free(struct answers_column *c)
{
	struct answers         *all = c->answers;
	struct answers_column **p = &all->first;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	(void)map_drop(all->columns, c->key);
	all->memory -= c->memory;
	buffer_free(&c->text);
	memory_free(c->slot);
	memory_free((char *)(uintptr_t)c->key.at);
	memory_free(c);
}

/* Drops what nobody asked for in so long; then, of what is not in use, the oldest until `more` fits. */
static void
make_fit(struct answers *all, size_t more)
{
	struct answers_column *c, *next, *oldest;
	int64_t                now = clock_patient_ms();

	for (c = all->first; c != NULL; c = next) {
		next = c->next;
		if (c->users == 0 && now - c->used_ms > UNUSED_MS)
			column_free(c);
	}
	while (all->memory + more > all->most) {
		oldest = NULL;
		for (c = all->first; c != NULL; c = c->next)
			if (c->users == 0 && (oldest == NULL || c->used_ms < oldest->used_ms))
				oldest = c;
		if (oldest == NULL)
			return;
		column_free(oldest);
	}
}

static void
answers_tidy(void *ctx)
{
	struct answers *all = ctx;

	make_fit(all, 0);
	all->ticking = all->first != NULL;
	if (all->ticking)
		timer_set(all->tidy, TIDY_MS);
}

struct answers *
answers_open(struct loop *loop, size_t most)
{
	struct answers *all = memory_take(sizeof *all);

	all->columns = map_open();
	all->most = most;
	all->tidy = timer_open(loop, answers_tidy, all);
	return all;
}

void
answers_close(struct answers **allp)
{
	struct answers *all = *allp;

	*allp = NULL;
	if (all == NULL)
		return;
	while (all->first != NULL)
		column_free(all->first);
	timer_close(&all->tidy);
	map_close(&all->columns);
	memory_free(all);
}

void
answers_most(struct answers *all, size_t most)
{
	all->most = most;
	make_fit(all, 0);
}

size_t
answers_memory(const struct answers *all)
{
	return all->memory;
}

static struct answers_column *
column_make(struct answers *all, struct bytes key)
{
	struct answers_column *c = memory_take(sizeof *c);

	c->answers = all;
	c->key = (struct bytes){ memory_take(key.len), key.len };
	memcpy((char *)(uintptr_t)c->key.at, key.at, key.len);
	c->next = all->first;
	all->first = c;
	(void)map_put(all->columns, c->key, c);
	recount(c);
	if (!all->ticking)
		timer_set(all->tidy, TIDY_MS);
	all->ticking = true;
	return c;
}

struct answers_column *
answers_take(struct answers *all, struct mailbox *mailbox, struct bytes item, bool utf8)
{
	struct mailbox_status  status;
	struct answers_column *c;
	struct buffer          key = { 0 };
	uint64_t               name[4];

	if (all->most == 0)
		return NULL;
	mailbox_facts(mailbox, &status);
	name[0] = account_id(mailbox_account(mailbox));
	name[1] = status.id;
	name[2] = status.uidvalidity;
	name[3] = utf8;
	buffer_add(&key, (struct bytes){ (const char *)name, sizeof name });
	buffer_add(&key, item);
	if ((c = map_get(all->columns, buffer_bytes(&key))) == NULL)
		c = column_make(all, buffer_bytes(&key));
	buffer_free(&key);
	c->users++;
	return c;
}

void
answers_drop(struct answers_column **cp)
{
	struct answers_column *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	c->used_ms = clock_patient_ms();
	if (--c->users == 0)
		make_fit(c->answers, 0);
}

/* The slot of a uid, or the free one where it would be. */
static struct slot *
slot_of(const struct answers_column *c, uint32_t uid)
{
	uint32_t i = uid & (c->slots - 1);

	while (c->slot[i].uid != 0 && c->slot[i].uid != uid)
		i = (i + 1) & (c->slots - 1);
	return &c->slot[i];
}

bool
answers_find(const struct answers_column *c, uint32_t uid, struct answer *out)
{
	const struct slot *slot;
	uint32_t           head[2];

	if (c->slots == 0 || (slot = slot_of(c, uid))->uid == 0)
		return false;
	memcpy(head, c->text.at + slot->at, sizeof head);
	out->text = (struct bytes){ c->text.at + slot->at + sizeof head, head[0] };
	out->counted = head[1];
	return true;
}

static void
slots_grow(struct answers_column *c)
{
	struct slot *old = c->slot;
	uint32_t     count = c->slots;

	c->slots = count == 0 ? SLOTS_FIRST : 2 * count;
	c->slot = memory_take(c->slots * sizeof *c->slot);
	for (uint32_t i = 0; i < count; i++)
		if (old[i].uid != 0)
			*slot_of(c, old[i].uid) = old[i];
	memory_free(old);
}

void
answers_keep(struct answers_column *c, uint32_t uid, const struct answer *a)
{
	struct answers *all = c->answers;
	uint32_t        head[2] = { (uint32_t)a->text.len, a->counted };
	size_t          more = sizeof head + a->text.len;
	struct slot    *slot;

	if (a->text.len > ANSWER_MOST)
		return;
	/* What growing would take: both double. */
	if (2 * (c->used + 1) > c->slots)
		more += c->slots * sizeof *c->slot;
	if (c->text.len + sizeof head + a->text.len > c->text._room)
		more += c->text._room;
	if (all->memory + more > all->most)
		make_fit(all, more);
	if (all->memory + more > all->most || c->text.len > UINT32_MAX / 2)
		return;
	if (2 * (c->used + 1) > c->slots)
		slots_grow(c);
	slot = slot_of(c, uid);
	if (slot->uid != 0)
		return;
	*slot = (struct slot){ uid, (uint32_t)c->text.len };
	c->used++;
	buffer_add(&c->text, (struct bytes){ (const char *)head, sizeof head });
	buffer_add(&c->text, a->text);
	recount(c);
}
