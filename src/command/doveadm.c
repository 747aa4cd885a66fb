/*
 * doveadm, doveconf, maildirmake -- names that tutorials and scripts know
 *
 * Each does what our own command of that kind does, on our server, with the options and exit statuses its users
 * have in their scripts: as `mansio doveadm ...`, or when the program is called by that name.
 */

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "command/doveadm-auth.h"
#include "command/doveadm-password.h"
#include "command/doveadm-user.h"
#include "command/mailbox.h"
#include "command/message.h"
#include "command/quota.h"
#include "command/who.h"
#include "role/wire.h"

static int run_doveadm(struct call *);

const struct command command_doveadm = {
	.name = "doveadm",
	.forms =
		"doveadm [-f FORM] mailbox list|status|create|delete|rename|subscribe|unsubscribe [-u USER | -A] ...\n"
		"doveadm [-f FORM] search|fetch|expunge|flags|copy|move|save [-u USER | -A] ...\n"
		"doveadm [-f FORM] quota get|recalc [-u USER | -A]\n"
		"doveadm acl get|set|add|remove|delete [-u USER | -A] MAILBOX [ID [RIGHT ...]]\n"
		"doveadm pw [-s SCHEME] [-p PASSWORD] [-u USER] [-r ROUNDS] [-V] | -l | -t HASH\n"
		"doveadm who [-1] [USER | ADDRESS]\n"
		"doveadm kick USER | ADDRESS\n"
		"doveadm auth test [-a SOCKET] [-M MASTER] [-x service=NAME] [-x rip=ADDRESS] USER [PASSWORD]\n"
		"doveadm auth lookup [-f FIELD] USER...\n"
		"doveadm user [-u] [-f FIELD] USER... | MASK\n"
		"doveadm force-resync -u USER MAILBOX\n"
		"doveadm reload | stop\n"
		"doveadm log find",
	.about = "The commands that scripts written for Dovecot call, done on this server.",
	.more = "Options, fields, queries and forms are those of doveadm(1), as far as they mean something here; without "
		"-u the user is the one named by USER in the environment. The exit status is 0, 64 when it was called "
		"wrongly, 67 when there is no such user, 68 when there is no such mailbox or session, 75 when no server is "
		"running or pw has nothing to print, 77 when a login fails, and 65 for anything else. auth test asks this server, or with -a "
		"whoever speaks Dovecot's auth protocol at that socket; with -M whether the master user's password lets him in as USER.",
	.run = run_doveadm,
};

enum { FACTS_MOST = 8, EXIT_USAGE = 64, EXIT_FAILED = 65, EXIT_LATER = 75 };

/* One call, its options taken off. */
struct dove {
	struct call     *call;
	enum output_form form;
	bool             formed;           /* -f was said                     */
	bool             on[128];          /* switches                        */
	const char      *value[128];       /* options with a value            */
	const char      *fact[FACTS_MOST]; /* each -x                   */
	int              facts;
	const char      *who;
	int              argc;
	char           **argv;
};

/* ---- mailboxes and messages ---- */

static bool
many(const char *who)
{
	return strpbrk(who, "*?") != NULL;
}

static int
do_mailbox(struct dove *d, const char *verb)
{
	struct mailbox_work w = { .call = d->call,
		                  .argc = d->argc,
		                  .argv = d->argv,
		                  .subscribe = d->on['s'],
		                  .recursive = d->on['r'],
		                  .empty = d->on['e'],
		                  .total = d->on['t'],
		                  .doveadm = true,
		                  .many = many(d->who) };
	bool                status = strcmp(verb, "status") == 0;

	if (status && d->argc < 2)
		return MAILBOX_CALLED_WRONGLY;
	if (status) {
		w.fields = w.argv[0];
		w.argc--;
		w.argv++;
	}
	w.form = d->formed ? d->form : OUTPUT_FLOW;
	return mailbox_do(verb, d->who, &w);
}

