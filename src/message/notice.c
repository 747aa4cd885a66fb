#include "message/notice.h"

#include <string.h>

#include "base/checksum.h"
#include "base/clock.h"
#include "message/charset.h"
#include "message/encoding.h"
#include "message/header.h"

enum { LINE_WISH = 76, LINE_MOST = 990 };

/* What differs with the kind of news.  action: rfc3464:2.3.3 */
static const struct {
	const char *action, *subject, *says;
} kinds[] = {
	[NOTICE_FAILED] = { "failed", "Undelivered Mail Returned to Sender",
	                    "I'm sorry to have to inform you that your message could not\r\n"
	                    "be delivered to one or more recipients. It's attached below.\r\n" },
	[NOTICE_DELAYED] = { "delayed", "Delayed Mail (still being retried)",
	                     "This is a warning only. You do not need to send your message again.\r\n"
	                     "It could not be delivered yet. I will go on trying.\r\n" },
	[NOTICE_DELIVERED] = { "delivered", "Successful Mail Delivery Report",
	                       "Your message was successfully delivered to the destination(s)\r\n"
	                       "listed below.\r\n" },
	[NOTICE_RELAYED] = { "relayed", "Successful Mail Delivery Report",
	                     "Your message was handed on to a host that does not tell about\r\n"
	                     "deliveries. You will hear no more of it unless it fails there.\r\n" },
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

static bool
is_8bit(const struct notice *n)
{
	bool eight = !bytes_are_ascii(n->original);

	for (size_t i = 0; n->utf8 && i < n->recipients; i++)
		eight = eight || !bytes_are_ascii(n->recipient[i].final) ||
		        !bytes_are_ascii(n->recipient[i].diagnostic);
	return eight || (n->utf8 && !bytes_are_ascii(n->sender));
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
put_part(struct writer *w, const char *about, const char *type, bool eight)
{
	put(w, "\r\n--");
	put(w, w->boundary);
	put(w, "\r\nContent-Description: ");
	put(w, about);
	put(w, "\r\nContent-Type: ");
	put(w, type);
	put(w, eight ? "\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" : "\r\n\r\n");
}

static void
put_header(struct writer *w, bool eight)
{
	const struct notice *n = w->n;
	struct bytes         host = bytes_of(n->host);

	put_date(w, "Date", n->now);
	put(w, "From: Mail Delivery System <MAILER-DAEMON@");
	put_folded(w, host, 0, " ");
	put(w, ">\r\nSubject: ");
	put(w, kinds[n->kind].subject);
	put(w, "\r\n");
	put_field(w, "To", "", n->sender);
	put(w, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
	       "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"");
	put(w, w->boundary);
	put(w, eight ? "\"\r\nContent-Transfer-Encoding: 8bit\r\nMessage-ID: <"
	             : "\"\r\nMessage-ID: <");
	buffer_printf(w->out, "%llx.", (unsigned long long)n->now);
	put_folded(w, n->queue_id, 0, " ");
	put(w, "@");
	put_folded(w, host, 0, " ");
	put(w, ">\r\n\r\nThis is a MIME-encapsulated message.\r\n");
}

/* The part for people. */
static void
put_text(struct writer *w)
{
	const struct notice *n = w->n;

	put(w, "This is the mail system at host ");
	put_folded(w, bytes_of(n->host), 32, "    ");
	put(w, ".\r\n\r\n");
	put(w, kinds[n->kind].says);
	if (n->kind == NOTICE_FAILED)
		put(w, "\r\nFor further assistance, please send mail to postmaster and\r\n"
		       "include this report. You can delete your own text from the\r\n"
		       "attached returned message.\r\n");
	for (size_t i = 0; i < n->recipients; i++) {
		const struct notice_recipient *r = &n->recipient[i];
		size_t                         from;

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
		put_folded(w,
		           r->diagnostic.len > 0 ? r->diagnostic : bytes_of(kinds[r->what].action),
		           w->out->len - from, "    ");
		put(w, "\r\n");
	}
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
	put_field(w, "X-Mansio-Queue-ID", "", n->queue_id);
	put_address(w, "X-Mansio-Sender", n->sender);
	put_date(w, "Arrival-Date", n->arrived);
	for (size_t i = 0; i < n->recipients; i++) {
		const struct notice_recipient *r = &n->recipient[i];

		put(w, "\r\n");
		put_original(w, r->original);
		put_address(w, "Final-Recipient", r->final);
		put_field(w, "Action", "", bytes_of(kinds[r->what].action));
		put_field(w, "Status", "",
		          r->status.len > 0           ? r->status
		          : r->what == NOTICE_FAILED  ? BYTES("5.0.0")
		          : r->what == NOTICE_DELAYED ? BYTES("4.0.0")
		                                      : BYTES("2.0.0"));
		put_field(w, "Remote-MTA", "dns; ", r->remote);
		if (r->said.len > 0) {
			put_field(w, "Diagnostic-Code", "smtp; ", r->said);
		} else if (r->diagnostic.len > 0) { /* diagnostic-type ";" text */
			ptrdiff_t semicolon = bytes_find(r->diagnostic, ';');
			ptrdiff_t blank = bytes_find(r->diagnostic, ' ');
			bool      typed = semicolon > 0 && (blank < 0 || semicolon < blank);

			put_field(w, "Diagnostic-Code", typed ? "" : "X-Mansio; ", r->diagnostic);
		}
		if (r->what == NOTICE_DELAYED || r->what == NOTICE_FAILED)
			put_date(w, "Last-Attempt-Date", n->now);
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
	bool          eight, eight_letter;

	if (!n->whole)
		mine.original = header_only(n->original);
	eight = is_8bit(&mine);
	eight_letter = !bytes_are_ascii(mine.original);
	find_boundary(&w);
	put_header(&w, eight);
	put_part(&w, "Notification",
	         eight ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii", eight);
	put_text(&w);
	put_part(&w, "Delivery report",
	         n->utf8 ? "message/global-delivery-status" : "message/delivery-status",
	         eight && n->utf8);
	put_status(&w);
	if (n->whole)
		put_part(&w, "Message", n->utf8 ? "message/global" : "message/rfc822",
		         eight_letter);
	else
		put_part(&w, "Message Headers",
		         n->utf8 ? "message/global-headers" : "text/rfc822-headers", eight_letter);
	put_letter(&w, mine.original);
	put(&w, "\r\n--");
	put(&w, w.boundary);
	put(&w, "--\r\n");
}
