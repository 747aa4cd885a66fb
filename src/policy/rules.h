/*
 * rules -- restriction lists: what a stranger may do, decided left to right, the first that knows decides
 *
 * From:     role/receiver, which runs them with what it knows; role/policy, which asks others, too
 * To:       nobody: it is pure.  What must be asked is asked through struct rule_needs.
 * Touches:  nothing
 *
 * The table of rules is the policy manual: each row is a name as main.cf has it, what it takes behind it
 * and a function; a file rule-*.c has the rows of one kind, and rules.c lists the files.
 *
 * rules_compile()  the lists of one listener out of its settings (policy/settings.h): names, arguments,
 *     tables, classes.  NULL with words in *errors, each saying what would be right.  Counted:
 *     rules_take(), rules_drop().
 * rules_judge()    all lists that belong to the moment, in Postfix's order; the verdict lives in the arena.
 *     It is a pure function of the facts and of what needs->ask says.  When an answer is not there yet
 *     (RULE_ANSWER_WAIT) the verdict is RULE_WAIT, and when the answer has come all of it is judged again from the beginning: the
 *     same questions are asked in the same order, up to the one that is new.
 *
 * A rule says RULE_DUNNO (the next one is asked), RULE_OK (this list is over), RULE_REJECT (made by
 * rule_reject(), which knows of warn_if_reject, defer_if_reject and soft texts) or RULE_WAITS.
 * defer_if_permit, defer_if_reject: rule_defer_if_permit(), rule_defer_if_reject(); the first reason stays.
 *
 * Bounded: classes in classes 100 deep, STEPS_MOST rules in one judgement, QUESTIONS_MOST questions (by who asks).
 *
 * See:  access(5) and SMTPD_ACCESS_README of Postfix, whose order, codes and texts these are.
 */
#ifndef POLICY_RULES_H
#define POLICY_RULES_H

#include "base/arena.h"
#include "base/buffer.h"
#include "policy/settings.h"

enum rule_stage { RULE_CLIENT, RULE_HELO, RULE_SENDER, RULE_RELAY, RULE_RECIPIENT, RULE_DATA, RULE_END_OF_DATA, RULE_ETRN, RULE_STAGES };
_Static_assert((int)RULE_STAGES == (int)POLICY_LISTS, "each stage has its list");
/* What the client has just said. */
enum rule_moment { AT_CONNECT, AT_HELO, AT_MAIL, AT_RCPT, AT_VRFY, AT_DATA, AT_END, AT_ETRN, RULE_MOMENTS };
enum { RULE_STEPS_MOST = 10000, RULE_QUESTIONS_MOST = 2000, RULE_SLEEP_MOST_S = 600 };

/* How sure the client's name is. */
enum rule_named { NAME_CONFIRMED, NAME_NONE, NAME_FOREIGN, NAME_NO_HOST, NAME_LATER };
/* What the directory says of the recipient. */
enum rule_recipient { RECIPIENT_UNASKED, RECIPIENT_LOCAL, RECIPIENT_UNKNOWN, RECIPIENT_FOREIGN, RECIPIENT_LATER, RECIPIENT_LOOP,
                      RECIPIENT_FULL_NOW, RECIPIENT_FULL, RECIPIENT_REFUSED, RECIPIENT_DISCARDED,
                      RECIPIENT_ELSEWHERE /* of ASK_RESOLVE alone: taken here, and another server's */, RECIPIENT_CLASSES };
/* Whose the sender's address is. */
enum rule_owner { OWNED_UNASKED, OWNED_BY_SELF, OWNED_BY_OTHER, OWNED_BY_NONE, OWNED_LATER, OWNED_CLASSES };

/* All that a rule may know.  Views of whoever asks; "" where there is nothing. */
struct rule_facts {
	uint8_t moment;                /* enum rule_moment                          */
	uint8_t named;                 /* enum rule_named                           */
	uint8_t recipient_is;          /* enum rule_recipient                       */
	uint8_t owner;                 /* enum rule_owner                           */
	bool trusted;                  /* in mynetworks                             */
	bool unsure;                   /* whether it is cannot be told now          */
	bool here;                     /* on this very machine                      */
	bool tested;                   /* postscreen_access_list lets it pass no test */
	bool lmtp, esmtp, tls, pipelined;
	bool helo_said, has_sender, has_recipient;
	bool utf8;                     /* replies may have UTF-8 (rfc6531:3.7.4.1)  */
	bool tls_trusted;              /* the client's certificate leads to an authority of ours */
	bool forwarded;                /* at connect: a trusted peer has told of it by XCLIENT    */
	bool stress;                   /* $stress is yes                            */
	uint32_t recipients;           /* taken before this one                     */
	uint64_t size;                 /* declared; at the end what came            */
	struct bytes listener;         /* "smtp", "submission"                      */
	struct bytes instance;         /* of the session or transaction, for services */
	struct bytes queue_id;
	struct bytes address, port;    /* of the client: "192.0.2.1", "41234"       */
	struct bytes server_address, server_port;
	struct bytes name, reverse;    /* "unknown" where there is none             */
	struct bytes helo;
	struct bytes sender, recipient;             /* as written: "jill"           */
	struct bytes sender_whole, recipient_whole; /* "jill@example.com"           */
	struct bytes recipient_why;    /* table it is not in, or words of a refusal */
	struct bytes etrn;
	struct bytes user, method;     /* who has logged in                         */
	struct bytes auth_sender;      /* AUTH= of MAIL, as it came (rfc4954:5)     */
	struct bytes tls_protocol, tls_cipher, tls_bits;
	struct bytes fingerprint, key_fingerprint; /* of the client's certificate   */
	struct bytes subject, issuer;  /* as it says itself, tls_trusted or not     */
	/* Reasons to defer that earlier moments found, where they were not delayed. */
	struct bytes deferred;
};

