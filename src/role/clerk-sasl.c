/*
 * clerk-sasl -- logging in by a mechanism (sasl/): what the mechanisms want to know of a user, and what
 * becomes of their outcomes
 */
#include "base/clock.h"
#include "message/casefold.h"
#include "role/clerk-login.h"
#include "role/house.h"
#include "role/tables.h"
#include "sasl/gssapi.h"
#include "sasl/token.h"
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <unistd.h>

static struct clerk *
clerk_of(struct house *h)
{
	return h->mine;
}

/* ---- SCRAM ---- */

/* 32 bytes that only we can make for this name, as text. */
static const char *
bytes_for(struct clerk *c, const char *what, struct bytes user, size_t len, struct arena *a)
{
	struct buffer b = { 0 };
	unsigned char made[32];
	unsigned int  n = sizeof made;
	const char   *message = arena_printf(a, "%s %.*s", what, (int)user.len, user.at), *text;

	if (HMAC(EVP_sha256(), c->secret, sizeof c->secret, (const unsigned char *)message,
	         strlen(message), made, &n) == NULL)
		panic("HMAC-SHA-256 is not to be had");
	base64_encode(&b, (struct bytes){ (const char *)made, len });
	text = arena_copy(a, buffer_bytes(&b));
	buffer_free(&b);
	return text;
}

/* For a name that does not exist, or has no verifier: a salt that is always the same for it, and
   keys that belong to no password. */
static void
verifier_of_nobody(struct clerk *c, struct bytes user, bool sha1, struct arena *a,
                   struct sasl_verifier *out)
{
	size_t len = sha1 ? 20 : 32;

	user = casefold(a, user);
	*out = (struct sasl_verifier){
		.iterations = arena_printf(a, "%d", SCRAM_ITERATIONS),
		.salt = bytes_for(c, sha1 ? "salt1" : "salt", user, 16, a),
		.stored = bytes_for(c, "stored", user, len, a),
		.server = bytes_for(c, "server", user, len, a),
	};
}

/* "rounds,salt,stored,server" */
static bool
sha1_asked(struct exchange *e, struct arena *a, struct sasl_verifier *out, bool *found)
{
	struct clerk *c = clerk_of(e->house);
	const char   *text = "";
	struct bytes  rest, part[4];

	*found = false;
	if (e->who.account == 0)
		return true;
	switch (directory_scram_sha1(c->directory, e->user, c->origin, a, &text)) {
	case DIRECTORY_LATER: return false;
	case DIRECTORY_OK: break;
	default: return true;
	}
	rest = bytes_of(text);
	for (int i = 0; i < 4; i++)
		if (!bytes_split(&rest, ',', &part[i]))
			return true;
	*found = true;
	*out = (struct sasl_verifier){ arena_copy(a, part[0]), arena_copy(a, part[1]),
		                       arena_copy(a, part[2]), arena_copy(a, part[3]) };
	return true;
}

static bool
verifier_asked(void *ctx, struct bytes user, const char *hash, struct arena *a,
               struct sasl_verifier *out)
{
	struct exchange    *e = ctx;
	struct scheme_scram kept;
	struct bytes        stored;
	bool                sha1 = strcmp(hash, "SHA-1") == 0, found;
	enum stored         is;

	if (!exchange_name(e, user) || (sha1 && !sha1_asked(e, a, out, &found)))
		return false;
	if (!sha1 && (found = e->who.account != 0 && e->who.scram_iterations != 0))
		*out = (struct sasl_verifier){
			.iterations = arena_printf(a, "%" PRIu32, e->who.scram_iterations),
			.salt = e->who.scram_salt,
			.stored = e->who.scram_stored,
			.server = e->who.scram_server,
		};
	is = found ? STORED_NONE : chain_stored(e, &stored);
	if (is == STORED_WAIT || is == STORED_LATER)
		return false;
	/* An account's own hash, as it was imported. */
	if (!found && is == STORED_NONE && e->who.account != 0 && *e->who.source == '\0') {
		stored = bytes_of(e->who.hash);
		is = STORED_FOUND;
	}
	if (is == STORED_FOUND &&
	    scheme_scram(stored, "CRYPT", sha1 ? "SCRAM-SHA-1" : "SCRAM-SHA-256", a, &kept)) {
		*out = (struct sasl_verifier){ arena_printf(a, "%" PRIu32, kept.iterations),
			                       kept.salt, kept.stored, kept.server };
		found = true;
	}
	if (!found)
		verifier_of_nobody(clerk_of(e->house), user, sha1, a, out);
	return true;
}

