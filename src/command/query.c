#include "command/query.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "access/imap/grammar.h"
#include "access/imap/pattern.h"
#include "base/clock.h"
#include "message/date.h"

enum { WORDS_MOST = 1000, DEPTH_MOST = 30 };

/* What stands behind a key. */
enum takes {
	NOTHING,
	STRING,
	FIELD,
	DATE,
	AGED_DATE,
	SIZE,
	NUMBER,
	WORD,
	SET,
	MAILBOX,
	MAILBOX_ID
};

/* clang-format off */
static const struct query_key {
	const char *name;
	enum takes  takes;
	const char *within;          /* the key for an age           */
} keys[] = {
	{ "ALL", NOTHING, 0 }, { "ANSWERED", NOTHING, 0 }, { "DELETED", NOTHING, 0 }, { "DRAFT", NOTHING, 0 },
	{ "FLAGGED", NOTHING, 0 }, { "NEW", NOTHING, 0 }, { "OLD", NOTHING, 0 }, { "RECENT", NOTHING, 0 },
	{ "SEEN", NOTHING, 0 }, { "UNANSWERED", NOTHING, 0 }, { "UNDELETED", NOTHING, 0 },
	{ "UNDRAFT", NOTHING, 0 }, { "UNFLAGGED", NOTHING, 0 }, { "UNSEEN", NOTHING, 0 },
	{ "BCC", STRING, 0 }, { "BODY", STRING, 0 }, { "CC", STRING, 0 }, { "FROM", STRING, 0 },
	{ "SUBJECT", STRING, 0 }, { "TEXT", STRING, 0 }, { "TO", STRING, 0 }, { "HEADER", FIELD, 0 },
	{ "BEFORE", AGED_DATE, "OLDER" }, { "SINCE", AGED_DATE, "YOUNGER" }, { "ON", DATE, 0 },
	{ "SENTBEFORE", DATE, 0 }, { "SENTON", DATE, 0 }, { "SENTSINCE", DATE, 0 },
	{ "SAVEDBEFORE", DATE, 0 }, { "SAVEDON", DATE, 0 }, { "SAVEDSINCE", DATE, 0 },
	{ "LARGER", SIZE, 0 }, { "SMALLER", SIZE, 0 }, { "OLDER", NUMBER, 0 }, { "YOUNGER", NUMBER, 0 },
	{ "MODSEQ", NUMBER, 0 }, { "KEYWORD", WORD, 0 }, { "UNKEYWORD", WORD, 0 }, { "UID", SET, 0 },
	{ "MAILBOX", MAILBOX, 0 }, { "MAILBOX-GUID", MAILBOX_ID, 0 },
};
/* clang-format on */
static const struct query_key numbers = { "", SET, NULL };

struct reading {
	struct query *query;
	struct arena *life;
	struct bytes *word;
	size_t        at, count;
	bool          bad;
};

static void wrong(struct reading *, const char *form, ...) __attribute__((format(printf, 2, 3)));

static void
wrong(struct reading *r, const char *form, ...)
{
	va_list list;

	if (r->bad)
		return;
	r->bad = true;
	(void)fputs("mansio: the query: ", stderr);
	va_start(list, form);
	(void)vfprintf(stderr, form, list);
	va_end(list);
	(void)fputc('\n', stderr);
}

/* ---- words ---- */

/* As a shell splits a line: blanks, both quotes, backslash. */
static void
split_line(struct reading *r, const char *line)
{
	char *to = arena_take(r->life, strlen(line) + 1);

	while (r->count < WORDS_MOST) {
		char *start = to, quote = '\0';
		while (*line == ' ' || *line == '\t')
			line++;
		if (*line == '\0')
			return;
		for (; *line != '\0' && (quote != '\0' || (*line != ' ' && *line != '\t'));
		     line++) {
			if (quote == '\0' && (*line == '"' || *line == '\''))
				quote = *line;
			else if (quote != '\0' && *line == quote)
				quote = '\0';
			else {
				line += *line == '\\' && line[1] != '\0' && quote != '\'';
				*to++ = *line;
			}
		}
		r->word[r->count++] = (struct bytes){ start, (size_t)(to - start) };
	}
}

static struct bytes
next_word(struct reading *r, const char *for_what)
{
	if (r->at < r->count)
		return r->word[r->at++];
	wrong(r, "%s wants a word behind it", for_what);
	return (struct bytes){ NULL, 0 };
}

static bool
next_is_word(struct reading *r, const char *word)
{
	if (r->at >= r->count || !bytes_is(r->word[r->at], word))
		return false;
	r->at++;
	return true;
}

