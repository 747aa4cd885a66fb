#include "directory/password.h"
#include "base/base64.h"
#include "base/journal.h"
#include "base/random.h"
#include "directory/scheme.h"
#include <argon2.h>
#include <gsasl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

enum { ARGON2_KIB = 19 * 1024, ARGON2_ROUNDS = 2, SALT = 16, HASH = 32 };

static void
base64_text(struct bytes raw, char *out, size_t room)
{
	struct buffer b = { 0 };

	base64_encode(&b, raw);
	if (!bytes_string(buffer_bytes(&b), out, room))
		panic("a base64 text of %zu bytes outgrew its room", b.len);
	buffer_free(&b);
}

static void
hmac(const unsigned char *key, const char *word, unsigned char out[HASH])
{
	unsigned int len = HASH;

	if (HMAC(EVP_sha256(), key, HASH, (const unsigned char *)word, strlen(word), out, &len) ==
	    NULL)
		panic("HMAC-SHA-256 is not to be had");
}

/* Normalize() of rfc5802:2.2, as the client will do it; a password it forbids stays as it is. */
static char *
normalized(const char *word)
{
	char *prepared = NULL;

	if (gsasl_saslprep(word, 0, &prepared, NULL) == GSASL_OK)
		return prepared;
	return NULL;
}

static void
forget(char *word)
{
	if (word == NULL)
		return;
	explicit_bzero(word, strlen(word));
	gsasl_free(word);
}

/* SaltedPassword, StoredKey and ServerKey of rfc5802:3. */
void
scram_make(const char *password, struct bytes salt, uint32_t iterations, struct password_record *r)
{
	unsigned char salted[HASH], client[HASH], stored[HASH], server[HASH];
	char         *prepared = normalized(password);
	const char   *word = prepared != NULL ? prepared : password;

	if (PKCS5_PBKDF2_HMAC(word, (int)strlen(word), (const unsigned char *)salt.at,
	                      (int)salt.len, (int)iterations, EVP_sha256(), HASH, salted) != 1)
		panic("PBKDF2 is not to be had");
	forget(prepared);
	hmac(salted, "Client Key", client);
	hmac(salted, "Server Key", server);
	if (EVP_Digest(client, HASH, stored, NULL, EVP_sha256(), NULL) != 1)
		panic("SHA-256 is not to be had");

	r->scram_iterations = iterations;
	base64_text(salt, r->scram_salt, sizeof r->scram_salt);
	base64_text((struct bytes){ (const char *)stored, HASH }, r->scram_stored,
	            sizeof r->scram_stored);
	base64_text((struct bytes){ (const char *)server, HASH }, r->scram_server,
	            sizeof r->scram_server);
	explicit_bzero(salted, sizeof salted);
	explicit_bzero(client, sizeof client);
}

/* The same with SHA-1, all of it as one text. */
static void
scram_sha1_make(const char *password, struct bytes salt, struct password_record *r)
{
	unsigned char salted[20], client[20], stored[20], server[20];
	unsigned int  len = 20;
	char          text[3][32];
	char         *prepared = normalized(password);
	const char   *word = prepared != NULL ? prepared : password;

	if (PKCS5_PBKDF2_HMAC(word, (int)strlen(word), (const unsigned char *)salt.at,
	                      (int)salt.len, SCRAM_ITERATIONS, EVP_sha1(), 20, salted) != 1 ||
	    HMAC(EVP_sha1(), salted, 20, (const unsigned char *)"Client Key", 10, client, &len) ==
	            NULL ||
	    HMAC(EVP_sha1(), salted, 20, (const unsigned char *)"Server Key", 10, server, &len) ==
	            NULL ||
	    EVP_Digest(client, 20, stored, NULL, EVP_sha1(), NULL) != 1)
		panic("SHA-1 is not to be had");
	forget(prepared);
	base64_text(salt, text[0], sizeof text[0]);
	base64_text((struct bytes){ (const char *)stored, 20 }, text[1], sizeof text[1]);
	base64_text((struct bytes){ (const char *)server, 20 }, text[2], sizeof text[2]);
	(void)snprintf(r->scram_sha1, sizeof r->scram_sha1, "%d,%s,%s,%s", SCRAM_ITERATIONS,
	               text[0], text[1], text[2]);
	explicit_bzero(salted, sizeof salted);
	explicit_bzero(client, sizeof client);
}

bool
password_make(struct bytes password, struct password_record *out)
{
	unsigned char salt[SALT];
	char          word[PASSWORD_MOST + 1];

	*out = (struct password_record){ 0 };
	if (password.len == 0 || !bytes_string(password, word, sizeof word))
		return false;
	random_fill(salt, sizeof salt);
	if (argon2id_hash_encoded(ARGON2_ROUNDS, ARGON2_KIB, 1, password.at, password.len, salt,
	                          sizeof salt, HASH, out->hash, sizeof out->hash) != ARGON2_OK)
		panic("argon2id cannot hash");
	random_fill(salt, sizeof salt);
	scram_make(word, (struct bytes){ (const char *)salt, SALT }, SCRAM_ITERATIONS, out);
	random_fill(salt, sizeof salt);
	scram_sha1_make(word, (struct bytes){ (const char *)salt, SALT }, out);
	explicit_bzero(word, sizeof word);
	return true;
}

bool
password_check(const char *hash, struct bytes password)
{
	const char *why;

	return scheme_check(bytes_of(hash), "CRYPT", (struct bytes){ NULL, 0 }, password, &why) ==
	       SCHEME_RIGHT;
}

bool
password_is_ours(const char *hash)
{
	char prefix[64];

	(void)snprintf(prefix, sizeof prefix, "$argon2id$v=19$m=%d,t=%d,p=1$", ARGON2_KIB,
	               ARGON2_ROUNDS);
	return bytes_starts(bytes_of(hash), bytes_of(prefix));
}

/* A hash that no password has: its work is as much as that of a real one. */
const char *
password_nobody(void)
{
	return "$argon2id$v=19$m=19456,t=2,p=1$bWFuc2lvbm9ib2R5c2FsdA"
	       "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
}

bool
password_apop(struct bytes stamp, struct bytes secret, char out[static 33])
{
	unsigned char made[EVP_MAX_MD_SIZE];
	unsigned int  n = 0;
	EVP_MD_CTX   *md = EVP_MD_CTX_new();
	bool          good = md != NULL && EVP_DigestInit_ex(md, EVP_md5(), NULL) == 1 &&
	            EVP_DigestUpdate(md, stamp.at, stamp.len) == 1 &&
	            EVP_DigestUpdate(md, secret.at, secret.len) == 1 &&
	            EVP_DigestFinal_ex(md, made, &n) == 1 && n == 16;

	EVP_MD_CTX_free(md);
	for (unsigned i = 0; good && i < n; i++)
		(void)snprintf(out + 2 * (size_t)i, 3, "%02x", made[i]);
	return good;
}
