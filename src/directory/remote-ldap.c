#include "directory/table_inner.h"

#ifdef MANSIO_LDAP

#include <string.h>
#include <sys/time.h>

#include "directory/remote-ldap.h"

enum { BIND_NO, BIND_NONE, BIND_YES, BIND_SIMPLE, BIND_SASL };
enum { LDAP_TCP = 389, LDAPS_TCP = 636 };

/* clang-format off */
#define AT(member) offsetof(struct ldap_settings, member)
static const struct setting rows[] = {
	REMOTE_ROWS(struct ldap_settings, common, "query_filter"),
	{ "result_filter", SETTING_TEXT, AT(common.result_filter), "", "The older name of result_format.", NULL, 0, 0, "0.1" },
	{ "server_host", SETTING_LIST, AT(server_host), "localhost", "Servers: host, host:port, ldap://..., ldaps://..., ldapi://...", NULL, 0, 0, "0.1" },
	{ "server_port", SETTING_NUMBER, AT(server_port), "389", "The port of a host without one.", NULL, 1, 65535, "0.1" },
	{ "search_base", SETTING_TEXT, AT(search_base), "", "Where the search begins.", NULL, 0, 0, "0.1" },
	{ "scope", SETTING_CHOICE, AT(scope), "sub", "How deep it goes.", "sub,base,one,subtree,onelevel", 0, 0, "0.1" },
	{ "result_attribute", SETTING_LIST, AT(result), "maildrop", "Attributes that are told.", NULL, 0, 0, "0.1" },
	{ "special_result_attribute", SETTING_LIST, AT(special), "", "Attributes with DNs or URLs that are followed.", NULL, 0, 0, "0.1" },
	{ "leaf_result_attribute", SETTING_LIST, AT(leaf), "", "Told of entries without special ones.", NULL, 0, 0, "0.1" },
	{ "terminal_result_attribute", SETTING_LIST, AT(terminal), "", "Told alone where they are.", NULL, 0, 0, "0.1" },
	{ "bind", SETTING_CHOICE, AT(bind), "yes", "How we say who we are.", "no,none,yes,simple,sasl", 0, 0, "0.1" },
	{ "bind_dn", SETTING_TEXT, AT(bind_dn), "", "Who we are there.", NULL, 0, 0, "0.1" },
	{ "bind_pw", SETTING_TEXT, AT(bind_pw), "", "The password.", NULL, 0, 0, "0.1" },
	{ "sasl_mechs", SETTING_TEXT, AT(sasl_mechs), "EXTERNAL", "The mechanism: EXTERNAL.", NULL, 0, 0, "0.1" },
	{ "sasl_realm", SETTING_TEXT, AT(sasl_realm), "", "Not used by EXTERNAL.", NULL, 0, 0, "0.1" },
	{ "sasl_authz_id", SETTING_TEXT, AT(sasl_authz_id), "", "As whom we act.", NULL, 0, 0, "0.1" },
	{ "sasl_minssf", SETTING_NUMBER, AT(sasl_minssf), "0", "Not used by EXTERNAL.", NULL, 0, 0, "0.1" },
	{ "version", SETTING_NUMBER, AT(version), "3", "Of the protocol.", NULL, 2, 3, "0.1" },
	{ "size_limit", SETTING_NUMBER, AT(size_limit), "0", "More entries than this are an error; 0: any number. Unless it is set it is expansion_limit.", NULL, 0, INT32_MAX, "0.1" },
	{ "dereference", SETTING_NUMBER, AT(dereference), "0", "Aliases: 0 never, 1 searching, 2 finding the base, 3 always.", NULL, 0, 3, "0.1" },
	{ "chase_referrals", SETTING_NUMBER, AT(chase_referrals), "0", "Whether referrals are followed.", NULL, 0, 1, "0.1" },
	{ "recursion_limit", SETTING_NUMBER, AT(recursion_limit), "1000", "How deep attributes that are followed may lead; 200 is the most.", NULL, 1, INT32_MAX, "0.1" },
	{ "start_tls", SETTING_BOOL, AT(start_tls), "no", "Whether STARTTLS is asked for.", NULL, 0, 0, "0.1" },
	{ "tls_require_cert", SETTING_BOOL, AT(tls_require_cert), "no", "Whether the server's certificate must be good.", NULL, 0, 0, "0.1" },
	{ "tls_ca_cert_file", SETTING_WORD, AT(tls_ca_cert_file), "", "Authorities that are believed.", NULL, 0, 0, "0.1" },
	{ "tls_ca_cert_dir", SETTING_WORD, AT(tls_ca_cert_dir), "", "A directory of them.", NULL, 0, 0, "0.1" },
	{ "tls_cert", SETTING_WORD, AT(tls_cert), "", "Our certificate.", NULL, 0, 0, "0.1" },
	{ "tls_key", SETTING_WORD, AT(tls_key), "", "Its key.", NULL, 0, 0, "0.1" },
	{ "tls_random_file", SETTING_WORD, AT(tls_random_file), "", "Known and not needed.", NULL, 0, 0, "0.1" },
	{ "tls_cipher_suite", SETTING_TEXT, AT(tls_cipher_suite), "", "Ciphers, in the words of the library.", NULL, 0, 0, "0.1" },
	{ "debuglevel", SETTING_NUMBER, AT(debuglevel), "0", "Known and not used.", NULL, 0, 0, "0.1" },
	{ "cache", SETTING_BOOL, AT(cache), "no", "Known and not used.", NULL, 0, 0, "0.1" },
	{ "cache_expiry", SETTING_NUMBER, AT(cache_expiry), "30", "Known and not used.", NULL, 0, 0, "0.1" },
	{ "pass_filter", SETTING_TEXT, AT(pass_filter), "", "Of passwords: the filter; %u, %n and %d as in Dovecot.", NULL, 0, 0, "0.2" },
	{ "pass_attrs", SETTING_LIST, AT(pass_attrs), "userPassword=password", "Of passwords: attribute=field.", NULL, 0, 0, "0.2" },
	{ "auth_bind", SETTING_BOOL, AT(auth_bind), "no", "Of passwords: the server compares, by a bind.", NULL, 0, 0, "0.2" },
	{ "auth_bind_userdn", SETTING_TEXT, AT(auth_bind_userdn), "", "Of passwords: the DN of a user without a search.", NULL, 0, 0, "0.2" },
	{ "default_pass_scheme", SETTING_WORD, AT(default_pass_scheme), "CRYPT", "Of passwords that name no scheme: theirs.", NULL, 0, 0, "0.2" },
	{ "hosts", SETTING_LIST, AT(hosts), "", "Dovecot's name of server_host.", NULL, 0, 0, "0.2" },
	{ "uris", SETTING_LIST, AT(uris), "", "The same, as URLs.", NULL, 0, 0, "0.2" },
	{ "dn", SETTING_TEXT, AT(dn), "", "Dovecot's name of bind_dn.", NULL, 0, 0, "0.2" },
	{ "dnpass", SETTING_TEXT, AT(dnpass), "", "Dovecot's name of bind_pw.", NULL, 0, 0, "0.2" },
	{ "base", SETTING_TEXT, AT(base), "", "Dovecot's name of search_base.", NULL, 0, 0, "0.2" },
	{ "tls", SETTING_BOOL, AT(tls), "no", "Dovecot's name of start_tls.", NULL, 0, 0, "0.2" },
	{ "ldap_version", SETTING_NUMBER, AT(ldap_version), "3", "Dovecot's name of version; 3.", NULL, 3, 3, "0.2" },
	{ "user_filter", SETTING_TEXT, AT(user_filter), "", "Of users: the filter for one whose password is not asked; pass_filter does for it when it is empty.", NULL, 0, 0, "0.2" },
	{ "user_attrs", SETTING_LIST, AT(user_attrs), "homeDirectory=home", "Of users: attribute=field, or =field=text with %u, %n and %d in it.", NULL, 0, 0, "0.2" },
	{ "iterate_filter", SETTING_TEXT, AT(iterate_filter), "(objectClass=posixAccount)", "Of users: the filter for all of them, for doveadm user '*'.", NULL, 0, 0, "0.7" },
	{ "iterate_attrs", SETTING_TEXT, AT(iterate_attrs), "uid=user", "Of users: the attribute with their names, as attribute=user.", NULL, 0, 0, "0.7" },
	{ "cache_size", SETTING_NUMBER, AT(cache_size), "32768", "Known and not used.", NULL, 0, 0, "0.1" },
};
#undef AT
/* clang-format on */
const struct setting_table remote_ldap_rows = { "ldap", rows, COUNT(rows) };

