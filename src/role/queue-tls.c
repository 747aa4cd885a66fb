/*
 * queue-tls -- what senders learn of other domains' TLS and forget: policies about their own hosts (rfc8461) are remembered here,
 * and go along with every letter to such a domain; how TLS came about is counted by domain and day, and reported (rfc8460)
 */
#include "base/clock.h"
#include "base/pack.h"
#include "queue/tlsrpt.h"
#include "role/queue.h"
#include "smtp/sender/sts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
	REMEMBERED_MOST = 20000,
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

/* False: it is none any more, or never was one. */
static bool
remember(struct queue_role *k, const struct word_sts *w)
{
	struct arena      *life = arena_open(NULL);
	struct remembered *r = arena_take(life, sizeof *r);
	struct sts_policy  policy;
	const char        *why;

	*r = (struct remembered){ .life = life };
	if (strlen(w->domain) > 255 || strlen(w->id) > STS_ID_MOST ||
	    !sts_read(w->text, life, &policy, &why) ||
	    (r->until_s = w->fetched_s + policy.age_s) <= clock_wall_us() / 1000000 ||
	    map_count(k->policies) >= REMEMBERED_MOST) {
		arena_close(&life);
		return false;
	}
	r->policy = (struct word_sts){ arena_copy(life, bytes_of(w->domain)),
		                       arena_copy(life, bytes_of(w->id)), arena_keep(life, w->text),
		                       w->fetched_s };
	forget(map_put(k->policies, bytes_of(w->domain), r));
	return true;
}

/* ---- how TLS came about --------------------------------------------------------------------- */

/* "20410/example.com": the day since 1970. */
struct counted {
	char          *key;
	struct tlsrpt *counts;
	int64_t        again_s;
	uint32_t       ticket;
	bool           changed;
};

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

	if (domain.len > 0 && domain.len <= 255)
		c = counted_of(k, arena_printf(a, "%lld/%.*s",
		                               (long long)(clock_wall_us() / 1000000 / DAY_S),
		                               (int)domain.len, domain.at));
	if (c != NULL) {
		tlsrpt_add(c->counts, &(struct tlsrpt_session){ r->policy, r->text, r->host,
		                                                r->address, r->type, r->reason });
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

/* To a sender: where the domain wants it is found out there. */
static void
report_one(struct house *h, struct counted *c, struct link *l)
{
	struct queue_role *k = queue_of(h);
	struct arena      *a = arena_open(NULL);
	const char        *domain = strchr(c->key, '/') + 1, *host = k->common.myhostname;
	long long          day = strtoll(c->key, NULL, 10) * DAY_S;
	struct word_tlsrpt w = { .domain = domain, .contact = k->rows.tlsrpt_contact };
	struct buffer      json = { 0 };

	w.id = arena_printf(a, "%lld.%016llx", day,
	                    (unsigned long long)(hash_of(bytes_of(c->key)) ^
	                                         hash_of(bytes_of(host))));
	w.file = arena_printf(a, "%s!%s!%lld!%lld!001.json.gz", host, domain, day, day + DAY_S - 1);
	tlsrpt_write(c->counts, &(struct tlsrpt_head){ host, w.contact, w.id, domain, day }, &json);
	if (press(buffer_bytes(&json), a, &w.content)) {
		c->ticket = ++k->next_ticket;
		c->again_s = clock_wall_us() / 1000000 + AGAIN_S;
		word_pack_tlsrpt(link_begin(l, WORD_TLSRPT, c->ticket), &w);
		link_end(l);
	}
	buffer_free(&json);
	arena_close(&a);
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
	struct link       *l = house_link(h, SENDER, 0);

	timer_set(k->reporting, l != NULL ? REPORT_TURN_MS : 1000);
	queue_tls_keep(h);
	for (struct map_place p = { 0 }; map_next(k->reports, &p);) {
		struct counted *c = p.value;
		int64_t         over = (strtoll(c->key, NULL, 10) + 1) * DAY_S;

		if (now > over + DAY_S)
			counted_drop(k, c);
		else if (now >= over && now >= c->again_s && l != NULL && k->rows.tlsrpt)
			report_one(h, c, l);
	}
}

bool
hear_tlsrpt_said(struct house *h, uint32_t ticket, struct bytes body)
{
	struct queue_role *k = queue_of(h);
	struct unpack      u = unpack_of(body);
	uint8_t            fate = unpack_u8(&u);

	if (!unpack_done(&u) || fate > TLSRPT_AGAIN)
		return false;
	for (struct map_place p = { 0 }; map_next(k->reports, &p);) {
		struct counted *c = p.value;

		if (c->ticket != ticket || ticket == 0)
			continue;
		if (fate == TLSRPT_TAKEN)
			note_as(queue_services[SERVICE_QMGR], "tlsrpt: the report for %s was taken",
			        strchr(c->key, '/') + 1);
		if (fate != TLSRPT_AGAIN)
			counted_drop(k, c);
		break;
	}
	return true;
}

void
queue_tls_learn(struct house *h, const struct word_sent *w)
{
	struct queue_role *k = queue_of(h);
	struct buffer      packed = { 0 };
	char               name[NAME_MOST];

	for (uint32_t i = 0; i < w->tlss && k->rows.tlsrpt; i++)
		count_one(k, &w->tls[i]);
	if (w->sts.text.len == 0 || !remember(k, &w->sts))
		return;
	pack_string(&packed, w->sts.id);
	pack_bytes(&packed, w->sts.text);
	pack_u64(&packed, (uint64_t)w->sts.fetched_s);
	kept_name(w->sts.domain, name);
	ledger_keep(k->ledger, name, buffer_bytes(&packed));
	buffer_free(&packed);
}

void
queue_tls_tell(struct house *h, struct arena *a, struct word_send *w)
{
	struct queue_role       *k = queue_of(h);
	struct bytes             domain = bytes_of(w->nexthop);
	ptrdiff_t                end = bytes_find(domain, ':');
	const struct remembered *r;
	char                     name[NAME_MOST];

	w->sts = (struct word_sts){ "", "", { NULL, 0 }, 0 };
	if (w->lmtp)
		return;
	if (end >= 0)
		domain = bytes_cut(domain, 0, (size_t)end);
	r = map_get(k->policies, arena_lower(a, domain));
	if (r == NULL)
		return;
	if (r->until_s > clock_wall_us() / 1000000) {
		w->sts = r->policy;
		return;
	}
	kept_name(r->policy.domain, name);
	ledger_keep(k->ledger, name, BYTES(""));
	forget(map_drop(k->policies, bytes_of(r->policy.domain)));
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
