/* sender-tls -- how sure a connection to a destination must be (smtp/sender/security.h), and what TLS that takes */
#include "channel/tls_rules.h"
#include "role/sender.h"
#include "role/tls-settings.h"
#include "role/tls.h"
#include <stdio.h>
#include <string.h>

enum { CONTEXTS_MOST = 32, ANCHORS_MOST = 200 };
#define HIGH "HIGH"
#define MEDIUM "DEFAULT"

struct sender_tls {
	struct sender_tls *next;
	char              *key;
	struct tls        *tls;
};

/* ---- by destination ---- */

static enum table_outcome
policy_find(struct delivery *d, struct bytes destination, struct bytes *value)
{
	const struct setting_list *tables =
		d->w.lmtp ? &d->rows->lmtp_tls_policies : &d->rows->tls_policies;
	struct bytes key = { NULL, 0 };

	while (tables->count > 0 && security_next(destination, &key)) {
		enum table_outcome o = sender_lookup(d, tables, key, value);

		if (o != TABLE_NONE)
			return o;
	}
	return TABLE_NONE;
}

/* Nobody may go there; `type` says so in a report, "" it is no matter of one. */
static enum wishes
cannot(struct delivery *d, const char *why, const char *type)
{
	d->status = "4.7.5";
	d->text = why;
	if (*type != '\0')
		sender_tls_result(d, type, why);
	return WISHES_NOT;
}

/* What the settings and the table ask of the destination. */
static enum wishes
settings_wish(struct delivery *d)
{
	const struct word_send *w = &d->w;
	struct bytes            value;
	const char             *why;

	d->row = "";
	security_set(d->rows, w->lmtp, d->life, &d->security);
	switch (policy_find(d, arena_lower(d->life, bytes_of(w->nexthop)), &value)) {
	case TABLE_NONE: return WISHES_KNOWN;
	case TABLE_FOUND: break;
	case TABLE_WAIT: return WISHES_WAIT;
	default: return cannot(d, "TLS policy table lookup error", "");
	}
	d->row = arena_copy(d->life, value);
	if (security_read(value, d->rows, d->life, &d->security, &why))
		return WISHES_KNOWN;
	warn_("smtp_tls_policy_maps: %s: %s", w->nexthop, why);
	return cannot(d, "client TLS configuration problem", "");
}

/* ---- by what is proved of the host (rfc7672) ---- */

/* What there is instead where DANE is not to be had. */
static enum wishes
without_dane(struct delivery *d, int level, const char *why)
{
	if (d->security.level == SECURITY_DANE_ONLY)
		return cannot(d, why, "dane-required");
	security_become(d->rows, d->life, level, &d->security);
	return WISHES_KNOWN;
}

/* What TLSA records are worth behind an MX record that nothing proves. */
static int
behind_insecure_mx(const struct sender_settings *r)
{
	switch (r->insecure_mx) {
	case INSECURE_MX_MAY: return SECURITY_MAY;
	case INSECURE_MX_ENCRYPT: return SECURITY_ENCRYPT;
	case INSECURE_MX_DANE: return SECURITY_DANE;
	default: return r->tls_level == SECURITY_DANE + 1 ? SECURITY_DANE : SECURITY_MAY;
	}
}

static enum wishes
host_wishes(struct delivery *d, const struct route_host *h)
{
	bool                proved = h->believed || !h->named;
	int                 behind = proved ? SECURITY_DANE : behind_insecure_mx(d->rows);
	struct tlsa_request q = { .host = h->asked,
		                  .domain = proved ? h->domain : "",
		                  .port = h->peer.port,
		                  .v4 = h->peer.family == AF_INET,
		                  .v6 = h->peer.family == AF_INET6,
		                  .ask = delivery_ask,
		                  .ctx = d };

	if (!proved && (behind == SECURITY_MAY || d->security.level == SECURITY_DANE_ONLY))
		return without_dane(d, SECURITY_MAY, "non DNSSEC destination");
	switch (tlsa_find(&q, d->life, &d->dane)) {
	case TLSA_WAIT: return WISHES_WAIT;
	case TLSA_NONE: return without_dane(d, SECURITY_MAY, "no TLSA records found");
	case TLSA_UNUSABLE:
		sender_tls_result(d, "tlsa-invalid", "no TLSA record of it can be used");
		return without_dane(d, SECURITY_ENCRYPT, "TLSA records unusable");
	case TLSA_LATER: return cannot(d, d->dane.why, "dnssec-invalid");
	case TLSA_FOUND: break;
	}
	if (behind == SECURITY_ENCRYPT)
		return without_dane(d, SECURITY_ENCRYPT, "");
	d->security.level = SECURITY_DANE;
	return WISHES_KNOWN;
}

/* ---- by what its domain says of it (rfc8461) ---- */

