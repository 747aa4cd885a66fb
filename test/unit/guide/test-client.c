/* What is told, whatever stands in an address. */
#include "unit.h"

#include <string.h>

#include "guide/client.h"

static const struct client_facts facts = {
	.host = "mail.example.org",
	.server = { { CLIENT_IMAP, 993, true, CLIENT_PASSWORD | CLIENT_TOKEN },
	            { CLIENT_IMAP, 143, false, CLIENT_PASSWORD },
	            { CLIENT_POP3, 995, true, CLIENT_TOKEN },
	            { CLIENT_SMTP, 587, false, CLIENT_PASSWORD } },
	.servers = 4,
};

static size_t
count(const struct buffer *b, const char *what)
{
	struct bytes rest = buffer_bytes(b);
	size_t       n = 0;
	ptrdiff_t    at;

	while ((at = bytes_search(rest, bytes_of(what))) >= 0) {
		rest = bytes_cut(rest, (size_t)at + strlen(what), rest.len);
		n++;
	}
	return n;
}

static const struct { const char *why, *what; size_t times; } mozilla[] = {
	{ "each server that is there", "<incomingServer type=\"imap\">", 2 },
	{ "each server that is there", "<incomingServer type=\"pop3\">", 1 },
	{ "each server that is there", "<outgoingServer type=\"smtp\">", 1 },
	{ "all at one host", "<hostname>mail.example.org</hostname>", 4 },
	{ "TLS first", "<socketType>SSL</socketType>", 2 },
	{ "or STARTTLS", "<socketType>STARTTLS</socketType>", 2 },
	{ "never without", "plain", 0 },
	{ "people log in by their address", "<username>%EMAILADDRESS%</username>", 4 },
	{ "by password", "<authentication>password-cleartext</authentication>", 3 },
	{ "or token", "<authentication>OAuth2</authentication>", 2 },
	{ "for this domain", "<domain>example.net</domain>", 1 },
}, outlook[] = {
	{ "the first of each protocol", "<Type>IMAP</Type>", 1 },
	{ "none that takes no passwords", "<Type>POP3</Type>", 0 },
	{ "the first of each protocol", "<Type>SMTP</Type>", 1 },
	{ "TLS first", "<Encryption>SSL</Encryption>", 1 },
	{ "or STARTTLS", "<Encryption>TLS</Encryption>", 1 },
	{ "what was said is text and nothing else", "<LoginName>a&lt;b&gt;&amp;&quot;&apos;c@example.net</LoginName>", 2 },
}, words[] = {
	{ "for people", "port 993   SSL/TLS", 1 },
	{ "for people", "port 587   STARTTLS", 1 },
	{ "for people", "a normal password, or OAuth2.", 1 },
};

static void
test_texts(void **state)
{
	struct buffer b = { 0 };

	(void)state;
	client_mozilla(&facts, BYTES("example.net"), &b);
	for (size_t i = 0; i < COUNT(mozilla); i++)
		HOLDS(mozilla[i].why, count(&b, mozilla[i].what) == mozilla[i].times);
	buffer_reset(&b);
	client_outlook(&facts, BYTES("a<b>&\"'c@example.net"), &b);
	for (size_t i = 0; i < COUNT(outlook); i++)
		HOLDS(outlook[i].why, count(&b, outlook[i].what) == outlook[i].times);
	buffer_reset(&b);
	client_words(&facts, BYTES("example.net"), &b);
	for (size_t i = 0; i < COUNT(words); i++)
		HOLDS(words[i].why, count(&b, words[i].what) == words[i].times);
	buffer_free(&b);
}

UNIT(test_texts)
