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
		 "quota set ACCOUNT | DOMAIN [--storage SIZE] [--messages N]\n"
		 "quota recalculate ACCOUNT",
	.about =
		"Shows how many bytes and messages accounts hold and may hold, or counts them anew; sets how much they may hold.",
	.more = "ACCOUNT is an address, or several: *@example.com, example.com, or * for everybody. A limit of 0 is none. "
		"set says how much an account may hold, or each account of a DOMAIN that has no limit of its own: 500M, 2G, none, or default "
		"for what the domain, or main.cf, says. "
		"recalculate says whether the count that was kept was right, and puts it right.",
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
	const char   *storage = NULL, *messages = NULL;
	const char   *ask[7] = { "domain", "set" };
	struct people people;
	int           status, one, n = 3;

	(void)command_option(c, "--storage", &storage);
	(void)command_option(c, "--messages", &messages);
	if (c->argc != 3 || (storage == NULL && messages == NULL))
		return command_wrong(c, "quota set wants to know whose, and how much");
	if (!is_limit("--storage", storage, true) || !is_limit("--messages", messages, false))
		return COMMAND_WRONG;
	if (storage != NULL) {
		ask[n++] = "--quota-storage";
		ask[n++] = storage;
	}
	if (messages != NULL) {
		ask[n++] = "--quota-messages";
		ask[n++] = messages;
	}
	ask[2] = c->argv[2];
	if (strpbrk(c->argv[2], "@*?") == NULL && strchr(c->argv[2], '.') != NULL)
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
	list = c->argc == 2 && strcmp(c->argv[1], "list") == 0;
	recount = c->argc == 3 && strcmp(c->argv[1], "recalculate") == 0;
	if (!list && !recount && !(c->argc == 3 && strcmp(c->argv[1], "get") == 0))
		return command_wrong(c, "quota wants get, list, set or recalculate, and whose");
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
