/*
 * uniqueid -- what UIDL calls a message (rfc1939:7), in the form of Dovecot's pop3_uidl_format
 *
 * From:     the command UIDL, command/message-fetch (pop3.uidl), role/settings-check
 * Pure: text in, text out.
 *
 *     %u  the uid        %v  the uidvalidity        %%  a percent sign
 *
 * A code may have a width filled with zeroes, and an X for hexadecimal: %08Xu.  Any other character stands for
 * itself.  A uid is never given twice under one uidvalidity, so a form with %u is unique for as long as that stays.
 *
 * uniqueid_complain()  what is wrong with a form, and what would be right; NULL: nothing.
 * uniqueid_say()       the id of one message.
 */
#ifndef ACCESS_POP3_UNIQUEID_H
#define ACCESS_POP3_UNIQUEID_H

#include "base/buffer.h"

const char *uniqueid_complain(const char *form);
void uniqueid_say(struct buffer *out, const char *form, uint32_t uid, uint32_t uidvalidity);

#endif
