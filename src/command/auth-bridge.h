/*
 * auth-bridge -- a program that knows ejabberd's external authentication asks by us at an auth_socket
 *
 * From:     command auth
 * Touches:  the standard input and output, and the socket at `path`, with the rights of whoever starts it
 *
 * auth_bridge() answers until the input ends, and returns the command's status.
 */
#ifndef COMMAND_AUTH_BRIDGE_H
#define COMMAND_AUTH_BRIDGE_H

#include "command/command.h"

int auth_bridge(const char *path);

#endif
