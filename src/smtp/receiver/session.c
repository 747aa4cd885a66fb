#include "smtp/receiver/session_inner.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/journal.h"
#include "base/scan.h"
#include "channel/line.h"
#include "smtp/extension.h"

enum { TARPIT_MOST = 30 };

/*
 * The course of a session
 */

/* What a mail filter refused when the client came is shown by the greeting, too. */
static void
greet_refused(struct session *s)
{
	struct buffer b = { 0 };
	struct bytes  id;

	buffer_printf(&b, "554 %s ESMTP not accepting connections", s->config->myhostname);
	say(s, "%s",
	    remembered(s,
	               &(struct session_refusal){ "CONNECT", BYTES(""), buffer_bytes(&b),
	                                          s->denied_by },
	               &id));
	buffer_free(&b);
}

void
greet(struct session *s)
{
	s->since = s->heard = clock_patient_ms();
	if (s->filters_deny)
		greet_refused(s);
	else
		say(s, "220 %s", s->config->set.banner);
}

static void
begin_tls(struct session *s)
{
	s->room = room_nothing;
	s->securing = true;
	s->since = clock_patient_ms();
	hold(s);
	s->mouth->secure(s->mouth_of);
}

static bool
is_between(char c)
{
	return c == ',' || c == ' ' || c == '\t';
}

static bool
is_in_word(char c)
{
	return !is_between(c);
}

/* smtpd_discard_ehlo_keyword_address_maps: the first table that has the address, else what holds for all. */
static void
look_up_discarded(struct session *s)
{
	const struct setting_list *of = &s->config->set.discarded_of;
	struct network_tables     *tables = s->config->tables;
	struct arena              *a;
	struct bytes               words = BYTES("");
	bool                       found = false;

	s->discarded = s->config->discarded;
	if (of->count == 0 || tables == NULL)
		return;
	a = arena_open(NULL);
	for (size_t i = 0; i < of->count && !found; i++)
		found = tables->value(tables, of->item[i], s->peer.text, a, &words);
	if (found)
		s->discarded = 0;
	for (struct scan r = scan_of(found ? words : BYTES("")); r.rest.len > 0;) {
		(void)scan_while(&r, is_between);
		s->discarded |= extension_find(scan_while(&r, is_in_word));
	}
	arena_close(&a);
}

struct session *
session_open(struct receiver_config *config, const struct peer *peer,
             const struct receiver_needs *needs, void *house, const struct session_mouth *mouth,
             void *mouth_of)
{
	struct session *s = memory_take(sizeof *s);

	s->config = receiver_config_take(config);
	s->needs = needs;
	s->house = house;
	s->mouth = mouth;
	s->mouth_of = mouth_of;
	s->peer = *peer;
	s->where = "CONNECT";
	s->lmtp = config->kind == KIND_LMTP;
	s->history.wanted = config->notify;
	session_look_at_trust(s);
	s->excepted = networks_hold(&config->exceptions, peer);
	s->may_verp = networks_hold(&config->verp_clients, peer);
	s->may_expn = networks_hold(&config->expn_hosts, peer);
	s->may_xclient = networks_hold(&config->xclient_hosts, peer);
	s->may_xforward = networks_hold(&config->xforward_hosts, peer);
	s->since = s->heard = clock_patient_ms();
	s->verb = (uint8_t)verb_unknown();
	look_up_discarded(s);
	call_client(s, is_ourselves(peer) ? BYTES("localhost") : BYTES("unknown"),
	            is_ourselves(peer) ? BYTES("localhost") : BYTES("unknown"));
	s->named = NAMED_LATER;
	filters_begin(s);
	if (config->set.tls_wrappermode) {
		begin_tls(s);
		return s;
	}
	screen_passed_by(s);
	if (s->greets_late && !screen_wanted(s)) {
		s->room = room_nothing; /* met() */
		hold(s);
		return s;
	}
	s->room = screen_wanted(s) ? room_early : room_command; /* session_meet() */
	if (s->room == room_command)
		greet(s);
	return s;
}

void
session_turn_away(struct session *s, const char *reply)
{
	if (!s->config->set.tls_wrappermode) {
		s->mouth->out(s->mouth_of)->len = 0;
		say(s, "%s", reply);
	}
	hang_up(s);
}