/* ---- whether there is one of everybody ---- */

static void
mute_now(const struct clerk *c, bool mute[static SASL_HASHES])
{
	bool others = false;

	for (size_t i = 0; i < c->backends; i++)
		others = others || c->backend[i].kind != CREDENTIAL_DIRECTORY;
	mute[SASL_SHA256] = others || c->directory == NULL || directory_mute(c->directory, false);
	mute[SASL_SHA1] = others || c->directory == NULL || directory_mute(c->directory, true);
}

void
clerk_mute_tell(const struct clerk *c, struct link *l)
{
	struct buffer *b = link_begin(l, WORD_MUTE, 0);

	for (size_t i = 0; i < SASL_HASHES; i++)
		pack_bool(b, c->mute[i]);
	link_end(l);
}

void
clerk_mute_look(struct house *h)
{
	static const enum role hearers[] = { RECEIVER, LOGIN };
	struct clerk          *c = clerk_of(h);
	bool                   mute[SASL_HASHES];

	mute_now(c, mute);
	if (memcmp(mute, c->mute, sizeof mute) == 0)
		return;
	memcpy(c->mute, mute, sizeof mute);
	for (size_t r = 0; r < COUNT(hearers); r++)
		for (uint32_t i = 0; i < house_peers(h, hearers[r]); i++) {
			struct link *l = house_link(h, hearers[r], i);
			if (l != NULL)
				clerk_mute_tell(c, l);
		}
}

/* ---- the secret itself ---- */

enum sasl_outcome
exchange_secret(struct exchange *e, struct bytes user, struct arena *a, struct bytes *out)
{
	struct clerk *c = clerk_of(e->house);
	struct bytes  stored;

	if (!exchange_name(e, user))
		return SASL_LATER;
	switch (chain_stored(e, &stored)) {
	case STORED_FOUND:
		return scheme_plain(stored, "CRYPT", a, out) ? SASL_PROVED : SASL_REFUSED;
	case STORED_WAIT:
	case STORED_LATER: return SASL_LATER;
	default: break;
	}
	if (e->who.account == 0)
		return SASL_REFUSED;
	switch (directory_plain(c->directory, e->user, c->origin, a, out)) {
	case DIRECTORY_OK: return SASL_PROVED;
	case DIRECTORY_LATER: return SASL_LATER;
	default: return SASL_REFUSED;
	}
}

static enum sasl_outcome
secret_asked(void *ctx, struct bytes user, struct arena *a, struct bytes *out)
{
	return exchange_secret(ctx, user, a, out);
}

/* What was made of the password, for one mechanism alone: of a back end that keeps it so, or of our own account. */
static enum sasl_outcome
derived_asked(void *ctx, struct bytes user, const char *scheme, struct arena *a, struct bytes *out)
{
	struct exchange *e = ctx;
	struct bytes     stored = { NULL, 0 };

	if (!exchange_name(e, user))
		return SASL_LATER;
	switch (chain_stored(e, &stored)) {
	case STORED_FOUND: break;
	case STORED_WAIT:
	case STORED_LATER: return SASL_LATER;
	default:
		if (e->who.account != 0 && *e->who.source == '\0')
			stored = bytes_of(e->who.hash);
	}
	return scheme_derived(stored, "CRYPT", scheme, a, out) ? SASL_PROVED : SASL_REFUSED;
}

/* ---- one-time passwords ---- */

/* One exchange for a user at a time (rfc2289:9): else who listens to the first words of an answer races for the last.
   A stranger's holds up others of his network, and strangers while the user is at it from where he was before; never him. */
