#include "base/journal.h"
#include "smtp/sender/outgoing_inner.h"

#include <stdio.h>
#include <string.h>

/* ---- what is said ---- */

void
outgoing_say(struct outgoing *o, const char *form, ...)
{
	struct buffer *out = o->needs->out(o->mouth);
	size_t         from = out->len;
	va_list        list;

	va_start(list, form);
	buffer_vprintf(out, form, list);
	va_end(list);
	outgoing_said_line(o, out, from);
}

void
outgoing_said_line(struct outgoing *o, struct buffer *out, size_t from)
{
	history_add(&o->history, false, bytes_cut(buffer_bytes(out), from, SIZE_MAX));
	buffer_add_string(out, "\r\n");
}

void
outgoing_wait_for(struct outgoing *o, enum outgoing_wait what)
{
	o->needs->wait(o->mouth, what);
}

void
outgoing_end(struct outgoing *o)
{
	if (o->phase == PHASE_OVER)
		return;
	o->phase = PHASE_OVER;
	outgoing_wait_for(o, WAIT_NOTHING);
	o->needs->over(o->mouth);
}

const char *
outgoing_said(struct outgoing *o, const char *command)
{
	history_blame(&o->history, fault_of_answer(o->heard.code));
	buffer_reset(&o->words);
	/* It says yes, or go on, where nobody can go on by that. */
	buffer_printf(&o->words, "%shost %s said: ",
	              command != NULL && (o->heard.code / 100 == 2 || o->heard.code / 100 == 3)
	                      ? "Protocol error: "
	                      : "",
	              o->config.host);
	response_words(&o->heard, &o->words);
	if (command != NULL)
		buffer_printf(&o->words, " (in reply to %s)", command);
	buffer_add_char(&o->words, '\0');
	return o->words.at;
}

/* rfc5321:4.2.1: the first digit.  A server that answers what nobody has asked is not to be believed now. */
enum outgoing_fate
outgoing_fate_of(const struct response *r, char status[static 12])
{
	response_status(r, status);
	if (r->code / 100 == 5)
		return FATE_REFUSED;
	if (r->code / 100 != 4)
		(void)snprintf(status, 12, "4.5.0");
	return FATE_ELSEWHERE;
}

/* Nothing will come of this session. */
static void
fail(struct outgoing *o, enum outgoing_fate f, const char *status, const char *words)
{
	o->phase = PHASE_OVER;
	outgoing_wait_for(o, WAIT_NOTHING);
	o->needs->failed(o->mouth, f, status, words);
}

void
outgoing_fail(struct outgoing *o, enum outgoing_fate f, const char *status, const char *words)
{
	outgoing_say(o, "QUIT");
	fail(o, f, status, words);
}

static void
refused_to_talk(struct outgoing *o, enum outgoing_fate f, const char *status)
{
	history_blame(&o->history, fault_of_answer(o->heard.code));
	buffer_reset(&o->words);
	buffer_printf(&o->words, "host %s refused to talk to me: ", o->config.host);
	response_words(&o->heard, &o->words);
	buffer_add_char(&o->words, '\0');
	outgoing_fail(o, f, status, o->words.at);
}

/* ---- EHLO and what it offers ---- */

unsigned
outgoing_offer_named(struct bytes keyword)
{
	/* clang-format off */
	static const struct { const char *name; unsigned bit; } offers[] = {
		{ "PIPELINING", OFFERS_PIPELINING }, { "SIZE", OFFERS_SIZE },         { "8BITMIME", OFFERS_8BITMIME },
		{ "STARTTLS", OFFERS_STARTTLS },     { "AUTH", OFFERS_AUTH },         { "CHUNKING", OFFERS_CHUNKING },
		{ "DSN", OFFERS_DSN },               { "SMTPUTF8", OFFERS_SMTPUTF8 }, { "REQUIRETLS", OFFERS_REQUIRETLS },
		{ "BINARYMIME", OFFERS_BINARYMIME }, { "ENHANCEDSTATUSCODES", OFFERS_ENHANCED },
		{ "DELIVERBY", OFFERS_DELIVERBY },   { "MT-PRIORITY", OFFERS_PRIORITY }, { "XFORWARD", OFFERS_XFORWARD },
		{ "NO-SOLICITING", OFFERS_NO_SOLICITING },
	};
	/* clang-format on */
	for (size_t i = 0; i < COUNT(offers); i++)
		if (bytes_is(keyword, offers[i].name))
			return offers[i].bit;
	return 0;
}

