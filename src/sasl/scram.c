/*
 * sasl/scram.c -- SCRAM with SHA-1 and SHA-256 (rfc5802, rfc7677), with and without a bound channel, from a
 * stored verifier: the password is never here
 */
#include "base/base64.h"
#include "base/journal.h"
#include "base/scan.h"
#include "sasl/mac.h"
#include "sasl/sasl.h"
#include <gsasl.h>
#include <string.h>

static bool              scram_begin(struct sasl *);
static enum sasl_outcome scram_step(struct sasl *, bool, struct bytes, struct buffer *);
static void              scram_end(struct sasl *);

#define SCRAM(word, more)                                                             \
	{                                                                             \
		.name = (word), .traits = SASL_DICTIONARY | SASL_NO_SECRECY | (more), \
		.source = SASL_BY_VERIFIER, .begin = scram_begin, .step = scram_step, \
		.end = scram_end,                                                     \
	}
const struct sasl_mechanism sasl_scram_sha_256 = SCRAM("SCRAM-SHA-256", 0);
const struct sasl_mechanism sasl_scram_sha_256_plus = SCRAM("SCRAM-SHA-256-PLUS", SASL_BINDS);
const struct sasl_mechanism sasl_scram_sha_1 = SCRAM("SCRAM-SHA-1", 0);
const struct sasl_mechanism sasl_scram_sha_1_plus = SCRAM("SCRAM-SHA-1-PLUS", SASL_BINDS);

struct scram {
	const char          *hash;  /* "SHA-256" */
	struct bytes         bound; /* what c= must be, decoded */
	struct bytes         nonce; /* of the client and ours */
	struct bytes         first; /* client-first-message-bare */
	struct buffer        challenge;
	struct sasl_verifier verifier;
	bool                 challenged;
};

static bool
scram_begin(struct sasl *s)
{
	struct scram *m = arena_take(s->life, sizeof *m);

	m->hash = bytes_starts(bytes_of(s->mechanism->name), BYTES("SCRAM-SHA-1")) ? "SHA-1"
	                                                                           : "SHA-256";
	s->own = m;
	return true;
}

static void
scram_end(struct sasl *s)
{
	struct scram *m = s->own;

	if (m != NULL)
		buffer_free(&m->challenge);
}

/* ---- the client's first message ---- */

/* saslname = 1*(value-safe-char / "=2C" / "=3D")   rfc5802:7 */
static bool
name_decode(struct bytes coded, struct arena *a, struct bytes *out)
{
	char  *at = arena_take(a, coded.len + 1);
	size_t n = 0;

	for (size_t i = 0; i < coded.len; i++) {
		struct bytes three = bytes_cut(coded, i, 3);

		if (coded.at[i] != '=')
			at[n++] = coded.at[i];
		else if (bytes_is(three, "=2C"))
			at[n++] = ',', i += 2;
		else if (bytes_is(three, "=3D"))
			at[n++] = '=', i += 2;
		else
			return false;
	}
	*out = (struct bytes){ at, n };
	return true;
}

/* As the verifier's name was prepared (rfc5802:5.1). */
static bool
name_prepare(struct sasl *s, struct bytes name)
{
	char *prepared = NULL;
	char  raw[SASL_NAME_MOST];

	if (!bytes_string(name, raw, sizeof raw) ||
	    gsasl_saslprep(raw, GSASL_ALLOW_UNASSIGNED, &prepared, NULL) != GSASL_OK)
		return false;
	s->user = arena_keep(s->life, bytes_of(prepared));
	gsasl_free(prepared);
	return s->user.len > 0;
}

static const struct sasl_binding *
binding_of(const struct sasl *s, struct bytes type)
{
	for (size_t i = 0; i < s->facts.bindings; i++)
		if (bytes_equal(type, bytes_of(s->facts.binding[i].type)))
			return &s->facts.binding[i];
	return NULL;
}

/*
 * gs2-cbind-flag = ("p=" cb-name) / "n" / "y"   rfc5801:4
 * Who says "y" could bind the channel and has not seen us offer it: somebody took it out (rfc5802:6).
 */