static enum wishes
policy_wishes(struct delivery *d, const struct route_host *h)
{
	static const char *const failures[] = { [STS_UNREACHED] = "sts-policy-fetch-error",
		                                [STS_UNTRUSTED] = "sts-webpki-invalid",
		                                [STS_INVALID] = "sts-policy-invalid" };
	static const char *const hostname[] = { "hostname" };
	enum sts_outcome         o = sender_sts(d, h->domain);
	bool                     allowed;

	if (o == STS_WAIT)
		return WISHES_WAIT;
	if (d->sts_failure != STS_FETCHED)
		sender_tls_result(d, failures[d->sts_failure], "");
	if (o == STS_ABSENT)
		return WISHES_KNOWN;
	d->by_sts = true;
	allowed = sts_allows(&d->sts->policy, h->asked);
	if (d->sts->policy.mode == STS_TESTING) {
		if (!allowed)
			sender_tls_result(d, "validation-failure", "the policy does not name it");
		d->security.public = allowed; /* how it would be is told */
		return WISHES_KNOWN;
	}
	if (!allowed)
		return cannot(d, "the host is none of those its domain's policy names (MTA-STS)",
		              "validation-failure");
	security_become(d->rows, d->life, SECURITY_VERIFY, &d->security);
	d->security.match = (struct setting_list){ hostname, 1 };
	d->security.public = true;
	return WISHES_KNOWN;
}

/* ---- by the letter (rfc8689) ---- */

/* rfc8689:4.2.1: whose host it is must be proved by DNSSEC or a policy, or be said here; and who it is by a certificate. */
static enum wishes
letter_wishes(struct delivery *d, const struct route_host *h)
{
	static const char *const hostname[] = { "hostname" };
	bool                     sure = h == NULL || h->bracketed || h->believed || d->by_sts;

	if ((d->w.flags & ENVELOPE_REQUIRETLS) == 0 || d->security.level >= SECURITY_DANE)
		return WISHES_KNOWN;
	if (!sure)
		return cannot(d, "REQUIRETLS: nothing proves whose host it is", "");
	security_become(d->rows, d->life, SECURITY_VERIFY, &d->security);
	d->security.match = (struct setting_list){ hostname, 1 };
	d->security.public = house_resource_text(d->house, "authorities/public") != NULL;
	return WISHES_KNOWN;
}

enum wishes
sender_wishes(struct delivery *d, const struct route_host *h)
{
	const struct sender_role *s = sender_of(d->house);
	bool asks = d->rows->dns_support != DNS_SUPPORT_DISABLED && !d->rows->no_dns &&
	            d->rows->dns_support != DNS_SUPPORT_ENABLED && s->resolver != NULL;
	bool        optional = (d->w.flags & ENVELOPE_TLS_OPTIONAL) != 0;
	enum wishes w = settings_wish(d);

	d->by_sts = false;
	d->sts = NULL;
	d->dane.records = 0;
	/* rfc8689:5: whoever says so would rather have it read than lost. */
	if (w == WISHES_KNOWN && optional && d->security.level > SECURITY_MAY)
		security_become(d->rows, d->life, SECURITY_MAY, &d->security);
	if (w == WISHES_KNOWN &&
	    (d->security.level == SECURITY_DANE || d->security.level == SECURITY_DANE_ONLY))
		w = h != NULL && asks ? host_wishes(d, h)
		                      : without_dane(d, SECURITY_MAY,
		                                     "DANE needs a name service that is proved");
	if (w == WISHES_KNOWN && d->rows->sts && !optional && h != NULL && !h->bracketed &&
	    !d->w.lmtp && s->resolver != NULL &&
	    (d->row[0] == '\0' || d->security.level == SECURITY_MAY) &&
	    (d->security.level == SECURITY_MAY || d->security.level == SECURITY_ENCRYPT) &&
	    house_resource_text(d->house, "authorities/public") != NULL)
		w = policy_wishes(d, h);
	return w == WISHES_KNOWN ? letter_wishes(d, h) : w;
}

/* ---- contexts ---- */

static const char *
ciphers_of(const struct tls_rows *r, const struct security *c, struct arena *a,
           struct buffer *errors)
{
	bool          high = strcmp(c->grade, "high") == 0;
	const char   *said = high ? r->high : r->medium, *kept = NULL;
	struct buffer out = { 0 };

	if (*said == '\0')
		said = high ? HIGH : MEDIUM;
	if (tls_ciphers_outgoing(bytes_of(said), bytes_of(c->exclude), &out))
		kept = arena_copy(a, buffer_bytes(&out));
	else
		buffer_printf(errors, "%s: write names of ciphers, as aNULL, RC4\n", c->exclude);
	buffer_free(&out);
	return kept;
}

