/* THREAD: messages as conversations (rfc5256).  REFS of draft-ietf-morg-inthread is REFERENCES
   without what subjects say; threads stand in the order of their youngest messages. */
#include "access/imap/finder.h"
#include "access/imap/limit.h"
#include "access/imap/returns.h"
#include "access/imap/threads.h"
#include "base/map.h"

enum { AT_ONCE = 1024, OUTPUT_AT_ONCE = 128 << 10 };

struct thread_work {
	struct program         program;
	enum thread_how        how;
	bool                   bad_charset, begun, found, gathered, threaded, saying;
	struct finder          finder;
	struct columns        *columns;
	bool                   filled;
	struct uid_set         uids, numbers;
	size_t                 range;
	uint32_t               uid, cursor;
	struct thread_message *message;
	uint32_t               count;
	struct threads        *threads;
};

static const struct {
	const char     *word;
	enum thread_how how;
} algorithms[] = {
	{ "ORDEREDSUBJECT", THREAD_ORDEREDSUBJECT },
	{ "REFERENCES", THREAD_REFERENCES },
	{ "REFS", THREAD_REFS },
};

/* thread = ["UID" SP] "THREAD" SP thread-alg SP search-criteria */
static void
thread_parse(struct imap *s, struct scan *r)
{
	struct thread_work *w = s->work = arena_take(s->scratch, sizeof *w);
	struct bytes        word;
	size_t              i = 0;

	read_space(r);
	word = read_atom(r);
	while (i < COUNT(algorithms) && !bytes_is(word, algorithms[i].word))
		i++;
	if (i == COUNT(algorithms)) {
		scan_fail(r, "a threading algorithm");
		return;
	}
	w->how = algorithms[i].how;
	read_space(r);
	w->bad_charset = !returns_charset(s, r, &w->program.charset);
	read_space(r);
	program_read(r, s->scratch, &w->program);
	if (s->uidonly && w->program.numbers)
		scan_fail(r, NUMBERS_ARE_PAST);
}

static void
add_message(struct thread_work *w, const struct column_row *row, uint32_t number,
            struct arena *arena)
{
	struct thread_message *m = &w->message[w->count++];
	struct bytes           subject = column_of(w->columns, row, COLUMN_BASE);
	const uint64_t        *reference;

	m->number = number;
	m->reply = row->flags & ROW_IS_REPLY;
	m->id = row->id;
	m->subject = subject.len > 0 ? hash_of(subject) | 1 : 0;
	m->date = row->sent != 0 ? row->sent : row->arrived; /* rfc5256:2.2 */
	/* The columns may grow, for others, before we are done. */
	m->references = columns_references(w->columns, row, &reference);
	m->reference = (const uint64_t *)(const void *)arena_keep(
			       arena, (struct bytes){ (const char *)reference,
	                                              m->references * sizeof *reference })
	                       .at;
}

/* The found messages in the order of the mailbox; false when the turn is over. */
static bool
gather(struct imap *s, struct thread_work *w)
{
	if (w->message == NULL) {
		w->message = arena_take_array(s->scratch, uid_set_size(&w->uids) + 1,
		                              sizeof *w->message);
		w->numbers = result_numbers(s, s->view, &w->uids);
	}
	for (; w->range < w->uids.count; w->range++) {
		const struct uid_range *one = &w->uids.range[w->range];

		if (w->uid < one->first)
			w->uid = one->first;
		for (; w->uid <= one->last; w->uid++) {
			const struct column_row *row = columns_find(w->columns, w->uid, &w->cursor);

			if (row != NULL)
				add_message(w, row,
				            w->numbers.range[w->range].first +
				                    (w->uid - one->first),
				            s->scratch);
			if (w->uid % 64 == 0 && imap_turn_over(s)) {
				w->uid++;
				return false;
			}
		}
	}
	return true;
}

/* True when the threads are whole. */
static bool
thread_go(struct imap *s, struct thread_work *w)
{
	if (w->columns == NULL) {
		w->columns = columns_take(s->view->mailbox);
		w->uids = ranges_set(&w->finder.found);
	}
	if (!finder_fill(s, w->columns, &w->filled))
		return false;
	if (!w->gathered) {
		if (!gather(s, w))
			return false;
		w->gathered = true;
		w->threads = threads_open(w->how, w->message, w->count, s->scratch);
	}
	while (!w->threaded) {
		if (imap_turn_over(s))
			return false;
		w->threaded = threads_go(w->threads, AT_ONCE);
	}
	return true;
}

static enum imap_step
thread_run(struct imap *s)
{
	struct thread_work *w = s->work;

	if (w->bad_charset)
		return returns_bad_charset(s);
	if (!w->begun) {
		finder_open(&w->finder, s, s->view, &w->program, s->scratch);
		/* Part of an order would be none (rfc9738:3.3). */
		if (finder_limit(&w->finder) != 0)
			return limit_no(s, limit_most(s), 0, "Too many messages; name fewer.");
		if (w->program.modseq)
			imap_enable_condstore(s);
		w->begun = true;
	}
	if (!w->found) {
		enum finder_step step = finder_go(&w->finder);

		if (step != FINDER_OVER)
			return imap_searching(s, step == FINDER_WAIT, w->finder.uid);
		if (w->finder.later)
			return imap_no(s, FINDER_LATER);
		w->found = true;
	}
	if (!w->threaded && !thread_go(s, w))
		return STEP_AGAIN;
	/* thread-data = "THREAD" [SP 1*thread-list] */
	if (!w->saying)
		buffer_add_string(imap_out(s), w->count > 0 ? "* THREAD " : "* THREAD");
	w->saying = true;
	if (!threads_say(w->threads, imap_out(s), OUTPUT_AT_ONCE))
		return STEP_AGAIN;
	buffer_add_string(imap_out(s), "\r\n");
	return imap_ok(s, w->finder.damaged ? "Thread completed, but for damaged messages."
	                                    : "Thread completed.");
}

static void
thread_drop(struct imap *s)
{
	struct thread_work *w = s->work;

	threads_close(&w->threads);
	columns_drop(&w->columns);
	finder_close(&w->finder);
}

const struct imap_command imap_thread = {
	.name = "THREAD",
	.rfc = "rfc5256:3",
	.in = IN_SELECTED,
	.effect = HAS_UID_FORM,
	.parse = thread_parse,
	.run = thread_run,
	.drop = thread_drop,
};
