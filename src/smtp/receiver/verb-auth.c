/* AUTH: who are you (rfc4954:4).  The clerk knows; we carry the words. */
#include "smtp/receiver/session_inner.h"

#include <string.h>

#include "base/base64.h"
#include "base/journal.h"
#include "channel/line.h"
#include "sasl/sasl.h"

static room_fn room_auth, room_auth_last;

/* What may be named to this client now. */
static struct sasl_offer
offer_of(const struct session *s)
{
	const struct receiver_config *c = s->config;
	struct tls_facts              t = { .certificate = false };

	if (s->secure)
		(void)s->mouth->tls(s->mouth_of, &t);
	return (struct sasl_offer){
		.list = &c->set.auth_mechanisms,
		.banned = s->secure ? c->banned_tls : c->banned,
		.tls = s->secure,
		.plain_in_clear = !c->set.tls_auth_only,
		.certificate = t.certificate,
		.service = "smtp",
	};
}

void
offer_auth(struct session *s, struct buffer *out)
{
	struct sasl_offer offer = offer_of(s);
	struct buffer     names = { 0 };

	if (s->config->set.auth_enable && !networks_hold(&s->config->auth_excepted, &s->peer) &&
	    sasl_list(&offer, " ", &names)) {
		buffer_printf(out, "250-AUTH%.*s\r\n", (int)names.len, names.at);
		if (s->config->set.auth_equals)
			buffer_printf(out, "250-AUTH=%.*s\r\n", (int)names.len - 1, names.at + 1);
	}
	buffer_free(&names);
}

bool
session_offers_binding(const struct session *s)
{
	struct sasl_offer offer = offer_of(s);

	return s->config->set.auth_enable && sasl_binds(&offer);
}

void
session_channel(const struct session *s, struct buffer *out)
{
	s->mouth->channel(s->mouth_of, out);
}

void
auth_end(struct session *s)
{
	if (s->auth_asked)
		s->needs->auth_drop(s->house, s);
	s->auth_asked = false;
	s->mechanism.len = 0;
	arena_close(&s->auth);
}

/* The exchange is over with this reply. */
static void
auth_over(struct session *s, const char *reply)
{
	auth_end(s);
	if (!s->over)
		s->room = room_command;
	say(s, "%s", reply);
	answered(s);
}

/* Base64 as a client sends it; "=" is an empty initial response. */
static bool
decode(struct bytes text, bool initial, struct buffer *out)
{
	if (initial && bytes_equal(text, BYTES("=")))
		return true;
	return base64_decode(out, text);
}

static const char *
auth_barred(struct session *s, struct bytes mechanism)
{
	/* clang-format off */
	static const char *const replies[] = {
		[SASL_UNKNOWN]    = "504 5.5.4 Unrecognized authentication type",
		[SASL_NEEDS_TLS]  = "538 5.7.11 Encryption required for requested authentication mechanism",
		[SASL_TOO_WEAK]   = "534 5.7.9 Authentication mechanism is too weak",
		[SASL_NO_CHANNEL] = "504 5.5.4 Unrecognized authentication type",
	};
	/* clang-format on */
	struct sasl_offer offer = offer_of(s);

	if (!s->config->set.auth_enable)
		return "503 5.5.1 Error: authentication not enabled";
	if (s->user.len > 0)
		return "503 5.5.1 Error: already authenticated";
	if (mechanism.len == 0)
		return "501 5.5.4 Syntax: AUTH mechanism";
	return replies[sasl_offers(&offer, mechanism)];
}

/* auth-command = "AUTH" SP sasl-mech [SP initial-response] */
void
verb_auth(struct session *s, struct bytes argument)
{
	struct bytes  mechanism, initial = argument;
	struct buffer decoded = { 0 };
	const char   *no;

	if (!bytes_split(&initial, ' ', &mechanism))
		mechanism = (struct bytes){ NULL, 0 };
	initial = bytes_trim(initial);
	if ((no = auth_barred(s, mechanism)) == NULL && initial.len > 0 &&
	    !decode(initial, true, &decoded))
		no = "501 5.5.2 Cannot decode response";
	if (no != NULL) {
		say(s, "%s", no);
		answered(s);
	} else if (!within(s, COUNT_AUTH, s->config->set.auth_rate, "AUTH command rate")) {
		say(s, "450 4.7.1 Error: too many AUTH commands from %s", s->peer.text);
		answered(s);
	} else {
		s->auth = arena_open(NULL);
		s->mechanism = arena_keep(s->auth, mechanism);
		for (size_t i = 0; i < s->mechanism.len; i++)
			if (mechanism.at[i] >= 'a' && mechanism.at[i] <= 'z')
				((char *)(uintptr_t)s->mechanism.at)[i] =
					(char)(mechanism.at[i] - 'a' + 'A');
		s->auth_asked = true;
		hold(s);
		s->needs->auth_start(s->house, s, s->mechanism, initial.len > 0,
		                     buffer_bytes(&decoded));
	}
	buffer_free(&decoded);
}

