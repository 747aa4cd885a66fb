#include "base/arena.h"
#include "base/clock.h"
#include "base/journal.h"
#include "base/map.h"
#include "channel/tickets.h"
#include "channel/tls_inner.h"
#include "channel/tls_rules.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

/* rfc9325:4.2, with what a mail server meets: ECDHE and AEAD. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define CURVES "X25519:P-256:P-384"

enum { KEY_KINDS = 2, TICKET_LIFE_S = 3600, HANDSHAKE_MS = 10000, ALPN_MOST = 255 };

/* The certificates of one set of names: an ECDSA one, an RSA one. */
struct site {
	struct site *next;
	SSL_CTX     *ctx;
	bool         has[KEY_KINDS];
	const char  *names; /* sorted, with a blank after each */
};

struct tls {
	unsigned            users; /* the owner, and each session */
	bool                outgoing;
	struct tls_signer   signer;
	struct tls_settings settings;
	struct arena       *life;
	struct tickets     *tickets;
	struct tls_versions versions;
	struct site        *sites;
	struct site        *plain; /* of those who name nobody */
	struct map         *by_name;
	unsigned char      *alpn; /* as on the wire; NULL when any will do */
	unsigned            alpn_len;
};

void
tls_complain(struct buffer *errors, const char *what)
{
	unsigned long code = ERR_peek_error();
	const char   *why = code != 0 ? ERR_reason_error_string(code) : NULL;

	buffer_printf(errors, "%s: %s\n", what, why != NULL ? why : "not as OpenSSL expects it");
	ERR_clear_error();
}

/* ---- names ---- */

/* The site of a name, of the domain it stands in ("*.example.org"), or of one above (".org", which only settings
   say). */
static struct site *
site_of(const struct tls *t, const char *name)
{
	char         lower[256];
	size_t       n = strlen(name);
	struct site *s;
	char        *dot;

	if (n >= sizeof lower)
		return NULL;
	for (size_t i = 0; i <= n; i++)
		lower[i] = ascii_lower(name[i]);
	if ((s = map_get(t->by_name, bytes_of(lower))) != NULL)
		return s;
	if ((dot = strchr(lower, '.')) == NULL || dot == lower)
		return NULL;
	dot[-1] = '*';
	if ((s = map_get(t->by_name, bytes_of(dot - 1))) != NULL)
		return s;
	for (; dot != NULL && s == NULL; dot = strchr(dot + 1, '.'))
		s = map_get(t->by_name, bytes_of(dot));
	return s;
}

/* rfc6066:3: a name we do not know is no reason to refuse. */
static int
name_asked(SSL *ssl, int *alert, void *arg)
{
	const char  *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	struct site *s = name != NULL ? site_of(arg, name) : NULL;

	(void)alert;
	if (s != NULL && s->ctx != SSL_get_SSL_CTX(ssl))
		SSL_set_SSL_CTX(ssl, s->ctx);
	return name != NULL ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* A client that offers other protocols only has been led astray (rfc7301:3.2,
   the ALPACA attack). */
static int
protocol_asked(SSL *ssl, const unsigned char **out, unsigned char *len, const unsigned char *in,
               unsigned in_len, void *arg)
{
	const struct tls *t = arg;
	unsigned char    *chosen;

	(void)ssl;
	if (SSL_select_next_proto(&chosen, len, t->alpn, t->alpn_len, in, in_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* ---- the context ---- */

/* A ticket is made with the key of this period and read with that of the one before, too: then it is renewed. */
static int
ticket_work(SSL *ssl, unsigned char name[TICKET_NAME], unsigned char *iv, EVP_CIPHER_CTX *cipher,
            EVP_MAC_CTX *mac, int making)
{
	struct tls              *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const struct ticket_key *k;
	bool                     old = false;
	OSSL_PARAM               params[3];
	char                     sha256[] = "SHA256";

	k = making ? tickets_now(t->tickets, clock_wall())
	           : tickets_named(t->tickets, clock_wall(), name, &old);
	if (k == NULL)
		return 0;
	if (making) {
		memcpy(name, k->name, TICKET_NAME);
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
			return -1;
	}
	params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)k->mac,
	                                              TICKET_SECRET);
	params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0);
	params[2] = OSSL_PARAM_construct_end();
	if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv, making) != 1 ||
	    EVP_MAC_CTX_set_params(mac, params) != 1)
		return -1;
	return old ? 2 : 1;
}

