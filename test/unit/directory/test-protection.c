/* App passwords, second factors, suspension and bans, as the directory keeps them. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/journal.h"
#include "directory/protection.h"
#include "directory/totp.h"

static char home[64], path[128];

static struct directory *
opened(void)
{
	struct buffer     errors = { 0 };
	struct directory *d = directory_open(path, &errors);

	SAME("no complaint", buffer_bytes(&errors), BYTES(""));
	buffer_free(&errors);
	return d;
}

static uint64_t
begin(struct directory **d)
{
	static const struct credential any = {
		.hash = "$argon2id$x", .scram_salt = "", .scram_stored = "", .scram_server = ""
	};
	uint64_t id = 0;

	journal_open(JOURNAL_FILE, -1, false, "host");
	(void)snprintf(home, sizeof home, "/tmp/unit-protection-XXXXXX");
	HOLDS("a directory of our own", mkdtemp(home) != NULL);
	(void)snprintf(path, sizeof path, "%s/directory.db", home);
	*d = opened();
	HOLDS("an account",
	      directory_account_add(*d, BYTES("eva@example.com"), &any, true, &id) == DIRECTORY_OK);
	return id;
}

static void
end(struct directory **d)
{
	static const char *const names[] = { "", "-wal", "-shm" };
	char                     name[160];

	directory_close(d);
	for (size_t i = 0; i < COUNT(names); i++) {
		(void)snprintf(name, sizeof name, "%s%s", path, names[i]);
		(void)unlink(name);
	}
	(void)rmdir(home);
}

/* What is said of an operating-system user holds for a name and a uid together. */
static void
test_system_users(void **state)
{
	struct directory *d;
	struct arena     *a = arena_open(NULL);
	const uint64_t joe = DIRECTORY_SYSTEM_ACCOUNT(1000), moved = DIRECTORY_SYSTEM_ACCOUNT(1001);
	const int64_t  most = 5;
	const unsigned imap = PROTOCOL_IMAP;
	char           one[APP_PASSWORD_TEXT];
	struct app_password got;
	struct protection   p;
	struct system_row   row;
	(void)state;

	(void)begin(&d);
	HOLDS("nobody", directory_system_find(d, BYTES("joe"), a, &row) == DIRECTORY_NONE);
	HOLDS("made", directory_system_put(d, "joe", 1000) == DIRECTORY_OK);
	HOLDS("and found ever after", directory_system_put(d, "joe", 1000) == DIRECTORY_OK);
	HOLDS("another uid", directory_system_put(d, "joe", 1001) == DIRECTORY_EXISTS);
	HOLDS("another name", directory_system_put(d, "ann", 1000) == DIRECTORY_EXISTS);
	HOLDS("limits", directory_system_limits(d, "joe", NULL, &most) == DIRECTORY_OK);
	HOLDS("disabled", directory_system_enable(d, "joe", false) == DIRECTORY_OK);
	HOLDS("by uid", directory_system_of(d, 1000, a, &row) == DIRECTORY_OK);
	SAME("as it was said", bytes_of(row.name), BYTES("joe"));
	HOLDS("all of it", row.bytes == -1 && row.messages == 5 && !row.enabled && row.gone == 0);
	HOLDS("bound", protection_bound(d, joe, NULL, &imap) == DIRECTORY_OK);
	HOLDS("an app password",
	      app_password_add(d, joe, BYTES("phone"), PROTOCOL_ALL, 0, one) == DIRECTORY_OK);

	HOLDS("renamed", directory_system_is(d, "joe", "joseph", 1000) == DIRECTORY_OK);
	HOLDS("with all he has", app_password_find(d, joe, bytes_of(one), a, &got) == DIRECTORY_OK);
	HOLDS("gone", directory_system_is_gone(d, 1000, 77) == DIRECTORY_OK);
	HOLDS("who comes may be another",
	      directory_system_put(d, "joseph", 1000) == DIRECTORY_EXISTS);
	HOLDS("a new uid", directory_system_is(d, "joseph", "joseph", 1001) == DIRECTORY_OK);
	HOLDS("and he is here",
	      directory_system_of(d, 1001, a, &row) == DIRECTORY_OK && row.gone == 0);
	HOLDS("what bounds him goes along", protection_of(d, moved, a, &p) == DIRECTORY_OK &&
	                                            p.protocols == PROTOCOL_IMAP &&
	                                            p.app_passwords == 0);
	HOLDS("and stays with nobody", protection_of(d, joe, a, &p) == DIRECTORY_OK &&
	                                       p.protocols == 0 && p.app_passwords == 0);

	HOLDS("another", directory_system_put(d, "ann", 1000) == DIRECTORY_OK);
	HOLDS("her uid is hers",
	      directory_system_is(d, "joseph", "joseph", 1000) == DIRECTORY_EXISTS);
	HOLDS("and her name", directory_system_is(d, "joseph", "ann", 1001) == DIRECTORY_EXISTS);
	HOLDS("forgotten", directory_system_delete(d, "joseph") == DIRECTORY_OK);
	HOLDS("once", directory_system_delete(d, "joseph") == DIRECTORY_NONE);
	HOLDS("with what bounded him",
	      protection_of(d, moved, a, &p) == DIRECTORY_OK && p.protocols == 0);
	/* An account that is bound to the user has his mail, and keeps what protects it. */
	HOLDS("bound to her",
	      directory_account_bind(d, BYTES("eva@example.com"), 1000) == DIRECTORY_OK);
	HOLDS("and to protocols", protection_bound(d, joe, NULL, &imap) == DIRECTORY_OK);
	HOLDS("she is forgotten", directory_system_delete(d, "ann") == DIRECTORY_OK);
	HOLDS("it is not",
	      protection_of(d, joe, a, &p) == DIRECTORY_OK && p.protocols == PROTOCOL_IMAP);
	/* What keeps him out does so under his new uid, whatever else is said of the two. */
	HOLDS("suspended", directory_system_put(d, "tom", 1000) == DIRECTORY_OK &&
	                           protection_suspend(d, joe, 0, BYTES("bill")) == DIRECTORY_OK);
	HOLDS("something is said of the uid he gets",
	      protection_bound(d, moved, "192.0.2.1", NULL) == DIRECTORY_OK);
	HOLDS("he has it", directory_system_is(d, "tom", "tom", 1001) == DIRECTORY_OK);
	HOLDS("he is kept out",
	      protection_of(d, moved, a, &p) == DIRECTORY_OK && p.suspended != 0);
	SAME("by what was said of him", bytes_of(p.reason), BYTES("bill"));
	HOLDS("and so is the account that is bound to the one he had",
	      protection_of(d, joe, a, &p) == DIRECTORY_OK && p.suspended != 0);
	arena_close(&a);
	end(&d);
}

