#include "spool/writer.h"

#include "base/checksum.h"
#include "base/clock.h"
#include "base/journal.h"
#include "spool/disk.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Room kept behind a content for its envelope, so that both usually lie in one segment. */
enum { ENVELOPE_ROOM = 16 * 1024 };
/* The next segment is asked for at three quarters, and before the largest small letters find no room. */
enum { NEXT_LEAST = 2 * (WRITER_SMALL + ENVELOPE_ROOM) };
enum { STREAM_GATHER = 256 * 1024 };
/* A want that nobody answered, or that was refused, is said again after so long. */
enum { WANT_AGAIN_MS = 5000, REFUSED_AGAIN_MS = 1000 };

/* A segment lent to us.  Its bytes are known up to `used`; up to `written` they are in the file;
   up to `synced` they are on disk.  What lies between written and used is in `gather`. */
struct slot {
	struct writer *writer;
	uint32_t       number;
	int            fd;
	bool           own;     /* holds one large letter                          */
	bool           leaving; /* nothing new comes; give back when synced        */
	bool           syncing;
	bool           stream; /* a stream is still being added to it             */
	bool           behind; /* a letter in it is not safe yet, see tell()      */
	int            why;    /* broken                                          */
	uint64_t       room, used, written, synced;
	uint64_t       want; /* somebody waits until this is synced             */
	struct buffer  gather;
	struct slot   *next;
};

/* An envelope whose letter is not yet safe: safe once `slot` is synced up to `end`, and `before`
   (where its content lies, if elsewhere) up to `before_end`. */
struct waiting {
	uint64_t     letter, at, end, before_end;
	uint32_t     segment;
	struct slot *slot, *before;
	int          why;
	void (*safe)(void *ctx, int why, uint64_t letter, uint32_t segment, uint64_t envelope_at);
	void           *ctx;
	struct waiting *next;
};

/* An envelope that found no room in any segment: packed, waiting for the next one. */
struct parked {
	uint64_t      letter;
	struct buffer packed;
	void (*safe)(void *ctx, int why, uint64_t letter, uint32_t segment, uint64_t envelope_at);
	void          *ctx;
	struct parked *next;
};

struct writer_stream {
	struct writer *writer;
	struct slot   *slot;  /* NULL until lent                                 */
	struct buffer  early; /* what came before that                           */
	uint64_t       size, len;
	uint32_t       sum;
	int            why;
	void (*opened)(void *ctx, int why);
	void                 *ctx;
	struct writer_stream *next; /* among those not yet lent                */
};

struct writer {
	struct writer_needs   needs;
	void                 *ctx;
	struct slot          *slots; /* all of them                                     */
	struct slot          *current, *spare;
	struct waiting       *first, **last;
	struct parked        *parked, **parked_last;
	struct writer_stream *unlent, **unlent_last;
	bool                  wanted, starved;
	bool                  released; /* nothing new comes                      */
	int                   refused;
	int64_t               wanted_at;
	uint32_t *broken; /* numbers of segments that failed us; few, and never again used */
	size_t    brokens;
};

struct sync {
	struct slot *slot; /* NULL: the writer was closed meanwhile           */
	int          fd;
	uint64_t     upto;
	int          why;
};

struct writer *
writer_open(const struct writer_needs *needs, void *ctx)
{
	struct writer *w = memory_take(sizeof *w);

	w->needs = *needs;
	w->ctx = ctx;
	w->last = &w->first;
	w->parked_last = &w->parked;
	w->unlent_last = &w->unlent;
	return w;
}

static void
slot_unlink(struct slot *s)
{
	struct writer *w = s->writer;
	struct slot  **p = &w->slots;

	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
	if (w->current == s)
		w->current = NULL;
	if (w->spare == s)
		w->spare = NULL;
}

static void
slot_free(struct slot *s)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	buffer_free(&s->gather);
	memory_free(s);
}

void
writer_close(struct writer **wp)
{
	struct writer *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	while (w->slots != NULL) {
		struct slot *s = w->slots;
		w->slots = s->next;
		/* A sync in the thread pool still uses the descriptor: its end frees the slot. */
		s->writer = NULL;
		if (!s->syncing)
			slot_free(s);
	}
	while (w->first != NULL) {
		struct waiting *x = w->first;
		w->first = x->next;
		memory_free(x);
	}
	while (w->parked != NULL) {
		struct parked *x = w->parked;
		w->parked = x->next;
		buffer_free(&x->packed);
		memory_free(x);
	}
	memory_free(w->broken);
	memory_free(w);
}

