/* Tokens: the examples of rfc7515, and what nobody should take. */
#include "unit.h"

#include "sasl/token.h"

#ifdef MANSIO_OAUTH
#include <string.h>

/* rfc7515:A.2, A.3 */
static const char keys[] =
	"{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"rsa\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-"
	"4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-"
	"KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW"
	"9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"},"
	"{\"kty\":\"EC\",\"kid\":\"ec\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_"
	"tue659LNpXW6pCyStikYjKIWI5a0\"},"
	"{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"},{\"kty\":\"oct\",\"k\":\"AAAA\"},{\"kty\":\"RSA\",\"use\":\"enc\"},5]}";
static const char payload[] = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
#define RS256 \
	"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ." \
	"cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjb" \
	"KBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6" \
	"BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
#define ES256 \
	"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ." \
	"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

/* These examples say nobody they are for. */
static const char *const anybody[] = { "any" };

static void
test_signed(void **state)
{
	/* clang-format off */
	static const struct { const char *why, *token, *issuer, *claim; int64_t now; bool good; } rows[] = {
		{ "rfc7515:A.2", RS256, "joe", "iss", 1300819000, true },
		{ "rfc7515:A.3", ES256, "joe", "iss", 1300819000, true },
		{ "any issuer", ES256, "", "iss", 1300819000, true },
		{ "within a minute", ES256, "", "iss", 1300819380 + 59, true },
		{ "over", ES256, "", "iss", 1300819380 + 60, false },
		{ "another issuer", ES256, "jane", "iss", 1300819000, false },
		{ "no such claim", ES256, "joe", "email", 1300819000, false },
		{ "a claim that is no text", ES256, "joe", "exp", 1300819000, false },
		{ "the algorithm of the other key", "eyJhbGciOiJFUzI1NiIsImtpZCI6InJzYSJ9.eyJpc3MiOiJqb2UifQ.AAAA", "", "iss", 0, false },
		{ "no algorithm", "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UifQ.AAAA", "", "iss", 0, false },
		{ "no algorithm and no signature", "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UifQ.", "", "iss", 0, false },
		{ "HMAC with the public key", "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UifQ.AAAA", "", "iss", 0, false },
		{ "two parts", "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UifQ", "", "iss", 0, false },
		{ "nothing", "", "", "iss", 0, false },
		{ "no base64url", "eyJhbGci+/.e.A", "", "iss", 0, false },
	};
	/* clang-format on */
	struct token_keys *k = token_keys_open(bytes_of(keys));
	struct arena      *a = arena_open(NULL);
	(void)state;

	HOLDS("keys", k != NULL);
	HOLDS("the payload of both", strstr(RS256, payload) != NULL);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct token_rules r = { .issuer = rows[i].issuer, .audiences = { anybody, 1 }, .claim = rows[i].claim, .now = rows[i].now };
		struct bytes       user = BYTES("");
		const char        *why = "";
		bool               unknown;
		enum sasl_outcome  o = token_check(k, &r, bytes_of(rows[i].token), a, &user, &why, &unknown);

		if ((o == SASL_PROVED) != rows[i].good)
			fail_msg("%s: %s", rows[i].why, why);
		if (rows[i].good)
			SAME(rows[i].why, user, BYTES("joe"));
	}
	arena_close(&a);
	token_keys_close(&k);
}

static void
test_one_bit_off(void **state)
{
	struct token_keys *k = token_keys_open(bytes_of(keys));
	struct token_rules r = { .issuer = "joe", .audiences = { anybody, 1 }, .claim = "iss", .now = 1300819000 };
	struct arena      *a = arena_open(NULL);
	struct bytes       user;
	const char        *why;
	bool               unknown;
	(void)state;

	for (size_t i = 0; i < strlen(ES256); i++) {
		char *token = arena_copy(a, BYTES(ES256));

		token[i] = token[i] == 'A' ? 'B' : 'A';
		if (strcmp(token, ES256) != 0 && token_check(k, &r, bytes_of(token), a, &user, &why, &unknown) == SASL_PROVED)
			fail_msg("byte %zu", i);
	}
	arena_close(&a);
	token_keys_close(&k);
}

