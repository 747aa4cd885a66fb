/* IMAP URLs: rows from rfc5092, rfc4469 and rfc4467; and letters that are put together of them. */
#include "unit.h"

#include "access/imap/url.h"
#include "access/imap/urlauth.h"
#include "lab.h"

struct url_case {
	const char *why, *in;
	bool        good;
	const char *server, *user, *mailbox;
	uint32_t    uidvalidity, uid;
	const char *section;
	uint64_t    from, most;
	const char *access, *token;
};
static const struct url_case urls[] = {
	{ "rfc5092:9.1 a message", "imap://minbari.example.org/gray-council;UIDVALIDITY=385759045/;UID=20/;PARTIAL=0.1024", true,
	  "minbari.example.org", "", "gray-council", 385759045, 20, "", 0, 1024, "", "" },
	{ "rfc5092:9.1 an encoded name", "imap://michael@example.org/~peter/%E6%97%A5%E6%9C%AC%E8%AA%9E/%E5%8F%B0%E5%8C%97", true,
	  "example.org", "michael", "~peter/\346\227\245\346\234\254\350\252\236/\345\217\260\345\214\227", 0, 0, "", 0, 0, "", "" },
	{ "rfc5092:9.1 a mechanism", "imap://;AUTH=GSSAPI@minbari.example.org/gray-council/;uid=20/;section=1.2", true,
	  "minbari.example.org", "", "gray-council", 0, 20, "1.2", 0, 0, "", "" },
	{ "rfc4469:A relative", "/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER", true,
	  "", "", "Drafts", 385759045, 20, "HEADER", 0, 0, "", "" },
	{ "rfc5092:7.2 to the mailbox", ";UID=20/;SECTION=1.2", true, "", "", "", 0, 20, "1.2", 0, 0, "", "" },
	{ "rfc4467 authorised", "imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred:internal:91354a473744909de610943775f92038", true,
	  "example.com", "joe", "INBOX", 0, 20, "1.2", 0, 0, "submit+fred", "91354a473744909de610943775f92038" },
	{ "rfc3986:2.1 half an escape", "/a%4/;UID=1", false, NULL, NULL, NULL, 0, 0, NULL, 0, 0, NULL, NULL },
	{ "a NUL, escaped", "/a%00b/;UID=1", false, NULL, NULL, NULL, 0, 0, NULL, 0, 0, NULL, NULL },
	{ "rfc5092:11 nz-number", "/a/;UID=0", false, NULL, NULL, NULL, 0, 0, NULL, 0, 0, NULL, NULL },
	{ "an unknown part", "/a/;UID=1/;COLOUR=red", false, NULL, NULL, NULL, 0, 0, NULL, 0, 0, NULL, NULL },
	{ "rfc4467:3 nothing behind URLAUTH, for it is not signed", "imap://joe@example.com/INBOX/;uid=20;urlauth=anonymous:internal:01ff;uid=21", false, NULL, NULL, NULL, 0, 0, NULL, 0, 0, NULL, NULL },
	{ "rfc4467:9 an encoded user", "imap://joe@example.com/INBOX/;uid=20;urlauth=user+fred%40example.com:internal:01ff", true,
	  "example.com", "joe", "INBOX", 0, 20, "", 0, 0, "user+fred@example.com", "01ff" },
	{ "no host", "imap:///a/;UID=1", false, NULL, NULL, NULL, 0, 0, NULL, 0, 0, NULL, NULL },
};

static void
test_urls(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(urls); i++) {
		const struct url_case *c = &urls[i];
		struct arena *arena = arena_open(NULL);
		struct imap_url got;

		HOLDS(c->why, url_read(bytes_of(c->in), arena, &got) == c->good);
		if (c->good) {
			SAME(c->why, got.server, bytes_of(c->server));
			SAME(c->why, got.user, bytes_of(c->user));
			SAME(c->why, got.mailbox, bytes_of(c->mailbox));
			SAME(c->why, got.section, bytes_of(c->section));
			SAME(c->why, got.access, bytes_of(c->access));
			SAME(c->why, got.token, bytes_of(c->token));
			HOLDS(c->why, got.uid == c->uid && got.uidvalidity == c->uidvalidity);
			HOLDS(c->why, got.from == c->from && got.most == c->most);
		}
		arena_close(&arena);
	}
}

