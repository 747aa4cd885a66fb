/* certifier-settings -- what main.cf says of certificates by ACME (certifier.h) */
#include "role/certifier.h"

#include <stdio.h>
#include <string.h>

#include "channel/listener.h"

#define AT(f) offsetof(struct certifier_settings, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "tls_acme_names", SETTING_LIST, AT(names), "",
	  "Names of this host that one certificate is got for from an ACME server, and made anew before it ends; the first is its file's: certificates/NAME.pem in mail_directory; every service shows it.", NULL, 0, 0, "0.4" },
	{ "tls_acme_agree", SETTING_BOOL, AT(agree), "no",
	  "Whether you agree to the terms of service of the authority behind tls_acme_server: nothing is asked of it before.", NULL, 0, 0, "0.4" },
	{ "tls_acme_server", SETTING_WORD, AT(server), "https://acme-v02.api.letsencrypt.org/directory",
	  "The directory of the ACME server.", NULL, 0, 0, "0.4" },
	{ "tls_acme_staging", SETTING_BOOL, AT(staging), "no",
	  "Ask https://acme-staging-v02.api.letsencrypt.org/directory instead: to try whether all is well; nobody trusts what it gives, and it is replaced when this is no again.", NULL, 0, 0, "0.4" },
	{ "tls_acme_contact", SETTING_LIST, AT(contact), "",
	  "Mail addresses the authority may write to.", NULL, 0, 0, "0.4" },
	{ "tls_acme_account_id", SETTING_WORD, AT(account_id), "",
	  "For an authority that wants an account of its own customers (External Account Binding): the key id it gave you; empty: it wants none.", NULL, 0, 0, "0.4" },
	{ "tls_acme_account_key_file", SETTING_WORD, AT(account_key_file), "",
	  "A file with the HMAC key that goes with tls_acme_account_id, in base64url as the authority gave it, readable by root alone.", NULL, 0, 0, "0.4" },
	{ "tls_acme_challenge", SETTING_CHOICE, AT(challenge), "http-01",
	  "How the authority sees that the names are ours: http-01, it asks port 80; tls-alpn-01, it asks port 443.", "http-01,tls-alpn-01", 0, 0, "0.4" },
	{ "tls_acme_http_listen", SETTING_LIST, AT(http_listen), "*:80",
	  "Where the answers to http-01 are shown, as listen_smtp; what comes while nothing is being asked for is sent away. Behind a web server: an address it hands /.well-known/acme-challenge/ to.", NULL, 0, 0, "0.4" },
	{ "tls_acme_tls_listen", SETTING_LIST, AT(tls_listen), "*:443",
	  "The same for tls-alpn-01.", NULL, 0, 0, "0.4" },
	{ "tls_acme_renew_before", SETTING_TIME, AT(renew_ms), "30d",
	  "How long before its end a certificate is made anew; at the latest when a third of its life is left.", NULL, 3600000, 31536000000, "0.4" },
	{ "tls_acme_key_type", SETTING_CHOICE, AT(kind), "ecdsa",
	  "The kind of its key, which is another each time: ecdsa (P-256) or rsa (2048 bits).", "ecdsa,rsa", 0, 0, "0.4" },
	{ "tls_acme_CAfile", SETTING_WORD, AT(authorities), "",
	  "Authorities the ACME server's own certificate is trusted from, in PEM, for one within the house; those of the system if empty.", NULL, 0, 0, "0.4" },
};
/* clang-format on */
#undef AT
const struct setting_table certifier_setting_table = { "Certificates by ACME", rows, COUNT(rows) };

#define STAGING "https://acme-staging-v02.api.letsencrypt.org/directory"

const char *
certifier_server(const struct certifier_settings *r)
{
	return r->staging ? STAGING : r->server;
}

static bool
fill(struct settings *s, struct certifier_settings *r)
{
	struct buffer unheard = { 0 };
	bool          good = settings_fill(s, &certifier_setting_table, NULL, r, &unheard);

	buffer_free(&unheard);
	return good;
}

bool
certifier_wanted(struct settings *s)
{
	struct certifier_settings r;

	return fill(s, &r) && r.names.count > 0;
}

bool
certifier_path(struct settings *s, char *out, size_t room)
{
	struct certifier_settings r;
	const char               *directory = settings_value(s, "mail_directory");

	return directory != NULL && fill(s, &r) && r.names.count > 0 &&
	       (size_t)snprintf(out, room, "%s/certificates/%s.pem", directory, r.names.item[0]) <
	               room;
}

/* Letters, digits and hyphens, with a dot in it: it is asked for, and is the name of a file. */
static bool
is_name(const char *name)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
	size_t n = strspn(name, letters);

	return n > 0 && n < 254 && name[n] == '\0' && name[0] != '.' && name[n - 1] != '.' &&
	       strchr(name, '.') != NULL && strstr(name, "..") == NULL;
}

static bool
check_names(const struct certifier_settings *r, struct buffer *errors)
{
	for (size_t i = 0; i < r->names.count; i++)
		if (!is_name(r->names.item[i])) {
			buffer_printf(
				errors,
				"tls_acme_names = %s: write names of hosts, as mail.example.org; those with other letters as xn--..., and none with *\n",
				r->names.item[i]);
			return false;
		}
	if (r->names.count > ORDER_NAMES_MOST)
		buffer_printf(errors,
		              "tls_acme_names: no more than %d names can be in one certificate\n",
		              ORDER_NAMES_MOST);
	return r->names.count <= ORDER_NAMES_MOST;
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

static bool
check_contact(const struct setting_list *contact, struct buffer *errors)
{
	for (size_t i = 0; i < contact->count; i++)
		if (strchr(contact->item[i], '@') == NULL) {
			buffer_printf(
				errors,
				"tls_acme_contact = %s: write mail addresses, as postmaster@example.org\n",
				contact->item[i]);
			return false;
		}
	return true;
}

bool
certifier_check(struct settings *s, struct buffer *errors, struct buffer *warnings)
{
	struct certifier_settings r;

	if (!settings_fill(s, &certifier_setting_table, NULL, &r, errors))
		return false;
	if (r.names.count == 0)
		return true;
#ifndef MANSIO_ACME
	buffer_add_string(
		errors,
		"tls_acme_names: this program was built without ACME (libjansson, libcurl)\n");
	return false;
#endif
	if (!r.agree) {
		buffer_printf(
			errors,
			"tls_acme_names: the authority wants you to agree to its terms of service, which %s names; write tls_acme_agree = yes if you do\n",
			certifier_server(&r));
		return false;
	}
	if (strncmp(r.server, "https://", 8) != 0) {
		buffer_printf(errors, "tls_acme_server = %s: write a URL with https://\n",
		              r.server);
		return false;
	}
	if (r.staging)
		buffer_add_string(
			warnings,
			"tls_acme_staging = yes: nobody trusts such a certificate; write no when the trial is over\n");
	if ((*r.account_id == '\0') != (*r.account_key_file == '\0')) {
		buffer_add_string(
			errors,
			"tls_acme_account_id and tls_acme_account_key_file: an authority gives both or none; write the other one\n");
		return false;
	}
	return check_names(&r, errors) && check_contact(&r.contact, errors) &&
	       check_places("tls_acme_http_listen", &r.http_listen, errors) &&
	       check_places("tls_acme_tls_listen", &r.tls_listen, errors);
}
