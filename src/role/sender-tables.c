/*
 * sender-tables -- what tables know of a host: those of files at once, those of other servers by role proxymap
 *
 * What was answered stays with the delivery, so that everything may be looked up again from its beginning until nothing is
 * waited for any more.
 */
#include "base/journal.h"
#include "directory/lookup.h"
#include "directory/resolve.h"
#include "message/status.h"
#include "role/enquiry.h"
#include "role/proxymap.h"
#include "role/sender.h"
#include "role/tables.h"
#include "sasl/supplicant.h"
#include <string.h>

/* A question to a table of another server. */
struct looked {
	struct looked     *next;
	struct delivery   *delivery;
	struct enquiry     enquiry;
	const char        *table;
	struct bytes       key, value;
	enum table_outcome outcome;
	bool               done;
};

static void
looked_up(struct enquiry *e, enum table_outcome outcome, struct bytes value)
{
	struct looked *l = (struct looked *)(void *)((char *)e - offsetof(struct looked, enquiry));
	struct delivery *d = l->delivery;

	l->done = true;
	l->outcome = outcome;
	l->value = arena_keep(d->life, value);
	if (--d->asking == 0)
		delivery_heard(d);
}

static enum table_outcome
ask(struct delivery *d, const char *table, struct bytes key, struct bytes *value)
{
	struct enquiries *all = sender_of(d->house)->enquiries;
	struct looked    *l;

	for (l = d->looked; l != NULL; l = l->next)
		if (bytes_equal(l->key, key) && strcmp(l->table, table) == 0) {
			*value = l->value;
			return l->done ? l->outcome : TABLE_WAIT;
		}
	l = arena_take(d->life, sizeof *l);
	*l = (struct looked){ .next = d->looked,
		              .delivery = d,
		              .enquiry = { .answered = looked_up },
		              .table = arena_copy(d->life, bytes_of(table)),
		              .key = arena_keep(d->life, key) };
	d->looked = l;
	l->outcome = enquiry_kept(all, l->table, l->key, d->life, &l->value);
	l->done = l->outcome != TABLE_WAIT;
	*value = l->value;
	if (l->done)
		return l->outcome;
	d->asking++;
	enquiry_ask(all, &l->enquiry, l->table, l->key);
	return TABLE_WAIT;
}

enum table_outcome
sender_lookup(struct delivery *d, const struct setting_list *tables, struct bytes key,
              struct bytes *value)
{
	struct sender_role *s = sender_of(d->house);
	const char         *type = tables_default_type(d->house->settings);

	for (size_t i = 0; key.len > 0 && i < tables->count; i++) {
		struct table      *t = tables_local(s->tables, tables->item[i]);
		enum table_outcome o = TABLE_LATER;

		if (t != NULL)
			o = table_find(t, key, d->life, value);
		else if (table_is_remote(tables->item[i], type))
			o = ask(d, tables->item[i], key, value);
		if (o != TABLE_NONE)
			return o;
	}
	return TABLE_NONE;
}

/* One word of the list, and of a table those that it has. */
static enum table_outcome
add_mechanisms(struct delivery *d, const char *item, struct buffer *out)
{
	const char         *word = item + (*item == '!'), *name, *one;
	struct setting_list table = { &word, 1 };
	struct bytes        value;
	enum table_outcome  o;

	/* "static:rest" is all that were not named, a token's not. */
	for (size_t n = 0; strncmp(word, "static:", 7) != 0 && table_is_name(word) &&
	                   (name = supplicant_mechanism(n)) != NULL;
	     n++) {
		o = sender_lookup(d, &table, arena_lower(d->life, bytes_of(name)), &value);
		if (o != TABLE_FOUND && o != TABLE_NONE)
			return o;
		one = word == item ? name : arena_printf(d->life, "!%s", name);
		if (o == TABLE_FOUND)
			buffer_add(out, (struct bytes){ (const char *)&one, sizeof one });
	}
	/* Of a table its name stays, which is no mechanism's: a list of nothing else lets none through. */
	buffer_add(out, (struct bytes){ (const char *)&item, sizeof item });
	return TABLE_FOUND;
}

enum table_outcome
sender_mechanisms(struct delivery *d, struct setting_list *out)
{
	struct setting_list list = d->rows->login[d->w.lmtp].mechanisms;
	struct buffer       b = { 0 };
	enum table_outcome  o = TABLE_FOUND;

	tables_patterns(d->house, d->life, &list);
	for (size_t i = 0; i < list.count && o == TABLE_FOUND; i++)
		o = add_mechanisms(d, list.item[i], &b);
	out->count = b.len / sizeof(const char *);
	out->item = (const char *const *)arena_keep(d->life, buffer_bytes(&b)).at;
	/* A file that is empty, or not there, lets none through, too. */
	if (out->count == 0 && d->rows->login[d->w.lmtp].mechanisms.count > 0)
		*out = d->rows->login[d->w.lmtp].mechanisms;
	buffer_free(&b);
	return o;
}

enum table_outcome
sender_lookup_address(struct delivery *d, const struct setting_list *tables, struct bytes address,
                      struct bytes *value, struct bytes *extension)
{
	struct sender_role *s = sender_of(d->house);
	const char         *delimiter = settings_value(d->house->settings, "recipient_delimiter");
	ptrdiff_t           at = bytes_find_last(address, '@');
	struct bytes lower = arena_lower(d->life, address), local, domain, name, none = { NULL, 0 };
	bool         ours, parted;
	enum table_outcome o;

