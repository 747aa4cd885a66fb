/* sasl/login.c -- LOGIN: "Username:", then "Password:" (draft-murchison-sasl-login-00) */
#include "sasl/sasl.h"

static bool              login_begin(struct sasl *);
static enum sasl_outcome login_step(struct sasl *, bool, struct bytes, struct buffer *);
static void              login_end(struct sasl *);

const struct sasl_mechanism sasl_login = {
	.name = "LOGIN",
	.plaintext = true,
	.begin = login_begin,
	.step = login_step,
	.end = login_end,
};

static bool
login_begin(struct sasl *s)
{
	(void)s;
	return true;
}

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

static void
login_end(struct sasl *s)
{
	(void)s;
}
