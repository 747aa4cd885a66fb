/*
 * imap -- IMAP before authentication (rfc3501:6.1, 6.2): what a client may say to a
 * server that does not know it yet
 */
#include "access/imap/capability.h"
#include "access/login/inside.h"
#include "base/base64.h"
#include "base/scan.h"
#include <string.h>

enum { TAG_MOST = 64 };

/* ---- grammar: tag, atom, astring (rfc3501:9) ------------------------------------------- */

static bool
is_atom(char c)
{
	return (unsigned char)c > 0x20 && (unsigned char)c < 0x7f &&
	       strchr("(){%*\"\\]", c) == NULL;
}

static bool
is_astring(char c)
{
	return is_atom(c) || c == ']';
}

static bool
is_tag(char c)
{
	return is_astring(c) && c != '+';
}

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE */
static struct bytes
quoted(struct scan *r, struct arena *a)
{
	char  *out = arena_take(a, r->rest.len + 1);
	size_t n = 0;

	scan_expect(r, "\"");
	while (scan_ok(r) && !scan_next_is(r, '"')) {
		struct bytes c;

		(void)scan_skip(r, '\\');
		c = scan_take(r, 1);
		if (!scan_ok(r) || c.at[0] == '\0' || c.at[0] == '\r' || c.at[0] == '\n')
			scan_fail(r, "quoted string");
		else
			out[n++] = c.at[0];
	}
	scan_expect(r, "\"");
	return (struct bytes){ out, n };
}

/* literal = "{" number ["+"] "}" CRLF *CHAR8; the bytes stand behind it already */
static struct bytes
literal(struct scan *r)
{
	struct bytes content;
	uint64_t     size;

	scan_expect(r, "{");
	size = scan_number(r, LOGIN_LITERAL_MOST);
	(void)scan_skip(r, '+');
	scan_expect(r, "}");
	(void)scan_skip(r, '\r');
	scan_expect(r, "\n");
	content = scan_take(r, (size_t)size);
	if (scan_ok(r) && bytes_find(content, '\0') >= 0)
		scan_fail(r, "literal without NUL");
	return content;
}

static struct bytes
astring(struct scan *r, struct arena *a)
{
	struct bytes word;

	if (scan_next_is(r, '"'))
		return quoted(r, a);
	if (scan_next_is(r, '{'))
		return literal(r);
	word = scan_while(r, is_astring);
	if (word.len == 0)
		scan_fail(r, "string");
	return word;
}

/* ---- answers -------------------------------------------------------------------------------- */

static void
ok(struct login *l, const char *words)
{
	login_say(l, "%s OK %s\r\n", l->tag, words);
}

static void
bad(struct login *l, const char *words)
{
	login_say(l, "%s BAD %s\r\n", l->tag[0] != '\0' ? l->tag : "*", words);
	login_bad(l);
}

static void
add_capabilities(const struct login *l, struct buffer *out)
{
	capability_write_before(out);
	if (login_offers_tls(l))
		buffer_add_string(out, " STARTTLS");
	login_mechanisms(l, " AUTH=", out);
	if (!login_plain_allowed(l))
		buffer_add_string(out, " LOGINDISABLED");
}

static void
imap_greet(struct login *l)
{
	struct buffer *out = stream_out(l->stream);

	buffer_add_string(out, "* OK [CAPABILITY ");
	add_capabilities(l, out);
	buffer_printf(out, "] %s\r\n", l->config->rows.greeting);
}

static void
imap_challenge(struct login *l, struct bytes text)
{
	login_say(l, "+ %.*s\r\n", (int)text.len, text.at);
}

static void
imap_refuse(struct login *l, enum login_refusal refusal)
{
	/* clang-format off */
	static const char *const words[] = {
		[LOGIN_WRONG]        = "NO [AUTHENTICATIONFAILED] Authentication failed.",
		[LOGIN_TEMPORARY]    = "NO [UNAVAILABLE] Temporary authentication failure, try again later.",
		[LOGIN_NO_MECHANISM] = "NO [CANNOT] Unsupported authentication mechanism.",
		[LOGIN_SYNTAX]       = "BAD Invalid SASL message.",
		[LOGIN_DISABLED]     = "NO [CONTACTADMIN] This account is disabled." /* rfc5530:3 */,
	};
	/* clang-format on */

	login_say(l, "%s %s\r\n", l->tag, words[refusal]);
}

static void
imap_broken(struct login *l, const char *why)
{
	login_say(l, "%s BAD %s\r\n", l->tag, why);
}

static void
imap_bye(struct login *l, const char *words)
{
	login_say(l, "* BYE %s\r\n", words);
}

/* ---- commands ------------------------------------------------------------------------------------ */

static void
run_capability(struct login *l, struct scan *r, struct arena *a)
{
	struct buffer *out = stream_out(l->stream);
	(void)r, (void)a;

	buffer_add_string(out, "* CAPABILITY ");
	add_capabilities(l, out);
	buffer_add_string(out, "\r\n");
	ok(l, "Pre-login capabilities listed, post-login capabilities have more.");
}

