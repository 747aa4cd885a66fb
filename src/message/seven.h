/*
 * seven -- a letter with bytes above 127 made one without, for hosts that know no 8BITMIME (rfc6152:3, rfc2045:6)
 *
 * From:     role/verifier
 * Pure: bytes in, edits out.
 *
 * seven_make()  what is to stand instead: texts become quoted-printable, all other parts base64, and what they are in says 7bit.
 *     What is encoded already stays, but for bytes above 127 that stand in it all the same: in quoted-printable they are said
 *     as it says them, in base64 they mean nothing and are left out, in uuencode and in what may not be encoded, as message/delivery-status (rfc2046:5.2), they become question
 *     marks.  An encoding that nobody knows is none (rfc2045:6.4): its name stays with X- before it, in ASCII.  Fields stay.  What stands before, between and behind parts gets question marks.
 *     False: it cannot be done, for a part is damaged, or is a piece of a letter
 *     (message/partial).  Signatures over what was changed do not hold any more.
 *     Of more than SEVEN_MOST bytes it is not begun.
 * seven_quote() one text as quoted-printable, appended.
 */
#ifndef MESSAGE_SEVEN_H
#define MESSAGE_SEVEN_H

#include "base/buffer.h"
#include "message/digest.h"
#include "message/edits.h"

enum { SEVEN_MOST = 12 << 20 };
bool seven_make(struct bytes content, const struct digest *, struct arena *, struct edits *) __attribute__((warn_unused_result));
void seven_quote(struct bytes text, struct buffer *out);

#endif
