#include "directory/remote-sql.h"

#include <string.h>

bool
remote_sql_rules(struct remote_rules *r, struct settings *s, const char *path,
                 const struct remote_common *common, const struct remote_sql *sql,
                 const char *function, enum template_quotes quotes, struct arena *life,
                 struct buffer *errors)
{
	const char *query = common->query, *asked;

	if (r->columns) {
		const char *name = r->users ? "user_query" : "password_query";
		asked = template_of_dovecot(r->users ? sql->user_query : sql->password_query, life);
		if (asked != NULL && *asked != '\0')
			return remote_rules(r, s, path, common, name, asked, quotes, life, errors);
		remote_complain(s, path, name, errors,
		                "write for example %s = SELECT %s FROM users "
		                "WHERE name = '%%u'; there are %%u, %%n and %%d",
		                name, r->users ? "home" : "password");
		return false;
	}
	if (*query == '\0' && function != NULL && *function != '\0')
		query = arena_printf(life, "SELECT %s('%%s')", function);
	else if (*query == '\0' && *sql->table != '\0' && *sql->select_field != '\0' &&
	         *sql->where_field != '\0')
		query = arena_printf(life, "SELECT %s FROM %s WHERE %s = '%%s' %s",
		                     sql->select_field, sql->table, sql->where_field,
		                     sql->additional_conditions);
	if (*query == '\0') {
		remote_complain(s, path, "query", errors,
		                "it is missing; write for example query = SELECT goto FROM alias "
		                "WHERE address = '%%s'");
		return false;
	}
	return remote_rules(r, s, path, common, "query", query, quotes, life, errors);
}

bool
remote_host(const char *text, struct arena *life, struct remote_host *h)
{
	struct bytes all = bytes_of(text), port = { NULL, 0 };
	uint64_t     number = 0;
	ptrdiff_t    colon;

	*h = (struct remote_host){ .local = false };
	if (bytes_starts(all, BYTES("unix:")) || all.at[0] == '/') {
		h->local = true;
		h->host = arena_copy(life, all.at[0] == '/' ? all : bytes_cut(all, 5, all.len));
		return h->host[0] == '/';
	}
	if (bytes_starts(all, BYTES("inet:")))
		all = bytes_cut(all, 5, all.len);
	colon = bytes_find_last(all, ':');
	if (all.len > 0 && all.at[0] == '[') {
		ptrdiff_t end = bytes_find(all, ']');
		if (end < 0)
			return false;
		if (colon == end + 1)
			port = bytes_cut(all, (size_t)colon + 1, all.len);
		all = bytes_cut(all, 1, (size_t)end - 1);
	} else if (colon >= 0 && bytes_find(all, ':') == colon) {
		port = bytes_cut(all, (size_t)colon + 1, all.len);
		all = bytes_cut(all, 0, (size_t)colon);
	}
	if (all.len == 0 || (port.len > 0 && (!bytes_number(port, &number) || number > UINT16_MAX)))
		return false;
	h->host = arena_copy(life, all);
	h->port = (uint16_t)number;
	return true;
}
