/* VRFY, EXPN, ETRN, HELP: what is asked of addresses, of the queue, of us (rfc5321:3.5, 4.1.1.6-9; rfc1985) */
#include "smtp/receiver/session_inner.h"

#include "dns/hostname.h"
#include "smtp/grammar.h"
#include "smtp/reply.h"

enum { MEMBERS_MOST = 1000, PARENTS_MOST = 128 };

/* An address, or a name that myorigin or mydomain completes; false: the complaint is said. */
static bool
read_address(struct session *s, struct bytes argument, const char *syntax, struct bytes *out)
{
	struct arena       *scratch = arena_open(NULL);
	struct grammar      g = grammar_of(s);
	struct rcpt_command c;
	const char         *no;
	bool                good = vrfy_parse(argument, &g, scratch, &c, &no);

	if (s->life == NULL)
		s->life = arena_open(NULL);
	s->verified_utf8 = good && c.utf8;
	s->asked_added = 0;
	if (good)
		*out = arena_keep(s->life,
		                  whole_address(s, scratch, &c.recipient, c.bare, &s->asked_added));
	else
		say(s, "%s", argument.len == 0 && syntax != NULL ? syntax : no);
	arena_close(&scratch);
	return good;
}

/*
 * VRFY
 */

/* rfc5321:3.5.3: 252 says that the address would be taken, not that it will be reached. */
static void
vrfy_judged(struct session *s, const struct session_verdict *v)
{
	if (v->refused)
		say_refused(s, "VRFY", s->asked, v);
	else {
		struct buffer *out = s->mouth->out(s->mouth_of);

		buffer_add(out, BYTES("252 2.0.0 <"));
		reply_text_as(out, s->asked, s->verified_utf8);
		buffer_add(out, BYTES(">\r\n"));
	}
	asked_end(s);
}

static void
vrfy_resolved(struct session *s, enum resolved r, const char *table)
{
	know_asked(s, r, table);
	judge(s, MOMENT_VRFY, vrfy_judged);
}

void
verb_vrfy(struct session *s, struct bytes argument)
{
	struct bytes address;

	if (read_address(s, argument, NULL, &address))
		ask_about(s, address, vrfy_resolved);
	else
		answered(s);
}

/*
 * EXPN
 */

void
verb_expn(struct session *s, struct bytes argument)
{
	struct bytes address;

	if (!s->may_expn)
		say(s, "502 5.5.1 EXPN command is disabled");
	else if (read_address(s, argument, "501 5.5.4 Syntax: EXPN address", &address)) {
		s->asked = address;
		s->expanding = true;
		hold(s);
		s->needs->expand(s->house, s, address);
		return;
	}
	answered(s);
}

static void
say_members(struct session *s, const struct bytes *member, size_t count)
{
	struct buffer *out = s->mouth->out(s->mouth_of);

	for (size_t i = 0; i < count; i++) {
		buffer_printf(out, "250%c2.1.5 <", i + 1 < count ? '-' : ' ');
		reply_text_as(out, member[i], s->verified_utf8);
		buffer_add(out, BYTES(">\r\n"));
	}
}

/* One who is not ours, or not there, is refused as at VRFY. */
static void
expn_judged(struct session *s, const struct session_verdict *v)
{
	if (v->refused)
		say_refused(s, "EXPN", s->asked, v);
	else
		say(s, "550 5.2.4 That is a mailbox, not a mailing list");
	asked_end(s);
}

/* rfc5321:3.5.2: a mailbox is no list. */
void
session_expanded(struct session *s, enum resolved r, const char *table, const struct bytes *member,
                 size_t count)
{
	bool local = r == RESOLVED_LOCAL || r == RESOLVED_DISCARDED ||
	             (r == RESOLVED_FOREIGN && count > 0);

	if (s->over || !s->expanding)
		return;
	s->expanding = false;
	if (!local || count == 0 || (count == 1 && bytes_equal_nocase(member[0], s->asked))) {
		know_asked(s, r, table);
		judge(s, MOMENT_VRFY, expn_judged);
		return;
	}
	if (count > MEMBERS_MOST)
		say(s, "550 5.2.4 That mailing list is too long to be told");
	else
		say_members(s, member, count);
	asked_end(s);
}

/*
 * ETRN
 */

