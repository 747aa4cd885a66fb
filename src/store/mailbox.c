/* mailbox.c -- one mailbox: its rows in memory, its history on disk (store.h) */
#include "store/foreign.h"

#include "base/clock.h"
#include "base/journal.h"
#include "store/digests.h"
#include "store/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { UNWRITTEN_MOST = 1000, SETS_LEAST = 4096 };
/* After a fact that cannot be read nobody knows which uids it gave away. */
enum { UIDS_SKIPPED = 65536 };

/* ---- loading: a snapshot and the facts since ---- */

void
mailbox_unload(struct mailbox *m)
{
	folder_close(m);
	for (int i = 0; i < m->keywords; i++)
		memory_free(m->keyword[i]);
	m->keywords = 0;
	columns_detach(m);
	rows_free(&m->rows);
	m->bytes = 0;
	m->unwritten = 0;
	m->facts = 0;
	m->promised = 0;
	m->kept = 0;
	m->ahead = (struct ahead){ 0 };
	m->tally = (struct tally){ 0 };
	m->loaded = m->glanced = m->damaged = false;
}

void
mailbox_free(struct mailbox *m)
{
	mailbox_unload(m);
	memory_free(m->name);
	memory_free(m);
}

/* The newest snapshot that is whole; *modseq is 0 when history must be read from its beginning. */
static int
read_snapshot(struct mailbox *m, uint64_t *modseq)
{
	struct index *x = m->account->index;
	int64_t       before = INT64_MAX;

	for (;;) {
		struct snapshot shot = { .mailbox = m->id };
		sqlite3_stmt   *s = index_ready(x, SNAPSHOT_BEFORE);
		int             more;

		*modseq = 0;
		if (s == NULL)
			return index_why(x);
		(void)sqlite3_bind_int64(s, 1, (int64_t)m->id);
		(void)sqlite3_bind_int64(s, 2, before);
		if ((more = index_row(x, s)) < 0)
			return index_why(x);
		if (more == 0)
			return 0;
		before = sqlite3_column_int64(s, 0);
		shot.modseq = *modseq = (uint64_t)before;
		if (snapshot_read(index_blob(s, 1), &shot, &m->rows)) {
			m->uidnext = shot.uidnext;
			for (int i = 0; i < shot.keywords; i++)
				mailbox_keyword_add(m, shot.keyword[i]);
			(void)sqlite3_reset(s);
			return 0;
		}
		(void)sqlite3_reset(s);
		warn_("account %" PRIu64 ", mailbox %s: the snapshot of modseq %" PRId64
		      " is damaged; set aside, "
		      "an older one and the history are read instead",
		      m->account->id, m->name, before);
	}
}

static void
replay_flags(struct mailbox *m, const struct fact *f, uint64_t modseq)
{
	uint64_t flags = f->flags | (uint64_t)keysets_name(&m->rows.sets, &f->keywords)
	                                    << KEYWORD_FIRST;

	for (size_t i = 0; i < f->uids.count; i++) {
		uint32_t at = rows_first_at_least(&m->rows, f->uids.range[i].first);
		for (; at < m->rows.count && m->rows.uid[at] <= f->uids.range[i].last; at++) {
			uint64_t now = flags_after(&m->rows.sets, m->rows.flags[at], f->how, flags);
			if (now == m->rows.flags[at])
				continue;
			m->rows.flags[at] = (uint32_t)now;
			m->rows.modseq[at] = modseq;
		}
	}
}

/* Takes all rows out whose uid is in the set. */
static void
take_out(struct rows *r, const struct uid_set *set)
{
	uint32_t to, from;
	size_t   i = 0;

	if (set->count == 0)
		return;
	to = from = rows_first_at_least(r, set->range[0].first);
	for (; from < r->count; from++) {
		while (i < set->count && set->range[i].last < r->uid[from])
			i++;
		if (i < set->count && set->range[i].first <= r->uid[from])
			continue;
		if (to != from)
			rows_move(r, to, from);
		to++;
	}
	r->count = to;
}