static void
run_noop(struct login *l, struct scan *r, struct arena *a)
{
	(void)r, (void)a;
	ok(l, "NOOP completed.");
}

static void
run_logout(struct login *l, struct scan *r, struct arena *a)
{
	(void)r, (void)a;
	login_say(l, "* BYE Logging out\r\n");
	ok(l, "Logout completed.");
	l->closing = true;
}

/* rfc2971: what the client says of itself is not needed here. */
static void
run_id(struct login *l, struct scan *r, struct arena *a)
{
	(void)r, (void)a;
	login_say(l, "* ID (\"name\" \"Mansio\")\r\n");
	ok(l, "ID completed.");
}

static void
run_starttls(struct login *l, struct scan *r, struct arena *a)
{
	(void)r, (void)a;
	if (l->secure)
		bad(l, "TLS is already active.");
	else if (!login_offers_tls(l))
		bad(l, "TLS is not available.");
	else {
		ok(l, "Begin TLS negotiation now.");
		login_starttls(l);
	}
}

static void
refuse_plain(struct login *l)
{
	l->plain_refused = true;
	login_say(
		l,
		"%s NO [PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.\r\n",
		l->tag);
}

static void
run_login(struct login *l, struct scan *r, struct arena *a)
{
	struct login_attempt attempt = { 0 };

	scan_expect(r, " ");
	attempt.user = astring(r, a);
	scan_expect(r, " ");
	attempt.password = astring(r, a);
	scan_end(r);
	if (!scan_ok(r))
		bad(l, "Error in IMAP command LOGIN: right would be LOGIN user password.");
	else if (!login_plain_allowed(l))
		refuse_plain(l);
	else
		login_try(l, &attempt, BYTES("LOGIN"));
}

/* authenticate = "AUTHENTICATE" SP auth-type [SP (base64 / "=")]   rfc4959:7 */
static void
run_authenticate(struct login *l, struct scan *r, struct arena *a)
{
	struct login_attempt attempt = { 0 };
	struct buffer        initial = { 0 };
	bool                 insecure;

	scan_expect(r, " ");
	attempt.mechanism = scan_while(r, is_atom);
	if (scan_skip(r, ' ')) {
		attempt.has_initial = true;
		struct bytes text = r->rest;
		if (!bytes_equal(text, BYTES("=")) && !base64_decode(&initial, text))
			scan_fail(r, "base64");
		attempt.initial = arena_keep(a, buffer_bytes(&initial));
		buffer_free(&initial);
	} else
		scan_end(r);
	if (!scan_ok(r) || attempt.mechanism.len == 0)
		bad(l,
		    "Error in IMAP command AUTHENTICATE: right would be AUTHENTICATE mechanism [base64].");
	else if (login_mechanism_allowed(l, attempt.mechanism, &insecure))
		login_try(l, &attempt, attempt.mechanism);
	else if (insecure)
		refuse_plain(l);
	else
		imap_refuse(l, LOGIN_NO_MECHANISM);
}

/* clang-format off */
static const struct command {
	const char *name;
	void      (*run)(struct login *, struct scan *, struct arena *);
	bool        takes;             /* reads its own arguments */
} commands[] = {
	{ "CAPABILITY",   run_capability,   false },
	{ "NOOP",         run_noop,         false },
	{ "LOGOUT",       run_logout,       false },
	{ "ID",           run_id,           true  },
	{ "STARTTLS",     run_starttls,     false },
	{ "LOGIN",        run_login,        true  },
	{ "AUTHENTICATE", run_authenticate, true  },
};
/* clang-format on */

static void
imap_line(struct login *l, struct bytes line)
{
	struct arena         *a = arena_open(NULL);
	struct scan           r = scan_of(line);
	struct bytes          tag = scan_while(&r, is_tag), name;
	const struct command *c = NULL;

	l->tag[0] = '\0';
	scan_expect(&r, " ");
	name = scan_while(&r, is_atom);
	if (!scan_ok(&r) || tag.len == 0 || tag.len > TAG_MOST || name.len == 0) {
		bad(l, "Error in IMAP command: a tag, a blank and a command are wanted.");
		goto out;
	}
	(void)bytes_string(tag, l->tag, sizeof l->tag);
	for (size_t i = 0; i < COUNT(commands); i++)
		if (bytes_is(name, commands[i].name))
			c = &commands[i];
	if (c == NULL)
		bad(l, "Error in IMAP command: unknown, or not before logging in.");
	else if (!c->takes && !scan_done(&r))
		bad(l, "Error in IMAP command: no arguments are wanted.");
	else
		c->run(l, &r, a);
out:
	arena_close(&a);
}

const struct login_protocol login_imap = {
	.name = "imap",
	.greet = imap_greet,
	.line = imap_line,
	.challenge = imap_challenge,
	.refuse = imap_refuse,
	.broken = imap_broken,
	.bye = imap_bye,
	.literals = true,
};
