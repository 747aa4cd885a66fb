#include "unit.h"

#include "message/verp.h"

/* The example of Postfix's VERP_README. */
static void
test_verp(void **state)
{
	static const struct { const char *why, *sender, *recipient, *delimiters, *wanted; } rows[] = {
		{ "VERP_README", "owner-listname@origin.example", "user@domain.example", "+=", "owner-listname+user=domain.example@origin.example" },
		{ "other delimiters", "owner-listname@origin.example", "user@domain.example", "-=", "owner-listname-user=domain.example@origin.example" },
		{ "a detail of the recipient", "l@here.example", "user+x@domain.example", "+=", "l+user+x=domain.example@here.example" },
		{ "nobody", "", "user@domain.example", "+=", "" },
		{ "no domain", "l", "user@domain.example", "+=", "l" },
		{ "a recipient without one", "l@here.example", "postmaster", "+=", "l@here.example" },
		{ "quoted", "\"a b\"@here.example", "user@domain.example", "+=", "\"a b\"@here.example" },
	};
	struct arena *a = arena_open(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		SAME(rows[i].why, bytes_of(verp_make(a, bytes_of(rows[i].sender), bytes_of(rows[i].recipient), bytes_of(rows[i].delimiters))), bytes_of(rows[i].wanted));
	HOLDS("default", verp_delimiters(BYTES("+="), "-=+"));
	HOLDS("not allowed", !verp_delimiters(BYTES("ab"), "-=+"));
	HOLDS("one", !verp_delimiters(BYTES("+"), "-=+"));
	HOLDS("NUL", !verp_delimiters(BYTES("+\0"), "-=+"));
	arena_close(&a);
}

UNIT(test_verp)
