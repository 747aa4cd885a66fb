/* mailq, postqueue, postsuper, postcat -- the queue under the names people know */

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "command/command.h"
#include "command/lookup.h"
#include "command/queue-ask.h"
#include "message/address.h"
#include "message/envelope.h"
#include "role/wire.h"

static int run_mailq(struct call *);
static int run_postqueue(struct call *);
static int run_postsuper(struct call *);
static int run_postcat(struct call *);

const struct command command_mailq = {
	.name = "mailq",
	.forms = "mailq [-C MAIN_CF]",
	.about = "Lists the letters that are not delivered yet, as Postfix does.",
	.more = "Called as mailq it takes the options of sendmail: mailq -q tries all of them now. Those that mean nothing to a list are taken.",
	.run = run_mailq,
};
const struct command command_postqueue = {
	.name = "postqueue",
	.forms = "postqueue [-c CONFIG_DIR] -p | -j | -f | -s SITE | -i ID",
	.about =
		"Lists the queue (-p for people, -j as JSON, an object a line), tries all letters now (-f), those for a domain (-s), or one "
		"(-i).",
	.more = "",
	.run = run_postqueue,
};
const struct command command_postsuper = {
	.name = "postsuper",
	.forms =
		"postsuper [-psSv] [-c CONFIG_DIR] [-d ID] [-e ID] [-f ID] [-h ID] [-H ID] [-r ID] [STATE ...]",
	.about =
		"Deletes letters (-d), returns them to their senders (-e; -f those that are held, too), holds them (-h), lets them go on (-H), or tries them anew (-r).",
	.more = "ID may be ALL, or - for ids on standard input, one a line. Names of states behind it (hold, incoming, active, deferred) limit what "
		"is meant. There is nothing to repair: -p, -s and -S are taken and mean nothing.",
	.run = run_postsuper,
};
const struct command command_postcat = {
	.name = "postcat",
	.forms = "postcat [-behqv] [-c CONFIG_DIR] ID ...",
	.about =
		"Shows letters of the queue: envelope (-e), header (-h) and body (-b), or all of them.",
	.more = "",
	.run = run_postcat,
};

/* -c and, as Postfix has it, MAIL_CONFIG */
static void
configured(struct call *c, const char *of_option, struct arena *a)
{
	const char *place = of_option != NULL ? of_option : getenv("MAIL_CONFIG");

	if (place != NULL)
		c->config = lookup_config(place, a);
}

/* EX_NOPERM, EX_UNAVAILABLE */
static int
exit_of(int status)
{
	return status == COMMAND_DONE ? 0 : status == COMMAND_NO_PERMISSION ? 77 : 69;
}

/* As those of Postfix are: letters and digits. */
static bool
is_id(const char *text)
{
	return *text != '\0' && text[strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                                          "abcdefghijklmnopqrstuvwxyz_")] == '\0';
}

static int
flush(struct call *c, int argc, const char *const *argv)
{
	size_t letters, recipients;

	return queue_order(c, "retry", argc, argv, NULL, NULL, &letters, &recipients);
}

/* mailq is sendmail by another name, and so are its options. */
static int
run_mailq(struct call *c)
{
	struct arena *a = arena_open(NULL);
	const char   *of_option = NULL;
	bool          tries = false;
	int           letter, status;

	while ((letter = getopt(c->argc, c->argv, SENDMAIL_OPTIONS)) != -1) {
		if (letter == 'C')
			of_option = optarg;
		tries = tries || letter == 'q';
		if (letter == '?') {
			arena_close(&a);
			return EX_USAGE;
		}
	}
	if (optind < c->argc) {
		(void)fprintf(stderr, "mailq: fatal: %s queue mode requires no recipient\n",
		              tries ? "flush" : "display");
		arena_close(&a);
		return EX_USAGE;
	}
	configured(c, of_option, a);
	status = tries ? flush(c, 0, NULL) : queue_print(c, 0, NULL, false);
	arena_close(&a);
	return exit_of(status);
}