/* What is shown to hosts that ask for a certificate.  Without one mail goes on: the host decides what that is worth. */
static void
add_certificates(struct house *h, const struct sender_settings *r, struct tls *t, struct arena *a)
{
	struct tls_signer signer = house_signer(h);
	struct buffer     errors = { 0 };
	struct tls_chains chains;
	struct bytes      rest, chain;
	const char       *text;

	tls_client_chains(r, a, &chains);
	for (size_t i = 0; i < chains.count; i++) {
		text = house_tls_chain(h, "client-certificate", bytes_of(chains.chain[i].files),
		                       &signer);
		rest = bytes_of(text != NULL ? text : "");
		while (tls_next_chain(&rest, &chain)) {
			if (tls_add_certificate(t, chain, &errors))
				continue;
			fault("%s: not shown to other hosts: %.*s", chains.chain[i].files,
			      (int)errors.len - 1, errors.at);
			buffer_reset(&errors);
		}
	}
	buffer_free(&errors);
}

/* Those of its transport, if it has others than all have. */
static const char *
authorities_for(struct house *h, const struct sender_settings *r, const struct security *c,
                struct arena *a)
{
	const char *own = NULL;

	for (struct map_place p = { 0 }; !c->public && map_next(sender_of(h)->rows_of, &p);)
		if (p.value == r)
			own = house_resource_text(h, arena_printf(a, "authorities/sender/%.*s",
			                                          (int)p.key.len, p.key.at));
	return own != NULL ? own
	                   : house_resource_text(h, c->public ? "authorities/public"
	                                                      : "authorities/sender");
}

static void
trace_tls(const char *line)
{
	note("TLS: %s", line);
}

/* `shows`: what smtp_tls_cert_file says. */
static struct tls *
tls_make(struct house *h, const struct sender_settings *r, const struct security *c, bool shows,
         struct arena *a, struct buffer *errors)
{
	struct tls_signer   signer = house_signer(h);
	struct tls         *t;
	const char         *authorities = authorities_for(h, r, c, a);
	struct buffer       curves = { 0 };
	struct tls_rows     rows;
	struct tls_settings set = {
		.protocols = c->protocols,
		.session_id = "",
		.authorities = bytes_of(authorities != NULL ? authorities : ""),
		.verify_depth = (int)r->tls_depth,
		.digest = r->tls_digest,
		.ticket_s = r->session_ms >= 1000 ? r->session_ms / 1000 : -1,
		.trace = r->tls_loglevel >= 2 ? trace_tls : NULL,
		.dump = r->tls_loglevel >= 4   ? TLS_DUMPS_ALL
		        : r->tls_loglevel >= 3 ? TLS_DUMPS_HANDSHAKES
		                               : TLS_DUMPS_NOTHING,
	};

	if (!house_settings(h, &tls_setting_table, NULL, &rows) ||
	    (set.ciphers = ciphers_of(&rows, c, a, errors)) == NULL)
		return NULL;
	tls_curves(bytes_of(rows.curves), &curves);
	set.curves = arena_copy(a, buffer_bytes(&curves));
	buffer_free(&curves);
	t = tls_open_outgoing(&set, &signer, errors);
	if (t != NULL && shows)
		add_certificates(h, r, t, a);
	return t;
}

static struct tls *
context_for(struct house *h, const struct sender_settings *r, const struct security *c, bool shows)
{
	struct sender_role *s = sender_of(h);
	struct arena       *a = arena_open(NULL);
	struct buffer       errors = { 0 };
	const char        *key = arena_printf(a, "%p;%s;%s;%s;%d;%d", (const void *)r, c->protocols,
	                                      c->grade, c->exclude, c->public, shows);
	struct sender_tls *k = s->tls;

	while (k != NULL && strcmp(k->key, key) != 0)
		k = k->next;
	if (k == NULL) {
		if (s->tls_count >= CONTEXTS_MOST)
			sender_tls_forget(h);
		k = memory_take(sizeof *k);
		k->key = memory_take(strlen(key) + 1);
		memcpy(k->key, key, strlen(key) + 1);
		k->tls = tls_make(h, r, c, shows, a, &errors);
		k->next = s->tls;
		s->tls = k;
		s->tls_count++;
		if (k->tls == NULL)
			fault("TLS to other hosts is not to be had: %.*s", (int)errors.len,
			      errors.at);
	}
	buffer_free(&errors);
	arena_close(&a);
	return k->tls;
}

struct tls *
sender_tls_for(struct house *h, const struct sender_settings *r, const struct security *c)
{
	return context_for(h, r, c, true);
}

