/* table-mysql -- mysql:/path.cf, as in mysql_table(5) */

#include "directory/remote.h"
#include "directory/table_inner.h"

#ifdef MANSIO_MYSQL

#include <mysql.h>
#include <string.h>

#include "directory/remote-sql.h"

enum { MYSQL_TCP = 3306 };

struct mysql_settings {
	struct remote_common common;
	struct remote_sql    sql;
	struct setting_list  hosts;
	const char          *user, *password, *dbname, *charset, *option_file, *option_group;
	const char          *tls_cert_file, *tls_key_file, *tls_cafile, *tls_capath, *tls_ciphers;
	bool                 tls_verify_cert, require_result_set;
	int64_t              idle, retry;
};
/* clang-format off */
static const struct setting rows[] = {
	REMOTE_ROWS(struct mysql_settings, common, "query"),
	REMOTE_SQL_ROWS(struct mysql_settings, sql),
	{ "hosts", SETTING_LIST, offsetof(struct mysql_settings, hosts), "localhost", "Servers: host, inet:host:port, unix:/path.", NULL, 0, 0, "0.1" },
	{ "user", SETTING_TEXT, offsetof(struct mysql_settings, user), "", "Who we are there.", NULL, 0, 0, "0.1" },
	{ "password", SETTING_TEXT, offsetof(struct mysql_settings, password), "", "The password.", NULL, 0, 0, "0.1" },
	{ "dbname", SETTING_TEXT, offsetof(struct mysql_settings, dbname), "", "The database.", NULL, 0, 0, "0.1" },
	{ "charset", SETTING_WORD, offsetof(struct mysql_settings, charset), "utf8mb4", "The character set of keys and values.", NULL, 0, 0, "0.1" },
	{ "option_file", SETTING_WORD, offsetof(struct mysql_settings, option_file), "", "A file of options of the client library.", NULL, 0, 0, "0.1" },
	{ "option_group", SETTING_WORD, offsetof(struct mysql_settings, option_group), "client", "The group in that file.", NULL, 0, 0, "0.1" },
	{ "tls_cert_file", SETTING_WORD, offsetof(struct mysql_settings, tls_cert_file), "", "Our certificate.", NULL, 0, 0, "0.1" },
	{ "tls_key_file", SETTING_WORD, offsetof(struct mysql_settings, tls_key_file), "", "Its key.", NULL, 0, 0, "0.1" },
	{ "tls_CAfile", SETTING_WORD, offsetof(struct mysql_settings, tls_cafile), "", "Authorities that are believed.", NULL, 0, 0, "0.1" },
	{ "tls_CApath", SETTING_WORD, offsetof(struct mysql_settings, tls_capath), "", "A directory of them.", NULL, 0, 0, "0.1" },
	{ "tls_ciphers", SETTING_TEXT, offsetof(struct mysql_settings, tls_ciphers), "", "Ciphers.", NULL, 0, 0, "0.1" },
	{ "tls_verify_cert", SETTING_BOOL, offsetof(struct mysql_settings, tls_verify_cert), "no", "Whether the server's certificate must be good.", NULL, 0, 0, "0.1" },
	{ "require_result_set", SETTING_BOOL, offsetof(struct mysql_settings, require_result_set), "yes", "Whether a query without rows of any kind is an error.", NULL, 0, 0, "0.1" },
	{ "idle_interval", SETTING_TIME, offsetof(struct mysql_settings, idle), "60", "How long a connection that nobody uses is kept.", NULL, 0, 0, "0.1" },
	{ "retry_interval", SETTING_TIME, offsetof(struct mysql_settings, retry), "15", "How long a server that failed is left alone; unless it is set 0.5 s, then twice as long each time up to this.", NULL, 0, 0, "0.1" },
};
/* clang-format on */
static const struct setting_table mysql_rows = { "mysql", rows, COUNT(rows) };

struct mysql {
	struct mysql_settings is;
	struct settings      *settings;
	struct arena         *life;
	struct remote_rules   rules;
	struct pool          *pool;
};

/*
 * Connections
 */

static const char *
or_none(const char *word)
{
	return *word == '\0' ? NULL : word;
}

static bool
wants_tls(const struct mysql_settings *is)
{
	return *is->tls_cert_file != '\0' || *is->tls_key_file != '\0' || *is->tls_cafile != '\0' ||
	       *is->tls_capath != '\0' || *is->tls_ciphers != '\0' || is->tls_verify_cert;
}

