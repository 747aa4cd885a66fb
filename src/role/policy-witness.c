#include "role/policy-witness.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/journal.h"
#include "policy/greylist.h"
#include "policy/verified.h"
#include "policy/witness-settings.h"
#include "role/complaints.h"
#include "role/policy-names.h"
#include "role/policy-service.h"

enum {
	COMMIT_MS = 500,
	SWEEP_MS = 60000,
	SWEEP_AGAIN_MS = 20,
	PATH_ROOM = 1024,
	PAGE = 100,
	LISTEN_MS = 20,
	PATIENCE_MS = 60000
};

struct witnesses {
	struct house           *house;
	struct witness_settings set;
	struct policy_names    *names;
	struct services        *services;
	struct policydb        *db; /* NULL: cannot be used               */
	struct probes          *probes;
	struct timer           *commit, *sweep;
	bool                    committing;
	uint64_t                put_off, let_in;
};

static struct witnesses *
witnesses_of(const struct house *h)
{
	return policy_of(h)->witnesses;
}

struct probes *
witnesses_probes(struct house *h)
{
	return witnesses_of(h)->probes;
}

/*
 * The DNS
 */

static void
name_answered(void *ctx, enum policy_names_outcome outcome, struct bytes text)
{
	static const enum rule_answer of[] = {
		[POLICY_NAME_FOUND] = RULE_ANSWER_FOUND,
		[POLICY_NAME_NONE] = RULE_ANSWER_NONE,
		[POLICY_NAME_LATER] = RULE_ANSWER_LATER,
	};
	struct policy_question *q = ctx;

	q->asker = NULL;
	policy_answered(q, of[outcome], text);
}

static void
ask_dns(struct policy_question *q)
{
	struct witnesses            *w = witnesses_of(q->work->house);
	const struct setting_list   *filter = &rules_settings(q->work->rules)->witness.dns_filter;
	struct policy_name_question *n =
		policy_names_ask(w->names, filter, q->name, q->key, name_answered, q);

	if (n != NULL)
		q->asker = n;
}

static void
drop_dns(struct policy_question *q)
{
	struct policy_name_question *n = q->asker;

	q->asker = NULL;
	policy_names_drop(&n);
}
const struct policy_asker policy_asks_dns = { ask_dns, drop_dns, PATIENCE_MS };

/*
 * Policy services
 */

static void
service_said(void *ctx, bool good, struct bytes text)
{
	struct policy_question *q = ctx;

	q->asker = NULL;
	policy_answered(q, good ? RULE_ANSWER_FOUND : RULE_ANSWER_LATER, text);
}

static void
ask_service(struct policy_question *q)
{
	struct witnesses              *w = witnesses_of(q->work->house);
	const struct service_settings *set = &rules_settings(q->work->rules)->witness.service;
	struct service                 s;
	const char                    *wrong;

	if (!service_parse(bytes_of(q->name), set, q->work->life, &s, &wrong))
		policy_answered(q, RULE_ANSWER_LATER, bytes_of(wrong));
	else
		q->asker = services_ask(w->services, &s, q->key, service_said, q);
}

static void
drop_service(struct policy_question *q)
{
	struct service_request *r = q->asker;

	q->asker = NULL;
	services_drop(&r);
}
const struct policy_asker policy_asks_service = { ask_service, drop_service, 0 };

/*
 * The greylist
 */

static bool
peer_from_text(struct bytes text, struct peer *p)
{
	*p = (struct peer){ .family = AF_UNSPEC };
	if (!bytes_string(text, p->text, sizeof p->text))
		return false;
	if (inet_pton(AF_INET, p->text, p->raw) == 1)
		p->family = AF_INET;
	else if (inet_pton(AF_INET6, p->text, p->raw) == 1)
		p->family = AF_INET6;
	return p->family != AF_UNSPEC;
}

static void
write_soon(struct witnesses *w)
{
	if (w->committing || w->db == NULL || !policydb_is_dirty(w->db))
		return;
	w->committing = true;
	timer_set(w->commit, COMMIT_MS);
}

void
witnesses_write_soon(struct house *h)
{
	write_soon(witnesses_of(h));
}

