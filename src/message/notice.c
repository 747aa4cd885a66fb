#include "message/notice.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/base64.h"
#include "base/checksum.h"
#include "base/clock.h"
#include "base/random.h"
#include "message/address.h"
#include "message/charset.h"
#include "message/encoding.h"
#include "message/header.h"
#include "message/notice-words.h"

enum { LINE_WISH = 76, LINE_MOST = 990 };

/* rfc3464:2.3.3 */
static const char *const actions[NOTICE_KINDS] = {
	[NOTICE_FAILED] = "failed",
	[NOTICE_DELAYED] = "delayed",
	[NOTICE_DELIVERED] = "delivered",
	[NOTICE_RELAYED] = "relayed",
	[NOTICE_EXPANDED] = "expanded",
	[NOTICE_DELIVERABLE] = "deliverable",
	[NOTICE_UNDELIVERABLE] = "undeliverable",
};

struct writer {
	const struct notice *n;
	struct buffer       *out;
	char                 boundary[64];
};

static void
put(struct writer *w, const char *text)
{
	buffer_add_string(w->out, text);
}

/*
 * Text from outside, inside a field or a paragraph that has `column` bytes on
 * its line already: no controls, lines folded with `fold` at blanks where that
 * can be, 8-bit only in a notice that may hold it (rfc6533:4.1).
 */
static void
put_folded(struct writer *w, struct bytes text, size_t column, const char *fold)
{
	bool utf8 = w->n->utf8 && utf8_valid(text);

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];
		size_t        word = i + 1;

		if (c == ' ' || c < ' ') {
			while (word < text.len && (unsigned char)text.at[word] > ' ' &&
			       word - i < LINE_WISH)
				word++;
			if (column + (word - i) > LINE_WISH && column > strlen(fold)) {
				put(w, "\r\n");
				put(w, fold);
				column = strlen(fold);
				continue;
			}
			c = ' ';
		} else if (column >= LINE_MOST && (c & 0xc0) != 0x80) {
			put(w, "\r\n");
			put(w, fold);
			column = strlen(fold);
		}
		buffer_add_char(w->out, c == 0x7f || (c >= 0x80 && !utf8) ? '?' : (char)c);
		column++;
	}
}

static void
put_field(struct writer *w, const char *name, const char *type, struct bytes value)
{
	size_t from = w->out->len;

	if (value.len == 0)
		return;
	put(w, name);
	put(w, ": ");
	put(w, type);
	put_folded(w, value, w->out->len - from, " ");
	put(w, "\r\n");
}

static void
put_date(struct writer *w, const char *name, int64_t wall)
{
	char date[48];

	clock_rfc5322(wall, date, sizeof date);
	put_field(w, name, "", bytes_of(date));
}

