/* sasl/token.c -- JSON Web Tokens and their keys (token.h) */
#include "sasl/token.h"

#ifdef MANSIO_OAUTH
#include "base/base64.h"
#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <string.h>

enum key_kind { KEY_RSA, KEY_EC, KEY_ED };

struct token_key {
	enum key_kind kind;
	const char   *id; /* "" none */
	EVP_PKEY     *pkey;
};
struct token_keys {
	struct arena    *life;
	size_t           count;
	struct token_key key[TOKEN_KEYS_MOST];
};

/* rfc7515:2: base64url without padding */
static bool
url_decode(struct bytes text, struct buffer *out)
{
	struct buffer plain = { 0 };
	bool          good = text.len % 4 != 1;

	for (size_t i = 0; i < text.len && good; i++) {
		char c = text.at[i];
		good = c != '+' && c != '/' && c != '=';
		buffer_add_char(&plain, c == '-' ? '+' : c == '_' ? '/' : c);
	}
	while (good && plain.len % 4 != 0)
		buffer_add_char(&plain, '=');
	good = good && base64_decode(out, buffer_bytes(&plain));
	buffer_free(&plain);
	return good;
}

static const char *
text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

/* ---- keys (rfc7517, rfc7518:6, rfc8037) ---- */

static bool
member_decode(const json_t *jwk, const char *name, struct buffer *out)
{
	return url_decode(bytes_of(text_of(jwk, name)), out) && out->len > 0;
}

static EVP_PKEY *
key_from(const char *type, OSSL_PARAM_BLD *build)
{
	EVP_PKEY     *pkey = NULL;
	OSSL_PARAM   *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);

	if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return pkey;
}

static EVP_PKEY *
key_rsa(const json_t *jwk)
{
	struct buffer   n = { 0 }, e = { 0 };
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	BIGNUM         *modulus = NULL, *exponent = NULL;
	EVP_PKEY       *pkey = NULL;

	if (member_decode(jwk, "n", &n) && member_decode(jwk, "e", &e) && n.len >= 256 &&
	    n.len <= 1024 && e.len <= 8) {
		modulus = BN_bin2bn((unsigned char *)n.at, (int)n.len, NULL);
		exponent = BN_bin2bn((unsigned char *)e.at, (int)e.len, NULL);
	}
	if (modulus != NULL && exponent != NULL && BN_num_bits(modulus) >= 2048 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
		pkey = key_from("RSA", build);
	OSSL_PARAM_BLD_free(build);
	BN_free(modulus);
	BN_free(exponent);
	buffer_free(&n);
	buffer_free(&e);
	return pkey;
}

/* A point of P-256, uncompressed. */
static EVP_PKEY *
key_ec(const json_t *jwk)
{
	struct buffer   point = { 0 };
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY       *pkey = NULL;

	buffer_add_char(&point, 4);
	if (strcmp(text_of(jwk, "crv"), "P-256") == 0 && member_decode(jwk, "x", &point) &&
	    point.len == 33 && member_decode(jwk, "y", &point) && point.len == 65 &&
	    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) ==
	            1 &&
	    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point.at, point.len) ==
	            1)
		pkey = key_from("EC", build);
	OSSL_PARAM_BLD_free(build);
	buffer_free(&point);
	return pkey;
}

static EVP_PKEY *
key_ed(const json_t *jwk)
{
	struct buffer x = { 0 };
	EVP_PKEY     *pkey = NULL;

	if (strcmp(text_of(jwk, "crv"), "Ed25519") == 0 && member_decode(jwk, "x", &x) &&
	    x.len == 32)
		pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (unsigned char *)x.at,
		                                   x.len);
	buffer_free(&x);
	return pkey;
}

static void
key_add(struct token_keys *k, const json_t *jwk)
{
	/* clang-format off */
	static const struct { const char *type; enum key_kind kind; EVP_PKEY *(*read)(const json_t *); } types[] = {
		{ "RSA", KEY_RSA, key_rsa }, { "EC", KEY_EC, key_ec }, { "OKP", KEY_ED, key_ed },
	};
	/* clang-format on */
	const char *use = text_of(jwk, "use");

	if (*use != '\0' && strcmp(use, "sig") != 0)
		return;
	for (size_t i = 0; i < COUNT(types) && k->count < TOKEN_KEYS_MOST; i++) {
		EVP_PKEY *pkey =
			strcmp(text_of(jwk, "kty"), types[i].type) == 0 ? types[i].read(jwk) : NULL;

		if (pkey != NULL)
			k->key[k->count++] = (struct token_key){
				types[i].kind, arena_copy(k->life, bytes_of(text_of(jwk, "kid"))),
				pkey
			};
	}
}

struct token_keys *
token_keys_open(struct bytes text)
{
	struct arena      *life = arena_open(NULL);
	struct token_keys *k = arena_take(life, sizeof *k);
	json_t            *json =
                text.len <= TOKEN_KEYS_TEXT_MOST ? json_loadb(text.at, text.len, 0, NULL) : NULL;
	const json_t *keys = json_object_get(json, "keys");

	k->life = life;
	for (size_t i = 0; i < json_array_size(keys); i++)
		key_add(k, json_array_get(keys, i));
	json_decref(json);
	if (k->count == 0)
		token_keys_close(&k);
	return k;
}

