#include "access/imap/program.h"

#include <string.h>

#include "access/imap/objectid.h"
#include "access/imap/ranges.h"
#include "access/imap/resync.h"
#include "message/charset.h"
#include "message/date.h"
#include "message/encoding.h"

enum { WORDS_MOST = 16 };

/* ---- judging ---------------------------------------------------------------- */

static enum truth
truth_of(bool yes)
{
	return yes ? TRUE : FALSE;
}

static enum truth
judge_all(const struct leaf *l, struct searched *m)
{
	(void)l;
	(void)m;
	return TRUE;
}

static enum truth
judge_flags(const struct leaf *l, struct searched *m)
{
	return truth_of((m->entry.flags & l->key->flags) == l->key->wanted);
}

static enum truth
judge_keyword(const struct leaf *l, struct searched *m)
{
	bool has = l->number > 0 && mailbox_flags_have(m->mailbox, m->entry.flags, (int)l->number);
	return truth_of(has == (l->key->wanted != 0));
}

static enum truth
judge_recent(const struct leaf *l, struct searched *m)
{
	return truth_of(m->recent == (l->key->wanted != 0));
}

static enum truth
judge_new(const struct leaf *l, struct searched *m)
{
	(void)l;
	return truth_of(m->recent && !(m->entry.flags & FLAG_SEEN));
}

static enum truth
judge_set(const struct leaf *l, struct searched *m)
{
	return truth_of(uid_set_holds(&l->set, m->entry.uid));
}

static enum truth
judge_beyond(const struct leaf *l, struct searched *m)
{
	return truth_of(l->key->wanted != 0 ? m->entry.uid > l->number : m->entry.uid < l->number);
}

static enum truth
judge_modseq(const struct leaf *l, struct searched *m)
{
	return truth_of(m->entry.modseq >= l->number);
}

static enum truth
judge_size(const struct leaf *l, struct searched *m)
{
	uint64_t size = m->entry.size;

	if (m->letter->depth >= LETTER_ROW)
		size = m->letter->message.size;
	else if (size == UINT32_MAX)
		return UNKNOWN; /* that, or more */
	return truth_of(l->key->wanted ? size > l->number : size < l->number);
}

/* The day in the zone the date was given in: rfc3501:6.4.4 disregards time and zone. */
static int64_t
day_of(int64_t seconds, int32_t zone)
{
	int64_t local = seconds + (int64_t)zone * 60;
	return local >= 0 ? local / 86400 : -((86399 - local) / 86400);
}

enum { BEFORE = 1, ON = 2, SINCE = 3 };

static enum truth
compare_day(const struct leaf *l, int64_t day)
{
	int64_t asked = (int64_t)l->number;

	return truth_of(l->key->wanted == BEFORE ? day < asked
	                : l->key->wanted == ON   ? day == asked
	                                         : day >= asked);
}

/* When it came, from wherever that is known already. */
static bool
arrived_of(const struct searched *m, int64_t *seconds, int32_t *zone)
{
	bool deep = m->letter->depth >= LETTER_ROW;

	if (!deep && m->row == NULL)
		return false;
	*seconds = deep ? m->letter->message.internal_date : m->row->arrived;
	*zone = deep ? m->letter->message.zone : m->row->zone;
	return true;
}

static enum truth
judge_arrived(const struct leaf *l, struct searched *m)
{
	int64_t seconds;
	int32_t zone;

	return arrived_of(m, &seconds, &zone) ? compare_day(l, day_of(seconds, zone)) : UNKNOWN;
}

/* rfc8514:4.3; the date is told in UTC */
static enum truth
judge_saved(const struct leaf *l, struct searched *m)
{
	if (m->letter->depth < LETTER_ROW)
		return UNKNOWN;
	return compare_day(l, day_of(letter_saved(m->letter, &m->entry), 0));
}

/* rfc8474:6: capitals matter. */
static enum truth
judge_object(const struct leaf *l, struct searched *m)
{
	struct buffer id = { 0 };
	bool          same;

	if (m->letter->depth < (l->key->wanted ? LETTER_DIGEST : LETTER_ROW))
		return UNKNOWN;
	if (l->key->wanted)
		objectid_thread(&id, m->letter);
	else
		objectid_email(&id, &m->letter->message);
	same = bytes_equal(buffer_bytes(&id), l->text);
	buffer_free(&id);
	return truth_of(same);
}

