#include "access/login/inside.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/journal.h"
#include "base/random.h"
#include "channel/line.h"
#include "sasl/sasl.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define AT(f) offsetof(struct login_settings, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "disable_plaintext_auth", SETTING_BOOL, AT(disable_plaintext_auth), "yes", "Refuse passwords that would cross the network outside TLS.", .since = "0.1" },
	{ "ssl", SETTING_CHOICE, AT(ssl), "yes", "TLS for IMAP and POP3: yes, it is offered; required, nobody logs in without it, by whatever mechanism; no, STARTTLS is not offered.", "yes,required,no", .since = "0.2" },
	{ "login_timeout", SETTING_TIME, AT(timeout_ms), "60s", "Time a client of IMAP or POP3 has to log in, in all.", .since = "0.1" },
	{ "login_failure_limit", SETTING_NUMBER, AT(failures_most), "3", "Failed logins in one connection before it is closed; 0 means no limit.", .since = "0.1" },
	{ "login_greeting", SETTING_TEXT, AT(greeting), "$mail_name ready.", "What IMAP and POP3 say first.", .since = "0.1" },
	{ "login_client_connection_limit", SETTING_NUMBER, AT(per_address), "50", "Connections of one network that have not logged in yet; 0 means no limit.", .since = "0.1" },
	{ "login_upstream_proxy_protocol", SETTING_CHOICE, AT(proxy), "", "What a proxy before IMAP and POP3 says first of its client: haproxy, the PROXY protocol, versions 1 and 2; empty: there is no proxy.  Set it for a listener that clients themselves cannot reach (imap/login_upstream_proxy_protocol = haproxy).", ",haproxy", .since = "0.3" },
	{ "login_upstream_proxy_timeout", SETTING_TIME, AT(proxy_timeout), "5s", "How long the proxy may take for that.", NULL, 1, 0, .since = "0.3" },
	{ "pop3_apop", SETTING_BOOL, AT(apop), "no", "Offer POP3's APOP, for accounts whose plain secret is kept (account add --keep-plain-secret).", .since = "0.1" },
	{ "auth_mechanisms", SETTING_LIST, AT(mechanisms), "$sasl_mechanisms", "SASL mechanisms offered to IMAP and POP3.", .since = "0.1" },
};
/* clang-format on */
#undef AT
const struct setting_table login_setting_table = { "Logging in to IMAP and POP3", rows,
	                                           COUNT(rows) };

/* ---- the log ------------------------------------------------------------------------ */

/* "user=<jack>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.2, mpid=17, TLS, session=<...>" as Dovecot says it. */
struct line {
	char service[80], who[512], how[80];
};

static void
line_make(const struct login *l, const char *what, const char *user, struct line *out)
{
	char   how[48] = "", who[256];
	size_t n = 0;

	/* What somebody calls himself cannot look like another field to those who read the log. */
	for (; user[n] != '\0' && n + 1 < sizeof who; n++)
		who[n] = strchr("<> ,", user[n]) != NULL ? '?' : user[n];
	who[n] = '\0';
	(void)snprintf(out->service, sizeof out->service, "%s/%s-login", l->config->syslog_name,
	               l->protocol->name);
	if (l->method[0] != '\0')
		(void)snprintf(how, sizeof how, "method=%s, ", l->method);
	(void)snprintf(out->who, sizeof out->who, "%s: user=<%s>, %srip=%s, lip=%s", what, who, how,
	               l->peer.text, l->here.text);
	(void)snprintf(out->how, sizeof out->how, "%s, session=<%s>", l->secure ? ", TLS" : "",
	               l->session);
}

static void
note_login(const struct login *l, const char *what, const char *user)
{
	struct line line;

	line_make(l, what, user, &line);
	note_as(line.service, "%s%s", line.who, line.how);
}