/* In a ticket is whom the client's certificate was trusted by, and that it was not asked for: it is good only where the same
   is asked and the same are trusted. */
static bool
session_name(const struct tls_settings *c, unsigned char name[static EVP_MAX_MD_SIZE],
             unsigned *len)
{
	struct buffer all = { 0 };
	bool          made;

	buffer_printf(&all, "%s %d %d %d\n", c->session_id, c->ask_certificate,
	              c->require_certificate, c->verify_depth);
	if (c->ask_certificate)
		buffer_add(&all, c->authorities);
	made = EVP_Digest(all.at, all.len, name, len, EVP_sha256(), NULL) == 1;
	buffer_free(&all);
	return made;
}

static bool
set_session(SSL_CTX *ctx, const struct tls *t)
{
	unsigned char name[EVP_MAX_MD_SIZE];
	unsigned      len = 0;

	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ctx, (long)t->settings.ticket_s);
	return SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
	       SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_work) == 1 &&
	       session_name(&t->settings, name, &len) &&
	       SSL_CTX_set_session_id_context(ctx, name, len) == 1;
}

static void
set_callbacks(SSL_CTX *ctx, struct tls *t)
{
	SSL_CTX_set_tlsext_servername_callback(ctx, name_asked);
	SSL_CTX_set_tlsext_servername_arg(ctx, t);
	if (t->alpn != NULL)
		SSL_CTX_set_alpn_select_cb(ctx, protocol_asked, t);
	SSL_CTX_set_app_data(ctx, t);
}

static SSL_CTX *
make_ctx(struct tls *t, struct buffer *errors)
{
	const struct tls_settings *c = &t->settings;
	SSL_CTX                   *ctx = SSL_CTX_new(TLS_server_method());
	const char                *what = "cannot make a TLS context";

	if (ctx == NULL)
		goto err0;
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
	                                 SSL_OP_IGNORE_UNEXPECTED_EOF | c->options |
	                                 (c->client_order ? 0
	                                                  : SSL_OP_CIPHER_SERVER_PREFERENCE |
	                                                            SSL_OP_PRIORITIZE_CHACHA));
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_read_ahead(ctx, 1);
	if (SSL_CTX_set_min_proto_version(ctx, t->versions.v12 ? TLS1_2_VERSION : TLS1_3_VERSION) !=
	            1 ||
	    SSL_CTX_set_max_proto_version(ctx, t->versions.v13 ? TLS1_3_VERSION : TLS1_2_VERSION) !=
	            1)
		goto err1;
	what = "the ciphers of TLSv1.2 are not as OpenSSL names them";
	if (SSL_CTX_set_cipher_list(ctx, *c->ciphers != '\0' ? c->ciphers : CIPHERS) != 1)
		goto err1;
	what = "the groups of tls_eecdh_auto_curves are not as OpenSSL names them";
	if (SSL_CTX_set1_groups_list(ctx, *c->curves != '\0' ? c->curves : CURVES) != 1)
		goto err1;
	what = "cannot set up TLS sessions";
	if (!set_session(ctx, t))
		goto err1;
	what = "cannot read the authorities for certificates of clients";
	if (c->ask_certificate && !tls_ask_for(ctx, c))
		goto err1;
	set_callbacks(ctx, t);
	return ctx;

err1:
	SSL_CTX_free(ctx);
err0:
	tls_complain(errors, what);
	return NULL;
}

