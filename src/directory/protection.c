#include "directory/protection.h"
#include "base/clock.h"
#include "base/journal.h"
#include "base/random.h"
#include "directory/inside.h"
#include "directory/totp.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

/* What came to the format later and harms nobody who does not know it (docs/format.md). */
static const char tables[] =
	"CREATE TABLE IF NOT EXISTS protection(account INTEGER PRIMARY KEY, suspended INTEGER NOT NULL DEFAULT 0,"
	" until INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '', networks TEXT NOT NULL DEFAULT '',"
	" protocols INTEGER NOT NULL DEFAULT 0);"
	"CREATE TABLE IF NOT EXISTS app_password(id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL,"
	" name TEXT NOT NULL, key BLOB NOT NULL UNIQUE, protocols INTEGER NOT NULL, made INTEGER NOT NULL,"
	" expires INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0, used_from TEXT NOT NULL DEFAULT '',"
	" used_by TEXT NOT NULL DEFAULT '', UNIQUE(account, name));"
	"CREATE TABLE IF NOT EXISTS totp(account INTEGER PRIMARY KEY, secret BLOB NOT NULL,"
	" on_since INTEGER NOT NULL DEFAULT 0, step INTEGER NOT NULL DEFAULT 0,"
	" wrong INTEGER NOT NULL DEFAULT 0, wrong_at INTEGER NOT NULL DEFAULT 0);"
	"CREATE TABLE IF NOT EXISTS recovery(account INTEGER NOT NULL, key BLOB NOT NULL,"
	" PRIMARY KEY(account, key)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS known_network(user TEXT NOT NULL, network TEXT NOT NULL, at INTEGER NOT NULL,"
	" PRIMARY KEY(user, network)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS ban(network TEXT PRIMARY KEY, since INTEGER NOT NULL, until INTEGER NOT NULL,"
	" times INTEGER NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TRIGGER IF NOT EXISTS protection_gone AFTER DELETE ON account BEGIN"
	" DELETE FROM protection WHERE account=old.id; DELETE FROM app_password WHERE account=old.id;"
	" DELETE FROM totp WHERE account=old.id; DELETE FROM recovery WHERE account=old.id;"
	" DELETE FROM known_network WHERE user=old.local||'@'||old.domain; END;";

enum protection_query {
	OF,
	SUSPEND,
	RESUME,
	BOUND,
	APP_ADD,
	APP_COUNT,
	APP_REVOKE,
	APP_FIND,
	APP_USED,
	APP_EACH,
	TOTP_BEGIN,
	TOTP_GET,
	TOTP_ON,
	TOTP_STEP,
	TOTP_WRONG,
	TOTP_END,
	RECOVERY_ADD,
	RECOVERY_USE,
	RECOVERY_END,
	RECOVERY_COUNT,
	KNOWN_PUT,
	KNOWN_OLD,
	KNOWN_EACH,
	BAN_PUT,
	BAN_DROP,
	BAN_OLD,
	BAN_EACH,
	QUERIES
};
_Static_assert((int)QUERIES <= (int)PROTECTION_QUERIES, "struct directory has room for each");

