/*
 * keeper-append -- a literal of APPEND becomes a letter in the log, and a search asks
 * the verifier: the two things a reader's session needs from the rest of the house
 *
 * A literal up to SMALL is gathered and written whole; a larger one streams into a segment of its own.
 * Then a verifier makes the digest, the envelope record follows, and when both are safe the session hears `done`.
 */
#include "base/clock.h"
#include "message/envelope.h"
#include "role/keeper.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { SMALL = WRITER_SMALL, WAITING_MOST = 1 << 20 };
/* So many may wait for the log before others are told to come later. */
enum { APPENDS_WAITING_MOST = 64 };

/* ---- APPEND ------------------------------------------------------------------------- */

struct imap_append {
	struct question                  question; /* first: the digest                    */
	struct house                    *house;
	const struct imap_append_events *events;
	void                            *who;
	char                             user[256], client[64];
	uint64_t                         size;    /* so far, or as announced              */
	bool                             unsized; /* known at the end                     */
	struct buffer                    small;   /* content, while gathered              */
	struct writer_stream            *stream;  /* or where it streams                  */
	bool                             opening; /* the stream waits for its segment     */
	bool                             ended;
	bool                             dropped; /* only the writer still knows us       */
	bool                             waits;   /* `room` was promised                  */
	bool                             shared;  /* it lies among others                 */
	bool                             parked;  /* among those the log has no room for  */
	uint64_t                         letter;
	struct buffer                    digest;
	int                              why;
	struct errand       failed; /* says `why`, but never inside a call of the session's */
	struct imap_append *next;   /* among the parked                     */
};

static void append_judge(struct imap_append *);
static void append_write(struct imap_append *);

/* ---- waiting for the log ------------------------------------------------------------ */

static void
append_park(struct imap_append *a)
{
	struct keeper *k = keeper_of(a->house);

	a->parked = true;
	a->next = NULL;
	*k->waiting_last = a;
	k->waiting_last = &a->next;
	k->waitings++;
}

static void
append_unpark(struct imap_append *a)
{
	struct keeper       *k = keeper_of(a->house);
	struct imap_append **p = &k->waiting;

	if (!a->parked)
		return;
	while (*p != a)
		p = &(*p)->next;
	if ((*p = a->next) == NULL)
		k->waiting_last = p;
	a->parked = false;
	k->waitings--;
}

static void
append_free(struct imap_append *a)
{
	append_unpark(a);
	errand_clear(&a->failed);
	writer_stream_drop(&a->stream);
	buffer_free(&a->small);
	buffer_free(&a->digest);
	memory_free(a);
}

static void
append_finish(struct imap_append *a, int why, const struct imap_appended *made)
{
	if (!a->dropped)
		a->events->done(a->who, why, made);
	append_free(a);
}

static void
append_failed(void *ctx)
{
	struct imap_append *a = ctx;

	question_drop(&keeper_of(a->house)->questions, &a->question);
	append_finish(a, a->why, NULL);
}

static void
append_fail(struct imap_append *a, int why)
{
	a->why = why;
	errand_set(a->house->loop, &a->failed);
}

static void
append_opened(void *ctx, int why)
{
	struct imap_append *a = ctx;

	a->opening = false;
	a->why = why;
	if (why == 0 && a->small.len > 0)
		a->why = writer_stream_add(a->stream, buffer_bytes(&a->small));
	buffer_free(&a->small);
	if (a->ended)
		append_judge(a);
	else if (a->waits) {
		a->waits = false;
		a->events->room(a->who);
	}
}

static struct imap_append *
append_begin(void *ctx, const struct access_facts *facts, uint64_t size,
             const struct imap_append_events *events, void *who)
{
	struct house       *h = ctx;
	struct keeper      *k = keeper_of(h);
	struct imap_append *a;

	if (size <= SMALL && !writer_ready(k->writer, size) &&
	    (k->refused == ENOSPC || k->waitings >= APPENDS_WAITING_MOST)) {
		errno = k->refused == ENOSPC ? ENOSPC : EAGAIN;
		return NULL;
	}
	a = memory_take(sizeof *a);
	*a = (struct imap_append){
		.house = h, .events = events, .who = who, .size = size, .unsized = size == 0
	};
	a->failed = (struct errand){ .go = append_failed, .ctx = a };
	(void)bytes_string(bytes_of(facts->user), a->user, sizeof a->user);
	(void)bytes_string(bytes_of(facts->peer.text), a->client, sizeof a->client);
	if (size > SMALL) {
		a->opening = true;
		a->stream = writer_stream_open(k->writer, size, append_opened, a);
		if (a->stream == NULL) {
			memory_free(a);
			errno = ENOSPC;
			return NULL;
		}
	}
	return a;
}

