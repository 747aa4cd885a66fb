/* receipts.c -- what APPEND promised in the letter log, and how the index comes to it (store.h)
 *
 * The envelope of an appended letter may carry a receipt: account, mailbox, uid, modseq, flags, date.  Once it is durable
 * the client hears OK; the index is written some milliseconds later, as after a delivery.  In the index stands how far
 * receipts are in it, as (segment, envelope) in `meta`: it is written in the transaction that brings the arrivals.
 *
 *   index says      receipt in that segment      then
 *   none            -                            APPEND waits for the index; the first of a segment makes it say so
 *   (S, at)         up to `at`                   it has come, or never will
 *   (S, at)         behind `at`                  it is brought when the account is opened, before anybody sees it
 *
 * Receipts are given only for letters that go to S, and only once (S, at) is durable; a receipt that was overtaken (its
 * uid, modseq or place is not the highest any more when it is safe) is not relied on: its APPEND waits for the index.
 * So all receipts that were relied on, and are not in the index, lie behind `at` in S.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/journal.h"
#include "message/envelope.h"
#include "spool/disk.h"
#include "store/foreign.h"

#define RECEIPTS "receipts"
/* An appended letter's envelope has no recipients; its digest is bounded. */
#define ENVELOPE_MOST ((uint64_t)256 << 20)

/* ---- promising ---------------------------------------------------------------- */

bool
mailbox_promise(struct mailbox *m, uint32_t segment, struct receipt *out)
{
	struct account        *a = m->account;
	const struct receipts *r = &a->receipts;

	if (m->gone || m->folder != NULL || a->place != NULL || a->refused != 0)
		return false;
	a->receipts.wanted = segment;
	if (r->durable != segment || r->segment != segment || m->uidnext >= UINT32_MAX - 1)
		return false;
	if (m->promised < m->uidnext)
		m->promised = m->uidnext;
	else if (m->promised < UINT32_MAX - 1)
		m->promised++;
	else
		return false;
	*out = (struct receipt){ .account = a->id,
		                 .mailbox = m->id,
		                 .modseq = account_next_modseq(a),
		                 .uidvalidity = m->uidvalidity,
		                 .uid = m->promised };
	return true;
}

/* Everything in its segment up to this envelope has come, or never will. */
static void
pass(struct account *a, const struct letter_place *place)
{
	struct receipts *r = &a->receipts;

	if (place->envelope_segment == r->segment && place->envelope_at > r->at) {
		r->at = place->envelope_at;
		r->changed = true;
	} else if (place->envelope_segment == r->wanted && r->segment != r->wanted) {
		r->segment = r->wanted;
		r->at = place->envelope_at;
		r->changed = true;
	}
}

/* Is it as its receipt says, with nothing behind it? */
static bool
holds(const struct mailbox *m, const struct receipt *receipt, const struct letter_place *place)
{
	const struct receipts *r = &m->account->receipts;

	return m->uidvalidity == receipt->uidvalidity && m->uidnext <= receipt->uid &&
	       m->highest < receipt->modseq && place->envelope_segment == r->durable &&
	       place->envelope_segment == r->segment && place->envelope_at > r->at;
}

int
mailbox_append(struct mailbox *m, const struct arrival *v, const struct receipt *receipt,
               uint32_t *uid, bool *kept)
{
	struct account  *a = m->account;
	struct uid_range range;
	struct uid_set   told = { &range, 1 };
	bool             all_kept; /* of what happened before it */
	int              why = m->gone ? 0 : mailbox_ready(m);

	if (why != 0)
		return why;
	*kept = receipt != NULL && !m->gone && holds(m, receipt, &v->place);
	if (!*kept) {
		why = mailbox_arrive(m, v, uid);
		if (why == 0 && m->folder == NULL)
			pass(a, &v->place);
		return why;
	}
	*uid = 0;
	all_kept = m->highest <= a->safe || m->highest <= m->kept;
	if ((why = account_change(a)) != 0)
		return why;
	if ((why = mailbox_arrive_as(m, v, receipt->uid, receipt->modseq)) != 0)
		return account_fail(a, why);
	if (all_kept)
		m->kept = receipt->modseq;
	pass(a, &v->place);
	*uid = receipt->uid;
	if (m->watches != NULL || a->watches != NULL)
		store_hurry(a->store);
	range = (struct uid_range){ *uid, *uid };
	mailbox_tell(m, MAILBOX_ARRIVED, &told, NULL);
	return 0;
}

