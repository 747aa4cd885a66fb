/*
 * sasl/digest.c -- DIGEST-MD5 (rfc2831, obsolete by rfc6331), by libgsasl, for clients that have nothing
 * else; without a security layer.  The password itself must be kept for it, or what it is digested to with name and realm.
 * A user of another domain names that as the realm: jack in example.org is jack@example.org.
 */
#include "base/journal.h"
#include "sasl/mac.h"
#include "sasl/sasl.h"
#include <gsasl.h>
#include <string.h>

static bool              digest_begin(struct sasl *);
static enum sasl_outcome digest_step(struct sasl *, bool, struct bytes, struct buffer *);
static void              digest_end(struct sasl *);

const struct sasl_mechanism sasl_digest_md5 = {
	.name = "DIGEST-MD5",
	.traits = SASL_DICTIONARY | SASL_ACTIVE | SASL_NO_SECRECY,
	.source = SASL_BY_SECRET,
	.begin = digest_begin,
	.step = digest_step,
	.end = digest_end,
};

enum { DIGEST = 16 };
struct digest {
	Gsasl_session *session;
	bool           known; /* there is a secret, and it has been given to the library */
};

/* rfc2831:2.1.2  "The realm containing the user's account": a name without a domain is of it, unless it is ours. */
static struct bytes
name_in_realm(struct sasl *s, struct bytes name, struct bytes realm)
{
	if (realm.len == 0 || bytes_find(name, '@') >= 0 ||
	    bytes_equal_nocase(realm, bytes_of(s->facts.host)))
		return name;
	return bytes_of(arena_printf(s->life, "%.*s@%.*s", (int)name.len, name.at, (int)realm.len,
	                             realm.at));
}

/* What the library compares with: the password, what it was digested to, or one that nobody knows, so that the end is the same. */
static int
secret_give(struct sasl *s, Gsasl_session *session, enum sasl_outcome o, struct bytes secret,
            bool derived)
{
	char hex[2 * DIGEST + 1];

	((struct digest *)s->own)->known = o == SASL_PROVED;
	if (o != SASL_PROVED)
		secret = bytes_of(sasl_random(s, 18));
	else if (derived) {
		mac_hex((const unsigned char *)secret.at, DIGEST, hex);
		return gsasl_property_set(session, GSASL_DIGEST_MD5_HASHED_PASSWORD, hex);
	} else
		s->password = secret;
	return gsasl_property_set_raw(session, GSASL_PASSWORD, secret.at, secret.len);
}

/* The password, or else what was made of it. */
static enum sasl_outcome
secret_find(struct sasl *s, struct bytes user, struct bytes *secret, bool *derived)
{
	enum sasl_outcome o = s->needs->secret(s->needs_ctx, user, s->life, secret);

	*derived = o == SASL_REFUSED;
	if (!*derived)
		return o;
	o = s->needs->derived(s->needs_ctx, user, "DIGEST-MD5", s->life, secret);
	return o == SASL_PROVED && secret->len != DIGEST ? SASL_REFUSED : o;
}

static int
secret_asked(struct sasl *s, Gsasl_session *session)
{
	const char       *name = gsasl_property_fast(session, GSASL_AUTHID);
	const char       *acting = gsasl_property_fast(session, GSASL_AUTHZID);
	const char       *realm = gsasl_property_fast(session, GSASL_REALM);
	struct bytes      secret = { NULL, 0 };
	enum sasl_outcome o;
	bool              derived;

	if (name == NULL || *name == '\0' || s->trouble != SASL_MORE)
		return GSASL_AUTHENTICATION_ERROR;
	s->user = arena_keep(s->life, name_in_realm(s, bytes_of(name),
	                                            bytes_of(realm != NULL ? realm : "")));
	if (acting != NULL && !sasl_acts_for_self(bytes_of(acting), bytes_of(name)) &&
	    !sasl_acts_for_self(bytes_of(acting), s->user)) {
		s->trouble = SASL_REFUSED;
		return GSASL_AUTHENTICATION_ERROR;
	}
	o = secret_find(s, s->user, &secret, &derived);
	if (o == SASL_LATER) {
		s->trouble = SASL_LATER;
		return GSASL_AUTHENTICATION_ERROR;
	}
	return secret_give(s, session, o, secret, derived);
}

