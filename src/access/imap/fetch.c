/* FETCH: what is in the messages (rfc3501:6.4.5) */
#include "access/imap/fetch.h"
#include "access/imap/fetch_inner.h"
#include "access/imap/limit.h"
#include "access/imap/reach.h"
#include "access/imap/service.h"

#include <errno.h>

/* Looking at the clock costs as much as the flags of a message. */
enum { CLOCK_EVERY = 16 };

static const struct {
	const char *name, *means;
} macros[] = {
	{ "ALL", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)" },
	{ "FAST", "FLAGS INTERNALDATE RFC822.SIZE)" },
	{ "FULL", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY)" },
};

/* ---- grammar ---------------------------------------------------------------- */

static const struct fetch_att *
att_of(const char *name)
{
	for (size_t i = 0; i < fetch_att_count; i++)
		if (bytes_is(bytes_of(name), fetch_atts[i].name))
			return &fetch_atts[i];
	return NULL;
}

static bool
has_att(const struct fetch_work *w, const struct fetch_att *att)
{
	for (size_t i = 0; i < w->items; i++)
		if (w->item[i].att == att)
			return true;
	return false;
}

static bool
is_name_end(const struct scan *r)
{
	return r->rest.len == 0 || r->rest.at[0] == ' ' || r->rest.at[0] == ')';
}

/* An item that stands there already is answered once. */
static void
read_att(struct scan *r, struct arena *arena, struct fetch_work *w)
{
	struct fetch_item *item = &w->item[w->items];

	if (w->items == ITEMS_MOST - 2)
		scan_fail(r, "fewer items");
	for (size_t i = 0; scan_ok(r) && i < fetch_att_count; i++) {
		struct scan             before = *r;
		const struct fetch_att *att = &fetch_atts[i];
		if (!scan_skip_word(r, att->name))
			continue;
		if (!att->bracket && !is_name_end(r)) {
			*r = before;
			continue;
		}
		item->att = att;
		item->section.what = att->what;
		if (att->bracket) {
			if (!att->sees)
				scan_expect(r, "[");
			section_read(r, arena, &item->section);
		}
		/* "PREVIEW" [SP "(" preview-mod ")"]   rfc8970:6 */
		if (att->write == fetch_put_preview)
			(void)scan_skip_word(r, " (LAZY)");
		/* section-binary = "[" [section-part] "]"; a size is of all of it   rfc3516:7 */
		if (fetch_decodes(att) &&
		    (item->section.what != SECTION_ALL ||
		     (item->section.partial && att->write == fetch_put_binary_size)))
			scan_fail(r, "part numbers alone");
		w->decodes |= fetch_decodes(att);
		if (att->bracket || !has_att(w, att))
			w->items++;
		w->sees |= att->sees;
		return;
	}
	scan_fail(r, "something to fetch");
}

static void
read_atts(struct scan *r, struct arena *arena, struct fetch_work *w)
{
	do
		read_att(r, arena, w);
	while (scan_ok(r) && scan_skip(r, ' '));
	scan_expect(r, ")");
}

/* "ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")" */
static void
read_what(struct scan *r, struct arena *arena, struct fetch_work *w)
{
	if (scan_skip(r, '(')) {
		read_atts(r, arena, w);
		return;
	}
	for (size_t i = 0; i < COUNT(macros); i++) {
		struct scan before = *r;
		if (scan_skip_word(r, macros[i].name) && is_name_end(r)) {
			struct scan means = scan_of(bytes_of(macros[i].means));
			read_atts(&means, arena, w);
			return;
		}
		*r = before;
	}
	read_att(r, arena, w);
}

static void
want(struct fetch_work *w, const char *name)
{
	const struct fetch_att *att = att_of(name);

	if (!has_att(w, att))
		w->item[w->items++].att = att;
}

/* fetch-modifier = "CHANGEDSINCE" SP mod-sequence-value / "VANISHED" / "PARTIAL" SP partial-range
   rfc7162:7, rfc9394:4 */
static void
read_modifier(struct scan *r, struct fetch_work *w)
{
	if (scan_skip_word(r, "VANISHED")) {
		w->vanished = true;
		return;
	}
	if (scan_skip_word(r, "PARTIAL")) {
		partial_read(r, &w->partial);
		return;
	}
	scan_expect(r, "CHANGEDSINCE ");
	w->changed_since = read_modseq(r);
	w->changed = true;
	want(w, "MODSEQ");
}

