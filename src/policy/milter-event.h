/*
 * milter-event -- when filters are told, and what comes of a letter's envelope: the values that roles say to one
 * another about them
 */
#ifndef POLICY_MILTER_EVENT_H
#define POLICY_MILTER_EVENT_H

#include "base/bytes.h"

/* When macros are sent; the numbers are those of a filter's own lists. */
enum milter_stage { STAGE_CONNECT, STAGE_HELO, STAGE_MAIL, STAGE_RCPT, STAGE_DATA, STAGE_END_OF_DATA, STAGE_END_OF_HEADER, STAGE_UNKNOWN, MILTER_STAGES };
/* Who wants to hear more, a bit for each stage: 1 << STAGE_MAIL; END_OF_DATA: the content.  REFUSED: recipients that
   were refused, too. */
enum { MILTER_WANTS_REFUSED = 1 << MILTER_STAGES };

struct milter_macro { struct bytes name, value; };
struct milter_macros { const struct milter_macro *each; size_t count; };

enum milter_envelope_change { MILTER_NEW_SENDER, MILTER_MORE_RCPT, MILTER_LESS_RCPT };
struct milter_envelope { uint8_t change; struct bytes address, parameters; };

#endif
