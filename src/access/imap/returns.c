#include "access/imap/returns.h"

#include "access/imap/fetch.h"
#include "access/imap/write.h"
#include "message/charset.h"

static const struct {
	const char *word;
	unsigned    bit;
} options[] = {
	{ "MIN", RETURN_MIN },
	{ "MAX", RETURN_MAX },
	{ "ALL", RETURN_ALL },
	{ "COUNT", RETURN_COUNT },
	{ "SAVE", RETURN_SAVE },
	{ "PARTIAL", RETURN_PARTIAL },
	{ "RELEVANCY", RETURN_RELEVANCY },
	{ "UPDATE", RETURN_UPDATE },
	{ "CONTEXT", RETURN_CONTEXT },
};

/* ---- reading -------------------------------------------------------------------- */

/* partial-range = nz-number ":" nz-number, or both with MINUS before   rfc9394:4 */
void
partial_read(struct scan *r, struct partial *p)
{
	read_space(r);
	/* rfc9394:3.1 knows one range. */
	if (p->first != 0)
		scan_fail(r, "one PARTIAL");
	p->from_end = scan_skip(r, '-');
	p->first = read_nz_number(r);
	scan_expect(r, ":");
	if (p->from_end)
		scan_expect(r, "-");
	p->last = read_nz_number(r);
}

/* modifier-update = "UPDATE" [SP "(" fetch-att *(SP fetch-att) ")"]   rfc5465:8; it is read again when the command is
   gone: by contexts_add(). */
static void
update_read(struct imap *s, struct scan *r, struct returns *w)
{
	struct bytes rest = r->rest;

	if (rest.len < 2 || rest.at[0] != ' ' || rest.at[1] != '(')
		return;
	read_space(r);
	(void)fetch_list_read(s, r, s->scratch);
	w->update = bytes_cut(rest, 1, rest.len - r->rest.len - 1);
}

void
returns_read(struct imap *s, struct scan *r, struct returns *w)
{
	if (!scan_skip_word(r, "RETURN "))
		return;
	w->extended = true;
	scan_expect(r, "(");
	while (scan_ok(r) && !scan_next_is(r, ')')) {
		struct bytes word = read_atom(r);
		size_t       i = 0;
		while (i < COUNT(options) && !bytes_is(word, options[i].word))
			i++;
		if (i == COUNT(options)) {
			scan_fail(r, "a RETURN option");
			return;
		}
		if (options[i].bit == RETURN_PARTIAL)
			partial_read(r, &w->partial);
		if (options[i].bit == RETURN_UPDATE)
			update_read(s, r, w);
		w->give |= options[i].bit;
		if (!scan_skip(r, ' '))
			break;
	}
	scan_expect(r, ")");
	if ((w->give & RETURN_PARTIAL) && (w->give & RETURN_ALL))
		scan_fail(r, "PARTIAL or ALL");
	if (w->give == 0)
		w->give = RETURN_ALL;
	read_space(r);
}

bool
returns_charset(struct imap *s, struct scan *r, struct bytes *charset)
{
	struct bytes name = read_astring(r, s->scratch);

	*charset = (struct bytes){ 0 };
	if (!bytes_is(name, "UTF-8") && !bytes_is(name, "US-ASCII")) {
		if (!charset_known(name))
			return false;
		*charset = name;
	}
	return true;
}

bool
returns_program(struct imap *s, struct scan *r, const struct returns *w, struct program *program)
{
	bool known = true;

	if (scan_skip_word(r, "CHARSET ")) {
		/* rfc6855:3: who enabled UTF-8 speaks nothing else. */
		if (s->utf8)
			scan_fail(r, "no CHARSET after ENABLE UTF8=ACCEPT");
		known = returns_charset(s, r, &program->charset);
		read_space(r);
	}
	program_read(r, s->scratch, program);
	if ((w->give & RETURN_RELEVANCY) && !program->fuzzy)
		scan_fail(r, "RELEVANCY with a FUZZY key");
	if (s->uidonly && program->numbers)
		scan_fail(r, NUMBERS_ARE_PAST);
	return known;
}

enum imap_step
returns_bad_charset(struct imap *s)
{
	struct buffer  names = { 0 };
	enum imap_step step;

	charset_names(&names);
	step = imap_no(s, "[BADCHARSET (%.*s)] Unknown charset.", (int)names.len, names.at);
	buffer_free(&names);
	return step;
}

/* ---- a result --------------------------------------------------------------------- */

uint32_t
result_first(const struct result *r)
{
	return r->list != NULL ? r->list[0] : r->set.range[0].first;
}

