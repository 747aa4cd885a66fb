/* who, kick -- the people who read their mail now, and how they are sent away */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/map.h"
#include "channel/peer.h"
#include "command/keepers.h"
#include "command/output.h"
#include "command/who.h"
#include "role/wire.h"

static int run_who(struct call *);
static int run_kick(struct call *);

const struct command command_who = {
	.name = "who",
	.forms = "who [USER] [ADDRESS | NETWORK] [--json | -f FORM]",
	.about =
		"Shows who is reading mail: user, protocol, address, since when, and what they are at.",
	.more = "USER may hold * and ?; NETWORK is an address and a width, 192.0.2.0/24. FORM is table, flow, tab, "
		"pager, json or values. With both a user and where from, only sessions that fit both are shown.",
	.run = run_who,
};

const struct command command_kick = {
	.name = "kick",
	.forms = "kick USER [ADDRESS | NETWORK]\n"
		 "kick ADDRESS | NETWORK | SESSION",
	.about =
		"Ends the sessions of a user, of an address, of a user from there, or one session, with BYE.",
	.more = "Nothing keeps them from coming back: account set ADDRESS enabled no does. The exit status is 1 "
		"when there was no such session.",
	.run = run_kick,
};

enum { SESSION_FIELDS = 8 };
enum {
	FIELD_USER,
	FIELD_PROTOCOL,
	FIELD_ADDRESS,
	FIELD_TLS,
	FIELD_SESSION,
	FIELD_SINCE,
	FIELD_PROCESS,
	FIELD_STATE
};

/* One row of a keeper: its values between tabs. */
static bool
split_row(struct bytes line, struct bytes field[static SESSION_FIELDS])
{
	for (size_t i = 0; i < SESSION_FIELDS; i++)
		if (!bytes_split(&line, '\t', &field[i]))
			return false;
	return true;
}

/* An address as a keeper writes it, in a network. */
static bool
in_network(const struct network *n, struct bytes address)
{
	struct network one;
	struct peer    peer = { 0 };
	const char    *why;

	if (!network_parse(address, &one, &why)) {
		char bracketed[64];
		(void)snprintf(bracketed, sizeof bracketed, "[%.*s]", (int)address.len, address.at);
		if (!network_parse(bytes_of(bracketed), &one, &why))
			return false;
	}
	peer.family = one.family;
	memcpy(peer.raw, one.raw, sizeof peer.raw);
	return network_holds(n, &peer);
}

static bool
network_of(const char *what, struct network *n)
{
	char        bracketed[80];
	const char *why, *slash = strchr(what, '/');

	if (strchr(what, ':') != NULL && what[0] != '[' && strlen(what) < 60) {
		int len = slash != NULL ? (int)(slash - what) : (int)strlen(what);
		(void)snprintf(bracketed, sizeof bracketed, "[%.*s]%s", len, what,
		               slash != NULL ? slash : "");
		what = bracketed;
	}
	return network_parse(bytes_of(what), n, &why);
}

/* Whether this word means this session. */
static bool
word_fits(const struct bytes field[static SESSION_FIELDS], const char *what)
{
	char           user[512];
	struct network n;

	if (bytes_equal(field[FIELD_SESSION], bytes_of(what)))
		return true;
	if (network_of(what, &n))
		return in_network(&n, field[FIELD_ADDRESS]);
	return bytes_string(field[FIELD_USER], user, sizeof user) && mask_fits(what, user);
}

/* Whether all words mean this session. */
static bool
row_fits(const struct bytes field[static SESSION_FIELDS], int n, char *const *whom)
{
	for (int i = 0; i < n; i++)
		if (!word_fits(field, whom[i]))
			return false;
	return true;
}

const char *
who_misfit(int n, char *const *whom)
{
	struct network from;
	int            networks = 0;

	for (int i = 0; i < n; i++)
		networks += network_of(whom[i], &from);
	return networks > 1 ? "one address or network is enough"
	       : n - networks > 1
	               ? "one user is enough, who may hold * and ?; the other word is an address or a network"
	               : NULL;
}