static void
prepare(MYSQL *m, const struct mysql_settings *is, int timeout_ms)
{
	unsigned int seconds = (unsigned int)(timeout_ms + 999) / 1000;
	unsigned int none = 0;
	my_bool      verify = is->tls_verify_cert, yes = 1;

	(void)mysql_options(m, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
	(void)mysql_options(m, MYSQL_OPT_READ_TIMEOUT, &seconds);
	(void)mysql_options(m, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
	if (*is->option_file != '\0')
		(void)mysql_options(m, MYSQL_READ_DEFAULT_FILE, is->option_file);
	if (*is->option_file != '\0' && *is->option_group != '\0')
		(void)mysql_options(m, MYSQL_READ_DEFAULT_GROUP, is->option_group);
	/* Else a server may answer any question by asking for a file of ours. */
	(void)mysql_options(m, MYSQL_OPT_LOCAL_INFILE, &none);
	/* The library quotes by what it was told here. */
	(void)mysql_options(m, MYSQL_SET_CHARSET_NAME, is->charset);
	if (!wants_tls(is))
		return;
	(void)mysql_ssl_set(m, or_none(is->tls_key_file), or_none(is->tls_cert_file),
	                    or_none(is->tls_cafile), or_none(is->tls_capath),
	                    or_none(is->tls_ciphers));
	(void)mysql_options(m, MYSQL_OPT_SSL_ENFORCE, &yes);
	(void)mysql_options(m, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
}

static void *
my_connect(void *ctx, const char *server, int timeout_ms, struct buffer *why)
{
	const struct mysql *t = ctx;
	struct arena       *life = arena_open(NULL);
	struct remote_host  h = { .local = false };
	MYSQL              *m = mysql_init(NULL);
	bool                good = false;

	if (m != NULL && remote_host(server, life, &h)) {
		prepare(m, &t->is, timeout_ms);
		good = mysql_real_connect(m, h.local ? NULL : h.host, or_none(t->is.user),
		                          or_none(t->is.password), or_none(t->is.dbname),
		                          h.local ? 0 : h.port, h.local ? h.host : NULL,
		                          CLIENT_MULTI_RESULTS) != NULL;
	}
	arena_close(&life);
	if (good)
		return m;
	buffer_reset(why);
	buffer_printf(why, "%s: %s", server, m == NULL ? "no memory" : mysql_error(m));
	if (m != NULL)
		mysql_close(m);
	return NULL;
}

static void
my_disconnect(void *ctx, void *own)
{
	(void)ctx;
	mysql_close(own);
}

/*
 * Questions
 */

struct asking {
	struct mysql  *table;
	struct bytes   key;
	struct answers answers;
};

/* By the character set of this connection, and by whether a backslash means something to the server. */
static bool
my_quote(void *ctx, char q, struct bytes in, struct buffer *out)
{
	MYSQL        *m = ctx;
	bool          plain = (m->server_status & SERVER_STATUS_NO_BACKSLASH_ESCAPES) != 0;
	unsigned long n;

	/* Without backslashes the library doubles ' alone. */
	if (plain && q == '"' && bytes_find(in, '"') >= 0)
		return false;
	n = mysql_real_escape_string(m, buffer_room(out, in.len * 2 + 1), in.len > 0 ? in.at : "",
	                             in.len);
	if (n == (unsigned long)-1)
		return false;
	buffer_took(out, n);
	return true;
}

static void
add_rows(MYSQL_RES *r, struct answers *a)
{
	unsigned int columns = mysql_num_fields(r);
	MYSQL_FIELD *field = mysql_fetch_fields(r);
	MYSQL_ROW    row;

	while ((row = mysql_fetch_row(r)) != NULL) {
		const unsigned long *len = mysql_fetch_lengths(r);

		answers_row(a);
		for (unsigned int i = 0; i < columns; i++)
			if (row[i] != NULL &&
			    !answers_add_column(a, field[i].name, (struct bytes){ row[i], len[i] }))
				return;
	}
}

/* Every result of a stored procedure must be taken; rows may come in one of them. */
static bool
take_results(MYSQL *m, struct asking *a, struct buffer *why)
{
	MYSQL_RES *r;
	int        sets = 0, more;

	do {
		if ((r = mysql_store_result(m)) != NULL) {
			if (++sets == 1)
				add_rows(r, &a->answers);
			mysql_free_result(r);
		} else if (mysql_field_count(m) > 0) {
			return false;
		}
		more = mysql_next_result(m);
	} while (more == 0);
	if (more > 0)
		return false;
	if (sets > 1 || (sets == 0 && a->table->is.require_result_set)) {
		buffer_reset(why);
		buffer_add_string(why, sets > 1 ? "the query gives more than one set of rows"
		                                : "the query gives no set of rows");
		a->answers.failed = true;
	}
	return true;
}

/* Errors of the client (2000 and up) are of the connection, as are a shutdown and a killed thread. */
static bool
is_of_connection(unsigned int number)
{
	enum { NORMAL_SHUTDOWN = 1077, SERVER_SHUTDOWN = 1053, KILLED = 1927, QUERY_KILLED = 1317 };

	return number >= 2000 || number == NORMAL_SHUTDOWN || number == SERVER_SHUTDOWN ||
	       number == KILLED || number == QUERY_KILLED;
}

static enum pool_asked
ask(void *asker, void *connection, int timeout_ms, struct buffer *why)
{
	struct asking  *a = asker;
	MYSQL          *m = connection;
	struct buffer   text = { 0 };
	enum pool_asked is = POOL_DONE;
	unsigned int    number;

	(void)timeout_ms;
	if (template_expand(&a->table->rules.question, a->key, NULL, my_quote, m, &text) &&
	    (mysql_real_query(m, text.at, text.len) != 0 || !take_results(m, a, why))) {
		number = mysql_errno(m);
		buffer_reset(why);
		buffer_printf(why, "%s: %s", m->host != NULL ? m->host : "mysql", mysql_error(m));
		answers_reset(&a->answers);
		if (is_of_connection(number))
			is = POOL_LOST;
		else
			a->answers.failed = true;
	}
	buffer_free(&text);
	return is;
}

static enum table_outcome
find(void *own, struct bytes key, struct arena *life, struct bytes *value)
{
	struct mysql      *t = own;
	struct buffer      why = { 0 };
	struct asking      a = { .table = t, .answers = { .rules = &t->rules } };
	enum table_outcome is = TABLE_NONE;

	*value = (struct bytes){ NULL, 0 };
	if (remote_asks(&t->rules, key) &&
	    (!bytes_starts(bytes_of(t->is.charset), BYTES("utf8")) || remote_is_utf8(key))) {
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
my_close(void *own)
{
	struct mysql *t = own;

	pool_close(&t->pool);
	remote_rules_end(&t->rules);
	settings_close(&t->settings);
	arena_close(&t->life);
	memory_free(t);
}

static bool
check_hosts(struct mysql *t, const char *path, struct buffer *errors)
{
	struct remote_host h;

	if (!remote_sql_connect(t->is.sql.connect,
	                        &(struct remote_server){ &t->is.hosts, &t->is.user, &t->is.password,
	                                                 &t->is.dbname },
	                        t->settings, path, t->life, errors))
		return false;
	for (size_t i = 0; i < t->is.hosts.count; i++)
		if (!remote_host(t->is.hosts.item[i], t->life, &h)) {
			remote_complain(t->settings, path, "hosts", errors,
			                "%s: write host, inet:host:port or unix:/path",
			                t->is.hosts.item[i]);
			return false;
		}
	return true;
}

static const struct pool_ways ways = { my_connect, my_disconnect };

static void *
my_open(struct bytes name, enum table_grammar grammar, const struct table_source *source,
        struct buffer *errors, struct buffer *warnings)
{
	struct mysql *t = memory_take(sizeof *t);
	char         *path;

	(void)grammar;
	t->life = arena_open(NULL);
	path = arena_copy(t->life, name);
	t->rules.columns = (source->how & TABLE_COLUMNS) != 0;
	t->rules.users = (source->how & TABLE_USERS) != 0;
	t->rules.iterates = (source->how & TABLE_ITERATES) != 0;
	t->settings = remote_settings(name, &mysql_rows, source, &t->is, errors, warnings);
	if (t->settings == NULL || !check_hosts(t, path, errors) ||
	    !remote_sql_rules(&t->rules, t->settings, path, &t->is.common, &t->is.sql, NULL,
	                      QUOTES_MYSQL, t->life, errors)) {
		my_close(t);
		return NULL;
	}
	t->rules.keep_case = (source->how & TABLE_KEEP_CASE) != 0;
	t->pool = pool_open(&t->is.hosts, true, t->is.common.timeout_ms, &ways, t);
	pool_intervals(t->pool, t->is.idle,
	               remote_is_set(t->settings, "retry_interval") ? t->is.retry : -1);
	(void)mysql_library_init(0, NULL, NULL);
	return t;
}

/* "localhost" means its socket to the library. */
static void
my_reach(void *own, struct reach *r)
{
	struct mysql      *t = own;
	struct remote_host h;
	const char *const  file[] = { t->is.option_file, t->is.tls_cert_file, t->is.tls_key_file,
		                      t->is.tls_cafile, t->is.tls_capath };

	for (size_t i = 0; i < t->is.hosts.count; i++) {
		if (!remote_host(t->is.hosts.item[i], t->life, &h))
			continue;
		if (h.local)
			reach_path(r, path_above(bytes_of(h.host)));
		else
			reach_port(r, h.port != 0 ? h.port : MYSQL_TCP);
	}
	for (size_t i = 0; i < COUNT(file); i++)
		reach_path(r, bytes_of(file[i]));
	domains_reach(t->rules.domains, r);
}

const struct table_type table_mysql = {
	.name = "mysql",
	.remote = true,
	.file = true,
	.open = my_open,
	.find = find,
	.close = my_close,
	.reach = my_reach,
	.rows = &mysql_rows,
};

#else

REMOTE_NOT_BUILT(table_mysql, "mysql", "MariaDB's client")

#endif
