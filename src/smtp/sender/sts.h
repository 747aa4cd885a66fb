/*
 * sts -- what a domain says of its own hosts: MTA-STS (rfc8461)
 *
 * From:     role/sender, of what the name service and the domain's web server have given
 * Touches:  nothing
 *
 * sts_record()  the id of the domain's record at _mta-sts (rfc8461:3.1).  False: there is none, or more than one, or none
 *     that is as it should be.
 * sts_read()    the text of a policy (rfc8461:3.2).  The strings are the arena's.  False: it is none, and why, in words.
 * sts_allows()  whether the policy names this host (rfc8461:4.1).
 */
#ifndef SMTP_SENDER_STS_H
#define SMTP_SENDER_STS_H

#include "dns/answer.h"

enum { STS_ID_MOST = 32, STS_TEXT_MOST = 64 << 10, STS_MX_MOST = 500, STS_AGE_MOST_S = 31557600 };
enum sts_mode { STS_NONE, STS_TESTING, STS_ENFORCE };
struct sts_policy {
	enum sts_mode mode;
	int64_t     age_s;             /* for so long it holds                     */
	const char *const *mx;         /* "mx.example.com", "*.example.net"        */
	size_t      mxs;
};
bool sts_record(const struct answer *, char id[static STS_ID_MOST + 1]);
bool sts_read(struct bytes text, struct arena *, struct sts_policy *out, const char **why);
bool sts_allows(const struct sts_policy *, const char *host);

#endif