/*
 * Connections
 */

static int
set_tls(LDAP *ld, const struct ldap_settings *is)
{
	const struct {
		int         option;
		const char *value;
	} said[] = {
		{ LDAP_OPT_X_TLS_CACERTFILE, is->tls_ca_cert_file },
		{ LDAP_OPT_X_TLS_CACERTDIR, is->tls_ca_cert_dir },
		{ LDAP_OPT_X_TLS_CERTFILE, is->tls_cert },
		{ LDAP_OPT_X_TLS_KEYFILE, is->tls_key },
		{ LDAP_OPT_X_TLS_CIPHER_SUITE, is->tls_cipher_suite },
	};
	int demand = is->tls_require_cert ? LDAP_OPT_X_TLS_DEMAND : LDAP_OPT_X_TLS_NEVER;
	int client = 0, n = ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);

	for (size_t i = 0; i < COUNT(said) && n == LDAP_OPT_SUCCESS; i++)
		if (*said[i].value != '\0')
			n = ldap_set_option(ld, said[i].option, said[i].value);
	return n == LDAP_OPT_SUCCESS ? ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &client) : n;
}

static int
set_options(LDAP *ld, const struct ldap_settings *is, const char *server, int timeout_ms)
{
	struct timeval t = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	int            version = (int)is->version, deref = (int)is->dereference;
	int            n = ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version);

	if (n == LDAP_OPT_SUCCESS)
		n = ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &t);
	if (n == LDAP_OPT_SUCCESS)
		n = ldap_set_option(ld, LDAP_OPT_TIMEOUT, &t);
	if (n == LDAP_OPT_SUCCESS)
		n = ldap_set_option(ld, LDAP_OPT_DEREF, &deref);
	if (n == LDAP_OPT_SUCCESS)
		n = ldap_set_option(ld, LDAP_OPT_REFERRALS,
		                    is->chase_referrals != 0 ? LDAP_OPT_ON : LDAP_OPT_OFF);
	if (n == LDAP_OPT_SUCCESS && (is->start_tls || strncmp(server, "ldaps:", 6) == 0))
		n = set_tls(ld, is);
	return n;
}

