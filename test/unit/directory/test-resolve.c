/* Who gets the mail, by tables; what Postfix does with the same tables is in test/whole/test_beside_postfix.py. */
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/journal.h"
#include "directory/resolve.h"

/* ---- tables of this test ------------------------------------------------------ */

static const struct {
	const char *name, *text;
} texts[] = {
	{ "hash:virtual", "virt.example any\n"
	                  "one@virt.example u@vm.example\n"
	                  "two@virt.example u@vm.example, out@else.example\n"
	                  "blank@virt.example u@vm.example out@else.example\n"
	                  "self@vm.example self@vm.example, u@vm.example\n"
	                  "round@virt.example about@virt.example\n"
	                  "about@virt.example round@virt.example\n"
	                  "dead@virt.example nobody@vm.example\n"
	                  "tag+a@virt.example out@else.example\n"
	                  "moved@virt.example old@vm.example\n"
	                  "local@virt.example root\n"
	                  "screened@virt.example filter@vm.example\n"
	                  "mail@virt.example m1+b@vm.example\n"
	                  "keep@virt.example m2@vm.example\n"
	                  "@wild.example u@vm.example\n"
	                  "@swap.example @vm.example\n"
	                  "jack jack@else.example\n"
	                  "away@else.example u@vm.example\n"
	                  "\"odd one\"@virt.example u@vm.example\n" },
	{ "hash:mailbox", "u@vm.example vm/u/\n"
	                  "self@vm.example vm/self/\n"
	                  "no@vm.example REJECT not here\n"
	                  "gone@vm.example DISCARD\n"
	                  "ok@vm.example OK\n"
	                  "copy@vm.example BCC u@vm.example\n"
	                  "filter@vm.example FILTER smtp:[127.0.0.1]\n"
	                  "nofilter@vm.example FILTER nowhere\n"
	                  "own@filtered.example FILTER scan:own\n"
	                  "all@filtered.example OK\n"
	                  "m1@vm.example 1\n"
	                  "m2@vm.example 1\n"
	                  "m1+own@vm.example 1\n"
	                  "box@vm.example place/\n"
	                  "whole@vm.example whole@vm.example\n"
	                  "m1@caught.example 1\n"
	                  "@caught.example caught/all/\n" },
	{ "hash:domains",
	  "act.example REJECT closed\nvm.example OK\nfiltered.example FILTER scan:all\n" },
	{ "hash:relocated", "old@vm.example new@else.example\n@moved.example else.example\n" },
	{ "hash:relay", "known@relay.example x\n" },
	{ "hash:canonical",
	  "old.name@here.example user\n@legacy.example @vm.example\nping@here.example pong@here.example\n"
	  "pong@here.example ping@here.example\nx@else.example y@other.example\n"
	  "several@here.example Anna <b@x.example>, c@x.example\n" },
	{ "hash:bcc", "user@here.example archive@vm.example\n" },
	{ "hash:aliases", "root: user\n"
	                  "postmaster: root\n"
	                  "staff: user, other, \\user\n"
	                  "list: user, out@else.example\n"
	                  "owner-list: user\n"
	                  "prog: \"|/bin/cat a, b\", |/bin/true\n"
	                  "file: /var/spool/x\n"
	                  "inc: :include:/inc\n"
	                  "incprog: :include:/incprog\n"
	                  "incgone: :include:/gone\n"
	                  "user: user, out@else.example\n"
	                  "ring: rung\n"
	                  "rung: ring\n"
	                  "deep: :include:/self\n"
	                  "users: :include:/home/list\n"
	                  "both: other, |/bin/true\n"
	                  "play: games\n" },
	{ "hash:theirs", "mine: :include:/home/own\n"
	                 "public: :include:/inc\n"
	                 "steal: :include:/incprog\n"
	                 "further: :include:/further\n"
	                 "another: :include:2/inc\n" },
};
static const struct {
	const char *name, *text;
} includes[] = {
	{ ":1000/home/own", "user\n" },
	{ ":1000/inc", "other\n" },
	{ ":1000/further", "user, :include:/inc\n" },
	{ ":10002/inc", "out@else.example\n" },
	{ ":/further", "user\n" },
	{ ":/inc", "# who\nout@else.example\nuser, other\n" },
	{ ":/incprog", "|/bin/true\n" },
	{ ":/self", ":include:/self\n" },
	{ ":/home/list", "user, :include:/inc\n" },
};