/* fetch = "FETCH" SP sequence-set SP what [SP "(" fetch-modifier *(SP fetch-modifier) ")"]
   rfc3501:9, rfc4466:2.4 */
static void
fetch_parse(struct imap *s, struct scan *r)
{
	struct fetch_work *w = s->work = arena_take(s->scratch, sizeof *w);

	read_space(r);
	w->sequence = read_sequence(r, s->scratch);
	read_space(r);
	read_what(r, s->scratch, w);
	if (scan_skip(r, ' ')) {
		scan_expect(r, "(");
		do
			read_modifier(r, w);
		while (scan_ok(r) && scan_skip(r, ' '));
		scan_expect(r, ")");
		/* rfc7162:3.2.6 */
		if (w->vanished && (!s->uid || !w->changed || !s->qresync))
			scan_fail(r, "UID, CHANGEDSINCE and ENABLE QRESYNC with VANISHED");
		if (w->partial.first != 0 && !s->uid)
			scan_fail(r, "UID with PARTIAL");
	}
	if (s->uid && !s->uidonly)
		want(w, "UID");
}

/* ---- the work ------------------------------------------------------------------ */

/* Where some are left out the rest is told from the highest uid down (rfc9738:3.1). */
static uint32_t
next_uid_down(struct imap *s, struct fetch_work *w)
{
	for (; w->range < w->set.count; w->range++) {
		const struct uid_range *range = &w->set.range[w->set.count - 1 - w->range];
		uint32_t last = w->uid == 0 || w->uid > range->last ? range->last : w->uid - 1;
		uint32_t above = last == UINT32_MAX ? 0 : view_next(s->view, last + 1);
		uint32_t number =
			above == 0 ? view_count(s->view) : view_number(s->view, above) - 1;
		uint32_t uid = number == 0 ? 0 : view_uid(s->view, number);

		if (uid != 0 && uid >= range->first)
			return w->uid = uid;
	}
	return 0;
}

/* The next uid of the set that the client counts; 0 at the end. */
static uint32_t
next_uid(struct imap *s, struct fetch_work *w)
{
	if (w->down)
		return next_uid_down(s, w);
	while (w->range < w->set.count) {
		const struct uid_range *range = &w->set.range[w->range];
		uint32_t                uid =
			view_next(s->view, w->uid < range->first ? range->first : w->uid + 1);
		if (uid != 0 && uid <= range->last)
			return w->uid = uid;
		w->range++;
	}
	return 0;
}

/* BODY[] and its like set \Seen: one fact for all of them, before the first is read. */
static void
see_all(struct imap *s, struct fetch_work *w)
{
	struct ranges  unseen = { 0 };
	struct uid_set set;
	uint32_t       uid;

	while ((uid = next_uid(s, w)) != 0) {
		struct entry e;
		if (view_find(s->view, uid, &e) && !(e.flags & FLAG_SEEN) &&
		    (!w->changed || e.modseq > w->changed_since))
			ranges_add(&unseen, uid, uid);
	}
	w->range = 0;
	w->uid = 0;
	set = ranges_set(&unseen);
	/* A full disk keeps nobody from reading. */
	if (set.count > 0 && (reach_rights(s, s->view->mailbox) & RIGHT_SEEN))
		w->stored = view_see(s->view, &set, s->scratch) == 0;
	ranges_free(&unseen);
}

/* One that another program took away while it was read is gone like any other (rfc2180:4.1). */
static void
note_damage(struct imap *s, struct fetch_work *w)
{
	struct entry e;

	if (!view_find(s->view, w->entry.uid, &e))
		w->some_gone = true;
	else if (w->damages < DAMAGED_SAID_MOST)
		w->damaged[w->damages++] = w->entry.uid;
	buffer_reset(&w->page);
}

/* Another program has the mailbox's file locked: the message is tried again, unless that takes too long. */
static enum imap_step
fetch_locked(struct imap *s, struct fetch_work *w)
{
	buffer_reset(&w->page);
	w->writing = false;
	w->again = imap_locked(s, s->view->mailbox);
	w->locked |= !w->again;
	return w->again ? STEP_WAIT : STEP_DONE;
}

