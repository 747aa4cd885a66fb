/*
 * folders -- the mailboxes of an account, as a client is told of them
 *
 * folders_list()   all that exist, or all that are subscribed (also those that are no more); memory from the
 *                  arena; -1 after saying why.
 * folder_id()      what doveadm calls its guid: the MAILBOXID (rfc8474), or the UIDVALIDITY in hex.
 * pattern_of_any() whether one of the patterns (with * and %) means this mailbox; without any: all.
 */
#ifndef COMMAND_FOLDERS_H
#define COMMAND_FOLDERS_H

#include "base/arena.h"
#include "command/client.h"

struct folder { const char *name, *use; bool exists, subscribed, children; };
struct folders { struct folder *one; size_t count; };
int  folders_list(struct client *, struct arena *, bool subscribed, struct folders *out);
bool folder_id(struct client *, const char *name, char out[static 64]);
bool pattern_of_any(char *const *patterns, int count, const char *name);

#endif