static enum truth
judge_sent(const struct leaf *l, struct searched *m)
{
	const struct digest *d = &m->letter->digest;

	if (m->row != NULL)
		return m->row->flags & ROW_HAS_DATE
		               ? compare_day(l, day_of(m->row->sent, m->row->sent_zone))
		               : FALSE;
	if (m->letter->depth < LETTER_DIGEST)
		return UNKNOWN;
	return d->flags & DIGEST_HAS_DATE ? compare_day(l, day_of(d->sent, d->sent_zone)) : FALSE;
}

/* rfc5032:3 */
static enum truth
judge_age(const struct leaf *l, struct searched *m)
{
	int64_t age;
	int32_t zone;

	if (!arrived_of(m, &age, &zone))
		return UNKNOWN;
	age = m->now - age;
	return truth_of(l->key->wanted ? age <= (int64_t)l->number : age >= (int64_t)l->number);
}

static bool
says(const struct leaf *l, struct searched *m, struct bytes text)
{
	return l->folded.len == 0 || bytes_search(search_fold(m->scratch, text), l->folded) >= 0;
}

/* Decoded header fields the digest has. */
static const struct {
	const char *field;
	size_t      where;
} digested[FIELDS_DIGESTED] = {
	[COLUMN_SUBJECT] = { "SUBJECT", offsetof(struct digest, subject) },
	[COLUMN_FROM] = { "FROM", offsetof(struct digest, from) },
	[COLUMN_TO] = { "TO", offsetof(struct digest, to) },
	[COLUMN_CC] = { "CC", offsetof(struct digest, cc) },
	[COLUMN_BCC] = { "BCC", offsetof(struct digest, bcc) },
};

/* Does one of our own fields before the content say it? */
static bool
own_field_says(const struct leaf *l, struct searched *m, struct bytes name)
{
	return search_own_says(search_fold(m->scratch, letter_own(m->letter)), name, l->folded);
}

/* What the text index knows of this message. */
static enum truth
indexed(const struct leaf *l, const struct searched *m)
{
	if (l->texts == NULL || m->text_at < 0 || (uint64_t)m->text_at >= l->texts_limit)
		return UNKNOWN;
	return truth_of(l->texts[m->text_at / 64] >> (m->text_at % 64) & 1);
}

/* One field is folded once, however many keys ask for it. */
static enum truth
judge_digested(const struct leaf *l, struct searched *m, size_t i)
{
	const char *at = (const char *)&m->letter->digest + digested[i].where;

	if (m->folded[i].at == NULL) {
		m->folded[i] = search_fold(m->scratch, *(const struct bytes *)(const void *)at);
		if (m->folded[i].at == NULL)
			m->folded[i] = BYTES("");
	}
	if (bytes_search(m->folded[i], l->folded) >= 0)
		return TRUE;
	return m->letter->digest.flags & DIGEST_CUT_SHORT ? UNKNOWN : FALSE;
}

/* The digest has the id of a letter; a comment beside it only the content. */
static enum truth
judge_message_id(const struct leaf *l, struct searched *m)
{
	struct bytes id = m->letter->digest.message_id;

	if (says(l, m, id))
		return TRUE;
	return id.len > 0 && bytes_find(l->text, '@') >= 0 ? FALSE : UNKNOWN;
}

static enum truth
judge_header(const struct leaf *l, struct searched *m)
{
	struct bytes field = l->field.len > 0 ? l->field : bytes_of(l->key->name);
	enum column  column = leaf_column(l);
	enum truth   truth;

	if (l->hits != NULL && m->row != NULL && m->row_at < l->hits_rows &&
	    !(m->row->flags & (ROW_DAMAGED | (uint32_t)ROW_LONG << column)))
		return truth_of(l->hits[m->row_at / 64] >> (m->row_at % 64) & 1);
	if ((truth = indexed(l, m)) != UNKNOWN)
		return truth;
	if (m->letter->depth < LETTER_DIGEST)
		return UNKNOWN;
	if (column != COLUMNS)
		return judge_digested(l, m, column);
	if (l->text.len > 0 && bytes_is(field, "MESSAGE-ID"))
		return judge_message_id(l, m);
	return own_field_says(l, m, field) ? TRUE : UNKNOWN;
}

