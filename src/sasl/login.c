/* sasl/login.c -- LOGIN: "Username:", then "Password:" (draft-murchison-sasl-login-00) */
#include "sasl/sasl.h"

static enum sasl_outcome login_step(struct sasl *, bool, struct bytes, struct buffer *);

const struct sasl_mechanism sasl_login = {
	.name = "LOGIN",
	.traits = SASL_PLAINTEXT | SASL_ACTIVE | SASL_ONE_SIDED | SASL_NO_SECRECY,
	.source = SASL_BY_PASSWORD,
	.step = login_step,
};

static enum sasl_outcome
login_step(struct sasl *s, bool has_input, struct bytes input, struct buffer *out)
{
	if (!has_input) {
		if (s->steps > 1)
			return SASL_SYNTAX;
		buffer_add_string(out, "Username:");
		return SASL_MORE;
	}
	if (input.len == 0 || bytes_find(input, '\0') >= 0)
		return SASL_SYNTAX;
	if (s->user.len == 0) {
		s->user = arena_keep(s->life, input);
		buffer_add_string(out, "Password:");
		return SASL_MORE;
	}
	s->password = arena_keep(s->life, input);
	return SASL_CHECK;
}