static void
say_hello(struct outgoing *o, bool extended)
{
	o->phase = PHASE_EHLO;
	if ((o->config.never_ehlo || !extended) && !o->config.lmtp) {
		o->phase = PHASE_HELO;
		outgoing_say(o, "HELO %s", o->config.hello);
	} else {
		outgoing_say(o, "%s %s", o->config.lmtp ? "LHLO" : "EHLO", o->config.hello);
	}
	outgoing_wait_for(o, WAIT_HELLO);
}

/* One keyword and what stands behind it.  Servers before rfc2554 said AUTH=PLAIN. */
static void
read_offer(struct outgoing *o, struct bytes line)
{
	struct bytes keyword = { NULL, 0 };
	unsigned     bit;

	if (bytes_starts_nocase(line, BYTES("AUTH=")))
		line = bytes_cut(line, 0, line.len), keyword = bytes_cut(line, 0, 4),
		line = bytes_cut(line, 5, SIZE_MAX);
	else if (!bytes_split(&line, ' ', &keyword))
		return;
	bit = outgoing_offer_named(keyword) & ~o->config.discard;
	o->offers |= bit;
	line = bytes_trim(line);
	if (bit == OFFERS_SIZE && !bytes_number(line, &o->size_most))
		o->size_most = 0;
	if (bit == OFFERS_XFORWARD)
		outgoing_xforward_offer(o, line);
	if (bit == OFFERS_AUTH && o->mechanisms[0] == '\0')
		(void)bytes_string(bytes_cut(line, 0, sizeof o->mechanisms - 1), o->mechanisms,
		                   sizeof o->mechanisms);
}

static void
read_offers(struct outgoing *o)
{
	struct bytes rest = buffer_bytes(&o->heard.text), line;

	o->offers = o->xforward = 0;
	o->size_most = 0;
	o->mechanisms[0] = '\0';
	(void)response_line(&rest, &line); /* its name, and a greeting */
	while (response_line(&rest, &line))
		read_offer(o, line);
}

static void
greeted(struct outgoing *o)
{
	if (!o->secure && (o->offers & OFFERS_STARTTLS) != 0)
		o->offered_tls = true;
	if (o->config.tls != OUTGOING_CLEAR && !o->secure && (o->offers & OFFERS_STARTTLS) != 0) {
		o->phase = PHASE_STARTTLS;
		outgoing_say(o, "STARTTLS");
		outgoing_wait_for(o, WAIT_STARTTLS);
		return;
	}
	if (o->config.tls == OUTGOING_ENCRYPT && !o->secure) {
		buffer_reset(&o->words);
		buffer_printf(&o->words, "TLS is required, but was not offered by host %s",
		              o->config.host);
		buffer_add_char(&o->words, '\0');
		outgoing_fail(o, FATE_ELSEWHERE, "4.7.4", o->words.at);
		return;
	}
	outgoing_log_in(o);
}

static bool
greets_extended(const struct outgoing *o)
{
	struct bytes rest = buffer_bytes(&o->heard.text), line, word;

	while (response_line(&rest, &line))
		while (bytes_split(&line, ' ', &word))
			if (bytes_is(word, "ESMTP"))
				return true;
	return false;
}

unsigned
outgoing_pix_named(struct bytes word)
{
	return bytes_is(word, "disable_esmtp")   ? PIX_DISABLE_ESMTP
	       : bytes_is(word, "delay_dotcrlf") ? PIX_DELAY_DOTCRLF
	                                         : 0;
}

