/*
 * envelope-list -- the first addresses of an ENVELOPE as it stands in a digest
 *
 * To:       store/columns, for SORT (rfc5256, rfc5957)
 *
 * The text is IMAP syntax (rfc3501:9 envelope) that nstring_list_valid() has seen; anything else gives
 * empty addresses.  Views are of the text, or of the arena where a quoted string had to be unquoted.  No recursion.
 */
#ifndef STORE_ENVELOPE_LIST_H
#define STORE_ENVELOPE_LIST_H

#include "base/arena.h"

enum envelope_list { ENVELOPE_FROM, ENVELOPE_SENDER, ENVELOPE_REPLY_TO, ENVELOPE_TO, ENVELOPE_CC, ENVELOPE_BCC, ENVELOPE_LISTS };
struct envelope_address { struct bytes name, mailbox, host; };      /* empty where it is NIL */

void envelope_first_addresses(struct bytes envelope, struct arena *, struct envelope_address out[static ENVELOPE_LISTS]);

#endif
