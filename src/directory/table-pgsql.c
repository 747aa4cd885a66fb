/* table-pgsql -- pgsql:/path.cf, as in pgsql_table(5) */

#include "directory/remote.h"
#include "directory/table_inner.h"

#ifdef MANSIO_PGSQL

#include <libpq-fe.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "directory/remote-sql.h"

enum { PGSQL_PORT = 5432 };

struct pgsql_settings {
	struct remote_common common;
	struct remote_sql    sql;
	struct setting_list  hosts;
	const char          *user, *password, *dbname, *select_function, *encoding;
	int64_t              idle, retry;
};
/* clang-format off */
static const struct setting rows[] = {
	REMOTE_ROWS(struct pgsql_settings, common, "query"),
	REMOTE_SQL_ROWS(struct pgsql_settings, sql),
	{ "hosts", SETTING_LIST, offsetof(struct pgsql_settings, hosts), "localhost", "Servers: host, host:port, unix:/directory, or postgresql://...", NULL, 0, 0, "0.1" },
	{ "user", SETTING_TEXT, offsetof(struct pgsql_settings, user), "", "Who we are there.", NULL, 0, 0, "0.1" },
	{ "password", SETTING_TEXT, offsetof(struct pgsql_settings, password), "", "The password.", NULL, 0, 0, "0.1" },
	{ "dbname", SETTING_TEXT, offsetof(struct pgsql_settings, dbname), "", "The database.", NULL, 0, 0, "0.1" },
	{ "select_function", SETTING_TEXT, offsetof(struct pgsql_settings, select_function), "", "Older form: a function that answers.", NULL, 0, 0, "0.1" },
	{ "encoding", SETTING_WORD, offsetof(struct pgsql_settings, encoding), "UTF8", "The encoding of keys and values.", NULL, 0, 0, "0.1" },
	{ "idle_interval", SETTING_TIME, offsetof(struct pgsql_settings, idle), "60", "How long a connection that nobody uses is kept.", NULL, 0, 0, "0.1" },
	{ "retry_interval", SETTING_TIME, offsetof(struct pgsql_settings, retry), "15", "How long a server that failed is left alone; unless it is set 0.5 s, then twice as long each time up to this.", NULL, 0, 0, "0.1" },
};
/* clang-format on */
static const struct setting_table pgsql_rows = { "pgsql", rows, COUNT(rows) };

struct pgsql {
	struct pgsql_settings is;
	struct settings      *settings;
	struct arena         *life;
	struct remote_rules   rules;
	struct pool          *pool;
};

/*
 * Connections
 */

static bool
wait_for(PGconn *c, short what, int64_t until)
{
	int64_t       left;
	struct pollfd p = { .fd = PQsocket(c), .events = what };
	int           n;

	do {
		left = until - clock_patient_ms();
		n = left <= 0 || p.fd < 0 ? 0 : poll(&p, 1, (int)left);
	} while (n < 0);
	return n > 0;
}

static bool
is_uri(const char *server)
{
	return strncmp(server, "postgresql://", 13) == 0 || strncmp(server, "postgres://", 11) == 0;
}

/* unix:/run/postgresql is a directory; of the path of a socket in it, the port is a part too. */
static void
unix_place(const char *path, struct arena *life, const char **host, const char **port)
{
	static const char name[] = "/.s.PGSQL.";
	ptrdiff_t         at = bytes_search(bytes_of(path), BYTES("/.s.PGSQL."));

	*host = path;
	if (at < 0)
		return;
	*host = arena_copy(life, bytes_cut(bytes_of(path), 0, (size_t)at));
	*port = path + at + sizeof name - 1;
}

static PGconn *
begin(const struct pgsql *t, const char *server, struct arena *life)
{
	const char        *host = NULL, *port = NULL;
	struct remote_host h;
	bool               uri = is_uri(server);

	if (!uri && remote_host(server, life, &h)) {
		host = h.host;
		if (h.local)
			unix_place(h.host, life, &host, &port);
		else if (h.port != 0)
			port = arena_printf(life, "%u", h.port);
	}
	const struct {
		const char *name, *value;
	} said[] = {
		{ "dbname", uri ? server : t->is.dbname },
		{ "host", host },
		{ "port", port },
		{ "user", t->is.user },
		{ "password", t->is.password },
		{ "client_encoding", t->is.encoding },
		{ "application_name", "mansio" },
		{ "fallback_application_name", "mansio" },
	};
	const char *name[COUNT(said) + 1] = { NULL }, *value[COUNT(said) + 1] = { NULL };
	size_t      n = 0;

	for (size_t i = 0; i < COUNT(said); i++)
		if (said[i].value != NULL && *said[i].value != '\0') {
			name[n] = said[i].name;
			value[n++] = said[i].value;
		}
	return PQconnectStartParams(name, value, 1);
}

