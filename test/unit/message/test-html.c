#include "unit.h"

#include "message/html.h"

/* What a browser shows of it, blanks as one.  Taken whole, and byte by byte at every seam that is none of a character. */
static void
test_what_is_seen(void **state)
{
	static const struct { const char *reason, *html, *seen; } rows[] = {
		{ "a tag within a word parts nothing", "wor<b>ld</b>", "world" },
		{ "paragraphs are apart", "<p>one</p><p>two</p>", "one two" },
		{ "so are cells and lines", "<td>a</td><td>b</td>c<br>d<BR/>e", "a b c d e" },
		{ "blanks are one blank", " a \r\n\t b&nbsp;&#160;\xc2\xa0 c ", "a b c" },
		{ "names and numbers", "&lt;&AMP;&eacute;&#233;&#xE9;&#X20ac;&Omega;", "<&\xc3\xa9\xc3\xa9\xc3\xa9\xe2\x82\xac\xce\xa9" },
		{ "old names count without a semicolon", "&copy2024 &ampx &notit; &notin;", "\xc2\xa9" "2024 &x \xc2\xacit; \xe2\x88\x89" },
		{ "numbers of windows-1252", "&#147;x&#148;", "\xe2\x80\x9cx\xe2\x80\x9d" },
		{ "numbers of nothing", "&#0;&#xd800;&#99999999999;", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "what is no reference is itself", "a & b &; &x &#; &#x; AT&T", "a & b &; &x &#; &#x; AT&T" },
		{ "an attribute with > in it", "<a title=\"x > y\" alt='>' href=z>seen</a>", "seen" },
		{ "a value without an end hides the rest", "a <a title=\"x>b", "a" },
		{ "no tag", "1 < 2 <3 a<=b </ x>y", "1 < 2 <3 a<=b y" },
		{ "comments", "a<!-- b > -- -> c -->d<!-->e<!-- f --!>g<!--->h<!x>i<?y>j", "adeghij" },
		{ "a comment without an end", "a<!-- b", "a" },
		{ "what a program hides", "<![if !mso]>a<![endif]><!--[if mso]>b<![endif]-->c", "ac" },
		{ "script and style", "a<script type=x>if (a</b) </scriptx </SCRIPT >b<style>p { }</style>c", "a b c" },
		{ "a title is not in the page", "<html><head><TITLE>no<b></TITLE></head><body>yes", "yes" },
		{ "what closes nothing", "</script>a</>b</p>", "ab" },
		{ "soft hyphens, joints", "Fu\xc3\x9f&shy;ball\xc2\xad" "feld x\xe2\x80\x8by", "Fu\xc3\x9f" "ballfeld xy" },
		{ "it ends in the middle", "x&eacute", "x\xc3\xa9" },
		{ "after <", "x<", "x<" },
		{ "a name of no known length", "a<bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb>c &aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa;",
		  "a c &aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa;" },
		{ "nothing", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct bytes  all = bytes_of(rows[i].html);
		struct buffer whole = { 0 }, pieces = { 0 };
		struct html   a = { 0 }, b = { 0 };

		html_text(&a, all, &whole);
		html_end(&a, &whole);
		SAME(rows[i].reason, buffer_bytes(&whole), bytes_of(rows[i].seen));
		for (size_t at = 0, n; at < all.len; at += n) {
			for (n = 1; at + n < all.len && ((unsigned char)all.at[at + n] & 0xc0) == 0x80;)
				n++;
			html_text(&b, bytes_cut(all, at, n), &pieces);
		}
		html_end(&b, &pieces);
		SAME(rows[i].reason, buffer_bytes(&pieces), bytes_of(rows[i].seen));
		buffer_free(&whole);
		buffer_free(&pieces);
	}
}

UNIT(test_what_is_seen)
