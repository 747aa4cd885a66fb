/* dns -- what the DNS must say of a domain, and what it says */

#include "command/dns.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "command/inquiry.h"
#include "command/output.h"

enum { PAUSE_FIRST_MS = 2000, PAUSE_MOST_MS = 300000 };

static int run_dns(struct call *);

const struct command command_dns = {
	.name = "dns",
	.forms =
		"dns show DOMAIN [--zone | --lines | --update | --table | --cloud | --json] [--host NAME] [--address ADDRESS,...]\n"
		"dns check DOMAIN [--watch | --wait] [--json] [--host NAME] [--address ADDRESS,...]",
	.about =
		"Tells which records the DNS must have for a domain, and what is missing or wrong.",
	.more = "show prints a zone file that name servers load; --lines is the same without its head, for a zone that is there already, --update the words "
		"of nsupdate, --table columns, --cloud the fields that the consoles of providers ask for (@ is the domain itself, the priority of MX stands by "
		"itself, a text of more than 255 bytes comes in quoted pieces). Records of other zones, as the PTR of your addresses, are told of, too.\n"
		"\n"
		"The host is myhostname or NAME. Its addresses are those of --address; without it those of proxy_interfaces, and without these those of "
		"inet_interfaces that are not private. A certificate only root may read has its TLSA record only when root asks.\n"
		"\n"
		"check asks the resolver of main.cf, says of each record whether it is right, missing or wrong, what is there and what would be right: lines to delete from the zone, lines to "
		"write into it, and what else to do where no line of the zone does it, as with the PTR, which the provider of the address sets. With these lines copied the next check is "
		"content. In --json, delete and write have several lines with a newline between. advice may be "
		"followed or not; unknown could not be asked. --watch asks again and again, less and less often while nothing changes, and tells what is "
		"other than before, until a key is pressed or a signal ends it; --wait does so until all is right. The "
		"resolver may remember old answers for as long as their TTL says. The policy of MTA-STS is fetched from its web server as senders do, and its "
		"hosts and our certificate are compared with it. It looks as well whether lists of senders of junk (dns_check_lists) have "
		"the addresses letters leave from, and says how one begins with a new address. The score is what all of that is worth, of 100: "
		"PTR, SPF and the lists count most.\n"
		"\n"
		"Exit status of check: 0 nothing is missing or wrong; 1 something is; 2 it could not be asked.",
	.run = run_dns,
};

enum watching { ONCE, UNTIL_RIGHT, UNTIL_ENDED };

static bool
take_form(struct call *c, enum dns_form *form)
{
	static const char *const names[DNS_FORMS] = {
		[DNS_ZONE] = "--zone",   [DNS_LINES] = "--lines", [DNS_UPDATE] = "--update",
		[DNS_TABLE] = "--table", [DNS_CLOUD] = "--cloud", [DNS_JSON] = "--json",
	};
	int said = 0;

	*form = DNS_ZONE;
	for (int i = 0; i < DNS_FORMS; i++)
		if (command_option(c, names[i], NULL)) {
			*form = (enum dns_form)i;
			said++;
		}
	return said < 2;
}

/*
 * check
 */

/* Each line with the word that says what is to be done with it. */
static void
print_lines(const char *word, const char *lines)
{
	struct bytes rest = bytes_of(lines), line;

	while (bytes_split(&rest, '\n', &line))
		if (line.len > 0)
			(void)printf("%16s: %.*s\n", word, (int)line.len, line.at);
}

static void
print_one(const struct finding *one, const char *state)
{
	(void)printf("%-8s %-7s %.*s\n                 %s\n", state, one->type, (int)one->name.len,
	             one->name.at, one->says);
	if (one->state != FOUND_RIGHT && *one->there != '\0')
		(void)printf("           there: %s\n", one->there);
	if (one->state == FOUND_RIGHT)
		return;
	print_lines("delete", one->erase);
	print_lines("write", one->write);
	print_lines("do", one->act);
}

/* A finding in one line, as it is known again. */
static void
finding_line(const struct finding *one, struct buffer *out)
{
	buffer_printf(out, "%s %s %.*s %s %s\n", finding_names[one->state], one->type,
	              (int)one->name.len, one->name.at, one->says, one->there);
}

static bool
is_said(const struct buffer *before, const struct finding *one)
{
	struct buffer line = { 0 };
	struct bytes  rest = buffer_bytes(before), was;
	bool          same = false;

	finding_line(one, &line);
	while (!same && bytes_split(&rest, '\n', &was))
		same = bytes_equal(was, bytes_cut(buffer_bytes(&line), 0, line.len - 1));
	buffer_free(&line);
	return same;
}

