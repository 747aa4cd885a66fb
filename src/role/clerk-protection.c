/*
 * clerk-protection -- `mansio account app-password|totp|suspend|resume`, `account set --networks
 * --protocols` and `mansio auth failures|bans|ban|unban`
 *
 * Secrets are said once, to who asked, and never logged.  What takes something away from somebody who
 * is in ends their sessions.
 */
#include "role/clerk-guard.h"

#include "base/base32.h"
#include "base/clock.h"
#include "base/random.h"
#include "channel/bans.h"
#include "directory/totp.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct bytes
argument(const struct order *e, uint32_t at)
{
	return at < e->ask->argc ? bytes_of(e->ask->argv[at]) : (struct bytes){ NULL, 0 };
}

/* The value behind "--name" from argv[from] on; NULL: it is not there. */
static const char *
option(const struct order *e, uint32_t from, const char *name)
{
	for (uint32_t i = from; i + 1 < e->ask->argc; i++)
		if (strcmp(e->ask->argv[i], name) == 0)
			return e->ask->argv[i + 1];
	return NULL;
}

/* Whether from argv[from] on there are only these options with their values; else that is said. */
static bool
options_known(struct order *e, uint32_t from, const char *const *names)
{
	for (uint32_t i = from; i < e->ask->argc; i += 2) {
		size_t n = 0;
		while (names[n] != NULL && strcmp(names[n], e->ask->argv[i]) != 0)
			n++;
		if (names[n] != NULL && i + 1 < e->ask->argc)
			continue;
		caller_complain(e->caller, "mansio: \"%s\" %s\n", e->ask->argv[i],
		                names[n] != NULL ? "wants a value behind it" : "is not known here");
		return false;
	}
	return true;
}

/* ---- moments -------------------------------------------------------------------------- */

/* "90d", "12h", "30m": seconds; 0: it is not that. */
static int64_t
span_of(struct bytes text)
{
	static const struct {
		char    unit;
		int64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 } };
	uint64_t n;

	for (size_t i = 0; text.len > 1 && i < COUNT(units); i++)
		if (text.at[text.len - 1] == units[i].unit &&
		    bytes_number(bytes_cut(text, 0, text.len - 1), &n) && n > 0 && n < 1000000)
			return (int64_t)n * units[i].seconds;
	return 0;
}

/* A span from now, or 2026-12-31, or 2026-12-31T18:00:00Z.  0: none of them, or past. */
static int64_t
moment_of(const char *text)
{
	struct tm   tm = { 0 };
	int64_t     span = span_of(bytes_of(text)), now = clock_wall(), at;
	const char *end;

	if (span > 0)
		return now + span;
	if ((end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm)) == NULL || *end != '\0') {
		tm = (struct tm){ 0 };
		if ((end = strptime(text, "%Y-%m-%d", &tm)) == NULL || *end != '\0')
			return 0;
	}
	at = (int64_t)timegm(&tm);
	return at > now ? at : 0;
}

static int
moment_wrong(struct order *e, const char *name, const char *value)
{
	caller_complain(e->caller,
	                "mansio: %s %s: right would be a time to come, as 90d, 12h or 2026-12-31\n",
	                name, value);
	return 2;
}

/* ---- app passwords ------------------------------------------------------------------------ */