void
session_auth_more(struct session *s, struct bytes challenge)
{
	struct buffer *out;

	if (s->over || !s->auth_asked)
		return;
	out = s->mouth->out(s->mouth_of);
	buffer_add(out, BYTES("334 "));
	base64_encode(out, challenge);
	buffer_add(out, BYTES("\r\n"));
	s->room = room_auth;
	s->held = false;
	if (!s->taking)
		s->mouth->resume(s->mouth_of);
}

/* One line of the exchange.  Used up 0: it is not all here. */
static size_t
auth_line(struct session *s, struct bytes arrived, struct bytes *line)
{
	size_t used = 0;
	bool   bare;

	switch (line_read(arrived, AUTH_LINE_MOST, line, &used, &bare)) {
	case LINE_SHORT: return 0;
	case LINE_LONG:
		auth_end(s);
		s->too_long = "500 5.5.6 Authentication exchange line is too long";
		s->room = room_skip_line;
		return s->room(s, arrived);
	case LINE_WHOLE: break;
	}
	return used;
}

/* The client answers a challenge; "*" is its way out. */
static size_t
room_auth(struct session *s, struct bytes arrived)
{
	struct buffer decoded = { 0 };
	struct bytes  line;
	size_t        used = auth_line(s, arrived, &line);

	if (used == 0 || s->room != room_auth)
		return used;
	if (bytes_equal(line, BYTES("*")))
		auth_over(s, "501 5.7.0 Authentication aborted");
	else if (!decode(line, false, &decoded))
		auth_over(s, "501 5.5.2 Cannot decode response");
	else {
		hold(s);
		s->needs->auth_step(s->house, s, buffer_bytes(&decoded));
	}
	buffer_free(&decoded);
	return used;
}

static void
welcome(struct session *s)
{
	auth_end(s);
	s->room = room_command;
	say_fixed(s, BYTES("235 2.7.0 Authentication successful\r\n"));
	answered(s);
}

/* The server's last word was a challenge too; the client answers it with nothing. */
static size_t
room_auth_last(struct session *s, struct bytes arrived)
{
	struct bytes line;
	size_t       used = auth_line(s, arrived, &line);

	if (used == 0 || s->room != room_auth_last)
		return used;
	if (line.len == 0 || bytes_equal(line, BYTES("=")))
		welcome(s);
	else {
		s->user = s->method = (struct bytes){ NULL, 0 };
		auth_over(s, "501 5.7.0 Authentication aborted");
	}
	return used;
}

static void
auth_failed(struct session *s, enum authenticated answer, const char *user, const char *text)
{
	/* clang-format off */
	static const char *const replies[] = {
		[NOT_AUTHENTICATED]      = "535 5.7.8 Error: authentication failed: authentication failure",
		[AUTH_BAD_SYNTAX]        = "501 5.5.2 Cannot decode response",
		[AUTH_UNKNOWN_MECHANISM] = "504 5.5.4 Unrecognized authentication type",
		[AUTH_NOT_NOW]           = "454 4.7.0 Temporary authentication failure",
		[AUTH_ACCOUNT_DISABLED]  = "535 5.7.8 Error: authentication failed: authentication failure",
	};
	/* clang-format on */

	warn_as(s->config->service, "%s: SASL %.*s authentication failed: %s%s%s", client_of(s),
	        (int)s->mechanism.len, s->mechanism.at,
	        text[0] != '\0' ? text : "authentication failure",
	        user[0] != '\0' ? ", sasl_username=" : "", user);
	auth_over(s, replies[answer]);
}

void
session_auth_done(struct session *s, enum authenticated answer, const char *user, const char *text,
                  struct bytes last)
{
	struct buffer *out;

	if (s->over || !s->auth_asked)
		return;
	s->auth_asked = false;
	if (answer != AUTHENTICATED) {
		auth_failed(s, answer, user, text);
		return;
	}
	if (s->life == NULL)
		s->life = arena_open(NULL);
	s->user = arena_keep(s->life, bytes_of(user));
	s->method = arena_keep(s->life, s->mechanism);
	if (last.len == 0) {
		welcome(s);
		return;
	}
	out = s->mouth->out(s->mouth_of);
	buffer_add(out, BYTES("334 "));
	base64_encode(out, last);
	buffer_add(out, BYTES("\r\n"));
	s->room = room_auth_last;
	s->held = false;
	if (!s->taking)
		s->mouth->resume(s->mouth_of);
}