static int
do_acl(struct dove *d, const char *verb)
{
	struct mailbox_work w = {
		.call = d->call, .argc = d->argc, .argv = d->argv, .rights_as_words = verb
	};

	if (d->argc > 1 && d->who != NULL && strcmp(d->argv[1], "owner") == 0)
		d->argv[1] = (char *)(uintptr_t)d->who;
	w.form = d->formed ? d->form : OUTPUT_TABLE;
	return mailbox_do("acl", d->who, &w);
}

static int
do_message(struct dove *d, const char *verb)
{
	bool                fetch = strcmp(verb, "fetch") == 0;
	struct message_work w = { .call = d->call,
		                  .who = d->who,
		                  .argc = d->argc,
		                  .argv = d->argv,
		                  .doveadm = true,
		                  .many = many(d->who),
		                  .empty = d->on['d'] };

	w.form = d->formed ? d->form : fetch ? OUTPUT_PAGER : OUTPUT_FLOW;
	return message_do(verb, &w);
}

static int usage(const char *why, const char *what);

/* As there, nothing is removed by a query that was left half said: it names mailboxes, and messages in them. */
static int
do_expunge(struct dove *d, const char *verb)
{
	struct query q;
	bool         mailbox, messages;

	if (!query_read(&q, d->argc, d->argv))
		return COMMAND_WRONG;
	mailbox = query_covers(&q, true);
	messages = query_covers(&q, false);
	query_close(&q);
	if (!mailbox)
		return usage(
			"expunge: the query, or a branch of it, lacks MAILBOX; right would be mailbox INBOX ..., or "
			"mailbox \"*\" ... for all of them",
			"");
	if (!messages)
		return usage(
			"expunge: the query, or a branch of it, says nothing besides MAILBOX; all means every "
			"message there",
			"");
	return do_message(d, verb);
}

static int
do_flags(struct dove *d, const char *verb)
{
	struct message_work w = {
		.call = d->call, .who = d->who, .argc = d->argc, .argv = d->argv, .doveadm = true
	};

	w.how = verb[0] == 'a' ? "+FLAGS" : strcmp(verb, "remove") == 0 ? "-FLAGS" : "FLAGS";
	return message_do("flags", &w);
}

/* copy DESTINATION [user SOURCE] QUERY: -u is whose the destination is. */
static int
do_transfer(struct dove *d, const char *verb)
{
	struct message_work w = {
		.call = d->call, .who = d->who, .argc = d->argc, .argv = d->argv, .doveadm = true
	};

	if (d->argc > 3 && strcmp(d->argv[1], "user") == 0) {
		w.owner = d->who;
		w.who = d->argv[2];
		d->argv[2] = d->argv[0];
		w.argc -= 2;
		w.argv += 2;
	}
	return message_do(verb, &w);
}

/* ---- by our own commands ---- */

/* As if called by itself. */
static int
run_as(const struct dove *d, const struct command *command, const char *const *argv)
{
	struct call c = { .command = command, .config = d->call->config };
	char       *copy[12] = { NULL };

	for (; argv[c.argc] != NULL && c.argc < 11; c.argc++)
		copy[c.argc] = (char *)(uintptr_t)argv[c.argc];
	c.argv = copy;
	return command->run(&c);
}

static int
do_who(struct dove *d, const char *verb)
{
	(void)verb;
	return who_readers(d->call, d->argc > 0 ? d->argv[0] : "", d->on['1'],
	                   d->formed ? d->form : OUTPUT_TABLE);
}

static int
do_kick(struct dove *d, const char *verb)
{
	int status = run_as(d, &command_kick, (const char *const[]){ verb, d->argv[0], NULL });

	return status == COMMAND_FAILED ? COMMAND_NOT_FOUND : status;
}

static int
do_reload(struct dove *d, const char *verb)
{
	return run_as(d, &command_reload, (const char *const[]){ verb, NULL });
}

static int
do_stop(struct dove *d, const char *verb)
{
	return run_as(d, &command_stop, (const char *const[]){ verb, NULL });
}

static int
do_resync(struct dove *d, const char *verb)
{
	(void)verb;
	return run_as(d, &command_store, (const char *const[]){ "store", "check", d->who, NULL });
}

