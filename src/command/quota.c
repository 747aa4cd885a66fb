/* quota -- how much accounts hold, and how much they may */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command/client.h"
#include "command/keepers.h"
#include "command/output.h"
#include "command/quota.h"
#include "role/wire.h"

static int run_quota(struct call *);

const struct command command_quota = {
	.name = "quota",
	.forms = "quota get ACCOUNT [--json | -f FORM]\n"
		 "quota list [--json | -f FORM]\n"
		 "quota recalculate ACCOUNT",
	.about =
		"Shows how many bytes and messages accounts hold and may hold, or counts them anew.",
	.more = "ACCOUNT is an address, or several: *@example.com, example.com, or * for everybody. A limit of 0 is none. "
		"recalculate says whether the count that was kept was right, and puts it right.",
	.run = run_quota,
};

bool
quota_ask(struct call *c, const struct person *p, bool recount, struct quota_told *out)
{
	char          id[24], role[32];
	const char   *ask[] = { "quota", id, "recount" };
	struct buffer said = { 0 };
	struct bytes  rest, word;
	uint64_t     *into[] = { &out->bytes, &out->bytes_most, &out->messages, &out->messages_most,
		                 &out->right };
	int           status;

	(void)snprintf(id, sizeof id, "%" PRIu64, p->id);
	keeper_socket(p->keeper, role);
	status = command_talk(c, role, &(struct word_ask){ ask, recount ? 3 : 2, { NULL, 0 } }, -1,
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

	if (!output_option(c, OUTPUT_TABLE, &form))
		return COMMAND_WRONG;
	list = c->argc == 2 && strcmp(c->argv[1], "list") == 0;
	recount = c->argc == 3 && strcmp(c->argv[1], "recalculate") == 0;
	if (!list && !recount && !(c->argc == 3 && strcmp(c->argv[1], "get") == 0))
		return command_wrong(c, "quota wants get, list or recalculate, and whose");
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
