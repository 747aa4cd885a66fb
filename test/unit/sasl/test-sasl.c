/* SASL: libgsasl's client as the other side, the examples of the RFCs, and messages nobody should send. */
#include "unit.h"

#include <gsasl.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "sasl/gssapi.h"
#include "sasl/mac.h"
#include "sasl/ntlm.h"
#include "sasl/otp.h"
#include "sasl/sasl.h"

/* rfc7677:3: user, pencil, 4096 rounds; the keys were made with Python's hashlib from them. */
static const struct sasl_verifier user_pencil = {
	"4096",
	"W22ZaJ0SNY7soEsUEjb6gQ==",
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
};
/* rfc5802:5: the same with SHA-1. */
static const struct sasl_verifier user_pencil_sha1 = {
	"4096", "QSXCR+Q6sek8bf92", "6dlGYMOdZcOPutkcNY8U2g7vK9Y=", "D+CSWLOshSulAsxiupA+qs2/fTE=",
};
static bool                 away;
static int                  asked;
static struct sasl_one_time chain;
static const char          *anonymous_is = "guest";

static bool
verifier(void *ctx, struct bytes user, const char *hash, struct arena *a, struct sasl_verifier *out)
{
	(void)ctx, (void)a;
	asked++;
	*out = strcmp(hash, "SHA-1") == 0 ? user_pencil_sha1 : user_pencil;
	if (!bytes_equal(user, BYTES("user")))
		out->stored = strcmp(hash, "SHA-1") == 0
		                      ? "AAAAAAAAAAAAAAAAAAAAAAAAAAA="
		                      : "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	return !away;
}

static enum sasl_outcome
secret(void *ctx, struct bytes user, struct arena *a, struct bytes *out)
{
	(void)ctx;
	if (away)
		return SASL_LATER;
	if (bytes_equal(user, BYTES("user")))
		*out = arena_keep(a, BYTES("pencil"));
	else if (bytes_equal(user, BYTES("tim")))
		*out = arena_keep(a, BYTES("tanstaaftanstaaf"));
	else if (bytes_equal(user, BYTES("User")))
		*out = arena_keep(a, BYTES("Password"));
	else
		return SASL_REFUSED;
	return SASL_PROVED;
}

/* As `doveadm pw -s CRAM-MD5 -p pencil` and `doveadm pw -s DIGEST-MD5 -u kept@mail.example.com -p pencil` say it, and of kept@example.org. */
static enum sasl_outcome
derived(void *ctx, struct bytes user, const char *scheme, struct arena *a, struct bytes *out)
{
	static const char cram[] = "\x7f\x47\xac\xe0\xe2\xaf\x8f\x6c\xde\xb7\x2c\x03\x24\x3a\x8c\x87"
				   "\x83\x4e\x19\x10\x41\x64\xd6\xa4\x2d\xe7\x2d\x24\x3a\xdb\x40\x80";
	static const char host[] = "\x9a\x22\xa8\xc4\x29\xfc\xca\x7f\xf8\x6a\xd6\xb5\xdf\xf3\x19\x54";
	static const char org[] = "\xd3\xc2\x9e\x05\x88\x7c\xa0\xbb\xba\xad\xad\x2b\x17\x86\x0b\xc6";
	bool              kept = bytes_equal(user, BYTES("kept"));

	(void)ctx, (void)a;
	if (strcmp(scheme, "CRAM-MD5") == 0)
		*out = (struct bytes){ cram, sizeof cram - 1 };
	else if (kept)
		*out = (struct bytes){ host, sizeof host - 1 };
	else
		*out = (struct bytes){ org, sizeof org - 1 };
	return kept || bytes_equal(user, BYTES("kept@example.org")) ? SASL_PROVED : SASL_REFUSED;
}

static enum sasl_outcome
one_time(void *ctx, struct bytes user, struct arena *a, struct sasl_one_time *out)
{
	(void)ctx, (void)a;
	*out = chain;
	return away ? SASL_LATER : bytes_equal(user, BYTES("user")) ? SASL_PROVED : SASL_REFUSED;
}

static enum sasl_outcome
one_time_used(void *ctx, struct bytes user, const struct sasl_one_time *was,
              const struct sasl_one_time *next)
{
	(void)ctx, (void)user;
	if (was->sequence != chain.sequence)
		return SASL_REFUSED;
	chain = *next;
	chain.seed = strcmp(next->seed, "test") == 0 ? "test" : "other1";
	return SASL_PROVED;
}

static enum sasl_outcome
certificate(void *ctx, const struct sasl_certificate *c, struct bytes acting, struct arena *a,
            struct bytes *user)
{
	(void)ctx, (void)a;
	*user = c->mail;
	return !c->trusted || (acting.len > 0 && !bytes_equal(acting, c->mail)) ? SASL_REFUSED
	                                                                        : SASL_PROVED;
}

static const char *
anonymous(void *ctx)
{
	(void)ctx;
	return anonymous_is;
}

static void
token_hint(void *ctx, const char **scope, const char **configuration)
{
	(void)ctx;
	*scope = "mail";
	*configuration = "https://example.com/.well-known/openid-configuration";
}

static bool masters_are; /* some */

static bool
masters(void *ctx)
{
	(void)ctx;
	return masters_are;
}

static const struct sasl_needs needs = { verifier,    secret,    derived,    one_time,  one_time_used,
	                                 certificate, anonymous, token_hint, masters };

static const struct sasl_binding bindings[] = {
	{ "tls-exporter", { "0123456789abcdef0123456789abcdef", 32 } },
	{ "tls-server-end-point", { "abcdef0123456789abcdef0123456789", 32 } },
};
static const struct sasl_certificate jacks = { true, { "AB:CD", 5 }, { "CN=jack", 7 }, { "jack@example.com", 16 } };

/* An exchange on a connection with everything a connection can have. */
static struct sasl *
begin(const char *mechanism, const char *random, bool plus)
{
	struct sasl_facts f = { .service = "imap",
		                .host = "mail.example.com",
		                .tls = true,
		                .plus = plus,
		                .binding = bindings,
		                .bindings = COUNT(bindings),
		                .certificate = jacks,
		                .random = random };

	return sasl_begin(bytes_of(mechanism), &f, &needs, NULL);
}

#define EXPORTED "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" /* tls-exporter of `bindings` */

/* ---- libgsasl says it, we answer ---- */

struct client {
	const char *user, *password, *acting, *bound, *realm;
};

