#include "message/address.h"

#include <arpa/inet.h>
#include <string.h>

#include "message/domain.h"
#include "message/encoding.h"

enum {
	LOCAL_MOST = 64,          /* rfc5321:4.5.3.1.1 */
	DOMAIN_MOST = 255,        /* rfc5321:4.5.3.1.2 */
	PATH_MOST = 256,          /* rfc5321:4.5.3.1.3, brackets and all */
	LABEL_MOST = 63,          /* rfc1035:2.3.4     */
	LOCAL_MOST_LENIENT = 255, /* VERP senders are longer than 64 every day */
	PATH_MOST_LENIENT = 512,
};

/* What a byte may be in an address.  Bytes above 127 are asked for apart. */
enum { ATEXT = 1, LDH = 2, BLANK = 4 };

static const uint8_t kind_of[256] = {
	['!'] = ATEXT,       ['#'] = ATEXT,       ['$'] = ATEXT,       ['%'] = ATEXT,
	['&'] = ATEXT,       ['\''] = ATEXT,      ['*'] = ATEXT,       ['+'] = ATEXT,
	['-'] = ATEXT | LDH, ['/'] = ATEXT,       ['='] = ATEXT,       ['?'] = ATEXT,
	['^'] = ATEXT,       ['_'] = ATEXT | LDH, ['`'] = ATEXT,       ['{'] = ATEXT,
	['|'] = ATEXT,       ['}'] = ATEXT,       ['~'] = ATEXT,       ['0'] = ATEXT | LDH,
	['1'] = ATEXT | LDH, ['2'] = ATEXT | LDH, ['3'] = ATEXT | LDH, ['4'] = ATEXT | LDH,
	['5'] = ATEXT | LDH, ['6'] = ATEXT | LDH, ['7'] = ATEXT | LDH, ['8'] = ATEXT | LDH,
	['9'] = ATEXT | LDH, ['A'] = ATEXT | LDH, ['B'] = ATEXT | LDH, ['C'] = ATEXT | LDH,
	['D'] = ATEXT | LDH, ['E'] = ATEXT | LDH, ['F'] = ATEXT | LDH, ['G'] = ATEXT | LDH,
	['H'] = ATEXT | LDH, ['I'] = ATEXT | LDH, ['J'] = ATEXT | LDH, ['K'] = ATEXT | LDH,
	['L'] = ATEXT | LDH, ['M'] = ATEXT | LDH, ['N'] = ATEXT | LDH, ['O'] = ATEXT | LDH,
	['P'] = ATEXT | LDH, ['Q'] = ATEXT | LDH, ['R'] = ATEXT | LDH, ['S'] = ATEXT | LDH,
	['T'] = ATEXT | LDH, ['U'] = ATEXT | LDH, ['V'] = ATEXT | LDH, ['W'] = ATEXT | LDH,
	['X'] = ATEXT | LDH, ['Y'] = ATEXT | LDH, ['Z'] = ATEXT | LDH, ['a'] = ATEXT | LDH,
	['b'] = ATEXT | LDH, ['c'] = ATEXT | LDH, ['d'] = ATEXT | LDH, ['e'] = ATEXT | LDH,
	['f'] = ATEXT | LDH, ['g'] = ATEXT | LDH, ['h'] = ATEXT | LDH, ['i'] = ATEXT | LDH,
	['j'] = ATEXT | LDH, ['k'] = ATEXT | LDH, ['l'] = ATEXT | LDH, ['m'] = ATEXT | LDH,
	['n'] = ATEXT | LDH, ['o'] = ATEXT | LDH, ['p'] = ATEXT | LDH, ['q'] = ATEXT | LDH,
	['r'] = ATEXT | LDH, ['s'] = ATEXT | LDH, ['t'] = ATEXT | LDH, ['u'] = ATEXT | LDH,
	['v'] = ATEXT | LDH, ['w'] = ATEXT | LDH, ['x'] = ATEXT | LDH, ['y'] = ATEXT | LDH,
	['z'] = ATEXT | LDH, [' '] = BLANK,       ['\t'] = BLANK,      ['\r'] = BLANK,
	['\n'] = BLANK,
};