static int
open_text(void *ctx, const char *path)
{
	FILE       *f = tmpfile();
	const char *text = NULL;
	int         fd;
	(void)ctx;

	for (size_t i = 0; i < COUNT(texts); i++)
		if (strcmp(strchr(texts[i].name, ':') + 1, path) == 0)
			text = texts[i].text;
	assert_non_null(f);
	assert_non_null(text);
	assert_true(fwrite(text, 1, strlen(text), f) == strlen(text) && fflush(f) == 0);
	fd = dup(fileno(f));
	(void)fclose(f);
	return fd;
}

static struct table *opened[COUNT(texts)];

static struct table *
local_table(void *ctx, const char *name)
{
	const struct table_source source = { .open = open_text, .default_type = "hash" };
	struct buffer             said = { 0 };
	(void)ctx;

	for (size_t i = 0; i < COUNT(texts); i++) {
		if (strcmp(texts[i].name, name) != 0)
			continue;
		if (opened[i] == NULL)
			opened[i] = table_open(name,
			                       strcmp(name, "hash:aliases") == 0 ||
			                                       strcmp(name, "hash:theirs") == 0
			                               ? TABLE_ALIASES
			                               : TABLE_PLAIN,
			                       &source, &said, &said);
		assert_non_null(opened[i]);
		buffer_free(&said);
		return opened[i];
	}
	return NULL;
}

/* Those elsewhere: the users are there; "later:" is away; all others must be waited for. */
static enum table_outcome
kept(void *ctx, const char *name, struct bytes key, struct arena *a, struct bytes *value)
{
	(void)ctx;
	(void)a;
	if (strcmp(name, "later:x") == 0)
		return TABLE_LATER;
	if (strstr(name, "unix:passwd.byname") == NULL)
		return TABLE_WAIT;
	*value = bytes_is(key, "games")    ? BYTES("games:x:5:60::/usr/games:/bin/sh")
	         : bytes_is(key, "root")   ? BYTES("root:x:0:0::/root:/bin/sh")
	         : bytes_is(key, "user")   ? BYTES("user:x:1000:1000:,,,:/home/user:/bin/sh")
	         : bytes_is(key, "other")  ? BYTES("other:x:1001:1001::/home/other:/bin/sh")
	         : bytes_is(key, "nobody") ? BYTES("nobody:x:65534:65534::/:/bin/false")
	                                   : BYTES("");
	return value->len > 0 ? TABLE_FOUND : TABLE_NONE;
}
static const struct lookup_needs needs = { .local = local_table, .kept = kept };

static enum table_outcome
include(void *ctx, const char *name, struct arena *a, struct bytes *text, bool *leads_on)
{
	(void)ctx;
	(void)a;
	for (size_t i = 0; i < COUNT(includes); i++)
		if (strcmp(includes[i].name, name) == 0) {
			*text = bytes_of(includes[i].text);
			*leads_on = strstr(name, "/home/") == NULL;
			return TABLE_FOUND;
		}
	return TABLE_LATER;
}

/* Whose they are: those of user 1000, and what he includes is opened for him. */
static uint32_t
owner(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "hash:theirs") == 0 || strcmp(name, ":1000/home/own") == 0 ? 1000 : 0;
}

/* ---- the rules ----------------------------------------------------------------- */

static const char standard[] =
	"myhostname = mail.here.example\n"
	"mydomain = here.example\n"
	"mydestination = $myhostname, here.example, !not.sub.example, .sub.example\n"
	"virtual_alias_domains = hash:virtual wild.example swap.example\n"
	"virtual_alias_maps = hash:virtual\n"
	"virtual_mailbox_domains = hash:domains caught.example moved.example\n"
	"virtual_mailbox_maps = hash:mailbox\n"
	"relay_domains = relay.example\n"
	"relay_recipient_maps = hash:relay\n"
	"relocated_maps = hash:relocated\n"
	"alias_maps = hash:aliases\n";

static const char *const addresses[] = { "192.0.2.1", "2001:db8::1" };

static struct settings *
rules_fill(const char *more, struct resolve_rules *out)
{
	struct buffer    text = { 0 }, said = { 0 }, warned = { 0 };
	struct settings *s;

	journal_open(JOURNAL_FILE, -1, false, "host");
	buffer_add_string(&text, standard);
	buffer_add_string(&text, more);
	s = settings_read(buffer_bytes(&text), "main.cf", &said, &warned);
	assert_non_null(s);
	settings_tables(s, &resolve_setting_table, 1);
	assert_true(settings_fill(s, &resolve_setting_table, NULL, out, &said));
	out->delimiter = "+";
	out->myorigin = "here.example";
	out->mydomain = "here.example";
	out->first_uid = 1000;
	out->addresses = (struct setting_list){ addresses, COUNT(addresses) };
	buffer_free(&text);
	buffer_free(&said);
	buffer_free(&warned);
	return s;
}

