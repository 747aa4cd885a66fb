/*
 * renaming -- what the fields of a back end make of the name somebody logged in by
 *
 * From:     directory/passwdfile, directory/credential-remote
 * Touches:  nothing
 *
 * As Dovecot's, one after the other: `user` is the whole name; `username` what stands before its @, or the whole where it
 * has one itself; `domain` what stands behind it, with or without an @ before.
 *
 * renaming_fields()  the fields (directory/credential.h) with all of these as one `user` at their end; as they are where
 *                    there is none of them.
 * renaming_user()    `user` of fields like these; else the name itself.
 */
#ifndef DIRECTORY_RENAMING_H
#define DIRECTORY_RENAMING_H

#include "base/arena.h"
#include "base/bytes.h"

struct bytes renaming_fields(struct bytes fields, struct bytes name, struct arena *);
struct bytes renaming_user(struct bytes fields, struct bytes name);

#endif