unsigned
outgoing_pix(const struct outgoing *o)
{
	return o->pix;
}

/* Its firewall makes stars of every letter of a greeting but 2, 0 and blanks. */
static bool
greets_with_stars(const struct outgoing *o)
{
	struct bytes text = buffer_bytes(&o->heard.text);

	for (size_t i = 0; i < text.len; i++)
		if (memchr("20 *\t\r\n", text.at[i], 7) == NULL)
			return false;
	return bytes_find(text, '*') >= 0;
}

static void
hear_greeting(struct outgoing *o)
{
	char               status[12];
	enum outgoing_fate f;

	if (o->heard.code / 100 == 2) {
		o->pix = greets_with_stars(o) ? o->config.pix : 0;
		say_hello(o, (o->config.always_ehlo || greets_extended(o)) &&
		                     (o->pix & PIX_DISABLE_ESMTP) == 0);
		return;
	}
	f = outgoing_fate_of(&o->heard, status);
	if (o->config.skip_5xx_greeting && f == FATE_REFUSED) {
		f = FATE_ELSEWHERE;
		status[0] = '4';
	}
	refused_to_talk(o, f, status);
}

/* rfc5321:5.1: who answers with our own name is ourselves, by whatever address; what we bring there would come back. */
static bool
is_ourselves(struct outgoing *o)
{
	struct bytes rest = buffer_bytes(&o->heard.text), line, word;

	if (!response_line(&rest, &line) || !bytes_split(&line, ' ', &word) ||
	    !bytes_string(word, o->name, sizeof o->name))
		return false;
	if (o->config.own == NULL || !bytes_is(word, o->config.own))
		return false;
	o->met_itself = true;
	warn_("host %s replied to HELO/EHLO with my own hostname %s", o->config.host,
	      o->config.own);
	buffer_reset(&o->words);
	buffer_printf(&o->words, "mail for %s loops back to myself", o->config.destination);
	buffer_add_char(&o->words, '\0');
	outgoing_fail(o, o->config.best ? FATE_REFUSED : FATE_ELSEWHERE,
	              o->config.best ? "5.4.6" : "4.4.6", o->words.at);
	return true;
}

/* rfc5321:3.2: who does not know EHLO gets HELO. */
static void
hear_ehlo(struct outgoing *o)
{
	char status[12];

	if (o->heard.code / 100 == 2) {
		if (is_ourselves(o))
			return;
		read_offers(o);
		greeted(o);
	} else if (o->heard.code == 421 || o->config.lmtp) {
		refused_to_talk(o, outgoing_fate_of(&o->heard, status), status);
	} else {
		o->phase = PHASE_HELO;
		outgoing_say(o, "HELO %s", o->config.hello);
		outgoing_wait_for(o, WAIT_HELLO);
	}
}

static void
hear_helo(struct outgoing *o)
{
	char status[12];

	o->offers = 0;
	if (o->heard.code / 100 != 2)
		refused_to_talk(o, outgoing_fate_of(&o->heard, status), status);
	else if (!is_ourselves(o))
		greeted(o);
}

/* ---- STARTTLS (rfc3207) ---- */

static void
hear_starttls(struct outgoing *o)
{
	if (o->heard.code == 220) {
		o->phase = PHASE_SHAKING;
		outgoing_wait_for(o, WAIT_STARTTLS);
		o->needs->secure(o->mouth);
		return;
	}
	if (o->config.tls != OUTGOING_ENCRYPT) {
		outgoing_log_in(o);
		return;
	}
	buffer_reset(&o->words);
	buffer_printf(&o->words,
	              "TLS is required, but host %s refused to start TLS: ", o->config.host);
	response_words(&o->heard, &o->words);
	buffer_add_char(&o->words, '\0');
	outgoing_fail(o, FATE_ELSEWHERE, "4.7.4", o->words.at);
}

