/*
 * parameter -- what may stand behind the path of MAIL and RCPT (rfc5321:4.1.2 esmtp-param)
 *
 * mail_parameters(), rcpt_parameters() read all of them.  NULL, or the reply to give, whole but for its line end; it may be in
 *     the arena, as it names what is not known.
 *     `extensions` are those that are offered (enum extension); a parameter of another is not known.
 *     What they say is in the struct, which is to be all zero before; views point into the line.
 * xtext_valid()  rfc3461:4: printable US-ASCII, "+" with two hex digits for the rest.
 * orcpt_valid()  rfc3461:4.2 addr-type ";" xtext, and rfc6533:3 "utf-8;" with \x{HEX} in it, or (`utf8`) as it is.
 */
#ifndef SMTP_PARAMETER_H
#define SMTP_PARAMETER_H

#include "base/arena.h"
#include "base/scan.h"

struct mail_parameters {
	bool     has_size;
	uint64_t size;               /* rfc1870:6                                */
	uint8_t  body;               /* enum envelope_body                       */
	bool     utf8, requiretls;
	struct bytes auth;           /* rfc4954:5, in xtext; "" not said, or <>  */
	uint8_t  ret;                /* 0, 'F' or 'H'                            */
	struct bytes envid;          /* in xtext, "" not said                    */
	bool     holds;              /* rfc4865: either of these                 */
	int64_t  hold_for;           /* seconds, 0 not said                      */
	int64_t  hold_until;         /* seconds since 1970, 0 not said           */
	uint8_t  by_mode;            /* 0 not said, 'R' or 'N' (rfc2852:4)       */
	bool     by_trace;
	int64_t  by;                 /* seconds from now; below 0: it is over    */
	bool     has_priority;
	int8_t   priority;           /* rfc6710:4, -9 to 9                       */
	struct bytes solicit;        /* rfc3865: classes by comma                */
	bool     has_verp;           /* a sender for each recipient (message/verp.h) */
	struct bytes verp;           /* its delimiters, "" those of the setting  */
	bool     report, verify;     /* XREPORT, XVERIFY: ENVELOPE_REPORT, _VERIFY */
	unsigned said;               /* bits of the table: each at most once     */
};
struct rcpt_parameters {
	struct bytes orcpt;          /* as it was said, "" not                   */
	uint8_t  notify;             /* message/envelope.h NOTIFY_, 0 not said   */
	unsigned said;
};
const char *mail_parameters(struct scan *, struct arena *, unsigned extensions, struct mail_parameters *);
const char *rcpt_parameters(struct scan *, struct arena *, unsigned extensions, bool utf8, struct rcpt_parameters *);
bool xtext_valid(struct bytes);
bool orcpt_valid(struct bytes, bool utf8);
/* rfc3339:5.6 date-time; false: it is none. */
bool date_time_read(struct bytes, int64_t *seconds);

#endif