/* Of one that is not there nothing is said: it may just have gone. */
static int
try_one(struct call *c, const char *id)
{
	struct buffer found = { 0 };
	int           status = COMMAND_FAILED;

	if (!is_id(id)) {
		(void)fprintf(stderr,
		              "postqueue: fatal: Cannot flush queue ID - invalid name: \"%s\"\n",
		              id);
		return status;
	}
	status = command_hear(c, "queue",
	                      &(struct word_ask){
				      (const char *[]){ "queue", "rows", id }, 3, { NULL, 0 } },
	                      &found);
	buffer_free(&found);
	return status == COMMAND_FAILED ? COMMAND_DONE : flush(c, 1, &id);
}

/* "example.com", "[192.0.2.1]" */
static int
try_site(struct call *c, const char *site)
{
	if (domain_valid(bytes_of(site)))
		return flush(c, 2, (const char *[]){ "--domain", site });
	(void)fprintf(stderr,
	              "postqueue: fatal: Cannot flush mail queue - invalid destination: \"%s\"\n",
	              site);
	return COMMAND_FAILED;
}

static int
run_postqueue(struct call *c)
{
	struct arena *a = arena_open(NULL);
	const char   *of_option = NULL, *what = NULL;
	int           letter, job = 0, status = COMMAND_DONE;
	bool          good = true;

	while ((letter = getopt(c->argc, c->argv, "c:fi:jps:v")) != -1) {
		if (letter == 'c')
			of_option = optarg;
		else if (letter == '?' || (letter != 'v' && job != 0))
			good = false;
		else if (letter != 'v')
			job = letter;
		if (letter == 'i' || letter == 's')
			what = optarg;
	}
	configured(c, of_option, a);
	if (!good || job == 0 || optind < c->argc)
		status = command_wrong(c, "postqueue wants one of -f, -i, -j, -p and -s");
	else if (job == 'p' || job == 'j')
		status = queue_print(c, 0, NULL, job == 'j');
	else if (job == 'f')
		status = flush(c, 0, NULL);
	else
		status = job == 's' ? try_site(c, what) : try_one(c, what);
	arena_close(&a);
	return exit_of(status);
}

/* ---- postsuper ------------------------------------------------------------------------------- */

/* clang-format off */
static const struct super {
	char        option;
	const char *verb, *each, *sum;
} supers[] = {
	{ 'd', "delete",  "removed",            "Deleted"            },
	{ 'e', "bounce",  "expired",            "Force-expired"      },
	{ 'f', "bounce",  "expired",            "Force-expired"      },
	{ 'h', "hold",    "placed on hold",     "Placed on hold"     },
	{ 'H', "release", "released from hold", "Released from hold" },
	{ 'r', "retry",   "requeued",           "Requeued"           },
};
/* clang-format on */

enum { SUPER_FREES = 2 }; /* -f */

struct super_wish {
	struct call        *call;
	const struct super *super;
	const char         *states;                     /* "hold,deferred", NULL any */
	size_t              done[COUNT(supers)], freed; /* by -f, of those that were held */
	bool                asked[COUNT(supers)];
	int                 status;
};

static void
super_each(void *ctx, struct bytes id)
{
	const struct super_wish *w = ctx;

	(void)fprintf(stderr, "postsuper: %.*s: %s\n", (int)id.len, id.at, w->super->each);
}

/* Whether there is anything this can be done to: of an id that has gone, or is held already, nothing is said.  True, too,
   when nobody could say so: then it is said what hinders. */
static bool
super_means(struct super_wish *w, const char *id)
{
	struct buffer    found = { 0 };
	struct queue_row row;
	struct bytes     rest;
	bool             means = false;
	const char      *argv[] = { "queue", "rows", id, "--state", w->states };
	uint32_t         argc = w->states != NULL ? 5 : 3;
	int status = command_hear(w->call, "queue", &(struct word_ask){ argv, argc, { NULL, 0 } },
	                          &found);

	for (rest = buffer_bytes(&found); queue_row_next(&rest, &row);) {
		bool held = bytes_is(row.field[ROW_STATE], "hold");

		means = means || (w->super->option == 'h' || w->super->option == 'e' ? !held
		                  : w->super->option == 'H'                          ? held
		                                                                     : true);
	}
	buffer_free(&found);
	return means || (status != COMMAND_DONE && status != COMMAND_FAILED);
}

