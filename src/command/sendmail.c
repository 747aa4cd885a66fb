/*
 * sendmail -- letters of programs on this machine: cron, mail, scripts
 *
 * A letter goes to our own listener for SMTP as a client's does: the same rules, the same caps, and exit 0 means
 * that it is on the disk.  Nothing here needs rights of its own.
 */

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "command/command.h"
#include "command/lookup.h"
#include "command/queue-ask.h"
#include "command/sendmail-speak.h"
#include "command/talk.h"
#include "role/listeners.h"

enum { START_MS = 60000 };

static int run_sendmail(struct call *);

const struct command command_sendmail = {
	.name = "sendmail",
	.forms =
		"sendmail [-itvG] [-f SENDER] [-F NAME] [-N EVENTS] [-R full|hdrs] [-V ENVID] [-XV[DELIMITERS]] [-B 8BITMIME] [-C MAIN_CF] [RECIPIENT ...]\n"
		"sendmail -bs\n"
		"sendmail -bv [-f SENDER] RECIPIENT ...\n"
		"sendmail -bp | -q | -qIID | -qRDOMAIN | -bi | -I | -bd",
	.about =
		"Takes a letter from standard input, as programs expect of this name, and hands it to the server.",
	.more = "The recipients are the arguments, or with -t those of To, Cc and Bcc (of which Bcc is taken out). A line with a dot alone ends "
		"the letter, but with -i or -oi. Names without a domain are completed with myorigin; a letter without From, Date "
		"or Message-ID gets them, but with -G, which content filters say: it is somebody else's. -bs speaks SMTP on standard input and output, -bv sends nothing: the sender is mailed a report of "
		"who would be taken, here or by the hosts they go to, which are asked up to RCPT, -bp is mailq, -q is postqueue -f, -bi and -I are newaliases, -bd starts the server where it does not run. -v mails the sender a report of what the first try of each recipient came to, too, unless there are more than 1000. "
		"-bm, -bl, -bh, -m, -U, -A, -L, -p, -h and other -o options are taken and mean nothing; -n (no aliases) and -X FILE (a "
		"transcript) are refused, as Postfix refuses them.\n"
		"\n"
		"The exit status is that of sysexits.h: 0 when the server has the letter, 64 wrongly called, 65 there is nobody to "
		"send it to, 67 a recipient is unknown, 69 it was refused, 75 try again later, 78 the settings cannot be read. (Postfix says 75 wherever this says 64, 65 or 78; and "
		"a recipient it would return to the sender a moment later is refused here at once.)",
	.run = run_sendmail,
};

static int
other_command(struct call *c, const struct command *other, const char *option, const char *value)
{
	char        name[32], first[32], second[256];
	char       *argv[] = { name, first, second, NULL };
	struct call as = { .command = other,
		           .config = c->config,
		           .argv = argv,
		           .argc = option == NULL  ? 1
		                   : value == NULL ? 2
		                                   : 3 };
	int         status;

	(void)snprintf(name, sizeof name, "%s", other->name);
	(void)snprintf(first, sizeof first, "%s", option != NULL ? option : "");
	(void)snprintf(second, sizeof second, "%s", value != NULL ? value : "");
	argv[as.argc] = NULL;
	optind = 0;
	status = other->run(&as);
	return status == COMMAND_DONE ? EX_OK : EX_UNAVAILABLE;
}

/* newaliases, with its own status. */
static int
look_at_aliases(struct post *p, const char *named)
{
	char        name[] = "newaliases";
	char       *argv[] = { name, NULL, NULL };
	struct call as = {
		.command = &command_newaliases, .config = p->call->config, .argv = argv, .argc = 1
	};

	if (named != NULL)
		argv[as.argc++] = arena_printf(p->life, "-oA%s", named);
	return command_newaliases.run(&as);
}

