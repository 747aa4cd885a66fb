/*
 * doveadm-auth -- `doveadm auth test`: whether a password lets somebody in, told as doveadm(1) does
 *
 * From:     command doveadm
 * Touches:  the clerk's control socket, or the auth socket that is named; the terminal
 *
 * auth_print()   asks our own server, or the auth socket that is named; returns the status.  The password is asked for where it
 *                is not given.
 */
#ifndef COMMAND_DOVEADM_AUTH_H
#define COMMAND_DOVEADM_AUTH_H

#include "command/command.h"

struct auth_work {
	struct call       *call;
	const char        *socket, *master;   /* -a, -M, or NULL                */
	const char *const *fact;              /* of each -x: "rip=192.0.2.1"    */
	int                facts;
	const char        *user, *plain;      /* plain NULL: not given          */
};
int auth_print(const struct auth_work *);

#endif
