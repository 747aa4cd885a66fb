/*
 * rule -- what a rule may do: for the files rule-*.c alone
 *
 * A rule is a row { name, what it takes, function } in the table of its file; rules.c lists the tables.
 *
 * rule_reject()      "NNN X.Y.Z text" with the SMTP code and the status as they were given; the first digit of
 *     the status becomes that of the code.  The rule returns what this returns.
 * rule_reject_here() the same with "<reply name>: reply class rejected: text" as most refusals have it.
 * rule_defer_if_permit(), rule_defer_if_reject() keep the first reason.
 * rule_permit()      RULE_OK, noted where smtpd_log_access_permit_actions asks for it.
 * rule_unsure()      451 4.3.0 Temporary lookup failure for what a table or the directory could not tell now.
 * rule_note()        for the log: "warn", "info", "hold" ...
 * rule_act()         what rides along: HOLD, FILTER ...
 * rule_ask()         asks and traces.  On RULE_ANSWER_WAIT return RULE_WAITS at once.
 */
#ifndef POLICY_RULE_H
#define POLICY_RULE_H

#include "policy/rules.h"

enum rule_result { RULE_DUNNO, RULE_OK, RULE_REJECT, RULE_WAITS };
enum rule_takes {
	TAKES_NOTHING,
	TAKES_TABLE,                   /* check_x_access hash:/etc/...                  */
	TAKES_NUMBER,                  /* sleep 5                                       */
	TAKES_WORD,                    /* check_policy_service inet:..., reject_rbl_client domain=... */
};

struct rule_work;
struct rule_step;
typedef enum rule_result rule_fn(struct rule_work *, const struct rule_step *);
struct rule {
	const char     *name;
	enum rule_takes takes;
	rule_fn        *run;
	/* NULL, or what is wrong with the argument: TAKES_WORD.  May be NULL. */
	const char   *(*wrong)(const char *argument, struct arena *);
	bool owner;                    /* it asks whose the sender is                   */
	bool ahead;                    /* asks the DNS alone: its questions are asked before its turn, with others */
	bool final;                    /* with it a recipient list refuses strangers (R180) */
	/* NULL, or what the settings check says to whoever still writes it. */
	const char *doubt;
};
struct rule_rows { const struct rule *row; size_t count; };
extern const struct rule_rows rule_rows_plain, rule_rows_helo, rule_rows_address, rule_rows_login, rule_rows_access,
	rule_rows_names, rule_rows_servers, rule_rows_lists, rule_rows_others;

struct rule_list;
struct rule_step {
	const struct rule *rule;       /* NULL: a class                                 */
	const char        *name;       /* as main.cf has it                             */
	const char        *argument;   /* "" none                                       */
	uint64_t           number;
	bool               pattern;    /* the table is one of patterns                  */
	const struct rule_list *class;
	bool               warn;       /* warn_if_reject stands before it               */
};
struct rule_list { const char *name; struct rule_step *step; size_t count; };

/* Compiled: who may see inside are rules.c and rules-compile.c. */
struct rules {
	unsigned               users;
	struct arena          *life;
	struct policy_settings set;
	const struct rule_list *list[RULE_STAGES];
	struct rule_class {
		struct rule_class *next;
		struct rule_list   list;
		bool               compiling;
	} *class;
	bool wants_owner;              /* a rule in a list asks whose the sender is     */
	bool lmtp, bare_parents;
	const char *delimiters;        /* recipient_delimiter                           */
	const char *null_key;          /* what the null sender is in access tables      */
};

/* A reason to defer, if anything else is permitted or refused. */
struct rule_deferral { bool active; uint16_t code; const char *status, *text; };
struct rule_work {
	const struct rules      *rules;
	const struct policy_settings *set;
	const struct rule_facts *facts;
	const struct rule_needs *needs;
	void                    *ctx;
	struct arena            *life;
	struct buffer           *trace;
	struct rule_verdict      verdict;
	struct rule_action     **last_action;
	struct rule_note       **last_note;
	enum rule_stage          stage;
	struct bytes             name;          /* "<name>: class rejected"          */
	const char              *class;
	const char              *rule;          /* being asked                       */
	unsigned                 depth, steps;
	unsigned                 warn;          /* depth at which warn_if_reject began, 0 not */
	struct rule_deferral     if_permit, if_reject;
	bool                     discard;
	bool                     unlisted_asked, sender_asked;   /* the recipient, the sender was looked at */
};