static bool
one_time_taken(struct exchange *mine)
{
	struct clerk *c = clerk_of(mine->house);
	int64_t       now = clock_patient_ms();
	for (struct map_place p = { 0 }; map_next(clerk_of(mine->house)->exchanges, &p);) {
		const struct exchange *e = p.value;
		/* One that is refused already waits for its answer and is over. */
		if (e != mine && e->one_time && e->pause == NULL &&
		    bytes_equal(e->counted, mine->counted) &&
		    (strcmp(e->network, mine->network) == 0 ||
		     guard_knows(c->guard, bytes_of(e->network), e->counted, now)))
			return true;
	}
	return false;
}

static enum sasl_outcome
one_time_asked(void *ctx, struct bytes user, struct arena *a, struct sasl_one_time *out)
{
	struct exchange *e = ctx;
	struct clerk    *c = clerk_of(e->house);
	struct one_time  t;

	if (!exchange_name(e, user))
		return SASL_LATER;
	if (e->who.account == 0)
		return SASL_REFUSED;
	switch (directory_one_time(c->directory, e->user, c->origin, a, &t)) {
	case DIRECTORY_OK: break;
	case DIRECTORY_LATER: return SASL_LATER;
	default: return SASL_REFUSED;
	}
	if (one_time_taken(e))
		return SASL_LATER;
	e->one_time = true;
	*out = (struct sasl_one_time){ .algorithm = t.algorithm,
		                       .seed = t.seed,
		                       .sequence = t.sequence };
	memcpy(out->last, t.last, sizeof out->last);
	return SASL_PROVED;
}

static enum sasl_outcome
one_time_used(void *ctx, struct bytes user, const struct sasl_one_time *was,
              const struct sasl_one_time *next)
{
	struct exchange *e = ctx;
	struct clerk    *c = clerk_of(e->house);
	struct one_time  from = { was->algorithm, was->seed, was->sequence, { 0 } };
	struct one_time  to = { next->algorithm, next->seed, next->sequence, { 0 } };

	memcpy(from.last, was->last, sizeof from.last);
	memcpy(to.last, next->last, sizeof to.last);
	switch (directory_one_time_use(c->directory, user, c->origin, &from, &to)) {
	case DIRECTORY_OK: return SASL_PROVED;
	case DIRECTORY_LATER: return SASL_LATER;
	default: return SASL_REFUSED;
	}
}

/* ---- certificates ---- */

static enum sasl_outcome
certificate_find(struct clerk *c, struct bytes key, struct arena *a, struct bytes *user)
{
	for (size_t i = 0; i < c->sasl.certificates.count && key.len > 0; i++) {
		struct table *t = tables_local(c->tables, c->sasl.certificates.item[i]);

		switch (t != NULL ? table_find(t, key, a, user) : TABLE_LATER) {
		case TABLE_FOUND: return SASL_PROVED;
		case TABLE_NONE: break;
		default: return SASL_LATER;
		}
	}
	return SASL_REFUSED;
}

/* By fingerprint, by subject, or by the address that an authority of ours put into it. */
static enum sasl_outcome
certificate_of(struct clerk *c, const struct sasl_certificate *shown, struct arena *a,
               struct bytes *user)
{
	enum sasl_outcome o = certificate_find(c, shown->fingerprint, a, user);

	if (o == SASL_REFUSED && shown->trusted)
		o = certificate_find(c, shown->subject, a, user);
	if (o == SASL_REFUSED && shown->trusted && shown->mail.len > 0) {
		*user = shown->mail;
		o = SASL_PROVED;
	}
	return o;
}

static enum sasl_outcome
certificate_asked(void *ctx, const struct sasl_certificate *shown, struct bytes acting,
                  struct arena *a, struct bytes *user)
{
	struct exchange  *e = ctx;
	enum sasl_outcome o = certificate_of(clerk_of(e->house), shown, a, user);

	if (o != SASL_PROVED)
		return o;
	if (!exchange_name(e, *user))
		return SASL_LATER;
	/* Whether there is such a user is asked when the mechanism is content. */
	return sasl_acts_for_self(acting, *user) ||
	                       (e->who.account != 0 &&
	                        sasl_acts_for_self(acting, bytes_of(e->who.address)))
	               ? SASL_PROVED
	               : SASL_REFUSED;
}

/* ---- nobody, and tokens ---- */

static const char *
anonymous_asked(void *ctx)
{
	struct exchange *e = ctx;

	return clerk_of(e->house)->sasl.anonymous;
}

