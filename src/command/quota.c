/* quota -- how much accounts hold, and how much they may */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command/client.h"
#include "command/keepers.h"
#include "command/output.h"
#include "command/quota.h"
#include "role/clerk.h"
#include "role/wire.h"

static int run_quota(struct call *);

const struct command command_quota = {
	.name = "quota",
	.forms = "quota get ACCOUNT [--json | -f FORM]\n"
		 "quota list [--json | -f FORM]\n"
		 "quota total [DOMAIN] [--json | -f FORM]\n"
		 "quota set ACCOUNT | DOMAIN [--storage SIZE] [--messages N]\n"
		 "quota set DOMAIN [--total-storage SIZE] [--total-messages N]\n"
		 "quota recalculate ACCOUNT",
	.about =
		"Shows how many bytes and messages accounts hold and may hold, or counts them anew; sets how much they may hold.",
	.more = "ACCOUNT is an address, or several: *@example.com, example.com, or * for everybody. A limit of 0 is none. "
		"set says how much an account may hold, or each account of a DOMAIN that has no limit of its own: 500M, 2G, none, or default "
		"for what the domain, or main.cf, says. --total-storage and --total-messages bound what all accounts of the DOMAIN may hold together, "
		"which total shows of each domain that has such a limit. "
		"recalculate says whether the count that was kept was right, and puts it right; of a domain with such a limit the sum is right then, too.",
	.run = run_quota,
};

bool
quota_ask(struct call *c, const struct person *p, bool recount, struct quota_told *out)
{
	char          id[24], role[32];
	const char   *ask[] = { "quota", id, p->user, "recount" };
	struct buffer said = { 0 };
	struct bytes  rest, word;
	uint64_t     *into[] = { &out->bytes, &out->bytes_most, &out->messages, &out->messages_most,
		                 &out->right };
	int           status;

	(void)snprintf(id, sizeof id, "%" PRIu64, p->id);
	keeper_socket(p->keeper, role);
	status = command_talk(c, role, &(struct word_ask){ ask, recount ? 4 : 3, { NULL, 0 } }, -1,
	                      &said);
	rest = bytes_trim(buffer_bytes(&said));
	for (size_t i = 0; i < COUNT(into); i++)
		if (!bytes_split(&rest, ' ', &word) || !bytes_number(word, into[i]))
			status = status == COMMAND_DONE ? COMMAND_FAILED : status;
	buffer_free(&said);
	return status == COMMAND_DONE;
}

static void
print_quota(struct output *o, const struct person *p, const struct quota_told *q)
{
	output_value(o, bytes_of(p->user));
	output_text(o, "%" PRIu64, q->bytes);
	output_text(o, "%" PRIu64, q->bytes_most);
	output_text(o, "%" PRIu64, q->messages);
	output_text(o, "%" PRIu64, q->messages_most);
}

/* False after saying what would be right. */
static bool
is_limit(const char *option, const char *value, bool size)
{
	int64_t n;
	bool    plain = value != NULL && strpbrk(value, "KMGTkmgt") == NULL;

	if (value == NULL || (clerk_limit_read(bytes_of(value), &n) &&
	                      (size || plain || strcmp(value, "default") == 0)))
		return true;
	(void)fprintf(stderr, "mansio: %s %s is no limit; right would be %s, none or default\n",
	              option, value, size ? "500M, 2G" : "10000");
	return false;
}

/* A domain is a name without @; accounts may be many. */
static int
set_quota(struct call *c)
{
	static const struct {
		const char *option, *asked;
		bool        size, total;
	} limits[] = {
		{ "--storage", "--quota-storage", true, false },
		{ "--messages", "--quota-messages", false, false },
		{ "--total-storage", "--total-storage", true, true },
		{ "--total-messages", "--total-messages", false, true },
	};
	const char   *ask[3 + 2 * COUNT(limits)] = { "domain", "set" }, *value;
	struct people people;
	int           status, one, n = 3;
	bool          total = false;

	for (size_t i = 0; i < COUNT(limits); i++) {
		value = NULL;
		(void)command_option(c, limits[i].option, &value);
		if (value == NULL)
			continue;
		if (!is_limit(limits[i].option, value, limits[i].size))
			return COMMAND_WRONG;
		ask[n++] = limits[i].asked;
		ask[n++] = value;
		total |= limits[i].total;
	}
	if (c->argc != 3 || n == 3)
		return command_wrong(c, "quota set wants to know whose, and how much");
	ask[2] = c->argv[2];
	if (total && strpbrk(c->argv[2], "@*?") != NULL)
		return command_wrong(c, "--total-storage and --total-messages are of a domain");
	if (total || (strpbrk(c->argv[2], "@*?") == NULL && strchr(c->argv[2], '.') != NULL))
		return command_ask(c, "clerk", n, ask, (struct bytes){ NULL, 0 });
	ask[0] = "account";
	status = client_people(c, c->argv[2], &people);
	for (size_t i = 0; i < people.count; i++) {
		ask[2] = people.one[i].user;
		one = command_ask(c, "clerk", n, ask, (struct bytes){ NULL, 0 });
		status = one > status ? one : status;
	}
	people_close(&people);
	return status;
}

