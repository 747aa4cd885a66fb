/*
 * doveadm-path -- `doveadm mailbox path`: where the letters of a mailbox lie
 *
 * path_print()   the directory or file of this mailbox of these accounts, whether there is one or not, as doveadm prints it;
 *                `type` is what -t said, or NULL.  Letters of the log have no place of their own: it says so.
 *                Returns the status, or PATH_WRONG_TYPE.
 */
#ifndef COMMAND_DOVEADM_PATH_H
#define COMMAND_DOVEADM_PATH_H

#include "command/output.h"

enum { PATH_WRONG_TYPE = -1 };
int path_print(struct call *, const char *who, bool many, const char *type, const char *mailbox,
               enum output_form);

#endif