static int
do_log(struct dove *d, const char *verb)
{
	struct common_settings common;
	struct settings       *s = command_settings(d->call, &common);

	(void)verb;
	if (s == NULL)
		return COMMAND_FAILED;
	if (*common.maillog_file == '\0')
		(void)puts(
			"The log goes to syslog, facility mail: /var/log/mail.log, or journalctl -t mansio");
	else
		for (size_t i = 0; i < 5; i++)
			(void)printf("%s%s\n",
			             (const char *const[]){ "Debug: ", "Info: ", "Warning: ",
			                                    "Error: ", "Fatal: " }[i],
			             common.maillog_file);
	settings_close(&s);
	return COMMAND_DONE;
}

/* ---- the directory ---- */

static int
do_user(struct dove *d, const char *verb)
{
	enum user_form form = strcmp(verb, "lookup") == 0 ? USER_PASSDB
	                      : d->on['u']                ? USER_FIELDS
	                                                  : USER_TABLE;

	return user_print(d->call, form, d->value['f'], d->argc, d->argv);
}

/* The password is an argument there, and in every tutorial. */
static int
do_auth(struct dove *d, const char *verb)
{
	(void)verb;
	return auth_print(&(struct auth_work){ .call = d->call,
	                                       .socket = d->value['a'],
	                                       .master = d->value['M'],
	                                       .fact = d->fact,
	                                       .facts = d->facts,
	                                       .user = d->argv[0],
	                                       .plain = d->argc > 1 ? d->argv[1] : NULL });
}

static int
do_password(struct dove *d, const char *verb)
{
	(void)verb;
	return password_print(&(struct password_work){ .list = d->on['l'],
	                                               .verify = d->on['V'],
	                                               .scheme = d->value['s'],
	                                               .plain = d->value['p'],
	                                               .rounds = d->value['r'],
	                                               .test = d->value['t'],
	                                               .user = d->value['u'] }) == COMMAND_DONE
	               ? COMMAND_DONE
	               : EXIT_LATER;
}

static int
do_save(struct dove *d, const char *verb)
{
	const char *mailbox = d->value['m'] != NULL ? d->value['m'] : "INBOX";

	(void)verb;
	return run_as(d, &command_message,
	              (const char *const[]){ "message", "append", d->who, mailbox,
	                                     d->argc > 0 ? "--file" : NULL,
	                                     d->argc > 0 ? d->argv[0] : NULL, NULL });
}

/* As the quota plugin's rows: STORAGE in KiB; no limit is "-". */
static int
do_quota(struct dove *d, const char *verb)
{
	static const struct output_column columns[] = {
		{ "Username", "username", true, false }, { "Quota name", "root", false, false },
		{ "Type", "type", false, false },        { "Value", "value", false, true },
		{ "Limit", "limit", false, true },       { "%", "percent", false, true }
	};
	bool           several = many(d->who);
	struct people  people;
	int            status = client_people(d->call, d->who, &people);
	bool           recount = strcmp(verb, "recalc") == 0;
	struct output *o =
		recount ? NULL
			: output_open_as_doveadm(d->formed ? d->form : OUTPUT_TABLE,
	                                         several ? columns : columns + 1, several ? 6 : 5);

	for (size_t i = 0; i < people.count; i++) {
		struct quota_told q;
		if (!quota_ask(d->call, &people.one[i], recount, &q)) {
			status = COMMAND_FAILED;
			continue;
		}
		for (int row = 0; row < 2 && !recount; row++) {
			uint64_t held = row == 0 ? (q.bytes + 1023) / 1024 : q.messages;
			uint64_t most = row == 0 ? q.bytes_most / 1024 : q.messages_most;
			if (several)
				output_value(o, bytes_of(people.one[i].user));
			output_value(o, BYTES("User quota"));
			output_value(o, row == 0 ? BYTES("STORAGE") : BYTES("MESSAGE"));
			output_text(o, "%llu", (unsigned long long)held);
			if (most > 0)
				output_text(o, "%llu", (unsigned long long)most);
			else
				output_value(o, BYTES("-"));
			output_text(o, "%llu",
			            (unsigned long long)(most > 0 ? held * 100 / most : 0));
		}
	}
	output_close(&o);
	people_close(&people);
	return status;
}

