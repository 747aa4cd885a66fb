/* "{SCHEME}stored"; every stored value was made by Dovecot 2.3's doveadm pw, or as its row says. */
#include "unit.h"

#include <string.h>

#include "directory/scheme.h"

static enum scheme_outcome
checked(const char *stored, const char *password, const char **why)
{
	return scheme_check(bytes_of(stored), "PLAIN", BYTES("jack@example.com"),
	                    bytes_of(password), why);
}

/* All of the password "secret", of jack@example.com. */
/* clang-format off */
static const struct { const char *why, *stored; } others[] = {
	{ "doveadm pw -s SHA1",
	  "{SHA1}5en6G6MezRroT3XKqkdPOmY/BfQ=" },
	{ "doveadm pw -s SHA",
	  "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=" },
	{ "doveadm pw -s SSHA",
	  "{SSHA}PxlFJBaUuSxBT5fcxnBPflmfMlOyE5f/" },
	{ "doveadm pw -s SSHA256",
	  "{SSHA256}3b0ErG1JYp3l3Ic0qmOc6KqYwD/uxtNVqlH68+XOrffl8AcA" },
	{ "doveadm pw -s SSHA512",
	  "{SSHA512}ZUYx62BejMc64LB3EjTS1yyBqTcTEkp9Ja7oYzFQZUfJy23HUAkWhceqgvCviB0MygaoiDGkYozW3EFUvFoTsnJPin8=" },
	{ "doveadm pw -s SMD5",
	  "{SMD5}5AbQ0PE31qTaMWmyixsyZFA1eCY=" },
	{ "doveadm pw -s MD5",
	  "{MD5}$1$TvBluiDC$8HAfqyZ805DY4pM0ycYhl/" },
	{ "doveadm pw -s PLAIN-MD5",
	  "{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69" },
	{ "doveadm pw -s LDAP-MD5",
	  "{LDAP-MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==" },
	{ "doveadm pw -s DIGEST-MD5",
	  "{DIGEST-MD5}e203ea5baf8557d1aa1bff5ae4cf01e1" },
	{ "doveadm pw -s CRAM-MD5",
	  "{CRAM-MD5}cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56" },
	{ "doveadm pw -s HMAC-MD5",
	  "{HMAC-MD5}cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56" },
	{ "doveadm pw -s PBKDF2",
	  "{PBKDF2}$1$01qocdbPvS3VZl.2$5000$f02dcc6431702e0bf2d4c4c81c07a77821aea34c" },
	{ "doveadm pw -s SCRAM-SHA-1",
	  "{SCRAM-SHA-1}4096,jp4rYCFNxcVEp2R0puQIVg==,p2UqfqSsre6Zb6GSBgUV7wuOFOI=,b5S535uQTGeQGhApfx0yCLtSiqo=" },
	{ "doveadm pw -s SCRAM-SHA-256",
	  "{SCRAM-SHA-256}4096,Rrzke8vldo9u4y0ABbnxww==,lh9/6vA5aVWtFsL2BYQ6flaTQtGZQ0FHNyhjKu2PSzw=,KMxNS/7rbk/sPNjnpj0Ki4bC4+puemrxfX6ufBNcbSo=" },
	{ "doveadm pw -s ARGON2I",
	  "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$T5eAJOddZJWBiyyjN24QUQ$ApwqUOQQiORyCbn9UcK+pGl9m8GraiDr46Ce8uzhQ1s" },
	{ "doveadm pw -s ARGON2ID",
	  "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$OiEo9dz63TzxxEM1erf63w$3EX6OZ93EKhXQstwL+GU2YraSHdeGU8uaz9B3wxQLFs" },
	{ "doveadm pw -s DES-CRYPT",
	  "{DES-CRYPT}WviMt4zlOCMqE" },
	{ "doveadm pw -s MD5-CRYPT",
	  "{MD5-CRYPT}$1$2PGcVS/k$JnIpkIwveNN3c7acYZgqO1" },
	{ "doveadm pw -s SHA256",
	  "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=" },
	{ "doveadm pw -s SHA512",
	  "{SHA512}vSsar3708Jvp9Szi2NWZZ02Bqp1qRCFpbcTZPdBhnWgs5WtNZKnvCXdhztmeD2cmW192CF5bDufKRpayrW/isg==" },
	{ "doveadm pw -s CLEAR",
	  "{CLEAR}secret" },
	{ "doveadm pw -s CLEARTEXT",
	  "{CLEARTEXT}secret" },
	{ "doveadm pw -s PLAIN",
	  "{PLAIN}secret" },
	{ "doveadm pw -s BLF-CRYPT",
	  "{BLF-CRYPT}$2y$05$aqxg.Woo3e79vp14/Qxboev5D1BFxtDq5E3ckvI6zqkO8tdYTp6gC" },
	{ "doveadm pw -s SHA256-CRYPT",
	  "{SHA256-CRYPT}$5$VhdupzQGhyp49dKd$wp4PI8p0sE9VYee8BPNXJUiwQCiziudKB6XOZO1JHY7" },
	{ "doveadm pw -s SHA512-CRYPT",
	  "{SHA512-CRYPT}$6$ziq8njkO0oBYHAes$PY3bJHQN6YMRdcm.S5CryLuL1SxmmLpVe9OTj4TRJn.QcS9Fbf0ZMPK62gpBNiIK3KWiw/EfSp7ubEDN6wn3g1" },
	{ "doveadm pw -s CRYPT",
	  "{CRYPT}$2y$05$S0wn5WJvxoUsMp7Sl98bMuL4QjCK/CsjuVBBPdEFDbzt5nWR/EuFG" },
	{ "doveadm pw -s SHA.hex",
	  "{SHA.HEX}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4" },
	{ "doveadm pw -s SHA256.b64",
	  "{SHA256.B64}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=" },
	{ "doveadm pw -s SSHA.HEX",
	  "{SSHA.HEX}b69521981c3224908d610160cf61a5bd0815097d52bb1b90" },
	{ "doveadm pw -s PLAIN.B64",
	  "{PLAIN.B64}c2VjcmV0" },
	{ "doveadm pw -s PLAIN-MD5.b64",
	  "{PLAIN-MD5.B64}Xr4ilOzQ4PCOq3aQ0qbuaQ==" },
	{ "doveadm pw -s SMD5.hex",
	  "{SMD5.HEX}d7f6c56b7da479fa660743d9025cd7dad544a806" },
	{ "doveadm pw -s CRAM-MD5.b64",
	  "{CRAM-MD5.B64}zTun3qrW5cojRIukLjeXR6ng9/H7wAyKgbuqw5VzG1Y=" },
	{ "a digest may be in hex without saying so",
	  "{SHA}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4" },
	{ "in capitals",
	  "{SHA}E5E9FA1BA31ECD1AE84F75CAAA474F3A663F05F4" },
	{ "hashlib.pbkdf2_hmac in OpenLDAP's form",
	  "{PBKDF2-SHA1}1000$c2FsdHNhbHRzYWx0$KoeIRlhBTyFrU8q8BApSMIIhObk" },
	{ "the same without its digest",
	  "{PBKDF2}1000$c2FsdHNhbHRzYWx0$KoeIRlhBTyFrU8q8BApSMIIhObk" },
	{ "hashlib.pbkdf2_hmac in OpenLDAP's form",
	  "{PBKDF2-SHA256}1000$c2FsdHNhbHRzYWx0$sVaWem31qy3rw.Ldi3plA/XzhMSNi9/XHnnD1Ytj05o" },
	{ "hashlib.pbkdf2_hmac in OpenLDAP's form",
	  "{PBKDF2-SHA512}1000$c2FsdHNhbHRzYWx0$bePzWo/796SGZ2lBKpZcU2FQhQXnjiEADnvU8yLzaxu1BwlSR076rTWeGRrvgBz757DxNPmtAZpVls5xSi9daw" },
};
/* clang-format on */

