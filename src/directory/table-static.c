/* static:value and static:{value with blanks}: the same for every key */
#include "directory/table_inner.h"

#include <string.h>

struct constant {
	struct bytes value;
	char         text[];
};

static void *
static_open(struct bytes name, enum table_grammar grammar, const struct table_source *source,
            struct buffer *errors, struct buffer *warnings)
{
	struct bytes     value = name;
	struct constant *c;

	(void)grammar;
	(void)warnings;
	if (name.at[0] == '{' && !table_unbrace(name, &value)) {
		buffer_printf(errors, "static:%.*s: a \"{\" is opened and never closed\n",
		              (int)(name.len > 80 ? 80 : name.len), name.at);
		return NULL;
	}
	c = memory_take(sizeof *c + value.len + 1);
	if (value.len > 0)
		memcpy(c->text, value.at, value.len);
	c->value = (struct bytes){ c->text, value.len };
	if (source->entry != NULL)
		source->entry(source->entry_ctx, "static", 0, value);
	return c;
}

static enum table_outcome
static_find(void *own, struct bytes key, struct arena *arena, struct bytes *value)
{
	struct constant *c = own;

	(void)key;
	*value = arena_keep(arena, c->value);
	return TABLE_FOUND;
}

const struct table_type table_static = {
	.name = "static",
	.open = static_open,
	.find = static_find,
	.close = memory_free,
};