/* clang-format off */
static const char *const texts[QUERIES] = {
	[OF]          = "SELECT coalesce(p.suspended, 0), coalesce(p.until, 0), coalesce(p.reason, ''), coalesce(p.networks, ''),"
	                " coalesce(p.protocols, 0), EXISTS(SELECT 1 FROM totp t WHERE t.account=?1 AND t.on_since>0),"
	                " (SELECT count(*) FROM app_password a WHERE a.account=?1)"
	                " FROM (SELECT 1) LEFT JOIN protection p ON p.account=?1",
	[SUSPEND]     = "INSERT INTO protection(account, suspended, until, reason) VALUES(?1, 1, ?2, ?3)"
	                " ON CONFLICT(account) DO UPDATE SET suspended=1, until=?2, reason=?3",
	[RESUME]      = "UPDATE protection SET suspended=0, until=0, reason='' WHERE account=?1 AND suspended=1",
	[BOUND]       = "INSERT INTO protection(account, networks, protocols) VALUES(?1, coalesce(?2, ''), coalesce(?3, 0))"
	                " ON CONFLICT(account) DO UPDATE SET networks=coalesce(?2, networks), protocols=coalesce(?3, protocols)",
	[APP_ADD]     = "INSERT OR IGNORE INTO app_password(account, name, key, protocols, made, expires) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
	[APP_COUNT]   = "SELECT count(*) FROM app_password WHERE account=?1",
	[APP_REVOKE]  = "DELETE FROM app_password WHERE account=?1 AND (name=?2 OR id=?3)",
	[APP_FIND]    = "SELECT id, account, name, protocols, made, expires, used, used_from, used_by FROM app_password"
	                " WHERE key=?2 AND account=?1",
	[APP_USED]    = "UPDATE app_password SET used=?2, used_from=?3, used_by=?4 WHERE id=?1",
	[APP_EACH]    = "SELECT id, account, name, protocols, made, expires, used, used_from, used_by FROM app_password"
	                " WHERE account=?1 ORDER BY id",
	[TOTP_BEGIN]  = "INSERT INTO totp(account, secret) VALUES(?1, ?2)"
	                " ON CONFLICT(account) DO UPDATE SET secret=?2, step=0 WHERE on_since=0",
	[TOTP_GET]    = "SELECT secret, on_since, step, wrong, wrong_at FROM totp WHERE account=?1",
	[TOTP_ON]     = "UPDATE totp SET on_since=?2, step=?3, wrong=0 WHERE account=?1",
	[TOTP_STEP]   = "UPDATE totp SET step=max(step, ?2), wrong=0 WHERE account=?1",
	[TOTP_WRONG]  = "UPDATE totp SET wrong=wrong+1, wrong_at=?2 WHERE account=?1",
	[TOTP_END]    = "DELETE FROM totp WHERE account=?1",
	[RECOVERY_ADD] = "INSERT INTO recovery(account, key) VALUES(?1, ?2)",
	[RECOVERY_USE] = "DELETE FROM recovery WHERE account=?1 AND key=?2",
	[RECOVERY_END] = "DELETE FROM recovery WHERE account=?1",
	[RECOVERY_COUNT] = "SELECT count(*) FROM recovery WHERE account=?1",
	[KNOWN_PUT]   = "INSERT OR REPLACE INTO known_network(user, network, at) VALUES(?1, ?2, ?3)",
	[KNOWN_OLD]   = "DELETE FROM known_network WHERE at<?1",
	[KNOWN_EACH]  = "SELECT user, network, at FROM known_network ORDER BY at DESC LIMIT 65536",
	[BAN_PUT]     = "INSERT OR REPLACE INTO ban(network, since, until, times, reason) VALUES(?1, ?2, ?3, ?4, ?5)",
	[BAN_DROP]    = "DELETE FROM ban WHERE network=?1",
	[BAN_OLD]     = "DELETE FROM ban WHERE until>0 AND until<?1",
	[BAN_EACH]    = "SELECT network, since, until, times, reason FROM ban ORDER BY since",
};
/* clang-format on */

bool
protection_open(sqlite3 *db)
{
	return sqlite3_exec(db, tables, NULL, NULL, NULL) == SQLITE_OK;
}

void
protection_close(struct directory *d)
{
	for (int q = 0; q < QUERIES; q++)
		sqlite3_finalize(d->protection[q]);
}

/* Ready, with ?1 bound; NULL when the database cannot: said. */
static sqlite3_stmt *
query(struct directory *d, enum protection_query q, int64_t first)
{
	sqlite3_stmt **s = &d->protection[q];

	if (*s == NULL && sqlite3_prepare_v3(d->db, texts[q], -1, SQLITE_PREPARE_PERSISTENT, s,
	                                     NULL) != SQLITE_OK) {
		fault("directory: %s (%s)", sqlite3_errmsg(d->db), texts[q]);
		return NULL;
	}
	sqlite3_reset(*s);
	sqlite3_clear_bindings(*s);
	sqlite3_bind_int64(*s, 1, first);
	return *s;
}

static void
bind_text(sqlite3_stmt *s, int at, struct bytes text)
{
	sqlite3_bind_text(s, at, text.len > 0 ? text.at : "", (int)text.len, SQLITE_STATIC);
}

static enum directory_outcome
row(struct directory *d, sqlite3_stmt *s)
{
	return s == NULL ? DIRECTORY_LATER : directory_row(d, s);
}

