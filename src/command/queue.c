/* queue -- the letters that wait */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/map.h"
#include "command/command.h"
#include "command/output.h"
#include "command/queue-ask.h"

static int run_queue(struct call *);

const struct command command_queue = {
	.name = "queue",
	.forms = "queue list [--json] [FILTER ...] [ID ...]\n"
		 "queue show [--json] ID [--content]\n"
		 "queue summary [--json] [FILTER ...]\n"
		 "queue flush [--json]\n"
		 "queue retry [--json] [--dry-run] [FILTER ...] [ID ...]\n"
		 "queue hold [--json] [--dry-run] [FILTER ...] [ID ...]\n"
		 "queue release [--json] [--dry-run] [FILTER ...] [ID ...]\n"
		 "queue bounce [--json] [--dry-run] [FILTER ...] [ID ...]\n"
		 "queue delete [--json] [--dry-run] [FILTER ...] [ID ...]\n"
		 "queue reroute --to TRANSPORT:NEXTHOP [--json] [--dry-run] [FILTER ...] [ID ...]",
	.about =
		"Shows the letters that are not delivered yet, or tries them now; holds letters back, lets those go on "
		"that are held, by hand, by a check, for a virus or by a hold: of transport_maps, returns letters to their senders, leads them another way, "
		"and takes letters out for good, of which nobody is told.  ALL instead of an id means each.",
	.more = "A FILTER is --sender MASK, --recipient MASK, --domain MASK (.example.com: all below it), --age 2h (older; -2h younger), "
		"--size 10k (larger; -10k smaller), --state new,active,deferred,hold, or --reason WORDS (with a * a mask of all of it).  A letter is meant when all "
		"that are given fit; what is done is done to its recipients that fit.  With --dry-run nothing is done, and told what would be.\n"
		"\n"
		"summary counts recipients by domain. A letter led another way with reroute goes there with all its recipients, as it was accepted, "
		"without a look at aliases; --to '' takes that back. What is on its way at this moment is left alone.\n"
		"\n"
		"With --json list and show say a list of objects, one for each recipient, whose values are strings: id of the letter; queue, where "
		"the letter is as postqueue names it; arrived and due, seconds since 1970; size in bytes; sender, empty for notices; address, and original as it "
		"was accepted; state new, active, deferred or hold; status and reason of the last try; tries. show says of each, too, client, helo, protocol, user and envelope_id of who brought the letter; held, why; goes_by, "
		"where it is led; and tls, of the last connection for it. summary says for each domain: domain, new, "
		"active, deferred, hold, how many recipients, and oldest, the age of the oldest in seconds. What is done is told as one object: order, dry_run, letters, recipients, ids.",
	.run = run_queue,
};

/* ---- what is shown ------------------------------------------------------------------------- */

static const char *const row_names[] = { "id",     "queue",   "arrived",  "size",
	                                 "sender", "address", "original", "state",
	                                 "status", "reason",  "due",      "tries" };

static void
rows_take(void *output, struct bytes rest)
{
	struct queue_row row;

	while (queue_row_next(&rest, &row))
		for (size_t i = 0; i < ROW_FIELDS; i++)
			output_value(output, row.field[i]);
}

/* For people a time is a date, and none is nothing. */
static void
put_time(struct output *o, struct bytes seconds)
{
	uint64_t at = 0;
	char     date[48] = "";

	if (bytes_number(seconds, &at) && at > 0)
		clock_rfc5322((int64_t)at, date, sizeof date);
	output_value(o, bytes_of(date));
}

static void
print_rows(struct bytes rest)
{
	struct output   *o = output_open(OUTPUT_PAGER, row_names, COUNT(row_names));
	struct queue_row row;

	while (queue_row_next(&rest, &row))
		for (size_t i = 0; i < ROW_FIELDS; i++)
			if (i == ROW_ARRIVED || i == ROW_DUE)
				put_time(o, row.field[i]);
			else
				output_value(o, row.field[i]);
	output_close(&o);
}

static void
list_take(void *ctx, struct bytes rest)
{
	struct output **o = ctx;

	if (*o == NULL)
		*o = output_open(OUTPUT_JSON, row_names, COUNT(row_names));
	rows_take(*o, rest);
}

