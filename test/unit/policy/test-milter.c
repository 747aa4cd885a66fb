#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "policy/milter-chain.h"

/*
 * A filter that answers as it is told: for each command the bytes that libmilter (8.17) has said in a conversation
 * that was written down.
 */

struct answer {
	char        command;
	const char *bytes;
	size_t      len;
};
#define SAYS(c, text) { c, text, sizeof(text) - 1 }
#define OPTIONS(steps) "\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff" steps
#define GO_ON          "\0\0\0\x01" "c"

enum { FILTERS = 2 };
struct mouth {
	struct milter_line  *line;
	const struct answer *script;
	struct buffer        out, heard, log; /* log: the commands, a letter each; macros and values, too */
	bool                 refuses, deaf, gone, pending;
};
static struct mouth mouths[FILTERS];
static unsigned     opened;

static struct buffer made_text, made_front, said_reply;
static struct milter_said said;
static unsigned answers;
static struct bytes letter;
static struct buffer bodies;
static char changes[400];

static void *
fake_connect(void *house, struct milter_line *l)
{
	const char   *name = l->milter->name;
	struct mouth *m = &mouths[name[strlen(name) - 1] - '1'];

	(void)house;
	opened++;
	m->line = l;
	m->pending = true;
	m->gone = false;
	return m;
}
static struct buffer *
fake_out(void *mouth)
{
	return &((struct mouth *)mouth)->out;
}
static size_t
fake_pending(void *mouth)
{
	(void)mouth;
	return 0;
}
static void
fake_patience(void *mouth, int64_t ms)
{
	(void)mouth;
	(void)ms;
}
static void
fake_hang_up(void *mouth)
{
	((struct mouth *)mouth)->gone = true;
}
static int64_t
fake_read(void *source, uint64_t at, char *to, size_t room)
{
	struct bytes all = source == &bodies ? buffer_bytes(&bodies) : letter;
	struct bytes part = bytes_cut(all, (size_t)at, room < 7 ? room : 7);

	memcpy(to, part.at, part.len);
	return (int64_t)part.len;
}
static void *
fake_open(void *house)
{
	(void)house;
	buffer_reset(&bodies);
	return &bodies;
}
static bool
fake_add(void *source, struct bytes more)
{
	buffer_add(source, more);
	return true;
}
static void
fake_close(void **source)
{
	*source = NULL;
}
static const struct milter_needs needs = {
	.connect = fake_connect, .out = fake_out, .pending = fake_pending, .patience = fake_patience,
	.hang_up = fake_hang_up, .read = fake_read, .source_open = fake_open, .source_add = fake_add,
	.source_close = fake_close,
};

static void
keep_said(const struct milter_said *s)
{
	answers++;
	said = *s;
	buffer_reset(&said_reply);
	buffer_add_string(&said_reply, s->reply != NULL ? s->reply : "");
}
static void
on_said(void *ctx, const struct milter_said *s)
{
	(void)ctx;
	keep_said(s);
}
static void
on_made(void *ctx, const struct milter_made *m)
{
	struct bytes file = m->body != NULL ? buffer_bytes(&bodies) : BYTES("");

	(void)ctx;
	keep_said(&m->said);
	buffer_reset(&made_text);
	buffer_reset(&made_front);
	buffer_add(&made_front, m->front);
	assert_true(edits_fit(&m->edits, letter.len, file.len));
	edits_apply(&m->edits, letter, file, &made_text);
	changes[0] = '\0';
	for (size_t i = 0; i < m->envelopes; i++)
		snprintf(changes + strlen(changes), sizeof changes - strlen(changes), "%c%.*s %.*s;",
		         "=+-"[m->envelope[i].change], (int)m->envelope[i].address.len,
		         m->envelope[i].address.at, (int)m->envelope[i].parameters.len,
		         m->envelope[i].parameters.at);
}

