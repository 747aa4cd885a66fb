/*
 * queue-spool -- segments are lent to those who write letters, and taken back; after a
 * crash every letter that nobody told us of is found by reading them
 */
#include "base/clock.h"
#include "message/envelope.h"
#include "role/queue.h"
#include "spool/disk.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* Segments of a writer that died are looked at so often, those nobody wrote down so many times. */
enum { LOAD_EACH_TURN = 400, LOAD_LATER_MS = 20, ORPHANS_AGAIN_MS = 20, ORPHAN_LOOKS = 25 };

/* ---- letters that are found ------------------------------------------------------ */

/* An envelope in the log: if it has recipients its letter is ours.  What lies up to the mark
   was heard of before: it is in the queue, or finished. */
static void
letter_found(void *house, const struct spool_found *f)
{
	struct house            *h = house;
	struct queue_role       *k = queue_of(h);
	struct arena            *scratch;
	struct letter_recipient *to;
	struct envelope          e;
	struct bytes             packed;
	int                      why;

	if (f->envelope_at <= ledger_mark(k->ledger, f->envelope_segment))
		return;
	scratch = arena_open(NULL);
	why = letters_envelope(spool_letters(k->spool), f->envelope_segment, f->envelope_at,
	                       f->letter, scratch, &packed);

	if (why != 0 || !envelope_unpack(packed, scratch, &e)) {
		warn_("segment %08" PRIx32 " at %" PRIu64 ": an envelope cannot be read: %s",
		      f->envelope_segment, f->envelope_at, strerror(why != 0 ? why : EBADMSG));
		k->unread = k->unread || (why != 0 && why != EBADMSG);
		goto out;
	}
	if (e.recipients == 0 || (e.flags & ENVELOPE_APPENDED) != 0)
		goto out;
	to = arena_take_array(scratch, e.recipients, sizeof *to);
	for (uint32_t i = 0; i < e.recipients; i++)
		to[i] = (struct letter_recipient){ e.recipient[i].address, e.recipient[i].orcpt,
			                           e.recipient[i].notify };
	(void)queue_letter_enter(h, &(struct word_letter){
					    .letter = f->letter,
					    .envelope_segment = f->envelope_segment,
					    .envelope_at = f->envelope_at,
					    .content_len = e.content_len,
					    .arrived_us = e.arrived_us,
					    .flags = e.flags,
					    .sender = e.sender,
					    .client = e.client,
					    .handling = e.handling,
					    .recipient = to,
					    .recipients = e.recipients,
				    });
out:
	arena_close(&scratch);
}

struct scanning {
	struct house *house;
	uint32_t      segment;
	uint64_t      last;
};

static bool
record_seen(void *ctx, const struct record *r)
{
	struct scanning *s = ctx;

	if (r->type != RECORD_ENVELOPE || !r->whole)
		return true;
	letter_found(s->house, &(struct spool_found){ .letter = r->letter,
	                                              .envelope_segment = s->segment,
	                                              .envelope_at = r->at });
	s->last = r->at;
	return true;
}

static void
record_damaged(void *ctx, uint64_t at, const char *why)
{
	const struct scanning *s = ctx;

	fault("segment %08" PRIx32 " at %" PRIu64 ": %s; what can be read is served", s->segment,
	      at, why);
}

/* Copies made by compaction are of letters that were heard of long ago: the queue's own are in the
   ledger since before the old segment went. */
static bool
is_compaction(int fd)
{
	char                 head[SEGMENT_HEADER];
	struct segment_title title;

	return pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head &&
	       segment_title_read(head, &title) && title.purpose == SEGMENT_COMPACTION;
}

/* One segment from where the ledger says it was heard.  Of one that lives what was read is made to last before anybody
   delivers it: its writer's sync may be still to come.  What the disk does not give is looked for at the next start. */
static void
segment_read(struct house *h, const struct spool_segment *row)
{
	struct queue_role *k = queue_of(h);
	struct scanning    s = { h, row->number, 0 };
	uint64_t           mark = ledger_mark(k->ledger, row->number), good;
	enum segment_end   end;
	int                fd, why = 0;

	if (mark == SEGMENT_WHOLE)
		return;
	fd = letters_fd(spool_letters(k->spool), row->number);
	if (fd < 0) {
		fault("segment %08" PRIx32 ": %s", row->number, strerror(errno));
		return;
	}
	if (is_compaction(fd)) {
		ledger_mark_set(k->ledger, row->number, SEGMENT_WHOLE);
		return;
	}
	/* letter_found() reads through the same set of descriptors. */
	fd = dup(fd);
	if (fd < 0)
		return;
	k->unread = false;
	end = segment_scan(fd, mark, true, record_seen, record_damaged, &s, &good);
	if (row->state == SEGMENT_OPEN && s.last > 0 && (why = disk_sync(fd)) != 0)
		fault("segment %08" PRIx32 ": cannot be synced: %s", row->number, strerror(why));
	if (k->unread || end == SEGMENT_END_UNREAD)
		; /* from the same mark again */
	else if (end == SEGMENT_END_SEALED || row->state == SEGMENT_SEALED)
		ledger_mark_set(k->ledger, row->number, SEGMENT_WHOLE);
	else if (s.last > 0)
		ledger_mark_set(k->ledger, row->number, s.last);
	close(fd);
}

