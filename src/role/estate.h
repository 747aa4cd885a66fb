/*
 * estate -- what the postmaster owns and hands out: directories, sockets, files
 *
 * From:     postmaster
 * Touches:  the mail directory, ports, the certificate, the log
 *
 * estate_make_directories()  every directory with its owner and mode.  What is
 *     there and is not as it must be is refused in words, not changed: but for a mode
 *     that gives more than ours, which is narrowed.
 * estate_lock()   the pid file, locked.  The lock is handed to every role, so that
 *     it is held until the last of them is gone.  -1 with words.
 * estate_open()   opens all that these settings ask for.  What `before` has already
 *     (the same listening socket, the ticket key) is taken over.  NULL with words in
 *     *errors; `before` is untouched then.
 *     A table's file that cannot be opened is warned of and left out.
 * estate_replace() closes what the old one has and the new one has not.
 */
#ifndef ROLE_ESTATE_H
#define ROLE_ESTATE_H

#include "base/buffer.h"
#include "role/pass.h"
#include "role/settings.h"
#include "role/wire.h"

enum { EVERY_INDEX = -1 };
/* Who gets the files of lookup tables; and those that only tell how to reach a remote one. */
#define TABLE_ROLES        (FROM(CLERK)|FROM(POLICY))
#define TABLE_ROLES_REMOTE FROM(PROXYMAP)

/* A resource (see house.h) and who gets it. */
struct holding {
	struct holding *next;
	char           *name, *text;
	int             fd;              /* -1: words alone                      */
	unsigned        roles;           /* FROM() bits                          */
	int64_t         index;           /* one of the role alone, or EVERY_INDEX */
	bool            borrowed;        /* of the estate before                 */
	bool            keeps_path;      /* another has this socket's path now   */
	bool            gone;            /* a table's file that is not there now */
};
struct estate { struct holding *first; };

bool estate_make_directories(const struct common_settings *, struct buffer *errors);
/* What accounts have sent is written down, if it is not what is written: now and then, and at the end. */
void estate_keep_tally(const struct common_settings *);
int  estate_lock(const struct common_settings *, const char *file, struct buffer *errors);
void estate_unlock(const struct common_settings *);
struct estate *estate_open(const struct common_settings *, struct settings *, int lock, uint32_t keepers,
                           const struct estate *before, struct buffer *errors);
/* Files of tables that are others now than those held: opened, and given to `tell`.  One that is gone or cannot
   be opened stays held as it was; the log says so once.  How many were new. */
size_t estate_renew_tables(struct estate *, struct settings *, void (*tell)(void *, const struct holding *), void *);
/* Whether a file of certificates or keys is another now.  What cannot be opened is not; that is warned of once. */
bool estate_tls_changed(const struct estate *, const struct common_settings *, struct settings *);
/* Every file they are in, and is to come in, for a watch. */
void estate_tls_files(struct settings *, void (*each)(void *ctx, const char *path), void *ctx);
/* The keys of tickets as they are now: held, kept for the next start, and to be given. NULL: they stay. */
const struct holding *estate_renew_tickets(struct estate *, const struct common_settings *);
/* A key of passes as a descriptor that reads as it; -1 with errno. */
int estate_pass_descriptor(const char key[static PASS_KEY]);
/* Whose sessions are told (role/debug.h): held, and to be given. */
const struct holding *estate_debug(struct estate *, const char *text);
/* The same holding in another estate: same name, same text, same descriptor. NULL: not there. */
const struct holding *estate_same(const struct estate *, const struct holding *);
const struct holding *estate_find(const struct estate *, const char *name);
void estate_replace(struct estate **old, struct estate *new);
/* Sockets with paths are removed too. */
void estate_close(struct estate **);

#endif
