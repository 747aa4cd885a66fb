/* sender-tlsrpt -- a report about TLS goes where its domain wants it (rfc8460:3, 5): by HTTPS, or as a letter that is tried once an hour
   and asks for no TLS itself */
#include "base/base64.h"
#include "base/clock.h"
#include "message/envelope.h"
#include "role/sender.h"
#include "smtp/sender/rua.h"
#include <stdio.h>
#include <string.h>

struct reporting {
	struct house      *house;
	struct arena      *life;
	uint32_t           ticket, open;
	struct word_tlsrpt w;
	struct lookup      lookup;
	bool               taken, wanted;
	struct errand      end;
};

static void
reporting_end(void *ctx)
{
	struct reporting *r = ctx;
	struct arena     *life = r->life;
	struct link      *l = house_link(r->house, QUEUE, 0);

	lookup_clear(&r->lookup);
	errand_clear(&r->end);
	if (l != NULL) {
		pack_u8(link_begin(l, WORD_TLSRPT_SAID, r->ticket), !r->wanted ? TLSRPT_UNWANTED
		                                                    : r->taken ? TLSRPT_TAKEN
		                                                               : TLSRPT_AGAIN);
		link_end(l);
	}
	arena_close(&life);
}

static void
one_done(struct reporting *r, bool good)
{
	r->taken = r->taken || good;
	if (--r->open == 0)
		errand_set(r->house->loop, &r->end);
}

static void
posted(void *ctx, enum web_trouble t, const char *why, const struct webreply *reply)
{
	struct reporting *r = ctx;
	bool              good = t == WEB_GOOD && reply->code / 100 == 2;

	if (!good)
		warn_("tlsrpt: the report for %s was not taken: %s", r->w.domain,
		      t == WEB_GOOD ? "the web server refuses it" : why);
	one_done(r, good);
}

static void
mailed(void *ctx, const struct sent_recipient *result)
{
	struct reporting *r = ctx;

	if (result->result != SENT_DELIVERED)
		warn_("tlsrpt: the report for %s was not taken: %s", r->w.domain, result->text);
	one_done(r, result->result == SENT_DELIVERED);
}

/* rfc8460:5.3 */
static struct bytes
letter_of(const struct reporting *r, const char *to)
{
	const struct common_settings *common = &sender_of(r->house)->common;
	struct buffer                 b = { 0 }, coded = { 0 };
	struct bytes                  rest, out;
	char                          date[64];

	clock_rfc5322(clock_wall(), date, sizeof date);
	buffer_printf(
		&b,
		"From: %s\r\nTo: %s\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n"
		"Subject: Report Domain: %s Submitter: %s Report-ID: <%s>\r\n"
		"TLS-Report-Domain: %s\r\nTLS-Report-Submitter: %s\r\nTLS-Required: No\r\n"
		"Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
		"Content-Type: multipart/report; report-type=\"tlsrpt\"; boundary=\"%s\"\r\n\r\n"
		"--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
		"How TLS with the hosts of %s came about is in the file that comes along.\r\n\r\n"
		"--%s\r\nContent-Type: application/tlsrpt+gzip\r\n"
		"Content-Disposition: attachment; filename=\"%s\"\r\n"
		"Content-Transfer-Encoding: base64\r\n\r\n",
		r->w.contact, to, date, r->w.id, common->myhostname, r->w.domain,
		common->myhostname, r->w.id, r->w.domain, common->myhostname, r->w.id, r->w.id,
		r->w.domain, r->w.id, r->w.file);
	base64_encode(&coded, r->w.content);
	for (rest = buffer_bytes(&coded); rest.len > 0; rest = bytes_cut(rest, 76, SIZE_MAX)) {
		buffer_add(&b, bytes_cut(rest, 0, 76));
		buffer_add_string(&b, "\r\n");
	}
	buffer_printf(&b, "\r\n--%s--\r\n", r->w.id);
	out = arena_keep(r->life, buffer_bytes(&b));
	buffer_free(&b);
	buffer_free(&coded);
	return out;
}

static void
mail_to(struct reporting *r, const char *to)
{
	struct send_recipient one = { bytes_of(to), { NULL, 0 }, NOTIFY_NEVER };

	delivery_make(r->house,
	              &(struct word_send){ .transport = "smtp",
	                                   .nexthop = strchr(to, '@') + 1,
	                                   .prefix = letter_of(r, to),
	                                   .sender = bytes_of(r->w.contact),
	                                   .flags = ENVELOPE_TLS_OPTIONAL,
	                                   .recipient = &one,
	                                   .recipients = 1 },
	              mailed, r);
}

static void
answered(void *ctx, const struct answer *x)
{
	struct reporting *r = ctx;
	struct rua        rua[RUA_MOST];
	size_t            n = rua_read(x, r->life, rua);

	r->wanted = n > 0 || x->status == ANSWER_LATER;
	r->open = (uint32_t)n + 1;
	for (size_t i = 0; i < n; i++)
		if (rua[i].web)
			sender_web(r->house, rua[i].to,
			           &(struct web_request){ .path = rua[i].path,
			                                  .type = "application/tlsrpt+gzip",
			                                  .content = r->w.content,
			                                  .most = 64 << 10 },
			           posted, r);
		else
			mail_to(r, rua[i].to);
	one_done(r, false);
}

bool
hear_tlsrpt(struct house *h, uint32_t ticket, struct bytes body)
{
	struct sender_role *s = sender_of(h);
	struct arena       *life = arena_open(NULL);
	struct reporting   *r = arena_take(life, sizeof *r);

	*r = (struct reporting){ .house = h, .life = life, .ticket = ticket };
	r->lookup = (struct lookup){ .answered = answered, .ctx = r };
	r->end = (struct errand){ .go = reporting_end, .ctx = r };
	if (!word_unpack_tlsrpt(arena_keep(life, body), life, &r->w)) {
		arena_close(&life);
		return false;
	}
	r->wanted = true;
	if (s->resolver != NULL)
		resolver_ask(s->resolver, &r->lookup,
		             bytes_of(arena_printf(life, "_smtp._tls.%s", r->w.domain)), DNS_TXT);
	else
		errand_set(h->loop, &r->end);
	return true;
}