/* The library wants what it does not change. */
static struct berval
berval_of(const char *text)
{
	return (struct berval){ .bv_val = (char *)(uintptr_t)text, .bv_len = strlen(text) };
}

int
remote_ldap_bind(LDAP *ld, const struct ldap_settings *is)
{
	struct berval secret = berval_of(is->bind == BIND_SASL ? is->sasl_authz_id : is->bind_pw);

	if (is->bind == BIND_SASL)
		return ldap_sasl_bind_s(ld, NULL, "EXTERNAL", &secret, NULL, NULL, NULL);
	if (is->bind == BIND_NO || is->bind == BIND_NONE)
		return LDAP_SUCCESS;
	return ldap_sasl_bind_s(ld, is->bind_dn, LDAP_SASL_SIMPLE, &secret, NULL, NULL, NULL);
}

int
remote_ldap_be_again(LDAP *ld, const struct ldap_settings *is)
{
	struct berval none = { 0, (char *)(uintptr_t) "" };
	int           n;

	if (is->bind != BIND_NO && is->bind != BIND_NONE)
		return remote_ldap_bind(ld, is);
	/* rfc4511:4.2.1  Where nobody may bind as nobody we are nobody after that all the same. */
	n = ldap_sasl_bind_s(ld, "", LDAP_SASL_SIMPLE, &none, NULL, NULL, NULL);
	return remote_ldap_lost(n) ? n : LDAP_SUCCESS;
}

static void
ld_disconnect(void *ctx, void *own)
{
	(void)ctx;
	(void)ldap_unbind_ext_s(own, NULL, NULL);
}

static void *
ld_connect(void *ctx, const char *server, int timeout_ms, struct buffer *why)
{
	const struct ldap *t = ctx;
	LDAP              *ld = NULL;
	const char        *doing = "connect";
	int                n = ldap_initialize(&ld, server);

	if (n == LDAP_SUCCESS)
		n = set_options(ld, &t->is, server, timeout_ms);
	if (n == LDAP_SUCCESS && t->is.start_tls) {
		doing = "STARTTLS";
		n = ldap_start_tls_s(ld, NULL, NULL);
	}
	if (n == LDAP_SUCCESS) {
		doing = "bind";
		n = remote_ldap_bind(ld, &t->is);
	}
	if (n == LDAP_SUCCESS)
		return ld;
	buffer_reset(why);
	buffer_printf(why, "%s: %s: %s", server, doing, ldap_err2string(n));
	if (ld != NULL)
		ld_disconnect(ctx, ld);
	return NULL;
}

