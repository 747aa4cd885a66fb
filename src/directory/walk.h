/*
 * walk -- what the files of resolve.h share
 *
 * A walk is one resolution: a list of steps that grows while it is gone through.  Each step is an
 * address; what it turns out to be either puts steps on the list (walk_lead) or is a target (walk_target).
 */
#ifndef DIRECTORY_WALK_H
#define DIRECTORY_WALK_H

#include "base/map.h"
#include "directory/inside.h"
#include "directory/resolve.h"

#define NOBODY SIZE_MAX

/* One address to be looked at.  `open` is the alias it turned out to be (its own name, or
   that without the detail); `parent` the step whose alias led here, NOBODY for the first. */
struct step {
	struct directory_key key, open;
	struct bytes         detail;
	size_t               depth, parent;
	bool                 opens_local, local;   /* it is a local alias; one led here  */
	struct bytes         owner;      /* the sender of what goes this way, "" as it was */
	struct bytes         entered;    /* the first local name that was opened on this way, "" none    */
};

struct walk {
	struct resolving           *r;
	struct directory           *d;
	const struct resolve_rules *rules;
	struct arena               *a;
	struct directory_target    *target;
	size_t                      count, room;
	struct step                *todo;
	size_t                      todos, todo_room;
	struct bytes                file;     /* the included file that the target at hand stands in, and where   */
	size_t                      line;     /* in it; no bytes: in no such                                      */
	size_t                      virtuals; /* addresses that virtual aliases led to                   */
	struct map                 *targets;  /* both by their names, once there are many; else NULL     */
	struct map                 *opened;
	bool                        broken;   /* a target that is no address was left out                */
	const char                 *shut;     /* why a command or a file was left out; NULL none was     */
	bool                        loop;     /* an alias leads back to itself, and nobody has that name */
	bool                        waits;    /* for a table's answer                                    */
	bool                        barred;   /* the step's user has no mail here (first_valid_uid)      */
	const char                 *table, *reply;   /* of the step at hand                              */
	const char                 *filter;   /* FILTER of a mailbox, else of its domain; "" none         */
	/* how far it has come */
	size_t                      at;
	bool                        rested;           /* and others had their turn                         */
	size_t                     *waiting;          /* steps whose tables have not answered; they are gone through again, and nothing else */
	size_t                      waitings, waiting_room;
	struct bytes                asked, address;   /* as it was asked for, and rewritten               */
	struct directory_key        key;
	enum directory_outcome      first, last;
	const char                 *said_table, *said_reply;
};

/* LOOP, and what is to be said of it, "5.4.6 ...". */
enum directory_outcome walk_ends(struct walk *, const char *form, ...) __attribute__((format(printf, 2, 3)));
/* One more target, unless it is there already. */
enum directory_outcome walk_target(struct walk *, const struct directory_target *);
/* The address that the step `at` is of, as it was written. */
struct bytes walk_typed(const struct walk *, size_t at);
/* One more step. */
enum directory_outcome walk_step(struct walk *, size_t from, const struct directory_key *, struct bytes detail);
/* The same for an address as somebody wrote it; one that is none is warned of. */
enum directory_outcome walk_lead(struct walk *, size_t from, struct bytes address, struct bytes detail);
/* Whether the step `at` came out of this alias; whether any other did. */
bool walk_inside(const struct walk *, size_t at, const struct directory_key *);
bool walk_opened(const struct walk *, const struct directory_key *);
/* The step turned out to be this alias. */
void walk_open(struct walk *, size_t at, const struct directory_key *);
/* It is a local name, which the letter has come to; Delivered-To says so of what goes on from here. */
void walk_enter(struct walk *, size_t at);
/* The step's address goes to another server. */
enum directory_outcome walk_elsewhere(struct walk *, size_t at);
/* The name without its detail; false: there is none to take off. */
bool key_bare(const struct resolve_rules *, const struct directory_key *, struct directory_key *bare, struct bytes *detail);
/* In words, where somebody listens. */
void resolve_tell(const struct resolving *, const char *form, ...) __attribute__((format(printf, 2, 3)));