static bool
masters_asked(void *ctx)
{
	struct exchange *e = ctx;

	return *e->house->common.auth_master_passwd_file != '\0';
}

static void
hint_asked(void *ctx, const char **scope, const char **configuration)
{
	struct exchange            *e = ctx;
	const struct sasl_settings *set = &clerk_of(e->house)->sasl;
	struct buffer               all = { 0 };

	for (size_t i = 0; i < set->scopes.count; i++)
		buffer_printf(&all, "%s%s", i > 0 ? " " : "", set->scopes.item[i]);
	*scope = arena_copy(e->life, buffer_bytes(&all));
	*configuration = set->configuration;
	buffer_free(&all);
}

static const struct sasl_needs sasl_needs = {
	.verifier = verifier_asked,
	.secret = secret_asked,
	.derived = derived_asked,
	.one_time = one_time_asked,
	.one_time_used = one_time_used,
	.certificate = certificate_asked,
	.anonymous = anonymous_asked,
	.token_hint = hint_asked,
	.masters = masters_asked,
};

/* ---- tokens ---- */

static void exchange_stepped(struct exchange *, enum sasl_outcome, struct bytes said);

/* It is known whose it is, or not; the client may have said that it is somebody's. */
static void
token_said(struct exchange *e, enum sasl_outcome o, struct bytes user, const char *why)
{
	struct buffer out = { 0 };
	struct bytes  said = sasl_user(e->sasl);

	if (o == SASL_PROVED && !sasl_acts_for_self(said, user)) {
		o = SASL_REFUSED;
		why = "the token is of another user";
	}
	if (o != SASL_PROVED)
		note("token of <%.*s> from %s: %s", (int)said.len, said.at, e->network, why);
	o = sasl_token_said(e->sasl, o, user, &out);
	exchange_stepped(e, o, buffer_bytes(&out));
	buffer_free(&out);
}

static void token_ask(struct exchange *);

static void
token_answered(struct enquiry *q, enum table_outcome o, struct bytes value)
{
	struct exchange *e = (struct exchange *)((char *)q - offsetof(struct exchange, token));

	e->enquiring = false;
	if (o == TABLE_FOUND)
		token_said(e, SASL_PROVED, arena_keep(e->life, value), "");
	else if (o == TABLE_NONE) {
		if (value.len > 0)
			e->why = arena_copy(e->life, value);
		e->token_at++;
		token_ask(e);
	} else
		token_said(e, SASL_LATER, (struct bytes){ NULL, 0 },
		           value.len > 0 ? arena_copy(e->life, value) : "no answer");
}

/* The next of the tables; nobody knows it when there is none. */
static void
token_ask(struct exchange *e)
{
	struct clerk *c = clerk_of(e->house);

	if (e->token_at >= c->sasl.tokens.count) {
		token_said(e, SASL_REFUSED, (struct bytes){ NULL, 0 },
		           e->why != NULL ? e->why : "it is good nowhere");
		return;
	}
	e->enquiring = true;
	e->token.answered = token_answered;
	enquiry_ask(c->enquiries, &e->token, c->sasl.tokens.item[e->token_at],
	            sasl_password(e->sasl));
}

static void
exchange_token(struct exchange *e)
{
#ifdef MANSIO_OAUTH
	struct clerk            *c = clerk_of(e->house);
	const struct token_rules rules = { .issuer = c->sasl.issuer,
		                           .audiences = c->sasl.audiences,
		                           .scopes = c->sasl.scopes,
		                           .claim = c->sasl.claim,
		                           .now = clock_wall() };
	struct bytes             user = { NULL, 0 };
	const char              *why = "";
	bool                     unknown;

	if (c->tokens != NULL) {
		enum sasl_outcome o = token_check(c->tokens, &rules, sasl_password(e->sasl),
		                                  e->life, &user, &why, &unknown);
		if (o == SASL_PROVED || c->sasl.tokens.count == 0) {
			token_said(e, o, user, why);
			return;
		}
	}
#endif
	e->token_at = 0;
	e->why = NULL;
	token_ask(e);
}

/* ---- what is read once, or anew ---- */