/* rfc2831:2.1.2  name="value", the first of them; backslashes off.  "" where there is none. */
static struct bytes
directive(struct sasl *s, struct bytes input, const char *name)
{
	struct bytes  mark = bytes_of(arena_printf(s->life, "%s=\"", name)), found;
	struct buffer value = { 0 };
	size_t        at = 0;

	while (at < input.len && !(bytes_starts(bytes_cut(input, at, SIZE_MAX), mark) &&
	                           (at == 0 || strchr(", \t\r\n", input.at[at - 1]) != NULL)))
		at++;
	for (at += mark.len; at < input.len && input.at[at] != '"'; at++) {
		at += input.at[at] == '\\' && at + 1 < input.len;
		buffer_add_char(&value, input.at[at]);
	}
	found = at < input.len ? arena_keep(s->life, buffer_bytes(&value))
	                       : (struct bytes){ NULL, 0 };
	buffer_free(&value);
	return found;
}

/* Whose secret is needed is looked for before libgsasl does, which cannot wait for it.  What it then makes of the
   message decides. */
static bool
secret_is_here(struct sasl *s, struct bytes input)
{
	struct bytes name = directive(s, input, "username"), secret;
	bool         derived;

	if (name.len == 0)
		return true;
	name = name_in_realm(s, name, directive(s, input, "realm"));
	return name.len > SASL_NAME_MOST || secret_find(s, name, &secret, &derived) != SASL_LATER;
}

static int
digest_asked(Gsasl *g, Gsasl_session *session, Gsasl_property asked)
{
	struct sasl *s = gsasl_session_hook_get(session);
	(void)g;

	switch (asked) {
	case GSASL_SERVICE: return gsasl_property_set(session, asked, s->facts.service);
	case GSASL_HOSTNAME: return gsasl_property_set(session, asked, s->facts.host);
	case GSASL_REALM:
		return gsasl_property_set(session, asked,
		                          s->facts.realm != NULL && *s->facts.realm != '\0'
		                                  ? s->facts.realm
		                                  : s->facts.host);
	case GSASL_QOPS: return gsasl_property_set(session, asked, "qop-auth");
	/* Asked before the password, which is given by then where it is known. */
	case GSASL_DIGEST_MD5_HASHED_PASSWORD: return secret_asked(s, session);
	default: return GSASL_NO_CALLBACK;
	}
}

/* One library handle for the process; it never ends. */
static Gsasl *
library(void)
{
	static Gsasl *g;

	if (g == NULL) {
		if (gsasl_init(&g) != GSASL_OK)
			panic("libgsasl cannot start");
		gsasl_callback_set(g, digest_asked);
	}
	return g;
}

static bool
digest_begin(struct sasl *s)
{
	Gsasl_session *session;
	struct digest *d;

	if (!mac_has("MD5") || gsasl_server_start(library(), "DIGEST-MD5", &session) != GSASL_OK)
		return false;
	gsasl_session_hook_set(session, s);
	d = arena_take(s->life, sizeof *d);
	*d = (struct digest){ .session = session };
	s->own = d;
	return true;
}

static enum sasl_outcome
digest_step(struct sasl *s, bool has_input, struct bytes input, struct buffer *out)
{
	struct digest *d = s->own;
	char          *answer = NULL;
	size_t         len = 0;
	int            did;

	/* The server speaks first; what a client says before may only be for a session it had (rfc2831:2.2). */
	if (s->steps == 1 ? has_input && input.len > 0
	                  : !has_input || input.len > 4096 || bytes_find(input, '\0') >= 0)
		return SASL_SYNTAX;
	if (s->steps == 2 && !secret_is_here(s, input))
		return SASL_LATER;
	did = gsasl_step(d->session, input.len > 0 ? input.at : "", s->steps == 1 ? 0 : input.len,
	                 &answer, &len);
	if (s->trouble != SASL_MORE) {
		gsasl_free(answer);
		return s->trouble;
	}
	buffer_add(out, (struct bytes){ answer, len });
	gsasl_free(answer);
	switch (did) {
	case GSASL_NEEDS_MORE: return SASL_MORE;
	case GSASL_OK: return d->known ? SASL_PROVED : SASL_REFUSED;
	case GSASL_AUTHENTICATION_ERROR: return SASL_REFUSED;
	default: return SASL_SYNTAX;
	}
}

static void
digest_end(struct sasl *s)
{
	struct digest *d = s->own;

	if (d != NULL)
		gsasl_finish(d->session);
	s->own = NULL;
}