extern const char rule_class_client[], rule_class_reverse[], rule_class_certificate[], rule_class_login[], rule_class_helo[],
	rule_class_sender[], rule_class_recipient[], rule_class_etrn[], rule_class_data[], rule_class_end[];

enum rule_result rule_reject(struct rule_work *, int code, const char *status, const char *form, ...) __attribute__((format(printf, 4, 5)));
enum rule_result rule_reject_here(struct rule_work *, int code, const char *status, const char *text);
/* Of this name and class rather than those of the list. */
enum rule_result rule_reject_of(struct rule_work *, int code, const char *status, struct bytes name, const char *class, const char *text);
enum rule_result rule_defer_if_permit(struct rule_work *, int code, const char *status, const char *form, ...) __attribute__((format(printf, 4, 5)));
enum rule_result rule_defer_if_reject(struct rule_work *, int code, const char *status, const char *form, ...) __attribute__((format(printf, 4, 5)));
enum rule_result rule_permit(struct rule_work *, const char *why);
enum rule_result rule_unsure(struct rule_work *, struct bytes address);
enum rule_result rule_misconfigured(struct rule_work *, const char *why);
void rule_note(struct rule_work *, const char *what, const char *form, ...) __attribute__((format(printf, 3, 4)));
void rule_act(struct rule_work *, enum rule_deed, struct bytes text);
void rule_tell(struct rule_work *, const char *form, ...) __attribute__((format(printf, 2, 3)));
enum rule_answer rule_ask(struct rule_work *, enum rule_question_kind, const char *name, struct bytes key, struct bytes *value);
/* What a table has said: an action of access(5), or names of rules.  `table` for the log. */
enum rule_result rule_take_action(struct rule_work *, const char *table, struct bytes value, struct bytes key, struct bytes name, const char *class);
/* Whether there is a rule of that name. */
bool rule_is(const char *name);
/* The rules in a text: those of a table's answer.  NULL with words. */
const struct rule_list *rule_list_read(const struct rules *, struct bytes text, struct arena *, const char **wrong);
enum rule_result rule_list_ask(struct rule_work *, const struct rule_list *);
/* The status for an address of that class: 5.1.1 is a recipient's, 5.1.8 a sender's. */
const char *rule_status(struct rule_work *, const char *status, const char *class);
/* "a b"@example.com by its meaning, a b@example.com: what tables and services are asked for, and what replies say, as Postfix does. */
struct bytes rule_meant(struct rule_work *, struct bytes address);
/* What the client wrote, fit for a reply: printable, and not endless. */
const char *rule_shown(struct rule_work *, struct bytes);
/* The same of what is a whole reply. */
const char *rule_shown_reply(struct rule_work *, struct bytes);
/* An access table asked for a name of a host and its parents, for an address and its networks, for an address of mail. */
enum rule_result rule_access_host(struct rule_work *, const struct rule_step *, struct bytes host, bool whole, struct bytes name, const char *class, bool *found);
enum rule_result rule_access_network(struct rule_work *, const struct rule_step *, struct bytes address, bool whole, struct bytes name, const char *class, bool *found);
enum rule_result rule_access_key(struct rule_work *, const struct rule_step *, struct bytes key, bool whole, struct bytes name, const char *class, bool *found);
/* The name of a host (dns/hostname.h), a dot at its end allowed; with `dotted` it has one within. */
bool rule_hostname(struct bytes, bool dotted);
/* "192.0.2.1", "2001:db8::1"; in brackets as an address of mail has it, "IPv6:2001:db8::1". */
bool rule_host_address(struct bytes);
bool rule_literal(struct bytes);
/* Whether the recipient is another server's: who is permitted for a guess may not relay for it. */
bool rule_would_relay(const struct rule_work *);
/* Whether mail for the recipient is ours or a relay's. */
enum rule_result rule_recipient_refused(struct rule_work *);
/* Whether the server that has the recipient knows them, where recipient_verify_domains has it asked. */
enum rule_result rule_recipient_verified(struct rule_work *);
/* What settings demand of the sender without a rule. */
enum rule_result rule_sender_checked(struct rule_work *);
enum rule_result rule_sender_unlisted(struct rule_work *);

#endif
