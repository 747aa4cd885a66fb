#include "unit.h"

#include "message/envelope.h"
#include "policy/proxy.h"

static void
test_places(void **state)
{
	static const struct { const char *why, *in; bool good, path; uint16_t port; } rows[] = {
		{ "Postfix's short form",    "127.0.0.1:10025",       true,  false, 10025 },
		{ "with its type",           "inet:127.0.0.1:10025",  true,  false, 10025 },
		{ "of six",                  "inet:[::1]:26",         true,  false, 26    },
		{ "this host",               "localhost:10025",       true,  false, 10025 },
		{ "a socket",                "unix:/run/filter",      true,  true,  0     },
		{ "a port alone",            ":10025",                false, false, 0     },
		{ "no port",                 "127.0.0.1",             false, false, 0     },
		{ "too large a port",        "127.0.0.1:70000",       false, false, 0     },
		{ "a path from nowhere",     "unix:run/filter",       false, false, 0     },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct clamd_place place;
		char               kept[300];

		HOLDS(rows[i].why, (proxy_place(rows[i].in, kept, sizeof kept, &place) == NULL) == rows[i].good);
		if (!rows[i].good)
			continue;
		HOLDS(rows[i].why, place.is_path == rows[i].path);
		HOLDS(rows[i].why, place.is_path || place.port == rows[i].port);
	}
}

/* rfc5321:4.5.2; and no line end but CRLF (2.3.8), however it is cut. */
static void
test_content(void **state)
{
	static const struct { const char *why, *in, *out; } rows[] = {
		{ "lines",                   "a\r\nb\r\n",        "a\r\nb\r\n.\r\n"         },
		{ "nothing",                 "",                  ".\r\n"                    },
		{ "dots",                    ".\r\n..\r\n.a\r\n", "..\r\n...\r\n..a\r\n.\r\n" },
		{ "a dot inside",            "a.b\r\n",          "a.b\r\n.\r\n"             },
		{ "no end of the last line", "a",                 "a\r\n.\r\n"               },
		{ "half an end",             "a\r",               "a\r\n.\r\n"               },
		{ "LF alone",                "a\n.\nb\n",         "a\r\n..\r\nb\r\n.\r\n"     },
		{ "CR alone",                "a\r.\rb\r\n",      "a\r.\rb\r\n.\r\n"          },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t piece = 1; piece < 4; piece++) {
			struct buffer out = { 0 };
			struct bytes  in = bytes_of(rows[i].in);
			int           line = 0;

			for (size_t at = 0; at < in.len; at += piece)
				proxy_content(&line, bytes_cut(in, at, piece), &out);
			proxy_end(line, &out);
			HOLDS(rows[i].why, bytes_equal(buffer_bytes(&out), bytes_of(rows[i].out)));
			buffer_free(&out);
		}
}

static void
test_commands(void **state)
{
	struct bytes        known[PROXY_ATTRIBUTES] = { [PROXY_NAME] = BYTES("a b+c"), [PROXY_ADDR] = BYTES("192.0.2.1") };
	struct proxy_sender s = { .address = BYTES("a@x"), .envid = BYTES("q+2B"), .ret = 'H', .eight_bit = true, .utf8 = true };
	unsigned            all = proxy_offers(BYTES("250-host\n250-XFORWARD NAME ADDR port\n250-8bitmime\n250-SMTPUTF8\n250 DSN"));
	struct buffer       out = { 0 };

	(void)state;
	proxy_forward(known, all, &out);
	HOLDS("xtext, and what is not known", bytes_equal(buffer_bytes(&out), BYTES("XFORWARD NAME=a+20b+2Bc ADDR=192.0.2.1 PORT=[UNAVAILABLE]\r\n")));
	buffer_reset(&out);
	proxy_forward(known, proxy_offers(BYTES("250 host XFORWARD NAME")), &out);
	HOLDS("the name of a host is no keyword", out.len == 0);
	proxy_mail(&s, all, &out);
	HOLDS("all it knows", bytes_equal(buffer_bytes(&out), BYTES("MAIL FROM:<a@x> BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=q+2B")));
	buffer_reset(&out);
	proxy_mail(&s, 0, &out);
	HOLDS("nothing it does not", bytes_equal(buffer_bytes(&out), BYTES("MAIL FROM:<a@x>")));
	buffer_reset(&out);
	proxy_rcpt(BYTES("b@y"), BYTES("rfc822;b@y"), NOTIFY_SUCCESS | NOTIFY_DELAY, all, &out);
	HOLDS("of a recipient", bytes_equal(buffer_bytes(&out), BYTES("RCPT TO:<b@y> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b@y")));
	buffer_free(&out);
}

UNIT(test_places, test_content, test_commands)