uint32_t
result_last(const struct result *r)
{
	return r->list != NULL ? r->list[r->count - 1] : r->set.range[r->set.count - 1].last;
}

struct uid_set
result_numbers(struct imap *s, struct view *view, const struct uid_set *uids)
{
	struct uid_range *range;

	if (s->uid)
		return *uids;
	/* Each range is of uids that are all there, so its numbers follow one another. */
	range = arena_take_array(s->scratch, uids->count + 1, sizeof *range);
	for (size_t i = 0; i < uids->count; i++) {
		uint32_t width = uids->range[i].last - uids->range[i].first;
		range[i].first = view_number(view, uids->range[i].first);
		range[i].last = range[i].first + width;
	}
	return (struct uid_set){ range, uids->count };
}

/* Places from..to (from 0) of the result, as a sequence-set in its order. */
static void
say_list(const uint32_t *list, uint64_t from, uint64_t to, struct buffer *out)
{
	for (uint64_t i = from; i < to;) {
		uint64_t end = i + 1;
		while (end < to && list[end] == list[end - 1] + 1)
			end++;
		if (i > from)
			buffer_add_char(out, ',');
		buffer_add_number(out, list[i]);
		if (end - i > 1) {
			buffer_add_char(out, ':');
			buffer_add_number(out, list[end - 1]);
		}
		i = end;
	}
}

/* The same of ascending ranges, of which the places cut off pieces. */
static void
say_ranges(const struct uid_set *set, uint64_t from, uint64_t to, struct buffer *out)
{
	bool     any = false;
	uint64_t at = 0;

	for (size_t i = 0; i < set->count && at < to; i++) {
		uint64_t width = (uint64_t)set->range[i].last - set->range[i].first + 1;
		uint64_t first = from > at ? from - at : 0;
		uint64_t last = to - at < width ? to - at : width;

		at += width;
		if (first >= last)
			continue;
		if (any)
			buffer_add_char(out, ',');
		any = true;
		buffer_add_number(out, set->range[i].first + first);
		if (last - first > 1) {
			buffer_add_char(out, ':');
			buffer_add_number(out, set->range[i].first + last - 1);
		}
	}
}

static void
say_places(const struct result *r, uint64_t from, uint64_t to, struct buffer *out)
{
	if (r->list != NULL)
		say_list(r->list, from, to, out);
	else
		say_ranges(&r->set, from, to, out);
}

/* Which places PARTIAL names: from..to, none when they are equal. */
static void
partial_places(const struct partial *w, uint64_t count, uint64_t *from, uint64_t *to)
{
	uint64_t low = w->first < w->last ? w->first : w->last;
	uint64_t high = w->first < w->last ? w->last : w->first;

	if (high > count)
		high = count;
	*from = *to = 0;
	if (low > count)
		return;
	*from = w->from_end ? count - high : low - 1;
	*to = w->from_end ? count - low + 1 : high;
}

/* score-list   rfc6203:7; of the places that are told */
static void
say_scores(const struct returns *w, const struct result *r, struct buffer *out)
{
	uint64_t from = 0, to = r->count;

	if (w->give & RETURN_PARTIAL)
		partial_places(&w->partial, r->count, &from, &to);
	buffer_add_string(out, " RELEVANCY (");
	for (uint64_t i = from; i < to; i++) {
		if (i > from)
			buffer_add_char(out, ' ');
		buffer_add_number(out, r->score[i]);
	}
	buffer_add_char(out, ')');
}

void
returns_say(struct imap *s, const struct returns *w, const struct result *r, struct buffer *out)
{
	buffer_add_string(out, "* ESEARCH (TAG ");
	write_string(out, s->tag);
	if (w->mailbox != NULL) {
		buffer_add_string(out, " MAILBOX ");
		imap_write_mailbox(s, w->mailbox);
		buffer_printf(out, " UIDVALIDITY %u", w->uidvalidity);
	}
	buffer_add_string(out, s->uid ? ") UID" : ")");
	if (r->count > 0) {
		if (w->give & RETURN_MIN)
			buffer_printf(out, " MIN %u", result_first(r));
		if (w->give & RETURN_MAX)
			buffer_printf(out, " MAX %u", result_last(r));
		if (w->give & RETURN_ALL) {
			buffer_add_string(out, " ALL ");
			say_places(r, 0, r->count, out);
		}
	}
	if (w->give & RETURN_COUNT)
		buffer_printf(out, " COUNT %llu", (unsigned long long)r->count);
	if (w->give & RETURN_PARTIAL) {
		const struct partial *p = &w->partial;
		const char           *sign = p->from_end ? "-" : "";
		uint64_t              from, to;

		partial_places(&w->partial, r->count, &from, &to);
		buffer_printf(out, " PARTIAL (%s%u:%s%u ", sign, p->first, sign, p->last);
		if (from == to)
			buffer_add_string(out, "NIL");
		say_places(r, from, to, out);
		buffer_add_char(out, ')');
	}
	if ((w->give & RETURN_RELEVANCY) && r->score != NULL && r->count > 0)
		say_scores(w, r, out);
}