static bool
replay(struct mailbox *m, const struct fact_key *key, struct bytes data, struct arena *scratch)
{
	uint32_t    before = m->rows.count;
	struct fact f;

	if (!fact_read(key, data, scratch, &f, &m->rows))
		return false;
	switch (key->kind) {
	case FACT_ARRIVED_NARROW:
	case FACT_ARRIVED:
		if (m->rows.count > before && m->rows.uid[before] < m->uidnext) {
			m->rows.count = before;
			return false;
		}
		if (m->rows.count > before)
			m->uidnext = m->rows.uid[m->rows.count - 1] + 1;
		return true;
	case FACT_FLAGS_NARROW:
	case FACT_FLAGS: replay_flags(m, &f, key->modseq); return true;
	case FACT_EXPUNGED: take_out(&m->rows, &f.uids); return true;
	case FACT_KEYWORD:
		if (f.bit != KEYWORD_FIRST + m->keywords)
			return false;
		mailbox_keyword_add(m, f.name);
		return true;
	default: return true;
	}
}

/* A fact of many messages takes as long to read as many facts. */
static void
weigh_fact(struct mailbox *m, size_t bytes)
{
	m->facts += 1 + (uint32_t)(bytes / FACT_BYTES_LIKE_ONE);
}

static int
read_facts(struct mailbox *m, uint64_t after)
{
	struct index *x = m->account->index;
	sqlite3_stmt *s = index_ready(x, FACT_AFTER);
	struct arena *scratch;
	int           more;

	if (s == NULL)
		return index_why(x);
	(void)sqlite3_bind_int64(s, 1, (int64_t)m->id);
	(void)sqlite3_bind_int64(s, 2, (int64_t)after);
	scratch = arena_open(NULL);
	while ((more = index_row(x, s)) == 1) {
		struct fact_key key = {
			.mailbox = m->id,
			.modseq = (uint64_t)sqlite3_column_int64(s, 0),
			.kind = (enum fact_kind)sqlite3_column_int(s, 1),
			.time = sqlite3_column_int64(s, 2),
		};
		arena_clear(scratch);
		weigh_fact(m, index_blob(s, 3).len);
		if (key.modseq > m->highest)
			m->highest = key.modseq;
		if (replay(m, &key, index_blob(s, 3), scratch))
			continue;
		fault("account %" PRIu64 ", mailbox %s: the change with modseq %" PRIu64
		      " is damaged; set aside",
		      m->account->id, m->name, key.modseq);
		m->damaged = m->account->damaged = true;
		if (m->uidnext < UINT32_MAX - UIDS_SKIPPED)
			m->uidnext += UIDS_SKIPPED;
	}
	arena_close(&scratch);
	return more < 0 ? index_why(x) : 0;
}

static int
load(struct mailbox *m)
{
	uint64_t modseq = 0;
	int      why;

	mailbox_unload(m);
	m->uidnext = 1;
	if ((why = read_snapshot(m, &modseq)) == 0 && modseq < m->forgotten) {
		fault("account %" PRIu64
		      ", mailbox %s: no snapshot is whole and its history begins after modseq %" PRIu64
		      "; refused",
		      m->account->id, m->name, m->forgotten);
		why = EBADMSG;
	}
	if (why == 0)
		why = read_facts(m, modseq);
	if (why != 0)
		return why;
	for (uint32_t i = 0; i < m->rows.count; i++)
		m->bytes += m->rows.size[i];
	m->sets_most = SETS_LEAST + m->rows.sets.count * 2;
	m->loaded = true;
	return m->account->place != NULL ? folder_open(m) : 0;
}

int
mailbox_load(struct mailbox *m)
{
	uint32_t told = m->glanced ? m->uidnext : 0;
	bool     was = m->glanced;
	int      why;

	if (m->loaded)
		return 0;
	if ((why = load(m)) != 0) {
		mailbox_unload(m);
		/* Somebody counts messages that nobody can read now: the counts stay, as far as they were kept. */
		if (was && !mailbox_glanced(m))
			mailbox_tell(m, MAILBOX_LOST, &(struct uid_set){ NULL, 0 }, NULL);
	}
	if (m->uidnext < told)
		m->uidnext = told;
	return why;
}