static int
run_list(struct call *c, const char *const *argv, int argc)
{
	struct output *o = NULL;
	int            status;

	if (!command_option(c, "--json", NULL))
		return command_ask(c, "queue", c->argc, (const char *const *)c->argv,
		                   (struct bytes){ NULL, 0 });
	status = queue_stream(c, "rows", argc - 1, argv, list_take, &o);
	/* Where the question was wrong nothing was listed, not even that there is nothing. */
	if (o == NULL && status == COMMAND_DONE)
		o = output_open(OUTPUT_JSON, row_names, COUNT(row_names));
	if (o != NULL)
		output_close(&o);
	return status;
}

static int
compare_lines(const void *a, const void *b)
{
	const struct bytes *x = a, *y = b;

	return bytes_compare(*x, *y);
}

static int
run_summary(struct call *c, const char *const *argv, int argc)
{
	static const char *const columns[] = { "domain",   "new",  "active",
		                               "deferred", "hold", "oldest" };
	struct buffer            said = { 0 };
	enum output_form         form;
	struct bytes             rest, line, field, *all;
	struct output           *o;
	size_t                   n = 0;
	int                      status;

	if (!output_option(c, OUTPUT_TABLE, &form))
		return COMMAND_WRONG;
	status = queue_rows(c, "summary", c->argc - 2, argv, &said);
	(void)argc;
	for (size_t i = 0; i < said.len; i++)
		n += said.at[i] == '\n';
	all = memory_take((n + 1) * sizeof *all);
	n = 0;
	for (rest = buffer_bytes(&said); bytes_split(&rest, '\n', &line);)
		if (line.len > 0)
			all[n++] = line;
	qsort(all, n, sizeof *all, compare_lines);
	o = output_open(form, columns, COUNT(columns));
	for (size_t i = 0; i < n; i++)
		for (size_t f = 0; f < COUNT(columns) && bytes_split(&all[i], '\t', &field); f++)
			output_value(o, field);
	output_close(&o);
	memory_free(all);
	buffer_free(&said);
	return status;
}