/* rfc7662:2.2 */
static void
test_introspected(void **state)
{
	/* clang-format off */
	static const struct { const char *why, *json; enum sasl_outcome outcome; } rows[] = {
		{ "active", "{\"active\":true,\"email\":\"jack@example.com\",\"scope\":\"openid mail\",\"aud\":\"mansio\",\"exp\":2000}", SASL_PROVED },
		{ "a list of audiences", "{\"active\":true,\"email\":\"jack@example.com\",\"scope\":\"mail\",\"aud\":[\"x\",\"mansio\"]}", SASL_PROVED },
		{ "scp", "{\"active\":true,\"email\":\"jack@example.com\",\"scp\":[\"mail\"],\"aud\":\"mansio\"}", SASL_PROVED },
		{ "not active", "{\"active\":false}", SASL_REFUSED },
		{ "for nobody said", "{\"active\":true,\"email\":\"jack@example.com\",\"scope\":\"mail\"}", SASL_REFUSED },
		{ "for another", "{\"active\":true,\"email\":\"jack@example.com\",\"scope\":\"mail\",\"aud\":\"other\"}", SASL_REFUSED },
		{ "scope in part", "{\"active\":true,\"email\":\"jack@example.com\",\"scope\":\"mailing\",\"aud\":\"mansio\"}", SASL_REFUSED },
		{ "over", "{\"active\":true,\"email\":\"jack@example.com\",\"scope\":\"mail\",\"aud\":\"mansio\",\"exp\":900}", SASL_REFUSED },
		{ "to come", "{\"active\":true,\"email\":\"jack@example.com\",\"scope\":\"mail\",\"aud\":\"mansio\",\"nbf\":1100}", SASL_REFUSED },
		{ "not verified", "{\"active\":true,\"email\":\"jack@example.com\",\"email_verified\":false,\"scope\":\"mail\",\"aud\":\"mansio\"}", SASL_REFUSED },
		{ "not verified, said as a text", "{\"active\":true,\"email\":\"jack@example.com\",\"email_verified\":\"false\",\"scope\":\"mail\",\"aud\":\"mansio\"}", SASL_REFUSED },
		{ "another issuer", "{\"active\":true,\"iss\":\"x\",\"email\":\"jack@example.com\",\"scope\":\"mail\",\"aud\":\"mansio\"}", SASL_REFUSED },
		{ "nobody", "{\"active\":true,\"scope\":\"mail\",\"aud\":\"mansio\"}", SASL_REFUSED },
		{ "active as a text", "{\"active\":\"true\"}", SASL_LATER },
		{ "no JSON", "<html>", SASL_LATER },
		{ "nothing", "", SASL_LATER },
	};
	/* clang-format on */
	static const char *const aud[] = { "mansio" }, *const scope[] = { "mail" };
	struct token_rules       r = { .issuer = "joe", .audiences = { aud, 1 }, .scopes = { scope, 1 }, .claim = "email", .now = 1000 };
	struct arena            *a = arena_open(NULL);
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct bytes      user = BYTES("");
		const char       *why = "";
		enum sasl_outcome o = token_introspected(&r, bytes_of(rows[i].json), a, &user, &why);

		if (o != rows[i].outcome)
			fail_msg("%s: %d %s", rows[i].why, o, why != NULL ? why : "");
		if (o == SASL_PROVED)
			SAME(rows[i].why, user, BYTES("jack@example.com"));
	}
	arena_close(&a);
}

static void
test_keys(void **state)
{
	(void)state;
	HOLDS("no JSON", token_keys_open(BYTES("x")) == NULL);
	HOLDS("none", token_keys_open(BYTES("{\"keys\":[]}")) == NULL);
	HOLDS("none we know", token_keys_open(BYTES("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}")) == NULL);
	HOLDS("a list", token_keys_open(BYTES("[1]")) == NULL);
	HOLDS("a point off the curve", token_keys_open(BYTES("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
	                                                     "\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}]}")) == NULL);
}

UNIT(test_signed, test_one_bit_off, test_introspected, test_keys)
#else
static void
test_nothing(void **state)
{
	(void)state;
}

UNIT(test_nothing)
#endif