/* ---- asking ------------------------------------------------------------- */

enum rule_question_kind {
	ASK_TABLE,                     /* name: the table; key                                        */
	ASK_RESOLVE,                   /* key: an address; value: as RESOLVED packs it (role/wire.h)  */
	ASK_OWNER,                     /* name: the user; key: the address; value: one byte, enum rule_owner */
	ASK_DNS,                       /* name: "A", "MX", "TXT" ...; key: the domain                 */
	ASK_SERVICE,                   /* name: the service; key: its attributes                      */
	ASK_GREY,                      /* key: the triplet                                            */
	ASK_PROBE,                     /* name: "sender" or "recipient"; key: the address             */
	RULE_QUESTION_KINDS
};
enum rule_answer { RULE_ANSWER_FOUND, RULE_ANSWER_NONE, RULE_ANSWER_LATER, RULE_ANSWER_WAIT };
struct rule_needs {
	/* The value in the arena.  Of LATER it is why, for the log. */
	enum rule_answer (*ask)(void *ctx, enum rule_question_kind, const char *name, struct bytes key, struct arena *, struct bytes *value);
};
/* What somebody says who knows nothing: WAIT to everything. */
extern const struct rule_needs rule_needs_nothing;

struct rules;

/* ---- the verdict ---------------------------------------------------------- */

enum rule_outcome { RULE_PASSES, RULE_REFUSES, RULE_WAIT };
enum rule_deed { DEED_HOLD, DEED_DISCARD, DEED_FILTER, DEED_REDIRECT, DEED_BCC, DEED_PREPEND,
                 DEED_PASS /* of the client: lists in the DNS speak for it */, RULE_DEEDS };
struct rule_action { struct rule_action *next; uint8_t deed; struct bytes text; };
/* For the log: "warn", "<x@y>: Recipient address triggers HOLD action". */
struct rule_note { struct rule_note *next; struct bytes what, text; };
struct rule_verdict {
	uint8_t outcome;               /* enum rule_outcome                             */
	struct bytes reply;            /* "554 5.7.1 <x@y>: Relay access denied"        */
	struct bytes list, rule;       /* smtpd_relay_restrictions, reject_unauth_destination */
	struct bytes deferred;         /* to be given again as a fact of later moments  */
	uint32_t sleep_s;
	struct rule_action *action;
	struct rule_note   *note;
};
/* `trace`: NULL, or a line is appended for each list, rule, question and answer. */
struct rule_verdict rules_judge(const struct rules *, const struct rule_facts *, const struct rule_needs *, void *ctx, struct arena *, struct buffer *trace);

/* ---- lists ------------------------------------------------------------------ */

struct rule_world {
	/* Whether a table has patterns, which are asked for whole names alone. */
	bool (*is_pattern)(void *ctx, const char *table);
	/* NULL, or what is wrong with the name of a table. */
	const char *(*table_fault)(void *ctx, const char *table, struct arena *);
	/* The words of a class; false: no such setting. */
	bool (*class_of)(void *ctx, const char *name, struct setting_list *);
	void *ctx;
	bool lmtp;                     /* the listener is for LMTP: nobody relays there   */
	const char *delimiters;        /* recipient_delimiter                             */
	bool bare_parents;             /* "example.com" in access tables stands for all below it, else ".example.com" */
};
struct rules *rules_compile(const struct policy_settings *, const struct rule_world *, struct buffer *errors, struct buffer *warnings);
struct rules *rules_take(struct rules *);
void rules_drop(struct rules **);
/* What they were made of. */
const struct policy_settings *rules_settings(const struct rules *);
/* Whether a list asks whose the sender's address is: then it is asked for before. */
bool rules_want_owner(const struct rules *, const struct rule_facts *);
/* What is wrong with what a line of an access table says, and what comes of it; NULL: it can be obeyed.  `classes`:
   smtpd_restriction_classes. */
const char *rules_action_fault(struct bytes value, const struct setting_list *classes, struct arena *);
/* Whether there is anything to judge at this moment. */
bool rules_have(const struct rules *, enum rule_moment);
/* Whether lists in the DNS may speak for a client, or against it, before it is greeted. */
bool rules_score_first(const struct policy_settings *);
extern const char *const rule_list_names[RULE_STAGES];

#endif