static int
app_add(struct order *e, uint64_t account, struct bytes name)
{
	static const char *const known[] = { "--protocols", "--expires", NULL };
	char                     shown[APP_PASSWORD_TEXT];
	const char *protocols = option(e, 5, "--protocols"), *expires = option(e, 5, "--expires");
	unsigned    bits = PROTOCOL_ALL;
	int64_t     until = 0;
	enum directory_outcome o;

	if (!options_known(e, 5, known))
		return 2;
	if (protocols != NULL && !protocols_read(bytes_of(protocols), &bits)) {
		caller_complain(
			e->caller,
			"mansio: --protocols %s: right would be some of imap,pop3,smtp,submission,sieve,other, or all\n",
			protocols);
		return 2;
	}
	if (expires != NULL && (until = moment_of(expires)) == 0)
		return moment_wrong(e, "--expires", expires);
	o = app_password_add(e->clerk->directory, account, name, bits, until, shown);
	if (o == DIRECTORY_OK)
		caller_say(e->caller, "%s\n", shown);
	explicit_bzero(shown, sizeof shown);
	if (o == DIRECTORY_BAD)
		caller_complain(e->caller,
		                "mansio: an app password wants a name of 1 to %d bytes\n",
		                APP_PASSWORD_NAME);
	else if (o == DIRECTORY_IN_USE)
		caller_complain(e->caller,
		                "mansio: this account has %d app passwords; revoke one\n",
		                APP_PASSWORDS_MOST);
	else {
		e->first = name;
		return order_finish(e, o, "app password");
	}
	return 1;
}

static void
app_say(void *ctx, const struct app_password *p)
{
	struct order *e = ctx;
	struct buffer b = { 0 };
	char          made[24], used[24] = "never", expires[24] = "never";

	order_when(p->made, made);
	if (p->used != 0)
		order_when(p->used, used);
	if (p->expires != 0)
		order_when(p->expires, expires);
	if (!e->json) {
		buffer_printf(&b, "%-24s id=%" PRIu64 " protocols=", p->name, p->id);
		protocols_write(&b, p->protocols);
		buffer_printf(&b, " made=%s expires=%s used=%s", made, expires, used);
		if (p->used != 0)
			buffer_printf(&b, " from=%s by=%s", p->used_from, p->used_by);
		buffer_add_char(&b, '\n');
		order_row_say(e, &b);
		return;
	}
	order_row_open(e, &b);
	buffer_add_string(&b, "{\"name\": ");
	order_json_text(&b, p->name);
	buffer_printf(&b, ", \"id\": %" PRIu64 ", \"protocols\": \"", p->id);
	protocols_write(&b, p->protocols);
	buffer_printf(&b, "\", \"made\": \"%s\", \"expires\": %s%s%s, \"used\": %s%s%s", made,
	              p->expires ? "\"" : "", p->expires ? expires : "null", p->expires ? "\"" : "",
	              p->used ? "\"" : "", p->used ? used : "null", p->used ? "\"" : "");
	buffer_add_string(&b, ", \"used_from\": ");
	order_json_text(&b, p->used_from);
	buffer_add_string(&b, ", \"used_by\": ");
	order_json_text(&b, p->used_by);
	buffer_add_char(&b, '}');
	order_row_say(e, &b);
}

static int
app_revoke(struct order *e, uint64_t account, struct bytes name)
{
	enum directory_outcome o = app_password_revoke(e->clerk->directory, account, name);

	if (o == DIRECTORY_OK)
		clerk_account_out(e->house, account, "An app password of this account was revoked");
	e->first = name;
	return order_finish(e, o, "app password");
}

/* account app-password add|list|revoke ADDRESS ... */
int
run_account_app_password(struct order *e)
{
	struct arena *a = arena_open(NULL);
	struct bytes  name = argument(e, 4);
	int           status;
	uint64_t      account;
	bool          adds = bytes_is(e->first, "add"), lists = bytes_is(e->first, "list");

	if ((!adds && !lists && !bytes_is(e->first, "revoke")) || (!lists && name.len == 0) ||
	    (!adds && e->ask->argc > (lists ? 4 : 5))) {
		caller_complain(
			e->caller,
			"usage: mansio account app-password add ADDRESS NAME [--protocols LIST] [--expires WHEN]\n"
			"       mansio account app-password list ADDRESS [--json]\n"
			"       mansio account app-password revoke ADDRESS NAME|ID\n");
		status = 2;
	} else if ((account = order_account(e, a, argument(e, 3), &status)) == 0)
		;
	else if (adds)
		status = app_add(e, account, name);
	else if (!lists)
		status = app_revoke(e, account, name);
	else {
		clerk_write_down(e->clerk);
		status =
			order_finish(e, app_password_each(e->clerk->directory, account, app_say, e),
		                     "account");
		order_list_end(e);
	}
	arena_close(&a);
	return status;
}