static int
client_asked(Gsasl *g, Gsasl_session *s, Gsasl_property p)
{
	const struct client *c = gsasl_callback_hook_get(g);

	switch (p) {
	case GSASL_AUTHID: return gsasl_property_set(s, p, c->user);
	case GSASL_PASSWORD: return gsasl_property_set(s, p, c->password);
	case GSASL_SERVICE: return gsasl_property_set(s, p, "imap");
	case GSASL_HOSTNAME: return gsasl_property_set(s, p, "mail.example.com");
	case GSASL_REALM:
		return c->realm != NULL ? gsasl_property_set(s, p, c->realm) : GSASL_NO_CALLBACK;
	case GSASL_ANONYMOUS_TOKEN: return gsasl_property_set(s, p, c->user);
	case GSASL_CB_TLS_EXPORTER:
		return c->bound != NULL ? gsasl_property_set(s, p, c->bound) : GSASL_NO_CALLBACK;
	case GSASL_AUTHZID:
		return c->acting != NULL ? gsasl_property_set(s, p, c->acting) : GSASL_NO_CALLBACK;
	default: return GSASL_NO_CALLBACK;
	}
}

static enum sasl_outcome
exchange(const char *mechanism, const struct client *c, bool initial, struct sasl *s)
{
	Gsasl            *g;
	Gsasl_session    *session;
	struct buffer     out = { 0 };
	enum sasl_outcome o = SASL_MORE;
	char             *said = NULL;
	size_t            len = 0;

	HOLDS("gsasl", gsasl_init(&g) == GSASL_OK);
	gsasl_callback_hook_set(g, (void *)(uintptr_t)c);
	gsasl_callback_set(g, client_asked);
	HOLDS("client", gsasl_client_start(g, mechanism, &session) == GSASL_OK);
	if (!initial)
		o = sasl_step(s, false, BYTES(""), &out);
	for (int turn = 0; o == SASL_MORE && turn < 10; turn++) {
		int did = gsasl_step(session, out.at != NULL ? out.at : "", out.len, &said, &len);

		HOLDS("the client goes on", did == GSASL_OK || did == GSASL_NEEDS_MORE);
		buffer_reset(&out);
		o = sasl_step(s, true, (struct bytes){ said, len }, &out);
		gsasl_free(said);
	}
	if (o == SASL_PROVED && out.len > 0) {
		HOLDS("the client believes us",
		      gsasl_step(session, out.at, out.len, &said, &len) == GSASL_OK);
		gsasl_free(said);
	}
	buffer_free(&out);
	gsasl_finish(session);
	gsasl_done(g);
	return o;
}

static void
test_against_gsasl(void **state)
{
	/* clang-format off */
	static const struct {
		const char *why, *mechanism;
		struct client client;
		bool initial;
		enum sasl_outcome outcome;
		const char *user, *password;
	} rows[] = {
		{ "PLAIN", "PLAIN", { "jack", "s3cret", NULL, NULL, NULL }, true, SASL_CHECK, "jack", "s3cret" },
		{ "PLAIN after an empty challenge", "PLAIN", { "jack", "s3cret", NULL, NULL, NULL }, false, SASL_CHECK, "jack", "s3cret" },
		{ "PLAIN for oneself", "PLAIN", { "jack", "s3cret", "jack", NULL, NULL }, true, SASL_CHECK, "jack", "s3cret" },
		{ "PLAIN for another", "PLAIN", { "jack", "s3cret", "jill", NULL, NULL }, true, SASL_REFUSED, "jack", "s3cret" },
		{ "PLAIN in UTF-8", "PLAIN", { "j\xc3\xa4" "ck", "p\xc3\xa4ss", NULL, NULL, NULL }, true, SASL_CHECK, "j\xc3\xa4" "ck", "p\xc3\xa4ss" },
		{ "LOGIN", "LOGIN", { "jack", "s3cret", NULL, NULL, NULL }, false, SASL_CHECK, "jack", "s3cret" },
		{ "SCRAM", "SCRAM-SHA-256", { "user", "pencil", NULL, NULL, NULL }, true, SASL_PROVED, "user", "" },
		{ "SCRAM after an empty challenge", "SCRAM-SHA-256", { "user", "pencil", NULL, NULL, NULL }, false, SASL_PROVED, "user", "" },
		{ "SCRAM, wrong password", "SCRAM-SHA-256", { "user", "pen", NULL, NULL, NULL }, true, SASL_REFUSED, "user", "" },
		{ "SCRAM, nobody", "SCRAM-SHA-256", { "nobody", "pencil", NULL, NULL, NULL }, true, SASL_REFUSED, "nobody", "" },
		{ "SCRAM for oneself", "SCRAM-SHA-256", { "user", "pencil", "user", NULL, NULL }, true, SASL_PROVED, "user", "" },
		{ "SCRAM for another", "SCRAM-SHA-256", { "user", "pencil", "root", NULL, NULL }, true, SASL_REFUSED, "user", "" },
		{ "SCRAM-SHA-1", "SCRAM-SHA-1", { "user", "pencil", NULL, NULL, NULL }, true, SASL_PROVED, "user", "" },
		{ "SCRAM-SHA-1, wrong password", "SCRAM-SHA-1", { "user", "pen", NULL, NULL, NULL }, true, SASL_REFUSED, "user", "" },
		{ "SCRAM-SHA-1, nobody", "SCRAM-SHA-1", { "nobody", "pencil", NULL, NULL, NULL }, true, SASL_REFUSED, "nobody", "" },
		{ "a bound channel", "SCRAM-SHA-256-PLUS", { "user", "pencil", NULL, EXPORTED, NULL }, true, SASL_PROVED, "user", "" },
		{ "a bound channel, SHA-1", "SCRAM-SHA-1-PLUS", { "user", "pencil", NULL, EXPORTED, NULL }, true, SASL_PROVED, "user", "" },
		{ "another channel", "SCRAM-SHA-256-PLUS", { "user", "pencil", NULL, "MDEyMw==", NULL }, true, SASL_REFUSED, "user", "" },
		{ "CRAM-MD5", "CRAM-MD5", { "user", "pencil", NULL, NULL, NULL }, false, SASL_PROVED, "user", "pencil" },
		{ "CRAM-MD5, wrong password", "CRAM-MD5", { "user", "pen", NULL, NULL, NULL }, false, SASL_REFUSED, "user", "pencil" },
		{ "CRAM-MD5, nobody", "CRAM-MD5", { "nobody", "nobody", NULL, NULL, NULL }, false, SASL_REFUSED, "nobody", "" },
		{ "DIGEST-MD5", "DIGEST-MD5", { "user", "pencil", NULL, NULL, NULL }, false, SASL_PROVED, "user", "pencil" },
		{ "DIGEST-MD5, wrong password", "DIGEST-MD5", { "user", "pen", NULL, NULL, NULL }, false, SASL_REFUSED, "user", "pencil" },
		{ "DIGEST-MD5, nobody", "DIGEST-MD5", { "nobody", "pencil", NULL, NULL, NULL }, false, SASL_REFUSED, "nobody", "" },
		{ "DIGEST-MD5 for another", "DIGEST-MD5", { "user", "pencil", "root", NULL, NULL }, false, SASL_REFUSED, "user", "" },
		{ "CRAM-MD5 by its states", "CRAM-MD5", { "kept", "pencil", NULL, NULL, NULL }, false, SASL_PROVED, "kept", "" },
		{ "CRAM-MD5 by its states, wrong password", "CRAM-MD5", { "kept", "pen", NULL, NULL, NULL }, false, SASL_REFUSED, "kept", "" },
		{ "DIGEST-MD5 by its digest", "DIGEST-MD5", { "kept", "pencil", NULL, NULL, "mail.example.com" }, false, SASL_PROVED, "kept", "" },
		{ "DIGEST-MD5 by its digest, wrong password", "DIGEST-MD5", { "kept", "pen", NULL, NULL, NULL }, false, SASL_REFUSED, "kept", "" },
		{ "DIGEST-MD5 in another realm", "DIGEST-MD5", { "kept", "pencil", NULL, NULL, "example.org" }, false, SASL_PROVED, "kept@example.org", "" },
		{ "DIGEST-MD5 in a realm of nobody", "DIGEST-MD5", { "user", "pencil", NULL, NULL, "example.net" }, false, SASL_REFUSED, "user@example.net", "" },
		{ "ANONYMOUS", "ANONYMOUS", { "sirhc", "", NULL, NULL, NULL }, true, SASL_PROVED, "guest", "" },
		{ "EXTERNAL", "EXTERNAL", { "", "", NULL, NULL, NULL }, true, SASL_PROVED, "jack@example.com", "" },
		{ "EXTERNAL as oneself", "EXTERNAL", { "", "", "jack@example.com", NULL, NULL }, true, SASL_PROVED, "jack@example.com", "" },
		{ "EXTERNAL as another", "EXTERNAL", { "", "", "jill@example.com", NULL, NULL }, true, SASL_REFUSED, "jill@example.com", "" },
	};
	/* clang-format on */
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sasl      *s = begin(rows[i].mechanism, NULL, false);
		enum sasl_outcome o;

		HOLDS(rows[i].why, s != NULL);
		o = exchange(rows[i].mechanism, &rows[i].client, rows[i].initial, s);
		if (o != rows[i].outcome)
			fail_msg("%s: %d", rows[i].why, o);
		SAME(rows[i].why, sasl_user(s), bytes_of(rows[i].user));
		SAME(rows[i].why, sasl_password(s), bytes_of(rows[i].password));
		sasl_end(&s);
		assert_null(s);
	}
}

