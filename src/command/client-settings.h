/*
 * client-settings -- what to enter into mail programs, for people, and as programs look for it
 *
 * From:     command domain
 * Touches:  main.cf and the certificates it names
 *
 * client_settings_run()  domain client-settings; the exit status.
 */
#ifndef COMMAND_CLIENT_SETTINGS_H
#define COMMAND_CLIENT_SETTINGS_H

#include "command/command.h"

int client_settings_run(struct call *);

#endif
