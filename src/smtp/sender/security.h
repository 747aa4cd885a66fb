/*
 * security -- how sure a connection to another host must be of whom it reaches, and that nobody reads along
 *
 * From:     role/sender
 * Touches:  nothing
 *
 * security_set()   what smtp_tls_security_level and its like say of all hosts.
 * security_read()  the value of smtp_tls_policy_maps for a destination, over that: "LEVEL NAME=VALUE ...", as
 *     "secure match=mail.example.com:.example.net protocols=>=TLSv1.3".  False with what is wrong in *why: then nothing
 *     may be sent there.
 * security_next()  under which keys a destination is looked for: itself; where it is a domain the domains it is in, with
 *     a dot in front.  Begins with *key empty; false at the end.
 * security_trusts()  whether the certificate will do; else why not, in words.  `named` says whether it is for a name.
 */
#ifndef SMTP_SENDER_SECURITY_H
#define SMTP_SENDER_SECURITY_H

#include "base/arena.h"
#include "channel/tls.h"
#include "smtp/sender/settings.h"

enum security_level { SECURITY_NONE, SECURITY_MAY, SECURITY_ENCRYPT, SECURITY_DANE, SECURITY_DANE_ONLY, SECURITY_FINGERPRINT, SECURITY_VERIFY, SECURITY_SECURE, SECURITY_LEVELS };
extern const char *const security_level_names[SECURITY_LEVELS];
struct security {
	int         level;
	const char *protocols, *grade, *exclude;
	struct setting_list match;     /* names, or fingerprints */
	struct setting_list anchors;   /* files: a trusted chain leads to one of these; none: to an authority */
	unsigned    said;              /* which of these a table says */
	const char *servername;        /* hostname, nexthop, or the name asked for */
	bool        alone;             /* connection_reuse=no: one letter for each connection */
	bool        public;            /* trust is in the authorities of smtp_mta_sts_CAfile */
};
void security_set(const struct sender_settings *, bool lmtp, struct arena *, struct security *);
bool security_read(struct bytes value, const struct sender_settings *, struct arena *, struct security *, const char **why);
/* The same destination at another level, what a table said of it aside: what a host is known by may ask for more or less. */
void security_become(const struct sender_settings *, struct arena *, int level, struct security *);
struct security security_keep(struct arena *, const struct security *);
bool security_next(struct bytes destination, struct bytes *key);
/* The name asked for by TLS (rfc6066:3). */
const char *security_name(const struct security *, const char *host, const char *nexthop, struct arena *);
const char *security_trusts(const struct security *, const struct tls_facts *, const char *host, const char *nexthop, struct arena *,
                            bool (*named)(void *ctx, const char *name), void *ctx);

#endif