static void
test_no_verifier_now(void **state)
{
	static const struct client c = { "user", "pencil", NULL, NULL, NULL };
	struct sasl               *s = begin("scram-sha-256", NULL, false);
	(void)state;

	away = true;
	asked = 0;
	HOLDS("later, not no", exchange("SCRAM-SHA-256", &c, true, s) == SASL_LATER);
	HOLDS("asked once", asked == 1);
	away = false;
	sasl_end(&s);
}

/* ---- messages, one after the other ---- */

struct turn {
	const char       *said;
	size_t            len;
	enum sasl_outcome outcome;
	const char       *out;
};
#define SAID(text) (text), sizeof(text) - 1

static void
turns(const char *why, const char *mechanism, bool initial, const struct turn *t, size_t count,
      struct sasl **sp)
{
	struct sasl  *s = begin(mechanism, NULL, false);
	struct buffer out = { 0 };

	HOLDS(why, s != NULL);
	if (!initial)
		HOLDS(why, sasl_step(s, false, BYTES(""), &out) == SASL_MORE);
	for (size_t i = 0; i < count && t[i].said != NULL; i++) {
		enum sasl_outcome o;

		buffer_reset(&out);
		o = sasl_step(s, true, (struct bytes){ t[i].said, t[i].len }, &out);
		if (o != t[i].outcome)
			fail_msg("%s, turn %zu: %d", why, i, o);
		if (t[i].out != NULL)
			SAME(why, buffer_bytes(&out), bytes_of(t[i].out));
	}
	buffer_free(&out);
	*sp = s;
}

static void
test_plain(void **state)
{
	/* clang-format off */
	static const struct { const char *why; const char *said; size_t len; enum sasl_outcome outcome; const char *user; } rows[] = {
		{ "rfc4616:4", SAID("\0tim\0tanstaaftanstaaf"), SASL_CHECK, "tim" },
		{ "rfc4616:4, for another", SAID("Ursel\0Kurt\0xipj3plmq"), SASL_REFUSED, "Kurt" },
		{ "for oneself, in capitals", SAID("KURT\0Kurt\0xipj3plmq"), SASL_CHECK, "Kurt" },
		{ "nothing", SAID(""), SASL_SYNTAX, "" },
		{ "one NUL", SAID("\0tim"), SASL_SYNTAX, "" },
		{ "no NUL", SAID("tim"), SASL_SYNTAX, "" },
		{ "three NULs", SAID("\0tim\0a\0b"), SASL_SYNTAX, "" },
		{ "no user", SAID("\0\0word"), SASL_SYNTAX, "" },
		{ "no password", SAID("\0tim\0"), SASL_SYNTAX, "" },
		{ "NULs only", SAID("\0\0\0"), SASL_SYNTAX, "" },
	};
	/* clang-format on */
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct turn  t = { rows[i].said, rows[i].len, rows[i].outcome, "" };
		struct sasl *s;

		turns(rows[i].why, "PLAIN", true, &t, 1, &s);
		SAME(rows[i].why, sasl_user(s), bytes_of(rows[i].user));
		sasl_end(&s);
	}
}

