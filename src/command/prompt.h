/*
 * prompt -- a question to the person at the terminal
 *
 * From:     commands that take passwords; setup
 * Touches:  /dev/tty; the standard input where that is not a terminal
 *
 * prompt_line()      asks, and appends what was typed, or `standard` for an empty line.
 * prompt_secret()    asks twice without echo, until both are the same.
 * prompt_password()  a password: the first line of `file` ("-" the standard input); without a
 *     file from the terminal, or from the standard input where that is no terminal.
 *
 * Fails:    false, words are on the standard error.  Nobody's password is an argument.
 */
#ifndef COMMAND_PROMPT_H
#define COMMAND_PROMPT_H

#include "base/buffer.h"

bool prompt_line(const char *question, const char *standard, struct buffer *out);
bool prompt_secret(const char *question, struct buffer *out);
bool prompt_password(const char *file, const char *question, struct buffer *out);
/* Wiped, then freed. */
void prompt_forget(struct buffer *);

#endif
