/*
 * resolve -- who gets the mail for an address
 *
 * From:     role/clerk; the command `mansio address test` through it
 * Touches:  directory.db (struct directory) and tables (struct lookups), which it only asks
 *
 * resolve_address()  a recipient.  A pure function of the directory, the rules and the answers of tables: when an
 *     answer is not here yet the outcome is DIRECTORY_WAIT, and the call is made again from its beginning when
 *     it is (directory/lookup.h).  Files:
 *         resolve.c   the walk: an address is looked at, its aliases' targets go on a list, and so on
 *         class.c     whose an address is that no virtual alias leads away from, and who has it there
 *         alias.c     what stands in the value of an alias: addresses, commands, files, :include:
 *         rewrite.c   canonical and masquerade; resolve_sender(), resolve_field(), resolve_copies()
 *         transport.c  mailbox_transport, mailbox_command_maps, fallback_transport
 *         nexthop.c   by which transport mail goes elsewhere, and to which destination
 *         rules.c     the settings, and lists of domains
 *
 * Order for a recipient, as Postfix has it: recipient_canonical_maps, canonical_maps, masquerade (each if its classes
 *     say so); then for it and everything it leads to: the directory's aliases, virtual_alias_maps; then by
 *     class of the domain
 *         the directory's   accounts, catch-all
 *         local             mydestination and our own addresses: alias_maps, users, luser_relay
 *         virtual alias     virtual_alias_domains: nobody is left, unknown
 *         virtual mailbox   virtual_mailbox_domains: virtual_mailbox_maps
 *         relay             relay_domains: relay_recipient_maps; goes elsewhere
 *         any other         FOREIGN; has targets when a virtual alias led away from it
 *     A user of the directory's domains, the local ones and virtual_mailbox_domains may be known to a back end of
 *     credentials alone: it is asked behind all others.  Whom it knew once and has forgotten is unknown.
 *     relocated_maps stand before the class.  A target of an alias that does not exist, or is no address, is warned of and left
 *     out; when nothing but the latter is there it is LATER, for somebody has to mend the alias.
 *
 * Bounded: rules->depth_most steps one inside another, rules->virtuals_most addresses by virtual aliases, RESOLVE_TARGETS_MOST
 *     targets, LOOKUPS_MOST questions.
 */
#ifndef DIRECTORY_RESOLVE_H
#define DIRECTORY_RESOLVE_H

#include "base/setting.h"
#include "directory/directory.h"
#include "directory/lookup.h"

enum { RESOLVE_TARGETS_MOST = 200000 };

/* A list of domains: names, "/file" (put in its place by the role), type:table. */
struct resolve_rules {
	/* rows */
	struct setting_list mydestination, proxy_interfaces;
	struct setting_list virtual_alias_domains, virtual_mailbox_domains, relay_domains;
	struct setting_list user_maps, alias_maps, local_recipient_maps, virtual_alias_maps, virtual_mailbox_maps;
	struct setting_list relay_recipient_maps, relocated_maps;
	struct setting_list canonical_maps, sender_canonical_maps, recipient_canonical_maps;
	struct setting_list canonical_classes, sender_canonical_classes, recipient_canonical_classes;
	struct setting_list masquerade_domains, masquerade_classes, masquerade_exceptions;
	struct setting_list sender_bcc_maps, recipient_bcc_maps;
	struct setting_list mailbox_transport_maps, mailbox_command_maps, fallback_transport_maps;
	struct setting_list transport_maps, sender_relayhosts, sender_transports;
	struct setting_list propagate, parent_matches, lifetime_maps;
	struct setting_list commands_from, files_from;
	struct setting_list virtual_uid_maps, virtual_gid_maps;
	const char *always_bcc, *luser_relay, *default_privs, *double_bounce_sender, *empty_recipient;
	const char *mailbox_transport, *fallback_transport, *default_transport, *relay_transport, *relayhost;
	const char *local_transport, *virtual_transport;
	const char *nobody_relayhost, *nobody_transport; /* what the empty sender is looked up as */
	struct resolve_ways {                   /* the same for who only asks about an address */
		struct setting_list transport_maps, sender_relayhosts, sender_transports;
		const char *default_transport, *relay_transport, *relayhost, *local_transport, *virtual_transport;
	} probing;
	bool append_at_myorigin, append_dot_mydomain, percent_hack, bangpath;
	bool owner_special, expand_owner;
	int64_t depth_most, virtuals_most, duplicates;
	/* said by the house */
	const char *delimiter, *myorigin, *mydomain;
	int64_t first_uid;                      /* operating-system users below it have no mailbox */
	struct setting_list addresses;          /* of our own interfaces, without brackets */
};
extern const struct setting_table resolve_setting_table;
/* What holds for who only asks about an address: the same, but for the ways there (address_verify_...). */
void resolve_probing(const struct resolve_rules *, struct resolve_rules *out);
/* Whether a name stands in a list of domains by itself; one with "!" in front says nothing. */
bool resolve_lists(const struct setting_list *, const char *name);