static void
test_turns(void **state)
{
	/* clang-format off */
	static const struct { const char *why, *mechanism; bool initial; struct turn t[4]; } rows[] = {
		{ "LOGIN asks twice", "LOGIN", false, {
		    { SAID("jack"), SASL_MORE, "Password:" }, { SAID("word"), SASL_CHECK, "" } } },
		{ "LOGIN with the user at once", "LOGIN", true, {
		    { SAID("jack"), SASL_MORE, "Password:" }, { SAID("word"), SASL_CHECK, "" } } },
		{ "LOGIN without a user", "LOGIN", false, { { SAID(""), SASL_SYNTAX, NULL } } },
		{ "LOGIN without a password", "LOGIN", false, { { SAID("jack"), SASL_MORE, NULL }, { SAID(""), SASL_SYNTAX, NULL } } },
		{ "LOGIN with a NUL", "LOGIN", false, { { SAID("ja\0ck"), SASL_SYNTAX, NULL } } },
		{ "SCRAM, nothing", "SCRAM-SHA-256", true, { { SAID(""), SASL_SYNTAX, NULL } } },
		{ "SCRAM, noise", "SCRAM-SHA-256", true, { { SAID("hello"), SASL_SYNTAX, NULL } } },
		{ "SCRAM, a NUL", "SCRAM-SHA-256", true, { { SAID("n,,n=us\0er,r=abc"), SASL_SYNTAX, NULL } } },
		{ "SCRAM, no user", "SCRAM-SHA-256", true, { { SAID("n,,n=,r=abc"), SASL_SYNTAX, NULL } } },
		{ "SCRAM, no nonce", "SCRAM-SHA-256", true, { { SAID("n,,n=user,r="), SASL_SYNTAX, NULL } } },
		{ "SCRAM, an extension that must be known (rfc5802:5.1)", "SCRAM-SHA-256", true,
		    { { SAID("n,,m=x,n=user,r=abc"), SASL_SYNTAX, NULL } } },
		{ "SCRAM, a bound channel where none is offered", "SCRAM-SHA-256", true,
		    { { SAID("p=tls-exporter,,n=user,r=abc"), SASL_SYNTAX, NULL } } },
		{ "SCRAM, another nonce", "SCRAM-SHA-256", true, {
		    { SAID("n,,n=user,r=abc"), SASL_MORE, NULL },
		    { SAID("c=biws,r=xyz,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), SASL_REFUSED, NULL } } },
		{ "SCRAM, half a proof", "SCRAM-SHA-256", true, {
		    { SAID("n,,n=user,r=abc"), SASL_MORE, NULL }, { SAID("c=biws,r=abc,p=dHzb"), SASL_REFUSED, NULL } } },
		{ "SCRAM, no proof", "SCRAM-SHA-256", true, {
		    { SAID("n,,n=user,r=abc"), SASL_MORE, NULL }, { SAID("c=biws,r=abc"), SASL_SYNTAX, NULL } } },
	};
	/* clang-format on */
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sasl *s;

		turns(rows[i].why, rows[i].mechanism, rows[i].initial, rows[i].t, COUNT(rows[i].t),
		      &s);
		sasl_end(&s);
	}
}

/* Salt and rounds as in the example; the nonce begins with the client's. */
static void
test_scram_challenge(void **state)
{
	struct sasl  *s = begin("SCRAM-SHA-256", NULL, false);
	struct buffer out = { 0 };
	(void)state;

	HOLDS("first",
	      sasl_step(s, true, BYTES("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"), &out) == SASL_MORE);
	HOLDS("nonce", bytes_starts(buffer_bytes(&out), BYTES("r=rOprNGfwEbeRWgbNEkqO")) &&
	                       bytes_search(buffer_bytes(&out), BYTES(",s=")) > 22);
	HOLDS("salt and rounds",
	      bytes_ends_nocase(buffer_bytes(&out), BYTES(",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")));
	sasl_end(&s);
	buffer_free(&out);
}


/* ---- the examples of the RFCs, with their random parts ---- */

static void
test_examples(void **state)
{
	/* clang-format off */
	static const struct { const char *why, *mechanism, *random; bool initial; struct turn t[3]; const char *user; } rows[] = {
		{ "rfc7677:3", "SCRAM-SHA-256", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", true, {
		    { SAID("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"), SASL_MORE, "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096" },
		    { SAID("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), SASL_PROVED,
		      "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" } }, "user" },
		{ "rfc5802:5", "SCRAM-SHA-1", "3rfcNHYJY1ZVvWVs7j", true, {
		    { SAID("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"), SASL_MORE, "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096" },
		    { SAID("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="), SASL_PROVED,
		      "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=" } }, "user" },
		{ "rfc2195:2", "CRAM-MD5", "<1896.697170952@postoffice.reston.mci.net>", false, {
		    { SAID("tim b913a602c7eda7a495b4e6e7334d3890"), SASL_PROVED, "" } }, "tim" },
		{ "rfc4505:3", "ANONYMOUS", NULL, true, { { SAID("sirhc"), SASL_PROVED, "" } }, "guest" },
		{ "rfc7628:4.1", "OAUTHBEARER", NULL, true, {
		    { SAID("n,a=user@example.com,\1host=server.example.com\1port=143\1auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1"), SASL_TOKEN, "" } },
		  "user@example.com" },
		{ "Google's example", "XOAUTH2", NULL, true, {
		    { SAID("user=someuser@example.com\1auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\1\1"), SASL_TOKEN, "" } },
		  "someuser@example.com" },
	};
	/* clang-format on */
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sasl  *s = begin(rows[i].mechanism, rows[i].random, true);
		struct buffer out = { 0 };

		HOLDS(rows[i].why, s != NULL);
		if (!rows[i].initial) {
			HOLDS(rows[i].why, sasl_step(s, false, BYTES(""), &out) == SASL_MORE);
			SAME(rows[i].why, buffer_bytes(&out), bytes_of(rows[i].random));
		}
		for (size_t j = 0; j < 3 && rows[i].t[j].said != NULL; j++) {
			struct bytes said = { rows[i].t[j].said, rows[i].t[j].len };
			buffer_reset(&out);
			if (sasl_step(s, true, said, &out) != rows[i].t[j].outcome)
				fail_msg("%s: turn %zu", rows[i].why, j);
			SAME(rows[i].why, buffer_bytes(&out), bytes_of(rows[i].t[j].out));
		}
		SAME(rows[i].why, sasl_user(s), bytes_of(rows[i].user));
		sasl_end(&s);
		buffer_free(&out);
	}
}

/* What nobody should send, and what is done about it. */
static void
test_hostile(void **state)
{
	/* clang-format off */
	static const struct { const char *why, *mechanism; bool initial; struct turn t[3]; } rows[] = {
		{ "SCRAM: the offer was tampered with (rfc5802:6)", "SCRAM-SHA-256", true, { { SAID("y,,n=user,r=abc"), SASL_REFUSED, NULL } } },
		{ "SCRAM-PLUS that binds nothing", "SCRAM-SHA-256-PLUS", true, { { SAID("n,,n=user,r=abc"), SASL_SYNTAX, NULL } } },
		{ "SCRAM-PLUS that could", "SCRAM-SHA-256-PLUS", true, { { SAID("y,,n=user,r=abc"), SASL_SYNTAX, NULL } } },
		{ "SCRAM-PLUS by a kind we have not", "SCRAM-SHA-256-PLUS", true, { { SAID("p=tls-unique,,n=user,r=abc"), SASL_SYNTAX, NULL } } },
		{ "SCRAM-PLUS by the certificate", "SCRAM-SHA-256-PLUS", true, { { SAID("p=tls-server-end-point,,n=user,r=abc"), SASL_MORE, NULL } } },
		{ "SCRAM: a bad escape", "SCRAM-SHA-256", true, { { SAID("n,,n=us=er,r=abc"), SASL_SYNTAX, NULL } } },
		{ "SCRAM: a comma escaped", "SCRAM-SHA-256", true, { { SAID("n,,n=us=2Cer,r=abc"), SASL_MORE, NULL } } },
		{ "SCRAM: the header said twice differs", "SCRAM-SHA-256", true, {
		    { SAID("n,,n=user,r=abc"), SASL_MORE, NULL }, { SAID("c=eSws,r=abcRANDOM78,p=AAAA"), SASL_REFUSED, NULL } } },
		{ "CRAM-MD5: no blank", "CRAM-MD5", false, { { SAID("b913a602c7eda7a495b4e6e7334d3890"), SASL_SYNTAX, NULL } } },
		{ "CRAM-MD5: half a digest", "CRAM-MD5", false, { { SAID("tim b913a602"), SASL_SYNTAX, NULL } } },
		{ "CRAM-MD5: a NUL", "CRAM-MD5", false, { { SAID("ti\0m b913a602c7eda7a495b4e6e7334d3890"), SASL_SYNTAX, NULL } } },
		{ "CRAM-MD5: the client speaks first", "CRAM-MD5", true, { { SAID("tim b913a602c7eda7a495b4e6e7334d3890"), SASL_SYNTAX, NULL } } },
		{ "DIGEST-MD5: noise", "DIGEST-MD5", false, { { SAID("hello"), SASL_SYNTAX, NULL } } },
		{ "DIGEST-MD5: nothing", "DIGEST-MD5", false, { { SAID(""), SASL_SYNTAX, NULL } } },
		{ "ANONYMOUS: a control", "ANONYMOUS", true, { { SAID("a\nb"), SASL_SYNTAX, NULL } } },
		{ "ANONYMOUS: not UTF-8", "ANONYMOUS", true, { { SAID("a\xff"), SASL_SYNTAX, NULL } } },
		{ "EXTERNAL: a NUL", "EXTERNAL", true, { { SAID("jack\0"), SASL_SYNTAX, NULL } } },
		{ "OAUTHBEARER: no header", "OAUTHBEARER", true, { { SAID("auth=Bearer abc\1\1"), SASL_SYNTAX, NULL } } },
		{ "OAUTHBEARER: no token", "OAUTHBEARER", true, { { SAID("n,,\1host=a\1\1"), SASL_SYNTAX, NULL } } },
		{ "OAUTHBEARER: an empty token", "OAUTHBEARER", true, { { SAID("n,,\1auth=Bearer \1\1"), SASL_SYNTAX, NULL } } },
		{ "OAUTHBEARER: two tokens", "OAUTHBEARER", true, { { SAID("n,,\1auth=Bearer a\1auth=Bearer b\1\1"), SASL_SYNTAX, NULL } } },
		{ "OAUTHBEARER: no end", "OAUTHBEARER", true, { { SAID("n,,\1auth=Bearer a\1"), SASL_SYNTAX, NULL } } },
		{ "OAUTHBEARER: more behind the end", "OAUTHBEARER", true, { { SAID("n,,\1auth=Bearer a\1\1x"), SASL_SYNTAX, NULL } } },
		{ "OAUTHBEARER: a bound channel", "OAUTHBEARER", true, { { SAID("p=tls-exporter,,\1auth=Bearer a\1\1"), SASL_SYNTAX, NULL } } },
		{ "OAUTHBEARER: another scheme", "OAUTHBEARER", true, { { SAID("n,,\1auth=Basic a\1\1"), SASL_SYNTAX, NULL } } },
		{ "OAUTHBEARER: a quote in the token", "OAUTHBEARER", true, { { SAID("n,,\1auth=Bearer a\"b\1\1"), SASL_SYNTAX, NULL } } },
		{ "XOAUTH2: no user", "XOAUTH2", true, { { SAID("auth=Bearer a\1\1"), SASL_SYNTAX, NULL } } },
		{ "OTP: no NUL", "OTP", true, { { SAID("user"), SASL_SYNTAX, NULL } } },
		{ "OTP for another", "OTP", true, { { SAID("root\0user"), SASL_REFUSED, NULL } } },
		{ "OTP: noise", "OTP", true, { { SAID("\0user"), SASL_MORE, NULL }, { SAID("hello"), SASL_SYNTAX, NULL } } },
		{ "OTP: too many digits", "OTP", true, { { SAID("\0user"), SASL_MORE, NULL }, { SAID("hex:9e876134d90499dd0"), SASL_SYNTAX, NULL } } },
		{ "NTLM: noise", "NTLM", true, { { SAID("NTLMSSP\0\3"), SASL_SYNTAX, NULL } } },
		{ "NTLM: half an offer", "NTLM", true, { { SAID("NTLMSSP\0\1\0\0\0\0\2\0"), SASL_SYNTAX, NULL } } },
		{ "NTLM: fields beyond the end", "NTLM", true, {
		    { SAID("NTLMSSP\0\1\0\0\0\1\2\0\0"), SASL_MORE, NULL },
		    { SAID("NTLMSSP\0\3\0\0\0" "\x18\0\x18\0\xff\xff\xff\xff" "\x18\0\x18\0\xff\xff\xff\x7f" "\0\0\0\0\0\0\0\0"), SASL_SYNTAX, NULL } } },
	};
	/* clang-format on */
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sasl  *s = begin(rows[i].mechanism, "RANDOM78", true);
		struct buffer out = { 0 };

		HOLDS(rows[i].why, s != NULL);
		chain = (struct sasl_one_time){ "md5", "test", 100, { 0 } };
		if (!rows[i].initial)
			HOLDS(rows[i].why, sasl_step(s, false, BYTES(""), &out) == SASL_MORE);
		for (size_t j = 0; j < 3 && rows[i].t[j].said != NULL; j++) {
			struct bytes      said = { rows[i].t[j].said, rows[i].t[j].len };
			enum sasl_outcome o = sasl_step(s, true, said, &out);
			if (o != rows[i].t[j].outcome)
				fail_msg("%s: turn %zu: %d", rows[i].why, j, o);
		}
		sasl_end(&s);
		buffer_free(&out);
	}
}

/* rfc7628:3.2.2, 3.2.3: why not, and then a dummy answer. */
static void
test_token_refused(void **state)
{
	static const struct { const char *mechanism, *said, *out, *dummy; } rows[] = {
		{ "OAUTHBEARER", "n,,\1auth=Bearer abc\1\1",
		  "{\"status\":\"invalid_token\",\"scope\":\"mail\",\"openid-configuration\":\"https://example.com/.well-known/openid-configuration\"}",
		  "\1" },
		{ "XOAUTH2", "user=jack\1auth=Bearer abc\1\1",
		  "{\"status\":\"401\",\"schemes\":\"Bearer\",\"scope\":\"mail\",\"openid-configuration\":\"https://example.com/.well-known/openid-configuration\"}",
		  "" },
	};
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sasl  *s = begin(rows[i].mechanism, NULL, false);
		struct buffer out = { 0 };

		HOLDS("token", sasl_step(s, true, bytes_of(rows[i].said), &out) == SASL_TOKEN);
		SAME("token", sasl_password(s), BYTES("abc"));
		HOLDS("why", sasl_token_said(s, SASL_REFUSED, BYTES(""), &out) == SASL_MORE);
		SAME("why", buffer_bytes(&out), bytes_of(rows[i].out));
		HOLDS("end", sasl_step(s, true, bytes_of(rows[i].dummy), &out) == SASL_REFUSED);
		sasl_end(&s);
		s = begin(rows[i].mechanism, NULL, false);
		HOLDS("token", sasl_step(s, true, bytes_of(rows[i].said), &out) == SASL_TOKEN);
		HOLDS("later", sasl_token_said(s, SASL_LATER, BYTES(""), &out) == SASL_LATER);
		HOLDS("good", sasl_token_said(s, SASL_PROVED, BYTES("jack@example.com"), &out) == SASL_PROVED);
		SAME("who", sasl_user(s), BYTES("jack@example.com"));
		sasl_end(&s);
		buffer_free(&out);
	}
}