void
mailbox_drop(struct mailbox **mp)
{
	struct mailbox *m = *mp;
	struct account *a;

	*mp = NULL;
	if (m == NULL)
		return;
	a = m->account;
	m->users--;
	account_drop(&a);
}

/* ---- writing ---- */

/* Arrivals wait in memory until something else happens to the mailbox, or the transaction ends: one fact for all. */
int
mailbox_flush(struct mailbox *m)
{
	struct buffer data = { 0 };
	uint32_t      n = m->unwritten;
	int           why;

	if (n == 0)
		return 0;
	m->unwritten = 0;
	fact_arrived(&data, m->unwritten_from, &m->rows, m->rows.count - n, n);
	weigh_fact(m, data.len);
	why = account_fact(m->account, m->id, m->rows.modseq[m->rows.count - 1], FACT_ARRIVED,
	                   &data);
	buffer_free(&data);
	return why;
}

int
mailbox_snapshot(struct mailbox *m)
{
	struct index   *x = m->account->index;
	struct snapshot shot = { .mailbox = m->id,
		                 .modseq = m->highest,
		                 .uidnext = m->uidnext,
		                 .keywords = m->keywords };
	struct buffer   data = { 0 };
	sqlite3_stmt   *s;
	int             why;

	if ((why = mailbox_flush(m)) != 0)
		return why;
	for (int i = 0; i < m->keywords; i++)
		shot.keyword[i] = bytes_of(m->keyword[i]);
	snapshot_pack(&shot, &m->rows, &data);
	if ((s = index_ready(x, SNAPSHOT_PUT)) == NULL) {
		why = index_why(x);
	} else {
		(void)sqlite3_bind_int64(s, 1, (int64_t)m->id);
		(void)sqlite3_bind_int64(s, 2, (int64_t)m->highest);
		(void)sqlite3_bind_int64(s, 3, clock_wall());
		(void)sqlite3_bind_blob64(s, 4, data.at, data.len, SQLITE_STATIC);
		why = index_do(x, s);
	}
	buffer_free(&data);
	if (why == 0)
		m->facts = 0;
	return why;
}

/* A change other than an arrival begins: the transaction is open and earlier arrivals are in it. */
int
mailbox_change(struct mailbox *m)
{
	int why;

	if (m->gone)
		return ENOENT;
	if ((why = mailbox_ready(m)) != 0 || (why = account_change(m->account)) != 0)
		return why;
	if ((why = mailbox_flush(m)) != 0)
		return account_fail(m->account, why);
	return 0;
}

int
mailbox_put_fact(struct mailbox *m, uint64_t modseq, enum fact_kind kind, struct buffer *data)
{
	int why;

	weigh_fact(m, data->len);
	why = account_fact(m->account, m->id, modseq, kind, data);
	buffer_free(data);
	m->highest = modseq;
	return why == 0 ? 0 : account_fail(m->account, why);
}

/* ---- news ---- */

struct mailbox_watch *
mailbox_watch(struct mailbox *m,
              void (*news)(void *ctx, enum mailbox_news, const struct uid_set *,
                           const struct mailbox_watch *by),
              void *ctx)
{
	struct mailbox_watch *w = memory_take(sizeof *w);

	*w = (struct mailbox_watch){ .mailbox = m, .news = news, .ctx = ctx, .next = m->watches };
	m->watches = w;
	if (m->folder != NULL)
		folder_watch(m);
	store_hurry(m->account->store); /* a reader keeps what it has seen: it shall last */
	return w;
}