static void
test_others(void **state)
{
	const char *why;
	(void)state;

	for (size_t i = 0; i < COUNT(others); i++) {
		if (checked(others[i].stored, "secret", &why) != SCHEME_RIGHT)
			fail_msg("%s: %s: %s", others[i].why, others[i].stored, why);
		if (checked(others[i].stored, "Secret", &why) != SCHEME_WRONG)
			fail_msg("%s: %s fits another password", others[i].why, others[i].stored);
		if (checked(others[i].stored, "", &why) != SCHEME_WRONG)
			fail_msg("%s: %s fits none", others[i].why, others[i].stored);
	}
}

/* Nobody gets in by these, and they cost nothing. */
static void
test_broken(void **state)
{
	/* clang-format off */
	static const struct { const char *why, *stored; enum scheme_outcome outcome; } rows[] = {
		{ "no such scheme", "{ROT13}frperg", SCHEME_BROKEN },
		{ "a digest too short", "{SHA}c2VjcmV0", SCHEME_BROKEN },
		{ "no base64", "{SSHA}!!!!", SCHEME_BROKEN },
		{ "none", "{SSHA}", SCHEME_BROKEN },
		{ "nothing is no password", "", SCHEME_WRONG },
		{ "nor is this", "{PLAIN}", SCHEME_WRONG },
		{ "half a hash", "{ARGON2ID}$argon2id$v=19$m=65536,t=2", SCHEME_BROKEN },
		{ "4 GiB of argon2", "{ARGON2ID}$argon2id$v=19$m=4194304,t=3,p=1$lheOcd6bwEmbLkkPxIvIPA$eDbhZWhere5HvrRwiK/wydk+JQRwzPeNXx9z1GkEWjs", SCHEME_BROKEN },
		{ "a million turns", "{ARGON2ID}$argon2id$v=19$m=65536,t=1000000,p=1$lheOcd6bwEmbLkkPxIvIPA$eDbhZWhere5HvrRwiK/wydk+JQRwzPeNXx9z1GkEWjs", SCHEME_BROKEN },
		{ "lanes", "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=4000$lheOcd6bwEmbLkkPxIvIPA$eDbhZWhere5HvrRwiK/wydk+JQRwzPeNXx9z1GkEWjs", SCHEME_BROKEN },
		{ "bcrypt of 2^31", "{CRYPT}$2y$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", SCHEME_BROKEN },
		{ "rounds", "{CRYPT}$6$rounds=999999999$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl", SCHEME_BROKEN },
		{ "rounds beyond numbers", "{CRYPT}$5$rounds=99999999999999999999999$saltstring$svn8UoSVapNtMuq1u", SCHEME_BROKEN },
		{ "SunMD5", "{CRYPT}$md5,rounds=4294967295$saltstring$svn8UoSVapNtMuq1u", SCHEME_BROKEN },
		{ "yescrypt of 64 GiB", "{CRYPT}$y$jMT$LdJMENpBABJJ3hIHjB1Bi.$HboGM6qPrsK.StKYGt6KErmUYtioHreJd98oIugoNB6", SCHEME_BROKEN },
		{ "scrypt of 2^40", "{CRYPT}$7$cU..../....SodiumChloride$kBGj9fHznVYFQMEn/qDCfrDevf9YDtcDdKvEqHJLV8D", SCHEME_BROKEN },
		{ "PBKDF2", "{PBKDF2}$1$bYbpRJR/L0M2voxQ$999999999$79f2164753c7f1f54150ad3903475752c389d5fc", SCHEME_BROKEN },
		{ "SCRAM", "{SCRAM-SHA-1}999999999,rVX4SORq/6AOdVGztkI5eA==,kNsFOK1IdkuE+ycr3WwGckY8HKs=,ltXEr08RbsPyss45btBuaRoIsio=", SCHEME_BROKEN },
		{ "of more words", "{SCRAM-SHA-1}4096,rVX4SORq/6AOdVGztkI5eA==,kNsFOK1IdkuE+ycr3WwGckY8HKs=,ltXEr08RbsPyss45btBuaRoIsio=,", SCHEME_BROKEN },
		{ "a locked one", "{CRYPT}!", SCHEME_BROKEN },
		{ "crypt's own word for failure", "{CRYPT}*0", SCHEME_BROKEN },
	};
	/* clang-format on */
	const char *why;
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++)
		if (checked(rows[i].stored, "secret", &why) != rows[i].outcome)
			fail_msg("%s: %s", rows[i].why, rows[i].stored);
	HOLDS("a NUL cuts nothing off", scheme_check(BYTES("secret"), "PLAIN", BYTES(""),
	                                             BYTES("secret\0more"), &why) == SCHEME_WRONG);
}

