/* scheme-keys.c -- PBKDF2, SCRAM (rfc5802:3) and the key of CRAM-MD5 (rfc2195) */
#define OPENSSL_SUPPRESS_DEPRECATED /* the state of an MD5 half done is to be had nowhere else */
#include "base/base64.h"
#include "base/random.h"
#include "directory/scheme_inner.h"
#include <gsasl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/md5.h>
#include <string.h>

enum { SALT_BYTES = 16, PBKDF2_ROUNDS = 5000, PBKDF2_SALT = 16, LDAP_ROUNDS = 29000 };

/* ---- PBKDF2 ---- */

struct pbkdf2 {
	const EVP_MD *digest;
	uint64_t      rounds;
	struct buffer salt, hash;
};

/* Dovecot's "$1$salt$rounds$hex"; passlib's and OpenLDAP's "rounds$salt$hash" in base64. */
static bool
pbkdf2_read(struct bytes rest, struct pbkdf2 *p)
{
	struct bytes salt, rounds;

	if (bytes_starts(rest, BYTES("$1$"))) {
		rest = bytes_cut(rest, 3, SIZE_MAX);
		if (!bytes_split(&rest, '$', &salt) || !bytes_split(&rest, '$', &rounds))
			return false;
		buffer_add(&p->salt, salt);
		return bytes_number(rounds, &p->rounds) && scheme_hex(rest, &p->hash);
	}
	return bytes_split(&rest, '$', &rounds) && bytes_split(&rest, '$', &salt) &&
	       bytes_number(rounds, &p->rounds) && scheme_base64(salt, &p->salt) &&
	       scheme_base64(rest, &p->hash);
}

static bool
pbkdf2_derive(const EVP_MD *digest, struct bytes password, struct bytes salt, uint64_t rounds,
              unsigned char *out, size_t len)
{
	return PKCS5_PBKDF2_HMAC(password.at, (int)password.len, (const unsigned char *)salt.at,
	                         (int)salt.len, (int)rounds, digest, (int)len, out) == 1;
}

enum scheme_outcome
scheme_pbkdf2_check(struct scheme_work *w)
{
	struct pbkdf2       p = { .digest = EVP_get_digestbyname(w->scheme->detail) };
	unsigned char       made[EVP_MAX_MD_SIZE];
	enum scheme_outcome o = SCHEME_BROKEN;

	if (!pbkdf2_read(w->stored, &p) || p.hash.len < 16 || p.hash.len > sizeof made)
		w->why = "this is neither $1$salt$rounds$hex nor rounds$salt$hash";
	else if (p.rounds < 1 || p.rounds > SCHEME_ROUNDS)
		w->why = "its cost is more than may be spent on one login";
	else if (pbkdf2_derive(p.digest, w->password, buffer_bytes(&p.salt), p.rounds, made,
	                       p.hash.len))
		o = scheme_compare(made, p.hash.len, buffer_bytes(&p.hash));
	buffer_free(&p.salt);
	buffer_free(&p.hash);
	return o;
}

/* Without padding, "." for "+". */
static void
write_adapted(struct bytes raw, struct buffer *out)
{
	size_t from = out->len;

	base64_encode(out, raw);
	while (out->len > from && out->at[out->len - 1] == '=')
		out->len--;
	for (size_t i = from; i < out->len; i++)
		if (out->at[i] == '+')
			out->at[i] = '.';
}

bool
scheme_pbkdf2_make(struct scheme_work *w, struct buffer *out)
{
	const EVP_MD *digest = EVP_get_digestbyname(w->scheme->detail);
	bool          dovecot = strcmp(w->scheme->name, "PBKDF2") == 0;
	unsigned long rounds = w->rounds > 0 ? w->rounds : dovecot ? PBKDF2_ROUNDS : LDAP_ROUNDS;
	char          salt[PBKDF2_SALT + 1];
	unsigned char made[EVP_MAX_MD_SIZE];
	size_t        size = (size_t)EVP_MD_get_size(digest);

	random_word(salt, sizeof salt);
	if (!pbkdf2_derive(digest, w->password, bytes_of(salt), rounds, made, size))
		return false;
	if (dovecot) {
		buffer_printf(out, "$1$%s$%lu$", salt, rounds);
	} else {
		buffer_printf(out, "%lu$", rounds);
		write_adapted(bytes_of(salt), out);
		buffer_add_char(out, '$');
		write_adapted((struct bytes){ (const char *)made, size }, out);
	}
	for (size_t i = 0; dovecot && i < size; i++)
		buffer_printf(out, "%02x", made[i]);
	return true;
}

/* ---- SCRAM ---- */

/* StoredKey and ServerKey of rfc5802:3, of `size` bytes each. */
static bool
scram_keys(const EVP_MD *digest, const char *password, struct bytes salt, uint64_t rounds,
           unsigned char *stored, unsigned char *server)
{
	unsigned char salted[EVP_MAX_MD_SIZE], client[EVP_MAX_MD_SIZE];
	unsigned int  size = (unsigned int)EVP_MD_get_size(digest), len = 0;
	char         *prepared = NULL;
	bool          good;

	/* Normalize() of rfc5802:2.2; a password it forbids stays as it is. */
	if (gsasl_saslprep(password, 0, &prepared, NULL) != GSASL_OK)
		prepared = NULL;
	good = pbkdf2_derive(digest, bytes_of(prepared != NULL ? prepared : password), salt, rounds,
	                     salted, size) &&
	       HMAC(digest, salted, (int)size, (const unsigned char *)"Client Key", 10, client,
	            &len) != NULL &&
	       HMAC(digest, salted, (int)size, (const unsigned char *)"Server Key", 10, server,
	            &len) != NULL &&
	       EVP_Digest(client, size, stored, NULL, digest, NULL) == 1;
	if (prepared != NULL) {
		explicit_bzero(prepared, strlen(prepared));
		gsasl_free(prepared);
	}
	explicit_bzero(salted, sizeof salted);
	explicit_bzero(client, sizeof client);
	return good;
}

