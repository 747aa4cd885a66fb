#include "access/imap/finder.h"
#include "access/imap/limit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

/* So many digests read one by one, and it is cheaper to have the columns of all messages. */
enum { DIGESTS_WORTH = 300 };
/* Bytes of letters in one question. */
#define BATCH_BYTES ((uint64_t)4 << 20)
/* Rows made, and bytes of a column looked through, between two looks at the clock. */
enum { ROWS_AT_ONCE = 32, COLUMN_AT_ONCE = 1 << 20 };

/* ---- judging one message -------------------------------------------------------- */

static void
judge_all(struct finder *f)
{
	for (size_t i = 0; i < f->program->leaves; i++) {
		const struct leaf *l = &f->program->leaf[i];
		if (f->value[i] == UNKNOWN)
			f->value[i] = l->key->judge(l, &f->message);
	}
}

static void
found_one(struct finder *f, uint32_t uid, uint64_t modseq, const enum truth *value)
{
	if (f->program->fuzzy) {
		if (f->scores == f->score_room) {
			f->score_room = f->score_room == 0 ? 64 : f->score_room * 2;
			f->score = memory_resize(f->score, f->score_room * sizeof *f->score);
		}
		f->score[f->scores++] = (struct scored){ uid, program_score(f->program, value) };
	}
	ranges_add(&f->found, uid, uid);
	if (modseq > f->modseq)
		f->modseq = modseq;
}

/* Would the digest tell more than is known? */
static bool
digest_helps(const struct finder *f)
{
	for (size_t i = 0; i < f->program->leaves; i++) {
		struct bytes field;
		if (f->value[i] == UNKNOWN &&
		    leaf_where(&f->program->leaf[i], &field) != SEARCH_BODY)
			return true;
	}
	return false;
}

/* What is known without the content; a damaged letter is as if it were not there. */
static enum truth
look(struct finder *f)
{
	enum truth truth;

	for (size_t i = 0; i < f->program->leaves; i++)
		f->value[i] = UNKNOWN;
	memset(f->message.folded, 0, sizeof f->message.folded);
	letter_begin(&f->letter, f->message.entry.message);
	judge_all(f);
	truth = program_truth(f->program, f->value);
	for (enum letter_depth depth = LETTER_ROW; truth == UNKNOWN && depth <= LETTER_DIGEST;
	     depth++) {
		if (depth == LETTER_DIGEST && !digest_helps(f))
			break;
		f->digests += depth == LETTER_DIGEST;
		if ((depth == LETTER_ROW ? letter_row(&f->letter) : letter_digest(&f->letter)) !=
		    0) {
			f->damaged = true;
			return FALSE;
		}
		judge_all(f);
		truth = program_truth(f->program, f->value);
	}
	return truth;
}

/* ---- verifiers ------------------------------------------------------------------- */

static void batch_ask(struct batch *);

/* Messages of the batch about which enough is known leave it. */
static void
batch_settle(struct batch *b)
{
	struct finder *f = b->finder;
	bool           open = false;

	for (uint32_t i = 0; i < b->count; i++) {
		struct asked *a = &b->item[i];
		enum truth    truth;

		if (a->settled)
			continue;
		truth = program_truth(f->program, a->value);
		a->settled = truth != UNKNOWN;
		if (truth == TRUE)
			found_one(f, a->uid, a->modseq, a->value);
		open |= !a->settled;
	}
	if (open)
		return;
	(void)close(b->fd);
	b->fd = -1;
	b->count = 0;
	b->bytes = 0;
}

static void
batch_heard(void *who, int why, const uint8_t *says)
{
	struct batch *b = who;

	b->seek = NULL;
	b->answered = true;
	for (uint32_t i = 0; i < b->asking; i++)
		b->item[b->place[i]].value[b->leaf] = why == 0 && says[i] ? TRUE : FALSE;
	if (why == EBADMSG)
		b->finder->damaged = true;
	else if (why != 0)
		b->finder->later = true;
	imap_wake(b->finder->session);
}

