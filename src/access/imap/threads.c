#include "access/imap/threads.h"

#include <string.h>

/* Generations looked up before a link is refused as if it made a loop. */
enum { ANCESTORS_MOST = 10000 };
enum { MENTIONED_MOST = 50000 };
/* Node 0 is the root, above all threads; so 0 also says "none". */
enum { ROOT = 0, NONE = 0 };

struct node {
	uint64_t id;      /* 0: not in the table                  */
	uint32_t message; /* its place + 1; 0: a dummy            */
	uint32_t parent, child, last, next, before;
};
enum phase {
	LINK,
	GATHER,
	ORDER,
	PRUNE,
	LATEST,
	DATES,
	TOP,
	TABLE,
	MERGE,
	SIBLINGS,
	AGAIN_TOP,
	DONE
};

struct threads {
	enum thread_how              how;
	const struct thread_message *message;
	uint32_t                     count;
	struct arena                *arena;
	enum phase                   phase;
	uint32_t                     at; /* where the phase is                  */
	struct node                 *node;
	uint32_t                     nodes, room;
	uint32_t                    *slot; /* id -> node                          */
	uint32_t                     slots;
	uint64_t                    *subject; /* -> table, where TABLE has seen it   */
	uint32_t                    *holder;
	uint32_t                     subjects;
	uint32_t                    *order; /* of nodes, parents first             */
	uint32_t                     ordered;
	int64_t                     *latest; /* of each node and what is under it; REFS */
	struct sorter                sorter;
	struct sort_item            *item;
	uint32_t                     sorting; /* whose children; items               */
	uint32_t                     items;
	bool                         is_sorting;
	struct arena                *scratch; /* of the sorter                       */
	uint32_t                     said;    /* the node being written              */
};

/* ---- the tree ------------------------------------------------------------------------- */

static bool
is_dummy(const struct threads *t, uint32_t n)
{
	return t->node[n].message == 0;
}

static const struct thread_message *
message_of(const struct threads *t, uint32_t n)
{
	return &t->message[t->node[n].message - 1];
}

static uint32_t
node_make(struct threads *t, uint64_t id)
{
	if (t->nodes == t->room) {
		t->room *= 2;
		t->node = memory_resize(t->node, t->room * sizeof *t->node);
	}
	t->node[t->nodes] = (struct node){ .id = id };
	return t->nodes++;
}

static void
node_unlink(struct threads *t, uint32_t n)
{
	struct node *c = &t->node[n], *p = &t->node[c->parent];

	*(c->before != NONE ? &t->node[c->before].next : &p->child) = c->next;
	*(c->next != NONE ? &t->node[c->next].before : &p->last) = c->before;
	c->parent = c->next = c->before = NONE;
}

/* As the last child. */
static void
node_link(struct threads *t, uint32_t parent, uint32_t n)
{
	struct node *c = &t->node[n], *p = &t->node[parent];

	c->parent = parent;
	c->before = p->last;
	c->next = NONE;
	*(p->last != NONE ? &t->node[p->last].next : &p->child) = n;
	p->last = n;
}

/* Put the children of `n` where it stands; it is no more. */
static void
node_splice(struct threads *t, uint32_t n)
{
	struct node *d = &t->node[n], *p = &t->node[d->parent];

	for (uint32_t c = d->child; c != NONE; c = t->node[c].next)
		t->node[c].parent = d->parent;
	t->node[d->child].before = d->before;
	t->node[d->last].next = d->next;
	*(d->before != NONE ? &t->node[d->before].next : &p->child) = d->child;
	*(d->next != NONE ? &t->node[d->next].before : &p->last) = d->last;
	d->parent = d->next = d->before = d->child = d->last = NONE;
}

/* Would making `parent` the parent of `n` close a loop? */
static bool
would_loop(const struct threads *t, uint32_t parent, uint32_t n)
{
	uint32_t up = parent;

	if (parent == n)
		return true;
	if (t->node[n].child == NONE)
		return false;
	for (int i = 0; up != NONE; i++) {
		if (up == n || i == ANCESTORS_MOST)
			return true;
		up = t->node[up].parent;
	}
	return false;
}

/* ---- ids -------------------------------------------------------------------------------- */

static uint32_t *
slot_of(struct threads *t, uint64_t id)
{
	uint32_t at = (uint32_t)(id >> 1) & (t->slots - 1);

	while (t->slot[at] != NONE && t->node[t->slot[at]].id != id)
		at = (at + 1) & (t->slots - 1);
	return &t->slot[at];
}