static enum sasl_outcome
flag_read(struct sasl *s, struct bytes flag, struct bytes *data)
{
	bool                       plus = (s->mechanism->traits & SASL_BINDS) != 0;
	const struct sasl_binding *b;

	*data = (struct bytes){ NULL, 0 };
	if (bytes_starts(flag, BYTES("p="))) {
		if (!plus || (b = binding_of(s, bytes_cut(flag, 2, SIZE_MAX))) == NULL)
			return SASL_SYNTAX;
		*data = b->data;
		return SASL_MORE;
	}
	if (plus || flag.len != 1 || (flag.at[0] != 'n' && flag.at[0] != 'y'))
		return SASL_SYNTAX;
	if (flag.at[0] == 'y' && s->facts.plus) {
		s->note = "channel binding was taken out of the offer";
		return SASL_REFUSED;
	}
	return SASL_MORE;
}

static void
is_bound(struct sasl *s, struct bytes header, struct bytes data)
{
	struct scram *m = s->own;
	char         *at = arena_take(s->life, header.len + data.len + 1);

	memcpy(at, header.at, header.len);
	if (data.len > 0)
		memcpy(at + header.len, data.at, data.len);
	m->bound = (struct bytes){ at, header.len + data.len };
}

/* nonce = "r=" printable, no comma */
static bool
nonce_good(struct bytes nonce)
{
	for (size_t i = 0; i < nonce.len; i++)
		if (nonce.at[i] < 0x21 || nonce.at[i] > 0x7e || nonce.at[i] == ',')
			return false;
	return nonce.len > 0;
}

/* client-first-message = gs2-header [reserved-mext ","] username "," nonce ["," extensions] */
static enum sasl_outcome
first_read(struct sasl *s, struct bytes input)
{
	struct scram     *m = s->own;
	struct scan       r = scan_of(input);
	struct bytes      header, flag, acting, name, nonce, data, self;
	enum sasl_outcome o;

	flag = scan_until(&r, ',');
	scan_expect(&r, ",");
	acting = scan_until(&r, ',');
	scan_expect(&r, ",");
	if (!scan_ok(&r))
		return SASL_SYNTAX;
	header = bytes_cut(input, 0, (size_t)(r.rest.at - input.at));
	m->first = arena_keep(s->life, r.rest);
	if (!bytes_starts(r.rest, BYTES("n=")))
		return SASL_SYNTAX; /* "m=": an extension that must be known (rfc5802:5.1) */
	(void)scan_take(&r, 2);
	name = scan_until(&r, ',');
	scan_expect(&r, ",");
	if (!bytes_starts(r.rest, BYTES("r=")))
		return SASL_SYNTAX;
	(void)scan_take(&r, 2);
	nonce = scan_until(&r, ',');
	if (!scan_ok(&r) || !nonce_good(nonce) || !name_decode(name, s->life, &name) ||
	    name.len == 0 || !name_prepare(s, name))
		return SASL_SYNTAX;
	if ((o = flag_read(s, flag, &data)) != SASL_MORE)
		return o;
	is_bound(s, header, data);
	if (acting.len > 0 && (!bytes_starts(acting, BYTES("a=")) ||
	                       !name_decode(bytes_cut(acting, 2, SIZE_MAX), s->life, &self)))
		return SASL_SYNTAX;
	if (acting.len > 0 && !sasl_acts_for_self(self, s->user))
		return SASL_REFUSED;
	m->nonce = bytes_of(
		arena_printf(s->life, "%.*s%s", (int)nonce.len, nonce.at, sasl_random(s, 18)));
	return SASL_MORE;
}

/* server-first-message = nonce "," salt "," iteration-count */
static enum sasl_outcome
first_step(struct sasl *s, struct bytes input, struct buffer *out)
{
	struct scram     *m = s->own;
	enum sasl_outcome o = first_read(s, input);

	if (o != SASL_MORE)
		return o;
	if (!s->needs->verifier(s->needs_ctx, s->user, m->hash, s->life, &m->verifier))
		return SASL_LATER;
	buffer_printf(&m->challenge, "r=%.*s,s=%s,i=%s", (int)m->nonce.len, m->nonce.at,
	              m->verifier.salt, m->verifier.iterations);
	buffer_add(out, buffer_bytes(&m->challenge));
	m->challenged = true;
	return SASL_MORE;
}