/* ---- dates and sizes ---- */

static const struct unit {
	const char *name;
	uint64_t    is;
} times[] = { { "w", 604800 },   { "week", 604800 }, { "weeks", 604800 }, { "d", 86400 },
	      { "day", 86400 },  { "days", 86400 },  { "h", 3600 },       { "hour", 3600 },
	      { "hours", 3600 }, { "m", 60 },        { "min", 60 },       { "mins", 60 },
	      { "minute", 60 },  { "minutes", 60 },  { "s", 1 },          { "sec", 1 },
	      { "secs", 1 },     { "second", 1 },    { "seconds", 1 } },
  sizes[] = { { "", 1 },         { "b", 1 },        { "k", 1 << 10 },
	      { "m", 1 << 20 },  { "g", 1 << 30 },  { "t", (uint64_t)1 << 40 },
	      { "kb", 1 << 10 }, { "mb", 1 << 20 }, { "gb", 1 << 30 } };

/* A number and a unit. */
static bool
measure(struct bytes text, const struct unit *unit, size_t units, uint64_t *out)
{
	size_t   digits = 0;
	uint64_t n;

	while (digits < text.len && text.at[digits] >= '0' && text.at[digits] <= '9')
		digits++;
	if (!bytes_number(bytes_cut(text, 0, digits), &n) || n > INT64_MAX >> 41)
		return false;
	for (size_t i = 0; i < units; i++)
		if (bytes_is(bytes_cut(text, digits, text.len), unit[i].name)) {
			*out = n * unit[i].is;
			return true;
		}
	return false;
}

static struct bytes
day_text(struct reading *r, int64_t seconds)
{
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
		                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t                   t = (time_t)seconds;
	struct tm                tm = { 0 };

	(void)gmtime_r(&t, &tm);
	return bytes_of(arena_printf(r->life, "%d-%s-%04d", tm.tm_mday, months[tm.tm_mon],
	                             tm.tm_year + 1900));
}

/* "2026-11-22" */
static bool
iso_day(struct bytes text, int64_t *seconds)
{
	struct tm tm = { 0 };
	char      copy[16];
	char     *end;

	if (!bytes_string(text, copy, sizeof copy) ||
	    (end = strptime(copy, "%Y-%m-%d", &tm)) == NULL || *end != '\0')
		return false;
	*seconds = timegm(&tm);
	return true;
}

static void
read_date(struct reading *r, struct query_node *n)
{
	struct bytes text = next_word(r, n->key->name);
	int64_t      now = clock_wall(), day;
	uint64_t     number;
	bool         age = measure(text, times, COUNT(times), &number);

	if (r->bad)
		return;
	if (!age && text.len >= 9 && bytes_number(text, &number) && number <= (uint64_t)now) {
		number = (uint64_t)now - number;
		age = true;
	}
	if (age && n->key->within != NULL) {
		n->within = true;
		n->word[0] = bytes_of(arena_printf(r->life, "%llu",
		                                   (unsigned long long)(number > 0 ? number : 1)));
	} else if (age)
		n->word[0] = day_text(r, number < (uint64_t)now ? now - (int64_t)number : 0);
	else if (iso_day(text, &day))
		n->word[0] = day_text(r, day);
	else if (imap_date_parse(text, &day))
		n->word[0] = text;
	else
		wrong(r,
		      "\"%.*s\" is not a date; right would be 22-Nov-2026, 2026-11-22, or an age such as 3d",
		      (int)text.len, text.at);
}

static void
read_size(struct reading *r, struct query_node *n)
{
	struct bytes text = next_word(r, n->key->name);
	uint64_t     size;

	if (measure(text, sizes, COUNT(sizes), &size))
		n->word[0] = bytes_of(arena_printf(r->life, "%llu", (unsigned long long)size));
	else
		wrong(r, "\"%.*s\" is not a size; right would be 50k or 1M", (int)text.len,
		      text.at);
}

/* What is given on as it is must not break the line. */
static void
read_plain(struct reading *r, struct query_node *n)
{
	struct bytes text = next_word(r, n->key->name);
	bool         set = n->key->takes == SET;

	n->word[0] = text;
	for (size_t i = 0; i < text.len; i++)
		if (n->key->takes == WORD
		            ? !is_atom_char(text.at[i])
		            : strchr(set ? "0123456789:,*" : "0123456789", text.at[i]) == NULL ||
		                      text.at[i] == '\0')
			text.len = 0;
	if (text.len == 0)
		wrong(r, "\"%.*s\" is not right for %s", (int)n->word[0].len, n->word[0].at,
		      n->key->name);
}

