/*
 * enquiry -- questions to tables that role proxymap asks, and what is known of the answers
 *
 * From:     roles that resolve: the clerk, later others
 * To:       role proxymap, by TABLE_ASK
 *
 * enquiry_kept()   an answer kept from before (directory/lookup.h: `kept`); TABLE_WAIT when there is none.
 * enquiry_ask()    asks; `answered` comes once, never inside this call: with the answer, or TABLE_LATER when
 *                  nobody could be asked in time.  Equal questions that are open are asked once.  The
 *                  struct is the asker's, and enquiry_drop() forgets it: no callback comes any more.
 * enquiry_lookups() asks all that these lookups wait for, gives them the answers, and calls `done` when
 *                  the last one is there.
 *
 * Answers are believed for table_cache_time, failures for a second; at most table_cache_limit are kept,
 * those not asked for lately go first.  enquiries_forget() when settings or tables are new.
 * Call enquiries_heard() for TABLE_SAID, _lost() and _met() when proxymap dies and comes: what was open is asked
 * again of its successor, once.
 */
#ifndef ROLE_ENQUIRY_H
#define ROLE_ENQUIRY_H

#include "directory/lookup.h"
#include "role/house.h"
#include "role/proxymap.h"

struct enquiries;
struct enquiry {
	void (*answered)(struct enquiry *, enum table_outcome, struct bytes value);
	struct enquiry  *next;          /* the module's own */
	struct question_open *of;
};
struct enquiries *enquiries_open(struct house *, const struct proxymap_settings *);
void enquiries_close(struct enquiries **);
void enquiries_forget(struct enquiries *, const struct proxymap_settings *);
enum table_outcome enquiry_kept(struct enquiries *, const char *table, struct bytes key, struct arena *, struct bytes *value);
void enquiry_ask(struct enquiries *, struct enquiry *, const char *table, struct bytes key);
void enquiry_drop(struct enquiries *, struct enquiry *);
bool enquiries_heard(struct enquiries *, uint32_t ticket, struct bytes body);
void enquiries_lost(struct enquiries *);
void enquiries_met(struct enquiries *);

struct enquiry_round {
	void (*done)(struct enquiry_round *);
	struct enquiries *all;          /* the module's own */
	struct lookups   *lookups;
	struct round_part *part;
	size_t            waiting;
};
/* Something must be waited for.  The lookups and the round live until `done` or enquiry_round_drop(). */
void enquiry_lookups(struct enquiries *, struct enquiry_round *, struct lookups *);
void enquiry_round_drop(struct enquiry_round *);

#endif
