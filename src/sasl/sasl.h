/*
 * sasl -- one exchange by which a client says who it is (rfc4422)
 *
 * From:     role/clerk, which alone knows credentials
 *
 * A mechanism is a card in a file of its own (plain.c, login.c, scram.c).
 * sasl_begin()  starts one; NULL when no such mechanism is known.
 * sasl_step()   takes what the client sent (decoded from base64):
 *     SASL_MORE     send `out` as a challenge and step again with the answer.
 *     SASL_CHECK    user and password are known (sasl_user, sasl_password): the caller checks them,
 *                   slowly, elsewhere; the exchange is over.
 *     SASL_PROVED   the client proved to be sasl_user(); `out` goes along with success.
 *     SASL_REFUSED  the proof was wrong.
 *     SASL_SYNTAX   the client's message breaks the mechanism's grammar.
 *     SASL_LATER    the verifier cannot be had now.
 * sasl_needs.verifier is asked for the SCRAM verifier of a user; for a user who does not exist it
 * gives one that no password fits, always the same for the same name, so that nobody
 * learns who exists.  False: it cannot be had now.
 */
#ifndef SASL_SASL_H
#define SASL_SASL_H

#include "base/arena.h"
#include "base/buffer.h"

struct sasl_verifier { const char *iterations, *salt, *stored, *server; };   /* decimal; base64 */
struct sasl_needs {
	bool (*verifier)(void *ctx, struct bytes user, struct arena *, struct sasl_verifier *out);
};
enum sasl_outcome { SASL_MORE, SASL_CHECK, SASL_PROVED, SASL_REFUSED, SASL_SYNTAX, SASL_LATER };

struct sasl;
struct sasl *sasl_begin(struct bytes mechanism, const struct sasl_needs *, void *ctx);
void sasl_end(struct sasl **);                          /* forgets secrets */
/* has_input false: the client gave no initial response. */
enum sasl_outcome sasl_step(struct sasl *, bool has_input, struct bytes input, struct buffer *out) __attribute__((warn_unused_result));
struct bytes sasl_user(const struct sasl *);            /* who they say they are; "" not said yet */
struct bytes sasl_password(const struct sasl *);
bool sasl_plaintext(struct bytes mechanism);            /* only inside TLS */

/* ---- for the files of the mechanisms --------------------------------------- */
struct sasl_mechanism {
	const char *name;
	bool plaintext;
	bool (*begin)(struct sasl *);
	enum sasl_outcome (*step)(struct sasl *, bool has_input, struct bytes input, struct buffer *out);
	void (*end)(struct sasl *);
};
struct sasl {
	const struct sasl_mechanism *mechanism;
	const struct sasl_needs     *needs;
	void         *needs_ctx;
	struct arena *life;
	struct bytes  user, password;
	int           steps;
	void         *own;            /* the mechanism's state */
	enum sasl_outcome trouble;    /* what stopped it from inside; SASL_MORE: nothing */
};
extern const struct sasl_mechanism sasl_plain, sasl_login, sasl_scram_sha_256;

#endif