/* ---- one-time passwords ---- */

/* rfc2289:C */
static void
test_otp_vectors(void **state)
{
	/* clang-format off */
	static const struct { const char *algorithm, *phrase, *seed; uint32_t count; const char *hex, *words; } rows[] = {
		{ "md5", "This is a test.", "TeSt", 0, "9E876134D90499DD", "INCH SEA ANNE LONG AHEM TOUR" },
		{ "md5", "This is a test.", "TeSt", 1, "7965E05436F5029F", "EASE OIL FUM CURE AWRY AVIS" },
		{ "md5", "This is a test.", "TeSt", 99, "50FE1962C4965880", "BAIL TUFT BITS GANG CHEF THY" },
		{ "md5", "AbCdEfGhIjK", "alpha1", 0, "87066DD9644BF206", "FULL PEW DOWN ONCE MORT ARC" },
		{ "sha1", "This is a test.", "TeSt", 0, "BB9E6AE1979D8FF4", "MILT VARY MAST OK SEES WENT" },
		{ "sha1", "This is a test.", "TeSt", 1, "63D936639734385B", "CART OTTO HIVE ODE VAT NUT" },
		{ "sha1", "This is a test.", "TeSt", 99, "87FEC7768B73CCF9", "GAFF WAIT SKID GIG SKY EYED" },
	};
	/* clang-format on */
	unsigned char made[8], typed[8];
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		HOLDS(rows[i].hex, otp_chain(rows[i].algorithm, bytes_of(rows[i].seed),
		                             bytes_of(rows[i].phrase), rows[i].count, made));
		HOLDS(rows[i].hex, otp_read_hex(bytes_of(rows[i].hex), typed));
		assert_memory_equal(made, typed, 8);
		memset(typed, 0, 8);
		HOLDS(rows[i].words, otp_read_words(bytes_of(rows[i].words), typed));
		assert_memory_equal(made, typed, 8);
	}
	HOLDS("small letters", otp_read_words(BYTES("inch  sea anne long ahem tour "), typed));
	HOLDS("a wrong checksum", !otp_read_words(BYTES("INCH SEA ANNE LONG AHEM TOUT"), typed));
	HOLDS("five words", !otp_read_words(BYTES("INCH SEA ANNE LONG AHEM"), typed));
	HOLDS("seven words", !otp_read_words(BYTES("INCH SEA ANNE LONG AHEM TOUR TOUR"), typed));
	HOLDS("no word", !otp_read_words(BYTES("INCH SEA ANNE LONG AHEM XYZZ"), typed));
	HOLDS("blanks in hex", otp_read_hex(BYTES("9E87 6134 D904 99DD"), typed));
	HOLDS("fifteen digits", !otp_read_hex(BYTES("9E876134D90499D"), typed));
}