static enum directory_outcome
change(struct directory *d, sqlite3_stmt *s, enum directory_outcome unchanged)
{
	return s == NULL ? DIRECTORY_LATER : directory_change(d, s, unchanged);
}

static void
rest(sqlite3_stmt *s)
{
	if (s != NULL)
		sqlite3_reset(s);
}

bool
directory_changes_begin(struct directory *d)
{
	return sqlite3_exec(d->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
}

bool
directory_changes_end(struct directory *d, bool keep)
{
	if (keep && sqlite3_exec(d->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
		return true;
	if (!sqlite3_get_autocommit(d->db))
		(void)sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
	return !keep;
}

/* ---- protocols ------------------------------------------------------------------ */

static const struct {
	const char *name;
	unsigned    bits;
} protocols[] = {
	{ "imap", PROTOCOL_IMAP },
	{ "pop3", PROTOCOL_POP3 },
	{ "smtp", PROTOCOL_SMTP | PROTOCOL_SUBMISSION },
	{ "submission", PROTOCOL_SUBMISSION },
	{ "sieve", PROTOCOL_SIEVE },
	{ "other", PROTOCOL_OTHER },
};

bool
protocols_read(struct bytes text, unsigned *out)
{
	struct bytes word;

	*out = 0;
	if (bytes_is(text, "all")) {
		*out = PROTOCOL_ALL;
		return true;
	}
	while (bytes_split(&text, ',', &word)) {
		size_t i = 0;
		word = bytes_trim(word);
		while (i < COUNT(protocols) && !bytes_is(word, protocols[i].name))
			i++;
		if (i == COUNT(protocols))
			return false;
		*out |= protocols[i].bits;
	}
	return *out != 0;
}

void
protocols_write(struct buffer *out, unsigned bits)
{
	size_t before = out->len;

	if (bits == PROTOCOL_ALL || bits == 0) {
		buffer_add_string(out, "all");
		return;
	}
	for (size_t i = 0; i < COUNT(protocols); i++) {
		if ((bits & protocols[i].bits) != protocols[i].bits)
			continue;
		if (out->len > before)
			buffer_add_char(out, ',');
		buffer_add_string(out, protocols[i].name);
		bits &= ~protocols[i].bits;
	}
}

unsigned
protocol_of_service(const char *service)
{
	if (strcmp(service, "smtp") == 0)
		return PROTOCOL_SMTP;
	if (strcmp(service, "submissions") == 0)
		return PROTOCOL_SUBMISSION;
	for (size_t i = 0; i < COUNT(protocols); i++)
		if (strcmp(service, protocols[i].name) == 0)
			return protocols[i].bits;
	return PROTOCOL_OTHER;
}

/* ---- what is said of an account ---------------------------------------------------- */

enum directory_outcome
protection_of(struct directory *d, uint64_t account, struct arena *a, struct protection *out)
{
	sqlite3_stmt          *s = query(d, OF, (int64_t)account);
	enum directory_outcome o = row(d, s);

	*out = (struct protection){ .reason = "", .networks = "" };
	if (o == DIRECTORY_OK)
		*out = (struct protection){
			.suspended = sqlite3_column_int(s, 0) != 0,
			.until = sqlite3_column_int64(s, 1),
			.reason = arena_copy(a, directory_column(s, 2)),
			.networks = arena_copy(a, directory_column(s, 3)),
			.protocols = (unsigned)sqlite3_column_int(s, 4),
			.second_factor = sqlite3_column_int(s, 5) != 0,
			.app_passwords = (uint32_t)sqlite3_column_int(s, 6),
		};
	rest(s);
	return o;
}

enum directory_outcome
protection_suspend(struct directory *d, uint64_t account, int64_t until, struct bytes reason)
{
	sqlite3_stmt *s = query(d, SUSPEND, (int64_t)account);

	if (s != NULL) {
		sqlite3_bind_int64(s, 2, until);
		bind_text(s, 3, reason);
	}
	return change(d, s, DIRECTORY_NONE);
}

enum directory_outcome
protection_resume(struct directory *d, uint64_t account)
{
	return change(d, query(d, RESUME, (int64_t)account), DIRECTORY_NONE);
}

enum directory_outcome
protection_bound(struct directory *d, uint64_t account, const char *networks, const unsigned *bits)
{
	sqlite3_stmt *s = query(d, BOUND, (int64_t)account);

	if (s != NULL && networks != NULL)
		bind_text(s, 2, bytes_of(networks));
	if (s != NULL && bits != NULL)
		sqlite3_bind_int64(s, 3, *bits == PROTOCOL_ALL ? 0 : *bits);
	return change(d, s, DIRECTORY_NONE);
}

/* ---- secrets that are found by an HMAC -------------------------------------------------- */

enum { KEY = 32, LETTERS = 32 };

/* False: the directory cannot say what to make it with. */
static bool
key_of(struct directory *d, const char *what, uint64_t account, struct bytes plain,
       unsigned char out[static KEY])
{
	unsigned char secret[DIRECTORY_SECRET];
	unsigned int  n = KEY;
	char          message[128];
	int           len;
	bool          made;

	if (plain.len > 64 || directory_secret(d, what, secret) != DIRECTORY_OK)
		return false;
	len = snprintf(message, sizeof message, "%llu %.*s", (unsigned long long)account,
	               (int)plain.len, plain.at);
	made = HMAC(EVP_sha256(), secret, sizeof secret, (unsigned char *)message, (size_t)len, out,
	            &n) != NULL;
	explicit_bzero(message, sizeof message);
	explicit_bzero(secret, sizeof secret);
	return made;
}

static const char letters[LETTERS + 1] = "abcdefghijklmnopqrstuvwxyz234567";

/* Random letters in groups; the text without the dashes is what is kept. */
static void
invent(char *out, int count, int group)
{
	unsigned char dice[64];

	random_fill(dice, (size_t)count);
	for (int i = 0; i < count; i++) {
		if (i > 0 && i % group == 0)
			*out++ = '-';
		*out++ = letters[dice[i] % LETTERS];
	}
	*out = '\0';
	explicit_bzero(dice, sizeof dice);
}

/* As people type it: any case, with or without blanks and dashes.  False: it cannot be one. */
static bool
typed(struct bytes text, size_t count, char *out)
{
	size_t n = 0;

	if (text.len > 3 * count)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = ascii_lower(text.at[i]);
		if (c == '-' || c == ' ')
			continue;
		if (c == '\0' || strchr(letters, c) == NULL || n == count)
			return false;
		out[n++] = c;
	}
	out[n] = '\0';
	return n == count;
}

/* ---- app passwords ------------------------------------------------------------------------ */

enum { APP_LETTERS = 28, APP_GROUP = 4, RECOVERY_LETTERS = 10, RECOVERY_GROUP = 5 };

static bool
name_right(struct bytes name)
{
	if (name.len == 0 || name.len > APP_PASSWORD_NAME)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.at[i] < 0x20 || name.at[i] == 0x7f)
			return false;
	return true;
}

enum directory_outcome
app_password_add(struct directory *d, uint64_t account, struct bytes name, unsigned bits,
                 int64_t expires, char shown[static APP_PASSWORD_TEXT])
{
	unsigned char          key[KEY];
	char                   plain[APP_LETTERS + 1];
	sqlite3_stmt          *s = query(d, APP_COUNT, (int64_t)account);
	enum directory_outcome o = row(d, s);
	bool full = o == DIRECTORY_OK && sqlite3_column_int(s, 0) >= APP_PASSWORDS_MOST;

	rest(s);
	if (o != DIRECTORY_OK || full || !name_right(name))
		return o != DIRECTORY_OK ? DIRECTORY_LATER
		       : full            ? DIRECTORY_IN_USE
		                         : DIRECTORY_BAD;
	invent(shown, APP_LETTERS, APP_GROUP);
	if (!typed(bytes_of(shown), APP_LETTERS, plain) ||
	    !key_of(d, "app-password", account, bytes_of(plain), key))
		return DIRECTORY_LATER;
	explicit_bzero(plain, sizeof plain);
	if ((s = query(d, APP_ADD, (int64_t)account)) != NULL) {
		bind_text(s, 2, name);
		sqlite3_bind_blob(s, 3, key, KEY, SQLITE_STATIC);
		sqlite3_bind_int64(s, 4, bits);
		sqlite3_bind_int64(s, 5, clock_wall());
		sqlite3_bind_int64(s, 6, expires);
	}
	return change(d, s, DIRECTORY_EXISTS);
}

enum directory_outcome
app_password_revoke(struct directory *d, uint64_t account, struct bytes name)
{
	sqlite3_stmt *s = query(d, APP_REVOKE, (int64_t)account);
	uint64_t      id = 0;

	if (s != NULL) {
		bind_text(s, 2, name);
		if (bytes_number(name, &id) && id <= INT64_MAX)
			sqlite3_bind_int64(s, 3, (int64_t)id);
	}
	return change(d, s, DIRECTORY_NONE);
}

static struct app_password
app_password_in(sqlite3_stmt *s)
{
	return (struct app_password){
		.id = (uint64_t)sqlite3_column_int64(s, 0),
		.account = (uint64_t)sqlite3_column_int64(s, 1),
		.name = (const char *)sqlite3_column_text(s, 2),
		.protocols = (unsigned)sqlite3_column_int(s, 3),
		.made = sqlite3_column_int64(s, 4),
		.expires = sqlite3_column_int64(s, 5),
		.used = sqlite3_column_int64(s, 6),
		.used_from = (const char *)sqlite3_column_text(s, 7),
		.used_by = (const char *)sqlite3_column_text(s, 8),
	};
}

enum directory_outcome
app_password_find(struct directory *d, uint64_t account, struct bytes password, struct arena *a,
                  struct app_password *out)
{
	unsigned char          key[KEY];
	char                   plain[APP_LETTERS + 1];
	sqlite3_stmt          *s;
	enum directory_outcome o;

	if (!typed(password, APP_LETTERS, plain))
		return DIRECTORY_NONE;
	if (!key_of(d, "app-password", account, bytes_of(plain), key) ||
	    (s = query(d, APP_FIND, (int64_t)account)) == NULL)
		return DIRECTORY_LATER;
	explicit_bzero(plain, sizeof plain);
	sqlite3_bind_blob(s, 2, key, KEY, SQLITE_STATIC);
	o = row(d, s);
	if (o == DIRECTORY_OK) {
		*out = app_password_in(s);
		out->name = arena_copy(a, bytes_of(out->name));
		out->used_from = arena_copy(a, bytes_of(out->used_from));
		out->used_by = arena_copy(a, bytes_of(out->used_by));
	}
	rest(s);
	return o;
}

enum directory_outcome
app_password_used(struct directory *d, uint64_t id, int64_t at, const char *from, const char *by)
{
	sqlite3_stmt *s = query(d, APP_USED, (int64_t)id);

	if (s != NULL) {
		sqlite3_bind_int64(s, 2, at);
		bind_text(s, 3, bytes_of(from));
		bind_text(s, 4, bytes_of(by));
	}
	return change(d, s, DIRECTORY_NONE);
}

enum directory_outcome
app_password_each(struct directory *d, uint64_t                            account,
                  void (*each)(void *, const struct app_password *), void *ctx)
{
	sqlite3_stmt          *s = query(d, APP_EACH, (int64_t)account);
	enum directory_outcome o;

	while ((o = row(d, s)) == DIRECTORY_OK) {
		struct app_password one = app_password_in(s);
		each(ctx, &one);
	}
	rest(s);
	return o == DIRECTORY_NONE ? DIRECTORY_OK : o;
}

/* ---- the second factor ---------------------------------------------------------------------- */

struct factor {
	char         secret[64];
	struct bytes bytes;
	int64_t      on, step, wrong, wrong_at;
};

static enum directory_outcome
factor_of(struct directory *d, uint64_t account, struct factor *f)
{
	sqlite3_stmt          *s = query(d, TOTP_GET, (int64_t)account);
	enum directory_outcome o = row(d, s);

	if (o == DIRECTORY_OK) {
		int n = sqlite3_column_bytes(s, 0);
		f->bytes = (struct bytes){ f->secret, n < 64 ? (size_t)n : 64 };
		memcpy(f->secret, sqlite3_column_blob(s, 0), f->bytes.len);
		f->on = sqlite3_column_int64(s, 1);
		f->step = sqlite3_column_int64(s, 2);
		f->wrong = sqlite3_column_int64(s, 3);
		f->wrong_at = sqlite3_column_int64(s, 4);
	}
	rest(s);
	return o;
}

enum directory_outcome
second_factor_begin(struct directory *d, uint64_t account, struct bytes secret)
{
	sqlite3_stmt *s = query(d, TOTP_BEGIN, (int64_t)account);

	if (s != NULL)
		sqlite3_bind_blob(s, 2, secret.at, (int)secret.len, SQLITE_STATIC);
	return change(d, s, DIRECTORY_EXISTS);
}

static bool
recovery_fill(struct directory *d, uint64_t account,
              char codes[static RECOVERY_CODES][RECOVERY_TEXT])
{
	unsigned char key[KEY];
	char          plain[RECOVERY_LETTERS + 1];
	bool          good =
		change(d, query(d, RECOVERY_END, (int64_t)account), DIRECTORY_OK) == DIRECTORY_OK;

	for (int i = 0; i < RECOVERY_CODES && good; i++) {
		sqlite3_stmt *s;
		invent(codes[i], RECOVERY_LETTERS, RECOVERY_GROUP);
		good = typed(bytes_of(codes[i]), RECOVERY_LETTERS, plain) &&
		       key_of(d, "recovery", account, bytes_of(plain), key) &&
		       (s = query(d, RECOVERY_ADD, (int64_t)account)) != NULL &&
		       sqlite3_bind_blob(s, 2, key, KEY, SQLITE_TRANSIENT) == SQLITE_OK &&
		       change(d, s, DIRECTORY_EXISTS) == DIRECTORY_OK;
	}
	explicit_bzero(plain, sizeof plain);
	return good;
}

enum directory_outcome
second_factor_confirm(struct directory *d, uint64_t account, struct bytes code, int64_t now,
                      char codes[static RECOVERY_CODES][RECOVERY_TEXT])
{
	struct factor          f = { .on = 0 };
	enum directory_outcome o = factor_of(d, account, &f);
	sqlite3_stmt          *s;
	int64_t                step;
	bool                   good;

	if (o == DIRECTORY_OK && f.on != 0)
		o = DIRECTORY_EXISTS;
	else if (o == DIRECTORY_OK && !totp_check(f.bytes, code, now, f.step, TOTP_WINDOW, &step))
		o = DIRECTORY_BAD;
	explicit_bzero(f.secret, sizeof f.secret);
	if (o != DIRECTORY_OK)
		return o;
	if (!directory_changes_begin(d) || (s = query(d, TOTP_ON, (int64_t)account)) == NULL)
		return DIRECTORY_LATER;
	sqlite3_bind_int64(s, 2, now);
	sqlite3_bind_int64(s, 3, step);
	good = change(d, s, DIRECTORY_NONE) == DIRECTORY_OK && recovery_fill(d, account, codes);
	return directory_changes_end(d, good) && good ? DIRECTORY_OK : DIRECTORY_LATER;
}

enum directory_outcome
second_factor_end(struct directory *d, uint64_t account)
{
	enum directory_outcome o;

	if (!directory_changes_begin(d))
		return DIRECTORY_LATER;
	o = change(d, query(d, TOTP_END, (int64_t)account), DIRECTORY_NONE);
	if (o == DIRECTORY_OK)
		o = change(d, query(d, RECOVERY_END, (int64_t)account), DIRECTORY_OK);
	return directory_changes_end(d, o == DIRECTORY_OK) ? o : DIRECTORY_LATER;
}

static bool
recovery_use(struct directory *d, uint64_t account, struct bytes code)
{
	unsigned char key[KEY];
	char          plain[RECOVERY_LETTERS + 1];
	sqlite3_stmt *s;

	if (!typed(code, RECOVERY_LETTERS, plain) ||
	    !key_of(d, "recovery", account, bytes_of(plain), key) ||
	    (s = query(d, RECOVERY_USE, (int64_t)account)) == NULL)
		return false;
	sqlite3_bind_blob(s, 2, key, KEY, SQLITE_STATIC);
	return change(d, s, DIRECTORY_NONE) == DIRECTORY_OK;
}

/* One more that is wrong, or a step that is used up.  False: it could not be written, and so was not used. */
static bool
factor_note(struct directory *d, enum protection_query q, uint64_t account, int64_t what)
{
	sqlite3_stmt *s = query(d, q, (int64_t)account);

	if (s != NULL)
		sqlite3_bind_int64(s, 2, what);
	return change(d, s, DIRECTORY_NONE) == DIRECTORY_OK;
}

enum second_factor
second_factor_check(struct directory *d, uint64_t account, struct bytes code, int64_t now,
                    uint32_t *left)
{
	struct factor          f = { .on = 0 };
	enum directory_outcome o = factor_of(d, account, &f);
	enum second_factor     found = FACTOR_WRONG;
	sqlite3_stmt          *s;
	int64_t                step = 0;
	bool                   right;

	*left = 0;
	if (o != DIRECTORY_OK || f.on == 0)
		return o == DIRECTORY_LATER ? FACTOR_LATER : FACTOR_OFF;
	right = totp_check(f.bytes, code, now, f.step, TOTP_WINDOW, &step);
	explicit_bzero(f.secret, sizeof f.secret);
	if (f.wrong >= CODE_WRONG_MOST && now - f.wrong_at < 60)
		found = FACTOR_TOO_OFTEN;
	else if (right)
		found = factor_note(d, TOTP_STEP, account, step) ? FACTOR_RIGHT : FACTOR_LATER;
	else if (recovery_use(d, account, code))
		found = factor_note(d, TOTP_STEP, account, 0) ? FACTOR_RECOVERY : FACTOR_LATER;
	if (found == FACTOR_WRONG)
		(void)factor_note(d, TOTP_WRONG, account, now);
	s = query(d, RECOVERY_COUNT, (int64_t)account);
	if (row(d, s) == DIRECTORY_OK)
		*left = (uint32_t)sqlite3_column_int(s, 0);
	rest(s);
	return found;
}

/* ---- networks --------------------------------------------------------------------------------- */

enum directory_outcome
known_network_put(struct directory *d, const struct known_network *k)
{
	sqlite3_stmt *s = query(d, KNOWN_PUT, 0);

	if (s != NULL) {
		bind_text(s, 1, bytes_of(k->user));
		bind_text(s, 2, bytes_of(k->network));
		sqlite3_bind_int64(s, 3, k->at);
	}
	return change(d, s, DIRECTORY_OK);
}

enum directory_outcome
known_network_each(struct directory *d, int64_t                              since,
                   void (*each)(void *, const struct known_network *), void *ctx)
{
	enum directory_outcome o = change(d, query(d, KNOWN_OLD, since), DIRECTORY_OK);
	sqlite3_stmt          *s = query(d, KNOWN_EACH, 0);

	while (o == DIRECTORY_OK && (o = row(d, s)) == DIRECTORY_OK) {
		struct known_network one = { (const char *)sqlite3_column_text(s, 0),
			                     (const char *)sqlite3_column_text(s, 1),
			                     sqlite3_column_int64(s, 2) };
		each(ctx, &one);
	}
	rest(s);
	return o == DIRECTORY_NONE ? DIRECTORY_OK : o;
}

enum directory_outcome
ban_put(struct directory *d, const struct ban *b)
{
	sqlite3_stmt *s = query(d, BAN_PUT, 0);

	if (s != NULL) {
		bind_text(s, 1, bytes_of(b->network));
		sqlite3_bind_int64(s, 2, b->since);
		sqlite3_bind_int64(s, 3, b->until);
		sqlite3_bind_int64(s, 4, b->times);
		bind_text(s, 5, bytes_of(b->reason));
	}
	return change(d, s, DIRECTORY_OK);
}

enum directory_outcome
ban_drop(struct directory *d, struct bytes network)
{
	sqlite3_stmt *s = query(d, BAN_DROP, 0);

	if (s != NULL)
		bind_text(s, 1, network);
	return change(d, s, DIRECTORY_NONE);
}

enum directory_outcome
ban_each(struct directory *d, int64_t ended_since, void (*each)(void *, const struct ban *),
         void *ctx)
{
	enum directory_outcome o = change(d, query(d, BAN_OLD, ended_since), DIRECTORY_OK);
	sqlite3_stmt          *s = query(d, BAN_EACH, 0);

	while (o == DIRECTORY_OK && (o = row(d, s)) == DIRECTORY_OK) {
		struct ban one = { (const char *)sqlite3_column_text(s, 0),
			           sqlite3_column_int64(s, 1), sqlite3_column_int64(s, 2),
			           (uint32_t)sqlite3_column_int(s, 3),
			           (const char *)sqlite3_column_text(s, 4) };
		each(ctx, &one);
	}
	rest(s);
	return o == DIRECTORY_NONE ? DIRECTORY_OK : o;
}