static struct site *
site_add(struct tls *t, struct buffer *errors)
{
	SSL_CTX     *ctx = make_ctx(t, errors);
	struct site *s, **last = &t->sites;

	if (ctx == NULL)
		return NULL;
	s = arena_take(t->life, sizeof *s);
	s->ctx = ctx;
	while (*last != NULL)
		last = &(*last)->next;
	*last = s;
	return s;
}

static const char *
keep(struct arena *a, const char *text)
{
	return arena_copy(a, bytes_of(text));
}

/* rfc7301:3.1: each name behind its length. */
static void
set_alpn(struct tls *t, const char *names)
{
	struct bytes rest = bytes_of(names), name;

	if (*names == '\0')
		return;
	t->alpn = arena_take(t->life, rest.len + 2);
	while (bytes_split(&rest, ' ', &name)) {
		INSIDE(name.len > 0 && name.len < ALPN_MOST);
		t->alpn[t->alpn_len] = (unsigned char)name.len;
		memcpy(t->alpn + t->alpn_len + 1, name.at, name.len);
		t->alpn_len += (unsigned)name.len + 1;
	}
}

static const char *
text_or(struct arena *a, const char *text, const char *standard)
{
	return keep(a, text != NULL && *text != '\0' ? text : standard);
}

static void
keep_settings(struct tls *t, const struct tls_settings *c)
{
	t->settings = *c;
	t->settings.protocols = text_or(t->life, c->protocols, "");
	t->settings.ciphers = text_or(t->life, c->ciphers, "");
	t->settings.curves = text_or(t->life, c->curves, "");
	t->settings.session_id = keep(t->life, c->session_id);
	t->settings.digest = text_or(t->life, c->digest, "sha256");
	t->settings.authorities = arena_keep(t->life, c->authorities);
	if (c->ticket_s == 0)
		t->settings.ticket_s = TICKET_LIFE_S;
	if (c->handshake_ms <= 0)
		t->settings.handshake_ms = HANDSHAKE_MS;
}

struct tls *
tls_open(const struct tls_settings *c, const struct tls_signer *signer, struct bytes seed,
         struct buffer *errors)
{
	struct bytes        wrong, text = bytes_of(c->protocols != NULL ? c->protocols : "");
	struct tls_versions versions;
	struct arena       *life;
	struct tls         *t;

	ERR_clear_error();
	if (!tls_protocols(text, &versions, &wrong)) {
		buffer_printf(errors,
		              "TLS protocols \"%.*s\": %s%.*s; expected >=TLSv1.2 or >=TLSv1.3\n",
		              (int)text.len, text.at,
		              wrong.len > 0 ? "not known: " : "neither TLSv1.2 nor TLSv1.3 is left",
		              (int)wrong.len, wrong.at);
		return NULL;
	}
	INSIDE(seed.len == TICKET_SEED);
	life = arena_open(NULL);
	t = arena_take(life, sizeof *t);
	t->users = 1;
	t->life = life;
	t->signer = *signer;
	t->versions = versions;
	keep_settings(t, c);
	t->tickets = tickets_open(seed.at);
	t->by_name = map_open();
	set_alpn(t, c->alpn != NULL ? c->alpn : "");
	if ((t->plain = site_add(t, errors)) == NULL)
		tls_close(&t);
	return t;
}

/* rfc7435: better than nothing is what may be asked for here, so whoever answers will do; what is asked more than that is
   asked when the handshake is over. */