/* Somebody of the server answers. */
static bool
server_answers(const struct common_settings *common)
{
	int fd = command_call(common, "clerk");

	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

static pid_t
server_begin(const struct call *c)
{
	pid_t pid = fork();
	int   nothing;

	if (pid != 0)
		return pid;
	nothing = open("/dev/null", O_RDWR);
	for (int fd = 0; fd < 3 && nothing >= 0; fd++)
		(void)dup2(nothing, fd);
	(void)setsid();
	(void)execl("/proc/self/exe", "mansio", "-c", c->config, "run", (char *)NULL);
	_exit(EX_OSERR);
}

/* As Postfix does: in the background, and where it runs already nothing more is to be done. */
static int
start_server(struct call *c)
{
	struct common_settings common;
	struct settings       *s = command_settings(c, &common);
	struct timespec        while_it_starts = { 0, 20000000 };
	int                    status = s == NULL ? EX_CONFIG : EX_OK;
	pid_t                  pid = -1;

	if (status == EX_OK && !server_answers(&common) && (pid = server_begin(c)) < 0)
		status = post_complain(EX_OSERR, "the server cannot be started: ", strerror(errno));
	for (int n = 0; pid > 0 && !server_answers(&common); n++) {
		if (waitpid(pid, NULL, WNOHANG) == 0 && n < START_MS / 20)
			(void)nanosleep(&while_it_starts, NULL);
		else {
			status = post_complain(EX_TEMPFAIL,
			                       "the server has not started: mansio run says why",
			                       "");
			break;
		}
	}
	settings_close(&s);
	return status;
}

/* "-q", "-q30m" (how often: the server knows), "-qIid", "-qRdomain" */
static int
flush(struct call *c, const char *how)
{
	if (how == NULL || isdigit((unsigned char)*how))
		return other_command(c, &command_postqueue, "-f", NULL);
	if ((*how == 'I' || *how == 'R') && how[1] != '\0')
		return other_command(c, &command_postqueue, *how == 'I' ? "-i" : "-s",
		                     how + (how[1] == '@' ? 2 : 1));
	return post_complain(EX_USAGE, "-q wants nothing, I and an id or R and a domain, not ",
	                     how);
}

/* rfc3461:4.1 */
static const char *
notify_of(struct post *p, const char *value)
{
	static const char *const words[] = { "never", "success", "failure", "delay" };
	struct bytes             rest = bytes_of(value), word;
	char                    *upper = (char *)(uintptr_t)arena_copy(p->life, rest);
	bool                     alone = bytes_find(rest, ',') < 0;

	if (rest.len == 0)
		return NULL;
	while (bytes_split(&rest, ',', &word)) {
		bool known = false;

		for (size_t i = 0; i < COUNT(words); i++)
			known = known || bytes_is(word, words[i]);
		if (!known || (!alone && bytes_is(word, "never")))
			return NULL;
	}
	for (char *c = upper; *c != '\0'; c++)
		*c = ascii_upper(*c);
	return upper;
}

/* As Postfix: the letter goes without. */
static void
ignored(char option, const char *right)
{
	(void)fprintf(stderr, "sendmail: warning: bad -%c option value -- ignored; it wants %s\n",
	              option, right);
}

/* What is to be told of the letter, and how much of it (rfc3461). */
static void
wish(struct post *p, int letter, const char *value)
{
	if (letter == 'N') {
		if ((p->notify = notify_of(p, value)) == NULL)
			ignored('N', "never, or success, failure and delay");
	} else if (letter == 'R') {
		p->ret = strcasecmp(value, "full") == 0   ? "FULL"
		         : strcasecmp(value, "hdrs") == 0 ? "HDRS"
		                                          : NULL;
		if (p->ret == NULL)
			ignored('R', "full or hdrs");
	} else {
		p->envid = *value != '\0' ? value : NULL;
		if (p->envid == NULL)
			ignored('V', "a name for the letter");
	}
}

/* -XV, -XV+=; false after complaining. */
static bool
wish_verp(struct post *p, const char *value)
{
	if (value[0] != 'V') {
		(void)post_complain(0,
		                    "-X is not done here: debug_peer_list logs what is said, not ",
		                    value);
		return false;
	}
	p->verp = value + 1;
	if (value[1] == '\0' || (strspn(value + 1, "-=+") == 2 && value[3] == '\0'))
		return true;
	(void)post_complain(0, "-XV wants two characters of -=+, not ", value + 1);
	return false;
}

/* What is to be done: 'm', 's', 'p', 'v', 'i', 'q'; 0 after complaining. */
static int
read_options(struct post *p, const char **sender, const char **queue, const char **aliases)
{
	struct call *c = p->call;
	int          letter, mode = 'm';

	while ((letter = getopt(c->argc, c->argv, SENDMAIL_OPTIONS)) != -1)
		switch (letter) {
		case 'b':
			if (strchr("mspvidlhH", optarg[0]) == NULL || optarg[0] == '\0' ||
			    optarg[1] != '\0')
				return post_complain(0, "this is not done here: -b", optarg);
			mode = optarg[0];
			break;
		case 'C':
			c->config = lookup_config(optarg, p->life);
			(void)setenv("MAIL_CONFIG", optarg, 1);
			break;
		case 'F': p->name = optarg; break;
		case 'f':
		case 'r': *sender = optarg; break;
		case 'I': mode = 'i'; break;
		case 'i': p->dots = true; break;
		case 'o':
			p->dots = p->dots || strcmp(optarg, "i") == 0;
			if (optarg[0] == 'A')
				*aliases = optarg + 1;
			break;
		case 'O': p->dots = p->dots || strcmp(optarg, "IgnoreDots") == 0; break;
		case 'N':
		case 'R':
		case 'V': wish(p, letter, optarg); break;
		case 'B':
			if (strcmp(optarg, "8BITMIME") != 0 && strcmp(optarg, "7BIT") != 0)
				return post_complain(0, "-B wants 8BITMIME or 7BIT, not ", optarg);
			break;
		case 'n':
			return post_complain(0, "-n is not done here: aliases are always looked at",
			                     "");
		case 'v': p->report = true; break;
		case 'G': p->gateway = true; break;
		case 'X':
			if (!wish_verp(p, optarg))
				return 0;
			break;
		case 'q':
			if (mode == 'd')
				break; /* how often the queue is looked at, the server knows */
			mode = 'q';
			*queue = optarg;
			break;
		case 't': p->from_header = true; break;
		case '?': return 0;
		default: break; /* of other programs, and of no meaning here */
		}
	return mode;
}

/* As Postfix has it: what takes no letter has no recipients. */
static bool
is_called_right(const struct post *p, int mode)
{
	static const struct {
		int         mode;
		const char *name;
	} others[] = { { 'p', "display queue" },
		       { 'q', "flush queue" },
		       { 'i', "alias initialization" },
		       { 'd', "daemon" },
		       { 's', "stand-alone" } };

	for (size_t i = 0; i < COUNT(others); i++) {
		if (others[i].mode != mode)
			continue;
		if (optind < p->call->argc)
			(void)post_complain(0, others[i].name, " mode requires no recipient");
		else if (p->from_header)
			(void)post_complain(0, "-t can be used only in delivery mode", "");
		else
			return true;
		return false;
	}
	return true;
}

static int
run_as(struct post *p, int mode, const char *sender, const char *queue, const char *aliases)
{
	struct settings *s;
	int              status;

	if (mode != 0 && !is_called_right(p, mode))
		return mode == 'i' ? EX_TEMPFAIL : EX_USAGE;
	switch (mode) {
	case 0: return EX_USAGE;
	case 'l':
	case 'h':
	case 'H': return EX_OK; /* there is nothing that these would do */
	case 'd': return start_server(p->call);
	case 'p': return other_command(p->call, &command_mailq, NULL, NULL);
	case 'i': return look_at_aliases(p, aliases);
	case 'q': return flush(p->call, queue);
	default: break;
	}
	if ((s = command_settings(p->call, &p->common)) == NULL)
		return EX_CONFIG;
	(void)listener_addresses(s, "pickup", &p->pickup);
	p->settings = s;
	p->sender = post_sender(p, sender != NULL ? sender : post_login());
	for (int i = optind; i < p->call->argc && mode != 's'; i++)
		post_add_list(p, bytes_of(p->call->argv[i]));
	status = mode == 's' ? post_speak(p) : post_deliver(p, mode == 'v');
	talk_close(&p->talk);
	settings_close(&s);
	return status;
}

static int
run_sendmail(struct call *c)
{
	struct post p = { .call = c, .life = arena_open(NULL) };
	const char *sender = NULL, *queue = NULL, *aliases = NULL, *place = getenv("MAIL_CONFIG");
	int         mode, status;

	if (place != NULL && geteuid() == getuid())
		c->config = lookup_config(place, p.life);
	mode = read_options(&p, &sender, &queue, &aliases);
	status = run_as(&p, mode, sender, queue, aliases);
	memory_free(p.to);
	memory_free(p.asked);
	buffer_free(&p.reply);
	arena_close(&p.life);
	return status;
}