/* "ok: jill|tag >away !1000:command <owner", or how it is refused. */
static void
shown(enum directory_outcome o, const struct resolve_answer *got, struct buffer *out)
{
	static const char *const names[] = {
		[DIRECTORY_OK] = "ok",
		[DIRECTORY_NONE] = "unknown",
		[DIRECTORY_FOREIGN] = "foreign",
		[DIRECTORY_LOOP] = "loop",
		[DIRECTORY_BAD] = "bad",
		[DIRECTORY_LATER] = "later",
		[DIRECTORY_WAIT] = "wait",
		[DIRECTORY_REFUSED] = "refused",
		[DIRECTORY_DISCARDED] = "discarded",
	};

	buffer_printf(out, "%s", names[o]);
	if (o == DIRECTORY_NONE)
		buffer_printf(out, ": %s", got->table);
	if (o == DIRECTORY_REFUSED)
		buffer_printf(out, ": %s", got->reply);
	for (size_t i = 0; i < got->count && (o == DIRECTORY_OK || o == DIRECTORY_FOREIGN); i++) {
		const struct directory_target *t = &got->target[i];

		buffer_printf(out, "%s %s", i == 0 ? ":" : "",
		              t->account == 0 && !t->shadow ? ">" : "");
		if (is_system_account(t->account))
			buffer_printf(out, "%c%u ", "u\\|/"[system_kind_of(t->account)],
			              (unsigned)system_uid(t->account));
		buffer_printf(out, "%.*s%s%.*s%s%.*s", (int)t->address.len, t->address.at,
		              t->detail.len > 0 ? "|" : "", (int)t->detail.len, t->detail.at,
		              t->sender.len > 0 ? " <" : "", (int)t->sender.len, t->sender.at);
	}
	if (o == DIRECTORY_OK && got->filter[0] != '\0')
		buffer_printf(out, " by %s", got->filter);
}

struct row {
	const char *why, *more, *address, *wanted;
};

static void
row_holds(const struct row *row, bool rcpt)
{
	struct resolve_rules  rules = { 0 };
	struct settings      *s = rules_fill(row->more, &rules);
	struct arena         *a = arena_open(NULL);
	struct resolving      r = { .rules = &rules,
		                    .arena = a,
		                    .asked_at_rcpt = rcpt,
		                    .include = include,
		                    .owner = owner };
	struct resolve_answer answer;
	struct buffer         got = { 0 };

	r.lookups = lookups_open(&needs, NULL, a);
	shown(resolve_address(&r, bytes_of(row->address), &answer), &answer, &got);
	SAME(row->why, buffer_bytes(&got), bytes_of(row->wanted));
	buffer_free(&got);
	arena_close(&a);
	settings_close(&s);
}

static void
tables_close(void)
{
	for (size_t i = 0; i < COUNT(texts); i++)
		table_close(&opened[i]);
}

/* ---- rows ------------------------------------------------------------------------ */

