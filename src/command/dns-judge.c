#include <stdio.h>
#include <string.h>

#include "command/dns_inner.h"
#include "command/inquiry.h"
#include "dns/hostname.h"
#include "role/wire.h"

enum { TTL_MOST = 43200 };

/* Advice alone: what stands there is right, and stays for too long. */
static void
judge_ttl(struct judging *j, const struct answer *a, struct bytes name, uint16_t type)
{
	struct finding *one = NULL;

	for (size_t i = 0; i < a->records; i++) {
		struct buffer line = { 0 };

		if (a->record[i].ttl <= TTL_MOST)
			continue;
		if (one == NULL)
			one = judge_say(
				j, FOUND_ADVICE, name, record_type_name(type),
				"Its TTL is %u seconds: a change takes as long to be seen. 3600 is good.",
				a->record[i].ttl);
		finding_erase(j->facts, one, a->name, type, &a->record[i]);
		buffer_printf(&line, "%.*s. %d IN %s ", (int)a->name.len, a->name.at, RECORD_TTL,
		              record_type_name(type));
		answer_text(type, &a->record[i], &line);
		finding_write(j->facts, one, arena_copy(j->facts->life, buffer_bytes(&line)));
		buffer_free(&line);
	}
}

/*
 * MX
 */

static bool
is_ours(struct judging *j, const struct answer *a)
{
	struct facts *f = j->facts;

	for (size_t i = 0; i < a->records; i++)
		for (size_t k = 0; k < f->addresses; k++) {
			size_t n = f->address[k].family == AF_INET ? 4 : 16;
			if (a->record[i].data.len == n &&
			    memcmp(a->record[i].data.at, f->address[k].raw, n) == 0)
				return true;
		}
	return false;
}

/* What a host is that MX names. */
enum exchanger {
	MX_HOST,      /* the name we greet with           */
	MX_ELSEWHERE, /* somebody else's                  */
	MX_UNKNOWN,   /* nobody answers for it            */
	MX_OURS,      /* an address of ours, another name */
	MX_NOBODY,    /* "." beside others                */
	MX_LITERAL,   /* an address in place of a name    */
	MX_ALIAS,     /* a CNAME                          */
	MX_NOWHERE,   /* a name without an address        */
};

static enum exchanger
exchanger_of(struct judging *j, struct bytes host, bool *ours)
{
	const struct answer *v4, *v6;
	struct peer          literal;

	if (bytes_equal_nocase(host, bytes_of(j->facts->host))) {
		*ours = true;
		return MX_HOST;
	}
	if (bytes_equal(host, BYTES(".")))
		return MX_NOBODY;
	if (peer_parse(host, &literal))
		return MX_LITERAL;
	v4 = judge_look(j, host, DNS_A);
	v6 = judge_look(j, host, DNS_AAAA);
	*ours = is_ours(j, v4) || is_ours(j, v6);
	if (judge_look(j, host, DNS_CNAME)->status == ANSWER_FOUND)
		return MX_ALIAS;
	if (*ours)
		return MX_OURS;
	if (v4->records + v6->records > 0)
		return MX_ELSEWHERE;
	return v4->status == ANSWER_LATER || v6->status == ANSWER_LATER ? MX_UNKNOWN : MX_NOWHERE;
}

/* One of several that cannot take mail, or not as it should: it goes, and ours comes unless it is there. */
static struct finding *
judge_exchanger(struct judging *j, const struct answer *a, const struct answer_record *mx,
                enum exchanger kind, bool named)
{
	static const struct {
		enum finding_state state;
		const char        *says;
	} rows[] = {
		[MX_OURS] = { FOUND_ADVICE, "is this server under another name than it greets with "
		                            "and its certificate is for" },
		[MX_NOBODY] = { FOUND_WRONG, "says that the domain takes no mail, and may not "
		                             "stand beside other hosts (rfc7505:3)" },
		[MX_LITERAL] = { FOUND_WRONG,
		                 "is an address, and MX takes the name of a host (rfc5321:5.1)" },
		[MX_ALIAS] = { FOUND_WRONG,
		               "is an alias (CNAME), which MX may not name (rfc2181:10.3)" },
		[MX_NOWHERE] = { FOUND_WRONG, "has no address: no mail gets there" },
	};
	struct finding *one;