void
token_keys_close(struct token_keys **kp)
{
	struct token_keys *k = *kp;
	struct arena      *life;

	*kp = NULL;
	if (k == NULL)
		return;
	for (size_t i = 0; i < k->count; i++)
		EVP_PKEY_free(k->key[i].pkey);
	life = k->life;
	arena_close(&life);
}

/* ---- signatures ---- */

/* ES256's signature is two numbers of 32 bytes (rfc7518:3.4); OpenSSL wants them as DER. */
static bool
ec_der(struct bytes raw, struct buffer *out)
{
	ECDSA_SIG     *sig = ECDSA_SIG_new();
	BIGNUM        *r, *s;
	unsigned char *der = NULL;
	int            len = -1;

	if (raw.len == 64 && sig != NULL) {
		r = BN_bin2bn((const unsigned char *)raw.at, 32, NULL);
		s = BN_bin2bn((const unsigned char *)raw.at + 32, 32, NULL);
		if (ECDSA_SIG_set0(sig, r, s) == 1)
			len = i2d_ECDSA_SIG(sig, &der);
	}
	if (len > 0)
		buffer_add(out, (struct bytes){ (const char *)der, (size_t)len });
	OPENSSL_free(der);
	ECDSA_SIG_free(sig);
	return len > 0;
}

static bool
signed_by(const struct token_key *key, struct bytes text, struct bytes signature)
{
	EVP_MD_CTX   *ctx = EVP_MD_CTX_new();
	const EVP_MD *md = key->kind == KEY_ED ? NULL : EVP_sha256();
	struct buffer der = { 0 };
	bool          good = key->kind != KEY_EC || ec_der(signature, &der);

	if (key->kind == KEY_EC)
		signature = buffer_bytes(&der);
	good = good && ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, md, NULL, key->pkey) == 1 &&
	       EVP_DigestVerify(ctx, (const unsigned char *)signature.at, signature.len,
	                        (const unsigned char *)text.at, text.len) == 1;
	EVP_MD_CTX_free(ctx);
	buffer_free(&der);
	return good;
}

static bool
kind_of(const char *algorithm, enum key_kind *kind)
{
	/* clang-format off */
	static const struct { const char *name; enum key_kind kind; } algorithms[] = {
		{ "RS256", KEY_RSA }, { "ES256", KEY_EC }, { "EdDSA", KEY_ED }, { "Ed25519", KEY_ED },
	};
	/* clang-format on */

	for (size_t i = 0; i < COUNT(algorithms); i++)
		if (strcmp(algorithm, algorithms[i].name) == 0) {
			*kind = algorithms[i].kind;
			return true;
		}
	return false;
}

static const char *
signature_wrong(const struct token_keys *k, const json_t *head, struct bytes text,
                struct bytes signature, bool *unknown_key)
{
	const char   *id = text_of(head, "kid");
	enum key_kind kind;
	bool          found = false;

	if (json_object_get(head, "crit") != NULL || !kind_of(text_of(head, "alg"), &kind))
		return "the token's algorithm is not one we take";
	for (size_t i = 0; i < k->count; i++) {
		const struct token_key *key = &k->key[i];

		if (key->kind != kind || (*id != '\0' && strcmp(key->id, id) != 0))
			continue;
		found = true;
		if (signed_by(key, text, signature))
			return NULL;
	}
	*unknown_key = !found || *id == '\0';
	return found ? "the token's signature is wrong" : "the token's key is not known";
}

/* ---- claims ---- */

static bool
list_has(const struct setting_list *list, const char *word)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->item[i], word) == 0)
			return true;
	return false;
}

/* aud is one text or a list of them (rfc7519:4.1.3). */
static bool
audience_right(const struct token_rules *r, const json_t *claims)
{
	const json_t *aud = json_object_get(claims, "aud");

	/* Else a token made for any program of this issuer would open mail. */
	if (list_has(&r->audiences, "any"))
		return true;
	if (json_is_string(aud))
		return list_has(&r->audiences, json_string_value(aud));
	for (size_t i = 0; i < json_array_size(aud); i++) {
		const char *one = json_string_value(json_array_get(aud, i));
		if (one != NULL && list_has(&r->audiences, one))
			return true;
	}
	return false;
}

/* scope is a text with blanks (rfc8693:4.2); some issuers have a list, scp. */
static bool
scope_has(const json_t *claims, const char *wanted)
{
	const json_t *list = json_object_get(claims, "scp");
	struct bytes  rest = bytes_of(text_of(claims, "scope")), each;

	while (bytes_split(&rest, ' ', &each))
		if (bytes_equal(each, bytes_of(wanted)))
			return true;
	rest = bytes_of(text_of(claims, "scp"));
	while (bytes_split(&rest, ' ', &each))
		if (bytes_equal(each, bytes_of(wanted)))
			return true;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *one = json_string_value(json_array_get(list, i));
		if (one != NULL && strcmp(one, wanted) == 0)
			return true;
	}
	return false;
}