struct resolving {
	struct directory *directory;
	const struct resolve_rules *rules;
	struct lookups   *lookups;
	struct arena     *arena;                /* everything that is found lives here */
	bool              as_written;           /* canonical maps and masquerading are for others */
	bool              unmapped;             /* and virtual_alias_maps, too */
	bool              local;                /* the address is taken for one of mydestination (best_mx_transport) */
	bool              let_go;               /* an administrator did so: "hold:" is as if it were not there */
	const struct bytes *sender;             /* of the letter; NULL: it is not known, or does not matter */
	bool              asked_at_rcpt;        /* may it be accepted, not yet: where does it go */
	bool              asked_both;           /* where does it go, and would it be accepted: error: and retry: answer */
	/* The text of an :include: file, and whether files that it includes are read.  Its name is ":/path", or ":1000/path" where
	   the alias file is this user's, who must be able to read it. */
	enum table_outcome (*include)(void *ctx, const char *name, struct arena *, struct bytes *text, bool *leads_on);
	/* Whose the file of an alias table is, or by such a name an :include: file; 0 root's, or no file.  May be NULL. */
	uint32_t (*owner)(void *ctx, const char *name);
	/* A user whom a back end of credentials knows: FOUND with the account's `address`, `source` and `fields` in *out; NONE with
	   *unsaid when one of them cannot tell without a password.  NULL: none is asked. */
	enum table_outcome (*person)(void *ctx, struct bytes address, struct directory_target *out, bool *unsaid);
	/* Hears of a domain that is in a setting and in another too, "" for the directory: the first has it.  Tables elsewhere are asked
	   when the recipient would be unknown.  NULL: nobody wants to know. */
	void (*claimed)(void *ctx, struct bytes domain, const char *first, const char *other);
	/* Each step in words; NULL: nobody wants to know. */
	void (*tell)(void *ctx, const char *line);
	/* Whether it is time for others: MORE then, with `walk` for the next call, which goes on with it; and so it does after most
	   a WAIT.  NULL: all in one piece, and from the beginning. */
	bool (*enough)(void *ctx);
	struct walk *walk;
	void *ctx;
};
struct resolve_answer {
	struct directory_target *target;
	size_t      count;
	const char *table;               /* DIRECTORY_NONE: "local recipient table"   */
	const char *filter;              /* DIRECTORY_OK: "transport:nexthop" where the letter goes first, as a mailbox's table says; "" */
	const char *reply;               /* DIRECTORY_REFUSED: "5.1.6 User has moved to ..."; DIRECTORY_LOOP: "5.4.6 aliases run in a circle" */
};
enum directory_outcome resolve_address(struct resolving *, struct bytes address, struct resolve_answer *);
/* After MORE or WAIT: it is not gone on with, for what it was made of is another now. */
void resolve_abandon(struct resolving *);

/* ---- transport.c -------------------------------------------------------- */
/* What becomes of an operating-system user's mail that no .forward led away. */
enum mailbox_way { MAILBOX_OWN, MAILBOX_COMMAND, MAILBOX_REFUSED, MAILBOX_DISCARDED, MAILBOX_LATER, MAILBOX_WAYS };
/* mailbox_transport_maps, mailbox_transport, mailbox_command_maps; the text is the command, or the reply with its
   status.  OK or WAIT. */
enum directory_outcome resolve_mailbox(struct resolving *, struct bytes user, enum mailbox_way *, struct bytes *text);

/* ---- nexthop.c ---------------------------------------------------------- */
/* Of a recipient that is not delivered here, and the sender: "smtp", "example.com".  `domain_alone`: the answer is the same for all
   of the recipient's domain.  OK, LATER, WAIT. */
struct nexthop { const char *transport, *destination; bool domain_alone; };
enum directory_outcome resolve_nexthop(struct resolving *, struct bytes address, struct bytes sender, struct nexthop *);

/* How long a recipient of such a transport is tried: maximal_queue_lifetime_maps, in seconds; 0 nothing is said.  OK, LATER, WAIT. */
enum directory_outcome resolve_lifetime(struct resolving *, struct bytes address, const char *transport, uint32_t *seconds);
/* Whether a domain's mail has its end here: the directory's, local, virtual; not relay.  OK, LATER, WAIT. */
enum directory_outcome resolve_is_ours(struct resolving *, struct bytes domain, bool *ours);

/* ---- rewrite.c ---------------------------------------------------------- */
enum rewrite_class { ENVELOPE_SENDER, ENVELOPE_RECIPIENT, HEADER_SENDER, HEADER_RECIPIENT };
/* Whether anything is rewritten at all in such a place. */
bool resolve_rewrites(const struct resolve_rules *, enum rewrite_class);
/* canonical and masquerade: "" stays "".  OK with the address in *out (the same if nothing is to be done), LATER, WAIT. */
enum directory_outcome resolve_rewrite(struct resolving *, enum rewrite_class, struct bytes address, struct bytes *out);
/* Who gets a copy besides: always_bcc and sender_bcc_maps of a sender, recipient_bcc_maps of a recipient. */
enum directory_outcome resolve_bcc_sender(struct resolving *, struct bytes sender, struct bytes *out, size_t *count);   /* room for 2 */
enum directory_outcome resolve_bcc_recipient(struct resolving *, struct bytes recipient, struct bytes *out);           /* "" none */

/* The value that tables (smtpd_sender_login_maps) have for an address, asked for as canonical(5) tells; NONE: they have none. */
enum directory_outcome resolve_find(struct resolving *, const struct setting_list *tables, struct bytes address, struct bytes *value);

#endif
