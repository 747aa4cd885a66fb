/*
 * directory -- who is who: domains, accounts, aliases, credentials
 *
 * From:     role/clerk alone (one read-write connection, SQLite)
 * Touches:  directory.db, through the path given to directory_open()
 *
 * Local parts and domains are compared without regard to case, in any script (message/casefold.h), and kept in
 * small letters.  An account's id is its domain's number shifted left by 32, and a number within it: who owns an account's
 * mailboxes can be told from the id (role/house.h).  Every change is durable when the call returns 0 (synchronous=FULL).
 *
 * Returns:  enum directory_outcome; each value is a sentence below.  A database that
 *           fails is DIRECTORY_LATER and is never taken for "no such user".
 * See:      rfc5321:4.5.1 (postmaster), rfc5233 (user+detail)
 */
#ifndef DIRECTORY_DIRECTORY_H
#define DIRECTORY_DIRECTORY_H

#include "base/arena.h"
#include "base/buffer.h"

enum { DIRECTORY_VERSION = 3 };

enum directory_outcome {
	DIRECTORY_OK,          /* done, or found                                     */
	DIRECTORY_NONE,        /* there is no such domain, account or alias          */
	DIRECTORY_EXISTS,      /* it is there already; nothing was changed           */
	DIRECTORY_IN_USE,      /* a domain that still has accounts or aliases        */
	DIRECTORY_FOREIGN,     /* the domain is not ours                             */
	DIRECTORY_LOOP,        /* aliases run in a circle, or too deep or too wide: a reply says which */
	DIRECTORY_BAD,         /* not an address or a domain name                    */
	DIRECTORY_LATER,       /* the database failed; the log says how              */
	DIRECTORY_WAIT,        /* a table has been asked; ask again when it has answered (resolve.h) */
	DIRECTORY_REFUSED,     /* a table says no, in words of its own               */
	DIRECTORY_DISCARDED,   /* it is taken and thrown away                        */
	DIRECTORY_MORE,        /* the list is long: go on with it in another turn (resolve.h) */
};

struct directory;
/* NULL with words in *errors: cannot be opened, damaged, or of another version. */
struct directory *directory_open(const char *path, struct buffer *errors);
void directory_close(struct directory **);
/* What resolving asks for is kept in memory too, from when it has been read (image.h): whether there is something to read,
   and some of that, for about a millisecond.  The answers are the same without. */
bool directory_image_wants(const struct directory *);
void directory_image_turn(struct directory *);

/* ---- resolving --------------------------------------------------------- */
struct directory_target {
	uint64_t     account;        /* 0: a remote address                      */
	struct bytes address;        /* the account's address, or the remote one */
	struct bytes detail;         /* what stood behind the delimiter, "" none */
	struct bytes typed;          /* the address as it was written, with the detail: what Delivered-To says; "" as address */
	/* of tables alone (resolve.h): */
	struct bytes sender;         /* who sends what goes this way, "" as it was */
	struct bytes entered;        /* the local name whose alias led here, the first of several; "" none did */
	bool         shadow;         /* the account is directory_account_for(address)'s */
	struct bytes place;          /* where such a mailbox lies, "" not said   */
	const char  *source;         /* who says there is this account; NULL: virtual_mailbox_maps */
	struct bytes fields;         /* and what else he says of it (credential.h) */
};
/* `delimiters` e.g. "+"; "" none.  `origin` completes an address without domain.
   Order: alias of the whole address, account; the same without the detail; the domain's
   catch-all.  An alias among its own targets stands for the account of that name.
   postmaster of our domains is always deliverable: with no account or alias of
   that name it goes to the domain's first account, else the directory's first.
   A target of an alias that does not exist is warned of and left out; NONE when none exists.
   Details and remote local parts are as they were typed. */
enum directory_outcome directory_resolve(struct directory *, struct bytes address,
	const char *delimiters, const char *origin, struct arena *,
	struct directory_target **targets, size_t *count);