/* One frame of what was said to it. */
static void
hear_frame(struct mouth *m, uint8_t word, struct bytes body)
{
	buffer_add_char(&m->log, (char)word);
	if (word == MILTER_MACROS || word == MILTER_HEADER || word == MILTER_MAIL) {
		for (size_t i = 0; i < body.len; i++)
			buffer_add_char(&m->log, body.at[i] == '\0' ? '|' : body.at[i]);
		buffer_add_char(&m->log, '\n');
	}
	for (const struct answer *a = m->script; a->command != '\0' && !m->deaf; a++)
		if (a->command == (char)word)
			buffer_add(&m->heard, (struct bytes){ a->bytes, a->len });
}

static bool
pump_one(struct mouth *m)
{
	struct bytes body;
	uint8_t      word;
	size_t       used;

	if (m->pending) {
		m->pending = false;
		if (m->refuses) {
			m->gone = true;
			milter_line_lost(m->line, "Connection refused");
		} else
			milter_line_connected(m->line);
		return true;
	}
	if (milter_frame(buffer_bytes(&m->out), &word, &body, &used) == MILTER_WHOLE) {
		hear_frame(m, word, body);
		buffer_eat(&m->out, used);
		return true;
	}
	if (m->heard.len > 0 && !m->gone) {
		used = milter_line_heard(m->line, buffer_bytes(&m->heard));
		buffer_eat(&m->heard, m->gone ? m->heard.len : used);
		return used > 0 || m->gone;
	}
	return false;
}

static void
pump(void)
{
	bool more = true;

	while (more) {
		more = false;
		for (int i = 0; i < FILTERS; i++)
			more = pump_one(&mouths[i]) || more;
	}
}

static struct milter_set *
set_of(const char *list, int default_action)
{
	struct arena          *a = arena_open(NULL);
	struct buffer          errors = { 0 }, text = { 0 };
	struct milter_settings s;
	struct settings       *file;
	struct milter_set     *set;
	static const char *const words[] = { "accept", "reject", "tempfail", "quarantine", "shutdown" };

	buffer_printf(&text, "smtpd_milters = %s\nmilter_default_action = %s\n", list, words[default_action]);
	buffer_add_string(&text, "milter_macro_daemon_name = d\nmilter_macro_v = v\n");
	file = settings_read(buffer_bytes(&text), "main.cf", &errors, &errors);
	settings_tables(file, &milter_setting_table, 1);
	assert_true(settings_fill(file, &milter_setting_table, NULL, &s, &errors));
	set = milter_set_open(&s, &s.smtpd, &errors);
	settings_close(&file);
	buffer_free(&text);
	buffer_free(&errors);
	arena_close(&a);
	return set;
}

static void
clear(void)
{
	for (int i = 0; i < FILTERS; i++) {
		buffer_free(&mouths[i].out);
		buffer_free(&mouths[i].heard);
		buffer_free(&mouths[i].log);
		mouths[i] = (struct mouth){ .line = NULL };
	}
	answers = opened = 0;
}

static struct milter_chain *
chain_of(struct milter_set *set)
{
	return milter_chain_open(set, &needs, NULL, on_said, on_made, NULL);
}

static void
event(struct milter_chain *c, enum milter_stage stage)
{
	struct bytes        argument[2] = { BYTES("client.example"), BYTES("192.0.2.1") };
	struct milter_macro macro = { BYTES("i"), BYTES("1A") };
	struct milter_event e = { .stage = stage, .argument = argument, .arguments = 2, .family = '4', .port = 1234 };

	if (stage == STAGE_MAIL)
		argument[0] = BYTES("<s@out.example>"), argument[1] = BYTES("SIZE=9");
	if (stage == STAGE_MAIL)
		e.macros = (struct milter_macros){ &macro, 1 };
	if (stage == STAGE_HELO || stage == STAGE_RCPT)
		e.arguments = 1;
	if (stage == STAGE_DATA)
		e.arguments = 0;
	milter_chain_event(c, &e);
	pump();
}