/* ---- segments come and go ---- */

static void
want(struct writer *w)
{
	int64_t now = clock_patient_ms();

	if (w->released)
		return;
	if (w->wanted && now - w->wanted_at < WANT_AGAIN_MS)
		return;
	if (w->refused != 0 && now - w->wanted_at < REFUSED_AGAIN_MS)
		return;
	w->wanted = true;
	w->wanted_at = now;
	w->needs.want(w->ctx, false, 0);
}

static struct slot *
slot_in(struct writer *w, uint32_t number)
{
	struct slot *s = w->slots;

	while (s != NULL && s->number != number)
		s = s->next;
	return s;
}

static bool
fits(const struct slot *s, uint64_t takes)
{
	return s != NULL && s->why == 0 && s->used + takes + RECORD_HEADER <= s->room;
}

/* The slot that takes the next record of this size; NULL: none has room. */
static struct slot *
slot_for(struct writer *w, uint64_t takes)
{
	if (fits(w->current, takes))
		return w->current;
	if (!fits(w->spare, takes))
		return NULL;
	if (w->current != NULL)
		w->current->leaving = true;
	w->current = w->spare;
	w->spare = NULL;
	return w->current;
}

/* Well before the current segment is full the next is asked for. */
static void
look_ahead(struct writer *w)
{
	if (w->current == NULL ||
	    (w->spare == NULL && (w->current->used > w->current->room / 4 * 3 ||
	                          w->current->used + NEXT_LEAST > w->current->room)))
		want(w);
}

static void settle(struct writer *);

/* The slot is broken: nothing more is written to it, all who wait for it hear why. */
static void
slot_break(struct slot *s, int why)
{
	struct writer *w = s->writer;

	if (s->why != 0)
		return;
	warn_("segment %08x: %s; it is given back", s->number, strerror(why));
	s->why = why;
	s->leaving = true;
	s->stream = false;
	buffer_reset(&s->gather);
	w->broken = memory_resize(w->broken, (w->brokens + 1) * sizeof *w->broken);
	w->broken[w->brokens++] = s->number;
	if (w->current == s)
		w->current = NULL;
	if (w->spare == s)
		w->spare = NULL;
	for (struct waiting *x = w->first; x != NULL; x = x->next)
		if (x->slot == s || x->before == s)
			x->why = why;
}

static void
slot_write(struct slot *s)
{
	int why;

	if (s->gather.len == 0 || s->why != 0)
		return;
	if ((why = disk_write(s->fd, s->gather.at, s->gather.len, s->written)) != 0) {
		slot_break(s, why);
		return;
	}
	s->written += s->gather.len;
	buffer_reset(&s->gather);
}

/* ---- group commit ---- */

static void
sync_run(void *job)
{
	struct sync *y = job;

	y->why = disk_sync(y->fd);
}

static void
sync_done(void *job)
{
	struct sync *y = job;
	struct slot *s = y->slot;

	s->syncing = false;
	if (s->writer == NULL) {
		slot_free(s);
	} else {
		if (y->why != 0)
			slot_break(s, y->why);
		else
			s->synced = y->upto;
		settle(s->writer);
	}
	memory_free(y);
}

static void
slot_sync(struct slot *s)
{
	struct writer *w = s->writer;
	struct sync   *y;

	if (s->syncing || s->why != 0 || s->synced == s->written)
		return;
	if (s->want <= s->synced && !(s->leaving && !s->stream))
		return;
	y = memory_take(sizeof *y);
	*y = (struct sync){ .slot = s, .fd = s->fd, .upto = s->written };
	s->syncing = true;
	w->needs.job(w->ctx, sync_run, sync_done, y);
}

static bool
answered(const struct waiting *x)
{
	if (x->why != 0)
		return true;
	return x->slot->synced >= x->end &&
	       (x->before == NULL || x->before->synced >= x->before_end);
}

/* Everybody whose letter is safe, or never will be, is told; those of one segment in the order in
   which they lie there, since the queue remembers how far it has heard of each.  The list is taken
   apart first: `safe` may put new letters. */
