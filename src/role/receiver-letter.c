/*
 * receiver-letter -- letters on their way to the disk: given their trace, written with their
 * envelope, synced in a group, and then told to the queue
 */
#include "role/receiver.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "message/envelope.h"
#include "policy/settings.h"

enum { TYPICAL = 16 << 10 };        /* of a letter whose SIZE was not said */
enum { LOOK_MS = 1000 };            /* for room, while there is none */
enum { SHORT_TOLD_MS = 60 * 1000 }; /* that the disk is short is told so often */

struct passage *
passage_of(struct house *h, struct letter *l)
{
	struct passage *p = l->held;

	if (p != NULL)
		return p;
	p = arena_take(l->life, sizeof *p);
	p->house = h;
	p->letter = l;
	p->new_body = -1;
	p->story = story_of(l);
	l->held = p;
	return p;
}

/*
 * Room
 */

/* What is lent already is not enough: mail that is taken must find room in mailboxes, too, so no more is taken well before there is
   none.  The size that is said is believed (rfc1870:6.1); who says none hears at the end of it if there was no room. */
static bool
disk_is_short(struct receiver *r, uint64_t size)
{
	uint64_t least = (uint64_t)r->house->common.queue_minfree, room, want;
	bool     is_short;

	if (least == 0 || !writer_room(r->writer, &room))
		return false;
	want = least + size + size / 2;
	is_short = room < want;
	if (is_short && clock_patient_ms() - r->short_told >= SHORT_TOLD_MS) {
		r->short_told = clock_patient_ms();
		warn_("the disk of the spool has %" PRIu64
		      " MiB left, so letters are refused for now that need %" PRIu64
		      " MiB (queue_minfree)",
		      room >> 20, (want + (1 << 20) - 1) >> 20);
	}
	return is_short;
}

/* A letter may begin when the log takes letters and memory has room for one more. */
enum room_answer
need_room(void *house, struct session *s, uint64_t size)
{
	struct receiver *r = receiver_of(house);
	int64_t          most = session_config(s)->set.letters_memory;

	if (disk_is_short(r, size))
		return ROOM_FULL;
	if (!writer_ready(r->writer, size > 0 ? size : TYPICAL)) {
		if (r->refused == ENOSPC || r->refused == EDQUOT)
			return ROOM_FULL;
		if (r->refused != 0)
			return ROOM_LATER;
		r->room_wanted = true;
		return ROOM_WAIT;
	}
	if (most > 0 && letters_in_hand() >= (uint64_t)most) {
		r->room_wanted = true;
		return ROOM_WAIT;
	}
	return ROOM_YES;
}

/*
 * Large letters
 */

static void
stream_opened(void *ctx, int why)
{
	struct passage *p = ctx;

	p->opened = true;
	letter_streamed(p->letter, why);
}

static void
addresses_known(struct house *h, struct letter *l, bool good)
{
	if (good)
		need_stream_open(h, l);
	else
		letter_streamed(l, EAGAIN);
}

void
need_stream_open(void *house, struct letter *l)
{
	struct receiver *r = receiver_of(house);
	struct passage  *p = passage_of(house, l);

	/* The fields are still all in memory. */
	if (rewrite_ask(house, l, addresses_known))
		return;
	p->stream = writer_stream_open(r->writer, l->declared, stream_opened, p);
}

int
need_stream_add(void *house, struct letter *l, struct bytes more)
{
	return writer_stream_add(passage_of(house, l)->stream, more);
}

uint64_t
need_stream_waiting(void *house, struct letter *l)
{
	return writer_stream_waiting(passage_of(house, l)->stream);
}

void
need_stream_drop(void *house, struct letter *l)
{
	struct passage *p = passage_of(house, l);

	letter_edit_drop(p);
	scan_drop(p);
	proxy_drop(p);
	author_drop(p);
	question_drop(&receiver_of(house)->questions, &p->question);
	rewrite_drop(receiver_of(house), l);
	if (p->stream != NULL)
		writer_stream_drop(&p->stream);
}

/*
 * The disk
 */

/* The queue hears of it now, or, if there is none, as soon as one comes.  (What a queue
   that died had been told of lies on the disk, where its successor looks.) */
static void
say_letter(struct receiver *r, struct bytes body)
{
	struct link *l = house_link(r->house, QUEUE, 0);

	if (l == NULL) {
		pack_bytes(&r->unsaid, body);
		return;
	}
	pack_bytes(&r->said[0], body);
	link_say(l, WORD_LETTER, 0, body, -1);
}

static uint32_t
envelope_flags(const struct receiver *r, const struct letter *l)
{
	bool mapped = (r->overrides[receiver_place(r->house, l->config)] & OVERRIDE_MAPPINGS) == 0;

	return l->flags | (mapped ? 0 : ENVELOPE_AS_WRITTEN) |
	       (l->submission ? ENVELOPE_SUBMITTED : 0);
}

