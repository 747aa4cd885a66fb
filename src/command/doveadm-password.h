/*
 * doveadm-password -- `doveadm pw`: a hash for a table of passwords, or whether a password fits one
 *
 * password_print()   prints "{SCHEME}hash", the schemes, or says whether it fits; returns the status.  The
 *                    password is asked for where it is not given.
 */
#ifndef COMMAND_DOVEADM_PASSWORD_H
#define COMMAND_DOVEADM_PASSWORD_H

#include <stdbool.h>

struct password_work {
	bool        list, verify;      /* -l; -V                           */
	const char *scheme, *plain, *rounds, *test, *user;   /* -s -p -r -t -u, or NULL */
};
int password_print(const struct password_work *);

#endif