	if ((size_t)kind >= COUNT(rows) || rows[kind].says == NULL)
		return NULL;
	one = judge_say(j, rows[kind].state, bytes_of(j->facts->domain), "MX", "%.*s %s.",
	                (int)mx->name.len, mx->name.at, rows[kind].says);
	finding_erase(j->facts, one, a->name, DNS_MX, mx);
	if (!named)
		finding_write_record(j->facts, one, &j->all->one[0]);
	return one;
}

/* Another's host under the name it has itself. */
static void
unalias(struct judging *j, struct finding *one, const struct answer_record *mx)
{
	const struct answer *alias = judge_look(j, mx->name, DNS_CNAME);

	if (alias->records > 0)
		finding_write(j->facts, one,
		              arena_printf(j->facts->life, "%s. %d IN MX %u %.*s.",
		                           j->facts->domain, RECORD_TTL, mx->preference,
		                           (int)alias->record[0].name.len,
		                           alias->record[0].name.at));
}

static void
judge_order(struct judging *j, const struct answer *a, const struct answer_record *other,
            unsigned own)
{
	struct finding *one = judge_say(
		j, FOUND_ADVICE, bytes_of(j->facts->domain), "MX",
		"%.*s is another host, with preference %u: %s. Unless you mean it, delete it.",
		(int)other->name.len, other->name.at, other->preference,
		other->preference < own ? "mail comes to it first, and here only while it is away"
		: other->preference == own
			? "half of the mail comes to it"
			: "mail comes to it while we are away, so it must know our recipients");

	finding_erase(j->facts, one, a->name, DNS_MX, other);
}

static void
judge_exchangers(struct judging *j, const struct answer *a)
{
	const struct record *want = &j->all->one[0];
	enum exchanger      *kind = arena_take_array(j->facts->life, a->records, sizeof *kind);
	bool                *ours = arena_take_array(j->facts->life, a->records, sizeof *ours);
	bool                 named = false, any = false;
	unsigned             own = 0;
	struct finding      *one;

	for (size_t i = 0; i < a->records; i++) {
		ours[i] = false;
		kind[i] = exchanger_of(j, a->record[i].name, &ours[i]);
		if (kind[i] == MX_HOST)
			own = named ? own : a->record[i].preference;
		named = named || kind[i] == MX_HOST;
		any = any || ours[i];
	}
	for (size_t i = 0; i < a->records; i++) {
		one = judge_exchanger(j, a, &a->record[i], kind[i], named);
		if (kind[i] == MX_ALIAS && any && !ours[i])
			unalias(j, one, &a->record[i]);
	}
	if (!any) {
		one = judge_say(j, FOUND_WRONG, want->name, "MX",
		                "Mail for the domain does not come to %s.", j->facts->host);
		judge_replace(j, one, a, want);
	} else if (named)
		(void)judge_say(j, FOUND_RIGHT, want->name, "MX", "Mail comes to %s.",
		                j->facts->host);
	for (size_t i = 0; named && i < a->records; i++)
		if (kind[i] == MX_ELSEWHERE || kind[i] == MX_UNKNOWN)
			judge_order(j, a, &a->record[i], own);
}

