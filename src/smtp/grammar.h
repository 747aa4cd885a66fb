/*
 * grammar -- the lines a client says: verb, paths, parameters (rfc5321:4.1.2)
 *
 * command_verb() takes the verb off the front of a line; the rest, blanks
 *                trimmed, stays in *line.
 * mail_parse()   what stands behind MAIL, rcpt_parse() behind RCPT, vrfy_parse() behind VRFY.  False with
 *                the reply to give, whole but for its line end.
 * helo_name()    what a client says it is called behind HELO, EHLO, LHLO, in the arena; "" nothing, or a NUL, CR or LF in
 *                it.  What else cannot stand in a Received field and in a log line is a "?".
 *
 * Nothing here waits, keeps or replies; views point into the line or the arena.
 */
#ifndef SMTP_GRAMMAR_H
#define SMTP_GRAMMAR_H

#include "message/address.h"
#include "smtp/parameter.h"

/* What a session takes. */
struct grammar {
	bool     strict;           /* strict_rfc821_envelopes                  */
	bool     ascii;            /* strict_smtputf8                          */
	bool     utf8;             /* the transaction is one with SMTPUTF8     */
	bool     hyphen;           /* allow_min_user: an address may begin with one */
	unsigned extensions;       /* those that are offered                   */
};
struct mail_command {
	struct address sender;
	bool     bare;             /* a name without a domain, to be completed */
	struct mail_parameters with;
};
struct rcpt_command {
	struct address recipient;
	bool     bare;
	bool     utf8;             /* VRFY alone                               */
	struct rcpt_parameters with;
};
struct bytes command_verb(struct bytes *line);
bool mail_parse(struct bytes, const struct grammar *, struct arena *, struct mail_command *, const char **reply);
bool rcpt_parse(struct bytes, const struct grammar *, struct arena *, struct rcpt_command *, const char **reply);
bool vrfy_parse(struct bytes, const struct grammar *, struct arena *, struct rcpt_command *, const char **reply);
struct bytes helo_name(struct bytes argument, struct arena *);

#endif
