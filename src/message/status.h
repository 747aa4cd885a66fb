/*
 * status -- the codes that tell what became of mail (rfc3463)
 *
 * From:     whoever has words that may begin with one: "5.1.1 no such user", of tables, checks and settings
 * Touches:  nothing
 *
 * status_len()  of the code the text begins with, blank or end behind it; 0: with none.
 * status_is()   the text is one of these classes ("45": a refusal), and nothing else.
 */
#ifndef MESSAGE_STATUS_H
#define MESSAGE_STATUS_H

#include "base/bytes.h"

size_t status_len(struct bytes text);
bool   status_is(struct bytes text, const char *classes);

#endif
