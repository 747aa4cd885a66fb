#include "role/sasl-settings.h"
#include "base/buffer.h"
#include "base/pack.h"
#include "directory/credential.h"
#include "directory/table.h"
#include "sasl/sasl.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { LDAP_FILE_MOST = 1 << 20 };

#define AT(f) offsetof(struct sasl_settings, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "sasl_mechanisms", SETTING_LIST, AT(mechanisms), "auto",
	  "SASL mechanisms offered, by SMTP, IMAP and POP3 alike: PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-1 and both with -PLUS, EXTERNAL, "
	  "GSSAPI, OAUTHBEARER, XOAUTH2; and CRAM-MD5, DIGEST-MD5, NTLM, OTP, ANONYMOUS, which are legacy. auto, for what is offered is to let everybody in: "
	  "PLAIN LOGIN, and SCRAM-SHA-256 SCRAM-SHA-1 while every account of the directory has a verifier of theirs, which one with an "
	  "imported hash has from its first login by PLAIN or LOGIN on; with another of auth_backends than directory: PLAIN LOGIN. What one of auth_backends could never verify is refused. Some clients, mutt among them, "
	  "choose -PLUS where it is offered although they cannot bind a channel, and then fail.", NULL, 0, 0, "0.2" },
	{ "anonymous_login_user", SETTING_WORD, AT(anonymous), "",
	  "The account of those who log in by ANONYMOUS to IMAP or POP3; nobody does if empty, and mail is never sent so.", NULL, 0, 0, "0.2" },
	{ "auth_krb5_keytab", SETTING_WORD, AT(keytab), "",
	  "The keytab with the keys of smtp/HOST, imap/HOST and pop/HOST, for GSSAPI; read when the server starts and at a reload, after which those that were are good still.", NULL, 0, 0, "0.2" },
	{ "auth_krb5_realms", SETTING_LIST, AT(realms), "",
	  "Kerberos realms whose principals may log in, each with the domain of its users: EXAMPLE.COM=example.com.  If empty, the "
	  "keytab's own realm, its users in the domain of the same name.", NULL, 0, 0, "0.2" },
	{ "external_login_maps", SETTING_TABLES, AT(certificates), "",
	  "Tables of whose a client's certificate is: its SHA-256 fingerprint (AB:CD:...) or, if trusted, its subject (CN=jack,O=Example) "
	  "is looked up, the value is the user.  What is not there is, if trusted, the user whose address the certificate holds.", NULL, 0, 0, "0.2" },
	{ "oauth_issuer", SETTING_TEXT, AT(issuer), "",
	  "Who must have issued a token, as its iss says it.", NULL, 0, 0, "0.2" },
	{ "oauth_jwks_file", SETTING_WORD, AT(jwks_file), "",
	  "A file with the issuer's public keys (JWKS) that tokens are checked with; read again at a reload.", NULL, 0, 0, "0.2" },
	{ "oauth_token_maps", SETTING_TABLES, AT(tokens), "",
	  "Where else a token is looked up, the value is its user: oauth:/etc/mansio/issuer.cf fetches the keys of an issuer, or asks it "
	  "about each token (introspection); settings of its own stand in that file.", NULL, 0, 0, "0.2" },
	{ "oauth_audience", SETTING_LIST, AT(audiences), "",
	  "A token must be for one of these, as its aud says, else it is refused; if any, for whomever it is.", NULL, 0, 0, "0.2" },
	{ "oauth_scope", SETTING_LIST, AT(scopes), "",
	  "What a token's scope must hold, all of it.", NULL, 0, 0, "0.2" },
	{ "oauth_user_claim", SETTING_WORD, AT(claim), "email",
	  "The member of a token that says whose it is: email, preferred_username, sub, ...", NULL, 0, 0, "0.2" },
	{ "oauth_configuration_url", SETTING_TEXT, AT(configuration), "",
	  "Where clients find the issuer's configuration; said to those whose token is refused.", NULL, 0, 0, "0.2" },
};
/* clang-format on */
#undef AT
const struct setting_table sasl_setting_table = { "Ways to log in", rows, COUNT(rows) };

static bool
settings_is_yes(struct settings *s, const char *name)
{
	const char *value = settings_value(s, name);

	return value != NULL && bytes_is(bytes_of(value), "yes");
}

/* auth_bind = yes: that server compares, and tells nobody what with.  A file that cannot be read is complained of elsewhere. */
static bool
ldap_only_compares(const char *path)
{
	struct buffer    text = { 0 }, errors = { 0 }, warnings = { 0 };
	struct settings *s = NULL;
	char             piece[4096];
	int              fd = open(path, O_RDONLY | O_CLOEXEC);
	bool             only;

	for (ssize_t n;
	     fd >= 0 && text.len < LDAP_FILE_MOST && (n = read(fd, piece, sizeof piece)) > 0;)
		buffer_add(&text, (struct bytes){ piece, (size_t)n });
	if (fd >= 0)
		(void)close(fd);
	s = settings_read(buffer_bytes(&text), path, &errors, &warnings);
	only = s != NULL && settings_is_yes(s, "auth_bind");
	settings_close(&s);
	buffer_free(&text);
	buffer_free(&errors);
	buffer_free(&warnings);
	return only;
}

