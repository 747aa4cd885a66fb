#include "role/strangers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/pack.h"
#include "directory/resolve.h"
#include "role/policy.h"
#include "role/tables.h"
#include "smtp/receiver/settings.h"

/* Of each eighth of IPv4, and of IPv6: name servers and web servers for all the world, in no network of anybody's own. */
static const char *const strangers[] = { "9.9.9.9",         "45.33.32.156", "77.88.8.8",
	                                 "114.114.114.114", "151.101.1.1",  "185.228.168.9",
	                                 "208.67.222.222",  "2620:fe::fe" };
#define DOMAIN BYTES("elsewhere.invalid")
#define HOST BYTES("mail.stranger.invalid")

struct looking {
	struct network_tables   tables; /* first */
	struct settings        *settings;
	const struct listeners *listeners;
	const char             *file;
	struct buffer          *warnings;
	struct arena           *life;
	struct opened {
		struct opened *next;
		const char    *name;
		struct table  *table;
	} * opened;
	const char *client; /* of strangers */
};

static void
has_file(void *ctx, const char *path, bool remote)
{
	(void)path;
	(void)remote;
	*(bool *)ctx = true;
}

/* Keys that are written out one by one have no stranger, and may be many. */
static bool
may_have_all(const char *name, const char *type)
{
	bool files = false;

	table_files(name, type, has_file, &files);
	return !table_is_remote(name, type) && (!files || table_is_pattern(name, type));
}

/* NULL: it is a database, or is not as it should be, which others tell. */
static struct table *
table_of(struct looking *l, const char *name)
{
	struct table_source source = tables_source(l->settings);
	struct buffer       unheard = { 0 };
	struct opened      *o = l->opened;

	while (o != NULL && strcmp(o->name, name) != 0)
		o = o->next;
	if (o == NULL) {
		o = arena_take(l->life, sizeof *o);
		*o = (struct opened){ l->opened, arena_copy(l->life, bytes_of(name)), NULL };
		l->opened = o;
		if (may_have_all(name, source.default_type))
			o->table = table_open(name, TABLE_PLAIN, &source, &unheard, &unheard);
	}
	buffer_free(&unheard);
	return o->table;
}

static bool
has(struct looking *l, const char *name, struct bytes key, struct arena *a, struct bytes *value)
{
	struct table *t = table_of(l, name);

	return t != NULL && table_find(t, key, a, value) == TABLE_FOUND;
}

/*
 * mynetworks
 */

static enum network_answer
find_network(struct network_tables *t, const char *table, const char *address)
{
	struct looking *l = (struct looking *)t;
	struct bytes    value;

	return has(l, table, bytes_of(address), l->life, &value) ? NETWORK_HAS : NETWORK_NOT;
}

/* The words of "/file", in its place. */
static void
add_file(struct looking *l, const char *path, bool no, struct buffer *items)
{
	struct buffer text = { 0 };
	struct bytes  rest, line, word;
	char          some[4096];
	ssize_t       n = 0;
	int           fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && text.len < 1 << 20 && (n = read(fd, some, sizeof some)) > 0)
		buffer_add(&text, (struct bytes){ some, (size_t)n });
	if (fd >= 0)
		(void)close(fd);
	rest = buffer_bytes(&text);
	while (bytes_split(&rest, '\n', &line)) {
		if (bytes_starts(line, BYTES("#")))
			continue;
		while (setting_item(&line, &word) && word.len > 0) {
			struct network_item item;
			const char         *wrong, *copy = arena_copy(l->life, word);
			if (!network_item_parse(copy, &item, &wrong))
				continue;
			item.no = item.no != no;
			buffer_add(items, (struct bytes){ (const char *)&item, sizeof item });
		}
	}
	buffer_free(&text);
}

static struct peer
client_peer(const char *text)
{
	struct peer p = { .family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET };

	(void)inet_pton(p.family, text, p.raw);
	(void)bytes_string(bytes_of(text), p.text, sizeof p.text);
	return p;
}

/* Whether the client is of a listener's mynetworks. */
static bool
is_trusted(struct looking *l, const struct setting_list *mynetworks)
{
	struct buffer   items = { 0 };
	struct networks all;
	struct peer     peer;
	bool            trusted;

	for (size_t i = 0; i < mynetworks->count; i++) {
		const char         *text = mynetworks->item[i], *wrong;
		bool                no = text[0] == '!';
		struct network_item item;

		if (text[no] == '/')
			add_file(l, text + no, no, &items);
		else if (network_item_parse(text, &item, &wrong))
			buffer_add(&items, (struct bytes){ (const char *)&item, sizeof item });
	}
	all.count = items.len / sizeof *all.item;
	all.item = all.count > 0 ? (struct network_item *)(void *)items.at : NULL;
	all.tables = &l->tables;
	peer = client_peer(l->client);
	trusted = networks_hold(&all, &peer);
	buffer_free(&items);
	return trusted;
}