#ifdef MANSIO_GSSAPI
/* The file is root's: its bytes are ours, and the library wants a name for them, for this moment. */
static bool
keytab_take(const char *path, struct bytes keys, struct buffer *errors)
{
	int  fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool good = fd >= 0 && write(fd, keys.at, keys.len) == (ssize_t)keys.len &&
	            gssapi_open(path, errors);

	if (fd >= 0)
		(void)close(fd);
	(void)unlink(path);
	return good;
}

static bool
keytab_is_new(struct clerk *c, struct bytes keys)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int  len = 0;

	if (EVP_Digest(keys.at, keys.len, digest, &len, EVP_sha256(), NULL) != 1 ||
	    memcmp(digest, c->keys_seen, sizeof c->keys_seen) == 0)
		return false;
	memcpy(c->keys_seen, digest, sizeof c->keys_seen);
	return true;
}

static void
keytab_open(struct house *h)
{
	struct buffer keys = { 0 }, errors = { 0 };

	if (house_resource(h, "krb5-keytab") < 0 ||
	    house_resource_read(h, "krb5-keytab", &keys) != 0 ||
	    !keytab_is_new(h->mine, buffer_bytes(&keys))) {
		if (keys.len > 0)
			explicit_bzero(keys.at, keys.len);
		buffer_free(&keys);
		return;
	}
	if (!keytab_take(house_path(h, "directory/keytab"), buffer_bytes(&keys), &errors))
		fault("auth_krb5_keytab: no logins by GSSAPI: %.*s", (int)errors.len, errors.at);
	explicit_bzero(keys.at, keys.len);
	buffer_free(&keys);
	buffer_free(&errors);
}
#endif

void
clerk_sasl_settings(struct clerk *c, struct house *h)
{
	if (!house_settings(h, &sasl_setting_table, NULL, &c->sasl))
		return; /* the postmaster checks before it tells; said there */
#ifdef MANSIO_GSSAPI
	keytab_open(h);
#endif
#ifdef MANSIO_OAUTH
	const char *text = house_resource_text(h, "oauth-jwks");

	token_keys_close(&c->tokens);
	if (text != NULL && *text != '\0' && (c->tokens = token_keys_open(bytes_of(text))) == NULL)
		fault("oauth_jwks_file: there is no key in it that tokens could be checked with");
#endif
}

/* ---- steps ---- */

/* Who a Kerberos principal is, and whether he acts as himself.  False: nobody here. */
static bool
principal_named(struct exchange *e, struct bytes *user)
{
	struct bytes acting = sasl_acting(e->sasl);

#ifdef MANSIO_GSSAPI
	struct bytes realm = bytes_of(gssapi_realm());
#else
	struct bytes realm = { NULL, 0 };
#endif

	return gssapi_user(sasl_user(e->sasl), realm, &clerk_of(e->house)->sasl.realms, e->life,
	                   user) &&
	       sasl_acts_for_self(acting, *user);
}

/* The mechanism is content: now the account must be there, and not barred. */
static void
exchange_proved(struct exchange *e, struct bytes last)
{
	struct bytes user = sasl_user(e->sasl);
	bool         known = true;

	last = arena_keep(e->life, last);
	if (sasl_slow(e->sasl) && !(known = principal_named(e, &user)))
		user = arena_keep(e->life, sasl_user(e->sasl));
	if (!exchange_name(e, user))
		exchange_later(e, "directory is not available");
	else if (!known)
		exchange_refuse(e, AUTH_BAD, "a principal who is nobody here");
	else if (!exchange_guarded(e))
		chain_proved(e, last);
}

