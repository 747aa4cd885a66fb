#include "directory/password.h"
#include "base/base64.h"
#include "base/journal.h"
#include "base/random.h"
#include <argon2.h>
#include <crypt.h>
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

	if (HMAC(EVP_sha256(), key, HASH, (const unsigned char *)word, strlen(word), out, &len) == NULL)
		panic("HMAC-SHA-256 is not to be had");
}

/* SaltedPassword, StoredKey and ServerKey of rfc5802:3. */
static void
scram_make(struct bytes password, struct password_record *r)
{
	unsigned char salt[SALT], salted[HASH], client[HASH], stored[HASH], server[HASH];

	random_fill(salt, sizeof salt);
	if (PKCS5_PBKDF2_HMAC(password.at, (int)password.len, salt, sizeof salt,
	    SCRAM_ITERATIONS, EVP_sha256(), HASH, salted) != 1)
		panic("PBKDF2 is not to be had");
	hmac(salted, "Client Key", client);
	hmac(salted, "Server Key", server);
	if (EVP_Digest(client, HASH, stored, NULL, EVP_sha256(), NULL) != 1)
		panic("SHA-256 is not to be had");

	r->scram_iterations = SCRAM_ITERATIONS;
	base64_text((struct bytes){ (const char *)salt, SALT }, r->scram_salt, sizeof r->scram_salt);
	base64_text((struct bytes){ (const char *)stored, HASH }, r->scram_stored, sizeof r->scram_stored);
	base64_text((struct bytes){ (const char *)server, HASH }, r->scram_server, sizeof r->scram_server);
}

bool
password_make(struct bytes password, struct password_record *out)
{
	unsigned char salt[SALT];

	if (password.len == 0 || password.len > PASSWORD_MOST || bytes_find(password, '\0') >= 0)
		return false;
	random_fill(salt, sizeof salt);
	if (argon2id_hash_encoded(ARGON2_ROUNDS, ARGON2_KIB, 1, password.at, password.len,
	    salt, sizeof salt, HASH, out->hash, sizeof out->hash) != ARGON2_OK)
		panic("argon2id cannot hash");
	scram_make(password, out);
	return true;
}

/* Other schemes than our own come from older servers; libxcrypt knows them. */
static bool
crypt_check(const char *hash, struct bytes password)
{
	struct crypt_data data = { 0 };
	char word[PASSWORD_MOST + 1];
	const char *made;
	bool same;

	if (!bytes_string(password, word, sizeof word))
		return false;
	made = crypt_rn(word, hash, &data, sizeof data);
	same = made != NULL && bytes_equal_secret(bytes_of(made), bytes_of(hash));
	explicit_bzero(word, sizeof word);
	explicit_bzero(&data, sizeof data);
	return same;
}

bool
password_check(const char *hash, struct bytes password)
{
	if (password.len > PASSWORD_MOST || bytes_find(password, '\0') >= 0)
		return false;
	if (strncmp(hash, "$argon2id$", 10) == 0)
		return argon2id_verify(hash, password.at, password.len) == ARGON2_OK;
	return crypt_check(hash, password);
}

/* A hash that no password has: its work is as much as that of a real one. */
const char *
password_nobody(void)
{
	return "$argon2id$v=19$m=19456,t=2,p=1$bWFuc2lvbm9ib2R5c2FsdA"
	       "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
}
