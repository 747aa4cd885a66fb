/*
 * queue-tls -- what senders learn of other domains' TLS and forget: policies about their own hosts (rfc8461) are remembered here,
 * and go along with every letter to such a domain; how TLS came about is counted by domain and day, and reported (rfc8460)
 */
#include "base/base64.h"
#include "base/clock.h"
#include "base/pack.h"
#include "dns/hostname.h"
#include "queue/tlsrpt.h"
#include "role/queue.h"
#include "smtp/sender/rua.h"
#include "smtp/sender/sts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
	REMEMBERED_MOST = 20000,
	REMEMBERED_BYTES = 32 << 20,
	NAME_MOST = 300,
	DAY_S = 86400,
	REPORTED_MOST = 20000,
	REPORT_TURN_MS = 60000,
	AGAIN_S = 3600
};
#define STS "sts/"
#define RPT "tlsrpt/"

/* A policy as it came. */
struct remembered {
	struct arena   *life;
	struct word_sts policy;
	int64_t         until_s;
};

static void
forget(struct remembered *r)
{
	struct arena *life;

	if (r == NULL)
		return;
	life = r->life;
	arena_close(&life);
}

static void
kept_name(const char *domain, char out[static NAME_MOST])
{
	(void)snprintf(out, NAME_MOST, "%s%s", STS, domain);
}

static void
policy_drop(struct queue_role *k, struct remembered *r)
{
	char name[NAME_MOST];

	kept_name(r->policy.domain, name);
	ledger_keep(k->ledger, name, BYTES(""));
	k->policies_bytes -= r->policy.text.len;
	forget(map_drop(k->policies, bytes_of(r->policy.domain)));
}

/* Room for one more.  What holds stays: whoever has very many domains does not have others forgotten. */
static bool
policy_room(struct queue_role *k, size_t len, int64_t now)
{
	if (map_count(k->policies) >= REMEMBERED_MOST || k->policies_bytes + len > REMEMBERED_BYTES)
		for (struct map_place p = { 0 }; map_next(k->policies, &p);)
			if (((struct remembered *)p.value)->until_s <= now)
				policy_drop(k, p.value);
	return map_count(k->policies) < REMEMBERED_MOST &&
	       k->policies_bytes + len <= REMEMBERED_BYTES;
}

/* How long it holds from when it was fetched, which is no time to come; 0: it is none. */
static int64_t
policy_age(const struct word_sts *w, int64_t now)
{
	struct arena     *scratch = arena_open(NULL);
	struct sts_policy policy;
	const char       *why;
	int64_t           age = 0;

	if (hostname_valid(bytes_of(w->domain)) && strlen(w->id) <= STS_ID_MOST &&
	    w->fetched_s > 0 && w->fetched_s <= now + DAY_S &&
	    sts_read(w->text, scratch, &policy, &why))
		age = policy.age_s;
	arena_close(&scratch);
	return age;
}

/* False: it is none any more, or never was one. */
static bool
remember(struct queue_role *k, const struct word_sts *w)
{
	int64_t            now = clock_wall_us() / 1000000, age = policy_age(w, now);
	struct remembered *r = map_get(k->policies, bytes_of(w->domain));
	struct arena      *life;

	if (age == 0 || w->fetched_s + age <= now)
		return false;
	if (r != NULL) {
		k->policies_bytes -= r->policy.text.len;
		forget(map_drop(k->policies, bytes_of(r->policy.domain)));
	}
	if (!policy_room(k, w->text.len, now))
		return false;
	life = arena_open(NULL);
	r = arena_take(life, sizeof *r);
	*r = (struct remembered){ life,
		                  { arena_copy(life, bytes_of(w->domain)),
		                    arena_copy(life, bytes_of(w->id)), arena_keep(life, w->text),
		                    w->fetched_s },
		                  w->fetched_s + age };
	k->policies_bytes += w->text.len;
	(void)map_put(k->policies, bytes_of(r->policy.domain), r);
	return true;
}

/* ---- how TLS came about --------------------------------------------------------------------- */

/* "20410/example.com": the day since 1970. */
struct counted {
	char          *key;
	struct tlsrpt *counts;
	int64_t        again_s;
	uint32_t       ticket;
	uint32_t       letters; /* of the report, that are not durable yet */
	bool           changed;
};
enum { ASKED_SENDER = 0 };

static void
counted_name(const char *key, char out[static NAME_MOST])
{
	(void)snprintf(out, NAME_MOST, "%s%s", RPT, key);
}

