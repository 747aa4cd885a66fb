/* Hosts and ports as people write them. */
#include "unit.h"

#include "command/talk.h"

struct target_case { const char *why, *text, *host; int port; };
static const struct target_case targets[] = {
	{ "a name", "mail.example.org", "mail.example.org", 25 },
	{ "a name and a port", "mail.example.org:587", "mail.example.org", 587 },
	{ "an address", "192.0.2.1:465", "192.0.2.1", 465 },
	{ "rfc3986:3.2.2", "[2001:db8::1]:993", "2001:db8::1", 993 },
	{ "without a port", "[2001:db8::1]", "2001:db8::1", 25 },
	{ "without brackets", "2001:db8::1", "2001:db8::1", 25 },
	{ "nothing", "", NULL, 0 },
	{ "a port alone", ":25", NULL, 0 },
	{ "no port", "host:x", NULL, 0 },
	{ "port 0", "host:0", NULL, 0 },
	{ "too large", "host:65536", NULL, 0 },
	{ "an open bracket", "[::1", NULL, 0 },
	{ "something behind the bracket", "[::1]25", NULL, 0 },
};

static void
test_targets(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(targets); i++) {
		char host[256];
		int port = 25;
		bool good = talk_target(targets[i].text, host, &port);

		HOLDS(targets[i].why, good == (targets[i].host != NULL));
		if (good)
			SAME(targets[i].why, bytes_of(host), bytes_of(targets[i].host));
		HOLDS(targets[i].why, !good || port == targets[i].port);
	}
}

UNIT(test_targets)
