/*
 * who -- the people who read their mail now, as doveadm who tells of them
 *
 * who_readers()   a row for each user and protocol: sessions, processes, addresses; `apart`: a row for each
 *                 session.  `whom` are as many words as `n` says: a user (with * and ?), an address or a network, a user
 *                 and one of those; none: everybody.
 * who_misfit()    why these words mean nobody together; NULL: they mean somebody.
 * who_kick()      ends their sessions, and says of whom in doveadm's words; COMMAND_NOT_FOUND when there is none.
 */
#ifndef COMMAND_WHO_H
#define COMMAND_WHO_H

#include "command/output.h"

int who_readers(struct call *, int n, char *const *whom, bool apart, enum output_form);
const char *who_misfit(int n, char *const *whom);
int who_kick(struct call *, int n, char *const *whom);

#endif