/* ---- the second factor ------------------------------------------------------------------------ */

static int
totp_enable(struct order *e, uint64_t account)
{
	unsigned char          secret[TOTP_SECRET];
	struct bytes           bytes = { (const char *)secret, sizeof secret };
	struct buffer          b = { 0 };
	enum directory_outcome o;

	random_fill(secret, sizeof secret);
	o = second_factor_begin(e->clerk->directory, account, bytes);
	if (o == DIRECTORY_OK) {
		buffer_add_string(&b, "secret ");
		base32_encode(&b, bytes);
		buffer_add_string(&b, "\nuri ");
		totp_uri(&b, bytes_of(e->house->common.myhostname), e->first, bytes);
		buffer_add_char(&b, '\n');
		caller_say(e->caller, "%.*s", (int)b.len, b.at);
		explicit_bzero(b.at, b.len);
	}
	buffer_free(&b);
	explicit_bzero(secret, sizeof secret);
	return order_finish(e, o, "second factor of");
}

static int
totp_confirm(struct order *e, uint64_t account, struct bytes code)
{
	char                   codes[RECOVERY_CODES][RECOVERY_TEXT];
	enum directory_outcome o =
		second_factor_confirm(e->clerk->directory, account, code, clock_wall(), codes);

	if (o == DIRECTORY_BAD)
		caller_complain(e->caller,
		                "mansio: this code is wrong; is the clock of the phone right?\n");
	else if (o == DIRECTORY_NONE)
		caller_complain(
			e->caller,
			"mansio: nothing to confirm: begin with mansio account totp enable %.*s\n",
			(int)e->first.len, e->first.at);
	else if (o == DIRECTORY_OK) {
		for (int i = 0; i < RECOVERY_CODES; i++)
			caller_say(e->caller, "%s\n", codes[i]);
		explicit_bzero(codes, sizeof codes);
		clerk_account_out(e->house, account,
		                  "This account asks for a second factor from now on");
		return 0;
	}
	return o == DIRECTORY_BAD || o == DIRECTORY_NONE ? 1
	                                                 : order_finish(e, o, "second factor of");
}

static int
totp_test(struct order *e, uint64_t account, struct bytes code)
{
	static const char *const words[] = {
		[FACTOR_WRONG] = "the code is wrong, or was used before",
		[FACTOR_TOO_OFTEN] = "too many wrong codes, try again in a minute",
		[FACTOR_OFF] = "this account has no second factor",
		[FACTOR_LATER] = "the directory cannot be used now; the log says why",
	};
	uint32_t           left;
	enum second_factor f =
		second_factor_check(e->clerk->directory, account, code, clock_wall(), &left);

	if (f == FACTOR_RIGHT)
		caller_say(e->caller, "right\n");
	else if (f == FACTOR_RECOVERY)
		caller_say(e->caller, "right: a recovery code, %" PRIu32 " left\n", left);
	else
		caller_complain(e->caller, "mansio: %s\n", words[f]);
	return f == FACTOR_RIGHT || f == FACTOR_RECOVERY ? 0 : 1;
}