int
account_refuses(struct account *a, const struct letter_place *place)
{
	int why = account_change(a);

	if (why == 0)
		pass(a, place);
	return why;
}

/* ---- the index ------------------------------------------------------------------- */

int
receipts_flush(struct account *a)
{
	struct receipts *r = &a->receipts;
	int              why;

	if (!r->changed)
		return 0;
	why = account_meta_put(a, RECEIPTS, (uint64_t)r->segment << 32 | r->at);
	r->changed = false;
	r->committed = r->segment;
	return why;
}

void
receipts_durable(struct account *a)
{
	a->receipts.durable = a->receipts.committed;
}

/* Nothing is left to be brought; should this be lost, they are only looked for once more. */
void
receipts_close(struct account *a)
{
	if (a->index == NULL || !a->receipts.known || a->receipts.segment == 0 || a->refused != 0 ||
	    a->failed != 0 || index_begun(a->index) || index_begin(a->index) != 0)
		return;
	if (account_meta_put(a, RECEIPTS, 0) != 0 || index_commit(a->index) != 0)
		index_rollback(a->index);
}

/* ---- bringing what is not there ---------------------------------------------------- */

/* Only what is whole is looked at: behind the first record of an open segment that is not, nothing was promised. */
struct replay {
	struct account *account;
	struct arena   *scratch;
	int             fd;
	uint32_t        segment;
	uint64_t        from; /* this one and those before are in the index   */
	uint32_t        brought;
	int             why;
};

static bool
is_there(struct account *a, uint64_t letter, int *why)
{
	sqlite3_stmt *s = index_ready(a->index, MESSAGE_LIVES);
	int           more;

	if (s == NULL) {
		*why = index_why(a->index);
		return false;
	}
	(void)sqlite3_bind_int64(s, 1, (int64_t)letter);
	more = index_row(a->index, s);
	(void)sqlite3_reset(s);
	if (more < 0)
		*why = index_why(a->index);
	return more == 1;
}

static struct mailbox *
mailbox_of(const struct account *a, const struct receipt *r)
{
	for (struct mailbox *m = a->mailboxes; m != NULL; m = m->next)
		if (m->id == r->mailbox)
			return !m->gone && m->uidvalidity == r->uidvalidity ? m : NULL;
	return NULL;
}

/* Receipts are given for letters of sessions, that lie beside their envelope: no other says where a letter is. */
static bool
is_ours(const struct replay *b, const struct record *at, const struct envelope *e)
{
	char          header[RECORD_HEADER];
	struct record content;
	uint64_t      from = letter_offset(e->letter);

	return e->letter == at->letter && e->receipt.account == b->account->id &&
	       (e->flags & ENVELOPE_APPENDED) != 0 && letter_segment(e->letter) == b->segment &&
	       from < at->at && disk_read(b->fd, header, sizeof header, from) == 0 &&
	       record_header_read(header, &content, NULL) && content.type == RECORD_CONTENT &&
	       content.letter == e->letter && content.body_len == e->content_len;
}

