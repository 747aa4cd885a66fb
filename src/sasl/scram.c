/* sasl/scram.c -- SCRAM-SHA-256 (rfc5802, rfc7677), by libgsasl, from a stored verifier */
#include "base/journal.h"
#include "sasl/sasl.h"
#include <gsasl.h>
#include <string.h>

static bool              scram_begin(struct sasl *);
static enum sasl_outcome scram_step(struct sasl *, bool, struct bytes, struct buffer *);
static void              scram_end(struct sasl *);

const struct sasl_mechanism sasl_scram_sha_256 = {
	.name = "SCRAM-SHA-256",
	.begin = scram_begin,
	.step = scram_step,
	.end = scram_end,
};

/* The library asks for one property at a time; the verifier answers all four. */
static int
scram_asked(Gsasl *g, Gsasl_session *session, Gsasl_property asked)
{
	struct sasl         *s = gsasl_session_hook_get(session);
	const char          *name = gsasl_property_fast(session, GSASL_AUTHID);
	const char          *acting = gsasl_property_fast(session, GSASL_AUTHZID);
	struct sasl_verifier v;
	(void)g;

	if (asked != GSASL_SCRAM_ITER && asked != GSASL_SCRAM_SALT &&
	    asked != GSASL_SCRAM_STOREDKEY && asked != GSASL_SCRAM_SERVERKEY)
		return GSASL_NO_CALLBACK;
	if (name == NULL || s->trouble != SASL_MORE)
		return GSASL_AUTHENTICATION_ERROR;
	s->user = arena_keep(s->life, bytes_of(name));
	/* Nobody acts for another. */
	if (acting != NULL && *acting != '\0' && strcmp(acting, name) != 0) {
		s->trouble = SASL_REFUSED;
		return GSASL_AUTHENTICATION_ERROR;
	}
	if (!s->needs->verifier(s->needs_ctx, s->user, s->life, &v)) {
		s->trouble = SASL_LATER;
		return GSASL_AUTHENTICATION_ERROR;
	}
	if (gsasl_property_set(session, GSASL_SCRAM_ITER, v.iterations) != GSASL_OK ||
	    gsasl_property_set(session, GSASL_SCRAM_SALT, v.salt) != GSASL_OK ||
	    gsasl_property_set(session, GSASL_SCRAM_STOREDKEY, v.stored) != GSASL_OK ||
	    gsasl_property_set(session, GSASL_SCRAM_SERVERKEY, v.server) != GSASL_OK)
		return GSASL_MALLOC_ERROR;
	return GSASL_OK;
}

/* One library handle for the process; it never ends. */
static Gsasl *
library(void)
{
	static Gsasl *g;

	if (g == NULL) {
		if (gsasl_init(&g) != GSASL_OK)
			panic("libgsasl cannot start");
		gsasl_callback_set(g, scram_asked);
	}
	return g;
}

static bool
scram_begin(struct sasl *s)
{
	Gsasl_session *session;

	if (gsasl_server_start(library(), "SCRAM-SHA-256", &session) != GSASL_OK)
		return false;
	gsasl_session_hook_set(session, s);
	s->own = session;
	return true;
}

static enum sasl_outcome
scram_step(struct sasl *s, bool has_input, struct bytes input, struct buffer *out)
{
	char  *answer = NULL;
	size_t len = 0;
	int    did;

	if (!has_input) /* the client speaks first (rfc5802:5) */
		return s->steps == 1 ? SASL_MORE : SASL_SYNTAX;
	/* rfc5802:6: "p" asks for a channel to be bound; only the -PLUS mechanisms can. */
	if (input.len == 0 || bytes_find(input, '\0') >= 0 ||
	    (s->user.len == 0 && input.at[0] == 'p'))
		return SASL_SYNTAX;
	did = gsasl_step(s->own, input.at, input.len, &answer, &len);
	if (s->trouble != SASL_MORE) {
		gsasl_free(answer);
		return s->trouble;
	}
	buffer_add(out, (struct bytes){ answer, len });
	gsasl_free(answer);
	switch (did) {
	case GSASL_NEEDS_MORE: return SASL_MORE;
	case GSASL_OK: return SASL_PROVED;
	case GSASL_AUTHENTICATION_ERROR: return SASL_REFUSED;
	default: return SASL_SYNTAX;
	}
}

static void
scram_end(struct sasl *s)
{
	if (s->own != NULL)
		gsasl_finish(s->own);
	s->own = NULL;
}