void
mailbox_unwatch(struct mailbox_watch **wp)
{
	struct mailbox_watch *w = *wp, **p;

	*wp = NULL;
	if (w == NULL)
		return;
	for (p = &w->mailbox->watches; *p != w; p = &(*p)->next)
		;
	*p = w->next;
	if (w->mailbox->telling == w)
		w->mailbox->telling = w->next;
	memory_free(w);
}

static const enum account_news of_account[] = {
	[MAILBOX_ARRIVED] = ACCOUNT_ARRIVED,
	[MAILBOX_FLAGS] = ACCOUNT_FLAGS,
	[MAILBOX_EXPUNGED] = ACCOUNT_EXPUNGED,
};

/* A watch may go while it, or another, is told. */
void
mailbox_tell(struct mailbox *m, enum mailbox_news what, const struct uid_set *set,
             const struct mailbox_watch *by)
{
	struct mailbox_watch *w = m->watches;

	while (w != NULL) {
		m->telling = w->next;
		w->news(w->ctx, what, set, by);
		w = m->telling;
	}
	if (m->account->watches != NULL && what <= MAILBOX_EXPUNGED)
		account_tell(m->account,
		             &(struct account_event){ .what = of_account[what], .name = m->name });
}

/* Only those who look with these eyes. */
void
mailbox_tell_reader(struct mailbox *m, const struct seen *seen, const struct uid_set *set,
                    const struct mailbox_watch *by)
{
	struct mailbox_watch *w = m->watches;

	while (w != NULL) {
		m->telling = w->next;
		if (w->seen == seen)
			w->news(w->ctx, MAILBOX_FLAGS, set, by);
		w = m->telling;
	}
}

/* ---- looking ---- */

const char *
mailbox_name(const struct mailbox *m)
{
	return m->name;
}

uint64_t
mailbox_id(const struct mailbox *m)
{
	return m->id;
}

struct account *
mailbox_account(const struct mailbox *m)
{
	return m->account;
}

bool
mailbox_gone(const struct mailbox *m)
{
	return m->gone;
}

void
mailbox_look(const struct mailbox *m)
{
	look_at_change(m, m->highest, LOOKED_DEEP);
}

uint32_t
mailbox_count(const struct mailbox *m)
{
	return m->glanced ? m->tally.count : m->rows.count;
}

struct entry
mailbox_entry(struct mailbox *m, uint32_t i)
{
	if (mailbox_ready(m) != 0 || !m->loaded)
		return (struct entry){ .uid = 0 };
	INSIDE(i < m->rows.count);
	look_at_change(m, m->rows.modseq[i], LOOKED_FLAGS);
	return (struct entry){ .uid = m->rows.uid[i],
		               .flags = m->rows.flags[i],
		               .message = m->rows.message[i],
		               .modseq = m->rows.modseq[i],
		               .size = m->rows.size[i],
		               .saved = m->rows.saved[i] };
}

uint32_t
mailbox_first_at_least(struct mailbox *m, uint32_t uid)
{
	(void)mailbox_ready(m);
	return rows_first_at_least(&m->rows, uid);
}

int64_t
mailbox_find(struct mailbox *m, uint32_t uid)
{
	uint32_t i = mailbox_first_at_least(m, uid);

	return i < m->rows.count && m->rows.uid[i] == uid ? (int64_t)i : -1;
}

uint32_t
mailbox_recent(struct mailbox *m, bool claim)
{
	uint32_t      recent = m->recent;
	sqlite3_stmt *s;

	if (!claim || recent == m->uidnext || m->gone || account_change(m->account) != 0)
		return recent;
	/* Lost in a failure, some are \Recent once more: no harm. */
	if ((s = index_ready(m->account->index, MAILBOX_CLAIM)) == NULL)
		return recent;
	(void)sqlite3_bind_int64(s, 1, (int64_t)m->id);
	(void)sqlite3_bind_int64(s, 2, m->uidnext);
	if (index_do(m->account->index, s) == 0)
		m->recent = m->uidnext;
	return recent;
}

