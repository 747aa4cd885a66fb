#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "command/dns.h"
#include "command/inquiry.h"
#include "dns/hostname.h"
#include "role/wire.h"

enum { TTL_MOST = 43200, SHOWN_MOST = 600 };

const char *const finding_names[FINDING_STATES] = {
	[FOUND_RIGHT] = "right",     [FOUND_ADVICE] = "advice", [FOUND_UNKNOWN] = "unknown",
	[FOUND_MISSING] = "missing", [FOUND_WRONG] = "wrong",
};

struct judging {
	struct call          *call;
	struct facts         *facts;
	const struct records *all;
	struct inquiry       *ask;
	struct findings      *out;
	bool                  secure; /* the host's zone is signed, and we have seen it */
};

struct finding *
finding_new(struct findings *out, enum finding_state state, struct bytes name, const char *type)
{
	struct finding *one =
		&out->one[out->count < FINDINGS_MOST ? out->count++ : FINDINGS_MOST - 1];

	*one = (struct finding){ state, name, type, "", "", "" };
	return one;
}

__attribute__((format(printf, 5, 6))) static struct finding *
say(struct judging *j, enum finding_state state, struct bytes name, const char *type,
    const char *form, ...)
{
	struct finding *one = finding_new(j->out, state, name, type);
	struct buffer   text = { 0 };
	va_list         list;

	va_start(list, form);
	buffer_vprintf(&text, form, list);
	va_end(list);
	one->says = arena_copy(j->facts->life, buffer_bytes(&text));
	buffer_free(&text);
	return one;
}

void
answer_text(uint16_t type, const struct answer_record *a, struct buffer *out)
{
	struct buffer text = { 0 };

	if (type == DNS_MX)
		buffer_printf(out, "%u ", a->preference);
	if (type == DNS_SRV && a->data.len > 6)
		buffer_printf(out, "%u %u %u ", a->preference,
		              (unsigned)(unsigned char)a->data.at[2] << 8 |
		                      (unsigned char)a->data.at[3],
		              (unsigned)(unsigned char)a->data.at[4] << 8 |
		                      (unsigned char)a->data.at[5]);
	if (type == DNS_TXT) {
		if (answer_strings(a, &text))
			record_data_text(type, bytes_cut(buffer_bytes(&text), 0, SHOWN_MOST), out);
	} else if (a->name.len > 0) {
		buffer_add(out, a->name);
		if (!bytes_equal(a->name, BYTES(".")))
			buffer_add_char(out, '.');
	} else
		record_data_text(type, bytes_cut(a->data, 0, SHOWN_MOST), out);
	buffer_free(&text);
}

/* All that is there, by commas. */
static const char *
there(struct judging *j, const struct answer *a, uint16_t type)
{
	struct buffer text = { 0 };
	const char   *kept;

	for (size_t i = 0; i < a->records && text.len < SHOWN_MOST; i++) {
		if (i > 0)
			buffer_add_string(&text, ", ");
		answer_text(type, &a->record[i], &text);
	}
	kept = arena_copy(j->facts->life, buffer_bytes(&text));
	buffer_free(&text);
	return kept;
}

static const struct answer *
look(struct judging *j, struct bytes name, uint16_t type)
{
	return inquiry_ask(j->ask, name, type);
}

/* True when the answer says nothing; it has been said then. */
static bool
unanswered(struct judging *j, const struct answer *a, struct bytes name, const char *type)
{
	if (a->status != ANSWER_LATER)
		return false;
	if (a->trust == ANSWER_BOGUS)
		(void)say(
			j, FOUND_WRONG, name, type,
			"DNSSEC disproves what the name servers say (%s): nobody who looks believes it.",
			a->why);
	else
		(void)say(j, FOUND_UNKNOWN, name, type, "The name service does not answer: %s.",
		          a->why);
	return true;
}

static enum finding_state
missing_of(const struct record *r)
{
	return r->must == RECORD_MAY ? FOUND_ADVICE : FOUND_MISSING;
}

