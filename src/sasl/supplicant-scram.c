/* supplicant-scram.c -- SCRAM from the client's side (rfc5802, rfc7677), with and without a bound channel */
#include "base/base64.h"
#include "base/journal.h"
#include "base/random.h"
#include "sasl/mac.h"
#include "sasl/supplicant_inner.h"

#include <gsasl.h>
#include <string.h>

enum { NONCE_BYTES = 18 };

void
supplicant_name_add(struct buffer *out, const char *name)
{
	for (; *name != '\0'; name++)
		if (*name == ',' || *name == '=')
			buffer_add_string(out, *name == ',' ? "=2C" : "=3D");
		else
			buffer_add_char(out, *name);
}

/* As rfc4013 has it prepared; what cannot be is said as it is. */
static const char *
prepared(struct supplicant *c, const char *text)
{
	char       *made = NULL;
	const char *kept = text;

	if (gsasl_saslprep(text, GSASL_ALLOW_UNASSIGNED, &made, NULL) == GSASL_OK) {
		kept = arena_copy(c->life, bytes_of(made));
		explicit_bzero(made, strlen(made));
		gsasl_free(made);
	}
	return kept;
}

static struct bytes
kept(struct supplicant *c, struct buffer *b)
{
	struct bytes text = arena_keep(c->life, buffer_bytes(b));

	buffer_free(b);
	return text;
}

static const char *
coded(struct supplicant *c, struct bytes raw)
{
	struct buffer b = { 0 };

	base64_encode(&b, raw);
	return arena_copy(c->life, kept(c, &b));
}

/* client-first-message = gs2-header "n=" saslname ",r=" nonce   rfc5802:7 */
bool
supplicant_scram_first(struct supplicant *c, struct buffer *out)
{
	unsigned char raw[NONCE_BYTES];
	struct buffer b = { 0 };

	random_fill(raw, sizeof raw);
	c->nonce = c->facts->nonce != NULL
	                   ? c->facts->nonce
	                   : coded(c, (struct bytes){ (const char *)raw, sizeof raw });
	if ((c->mechanism->traits & SUPPLICANT_BINDS) != 0)
		buffer_printf(&b, "p=%s,,", c->facts->binding);
	else
		buffer_add_string(&b, c->could_bind ? "y,," : "n,,");
	c->header = kept(c, &b);
	buffer_add_string(&b, "n=");
	supplicant_name_add(&b, prepared(c, c->facts->user));
	buffer_printf(&b, ",r=%s", c->nonce);
	c->first = kept(c, &b);
	buffer_add(out, c->header);
	buffer_add(out, c->first);
	return true;
}

/* ---- the server's first message ---- */

struct scram_challenge {
	struct bytes nonce, salt;
	uint64_t     rounds;
};

/* "r=" nonce ",s=" base64 ",i=" number ["," extensions]; a first "m=" is one that must be known.  rfc5802:7 */
static bool
challenge_read(struct supplicant *c, struct bytes text, struct scram_challenge *out)
{
	struct bytes  nonce, salt, rounds;
	struct buffer b = { 0 };
	bool          good;

	if (!bytes_split(&text, ',', &nonce) || !bytes_split(&text, ',', &salt) ||
	    !bytes_split(&text, ',', &rounds) || !bytes_starts(nonce, BYTES("r=")) ||
	    !bytes_starts(salt, BYTES("s=")) || !bytes_starts(rounds, BYTES("i=")) ||
	    !bytes_number(bytes_cut(rounds, 2, SIZE_MAX), &out->rounds))
		return false;
	out->nonce = bytes_cut(nonce, 2, SIZE_MAX);
	good = base64_decode(&b, bytes_cut(salt, 2, SIZE_MAX)) && b.len > 0;
	out->salt = kept(c, &b);
	return good && out->nonce.len > strlen(c->nonce) &&
	       bytes_starts(out->nonce, bytes_of(c->nonce)) &&
	       out->rounds >= SUPPLICANT_ROUNDS_LEAST && out->rounds <= SUPPLICANT_ROUNDS_MOST;
}

/* ClientProof, and the key the server must show that it has.  rfc5802:3 */
static const char *
proof(struct supplicant *c, const struct scram_challenge *x)
{
	const char   *digest = c->mechanism->digest;
	unsigned char key[MAC_MOST], client[MAC_MOST], stored[MAC_MOST], made[MAC_MOST];
	size_t        n = mac_stretch(digest, bytes_of(prepared(c, c->facts->password)), x->salt,
	                              x->rounds, key);
	struct bytes  salt = { (const char *)key, n };

	(void)mac_make(digest, salt, BYTES("Client Key"), client);
	(void)mac_digest(digest, (struct bytes){ (const char *)client, n }, stored);
	(void)mac_make(digest, (struct bytes){ (const char *)stored, n }, c->message, made);
	for (size_t i = 0; i < n; i++)
		client[i] ^= made[i];
	(void)mac_make(digest, salt, BYTES("Server Key"), made);
	c->server_key = arena_keep(c->life, (struct bytes){ (const char *)made, n });
	explicit_bzero(key, sizeof key);
	return coded(c, (struct bytes){ (const char *)client, n });
}

/* client-final-message = "c=" base64 ",r=" nonce ",p=" base64 */
static bool
final_say(struct supplicant *c, struct bytes challenge, struct buffer *out)
{
	struct scram_challenge x;
	struct buffer          b = { 0 };
	struct bytes           without;

	if (!challenge_read(c, challenge, &x))
		return false;
	buffer_add(&b, c->header);
	if ((c->mechanism->traits & SUPPLICANT_BINDS) != 0)
		buffer_add(&b, c->facts->bound);
	without = kept(c, &b);
	buffer_printf(&b, "c=%s,r=%.*s", coded(c, without), (int)x.nonce.len, x.nonce.at);
	without = kept(c, &b);
	buffer_printf(&b, "%.*s,%.*s,%.*s", (int)c->first.len, c->first.at, (int)challenge.len,
	              challenge.at, (int)without.len, without.at);
	c->message = kept(c, &b);
	buffer_add(out, without);
	buffer_printf(out, ",p=%s", proof(c, &x));
	return true;
}

/* server-final-message = "v=" base64: it knows the password, too; "e=" what was wrong. */
static bool
verify(struct supplicant *c, struct bytes challenge)
{
	unsigned char made[MAC_MOST];
	struct buffer b = { 0 };
	size_t        n = mac_make(c->mechanism->digest, c->server_key, c->message, made);

	c->proved = bytes_starts(challenge, BYTES("v=")) &&
	            base64_decode(&b, bytes_cut(challenge, 2, SIZE_MAX)) &&
	            bytes_equal_secret(buffer_bytes(&b), (struct bytes){ (const char *)made, n });
	buffer_free(&b);
	return c->proved;
}

bool
supplicant_scram_answer(struct supplicant *c, struct bytes challenge, struct buffer *out)
{
	if (bytes_find(challenge, '\0') >= 0)
		return false;
	return c->step == 1   ? final_say(c, challenge, out)
	       : c->step == 2 ? verify(c, challenge)
	                      : false;
}
