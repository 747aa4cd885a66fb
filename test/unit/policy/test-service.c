#include "unit.h"

#include <string.h>

#include "policy/service.h"

static const struct service_settings all = {
	.timeout = 100000, .max_idle = 300000, .max_ttl = 1000000, .retry_delay = 1000, .try_limit = 2,
	.default_action = "451 4.3.5 Server configuration problem", .policy_context = "",
};

static void
test_words(void **state)
{
	static const struct { const char *why, *word, *path, *host, *port; int64_t timeout; const char *action, *context; } cases[] = {
		{ "SMTPD_POLICY_README", "unix:private/policy", "private/policy", "", "", 100000, NULL, "" },
		{ "an absolute path", "unix:/var/spool/postfix/postgrey/socket", "/var/spool/postfix/postgrey/socket", "", "", 100000, NULL, "" },
		{ "SMTPD_POLICY_README", "inet:127.0.0.1:9998", "", "127.0.0.1", "9998", 100000, NULL, "" },
		{ "without its kind", "127.0.0.1:9998", "", "127.0.0.1", "9998", 100000, NULL, "" },
		{ "an address of six", "inet:[::1]:10023", "", "::1", "10023", 100000, NULL, "" },
		{ "no host is this one", "inet::10023", "", "localhost", "10023", 100000, NULL, "" },
		{ "SMTPD_POLICY_README, with options", "{ inet:host:10023, timeout=10s, default_action=DUNNO }", "", "host", "10023", 10000, "DUNNO", "" },
		{ "an action with blanks", "{ inet:host:1, { default_action = 450 4.7.1 come later }, policy_context=submission }", "", "host", "1", 100000, "450 4.7.1 come later", "submission" },
		{ "minutes", "{unix:/a,timeout=2m}", "/a", "", "", 120000, NULL, "" },
	};
	struct arena *a = arena_open(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct service s;
		const char    *wrong = NULL;
		HOLDS(cases[i].why, service_parse(bytes_of(cases[i].word), &all, a, &s, &wrong));
		SAME(cases[i].why, s.path, bytes_of(cases[i].path));
		SAME(cases[i].why, s.host, bytes_of(cases[i].host));
		SAME(cases[i].why, s.port, bytes_of(cases[i].port));
		HOLDS(cases[i].why, s.set.timeout == cases[i].timeout);
		SAME(cases[i].why, bytes_of(s.set.default_action), bytes_of(cases[i].action != NULL ? cases[i].action : all.default_action));
		SAME(cases[i].why, bytes_of(s.set.policy_context), bytes_of(cases[i].context));
	}
	arena_close(&a);
}

static void
test_wrong_words(void **state)
{
	static const struct { const char *why, *word; } cases[] = {
		{ "nothing", "" }, { "no path", "unix:" }, { "no port", "inet:host" }, { "no port behind the colon", "inet:host:" },
		{ "not closed", "{ inet:host:1" }, { "empty", "{}" }, { "an unknown option", "{ inet:host:1, speed=9 }" },
		{ "no time", "{ inet:host:1, timeout=soon }" }, { "no number", "{ inet:host:1, try_limit=2s }" },
		{ "without a value", "{ inet:host:1, timeout }" }, { "inner braces open", "{ inet:host:1, { timeout=1 }" },
		{ "far too long", "{ inet:host:1, timeout=99999999999 }" },
	};
	struct arena  *a = arena_open(NULL);
	struct service s;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *wrong = NULL;
		HOLDS(cases[i].why, !service_parse(bytes_of(cases[i].word), &all, a, &s, &wrong) && wrong != NULL);
	}
	arena_close(&a);
}

static void
test_replies(void **state)
{
	static const struct { const char *why, *arrived; enum service_outcome outcome; size_t used; const char *action; } cases[] = {
		{ "SMTPD_POLICY_README", "action=defer_if_permit Service temporarily unavailable\n\n", SERVICE_ANSWERED, 56, "defer_if_permit Service temporarily unavailable" },
		{ "nothing yet", "", SERVICE_SHORT, 0, NULL },
		{ "half", "action=DUN", SERVICE_SHORT, 0, NULL },
		{ "no empty line yet", "action=DUNNO\n", SERVICE_SHORT, 0, NULL },
		{ "more than one answer", "action=OK\n\naction=x\n\n", SERVICE_ANSWERED, 11, "OK" },
		{ "others besides", "a=b\naction=OK\nc=d\n\n", SERVICE_ANSWERED, 19, "OK" },
		{ "CRLF", "action=OK\r\n\r\n", SERVICE_ANSWERED, 13, "OK" },
		{ "an empty action", "action=\n\n", SERVICE_ANSWERED, 9, "" },
		{ "no action", "a=b\n\n", SERVICE_BROKEN, 0, NULL },
		{ "only an end", "\n", SERVICE_BROKEN, 0, NULL },
		{ "no line of an answer", "hello\n", SERVICE_BROKEN, 0, NULL },
	};
	struct buffer many = { 0 };
	struct bytes  action;
	size_t        used;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		used = 0;
		action = (struct bytes){ "", 0 };
		HOLDS(cases[i].why, service_reply(bytes_of(cases[i].arrived), &used, &action) == cases[i].outcome);
		HOLDS(cases[i].why, used == cases[i].used);
		if (cases[i].outcome == SERVICE_ANSWERED)
			SAME(cases[i].why, action, bytes_of(cases[i].action));
	}
	for (int i = 0; i < SERVICE_LINES_MOST + 1; i++)
		buffer_add_string(&many, "a=b\n");
	HOLDS("too many lines", service_reply(buffer_bytes(&many), &used, &action) == SERVICE_BROKEN);
	buffer_reset(&many);
	memset(buffer_room(&many, SERVICE_REPLY_MOST + 1), 'a', SERVICE_REPLY_MOST + 1);
	buffer_took(&many, SERVICE_REPLY_MOST + 1);
	HOLDS("a line without end", service_reply(buffer_bytes(&many), &used, &action) == SERVICE_BROKEN);
	buffer_free(&many);
}

static void
test_attributes(void **state)
{
	struct buffer b = { 0 };

	(void)state;
	service_attribute(&b, "helo_name", BYTES("a\nrequest=b\r\0c"));
	service_number(&b, "size", 12345);
	SAME("a value ends no line", buffer_bytes(&b), BYTES("helo_name=arequest=bc\nsize=12345\n"));
	buffer_free(&b);
}

UNIT(test_words, test_wrong_words, test_replies, test_attributes)