/* ---- the client's final message ---- */

static bool
decoded(struct sasl *s, struct bytes text, struct bytes *out)
{
	struct buffer b = { 0 };
	bool          good = base64_decode(&b, text);

	*out = good ? arena_keep(s->life, buffer_bytes(&b)) : (struct bytes){ NULL, 0 };
	buffer_free(&b);
	return good;
}

/* ClientKey = ClientProof XOR HMAC(StoredKey, AuthMessage); its digest is StoredKey (rfc5802:3). */
static bool
proof_right(struct sasl *s, struct bytes proof, struct bytes message)
{
	struct scram *m = s->own;
	unsigned char signature[MAC_MOST], key[MAC_MOST], digest[MAC_MOST];
	struct bytes  stored;
	size_t        n;

	if (!decoded(s, bytes_of(m->verifier.stored), &stored))
		return false;
	n = mac_make(m->hash, stored, message, signature);
	if (proof.len != n || stored.len != n)
		return false;
	for (size_t i = 0; i < n; i++)
		key[i] = (unsigned char)(signature[i] ^ (unsigned char)proof.at[i]);
	(void)mac_digest(m->hash, (struct bytes){ (const char *)key, n }, digest);
	return bytes_equal_secret((struct bytes){ (const char *)digest, n }, stored);
}

/* client-final-message = "c=" base64 "," "r=" nonce ["," extensions] ",p=" base64 */
static enum sasl_outcome
final_step(struct sasl *s, struct bytes input, struct buffer *out)
{
	struct scram *m = s->own;
	ptrdiff_t     last = bytes_find_last(input, ',');
	struct bytes  without = bytes_cut(input, 0, last < 0 ? 0 : (size_t)last), rest = without;
	struct bytes  bound, nonce, proof = bytes_cut(input, (size_t)(last + 1), SIZE_MAX), server;
	unsigned char signature[MAC_MOST];
	struct buffer message = { 0 };
	bool          right;

	if (last < 0 || !bytes_starts(proof, BYTES("p=")) || !bytes_split(&rest, ',', &bound) ||
	    !bytes_split(&rest, ',', &nonce) || !bytes_starts(bound, BYTES("c=")) ||
	    !bytes_starts(nonce, BYTES("r=")) ||
	    !decoded(s, bytes_cut(bound, 2, SIZE_MAX), &bound) ||
	    !decoded(s, bytes_cut(proof, 2, SIZE_MAX), &proof))
		return SASL_SYNTAX;
	if (!bytes_equal(bound, m->bound)) {
		s->note = "the channel is not the one the client sees";
		return SASL_REFUSED;
	}
	if (!bytes_equal(bytes_cut(nonce, 2, SIZE_MAX), m->nonce))
		return SASL_REFUSED;
	buffer_printf(&message, "%.*s,%.*s,%.*s", (int)m->first.len, m->first.at,
	              (int)m->challenge.len, m->challenge.at, (int)without.len, without.at);
	right = proof_right(s, proof, buffer_bytes(&message)) &&
	        decoded(s, bytes_of(m->verifier.server), &server);
	if (right) {
		size_t n = mac_make(m->hash, server, buffer_bytes(&message), signature);
		buffer_add_string(out, "v=");
		base64_encode(out, (struct bytes){ (const char *)signature, n });
	}
	buffer_free(&message);
	return right ? SASL_PROVED : SASL_REFUSED;
}

static enum sasl_outcome
scram_step(struct sasl *s, bool has_input, struct bytes input, struct buffer *out)
{
	struct scram *m = s->own;

	if (!has_input) /* the client speaks first (rfc5802:5) */
		return s->steps == 1 ? SASL_MORE : SASL_SYNTAX;
	if (input.len == 0 || bytes_find(input, '\0') >= 0)
		return SASL_SYNTAX;
	return m->challenged ? final_step(s, input, out) : first_step(s, input, out);
}
