#include "policy/proxy.h"

#include <string.h>

#include "message/envelope.h"

enum { LINE_MOST = 480, AT_START = 0, IN_LINE = 1, AFTER_CR = 2 };

#define AT(f) offsetof(struct proxy_settings, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "smtpd_proxy_filter", SETTING_TEXT, AT(filter), "",
	  "Where a filter speaks SMTP through which every letter of the listener goes before it is taken: 127.0.0.1:10025, inet:[::1]:10025 or unix:/path; what it answers is what the client hears, and it has the letter then. Checks and mail filters are for the listener it gives letters back to. Empty: there is none.", NULL, 0, 0, "0.3" },
	{ "smtpd_proxy_ehlo", SETTING_WORD, AT(ehlo), "$myhostname",
	  "What we call ourselves to that filter.", NULL, 0, 0, "0.3" },
	{ "smtpd_proxy_options", SETTING_LIST, AT(options), "",
	  "speed_adjust: the filter hears of a letter when it is whole; that is so here in any case.", NULL, 0, 0, "0.3" },
	{ "smtpd_proxy_timeout", SETTING_TIME, AT(timeout), "100s",
	  "How long the filter may be silent.", NULL, 100, 86400000, "0.3" },
};
/* clang-format on */
#undef AT
const struct setting_table proxy_setting_table = { "Filters before the queue", rows, COUNT(rows) };

static const char *const attributes[PROXY_ATTRIBUTES] = {
	[PROXY_NAME] = "NAME",   [PROXY_ADDR] = "ADDR", [PROXY_PORT] = "PORT",
	[PROXY_PROTO] = "PROTO", [PROXY_HELO] = "HELO", [PROXY_SOURCE] = "SOURCE",
};

const char *
proxy_place(const char *text, char *kept, size_t room, struct clamd_place *out)
{
	static const char *const form = "write 127.0.0.1:10025, inet:[::1]:10025 or unix:/path";
	struct bytes             said = bytes_of(text);
	struct buffer            whole = { 0 };
	bool                     fits;

	if (!bytes_starts(said, BYTES("inet:")) && !bytes_starts(said, BYTES("unix:")))
		buffer_add(&whole, BYTES("inet:"));
	buffer_add(&whole, said);
	fits = bytes_string(buffer_bytes(&whole), kept, room);
	buffer_free(&whole);
	return fits && clamd_place(bytes_of(kept), out) == NULL ? NULL : form;
}

static unsigned
forward_offers(struct bytes words)
{
	struct bytes word;
	unsigned     bits = 0;

	while (bytes_split(&words, ' ', &word))
		for (unsigned i = 0; i < PROXY_ATTRIBUTES; i++)
			if (bytes_is(word, attributes[i]))
				bits |= 1U << i;
	return bits;
}

unsigned
proxy_offers(struct bytes lines)
{
	unsigned     bits = 0;
	struct bytes line;

	while (bytes_split(&lines, '\n', &line)) {
		struct bytes words = bytes_trim(bytes_cut(line, 4, SIZE_MAX)), first;
		struct bytes rest = words;

		if (!bytes_split(&rest, ' ', &first))
			continue;
		if (bytes_is(first, "XFORWARD"))
			bits |= forward_offers(rest);
		else if (bytes_is(first, "8BITMIME"))
			bits |= PROXY_8BITMIME;
		else if (bytes_is(first, "SMTPUTF8"))
			bits |= PROXY_SMTPUTF8;
		else if (bytes_is(first, "DSN"))
			bits |= PROXY_DSN;
	}
	return bits;
}

/* rfc3461:4 */
static void
add_xtext(struct bytes text, struct buffer *out)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (c <= ' ' || c > '~' || c == '+' || c == '=')
			buffer_printf(out, "+%02X", (unsigned)c);
		else
			buffer_add_char(out, (char)c);
	}
}

