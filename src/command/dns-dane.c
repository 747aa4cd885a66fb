/* dns-dane -- TLSA: whether others can prove our certificate (rfc6698, rfc7672) */

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "command/dns_inner.h"

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

static bool
is_proof(const struct facts *f, struct bytes data)
{
	bool any = false;

	for (size_t k = 0; k < f->certificates; k++)
		any = any || proves(&f->certificate[k], data);
	return any;
}

/* What is to be said of so many records that are about our certificate, of all there are. */
static struct finding *
weigh(struct judging *j, struct bytes name, size_t good, size_t all)
{
	if (j->facts->certificates == 0)
		return judge_say(
			j, all > 0 ? FOUND_UNKNOWN : FOUND_ADVICE, name, "TLSA", "%s",
			j->facts->unread
				? "Our certificate cannot be read, so the record cannot be compared: call this as root."
				: "There is no certificate of ours it could be about.");
	if (all == 0)
		return judge_say(
			j, j->secure ? FOUND_MISSING : FOUND_ADVICE, name, "TLSA", "%s",
			j->secure
				? "The zone is signed, so others could prove our certificate by it (DANE)."
				: "The zone is not signed (DNSSEC), so DANE is not for it.");
	if (good == 0)
		return judge_say(
			j, FOUND_WRONG, name, "TLSA", "No record is about our certificate: %s.",
			j->secure
				? "servers that look at DANE send us nothing"
				: "without effect while the zone is not signed, and from that day on servers that look at DANE send us nothing");
	if (good < all)
		return judge_say(
			j, FOUND_ADVICE, name, "TLSA",
			"%zu of %zu records are about no certificate of ours: right while keys change, else take them away.",
			all - good, all);
	if (!j->secure)
		return judge_say(
			j, FOUND_ADVICE, name, "TLSA",
			"It is about our certificate, and without effect: the zone is not signed, so nobody looks at it (rfc7672:2.2).");
	return judge_say(j, FOUND_RIGHT, name, "TLSA", "It is about our certificate, and proved.");
}

void
dns_judge_dane(struct judging *j)
{
	struct facts        *f = j->facts;
	struct bytes         name = bytes_of(arena_printf(f->life, "_25._tcp.%s", f->host));
	const struct answer *a = judge_look(j, name, DNS_TLSA);
	size_t               good = 0;
	struct finding      *one;

	if (judge_unanswered(j, a, name, "TLSA"))
		return;
	for (size_t i = 0; i < a->records; i++)
		good += is_proof(f, a->record[i].data);
	one = weigh(j, name, good, a->records);
	one->there = judge_there(j, a, DNS_TLSA);
	if (f->certificates == 0)
		return;
	/* Without effect all may go; those about nothing of ours must. */
	for (size_t i = 0; i < a->records; i++)
		if (!j->secure || !is_proof(f, a->record[i].data))
			finding_erase(f, one, a->name, DNS_TLSA, &a->record[i]);
	for (size_t i = 0; good == 0 && j->secure && i < j->all->count; i++)
		if (j->all->one[i].type == DNS_TLSA)
			finding_write_record(f, one, &j->all->one[i]);
	if (!j->secure)
		one->act = arena_printf(
			f->life,
			"either sign the zone (at the registrar of %s, DNSSEC) and let TLSA be as mansio dns show says, or have none",
			f->host);
}
