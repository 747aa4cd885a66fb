/*
 * sasl/otp.c -- OTP (rfc2444): one-time passwords of rfc2289.  The server says algorithm, sequence and seed; the
 * answer's digest must be the last one used, and takes its place on the disk before the client is let in.
 */
#include "sasl/otp.h"
#include "base/scan.h"
#include "sasl/sasl.h"
#include <inttypes.h>
#include <string.h>

static enum sasl_outcome otp_step(struct sasl *, bool, struct bytes, struct buffer *);

const struct sasl_mechanism sasl_otp = {
	.name = "OTP",
	.traits = SASL_ACTIVE | SASL_DICTIONARY | SASL_ONE_SIDED | SASL_NO_SECRECY,
	.source = SASL_BY_ONE_TIME,
	.step = otp_step,
};

struct otp {
	struct sasl_one_time state;
	bool                 real; /* the user has a chain */
};

/* A chain for who has none: the same for the same name while the process lives would tell too; the seed is made
   of the name, so that it never changes. */
static void
chain_of_nobody(struct sasl *s, struct sasl_one_time *out)
{
	unsigned char        raw[8];
	struct bytes         secret = BYTES("");
	struct sasl_verifier v = { "", "", "", "" };

	(void)s->needs->verifier(s->needs_ctx, s->user, "SHA-256", s->life, &v);
	secret = bytes_of(arena_printf(s->life, "%s%.*s", v.salt, (int)s->user.len, s->user.at));
	(void)otp_fold("sha1", secret, raw);
	*out = (struct sasl_one_time){
		.algorithm = "sha1",
		.seed = arena_printf(s->life, "%c%c%05u", 'a' + raw[0] % 26, 'a' + raw[1] % 26,
		                     (unsigned)(raw[2] << 8 | raw[3])),
		.sequence = 300 + raw[4],
	};
}

/* message = [authzid] NUL authcid   rfc2444:4; challenge = "otp-" algorithm SP sequence SP seed SP "ext" */
static enum sasl_outcome
first_step(struct sasl *s, struct bytes input, struct buffer *out)
{
	struct otp       *m;
	struct bytes      acting;
	enum sasl_outcome o;

	if (!bytes_split(&input, '\0', &acting) || input.at == NULL || input.len == 0 ||
	    bytes_find(input, '\0') >= 0 || input.len > SASL_NAME_MOST)
		return SASL_SYNTAX;
	s->user = arena_keep(s->life, input);
	if (!sasl_acts_for_self(acting, input))
		return SASL_REFUSED;
	m = arena_take(s->life, sizeof *m);
	o = s->needs->one_time(s->needs_ctx, s->user, s->life, &m->state);
	if (o == SASL_LATER)
		return o;
	m->real = o == SASL_PROVED;
	if (!m->real)
		chain_of_nobody(s, &m->state);
	s->own = m;
	buffer_printf(out, "otp-%s %" PRIu32 " %s ext", m->state.algorithm,
	              m->state.sequence > 0 ? m->state.sequence - 1 : 0, m->state.seed);
	return SASL_MORE;
}

/* new-params = algorithm SP sequence SP seed   rfc2243:4 */
static bool
params_read(struct sasl *s, struct bytes text, struct sasl_one_time *next)
{
	struct bytes algorithm, sequence;
	uint64_t     n;

	if (!bytes_split(&text, ' ', &algorithm) || !bytes_split(&text, ' ', &sequence) ||
	    !otp_algorithm_good(algorithm) || !bytes_number(sequence, &n) ||
	    n <= OTP_SEQUENCE_LOW || n > OTP_SEQUENCE_MOST || !otp_seed_good(text))
		return false;
	next->algorithm = bytes_is(algorithm, "md5") ? "md5" : "sha1";
	next->sequence = (uint32_t)n;
	next->seed = arena_lower(s->life, text).at;
	return true;
}

static bool
password_read(struct bytes text, bool hex, unsigned char out[static 8])
{
	return hex ? otp_read_hex(text, out) : otp_read_words(text, out);
}

/*
 * response = "hex:" hex / "word:" words / "init-hex:" hex ":" params ":" hex / "init-word:" ...   rfc2243:4
 * With init- the client begins a new chain.
 */
static enum sasl_outcome
answer_step(struct sasl *s, struct bytes input)
{
	struct otp          *m = s->own;
	struct sasl_one_time next = m->state;
	struct bytes         kind, word, params = { NULL, 0 };
	unsigned char        said[8], last[8];
	bool                 hex, anew;

	if (bytes_find(input, '\0') >= 0 || input.len > 512 || !bytes_split(&input, ':', &kind) ||
	    input.at == NULL)
		return SASL_SYNTAX;
	anew = bytes_starts_nocase(kind, BYTES("init-"));
	if (anew)
		kind = bytes_cut(kind, 5, SIZE_MAX);
	hex = bytes_is(kind, "hex");
	if (!hex && !bytes_is(kind, "word"))
		return SASL_SYNTAX;
	word = input;
	if (anew && (!bytes_split(&input, ':', &word) || !bytes_split(&input, ':', &params) ||
	             input.at == NULL))
		return SASL_SYNTAX;
	if (!password_read(word, hex, said))
		return SASL_SYNTAX;
	memcpy(next.last, said, sizeof said);
	next.sequence = m->state.sequence - 1;
	if (anew && (!params_read(s, params, &next) || !password_read(input, hex, next.last)))
		return SASL_SYNTAX;
	(void)otp_fold(m->state.algorithm, (struct bytes){ (const char *)said, 8 }, last);
	if (!m->real || m->state.sequence < OTP_SEQUENCE_LOW ||
	    !bytes_equal_secret((struct bytes){ (const char *)last, 8 },
	                        (struct bytes){ (const char *)m->state.last, 8 }))
		return SASL_REFUSED;
	return s->needs->one_time_used(s->needs_ctx, s->user, &m->state, &next);
}

static enum sasl_outcome
otp_step(struct sasl *s, bool has_input, struct bytes input, struct buffer *out)
{
	if (!has_input)
		return s->steps == 1 ? SASL_MORE : SASL_SYNTAX;
	return s->own == NULL ? first_step(s, input, out) : answer_step(s, input);
}
