/*
 * witness -- what the DNS said, as rules hear it and people read it
 *
 * From:     role/policy, out of an answer; the rules, of ASK_DNS
 *
 * A text: addresses or names by blanks, "10:mail.example.com 20:other.example.com" for MX, and of TXT the first.  "0:." is
 * the null MX (rfc7505); a name that no host may have is "!"; an address in its place stays, as people write it.
 * Of what is not there, "" is a name that is not, "-" one that has no such record.
 *
 * witness_text()   the text of an answer that was found, or why it was not.
 * witness_type()   "A" "AAAA" "MX" "NS" "TXT" as a number; 0: no other is asked for.
 * witness_next()   the next record in such a text, of addresses, names and MX; false at the end.
 */
#ifndef POLICY_WITNESS_H
#define POLICY_WITNESS_H

#include "base/buffer.h"

enum { WITNESS_RECORDS_MOST = 100, WITNESS_TEXT_MOST = 400 };

/* Said of a list that is not asked for now. */
extern const char witness_resting[];
struct answer;                 /* dns/answer.h */
struct witnessed { bool is_address, is_bad; struct bytes text; uint16_t preference; };
void witness_text(const struct answer *, uint16_t type, struct buffer *out);
uint16_t witness_type(const char *name);
bool witness_next(struct bytes *rest, struct witnessed *out);

#endif