/* rfc5321:5.1  Without MX mail comes to the addresses of the domain, whoever has them. */
static void
judge_no_exchanger(struct judging *j, const struct record *want)
{
	const struct answer *v4 = judge_look(j, want->name, DNS_A),
			    *v6 = judge_look(j, want->name, DNS_AAAA);
	struct finding *one = judge_say(j, FOUND_MISSING, want->name, "MX", "%s", want->why);

	if (v4->records + v6->records > 0) {
		one->says =
			"There is no MX, so mail comes to the addresses of the domain itself (rfc5321:5.1).";
		one->there =
			v4->records > 0 ? judge_there(j, v4, DNS_A) : judge_there(j, v6, DNS_AAAA);
	}
	finding_write_record(j->facts, one, want);
}

static void
judge_mx(struct judging *j)
{
	const struct record *want = &j->all->one[0];
	const struct answer *a = judge_look(j, want->name, DNS_MX);
	size_t               before = j->out->count;
	struct finding      *one;

	if (judge_alias(j, want->name,
	                "The domain is an alias, and beside an alias no MX and no SPF may stand "
	                "(rfc1034:3.6.2): mail goes where its target's does."))
		return;
	if (judge_unanswered(j, a, want->name, "MX"))
		return;
	if (a->status == ANSWER_NO_NAME)
		judge_say(
			j, FOUND_WRONG, want->name, "domain",
			"There is no such domain: is it registered, and do its name servers know it?")
			->act = arena_printf(
			j->facts->life,
			"register the domain, give the registrar the names of your name servers, and load the zone "
			"that mansio dns show %s prints there",
			j->facts->domain);
	if (a->records == 0) {
		judge_no_exchanger(j, want);
		return;
	}
	if (a->records == 1 && bytes_equal(a->record[0].name, BYTES("."))) {
		one = judge_say(j, FOUND_WRONG, want->name, "MX",
		                "It says that the domain takes no mail (rfc7505).");
		judge_replace(j, one, a, want);
	} else
		judge_exchangers(j, a);
	judge_ttl(j, a, want->name, DNS_MX);
	for (size_t i = before; i < j->out->count; i++)
		j->out->one[i].there = judge_there(j, a, DNS_MX);
}

/*
 * The host and its addresses
 */

static bool
is_from(const struct facts *f, uint16_t type, const struct answer_record *a)
{
	for (size_t i = 0; i < f->froms; i++)
		if (f->from[i].family == (type == DNS_A ? AF_INET : AF_INET6) &&
		    a->data.len == (type == DNS_A ? 4u : 16u) &&
		    memcmp(a->data.at, f->from[i].raw, a->data.len) == 0)
			return true;
	return false;
}

/* One address that the host must have. */
static void
judge_address(struct judging *j, const struct answer *a, const struct record *r)
{
	const char     *name = record_type_name(r->type);
	struct finding *one;

	for (size_t k = 0; k < a->records; k++)
		if (record_same(r, &a->record[k])) {
			(void)judge_say(j, FOUND_RIGHT, r->name, name, "%s", r->why);
			return;
		}
	one = judge_say(j, a->records > 0 ? FOUND_WRONG : FOUND_MISSING, r->name, name, "%s",
	                a->records > 0 ? "This address of ours is not among those." : r->why);
	one->there = judge_there(j, a, r->type);
	finding_write_record(j->facts, one, r);
}

static void
judge_family(struct judging *j, uint16_t type)
{
	struct facts        *f = j->facts;
	struct bytes         host = bytes_of(f->host);
	const struct answer *a = judge_look(j, host, type);
	const char          *name = record_type_name(type);
	bool                 wanted = false;
	struct finding      *one;

	if (judge_unanswered(j, a, host, name))
		return;
	for (size_t i = 0; i < j->all->count; i++) {
		const struct record *r = &j->all->one[i];

		if (r->type != type || !bytes_equal(r->name, host))
			continue;
		wanted = true;
		judge_address(j, a, r);
	}
	for (size_t k = 0; k < a->records && f->addresses > 0; k++) {
		struct buffer text = { 0 };

		answer_text(type, &a->record[k], &text);
		if (!is_from(f, type, &a->record[k])) {
			one = judge_say(j, FOUND_WRONG, host, name,
			                "%.*s is no address of this server.", (int)text.len,
			                text.at);
			one->there = judge_there(j, a, type);
			finding_erase(f, one, a->name, type, &a->record[k]);
			one->act =
				"if it is one after all, leave the record and name the address in proxy_interfaces";
		}
		buffer_free(&text);
	}
	if (f->addresses == 0 && a->records > 0) {
		one = judge_say(
			j, FOUND_ADVICE, host, name,
			"Whether this is our address is not known: set proxy_interfaces, or say --address.");
		one->there = judge_there(j, a, type);
	}
	if (wanted)
		judge_ttl(j, a, host, type);
}

