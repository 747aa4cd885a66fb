#include "message/imap-envelope.h"

#include "message/address.h"
#include "message/nstring.h"

static struct bytes
or_nil(struct bytes b)
{
	return b.len > 0 ? b : (struct bytes){ NULL, 0 };
}

/* address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"
   A NIL host marks a group, so an address without a domain has an empty one;
   a NIL mailbox marks the group's end. */
static void
address_write(const struct mailbox *m, struct buffer *out)
{
	if (m->group_end) {
		buffer_add(out, BYTES("(NIL NIL NIL NIL)"));
		return;
	}
	buffer_add_char(out, '(');
	nstring_write(or_nil(m->name), out);
	buffer_add_char(out, ' ');
	nstring_write(or_nil(m->route), out);
	buffer_add_char(out, ' ');
	nstring_write(m->local, out);
	if (m->group_start) {
		buffer_add(out, BYTES(" NIL)"));
		return;
	}
	buffer_add_char(out, ' ');
	nstring_write(m->domain, out);
	buffer_add_char(out, ')');
}

/* env-from = "(" 1*address ")" / nil and its sisters.  False when it is nil,
   and then nothing is written. */
static bool
addresses_write(struct bytes field, size_t *addresses, struct arena *scratch, struct buffer *out)
{
	struct mailboxes r = mailboxes_of(field, scratch);
	struct mailbox   m;
	bool             any = false;

	while ((*addresses > 0 || r.in_group) && mailboxes_next(&r, &m)) {
		if (*addresses == 0) {
			r.at = r.end; /* only the end of the group is still told */
			if (!m.group_end)
				continue;
		} else {
			--*addresses;
		}
		if (!any)
			buffer_add_char(out, '(');
		any = true;
		address_write(&m, out);
	}
	if (any)
		buffer_add_char(out, ')');
	return any;
}

static void
text_write(struct bytes value, struct arena *scratch, struct buffer *out)
{
	if (value.at != NULL)
		value = field_unfold(scratch, value);
	nstring_write(value, out);
}

void
imap_envelope_write(const struct mime_letter *l, size_t *addresses, struct arena *scratch,
                    struct buffer *out)
{
	size_t from, from_len;

	buffer_add_char(out, '(');
	text_write(l->field[FIELD_DATE], scratch, out);
	buffer_add_char(out, ' ');
	text_write(l->field[FIELD_SUBJECT], scratch, out);
	buffer_add_char(out, ' ');
	from = out->len;
	if (!addresses_write(l->field[FIELD_FROM], addresses, scratch, out))
		buffer_add(out, BYTES("NIL"));
	from_len = out->len - from;
	for (unsigned i = FIELD_SENDER; i <= FIELD_BCC; i++) {
		buffer_add_char(out, ' ');
		if (addresses_write(l->field[i], addresses, scratch, out))
			continue;
		if (i > FIELD_REPLY_TO) {
			buffer_add(out, BYTES("NIL"));
		} else { /* absent or empty: that of from */
			(void)buffer_room(out, from_len);
			buffer_add(out, (struct bytes){ out->at + from, from_len });
		}
	}
	buffer_add_char(out, ' ');
	text_write(l->field[FIELD_IN_REPLY_TO], scratch, out);
	buffer_add_char(out, ' ');
	text_write(l->field[FIELD_MESSAGE_ID], scratch, out);
	buffer_add_char(out, ')');
}