static void
content(struct milter_chain *c)
{
	milter_chain_content(c, &(struct milter_content){ .source = &letter, .len = letter.len, .most = 1000 });
	pump();
}

#define LETTER "Received: x\r\nSubject: old\r\nX-Fold: a\r\n\tb\r\nX-A: 1\r\nX-A: 2\r\n\r\nHello.\r\n"

/* What libmilter said for smfi_addheader() and its sisters. */
static const struct answer content_of_all[] = {
	SAYS('O', OPTIONS("\0\0\0\0")), SAYS('C', GO_ON), SAYS('H', GO_ON), SAYS('M', GO_ON), SAYS('R', GO_ON),
	SAYS('T', GO_ON), SAYS('L', GO_ON), SAYS('N', GO_ON), SAYS('B', GO_ON),
	SAYS('E', "\0\0\0\x07hX-A\0b\0" "\0\0\0\x0di\0\0\0\x01X-I\0one\0" "\0\0\0\x11m\0\0\0\x01Subject\0new\0"
	          "\0\0\0\x0am\0\0\0\x02X-A\0\0" "\0\0\0\x0di\0\0\0\0X-0\0top\0" "\0\0\0\x06" "bNew\r\n"
	          "\0\0\0\x18" "e<new@x.example>\0SIZE=1\0" "\0\0\0\x0f+<r@x.example>\0"
	          "\0\0\0\x1c" "2<p@x.example>\0NOTIFY=NEVER\0" "\0\0\0\x0f-<d@x.example>\0" "\0\0\0\x05qwhy\0"
	          "\0\0\0\x01p" GO_ON),
	{ 0 },
};
/* And one that wants no answers to wait for. */
static const struct answer listens[] = {
	SAYS('O', OPTIONS("\0\x0f\xf4\x80")), SAYS('E', GO_ON), { 0 },
};

static void
test_each_change(void **state)
{
	struct milter_set   *set = set_of("inet:127.0.0.1:1 inet:127.0.0.1:2", DEFAULT_TEMPFAIL);
	struct milter_chain *c;

	(void)state;
	clear();
	letter = BYTES(LETTER);
	mouths[0].script = content_of_all;
	mouths[1].script = listens;
	c = chain_of(set);
	for (int i = 0; i < 5; i++) {
		event(c, (enum milter_stage[]){ STAGE_CONNECT, STAGE_HELO, STAGE_MAIL, STAGE_RCPT, STAGE_DATA }[i]);
		assert_null(said.reply);
	}
	content(c);
	assert_int_equal(answers, 6);
	assert_null(said.reply);
	assert_true(said.hold);
	SAME("quarantine", bytes_of(said.reason), BYTES("why"));
	SAME("the letter", buffer_bytes(&made_text),
	     BYTES("X-I: one\r\nReceived: x\r\nSubject: new\r\nX-Fold: a\r\n\tb\r\nX-A: 1\r\nX-A: b\r\n\r\nNew\r\n"));
	SAME("before our own Received field", buffer_bytes(&made_front), BYTES("X-0: top\r\n"));
	SAME("the envelope", bytes_of(changes),
	     BYTES("=new@x.example SIZE=1;+r@x.example ;+p@x.example NOTIFY=NEVER;-d@x.example ;"));
	SAME("what the first heard", buffer_bytes(&mouths[0].log),
	     BYTES("ODC{daemon_name}|d|v|v|\nCHDMi|1A|\nM<s@out.example>|SIZE=9|\nDRi|1A|\nRDTi|1A|\nTLReceived|x|\nLSubject|old|\n"
	           "LX-Fold|a\n\tb|\nLX-A|1|\nLX-A|2|\nDNi|1A|\nNBBDEi|1A|\nE"));
	SAME("what the second heard", buffer_bytes(&mouths[1].log),
	     BYTES("ODC{daemon_name}|d|v|v|\nCHDMi|1A|\nM<s@out.example>|SIZE=9|\nDRi|1A|\nRDTi|1A|\nTLX-0|top|\nLX-I|one|\nLReceived|x|\n"
	           "LSubject|new|\nLX-Fold|a\n\tb|\nLX-A|1|\nLX-A|b|\nDNi|1A|\nNBDEi|1A|\nE"));
	milter_chain_close(&c);
	pump();
	assert_true(mouths[0].gone && mouths[1].gone);
	milter_set_drop(&set);
}

