/* sasl/plain.c -- PLAIN: message = [authzid] NUL authcid NUL passwd (rfc4616:2) */
#include "sasl/sasl.h"

static enum sasl_outcome plain_step(struct sasl *, bool, struct bytes, struct buffer *);

const struct sasl_mechanism sasl_plain = {
	.name = "PLAIN",
	.traits = SASL_PLAINTEXT | SASL_ACTIVE | SASL_ONE_SIDED | SASL_NO_SECRECY,
	.source = SASL_BY_PASSWORD,
	.step = plain_step,
};

static enum sasl_outcome
plain_step(struct sasl *s, bool has_input, struct bytes input, struct buffer *out)
{
	struct bytes authzid, authcid;
	(void)out;

	if (!has_input)
		return s->steps == 1 ? SASL_MORE : SASL_SYNTAX;
	if (!bytes_split(&input, '\0', &authzid) || !bytes_split(&input, '\0', &authcid))
		return SASL_SYNTAX;
	if (authcid.len == 0 || input.at == NULL || input.len == 0 || bytes_find(input, '\0') >= 0)
		return SASL_SYNTAX;
	s->user = arena_keep(s->life, authcid);
	s->password = arena_keep(s->life, input);
	if (sasl_acts_for_self(authzid, authcid))
		return SASL_CHECK;
	/* Nobody but a master user acts for another (rfc4616:2 leaves it to policy). */
	if (s->needs->masters == NULL || !s->needs->masters(s->needs_ctx))
		return SASL_REFUSED;
	s->acting = arena_keep(s->life, authzid);
	return SASL_CHECK;
}
