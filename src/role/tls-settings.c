#include "role/tls-settings.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "channel/tickets.h"
#include "channel/tls_rules.h"
#include "directory/table.h"
#include "role/certifier.h"
#include "role/listeners.h"
#include "role/settings.h"
#include "role/tables.h"

#define AT(f) offsetof(struct tls_rows, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "smtpd_tls_cert_file", SETTING_WORD, AT(cert_file), "",
	  "The certificate and its chain in PEM, shown by every service; no TLS if neither this nor smtpd_tls_chain_files nor tls_certificate_directories says one.", NULL, 0, 0, "0.1" },
	{ "smtpd_tls_key_file", SETTING_WORD, AT(key_file), "$smtpd_tls_cert_file",
	  "The private key of the certificate in PEM; read by the signer alone.", NULL, 0, 0, "0.1" },
	{ "smtpd_tls_eccert_file", SETTING_WORD, AT(eccert_file), "",
	  "One more certificate, for a key of the other kind: ECDSA beside RSA.", NULL, 0, 0, "0.3" },
	{ "smtpd_tls_eckey_file", SETTING_WORD, AT(eckey_file), "$smtpd_tls_eccert_file",
	  "The private key of smtpd_tls_eccert_file.", NULL, 0, 0, "0.3" },
	{ "smtpd_tls_chain_files", SETTING_LIST, AT(chain_files), "",
	  "Files with keys, each before its certificate and chain, in PEM; instead of smtpd_tls_cert_file and its like.", NULL, 0, 0, "0.3" },
	{ "tls_server_sni_maps", SETTING_LIST, AT(sni_maps), "",
	  "Tables of certificates by the name a client asks for (or .example.com for all below it): the value names files as smtpd_tls_chain_files does; local tables that can be listed, as hash:/etc/postfix/sni, since certificates are read before anybody asks for one.", NULL, 0, 0, "0.3" },
	{ "tls_certificate_directories", SETTING_LIST, AT(directories), "",
	  "Directories as /etc/letsencrypt/live: every fullchain.pem with its privkey.pem there, or in a directory in it, is shown to clients that ask for one of its names.", NULL, 0, 0, "0.3" },
	{ "smtpd_tls_protocols", SETTING_TEXT, AT(protocols), ">=TLSv1.2",
	  "The versions of TLS spoken where it is not demanded: >=TLSv1.2, >=TLSv1.3, or those there are without some (!SSLv2, !SSLv3); none before 1.2 is spoken in any case.", NULL, 0, 0, "0.1" },
	{ "smtpd_tls_mandatory_protocols", SETTING_TEXT, AT(mandatory_protocols), "$smtpd_tls_protocols",
	  "The same where TLS is demanded: smtpd_tls_security_level = encrypt, TLS from the first byte, ssl = required.", NULL, 0, 0, "0.3" },
	{ "smtpd_tls_ciphers", SETTING_CHOICE, AT(ciphers), "medium",
	  "The least grade of ciphers of TLS 1.2 where it is not demanded: medium (tls_medium_cipherlist) or high (tls_high_cipherlist); weaker ones are not there, and mean medium.", "export,low,medium,high,null", 0, 0, "0.3" },
	{ "smtpd_tls_mandatory_ciphers", SETTING_CHOICE, AT(mandatory_ciphers), "high",
	  "The same where TLS is demanded.", "export,low,medium,high,null", 0, 0, "0.3" },
	{ "smtpd_tls_exclude_ciphers", SETTING_TEXT, AT(exclude), "",
	  "Ciphers, or kinds of them, not spoken, as aNULL, RC4.", NULL, 0, 0, "0.3" },
	{ "smtpd_tls_mandatory_exclude_ciphers", SETTING_TEXT, AT(mandatory_exclude), "",
	  "More of them, not spoken where TLS is demanded.", NULL, 0, 0, "0.3" },
	{ "tls_high_cipherlist", SETTING_TEXT, AT(high), "",
	  "The ciphers of TLS 1.2 of grade high in OpenSSL's notation; ECDHE with AES-GCM and ChaCha20 if empty.", NULL, 0, 0, "0.1" },
	{ "tls_medium_cipherlist", SETTING_TEXT, AT(medium), "",
	  "Those of grade medium; if empty those of high, and behind them ECDHE with AES-CBC.", NULL, 0, 0, "0.3" },
	{ "tls_preempt_cipherlist", SETTING_BOOL, AT(preempt), "yes",
	  "Whether our order of ciphers counts, and not the client's.", NULL, 0, 0, "0.3" },
	{ "tls_eecdh_auto_curves", SETTING_TEXT, AT(curves), "",
	  "The groups keys are exchanged in, the best first, as X25519 prime256v1; X25519, P-256 and P-384 if empty.", NULL, 0, 0, "0.3" },
	{ "tls_ssl_options", SETTING_LIST, AT(options), "",
	  "Options of OpenSSL, as NO_TICKET (no session is resumed) or PRIORITIZE_CHACHA.", NULL, 0, 0, "0.3" },
	{ "smtpd_tls_ask_ccert", SETTING_BOOL, AT(ask), "no",
	  "Ask clients of SMTP, IMAP and POP3 for a certificate, for EXTERNAL, permit_tls_clientcerts and check_ccert_access.", NULL, 0, 0, "0.2" },
	{ "smtpd_tls_req_ccert", SETTING_BOOL, AT(require), "no",
	  "Where TLS is demanded, nobody goes on without a certificate that is trusted; elsewhere as smtpd_tls_ask_ccert.", NULL, 0, 0, "0.3" },
	{ "smtpd_tls_CAfile", SETTING_WORD, AT(authorities), "",
	  "A file of certificates in PEM: the authorities that certificates of clients are trusted from.", NULL, 0, 0, "0.2" },
	{ "smtpd_tls_CApath", SETTING_WORD, AT(authorities_path), "",
	  "A directory of more such files; clients are not told of these.", NULL, 0, 0, "0.3" },
	{ "smtpd_tls_ccert_verifydepth", SETTING_NUMBER, AT(depth), "9",
	  "How many certificates may be between a client's and the authority.", NULL, 1, 100, "0.3" },
	{ "smtpd_tls_fingerprint_digest", SETTING_WORD, AT(digest), "sha256",
	  "The digest of the fingerprints of clients' certificates and keys that tables are asked with: sha256, sha1, ...", NULL, 0, 0, "0.3" },
	{ "smtpd_tls_session_cache_timeout", SETTING_TIME, AT(ticket_ms), "3600s",
	  "How long a TLS session can be resumed, by a ticket the client keeps; the keys of tickets change as often.", NULL, 60000, 604800000, "0.3" },
};
/* clang-format on */
#undef AT
const struct setting_table tls_setting_table = { "TLS of what comes in", rows, COUNT(rows) };