/* The first leaf that is not known of some message is asked about all that do not know it. */
static void
batch_choose(struct batch *b, struct imap_extent *letter)
{
	const struct program *p = b->finder->program;

	b->leaf = p->leaves;
	b->asking = 0;
	for (uint32_t i = 0; i < b->count; i++) {
		const struct asked *a = &b->item[i];

		if (a->settled)
			continue;
		while (b->leaf == p->leaves) {
			size_t n = 0;
			while (a->value[n] != UNKNOWN)
				n++;
			b->leaf = n;
		}
		if (a->value[b->leaf] != UNKNOWN)
			continue;
		b->place[b->asking] = (uint8_t)i;
		letter[b->asking++] = a->where;
	}
}

static void
batch_ask(struct batch *b)
{
	struct finder           *f = b->finder;
	void                    *ctx;
	const struct imap_needs *needs = imap_needs_of(f->session, &ctx);
	struct imap_extent       letter[BATCH_LETTERS];
	struct imap_question     q = { .letter = letter, .fd = b->fd };

	batch_choose(b, letter);
	q.where = leaf_where(&f->program->leaf[b->leaf], &q.field);
	q.needle = f->program->leaf[b->leaf].text;
	q.letters = b->asking;
	b->answered = false;
	b->seek = needs->seek(ctx, &q, batch_heard, b);
	if (b->seek != NULL)
		return;
	f->later = true;
	b->answered = true;
}

static void
send_filling(struct finder *f)
{
	if (f->filling != NULL)
		batch_ask(f->filling);
	f->filling = NULL;
}

/* A batch that asks nothing; NULL: all are with verifiers. */
static struct batch *
batch_free(struct finder *f)
{
	for (size_t i = 0; i < BATCHES; i++) {
		if (f->batch[i] == NULL) {
			f->batch[i] = arena_take(f->scratch, sizeof *f->batch[i]);
			f->batch[i]->finder = f;
			f->batch[i]->fd = -1;
		}
		if (f->batch[i]->fd < 0)
			return f->batch[i];
	}
	return NULL;
}

/* The message waits for a verifier, with others of the same file.  There is a batch free.  While another program has
   that file locked it is waited for. */
static void
ask_content(struct finder *f)
{
	struct stat                st;
	const struct letter_place *place = &f->letter.message.place;
	size_t                     size = f->program->leaves * sizeof(enum truth);
	struct batch              *b = f->filling;
	struct asked              *a;
	off_t                      at;
	int fd = message_content_fd(mailbox_account(f->view->mailbox), &f->letter.message, &at);

	f->locked = fd < 0 && errno == EBUSY && imap_locked(f->session, f->view->mailbox);
	if (f->locked)
		return;
	if (fd >= 0 && fstat(fd, &st) < 0)
		fd = -1;
	if (b != NULL &&
	    (fd < 0 || b->device != st.st_dev || b->inode != st.st_ino ||
	     b->count == BATCH_LETTERS || b->bytes + place->content_len > BATCH_BYTES)) {
		send_filling(f);
		b = NULL;
	}
	if (b == NULL) {
		b = batch_free(f);
		b->fd = fd < 0 ? -1 : dup(fd);
		if (b->fd < 0) {
			f->damaged |= fd < 0 && errno != EBUSY;
			f->later |= fd >= 0 || errno == EBUSY;
			return;
		}
		b->device = st.st_dev;
		b->inode = st.st_ino;
		f->filling = b;
	}
	a = &b->item[b->count++];
	if (a->value == NULL)
		a->value = arena_take_array(f->scratch, f->program->leaves, sizeof *a->value);
	memcpy(a->value, f->value, size);
	a->uid = f->uid;
	a->modseq = f->message.entry.modseq;
	a->where = (struct imap_extent){ (uint64_t)at, place->content_len };
	a->settled = false;
	b->bytes += place->content_len;
}

