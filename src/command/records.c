#include "command/records.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "dns/hostname.h"

enum { STRING_MOST = 255, DIGEST = 32, POLICY_AGE = 604800 };

static const struct {
	uint16_t    type;
	const char *name;
} type_names[] = {
	{ DNS_A, "A" },     { DNS_NS, "NS" },     { DNS_CNAME, "CNAME" }, { DNS_SOA, "SOA" },
	{ DNS_PTR, "PTR" }, { DNS_MX, "MX" },     { DNS_TXT, "TXT" },     { DNS_AAAA, "AAAA" },
	{ DNS_SRV, "SRV" }, { DNS_TLSA, "TLSA" },
};

const char *
record_type_name(uint16_t type)
{
	for (size_t i = 0; i < COUNT(type_names); i++)
		if (type_names[i].type == type)
			return type_names[i].name;
	return "?";
}

bool
name_within(struct bytes name, struct bytes zone)
{
	return bytes_equal_nocase(name, zone) ||
	       (name.len > zone.len && name.at[name.len - zone.len - 1] == '.' &&
	        bytes_ends_nocase(name, zone));
}

/* rfc1035:5.1  A string of a zone file, in pieces a packet can hold. */
static void
add_strings(struct bytes text, struct buffer *out)
{
	do {
		struct bytes piece = bytes_cut(text, 0, STRING_MOST);

		buffer_add_string(out, out->len > 0 && out->at[out->len - 1] == '"' ? " \"" : "\"");
		for (size_t i = 0; i < piece.len; i++) {
			unsigned char c = (unsigned char)piece.at[i];
			if (c == '"' || c == '\\')
				buffer_printf(out, "\\%c", c);
			else if (c < ' ' || c > '~')
				buffer_printf(out, "\\%03u", c);
			else
				buffer_add_char(out, (char)c);
		}
		buffer_add_char(out, '"');
		text = bytes_cut(text, piece.len, text.len);
	} while (text.len > 0);
}

static void
add_address(int family, struct bytes data, struct buffer *out)
{
	char text[INET6_ADDRSTRLEN];

	if (data.len == (family == AF_INET ? 4 : 16) &&
	    inet_ntop(family, data.at, text, sizeof text) != NULL)
		buffer_add_string(out, text);
}

void
record_data_text(uint16_t type, struct bytes data, struct buffer *out)
{
	switch (type) {
	case DNS_A: add_address(AF_INET, data, out); break;
	case DNS_AAAA: add_address(AF_INET6, data, out); break;
	case DNS_TXT: add_strings(data, out); break;
	case DNS_TLSA:
		for (size_t i = 0; i < data.len; i++)
			buffer_printf(out, i < 3 ? "%u " : "%02x", (unsigned char)data.at[i]);
		break;
	default: break;
	}
}

static void
add_target(struct bytes target, struct buffer *out)
{
	buffer_add(out, target);
	if (!bytes_equal(target, BYTES(".")))
		buffer_add_char(out, '.');
}

void
record_value(const struct record *r, struct buffer *out)
{
	if (r->type == DNS_MX)
		buffer_printf(out, "%u ", r->priority);
	if (r->type == DNS_SRV)
		buffer_printf(out, "%u %u %u ", r->priority, r->weight, r->port);
	if (r->target.len > 0)
		add_target(r->target, out);
	else
		record_data_text(r->type, r->data, out);
}

bool
record_same(const struct record *r, const struct answer_record *a)
{
	struct buffer text = { 0 };
	bool          same;

	switch (r->type) {
	case DNS_MX:
	case DNS_CNAME:
	case DNS_PTR: return bytes_equal_nocase(r->target, a->name);
	case DNS_SRV: /* rfc2782: the port stands behind priority and weight */
		return a->data.len > 6 && bytes_equal_nocase(r->target, a->name) &&
		       ((unsigned)(unsigned char)a->data.at[4] << 8 |
		        (unsigned char)a->data.at[5]) == r->port;
	case DNS_TXT:
		same = answer_strings(a, &text) && bytes_equal(buffer_bytes(&text), r->data);
		buffer_free(&text);
		return same;
	default: return bytes_equal(r->data, a->data);
	}
}

/*
 * What there must be
 */

struct writing {
	struct facts   *facts;
	struct records *out;
};

