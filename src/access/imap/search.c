/* SEARCH: which messages are like that (rfc3501:6.4.4, rfc4731) */
#include <errno.h>
#include <string.h>

#include "access/imap/program.h"
#include "access/imap/session.h"
#include "access/imap/write.h"
#include "base/clock.h"

/* Messages whose content verifiers are reading at one time, for one command. */
enum { SLOTS = 8, SAID_AT_ONCE = 4096 };
enum { RETURN_MIN = 1, RETURN_MAX = 2, RETURN_ALL = 4, RETURN_COUNT = 8 };

struct search_work;
struct slot {
	struct imap      *session;
	bool              used;
	uint32_t          uid;
	struct searched   message;
	struct letter     letter;
	enum truth       *value; /* of each leaf                        */
	size_t            asked; /* the leaf a verifier is at           */
	struct imap_seek *seek;
	bool              answered;
};
struct search_work {
	struct program program;
	bool           extended; /* RETURN (...) was there              */
	unsigned       give;
	bool           bad_charset;
	bool           begun, damaged, later;
	uint32_t       uid; /* the last that was looked at          */
	struct slot    slot[SLOTS];
	struct ranges  found;  /* numbers, or uids                     */
	uint64_t       modseq; /* highest of those found               */
	size_t         range;  /* being said                           */
	uint32_t       said;
	bool           saying;
};

/* ---- grammar ---------------------------------------------------------------- */

static const struct {
	const char *word;
	unsigned    bit;
} returns[] = {
	{ "MIN", RETURN_MIN },
	{ "MAX", RETURN_MAX },
	{ "ALL", RETURN_ALL },
	{ "COUNT", RETURN_COUNT },
};

/* search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"   rfc4466:2.6.1 */
static void
read_returns(struct scan *r, struct search_work *w)
{
	w->extended = true;
	scan_expect(r, "(");
	while (scan_ok(r) && !scan_next_is(r, ')')) {
		struct bytes word = read_atom(r);
		size_t       i = 0;
		while (i < COUNT(returns) && !bytes_is(word, returns[i].word))
			i++;
		if (i == COUNT(returns)) {
			scan_fail(r, "a RETURN option");
			return;
		}
		w->give |= returns[i].bit;
		if (!scan_skip(r, ' '))
			break;
	}
	scan_expect(r, ")");
	if (w->give == 0)
		w->give = RETURN_ALL;
}

/* search = "SEARCH" [search-return-opts] [SP "CHARSET" SP charset] 1*(SP search-key) */
static void
search_parse(struct imap *s, struct scan *r)
{
	struct search_work *w = s->work = arena_take(s->scratch, sizeof *w);

	read_space(r);
	if (scan_skip_word(r, "RETURN ")) {
		read_returns(r, w);
		read_space(r);
	}
	if (scan_skip_word(r, "CHARSET ")) {
		struct bytes charset = read_astring(r, s->scratch);
		/* rfc6855:3: who enabled UTF-8 speaks nothing else. */
		if (s->utf8)
			scan_fail(r, "no CHARSET after ENABLE UTF8=ACCEPT");
		w->bad_charset = !bytes_is(charset, "UTF-8") && !bytes_is(charset, "US-ASCII");
		read_space(r);
	}
	program_read(r, s->scratch, &w->program);
	if (s->uidonly && w->program.numbers)
		scan_fail(r, NUMBERS_ARE_PAST);
	/* rfc9051:6.4.4: rev2 knows no SEARCH response. */
	if (s->rev2 && !w->extended) {
		w->extended = true;
		w->give = RETURN_ALL;
	}
}

/* ---- one message ---------------------------------------------------------------- */

static void
slot_judge(struct search_work *w, struct slot *slot, enum letter_depth depth)
{
	for (size_t i = 0; i < w->program.leaves; i++) {
		const struct leaf *l = &w->program.leaf[i];
		if (l->key->needs == depth)
			slot->value[i] = l->key->judge(l, &slot->message);
	}
}

static void
slot_found(struct imap *s, struct search_work *w, const struct slot *slot)
{
	uint32_t n = s->uid ? slot->uid : view_number(s->view, slot->uid);

	ranges_add(&w->found, n, n);
	if (slot->message.entry.modseq > w->modseq)
		w->modseq = slot->message.entry.modseq;
}