static struct counted *
counted_of(struct queue_role *k, const char *key)
{
	struct counted *c = map_get(k->reports, bytes_of(key));
	size_t          n = strlen(key) + 1;

	if (c != NULL || map_count(k->reports) >= REPORTED_MOST)
		return c;
	c = memory_take(sizeof *c);
	c->key = memcpy(memory_take(n), key, n);
	c->counts = tlsrpt_open();
	(void)map_put(k->reports, bytes_of(c->key), c);
	return c;
}

static void
counted_drop(struct queue_role *k, struct counted *c)
{
	char name[NAME_MOST];

	counted_name(c->key, name);
	ledger_keep(k->ledger, name, BYTES(""));
	(void)map_drop(k->reports, bytes_of(c->key));
	tlsrpt_close(&c->counts);
	memory_free(c->key);
	memory_free(c);
}

static void
count_one(struct queue_role *k, const struct tls_result *r)
{
	struct arena   *a = arena_open(NULL);
	struct bytes    domain = arena_lower(a, bytes_of(r->domain));
	struct counted *c = NULL;

	if (hostname_valid(domain)) /* it stands in names of files and fields */
		c = counted_of(k, arena_printf(a, "%lld/%.*s",
		                               (long long)(clock_wall_us() / 1000000 / DAY_S),
		                               (int)domain.len, domain.at));
	if (c != NULL) {
		tlsrpt_add(c->counts,
		           &(struct tlsrpt_session){ r->policy, r->text, r->host, r->address,
		                                     r->local, r->helo, r->type, r->reason });
		c->changed = true;
	}
	arena_close(&a);
}

static void
load_counted(void *ctx, const char *name, struct bytes value)
{
	struct queue_role *k = ctx;
	struct tlsrpt     *t = tlsrpt_unpack(value);
	struct counted    *c = t != NULL ? counted_of(k, name + strlen(RPT)) : NULL;

	if (c == NULL) {
		tlsrpt_close(&t);
		ledger_keep(k->ledger, name, BYTES(""));
		return;
	}
	tlsrpt_close(&c->counts);
	c->counts = t;
}

static bool
press(struct bytes from, struct arena *a, struct bytes *out)
{
	z_stream       z = { .zalloc = Z_NULL };
	uLong          most;
	unsigned char *to;
	bool           good;

	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) !=
	    Z_OK)
		return false;
	most = deflateBound(&z, from.len) + 32;
	to = arena_take(a, most);
	z.next_in = (unsigned char *)(uintptr_t)from.at;
	z.avail_in = (uInt)from.len;
	z.next_out = to;
	z.avail_out = (uInt)most;
	good = deflate(&z, Z_FINISH) == Z_STREAM_END;
	*out = (struct bytes){ (const char *)to, z.total_out };
	(void)deflateEnd(&z);
	return good;
}

/* False: it cannot be made. */
static bool
report_make(const struct queue_role *k, const struct counted *c, struct arena *a,
            struct word_tlsrpt *w)
{
	const char   *domain = strchr(c->key, '/') + 1, *host = k->common.myhostname;
	const char   *at = strrchr(k->rows.tlsrpt_contact, '@');
	long long     day = strtoll(c->key, NULL, 10) * DAY_S;
	struct buffer json = { 0 };
	bool          good;

	*w = (struct word_tlsrpt){ .domain = domain, .contact = k->rows.tlsrpt_contact };
	w->id = arena_printf(a, "%lld.%016llx", day,
	                     (unsigned long long)(hash_of(bytes_of(c->key)) ^
	                                          hash_of(bytes_of(host))));
	/* rfc8460:5.1: the sender is the domain of whom the report comes from. */
	w->file = arena_printf(a, "%s!%s!%lld!%lld!001.json.gz", at != NULL ? at + 1 : host, domain,
	                       day, day + DAY_S - 1);
	tlsrpt_write(c->counts, &(struct tlsrpt_head){ host, w->contact, w->id, domain, day },
	             &json);
	good = press(buffer_bytes(&json), a, &w->content);
	buffer_free(&json);
	return good;
}

/* To a sender: where the domain wants it is found out there. */
static void
report_one(struct house *h, struct counted *c, struct link *l)
{
	struct queue_role *k = queue_of(h);
	struct arena      *a = arena_open(NULL);
	struct word_tlsrpt w;

	if (report_make(k, c, a, &w)) {
		c->ticket = ++k->next_ticket;
		c->again_s = clock_wall_us() / 1000000 + AGAIN_S;
		word_pack_tlsrpt(link_begin(l, WORD_TLSRPT, c->ticket), &w);
		link_end(l);
	}
	arena_close(&a);
}