static void
judge_ttl(struct judging *j, const struct answer *a, struct bytes name, const char *type)
{
	for (size_t i = 0; i < a->records; i++)
		if (a->record[i].ttl > TTL_MOST) {
			(void)say(
				j, FOUND_ADVICE, name, type,
				"Its TTL is %u seconds: a change takes as long to be seen. 3600 is good.",
				a->record[i].ttl);
			return;
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

/* One host that is named: whether mail can be taken there at all. */
static void
judge_exchanger(struct judging *j, const struct answer_record *mx, bool *named, bool *ours)
{
	struct bytes         host = mx->name, domain = bytes_of(j->facts->domain);
	const struct answer *v4, *v6, *alias;
	struct peer          literal;
	struct finding      *one = NULL;

	if (bytes_equal_nocase(host, bytes_of(j->facts->host))) {
		*named = *ours = true;
		return; /* judged as the host is */
	}
	if (peer_parse(host, &literal))
		one = say(j, FOUND_WRONG, domain, "MX",
		          "%.*s is an address, and MX takes the name of a host (rfc5321:5.1).",
		          (int)host.len, host.at);
	else if ((alias = look(j, host, DNS_CNAME))->status == ANSWER_FOUND)
		one = say(j, FOUND_WRONG, domain, "MX",
		          "%.*s is an alias (CNAME) of %.*s, which MX may not name (rfc2181:10.3).",
		          (int)host.len, host.at, (int)alias->record[0].name.len,
		          alias->record[0].name.at);
	if (one != NULL) {
		one->write = record_line(j->facts, &j->all->one[0]);
		return;
	}
	v4 = look(j, host, DNS_A);
	v6 = look(j, host, DNS_AAAA);
	if (is_ours(j, v4) || is_ours(j, v6)) {
		*ours = true;
		(void)say(
			j, FOUND_ADVICE, domain, "MX",
			"%.*s is this server under another name; %s is what it greets with and what its certificate is for.",
			(int)host.len, host.at, j->facts->host);
	} else if (v4->records == 0 && v6->records == 0 && v4->status != ANSWER_LATER &&
	           v6->status != ANSWER_LATER)
		(void)say(j, FOUND_WRONG, domain, "MX", "%.*s has no address: no mail gets there.",
		          (int)host.len, host.at);
}

static void
judge_order(struct judging *j, const struct answer *a, bool named)
{
	const struct answer_record *own = NULL;

	for (size_t i = 0; named && i < a->records; i++)
		if (bytes_equal_nocase(a->record[i].name, bytes_of(j->facts->host)))
			own = &a->record[i];
	for (size_t i = 0; own != NULL && i < a->records; i++)
		if (&a->record[i] != own)
			(void)say(
				j, FOUND_ADVICE, bytes_of(j->facts->domain), "MX",
				"%.*s is another host, with preference %u: %s.",
				(int)a->record[i].name.len, a->record[i].name.at,
				a->record[i].preference,
				a->record[i].preference < own->preference
					? "mail comes to it first, and here only while it is away"
				: a->record[i].preference == own->preference
					? "half of the mail comes to it"
					: "mail comes to it while we are away, so it must know our recipients");
}

static void
judge_mx(struct judging *j)
{
	const struct record *want = &j->all->one[0];
	const struct answer *a = look(j, want->name, DNS_MX);
	size_t               before = j->out->count;
	bool                 named = false, ours = false;
	struct finding      *one;

	if (unanswered(j, a, want->name, "MX"))
		return;
	if (a->status == ANSWER_NO_NAME)
		(void)say(
			j, FOUND_WRONG, want->name, "domain",
			"There is no such domain: is it registered, and do its name servers know it?");
	if (a->records == 0) {
		one = say(j, FOUND_MISSING, want->name, "MX", "%s", want->why);
		one->write = record_line(j->facts, want);
		return;
	}
	if (a->records == 1 && bytes_equal(a->record[0].name, BYTES("."))) {
		one = say(j, FOUND_WRONG, want->name, "MX",
		          "It says that the domain takes no mail (rfc7505).");
		one->there = there(j, a, DNS_MX);
		one->write = record_line(j->facts, want);
		return;
	}
	for (size_t i = 0; i < a->records; i++)
		judge_exchanger(j, &a->record[i], &named, &ours);
	if (!ours) {
		one = say(j, FOUND_WRONG, want->name, "MX",
		          "Mail for the domain does not come to %s.", j->facts->host);
		one->write = record_line(j->facts, want);
	} else if (named)
		(void)say(j, FOUND_RIGHT, want->name, "MX", "Mail comes to %s.", j->facts->host);
	judge_order(j, a, named);
	judge_ttl(j, a, want->name, "MX");
	for (size_t i = before; i < j->out->count; i++)
		j->out->one[i].there = there(j, a, DNS_MX);
}

/*
 * The host and its addresses
 */

static void
judge_family(struct judging *j, uint16_t type)
{
	struct facts        *f = j->facts;
	struct bytes         host = bytes_of(f->host);
	const struct answer *a = look(j, host, type);
	const char          *name = record_type_name(type);
	bool                 wanted = false;
	struct finding      *one;

	if (unanswered(j, a, host, name))
		return;
	for (size_t i = 0; i < j->all->count; i++) {
		const struct record *r = &j->all->one[i];
		bool                 same = false;

		if (r->type != type || !bytes_equal(r->name, host))
			continue;
		wanted = true;
		for (size_t k = 0; k < a->records; k++)
			same = same || record_same(r, &a->record[k]);
		one = same ? say(j, FOUND_RIGHT, host, name, "%s", r->why)
		           : say(j, a->records > 0 ? FOUND_WRONG : FOUND_MISSING, host, name, "%s",
		                 a->records > 0 ? "This address of ours is not among those."
		                                : r->why);
		one->there = there(j, a, type);
		one->write = same ? "" : record_line(f, r);
	}
	for (size_t k = 0; k < a->records && f->addresses > 0; k++) {
		bool          known = false;
		struct buffer text = { 0 };

		for (size_t i = 0; i < j->all->count; i++)
			known = known || (j->all->one[i].type == type &&
			                  bytes_equal(j->all->one[i].name, host) &&
			                  record_same(&j->all->one[i], &a->record[k]));
		answer_text(type, &a->record[k], &text);
		if (!known) {
			one = say(j, FOUND_WRONG, host, name, "%.*s is no address of this server.",
			          (int)text.len, text.at);
			one->write =
				"take that record away, or name the address in proxy_interfaces";
		}
		buffer_free(&text);
	}
	if (f->addresses == 0 && a->records > 0) {
		one = say(
			j, FOUND_ADVICE, host, name,
			"Whether this is our address is not known: set proxy_interfaces, or say --address.");
		one->there = there(j, a, type);
	}
	if (wanted)
		judge_ttl(j, a, host, name);
}

static void
judge_host(struct judging *j)
{
	struct bytes         host = bytes_of(j->facts->host);
	const struct answer *alias = look(j, host, DNS_CNAME);
	const struct answer *v4 = look(j, host, DNS_A), *v6 = look(j, host, DNS_AAAA);

	if (alias->status == ANSWER_FOUND) {
		struct finding *one = say(
			j, FOUND_WRONG, host, "CNAME",
			"The host is an alias, which MX may not name (rfc2181:10.3): give it addresses of its own.");
		one->there = there(j, alias, DNS_CNAME);
	}
	judge_family(j, DNS_A);
	judge_family(j, DNS_AAAA);
	if (j->facts->addresses == 0 && v4->records == 0 && v6->records == 0 &&
	    v4->status != ANSWER_LATER && v6->status != ANSWER_LATER)
		say(j, FOUND_MISSING, host, "A", "The host has no address.")->write =
			arena_printf(j->facts->life, "%s. 3600 IN A ADDRESS", j->facts->host);
}

/* R94: the address has a name, and that name has the address. */
static void
judge_pointer(struct judging *j, const struct record *r, const struct peer *p)
{
	const struct answer *a = look(j, r->name, DNS_PTR);
	bool                 leads_back = false, same = false;
	struct finding      *one;

	if (unanswered(j, a, r->name, "PTR"))
		return;
	for (size_t i = 0; i < a->records && i < 10; i++) {
		const struct answer *back =
			look(j, a->record[i].name, p->family == AF_INET ? DNS_A : DNS_AAAA);

		same = same || record_same(r, &a->record[i]);
		for (size_t k = 0; k < back->records; k++)
			leads_back = leads_back || (back->record[k].data.len ==
			                                    (p->family == AF_INET ? 4u : 16u) &&
			                            memcmp(back->record[k].data.at, p->raw,
			                                   back->record[k].data.len) == 0);
	}
	if (a->records == 0)
		one = say(j, FOUND_MISSING, r->name, "PTR", "%s has no name. %s", p->text, r->why);
	else if (!leads_back)
		one = say(j, FOUND_WRONG, r->name, "PTR",
		          "The name of %s does not lead back to it. %s", p->text, r->why);
	else if (!same)
		one = say(
			j, FOUND_ADVICE, r->name, "PTR",
			"%s has a name that leads back, but we greet with %s: the same is better.",
			p->text, j->facts->host);
	else
		one = say(j, FOUND_RIGHT, r->name, "PTR", "%s has our name, which leads back.",
		          p->text);
	one->there = there(j, a, DNS_PTR);
	one->write = one->state == FOUND_RIGHT ? "" : record_line(j->facts, r);
}

static void
judge_pointers(struct judging *j)
{
	size_t n = 0;

	for (size_t i = 0; i < j->all->count; i++)
		if (j->all->one[i].type == DNS_PTR && n < j->facts->froms)
			judge_pointer(j, &j->all->one[i], &j->facts->from[n++]);
}

/*
 * Texts: tag=value; tag=value
 */

/* The value of a tag; NULL at: it is not there. */
static struct bytes
tag_of(struct bytes text, const char *name)
{
	struct bytes rest = text, one;

	while (bytes_split(&rest, ';', &one)) {
		ptrdiff_t equal = bytes_find(one, '=');
		if (equal > 0 && bytes_is(bytes_trim(bytes_cut(one, 0, (size_t)equal)), name))
			return bytes_trim(bytes_cut(one, (size_t)equal + 1, one.len));
	}
	return (struct bytes){ NULL, 0 };
}

static const char *
wrong_dmarc(struct bytes text)
{
	struct bytes p = tag_of(text, "p");

	return bytes_is(p, "none") || bytes_is(p, "quarantine") || bytes_is(p, "reject")
	               ? NULL
	               : "p must be none, quarantine or reject (rfc7489:6.3)";
}

/* rfc8461:3.1 */
static const char *
wrong_sts(struct bytes text)
{
	struct bytes id = tag_of(text, "id");
	bool         good = id.len > 0 && id.len <= 32;

	for (size_t i = 0; i < id.len; i++) {
		char c = ascii_lower(id.at[i]);
		good = good && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'));
	}
	return good ? NULL : "id must be 1 to 32 letters and digits (rfc8461:3.1)";
}

static const char *
wrong_report(struct bytes text)
{
	struct bytes rua = tag_of(text, "rua");

	return bytes_starts_nocase(rua, BYTES("mailto:")) ||
	                       bytes_starts_nocase(rua, BYTES("https:"))
	               ? NULL
	               : "rua must begin with mailto: or https: (rfc8460:3)";
}

static const struct text_kind {
	const char *version, *type;
	const char *(*wrong)(struct bytes);
} text_kinds[] = {
	{ "v=DMARC1", "DMARC", wrong_dmarc },
	{ "v=STSv1", "MTA-STS", wrong_sts },
	{ "v=TLSRPTv1", "TLSRPT", wrong_report },
};

static void
judge_text(struct judging *j, const struct record *r, const struct text_kind *kind)
{
	const struct answer *a = look(j, r->name, DNS_TXT);
	struct buffer        text = { 0 }, first = { 0 };
	const char          *wrong = NULL;
	unsigned             count = 0;
	struct finding      *one;

	if (unanswered(j, a, r->name, kind->type))
		return;
	for (size_t i = 0; i < a->records; i++) {
		buffer_reset(&text);
		if (!answer_strings(&a->record[i], &text) ||
		    !bytes_starts_nocase(buffer_bytes(&text), bytes_of(kind->version)))
			continue;
		if (count++ == 0)
			buffer_add(&first, buffer_bytes(&text));
	}
	if (count == 1)
		wrong = kind->wrong(buffer_bytes(&first));
	if (count == 0)
		one = say(j, missing_of(r), r->name, kind->type, "%s", r->why);
	else if (count > 1)
		one = say(j, FOUND_WRONG, r->name, kind->type,
		          "There are %u of them, and with more than one all are void.", count);
	else if (wrong != NULL)
		one = say(j, FOUND_WRONG, r->name, kind->type, "%s.", wrong);
	else
		one = say(j, FOUND_RIGHT, r->name, kind->type, "%s", r->why);
	one->there = there(j, a, DNS_TXT);
	one->write = one->state == FOUND_RIGHT ? "" : record_line(j->facts, r);
	buffer_free(&text);
	buffer_free(&first);
}

static void
judge_texts(struct judging *j)
{
	for (size_t i = 0; i < j->all->count; i++) {
		const struct record *r = &j->all->one[i];

		if (r->type == DNS_TXT && bytes_starts(r->data, BYTES("v=spf1")))
			dns_judge_spf(j->facts, r, j->ask, j->out);
		for (size_t k = 0; r->type == DNS_TXT && k < COUNT(text_kinds); k++)
			if (bytes_starts(r->data, bytes_of(text_kinds[k].version)))
				judge_text(j, r, &text_kinds[k]);
	}
}

/*
 * DANE
 */

/* rfc6698:2.1  Whether a record is about this certificate: 0 and 2 one of the chain, 1 and 3 our own. */
static bool
proves(const struct certificate *c, struct bytes data)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	struct bytes  of, whole = bytes_cut(data, 3, data.len);
	unsigned      n = 0;
	char          usage, selector, matching;

	if (data.len < 4)
		return false;
	usage = data.at[0];
	selector = data.at[1];
	matching = data.at[2];
	if (usage > 3 || selector > 1 || matching > 2 || (((usage & 1) != 0) && !c->is_leaf))
		return false;
	of = selector == 0 ? c->whole : c->key;
	if (matching == 0)
		return bytes_equal(of, whole);
	(void)EVP_Digest(of.at, of.len, digest, &n, matching == 1 ? EVP_sha256() : EVP_sha512(),
	                 NULL);
	return bytes_equal((struct bytes){ (const char *)digest, n }, whole);
}

static void
judge_dane(struct judging *j)
{
	struct facts        *f = j->facts;
	struct bytes         name = bytes_of(arena_printf(f->life, "_25._tcp.%s", f->host));
	const struct answer *a = look(j, name, DNS_TLSA);
	const struct record *want = NULL;
	unsigned             good = 0;
	struct finding      *one;

	if (unanswered(j, a, name, "TLSA"))
		return;
	for (size_t i = 0; i < j->all->count && want == NULL; i++)
		want = j->all->one[i].type == DNS_TLSA ? &j->all->one[i] : NULL;
	for (size_t i = 0; i < a->records; i++) {
		bool any = false;
		for (size_t k = 0; k < f->certificates; k++)
			any = any || proves(&f->certificate[k], a->record[i].data);
		good += any;
	}
	if (f->certificates == 0)
		one = say(
			j, a->records > 0 ? FOUND_UNKNOWN : FOUND_ADVICE, name, "TLSA", "%s",
			f->unread
				? "Our certificate cannot be read, so the record cannot be compared: call this as root."
				: "There is no certificate of ours it could be about.");
	else if (a->records == 0)
		one = say(
			j, j->secure ? FOUND_MISSING : FOUND_ADVICE, name, "TLSA", "%s",
			j->secure
				? "The zone is signed, so others could prove our certificate by it (DANE)."
				: "The zone is not signed (DNSSEC), so DANE is not for it.");
	else if (good == 0)
		one = say(
			j, FOUND_WRONG, name, "TLSA",
			"No record is about our certificate: servers that look at DANE send us nothing.");
	else if (good < a->records)
		one = say(
			j, FOUND_ADVICE, name, "TLSA",
			"%zu of %zu records are about no certificate of ours: right while keys change, else take them away.",
			a->records - good, a->records);
	else
		one = say(
			j, FOUND_RIGHT, name, "TLSA", "%s",
			j->secure
				? "It is about our certificate, and proved."
				: "It is about our certificate; without DNSSEC nobody looks at it.");
	one->there = there(j, a, DNS_TLSA);
	if (want != NULL && one->state != FOUND_RIGHT && (good == 0 || good < a->records))
		one->write = record_line(f, want);
}

static void
judge_service(struct judging *j, const struct record *r)
{
	const struct answer *a = look(j, r->name, DNS_SRV);
	bool                 same = false;
	struct finding      *one;

	if (unanswered(j, a, r->name, "SRV"))
		return;
	for (size_t i = 0; i < a->records; i++)
		same = same || record_same(r, &a->record[i]);
	one = same ? say(j, FOUND_RIGHT, r->name, "SRV", "%s", r->why)
	      : a->records > 0
	              ? say(j, FOUND_WRONG, r->name, "SRV", "It leads elsewhere. %s", r->why)
	              : say(j, missing_of(r), r->name, "SRV", "%s", r->why);
	one->there = there(j, a, DNS_SRV);
	one->write = same ? "" : record_line(j->facts, r);
}

/*
 * The zones, and whether the domain is ours
 */

static void
judge_signed(struct judging *j)
{
	struct bytes         domain = bytes_of(j->facts->domain), host = bytes_of(j->facts->host);
	const struct answer *a = look(j, domain, DNS_MX), *h = look(j, host, DNS_A);
	bool                 good = a->trust == ANSWER_SECURE && a->status != ANSWER_LATER;

	if (h->records == 0)
		h = look(j, host, DNS_AAAA);
	j->secure = h->trust == ANSWER_SECURE && h->status != ANSWER_LATER;
	if (a->status == ANSWER_LATER)
		return; /* said with MX */
	(void)say(
		j, good ? FOUND_RIGHT : FOUND_ADVICE, domain, "DNSSEC", "%s",
		good ? "The zone is signed, and the signatures are good."
		     : "The zone is not signed: whoever lies about its records is believed. Your registrar can turn DNSSEC on.");
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
		say(j, FOUND_WRONG, domain, "domain", "This server takes no mail for the domain.")
			->write = arena_printf(j->facts->life,
		                               "mansio domain add %s (or name it in mydestination, "
		                               "virtual_mailbox_domains or relay_domains)",
		                               j->facts->domain);
	else if (status == COMMAND_DONE)
		(void)say(j, FOUND_RIGHT, domain, "domain", "This server takes its mail.");
	else if (status == COMMAND_FAILED)
		(void)say(j, FOUND_ADVICE, domain, "domain",
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
	judge_texts(&j);
	judge_signed(&j);
	judge_dane(&j);
	for (size_t i = 0; i < all->count; i++)
		if (all->one[i].type == DNS_SRV)
			judge_service(&j, &all->one[i]);
	dns_judge_policy(f, ask, out);
	dns_judge_lists(f, ask, out);
	dns_judge_age(f, out);
}
