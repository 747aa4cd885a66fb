/*
 * bodystructure -- IMAP's BODYSTRUCTURE and BODY (rfc3501:7.4.2, rfc9051:7.5.2)
 *
 * bodystructure_write() appends the parenthesised list; with `extended`, that
 * of BODYSTRUCTURE, else that of BODY.  `envelope` holds the ready envelope of
 * each part that is a letter, by part index; empty elsewhere.
 */
#ifndef MESSAGE_BODYSTRUCTURE_H
#define MESSAGE_BODYSTRUCTURE_H

#include "message/mime.h"

void bodystructure_write(const struct mime *, const struct bytes *envelope, bool extended,
                         struct arena *scratch, struct buffer *out);

#endif