static void
count_grey(struct witnesses *w, const char *network, const struct greylist_triplet *t,
           const struct greylist_answer *answer)
{
	w->put_off += answer->verdict <= GREYLIST_EARLY;
	w->let_in += answer->verdict == GREYLIST_PASSED;
	if (answer->verdict == GREYLIST_PASSED)
		note("greylist: %s came again: sender=<%.*s>, recipient=<%.*s>", network,
		     (int)t->sender.len, t->sender.at, (int)t->recipient.len, t->recipient.at);
}

static void
ask_grey(struct policy_question *q)
{
	struct witnesses               *w = witnesses_of(q->work->house);
	const struct greylist_settings *set = &rules_settings(q->work->rules)->witness.grey;
	struct arena                   *a = q->work->life;
	struct unpack                   u = unpack_of(q->key);
	struct bytes                    address = unpack_bytes(&u);
	struct greylist_triplet         t = { { NULL, 0 }, unpack_bytes(&u), unpack_bytes(&u) };
	struct greylist_answer          answer = { GREYLIST_KNOWN, 0 };
	char                            network[GREYLIST_NETWORK_ROOM];
	struct peer                     peer;
	const char                     *words;

	if (w->db == NULL || !unpack_done(&u) || !peer_from_text(address, &peer)) {
		policy_answered(q, RULE_ANSWER_NONE, BYTES("the greylist cannot be asked"));
		return;
	}
	greylist_network(&peer, set, network);
	t.network = bytes_of(network);
	t.sender = greylist_sender(a, t.sender);
	t.recipient = arena_lower(a, t.recipient);
	if (q->work->explains)
		greylist_look(w->db, set, &t, clock_wall(), &answer);
	else {
		greylist_ask(w->db, set, &t, clock_wall(), &answer);
		write_soon(w);
		count_grey(w, network, &t, &answer);
	}
	words = arena_printf(a, "%s: %s, %" PRId64 " seconds to wait", network,
	                     greylist_words[answer.verdict], answer.wait);
	policy_answered(q, answer.verdict <= GREYLIST_EARLY ? RULE_ANSWER_FOUND : RULE_ANSWER_NONE,
	                bytes_of(words));
}

static void
drop_grey(struct policy_question *q)
{
	(void)q;
}
const struct policy_asker policy_asks_grey = { ask_grey, drop_grey, 0 };
const struct policy_asker policy_asks_probe = { probes_ask, probes_drop, 0 };

/*
 * The database
 */

static void
commit(void *ctx)
{
	struct witnesses *w = ctx;

	w->committing = false;
	if (w->db != NULL)
		policydb_commit(w->db);
}

static void
sweep(void *ctx)
{
	struct witnesses *w = ctx;
	int64_t           now = clock_wall();
	bool              more;

	if (w->db == NULL)
		return;
	more = greylist_sweep(w->db, &w->set.grey, now);

	more = verified_sweep(w->db, &w->set.verified, now) || more;
	write_soon(w);
	timer_set(w->sweep, more ? SWEEP_AGAIN_MS : SWEEP_MS);
}

/* What cannot be read is kept for whoever wants to look at it; all in it is learned again. */
static void
open_database(struct witnesses *w)
{
	static const char *const files[] = { "", "-wal", "-shm" };
	struct buffer            errors = { 0 };
	char                     path[PATH_ROOM], from[PATH_ROOM], to[PATH_ROOM];

	(void)snprintf(path, sizeof path, "%s/policy.db", house_path(w->house, "policy"));
	w->db = policydb_open(path, &errors);
	complaints_warn(buffer_bytes(&errors));
	if (w->db == NULL) {
		for (size_t i = 0; i < COUNT(files); i++)
			if ((size_t)snprintf(from, sizeof from, "%s%s", path, files[i]) <
			            sizeof from &&
			    (size_t)snprintf(to, sizeof to, "%s.damaged%s", path, files[i]) <
			            sizeof to)
				(void)rename(from, to);
		buffer_reset(&errors);
		w->db = policydb_open(path, &errors);
		complaints_warn(buffer_bytes(&errors));
		warn_("%s: %s", path,
		      w->db != NULL ? "begun anew; the old one is policy.db.damaged"
		                    : "cannot be used: the greylist lets everybody in");
	}
	buffer_free(&errors);
}

