/*
 * query-letter -- whether a letter that is in no mailbox of ours is one of those a query means
 *
 * What the server knows of a letter and a file does not say (when it was saved, its uid, its modseq) cannot be asked here, nor what
 * stands in its body: only a verifier takes letters of strangers apart (src/README).
 */
#include <string.h>

#include "access/imap/pattern.h"
#include "base/clock.h"
#include "command/query.h"
#include "message/date.h"
#include "message/search.h"

enum { DAY = 86400, HOUR_MINUTES = 60 };

struct asked {
	const struct query_letter *letter;
	const struct query_node   *node;
	const char                *of; /* the flag or the field           */
	struct arena              *scratch;
};

static bool
has_flag(const struct asked *q, struct bytes name)
{
	struct bytes rest = q->letter->flags, flag;

	while (bytes_split(&rest, ' ', &flag))
		if (bytes_equal_nocase(flag, name))
			return true;
	return false;
}

static bool
judge_all(const struct asked *q)
{
	(void)q;
	return true;
}

static bool
judge_flag(const struct asked *q)
{
	return has_flag(q, bytes_of(q->of));
}

static bool
judge_unflag(const struct asked *q)
{
	return !has_flag(q, bytes_of(q->of));
}

static bool
judge_keyword(const struct asked *q)
{
	return has_flag(q, q->node->word[0]);
}

static bool
judge_unkeyword(const struct asked *q)
{
	return !has_flag(q, q->node->word[0]);
}

static bool
says(const struct asked *q, struct bytes field, struct bytes what)
{
	return letter_says(q->letter->header, SEARCH_HEADER, field, what, q->scratch);
}

static bool
judge_field(const struct asked *q)
{
	return says(q, bytes_of(q->of), q->node->word[0]);
}

static bool
judge_header(const struct asked *q)
{
	return says(q, q->node->word[0], q->node->word[1]);
}

/* Before that day, on it, or on it and later. */
static bool
compares(const char *how, int64_t day, struct bytes text)
{
	int64_t that;

	if (!imap_date_parse(text, &that))
		return false;
	if (strcmp(how, "<") == 0)
		return day < that;
	return strcmp(how, "=") == 0 ? day == that : day >= that;
}

static bool
judge_age(const struct asked *q)
{
	int64_t  age = clock_wall() - q->letter->date;
	uint64_t most;

	if (!bytes_number(q->node->word[0], &most))
		return false;
	return strcmp(q->of, "<") == 0 ? age >= (int64_t)most : age <= (int64_t)most;
}

/* The day it has in the mailbox is the one of UTC, with which it comes there. */
static bool
judge_day(const struct asked *q)
{
	if (q->letter->date <= 0)
		return false;
	return q->node->within ? judge_age(q)
	                       : compares(q->of, q->letter->date / DAY, q->node->word[0]);
}

/* rfc3501:6.4.4 SENTON: the day its sender wrote, wherever that was. */
static bool
judge_sent(const struct asked *q)
{
	struct bytes rest = q->letter->header, line;
	int64_t      seconds;
	int32_t      zone;

	while (bytes_split(&rest, '\n', &line))
		if (bytes_starts_nocase(line, BYTES("Date:")) &&
		    date_parse(bytes_trim(bytes_cut(line, 5, line.len)), &seconds, &zone))
			return compares(q->of, (seconds + (int64_t)zone * HOUR_MINUTES) / DAY,
			                q->node->word[0]);
	return false;
}

static bool
judge_larger(const struct asked *q)
{
	uint64_t size;

	return bytes_number(q->node->word[0], &size) && q->letter->size > size;
}

static bool
judge_smaller(const struct asked *q)
{
	uint64_t size;

	return bytes_number(q->node->word[0], &size) && q->letter->size < size;
}

static bool
judge_mailbox(const struct asked *q)
{
	return pattern_matches(q->node->word[0], bytes_of(q->letter->mailbox));
}

/* clang-format off */
static const struct judgement {
	const char *key;
	bool      (*holds)(const struct asked *);
	const char *of;
} judgements[] = {
	{ "ALL",        judge_all,       NULL         },
	{ "ANSWERED",   judge_flag,      "\\Answered" },
	{ "DELETED",    judge_flag,      "\\Deleted"  },
	{ "DRAFT",      judge_flag,      "\\Draft"    },
	{ "FLAGGED",    judge_flag,      "\\Flagged"  },
	{ "SEEN",       judge_flag,      "\\Seen"     },
	{ "UNANSWERED", judge_unflag,    "\\Answered" },
	{ "UNDELETED",  judge_unflag,    "\\Deleted"  },
	{ "UNDRAFT",    judge_unflag,    "\\Draft"    },
	{ "UNFLAGGED",  judge_unflag,    "\\Flagged"  },
	{ "UNSEEN",     judge_unflag,    "\\Seen"     },
	{ "KEYWORD",    judge_keyword,   NULL         },
	{ "UNKEYWORD",  judge_unkeyword, NULL         },
	{ "BCC",        judge_field,     "Bcc"        },
	{ "CC",         judge_field,     "Cc"         },
	{ "FROM",       judge_field,     "From"       },
	{ "SUBJECT",    judge_field,     "Subject"    },
	{ "TO",         judge_field,     "To"         },
	{ "HEADER",     judge_header,    NULL         },
	{ "BEFORE",     judge_day,       "<"          },
	{ "ON",         judge_day,       "="          },
	{ "SINCE",      judge_day,       ">="         },
	{ "OLDER",      judge_age,       "<"          },
	{ "YOUNGER",    judge_age,       ">="         },
	{ "SENTBEFORE", judge_sent,      "<"          },
	{ "SENTON",     judge_sent,      "="          },
	{ "SENTSINCE",  judge_sent,      ">="         },
	{ "LARGER",     judge_larger,    NULL         },
	{ "SMALLER",    judge_smaller,   NULL         },
	{ "MAILBOX",    judge_mailbox,   NULL         },
};
/* clang-format on */

static const struct judgement *
judgement_of(const struct query_node *n)
{
	for (size_t i = 0; i < COUNT(judgements); i++)
		if (strcmp(judgements[i].key, query_key_name(n)) == 0)
			return &judgements[i];
	return NULL;
}

static const char *
beyond(const struct query_node *n)
{
	const char *found = NULL;

	if (n->join == QUERY_KEY)
		return judgement_of(n) != NULL ? NULL : query_key_name(n);
	for (const struct query_node *one = n->first; one != NULL && found == NULL; one = one->next)
		found = beyond(one);
	return found;
}

const char *
query_beyond_letter(const struct query *q)
{
	return beyond(q->root);
}

static bool
holds(struct asked *q, const struct query_node *n)
{
	const struct judgement *j;
	bool                    either = n->join == QUERY_EITHER;

	if (n->join == QUERY_NOT)
		return !holds(q, n->first);
	if (n->join == QUERY_KEY) {
		j = judgement_of(n);
		q->node = n;
		q->of = j != NULL ? j->of : NULL;
		return j != NULL && j->holds(q);
	}
	for (const struct query_node *one = n->first; one != NULL; one = one->next)
		if (holds(q, one) == either)
			return either;
	return !either;
}

bool
query_means(const struct query *query, const struct query_letter *letter)
{
	struct asked q = { .letter = letter, .scratch = arena_open(NULL) };
	bool         is = holds(&q, query->root);

	arena_close(&q.scratch);
	return is;
}
