/*
 * password -- making and checking what is stored instead of a password
 *
 * New passwords: argon2id (19 MiB, t=2, p=1) and, beside it, SCRAM
 * verifiers (rfc5802:3, rfc7677) of 4096 rounds, with SHA-256 and SHA-1.  Both are slow on purpose: call
 * them in the thread pool; they touch only their arguments.
 *
 * password_check() costs the same for a user who does not exist: give it the
 * hash password_nobody() returns.
 */
#ifndef DIRECTORY_PASSWORD_H
#define DIRECTORY_PASSWORD_H

#include "base/bytes.h"

enum { PASSWORD_MOST = 1024, SCRAM_ITERATIONS = 4096 };

struct password_record {
	char hash[160];                  /* "$argon2id$v=19$..."          */
	uint32_t scram_iterations;
	char scram_salt[32], scram_stored[64], scram_server[64];  /* base64 */
	char scram_sha1[160];            /* "4096,salt,stored,server"    */
};
/* False: too long, empty, or holds a NUL. */
bool password_make(struct bytes password, struct password_record *out);
/* Ours, and all that scheme.h knows: accounts come from other servers with their hashes. */
bool password_check(const char *hash, struct bytes password);
/* Whether it is what password_make() makes today; else a login is the time to make it anew. */
bool password_is_ours(const char *hash);
/* The SCRAM part of a record alone. */
void scram_make(const char *password, struct bytes salt, uint32_t iterations, struct password_record *);
const char *password_nobody(void);
/* rfc1939:7: the digest of APOP, in hex.  False where MD5 is not to be had. */
bool password_apop(struct bytes stamp, struct bytes secret, char out[static 33]);

#endif