/* The chain of "This is a test." by MD5 was last used at 100: 99 lets in, once. */
static void
test_otp_exchange(void **state)
{
	struct buffer out = { 0 };
	struct sasl  *s;
	(void)state;

	chain = (struct sasl_one_time){ "md5", "test", 100, { 0 } };
	HOLDS("chain", otp_chain("md5", BYTES("test"), BYTES("This is a test."), 100, chain.last));
	s = begin("OTP", NULL, false);
	HOLDS("first", sasl_step(s, true, (struct bytes){ "\0user", 5 }, &out) == SASL_MORE);
	SAME("challenge", buffer_bytes(&out), BYTES("otp-md5 99 test ext"));
	HOLDS("let in", sasl_step(s, true, BYTES("word:BAIL TUFT BITS GANG CHEF THY"), &out) == SASL_PROVED);
	HOLDS("moved on", chain.sequence == 99);
	sasl_end(&s);
	buffer_reset(&out);
	s = begin("OTP", NULL, false);
	HOLDS("first", sasl_step(s, true, (struct bytes){ "\0user", 5 }, &out) == SASL_MORE);
	SAME("challenge", buffer_bytes(&out), BYTES("otp-md5 98 test ext"));
	HOLDS("not again", sasl_step(s, true, BYTES("hex:50FE1962C4965880"), &out) == SASL_REFUSED);
	sasl_end(&s);
	/* A new chain (rfc2243:4): the answer is of the old one. */
	chain.sequence = 1 + 1;
	HOLDS("chain", otp_chain("md5", BYTES("test"), BYTES("This is a test."), 2, chain.last));
	s = begin("OTP", NULL, false);
	HOLDS("first", sasl_step(s, true, (struct bytes){ "\0user", 5 }, &out) == SASL_MORE);
	HOLDS("anew", sasl_step(s, true, BYTES("init-hex:7965E05436F5029F:sha1 99 other1:87FEC7768B73CCF9"), &out) == SASL_PROVED);
	HOLDS("the new one", chain.sequence == 99 && strcmp(chain.algorithm, "sha1") == 0 && chain.last[0] == 0x87);
	sasl_end(&s);
	buffer_reset(&out);
	s = begin("OTP", NULL, false);
	HOLDS("nobody is asked too", sasl_step(s, true, (struct bytes){ "\0nobody", 7 }, &out) == SASL_MORE &&
	                                     bytes_starts(buffer_bytes(&out), BYTES("otp-sha1 ")));
	HOLDS("and refused", sasl_step(s, true, BYTES("hex:50FE1962C4965880"), &out) == SASL_REFUSED);
	sasl_end(&s);
	buffer_free(&out);
}