static const struct pool_ways ways = { ld_connect, ld_disconnect };

/*
 * Opening
 */

void
remote_ldap_close(void *own)
{
	struct ldap *t = own;

	pool_close(&t->pool);
	remote_rules_end(&t->rules);
	settings_close(&t->settings);
	arena_close(&t->life);
	memory_free(t);
}

/* host and host:port are written as URLs. */
static bool
find_servers(struct ldap *t)
{
	const struct setting_list *said = &t->is.server_host;
	const char               **item = arena_take_array(t->life, said->count + 1, sizeof *item);

	for (size_t i = 0; i < said->count; i++) {
		const char *one = said->item[i];
		bool        six = one[0] == '[', port = bytes_find(bytes_of(one), ':') >= 0;
		if (strstr(one, "://") != NULL) {
			if (!ldap_is_ldap_url(one))
				return false;
			item[i] = one;
		} else if (six ? strstr(one, "]:") != NULL : port) {
			item[i] = arena_printf(t->life, "ldap://%s", one);
		} else {
			item[i] =
				arena_printf(t->life, "ldap://%s:%d", one, (int)t->is.server_port);
		}
	}
	t->servers = (struct setting_list){ item, said->count };
	return said->count > 0;
}

static void
find_attributes(struct ldap *t)
{
	const struct setting_list *list[] = { &t->is.result, &t->is.special, &t->is.leaf,
		                              &t->is.terminal };
	size_t                     n = 0, most = 1;

	for (size_t i = 0; i < COUNT(list); i++)
		most += list[i]->count;
	t->attributes = arena_take_array(t->life, most, sizeof *t->attributes);
	for (size_t i = 0; i < COUNT(list); i++)
		for (size_t k = 0; k < list[i]->count; k++)
			t->attributes[n++] = list[i]->item[k];
}

/* Names of Dovecot, and what is asked for a password. */
static bool
read_passwords(struct ldap *t, const char *path, const char **filter, struct buffer *errors)
{
	struct ldap_settings *is = &t->is;
	const char           *name = t->rules.users ? "user_filter" : "pass_filter";
	const char           *asked =
		template_of_dovecot(t->rules.users ? is->user_filter : is->pass_filter, t->life);
	const char *dn = t->rules.users ? "" : template_of_dovecot(is->auth_bind_userdn, t->life);

	if (t->rules.users)
		is->pass_attrs = is->user_attrs;
	if (is->uris.count > 0 || is->hosts.count > 0)
		is->server_host = is->uris.count > 0 ? is->uris : is->hosts;
	is->bind_dn = *is->dn != '\0' ? is->dn : is->bind_dn;
	is->bind_pw = *is->dnpass != '\0' ? is->dnpass : is->bind_pw;
	is->search_base = *is->base != '\0' ? is->base : is->search_base;
	is->start_tls = is->start_tls || is->tls;
	if (dn != NULL && *dn != '\0' &&
	    (!is->auth_bind || template_parse(&t->userdn, bytes_of(dn), TEMPLATE_QUESTION,
	                                      QUOTES_PLAIN, t->life) != NULL))
		dn = NULL;
	if (dn == NULL) {
		remote_complain(
			t->settings, path, "auth_bind_userdn", errors,
			"write for example uid=%%n,ou=people,dc=example,dc=com, and auth_bind = yes");
		return false;
	}
	if (*dn != '\0') {
		is->search_base = *is->search_base != '\0' ? is->search_base : "dc=unused";
		return true;
	}
	if (asked == NULL || *asked == '\0') {
		remote_complain(t->settings, path, name, errors,
		                "write for example %s = (&(objectClass=posixAccount)(uid=%%u)); "
		                "there are %%u, %%n and %%d",
		                name);
		return false;
	}
	*filter = asked;
	return true;
}

/* What stands before the "=" of pass_attrs, at the end of the attributes. */
static void
add_pass_attributes(struct ldap *t)
{
	size_t n = 0;

	t->attributes =
		arena_take_array(t->life, t->is.pass_attrs.count + 1, sizeof *t->attributes);
	for (size_t i = 0; i < t->is.pass_attrs.count; i++) {
		struct bytes name, rest = bytes_of(t->is.pass_attrs.item[i]);
		if (bytes_split(&rest, '=', &name) && name.len > 0)
			t->attributes[n++] = arena_copy(t->life, name);
	}
}