/* -f returns what is held, too, and says so as Postfix does, which lets it go for that: how many there are. */
static size_t
super_held(const struct super_wish *w, const char *id)
{
	const char      *argv[] = { "queue", "rows", id, "--state", "hold" };
	const char      *all[] = { "ALL", "--state", "hold", "--dry-run" };
	struct buffer    found = { 0 };
	struct queue_row row;
	struct bytes     rest, before = { NULL, 0 };
	size_t           held = 0, recipients;

	if (w->super->option != 'f' || (w->states != NULL && strstr(w->states, "hold") == NULL))
		return 0;
	if (strcmp(id, "ALL") == 0) {
		(void)queue_order(w->call, "bounce", COUNT(all), all, NULL, NULL, &held,
		                  &recipients);
		return held;
	}
	(void)command_hear(w->call, "queue", &(struct word_ask){ argv, COUNT(argv), { NULL, 0 } },
	                   &found);
	for (rest = buffer_bytes(&found); queue_row_next(&rest, &row);) {
		held += !bytes_equal(row.field[ROW_ID], before);
		before = row.field[ROW_ID];
	}
	buffer_free(&found);
	return held;
}

/* What is held does not expire: -f is for that. */
static const char *
states_that_expire(const char *wanted, char out[static 40])
{
	static const char *const all[] = { "new", "incoming", "active", "deferred" };
	size_t                   len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < COUNT(all); i++)
		if (wanted == NULL || strstr(wanted, all[i]) != NULL)
			len += (size_t)snprintf(out + len, 40 - len, "%s%s", len > 0 ? "," : "",
			                        all[i]);
	return out;
}

static void
super_one(struct super_wish *w, const char *id)
{
	char        expiring[40];
	const char *states =
		w->super->option == 'e' ? states_that_expire(w->states, expiring) : w->states;
	const char *argv[] = { id, "--state", states };
	int         argc = states != NULL ? 3 : 1;
	size_t      letters = 0, recipients, held;
	bool        all = strcmp(id, "ALL") == 0;

	if (!is_id(id)) {
		(void)fprintf(stderr, "postsuper: warning: invalid mail queue id: %s\n", id);
		return;
	}
	if (states != NULL && *states == '\0')
		return;
	held = super_held(w, id);
	/* Postfix says each id, but with ALL only how many there were. */
	if (all || super_means(w, id))
		w->status |= queue_order(w->call, w->super->verb, argc, argv,
		                         all ? NULL : super_each, w, &letters, &recipients);
	w->done[w->super - supers] += letters;
	w->freed += held;
	if (held > 0 && !all)
		(void)fprintf(stderr, "postsuper: %s: released from hold\n", id);
}

static void
super_go(struct super_wish *w, const char *id)
{
	struct buffer ids = { 0 };
	struct bytes  rest, line;
	char          one[40];

	if (strcmp(id, "-") != 0) {
		super_one(w, id);
		return;
	}
	if (!command_read("-", &ids))
		w->status = COMMAND_FAILED;
	rest = buffer_bytes(&ids);
	while (bytes_split(&rest, '\n', &line))
		if (bytes_string(bytes_trim(line), one, sizeof one) && one[0] != '\0')
			super_one(w, one);
	buffer_free(&ids);
}

/* Names of queues as Postfix has them. */
static bool
read_states(struct call *c, struct buffer *states)
{
	static const char *const names[] = { "hold", "incoming", "active", "deferred", "new" };

	for (int i = optind; i < c->argc; i++) {
		size_t n = 0;

		while (n < COUNT(names) && strcmp(names[n], c->argv[i]) != 0)
			n++;
		if (n == COUNT(names)) {
			(void)fprintf(stderr, "postsuper: fatal: invalid directory name: %s\n",
			              c->argv[i]);
			return false;
		}
		buffer_printf(states, "%s%s", states->len > 0 ? "," : "", names[n]);
	}
	if (states->len > 0)
		buffer_add_char(states, '\0');
	return true;
}

