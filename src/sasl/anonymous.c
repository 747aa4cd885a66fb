/*
 * sasl/anonymous.c -- ANONYMOUS (rfc4505): message = [email / token]; a trace for the log, and no secret.  Who
 * comes so is whom the administrator named, and can send no mail.
 */
#include "sasl/sasl.h"

static enum sasl_outcome anonymous_step(struct sasl *, bool, struct bytes, struct buffer *);

const struct sasl_mechanism sasl_anonymous = {
	.name = "ANONYMOUS",
	.traits = SASL_ANONYMOUS | SASL_ACTIVE | SASL_ONE_SIDED | SASL_NO_SECRECY | SASL_NOT_SMTP,
	.source = SASL_BY_NOBODY,
	.step = anonymous_step,
};

enum { TRACE_MOST = 255 };

/* token = 1*255TCHAR: characters of UTF-8, no controls */
static bool
trace_good(struct bytes trace)
{
	uint32_t rune;
	int      count = 0;

	while (trace.len > 0) {
		size_t n = bytes_utf8(trace, &rune);

		if (n == 0 || rune < 0x20 || rune == 0x7f || ++count > TRACE_MOST)
			return false;
		trace = bytes_cut(trace, n, SIZE_MAX);
	}
	return true;
}

static enum sasl_outcome
anonymous_step(struct sasl *s, bool has_input, struct bytes input, struct buffer *out)
{
	const char *who = s->needs->anonymous(s->needs_ctx);
	(void)out;

	if (!has_input)
		return s->steps == 1 ? SASL_MORE : SASL_SYNTAX;
	if (!trace_good(input))
		return SASL_SYNTAX;
	s->note = arena_printf(s->life, "anonymous trace <%.*s>", (int)input.len, input.at);
	s->user = bytes_of(who);
	return *who != '\0' ? SASL_PROVED : SASL_REFUSED;
}
