/*
 * sender-reply -- smtp_reply_filter: what stands instead of a line that a host says
 *
 * A table that is elsewhere is asked while the line waits where it arrived; with the answer it is read again.
 */
#include "role/enquiry.h"
#include "role/sender.h"

#include <string.h>

/* Of the line in hand. */
struct reply_filter {
	struct house              *house;
	const struct setting_list *tables;
	struct buffer              line;
	struct arena              *life; /* of what is known of it                */
	enum table_outcome        *outcome;
	struct bytes              *value;
	size_t                     known; /* of the tables, in their order         */
	struct enquiry             enquiry;
	bool                       waits;
	void (*answered)(void *ctx);
	void *ctx;
};

struct reply_filter *
reply_filter_open(struct house *h, const struct setting_list *tables, void (*answered)(void *ctx),
                  void *ctx)
{
	struct reply_filter *f = memory_take(sizeof *f);

	*f = (struct reply_filter){
		.house = h, .tables = tables, .answered = answered, .ctx = ctx
	};
	return f;
}

static void
forget(struct reply_filter *f)
{
	if (f->waits)
		enquiry_drop(sender_of(f->house)->enquiries, &f->enquiry);
	f->waits = false;
	f->known = 0;
	buffer_reset(&f->line);
	arena_close(&f->life);
}

void
reply_filter_close(struct reply_filter **fp)
{
	struct reply_filter *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	forget(f);
	buffer_free(&f->line);
	memory_free(f);
}

bool
reply_filter_waits(const struct reply_filter *f)
{
	return f != NULL && f->waits;
}

static void
know(struct reply_filter *f, enum table_outcome outcome, struct bytes value)
{
	f->outcome[f->known] = outcome;
	f->value[f->known++] = arena_keep(f->life, value);
}

static void
heard(struct enquiry *e, enum table_outcome outcome, struct bytes value)
{
	struct reply_filter *f =
		(struct reply_filter *)(void *)((char *)e - offsetof(struct reply_filter, enquiry));

	f->waits = false;
	know(f, outcome, value);
	f->answered(f->ctx);
}

/* The next table: what it has is known then, or is asked for. */
static void
look(struct reply_filter *f)
{
	struct sender_role *s = sender_of(f->house);
	const char         *name = f->tables->item[f->known];
	struct bytes        line = buffer_bytes(&f->line), value = { NULL, 0 };
	struct table       *t = tables_local(s->tables, name);
	enum table_outcome  o = TABLE_LATER;

	if (t != NULL)
		o = table_find(t, line, f->life, &value);
	else if (table_is_remote(name, tables_default_type(f->house->settings)))
		o = enquiry_kept(s->enquiries, name, line, f->life, &value);
	if (o != TABLE_WAIT) {
		know(f, o, value);
		return;
	}
	f->waits = true;
	f->enquiry = (struct enquiry){ .answered = heard };
	enquiry_ask(s->enquiries, &f->enquiry, name, line);
}

enum response_filtered
reply_filter_line(struct reply_filter *f, struct bytes line, struct buffer *instead)
{
	enum response_filtered is = FILTERED_NOT;

	if (f->waits)
		return FILTERED_WAIT;
	if (f->life == NULL || !bytes_equal(buffer_bytes(&f->line), line)) {
		forget(f);
		f->life = arena_open(NULL);
		f->outcome = arena_take_array(f->life, f->tables->count, sizeof *f->outcome);
		f->value = arena_take_array(f->life, f->tables->count, sizeof *f->value);
		buffer_add(&f->line, line);
	}
	for (size_t i = 0; is == FILTERED_NOT && i < f->tables->count; i++) {
		if (i == f->known)
			look(f);
		if (f->waits)
			return FILTERED_WAIT;
		if (f->outcome[i] == TABLE_FOUND) {
			buffer_add(instead, f->value[i]);
			is = FILTERED;
		} else if (f->outcome[i] != TABLE_NONE) {
			is = FILTERED_LATER;
		}
	}
	forget(f);
	return is;
}