/* What a filter does at some event, and what the client hears of it. */
static void
test_refusals(void **state)
{
	static const struct {
		const char       *why;
		enum milter_stage stage;
		int               default_action;
		struct answer     does;
		const char       *reply;
		bool              shut, discard, hold;
		const char       *later;     /* to the same at the next MAIL */
	} rows[] = {
		{ "reject", STAGE_MAIL, DEFAULT_TEMPFAIL, SAYS('M', "\0\0\0\x01r"), "550 5.7.1 Command rejected", 0, 0, 0, "550 5.7.1 Command rejected" },
		{ "tempfail", STAGE_RCPT, DEFAULT_TEMPFAIL, SAYS('R', "\0\0\0\x01t"), "451 4.7.1 Service unavailable - try again later", 0, 0, 0, "" },
		{ "lines of a reply", STAGE_DATA, DEFAULT_TEMPFAIL, SAYS('T', "\0\0\0\x22y554-5.7.1 one 5%%\r\n554 5.7.1 two\0"), "554-5.7.1 one 5%\r\n554 5.7.1 two", 0, 0, 0, "" },
		{ "refused at connect, so in all the session", STAGE_CONNECT, DEFAULT_TEMPFAIL, SAYS('C', "\0\0\0\x01r"), "550 5.7.1 Command rejected", 0, 0, 0, "550 5.7.1 Command rejected" },
		{ "421 is the end", STAGE_HELO, DEFAULT_TEMPFAIL, SAYS('H', "\0\0\0\x0ey421 4.7.0 no\0"), "421 4.7.0 no", 1, 0, 0, "421 4.7.0 no" },
		{ "shutdown", STAGE_MAIL, DEFAULT_TEMPFAIL, SAYS('M', "\0\0\0\x01" "4"), "421 4.7.0 Server closing connection", 1, 0, 0, "421 4.7.0 Server closing connection" },
		{ "discard", STAGE_RCPT, DEFAULT_TEMPFAIL, SAYS('R', "\0\0\0\x01" "d"), "", 0, 1, 0, "" },
		{ "discard at connect is nonsense", STAGE_CONNECT, DEFAULT_REJECT, SAYS('C', "\0\0\0\x01" "d"), "550 5.5.0 Service unavailable", 0, 0, 0, "550 5.5.0 Service unavailable" },
		{ "nonsense", STAGE_MAIL, DEFAULT_ACCEPT, SAYS('M', "GET / HTTP/1.1"), "", 0, 0, 0, "" },
		{ "nonsense", STAGE_MAIL, DEFAULT_QUARANTINE, SAYS('M', "\0\0\0\x01Z"), "", 0, 0, 1, "" },
		{ "an empty frame", STAGE_MAIL, DEFAULT_SHUTDOWN, SAYS('M', "\0\0\0\0"), "421 4.7.0 Server closing connection", 1, 0, 0, "421 4.7.0 Server closing connection" },
		{ "a change before the end", STAGE_MAIL, DEFAULT_TEMPFAIL, SAYS('M', "\0\0\0\x07hX-A\0b\0"), "451 4.7.1 Service unavailable - try again later", 0, 0, 0, "451 4.7.1 Service unavailable - try again later" },
		{ "a reply that is none", STAGE_MAIL, DEFAULT_TEMPFAIL, SAYS('M', "\0\0\0\x08y250 ok\0"), "451 4.7.1 Service unavailable - try again later", 0, 0, 0, "451 4.7.1 Service unavailable - try again later" },
		{ "two answers to one question", STAGE_MAIL, DEFAULT_TEMPFAIL, SAYS('M', GO_ON "\0\0\0\x01r"), "", 0, 0, 0, "451 4.7.1 Service unavailable - try again later" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct answer script[] = { rows[i].does, SAYS('O', OPTIONS("\0\0\0\0")), SAYS('C', GO_ON), SAYS('H', GO_ON),
			                   SAYS('M', GO_ON), SAYS('R', GO_ON), SAYS('T', GO_ON), { 0 } };
		struct milter_set   *set = set_of("inet:127.0.0.1:1", rows[i].default_action);
		struct milter_chain *c;

		clear();
		for (struct answer *a = script + 1; a->command != '\0'; a++)
			if (a->command == rows[i].does.command)
				*a = (struct answer)SAYS(' ', "");
		mouths[0].script = script;
		c = chain_of(set);
		for (int s = STAGE_CONNECT; s <= (int)rows[i].stage; s++)
			event(c, (enum milter_stage)s);
		SAME(rows[i].why, buffer_bytes(&said_reply), bytes_of(rows[i].reply));
		HOLDS(rows[i].why, said.shut == rows[i].shut && said.discard == rows[i].discard && said.hold == rows[i].hold);
		milter_chain_abort(c);
		event(c, STAGE_MAIL);
		SAME(rows[i].why, buffer_bytes(&said_reply), bytes_of(rows[i].later));
		milter_chain_close(&c);
		milter_set_drop(&set);
	}
}

/* The end of a letter is refused; the next letter of the session is another one. */
static void
test_accepting_is_for_one_letter(void **state)
{
	static const struct answer script[] = { SAYS('O', OPTIONS("\0\x0f\x04\x80")), SAYS('C', GO_ON), SAYS('H', GO_ON), SAYS('M', GO_ON),
		                                SAYS('R', "\0\0\0\x01" "a"), { 0 } };
	struct milter_set   *set = set_of("inet:127.0.0.1:1", DEFAULT_TEMPFAIL);
	struct milter_chain *c;

	(void)state;
	clear();
	letter = BYTES(LETTER);
	mouths[0].script = script;
	c = chain_of(set);
	for (int twice = 0; twice < 2; twice++) {
		for (int s = twice ? STAGE_MAIL : STAGE_CONNECT; s <= STAGE_DATA; s++)
			event(c, (enum milter_stage)s);
		content(c);
		SAME("it is as it was", buffer_bytes(&made_text), letter);
		milter_chain_abort(c);
		pump();
	}
	SAME("it heard of neither DATA nor content", buffer_bytes(&mouths[0].log),
	     BYTES("ODC{daemon_name}|d|v|v|\nCHDMi|1A|\nM<s@out.example>|SIZE=9|\nDRi|1A|\nRADMi|1A|\nM<s@out.example>|SIZE=9|\nDRi|1A|\nRA"));
	milter_chain_close(&c);
	milter_set_drop(&set);
}

/* A filter that knows QUIT_NC serves one session after the other; if its connection has ended meanwhile, another is made. */
static void
test_a_connection_is_used_again(void **state)
{
	static const struct answer script[] = { SAYS('O', OPTIONS("\0\0\0\0")), SAYS('C', GO_ON), SAYS('M', GO_ON), { 0 } };
	struct milter_set   *set = set_of("{ inet:127.0.0.1:1, reuse = yes }", DEFAULT_TEMPFAIL);
	struct milter_chain *c;

	(void)state;
	clear();
	mouths[0].script = script;
	for (int i = 0; i < 2; i++) {
		c = chain_of(set);
		event(c, STAGE_CONNECT);
		assert_int_equal(answers, (unsigned)i + 1);
		milter_chain_close(&c);
		pump();
	}
	assert_int_equal(opened, 1);
	SAME("one after the other", buffer_bytes(&mouths[0].log), BYTES("ODC{daemon_name}|d|v|v|\nCKDC{daemon_name}|d|v|v|\nCK"));
	mouths[0].deaf = true;
	c = chain_of(set);
	event(c, STAGE_CONNECT);
	assert_int_equal(answers, 2);
	mouths[0].deaf = false;
	buffer_reset(&mouths[0].log);
	milter_line_lost(mouths[0].line, "end of file");
	pump();
	assert_int_equal(opened, 2);
	assert_int_equal(answers, 3);
	assert_null(said.reply);
	milter_chain_close(&c);
	milter_set_let_go(set);
	pump();
	assert_true(mouths[0].gone);
	milter_set_drop(&set);
}

static void
test_settings(void **state)
{
	static const struct { const char *why, *text; bool good; } rows[] = {
		{ "a port", "inet:localhost:8891", true },
		{ "a socket", "unix:/run/opendkim/opendkim.sock, local:/run/x", true },
		{ "an address of IPv6", "inet:[2001:db8::1]:8891", true },
		{ "options", "{ inet:127.0.0.1:1, connect_timeout = 3s, default_action=accept, protocol = 6 no_header_reply }", true },
		{ "a port that is none", "inet:localhost:0", false },
		{ "no port", "inet:localhost", false },
		{ "a path within Postfix's queue directory", "local:opendkim/opendkim.sock", true },
		{ "no path", "unix:", false },
		{ "no type", "localhost:8891", false },
		{ "an unknown option", "{ inet:127.0.0.1:1, timeout = 3s }", false },
		{ "a bad time", "{ inet:127.0.0.1:1, connect_timeout = soon }", false },
		{ "version 5 there is none", "{ inet:127.0.0.1:1, protocol = 5 }", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct milter_set *set = set_of(rows[i].text, DEFAULT_ACCEPT);

		HOLDS(rows[i].why, (set != NULL) == rows[i].good);
		milter_set_drop(&set);
	}
}

/* Values of fields that would end the header, or begin another field. */
static void
test_fields_stay_fields(void **state)
{
	static const struct { const char *why, *name, *value, *text; bool good; } rows[] = {
		{ "plain", "X-A", "b", "X-A: b\r\n", true },
		{ "folded", "X-A", "b\n\tc", "X-A: b\r\n\tc\r\n", true },
		{ "a line that is none of it", "X-A", "b\nEvil: c", "X-A: b\r\n\tEvil: c\r\n", true },
		{ "an empty line", "X-A", "b\r\n\r\nc", "X-A: b\r\n\tc\r\n", true },
		{ "CR alone", "X-A", "b\rc", "X-A: bc\r\n", true },
		{ "a name with a colon", "X:A", "b", "", false },
		{ "a name with a line end", "X\r\nA", "b", "", false },
		{ "no name", "", "b", "", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena        *a = arena_open(NULL);
		struct milter_header h;
		struct edits         e = edits_in(a);
		struct buffer        out = { 0 }, front = { 0 };

		milter_header_read(&h, a, BYTES("From: x\r\n"));
		HOLDS(rows[i].why, milter_header_insert(&h, 1, bytes_of(rows[i].name), " ", bytes_of(rows[i].value)) == rows[i].good);
		assert_true(milter_header_edits(&h, &e, &front));
		edits_apply(&e, BYTES("From: x\r\n"), BYTES(""), &out);
		HOLDS(rows[i].why, bytes_ends_nocase(buffer_bytes(&out), BYTES("From: x\r\n")));
		SAME(rows[i].why, bytes_cut(buffer_bytes(&out), 0, out.len - 9), bytes_of(rows[i].text));
		buffer_free(&out);
		buffer_free(&front);
		arena_close(&a);
	}
}

UNIT(test_each_change, test_refusals, test_accepting_is_for_one_letter, test_a_connection_is_used_again, test_settings,
     test_fields_stay_fields)
