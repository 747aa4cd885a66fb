#include "policy/milter-header.h"

#include <string.h>

#include "message/header.h"

enum { NAME_MOST = 200 }; /* as in what clients say: a longer one begins the body */

/*
 * The list
 */

static struct milter_field *
make_place(struct milter_header *h, size_t at)
{
	if (h->count == h->_room) {
		size_t               room = h->_room == 0 ? 32 : 2 * h->_room;
		struct milter_field *more = arena_take_array(h->life, room, sizeof *more);

		if (h->count > 0)
			memcpy(more, h->field, h->count * sizeof *more);
		h->field = more;
		h->_room = room;
	}
	memmove(h->field + at + 1, h->field + at, (h->count - at) * sizeof *h->field);
	h->count++;
	return &h->field[at];
}

static struct bytes
without_line_end(struct bytes value)
{
	while (value.len > 0 &&
	       (value.at[value.len - 1] == '\n' || value.at[value.len - 1] == '\r'))
		value.len--;
	return value;
}

void
milter_header_read(struct milter_header *h, struct arena *life, struct bytes head)
{
	struct header walk = header_of(head);
	struct field  f;

	*h = (struct milter_header){ .life = life };
	*make_place(h, 0) = (struct milter_field){ .own = true };
	while (header_next(&walk, &f)) {
		struct milter_field *m = make_place(h, h->count);

		*m = (struct milter_field){
			.name = f.name,
			.value = without_line_end(f.value),
			.at = (uint64_t)(f.whole.at - head.at),
			.len = f.whole.len,
		};
		h->len = m->at + m->len;
	}
}

void
milter_header_append(struct milter_header *h, struct bytes fields)
{
	struct header walk = header_of(arena_keep(h->life, fields));
	struct field  f;

	while (header_next(&walk, &f)) {
		*make_place(h, h->count) = (struct milter_field){
			.name = f.name, .value = without_line_end(f.value), .text = f.whole
		};
		h->_changes++;
	}
}

/*
 * Changes
 */

/* ftext = %d33-57 / %d59-126  rfc5322:3.6.8 */
static bool
name_good(struct bytes name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.at[i] <= ' ' || name.at[i] > '~' || name.at[i] == ':')
			return false;
	return name.len > 0 && name.len <= NAME_MOST;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* What a filter calls a value has LF between its lines; none of them may be empty or look like a field. */
static struct bytes
field_text(struct milter_header *h, struct bytes name, const char *space, struct bytes value)
{
	struct buffer out = { 0 };
	struct bytes  line, kept;
	bool          first = true;

	buffer_add(&out, name);
	buffer_add_char(&out, ':');
	buffer_add_string(&out, space);
	while (bytes_split(&value, '\n', &line)) {
		if (!first && bytes_trim(line).len == 0)
			continue;
		if (!first) {
			buffer_add(&out, BYTES("\r\n"));
			if (!is_blank(line.at[0]))
				buffer_add_char(&out, '\t');
		}
		for (size_t i = 0; i < line.len; i++)
			if (line.at[i] != '\r')
				buffer_add_char(&out, line.at[i]);
		first = false;
	}
	buffer_add(&out, BYTES("\r\n"));
	kept = arena_keep(h->life, buffer_bytes(&out));
	buffer_free(&out);
	return kept;
}

static bool
may_change(struct milter_header *h, struct bytes name, struct bytes value)
{
	if (!name_good(name) || h->_changes >= MILTER_CHANGES_MOST ||
	    h->_added + name.len + value.len > MILTER_ADDED_MOST)
		return false;
	h->_changes++;
	h->_added += name.len + value.len;
	return true;
}

static void
write_field(struct milter_header *h, struct milter_field *m, struct bytes name, const char *space,
            struct bytes value)
{
	m->text = field_text(h, name, space, value);
	m->name = bytes_cut(m->text, 0, name.len);
	m->value = without_line_end(bytes_cut(m->text, name.len + 1, m->text.len));
}

static bool
put_in(struct milter_header *h, size_t at, struct bytes name, const char *space, struct bytes value)
{
	struct milter_field *m;

	if (!may_change(h, name, value))
		return false;
	m = make_place(h, at);
	*m = (struct milter_field){ .len = 0 };
	write_field(h, m, name, space, value);
	return true;
}

bool
milter_header_add(struct milter_header *h, struct bytes name, const char *space, struct bytes value)
{
	return put_in(h, h->count, name, space, value);
}

bool
milter_header_insert(struct milter_header *h, uint32_t index, struct bytes name, const char *space,
                     struct bytes value)
{
	return put_in(h, index < h->count ? index : h->count, name, space, value);
}

bool
milter_header_change(struct milter_header *h, uint32_t index, struct bytes name, const char *space,
                     struct bytes value)
{
	uint32_t seen = 0;

	for (size_t i = 0; i < h->count; i++) {
		if (!bytes_equal_nocase(h->field[i].name, name) ||
		    ++seen < (index == 0 ? 1 : index))
			continue;
		if (!may_change(h, name, value))
			return false;
		if (value.len > 0)
			write_field(h, &h->field[i], name, space, value);
		else {
			h->count--;
			memmove(h->field + i, h->field + i + 1, (h->count - i) * sizeof *h->field);
		}
		return true;
	}
	return value.len == 0 || milter_header_add(h, name, space, value);
}

bool
milter_header_changed(const struct milter_header *h)
{
	return h->_changes > 0;
}

/*
 * What was done
 */

/* The section from `from` to `to` goes, and `*text` comes. */
static bool
replace(struct milter_header *h, struct edits *edits, uint64_t from, uint64_t to,
        struct buffer *text)
{
	struct edit e = { .at = from, .len = to - from };
	bool        good = true;

	if (e.len > 0 || text->len > 0) {
		e.instead = arena_keep(h->life, buffer_bytes(text));
		good = edits_add(edits, &e);
	}
	text->len = 0;
	return good;
}

bool
milter_header_edits(const struct milter_header *h, struct edits *edits, struct buffer *front)
{
	struct milter_header here = *h;
	struct buffer        text = { 0 };
	uint64_t             done = 0; /* of the section, up to here     */
	bool                 good = true;

	for (size_t i = 0; good && i < h->count; i++) {
		const struct milter_field *m = &h->field[i];

		if (m->own) {
			buffer_add(front, buffer_bytes(&text));
			text.len = 0;
			continue;
		}
		if (m->text.at != NULL) {
			buffer_add(&text, m->text);
			continue;
		}
		good = replace(&here, edits, done, m->at, &text);
		done = m->at + m->len;
	}
	good = good && replace(&here, edits, done, h->len, &text);
	buffer_free(&text);
	return good;
}