static SSL_CTX *
make_outgoing_ctx(struct tls *t, struct buffer *errors)
{
	const struct tls_settings *c = &t->settings;
	SSL_CTX                   *ctx = SSL_CTX_new(TLS_client_method());
	const char                *what = "cannot make a TLS context for sending";

	if (ctx == NULL)
		goto err0;
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
	                                 SSL_OP_IGNORE_UNEXPECTED_EOF | c->options);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
	if (SSL_CTX_set_min_proto_version(ctx, t->versions.v12 ? TLS1_2_VERSION : TLS1_3_VERSION) !=
	            1 ||
	    SSL_CTX_set_max_proto_version(ctx, t->versions.v13 ? TLS1_3_VERSION : TLS1_2_VERSION) !=
	            1)
		goto err1;
	what = "the ciphers of TLSv1.2 for sending are not as OpenSSL names them";
	if (*c->ciphers != '\0' && SSL_CTX_set_cipher_list(ctx, c->ciphers) != 1)
		goto err1;
	what = "the groups of tls_eecdh_auto_curves are not as OpenSSL names them";
	if (SSL_CTX_set1_groups_list(ctx, *c->curves != '\0' ? c->curves : CURVES) != 1)
		goto err1;
	what = "cannot read the authorities for certificates of other hosts";
	if (!tls_trust(ctx, c->authorities))
		goto err1;
	SSL_CTX_set_verify_depth(ctx, c->verify_depth > 0 ? c->verify_depth : 9);
	what = "OpenSSL knows no DANE";
	if (SSL_CTX_dane_enable(ctx) != 1)
		goto err1;
	tls_sessions_begin(ctx, c->ticket_s > 0 ? c->ticket_s : 0);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_app_data(ctx, t);
	return ctx;

err1:
	SSL_CTX_free(ctx);
err0:
	tls_complain(errors, what);
	return NULL;
}

struct tls *
tls_open_outgoing(const struct tls_settings *c, const struct tls_signer *signer,
                  struct buffer *errors)
{
	struct bytes        wrong, text = bytes_of(c->protocols != NULL ? c->protocols : "");
	struct arena       *life;
	struct tls_versions versions;
	struct tls         *t;
	SSL_CTX            *ctx;

	ERR_clear_error();
	if (!tls_protocols(text, &versions, &wrong)) {
		buffer_printf(errors, "TLS protocols \"%.*s\" are not as they should be\n",
		              (int)text.len, text.at);
		return NULL;
	}
	life = arena_open(NULL);
	t = arena_take(life, sizeof *t);
	t->users = 1;
	t->life = life;
	t->outgoing = true;
	if (signer != NULL)
		t->signer = *signer;
	t->versions = versions;
	keep_settings(t, c);
	t->by_name = map_open();
	if ((ctx = make_outgoing_ctx(t, errors)) == NULL) {
		tls_close(&t);
		return NULL;
	}
	t->sites = arena_take(life, sizeof *t->sites);
	t->sites->ctx = ctx;
	t->plain = t->sites;
	return t;
}

struct tls *
tls_share(struct tls *t)
{
	t->users++;
	return t;
}

void
tls_take(struct tls *t)
{
	t->users++;
}

void
tls_drop(struct tls *t)
{
	struct arena *life = t->life;

	if (--t->users > 0)
		return;
	for (struct site *s = t->sites; s != NULL; s = s->next)
		SSL_CTX_free(s->ctx);
	map_close(&t->by_name);
	tickets_close(&t->tickets);
	arena_close(&life);
}

void
tls_close(struct tls **tp)
{
	struct tls *t = *tp;

	*tp = NULL;
	if (t != NULL)
		tls_drop(t);
}

/* ---- certificates ---- */

struct chain {
	X509 *leaf;
	STACK_OF(X509) * above;
	EVP_PKEY *pkey;
	int       kind; /* 0 ECDSA, 1 RSA */
};

static void
chain_free(struct chain *c)
{
	X509_free(c->leaf);
	sk_X509_pop_free(c->above, X509_free);
	EVP_PKEY_free(c->pkey);
}

