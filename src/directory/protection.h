/*
 * protection -- what stands between a right password and a mailbox: app passwords, a second
 * factor, suspension, and the networks and protocols an account is for
 *
 * From:     role/clerk alone, with the directory's connection
 * Touches:  tables of directory.db of its own, by the account's id: they hold for accounts of every origin
 *
 * An app password is 140 random bits, shown once, in groups of four letters.  It is found by an HMAC of it and
 * the account, so that checking one costs a lookup and no slow hash; who reads the file cannot
 * turn it back.  Recovery codes (50 bits, once each) are kept the same way.  A TOTP secret is
 * kept as it is: the server must compute with it.
 *
 * protection_of()    what is said of an account; all zero and empty where nothing is.
 * app_password_find() the one this is; NONE: it is none, and may still be the main password.
 *                    An expired one is found: the caller looks.
 * second_factor_check() whether a code is right now: of the clock, each once, or a recovery code, used up by it.
 *
 * Returns:  enum directory_outcome (directory.h).
 */
#ifndef DIRECTORY_PROTECTION_H
#define DIRECTORY_PROTECTION_H

#include "directory/directory.h"

/* What a login is for. */
enum protocol_bit {
	PROTOCOL_IMAP = 1, PROTOCOL_POP3 = 2, PROTOCOL_SMTP = 4, PROTOCOL_SUBMISSION = 8,
	PROTOCOL_SIEVE = 16, PROTOCOL_OTHER = 32,
	PROTOCOL_ALL = 63,
};
/* "imap,submission" or "all"; false: a word is none of them.  smtp is for submission too. */
bool protocols_read(struct bytes text, unsigned *out);
void protocols_write(struct buffer *out, unsigned protocols);
/* What a front calls itself: "imap", "submission"; one we do not know is PROTOCOL_OTHER. */
unsigned protocol_of_service(const char *service);

struct protection {
	bool        suspended;
	int64_t     until;             /* suspended till then; 0 without end      */
	const char *reason;
	const char *networks;          /* "192.0.2.0/24 [2001:db8::]/32"; "" all  */
	unsigned    protocols;         /* 0: all                                  */
	bool        second_factor;     /* TOTP is on                              */
	uint32_t    app_passwords;     /* how many                                */
};
enum directory_outcome protection_of(struct directory *, uint64_t account, struct arena *, struct protection *out);
enum directory_outcome protection_suspend(struct directory *, uint64_t account, int64_t until, struct bytes reason);
enum directory_outcome protection_resume(struct directory *, uint64_t account);      /* NONE: it was not */
/* NULL: as before.  networks is what network_parse() understands, by blanks. */
enum directory_outcome protection_bound(struct directory *, uint64_t account, const char *networks, const unsigned *protocols);

/* ---- app passwords ----------------------------------------------------------- */
enum { APP_PASSWORD_TEXT = 40, APP_PASSWORDS_MOST = 100, APP_PASSWORD_NAME = 64 };
struct app_password {
	uint64_t    id, account;
	const char *name;
	unsigned    protocols;
	int64_t     made, expires, used;       /* 0 never                         */
	const char *used_from, *used_by;       /* address and protocol; ""        */
};
/* IN_USE: the account has APP_PASSWORDS_MOST; EXISTS: the name is taken. */
enum directory_outcome app_password_add(struct directory *, uint64_t account, struct bytes name, unsigned protocols, int64_t expires, char shown[static APP_PASSWORD_TEXT]);
enum directory_outcome app_password_revoke(struct directory *, uint64_t account, struct bytes name);   /* by name or id */
enum directory_outcome app_password_find(struct directory *, uint64_t account, struct bytes password, struct arena *, struct app_password *out);
enum directory_outcome app_password_used(struct directory *, uint64_t id, int64_t at, const char *from, const char *by);
enum directory_outcome app_password_each(struct directory *, uint64_t account, void (*each)(void *, const struct app_password *), void *);

/* ---- the second factor ---------------------------------------------------------- */
enum { RECOVERY_CODES = 10, RECOVERY_TEXT = 12, CODE_WRONG_MOST = 10 };
/* A new secret that is not asked for until it is confirmed.  EXISTS: one is on. */
enum directory_outcome second_factor_begin(struct directory *, uint64_t account, struct bytes secret);
/* From the first right code on it is asked for.  NONE: nothing was begun; BAD: the code is wrong. */
enum directory_outcome second_factor_confirm(struct directory *, uint64_t account, struct bytes code, int64_t now, char codes[static RECOVERY_CODES][RECOVERY_TEXT]);
enum directory_outcome second_factor_end(struct directory *, uint64_t account);
enum second_factor { FACTOR_RIGHT, FACTOR_RECOVERY, FACTOR_WRONG, FACTOR_TOO_OFTEN, FACTOR_OFF, FACTOR_LATER };
/* After CODE_WRONG_MOST wrong ones in a row nothing is right for a minute; then one is looked at each minute. */
enum second_factor second_factor_check(struct directory *, uint64_t account, struct bytes code, int64_t now, uint32_t *left);

/* ---- networks -------------------------------------------------------------------- */
/* Where an account has logged in from, for directory/guard; and networks that are banned. */
struct known_network { const char *user, *network; int64_t at; };
enum directory_outcome known_network_put(struct directory *, const struct known_network *);
enum directory_outcome known_network_each(struct directory *, int64_t since, void (*each)(void *, const struct known_network *), void *);   /* older ones are forgotten */
struct ban { const char *network; int64_t since, until; uint32_t times; const char *reason; };      /* until 0: without end */
enum directory_outcome ban_put(struct directory *, const struct ban *);
enum directory_outcome ban_drop(struct directory *, struct bytes network);
enum directory_outcome ban_each(struct directory *, int64_t ended_since, void (*each)(void *, const struct ban *), void *);    /* those that ended before are forgotten */

/* Several changes with one sync between these two. */
bool directory_changes_begin(struct directory *);
bool directory_changes_end(struct directory *, bool keep);
/* For directory.c: the tables; what is ready. */
struct sqlite3;
bool protection_open(struct sqlite3 *);
void protection_close(struct directory *);

#endif
