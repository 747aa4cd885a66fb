/* "{SCHEME}stored" and passwd-files: whatever is written there, nobody is let in who should not be, and no bound is passed. */
#include <stdlib.h>

#include "directory/passwdfile.h"
#include "directory/scheme.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Schemes that are slow on purpose would be all that is looked at. */
static bool
is_slow(struct bytes stored)
{
	static const char *const slow[] = { "$argon2", "$2",    "$5$",  "$6$", "$y$", "$gy$",
		                            "$7$",     "$sha1", "$md5", "$1$", "_" };

	for (size_t i = 0; i < COUNT(slow); i++)
		if (bytes_search(stored, bytes_of(slow[i])) >= 0)
			return stored.len > 12;
	return bytes_search_nocase(stored, BYTES("pbkdf2")) >= 0 ||
	       bytes_search_nocase(stored, BYTES("scram")) >= 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes        in = { (const char *)data, size }, hash, fields, plain;
	struct buffer       errors = { 0 }, warnings = { 0 };
	struct arena       *a = arena_open(NULL);
	struct scheme_scram scram;
	const char         *why;
	struct passwdfile  *p = passwdfile_open(in, "fuzz", &errors, &warnings);

	if (p != NULL) {
		(void)passwdfile_find(p, BYTES("user"), a, &hash, &fields);
		passwdfile_close(&p);
	}
	if (!is_slow(in) &&
	    scheme_check(in, "PLAIN", BYTES("jack@example.com"), BYTES("secret"), &why) ==
	            SCHEME_RIGHT &&
	    scheme_check(in, "PLAIN", BYTES("jack@example.com"), BYTES("other"), &why) ==
	            SCHEME_RIGHT)
		abort();
	if (scheme_plain(in, "CRYPT", a, &plain) && plain.len > size)
		abort();
	(void)scheme_scram(in, "SCRAM-SHA-256", "SCRAM-SHA-256", a, &scram);
	buffer_free(&errors);
	buffer_free(&warnings);
	arena_close(&a);
	return 0;
}