/* rfc4865:5  future-release-request = "Future-Release-Request" ":" ("for" / "until") ";" value */
static void
put_release(struct writer *w, int64_t wall, int64_t seconds)
{
	time_t    at = (time_t)wall;
	struct tm tm;
	char      text[32];

	if (seconds > 0) {
		(void)snprintf(text, sizeof text, "%" PRId64, seconds);
		put_field(w, "Future-Release-Request", "for;", bytes_of(text));
	} else if (gmtime_r(&at, &tm) != NULL &&
	           strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
		put_field(w, "Future-Release-Request", "until;", bytes_of(text));
}

static int
hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* xtext back to what it was, rfc3461:4; what is not xtext stays. */
static void
xtext_decode(struct bytes in, struct buffer *out)
{
	for (size_t i = 0; i < in.len; i++) {
		int high = in.at[i] == '+' && i + 2 < in.len ? hex_value(in.at[i + 1]) : -1;
		int low = high >= 0 ? hex_value(in.at[i + 2]) : -1;

		if (low >= 0) {
			buffer_add_char(out, (char)(high * 16 + low));
			i += 2;
		} else {
			buffer_add_char(out, in.at[i]);
		}
	}
}

/* utf-8-addr-xtext, rfc6533:3: the form that every notice may hold */
static void
put_unitext(struct bytes address, struct buffer *out)
{
	for (size_t i = 0; i < address.len;) {
		uint32_t c = utf8_take(address, &i);

		if (c >= 0x80 || c == '\\' || c == '+' || c == '=')
			buffer_printf(out, "\\x{%02X}", (unsigned)c);
		else
			buffer_add_char(out, (char)c);
	}
}

/* generic-address with its type, rfc3464:2.1.2, rfc6533:3 */
static void
put_address(struct writer *w, const char *name, struct bytes address)
{
	struct buffer unitext = { 0 };

	if (bytes_are_ascii(address)) {
		put_field(w, name, "rfc822; ", address);
	} else if (w->n->utf8) {
		put_field(w, name, "utf-8; ", address);
	} else {
		put_unitext(address, &unitext);
		put_field(w, name, "utf-8; ", buffer_bytes(&unitext));
	}
	buffer_free(&unitext);
}

/* ORCPT: addr-type ";" xtext */
static void
put_original(struct writer *w, struct bytes orcpt)
{
	ptrdiff_t     semicolon = bytes_find(orcpt, ';');
	struct buffer text = { 0 };

	if (semicolon <= 0)
		return;
	buffer_add(&text, bytes_cut(orcpt, 0, (size_t)semicolon + 1));
	buffer_add_char(&text, ' ');
	xtext_decode(bytes_cut(orcpt, (size_t)semicolon + 1, orcpt.len), &text);
	put_field(w, "Original-Recipient", "", buffer_bytes(&text));
	buffer_free(&text);
}

/* The header ends with its empty line; a notice without the letter stops there. */
static struct bytes
header_only(struct bytes content)
{
	struct header h = header_of(content);
	struct field  f;

	while (header_next(&h, &f))
		continue;
	return content.len == 0 ? content : bytes_cut(content, 0, (size_t)(h.at - content.at));
}

/* Whether the part about the delivery is: with addresses as they are, rfc6533:4 */
static bool
status_is_8bit(const struct notice *n)
{
	bool eight = n->utf8 && !bytes_are_ascii(n->sender);

	for (size_t i = 0; n->utf8 && i < n->recipients; i++)
		eight = eight || !bytes_are_ascii(n->recipient[i].final) ||
		        !bytes_are_ascii(n->recipient[i].said) ||
		        !bytes_are_ascii(n->recipient[i].diagnostic);
	return eight;
}

bool
notice_wants_utf8(const struct notice *n)
{
	bool wants = !bytes_are_ascii(n->sender) || !bytes_are_ascii(header_only(n->original));

	for (size_t i = 0; i < n->recipients; i++)
		wants = wants || !bytes_are_ascii(n->recipient[i].final) ||
		        !bytes_are_ascii(n->recipient[i].original);
	return wants;
}

enum template_kind
notice_template_kind(enum notice_kind kind)
{
	return kind == NOTICE_FAILED    ? TEMPLATE_FAILURE
	       : kind == NOTICE_DELAYED ? TEMPLATE_DELAY
	       : kind >= NOTICE_REPORT  ? TEMPLATE_VERIFY
	                                : TEMPLATE_SUCCESS;
}

/* A boundary that stands nowhere in the letter. */
static void
find_boundary(struct writer *w)
{
	uint32_t sum = checksum_of(w->n->original);
	char     id[24];

	if (!bytes_string(w->n->queue_id, id, sizeof id))
		id[0] = '\0';
	for (uint32_t try = 0;; try++) {
		struct buffer b = { 0 };
		bool          there;

		buffer_printf(&b, "=_%s.%llx.%08x.%x", id, (unsigned long long)w->n->now,
		              (unsigned)sum, (unsigned)try);
		for (size_t i = 0; i < b.len; i++)
			if (b.at[i] <= ' ' || b.at[i] >= 0x7f || b.at[i] == '"' || b.at[i] == '\\')
				b.at[i] = '_';
		there = bytes_search(w->n->original, buffer_bytes(&b)) >= 0;
		(void)bytes_string(bytes_cut(buffer_bytes(&b), 0, sizeof w->boundary - 1),
		                   w->boundary, sizeof w->boundary);
		buffer_free(&b);
		if (!there)
			return;
	}
}

static void
put_part(struct writer *w, const char *about, const char *type, const char *encoding)
{
	put(w, "\r\n--");
	put(w, w->boundary);
	put(w, "\r\nContent-Description: ");
	put(w, about);
	put(w, "\r\nContent-Type: ");
	put(w, type);
	if (encoding != NULL) {
		put(w, "\r\nContent-Transfer-Encoding: ");
		put(w, encoding);
	}
	put(w, "\r\n\r\n");
}

/* ---- the header ----------------------------------------------------------------------- */

/* rfc2047:5: text of ours in a field, as encoded words where it is not ASCII */
static void
put_words(struct writer *w, struct bytes text)
{
	if (bytes_are_ascii(text)) {
		put_folded(w, text, 10, " ");
		return;
	}
	for (struct bytes piece; text.len > 0; text = bytes_cut(text, piece.len, SIZE_MAX)) {
		piece = utf8_cut(text, 42);
		if (piece.len == 0)
			piece = bytes_cut(text, 0, 1);
		put(w, "=?utf-8?B?");
		base64_encode(w->out, piece);
		put(w, piece.len < text.len ? "?=\r\n " : "?=");
	}
}

/* "MAILER-DAEMON (Mail Delivery System)" of a template, the address made whole */
static bool
put_from_template(struct writer *w, struct bytes from)
{
	struct arena  *a = arena_open(NULL);
	struct mailbox m;
	bool           found = mailboxes_parse(from, a, &m, 1) == 1 && m.local.len > 0;

	if (found) {
		struct address address = { m.local,
			                   m.domain.len > 0 ? m.domain : bytes_of(w->n->host) };

		if (m.name.len > 0)
			put(w, "\"");
		for (size_t i = 0; i < m.name.len; i++) {
			if (m.name.at[i] == '"' || m.name.at[i] == '\\')
				put(w, "\\");
			buffer_add_char(w->out, m.name.at[i]);
		}
		put(w, m.name.len > 0 ? "\" <" : "<");
		put_folded(w, address_text(a, &address), 0, " ");
		put(w, ">");
	}
	arena_close(&a);
	return found;
}

static void
put_from(struct writer *w)
{
	const struct notice_speech *s = &w->n->speech[0];

	put(w, "From: ");
	if ((s->template == NULL || s->template->from.len == 0 ||
	     !put_from_template(w, s->template->from)) &&
	    !put_from_template(w, bytes_of(w->n->postmaster != NULL ? w->n->postmaster : ""))) {
		put_words(w, bytes_of(s->words->from));
		put(w, " <MAILER-DAEMON@");
		put_folded(w, bytes_of(w->n->host), 0, " ");
		put(w, ">");
	}
	put(w, "\r\n");
}

/* In each language; a template that says none leaves it as it is. */
static void
put_subject(struct writer *w)
{
	const struct notice *n = w->n;
	struct buffer        subject = { 0 };

	for (size_t i = 0; i < n->speeches; i++) {
		const struct notice_speech *s = &n->speech[i];
		struct bytes                own = { NULL, 0 },
			     ours = bytes_of(n->copy ? s->words->copy_subject[n->kind]
		                                     : s->words->subject[n->kind]);

		if (s->template != NULL)
			own = n->copy ? s->template->postmaster_subject : s->template->subject;
		if (i > 0 && s->template != NULL && s->template == n->speech[0].template)
			break;
		if (i > 0)
			buffer_add_string(&subject, " / ");
		buffer_add(&subject, own.len > 0 ? own : ours);
	}
	put(w, "Subject: ");
	put_words(w, buffer_bytes(&subject));
	put(w, "\r\n");
	buffer_free(&subject);
}

static void
put_header(struct writer *w, bool eight)
{
	const struct notice *n = w->n;
	struct bytes         host = bytes_of(n->host);

	put_date(w, "Date", n->now);
	put_from(w);
	put_subject(w);
	put_field(w, "To", "", n->sender);
	/* rfc3834:5: who has not written hears of it by no reply. */
	put(w, n->copy ? "Auto-Submitted: auto-generated\r\n" : "Auto-Submitted: auto-replied\r\n");
	put(w, "MIME-Version: 1.0\r\n"
	       "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"");
	put(w, w->boundary);
	put(w, eight ? "\"\r\nContent-Transfer-Encoding: 8bit\r\nMessage-ID: <"
	             : "\"\r\nMessage-ID: <");
	/* Several may be made of a letter in a second, and whoever gets two keeps one of those that have the same. */
	buffer_printf(w->out, "%llx.%08llx.", (unsigned long long)n->now,
	              (unsigned long long)(random_number() >> 32));
	put_folded(w, n->queue_id, 0, " ");
	put(w, "@");
	put_folded(w, host, 0, " ");
	put(w, ">\r\n\r\nThis is a MIME-encapsulated message.\r\n");
}

/* ---- the part for people ----------------------------------------------------------------- */

/* "<bob@example.com>: host mx said: 550 ...", and below it what that means */
static void
put_person(struct writer *w, const struct notice_words *words, const struct notice_recipient *r)
{
	/* "host mx said: 550 ...", or that it refused to talk; what begins otherwise are words of ours. */
	bool   told = r->said.len > 0 || bytes_starts(r->diagnostic, BYTES("host "));
	size_t from;
	char   date[48];

	put(w, "\r\n");
	from = w->out->len;
	put(w, "<");
	put_folded(w, r->final, 1, "    ");
	put(w, ">");
	if (r->remote.len > 0 && r->said.len == 0) {
		put(w, " (host ");
		put_folded(w, r->remote, w->out->len - from, "    ");
		put(w, ")");
	}
	put(w, ": ");
	put_folded(w, r->diagnostic.len > 0 ? r->diagnostic : bytes_of(actions[r->what]),
	           w->out->len - from, "    ");
	put(w, "\r\n");
	if (r->what != NOTICE_FAILED && r->what != NOTICE_DELAYED &&
	    r->what != NOTICE_UNDELIVERABLE)
		return;
	put(w, "    ");
	put_folded(w, bytes_of(notice_explain(words, r->status, told)), 4, "    ");
	put(w, "\r\n");
	if (r->what == NOTICE_FAILED && r->status.len > 0 && r->status.at[0] == '4') {
		put(w, "    ");
		put(w, words->over);
		put(w, "\r\n");
	}
	if (r->what == NOTICE_DELAYED && r->until > 0) {
		clock_rfc5322(r->until, date, sizeof date);
		put(w, "    ");
		put(w, words->until);
		put(w, " ");
		put(w, date);
		put(w, words->stop);
		put(w, "\r\n");
	}
}

/* Which letter it is, for who has sent several. */
static void
put_which(struct writer *w, const struct notice_words *words)
{
	char date[48];

	put(w, "\r\n");
	if (w->n->subject.len > 0) {
		put(w, "    ");
		put(w, words->letter);
		put(w, " ");
		put_folded(w, utf8_cut(w->n->subject, 200), 13, "             ");
		put(w, "\r\n");
	}
	clock_rfc5322(w->n->arrived, date, sizeof date);
	put(w, "    ");
	put(w, words->sent);
	put(w, " ");
	put(w, date);
	put(w, "\r\n");
}

static void
put_speech(struct writer *w, const struct notice_speech *s)
{
	const struct notice *n = w->n;

	if (n->copy && n->copy_of.len > 0) {
		put(w, s->words->copy);
		put(w, " <");
		put_folded(w, n->copy_of, strlen(s->words->copy) + 2, "    ");
		put(w, ">");
		put(w, s->words->stop);
		put(w, "\r\n\r\n");
	}
	if (s->template != NULL && !n->copy) {
		buffer_add(w->out, s->text);
	} else {
		put(w, s->words->text[n->kind]);
		if (n->kind < NOTICE_DELIVERABLE)
			put_which(w, s->words);
	}
	for (size_t i = 0; i < n->recipients; i++)
		put_person(w, s->words, &n->recipient[i]);
	put(w, "\r\n");
	if (s->template == NULL && !n->copy &&
	    (n->kind == NOTICE_FAILED || n->kind == NOTICE_DELAYED)) {
		put(w, s->words->help);
		put(w, " postmaster@");
		put_folded(w, bytes_of(n->host), 40, "    ");
		put(w, s->words->stop);
		put(w, "\r\n");
	}
	if (n->kind >= NOTICE_DELIVERABLE)
		return;
	put(w, s->words->number);
	put(w, " ");
	put_folded(w, n->queue_id, 0, " ");
	put(w, s->words->stop);
	put(w, "\r\n");
}

/* In base64 where it must be: 8-bit text would not go everywhere. */
static void
put_text(struct writer *w)
{
	const struct notice *n = w->n;
	struct buffer        text = { 0 }, tags = { 0 }, type = { 0 };
	struct notice        all = *n;
	struct writer        inner = { .n = &all, .out = &text };
	bool                 ascii;

	all.utf8 = true; /* here all may be shown as it is */
	for (size_t i = 0; i < n->speeches; i++) {
		if (i > 0)
			put(&inner,
			    "\r\n------------------------------------------------------------\r\n\r\n");
		buffer_printf(&tags, "%s%s", i > 0 ? ", " : "", n->speech[i].words->name);
		put_speech(&inner, &n->speech[i]);
	}
	ascii = bytes_are_ascii(buffer_bytes(&text));
	buffer_printf(&type, "text/plain; charset=%s\r\nContent-Language: %.*s",
	              ascii ? "us-ascii" : "utf-8", (int)tags.len, tags.at);
	buffer_add_char(&type, '\0');
	put_part(w, "Notification", type.at, ascii ? NULL : "base64");
	for (size_t at = 0; at < text.len; at += 57) {
		if (ascii) {
			buffer_add(w->out, buffer_bytes(&text));
			break;
		}
		base64_encode(w->out, bytes_cut(buffer_bytes(&text), at, 57));
		put(w, "\r\n");
	}
	buffer_free(&text);
	buffer_free(&tags);
	buffer_free(&type);
}

/* ---- the part for programs ------------------------------------------------------------------ */

/* "250 2.0.0 kept": another host said so. */
static bool
is_reply(struct bytes text)
{
	return text.len > 4 && text.at[0] >= '2' && text.at[0] <= '5' && text.at[1] >= '0' &&
	       text.at[1] <= '9' && text.at[2] >= '0' && text.at[2] <= '9' && text.at[3] == ' ';
}

/* message/delivery-status: a group of fields for the letter, one for each
   recipient, an empty line between (rfc3464:2.1) */
static void
put_status(struct writer *w)
{
	const struct notice *n = w->n;
	struct buffer        envid = { 0 };

	put_field(w, "Reporting-MTA", "dns; ", bytes_of(n->host));
	xtext_decode(n->envid, &envid);
	put_field(w, "Original-Envelope-Id", "", buffer_bytes(&envid));
	buffer_free(&envid);
	if (n->kind < NOTICE_DELIVERABLE)
		put_field(w, "X-Mansio-Queue-ID", "", n->queue_id);
	put_address(w, "X-Mansio-Sender", n->sender);
	put_date(w, "Arrival-Date", n->arrived);
	if (n->by != 0)
		put_date(w, "Deliver-By-Date", n->by);
	if (n->released != 0)
		put_release(w, n->released, n->held_for);
	for (size_t i = 0; i < n->recipients; i++) {
		const struct notice_recipient *r = &n->recipient[i];

		put(w, "\r\n");
		put_original(w, r->original);
		put_address(w, "Final-Recipient", r->final);
		put_field(w, "Action", "", bytes_of(actions[r->what]));
		put_field(w, "Status", "",
		          r->status.len > 0 ? r->status
		          : r->what == NOTICE_FAILED || r->what == NOTICE_UNDELIVERABLE
		                  ? BYTES("5.0.0")
		          : r->what == NOTICE_DELAYED ? BYTES("4.0.0")
		                                      : BYTES("2.0.0"));
		put_field(w, "Remote-MTA", "dns; ", r->remote);
		if (r->said.len > 0) {
			put_field(w, "Diagnostic-Code", "smtp; ", r->said);
		} else if (r->diagnostic.len > 0) { /* diagnostic-type ";" text */
			ptrdiff_t semicolon = bytes_find(r->diagnostic, ';');
			ptrdiff_t blank = bytes_find(r->diagnostic, ' ');
			bool      typed = semicolon > 0 && (blank < 0 || semicolon < blank);

			put_field(w, "Diagnostic-Code",
			          typed                     ? ""
			          : is_reply(r->diagnostic) ? "smtp; "
			                                    : "X-Mansio; ",
			          r->diagnostic);
		}
		if (r->tried > 0 && (r->what == NOTICE_DELAYED || r->what == NOTICE_FAILED))
			put_date(w, "Last-Attempt-Date", r->tried);
		if (r->what == NOTICE_DELAYED && r->until > 0) /* rfc3464:2.3.9 */
			put_date(w, "Will-Retry-Until", r->until);
	}
}

/* The letter or its header.  A header has no empty line of its own to end with;
   every part ends with a line end. */
static void
put_letter(struct writer *w, struct bytes letter)
{
	buffer_add(w->out, letter);
	if (letter.len > 0 && letter.at[letter.len - 1] != '\n')
		put(w, "\r\n");
}

void
notice_write(const struct notice *n, struct buffer *out)
{
	struct notice mine = *n;
	struct writer w = { .n = &mine, .out = out };
	bool          eight_status = status_is_8bit(n), eight_letter;
	bool          undelivered = n->kind == NOTICE_FAILED || n->kind == NOTICE_DELAYED;

	if (!n->whole)
		mine.original = header_only(n->original);
	if (mine.speeches == 0)
		mine.speech[mine.speeches++] =
			(struct notice_speech){ .words = notice_words(BYTES("en")) };
	eight_letter = !bytes_are_ascii(mine.original);
	find_boundary(&w);
	put_header(&w, eight_status || eight_letter);
	put_text(&w);
	put_part(&w, "Delivery report",
	         n->utf8 ? "message/global-delivery-status" : "message/delivery-status",
	         eight_status ? "8bit" : NULL);
	put_status(&w);
	if (n->kind >= NOTICE_DELIVERABLE) {
		put(&w, "\r\n--");
		put(&w, w.boundary);
		put(&w, "--\r\n");
		return; /* there is no letter */
	}
	if (n->whole)
		put_part(&w, undelivered ? "Undelivered Message" : "Message",
		         n->utf8 ? "message/global" : "message/rfc822",
		         eight_letter ? "8bit" : NULL);
	else
		put_part(&w, undelivered ? "Undelivered Message Headers" : "Message Headers",
		         n->utf8 ? "message/global-headers" : "text/rfc822-headers",
		         eight_letter ? "8bit" : NULL);
	put_letter(&w, mine.original);
	put(&w, "\r\n--");
	put(&w, w.boundary);
	put(&w, "--\r\n");
}
