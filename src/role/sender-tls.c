/* sender-tls -- how sure a connection to a destination must be (smtp/sender/security.h), and what TLS that takes */
#include "channel/tls_rules.h"
#include "role/sender.h"
#include "role/tls-settings.h"
#include <stdio.h>
#include <string.h>

enum { CONTEXTS_MOST = 32 };
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
	struct bytes key = { NULL, 0 };

	while (d->rows->tls_policies.count > 0 && security_next(destination, &key)) {
		enum table_outcome o = sender_lookup(d, &d->rows->tls_policies, key, value);

		if (o != TABLE_NONE)
			return o;
	}
	return TABLE_NONE;
}

static enum wishes
cannot(struct delivery *d, const char *why)
{
	d->status = "4.7.5";
	d->text = why;
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
	default: return cannot(d, "TLS policy table lookup error");
	}
	d->row = arena_copy(d->life, value);
	if (security_read(value, d->rows, d->life, &d->security, &why))
		return WISHES_KNOWN;
	warn_("smtp_tls_policy_maps: %s: %s", w->nexthop, why);
	return cannot(d, "client TLS configuration problem");
}

/* ---- by what is proved of the host (rfc7672) ---- */

/* What there is instead where DANE is not to be had. */
static enum wishes
without_dane(struct delivery *d, int level, const char *why)
{
	if (d->security.level == SECURITY_DANE_ONLY)
		return cannot(d, why);
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
	struct tlsa_request q = { .host = h->name,
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
	case TLSA_UNUSABLE: return without_dane(d, SECURITY_ENCRYPT, "TLSA records unusable");
	case TLSA_LATER: return cannot(d, d->dane.why);
	case TLSA_FOUND: break;
	}
	if (behind == SECURITY_ENCRYPT)
		return without_dane(d, SECURITY_ENCRYPT, "");
	d->security.level = SECURITY_DANE;
	return WISHES_KNOWN;
}

enum wishes
sender_wishes(struct delivery *d, const struct route_host *h)
{
	const struct sender_role *s = sender_of(d->house);
	bool                      asks = d->rows->dns_support != DNS_SUPPORT_DISABLED &&
	            d->rows->dns_support != DNS_SUPPORT_ENABLED && s->resolver != NULL;

	enum wishes said = settings_wish(d);

	if (said != WISHES_KNOWN)
		return said;
	if (d->security.level != SECURITY_DANE && d->security.level != SECURITY_DANE_ONLY)
		return WISHES_KNOWN;
	if (h == NULL || !asks)
		return without_dane(d, SECURITY_MAY, "DANE needs a name service that is proved");
	return host_wishes(d, h);
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

static struct tls *
tls_make(struct house *h, const struct sender_settings *r, const struct security *c,
         struct arena *a, struct buffer *errors)
{
	const char         *authorities = house_resource_text(h, "authorities/sender");
	struct buffer       curves = { 0 };
	struct tls_rows     rows;
	struct tls_settings set = {
		.protocols = c->protocols,
		.session_id = "",
		.authorities = bytes_of(authorities != NULL ? authorities : ""),
		.verify_depth = (int)r->tls_depth,
		.digest = r->tls_digest,
		.ticket_s = r->session_ms >= 1000 ? r->session_ms / 1000 : -1,
	};

	if (!house_settings(h, &tls_setting_table, NULL, &rows) ||
	    (set.ciphers = ciphers_of(&rows, c, a, errors)) == NULL)
		return NULL;
	tls_curves(bytes_of(rows.curves), &curves);
	set.curves = arena_copy(a, buffer_bytes(&curves));
	buffer_free(&curves);
	return tls_open_outgoing(&set, NULL, errors);
}

struct tls *
sender_tls_for(struct house *h, const struct sender_settings *r, const struct security *c)
{
	struct sender_role *s = sender_of(h);
	struct arena       *a = arena_open(NULL);
	struct buffer       errors = { 0 };
	const char         *key =
		arena_printf(a, "%p;%s;%s;%s", (const void *)r, c->protocols, c->grade, c->exclude);
	struct sender_tls *k = s->tls;

	while (k != NULL && strcmp(k->key, key) != 0)
		k = k->next;
	if (k == NULL) {
		if (s->tls_count >= CONTEXTS_MOST)
			sender_tls_forget(h);
		k = memory_take(sizeof *k);
		k->key = memory_take(strlen(key) + 1);
		memcpy(k->key, key, strlen(key) + 1);
		k->tls = tls_make(h, r, c, a, &errors);
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
