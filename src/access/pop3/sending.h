/*
 * sending -- answers of many lines, a little at each turn
 *
 * sending_letter()  RETR (lines UINT64_MAX) or TOP: "+OK" with the octets, the lines with their
 *                   dots doubled (rfc1939:3), ".".  The letter is read in pieces; never more
 *                   than one is in memory.
 * sending_list()    LIST or UIDL of all messages.
 * sending_step()    goes on; false: not at the end yet.
 */
#ifndef ACCESS_POP3_SENDING_H
#define ACCESS_POP3_SENDING_H

#include "access/pop3/session.h"

void sending_letter(struct pop3 *, struct pop3_message *, uint64_t lines);
void sending_list(struct pop3 *, void (*line)(struct pop3 *, uint32_t index));
bool sending_step(struct pop3 *);
void sending_drop(struct pop3 *);

#endif
