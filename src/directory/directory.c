#include "directory/directory.h"
#include "base/clock.h"
#include "base/journal.h"
#include "message/address.h"
#include <sqlite3.h>
#include <string.h>

enum { RESOLVE_DEPTH = 20, RESOLVE_TARGETS = 5000 };

static const char schema[] =
	"CREATE TABLE domain("
	" name TEXT PRIMARY KEY, catch_all TEXT NOT NULL DEFAULT '', made INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE account("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, local TEXT NOT NULL, domain TEXT NOT NULL REFERENCES domain(name),"
	" enabled INTEGER NOT NULL DEFAULT 1, hash TEXT NOT NULL,"
	" scram_iterations INTEGER NOT NULL, scram_salt TEXT NOT NULL, scram_stored TEXT NOT NULL,"
	" scram_server TEXT NOT NULL, made INTEGER NOT NULL, UNIQUE(domain, local));"
	"CREATE TABLE alias("
	" domain TEXT NOT NULL REFERENCES domain(name), local TEXT NOT NULL, target TEXT NOT NULL,"
	" PRIMARY KEY(domain, local, target)) WITHOUT ROWID;"
	"PRAGMA user_version = 1;";

/* Every question and change there is; the enum names the rows. */
enum query {
	DOMAIN_HAS, DOMAIN_ADD, DOMAIN_DELETE, DOMAIN_CATCH_ALL, DOMAIN_EACH, DOMAIN_USED,
	ACCOUNT_FIND, ACCOUNT_FIRST_OF, ACCOUNT_FIRST, ACCOUNT_ADD, ACCOUNT_DELETE, ACCOUNT_CREDENTIAL,
	ACCOUNT_SET, ACCOUNT_ENABLE, ACCOUNT_EACH,
	ALIAS_FIND, ALIAS_ADD, ALIAS_DELETE, ALIAS_DELETE_ALL, ALIAS_EACH,
	QUERIES
};
static const char *const query_text[QUERIES] = {
	[DOMAIN_HAS]       = "SELECT catch_all FROM domain WHERE name=?1",
	[DOMAIN_ADD]       = "INSERT OR IGNORE INTO domain(name, made) VALUES(?1, ?2)",
	[DOMAIN_DELETE]    = "DELETE FROM domain WHERE name=?1",
	[DOMAIN_CATCH_ALL] = "UPDATE domain SET catch_all=?2 WHERE name=?1",
	[DOMAIN_EACH]      = "SELECT name, catch_all, (SELECT count(*) FROM account a WHERE a.domain=d.name),"
	                     " (SELECT count(DISTINCT local) FROM alias l WHERE l.domain=d.name), made"
	                     " FROM domain d WHERE ?1='' OR name=?1 ORDER BY name",
	[DOMAIN_USED]      = "SELECT EXISTS(SELECT 1 FROM account WHERE domain=?1) OR EXISTS(SELECT 1 FROM alias WHERE domain=?1)",
	[ACCOUNT_FIND]     = "SELECT id FROM account WHERE domain=?2 AND local=?1",
	[ACCOUNT_FIRST_OF] = "SELECT id, local||'@'||domain FROM account WHERE domain=?1 ORDER BY id LIMIT 1",
	[ACCOUNT_FIRST]    = "SELECT id, local||'@'||domain FROM account ORDER BY id LIMIT 1",
	[ACCOUNT_ADD]      = "INSERT OR IGNORE INTO account(local, domain, hash, scram_iterations, scram_salt, scram_stored,"
	                     " scram_server, made) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[ACCOUNT_DELETE]   = "DELETE FROM account WHERE local=?1 AND domain=?2",
	[ACCOUNT_CREDENTIAL] = "SELECT id, local||'@'||domain, hash, enabled, scram_iterations, scram_salt, scram_stored,"
	                     " scram_server FROM account WHERE local=?1 AND domain=?2",
	[ACCOUNT_SET]      = "UPDATE account SET hash=?3, scram_iterations=?4, scram_salt=?5, scram_stored=?6, scram_server=?7"
	                     " WHERE local=?1 AND domain=?2",
	[ACCOUNT_ENABLE]   = "UPDATE account SET enabled=?3 WHERE local=?1 AND domain=?2",
	[ACCOUNT_EACH]     = "SELECT id, local||'@'||domain, enabled, scram_iterations>0, made FROM account"
	                     " WHERE (?1='' OR (local=?1 AND domain=?2)) AND (?2='' OR domain=?2) ORDER BY domain, local",
	[ALIAS_FIND]       = "SELECT target FROM alias WHERE local=?1 AND domain=?2 ORDER BY target",
	[ALIAS_ADD]        = "INSERT OR IGNORE INTO alias(local, domain, target) VALUES(?1, ?2, ?3)",
	[ALIAS_DELETE]     = "DELETE FROM alias WHERE local=?1 AND domain=?2 AND target=?3",
	[ALIAS_DELETE_ALL] = "DELETE FROM alias WHERE local=?1 AND domain=?2",
	[ALIAS_EACH]       = "SELECT local||'@'||domain, target FROM alias"
	                     " WHERE (?1='' OR (local=?1 AND domain=?2)) AND (?2='' OR domain=?2) ORDER BY domain, local, target",
};

