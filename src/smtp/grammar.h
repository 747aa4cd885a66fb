/*
 * grammar -- the lines a client says: verb, paths, parameters (rfc5321:4.1.2)
 *
 * command_verb() takes the verb off the front of a line; the rest, blanks
 *                trimmed, stays in *line.
 * mail_parse()   what stands behind MAIL, rcpt_parse() behind RCPT.  False with
 *                the reply to give, whole but for its line end.
 * helo_valid()   the argument of HELO, EHLO, LHLO: something without blanks
 *                that can stand in a Received field and in a log line.
 *
 * Nothing here waits, keeps or replies; views point into the line or the arena.
 */
#ifndef SMTP_GRAMMAR_H
#define SMTP_GRAMMAR_H

#include "message/address.h"

struct mail_command {
	struct address sender;
	bool     bare;             /* a name without a domain, to be completed */
	bool     has_size;
	uint64_t size;             /* rfc1870:6                                */
	bool     eight_bit;        /* BODY=8BITMIME, rfc6152:3                 */
};
struct rcpt_command {
	struct address recipient;
	bool     bare;
};
struct bytes command_verb(struct bytes *line);
bool mail_parse(struct bytes, bool strict, struct arena *, struct mail_command *, const char **reply);
bool rcpt_parse(struct bytes, bool strict, struct arena *, struct rcpt_command *, const char **reply);
bool helo_valid(struct bytes);

#endif