static int
load(struct imap *s, struct fetch_work *w)
{
	enum letter_depth needs = LETTER_UNREAD;

	bool whole = false;

	for (size_t i = 0; i < w->items; i++) {
		const struct fetch_item *item = &w->item[i];
		const struct fetch_att  *att = item->att;
		if (att->write == fetch_put_section && !fetch_decodes(att) &&
		    fetch_is_whole(&item->section))
			whole = true;
		else if (!item->known && att->needs > needs)
			needs = att->needs;
	}
	letter_begin(&w->letter, w->entry.message);
	if ((needs != LETTER_UNREAD || whole) && letter_row(&w->letter) != 0)
		return w->letter.why;
	/* What we put before a letter lies with its digest. */
	if (needs == LETTER_DIGEST && !whole)
		mailbox_ahead(s->view->mailbox,
		              mailbox_first_at_least(s->view->mailbox, w->entry.uid));
	return needs == LETTER_DIGEST || (whole && w->letter.message.prefix_len > 0)
	               ? letter_digest(&w->letter)
	               : 0;
}

/* What is kept needs nothing. */
static void
look_up(struct fetch_work *w)
{
	struct answer a;

	for (size_t i = 0; i < w->items; i++) {
		struct fetch_item *item = &w->item[i];
		item->known = item->kept != NULL && answers_find(item->kept, w->entry.uid, &a);
	}
}

/* ---- parts without their transfer encoding (rfc3516) ------------------------------ */

/* Must a verifier take something off before this item can be said? */
static bool
is_coded(const struct fetch_work *w, const struct fetch_item *item, struct section_span *span,
         enum digest_encoding *encoding)
{
	const struct letter *l = &w->letter;

	if (!fetch_decodes(item->att) ||
	    !section_find(&item->section, &l->digest, letter_own_len(l), span))
		return false;
	*encoding = decoding_of(l, &item->section, span);
	return *encoding == ENCODED_QP || *encoding == ENCODED_BASE64 || *encoding == ENCODED_OTHER;
}

static bool
has_unknown_cte(const struct fetch_work *w)
{
	struct section_span  span;
	enum digest_encoding encoding;

	for (size_t i = 0; w->decodes && i < w->items; i++)
		if (is_coded(w, &w->item[i], &span, &encoding) && encoding == ENCODED_OTHER)
			return true;
	return false;
}

/* The first answer of a verifier tells how much there is. */
static void
begin_literal(struct fetch_work *w, const struct fetch_item *item)
{
	w->coded_left = fetch_clip(&item->section, w->decoding.total, &w->coded_at);
	buffer_printf(&w->page, "%s{%llu}\r\n", w->decoding.nul ? "~" : "",
	              (unsigned long long)w->coded_left);
	w->begun_literal = true;
}

/* One item, piece by piece.  STEP_DONE: said, or (state FAILED) it cannot be. */
static enum imap_step
put_coded(struct imap *s, struct fetch_work *w, const struct fetch_item *item,
          const struct section_span *span, enum digest_encoding encoding)
{
	struct decoding *d = &w->decoding;
	bool             size = item->att->write == fetch_put_binary_size;

	if (d->state == DECODING_IDLE) {
		w->begun_literal = false;
		decoding_ask(d, s, &w->letter, span, encoding, item->section.from,
		             size                    ? 0
		             : item->section.partial ? item->section.most
		                                     : UINT64_MAX);
	}
	while (d->state == DECODING_HERE) {
		uint64_t got = d->part.len;
		if (size) {
			buffer_add_number(&w->page, d->total);
			decoding_drop(d);
			return STEP_DONE;
		}
		if (!w->begun_literal)
			begin_literal(w, item);
		buffer_add(&w->page, buffer_bytes(&d->part));
		if (got == w->coded_left) {
			fetch_tally(s, &item->section, w->coded_at + got);
			decoding_drop(d);
			return STEP_DONE;
		}
		fetch_page_flush(s, w);
		w->flushed = true;
		w->coded_at += got;
		w->coded_left -= got < w->coded_left ? got : w->coded_left;
		decoding_on(d, s, &w->letter, span, encoding, w->coded_at, w->coded_left);
		if (got == 0)
			d->state = DECODING_FAILED;
	}
	return d->state == DECODING_ASKED ? STEP_WAIT : STEP_DONE;
}

/* ---- fields the digest does not know ------------------------------------------------ */