static void
note_end(const struct login *l, const char *why)
{
	char    what[200];
	int64_t seconds = (clock_patient_ms() - l->begun_ms) / 1000;

	if (l->failures > 0)
		(void)snprintf(what, sizeof what,
		               "%s (auth failed, %d attempts in %" PRId64 " secs)", why,
		               l->failures, seconds);
	else if (l->attempts > 0)
		(void)snprintf(what, sizeof what,
		               "%s (client didn't finish SASL auth, waited %" PRId64 " secs)", why,
		               seconds);
	else if (l->plain_refused)
		(void)snprintf(what, sizeof what, "%s (tried to use disallowed plaintext auth)",
		               why);
	else
		(void)snprintf(what, sizeof what, "%s (no auth attempts in %" PRId64 " secs)", why,
		               seconds);
	note_login(l, what, l->tried);
}

/* ---- ends ------------------------------------------------------------------------------ */

/* The login is gone; its stream too, unless it was given away. */
static void
login_end(struct login *l)
{
	l->needs->over(l->ctx, l);
	timer_close(&l->deadline);
	stream_close(&l->stream);
	arena_close(&l->welcome);
	memory_free(l);
}

void
login_quit(struct login *l)
{
	if (l->room == ROOM_CLERK || l->room == ROOM_RESPONSE)
		l->needs->forget(l->ctx, l);
	note_end(l, "Disconnected");
	stream_finish(&l->stream);
	login_end(l);
}

void
login_close(struct login **lp, const char *words)
{
	struct login *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	if (l->room != ROOM_TLS)
		l->protocol->bye(l, words);
	login_quit(l);
}

static void
login_late(void *ctx)
{
	struct login *l = ctx;

	login_close(&l, "Disconnected for inactivity.");
}

/* ---- what the protocols call -------------------------------------------------------------- */

void
login_say(struct login *l, const char *form, ...)
{
	va_list list;

	va_start(list, form);
	buffer_vprintf(stream_out(l->stream), form, list);
	va_end(list);
}

void
login_bad(struct login *l)
{
	if (++l->bad < LOGIN_BAD_MOST)
		return;
	l->protocol->bye(l, "Too many invalid commands.");
	l->closing = true;
}

bool
login_offers_tls(const struct login *l)
{
	return !l->secure && l->config->tls != NULL && l->config->rows.ssl != LOGIN_SSL_NO;
}

bool
login_plain_allowed(const struct login *l)
{
	return l->secure || (!l->config->rows.disable_plaintext_auth &&
	                     l->config->rows.ssl != LOGIN_SSL_REQUIRED);
}

/* What may be named to this client now. */
static struct sasl_offer
offer_of(const struct login *l)
{
	struct tls_facts t = { .certificate = false };

	if (l->secure)
		(void)stream_tls_facts(l->stream, &t);
	return (struct sasl_offer){ .list = &l->config->rows.mechanisms,
		                    .tls = l->secure,
		                    .plain_in_clear = login_plain_allowed(l),
		                    .certificate = t.certificate,
		                    .service = l->protocol->name };
}

bool
login_mechanism_allowed(const struct login *l, struct bytes mechanism, bool *insecure)
{
	struct sasl_offer offer = offer_of(l);
	enum sasl_bar     bar = sasl_offers(&offer, mechanism);

	if (bar == SASL_OFFERED && l->config->rows.ssl == LOGIN_SSL_REQUIRED && !l->secure)
		bar = SASL_NEEDS_TLS;
	*insecure = bar == SASL_NEEDS_TLS;
	return bar == SASL_OFFERED;
}

void
login_mechanisms(const struct login *l, const char *before, struct buffer *out)
{
	struct sasl_offer offer = offer_of(l);

	if (l->config->rows.ssl != LOGIN_SSL_REQUIRED || l->secure)
		(void)sasl_list(&offer, before, out);
}

bool
login_offers_binding(const struct login *l)
{
	struct sasl_offer offer = offer_of(l);

	return sasl_binds(&offer);
}

struct stream *
login_stream(struct login *l)
{
	return l->stream;
}

void
login_channel(const struct login *l, struct buffer *out)
{
	stream_tls_channel(l->stream, out);
}

void
login_starttls(struct login *l)
{
	l->room = ROOM_TLS;
	l->user = NULL;
	stream_secure(l->stream, l->config->tls);
}

