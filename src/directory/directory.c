#include "base/clock.h"
#include "base/journal.h"
#include "base/random.h"
#include "directory/image.h"
#include "directory/inside.h"
#include "directory/protection.h"
#include "message/address.h"
#include "message/casefold.h"
#include "message/domain.h"
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In one transaction: half a schema is none. */
static const char schema[] =
	"BEGIN IMMEDIATE;"
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
	"CREATE TABLE gone(id INTEGER PRIMARY KEY, at INTEGER NOT NULL);"
	"CREATE TABLE secret(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
	"PRAGMA user_version = 1;"
	"COMMIT;";

/* From version 1.  Domains that are there already have number 0 together: the ids of their accounts stay. */
static const char version_two[] =
	"BEGIN IMMEDIATE;"
	"ALTER TABLE domain ADD COLUMN number INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE domain ADD COLUMN quota_bytes INTEGER NOT NULL DEFAULT -1;"
	"ALTER TABLE domain ADD COLUMN quota_messages INTEGER NOT NULL DEFAULT -1;"
	"ALTER TABLE account ADD COLUMN quota_bytes INTEGER NOT NULL DEFAULT -1;"
	"ALTER TABLE account ADD COLUMN quota_messages INTEGER NOT NULL DEFAULT -1;"
	"ALTER TABLE domain ADD COLUMN mail_location TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE account ADD COLUMN mail_location TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE account ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE member("
	" account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE, address TEXT NOT NULL,"
	" PRIMARY KEY(account, address)) WITHOUT ROWID;"
	"PRAGMA user_version = 2;"
	"COMMIT;";

/* From version 2: accounts of people whom another source knows. */
static const char version_three[] =
	"BEGIN IMMEDIATE;"
	"ALTER TABLE account ADD COLUMN source TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE domain ADD COLUMN shadow INTEGER NOT NULL DEFAULT 0;"
	"PRAGMA user_version = 3;"
	"COMMIT;";

/* steps[n] leads from version n to n + 1. */
static const char *const steps[DIRECTORY_VERSION] = { [1] = version_two, [2] = version_three };

/* An account that logs in by a hash that no verifier was made beside; and one whose hash is no verifier itself. */
#define SPEAKS "enabled=1 AND source='' AND hash<>'!'"
#define MUTE_OF_SHA256 \
	"enabled=1 AND source='' AND scram_iterations=0 AND hash<>'!' AND substr(hash, 1, 15)<>'{SCRAM-SHA-256}'"

/* What came to the format later and harms nobody who does not know it.  A new password, however it
   came, forgets the plain one that was kept beside the old. */
