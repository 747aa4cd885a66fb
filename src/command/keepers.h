/*
 * keepers -- what is asked of every keeper of the running server
 *
 * keepers_ask()   asks each in turn, gathers what they say in *said; 0 when all said 0, else the
 *                 highest status (2: no server).
 * mask_fits()     "j*@example.com" and a name; "*" and "?", in any case.
 */
#ifndef COMMAND_KEEPERS_H
#define COMMAND_KEEPERS_H

#include "command/command.h"

int  keepers_ask(struct call *, int argc, const char *const *argv, struct buffer *said);
/* The name of a keeper's socket. */
void keeper_socket(uint32_t index, char out[static 32]);
bool mask_fits(const char *mask, const char *name);

#endif
