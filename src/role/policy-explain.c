/* policy-explain.c -- mansio policy explain: what would be said of such a letter, rule by rule */
#include "role/policy.h"

#include <arpa/inet.h>
#include <string.h>

#include "directory/lookup.h"
#include "dns/peername.h"
#include "message/address.h"
#include "role/enquiry.h"
#include "role/names.h"
#include "smtp/receiver/screen-list.h"
#include "smtp/receiver/settings.h"

/* What it is about, and how far it has come: in its own arena. */
struct explaining {
	struct arena     *life;
	struct house     *house;
	struct caller    *caller;
	struct rules     *rules;
	struct rule_facts facts;
	enum rule_moment  moment;
	struct peer       client;
	/* Its name is looked up with one of its own: no answer changes what others hear. */
	struct resolver        *resolver;
	struct peername_search *search;
	struct errand           named;
	/* What tables of clients have; those that are elsewhere are asked before anything is said. */
	struct lookups      *lookups;
	struct enquiry_round round;
	struct bytes         called; /* what the caller says that it is called */
	/* Recipients, each with LF behind it, that RCPT has not been said of yet; how many were taken, and the only one of them. */
	struct bytes      to;
	bool              several, refused;
	uint32_t          taken;
	struct rule_facts of_one;
};

static void explain_next(struct explaining *);

static void
explain_end(struct explaining *e, int status)
{
	struct arena *life = e->life;

	caller_done(e->caller, status);
	errand_clear(&e->named);
	enquiry_round_drop(&e->round);
	peername_clear(&e->search);
	resolver_close(&e->resolver);
	rules_drop(&e->rules);
	arena_close(&life);
}

/* As a session has it of MAIL and RCPT: "user"@example.org is user@example.org.  What is no address stands as it is. */
static struct bytes
as_said(struct arena *a, struct bytes word, struct address *out)
{
	struct scan r = scan_of(word);

	if (!path_parse(&r, PATH_LENIENT | PATH_UTF8, a, out) || r.rest.len > 0)
		*out = (struct address){ BYTES(""), BYTES("") };
	return out->local.len > 0 ? address_text(a, out) : word;
}

static struct bytes
whole(struct house *h, struct arena *a, struct bytes said, struct address address)
{
	if (address.local.len == 0 || address.domain.len > 0)
		return said;
	address.domain = bytes_of(h->common.myorigin);
	return address_text(a, &address);
}

/* The next of them stands in the facts; false: there is none. */
static bool
recipient_next(struct explaining *e)
{
	struct address address;
	struct bytes   word;

	if (e->to.len == 0 || !bytes_split(&e->to, '\n', &word))
		return false;
	e->facts.recipient = as_said(e->life, word, &address);
	e->facts.recipient_whole = whole(e->house, e->life, e->facts.recipient, address);
	e->facts.recipient_is = RECIPIENT_UNASKED;
	e->facts.recipient_why = BYTES("");
	return true;
}

/* A rule for the letter hears of its only recipient, of several of none.  False: another is asked about, or none was taken. */
static bool
recipient_said(struct explaining *e, bool refused)
{
	if (!refused && e->taken++ == 0)
		e->of_one = e->facts;
	if (recipient_next(e)) {
		explain_next(e);
		return false;
	}
	if (e->taken == 0) {
		explain_end(e, 1);
		return false;
	}
	e->facts.has_recipient = e->taken == 1;
	e->facts.recipient = e->taken == 1 ? e->of_one.recipient : BYTES("");
	e->facts.recipient_whole = e->taken == 1 ? e->of_one.recipient_whole : BYTES("");
	e->facts.recipient_is = e->taken == 1 ? e->of_one.recipient_is : RECIPIENT_UNASKED;
	e->facts.recipient_why = e->taken == 1 ? e->of_one.recipient_why : BYTES("");
	return true;
}

