/*
 * fetch -- items of FETCH that others ask for: NOTIFY for what arrives (rfc5465:5.2)
 *
 * fetch_list_read()  "(" fetch-att *(SP fetch-att) ")"; memory from the arena.
 * fetch_list_say()   the FETCH response of one message the client knows; \\Seen is not set by it.
 */
#ifndef ACCESS_IMAP_FETCH_H
#define ACCESS_IMAP_FETCH_H

#include "access/imap/session.h"

struct fetch_list;
struct fetch_list *fetch_list_read(struct imap *, struct scan *, struct arena *);
void fetch_list_say(struct imap *, const struct fetch_list *, uint32_t uid);

#endif
