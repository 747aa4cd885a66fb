#include "access/imap/objectid.h"

#include "base/map.h"

void
objectid_mailbox(struct buffer *out, uint64_t account, uint64_t mailbox)
{
	buffer_printf(out, "F%llu-%llu", (unsigned long long)account, (unsigned long long)mailbox);
}

void
objectid_email(struct buffer *out, const struct message *m)
{
	buffer_printf(out, "M%010llX", (unsigned long long)m->email);
	if (m->mark != 0)
		buffer_printf(out, "-%08X", m->mark);
}

static struct bytes
root_of(const struct digest *d)
{
	struct bytes references = d->references, first;

	while (bytes_split(&references, ' ', &first))
		if (first.len > 0)
			return first;
	return d->message_id;
}

/* A key that is the same for ever: nobody gains by two threads that look like one. */
void
objectid_thread(struct buffer *out, const struct letter *l)
{
	static const uint64_t key[2] = { 0x4d616e73696f2074, 0x6872656164206964 };
	struct bytes          root = root_of(&l->digest);

	if (root.len == 0)
		root = map_number(&l->message.email);
	buffer_printf(out, "T%016llX", (unsigned long long)hash_with(key, root));
}