/* The dearest that is allowed still works: four lanes in one thread (argon2(1), -p 4). */
static void
test_lanes(void **state)
{
	const char *why = "";
	(void)state;

	if (checked("{ARGON2ID}$argon2id$v=19$m=4096,t=2,p=4$c2FsdHNhbHQ$Opr6AcVo4GC9229xIEplC5QL4zRSRdWVmAbPbsVfhTY",
	            "secret", &why) != SCHEME_RIGHT)
		fail_msg("four lanes: %s", why);
}

/* Whatever is made is right, and is written as its name says. */
static void
test_made(void **state)
{
	const char   *name, *why;
	unsigned long least, most;
	(void)state;

	for (size_t i = 0; (name = scheme_name(i, &least, &most)) != NULL; i++) {
		struct buffer made = { 0 };
		struct bytes  user = BYTES("jack@example.com");
		HOLDS(name, scheme_make(bytes_of(name), 0, user, BYTES("p\xc3\xa4ss"), &made));
		HOLDS(name, made.len > strlen(name) + 2 && made.at[0] == '{' &&
		                    made.at[strlen(name) + 1] == '}');
		HOLDS(name, scheme_check(buffer_bytes(&made), "", user, BYTES("p\xc3\xa4ss"),
		                         &why) == SCHEME_RIGHT);
		buffer_free(&made);
		HOLDS("rounds it does not take",
		      !scheme_make(bytes_of(name), most + 1, user, BYTES("x"), &made));
	}
}