/* What is known without the content; a damaged letter is as if it were not there. */
static enum truth
slot_look(struct search_work *w, struct slot *slot)
{
	enum truth truth;

	for (size_t i = 0; i < w->program.leaves; i++)
		slot->value[i] = UNKNOWN;
	memset(slot->message.folded, 0, sizeof slot->message.folded);
	letter_begin(&slot->letter, slot->message.entry.message);
	for (enum letter_depth depth = LETTER_UNREAD; depth <= LETTER_DIGEST; depth++) {
		int why = depth == LETTER_ROW      ? letter_row(&slot->letter)
		          : depth == LETTER_DIGEST ? letter_digest(&slot->letter)
		                                   : 0;
		if (why != 0) {
			w->damaged = true;
			return FALSE;
		}
		slot_judge(w, slot, depth);
		if ((truth = program_truth(&w->program, slot->value)) != UNKNOWN)
			return truth;
	}
	return UNKNOWN;
}

static void
slot_heard(void *who, int why, bool yes)
{
	struct slot        *slot = who;
	struct search_work *w = slot->session->work;

	slot->seek = NULL;
	slot->answered = true;
	slot->value[slot->asked] = yes && why == 0 ? TRUE : FALSE;
	if (why == EBADMSG)
		w->damaged = true;
	else if (why != 0)
		w->later = true;
	imap_wake(slot->session);
}

/* Ask a verifier about the first leaf that only the content can settle. */
static void
slot_ask(struct imap *s, struct search_work *w, struct slot *slot)
{
	void                    *ctx;
	const struct imap_needs *needs = imap_needs_of(s, &ctx);
	const struct leaf       *l;
	struct imap_question     q;
	off_t                    at;

	slot->asked = 0;
	while (slot->value[slot->asked] != UNKNOWN)
		slot->asked++;
	l = &w->program.leaf[slot->asked];
	q.where = leaf_where(l, &q.field);
	q.needle = l->text;
	q.fd = message_content_fd(mailbox_account(s->view->mailbox), &slot->letter.message, &at);
	q.at = (uint64_t)at;
	q.len = slot->letter.message.place.content_len;
	slot->answered = false;
	if (q.fd >= 0)
		slot->seek = needs->seek(ctx, &q, slot_heard, slot);
	if (q.fd >= 0 && (slot->seek != NULL || slot->answered))
		return;
	*(q.fd < 0 ? &w->damaged : &w->later) = true;
	slot->value[slot->asked] = FALSE;
	slot->answered = true;
}

/* True when the slot has nothing more to learn. */
static bool
slot_step(struct imap *s, struct search_work *w, struct slot *slot)
{
	enum truth truth = program_truth(&w->program, slot->value);

	while (truth == UNKNOWN) {
		slot_ask(s, w, slot);
		if (!slot->answered)
			return false;
		truth = program_truth(&w->program, slot->value);
	}
	if (truth == TRUE)
		slot_found(s, w, slot);
	slot->used = false;
	return true;
}

/* ---- all of them ---------------------------------------------------------------- */

static void
search_begin(struct imap *s, struct search_work *w)
{
	for (size_t i = 0; i < w->program.leaves; i++) {
		struct leaf *l = &w->program.leaf[i];
		int          keyword;
		if (l->keyword.len > 0) {
			keyword = mailbox_keyword(s->view->mailbox, l->keyword, false);
			l->number = keyword > 0 ? (uint64_t)keyword : 0;
		}
		if (l->sequence.count > 0)
			(void)imap_resolve(s, &l->sequence, l->key->takes == TAKES_UIDS, &l->set);
	}
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *slot = &w->slot[i];
		slot->session = s;
		letter_read_open(&slot->letter, mailbox_account(s->view->mailbox), s->scratch);
		slot->value = arena_take_array(s->scratch, w->program.leaves, sizeof *slot->value);
		slot->message.mailbox = s->view->mailbox;
		slot->message.letter = &slot->letter;
		slot->message.scratch = slot->letter.arena;
	}
	if (w->program.modseq)
		imap_enable_condstore(s);
	w->begun = true;
}

/* Look at the next message in this slot; false when there is none. */
static bool
slot_next(struct imap *s, struct search_work *w, struct slot *slot)
{
	enum truth truth;

	do {
		w->uid = w->uid == UINT32_MAX ? 0 : view_next(s->view, w->uid + 1);
		if (w->uid == 0) {
			w->uid = UINT32_MAX;
			return false;
		}
	} while (!view_find(s->view, w->uid, &slot->message.entry));
	slot->uid = w->uid;
	slot->message.recent = w->uid >= s->view->recent;
	slot->message.now = clock_wall();
	truth = slot_look(w, slot);
	if (truth == TRUE)
		slot_found(s, w, slot);
	if (truth == UNKNOWN) {
		slot->used = true;
		(void)slot_step(s, w, slot);
	}
	return true;
}