/* It is larger than what is gathered: the rest streams. */
static void
append_outgrows(struct imap_append *a)
{
	a->opening = true;
	a->stream = writer_stream_open(keeper_of(a->house)->writer, 0, append_opened, a);
	if (a->stream != NULL)
		return;
	a->opening = false;
	a->why = ENOSPC;
	buffer_free(&a->small);
}

static bool
append_add(struct imap_append *a, struct bytes more)
{
	if (a->unsized) {
		a->size += more.len;
		if (a->stream == NULL && a->why == 0 && a->size > SMALL)
			append_outgrows(a);
	}
	if (a->why != 0)
		return true;
	if (a->stream == NULL || a->opening)
		buffer_add(&a->small, more);
	else
		a->why = writer_stream_add(a->stream, more);
	a->waits = a->opening && a->small.len > WAITING_MOST;
	return !a->waits;
}

static void
append_safe(void *ctx, int why, uint64_t letter, uint32_t segment, uint64_t envelope_at)
{
	struct imap_append *a = ctx;
	struct digest       digest;
	struct imap_appended made = {
		.letter = letter,
		.place = {
			.content_segment = letter_segment(letter), .content_at = letter_offset(letter) + RECORD_HEADER,
			.content_len = a->size, .envelope_segment = segment, .envelope_at = envelope_at,
		},
		.shared = a->shared,
	};

	keeper_of(a->house)->appended_ms = clock_patient_ms();
	if (digest_view(buffer_bytes(&a->digest), &digest))
		made.sent_date = digest.sent;
	append_finish(a, why, &made);
}

/* The digest is here: content (if small) and envelope go to the log together. */
static void
append_write(struct imap_append *a)
{
	struct keeper *k = keeper_of(a->house);
	struct buffer  packed = { 0 };
	struct receipt receipt = { 0 };

	if (a->stream != NULL)
		a->letter = writer_stream_end(&a->stream);
	else if (writer_ready(k->writer, a->size)) {
		a->letter = writer_content(k->writer, buffer_bytes(&a->small));
		a->shared = k->user == NULL; /* who does not see the log cannot look in it */
	} else {
		append_park(a);
		return;
	}
	if (a->letter == 0) {
		append_finish(a, EIO, NULL);
		return;
	}
	buffer_free(&a->small);
	if (a->shared && a->events->promise != NULL &&
	    !a->events->promise(a->who, letter_segment(a->letter), &receipt))
		receipt = (struct receipt){ 0 };
	envelope_pack(
		&(struct envelope){
			.letter = a->letter,
			.arrived_us = clock_wall_us(),
			.flags = ENVELOPE_APPENDED,
			.user = bytes_of(a->user),
			.client = bytes_of(a->client),
			.protocol = BYTES("IMAP"),
			.content_len = a->size,
			.digest = buffer_bytes(&a->digest),
			.receipt = receipt,
		},
		&packed);
	writer_envelope(k->writer, a->letter, buffer_bytes(&packed), append_safe, a);
	buffer_free(&packed);
}

static void
append_ask(struct question *q)
{
	struct imap_append *a = (struct imap_append *)q;
	struct word_judge   w = { .append = true,
		                  .client = bytes_of(a->client),
		                  .user = bytes_of(a->user) };
	struct link        *l = house_link(a->house, VERIFIER, q->verifier);
	int                 fd = -1;

	if (a->stream != NULL) {
		fd = writer_stream_fd(a->stream, &w.at, &w.len);
		if (fd < 0) {
			append_fail(a, EIO);
			return;
		}
	} else {
		w.inside = true;
		w.content = buffer_bytes(&a->small);
		w.len = a->small.len;
	}
	word_pack_judge(link_begin(l, WORD_JUDGE, q->ticket), &w);
	if (fd >= 0)
		link_end_fd(l, fd);
	else
		link_end(l);
}

