/*
 * inside -- what directory.c (tables), accounts.c and aliases.c (their rows) and resolve.c (who gets the mail) share
 */
#ifndef DIRECTORY_INSIDE_H
#define DIRECTORY_INSIDE_H

#include "directory/directory.h"
#include <sqlite3.h>

/* Every question and change there is; directory.c has their text. */
enum directory_query {
	BEGIN, COMMIT, ROLLBACK,
	DOMAIN_FROM, ACCOUNT_FROM, ALIAS_FROM,
	DOMAIN_HAS, DOMAIN_ADD, DOMAIN_SHADOW, DOMAIN_DELETE, DOMAIN_CATCH_ALL, DOMAIN_EACH, DOMAIN_USED,
	ACCOUNT_FIND, ACCOUNT_FIRST_OF, ACCOUNT_FIRST, ACCOUNT_ADD, ACCOUNT_DELETE, ACCOUNT_CREDENTIAL,
	ACCOUNT_SET, ACCOUNT_SOURCE, ACCOUNT_ENABLE, ACCOUNT_EACH,
	ALIAS_FIND, ALIAS_ADD, ALIAS_DELETE, ALIAS_DELETE_ALL, ALIAS_EACH,
	LIMITS_ACCOUNT, LIMITS_DOMAIN, LIMITS_EACH, LIMITS_ONE, LIMIT_OF, GROUP_MAKE, GROUP_FIND, MEMBER_ADD, MEMBER_DELETE, GROUP_EACH,
	GONE_ADD, GONE_EACH, SECRET_GET, SECRET_ADD, PLAIN_GET, PLAIN_PUT,
	SHA1_GET, SHA1_PUT, ONE_TIME_GET, ONE_TIME_PUT, ONE_TIME_DELETE, ONE_TIME_USE,
	ACCOUNT_WHOSE, BIND_PUT, BIND_DELETE, MUTE_SHA256, MUTE_SHA1, SAID_GET, SAID_PUT,
	ACCOUNT_LIVES, OWNER_ADD, OWNER_FIND, OWNER_GET, OWNER_EACH, OWNED_PUT, OWNED_ASIDE,
	OWNED_BOUNDS, OWNED_TOTP, OWNED_DROP,
	TOTAL_EACH, TOTAL_PUT, TOTAL_DROP, TOTAL_NEXT, SHARE_GET, SHARE_PUT, SHARE_DROP, SHARE_DROP_ALL,
	DOMAIN_THERE, DOMAIN_OF_ACCOUNT, DOMAIN_OF_PLACE, DOMAIN_OF_USER,
	SYSTEM_PUT, SYSTEM_FIND, SYSTEM_OF, SYSTEM_EACH, SYSTEM_DELETE, SYSTEM_ENABLE, SYSTEM_LIMITS, SYSTEM_GONE, SYSTEM_IS,
	DIRECTORY_QUERIES
};

enum { PROTECTION_QUERIES = 32 };
struct directory {
	sqlite3      *db;
	sqlite3_stmt *ready[DIRECTORY_QUERIES];
	sqlite3_stmt *protection[PROTECTION_QUERIES];    /* of protection.c, each from its first use on */
	struct image *image;                             /* image.h */
};

/* An address as the tables keep it: folded case, the domain completed; and its local
   part as it was typed. */
struct directory_key { struct bytes local, domain, typed; };
bool directory_key(struct bytes text, const char *origin, struct arena *, struct directory_key *out);
/* What the outside calls an address, but no account of ours can be called: the domain still
   tells whose it is. */
bool directory_key_of_stranger(struct bytes text, struct arena *, struct directory_key *out);

/* What is bound must live until the statement is done: callers reset it before their arena ends. */
sqlite3_stmt *directory_query(struct directory *, enum directory_query, struct bytes first, struct bytes second);
/* One row is OK, none is NONE, anything else is the database's trouble. */
enum directory_outcome directory_row(struct directory *, sqlite3_stmt *);
/* A change: `unchanged` is what it means when no row was touched. */
enum directory_outcome directory_change(struct directory *, sqlite3_stmt *, enum directory_outcome unchanged);
/* The id an account's mailboxes are kept under. */
enum directory_outcome directory_lives(struct directory *, const struct directory_key *, uint64_t *id);
/* Several changes are one: BEGIN, then all of them when `o` is OK, else none.  The end's outcome is `o`, or LATER when
   the database could not keep it. */
bool directory_simply(struct directory *, enum directory_query);
enum directory_outcome directory_change_end(struct directory *, enum directory_outcome o);
/* Accounts and aliases have names that need no quotes. */
bool directory_key_to_keep(struct bytes text, const char *origin, struct arena *, struct directory_key *out);
/* The two columns that choose rows: an address, a domain, or everything. */
bool directory_choose(struct arena *, struct bytes only, struct bytes domain, struct directory_key *out);
struct bytes directory_column(sqlite3_stmt *, int at);
void directory_bind(sqlite3_stmt *, int at, struct bytes text);
/* owner.c: in a transaction, whose the files of this new account are to be. */
enum directory_outcome directory_own(struct directory *, const struct directory_key *, const struct mail_owner *);

#endif
