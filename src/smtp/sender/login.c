/* login.c -- AUTH at the host (rfc4954): one mechanism after another until one will do (sasl/supplicant.h) */
#include "base/base64.h"
#include "smtp/sender/outgoing_inner.h"

#include <string.h>

enum { AUTH_CANCELLED = 100, AUTH_WRONG = 535 /* rfc4954:6 */, LINE_MOST = 12288 /* rfc4954:4 */ };

static void
say_secret(struct outgoing *o, const char *before, struct bytes secret)
{
	struct buffer *out = o->needs->out(o->mouth);

	buffer_add_string(out, before);
	base64_encode(out, secret);
	buffer_add_string(out, "\r\n");
}

/* TLS 1.3 has tls-exporter; before it there was tls-unique, and the certificate itself (rfc5929, rfc9266:3). */
static void
bind_channel(struct outgoing *o)
{
	static const char *const types[] = { "tls-exporter", "tls-unique", "tls-server-end-point" };
	struct buffer            data = { 0 };

	for (size_t i = 0; o->secure && i < COUNT(types) && o->login_facts.binding == NULL; i++)
		if (o->needs->binding(o->mouth, types[i], &data)) {
			o->login_facts.binding = types[i];
			o->login_facts.bound = arena_keep(o->login_life, buffer_bytes(&data));
		}
	buffer_free(&data);
}

static void
no_mechanism(struct outgoing *o)
{
	buffer_reset(&o->words);
	buffer_printf(&o->words,
	              "SASL authentication failed; cannot authenticate to server %s: no mechanism "
	              "available",
	              o->config.host);
	buffer_add_char(&o->words, '\0');
	outgoing_fail(o, FATE_ELSEWHERE, "4.7.0", o->words.at);
}

/* The best that was not tried yet. */
static void
say_auth(struct outgoing *o)
{
	struct buffer first = { 0 };
	const char   *before;

	o->login = supplicant_open(bytes_of(o->mechanisms), &o->login_facts, o->login_life);
	o->auth_step = 0;
	if (o->login == NULL) {
		no_mechanism(o);
		return;
	}
	o->login_facts.tried |= supplicant_bit(o->login);
	o->phase = PHASE_AUTH;
	outgoing_wait_for(o, WAIT_AUTH);
	before = arena_printf(o->login_life, "AUTH %s ", supplicant_name(o->login));
	if (supplicant_first(o->login, &first)) {
		history_add(&o->history, false, bytes_of(before));
		say_secret(o, before, buffer_bytes(&first));
	} else {
		outgoing_say(o, "AUTH %s", supplicant_name(o->login));
	}
	if (first.len > 0)
		explicit_bzero(first.at, first.len);
	buffer_free(&first);
}

bool
outgoing_met_itself(const struct outgoing *o)
{
	return o->met_itself;
}

bool
outgoing_login_refused(const struct outgoing *o)
{
	return o->login_refused;
}

/* A login that was refused once is not tried again and again: hosts shut out who does that. */
static void
refused_before(struct outgoing *o)
{
	buffer_reset(&o->words);
	buffer_printf(&o->words, "SASL [CACHED] authentication failed; server %s said: %s",
	              o->config.host, o->config.login_refused);
	buffer_add_char(&o->words, '\0');
	outgoing_fail(o, o->config.auth_soft ? FATE_ELSEWHERE : FATE_REFUSED,
	              o->config.auth_soft ? "4.7.8" : "5.7.8", o->words.at);
}

void
outgoing_log_in(struct outgoing *o)
{
	const struct outgoing_config *c = &o->config;

	if (!c->auth || c->user == NULL || (o->offers & OFFERS_AUTH) == 0 || o->authenticated) {
		outgoing_ready(o);
		return;
	}
	if (c->login_refused != NULL) {
		refused_before(o);
		return;
	}
	if (o->login_life == NULL)
		o->login_life = arena_open(NULL);
	o->login_facts = (struct supplicant_facts){ .user = c->user,
		                                    .password = c->password,
		                                    .host = c->server != NULL ? c->server : "",
		                                    .port = c->port,
		                                    .filter = c->filter,
		                                    .nonce = c->nonce,
		                                    .demands = !o->secure    ? c->demands
		                                               : c->verified ? c->demands_verified
		                                                             : c->demands_tls };
	bind_channel(o);
	say_auth(o);
}

/* ---- what is heard ---- */

