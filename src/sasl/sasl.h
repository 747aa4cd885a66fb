/*
 * sasl -- one exchange by which a client says who it is (rfc4422)
 *
 * From:     role/clerk, which alone knows credentials; the fronts ask sasl_offers() what to name
 *
 * A mechanism is a card in a file of its own (plain.c, scram.c, ...).
 * sasl_begin()  starts one; NULL when no such mechanism is known or it cannot work here.
 * sasl_step()   takes what the client sent (decoded from base64):
 *     SASL_MORE     send `out` as a challenge and step again with the answer.
 *     SASL_CHECK    user and password are known (sasl_user, sasl_password): the caller checks them,
 *                   slowly, elsewhere; the exchange is over.
 *     SASL_TOKEN    sasl_password() is an OAuth token, sasl_user() who the client says it is for ("" nothing
 *                   said): the caller has it checked and tells by sasl_token_said().
 *     SASL_PROVED   the client proved to be sasl_user(); `out` goes along with success.
 *     SASL_REFUSED  the proof was wrong.
 *     SASL_SYNTAX   the client's message breaks the mechanism's grammar.
 *     SASL_LATER    what it is compared with cannot be had now.  The same step may be made again.
 * sasl_slow()   its steps may take long and ask no sasl_needs: make them in the thread pool.
 *
 * sasl_offers() says whether a mechanism is to be named to a client now, and if not, why.
 *
 * sasl_needs is what the caller knows.  For a user who does not exist `verifier` gives one that no
 * password fits, always the same for the same name, and `secret` says SASL_REFUSED, upon which the
 * exchange goes on to its end as if there were one: nobody learns who exists.
 *
 * Bounds: SASL_MESSAGE_MOST bytes a message, eight turns.
 */
#ifndef SASL_SASL_H
#define SASL_SASL_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/setting.h"

enum { SASL_MESSAGE_MOST = 12288, SASL_NAME_MOST = 320 };

enum sasl_outcome { SASL_MORE, SASL_CHECK, SASL_PROVED, SASL_REFUSED, SASL_SYNTAX, SASL_LATER, SASL_TOKEN };

/* ---- what is known of the connection -------------------------------------- */
struct sasl_binding { const char *type; struct bytes data; };   /* "tls-exporter" */
struct sasl_certificate {              /* of the client, from the TLS handshake */
	bool         trusted;          /* its chain ends at an authority of ours */
	struct bytes fingerprint;      /* SHA-256 in capital hex with colons; "" none was shown */
	struct bytes subject;          /* rfc2253 */
	struct bytes mail;             /* the first rfc822Name of its subjectAltName, "" none */
};
struct sasl_facts {
	const char *service;           /* "smtp" "imap" "pop" "sieve": as registered (rfc4422:4) */
	const char *host;              /* ours, as clients know it */
	const char *realm;             /* of users who name none; NULL or "": host */
	bool        tls;
	bool        plus;              /* a mechanism that binds the channel was offered: "y" is a lie (rfc5802:6) */
	const struct sasl_binding *binding;
	size_t      bindings;
	struct sasl_certificate certificate;
	const char *random;            /* what a test wants where random bytes are; NULL else */
};

/* ---- what the caller knows -------------------------------------------------- */
struct sasl_verifier { const char *iterations, *salt, *stored, *server; };   /* decimal; base64 */
struct sasl_one_time { const char *algorithm, *seed; uint32_t sequence; unsigned char last[8]; };   /* rfc2289: "md5", "sha1" */
struct sasl_needs {
	/* hash "SHA-1" or "SHA-256".  False: it cannot be had now. */
	bool (*verifier)(void *ctx, struct bytes user, const char *hash, struct arena *, struct sasl_verifier *out);
	/* The password itself.  PROVED: *out is it; REFUSED: there is none; LATER. */
	enum sasl_outcome (*secret)(void *ctx, struct bytes user, struct arena *, struct bytes *out);
	/* What was made of it and is kept in its stead, by the name of its scheme: "CRAM-MD5", the outer and the inner state of HMAC-MD5
	   (32 bytes); "DIGEST-MD5", H(user:realm:password) of rfc2831:2.1.2.1 (16 bytes).  Asked only where `secret` said REFUSED. */
	enum sasl_outcome (*derived)(void *ctx, struct bytes user, const char *scheme, struct arena *, struct bytes *out);
	/* The same for one-time passwords; LATER also while another exchange of this user is open (rfc2289:9). */
	enum sasl_outcome (*one_time)(void *ctx, struct bytes user, struct arena *, struct sasl_one_time *out);
	/* It was used: `next` is durable and in its place when this says PROVED; REFUSED: somebody was faster. */
	enum sasl_outcome (*one_time_used)(void *ctx, struct bytes user, const struct sasl_one_time *was, const struct sasl_one_time *next);
	/* Whose certificate it is, as `acting` or ("") by itself. */
	enum sasl_outcome (*certificate)(void *ctx, const struct sasl_certificate *, struct bytes acting, struct arena *, struct bytes *user);
	/* Who somebody is who does not want to say: "" nobody comes in so. */
	const char *(*anonymous)(void *ctx);
	/* What a failed token is answered with besides: a scope, "" none; where the issuer's configuration is, "" unsaid. */
	void (*token_hint)(void *ctx, const char **scope, const char **configuration);
	/* Whether somebody may be let in as another (a master user, whose password decides); NULL: nobody is. */
	bool (*masters)(void *ctx);
};

