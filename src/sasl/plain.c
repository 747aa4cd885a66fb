/* sasl/plain.c -- PLAIN: message = [authzid] NUL authcid NUL passwd (rfc4616:2) */
#include "sasl/sasl.h"

static bool              plain_begin(struct sasl *);
static enum sasl_outcome plain_step(struct sasl *, bool, struct bytes, struct buffer *);
static void              plain_end(struct sasl *);

const struct sasl_mechanism sasl_plain = {
	.name = "PLAIN",
	.plaintext = true,
	.begin = plain_begin,
	.step = plain_step,
	.end = plain_end,
};

static bool
plain_begin(struct sasl *s)
{
	(void)s;
	return true;
}

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
	/* Nobody acts for another (rfc4616:2 leaves it to policy). */
	if (authzid.len > 0 && !bytes_equal_nocase(authzid, authcid))
		return SASL_REFUSED;
	return SASL_CHECK;
}

static void
plain_end(struct sasl *s)
{
	(void)s;
}