/* False when there is nothing to answer to a challenge. */
static bool
answer(struct outgoing *o)
{
	struct bytes  rest = buffer_bytes(&o->heard.text), line;
	struct buffer challenge = { 0 }, said = { 0 };
	bool          good = response_line(&rest, &line);

	line = bytes_trim(line);
	/* What asks for a name or a password in words need not be coded: some write it plainly. */
	good = good && (base64_decode(&challenge, line) ||
	                bytes_is(bytes_of(supplicant_name(o->login)), "LOGIN"));
	o->auth_step++;
	if (good && (good = supplicant_answer(o->login, buffer_bytes(&challenge), &said)) &&
	    said.len < LINE_MOST)
		say_secret(o, "", buffer_bytes(&said));
	if (said.at != NULL && said.len > 0)
		explicit_bzero(said.at, said.len);
	buffer_free(&said);
	buffer_free(&challenge);
	return good;
}

static bool
has_secret(struct bytes words, struct buffer *secret)
{
	bool found = secret->len > 0 && bytes_search(words, buffer_bytes(secret)) >= 0;

	if (secret->len > 0)
		explicit_bzero(secret->at, secret->len);
	buffer_free(secret);
	return found;
}

/* Some servers repeat what was said to them: that goes into no log and no notice. */
static bool
repeats_secret(const struct outgoing *o, struct bytes words)
{
	struct buffer coded[2] = { { 0 }, { 0 } }, plain = { 0 };
	bool          found;

	buffer_printf(&plain, "%c%s%c%s", '\0', o->config.user, '\0', o->config.password);
	base64_encode(&coded[0], buffer_bytes(&plain));
	base64_encode(&coded[1], bytes_of(o->config.password));
	found = bytes_search(words, bytes_of(o->config.password)) >= 0;
	found = has_secret(words, &coded[0]) || found;
	found = has_secret(words, &coded[1]) || found;
	(void)has_secret(words, &plain);
	return found;
}

/* rfc4954:4: "*" ends it, unless the server knows no end. */
static void
hear_challenge(struct outgoing *o)
{
	if (o->auth_step >= AUTH_CANCELLED) {
		outgoing_lost(o, "it asks on and on", false);
		return;
	}
	outgoing_wait_for(o, WAIT_AUTH);
	if (answer(o))
		return;
	o->auth_step = AUTH_CANCELLED;
	outgoing_say(o, "*");
}

/* Why nobody can log in there now. */
static void
refused(struct outgoing *o)
{
	char               status[12];
	enum outgoing_fate f = outgoing_fate_of(&o->heard, status);
	size_t             before;

	if (o->config.auth_soft && f == FATE_REFUSED) {
		f = FATE_ELSEWHERE;
		status[0] = '4';
	}
	buffer_reset(&o->words);
	buffer_printf(&o->words, "SASL authentication failed; server %s said: ", o->config.host);
	before = o->words.len;
	response_words(&o->heard, &o->words);
	if (repeats_secret(o, bytes_cut(buffer_bytes(&o->words), before, SIZE_MAX))) {
		o->words.len = before;
		buffer_printf(&o->words, "%u, and what had been said to it", o->heard.code);
	}
	buffer_add_char(&o->words, '\0');
	o->login_refused = o->heard.code == AUTH_WRONG;
	outgoing_fail(o, f, status, o->words.at);
}

/* This mechanism will not do (rfc4954:4, 504; rfc4954:6, 534 and 538), or was given up by us: there may be another. */
static bool
may_try_another(const struct outgoing *o)
{
	unsigned code = o->heard.code;

	return code == 504 || code == 534 || code == 538 ||
	       (o->auth_step >= AUTH_CANCELLED && code / 100 == 5);
}

void
outgoing_hear_auth(struct outgoing *o)
{
	struct supplicant_facts again = o->login_facts;

	if (o->heard.code == 334) {
		hear_challenge(o);
	} else if (o->heard.code / 100 == 2 && o->auth_step >= AUTH_CANCELLED) {
		outgoing_lost(o, "it says yes to a login that was given up", false);
	} else if (o->heard.code / 100 == 2 && !supplicant_content(o->login)) {
		outgoing_lost(o, "it has not proved that it knows the password", false);
	} else if (o->heard.code / 100 == 2) {
		o->authenticated = true;
		arena_close(&o->login_life);
		outgoing_ready(o);
	} else if (may_try_another(o) &&
	           supplicant_open(bytes_of(o->mechanisms), &again, o->login_life) != NULL) {
		say_auth(o);
	} else {
		refused(o);
	}
}