/* What verifiers answered.  How many of them are still asked. */
static size_t
hear_batches(struct finder *f)
{
	size_t asking = 0;

	for (size_t i = 0; i < BATCHES && f->batch[i] != NULL; i++) {
		struct batch *b = f->batch[i];

		if (b->fd < 0 || b == f->filling)
			continue;
		if (b->answered) {
			batch_settle(b);
			if (b->fd >= 0 && !f->later)
				batch_ask(b);
		}
		asking += b->fd >= 0;
	}
	return asking;
}

/* ---- columns ---------------------------------------------------------------------- */

static bool
wants_columns(const struct finder *f)
{
	if (f->columns != NULL || f->digests < DIGESTS_WORTH)
		return false;
	for (size_t i = 0; i < f->program->leaves; i++)
		if (leaf_asks_digest(&f->program->leaf[i]))
			return true;
	return false;
}

bool
finder_fill(struct imap *s, struct columns *c, bool *filled)
{
	while (!*filled) {
		if (imap_turn_over(s))
			return false;
		*filled = columns_fill(c, ROWS_AT_ONCE);
	}
	return true;
}

/* True when the columns are whole and each leaf they can answer has its bits. */
static bool
columns_whole(struct finder *f)
{
	if (f->columns == NULL || f->leaf == f->program->leaves)
		return true;
	if (!finder_fill(f->session, f->columns, &f->filled))
		return false;
	for (; f->leaf < f->program->leaves; f->leaf++) {
		struct leaf *l = &f->program->leaf[f->leaf];
		enum column  column = leaf_column(l);
		uint32_t     rows = columns_count(f->columns);
		uint64_t    *bits;

		if (column == COLUMNS)
			continue;
		if (l->hits_rows == 0) {
			bits = arena_take_array(f->scratch, rows / 64 + 1, sizeof *bits);
			l->hits = bits;
			l->hits_rows = rows;
			f->row = 0;
		}
		bits = (uint64_t *)(uintptr_t)l->hits;
		while (f->row < l->hits_rows) {
			if (imap_turn_over(f->session))
				return false;
			f->row = column_search(f->columns, column, l->folded, f->row,
			                       COLUMN_AT_ONCE, bits);
		}
	}
	return true;
}

/* ---- the text index --------------------------------------------------------------- */

/* A field whose name the index can tell from another's. */
static bool
is_field_name(struct bytes name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.at[i] <= ' ' || name.at[i] >= 127 || name.at[i] == ':')
			return false;
	return name.len > 0;
}

/* Which leaves the index is asked about. */
static void
asks_open(struct finder *f)
{
	f->ask = arena_take_array(f->scratch, f->program->leaves, sizeof *f->ask);
	for (size_t i = 0; i < f->program->leaves; i++) {
		const struct leaf *l = &f->program->leaf[i];
		struct text_ask   *q = &f->ask[i];
		struct bytes       field;

		q->where = leaf_where(l, &field);
		if (!leaf_asks_content(l) || (q->where == SEARCH_HEADER && !is_field_name(field)))
			continue;
		q->field = search_fold(f->scratch, field);
		q->needle = l->folded;
		text_ask_open(q, f->text, f->scratch);
	}
}