/* `tells`: one that only compares does not count. */
static bool
backend_is(const struct credential_backend *b, unsigned kinds, bool tells)
{
	return (kinds & 1U << b->kind) != 0 &&
	       (!tells || b->kind != CREDENTIAL_LDAP || !ldap_only_compares(b->argument));
}

/* It lets a password be compared and tells nothing that another mechanism could be checked with. */
static bool
backend_compares(const struct credential_backend *b)
{
	return b->kind == CREDENTIAL_PAM || b->kind == CREDENTIAL_SASLAUTHD ||
	       b->kind == CREDENTIAL_DOVECOT ||
	       (b->kind == CREDENTIAL_LDAP && ldap_only_compares(b->argument));
}

/* The word of the first back end that only compares; NULL none does. */
static const char *
comparing_backend(struct settings *s, struct arena *a)
{
	const char  *text = settings_value(s, "auth_backends");
	struct bytes rest = bytes_of(text != NULL ? text : ""), word;

	while (bytes_split(&rest, ' ', &word)) {
		struct credential_backend b;
		const char               *one;

		word = bytes_trim(word);
		while (word.len > 0 && word.at[word.len - 1] == ',')
			word.len--;
		one = arena_copy(a, word);
		if (word.len > 0 && word.at[0] != '$' &&
		    credential_backend_parse(one, &b) == NULL && backend_compares(&b))
			return one;
	}
	return NULL;
}

/* Whether one of the back ends is of these kinds.  What cannot be read is complained of elsewhere. */
static bool
has_backend(struct settings *s, unsigned kinds, bool tells)
{
	const char   *text = settings_value(s, "auth_backends");
	struct bytes  rest = bytes_of(text != NULL && *text != '\0' ? text : "directory"), word;
	struct arena *a = arena_open(NULL);
	bool          has = false;

	while (bytes_split(&rest, ' ', &word)) {
		struct credential_backend b;

		word = bytes_trim(word);
		while (word.len > 0 && word.at[word.len - 1] == ',')
			word.len--;
		if (word.len > 0 && (word.at[0] == '$' ||
		                     (credential_backend_parse(arena_copy(a, word), &b) == NULL &&
		                      backend_is(&b, kinds, tells))))
			has = true;
	}
	arena_close(&a);
	return has;
}

const char *
sasl_standard(struct settings *s)
{
	return has_backend(s, ~(1U << CREDENTIAL_DIRECTORY), false) ? "PLAIN LOGIN" : NULL;
}

bool
sasl_is_auto(struct settings *s)
{
	const char  *text = settings_value(s, "sasl_mechanisms");
	struct bytes rest = bytes_of(text != NULL ? text : ""), word;

	while (rest.len > 0 && setting_item(&rest, &word))
		if (bytes_is(word, "auto"))
			return true;
	return false;
}

bool
hear_mute(struct bytes body)
{
	struct unpack u = unpack_of(body);
	bool          mute[SASL_HASHES];

	for (size_t i = 0; i < SASL_HASHES; i++)
		mute[i] = unpack_bool(&u);
	if (!unpack_done(&u))
		return false;
	for (size_t i = 0; i < SASL_HASHES; i++)
		sasl_mute((enum sasl_hash)i, mute[i]);
	return true;
}

/* What each source of proof wants of the settings; NULL: it is there. */
static const char *
source_missing(struct settings *s, const struct sasl_settings *set, enum sasl_source source)
{
	const unsigned directory = 1U << CREDENTIAL_DIRECTORY,
		       told = directory | 1U << CREDENTIAL_PASSWD_FILE | 1U << CREDENTIAL_SQL |
	                      1U << CREDENTIAL_LDAP;

	switch (source) {
	case SASL_BY_PASSWORD: return NULL;
	case SASL_BY_VERIFIER:
		return has_backend(s, told, true)
		               ? NULL
		               : "it needs a verifier that is stored where it can be read: add directory, passwd-file, sql or "
		                 "ldap to auth_backends, or take it out";
	case SASL_BY_SECRET:
		return has_backend(s, told, true)
		               ? NULL
		               : "it needs the password itself, or what was made of it for this, stored where it can be read: add directory (account set "
		                 "--keep-plain-secret), passwd-file, sql or ldap to auth_backends, or take it out";
	case SASL_BY_ONE_TIME:
		return has_backend(s, directory, true)
		               ? NULL
		               : "one-time passwords are kept in the directory: add directory to auth_backends, or take it out";
	case SASL_BY_KEYTAB:
		return *set->keytab != '\0' ? NULL : "it needs Kerberos keys: set auth_krb5_keytab";
	case SASL_BY_CERTIFICATE:
		if (!settings_is_yes(s, "smtpd_tls_ask_ccert") &&
		    !settings_is_yes(s, "smtpd_tls_req_ccert"))
			return "it needs a certificate of the client: set smtpd_tls_ask_ccert = yes";
		return *settings_value(s, "smtpd_tls_CAfile") != '\0' ||
		                       *settings_value(s, "smtpd_tls_CApath") != '\0' ||
		                       set->certificates.count > 0
		               ? NULL
		               : "nobody's certificate is known: set smtpd_tls_CAfile or external_login_maps";
	case SASL_BY_ISSUER:
		if (*set->jwks_file != '\0' && set->audiences.count == 0)
			return "it needs to know whom tokens are for: set oauth_audience, or to any for whomever they are";
		return *set->jwks_file != '\0' || set->tokens.count > 0
		               ? NULL
		               : "it needs an issuer of tokens: set oauth_token_maps or oauth_jwks_file";
	case SASL_BY_NOBODY:
		return *set->anonymous != '\0' ? NULL
		                               : "it needs an account: set anonymous_login_user";
	}
	return NULL;
}