/* exp must be there in a signed token; nbf may be. */
static const char *
time_wrong(const struct token_rules *r, const json_t *claims, bool must)
{
	const json_t *exp = json_object_get(claims, "exp"), *nbf = json_object_get(claims, "nbf");

	if ((exp == NULL && must) || (exp != NULL && !json_is_number(exp)) ||
	    (nbf != NULL && !json_is_number(nbf)))
		return "the token does not say when it ends";
	if (exp != NULL && json_number_value(exp) + TOKEN_LEEWAY <= (double)r->now)
		return "the token is over";
	if (nbf != NULL && json_number_value(nbf) - TOKEN_LEEWAY > (double)r->now)
		return "the token's time has not come";
	return NULL;
}

static const char *
claims_wrong(const struct token_rules *r, const json_t *claims, bool from_issuer, struct arena *a,
             struct bytes *user)
{
	const char *who = text_of(claims, r->claim), *issuer = text_of(claims, "iss"), *why;

	if (*r->issuer != '\0' && (!from_issuer || *issuer != '\0') &&
	    strcmp(issuer, r->issuer) != 0)
		return "the token is of another issuer";
	if ((why = time_wrong(r, claims, !from_issuer)) != NULL)
		return why;
	if (!audience_right(r, claims))
		return "the token is for somebody else";
	for (size_t i = 0; i < r->scopes.count; i++)
		if (!scope_has(claims, r->scopes.item[i]))
			return "the token's scope does not reach";
	/* Some issuers write it as a text. */
	if (strcmp(r->claim, "email") == 0 &&
	    (json_is_false(json_object_get(claims, "email_verified")) ||
	     strcmp(text_of(claims, "email_verified"), "false") == 0))
		return "the address in the token is not verified";
	if (*who == '\0' || strlen(who) > SASL_NAME_MOST)
		return "the token does not say who it is for";
	*user = arena_keep(a, bytes_of(who));
	return NULL;
}

static json_t *
part_json(struct bytes coded)
{
	struct buffer text = { 0 };
	json_t       *json = NULL;

	if (url_decode(coded, &text))
		json = json_loadb(text.at != NULL ? text.at : "", text.len, JSON_REJECT_DUPLICATES,
		                  NULL);
	buffer_free(&text);
	if (!json_is_object(json)) {
		json_decref(json);
		return NULL;
	}
	return json;
}

/* JWS = header "." payload "." signature   rfc7515:7.1 */
enum sasl_outcome
token_check(const struct token_keys *k, const struct token_rules *r, struct bytes token,
            struct arena *a, struct bytes *user, const char **why, bool *unknown_key)
{
	struct bytes  rest = token, head, claims, text, nobody;
	struct buffer signature = { 0 };
	json_t       *h = NULL, *c = NULL;

	*unknown_key = false;
	*why = "not a signed token";
	if (token.len <= TOKEN_MOST && bytes_split(&rest, '.', &head) &&
	    bytes_split(&rest, '.', &claims) && rest.at != NULL && rest.len > 0 &&
	    url_decode(rest, &signature) && (h = part_json(head)) != NULL &&
	    (c = part_json(claims)) != NULL) {
		text = bytes_cut(token, 0, head.len + 1 + claims.len);
		*why = signature_wrong(k, h, text, buffer_bytes(&signature), unknown_key);
		if (*why == NULL)
			*why = claims_wrong(r, c, false, a, user);
		else if (*unknown_key) /* no new key would make it good */
			*unknown_key = claims_wrong(r, c, false, a, &nobody) == NULL;
	}
	json_decref(h);
	json_decref(c);
	buffer_free(&signature);
	return *why == NULL ? SASL_PROVED : SASL_REFUSED;
}

const char *
token_configuration(struct bytes text, const char *issuer, struct arena *a)
{
	json_t     *json = text.len <= TOKEN_KEYS_TEXT_MOST
	                           ? json_loadb(text.at != NULL ? text.at : "", text.len,
                                            JSON_REJECT_DUPLICATES, NULL)
	                           : NULL;
	const char *url = "";

	if (json_is_object(json) && strcmp(text_of(json, "issuer"), issuer) == 0)
		url = arena_copy(a, bytes_of(text_of(json, "jwks_uri")));
	json_decref(json);
	return url;
}

enum sasl_outcome
token_introspected(const struct token_rules *r, struct bytes text, struct arena *a,
                   struct bytes *user, const char **why)
{
	json_t           *json = text.len <= TOKEN_KEYS_TEXT_MOST
	                                 ? json_loadb(text.at != NULL ? text.at : "", text.len,
                                            JSON_REJECT_DUPLICATES, NULL)
	                                 : NULL;
	enum sasl_outcome o = SASL_LATER;

	*why = "the issuer's answer is not as rfc7662 has it";
	if (json_is_boolean(json_object_get(json, "active"))) {
		*why = json_is_true(json_object_get(json, "active"))
		               ? claims_wrong(r, json, true, a, user)
		               : "the token is not active";
		o = *why == NULL ? SASL_PROVED : SASL_REFUSED;
	}
	json_decref(json);
	return o;
}
#endif
