/* guide-settings -- what main.cf says of what mail programs are told (guide.h) */
#include "role/guide.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/login/login.h"
#include "base/arena.h"
#include "channel/listener.h"
#include "channel/tls.h"
#include "role/certifier.h"
#include "sasl/sasl.h"
#include "smtp/receiver/settings.h"

#define AT(f) offsetof(struct guide_settings, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "autoconfig", SETTING_BOOL, AT(is_on), "no",
	  "Tell mail programs by HTTP how to reach this server: Thunderbird and others (config-v1.1.xml) at autoconfig.DOMAIN and DOMAIN/.well-known/autoconfig, Outlook at autodiscover.DOMAIN, "
	  "for every domain whose mail ends here. Such names must lead here: mansio dns show prints them.", NULL, 0, 0, "0.4" },
	{ "autoconfig_http_listen", SETTING_LIST, AT(http_listen), "*:80",
	  "Where, as listen_smtp; a port that somebody else has is warned of, and mail goes on. Where it is that of tls_acme_http_listen, what the ACME server asks goes on to role certifier. "
	  "Behind a web server: an address it hands these names to.", NULL, 0, 0, "0.4" },
	{ "autoconfig_https_listen", SETTING_LIST, AT(https_listen), "*:443",
	  "The same with TLS, with the certificates of all services: one with the name autoconfig.DOMAIN is shown to who asks for it (tls_server_sni_maps, tls_certificate_directories, tls_acme_names).", NULL, 0, 0, "0.4" },
	{ "autoconfig_host", SETTING_WORD, AT(host), "",
	  "The host that mail programs are told; if empty, myhostname when a certificate has it, else the first name the certificate has.", NULL, 0, 0, "0.4" },
};
/* clang-format on */
#undef AT
const struct setting_table guide_setting_table = { "What mail programs are told", rows,
	                                           COUNT(rows) };

static bool
fill(struct settings *s, struct guide_settings *r)
{
	struct buffer unheard = { 0 };
	bool          good = settings_fill(s, &guide_setting_table, NULL, r, &unheard);

	buffer_free(&unheard);
	return good;
}

bool
guide_wanted(struct settings *s)
{
	struct guide_settings r;

	return fill(s, &r) && r.is_on;
}

static bool
check_places(const char *setting, const struct setting_list *where, struct buffer *errors)
{
	for (size_t i = 0; i < where->count; i++)
		if (!listener_address(where->item[i])) {
			buffer_printf(errors,
			              "%s = %s: write ADDRESS:PORT, as *:80 or 127.0.0.1:8080\n",
			              setting, where->item[i]);
			return false;
		}
	return true;
}

/* Letters, digits and hyphens, with a dot in it: it stands in what is told. */
static bool
is_host(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.");

	return n > 0 && n < 254 && name[n] == '\0' && name[0] != '.' && name[n - 1] != '.' &&
	       strchr(name, '.') != NULL && strstr(name, "..") == NULL;
}

/* The handshake of tls-alpn-01 is no visit of ours, and one socket has one owner. */
static void
warn_of_certifier(struct settings *s, const struct guide_settings *r, struct buffer *warnings)
{
	struct certifier_settings c;
	struct buffer             unheard = { 0 };

	if (settings_fill(s, &certifier_setting_table, NULL, &c, &unheard) && c.names.count > 0 &&
	    c.challenge == CHALLENGE_TLS)
		for (size_t i = 0; i < r->https_listen.count; i++)
			for (size_t k = 0; k < c.tls_listen.count; k++)
				if (strcmp(r->https_listen.item[i], c.tls_listen.item[k]) == 0)
					buffer_printf(
						warnings,
						"autoconfig_https_listen = %s: the certifier listens there (tls_acme_tls_listen), and mail programs are told nothing by https; "
						"with tls_acme_challenge = http-01 both go\n",
						r->https_listen.item[i]);
	buffer_free(&unheard);
}

bool
guide_check(struct settings *s, struct buffer *errors, struct buffer *warnings)
{
	struct guide_settings r;

	if (!settings_fill(s, &guide_setting_table, NULL, &r, errors))
		return false;
	if (*r.host != '\0' && !is_host(r.host)) {
		buffer_printf(errors,
		              "autoconfig_host = %s: write a whole name, as mail.example.org\n",
		              r.host);
		return false;
	}
	if (!check_places("autoconfig_http_listen", &r.http_listen, errors) ||
	    !check_places("autoconfig_https_listen", &r.https_listen, errors))
		return false;
	if (r.is_on)
		warn_of_certifier(s, &r, warnings);
	return true;
}

/*
 * Services
 */

static unsigned
ways_of(const struct setting_list *mechanisms)
{
	static const struct {
		const char *name;
		unsigned    way;
	} known[] = {
		{ "PLAIN", CLIENT_PASSWORD },    { "LOGIN", CLIENT_PASSWORD },
		{ "OAUTHBEARER", CLIENT_TOKEN }, { "XOAUTH2", CLIENT_TOKEN },
		{ "GSSAPI", CLIENT_KERBEROS },
	};
	struct sasl_place place = { 0 };
	const char       *name;
	unsigned          found = 0;

	while ((name = sasl_next(mechanisms, &place)) != NULL)
		for (size_t i = 0; i < COUNT(known); i++)
			if (bytes_is(bytes_of(name), known[i].name))
				found |= known[i].way;
	return found;
}