static const char additions[] =
	"CREATE TABLE IF NOT EXISTS plain(account INTEGER PRIMARY KEY, secret BLOB NOT NULL);"
	/* Whom no SCRAM can be checked for; mostly there is nobody. */
	"DROP INDEX IF EXISTS account_mute;"
	"CREATE INDEX IF NOT EXISTS account_mute_sha256 ON account(id) WHERE " MUTE_OF_SHA256 ";"
	/* Accounts that are operating-system users. */
	"CREATE TABLE IF NOT EXISTS system_user(account INTEGER PRIMARY KEY, uid INTEGER NOT NULL);"
	"CREATE TRIGGER IF NOT EXISTS system_user_gone AFTER DELETE ON account"
	" BEGIN DELETE FROM system_user WHERE account=old.id; END;"
	"CREATE TRIGGER IF NOT EXISTS plain_old AFTER UPDATE OF hash ON account"
	" BEGIN DELETE FROM plain WHERE account=old.id; END;"
	"CREATE TRIGGER IF NOT EXISTS plain_gone AFTER DELETE ON account"
	" BEGIN DELETE FROM plain WHERE account=old.id; END;"
	"CREATE TABLE IF NOT EXISTS scram_sha1(account INTEGER PRIMARY KEY, verifier TEXT NOT NULL);"
	"CREATE TRIGGER IF NOT EXISTS scram_sha1_old AFTER UPDATE OF hash ON account"
	" BEGIN DELETE FROM scram_sha1 WHERE account=old.id; END;"
	"CREATE TRIGGER IF NOT EXISTS scram_sha1_gone AFTER DELETE ON account"
	" BEGIN DELETE FROM scram_sha1 WHERE account=old.id; END;"
	/* Which limits are there because a back end of credentials said so, and go when it does not any more. */
	"CREATE TABLE IF NOT EXISTS said_limits(account INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, messages INTEGER NOT NULL);"
	"CREATE TRIGGER IF NOT EXISTS said_limits_gone AFTER DELETE ON account"
	" BEGIN DELETE FROM said_limits WHERE account=old.id; END;"
	/* Who has a password and no verifier of SCRAM-SHA-1; those of an older directory once. */
	"CREATE TABLE IF NOT EXISTS lacks_sha1(account INTEGER PRIMARY KEY);"
	"INSERT OR IGNORE INTO lacks_sha1 SELECT id FROM account WHERE hash<>'!' AND id NOT IN (SELECT account FROM scram_sha1)"
	" AND NOT EXISTS(SELECT 1 FROM sqlite_master WHERE name='lacks_sha1_new');"
	"CREATE TRIGGER IF NOT EXISTS lacks_sha1_set AFTER UPDATE OF hash ON account WHEN new.hash<>'!'"
	" BEGIN INSERT OR IGNORE INTO lacks_sha1 VALUES(new.id); END;"
	"CREATE TRIGGER IF NOT EXISTS lacks_sha1_put AFTER INSERT ON scram_sha1"
	" BEGIN DELETE FROM lacks_sha1 WHERE account=new.account; END;"
	"CREATE TRIGGER IF NOT EXISTS lacks_sha1_gone AFTER DELETE ON account"
	" BEGIN DELETE FROM lacks_sha1 WHERE account=old.id; END;"
	"CREATE TRIGGER IF NOT EXISTS lacks_sha1_new AFTER INSERT ON account WHEN new.hash<>'!'"
	" BEGIN INSERT OR IGNORE INTO lacks_sha1 VALUES(new.id); END;"
	"CREATE TABLE IF NOT EXISTS one_time(account INTEGER PRIMARY KEY, algorithm TEXT NOT NULL,"
	" seed TEXT NOT NULL, sequence INTEGER NOT NULL, last BLOB NOT NULL);"
	"CREATE TRIGGER IF NOT EXISTS one_time_gone AFTER DELETE ON account"
	" BEGIN DELETE FROM one_time WHERE account=old.id; END;"
	/* To whom the mailboxes of virtual users belong, and which account's do. */
	"CREATE TABLE IF NOT EXISTS owner(number INTEGER PRIMARY KEY, uid TEXT NOT NULL, gid TEXT NOT NULL, UNIQUE(uid, gid));"
	"CREATE TABLE IF NOT EXISTS owned(place INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL UNIQUE,"
	" owner INTEGER NOT NULL);"
	"CREATE TRIGGER IF NOT EXISTS owned_gone AFTER DELETE ON account"
	" BEGIN DELETE FROM owned WHERE account=old.id; END;"
	/* What protects an account goes by the id its mail is kept under (protection.c). */
	"CREATE TRIGGER IF NOT EXISTS owned_unprotected BEFORE DELETE ON owned BEGIN"
	" DELETE FROM protection WHERE account=((2147352576+old.owner)<<32|old.place);"
	" DELETE FROM app_password WHERE account=((2147352576+old.owner)<<32|old.place);"
	" DELETE FROM totp WHERE account=((2147352576+old.owner)<<32|old.place);"
	" DELETE FROM recovery WHERE account=((2147352576+old.owner)<<32|old.place); END;"
	/* What all accounts of a domain may hold together, and what each was last said to hold (total.c). */
	"CREATE TABLE IF NOT EXISTS total_limit(domain TEXT PRIMARY KEY, bytes INTEGER NOT NULL, messages INTEGER NOT NULL,"
	" warned INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS total_share(account INTEGER PRIMARY KEY, domain TEXT NOT NULL, bytes INTEGER NOT NULL,"
	" messages INTEGER NOT NULL);"
	/* Who comes later under the same address is somebody else. */
	"CREATE TABLE IF NOT EXISTS gone_name(id INTEGER PRIMARY KEY, address TEXT NOT NULL);"
	"CREATE TRIGGER IF NOT EXISTS name_gone AFTER DELETE ON account BEGIN"
	" INSERT OR REPLACE INTO gone_name VALUES(old.id, old.local||'@'||old.domain);"
	" DELETE FROM member WHERE address=old.local||'@'||old.domain; END;";

/* What is said of operating-system users themselves: it holds for a name and a uid together (system-users.c). */
static const char system_additions[] =
	"CREATE TABLE IF NOT EXISTS system_account(uid INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, made INTEGER NOT NULL,"
	" enabled INTEGER NOT NULL DEFAULT 1, gone INTEGER NOT NULL DEFAULT 0,"
	" quota_bytes INTEGER NOT NULL DEFAULT -1, quota_messages INTEGER NOT NULL DEFAULT -1);"
	/* An account that is bound to the same user has the same mail, and keeps what protects it. */
	"CREATE TRIGGER IF NOT EXISTS system_account_gone AFTER DELETE ON system_account"
	" WHEN NOT EXISTS(SELECT 1 FROM system_user WHERE uid=old.uid) BEGIN"
	" DELETE FROM protection WHERE account=(9223090561878065152|old.uid);"
	" DELETE FROM app_password WHERE account=(9223090561878065152|old.uid);"
	" DELETE FROM totp WHERE account=(9223090561878065152|old.uid);"
	" DELETE FROM recovery WHERE account=(9223090561878065152|old.uid); END;"
	/* Of one who has another uid now; the keys of passwords are made with the old one.  An account that is bound to that keeps what it
	   has.  No OR REPLACE: the OR IGNORE of the statement that comes here (SYSTEM_IS) would hold for these, too. */
	"DROP TRIGGER IF EXISTS system_account_moved;"
	"CREATE TRIGGER IF NOT EXISTS system_account_has_moved AFTER UPDATE OF uid ON system_account WHEN new.uid<>old.uid BEGIN"
	" DELETE FROM protection WHERE account=(9223090561878065152|new.uid)"
	" AND EXISTS(SELECT 1 FROM protection WHERE account=(9223090561878065152|old.uid));"
	" DELETE FROM totp WHERE account=(9223090561878065152|new.uid)"
	" AND EXISTS(SELECT 1 FROM totp WHERE account=(9223090561878065152|old.uid));"
	" INSERT INTO protection(account, suspended, until, reason, networks, protocols)"
	" SELECT (9223090561878065152|new.uid), suspended, until, reason, networks, protocols"
	" FROM protection WHERE account=(9223090561878065152|old.uid);"
	" INSERT INTO totp(account, secret, on_since, step, wrong, wrong_at)"
	" SELECT (9223090561878065152|new.uid), secret, on_since, step, wrong, wrong_at"
	" FROM totp WHERE account=(9223090561878065152|old.uid);"
	" DELETE FROM protection WHERE account=(9223090561878065152|old.uid)"
	" AND NOT EXISTS(SELECT 1 FROM system_user WHERE uid=old.uid);"
	" DELETE FROM totp WHERE account=(9223090561878065152|old.uid)"
	" AND NOT EXISTS(SELECT 1 FROM system_user WHERE uid=old.uid);"
	" DELETE FROM app_password WHERE account=(9223090561878065152|old.uid)"
	" AND NOT EXISTS(SELECT 1 FROM system_user WHERE uid=old.uid);"
	" DELETE FROM recovery WHERE account=(9223090561878065152|old.uid)"
	" AND NOT EXISTS(SELECT 1 FROM system_user WHERE uid=old.uid); END;";

