/*
 * sasl/gssapi.c -- GSSAPI (rfc4752): Kerberos 5, without a security layer, for TLS has one.  Its steps are made in
 * the thread pool.  The user is left as a principal; whoever asked for the exchange makes a name of it.
 *
 * No replay cache is kept: the last step proves knowledge of the session's key, which a recorded ticket does not give.
 */
#include "sasl/gssapi.h"
#include "sasl/sasl.h"

#ifdef MANSIO_GSSAPI
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <krb5.h>
#include <stdio.h>
#include <string.h>

static bool              gssapi_begin(struct sasl *);
static enum sasl_outcome gssapi_step(struct sasl *, bool, struct bytes, struct buffer *);
static void              gssapi_end(struct sasl *);

const struct sasl_mechanism sasl_gssapi = {
	.name = "GSSAPI",
	.traits = SASL_SLOW | SASL_NO_SECRECY,
	.source = SASL_BY_KEYTAB,
	.begin = gssapi_begin,
	.step = gssapi_step,
	.end = gssapi_end,
};

enum { NO_LAYER = 1, WHY_MOST = 200 };

struct gss {
	gss_ctx_id_t context;
	gss_name_t   client;
	enum { ACCEPTING, ACCEPTED, OFFERED } room;
};

/* ---- keys ---- */

static gss_cred_id_t ours = GSS_C_NO_CREDENTIAL;
static char          our_realm[256];

const char *
gssapi_realm(void)
{
	return our_realm;
}

bool
gssapi_ready(void)
{
	return ours != GSS_C_NO_CREDENTIAL;
}

/* All keys of the file into one that is in memory; how many. */
static int
keys_copy(krb5_context c, krb5_keytab from, krb5_keytab to)
{
	krb5_kt_cursor    place;
	krb5_keytab_entry e;
	int               count = 0;

	if (krb5_kt_start_seq_get(c, from, &place) != 0)
		return 0;
	while (krb5_kt_next_entry(c, from, &e, &place) == 0) {
		krb5_data *realm = krb5_princ_realm(c, e.principal);

		if (krb5_kt_add_entry(c, to, &e) == 0)
			count++;
		/* Steps in the pool read it: it is written once. */
		if (our_realm[0] == '\0')
			(void)bytes_string((struct bytes){ realm->data, realm->length }, our_realm,
			                   sizeof our_realm);
		krb5_free_keytab_entry_contents(c, &e);
	}
	krb5_kt_end_seq_get(c, from, &place);
	return count;
}

static bool
keys_take(const char *path)
{
	static krb5_keytab  kept; /* keeps them for the life of the process */
	static krb5_context c;
	krb5_keytab         file = NULL;
	char                name[300];
	int                 count = 0;

	if (c == NULL && krb5_init_context(&c) != 0)
		return false;
	(void)snprintf(name, sizeof name, "FILE:%s", path);
	if (krb5_kt_resolve(c, name, &file) == 0 &&
	    (kept != NULL || krb5_kt_resolve(c, "MEMORY:mansio", &kept) == 0))
		count = keys_copy(c, file, kept);
	if (file != NULL)
		krb5_kt_close(c, file);
	/* The context lives as long as the keys. */
	return count > 0;
}

bool
gssapi_open(const char *path, struct buffer *errors)
{
	gss_key_value_element_desc say[] = { { "keytab", "MEMORY:mansio" }, { "rcache", "none:" } };
	gss_key_value_set_desc     store = { COUNT(say), say };
	gss_OID_set_desc           krb5 = { 1, (gss_OID)(uintptr_t)gss_mech_krb5 };
	OM_uint32                  minor;

	if (!keys_take(path)) {
		buffer_printf(errors, "%s: there are no Kerberos keys in it\n", path);
		return false;
	}
	/* Later keys stand beside the first ones, whose tickets are good until they expire. */
	if (gssapi_ready())
		return true;
	if (gss_acquire_cred_from(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, &krb5, GSS_C_ACCEPT,
	                          &store, &ours, NULL, NULL) == GSS_S_COMPLETE)
		return true;
	ours = GSS_C_NO_CREDENTIAL;
	buffer_printf(errors, "%s: its Kerberos keys cannot be used\n", path);
	return false;
}

/* ---- the exchange ---- */

static bool
gssapi_begin(struct sasl *s)
{
	if (!gssapi_ready())
		return false;
	s->own = arena_take(s->life, sizeof(struct gss));
	return true;
}

static void
gssapi_end(struct sasl *s)
{
	struct gss *g = s->own;
	OM_uint32   minor;

	if (g == NULL)
		return;
	if (g->context != GSS_C_NO_CONTEXT)
		(void)gss_delete_sec_context(&minor, &g->context, GSS_C_NO_BUFFER);
	if (g->client != GSS_C_NO_NAME)
		(void)gss_release_name(&minor, &g->client);
}