static void
test_classes(void **state)
{
	/* clang-format off */
	static const struct row rows[] = {
		{ "nobody's domain", "", "x@else.example", "foreign" },
		{ "written otherwise, and nobody's all the same", "canonical_maps = hash:canonical\n", "x@else.example", "foreign: >y@other.example" },
		{ "a virtual alias of a domain that is not ours does not make it so", "", "away@else.example", "foreign: u@vm.example" },
		{ "a virtual alias", "", "one@virt.example", "ok: u@vm.example" },
		{ "several targets", "", "two@virt.example", "ok: u@vm.example >out@else.example" },
		{ "blanks part targets too", "", "blank@virt.example", "ok: u@vm.example >out@else.example" },
		{ "virtual(5): what stood behind the delimiter goes on", "", "one+x@virt.example", "ok: u@vm.example|x" },
		{ "in the letters it was typed in", "", "one+Xy@VIRT.example", "ok: u@vm.example|Xy" },
		{ "unless it shall not", "propagate_unmatched_extensions = canonical\n", "one+x@virt.example", "ok: u@vm.example" },
		{ "the whole address comes first", "", "tag+a@virt.example", "ok: >out@else.example" },
		{ "nobody in an alias domain", "", "nobody@virt.example", "unknown: virtual alias table" },
		{ "a whole domain", "", "any@wild.example", "ok: u@vm.example" },
		{ "@domain to @domain keeps the user", "", "u@swap.example", "ok: u@vm.example" },
		{ "who is not there either", "", "nobody@swap.example", "unknown: virtual mailbox table" },
		{ "an alias among its own targets", "", "self@vm.example", "ok: self@vm.example u@vm.example" },
		{ "a circle", "", "round@virt.example", "loop" },
		{ "an alias that leads nowhere", "", "dead@virt.example", "unknown: virtual mailbox table" },
		{ "a bare name in the table is of a local domain", "", "jack@here.example", "ok: >jack@else.example" },
		{ "and not of another", "", "jack@vm.example", "unknown: virtual mailbox table" },
		{ "a quoted local part", "", "\"odd one\"@virt.example", "unknown: virtual alias table" },
		{ "a mailbox", "", "u@vm.example", "ok: u@vm.example" },
		{ "with a detail", "", "u+t@vm.example", "ok: u@vm.example|t" },
		{ "no mailbox", "", "nobody@vm.example", "unknown: virtual mailbox table" },
		{ "R209 REJECT", "", "no@vm.example", "refused: 5.7.1 not here" },
		{ "R209 OK", "", "ok@vm.example", "ok: ok@vm.example" },
		{ "R208 DISCARD", "", "gone@vm.example", "discarded" },
		{ "R209 BCC: a copy besides", "", "copy@vm.example", "ok: copy@vm.example u@vm.example" },
		{ "R209 FILTER", "", "filter@vm.example", "ok: filter@vm.example by smtp:[127.0.0.1]" },
		{ "a filter without a destination: the mail waits", "", "nofilter@vm.example", "later" },
		{ "R208 FILTER of a domain", "", "all@filtered.example", "ok: all@filtered.example by scan:all" },
		{ "a mailbox goes before its domain", "", "own@filtered.example", "ok: own@filtered.example by scan:own" },
		{ "nobody there, filter or not", "", "nobody@filtered.example", "unknown: virtual mailbox table" },
		{ "an alias that leads to one that is filtered", "", "screened@virt.example", "ok: filter@vm.example by smtp:[127.0.0.1]" },
		{ "R208 the domain says so", "", "x@act.example", "refused: 5.7.1 closed" },
		{ "a catch-all mailbox", "", "x@caught.example", "ok: all@caught.example" },
		{ "with an extension", "", "x+a@caught.example", "ok: all@caught.example" },
		{ "a mailbox whose value says nothing", "", "m1@vm.example", "ok: m1@vm.example" },
		{ "and its extension: it is his, whatever the value", "", "m1+a@vm.example", "ok: m1@vm.example|a" },
		{ "another with the same value", "", "m2+E@vm.example", "ok: m2@vm.example|E" },
		{ "an entry of its own", "", "m1+own@vm.example", "ok: m1+own@vm.example" },
		{ "beside a catch-all", "", "m1+a@caught.example", "ok: m1@caught.example|a" },
		{ "a path that has another name", "", "box+a@vm.example", "ok: box@vm.example|a" },
		{ "an address as value, as LDAP has it", "", "whole+a@vm.example", "ok: whole@vm.example|a" },
		{ "through an alias", "", "mail@virt.example", "ok: m1@vm.example|b" },
		{ "through an alias that keeps the extension", "", "keep+a@virt.example", "ok: m2@vm.example|a" },
		{ "and through one that shall not", "propagate_unmatched_extensions = canonical\n", "keep+a@virt.example", "ok: m2@vm.example" },
		{ "moved", "", "old@vm.example", "refused: 5.1.6 User has moved to new@else.example" },
		{ "moved with a detail", "", "old+x@vm.example", "refused: 5.1.6 User has moved to new@else.example" },
		{ "all of a domain have moved", "", "x@moved.example", "refused: 5.1.6 User has moved to else.example" },
		{ "an alias to one that moved", "", "moved@virt.example", "refused: 5.1.6 User has moved to new@else.example" },
		{ "relayed", "", "known@relay.example", "ok: >known@relay.example" },
		{ "nobody there", "", "nobody@relay.example", "unknown: relay recipient table" },
		{ "a name below a relay domain", "relay_recipient_maps =\n", "x@a.relay.example", "ok: >x@a.relay.example" },
		{ "only where parents match", "relay_recipient_maps =\nparent_domain_matches_subdomains =\n", "x@a.relay.example", "foreign" },
		{ ".domain in other lists", "", "other@a.sub.example", "ok: u1001 other@a.sub.example" },
		{ "! says no", "", "user@not.sub.example", "foreign" },
		{ "our own address", "", "other@[192.0.2.1]", "ok: u1001 other@[192.0.2.1]" },
		{ "our own, of version 6", "", "other@[IPv6:2001:db8::1]", "ok: u1001 other@[ipv6:2001:db8::1]" },
		{ "somebody else's", "", "user@[192.0.2.2]", "foreign" },
		{ "under which others know us", "proxy_interfaces = 192.0.2.2\n", "other@[192.0.2.2]", "ok: u1001 other@[192.0.2.2]" },
		{ "a table that cannot answer", "virtual_alias_maps = later:x\n", "one@virt.example", "later" },
		{ "a table of domains that cannot answer", "mydestination = later:x\n", "one@else.example", "later" },
		{ "a table that is asked elsewhere", "virtual_alias_maps = slow:x\n", "one@vm.example", "wait" },
		{ "not an address", "", "@", "bad" },
		{ "percent hack is off", "", "x%else.example@here.example", "unknown: local recipient table" },
		{ "and on", "allow_percent_hack = yes\n", "x%else.example@here.example", "foreign: >x@else.example" },
		{ "bang path", "swap_bangpath = yes\n", "vm.example!u@here.example", "ok: u@vm.example" },
	};
	/* clang-format on */
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++)
		row_holds(&rows[i], false);
	tables_close();
}

