/* tally.c -- what SELECT and STATUS tell of a mailbox, kept so that they need not read its messages (store.h) */
#include "store/foreign.h"

#include "base/journal.h"
#include "store/snapshot.h"

#include <errno.h>

/* A mailbox of fewer messages is read as fast. */
enum { TALLY_VERSION = 1, WORTH_A_TALLY = 1000 };

/* ---- telling ---- */

void
mailbox_facts(struct mailbox *m, struct mailbox_status *out)
{
	mailbox_look(m);
	*out = (struct mailbox_status){
		.messages = mailbox_count(m),
		.uidnext = m->uidnext,
		.uidvalidity = m->uidvalidity,
		.highest_modseq = m->highest,
		.size = m->bytes,
		.id = m->id,
		.account = m->account->id,
		.recent = !m->glanced ? m->rows.count - rows_first_at_least(&m->rows, m->recent)
		          : m->recent < m->uidnext ? m->tally.recent
		                                   : 0,
	};
}

/* Without branches: SELECT waits for it, the first time. */
static void
count_flags(const struct mailbox *m, struct tally *t)
{
	*t = (struct tally){ .highest = m->highest, .count = m->rows.count };
	for (uint32_t i = 0; i < m->rows.count; i++) {
		bool deleted = (m->rows.flags[i] & FLAG_DELETED) != 0;
		t->unseen += (m->rows.flags[i] & FLAG_SEEN) == 0;
		t->deleted += deleted;
		t->deleted_size += deleted ? m->rows.size[i] : 0;
	}
	for (uint32_t i = 0; t->unseen > 0 && t->first_unseen == 0; i++)
		if ((m->rows.flags[i] & FLAG_SEEN) == 0)
			t->first_unseen = i + 1;
}

void
mailbox_status(struct mailbox *m, struct mailbox_status *out)
{
	/* Whatever changes a flag or brings or takes a message has a modseq of its own. */
	if (!m->glanced && (m->tally.highest != m->highest || m->tally.count != m->rows.count))
		count_flags(m, &m->tally);
	mailbox_facts(m, out);
	out->unseen = m->tally.unseen;
	out->deleted = m->tally.deleted;
	out->deleted_size = m->tally.deleted_size;
	out->first_unseen = m->tally.first_unseen;
}

/* ---- keeping ---- */

static void
tally_pack(struct mailbox *m, struct buffer *out)
{
	struct mailbox_status now;

	mailbox_status(m, &now);
	pack_u8(out, TALLY_VERSION);
	pack_u32(out, now.uidnext);
	pack_u32(out, now.messages);
	pack_u32(out, now.unseen);
	pack_u32(out, now.first_unseen);
	pack_u32(out, now.deleted);
	pack_u64(out, now.deleted_size);
	pack_u64(out, now.size);
	pack_u32(out, m->recent);
	pack_u32(out, now.recent);
	pack_u8(out, (uint8_t)m->keywords);
	for (int i = 0; i < m->keywords; i++)
		pack_string(out, m->keyword[i]);
	pack_u32(out, snapshot_sum(m->id, m->highest, buffer_bytes(out)));
}

/* Whether that is kept already. */
static bool
is_kept(const struct mailbox *m)
{
	sqlite3_stmt *s = index_ready(m->account->index, TALLY_AT);
	bool          kept;

	if (s == NULL)
		return true; /* nor can it be */
	(void)sqlite3_bind_int64(s, 1, (int64_t)m->id);
	kept = index_row(m->account->index, s) == 1 &&
	       (uint64_t)sqlite3_column_int64(s, 0) == m->highest;
	(void)sqlite3_reset(s);
	return kept;
}

int
tally_keep(struct mailbox *m)
{
	struct index *x = m->account->index;
	struct buffer data = { 0 };
	sqlite3_stmt *s;
	int           why;

	if (!m->loaded || m->gone || m->damaged || m->folder != NULL || m->unwritten > 0 ||
	    m->rows.count < WORTH_A_TALLY || is_kept(m))
		return 0;
	if ((why = index_begin(x)) != 0)
		return why;
	if ((s = index_ready(x, TALLY_PUT)) == NULL)
		return index_why(x);
	tally_pack(m, &data);
	(void)sqlite3_bind_int64(s, 1, (int64_t)m->id);
	(void)sqlite3_bind_int64(s, 2, (int64_t)m->highest);
	(void)sqlite3_bind_blob64(s, 3, data.at, data.len, SQLITE_STATIC);
	why = index_do(x, s);
	buffer_free(&data);
	return why;
}