/* ---- the table ---- */

/* clang-format off */
static const struct name {
	const char *name, *verb;       /* verb: the second word, or "" */
	const char *options;           /* as getopt(3) has them        */
	bool        user;              /* it is about somebody         */
	int         least, most;       /* most 0: any number           */
	int       (*run)(struct dove *, const char *verb);
} names[] = {
	{ "mailbox", "list",        "78AF:S:su:",    true,  0, 0, do_mailbox  },
	{ "mailbox", "status",      "AF:S:tu:",      true,  1, 0, do_mailbox  },
	{ "mailbox", "create",      "AF:S:g:su:",    true,  1, 0, do_mailbox  },
	{ "mailbox", "delete",      "AF:S:serZu:",   true,  1, 0, do_mailbox  },
	{ "mailbox", "rename",      "AF:S:su:",      true,  2, 2, do_mailbox  },
	{ "mailbox", "subscribe",   "AF:S:u:",       true,  1, 0, do_mailbox  },
	{ "mailbox", "unsubscribe", "AF:S:u:",       true,  1, 0, do_mailbox  },
	{ "acl",     "get",         "AF:S:mu:",      true,  1, 1, do_acl      },
	{ "acl",     "rights",      "AF:S:u:",       true,  1, 1, do_acl      },
	{ "acl",     "set",         "AF:S:u:",       true,  3, 0, do_acl      },
	{ "acl",     "add",         "AF:S:u:",       true,  3, 0, do_acl      },
	{ "acl",     "remove",      "AF:S:u:",       true,  3, 0, do_acl      },
	{ "acl",     "delete",      "AF:S:u:",       true,  2, 2, do_acl      },
	{ "search",  "",            "AF:S:u:",       true,  1, 0, do_message  },
	{ "fetch",   "",            "AF:S:u:",       true,  2, 0, do_message  },
	{ "expunge", "",            "AF:S:du:",      true,  1, 0, do_expunge  },
	{ "flags",   "add",         "AF:S:u:",       true,  2, 0, do_flags    },
	{ "flags",   "remove",      "AF:S:u:",       true,  2, 0, do_flags    },
	{ "flags",   "replace",     "AF:S:u:",       true,  2, 0, do_flags    },
	{ "copy",    "",            "AF:S:u:",       true,  2, 0, do_transfer },
	{ "move",    "",            "AF:S:u:",       true,  2, 0, do_transfer },
	{ "save",    "",            "AF:S:m:u:",     true,  0, 1, do_save     },
	{ "quota",   "get",         "AF:S:u:",       true,  0, 0, do_quota    },
	{ "quota",   "recalc",      "AF:S:u:",       true,  0, 0, do_quota    },
	{ "who",     "",            "1a:",           false, 0, 1, do_who      },
	{ "kick",    "",            "a:f",           false, 1, 1, do_kick     },
	{ "auth",    "test",        "M:a:x:",      false, 1, 2, do_auth     },
	{ "pw",      "",            "lp:r:s:t:u:V",  false, 0, 0, do_password },
	{ "auth",    "lookup",      "a:f:x:",        false, 1, 0, do_user     },
	{ "user",    "",            "a:e:f:ux:",     false, 1, 0, do_user     },
	{ "force-resync", "",       "AF:S:fu:",      true,  0, 1, do_resync   },
	{ "reload",  "",            "",              false, 0, 0, do_reload   },
	{ "stop",    "",            "",              false, 0, 0, do_stop     },
	{ "log",     "find",        "",              false, 0, 1, do_log      },
};
/* clang-format on */

static int
usage(const char *why, const char *what)
{
	(void)fprintf(stderr, "doveadm: %s%s\n", why, what);
	(void)fputs("mansio help doveadm lists what there is\n", stderr);
	return EXIT_USAGE;
}