/* Of a header that is too long for it. */
static bool
is_far(const struct fetch_work *w, const struct fetch_item *item, struct section_span *header)
{
	const struct letter *l = &w->letter;
	struct digest_part   part;

	if (item->section.fields == 0 || !(l->digest.flags & DIGEST_CUT_SHORT) ||
	    !section_find(&item->section, &l->digest, letter_own_len(l), header))
		return false;
	part = digest_part_at(&l->digest, header->part);
	header->at = letter_own_len(l) + part.header_at;
	header->len = part.header_len;
	return header->len > 0;
}

/* As put_coded(), but gathered: their length comes before them. */
static enum imap_step
put_far(struct imap *s, struct fetch_work *w, const struct fetch_item *item,
        const struct section_span *header)
{
	struct decoding *d = &w->decoding;

	if (d->state == DECODING_IDLE) {
		buffer_reset(&w->far);
		d->fields = section_names(&item->section, s->scratch);
		d->others = item->section.what == SECTION_FIELDS_NOT;
		decoding_ask(d, s, &w->letter, header, ENCODED_7BIT, 0, UINT64_MAX);
	}
	while (d->state == DECODING_HERE) {
		uint64_t got = d->part.len;
		buffer_add(&w->far, buffer_bytes(&d->part));
		if (w->far.len == d->total) {
			fetch_put_far(s, w, &item->section, header);
			decoding_drop(d);
			return STEP_DONE;
		}
		decoding_on(d, s, &w->letter, header, ENCODED_7BIT, w->far.len, UINT64_MAX);
		if (got == 0)
			d->state = DECODING_FAILED;
	}
	return d->state == DECODING_ASKED ? STEP_WAIT : STEP_DONE;
}

/* ---- one message -------------------------------------------------------------------- */

/* Half of an answer cannot be called back. */
static enum imap_step
fetch_damaged(struct imap *s, struct fetch_work *w)
{
	if (w->letter.why == EBUSY && !w->flushed && w->decoding.state == DECODING_IDLE)
		return fetch_locked(s, w);
	if (w->flushed)
		imap_end(s, "Message damaged");
	decoding_drop(&w->decoding);
	note_damage(s, w);
	w->writing = false;
	return STEP_DONE;
}

/* Headers are kept, not bodies; what BINARY says needs a verifier. */
static bool
lasts(const struct fetch_item *item)
{
	const struct section *section = &item->section;

	if (item->att->write != fetch_put_section)
		return item->att->lasts;
	return !fetch_decodes(item->att) && section->what != SECTION_ALL &&
	       section->what != SECTION_TEXT;
}

/* PREVIEW depends on whether the client knows UTF-8. */
static void
prepare_items(struct imap *s, struct fetch_work *w)
{
	for (size_t i = 0; i < w->items; i++) {
		struct fetch_item      *item = &w->item[i];
		const struct fetch_att *att = item->att;

		item->label = !att->bracket ? bytes_of(arena_printf(s->scratch, "%s ", att->name))
		                            : section_label(att->write == fetch_put_binary_size
		                                                    ? "BINARY.SIZE"
		                                            : fetch_decodes(att) ? "BINARY"
		                                                                 : "BODY",
		                                            &item->section, s->scratch);
		if (lasts(item))
			item->kept = answers_take(s->service->answers, s->view->mailbox,
			                          item->label, s->utf8 || s->rev2);
	}
}

static void
drop_items(struct fetch_work *w)
{
	for (size_t i = 0; i < w->items; i++)
		answers_drop(&w->item[i].kept);
}

static void
put_known(struct imap *s, struct fetch_work *w, const struct fetch_item *item)
{
	struct answer a = { 0 };

	(void)answers_find(item->kept, w->entry.uid, &a);
	buffer_add(&w->page, a.text);
	if (a.counted > 0) {
		s->tally.hdr_count++;
		s->tally.hdr_bytes += a.counted - 1;
	}
}

/* Says it, and keeps what was said. */
static bool
put_item(struct imap *s, struct fetch_work *w, const struct fetch_item *item)
{
	struct imap_tally before = s->tally;
	size_t            at = w->page.len;
	struct answer     a;

	if (!item->att->write(s, w, item))
		return false;
	if (item->kept == NULL || w->flushed)
		return true;
	a.text = bytes_cut(buffer_bytes(&w->page), at, w->page.len);
	a.counted = s->tally.hdr_count == before.hdr_count
	                    ? 0
	                    : (uint32_t)(s->tally.hdr_bytes - before.hdr_bytes + 1);
	answers_keep(item->kept, w->entry.uid, &a);
	return true;
}

