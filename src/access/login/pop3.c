/*
 * pop3 -- POP3's AUTHORIZATION state (rfc1939:4, rfc2449 CAPA, rfc2595 STLS, rfc5034 AUTH)
 */
#include "access/login/inside.h"
#include "access/pop3/capability.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/random.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void
pop3_greet(struct login *l)
{
	char word[20];

	if (!l->config->rows.apop) {
		login_say(l, "+OK %s\r\n", l->config->rows.greeting);
		return;
	}
	/* rfc1939:7: a msg-id that is never the same */
	random_word(word, sizeof word);
	(void)snprintf(l->stamp, sizeof l->stamp, "<%s.%" PRId64 "@[%s]>", word, clock_wall(),
	               l->here.text);
	login_say(l, "+OK %s %s\r\n", l->config->rows.greeting, l->stamp);
}

static void
pop3_challenge(struct login *l, struct bytes text)
{
	login_say(l, "+ %.*s\r\n", (int)text.len, text.at);
}

static void
pop3_refuse(struct login *l, enum login_refusal refusal)
{
	static const char *const words[] = {
		/* codes: rfc3206:4, rfc2449:8 */
		[LOGIN_WRONG] = "-ERR [AUTH] Authentication failed.",
		[LOGIN_TEMPORARY] =
			"-ERR [SYS/TEMP] Temporary authentication failure, try again later.",
		[LOGIN_NO_MECHANISM] = "-ERR Unsupported authentication mechanism.",
		[LOGIN_SYNTAX] = "-ERR Invalid SASL message.",
		[LOGIN_DISABLED] = "-ERR [AUTH] This account is disabled.",
	};

	login_say(l, "%s\r\n", words[refusal]);
}

static void
pop3_error(struct login *l, const char *why)
{
	login_say(l, "-ERR %s\r\n", why);
}

static void
bad(struct login *l, const char *why)
{
	pop3_error(l, why);
	login_bad(l);
}

/* ---- commands: the argument is all behind the first blank -------------------------------- */

/* What can be done before the login is told of after it, too (rfc2449:3). */
static void
pop3_offers(const struct login *l, struct buffer *out)
{
	struct buffer sasl = { 0 };

	if (login_plain_allowed(l))
		buffer_add_string(out, "USER\r\n");
	login_mechanisms(l, " ", &sasl);
	if (sasl.len > 0)
		buffer_printf(out, "SASL%.*s\r\n", (int)sasl.len, sasl.at);
	buffer_free(&sasl);
}

static void
run_capa(struct login *l, struct bytes argument)
{
	struct buffer *out = stream_out(l->stream);
	(void)argument;

	buffer_add_string(out, "+OK\r\nCAPA\r\n");
	pop3_capabilities(l->config->pop3, out);
	if (login_offers_tls(l))
		buffer_add_string(out, "STLS\r\n");
	pop3_offers(l, out);
	buffer_add_string(out, "IMPLEMENTATION Mansio\r\n.\r\n");
}

static void
run_quit(struct login *l, struct bytes argument)
{
	(void)argument;
	login_say(l, "+OK Logging out\r\n");
	l->closing = true;
}

static void
run_noop(struct login *l, struct bytes argument)
{
	(void)argument;
	login_say(l, "+OK\r\n");
}

/* rfc6856:2.1; the keeper hears of it as the tag */
static void
run_utf8(struct login *l, struct bytes argument)
{
	if (argument.len > 0) {
		bad(l, "UTF8 takes no argument.");
		return;
	}
	(void)bytes_string(BYTES("UTF8"), l->tag, sizeof l->tag);
	login_say(l, "+OK UTF8 enabled\r\n");
}

static void
run_lang(struct login *l, struct bytes argument)
{
	if (!pop3_language(bytes_trim(argument), stream_out(l->stream)))
		login_bad(l);
}

static void
run_stls(struct login *l, struct bytes argument)
{
	(void)argument;
	if (!login_offers_tls(l) || l->tag[0] != '\0') {
		bad(l, l->secure              ? "TLS is already active."
		       : !login_offers_tls(l) ? "TLS is not available."
		                              : "STLS comes before UTF8.");
		return;
	}
	login_say(l, "+OK Begin TLS negotiation now.\r\n");
	login_starttls(l);
}

