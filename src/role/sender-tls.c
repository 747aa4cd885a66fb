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
policy_find(struct sender_role *s, struct bytes destination, struct arena *a, struct bytes *value)
{
	struct bytes key = { NULL, 0 };

	while (s->rows.tls_policies.count > 0 && security_next(destination, &key))
		for (size_t i = 0; i < s->rows.tls_policies.count; i++) {
			struct table *t = tables_local(s->tables, s->rows.tls_policies.item[i]);
			enum table_outcome o =
				t == NULL ? TABLE_LATER : table_find(t, key, a, value);

			if (o != TABLE_NONE)
				return o;
		}
	return TABLE_NONE;
}

bool
sender_security(struct house *h, const struct word_send *w, struct arena *a, struct security *out,
                const char **policy, const char **why)
{
	struct sender_role *s = sender_of(h);
	struct bytes        value;

	*policy = "";
	security_set(&s->rows, w->lmtp, a, out);
	switch (policy_find(s, arena_lower(a, bytes_of(w->nexthop)), a, &value)) {
	case TABLE_NONE: return true;
	case TABLE_FOUND: break;
	default: *why = "TLS policy table lookup error"; return false;
	}
	*policy = arena_copy(a, value);
	if (security_read(value, &s->rows, a, out, why))
		return true;
	warn_("smtp_tls_policy_maps: %s: %s", w->nexthop, *why);
	*why = "client TLS configuration problem";
	return false;
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
tls_make(struct house *h, const struct security *c, struct arena *a, struct buffer *errors)
{
	const struct sender_settings *r = &sender_of(h)->rows;
	const char                   *authorities = house_resource_text(h, "authorities/sender");
	struct buffer                 curves = { 0 };
	struct tls_rows               rows;
	struct tls_settings           set = {
			  .protocols = c->protocols,
			  .session_id = "",
			  .authorities = bytes_of(authorities != NULL ? authorities : ""),
			  .verify_depth = (int)r->tls_depth,
			  .digest = r->tls_digest,
	};

	if (!house_settings(h, &tls_setting_table, NULL, &rows) ||
	    (set.ciphers = ciphers_of(&rows, c, a, errors)) == NULL)
		return NULL;
	tls_curves(bytes_of(rows.curves), &curves);
	set.curves = arena_copy(a, buffer_bytes(&curves));
	buffer_free(&curves);
	return tls_open_outgoing(&set, errors);
}

struct tls *
sender_tls_for(struct house *h, const struct security *c)
{
	struct sender_role *s = sender_of(h);
	struct arena       *a = arena_open(NULL);
	struct buffer       errors = { 0 };
	const char         *key = arena_printf(a, "%s;%s;%s", c->protocols, c->grade, c->exclude);
	struct sender_tls  *k = s->tls;

	while (k != NULL && strcmp(k->key, key) != 0)
		k = k->next;
	if (k == NULL) {
		if (s->tls_count >= CONTEXTS_MOST)
			sender_tls_forget(h);
		k = memory_take(sizeof *k);
		k->key = memory_take(strlen(key) + 1);
		memcpy(k->key, key, strlen(key) + 1);
		k->tls = tls_make(h, c, a, &errors);
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
	(void)sender_tls_for(h, &common);
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