/* rfc8460:5.3 */
static void
report_letter(const struct word_tlsrpt *w, const char *host, const char *to, struct buffer *b)
{
	struct buffer coded = { 0 };
	struct bytes  rest;
	char          date[64];

	clock_rfc5322(clock_wall(), date, sizeof date);
	buffer_printf(
		b,
		"From: %s\r\nTo: %s\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n"
		"Subject: Report Domain: %s\r\n Submitter: %s\r\n Report-ID: <%s@%s>\r\n"
		"TLS-Report-Domain: %s\r\nTLS-Report-Submitter: %s\r\nTLS-Required: No\r\n"
		"Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
		"Content-Type: multipart/report; report-type=\"tlsrpt\"; boundary=\"%s\"\r\n\r\n"
		"--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
		"How TLS with the hosts of %s came about is in the file that comes along.\r\n\r\n"
		"--%s\r\nContent-Type: application/tlsrpt+gzip\r\n"
		"Content-Disposition: attachment; filename=\"%s\"\r\n"
		"Content-Transfer-Encoding: base64\r\n\r\n",
		w->contact, to, date, w->id, host, w->domain, host, w->id, host, w->domain, host,
		w->id, w->id, w->domain, w->id, w->file);
	base64_encode(&coded, w->content);
	for (rest = buffer_bytes(&coded); rest.len > 0; rest = bytes_cut(rest, 76, SIZE_MAX)) {
		buffer_add(b, bytes_cut(rest, 0, 76));
		buffer_add_string(b, "\r\n");
	}
	buffer_printf(b, "\r\n--%s--\r\n", w->id);
	buffer_free(&coded);
}

/* As letters of the queue's, so that they go where all mail goes and are tried as long. */
static bool
report_post(struct house *h, struct counted *c, const struct word_tlsrpt_said *said)
{
	struct queue_role *k = queue_of(h);
	struct arena      *a = arena_open(NULL);
	struct word_tlsrpt w;
	bool               good = report_make(k, c, a, &w);

	for (uint32_t i = 0; good && i < said->mails; i++) {
		struct buffer letter = { 0 };

		report_letter(&w, k->common.myhostname, said->mail[i], &letter);
		c->letters++;
		queue_post(h, c->key, w.contact, said->mail[i], &letter);
	}
	arena_close(&a);
	return good;
}

static void
report_over(struct queue_role *k, struct counted *c)
{
	note_as(queue_services[SERVICE_QMGR], "tlsrpt: the report for %s was taken",
	        strchr(c->key, '/') + 1);
	counted_drop(k, c);
}

void
queue_tls_posted(struct house *h, const char *key)
{
	struct queue_role *k = queue_of(h);
	struct counted    *c = map_get(k->reports, bytes_of(key));

	if (c != NULL && c->letters > 0 && --c->letters == 0)
		report_over(k, c);
}

void
queue_tls_keep(struct house *h)
{
	struct queue_role *k = queue_of(h);
	struct buffer      packed = { 0 };
	char               name[NAME_MOST];

	for (struct map_place p = { 0 }; map_next(k->reports, &p);) {
		struct counted *c = p.value;

		if (!c->changed)
			continue;
		buffer_reset(&packed);
		tlsrpt_pack(c->counts, &packed);
		counted_name(c->key, name);
		ledger_keep(k->ledger, name, buffer_bytes(&packed));
		c->changed = false;
	}
	buffer_free(&packed);
}

/* rfc8460:5.5: tried again for a day, then it is let go. */
static void
reports_turn(void *house)
{
	struct house      *h = house;
	struct queue_role *k = queue_of(h);
	int64_t            now = clock_wall_us() / 1000000;
	struct link       *l = house_link(h, SENDER, ASKED_SENDER);

	timer_set(k->reporting, l != NULL ? REPORT_TURN_MS : 1000);
	queue_tls_keep(h);
	for (struct map_place p = { 0 }; map_next(k->reports, &p);) {
		struct counted *c = p.value;
		int64_t         over = (strtoll(c->key, NULL, 10) + 1) * DAY_S;

		if (c->letters > 0)
			continue; /* they are being written */
		if (now > over + DAY_S)
			counted_drop(k, c);
		else if (now >= over && now >= c->again_s && l != NULL && k->rows.tlsrpt)
			report_one(h, c, l);
	}
}

