/*
 * house -- what a role finds when it comes to work
 *
 * main() of every role but the postmaster is house_live(): it hears the postmaster on
 * descriptor 3, gathers settings, resources and links, calls the role's card, closes the
 * cage at GO, and goes round the loop until STOP.
 *
 * A role's file (role/clerk.c) is a card and the functions it names.  Links to peers come and go: when
 * a peer dies `lost` is called; its successor comes through `peer`.  house_link() is NULL in between.
 * The first peers come through `peer` too, between `start` and `work`.
 *
 * Resources, as the postmaster names them (all may be given anew at a reload, before `reload`):
 *     listener/NAME      to receivers smtp, submission, submissions, lmtp; to logins imap, imaps, pop3,
 *                        pop3s: a listening socket; the text is its address.  One for each address, so
 *                        several may have one name: use house_resource_next().
 *     control/NAME       to clerk, queue, keepers, policy, chronicle: for house_commands()
 *     certificates/LISTENER, certificate/PATH, authorities/PATH, key/PATH, client-certificate/PATH, client-key/PATH, ticket-key
 *                        TLS: role/estate-tls.c says what they are, role/tls.h and the signer read them
 *     listener/acme-http, listener/acme-tls, acme-authorities, acme-binding   to the certifier: where answers to challenges are shown,
 *                        whom it trusts to be the ACME server
 *     listener/guide-http, listener/guide-https  to the guide: where mail programs ask how to reach us
 *     krb5-keytab        to the clerk: a file, house_resource_read()
 *     oauth-jwks         to the clerk: the text is a JWKS
 *     tally              to receivers and logins: a memfd of TALLY_SIZE zeroed bytes, to be mapped shared
 *     pipes              to the queue: transports_users()
 *     hosts              to senders and policy: the text of hosts(5)
 *     resolver           to verifiers, receivers and senders: lines of text, "server [127.0.0.1]:53", "anchor . IN DS ...";
 *                        absent when no names are asked
 *     addresses          to the clerk and senders: those of this machine, by blanks
 *     sharing            to queue, logins, keepers, clerk: "yes" when accounts of one domain have one keeper
 *     table/PATH         to roles that use lookup tables: the file at PATH; the text changes with it (role/tables.h).
 *                        One that is gone or cannot be opened stays as it was
 *     log, lock          the house's own
 * The sockets of listener/ and control/ belong to the listener made of them (listener_close() closes
 * them); after a reload a listener whose name and descriptor are no longer given is to be closed.  All other
 * descriptors stay the house's, and are closed when given anew.
 *
 * Files: spool/letters is a directory of the queue with the set-gid bit, its group the keepers': what the queue
 * makes there with mode 0640 the keepers can read.
 */
#ifndef ROLE_HOUSE_H
#define ROLE_HOUSE_H

#include "base/setting.h"
#include "base/journal.h"
#include "channel/link.h"
#include "channel/loop.h"
#include "role/listeners.h"
#include "role/settings.h"
#include "role/wire.h"

struct owner_row;                         /* directory/directory.h */

enum { TALLY_SIZE = 1 << 22 };

struct house;
struct role_card {
	const char *name;
	/* Before the cage, with what may open it anywhere: find out what it is to be built around, and nothing else. */
	void (*prepare)(struct house *);
	/* Settings, resources and first peers are here; the cage is still open: open
	   files and databases now.  False: cannot work (said in the log). */
	bool (*start)(struct house *);
	/* The cage is closed; the world may come. */
	void (*work)(struct house *);
	/* A word that passed the check of mouths.  False: broken body, the speaker is ended. fd is owned. */
	bool (*hear)(struct house *, enum role from, uint32_t index, enum word, uint32_t ticket, struct bytes body, int fd);
	void (*peer)(struct house *, enum role, uint32_t index);    /* a link came (also later)   */
	void (*lost)(struct house *, enum role, uint32_t index);
	void (*reload)(struct house *);                              /* settings are new           */
	void (*tables)(struct house *);                              /* files of tables are new: role/tables.h */
	void (*stop)(struct house *);                                /* finish; then house_leave() */
	void (*status)(struct house *, uint32_t *connections, struct buffer *text);
};
struct house {
	struct loop     *loop;
	enum role        role;
	uint32_t         index, of;       /* which of how many of this role                    */
	struct settings *settings;        /* as of the last SETTINGS; earlier ones stay valid  */
	struct common_settings common;    /* of them                                           */
	struct listeners listeners;       /* theirs, too                                       */
	void            *mine;            /* the role's own state                              */
	bool             leaving;
	struct counter  *counter;         /* of house_commands()                               */
	struct telling  *telling;         /* of role/events.h                                  */
};
struct link *house_link(struct house *, enum role, uint32_t index);
uint32_t house_peer_pid(struct house *, enum role, uint32_t index);   /* for the log; 0: it is away */
uint32_t house_peers(struct house *, enum role);      /* how many there are of that role (living or not), of keepers those of the pool */
/* The keepers of operating-system users that have a link now, by turns from *place 0; false at the end. */
bool house_user_keeper_next(struct house *, size_t *place, uint32_t *index);
/* Ask the postmaster for such a keeper: it comes through `peer`, or KEEPER_NOT is heard of the POSTMASTER. */
/* Role proxymap is wanted, and comes by `peer`. */
void house_proxymap_want(struct house *);
void house_keeper_want(struct house *, uint32_t index);
/* The postmaster hears of an owner of virtual users' mailboxes, before anybody can want that keeper. */
void house_owner_say(struct house *, const struct owner_row *);
/* It said KEEPER_REST and nothing is asked of it: its link ends, and `lost` is called. */
void house_keeper_let_go(struct house *, uint32_t index);
/* Such a keeper's own: whose it is, NULL for one of the pool; that it has nothing to do; whether nobody holds a link to
   it; and what the postmaster hears then, who says STOP unless somebody was just introduced. */
