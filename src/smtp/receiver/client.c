/*
 * client -- who is at the other end: what it is called, whether it is trusted, what the log calls it, how often it
 * has come; and what waits until its name is known
 */
#include "smtp/receiver/session_inner.h"
#include "smtp/receiver/tls-words.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/journal.h"

/* One event more of a kind that is limited for each client; 0 is no limit. */
bool
within(struct session *s, enum counted kind, int64_t limit, const char *what)
{
	uint32_t now = 0;

	if (limit <= 0 || s->excepted || s->needs->count(s->house, s, kind, limit, &now))
		return true;
	warn_as(s->config->service, "%s limit exceeded: %u from %s for service %s", what, now,
	        client_of(s), s->config->listener);
	return false;
}

/* The same for one who has logged in, wherever they come from. */
bool
user_within(struct session *s, enum counted kind, int64_t limit, const char *what)
{
	uint32_t now = 0;

	if (limit <= 0 || s->user.len == 0 || s->needs->count(s->house, s, kind, limit, &now))
		return true;
	warn_as(s->config->service, "%s limit exceeded: %u from account %.*s", what, now,
	        (int)s->user.len, s->user.at);
	return false;
}

/* rfc3848:2, rfc6531:4.3  the names for the Received field */
const char *
protocol_of(const struct session *s)
{
	/* clang-format off */
	static const char *const names[2][2][2][2] = {
		{ { { "ESMTP", "ESMTPA" }, { "ESMTPS", "ESMTPSA" } },
		  { { "LMTP",  "LMTPA"  }, { "LMTPS",  "LMTPSA"  } } },
		{ { { "UTF8SMTP", "UTF8SMTPA" }, { "UTF8SMTPS", "UTF8SMTPSA" } },
		  { { "UTF8LMTP", "UTF8LMTPA" }, { "UTF8LMTPS", "UTF8LMTPSA" } } },
	};
	/* clang-format on */
	bool utf8 = s->letter != NULL && s->letter->flags & ENVELOPE_SMTPUTF8;

	if (!s->lmtp && s->hello == HELLO_HELO && !utf8)
		return "SMTP";
	return names[utf8][s->lmtp][s->secure][s->user.len > 0];
}

/* Whose name needs no asking. */
bool
is_ourselves(const struct peer *peer)
{
	return peer->family == AF_UNIX || strcmp(peer->text, "127.0.0.1") == 0 ||
	       strcmp(peer->text, "::1") == 0;
}

static char *
text_copy(struct bytes b)
{
	char *copy = memory_take(b.len + 1);

	if (b.len > 0)
		memcpy(copy, b.at, b.len);
	return copy;
}

void
call_client(struct session *s, struct bytes name, struct bytes reverse)
{
	size_t room = name.len + sizeof s->peer.text + 9;

	memory_free(s->name);
	memory_free(s->reverse);
	memory_free(s->client);
	s->name = text_copy(name);
	s->reverse = text_copy(reverse);
	s->client = memory_take(room);
	if (s->config->set.port_logging)
		(void)snprintf(s->client, room, "%s[%s]:%u", s->name, s->peer.text, s->peer.port);
	else
		(void)snprintf(s->client, room, "%s[%s]", s->name, s->peer.text);
}

void
tell_tls(struct session *s)
{
	struct tls_facts t;

	if (s->tls_untold && s->mouth->tls(s->mouth_of, &t))
		tls_tell(&t, s->config, s->client);
	s->tls_untold = false;
}

const char *
client_of(struct session *s)
{
	if (s->told)
		return s->client;
	s->told = true;
	note_as(s->config->service, "connect from %s", s->client);
	tell_tls(s);
	return s->client;
}

/* The lists for clients have been asked before anything was said. */
static void
client_judged(struct session *s, const struct session_verdict *v)
{
	s->greets_late = false;
	s->denied = v->refused;
	s->held = false;
	if (s->room == room_nothing && !s->securing)
		s->room = room_command;
	if (v->refused)
		say_refused(s, "CONNECT", BYTES(""), v);
	else
		greet(s);
	if (!s->over)
		s->mouth->resume(s->mouth_of);
}

/* Its name is known, or will not be: where the lists are not delayed, and where there are mail filters, they are asked
   before the greeting. */
void
met(struct session *s)
{
	if (s->greets_late && !s->securing && !s->naming && s->room != room_early)
		judge(s, MOMENT_CONNECT, client_judged);
}

void
session_is_neighbour(struct session *s)
{
	s->neighbour = true;
}

void
session_is_user(struct session *s, uint32_t uid)
{
	s->trusted = s->of_userid = true;
	s->unsure = false;
	s->userid = uid;
}

void
session_look_at_trust(struct session *s)
{
	enum network_answer a = networks_look(&s->config->mynetworks, &s->peer);

	s->trusted = a == NETWORK_HAS;
	s->unsure = a == NETWORK_LATER;
}

void
session_meet(struct session *s)
{
	if (s->room == room_early)
		screen_begin(s);
	if (s->over || s->told)
		return;
	s->naming = true;
	if (!is_ourselves(&s->peer) && s->config->set.peername_lookup &&
	    s->needs->name(s->house, s))
		return;
	s->naming = false;
	if (is_ourselves(&s->peer))
		s->named = NAMED;
	(void)client_of(s);
	met(s);
}

/* At once, or when met() has asked the lists for clients. */
void
greet_met(struct session *s)
{
	filters_begin(s);
	s->room = s->greets_late ? room_nothing : room_command;
	if (s->greets_late)
		hold(s);
	else
		greet(s);
}

/* Another client, and all that comes before the first command again. */
void
begin_anew(struct session *s)
{
	s->naming = false;
	s->denied = false;
	s->pipelined = false;
	s->errors_before = s->errors;
	s->since = s->heard = clock_patient_ms();
	greet_met(s);
	if (s->greets_late)
		met(s);
	else
		answered(s);
}

/* What had to wait goes on. */
static void
go_on(struct session *s)
{
	if (!s->waits_for_name)
		return;
	s->waits_for_name = false;
	s->held = false;
	s->since = s->heard = clock_patient_ms();
	if (s->leaving)
		command_done(s);
	if (!s->over)
		s->mouth->resume(s->mouth_of);
}

void
session_named(struct session *s, enum named how, struct bytes name, struct bytes reverse)
{
	static const char *const doubts[] = {
		[NAMED_FOREIGN] = "",
		[NAMED_NO_HOST] = ": Name or service not known",
	};

	if (!s->naming)
		return;
	s->naming = false;
	if (s->over)
		return;
	s->named = (uint8_t)how;
	if (!s->told)
		call_client(s, how == NAMED ? name : BYTES("unknown"),
		            reverse.len > 0 ? reverse : BYTES("unknown"));
	if (!s->told && (how == NAMED_FOREIGN || how == NAMED_NO_HOST))
		warn_as(s->config->service, "hostname %s does not resolve to address %s%s",
		        s->reverse, s->peer.text, doubts[how]);
	(void)client_of(s);
	met(s);
	go_on(s);
}
