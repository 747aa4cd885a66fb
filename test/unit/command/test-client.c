#include "unit.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "command/client.h"

/* A session whose server says this and hangs up. */
static struct client *
client_hearing(const char *text)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(write(pair[1], text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(shutdown(pair[1], SHUT_WR), 0);
	(void)dup2(pair[1], 100);
	(void)close(pair[1]);
	return client_over(pair[0]);
}

/* Every value of every answer, as one text. */
static void
write_all(void *ctx, struct client *c, const struct client_answer *a)
{
	struct buffer      *out = ctx;
	struct client_value v;

	buffer_printf(out, "%u %.*s %.*s:", a->number, (int)a->word.len, a->word.at,
	              (int)a->text.len, a->text.at);
	if (a->text.len > 0)
		return;
	for (client_next(c, &v); v.kind != VALUE_END; client_next(c, &v)) {
		if (v.kind == VALUE_OPEN || v.kind == VALUE_CLOSE) {
			buffer_add_char(out, v.kind == VALUE_OPEN ? '(' : ')');
			continue;
		}
		buffer_add_string(out, v.kind == VALUE_ATOM ? " a=" : " s=");
		client_gather(c, &v, out, 8);
	}
}

struct answer_case {
	const char         *why, *says, *wanted;
	enum client_outcome outcome;
};
static const struct answer_case cases[] = {
	{ "rfc3501:6.4.8, as a server writes it",
	  "* 23 FETCH (FLAGS (\\Seen) UID 4828442)\r\nc1 OK done\r\n",
	  "23 FETCH :( a=FLAGS( a=\\Seen) a=UID a=4828442)", CLIENT_OK },
	{ "quoted, escaped, NIL", "* LIST () \"/\" \"a\\\"b\" NIL\r\nc1 NO [X] why\r\n",
	  "0 LIST :() s=/ s=a\"b a=", CLIENT_NO },
	{ "a literal of which the front is wanted",
	  "* 1 FETCH (BODY[] {12}\r\n(abc)\r\nd \"e) UID 7)\r\nc1 OK\r\n",
	  "1 FETCH :( a=BODY[] s=(abc)\r\nd a=UID a=7)", CLIENT_OK },
	{ "brackets hold blanks and parentheses",
	  "* 1 FETCH (BODY[HEADER.FIELDS (TO CC)]<0> {0}\r\n)\r\nc1 OK\r\n",
	  "1 FETCH :( a=BODY[HEA s=)", CLIENT_OK },
	{ "conditions are text", "* OK [UIDVALIDITY 7] (UIDs \"valid\r\nc1 BAD no\r\n",
	  "0 OK [UIDVALIDITY 7] (UIDs \"valid:", CLIENT_BAD },
	{ "it hangs up", "* 1 EXISTS\r\n* BYE\r\n", "1 EXISTS :0 BYE :", CLIENT_LOST },
	{ "half an answer", "* 1 FETCH (UID", "1 FETCH :(", CLIENT_LOST },
	{ "a literal that never comes", "* 1 FETCH (BODY[] {99}\r\nab", "1 FETCH :( a=BODY[] s=ab",
	  CLIENT_LOST },
};

static void
test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer       out = { 0 };
		struct client      *c = client_hearing(cases[i].says);
		enum client_outcome o = client_say(c, write_all, &out, "NOOP");

		SAME(cases[i].why, buffer_bytes(&out), bytes_of(cases[i].wanted));
		HOLDS(cases[i].why, o == cases[i].outcome);
		client_close(&c);
		buffer_free(&out);
		(void)close(100);
	}
}

UNIT(test_answers)