static void
since_text(struct bytes seconds, char out[static 24])
{
	uint64_t  n = 0;
	struct tm tm = { 0 };
	time_t    t;

	(void)bytes_number(seconds, &n);
	t = (time_t)n;
	if (localtime_r(&t, &tm) == NULL || strftime(out, 24, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		out[0] = '\0';
}

static int
run_who(struct call *c)
{
	static const char *const columns[] = { "user",    "protocol", "address", "tls",
		                               "session", "since",    "state" };
	static const char *const ask[] = { "who" };
	struct buffer            said = { 0 };
	struct bytes             rest, line, field[SESSION_FIELDS];
	enum output_form         form;
	struct output           *o;
	char                     since[24];
	const char              *misfit;
	int                      status;

	if (!output_option(c, OUTPUT_TABLE, &form))
		return COMMAND_WRONG;
	if ((misfit = who_misfit(c->argc - 1, c->argv + 1)) != NULL)
		return command_wrong(c, "%s", misfit);
	status = keepers_ask(c, 1, ask, &said);
	rest = buffer_bytes(&said);
	o = output_open(form, columns, COUNT(columns));
	while (bytes_split(&rest, '\n', &line)) {
		if (!split_row(line, field) || !row_fits(field, c->argc - 1, c->argv + 1))
			continue;
		since_text(field[FIELD_SINCE], since);
		for (size_t i = 0; i < SESSION_FIELDS; i++)
			if (i != FIELD_PROCESS)
				output_value(o, i == FIELD_SINCE ? bytes_of(since) : field[i]);
	}
	output_close(&o);
	buffer_free(&said);
	return status;
}

/* ---- as doveadm tells it ---- */

/* The sessions of one user by one protocol. */
struct reader_row {
	struct bytes  user, protocol;
	size_t        sessions;
	struct buffer processes, addresses;
};

/* Once each, between blanks. */
static void
add_word(struct buffer *words, struct bytes word)
{
	struct bytes rest = buffer_bytes(words), one;

	while (bytes_split(&rest, ' ', &one))
		if (bytes_equal(one, word))
			return;
	if (words->len > 0)
		buffer_add_char(words, ' ');
	buffer_add(words, word);
}

/* All that have been seen; `known` finds those of a user and protocol, which stand side by side in a line. */
struct reader_rows {
	struct reader_row *row;
	size_t             count;
	struct map        *known;
};

static struct reader_row *
row_of(struct reader_rows *all, const struct bytes field[static SESSION_FIELDS])
{
	struct bytes       user = field[FIELD_USER], protocol = field[FIELD_PROTOCOL];
	struct bytes       key = { user.at, (size_t)(protocol.at + protocol.len - user.at) };
	struct reader_row *row = map_get(all->known, key);

	if (row != NULL)
		return row;
	row = &all->row[all->count++];
	*row = (struct reader_row){ .user = user, .protocol = protocol };
	(void)map_put(all->known, key, row);
	return row;
}

int
who_readers(struct call *c, int n, char *const *whom, bool apart, enum output_form form)
{
	static const struct output_column columns[] = { { .title = "username" },
		                                        { "#", "connections", false, false },
		                                        { "proto", "service", false, false },
		                                        { "(pids)", "pids", false, false },
		                                        { "(ips)", "ips", false, false } };
	static const struct output_column single[] = { { .title = "username" },
		                                       { "proto", "service", false, false },
		                                       { .title = "pid" },
		                                       { .title = "ip" } };
	static const char *const          ask[] = { "who" };
	struct buffer                     said = { 0 };
	struct bytes                      rest, line, field[SESSION_FIELDS];
	struct reader_rows                all = { .known = map_open() };
	size_t                            lines = 1;
	int                               status = keepers_ask(c, 1, ask, &said);
	struct output                    *o;

	for (size_t i = 0; i < said.len; i++)
		lines += said.at[i] == '\n';
	all.row = memory_take(lines * sizeof *all.row);
	o = apart ? output_open_as_doveadm(form, single, COUNT(single))
	          : output_open_as_doveadm(form, columns, COUNT(columns));
	rest = buffer_bytes(&said);
	while (bytes_split(&rest, '\n', &line)) {
		struct reader_row *r;
		if (!split_row(line, field) || !row_fits(field, n, whom))
			continue;
		if (apart) {
			output_value(o, field[FIELD_USER]);
			output_value(o, field[FIELD_PROTOCOL]);
			output_value(o, field[FIELD_PROCESS]);
			output_value(o, field[FIELD_ADDRESS]);
			continue;
		}
		r = row_of(&all, field);
		r->sessions++;
		add_word(&r->processes, field[FIELD_PROCESS]);
		add_word(&r->addresses, field[FIELD_ADDRESS]);
	}
	for (size_t i = 0; i < all.count; i++) {
		struct reader_row *r = &all.row[i];
		output_value(o, r->user);
		output_text(o, "%zu", r->sessions);
		output_value(o, r->protocol);
		output_text(o, "(%.*s)", (int)r->processes.len, r->processes.at);
		output_text(o, "(%.*s)", (int)r->addresses.len, r->addresses.at);
		buffer_free(&r->processes);
		buffer_free(&r->addresses);
	}
	output_close(&o);
	memory_free(all.row);
	map_close(&all.known);
	buffer_free(&said);
	return status;
}

/* Each session by its own name, so that those are ended that were seen; *users hears whose they were. */
static int
kick(struct call *c, int n, char *const *whom, unsigned *count, struct buffer *users)
{
	static const char *const who[] = { "who" };
	struct buffer            said = { 0 }, ended = { 0 };
	struct bytes             rest, line, field[SESSION_FIELDS];
	char                     session[256];
	int                      status = keepers_ask(c, 1, who, &said);

	*count = 0;
	rest = buffer_bytes(&said);
	while (status == COMMAND_DONE && bytes_split(&rest, '\n', &line)) {
		const char *ask[] = { "kick", "session", session };
		if (!split_row(line, field) || !row_fits(field, n, whom) ||
		    !bytes_string(field[FIELD_SESSION], session, sizeof session))
			continue;
		status = keepers_ask(c, 3, ask, &ended);
		add_word(users, field[FIELD_USER]);
		++*count;
	}
	buffer_free(&said);
	buffer_free(&ended);
	return status;
}

static int
run_kick(struct call *c)
{
	struct buffer users = { 0 };
	unsigned      n = 0;
	const char   *misfit;
	int           status;

	if (c->argc < 2)
		return command_wrong(c, "kick wants to know whom");
	if ((misfit = who_misfit(c->argc - 1, c->argv + 1)) != NULL)
		return command_wrong(c, "%s", misfit);
	status = kick(c, c->argc - 1, c->argv + 1, &n, &users);
	buffer_free(&users);
	if (status != COMMAND_DONE)
		return status;
	(void)printf("%u session%s ended\n", n, n == 1 ? "" : "s");
	return n > 0 ? COMMAND_DONE : COMMAND_FAILED;
}

int
who_kick(struct call *c, int n, char *const *whom)
{
	struct buffer users = { 0 };
	unsigned      ended = 0;
	int           status = kick(c, n, whom, &ended, &users);

	if (status == COMMAND_DONE && ended == 0) {
		(void)puts("no users kicked");
		status = COMMAND_NOT_FOUND;
	} else if (status == COMMAND_DONE)
		(void)printf("kicked connections from the following users:\n%.*s \n",
		             (int)users.len, users.at);
	buffer_free(&users);
	return status;
}