struct sasl;
struct sasl *sasl_begin(struct bytes mechanism, const struct sasl_facts *, const struct sasl_needs *, void *ctx);
void sasl_end(struct sasl **);                          /* forgets secrets */
/* has_input false: the client gave no initial response. */
enum sasl_outcome sasl_step(struct sasl *, bool has_input, struct bytes input, struct buffer *out) __attribute__((warn_unused_result));
/* After SASL_TOKEN: PROVED (then `user` is who), REFUSED or LATER.  Gives MORE where the client is to be told why. */
enum sasl_outcome sasl_token_said(struct sasl *, enum sasl_outcome, struct bytes user, struct buffer *out) __attribute__((warn_unused_result));
struct bytes sasl_user(const struct sasl *);            /* who they say they are; "" not said yet */
struct bytes sasl_password(const struct sasl *);
struct bytes sasl_acting(const struct sasl *);          /* GSSAPI, PLAIN: as whom they want to act, "" as themselves */
bool sasl_slow(const struct sasl *);
bool sasl_by_stored(const struct sasl *);              /* checked with what is stored of the user, by us */
bool sasl_proves_otherwise(const struct sasl *);        /* than by a password or what was made of one */
const char *sasl_note(const struct sasl *);             /* what the mechanism wants in the log, "" nothing */

/* ---- what is offered ---------------------------------------------------------- */
enum sasl_trait {
	SASL_PLAINTEXT   = 1,          /* shows the secret to whoever listens */
	SASL_ACTIVE      = 2,          /* gives way to who can change what is sent */
	SASL_DICTIONARY  = 4,          /* who listens can guess at leisure */
	SASL_ANONYMOUS   = 8,
	SASL_ONE_SIDED   = 16,         /* the server does not prove itself */
	SASL_NO_SECRECY  = 32,         /* a secret found out later opens what was recorded (no forward secrecy) */
	SASL_BINDS       = 64,         /* wants bytes of the channel */
	SASL_CERTIFIED   = 128,        /* wants a client certificate */
	SASL_SLOW        = 256,
	SASL_NOT_SMTP    = 512,        /* nobody may send mail by it */
};
/* What must be kept of a user, or be there, for it. */
enum sasl_source { SASL_BY_PASSWORD, SASL_BY_VERIFIER, SASL_BY_SECRET, SASL_BY_ONE_TIME, SASL_BY_CERTIFICATE, SASL_BY_KEYTAB, SASL_BY_ISSUER, SASL_BY_NOBODY };

enum sasl_bar { SASL_OFFERED, SASL_UNKNOWN, SASL_NEEDS_TLS, SASL_TOO_WEAK, SASL_NO_CHANNEL };
struct sasl_offer {
	const struct setting_list *list;       /* the mechanisms chosen */
	unsigned banned;                       /* traits not wanted now */
	bool     tls, plain_in_clear;          /* plain secrets also outside TLS */
	bool     certificate;                  /* the client has shown one */
	const char *service;
};
/* A list of mechanisms, where "auto" is PLAIN LOGIN, and SCRAM-SHA-256 and SCRAM-SHA-1 as long as every account has a verifier of theirs
   (sasl_mute() of this process tells; before it has been told, they have not). */
enum sasl_hash { SASL_SHA256, SASL_SHA1, SASL_HASHES };
void sasl_mute(enum sasl_hash, bool mute);
struct sasl_place { size_t item, within; };
const char *sasl_next(const struct setting_list *, struct sasl_place *);       /* NULL at the end */

enum sasl_bar sasl_offers(const struct sasl_offer *, struct bytes mechanism);
/* All that are offered, each behind `before`.  True: some. */
bool sasl_list(const struct sasl_offer *, const char *before, struct buffer *out);
bool sasl_binds(const struct sasl_offer *);              /* whether one of them binds the channel */
/* "noplaintext noanonymous ..." (smtpd_sasl_security_options) as traits; the word that is none in *wrong. */
bool sasl_options(const struct setting_list *, unsigned *banned, const char **wrong);
/* False: no such mechanism. */
bool sasl_known(struct bytes mechanism, enum sasl_source *, unsigned *traits);

/* ---- for the files of the mechanisms --------------------------------------- */
struct sasl_mechanism {
	const char *name;
	unsigned    traits;
	enum sasl_source source;
	bool (*begin)(struct sasl *);                           /* NULL: nothing to begin */
	enum sasl_outcome (*step)(struct sasl *, bool has_input, struct bytes input, struct buffer *out);
	void (*end)(struct sasl *);
	enum sasl_outcome (*judged)(struct sasl *, enum sasl_outcome, struct buffer *out);
};
struct sasl {
	const struct sasl_mechanism *mechanism;
	const struct sasl_needs     *needs;
	void         *needs_ctx;
	struct sasl_facts facts;
	struct arena *life;
	struct bytes  user, password, acting;
	int           steps;
	const char   *note;
	void         *own;            /* the mechanism's state */
	enum sasl_outcome trouble;    /* what stopped it from inside; SASL_MORE: nothing */
};
extern const struct sasl_mechanism sasl_plain, sasl_login, sasl_scram_sha_256, sasl_scram_sha_256_plus, sasl_scram_sha_1,
	sasl_scram_sha_1_plus, sasl_cram_md5, sasl_digest_md5, sasl_external, sasl_anonymous, sasl_otp, sasl_ntlm, sasl_xoauth2,
	sasl_oauthbearer, sasl_gssapi;
/* Nobody acts for another (rfc4422:3.4.1 leaves it to policy): "" or the user's own name. */
bool sasl_acts_for_self(struct bytes acting, struct bytes user);
/* `len` bytes nobody can guess, as base64; or what a test wants. */
const char *sasl_random(struct sasl *, size_t len);

#endif