static void
test_local(void **state)
{
	/* clang-format off */
	static const struct row rows[] = {
		{ "a user", "", "other@here.example", "ok: u1001 other@here.example" },
		{ "with a detail", "", "other+x@here.example", "ok: u1001 other@here.example|x" },
		{ "an alias of its own name", "", "user@here.example", "ok: u1000 user@here.example >out@else.example" },
		{ "R196 a chain", "", "postmaster@here.example", "ok: u1000 user@here.example >out@else.example" },
		{ "a bare name", "", "root", "ok: u1000 user@here.example >out@else.example" },
		{ "R195 aliases(5) know no backslash", "", "staff@here.example", "ok: u1001 other@here.example u1000 user@here.example >out@else.example" },
		{ "owner-list sends the copies", "", "list@here.example",
		  "ok: >out@else.example <owner-list@here.example u1000 user@here.example <owner-list@here.example" },
		{ "expand_owner_alias", "expand_owner_alias = yes\nvirtual_alias_maps =\n", "list@here.example",
		  "ok: >out@else.example <user@here.example u1000 user@here.example <user@here.example" },
		{ "commands", "allow_mail_to_commands = alias\n", "prog@here.example", "ok: |65534 prog@here.example|/bin/cat a, b |65534 prog@here.example|/bin/true" },
		{ "commands are not allowed", "allow_mail_to_commands = forward\n", "prog@here.example", "refused: 5.7.1 mail to commands is not allowed here: allow_mail_to_commands lacks alias" },
		{ "nor are they by themselves", "", "prog@here.example", "refused: 5.7.1 mail to commands is not allowed here: allow_mail_to_commands lacks alias" },
		{ "files are not allowed", "allow_mail_to_files =\n", "file@here.example", "refused: 5.7.1 mail to files is not allowed here: allow_mail_to_files lacks alias" },
		{ "a file", "", "file@here.example", "ok: /65534 file@here.example|/var/spool/x" },
		{ "default_privs", "default_privs = other\n", "file@here.example", "ok: /1001 file@here.example|/var/spool/x" },
		{ "default_privs is nobody", "default_privs = notthere\n", "file@here.example", "later" },
		{ "an included file", "", "inc@here.example", "ok: >out@else.example u1001 other@here.example u1000 user@here.example" },
		{ "commands in it are not allowed", "allow_mail_to_commands = alias\n", "incprog@here.example", "refused: 5.7.1 mail to commands is not allowed here: allow_mail_to_commands lacks include" },
		{ "others get theirs", "", "both@here.example", "ok: u1001 other@here.example" },
		{ "unless they are", "allow_mail_to_commands = include\n", "incprog@here.example", "ok: |65534 incprog@here.example|/bin/true" },
		{ "a file that is not there", "", "incgone@here.example", "later" },
		{ "a file that includes itself", "", "deep@here.example", "loop" },
		{ "a user's list that includes another file", "", "users@here.example", "later" },
		{ "a user's aliases: what is opened for that user", "alias_maps = hash:theirs\n", "mine@here.example", "ok: u1000 user@here.example" },
		{ "though root's aliases have it, too", "alias_maps = hash:theirs\n", "public@here.example", "ok: u1001 other@here.example" },
		{ "what only root may read is not there", "alias_maps = hash:theirs\n", "steal@here.example", "later" },
		{ "and all further on is for that user", "alias_maps = hash:theirs\n", "further@here.example", "ok: u1000 user@here.example u1001 other@here.example" },
		{ "whose number nobody makes longer", "alias_maps = hash:theirs\n", "another@here.example", "later" },
		{ "a circle", "", "ring@here.example", "loop" },
		{ "nobody", "", "nobody1@here.example", "unknown: local recipient table" },
		{ "luser_relay", "luser_relay = other+$local\n", "nobody1@here.example", "ok: u1001 other@here.example|nobody1" },
		{ "luser_relay elsewhere", "luser_relay = $user@else.example\n", "nobody1+x@here.example", "ok: >nobody1@else.example" },
		{ "what a stranger wrote stays in the local part", "luser_relay = other+$local\n", "\"x@far.example\"@here.example", "ok: u1001 other@here.example|x@far.example" },
		{ "and is in quotes elsewhere", "luser_relay = $local@else.example\n", "\"x@far.example\"@here.example", "ok: >\"x@far.example\"@else.example" },
		{ "blanks and the signs of a shell", "luser_relay = $user@else.example\n", "\"|touch x\"@here.example", "ok: >\"|touch x\"@else.example" },
		{ "the whole recipient", "luser_relay = $recipient\n", "nobody1@mail.here.example", "loop" },
		{ "luser_relay in a circle", "luser_relay = nobody2@here.example\n", "nobody1@here.example", "loop" },
		{ "a virtual alias to a local name", "", "local@virt.example", "ok: u1000 user@here.example >out@else.example" },
		{ "users that cannot be asked", "alias_maps = later:x\n", "other@here.example", "later" },
	};
	static const struct row at_rcpt[] = {
		{ "a user", "", "other@here.example", "ok: u1001 other@here.example" },
		{ "below first_valid_uid", "", "games@here.example", "unknown: local recipient table" },
		{ "with a detail", "", "games+x@here.example", "unknown: local recipient table" },
		{ "an alias of such a name", "", "root@here.example", "ok: u1000 user@here.example >out@else.example" },
		{ "an alias to such a name alone", "", "play@here.example", "unknown: local recipient table" },
		{ "who has a mailbox elsewhere", "mailbox_transport = lmtp:unix:/run/x\n", "games@here.example", "ok: >games@here.example" },
		{ "no alias, and uid 0", "alias_maps =\n", "root@here.example", "unknown: local recipient table" },
		{ "nobody", "", "nobody1@here.example", "unknown: local recipient table" },
		{ "a command, which is not run", "", "prog@here.example", "refused: 5.7.1 mail to commands is not allowed here: allow_mail_to_commands lacks alias" },
		{ "nobody says who there is", "local_recipient_maps =\n", "nobody1@here.example", "ok" },
		{ "a list of names of its own", "local_recipient_maps = hash:bcc\n", "nobody1@here.example", "unknown: local recipient table" },
	};
	/* clang-format on */
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++)
		row_holds(&rows[i], false);
	for (size_t i = 0; i < COUNT(at_rcpt); i++)
		row_holds(&at_rcpt[i], true);
	tables_close();
}

