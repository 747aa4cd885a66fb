/* receiver-networks.c -- whom the tables and files of mynetworks and its like have */
#include "base/journal.h"
#include "role/receiver.h"
#include "role/tables.h"
#include <string.h>

struct client_tables {
	struct network_tables all; /* first */
	struct receiver      *receiver;
};

/* Those elsewhere are asked first, and what they said is looked into (receiver-tables.c). */
static enum table_outcome
look_into(struct network_tables *all, const char *name, const char *address, struct arena *a,
          struct bytes *value)
{
	struct receiver *r = ((struct client_tables *)all)->receiver;
	struct table    *t = tables_local(r->tables, name);

	if (t != NULL)
		return table_find(t, bytes_of(address), a, value);
	if (table_is_remote(name, tables_default_type(r->house->settings)))
		return client_answer(r, name, bytes_of(address), a, value);
	return TABLE_LATER;
}

static enum network_answer
client_find(struct network_tables *all, const char *name, const char *address)
{
	struct arena      *scratch = arena_open(NULL);
	struct bytes       value;
	enum table_outcome o = look_into(all, name, address, scratch, &value);

	arena_close(&scratch);
	return o == TABLE_FOUND ? NETWORK_HAS : o == TABLE_NONE ? NETWORK_NOT : NETWORK_LATER;
}

static bool
client_value(struct network_tables *all, const char *name, const char *address, struct arena *a,
             struct bytes *value)
{
	return look_into(all, name, address, a, value) == TABLE_FOUND;
}

static void
client_close(struct network_tables *all)
{
	memory_free(all);
}

struct network_tables *
client_tables_open(struct receiver *r)
{
	struct client_tables *t = memory_take(sizeof *t);

	*t = (struct client_tables){ .all = { 1, client_find, client_value, client_close },
		                     .receiver = r };
	return &t->all;
}

/* The words of its files stand in their place; one that is no network is left out, so that the rest holds. */
void
client_patterns(struct house *h, struct arena *a, struct setting_list *list)
{
	const char        **item;
	struct network_item n;
	const char         *wrong = "";
	size_t              count = 0;

	tables_patterns(h, a, list);
	item = arena_take_array(a, list->count + 1, sizeof *item);
	for (size_t i = 0; i < list->count; i++)
		if (network_item_parse(list->item[i], &n, &wrong))
			item[count++] = list->item[i];
		else
			warn_("%s: %s: it is left out", list->item[i], wrong);
	*list = (struct setting_list){ item, count };
}