static bool
finish(PGconn *c, int64_t until)
{
	PostgresPollingStatusType is = PGRES_POLLING_WRITING;

	while (PQstatus(c) != CONNECTION_BAD && is != PGRES_POLLING_OK &&
	       is != PGRES_POLLING_FAILED) {
		if (!wait_for(c, is == PGRES_POLLING_READING ? POLLIN : POLLOUT, until))
			return false;
		is = PQconnectPoll(c);
	}
	return PQstatus(c) == CONNECTION_OK && PQsetnonblocking(c, 1) == 0;
}

/* The words of the library have lines; the first says enough.  A URI may hold a password. */
static void
tell(struct buffer *why, const char *server, const char *words)
{
	struct bytes rest = bytes_of(words), line = { NULL, 0 };

	(void)bytes_split(&rest, '\n', &line);
	buffer_reset(why);
	buffer_printf(why, "%s: %.*s", server == NULL || is_uri(server) ? "postgresql" : server,
	              (int)line.len, line.len > 0 ? line.at : "");
}

static void
pg_silent(void *ctx, const PGresult *r)
{
	(void)ctx;
	(void)r;
}

static void *
pg_connect(void *ctx, const char *server, int timeout_ms, struct buffer *why)
{
	const struct pgsql *t = ctx;
	struct arena       *life = arena_open(NULL);
	PGconn             *c = begin(t, server, life);

	arena_close(&life);
	if (c != NULL && finish(c, clock_patient_ms() + timeout_ms)) {
		(void)PQsetNoticeReceiver(c, pg_silent, NULL);
		return c;
	}
	tell(why, server,
	     c != NULL && PQerrorMessage(c)[0] != '\0' ? PQerrorMessage(c)
	                                               : "it did not answer in time");
	PQfinish(c);
	return NULL;
}

static void
pg_disconnect(void *ctx, void *own)
{
	(void)ctx;
	PQfinish(own);
}

/*
 * Questions
 */

struct asking {
	struct pgsql  *table;
	struct bytes   key;
	struct answers answers;
};

/* By the encoding of this connection. */
static bool
pg_quote(void *ctx, char q, struct bytes in, struct buffer *out)
{
	int    wrong = 0;
	size_t n = PQescapeStringConn(ctx, buffer_room(out, in.len * 2 + 1),
	                              in.len > 0 ? in.at : "", in.len, &wrong);

	(void)q;
	buffer_took(out, n);
	return wrong == 0;
}

static void
add_rows(const PGresult *r, struct answers *a)
{
	for (int row = 0; row < PQntuples(r); row++) {
		answers_row(a);
		for (int i = 0; i < PQnfields(r); i++)
			if (!PQgetisnull(r, row, i) &&
			    !answers_add_column(a, PQfname(r, i),
			                        (struct bytes){ PQgetvalue(r, row, i),
			                                        (size_t)PQgetlength(r, row, i) }))
				return;
	}
}

static bool
hear(PGconn *c, int64_t until)
{
	while (PQflush(c) > 0)
		if (!wait_for(c, POLLIN | POLLOUT, until) || !PQconsumeInput(c))
			return false;
	while (PQisBusy(c))
		if (!wait_for(c, POLLIN, until) || !PQconsumeInput(c))
			return false;
	return true;
}

/* What the server refuses for the sake of this question says nothing about the server. */
static enum pool_asked
said(struct asking *a, PGconn *c, int64_t until, struct buffer *why)
{
	PGresult *r;

	while (hear(c, until)) {
		if ((r = PQgetResult(c)) == NULL)
			return POOL_DONE;
		if (PQresultStatus(r) == PGRES_TUPLES_OK) {
			add_rows(r, &a->answers);
		} else {
			a->answers.failed = true;
			tell(why, PQhost(c), PQresultErrorMessage(r));
		}
		PQclear(r);
		if (PQstatus(c) == CONNECTION_BAD)
			break;
	}
	if (PQstatus(c) != CONNECTION_BAD)
		tell(why, PQhost(c), "it did not answer in time");
	else if (!a->answers.failed)
		tell(why, PQhost(c), PQerrorMessage(c));
	answers_reset(&a->answers);
	return POOL_LOST;
}