static void
judge_host(struct judging *j)
{
	struct bytes         host = bytes_of(j->facts->host);
	const struct answer *v4 = judge_look(j, host, DNS_A), *v6 = judge_look(j, host, DNS_AAAA);

	if (bytes_equal_nocase(host, bytes_of(j->facts->domain)) &&
	    judge_look(j, host, DNS_CNAME)->status == ANSWER_FOUND)
		return; /* said of the domain */
	if (judge_alias(j, host,
	                "The host is an alias, which MX may not name (rfc2181:10.3): give it "
	                "addresses of its own."))
		return;
	judge_family(j, DNS_A);
	judge_family(j, DNS_AAAA);
	if (j->facts->addresses == 0 && v4->records == 0 && v6->records == 0 &&
	    v4->status != ANSWER_LATER && v6->status != ANSWER_LATER) {
		struct finding *one =
			judge_say(j, FOUND_MISSING, host, "A", "The host has no address.");

		finding_write(j->facts, one,
		              arena_printf(j->facts->life, "%s. 3600 IN A ADDRESS",
		                           j->facts->host));
		one->act =
			"ADDRESS is the one the world sees: proxy_interfaces = ADDRESS in main.cf, or --address, says it";
	}
}

/*
 * The names of addresses
 */

static bool
leads_back(struct judging *j, struct bytes name, const struct peer *p)
{
	const struct answer *back = judge_look(j, name, p->family == AF_INET ? DNS_A : DNS_AAAA);
	size_t               n = p->family == AF_INET ? 4 : 16;

	for (size_t k = 0; k < back->records; k++)
		if (back->record[k].data.len == n &&
		    memcmp(back->record[k].data.at, p->raw, n) == 0)
			return true;
	return false;
}

/* Who owns the address owns its name: nobody else can write it (rfc1912:2.1). */
static void
ask_provider(struct judging *j, struct finding *one, const struct answer *a, const struct record *r,
             const struct peer *p)
{
	struct record owned = *r;

	if (a->name.len > 0)
		owned.name = a->name; /* rfc2317: a part of the zone may be somebody else's */
	finding_erase_all(j->facts, one, DNS_PTR, a);
	finding_write_record(j->facts, one, &owned);
	one->act = arena_printf(
		j->facts->life,
		"this is not in your zone: the provider of %s sets it; in its console, or by a letter to it, "
		"ask that the reverse name (PTR, rDNS) of %s be exactly %s",
		p->text, p->text, j->facts->host);
}

/* The name is ours, and does not lead back: the fault is in the host's addresses, which a bound one is not among. */
static void
blame_host(struct judging *j, struct finding *one, const struct peer *p)
{
	struct record r = { .name = bytes_of(j->facts->host),
		            .type = p->family == AF_INET ? DNS_A : DNS_AAAA,
		            .ttl = RECORD_TTL,
		            .data = { (const char *)p->raw, p->family == AF_INET ? 4u : 16u } };

	one->says = arena_printf(j->facts->life,
	                         "%s has our name, as it should: the name %s does not lead back to "
	                         "it. The record to mend is %s of %s, and this one stays.",
	                         p->text, j->facts->host, record_type_name(r.type), j->facts->host);
	finding_write_record(j->facts, one, &r);
}