/* "example.com" and what is below it, or a table that has it or a domain above it. */
static bool
fits(struct network_tables *tables, const char *item, struct bytes domain)
{
	struct bytes name = bytes_of(item);
	char         key[256];

	if (bytes_find(name, ':') < 0) {
		if (name.len > 0 && name.at[0] == '.')
			name = bytes_cut(name, 1, name.len);
		return name.len > 0 && (bytes_equal_nocase(domain, name) ||
		                        (domain.len > name.len && bytes_ends_nocase(domain, name) &&
		                         domain.at[domain.len - name.len - 1] == '.'));
	}
	while (tables != NULL && domain.len > 0) {
		ptrdiff_t dot = bytes_find(domain, '.');

		if (bytes_string(domain, key, sizeof key) &&
		    tables->find(tables, item, key) == NETWORK_HAS)
			return true;
		domain = dot < 0 ? BYTES("") : bytes_cut(domain, (size_t)dot + 1, SIZE_MAX);
	}
	return false;
}

/* The first in the list that fits decides. */
static bool
is_flushed(struct session *s, struct bytes domain)
{
	const struct setting_list *list = &s->config->set.flush_domains;
	struct bytes               lower = arena_lower(s->life, domain);

	for (size_t i = 0; i < list->count; i++) {
		bool no = list->item[i][0] == '!';

		if (fits(s->config->tables, list->item[i] + no, lower))
			return !no;
	}
	return false;
}

static void
etrn_looked(struct session *s)
{
	if (!is_flushed(s, s->etrn)) {
		say(s, "459 4.7.1 Node %.*s not allowed: not in fast_flush_domains",
		    (int)s->etrn.len, s->etrn.at);
		s->etrn.len = 0;
		answered(s);
		return;
	}
	s->flushing = true;
	hold(s);
	s->needs->flush(s->house, s, s->etrn, s->flush_below);
}

static void
etrn_judged(struct session *s, const struct session_verdict *v)
{
	struct bytes key[PARENTS_MOST], rest = arena_lower(s->life, s->etrn);
	size_t       keys = 0;

	if (v->refused) {
		say_refused(s, "ETRN", BYTES(""), v);
		s->etrn.len = 0;
		answered(s);
		return;
	}
	while (rest.len > 0 && keys < PARENTS_MOST) {
		ptrdiff_t dot = bytes_find(rest, '.');

		key[keys++] = rest;
		rest = dot < 0 ? BYTES("") : bytes_cut(rest, (size_t)dot + 1, SIZE_MAX);
	}
	if (s->needs->look(s->house, s, &s->config->set.flush_domains, key, keys)) {
		s->looked = etrn_looked;
		hold(s);
	} else
		etrn_looked(s);
}

/* A host, or its address. */
static bool
is_node(struct bytes node)
{
	return hostname_valid(node) || (node.len > 0 && node.at[0] == '[' && domain_valid(node));
}

/* rfc1985:5.3: "@node" is all nodes below it, too; "#queue" is a queue by name, and ours have the names of their domains. */
void
verb_etrn(struct session *s, struct bytes argument)
{
	bool         below = argument.len > 0 && argument.at[0] == '@';
	bool         marked = below || (argument.len > 0 && argument.at[0] == '#');
	struct bytes node = bytes_cut(argument, marked ? 1 : 0, argument.len);

	if (s->life == NULL)
		s->life = arena_open(NULL);
	if (argument.len == 0 || bytes_find(node, ' ') >= 0)
		say(s, "500 5.5.4 Syntax: ETRN domain");
	else if (!is_node(node))
		say(s, "501 5.5.4 Error: invalid parameter syntax");
	else {
		s->etrn = arena_keep(s->life, node);
		s->flush_below = below;
		judge(s, MOMENT_ETRN, etrn_judged);
		return;
	}
	answered(s);
}

void
session_flushed(struct session *s, int64_t letters)
{
	struct bytes node = s->etrn;

	if (s->over || !s->flushing)
		return;
	s->flushing = false;
	if (letters < 0)
		say(s, "458 4.3.0 Unable to queue messages for node %.*s", (int)node.len, node.at);
	else if (letters == 0)
		say(s, "251 2.0.0 OK, no messages waiting for node %.*s", (int)node.len, node.at);
	else
		say(s, "253 2.0.0 OK, %lld pending messages for node %.*s started",
		    (long long)letters, (int)node.len, node.at);
	s->etrn.len = 0;
	answered(s);
}
