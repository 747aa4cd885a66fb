/*
 * casefold -- letters of a key without regard to case, for all of Unicode
 *
 * From:     directory (keys of lookup tables)
 *
 * casefold()  text in UTF-8 with every letter folded, as full case folding of Unicode has it: what differs in case alone becomes
 *             the same ("STRASSE" and "straße" too).  Bytes that are no UTF-8 stay as they are.  The text itself where nothing
 *             is to be folded, else it lies in the arena.
 *
 * Unlike fold.h it decomposes nothing: a key is shown as it was written, in small letters.
 */
#ifndef MESSAGE_CASEFOLD_H
#define MESSAGE_CASEFOLD_H

#include "base/arena.h"

struct bytes casefold(struct arena *, struct bytes);

#endif
