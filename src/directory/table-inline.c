/* inline:{key=value, {key = value with blanks}} */
#include "directory/table_inner.h"

static bool
fail(struct buffer *errors, struct bytes name, const char *why)
{
	buffer_printf(errors, "inline:%.*s: %s; write inline:{key=value, {key = two words}}\n",
	              (int)(name.len > 80 ? 80 : name.len), name.at, why);
	return false;
}

static bool
put_part(struct table_index *index, struct bytes name, struct bytes part,
         const struct table_source *source, struct buffer *errors)
{
	struct bytes key, value, inner = part;
	ptrdiff_t    equals;

	if (part.at[0] == '{' && !table_unbrace(part, &inner))
		return fail(errors, name, "something stands behind a \"}\"");
	equals = bytes_find(inner, '=');
	if (equals < 0)
		return fail(errors, name, "a part has no \"=\"");
	key = bytes_trim(bytes_cut(inner, 0, (size_t)equals));
	value = bytes_trim(bytes_cut(inner, (size_t)equals + 1, inner.len));
	if (key.len == 0 || value.len == 0)
		return fail(errors, name, "a part has no key or no value");
	if (key.len > TABLE_KEY_MOST || value.len > TABLE_VALUE_MOST)
		return fail(errors, name, "a part is too long");
	(void)table_index_put(index, key, value);
	if (source->entry != NULL)
		source->entry(source->entry_ctx, "inline", 0, value);
	return true;
}

static void *
inline_open(struct bytes name, enum table_grammar grammar, const struct table_source *source,
            struct buffer *errors, struct buffer *warnings)
{
	struct table_index *index;
	struct bytes        rest, part;
	bool                good = true;

	(void)grammar;
	(void)warnings;
	if (!table_unbrace(name, &rest) || rest.len == 0) {
		(void)fail(errors, name, "there are no parts in braces");
		return NULL;
	}
	index = table_index_open((source->how & TABLE_KEEP_CASE) | TABLE_LAST_HOLDS, name.len);
	while (good && table_part(&rest, &part))
		good = put_part(index, name, part, source, errors);
	if (!good) {
		table_index_close(index);
		return NULL;
	}
	return index;
}

const struct table_type table_inline = {
	.name = "inline",
	.open = inline_open,
	.find = table_index_find,
	.each = table_index_each,
	.close = table_index_close,
};
