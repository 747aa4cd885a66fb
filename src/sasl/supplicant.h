/*
 * supplicant -- logging in at another server: which mechanism, and what is said to its challenges
 *
 * From:     smtp/sender
 * Touches:  nothing; chance is the kernel's, unless `nonce` is given
 *
 * supplicant_open()     the best mechanism that the server offers, the filter lets through and the demands allow, but those
 *                   of `tried`; NULL: there is none.  Offered names by blanks.  The facts must live as long.
 *     The filter is a list as smtp_sasl_mechanism_filter has it: NAME, !NAME, static:rest (any word after the colon); none: all.  The two that show a
 *     token (XOAUTH2, OAUTHBEARER; the password is the token) are for those alone whose filter names them.
 * supplicant_name()     "SCRAM-SHA-256"; supplicant_bit() the same for `tried`.
 * supplicant_first()    what is said with AUTH itself; false: nothing is.
 * supplicant_answer()   to a challenge; false: there is no answer to it, and the login is to be ended.
 * supplicant_content()  the server said yes: has it proved that it knows us, where the mechanism has it do so (rfc5802:5)?
 * See:      rfc4616, rfc2195, rfc5802, rfc7677, rfc5929, rfc9266, rfc7628
 */
#ifndef SASL_SUPPLICANT_H
#define SASL_SUPPLICANT_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/setting.h"

/* What a mechanism must not be or must do, as Postfix's smtp_sasl_security_options say it. */
enum supplicant_demand { SUPPLICANT_NO_PLAINTEXT = 1, SUPPLICANT_NO_ACTIVE = 2, SUPPLICANT_NO_DICTIONARY = 4, SUPPLICANT_NO_ANONYMOUS = 8, SUPPLICANT_MUTUAL = 16 };
unsigned supplicant_demand_named(struct bytes word);         /* 0: none of these */

enum { SUPPLICANT_ROUNDS_LEAST = 4096, SUPPLICANT_ROUNDS_MOST = 200000, SUPPLICANT_CHALLENGE_MOST = 4096 };
struct supplicant_facts {
	const char  *user, *password, *host;
	uint16_t     port;
	const struct setting_list *filter;
	unsigned     demands, tried;
	const char  *binding;          /* "tls-exporter"; NULL: no channel to bind */
	struct bytes bound;            /* and what it is                           */
	const char  *nonce;            /* of a test; NULL: by chance               */
};
struct supplicant;
struct supplicant *supplicant_open(struct bytes offered, const struct supplicant_facts *, struct arena *);
const char *supplicant_name(const struct supplicant *);
const char *supplicant_mechanism(size_t n);                  /* each that we know; NULL past the last */
unsigned    supplicant_bit(const struct supplicant *);
bool supplicant_first(struct supplicant *, struct buffer *out);
bool supplicant_answer(struct supplicant *, struct bytes challenge, struct buffer *out);
bool supplicant_content(const struct supplicant *);

#endif