static void
count_one(void *ctx, const struct app_password *p)
{
	(void)p;
	++*(int *)ctx;
}

static void
test_app_passwords(void **state)
{
	struct directory *d;
	struct arena     *a = arena_open(NULL);
	uint64_t          id = begin(&d);
	char              one[APP_PASSWORD_TEXT], two[APP_PASSWORD_TEXT], plain[APP_PASSWORD_TEXT];
	struct app_password got;
	struct protection   p;
	int                 n = 0;
	(void)state;

	HOLDS("made",
	      app_password_add(d, id, BYTES("phone"), PROTOCOL_IMAP, 0, one) == DIRECTORY_OK);
	HOLDS("readable groups", strlen(one) == 34 && one[4] == '-' && one[29] == '-');
	HOLDS("the name is taken",
	      app_password_add(d, id, BYTES("phone"), PROTOCOL_ALL, 0, two) == DIRECTORY_EXISTS);
	HOLDS("another",
	      app_password_add(d, id, BYTES("laptop"), PROTOCOL_ALL, 99, two) == DIRECTORY_OK);
	HOLDS("not the same", strcmp(one, two) != 0);
	HOLDS("no name", app_password_add(d, id, BYTES(""), 1, 0, plain) == DIRECTORY_BAD);
	HOLDS("a line end in it",
	      app_password_add(d, id, BYTES("a\nb"), 1, 0, plain) == DIRECTORY_BAD);
	HOLDS("found", app_password_find(d, id, bytes_of(one), a, &got) == DIRECTORY_OK);
	SAME("by its name", bytes_of(got.name), BYTES("phone"));
	HOLDS("for what it is", got.protocols == PROTOCOL_IMAP && got.used == 0);
	n = 0;
	for (char *c = one; *c != '\0'; c++)
		if (*c != '-')
			plain[n++] = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
	plain[n] = '\0';
	HOLDS("typed in capitals and without dashes",
	      app_password_find(d, id, bytes_of(plain), a, &got) == DIRECTORY_OK);
	HOLDS("not another's",
	      app_password_find(d, id + 1, bytes_of(one), a, &got) == DIRECTORY_NONE);
	plain[3] = plain[3] == 'A' ? 'B' : 'A';
	HOLDS("one letter wrong",
	      app_password_find(d, id, bytes_of(plain), a, &got) == DIRECTORY_NONE);
	HOLDS("hostile bytes",
	      app_password_find(d, id, BYTES("' OR 1=1 --\0\xff"), a, &got) == DIRECTORY_NONE);
	HOLDS("used",
	      app_password_used(d, got.id, 1700000000, "192.0.2.1", "imap") == DIRECTORY_OK);
	directory_close(&d);
	d = opened();
	HOLDS("after a restart", app_password_find(d, id, bytes_of(one), a, &got) == DIRECTORY_OK);
	HOLDS("with its last use", got.used == 1700000000);
	SAME("and where from", bytes_of(got.used_from), BYTES("192.0.2.1"));
	HOLDS("counted", protection_of(d, id, a, &p) == DIRECTORY_OK && p.app_passwords == 2);
	HOLDS("revoked", app_password_revoke(d, id, BYTES("phone")) == DIRECTORY_OK);
	HOLDS("gone", app_password_find(d, id, bytes_of(one), a, &got) == DIRECTORY_NONE);
	HOLDS("not twice", app_password_revoke(d, id, BYTES("phone")) == DIRECTORY_NONE);
	HOLDS("the account goes",
	      directory_account_delete(d, BYTES("eva@example.com"), &id) == DIRECTORY_OK);
	n = 0;
	HOLDS("and all its own", app_password_each(d, id, count_one, &n) == DIRECTORY_OK && n == 0);
	arena_close(&a);
	end(&d);
}