static uint64_t
modseq_of(struct imap *s, struct view *view, uint32_t n)
{
	struct entry e;

	return view_find(view, s->uid ? n : view_uid(view, n), &e) ? e.modseq : 0;
}

/* Of MIN and MAX alone, the modseq of what they name. */
void
returns_say_modseq(struct imap *s, const struct returns *w, struct view *view,
                   const struct result *r, uint64_t highest)
{
	uint64_t low = 0, high = highest;

	if (!(w->give & (RETURN_ALL | RETURN_COUNT | RETURN_PARTIAL))) {
		low = w->give & RETURN_MIN ? modseq_of(s, view, result_first(r)) : 0;
		high = w->give & RETURN_MAX ? modseq_of(s, view, result_last(r)) : 0;
	}
	buffer_printf(imap_out(s), " MODSEQ %llu", (unsigned long long)(low > high ? low : high));
}

/* Places from..to of ascending ranges, in other words ranges again. */
static void
cut_ranges(const struct uid_set *set, uint64_t from, uint64_t to, struct ranges *out)
{
	uint64_t at = 0;

	for (size_t i = 0; i < set->count && at < to; i++) {
		uint64_t width = (uint64_t)set->range[i].last - set->range[i].first + 1;
		uint64_t first = from > at ? from - at : 0;
		uint64_t last = to - at < width ? to - at : width;

		at += width;
		if (first < last)
			ranges_add(out, set->range[i].first + (uint32_t)first,
			           set->range[i].first + (uint32_t)last - 1);
	}
}

uint64_t
partial_span(const struct partial *p)
{
	if (p->first == 0)
		return 0;
	return (p->first < p->last ? p->last - p->first : p->first - p->last) + (uint64_t)1;
}

struct uid_set
partial_cut(struct imap *s, const struct partial *p, const struct uid_set *uids)
{
	struct ranges     numbers = { 0 }, kept = { 0 };
	struct uid_set    known;
	struct uid_range *range;
	uint64_t          from, to;

	/* What the client knows of each range has numbers that follow one another. */
	for (size_t i = 0; i < uids->count; i++) {
		uint32_t first = view_next(s->view, uids->range[i].first), last = 0;

		if (first == 0 || first > uids->range[i].last)
			continue;
		if (uids->range[i].last < UINT32_MAX)
			last = view_next(s->view, uids->range[i].last + 1);
		ranges_add(&numbers, view_number(s->view, first),
		           last != 0 ? view_number(s->view, last) - 1 : view_count(s->view));
	}
	known = ranges_set(&numbers);
	partial_places(p, uid_set_size(&known), &from, &to);
	cut_ranges(&known, from, to, &kept);
	range = arena_take_array(s->scratch, kept.count + 1, sizeof *range);
	for (size_t i = 0; i < kept.count; i++)
		range[i] = (struct uid_range){ view_uid(s->view, kept.at[i].first),
			                       view_uid(s->view, kept.at[i].last) };
	known = (struct uid_set){ range, kept.count };
	ranges_free(&numbers);
	ranges_free(&kept);
	return known;
}

/* rfc5182:2.1, rfc9394:3.2: all, unless MIN, MAX or PARTIAL alone were asked: then what they name. */
void
returns_save(struct imap *s, const struct returns *w, const struct uid_set *found,
             const uint32_t *order)
{
	const struct result r = { .set = *found, .list = order, .count = uid_set_size(found) };
	uint64_t            from = 0, to = 0;

	ranges_free(&s->saved);
	if (r.count == 0)
		return;
	if ((w->give & (RETURN_ALL | RETURN_COUNT)) ||
	    !(w->give & (RETURN_MIN | RETURN_MAX | RETURN_PARTIAL))) {
		ranges_add_set(&s->saved, found);
		return;
	}
	if (w->give & RETURN_MIN)
		ranges_add(&s->saved, result_first(&r), result_first(&r));
	if (w->give & RETURN_MAX)
		ranges_add(&s->saved, result_last(&r), result_last(&r));
	if (w->give & RETURN_PARTIAL)
		partial_places(&w->partial, r.count, &from, &to);
	if (order == NULL)
		cut_ranges(found, from, to, &s->saved);
	for (; order != NULL && from < to; from++)
		ranges_add(&s->saved, order[from], order[from]);
}
