/*
 * owner -- to whom the mailboxes of virtual users belong: a uid and a gid, and a keeper that has both
 *
 * From:     clerk, who numbers them (directory/directory.h) and says OWNER; child; house, of such a keeper
 * Touches:  users/PLACE of the mail directory: the index of these accounts.  Whom it belongs to, he is the owner: so any
 *           process may want a keeper by its index alone, and what a name meant once holds.
 *
 * owner_index()    the index of the keeper (KEEPER_OF_USER): above all those of operating-system users.
 * owner_make()     by the postmaster: makes the directory, unless it is there.  Why it cannot be, as a sentence; NULL: it is there:
 *     a name nobody has, uid 0, one below first_valid_uid and virtual_minimum_uid, the account of a role.  Where the postmaster is not root
 *     everything belongs to whom it runs as.
 * owner_wrong()    what of that is wrong, as a sentence; NULL: nothing.  For the check of settings; `least` is the smallest uid
 *     that the setting may give by number.
 * owner_is_made()  whether it is there.
 * owner_check_users(), owner_check_table()  what passwd-files, and tables of virtual_uid_maps and virtual_gid_maps, say that cannot be
 *     (owner-check.c), with the line or the key.
 * owner_user()     who the keeper is to become; strings in the arena.  False, in words: the directory is not there.
 */
#ifndef ROLE_OWNER_H
#define ROLE_OWNER_H

#include "directory/directory.h"
#include "directory/passwdfile.h"
#include "directory/table.h"
#include "role/confine.h"

#define KEEPER_OF_OWNER (KEEPER_OF_USER | DIRECTORY_OWNER_DOMAIN)
static inline uint32_t
owner_index(uint32_t number)
{
	return KEEPER_OF_OWNER | number;
}
static inline bool
is_owner_index(uint32_t index)
{
	return index >> 16 == KEEPER_OF_OWNER >> 16;
}

const char *owner_wrong(const struct common_settings *, const struct mail_owner *, int64_t least);
const char *owner_make(const struct common_settings *, uint32_t number, const struct mail_owner *);
bool owner_is_made(const struct common_settings *, uint32_t index);
bool owner_user(const struct common_settings *, uint32_t index, struct arena *, struct system_user *out, struct buffer *errors);

void owner_check_users(const struct common_settings *, const struct passwdfile *, const char *file, struct buffer *warnings);
void owner_check_table(const struct common_settings *, struct table *, const char *setting, struct buffer *warnings);

#endif