static void
tell_queue(struct receiver *r, const struct letter *l, uint64_t id, uint32_t segment, uint64_t at)
{
	struct letter_recipient *list;
	struct buffer            body = { 0 };

	arena_clear(r->scratch);
	list = arena_take_array(r->scratch, l->rcpts + l->copies, sizeof *list);
	for (uint32_t i = 0; i < l->rcpts; i++)
		list[i] = (struct letter_recipient){ l->rcpt[i].address, l->rcpt[i].orcpt,
			                             l->rcpt[i].notify };
	for (uint32_t i = 0; i < l->copies; i++)
		list[l->rcpts + i] =
			(struct letter_recipient){ l->copy[i], BYTES(""), NOTIFY_NEVER };
	word_pack_letter(&body, &(struct word_letter){
					.letter = id,
					.envelope_segment = segment,
					.envelope_at = at,
					.content_len = l->len,
					.arrived_us = l->arrived_us,
					.flags = envelope_flags(r, l),
					.handling = l->handling,
					.sender = l->sender,
					.message_id = bytes_of(l->reader.fields.message_id),
					.client = l->client,
					.recipient = list,
					.recipients = l->rcpts + l->copies,
				});
	say_letter(r, buffer_bytes(&body));
	buffer_free(&body);
}

static void
safe(void *ctx, int why, uint64_t id, uint32_t segment, uint64_t at)
{
	struct passage  *p = ctx;
	struct receiver *r = receiver_of(p->house);
	char             text[24];

	r->passing--;
	letter_id_text(id, text);
	if (why == 0) {
		checks_tell(p, text);
		tell_accepted(p, id);
		tell_queue(r, p->letter, id, segment, at);
	} else
		fault("%s: a letter from %.*s could not be written: %s", text,
		      (int)p->letter->client.len, p->letter->client.at, strerror(why));
	letter_safe(p->letter, why, text);
}

static void
put_envelope(struct receiver *r, struct passage *p, uint64_t id, struct bytes verdict,
             struct bytes digest)
{
	struct letter             *l = p->letter;
	struct buffer              prefix = { 0 }, packed = { 0 };
	struct envelope_recipient *list =
		arena_take_array(l->life, l->rcpts + l->copies, sizeof *list);
	char text[24];

	letter_id_text(id, text);
	buffer_add(&prefix, verdict);
	buffer_add(&prefix, l->prepend);
	checks_trace(p, text, &prefix);
	for (uint32_t i = 0; i < l->rcpts; i++)
		list[i] = (struct envelope_recipient){ l->rcpt[i].address, l->rcpt[i].orcpt,
			                               l->rcpt[i].notify };
	for (uint32_t i = 0; i < l->copies; i++)
		list[l->rcpts + i] =
			(struct envelope_recipient){ l->copy[i], BYTES(""), NOTIFY_NEVER };
	envelope_pack(
		&(struct envelope){
			.letter = id,
			.arrived_us = l->arrived_us,
			.flags = envelope_flags(r, l),
			.body = l->body,
			.ret = l->ret,
			.envid = l->envid,
			.sender = l->sender,
			.user = l->user,
			.client = l->told_client,
			.helo = l->told_helo,
			.protocol = l->told_protocol,
			.origin = l->brought,
			.content_len = l->len,
			.prefix = buffer_bytes(&prefix),
			.digest = digest,
			.handling = l->handling,
			.recipient = list,
			.recipients = l->rcpts + l->copies,
		},
		&packed);
	writer_envelope(r->writer, id, buffer_bytes(&packed), safe, p);
	buffer_free(&prefix);
	buffer_free(&packed);
}

/* Put it into the log; false: no segment has room for it now. */
static bool
put_letter(struct receiver *r, struct passage *p, struct bytes prefix, struct bytes digest)
{
	struct letter *l = p->letter;
	uint64_t       id = writer_content(r->writer, buffer_bytes(&l->content));

	if (id != 0)
		put_envelope(r, p, id, prefix, digest);
	return id != 0;
}

/* What has been read and judged waits for a segment; the client waits with it. */
static void
park(struct receiver *r, struct passage *p, struct bytes prefix, struct bytes digest)
{
	struct passage **last = &r->parked;

	p->prefix = arena_keep(p->letter->life, prefix);
	p->digest = arena_keep(p->letter->life, digest);
	while (*last != NULL)
		last = &(*last)->next;
	*last = p;
}

static void
not_kept(struct receiver *r, struct passage *p, int why)
{
	r->passing--;
	letter_safe(p->letter, why, "");
}

/* There may be a segment now, or word that there is none. */
void
letters_unpark(struct receiver *r)
{
	while (r->parked != NULL) {
		struct passage *p = r->parked;

		if (r->refused == 0 && !put_letter(r, p, p->prefix, p->digest))
			return;
		r->parked = p->next;
		if (r->refused != 0)
			not_kept(r, p, r->refused);
	}
}

void
need_keep(void *house, struct letter *l, struct bytes prefix, struct bytes digest)
{
	struct receiver *r = receiver_of(house);
	struct passage  *p = passage_of(house, l);
	uint64_t         id;

	l->streamed = false;
	if (p->stream != NULL) {
		id = writer_stream_end(&p->stream);
		if (id != 0)
			put_envelope(r, p, id, prefix, digest);
		else
			not_kept(r, p, EIO);
	} else if (r->parked != NULL || !put_letter(r, p, prefix, digest)) {
		if (r->refused != 0)
			not_kept(r, p, r->refused);
		else
			park(r, p, prefix, digest);
	}
}

