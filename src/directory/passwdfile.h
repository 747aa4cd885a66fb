/*
 * passwdfile -- a passwd-file of Dovecot: users, their hashes and what else is known of them
 *
 * From:     role/clerk (back end of credentials), config check
 * Touches:  its text alone
 *
 *     user:{SCHEME}hash:uid:gid:gecos:home:shell:extra fields
 *
 * All but user may be missing.  An extra field is name=value, or a name alone; those of the userdb begin with
 * userdb_.  `#` comments.  Names are compared without regard to case; of two lines the first holds.
 *
 * passwdfile_open()  NULL with complaints in *errors, "FILE:12: ..." and a newline each, when a line is not so.
 * passwdfile_find()  the user's line: the hash, and everything else as fields (directory/credential.h) in the arena.
 *                    False: not there.  passwdfile_find_by() looks for them by another name, that without the domain.
 * passwdfile_each()  every user, with the number of the line, in their order.
 * passwdfile_without() how many users have a hash, but none that SCRAM-SHA-1, SCRAM-SHA-256, CRAM-MD5, DIGEST-MD5 or NTLM can be checked with; one of them in *name, and all with a hash in *all.
 * Bounded: lines of 64 KiB, text of 256 MiB.
 */
#ifndef DIRECTORY_PASSWDFILE_H
#define DIRECTORY_PASSWDFILE_H

#include "base/arena.h"
#include "base/buffer.h"

struct passwdfile;
struct passwdfile *passwdfile_open(struct bytes text, const char *file, struct buffer *errors, struct buffer *warnings);
void passwdfile_close(struct passwdfile **);
bool passwdfile_find(const struct passwdfile *, struct bytes user, struct arena *, struct bytes *hash, struct bytes *fields);
bool passwdfile_find_by(const struct passwdfile *, struct bytes name, struct bytes user, struct arena *, struct bytes *hash, struct bytes *fields);
void passwdfile_each(const struct passwdfile *, void (*each)(void *, int line, struct bytes user, struct bytes fields), void *);
size_t passwdfile_count(const struct passwdfile *);
size_t passwdfile_without(const struct passwdfile *, const char *mechanism, struct arena *, const char **name, size_t *all);

#endif
