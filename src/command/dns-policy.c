/* dns-policy -- the policy of MTA-STS (rfc8461): what the web server gives to everybody, and whether our host can stand by it */

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "command/dns_inner.h"
#include "command/sts.h"
#include "role/settings.h"
#include "smtp/sender/settings.h"
#include "smtp/sender/sts.h"

enum { DAY_S = 86400, WEEK_S = 7 * DAY_S };

struct policing {
	struct facts     *facts;
	struct inquiry   *ask;
	struct findings  *out;
	SSL_CTX          *ctx;
	const char       *web;
	struct sts_policy policy;
};

static const char *const modes[] = { "none", "testing", "enforce" };

__attribute__((format(printf, 3, 4))) static struct finding *
say(struct policing *p, enum finding_state state, const char *form, ...)
{
	struct finding *one = finding_new(p->out, state, bytes_of(p->web), "MTA-STS");
	struct buffer   text = { 0 };
	va_list         list;

	va_start(list, form);
	buffer_vprintf(&text, form, list);
	va_end(list);
	one->says = arena_copy(p->facts->life, buffer_bytes(&text));
	buffer_free(&text);
	return one;
}

/* The lines of the policy that would be right, in one. */
static const char *
right_text(struct policing *p)
{
	struct buffer text = { 0 }, line = { 0 };
	struct bytes  rest, one;
	const char   *kept;

	policy_text(p->facts, &text);
	rest = buffer_bytes(&text);
	while (bytes_split(&rest, '\n', &one))
		if (bytes_trim(one).len > 0)
			buffer_printf(&line, "%s%.*s", line.len > 0 ? " / " : "",
			              (int)bytes_trim(one).len, one.at);
	kept = arena_printf(p->facts->life, "at https://%s/.well-known/mta-sts.txt: %.*s", p->web,
	                    (int)line.len, line.at);
	buffer_free(&text);
	buffer_free(&line);
	return kept;
}

/* Those whom senders trust: smtp_mta_sts_CAfile. */
static SSL_CTX *
trusted(struct facts *f)
{
	SSL_CTX               *ctx = SSL_CTX_new(TLS_client_method());
	struct sender_settings set;
	bool known = settings_fill(f->settings, &sender_setting_table, NULL, &set, NULL);

	if (ctx == NULL)
		return NULL;
	if (!known || *set.sts_authorities == '\0' ||
	    SSL_CTX_load_verify_locations(ctx, set.sts_authorities, NULL) != 1)
		(void)SSL_CTX_set_default_verify_paths(ctx);
	ERR_clear_error();
	return ctx;
}

/* rfc8461:4.1: a host that the policy does not name gets nothing of who obeys it. */
static void
judge_hosts(struct policing *p)
{
	const struct answer *mx = inquiry_ask(p->ask, bytes_of(p->facts->domain), DNS_MX);
	char                 name[256];

	for (size_t i = 0; i < mx->records; i++) {
		if (!bytes_string(mx->record[i].name, name, sizeof name) ||
		    sts_allows(&p->policy, name))
			continue;
		say(p, FOUND_WRONG,
		    "The policy (%s) does not name %s, which MX names: who obeys it sends no letter there.",
		    modes[p->policy.mode], name)
			->act =
			arena_printf(p->facts->life,
		                     "mx: %s, in the policy; and another id in the record", name);
	}
}

/* What senders will ask of the chain we show, as far as files tell. */
static const char *
chain_fault(struct policing *p, X509 *leaf, STACK_OF(X509) * above)
{
	X509_STORE_CTX *v = X509_STORE_CTX_new();
	const char     *why = NULL;

	if (X509_check_host(leaf, p->facts->host, 0, 0, NULL) != 1)
		why = "it is not for that name";
	else if (v != NULL &&
	         X509_STORE_CTX_init(v, SSL_CTX_get_cert_store(p->ctx), leaf, above) == 1 &&
	         X509_verify_cert(v) != 1)
		why = X509_verify_cert_error_string(X509_STORE_CTX_get_error(v));
	X509_STORE_CTX_free(v);
	ERR_clear_error();
	return why;
}

static X509 *
certificate_of(const struct certificate *c)
{
	const unsigned char *at = (const unsigned char *)c->whole.at;

	return d2i_X509(NULL, &at, (long)c->whole.len);
}

