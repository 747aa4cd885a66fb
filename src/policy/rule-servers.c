/* rule-servers.c -- access tables asked about who serves a domain: its mail exchangers, name servers, addresses */
#include "policy/rule-witness.h"

#include <arpa/inet.h>
#include <string.h>

enum { SERVERS_MOST = 20, PARENTS_MOST = 32 };

enum whose { OF_CLIENT, OF_REVERSE, OF_HELO, OF_SENDER, OF_RECIPIENT };
/* clang-format off */
static const struct server_rule {
	const char *name;
	enum whose  whose;
	const char *type;
} servers[] = {
	{ "check_client_mx_access",                  OF_CLIENT,    "MX" },
	{ "check_client_ns_access",                  OF_CLIENT,    "NS" },
	{ "check_client_a_access",                   OF_CLIENT,    "A" },
	{ "check_reverse_client_hostname_mx_access", OF_REVERSE,   "MX" },
	{ "check_reverse_client_hostname_ns_access", OF_REVERSE,   "NS" },
	{ "check_reverse_client_hostname_a_access",  OF_REVERSE,   "A" },
	{ "check_helo_mx_access",                    OF_HELO,      "MX" },
	{ "check_helo_ns_access",                    OF_HELO,      "NS" },
	{ "check_helo_a_access",                     OF_HELO,      "A" },
	{ "check_sender_mx_access",                  OF_SENDER,    "MX" },
	{ "check_sender_ns_access",                  OF_SENDER,    "NS" },
	{ "check_sender_a_access",                   OF_SENDER,    "A" },
	{ "check_recipient_mx_access",               OF_RECIPIENT, "MX" },
	{ "check_recipient_ns_access",               OF_RECIPIENT, "NS" },
	{ "check_recipient_a_access",                OF_RECIPIENT, "A" },
};
/* clang-format on */

/* What is being looked at, and where its refusals say it was found. */
struct looking {
	struct rule_work       *work;
	const struct rule_step *step;
	const char             *type;
	struct bytes            domain, name;
	const char *class;
	bool found;
};

/* Nobody is let in because of what a stranger writes into a zone. */
static enum rule_result
no_permit(struct looking *l, enum rule_result r)
{
	if (r != RULE_OK || l->work->discard)
		return r;
	return rule_misconfigured(
		l->work,
		arena_printf(l->work->life,
	                     "OK for %s is not allowed, for whoever owns the domain chose its "
	                     "servers; write DUNNO to make an exception",
	                     rule_shown(l->work, l->name)));
}

static enum rule_result
look_at_addresses(struct looking *l, struct bytes value)
{
	struct witnessed one;
	enum rule_result r = RULE_DUNNO;

	while (r == RULE_DUNNO && !l->found && witness_next(&value, &one))
		if (one.is_address)
			r = rule_access_network(l->work, l->step, one.text, true, l->name, l->class,
			                        &l->found);
	return r;
}

/* The name of one server, its parents, its addresses. */
static enum rule_result
look_at_server(struct looking *l, struct bytes server)
{
	struct rule_work *w = l->work;
	struct bytes      four = { "", 0 }, six = { "", 0 };
	enum rule_answer  a, b;
	enum rule_result  r =
		rule_access_host(w, l->step, server, true, l->name, l->class, &l->found);

	if (r != RULE_DUNNO || l->found)
		return r;
	a = rule_look_up(w, "+A", server, &four);
	b = rule_look_up(w, "+AAAA", server, &six);
	if (a == RULE_ANSWER_WAIT || b == RULE_ANSWER_WAIT)
		return RULE_WAITS;
	if (a != RULE_ANSWER_FOUND && b != RULE_ANSWER_FOUND) {
		rule_note(w, "warn", "Unable to look up %s host %s for %s %s", l->type,
		          rule_shown(w, server), l->class, rule_shown(w, l->name));
		return RULE_DUNNO;
	}
	if (a == RULE_ANSWER_FOUND && ((r = look_at_addresses(l, four)) != RULE_DUNNO || l->found))
		return r;
	return b == RULE_ANSWER_FOUND ? look_at_addresses(l, six) : RULE_DUNNO;
}

static enum rule_result
look_at_servers(struct looking *l, struct bytes value)
{
	struct witnessed one;
	enum rule_result r = RULE_DUNNO;

	for (int i = 0; i < SERVERS_MOST && r == RULE_DUNNO && !l->found; i++) {
		if (!witness_next(&value, &one))
			break;
		if (bytes_equal(one.text, BYTES(".")))
			return RULE_DUNNO;
		if (one.is_address)
			r = rule_access_network(l->work, l->step, one.text, true, l->name, l->class,
			                        &l->found);
		else if (!one.is_bad)
			r = look_at_server(l, one.text);
	}
	return r;
}

/* Of a name without name servers its parents have them. */
static enum rule_answer
parents_servers(struct looking *l, struct bytes *value)
{
	enum rule_answer a = RULE_ANSWER_NONE;
	struct bytes     domain = l->domain;

	for (int i = 0; i < PARENTS_MOST && a == RULE_ANSWER_NONE; i++) {
		ptrdiff_t dot = bytes_find(domain, '.');
		if (dot < 0 || (size_t)dot + 1 >= domain.len)
			break;
		domain = bytes_cut(domain, (size_t)dot + 1, domain.len);
		a = rule_look_up(l->work, l->type, domain, value);
	}
	return a;
}

