/*
 * protection -- account app-password, account totp: what asks for a code or shows a picture
 */
#ifndef COMMAND_PROTECTION_H
#define COMMAND_PROTECTION_H

#include "command/command.h"

/* Whether these words of `account` are its own. */
bool protection_words(const struct call *);
int  protection_run(struct call *);

#endif