bool
quota_totals_ask(struct call *c, const char *domain, struct buffer *said)
{
	const char *ask[] = { "domain", "totals", domain };

	return command_talk(c, "clerk",
	                    &(struct word_ask){ ask, domain != NULL ? 3 : 2, { NULL, 0 } }, -1,
	                    said) == COMMAND_DONE;
}

bool
quota_totals_next(struct bytes *rest, struct bytes *domain, struct quota_told *out)
{
	uint64_t *into[] = { &out->bytes, &out->bytes_most, &out->messages, &out->messages_most };
	struct bytes line, word;

	if (!bytes_split(rest, '\n', &line) || !bytes_split(&line, ' ', domain))
		return false;
	for (size_t i = 0; i < COUNT(into); i++)
		if (!bytes_split(&line, ' ', &word) || !bytes_number(word, into[i]))
			return false;
	return true;
}

/* quota total [DOMAIN] */
static int
show_totals(struct call *c, enum output_form form)
{
	static const char *const columns[] = { "domain", "bytes", "bytes_limit", "messages",
		                               "messages_limit" };
	struct buffer            said = { 0 };
	struct bytes             rest, domain;
	struct quota_told        q;
	struct output           *o;

	if (c->argc > 3)
		return command_wrong(c, "quota total wants one domain, or none for all of them");
	if (!quota_totals_ask(c, c->argc == 3 ? c->argv[2] : NULL, &said)) {
		buffer_free(&said);
		return COMMAND_FAILED;
	}
	o = output_open(form, columns, COUNT(columns));
	for (rest = buffer_bytes(&said); quota_totals_next(&rest, &domain, &q);) {
		output_value(o, domain);
		output_text(o, "%" PRIu64, q.bytes);
		output_text(o, "%" PRIu64, q.bytes_most);
		output_text(o, "%" PRIu64, q.messages);
		output_text(o, "%" PRIu64, q.messages_most);
	}
	output_close(&o);
	buffer_free(&said);
	return COMMAND_DONE;
}

static int
run_quota(struct call *c)
{
	static const char *const columns[] = { "user", "bytes", "bytes_limit", "messages",
		                               "messages_limit" };
	enum output_form         form;
	struct output           *o;
	struct people            people;
	bool                     list, recount;
	int                      status;

	if (c->argc > 1 && strcmp(c->argv[1], "set") == 0)
		return set_quota(c);
	if (!output_option(c, OUTPUT_TABLE, &form))
		return COMMAND_WRONG;
	if (c->argc > 1 && strcmp(c->argv[1], "total") == 0)
		return show_totals(c, form);
	list = c->argc == 2 && strcmp(c->argv[1], "list") == 0;
	recount = c->argc == 3 && strcmp(c->argv[1], "recalculate") == 0;
	if (!list && !recount && !(c->argc == 3 && strcmp(c->argv[1], "get") == 0))
		return command_wrong(c,
		                     "quota wants get, list, total, set or recalculate, and whose");
	status = client_people(c, list ? "*" : c->argv[2], &people);
	o = recount ? NULL : output_open(form, columns, COUNT(columns));
	for (size_t i = 0; i < people.count; i++) {
		struct quota_told q;
		if (!quota_ask(c, &people.one[i], recount, &q))
			status = COMMAND_FAILED;
		else if (recount)
			(void)printf("%s: %" PRIu64 " bytes, %" PRIu64 " messages%s\n",
			             people.one[i].user, q.bytes, q.messages,
			             q.right ? "" : "; the count was wrong");
		else
			print_quota(o, &people.one[i], &q);
	}
	output_close(&o);
	people_close(&people);
	return status;
}
