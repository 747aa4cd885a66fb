#include "unit.h"

#include "base/buffer.h"
#include "message/fold.h"
#include "message/search.h"

#define LETTER \
	"From: =?gb18030?B?zfXOsA==?= <wang@example.cn>\r\n" \
	"Subject: Stra\xc3\x9f" "e and =?utf-8?Q?=C3=84RGER?=\r\n" \
	"X-Empty:\r\n" \
	"Content-Type: multipart/mixed; boundary=b\r\n\r\n" \
	"--b\r\nContent-Type: text/plain; charset=gb2312\r\nContent-Transfer-Encoding: base64\r\n\r\n" \
	"xOO6w6OsysC95w==\r\n" \
	"--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" \
	"K=E4se und so=\r\nft\r\n" \
	"--b\r\nContent-Type: text/plain; charset=hz-gb-2312\r\n\r\n~{<[8q~}~~100~{T*~}\r\n" \
	"--b\r\nContent-Type: application/pdf; name=invoice.pdf\r\n\r\nPDFWORD\r\n" \
	"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: within\r\n\r\ninside\r\n--b--\r\n"

/* What the index keeps of a letter says what the letter says, of any piece of it. */
static bool
kept_says(struct bytes kept, struct bytes needle)
{
	struct bytes one;

	while (bytes_split(&kept, SEARCH_SEPARATOR, &one))
		if (bytes_search(one, needle) >= 0)
			return true;
	return false;
}

static void
test_kept_text_is_what_is_searched(void **state)
{
	struct arena *a = arena_open(NULL), *scratch = arena_open(NULL);
	struct buffer header = { 0 }, body = { 0 }, short_header = { 0 }, short_body = { 0 };
	struct bytes  all[2];

	(void)state;
	HOLDS("it has room", letter_text(BYTES(LETTER), 10000, a, &header, &body));
	all[0] = buffer_bytes(&header);
	all[1] = buffer_bytes(&body);
	HOLDS("there is a header", header.len > 100);
	HOLDS("there is a body", body.len > 50);
	for (size_t part = 0; part < 2; part++)
		for (size_t at = 0; at + 5 < all[part].len; at += 3)
			for (size_t len = 1; len <= 5; len += 2) {
				struct bytes needle = bytes_cut(all[part], at, len);
				if (bytes_find(needle, SEARCH_SEPARATOR) >= 0 || ((unsigned char)needle.at[0] & 0xc0) == 0x80)
					continue;
				arena_clear(scratch);
				bool here = kept_says(all[1], search_fold(scratch, needle));
				HOLDS("the body says it", here == letter_says(BYTES(LETTER), SEARCH_BODY, BYTES(""), needle, scratch));
				here = here || kept_says(all[0], search_fold(scratch, needle));
				HOLDS("the text says it", here == letter_says(BYTES(LETTER), SEARCH_TEXT, BYTES(""), needle, scratch));
			}
	HOLDS("it has no room", !letter_text(BYTES(LETTER), 60, a, &short_header, &short_body));
	buffer_free(&header);
	buffer_free(&body);
	buffer_free(&short_header);
	buffer_free(&short_body);
	arena_close(&a);
	arena_close(&scratch);
}

static void
test_own_fields(void **state)
{
	static const struct { const char *why, *field, *needle; bool found; } rows[] = {
		{ "a field of ours", "Delivered-To", "jack@", true },
		{ "its second line", "received", "by mail", true },
		{ "another field", "Return-Path", "jack", false },
		{ "it is there", "RETURN-PATH", "", true },
		{ "it is not there", "Subject", "", false },
	};
	const struct bytes own = BYTES("return-path: <jill@example.com>\r\ndelivered-to: jack@example.com\r\n"
	                               "received: from x\r\n\tby mail.example.com\r\n\xff");

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		HOLDS(rows[i].why, search_own_says(own, bytes_of(rows[i].field), bytes_of(rows[i].needle)) == rows[i].found);
}