static struct record *
record_new(struct writing *w, const char *name, uint16_t type, enum record_weight must,
           const char *why)
{
	struct records *all = w->out;
	struct record  *r = &all->one[all->count < RECORDS_MOST ? all->count++ : RECORDS_MOST - 1];

	*r = (struct record){
		.name = bytes_of(name), .type = type, .ttl = RECORD_TTL, .must = must, .why = why
	};
	if (!name_within(r->name, bytes_of(w->facts->domain)))
		r->zone = ZONE_OF_HOST;
	return r;
}

static const char *
below(struct writing *w, const char *label)
{
	return arena_printf(w->facts->life, "%s.%s", label, w->facts->domain);
}

static void
addresses_of(struct writing *w, const char *name, enum record_weight must, const char *why)
{
	for (size_t i = 0; i < w->facts->addresses; i++) {
		const struct peer *p = &w->facts->address[i];
		bool               v4 = p->family == AF_INET;
		struct record     *r = record_new(w, name, v4 ? DNS_A : DNS_AAAA, must, why);

		r->data = (struct bytes){ (const char *)p->raw, v4 ? 4 : 16 };
	}
}

/* Asked of whoever gave the address: the zone is theirs (rfc1912:2.1). */
static void
names_of_addresses(struct writing *w)
{
	for (size_t i = 0; i < w->facts->froms; i++) {
		char           name[REVERSE_ROOM];
		struct record *r;

		if (!hostname_reverse(&w->facts->from[i], name))
			continue;
		r = record_new(
			w, arena_copy(w->facts->life, bytes_of(name)), DNS_PTR, RECORD_MUST,
			"The address has the name we greet with. Ask the owner of the address "
			"(your provider) to set it; many servers refuse mail without it.");
		r->target = bytes_of(w->facts->host);
		r->zone = ZONE_OF_ADDRESS;
	}
}

static struct record *
text_new(struct writing *w, const char *name, enum record_weight must, const char *text,
         const char *why)
{
	struct record *r = record_new(w, name, DNS_TXT, must, why);

	r->data = bytes_of(text);
	return r;
}

/* Those letters leave from that the world does not come in by. */
static const char *
senders(struct writing *w)
{
	struct facts *f = w->facts;
	struct buffer text = { 0 };
	const char   *kept;

	for (size_t i = f->addresses; i < f->froms; i++)
		buffer_printf(&text, " %s:%s", f->from[i].family == AF_INET ? "ip4" : "ip6",
		              f->from[i].text);
	kept = arena_copy(f->life, buffer_bytes(&text));
	buffer_free(&text);
	return kept;
}

static void
sender_policies(struct writing *w)
{
	struct facts *f = w->facts;
	const char   *more = senders(w);

	(void)text_new(
		w, f->domain, RECORD_MUST, arena_printf(f->life, "v=spf1 mx%s ~all", more),
		"SPF: letters of this domain come from its MX hosts; the others are doubtful "
		"(~all; -all once all your senders are named).");
	if (strcmp(f->host, f->domain) != 0)
		(void)text_new(w, f->host, RECORD_SHOULD,
		               arena_printf(f->life, "v=spf1 a%s -all", more),
		               "SPF of the name we greet with: notices have no other sender.");
	(void)text_new(
		w, below(w, "_dmarc"), RECORD_SHOULD,
		arena_printf(f->life, "v=DMARC1; p=none; rua=mailto:postmaster@%s", f->domain),
		"DMARC: only reports are asked for. Leave it at none until letters are signed "
		"(DKIM), which this version does not do.");
}

const char *
policy_tag(const struct facts *f)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned      n = 0;
	struct buffer text = { 0 };
	char         *tag = arena_take(f->life, 21);

	policy_text(f, &text);
	(void)EVP_Digest(text.at, text.len, digest, &n, EVP_sha256(), NULL);
	for (unsigned i = 0; i < 10; i++)
		(void)snprintf(tag + 2 * (size_t)i, 3, "%02x", digest[i]);
	buffer_free(&text);
	return tag;
}

void
policy_text(const struct facts *f, struct buffer *out)
{
	buffer_printf(out, "version: STSv1\r\nmode: testing\r\nmx: %s\r\nmax_age: %d\r\n", f->host,
	              POLICY_AGE);
}

