#include "unit.h"

#include <string.h>

#include "acme/jose.h"
#include "acme/request.h"

/* The key of rfc7515:A.3, in PKCS #8 by openssl(1); its thumbprint by jwcrypto. */
static const char rfc7515_key[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIff\n"
	"H1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp\n"
	"7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt\n"
	"-----END PRIVATE KEY-----\n";

static void
test_thumbprint(void **state)
{
	struct jose_key *k = jose_read(bytes_of(rfc7515_key));
	struct buffer    out = { 0 };

	(void)state;
	HOLDS("rfc7515:A.3 the key is read", k != NULL);
	jose_thumbprint(k, &out);
	SAME("rfc7638:3", buffer_bytes(&out), BYTES("oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"));
	buffer_free(&out);
	jose_close(&k);
	HOLDS("closed", k == NULL);
}

static void
test_base64url(void **state)
{
	static const struct {
		const char *why, *in, *out;
	} rows[] = {
		{ "rfc7515:C", "\x03\xec\xff\xe0\xc1", "A-z_4ME" },
		{ "nothing", "", "" },
		{ "rfc4648:10 without padding", "f", "Zg" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buffer out = { 0 };

		jose_base64url(&out, bytes_of(rows[i].in));
		SAME(rows[i].why, buffer_bytes(&out), bytes_of(rows[i].out));
		buffer_free(&out);
	}
}

static void
test_strings(void **state)
{
	struct buffer out = { 0 };

	(void)state;
	jose_string(&out, "a\"b\\c\nd\x1f/");
	SAME("rfc8259:7", buffer_bytes(&out), BYTES("\"a\\\"b\\\\c\\u000ad\\u001f/\""));
	buffer_free(&out);
}

static void
test_keys(void **state)
{
	struct jose_key *made = jose_make(), *again;
	struct buffer    pem = { 0 }, a = { 0 }, b = { 0 };

	(void)state;
	HOLDS("written", jose_write(made, &pem));
	again = jose_read(buffer_bytes(&pem));
	HOLDS("read again", again != NULL);
	jose_thumbprint(made, &a);
	jose_thumbprint(again, &b);
	SAME("the same key", buffer_bytes(&a), buffer_bytes(&b));
	HOLDS("no key", jose_read(BYTES("hello")) == NULL);
	buffer_free(&pem);
	buffer_free(&a);
	buffer_free(&b);
	jose_close(&made);
	jose_close(&again);
}

static void
test_requests(void **state)
{
	static const char *const names[] = { "mail.example.org", "imap.example.org" };
	struct buffer            key = { 0 }, der = { 0 }, certificate = { 0 };
	struct certificate_facts f;

	(void)state;
	HOLDS("ecdsa", request_make(REQUEST_ECDSA, names, 2, &key, &der) && der.len > 0);
	buffer_reset(&key);
	HOLDS("rfc8737:3", validation_make(names[0], BYTES("token.thumb"), &key, &certificate));
	HOLDS("of its key", request_fits(buffer_bytes(&certificate), buffer_bytes(&key)));
	HOLDS("it has one of them", certificate_look(buffer_bytes(&certificate), names, 2, &f) &&
	                                    f.among == 1 && f.from < f.until);
	HOLDS("nothing is none", !certificate_look(BYTES(""), names, 2, &f));
	buffer_free(&key);
	buffer_free(&der);
	buffer_free(&certificate);
}

UNIT(test_thumbprint, test_base64url, test_strings, test_keys, test_requests)
