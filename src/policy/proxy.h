/*
 * proxy -- letters go through a filter before they are taken (Postfix's SMTPD_PROXY_README): what an administrator may say
 * about it, and what we say to the filter
 *
 * From:     role/receiver-proxy.c, which has the letter; role/policy-proxy.c, which speaks with the filter
 * Touches:  nothing
 *
 * proxy_place()    takes "127.0.0.1:10025", "inet:[::1]:10025" or "unix:/path" apart; NULL, or what is wrong.
 * proxy_offers()   what an answer to EHLO, lines with their codes, offers.
 * proxy_forward()  XFORWARD commands for what it knows of, lines with CRLF; nothing when it knows of none.
 * proxy_mail(), proxy_rcpt()  a command, without its line end.
 * proxy_content()  content as it is said: dots doubled, every line with CRLF.  `state` is 0 at first.
 * proxy_end()      what ends it.
 */
#ifndef POLICY_PROXY_H
#define POLICY_PROXY_H

#include "base/buffer.h"
#include "base/setting.h"
#include "policy/clamd.h"

struct proxy_settings {
	const char *filter, *ehlo;
	struct setting_list options;
	int64_t timeout;
};
extern const struct setting_table proxy_setting_table;

enum proxy_attribute { PROXY_NAME, PROXY_ADDR, PROXY_PORT, PROXY_PROTO, PROXY_HELO, PROXY_SOURCE, PROXY_ATTRIBUTES };
enum { PROXY_8BITMIME = 1 << PROXY_ATTRIBUTES, PROXY_SMTPUTF8 = 2 << PROXY_ATTRIBUTES, PROXY_DSN = 4 << PROXY_ATTRIBUTES };
struct proxy_sender { struct bytes address, envid; uint8_t ret; bool eight_bit, utf8; };

const char *proxy_place(const char *text, char *kept, size_t room, struct clamd_place *out);
unsigned proxy_offers(struct bytes lines);
void proxy_forward(const struct bytes attribute[static PROXY_ATTRIBUTES], unsigned offers, struct buffer *out);
void proxy_mail(const struct proxy_sender *, unsigned offers, struct buffer *out);
void proxy_rcpt(struct bytes address, struct bytes orcpt, uint8_t notify, unsigned offers, struct buffer *out);
void proxy_content(int *state, struct bytes, struct buffer *out);
void proxy_end(int state, struct buffer *out);

#endif