static enum truth
judge_body(const struct leaf *l, struct searched *m)
{
	return l->text.len == 0 ? TRUE : indexed(l, m); /* rfc3501:6.4.4: any body holds nothing */
}

static enum truth
judge_text(const struct leaf *l, struct searched *m)
{
	enum truth truth = l->text.len == 0 ? TRUE : indexed(l, m);

	if (truth != UNKNOWN || m->letter->depth < LETTER_DIGEST)
		return truth;
	return says(l, m, letter_own(m->letter)) ? TRUE : UNKNOWN;
}

/* search-key   rfc3501:9, in the order of the alphabet */
/* clang-format off */
static const struct search_key keys[] = {
	{ "ALL",        TAKES_NOTHING, judge_all, 0, 0 },
	{ "ANSWERED",   TAKES_NOTHING, judge_flags, FLAG_ANSWERED, FLAG_ANSWERED },
	{ "BCC",        TAKES_STRING,  judge_header, 0, 0 },
	{ "BEFORE",     TAKES_DATE,    judge_arrived, 0, BEFORE },
	{ "BODY",       TAKES_STRING,  judge_body, 0, 0 },
	{ "CC",         TAKES_STRING,  judge_header, 0, 0 },
	{ "DELETED",    TAKES_NOTHING, judge_flags, FLAG_DELETED, FLAG_DELETED },
	{ "DRAFT",      TAKES_NOTHING, judge_flags, FLAG_DRAFT, FLAG_DRAFT },
	{ "EMAILID",    TAKES_OBJECTID, judge_object, 0, 0 },
	{ "FLAGGED",    TAKES_NOTHING, judge_flags, FLAG_FLAGGED, FLAG_FLAGGED },
	{ "FROM",       TAKES_STRING,  judge_header, 0, 0 },
	{ "HEADER",     TAKES_FIELD,   judge_header, 0, 0 },
	{ "KEYWORD",    TAKES_KEYWORD, judge_keyword, 0, 1 },
	{ "LARGER",     TAKES_NUMBER,  judge_size, 0, 1 },
	{ "MODSEQ",     TAKES_MODSEQ,  judge_modseq, 0, 0 },
	{ "NEW",        TAKES_NOTHING, judge_new, 0, 0 },
	{ "OLD",        TAKES_NOTHING, judge_recent, 0, 0 },
	{ "OLDER",      TAKES_NUMBER,  judge_age, 0, 0 },
	{ "ON",         TAKES_DATE,    judge_arrived, 0, ON },
	{ "RECENT",     TAKES_NOTHING, judge_recent, 0, 1 },
	{ "SAVEDATESUPPORTED", TAKES_NOTHING, judge_all, 0, 0 },
	{ "SAVEDBEFORE", TAKES_DATE,   judge_saved, 0, BEFORE },
	{ "SAVEDON",    TAKES_DATE,    judge_saved, 0, ON },
	{ "SAVEDSINCE", TAKES_DATE,    judge_saved, 0, SINCE },
	{ "SEEN",       TAKES_NOTHING, judge_flags, FLAG_SEEN, FLAG_SEEN },
	{ "SENTBEFORE", TAKES_DATE,    judge_sent, 0, BEFORE },
	{ "SENTON",     TAKES_DATE,    judge_sent, 0, ON },
	{ "SENTSINCE",  TAKES_DATE,    judge_sent, 0, SINCE },
	{ "SINCE",      TAKES_DATE,    judge_arrived, 0, SINCE },
	{ "SMALLER",    TAKES_NUMBER,  judge_size, 0, 0 },
	{ "SUBJECT",    TAKES_STRING,  judge_header, 0, 0 },
	{ "TEXT",       TAKES_STRING,  judge_text, 0, 0 },
	{ "THREADID",   TAKES_OBJECTID, judge_object, 0, 1 },
	{ "TO",         TAKES_STRING,  judge_header, 0, 0 },
	{ "UID",        TAKES_UIDS,    judge_set, 0, 0 },
	{ "UIDAFTER",   TAKES_UID,     judge_beyond, 0, 1 },
	{ "UIDBEFORE",  TAKES_UID,     judge_beyond, 0, 0 },
	{ "UNANSWERED", TAKES_NOTHING, judge_flags, FLAG_ANSWERED, 0 },
	{ "UNDELETED",  TAKES_NOTHING, judge_flags, FLAG_DELETED, 0 },
	{ "UNDRAFT",    TAKES_NOTHING, judge_flags, FLAG_DRAFT, 0 },
	{ "UNFLAGGED",  TAKES_NOTHING, judge_flags, FLAG_FLAGGED, 0 },
	{ "UNKEYWORD",  TAKES_KEYWORD, judge_keyword, 0, 0 },
	{ "UNSEEN",     TAKES_NOTHING, judge_flags, FLAG_SEEN, 0 },
	{ "YOUNGER",    TAKES_NUMBER,  judge_age, 0, 1 },
};
/* clang-format on */
static const struct search_key numbers_key = { "a sequence set", TAKES_SEQUENCE, judge_set, 0, 0 };

