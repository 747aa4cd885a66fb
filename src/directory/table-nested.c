/* unionmap:{a, b}: what all say, by comma.  pipemap:{a, b}: what a says is asked of b. */
#include "directory/table_inner.h"

#include <string.h>

struct parts {
	struct table *part[TABLE_PARTS_MOST];
	size_t        count;
};

static void
parts_close(void *own)
{
	struct parts *p = own;

	for (size_t i = 0; i < p->count; i++)
		table_close(&p->part[i]);
	memory_free(p);
}

static bool
open_part(struct parts *p, struct bytes name, enum table_grammar grammar,
          const struct table_source *source, struct buffer *errors, struct buffer *warnings)
{
	struct arena       *scratch = arena_open(NULL);
	struct table_source of_part = *source;

	of_part.entry = NULL;
	if (p->count == TABLE_PARTS_MOST)
		buffer_printf(errors, "more than %d tables in one; write fewer\n",
		              TABLE_PARTS_MOST);
	else
		p->part[p->count] =
			table_open(arena_copy(scratch, name), grammar, &of_part, errors, warnings);
	arena_close(&scratch);
	if (p->count == TABLE_PARTS_MOST || p->part[p->count] == NULL)
		return false;
	p->count++;
	return true;
}

static void *
parts_open(struct bytes name, enum table_grammar grammar, const struct table_source *source,
           struct buffer *errors, struct buffer *warnings)
{
	struct parts *p = memory_take(sizeof *p);
	struct bytes  inner = { NULL, 0 }, part;
	bool          good = table_unbrace(name, &inner);

	while (good && table_part(&inner, &part))
		good = open_part(p, part, grammar, source, errors, warnings);
	if (good && p->count > 0)
		return p;
	if (good || inner.at == NULL)
		buffer_printf(errors, "%.*s: write the tables in braces: {type:name, type:name}\n",
		              (int)(name.len > 80 ? 80 : name.len), name.at);
	parts_close(p);
	return NULL;
}

static enum table_outcome
union_find(void *own, struct bytes key, struct arena *arena, struct bytes *value)
{
	struct parts      *p = own;
	struct buffer      all = { 0 };
	enum table_outcome outcome = TABLE_NONE, one;
	struct bytes       said;

	for (size_t i = 0; i < p->count; i++) {
		one = table_find(p->part[i], key, arena, &said);
		if (one == TABLE_LATER) {
			*value = said;
			outcome = TABLE_LATER;
			break;
		}
		if (one != TABLE_FOUND || all.len + said.len > TABLE_VALUE_MOST)
			continue;
		if (outcome == TABLE_FOUND)
			buffer_add_char(&all, ',');
		buffer_add(&all, said);
		outcome = TABLE_FOUND;
	}
	if (outcome == TABLE_FOUND)
		*value = arena_keep(arena, buffer_bytes(&all));
	buffer_free(&all);
	return outcome;
}

static enum table_outcome
pipe_find(void *own, struct bytes key, struct arena *arena, struct bytes *value)
{
	struct parts      *p = own;
	enum table_outcome outcome = TABLE_NONE;

	for (size_t i = 0; i < p->count; i++) {
		outcome = table_find(p->part[i], key, arena, value);
		if (outcome != TABLE_FOUND)
			break;
		key = *value;
	}
	return outcome;
}

/* clang-format off */
const struct table_type table_unionmap = { .name = "unionmap", .nested = true, .open = parts_open,
	.find = union_find, .close = parts_close };
const struct table_type table_pipemap = { .name = "pipemap", .nested = true, .open = parts_open,
	.find = pipe_find, .close = parts_close };
/* clang-format on */
