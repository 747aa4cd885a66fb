/*
 * chronicle -- what the files of the chronicle role share
 *
 *     chronicle.c        the card; events come and are kept
 *     chronicle-trace.c  the command line asks what happened
 *     chronicle-tell.c   lives of letters in words, and as JSON
 */
#ifndef ROLE_CHRONICLE_H
#define ROLE_CHRONICLE_H

#include "chronicle/chronicle.h"
#include "role/house.h"

struct chronicle_settings { int64_t lifetime_ms, size_most; int addresses, clients; };
extern const struct setting_table chronicle_setting_table;

struct trace;
struct chronicler {
	struct chronicle *chronicle;
	struct chronicle_settings rows;
	struct timer  *tick;
	struct trace  *traces;         /* commands that are being answered            */
	uint64_t       heard, lost;
	bool           packing, stopping;
};
static inline struct chronicler *
chronicler_of(struct house *h)
{
	return h->mine;
}

/* chronicle-trace.c */
void trace_command(struct house *, struct caller *, const struct word_ask *);
void traces_end(struct house *);

/* chronicle-tell.c */
/* Events of one life, in the order they happened, each packed in memory that stays. */
struct life { const struct event **event; size_t count; };
void life_sort(struct life *);
/* For people: `depth` is how far it stands in; as one line of JSON. */
void life_tell(const struct life *, uint64_t letter, int depth, struct buffer *out);
void life_tell_json(const struct life *, uint64_t letter, struct buffer *out);
/* One line of a list: when, id, from, to, what became of it. */
void life_line(const struct life *, uint64_t letter, struct buffer *out);
/* The same of a refusal. */
void refusal_line(const struct event *, struct buffer *out);
void event_tell(const struct event *, uint64_t letter, int depth, struct buffer *out);
void event_tell_json(const struct event *, struct buffer *out);

#endif