/* rfc5321:5.1  A name without mail exchanger is its own; one that is not there at all has none. */
static enum rule_result
look_at_name(struct looking *l)
{
	struct bytes     value = { "", 0 };
	enum rule_answer a = rule_look_up(l->work, l->type, l->domain, &value);

	if (a == RULE_ANSWER_NONE && strcmp(l->type, "MX") == 0)
		return look_at_server(l, l->domain);
	if (a == RULE_ANSWER_NONE && strcmp(l->type, "NS") == 0)
		a = parents_servers(l, &value);
	if (a == RULE_ANSWER_WAIT)
		return RULE_WAITS;
	if (a != RULE_ANSWER_FOUND) {
		rule_note(l->work, "warn", "Unable to look up %s host for %s", l->type,
		          rule_shown(l->work, l->domain));
		return RULE_DUNNO;
	}
	return look_at_servers(l, value);
}

static enum rule_result
look_at_own_addresses(struct looking *l)
{
	struct bytes     four = { "", 0 }, six = { "", 0 };
	enum rule_answer a = rule_look_up(l->work, "+A", l->domain, &four);
	enum rule_answer b = rule_look_up(l->work, "+AAAA", l->domain, &six);
	enum rule_result r = RULE_DUNNO;

	if (a == RULE_ANSWER_WAIT || b == RULE_ANSWER_WAIT)
		return RULE_WAITS;
	if (a == RULE_ANSWER_FOUND)
		r = look_at_addresses(l, four);
	if (r == RULE_DUNNO && !l->found && b == RULE_ANSWER_FOUND)
		r = look_at_addresses(l, six);
	return r;
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]": there is nothing to be looked up. */
static enum rule_result
look_at_literal(struct looking *l)
{
	struct bytes inside = bytes_cut(l->domain, 1, l->domain.len);

	if (!rule_literal(l->domain))
		return RULE_DUNNO;
	if (bytes_starts_nocase(inside, BYTES("IPv6:")))
		inside = bytes_cut(inside, 5, inside.len);
	inside = bytes_cut(inside, 0, inside.len - 1);
	return rule_access_network(l->work, l->step, inside, true, l->name, l->class, &l->found);
}

/* Whose domain it is; empty where there is none. */
static void
find_domain(struct looking *l, enum whose whose)
{
	const struct rule_facts *f = l->work->facts;
	const struct {
		struct bytes domain, name;
		const char *class;
	} of[] = {
		[OF_CLIENT] = { f->name,
		                bytes_of(arena_printf(l->work->life, "%s[%s]",
		                                      rule_shown(l->work, f->name),
		                                      rule_shown(l->work, f->address))),
		                rule_class_client },
		[OF_REVERSE] = { f->reverse, f->reverse, rule_class_reverse },
		[OF_HELO] = { f->helo, f->helo, rule_class_helo },
		[OF_SENDER] = { f->sender.len > 0 ? f->sender_whole : BYTES(""),
		                rule_meant(l->work, f->sender), rule_class_sender },
		[OF_RECIPIENT] = { f->has_recipient ? f->recipient_whole : BYTES(""),
		                   rule_meant(l->work, f->recipient), rule_class_recipient },
	};
	ptrdiff_t at;

	l->domain = of[whose].domain;
	l->name = of[whose].name;
	l->class = of[whose].class;
	at = bytes_find_last(l->domain, '@');
	if (at >= 0)
		l->domain = bytes_cut(l->domain, (size_t)at + 1, l->domain.len);
	if (whose <= OF_REVERSE && bytes_is(l->domain, "unknown"))
		l->domain = BYTES("");
}

static enum rule_result
check_servers(struct rule_work *w, const struct rule_step *s)
{
	struct looking l = { .work = w, .step = s };
	size_t         i = 0;

	while (i + 1 < COUNT(servers) && strcmp(servers[i].name, s->rule->name) != 0)
		i++;
	l.type = servers[i].type;
	find_domain(&l, servers[i].whose);
	if (l.domain.len == 0)
		return RULE_DUNNO;
	if (l.domain.at[0] == '[')
		return no_permit(&l, look_at_literal(&l));
	if (!rule_hostname(l.domain, false))
		return RULE_DUNNO;
	return no_permit(&l,
	                 strcmp(l.type, "A") == 0 ? look_at_own_addresses(&l) : look_at_name(&l));
}

/* clang-format off */
static const struct rule rows[] = {
	{ .name = "check_client_mx_access",                  .run = check_servers, .takes = TAKES_TABLE },
	{ .name = "check_client_ns_access",                  .run = check_servers, .takes = TAKES_TABLE },
	{ .name = "check_client_a_access",                   .run = check_servers, .takes = TAKES_TABLE },
	{ .name = "check_reverse_client_hostname_mx_access", .run = check_servers, .takes = TAKES_TABLE },
	{ .name = "check_reverse_client_hostname_ns_access", .run = check_servers, .takes = TAKES_TABLE },
	{ .name = "check_reverse_client_hostname_a_access",  .run = check_servers, .takes = TAKES_TABLE },
	{ .name = "check_helo_mx_access",                    .run = check_servers, .takes = TAKES_TABLE },
	{ .name = "check_helo_ns_access",                    .run = check_servers, .takes = TAKES_TABLE },
	{ .name = "check_helo_a_access",                     .run = check_servers, .takes = TAKES_TABLE },
	{ .name = "check_sender_mx_access",                  .run = check_servers, .takes = TAKES_TABLE },
	{ .name = "check_sender_ns_access",                  .run = check_servers, .takes = TAKES_TABLE },
	{ .name = "check_sender_a_access",                   .run = check_servers, .takes = TAKES_TABLE },
	{ .name = "check_recipient_mx_access",               .run = check_servers, .takes = TAKES_TABLE },
	{ .name = "check_recipient_ns_access",               .run = check_servers, .takes = TAKES_TABLE },
	{ .name = "check_recipient_a_access",                .run = check_servers, .takes = TAKES_TABLE },
};
/* clang-format on */
const struct rule_rows rule_rows_servers = { rows, COUNT(rows) };