/* ---- operating-system users ------------------------------------------------- */
/* They need no row: their account's id is made of their uid, and of what is to be done under it. */
enum { DIRECTORY_SYSTEM_DOMAIN = 0x7fff0000 };
/* A uid that is not below has no mailbox: keepers of owners (below) are called by what is above. */
enum { DIRECTORY_SYSTEM_UIDS = 0x7ffe0000 };
#define DIRECTORY_SYSTEM_ACCOUNT(uid) ((uint64_t)DIRECTORY_SYSTEM_DOMAIN << 32 | (uint32_t)(uid))
enum system_kind {
	SYSTEM_MAILBOX,        /* ~/.forward is asked first; readers have this one   */
	SYSTEM_OWN_MAILBOX,    /* the mailbox itself: "\\user"                       */
	SYSTEM_COMMAND,        /* a command: the target's detail                     */
	SYSTEM_FILE,           /* a file letters are added to: the target's detail   */
	SYSTEM_KINDS
};
static inline uint64_t
system_account(enum system_kind kind, uint32_t uid)
{
	return ((uint64_t)DIRECTORY_SYSTEM_DOMAIN + kind) << 32 | uid;
}
static inline bool
is_system_account(uint64_t account)
{
	return account >> 32 >= DIRECTORY_SYSTEM_DOMAIN && account >> 32 < (uint64_t)DIRECTORY_SYSTEM_DOMAIN + SYSTEM_KINDS;
}
static inline uint32_t
system_uid(uint64_t account)
{
	return (uint32_t)account;
}
static inline enum system_kind
system_kind_of(uint64_t account)
{
	return (enum system_kind)((account >> 32) - DIRECTORY_SYSTEM_DOMAIN);
}
/* The account's mail and logins are this user's (bound by an administrator); uid 0: its own again. */
enum directory_outcome directory_account_bind(struct directory *, struct bytes address, uint32_t uid);
/* What an administrator said of such a user himself (system-users.c): whether he may log in, and how much he may hold; what protects
   him is kept by his account's id (protection.h).  It is said of a name and a uid together.  `gone`: since when nobody of this name had
   this uid, 0: not; whoever has it later need not be the same. */
struct system_row { uint32_t uid; const char *name; int64_t made; bool enabled; int64_t gone, bytes, messages; };
/* EXISTS: a row of that name has another uid, or of that uid another name, or it is one of somebody who was gone. */
enum directory_outcome directory_system_put(struct directory *, const char *name, uint32_t uid);
enum directory_outcome directory_system_find(struct directory *, struct bytes name, struct arena *, struct system_row *out);
enum directory_outcome directory_system_of(struct directory *, uint32_t uid, struct arena *, struct system_row *out);
enum directory_outcome directory_system_each(struct directory *, void (*each)(void *, const struct system_row *), void *);
/* Nothing is said of him any more; nor does anything protect him. */
enum directory_outcome directory_system_delete(struct directory *, const char *name);
enum directory_outcome directory_system_enable(struct directory *, const char *name, bool);
enum directory_outcome directory_system_limits(struct directory *, const char *name, const int64_t *bytes, const int64_t *messages);   /* NULL: as before */
enum directory_outcome directory_system_is_gone(struct directory *, uint32_t uid, int64_t at);
/* He has another name now, or another uid, and is the same; by another uid app passwords and recovery codes are void.  EXISTS: there is
   a row of that name or that uid. */
enum directory_outcome directory_system_is(struct directory *, const char *was, const char *name, uint32_t uid);

/* ---- owners (owner.c) ------------------------------------------------------ */
/* The mailboxes of virtual users may belong to a uid and gid of the operating system.  Each such pair has a number, which
   stands in the upper half of their accounts' ids in place of a domain's. */