void
login_try(struct login *l, const struct login_attempt *a, struct bytes method)
{
	l->room = ROOM_CLERK;
	l->attempts++;
	if (!bytes_string(method, l->method, sizeof l->method))
		l->method[0] = '\0';
	(void)bytes_string(a->user, l->tried, sizeof l->tried);
	l->needs->authenticate(l->ctx, l, a);
}

/* ---- what the clerk answered ------------------------------------------------------------------ */

static void login_lines(struct login *);

static void
say_base64(struct login *l, struct bytes raw)
{
	struct buffer text = { 0 };

	base64_encode(&text, raw);
	l->protocol->challenge(l, buffer_bytes(&text));
	buffer_free(&text);
}

void
login_challenge(struct login *l, struct bytes challenge)
{
	say_base64(l, challenge);
	l->room = ROOM_RESPONSE;
	login_lines(l);
}

/* The session leaves for its keeper, with whatever the client said beyond. */
static void
login_leave(struct login *l)
{
	struct line         line;
	struct login_result result = { .user = l->user,
		                       .method = l->method,
		                       .tag = l->tag,
		                       .account = l->account,
		                       .pass = l->pass,
		                       .offers = "",
		                       .service = line.service,
		                       .who = line.who,
		                       .how = line.how };
	struct stream      *stream = l->stream;
	struct buffer       offers = { 0 };

	/* A plain descriptor is given away: what was said to a client that did not wait for it goes first. */
	if (!l->secure && stream_pending(stream) > 0)
		stream_flush(stream);
	if (!l->secure && stream_pending(stream) > 0) {
		l->protocol->bye(l, "Read what you are told before you go on.");
		login_quit(l);
		return;
	}
	line_make(l, "Login", l->user, &line);
	if (l->protocol->offers != NULL) {
		l->protocol->offers(l, &offers);
		result.offers = arena_copy(l->welcome, buffer_bytes(&offers));
		buffer_free(&offers);
	}
	l->stream = NULL;
	l->needs->hand_over(l->ctx, l, stream, &result);
	login_end(l);
}

void
login_welcome(struct login *l, const char *user, uint64_t account, struct bytes pass,
              struct bytes last)
{
	arena_close(&l->welcome);
	l->welcome = arena_open(NULL);
	l->user = arena_copy(l->welcome, bytes_of(user));
	l->account = account;
	l->pass = arena_keep(l->welcome, pass);
	if (last.len == 0) {
		login_leave(l);
		return;
	}
	/* Neither protocol can send data with its OK: a last challenge and an empty answer (rfc4422:3.6). */
	say_base64(l, last);
	l->room = ROOM_LAST;
	login_lines(l);
}

void
login_refuse(struct login *l, enum login_refusal refusal, const char *user, const char *why)
{
	l->room = ROOM_COMMAND;
	if (user[0] != '\0')
		(void)bytes_string(bytes_of(user), l->tried, sizeof l->tried);
	l->failures++; /* of whatever kind: each costs a line in the log */
	note_login(l, why, l->tried);
	l->user = NULL;
	l->protocol->refuse(l, refusal);
	if (l->config->rows.failures_most > 0 && l->failures >= l->config->rows.failures_most) {
		l->protocol->bye(l, "Too many failed logins.");
		login_quit(l);
		return;
	}
	login_lines(l);
}

/* ---- lines ----------------------------------------------------------------------------------------- */

/* The client says "*", or what is no response: the exchange is over. */
static void
give_up(struct login *l, struct bytes line)
{
	l->room = ROOM_COMMAND;
	l->user = NULL;
	l->protocol->broken(l, bytes_equal(line, BYTES("*"))
	                               ? "Authentication aborted by client."
	                               : "Invalid response to the challenge.");
	login_bad(l);
}