static void
explained(struct policy_work *w, const struct rule_verdict *v)
{
	static const char *const moments[RULE_MOMENTS] = {
		[AT_CONNECT] = "when it connects",
		[AT_HELO] = "at HELO",
		[AT_MAIL] = "at MAIL",
		[AT_RCPT] = "at RCPT",
		[AT_DATA] = "at DATA",
		[AT_END] = "when the letter is there",
	};
	struct explaining *e = w->explaining;
	bool               discards = false;

	caller_say(e->caller, "%s", moments[e->moment]);
	if (e->several && e->moment == AT_RCPT)
		caller_say(e->caller, ", of <%.*s>", (int)e->facts.recipient.len,
		           e->facts.recipient.at);
	caller_say(e->caller, "\n%.*s", (int)w->trace.len, w->trace.at);
	for (const struct rule_action *a = v->action; a != NULL; a = a->next) {
		static const char *const deeds[RULE_DEEDS] = {
			[DEED_HOLD] = "HOLD",     [DEED_DISCARD] = "DISCARD",
			[DEED_FILTER] = "FILTER", [DEED_REDIRECT] = "REDIRECT",
			[DEED_BCC] = "BCC",       [DEED_PREPEND] = "PREPEND",
		};
		if (a->deed == DEED_PASS) {
			caller_say(e->caller, "  the client is tested no further: %.*s\n",
			           (int)a->text.len, a->text.at);
			continue;
		}
		caller_say(e->caller, "  the letter: %s %.*s\n", deeds[a->deed], (int)a->text.len,
		           a->text.at);
		/* Before there is a letter nothing can be done with it. */
		discards |= a->deed == DEED_DISCARD && e->moment >= AT_MAIL;
	}
	if (v->outcome == RULE_REFUSES) {
		caller_say(e->caller, "refused by %.*s of %.*s: %.*s\n", (int)v->rule.len,
		           v->rule.at, (int)v->list.len, v->list.at, (int)v->reply.len,
		           v->reply.at);
		if (e->moment != AT_RCPT || !e->several) {
			explain_end(e, 1);
			return;
		}
		e->refused = true;
	}
	if (discards) {
		caller_say(e->caller, "it is discarded, and asked nothing more\n");
		explain_end(e, 0);
		return;
	}
	e->facts.recipient_is = w->facts.recipient_is;
	e->facts.recipient_why = arena_keep(e->life, w->facts.recipient_why);
	if (e->moment == AT_RCPT && !recipient_said(e, v->outcome == RULE_REFUSES))
		return;
	e->facts.deferred = arena_keep(e->life, v->deferred);
	e->moment++;
	explain_next(e);
}

/* As in a session, where nobody knows what the client will say later. */
static void
hide_what_comes(struct rule_facts *f)
{
	if (f->moment < AT_HELO) {
		f->helo_said = false;
		f->helo = BYTES("");
	}
	if (f->moment < AT_MAIL) {
		f->has_sender = false;
		f->sender = f->sender_whole = BYTES("");
	}
	if (f->moment < AT_RCPT) {
		f->has_recipient = false;
		f->recipient = f->recipient_whole = BYTES("");
	}
}

/* The moments in their order; those that have no rules are silent. */
static void
explain_next(struct explaining *e)
{
	struct policy_work *w;
	struct rule_facts   now;

	while (e->moment <= AT_END && (e->moment == AT_VRFY || !rules_have(e->rules, e->moment)))
		e->moment++;
	if (e->moment > AT_END) {
		caller_say(e->caller, e->refused ? "nothing refuses it to the others\n"
		                                 : "nothing refuses it\n");
		explain_end(e, e->refused);
		return;
	}
	now = e->facts;
	now.moment = (uint8_t)e->moment;
	now.recipients = e->taken;
	hide_what_comes(&now);
	w = policy_work_open(e->house, &now);
	w->rules = rules_take(e->rules);
	w->caller = e->caller;
	w->explaining = e;
	w->explains = w->traces = true;
	w->done = explained;
	policy_work_go(w);
}