static void
exchange_stepped(struct exchange *e, enum sasl_outcome o, struct bytes said)
{
	struct link *l;
	const char  *why;

	if (o != SASL_MORE && *sasl_note(e->sasl) != '\0')
		note("login by SASL from %s: %s", e->network, sasl_note(e->sasl));
	switch (o) {
	case SASL_MORE:
		l = house_link(e->house, e->role, e->index);
		if (l != NULL)
			link_say(l, WORD_AUTH_MORE, e->ticket, said, -1);
		break;
	case SASL_CHECK:
		if (sasl_acting(e->sasl).len > 0)
			master_as(e, sasl_acting(e->sasl), sasl_user(e->sasl),
			          sasl_password(e->sasl));
		else
			exchange_check(e, sasl_user(e->sasl), sasl_password(e->sasl));
		break;
	case SASL_TOKEN: exchange_token(e); break;
	case SASL_PROVED: exchange_proved(e, said); break;
	case SASL_REFUSED:
		if (e->user.len == 0)
			e->user = sasl_user(e->sasl);
		why = *sasl_note(e->sasl) != '\0' ? sasl_note(e->sasl)
		      : e->counted.len == 0       ? "may not act for another"
		      : e->who.account == 0       ? "unknown user"
		                                  : "password mismatch";
		if (e->counted.len > 0 && sasl_by_stored(e->sasl))
			chain_doubt(e, why);
		else
			exchange_refuse(e, AUTH_BAD, why);
		break;
	case SASL_SYNTAX:
		if (e->user.len == 0)
			e->user = sasl_user(e->sasl);
		exchange_refuse(e, AUTH_SYNTAX, "broken SASL message");
		break;
	case SASL_LATER: exchange_later(e, "directory is not available"); break;
	}
}

static void
slow_run(void *ctx)
{
	struct exchange *e = ctx;

	e->outcome = sasl_step(e->sasl, e->has_heard, e->heard, &e->said);
}

static void
slow_done(void *ctx)
{
	struct exchange *e = ctx;

	e->busy = false;
	if (e->dropped)
		exchange_close(e);
	else
		exchange_stepped(e, e->outcome, buffer_bytes(&e->said));
}

void
exchange_step(struct exchange *e, bool has_input, struct bytes input)
{
	struct buffer     out = { 0 };
	enum sasl_outcome o;

	if (exchange_guarded(e))
		return;
	if (sasl_slow(e->sasl)) {
		buffer_reset(&e->said);
		e->heard = arena_keep(e->life, input);
		e->has_heard = has_input;
		e->busy = true;
		loop_job(e->house->loop, slow_run, slow_done, e);
		return;
	}
	o = sasl_step(e->sasl, has_input, input, &out);
	if (o == SASL_LATER && e->question != 0) {
		e->heard = arena_keep(e->life, input);
		e->has_heard = has_input;
	} else
		exchange_stepped(e, o, buffer_bytes(&out));
	buffer_free(&out);
}

/* rfc4422:4  What mechanisms know of our listeners: whose mail it is to submit is smtp (rfc4954:3), POP3 is pop (rfc5034:6). */
static const char *
service_name(const char *listener)
{
	static const struct {
		const char *listener, *service;
	} names[] = {
		{ "submission", "smtp" },
		{ "submissions", "smtp" },
		{ "lmtp", "smtp" },
		{ "pop3", "pop" },
	};

	for (size_t i = 0; i < COUNT(names); i++)
		if (strcmp(listener, names[i].listener) == 0)
			return names[i].service;
	return listener;
}

bool
exchange_sasl(struct exchange *e, const struct word_auth_start *w)
{
	struct sasl_binding binding[TLS_BINDINGS];
	struct tls_channel  channel;
	struct sasl_facts   f = { .service = service_name(w->service),
		                  .host = e->house->common.myhostname,
		                  .realm = clerk_of(e->house)->rows.default_realm,
		                  .tls = w->tls,
		                  .plus = w->plus,
		                  .binding = binding };

	if (!tls_channel_read(w->binding, &channel))
		return false;
	for (int i = 0; i < TLS_BINDINGS && channel.binding[i].type != NULL; i++)
		binding[f.bindings++] =
			(struct sasl_binding){ channel.binding[i].type, channel.binding[i].data };
	f.certificate = (struct sasl_certificate){ channel.trusted, channel.fingerprint,
		                                   channel.subject, channel.mail };
	e->sasl = sasl_begin(w->mechanism, &f, &sasl_needs, e);
	if (e->sasl == NULL)
		return false;
	exchange_step(e, w->has_initial, w->initial);
	return true;
}

void
exchange_forget(struct exchange *e)
{
	if (e->enquiring)
		enquiry_drop(clerk_of(e->house)->enquiries, &e->token);
	e->enquiring = false;
	sasl_end(&e->sasl);
	if (e->said.len > 0)
		explicit_bzero(e->said.at, e->said.len);
	buffer_free(&e->said);
}