static int
run_postsuper(struct call *c)
{
	struct arena     *a = arena_open(NULL);
	struct super_wish w = { .call = c };
	struct {
		const struct super *super;
		const char         *id;
	} jobs[64];
	struct buffer states = { 0 };
	const char   *of_option = NULL;
	size_t        n = 0;
	int           letter;

	while ((letter = getopt(c->argc, c->argv, "c:d:e:f:h:H:pr:sSv")) != -1) {
		if (letter == '?')
			w.status = COMMAND_FAILED;
		if (letter == 'c')
			of_option = optarg;
		for (size_t i = 0; i < COUNT(supers) && n < COUNT(jobs); i++)
			if (letter == supers[i].option) {
				jobs[n].super = &supers[i];
				jobs[n++].id = optarg;
			}
	}
	configured(c, of_option, a);
	if (w.status == COMMAND_DONE && !read_states(c, &states))
		w.status = COMMAND_FAILED;
	w.states = states.len > 0 ? states.at : NULL;
	for (size_t i = 0; i < n && w.status == COMMAND_DONE; i++) {
		w.super = jobs[i].super;
		w.asked[w.super - supers] = true;
		super_go(&w, jobs[i].id);
	}
	for (size_t i = 0; i < COUNT(supers); i++)
		if (w.asked[i] && w.status == COMMAND_DONE)
			(void)fprintf(stderr, "postsuper: %s: %zu message%s\n", supers[i].sum,
			              w.done[i], w.done[i] == 1 ? "" : "s");
	if (w.asked[SUPER_FREES] && w.status == COMMAND_DONE)
		(void)fprintf(stderr, "postsuper: Released from hold: %zu message%s\n", w.freed,
		              w.freed == 1 ? "" : "s");
	buffer_free(&states);
	arena_close(&a);
	return w.status == COMMAND_DONE ? 0 : COMMAND_FAILED;
}

/* ---- postcat ---------------------------------------------------------------------------------- */

enum { CAT_ENVELOPE = 1, CAT_HEADER = 2, CAT_BODY = 4 };

/* What `queue show` says above its rows, under the names that Postfix gives it. */
static const struct {
	const char *said, *name;
} attributes[] = {
	{ "helo", "log_helo_name" },         { "helo", "helo_name" },
	{ "protocol", "log_protocol_name" }, { "protocol", "protocol_name" },
	{ "user", "sasl_username" },         { "envelope id", "dsn_envelope_id" },
	{ "client", "log_message_origin" },
};

static void
cat_attribute(const char *name, struct bytes value)
{
	(void)printf("named_attribute: %s=%.*s\n", name, (int)value.len, value.at);
}

static void
cat_attributes(struct bytes *rest)
{
	struct bytes line, said, name, address;

	while (bytes_split(rest, '\n', &line) && line.len > 0) {
		if (!bytes_split(&line, '\t', &said))
			continue;
		for (size_t i = 0; i < COUNT(attributes); i++)
			if (bytes_is(said, attributes[i].said))
				cat_attribute(attributes[i].name, line);
		if (!bytes_is(said, "client"))
			continue;
		client_halves(line, &name, &address);
		cat_attribute("log_client_name", name);
		cat_attribute("log_client_address", address);
		cat_attribute("client_name", name);
		cat_attribute("client_address", address);
	}
}

/* "Mon Nov 23 09:36:07 2026" */
static void
cat_head(const struct bytes *field)
{
	time_t    arrived = (time_t)strtoll(field[ROW_ARRIVED].at, NULL, 10);
	struct tm tm;
	char      when[40] = "";

	if (localtime_r(&arrived, &tm) != NULL &&
	    strftime(when, sizeof when, "%a %b %e %H:%M:%S %Y", &tm) == 0)
		when[0] = '\0';
	(void)printf("message_size: %15.*s\nmessage_arrival_time: %s\nsender: %.*s\n",
	             (int)field[ROW_SIZE].len, field[ROW_SIZE].at, when, (int)field[ROW_SENDER].len,
	             field[ROW_SENDER].at);
}

