/* sender-tlsrpt -- a report about TLS goes where its domain wants it (rfc8460:3, 5): by HTTPS from here; who wants it by mail the queue is told.
   A domain may name whom it likes, also one of another domain: rfc8460:3 asks nobody else. */
#include "role/sender.h"
#include "smtp/sender/rua.h"

_Static_assert((int)RUA_MOST <= (int)TLSRPT_MAIL_MOST, "room for all of them");

struct reporting {
	struct house           *house;
	struct arena           *life;
	uint32_t                ticket, open;
	struct word_tlsrpt      w;
	struct lookup           lookup;
	bool                    taken, wanted;
	struct word_tlsrpt_said said;
	struct errand           end;
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
		r->said.fate = !r->wanted                      ? TLSRPT_UNWANTED
		               : r->taken || r->said.mails > 0 ? TLSRPT_TAKEN
		                                               : TLSRPT_AGAIN;
		word_pack_tlsrpt_said(link_begin(l, WORD_TLSRPT_SAID, r->ticket), &r->said);
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
answered(void *ctx, const struct answer *x)
{
	struct reporting *r = ctx;
	struct rua        rua[RUA_MOST];
	size_t            n = rua_read(x, r->life, rua);

	r->wanted = n > 0 || x->status == ANSWER_LATER;
	r->open = 1;
	for (size_t i = 0; i < n; i++)
		if (rua[i].web) {
			r->open++;
			sender_web(r->house, rua[i].to,
			           &(struct web_request){ .path = rua[i].path,
			                                  .type = "application/tlsrpt+gzip",
			                                  .content = r->w.content,
			                                  .most = 64 << 10 },
			           posted, r);
		} else {
			r->said.mail[r->said.mails++] = rua[i].to;
		}
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