static const char *
option_wrong(const char *list, struct arena *a)
{
	struct bytes rest = bytes_of(list), word;
	unsigned     banned;
	const char  *wrong;

	while (bytes_split(&rest, ' ', &word)) {
		const char *one;

		word = bytes_trim(word);
		if (word.len > 0 && word.at[word.len - 1] == ',')
			word.len--;
		one = arena_copy(a, word);
		if (word.len > 0 && word.at[0] != '$' &&
		    !sasl_options(&(struct setting_list){ &one, 1 }, &banned, &wrong))
			return arena_printf(a,
			                    "%s: write noplaintext, noactive, nodictionary, "
			                    "noanonymous, mutual_auth or forward_secrecy",
			                    one);
	}
	return NULL;
}

static const char *
list_wrong(struct settings *s, const struct sasl_settings *set, const char *list, struct arena *a)
{
	struct bytes     rest = bytes_of(list), word;
	enum sasl_source source;
	unsigned         traits;

	while (bytes_split(&rest, ' ', &word)) {
		const char *missing;

		word = bytes_trim(word);
		if (word.len > 0 && word.at[word.len - 1] == ',')
			word.len--;
		if (word.len == 0 || word.at[0] == '$' || bytes_is(word, "auto"))
			continue;
		if (!sasl_known(word, &source, &traits))
			return arena_printf(a, "%.*s is not a mechanism of this server",
			                    (int)word.len, word.at);
		if ((missing = source_missing(s, set, source)) != NULL)
			return arena_printf(a, "nobody could log in by %.*s: %s", (int)word.len,
			                    word.at, missing);
		if ((source == SASL_BY_VERIFIER || source == SASL_BY_SECRET) &&
		    (missing = comparing_backend(s, a)) != NULL)
			return arena_printf(
				a,
				"users of %s could not log in by %.*s: it compares passwords and tells nothing "
				"of them; take the one or the other out, for a program chooses the mechanism before "
				"it is known whose user that is",
				missing, (int)word.len, word.at);
	}
	return NULL;
}

static const char *
bare_name(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash != NULL ? slash + 1 : name;
}

static bool
names_options(const char *name)
{
	name = bare_name(name);
	return strcmp(name, "smtpd_sasl_security_options") == 0 ||
	       strcmp(name, "smtpd_sasl_tls_security_options") == 0;
}

static bool
names_mechanisms(const char *name)
{
	name = bare_name(name);
	return strcmp(name, "sasl_mechanisms") == 0 || strcmp(name, "auth_mechanisms") == 0 ||
	       strcmp(name, "smtpd_sasl_mechanism_list") == 0;
}

static const char *
realms_wrong(const struct sasl_settings *set, struct arena *a)
{
	for (size_t i = 0; i < set->realms.count; i++) {
		struct bytes domain = bytes_of(set->realms.item[i]), realm;

		if (!bytes_split(&domain, '=', &realm) || realm.len == 0 || domain.len == 0)
			return arena_printf(
				a, "%s: write a realm and a domain, as EXAMPLE.COM=example.com",
				set->realms.item[i]);
	}
	return NULL;
}

const char *
sasl_settings_wrong(struct settings *s, struct arena *a, const char **setting)
{
	struct buffer        errors = { 0 };
	struct sasl_settings set;
	struct setting_entry e;
	const char          *wrong = NULL;
	bool                 good = settings_fill(s, &sasl_setting_table, NULL, &set, &errors);

	buffer_free(&errors);
	if (!good) /* said where each row is filled */
		return NULL;
	for (size_t i = 0; settings_entry(s, i, &e); i++) {
		if (names_mechanisms(e.name))
			wrong = list_wrong(s, &set, e.value, a);
		else if (names_options(e.name))
			wrong = option_wrong(e.value, a);
		if (wrong != NULL) {
			*setting = e.name;
			return wrong;
		}
	}
	*setting = "auth_krb5_realms";
	if ((wrong = realms_wrong(&set, a)) != NULL)
		return wrong;
	*setting = "external_login_maps";
	for (size_t i = 0; i < set.certificates.count; i++)
		if (table_is_remote(set.certificates.item[i], "hash"))
			return "a table for this must be local: hash, inline, regexp ...";
	return NULL;
}
