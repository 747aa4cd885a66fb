#include "store/metadata.h"

#include "store/inside.h"

#include <errno.h>
#include <string.h>

int
metadata_each(struct account *a, uint64_t mailbox, uint64_t reader,
              void (*each)(void *ctx, const struct metadata *), void *ctx)
{
	sqlite3_stmt *s;
	int           more;

	if (a->refused != 0)
		return a->refused;
	if ((s = index_ready(a->index, METADATA_EACH)) == NULL)
		return index_why(a->index);
	(void)sqlite3_bind_int64(s, 1, (int64_t)mailbox);
	(void)sqlite3_bind_int64(s, 2, (int64_t)reader);
	while ((more = index_row(a->index, s)) == 1) {
		struct metadata m = { index_blob(s, 0), index_blob(s, 1) };
		each(ctx, &m);
	}
	return more < 0 ? index_why(a->index) : 0;
}

static int
put_one(struct account *a, uint64_t mailbox, uint64_t reader, const struct metadata *m)
{
	enum statement which = m->value.at != NULL ? METADATA_PUT : METADATA_DELETE;
	sqlite3_stmt  *s = index_ready(a->index, which);

	if (s == NULL)
		return index_why(a->index);
	(void)sqlite3_bind_int64(s, 1, (int64_t)mailbox);
	(void)sqlite3_bind_int64(s, 2, (int64_t)reader);
	(void)sqlite3_bind_text64(s, 3, m->entry.at, m->entry.len, SQLITE_STATIC, SQLITE_UTF8);
	if (m->value.at != NULL)
		(void)sqlite3_bind_blob64(s, 4, m->value.at, m->value.len, SQLITE_STATIC);
	return index_do(a->index, s);
}

/* What is there now, and what will be: one that is new counts, one that goes does not. */
struct count {
	const struct metadata *set;
	size_t                 sets, left;
	bool                   shared;
};

static void
count_one(void *ctx, const struct metadata *there)
{
	struct count *c = ctx;

	if (bytes_starts(there->entry, BYTES("/shared")) != c->shared)
		return;
	for (size_t i = 0; i < c->sets; i++)
		if (bytes_equal(c->set[i].entry, there->entry))
			return; /* counted among the new, if it stays */
	c->left++;
}

int
metadata_room(struct account *a, uint64_t mailbox, uint64_t reader, const struct metadata *set,
              size_t count)
{
	struct count c = { .set = set, .sets = count, .shared = reader == 0 };
	size_t       more = 0;
	int          why;

	for (size_t i = 0; i < count; i++)
		more += set[i].value.at != NULL;
	if ((why = metadata_each(a, mailbox, reader, count_one, &c)) != 0)
		return why;
	return more > 0 && c.left + more > METADATA_MOST ? EDQUOT : 0;
}

static void
tell(struct account *a, uint64_t mailbox, uint64_t reader, const struct metadata *set, size_t count)
{
	const struct mailbox *m = a->mailboxes;

	while (m != NULL && m->id != mailbox)
		m = m->next;
	for (size_t i = 0; i < count && (mailbox == 0 || m != NULL); i++)
		account_tell(a, &(struct account_event){ .what = ACCOUNT_METADATA,
		                                         .name = mailbox == 0 ? "" : m->name,
		                                         .entry = set[i].entry,
		                                         .reader = reader });
}

int
metadata_set(struct account *a, uint64_t mailbox, uint64_t reader, const struct metadata *set,
             size_t count, size_t most)
{
	bool more = false;
	int  why;

	for (size_t i = 0; i < count; i++) {
		if (set[i].entry.len > METADATA_ENTRY_MOST)
			return EINVAL;
		if (set[i].value.at != NULL && set[i].value.len > most)
			return EMSGSIZE;
		more |= set[i].value.at != NULL;
	}
	if ((why = metadata_room(a, mailbox, reader, set, count)) != 0)
		return why;
	if ((more && (why = store_room(a->store)) != 0) || (why = account_change(a)) != 0)
		return why;
	for (size_t i = 0; i < count && why == 0; i++)
		why = put_one(a, mailbox, reader, &set[i]);
	if (why != 0)
		return account_fail(a, why);
	tell(a, mailbox, reader, set, count);
	return 0;
}