/* R94: the address has a name, and that name has the address. */
static void
judge_pointer(struct judging *j, const struct record *r, const struct peer *p)
{
	const struct answer *a = judge_look(j, r->name, DNS_PTR);
	bool                 back = false, same = false, same_back = false;
	struct finding      *one;

	if (judge_unanswered(j, a, r->name, "PTR"))
		return;
	for (size_t i = 0; i < a->records && i < 10; i++) {
		bool is_same = record_same(r, &a->record[i]);
		bool leads = leads_back(j, a->record[i].name, p);

		back = back || leads;
		same = same || is_same;
		same_back = same_back || (is_same && leads);
	}
	if (same_back)
		one = judge_say(j, FOUND_RIGHT, r->name, "PTR",
		                "%s has our name, which leads back.", p->text);
	else if (same) {
		one = judge_say(j, FOUND_WRONG, r->name, "PTR", "%s", "");
		blame_host(j, one, p);
	} else {
		if (a->records == 0)
			one = judge_say(j, FOUND_MISSING, r->name, "PTR", "%s has no name. %s",
			                p->text, r->why);
		else if (!back)
			one = judge_say(j, FOUND_WRONG, r->name, "PTR",
			                "The name of %s does not lead back to it. %s", p->text,
			                r->why);
		else
			one = judge_say(
				j, FOUND_ADVICE, r->name, "PTR",
				"%s has a name that leads back, but we greet with %s: the same is better.",
				p->text, j->facts->host);
		ask_provider(j, one, a, r, p);
	}
	one->there = judge_there(j, a, DNS_PTR);
}

static void
judge_pointers(struct judging *j)
{
	size_t n = 0;

	for (size_t i = 0; i < j->all->count; i++)
		if (j->all->one[i].type == DNS_PTR && n < j->facts->froms)
			judge_pointer(j, &j->all->one[i], &j->facts->from[n++]);
}

static void
judge_service(struct judging *j, const struct record *r)
{
	const struct answer *a = judge_look(j, r->name, DNS_SRV);
	bool                 same = false;
	struct finding      *one;

	if (judge_unanswered(j, a, r->name, "SRV"))
		return;
	for (size_t i = 0; i < a->records; i++)
		same = same || record_same(r, &a->record[i]);
	one = same ? judge_say(j, FOUND_RIGHT, r->name, "SRV", "%s", r->why)
	      : a->records > 0
	              ? judge_say(j, FOUND_WRONG, r->name, "SRV", "It leads elsewhere. %s", r->why)
	              : judge_say(j, judge_missing(r), r->name, "SRV", "%s", r->why);
	one->there = judge_there(j, a, DNS_SRV);
	if (!same)
		judge_replace(j, one, a, r);
}

/* A name where mail programs ask: an alias of the host, or its addresses; another web server may have the same to tell. */
static void
judge_guide(struct judging *j, const struct record *r)
{
	const struct answer  *alias = judge_look(j, r->name, DNS_CNAME), *a;
	const struct answer  *address[] = { judge_look(j, r->name, DNS_A),
		                            judge_look(j, r->name, DNS_AAAA) };
	static const uint16_t types[] = { DNS_A, DNS_AAAA };
	bool                  same = false, other = false;
	struct finding       *one;

	if (judge_unanswered(j, alias, r->name, "CNAME"))
		return;
	for (size_t i = 0; i < alias->records; i++)
		same = same || record_same(r, &alias->record[i]);
	for (size_t t = 0; t < COUNT(types) && !same; t++)
		for (size_t i = 0; i < address[t]->records; i++) {
			other = true;
			same = same || is_from(j->facts, types[t], &address[t]->record[i]);
		}
	a = alias->records > 0 ? alias : address[0]->records > 0 ? address[0] : address[1];
	one = same    ? judge_say(j, FOUND_RIGHT, r->name, "CNAME", "%s", r->why)
	      : other ? judge_say(
				j, FOUND_ADVICE, r->name, "CNAME",
				"It leads elsewhere: the web server there must tell what mansio domain client-settings --xml %s prints, or mail programs find nothing.",
				j->facts->domain)
	              : judge_say(j, judge_missing(r), r->name, "CNAME", "%s", r->why);
	one->there = judge_there(j, a, a == alias ? DNS_CNAME : a == address[0] ? DNS_A : DNS_AAAA);
	if (!same && !other)
		finding_write_record(j->facts, one, r);
}

