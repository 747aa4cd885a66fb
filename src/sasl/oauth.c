/*
 * sasl/oauth.c -- OAUTHBEARER (rfc7628) and XOAUTH2 (Google's and Microsoft's form before it): a token that
 * somebody else gave; whoever asked for the exchange has it checked
 */
#include "base/scan.h"
#include "sasl/sasl.h"
#include <string.h>

static enum sasl_outcome bearer_step(struct sasl *, bool, struct bytes, struct buffer *);
static enum sasl_outcome xoauth2_step(struct sasl *, bool, struct bytes, struct buffer *);
static enum sasl_outcome bearer_judged(struct sasl *, enum sasl_outcome, struct buffer *);
static enum sasl_outcome xoauth2_judged(struct sasl *, enum sasl_outcome, struct buffer *);

const struct sasl_mechanism sasl_oauthbearer = {
	.name = "OAUTHBEARER",
	.traits = SASL_PLAINTEXT | SASL_ACTIVE | SASL_ONE_SIDED | SASL_NO_SECRECY,
	.source = SASL_BY_ISSUER,
	.step = bearer_step,
	.judged = bearer_judged,
};
const struct sasl_mechanism sasl_xoauth2 = {
	.name = "XOAUTH2",
	.traits = SASL_PLAINTEXT | SASL_ACTIVE | SASL_ONE_SIDED | SASL_NO_SECRECY,
	.source = SASL_BY_ISSUER,
	.step = xoauth2_step,
	.judged = xoauth2_judged,
};

/* b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="   rfc6750:2.1 */
static bool
token_good(struct bytes t)
{
	while (t.len > 0 && t.at[t.len - 1] == '=')
		t.len--;
	for (size_t i = 0; i < t.len; i++) {
		char c = t.at[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      (c != '\0' && strchr("-._~+/", c) != NULL)))
			return false;
	}
	return t.len > 0;
}

/* "Bearer" SP token */
static bool
take_token(struct sasl *s, struct bytes value)
{
	if (!bytes_starts_nocase(value, BYTES("Bearer ")))
		return false;
	value = bytes_trim(bytes_cut(value, 7, SIZE_MAX));
	if (!token_good(value))
		return false;
	s->password = arena_keep(s->life, value);
	return true;
}

/*
 * kvpair = key "=" value kvsep, kvsep = %x01; the whole ends with one more kvsep   rfc7628:3.1
 * Pairs that are not ours to know are passed over.  `user` may be NULL.
 */
static bool
take_pairs(struct sasl *s, struct bytes rest, bool with_user)
{
	struct bytes pair;

	while (rest.len > 0 && rest.at[0] != '\1') {
		struct bytes key, value;

		if (!bytes_split(&rest, '\1', &pair) || rest.at == NULL ||
		    !bytes_split(&pair, '=', &key) || key.len == 0)
			return false;
		value = pair;
		if (bytes_is(key, "auth") && (s->password.len > 0 || !take_token(s, value)))
			return false;
		if (with_user && bytes_is(key, "user")) {
			if (s->user.len > 0 || value.len == 0 || value.len > SASL_NAME_MOST)
				return false;
			s->user = arena_keep(s->life, value);
		}
	}
	return rest.len == 1 && s->password.len > 0;
}

/* gs2-header = ("n" / "y") "," ["a=" saslname] ","; a channel is not bound by these   rfc7628:3.1 */
static bool
take_header(struct sasl *s, struct bytes *rest)
{
	struct scan  r = scan_of(*rest);
	struct bytes acting;

	if (!scan_skip(&r, 'n'))
		scan_expect(&r, "y");
	scan_expect(&r, ",");
	acting = scan_until(&r, ',');
	scan_expect(&r, ",");
	scan_expect(&r, "\1");
	if (!scan_ok(&r) || acting.len > SASL_NAME_MOST ||
	    (acting.len > 0 && !bytes_starts(acting, BYTES("a="))))
		return false;
	for (size_t i = 2; i < acting.len;) { /* =2C and =3D stand for what they hide */
		char c = acting.at[i];

		if (c == '=' && !bytes_is(bytes_cut(acting, i, 3), "=2C") &&
		    !bytes_is(bytes_cut(acting, i, 3), "=3D"))
			return false;
		c = c != '=' ? c : bytes_is(bytes_cut(acting, i, 3), "=2C") ? ',' : '=';
		s->user = bytes_of(arena_printf(s->life, "%.*s%c", (int)s->user.len,
		                                s->user.len > 0 ? s->user.at : "", c));
		i += acting.at[i] == '=' ? 3 : 1;
	}
	*rest = r.rest;
	return true;
}

static enum sasl_outcome
token_step(struct sasl *s, bool has_input, struct bytes input, bool bearer)
{
	if (s->own != NULL) /* it has read why not (rfc7628:3.2.3) */
		return SASL_REFUSED;
	if (!has_input)
		return s->steps == 1 ? SASL_MORE : SASL_SYNTAX;
	if (bytes_find(input, '\0') >= 0 || (bearer && !take_header(s, &input)) ||
	    !take_pairs(s, input, !bearer) || (!bearer && s->user.len == 0))
		return SASL_SYNTAX;
	return SASL_TOKEN;
}

static enum sasl_outcome
bearer_step(struct sasl *s, bool has_input, struct bytes input, struct buffer *out)
{
	(void)out;
	return token_step(s, has_input, input, true);
}

static enum sasl_outcome
xoauth2_step(struct sasl *s, bool has_input, struct bytes input, struct buffer *out)
{
	(void)out;
	return token_step(s, has_input, input, false);
}

/* ---- why not ---- */

static void
add_member(struct buffer *out, const char *name, const char *value)
{
	if (*value == '\0')
		return;
	buffer_printf(out, ",\"%s\":\"", name);
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			buffer_add_char(out, '\\');
		if ((unsigned char)*value >= 0x20)
			buffer_add_char(out, *value);
	}
	buffer_add_char(out, '"');
}

static enum sasl_outcome
tell_why(struct sasl *s, enum sasl_outcome o, struct buffer *out, const char *status)
{
	const char *scope = "", *configuration = "";

	if (o != SASL_REFUSED)
		return o;
	s->needs->token_hint(s->needs_ctx, &scope, &configuration);
	buffer_printf(out, "{%s", status);
	add_member(out, "scope", scope);
	add_member(out, "openid-configuration", configuration);
	buffer_add_char(out, '}');
	s->own = s;
	return SASL_MORE;
}

/* rfc7628:3.2.2 */
static enum sasl_outcome
bearer_judged(struct sasl *s, enum sasl_outcome o, struct buffer *out)
{
	return tell_why(s, o, out, "\"status\":\"invalid_token\"");
}

static enum sasl_outcome
xoauth2_judged(struct sasl *s, enum sasl_outcome o, struct buffer *out)
{
	return tell_why(s, o, out, "\"status\":\"401\",\"schemes\":\"Bearer\"");
}
