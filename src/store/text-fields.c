/* text-fields.c -- what one header field says in every message of a text index (text-inside.h)
 *
 * SEARCH HEADER of a field that is in no column would unpack the text of all letters each time.  What the field says
 * is taken out when a block is unpacked for it, and kept in memory: the next search for it reads no block again.
 */
#include <string.h>

#include "store/inside.h"
#include "store/text-inside.h"

/* So many bytes for all accounts of a keeper; then nothing more is learned. */
#define FIELDS_MOST ((uint64_t)128 << 20)

struct text_field {
	struct bytes name;
	uint32_t     generation; /* of the index                                */
	uint32_t     blocks;     /* room of `known` and `part`                  */
	struct field_part {
		uint32_t *end;  /* of each entry, in `text`; NULL: not known   */
		char     *text; /* values, a separator behind each             */
	} * part;
	uint64_t bytes;
};

static void
field_clear(struct text_field *f, struct store *s)
{
	for (uint32_t i = 0; i < f->blocks; i++) {
		memory_free(f->part[i].end);
		memory_free(f->part[i].text);
	}
	memory_free(f->part);
	f->part = NULL;
	f->blocks = 0;
	s->text_fields -= f->bytes;
	f->bytes = 0;
}

static void
field_free(struct text_field **fp, struct store *s)
{
	struct text_field *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	field_clear(f, s);
	memory_free((char *)(uintptr_t)f->name.at);
	memory_free(f);
}

void
text_fields_free(struct text *t)
{
	for (size_t i = 0; i < TEXT_FIELDS; i++)
		field_free(&t->field[i], t->account->store);
}

static struct text_field *
field_make(struct bytes name)
{
	struct text_field *f = memory_take(sizeof *f);
	char              *kept = memory_take(name.len + 1);

	memcpy(kept, name.at, name.len);
	f->name = (struct bytes){ kept, name.len };
	return f;
}

struct text_field *
text_field_of(struct text *t, struct bytes name)
{
	struct text_field *f;
	size_t             i = 0;

	while (i < TEXT_FIELDS - 1 && t->field[i] != NULL &&
	       !bytes_equal_nocase(t->field[i]->name, name))
		i++;
	f = t->field[i];
	if (f == NULL || !bytes_equal_nocase(f->name, name)) {
		field_free(&t->field[i], t->account->store);
		f = field_make(name);
	}
	memmove(&t->field[1], &t->field[0], i * sizeof t->field[0]);
	t->field[0] = f;
	if (f->generation != t->generation)
		field_clear(f, t->account->store);
	f->generation = t->generation;
	return f;
}

bool
text_field_bits(const struct text_field *f, const struct text *t, uint32_t block,
                struct bytes needle, uint32_t room, uint64_t *bits)
{
	const struct text_block *b = &t->block[block];
	const struct field_part *p;
	uint32_t                 from = 0;

	if (block >= f->blocks || f->part[block].end == NULL)
		return false;
	p = &f->part[block];
	for (uint32_t i = 0; i < b->head.entries && b->first + i < room; i++) {
		uint32_t entry = b->first + i;
		/* An empty needle is in every value; who has none has not the field. */
		if (p->end[i] > from &&
		    memmem(p->text + from, p->end[i] - from, needle.at, needle.len) != NULL)
			bits[entry / 64] |= (uint64_t)1 << (entry % 64);
		from = p->end[i];
	}
	return true;
}

/* The values of one entry's fields of that name: lines of our own, and "name: value" each with its separator. */
static void
values_of(const struct text_field *f, struct bytes own, struct bytes header, struct buffer *out)
{
	const char   separator = SEARCH_SEPARATOR;
	struct bytes one;
	const size_t name = f->name.len;

	search_own_values(own, f->name, out);
	while (bytes_split(&header, separator, &one))
		if (bytes_starts_nocase(one, f->name) &&
		    bytes_starts(bytes_cut(one, name, 2), BYTES(": "))) {
			buffer_add(out, bytes_cut(one, name + 2, one.len));
			buffer_add_char(out, separator);
		}
}

void
text_field_learn(struct text_field *f, struct text *t, uint32_t block, struct bytes text,
                 struct bytes rows)
{
	const struct text_block *b = &t->block[block];
	struct buffer            out = { 0 };
	struct unpack            u = unpack_of(rows);
	struct text_row          r;
	uint32_t                *end;
	char                    *kept;

	if (t->account->store->text_fields > FIELDS_MOST)
		return;
	if (block >= f->blocks) {
		uint32_t more = t->blocks + t->blocks / 8 + 1;
		f->part = memory_resize(f->part, more * sizeof *f->part);
		memset(f->part + f->blocks, 0, (more - f->blocks) * sizeof *f->part);
		f->blocks = more;
	}
	end = memory_take(b->head.entries * sizeof *end);
	for (uint32_t i = 0; i < b->head.entries; i++) {
		if (text_row_unpack(&u, (uint32_t)text.len, &r) && !r.too_long)
			values_of(f, bytes_cut(text, r.at, r.own_len),
			          bytes_cut(text, r.at + (size_t)r.own_len, r.header_len), &out);
		end[i] = (uint32_t)out.len;
	}
	kept = memory_take(out.len + 1);
	if (out.len > 0)
		memcpy(kept, out.at, out.len);
	f->part[block] = (struct field_part){ end, kept };
	f->bytes += out.len + b->head.entries * sizeof *end;
	t->account->store->text_fields += out.len + b->head.entries * sizeof *end;
	buffer_free(&out);
}

#undef FIELDS_MOST