/*
 * Lists
 */

/* A transport of another server's: u8 enum rule_recipient, words. */
static struct bytes
foreign(struct arena *a)
{
	struct buffer b = { 0 };
	struct bytes  value;

	pack_u8(&b, RECIPIENT_FOREIGN);
	pack_bytes(&b, BYTES(""));
	value = arena_keep(a, buffer_bytes(&b));
	buffer_free(&b);
	return value;
}

/* Names lead to the client, and it has no other records. */
static enum rule_answer
say_dns(const struct looking *l, const char *type, struct bytes *value)
{
	bool six = strchr(l->client, ':') != NULL;

	*value = BYTES("-");
	if (strcmp(type + (*type == '+'), six ? "AAAA" : "A") != 0)
		return RULE_ANSWER_NONE;
	*value = bytes_of(l->client);
	return RULE_ANSWER_FOUND;
}

/* What a list wants to know of the client: nothing speaks for it, and nothing against it. */
static enum rule_answer
ask(void *ctx, enum rule_question_kind kind, const char *name, struct bytes key, struct arena *a,
    struct bytes *value)
{
	static const char nobodys = OWNED_BY_NONE;
	struct looking   *l = ctx;

	*value = BYTES("");
	switch (kind) {
	case ASK_TABLE: return has(l, name, key, a, value) ? RULE_ANSWER_FOUND : RULE_ANSWER_NONE;
	case ASK_DNS: return say_dns(l, name, value);
	case ASK_RESOLVE: *value = foreign(a); return RULE_ANSWER_FOUND;
	case ASK_OWNER: *value = (struct bytes){ &nobodys, 1 }; return RULE_ANSWER_FOUND;
	case ASK_SERVICE: *value = BYTES("DUNNO"); return RULE_ANSWER_FOUND;
	case ASK_PROBE: return RULE_ANSWER_FOUND;
	default: return RULE_ANSWER_NONE;
	}
}

/* What the last rule said that permits. */
static struct bytes
who_permits(struct bytes trace)
{
	struct bytes line, found = BYTES("permits");

	while (bytes_split(&trace, '\n', &line))
		if (bytes_search(line, BYTES(": permits")) >= 0)
			found = bytes_trim(line);
	return found;
}

/* What is said of it moment by moment, as a session would hear. */
static bool
may_relay(struct looking *l, const struct rules *rules, struct buffer *trace)
{
	static const struct rule_needs needs = { ask };
	struct rule_facts              f = { .named = NAME_CONFIRMED,
		                             .recipient_is = RECIPIENT_FOREIGN,
		                             .esmtp = true,
		                             .address = bytes_of(l->client),
		                             .port = BYTES("40000"),
		                             .server_port = BYTES("25"),
		                             .name = HOST,
		                             .reverse = HOST };

	for (enum rule_moment m = AT_CONNECT; m <= AT_RCPT; m++) {
		struct rule_verdict v;

		f.moment = (uint8_t)m;
		f.helo_said = m >= AT_HELO;
		f.helo = f.helo_said ? HOST : BYTES("");
		f.has_sender = m >= AT_MAIL;
		f.sender = f.sender_whole =
			f.has_sender ? BYTES("somebody@stranger.invalid") : BYTES("");
		f.has_recipient = m >= AT_RCPT;
		f.recipient = f.recipient_whole =
			f.has_recipient ? BYTES("anybody@elsewhere.invalid") : BYTES("");
		if (m != AT_RCPT && !rules_have(rules, m))
			continue;
		trace->len = 0;
		v = rules_judge(rules, &f, &needs, l, l->life, trace);
		if (v.outcome != RULE_PASSES)
			return false;
		for (const struct rule_action *act = v.action; act != NULL; act = act->next)
			if (act->deed == DEED_DISCARD || act->deed == DEED_REDIRECT)
				return false;
		f.deferred = v.deferred;
	}
	return true;
}

/*
 * The warnings
 */

/* The line of the listener's own, or that of all; 0 none. */
static int
line_of(const struct looking *l, const char *listener, const char *name)
{
	int own = settings_line(l->settings, arena_printf(l->life, "%s/%s", listener, name));

	return own > 0 ? own : settings_line(l->settings, name);
}

