/*
 * dovecot -- what a dovecot.conf says, in the words of our main.cf
 *
 * From:     command config import
 * Touches:  nothing
 *
 * dovecot_translate()  reads what `doveconf -nP` prints (or a dovecot.conf that includes no other) and appends one line for
 *                      each setting that has a name here, and one for each that has none, as a remark.
 */
#ifndef COMMAND_DOVECOT_H
#define COMMAND_DOVECOT_H

#include "base/buffer.h"

/* What a setting of theirs is called here; the name itself where it is none of those that have another. */
const char *dovecot_name_here(const char *theirs);
void dovecot_translate(struct bytes text, struct buffer *out);

#endif