/* account totp enable|confirm|test|disable ADDRESS; a code is the input. */
int
run_account_totp(struct order *e)
{
	struct arena *a = arena_open(NULL);
	struct bytes  what = e->first, code = bytes_trim(e->ask->input);
	int           status;
	uint64_t      account = order_account(e, a, argument(e, 3), &status);

	if (account == 0)
		;
	else if (bytes_is(what, "enable"))
		status = totp_enable(e, account);
	else if (bytes_is(what, "confirm"))
		status = totp_confirm(e, account, code);
	else if (bytes_is(what, "test"))
		status = totp_test(e, account, code);
	else if (bytes_is(what, "disable"))
		status = order_finish(e, second_factor_end(e->clerk->directory, account),
		                      "second factor of");
	else {
		caller_complain(e->caller,
		                "usage: mansio account totp enable|confirm|test|disable ADDRESS\n");
		status = 2;
	}
	arena_close(&a);
	return status;
}

/* ---- suspension, networks, protocols --------------------------------------------------------------- */

int
run_account_suspend(struct order *e)
{
	static const char *const known[] = { "--until", "--reason", NULL };
	struct arena            *a = arena_open(NULL);
	const char *until = option(e, 3, "--until"), *reason = option(e, 3, "--reason");
	int         status = 2;
	uint64_t    account;
	int64_t     at = 0;

	if (!options_known(e, 3, known))
		;
	else if (until != NULL && (at = moment_of(until)) == 0)
		status = moment_wrong(e, "--until", until);
	else if ((account = order_account(e, a, e->first, &status)) != 0) {
		status = order_finish(e,
		                      protection_suspend(e->clerk->directory, account, at,
		                                         bytes_cut(bytes_of(reason), 0, 200)),
		                      "account");
		if (status == 0)
			clerk_account_out(e->house, account, "This account was suspended");
	}
	arena_close(&a);
	return status;
}

int
run_account_resume(struct order *e)
{
	struct arena *a = arena_open(NULL);
	int           status;
	uint64_t      account = order_account(e, a, e->first, &status);

	if (account != 0)
		status = order_finish(e, protection_resume(e->clerk->directory, account),
		                      "suspended account");
	arena_close(&a);
	return status;
}

/* Commas or blanks between them, as Dovecot's allow_nets; "all": everywhere.  NULL: said what is wrong. */
static const char *
networks_read(struct order *e, struct arena *a, const char *text)
{
	struct buffer  out = { 0 };
	struct network n;
	const char    *wrong, *word;
	char          *rest = arena_copy(a, bytes_of(text)), *kept;

	if (strcmp(text, "all") == 0)
		return "";
	while ((word = strtok_r(rest, ", ", &rest)) != NULL) {
		/* allow_nets writes IPv6 bare. */
		const char *slash = strchr(word, '/');
		if (strchr(word, ':') != NULL && word[0] != '[')
			word = arena_printf(a, "[%.*s]%s",
			                    (int)(slash ? (size_t)(slash - word) : strlen(word)),
			                    word, slash ? slash : "");
		if (!network_parse(bytes_of(word), &n, &wrong)) {
			caller_complain(e->caller, "mansio: --networks %s: %s\n", word, wrong);
			buffer_free(&out);
			return NULL;
		}
		buffer_printf(&out, "%s%s", out.len > 0 ? " " : "", word);
	}
	kept = arena_copy(a, buffer_bytes(&out));
	if (out.len == 0 || out.len > 4000) {
		caller_complain(e->caller,
		                "mansio: --networks wants addresses and networks, or all\n");
		kept = NULL;
	}
	buffer_free(&out);
	return kept;
}

/* account set ADDRESS --networks LIST|all --protocols LIST|all */
int
order_set_bounds(struct order *e)
{
	static const char *const known[] = { "--networks", "--protocols", NULL };
	struct arena            *a = arena_open(NULL);
	const char *networks = option(e, 3, "--networks"), *list = option(e, 3, "--protocols");
	unsigned    bits = 0;
	int         status = 2;
	uint64_t    account;

	if (!options_known(e, 3, known) ||
	    (networks != NULL && (networks = networks_read(e, a, networks)) == NULL))
		;
	else if (list != NULL && !protocols_read(bytes_of(list), &bits))
		caller_complain(
			e->caller,
			"mansio: --protocols %s: right would be some of imap,pop3,smtp,submission,sieve,other, or all\n",
			list);
	else if ((account = order_account(e, a, e->first, &status)) != 0) {
		status = order_finish(e,
		                      protection_bound(e->clerk->directory, account, networks,
		                                       list != NULL ? &bits : NULL),
		                      "account");
		if (status == 0)
			clerk_account_out(e->house, account,
			                  "What this account is allowed was changed");
	}
	arena_close(&a);
	return status;
}