static void
tell(struct writer *w)
{
	struct waiting *told = NULL, **end = &told, **p = &w->first;

	for (struct slot *s = w->slots; s != NULL; s = s->next)
		s->behind = false;
	while (*p != NULL) {
		struct waiting *x = *p;
		if (!answered(x) || (x->why == 0 && x->slot->behind)) {
			x->slot->behind = true;
			p = &x->next;
			continue;
		}
		*p = x->next;
		x->next = NULL;
		*end = x;
		end = &x->next;
	}
	w->last = p;
	while (told != NULL) {
		struct waiting *x = told;
		told = x->next;
		x->safe(x->ctx, x->why, x->letter, x->segment, x->at);
		memory_free(x);
	}
}

static bool
needed(const struct writer *w, const struct slot *s)
{
	for (const struct waiting *x = w->first; x != NULL; x = x->next)
		if (x->slot == s || x->before == s)
			return true;
	return false;
}

/* Segments that are finished or broken go back to the spool. */
static void
give_back(struct writer *w)
{
	struct slot *s = w->slots, *next;

	for (; s != NULL; s = next) {
		next = s->next;
		if (!s->leaving || s->stream || s->syncing)
			continue;
		if (s->why == 0 && (s->gather.len > 0 || s->synced < s->written))
			continue;
		if (needed(w, s))
			continue;
		slot_unlink(s);
		/* Closed first: the spool's owner sees by its lock that we let go. */
		uint32_t number = s->number;
		uint64_t used = s->synced;
		int      why = s->why;
		slot_free(s);
		w->needs.done(w->ctx, number, used, why);
		next = w->slots; /* done may have lent us another */
	}
}

/* After a sync or an error: tell, give back.  What callbacks put waits for writer_at_rest(). */
static void
settle(struct writer *w)
{
	tell(w);
	give_back(w);
}

void
writer_at_rest(struct writer *w)
{
	for (struct slot *s = w->slots; s != NULL; s = s->next) {
		if (!s->stream)
			slot_write(s);
		slot_sync(s);
	}
	look_ahead(w);
	settle(w);
}

/* ---- small letters ---- */

bool
writer_ready(struct writer *w, uint64_t size)
{
	uint64_t takes = record_takes(size) + ENVELOPE_ROOM;

	look_ahead(w);
	if (size > WRITER_SMALL)
		takes = ENVELOPE_ROOM; /* it will be a stream */
	if (!fits(w->current, takes) && !fits(w->spare, takes))
		want(w); /* it may come at once */
	w->starved = !fits(w->current, takes) && !fits(w->spare, takes);
	return !w->starved;
}

bool
writer_room(const struct writer *w, uint64_t *bytes)
{
	const struct slot *s = w->current != NULL ? w->current : w->slots;

	return s != NULL && disk_room(s->fd, bytes) == 0;
}

uint64_t
writer_content(struct writer *w, struct bytes content)
{
	uint64_t     takes = record_takes(content.len);
	struct slot *s = slot_for(w, takes + ENVELOPE_ROOM);
	uint64_t     id;

	if (s == NULL) {
		want(w);
		s = slot_for(w, takes + ENVELOPE_ROOM);
	}
	if (s == NULL) {
		w->starved = true;
		return 0;
	}
	id = (uint64_t)s->number << 32 | s->used;
	record_add(&s->gather, RECORD_CONTENT, id, content);
	s->used += takes;
	look_ahead(w);
	return id;
}

static struct waiting *
wait_for(struct writer *w, uint64_t letter,
         void (*safe)(void *ctx, int why, uint64_t letter, uint32_t segment, uint64_t envelope_at),
         void *ctx)
{
	struct waiting *x = memory_take(sizeof *x);

	x->letter = letter;
	x->safe = safe;
	x->ctx = ctx;
	*w->last = x;
	w->last = &x->next;
	return x;
}

/* Where the letter's content lies must be safe too. */
static void
wait_for_content(struct waiting *x, struct slot *content)
{
	x->before = content;
	x->before_end = content->used;
	if (content->want < content->used)
		content->want = content->used;
	if (content->why != 0)
		x->why = content->why;
}

static bool
is_broken(const struct writer *w, uint32_t number)
{
	for (size_t i = 0; i < w->brokens; i++)
		if (w->broken[i] == number)
			return true;
	return false;
}