/*
 * The client
 */

static struct table *
local_table(void *ctx, const char *name)
{
	const struct explaining *e = ctx;

	return tables_local(policy_of(e->house)->tables, name);
}

static enum table_outcome
kept_answer(void *ctx, const char *name, struct bytes key, struct arena *a, struct bytes *value)
{
	const struct explaining *e = ctx;

	return enquiry_kept(policy_of(e->house)->enquiries, name, key, a, value);
}

/* As a receiver looks into it. */
static enum table_outcome
table_says(const struct explaining *e, const char *name, struct bytes *value)
{
	return lookup_find(e->lookups, name, bytes_of(e->client.text), value);
}

static enum network_answer
item_says(struct explaining *e, const struct network_item *item, const char *setting)
{
	struct bytes       value;
	enum table_outcome o;

	if (item->table == NULL)
		return network_holds(&item->net, &e->client) ? NETWORK_HAS : NETWORK_NOT;
	o = table_says(e, item->table, &value);
	if (o == TABLE_LATER)
		caller_say(e->caller, "%s of %s cannot be asked now\n", item->table, setting);
	return o == TABLE_FOUND ? NETWORK_HAS : o == TABLE_NONE ? NETWORK_NOT : NETWORK_LATER;
}

/* Whether it is in such a list of networks, with its files and tables. */
static enum network_answer
look_in(struct explaining *e, const struct setting_list *of, const char *setting)
{
	struct setting_list list = *of;
	struct network_item item;
	const char         *wrong = "";
	enum network_answer a;

	tables_patterns(e->house, e->life, &list);
	for (size_t i = 0; i < list.count; i++) {
		if (!network_item_parse(list.item[i], &item, &wrong))
			continue;
		if ((a = item_says(e, &item, setting)) == NETWORK_LATER)
			return a;
		if (a == NETWORK_HAS)
			return item.no ? NETWORK_NOT : NETWORK_HAS;
	}
	return NETWORK_NOT;
}

static void
ask_all(struct explaining *e, const struct setting_list *of)
{
	struct setting_list list = *of;
	struct bytes        value;

	tables_patterns(e->house, e->life, &list);
	for (size_t i = 0; i < list.count; i++) {
		const char *item = list.item[i] + strspn(list.item[i], "!");

		if (table_is_name(item))
			(void)table_says(e, item, &value);
	}
}

static bool
screen_table(void *ctx, const char *table, struct arena *a, struct bytes *out)
{
	struct explaining *e = ctx;
	enum table_outcome o = table_says(e, table, out);

	(void)a;
	if (o == TABLE_LATER)
		caller_say(e->caller,
		           "%s of postscreen_access_list cannot be asked now: it is taken to say "
		           "nothing\n",
		           table);
	return o == TABLE_FOUND;
}

/* What postscreen_access_list makes of it, in words.  True: it is sent away before anything is asked. */
static bool
is_denied(struct explaining *e, const struct receiver_settings *set)
{
	const char        *by;
	enum screen_access says =
		screen_list_says(&set->screen_access, e->facts.trusted, screen_table, e, &by);

	if (says == ACCESS_ALLOWED) {
		e->facts.tested = false;
		caller_say(e->caller, "postscreen_access_list: permitted by %s: it is not tested\n",
		           by);
	}
	if (says != ACCESS_DENIED)
		return false;
	caller_say(e->caller, "postscreen_access_list: rejected by %s\n", by);
	if (set->deny_action == SCREEN_IGNORE)
		return false;
	caller_say(e->caller,
	           "refused by postscreen_access_list%s: %d 5.3.2 Service currently unavailable\n",
	           set->deny_action == SCREEN_DROP ? " before the greeting" : " at RCPT",
	           set->deny_action == SCREEN_DROP ? 521 : 550);
	return true;
}