/* The node of a letter that was mentioned; NONE: there are too many. */
static uint32_t
mentioned(struct threads *t, uint64_t id)
{
	uint32_t *slot = slot_of(t, id);

	if (*slot == NONE) {
		if (t->nodes >= t->slots / 2)
			return NONE;
		*slot = node_make(t, id);
	}
	return *slot;
}

/* The node of a message; of several with one id the first has it. */
static uint32_t
node_of(struct threads *t, uint32_t place)
{
	uint64_t  id = t->message[place].id;
	uint32_t *slot = id != 0 ? slot_of(t, id) : NULL;
	uint32_t  n;

	if (slot == NULL || (*slot != NONE && !is_dummy(t, *slot)))
		n = node_make(t, 0);
	else if (*slot != NONE)
		n = *slot;
	else
		*slot = n = node_make(t, id);
	t->node[n].message = place + 1;
	return n;
}

/* ---- (1) links --------------------------------------------------------------------------- */

static void
link_message(struct threads *t, uint32_t place)
{
	const struct thread_message *m = &t->message[place];
	uint32_t                     self = node_of(t, place), before = NONE;

	for (size_t i = 0; i < m->references; i++) {
		uint32_t n = mentioned(t, m->reference[i]);

		if (n == NONE)
			continue;
		if (before != NONE && t->node[n].parent == NONE && !would_loop(t, before, n))
			node_link(t, before, n);
		before = n;
	}
	if (t->node[self].parent != NONE)
		node_unlink(t, self);
	if (before != NONE && !would_loop(t, before, self))
		node_link(t, before, self);
}

/* ---- (2) (3) ------------------------------------------------------------------------------ */

/* Who has no parent is a child of the root. */
static void
gather(struct threads *t, uint32_t n)
{
	if (t->node[n].parent == NONE)
		node_link(t, ROOT, n);
}

/* The node after `n`, parents before their children. */
static uint32_t
walk(const struct threads *t, uint32_t n)
{
	if (t->node[n].child != NONE)
		return t->node[n].child;
	while (n != ROOT && t->node[n].next == NONE)
		n = t->node[n].parent;
	return n != ROOT ? t->node[n].next : NONE;
}

static void
prune(struct threads *t, uint32_t n)
{
	const struct node *d = &t->node[n];

	if (n == ROOT || !is_dummy(t, n))
		return;
	if (d->child == NONE)
		node_unlink(t, n);
	else if (d->parent != ROOT || d->child == d->last)
		node_splice(t, n);
}

/* A thread of REFS is as old as the youngest message in it. */
static void
note_latest(struct threads *t, uint32_t n)
{
	uint32_t up = t->node[n].parent;

	if (!is_dummy(t, n) && message_of(t, n)->date > t->latest[n])
		t->latest[n] = message_of(t, n)->date;
	if (t->latest[n] > t->latest[up])
		t->latest[up] = t->latest[n];
}

/* ---- (4) (6) sorting ------------------------------------------------------------------------ */

/* A dummy is as old as its first child, which was sorted before it. */
static int
by_number(const void *ctx, const struct sort_item *a, const struct sort_item *b)
{
	(void)ctx;
	return a->number < b->number ? -1 : a->number > b->number;
}

static void
sort_begin(struct threads *t, uint32_t parent)
{
	t->items = 0;
	arena_clear(t->scratch);
	for (uint32_t c = t->node[parent].child; c != NONE; c = t->node[c].next) {
		uint32_t                     n = is_dummy(t, c) ? t->node[c].child : c;
		const struct thread_message *m = message_of(t, n);

		int64_t date = parent == ROOT && t->latest != NULL ? t->latest[c] : m->date;

		t->item[t->items++] = (struct sort_item){ sort_key_of(date), m->number, c };
	}
	t->sorting = parent;
	t->is_sorting = true;
	sorter_open(&t->sorter, t->item, t->items, t->scratch, by_number, NULL);
}

/* Sort the children of a node; true when they are. */
static bool
sort_children(struct threads *t, uint32_t parent, size_t *most)
{
	size_t used = *most < 1000 ? *most : 1000;

	if (!t->is_sorting) {
		if (t->node[parent].child == t->node[parent].last)
			return true;
		sort_begin(t, parent);
		*most -= t->items < *most ? t->items : *most;
	}
	if (!sorter_go(&t->sorter, used)) {
		*most -= used < *most ? used : *most;
		return false;
	}
	t->is_sorting = false;
	t->node[parent].child = t->node[parent].last = NONE;
	for (uint32_t i = 0; i < t->items; i++)
		node_link(t, parent, t->item[i].row);
	return true;
}

/* ---- (5) subjects --------------------------------------------------------------------------- */

static const struct thread_message *
head_of(const struct threads *t, uint32_t n)
{
	return message_of(t, is_dummy(t, n) ? t->node[n].child : n);
}