/* What was said and is so no more, and when. */
static void
print_gone(const struct buffer *before, const struct findings *all)
{
	struct bytes rest = buffer_bytes(before), was;
	char         at[32] = "";
	time_t       now = (time_t)clock_wall();
	struct tm    tm;

	if (localtime_r(&now, &tm) != NULL)
		(void)strftime(at, sizeof at, "%Y-%m-%d %H:%M:%S", &tm);
	(void)printf("\nchanged at %s\n", at);
	while (bytes_split(&rest, '\n', &was)) {
		bool still = was.len == 0;

		for (size_t i = 0; i < all->count && !still; i++) {
			struct buffer line = { 0 };

			finding_line(&all->one[i], &line);
			still = bytes_equal(was, bytes_cut(buffer_bytes(&line), 0, line.len - 1));
			buffer_free(&line);
		}
		if (!still)
			(void)printf("no more   %.*s\n", (int)was.len, was.at);
	}
}

/* What must be done stands out; what is there and what to write go below it. */
static void
print_findings(const struct facts *f, const struct findings *all, const struct buffer *before)
{
	size_t        count[FINDING_STATES] = { 0 };
	struct buffer parts = { 0 };
	unsigned      score;

	if (before == NULL)
		(void)printf("%s%s%s%s, with Mansio at %s\n", f->shown,
		             strcmp(f->shown, f->domain) != 0 ? " (" : "",
		             strcmp(f->shown, f->domain) != 0 ? f->domain : "",
		             strcmp(f->shown, f->domain) != 0 ? ")" : "", f->host);
	else
		print_gone(before, all);
	for (size_t i = 0; i < all->count; i++) {
		count[all->one[i].state]++;
		if (before == NULL || !is_said(before, &all->one[i]))
			print_one(&all->one[i], finding_names[all->one[i].state]);
	}
	(void)printf("%zu right, %zu missing, %zu wrong, %zu unknown, %zu to think about\n",
	             count[FOUND_RIGHT], count[FOUND_MISSING], count[FOUND_WRONG],
	             count[FOUND_UNKNOWN], count[FOUND_ADVICE]);
	score = dns_score(all, &parts);
	(void)printf("score %u of 100: %.*s\n", score, (int)parts.len, parts.at);
	buffer_free(&parts);
}

static void
print_json(const struct facts *f, const struct findings *all)
{
	static const char *const columns[] = { "state", "type",   "name",  "says",
		                               "there", "delete", "write", "do" };
	struct output           *o = output_open(OUTPUT_JSON, columns, COUNT(columns));
	struct buffer            parts = { 0 };
	unsigned                 score;

	for (size_t i = 0; i < all->count; i++) {
		const struct finding *one = &all->one[i];

		output_text(o, "%s", finding_names[one->state]);
		output_text(o, "%s", one->type);
		output_value(o, one->name);
		output_text(o, "%s", one->says);
		output_text(o, "%s", one->there);
		output_text(o, "%s", one->erase);
		output_text(o, "%s", one->write);
		output_text(o, "%s", one->act);
	}
	score = dns_score(all, &parts);
	output_text(o, "score");
	output_text(o, "score");
	output_text(o, "%s", f->domain);
	output_text(o, "%u of 100", score);
	output_value(o, buffer_bytes(&parts));
	for (int i = 0; i < 3; i++)
		output_text(o, "%s", "");
	buffer_free(&parts);
	output_close(&o);
}

static int
status_of(const struct findings *all)
{
	bool unknown = false;

	for (size_t i = 0; i < all->count; i++) {
		if (all->one[i].state == FOUND_MISSING || all->one[i].state == FOUND_WRONG)
			return COMMAND_FAILED;
		unknown = unknown || all->one[i].state == FOUND_UNKNOWN;
	}
	return unknown ? COMMAND_WRONG : COMMAND_DONE;
}

/* One round, with a resolver that remembers nothing.  `before` is what was said last, and is replaced; nothing is said twice. */
static int
check_once(struct call *c, struct facts *f, const struct records *all, bool json,
           struct buffer *before)
{
	struct findings *found = memory_take(sizeof *found);
	struct buffer    errors = { 0 }, now = { 0 };
	struct inquiry  *ask = inquiry_open(&f->common, &errors);
	int              status = COMMAND_WRONG;

	if (ask == NULL)
		(void)fprintf(stderr, "mansio: %.*s\n", (int)errors.len, errors.at);
	else {
		dns_judge(c, f, all, ask, found);
		for (size_t i = 0; i < found->count; i++)
			finding_line(&found->one[i], &now);
		status = status_of(found);
		if (!bytes_equal(buffer_bytes(before), buffer_bytes(&now))) {
			if (json)
				print_json(f, found);
			else
				print_findings(f, found, before->len > 0 ? before : NULL);
			(void)fflush(stdout);
		}
		buffer_reset(before);
		buffer_add(before, buffer_bytes(&now));
	}
	inquiry_close(&ask);
	buffer_free(&errors);
	buffer_free(&now);
	memory_free(found);
	return status;
}

static volatile sig_atomic_t ended;