static void
secure_roads(struct writing *w)
{
	struct facts *f = w->facts;

	(void)text_new(w, below(w, "_smtp._tls"), RECORD_SHOULD,
	               arena_printf(f->life, "v=TLSRPTv1; rua=mailto:postmaster@%s", f->domain),
	               "TLSRPT: others tell postmaster when TLS to us fails.");
	(void)text_new(
		w, below(w, "_mta-sts"), RECORD_MAY,
		arena_printf(f->life, "v=STSv1; id=%s;", policy_tag(f)),
		"MTA-STS: others must use TLS to us. It counts only while a web server gives "
		"the policy; leave this and mta-sts out where none does.");
	addresses_of(w, below(w, "mta-sts"), RECORD_MAY,
	             "The web server with the policy, which needs a certificate for this name.");
}

/* rfc7672:3.1.1  3 1 1: the key of our own certificate, which stays when the certificate is renewed. */
static void
proofs(struct writing *w)
{
	struct facts *f = w->facts;
	const char   *name = arena_printf(f->life, "_25._tcp.%s", f->host);

	for (size_t i = 0; i < f->certificates; i++) {
		const struct certificate *c = &f->certificate[i];
		unsigned char            *data = arena_take(f->life, 3 + EVP_MAX_MD_SIZE);
		struct record            *r;
		unsigned                  n = 0;
		bool                      twice = false;

		for (size_t k = 0; k < i; k++)
			twice = twice || (f->certificate[k].is_leaf &&
			                  bytes_equal(f->certificate[k].key, c->key));
		if (!c->is_leaf || twice)
			continue;
		memcpy(data, "\3\1\1", 3);
		(void)EVP_Digest(c->key.at, c->key.len, data + 3, &n, EVP_sha256(), NULL);
		r = record_new(w, name, DNS_TLSA, RECORD_MAY,
		               "DANE: the key of our certificate. It counts only where the zone is "
		               "signed (DNSSEC); keep the key when you renew the certificate.");
		r->data = (struct bytes){ (const char *)data, 3 + DIGEST };
	}
}

/* rfc6186:3.4, rfc8314:5.1  What mail programs look for; "." where there is none of it. */
static void
services(struct writing *w)
{
	static const struct {
		const char           *label;
		enum listener_service service;
		uint16_t              priority;
		const char           *why;
	} rows[] = {
		{ "_imaps._tcp", LISTEN_IMAPS, 0, "Where mail programs read: IMAP with TLS." },
		{ "_pop3s._tcp", LISTEN_POP3S, 10, "Where they read by POP3 with TLS." },
		{ "_submissions._tcp", LISTEN_SUBMISSIONS, 0, "Where they send, with TLS." },
		{ "_submission._tcp", LISTEN_SUBMISSION, 10, "Where they send, with STARTTLS." },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct place *p = &w->facts->service[rows[i].service];
		struct record *r = record_new(w, below(w, rows[i].label), DNS_SRV, RECORD_SHOULD,
		                              p->offered ? rows[i].why : "This is not offered.");

		r->target = p->offered ? bytes_of(w->facts->host) : BYTES(".");
		r->priority = p->offered ? rows[i].priority : 0;
		r->weight = p->offered;
		r->port = (uint16_t)p->port;
	}
}

/* Where mail programs ask how to reach us (role/guide.h). */
static void
guides(struct writing *w)
{
	static const char *const        label[] = { "autoconfig", "autodiscover" };
	static const enum record_weight must[] = { RECORD_SHOULD, RECORD_MAY };
	static const char *const        why[] = {
		       "Where Thunderbird and others ask how to reach this server (autoconfig = yes).",
		       "Where Outlook asks the same.",
	};
	struct record *r;

	if (!w->facts->guides)
		return;
	for (size_t i = 0; i < COUNT(label); i++) {
		r = record_new(w, below(w, label[i]), DNS_CNAME, must[i], why[i]);
		r->target = bytes_of(w->facts->host);
	}
	if (!w->facts->guides_by_tls)
		return;
	r = record_new(w, below(w, "_autodiscover._tcp"), DNS_SRV, RECORD_MAY,
	               "Outlook asks there with TLS, for which our certificate is good.");
	r->target = bytes_of(w->facts->host);
	r->weight = 1;
	r->port = 443;
}

void
records_of(struct facts *f, struct records *out)
{
	struct writing w = { f, out };
	struct record *mx;

	out->count = 0;
	mx = record_new(&w, f->domain, DNS_MX, RECORD_MUST,
	                "Mail for the domain comes to this host.");
	mx->priority = 10;
	mx->target = bytes_of(f->host);
	addresses_of(&w, f->host, RECORD_MUST, "The host, under the name it greets with.");
	names_of_addresses(&w);
	sender_policies(&w);
	secure_roads(&w);
	proofs(&w);
	services(&w);
	guides(&w);
}