/* Options stand before the other words, after a "--" none. */
static int
take_options(struct dove *d, const char *options)
{
	while (d->argc > 0 && d->argv[0][0] == '-' && d->argv[0][1] != '\0') {
		const char *word = d->argv[0];
		d->argc--;
		d->argv++;
		if (strcmp(word, "--") == 0)
			break;
		for (const char *o = word + 1; *o != '\0'; o++) {
			const char *known = *o == ':' ? NULL : strchr(options, *o);
			if (known == NULL)
				return usage("not an option here: ", word);
			if (known[1] != ':') {
				d->on[(unsigned char)*o & 127] = true;
				continue;
			}
			if (o[1] == '\0' && d->argc == 0)
				return usage("a value is missing behind ", word);
			d->value[(unsigned char)*o & 127] = o[1] != '\0' ? o + 1 : d->argv[0];
			if (*o == 'x' && d->facts == FACTS_MOST)
				return usage("too many of ", word);
			if (*o == 'x')
				d->fact[d->facts++] = d->value['x'];
			d->argc -= o[1] == '\0';
			d->argv += o[1] == '\0';
			break;
		}
	}
	return 0;
}

static int
take_form(struct dove *d)
{
	static const struct {
		const char      *name;
		enum output_form form;
	} forms[] = { { "table", OUTPUT_TABLE },
		      { "flow", OUTPUT_FLOW },
		      { "tab", OUTPUT_TAB },
		      { "pager", OUTPUT_PAGER },
		      { "json", OUTPUT_JSON } };
	const char *name = d->value['f'];

	d->formed = name != NULL;
	d->value['f'] = NULL;
	if (name == NULL)
		return 0;
	for (size_t i = 0; i < COUNT(forms); i++)
		if (strcmp(name, forms[i].name) == 0) {
			d->form = forms[i].form;
			return 0;
		}
	(void)usage("not a formatter: ", name);
	return EXIT_LATER;
}

/* Our statuses as scripts for doveadm know them. */
static int
status_of(int status)
{
	return status == COMMAND_FAILED  ? EXIT_FAILED
	       : status == COMMAND_WRONG ? EXIT_LATER
	                                 : status;
}

static int
run_named(struct dove *d, const struct name *n)
{
	int status = take_options(d, n->options);

	if (status != 0)
		return status;
	if (d->argc < n->least || (n->most > 0 && d->argc > n->most))
		return usage("too few or too many words behind ", n->name);
	if (d->value['F'] != NULL || d->value['S'] != NULL || d->value['g'] != NULL)
		return usage("-F, -S and -g mean nothing here", "");
	if (n->user) {
		d->who = d->on['A'] ? "*" : d->value['u'] != NULL ? d->value['u'] : getenv("USER");
		if (d->who == NULL || *d->who == '\0')
			return usage("whose? -u USER, or -A for everybody", "");
	}
	status = n->run(d, *n->verb != '\0' ? n->verb : n->name);
	return status < 0 ? usage("too few words behind ", n->name) : status_of(status);
}

static int
run_doveadm(struct call *c)
{
	struct dove d = { .call = c, .argc = c->argc - 1, .argv = c->argv + 1 };
	int         status = take_options(&d, "Dvf:o:c:i:");

	if (status == 0)
		status = take_form(&d);
	if (status != 0)
		return status;
	if (d.value['c'] != NULL)
		c->config = d.value['c'];
	memset(d.on, 0, sizeof d.on);
	for (size_t i = 0; i < COUNT(names) && d.argc > 0; i++) {
		bool two = *names[i].verb != '\0';
		if (strcmp(d.argv[0], names[i].name) != 0 ||
		    (two && (d.argc < 2 || strcmp(d.argv[1], names[i].verb) != 0)))
			continue;
		d.argc -= two ? 2 : 1;
		d.argv += two ? 2 : 1;
		return run_named(&d, &names[i]);
	}
	return usage("there is no such command: ", d.argc > 0 ? d.argv[0] : "");
}

/* ---- doveconf ---- */

static int run_doveconf(struct call *);

const struct command command_doveconf = {
	.name = "doveconf",
	.forms = "doveconf [-n | -a | -d] [-h] [NAME ...]",
	.about = "Shows the settings, as scripts written for Dovecot ask for them.",
	.more = "It is config show: -n those that stand in main.cf, -a all (as without options), -d the standard ones, -h the value "
		"alone.",
	.run = run_doveconf,
};