/* class.c: who has it where no virtual alias leads away. */
enum mail_class { CLASS_LOCAL, CLASS_VIRTUAL_ALIAS, CLASS_VIRTUAL_MAILBOX, CLASS_RELAY, CLASS_OTHER, CLASS_DIRECTORY };
enum directory_outcome class_of_domain(struct resolving *, struct bytes domain, enum mail_class *, struct bytes *value);
/* Tells r->claimed of every other setting that has the domain too; WAIT: a table is still to answer. */
enum directory_outcome class_claims(struct resolving *, struct bytes domain, bool directory, bool unknown);
/* Is it, as far as bare names are looked for?  CLASS_LOCAL or CLASS_OTHER. */
enum directory_outcome class_is_local(struct resolving *, struct bytes domain, enum mail_class *);
enum directory_outcome class_deliver(struct walk *, size_t at, enum mail_class, struct bytes domain_value);
/* As virtual_mailbox_maps have it, whatever its domain is. */
enum directory_outcome class_mailbox(struct walk *, size_t at);
enum directory_outcome class_relocated(struct walk *, size_t at, enum mail_class);
/* Somebody whom a back end of credentials knows. */
enum directory_outcome walk_person(struct walk *, size_t at, const struct directory_key *, struct bytes domain, struct bytes detail, bool *unsaid);
/* rfc5321:4.5.1 */
enum directory_outcome walk_postmaster(struct walk *, const struct directory_key *);

/* alias.c */
enum target_kind { TARGET_ADDRESS, TARGET_USER /* \user */, TARGET_COMMAND, TARGET_FILE, TARGET_INCLUDE };
struct alias_part { enum target_kind kind; struct bytes text; };
/* The next part of a value; false at its end.  `plain`: addresses alone are meant (virtual aliases). */
bool alias_next(struct bytes *rest, bool plain, struct arena *, struct alias_part *);
/* The operating-system user of that name; `own`: the mailbox itself.  NONE with `barred`: there is one below first_valid_uid. */
enum directory_outcome alias_user(struct walk *, size_t at, struct bytes user, bool own, struct bytes detail);
/* The local alias of that name, which is the step's or that without its detail. */
enum directory_outcome alias_open(struct walk *, size_t at, const struct directory_key *);
/* Steps for every address of the value of a virtual alias. */
enum directory_outcome alias_virtual(struct walk *, size_t at, enum mail_class);

/* transport.c: mailbox_transport and fallback_transport of a name that nobody has; NONE: they say nothing of it */
enum directory_outcome transport_unknown(struct walk *, size_t at, struct bytes user);
/* mailbox_transport of a user, when another server has their mailbox; NONE: it has not. */
enum directory_outcome transport_user(struct walk *, size_t at, struct bytes user, struct bytes detail);
/* What leads a local address elsewhere: local_transport, mailbox_transport, fallback_transport. */
enum directory_outcome transport_local(struct resolving *, struct bytes user, struct bytes *value);
/* Who has mail of a class: what transport_maps say of the address, or the transport of its class. */
enum transport_goes { GOES_LOCAL, GOES_VIRTUAL, GOES_AWAY };
enum directory_outcome transport_goes(struct walk *, size_t at, enum mail_class, enum transport_goes *);
/* nexthop.c: what transport_maps have for an address. */
/* What sender_dependent_default_transport_maps has for this sender; "" nothing. */
enum directory_outcome transport_of_sender(struct resolving *, struct bytes sender, struct bytes *value);
enum table_outcome transport_find(struct resolving *, const struct directory_key *, struct bytes *value);
/* Whether a value of local_transport says our own mailboxes. */
bool transport_is_own(const char *value);

/* rules.c */
enum table_outcome rules_domain(struct resolving *, const char *setting, const struct setting_list *, struct bytes domain, struct bytes *value);
bool rules_has(const struct setting_list *, const char *word);
/* Bytes of an address that a table gave: completed with the user, the origin, and what stood behind the delimiter. */
struct bytes rules_complete(struct resolving *, struct bytes address, struct bytes local, struct bytes extension);
/* What stood behind the delimiter, in the letters it was typed in. */
struct bytes rules_typed(const struct directory_key *, struct bytes extension);
/* How an address is looked for in tables. */
struct lookup_key rules_key(struct resolving *, const struct directory_key *, enum mail_class, unsigned forms);
enum directory_outcome outcome_of(enum table_outcome);

#endif