static void
put_place(struct looking *l, int line)
{
	buffer_printf(l->warnings, line > 0 ? "%s:%d: " : "%s: ", l->file, line);
}

/* True: mynetworks has a stranger, and that is told; more need not be asked. */
static bool
look_at_networks(struct looking *l, const char *listener)
{
	struct common_settings common;
	const char            *own = arena_printf(l->life, "%s/mynetworks", listener);

	if (!settings_fill(l->settings, &common_setting_table, listener, &common, NULL))
		return false;
	for (size_t i = 0; i < COUNT(strangers); i++) {
		l->client = strangers[i];
		if (!is_trusted(l, &common.mynetworks))
			continue;
		put_place(l, line_of(l, listener, "mynetworks"));
		buffer_printf(
			l->warnings,
			"%s: it has %s, a client of the Internet, and so perhaps everybody may send to "
			"anybody, which makes an open relay; write your own networks\n",
			settings_line(l->settings, own) > 0 ? own : "mynetworks", l->client);
		return true;
	}
	return false;
}

/* The first stranger the lists let through is told of; one is enough. */
static void
look_at_lists(struct looking *l, const char *listener)
{
	struct buffer unheard = { 0 }, trace = { 0 };
	struct rules *rules = policy_compile(l->settings, listener, &unheard, &unheard);

	for (size_t i = 0; rules != NULL && i < COUNT(strangers); i++) {
		struct bytes why;

		l->client = strangers[i];
		if (!may_relay(l, rules, &trace))
			continue;
		why = who_permits(buffer_bytes(&trace));
		put_place(l, line_of(l, listener, "smtpd_relay_restrictions"));
		buffer_printf(
			l->warnings,
			"%s: clients of the Internet (%s) may send to anybody, which makes an open relay: "
			"%.*s; put reject_unauth_destination before it\n",
			listener, l->client, (int)why.len, why.at);
		break;
	}
	rules_drop(&rules);
	buffer_free(&unheard);
	buffer_free(&trace);
}

/* Every domain: a name that nobody can have is among them. */
static void
look_at_domains(struct looking *l)
{
	struct resolve_rules rules;
	struct bytes         value;

	if (!settings_fill(l->settings, &resolve_setting_table, NULL, &rules, NULL))
		return;
	for (size_t i = 0; i < rules.relay_domains.count; i++) {
		const char *item = rules.relay_domains.item[i];

		if (item[0] == '!')
			return;
		if (!table_is_name(item) || !has(l, item, DOMAIN, l->life, &value))
			continue;
		put_place(l, settings_line(l->settings, "relay_domains"));
		buffer_printf(
			l->warnings,
			"relay_domains = %s: it has every domain: everybody may send to anybody, "
			"which makes an open relay\n",
			item);
		return;
	}
}

/* One that an administrator named, and where nobody comes from elsewhere: a content filter's way back. */
static bool
is_of_this_machine(const struct looking *l, const char *listener)
{
	struct setting_list at;

	if (!listener_addresses(l->settings, listener, &at) || at.count == 0)
		return false;
	for (size_t i = 0; i < at.count; i++)
		if (strncmp(at.item[i], "127.", 4) != 0 && strncmp(at.item[i], "[::1]", 5) != 0 &&
		    strncmp(at.item[i], "unix:", 5) != 0)
			return false;
	return true;
}

void
strangers_warn(struct settings *s, const struct listeners *listeners, const char *file,
               struct buffer *warnings)
{
	struct looking l = { .tables = { 1, find_network, NULL, NULL },
		             .settings = s,
		             .file = file,
		             .warnings = warnings,
		             .life = arena_open(NULL) };
	bool           told = false;

	for (size_t i = 0; i < listeners->count; i++) {
		const struct listener_entry *one = &listeners->one[i];
		struct receiver_settings     set;

		if (one->service > LISTEN_SUBMISSIONS || strcmp(one->name, "pickup") == 0 ||
		    is_of_this_machine(&l, one->name) ||
		    !receiver_settings_fill(s, (enum receiver_kind)one->service, one->name, &set,
		                            NULL) ||
		    set.auth_required)
			continue;
		if (!told || line_of(&l, one->name, "mynetworks") != settings_line(s, "mynetworks"))
			told = look_at_networks(&l, one->name) || told;
		look_at_lists(&l, one->name);
	}
	look_at_domains(&l);
	for (struct opened *o = l.opened; o != NULL; o = o->next)
		table_close(&o->table);
	arena_close(&l.life);
}