int
mailbox_validity(struct mailbox *m, uint32_t uidvalidity)
{
	sqlite3_stmt *s;
	int           why = account_change(m->account);

	if (why != 0)
		return why;
	if ((s = index_ready(m->account->index, MAILBOX_VALIDITY)) == NULL)
		return account_fail(m->account, index_why(m->account->index));
	(void)sqlite3_bind_int64(s, 1, (int64_t)m->id);
	(void)sqlite3_bind_int64(s, 2, uidvalidity);
	if ((why = index_do(m->account->index, s)) != 0)
		return account_fail(m->account, why);
	m->uidvalidity = uidvalidity;
	return 0;
}

/* ---- changes ---- */

/* What a STORE meets on its way: whom it may change, whom it does, whom it leaves alone. */
struct flagging {
	struct uid_list accepted, changed, modified;
	uint64_t        modseq;
};

static void
flag_rows(struct mailbox *m, const struct uid_set *set, enum flags_how how, uint64_t flags,
          uint64_t since, struct flagging *g)
{
	struct rows *r = &m->rows;
	int64_t      last = -2;

	for (size_t k = 0; k < set->count; k++) {
		uint32_t i = rows_first_at_least(r, set->range[k].first);
		for (; i < r->count && r->uid[i] <= set->range[k].last; i++) {
			uint64_t now = flags_after(&r->sets, r->flags[i], how, flags);
			if (r->modseq[i] > since) {
				uid_list_add(&g->modified, r->uid[i], false);
				continue;
			}
			uid_list_add(&g->accepted, r->uid[i], last == (int64_t)i - 1);
			last = i;
			if (now == r->flags[i])
				continue;
			uid_list_add(&g->changed, r->uid[i], false);
			r->flags[i] = (uint32_t)now;
			r->modseq[i] = g->modseq;
		}
	}
}

int
mailbox_flags(struct mailbox *m, const struct uid_set *set, enum flags_how how, uint64_t flags,
              uint64_t unchanged_since, struct arena *arena, struct uid_set *modified,
              const struct mailbox_watch *by)
{
	struct flagging g = { .modseq = m->account->modseq + 1 };
	struct buffer   data = { 0 };
	struct uid_set  accepted, changed;
	struct keyset   keywords;
	int             why;

	if ((why = mailbox_change(m)) != 0)
		return why;
	flag_rows(m, set, how, flags, unchanged_since, &g);
	if (modified != NULL)
		*modified = uid_list_keep(&g.modified, arena);
	if (g.changed.count > 0) {
		accepted = uid_list_set(&g.accepted);
		changed = uid_list_set(&g.changed);
		keywords = keysets_at(&m->rows.sets, (uint32_t)(flags >> KEYWORD_FIRST));
		fact_flags(&data, how, flags, &keywords, &accepted);
		why = mailbox_put_fact(m, account_next_modseq(m->account), FACT_FLAGS, &data);
		if (why == 0 && m->folder != NULL)
			folder_changed(m, &changed);
		if (why == 0)
			mailbox_tell(m, MAILBOX_FLAGS, &changed, by);
	}
	uid_list_free(&g.accepted);
	uid_list_free(&g.changed);
	uid_list_free(&g.modified);
	if (m->rows.sets.count > m->sets_most) {
		rows_tidy(&m->rows);
		m->sets_most = SETS_LEAST + m->rows.sets.count * 2;
	}
	return why;
}

/* Takes these uids out: `joined` is the set as the fact keeps it. */
int
mailbox_remove(struct mailbox *m, const struct uid_list *exact, const struct uid_list *joined,
               uint64_t bytes, const struct mailbox_watch *by)
{
	struct uid_set set = uid_list_set(joined), told = uid_list_set(exact);
	struct buffer  data = { 0 };
	uint32_t       before;
	int            why;

	if (m->folder != NULL && (why = folder_gone(m, &told)) != 0)
		return why;
	fact_expunged(&data, &set);
	if ((why = mailbox_put_fact(m, account_next_modseq(m->account), FACT_EXPUNGED, &data)) != 0)
		return why;
	before = m->rows.count;
	take_out(&m->rows, &told);
	m->bytes -= bytes;
	account_uses(m->account, (int64_t)m->rows.count - before, -(int64_t)bytes);
	mailbox_tell(m, MAILBOX_EXPUNGED, &told, by);
	return 0;
}