/* What account list says of it, behind the rest of its row. */
void
order_protection_say(struct order *e, uint64_t account, struct buffer *b)
{
	struct arena     *a = arena_open(NULL);
	struct protection p;
	char              until[24] = "";

	if (protection_of(e->clerk->directory, account, a, &p) != DIRECTORY_OK) {
		arena_close(&a);
		return;
	}
	if (p.until != 0)
		order_when(p.until, until);
	if (!e->json) {
		if (p.suspended)
			buffer_printf(b, " suspended=%s", p.until != 0 ? until : "yes");
		if (p.networks[0] != '\0')
			buffer_printf(b, " networks=\"%s\"", p.networks);
		if (p.protocols != 0) {
			buffer_add_string(b, " protocols=");
			protocols_write(b, p.protocols);
		}
		if (p.second_factor)
			buffer_add_string(b, " totp=yes");
		if (p.app_passwords > 0)
			buffer_printf(b, " app-passwords=%" PRIu32, p.app_passwords);
	} else {
		buffer_printf(
			b,
			", \"suspended\": %s, \"suspended_until\": %s%s%s, \"suspended_reason\": ",
			p.suspended ? "true" : "false", p.until ? "\"" : "",
			p.until ? until : "null", p.until ? "\"" : "");
		order_json_text(b, p.reason);
		buffer_add_string(b, ", \"networks\": ");
		order_json_text(b, p.networks[0] != '\0' ? p.networks : "all");
		buffer_add_string(b, ", \"protocols\": \"");
		protocols_write(b, p.protocols);
		buffer_printf(b, "\", \"totp\": %s, \"app_passwords\": %" PRIu32,
		              p.second_factor ? "true" : "false", p.app_passwords);
	}
	arena_close(&a);
}

/* ---- failures and bans ------------------------------------------------------------------------------ */

static void
failure_say(void *ctx, const struct failure_row *r)
{
	struct order *e = ctx;
	struct buffer b = { 0 };
	char          when[24];

	order_when(r->at, when);
	if (!e->json) {
		caller_say(e->caller, "%s %-24s %-10s %-32s %s\n", when, r->network, r->service,
		           r->user[0] != '\0' ? r->user : "-", r->why);
		return;
	}
	order_row_open(e, &b);
	buffer_printf(&b, "{\"at\": \"%s\", \"network\": ", when);
	order_json_text(&b, r->network);
	buffer_add_string(&b, ", \"service\": ");
	order_json_text(&b, r->service);
	buffer_add_string(&b, ", \"user\": ");
	order_json_text(&b, r->user);
	buffer_add_string(&b, ", \"reason\": ");
	order_json_text(&b, r->why);
	buffer_add_char(&b, '}');
	order_row_say(e, &b);
}

/* auth failures [--account ADDRESS] [--network NETWORK] */
int
run_auth_failures(struct order *e)
{
	static const char *const known[] = { "--account", "--network", NULL };
	const char              *network = option(e, 2, "--network");
	char                     kept[64];

	if (!options_known(e, 2, known))
		return 2;
	if (network != NULL && !bans_network(bytes_of(network), kept)) {
		caller_complain(
			e->caller,
			"mansio: --network %s: right would be 192.0.2.1, 198.51.100.0/24 or 2001:db8::/64\n",
			network);
		return 2;
	}
	clerk_failures_each(e->clerk, bytes_of(option(e, 2, "--account")),
	                    network != NULL ? kept : NULL, failure_say, e);
	order_list_end(e);
	return 0;
}