/* A sender speaks of what it was asked, and no other of it; and names addresses, nothing that would be a line more of a letter. */
static bool
is_answer(uint32_t index, const struct word_tlsrpt_said *w)
{
	for (uint32_t i = 0; i < w->mails; i++)
		if (!rua_is_address(bytes_of(w->mail[i])))
			return false;
	return index == ASKED_SENDER;
}

bool
hear_tlsrpt_said(struct house *h, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct queue_role      *k = queue_of(h);
	struct arena           *a = arena_open(NULL);
	struct counted         *c = NULL;
	struct word_tlsrpt_said w;
	bool whole = word_unpack_tlsrpt_said(body, a, &w) && is_answer(index, &w);

	for (struct map_place p = { 0 }; whole && ticket != 0 && map_next(k->reports, &p);)
		if (((struct counted *)p.value)->ticket == ticket)
			c = p.value;
	if (c != NULL)
		c->ticket = 0; /* once */
	if (c != NULL && w.fate == TLSRPT_UNWANTED)
		counted_drop(k, c);
	else if (c != NULL && w.fate == TLSRPT_TAKEN && w.mails == 0)
		report_over(k, c);
	else if (c != NULL && w.fate == TLSRPT_TAKEN && c->letters == 0)
		(void)report_post(h, c, &w);
	arena_close(&a);
	return whole;
}

/* The domain whose policy a destination asks for. */
static struct bytes
domain_of(const char *nexthop, struct arena *a)
{
	struct bytes domain = bytes_of(nexthop);
	ptrdiff_t    end = bytes_find(domain, ':');

	return arena_lower(a, end >= 0 ? bytes_cut(domain, 0, (size_t)end) : domain);
}

/* A sender tells of the domain its letter went to, and of no other's. */
void
queue_tls_learn(struct house *h, const char *nexthop, const struct word_sent *w)
{
	struct queue_role *k = queue_of(h);
	struct buffer      packed = { 0 };
	struct word_sts    sts = w->sts;
	struct arena      *a;
	char               name[NAME_MOST];

	for (uint32_t i = 0; i < w->tlss && k->rows.tlsrpt; i++)
		count_one(k, &w->tls[i]);
	if (w->sts.text.len == 0)
		return;
	a = arena_open(NULL);
	sts.domain = arena_copy(a, domain_of(nexthop, a));
	if (bytes_equal_nocase(bytes_of(sts.domain), bytes_of(w->sts.domain)) &&
	    remember(k, &sts)) {
		pack_string(&packed, sts.id);
		pack_bytes(&packed, sts.text);
		pack_u64(&packed, (uint64_t)sts.fetched_s);
		kept_name(sts.domain, name);
		ledger_keep(k->ledger, name, buffer_bytes(&packed));
		buffer_free(&packed);
	}
	arena_close(&a);
}

void
queue_tls_tell(struct house *h, struct arena *a, struct word_send *w)
{
	struct queue_role *k = queue_of(h);
	struct remembered *r;

	w->sts = (struct word_sts){ "", "", { NULL, 0 }, 0 };
	if (w->lmtp)
		return;
	r = map_get(k->policies, domain_of(w->nexthop, a));
	if (r != NULL && r->until_s > clock_wall_us() / 1000000)
		w->sts = r->policy;
	else if (r != NULL)
		policy_drop(k, r);
}

static void
load_one(void *ctx, const char *name, struct bytes value)
{
	struct queue_role *k = ctx;
	struct arena      *a = arena_open(NULL);
	struct unpack      u = unpack_of(value);
	struct word_sts    w = { .domain = name + strlen(STS) };

	w.id = arena_copy(a, unpack_bytes(&u));
	w.text = unpack_bytes(&u);
	w.fetched_s = (int64_t)unpack_u64(&u);
	if (!unpack_done(&u) || !remember(k, &w))
		ledger_keep(k->ledger, name, BYTES(""));
	arena_close(&a);
}

void
queue_tls_open(struct house *h)
{
	struct queue_role *k = queue_of(h);

	k->policies = map_open();
	k->reports = map_open();
	ledger_kept(k->ledger, STS, load_one, k);
	ledger_kept(k->ledger, RPT, load_counted, k);
	k->reporting = timer_open(h->loop, reports_turn, h);
	timer_set(k->reporting, 1000);
}
