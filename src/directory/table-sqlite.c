/* table-sqlite -- sqlite:/path.cf, as in sqlite_table(5) */

#include <sqlite3.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "directory/remote-sql.h"
#include "directory/table_inner.h"

enum { STEPS_BETWEEN_LOOKS = 10000 };

struct sqlite_settings {
	struct remote_common common;
	struct remote_sql    sql;
	const char          *dbpath;
};
/* clang-format off */
static const struct setting rows[] = {
	REMOTE_ROWS(struct sqlite_settings, common, "query"),
	REMOTE_SQL_ROWS(struct sqlite_settings, sql),
	{ "dbpath", SETTING_TEXT, offsetof(struct sqlite_settings, dbpath), "", "The file of the database.", NULL, 0, 0, "0.1" },
};
/* clang-format on */
static const struct setting_table sqlite_rows = { "sqlite", rows, COUNT(rows) };

struct sqlite {
	struct sqlite_settings is;
	struct settings       *settings;
	struct arena          *life;
	struct remote_rules    rules;
	struct pool           *pool;
};

/* One connection: the database, which file that was, and when the question it answers must be over. */
struct handle {
	sqlite3 *db;
	dev_t    device;
	ino_t    number;
	int64_t  until;
};

static int
is_late(void *ctx)
{
	const struct handle *h = ctx;

	return clock_patient_ms() > h->until;
}

static void
handle_close(void *ctx, void *own)
{
	struct handle *h = own;

	(void)ctx;
	(void)sqlite3_close_v2(h->db);
	memory_free(h);
}

/* Another file has its name now (mv), or none has. */
static bool
is_another(const struct handle *h, const char *file)
{
	struct stat st;

	return stat(file, &st) < 0 || st.st_dev != h->device || st.st_ino != h->number;
}

static void *
handle_open(void *ctx, const char *file, int timeout_ms, struct buffer *why)
{
	struct handle *h = memory_take(sizeof *h);
	struct stat    st;

	(void)timeout_ms;
	/* Before it is opened: one that takes its place meanwhile is another. */
	if (stat(file, &st) == 0) {
		h->device = st.st_dev;
		h->number = st.st_ino;
	}
	if (sqlite3_open_v2(file, &h->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_FULLMUTEX, NULL) !=
	    SQLITE_OK) {
		buffer_printf(why, "%s: %s", file,
		              h->db == NULL ? "no memory" : sqlite3_errmsg(h->db));
		handle_close(ctx, h);
		return NULL;
	}
	sqlite3_progress_handler(h->db, STEPS_BETWEEN_LOOKS, is_late, h);
	return h;
}

/* Inside of quotes only that quote has a meaning. */
static bool
quote(void *ctx, char q, struct bytes in, struct buffer *out)
{
	(void)ctx;
	for (size_t i = 0; i < in.len; i++) {
		if (in.at[i] == q)
			buffer_add_char(out, q);
		buffer_add_char(out, in.at[i]);
	}
	return true;
}

struct asking {
	struct sqlite *table;
	struct bytes   text;
	struct answers answers;
};

/* sqlite_table(5): of a row the first column is the value. */
static void
add_row(sqlite3_stmt *s, struct answers *a)
{
	int columns = a->rules->columns ? sqlite3_column_count(s) : 1;

	answers_row(a);
	for (int i = 0; i < columns && !a->over; i++) {
		const unsigned char *text = sqlite3_column_text(s, i);
		if (text != NULL)
			(void)answers_add_column(a, sqlite3_column_name(s, i),
			                         (struct bytes){
							 (const char *)text,
							 (size_t)sqlite3_column_bytes(s, i) });
	}
}