int
mailbox_expunge(struct mailbox *m, const struct uid_set *given, bool any, struct arena *arena,
                struct uid_set *gone, const struct mailbox_watch *by)
{
	static const struct uid_range everything = { 1, UINT32_MAX };
	struct uid_set                set = { &everything, 1 };
	struct uid_list               exact = { 0 }, joined = { 0 };
	struct rows                  *r = &m->rows;
	uint64_t                      bytes = 0;
	int64_t                       last = -2;
	int                           why;

	if (given != NULL)
		set = *given;
	if ((why = mailbox_change(m)) != 0)
		return why;
	for (size_t k = 0; k < set.count; k++) {
		uint32_t i = rows_first_at_least(r, set.range[k].first);
		for (; i < r->count && r->uid[i] <= set.range[k].last; i++) {
			if (!any && !(r->flags[i] & FLAG_DELETED))
				continue;
			uid_list_add(&exact, r->uid[i], false);
			uid_list_add(&joined, r->uid[i], last == (int64_t)i - 1);
			last = i;
			bytes += r->size[i];
		}
	}
	if (gone != NULL)
		*gone = uid_list_keep(&exact, arena);
	if (exact.count > 0)
		why = mailbox_remove(m, &exact, &joined, bytes, by);
	uid_list_free(&exact);
	uid_list_free(&joined);
	return why;
}

/* The letter's row is there: because it was delivered before (EEXIST), or because a copy of it came from another
   account before its own delivery did. */
static int
claim_copied(struct account *a, uint64_t letter, uint64_t *size)
{
	sqlite3_stmt  *s = index_ready(a->index, MESSAGE_CLAIM);
	struct arena  *scratch;
	struct message m;
	int            why;

	if (s == NULL)
		return index_why(a->index);
	(void)sqlite3_bind_int64(s, 1, (int64_t)letter);
	if ((why = index_do(a->index, s)) != 0)
		return why;
	if (!index_changed(a->index))
		return EEXIST;
	scratch = arena_open(NULL);
	if ((why = message_read(a, letter, scratch, &m)) == 0)
		*size = m.size;
	arena_close(&scratch);
	return why;
}

void
mailbox_pass_promises(struct mailbox *m)
{
	if (m->promised >= m->uidnext && m->promised < UINT32_MAX)
		m->uidnext = m->promised + 1;
}

/* With this uid and modseq, which nothing in the mailbox has reached yet.  The transaction is begun. */
int
mailbox_arrive_as(struct mailbox *m, const struct arrival *v, uint32_t uid, uint64_t modseq)
{
	struct account *a = m->account;
	uint64_t        size = v->size;
	int             why;

	if (m->unwritten >= UNWRITTEN_MOST && (why = mailbox_flush(m)) != 0)
		return why;
	if ((why = message_put(a->index, v, false)) != 0)
		return why;
	if (!index_changed(a->index) && (why = claim_copied(a, v->letter, &size)) != 0)
		return why;
	text_note(a, v->letter);
	digests_note(a);
	m->highest = modseq;
	if (a->modseq < modseq)
		a->modseq = modseq;
	m->uidnext = uid + 1;
	rows_add(&m->rows, &(struct entry){ uid, v->flags, v->letter, modseq,
	                                    size > UINT32_MAX ? UINT32_MAX : (uint32_t)size,
	                                    (uint32_t)clock_wall() });
	m->bytes += m->rows.size[m->rows.count - 1];
	account_uses(a, 1, m->rows.size[m->rows.count - 1]);
	m->unwritten++;
	return 0;
}