	*extension = none;
	if (at <= 0)
		return TABLE_NONE;
	local = bytes_cut(lower, 0, (size_t)at);
	domain = bytes_cut(lower, (size_t)at + 1, SIZE_MAX);
	ours = bytes_is(domain, s->common.myorigin) ||
	       resolve_lists(&s->mydestination, arena_copy(d->life, domain));
	parted = delimiter != NULL && lookup_split(local, bytes_of(delimiter), &name, extension);
	const struct bytes keys[] = {
		lower,
		parted ? bytes_of(arena_printf(d->life, "%.*s@%.*s", (int)name.len, name.at,
		                               (int)domain.len, domain.at))
		       : none,
		ours ? local : none,
		ours && parted ? name : none,
		bytes_cut(lower, (size_t)at, SIZE_MAX),
	};
	for (size_t i = 0; i < COUNT(keys); i++) {
		o = keys[i].len > 0 ? sender_lookup(d, tables, keys[i], value) : TABLE_NONE;
		if (o == TABLE_FOUND && i % 2 == 0)
			*extension = none;
		if (o != TABLE_NONE)
			return o;
	}
	return TABLE_NONE;
}

/* "4.7.1 text": its status and text, if it is of this class or, of a failure, of the other (postconf(5)). */
static bool
status_read(struct bytes value, struct arena *a, struct sent_recipient *r)
{
	struct bytes text = bytes_trim(value), word = { NULL, 0 };

	if (!bytes_split(&text, ' ', &word) ||
	    !status_is(word, r->result == SENT_DELIVERED ? "2" : "45") || bytes_trim(text).len == 0)
		return false;
	r->result = (uint8_t)(word.at[0] == '2'   ? SENT_DELIVERED
	                      : word.at[0] == '4' ? SENT_LATER
	                                          : SENT_REFUSED);
	r->status = arena_copy(a, word);
	r->text = arena_copy(a, bytes_trim(text));
	return true;
}

/* What cannot be asked about now is not said for good; what is delivered stays so. */
static void
status_unsure(struct delivery *d, struct bytes said, struct sent_recipient *r)
{
	warn_("a delivery status filter cannot be asked about \"%.*s\"", (int)said.len, said.at);
	if (r->result != SENT_REFUSED)
		return;
	r->result = SENT_LATER;
	r->status = "4.3.0";
	r->text = arena_printf(d->life, "the delivery status filter cannot be asked now: %s",
	                       r->text);
}

static void
status_filter(struct delivery *d, struct sent_recipient *r, struct bytes said, enum table_outcome o,
              struct bytes value)
{
	if (o == TABLE_LATER)
		status_unsure(d, said, r);
	if (o == TABLE_FOUND && !status_read(value, d->life, r))
		warn_("a delivery status filter makes \"%.*s\" of \"%.*s\": write a "
		      "status of that class (a failure 4.x.y or 5.x.y) and a text",
		      (int)value.len, value.at, (int)said.len, said.at);
}

bool
sender_results_filter(struct delivery *d)
{
	const struct setting_list *tables = &d->rows->status_filter;
	size_t                     n = tables->count > 0 && !d->probe ? d->w.recipients : 0;
	struct bytes              *said = arena_take_array(d->life, n, sizeof *said);
	struct bytes              *value = arena_take_array(d->life, n, sizeof *value);
	enum table_outcome        *o = arena_take_array(d->life, n, sizeof *o);
	bool                       waits = false;

	/* All that is not known is asked for at once. */
	for (size_t i = 0; i < n; i++) {
		said[i] = bytes_of(
			arena_printf(d->life, "%s %s", d->result[i].status, d->result[i].text));
		o[i] = sender_lookup(d, tables, said[i], &value[i]);
		waits = waits || o[i] == TABLE_WAIT;
	}
	for (size_t i = 0; i < n && !waits; i++)
		status_filter(d, &d->result[i], said[i], o[i], value[i]);
	return !waits;
}

/* Everything that connecting will look up is known, or asked for. */
bool
sender_tables_ready(struct delivery *d, const char *host, const char *address)
{
	const struct sender_settings *r = d->rows;
	struct setting_list           mechanisms;
	struct bytes                  value;
	const char                   *words, *why = NULL;
	unsigned                      offers;

	if (r->login[d->w.lmtp].on && (sender_password(d, host, &value) == TABLE_WAIT ||
	                               sender_mechanisms(d, &mechanisms) == TABLE_WAIT))
		return false;
	words = sender_bind_words(d, &why);
	if (words == NULL && why == NULL)
		return false;
	return sender_discards(d, address, &offers) != TABLE_WAIT &&
	       sender_pix(d, address, &offers) != TABLE_WAIT;
}

void
sender_lookups_drop(struct delivery *d)
{
	for (struct looked *l = d->looked; l != NULL; l = l->next)
		if (!l->done)
			enquiry_drop(sender_of(d->house)->enquiries, &l->enquiry);
	d->looked = NULL;
}

void
sender_tables_open(struct house *h)
{
	struct sender_role      *s = sender_of(h);
	struct proxymap_settings set;

	if (!house_settings(h, &proxymap_setting_table, NULL, &set))
		return;
	if (s->enquiries == NULL)
		s->enquiries = enquiries_open(h, &set);
	enquiries_forget(s->enquiries, &set);
}