/*
 * The day
 */

static struct policy_names_patience
patience_of(const struct witness_settings *set)
{
	return (struct policy_names_patience){ set->list_timeout, set->list_patience,
		                               set->list_rest };
}

struct witnesses *
witnesses_open(struct house *h)
{
	struct witnesses            *w = memory_take(sizeof *w);
	struct policy_names_patience patience;

	w->house = h;
	(void)house_settings(h, &witness_setting_table, NULL, &w->set);
	w->set.myorigin = h->common.myorigin;
	patience = patience_of(&w->set);
	w->names = policy_names_open(h, &patience);
	w->services = services_open(h, w->names);
	open_database(w);
	w->commit = timer_open(h->loop, commit, w);
	w->sweep = timer_open(h->loop, sweep, w);
	if (w->db != NULL)
		timer_set(w->sweep, SWEEP_MS);
	w->probes = probes_open(h, w->db);
	probes_settings(w->probes, &w->set);
	return w;
}

void
witnesses_reload(struct witnesses *w)
{
	struct policy_names_patience patience;

	if (!house_settings(w->house, &witness_setting_table, NULL, &w->set))
		return;
	w->set.myorigin = w->house->common.myorigin;
	patience = patience_of(&w->set);
	policy_names_reload(w->names, &patience);
	services_reload(w->services);
	probes_settings(w->probes, &w->set);
}

void
witnesses_stop(struct witnesses *w)
{
	timer_clear(w->commit);
	timer_clear(w->sweep);
	policydb_close(&w->db);
	probes_stop(w->probes);
}

void
witnesses_status(const struct witnesses *w, struct buffer *out)
{
	buffer_printf(out, " greylisted=%" PRIu64 " came_again=%" PRIu64 " ", w->put_off,
	              w->let_in);
	policy_names_status(w->names, out);
	buffer_add_char(out, ' ');
	services_status(w->services, out);
}

/*
 * mansio policy greylist list | delete NETWORK [SENDER [RECIPIENT]] | flush; verify list | delete ADDRESS | flush
 */

/* A list that is being told, a page in each turn. */
struct telling {
	struct house           *house;
	struct caller          *caller;
	struct arena           *life, *page;
	struct timer           *timer;
	bool                    verify, clients;
	struct greylist_triplet after;
	struct bytes            name;
};

static void
tell_triplet(void *ctx, const struct greylist_triplet *t, const struct greylist_known *k)
{
	struct telling *l = ctx;
	char            first[48], last[48];

	clock_rfc5322(k->first, first, sizeof first);
	clock_rfc5322(k->last, last, sizeof last);
	caller_say(l->caller, "%.*s\t<%.*s>\t<%.*s>\t%s\t%" PRId64 "\t%s\t%s\n",
	           (int)t->network.len, t->network.at, (int)t->sender.len, t->sender.at,
	           (int)t->recipient.len, t->recipient.at, k->passed > 0 ? "passed" : "waits",
	           k->tries, first, last);
	l->after = (struct greylist_triplet){ arena_keep(l->page, t->network),
		                              arena_keep(l->page, t->sender),
		                              arena_keep(l->page, t->recipient) };
}

static void
tell_client(void *ctx, struct bytes network, int64_t passed, int64_t last)
{
	struct telling *l = ctx;
	char            when[48];

	clock_rfc5322(last, when, sizeof when);
	caller_say(l->caller, "%.*s\tnetwork\t%" PRId64 " let in\t%s\n", (int)network.len,
	           network.at, passed, when);
	l->name = arena_keep(l->page, network);
}