static void
test_rewriting(void **state)
{
	/* clang-format off */
	static const struct {
		const char *why, *more;
		enum rewrite_class class;
		const char *address, *wanted;
		enum directory_outcome outcome;
	} rows[] = {
		{ "nothing is set", "", ENVELOPE_SENDER, "old.name@here.example", "old.name@here.example", DIRECTORY_OK },
		{ "canonical", "canonical_maps = hash:canonical\n", ENVELOPE_SENDER, "old.name@here.example", "user@here.example", DIRECTORY_OK },
		{ "with a detail", "canonical_maps = hash:canonical\n", HEADER_RECIPIENT, "old.name+X@here.example", "user+X@here.example", DIRECTORY_OK },
		{ "@domain", "canonical_maps = hash:canonical\n", HEADER_SENDER, "Any.Body@legacy.example", "Any.Body@vm.example", DIRECTORY_OK },
		{ "for senders alone", "sender_canonical_maps = hash:canonical\n", ENVELOPE_RECIPIENT, "old.name@here.example", "old.name@here.example", DIRECTORY_OK },
		{ "not for headers", "canonical_maps = hash:canonical\ncanonical_classes = envelope_sender\n", HEADER_SENDER, "old.name@here.example", "old.name@here.example", DIRECTORY_OK },
		{ "the empty sender stays", "canonical_maps = hash:canonical\n", ENVELOPE_SENDER, "", "", DIRECTORY_OK },
		{ "on and on", "canonical_maps = hash:canonical\n", ENVELOPE_SENDER, "ping@here.example", "ping@here.example", DIRECTORY_OK },
		{ "the first of several", "canonical_maps = hash:canonical\n", HEADER_SENDER, "several@here.example", "b@x.example", DIRECTORY_OK },
		{ "away", "canonical_maps = later:x\n", ENVELOPE_SENDER, "a@here.example", "", DIRECTORY_LATER },
		{ "asked elsewhere", "canonical_maps = slow:x\n", ENVELOPE_SENDER, "a@here.example", "", DIRECTORY_WAIT },
		{ "masquerade", "masquerade_domains = here.example\n", HEADER_SENDER, "a@x.y.here.example", "a@here.example", DIRECTORY_OK },
		{ "not the recipient of the envelope", "masquerade_domains = here.example\n", ENVELOPE_RECIPIENT, "a@x.here.example", "a@x.here.example", DIRECTORY_OK },
		{ "the first that fits, and ! stays", "masquerade_domains = !y.here.example here.example\n", HEADER_SENDER, "a@x.y.here.example", "a@x.y.here.example", DIRECTORY_OK },
		{ "domains are in small letters", "masquerade_domains = Here.Example\n", HEADER_SENDER, "A@x.HERE.example", "A@here.example", DIRECTORY_OK },
		{ "an exception", "masquerade_domains = here.example\nmasquerade_exceptions = root\n", HEADER_SENDER, "root@x.here.example", "root@x.here.example", DIRECTORY_OK },
		{ "a name that only ends so", "masquerade_domains = here.example\n", HEADER_SENDER, "a@nothere.example", "a@nothere.example", DIRECTORY_OK },
	};
	/* clang-format on */
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct resolve_rules   rules = { 0 };
		struct settings       *s = rules_fill(rows[i].more, &rules);
		struct arena          *a = arena_open(NULL);
		struct resolving       r = { .rules = &rules, .arena = a };
		struct bytes           got;
		enum directory_outcome o;

		r.lookups = lookups_open(&needs, NULL, a);
		o = resolve_rewrite(&r, rows[i].class, bytes_of(rows[i].address), &got);
		HOLDS(rows[i].why, o == rows[i].outcome);
		if (o == DIRECTORY_OK)
			SAME(rows[i].why, got, bytes_of(rows[i].wanted));
		arena_close(&a);
		settings_close(&s);
	}
	tables_close();
}