/* In the order in which Postfix has it. */
static void
cat_envelope(struct bytes all)
{
	struct bytes     rows = all, line;
	struct queue_row row;

	while (bytes_split(&rows, '\n', &line) && line.len > 0)
		continue;
	for (bool first = true; queue_row_next(&rows, &row); first = false) {
		const struct bytes *f = row.field;

		if (first) {
			cat_head(f);
			cat_attributes(&all);
		}
		(void)printf("original_recipient: %.*s\nrecipient: %.*s\n",
		             (int)f[ROW_ORIGINAL].len, f[ROW_ORIGINAL].at, (int)f[ROW_ADDRESS].len,
		             f[ROW_ADDRESS].at);
	}
}

/* Lines end as they do in files here. */
static void
cat_content(FILE *from, int parts)
{
	char   *line = NULL;
	size_t  room = 0;
	ssize_t n;
	bool    body = false;

	while ((n = getline(&line, &room, from)) > 0) {
		if (n >= 2 && line[n - 1] == '\n' && line[n - 2] == '\r')
			line[--n - 1] = '\n';
		body = body || (n == 1 && line[0] == '\n'); /* the line between belongs to it */
		if ((parts & (body ? CAT_BODY : CAT_HEADER)) != 0)
			(void)fwrite(line, 1, (size_t)n, stdout);
	}
	free(line);
}

static bool
cat_letter(struct call *c, const char *id, int parts)
{
	struct buffer said = { 0 };
	bool          marked = (parts & CAT_ENVELOPE) != 0;
	int           heard = command_hear(c, "queue",
	                                   &(struct word_ask){
						   (const char *[]){ "queue", "show", id }, 3, { NULL, 0 } },
	                                   &said);
	/* Of one that is not there the caller tells; what else hinders is told by whom is asked. */
	int   fd = heard != COMMAND_FAILED ? queue_content(c, id) : -1;
	FILE *letter = fd >= 0 ? fdopen(fd, "r") : NULL;

	if (letter != NULL) {
		rewind(letter);
		if (marked) {
			(void)printf("*** ENVELOPE RECORDS %s ***\n", id);
			cat_envelope(buffer_bytes(&said));
			(void)printf("*** MESSAGE CONTENTS %s ***\n", id);
		}
		cat_content(letter, parts);
		if (marked)
			(void)printf("*** HEADER EXTRACTED %s ***\n*** MESSAGE FILE END %s ***\n",
			             id, id);
		(void)fclose(letter);
	}
	buffer_free(&said);
	return letter != NULL;
}

static int
run_postcat(struct call *c)
{
	struct arena *a = arena_open(NULL);
	const char   *of_option = NULL;
	int           letter, parts = 0, status = COMMAND_DONE;
	bool          queue = false;

	while ((letter = getopt(c->argc, c->argv, "bc:dehnoqv")) != -1) {
		queue = queue || letter == 'q';
		if (letter == '?')
			status = COMMAND_FAILED;
		if (letter == 'c')
			of_option = optarg;
		parts |= letter == 'e'   ? CAT_ENVELOPE
		         : letter == 'h' ? CAT_HEADER
		         : letter == 'b' ? CAT_BODY
		                         : 0;
	}
	configured(c, of_option, a);
	for (int i = optind; status == COMMAND_DONE && i < c->argc; i++)
		if (queue && !is_id(c->argv[i]))
			status = lookup_fatal(c, "bad mail queue ID: %s", c->argv[i]);
		else if (!cat_letter(c, c->argv[i],
		                     parts != 0 ? parts : CAT_ENVELOPE | CAT_HEADER | CAT_BODY))
			status = lookup_fatal(c, "open %s%s: No such file or directory",
			                      queue ? "queue file " : "", c->argv[i]);
	arena_close(&a);
	return status;
}
