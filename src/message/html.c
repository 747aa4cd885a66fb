#include "message/html.h"

#include <string.h>

#include "message/charset.h"
#include "message/html-names.h"

/* Where we are: each state is a function that takes one byte, and says what it did with it. */
enum state {
	TEXT,          /* is seen                            */
	REFERENCE,     /* behind "&"                         */
	OPENED,        /* behind "<"                         */
	CLOSING,       /* behind "</"                        */
	NAME,          /* of a tag                           */
	WITHIN,        /* a tag, between attributes          */
	VALUE,         /* behind "=": none has begun         */
	BARE,          /* a value without quotes             */
	QUOTED,        /* a value in "                       */
	APOSTROPHES,   /* a value in '                       */
	DECLARED,      /* behind "<!"                        */
	DECLARED_DASH, /* behind "<!-"                       */
	COMMENT,       /* behind "<!--"                      */
	BOGUS,         /* to the next ">"                    */
	UNSEEN,        /* <script> and its like, to its end  */
	UNSEEN_END,    /* behind "</script"                  */
};
typedef bool take_fn(struct html *, char, struct buffer *); /* false: give it to the next state */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool
is_letter(char c)
{
	return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
go(struct html *h, enum state to)
{
	h->state = (int)to;
	return true;
}

/* To another state, which is given the same byte. */
static bool
again(struct html *h, enum state to)
{
	h->state = (int)to;
	return false;
}

/* ---- text ---- */

/* A blank before it, if one is due. */
static void
put(struct html *h, struct bytes text, struct buffer *out)
{
	if (h->gap && h->begun)
		buffer_add_char(out, ' ');
	h->gap = false;
	h->begun = true;
	buffer_add(out, text);
}

/* A character that was written as a reference: nbsp is a blank, others are not seen. */
static void
put_character(struct html *h, uint32_t c, struct buffer *out)
{
	char utf8[4];

	if (c == 0xa0 || (c < 0x80 && is_blank((char)c)))
		h->gap = true;
	else if (c != 0xad && c != 0x200b && c != 0xfeff)
		put(h, (struct bytes){ utf8, utf8_put(c, utf8) }, out);
}

/* Text up to the next "<" or "&". */
static size_t
take_text(struct html *h, struct bytes in, struct buffer *out)
{
	size_t i = 0;

	while (i < in.len && in.at[i] != '<' && in.at[i] != '&') {
		size_t from = i;

		while (i < in.len && (unsigned char)(in.at[i] - '!') <= '~' - '!' &&
		       in.at[i] != '<' && in.at[i] != '&')
			i++;
		if (i > from)
			put(h, bytes_cut(in, from, i - from), out);
		else if ((unsigned char)in.at[i] < 0x80) {
			h->gap |= is_blank(in.at[i]);
			if (!is_blank(in.at[i]))
				put(h, bytes_cut(in, i, 1), out);
			i++;
		} else {
			uint32_t c = utf8_take(in, &i);
			put_character(h, c, out);
		}
	}
	return i;
}

static bool
text(struct html *h, char c, struct buffer *out)
{
	(void)out;
	h->len = 0;
	return go(h, c == '<' ? OPENED : REFERENCE);
}

/* ---- references ---- */

/* Numbers from 128 to 159 are meant as in windows-1252. */
static uint32_t
as_meant(uint32_t c)
{
	static const uint16_t windows[32] = {
		0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021,
		0x2c6,  0x2030, 0x160,  0x2039, 0x152,  0x8d,   0x17d,  0x8f,
		0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
		0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178,
	};

	if (c >= 0x80 && c < 0xa0)
		return windows[c - 0x80];
	return c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0xfffd : c;
}

/* "#233" or "#xe9": how much of the word is the number; 0: none. */
static size_t
read_number(struct bytes word, uint32_t *out)
{
	bool   hex = word.len > 1 && ascii_lower(word.at[1]) == 'x';
	size_t from = hex ? 2 : 1, n = from;

	for (*out = 0; n < word.len; n++) {
		char     c = ascii_lower(word.at[n]);
		uint32_t digit = is_digit(c)                   ? (uint32_t)(c - '0')
		                 : hex && c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
		                                               : 16;
		if (digit == 16)
			break;
		if (*out <= 0x10ffff)
			*out = *out * (hex ? 16 : 10) + digit;
	}
	return n > from ? n : 0;
}

/* The name as it is written, without & and semicolon; NULL: there is none. */
static const struct html_name *
name_of(struct bytes word)
{
	size_t low = 0, high = html_names_count;
	char   name[sizeof html_names[0].name];

	if (!bytes_string(word, name, sizeof name))
		return NULL;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int    way = strcmp(name, html_names[middle].name);
		if (way == 0)
			return &html_names[middle];
		if (way < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* Some names count without a semicolon, even before other letters: the longest does. */
static const struct html_name *
name_before(struct bytes word, size_t *len)
{
	for (size_t n = word.len < 6 ? word.len : 6; n >= 2; n--) {
		const struct html_name *found = name_of(bytes_cut(word, 0, n));
		if (found != NULL && found->alone) {
			*len = n;
			return found;
		}
	}
	return NULL;
}

/* The word behind "&" is over; a semicolon follows it or not.  True when that belonged to it. */
static bool
put_reference(struct html *h, bool semicolon, struct buffer *out)
{
	struct bytes            word = { h->word, h->len };
	const struct html_name *name = semicolon ? name_of(word) : NULL;
	size_t                  len = word.len;
	uint32_t                number;

	if (word.len > 0 && word.at[0] == '#') {
		if ((len = read_number(word, &number)) > 0)
			put_character(h, as_meant(number), out);
	} else if (name != NULL || (name = name_before(word, &len)) != NULL)
		put_character(h, name->is, out);
	else
		len = 0;
	if (len == 0)
		put(h, BYTES("&"), out);
	if (len < word.len)
		put(h, bytes_cut(word, len, word.len), out);
	return semicolon && len > 0 && len == word.len;
}

/* A word behind "&", as long as it may be one. */
static bool
reference(struct html *h, char c, struct buffer *out)
{
	bool more = is_letter(c) || is_digit(c) || (c == '#' && h->len == 0);

	if (more && h->len < 32) {
		h->word[h->len++] = c;
		return true;
	}
	if (put_reference(h, c == ';', out))
		return go(h, TEXT);
	return again(h, TEXT);
}

/* ---- tags ---- */

static bool
is_among(const struct html *h, const char *const words[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(h->word, words[i]) == 0)
			return true;
	return false;
}

/* The tag is whole: some part words, of some all that is within is not seen. */
static bool
tag_ends(struct html *h)
{
	static const char *const joined[] = {
		"a",      "abbr",   "acronym", "b",   "bdi",  "bdo",  "big",   "cite",
		"code",   "del",    "dfn",     "em",  "font", "i",    "ins",   "kbd",
		"label",  "mark",   "o:p",     "q",   "s",    "samp", "small", "span",
		"strike", "strong", "sub",     "sup", "tt",   "u",    "var",   "wbr",
	};
	static const char *const unseen[] = { "script", "style", "title", "template" };

	h->word[h->len] = '\0';
	h->gap |= !is_among(h, joined, COUNT(joined));
	h->at = 0;
	return go(h, !h->closing && is_among(h, unseen, COUNT(unseen)) ? UNSEEN : TEXT);
}

/* What stands behind "<" says what this is. */
static bool
opened(struct html *h, char c, struct buffer *out)
{
	h->closing = false;
	if (c == '/')
		return go(h, CLOSING);
	if (c == '!')
		return go(h, DECLARED);
	if (c == '?')
		return go(h, BOGUS);
	if (is_letter(c))
		return again(h, NAME);
	put(h, BYTES("<"), out);
	return again(h, TEXT);
}

static bool
closing(struct html *h, char c, struct buffer *out)
{
	(void)out;
	h->closing = true;
	if (is_letter(c))
		return again(h, NAME);
	return c == '>' ? go(h, TEXT) : again(h, BOGUS);
}

/* Of a name that is longer the front is no name we know, either. */
static bool
name(struct html *h, char c, struct buffer *out)
{
	(void)out;
	if (c == '>')
		return tag_ends(h);
	if (is_blank(c) || c == '/')
		return go(h, WITHIN);
	if (h->len < sizeof h->word - 1)
		h->word[h->len++] = ascii_lower(c);
	return true;
}

static bool
within(struct html *h, char c, struct buffer *out)
{
	(void)out;
	if (c == '>')
		return tag_ends(h);
	return c == '=' ? go(h, VALUE) : true;
}

static bool
value(struct html *h, char c, struct buffer *out)
{
	(void)out;
	if (is_blank(c))
		return true;
	if (c == '>')
		return tag_ends(h);
	return go(h, c == '"' ? QUOTED : c == '\'' ? APOSTROPHES : BARE);
}

static bool
bare(struct html *h, char c, struct buffer *out)
{
	(void)out;
	if (c == '>')
		return tag_ends(h);
	return is_blank(c) ? go(h, WITHIN) : true;
}

static bool
quoted(struct html *h, char c, struct buffer *out)
{
	(void)out;
	return c == '"' ? go(h, WITHIN) : true;
}

static bool
apostrophes(struct html *h, char c, struct buffer *out)
{
	(void)out;
	return c == '\'' ? go(h, WITHIN) : true;
}

/* ---- what is no tag ---- */

static bool
declared(struct html *h, char c, struct buffer *out)
{
	(void)out;
	return c == '-' ? go(h, DECLARED_DASH) : again(h, BOGUS);
}

/* "<!-->" is a comment that is over at once. */
static bool
declared_dash(struct html *h, char c, struct buffer *out)
{
	(void)out;
	h->dashes = 2;
	return c == '-' ? go(h, COMMENT) : again(h, BOGUS);
}

/* Behind two dashes ">" ends it, and "!>" does. */
static bool
comment(struct html *h, char c, struct buffer *out)
{
	(void)out;
	if (c == '>' && h->dashes >= 2)
		return go(h, TEXT);
	if (c == '-')
		h->dashes = h->dashes < 2 ? h->dashes + 1 : 2;
	else if (c != '!' || h->dashes < 2)
		h->dashes = 0;
	return true;
}

static bool
bogus(struct html *h, char c, struct buffer *out)
{
	(void)out;
	return c == '>' ? go(h, TEXT) : true;
}

/* "</" and the name of the tag that began it. */
static bool
unseen(struct html *h, char c, struct buffer *out)
{
	char expected = h->at == 0 ? '<' : h->at == 1 ? '/' : h->word[h->at - 2];

	(void)out;
	if (ascii_lower(c) != expected) {
		h->at = c == '<';
		return true;
	}
	return ++h->at == h->len + 2 ? go(h, UNSEEN_END) : true;
}

static bool
unseen_end(struct html *h, char c, struct buffer *out)
{
	(void)out;
	h->closing = true;
	if (c == '>')
		return tag_ends(h);
	if (is_blank(c) || c == '/')
		return go(h, WITHIN);
	h->at = 0;
	return again(h, UNSEEN);
}

/* ---- the table ---- */

static take_fn *const take[] = {
	[TEXT] = text,         [REFERENCE] = reference,
	[OPENED] = opened,     [CLOSING] = closing,
	[NAME] = name,         [WITHIN] = within,
	[VALUE] = value,       [BARE] = bare,
	[QUOTED] = quoted,     [APOSTROPHES] = apostrophes,
	[DECLARED] = declared, [DECLARED_DASH] = declared_dash,
	[COMMENT] = comment,   [BOGUS] = bogus,
	[UNSEEN] = unseen,     [UNSEEN_END] = unseen_end,
};

void
html_text(struct html *h, struct bytes in, struct buffer *out)
{
	size_t i = 0;

	while (i < in.len) {
		if (h->state == TEXT)
			i += take_text(h, bytes_cut(in, i, in.len), out);
		if (i < in.len && take[h->state](h, in.at[i], out))
			i++;
	}
}

void
html_end(struct html *h, struct buffer *out)
{
	if (h->state == REFERENCE)
		(void)put_reference(h, false, out);
	else if (h->state == OPENED)
		put(h, BYTES("<"), out);
	else if (h->state == CLOSING)
		put(h, BYTES("</"), out);
	*h = (struct html){ 0 };
}
