/*
 * doveadm-user -- `doveadm user` and `doveadm auth lookup`: what is known of a user, as doveadm prints it
 *
 * user_print()   of each of the words; a word with * or ? lists names.  `field`: its value alone.  Returns the status.
 */
#ifndef COMMAND_DOVEADM_USER_H
#define COMMAND_DOVEADM_USER_H

#include "command/command.h"

enum user_form { USER_TABLE, USER_FIELDS /* -u */, USER_PASSDB /* auth lookup */ };
int user_print(struct call *, enum user_form, const char *field, int count, char **who);

#endif