#define HIGH "ECDHE+AESGCM:ECDHE+CHACHA20"
#define MEDIUM ":ECDHE+AES"

/*
 * For OpenSSL
 */

static const char *
cipher_list(const struct tls_rows *r, bool mandatory, struct arena *a, struct buffer *errors)
{
	int           grade = mandatory ? r->mandatory_ciphers : r->ciphers;
	const char   *high = *r->high != '\0' ? r->high : HIGH, *list = high, *kept = NULL;
	struct buffer out = { 0 };
	const char   *exclude =
                mandatory ? arena_printf(a, "%s %s", r->exclude, r->mandatory_exclude) : r->exclude;

	if (grade != GRADE_HIGH)
		list = *r->medium != '\0' ? r->medium : arena_printf(a, "%s" MEDIUM, high);
	if (tls_ciphers(bytes_of(list), bytes_of(exclude), &out))
		kept = arena_copy(a, buffer_bytes(&out));
	else
		buffer_printf(
			errors,
			"smtpd_tls_%sexclude_ciphers: %s: write names of ciphers, as aNULL, RC4\n",
			mandatory ? "mandatory_" : "", exclude);
	buffer_free(&out);
	return kept;
}

static bool
options_of(const struct tls_rows *r, uint64_t *bits, struct buffer *errors)
{
	*bits = 0;
	for (size_t i = 0; i < r->options.count; i++) {
		uint64_t bit = tls_option(bytes_of(r->options.item[i]));

		if (bit == 0) {
			buffer_printf(errors,
			              "tls_ssl_options = %s: write NO_TICKET, NO_COMPRESSION, "
			              "NO_RENEGOTIATION, PRIORITIZE_CHACHA, NO_ENCRYPT_THEN_MAC or "
			              "ENABLE_MIDDLEBOX_COMPAT\n",
			              r->options.item[i]);
			return false;
		}
		*bits |= bit;
	}
	return true;
}

bool
tls_settings_of(const struct tls_rows *r, bool mandatory, struct arena *a, struct tls_settings *out,
                struct buffer *errors)
{
	struct buffer curves = { 0 };

