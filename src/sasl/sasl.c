#include "sasl/sasl.h"
#include "base/base64.h"
#include "base/random.h"
#include <string.h>

static const struct sasl_mechanism *const mechanisms[] = {
	&sasl_plain,         &sasl_login,
	&sasl_scram_sha_256, &sasl_scram_sha_256_plus,
	&sasl_scram_sha_1,   &sasl_scram_sha_1_plus,
	&sasl_external,      &sasl_oauthbearer,
	&sasl_xoauth2,       &sasl_otp,
	&sasl_cram_md5,      &sasl_digest_md5,
	&sasl_ntlm,          &sasl_anonymous,
#ifdef MANSIO_GSSAPI
	&sasl_gssapi,
#endif
};

static const struct sasl_mechanism *
mechanism_of(struct bytes name)
{
	for (size_t i = 0; i < COUNT(mechanisms); i++)
		if (bytes_is(name, mechanisms[i]->name))
			return mechanisms[i];
	return NULL;
}

bool
sasl_known(struct bytes name, enum sasl_source *source, unsigned *traits)
{
	const struct sasl_mechanism *m = mechanism_of(name);

	if (m == NULL)
		return false;
	*source = m->source;
	*traits = m->traits;
	return true;
}

/* ---- what is offered ---- */

/* Until it is told, a process offers what lets everybody in. */
static bool muted[SASL_HASHES] = { true, true };

void
sasl_mute(enum sasl_hash hash, bool mute)
{
	muted[hash] = mute;
}

/* "auto" */
static const struct {
	const char *name;
	int         hash; /* of its verifier, -1 it needs none */
} autos[] = { { "PLAIN", -1 },
	      { "LOGIN", -1 },
	      { "SCRAM-SHA-256", SASL_SHA256 },
	      { "SCRAM-SHA-1", SASL_SHA1 } };

const char *
sasl_next(const struct setting_list *list, struct sasl_place *p)
{
	for (; p->item < list->count; p->item++, p->within = 0) {
		if (strcmp(list->item[p->item], "auto") != 0)
			return list->item[p->item++];
		while (p->within < COUNT(autos)) {
			size_t i = p->within++;

			if (autos[i].hash < 0 || !muted[autos[i].hash])
				return autos[i].name;
		}
	}
	return NULL;
}

/* Why a mechanism that is on the list cannot be had on this connection. */
static enum sasl_bar
barred(const struct sasl_offer *o, const struct sasl_mechanism *m)
{
	if ((m->traits & SASL_PLAINTEXT) && !o->tls && !o->plain_in_clear)
		return SASL_NEEDS_TLS;
	if (m->traits & o->banned)
		return SASL_TOO_WEAK;
	if (((m->traits & SASL_BINDS) && !o->tls) ||
	    ((m->traits & SASL_CERTIFIED) && !o->certificate) ||
	    ((m->traits & SASL_NOT_SMTP) && strcmp(o->service, "smtp") == 0))
		return SASL_NO_CHANNEL;
	return SASL_OFFERED;
}

enum sasl_bar
sasl_offers(const struct sasl_offer *o, struct bytes mechanism)
{
	const struct sasl_mechanism *m = mechanism_of(mechanism);
	struct sasl_place            p = { 0 };
	const char                  *name;

	while (m != NULL && (name = sasl_next(o->list, &p)) != NULL)
		if (bytes_is(mechanism, name))
			return barred(o, m);
	return SASL_UNKNOWN;
}

bool
sasl_list(const struct sasl_offer *o, const char *before, struct buffer *out)
{
	struct sasl_place p = { 0 };
	const char       *name;
	bool              any = false;

	while ((name = sasl_next(o->list, &p)) != NULL) {
		const struct sasl_mechanism *m = mechanism_of(bytes_of(name));

		if (m == NULL || barred(o, m) != SASL_OFFERED)
			continue;
		buffer_printf(out, "%s%s", before, m->name);
		any = true;
	}
	return any;
}

bool
sasl_binds(const struct sasl_offer *o)
{
	struct sasl_place p = { 0 };
	const char       *name;

	while ((name = sasl_next(o->list, &p)) != NULL) {
		const struct sasl_mechanism *m = mechanism_of(bytes_of(name));

		if (m != NULL && (m->traits & SASL_BINDS) && barred(o, m) == SASL_OFFERED)
			return true;
	}
	return false;
}

bool
sasl_options(const struct setting_list *list, unsigned *banned, const char **wrong)
{
	/* clang-format off */
	static const struct { const char *word; unsigned traits; } words[] = {
		{ "noplaintext",     SASL_PLAINTEXT },
		{ "noactive",        SASL_ACTIVE },
		{ "nodictionary",    SASL_DICTIONARY },
		{ "noanonymous",     SASL_ANONYMOUS },
		{ "mutual_auth",     SASL_ONE_SIDED },
		{ "forward_secrecy", SASL_NO_SECRECY },
	};
	/* clang-format on */

	*banned = 0;
	for (size_t i = 0; i < list->count; i++) {
		size_t w = 0;
		while (w < COUNT(words) && !bytes_is(bytes_of(list->item[i]), words[w].word))
			w++;
		if (w == COUNT(words)) {
			*wrong = list->item[i];
			return false;
		}
		*banned |= words[w].traits;
	}
	return true;
}

