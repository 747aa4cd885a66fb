/* Which domain's settings somebody asks for. */
#include "unit.h"

#include <string.h>

#include "guide/webwish.h"

static const struct webwish_case {
	const char *why;
	enum webrequest_method method;
	const char *path, *query, *host, *body;
	enum webwish_kind kind;
	unsigned    status;
	const char *domain, *address;
} cases[] = {
	{ "as Thunderbird asks first", WEB_GET, "/mail/config-v1.1.xml", "emailaddress=jill%40example.org", "autoconfig.example.org", "", WEBWISH_MOZILLA, 0, "example.org", NULL },
	{ "and then", WEB_GET, "/.well-known/autoconfig/mail/config-v1.1.xml", "emailaddress=jill%40example.org", "example.org", "", WEBWISH_MOZILLA, 0, "example.org", NULL },
	{ "without an address", WEB_GET, "/mail/config-v1.1.xml", "", "autoconfig.example.org", "", WEBWISH_MOZILLA, 0, "example.org", NULL },
	{ "capitals", WEB_GET, "/mail/config-v1.1.xml", "emailaddress=Jill%40EXAMPLE.Org", "AUTOCONFIG.EXAMPLE.ORG", "", WEBWISH_MOZILLA, 0, "example.org", NULL },
	{ "a name with capitals alone", WEB_HEAD, "/mail/config-v1.1.xml", "", "AutoConfig.Example.Org", "", WEBWISH_MOZILLA, 0, "example.org", NULL },
	{ "a dot at the end of a name", WEB_GET, "/mail/config-v1.1.xml", "", "autoconfig.example.org.", "", WEBWISH_MOZILLA, 0, "example.org", NULL },
	{ "another word in the query", WEB_GET, "/mail/config-v1.1.xml", "x=1&emailaddress=j%40example.net", "autoconfig.example.org", "", WEBWISH_MOZILLA, 0, "example.net", NULL },
	{ "rfc3986:2.1 a % that begins nothing", WEB_GET, "/mail/config-v1.1.xml", "emailaddress=%EMAILADDRESS%", "autoconfig.example.org", "", WEBWISH_MOZILLA, 0, "example.org", NULL },
	{ "a name alone says nothing", WEB_GET, "/mail/config-v1.1.xml", "emailaddress=jill", "autoconfig.example.org", "", WEBWISH_MOZILLA, 0, "example.org", NULL },
	{ "rfc5890 other letters", WEB_GET, "/mail/config-v1.1.xml", "emailaddress=j%40b%C3%BCcher.example", "x.example", "", WEBWISH_MOZILLA, 0, "xn--bcher-kva.example", NULL },
	{ "a quoted name with an @", WEB_GET, "/mail/config-v1.1.xml", "emailaddress=%22a%40b%22%40example.org", "x.example", "", WEBWISH_MOZILLA, 0, "example.org", NULL },
	{ "no domain behind the @", WEB_GET, "/mail/config-v1.1.xml", "emailaddress=jill%40", "autoconfig.example.org", "", WEBWISH_MOZILLA, 404, NULL, NULL },
	{ "an address literal", WEB_GET, "/mail/config-v1.1.xml", "emailaddress=jill%40%5B192.0.2.1%5D", "autoconfig.example.org", "", WEBWISH_MOZILLA, 404, NULL, NULL },
	{ "no name of a domain", WEB_GET, "/mail/config-v1.1.xml", "emailaddress=a%40b%2F..%2Fc", "autoconfig.example.org", "", WEBWISH_MOZILLA, 404, NULL, NULL },
	{ "lines in it", WEB_GET, "/mail/config-v1.1.xml", "emailaddress=a%0d%0a%40example.org", "autoconfig.example.org", "", WEBWISH_MOZILLA, 404, NULL, NULL },
	{ "no host at all", WEB_GET, "/mail/config-v1.1.xml", "", "", "", WEBWISH_MOZILLA, 404, NULL, NULL },
	{ "an address of the machine", WEB_GET, "/mail/config-v1.1.xml", "", "[::1]", "", WEBWISH_MOZILLA, 404, NULL, NULL },
	{ "paths have one spelling", WEB_GET, "/Mail/config-v1.1.xml", "", "autoconfig.example.org", "", WEBWISH_NOTHING, 404, NULL, NULL },
	{ "there are no files", WEB_GET, "/mail/../mail/config-v1.1.xml", "", "autoconfig.example.org", "", WEBWISH_NOTHING, 404, NULL, NULL },
	{ "there is nothing else", WEB_GET, "/", "", "example.org", "", WEBWISH_NOTHING, 404, NULL, NULL },
	{ "nobody writes there", WEB_POST, "/mail/config-v1.1.xml", "", "autoconfig.example.org", "", WEBWISH_MOZILLA, 405, NULL, NULL },
	{ "Outlook brings an address", WEB_GET, "/autodiscover/autodiscover.xml", "", "autodiscover.example.org", "", WEBWISH_OUTLOOK, 405, NULL, NULL },
	{ "MS-OXDSCLI 4.1", WEB_POST, "/Autodiscover/Autodiscover.xml", "", "autodiscover.example.org",
	  "<?xml version=\"1.0\" encoding=\"utf-8\"?><Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006\"><Request>"
	  "<EMailAddress>Jill@Example.org</EMailAddress><AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema></Request></Autodiscover>",
	  WEBWISH_OUTLOOK, 0, "example.org", "Jill@Example.org" },
	{ "entities", WEB_POST, "/autodiscover/autodiscover.xml", "", "x", "<EMailAddress> a&amp;amp;b&apos;s@example.org </EMailAddress>", WEBWISH_OUTLOOK, 0, "example.org", "a&amp;b's@example.org" },
	{ "ActiveSync is not spoken", WEB_POST, "/autodiscover/autodiscover.xml", "", "x", "<EMailAddress>a@example.org</EMailAddress><AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006</AcceptableResponseSchema>", WEBWISH_OUTLOOK, 404, NULL, NULL },
	{ "no address", WEB_POST, "/autodiscover/autodiscover.xml", "", "x", "<Autodiscover/>", WEBWISH_OUTLOOK, 400, NULL, NULL },
	{ "one without an end", WEB_POST, "/autodiscover/autodiscover.xml", "", "x", "<EMailAddress>a@example.org", WEBWISH_OUTLOOK, 400, NULL, NULL },
	{ "one that is none", WEB_POST, "/autodiscover/autodiscover.xml", "", "x", "<EMailAddress>a</EMailAddress>", WEBWISH_OUTLOOK, 404, NULL, NULL },
	{ "bytes that are no text", WEB_POST, "/autodiscover/autodiscover.xml", "", "x", "<EMailAddress>\xff@example.org</EMailAddress>", WEBWISH_OUTLOOK, 404, NULL, NULL },
	{ "rfc8555:8.3", WEB_GET, "/.well-known/acme-challenge/abc", "", "mail.example.org", "", WEBWISH_CHALLENGE, 0, "", NULL },
	{ "nobody posts there", WEB_POST, "/.well-known/acme-challenge/abc", "", "mail.example.org", "", WEBWISH_CHALLENGE, 405, NULL, NULL },
};

static void
test_wishes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct webwish_case *c = &cases[i];
		struct arena             *a = arena_open(NULL);
		struct webrequest         r = { .method = c->method,
			                        .path = bytes_of(c->path),
			                        .query = bytes_of(c->query),
			                        .host = bytes_of(c->host),
			                        .body = bytes_of(c->body) };
		struct webwish             e;

		webwish_of(&r, a, &e);
		HOLDS(c->why, e.kind == c->kind);
		HOLDS(c->why, e.status == c->status);
		if (c->domain != NULL)
			SAME(c->why, e.domain, bytes_of(c->domain));
		if (c->address != NULL)
			SAME(c->why, e.address, bytes_of(c->address));
		if (c->status == 405)
			HOLDS(c->why, *e.allow != '\0');
		arena_close(&a);
	}
}

UNIT(test_wishes)