/* ---- NTLM: rfc1320:A.5, [MS-NLMP] 4.2.4 ---- */

static void
test_ntlm(void **state)
{
	static const struct { const char *text, *hex; } rows[] = {
		{ "", "31d6cfe0d16ae931b73c59d7e0c089c0" },
		{ "abc", "a448017aaf21d8525fc10ae87aa6729d" },
		{ "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "043f8582f241db351ce627e153e7f0e4" },
		{ "12345678901234567890123456789012345678901234567890123456789012345678901234567890", "e33b4ddc9c38f2199c3e7b164fcc0536" },
	};
	static const char blob[] = "\1\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\0\0\0\0"
				   "\2\0\x0c\0D\0o\0m\0a\0i\0n\0\1\0\x0c\0S\0e\0r\0v\0e\0r\0\0\0\0\0\0\0\0\0";
	unsigned char     made[16];
	char              hex[33];
	struct arena     *a = arena_open(NULL);
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		md4(bytes_of(rows[i].text), made);
		mac_hex(made, 16, hex);
		assert_string_equal(hex, rows[i].hex);
	}
	HOLDS("key", ntlm_key(BYTES("Password"), BYTES("User"), BYTES("Domain"), a, made));
	mac_hex(made, 16, hex);
	assert_string_equal(hex, "0c868a403bfd7a93a3001ef22ef02e3f");
	ntlm_proof(made, (const unsigned char *)"\x01\x23\x45\x67\x89\xab\xcd\xef", (struct bytes){ blob, sizeof blob - 1 }, a, made);
	mac_hex(made, 16, hex);
	assert_string_equal(hex, "68cd0ab851e51c96aabc927bebef6a1c");
	arena_close(&a);
}

/* The same example as messages. */
static void
test_ntlm_exchange(void **state)
{
	static const char proof[] = "\x68\xcd\x0a\xb8\x51\xe5\x1c\x96\xaa\xbc\x92\x7b\xeb\xef\x6a\x1c";
	static const char blob[] = "\1\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\0\0\0\0"
				   "\2\0\x0c\0D\0o\0m\0a\0i\0n\0\1\0\x0c\0S\0e\0r\0v\0e\0r\0\0\0\0\0\0\0\0\0";
	static const char head[] = "NTLMSSP\0\3\0\0\0\0\0\0\0\0\0\0\0\x54\0\x54\0\x54\0\0\0\x0c\0\x0c\0\x40\0\0\0"
				   "\x08\0\x08\0\x4c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\2\0\0"
				   "D\0o\0m\0a\0i\0n\0U\0s\0e\0r\0";
	(void)state;

	for (int right = 0; right < 2; right++) {
		struct sasl  *s = begin("NTLM", "\x01\x23\x45\x67\x89\xab\xcd\xef", false);
		struct buffer out = { 0 }, say = { 0 };

		buffer_add(&say, (struct bytes){ head, sizeof head - 1 });
		buffer_add(&say, (struct bytes){ proof, 16 });
		buffer_add(&say, (struct bytes){ blob, sizeof blob - 1 });
		say.at[20] = say.at[22] = (char)(16 + sizeof blob - 1);
		if (!right)
			say.at[say.len - 60] ^= 1;
		HOLDS("empty first", sasl_step(s, false, BYTES(""), &out) == SASL_MORE && out.len == 0);
		HOLDS("offer", sasl_step(s, true, (struct bytes){ "NTLMSSP\0\1\0\0\0\1\2\0\0", 16 }, &out) == SASL_MORE);
		HOLDS("challenge", out.len > 48 && memcmp(out.at + 24, "\x01\x23\x45\x67\x89\xab\xcd\xef", 8) == 0);
		HOLDS("answer", sasl_step(s, true, buffer_bytes(&say), &out) == (right ? SASL_PROVED : SASL_REFUSED));
		SAME("user", sasl_user(s), BYTES("User"));
		sasl_end(&s);
		buffer_free(&out);
		buffer_free(&say);
	}
}

/* ---- what is offered ---- */