	*out = (struct tls_settings){
		.protocols = mandatory ? r->mandatory_protocols : r->protocols,
		.client_order = !r->preempt,
		.session_id = "",
		.alpn = "",
		.ask_certificate = r->ask || r->require,
		.require_certificate = r->require && mandatory,
		.verify_depth = (int)r->depth,
		.digest = r->digest,
		.ticket_s = r->ticket_ms / 1000,
	};
	tls_curves(bytes_of(r->curves), &curves);
	out->curves = arena_copy(a, buffer_bytes(&curves));
	buffer_free(&curves);
	if (EVP_get_digestbyname(r->digest) == NULL) {
		buffer_printf(
			errors,
			"smtpd_tls_fingerprint_digest = %s: write sha256, sha1 or another of OpenSSL's digests\n",
			r->digest);
		return false;
	}
	return options_of(r, &out->options, errors) &&
	       (out->ciphers = cipher_list(r, mandatory, a, errors)) != NULL;
}

/*
 * The check
 */

static bool
no_signature(void *ctx, struct bytes key_id, enum tls_sign_kind kind, int padding, struct bytes in,
             struct buffer *out)
{
	(void)ctx, (void)key_id, (void)kind, (void)padding, (void)in, (void)out;
	return false;
}

/* Whatever OpenSSL does not like is heard before it is in force. */
static bool
try_rows(const struct tls_rows *r, bool mandatory, struct arena *a, struct buffer *errors,
         struct buffer *warnings)
{
	static const struct tls_signer nobody = { .sign = no_signature };
	struct tls_settings            set;
	struct tls_versions            versions;
	struct bytes                   wrong;
	struct tls                    *t;
	char                           seed[TICKET_SEED];

	if (!tls_settings_of(r, mandatory, a, &set, errors))
		return false;
	tickets_seed(seed, 0, 3600);
	t = tls_open(&set, &nobody, (struct bytes){ seed, sizeof seed }, errors);
	if (t == NULL)
		return false;
	if (tls_protocols(bytes_of(set.protocols), &versions, &wrong) && versions.older)
		buffer_printf(
			warnings,
			"smtpd_tls_%sprotocols = %s: TLS before 1.2 is not spoken any more; TLSv1.2 and "
			"TLSv1.3 are\n",
			mandatory ? "mandatory_" : "", set.protocols);
	tls_close(&t);
	return true;
}

bool
tls_settings_check(struct settings *s, struct buffer *errors, struct buffer *warnings)
{
	struct arena    *a = arena_open(NULL);
	struct tls_rows  r;
	struct listeners all;
	struct buffer    again = { 0 };
	bool             good = settings_fill(s, &tls_setting_table, NULL, &r, errors) &&
	            try_rows(&r, false, a, errors, warnings) &&
	            try_rows(&r, true, a, errors, warnings);

	listeners_read(s, &all);
	for (size_t l = 0; l < all.count && good; l++)
		good = settings_fill(s, &tls_setting_table, all.one[l].name, &r, errors) &&
		       try_rows(&r, false, a, errors, &again) &&
		       try_rows(&r, true, a, errors, &again);
	buffer_free(&again);
	arena_close(&a);
	return good;
}

/*
 * Files
 */

struct gathering {
	struct arena      *a;
	struct tls_chains *out;
	size_t             room;
};

static void
add_chain(struct gathering *g, enum chain_use use, const char *name, const char *files,
          const char *keys)
{
	struct tls_chains *c = g->out;

	if (c->count == g->room) {
		struct tls_chain *more = arena_take_array(g->a, 2 * g->room + 8, sizeof *c->chain);

		if (c->count > 0)
			memcpy(more, c->chain, c->count * sizeof *more);
		c->chain = more;
		g->room = 2 * g->room + 8;
	}
	c->chain[c->count++] = (struct tls_chain){ use, name, files, keys };
}

/* The value of a row of tls_server_sni_maps. */
static void
take_row(void *ctx, struct bytes key, struct bytes value)
{
	struct gathering *g = ctx;
	const char       *files = "";
	struct bytes      word;

	while (value.len > 0) {
		size_t n = 0;

		while (n < value.len && strchr(", \t", value.at[n]) == NULL)
			n++;
		word = bytes_cut(value, 0, n);
		value = bytes_cut(value, n + 1, value.len);
		if (word.len > 0)
			files = arena_printf(g->a, "%s%s%.*s", files, *files != '\0' ? "\t" : "",
			                     (int)word.len, word.at);
	}
	if (*files != '\0')
		add_chain(g, CHAIN_NAME, arena_lower(g->a, key).at, files, files);
}

