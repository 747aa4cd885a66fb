/* SPF of a domain as those see it who hear from us (rfc7208) */

#include <stdio.h>
#include <string.h>

#include "command/dns_inner.h"
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

/* The terms of one text, which is the record of `domain`. */
static void
walk_text(struct walk *w, struct bytes text, struct bytes domain, int depth, char *result)
{
	struct spf_term *term = arena_take_array(w->facts->life, SPF_TERMS_MOST, sizeof *term);
	const char      *wrong;
	struct bytes     where = { NULL, 0 };
	size_t           terms;
	bool             has_all = false;

	if (!spf_parse(arena_keep(w->facts->life, text), term, &terms, &wrong, &where)) {
		break_with(w, domain,
		           arena_printf(w->facts->life, "\"%.*s\": %s", (int)where.len, where.at,
		                        wrong));
		return;
	}
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

static void
walk_domain(struct walk *w, struct bytes domain, int depth, char *result)
{
	struct buffer text = { 0 };
	unsigned      count;

	if (depth > DEPTH_MOST || w->lookups > WALK_MOST)
		break_with(w, domain, "the records lead too far");
	else if (!record_find(w, domain, &text, &count))
		break_with(w, domain,
		           count > 1 ? "there are several SPF records" : "there is no SPF record");
	else
		walk_text(w, buffer_bytes(&text), domain, depth, result);
	buffer_free(&text);
}

/*
 * The record that would be right
 */

/* A word that stays, and what it costs. */
struct word {
	struct bytes  text;
	enum spf_kind kind;
	unsigned      lookups, voids;
	bool          flat; /* its networks stand in its place */
};
struct mending {
	struct facts   *facts;
	struct inquiry *ask;
	struct bytes    domain;
	struct word     word[SPF_TERMS_MOST];
	size_t          words;
	char            all;            /* the qualifier of all */
	bool            closed;         /* the record at hand says what is with the others */
	struct buffer   networks, left; /* what takes the place of others; what is left out */
};

static bool
says_word(struct bytes line, struct bytes word)
{
	struct bytes one;

	while (bytes_split(&line, ' ', &one))
		if (bytes_equal_nocase(one, word))
			return true;
	return false;
}

static void
add_word(struct buffer *line, struct bytes word)
{
	if (says_word(buffer_bytes(line), word))
		return;
	if (line->len > 0)
		buffer_add_char(line, ' ');
	buffer_add(line, word);
}

/* What people write for ip4 and ip6. */
static struct bytes
spelled(struct facts *f, struct bytes word)
{
	static const char *const slips[] = { "ipv4:", "ipv6:", "ip:" };
	struct bytes             value;

	for (size_t i = 0; i < COUNT(slips); i++) {
		if (!bytes_starts_nocase(word, bytes_of(slips[i])))
			continue;
		value = bytes_cut(word, strlen(slips[i]), word.len);
		return bytes_of(arena_printf(f->life, "%s:%.*s",
		                             bytes_find(value, ':') < 0 ? "ip4" : "ip6",
		                             (int)value.len, value.at));
	}
	return word;
}

/* The softest says what happens to the others: no letter is refused that was not before; +all is none (rfc7208:5.1). */
static char
softer(char a, char b)
{
	static const char order[] = "-~?";

	if (b == '+')
		b = '~';
	return strchr(order, b) > strchr(order, a) ? b : a;
}

/* One term by itself: what it costs, and whether it can be followed at all. */
static bool
weigh_word(struct mending *m, const struct spf_term *t, struct word *out)
{
	struct walk   w = { .facts = m->facts, .ask = m->ask };
	char          result[ADDRESSES_MOST] = { 0 };
	struct buffer line = { 0 };
	bool          good, own;

	buffer_printf(&line, "v=spf1 %.*s", (int)out->text.len, out->text.at);
	walk_text(&w, buffer_bytes(&line), m->domain, 0, result);
	out->lookups = w.lookups;
	/* What the domain or the host have not yet other findings write. */
	own = t->domain.len == 0 || bytes_equal_nocase(t->domain, bytes_of(m->facts->host));
	out->voids = own ? 0 : w.voids;
	good = w.broken.len == 0 && !(out->voids > 0 && out->kind != SPF_INCLUDE);
	buffer_free(&line);
	buffer_free(&w.names);
	buffer_free(&w.broken);
	return good;
}

static void
take_word(struct mending *m, struct bytes text)
{
	struct spf_term *term = arena_take_array(m->facts->life, SPF_TERMS_MOST, sizeof *term);
	const char      *wrong;
	struct bytes     where;
	size_t           terms = 0;
	struct word      one = { .text = spelled(m->facts, text) };

	if (text.len == 0 || bytes_is(text, "v=spf1"))
		return;
	for (size_t i = 0; i < m->words; i++)
		if (bytes_equal_nocase(m->word[i].text, one.text))
			return;
	text = bytes_of(
		arena_printf(m->facts->life, "v=spf1 %.*s", (int)one.text.len, one.text.at));
	if (!spf_parse(text, term, &terms, &wrong, &where) || terms != 1) {
		add_word(&m->left, one.text);
		return;
	}
	one.kind = term[0].kind;
	if (one.kind == SPF_ALL) {
		m->all = softer(m->all, term[0].qualifier);
		m->closed = true;
		return;
	}
	if (one.kind == SPF_REDIRECT) { /* beside others it is an include that ends in ~all */
		one.kind = SPF_INCLUDE;
		one.text = bytes_of(arena_printf(m->facts->life, "include:%.*s",
		                                 (int)term[0].domain.len, term[0].domain.at));
		m->all = softer(m->all, '~');
	}
	if (spf_asks(one.kind) && !weigh_word(m, &term[0], &one))
		add_word(&m->left, one.text);
	else if (m->words < SPF_TERMS_MOST)
		m->word[m->words++] = one;
}

static void gather(struct mending *, struct bytes text, struct bytes domain, int depth);

static void
add_address(struct mending *m, int family, const char *raw, int bits)
{
	struct record r = { .type = family == AF_INET ? DNS_A : DNS_AAAA,
		            .data = { raw, family == AF_INET ? 4u : 16u } };
	struct buffer word = { 0 };

	buffer_add_string(&word, family == AF_INET ? "ip4:" : "ip6:");
	record_data_text(r.type, r.data, &word);
	if (bits != (family == AF_INET ? 32 : 128))
		buffer_printf(&word, "/%d", bits);
	add_word(&m->networks, buffer_bytes(&word));
	buffer_free(&word);
}

static void
gather_name(struct mending *m, struct bytes name, const struct spf_term *t)
{
	static const uint16_t types[] = { DNS_A, DNS_AAAA };

	for (size_t k = 0; k < COUNT(types); k++) {
		const struct answer *a = inquiry_ask(m->ask, name, types[k]);

		for (size_t i = 0; i < a->records; i++)
			if (a->record[i].data.len == (types[k] == DNS_A ? 4u : 16u))
				add_address(m, types[k] == DNS_A ? AF_INET : AF_INET6,
				            a->record[i].data.at,
				            types[k] == DNS_A ? t->bits4 : t->bits6);
	}
}

/* The networks that a term lets send, as of today. */
static void
gather_term(struct mending *m, const struct spf_term *t, struct bytes domain, int depth)
{
	struct walk          w = { .facts = m->facts, .ask = m->ask };
	struct bytes         name = t->domain.len > 0 ? t->domain : domain;
	const struct answer *mx;
	struct buffer        text = { 0 };
	unsigned             count;

	if ((t->qualifier != '+' && t->kind != SPF_REDIRECT) || t->has_macros || depth > DEPTH_MOST)
		return;
	switch (t->kind) {
	case SPF_IP4:
	case SPF_IP6: add_word(&m->networks, t->text); break;
	case SPF_A: gather_name(m, name, t); break;
	case SPF_MX:
		mx = inquiry_ask(m->ask, name, DNS_MX);
		for (size_t i = 0; i < mx->records && i < MX_MOST; i++)
			gather_name(m, mx->record[i].name, t);
		break;
	case SPF_INCLUDE:
	case SPF_REDIRECT:
		if (record_find(&w, name, &text, &count))
			gather(m, arena_keep(m->facts->life, buffer_bytes(&text)), name, depth + 1);
		buffer_free(&text);
		break;
	case SPF_ALL:
	case SPF_PTR:
	case SPF_EXISTS:
	case SPF_EXP:
	case SPF_UNKNOWN_MODIFIER: break;
	}
}

static void
gather(struct mending *m, struct bytes text, struct bytes domain, int depth)
{
	struct spf_term *term = arena_take_array(m->facts->life, SPF_TERMS_MOST, sizeof *term);
	const char      *wrong;
	struct bytes     where;
	size_t           terms;
	bool             has_all = false;

	if (!spf_parse(text, term, &terms, &wrong, &where))
		return;
	for (size_t i = 0; i < terms; i++)
		has_all = has_all || term[i].kind == SPF_ALL;
	/* rfc7208:6.1  Where all is there nobody goes by redirect, and we did not look how far that leads. */
	for (size_t i = 0; i < terms; i++)
		if (term[i].kind != SPF_REDIRECT || !has_all)
			gather_term(m, &term[i], domain, depth);
}

/* rfc7208:4.6.4  While it takes too many lookups: own names first, for whose networks the administrator answers; then the dearest. */
static struct word *
dearest(struct mending *m)
{
	struct word *best = NULL;
	unsigned     lookups = 0, voids = 0;

	for (size_t i = 0; i < m->words; i++) {
		lookups += m->word[i].lookups;
		voids += m->word[i].voids;
	}
	for (size_t i = 0; i < m->words && (lookups > SPF_LOOKUPS_MOST || voids > SPF_VOID_MOST);
	     i++) {
		struct word *w = &m->word[i];

		if (w->flat || w->lookups == 0 || (lookups <= SPF_LOOKUPS_MOST && w->voids == 0))
			continue;
		if (best == NULL || (w->kind != SPF_INCLUDE && best->kind == SPF_INCLUDE) ||
		    (w->kind == best->kind && w->lookups > best->lookups))
			best = w;
	}
	return best;
}

static void
flatten(struct mending *m)
{
	struct word *w;

	while ((w = dearest(m)) != NULL) {
		gather(m,
		       bytes_of(arena_printf(m->facts->life, "v=spf1 %.*s", (int)w->text.len,
		                             w->text.at)),
		       m->domain, 0);
		w->flat = true;
		w->lookups = w->voids = 0;
	}
}

/* The words as they are now, the networks of `more` first. */
static void
put_together(struct mending *m, struct bytes more, struct buffer *out)
{
	struct bytes networks = buffer_bytes(&m->networks), one;

	buffer_reset(out);
	buffer_add_string(out, "v=spf1");
	while (bytes_split(&more, ' ', &one))
		add_word(out, one);
	for (size_t i = 0; i < m->words; i++)
		if (!m->word[i].flat)
			add_word(out, m->word[i].text);
	while (bytes_split(&networks, ' ', &one))
		if (one.len > 0)
			add_word(out, one);
	buffer_printf(out, " %call", m->all);
}

/* Those of our addresses that may not send yet stand before all others. */
static void
add_ours(struct mending *m, struct buffer *out)
{
	struct walk   w = { .facts = m->facts, .ask = m->ask };
	char          result[ADDRESSES_MOST] = { 0 };
	struct buffer more = { 0 };

	put_together(m, buffer_bytes(&more), out);
	walk_text(&w, buffer_bytes(out), m->domain, 0, result);
	for (size_t i = 0; i < m->facts->froms; i++)
		if (result[i] != '+')
			add_word(&more,
			         bytes_of(arena_printf(m->facts->life, "%s:%s",
			                               m->facts->from[i].family == AF_INET ? "ip4"
			                                                                   : "ip6",
			                               m->facts->from[i].text)));
	put_together(m, buffer_bytes(&more), out);
	buffer_free(&more);
	buffer_free(&w.names);
	buffer_free(&w.broken);
}

/* All that a domain says of SPF in one record that holds: what cannot be followed is left out, what costs too much is
   written as networks, our addresses are among those that may send. */
static void
mend(struct facts *f, struct bytes domain, struct inquiry *ask, struct finding *one)
{
	const struct answer *a = inquiry_ask(ask, domain, DNS_TXT);
	struct mending      *m = arena_take(f->life, sizeof *m);
	struct buffer        text = { 0 }, line = { 0 };

	*m = (struct mending){ .facts = f, .ask = ask, .domain = domain, .all = '-' };
	for (size_t i = 0; i < a->records; i++) {
		struct bytes rest, word;

		buffer_reset(&text);
		if (!answer_strings(&a->record[i], &text) || !spf_is_record(buffer_bytes(&text)))
			continue;
		finding_erase(f, one, a->name, DNS_TXT, &a->record[i]);
		rest = arena_keep(f->life, buffer_bytes(&text));
		m->closed = false;
		while (bytes_split(&rest, ' ', &word))
			take_word(m, word);
		if (!m->closed)
			m->all = softer(m->all, '~');
	}
	flatten(m);
	add_ours(m, &text);
	buffer_printf(&line, "%.*s. %d IN TXT ", (int)domain.len, domain.at, RECORD_TTL);
	record_data_text(DNS_TXT, buffer_bytes(&text), &line);
	finding_write(f, one, arena_copy(f->life, buffer_bytes(&line)));
	if (m->left.len > 0)
		one->act = arena_printf(
			f->life,
			"left out is what cannot be followed: %.*s; if it is a slip of the pen, write what was meant",
			(int)m->left.len, m->left.at);
	else if (m->networks.len > 0)
		one->act =
			"the networks in place of names are those of today: look again when a provider changes them";
	buffer_free(&text);
	buffer_free(&line);
	buffer_free(&m->networks);
	buffer_free(&m->left);
}

static void
judge_addresses(struct walk *w, struct findings *out, const struct record *r, const char *result)
{
	struct facts *f = w->facts;

	for (size_t i = 0; i < f->froms; i++) {
		struct finding *one;

		if (result[i] == '+')
			continue;
		one = finding_new(out, w->has_macros ? FOUND_UNKNOWN : FOUND_WRONG, r->name, "SPF");
		one->says = arena_printf(
			f->life,
			w->has_macros
				? "Whether %s may send cannot be told here: the record has macros."
				: "It does not let %s send, from which our letters leave.",
			f->from[i].text);
	}
}

/* Every text of SPF that is there. */
static const char *
there_of(struct facts *f, struct inquiry *ask, struct bytes domain)
{
	const struct answer *a = inquiry_ask(ask, domain, DNS_TXT);
	struct buffer        all = { 0 }, one = { 0 };
	const char          *kept;

	for (size_t i = 0; i < a->records; i++) {
		buffer_reset(&one);
		if (!answer_strings(&a->record[i], &one) || !spf_is_record(buffer_bytes(&one)))
			continue;
		if (all.len > 0)
			buffer_add_string(&all, ", ");
		answer_text(DNS_TXT, &a->record[i], &all);
	}
	kept = arena_copy(f->life, buffer_bytes(&all));
	buffer_free(&all);
	buffer_free(&one);
	return kept;
}

static struct finding *
say(struct findings *out, enum finding_state state, struct bytes name, const char *says)
{
	struct finding *one = finding_new(out, state, name, "SPF");

	one->says = says;
	return one;
}

/* No record, or several. */
static void
judge_not_one(struct walk *w, struct findings *out, const struct record *r, unsigned count)
{
	struct facts *f = w->facts;

	if (w->later)
		(void)say(out, FOUND_UNKNOWN, r->name, "The name service does not answer.");
	else if (count > 1)
		(void)say(
			out, FOUND_WRONG, r->name,
			arena_printf(
				f->life,
				"There are %u SPF records, and with more than one all are void "
				"(rfc7208:4.5). One that says what all of them say takes their place.",
				count));
	else
		finding_write_record(f, say(out, FOUND_MISSING, r->name, r->why), r);
}

/* The one record there is. */
static void
judge_one(struct walk *w, struct findings *out, const struct record *r)
{
	struct facts *f = w->facts;
	char          result[ADDRESSES_MOST] = { 0 };
	size_t        before = out->count;

	walk_domain(w, r->name, 0, result);
	if (w->broken.len > 0 && !w->later)
		(void)say(out, FOUND_WRONG, r->name,
		          arena_printf(f->life, "The record is void: %.*s.", (int)w->broken.len,
		                       w->broken.at));
	else if (w->lookups > SPF_LOOKUPS_MOST)
		(void)say(out, FOUND_WRONG, r->name,
		          arena_printf(f->life, "It takes %u lookups, and 10 are allowed: %.*s.",
		                       w->lookups, (int)w->names.len, w->names.at));
	else if (w->later)
		(void)say(out, FOUND_UNKNOWN, r->name,
		          "The name service does not answer for all it names.");
	else
		judge_addresses(w, out, r, result);
	if (w->voids > SPF_VOID_MOST && w->broken.len == 0)
		(void)say(
			out, FOUND_WRONG, r->name,
			arena_printf(f->life,
		                     "%u of the names it asks for have nothing, and 2 are allowed.",
		                     w->voids));
	if (w->plus_all)
		(void)say(out, FOUND_WRONG, r->name, "+all lets everybody send in this name.");
	if (out->count == before)
		(void)say(out, FOUND_RIGHT, r->name,
		          arena_printf(f->life, "%s%u of 10 lookups%s%.*s.",
		                       f->froms > 0 ? "Our addresses may send; " : "", w->lookups,
		                       w->names.len > 0 ? ": " : "", (int)w->names.len,
		                       w->names.len > 0 ? w->names.at : ""));
}

void
dns_judge_spf(struct facts *f, const struct record *r, struct inquiry *ask, struct findings *out)
{
	struct walk    w = { .facts = f, .ask = ask };
	struct buffer  text = { 0 };
	struct finding right = { 0 };
	unsigned       count;
	size_t         before = out->count;
	bool           found = record_find(&w, r->name, &text, &count);
	const char    *there = there_of(f, ask, r->name);

	buffer_free(&text);
	if (found)
		judge_one(&w, out, r);
	else
		judge_not_one(&w, out, r, count);
	right.erase = right.write = right.act = "";
	if (!w.later && count > 0 && out->one[before].state != FOUND_RIGHT)
		mend(f, r->name, ask, &right);
	for (size_t i = before; i < out->count; i++) {
		struct finding *one = &out->one[i];

		one->there = there;
		if (*right.write != '\0') {
			one->erase = right.erase;
			one->write = right.write;
			one->act = right.act;
		}
	}
	buffer_free(&w.names);
	buffer_free(&w.broken);
}