static int
print_content(struct call *c, const char *id)
{
	char    piece[65536];
	int     fd = queue_content(c, id);
	ssize_t n;

	if (fd < 0)
		return COMMAND_FAILED;
	(void)lseek(fd, 0, SEEK_SET);
	while ((n = read(fd, piece, sizeof piece)) > 0)
		(void)fwrite(piece, 1, (size_t)n, stdout);
	(void)close(fd);
	return n == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

/* What `show` says of the letter above its rows, by the name it has there and for programs; of its recipients one after
   another how it was spoken with their host. */
static const struct {
	const char *name, *column;
} facts[] = { { "client", "client" },           { "helo", "helo" },
	      { "protocol", "protocol" },       { "user", "user" },
	      { "envelope id", "envelope_id" }, { "held", "held" },
	      { "goes by", "goes_by" } };
enum { FACTS = COUNT(facts) };
static const char last_tls[] = "last tls to ";

struct letter_facts {
	struct bytes value[FACTS];
	struct map  *tls; /* const struct bytes *, by address */
};

static void
fact_take(struct letter_facts *all, struct arena *a, struct bytes name, struct bytes value)
{
	struct bytes *kept;

	for (size_t i = 0; i < FACTS; i++)
		if (bytes_is(name, facts[i].name))
			all->value[i] = value;
	if (!bytes_starts(name, bytes_of(last_tls)))
		return;
	kept = arena_take(a, sizeof *kept);
	*kept = value;
	(void)map_put(all->tls, bytes_cut(name, sizeof last_tls - 1, SIZE_MAX), kept);
}

/* Each row has all of it. */
static void
print_whole_rows(struct bytes rest, const struct letter_facts *all)
{
	const char      *columns[COUNT(row_names) + FACTS + 1];
	struct queue_row row;
	struct output   *o;

	memcpy(columns, row_names, sizeof row_names);
	for (size_t i = 0; i < FACTS; i++)
		columns[COUNT(row_names) + i] = facts[i].column;
	columns[COUNT(columns) - 1] = "tls";
	o = output_open(OUTPUT_JSON, columns, COUNT(columns));
	while (queue_row_next(&rest, &row)) {
		const struct bytes *tls = map_get(all->tls, row.field[ROW_ADDRESS]);

		for (size_t i = 0; i < ROW_FIELDS; i++)
			output_value(o, row.field[i]);
		for (size_t i = 0; i < FACTS; i++)
			output_value(o, all->value[i]);
		output_value(o, tls != NULL ? *tls : BYTES(""));
	}
	output_close(&o);
}

static int
run_show(struct call *c, const char *const *argv, int argc)
{
	bool                json = command_option(c, "--json", NULL);
	bool                content = command_option(c, "--content", NULL);
	struct arena       *a;
	struct letter_facts all = { .tls = NULL };
	struct buffer       said = { 0 };
	struct bytes        rest, line, name;
	int                 status;

	(void)argc;
	if (c->argc != 3)
		return command_wrong(c, "queue show wants one id");
	if (content)
		return print_content(c, argv[0]);
	a = arena_open(NULL);
	all.tls = map_open();
	status = queue_rows(c, "show", 1, argv, &said);
	rest = buffer_bytes(&said);
	while (bytes_split(&rest, '\n', &line) && line.len > 0) {
		if (!bytes_split(&line, '\t', &name))
			continue;
		fact_take(&all, a, name, line);
		if (!json)
			(void)printf("%.*s: %.*s\n", (int)name.len, name.at, (int)line.len,
			             line.at);
	}
	if (status == COMMAND_DONE && json)
		print_whole_rows(rest, &all);
	else if (status == COMMAND_DONE)
		print_rows(rest);
	map_close(&all.tls);
	arena_close(&a);
	buffer_free(&said);
	return status;
}

/* ---- what is done --------------------------------------------------------------------------- */

static void
print_id(void *ctx, struct bytes id)
{
	(void)ctx;
	(void)printf("%.*s\n", (int)id.len, id.at);
}

static void
keep_id(void *ids, struct bytes id)
{
	buffer_printf(ids, "%s\"%.*s\"", ((struct buffer *)ids)->len > 0 ? ", " : "", (int)id.len,
	              id.at);
}

static int
run_order(struct call *c, const char *const *argv, int argc)
{
	static const struct {
		const char *verb, *done;
	} words[] = { { "hold", "held" },
		      { "release", "released" },
		      { "retry", "tried now" },
		      { "flush", "tried now" },
		      { "bounce", "returned" },
		      { "delete", "deleted" },
		      { "reroute", "led another way" } };
	bool          dry = false, json = command_option(c, "--json", NULL);
	struct buffer ids = { 0 };
	size_t        letters, recipients, w = 0;
	int           status;

	argc = c->argc - 2;
	for (int i = 0; i < argc; i++)
		dry |= strcmp(argv[i], "--dry-run") == 0;
	while (w < COUNT(words) && strcmp(words[w].verb, c->argv[1]) != 0)
		w++;
	if (w == COUNT(words))
		return command_wrong(c, "queue does not know \"%s\"", c->argv[1]);
	if (argc == 0 && strcmp(words[w].done, "tried now") != 0)
		return command_wrong(c, "queue %s wants ids, filters or ALL", words[w].verb);
	status = queue_order(c, words[w].verb, argc, argv,
	                     json  ? keep_id
	                     : dry ? print_id
	                           : NULL,
	                     &ids, &letters, &recipients);
	if (json && status != COMMAND_WRONG)
		(void)printf(
			"{\"order\": \"%s\", \"dry_run\": %s, \"letters\": %zu, \"recipients\": %zu, \"ids\": [%.*s]}\n",
			words[w].verb, dry ? "true" : "false", letters, recipients, (int)ids.len,
			ids.len > 0 ? ids.at : "");
	buffer_free(&ids);
	if (!json && status != COMMAND_WRONG)
		(void)printf("%zu recipient%s of %zu letter%s %s%s\n", recipients,
		             recipients == 1 ? "" : "s", letters, letters == 1 ? "" : "s",
		             dry ? "would be " : "", words[w].done);
	return status;
}

static int
run_queue(struct call *c)
{
	static const struct {
		const char *verb;
		int (*run)(struct call *, const char *const *argv, int argc);
	} verbs[] = { { "list", run_list }, { "show", run_show }, { "summary", run_summary } };

	if (c->argc < 2)
		return command_wrong(c, "queue wants to know what to do");
	for (size_t i = 0; i < COUNT(verbs); i++)
		if (strcmp(c->argv[1], verbs[i].verb) == 0)
			return verbs[i].run(c, (const char *const *)c->argv + 2, c->argc - 2);
	return run_order(c, (const char *const *)c->argv + 2, c->argc - 2);
}