static bool
read_map(struct gathering *g, const char *name, const char *type, struct buffer *errors)
{
	struct table_source source = table_source_files;
	struct buffer       warnings = { 0 };
	struct table       *t = NULL;
	bool                good = false;

	source.default_type = type;
	if (!table_is_remote(name, type))
		t = table_open(name, TABLE_PLAIN, &source, errors, &warnings);
	if (t != NULL)
		good = table_each(t, take_row, g);
	if (!good)
		buffer_printf(
			errors,
			"tls_server_sni_maps = %s: certificates are read before anybody asks for "
			"one: write a local table that can be listed, as hash:/etc/postfix/sni\n",
			name);
	table_close(&t);
	buffer_free(&warnings);
	return good;
}

static bool
take_pair(struct gathering *g, const char *directory)
{
	const char *chain = arena_printf(g->a, "%s/fullchain.pem", directory);
	const char *key = arena_printf(g->a, "%s/privkey.pem", directory);

	if (access(chain, F_OK) < 0 || access(key, F_OK) < 0)
		return false;
	add_chain(g, CHAIN_MORE, "", chain, key);
	return true;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* As certbot lays them out: live/NAME/fullchain.pem. */
static bool
look_into(struct gathering *g, const char *directory, struct buffer *errors)
{
	struct dirent **entry = NULL;
	int             n;

	if (take_pair(g, directory))
		return true;
	if ((n = scandir(directory, &entry, NULL, by_name)) < 0) {
		buffer_printf(errors, "tls_certificate_directories = %s: %s\n", directory,
		              strerror(errno));
		return false;
	}
	for (int i = 0; i < n; i++) {
		if (entry[i]->d_name[0] != '.')
			(void)take_pair(g,
			                arena_printf(g->a, "%s/%s", directory, entry[i]->d_name));
		free(entry[i]);
	}
	free(entry);
	return true;
}

/* Certificates for everybody: some files with their keys before them, or one of each kind. */
struct primary {
	const struct setting_list *together;
	const char                *eccert, *eckey, *cert, *key;
};

static void
take_primary(struct gathering *g, const struct primary *p)
{
	const char *files = "";

	for (size_t i = 0; i < p->together->count; i++)
		files = arena_printf(g->a, "%s%s%s", files, i > 0 ? "\t" : "",
		                     p->together->item[i]);
	if (*files != '\0') {
		add_chain(g, CHAIN_ALL, "", files, files);
		return;
	}
	if (*p->eccert != '\0')
		add_chain(g, CHAIN_ALL, "", p->eccert, p->eckey);
	if (*p->cert != '\0')
		add_chain(g, CHAIN_ALL, "", p->cert, p->key);
}

/* Before it is there the first time, there is none. */
static void
take_ours(struct gathering *g, struct settings *s)
{
	char path[4096];

	if (certifier_path(s, path, sizeof path) && access(path, F_OK) == 0) {
		const char *ours = arena_copy(g->a, bytes_of(path));

		add_chain(g, CHAIN_MORE, "", ours, ours);
	}
}

bool
tls_chains_of(struct settings *s, const struct tls_rows *r, struct arena *a, struct tls_chains *out,
              struct buffer *errors)
{
	struct gathering     g = { a, out, 0 };
	const struct primary p = { &r->chain_files, r->eccert_file, r->eckey_file, r->cert_file,
		                   r->key_file };

	*out = (struct tls_chains){ NULL, 0 };
	take_primary(&g, &p);
	for (size_t i = 0; i < r->sni_maps.count; i++)
		if (!read_map(&g, r->sni_maps.item[i], tables_default_type(s), errors))
			return false;
	for (size_t i = 0; i < r->directories.count; i++)
		if (!look_into(&g, r->directories.item[i], errors))
			return false;
	take_ours(&g, s);
	return true;
}

void
tls_client_chains(const struct sender_settings *r, struct arena *a, struct tls_chains *out)
{
	struct gathering     g = { a, out, 0 };
	const struct primary p = { &r->tls_chain_files, r->tls_eccert_file, r->tls_eckey_file,
		                   r->tls_cert_file, r->tls_key_file };

	*out = (struct tls_chains){ NULL, 0 };
	take_primary(&g, &p);
}
