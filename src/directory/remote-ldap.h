/*
 * remote-ldap -- the .cf file of an LDAP table, and connections to its servers
 *
 * From:     table-ldap
 *
 * LDAP version 3 unless the file says 2.  The bind is none, simple, or SASL EXTERNAL (a certificate, or who we
 * are on a unix socket).
 */
#ifndef DIRECTORY_REMOTE_LDAP_H
#define DIRECTORY_REMOTE_LDAP_H

#include <ldap.h>

#include "directory/remote.h"

struct ldap_settings {
	struct remote_common common;
	struct setting_list  server_host, result, special, leaf, terminal;
	const char          *search_base, *bind_dn, *bind_pw, *sasl_mechs, *sasl_realm, *sasl_authz_id;
	const char          *tls_ca_cert_file, *tls_ca_cert_dir, *tls_cert, *tls_key, *tls_random_file, *tls_cipher_suite;
	int64_t              server_port, version, size_limit, dereference, chase_referrals, sasl_minssf, recursion_limit, debuglevel;
	int64_t              cache_expiry, cache_size;
	int                  scope, bind;
	bool                 start_tls, tls_require_cert, cache;
	/* of passwords (credential-ldap.c), and names that Dovecot has for the others */
	const char          *pass_filter, *auth_bind_userdn, *default_pass_scheme, *dn, *dnpass, *base, *user_filter, *iterate_filter, *iterate_attrs;
	int64_t              ldap_version;
	struct setting_list  pass_attrs, user_attrs, hosts, uris;
	bool                 auth_bind, tls;
};
struct ldap {
	struct ldap_settings is;
	struct settings     *settings;
	struct arena        *life;
	struct remote_rules  rules;
	struct template      base, userdn;
	int                  scope;          /* LDAP_SCOPE_...                    */
	struct setting_list  servers;        /* as URLs                           */
	const char         **attributes;     /* all that may be told, NULL at the end */
	struct pool         *pool;
};
void *remote_ldap_open(struct bytes name, enum table_grammar, const struct table_source *, struct buffer *errors, struct buffer *warnings);
void remote_ldap_close(void *own);
/* As the file says; LDAP_... */
int remote_ldap_bind(LDAP *, const struct ldap_settings *);
/* The same after somebody else's bind: nobody again where there is no dn. */
int  remote_ldap_be_again(LDAP *, const struct ldap_settings *);
bool remote_ldap_lost(int error);          /* of the connection, not of the question */
bool remote_ldap_quote_filter(void *ctx, char quote, struct bytes, struct buffer *out);
bool remote_ldap_quote_dn(void *ctx, char quote, struct bytes, struct buffer *out);
extern const struct setting_table remote_ldap_rows;
void remote_ldap_reach(void *own, struct reach *);

#endif
