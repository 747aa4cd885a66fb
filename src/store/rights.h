/*
 * rights -- who else may do what with a mailbox (rfc4314)
 *
 * From:     access/imap
 * Touches:  table `acl` of the account's index
 *
 * The owner of an account has all rights, always; rows tell of others.  An identifier is an address in lower case,
 * "anyone", "authenticated", or "$name@domain" for the members of a group; with "-" before it the rights are taken away.
 *
 * rights_of()      what this reader may do: `base` and rows that name it, less those that name it with "-".
 * acl_set()        replaces a row; no rights: takes it away.  ENOENT: there was none.  EDQUOT: too many.
 * acl_revoke()     all rows of all mailboxes that name this address, or the group that has it, and were granted until then.
 * acl_each()       the rows of one mailbox, by name.
 * acl_any()        does anybody but the owner see anything here?
 * rights_read()    letters to bits; "c" and "d" of rfc2086 stand for "kx" and "te".  False: not a right.
 * rights_write()   bits to letters, "c" and "d" too where they are implied (rfc4314:2.1.1).
 */
#ifndef STORE_RIGHTS_H
#define STORE_RIGHTS_H

#include "store/store.h"

enum {
	RIGHT_LOOKUP  = 1 << 0,        /* l */
	RIGHT_READ    = 1 << 1,        /* r */
	RIGHT_SEEN    = 1 << 2,        /* s */
	RIGHT_WRITE   = 1 << 3,        /* w */
	RIGHT_INSERT  = 1 << 4,        /* i */
	RIGHT_POST    = 1 << 5,        /* p */
	RIGHT_CREATE  = 1 << 6,        /* k */
	RIGHT_REMOVE  = 1 << 7,        /* x: the mailbox itself */
	RIGHT_DELETE  = 1 << 8,        /* t: \Deleted           */
	RIGHT_EXPUNGE = 1 << 9,        /* e */
	RIGHT_ADMIN   = 1 << 10,       /* a */
	RIGHTS_ALL    = (1 << 11) - 1,
	RIGHTS_WRITTEN = 16,           /* room for all letters and a NUL */
};
enum { ACL_MOST = 1000, IDENTIFIER_MOST = 400 };

/* One who reads: an address, and the groups it belongs to ("sales@example.com"). */
struct reader { uint64_t account; const char *address; const char *const *group; size_t groups; };

unsigned rights_of(struct account *, uint64_t mailbox, const struct reader *, unsigned base);
int  acl_each(struct account *, uint64_t mailbox, void (*each)(void *ctx, const char *who, unsigned rights), void *ctx);
int  acl_set(struct account *, uint64_t mailbox, const char *who, unsigned rights);
int  acl_revoke(struct account *, struct bytes address, int64_t until);
bool acl_any(struct account *);
bool rights_read(struct bytes letters, unsigned *out);
void rights_write(unsigned rights, char out[static RIGHTS_WRITTEN]);
/* A new mailbox has what the nearest level above it has (rfc4314:4, CREATE). */
int  acl_inherit(struct account *, uint64_t from, uint64_t to);

#endif
