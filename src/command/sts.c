#include "command/sts.h"

#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>

#include <openssl/x509v3.h>

#include "base/arena.h"
#include "base/clock.h"
#include "command/talk.h"
#include "smtp/sender/sts.h"
#include "smtp/sender/webreply.h"

enum {
	HTTPS = 443,
	PATIENCE_MS = 15000,
	WHOLE_MS = 30000,
	ADDRESSES_MOST = 8,
	PIECES_MOST = 4000,
	ANY_LENGTH = 1 << 30
};

struct question {
	struct inquiry *inquiry;
	SSL_CTX        *ctx;
	const char     *host;
	struct arena   *a;
	struct report  *report;
};

/* The web server's answer, as it is gathered. */
struct gathered {
	struct arena    *life;
	struct webreply  reply;
	enum web_outcome outcome;
	int64_t          until;
	unsigned         pieces;
	bool             is_long;
};

/* Whoever says a byte at a time has it read anew as often: not for ever. */
static bool
take_answer(void *ctx, struct bytes so_far, bool ended)
{
	struct gathered *g = ctx;

	if (g->outcome != WEB_MORE)
		return false;
	if (++g->pieces > PIECES_MOST || clock_patient_ms() > g->until)
		g->outcome = WEB_BROKEN;
	else
		g->outcome = webreply_read(so_far, ended, STS_TEXT_MOST, g->life, &g->reply);
	g->is_long = g->outcome == WEB_BROKEN &&
	             webreply_read(so_far, ended, ANY_LENGTH, g->life, &g->reply) != WEB_BROKEN;
	return g->outcome == WEB_MORE;
}

static const char *
read_policy(struct talk *t, struct arena *a, struct buffer *out)
{
	struct gathered        g = { .life = a,
		                     .outcome = WEB_MORE,
		                     .until = clock_patient_ms() + WHOLE_MS };
	const struct webreply *r = &g.reply;

	talk_rest(t, take_answer, &g);
	if (g.outcome == WEB_MORE)
		return arena_printf(a, "the web server does not say all of it: %s", talk_why(t));
	if (g.outcome == WEB_BROKEN && g.is_long)
		return "the policy is longer than 64 KiB";
	if (g.outcome == WEB_BROKEN)
		return "what the web server says is no answer of HTTP, or too slow";
	if (r->code / 100 == 3)
		return arena_printf(
			a,
			"the web server leads elsewhere (%u), and nobody may follow (rfc8461:3.3)",
			r->code);
	if (r->code != 200)
		return arena_printf(a, "the web server says HTTP/1.1 %u", r->code);
	if (!bytes_equal_nocase(r->type, BYTES("text/plain")))
		return arena_printf(a, "the policy is not text/plain, but %.*s (rfc8461:3.2)",
		                    (int)r->type.len, r->type.at);
	buffer_add(out, r->content);
	return NULL;
}

/* The first of its addresses that can be reached. */
static struct talk *
reach(struct inquiry *inquiry, const char *web, struct arena *a, const char **why)
{
	static const uint16_t types[] = { DNS_A, DNS_AAAA };
	struct talk          *t = NULL;
	char                  text[INET6_ADDRSTRLEN];

	*why = arena_printf(a, "%s has no address", web);
	for (size_t i = 0; i < COUNT(types); i++) {
		const struct answer *got = inquiry_ask(inquiry, bytes_of(web), types[i]);

		if (got->status == ANSWER_LATER)
			*why = arena_printf(a, "the name service does not tell where %s is: %s",
			                    web, got->why);
		for (size_t k = 0; k < got->records && k < ADDRESSES_MOST; k++) {
			const struct answer_record *r = &got->record[k];

			if (r->data.len != (types[i] == DNS_A ? 4u : 16u) ||
			    inet_ntop(types[i] == DNS_A ? AF_INET : AF_INET6, r->data.at, text,
			              sizeof text) == NULL)
				continue;
			t = talk_open(text, HTTPS, PATIENCE_MS);
			if (!talk_over(t))
				return t;
			*why = arena_printf(a, "%s", talk_why(t));
			talk_close(&t);
		}
	}
	return NULL;
}

const char *
sts_fetch(struct inquiry *inquiry, SSL_CTX *ctx, const char *domain, struct arena *a,
          struct buffer *out)
{
	const char  *web = arena_printf(a, "mta-sts.%s", domain), *why = NULL;
	struct talk *t = reach(inquiry, web, a, &why);
	SSL         *ssl = t != NULL ? SSL_new(ctx) : NULL;

	if (ssl == NULL) {
		talk_close(&t);
		return why;
	}
	if (SSL_set_tlsext_host_name(ssl, web) == 1 && SSL_set1_host(ssl, web) == 1)
		SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	if (!talk_secure(t, ssl) ||
	    !talk_say(t, bytes_of(arena_printf(a,
	                                       "GET /.well-known/mta-sts.txt HTTP/1.1\r\n"
	                                       "Host: %s\r\nUser-Agent: Mansio\r\n"
	                                       "Connection: close\r\n\r\n",
	                                       web))))
		why = arena_printf(a, "%s", talk_why(t));
	else
		why = read_policy(t, a, out);
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
	why = sts_fetch(q->inquiry, q->ctx, domain, q->a, &text);
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