/* Only blocks with messages of which nothing else tells are looked through. */
static bool
asks_marked(struct finder *f)
{
	size_t asking = 0;

	for (size_t i = 0; i < f->program->leaves; i++)
		asking += f->ask[i].text != NULL;
	/* Nothing else is asked, and most of the account is in this mailbox. */
	if (f->within == NULL && asking == f->program->leaves &&
	    view_count(f->view) >= text_count(f->text) / 2) {
		for (size_t i = 0; i < asking; i++)
			text_want_all(&f->ask[i]);
		return true;
	}
	for (uint32_t uid; (uid = view_next(f->view, f->mark + 1)) != 0; f->mark = uid) {
		if (uid % 32 == 0 && imap_turn_over(f->session))
			return false;
		if (f->within != NULL && !ranges_hold(f->within, uid))
			continue;
		if (!view_find(f->view, uid, &f->message.entry))
			continue;
		f->message.recent = uid >= f->view->recent;
		for (size_t i = 0; i < f->program->leaves; i++)
			f->value[i] = UNKNOWN;
		letter_begin(&f->letter, f->message.entry.message);
		judge_all(f);
		if (program_truth(f->program, f->value) != UNKNOWN)
			continue;
		for (size_t i = 0; i < f->program->leaves; i++)
			if (f->ask[i].text != NULL && f->value[i] == UNKNOWN)
				text_want(&f->ask[i], f->message.entry.message);
	}
	return true;
}

/* True when the index has said all that it can. */
static bool
texts_whole(struct finder *f)
{
	if (f->text == NULL || f->texts)
		return true;
	while (!text_load(f->text, 16))
		if (imap_turn_over(f->session))
			return false;
	if (f->ask == NULL)
		asks_open(f);
	f->message.text_at = -1;
	f->message.row = NULL;
	if (!f->marked && !asks_marked(f))
		return false;
	f->marked = true;
	for (; f->asked < f->program->leaves; f->asked++) {
		struct text_ask *q = &f->ask[f->asked];
		struct leaf     *l = &f->program->leaf[f->asked];

		if (q->text == NULL)
			continue;
		while (!text_ask_go(q, 8))
			if (imap_turn_over(f->session))
				return false;
		l->texts = q->bits;
		l->texts_limit = q->limit;
	}
	f->text_made = text_generation(f->text);
	return f->texts = true;
}

/* ---- all of them ------------------------------------------------------------------ */

void
finder_open(struct finder *f, struct imap *s, struct view *view, struct program *p,
            struct arena *scratch)
{
	*f = (struct finder){ .session = s, .view = view, .program = p, .scratch = scratch };
	for (size_t i = 0; i < p->leaves; i++) {
		struct leaf *l = &p->leaf[i];
		if (l->keyword.len > 0) {
			int keyword = mailbox_keyword(view->mailbox, l->keyword, false);
			l->number = keyword > 0 ? (uint64_t)keyword : 0;
		}
		l->hits = NULL;
		l->hits_rows = 0;
		l->texts = NULL;
		l->texts_limit = 0;
		if (l->sequence.count > 0 || l->sequence.saved)
			(void)imap_resolve_in(s, view, &l->sequence, l->key->takes == TAKES_UIDS,
			                      &l->set);
	}
	f->value = arena_take_array(f->scratch, p->leaves, sizeof *f->value);
	letter_read_open(&f->letter, mailbox_account(view->mailbox), f->scratch);
	f->message.mailbox = view->mailbox;
	f->message.letter = &f->letter;
	f->message.scratch = f->letter.arena;
	f->message.now = clock_wall();
	for (size_t i = 0; i < p->leaves; i++)
		if (leaf_asks_content(&p->leaf[i]))
			f->text = text_of(mailbox_account(view->mailbox));
	if (columns_ready(view->mailbox))
		f->columns = columns_take(view->mailbox);
}

uint32_t
finder_limit(struct finder *f)
{
	uint32_t       most = limit_most(f->session), lowest;
	struct uid_set meant;

	if (most == 0 || view_count(f->view) <= most)
		return 0;
	meant = program_uids(f->program, f->scratch);
	lowest = limit_lowest(f->session, &meant, most);
	if (lowest != 0)
		f->uid = lowest - 1;
	return lowest;
}

/* The first known uid at or above this one that is to be looked at; 0: none. */
static uint32_t
next_within(const struct finder *f, uint32_t uid)
{
	while (uid != 0 && !ranges_hold(f->within, uid)) {
		uint32_t first = ranges_next(f->within, uid);
		uid = first == 0 ? 0 : view_next(f->view, first);
	}
	return uid;
}