/*
 * The zones, and whether the domain is ours
 */

static void
judge_signed(struct judging *j)
{
	struct bytes         domain = bytes_of(j->facts->domain), host = bytes_of(j->facts->host);
	const struct answer *a = judge_look(j, domain, DNS_MX), *h = judge_look(j, host, DNS_A);
	bool                 good = a->trust == ANSWER_SECURE && a->status != ANSWER_LATER;

	if (h->records == 0)
		h = judge_look(j, host, DNS_AAAA);
	j->secure = h->trust == ANSWER_SECURE && h->status != ANSWER_LATER;
	if (a->status == ANSWER_LATER)
		return; /* said with MX */
	judge_say(j, good ? FOUND_RIGHT : FOUND_ADVICE, domain, "DNSSEC", "%s",
	          good ? "The zone is signed, and the signatures are good."
	               : "The zone is not signed: whoever lies about its records is believed.")
		->act =
		good ? ""
		     : "sign the zone, and give the registrar its DS record; where the registrar has the zone, turn DNSSEC on there";
}

/* R96: the clerk knows whether mail for the domain is ours at all. */
static void
judge_ours(struct judging *j)
{
	const char *const argv[] = {
		"address", "test", arena_printf(j->facts->life, "postmaster@%s", j->facts->domain)
	};
	struct word_ask ask = { argv, COUNT(argv), { NULL, 0 } };
	struct bytes    domain = bytes_of(j->facts->domain);
	struct buffer   said = { 0 };
	int             status;

	if (!command_runs(&j->facts->common))
		return;
	status = command_hear(j->call, "clerk", &ask, &said);
	if (bytes_search(buffer_bytes(&said), BYTES("\nnot ours:")) >= 0)
		judge_say(j, FOUND_WRONG, domain, "domain",
		          "This server takes no mail for the domain.")
			->act = arena_printf(j->facts->life,
		                             "mansio domain add %s (or name it in mydestination, "
		                             "virtual_mailbox_domains or relay_domains)",
		                             j->facts->domain);
	else if (status == COMMAND_DONE)
		(void)judge_say(j, FOUND_RIGHT, domain, "domain", "This server takes its mail.");
	else if (status == COMMAND_FAILED)
		(void)judge_say(
			j, FOUND_ADVICE, domain, "domain",
			"The domain is ours, but postmaster@%s gets no mail: mansio address test "
			"says why (rfc5321:4.5.1).",
			j->facts->domain);
	buffer_free(&said);
}

void
dns_judge(struct call *c, struct facts *f, const struct records *all, struct inquiry *ask,
          struct findings *out)
{
	struct judging j = { c, f, all, ask, out, false };

	out->count = 0;
	judge_mx(&j);
	judge_ours(&j);
	judge_host(&j);
	judge_pointers(&j);
	dns_judge_texts(&j);
	judge_signed(&j);
	dns_judge_dane(&j);
	for (size_t i = 0; i < all->count; i++)
		if (all->one[i].type == DNS_SRV)
			judge_service(&j, &all->one[i]);
		else if (all->one[i].type == DNS_CNAME)
			judge_guide(&j, &all->one[i]);
	dns_judge_policy(f, ask, out);
	dns_judge_lists(f, ask, out);
	dns_judge_age(f, out);
}