/* Whether a session of it would be tested before it is greeted; false: it would be refused by that alone. */
static bool
passes_screen(struct explaining *e)
{
	struct receiver_settings set;
	char                     listener[64];
	struct setting_list      list;

	if (!bytes_string(e->facts.listener, listener, sizeof listener) ||
	    strcmp(listener, "smtp") != 0 ||
	    !house_settings(e->house, &receiver_setting_table, listener, &set) || !set.screen)
		return true;
	list = set.screen_allow;
	if (look_in(e, &list, "postscreen_allow_list") == NETWORK_HAS)
		return true;
	e->facts.tested = true;
	return !is_denied(e, &set);
}

/* What was found stands in the facts, as a session's. */
static void
is_called(struct explaining *e, enum rule_named how, struct bytes name, struct bytes reverse)
{
	static const char *const words[] = {
		[NAME_CONFIRMED] = "",
		[NAME_NONE] = " (it has none)",
		[NAME_FOREIGN] = " (its name has other addresses)",
		[NAME_NO_HOST] = " (its name has no address)",
		[NAME_LATER] = " (nobody can say now)",
	};
	struct rule_facts *f = &e->facts;

	f->named = how;
	f->name = how == NAME_CONFIRMED ? arena_keep(e->life, name) : BYTES("unknown");
	f->reverse = reverse.len > 0 ? arena_keep(e->life, reverse) : BYTES("unknown");
	caller_say(e->caller, "the client is %.*s[%s]%s", (int)f->name.len, f->name.at,
	           e->client.text, words[how]);
	if (how == NAME_FOREIGN || how == NAME_NO_HOST)
		caller_say(e->caller, ": %.*s", (int)f->reverse.len, f->reverse.at);
	caller_say(e->caller, "\n");
}

static void
go_on(void *ctx)
{
	explain_next(ctx);
}

_Static_assert((int)PEERNAME_CONFIRMED == (int)NAME_CONFIRMED &&
                       (int)PEERNAME_NONE == (int)NAME_NONE &&
                       (int)PEERNAME_FOREIGN == (int)NAME_FOREIGN &&
                       (int)PEERNAME_NO_HOST == (int)NAME_NO_HOST &&
                       (int)PEERNAME_LATER == (int)NAME_LATER,
               "a name is known alike here and there");

static void
name_found(void *ctx, const struct peername *p)
{
	struct explaining *e = ctx;

	e->search = NULL;
	is_called(e, (enum rule_named)p->class, p->name, p->reverse);
	errand_set(e->house->loop, &e->named);
}

/* In the order of a session: told, not asked for, of this machine's file, of the DNS. */
static void
name_client(struct explaining *e, struct bytes told)
{
	struct receiver_settings set;
	const char              *hosts = house_resource_text(e->house, "hosts");
	struct bytes             name;
	char                     listener[64];

	if (told.len > 0) {
		is_called(e, NAME_CONFIRMED, told, told);
	} else if (!bytes_string(e->facts.listener, listener, sizeof listener) ||
	           !house_settings(e->house, &receiver_setting_table, listener, &set) ||
	           !set.peername_lookup) {
		is_called(e, NAME_NONE, BYTES(""), BYTES(""));
	} else if (hosts != NULL && peername_in(bytes_of(hosts), &e->client, &name)) {
		is_called(e, NAME_CONFIRMED, name, name);
	} else if ((e->resolver = house_resolver(e->house)) == NULL) {
		is_called(e, NAME_LATER, BYTES(""), BYTES(""));
	} else {
		e->search = peername_ask(e->resolver, &e->client, name_found, e);
		return;
	}
	explain_next(e);
}

static bool
read_client(struct explaining *e, const char *address)
{
	struct peer *p = &e->client;

	p->family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET;
	return inet_pton(p->family, address, p->raw) == 1 &&
	       inet_ntop(p->family, p->raw, p->text, sizeof p->text) != NULL;
}