static bool
chain_read(struct bytes pem, struct chain *c, struct buffer *errors)
{
	BIO  *bio = BIO_new_mem_buf(pem.at, (int)pem.len);
	X509 *x;

	*c = (struct chain){ .above = sk_X509_new_null() };
	if (bio != NULL)
		c->leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	while (c->leaf != NULL && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		(void)sk_X509_push(c->above, x);
	BIO_free(bio);
	if (c->leaf == NULL || (c->pkey = X509_get_pubkey(c->leaf)) == NULL) {
		tls_complain(errors, "cannot read the certificate");
		return false;
	}
	ERR_clear_error(); /* the end of the chain is one */
	switch (EVP_PKEY_get_base_id(c->pkey)) {
	case EVP_PKEY_EC: c->kind = 0; return true;
	case EVP_PKEY_RSA: c->kind = 1; return true;
	default:
		buffer_add_string(errors, "a certificate must be for an RSA or ECDSA key\n");
		return false;
	}
}

static bool
site_take(struct site *s, const struct chain *c, EVP_PKEY *key)
{
	if (SSL_CTX_use_certificate(s->ctx, c->leaf) != 1 ||
	    SSL_CTX_set1_chain(s->ctx, c->above) != 1 || SSL_CTX_use_PrivateKey(s->ctx, key) != 1)
		return false;
	s->has[c->kind] = true;
	return true;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The DNS names of a certificate, lower case, sorted; NULL-ended. */
static const char **
names_of(struct arena *a, X509 *leaf)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	int            count = all != NULL ? sk_GENERAL_NAME_num(all) : 0, n = 0;
	const char   **names = arena_take_array(a, (size_t)count + 1, sizeof *names);

	for (int i = 0; i < count; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
		struct bytes        name;

		if (g->type != GEN_DNS)
			continue;
		name.at = (const char *)ASN1_STRING_get0_data(g->d.dNSName);
		name.len = (size_t)ASN1_STRING_length(g->d.dNSName);
		names[n++] = arena_lower(a, name).at;
	}
	GENERAL_NAMES_free(all);
	qsort(names, (size_t)n, sizeof *names, by_text);
	return names;
}

/* rfc6125:6.4.4: only where there are no others. */
static const char **
common_name_of(struct arena *a, X509 *leaf, const char **names)
{
	X509_NAME   *subject = X509_get_subject_name(leaf);
	int          at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	ASN1_STRING *text =
		at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
	const char **one = arena_take_array(a, 2, sizeof *one);

	if (*names != NULL || text == NULL || ASN1_STRING_length(text) > 255)
		return names;
	one[0] = arena_lower(a, (struct bytes){ (const char *)ASN1_STRING_get0_data(text),
	                                        (size_t)ASN1_STRING_length(text) })
	                 .at;
	return one;
}

static const char *
joined(struct arena *a, const char **names)
{
	const char *all = "";

	for (; *names != NULL; names++)
		all = arena_printf(a, "%s%s ", all, *names);
	return all;
}

/* The site that has these names; the first one, while it is empty, takes any that are for everybody. */
static struct site *
site_for(struct tls *t, const char *names, bool for_all, struct buffer *errors)
{
	struct site *s;

	for (s = t->sites; s != NULL; s = s->next)
		if (s->names == NULL ? for_all : strcmp(s->names, names) == 0)
			break;
	if (s == NULL)
		s = site_add(t, errors);
	if (s != NULL)
		s->names = names;
	return s;
}

/* A host that asks for a certificate of ours names nobody: one of each kind is enough. */
static bool
place_own(struct tls *t, const struct chain *c, EVP_PKEY *key, struct buffer *errors)
{
	if (t->plain->has[c->kind]) {
		buffer_add_string(errors, "two certificates of one kind\n");
		return false;
	}
	if (site_take(t->plain, c, key))
		return true;
	tls_complain(errors, "cannot use the certificate");
	return false;
}

/* A certificate goes to the site of its names, and also to the first site when
   that has none of its kind: those who name nobody get the best we have. */
static bool
place_chain(struct tls *t, const struct chain *c, EVP_PKEY *key, struct buffer *errors)
{
	const char **names = common_name_of(t->life, c->leaf, names_of(t->life, c->leaf));
	struct site *s = site_for(t, joined(t->life, names), true, errors);

	if (s == NULL)
		return false;
	if (s->has[c->kind]) {
		buffer_add_string(errors, "two certificates of one kind are for the same names\n");
		return false;
	}
	if (!site_take(s, c, key) || (!t->plain->has[c->kind] && !site_take(t->plain, c, key))) {
		tls_complain(errors, "cannot use the certificate");
		return false;
	}
	for (; *names != NULL; names++)
		if (map_get(t->by_name, bytes_of(*names)) == NULL)
			(void)map_put(t->by_name, bytes_of(*names), s);
	return true;
}

/* For one name, or for those of its names that nobody has yet. */
static bool
place_for(struct tls *t, const struct chain *c, EVP_PKEY *key, const char *name,
          struct buffer *errors)
{
	const char  *one[] = { arena_lower(t->life, bytes_of(name)).at, NULL };
	const char **names =
		*name != '\0' ? one : common_name_of(t->life, c->leaf, names_of(t->life, c->leaf));
	const char *sign =
		arena_printf(t->life, "%s%s", *name != '\0' ? "=" : "+", joined(t->life, names));
	struct site *s = site_for(t, sign, false, errors);

	if (s == NULL)
		return false;
	if (s->has[c->kind])
		return true; /* the first holds */
	if (!site_take(s, c, key)) {
		tls_complain(errors, "cannot use the certificate");
		return false;
	}
	for (; *names != NULL; names++)
		if (*name != '\0' || map_get(t->by_name, bytes_of(*names)) == NULL)
			(void)map_put(t->by_name, bytes_of(*names), s);
	return true;
}

static bool
add_certificate(struct tls *t, struct bytes chain_pem, const char *name, struct buffer *errors)
{
	struct tls_remote *remote = arena_take(t->life, sizeof *remote);
	EVP_PKEY          *key = NULL;
	struct chain       c;
	bool               ok;

	ERR_clear_error();
	ok = chain_read(chain_pem, &c, errors);
	remote->signer = t->signer;
	if (ok && (!tls_spki_id(c.pkey, remote->key_id) ||
	           (key = tls_remote_key(c.pkey, remote)) == NULL)) {
		tls_complain(errors, "cannot use the key of the certificate");
		ok = false;
	}
	ok = ok && (t->outgoing    ? place_own(t, &c, key, errors)
	            : name == NULL ? place_chain(t, &c, key, errors)
	                           : place_for(t, &c, key, name, errors));
	EVP_PKEY_free(key);
	chain_free(&c);
	return ok;
}

bool
tls_add_certificate(struct tls *t, struct bytes chain_pem, struct buffer *errors)
{
	return add_certificate(t, chain_pem, NULL, errors);
}

bool
tls_add_certificate_for(struct tls *t, struct bytes chain_pem, const char *name,
                        struct buffer *errors)
{
	return add_certificate(t, chain_pem, name, errors);
}

static bool
has_any(const struct site *s)
{
	return s->has[0] || s->has[1];
}

bool
tls_settle(struct tls *t, const char *name)
{
	struct site *named = site_of(t, name);

	if (!has_any(t->plain) && named != NULL)
		t->plain = named;
	for (struct site *s = t->sites; s != NULL && !has_any(t->plain); s = s->next)
		if (has_any(s))
			t->plain = s;
	return has_any(t->plain);
}

bool
tls_key_answers(struct bytes chain_pem, const struct tls_signer *signer)
{
	static const unsigned char probe[] = "is the key of this certificate there?";
	struct tls_remote          remote = { *signer, "" };
	struct buffer              unheard = { 0 };
	struct chain               c;
	EVP_PKEY                  *key = NULL;
	EVP_MD_CTX                *work = EVP_MD_CTX_new();
	unsigned char              made[1024];
	size_t                     n = sizeof made;
	bool                       ok;

	ok = chain_read(chain_pem, &c, &unheard) && tls_spki_id(c.pkey, remote.key_id) &&
	     (key = tls_remote_key(c.pkey, &remote)) != NULL && work != NULL &&
	     EVP_DigestSignInit(work, NULL, EVP_sha256(), NULL, key) == 1 &&
	     EVP_DigestSign(work, made, &n, probe, sizeof probe) == 1;
	EVP_MD_CTX_free(work);
	work = EVP_MD_CTX_new();
	ok = ok && work != NULL &&
	     EVP_DigestVerifyInit(work, NULL, EVP_sha256(), NULL, c.pkey) == 1 &&
	     EVP_DigestVerify(work, made, n, probe, sizeof probe) == 1;
	EVP_MD_CTX_free(work);
	EVP_PKEY_free(key);
	chain_free(&c);
	buffer_free(&unheard);
	ERR_clear_error();
	return ok;
}

/* ---- sessions ---- */

SSL *
tls_begin(struct tls *t, int fd, const struct tls_demand *wish)
{
	SSL *ssl = SSL_new(t->plain->ctx);

	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
		panic("out of memory: a TLS session");
	if (t->settings.trace != NULL)
		tls_trace_begin(ssl);
	if (t->outgoing)
		SSL_set_connect_state(ssl);
	else
		SSL_set_accept_state(ssl);
	if (t->outgoing && wish != NULL)
		tls_demand(ssl, wish);
	return ssl;
}

int64_t
tls_patience(const struct tls *t)
{
	return t->settings.handshake_ms;
}

const struct tls_settings *
tls_settings_in(const SSL *ssl)
{
	const struct tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	return &t->settings;
}

const char *
tls_digest(const SSL *ssl)
{
	const struct tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	return t == NULL ? "sha256" : t->settings.digest;
}

/* rfc9266: 32 bytes of the exporter. */
static bool
binding_exporter(SSL *ssl, struct buffer *out)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	unsigned char    *at = (unsigned char *)buffer_room(out, 32);

	if (SSL_export_keying_material(ssl, at, 32, label, sizeof label - 1, NULL, 0, 1) != 1)
		return false;
	buffer_took(out, 32);
	return true;
}