enum column
leaf_column(const struct leaf *l)
{
	struct bytes field = l->field.len > 0 ? l->field : bytes_of(l->key->name);

	for (enum column i = 0; l->key->judge == judge_header && l->text.len > 0 && i <= COLUMN_BCC;
	     i++)
		if (bytes_is(field, digested[i].field))
			return i;
	return COLUMNS;
}

bool
leaf_asks_digest(const struct leaf *l)
{
	return l->key->judge == judge_sent || leaf_column(l) != COLUMNS;
}

bool
leaf_asks_content(const struct leaf *l)
{
	return (l->key->judge == judge_header && leaf_column(l) == COLUMNS) ||
	       ((l->key->judge == judge_body || l->key->judge == judge_text) && l->text.len > 0);
}

enum search_where
leaf_where(const struct leaf *l, struct bytes *field)
{
	*field = l->field.len > 0 ? l->field : bytes_of(l->key->name);
	return l->key->judge == judge_body   ? SEARCH_BODY
	       : l->key->judge == judge_text ? SEARCH_TEXT
	                                     : SEARCH_HEADER;
}

enum truth
program_truth(const struct program *p, const enum truth *value)
{
	size_t top = 0;

	for (size_t i = 0; i < p->steps; i++) {
		const struct program_step *step = &p->step[i];
		enum truth                 sum = step->join == JOIN_EITHER ? FALSE : TRUE;
		enum truth                 settles = step->join == JOIN_EITHER ? TRUE : FALSE;
		if (step->join == JOIN_LEAF) {
			p->stack[top++] = value[step->n];
			continue;
		}
		if (step->join == JOIN_NOT) {
			enum truth *one = &p->stack[top - 1];
			*one = *one == UNKNOWN ? UNKNOWN : truth_of(*one == FALSE);
			continue;
		}
		for (uint32_t k = 0; k < step->n; k++) {
			enum truth one = p->stack[--top];
			if (one == settles || sum == settles)
				sum = settles;
			else if (one == UNKNOWN)
				sum = UNKNOWN;
		}
		p->stack[top++] = sum;
	}
	return p->stack[0];
}

/* ---- which messages can be meant at all ---- */

static struct uid_set
all_uids(struct arena *arena, uint32_t first, uint32_t last)
{
	struct uid_range *range = arena_take(arena, sizeof *range);

	*range = (struct uid_range){ first, last };
	return (struct uid_set){ range, first <= last ? 1 : 0 };
}

static struct uid_set
either_of(struct arena *arena, const struct uid_set *a, const struct uid_set *b)
{
	struct ranges     both = { 0 };
	struct uid_range *range;
	size_t            n;

	ranges_add_set(&both, a);
	ranges_add_set(&both, b);
	n = both.count;
	range = arena_take_array(arena, n + 1, sizeof *range);
	for (size_t i = 0; i < n; i++)
		range[i] = both.at[i];
	ranges_free(&both);
	return (struct uid_set){ range, n };
}

static struct uid_set
leaf_uids(const struct leaf *l, struct arena *arena)
{
	if (l->key->takes == TAKES_SEQUENCE || l->key->takes == TAKES_UIDS)
		return l->set;
	if (l->key->takes != TAKES_UID)
		return all_uids(arena, 1, UINT32_MAX);
	if (l->key->wanted == 0)
		return all_uids(arena, 1, (uint32_t)l->number - 1);
	return l->number < UINT32_MAX ? all_uids(arena, (uint32_t)l->number + 1, UINT32_MAX)
	                              : (struct uid_set){ 0 };
}