struct directory {
	sqlite3      *db;
	sqlite3_stmt *ready[QUERIES];
};

/* ---- the database -------------------------------------------------------- */

static bool
version_right(sqlite3 *db, struct buffer *errors)
{
	sqlite3_stmt *s = NULL;
	int version = -1;

	if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		version = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	if (version == 0)
		return sqlite3_exec(db, schema, NULL, NULL, NULL) == SQLITE_OK;
	if (version == DIRECTORY_VERSION)
		return true;
	buffer_printf(errors, "directory.db has format version %d; this program knows version %d\n", version, DIRECTORY_VERSION);
	return false;
}

struct directory *
directory_open(const char *path, struct buffer *errors)
{
	struct directory *d = memory_take(sizeof *d);

	if (sqlite3_open_v2(path, &d->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK)
		goto bad;
	/* One connection, this process alone: no shared memory, no other writer. */
	if (sqlite3_exec(d->db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
	    "PRAGMA foreign_keys=ON; PRAGMA cache_size=-1024; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;", NULL, NULL, NULL) != SQLITE_OK)
		goto bad;
	if (!version_right(d->db, errors))
		goto bad;
	for (int q = 0; q < QUERIES; q++)
		if (sqlite3_prepare_v3(d->db, query_text[q], -1, SQLITE_PREPARE_PERSISTENT, &d->ready[q], NULL) != SQLITE_OK)
			goto bad;
	return d;
bad:
	buffer_printf(errors, "%s: cannot open the directory: %s\n", path, d->db ? sqlite3_errmsg(d->db) : "out of memory");
	directory_close(&d);
	return NULL;
}

void
directory_close(struct directory **dp)
{
	struct directory *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	for (int q = 0; q < QUERIES; q++)
		sqlite3_finalize(d->ready[q]);
	sqlite3_close(d->db);
	memory_free(d);
}

static sqlite3_stmt *
query(struct directory *d, enum query q, struct bytes first, struct bytes second)
{
	sqlite3_stmt *s = d->ready[q];

	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	/* NULL would be SQL's NULL: an empty view is the empty text. */
	sqlite3_bind_text(s, 1, first.len ? first.at : "", (int)first.len, SQLITE_TRANSIENT);
	if (sqlite3_bind_parameter_count(s) > 1)
		sqlite3_bind_text(s, 2, second.len ? second.at : "", (int)second.len, SQLITE_TRANSIENT);
	return s;
}

/* One row is OK, none is NONE, anything else is the database's trouble. */
static enum directory_outcome
row_of(struct directory *d, sqlite3_stmt *s)
{
	int got = sqlite3_step(s);

	if (got == SQLITE_ROW)
		return DIRECTORY_OK;
	if (got == SQLITE_DONE)
		return DIRECTORY_NONE;
	fault("directory: %s (%s)", sqlite3_errmsg(d->db), sqlite3_sql(s));
	return DIRECTORY_LATER;
}

/* A change: `unchanged` is what it means when no row was touched. */
static enum directory_outcome
change(struct directory *d, sqlite3_stmt *s, enum directory_outcome unchanged)
{
	enum directory_outcome o = row_of(d, s);

	sqlite3_reset(s);
	if (o == DIRECTORY_LATER)
		return o;
	return sqlite3_changes(d->db) > 0 ? DIRECTORY_OK : unchanged;
}

static struct bytes
column(sqlite3_stmt *s, int at)
{
	return (struct bytes){ (const char *)sqlite3_column_text(s, at), (size_t)sqlite3_column_bytes(s, at) };
}

static const char *
column_copy(struct arena *a, sqlite3_stmt *s, int at)
{
	return arena_copy(a, column(s, at));
}

/* ---- addresses ------------------------------------------------------------ */

/* An address as the tables keep it: lower case, the domain completed. */
struct key { struct bytes local, domain; };

static bool
key_of(struct bytes text, const char *origin, struct arena *a, struct key *out)
{
	struct address address;

	if (bytes_find_last(text, '@') < 0) {
		if (origin == NULL || origin[0] == '\0')
			return false;
		text = bytes_of(arena_printf(a, "%.*s@%s", (int)text.len, text.at, origin));
	}
	if (!address_parse(text, a, &address) || address.domain.len == 0)
		return false;
	out->local = arena_lower(a, address.local);
	out->domain = arena_lower(a, address.domain);
	return true;
}

static bool
domain_key(struct bytes name, struct arena *a, struct bytes *out)
{
	if (!domain_valid(name) || bytes_starts(name, BYTES("[")))
		return false;
	*out = arena_lower(a, name);
	return true;
}

/* ---- resolving ------------------------------------------------------------ */

/* What one resolution has found so far.  `open` is a stack of alias addresses being
   expanded; an alias met again inside itself stands for the account of that name. */
struct finding {
	struct directory *d;
	struct arena     *a;
	const char       *delimiters, *origin;
	struct directory_target *target;
	size_t            count, room;
	struct step { struct key key; struct bytes detail; size_t depth; } *todo;
	size_t            todos, todo_room;
	struct key       *expanded;
	size_t            expansions, expanded_room;
};

/* Room for one more of `each` bytes; most resolutions need only the first few. */
static void *
grown(struct arena *a, void *array, size_t count, size_t *room, size_t each)
{
	void *larger;

	if (count < *room)
		return array;
	*room = *room == 0 ? 4 : *room * 2;
	larger = arena_take_array(a, *room, each);
	if (count > 0)
		memcpy(larger, array, count * each);
	return larger;
}

static bool
key_equal(const struct key *x, const struct key *y)
{
	return bytes_equal(x->local, y->local) && bytes_equal(x->domain, y->domain);
}

static bool
expanded_before(const struct finding *f, const struct key *k)
{
	for (size_t i = 0; i < f->expansions; i++)
		if (key_equal(&f->expanded[i], k))
			return true;
	return false;
}

/* One copy for each account and each remote address, however many roads lead there. */
static enum directory_outcome
target_add(struct finding *f, uint64_t account, struct bytes address, struct bytes detail)
{
	for (size_t i = 0; i < f->count; i++)
		if (account != 0 ? f->target[i].account == account :
		    f->target[i].account == 0 && bytes_equal_nocase(f->target[i].address, address))
			return DIRECTORY_OK;
	if (f->count == RESOLVE_TARGETS)
		return DIRECTORY_LOOP;
	f->target = grown(f->a, f->target, f->count, &f->room, sizeof *f->target);
	f->target[f->count++] = (struct directory_target){ account, arena_keep(f->a, address), arena_keep(f->a, detail) };
	return DIRECTORY_OK;
}

static enum directory_outcome
todo_add(struct finding *f, struct bytes target, struct bytes detail, size_t depth)
{
	struct key k;

	if (depth > RESOLVE_DEPTH || f->todos == RESOLVE_TARGETS)
		return DIRECTORY_LOOP;
	if (!key_of(target, f->origin, f->a, &k)) {
		if (depth > 0)
			warn_("directory: alias target \"%.*s\" is not an address", (int)target.len, target.at);
		return DIRECTORY_OK;
	}
	f->todo = grown(f->a, f->todo, f->todos, &f->todo_room, sizeof *f->todo);
	f->todo[f->todos++] = (struct step){ k, detail, depth };
	return DIRECTORY_OK;
}

/* The alias of this very address: its targets go on the list. */
static enum directory_outcome
try_alias(struct finding *f, const struct key *k, struct bytes detail, size_t depth)
{
	sqlite3_stmt *s;
	enum directory_outcome o, found = DIRECTORY_NONE;

	if (expanded_before(f, k))
		return DIRECTORY_NONE;
	s = query(f->d, ALIAS_FIND, k->local, k->domain);
	while ((o = row_of(f->d, s)) == DIRECTORY_OK) {
		found = todo_add(f, arena_keep(f->a, column(s, 0)), detail, depth + 1);
		if (found != DIRECTORY_OK)
			break;
	}
	sqlite3_reset(s);
	if (o == DIRECTORY_LATER)
		return o;
	if (found == DIRECTORY_OK) {
		if (f->expansions == RESOLVE_TARGETS)
			return DIRECTORY_LOOP;
		f->expanded = grown(f->a, f->expanded, f->expansions, &f->expanded_room, sizeof *f->expanded);
		f->expanded[f->expansions++] = *k;
	}
	return found;
}

static enum directory_outcome
try_account(struct finding *f, const struct key *k, struct bytes detail)
{
	sqlite3_stmt *s = query(f->d, ACCOUNT_FIND, k->local, k->domain);
	enum directory_outcome o = row_of(f->d, s);
	struct address address = { k->local, k->domain };

	if (o == DIRECTORY_OK)
		o = target_add(f, (uint64_t)sqlite3_column_int64(s, 0), address_text(f->a, &address), detail);
	sqlite3_reset(s);
	return o;
}

static enum directory_outcome
try_both(struct finding *f, const struct key *k, struct bytes detail, size_t depth)
{
	enum directory_outcome o = try_alias(f, k, detail, depth);

	return o == DIRECTORY_NONE ? try_account(f, k, detail) : o;
}

/* rfc5321:4.5.1: mail for postmaster is always taken. */
static enum directory_outcome
try_postmaster(struct finding *f, const struct key *k)
{
	static const enum query firsts[] = { ACCOUNT_FIRST_OF, ACCOUNT_FIRST };

	if (!bytes_is(k->local, "postmaster"))
		return DIRECTORY_NONE;
	for (size_t i = 0; i < COUNT(firsts); i++) {
		sqlite3_stmt *s = query(f->d, firsts[i], k->domain, BYTES(""));
		enum directory_outcome o = row_of(f->d, s);

		if (o == DIRECTORY_OK)
			o = target_add(f, (uint64_t)sqlite3_column_int64(s, 0), column(s, 1), BYTES(""));
		sqlite3_reset(s);
		if (o != DIRECTORY_NONE)
			return o;
	}
	return DIRECTORY_LATER;          /* a house without people yet */
}

/* One address of the list, in the order the header names. */
static enum directory_outcome
resolve_step(struct finding *f, const struct step *step)
{
	struct key bare = step->key;
	sqlite3_stmt *s = query(f->d, DOMAIN_HAS, bare.domain, BYTES(""));
	enum directory_outcome o = row_of(f->d, s);
	struct bytes catch_all = { NULL, 0 }, detail = step->detail;
	size_t cut;

	if (o == DIRECTORY_OK)
		catch_all = arena_keep(f->a, column(s, 0));
	sqlite3_reset(s);
	if (o != DIRECTORY_OK)
		return o == DIRECTORY_NONE ? DIRECTORY_FOREIGN : o;

	o = try_both(f, &bare, detail, step->depth);
	if (o != DIRECTORY_NONE)
		return o;
	for (cut = 1; cut < bare.local.len; cut++)
		if (strchr(f->delimiters, bare.local.at[cut]) != NULL)
			break;
	if (cut < bare.local.len) {
		detail = bytes_cut(bare.local, cut + 1, SIZE_MAX);
		bare.local.len = cut;
		o = try_both(f, &bare, detail, step->depth);
		if (o != DIRECTORY_NONE)
			return o;
	}
	o = try_postmaster(f, &bare);
	if (o != DIRECTORY_NONE || catch_all.len == 0)
		return o;
	return todo_add(f, catch_all, detail, step->depth + 1);
}

enum directory_outcome
directory_resolve(struct directory *d, struct bytes address, const char *delimiters, const char *origin,
	struct arena *a, struct directory_target **targets, size_t *count)
{
	struct finding f = { .d = d, .a = a, .delimiters = delimiters, .origin = origin };
	enum directory_outcome o, first = DIRECTORY_BAD;

	*count = 0;
	*targets = NULL;
	if (todo_add(&f, address, BYTES(""), 0) != DIRECTORY_OK)
		return DIRECTORY_LATER;
	for (size_t i = 0; i < f.todos; i++) {
		struct step step = f.todo[i];

		o = resolve_step(&f, &step);
		if (i == 0)
			first = o;
		else if (o == DIRECTORY_FOREIGN) {
			struct address remote = { step.key.local, step.key.domain };
			o = target_add(&f, 0, address_text(a, &remote), BYTES(""));
		} else if (o == DIRECTORY_NONE)
			warn_("directory: an alias of %.*s leads to %.*s@%.*s, who does not exist", (int)address.len, address.at,
			    (int)step.key.local.len, step.key.local.at, (int)step.key.domain.len, step.key.domain.at);
		if (o == DIRECTORY_LATER || o == DIRECTORY_LOOP) {
			first = o;
			break;
		}
	}
	if (first == DIRECTORY_OK && f.count == 0)
		first = DIRECTORY_LOOP;
	*targets = f.target;
	*count = f.count;
	return first;
}

/* ---- credentials ---------------------------------------------------------- */

enum directory_outcome
directory_credential(struct directory *d, struct bytes user, const char *origin, struct arena *a, struct credential *out)
{
	enum directory_outcome o;
	sqlite3_stmt *s;
	struct key k;

	if (!key_of(user, origin, a, &k))
		return DIRECTORY_NONE;
	s = query(d, ACCOUNT_CREDENTIAL, k.local, k.domain);
	o = row_of(d, s);
	if (o == DIRECTORY_OK)
		*out = (struct credential){
			.account = (uint64_t)sqlite3_column_int64(s, 0),
			.address = column_copy(a, s, 1),
			.hash = column_copy(a, s, 2),
			.enabled = sqlite3_column_int(s, 3) != 0,
			.scram_iterations = (uint32_t)sqlite3_column_int(s, 4),
			.scram_salt = column_copy(a, s, 5),
			.scram_stored = column_copy(a, s, 6),
			.scram_server = column_copy(a, s, 7),
		};
	sqlite3_reset(s);
	return o;
}

/* ---- domains ---------------------------------------------------------------- */

enum directory_outcome
directory_domain_add(struct directory *d, struct bytes name)
{
	struct arena *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct bytes key;

	if (domain_key(name, a, &key)) {
		sqlite3_stmt *s = query(d, DOMAIN_ADD, key, BYTES(""));
		sqlite3_bind_int64(s, 2, clock_wall());
		o = change(d, s, DIRECTORY_EXISTS);
	}
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_domain_delete(struct directory *d, struct bytes name)
{
	struct arena *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct bytes key;

	if (domain_key(name, a, &key)) {
		sqlite3_stmt *s = query(d, DOMAIN_USED, key, BYTES(""));

		o = row_of(d, s);
		if (o == DIRECTORY_OK && sqlite3_column_int(s, 0) != 0)
			o = DIRECTORY_IN_USE;
		sqlite3_reset(s);
		if (o == DIRECTORY_OK)
			o = change(d, query(d, DOMAIN_DELETE, key, BYTES("")), DIRECTORY_NONE);
	}
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_domain_catch_all(struct directory *d, struct bytes name, struct bytes target)
{
	struct arena *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct address address;
	struct bytes key;

	if (domain_key(name, a, &key) && (target.len == 0 || address_parse(target, a, &address)))
		o = change(d, query(d, DOMAIN_CATCH_ALL, key, target), DIRECTORY_NONE);
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_domain_each(struct directory *d, struct bytes only, void (*each)(void *, const struct domain_row *), void *ctx)
{
	struct arena *a = arena_open(NULL);
	sqlite3_stmt *s = query(d, DOMAIN_EACH, arena_lower(a, only), BYTES(""));
	enum directory_outcome o, found = DIRECTORY_NONE;

	while ((o = row_of(d, s)) == DIRECTORY_OK) {
		struct domain_row row = {
			(const char *)sqlite3_column_text(s, 0), (const char *)sqlite3_column_text(s, 1),
			(uint64_t)sqlite3_column_int64(s, 2), (uint64_t)sqlite3_column_int64(s, 3), sqlite3_column_int64(s, 4),
		};
		each(ctx, &row);
		found = DIRECTORY_OK;
	}
	sqlite3_reset(s);
	arena_close(&a);
	return o == DIRECTORY_LATER ? o : found;
}

/* ---- accounts --------------------------------------------------------------- */

static void
bind_credential(sqlite3_stmt *s, const struct credential *c)
{
	sqlite3_bind_text(s, 3, c->hash, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(s, 4, c->scram_iterations);
	sqlite3_bind_text(s, 5, c->scram_salt, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(s, 6, c->scram_stored, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(s, 7, c->scram_server, -1, SQLITE_TRANSIENT);
}

enum directory_outcome
directory_account_add(struct directory *d, struct bytes address, const struct credential *c, bool with_domain, uint64_t *id)
{
	struct arena *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	sqlite3_stmt *s;
	struct key k;

	if (!key_of(address, NULL, a, &k))
		goto out;
	s = query(d, DOMAIN_HAS, k.domain, BYTES(""));
	o = row_of(d, s);
	sqlite3_reset(s);
	if (o == DIRECTORY_NONE)
		o = with_domain ? directory_domain_add(d, k.domain) : DIRECTORY_FOREIGN;
	if (o != DIRECTORY_OK)
		goto out;
	s = query(d, ACCOUNT_ADD, k.local, k.domain);
	bind_credential(s, c);
	sqlite3_bind_int64(s, 8, clock_wall());
	o = change(d, s, DIRECTORY_EXISTS);
	if (o == DIRECTORY_OK)
		*id = (uint64_t)sqlite3_last_insert_rowid(d->db);
out:
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_account_delete(struct directory *d, struct bytes address, uint64_t *id)
{
	struct arena *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct key k;

	if (key_of(address, NULL, a, &k)) {
		sqlite3_stmt *s = query(d, ACCOUNT_FIND, k.local, k.domain);

		o = row_of(d, s);
		if (o == DIRECTORY_OK)
			*id = (uint64_t)sqlite3_column_int64(s, 0);
		sqlite3_reset(s);
		if (o == DIRECTORY_OK)
			o = change(d, query(d, ACCOUNT_DELETE, k.local, k.domain), DIRECTORY_NONE);
	}
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_account_set_credential(struct directory *d, struct bytes address, const struct credential *c)
{
	struct arena *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct key k;

	if (key_of(address, NULL, a, &k)) {
		sqlite3_stmt *s = query(d, ACCOUNT_SET, k.local, k.domain);
		bind_credential(s, c);
		o = change(d, s, DIRECTORY_NONE);
	}
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_account_enable(struct directory *d, struct bytes address, bool yes)
{
	struct arena *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct key k;

	if (key_of(address, NULL, a, &k)) {
		sqlite3_stmt *s = query(d, ACCOUNT_ENABLE, k.local, k.domain);
		sqlite3_bind_int(s, 3, yes);
		o = change(d, s, DIRECTORY_NONE);
	}
	arena_close(&a);
	return o;
}

/* The two columns that choose rows: an address, a domain, or everything. */
static bool
choose(struct arena *a, struct bytes only, struct bytes domain, struct key *k)
{
	*k = (struct key){ { NULL, 0 }, arena_lower(a, domain) };
	return only.len == 0 || key_of(only, NULL, a, k);
}

enum directory_outcome
directory_account_each(struct directory *d, struct bytes only, struct bytes domain, void (*each)(void *, const struct account_row *), void *ctx)
{
	struct arena *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD, found = DIRECTORY_NONE;
	struct key k;

	if (choose(a, only, domain, &k)) {
		sqlite3_stmt *s = query(d, ACCOUNT_EACH, k.local, k.domain);

		while ((o = row_of(d, s)) == DIRECTORY_OK) {
			struct account_row row = {
				(uint64_t)sqlite3_column_int64(s, 0), (const char *)sqlite3_column_text(s, 1),
				sqlite3_column_int(s, 2) != 0, sqlite3_column_int(s, 3) != 0, sqlite3_column_int64(s, 4),
			};
			each(ctx, &row);
			found = DIRECTORY_OK;
		}
		sqlite3_reset(s);
	}
	arena_close(&a);
	return o == DIRECTORY_NONE ? found : o;
}

/* ---- aliases ------------------------------------------------------------------ */

enum directory_outcome
directory_alias_add(struct directory *d, struct bytes address, struct bytes target)
{
	struct arena *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct address to;
	struct key k;

	if (key_of(address, NULL, a, &k) && address_parse(target, a, &to) && to.domain.len > 0) {
		sqlite3_stmt *s = query(d, DOMAIN_HAS, k.domain, BYTES(""));

		o = row_of(d, s);
		sqlite3_reset(s);
		if (o == DIRECTORY_NONE)
			o = DIRECTORY_FOREIGN;
		if (o == DIRECTORY_OK) {
			struct bytes text = address_text(a, &to);

			s = query(d, ALIAS_ADD, k.local, k.domain);
			sqlite3_bind_text(s, 3, text.at, (int)text.len, SQLITE_TRANSIENT);
			o = change(d, s, DIRECTORY_EXISTS);
		}
	}
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_alias_delete(struct directory *d, struct bytes address, struct bytes target)
{
	struct arena *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct key k;

	if (key_of(address, NULL, a, &k)) {
		sqlite3_stmt *s = query(d, target.len ? ALIAS_DELETE : ALIAS_DELETE_ALL, k.local, k.domain);
		if (target.len > 0)
			sqlite3_bind_text(s, 3, target.at, (int)target.len, SQLITE_TRANSIENT);
		o = change(d, s, DIRECTORY_NONE);
	}
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_alias_each(struct directory *d, struct bytes only, struct bytes domain, void (*each)(void *, const struct alias_row *), void *ctx)
{
	struct arena *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD, found = DIRECTORY_NONE;
	struct key k;

	if (choose(a, only, domain, &k)) {
		sqlite3_stmt *s = query(d, ALIAS_EACH, k.local, k.domain);

		while ((o = row_of(d, s)) == DIRECTORY_OK) {
			struct alias_row row = { (const char *)sqlite3_column_text(s, 0), (const char *)sqlite3_column_text(s, 1) };
			each(ctx, &row);
			found = DIRECTORY_OK;
		}
		sqlite3_reset(s);
	}
	arena_close(&a);
	return o == DIRECTORY_NONE ? found : o;
}
