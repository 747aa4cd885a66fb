/*
 * postfix -- a main.cf of Postfix's as a main.cf of ours
 *
 * From:     command/config.c (config import)
 * Touches:  the files of alias_maps it names, and the .forward of operating-system users, which it only reads
 *
 * postfix_is()         whether a text is one: a setting that Dovecot has not begins a line of it.
 * postfix_translate()  all of it as it stands, and behind it the lines that keep its meaning where our own standard is another.
 */
#ifndef COMMAND_POSTFIX_H
#define COMMAND_POSTFIX_H

#include "base/buffer.h"

bool postfix_is(struct bytes text);
void postfix_translate(struct bytes text, const char *file, struct buffer *out);

#endif