/* Whoever must show a certificate that is trusted and has not is not talked to (smtpd_tls_req_ccert). */
static bool
lacks_certificate(struct session *s)
{
	struct tls_facts t;

	if (!s->mouth->tls(s->mouth_of, &t) || !t.required || t.trusted)
		return false;
	s->tls_untold = true;
	tell_tls(s);
	note_as(s->config->service, "NOQUEUE: abort: TLS from %s: %s", client_of(s),
	        t.certificate ? "Client certificate not trusted"
	                      : "No client certificate presented");
	session_lost(s, "no certificate that is trusted");
	s->mouth->finish(s->mouth_of);
	return true;
}

/* A handshake that goes on with an older session costs little, and does not count. */
static bool
too_many_sessions(struct session *s)
{
	struct tls_facts t;

	if ((s->mouth->tls(s->mouth_of, &t) && t.resumed) ||
	    within(s, COUNT_TLS, s->config->set.tls_rate, "New TLS session rate"))
		return false;
	say(s, "421 4.7.0 %s Error: too many new TLS sessions from %s", s->config->myhostname,
	    client_of(s));
	hang_up(s);
	return true;
}

/* STARTTLS leaves nothing of what was said before (rfc3207:4.2). */
void
session_secured(struct session *s, bool ok, const char *why)
{
	bool first = s->config->set.tls_wrappermode;

	s->securing = false;
	if (!ok) {
		note_as(s->config->service, "SSL_accept error from %s: %s", client_of(s), why);
		/* It has cost as much as one that came to something. */
		(void)within(s, COUNT_TLS, s->config->set.tls_rate, "New TLS session rate");
		session_lost(s, why);
		/* Whoever sent the end of file before the handshake is not told of again. */
		s->mouth->finish(s->mouth_of);
		return;
	}
	if (lacks_certificate(s) || too_many_sessions(s))
		return;
	mail_end(s);
	auth_end(s);
	s->hello = HELLO_NONE;
	s->helo = s->user = s->method = (struct bytes){ NULL, 0 };
	s->secure = true;
	s->tls_untold = true;
	if (s->told)
		tell_tls(s);
	s->room = room_command;
	s->since = s->heard = clock_patient_ms();
	if (first && s->greets_late) {
		met(s);
		return;
	}
	if (first)
		greet(s);
	s->held = false;
	s->mouth->resume(s->mouth_of);
}

void
hang_up(struct session *s)
{
	if (s->over)
		return;
	s->over = true;
	s->held = true;
	s->room = room_nothing;
	s->mouth->finish(s->mouth_of);
}

void
mail_end(struct session *s)
{
	struct letter *l = s->letter;

	s->letter = NULL;
	s->refused = 0;
	s->overshot = 0;
	origin_drop(s);
	if (l == NULL)
		return;
	filters_over(s);
	if (l->streamed)
		l->needs->stream_drop(l->house, l);
	letter_drop(&l);
}

void
hold(struct session *s)
{
	s->held = true;
}

void
session_looked(struct session *s)
{
	void (*then)(struct session *) = s->looked;

	s->looked = NULL;
	if (!s->over && then != NULL)
		then(s);
}

/* After a command: is this still a client to talk to? */
void
command_done(struct session *s)
{
	const struct patience *patience = receiver_patience(s->config);

	s->since = clock_patient_ms();
	if (s->over)
		return;
	if (patience->hard_errors > 0 && s->errors >= patience->hard_errors) {
		note_as(s->config->service, "too many errors after %s from %s", s->where,
		        client_of(s));
		say(s, "421 4.7.0 %s Error: too many errors", s->config->myhostname);
		hang_up(s);
	} else if (s->leaving && s->room == room_command) {
		mail_end(s);
		say(s, "421 4.3.2 %s Service shutting down", s->config->myhostname);
		hang_up(s);
	}
}

/* Each further error costs more. */
static int64_t
tarpit(const struct session *s)
{
	int64_t times = s->errors - s->config->set.soft_errors;

	return s->config->set.error_sleep * (times < TARPIT_MOST ? times : TARPIT_MOST);
}

/* The command being done has had its answer: say_*() was called. */
void
answered(struct session *s)
{
	const struct receiver_settings *set = &s->config->set;
	bool                            failed = s->errors > s->errors_before;

	if (!failed)
		s->done[s->verb]++;
	s->errors_before = s->errors;
	s->held = false;
	command_done(s);
	if (s->over)
		return;
	if (failed && set->soft_errors > 0 && s->errors > set->soft_errors &&
	    set->error_sleep > 0) {
		s->held = s->resting = true;
		s->mouth->rest(s->mouth_of, tarpit(s));
		return;
	}
	if (!s->taking)
		s->mouth->resume(s->mouth_of);
}

