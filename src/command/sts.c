#include "command/sts.h"

#include <stdio.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "base/arena.h"
#include "command/talk.h"
#include "smtp/sender/sts.h"

enum { HTTPS = 443, PATIENCE_MS = 15000, HEADER_MOST = 100 };

struct question {
	struct inquiry *inquiry;
	SSL_CTX        *ctx;
	const char     *host;
	struct arena   *a;
	struct report  *report;
};

static bool
is_text(struct bytes field)
{
	struct bytes name;

	return bytes_split(&field, ':', &name) && bytes_equal_nocase(name, BYTES("Content-Type")) &&
	       bytes_search_nocase(field, BYTES("text/plain")) >= 0;
}

/* HTTP/1.0: the content ends with the connection, and comes in no pieces. */
static const char *
read_policy(struct talk *t, struct arena *a, struct buffer *out)
{
	struct bytes line;
	bool         plain = false;

	if (!talk_hear(t, &line) || !bytes_starts(line, BYTES("HTTP/1.")))
		return "the web server says nothing";
	if (!bytes_equal(bytes_cut(line, 9, 3), BYTES("200")))
		return arena_printf(a, "the web server says %.*s", (int)line.len, line.at);
	for (int i = 0; i < HEADER_MOST && talk_hear(t, &line) && line.len > 0; i++)
		plain = plain || is_text(line);
	if (!plain)
		return "the policy is not text/plain";
	while (out->len <= STS_TEXT_MOST && talk_hear(t, &line)) {
		buffer_add(out, line);
		buffer_add_string(out, "\r\n");
	}
	return out->len > STS_TEXT_MOST ? "the policy is longer than 64 KiB" : NULL;
}

static const char *
fetch(const struct question *q, const char *domain, struct buffer *out)
{
	const char  *web = arena_printf(q->a, "mta-sts.%s", domain), *why = NULL;
	struct talk *t = talk_open(web, HTTPS, PATIENCE_MS);
	SSL         *ssl = SSL_new(q->ctx);

	if (ssl != NULL && SSL_set_tlsext_host_name(ssl, web) == 1 && SSL_set1_host(ssl, web) == 1)
		SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	if (talk_over(t) || ssl == NULL) {
		SSL_free(ssl);
		why = arena_printf(q->a, "%s", talk_why(t));
	} else if (!talk_secure(t, ssl) ||
	           !talk_say(t, bytes_of(arena_printf(q->a,
	                                              "GET /.well-known/mta-sts.txt "
	                                              "HTTP/1.0\r\nHost: %s\r\n\r\n",
	                                              web))))
		why = arena_printf(q->a, "%s", talk_why(t));
	else
		why = read_policy(t, q->a, out);
	talk_close(&t);
	return why;
}

static void
tell(const struct question *q, const char *domain, const char *id, const struct sts_policy *p)
{
	static const char *const modes[] = { "none", "testing", "enforce" };
	bool                     named = p->mode != STS_NONE && sts_allows(p, q->host);

	if (p->mode != STS_NONE && !named) {
		report_wrong(q->report, "MTA-STS: the policy of %s (%s) does not name %s", domain,
		             modes[p->mode], q->host);
		return;
	}
	report_line("MTA-STS", "policy of %s, %s, id %s, for %lld days%s%s%s", domain,
	            modes[p->mode], id, (long long)p->age_s / 86400, named ? ": it names " : "",
	            named ? q->host : "", named ? "" : ": it asks for nothing");
}

/* False: the domain has none, and one above it is asked. */
static bool
check_domain(const struct question *q, const char *domain)
{
	const struct answer *got =
		inquiry_ask(q->inquiry, bytes_of(arena_printf(q->a, "_mta-sts.%s", domain)),
	                    DNS_TXT);
	struct buffer     text = { 0 };
	struct sts_policy policy;
	char              id[STS_ID_MOST + 1];
	const char       *why;

	if (!sts_record(got, id))
		return false;
	why = fetch(q, domain, &text);
	if (why != NULL || !sts_read(buffer_bytes(&text), q->a, &policy, &why))
		report_wrong(q->report, "MTA-STS: the policy of %s is not to be had: %s", domain,
		             why);
	else
		tell(q, domain, id, &policy);
	buffer_free(&text);
	return true;
}

void
sts_check(struct inquiry *inquiry, SSL_CTX *ctx, const char *host, const char *domain,
          struct report *r)
{
	struct question q = { inquiry, ctx, host, arena_open(NULL), r };
	const char     *at = domain != NULL ? domain : host;
	bool            found = check_domain(&q, at);

	while (!found && domain == NULL && (at = strchr(at, '.')) != NULL && strchr(++at, '.'))
		found = check_domain(&q, at);
	if (!found)
		report_line("MTA-STS", "no policy");
	arena_close(&q.a);
}