/* "4096,salt,StoredKey,ServerKey", all but the first in base64 */
static bool
scram_read(struct bytes rest, uint64_t *rounds, struct bytes part[static 3])
{
	struct bytes first, more;

	if (!bytes_split(&rest, ',', &first) || !bytes_split(&rest, ',', &part[0]) ||
	    !bytes_split(&rest, ',', &part[1]) || !bytes_split(&rest, ',', &part[2]) ||
	    bytes_split(&rest, ',', &more))
		return false;
	return bytes_number(first, rounds) && *rounds > 0 && *rounds <= SCHEME_ROUNDS;
}

enum scheme_outcome
scheme_scram_check(struct scheme_work *w)
{
	const EVP_MD       *digest = EVP_get_digestbyname(w->scheme->detail);
	unsigned char       stored[EVP_MAX_MD_SIZE], server[EVP_MAX_MD_SIZE];
	struct buffer       part[3] = { { 0 } };
	struct bytes        text[3];
	uint64_t            rounds = 0;
	size_t              size = (size_t)EVP_MD_get_size(digest);
	enum scheme_outcome o = SCHEME_BROKEN;
	bool                whole = scram_read(w->stored, &rounds, text);

	for (int i = 0; i < 3; i++)
		whole = whole && base64_decode(&part[i], text[i]);
	w->why = "this is not rounds,salt,StoredKey,ServerKey";
	if (whole && scram_keys(digest, w->word, buffer_bytes(&part[0]), rounds, stored, server)) {
		o = scheme_compare(stored, size, buffer_bytes(&part[1]));
		if (scheme_compare(server, size, buffer_bytes(&part[2])) == SCHEME_WRONG)
			o = SCHEME_WRONG;
	}
	for (int i = 0; i < 3; i++)
		buffer_free(&part[i]);
	return o;
}

bool
scheme_scram_make(struct scheme_work *w, struct buffer *out)
{
	const EVP_MD *digest = EVP_get_digestbyname(w->scheme->detail);
	unsigned long rounds = w->rounds > 0 ? w->rounds : SCRAM_ITERATIONS;
	unsigned char stored[EVP_MAX_MD_SIZE], server[EVP_MAX_MD_SIZE];
	size_t        size = (size_t)EVP_MD_get_size(digest);
	char          salt[SALT_BYTES];

	random_fill(salt, sizeof salt);
	if (!scram_keys(digest, w->word, (struct bytes){ salt, sizeof salt }, rounds, stored,
	                server))
		return false;
	buffer_printf(out, "%lu,", rounds);
	base64_encode(out, (struct bytes){ salt, sizeof salt });
	buffer_add_char(out, ',');
	base64_encode(out, (struct bytes){ (const char *)stored, size });
	buffer_add_char(out, ',');
	base64_encode(out, (struct bytes){ (const char *)server, size });
	return true;
}

bool
scheme_scram(struct bytes stored, const char *fallback, const char *name, struct arena *a,
             struct scheme_scram *out)
{
	struct bytes scheme, rest, part[3];
	uint64_t     rounds = 0;

	scheme_split(stored, fallback, &scheme, &rest);
	if (!bytes_is(scheme, name) || !scram_read(rest, &rounds, part))
		return false;
	*out = (struct scheme_scram){ (uint32_t)rounds, arena_copy(a, part[0]),
		                      arena_copy(a, part[1]), arena_copy(a, part[2]) };
	return true;
}

/* ---- CRAM-MD5 ---- */

enum { BLOCK = 64, STATE = 16 };

static void
state_add(struct buffer *out, const MD5_CTX *c)
{
	const uint32_t words[] = { c->A, c->B, c->C, c->D };

	for (size_t i = 0; i < COUNT(words); i++)
		for (int shift = 0; shift < 32; shift += 8)
			buffer_add_char(out, (char)(words[i] >> shift));
}

/* What is left of HMAC-MD5 (rfc2104:4) when the key is known: the outer and the inner state. */
bool
scheme_cram_make(struct scheme_work *w, struct buffer *out)
{
	unsigned char key[BLOCK] = { 0 }, pad[BLOCK];
	MD5_CTX       c;

	if (w->password.len > BLOCK)
		(void)MD5((const unsigned char *)w->password.at, w->password.len, key);
	else
		memcpy(key, w->password.at, w->password.len);
	for (int outer = 1; outer >= 0; outer--) {
		for (size_t i = 0; i < BLOCK; i++)
			pad[i] = key[i] ^ (outer ? 0x5c : 0x36);
		if (MD5_Init(&c) != 1 || MD5_Update(&c, pad, BLOCK) != 1)
			return false;
		state_add(out, &c);
	}
	explicit_bzero(key, sizeof key);
	explicit_bzero(pad, sizeof pad);
	explicit_bzero(&c, sizeof c);
	return true;
}

enum scheme_outcome
scheme_cram_check(struct scheme_work *w)
{
	struct buffer       made = { 0 };
	enum scheme_outcome o = SCHEME_BROKEN;

	if (w->stored.len != 2 * STATE)
		return scheme_broken(w, "what is stored has not the length of its digest");
	if (w->password.len == 0)
		return SCHEME_WRONG;
	if (scheme_cram_make(w, &made))
		o = scheme_compare(made.at, made.len, w->stored);
	buffer_free(&made);
	return o;
}