/* Of one whose files belong to a uid, where its mail is kept (DIRECTORY_OWNER_DOMAIN + number << 32); else its own. */
#define LIVES \
	"coalesce((SELECT (2147352576+o.owner)<<32|o.place FROM owned o WHERE o.account=account.id), id)"

/* Whose mail it is: an account that is bound to a user has that user's id (DIRECTORY_SYSTEM_DOMAIN << 32). */
#define WHOSE                                                                                             \
	"coalesce((SELECT 9223090561878065152|uid FROM system_user u WHERE u.account=account.id), " LIVES \
	")"

/* Of an account by its name, its own id. */
#define OWN "(SELECT id FROM account WHERE local=?1 AND domain=?2)"

/* Every question and change there is; inside.h names the rows. */
/* clang-format off */
static const char *const query_text[DIRECTORY_QUERIES] = {
	[BEGIN]            = "SAVEPOINT change",
	[COMMIT]           = "RELEASE change",
	[ROLLBACK]         = "ROLLBACK TO change",
	[DOMAIN_HAS]       = "SELECT catch_all FROM domain WHERE name=?1 AND shadow=0",
	[DOMAIN_ADD]       = "INSERT INTO domain(name, made, number)"
	                     " VALUES(?1, ?2, (SELECT coalesce(max(number)+1, 0) FROM domain))"
	                     " ON CONFLICT(name) DO UPDATE SET shadow=0, made=excluded.made WHERE shadow=1",
	[DOMAIN_SHADOW]    = "INSERT OR IGNORE INTO domain(name, made, number, shadow)"
	                     " VALUES(?1, ?2, (SELECT coalesce(max(number)+1, 0) FROM domain), 1)",
	[DOMAIN_DELETE]    = "DELETE FROM domain WHERE name=?1",
	[DOMAIN_CATCH_ALL] = "UPDATE domain SET catch_all=?2 WHERE name=?1",
	[DOMAIN_EACH]      = "SELECT name, catch_all, (SELECT count(*) FROM account a WHERE a.domain=d.name),"
	                     " (SELECT count(DISTINCT local) FROM alias l WHERE l.domain=d.name), made"
	                     " FROM domain d WHERE shadow=0 AND (?1='' OR name=?1) ORDER BY name",
	[DOMAIN_USED]      = "SELECT EXISTS(SELECT 1 FROM account WHERE domain=?1) OR EXISTS(SELECT 1 FROM alias WHERE domain=?1)",
	[ACCOUNT_FIND]     = "SELECT id FROM account WHERE domain=?2 AND local=?1",
	[ACCOUNT_LIVES]    = "SELECT " LIVES " FROM account WHERE domain=?2 AND local=?1",
	[OWNER_ADD]        = "INSERT OR IGNORE INTO owner(uid, gid) VALUES(?1, ?2)",
	[OWNER_FIND]       = "SELECT number FROM owner WHERE uid=?1 AND gid=?2",
	[OWNER_GET]        = "SELECT uid, gid FROM owner WHERE number=?1",
	[OWNER_EACH]       = "SELECT number, uid, gid FROM owner WHERE number>=?1 ORDER BY number",
	[OWNED_PUT]        = "INSERT INTO owned(account, owner) SELECT id, ?3 FROM account WHERE local=?1 AND domain=?2",
	[OWNED_ASIDE]      = "UPDATE owned SET account=-account WHERE account=" OWN,
	[OWNED_BOUNDS]     = "UPDATE protection SET account=?2 WHERE account=?1",
	[OWNED_TOTP]       = "UPDATE totp SET account=?2 WHERE account=?1",
	[OWNED_DROP]       = "DELETE FROM owned WHERE account=-" OWN,
	[ACCOUNT_WHOSE]    = "SELECT " WHOSE ", source FROM account WHERE domain=?2 AND local=?1",
	/* For the image: all names behind a domain (?1) and a local part in it (?2). */
	[DOMAIN_FROM]      = "SELECT catch_all, NULL, name, '' FROM domain WHERE shadow=0 AND name>?1 ORDER BY name",
	[ACCOUNT_FROM]     = "SELECT " WHOSE ", source, domain, local FROM account WHERE (domain, local)>(?1, ?2)"
	                     " ORDER BY domain, local",
	[ALIAS_FROM]       = "SELECT target, NULL, domain, local FROM alias WHERE (domain, local)>(?1, ?2)"
	                     " ORDER BY domain, local, target",
	[ACCOUNT_FIRST_OF] = "SELECT " WHOSE ", local||'@'||domain FROM account WHERE domain=?1 ORDER BY id LIMIT 1",
	[ACCOUNT_FIRST]    = "SELECT " WHOSE ", local||'@'||domain FROM account ORDER BY id LIMIT 1",
	[ACCOUNT_ADD]      = "INSERT OR IGNORE INTO account(id, local, domain, hash, scram_iterations, scram_salt, scram_stored,"
	                     " scram_server, made) VALUES((SELECT 1+max(number<<32,"
	                     " coalesce((SELECT max(id) FROM account WHERE id BETWEEN number<<32 AND (number<<32)+4294967295), 0),"
	                     " coalesce((SELECT max(id) FROM gone WHERE id BETWEEN number<<32 AND (number<<32)+4294967295), 0))"
	                     " FROM domain WHERE name=?2), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[LIMITS_ACCOUNT]   = "UPDATE account SET quota_bytes=coalesce(?3, quota_bytes), quota_messages=coalesce(?4, quota_messages),"
	                     " mail_location=coalesce(?5, mail_location) WHERE local=?1 AND domain=?2",
	[LIMITS_DOMAIN]    = "UPDATE domain SET quota_bytes=coalesce(?3, quota_bytes), quota_messages=coalesce(?4, quota_messages),"
	                     " mail_location=coalesce(?5, mail_location) WHERE name=?1",
	[LIMITS_EACH]      = "SELECT 0, name, quota_bytes, quota_messages, mail_location FROM domain"
	                     " WHERE (quota_bytes>=0 OR quota_messages>=0 OR mail_location<>'' OR ?1<>'') AND (?1='' OR name=?1)"
	                     " UNION ALL SELECT " WHOSE ", local||'@'||domain, quota_bytes, quota_messages, mail_location FROM account"
	                     " WHERE (quota_bytes>=0 OR quota_messages>=0 OR mail_location<>'' OR ?1<>'') AND (?1='' OR local||'@'||domain=?1)",
	[LIMITS_ONE]       = "SELECT " WHOSE ", local||'@'||domain, quota_bytes, quota_messages, mail_location FROM account"
	                     " WHERE local=?1 AND domain=?2",
	[LIMIT_OF]         = "SELECT CASE WHEN a.quota_bytes>=0 THEN a.quota_bytes ELSE coalesce(d.quota_bytes, -1) END FROM account a"
	                     " LEFT JOIN domain d ON d.name=a.domain WHERE a.local=?1 AND a.domain=?2",
	[GROUP_MAKE]       = "UPDATE account SET kind=1, enabled=0 WHERE local=?1 AND domain=?2",
	[GROUP_FIND]       = "SELECT id FROM account WHERE local=?1 AND domain=?2 AND kind=1",
	[MEMBER_ADD]       = "INSERT OR IGNORE INTO member(account, address) VALUES(?1, ?2)",
	[MEMBER_DELETE]    = "DELETE FROM member WHERE account=?1 AND address=?2",
	[GROUP_EACH]       = "SELECT (SELECT " LIVES " FROM account WHERE id=a.id), a.local||'@'||a.domain, coalesce(m.address, '') FROM account a"
	                     " LEFT JOIN member m ON m.account=a.id"
	                     " WHERE a.kind=1 AND (?1='' OR a.local||'@'||a.domain=?1) ORDER BY a.domain, a.local, m.address",
	[ACCOUNT_DELETE]   = "DELETE FROM account WHERE local=?1 AND domain=?2",
	[ACCOUNT_CREDENTIAL] = "SELECT " WHOSE ", local||'@'||domain, hash, enabled, scram_iterations, scram_salt, scram_stored,"
	                     " scram_server, source FROM account WHERE local=?1 AND domain=?2",
	[ACCOUNT_SET]      = "UPDATE account SET hash=?3, scram_iterations=?4, scram_salt=?5, scram_stored=?6, scram_server=?7, source=''"
	                     " WHERE local=?1 AND domain=?2",
	[ACCOUNT_SOURCE]   = "UPDATE account SET source=?3 WHERE local=?1 AND domain=?2",
	[ACCOUNT_ENABLE]   = "UPDATE account SET enabled=?3 WHERE local=?1 AND domain=?2",
	[ACCOUNT_EACH]     = "SELECT " WHOSE ", local||'@'||domain, enabled, scram_iterations>0, made FROM account"
	                     " WHERE (?1='' OR (local=?1 AND domain=?2)) AND (?2='' OR domain=?2) ORDER BY domain, local",
	[SYSTEM_PUT]       = "INSERT OR IGNORE INTO system_account(name, uid, made) VALUES(?1, ?2, ?3)",
	[SYSTEM_FIND]      = "SELECT uid, name, made, enabled, gone, quota_bytes, quota_messages FROM system_account WHERE name=?1",
	[SYSTEM_OF]        = "SELECT uid, name, made, enabled, gone, quota_bytes, quota_messages FROM system_account WHERE uid=?1",
	[SYSTEM_EACH]      = "SELECT uid, name, made, enabled, gone, quota_bytes, quota_messages FROM system_account ORDER BY name",
	[SYSTEM_DELETE]    = "DELETE FROM system_account WHERE name=?1",
	[SYSTEM_ENABLE]    = "UPDATE system_account SET enabled=?2 WHERE name=?1",
	[SYSTEM_LIMITS]    = "UPDATE system_account SET quota_bytes=coalesce(?2, quota_bytes), quota_messages=coalesce(?3, quota_messages)"
	                     " WHERE name=?1",
	[SYSTEM_GONE]      = "UPDATE system_account SET gone=?2 WHERE uid=?1",
	[SYSTEM_IS]        = "UPDATE OR IGNORE system_account SET name=?2, uid=?3, gone=0 WHERE name=?1",
	[PLAIN_GET]        = "SELECT secret FROM plain WHERE account=(SELECT id FROM account WHERE local=?1 AND domain=?2)",
	[PLAIN_PUT]        = "INSERT OR REPLACE INTO plain SELECT id, ?3 FROM account WHERE local=?1 AND domain=?2",
	[BIND_PUT]         = "INSERT OR REPLACE INTO system_user SELECT id, ?3 FROM account WHERE local=?1 AND domain=?2 AND kind=0",
	[BIND_DELETE]      = "DELETE FROM system_user WHERE account=(SELECT id FROM account WHERE local=?1 AND domain=?2)",
	[MUTE_SHA256]      = "SELECT EXISTS(SELECT 1 FROM account INDEXED BY account_mute_sha256 WHERE " MUTE_OF_SHA256 ")",
	[MUTE_SHA1]        = "SELECT EXISTS(SELECT 1 FROM lacks_sha1 CROSS JOIN account ON id=account"
	                     " WHERE " SPEAKS " AND substr(hash, 1, 13)<>'{SCRAM-SHA-1}')",
	[SAID_GET]         = "SELECT bytes, messages FROM said_limits WHERE account=" OWN,
	[SAID_PUT]         = "INSERT OR REPLACE INTO said_limits SELECT id, ?3, ?4 FROM account WHERE local=?1 AND domain=?2",
	[SHA1_GET]         = "SELECT verifier FROM scram_sha1 WHERE account=" OWN,
	[SHA1_PUT]         = "INSERT OR REPLACE INTO scram_sha1 SELECT id, ?3 FROM account WHERE local=?1 AND domain=?2",
	[ONE_TIME_GET]     = "SELECT algorithm, seed, sequence, last FROM one_time WHERE account=" OWN,
	[ONE_TIME_PUT]     = "INSERT OR REPLACE INTO one_time SELECT id, ?3, ?4, ?5, ?6 FROM account WHERE local=?1 AND domain=?2",
	[ONE_TIME_DELETE]  = "DELETE FROM one_time WHERE account=" OWN,
	[ONE_TIME_USE]     = "UPDATE one_time SET algorithm=?3, seed=?4, sequence=?5, last=?6"
	                     " WHERE account=" OWN " AND sequence=?7 AND last=?8",
	[ALIAS_FIND]       = "SELECT target FROM alias WHERE local=?1 AND domain=?2 ORDER BY target",
	[ALIAS_ADD]        = "INSERT OR IGNORE INTO alias(local, domain, target) VALUES(?1, ?2, ?3)",
	[ALIAS_DELETE]     = "DELETE FROM alias WHERE local=?1 AND domain=?2 AND target=?3",
	[ALIAS_DELETE_ALL] = "DELETE FROM alias WHERE local=?1 AND domain=?2",
	[ALIAS_EACH]       = "SELECT local||'@'||domain, target FROM alias"
	                     " WHERE (?1='' OR (local=?1 AND domain=?2)) AND (?2='' OR domain=?2) ORDER BY domain, local, target",
	[TOTAL_EACH]       = "SELECT l.domain, l.bytes, l.messages, l.warned, coalesce(sum(s.bytes), 0), coalesce(sum(s.messages), 0)"
	                     " FROM total_limit l LEFT JOIN total_share s ON s.domain=l.domain GROUP BY l.domain",
	[TOTAL_PUT]        = "INSERT OR REPLACE INTO total_limit(domain, bytes, messages, warned) VALUES(?1, ?2, ?3, ?4)",
	[TOTAL_DROP]       = "DELETE FROM total_limit WHERE domain=?1",
	[TOTAL_NEXT]       = "SELECT " WHOSE ", local FROM account WHERE domain=?1 AND local>?2 ORDER BY local LIMIT 1",
	[SHARE_GET]        = "SELECT domain, bytes, messages FROM total_share WHERE account=?1",
	[SHARE_PUT]        = "INSERT OR REPLACE INTO total_share(account, domain, bytes, messages) VALUES(?1, ?2, ?3, ?4)",
	[SHARE_DROP]       = "DELETE FROM total_share WHERE account=?1",
	[SHARE_DROP_ALL]   = "DELETE FROM total_share WHERE domain=?1",
	[DOMAIN_THERE]     = "SELECT 1 FROM domain WHERE name=?1",
	[DOMAIN_OF_ACCOUNT] = "SELECT domain FROM account WHERE id=?1",
	[DOMAIN_OF_PLACE]  = "SELECT a.domain FROM owned o JOIN account a ON a.id=o.account WHERE o.place=?1",
	[DOMAIN_OF_USER]   = "SELECT a.domain FROM system_user u JOIN account a ON a.id=u.account WHERE u.uid=?1 ORDER BY a.id LIMIT 1",
	[GONE_ADD]         = "INSERT OR IGNORE INTO gone(id, at) VALUES(?1, ?2)",
	[GONE_EACH]        = "SELECT id, coalesce((SELECT address FROM gone_name n WHERE n.id=gone.id), ''), at FROM gone ORDER BY id",
	[SECRET_GET]       = "SELECT value FROM secret WHERE name=?1",
	[SECRET_ADD]       = "INSERT OR IGNORE INTO secret(name, value) VALUES(?1, ?2)",
};
/* clang-format on */