/* rfc4515:3: brackets in a value are written \28 and \29. */
static bool
is_balanced(const char *filter)
{
	int depth = 0;

	for (; *filter != '\0' && depth >= 0; filter++)
		depth += (*filter == '(') - (*filter == ')');
	return depth == 0;
}

static bool
read_all(struct ldap *t, const char *path, struct buffer *errors)
{
	static const int scopes[] = { LDAP_SCOPE_SUBTREE, LDAP_SCOPE_BASE, LDAP_SCOPE_ONELEVEL,
		                      LDAP_SCOPE_SUBTREE, LDAP_SCOPE_ONELEVEL };
	const char      *filter =
                *t->is.common.query != '\0' ? t->is.common.query : "(mailacceptinggeneralid=%s)";
	const char *wrong;

	t->scope = scopes[t->is.scope];
	if (!remote_is_set(t->settings, "size_limit"))
		t->is.size_limit = t->is.common.expansion_limit;
	if (t->rules.columns && !read_passwords(t, path, &filter, errors))
		return false;
	if (!is_balanced(filter)) {
		remote_complain(t->settings, path, "query_filter", errors,
		                "a bracket is missing, or is one too many; write it as (mail=%%s)");
		return false;
	}
	if (!remote_rules(&t->rules, t->settings, path, &t->is.common, "query_filter", filter,
	                  QUOTES_PLAIN, t->life, errors))
		return false;
	/* The root of the tree is a base too. */
	wrong = *t->is.search_base == '\0'
	                ? "write where the search begins, as dc=example,dc=com"
	                : template_parse(&t->base, bytes_of(t->is.search_base), TEMPLATE_QUESTION,
	                                 QUOTES_PLAIN, t->life);
	if (wrong != NULL) {
		remote_complain(t->settings, path, "search_base", errors, "%s", wrong);
		return false;
	}
	if (t->is.bind == BIND_SASL && !bytes_is(bytes_of(t->is.sasl_mechs), "EXTERNAL")) {
		remote_complain(t->settings, path, "sasl_mechs", errors,
		                "%s is not to be had here; write EXTERNAL", t->is.sasl_mechs);
		return false;
	}
	if (!find_servers(t)) {
		remote_complain(t->settings, path, "server_host", errors,
		                "write host, host:port, ldap://host:port, ldaps://host or "
		                "ldapi://%%2Fpath");
		return false;
	}
	if (t->rules.columns)
		add_pass_attributes(t);
	else
		find_attributes(t);
	return true;
}

void *
remote_ldap_open(struct bytes name, enum table_grammar grammar, const struct table_source *source,
                 struct buffer *errors, struct buffer *warnings)
{
	struct ldap *t = memory_take(sizeof *t);

	(void)grammar;
	t->life = arena_open(NULL);
	t->rules.columns = (source->how & TABLE_COLUMNS) != 0;
	t->rules.users = (source->how & TABLE_USERS) != 0;
	t->settings = remote_settings(name, &remote_ldap_rows, source, &t->is, errors, warnings);
	if (t->settings == NULL || !read_all(t, arena_copy(t->life, name), errors)) {
		remote_ldap_close(t);
		return NULL;
	}
	t->rules.keep_case = (source->how & TABLE_KEEP_CASE) != 0;
	t->pool = pool_open(&t->servers, false, t->is.common.timeout_ms, &ways, t);
	return t;
}

/* Where a referral leads only the other server knows. */
void
remote_ldap_reach(void *own, struct reach *r)
{
	struct ldap      *t = own;
	const char *const file[] = { t->is.tls_ca_cert_file, t->is.tls_ca_cert_dir, t->is.tls_cert,
		                     t->is.tls_key };
	LDAPURLDesc      *u;

	r->any_port = r->any_port || t->is.chase_referrals != 0;
	for (size_t i = 0; i < t->servers.count; i++) {
		if (ldap_url_parse(t->servers.item[i], &u) != LDAP_SUCCESS)
			continue;
		if (u->lud_host != NULL && strcmp(u->lud_scheme, "ldapi") == 0)
			reach_path(r, path_above(bytes_of(u->lud_host)));
		else
			reach_port(r, u->lud_port > 0                       ? (uint64_t)u->lud_port
			              : strcmp(u->lud_scheme, "ldaps") == 0 ? LDAPS_TCP
			                                                    : LDAP_TCP);
		ldap_free_urldesc(u);
	}
	for (size_t i = 0; i < COUNT(file); i++)
		reach_path(r, bytes_of(file[i]));
	domains_reach(t->rules.domains, r);
}

#endif