static void
test_kept(void **state)
{
	struct arena       *a = arena_open(NULL);
	struct scheme_scram scram;
	struct bytes        out = { NULL, 0 };
	(void)state;

	HOLDS("plain", scheme_plain(BYTES("{PLAIN.b64}c2VjcmV0"), "CRYPT", a, &out));
	SAME("as it is", out, BYTES("secret"));
	HOLDS("the fallback", scheme_plain(BYTES("secret"), "CLEARTEXT", a, &out));
	HOLDS("no hash", !scheme_plain(BYTES("{SHA}c2VjcmV0"), "PLAIN", a, &out));
	HOLDS("a verifier",
	      scheme_scram(BYTES("{SCRAM-SHA-1}4096,rVX4SORq/6AOdVGztkI5eA==,kNsFOK1IdkuE+"
	                         "ycr3WwGckY8HKs=,ltXEr08RbsPyss45btBuaRoIsio="),
	                   "", "SCRAM-SHA-1", a, &scram));
	HOLDS("its rounds", scram.iterations == 4096);
	SAME("its key", bytes_of(scram.stored), BYTES("kNsFOK1IdkuE+ycr3WwGckY8HKs="));
	HOLDS("of another digest", !scheme_scram(BYTES("{SCRAM-SHA-1}4096,YQ==,YQ==,YQ=="), "",
	                                         "SCRAM-SHA-256", a, &scram));
	arena_close(&a);
}

UNIT(test_others, test_broken, test_lanes, test_made, test_kept)