static bool
is_reply(const struct threads *t, uint32_t n)
{
	return !is_dummy(t, n) && message_of(t, n)->reply;
}

/* The node that stands for a subject, or where it will. */
static uint32_t *
holder_of(struct threads *t, uint64_t subject)
{
	uint32_t at = (uint32_t)(subject >> 1) & (t->subjects - 1);

	while (t->holder[at] != NONE && t->subject[at] != subject)
		at = (at + 1) & (t->subjects - 1);
	t->subject[at] = subject;
	return &t->holder[at];
}

static void
table_one(struct threads *t, uint32_t n)
{
	uint64_t  subject = head_of(t, n)->subject;
	uint32_t *holder;

	if (subject == 0)
		return;
	holder = holder_of(t, subject);
	if (*holder == NONE || (!is_dummy(t, *holder) &&
	                        (is_dummy(t, n) || (is_reply(t, *holder) && !is_reply(t, n)))))
		*holder = n;
}

static void
merge_one(struct threads *t, uint32_t n)
{
	uint64_t  subject = head_of(t, n)->subject;
	uint32_t *holder, made;

	if (subject == 0 || *(holder = holder_of(t, subject)) == n || *holder == NONE)
		return;
	if (is_dummy(t, *holder) && is_dummy(t, n)) {
		while (t->node[n].child != NONE) {
			uint32_t c = t->node[n].child;
			node_unlink(t, c);
			node_link(t, *holder, c);
		}
		node_unlink(t, n);
	} else if (is_dummy(t, *holder) || (is_reply(t, n) && !is_reply(t, *holder))) {
		node_unlink(t, n);
		node_link(t, *holder, n);
	} else {
		made = node_make(t, 0);
		node_link(t, ROOT, made);
		if (t->at == *holder) /* it has a subject of its own no more to be looked at */
			t->at = t->node[*holder].next;
		node_unlink(t, *holder);
		node_link(t, made, *holder);
		node_unlink(t, n);
		node_link(t, made, n);
		*holder = made;
	}
}

/* ---- poor man's threading ----------------------------------------------------------------------- */

/* Messages come in the order of date: the first of a subject is the thread, all others are its children. */
static void
poor_one(struct threads *t, const struct sort_item *item)
{
	uint64_t  subject = t->message[item->row].subject;
	uint32_t *holder = holder_of(t, subject | 1); /* the empty one is a subject too */
	uint32_t  n = node_make(t, 0);

	t->node[n].message = item->row + 1;
	node_link(t, *holder == NONE ? ROOT : *holder, n);
	if (*holder == NONE)
		*holder = n;
}

static bool
poor_go(struct threads *t, size_t most)
{
	if (!t->is_sorting && t->items == 0) {
		for (; t->items < t->count; t->items++)
			t->item[t->items] =
				(struct sort_item){ sort_key_of(t->message[t->items].date),
				                    t->message[t->items].number, t->items };
		t->is_sorting = true;
		sorter_open(&t->sorter, t->item, t->items, t->scratch, by_number, NULL);
	}
	if (t->is_sorting && !sorter_go(&t->sorter, most))
		return false;
	t->is_sorting = false;
	for (; t->at < t->count && most > 0; t->at++, most--)
		poor_one(t, &t->item[t->at]);
	return t->at == t->count;
}

/* ---- all of it -------------------------------------------------------------------------------------- */

struct threads *
threads_open(enum thread_how how, const struct thread_message *message, uint32_t count,
             struct arena *arena)
{
	struct threads *t = arena_take(arena, sizeof *t);

	t->how = how;
	t->message = message;
	t->count = count;
	t->arena = arena;
	t->scratch = arena_open(arena);
	t->room = count + count / 4 + 64;
	t->node = memory_take(t->room * sizeof *t->node);
	t->nodes = 1; /* the root */
	t->slots = 1024;
	/* Letters mentioned are let in while it is less than half full: see mentioned(). */
	while (t->slots / 4 < count + MENTIONED_MOST / 2 && t->slots < (UINT32_C(1) << 30))
		t->slots *= 2;
	t->slot = memory_take(t->slots * sizeof *t->slot);
	t->item = memory_take((count + 1) * sizeof *t->item);
	if (how != THREAD_REFS) {
		t->subjects = 1024;
		while (t->subjects / 2 < count && t->subjects < (UINT32_C(1) << 30))
			t->subjects *= 2;
		t->subject = memory_take(t->subjects * sizeof *t->subject);
		t->holder = memory_take(t->subjects * sizeof *t->holder);
	}
	return t;
}