static bool
put_envelope(struct writer *w, uint64_t letter, struct bytes packed,
             void (*safe)(void *ctx, int why, uint64_t letter, uint32_t segment,
                          uint64_t envelope_at),
             void *ctx)
{
	struct slot    *content = slot_in(w, letter_segment(letter));
	uint64_t        takes = record_takes(packed.len);
	struct slot    *s;
	struct waiting *x;

	if (is_broken(w, letter_segment(letter))) {
		wait_for(w, letter, safe, ctx)->why = EIO;
		return true;
	}
	s = content != NULL && content->own ? content : slot_for(w, takes);
	if (s == NULL)
		return false;
	x = wait_for(w, letter, safe, ctx);
	x->slot = s;
	x->segment = s->number;
	x->at = s->used;
	record_add(&s->gather, RECORD_ENVELOPE, letter, packed);
	s->used += takes;
	x->end = s->want = s->used;
	if (content != NULL && content != s)
		wait_for_content(x, content);
	if (s->own)
		s->leaving = true;
	return true;
}

void
writer_envelope(struct writer *w, uint64_t letter, struct bytes packed,
                void (*safe)(void *ctx, int why, uint64_t letter, uint32_t segment,
                             uint64_t envelope_at),
                void *ctx)
{
	struct parked *x;

	if (put_envelope(w, letter, packed, safe, ctx))
		return;
	want(w);
	if (put_envelope(w, letter, packed, safe, ctx))
		return;
	x = memory_take(sizeof *x);
	x->letter = letter;
	x->safe = safe;
	x->ctx = ctx;
	buffer_add(&x->packed, packed);
	*w->parked_last = x;
	w->parked_last = &x->next;
}

/* A segment came: envelopes that waited for one go first. */
static void
unpark(struct writer *w)
{
	while (w->parked != NULL) {
		struct parked *x = w->parked;
		if (!put_envelope(w, x->letter, buffer_bytes(&x->packed), x->safe, x->ctx))
			return;
		if ((w->parked = x->next) == NULL)
			w->parked_last = &w->parked;
		buffer_free(&x->packed);
		memory_free(x);
	}
}

static void
refuse_parked(struct writer *w, int why)
{
	while (w->parked != NULL) {
		struct parked *x = w->parked;
		if ((w->parked = x->next) == NULL)
			w->parked_last = &w->parked;
		wait_for(w, x->letter, x->safe, x->ctx)->why = why;
		buffer_free(&x->packed);
		memory_free(x);
	}
}

/* ---- lending ---- */

static void stream_lent(struct writer_stream *, struct slot *);

static struct writer_stream *
next_unlent(struct writer *w)
{
	struct writer_stream *t = w->unlent;

	if (t != NULL && (w->unlent = t->next) == NULL)
		w->unlent_last = &w->unlent;
	return t;
}

void
writer_lend(struct writer *w, uint32_t number, int fd, uint64_t room, bool own)
{
	struct slot *s = memory_take(sizeof *s);
	bool         starved = w->starved;

	*s = (struct slot){ .writer = w,
		            .number = number,
		            .fd = fd,
		            .own = own,
		            .room = room,
		            .used = SEGMENT_HEADER,
		            .written = SEGMENT_HEADER,
		            .synced = SEGMENT_HEADER };
	s->next = w->slots;
	w->slots = s;
	if (own) {
		struct writer_stream *t = next_unlent(w);
		if (t != NULL)
			stream_lent(t, s);
		else
			s->leaving = true; /* its letter was given up meanwhile */
		return;
	}
	w->wanted = false;
	w->refused = 0;
	if (w->current == NULL && !w->released)
		w->current = s;
	else if (w->spare == NULL && !w->released)
		w->spare = s;
	else
		s->leaving = true; /* not wanted any more: it goes back unused */
	unpark(w);
	w->starved = false;
	if (starved && w->needs.ready != NULL)
		w->needs.ready(w->ctx);
}

void
writer_refuse(struct writer *w, bool own, int why)
{
	struct writer_stream *t;

	if (!own) {
		w->wanted = false;
		w->refused = why;
		w->wanted_at = clock_patient_ms();
		refuse_parked(w, why);
		return;
	}
	if ((t = next_unlent(w)) == NULL)
		return;
	t->why = why;
	t->opened(t->ctx, why);
}

