#include "unit.h"

#include "smtp/forwarded.h"

#define X FORWARDED_XCLIENT
#define F FORWARDED_XFORWARD

/* Values as XCLIENT_README and XFORWARD_README show them. */
static const struct forwarded_case {
	const char *why;
	enum forwarded_command command;
	const char *in;
	enum forwarded_attribute attribute;
	const char *value, *reply;
} cases[] = {
	{ "a name", X, "NAME=spike.porcupine.org ADDR=168.100.189.2", FORWARDED_NAME, "spike.porcupine.org", NULL },
	{ "an address", X, "NAME=spike.porcupine.org ADDR=168.100.189.2", FORWARDED_ADDR, "168.100.189.2", NULL },
	{ "a v6 address has its mark", F, "ADDR=IPV6:fedc::1234", FORWARDED_ADDR, "fedc::1234", NULL },
	{ "and may come without", X, "ADDR=fedc::1234", FORWARDED_ADDR, "fedc::1234", NULL },
	{ "attributes in any case, blanks between", X, "name=a.org   addr=192.0.2.1", FORWARDED_NAME, "a.org", NULL },
	{ "unavailable is said, and nothing", X, "NAME=[UNAVAILABLE]", FORWARDED_NAME, NULL, NULL },
	{ "nor now", X, "NAME=[TEMPUNAVAIL]", FORWARDED_NAME, NULL, NULL },
	{ "of two the last holds", X, "NAME=a.org NAME=b.org", FORWARDED_NAME, "b.org", NULL },
	{ "and what is taken back is gone", X, "NAME=a.org NAME=[UNAVAILABLE]", FORWARDED_NAME, NULL, NULL },
	{ "rfc3461:4 xtext", X, "HELO=a+2Bb+3D", FORWARDED_HELO, "a+b=", NULL },
	{ "xtext of a login", X, "LOGIN=jack@example.com", FORWARDED_LOGIN, "jack@example.com", NULL },
	{ "a queue id", F, "IDENT=4xyz SOURCE=LOCAL", FORWARDED_IDENT, "4xyz", NULL },
	{ "XFORWARD's protocol is any word", F, "PROTO=LMTP", FORWARDED_PROTO, "LMTP", NULL },
	{ "XCLIENT's is not", X, "PROTO=LMTP", 0, NULL, "501 5.5.4 Bad PROTO syntax: LMTP" },
	{ "nothing at all", X, "", 0, NULL, "501 5.5.4 Syntax: XCLIENT attribute=value..." },
	{ "nothing but a word", X, "NAME", 0, NULL, "501 5.5.4 Error: attribute=value expected" },
	{ "another's attribute", X, "IDENT=1", 0, NULL, "501 5.5.4 Bad XCLIENT attribute name: IDENT" },
	{ "and the other way", F, "LOGIN=a", 0, NULL, "501 5.5.4 Bad XFORWARD attribute name: LOGIN" },
	{ "a port", X, "PORT=65536", 0, NULL, "501 5.5.4 Bad PORT syntax: 65536" },
	{ "a port that is a word", X, "PORT=smtp", 0, NULL, "501 5.5.4 Bad PORT syntax: smtp" },
	{ "CRLF in xtext enters no line", X, "HELO=a+0D+0AMAIL", 0, NULL, "501 5.5.4 Bad HELO syntax: a+0D+0AMAIL" },
	{ "nor does NUL", F, "IDENT=a+00", 0, NULL, "501 5.5.4 Bad IDENT syntax: a+00" },
	{ "a blank in a login", X, "LOGIN=a+20b", 0, NULL, "501 5.5.4 Bad LOGIN syntax: a+20b" },
	{ "half a byte", X, "HELO=a+2", 0, NULL, "501 5.5.4 Bad HELO value syntax: a+2" },
	{ "small letters are no xtext", X, "HELO=a+2b", 0, NULL, "501 5.5.4 Bad HELO value syntax: a+2b" },
	{ "what is no name of a host", X, "NAME=a..b", 0, NULL, "501 5.5.4 Bad NAME syntax: a..b" },
	{ "what is no address", X, "ADDR=192.0.2.300", 0, NULL, "501 5.5.4 Bad ADDR syntax: 192.0.2.300" },
	{ "a v4 address with the mark of v6", X, "ADDR=IPV6:192.0.2.1", 0, NULL, "501 5.5.4 Bad ADDR syntax: IPV6:192.0.2.1" },
	{ "bytes that cannot be shown", X, "ADDR=\xff\x01", 0, NULL, "501 5.5.4 Bad ADDR value syntax: ??" },
};

static void
test_attributes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct forwarded_case *c = &cases[i];
		struct arena                *a = arena_open(NULL);
		struct forwarded             f;
		const char                  *reply = NULL;
		bool good = forwarded_parse(bytes_of(c->in), c->command, a, &f, &reply);

		HOLDS(c->why, good == (c->reply == NULL));
		if (!good)
			SAME(c->why, bytes_of(reply), bytes_of(c->reply));
		else if (c->value == NULL)
			HOLDS(c->why, forwarded_says(&f, c->attribute) && !forwarded_has(&f, c->attribute));
		else
			SAME(c->why, f.value[c->attribute], bytes_of(c->value));
		arena_close(&a);
	}
}

static void
test_a_long_value_is_refused(void **state)
{
	struct arena    *a = arena_open(NULL);
	char             line[300] = "HELO=";
	struct forwarded f;
	const char      *reply;

	(void)state;
	for (size_t i = 5; i < sizeof line - 1; i++)
		line[i] = 'a';
	HOLDS("refused", !forwarded_parse(bytes_of(line), X, a, &f, &reply));
	SAME("said", bytes_of(reply), BYTES("501 5.5.4 Error: attribute value too long"));
	arena_close(&a);
}

UNIT(test_attributes, test_a_long_value_is_refused)
