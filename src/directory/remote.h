/*
 * remote -- what all tables that another program keeps have in common
 *
 * From:     table-sqlite, table-pgsql, table-mysql, table-ldap, table-socketmap, table-unix; role/proxymap
 * Touches:  what a table_source hands out; servers through the files of the types
 *
 * remote_settings()  reads a .cf file (the grammar of main.cf, but "$" means itself) into
 *     the struct of `rows`.  What is unknown or wrong is said with file and line.  NULL then.
 *
 * A template is a text with expansions (ldap_table(5), mysql_table(5)): in a question %s is the key, %u
 *     its local part, %d its domain, %1..%9 the labels of its domain from the right; in a result
 *     these are of the value, and %S %U %D %1..%9 of the key.  template_expand() gives false when
 *     there is nothing to be put for one of them: then the key is not asked, the value not told.  What
 *     is put goes through `quote`, which knows in which quotes of the text it stands.
 * answers  are the values of one lookup: joined by comma, counted against expansion_limit.
 *
 * A pool has some servers and some connections to them.  pool_ask() finds one that is
 *     free or makes one, and calls `ask` with it.  A connection that was lost is made anew, once if it
 *     had been lying about; a server that cannot be reached is left alone for 0.5 s, then twice as
 *     long each time up to 15 s, while others are asked; meanwhile the answer is TABLE_LATER at once.
 *     One question tries it then.  Never more than `timeout_ms` for all of it, as far as the library below keeps to
 *     its own.  Connections that nobody used for a minute are closed by the next question, or by pools_tidy()
 *     when there is none.  pool_intervals() says other times: how long a connection lies about, and how long
 *     a server is left alone each time (-1: as above).
 *
 * struct reach is where a table leads (table_reach()): paths (files, sockets, directories of certificates) and
 *     ports, so that a cage can be built around it.
 */
#ifndef DIRECTORY_REMOTE_H
#define DIRECTORY_REMOTE_H

#include "base/setting.h"
#include "directory/table.h"

enum { REMOTE_CF_MOST = 1 << 20, REMOTE_VALUE_MOST = 1 << 20, REMOTE_KEY_MOST = 1 << 16, REMOTE_USERS_MOST = 1 << 28 };

/* ---- the file --------------------------------------------------------------- */
struct settings *remote_settings(struct bytes path, const struct setting_table *rows, const struct table_source *, void *into,
                                 struct buffer *errors, struct buffer *warnings);
/* "FILE:12: name = ...: " and the complaint. */
void remote_complain(struct settings *, const char *path, const char *name, struct buffer *errors, const char *form, ...)
	__attribute__((format(printf, 5, 6)));
/* Whether the file has a line of this name. */
bool remote_is_set(struct settings *, const char *name);
/* Rows that every .cf has. */
struct remote_common {
	const char *result_format, *result_filter, *query;
	struct setting_list domain;
	int64_t expansion_limit, timeout_ms;
};
#define REMOTE_ROWS(type, member, asks) \
	{ asks, SETTING_TEXT, offsetof(type, member.query), "", "What is asked for a key.", NULL, 0, 0, "0.1" }, \
	{ "result_format", SETTING_TEXT, offsetof(type, member.result_format), "%s", "What is told for each value.", NULL, 0, 0, "0.1" }, \
	{ "domain", SETTING_LIST, offsetof(type, member.domain), "", "Only keys user@one of these are asked: domains, /files of them, or tables of them.", NULL, 0, 0, "0.1" }, \
	{ "expansion_limit", SETTING_NUMBER, offsetof(type, member.expansion_limit), "0", "More values than this are an error; 0: any number.", NULL, 0, INT32_MAX, "0.1" }, \
	{ "timeout", SETTING_TIME, offsetof(type, member.timeout_ms), "10s", "How long a question may take.", NULL, 100, 600000, "0.1" }

/* ---- templates -------------------------------------------------------------- */
enum template_of { TEMPLATE_QUESTION, TEMPLATE_RESULT };
enum template_quotes { QUOTES_PLAIN, QUOTES_SQL, QUOTES_MYSQL, QUOTES_PGSQL };
struct template_piece { char what, quote; struct bytes text; };   /* what: 0 the text itself; quote: ' or " it stands in, or 0 */
struct template {
	struct template_piece *piece;
	size_t   count;
	unsigned key_needs, value_needs;  /* TEMPLATE_USER, _DOMAIN                  */
	unsigned labels;                  /* of the domain of the key (or value in a question) */
};
enum { TEMPLATE_USER = 1, TEMPLATE_DOMAIN = 2 };
/* Dovecot's %u %n %d (and %Lu and the like) in a question, as ours: NULL when there is another in it. */
const char *template_of_dovecot(const char *text, struct arena *);
/* NULL, or what is wrong and what would be right. */
const char *template_parse(struct template *, struct bytes text, enum template_of, enum template_quotes, struct arena *);
typedef bool template_quote(void *ctx, char quote, struct bytes, struct buffer *out);
bool template_expand(const struct template *, struct bytes value, const struct bytes *key, template_quote *, void *ctx, struct buffer *out);