bool
sender_anchors(struct house *h, const struct security *c, struct arena *a, struct tls_demand *to)
{
	struct tls_record *record;

	if (c->public || c->anchors.count == 0)
		return true;
	record = arena_take_array(a, ANCHORS_MOST, sizeof *record);
	to->record = record;
	to->anchors = true;
	for (size_t i = 0; i < c->anchors.count; i++) {
		const char *name = arena_printf(a, "anchors/%s", c->anchors.item[i]);
		const char *text = house_resource_text(h, name);

		to->records += tls_anchors(bytes_of(text != NULL ? text : ""), a,
		                           record + to->records, ANCHORS_MOST - to->records);
	}
	if (to->records == 0)
		warn_("%s: no certificate or public key in it: nobody is trusted by it",
		      c->anchors.item[0]);
	return to->records > 0;
}

struct tls *
sender_tls_web(struct house *h)
{
	struct arena   *a = arena_open(NULL);
	struct security common;
	struct tls     *t = NULL;

	security_set(&sender_of(h)->rows, false, a, &common);
	security_become(&sender_of(h)->rows, a, SECURITY_VERIFY, &common);
	common.public = true;
	if (house_resource_text(h, "authorities/public") != NULL)
		t = context_for(h, &sender_of(h)->rows, &common, false);
	arena_close(&a);
	return t;
}

/* ---- what came of it (rfc8460) ---- */

/* rfc8460:4.3.2: what can fail of a policy alone is of its kind, though no policy was had. */
static uint8_t
kind_of_failure(const char *type)
{
	static const char *const of_dane[] = { "tlsa-invalid", "dnssec-invalid", "dane-required" };

	for (size_t i = 0; i < COUNT(of_dane); i++)
		if (strcmp(type, of_dane[i]) == 0)
			return TLS_POLICY_TLSA;
	return strncmp(type, "sts-", 4) == 0 ? TLS_POLICY_STS : TLS_POLICY_NONE;
}

/* The policy in the lines that a report has of it. */
static const char *
policy_text(const struct delivery *d, uint8_t *kind)
{
	struct buffer text = { 0 };
	const char   *out = "";

	*kind = TLS_POLICY_NONE;
	if (d->dane.records > 0) {
		*kind = TLS_POLICY_TLSA;
		for (size_t i = 0; i < d->dane.records; i++) {
			tlsa_write(&d->dane.record[i], &text);
			buffer_add_char(&text, '\n');
		}
	} else if (d->by_sts) {
		*kind = TLS_POLICY_STS;
		buffer_add(&text, d->sts->text);
	}
	if (text.len > 0)
		out = arena_copy(d->life, bytes_cut(buffer_bytes(&text), 0, TLS_RESULT_TEXT_MOST));
	buffer_free(&text);
	return out;
}

void
sender_tls_result(struct delivery *d, const char *type, const char *reason)
{
	struct tls_result *to;

	/* A letter without any demand says nothing of a policy, and reports are such: they would be reported on for ever. */
	if (d->probe || (d->w.flags & ENVELOPE_TLS_OPTIONAL) != 0 || d->w.lmtp || d->here == NULL ||
	    d->here->bracketed || d->tls_results == TLS_RESULTS_MOST)
		return;
	for (uint32_t i = 0; i < d->tls_results; i++)
		if (strcmp(d->tls_result[i].address, d->here->peer.text) == 0 &&
		    (*d->tls_result[i].type != '\0' || *type == '\0'))
			return; /* once for each host: what went wrong first */
	if (d->tls_result == NULL)
		d->tls_result = arena_take_array(d->life, TLS_RESULTS_MOST, sizeof *to);
	to = &d->tls_result[d->tls_results++];
	*to = (struct tls_result){ .domain = d->here->domain,
		                   .host = d->here->asked,
		                   .address = d->here->peer.text,
		                   .type = type,
		                   .reason = arena_copy(d->life, bytes_of(reason)),
		                   .local = d->local,
		                   .helo = d->helo };
	to->text = policy_text(d, &to->policy);
	if (kind_of_failure(type) != TLS_POLICY_NONE && kind_of_failure(type) != to->policy) {
		to->policy = kind_of_failure(type);
		to->text = "";
	}
}

/* What OpenSSL reads when it is first used it reads while it may: before the cage is shut. */
void
sender_tls_begin(struct house *h)
{
	struct arena   *a = arena_open(NULL);
	struct security common;

	security_set(&sender_of(h)->rows, false, a, &common);
	(void)sender_tls_for(h, &sender_of(h)->rows, &common);
	arena_close(&a);
}

void
sender_tls_forget(struct house *h)
{
	struct sender_role *s = sender_of(h);

	for (struct sender_tls *k = s->tls, *next; k != NULL; k = next) {
		next = k->next;
		if (k->tls != NULL)
			tls_close(&k->tls);
		memory_free(k->key);
		memory_free(k);
	}
	s->tls = NULL;
	s->tls_count = 0;
}