/* ---- the database -------------------------------------------------------- */

static void
complain(sqlite3 *db, const char *path, struct buffer *errors)
{
	buffer_printf(errors, "%s: cannot open the directory: %s\n", path,
	              db != NULL ? sqlite3_errmsg(db) : "out of memory");
}

/* One value of a pragma, as text in `out`. */
static bool
pragma(sqlite3 *db, const char *text, char *out, size_t room)
{
	sqlite3_stmt *s = NULL;
	bool          got = sqlite3_prepare_v2(db, text, -1, &s, NULL) == SQLITE_OK &&
	           sqlite3_step(s) == SQLITE_ROW;

	if (got)
		(void)snprintf(out, room, "%s", (const char *)sqlite3_column_text(s, 0));
	for (char *c = out; got && *c != '\0'; c++)
		if (*c == '\n')
			*c = ' ';
	return sqlite3_finalize(s) == SQLITE_OK && got;
}

/* Damage that is found now costs a warning; found later it would cost somebody's mail. */
static bool
format_right(sqlite3 *db, const char *path, struct buffer *errors)
{
	char version[24], sound[200];
	long found;

	if (!pragma(db, "PRAGMA user_version", version, sizeof version)) {
		complain(db, path, errors);
		return false;
	}
	if (strcmp(version, "0") == 0 && sqlite3_exec(db, schema, NULL, NULL, NULL) != SQLITE_OK) {
		complain(db, path, errors);
		return false;
	}
	found = strtol(version, NULL, 10);
	for (long from = found == 0 ? 1 : found; from < DIRECTORY_VERSION; from++)
		if (sqlite3_exec(db, steps[from], NULL, NULL, NULL) != SQLITE_OK) {
			complain(db, path, errors);
			return false;
		}
	if (found > DIRECTORY_VERSION) {
		buffer_printf(errors, "%s has format version %s; this program knows version %d\n",
		              path, version, DIRECTORY_VERSION);
		return false;
	}
	if (sqlite3_exec(db, additions, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(db, system_additions, NULL, NULL, NULL) != SQLITE_OK ||
	    !protection_open(db) || !pragma(db, "PRAGMA quick_check(1)", sound, sizeof sound)) {
		complain(db, path, errors);
		return false;
	}
	if (strcmp(sound, "ok") == 0)
		return true;
	buffer_printf(errors, "%s is damaged: %s; restore it from a backup\n", path, sound);
	return false;
}

static void
fold(sqlite3_context *to, int count, sqlite3_value **value)
{
	struct arena *a = arena_open(NULL);
	struct bytes  text = { (const char *)sqlite3_value_text(value[0]),
		               (size_t)sqlite3_value_bytes(value[0]) };

	(void)count;
	text = casefold(a, text);
	sqlite3_result_text(to, text.len > 0 ? text.at : "", (int)text.len, SQLITE_TRANSIENT);
	arena_close(&a);
}

/* An older directory kept all but the letters of ASCII as they were typed.  Two accounts that differ in case alone stay two: the
   capital one has its number behind the name now. */
static bool
fold_names(sqlite3 *db)
{
	static const char text[] =
		"SAVEPOINT folding;"
		"UPDATE OR IGNORE account SET local=casefold(local) WHERE local<>casefold(local);"
		"UPDATE OR IGNORE account SET local=casefold(local)||'-'||id WHERE local<>casefold(local);"
		"UPDATE OR IGNORE alias SET local=casefold(local) WHERE local<>casefold(local);"
		"DELETE FROM alias WHERE local<>casefold(local);"
		"UPDATE OR IGNORE member SET address=casefold(address) WHERE address<>casefold(address);"
		"INSERT INTO secret(name, value) VALUES('folded', x'01');"
		"RELEASE folding;";
	sqlite3_stmt *s = NULL;
	bool was = sqlite3_prepare_v2(db, "SELECT 1 FROM secret WHERE name='folded'", -1, &s,
	                              NULL) == SQLITE_OK &&
	           sqlite3_step(s) == SQLITE_ROW;

	sqlite3_finalize(s);
	return was ||
	       (sqlite3_create_function(db, "casefold", 1,
	                                SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY,
	                                NULL, fold, NULL, NULL) == SQLITE_OK &&
	        sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK);
}

struct directory *
directory_open(const char *path, struct buffer *errors)
{
	struct directory *d = memory_take(sizeof *d);

	/* One connection, this process alone: no shared memory, no other writer. */
	if (sqlite3_open_v2(path, &d->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
	            SQLITE_OK ||
	    sqlite3_exec(
		    d->db,
		    "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
		    "PRAGMA foreign_keys=ON; PRAGMA cache_size=-4096; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;"
		    "PRAGMA cell_size_check=ON;",
		    NULL, NULL, NULL) != SQLITE_OK) {
		complain(d->db, path, errors);
		goto bad;
	}
	if (!format_right(d->db, path, errors))
		goto bad;
	if (!fold_names(d->db)) {
		complain(d->db, path, errors);
		goto bad;
	}
	for (int q = 0; q < DIRECTORY_QUERIES; q++)
		if (sqlite3_prepare_v3(d->db, query_text[q], -1, SQLITE_PREPARE_PERSISTENT,
		                       &d->ready[q], NULL) != SQLITE_OK) {
			complain(d->db, path, errors);
			goto bad;
		}
	if ((d->image = image_open(d)) == NULL) {
		complain(d->db, path, errors);
		goto bad;
	}
	return d;
bad:
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
	for (int q = 0; q < DIRECTORY_QUERIES; q++)
		sqlite3_finalize(d->ready[q]);
	protection_close(d);
	sqlite3_close(d->db);
	image_close(&d->image);
	memory_free(d);
}

bool
directory_image_wants(const struct directory *d)
{
	return image_wants(d->image);
}

void
directory_image_turn(struct directory *d)
{
	image_turn(d->image);
}

/* NULL would be SQL's NULL: an empty view is the empty text. */
void
directory_bind(sqlite3_stmt *s, int at, struct bytes text)
{
	sqlite3_bind_text(s, at, text.len ? text.at : "", (int)text.len, SQLITE_STATIC);
}

sqlite3_stmt *
directory_query(struct directory *d, enum directory_query q, struct bytes first,
                struct bytes second)
{
	sqlite3_stmt *s = d->ready[q];

	sqlite3_reset(s);
	directory_bind(s, 1, first);
	if (sqlite3_bind_parameter_count(s) > 1)
		directory_bind(s, 2, second);
	return s;
}

enum directory_outcome
directory_row(struct directory *d, sqlite3_stmt *s)
{
	int got = sqlite3_step(s);

	if (got == SQLITE_ROW)
		return DIRECTORY_OK;
	if (got == SQLITE_DONE)
		return DIRECTORY_NONE;
	fault("directory: %s (%s)", sqlite3_errmsg(d->db), sqlite3_sql(s));
	return DIRECTORY_LATER;
}

enum directory_outcome
directory_change(struct directory *d, sqlite3_stmt *s, enum directory_outcome unchanged)
{
	enum directory_outcome o = directory_row(d, s);

	sqlite3_reset(s);
	if (o == DIRECTORY_LATER)
		return o;
	return sqlite3_changes(d->db) > 0 ? DIRECTORY_OK : unchanged;
}

bool
directory_simply(struct directory *d, enum directory_query q)
{
	sqlite3_stmt *s = d->ready[q];
	int           did = sqlite3_step(s);

	sqlite3_reset(s);
	if (did == SQLITE_DONE)
		return true;
	fault("directory: %s (%s)", sqlite3_errmsg(d->db), query_text[q]);
	return false;
}

enum directory_outcome
directory_change_end(struct directory *d, enum directory_outcome o)
{
	if (o == DIRECTORY_OK && directory_simply(d, COMMIT))
		return DIRECTORY_OK;
	/* A change may be one of several (directory_changes_begin()): the others stay. */
	if (!sqlite3_get_autocommit(d->db)) {
		(void)directory_simply(d, ROLLBACK);
		(void)directory_simply(d, COMMIT);
	}
	return o == DIRECTORY_OK ? DIRECTORY_LATER : o;
}

struct bytes
directory_column(sqlite3_stmt *s, int at)
{
	return (struct bytes){ (const char *)sqlite3_column_text(s, at),
		               (size_t)sqlite3_column_bytes(s, at) };
}

static const char *
column_copy(struct arena *a, sqlite3_stmt *s, int at)
{
	return arena_copy(a, directory_column(s, at));
}

/* ---- addresses ------------------------------------------------------------ */

bool
directory_key(struct bytes text, const char *origin, struct arena *a, struct directory_key *out)
{
	struct address address;

	if (bytes_find(text, '\0') >= 0)
		return false;
	if (bytes_find_last(text, '@') < 0) {
		if (origin == NULL || origin[0] == '\0')
			return false;
		text = bytes_of(arena_printf(a, "%.*s@%s", (int)text.len, text.at, origin));
	}
	if (!address_parse(text, a, &address) || address.domain.len == 0)
		return false;
	*out = (struct directory_key){ casefold(a, address.local), address.domain, address.local };
	return true;
}

bool
directory_key_of_stranger(struct bytes text, struct arena *a, struct directory_key *out)
{
	ptrdiff_t    at = bytes_find_last(text, '@');
	struct bytes domain = bytes_cut(text, (size_t)(at + 1), SIZE_MAX);

	if (at <= 0 || bytes_find(text, '\0') >= 0 || !domain_canonical(domain, a, &out->domain) ||
	    !domain_valid(out->domain))
		return false;
	out->typed = bytes_cut(text, 0, (size_t)at);
	out->local = casefold(a, out->typed);
	return true;
}

bool
directory_key_to_keep(struct bytes text, const char *origin, struct arena *a,
                      struct directory_key *out)
{
	struct address address;

	if (!directory_key(text, origin, a, out))
		return false;
	address = (struct address){ out->local, out->domain };
	return !bytes_starts(address_text(a, &address), BYTES("\""));
}

static bool
domain_key(struct bytes name, struct arena *a, struct bytes *out)
{
	return domain_canonical(name, a, out) && domain_valid(*out) &&
	       !bytes_starts(name, BYTES("["));
}

/* One that cannot be a domain is none of them. */
static struct bytes
chosen_domain(struct arena *a, struct bytes only)
{
	struct bytes name;

	(void)domain_canonical(only, a, &name);
	return name;
}

bool
directory_choose(struct arena *a, struct bytes only, struct bytes domain, struct directory_key *k)
{
	*k = (struct directory_key){ 0 };
	(void)domain_canonical(domain, a, &k->domain);
	return only.len == 0 || directory_key(only, NULL, a, k);
}

/* ---- credentials ---------------------------------------------------------- */

enum directory_outcome
directory_credential(struct directory *d, struct bytes user, const char *origin, struct arena *a,
                     struct credential *out)
{
	enum directory_outcome o;
	sqlite3_stmt          *s;
	struct directory_key   k;

	if (!directory_key(user, origin, a, &k))
		return DIRECTORY_NONE;
	s = directory_query(d, ACCOUNT_CREDENTIAL, k.local, k.domain);
	o = directory_row(d, s);
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
			.source = column_copy(a, s, 8),
		};
	sqlite3_reset(s);
	return o;
}

enum directory_outcome
directory_plain(struct directory *d, struct bytes user, const char *origin, struct arena *a,
                struct bytes *out)
{
	enum directory_outcome o;
	sqlite3_stmt          *s;
	struct directory_key   k;

	if (!directory_key(user, origin, a, &k))
		return DIRECTORY_NONE;
	s = directory_query(d, PLAIN_GET, k.local, k.domain);
	o = directory_row(d, s);
	if (o == DIRECTORY_OK)
		*out = arena_keep(a, directory_column(s, 0));
	sqlite3_reset(s);
	return o;
}

enum directory_outcome
directory_secret(struct directory *d, const char *name, unsigned char out[static DIRECTORY_SECRET])
{
	unsigned char          fresh[DIRECTORY_SECRET];
	enum directory_outcome o = DIRECTORY_LATER;
	sqlite3_stmt          *s;

	random_fill(fresh, sizeof fresh);
	s = directory_query(d, SECRET_ADD, bytes_of(name), BYTES(""));
	sqlite3_bind_blob(s, 2, fresh, sizeof fresh, SQLITE_STATIC);
	if (directory_change(d, s, DIRECTORY_OK) != DIRECTORY_OK)
		return DIRECTORY_LATER;
	s = directory_query(d, SECRET_GET, bytes_of(name), BYTES(""));
	if (directory_row(d, s) == DIRECTORY_OK && sqlite3_column_bytes(s, 0) == DIRECTORY_SECRET) {
		memcpy(out, sqlite3_column_blob(s, 0), DIRECTORY_SECRET);
		o = DIRECTORY_OK;
	}
	sqlite3_reset(s);
	return o;
}

/* ---- domains ---------------------------------------------------------------- */

enum directory_outcome
directory_domain_add(struct directory *d, struct bytes name)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct bytes           key;

	if (domain_key(name, a, &key)) {
		sqlite3_stmt *s = directory_query(d, DOMAIN_ADD, key, BYTES(""));
		sqlite3_bind_int64(s, 2, clock_wall());
		o = directory_change(d, s, DIRECTORY_EXISTS);
	}
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_domain_delete(struct directory *d, struct bytes name)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct bytes           key;

	if (domain_key(name, a, &key)) {
		sqlite3_stmt *s = directory_query(d, DOMAIN_USED, key, BYTES(""));

		o = directory_row(d, s);
		if (o == DIRECTORY_OK && sqlite3_column_int(s, 0) != 0)
			o = DIRECTORY_IN_USE;
		sqlite3_reset(s);
		if (o == DIRECTORY_OK)
			o = directory_change(d, directory_query(d, DOMAIN_DELETE, key, BYTES("")),
			                     DIRECTORY_NONE);
	}
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_domain_catch_all(struct directory *d, struct bytes name, struct bytes target)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct address         address;
	struct bytes           key;

	if (domain_key(name, a, &key) && (target.len == 0 || address_parse(target, a, &address)))
		o = directory_change(d,
		                     directory_query(d, DOMAIN_CATCH_ALL, key,
		                                     target.len == 0 ? target
		                                                     : address_text(a, &address)),
		                     DIRECTORY_NONE);
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_domain_each(struct directory *d, struct bytes                      only,
                      void (*each)(void *, const struct domain_row *), void *ctx)
{
	struct arena *a = arena_open(NULL);
	sqlite3_stmt *s = directory_query(d, DOMAIN_EACH, chosen_domain(a, only), BYTES(""));
	enum directory_outcome o, found = DIRECTORY_NONE;

	while ((o = directory_row(d, s)) == DIRECTORY_OK) {
		struct domain_row row = {
			(const char *)sqlite3_column_text(s, 0),
			(const char *)sqlite3_column_text(s, 1),
			(uint64_t)sqlite3_column_int64(s, 2),
			(uint64_t)sqlite3_column_int64(s, 3),
			sqlite3_column_int64(s, 4),
		};
		each(ctx, &row);
		found = DIRECTORY_OK;
	}
	sqlite3_reset(s);
	arena_close(&a);
	return o == DIRECTORY_LATER ? o : found;
}