void
tallies_keep(struct account *a)
{
	int why = 0;

	if (a->index == NULL || !a->receipts.known || a->refused != 0 || a->failed != 0 ||
	    index_begun(a->index))
		return;
	for (struct mailbox *m = a->mailboxes; m != NULL && why == 0; m = m->next)
		why = tally_keep(m);
	if (index_begun(a->index) && (why != 0 || index_commit(a->index) != 0))
		index_rollback(a->index);
}

/* A keeper that is killed keeps nothing; so who comes after it finds what was so for a while. */
void
tallies_rest(struct account *a)
{
	bool rests = a->swept == a->modseq;

	a->swept = a->modseq;
	if (!rests || a->tallied == a->modseq)
		return;
	a->tallied = a->modseq;
	tallies_keep(a);
}

void
store_parting(struct store *s)
{
	for (struct account *a = s->all; a != NULL; a = a->next) {
		int why = a->refused;

		if (why != 0 || a->failed != 0 || account_change(a) != 0)
			continue;
		if ((why = account_flush(a)) != 0) {
			(void)account_fail(a, why);
			continue;
		}
		for (struct mailbox *m = a->mailboxes; m != NULL && why == 0; m = m->next)
			why = tally_keep(m);
		if (why != 0)
			(void)account_fail(a, why);
	}
}

/* ---- glancing ---- */

static bool
tally_read(struct mailbox *m, struct bytes data)
{
	struct unpack tail, u;
	struct bytes  keyword[KEYWORDS_MOST];
	uint32_t      recent;
	uint8_t       keywords;

	if (data.len < 4)
		return false;
	tail = unpack_of(bytes_cut(data, data.len - 4, 4));
	data.len -= 4;
	u = unpack_of(data);
	if (unpack_u32(&tail) != snapshot_sum(m->id, m->highest, data) ||
	    unpack_u8(&u) != TALLY_VERSION)
		return false;
	m->uidnext = unpack_u32(&u);
	m->tally.highest = m->highest;
	m->tally.count = unpack_u32(&u);
	m->tally.unseen = unpack_u32(&u);
	m->tally.first_unseen = unpack_u32(&u);
	m->tally.deleted = unpack_u32(&u);
	m->tally.deleted_size = unpack_u64(&u);
	m->bytes = unpack_u64(&u);
	recent = unpack_u32(&u);
	m->tally.recent = unpack_u32(&u);
	if ((keywords = unpack_u8(&u)) > KEYWORDS_MOST)
		return false;
	for (int i = 0; i < keywords; i++)
		keyword[i] = unpack_bytes(&u);
	/* A session may have been told of some since. */
	if (m->recent != recent && m->recent < m->uidnext)
		return false;
	if (!unpack_done(&u) || m->uidnext == 0)
		return false;
	for (int i = 0; i < keywords; i++)
		mailbox_keyword_add(m, keyword[i]);
	return true;
}

bool
mailbox_glanced(struct mailbox *m)
{
	struct index *x = m->account->index;
	sqlite3_stmt *s;

	if (m->glanced || m->loaded || m->gone || m->account->place != NULL)
		return m->glanced;
	if ((s = index_ready(x, TALLY_GET)) == NULL)
		return false;
	mailbox_unload(m);
	(void)sqlite3_bind_int64(s, 1, (int64_t)m->id);
	(void)sqlite3_bind_int64(s, 2, (int64_t)m->highest);
	m->glanced = index_row(x, s) == 1 && tally_read(m, index_blob(s, 0));
	(void)sqlite3_reset(s);
	return m->glanced;
}

int
mailbox_wake(struct mailbox *m)
{
	if (m->gone || (!m->loaded && !m->glanced))
		return EBADMSG;
	return mailbox_ready(m);
}