/* Asked elsewhere: the pass is made again when it has answered, and comes to the same as if the table were here. */
static void
test_replay(void **state)
{
	struct resolve_rules          rules = { 0 };
	struct settings              *s = rules_fill("virtual_alias_maps = slow:x\n", &rules);
	struct arena                 *a = arena_open(NULL);
	struct resolving              r = { .rules = &rules, .arena = a };
	const struct lookup_question *q;
	struct resolve_answer         answer;
	struct buffer                 got = { 0 };
	int                           passes = 0;
	(void)state;

	r.lookups = lookups_open(&needs, NULL, a);
	while (resolve_address(&r, BYTES("team@wild.example"), &answer) == DIRECTORY_WAIT) {
		size_t place = 0;

		HOLDS("it ends", ++passes < 20);
		while ((q = lookups_next(r.lookups, &place)) != NULL) {
			bool team = bytes_is(q->key, "team@wild.example");
			lookup_answer(r.lookups, q->table, q->key, team ? TABLE_FOUND : TABLE_NONE,
			              team ? BYTES("u@vm.example, out@else.example") : BYTES(""));
		}
	}
	shown(DIRECTORY_OK, &answer, &got);
	SAME("both", buffer_bytes(&got), BYTES("ok: u@vm.example >out@else.example"));
	HOLDS("all that can be asked at once is", passes <= 4);
	buffer_free(&got);
	arena_close(&a);
	settings_close(&s);
	tables_close();
}

/* A table that has one long list, and what is asked of the others. */
static struct buffer list;

static enum table_outcome
kept_list(void *ctx, const char *name, struct bytes key, struct arena *a, struct bytes *value)
{
	if (strcmp(name, "slow:list") != 0)
		return kept(ctx, name, key, a, value);
	*value = buffer_bytes(&list);
	return bytes_is(key, "all@wild.example") ? TABLE_FOUND : TABLE_NONE;
}
static const struct lookup_needs list_needs = { .local = local_table, .kept = kept_list };

/* So many times it has been time for others. */
static bool
always_enough(void *ctx)
{
	++*(int *)ctx;
	return true;
}