static void
append_answered(struct question *q, const struct bytes *body)
{
	struct imap_append *a = (struct imap_append *)q;
	struct arena       *scratch = arena_open(NULL);
	struct word_judged  w;

	if (body == NULL || !word_unpack_judged(*body, scratch, &w) || w.verdict != JUDGE_ACCEPT)
		append_finish(a, EIO, NULL);
	else {
		buffer_add(&a->digest, w.digest);
		append_write(a);
	}
	arena_close(&scratch);
}

static void
append_judge(struct imap_append *a)
{
	if (a->why != 0) {
		append_fail(a, a->why);
		return;
	}
	a->question.ask = append_ask;
	a->question.answered = append_answered;
	question_ask(&keeper_of(a->house)->questions, &a->question);
}

static void
append_end(struct imap_append *a)
{
	a->ended = true;
	if (!a->opening)
		append_judge(a);
}

/* Nobody waits any more.  A letter already given to the writer stays in the log without an
   owner; compaction takes its room back. */
static void
append_drop(struct imap_append *a)
{
	a->dropped = true;
	question_drop(&keeper_of(a->house)->questions, &a->question);
	if (a->letter == 0)
		append_free(a);
}

/* ---- searching ---------------------------------------------------------------------- */

struct imap_seek {
	struct question       question; /* first                                 */
	struct house         *house;
	enum search_where     where;
	struct arena         *life;
	struct bytes          field, needle;
	int                   fd;
	struct letter_extent *letter;
	uint32_t              letters;
	void (*found)(void *who, int why, const uint8_t *says);
	void *who;
};

static void
seek_free(struct imap_seek *s)
{
	close(s->fd);
	arena_close(&s->life);
	memory_free(s);
}

static void
seek_ask(struct question *q)
{
	struct imap_seek *s = (struct imap_seek *)q;
	struct word_seek  w = { (uint8_t)s->where, s->field, s->needle, s->letter, s->letters };
	struct link      *l = house_link(s->house, VERIFIER, q->verifier);

	word_pack_seek(link_begin(l, WORD_SEEK, q->ticket), &w);
	link_end_fd(l, s->fd);
}

static void
seek_answered(struct question *q, const struct bytes *body)
{
	struct imap_seek *s = (struct imap_seek *)q;
	struct unpack     u;
	uint8_t          *says = arena_take(s->life, s->letters + 1);
	int               why = EIO;

	if (body != NULL) {
		u = unpack_of(*body);
		u.broken = unpack_u32(&u) != s->letters;
		for (uint32_t i = 0; i < s->letters; i++)
			says[i] = unpack_bool(&u);
		why = unpack_done(&u) ? 0 : EIO;
	}
	s->found(s->who, why, says);
	seek_free(s);
}

static struct imap_seek *
seek(void *ctx, const struct imap_question                        *question,
     void (*found)(void *who, int why, const uint8_t *says), void *who)
{
	struct imap_seek *s;
	int               fd = dup(question->fd);

	if (fd < 0)
		return NULL;
	s = memory_take(sizeof *s);
	*s = (struct imap_seek){ .house = ctx,
		                 .where = question->where,
		                 .life = arena_open(NULL),
		                 .fd = fd,
		                 .letters = question->letters,
		                 .found = found,
		                 .who = who };
	s->field = arena_keep(s->life, question->field);
	s->needle = arena_keep(s->life, question->needle);
	s->letter = arena_take_array(s->life, s->letters, sizeof *s->letter);
	for (uint32_t i = 0; i < s->letters; i++)
		s->letter[i] =
			(struct letter_extent){ question->letter[i].at, question->letter[i].len };
	/* Many letters are work for one verifier; the next question is for another. */
	s->question.weight = s->letters > 4 ? QUESTION_HEAVY : 0;
	s->question.ask = seek_ask;
	s->question.answered = seek_answered;
	question_ask(&keeper_of(ctx)->questions, &s->question);
	return s;
}

static void
seek_drop(struct imap_seek *s)
{
	question_drop(&keeper_of(s->house)->questions, &s->question);
	seek_free(s);
}

const struct imap_needs keeper_imap_needs = {
	.append_begin = append_begin,
	.append_add = append_add,
	.append_end = append_end,
	.append_drop = append_drop,
	.seek = seek,
	.seek_drop = seek_drop,
	.decode = keeper_decode,
	.decode_drop = keeper_decode_drop,
	.who = keeper_who,
	.who_drop = keeper_who_drop,
	.locate = keeper_locate_shared,
	.limits = keeper_limits_ask,
	.limits_drop = keeper_limits_drop,
	.room = keeper_room_ask,
	.room_end = keeper_room_end,
	.total = keeper_total_ask,
	.total_drop = keeper_total_drop,
	.give_back = keeper_session_back,
	.over = keeper_session_over,
};