void
session_rested(struct session *s)
{
	if (!s->resting)
		return;
	s->resting = false;
	s->held = false;
	s->since = s->heard = clock_patient_ms();
	if (judged_after_sleep(s))
		return;
	if (s->room == room_early)
		screen_over(s);
	chunk_look(s);
	s->mouth->resume(s->mouth_of);
}

/*
 * Rooms
 */

/* AUTH may bring the first answer along: a ticket of Kerberos, or a token, is longer than any other command (rfc4954:4). */
static size_t
line_most(const struct session *s, struct bytes arrived)
{
	size_t most = (size_t)s->config->set.line_length;

	return most < AUTH_LINE_MOST && bytes_starts_nocase(arrived, BYTES("AUTH "))
	               ? AUTH_LINE_MOST
	               : most;
}

/* Commands: one line each.  A line of LF alone is taken too: people type them. */
size_t
room_command(struct session *s, struct bytes arrived)
{
	struct bytes line;
	size_t       used;
	bool         bare;

	if (s->naming && (s->hello != HELLO_NONE || s->config->judges_clients)) {
		s->waits_for_name = true;
		hold(s);
		return 0;
	}
	switch (line_read(arrived, line_most(s, arrived), &line, &used, &bare)) {
	case LINE_SHORT: return 0;
	case LINE_LONG:
		s->too_long = "500 5.5.2 Error: line too long";
		s->room = room_skip_line;
		return s->room(s, arrived);
	case LINE_WHOLE: break;
	}
	s->errors_before = s->errors;
	s->bare_lf |= bare;
	if (bare && s->config->set.bare_newline == BARE_REJECT &&
	    !networks_hold(&s->config->bare_excluded, &s->peer)) {
		char no[320];

		(void)snprintf(no, sizeof no, "521 5.5.2 %.255s Error: bare <LF> received",
		               s->config->myhostname);
		say(s, "%s", explained(s, "COMMAND", BYTES(""), no));
		hang_up(s);
		return used;
	}
	s->behind = arrived.len > used;
	s->beyond = bytes_cut(arrived, used, arrived.len);
	history_add(&s->history, true, line);
	verb_run(s, line);
	return used;
}

/* The rest of a line that was too long, rfc5321:4.5.3.1.9 */
size_t
room_skip_line(struct session *s, struct bytes arrived)
{
	ptrdiff_t end = bytes_find(arrived, '\n');

	if (end < 0)
		return arrived.len;
	s->room = room_command;
	s->verb = (uint8_t)verb_unknown();
	s->tried[s->verb]++;
	s->errors_before = s->errors;
	say(s, "%s", explained(s, "COMMAND", BYTES(""), s->too_long));
	answered(s);
	return (size_t)end + 1;
}

/* Nothing more is heard. */
size_t
room_nothing(struct session *s, struct bytes arrived)
{
	(void)s;
	return arrived.len;
}

size_t
session_take(struct session *s, struct bytes arrived)
{
	struct bytes rest = arrived;

	if (s->taking)
		return 0;
	s->taking = true;
	s->heard = clock_patient_ms();
	while (!s->held && !s->fetching && rest.len > 0) {
		size_t used = s->room(s, rest);

		if (used == 0)
			break;
		rest.at += used;
		rest.len -= used;
	}
	s->taking = false;
	return arrived.len - rest.len;
}

/*
 * Patience
 */

static void
time_out(struct session *s)
{
	note_as(s->config->service, "timeout after %s from %s", s->where, client_of(s));
	if (!s->securing)
		say(s, "421 4.4.2 %s Error: timeout exceeded", s->config->myhostname);
	mail_end(s);
	hang_up(s);
}

/* In a chunk that nobody wants, too. */
static bool
is_in_letter(const struct session *s)
{
	return s->room != room_command && (s->letter != NULL || s->chunk_left > 0);
}

/* smtpd_timeout for each command however slowly it is typed, and for silence in a
   letter; a letter that goes on for longer must come with a least rate, in however
   many chunks it comes. */
