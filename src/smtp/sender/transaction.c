/* transaction.c -- MAIL, RCPT, DATA or BDAT, the letter, and what the server says to it (rfc5321:3.3, rfc2920, rfc3030) */
#include "message/envelope.h"
#include "smtp/sender/outgoing_inner.h"

#include <inttypes.h>
#include <string.h>

enum { PIECE = 32 << 10, AHEAD_MOST = 128 << 10 };

/* ---- fates ---- */

static void
fate(struct outgoing *o, uint32_t i, enum outgoing_fate f, const char *status, const char *words)
{
	if (o->t->rcpt[i].fate != FATE_NONE)
		return;
	o->t->rcpt[i].fate = (uint8_t)f;
	o->needs->fate(o->mouth, i, f, status, words);
}

static void
fate_of_all(struct outgoing *o, enum outgoing_fate f, const char *status, const char *words)
{
	for (uint32_t i = 0; i < o->t->rcpts; i++)
		fate(o, i, f, status, words);
}

void
outgoing_transaction_lost(struct outgoing *o, enum outgoing_fate f, const char *status,
                          const char *words)
{
	fate_of_all(o, f, status, words);
	o->t = NULL;
	o->needs->done(o->mouth, false);
	outgoing_end(o);
}

/* Everybody knows; the server is told to forget what it has of this. */
static void
give_up(struct outgoing *o)
{
	o->t = NULL;
	o->phase = PHASE_RSET;
	outgoing_say(o, "RSET");
	outgoing_wait_for(o, WAIT_RSET);
	o->needs->done(o->mouth, true);
}

void
outgoing_hear_rset(struct outgoing *o)
{
	if (o->heard.code / 100 == 2)
		outgoing_ready(o);
	else
		outgoing_end(o);
}

/* ---- what is said ---- */

/* Said as xtext (rfc3461:4), as which it is handed on; what came as UTF-8 (rfc6533:3) is written in it. */
static void
add_xtext(struct buffer *out, struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (c > ' ' && c < 127)
			buffer_add_char(out, (char)c);
		else
			buffer_printf(out, "+%02X", c);
	}
}

static void
say_mail(struct outgoing *o)
{
	const struct outgoing_transaction *t = o->t;
	struct buffer                     *out = o->needs->out(o->mouth);
	size_t                             from = out->len;

	o->history.quiet |= t->sender.len == 0;
	buffer_printf(out, "MAIL FROM:<%.*s>", (int)t->sender.len, t->sender.at);
	if ((o->offers & OFFERS_SIZE) != 0 && t->size > 0)
		buffer_printf(out, " SIZE=%" PRIu64, t->size);
	if (t->binary)
		buffer_add_string(out, " BODY=BINARYMIME");
	else if (t->eight_bit && (o->offers & OFFERS_8BITMIME) != 0)
		buffer_add_string(out, " BODY=8BITMIME");
	if (t->utf8)
		buffer_add_string(out, " SMTPUTF8");
	if (o->config.dummy_auth && o->authenticated)
		buffer_add_string(out, " AUTH=<>"); /* rfc4954:5 */
	if (t->require_tls)
		buffer_add_string(out, " REQUIRETLS");
	if ((o->offers & OFFERS_DSN) != 0 && (t->ret == 'F' || t->ret == 'H'))
		buffer_add_string(out, t->ret == 'F' ? " RET=FULL" : " RET=HDRS");
	if ((o->offers & OFFERS_DSN) != 0 && t->envid.len > 0) {
		buffer_add_string(out, " ENVID=");
		add_xtext(out, t->envid);
	}
	if ((o->offers & OFFERS_DELIVERBY) != 0 && t->by_mode != 0)
		buffer_printf(out, " BY=%" PRId64 ";%c%s", t->by, t->by_mode,
		              t->by_trace ? "T" : "");
	if ((o->offers & OFFERS_PRIORITY) != 0 && t->priority != 0)
		buffer_printf(out, " MT-PRIORITY=%d", t->priority);
	if ((o->offers & OFFERS_NO_SOLICITING) != 0 && t->solicit.len > 0)
		buffer_printf(out, " SOLICIT=%.*s", (int)t->solicit.len,
		              t->solicit.at); /* rfc3865:2.7 */
	outgoing_said_line(o, out, from);
	o->said_mail = true;
}

