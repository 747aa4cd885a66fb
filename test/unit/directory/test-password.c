/* What is stored instead of a password; every expected value was made by other software or stands in an RFC. */
#include "unit.h"

#include <argon2.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <time.h>

#include "base/base64.h"
#include "directory/password.h"

static void
test_check(void **state)
{
	/* clang-format off */
	static const struct { const char *why, *hash, *password; bool right; } rows[] = {
		{ "argon2(1): argon2 somesalt -id -t 2 -m 16 -p 1 -l 32",
		  "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password", true },
		{ "our own cost, UTF-8", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$bOZtQO1UftqM0PXv8mKbK9yJsiAg2XY5KS/c1vm2Y2k",
		  "p\xc3\xa4ssword", true },
		{ "another password", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "Password", false },
		{ "none", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "", false },
		{ "argon2i (Dovecot's ARGON2I)",
		  "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA", "password", true },
		{ "openssl passwd -1", "$1$saltstri$YMyguxXMBpd2TEZ.vS/3q1", "Hello world!", true },
		{ "openssl passwd -5", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "Hello world!", true },
		{ "openssl passwd -6",
		  "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1", "Hello world!", true },
		{ "wrong", "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1", "Hello world", false },
		{ "bcrypt as Openwall documents it", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U", true },
		{ "the same as 2b", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U", true },
		{ "wrong", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*V", false },
		{ "yescrypt as Openwall documents it", "$y$jD5.7$LdJMENpBABJJ3hIHjB1Bi.$HboGM6qPrsK.StKYGt6KErmUYtioHreJd98oIugoNB6",
		  "pleaseletmein", true },
		{ "wrong", "$y$jD5.7$LdJMENpBABJJ3hIHjB1Bi.$HboGM6qPrsK.StKYGt6KErmUYtioHreJd98oIugoNB6", "pleaseletmeout", false },
		{ "an empty hash lets nobody in", "", "", false },
		{ "a locked account", "!", "!", false },
		{ "a star", "*", "*", false },
		{ "crypt's own word for failure", "*0", "*0", false },
		{ "no scheme", "$9$abc$def", "abc", false },
		{ "half a hash", "$argon2id$v=19$m=65536,t=2", "password", false },
		{ "plain text", "secret", "secret", false },
	};
	/* clang-format on */
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++)
		if (password_check(rows[i].hash, bytes_of(rows[i].password)) != rows[i].right)
			fail_msg("%s: %s", rows[i].why, rows[i].hash);
	HOLDS("a NUL cuts nothing off", !password_check(rows[5].hash, BYTES("Hello world!\0more")));
}

static void
test_made_is_right(void **state)
{
	static char            long_one[PASSWORD_MOST + 1];
	struct password_record r, other;
	(void)state;

	memset(long_one, 'x', sizeof long_one);
	HOLDS("made", password_make(BYTES("s3cret word"), &r) &&
	                      password_make(BYTES("s3cret word"), &other));
	HOLDS("its cost", strncmp(r.hash, "$argon2id$v=19$m=19456,t=2,p=1$", 31) == 0);
	HOLDS("never twice the same",
	      strcmp(r.hash, other.hash) != 0 && strcmp(r.scram_salt, other.scram_salt) != 0);
	HOLDS("other software says yes", argon2id_verify(r.hash, "s3cret word", 11) == ARGON2_OK);
	HOLDS("so do we", password_check(r.hash, BYTES("s3cret word")) &&
	                          !password_check(r.hash, BYTES("s3cret Word")));
	HOLDS("empty", !password_make(BYTES(""), &r));
	HOLDS("with a NUL", !password_make(BYTES("a\0b"), &r));
	HOLDS("too long", !password_make((struct bytes){ long_one, sizeof long_one }, &r));
	HOLDS("the longest",
	      password_make((struct bytes){ long_one, PASSWORD_MOST }, &r) &&
	              password_check(r.hash, (struct bytes){ long_one, PASSWORD_MOST }));
}

/* Who does not exist takes as long as who does. */
static void
test_nobody(void **state)
{
	struct password_record r;
	clock_t                a, b, c;
	(void)state;

	HOLDS("made", password_make(BYTES("x"), &r));
	a = clock();
	for (int i = 0; i < 5; i++)
		HOLDS("no", !password_check(r.hash, BYTES("y")));
	b = clock();
	for (int i = 0; i < 5; i++)
		HOLDS("no password is nobody's", !password_check(password_nobody(), BYTES("y")));
	c = clock();
	HOLDS("the same work", (c - b) * 2 > b - a && (b - a) * 2 > c - b);
}

static struct buffer
decoded(const char *text)
{
	struct buffer b = { 0 };

	HOLDS(text, base64_decode(&b, bytes_of(text)));
	return b;
}

static void
hmac(const struct buffer *key, const char *text, unsigned char out[32])
{
	unsigned len = 32;

	HOLDS("hmac", HMAC(EVP_sha256(), key->at, (int)key->len, (const unsigned char *)text,
	                   strlen(text), out, &len) != NULL);
}

/* rfc7677:3: the proof and the signature of the example fit our keys. */
static void
test_scram_example(void **state)
{
	static const char said[] =
		"n=user,r=rOprNGfwEbeRWgbNEkqO,"
		"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
		"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
	struct buffer salt = decoded("W22ZaJ0SNY7soEsUEjb6gQ=="),
		      proof = decoded("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
	struct buffer          signature = decoded("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
	struct password_record r = { 0 };
	unsigned char          mine[32], hash[32];
	(void)state;

	scram_make("pencil", buffer_bytes(&salt), 4096, &r);
	SAME("salt", bytes_of(r.scram_salt), BYTES("W22ZaJ0SNY7soEsUEjb6gQ=="));
	HOLDS("iterations", r.scram_iterations == 4096);
	struct buffer stored = decoded(r.scram_stored), server = decoded(r.scram_server);
	hmac(&server, said, mine);
	SAME("ServerSignature", ((struct bytes){ (char *)mine, 32 }), buffer_bytes(&signature));
	hmac(&stored, said, mine);
	for (size_t i = 0; i < 32; i++)
		mine[i] ^= (unsigned char)proof.at[i];
	HOLDS("sha256", EVP_Digest(mine, 32, hash, NULL, EVP_sha256(), NULL) == 1);
	SAME("H(ClientKey)", ((struct bytes){ (char *)hash, 32 }), buffer_bytes(&stored));
	buffer_free(&salt);
	buffer_free(&proof);
	buffer_free(&signature);
	buffer_free(&stored);
	buffer_free(&server);
}

/* rfc4013:3: what looks the same is the same: a soft hyphen, a roman nine, another blank. */
static void
test_scram_normalizes(void **state)
{
	/* clang-format off */
	static const struct { const char *why, *typed, *same; } rows[] = {
		{ "SOFT HYPHEN mapped to nothing", "I\xc2\xadX", "IX" },
		{ "case is kept", "USER", "USER" },
		{ "FEMININE ORDINAL INDICATOR", "\xc2\xaa", "a" },
		{ "ROMAN NUMERAL NINE", "\xe2\x85\xa8", "IX" },
		{ "NO-BREAK SPACE", "a\xc2\xa0" "b", "a b" },
	};
	/* clang-format on */
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct password_record one = { 0 }, two = { 0 };
		scram_make(rows[i].typed, BYTES("salt"), 10, &one);
		scram_make(rows[i].same, BYTES("salt"), 10, &two);
		SAME(rows[i].why, bytes_of(one.scram_stored), bytes_of(two.scram_stored));
	}
}

static void
test_apop(void **state)
{
	char digest[33] = "";

	(void)state;
	HOLDS("rfc1939:7", password_apop(BYTES("<1896.697170952@dbc.mtview.ca.us>"), BYTES("tanstaaf"), digest));
	SAME("rfc1939:7", bytes_of(digest), BYTES("c4c9334bac560ecc979e58001b3e22fb"));
}

UNIT(test_apop, test_check, test_made_is_right, test_nobody, test_scram_example, test_scram_normalizes)