/*
 * Segments, and the queue that lends them
 */

static void
writer_wants(void *house, bool own, uint64_t size)
{
	struct receiver *r = receiver_of(house);
	struct link     *l = house_link(house, QUEUE, 0);

	if (own)
		pack_u64(&r->own_wanted, size);
	else
		r->small_wanted = true;
	if (l == NULL)
		return; /* said when one comes */
	word_pack_segment(link_begin(l, WORD_SEGMENT_WANT, 0),
	                  &(struct word_segment){ .own = own, .size = size });
	link_end(l);
}

static void
writer_done(void *house, uint32_t segment, uint64_t used, int why)
{
	struct link *l = house_link(house, QUEUE, 0);

	if (l == NULL)
		return; /* the next queue finds it without an owner */
	word_pack_segment(link_begin(l, WORD_SEGMENT_DONE, 0),
	                  &(struct word_segment){ .number = segment, .size = used, .why = why });
	link_end(l);
}

static void
writer_job(void *house, void (*run)(void *), void (*done)(void *), void *job)
{
	loop_job(((struct house *)house)->loop, run, done, job);
}

static void
writer_has_room(void *house)
{
	loop_again(((struct house *)house)->loop);
}

/* clang-format off */
static const struct writer_needs needs_of_writer = {
	.job = writer_job, .want = writer_wants, .done = writer_done, .ready = writer_has_room,
};
/* clang-format on */

void
letters_open_writer(struct house *h)
{
	receiver_of(h)->writer = writer_open(&needs_of_writer, h);
}

/* What was wanted first is lent first. */
static void
wanted_less(struct receiver *r, bool own)
{
	if (!own)
		r->small_wanted = false;
	else if (r->own_wanted.len >= sizeof(uint64_t))
		buffer_eat(&r->own_wanted, sizeof(uint64_t));
}

/* A queue that came: what the one before was asked for, and did not lend. */
static void
say_wants(struct receiver *r)
{
	struct link *l = house_link(r->house, QUEUE, 0);

	for (struct unpack u = unpack_of(buffer_bytes(&r->own_wanted)); u.rest.len > 0;) {
		word_pack_segment(link_begin(l, WORD_SEGMENT_WANT, 0),
		                  &(struct word_segment){ .own = true, .size = unpack_u64(&u) });
		link_end(l);
	}
	if (r->small_wanted) {
		word_pack_segment(link_begin(l, WORD_SEGMENT_WANT, 0), &(struct word_segment){ 0 });
		link_end(l);
	}
}

bool
hear_segment_lent(struct house *h, struct bytes body, int fd)
{
	struct receiver    *r = receiver_of(h);
	struct word_segment w;

	arena_clear(r->scratch);
	if (!word_unpack_segment(body, r->scratch, &w) || fd < 0)
		return false;
	wanted_less(r, w.own);
	r->refused = 0;
	writer_lend(r->writer, w.number, fd, w.size, w.own);
	return true;
}

bool
hear_segment_refused(struct house *h, struct bytes body)
{
	struct receiver    *r = receiver_of(h);
	struct word_segment w;

	arena_clear(r->scratch);
	if (!word_unpack_segment(body, r->scratch, &w))
		return false;
	wanted_less(r, w.own);
	if (r->refused == 0)
		warn_("the queue lends no segment: %s", strerror(w.why != 0 ? w.why : EIO));
	r->refused = w.why != 0 ? w.why : EIO;
	timer_set(r->tick, LOOK_MS);
	writer_refuse(r->writer, w.own, r->refused);
	return true;
}

/* Room comes back without a word: it is asked for before the next letter is. */
void
letters_look(struct receiver *r)
{
	if (r->refused != 0)
		(void)writer_ready(r->writer, TYPICAL);
}

/* Letters told in this very turn are told again. */
void
letters_queue_lost(struct receiver *r)
{
	buffer_add(&r->unsaid, buffer_bytes(&r->said[1]));
	buffer_add(&r->unsaid, buffer_bytes(&r->said[0]));
	buffer_reset(&r->said[0]);
	buffer_reset(&r->said[1]);
}

void
letters_queue_came(struct receiver *r)
{
	struct buffer waiting = r->unsaid;

	r->unsaid = (struct buffer){ 0 };
	for (struct unpack u = unpack_of(buffer_bytes(&waiting)); u.rest.len > 0;)
		say_letter(r, unpack_bytes(&u));
	buffer_free(&waiting);
	say_wants(r);
	(void)writer_ready(r->writer, 0);
}

/* The last thing of a turn: what was gathered is written, the sync begins. */
void
letters_at_rest(struct receiver *r)
{
	struct buffer before = r->said[1];

	writer_at_rest(r->writer);
	buffer_reset(&before);
	r->said[1] = r->said[0];
	r->said[0] = before;
}