void
queue_spool_recover(struct house *h)
{
	struct queue_role   *k = queue_of(h);
	struct spool_segment row;
	size_t               before = queue_count(k->queue);

	for (size_t i = 0; spool_segment_at(k->spool, i, &row); i++)
		if (row.state == SEGMENT_OPEN || row.state == SEGMENT_SEALED)
			segment_read(h, &row);
	if (queue_count(k->queue) > before)
		note("statistics: %zu letters found in the log that the ledger did not know",
		     queue_count(k->queue) - before);
	(void)ledger_checkpoint(k->ledger, k->queue, SIZE_MAX);
	k->began_ms = clock_patient_ms();
}

static bool
is_known(void *queue, uint64_t letter)
{
	return queue_find(queue, letter) != NULL;
}

void
queue_loaded(struct house *h)
{
	queue_of(h)->load_hurry = false;
	sent_keep(queue_of(h)->sent, is_known, queue_of(h)->queue);
	queue_flush_again(h);
}

/* Of very many letters the first are tried while the rest is read; and where these are enough for now, it takes its time. */
void
queue_load_more(void *house)
{
	struct house      *h = house;
	struct queue_role *k = queue_of(h);
	long               n = ledger_load(k->ledger, k->queue, LOAD_EACH_TURN);

	k->loading = n == LOAD_EACH_TURN;
	if (n < 0)
		panic("what is in the queue cannot be known");
	queue_pump(h);
	if (k->loading)
		timer_set(k->loads, queue_has_enough(k) && !k->load_hurry ? LOAD_LATER_MS : 0);
	else
		queue_loaded(h);
}