static void
add_notify(struct buffer *out, uint8_t notify)
{
	/* clang-format off */
	static const struct { uint8_t bit; const char *word; } words[] = {
		{ NOTIFY_NEVER, "NEVER" }, { NOTIFY_SUCCESS, "SUCCESS" }, { NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" },
	};
	/* clang-format on */
	const char *before = " NOTIFY=";

	for (size_t i = 0; i < COUNT(words); i++)
		if ((notify & words[i].bit) != 0) {
			buffer_printf(out, "%s%s", before, words[i].word);
			before = ",";
		}
}

/* "rfc822;address": the type as it is, the rest as xtext. */
static void
add_orcpt(struct buffer *out, struct bytes orcpt)
{
	ptrdiff_t at = bytes_find(orcpt, ';');

	if (at <= 0)
		return;
	buffer_printf(out, " ORCPT=%.*s;", (int)at, orcpt.at);
	add_xtext(out, bytes_cut(orcpt, (size_t)at + 1, SIZE_MAX));
}

static void
say_rcpt(struct outgoing *o)
{
	const struct outgoing_recipient *r = &o->t->rcpt[o->said_rcpts++];
	struct buffer                   *out = o->needs->out(o->mouth);
	size_t                           from = out->len;

	buffer_printf(out, "RCPT TO:<%.*s>", (int)r->address.len, r->address.at);
	if ((o->offers & OFFERS_DSN) != 0) {
		add_notify(out, r->notify);
		add_orcpt(out, r->orcpt);
	}
	outgoing_said_line(o, out, from);
}

static bool
wants_data(const struct outgoing *o)
{
	return !o->said_data && (!o->t->probe || o->config.verify_data) && !o->chunk;
}

/* As much as may be said now: with PIPELINING all of it (rfc2920:3.1), else one command after another.  The letter itself
   waits until it is known that somebody will take it. */
void
outgoing_say_envelope(struct outgoing *o)
{
	bool pipelining = (o->offers & OFFERS_PIPELINING) != 0;

	if (!o->said_mail)
		say_mail(o);
	while (o->said_rcpts < o->t->rcpts &&
	       (pipelining || (o->good_mail && o->heard_mail && o->heard_rcpts == o->said_rcpts)))
		say_rcpt(o);
	if (wants_data(o) && o->said_rcpts == o->t->rcpts &&
	    (pipelining || (o->good_mail && o->heard_rcpts == o->said_rcpts && o->taken > 0))) {
		o->said_data = true;
		outgoing_say(o, "DATA");
	}
	outgoing_wait_for(o, !o->heard_mail                   ? WAIT_MAIL
	                     : o->heard_rcpts < o->said_rcpts ? WAIT_RCPT
	                                                      : WAIT_DATA_INIT);
}

/* ---- the letter ---- */

/* A piece of a line, without its end. */
static void
add_line(struct outgoing *o, struct buffer *out, struct bytes text)
{
	if (text.len > 0 && o->line_start && text.at[0] == '.')
		buffer_add_char(out, '.'); /* rfc5321:4.5.2 */
	o->line_start = o->line_start && text.len == 0;
	while (o->config.line_most > 0 && o->column + (int64_t)text.len > o->config.line_most) {
		size_t n = (size_t)(o->config.line_most - o->column);

		buffer_add(out, bytes_cut(text, 0, n));
		buffer_add_string(out, "\r\n ");
		text = bytes_cut(text, n, SIZE_MAX);
		o->column = 1;
	}
	buffer_add(out, text);
	o->column += (int64_t)text.len;
}

/* The same, but a CR that ends no line is a blank: what it would mean to the next host nobody knows. */
static void
add_part(struct outgoing *o, struct buffer *out, struct bytes text)
{
	ptrdiff_t cr;

	if (o->held_cr && text.len > 0) {
		o->held_cr = false;
		add_line(o, out, BYTES(" "));
	}
	while ((cr = bytes_find(text, '\r')) >= 0) {
		add_line(o, out, bytes_cut(text, 0, (size_t)cr));
		text = bytes_cut(text, (size_t)cr + 1, SIZE_MAX);
		if (text.len == 0) {
			o->held_cr = true;
			return;
		}
		add_line(o, out, BYTES(" "));
	}
	add_line(o, out, text);
}

static void
add_content(struct outgoing *o, struct bytes piece)
{
	struct buffer *out = o->needs->out(o->mouth);
	ptrdiff_t      end;

	if (o->chunk) {
		buffer_add(out, piece);
		return;
	}
	while ((end = bytes_find(piece, '\n')) >= 0) {
		size_t n = (size_t)end;

		if (n == 0)
			o->held_cr = false; /* it was the first half of this end */
		else if (piece.at[n - 1] == '\r')
			n--;
		add_part(o, out, bytes_cut(piece, 0, n));
		if (o->held_cr)
			add_line(o, out, BYTES(" "));
		o->held_cr = false;
		buffer_add_string(out, "\r\n");
		piece = bytes_cut(piece, (size_t)end + 1, SIZE_MAX);
		o->line_start = true;
		o->column = 0;
	}
	add_part(o, out, piece);
}

static void
end_say(struct outgoing *o)
{
	if (!o->chunk) {
		if (!o->line_start || o->held_cr)
			buffer_add_string(o->needs->out(o->mouth), "\r\n");
		buffer_add_string(o->needs->out(o->mouth), ".\r\n");
	}
	o->phase = PHASE_END;
	outgoing_wait_for(o, WAIT_DATA_DONE);
}

static void
content_end(struct outgoing *o)
{
	if (!o->chunk && (o->pix & PIX_DELAY_DOTCRLF) != 0 && o->config.pix_delay) {
		o->phase = PHASE_PAUSE;
		outgoing_wait_for(o, WAIT_PAUSE);
	} else {
		end_say(o);
	}
}

bool
outgoing_paused(struct outgoing *o)
{
	if (o->phase != PHASE_PAUSE)
		return false;
	end_say(o);
	return true;
}

/* A letter that cannot be read to its end is not ended: the server must not take half of it. */
static void
content_go(struct outgoing *o)
{
	char piece[PIECE] __attribute__((uninitialized));

	while (o->phase == PHASE_CONTENT && o->needs->pending(o->mouth) < AHEAD_MOST) {
		uint64_t left = o->t->size - o->content_at;
		size_t   room = left < sizeof piece ? (size_t)left : sizeof piece, n = 0;

		if (room > 0 &&
		    (n = o->needs->content(o->mouth, o->content_at, piece, room)) == 0) {
			outgoing_transaction_lost(o, FATE_LATER, "4.3.0",
			                          "the letter cannot be read from the log");
			return;
		}
		o->content_at += n;
		add_content(o, (struct bytes){ piece, n });
		if (o->content_at == o->t->size)
			content_end(o);
	}
}

void
outgoing_drained(struct outgoing *o)
{
	if (o->phase == PHASE_CONTENT)
		content_go(o);
}

static void
content_begin_here(struct outgoing *o)
{
	o->phase = PHASE_CONTENT;
	o->content_at = 0;
	o->line_start = true;
	o->held_cr = false;
	o->column = 0;
	o->answered = 0;
	outgoing_wait_for(o, WAIT_DATA_CONTENT);
	if (o->chunk)
		outgoing_say(o, "BDAT %" PRIu64 " LAST", o->t->size);
	content_go(o);
}

/* ---- what is heard ---- */

static void
hear_mail(struct outgoing *o)
{
	char               status[12];
	enum outgoing_fate f;

	o->heard_mail = true;
	o->good_mail = o->heard.code / 100 == 2;
	if (o->good_mail)
		return;
	f = outgoing_fate_of(&o->heard, status);
	fate_of_all(o, f, status, outgoing_said(o, "MAIL FROM command"));
}

/* rfc5321:4.5.3.1.10: some say 552 of too many recipients, which is not for good; of a mailbox that is full it is. */
static bool
is_too_many(const struct outgoing *o, const char *status)
{
	return o->heard.code == 552 && !o->t->probe &&
	       (strcmp(status, "5.5.3") == 0 || (strcmp(status, "5.0.0") == 0 && o->taken > 0));
}

static void
hear_rcpt(struct outgoing *o)
{
	uint32_t           i = o->heard_rcpts++;
	char               status[12];
	enum outgoing_fate f;

	if (o->heard.code / 100 == 2 && o->good_mail) {
		o->t->rcpt[i].taken = true;
		o->taken++;
		if (o->t->probe && !o->config.verify_data) {
			response_status(&o->heard, status);
			fate(o, i, FATE_DELIVERED, status, outgoing_said(o, NULL));
		}
		return;
	}
	f = outgoing_fate_of(&o->heard, status);
	if (is_too_many(o, status))
		f = FATE_ELSEWHERE, status[0] = '4';
	fate(o, i, f, status, outgoing_said(o, "RCPT TO command"));
}

static void
hear_data(struct outgoing *o)
{
	char               status[12];
	enum outgoing_fate f;
	bool               go = o->heard.code / 100 == 3; /* rfc5321:4.2.1: the first digit */

	o->heard_data = true;
	if (go && o->taken > 0 && o->t->probe) {
		/* No letter will follow: there is nothing to say but to go. */
		outgoing_transaction_lost(o, FATE_DELIVERED, "2.1.5", outgoing_said(o, NULL));
		return;
	}
	if (go && o->taken > 0)
		return;
	if (go) {
		/* rfc2920:3.1: nobody takes it, and yet it is to come: an empty one ends that. */
		outgoing_say(o, ".");
		o->phase = PHASE_END;
		o->answered = 0;
		outgoing_wait_for(o, WAIT_DATA_DONE);
		return;
	}
	f = outgoing_fate_of(&o->heard, status);
	fate_of_all(o, f, status, outgoing_said(o, "DATA command"));
}

/* What the next answer is to. */
static const char *
command_answered(const struct outgoing *o)
{
	return !o->heard_mail                   ? "MAIL FROM command"
	       : o->heard_rcpts < o->said_rcpts ? "RCPT TO command"
	                                        : "DATA command";
}

void
outgoing_hear_envelope(struct outgoing *o)
{
	if (o->heard.code == 421) { /* rfc5321:3.8: it goes */
		char status[12];

		response_status(&o->heard, status);
		outgoing_transaction_lost(o, FATE_ELSEWHERE, status,
		                          outgoing_said(o, command_answered(o)));
		return;
	}
	if (!o->heard_mail)
		hear_mail(o);
	else if (o->heard_rcpts < o->said_rcpts)
		hear_rcpt(o);
	else if (o->said_data && !o->heard_data)
		hear_data(o);
	if (o->phase != PHASE_ENVELOPE)
		return;
	if (o->good_mail || !o->heard_mail)
		outgoing_say_envelope(o);
	/* Is everything said that is to be said, and heard? */
	if (o->heard_rcpts < o->said_rcpts || (o->said_data && !o->heard_data))
		return;
	if (o->heard_mail && (!o->good_mail || (o->heard_rcpts == o->t->rcpts && o->taken == 0)))
		give_up(o);
	else if (o->heard_rcpts == o->t->rcpts && o->t->probe && !o->said_data)
		give_up(o);
	else if (o->heard_rcpts == o->t->rcpts && o->chunk)
		content_begin_here(o);
	else if (o->heard_data && o->heard.code / 100 == 3)
		content_begin_here(o);
	else if (o->heard_data)
		give_up(o);
}

/* rfc5321:4.2.4: whoever offers CHUNKING and knows no BDAT refuses the command, not the letter.  What it has made of the bytes
   behind that nobody knows: the connection is of no more use, and the letter may go there by DATA. */
static bool
is_chunk_unknown(struct outgoing *o)
{
	if (!o->chunk || o->heard.code / 10 != 50)
		return false;
	o->t->wants_data = true;
	outgoing_transaction_lost(o, FATE_ELSEWHERE, "4.5.0", outgoing_said(o, "BDAT command"));
	return true;
}

/* An answer before the letter has ended: it will not be taken.  What else the server would do with the rest of the bytes
   nobody knows, so this connection is of no more use. */
void
outgoing_hear_content(struct outgoing *o)
{
	char               status[12];
	enum outgoing_fate f = outgoing_fate_of(&o->heard, status);

	if (!is_chunk_unknown(o))
		outgoing_transaction_lost(o, f, status, outgoing_said(o, "message body"));
}

/* LMTP answers for each recipient it took, in their order (rfc2033:4.2). */
static void
hear_one_end(struct outgoing *o)
{
	char               status[12];
	enum outgoing_fate f = FATE_DELIVERED;
	const char        *words;
	uint32_t           i = o->answered;

	if (o->heard.code / 100 == 2) {
		response_status(&o->heard, status);
		buffer_reset(&o->words);
		response_words(&o->heard, &o->words);
		buffer_add_char(&o->words, '\0');
		words = o->words.at;
	} else {
		f = outgoing_fate_of(&o->heard, status);
		words = outgoing_said(o, o->chunk ? "BDAT command" : "end of DATA command");
	}
	if (!o->config.lmtp) {
		fate_of_all(o, f, status, words);
		o->answered = o->t->rcpts;
		return;
	}
	while (i < o->t->rcpts && !o->t->rcpt[i].taken)
		i++;
	if (i < o->t->rcpts)
		fate(o, i, f, status, words);
	for (i++; i < o->t->rcpts && !o->t->rcpt[i].taken;)
		i++;
	o->answered = i;
}

void
outgoing_hear_end(struct outgoing *o)
{
	/* Who says "250" to all that may be asked, before it is asked, has not seen the letter; it may refuse it before its
	   end. */
	if (o->heard.code / 100 == 2 && o->needs->pending(o->mouth) > 0) {
		outgoing_lost(o, "it answers before it is asked", false);
		return;
	}
	if (is_chunk_unknown(o))
		return;
	hear_one_end(o);
	if (o->heard.code == 421) {
		outgoing_transaction_lost(o, FATE_LATER, "4.3.0", outgoing_said(o, NULL));
		return;
	}
	if (o->answered < o->t->rcpts)
		return;
	o->t = NULL;
	o->needs->done(o->mouth, true);
	if (o->phase == PHASE_END)
		outgoing_ready(o);
}

/* ---- the beginning ---- */

/* Wherever an address has come from, it brings no line of its own. */
static bool
breaks_line(struct bytes address)
{
	for (size_t i = 0; i < address.len; i++)
		if ((unsigned char)address.at[i] < ' ' || address.at[i] == 127)
			return true;
	return false;
}

static bool
has_broken_address(const struct outgoing_transaction *t)
{
	for (uint32_t i = 0; i < t->rcpts; i++)
		if (breaks_line(t->rcpt[i].address) || breaks_line(t->rcpt[i].orcpt))
			return true;
	return breaks_line(t->sender);
}

/* What this server cannot do for this letter. */
static const char *
cannot(const struct outgoing *o, struct outgoing_transaction *t, const char **status)
{
	bool eight = t->eight_bit && (o->offers & OFFERS_8BITMIME) == 0;
	bool binary = t->binary && (o->offers & (OFFERS_BINARYMIME | OFFERS_CHUNKING)) !=
	                                   (OFFERS_BINARYMIME | OFFERS_CHUNKING);

	if (has_broken_address(t)) {
		*status = "5.1.3";
		return "an address of the letter has a control character: it is not said to host %s";
	}
	if (t->probe)
		return NULL;
	*status = "5.6.3";
	if (t->seven && (binary || eight)) {
		t->wants_seven = true;
		return "8BITMIME or BINARYMIME was not offered by host %s";
	}
	if (binary)
		return "BINARYMIME is required, but was not offered by host %s";
	if (eight)
		return "8BITMIME is required, but was not offered by host %s";
	*status = "5.6.7";
	if (t->utf8 && (o->offers & OFFERS_SMTPUTF8) == 0)
		return "SMTPUTF8 is required, but was not offered by host %s";
	*status = "5.7.30";
	if (t->require_tls && (!o->secure || (o->offers & OFFERS_REQUIRETLS) == 0))
		return "REQUIRETLS is required, but was not offered by host %s";
	*status =
		"5.3.3"; /* rfc2852:4.1.4: what is to be returned in time is not given to who cannot */
	if (t->by_mode == 'R' && (o->offers & OFFERS_DELIVERBY) == 0 && !o->config.lmtp)
		return "DELIVERBY is required, but was not offered by host %s";
	*status = "5.3.4";
	if ((o->offers & OFFERS_SIZE) != 0 && o->size_most > 0 && t->size > o->size_most)
		return "message size exceeds the size limit of server %s";
	return NULL;
}

void
outgoing_send(struct outgoing *o, struct outgoing_transaction *t)
{
	const char *status, *why = cannot(o, t, &status);

	o->t = t;
	o->said_mail = o->said_data = o->heard_mail = o->heard_data = o->good_mail = false;
	o->said_rcpts = o->heard_rcpts = o->taken = o->answered = 0;
	o->chunk = (o->offers & OFFERS_CHUNKING) != 0 && t->size > 0 && !t->probe;
	o->phase = PHASE_ENVELOPE;
	o->xforward_step = 0;
	if (why == NULL) {
		if (!outgoing_xforward_say(o))
			outgoing_say_envelope(o);
		return;
	}
	{
		ptrdiff_t at = bytes_search(bytes_of(why), BYTES("%s"));

		buffer_reset(&o->words);
		buffer_add(&o->words, bytes_cut(bytes_of(why), 0, (size_t)at));
		buffer_add_string(&o->words, o->config.host);
		buffer_add_char(&o->words, '\0');
	}
	fate_of_all(o, t->wants_seven ? FATE_ELSEWHERE : FATE_REFUSED, status, o->words.at);
	o->t = NULL;
	o->needs->done(o->mouth, true);
	if (o->phase == PHASE_ENVELOPE)
		outgoing_ready(o);
}
