/*
 * token -- what an OAuth token is worth (rfc7519, rfc7515, rfc7517, rfc7662)
 *
 * From:     role/clerk (keys from a file), role/proxymap (keys and answers of the issuer)
 * Touches:  nothing: JSON in, a verdict out
 *
 * token_keys_open()  the public keys of a JWKS: RSA of 2048 bits and more, EC P-256, Ed25519; what it does not
 *                    know is passed over.  NULL: not a JWKS, or none of ours in it.
 * token_check()      a signed token (JWT): SASL_PROVED with the user, SASL_REFUSED with *why for the log.
 *                    *unknown_key: none of the keys has its name, so the issuer may have a new one by which it would be good.
 * token_configuration()  where an issuer's configuration (OpenID Connect Discovery:4.2) says its keys are, if it is of this
 *                    issuer; "" it does not.
 * token_introspected()  the answer of an introspection endpoint, by the same rules.
 *
 * A token must be of the issuer, for one of the audiences (none are said: nobody's; "any": whoever's), have every scope asked for,
 * and its time must have come and not be over, give or take a minute.  RS256, ES256 and EdDSA alone: what a token
 * says of its algorithm must fit the key.
 *
 * Bounds: a token of 8 KiB, a JWKS of 256 KiB and 64 keys.
 */
#ifndef SASL_TOKEN_H
#define SASL_TOKEN_H

#include "base/setting.h"
#include "sasl/sasl.h"

enum { TOKEN_MOST = 8192, TOKEN_KEYS_TEXT_MOST = 256 << 10, TOKEN_KEYS_MOST = 64, TOKEN_LEEWAY = 60 };

struct token_rules {
	const char         *issuer;            /* "" any */
	struct setting_list audiences, scopes; /* one of; all of */
	const char         *claim;             /* which member says who: "email" */
	int64_t             now;               /* seconds */
};

struct token_keys;
struct token_keys *token_keys_open(struct bytes json);
void token_keys_close(struct token_keys **);
enum sasl_outcome token_check(const struct token_keys *, const struct token_rules *, struct bytes token, struct arena *,
                              struct bytes *user, const char **why, bool *unknown_key);
const char *token_configuration(struct bytes json, const char *issuer, struct arena *);
enum sasl_outcome token_introspected(const struct token_rules *, struct bytes json, struct arena *, struct bytes *user, const char **why);

#endif