static struct bytes
code_at(struct bytes secret, int64_t now, char out[static 8])
{
	(void)snprintf(out, 8, "%06u", hotp_code(secret, (uint64_t)(now / 30), TOTP_SHA1, 6));
	return bytes_of(out);
}

static void
test_second_factor(void **state)
{
	struct directory *d;
	struct arena     *a = arena_open(NULL);
	uint64_t          id = begin(&d);
	struct bytes      secret = BYTES("12345678901234567890");
	char              codes[RECOVERY_CODES][RECOVERY_TEXT], code[8];
	struct protection p;
	uint32_t          left;
	int64_t           now = 1700000000;
	(void)state;

	HOLDS("off", second_factor_check(d, id, BYTES("000000"), now, &left) == FACTOR_OFF);
	HOLDS("nothing to confirm",
	      second_factor_confirm(d, id, BYTES("000000"), now, codes) == DIRECTORY_NONE);
	HOLDS("begun", second_factor_begin(d, id, secret) == DIRECTORY_OK);
	HOLDS("a wrong code",
	      second_factor_confirm(d, id, BYTES("12"), now, codes) == DIRECTORY_BAD);
	HOLDS("not asked for yet", protection_of(d, id, a, &p) == DIRECTORY_OK && !p.second_factor);
	HOLDS("the right code",
	      second_factor_confirm(d, id, code_at(secret, now, code), now, codes) == DIRECTORY_OK);
	HOLDS("asked for", protection_of(d, id, a, &p) == DIRECTORY_OK && p.second_factor);
	HOLDS("no new secret over it", second_factor_begin(d, id, secret) == DIRECTORY_EXISTS);
	HOLDS("rfc6238:5.2 the code that confirmed is used up",
	      second_factor_check(d, id, code_at(secret, now, code), now, &left) == FACTOR_WRONG);
	now += 30;
	HOLDS("the next",
	      second_factor_check(d, id, code_at(secret, now, code), now, &left) == FACTOR_RIGHT);
	HOLDS("all recovery codes", left == RECOVERY_CODES);
	HOLDS("not twice", second_factor_check(d, id, bytes_of(code), now, &left) == FACTOR_WRONG);
	HOLDS("a recovery code",
	      second_factor_check(d, id, bytes_of(codes[3]), now, &left) == FACTOR_RECOVERY);
	HOLDS("one less", left == RECOVERY_CODES - 1);
	HOLDS("once", second_factor_check(d, id, bytes_of(codes[3]), now, &left) == FACTOR_WRONG);
	for (int i = 0; i < CODE_WRONG_MOST; i++)
		(void)second_factor_check(d, id, BYTES("000000"), now, &left);
	now += 30;
	HOLDS("after many wrong ones", second_factor_check(d, id, code_at(secret, now, code), now,
	                                                   &left) == FACTOR_TOO_OFTEN);
	now += 60;
	HOLDS("a minute later",
	      second_factor_check(d, id, code_at(secret, now, code), now, &left) == FACTOR_RIGHT);
	HOLDS("ended", second_factor_end(d, id) == DIRECTORY_OK);
	HOLDS("off", second_factor_check(d, id, BYTES("000000"), now, &left) == FACTOR_OFF);
	arena_close(&a);
	end(&d);
}