enum { DIRECTORY_OWNER_DOMAIN = DIRECTORY_SYSTEM_UIDS, DIRECTORY_OWNERS_MOST = 0xffff };
static inline bool
is_owned_account(uint64_t account)
{
	return account >> 48 == DIRECTORY_OWNER_DOMAIN >> 16;
}
static inline uint32_t
account_owner(uint64_t account)
{
	return (uint32_t)(account >> 32) & DIRECTORY_OWNERS_MOST;
}
/* As they were written: numbers or names; gid "": that of the user. */
struct mail_owner { const char *uid, *gid; };
struct owner_row { uint32_t number; struct mail_owner owner; };
/* The pair's number, from its first use on; LATER too when there are too many of them. */
enum directory_outcome directory_owner_number(struct directory *, const struct mail_owner *, uint32_t *out);
/* Strings in the arena. */
enum directory_outcome directory_owner(struct directory *, uint32_t number, struct arena *, struct mail_owner *out);
/* From now on the mailboxes of this account, which belong to somebody, belong to him: the account has another id than it `was` under, and what protects it
   goes along, but for app passwords and recovery codes, which are void.  FOREIGN: they belong to nobody but the keepers. */
enum directory_outcome directory_account_own(struct directory *, struct bytes address, const struct mail_owner *, uint64_t *was);
/* Those from this number on. */
enum directory_outcome directory_owner_each(struct directory *, uint32_t from, void (*each)(void *, const struct owner_row *), void *);

/* ---- credentials -------------------------------------------------------- */
struct credential {
	uint64_t     account;
	const char  *address;
	const char  *hash;             /* "$argon2id$..."                        */
	bool         enabled;
	uint32_t     scram_iterations; /* 0: no verifier                         */
	const char  *scram_salt, *scram_stored, *scram_server;      /* base64    */
	const char  *source;           /* "" ours; else who knows the password: a shadow account's */
	const struct mail_owner *owner; /* of one that is to be added: whose its files are to be; NULL: the keepers' own */
};
/* A user name without domain is looked up in `origin`. */
enum directory_outcome directory_credential(struct directory *, struct bytes user, const char *origin,
	struct arena *, struct credential *out);
/* The password itself: NONE unless it was kept with directory_account_keep_plain(). */
enum directory_outcome directory_plain(struct directory *, struct bytes user, const char *origin,
	struct arena *, struct bytes *out);
/* SCRAM-SHA-1's verifier, "rounds,salt,stored,server": the next password forgets it. */
enum directory_outcome directory_scram_sha1_set(struct directory *, struct bytes address, const char *verifier);
/* Whether there is an account that logs in by a hash with which SCRAM-SHA-256, or SCRAM-SHA-1, cannot be checked; also when it cannot be told. */
bool directory_mute(struct directory *, bool sha1);
enum directory_outcome directory_scram_sha1(struct directory *, struct bytes user, const char *origin, struct arena *, const char **verifier);
/* One-time passwords (rfc2289): the last one used, and its number.  _set() with NULL: none any more.  _use() puts `next` in
   the place of `was`, durably; NONE: somebody was faster. */
struct one_time { const char *algorithm, *seed; uint32_t sequence; unsigned char last[8]; };
enum directory_outcome directory_one_time_set(struct directory *, struct bytes address, const struct one_time *);
enum directory_outcome directory_one_time(struct directory *, struct bytes user, const char *origin, struct arena *, struct one_time *out);
enum directory_outcome directory_one_time_use(struct directory *, struct bytes user, const char *origin, const struct one_time *was, const struct one_time *next);
/* Bytes nobody knows, made at the first call and the same ever after. */
enum { DIRECTORY_SECRET = 32 };
enum directory_outcome directory_secret(struct directory *, const char *name, unsigned char out[static DIRECTORY_SECRET]);

/* ---- accounts of others (shadow.c) ---------------------------------------- */
/* The account of somebody whom another source knows (a back end of credentials, a table of mailboxes):
   a row is made at the first call and found ever after, with no password of its own, so that the
   store, limits and rights know one notion of account.  `source` ("passwd-file", "virtual_mailbox_maps") is written
   down when it is made.  The domain of a shadow account is not thereby ours: directory_resolve() says FOREIGN of it,
   and it is not listed, until it is added.  directory_account_set_credential() makes the account our own.
   `owner`, if not NULL, is whose its files are to be; one that is there already keeps whom it has.
   *out is filled as by directory_credential(). */
enum directory_outcome directory_account_for(struct directory *, struct bytes name, const char *origin, const char *source,
	const struct mail_owner *owner, struct arena *, struct credential *out);

