/*
 * policy -- what the files of role policy share
 *
 * A work is one judgement: facts in, verdict out, to a receiver or to a command. Its rules are
 * judged with the answers there are (policy/rules.h); each question that is missing is asked by the row of `askers` for
 * its kind (policy.c), and when one is answered, policy_answered(), all is judged again.
 *
 * An asker calls policy_answered() once, at once or later.  When the work ends before that, or `patience_ms` are
 * over (0: the asker sees to that itself), its `drop` is called.  What it needs meanwhile stands in question->asker.
 */
#ifndef ROLE_POLICY_H
#define ROLE_POLICY_H

#include "base/map.h"
#include "policy/clamd.h"
#include "policy/rules.h"
#include "role/enquiry.h"
#include "role/policy-milter.h"
#include "role/tables.h"

enum { POLICY_WORKS_MOST = 20000 };

struct policy_work;
struct policy_question;
struct policy_asker {
	void (*ask)(struct policy_question *);
	void (*drop)(struct policy_question *);
	int64_t patience_ms;
};

struct policy_question {
	struct enquiry          enquiry;   /* first: of a table elsewhere       */
	struct policy_question *next;
	struct policy_work     *work;
	uint32_t                ticket;    /* of words to the clerk, our own    */
	int64_t                 until_ms;
	void                   *asker;     /* the asker's own                   */
	bool                    awaits;    /* a table that is being built       */
	enum rule_question_kind kind;
	const char             *name;
	struct bytes            key, value;
	enum rule_answer        answer;
};
struct policy_work {
	struct policy_work     *next, **at;
	struct house           *house;
	struct arena           *life;
	struct rules           *rules;
	struct rule_facts       facts;
	struct policy_question *known;     /* answered                          */
	size_t                  questions;
	struct policy_question *wanted;    /* being asked                       */
	struct policy_question *missing;   /* of the judgement under way        */
	struct errand           again;     /* judge anew in the next turn       */
	void                  (*done)(struct policy_work *, const struct rule_verdict *);
	bool                    traces;
	bool                    explains;  /* nothing is to change by it; the recipient is asked about */
	struct buffer           trace;
	/* of a receiver's */
	uint32_t                receiver, asked;
	/* of a command's */
	struct caller          *caller;
	struct explaining      *explaining;
};

struct policy {
	struct house        *house;
	struct tables       *tables;
	struct enquiries    *enquiries;
	struct inquests     *inquests;     /* of what filters made                 */
	struct rules        *rules[LISTENERS_MOST]; /* of those where SMTP or LMTP is spoken */
	struct policy_work  *works;
	size_t               count;
	struct map          *tickets;               /* of words to the clerk -> question */
	uint32_t             next_ticket;
	struct timer        *tick;
	struct refusals     *refusals;
	struct witnesses    *witnesses;             /* policy-witness.h             */
	uint64_t             judged, refused, asked, scanned;
	struct scan_settings scan[LISTENERS_MOST];
	struct scan         *scans;
	size_t               scans_open;
	struct proxying     *proxies;
	size_t               proxies_open;
	struct freshness    *freshness;
	struct milters      *milters;
};
static inline struct policy *policy_of(const struct house *h) { return h->mine; }

/* Of a listener; NULL: there is none of that name. */
struct rules *policy_rules_of(struct policy *, struct bytes listener);
struct policy_work *policy_work_open(struct house *, const struct rule_facts *);
void policy_work_go(struct policy_work *);
void policy_work_drop(struct policy_work *);
void policy_answered(struct policy_question *, enum rule_answer, struct bytes value);

/* policy-clerk.c: what the clerk is asked */
extern const struct policy_asker policy_asks_resolve, policy_asks_owner, policy_asks_table;
/* policy-witness.c, policy-probe.c: and others */
extern const struct policy_asker policy_asks_dns, policy_asks_service, policy_asks_grey, policy_asks_probe;
bool policy_hear_clerk(struct house *, enum word, uint32_t ticket, struct bytes body);
void policy_clerk_lost(struct house *);
enum rule_recipient policy_recipient(uint8_t resolve_class);

/* policy-clamd.c: letters are scanned for viruses. */
void policy_scan_settings(struct house *);
bool policy_hear_scan(struct house *, uint32_t receiver, uint32_t ticket, struct bytes body, int fd);
void policy_scans_end(struct house *, const uint32_t *receiver);

/* policy-proxy.c: they go to the filter before the queue. */
bool policy_hear_proxy(struct house *, uint32_t receiver, uint32_t ticket, struct bytes body, int fd);
void policy_proxies_end(struct house *, const uint32_t *receiver);

/* A connection to clamd, or another service, that does not wait; -1 with errno. */
int  policy_clamd_call(const struct clamd_place *);

/* policy-freshness.c: how old its signatures are */
void policy_freshness_settings(struct house *);
void policy_freshness_status(const struct policy *, struct buffer *);

/* policy-reach.c: what the cage is built around; whether it still is what settings say. */
void policy_prepare(struct house *);
bool policy_reaches(struct house *);

/* policy-command.c: mansio policy ... */
void policy_command(struct house *, struct caller *, const struct word_ask *);
/* policy-explain.c: the client is called, and trusted, as a session would have it; nothing remembers that it was asked. */
void policy_explain(struct house *, struct caller *, const struct word_ask *);

/* Rules of one kind of listener, for roles that judge: NULL with words. */
struct rules *policy_compile(struct settings *, const char *listener, struct buffer *errors, struct buffer *warnings);

/* What is wrong with the lists of a file, each with its line. */
bool policy_check(struct settings *, const char *file, struct buffer *errors, struct buffer *warnings);

/* policy-refusals.c: refusals that `mansio policy why` tells of, for some days, in two files of bounded size. */
struct refusals;
struct refusals *refusals_open(const char *directory);
void refusals_close(struct refusals **);
void refusals_add(struct refusals *, struct bytes id, struct bytes text);
/* Appended to *out; false: not known. */
bool refusals_find(struct refusals *, struct bytes id, struct buffer *out);
enum { REFUSAL_ID_ROOM = 16 };
void refusal_id(char out[static REFUSAL_ID_ROOM]);
/* What is kept of a refusal besides its trace. */
void refusal_describe(const struct rule_facts *, const struct rule_verdict *, struct bytes trace, struct buffer *out);

/* receiver-proxy.c: a setting that nobody would ask, since letters only pass (smtpd_proxy_filter); false: there is none. */
bool proxy_settings_clash(struct settings *, const struct listeners *, struct setting_entry *out);

#endif
