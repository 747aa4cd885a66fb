/* SPF of a domain as those see it who hear from us (rfc7208) */

#include <stdio.h>
#include <string.h>

#include "command/dns.h"
#include "command/inquiry.h"
#include "identity/spf-record.h"

enum { DEPTH_MOST = 10, WALK_MOST = 40, MX_MOST = 10 };

/* What all lookups together found: every one is made, so that the count is that of the worst case. */
struct walk {
	struct facts   *facts;
	struct inquiry *ask;
	struct buffer   names; /* who was asked for, with the term that asks */
	unsigned        lookups, voids;
	bool            later, has_macros, plus_all;
	struct buffer   broken; /* what is wrong, "" nothing              */
};

static void
break_with(struct walk *w, struct bytes domain, const char *what)
{
	if (w->broken.len == 0)
		buffer_printf(&w->broken, "%.*s: %s", (int)domain.len, domain.at, what);
}

static const struct answer *
look(struct walk *w, struct bytes name, uint16_t type)
{
	const struct answer *a = inquiry_ask(w->ask, name, type);

	w->later = w->later || a->status == ANSWER_LATER;
	return a;
}

static void
count_lookup(struct walk *w, const struct spf_term *t, struct bytes domain)
{
	w->lookups++;
	buffer_printf(&w->names, "%s%.*s (%.*s)", w->names.len > 0 ? ", " : "",
	              (int)(t->domain.len > 0 ? t->domain.len : domain.len),
	              t->domain.len > 0 ? t->domain.at : domain.at,
	              (int)(t->text.len < 20 ? t->text.len : 20), t->text.at);
}

/* Whether one of the addresses of a name is in the network of ours that wide. */
static bool
name_holds(struct walk *w, struct bytes name, const struct peer *p, const struct spf_term *t)
{
	const struct answer *a = look(w, name, p->family == AF_INET ? DNS_A : DNS_AAAA);

	for (size_t i = 0; i < a->records; i++) {
		struct network n = { .family = p->family,
			             .bits = p->family == AF_INET ? t->bits4 : t->bits6 };

		if (a->record[i].data.len <= sizeof n.raw)
			memcpy(n.raw, a->record[i].data.at, a->record[i].data.len);
		if (network_holds(&n, p))
			return true;
	}
	return false;
}

static bool
exchangers_hold(struct walk *w, struct bytes name, const struct peer *p, const struct spf_term *t)
{
	const struct answer *a = look(w, name, DNS_MX);
	bool                 holds = false;

	for (size_t i = 0; i < a->records && i < MX_MOST; i++)
		holds = name_holds(w, a->record[i].name, p, t) || holds;
	return holds;
}

/* rfc7208:4.6.4  A name that has nothing. */
static void
count_void(struct walk *w, const struct answer *a)
{
	w->voids += a->status == ANSWER_NO_NAME || a->status == ANSWER_NO_RECORD;
}

static void walk_domain(struct walk *, struct bytes domain, int depth, char *result);

/* The first term that fits an address decides; `result` has a sign for each of ours, 0 until then. */
static void
walk_term(struct walk *w, const struct spf_term *t, struct bytes domain, int depth, char *result)
{
	struct bytes  name = t->domain.len > 0 ? t->domain : domain;
	struct facts *f = w->facts;
	char          inside[ADDRESSES_MOST] = { 0 };
	bool          asks = spf_asks(t->kind) && !t->has_macros;

	if (bytes_ends_nocase(name, BYTES(".")))
		name.len--;
	w->has_macros = w->has_macros || (t->has_macros && t->kind != SPF_EXP);
	if (spf_asks(t->kind))
		count_lookup(w, t, domain);
	if (t->kind == SPF_INCLUDE && asks)
		walk_domain(w, name, depth + 1, inside);
	if ((t->kind == SPF_A || t->kind == SPF_EXISTS) && asks)
		count_void(w, look(w, name, DNS_A));
	if (t->kind == SPF_MX && asks) {
		const struct answer *a = look(w, name, DNS_MX);
		count_void(w, a);
		if (a->records > MX_MOST)
			break_with(w, domain, "mx leads to more than 10 hosts");
	}
	for (size_t i = 0; i < f->froms; i++) {
		const struct peer *p = &f->from[i];
		bool               fits = false;

		switch (t->kind) {
		case SPF_ALL: fits = true; break;
		case SPF_IP4:
		case SPF_IP6: fits = network_holds(&t->network, p); break;
		case SPF_INCLUDE: fits = inside[i] == '+'; break;
		case SPF_A: fits = asks && name_holds(w, name, p, t); break;
		case SPF_MX: fits = asks && exchangers_hold(w, name, p, t); break;
		case SPF_EXISTS: fits = asks && look(w, name, DNS_A)->records > 0; break;
		case SPF_PTR:
		case SPF_REDIRECT:
		case SPF_EXP:
		case SPF_UNKNOWN_MODIFIER: break;
		}
		if (fits && result[i] == '\0')
			result[i] = t->qualifier;
	}
}

/* The record of a domain; its text in *text. False: there is none, or several. */
static bool
record_find(struct walk *w, struct bytes domain, struct buffer *text, unsigned *count)
{
	const struct answer *a = look(w, domain, DNS_TXT);
	struct buffer        one = { 0 };

	*count = 0;
	for (size_t i = 0; i < a->records; i++) {
		buffer_reset(&one);
		if (!answer_strings(&a->record[i], &one) || !spf_is_record(buffer_bytes(&one)))
			continue;
		if ((*count)++ == 0)
			buffer_add(text, buffer_bytes(&one));
	}
	buffer_free(&one);
	return *count == 1;
}