static void
ban_row_say(void *ctx, const struct ban *r)
{
	struct order *e = ctx;
	struct buffer b = { 0 };
	char          since[24], until[24] = "forever";

	if (r->until != 0 && r->until <= clock_wall())
		return;
	order_when(r->since, since);
	if (r->until != 0)
		order_when(r->until, until);
	if (!e->json) {
		caller_say(e->caller, "%-32s since=%s until=%s times=%" PRIu32 " %s\n", r->network,
		           since, until, r->times, r->reason);
		return;
	}
	order_row_open(e, &b);
	buffer_add_string(&b, "{\"network\": ");
	order_json_text(&b, r->network);
	buffer_printf(&b,
	              ", \"since\": \"%s\", \"until\": %s%s%s, \"times\": %" PRIu32
	              ", \"reason\": ",
	              since, r->until ? "\"" : "", r->until ? until : "null", r->until ? "\"" : "",
	              r->times);
	order_json_text(&b, r->reason);
	buffer_add_char(&b, '}');
	order_row_say(e, &b);
}

int
run_auth_bans(struct order *e)
{
	enum directory_outcome o = ban_each(e->clerk->directory, 0, ban_row_say, e);

	order_list_end(e);
	return order_finish(e, o, "ban");
}

static int
network_wrong(struct order *e)
{
	caller_complain(
		e->caller,
		"mansio: %.*s is no network; right would be 192.0.2.1, 198.51.100.0/24 or 2001:db8::/64\n",
		(int)e->first.len, e->first.at);
	return 2;
}

/* auth ban NETWORK [--for TIME] [--reason WORDS] */
int
run_auth_ban(struct order *e)
{
	static const char *const known[] = { "--for", "--reason", NULL };
	const char              *span = option(e, 3, "--for"), *reason = option(e, 3, "--reason");
	struct ban               b = { .since = clock_wall(), .times = 1 };
	char                     network[64], words[201];

	if (!options_known(e, 3, known))
		return 2;
	if (!bans_network(e->first, network))
		return network_wrong(e);
	if (span != NULL && span_of(bytes_of(span)) == 0)
		return moment_wrong(e, "--for", span);
	(void)snprintf(words, sizeof words, "%.200s", reason != NULL ? reason : "by hand");
	b.network = network;
	b.reason = words;
	b.until = span != NULL ? b.since + span_of(bytes_of(span)) : 0;
	if (clerk_ban(e->clerk, &b))
		return 0;
	caller_complain(e->caller,
	                "mansio: %s cannot be banned: there are %d ranges already, or the "
	                "directory cannot be used now\n",
	                network, BAN_RANGES_MOST);
	return 1;
}

/* The bans that hold a network although none is of it, or hold a part of it. */
struct near_bans {
	struct order *order;
	const char   *network;
};

static void
near_ban_say(void *ctx, const struct ban *b)
{
	const struct near_bans *n = ctx;
	bool                    around = bans_covers(b->network, n->network);

	if ((b->until != 0 && b->until <= clock_wall()) ||
	    (!around && !bans_covers(n->network, b->network)))
		return;
	caller_complain(n->order->caller, "mansio: %s, %s, is banned: mansio auth unban %s\n",
	                b->network, around ? "which it lies in" : "which lies in it", b->network);
}

int
run_auth_unban(struct order *e)
{
	char                   network[64];
	struct near_bans       near = { e, network };
	enum directory_outcome o;
	int                    status;

	if (!bans_network(e->first, network))
		return network_wrong(e);
	o = clerk_unban(e->clerk, network);
	status = order_finish(e, o, "ban of");
	if (o == DIRECTORY_NONE)
		(void)ban_each(e->clerk->directory, 0, near_ban_say, &near);
	return status;
}