/* A response to a challenge: base64, or "*" to give up (rfc3501:6.2.2, rfc5034:4). */
static void
line_response(struct login *l, struct bytes line)
{
	struct buffer raw = { 0 };

	if (bytes_equal(line, BYTES("*")) || !base64_decode(&raw, line)) {
		l->needs->forget(l->ctx, l);
		give_up(l, line);
	} else {
		l->room = ROOM_CLERK;
		l->needs->step(l->ctx, l, buffer_bytes(&raw));
	}
	buffer_free(&raw);
}

/* Where a line with literals ends: `{n}` at the end of a piece means n bytes and another piece. */
enum piece { PIECE_LAST, PIECE_LITERAL, PIECE_TOO_LARGE };

static enum piece
literal_of(struct bytes piece, uint64_t *size, bool *waits)
{
	ptrdiff_t    open = bytes_find_last(piece, '{');
	struct bytes number;

	if (open < 0 || piece.len < 3 || piece.at[piece.len - 1] != '}')
		return PIECE_LAST;
	number = bytes_cut(piece, (size_t)open + 1, piece.len - (size_t)open - 2);
	*waits = !(number.len > 0 && number.at[number.len - 1] == '+');
	if (!*waits)
		number.len--;
	if (!bytes_number(number, size))
		return PIECE_LAST;
	return *size > LOGIN_LITERAL_MOST ? PIECE_TOO_LARGE : PIECE_LITERAL;
}

/* "Go on": once for each literal that asks for it, however its bytes come. */
static void
invite(struct login *l, bool waits, size_t upto)
{
	if (waits && upto > l->invited)
		l->protocol->challenge(l, BYTES("OK"));
	l->invited = upto > l->invited ? upto : l->invited;
}

/* A whole command from what has arrived; false: not all of it is here. */
static bool
command_read(struct login *l, struct bytes all, struct bytes *command, size_t *used)
{
	size_t most = l->room == ROOM_RESPONSE ? LOGIN_AUTH_LINE_MOST : LOGIN_LINE_MOST;

	for (;;) {
		struct bytes line, rest = bytes_cut(all, l->literal_end, SIZE_MAX);
		uint64_t     size = 0;
		bool         bare, waits = false;
		size_t       n;

		switch (line_read(rest, most, &line, &n, &bare)) {
		case LINE_SHORT: return false;
		case LINE_LONG: goto too_long;
		case LINE_WHOLE: break;
		}
		switch (l->protocol->literals && l->room == ROOM_COMMAND
		                ? literal_of(line, &size, &waits)
		                : PIECE_LAST) {
		case PIECE_LAST:
			*command = bytes_cut(all, 0, (size_t)(line.at - all.at) + line.len);
			*used = l->literal_end + n;
			l->literal_end = l->invited = 0;
			return true;
		case PIECE_TOO_LARGE: goto too_long;
		case PIECE_LITERAL: break;
		}
		/* The literal's bytes must be here before the line can go on. */
		if (l->literal_end + n + size > LOGIN_LINE_MOST + LOGIN_LITERAL_MOST)
			goto too_long;
		if (rest.len < n + size) {
			invite(l, waits, l->literal_end + n);
			return false;
		}
		invite(l, waits, l->literal_end + n);
		l->literal_end += n + (size_t)size;
	}
too_long:
	l->protocol->bye(l, "Line or literal is too long.");
	l->closing = true;
	return false;
}

/* Everything that has arrived, line by line, until the clerk or a handshake must be waited for,
   or the client to read what it was told. */
static void
login_lines(struct login *l)
{
	struct bytes line;
	size_t       used;

	while (!l->closing && stream_pending(l->stream) <= LOGIN_OUTPUT_MOST &&
	       (l->room == ROOM_COMMAND || l->room == ROOM_RESPONSE || l->room == ROOM_LAST)) {
		if (!command_read(l, stream_peek(l->stream), &line, &used))
			break;
		struct arena *scratch = arena_open(NULL);
		line = arena_keep(scratch, line);
		stream_eat(l->stream, used);
		if (l->room == ROOM_LAST && line.len == 0) {
			arena_close(&scratch);
			login_leave(l);
			return;
		}
		if (l->room == ROOM_LAST)
			give_up(l, line); /* it does not believe our proof */
		else if (l->room == ROOM_RESPONSE)
			line_response(l, line);
		else
			l->protocol->line(l, line);
		arena_close(&scratch);
	}
	if (l->closing)
		login_quit(l);
}

