/* randmap:{value, value}: one of them for every key, by chance; braces inside stay as they are */
#include "base/random.h"
#include "directory/table_inner.h"

enum { VALUES_MOST = 1000 };

struct choice {
	struct arena *life;
	struct bytes  value[VALUES_MOST];
	size_t        count;
};

static void
randmap_close(void *own)
{
	struct choice *c = own;

	arena_close(&c->life);
	memory_free(c);
}

static void *
randmap_open(struct bytes name, enum table_grammar grammar, const struct table_source *source,
             struct buffer *errors, struct buffer *warnings)
{
	struct choice *c = memory_take(sizeof *c);
	struct bytes   inner = { NULL, 0 }, part;
	bool           good = name.len > 0 && name.at[0] == '{' && table_unbrace(name, &inner);

	(void)grammar;
	(void)warnings;
	c->life = arena_open(NULL);
	while (good && c->count < VALUES_MOST && table_part(&inner, &part)) {
		c->value[c->count++] = arena_keep(c->life, part);
		if (source->entry != NULL)
			source->entry(source->entry_ctx, "randmap", 0, part);
	}
	if (c->count > 0)
		return c;
	buffer_printf(errors, "randmap:%.*s: write the values in braces: randmap:{value, value}\n",
	              (int)(name.len > 80 ? 80 : name.len), name.len > 0 ? name.at : "");
	randmap_close(c);
	return NULL;
}

static enum table_outcome
randmap_find(void *own, struct bytes key, struct arena *arena, struct bytes *value)
{
	struct choice *c = own;

	(void)key;
	*value = arena_keep(arena, c->value[random_below(c->count)]);
	return TABLE_FOUND;
}

const struct table_type table_randmap = {
	.name = "randmap",
	.open = randmap_open,
	.find = randmap_find,
	.close = randmap_close,
};
