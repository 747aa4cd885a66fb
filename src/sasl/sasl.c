#include "sasl/sasl.h"
#include <string.h>

static const struct sasl_mechanism *const mechanisms[] = { &sasl_plain, &sasl_login,
	                                                   &sasl_scram_sha_256 };

static const struct sasl_mechanism *
mechanism_of(struct bytes name)
{
	for (size_t i = 0; i < COUNT(mechanisms); i++)
		if (bytes_is(name, mechanisms[i]->name))
			return mechanisms[i];
	return NULL;
}

bool
sasl_plaintext(struct bytes name)
{
	const struct sasl_mechanism *m = mechanism_of(name);

	return m != NULL && m->plaintext;
}

struct sasl *
sasl_begin(struct bytes name, const struct sasl_needs *needs, void *ctx)
{
	const struct sasl_mechanism *m = mechanism_of(name);
	struct sasl                 *s;

	if (m == NULL)
		return NULL;
	s = memory_take(sizeof *s);
	*s = (struct sasl){
		.mechanism = m, .needs = needs, .needs_ctx = ctx, .life = arena_open(NULL)
	};
	if (!m->begin(s))
		sasl_end(&s);
	return s;
}

void
sasl_end(struct sasl **sp)
{
	struct sasl *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	s->mechanism->end(s);
	if (s->password.len > 0)
		explicit_bzero((char *)(uintptr_t)s->password.at, s->password.len);
	arena_close(&s->life);
	memory_free(s);
}

enum sasl_outcome
sasl_step(struct sasl *s, bool has_input, struct bytes input, struct buffer *out)
{
	/* No mechanism of ours needs more turns than this. */
	if (++s->steps > 8)
		return SASL_SYNTAX;
	return s->mechanism->step(s, has_input, input, out);
}

struct bytes
sasl_user(const struct sasl *s)
{
	return s->user;
}

struct bytes
sasl_password(const struct sasl *s)
{
	return s->password;
}
