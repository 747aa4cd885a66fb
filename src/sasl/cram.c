/*
 * sasl/cram.c -- CRAM-MD5 (rfc2195): the server says a stamp, the client its name and the HMAC of the stamp.
 * The password itself must be kept for it, or the states that it leaves HMAC-MD5 in.
 */
#include "base/clock.h"
#include "sasl/mac.h"
#include "sasl/sasl.h"
#include <inttypes.h>

static bool              cram_begin(struct sasl *);
static enum sasl_outcome cram_step(struct sasl *, bool, struct bytes, struct buffer *);

const struct sasl_mechanism sasl_cram_md5 = {
	.name = "CRAM-MD5",
	.traits = SASL_DICTIONARY | SASL_ACTIVE | SASL_ONE_SIDED | SASL_NO_SECRECY,
	.source = SASL_BY_SECRET,
	.begin = cram_begin,
	.step = cram_step,
};

static bool
cram_begin(struct sasl *s)
{
	(void)s;
	return mac_has("MD5");
}

/* msg-id of rfc822, never the same twice */
static const char *
stamp(struct sasl *s)
{
	if (s->facts.random != NULL)
		return s->facts.random;
	return arena_printf(s->life, "<%s.%" PRId64 "@%s>", sasl_random(s, 12), clock_wall(),
	                    s->facts.host);
}

/* response = user SP digest, in hex; the user may have blanks */
static enum sasl_outcome
response(struct sasl *s, struct bytes input)
{
	ptrdiff_t         blank = bytes_find_last(input, ' ');
	struct bytes      said, secret = BYTES("nobody"), states = { NULL, 0 };
	unsigned char     made[MAC_MOST];
	char              right[2 * MAC_MOST + 1];
	enum sasl_outcome o;

	if (blank <= 0 || bytes_find(input, '\0') >= 0 || blank > SASL_NAME_MOST)
		return SASL_SYNTAX;
	said = bytes_cut(input, (size_t)blank + 1, SIZE_MAX);
	s->user = arena_keep(s->life, bytes_cut(input, 0, (size_t)blank));
	if (said.len != 32)
		return SASL_SYNTAX;
	o = s->needs->secret(s->needs_ctx, s->user, s->life, &secret);
	if (o == SASL_REFUSED)
		o = s->needs->derived(s->needs_ctx, s->user, "CRAM-MD5", s->life, &states);
	if (o == SASL_LATER)
		return o;
	s->password = o == SASL_PROVED && states.len == 0 ? secret : (struct bytes){ NULL, 0 };
	mac_hex(made,
	        states.len == MAC_STATES
	                ? mac_go_on((const unsigned char *)states.at, bytes_of(s->own), made)
	                : mac_make("MD5", secret, bytes_of(s->own), made),
	        right);
	return bytes_equal_secret(arena_lower(s->life, said), bytes_of(right)) && o == SASL_PROVED
	               ? SASL_PROVED
	               : SASL_REFUSED;
}

static enum sasl_outcome
cram_step(struct sasl *s, bool has_input, struct bytes input, struct buffer *out)
{
	if (s->own != NULL)
		return has_input ? response(s, input) : SASL_SYNTAX;
	if (has_input && input.len > 0) /* the server speaks first (rfc2195:2) */
		return SASL_SYNTAX;
	s->own = (char *)(uintptr_t)stamp(s);
	buffer_add_string(out, s->own);
	return SASL_MORE;
}
