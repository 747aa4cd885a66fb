/*
 * beenhere -- whether a letter has been delivered to an address before, and has come back
 *
 * From:     deliver, role/keeper (commands, files, ~/.forward, pipes), role/queue (aliases)
 * Touches:  reads fields of the letter, and only of one whose digest says that there are such
 *
 * been_here() looks for a Delivered-To field with this address among the fields the letter came with.  The one that
 * a copy gets from us stands before them and is none of these.  Case does not count.  A letter that cannot be read now
 * has not been here: who delivers it will say why it cannot.
 */
#ifndef DELIVERY_BEENHERE_H
#define DELIVERY_BEENHERE_H

#include "message/digest.h"
#include "spool/letters.h"

bool been_here(struct letters *, const struct letter_place *, const struct digest *, struct bytes address);
/* The words for it; its status is 5.4.6 (rfc3463:3.5, routing loop). */
const char *been_here_text(struct bytes address, struct arena *);

#endif