static enum pool_asked
ask(void *asker, void *connection, int timeout_ms, struct buffer *why)
{
	struct asking  *a = asker;
	PGconn         *c = connection;
	int64_t         until = clock_patient_ms() + timeout_ms;
	struct buffer   text = { 0 };
	enum pool_asked is = POOL_DONE;

	/* A key that is no text in this encoding is in no column either. */
	if (template_expand(&a->table->rules.question, a->key, NULL, pg_quote, c, &text)) {
		buffer_add_char(&text, '\0');
		if (PQsendQueryParams(c, text.at, 0, NULL, NULL, NULL, NULL, 0)) {
			is = said(a, c, until, why);
		} else {
			tell(why, PQhost(c), PQerrorMessage(c));
			is = POOL_LOST;
		}
	}
	buffer_free(&text);
	return is;
}

static enum table_outcome
find(void *own, struct bytes key, struct arena *life, struct bytes *value)
{
	struct pgsql      *t = own;
	struct buffer      why = { 0 };
	struct asking      a = { .table = t, .answers = { .rules = &t->rules } };
	enum table_outcome is = TABLE_NONE;

	*value = (struct bytes){ NULL, 0 };
	if (remote_asks(&t->rules, key) &&
	    (!bytes_is(bytes_of(t->is.encoding), "UTF8") || remote_is_utf8(key))) {
		a.answers.key = a.key = remote_key(&t->rules, key, life);
		is = answers_end(&a.answers, pool_ask(t->pool, ask, &a, &why), &why, life, value);
	}
	buffer_free(&why);
	return is;
}

/*
 * Opening
 */

static void
pgsql_close(void *own)
{
	struct pgsql *t = own;

	pool_close(&t->pool);
	remote_rules_end(&t->rules);
	settings_close(&t->settings);
	arena_close(&t->life);
	memory_free(t);
}

static bool
check_hosts(struct pgsql *t, const char *path, struct buffer *errors)
{
	struct remote_host h;

	if (!remote_sql_connect(t->is.sql.connect,
	                        &(struct remote_server){ &t->is.hosts, &t->is.user, &t->is.password,
	                                                 &t->is.dbname },
	                        t->settings, path, t->life, errors))
		return false;
	for (size_t i = 0; i < t->is.hosts.count; i++)
		if (!is_uri(t->is.hosts.item[i]) &&
		    !remote_host(t->is.hosts.item[i], t->life, &h)) {
			remote_complain(t->settings, path, "hosts", errors,
			                "%s: write host, host:port, unix:/directory or "
			                "postgresql://host/database",
			                t->is.hosts.item[i]);
			return false;
		}
	return true;
}

static const struct pool_ways ways = { pg_connect, pg_disconnect };

static void *
pgsql_open(struct bytes name, enum table_grammar grammar, const struct table_source *source,
           struct buffer *errors, struct buffer *warnings)
{
	struct pgsql *t = memory_take(sizeof *t);
	char         *path;

	(void)grammar;
	t->life = arena_open(NULL);
	path = arena_copy(t->life, name);
	t->rules.columns = (source->how & TABLE_COLUMNS) != 0;
	t->rules.users = (source->how & TABLE_USERS) != 0;
	t->rules.iterates = (source->how & TABLE_ITERATES) != 0;
	t->settings = remote_settings(name, &pgsql_rows, source, &t->is, errors, warnings);
	if (t->settings == NULL || !check_hosts(t, path, errors) ||
	    !remote_sql_rules(&t->rules, t->settings, path, &t->is.common, &t->is.sql,
	                      t->is.select_function, QUOTES_PGSQL, t->life, errors)) {
		pgsql_close(t);
		return NULL;
	}
	t->rules.keep_case = (source->how & TABLE_KEEP_CASE) != 0;
	t->pool = pool_open(&t->is.hosts, true, t->is.common.timeout_ms, &ways, t);
	pool_intervals(t->pool, t->is.idle,
	               remote_is_set(t->settings, "retry_interval") ? t->is.retry : -1);
	return t;
}

static void
pgsql_reach(void *own, struct reach *r)
{
	struct pgsql      *t = own;
	struct remote_host h;

	for (size_t i = 0; i < t->is.hosts.count; i++) {
		if (is_uri(t->is.hosts.item[i]))
			r->any_port = true;
		else if (!remote_host(t->is.hosts.item[i], t->life, &h))
			continue;
		else if (h.local)
			reach_path(r, bytes_of(h.host));
		else
			reach_port(r, h.port != 0 ? h.port : PGSQL_PORT);
	}
	domains_reach(t->rules.domains, r);
}

const struct table_type table_pgsql = {
	.name = "pgsql",
	.remote = true,
	.file = true,
	.open = pgsql_open,
	.find = find,
	.close = pgsql_close,
	.reach = pgsql_reach,
	.rows = &pgsql_rows,
};

#else

REMOTE_NOT_BUILT(table_pgsql, "pgsql", "PostgreSQL")

#endif