/* A list in turns comes to the same as in one piece; between two of them it may be given up and begun again. */
static void
test_turns(void **state)
{
	struct resolve_rules rules = { 0 };
	struct settings     *s =
		rules_fill("virtual_alias_maps = slow:list\nvirtual_alias_expansion_limit = 2000\n",
	                   &rules);
	struct buffer          got = { 0 }, whole = { 0 };
	struct arena          *a = arena_open(NULL);
	struct bytes           all = BYTES("all@wild.example");
	int                    rests = 0;
	struct resolving       r = { .rules = &rules, .arena = a, .ctx = &rests };
	struct resolve_answer  answer;
	enum directory_outcome o;
	(void)state;

	for (int i = 0; i < 900; i++)
		buffer_printf(&list, "m%d@far.example, m%d@else.example, ", i % 800, i);
	buffer_add_string(&list, "u@vm.example");
	r.lookups = lookups_open(&list_needs, NULL, a);
	HOLDS("in one piece", resolve_address(&r, all, &answer) == DIRECTORY_OK);
	HOLDS("each once", answer.count == 800 + 900 + 1);
	shown(DIRECTORY_OK, &answer, &whole);

	r.enough = always_enough;
	HOLDS("there is more", resolve_address(&r, all, &answer) == DIRECTORY_MORE);
	HOLDS("nothing is told of it yet", answer.count == 0 && r.walk != NULL);
	resolve_abandon(&r);
	rests = 0;
	while ((o = resolve_address(&r, all, &answer)) == DIRECTORY_MORE)
		HOLDS("it ends", rests < 1000);
	HOLDS("it rested now and then", rests > 20 && r.walk == NULL);
	shown(o, &answer, &got);
	SAME("the same", buffer_bytes(&got), buffer_bytes(&whole));
	buffer_free(&list);
	buffer_free(&got);
	buffer_free(&whole);
	arena_close(&a);
	settings_close(&s);
	tables_close();
}

/* Each name of a long list is asked of a table elsewhere: some hundreds at a time, none twice, and it comes to its end. */
static void
test_turns_that_wait(void **state)
{
	struct resolve_rules rules = { 0 };
	struct settings     *s = rules_fill(
		    "virtual_alias_maps = slow:list slow:x\nvirtual_alias_expansion_limit = 20000\n",
		    &rules);
	struct arena                 *a = arena_open(NULL);
	int                           rests = 0, passes = 0, asked = 0;
	struct resolving              r = { .rules = &rules, .arena = a, .ctx = &rests };
	struct resolve_answer         answer;
	const struct lookup_question *q;
	enum directory_outcome        o;
	(void)state;

	for (int i = 0; i < 5000; i++)
		buffer_printf(&list, "m%d@far.example, ", i);
	buffer_add_string(&list, "u@vm.example");
	r.lookups = lookups_open(&list_needs, NULL, a);
	r.enough = always_enough;
	while ((o = resolve_address(&r, BYTES("all@wild.example"), &answer)) == DIRECTORY_WAIT ||
	       o == DIRECTORY_MORE) {
		size_t place = 0;

		HOLDS("it ends", ++passes < 1000);
		HOLDS("not all at once", lookups_waiting(r.lookups) <= 1000);
		if (o == DIRECTORY_MORE)
			continue;
		HOLDS("there is something to ask", lookups_waiting(r.lookups) > 0);
		for (; (q = lookups_next(r.lookups, &place)) != NULL; asked++)
			lookup_answer(r.lookups, q->table, q->key,
			              bytes_is(q->key, "m7@far.example") ? TABLE_FOUND : TABLE_NONE,
			              BYTES("seven@else.example"));
	}
	HOLDS("somebody", o == DIRECTORY_OK);
	HOLDS("everybody, once", answer.count == 5001);
	HOLDS("asked as they are told", asked > 5000 && asked <= 3 * 5000 + 10);
	HOLDS("no question twice", lookups_waiting(r.lookups) == 0);
	buffer_free(&list);
	arena_close(&a);
	settings_close(&s);
	tables_close();
}

static void
test_copies(void **state)
{
	struct resolve_rules rules = { 0 };
	struct settings     *s = rules_fill(
		    "always_bcc = all@vm.example\nsender_bcc_maps = hash:bcc\nrecipient_bcc_maps = hash:bcc\n",
		    &rules);
	struct arena    *a = arena_open(NULL);
	struct resolving r = { .rules = &rules, .arena = a };
	struct bytes     copy[2];
	size_t           count;
	(void)state;

	r.lookups = lookups_open(&needs, NULL, a);
	HOLDS("of a sender",
	      resolve_bcc_sender(&r, BYTES("User@here.example"), copy, &count) == DIRECTORY_OK &&
	              count == 2);
	SAME("by the table", copy[0], BYTES("archive@vm.example"));
	SAME("always", copy[1], BYTES("all@vm.example"));
	HOLDS("of another",
	      resolve_bcc_sender(&r, BYTES(""), copy, &count) == DIRECTORY_OK && count == 1);
	HOLDS("of a recipient",
	      resolve_bcc_recipient(&r, BYTES("user+x@here.example"), copy) == DIRECTORY_OK);
	SAME("by the table", copy[0], BYTES("archive@vm.example"));
	arena_close(&a);
	settings_close(&s);
	tables_close();
}

UNIT(test_classes, test_local, test_rewriting, test_replay, test_turns, test_turns_that_wait,
     test_copies)