/* Look at the next message; false when there is none. */
static bool
look_next(struct finder *f)
{
	enum truth truth;

	do {
		f->uid = f->uid == UINT32_MAX ? 0 : view_next(f->view, f->uid + 1);
		if (f->within != NULL)
			f->uid = next_within(f, f->uid);
		if (f->uid == 0) {
			f->uid = UINT32_MAX;
			return false;
		}
	} while (!view_find(f->view, f->uid, &f->message.entry));
	f->message.recent = f->uid >= f->view->recent;
	f->message.row = NULL;
	if (f->columns != NULL) {
		f->message.row = columns_find(f->columns, f->uid, &f->cursor);
		f->message.row_at = f->cursor;
		if (f->message.row != NULL && (f->message.row->flags & ROW_DAMAGED))
			f->message.row = NULL;
	}
	f->message.text_at = f->text != NULL && text_generation(f->text) == f->text_made
	                             ? text_place(f->text, f->message.entry.message)
	                             : -1;
	truth = look(f);
	if (truth == TRUE)
		found_one(f, f->uid, f->message.entry.modseq, f->value);
	else if (truth == UNKNOWN)
		ask_content(f);
	if (f->locked)
		f->uid--; /* it is looked at again */
	return true;
}

enum finder_step
finder_go(struct finder *f)
{
	size_t asking = hear_batches(f);

	f->locked = false;
	while (!f->walked && !f->later) {
		if (!columns_whole(f) || !texts_whole(f) || imap_turn_over(f->session))
			return FINDER_MORE;
		/* One to fill, when the one being filled must go. */
		if (batch_free(f) == NULL)
			return FINDER_WAIT;
		f->walked = !look_next(f);
		if (f->locked)
			return FINDER_WAIT;
		if (!f->walked && wants_columns(f))
			f->columns = columns_take(f->view->mailbox);
	}
	if (f->filling != NULL && !f->later) {
		send_filling(f);
		asking = hear_batches(f);
	}
	return asking == 0 || f->later ? FINDER_OVER : FINDER_WAIT;
}

static int
by_uid(const void *a, const void *b)
{
	const struct scored *one = a, *other = b;

	return one->uid < other->uid ? -1 : one->uid > other->uid;
}

const uint8_t *
finder_scores(struct finder *f, struct arena *arena)
{
	uint8_t *all = arena_take_array(arena, f->scores + 1, sizeof *all);

	if (f->scores > 1)
		qsort(f->score, f->scores, sizeof *f->score, by_uid);
	for (size_t i = 0; i < f->scores; i++)
		all[i] = f->score[i].score;
	return all;
}

uint8_t
finder_score(const struct finder *f, uint32_t uid)
{
	struct scored        key = { .uid = uid };
	const struct scored *one =
		f->scores == 0 ? NULL : bsearch(&key, f->score, f->scores, sizeof key, by_uid);

	return one != NULL ? one->score : 0;
}

void
finder_close(struct finder *f)
{
	void                    *ctx;
	const struct imap_needs *needs;

	if (f->session == NULL)
		return;
	needs = imap_needs_of(f->session, &ctx);
	for (size_t i = 0; i < BATCHES && f->batch[i] != NULL; i++) {
		if (f->batch[i]->seek != NULL)
			needs->seek_drop(f->batch[i]->seek);
		f->batch[i]->seek = NULL;
		if (f->batch[i]->fd >= 0)
			(void)close(f->batch[i]->fd);
		f->batch[i]->fd = -1;
	}
	columns_drop(&f->columns);
	ranges_free(&f->found);
	memory_free(f->score);
	f->score = NULL;
	f->scores = f->score_room = 0;
	f->session = NULL;
}

#undef BATCH_BYTES