/* rfc5929:4.1: the certificate under the hash it was signed with, SHA-256 for
   those that are weaker. */
static bool
binding_end_point(SSL *ssl, struct buffer *out)
{
	X509    *leaf = SSL_get_certificate(ssl);
	int      nid = NID_undef;
	unsigned len = 0;

	if (leaf == NULL)
		return false;
	if (!X509_get_signature_info(leaf, &nid, NULL, NULL, NULL) || nid == NID_md5 ||
	    nid == NID_sha1 || nid == NID_undef)
		nid = NID_sha256;
	if (X509_digest(leaf, EVP_get_digestbynid(nid),
	                (unsigned char *)buffer_room(out, EVP_MAX_MD_SIZE), &len) != 1)
		return false;
	buffer_took(out, len);
	return true;
}

/* rfc5929:3.1: the first Finished, which is the client's, but ours when the
   session was resumed.  Without the extended master secret two sessions can
   have the same (rfc7627). */
static bool
binding_unique(SSL *ssl, struct buffer *out)
{
	char  *at = buffer_room(out, EVP_MAX_MD_SIZE);
	size_t len;

	if (SSL_version(ssl) != TLS1_2_VERSION || SSL_get_extms_support(ssl) != 1)
		return false;
	len = SSL_session_reused(ssl) ? SSL_get_finished(ssl, at, EVP_MAX_MD_SIZE)
	                              : SSL_get_peer_finished(ssl, at, EVP_MAX_MD_SIZE);
	buffer_took(out, len);
	return len > 0;
}

bool
tls_binding(SSL *ssl, const char *type, struct buffer *out)
{
	static const struct {
		const char *type;
		bool (*give)(SSL *, struct buffer *);
	} kinds[] = {
		{ "tls-exporter", binding_exporter },
		{ "tls-server-end-point", binding_end_point },
		{ "tls-unique", binding_unique },
	};

	for (size_t i = 0; i < COUNT(kinds); i++)
		if (strcmp(kinds[i].type, type) == 0)
			return kinds[i].give(ssl, out);
	return false;
}
