/*
 * remote-sql -- what the .cf files of SQL databases have in common
 *
 * From:     table-sqlite, table-pgsql, table-mysql
 *
 * A question is `query`, or made of the older table, select_field, where_field and
 * additional_conditions (or select_function in PostgreSQL).
 */
#ifndef DIRECTORY_REMOTE_SQL_H
#define DIRECTORY_REMOTE_SQL_H

#include "directory/remote.h"

struct remote_sql { const char *driver, *password_query, *user_query, *default_pass_scheme, *connect, *iterate_query; const char *table, *select_field, *where_field, *additional_conditions; };
#define REMOTE_SQL_ROWS(type, member) \
	{ "driver", SETTING_WORD, offsetof(type, member.driver), "", "Of passwords: pgsql, mysql or sqlite.", NULL, 0, 0, "0.2" }, \
	{ "password_query", SETTING_TEXT, offsetof(type, member.password_query), "", "Of passwords: what is asked for a user; %u, %n and %d as in Dovecot.", NULL, 0, 0, "0.2" }, \
	{ "user_query", SETTING_TEXT, offsetof(type, member.user_query), "", "Of users: what is asked whether there is one, without a password, and for their home, mail, quota_rule; password_query does for it when it is empty.", NULL, 0, 0, "0.2" }, \
	{ "default_pass_scheme", SETTING_WORD, offsetof(type, member.default_pass_scheme), "", "Of passwords that name no scheme: theirs; CRYPT.", NULL, 0, 0, "0.2" }, \
	{ "connect", SETTING_TEXT, offsetof(type, member.connect), "", "Dovecot's way to say hosts, user, password and dbname: host=localhost dbname=mail user=mail password=secret; of SQLite the file.", NULL, 0, 0, "0.7" }, \
	{ "iterate_query", SETTING_TEXT, offsetof(type, member.iterate_query), "", "All users, for doveadm user '*': a column user, or username and domain.", NULL, 0, 0, "0.7" }, \
	{ "result_filter", SETTING_TEXT, offsetof(type, common.result_filter), "", "The older name of result_format.", NULL, 0, 0, "0.1" }, \
	{ "table", SETTING_TEXT, offsetof(type, member.table), "", "Older form: the table of the database.", NULL, 0, 0, "0.1" }, \
	{ "select_field", SETTING_TEXT, offsetof(type, member.select_field), "", "Older form: the column told.", NULL, 0, 0, "0.1" }, \
	{ "where_field", SETTING_TEXT, offsetof(type, member.where_field), "", "Older form: the column compared.", NULL, 0, 0, "0.1" }, \
	{ "additional_conditions", SETTING_TEXT, offsetof(type, member.additional_conditions), "", "Older form: what follows.", NULL, 0, 0, "0.1" }

bool remote_sql_rules(struct remote_rules *, struct settings *, const char *path, const struct remote_common *,
                      const struct remote_sql *, const char *select_function, enum template_quotes, struct arena *,
                      struct buffer *errors);

/* What `connect` says, in the place of what other settings do.  False after complaining. */
struct remote_server { struct setting_list *hosts; const char **user, **password, **dbname; };
bool remote_sql_connect(const char *connect, const struct remote_server *, struct settings *, const char *path, struct arena *, struct buffer *errors);

/* "host", "host:port", "[::1]:port", "unix:/path", "inet:host:port" */
struct remote_host { bool local; char *host; uint16_t port; };      /* port 0: none said */
bool remote_host(const char *text, struct arena *, struct remote_host *);

#endif
