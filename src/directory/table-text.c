/* hash btree lmdb cdb dbm texthash: a text file, indexed here */
#include <string.h>

#include "directory/table_inner.h"
#include "directory/walk.h"

struct reading {
	const struct table_source *source;
	struct table_index        *index;
	unsigned                   how;
	struct table_lines         lines;
	struct table_faults        errors, warnings;
	struct buffer              key, value; /* of an alias */
};

/* key = 1*nonblank ; what stands in double quotes may hold blanks, and \ takes the next byte
   as it is, there and outside.  The quotes belong to the key: an address is asked for with those it has.  False
   when a quote stays open.  *rest is what stands behind it. */
static bool
take_key(struct bytes line, struct bytes *key, struct bytes *rest)
{
	bool   quoted = false;
	size_t n = 0;

	for (; n < line.len && (quoted || !table_is_blank(line.at[n])); n++) {
		if (line.at[n] == '"')
			quoted = !quoted;
		else if (line.at[n] == '\\' && n + 1 < line.len)
			n++;
	}
	*key = bytes_cut(line, 0, n);
	*rest = bytes_cut(line, n, line.len);
	return !quoted;
}

/* Every blank of isspace(3) off both ends. */
static struct bytes
trim(struct bytes b)
{
	while (b.len > 0 && table_is_blank(b.at[0]))
		b = bytes_cut(b, 1, b.len);
	while (b.len > 0 && table_is_blank(b.at[b.len - 1]))
		b.len--;
	return b;
}

static void
enter(struct reading *r, struct bytes key, struct bytes value)
{
	char shown[64];

	if (key.len > TABLE_KEY_MOST)
		table_fault(&r->errors, r->lines.first, "the key is too long; at most %d bytes",
		            TABLE_KEY_MOST);
	else if (value.len > TABLE_VALUE_MOST)
		table_fault(&r->errors, r->lines.first, "the value is too long; at most %d bytes",
		            TABLE_VALUE_MOST);
	else if (!table_index_put(r->index, key, value) && (r->how & TABLE_NO_WARNING) == 0)
		table_fault(&r->warnings, r->lines.first,
		            "duplicate entry: \"%s\"; the first one counts",
		            table_shown(key, shown));
	if (r->source->entry != NULL)
		r->source->entry(r->source->entry_ctx, r->errors.file, r->lines.first, value);
}

static void
read_plain(struct reading *r, struct bytes line)
{
	struct bytes rest, key, value;
	bool         closed = take_key(line, &key, &rest);
	char         shown[64];

	value = trim(rest);
	if (table_is_blank(line.at[0]))
		table_fault(&r->errors, r->lines.first,
		            "the first line begins with a blank; let it begin in the first column");
	else if (!closed)
		table_fault(&r->errors, r->lines.first, "a quote in \"%s\" is never closed",
		            table_shown(line, shown));
	else if (value.len == 0)
		table_fault(&r->errors, r->lines.first,
		            "\"%s\" has no value; write: key, blanks, value",
		            table_shown(bytes_trim(line), shown));
	else
		enter(r, key, value);
	if (key.len > 0 && value.len > 0 && key.at[key.len - 1] == ':')
		table_fault(&r->warnings, r->lines.first,
		            "\"%s\" ends in a colon, as in a file of aliases; a key of this table "
		            "has none",
		            table_shown(key, shown));
}

/*
 * Aliases
 */

/* A string in quotes, a comment in parentheses, which nest, or a domain in brackets at the front, as it is;
   0: none of these begins here.  One that does not end goes to the end. */
static size_t
closed_length(struct bytes b)
{
	char   end = b.at[0] == '"' ? '"' : b.at[0] == '(' ? ')' : b.at[0] == '[' ? ']' : '\0';
	int    depth = 1;
	size_t n = 1;

	if (end == '\0')
		return 0;
	for (; n < b.len && (b.at[n] != end || --depth > 0); n++) {
		depth += end == ')' && b.at[n] == '(';
		n += b.at[n] == '\\';
	}
	return n < b.len ? n + 1 : b.len;
}

/* What is a token by itself, with no blank about it but that before "<". */
static bool
is_special(char c)
{
	return c != '\0' && strchr("<>@,.:;%!|)]", c) != NULL;
}

/* How long the token at the front is. */
static size_t
token_length(struct bytes b)
{
	size_t n = closed_length(b);

	if (n > 0 || is_special(b.at[0]))
		return n > 0 ? n : 1;
	while (n < b.len && !table_is_blank(b.at[n]) && !is_special(b.at[n]) && b.at[n] != '"' &&
	       b.at[n] != '(' && b.at[n] != '[')
		n += b.at[n] == '\\' && n + 1 < b.len ? 2 : 1;
	return n;
}

/* An atom without its backslashes, in quotes when it needs some then. */
static void
write_atom(struct bytes atom, struct buffer *out)
{
	bool   quoted = false;
	size_t at = out->len;

	for (size_t i = 0; i < atom.len; i++) {
		char c = atom.at[i];
		if (c == '\\' && i + 1 < atom.len) {
			c = atom.at[++i];
			quoted = quoted || is_special(c) || table_is_blank(c) ||
			         strchr("\"\\([", c) != NULL;
			if (c == '"' || c == '\\')
				buffer_add_char(out, '\\');
		}
		buffer_add_char(out, c);
	}
	if (!quoted)
		return;
	buffer_add_char(out, '"');
	buffer_add_char(out, '"');
	memmove(out->at + at + 1, out->at + at, out->len - at - 2);
	out->at[at] = '"';
	out->at[out->len - 1] = '"';
}

