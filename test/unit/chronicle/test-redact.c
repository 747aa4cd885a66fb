#include "unit.h"

#include "chronicle/redact.h"

static const struct key_secret secret = { { 3, 4 } };

static void
test_addresses(void **state)
{
	/* clang-format off */
	static const struct { const char *why, *text, *domain; } rows[] = {
		{ "an address",             "<jill@example.com>: not here",        "<*@example.com>: not here" },
		{ "two",                    "a@b.example and c@d.example",         "*@b.example and *@d.example" },
		{ "a quoted local part",    "to \"e va\"@example.org now",         "to *@example.org now" },
		{ "one in Chinese",         "<\xe8\x83\xa1@\xe4\xbe\x8b.example>", "<*@\xe4\xbe\x8b.example>" },
		{ "at the end of a sentence", "no jack@example.com.",              "no *@example.com." },
		{ "no address",             "5 @ 3 is no address",                 "5 @ 3 is no address" },
		{ "nothing",                "Relay access denied",                 "Relay access denied" },
	};
	/* clang-format on */
	const struct redaction how = { ADDRESSES_DOMAIN, CLIENTS_WHOLE };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena *a = arena_open(NULL);
		struct event  e = { .kind = LIFE_REFUSED };

		e.text[TEXT_REPLY] = bytes_of(rows[i].text);
		event_redact(&e, &how, &secret, a);
		SAME(rows[i].why, e.text[TEXT_REPLY], bytes_of(rows[i].domain));
		arena_close(&a);
	}
}

static void
test_pseudonyms(void **state)
{
	const struct redaction how = { ADDRESSES_PSEUDONYM, CLIENTS_WHOLE };
	struct arena          *a = arena_open(NULL);
	struct event           e = { .kind = LIFE_ENTERED };
	struct bytes           asked = address_redact(BYTES("JILL@example.com"), ADDRESSES_PSEUDONYM, &secret, a);

	(void)state;
	e.text[TEXT_RECIPIENT] = BYTES("jill@example.com\0jack@example.com");
	event_redact(&e, &how, &secret, a);
	HOLDS("no name is left", bytes_search(e.text[TEXT_RECIPIENT], BYTES("jill")) < 0 && bytes_search(e.text[TEXT_RECIPIENT], BYTES("jack")) < 0);
	HOLDS("who asks for the address finds it", event_has_key(&secret, &e, key_of(&secret, KEY_ADDRESS, asked)));
	HOLDS("the domain is", bytes_ends_nocase(e.text[TEXT_RECIPIENT], BYTES("@example.com")));
	arena_close(&a);
}

static void
test_clients(void **state)
{
	/* clang-format off */
	static const struct { const char *why; int how; const char *client, *kept; } rows[] = {
		{ "whole",           CLIENTS_WHOLE,   "mx.example.org[192.0.2.77]", "mx.example.org[192.0.2.77]" },
		{ "its network",     CLIENTS_NETWORK, "mx.example.org[192.0.2.77]", "[192.0.2.0/24]" },
		{ "of IPv6",         CLIENTS_NETWORK, "unknown[2001:db8:1:2::9]",   "[2001:db8:1::/48]" },
		{ "a local one",     CLIENTS_NETWORK, "local",                      "" },
		{ "nothing",         CLIENTS_NONE,    "mx.example.org[192.0.2.77]", "" },
		{ "torn",            CLIENTS_NETWORK, "mx[",                        "" },
	};
	/* clang-format on */
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct redaction how = { ADDRESSES_WHOLE, rows[i].how };
		struct arena          *a = arena_open(NULL);
		struct event           e = { .kind = LIFE_REFUSED };

		e.text[TEXT_CLIENT] = bytes_of(rows[i].client);
		e.text[TEXT_REPLY] = BYTES("554 Client host [192.0.2.77] blocked, mx.example.org");
		event_redact(&e, &how, &secret, a);
		SAME(rows[i].why, e.text[TEXT_CLIENT], bytes_of(rows[i].kept));
		if (rows[i].how != CLIENTS_WHOLE && bytes_search(bytes_of(rows[i].client), BYTES("192.0.2.77")) >= 0)
			SAME("nor does the reply tell", e.text[TEXT_REPLY], BYTES("554 Client host [*] blocked, *"));
		arena_close(&a);
	}
}

UNIT(test_addresses, test_pseudonyms, test_clients)