/* ---- keys ---- */

static const struct query_key *
key_named(struct bytes name)
{
	if (name.len > 0 && ((name.at[0] >= '0' && name.at[0] <= '9') || name.at[0] == '*'))
		return &numbers;
	for (size_t i = 0; i < COUNT(keys); i++)
		if (bytes_is(name, keys[i].name))
			return &keys[i];
	return NULL;
}

static void
read_mailbox_name(struct reading *r, struct query_node *n)
{
	struct query *q = r->query;

	n->word[0] = arena_keep(r->life, next_word(r, n->key->name));
	if (n->key->takes == MAILBOX && bytes_find(n->word[0], '*') < 0 &&
	    bytes_find(n->word[0], '%') < 0 && !r->bad)
		q->named[q->names++] = arena_copy(r->life, n->word[0]);
}

static void
read_argument(struct reading *r, struct query_node *n)
{
	switch (n->key->takes) {
	case NOTHING: break;
	case STRING: n->word[0] = next_word(r, n->key->name); break;
	case FIELD:
		n->word[0] = next_word(r, n->key->name);
		n->word[1] = next_word(r, n->key->name);
		break;
	case DATE:
	case AGED_DATE: read_date(r, n); break;
	case SIZE: read_size(r, n); break;
	case NUMBER:
	case WORD:
	case SET: read_plain(r, n); break;
	case MAILBOX:
	case MAILBOX_ID: read_mailbox_name(r, n); break;
	}
}

static struct query_node *read_list(struct reading *, unsigned depth);

static struct query_node *
new_node(struct reading *r, enum query_join join)
{
	struct query_node *n = arena_take(r->life, sizeof *n);

	n->join = join;
	return n;
}

/* key / "NOT" key / "(" list ")"; `behind` says what is missing where there is none. */
static struct query_node *
read_one(struct reading *r, const char *behind, unsigned depth)
{
	struct query_node *n;
	struct bytes       word;

	if (depth >= DEPTH_MOST) {
		wrong(r, "too many parentheses");
		return new_node(r, QUERY_ALL);
	}
	if (next_is_word(r, "NOT")) {
		n = new_node(r, QUERY_NOT);
		n->first = read_one(r, "the search key behind NOT", depth + 1);
		return n;
	}
	if (next_is_word(r, "(")) {
		n = read_list(r, depth + 1);
		if (!next_is_word(r, ")"))
			wrong(r, "a \")\" is missing");
		return n;
	}
	n = new_node(r, QUERY_KEY);
	if (r->at == r->count || bytes_is(r->word[r->at], ")")) {
		wrong(r, "%s is missing; right would be FROM, SUBJECT, SINCE, MAILBOX ...", behind);
		return n;
	}
	word = next_word(r, behind);
	if ((n->key = key_named(word)) == NULL) {
		wrong(r,
		      "\"%.*s\" is not a search key; right would be FROM, SUBJECT, SINCE, MAILBOX ...",
		      (int)word.len, word.at);
		return n;
	}
	if (n->key == &numbers)
		r->at--;
	read_argument(r, n);
	return n;
}

/* one *one, or one *("OR" one); IMAP's own "OR one one" too. */
static struct query_node *
read_list(struct reading *r, unsigned depth)
{
	struct query_node *list = new_node(r, QUERY_ALL), **last = &list->first;
	unsigned           ors = 0, count = 0;

	while (!r->bad && r->at < r->count && !bytes_is(r->word[r->at], ")")) {
		if (count == 0 && next_is_word(r, "OR")) {
			*last = new_node(r, QUERY_EITHER);
			(*last)->first = read_one(r, "the first search key behind OR", depth + 1);
			(*last)->first->next =
				read_one(r, "the second search key behind OR (OR KEY KEY)",
			                 depth + 1);
		} else {
			bool either = count > 0 && next_is_word(r, "OR");

			ors += either;
			*last = read_one(r, either ? "the search key behind OR" : "a search key",
			                 depth + 1);
		}
		last = &(*last)->next;
		count++;
	}
	if (count == 0)
		wrong(r, "it says nothing; ALL means every message");
	if (ors > 0 && ors + 1 != count)
		wrong(r, "keys joined by OR stand in parentheses of their own");
	if (ors > 0)
		list->join = QUERY_EITHER;
	return list;
}