static enum imap_step
fetch_items(struct imap *s, struct fetch_work *w)
{
	struct section_span  span;
	enum digest_encoding encoding;

	for (; w->at < w->items; w->at++) {
		const struct fetch_item *item = &w->item[w->at];
		if (w->decoding.state == DECODING_IDLE) {
			if (w->at > 0)
				buffer_add_char(&w->page, ' ');
			buffer_add(&w->page, item->label);
		}
		bool coded = w->decodes && is_coded(w, item, &span, &encoding);
		bool far = !coded && !item->known && is_far(w, item, &span);
		if (far && w->at_once)
			return fetch_damaged(s, w);
		if (item->known) {
			put_known(s, w, item);
		} else if (coded || far) {
			enum imap_step step = coded ? put_coded(s, w, item, &span, encoding)
			                            : put_far(s, w, item, &span);
			if (step != STEP_DONE)
				return step;
			if (w->decoding.state == DECODING_FAILED)
				return fetch_damaged(s, w);
		} else if (!put_item(s, w, item))
			return fetch_damaged(s, w);
	}
	buffer_add_string(&w->page, ")\r\n");
	fetch_page_flush(s, w);
	w->writing = false;
	return STEP_DONE;
}

/* message-data = nz-number SP "FETCH" SP "(" msg-att-... ")" */
static enum imap_step
fetch_one(struct imap *s, struct fetch_work *w)
{
	w->flushed = false;
	look_up(w);
	if (load(s, w) != 0) {
		if (w->letter.why == EBUSY)
			return fetch_locked(s, w);
		note_damage(s, w);
		return STEP_DONE;
	}
	if (has_unknown_cte(w)) {
		w->unknown_cte = true;
		return STEP_DONE;
	}
	imap_fetch_begin(s, &w->page, w->entry.uid);
	w->writing = true;
	w->at = 0;
	return fetch_items(s, w);
}

static enum imap_step
fetch_over(struct imap *s, struct fetch_work *w)
{
	struct buffer uids = { 0 };
	struct ranges damaged = { 0 };

	for (size_t i = 0; i < w->damages; i++)
		ranges_add(&damaged, w->damaged[i], w->damaged[i]);
	if (w->damages > 0 || w->locked || w->unknown_cte || (w->some_gone && !s->uid))
		limit_apart(s, w->lowest);
	if (w->damages > 0) {
		struct uid_set set = ranges_set(&damaged);
		uid_set_text(&set, &uids);
		buffer_add_char(&uids, '\0');
		(void)imap_no(s,
		              "[CORRUPTION] Some messages are damaged and were set aside: UID %s%s",
		              uids.at, w->damages == DAMAGED_SAID_MOST ? " and more" : "");
	} else if (w->locked)
		(void)imap_no_errno(s, EBUSY);
	else if (w->unknown_cte)
		(void)imap_no(s, "[UNKNOWN-CTE] A transfer encoding is not known here.");
	else if (w->some_gone && !s->uid)
		(void)imap_no(s, "[EXPUNGEISSUED] Some of the messages are no longer there.");
	else
		(void)limit_ok(s, w->lowest, "Fetch");
	ranges_free(&damaged);
	buffer_free(&uids);
	return STEP_DONE;
}

/* Of a large set only what changed is looked at; what is gone is of the set as it was asked,
   known to the client or not. */
static void
fetch_changed(struct imap *s, struct fetch_work *w)
{
	struct sequence asked = w->sequence;
	struct uid_set  known;

	if (!w->vanished) {
		mailbox_changed(s->view->mailbox, w->changed_since, s->scratch, &known);
		w->set = resync_common(s->scratch, &w->set, &known);
		return;
	}
	for (size_t i = 0; i < asked.count; i++) {
		if (asked.range[i].first_star)
			asked.range[i].first = s->view->limit - 1;
		if (asked.range[i].last_star)
			asked.range[i].last = s->view->limit - 1;
	}
	known = resync_set(s->scratch, &asked);
	resync_begin(s, &w->resync, w->changed_since, &known, 0);
	w->set = resync_common(s->scratch, &w->set, &w->resync.changed);
}

