/*
 * sasl/ntlm.c -- NTLM ([MS-NLMP], [MS-SMTPNTLM]): version 2 of its answer alone, for clients that have nothing
 * else.  The password itself must be kept for it.
 */
#include "sasl/ntlm.h"
#include "base/random.h"
#include "sasl/mac.h"
#include "sasl/sasl.h"
#include <string.h>

static bool              ntlm_begin(struct sasl *);
static enum sasl_outcome ntlm_step(struct sasl *, bool, struct bytes, struct buffer *);

const struct sasl_mechanism sasl_ntlm = {
	.name = "NTLM",
	.traits = SASL_DICTIONARY | SASL_ACTIVE | SASL_ONE_SIDED | SASL_NO_SECRECY,
	.source = SASL_BY_SECRET,
	.begin = ntlm_begin,
	.step = ntlm_step,
};

enum { /* [MS-NLMP] 2.2.2.5 */
       FLAG_UNICODE = 1,
       FLAG_REQUEST_TARGET = 4,
       FLAG_NTLM = 0x200,
       FLAG_TARGET_SERVER = 0x20000,
       FLAG_EXTENDED = 0x80000,
       FLAG_TARGET_INFO = 0x800000,
};

struct ntlm {
	unsigned char challenge[8];
};

static bool
ntlm_begin(struct sasl *s)
{
	(void)s;
	return mac_has("MD5");
}

/* ---- numbers, small end first, at a place; 0 where there is nothing ---- */

static uint32_t
number_at(struct bytes m, size_t at, size_t size)
{
	struct bytes part = bytes_cut(m, at, size);
	uint32_t     n = 0;

	for (size_t i = part.len; i > 0; i--)
		n = n << 8 | (unsigned char)part.at[i - 1];
	return part.len == size ? n : 0;
}

static void
add_number(struct buffer *out, uint32_t n, int size)
{
	for (int i = 0; i < size; i++)
		buffer_add_char(out, (char)(n >> (8 * i)));
}

/* A field is its length, its room and where it stands in the message. */
static bool
field_at(struct bytes m, size_t at, struct bytes *out)
{
	size_t len = number_at(m, at, 2), where = number_at(m, at + 4, 4);

	*out = bytes_cut(m, where, len);
	return at + 8 <= m.len && where <= m.len && out->len == len;
}

static bool
is_message(struct bytes m, uint32_t type)
{
	return m.len >= 16 && memcmp(m.at, "NTLMSSP", 8) == 0 && number_at(m, 8, 4) == type;
}

/* ---- the two messages of the client ---- */

/* CHALLENGE_MESSAGE, in UTF-16 whatever the client said it speaks, for all do: our name, eight random bytes, and target information with our name again. */
static enum sasl_outcome
negotiate(struct sasl *s, struct bytes input, struct buffer *out)
{
	struct ntlm *m;
	struct bytes name;
	uint32_t     flags = FLAG_UNICODE | FLAG_REQUEST_TARGET | FLAG_NTLM | FLAG_TARGET_SERVER |
	                 FLAG_EXTENDED | FLAG_TARGET_INFO;

	if (!is_message(input, 1) || !ntlm_utf16(bytes_of(s->facts.host), false, s->life, &name) ||
	    name.len > 1024)
		return SASL_SYNTAX;
	m = arena_take(s->life, sizeof *m);
	if (s->facts.random != NULL)
		memcpy(m->challenge, s->facts.random, sizeof m->challenge);
	else
		random_fill(m->challenge, sizeof m->challenge);
	s->own = m;
	buffer_add(out, (struct bytes){ "NTLMSSP\0\2\0\0\0", 12 });
	add_number(out, (uint32_t)(name.len | name.len << 16), 4);
	add_number(out, 48, 4);
	add_number(out, flags, 4);
	buffer_add(out, (struct bytes){ (const char *)m->challenge, 8 });
	add_number(out, 0, 4), add_number(out, 0, 4);
	add_number(out, (uint32_t)((name.len + 8) | (name.len + 8) << 16), 4);
	add_number(out, (uint32_t)(48 + name.len), 4);
	buffer_add(out, name);
	add_number(out, 1, 2), add_number(out, (uint32_t)name.len, 2); /* MsvAvNbComputerName */
	buffer_add(out, name);
	add_number(out, 0, 4); /* MsvAvEOL */
	return SASL_MORE;
}

/* UTF-16 as UTF-8; a lone half of a pair is no name. */
static bool
text_of(struct bytes wide, struct arena *a, struct bytes *out)
{
	char  *at = arena_take(a, wide.len * 2 + 1);
	size_t n = 0;

	if (wide.len % 2 != 0 || wide.len > 2 * SASL_NAME_MOST)
		return false;
	for (size_t i = 0; i < wide.len; i += 2) {
		uint32_t c = number_at(wide, i, 2);

		if (c == 0 || (c >= 0xd800 && c < 0xe000))
			return false;
		if (c < 0x80)
			at[n++] = (char)c;
		else if (c < 0x800)
			at[n++] = (char)(0xc0 | c >> 6), at[n++] = (char)(0x80 | (c & 63));
		else {
			at[n++] = (char)(0xe0 | c >> 12);
			at[n++] = (char)(0x80 | (c >> 6 & 63));
			at[n++] = (char)(0x80 | (c & 63));
		}
	}
	*out = (struct bytes){ at, n };
	return true;
}

/* AUTHENTICATE_MESSAGE: an answer of version 2 is sixteen bytes of proof and the blob they are made of. */
static enum sasl_outcome
authenticate(struct sasl *s, struct bytes input)
{
	struct ntlm      *m = s->own;
	struct bytes      answer, home, name, secret = BYTES("nobody");
	unsigned char     key[16], proof[16];
	enum sasl_outcome o;

	if (!is_message(input, 3) || !field_at(input, 20, &answer) || !field_at(input, 28, &home) ||
	    !field_at(input, 36, &name) || !text_of(home, s->life, &home) ||
	    !text_of(name, s->life, &name) || name.len == 0 || answer.len < 24)
		return SASL_SYNTAX;
	s->user = name;
	if (answer.len < 44) /* version 1 */
		return SASL_REFUSED;
	o = s->needs->secret(s->needs_ctx, name, s->life, &secret);
	if (o == SASL_LATER)
		return o;
	s->password = o == SASL_PROVED ? secret : (struct bytes){ NULL, 0 };
	if (!ntlm_key(secret, name, home, s->life, key))
		return SASL_REFUSED;
	ntlm_proof(key, m->challenge, bytes_cut(answer, 16, SIZE_MAX), s->life, proof);
	explicit_bzero(key, sizeof key);
	return bytes_equal_secret((struct bytes){ (const char *)proof, 16 },
	                          bytes_cut(answer, 0, 16)) &&
	                       o == SASL_PROVED
	               ? SASL_PROVED
	               : SASL_REFUSED;
}

static enum sasl_outcome
ntlm_step(struct sasl *s, bool has_input, struct bytes input, struct buffer *out)
{
	/* With neither an answer nor an offer, the client is told to begin ([MS-SMTPNTLM] 2.2.1.2). */
	if (!has_input)
		return s->steps == 1 ? SASL_MORE : SASL_SYNTAX;
	return s->own == NULL ? negotiate(s, input, out) : authenticate(s, input);
}