static void
walk_domain(struct walk *w, struct bytes domain, int depth, char *result)
{
	struct buffer    text = { 0 };
	struct spf_term *term;
	const char      *wrong;
	struct bytes     where = { NULL, 0 };
	size_t           terms;
	unsigned         count;
	bool             has_all = false;

	if (depth > DEPTH_MOST || w->lookups > WALK_MOST)
		break_with(w, domain, "the records lead too far");
	else if (!record_find(w, domain, &text, &count))
		break_with(w, domain,
		           count > 1 ? "there are several SPF records" : "there is no SPF record");
	else {
		term = arena_take_array(w->facts->life, SPF_TERMS_MOST, sizeof *term);
		if (!spf_parse(arena_keep(w->facts->life, buffer_bytes(&text)), term, &terms,
		               &wrong, &where))
			break_with(w, domain,
			           arena_printf(w->facts->life, "\"%.*s\": %s", (int)where.len,
			                        where.at, wrong));
		else
			for (size_t i = 0; i < terms; i++) {
				has_all = has_all || term[i].kind == SPF_ALL;
				if (term[i].kind != SPF_REDIRECT)
					walk_term(w, &term[i], domain, depth, result);
				if (term[i].kind == SPF_ALL && term[i].qualifier == '+')
					w->plus_all = true;
			}
		/* rfc7208:6.1  Where nothing fits, and nothing is said of the rest. */
		for (size_t i = 0; w->broken.len == 0 && !has_all && i < terms; i++)
			if (term[i].kind == SPF_REDIRECT) {
				walk_term(w, &term[i], domain, depth, result);
				if (!term[i].has_macros)
					walk_domain(w, term[i].domain, depth + 1, result);
			}
	}
	buffer_free(&text);
}

static void
judge_addresses(struct walk *w, struct findings *out, const struct record *r, const char *there,
                const char *result)
{
	struct facts *f = w->facts;

	for (size_t i = 0; i < f->froms; i++) {
		struct finding *one;

		if (result[i] == '+')
			continue;
		one = finding_new(out, w->has_macros ? FOUND_UNKNOWN : FOUND_WRONG, r->name, "SPF");
		one->there = there;
		one->says = arena_printf(
			f->life,
			w->has_macros
				? "Whether %s may send cannot be told here: the record has macros."
				: "It does not let %s send, from which our letters leave.",
			f->from[i].text);
		one->write =
			arena_printf(f->life, "add %s:%s, or mx, before the term that ends in all",
		                     f->from[i].family == AF_INET ? "ip4" : "ip6", f->from[i].text);
	}
}

void
dns_judge_spf(struct facts *f, const struct record *r, struct inquiry *ask, struct findings *out)
{
	struct walk     w = { .facts = f, .ask = ask };
	struct buffer   text = { 0 };
	char            result[ADDRESSES_MOST] = { 0 };
	struct finding *one;
	unsigned        count;
	size_t          before = out->count;
	const char     *there;
	bool            found = record_find(&w, r->name, &text, &count);

	there = arena_copy(f->life, buffer_bytes(&text));
	buffer_free(&text);
	if (!found) {
		one = finding_new(out,
		                  w.later     ? FOUND_UNKNOWN
		                  : count > 1 ? FOUND_WRONG
		                              : FOUND_MISSING,
		                  r->name, "SPF");
		one->there = there;
		one->says =
			w.later ? "The name service does not answer."
			: count > 1
				? arena_printf(
					  f->life,
					  "There are %u SPF records, and with more than one all are void.",
					  count)
				: r->why;
		one->write = w.later ? "" : record_line(f, r);
		return;
	}
	walk_domain(&w, r->name, 0, result);
	if (w.broken.len > 0 && !w.later) {
		one = finding_new(out, FOUND_WRONG, r->name, "SPF");
		one->says = arena_printf(f->life, "The record is void: %.*s.", (int)w.broken.len,
		                         w.broken.at);
		one->write = record_line(f, r);
	} else if (w.lookups > SPF_LOOKUPS_MOST) {
		one = finding_new(out, FOUND_WRONG, r->name, "SPF");
		one->says = arena_printf(f->life, "It takes %u lookups, and 10 are allowed: %.*s.",
		                         w.lookups, (int)w.names.len, w.names.at);
		one->write = "write networks (ip4:, ip6:) in place of some of them";
	} else if (w.later) {
		one = finding_new(out, FOUND_UNKNOWN, r->name, "SPF");
		one->says = "The name service does not answer for all it names.";
	} else
		judge_addresses(&w, out, r, there, result);
	if (w.voids > SPF_VOID_MOST && w.broken.len == 0) {
		one = finding_new(out, FOUND_WRONG, r->name, "SPF");
		one->says =
			arena_printf(f->life,
		                     "%u of the names it asks for have nothing, and 2 are allowed.",
		                     w.voids);
	}
	if (w.plus_all) {
		one = finding_new(out, FOUND_WRONG, r->name, "SPF");
		one->says = "+all lets everybody send in this name.";
		one->write = "~all or -all at the end";
	}
	if (out->count == before) {
		one = finding_new(out, FOUND_RIGHT, r->name, "SPF");
		one->says = arena_printf(f->life, "%s%u of 10 lookups%s%.*s.",
		                         f->froms > 0 ? "Our addresses may send; " : "", w.lookups,
		                         w.names.len > 0 ? ": " : "", (int)w.names.len,
		                         w.names.len > 0 ? w.names.at : "");
	}
	for (size_t i = before; i < out->count; i++)
		out->one[i].there = there;
	buffer_free(&w.names);
	buffer_free(&w.broken);
}