static void
write_token(struct bytes token, struct buffer *out)
{
	if (closed_length(token) > 0 || is_special(token.at[0]))
		buffer_add(out, token);
	else
		write_atom(token, out);
}

/* The targets as postalias writes them: a blank between two words, before "<" and behind a comma. */
static void
write_targets(struct bytes from, struct buffer *out)
{
	bool   word_before = false, comma_before = false;
	size_t n;

	for (; from.len > 0; from = bytes_cut(from, n, from.len)) {
		bool word = !is_special(from.at[0]);
		if (table_is_blank(from.at[0])) {
			n = 1;
			continue;
		}
		n = token_length(from);
		if (out->len > 0 && (comma_before || from.at[0] == '<' || (word && word_before)))
			buffer_add_char(out, ' ');
		write_token(bytes_cut(from, 0, n), out);
		word_before = word;
		comma_before = from.at[0] == ',';
	}
}

/* Where the colon behind the name is, or -1. */
static ptrdiff_t
colon_of(struct bytes line)
{
	for (size_t i = 0, n; i < line.len; i += n) {
		n = closed_length(bytes_cut(line, i, line.len));
		if (n == 0 && line.at[i] == ':')
			return (ptrdiff_t)i;
		n = n == 0 ? 1 : n;
	}
	return -1;
}

/* The name without its quotes; one that is not quoted may not be an address. */
static bool
write_name(struct bytes name, struct buffer *out)
{
	bool quoted = name.len > 1 && name.at[0] == '"' && name.at[name.len - 1] == '"';

	if (quoted)
		name = bytes_cut(name, 1, name.len - 2);
	for (size_t i = 0; i < name.len; i++) {
		if (!quoted && name.at[i] == '@')
			return false;
		if (quoted && name.at[i] == '\\' && i + 1 < name.len)
			i++;
		buffer_add_char(out, name.at[i]);
	}
	return true;
}

/* allow_mail_to_commands has no alias in it. */
static void
complain_of_commands(struct reading *r)
{
	struct arena     *scratch = arena_open(NULL);
	struct bytes      rest = buffer_bytes(&r->value);
	struct alias_part part;
	char              shown[64];

	while (bytes_find(rest, '|') >= 0 && alias_next(&rest, false, scratch, &part))
		if (part.kind == TARGET_COMMAND)
			table_fault(&r->warnings, r->lines.first,
			            "the command of \"%s\" is not run; set "
			            "allow_mail_to_commands = alias",
			            table_shown(buffer_bytes(&r->key), shown));
	arena_close(&scratch);
}

/* alias = name ":" targets */
static void
read_alias(struct reading *r, struct bytes line)
{
	ptrdiff_t    colon = colon_of(line);
	struct bytes name = bytes_trim(bytes_cut(line, 0, colon < 0 ? 0 : (size_t)colon));
	char         shown[64];

	buffer_reset(&r->key);
	buffer_reset(&r->value);
	if (colon >= 0)
		write_targets(bytes_trim(bytes_cut(line, (size_t)colon + 1, line.len)), &r->value);
	if (table_is_blank(line.at[0]))
		table_fault(&r->errors, r->lines.first,
		            "the first line begins with a blank; let it begin in the first column");
	else if (name.len == 0 || r->value.len == 0)
		table_fault(&r->errors, r->lines.first,
		            colon < 0 && bytes_find(line, '@') >= 0
		                    ? "\"%s\" is a line of a virtual(5) file, with full "
		                      "addresses; name that in virtual_alias_maps, or write: name: "
		                      "target, target"
		                    : "\"%s\" is no alias; write: name: target, target",
		            table_shown(bytes_trim(line), shown));
	else if (!write_name(name, &r->key))
		table_fault(&r->errors, r->lines.first,
		            "\"%s\" must be a name without a domain; an address is for "
		            "virtual_alias_maps",
		            table_shown(name, shown));
	else {
		enter(r, buffer_bytes(&r->key), buffer_bytes(&r->value));
		if (r->how & TABLE_NO_COMMANDS)
			complain_of_commands(r);
	}
}

/*
 * Files
 */

static void *
file_open(struct bytes name, enum table_grammar grammar, const struct table_source *source,
          struct buffer *errors, struct buffer *warnings)
{
	struct arena  *scratch = arena_open(NULL);
	const char    *path = arena_copy(scratch, name);
	struct buffer  text = { 0 };
	struct reading r = { .source = source,
		             .how = source->how,
		             .errors = { path, errors, 0 },
		             .warnings = { path, warnings, 0 } };
	struct bytes   line;
	bool           good = table_read(source, path, &text, errors);

	r.index = table_index_open(source->how, text.len);
	r.lines.rest = buffer_bytes(&text);
	while (good && table_line(&r.lines, &line)) {
		if (grammar == TABLE_ALIASES)
			read_alias(&r, line);
		else
			read_plain(&r, line);
	}
	table_lines_end(&r.lines);
	buffer_free(&r.key);
	buffer_free(&r.value);
	buffer_free(&text);
	if (!good || (r.errors.said > 0 && (source->how & TABLE_LEAVES_OUT) == 0)) {
		table_index_close(r.index);
		r.index = NULL;
	}
	arena_close(&scratch);
	return r.index;
}

/* clang-format off */
#define TEXT(type) \
	const struct table_type table_##type = { .name = #type, .file = true, .open = file_open, \
		.find = table_index_find, .each = table_index_each, .close = table_index_close }
TEXT(btree);
TEXT(cdb);
TEXT(dbm);
TEXT(hash);
TEXT(lmdb);
TEXT(texthash);
/* clang-format on */