static void
tell_address(void *ctx, struct bytes address, const struct verified_known *k)
{
	static const char *const words[] = { "deliverable", "unknown", "undeliverable", "asked" };
	struct telling          *l = ctx;
	char                     when[48];

	clock_rfc5322(k->updated > 0 ? k->updated : k->probed, when, sizeof when);
	caller_say(l->caller, "%.*s\t%s\t%s\t%.*s\n", (int)address.len, address.at,
	           (unsigned)k->outcome < COUNT(words) ? words[k->outcome] : "?", when,
	           (int)k->text.len, k->text.at);
	l->name = arena_keep(l->page, address);
}

static void
telling_end(struct telling *l)
{
	struct arena *life = l->life;

	caller_done(l->caller, 0);
	timer_close(&l->timer);
	arena_close(&life);
}

/* One page; how many rows it had. */
static int
tell_page(struct telling *l)
{
	struct policydb *db = witnesses_of(l->house)->db;
	struct arena    *before = l->page;
	int              n;

	l->page = arena_open(l->life);
	n = l->verify    ? verified_list(db, l->name, PAGE, tell_address, l)
	    : l->clients ? greylist_clients(db, l->name, PAGE, tell_client, l)
	                 : greylist_list(db, &l->after, PAGE, tell_triplet, l);
	arena_close(&before);
	return n;
}

static void
tell_more(void *ctx)
{
	struct telling *l = ctx;

	if (caller_gone(l->caller)) {
		telling_end(l);
		return;
	}
	if (!caller_hears(l->caller)) {
		timer_set(l->timer, LISTEN_MS);
		return;
	}
	if (tell_page(l) < PAGE) {
		if (l->verify || l->clients) {
			telling_end(l);
			return;
		}
		l->clients = true;
	}
	timer_set(l->timer, 0);
}

static void
list(struct house *h, struct caller *c, bool verify)
{
	struct arena   *life = arena_open(NULL);
	struct telling *l = arena_take(life, sizeof *l);

	*l = (struct telling){ .house = h, .caller = c, .life = life, .verify = verify };
	l->page = arena_open(life);
	l->timer = timer_open(h->loop, tell_more, l);
	tell_more(l);
}

static void
tell_count(struct house *h, struct caller *c, int n)
{
	if (n < 0)
		caller_complain(c, "mansio: policy.db cannot be written; the log says why\n");
	else
		caller_say(c, "%d removed\n", n);
	write_soon(witnesses_of(h));
	caller_done(c, n < 0 ? 1 : 0);
}

static int
delete_grey(struct policydb *db, const struct word_ask *w)
{
	struct arena           *a = arena_open(NULL);
	struct greylist_triplet t = {
		bytes_of(w->argv[3]),
		w->argc > 4 ? arena_lower(a, bytes_of(w->argv[4])) : BYTES(""),
		w->argc > 5 ? arena_lower(a, bytes_of(w->argv[5])) : BYTES(""),
	};
	int n = greylist_delete(db, &t);

	arena_close(&a);
	return n;
}

bool
witnesses_command(struct house *h, struct caller *c, const struct word_ask *w)
{
	struct policydb *db = witnesses_of(h)->db;
	bool             grey = w->argc > 1 && strcmp(w->argv[1], "greylist") == 0;
	const char      *what = w->argc > 2 ? w->argv[2] : "";

	if (!grey && (w->argc < 2 || strcmp(w->argv[1], "verify") != 0))
		return false;
	if (db == NULL) {
		caller_complain(c, "mansio: policy.db cannot be used; the log says why\n");
		caller_done(c, 1);
	} else if (strcmp(what, "list") == 0 && w->argc == 3) {
		list(h, c, !grey);
	} else if (strcmp(what, "flush") == 0 && w->argc == 3) {
		tell_count(h, c, grey ? greylist_flush(db) : verified_flush(db));
	} else if (strcmp(what, "delete") == 0 && w->argc > 3 && w->argc <= (grey ? 6u : 4u)) {
		tell_count(h, c,
		           grey ? delete_grey(db, w) : verified_delete(db, bytes_of(w->argv[3])));
	} else {
		caller_complain(
			c,
			grey ? "mansio: policy greylist wants: list, delete NETWORK [SENDER [RECIPIENT]], or flush\n"
			     : "mansio: policy verify wants: list, delete ADDRESS, or flush\n");
		caller_done(c, 2);
	}
	return true;
}
