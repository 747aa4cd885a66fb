#include "unit.h"

#include <string.h>

#include "directory/credential.h"

/* As BYTES(), for tables. */
#define B(literal)                              \
	{                                       \
		"" literal, sizeof(literal) - 1 \
	}

static const struct name_case {
	const char  *why;
	struct bytes user;
	const char  *is; /* NULL: nobody's */
} spoken[] = {
	{ "a plain one", B("Jack@Example.com"), "jack@example.com" },
	{ "not only ASCII", B("j\xc3\xb6rg"), "j\xc3\xb6rg" },
	{ "a blank", B("jack frost"), "jack frost" },
	{ "NUL ends no name", B("jack\0@example.com"), NULL },
	{ "a second line", B("jack\nuser=root"), NULL },
	{ "CR", B("jack\r"), NULL },
	{ "a field of Dovecot's", B("jack\tuser=root"), NULL },
	{ "an escape sequence", B("jack\x1b[2J"), NULL },
	{ "DEL", B("jack\x7f"), NULL },
};

static void
test_names(void **state)
{
	static const struct credential_names as = { "%Lu", "", "", "" };
	struct arena                        *a = arena_open(NULL);
	(void)state;

	for (size_t i = 0; i < COUNT(spoken); i++) {
		struct bytes out = { NULL, 0 };
		bool         good = credential_name(&as, spoken[i].user, a, &out);
		HOLDS(spoken[i].why, good == (spoken[i].is != NULL));
		if (good)
			HOLDS(spoken[i].why, bytes_equal(out, bytes_of(spoken[i].is)));
	}
	arena_close(&a);
}

static const struct service_case {
	const char *why, *service;
	bool        named;
} services[] = {
	{ "the one that is named", "mail", true },
	{ "the one pam alone means", "mansio", true },
	{ "another of /etc/pam.d", "su", false },
	{ "a file somewhere", "/tmp/evil", false },
	{ "a way to one", "../../tmp/evil", false },
	{ "the word of the setting is none", "pam:mail", false },
	{ "what another back end is called", "/x/users", false },
	{ "nothing", "", false },
};

static void
test_services(void **state)
{
	static const char *const  words[] = { "directory", "pam:mail", "example.com=pam",
		                              "passwd-file:/x/users" };
	const struct setting_list backends = { (const char **)(uintptr_t)words, COUNT(words) };
	(void)state;

	for (size_t i = 0; i < COUNT(services); i++)
		HOLDS(services[i].why, credential_names_service(&backends, services[i].service) ==
		                               services[i].named);
}

UNIT(test_names, test_services)