static int
run_doveconf(struct call *c)
{
	struct call show = { &command_config, c->config, 0, NULL };
	char      **argv = memory_take(((size_t)c->argc + 4) * sizeof *argv);
	const char *file = NULL;
	bool        head = command_option(c, "-n", NULL);
	int         status;

	if (command_option(c, "-c", &file))
		show.config = file;
	(void)command_option(c, "-a", NULL);
	argv[show.argc++] = (char *)(uintptr_t) "config";
	argv[show.argc++] = (char *)(uintptr_t) "show";
	if (head)
		argv[show.argc++] = (char *)(uintptr_t) "-n";
	for (int i = 1; i < c->argc; i++)
		argv[show.argc++] = c->argv[i];
	if (head && c->argc == 1)
		(void)printf("# %s (mansio): %s\n", MANSIO_VERSION, show.config);
	show.argv = argv;
	status = command_config.run(&show);
	memory_free(argv);
	return status;
}

/* ---- maildirmake ---- */

static int run_maildirmake(struct call *);

#define MAILDIRMAKE_FORMS "maildirmake [-f FOLDER] DIRECTORY [OWNER]"
const struct command command_maildirmake = {
	.name = "maildirmake",
	.forms = MAILDIRMAKE_FORMS,
	.about = "Makes a Maildir: a directory with cur, new and tmp in it, for its owner alone.",
	.more = "With -f a folder of that name within an existing Maildir. OWNER, whose it shall be, is for root. The name "
		"maildirmake.dovecot answers too.",
	.run = run_maildirmake,
};

/* False after saying why; one that is there is as it should be. */
static bool
make_directory(const char *path, const struct passwd *owner)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		(void)fprintf(stderr, "maildirmake: %s: %s\n", path, strerror(errno));
		return false;
	}
	if (owner == NULL || lchown(path, owner->pw_uid, owner->pw_gid) == 0)
		return true;
	(void)fprintf(stderr, "maildirmake: %s: %s\n", path, strerror(errno));
	return false;
}

static bool
make_maildir(const char *path, const struct passwd *owner)
{
	static const char *const parts[] = { "", "/cur", "/new", "/tmp" };
	char                     whole[4200];
	bool                     good = true;

	for (size_t i = 0; i < COUNT(parts) && good; i++) {
		(void)snprintf(whole, sizeof whole, "%.4000s%s", path, parts[i]);
		good = make_directory(whole, owner);
	}
	return good;
}

static int
run_maildirmake(struct call *c)
{
	const char          *folder = NULL;
	const struct passwd *owner = NULL;
	char                 path[4096];
	int                  fd;

	(void)command_option(c, "-f", &folder);
	if (c->argc < 2 || c->argc > 3 || c->argv[1][0] == '-')
		return command_wrong(c, "which directory?");
	if (c->argc == 3 && (owner = getpwnam(c->argv[2])) == NULL) {
		(void)fprintf(stderr, "maildirmake: there is no user %s\n", c->argv[2]);
		return COMMAND_FAILED;
	}
	if (folder == NULL)
		return make_maildir(c->argv[1], owner) ? COMMAND_DONE : COMMAND_FAILED;
	if (strchr(folder, '/') != NULL || folder[0] == '.' || folder[0] == '\0')
		return command_wrong(
			c,
			"\"%s\" is not the name of a folder; right would be Sent or Lists.debian",
			folder);
	(void)snprintf(path, sizeof path, "%.3800s/.%.200s", c->argv[1], folder);
	if (!make_maildir(path, owner))
		return COMMAND_FAILED;
	(void)snprintf(path, sizeof path, "%.3800s/.%.200s/maildirfolder", c->argv[1], folder);
	if ((fd = creat(path, 0600)) < 0 ||
	    (owner != NULL && fchown(fd, owner->pw_uid, owner->pw_gid) < 0)) {
		(void)fprintf(stderr, "maildirmake: %s: %s\n", path, strerror(errno));
		return COMMAND_FAILED;
	}
	(void)close(fd);
	return COMMAND_DONE;
}