/* ---- the writer's segments come from the queue ----------------------------------------- */

static void
writer_job(void *house, void (*run)(void *), void (*done)(void *), void *job)
{
	loop_job_brief(((struct house *)house)->loop, run, done, job);
}

/* Where there is no queue: it is wanted again when one comes; what is done needs no word, since the
   queue finds a segment without an owner. */
static void
segment_say(struct house *h, enum word word, const struct word_segment *w)
{
	struct link *l = house_link(h, QUEUE, 0);

	if (l == NULL)
		return;
	word_pack_segment(link_begin(l, (uint16_t)word, 0), w);
	link_end(l);
}

static void
writer_want(void *house, bool own, uint64_t size)
{
	struct keeper *k = keeper_of(house);

	if (own)
		pack_u64(&k->own_wanted, size);
	else
		k->small_wanted = true;
	if (k->user != NULL) {
		keeper_user_want(house, own, size);
		return;
	}
	segment_say(house, WORD_SEGMENT_WANT, &(struct word_segment){ .own = own, .size = size });
}

/* What the queue before was asked for and did not give. */
void
keeper_queue_came(struct house *h)
{
	struct keeper *k = keeper_of(h);

	if (k->user != NULL)
		return;
	for (struct unpack u = unpack_of(buffer_bytes(&k->own_wanted)); u.rest.len > 0;)
		segment_say(h, WORD_SEGMENT_WANT,
		            &(struct word_segment){ .own = true, .size = unpack_u64(&u) });
	if (k->small_wanted)
		segment_say(h, WORD_SEGMENT_WANT, &(struct word_segment){ .own = false });
}

/* The log has room (or says that it will not have any): those who wait go on. */
static void
waiting_go_on(void *house)
{
	struct keeper *k = keeper_of(house);
	unsigned       n = k->waitings;

	while (n-- > 0 && k->waiting != NULL) {
		struct imap_append *a = k->waiting;

		append_unpark(a);
		if (k->refused != 0)
			append_fail(a, k->refused);
		else
			append_write(a);
	}
}

static void
writer_done(void *house, uint32_t segment, uint64_t used, int why)
{
	if (keeper_of(house)->user != NULL) {
		keeper_user_done(house, segment);
		return;
	}
	segment_say(house, WORD_SEGMENT_DONE,
	            &(struct word_segment){ .number = segment, .size = used, .why = why });
}

static const struct writer_needs writer_needs = {
	.job = writer_job, .want = writer_want, .done = writer_done, .ready = waiting_go_on
};

/* The last thing a keeper does is to give its segments back. */
static void
writer_rest(void *ctx)
{
	struct house  *h = ctx;
	struct keeper *k = keeper_of(h);

	if (!k->leaving) {
		writer_at_rest(k->writer);
		return;
	}
	writer_release(k->writer);
	if (writer_idle(k->writer))
		house_leave(h);
}

void
keeper_writer_open(struct house *h)
{
	struct keeper *k = keeper_of(h);

	k->waiting_last = &k->waiting;
	k->writer = writer_open(&writer_needs, h);
	loop_at_rest(h->loop, writer_rest, h);
}

bool
keeper_segment_lent(struct house *h, const struct word_segment *w, int fd)
{
	struct keeper *k = keeper_of(h);

	if (w->own)
		buffer_eat(&k->own_wanted,
		           k->own_wanted.len < sizeof(uint64_t) ? 0 : sizeof(uint64_t));
	else
		k->small_wanted = false;
	k->refused = fd >= 0 ? 0 : w->why != 0 ? w->why : EIO;
	if (fd >= 0)
		writer_lend(k->writer, w->number, fd, w->size, w->own);
	else
		writer_refuse(k->writer, w->own, k->refused);
	if (k->refused != 0 && !w->own)
		waiting_go_on(h);
	return true;
}

bool
hear_segment(struct house *h, enum word word, struct bytes body, int fd)
{
	struct keeper      *k = keeper_of(h);
	struct word_segment w;

	arena_clear(k->scratch);
	if (!word_unpack_segment(body, k->scratch, &w) ||
	    (word == WORD_SEGMENT_LENT) != (fd >= 0)) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	return keeper_segment_lent(h, &w, fd);
}
