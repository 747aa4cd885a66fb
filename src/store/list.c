/* list.c -- the mailboxes of an account, and the names above them, as they are listed (store.h) */
#include "store/foreign.h"

#include <stdlib.h>
#include <string.h>

static int
by_name(const void *one, const void *other)
{
	const struct mailbox_info *a = one, *b = other;
	bool first = strcmp(a->name, "INBOX") == 0, second = strcmp(b->name, "INBOX") == 0;

	if (first != second)
		return first ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* Names gathered for the list; `place` finds one by name (its index + 1). */
struct listing {
	struct mailbox_info *row;
	size_t               count, room;
	struct map          *place;
	struct arena        *arena;
};

static struct mailbox_info *
row_named(struct listing *l, struct bytes name)
{
	size_t at = (size_t)(uintptr_t)map_get(l->place, name);

	if (at == 0) {
		if (l->count == l->room) {
			l->room = l->room ? l->room * 2 : 16;
			l->row = memory_resize(l->row, l->room * sizeof *l->row);
		}
		l->row[l->count] = (struct mailbox_info){ .name = arena_copy(l->arena, name) };
		at = ++l->count;
		(void)map_put(l->place, name, (void *)(uintptr_t)at);
	}
	return &l->row[at - 1];
}

/* INBOX lies beside the others, or elsewhere: below its name there is room. */
static bool
is_a_leaf(const struct mailbox *m)
{
	const struct place *p = m->account->place;

	return p != NULL && !p->driver->levels && strcmp(m->name, "INBOX") != 0;
}

static void
levels_above(struct listing *l, const char *name)
{
	for (const char *p = strchr(name, '/'); p != NULL; p = strchr(p + 1, '/'))
		row_named(l, (struct bytes){ name, (size_t)(p - name) })->has_children = true;
}

size_t
account_list(struct account *a, struct arena *arena, struct mailbox_info **out)
{
	struct listing l = { .place = map_open(), .arena = arena };

	place_look(a);
	for (const struct mailbox *m = a->mailboxes; m != NULL; m = m->next) {
		struct mailbox_info *row;
		if (m->gone)
			continue;
		row = row_named(&l, bytes_of(m->name));
		row->id = m->id;
		row->exists = true;
		row->use = m->use;
		row->uidvalidity = m->uidvalidity;
		row->no_inferiors = is_a_leaf(m);
		levels_above(&l, m->name);
	}
	for (struct map_place p = { 0 }; map_next(a->subscribed, &p);)
		row_named(&l, p.key)->subscribed = true;
	map_close(&l.place);
	*out = arena_take_array(arena, l.count + 1, sizeof **out);
	if (l.count > 0)
		memcpy(*out, l.row, l.count * sizeof **out);
	memory_free(l.row);
	qsort(*out, l.count, sizeof **out, by_name);
	return l.count;
}

bool
account_list_one(struct account *a, const char *name, struct mailbox_info *out)
{
	size_t len = strlen(name);

	place_look(a);
	*out = (struct mailbox_info){ .name = name, .subscribed = account_subscribes(a, name) };
	for (const struct mailbox *m = a->mailboxes; m != NULL; m = m->next) {
		if (m->gone || strncmp(m->name, name, len) != 0)
			continue;
		out->has_children |= m->name[len] == '/';
		if (m->name[len] != '\0')
			continue;
		out->id = m->id;
		out->exists = true;
		out->use = m->use;
		out->uidvalidity = m->uidvalidity;
		out->no_inferiors = is_a_leaf(m);
	}
	return out->exists || out->has_children || out->subscribed;
}
