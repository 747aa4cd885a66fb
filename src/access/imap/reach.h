/*
 * reach -- which mailbox a name means to this reader, and what the reader may do there
 *
 * From:     the commands, every one that takes the name of a mailbox
 * To:       store/rights, store/shares
 *
 * Names of three kinds (rfc2342):
 *
 *     INBOX, a/b                           the reader's own account
 *     Other Users/jill@example.com/a/b     somebody's who shows it; the domain may be left out when it is the reader's
 *     Shared/sales@example.com/a/b         of a group
 *
 * An own mailbox that has such a name already stays what it is.  Accounts share within one domain, when the house keeps
 * a domain's accounts together (facts.shares); else only the first kind is there.
 *
 * reach_name()   fills *out; the account is held until reach_drop().  ENOENT: nothing by that name may be seen; EXDEV:
 *                of another domain.  The mailbox itself need not exist: `mailbox` is 0 then, and rights are
 *                those of the nearest level above.
 * reach_full_name() the name with the domain that was left out: as LIST tells it.
 * reach_reserved() is this the level above others' names itself?  It can be no mailbox.
 * reach_take()   the mailbox, if the reader has these rights: which command needs what is rfc4314:4, and stands with
 *                each call.  NULL with *why: EACCES when only the right is missing.
 * reach_no_target() NO for a mailbox that letters were to come into: TRYCREATE only where the reader could make it
 *                (rfc3501:6.3.11).
 * reach_rights() what the reader may do in a mailbox that is open.
 * reach_list()   every mailbox there is to see: own names and others', sorted.
 * reach_list_one() one of these; false: there is none of this name.
 * reach_reader() who reads, as the rights know it.
 */
#ifndef ACCESS_IMAP_REACH_H
#define ACCESS_IMAP_REACH_H

#include "access/imap/session.h"
#include "store/rights.h"
#include "store/shares.h"

#define OTHERS "Other Users/"
#define GROUPS "Shared/"

struct reach {
	struct account *account;       /* held                                   */
	struct share    whose;         /* account 0: the reader's own            */
	const char     *name;          /* in that account                        */
	uint64_t        mailbox;       /* 0: there is none of that name          */
	unsigned        rights;
};
int  reach_name(struct imap *, const char *name, struct reach *out);
void reach_drop(struct reach *);
const char *reach_full_name(struct imap *, const char *name);
bool reach_reserved(const struct imap *, const char *name);
struct mailbox *reach_take(struct imap *, const char *name, unsigned needs, int *why);
struct mailbox *reach_glance(struct imap *, const char *name, unsigned needs, int *why);
enum imap_step reach_no_target(struct imap *, const char *name, int why);
unsigned reach_rights(struct imap *, struct mailbox *);
size_t reach_list(struct imap *, struct mailbox_info **out);
bool reach_list_one(struct imap *, const char *name, struct mailbox_info *out);
struct reader reach_reader(const struct imap *);
/* The flags that may be changed with these rights; keywords go with \Answered and its like (rfc4314:4, STORE). */
uint64_t reach_flags(unsigned rights);
/* \Seen of this reader alone, in somebody else's mailbox. */
int  reach_mark_seen(struct imap *, struct mailbox *, const struct uid_set *);
/* "r" in the selected mailbox: who loses it while it is open sees no more of it. */
bool reach_may_read(struct imap *);
/* "e" in the selected mailbox. */
bool reach_may_expunge(struct imap *);
/* MYRIGHTS of a mailbox (imap/acl.c); false: nothing may be said. */
bool myrights_write(struct imap *, const char *name);
/* Accounts that show something to this reader, and its groups; memory from the command's arena. */
size_t reach_shares(struct imap *, struct share **out);
/* Is this a name of the second or third kind? */
bool reach_is_others(struct imap *, const char *name);
/* Is there anything of others to be seen? */
bool reach_shows(struct imap *);

#endif
