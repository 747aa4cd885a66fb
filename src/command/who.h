/*
 * who -- the people who read their mail now, as doveadm who tells of them
 *
 * who_readers()   a row for each user and protocol: sessions, processes, addresses; `apart`: a row for each
 *                 session.  `what` is a user (with * and ?), an address or a network; "" everybody.
 * who_kick()      ends their sessions, and says of whom in doveadm's words; COMMAND_NOT_FOUND when there is none.
 */
#ifndef COMMAND_WHO_H
#define COMMAND_WHO_H

#include "command/output.h"

int who_readers(struct call *, const char *what, bool apart, enum output_form);
int who_kick(struct call *, const char *what);

#endif