static void
judge_certificates(struct policing *p)
{
	const struct facts *f = p->facts;
	STACK_OF(X509) *above = sk_X509_new_null();
	const char *why;

	for (size_t i = 0; i < f->certificates; i++)
		if (!f->certificate[i].is_leaf)
			(void)sk_X509_push(above, certificate_of(&f->certificate[i]));
	for (size_t i = 0; i < f->certificates; i++) {
		X509 *leaf = f->certificate[i].is_leaf ? certificate_of(&f->certificate[i]) : NULL;

		if (leaf != NULL && (why = chain_fault(p, leaf, above)) != NULL)
			say(p, p->policy.mode == STS_ENFORCE ? FOUND_WRONG : FOUND_ADVICE,
			    "The policy (%s) asks for a certificate of %s that all trust, and ours is none: %s.",
			    modes[p->policy.mode], f->host, why)
				->act =
				"smtpd_tls_chain_files = the key and the chain of an authority that all trust; until then mode: testing";
		X509_free(leaf);
	}
	sk_X509_pop_free(above, X509_free);
}

static void
judge_policy(struct policing *p, const char *text)
{
	enum finding_state state = FOUND_RIGHT;
	size_t             before = p->out->count;

	if (p->policy.mode == STS_NONE) {
		say(p, FOUND_ADVICE,
		    "The policy is none: nobody asks for TLS because of it (rfc8461:8.3).")
			->there = text;
		return;
	}
	judge_hosts(p);
	judge_certificates(p);
	if (p->policy.age_s < WEEK_S)
		say(p, FOUND_ADVICE,
		    "The policy holds for %lld hours: who takes it away for so long has its effect ended. Weeks are usual (rfc8461:3.2).",
		    (long long)p->policy.age_s / 3600)
			->act = "max_age: 1209600";
	if (p->policy.mode == STS_TESTING)
		say(p, FOUND_ADVICE,
		    "The policy is being tested: others report what fails, and send all the same. When reports are quiet write enforce.")
			->act = "mode: enforce, and another id in the record";
	for (size_t i = before; i < p->out->count; i++)
		state = p->out->one[i].state == FOUND_WRONG ? FOUND_WRONG : state;
	if (state == FOUND_RIGHT)
		say(p, FOUND_RIGHT,
		    "The web server gives a policy (%s) that names the hosts of MX, for %lld days.",
		    modes[p->policy.mode], (long long)p->policy.age_s / DAY_S)
			->there = text;
}

/* Text as it is shown: lines by slashes. */
static const char *
shown(struct facts *f, struct bytes text)
{
	struct buffer line = { 0 };
	struct bytes  one;
	const char   *kept;

	text = bytes_cut(text, 0, 600);
	while (bytes_split(&text, '\n', &one)) {
		one = bytes_trim(one);
		if (one.len > 0 && line.len > 0)
			buffer_add_string(&line, " / ");
		for (size_t i = 0; i < one.len; i++)
			buffer_add_char(&line,
			                one.at[i] < ' ' || one.at[i] == 127 ? '?' : one.at[i]);
	}
	kept = arena_copy(f->life, buffer_bytes(&line));
	buffer_free(&line);
	return kept;
}

/* Until the web server gives it, nothing must announce it. */
static void
take_back(struct policing *p, struct finding *one, const struct answer *a)
{
	struct buffer text = { 0 };

	for (size_t i = 0; i < a->records; i++) {
		buffer_reset(&text);
		if (answer_strings(&a->record[i], &text) &&
		    bytes_starts_nocase(buffer_bytes(&text), BYTES("v=STSv1")))
			finding_erase(p->facts, one, a->name, DNS_TXT, &a->record[i]);
	}
	buffer_free(&text);
	one->act = arena_printf(
		p->facts->life,
		"delete that until the web server gives this policy; better, have it: %s",
		one->act);
}

void
dns_judge_policy(struct facts *f, struct inquiry *ask, struct findings *out)
{
	const char     *record = arena_printf(f->life, "_mta-sts.%s", f->domain), *why = NULL;
	struct policing p = {
		.facts = f,
		.ask = ask,
		.out = out,
		.ctx = trusted(f),
		.web = arena_printf(f->life, "mta-sts.%s", f->domain),
	};
	struct buffer text = { 0 };
	char          id[STS_ID_MOST + 1];

	if (p.ctx != NULL && sts_record(inquiry_ask(ask, bytes_of(record), DNS_TXT), id)) {
		why = sts_fetch(ask, p.ctx, f->domain, f->life, &text);
		if (why != NULL || !sts_read(buffer_bytes(&text), f->life, &p.policy, &why)) {
			struct finding *one =
				say(&p, FOUND_WRONG,
			            "A policy is announced and nobody gets it: %s.", why);

			one->there = shown(f, buffer_bytes(&text));
			one->act = right_text(&p);
			take_back(&p, one, inquiry_ask(ask, bytes_of(record), DNS_TXT));
		} else {
			judge_policy(&p, shown(f, buffer_bytes(&text)));
		}
	}
	SSL_CTX_free(p.ctx);
	buffer_free(&text);
}