void
writer_release(struct writer *w)
{
	w->released = true;
	w->current = w->spare = NULL;
	for (struct slot *s = w->slots; s != NULL; s = s->next)
		s->leaving = true;
	refuse_parked(w, ESHUTDOWN);
	while (w->unlent != NULL)
		writer_refuse(w, true, ESHUTDOWN);
	writer_at_rest(w);
}

bool
writer_idle(const struct writer *w)
{
	return w->slots == NULL && w->first == NULL;
}

/* ---- large letters ---- */

struct writer_stream *
writer_stream_open(struct writer *w, uint64_t size, void (*opened)(void *ctx, int why), void *ctx)
{
	struct writer_stream *t = memory_take(sizeof *t);

	*t = (struct writer_stream){ .writer = w, .size = size, .opened = opened, .ctx = ctx };
	*w->unlent_last = t;
	w->unlent_last = &t->next;
	w->needs.want(w->ctx, true, size);
	return t;
}

/* The content's bytes begin behind the place of its header, which is written last, when length
   and checksum are known: until then the segment reads as empty. */
static void
stream_lent(struct writer_stream *t, struct slot *s)
{
	t->slot = s;
	s->stream = true;
	s->used = s->written = SEGMENT_HEADER + RECORD_HEADER;
	if (t->early.len > 0) {
		buffer_add(&s->gather, buffer_bytes(&t->early));
		s->used += t->early.len;
		buffer_free(&t->early);
	}
	t->opened(t->ctx, 0);
}

int
writer_stream_add(struct writer_stream *t, struct bytes more)
{
	struct slot *s = t->slot;

	if (t->why == 0 && s != NULL)
		t->why = s->why;
	if (t->why != 0)
		return t->why;
	t->len += more.len;
	t->sum = checksum_more(t->sum, more);
	if (s == NULL) {
		buffer_add(&t->early, more);
		return 0;
	}
	buffer_add(&s->gather, more);
	s->used += more.len;
	if (s->gather.len >= STREAM_GATHER)
		slot_write(s);
	return t->why = s->why;
}

uint64_t
writer_stream_waiting(const struct writer_stream *t)
{
	return t->slot != NULL ? t->slot->gather.len : t->early.len;
}

int
writer_stream_fd(const struct writer_stream *t, uint64_t *at, uint64_t *len)
{
	if (t->slot == NULL)
		return -1;
	slot_write(t->slot);
	if (t->slot->why != 0)
		return -1;
	*at = SEGMENT_HEADER + RECORD_HEADER;
	*len = t->len;
	return t->slot->fd;
}

static void
stream_free(struct writer_stream **tp)
{
	struct writer_stream *t = *tp;

	*tp = NULL;
	buffer_free(&t->early);
	memory_free(t);
}

uint64_t
writer_stream_end(struct writer_stream **tp)
{
	struct writer_stream *t = *tp;
	struct slot          *s = t->slot;
	char                  header[RECORD_HEADER];
	uint64_t              id;
	int                   why;

	if (s == NULL || s->why != 0) {
		writer_stream_drop(tp);
		return 0;
	}
	id = (uint64_t)s->number << 32 | SEGMENT_HEADER;
	while (s->used % 8 != 0) {
		buffer_add_char(&s->gather, 0);
		s->used++;
	}
	record_header_make(header, RECORD_CONTENT, id, t->len, t->sum);
	s->stream = false;
	stream_free(tp);
	if ((why = disk_write(s->fd, header, sizeof header, SEGMENT_HEADER)) != 0) {
		slot_break(s, why);
		return 0;
	}
	return id;
}

void
writer_stream_drop(struct writer_stream **tp)
{
	struct writer_stream *t = *tp;

	if (t == NULL)
		return;
	if (t->slot != NULL) {
		struct slot *s = t->slot;
		s->stream = false;
		s->leaving = true;
		buffer_reset(&s->gather);
		s->synced = s->used = s->written = SEGMENT_HEADER; /* empty: it will be removed */
	} else {
		struct writer *w = t->writer;
		for (struct writer_stream **p = &w->unlent; *p != NULL; p = &(*p)->next) {
			if (*p == t) {
				if ((*p = t->next) == NULL)
					w->unlent_last = p;
				break;
			}
		}
	}
	stream_free(tp);
}