static void
test_says(void **state)
{
	static const struct {
		const char *why; enum search_where where; const char *field, *needle; bool found;
	} rows[] = {
		{ "subject in another case", SEARCH_HEADER, "subject", "\xc3\xa4rger", true },
		{ "folds on both sides", SEARCH_HEADER, "Subject", "STRA\xc3\x9f" "E", true },
		{ "the capital sharp s is another letter (rfc5051)", SEARCH_HEADER, "Subject", "STRA\xe1\xba\x9e" "E", false },
		{ "decomposed", SEARCH_HEADER, "Subject", "a\xcc\x88rger", true },
		{ "from, decoded", SEARCH_HEADER, "From", "\xe7\x8e\x8b\xe4\xbc\x9f", true },
		{ "from, the address", SEARCH_HEADER, "From", "WANG@", true },
		{ "not in that field", SEARCH_HEADER, "From", "and", false },
		{ "the field is there", SEARCH_HEADER, "X-Empty", "", true },
		{ "the field is not there", SEARCH_HEADER, "X-None", "", false },
		{ "fields of parts are not the letter's", SEARCH_HEADER, "Content-Transfer-Encoding", "base64", false },
		{ "two Chinese characters, base64 of gb2312", SEARCH_BODY, "", "\xe4\xb8\x96\xe7\x95\x8c", true },
		{ "two Chinese characters, hz-gb-2312", SEARCH_BODY, "", "\xe4\xbb\xb7\xe6\xa0\xbc~100\xe5\x85\x83", true },
		{ "quoted-printable of Latin-1", SEARCH_BODY, "", "k\xc3\x84se", true },
		{ "over a soft break", SEARCH_BODY, "", "soft", true },
		{ "not in the body", SEARCH_BODY, "", "wang", false },
		{ "in the text, which has the header", SEARCH_TEXT, "", "wang", true },
		{ "name of an attachment", SEARCH_BODY, "", "invoice", true },
		{ "not inside what is no text", SEARCH_BODY, "", "pdfword", false },
		{ "subject of a letter inside", SEARCH_BODY, "", "WITHIN", true },
		{ "body of a letter inside", SEARCH_BODY, "", "inside", true },
		{ "a field name in TEXT", SEARCH_TEXT, "", "x-empty", true },
		{ "empty needle", SEARCH_TEXT, "", "", true },
		{ "nowhere", SEARCH_TEXT, "", "nowhere", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena *a = arena_open(NULL);

		HOLDS(rows[i].why, letter_says(BYTES(LETTER), rows[i].where, bytes_of(rows[i].field),
		                               bytes_of(rows[i].needle), a) == rows[i].found);
		arena_close(&a);
	}
}

/* A word on the seam of two pieces, wherever the seam is. */
static void
test_seams(void **state)
{
	struct buffer b = { 0 };
	struct arena *a = arena_open(NULL);

	(void)state;
	buffer_add_string(&b, "Subject: x\r\n\r\n");
	for (size_t i = 0; i < 40000; i++)
		buffer_add_string(&b, "some text\r\n");
	buffer_add_string(&b, "here it\xe4\xbd\xa0 is\r\n");
	for (size_t i = 0; i < 3000000; i++)
		buffer_add_char(&b, 'x');
	buffer_add_string(&b, "LAST");
	HOLDS("late", letter_says(buffer_bytes(&b), SEARCH_BODY, BYTES(""), bytes_of("it\xe4\xbd\xa0 is"), a));
	HOLDS("over a line end", letter_says(buffer_bytes(&b), SEARCH_BODY, BYTES(""), BYTES("text\r\nhere"), a));
	HOLDS("the end of a line without end", letter_says(buffer_bytes(&b), SEARCH_BODY, BYTES(""), BYTES("xxxlast"), a));
	HOLDS("not there", !letter_says(buffer_bytes(&b), SEARCH_BODY, BYTES(""), BYTES("xxxfirst"), a));
	buffer_free(&b);
	arena_close(&a);
}

static void
test_fold(void **state)
{
	struct arena *a = arena_open(NULL);

	(void)state;
	SAME("folded", search_fold(a, bytes_of("AbC \xc3\x84\xd0\x96\xce\xa3 \xe4\xbd\xa0")),
	     bytes_of("ABC A\xcc\x88\xd0\x96\xce\xa3 \xe4\xbd\xa0"));
	arena_close(&a);
}

/* No character from U+4000 to U+9FFF has a case or is composed (Unicode 15, 4.2 and 3.7); what stands beside them has. */
static void
test_ideographs_stay(void **state)
{
	static const struct {
		const char *reason, *said, *folded;
	} rows[] = {
		{ "between letters", "a\xe5\x90\x88" "b\xe5\x90\x8c" "c", "A\xe5\x90\x88" "B\xe5\x90\x8c" "C" },
		{ "the first and the last", "\xe4\x80\x80\xe9\xbf\xbf", "\xe4\x80\x80\xe9\xbf\xbf" },
		{ "before a letter with case", "\xe5\x90\x88\xc5\xbe", "\xe5\x90\x88Z\xcc\x8c" },
		{ "behind one", "\xc5\xbe\xe5\x90\x88", "Z\xcc\x8c\xe5\x90\x88" },
		{ "before a syllable, which is taken apart", "\xe5\x90\x88\xea\xb0\x80",
		  "\xe5\x90\x88\xe1\x84\x80\xe1\x85\xa1" },
	};
	struct arena *a = arena_open(NULL);
	uint32_t      folded[FOLD_MOST];

	(void)state;
	for (uint32_t c = 0x4000; c < 0xa000; c++)
		if (fold_character(c, folded) != 1 || folded[0] != c)
			fail_msg("U+%04X becomes something else", c);
	for (size_t i = 0; i < COUNT(rows); i++)
		HOLDS(rows[i].reason, bytes_is(search_fold(a, bytes_of(rows[i].said)), rows[i].folded));
	HOLDS("one cut short ends", search_fold(a, BYTES("\xe5\x90")).len > 0);
	HOLDS("and one that goes on wrongly", search_fold(a, BYTES("\xe5" "ab")).len > 0);
	arena_close(&a);
}

UNIT(test_ideographs_stay, test_says, test_seams, test_fold, test_kept_text_is_what_is_searched, test_own_fields)
