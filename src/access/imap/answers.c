#include "access/imap/answers.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/map.h"

#include <string.h>

/* A longer answer is cheap to read beside what it costs to send. */
enum { ANSWER_MOST = 4096 };
enum { UNUSED_MS = 5 * 60 * 1000, TIDY_MS = 60 * 1000 };
/* Uids of a block, blocks and bits of the table at first. */
enum { BLOCK_UIDS = 64, BLOCKS_FIRST = 8, BITS_FIRST = 4 };
/* Bytes of a leaf: what is full is never moved, and of much memory a leaf at most is empty.  A place is the number of a
   leaf and, below LEAF_BITS, where in it. */
enum { LEAF_BITS = 16, LEAF = 1 << LEAF_BITS, LEAVES_MOST = UINT32_MAX >> LEAF_BITS };

/* Neighbours stand together, and which block is theirs tells a table, at most half full, in which block numbers are
   scattered: many uids in a row make no long row of slots. */
struct block {
	uint32_t number;         /* uid / BLOCK_UIDS                               */
	uint32_t at[BLOCK_UIDS]; /* a place, plus one: length, counted, the bytes; 0: not kept */
};
struct answers_column {
	struct answers        *answers;
	struct bytes           key;
	struct block          *block;
	uint32_t               blocks, blocks_room;
	uint32_t              *slot; /* number of a block, plus one */
	uint32_t               bits; /* 1 << bits slots; 0: none yet */
	uint32_t               last; /* the block that was asked for last */
	struct buffer         *leaf;
	uint32_t               leaves;
	size_t                 text;   /* memory of the leaves */
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

static size_t
slots_size(const struct answers_column *c)
{
	return c->bits == 0 ? 0 : sizeof *c->slot << c->bits;
}

static void
recount(struct answers_column *c)
{
	size_t now = sizeof *c + c->key.len + c->blocks_room * sizeof *c->block + slots_size(c) +
	             c->text;

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
	for (uint32_t i = 0; i < c->leaves; i++)
		buffer_free(&c->leaf[i]);
	memory_free(c->leaf);
	memory_free(c->block);
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

/* The slot of a block, or the free one where it would be. */
static uint32_t *
slot_of(const struct answers_column *c, uint32_t number)
{
	uint32_t mask = ((uint32_t)1 << c->bits) - 1;
	uint32_t i = (number * UINT32_C(2654435769)) >> (32 - c->bits);

	while (c->slot[i] != 0 && c->block[c->slot[i] - 1].number != number)
		i = (i + 1) & mask;
	return &c->slot[i];
}

static struct block *
block_of(struct answers_column *c, uint32_t uid)
{
	uint32_t number = uid / BLOCK_UIDS, place;

	if (c->last < c->blocks && c->block[c->last].number == number)
		return &c->block[c->last];
	if (c->bits == 0 || (place = *slot_of(c, number)) == 0)
		return NULL;
	c->last = place - 1;
	return &c->block[c->last];
}

bool
answers_find(struct answers_column *c, uint32_t uid, struct answer *out)
{
	const struct block *b = block_of(c, uid);
	uint32_t            head[2], at = b != NULL ? b->at[uid % BLOCK_UIDS] : 0;
	const char         *place;

	if (at == 0)
		return false;
	place = c->leaf[(at - 1) >> LEAF_BITS].at + ((at - 1) & (LEAF - 1));
	memcpy(head, place, sizeof head);
	out->text = (struct bytes){ place + sizeof head, head[0] };
	out->counted = head[1];
	return true;
}

static void
slots_grow(struct answers_column *c)
{
	memory_free(c->slot);
	c->bits = c->bits == 0 ? BITS_FIRST : c->bits + 1;
	c->slot = memory_take(slots_size(c));
	for (uint32_t i = 0; i < c->blocks; i++)
		*slot_of(c, c->block[i].number) = i + 1;
}

static struct block *
block_make(struct answers_column *c, uint32_t uid)
{
	struct block *b;

	if (c->blocks == c->blocks_room) {
		c->blocks_room = c->blocks_room == 0 ? BLOCKS_FIRST : 2 * c->blocks_room;
		c->block = memory_resize(c->block, c->blocks_room * sizeof *c->block);
	}
	c->last = c->blocks++;
	b = &c->block[c->last];
	*b = (struct block){ .number = uid / BLOCK_UIDS };
	if (c->bits == 0 || 2 * (size_t)c->blocks > (size_t)1 << c->bits)
		slots_grow(c);
	else
		*slot_of(c, b->number) = c->blocks;
	return b;
}

static bool
last_has_room(const struct answers_column *c, size_t bytes)
{
	return c->leaves > 0 && c->leaf[c->leaves - 1].len + bytes <= LEAF;
}

/* What one more answer would take; what is full doubles, and of leaves there is one more. */
static size_t
growth(const struct answers_column *c, size_t bytes, bool block)
{
	const struct buffer *last = c->leaves > 0 ? &c->leaf[c->leaves - 1] : NULL;
	size_t               more = bytes;

	if (block && c->blocks == c->blocks_room)
		more += (c->blocks_room + (size_t)BLOCKS_FIRST) * sizeof *c->block;
	if (block && (c->bits == 0 || 2 * (size_t)(c->blocks + 1) > (size_t)1 << c->bits))
		more += slots_size(c) + (sizeof *c->slot << BITS_FIRST);
	if (!last_has_room(c, bytes))
		more += bytes + sizeof *last;
	else if (last->len + bytes > last->_room)
		more += last->_room;
	return more;
}

static struct buffer *
leaf_for(struct answers_column *c, size_t bytes)
{
	if (!last_has_room(c, bytes)) {
		if ((c->leaves & (c->leaves - 1)) == 0) /* a power of two: it is full */
			c->leaf =
				memory_resize(c->leaf, (c->leaves > 0 ? 2 * (size_t)c->leaves : 1) *
			                                       sizeof *c->leaf);
		c->leaf[c->leaves++] = (struct buffer){ 0 };
		c->text += sizeof *c->leaf;
	}
	return &c->leaf[c->leaves - 1];
}

void
answers_keep(struct answers_column *c, uint32_t uid, const struct answer *a)
{
	struct answers *all = c->answers;
	struct block   *b = block_of(c, uid);
	uint32_t        head[2] = { (uint32_t)a->text.len, a->counted };
	struct buffer  *leaf;
	size_t          more;

	if (a->text.len > ANSWER_MOST || (b != NULL && b->at[uid % BLOCK_UIDS] != 0))
		return;
	more = growth(c, sizeof head + a->text.len, b == NULL);
	if (all->memory + more > all->most)
		make_fit(all, more);
	if (all->memory + more > all->most || c->leaves == LEAVES_MOST)
		return;
	if (b == NULL)
		b = block_make(c, uid);
	leaf = leaf_for(c, sizeof head + a->text.len);
	b->at[uid % BLOCK_UIDS] = ((c->leaves - 1) << LEAF_BITS | (uint32_t)leaf->len) + 1;
	c->text -= leaf->_room;
	buffer_add(leaf, (struct bytes){ (const char *)head, sizeof head });
	buffer_add(leaf, a->text);
	c->text += leaf->_room;
	recount(c);
}