static void
refuse_plain(struct login *l)
{
	l->plain_refused = true;
	pop3_error(
		l,
		"[AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.");
}

static void
run_user(struct login *l, struct bytes argument)
{
	if (!login_plain_allowed(l))
		refuse_plain(l);
	else if (argument.len == 0 || bytes_find(argument, '\0') >= 0)
		bad(l, "A user name is wanted.");
	else {
		arena_close(&l->welcome);
		l->welcome = arena_open(NULL);
		l->user = arena_copy(l->welcome, argument);
		login_say(l, "+OK\r\n");
	}
}

static void
run_pass(struct login *l, struct bytes argument)
{
	struct login_attempt attempt = { .user = bytes_of(l->user), .password = argument };

	if (l->user == NULL)
		bad(l, "No username given.");
	else if (argument.len == 0 || bytes_find(argument, '\0') >= 0)
		bad(l, "A password is wanted.");
	else
		login_try(l, &attempt, BYTES("PLAIN"));
}

/* APOP name digest (rfc1939:7) */
static void
run_apop(struct login *l, struct bytes argument)
{
	struct login_attempt attempt = { .mechanism = BYTES("APOP"),
		                         .has_initial = true,
		                         .initial = bytes_of(l->stamp) };
	ptrdiff_t            blank = bytes_find_last(argument, ' ');

	if (l->stamp[0] == '\0')
		bad(l, "APOP is not offered here.");
	else if (blank <= 0 || bytes_find(argument, '\0') >= 0)
		bad(l, "A name and a digest are wanted.");
	else {
		attempt.user = bytes_cut(argument, 0, (size_t)blank);
		attempt.password = bytes_cut(argument, (size_t)blank + 1, argument.len);
		login_try(l, &attempt, attempt.mechanism);
	}
}

/* AUTH mechanism [initial-response]; alone it lists them (rfc5034:4). */
static void
run_auth(struct login *l, struct bytes argument)
{
	struct login_attempt attempt = { 0 };
	struct buffer        initial = { 0 };
	bool                 insecure, whole = true;

	if (argument.len == 0) {
		login_say(l, "+OK");
		login_mechanisms(l, "\r\n", stream_out(l->stream));
		login_say(l, "\r\n.\r\n");
		return;
	}
	(void)bytes_split(&argument, ' ', &attempt.mechanism);
	attempt.has_initial = argument.len > 0;
	if (attempt.has_initial && !bytes_equal(argument, BYTES("=")))
		whole = base64_decode(&initial, argument);
	attempt.initial = buffer_bytes(&initial);
	if (!whole)
		bad(l, "Invalid base64 data in initial response.");
	else if (login_mechanism_allowed(l, attempt.mechanism, &insecure))
		login_try(l, &attempt, attempt.mechanism);
	else if (insecure)
		refuse_plain(l);
	else
		pop3_refuse(l, LOGIN_NO_MECHANISM);
	buffer_free(&initial);
}

/* clang-format off */
static const struct command {
	const char *name;
	void      (*run)(struct login *, struct bytes argument);
} commands[] = {
	{ "CAPA", run_capa }, { "STLS", run_stls }, { "USER", run_user }, { "PASS", run_pass },
	{ "AUTH", run_auth }, { "NOOP", run_noop }, { "QUIT", run_quit }, { "UTF8", run_utf8 },
	{ "LANG", run_lang }, { "APOP", run_apop },
};
/* clang-format on */

static void
pop3_line(struct login *l, struct bytes line)
{
	struct bytes name;

	(void)bytes_split(&line, ' ', &name);
	for (size_t i = 0; i < COUNT(commands); i++)
		if (bytes_is(name, commands[i].name)) {
			commands[i].run(l, line);
			return;
		}
	bad(l, "Unknown command, or not before logging in.");
}

const struct login_protocol login_pop3 = {
	.name = "pop3",
	.greet = pop3_greet,
	.line = pop3_line,
	.challenge = pop3_challenge,
	.refuse = pop3_refuse,
	.broken = pop3_error,
	.bye = pop3_error,
	.offers = pop3_offers,
};