const struct system_user *house_user(struct house *);
int  house_runner(struct house *);                    /* its runner's socket (role/runner.h) */
void house_rest(struct house *);
bool house_is_alone(struct house *);
void house_rest_for_good(struct house *);
/* Which keeper owns the mailboxes of this account.  When mailboxes are shared, accounts of one domain have one keeper:
   the upper half of an account's id is its domain's number (directory/directory.h); else they are shared out one by one.
   An operating-system user's is KEEPER_OF_USER and the uid; that of accounts whose files belong to a uid is owner_index(). */
uint32_t house_keeper_of(struct house *, uint64_t account);
bool house_shares(struct house *);
/* The account's own address, of one as somebody wrote it: "jill@example.com" of "Jill+Tag@example.com", whose detail is "Tag". */
struct bytes house_plain_address(struct house *, struct arena *, struct bytes written, struct bytes detail);
/* Ask the signer and wait; from here it has no link.  False: no answer in time. */
bool house_call(struct house *, enum role, uint16_t word, struct bytes body, uint16_t *answer,
                struct buffer *reply, int ms);
/* What tls_open() wants of a role that has no keys: the signer's hand. */
struct tls_signer house_signer(struct house *);
/* Resources by name, as the postmaster gave them: -1 / NULL if not.  Descriptors stay the house's. */
int         house_resource(struct house *, const char *name);
const char *house_resource_text(struct house *, const char *name);
/* The whole content of a resource that is a file, appended.  0 or errno. */
int         house_resource_read(struct house *, const char *name, struct buffer *out);
/* All resources whose name begins so ("listener/"): false at the end. */
bool        house_resource_next(struct house *, const char *prefix, size_t *place, const char **name, int *fd);
/* A path inside the mail directory as this role sees it after its cage closed and before:
   house_path(h, "spool/letters"): spool/ for the queue, spool/letters and store/ for
   keepers, directory/ for the clerk; not before `start`.  Static storage of the house; valid for its life. */
const char *house_path(struct house *, const char *under);
/* The settings of one table for one listener (NULL: none), e.g. into struct receiver_settings. */
bool        house_settings(struct house *, const struct setting_table *, const char *listener, void *into);
/* Nothing of the card is called any more; hooks of the loop are, once. */
void        house_leave(struct house *);
int         house_live(const struct role_card *, enum role, uint32_t index, uint32_t of);
/* For roles that answer the command line (listener "control/<role>"): */
struct caller;                                          /* one waiting command */
void caller_say(struct caller *, const char *form, ...) __attribute__((format(printf, 2, 3)));
void caller_complain(struct caller *, const char *form, ...) __attribute__((format(printf, 2, 3)));
/* False: much waits to be heard; long answers go on when it is heard (look again in some milliseconds). */
bool caller_hears(const struct caller *);
/* Who asks, by the kernel's word; sockets with mode 0600 are asked by root alone. */
uid_t caller_user(const struct caller *);
bool caller_gone(const struct caller *);               /* nobody waits for the answer */
int  caller_fd(struct caller *);                       /* what came with the question: the asker's now; -1 none */
void caller_done(struct caller *, int status);         /* the caller is gone then */
/* `ask` is valid during the call of `asked`; the caller until caller_done(). */
void house_commands(struct house *, int fd, void (*asked)(struct house *, struct caller *, const struct word_ask *));
/* With fd -1 nobody comes by himself, but is brought; and whether somebody is there. */
void house_caller(struct house *, int fd);
bool house_is_asked(struct house *);
/* Nobody is heard or answered any more. */
void house_commands_end(struct house *);

extern const struct role_card receiver_card, login_card, verifier_card, queue_card, keeper_card, clerk_card, signer_card, pam_card, proxymap_card, policy_card, sender_card, chronicle_card, certifier_card, guide_card;

#endif
