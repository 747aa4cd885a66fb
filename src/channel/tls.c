#include "base/arena.h"
#include "base/journal.h"
#include "base/map.h"
#include "channel/tls_inner.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

/* rfc9325:4.2, with what a mail server meets: ECDHE and AEAD. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

enum { KEY_KINDS = 2, TICKET_KEY = 80, TICKET_LIFE = 7200 };

/* The certificates of one set of names: an ECDSA one, an RSA one. */
struct site {
	struct site *next;
	SSL_CTX     *ctx;
	bool         has[KEY_KINDS];
	const char  *names; /* sorted, with a blank after each */
};

struct tls {
	unsigned            users; /* the owner, and each session */
	struct tls_signer   signer;
	struct tls_settings settings;
	struct arena       *life;
	char                ticket_key[TICKET_KEY];
	struct site        *sites; /* the first is for those who name nobody */
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

/* The site of a name, or of the domain it stands in: "*.example.org". */
static struct site *
site_of(const struct tls *t, const char *name)
{
	char         lower[256];
	size_t       n = strlen(name);
	struct site *s;
	const char  *dot;

	if (n >= sizeof lower)
		return NULL;
	for (size_t i = 0; i <= n; i++)
		lower[i] = ascii_lower(name[i]);
	if ((s = map_get(t->by_name, bytes_of(lower))) != NULL)
		return s;
	if ((dot = strchr(lower, '.')) == NULL || dot == lower)
		return NULL;
	lower[dot - lower - 1] = '*';
	return map_get(t->by_name, bytes_of(dot - 1));
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

static int
least_version(const char *protocols)
{
	if (bytes_is(bytes_of(protocols), ">=TLSv1.3"))
		return TLS1_3_VERSION;
	if (*protocols == '\0' || bytes_is(bytes_of(protocols), ">=TLSv1.2"))
		return TLS1_2_VERSION;
	return -1;
}

static bool
set_session(SSL_CTX *ctx, const struct tls *t)
{
	struct bytes id = bytes_of(t->settings.session_id);

	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ctx, TICKET_LIFE);
	return SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
	       SSL_CTX_set_tlsext_ticket_keys(ctx, (void *)(uintptr_t)t->ticket_key, TICKET_KEY) ==
	               1 &&
	       SSL_CTX_set_session_id_context(ctx, (const unsigned char *)id.at,
	                                      (unsigned)id.len) == 1;
}

static void
set_callbacks(SSL_CTX *ctx, struct tls *t)
{
	SSL_CTX_set_tlsext_servername_callback(ctx, name_asked);
	SSL_CTX_set_tlsext_servername_arg(ctx, t);
	if (t->alpn != NULL)
		SSL_CTX_set_alpn_select_cb(ctx, protocol_asked, t);
}

static SSL_CTX *
make_ctx(struct tls *t, struct buffer *errors)
{
	const struct tls_settings *c = &t->settings;
	SSL_CTX                   *ctx = SSL_CTX_new(TLS_server_method());
	const char                *what = "cannot make a TLS context";
	char                       groups[] = "X25519:P-256:P-384";

	if (ctx == NULL)
		goto err0;
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
	                                 SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
	                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_read_ahead(ctx, 1);
	if (SSL_CTX_set_min_proto_version(ctx, least_version(c->protocols)) != 1)
		goto err1;
	what = "the ciphers of TLSv1.2 are not as OpenSSL names them";
	if (SSL_CTX_set_cipher_list(ctx, *c->ciphers != '\0' ? c->ciphers : CIPHERS) != 1)
		goto err1;
	what = "cannot set up TLS sessions";
	if (SSL_CTX_set1_groups_list(ctx, groups) != 1 || !set_session(ctx, t))
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

struct tls *
tls_open(const struct tls_settings *c, const struct tls_signer *signer, struct bytes ticket_key,
         struct buffer *errors)
{
	struct arena *life;
	struct tls   *t;
	size_t        alpn = c->alpn != NULL ? strlen(c->alpn) : 0;

	ERR_clear_error();
	if (least_version(c->protocols != NULL ? c->protocols : "") < 0) {
		buffer_printf(errors, "TLS protocols \"%s\": expected >=TLSv1.2 or >=TLSv1.3\n",
		              c->protocols);
		return NULL;
	}
	INSIDE(ticket_key.len == TICKET_KEY && alpn < 256);
	life = arena_open(NULL);
	t = arena_take(life, sizeof *t);
	t->users = 1;
	t->life = life;
	t->signer = *signer;
	t->settings = (struct tls_settings){
		.protocols = keep(life, c->protocols),
		.ciphers = keep(life, c->ciphers),
		.session_id = keep(life, c->session_id),
		.alpn = keep(life, c->alpn),
		.ask_certificate = c->ask_certificate,
		.authorities = arena_keep(life, c->authorities),
	};
	memcpy(t->ticket_key, ticket_key.at, TICKET_KEY);
	t->by_name = map_open();
	if (alpn > 0) {
		t->alpn = arena_take(life, alpn + 1);
		t->alpn[0] = (unsigned char)alpn;
		memcpy(t->alpn + 1, c->alpn, alpn);
		t->alpn_len = (unsigned)alpn + 1;
	}
	if (site_add(t, errors) == NULL)
		tls_close(&t);
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
	OPENSSL_cleanse(t->ticket_key, sizeof t->ticket_key);
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

static const char *
joined(struct arena *a, const char **names)
{
	const char *all = "";

	for (; *names != NULL; names++)
		all = arena_printf(a, "%s%s ", all, *names);
	return all;
}

/* The site that has these names; the first one, while it is empty, takes any. */
static struct site *
site_for(struct tls *t, const char *names, struct buffer *errors)
{
	struct site *s;

	for (s = t->sites; s != NULL; s = s->next)
		if (s->names == NULL || strcmp(s->names, names) == 0)
			break;
	if (s == NULL)
		s = site_add(t, errors);
	if (s != NULL)
		s->names = names;
	return s;
}

/* A certificate goes to the site of its names, and also to the first site when
   that has none of its kind: those who name nobody get the best we have. */
static bool
place_chain(struct tls *t, const struct chain *c, EVP_PKEY *key, struct buffer *errors)
{
	const char **names = names_of(t->life, c->leaf);
	struct site *s = site_for(t, joined(t->life, names), errors);

	if (s == NULL)
		return false;
	if (s->has[c->kind]) {
		buffer_add_string(errors, "two certificates of one kind are for the same names\n");
		return false;
	}
	if (!site_take(s, c, key) || (!t->sites->has[c->kind] && !site_take(t->sites, c, key))) {
		tls_complain(errors, "cannot use the certificate");
		return false;
	}
	for (; *names != NULL; names++)
		if (map_get(t->by_name, bytes_of(*names)) == NULL)
			(void)map_put(t->by_name, bytes_of(*names), s);
	return true;
}

bool
tls_add_certificate(struct tls *t, struct bytes chain_pem, struct buffer *errors)
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
	ok = ok && place_chain(t, &c, key, errors);
	EVP_PKEY_free(key);
	chain_free(&c);
	return ok;
}

/* ---- sessions ---- */

SSL *
tls_begin(struct tls *t, int fd)
{
	SSL *ssl = SSL_new(t->sites->ctx);

	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
		panic("out of memory: a TLS session");
	SSL_set_accept_state(ssl);
	return ssl;
}

static void
copy(char *out, size_t room, const char *text)
{
	if (text == NULL || !bytes_string(bytes_of(text), out, room))
		*out = '\0';
}

void
tls_describe(const SSL *ssl, struct tls_facts *out)
{
	memset(out, 0, sizeof *out);
	copy(out->version, sizeof out->version, SSL_get_version(ssl));
	copy(out->cipher, sizeof out->cipher, SSL_get_cipher_name(ssl));
	copy(out->sni, sizeof out->sni, SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
	out->bits = SSL_get_cipher_bits(ssl, &out->algorithm_bits);
	out->resumed = SSL_session_reused(ssl);
	out->certificate = SSL_get0_peer_certificate(ssl) != NULL;
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