bool
query_read(struct query *q, int argc, char *const *argv)
{
	struct reading r = { .query = q, .life = arena_open(NULL) };

	*q = (struct query){ .life = r.life };
	r.word = arena_take_array(r.life, WORDS_MOST, sizeof *r.word);
	q->named = arena_take_array(r.life, WORDS_MOST, sizeof *q->named);
	if (argc == 1 && strchr(argv[0], ' ') != NULL)
		split_line(&r, argv[0]);
	else
		for (int i = 0; i < argc && r.count < WORDS_MOST; i++)
			r.word[r.count++] = bytes_of(argv[i]);
	if (r.count == WORDS_MOST)
		wrong(&r, "more than %d words", WORDS_MOST - 1);
	else
		q->root = read_list(&r, 0);
	if (r.at < r.count)
		wrong(&r, "a \")\" too many");
	if (r.bad)
		query_close(q);
	return !r.bad;
}

void
query_close(struct query *q)
{
	arena_close(&q->life);
}

const char *
query_key_name(const struct query_node *n)
{
	return n->key->name;
}

const char *
query_named(const struct query *q, size_t index)
{
	return index < q->names ? q->named[index] : NULL;
}

/* ---- what it speaks of ---- */

/* Where OR joins, each branch must; elsewhere one of them is enough. */
static bool
covers(const struct query_node *n, bool mailbox)
{
	bool either = n->join == QUERY_EITHER;

	if (n->join == QUERY_KEY)
		return mailbox == (n->key->takes == MAILBOX || n->key->takes == MAILBOX_ID);
	for (const struct query_node *one = n->first; one != NULL; one = one->next)
		if (covers(one, mailbox) != either)
			return !either;
	return either;
}

bool
query_covers(const struct query *q, bool mailbox)
{
	return covers(q->root, mailbox);
}

/* ---- for one mailbox ---- */

enum truth3 { NO, YES, OPEN };

static enum truth3
key_truth(const struct query_node *n, const char *mailbox, const char *id)
{
	if (n->key->takes == MAILBOX)
		return pattern_matches(n->word[0], bytes_of(mailbox)) ? YES : NO;
	if (n->key->takes == MAILBOX_ID)
		return bytes_is(n->word[0], id) ? YES : NO;
	return OPEN;
}

static enum truth3
truth(const struct query_node *n, const char *mailbox, const char *id)
{
	enum truth3 settles = n->join == QUERY_EITHER ? YES : NO, sum = settles == YES ? NO : YES;

	if (n->join == QUERY_KEY)
		return key_truth(n, mailbox, id);
	if (n->join == QUERY_NOT) {
		sum = truth(n->first, mailbox, id);
		return sum == OPEN ? OPEN : sum == YES ? NO : YES;
	}
	for (const struct query_node *one = n->first; one != NULL; one = one->next) {
		enum truth3 t = truth(one, mailbox, id);
		if (t == settles)
			return settles;
		if (t == OPEN)
			sum = OPEN;
	}
	return sum;
}

bool
query_wants(const struct query *q, const char *mailbox, const char *id)
{
	return truth(q->root, mailbox, id) != NO;
}

static void
write_key(const struct query_node *n, struct client *c, const char *mailbox, const char *id)
{
	struct buffer *out = client_out(c);
	enum takes     t = n->key->takes;

	if (t == MAILBOX || t == MAILBOX_ID) {
		buffer_add_string(out, key_truth(n, mailbox, id) == YES ? "ALL" : "NOT ALL");
		return;
	}
	buffer_add_string(out, n->within ? n->key->within : n->key->name);
	if (t != NOTHING && n->key != &numbers)
		buffer_add_char(out, ' ');
	if (t == STRING || t == FIELD)
		client_put_string(c, n->word[0]);
	else
		buffer_add(out, n->word[0]);
	if (t == FIELD) {
		buffer_add_char(out, ' ');
		client_put_string(c, n->word[1]);
	}
}

static void
write_node(const struct query_node *n, struct client *c, const char *mailbox, const char *id)
{
	struct buffer *out = client_out(c);

	if (n->join == QUERY_KEY) {
		write_key(n, c, mailbox, id);
		return;
	}
	buffer_add_string(out, n->join == QUERY_NOT ? "NOT (" : "(");
	for (const struct query_node *one = n->first; one != NULL; one = one->next) {
		if (n->join == QUERY_EITHER && one->next != NULL)
			buffer_add_string(out, "OR ");
		write_node(one, c, mailbox, id);
		if (one->next != NULL)
			buffer_add_char(out, ' ');
	}
	buffer_add_char(out, ')');
}

void
query_write(const struct query *q, struct client *c, const char *mailbox, const char *id)
{
	write_node(q->root, c, mailbox, id);
}
