/*
 * sender-answers -- what the name service says of a delivery's hosts, as smtp_dns_reply_filter leaves it
 */
#include "policy/dnsfilter.h"
#include "role/sender.h"

/* The first table that has the record decides (smtp_dns_reply_filter). */
static enum dnsfilter_found
find_record(void *ctx, struct bytes line, struct arena *a, struct bytes *value)
{
	struct delivery *d = ctx;

	(void)a;
	switch (sender_lookup(d, &d->rows->dns_filter, line, value)) {
	case TABLE_NONE: return DNSFILTER_NONE;
	case TABLE_FOUND: return DNSFILTER_FOUND;
	case TABLE_WAIT: return DNSFILTER_WAIT;
	default: return DNSFILTER_LATER;
	}
}

/* What the filter leaves of it.  A host whose TLSA records it leaves out altogether is none without: that is no answer. */
static void
answer_filter(struct delivery *d, struct asked *a)
{
	struct answer left = a->answer;

	a->done = d->rows->dns_filter.count == 0 ||
	          dnsfilter_apply(d->w.lmtp ? "lmtp_dns_reply_filter" : "smtp_dns_reply_filter",
	                          &a->answer, a->type, find_record, d, d->life, &left);
	if (!a->done)
		return;
	if (a->type == DNS_TLSA && a->answer.records > 0 && left.records == 0)
		left = (struct answer){ .status = ANSWER_LATER, .why = "the reply filter" };
	a->answer = left;
}

bool
delivery_answers_filtered(struct delivery *d)
{
	for (struct asked *a = d->asked; a != NULL; a = a->next)
		if (a->heard && !a->done)
			answer_filter(d, a);
	return d->asking == 0;
}

static void
answered(void *ctx, const struct answer *x)
{
	struct asked    *a = ctx;
	struct delivery *d = a->delivery;

	a->answer = answer_keep(d->life, x);
	a->heard = true;
	d->asking--;
	answer_filter(d, a);
	if (d->asking == 0)
		delivery_heard(d);
}

const struct answer *
delivery_ask(void *ctx, struct bytes name, uint16_t type)
{
	static const struct answer nobody = { .status = ANSWER_LATER, .why = "no resolver is set" };
	struct delivery           *d = ctx;
	struct sender_role        *s = sender_of(d->house);
	struct asked              *a;

	for (a = d->asked; a != NULL; a = a->next)
		if (a->type == type && bytes_equal_nocase(a->name, name))
			return a->done ? &a->answer : NULL;
	if (s->resolver == NULL)
		return &nobody;
	a = arena_take(d->life, sizeof *a);
	*a = (struct asked){ .next = d->asked,
		             .delivery = d,
		             .lookup = { .answered = answered },
		             .name = arena_keep(d->life, name),
		             .type = type };
	a->lookup.ctx = a;
	d->asked = a;
	d->asking++;
	resolver_ask(s->resolver, &a->lookup, a->name, type);
	return NULL;
}
