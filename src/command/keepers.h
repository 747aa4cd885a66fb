/*
 * keepers -- what is asked of every keeper of the running server
 *
 * keepers_ask()   asks each in turn, gathers what they say in *said; 0 when all said 0, else the
 *                 highest status (2: no server).
 *                 Of operating-system users' keepers those that are at work.
 * keepers_ask_all()  the same, and every user's who has mail is brought for it: `users` is the directory of their
 *                 indexes, closed here, -1 none.
 * mask_fits()     "j*@example.com" and a name; "*" and "?", in any case.
 */
#ifndef COMMAND_KEEPERS_H
#define COMMAND_KEEPERS_H

#include "command/command.h"

int  keepers_ask(struct call *, int argc, const char *const *argv, struct buffer *said);
int  keepers_ask_all(struct call *, int argc, const char *const *argv, int users, struct buffer *said);
/* The name of a keeper's socket. */
void keeper_socket(uint32_t index, char out[static 32]);
bool mask_fits(const char *mask, const char *name);

#endif