static void
test_offers(void **state)
{
	static const char *const          item[] = { "plain", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "CRAM-MD5", "EXTERNAL", "ANONYMOUS", "X" };
	static const struct setting_list list = { item, COUNT(item) };
	static const struct {
		const char *why, *service;
		bool        tls, clear, certificate;
		const char *options, *out;
	} rows[] = {
		{ "in the clear", "imap", false, false, false, "", " SCRAM-SHA-256 CRAM-MD5 ANONYMOUS" },
		{ "in the clear, allowed", "imap", false, true, false, "noanonymous", " PLAIN LOGIN SCRAM-SHA-256 CRAM-MD5" },
		{ "in TLS", "imap", true, false, false, "noanonymous", " PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS CRAM-MD5" },
		{ "with a certificate", "smtp", true, false, true, "", " PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS CRAM-MD5 EXTERNAL" },
		{ "no plain text at all", "smtp", true, true, true, "noplaintext", " SCRAM-SHA-256 SCRAM-SHA-256-PLUS CRAM-MD5 EXTERNAL" },
		{ "nothing to guess at", "smtp", true, true, true, "nodictionary", " PLAIN LOGIN EXTERNAL" },
		{ "another protocol has no rows of its own", "sieve", true, false, true, "", " PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS CRAM-MD5 EXTERNAL ANONYMOUS" },
		{ "both prove themselves", "smtp", true, true, true, "mutual_auth", " SCRAM-SHA-256 SCRAM-SHA-256-PLUS EXTERNAL" },
	};
	struct sasl_offer o = { .list = &list };
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct setting_list options = { &rows[i].options, rows[i].options[0] != '\0' };
		const char         *wrong;
		struct buffer       out = { 0 };

		o.service = rows[i].service, o.tls = rows[i].tls, o.plain_in_clear = rows[i].clear;
		o.certificate = rows[i].certificate;
		HOLDS(rows[i].why, sasl_options(&options, &o.banned, &wrong));
		(void)sasl_list(&o, " ", &out);
		SAME(rows[i].why, buffer_bytes(&out), bytes_of(rows[i].out));
		HOLDS(rows[i].why, sasl_offers(&o, BYTES("GSSAPI")) == SASL_UNKNOWN);
		buffer_free(&out);
	}
	HOLDS("in the clear", (o.tls = o.plain_in_clear = false, sasl_offers(&o, BYTES("Plain")) == SASL_NEEDS_TLS));
}

static void
test_names(void **state)
{
	struct sasl_facts none = { .service = "smtp", .host = "a" };
	struct sasl      *s = begin("GSSAPI", NULL, false);
	struct buffer     out = { 0 };
	enum sasl_source  source;
	unsigned          traits;
	(void)state;

	HOLDS("no keys", s == NULL);
	HOLDS("unknown", begin("", NULL, false) == NULL && begin("SKEY", NULL, false) == NULL);
	HOLDS("unknown", !sasl_known(BYTES("X"), &source, &traits));
	HOLDS("known", sasl_known(BYTES("cram-md5"), &source, &traits) && source == SASL_BY_SECRET);
	HOLDS("nothing to bind", sasl_begin(BYTES("SCRAM-SHA-1-PLUS"), &none, &needs, NULL) == NULL);
	HOLDS("no certificate", sasl_begin(BYTES("EXTERNAL"), &none, &needs, NULL) == NULL);
	HOLDS("no mail", sasl_begin(BYTES("ANONYMOUS"), &none, &needs, NULL) == NULL);
	s = begin("LOGIN", NULL, false);
	HOLDS("once", sasl_step(s, false, BYTES(""), &out) == SASL_MORE);
	HOLDS("not twice", sasl_step(s, false, BYTES(""), &out) == SASL_SYNTAX);
	sasl_end(&s);
	sasl_end(&s);
	buffer_free(&out);
}

/* rfc4616:2  Whether jack may be jill is not his to say. */
static void
test_masters(void **state)
{
	static const struct { const char *why, *message; bool masters; enum sasl_outcome o; const char *acting; } rows[] = {
		{ "as oneself", "\0jack\0s3cret", true, SASL_CHECK, "" },
		{ "as oneself, said", "Jack\0jack\0s3cret", true, SASL_CHECK, "" },
		{ "as another", "jill\0jack\0s3cret", false, SASL_REFUSED, "" },
		{ "as another, where there are masters", "jill\0jack\0s3cret", true, SASL_CHECK, "jill" },
	};
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sasl  *s = begin("PLAIN", NULL, false);
		struct buffer out = { 0 };
		size_t        first = strlen(rows[i].message) + 1;

		masters_are = rows[i].masters;
		HOLDS(rows[i].why, sasl_step(s, true, (struct bytes){ rows[i].message, first + strlen("jack") + 1 + strlen("s3cret") }, &out) == rows[i].o);
		SAME(rows[i].why, sasl_acting(s), bytes_of(rows[i].acting));
		SAME(rows[i].why, sasl_user(s), BYTES("jack"));
		masters_are = false;
		buffer_free(&out);
		sasl_end(&s);
	}
}

/* ---- Kerberos names ---- */

static void
test_principals(void **state)
{
	static const char *const map[] = { "EXAMPLE.COM=example.org", "OTHER=example.net" };
	static const struct { const char *why, *principal; bool mapped; const char *user; } rows[] = {
		{ "our realm", "jack@EXAMPLE.COM", false, "jack@example.com" },
		{ "another realm", "jack@OTHER", false, NULL },
		{ "mapped", "jack@EXAMPLE.COM", true, "jack@example.org" },
		{ "mapped", "jack@OTHER", true, "jack@example.net" },
		{ "not mapped", "jack@THIRD", true, NULL },
		{ "a service", "imap/mail.example.com@EXAMPLE.COM", false, NULL },
		{ "an admin", "jack/admin@EXAMPLE.COM", false, NULL },
		{ "a hidden at", "jack\\@x@EXAMPLE.COM", false, NULL },
		{ "no realm", "jack", false, NULL },
	};
	struct arena *a = arena_open(NULL);
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct setting_list list = { map, rows[i].mapped ? COUNT(map) : 0 };
		struct bytes        user;
		bool good = gssapi_user(bytes_of(rows[i].principal), BYTES("EXAMPLE.COM"), &list, a, &user);

		HOLDS(rows[i].why, good == (rows[i].user != NULL));
		if (good)
			SAME(rows[i].why, user, bytes_of(rows[i].user));
	}
	arena_close(&a);
}

UNIT(test_against_gsasl, test_no_verifier_now, test_plain, test_turns, test_scram_challenge,
     test_examples, test_hostile, test_token_refused, test_otp_vectors, test_otp_exchange,
     test_ntlm, test_ntlm_exchange, test_offers, test_names, test_masters, test_principals)