/* ---- changing and listing ------------------------------------------------- */
enum directory_outcome directory_domain_add(struct directory *, struct bytes name);
enum directory_outcome directory_domain_delete(struct directory *, struct bytes name);
enum directory_outcome directory_domain_catch_all(struct directory *, struct bytes name, struct bytes target);   /* "" none */
/* Rows are given to `each` in order of name. */
struct domain_row { const char *name, *catch_all; uint64_t accounts, aliases; int64_t made; };
enum directory_outcome directory_domain_each(struct directory *, struct bytes only, void (*each)(void *, const struct domain_row *), void *);

/* The domain is made too when it is not there and `with_domain`. */
enum directory_outcome directory_account_add(struct directory *, struct bytes address, const struct credential *, bool with_domain, uint64_t *id);
enum directory_outcome directory_account_delete(struct directory *, struct bytes address, uint64_t *id);
/* Every account that was ever deleted: an id is never given twice, an address may be.  `at` in seconds; address ""
   where it was not written down. */
struct gone_row { uint64_t id; const char *address; int64_t at; };
enum directory_outcome directory_gone_each(struct directory *, void (*each)(void *, const struct gone_row *), void *);
enum directory_outcome directory_account_set_credential(struct directory *, struct bytes address, const struct credential *);
/* Beside the hash, for APOP, where an administrator asks for it; the next password forgets it. */
enum directory_outcome directory_account_keep_plain(struct directory *, struct bytes address, struct bytes secret);
enum directory_outcome directory_account_enable(struct directory *, struct bytes address, bool);
struct account_row { uint64_t id; const char *address; bool enabled; bool scram; int64_t made; };
enum directory_outcome directory_account_each(struct directory *, struct bytes only, struct bytes domain, void (*each)(void *, const struct account_row *), void *);

/* ---- limits and groups (people.c) ------------------------------------------ */
/* What an account may hold and where its letters lie (a mail_location, or "log"), or each account of a domain that
   says nothing of its own.  -1, "": nothing is said; 0: no limit. */
struct limits_row { uint64_t account; const char *name; int64_t bytes, messages; const char *location; };       /* account 0: name is a domain */
enum directory_outcome directory_limits_set(struct directory *, struct bytes address_or_domain, const int64_t *bytes, const int64_t *messages,
	const char *location);   /* NULL: as before */
/* Those that say something; `only` "" all. */
enum directory_outcome directory_limits_each(struct directory *, struct bytes only, void (*each)(void *, const struct limits_row *), void *);
/* The bytes that one account may hold, by itself or its domain; -1: neither says. */
enum directory_outcome directory_limit_of(struct directory *, struct bytes address, int64_t *bytes);
/* Which of its limits a back end of credentials said last; -1: none, so it is the administrator's. */
enum directory_outcome directory_limits_said(struct directory *, struct bytes address, int64_t *bytes, int64_t *messages);
enum directory_outcome directory_limits_say(struct directory *, struct bytes address, int64_t bytes, int64_t messages);
/* A group is an account nobody logs in to; its mailboxes are its members'. */
struct group_row { uint64_t account; const char *address, *member; };                    /* one for each member; member "" alone: none */
enum directory_outcome directory_group_add(struct directory *, struct bytes address, const struct mail_owner *, uint64_t *id);
enum directory_outcome directory_group_member(struct directory *, struct bytes address, struct bytes member, bool yes);
enum directory_outcome directory_group_each(struct directory *, struct bytes only, void (*each)(void *, const struct group_row *), void *);

enum directory_outcome directory_alias_add(struct directory *, struct bytes address, struct bytes target);
/* All of the targets or none; `replace`: instead of those it had. */
enum directory_outcome directory_alias_put(struct directory *, struct bytes address, const struct bytes *target, size_t count, bool replace);
/* target "": all of them. */
enum directory_outcome directory_alias_delete(struct directory *, struct bytes address, struct bytes target);
struct alias_row { const char *address, *target; };
enum directory_outcome directory_alias_each(struct directory *, struct bytes only, struct bytes domain, void (*each)(void *, const struct alias_row *), void *);

#endif
