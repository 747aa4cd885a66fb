/*
 * nstring -- rfc3501:9 nstring = string / nil, as FETCH answers need them
 *
 * A view whose `at` is NULL is NIL.  Printable ASCII of at most 998 bytes is
 * quoted, all else is a literal; a NUL, which no literal may hold, becomes "?".
 */
#ifndef MESSAGE_NSTRING_H
#define MESSAGE_NSTRING_H

#include "base/buffer.h"

void nstring_write(struct bytes, struct buffer *out);
/* Is this one whole parenthesised list of strings, numbers, NILs and lists? */
bool nstring_list_valid(struct bytes);

#endif