static bool
fetch_begin(struct imap *s, struct fetch_work *w)
{
	w->begun = true;
	if (!imap_resolve(s, &w->sequence, s->uid, &w->set))
		return false;
	if (w->partial.first != 0)
		w->set = partial_cut(s, &w->partial, &w->set);
	if (w->changed || has_att(w, att_of("MODSEQ")))
		imap_enable_condstore(s);
	if (w->changed)
		fetch_changed(s, w);
	w->lowest = limit_cut(s, &w->set);
	prepare_items(s, w);
	letter_read_open(&w->letter, mailbox_account(s->view->mailbox), s->scratch);
	if (w->sees && !imap_read_only(s))
		see_all(s, w);
	w->down = w->lowest != 0;
	return true;
}

static enum imap_step
fetch_run(struct imap *s)
{
	struct fetch_work *w = s->work;
	enum imap_step     step;
	uint32_t           uid;
	bool               begun = w->begun;

	if (!w->begun && partial_span(&w->partial) > limit_most(s) && limit_most(s) > 0)
		return limit_no(s, limit_most(s), 0, "The range of PARTIAL is too wide.");
	if (!w->begun && !fetch_begin(s, w))
		return imap_bad(s, BEYOND_LAST);
	if (!begun)
		imap_tell_keywords(s);
	if (!resync_vanished(s, &w->resync))
		return STEP_AGAIN;
	w->flags_said = (struct flags_said){ 0 };
	for (unsigned said = 0; s->end == NULL; said++) {
		if (imap_full(s) || (said % CLOCK_EVERY == CLOCK_EVERY - 1 && imap_turn_over(s)))
			return STEP_AGAIN;
		if (w->writing && (step = fetch_items(s, w)) != STEP_DONE)
			return step;
		uid = w->again ? w->uid : next_uid(s, w);
		w->again = false;
		if (uid == 0)
			return w->stored && w->damages == 0 && !w->locked ? STEP_BARRIER
			                                                  : fetch_over(s, w);
		if (!view_find(s->view, uid, &w->entry))
			w->some_gone = true;
		else if (!w->changed || w->entry.modseq > w->changed_since) {
			if ((step = fetch_one(s, w)) != STEP_DONE)
				return step;
		}
	}
	return STEP_DONE;
}

static void
fetch_safe(struct imap *s)
{
	(void)fetch_over(s, s->work);
}

/* A full disk keeps nobody from reading: what was asked for has been said. */
static void
fetch_unsafe(struct imap *s)
{
	limit_apart(s, ((struct fetch_work *)s->work)->lowest);
	(void)imap_ok(s, "Fetch completed, but \\Seen could not be saved.");
}

static void
fetch_drop(struct imap *s)
{
	struct fetch_work *w = s->work;

	decoding_drop(&w->decoding);
	drop_items(w);
	buffer_free(&w->page);
	buffer_free(&w->far);
}

/* ---- items for others (fetch.h) ---------------------------------------------------------- */

struct fetch_list {
	struct fetch_work work;
};

struct fetch_list *
fetch_list_read(struct imap *s, struct scan *r, struct arena *arena)
{
	struct fetch_list *l = arena_take(arena, sizeof *l);
	/* The names of fields stay where they are read, and the command will be gone. */
	struct scan kept = scan_of(arena_keep(arena, r->rest));
	size_t      len = kept.rest.len;

	(void)s;
	scan_expect(&kept, "(");
	read_atts(&kept, arena, &l->work);
	if (!scan_ok(&kept))
		scan_fail(r, kept.fault);
	r->rest = bytes_cut(r->rest, len - kept.rest.len, kept.rest.len);
	/* These wait for a verifier; nobody would be there who waits. */
	for (size_t i = 0; i < l->work.items; i++)
		if (fetch_decodes(l->work.item[i].att))
			scan_fail(r, "items other than BINARY");
	return l;
}

void
fetch_list_say(struct imap *s, const struct fetch_list *list, uint32_t uid)
{
	struct fetch_work w = list->work;

	w.at_once = true;
	if (!view_find(s->view, uid, &w.entry))
		return;
	prepare_items(s, &w);
	letter_read_open(&w.letter, mailbox_account(s->view->mailbox), s->scratch);
	(void)fetch_one(s, &w);
	drop_items(&w);
	buffer_free(&w.page);
	letter_close(&w.letter);
}

const struct imap_command imap_fetch = {
	.name = "FETCH",
	.rfc = "rfc9051:6.4.5",
	.in = IN_SELECTED,
	.effect = HAS_UID_FORM,
	.parse = fetch_parse,
	.run = fetch_run,
	.safe = fetch_safe,
	.unsafe = fetch_unsafe,
	.drop = fetch_drop,
};
