/*
 * credential-remote -- back ends of credentials that another server keeps
 *
 * From:     role/proxymap, in threads: they block for as long as their settings say
 * Touches:  what a table_source hands out; servers and sockets
 *
 * credential_remote_open()  reads the file of settings where there is one.  NULL with complaints in *errors,
 *                           "FILE:12: ..." and a newline each.
 * credential_remote_ask()   may be called by several threads at once.  What it gives lies in the arena; hashes
 *                           are compared here, and given to CREDENTIAL_SECRET alone.
 *                           `patience_ms` is how long saslauthd and Dovecot are waited for; the others have a time of their own.
 * credential_remote_reach() where it leads (directory/remote.h).
 *
 *     sql:/path.cf        `driver` (pgsql, mysql, sqlite), password_query and default_pass_scheme beside what a table of that
 *                         driver has, and user_query for CREDENTIAL_USER, else the first does for it; in the query %u is the whole name, %n what stands before its @, %d the domain.  The columns
 *                         are fields: password, nopassword, user, username and domain (directory/renaming.h), userdb_home ...
 *     ldap:/path.cf       names of Dovecot's dovecot-ldap.conf: uris, dn, dnpass, base, scope, pass_filter, pass_attrs,
 *                         auth_bind, auth_bind_userdn, default_pass_scheme, user_filter, user_attrs, tls, tls_ca_cert_file
 *     saslauthd:/mux      the socket of Cyrus' saslauthd
 *     dovecot:/auth-client  the socket for clients of Dovecot's auth process
 */
#ifndef DIRECTORY_CREDENTIAL_REMOTE_H
#define DIRECTORY_CREDENTIAL_REMOTE_H

#include "directory/credential.h"
#include "directory/remote.h"

struct credential_question { enum credential_mode mode; const char *service, *remote; struct bytes user, password; int64_t patience_ms; };
struct credential_answer { enum credential_outcome outcome; const char *why; struct bytes fields; };

struct credential_remote;
struct credential_remote *credential_remote_open(const struct credential_backend *, const struct table_source *, struct buffer *errors, struct buffer *warnings);
void credential_remote_close(struct credential_remote **);
void credential_remote_ask(struct credential_remote *, const struct credential_question *, struct arena *, struct credential_answer *);
void credential_remote_reach(struct credential_remote *, struct reach *);
/* Every user there is: iterate_query of SQL, iterate_filter and iterate_attrs of LDAP.  FOUND when all were told; NONE: it does not tell;
   LATER with why, maybe after some. */
typedef void credential_each(void *ctx, struct bytes user);
enum table_outcome credential_remote_each(struct credential_remote *, credential_each *, void *ctx, struct arena *, const char **why);

/* ---- for the files of the kinds ---------------------------------------------- */
struct credential_ways {
	bool    tells;          /* of users without their passwords, too */
	void *(*open)(const char *argument, const struct table_source *, struct buffer *errors, struct buffer *warnings);
	void  (*ask)(void *own, const struct credential_question *, struct arena *, struct credential_answer *);
	void  (*reach)(void *own, struct reach *);
	void  (*close)(void *own);
	/* CREDENTIAL_PING; NULL: it is asked for a user as for mail. */
	void  (*ping)(void *own, const struct credential_question *, struct arena *, struct credential_answer *);
	/* NULL: it does not tell. */
	enum table_outcome (*each)(void *own, credential_each *, void *ctx, struct arena *, const char **why);
};
extern const struct credential_ways credential_sql, credential_ldap, credential_saslauthd, credential_dovecot;
/* By the fields: compares what they have as `password` and takes it out of them, or tells what is asked for. */
void credential_conclude(const struct credential_question *, const char *scheme, struct bytes fields, struct arena *, struct credential_answer *);
/* After PASS: what another question says of the user stands before what the password's said; nothing: not now. `user` is
   whom it was asked for: the name the password's fields made of the one that logged in. */
void credential_join(enum table_outcome, struct bytes user, struct bytes fields, struct arena *, struct credential_answer *);
/* Every name of a column or attribute as a field: without userdb_, in lower case. */
void credential_column(struct buffer *fields, struct bytes name, struct bytes value);

#endif