/* ---- an exchange ---- */

static struct sasl_facts
facts_keep(struct arena *a, const struct sasl_facts *f)
{
	struct sasl_facts    kept = *f;
	struct sasl_binding *binding = arena_take_array(a, f->bindings + 1, sizeof *binding);

	for (size_t i = 0; i < f->bindings; i++) {
		binding[i].type = arena_copy(a, bytes_of(f->binding[i].type));
		binding[i].data = arena_keep(a, f->binding[i].data);
	}
	kept.binding = binding;
	kept.service = arena_copy(a, bytes_of(f->service));
	kept.host = arena_copy(a, bytes_of(f->host));
	kept.certificate.fingerprint = arena_keep(a, f->certificate.fingerprint);
	kept.certificate.subject = arena_keep(a, f->certificate.subject);
	kept.certificate.mail = arena_keep(a, f->certificate.mail);
	return kept;
}

struct sasl *
sasl_begin(struct bytes name, const struct sasl_facts *facts, const struct sasl_needs *needs,
           void *ctx)
{
	const struct sasl_mechanism *m = mechanism_of(name);
	struct sasl                 *s;

	if (m == NULL || ((m->traits & SASL_BINDS) && facts->bindings == 0) ||
	    ((m->traits & SASL_CERTIFIED) && facts->certificate.fingerprint.len == 0) ||
	    ((m->traits & SASL_NOT_SMTP) && strcmp(facts->service, "smtp") == 0))
		return NULL;
	s = memory_take(sizeof *s);
	*s = (struct sasl){ .mechanism = m,
		            .needs = needs,
		            .needs_ctx = ctx,
		            .note = "",
		            .life = arena_open(NULL) };
	s->facts = facts_keep(s->life, facts);
	if (m->begin != NULL && !m->begin(s))
		sasl_end(&s);
	return s;
}

void
sasl_end(struct sasl **sp)
{
	struct sasl *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	if (s->mechanism->end != NULL)
		s->mechanism->end(s);
	if (s->password.len > 0)
		explicit_bzero((char *)(uintptr_t)s->password.at, s->password.len);
	arena_close(&s->life);
	memory_free(s);
}

enum sasl_outcome
sasl_step(struct sasl *s, bool has_input, struct bytes input, struct buffer *out)
{
	enum sasl_outcome o;

	/* No mechanism of ours needs more turns than this. */
	if (++s->steps > 8 || input.len > SASL_MESSAGE_MOST)
		return SASL_SYNTAX;
	o = s->mechanism->step(s, has_input, input, out);
	if (o == SASL_LATER) {
		s->steps--;
		s->trouble = SASL_MORE;
	}
	return o;
}

enum sasl_outcome
sasl_token_said(struct sasl *s, enum sasl_outcome o, struct bytes user, struct buffer *out)
{
	if (o == SASL_PROVED)
		s->user = arena_keep(s->life, user);
	return s->mechanism->judged != NULL ? s->mechanism->judged(s, o, out) : o;
}

struct bytes
sasl_user(const struct sasl *s)
{
	return s->user;
}

struct bytes
sasl_password(const struct sasl *s)
{
	return s->password;
}

struct bytes
sasl_acting(const struct sasl *s)
{
	return s->acting;
}

bool
sasl_proves_otherwise(const struct sasl *s)
{
	enum sasl_source by = s->mechanism->source;

	return by == SASL_BY_CERTIFICATE || by == SASL_BY_KEYTAB || by == SASL_BY_ISSUER;
}

bool
sasl_by_stored(const struct sasl *s)
{
	enum sasl_source by = s->mechanism->source;

	return by == SASL_BY_VERIFIER || by == SASL_BY_SECRET;
}

bool
sasl_slow(const struct sasl *s)
{
	return (s->mechanism->traits & SASL_SLOW) != 0;
}

const char *
sasl_note(const struct sasl *s)
{
	return s->note;
}

/* ---- for the mechanisms ---- */

bool
sasl_acts_for_self(struct bytes acting, struct bytes user)
{
	return acting.len == 0 || bytes_equal_nocase(acting, user);
}

const char *
sasl_random(struct sasl *s, size_t len)
{
	unsigned char raw[64];
	struct buffer b = { 0 };
	const char   *text;

	if (s->facts.random != NULL)
		return s->facts.random;
	random_fill(raw, sizeof raw);
	base64_encode(&b, (struct bytes){ (const char *)raw, len < sizeof raw ? len : sizeof raw });
	text = arena_copy(s->life, buffer_bytes(&b));
	buffer_free(&b);
	return text;
}