/* What was said before the handshake is forgotten (rfc3207:4.2). */
void
outgoing_secured(struct outgoing *o, bool ok, const char *why)
{
	if (o->phase != PHASE_SHAKING)
		return;
	if (!ok) {
		o->handshake_failed = true;
		buffer_reset(&o->words);
		buffer_printf(&o->words, "Cannot start TLS: handshake failure with %s: %s",
		              o->config.host, why);
		buffer_add_char(&o->words, '\0');
		fail(o, FATE_ELSEWHERE, "4.7.5", o->words.at);
		return;
	}
	o->secure = true;
	o->offers = 0;
	say_hello(o, true);
}

void
outgoing_verified(struct outgoing *o)
{
	o->config.verified = true;
}

const char *
outgoing_name(const struct outgoing *o)
{
	return o->name;
}

bool
outgoing_offers_tls(const struct outgoing *o)
{
	return o->offered_tls;
}

bool
outgoing_handshake_failed(const struct outgoing *o)
{
	return o->handshake_failed;
}

/* ---- its life ---- */

void
outgoing_ready(struct outgoing *o)
{
	o->phase = PHASE_READY;
	o->t = NULL;
	outgoing_wait_for(o, WAIT_NOTHING);
	o->needs->ready(o->mouth);
}

/* What the host took with its answer to the final dot is its own, whatever cannot be asked about the words: who tried again
   would send it twice.  What it refuses there is put off. */
static enum response_filtered
filter(void *ctx, struct bytes line, struct buffer *instead)
{
	struct outgoing       *o = ctx;
	enum response_filtered f = o->needs->filter(o->mouth, line, instead);

	if (f != FILTERED_LATER || o->phase != PHASE_END)
		return f;
	if (!bytes_starts(line, BYTES("5")))
		return FILTERED_NOT;
	buffer_add_char(instead, '4');
	buffer_add(instead, bytes_cut(line, 1, SIZE_MAX));
	return FILTERED;
}

struct outgoing *
outgoing_open(const struct outgoing_config *config, const struct outgoing_needs *needs, void *mouth)
{
	struct outgoing *o = memory_take(sizeof *o);

	o->config = *config;
	o->needs = needs;
	o->mouth = mouth;
	o->secure = config->secured;
	o->history.wanted = config->history;
	o->phase = PHASE_GREETING;
	response_begin(&o->heard);
	if (config->filters) {
		o->heard.filter = filter;
		o->heard.ctx = o;
	}
	outgoing_wait_for(o, WAIT_GREETING);
	return o;
}

void
outgoing_close(struct outgoing **op)
{
	struct outgoing *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	response_free(&o->heard);
	history_free(&o->history);
	buffer_free(&o->words);
	arena_close(&o->login_life);
	memory_free(o);
}

const struct history *
outgoing_history(const struct outgoing *o)
{
	return &o->history;
}

unsigned
outgoing_offers(const struct outgoing *o)
{
	return o->offers;
}

bool
outgoing_is_unheard(const struct outgoing *o)
{
	return !o->heard_mail;
}

static void
hear_quit(struct outgoing *o)
{
	outgoing_end(o);
}

void
outgoing_quit(struct outgoing *o)
{
	if (o->phase == PHASE_OVER)
		return;
	outgoing_say(o, "QUIT");
	o->phase = PHASE_QUIT;
	outgoing_wait_for(o, WAIT_QUIT);
	if (o->config.skip_quit)
		outgoing_end(o);
}

static const char *const busy_with[PHASES] = {
	[PHASE_GREETING] = "receiving the initial server greeting",
	[PHASE_EHLO] = "performing the EHLO handshake",
	[PHASE_HELO] = "performing the HELO handshake",
	[PHASE_STARTTLS] = "performing the STARTTLS handshake",
	[PHASE_SHAKING] = "performing the TLS handshake",
	[PHASE_AUTH] = "logging in",
	[PHASE_READY] = "waiting for work",
	[PHASE_XFORWARD] = "sending XFORWARD command",
	[PHASE_ENVELOPE] = "sending MAIL FROM, RCPT TO or DATA command",
	[PHASE_CONTENT] = "sending message body",
	[PHASE_PAUSE] = "sending message body",
	[PHASE_END] = "sending end of data -- message may be sent more than once",
	[PHASE_RSET] = "sending RSET command",
};

