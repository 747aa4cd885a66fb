/* A token, a line, and behind it the JSON of its keys, or of an introspection: nobody made them with our key. */
#include <stdlib.h>

#include "sasl/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const char known[] =
	"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct token_rules rules = { .issuer = "", .claim = "email", .now = 1700000000 };
	struct bytes       rest = { (const char *)data, size }, token, user;
	struct token_keys *ours = token_keys_open(bytes_of(known)), *theirs;
	struct arena      *a = arena_open(NULL);
	const char        *why;
	bool               unknown;

	if (bytes_split(&rest, '\n', &token)) {
		if (token_check(ours, &rules, token, a, &user, &why, &unknown) == SASL_PROVED)
			abort();
		theirs = token_keys_open(rest);
		if (theirs != NULL)
			(void)token_check(theirs, &rules, token, a, &user, &why, &unknown);
		token_keys_close(&theirs);
		(void)token_introspected(&rules, rest, a, &user, &why);
	}
	token_keys_close(&ours);
	arena_close(&a);
	return 0;
}