struct uid_set
program_uids(const struct program *p, struct arena *arena)
{
	struct uid_set *stack = arena_take_array(arena, p->most + 1, sizeof *stack);
	size_t          top = 0;

	for (size_t i = 0; i < p->steps; i++) {
		const struct program_step *step = &p->step[i];
		if (step->join == JOIN_LEAF) {
			stack[top++] = leaf_uids(&p->leaf[step->n], arena);
			continue;
		}
		if (step->join == JOIN_NOT) {
			stack[top - 1] = all_uids(arena, 1, UINT32_MAX);
			continue;
		}
		for (uint32_t k = 1; k < step->n; k++, top--)
			stack[top - 2] =
				step->join == JOIN_ALL
					? resync_common(arena, &stack[top - 2], &stack[top - 1])
					: either_of(arena, &stack[top - 2], &stack[top - 1]);
	}
	return stack[0];
}

/* Of each fuzzy text: all of it counts 100, its words together half of that. */
uint8_t
program_score(const struct program *p, const enum truth *value)
{
	uint32_t sum = 0, texts = 0;

	for (size_t i = 0; i < p->leaves; i++) {
		const struct leaf *l = &p->leaf[i];
		uint32_t           found = 0;

		if (!l->fuzzy)
			continue;
		texts++;
		for (uint32_t k = 1; k <= l->pieces; k++)
			found += value[i + k] == TRUE;
		sum += value[i] == TRUE ? 100 : l->pieces == 0 ? 0 : 50 * found / l->pieces;
	}
	return texts == 0 ? 100 : sum < texts ? 1 : (uint8_t)(sum / texts);
}

static void
leaf_keep(const struct leaf *l, struct arena *a, struct leaf *out)
{
	bool              fixed = l->key->takes == TAKES_SEQUENCE || l->sequence.saved;
	struct uid_range *set = arena_take_array(a, l->set.count + 1, sizeof *set);

	*out = *l;
	out->text = arena_keep(a, l->text);
	out->folded = arena_keep(a, l->folded);
	out->field = arena_keep(a, l->field);
	out->keyword = arena_keep(a, l->keyword);
	for (size_t i = 0; i < l->set.count; i++)
		set[i] = l->set.range[i];
	out->set.range = set;
	if (fixed)
		out->sequence = (struct sequence){ 0 };
	else if (l->sequence.count > 0) {
		struct sequence_range *range =
			arena_take_array(a, l->sequence.count, sizeof *range);
		memcpy(range, l->sequence.range, l->sequence.count * sizeof *range);
		out->sequence.range = range;
	}
}

void
program_keep(const struct program *p, struct arena *a, struct program *out)
{
	*out = *p;
	out->most = p->leaves;
	out->leaf = arena_take_array(a, p->leaves + 1, sizeof *out->leaf);
	out->step = arena_take_array(a, p->steps + 1, sizeof *out->step);
	out->stack = arena_take_array(a, p->leaves + 1, sizeof *out->stack);
	memcpy(out->step, p->step, p->steps * sizeof *out->step);
	for (size_t i = 0; i < p->leaves; i++)
		leaf_keep(&p->leaf[i], a, &out->leaf[i]);
}

/* ---- reading ---------------------------------------------------------------- */

static void
read_text(struct scan *r, struct arena *arena, struct leaf *l, struct bytes charset)
{
	struct buffer utf8 = { 0 };

	read_space(r);
	l->text = read_astring(r, arena);
	if (scan_ok(r) && charset.len > 0 && l->text.len > 0) {
		charset_to_utf8(charset, l->text, SIZE_MAX, &utf8);
		l->text = arena_keep(arena, buffer_bytes(&utf8));
		buffer_free(&utf8);
	}
	if (scan_ok(r))
		l->folded = search_fold(arena, l->text);
}

/* date = date-text / DQUOTE date-text DQUOTE */
static void
read_date(struct scan *r, struct arena *arena, struct leaf *l)
{
	int64_t      day = 0;
	struct bytes text;

	read_space(r);
	text = scan_next_is(r, '"') ? read_quoted(r, arena) : read_atom(r);
	if (scan_ok(r) && !imap_date_parse(text, &day))
		scan_fail(r, "a date");
	l->number = (uint64_t)day;
}