/* Of readers: whether TLS is to be had there, and how one logs in. */
static bool
look_at_readers(struct settings *s, const char *listener, struct client_server *out)
{
	struct login_settings r;
	struct buffer         unheard = { 0 };
	bool good = settings_fill(s, &login_setting_table, listener, &r, &unheard) &&
	            (out->tls_first || r.ssl != LOGIN_SSL_NO);

	if (good)
		out->ways = ways_of(&r.mechanisms);
	buffer_free(&unheard);
	return good;
}

/* The same of submission. */
static bool
look_at_senders(struct settings *s, const char *listener, struct client_server *out)
{
	struct receiver_settings r;
	struct buffer            unheard = { 0 };
	enum receiver_kind       kind = out->tls_first ? KIND_SUBMISSIONS : KIND_SUBMISSION;
	bool good = receiver_settings_fill(s, kind, listener, &r, &unheard) && r.auth_enable &&
	            (r.tls_wrappermode || r.tls_level >= TLS_MAY);

	if (good) {
		out->tls_first = r.tls_wrappermode;
		out->ways = ways_of(&r.auth_mechanisms);
	}
	buffer_free(&unheard);
	return good;
}

/* "*:993", "[::1]:993"; 0: a socket of this machine. */
static unsigned
port_of(const char *address)
{
	const char *colon = strrchr(address, ':');

	return strncmp(address, "unix:", 5) == 0 || colon == NULL
	               ? 0
	               : (unsigned)strtoul(colon + 1, NULL, 10);
}

static bool
is_near(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strncmp(address, "[::1]", 5) == 0 ||
	       strncmp(address, "localhost:", 10) == 0;
}

/* The first port the world can come to; that of this machine alone if `near`. */
static unsigned
port_in(const struct setting_list *where, bool near)
{
	for (size_t i = 0; i < where->count; i++)
		if (port_of(where->item[i]) != 0 && (near || !is_near(where->item[i])))
			return port_of(where->item[i]);
	return 0;
}

/* rfc8314:3  TLS from the first byte before STARTTLS, IMAP before POP3. */
static const struct {
	enum listener_service service;
	enum client_protocol  protocol;
	bool                  tls_first;
	bool (*look)(struct settings *, const char *listener, struct client_server *);
} services[] = {
	{ LISTEN_IMAPS, CLIENT_IMAP, true, look_at_readers },
	{ LISTEN_IMAP, CLIENT_IMAP, false, look_at_readers },
	{ LISTEN_POP3S, CLIENT_POP3, true, look_at_readers },
	{ LISTEN_POP3, CLIENT_POP3, false, look_at_readers },
	{ LISTEN_SUBMISSIONS, CLIENT_SMTP, true, look_at_senders },
	{ LISTEN_SUBMISSION, CLIENT_SMTP, false, look_at_senders },
};

void
guide_services(struct settings *s, const struct common_settings     *common,
               bool (*shows)(void *ctx, const char *listener), void *ctx, struct client_facts *out)
{
	bool near = true;

	out->servers = 0;
	/* Where all is of this machine alone, who asks is there, too. */
	for (size_t i = 0; i < COUNT(services); i++)
		near = near && port_in(&common->listen[services[i].service], false) == 0;
	for (size_t i = 0; i < COUNT(services); i++) {
		enum listener_service which = services[i].service;
		const char           *listener = listener_names[which];
		struct client_server  one = { .protocol = services[i].protocol,
			                      .port = port_in(&common->listen[which], near),
			                      .tls_first = services[i].tls_first };

		if (one.port != 0 && house_speaks(common, which) && shows(ctx, listener) &&
		    services[i].look(s, listener, &one) && one.ways != 0)
			out->server[out->servers++] = one;
	}
}

/*
 * The name
 */

static bool
take_name(const ASN1_STRING *text, char out[static 256])
{
	struct bytes name = { (const char *)ASN1_STRING_get0_data(text),
		              (size_t)ASN1_STRING_length(text) };

	return name.len > 0 && bytes_string(name, out, 256) && is_host(out);
}

/* rfc9525:2  Names of hosts stand among the other names; one with a * is none. */
static bool
first_name(X509 *x, char out[static 256])
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	bool           found = false;

	for (int i = 0; !found && i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *one = sk_GENERAL_NAME_value(all, i);

		found = one->type == GEN_DNS && take_name(one->d.dNSName, out);
	}
	GENERAL_NAMES_free(all);
	return found;
}

bool
guide_name(struct bytes chains, const char *wanted, char out[static 256])
{
	struct bytes chain;
	char         other[256] = "";
	bool         found = false;

	while (!found && tls_next_chain(&chains, &chain)) {
		BIO  *bio = BIO_new_mem_buf(chain.at, (int)chain.len);
		X509 *x = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);

		found = x != NULL && X509_check_host(x, wanted, 0, 0, NULL) == 1;
		if (x != NULL && !found && *other == '\0' && !first_name(x, other))
			other[0] = '\0';
		X509_free(x);
		BIO_free(bio);
	}
	ERR_clear_error();
	(void)snprintf(out, 256, "%.255s", found || *other == '\0' ? wanted : other);
	return found || *other != '\0';
}