/* True when every message has been judged; *wait when only verifiers can go on. */
static bool
search_all(struct imap *s, struct search_work *w, bool *wait)
{
	size_t asking = 0;

	*wait = false;
	for (size_t i = 0; i < SLOTS && !w->later; i++) {
		struct slot *slot = &w->slot[i];
		if (slot->used && slot->answered)
			(void)slot_step(s, w, slot);
		while (!slot->used) {
			if (imap_turn_over(s))
				return false;
			if (!slot_next(s, w, slot))
				break;
		}
		asking += slot->used;
	}
	*wait = asking > 0;
	return asking == 0 || w->later;
}

/* ---- the answer ---------------------------------------------------------------- */

/* rfc7162:3.1.10: of MIN and MAX alone, the modseq of what they name. */
static uint64_t
modseq_of(struct imap *s, uint32_t n)
{
	struct entry e;

	return view_find(s->view, s->uid ? n : view_uid(s->view, n), &e) ? e.modseq : 0;
}

static void
say_extended(struct imap *s, struct search_work *w)
{
	struct buffer *out = imap_out(s);
	struct uid_set found = ranges_set(&w->found);
	uint64_t       modseq = w->modseq;

	buffer_add_string(out, "* ESEARCH (TAG ");
	write_string(out, s->tag);
	buffer_add_string(out, s->uid ? ") UID" : ")");
	if (found.count > 0) {
		uint32_t min = found.range[0].first, max = found.range[found.count - 1].last;
		if (w->give & RETURN_MIN)
			buffer_printf(out, " MIN %u", min);
		if (w->give & RETURN_MAX)
			buffer_printf(out, " MAX %u", max);
		if (w->give & RETURN_ALL) {
			buffer_add_string(out, " ALL ");
			uid_set_text(&found, out);
		}
		if (w->program.modseq && !(w->give & (RETURN_ALL | RETURN_COUNT))) {
			uint64_t low = w->give & RETURN_MIN ? modseq_of(s, min) : 0;
			uint64_t high = w->give & RETURN_MAX ? modseq_of(s, max) : 0;
			modseq = low > high ? low : high;
		}
	}
	if (w->give & RETURN_COUNT)
		buffer_printf(out, " COUNT %llu", (unsigned long long)uid_set_size(&found));
	if (w->program.modseq && found.count > 0)
		buffer_printf(out, " MODSEQ %llu", (unsigned long long)modseq);
	buffer_add_string(out, "\r\n");
}

/* mailbox-data = "SEARCH" *(SP nz-number) [SP "(MODSEQ" SP n ")"]; false when the client must read first. */
static bool
say_plain(struct imap *s, struct search_work *w)
{
	struct buffer *out = imap_out(s);

	if (!w->saying)
		buffer_add_string(out, "* SEARCH");
	w->saying = true;
	for (size_t many = 0; w->range < w->found.count; many++) {
		const struct uid_range *range = &w->found.at[w->range];
		if (many > SAID_AT_ONCE && imap_full(s))
			return false;
		w->said = w->said < range->first ? range->first : w->said + 1;
		buffer_add_char(out, ' ');
		buffer_add_number(out, w->said);
		if (w->said == range->last)
			w->range++;
	}
	if (w->program.modseq && w->found.count > 0)
		buffer_printf(out, " (MODSEQ %llu)", (unsigned long long)w->modseq);
	buffer_add_string(out, "\r\n");
	return true;
}

static enum imap_step
search_run(struct imap *s)
{
	struct search_work *w = s->work;
	bool                wait;

	if (w->bad_charset)
		return imap_no(s, "[BADCHARSET (UTF-8 US-ASCII)] Unknown charset.");
	if (!w->begun)
		search_begin(s, w);
	if (!w->saying && !search_all(s, w, &wait))
		return wait ? STEP_WAIT : STEP_AGAIN;
	if (w->later)
		return imap_no(
			s, "[UNAVAILABLE] The messages cannot be searched now; try again later.");
	if (w->extended)
		say_extended(s, w);
	else if (!say_plain(s, w))
		return STEP_AGAIN;
	return imap_ok(s, w->damaged ? "Search completed, but for damaged messages."
	                             : "Search completed.");
}

static void
search_drop(struct imap *s)
{
	struct search_work *w = s->work;
	void               *ctx;

	for (size_t i = 0; i < SLOTS; i++) {
		if (w->slot[i].seek != NULL)
			imap_needs_of(s, &ctx)->seek_drop(w->slot[i].seek);
		w->slot[i].seek = NULL;
	}
	ranges_free(&w->found);
}

const struct imap_command imap_search = {
	.name = "SEARCH",
	.rfc = "rfc3501:6.4.4",
	.in = IN_SELECTED,
	.effect = HAS_UID_FORM,
	.parse = search_parse,
	.run = search_run,
	.drop = search_drop,
};