static void
test_bounds(void **state)
{
	struct directory *d;
	struct arena     *a = arena_open(NULL);
	uint64_t          id = begin(&d);
	unsigned          bits = PROTOCOL_IMAP;
	struct protection p;
	(void)state;

	HOLDS("nothing is said", protection_of(d, id, a, &p) == DIRECTORY_OK && !p.suspended &&
	                                 p.protocols == 0 && p.networks[0] == '\0');
	HOLDS("was not suspended", protection_resume(d, id) == DIRECTORY_NONE);
	HOLDS("suspended", protection_suspend(d, id, 55, BYTES("unpaid")) == DIRECTORY_OK);
	HOLDS("bound", protection_bound(d, id, "192.0.2.0/24", NULL) == DIRECTORY_OK);
	HOLDS("and more", protection_bound(d, id, NULL, &bits) == DIRECTORY_OK);
	HOLDS("all of it", protection_of(d, id, a, &p) == DIRECTORY_OK && p.suspended &&
	                           p.until == 55 && p.protocols == PROTOCOL_IMAP);
	SAME("why", bytes_of(p.reason), BYTES("unpaid"));
	SAME("where from", bytes_of(p.networks), BYTES("192.0.2.0/24"));
	HOLDS("resumed", protection_resume(d, id) == DIRECTORY_OK);
	HOLDS("the rest stays", protection_of(d, id, a, &p) == DIRECTORY_OK && !p.suspended &&
	                                p.protocols == PROTOCOL_IMAP);
	arena_close(&a);
	end(&d);
}

static void
test_protocols(void **state)
{
	static const struct {
		const char *why, *text;
		unsigned    bits; /* 0: refused */
		const char *written;
	} rows[] = {
		{ "one", "imap", PROTOCOL_IMAP, "imap" },
		{ "smtp is for submission too", "smtp", PROTOCOL_SMTP | PROTOCOL_SUBMISSION,
		  "smtp" },
		{ "submission alone", "submission", PROTOCOL_SUBMISSION, "submission" },
		{ "a list with blanks", "IMAP, submission", PROTOCOL_IMAP | PROTOCOL_SUBMISSION,
		  "imap,submission" },
		{ "all", "all", PROTOCOL_ALL, "all" },
		{ "none of them", "imap,gopher", 0, "" },
		{ "nothing", "", 0, "" },
		{ "an empty word", "imap,,pop3", 0, "" },
	};
	struct buffer b = { 0 };
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		unsigned bits;
		HOLDS(rows[i].why,
		      protocols_read(bytes_of(rows[i].text), &bits) == (rows[i].bits != 0));
		if (rows[i].bits == 0)
			continue;
		HOLDS(rows[i].why, bits == rows[i].bits);
		buffer_reset(&b);
		protocols_write(&b, bits);
		SAME(rows[i].why, buffer_bytes(&b), bytes_of(rows[i].written));
	}
	buffer_free(&b);
}

static void
ban_text(void *ctx, const struct ban *b)
{
	buffer_printf(ctx, "%s %d %s;", b->network, (int)b->times, b->reason);
}

static void
known_text(void *ctx, const struct known_network *k)
{
	buffer_printf(ctx, "%s %s;", k->user, k->network);
}

static void
test_networks(void **state)
{
	struct directory *d;
	struct buffer     b = { 0 };
	(void)state;

	(void)begin(&d);
	HOLDS("one", ban_put(d, &(struct ban){ "192.0.2.1", 10, 20, 1, "x" }) == DIRECTORY_OK);
	HOLDS("without end",
	      ban_put(d, &(struct ban){ "192.0.2.2", 11, 0, 1, "y" }) == DIRECTORY_OK);
	HOLDS("again", ban_put(d, &(struct ban){ "192.0.2.1", 12, 30, 2, "x" }) == DIRECTORY_OK);
	directory_close(&d);
	d = opened();
	HOLDS("each", ban_each(d, 30, ban_text, &b) == DIRECTORY_OK);
	SAME("after a restart", buffer_bytes(&b), BYTES("192.0.2.2 1 y;192.0.2.1 2 x;"));
	buffer_reset(&b);
	HOLDS("each", ban_each(d, 31, ban_text, &b) == DIRECTORY_OK);
	SAME("those that ended are forgotten", buffer_bytes(&b), BYTES("192.0.2.2 1 y;"));
	HOLDS("lifted", ban_drop(d, BYTES("192.0.2.2")) == DIRECTORY_OK);
	HOLDS("not twice", ban_drop(d, BYTES("192.0.2.2")) == DIRECTORY_NONE);
	buffer_reset(&b);
	HOLDS("known", known_network_put(d, &(struct known_network){ "eva@example.com", "192.0.2.9",
	                                                             100 }) == DIRECTORY_OK);
	HOLDS("known", known_network_put(d, &(struct known_network){ "eva@example.com", "192.0.2.8",
	                                                             50 }) == DIRECTORY_OK);
	HOLDS("each", known_network_each(d, 60, known_text, &b) == DIRECTORY_OK);
	SAME("the old one is forgotten", buffer_bytes(&b), BYTES("eva@example.com 192.0.2.9;"));
	buffer_free(&b);
	end(&d);
}

UNIT(test_system_users, test_app_passwords, test_second_factor, test_bounds, test_protocols,
     test_networks)
