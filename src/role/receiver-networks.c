/* receiver-networks.c -- whom the tables and files of mynetworks and its like have */
#include "base/journal.h"
#include "role/receiver.h"
#include "role/tables.h"
#include <string.h>

/* Those that lists of networks named when the doors were opened. */
struct client_tables {
	struct network_tables all; /* first */
	struct arena         *life;
	struct client_table {
		struct client_table *next;
		struct table        *table;
		const char          *name;
	} * first;
	struct house *house;
};

static enum table_outcome
look_into(struct network_tables *all, const char *name, const char *address, struct arena *a,
          struct bytes *value)
{
	struct client_tables *t = (struct client_tables *)all;
	enum table_outcome    o = TABLE_LATER;

	for (struct client_table *one = t->first; one != NULL; one = one->next)
		if (strcmp(one->name, name) == 0 && one->table == NULL)
			o = client_answer(receiver_of(t->house), name, bytes_of(address), a, value);
		else if (strcmp(one->name, name) == 0)
			o = table_find(one->table, bytes_of(address), a, value);
	return o;
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
	struct client_tables *t = (struct client_tables *)all;
	struct arena         *life = t->life;

	for (struct client_table *one = t->first; one != NULL; one = one->next)
		table_close(&one->table);
	arena_close(&life);
}

static void
open_one(void *ctx, const struct table_named *named)
{
	struct client_tables *t = ctx;
	struct client_table  *one;
	struct table_source   source = house_table_source(t->house);
	struct buffer         errors = { 0 }, warnings = { 0 };
	bool                  remote;

	if (named->is_file || !table_is_of_clients(named))
		return;
	one = arena_take(t->life, sizeof *one);
	*one = (struct client_table){ .next = t->first,
		                      .name = arena_copy(t->life, bytes_of(named->name)) };
	/* Those elsewhere are asked first, and what they said is looked into (receiver-tables.c). */
	remote = table_is_remote(named->name, tables_default_type(t->house->settings));
	if (!remote)
		one->table = table_open(named->name, named->grammar, &source, &errors, &warnings);
	if (!remote && one->table == NULL) {
		warn_("%.*s", (int)errors.len, errors.at);
		warn_("table %s cannot be used: nobody is trusted by it", named->name);
		one->table = table_failing(named->name, "it is not as it should be");
	}
	t->first = one;
	buffer_free(&errors);
	buffer_free(&warnings);
}

struct network_tables *
client_tables_open(struct house *h)
{
	struct arena         *life = arena_open(NULL);
	struct client_tables *t = arena_take(life, sizeof *t);

	*t = (struct client_tables){ .all = { 1, client_find, client_value, client_close },
		                     .life = life,
		                     .house = h };
	tables_named(h->settings, open_one, t);
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