/* What Python's hmac makes of it. */
static void
test_a_url_is_signed(void **state)
{
	static const char rump[] = "imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred";
	static const char token[] = "010cb7a969612e90de95f649a8f4a62f6e2132ccf63bd73ad1b9384eb28746df27";
	struct arena *arena = arena_open(NULL);
	struct buffer full = { 0 };
	struct imap_url url;
	unsigned char key[URLKEY_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof key; i++)
		key[i] = (unsigned char)i;
	HOLDS("the rump is read", url_read(bytes_of(rump), arena, &url));
	buffer_add_string(&full, rump);
	urlauth_sign(&full, &url, key);
	HOLDS("what was signed is read", url_read(buffer_bytes(&full), arena, &url));
	SAME("rfc4467:2.4.1", url.token, bytes_of(token));
	HOLDS("its own key holds", urlauth_holds(&url, key));
	key[31] ^= 1;
	HOLDS("no other does", !urlauth_holds(&url, key));
	key[31] ^= 1;
	full.at[bytes_search(buffer_bytes(&full), BYTES("uid=20")) + 4] = '3';
	HOLDS("another message", url_read(buffer_bytes(&full), arena, &url) && !urlauth_holds(&url, key));
	buffer_free(&full);
	arena_close(&arena);
}

static void
test_a_url_is_bounded(void **state)
{
	struct arena *arena = arena_open(NULL);
	struct buffer text = { 0 };
	struct imap_url got;

	(void)state;
	buffer_add_char(&text, '/');
	while (text.len < URL_MOST)
		buffer_add_char(&text, 'a');
	HOLDS("4096 bytes", url_read(buffer_bytes(&text), arena, &got));
	buffer_add_char(&text, 'a');
	HOLDS("one more", !url_read(buffer_bytes(&text), arena, &got));
	buffer_free(&text);
	arena_close(&arena);
}

/* However the bytes of such a command come, the letters are the same. */
static const char appends[] =
	"a CREATE t\r\n"
	"b APPEND t (\\Seen) {23+}\r\nSubject: one\r\n\r\nfirst\r\n (\\Draft) ~{23+}\r\nSubject: two\r\n\r\nother\r\n\r\n"
	"c APPEND t CATENATE (URL \"/t/;UID=1/;SECTION=HEADER\" TEXT {4+}\r\nand  URL {23+}\r\n/t/;UID=2/;SECTION=TEXT)\r\n"
	"d SELECT t\r\n"
	"e UID REPLACE 1 t {23+}\r\nSubject: six\r\n\r\nsixth\r\n\r\n"
	"f APPEND t (\\Nonsense) {3+}\r\nabc {3+}\r\nabc\r\n"
	"g FETCH 1:* (BODY[])\r\n"
	"h UNSELECT\r\ni DELETE t\r\n";

static void
test_a_command_of_literals_comes_in_any_pieces(void **state)
{
	struct lab *l = lab_open();
	struct buffer out = { 0 };
	static const char *const said[] = {
		"* 1 FETCH (BODY[] {23}\r\nSubject: two\r\n\r\nother\r\n)\r\n", "sixth\r\n", "f BAD ", "i OK ",
	};

	(void)state;
	for (size_t step = 0; step < 40; step++) {
		buffer_reset(&out);
		lab_talk(l, false, bytes_of(appends), step, &out);
		for (size_t i = 0; i < COUNT(said); i++)
			HOLDS(said[i], bytes_search(buffer_bytes(&out), bytes_of(said[i])) >= 0);
	}
	buffer_free(&out);
	lab_close(l);
}

UNIT(test_urls, test_a_url_is_signed, test_a_url_is_bounded, test_a_command_of_literals_comes_in_any_pieces)
