/*
 * sender-sts -- the policies of domains about their own hosts (smtp/sender/sts.h): fetched once for all deliveries that ask
 *
 * What the queue remembers comes with SEND, and what is learned goes back with SENT: a policy is kept until its time is over,
 * whatever happens to the domain's records meanwhile (rfc8461:5.1).
 */
#include "base/clock.h"
#include "role/sender.h"
#include <string.h>

enum { AGAIN_S = 300, KNOWN_MOST = 10000, KNOWN_BYTES = 32 << 20 };

static int64_t
wall_s(void)
{
	return clock_wall_us() / 1000000;
}

static size_t
sts_weight(const struct sts_known *k)
{
	return k->life != NULL ? arena_size(k->life) : 0;
}

static void
sts_drop(struct sender_role *s, struct sts_known *k)
{
	s->policies_bytes -= sts_weight(k);
	arena_close(&k->life);
	memory_free(k->domain);
	memory_free(k);
}

static bool
is_waited_for(const struct sender_role *s, const struct sts_known *k)
{
	for (const struct delivery *d = s->first; d != NULL; d = d->next)
		if (d->waits_for == k || d->sts == k)
			return true;
	return false;
}

static void
sts_sweep(struct sender_role *s)
{
	for (struct map_place p = { 0 }; map_next(s->policies, &p);) {
		struct sts_known *k = p.value;

		if (!k->fetching && !is_waited_for(s, k)) {
			(void)map_drop(s->policies, p.key);
			sts_drop(s, k);
		}
	}
}

static struct sts_known *
sts_of(struct sender_role *s, const char *domain)
{
	struct sts_known *k;
	size_t            n = strlen(domain) + 1;

	if (s->policies == NULL)
		s->policies = map_open();
	if ((k = map_get(s->policies, bytes_of(domain))) != NULL)
		return k;
	if (map_count(s->policies) >= KNOWN_MOST || s->policies_bytes >= KNOWN_BYTES)
		sts_sweep(s);
	k = memory_take(sizeof *k);
	k->domain = memcpy(memory_take(n), domain, n);
	k->why = "";
	(void)map_put(s->policies, bytes_of(k->domain), k);
	return k;
}

/* False: it is none. */
static bool
sts_take(struct sender_role *s, struct sts_known *k, const char *id, struct bytes text,
         int64_t fetched_s, const char **why)
{
	struct arena     *life = arena_open(NULL);
	struct sts_policy policy;

	if (!sts_read(text, life, &policy, why)) {
		arena_close(&life);
		return false;
	}
	s->policies_bytes -= sts_weight(k);
	arena_close(&k->life);
	k->life = life;
	k->policy = policy;
	k->text = arena_keep(life, text);
	s->policies_bytes += sts_weight(k);
	(void)bytes_string(bytes_of(id), k->id, sizeof k->id);
	k->fetched_s = fetched_s;
	k->until_s = fetched_s + policy.age_s;
	return true;
}

void
sender_sts_remember(struct house *h, const struct word_send *w)
{
	struct sender_role *s = sender_of(h);
	struct sts_known   *k;
	const char         *why;

	if (w->sts.text.len == 0)
		return;
	k = sts_of(s, w->sts.domain);
	if (!k->fetching && k->fetched_s < w->sts.fetched_s)
		(void)sts_take(s, k, w->sts.id, w->sts.text, w->sts.fetched_s, &why);
}

void
sender_sts_forget(struct house *h)
{
	struct sender_role *s = sender_of(h);

	for (struct delivery *d = s->first; d != NULL; d = d->next)
		d->waits_for = NULL;
}

/* ---- fetching ---- */

static void
wake(struct sender_role *s, const struct sts_known *k)
{
	struct delivery *d = s->first;

	while (d != NULL)
		if (d->waits_for == k) {
			d->waits_for = NULL;
			if (--d->asking == 0)
				delivery_heard(d);
			d = s->first; /* whoever went on may be gone */
		} else {
			d = d->next;
		}
}

struct fetch {
	struct house     *house;
	struct sts_known *k;
	char              id[STS_ID_MOST + 1];
};

static void
fetched(void *ctx, enum web_trouble trouble, const char *why, const struct webreply *reply)
{
	struct fetch       *f = ctx;
	struct sender_role *s = sender_of(f->house);
	struct sts_known   *k = f->k;
	const char         *wrong = why;

	k->fetching = false;
	k->failure = STS_FETCHED;
	if (trouble == WEB_UNTRUSTED)
		k->failure = STS_UNTRUSTED;
	else if (trouble != WEB_GOOD)
		k->failure = STS_UNREACHED;
	else if (reply->code != 200) /* rfc8461:3.3: no redirect is followed */
		k->failure = STS_UNREACHED, wrong = "the web server has none";
	else if (!bytes_equal_nocase(reply->type, BYTES("text/plain")))
		k->failure = STS_INVALID, wrong = "it is not text/plain";
	else if (!sts_take(s, k, f->id, reply->content, wall_s(), &wrong))
		k->failure = STS_INVALID;
	if (k->failure == STS_FETCHED)
		k->learned = true;
	else
		warn_("mta-sts: the policy of %s is not to be had: %s", k->domain, wrong);
	wake(s, k);
	memory_free(f);
}

static void
fetch(struct house *h, struct sts_known *k, const char *id)
{
	struct arena      *a = arena_open(NULL);
	struct fetch      *f = memory_take(sizeof *f);
	struct web_request r = { .path = "/.well-known/mta-sts.txt", .most = STS_TEXT_MOST };

	*f = (struct fetch){ .house = h, .k = k };
	(void)bytes_string(bytes_of(id), f->id, sizeof f->id);
	(void)bytes_string(bytes_of(id), k->tried, sizeof k->tried);
	k->tried_s = wall_s();
	k->fetching = true;
	sender_web(h, arena_printf(a, "mta-sts.%s", k->domain), &r, fetched, f);
	arena_close(&a);
}

/* ---- asking ---- */

/* rfc8461:3.3: what is fetched again is what is old, or another; what failed, not at once. */
static bool
is_to_be_fetched(const struct sts_known *k, const char *id, bool holds, int64_t now)
{
	if (strcmp(k->tried, id) == 0 && now < k->tried_s + AGAIN_S && k->failure != STS_FETCHED)
		return false;
	return !holds || strcmp(k->id, id) != 0 ||
	       now > k->fetched_s + (k->until_s - k->fetched_s) / 2;
}

enum sts_outcome
sender_sts(struct delivery *d, const char *domain)
{
	struct sender_role  *s = sender_of(d->house);
	const char          *name = arena_printf(d->life, "_mta-sts.%s", domain);
	const struct answer *x = delivery_ask(d, bytes_of(name), DNS_TXT);
	char                 id[STS_ID_MOST + 1];
	int64_t              now = wall_s();
	struct sts_known    *k;
	bool                 some, holds;

	if (x == NULL)
		return STS_WAIT;
	some = sts_record(x, id);
	k = sts_of(s, domain);
	d->sts = k;
	holds = k->life != NULL && k->until_s > now;
	if (some && !k->fetching && is_to_be_fetched(k, id, holds, now))
		fetch(d->house, k, id);
	if (k->fetching && (!holds || strcmp(k->id, id) != 0)) {
		d->waits_for = k;
		d->asking++;
		return STS_WAIT;
	}
	d->sts_failure = some && k->failure != STS_FETCHED && strcmp(k->tried, id) == 0
	                         ? k->failure
	                         : STS_FETCHED;
	return holds && k->policy.mode != STS_NONE ? STS_FOUND : STS_ABSENT;
}