/* search-modsequence = "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer   rfc7162:7
   We keep one modseq for all flags of a message, so the entry makes no difference. */
static void
read_modseq_key(struct scan *r, struct arena *arena, struct leaf *l, struct program *p)
{
	read_space(r);
	if (scan_next_is(r, '"')) {
		(void)read_quoted(r, arena);
		read_space(r);
		if (!scan_skip_word(r, "priv") && !scan_skip_word(r, "shared"))
			scan_expect(r, "all");
		read_space(r);
	}
	l->number = read_modseq(r);
	p->modseq = true;
}

static void
read_argument(struct scan *r, struct arena *arena, struct leaf *l, struct program *p)
{
	switch (l->key->takes) {
	case TAKES_NOTHING: return;
	case TAKES_FIELD:
		read_space(r);
		l->field = read_astring(r, arena);
		if (scan_ok(r) && l->field.len == 0)
			scan_fail(r, "a field name");
		read_text(r, arena, l, p->charset);
		return;
	case TAKES_STRING: read_text(r, arena, l, p->charset); return;
	case TAKES_DATE: read_date(r, arena, l); return;
	case TAKES_NUMBER:
		read_space(r);
		l->number = scan_number(r, INT64_MAX);
		return;
	case TAKES_KEYWORD:
		read_space(r);
		l->keyword = read_atom(r);
		return;
	case TAKES_UIDS:
		read_space(r);
		l->sequence = read_sequence(r, arena);
		return;
	case TAKES_UID: /* rfc9738:3.2 */
		read_space(r);
		l->number = read_nz_number(r);
		return;
	case TAKES_OBJECTID:
		read_space(r);
		l->text = read_atom(r);
		return;
	case TAKES_SEQUENCE:
		l->sequence = read_sequence(r, arena);
		p->numbers |= !l->sequence.saved;
		return;
	case TAKES_MODSEQ: read_modseq_key(r, arena, l, p); return;
	}
}

static void
add_step(struct program *p, enum join join, size_t n)
{
	p->step[p->steps++] = (struct program_step){ join, (uint32_t)n };
}

/* A word of a fuzzy text: a leaf of its own. */
static void
add_piece(struct program *p, const struct leaf *whole, struct bytes word)
{
	struct leaf *l = &p->leaf[p->leaves];

	*l = *whole;
	l->fuzzy = false;
	l->pieces = 0;
	l->text = l->folded = word;
	add_step(p, JOIN_LEAF, p->leaves++);
}

/* Without the accents that were decomposed from it (U+0300 to U+036F); the same bytes when there are none. */
static struct bytes
without_accents(struct arena *arena, struct bytes word)
{
	char  *plain = arena_take_array(arena, word.len + 1, 1);
	size_t n = 0;

	for (size_t i = 0; i < word.len; i++) {
		unsigned char c = (unsigned char)word.at[i];
		unsigned char next = i + 1 < word.len ? (unsigned char)word.at[i + 1] : 0;
		if (c == 0xcc || (c == 0xcd && next < 0xb0))
			i++;
		else
			plain[n++] = word.at[i];
	}
	return n == word.len || n == 0 ? word : (struct bytes){ plain, n };
}

/* "FUZZY" SP search-key of a text (rfc6203): all of it, or each word of it. */
static void
add_pieces(struct arena *arena, struct program *p, size_t at)
{
	struct bytes rest = p->leaf[at].folded, word;
	uint32_t     words = 0;

	p->leaf[at].fuzzy = true;
	while (words < WORDS_MOST && bytes_split(&rest, ' ', &word)) {
		struct bytes plain;

		if (word.len == 0)
			continue;
		plain = without_accents(arena, word);
		if (p->leaves + 2 > p->most)
			break;
		add_piece(p, &p->leaf[at], word);
		if (plain.len != word.len) {
			add_piece(p, &p->leaf[at], plain);
			add_step(p, JOIN_EITHER, 2);
		}
		words++;
	}
	p->leaf[at].pieces = (uint32_t)(p->leaves - at - 1);
	if (words == 0)
		return;
	add_step(p, JOIN_ALL, words);
	add_step(p, JOIN_EITHER, 2);
}

