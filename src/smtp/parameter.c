#include "smtp/parameter.h"

#include <string.h>
#include <time.h>

#include "message/encoding.h"
#include "message/envelope.h"
#include "smtp/extension.h"
#include "smtp/reply.h"

enum {
	ENVID_MOST = 100, /* rfc3461:5.4 */
	ORCPT_MOST = 500, /* rfc3461:4.2 */
	AUTH_MOST = 500,  /* rfc4954:5   */
	SOLICIT_MOST = 1000,
	SHOWN_MOST = 100,
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_solid(char c)
{
	return !is_blank(c);
}

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); /* rfc3461:4 upper case alone */
}

static int
hex_value(char c)
{
	return c <= '9' ? c - '0' : c - 'A' + 10;
}

static bool
is_atom_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*-/?^_`{|}~.", c) != NULL);
}

/*
 * Words of rfc3461 and rfc6533
 */

bool
xtext_valid(struct bytes x)
{
	for (size_t i = 0; i < x.len; i++) {
		if (x.at[i] == '+') {
			if (i + 2 >= x.len || !is_hex(x.at[i + 1]) || !is_hex(x.at[i + 2]))
				return false;
			i += 2;
		} else if (x.at[i] < '!' || x.at[i] > '~' || x.at[i] == '=')
			return false;
	}
	return true;
}

/* What an xtext means is shown in a notice: no control may be in it.  UTF-8 may: Postfix writes such
   addresses so, with the type rfc822. */
static bool
xtext_shows(struct bytes x)
{
	if (!xtext_valid(x))
		return false;
	for (size_t i = 0; i < x.len; i++) {
		int c;

		if (x.at[i] != '+')
			continue;
		c = hex_value(x.at[i + 1]) * 16 + hex_value(x.at[i + 2]);
		if (c < ' ' || c == 0x7f)
			return false;
		i += 2;
	}
	return true;
}

/* EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}"       rfc6533:3; how long, 0: it is none */
static size_t
embedded(struct bytes b)
{
	uint32_t rune = 0;
	size_t   n = 3;

	if (!bytes_starts(b, BYTES("\\x{")))
		return 0;
	for (; n < b.len && is_hex(b.at[n]) && n < 9; n++)
		rune = rune * 16 + (uint32_t)hex_value(b.at[n]);
	if (n < 5 || n >= b.len || b.at[n] != '}' || rune > 0x10ffff ||
	    (rune >= 0xd800 && rune <= 0xdfff) || rune < ' ' || rune == 0x7f)
		return 0;
	return n + 1;
}

/* utf-8-addr-xtext, or with `raw` utf-8-addr-unitext                rfc6533:3 */
static bool
utf8_address(struct bytes b, bool raw)
{
	for (size_t i = 0; i < b.len;) {
		struct bytes rest = bytes_cut(b, i, b.len);
		uint32_t     rune;
		size_t       n = 1;

		if (b.at[i] == '\\')
			n = embedded(rest);
		else if ((unsigned char)b.at[i] >= 0x80)
			n = raw ? bytes_utf8(rest, &rune) : 0;
		else if (b.at[i] < '!' || b.at[i] > '~' || (!raw && strchr("+=", b.at[i]) != NULL))
			n = 0;
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

bool
orcpt_valid(struct bytes orcpt, bool utf8)
{
	struct bytes type, address = orcpt;

	if (orcpt.len > ORCPT_MOST || bytes_find(orcpt, ';') <= 0 ||
	    !bytes_split(&address, ';', &type) || address.len == 0)
		return false;
	for (size_t i = 0; i < type.len; i++)
		if (!is_atom_char(type.at[i]))
			return false;
	if (bytes_is(type, "utf-8"))
		return utf8_address(address, utf8);
	return xtext_shows(address);
}

/*
 * Numbers and times
 */

/* n digits and no more; -1: they are none */
static int
digits(struct scan *r, size_t n)
{
	struct bytes b = scan_take(r, n);
	uint64_t     value;

	return scan_ok(r) && bytes_number(b, &value) ? (int)value : -1;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* time-offset = "Z" / ("+" / "-") time-hour ":" time-minute, in seconds */
static bool
read_offset(struct scan *r, int *seconds)
{
	bool west = scan_next_is(r, '-');
	int  hour, minute;

	*seconds = 0;
	if (scan_skip_word(r, "Z"))
		return scan_done(r);
	if (!scan_skip(r, '+') && !scan_skip(r, '-'))
		return false;
	hour = digits(r, 2);
	scan_expect(r, ":");
	minute = digits(r, 2);
	*seconds = (hour * 3600 + minute * 60) * (west ? -1 : 1);
	return scan_done(r) && hour >= 0 && hour < 24 && minute >= 0 && minute < 60;
}

bool
date_time_read(struct bytes text, int64_t *seconds)
{
	static const int days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	struct scan      r = scan_of(text);
	struct tm        tm = { 0 };
	int              year, offset;

	year = digits(&r, 4);
	scan_expect(&r, "-");
	tm.tm_mon = digits(&r, 2) - 1;
	scan_expect(&r, "-");
	tm.tm_mday = digits(&r, 2);
	scan_expect(&r, "T");
	tm.tm_hour = digits(&r, 2);
	scan_expect(&r, ":");
	tm.tm_min = digits(&r, 2);
	scan_expect(&r, ":");
	tm.tm_sec = digits(&r, 2);
	if (!scan_ok(&r) || (scan_skip(&r, '.') && scan_while(&r, is_digit).len == 0) ||
	    !read_offset(&r, &offset))
		return false;
	if (year < 1970 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 ||
	    tm.tm_mday > days[tm.tm_mon] || tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 ||
	    tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
		return false;
	tm.tm_year = year - 1900;
	*seconds = (int64_t)timegm(&tm) - offset;
	return true;
}

/*
 * MAIL
 */

static const char *
take_size(struct mail_parameters *m, struct bytes value)
{
	struct scan r = scan_of(value);

	/* rfc1870:6 size-value ::= 1*20DIGIT: more than a number has room for is too large, and no mistake */
	if (value.len < 1 || value.len > 20 || scan_while(&r, is_digit).len != value.len)
		return "501 5.5.4 Bad message size syntax";
	if (!bytes_number(value, &m->size) || m->size > INT64_MAX)
		m->size = INT64_MAX;
	m->has_size = true;
	return NULL;
}

static const char *
take_body(struct mail_parameters *m, struct bytes value)
{
	if (bytes_is(value, "7BIT"))
		m->body = BODY_7BIT;
	else if (bytes_is(value, "8BITMIME"))
		m->body = BODY_8BITMIME;
	else if (bytes_is(value, "BINARYMIME"))
		m->body = BODY_BINARYMIME;
	else
		return "501 5.5.4 Syntax: BODY=7BIT, BODY=8BITMIME or BODY=BINARYMIME";
	return NULL;
}

/* rfc4954:5: an identity a trusted client tells.  It is handed on and not believed. */
static const char *
take_auth(struct mail_parameters *m, struct bytes value)
{
	if (value.len == 0 || value.len > AUTH_MOST || !xtext_valid(value))
		return "501 5.5.4 Bad AUTH parameter syntax";
	m->auth = bytes_is(value, "<>") ? BYTES("") : value;
	return NULL;
}

/* rfc3461:4.3 */
static const char *
take_ret(struct mail_parameters *m, struct bytes value)
{
	if (!bytes_is(value, "FULL") && !bytes_is(value, "HDRS"))
		return "501 5.5.4 Bad RET parameter syntax";
	m->ret = bytes_is(value, "FULL") ? 'F' : 'H';
	return NULL;
}

/* rfc3461:4.4 */
static const char *
take_envid(struct mail_parameters *m, struct bytes value)
{
	if (value.len == 0 || value.len > ENVID_MOST || !xtext_shows(value))
		return "501 5.5.4 Bad ENVID parameter syntax";
	m->envid = value;
	return NULL;
}

/* rfc6531:3.4: it has no value */
static const char *
take_utf8(struct mail_parameters *m, struct bytes value)
{
	m->utf8 = true;
	return value.at != NULL ? "501 5.5.4 Error: SMTPUTF8 takes no value" : NULL;
}

/* rfc8689:2 */
static const char *
take_requiretls(struct mail_parameters *m, struct bytes value)
{
	m->requiretls = true;
	return value.at != NULL ? "501 5.5.4 Error: REQUIRETLS takes no value" : NULL;
}

/* rfc4865:4.2: one of both */
static const char *
take_hold_for(struct mail_parameters *m, struct bytes value)
{
	uint64_t n;

	if (m->holds || value.len > 9 || !bytes_number(value, &n) || n == 0)
		return "501 5.5.4 Bad HOLDFOR parameter syntax";
	m->holds = true;
	m->hold_for = (int64_t)n;
	return NULL;
}

static const char *
take_hold_until(struct mail_parameters *m, struct bytes value)
{
	if (m->holds || !date_time_read(value, &m->hold_until))
		return "501 5.5.4 Bad HOLDUNTIL parameter syntax";
	m->holds = true;
	return NULL;
}

/* by-value = by-time ";" by-mode [by-trace]; by-time = ["-" / "+"] 1*9DIGIT    rfc2852:4 */
static const char *
take_by(struct mail_parameters *m, struct bytes value)
{
	struct scan  r = scan_of(value);
	bool         over = scan_skip(&r, '-');
	struct bytes number;
	uint64_t     n;

	if (!over)
		(void)scan_skip(&r, '+');
	number = scan_while(&r, is_digit);
	scan_expect(&r, ";");
	m->by_mode = scan_skip_word(&r, "R") ? 'R' : scan_skip_word(&r, "N") ? 'N' : 0;
	m->by_trace = scan_skip_word(&r, "T");
	if (!scan_done(&r) || m->by_mode == 0 || number.len > 9 || !bytes_number(number, &n))
		return "501 5.5.4 Bad BY parameter syntax";
	m->by = over ? -(int64_t)n : (int64_t)n;
	/* To be returned at once is nothing to ask for. */
	return m->by_mode == 'R' && m->by <= 0 ? "501 5.5.4 Bad BY parameter syntax" : NULL;
}

/* priority-value = (["-"] NZDIGIT) / "0"                                 rfc6710:4 */
static const char *
take_priority(struct mail_parameters *m, struct bytes value)
{
	bool low = value.len == 2 && value.at[0] == '-' && value.at[1] != '0';
	char c = value.len == (low ? 2u : 1u) ? value.at[low] : 'x';

	if (!is_digit(c))
		return "501 5.5.4 Bad MT-PRIORITY parameter syntax";
	m->has_priority = true;
	m->priority = (int8_t)(low ? -(c - '0') : c - '0');
	return NULL;
}

/* Solicitation-keywords: words of letters, digits, ".", ":", "-", "_" by comma     rfc3865:2.2 */
static const char *
take_solicit(struct mail_parameters *m, struct bytes value)
{
	if (value.len == 0 || value.len > SOLICIT_MOST)
		return "501 5.5.4 Bad SOLICIT parameter syntax";
	for (size_t i = 0; i < value.len; i++)
		if (!is_atom_char(value.at[i]) && strchr(":,", value.at[i]) == NULL)
			return "501 5.5.4 Bad SOLICIT parameter syntax";
	m->solicit = value;
	return NULL;
}

/* XVERP, or XVERP=+= */
static const char *
take_verp(struct mail_parameters *m, struct bytes value)
{
	if (value.len > 2 || (value.at != NULL && value.len == 0))
		return "501 5.5.4 Bad XVERP parameter syntax";
	m->has_verp = true;
	m->verp = value;
	return NULL;
}

/* Of sendmail -v and of nobody else: known to whom XVERP is. */
static const char *
take_report(struct mail_parameters *m, struct bytes value)
{
	if (value.at != NULL)
		return "501 5.5.4 Bad XREPORT parameter syntax";
	m->report = true;
	return NULL;
}

/* The same of sendmail -bv. */
static const char *
take_verify(struct mail_parameters *m, struct bytes value)
{
	if (value.at != NULL)
		return "501 5.5.4 Bad XVERIFY parameter syntax";
	m->verify = true;
	return NULL;
}

/* clang-format off */
static const struct {
	const char *name;
	unsigned    of;              /* the extension, 0: known in any case     */
	const char *(*take)(struct mail_parameters *, struct bytes value);      /* NULL, or the reply */
} of_mail[] = {
	{ "SIZE",        EXTENSION_SIZE,          take_size },
	{ "BODY",        EXTENSION_8BITMIME,      take_body },
	{ "AUTH",        0,                       take_auth },
	{ "RET",         EXTENSION_DSN,           take_ret },
	{ "ENVID",       EXTENSION_DSN,           take_envid },
	{ "SMTPUTF8",    EXTENSION_SMTPUTF8,      take_utf8 },
	{ "REQUIRETLS",  EXTENSION_REQUIRETLS,    take_requiretls },
	{ "HOLDFOR",     EXTENSION_FUTURERELEASE, take_hold_for },
	{ "HOLDUNTIL",   EXTENSION_FUTURERELEASE, take_hold_until },
	{ "BY",          EXTENSION_DELIVERBY,     take_by },
	{ "MT-PRIORITY", EXTENSION_PRIORITY,      take_priority },
	{ "SOLICIT",     EXTENSION_NO_SOLICITING, take_solicit },
	{ "XVERP",       EXTENSION_XVERP,         take_verp },
	{ "XREPORT",     EXTENSION_XVERP,         take_report },
	{ "XVERIFY",     EXTENSION_XVERP,         take_verify },
};
/* clang-format on */

/*
 * RCPT
 */

/* notify-esmtp-value = "NEVER" / 1#( "SUCCESS" / "FAILURE" / "DELAY" )            rfc3461:4.1 */
static const char *
take_notify(struct rcpt_parameters *p, struct bytes value, bool utf8)
{
	static const struct {
		const char *word;
		uint8_t     bit;
	} words[] = { { "SUCCESS", NOTIFY_SUCCESS },
		      { "FAILURE", NOTIFY_FAILURE },
		      { "DELAY", NOTIFY_DELAY } };
	struct bytes one;

	(void)utf8;
	if (bytes_is(value, "NEVER")) {
		p->notify = NOTIFY_NEVER;
		return NULL;
	}
	if (value.len == 0)
		return "501 5.5.4 Error: Bad NOTIFY parameter syntax";
	while (bytes_split(&value, ',', &one)) {
		uint8_t bit = 0;

		for (size_t i = 0; i < COUNT(words); i++)
			if (bytes_is(one, words[i].word))
				bit = words[i].bit;
		if (bit == 0)
			return "501 5.5.4 Error: Bad NOTIFY parameter syntax";
		p->notify |= bit;
	}
	return NULL;
}

static const char *
take_orcpt(struct rcpt_parameters *p, struct bytes value, bool utf8)
{
	if (!orcpt_valid(value, utf8))
		return "501 5.5.4 Error: Bad ORCPT parameter syntax";
	p->orcpt = value;
	return NULL;
}

/* clang-format off */
static const struct {
	const char *name;
	unsigned    of;
	const char *(*take)(struct rcpt_parameters *, struct bytes value, bool utf8);
} of_rcpt[] = {
	{ "NOTIFY", EXTENSION_DSN, take_notify },
	{ "ORCPT",  EXTENSION_DSN, take_orcpt },
};
/* clang-format on */

/*
 * Both: esmtp-param = esmtp-keyword ["=" esmtp-value]
 */

static const char twice[] = "501 5.5.4 Error: a parameter stands there twice";

/* As the client wrote it. */
struct parameter {
	struct bytes word, name, value;
};

/* The next one; false: there is none.  The value of one without "=" is NULL. */
static bool
next_parameter(struct scan *r, struct parameter *p)
{
	ptrdiff_t equals;

	(void)scan_while(r, is_blank);
	p->word = scan_while(r, is_solid);
	equals = bytes_find(p->word, '=');
	p->name = equals < 0 ? p->word : bytes_cut(p->word, 0, (size_t)equals);
	p->value = equals < 0 ? (struct bytes){ NULL, 0 }
	                      : bytes_cut(p->word, (size_t)equals + 1, p->word.len);
	return p->word.len > 0;
}

/* rfc5321:4.1.1.11: it is named, as the client of a client may be far from who reads the log. */
static const char *
unsupported(struct bytes word, struct arena *a)
{
	struct buffer reply = { 0 };
	const char   *out;

	buffer_add_string(&reply, "555 5.5.4 Unsupported option: ");
	reply_text(&reply, bytes_cut(word, 0, SHOWN_MOST));
	out = arena_copy(a, buffer_bytes(&reply));
	buffer_free(&reply);
	return out;
}

const char *
mail_parameters(struct scan *r, struct arena *a, unsigned extensions, struct mail_parameters *m)
{
	struct parameter is;

	while (next_parameter(r, &is)) {
		const char *wrong = NULL;
		bool        known = false;

		for (size_t i = 0; i < COUNT(of_mail); i++) {
			if (!bytes_is(is.name, of_mail[i].name) ||
			    (of_mail[i].of != 0 && !(extensions & of_mail[i].of)))
				continue;
			known = true;
			wrong = m->said & 1u << i ? twice : of_mail[i].take(m, is.value);
			m->said |= 1u << i;
		}
		if (wrong != NULL || !known)
			return known ? wrong : unsupported(is.word, a);
	}
	if (m->body == BODY_BINARYMIME && !(extensions & EXTENSION_BINARYMIME))
		return "501 5.5.4 Syntax: BODY=7BIT or BODY=8BITMIME";
	return NULL;
}

const char *
rcpt_parameters(struct scan *r, struct arena *a, unsigned extensions, bool utf8,
                struct rcpt_parameters *p)
{
	struct parameter is;

	while (next_parameter(r, &is)) {
		const char *wrong = NULL;
		bool        known = false;

		for (size_t i = 0; i < COUNT(of_rcpt); i++) {
			if (!bytes_is(is.name, of_rcpt[i].name) || !(extensions & of_rcpt[i].of))
				continue;
			known = true;
			wrong = p->said & 1u << i ? twice : of_rcpt[i].take(p, is.value, utf8);
			p->said |= 1u << i;
		}
		if (wrong != NULL || !known)
			return known ? wrong : unsupported(is.word, a);
	}
	return NULL;
}
