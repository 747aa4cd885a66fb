/*
 * sasl/external.c -- EXTERNAL (rfc4422:A): the certificate of the TLS handshake says who it is; the client's one
 * message is whom to act as, or nothing
 */
#include "sasl/sasl.h"

static enum sasl_outcome external_step(struct sasl *, bool, struct bytes, struct buffer *);

const struct sasl_mechanism sasl_external = {
	.name = "EXTERNAL",
	.traits = SASL_CERTIFIED,
	.source = SASL_BY_CERTIFICATE,
	.step = external_step,
};

static enum sasl_outcome
external_step(struct sasl *s, bool has_input, struct bytes input, struct buffer *out)
{
	struct bytes      user = { NULL, 0 };
	enum sasl_outcome o;
	(void)out;

	if (!has_input)
		return s->steps == 1 ? SASL_MORE : SASL_SYNTAX;
	if (bytes_find(input, '\0') >= 0 || input.len > SASL_NAME_MOST)
		return SASL_SYNTAX;
	s->user = arena_keep(s->life, input.len > 0 ? input : s->facts.certificate.mail);
	o = s->needs->certificate(s->needs_ctx, &s->facts.certificate, input, s->life, &user);
	if (o == SASL_PROVED)
		s->user = arena_keep(s->life, user);
	return o;
}