void
proxy_forward(const struct bytes attribute[static PROXY_ATTRIBUTES], unsigned offers,
              struct buffer *out)
{
	size_t line = 0;

	for (unsigned i = 0; i < PROXY_ATTRIBUTES; i++) {
		struct buffer one = { 0 };

		if ((offers >> i & 1) == 0)
			continue;
		buffer_printf(&one, " %s=", attributes[i]);
		if (attribute[i].len == 0)
			buffer_add(&one, BYTES("[UNAVAILABLE]"));
		add_xtext(bytes_cut(attribute[i], 0, LINE_MOST / 4), &one);
		if (line > 0 && line + one.len > LINE_MOST) {
			buffer_add(out, BYTES("\r\n"));
			line = 0;
		}
		if (line == 0)
			buffer_add(out, BYTES("XFORWARD"));
		buffer_add(out, buffer_bytes(&one));
		line += one.len;
		buffer_free(&one);
	}
	if (line > 0)
		buffer_add(out, BYTES("\r\n"));
}

void
proxy_mail(const struct proxy_sender *s, unsigned offers, struct buffer *out)
{
	buffer_printf(out, "MAIL FROM:<%.*s>", (int)s->address.len, s->address.at);
	if (s->eight_bit && (offers & PROXY_8BITMIME) != 0)
		buffer_add(out, BYTES(" BODY=8BITMIME"));
	if (s->utf8 && (offers & PROXY_SMTPUTF8) != 0)
		buffer_add(out, BYTES(" SMTPUTF8"));
	if ((offers & PROXY_DSN) == 0)
		return;
	if (s->ret != 0)
		buffer_add_string(out, s->ret == 'F' ? " RET=FULL" : " RET=HDRS");
	if (s->envid.len > 0)
		buffer_printf(out, " ENVID=%.*s", (int)s->envid.len, s->envid.at);
}

void
proxy_rcpt(struct bytes address, struct bytes orcpt, uint8_t notify, unsigned offers,
           struct buffer *out)
{
	static const struct {
		uint8_t     bit;
		const char *word;
	} words[] = {
		{ NOTIFY_NEVER, "NEVER" },
		{ NOTIFY_SUCCESS, "SUCCESS" },
		{ NOTIFY_FAILURE, "FAILURE" },
		{ NOTIFY_DELAY, "DELAY" },
	};
	const char *between = " NOTIFY=";

	buffer_printf(out, "RCPT TO:<%.*s>", (int)address.len, address.at);
	if ((offers & PROXY_DSN) == 0)
		return;
	for (size_t i = 0; i < COUNT(words); i++)
		if ((notify & words[i].bit) != 0) {
			buffer_printf(out, "%s%s", between, words[i].word);
			between = ",";
		}
	if (orcpt.len > 0)
		buffer_printf(out, " ORCPT=%.*s", (int)orcpt.len, orcpt.at);
}

/* A line that ends in LF alone would end the letter where another server takes LF.LF for its end (rfc5321:2.3.8). */
void
proxy_content(int *state, struct bytes more, struct buffer *out)
{
	size_t from = 0;

	for (size_t i = 0; i < more.len; i++) {
		char c = more.at[i];

		if (c == '\n' && *state != AFTER_CR) {
			buffer_add(out, bytes_cut(more, from, i - from));
			buffer_add_char(out, '\r');
			from = i;
		} else if (c == '.' && *state == AT_START) {
			buffer_add(out, bytes_cut(more, from, i - from));
			buffer_add_char(out, '.');
			from = i;
		}
		*state = c == '\n' ? AT_START : c == '\r' ? AFTER_CR : IN_LINE;
	}
	buffer_add(out, bytes_cut(more, from, SIZE_MAX));
}

void
proxy_end(int state, struct buffer *out)
{
	if (state != AT_START)
		buffer_add_string(out, state == AFTER_CR ? "\n" : "\r\n");
	buffer_add(out, BYTES(".\r\n"));
}