static enum pool_asked
ask(void *asker, void *connection, int timeout_ms, struct buffer *why)
{
	struct asking *a = asker;
	struct handle *h = connection;
	sqlite3_stmt  *s = NULL;
	int            n;

	/* It is opened anew, at once; SQLite would read on in the old one. */
	if (is_another(h, a->table->is.dbpath))
		return POOL_LOST;
	h->until = clock_patient_ms() + timeout_ms;
	(void)sqlite3_busy_timeout(h->db, timeout_ms);
	n = sqlite3_prepare_v2(h->db, a->text.at, (int)a->text.len, &s, NULL);
	while (n == SQLITE_OK || n == SQLITE_ROW) {
		n = sqlite3_step(s);
		if (n == SQLITE_ROW)
			add_row(s, &a->answers);
		if (a->answers.over)
			n = SQLITE_DONE;
	}
	if (n != SQLITE_DONE) {
		buffer_reset(why);
		buffer_printf(why, "%s: %s", a->table->is.dbpath, sqlite3_errmsg(h->db));
	}
	(void)sqlite3_finalize(s);
	if (n == SQLITE_DONE)
		return POOL_DONE;
	answers_reset(&a->answers);
	a->answers.failed = (n & 0xff) == SQLITE_ERROR || (n & 0xff) == SQLITE_TOOBIG;
	return a->answers.failed ? POOL_DONE : POOL_LOST;
}

static enum table_outcome
find(void *own, struct bytes key, struct arena *life, struct bytes *value)
{
	struct sqlite     *t = own;
	struct buffer      text = { 0 }, why = { 0 };
	struct asking      a = { .table = t, .answers = { .rules = &t->rules, .key = key } };
	enum table_outcome is = TABLE_NONE;

	*value = (struct bytes){ NULL, 0 };
	if (remote_asks(&t->rules, key)) {
		a.answers.key = key = remote_key(&t->rules, key, life);
		if (template_expand(&t->rules.question, key, NULL, quote, NULL, &text)) {
			a.text = buffer_bytes(&text);
			is = answers_end(&a.answers, pool_ask(t->pool, ask, &a, &why), &why, life,
			                 value);
		}
	}
	buffer_free(&text);
	buffer_free(&why);
	return is;
}

static void
sqlite_close(void *own)
{
	struct sqlite *t = own;

	pool_close(&t->pool);
	remote_rules_end(&t->rules);
	settings_close(&t->settings);
	arena_close(&t->life);
	memory_free(t);
}

static const struct pool_ways ways = { handle_open, handle_close };

static void *
sqlite_open(struct bytes name, enum table_grammar grammar, const struct table_source *source,
            struct buffer *errors, struct buffer *warnings)
{
	struct sqlite      *t = memory_take(sizeof *t);
	struct setting_list one;
	char               *path;

	(void)grammar;
	t->life = arena_open(NULL);
	path = arena_copy(t->life, name);
	t->rules.columns = (source->how & TABLE_COLUMNS) != 0;
	t->rules.users = (source->how & TABLE_USERS) != 0;
	t->rules.iterates = (source->how & TABLE_ITERATES) != 0;
	t->settings = remote_settings(name, &sqlite_rows, source, &t->is, errors, warnings);
	if (t->settings == NULL || !remote_sql_rules(&t->rules, t->settings, path, &t->is.common,
	                                             &t->is.sql, NULL, QUOTES_SQL, t->life, errors))
		goto wrong;
	if (*t->is.dbpath == '\0')
		t->is.dbpath = t->is.sql.connect;
	if (t->is.dbpath[0] != '/') {
		remote_complain(t->settings, path, "dbpath", errors,
		                "write the absolute path of the database");
		goto wrong;
	}
	one = (struct setting_list){ &t->is.dbpath, 1 };
	t->rules.keep_case = (source->how & TABLE_KEEP_CASE) != 0;
	t->pool = pool_open(&one, false, t->is.common.timeout_ms, &ways, t);
	return t;

wrong:
	sqlite_close(t);
	return NULL;
}

static void
sqlite_reach(void *own, struct reach *r)
{
	struct sqlite *t = own;

	/* Its journal lies beside it. */
	reach_path(r, path_above(bytes_of(t->is.dbpath)));
	domains_reach(t->rules.domains, r);
}

const struct table_type table_sqlite = {
	.name = "sqlite",
	.remote = true,
	.file = true,
	.open = sqlite_open,
	.find = find,
	.close = sqlite_close,
	.reach = sqlite_reach,
	.rows = &sqlite_rows,
};