static bool
is_kind(char c, unsigned kind)
{
	return (kind_of[(unsigned char)c] & kind) != 0;
}

static bool
is_blank(char c)
{
	return is_kind(c, BLANK);
}

static bool
is_8bit(char c)
{
	return (unsigned char)c >= 0x80;
}

static bool
is_dot_or_atext(char c)
{
	return c == '.' || is_kind(c, ATEXT);
}

static bool
is_dot_or_atext_utf8(char c)
{
	return is_dot_or_atext(c) || is_8bit(c);
}

static bool
is_domain_char(char c)
{
	return c == '.' || is_kind(c, LDH);
}

static bool
is_domain_char_utf8(char c)
{
	return is_domain_char(c) || is_8bit(c);
}

/*
 * Domains and literals
 */

/* Labels of letters, digits, hyphens and underscores, none empty, none with a
   hyphen at its end, and not all of them numbers: 192.0.2.1 is no name. */
static bool
domain_is(struct bytes domain, bool utf8)
{
	size_t label = 0;
	bool   number = true;

	if (domain.len == 0 || domain.len > DOMAIN_MOST)
		return false;
	for (size_t i = 0; i < domain.len; i++) {
		char c = domain.at[i];

		if (c == '.') {
			if (label == 0 || domain.at[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!is_kind(c, LDH) && !(utf8 && is_8bit(c)))
			return false;
		if (c == '-' && label == 0)
			return false;
		/* How long it is in the DNS the conversion will tell. */
		if (++label > LABEL_MOST && !utf8)
			return false;
		if (c < '0' || c > '9')
			number = false;
	}
	return label > 0 && domain.at[domain.len - 1] != '-' && !number &&
	       (!utf8 || utf8_valid(domain));
}

/* Its letters of the DNS have to be a domain as well: digits of other scripts can become 192.0.2.1. */
static bool
canonical(struct bytes domain, struct arena *a, struct bytes *out)
{
	return domain_canonical(domain, a, out) && (domain.len == 0 || domain_valid(*out));
}

/* rfc5321:4.1.3  "[" IPv4 / "IPv6:" IPv6 "]".  General-address-literal has no
   tag registered beside IPv6, so there is nothing it could mean. */
bool
address_literal_valid(struct bytes literal)
{
	char            text[64];
	struct in6_addr any;
	struct bytes    inside;

	if (literal.len < 3 || literal.at[0] != '[' || literal.at[literal.len - 1] != ']')
		return false;
	inside = bytes_cut(literal, 1, literal.len - 2);
	if (bytes_starts_nocase(inside, BYTES("IPv6:")))
		return bytes_string(bytes_cut(inside, 5, inside.len), text, sizeof text) &&
		       inet_pton(AF_INET6, text, &any) == 1;
	return bytes_string(inside, text, sizeof text) && inet_pton(AF_INET, text, &any) == 1;
}

bool
domain_valid(struct bytes domain)
{
	if (domain.len > 0 && domain.at[0] == '[')
		return address_literal_valid(domain);
	return domain_is(domain, false);
}

/*
 * Paths, rfc5321:4.1.2
 */

/* Domain / address-literal */
static struct bytes
read_domain(struct scan *r, unsigned style)
{
	bool         utf8 = style & PATH_UTF8;
	struct bytes d;

	if (scan_next_is(r, '[')) {
		d = scan_until(r, ']');
		d.len += scan_skip(r, ']') ? 1 : 0;
		if (scan_ok(r) && !address_literal_valid(d))
			scan_fail(r, "an address literal");
		return d;
	}
	d = scan_while(r, utf8 ? is_domain_char_utf8 : is_domain_char);
	/* The dot that ends a name in zone files: some programs send it. */
	if (style & PATH_LENIENT && d.len > 1 && d.at[d.len - 1] == '.')
		d.len--;
	if (scan_ok(r) && !domain_is(d, utf8))
		scan_fail(r, "a domain");
	return d;
}

/* Quoted-string = DQUOTE *QcontentSMTP DQUOTE, without its quotes */
static struct bytes
read_quoted(struct scan *r, unsigned style, struct arena *a)
{
	char  *out = arena_take(a, r->rest.len + 1);
	size_t n = 0;

	scan_expect(r, "\"");
	while (scan_ok(r) && !scan_next_is(r, '"')) {
		char c;

		if (scan_skip(r, '\\') && (r->rest.len == 0 || is_8bit(r->rest.at[0])))
			scan_fail(r, "a quoted pair");
		c = scan_ok(r) && r->rest.len > 0 ? r->rest.at[0] : '\0';
		if (is_8bit(c) ? !(style & PATH_UTF8) : c < ' ' || c == 0x7f)
			scan_fail(r, "a closing quote");
		else
			out[n++] = c;
		scan_take(r, 1);
	}
	scan_expect(r, "\"");
	if (style & PATH_UTF8 && !utf8_valid((struct bytes){ out, n }))
		scan_fail(r, "valid UTF-8");
	return (struct bytes){ out, n };
}

/* No empty atom: rfc5321:4.1.2 Dot-string = Atom *("."  Atom) */
static bool
dots_stand_well(struct bytes local)
{
	char before = '.';

	for (size_t i = 0; i < local.len; before = local.at[i++])
		if (local.at[i] == '.' && before == '.')
			return false;
	return before != '.';
}

/* Local-part = Dot-string / Quoted-string.  The lenient take a..b@ and a.@,
   which some telephone companies have given to people. */
static struct bytes
read_local(struct scan *r, unsigned style, struct arena *a)
{
	bool         utf8 = style & PATH_UTF8;
	struct bytes local;

	if (scan_next_is(r, '"'))
		local = read_quoted(r, style, a);
	else {
		local = scan_while(r, utf8 ? is_dot_or_atext_utf8 : is_dot_or_atext);
		if (scan_ok(r) && (local.len == 0 || (utf8 && !utf8_valid(local)) ||
		                   (!(style & PATH_LENIENT) && !dots_stand_well(local))))
			scan_fail(r, "a local part");
	}
	if (scan_ok(r) && local.len > (style & PATH_LENIENT ? LOCAL_MOST_LENIENT : LOCAL_MOST))
		scan_fail(r, "a shorter local part");
	return local;
}

/* A-d-l ":" = "@" Domain *( "," "@" Domain ) ":"   read, checked, forgotten */
static void
read_route(struct scan *r, unsigned style)
{
	do {
		scan_expect(r, "@");
		(void)read_domain(r, style);
	} while (scan_skip(r, ','));
	scan_expect(r, ":");
}

/* Mailbox = Local-part "@" Domain; "postmaster" may stand alone, rfc5321:4.5.1, and for the lenient any name that is one */
static void
read_mailbox(struct scan *r, unsigned style, struct arena *a, struct address *out)
{
	bool alone;

	out->local = read_local(r, style, a);
	alone = bytes_is(out->local, "postmaster") || (style & PATH_LENIENT && out->local.len > 0);
	if (scan_next_is(r, '@') || !alone) {
		scan_expect(r, "@");
		out->domain = read_domain(r, style);
	}
}

static void
skip_blanks(struct scan *r, unsigned style)
{
	if (style & PATH_LENIENT)
		while (scan_skip(r, ' ') || scan_skip(r, '\t'))
			continue;
}

/* Path = "<" [ A-d-l ":" ] Mailbox ">" / "<>" */
bool
path_parse(struct scan *r, unsigned style, struct arena *a, struct address *out)
{
	struct address got = { BYTES(""), BYTES("") };
	const char    *start;
	bool           brackets;

	skip_blanks(r, style);
	brackets = scan_next_is(r, '<') || !(style & PATH_LENIENT);
	if (brackets) {
		scan_expect(r, "<");
		skip_blanks(r, style);
	}
	start = r->rest.at;
	if (!brackets || !scan_next_is(r, '>')) {
		if (scan_next_is(r, '@'))
			read_route(r, style);
		start = r->rest.at;
		read_mailbox(r, style, a, &got);
	}
	if (scan_ok(r) && (size_t)(r->rest.at - start) + 2 >
	                          (style & PATH_LENIENT ? PATH_MOST_LENIENT : PATH_MOST))
		scan_fail(r, "a shorter path");
	if (brackets) {
		skip_blanks(r, style);
		scan_expect(r, ">");
	}
	if (r->rest.len > 0 && !scan_next_is(r, ' ') && !scan_next_is(r, '\t'))
		scan_fail(r, "a blank after the path");
	if (!scan_ok(r))
		return false;
	out->local = arena_keep(a, got.local);
	if (!canonical(got.domain, a, &out->domain))
		scan_fail(r, "a domain");
	return scan_ok(r);
}

bool
address_parse(struct bytes text, struct arena *a, struct address *out)
{
	struct scan    r = scan_of(text);
	struct address got = { BYTES(""), BYTES("") };

	got.local = read_local(&r, PATH_UTF8, a);
	scan_expect(&r, "@");
	got.domain = read_domain(&r, PATH_UTF8);
	scan_end(&r);
	if (!scan_ok(&r))
		return false;
	out->local = arena_keep(a, got.local);
	return canonical(got.domain, a, &out->domain);
}

/* rfc5321:4.1.2: quote only what cannot go without. */
static bool
needs_quotes(struct bytes local)
{
	for (size_t i = 0; i < local.len; i++)
		if (!is_dot_or_atext_utf8(local.at[i]))
			return true;
	return !dots_stand_well(local);
}

struct bytes
address_text(struct arena *a, const struct address *ad)
{
	char  *out = arena_take(a, 2 * ad->local.len + ad->domain.len + 4);
	bool   quotes = needs_quotes(ad->local) && (ad->local.len > 0 || ad->domain.len > 0);
	size_t n = 0;

	if (quotes)
		out[n++] = '"';
	for (size_t i = 0; i < ad->local.len; i++) {
		if (ad->local.at[i] == '"' || ad->local.at[i] == '\\')
			out[n++] = '\\';
		out[n++] = ad->local.at[i];
	}
	if (quotes)
		out[n++] = '"';
	if (ad->domain.len > 0) {
		out[n++] = '@';
		memcpy(out + n, ad->domain.at, ad->domain.len);
		n += ad->domain.len;
	}
	return (struct bytes){ out, n };
}

/*
 * Address lists, rfc5322:3.4 with the liberties of rfc7103:7.1
 *
 * An element reaches to its comma.  A first look finds how far that is and
 * whether there is an angle or a colon in it; a second one takes the words out.
 * A quote or comment that is never closed is plain text, and so is every later
 * one: that keeps the time linear.
 */

struct mailboxes
mailboxes_of(struct bytes field, struct arena *a)
{
	struct mailboxes r = { .at = field.at, .end = field.at + field.len };

	if (field.at == NULL)
		r.at = r.end = "";
	r.plain_quotes = r.plain_comments = r.end;
	r.room = arena_take(a, field.len + 1);
	return r;
}

/* Past the quoted string at p, or NULL when it has no end. */
static const char *
past_quoted(struct mailboxes *r, const char *p)
{
	if (p >= r->plain_quotes)
		return NULL;
	for (const char *q = p + 1; q < r->end; q++) {
		if (*q == '"')
			return q + 1;
		if (*q == '\\')
			q++;
	}
	r->plain_quotes = p;
	return NULL;
}

/* Past the comment at p with those inside it, or NULL when it has no end. */
static const char *
past_comment(struct mailboxes *r, const char *p)
{
	size_t depth = 0;

	if (p >= r->plain_comments)
		return NULL;
	for (const char *q = p; q < r->end; q++) {
		if (*q == '(')
			depth++;
		else if (*q == ')' && --depth == 0)
			return q + 1;
		else if (*q == '\\')
			q++;
	}
	r->plain_comments = p;
	return NULL;
}

/* Past whatever stands at p: a quoted string, a comment, a pair or a byte. */
static const char *
past_token(struct mailboxes *r, const char *p)
{
	const char *q = NULL;

	if (*p == '"')
		q = past_quoted(r, p);
	else if (*p == '(')
		q = past_comment(r, p);
	else if (*p == '\\' && p + 1 < r->end)
		q = p + 2;
	return q != NULL ? q : p + 1;
}

static void
put_unescaped(struct mailboxes *r, const char *from, const char *to)
{
	for (const char *p = from; p < to; p++) {
		if (*p == '\\' && p + 1 < to)
			p++;
		if (*p != '\r' && *p != '\n')
			*r->room++ = *p;
	}
}

/* The words of p..end, comments left out, one blank for any run of them.  The
   last comment is remembered: before rfc822 people wrote their name there. */
static struct bytes
take_phrase(struct mailboxes *r, const char *p, const char *end)
{
	char *start = r->room;
	bool  gap = false;

	while (p < end) {
		const char *q = past_token(r, p);

		if (q > end)
			q = end;
		if (is_blank(*p)) {
			gap = true;
		} else if (*p == '(' && q > p + 1) {
			r->comment = (struct bytes){ p + 1, (size_t)(q - p) - 2 };
			gap = true;
		} else {
			if (gap && r->room > start)
				*r->room++ = ' ';
			gap = false;
			if (*p == '"' && q > p + 1)
				put_unescaped(r, p + 1, q - 1);
			else if (*p == '\\' && q > p + 1)
				*r->room++ = p[1];
			else if (*p != '"')
				*r->room++ = *p;
		}
		p = q;
	}
	return (struct bytes){ start, (size_t)(r->room - start) };
}

/*
 * addr-spec in p..end, its words joined (obs-local-part and obs-domain have
 * comments and blanks around dots).  A gap not beside a dot or the at-sign
 * divides: what stands before it was a name, what stands after the domain is
 * nothing.  The last at-sign outside quotes is the one.
 */
static void
take_address(struct mailboxes *r, const char *p, const char *end, struct mailbox *out)
{
	char *first = r->room, *start = first, *at = NULL;
	bool  gap = false;

	while (p < end) {
		const char *q = past_token(r, p);

		if (q > end)
			q = end;
		if (is_blank(*p)) {
			gap = true;
		} else if (*p == '(' && q > p + 1) {
			r->comment = (struct bytes){ p + 1, (size_t)(q - p) - 2 };
			gap = true;
		} else if (*p == '<' || *p == '>') {
			;
		} else {
			if (gap && r->room > start && r->room[-1] != '.' && r->room[-1] != '@' &&
			    *p != '.' && *p != '@') {
				if (at != NULL)
					break;
				out->name = (struct bytes){ first, (size_t)(r->room - first) };
				*r->room++ = ' ';
				start = r->room;
			}
			gap = false;
			if (*p == '"' && q > p + 1)
				put_unescaped(r, p + 1, q - 1);
			else if (*p == '\\' && q > p + 1)
				*r->room++ = p[1];
			else if (*p != '"') {
				if (*p == '@')
					at = r->room;
				*r->room++ = *p;
			}
		}
		p = q;
	}
	out->local = (struct bytes){ start, (size_t)((at != NULL ? at : r->room) - start) };
	if (at != NULL)
		out->domain = (struct bytes){ at + 1, (size_t)(r->room - at) - 1 };
}

/* angle-addr from after its "<" to before its ">", obs-route first. */
static void
take_angle(struct mailboxes *r, const char *p, const char *end, struct mailbox *out)
{
	while (p < end && (*p == '<' || is_blank(*p)))
		p++;
	if (p < end && *p == '@') {
		const char *colon = memchr(p, ':', (size_t)(end - p));

		if (colon != NULL) {
			out->route = (struct bytes){ p, (size_t)(colon - p) };
			p = colon + 1;
		}
	}
	take_address(r, p, end, out);
}

/* Where an angle that begins at p ends: at its ">", or, unclosed, where the
   next one or the next element begins (rfc7103:7.1.3, 7.1.5). */
static const char *
angle_end(struct mailboxes *r, const char *p)
{
	bool route;

	while (p < r->end && (*p == '<' || is_blank(*p)))
		p++;
	route = p < r->end && *p == '@';
	while (p < r->end && *p != '>' && *p != '<' && (route || (*p != ',' && *p != ';')))
		p = past_token(r, p);
	return p < r->end ? p : r->end;
}

/* After an address: comments may follow, the rest up to the comma is noise. */
static void
skip_to_comma(struct mailboxes *r)
{
	while (r->at < r->end && *r->at != ',' && *r->at != ';') {
		const char *q = past_token(r, r->at);

		if (*r->at == '(' && q > r->at + 1)
			r->comment = (struct bytes){ r->at + 1, (size_t)(q - r->at) - 2 };
		r->at = q < r->end ? q : r->end;
	}
}

static struct bytes
comment_text(struct mailboxes *r)
{
	char *start = r->room;

	put_unescaped(r, r->comment.at, r->comment.at + r->comment.len);
	return (struct bytes){ start, (size_t)(r->room - start) };
}

/* name-addr / addr-spec: the element from r->at to stop, `angle` its "<". */
static void
take_mailbox(struct mailboxes *r, const char *angle, const char *stop, struct mailbox *out)
{
	const char *start = r->at;

	r->comment = BYTES("");
	if (angle != NULL) {
		const char *end = angle_end(r, angle);

		out->name = take_phrase(r, start, angle);
		take_angle(r, angle, end, out);
		r->at = end;
		skip_to_comma(r);
	} else {
		bool spec = false;

		for (const char *p = start; p < stop && !spec; p = past_token(r, p))
			spec = *p == '@';
		r->at = stop;
		if (spec)
			take_address(r, start, stop, out);
		else {
			struct bytes words = take_phrase(r, start, stop);

			if (bytes_find(words, ' ') < 0)
				out->local = words; /* rfc7103:7.1.7 */
			else
				out->name = words;
		}
	}
	if (out->name.len == 0 && r->comment.len > 0 && out->local.len > 0)
		out->name = comment_text(r);
}

/* group = display-name ":" [group-list] ";" */
static void
take_group(struct mailboxes *r, const char *colon, struct mailbox *out)
{
	out->local = take_phrase(r, r->at, colon);
	out->group_start = true;
	r->in_group = true;
	r->at = colon + 1;
}

/* Where the element that begins at r->at stops, and what stands out in it. */
static const char *
look_ahead(struct mailboxes *r, const char **angle, const char **colon)
{
	const char *p = r->at;
	bool        at = false;

	*angle = *colon = NULL;
	while (p < r->end && *p != ',' && *p != ';') {
		if (*p == '<') {
			*angle = p;
			return p;
		}
		if (*p == ':' && !at && !r->in_group) {
			*colon = p;
			return p;
		}
		if (*p == '[' && at) { /* IPv6 literals hold colons */
			const char *close =
				memchr(p, ']', r->end - p < 64 ? (size_t)(r->end - p) : 64);
			p = close != NULL ? close : p;
		}
		at = at || *p == '@';
		p = past_token(r, p);
	}
	return p < r->end ? p : r->end;
}

bool
mailboxes_next(struct mailboxes *r, struct mailbox *out)
{
	*out = (struct mailbox){
		.name = BYTES(""), .route = BYTES(""), .local = BYTES(""), .domain = BYTES("")
	};
	while (r->at < r->end) {
		const char *angle, *colon, *stop;

		if (is_blank(*r->at) || *r->at == ',' || *r->at == '>') {
			r->at++;
			continue;
		}
		if (*r->at == ';') {
			r->at++;
			if (!r->in_group)
				continue; /* some divide by semicolons */
			r->in_group = false;
			out->group_end = true;
			return true;
		}
		stop = look_ahead(r, &angle, &colon);
		if (colon != NULL) {
			take_group(r, colon, out);
			return true;
		}
		take_mailbox(r, angle, stop, out);
		if (out->local.len > 0 || out->name.len > 0 || out->domain.len > 0)
			return true;
	}
	if (r->in_group) {
		r->in_group = false;
		out->group_end = true;
		return true;
	}
	return false;
}

size_t
mailboxes_parse(struct bytes field, struct arena *a, struct mailbox *out, size_t most)
{
	struct mailboxes r = mailboxes_of(field, a);
	size_t           n = 0;

	while (n < most && mailboxes_next(&r, &out[n]))
		n++;
	return n;
}
