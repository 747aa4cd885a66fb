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
		const char *name = r->iterates ? "iterate_query"
		                   : r->users  ? "user_query"
		                               : "password_query";
		asked = template_of_dovecot(r->iterates ? sql->iterate_query
		                            : r->users  ? sql->user_query
		                                        : sql->password_query,
		                            life);
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

/* connect = *( name "=" ( text / "'" text "'" ) )   as libpq has it */
static bool
connect_word(struct bytes *rest, struct bytes *name, struct bytes *value)
{
	char      end = ' ';
	ptrdiff_t n;

	*rest = bytes_trim(*rest);
	if (rest->len == 0 || !bytes_split(rest, '=', name))
		return false;
	*name = bytes_trim(*name);
	*rest = bytes_trim(*rest);
	if (rest->len > 0 && (rest->at[0] == '\'' || rest->at[0] == '"')) {
		end = rest->at[0];
		*rest = bytes_cut(*rest, 1, SIZE_MAX);
	}
	n = bytes_find(*rest, end);
	*value = bytes_cut(*rest, 0, n < 0 ? SIZE_MAX : (size_t)n);
	*rest = n < 0 ? BYTES("") : bytes_cut(*rest, (size_t)n + 1, SIZE_MAX);
	return true;
}

/* host, or /directory, with the port that was said. */
static const char *
connect_host(struct bytes host, struct bytes port, struct arena *life)
{
	bool local = host.len > 0 && host.at[0] == '/';
	bool six = !local && bytes_find(host, ':') >= 0 && host.at[0] != '[';

	return arena_printf(life, "%s%s%.*s%s%s%.*s", local ? "unix:" : "", six ? "[" : "",
	                    (int)host.len, host.at, six ? "]" : "",
	                    port.len > 0 && !local ? ":" : "", local ? 0 : (int)port.len, port.at);
}

bool
remote_sql_connect(const char *connect, const struct remote_server *to, struct settings *s,
                   const char *path, struct arena *life, struct buffer *errors)
{
	enum { HOSTS_MOST = 16 };
	struct bytes rest = bytes_of(connect), name, value, port = { "", 0 }, host[HOSTS_MOST];
	const struct {
		const char  *name;
		const char **to;
	} words[] = { { "dbname", to->dbname }, { "user", to->user }, { "password", to->password },
		      { "host", NULL },         { "hostaddr", NULL }, { "port", NULL } };
	const char **hosts;
	size_t       count = 0, i;

	while (connect_word(&rest, &name, &value)) {
		for (i = 0; i < COUNT(words) && !bytes_is(name, words[i].name); i++)
			continue;
		if (i == COUNT(words)) {
			remote_complain(
				s, path, "connect", errors,
				"%.*s is not known here; there are host, port, dbname, user "
				"and password, and for more the settings of main.cf(5)",
				(int)name.len, name.at);
			return false;
		}
		if (words[i].to != NULL)
			*words[i].to = arena_copy(life, value);
		else if (strcmp(words[i].name, "port") == 0)
			port = value;
		else if (count < HOSTS_MOST)
			host[count++] = value;
	}
	if (count == 0 && port.len > 0)
		host[count++] = BYTES("localhost");
	if (count == 0)
		return true;
	hosts = arena_take_array(life, count, sizeof *hosts);
	for (i = 0; i < count; i++)
		hosts[i] = connect_host(host[i], port, life);
	*to->hosts = (struct setting_list){ hosts, count };
	return true;
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