int
mailbox_arrive(struct mailbox *m, const struct arrival *v, uint32_t *uid)
{
	struct account  *a = m->account;
	struct uid_range range;
	struct uid_set   told = { &range, 1 };
	int              why;

	*uid = 0;
	if (m->gone)
		return ENOENT;
	if ((why = mailbox_ready(m)) != 0)
		return why;
	if (m->folder != NULL && !is_foreign(v->letter))
		return folder_arrive(m, v, uid);
	if (v->letter == 0 || v->letter > INT64_MAX)
		return EINVAL;
	mailbox_pass_promises(m);
	if (m->uidnext == UINT32_MAX)
		return EDQUOT;
	if ((why = store_room(a->store)) != 0 || (why = account_change(a)) != 0)
		return why;
	if ((why = mailbox_arrive_as(m, v, m->uidnext, a->modseq + 1)) != 0)
		return why == EEXIST ? EEXIST : account_fail(a, why);
	*uid = m->uidnext - 1;
	if (m->watches != NULL || a->watches != NULL)
		store_hurry(a->store);
	range = (struct uid_range){ *uid, *uid };
	mailbox_tell(m, MAILBOX_ARRIVED, &told, NULL);
	return 0;
}

/* ---- history ---- */

static int
by_first(const void *one, const void *other)
{
	const struct uid_range *a = one, *b = other;

	return a->first < b->first ? -1 : a->first > b->first;
}

/* What the facts say was taken out after `since`; uids are never used twice, so the sets are disjoint but for
   uids that were joined over. */
bool
mailbox_vanished(struct mailbox *m, uint64_t since, struct arena *arena, struct uid_set *gone)
{
	struct index     *x = m->account->index;
	struct uid_list   all = { 0 };
	struct uid_range *range;
	sqlite3_stmt     *s;
	size_t            n = 0;
	int               more;

	*gone = (struct uid_set){ NULL, 0 };
	mailbox_look(m);
	if (since < m->forgotten || (s = index_ready(x, FACT_AFTER)) == NULL)
		return false;
	(void)sqlite3_bind_int64(s, 1, (int64_t)m->id);
	(void)sqlite3_bind_int64(s, 2, (int64_t)since);
	while ((more = index_row(x, s)) == 1) {
		struct fact_key key = {
			.mailbox = m->id,
			.modseq = (uint64_t)sqlite3_column_int64(s, 0),
			.kind = (enum fact_kind)sqlite3_column_int(s, 1),
			.time = sqlite3_column_int64(s, 2),
		};
		struct fact f;
		if (key.kind != FACT_EXPUNGED)
			continue;
		if (!fact_read(&key, index_blob(s, 3), arena, &f, NULL))
			break;
		for (size_t i = 0; i < f.uids.count; i++) {
			uid_list_add(&all, f.uids.range[i].first, false);
			all.range[all.count - 1].last = f.uids.range[i].last;
		}
	}
	(void)sqlite3_reset(s);
	if (all.count > 0)
		qsort(all.range, all.count, sizeof *all.range, by_first);
	range = arena_take_array(arena, all.count + 1, sizeof *range);
	for (size_t i = 0; i < all.count; i++) {
		if (n > 0 && all.range[i].first <= range[n - 1].last + 1) {
			if (all.range[i].last > range[n - 1].last)
				range[n - 1].last = all.range[i].last;
		} else {
			range[n++] = all.range[i];
		}
	}
	uid_list_free(&all);
	*gone = (struct uid_set){ range, n };
	return more == 0;
}

void
mailbox_changed(struct mailbox *m, uint64_t since, struct arena *arena, struct uid_set *out)
{
	const struct rows *r = &m->rows;
	struct uid_list    all = { 0 };
	int64_t            last = -2;

	mailbox_look(m);
	(void)mailbox_ready(m);
	for (uint32_t i = 0; since < m->highest && i < r->count; i++) {
		if (r->modseq[i] <= since)
			continue;
		uid_list_add(&all, r->uid[i], last == (int64_t)i - 1);
		last = i;
	}
	*out = uid_list_keep(&all, arena);
	uid_list_free(&all);
}