void
session_tick(struct session *s, int64_t now)
{
	const struct receiver_settings *set = &s->config->set;
	const struct patience          *patience = receiver_patience(s->config);
	bool                            in_letter = is_in_letter(s);
	int64_t least = (patience->deadline ? s->since : s->heard) + patience->timeout;

	if (s->securing && now - s->since > set->starttls_timeout)
		time_out(s);
	if (s->over || s->held || s->fetching || patience->timeout <= 0)
		return;
	if (patience->deadline && s->letter != NULL)
		least -= s->letter->behind;
	if (in_letter && set->min_data_rate > 0)
		least += (int64_t)(s->taken * 1000 / (uint64_t)set->min_data_rate);
	if (in_letter ? now - s->heard > patience->timeout ||
	                        (patience->deadline && set->min_data_rate > 0 && now > least)
	              : now > least)
		time_out(s);
}

int64_t
session_silence(const struct session *s, int64_t now)
{
	if (s->securing && !s->over)
		return now - s->since;
	return s->over || s->held || s->fetching || s->user.len > 0 ? -1 : now - s->heard;
}

void
session_give_way(struct session *s)
{
	note_as(s->config->service, "gives way to others after %s from %s", s->where, client_of(s));
	if (!s->securing)
		say(s, "421 4.3.2 %s Error: too many connections, and others wait",
		    s->config->myhostname);
	mail_end(s);
	hang_up(s);
}

void
session_lost(struct session *s, const char *why)
{
	(void)why;
	if (s->over)
		return;
	screen_left(s);
	if (is_in_letter(s))
		note_as(s->config->service, "lost connection after %s (%llu bytes) from %s",
		        s->where, (unsigned long long)s->taken, client_of(s));
	else
		note_as(s->config->service, "lost connection after %s from %s", s->where,
		        client_of(s));
	s->over = s->held = true;
}

void
session_leave(struct session *s)
{
	s->leaving = true;
	if (!s->held && !s->fetching)
		command_done(s);
}

/* rcpt=1/2: the second was refused */
static void
log_counts(struct session *s)
{
	char     text[400];
	size_t   n = 0;
	unsigned tried = 0, done = 0;

	for (size_t i = 0; verb_name(i) != NULL; i++) {
		if (s->tried[i] == 0)
			continue;
		tried += s->tried[i];
		done += s->done[i];
		n += (size_t)snprintf(text + n, sizeof text - n,
		                      s->tried[i] == s->done[i] ? " %s=%u" : " %s=%u/%u",
		                      verb_name(i), s->done[i], s->tried[i]);
	}
	snprintf(text + n, sizeof text - n, done == tried ? " commands=%u" : " commands=%u/%u",
	         done, tried);
	note_as(s->config->service, "disconnect from %s%s%s", client_of(s), text,
	        s->bare_lf && s->config->set.bare_newline == BARE_NOTE ? " notes=bare_lf" : "");
}

void
session_close(struct session **sp)
{
	struct session *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	log_counts(s);
	history_tell(s, 0);
	history_free(&s->history);
	s->over = s->held = true;
	judge_end(s);
	auth_end(s);
	s->needs->gone(s->house, s);
	if (s->letter != NULL && s->letter->ended) {
		s->letter->session = NULL;
		s->letter = NULL;
	}
	mail_end(s);
	arena_close(&s->life);
	buffer_free(&s->explained);
	buffer_free(&s->line);
	memory_free(s->name);
	memory_free(s->reverse);
	memory_free(s->client);
	receiver_config_drop(&s->config);
	memory_free(s);
}

/*
 * What the house may know
 */

const struct peer *
session_peer(const struct session *s)
{
	return &s->peer;
}
struct receiver_config *
session_config(const struct session *s)
{
	return s->config;
}
const char *
session_client(struct session *s)
{
	return client_of(s);
}
bool
session_has_letter(const struct session *s)
{
	return s->letter != NULL;
}
struct bytes
session_letter_sender(const struct session *s)
{
	return s->letter != NULL ? s->letter->sender : BYTES("");
}
bool
session_is_notice(const struct session *s)
{
	return s->letter != NULL && s->letter->sender.len == 0;
}
uint64_t
session_letter_size(const struct session *s)
{
	const struct letter *l = s->letter;

	return l == NULL ? 0 : s->asking_each ? l->len : l->declared;
}

struct bytes
session_user(const struct session *s)
{
	return s->user;
}
bool
session_is_secure(const struct session *s)
{
	return s->secure;
}
bool
session_tls(struct session *s, struct tls_facts *facts)
{
	return s->secure && s->mouth->tls(s->mouth_of, facts);
}
bool
session_waits(const struct session *s)
{
	return (s->held || s->fetching) && !s->over;
}
void **
session_held(struct session *s)
{
	return &s->held_by_house;
}