void
threads_close(struct threads **tp)
{
	struct threads *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	memory_free(t->node);
	memory_free(t->slot);
	memory_free(t->item);
	memory_free(t->subject);
	memory_free(t->holder);
	memory_free(t->order);
	memory_free(t->latest);
}

static void
phase_next(struct threads *t)
{
	t->phase++;
	t->at = t->phase == GATHER || t->phase == ORDER ? 1 : 0;
	if (t->phase == ORDER) {
		t->order = memory_take(t->nodes * sizeof *t->order);
		t->ordered = 0;
		t->at = walk(t, ROOT);
	} else if (t->phase == PRUNE || t->phase == LATEST)
		t->at = t->ordered;
	if (t->phase == LATEST && t->how == THREAD_REFS) {
		t->latest = memory_take(t->nodes * sizeof *t->latest);
		for (uint32_t i = 0; i < t->nodes; i++)
			t->latest[i] = INT64_MIN;
	}
	if (t->phase == TABLE || t->phase == MERGE || t->phase == DATES)
		t->at = t->node[ROOT].child;
}

/* One step of the phase; true when that was its last. */
static bool
phase_step(struct threads *t, size_t *most)
{
	uint32_t n = t->at;

	switch (t->phase) {
	case LINK:
		if (n == t->count)
			return true;
		*most -= t->message[n].references < *most ? t->message[n].references : *most;
		link_message(t, t->at++);
		return false;
	case GATHER:
		if (n == t->nodes)
			return true;
		gather(t, t->at++);
		return false;
	case ORDER:
		if (n == NONE)
			return true;
		t->order[t->ordered++] = n;
		t->at = walk(t, n);
		return false;
	case PRUNE:
		if (n == 0)
			return true;
		prune(t, t->order[--t->at]);
		return false;
	case LATEST:
		if (n == 0 || t->latest == NULL)
			return true;
		note_latest(t, t->order[--t->at]);
		return false;
	case DATES: /* of dummies, by their first children */
		if (n == NONE)
			return true;
		if (!is_dummy(t, n) || sort_children(t, n, most))
			t->at = t->node[n].next;
		return false;
	case TOP:
	case AGAIN_TOP: return sort_children(t, ROOT, most);
	case TABLE:
		if (n == NONE || t->how != THREAD_REFERENCES)
			return true;
		table_one(t, n);
		t->at = t->node[n].next;
		return false;
	case MERGE:
		if (n == NONE || t->how != THREAD_REFERENCES)
			return true;
		t->at = t->node[n].next;
		merge_one(t, n);
		return false;
	case SIBLINGS:
		if (n == t->nodes)
			return true;
		if (n == ROOT || sort_children(t, n, most))
			t->at++;
		return false;
	case DONE: break;
	}
	return true;
}

bool
threads_go(struct threads *t, size_t most)
{
	if (t->how == THREAD_ORDEREDSUBJECT) {
		if (t->phase != DONE && poor_go(t, most))
			t->phase = DONE;
		return t->phase == DONE;
	}
	for (; t->phase != DONE && most > 0; most -= most > 0)
		if (phase_step(t, &most))
			phase_next(t);
	return t->phase == DONE;
}

/* ---- saying it ------------------------------------------------------------------------------------------ */

/* Up from a node that is complete: close what ends with it; the next to be said, or NONE. */
static uint32_t
said_next(const struct threads *t, uint32_t n, struct buffer *out)
{
	for (;;) {
		const struct node *p = &t->node[t->node[n].parent];
		bool               alone = p->child == p->last && t->node[n].parent != ROOT;

		if (!alone)
			buffer_add_char(out, ')');
		if (t->node[n].next != NONE) {
			buffer_add_char(out, '(');
			return t->node[n].next;
		}
		n = t->node[n].parent;
		if (n == ROOT)
			return NONE;
	}
}

/* thread-list = "(" (thread-members / thread-nested) ")"
   thread-members = nz-number *(SP nz-number) [SP thread-nested]
   thread-nested = 2*thread-list                                   rfc5256:5 */
bool
threads_say(struct threads *t, struct buffer *out, size_t room)
{
	if (t->said == NONE) {
		t->said = t->node[ROOT].child;
		if (t->said == NONE)
			return true;
		buffer_add_char(out, '(');
	}
	while (t->said != NONE) {
		const struct node *n = &t->node[t->said];

		if (n->message != 0)
			buffer_add_number(out, message_of(t, t->said)->number);
		if (n->child == NONE) {
			t->said = said_next(t, t->said, out);
			continue;
		}
		if (n->message != 0)
			buffer_add_char(out, ' ');
		if (n->child != n->last)
			buffer_add_char(out, '(');
		t->said = n->child;
		if (out->len > room)
			return false;
	}
	return true;
}