/* The letter arrives as was promised; where that uid is taken meanwhile nobody was told of it. */
static int
bring(struct replay *b, const struct record *at, const struct envelope *e, const struct digest *d)
{
	struct account       *a = b->account;
	const struct receipt *r = &e->receipt;
	struct mailbox       *m = mailbox_of(a, r);
	struct arrival        v = {
		       .letter = e->letter,
		       .place = { .content_segment = letter_segment(e->letter),
		                  .content_at = letter_offset(e->letter) + RECORD_HEADER,
		                  .content_len = e->content_len,
		                  .envelope_segment = b->segment,
		                  .envelope_at = at->at },
		       .size = e->content_len,
		       .internal_date = r->date,
		       .zone = r->zone,
		       .sent_date = d->sent,
		       .flags = r->flags & ((1U << KEYWORD_FIRST) - 1),
	};
	uint64_t modseq;
	uint32_t uid;
	int      why;

	if (m == NULL)
		return 0; /* it was deleted since */
	if ((why = mailbox_load(m)) != 0 || (why = index_begin(a->index)) != 0)
		return why;
	uid = r->uid > m->uidnext ? r->uid : m->uidnext;
	modseq = r->modseq > m->highest ? r->modseq : account_next_modseq(a);
	if (uid >= UINT32_MAX - 1)
		return EDQUOT;
	b->brought++;
	return mailbox_arrive_as(m, &v, uid, modseq);
}

static bool
look_at(void *ctx, const struct record *record)
{
	struct replay  *b = ctx;
	struct bytes    packed;
	struct envelope e;
	struct digest   d;

	if (record->type != RECORD_ENVELOPE || record->at <= b->from)
		return true;
	arena_clear(b->scratch);
	if (record_read(b->fd, record->at, RECORD_ENVELOPE, record->letter, b->scratch,
	                ENVELOPE_MOST, &packed) == NULL ||
	    !envelope_unpack(packed, b->scratch, &e) || !is_ours(b, record, &e) ||
	    !digest_view(e.digest, &d) || is_there(b->account, e.letter, &b->why))
		return b->why == 0;
	if (b->why == 0)
		b->why = bring(b, record, &e, &d);
	return b->why == 0;
}

/* What was found becomes part of the index, durably. */
static int
settle(struct replay *b)
{
	struct account *a = b->account;
	int             why = disk_sync(b->fd);

	if (why == 0)
		why = account_flush(a);
	if (why == 0)
		why = index_commit(a->index);
	if (why == 0)
		why = disk_sync(index_wal(a->index));
	note("account %llu: %u letters that were appended before an unforeseen end came to its index from segment %08x",
	     (unsigned long long)a->id, b->brought, b->segment);
	return why;
}

int
receipts_replay(struct account *a)
{
	struct replay b = { .account = a };
	uint64_t      place = 0, good;

	a->receipts = (struct receipts){ 0 };
	b.why = account_meta_get(a, RECEIPTS, &place);
	if (b.why == ENOENT)
		b.why = 0;
	b.segment = (uint32_t)(place >> 32);
	b.from = place & UINT32_MAX;
	if (b.segment == 0 || b.why != 0) {
		a->receipts.known = b.why == 0;
		return b.why;
	}
	/* A segment that is gone was compacted, and whoever did so had asked what this account has in it. */
	b.fd = letters_fd(a->store->letters, b.segment);
	if (b.fd < 0 && errno != ENOENT && errno != EBADMSG)
		return errno;
	if (b.fd >= 0 && (b.fd = fcntl(b.fd, F_DUPFD_CLOEXEC, 0)) < 0)
		return errno;
	if (b.fd >= 0) {
		b.scratch = arena_open(NULL);
		if (segment_scan(b.fd, b.from, true, look_at, NULL, &b, &good) ==
		            SEGMENT_END_UNREAD &&
		    b.why == 0)
			b.why = EIO;
		if (b.why == 0 && b.brought > 0)
			b.why = settle(&b);
		if (b.why != 0)
			index_rollback(a->index);
		arena_close(&b.scratch);
		(void)close(b.fd);
	}
	a->receipts.known = b.why == 0;
	a->receipts.segment = b.why == 0 ? b.segment : 0;
	a->receipts.at = b.from;
	return b.why;
}

#undef RECEIPTS
#undef ENVELOPE_MOST