static struct rule_facts
facts_of(struct house *h, struct arena *a, const struct bytes word[static 9])
{
	struct rule_facts f = {
		.listener = word[0],
		.port = BYTES("0"),
		.helo_said = word[3].len > 0,
		.esmtp = true,
		.helo = word[3],
		.has_sender = true,
		.sender = bytes_is(word[4], "<>") ? BYTES("") : word[4],
		.has_recipient = true,
		.user = word[6],
		.method = word[6].len > 0 ? BYTES("PLAIN") : BYTES(""),
		.tls = word[7].len > 0 || word[8].len > 0,
		/* Of the certificate or its key: a table may have either. */
		.fingerprint = word[8],
		.key_fingerprint = word[8],
		.instance = BYTES("explain"),
	};
	size_t         place = listener_place(&h->listeners, word[0]);
	struct address sender;

	f.lmtp = place < h->listeners.count && h->listeners.one[place].service == LISTEN_LMTP;
	f.sender = as_said(a, f.sender, &sender);
	f.sender_whole = whole(h, a, f.sender, sender);
	return f;
}

/* All that is asked of tables of clients is known. */
static void
lists_known(struct explaining *e)
{
	enum network_answer a = look_in(e, &e->house->common.mynetworks, "mynetworks");

	e->facts.trusted = a == NETWORK_HAS;
	e->facts.unsure = a == NETWORK_LATER;
	if (!passes_screen(e)) {
		explain_end(e, 1);
		return;
	}
	e->facts.here =
		bytes_starts(e->facts.address, BYTES("127.")) || bytes_is(e->facts.address, "::1");
	name_client(e, e->called);
}

static void
answered(struct enquiry_round *r)
{
	lists_known((struct explaining *)(void *)((char *)r - offsetof(struct explaining, round)));
}

static void
look_at_lists(struct explaining *e)
{
	static const struct lookup_needs needs = { .local = local_table, .kept = kept_answer };
	struct receiver_settings         set;

	e->lookups = lookups_open(&needs, e, e->life);
	ask_all(e, &e->house->common.mynetworks);
	if (house_settings(e->house, &receiver_setting_table, "smtp", &set) && set.screen) {
		ask_all(e, &set.screen_allow);
		ask_all(e, &set.screen_access);
	}
	if (lookups_waiting(e->lookups) == 0) {
		lists_known(e);
		return;
	}
	e->round.done = answered;
	enquiry_lookups(policy_of(e->house)->enquiries, &e->round, e->lookups);
}

/* explain listener client name helo from to auth tls [fingerprint]: each "" where nothing was said, but for a sender of <>;
   recipients stand in lines. */
void
policy_explain(struct house *h, struct caller *c, const struct word_ask *ask)
{
	struct arena      *life = arena_open(NULL);
	struct explaining *e = arena_take(life, sizeof *e);
	struct bytes       word[9];

	for (size_t i = 0; i < COUNT(word); i++)
		word[i] = i + 2 < ask->argc ? arena_keep(life, bytes_of(ask->argv[i + 2]))
		                            : BYTES("");
	*e = (struct explaining){ .life = life,
		                  .house = h,
		                  .caller = c,
		                  .facts = facts_of(h, life, word),
		                  .to = word[5],
		                  .several = bytes_find(word[5], '\n') >= 0,
		                  .named = { .go = go_on, .ctx = e } };
	e->rules = rules_take(policy_rules_of(policy_of(h), word[0]));
	if (e->rules == NULL) {
		caller_complain(c, "mansio: there is no listener %s; one is smtp\n", ask->argv[2]);
		explain_end(e, 2);
		return;
	}
	if (!read_client(e, ask->argv[3])) {
		caller_complain(c, "mansio: %s is no address: write 192.0.2.1 or 2001:db8::1\n",
		                ask->argv[3]);
		explain_end(e, 2);
		return;
	}
	(void)recipient_next(e);
	e->facts.address = bytes_of(e->client.text);
	e->called = word[2];
	look_at_lists(e);
}