/* One key that joins nothing. */
static void
read_leaf(struct scan *r, struct arena *arena, struct program *p, bool fuzzy)
{
	bool digit = r->rest.len > 0 && ((r->rest.at[0] >= '0' && r->rest.at[0] <= '9') ||
	                                 r->rest.at[0] == '*' || r->rest.at[0] == '$');

	struct leaf *l;

	if (p->leaves == p->most) {
		scan_fail(r, "fewer search keys");
		return;
	}
	l = &p->leaf[p->leaves];
	if (digit) {
		l->key = &numbers_key;
	} else {
		struct scan  at_key = *r;
		struct bytes name = read_atom(r);
		for (size_t i = 0; i < COUNT(keys); i++)
			if (bytes_is(name, keys[i].name))
				l->key = &keys[i];
		if (l->key == NULL && scan_ok(r)) {
			*r = at_key;
			scan_fail(r, "a search key");
		}
	}
	if (!scan_ok(r))
		return;
	read_argument(r, arena, l, p);
	add_step(p, JOIN_LEAF, p->leaves++);
	if (fuzzy && scan_ok(r) && l->folded.len > 0)
		add_pieces(arena, p, p->leaves - 1);
}

/* What is open while we read: a list in parentheses, NOT with a key to come, OR with two. */
struct frame {
	enum join join;
	uint32_t  have;
};

/* A key is complete: so may be what waited for it.  True when another key must follow. */
static bool
key_read(struct scan *r, struct program *p, struct frame *frame, size_t *depth)
{
	while (scan_ok(r)) {
		struct frame *f = &frame[*depth - 1];
		f->have++;
		if (f->join == JOIN_ALL && scan_skip(r, ' '))
			return true;
		if (f->join == JOIN_EITHER && f->have == 1) {
			read_space(r);
			return true;
		}
		/* This frame is complete. */
		add_step(p, f->join == JOIN_FUZZY ? JOIN_ALL : f->join, f->have);
		p->open_fuzzy -= f->join == JOIN_FUZZY;
		if (--*depth == 0)
			return false;
		if (f->join == JOIN_ALL)
			scan_expect(r, ")");
	}
	return false;
}

/* search-key = ... / "FUZZY" SP search-key (rfc6203:7) / "NOT" SP search-key / "OR" SP search-key SP search-key /
                "(" search-key *(SP search-key) ")"; without recursion */
void
program_read(struct scan *r, struct arena *arena, struct program *p)
{
	struct frame frame[NESTING_MOST + 1] = { { JOIN_ALL, 0 } };
	size_t       depth = 1;
	size_t       most = 1;
	bool         more = true;

	/* Each key, NOT, OR and "(" is followed or preceded by a blank or is a parenthesis. */
	for (size_t i = 0; i < r->rest.len; i++)
		most += r->rest.at[i] == ' ' || r->rest.at[i] == '(';
	/* A fuzzy text has its words as well, with accents and without. */
	most *= 3;
	p->most = most < LEAVES_MOST ? most : LEAVES_MOST;
	p->leaf = arena_take_array(arena, p->most, sizeof *p->leaf);
	p->step = arena_take_array(arena, most * 2 + 1, sizeof *p->step);
	p->stack = arena_take_array(arena, p->most, sizeof *p->stack);
	while (more && scan_ok(r)) {
		enum join join = scan_skip(r, '(')             ? JOIN_ALL
		                 : scan_skip_word(r, "NOT ")   ? JOIN_NOT
		                 : scan_skip_word(r, "OR ")    ? JOIN_EITHER
		                 : scan_skip_word(r, "FUZZY ") ? JOIN_FUZZY
		                                               : JOIN_LEAF;
		if (join == JOIN_LEAF) {
			read_leaf(r, arena, p, p->open_fuzzy > 0);
			more = key_read(r, p, frame, &depth);
		} else if (depth == NESTING_MOST + 1) {
			scan_fail(r, "less nesting");
		} else {
			frame[depth++] = (struct frame){ join, 0 };
			p->open_fuzzy += join == JOIN_FUZZY;
			p->fuzzy |= join == JOIN_FUZZY;
		}
	}
}