bool
queue_spool_open(struct house *h)
{
	struct queue_role *k = queue_of(h);
	struct buffer      errors = { 0 };
	const char        *gid = house_resource_text(h, "letters-gid");
	int      dir = open(house_path(h, "spool/letters"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t group = 0;
	bool     shared = gid != NULL && bytes_number(bytes_of(gid), &group);

	if (dir < 0) {
		fault("%s: %s", house_path(h, "spool/letters"), strerror(errno));
		return false;
	}
	k->spool = spool_open(dir, (uint64_t)k->common.spool_segment_size,
	                      (uint64_t)k->common.queue_minfree, 0640, shared ? (int)group : -1,
	                      &errors);
	if (errors.len > 0)
		fault("%.*s", (int)errors.len, errors.at);
	buffer_free(&errors);
	return k->spool != NULL;
}

/* ---- lending --------------------------------------------------------------------------- */

static void
prepare_run(void *spool)
{
	spool_prepare(spool);
}

/* The job's context is the spool; the house is found through this. */
static struct house *preparing_for;

static void
prepare_done(void *spool)
{
	(void)spool;
	queue_of(preparing_for)->preparing = false;
}

/* A spare segment is made ready in the thread pool, so lending is quick. */
void
queue_prepare(struct house *h)
{
	struct queue_role *k = queue_of(h);

	if (k->preparing || h->leaving)
		return;
	k->preparing = true;
	preparing_for = h;
	loop_job(h->loop, prepare_run, prepare_done, k->spool);
}

static void *
borrower(enum role role, uint32_t index)
{
	return (void *)(((uintptr_t)index << 8) | (uintptr_t)role);
}

bool
hear_segment_want(struct house *h, enum role role, uint32_t index, struct bytes body)
{
	struct queue_role  *k = queue_of(h);
	struct link        *l = house_link(h, role, index);
	struct word_segment w;
	uint64_t            room, key;
	uint32_t            number;
	int                 fd;

	arena_clear(k->scratch);
	if (!word_unpack_segment(body, k->scratch, &w))
		return false;
	if (l == NULL)
		return true;
	/* Offsets of letters have 32 bits. */
	fd = w.size < UINT32_MAX / 2 ? spool_lend(k->spool, w.own, w.size, &number, &room)
	                             : (errno = EFBIG, -1);
	if (fd < 0) {
		w.why = errno;
		warn_("no segment can be lent to %s %" PRIu32 ": %s", role_names[role], index,
		      strerror(w.why));
		word_pack_segment(link_begin(l, WORD_SEGMENT_REFUSED, 0), &w);
		link_end(l);
		return true;
	}
	key = number;
	(void)map_put(k->lent, map_number(&key), borrower(role, index));
	word_pack_segment(link_begin(l, WORD_SEGMENT_LENT, 0),
	                  &(struct word_segment){ .number = number, .size = room, .own = w.own });
	link_end_fd(l, fd);
	close(fd);
	if (!w.own)
		queue_prepare(h);
	return true;
}

static enum segment_state
state_of(const struct queue_role *k, uint32_t number)
{
	struct spool_segment row;

	for (size_t i = 0; spool_segment_at(k->spool, i, &row); i++)
		if (row.number == number)
			return row.state;
	return SEGMENT_GONE;
}

bool
queue_spool_lent_to(struct house *h, uint32_t segment, enum role role, uint32_t index)
{
	struct queue_role *k = queue_of(h);
	uint64_t           key = segment;
	void              *who = map_get(k->lent, map_number(&key));

	if (who == NULL && state_of(k, segment) == SEGMENT_OPEN) {
		/* Lent by the queue that was here before this one. */
		who = borrower(role, index);
		(void)map_put(k->lent, map_number(&key), who);
	}
	return who == borrower(role, index);
}

static void
segment_ended(struct queue_role *k, uint32_t segment)
{
	uint64_t key = segment;

	ledger_mark_set(k->ledger, segment, SEGMENT_WHOLE);
	(void)map_put(k->sealed, map_number(&key), (void *)(uintptr_t)clock_patient_ms());
}

/* An orphan is empty and gone, or sealed; while its writer lives it stays as it is. */
static int
segment_orphaned(struct house *h, uint32_t segment)
{
	struct queue_role *k = queue_of(h);
	int                why;

	k->unread = false;
	why = spool_orphan(k->spool, segment, letter_found, h);
	if ((why == 0 || why == ENOENT) && !k->unread)
		segment_ended(k, segment);
	return why == ENOENT ? 0 : why == EACCES ? EAGAIN : why;
}

/* Whose link has ended may have its other descriptors, and with them the lock, for a moment more: they are nobody's. */
void
queue_orphans_look(void *house)
{
	struct house      *h = house;
	struct queue_role *k = queue_of(h);
	bool               more = false;

	for (struct map_place p = { 0 }; map_next(k->lent, &p);) {
		uint64_t key;
		int      why;

		if (p.value != borrower(ROLES, 0))
			continue;
		memcpy(&key, p.key.at, sizeof key);
		why = segment_orphaned(h, (uint32_t)key);
		more = more || why == EAGAIN;
		if (why == EAGAIN)
			continue;
		(void)map_drop(k->lent, p.key);
		if (why != 0)
			fault("segment %08" PRIx64 ": cannot be recovered: %s", key, strerror(why));
	}
	/* Lent by a queue before this one, so nobody wrote them down. */
	(void)spool_orphans(k->spool, letter_found, h);
	if (more || (k->orphan_looks > 0 && --k->orphan_looks > 0))
		timer_set(k->orphans, ORPHANS_AGAIN_MS);
	queue_pump(h);
}

void
queue_spool_own(struct house *h, uint32_t segment, bool ours)
{
	struct queue_role *k = queue_of(h);
	uint64_t           key = segment;

	if (ours)
		(void)map_put(k->lent, map_number(&key), borrower(QUEUE, 0));
	else
		(void)map_drop(k->lent, map_number(&key));
}

void
queue_spool_back(struct house *h, uint32_t segment, uint64_t used, int why)
{
	struct queue_role *k = queue_of(h);

	if (why == 0)
		why = spool_done(k->spool, segment, used);
	if (why == 0)
		segment_ended(k, segment);
	else if ((why = segment_orphaned(h, segment)) != 0)
		fault("segment %08" PRIx32 ": cannot be sealed: %s", segment, strerror(why));
}

bool
hear_segment_done(struct house *h, enum role role, uint32_t index, struct bytes body)
{
	struct queue_role  *k = queue_of(h);
	struct word_segment w;
	uint64_t            key;

	arena_clear(k->scratch);
	if (!word_unpack_segment(body, k->scratch, &w))
		return false;
	key = w.number;
	if (map_get(k->lent, map_number(&key)) == borrower(role, index)) {
		(void)map_drop(k->lent, map_number(&key));
		queue_spool_back(h, w.number, w.size, w.why);
	} else if (map_get(k->lent, map_number(&key)) == NULL &&
	           state_of(k, w.number) == SEGMENT_OPEN) {
		/* Lent by the queue that was here before: it is read, and only if its writer has let go of it. */
		queue_spool_back(h, w.number, w.size, EAGAIN);
	}
	queue_pump(h);
	return true;
}

/* A writer died: what it had made safe is found; its segments are sealed. */
void
queue_spool_lost(struct house *h, enum role role, uint32_t index)
{
	struct queue_role *k = queue_of(h);

	for (struct map_place p = { 0 }; map_next(k->lent, &p);)
		if (p.value == borrower(role, index))
			(void)map_put(k->lent, p.key, borrower(ROLES, 0));
	k->orphan_looks = ORPHAN_LOOKS;
	queue_orphans_look(h);
}