static void
end_watching(int number)
{
	(void)number;
	ended = 1;
}

/* Signals end the waiting and not the command, which has the terminal to give back: they are heard in pauses alone. */
static void
hear_signals(sigset_t *as_before)
{
	static const int       numbers[] = { SIGINT, SIGTERM, SIGHUP };
	const struct sigaction act = { .sa_handler = end_watching };
	sigset_t               all;

	(void)sigemptyset(&all);
	for (size_t i = 0; i < COUNT(numbers); i++) {
		(void)sigaddset(&all, numbers[i]);
		(void)sigaction(numbers[i], &act, NULL);
	}
	(void)sigprocmask(SIG_BLOCK, &all, as_before);
}

/* False: somebody has pressed a key, or a signal came. */
static bool
pause_or_key(int ms, const sigset_t *heard)
{
	struct pollfd         p = { STDIN_FILENO, POLLIN, 0 };
	const struct timespec t = { ms / 1000, ms % 1000 * 1000000L };
	bool                  terminal = isatty(STDIN_FILENO) != 0;
	char                  key;

	if (ppoll(&p, terminal ? 1 : 0, &t, heard) <= 0)
		return ended == 0;
	(void)!read(STDIN_FILENO, &key, 1);
	return false;
}

static int
check_watching(struct call *c, struct facts *f, const struct records *all, bool until_right,
               bool json)
{
	struct termios was, now;
	bool           terminal = tcgetattr(STDIN_FILENO, &was) == 0;
	struct buffer  before = { 0 }, last = { 0 };
	sigset_t       heard;
	int            status, pause = PAUSE_FIRST_MS;

	if (terminal) {
		now = was;
		now.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &now);
	}
	hear_signals(&heard);
	for (;;) {
		status = check_once(c, f, all, json, &before);
		if (status == COMMAND_DONE && until_right)
			break;
		if (!bytes_equal(buffer_bytes(&before), buffer_bytes(&last)))
			pause = PAUSE_FIRST_MS;
		buffer_reset(&last);
		buffer_add(&last, buffer_bytes(&before));
		if (terminal)
			(void)fprintf(stderr, "asking again in %d seconds; a key ends it\n",
			              pause / 1000);
		if (!pause_or_key(pause, &heard))
			break;
		pause = pause > PAUSE_MOST_MS / 2 ? PAUSE_MOST_MS : 2 * pause;
	}
	if (terminal)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &was);
	buffer_free(&before);
	buffer_free(&last);
	return status;
}

static int
run_check(struct call *c, struct facts *f, const struct records *all, enum watching watch,
          bool json)
{
	struct buffer   before = { 0 }, errors = { 0 };
	struct bytes    rest = buffer_bytes(&f->notes), line;
	int             status = COMMAND_WRONG;
	struct inquiry *ask = inquiry_open(&f->common, &errors);

	while (bytes_split(&rest, '\n', &line))
		if (line.len > 0)
			(void)fprintf(stderr, "mansio: %.*s\n", (int)line.len, line.at);
	if (ask == NULL)
		(void)fprintf(stderr, "mansio: %.*s\n", (int)errors.len, errors.at);
	else
		status = watch != ONCE ? check_watching(c, f, all, watch == UNTIL_RIGHT, json)
		                       : check_once(c, f, all, json, &before);
	inquiry_close(&ask);
	buffer_free(&errors);
	buffer_free(&before);
	return status;
}

static int
run_dns(struct call *c)
{
	const char     *host = NULL, *addresses = NULL;
	bool            watch = command_option(c, "--watch", NULL);
	bool            wait = command_option(c, "--wait", NULL), check, one_form;
	enum dns_form   form;
	struct facts   *f;
	struct records *all;
	int             status = COMMAND_DONE;

	(void)command_option(c, "--host", &host);
	(void)command_option(c, "--address", &addresses);
	one_form = take_form(c, &form);
	check = c->argc == 3 && strcmp(c->argv[1], "check") == 0;
	if (c->argc != 3 || (!check && strcmp(c->argv[1], "show") != 0))
		return command_wrong(c, "dns wants show or check, and a domain");
	if (!one_form || (check && form != DNS_ZONE && form != DNS_JSON))
		return command_wrong(c, "that form is not for it, or there is more than one");
	if ((watch || wait) && (!check || watch == wait))
		return command_wrong(c, "--watch and --wait are for check, one of them");
	if ((f = facts_read(c, c->argv[2], host, addresses)) == NULL)
		return check ? COMMAND_WRONG : COMMAND_FAILED;
	all = memory_take(sizeof *all);
	records_of(f, all);
	if (check)
		status = run_check(c, f, all,
		                   watch  ? UNTIL_ENDED
		                   : wait ? UNTIL_RIGHT
		                          : ONCE,
		                   form == DNS_JSON);
	else
		dns_print(f, all, form);
	memory_free(all);
	facts_close(&f);
	return status;
}