/* In doubt after the final dot no other host is asked at once: that would be a second copy by our own doing. */
static void
give_up(struct outgoing *o, const char *status)
{
	enum outgoing_phase p = o->phase;

	if (o->t != NULL)
		outgoing_transaction_lost(o, p == PHASE_END ? FATE_LATER : FATE_ELSEWHERE, status,
		                          o->words.at);
	else if (p < PHASE_READY)
		fail(o, FATE_ELSEWHERE, status, o->words.at);
	else
		outgoing_end(o);
}

void
outgoing_lost(struct outgoing *o, const char *why, bool patience)
{
	enum outgoing_phase p = o->phase;

	if (p == PHASE_OVER)
		return;
	buffer_reset(&o->words);
	if (patience)
		buffer_printf(&o->words, "conversation with %s timed out while %s", o->config.host,
		              busy_with[p] != NULL ? busy_with[p] : "leaving");
	else
		buffer_printf(&o->words, "lost connection with %s while %s%s%s", o->config.host,
		              busy_with[p] != NULL ? busy_with[p] : "leaving",
		              *why != '\0' ? ": " : "", why);
	buffer_add_char(&o->words, '\0');
	give_up(o, "4.4.2");
}

/* What the host says cannot be read as a filter has it. */
static void
unsure(struct outgoing *o)
{
	buffer_reset(&o->words);
	buffer_printf(&o->words, "the filter of what host %s says cannot be asked now",
	              o->config.host);
	buffer_add_char(&o->words, '\0');
	give_up(o, "4.3.0");
}

/* clang-format off */
static void (*const hears[PHASES])(struct outgoing *) = {
	[PHASE_GREETING] = hear_greeting,          [PHASE_EHLO] = hear_ehlo,
	[PHASE_HELO] = hear_helo,                  [PHASE_STARTTLS] = hear_starttls,
	[PHASE_AUTH] = outgoing_hear_auth,                  [PHASE_ENVELOPE] = outgoing_hear_envelope,
	[PHASE_XFORWARD] = outgoing_hear_xforward,
	[PHASE_CONTENT] = outgoing_hear_content,   [PHASE_END] = outgoing_hear_end,
	[PHASE_PAUSE] = outgoing_hear_content,
	[PHASE_RSET] = outgoing_hear_rset,         [PHASE_QUIT] = hear_quit,
};
/* clang-format on */

/* What it said instead is part of what the postmaster should see. */
static void
lost_to_nonsense(struct outgoing *o, struct bytes rest)
{
	history_add(&o->history, true, bytes_cut(rest, 0, (size_t)bytes_find(rest, '\n')));
	history_blame(&o->history, FAULT_PROTOCOL);
	outgoing_lost(o, "its answer is none that SMTP knows", false);
}

/* A response in a phase that waits for none ("421 idle too long") ends the session. */
size_t
outgoing_take(struct outgoing *o, struct bytes arrived)
{
	size_t total = 0, used;

	while (o->phase != PHASE_OVER && o->phase != PHASE_SHAKING && total < arrived.len) {
		enum response_outcome r =
			response_take(&o->heard, bytes_cut(arrived, total, SIZE_MAX), &used);

		total += used;
		if (r == RESPONSE_SHORT)
			break;
		history_add(&o->history, true, buffer_bytes(&o->heard.text));
		if (r == RESPONSE_NONSENSE)
			lost_to_nonsense(o, bytes_cut(arrived, total, SIZE_MAX));
		else if (r == RESPONSE_UNSURE)
			unsure(o);
		else if (hears[o->phase] == NULL)
			outgoing_end(o);
		else
			hears[o->phase](o);
		if (r == RESPONSE_WHOLE)
			response_begin(&o->heard);
	}
	return total;
}
