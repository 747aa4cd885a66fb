#include "unit.h"

#include <arpa/inet.h>
#include <string.h>

#include "dns/peername.h"

static struct peer
peer(const char *text)
{
	struct peer p = { .family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET };

	assert_int_equal(inet_pton(p.family, text, p.raw), 1);
	return p;
}

/* hosts(5): address, canonical name, aliases; what follows # is a comment. */
static void
test_names_of_hosts(void **state)
{
	static const char hosts[] =
		"# a comment\n127.0.0.1\tlocalhost\n\n  192.0.2.1   mail.example.org mail # ours\n"
		"192.0.2.2\n192.0.2.3 bad(name\n192.0.2.3 good-name_1\r\n#192.0.2.4 none\n"
		"192.0.2.0/24 net\n2001:db8::1 six.example.org\nno.address name\n192.0.2.5 last";
	static const struct { const char *address, *name; } rows[] = {
		{ "192.0.2.1", "mail.example.org" }, { "192.0.2.2", NULL }, { "192.0.2.3", "good-name_1" },
		{ "192.0.2.4", NULL }, { "2001:db8::1", "six.example.org" }, { "2001:db8::2", NULL },
		{ "192.0.2.5", "last" }, { "192.0.2.9", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct peer  p = peer(rows[i].address);
		struct bytes name = { NULL, 0 };
		bool         found = peername_in(bytes_of(hosts), &p, &name);

		HOLDS(rows[i].address, found == (rows[i].name != NULL));
		if (found)
			SAME(rows[i].address, name, bytes_of(rows[i].name));
	}
}

UNIT(test_names_of_hosts)