/* ---- what is asked and told --------------------------------------------------- */
/* The list `domain`: domains, /files of domains, tables in files whose keys they are; ! before one: not that.  What
   a file holds is read anew when it changed.  NULL with words. */
struct domains;
struct domains *domains_open(const struct setting_list *, struct arena *, struct buffer *why);
void domains_close(struct domains **);
bool domains_have(struct domains *, struct bytes domain);

struct remote_rules {
	struct template     question, result;
	struct domains     *domains;        /* NULL: all                          */
	int64_t             limit;
	bool                keep_case, columns, users;   /* columns of users, not of passwords */
	bool                iterates;       /* of all users                       */
};
/* Parses both; complaints with file and line. */
bool remote_rules(struct remote_rules *, struct settings *, const char *path, const struct remote_common *, const char *question_name,
                  const char *question, enum template_quotes, struct arena *, struct buffer *errors);
void remote_rules_end(struct remote_rules *);
/* Whether this key may be asked at all. */
bool remote_asks(const struct remote_rules *, struct bytes key);
bool remote_is_utf8(struct bytes);
/* What stands behind the last "/" off. */
struct bytes path_above(struct bytes path);
/* In lower case, unless the source of the table wants it kept. */
struct bytes remote_key(const struct remote_rules *, struct bytes key, struct arena *);
struct answers {
	const struct remote_rules *rules;
	struct bytes  key;
	struct buffer out;
	int64_t       count;
	bool          row;                /* there is one, whatever stands in its columns */
	bool          over;               /* expansion_limit, or more than a value may be */
	bool          failed;             /* this question, not the server        */
};
bool answers_add(struct answers *, struct bytes value);          /* false: over */
/* The same of a column; with rules->columns it becomes a line "name=value". */
bool answers_add_column(struct answers *, const char *name, struct bytes value);
/* A row begins: with rules->columns it is the answer although nothing stands in it. */
void answers_row(struct answers *);
void answers_reset(struct answers *);                            /* it is asked again */
/* FOUND with the value in the arena, NONE, or LATER with why: nobody was asked, it failed, over.  Frees what was gathered. */
enum table_outcome answers_end(struct answers *, bool asked, const struct buffer *why, struct arena *, struct bytes *value);

/* ---- connections ------------------------------------------------------------ */
enum pool_asked {
	POOL_DONE,          /* answered, or refused for a reason of the question's own */
	POOL_LOST,          /* this connection is of no use any more          */
};
struct pool_ways {
	void *(*connect)(void *ctx, const char *server, int timeout_ms, struct buffer *why);    /* NULL with words */
	void  (*disconnect)(void *ctx, void *connection);
};
struct pool;
/* `shuffle`: those that are not on this machine are tried in turn, not in order. */
struct pool *pool_open(const struct setting_list *servers, bool shuffle, int64_t timeout_ms, const struct pool_ways *, void *ctx);
void pool_intervals(struct pool *, int64_t idle_ms, int64_t retry_ms);
void pool_close(struct pool **);
/* Closes what lay about for too long, in every pool of this process; whether others still do.  It may block. */
bool pools_tidy(void);
/* False: nobody could be asked; why is in *why. */
bool pool_ask(struct pool *, enum pool_asked (*ask)(void *asker, void *connection, int timeout_ms, struct buffer *why), void *asker,
              struct buffer *why);

/* Where a library was left out of the build. */
#define REMOTE_NOT_BUILT(type, word, library) \
	static void *not_built(struct bytes name, enum table_grammar grammar, const struct table_source *source, struct buffer *errors, \
	                       struct buffer *warnings) \
	{ \
		(void)grammar; (void)source; (void)warnings; \
		buffer_printf(errors, "%s:%.*s: this program was built without " library "\n", word, (int)name.len, name.at); \
		return NULL; \
	} \
	const struct table_type type = { .name = word, .remote = true, .file = true, .open = not_built };

/* ---- where it leads --------------------------------------------------------- */
struct reach {
	struct buffer paths;              /* absolute, each with a NUL behind it       */
	uint16_t      port[64];
	size_t        ports;
	bool          any_port;           /* nobody can tell                           */
};
void reach_path(struct reach *, struct bytes path);
void reach_port(struct reach *, uint64_t port);
void reach_free(struct reach *);
void domains_reach(const struct domains *, struct reach *);
#endif