/* The client's principal as text. */
static bool
name_take(struct sasl *s)
{
	struct gss     *g = s->own;
	gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
	gss_OID         kind = GSS_C_NO_OID;
	OM_uint32       minor;
	bool good = gss_display_name(&minor, g->client, &text, &kind) == GSS_S_COMPLETE &&
	            text.length > 0 && text.length <= SASL_NAME_MOST &&
	            gss_oid_equal(kind, GSS_KRB5_NT_PRINCIPAL_NAME);

	if (good)
		s->user = arena_keep(s->life, (struct bytes){ text.value, text.length });
	(void)gss_release_buffer(&minor, &text);
	return good;
}

/* Why a ticket is not taken, for the log: mostly that its key is not, or no longer, in the keytab. */
static void
why_take(struct sasl *s, OM_uint32 major, OM_uint32 minor)
{
	gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
	gss_OID_desc    krb5 = *(gss_OID)(uintptr_t)gss_mech_krb5;
	OM_uint32       more = 0, drop;
	bool            own = minor != 0;
	char           *words;

	if (gss_display_status(&drop, own ? minor : major, own ? GSS_C_MECH_CODE : GSS_C_GSS_CODE,
	                       &krb5, &more, &text) != GSS_S_COMPLETE)
		return;
	words = arena_printf(s->life, "Kerberos: %.*s",
	                     (int)(text.length < WHY_MOST ? text.length : WHY_MOST),
	                     (const char *)text.value);
	for (char *c = words; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	s->note = words;
	(void)gss_release_buffer(&drop, &text);
}

static enum sasl_outcome
accept_step(struct sasl *s, struct bytes input, struct buffer *out)
{
	struct gss     *g = s->own;
	gss_buffer_desc in = { input.len, (void *)(uintptr_t)input.at },
			answer = GSS_C_EMPTY_BUFFER;
	OM_uint32 major, minor, drop;

	major = gss_accept_sec_context(&minor, &g->context, ours, &in, GSS_C_NO_CHANNEL_BINDINGS,
	                               g->client == GSS_C_NO_NAME ? &g->client : NULL, NULL,
	                               &answer, NULL, NULL, NULL);
	buffer_add(out, (struct bytes){ answer.value, answer.length });
	(void)gss_release_buffer(&drop, &answer);
	if (major == GSS_S_CONTINUE_NEEDED)
		return SASL_MORE;
	if (major != GSS_S_COMPLETE) {
		why_take(s, major, minor);
		return SASL_REFUSED;
	}
	g->room = ACCEPTED;
	return name_take(s) ? SASL_MORE : SASL_REFUSED;
}

/* Which security layers there are: none; and no buffer for one. */
static enum sasl_outcome
layers_offer(struct sasl *s, struct buffer *out)
{
	struct gss     *g = s->own;
	char            offer[4] = { NO_LAYER, 0, 0, 0 };
	gss_buffer_desc in = { sizeof offer, offer }, wrapped = GSS_C_EMPTY_BUFFER;
	OM_uint32       minor;
	bool good = gss_wrap(&minor, g->context, 0, GSS_C_QOP_DEFAULT, &in, NULL, &wrapped) ==
	            GSS_S_COMPLETE;

	buffer_add(out, (struct bytes){ wrapped.value, wrapped.length });
	(void)gss_release_buffer(&minor, &wrapped);
	g->room = OFFERED;
	return good ? SASL_MORE : SASL_REFUSED;
}

/* The choice: one octet of layer, three of size, and whom to act as.  That it unwraps is the proof. */
static enum sasl_outcome
layer_take(struct sasl *s, struct bytes input)
{
	struct gss     *g = s->own;
	gss_buffer_desc in = { input.len, (void *)(uintptr_t)input.at }, plain = GSS_C_EMPTY_BUFFER;
	struct bytes    said, acting;
	OM_uint32       minor;
	enum sasl_outcome o = SASL_REFUSED;

	if (gss_unwrap(&minor, g->context, &in, &plain, NULL, NULL) != GSS_S_COMPLETE)
		return SASL_REFUSED;
	said = (struct bytes){ plain.value, plain.length };
	acting = bytes_cut(said, 4, SIZE_MAX);
	if (said.len < 4 || said.at[0] != NO_LAYER || bytes_find(acting, '\0') >= 0 ||
	    acting.len > SASL_NAME_MOST)
		o = SASL_SYNTAX;
	else {
		s->acting = arena_keep(s->life, acting);
		o = SASL_PROVED;
	}
	(void)gss_release_buffer(&minor, &plain);
	return o;
}

static enum sasl_outcome
gssapi_step(struct sasl *s, bool has_input, struct bytes input, struct buffer *out)
{
	struct gss       *g = s->own;
	enum sasl_outcome o;

	if (!has_input)
		return s->steps == 1 ? SASL_MORE : SASL_SYNTAX;
	switch (g->room) {
	case ACCEPTING:
		o = accept_step(s, input, out);
		/* Nothing to say back: what comes next is said at once (rfc4752:3.2). */
		if (o == SASL_MORE && g->room == ACCEPTED && out->len == 0)
			return layers_offer(s, out);
		return o;
	case ACCEPTED: return input.len == 0 ? layers_offer(s, out) : SASL_SYNTAX;
	default: return layer_take(s, input);
	}
}
#endif
