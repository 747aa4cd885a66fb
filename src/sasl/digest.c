/*
 * sasl/digest.c -- DIGEST-MD5 (rfc2831, obsolete by rfc6331), by libgsasl, for clients that have nothing
 * else; without a security layer.  The password itself must be kept for it.
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

/* The user's secret; one that nobody knows when there is none, so that the end is the same. */
static int
secret_asked(struct sasl *s, Gsasl_session *session)
{
	const char       *name = gsasl_property_fast(session, GSASL_AUTHID);
	const char       *acting = gsasl_property_fast(session, GSASL_AUTHZID);
	struct bytes      secret = { NULL, 0 };
	enum sasl_outcome o;
	int               did;

	if (name == NULL || *name == '\0' || s->trouble != SASL_MORE)
		return GSASL_AUTHENTICATION_ERROR;
	s->user = arena_keep(s->life, bytes_of(name));
	if (acting != NULL && !sasl_acts_for_self(bytes_of(acting), s->user)) {
		s->trouble = SASL_REFUSED;
		return GSASL_AUTHENTICATION_ERROR;
	}
	o = s->needs->secret(s->needs_ctx, s->user, s->life, &secret);
	if (o == SASL_LATER) {
		s->trouble = SASL_LATER;
		return GSASL_AUTHENTICATION_ERROR;
	}
	if (o == SASL_PROVED)
		s->password = secret;
	else
		secret = bytes_of(sasl_random(s, 18));
	did = gsasl_property_set_raw(session, GSASL_PASSWORD, secret.at, secret.len);
	return did;
}

/* Whose secret is needed is looked for before libgsasl does, which cannot wait for it.  What it then makes of the
   message decides. */
static bool
secret_is_here(struct sasl *s, struct bytes input)
{
	static const char mark[] = "username=\"";
	struct buffer     name = { 0 };
	struct bytes      secret;
	size_t            at = 0;
	bool              here = true;

	while (at < input.len && !bytes_starts(bytes_cut(input, at, SIZE_MAX), bytes_of(mark)))
		at++;
	for (at += sizeof mark - 1; at < input.len && input.at[at] != '"'; at++) {
		at += input.at[at] == '\\' && at + 1 < input.len;
		buffer_add_char(&name, input.at[at]);
	}
	if (at < input.len && name.len > 0 && name.len <= SASL_NAME_MOST)
		here = s->needs->secret(s->needs_ctx, buffer_bytes(&name), s->life, &secret) !=
		       SASL_LATER;
	buffer_free(&name);
	return here;
}

static int
digest_asked(Gsasl *g, Gsasl_session *session, Gsasl_property asked)
{
	struct sasl *s = gsasl_session_hook_get(session);
	(void)g;

	switch (asked) {
	case GSASL_SERVICE: return gsasl_property_set(session, asked, s->facts.service);
	case GSASL_HOSTNAME: return gsasl_property_set(session, asked, s->facts.host);
	case GSASL_REALM: return gsasl_property_set(session, asked, s->facts.host);
	case GSASL_QOPS: return gsasl_property_set(session, asked, "qop-auth");
	case GSASL_PASSWORD: return secret_asked(s, session);
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

	if (!mac_has("MD5") || gsasl_server_start(library(), "DIGEST-MD5", &session) != GSASL_OK)
		return false;
	gsasl_session_hook_set(session, s);
	s->own = session;
	return true;
}

static enum sasl_outcome
digest_step(struct sasl *s, bool has_input, struct bytes input, struct buffer *out)
{
	char  *answer = NULL;
	size_t len = 0;
	int    did;

	/* The server speaks first; what a client says before may only be for a session it had (rfc2831:2.2). */
	if (s->steps == 1 ? has_input && input.len > 0
	                  : !has_input || input.len > 4096 || bytes_find(input, '\0') >= 0)
		return SASL_SYNTAX;
	if (s->steps == 2 && !secret_is_here(s, input))
		return SASL_LATER;
	did = gsasl_step(s->own, input.len > 0 ? input.at : "", s->steps == 1 ? 0 : input.len,
	                 &answer, &len);
	if (s->trouble != SASL_MORE) {
		gsasl_free(answer);
		return s->trouble;
	}
	buffer_add(out, (struct bytes){ answer, len });
	gsasl_free(answer);
	switch (did) {
	case GSASL_NEEDS_MORE: return SASL_MORE;
	case GSASL_OK: return s->password.len > 0 ? SASL_PROVED : SASL_REFUSED;
	case GSASL_AUTHENTICATION_ERROR: return SASL_REFUSED;
	default: return SASL_SYNTAX;
	}
}

static void
digest_end(struct sasl *s)
{
	if (s->own != NULL)
		gsasl_finish(s->own);
	s->own = NULL;
}