/* ---- the stream --------------------------------------------------------------------------------------- */

static void
arrived(void *ctx)
{
	login_lines(ctx);
}

static void
drained(void *ctx)
{
	login_lines(ctx);
}

static void
silent(void *ctx)
{
	login_late(ctx);
}

static void
secured(void *ctx, bool ok, const char *why)
{
	struct login *l = ctx;
	char          what[200];

	if (!ok) {
		(void)snprintf(what, sizeof what, "Disconnected: TLS handshaking failed: %s", why);
		note_login(l, what, "");
		login_end(l);
		return;
	}
	l->secure = true;
	l->room = ROOM_COMMAND;
	if (!l->greeted) {
		l->greeted = true;
		l->protocol->greet(l);
	}
	login_lines(l);
}

static void
closed(void *ctx, const char *why)
{
	struct login *l = ctx;

	if (l->room == ROOM_CLERK || l->room == ROOM_RESPONSE)
		l->needs->forget(l->ctx, l);
	note_end(l, strcmp(why, "end of file") == 0 ? "Aborted login" : "Disconnected");
	login_end(l);
}

static const struct stream_events events = { arrived, drained, secured, silent, closed };

static struct login *
login_new(struct loop *loop, const struct login_protocol *protocol,
          const struct login_config *config, const struct peer *peer,
          const struct login_needs *needs, void *ctx)
{
	struct login *l = memory_take(sizeof *l);

	*l = (struct login){ .loop = loop,
		             .protocol = protocol,
		             .config = config,
		             .needs = needs,
		             .ctx = ctx,
		             .peer = *peer,
		             .begun_ms = clock_patient_ms() };
	random_word(l->session, sizeof l->session);
	l->deadline = timer_open(loop, login_late, l);
	timer_set(l->deadline, config->rows.timeout_ms);
	return l;
}

static void
login_take(struct login *l, struct stream *stream)
{
	l->stream = stream;
	if (!peer_here(stream_fd(stream), &l->here))
		(void)snprintf(l->here.text, sizeof l->here.text, "unknown");
	stream_most_unread(stream, LOGIN_LINE_MOST + LOGIN_AUTH_LINE_MOST);
}

struct login *
login_open(struct loop *loop, int fd, const struct login_protocol *protocol, bool tls_first,
           const struct login_config *config, const struct peer *peer,
           const struct login_needs *needs, void *ctx)
{
	struct login *l = login_new(loop, protocol, config, peer, needs, ctx);

	l->room = tls_first ? ROOM_TLS : ROOM_COMMAND;
	login_take(l, stream_open(loop, fd, &events, l));
	if (tls_first)
		stream_secure(l->stream, config->tls);
	else {
		l->greeted = true;
		protocol->greet(l);
	}
	return l;
}

struct login *
login_again(struct loop *loop, struct stream *stream, const struct login_protocol *protocol,
            bool secure, const struct login_config *config, const struct peer *peer,
            const struct login_needs *needs, void *ctx)
{
	struct login *l = login_new(loop, protocol, config, peer, needs, ctx);

	l->room = ROOM_COMMAND;
	l->greeted = true;
	l->secure = secure;
	stream_adopt(stream, &events, l);
	login_take(l, stream);
	return l;
}

/* ---- what the role asks --------------------------------------------------------------------------------- */

const char *
login_session(const struct login *l)
{
	return l->session;
}

const struct peer *
login_peer(const struct login *l)
{
	return &l->peer;
}

const struct peer *
login_here(const struct login *l)
{
	return &l->here;
}

const char *
login_protocol_name(const struct login *l)
{
	return l->protocol->name;
}

bool
login_secure(const struct login *l)
{
	return l->secure;
}

void
login_tie(struct login *l, void *own)
{
	l->own = own;
}

void *
login_tied(const struct login *l)
{
	return l->own;
}
