/*
 * location -- mail_location: where an account's mailboxes lie, in Dovecot's words
 *
 * From:     role/keeper, role/settings (the check), store/place
 * Pure: text in, values out.
 *
 *     ""                                   the letter log
 *     maildir:/var/vmail/%d/%n             Maildir++
 *     maildir:/var/vmail/%d/%n:LAYOUT=fs   a Maildir with directories in directories
 *     mbox:~/mail:INBOX=/var/mail/%n       a file for each folder
 *
 * %u is the whole address, %n what stands before the @, %d the domain, %h and a leading ~ the home
 * (mail_home), %% a percent sign.  What a person may choose never makes a path of its own: an
 * address with a '/' or a leading dot in one of its halves has no such place (EINVAL).  INDEX= may be there as in
 * Dovecot's words, and says nothing: what is remembered of a place lies in the mail directory.
 *
 * location_complain()  what is wrong with a location as an administrator wrote it, and what would be
 *                      right, as a sentence; NULL: nothing.  `home` is mail_home.
 * location_expand()    the location of one user.  False: the address cannot be put into it.
 * location_read()      takes an expanded one apart; strings in the arena.  False: broken.
 * location_folder()    the directory or file of a folder in a location that is not the log (store/place.c).
 *                      False: it can have none.
 * location_prefix()    the directory all users' places of it lie under: what the cage must
 *                      have.  For INBOX= too: `which` counts, false when there is no such one.
 */
#ifndef STORE_LOCATION_H
#define STORE_LOCATION_H

#include "base/arena.h"
#include "base/buffer.h"

enum location_kind { LOCATION_LOG, LOCATION_MAILDIR, LOCATION_MAILDIR_FS, LOCATION_MBOX };
struct location {
	enum location_kind kind;
	const char        *root;       /* absolute                                */
	const char        *inbox;      /* mbox: the INBOX file; NULL: root/inbox  */
};

const char *location_complain(const char *text, const char *home, struct arena *);
bool location_expand(const char *text, const char *home, struct bytes user, struct buffer *out);
bool location_read(const char *text, struct arena *, struct location *out);
bool location_folder(const struct location *, const char *folder, struct buffer *out);
bool location_prefix(const char *text, const char *home, unsigned which, struct buffer *out);
/* A link in this directory that only root can make, move or remove (store/place.c). */
bool path_is_link_of_root(int dir, const char *name);
/* Is it this directory, or below it? */
bool path_is_within(struct bytes path, struct bytes directory);

#endif
