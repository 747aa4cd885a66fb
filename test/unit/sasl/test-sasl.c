/* SASL: libgsasl's client as the other side, the examples of the RFCs, and messages nobody should send. */
#include "unit.h"

#include <gsasl.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "sasl/sasl.h"

/* rfc7677:3: user, pencil, 4096 rounds; the keys were made with Python's hashlib from them. */
static const struct sasl_verifier user_pencil = {
	"4096",
	"W22ZaJ0SNY7soEsUEjb6gQ==",
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
};
static bool away;
static int  asked;

static bool
verifier(void *ctx, struct bytes user, struct arena *a, struct sasl_verifier *out)
{
	(void)ctx, (void)a;
	asked++;
	*out = user_pencil;
	if (!bytes_equal(user, BYTES("user")))
		out->stored = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	return !away;
}

static const struct sasl_needs needs = { verifier };

/* ---- libgsasl says it, we answer ---- */

struct client {
	const char *user, *password, *acting;
};

static int
client_asked(Gsasl *g, Gsasl_session *s, Gsasl_property p)
{
	const struct client *c = gsasl_callback_hook_get(g);

	switch (p) {
	case GSASL_AUTHID: return gsasl_property_set(s, p, c->user);
	case GSASL_PASSWORD: return gsasl_property_set(s, p, c->password);
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
		{ "PLAIN", "PLAIN", { "jack", "s3cret", NULL }, true, SASL_CHECK, "jack", "s3cret" },
		{ "PLAIN after an empty challenge", "PLAIN", { "jack", "s3cret", NULL }, false, SASL_CHECK, "jack", "s3cret" },
		{ "PLAIN for oneself", "PLAIN", { "jack", "s3cret", "jack" }, true, SASL_CHECK, "jack", "s3cret" },
		{ "PLAIN for another", "PLAIN", { "jack", "s3cret", "jill" }, true, SASL_REFUSED, "jack", "s3cret" },
		{ "PLAIN in UTF-8", "PLAIN", { "j\xc3\xa4" "ck", "p\xc3\xa4ss", NULL }, true, SASL_CHECK, "j\xc3\xa4" "ck", "p\xc3\xa4ss" },
		{ "LOGIN", "LOGIN", { "jack", "s3cret", NULL }, false, SASL_CHECK, "jack", "s3cret" },
		{ "SCRAM", "SCRAM-SHA-256", { "user", "pencil", NULL }, true, SASL_PROVED, "user", "" },
		{ "SCRAM after an empty challenge", "SCRAM-SHA-256", { "user", "pencil", NULL }, false, SASL_PROVED, "user", "" },
		{ "SCRAM, wrong password", "SCRAM-SHA-256", { "user", "pen", NULL }, true, SASL_REFUSED, "user", "" },
		{ "SCRAM, nobody", "SCRAM-SHA-256", { "nobody", "pencil", NULL }, true, SASL_REFUSED, "nobody", "" },
		{ "SCRAM for oneself", "SCRAM-SHA-256", { "user", "pencil", "user" }, true, SASL_PROVED, "user", "" },
		{ "SCRAM for another", "SCRAM-SHA-256", { "user", "pencil", "root" }, true, SASL_REFUSED, "user", "" },
	};
	/* clang-format on */
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sasl      *s = sasl_begin(bytes_of(rows[i].mechanism), &needs, NULL);
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
	static const struct client c = { "user", "pencil", NULL };
	struct sasl               *s = sasl_begin(BYTES("scram-sha-256"), &needs, NULL);
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
	struct sasl  *s = sasl_begin(bytes_of(mechanism), &needs, NULL);
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
	struct sasl  *s = sasl_begin(BYTES("SCRAM-SHA-256"), &needs, NULL);
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

static void
test_names(void **state)
{
	struct sasl  *s = sasl_begin(BYTES("GSSAPI"), &needs, NULL);
	struct buffer out = { 0 };
	(void)state;

	HOLDS("unknown", s == NULL && sasl_begin(BYTES(""), &needs, NULL) == NULL);
	HOLDS("only inside TLS", sasl_plaintext(BYTES("plain")) && sasl_plaintext(BYTES("LOGIN")) &&
	                                 !sasl_plaintext(BYTES("SCRAM-SHA-256")));
	HOLDS("unknown is not plain", !sasl_plaintext(BYTES("X")));
	s = sasl_begin(BYTES("LOGIN"), &needs, NULL);
	HOLDS("once", sasl_step(s, false, BYTES(""), &out) == SASL_MORE);
	HOLDS("not twice", sasl_step(s, false, BYTES(""), &out) == SASL_SYNTAX);
	sasl_end(&s);
	sasl_end(&s);
	buffer_free(&out);
}

UNIT(test_against_gsasl, test_no_verifier_now, test_plain, test_turns, test_scram_challenge,
     test_names)
