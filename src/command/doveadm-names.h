/*
 * doveadm-names -- everybody there is, for doveadm user '*'
 *
 * From:     command/doveadm-user
 * Touches:  what auth_backends name: passwd-files, databases and servers, which it asks itself; users of the operating system where PAM is one
 *
 * names_print()  the names that fit the mask, a line each, nobody twice: accounts of the directory, then the users of each back end in its
 *                turn.  Back ends that cannot tell (saslauthd, Dovecot, SQL without iterate_query) are passed by.  The exit status: that
 *                of EX_TEMPFAIL, as doveadm's own, where one that can does not answer.
 */
#ifndef COMMAND_DOVEADM_NAMES_H
#define COMMAND_DOVEADM_NAMES_H

#include "command/command.h"

int names_print(struct call *, const char *mask);

#endif
