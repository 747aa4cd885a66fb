/*
 * doveadm -- a name that tutorials and scripts know
 *
 * Each verb does what our own command of that kind does, on our server, with the options and exit statuses its users
 * have in their scripts: as `mansio doveadm ...`, or when the program is called by that name.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "command/doveadm-auth.h"
#include "command/doveadm-elsewhere.h"
#include "command/doveadm-log.h"
#include "command/doveadm-password.h"
#include "command/doveadm-path.h"
#include "command/doveadm-user.h"
#include "command/doveadm.h"
#include "command/quota.h"
#include "command/who.h"
#include "role/wire.h"

static int run_doveadm(struct call *);

const struct command command_doveadm = {
	.name = "doveadm",
	.forms =
		"doveadm [-f FORM] mailbox list|status|create|delete|rename|subscribe|unsubscribe [-u USER | -A] ...\n"
		"doveadm [-f FORM] search|fetch|expunge|flags|copy|move|save [-u USER | -A] ...\n"
		"doveadm [-f FORM] mailbox metadata get|set|unset|list [-s] [-u USER | -A] MAILBOX [ENTRY [VALUE]]\n"
		"doveadm [-f FORM] mailbox path [-t TYPE] [-u USER | -A] MAILBOX\n"
		"doveadm mailbox mutf7 [-7] NAME ...\n"
		"doveadm [-f FORM] quota get|recalc [-u USER | -A]\n"
		"doveadm acl get|rights|set|add|remove|delete|recalc [-u USER | -A] MAILBOX [ID [RIGHT ...]]\n"
		"doveadm import [-u USER] maildir:PATH|mbox:PATH PARENT QUERY\n"
		"doveadm backup [-R | -m MAILBOX] [-u USER] maildir:PATH\n"
		"doveadm sync -1 [-R | -m MAILBOX] [-u USER] maildir:PATH\n"
		"doveadm [-f FORM] batch [-u USER | -A] SEP COMMAND ... [SEP COMMAND ...]\n"
		"doveadm index|purge|fts rescan|fts optimize [-u USER | -A] [MAILBOX]\n"
		"doveadm pw [-s SCHEME] [-p PASSWORD] [-u USER] [-r ROUNDS] [-V] | -l | -t HASH\n"
		"doveadm who [-1] [USER] [ADDRESS]\n"
		"doveadm kick USER | ADDRESS | USER ADDRESS\n"
		"doveadm auth test [-a SOCKET] [-M MASTER] [-x service=NAME] [-x rip=ADDRESS] USER [PASSWORD]\n"
		"doveadm auth lookup [-f FIELD] USER...\n"
		"doveadm user [-u] [-f FIELD] USER... | MASK\n"
		"doveadm force-resync -u USER MAILBOX\n"
		"doveadm reload | stop\n"
		"doveadm log find | errors [-s SECONDS] | test | reopen\n"
		"doveadm config [-n | -a | -h] [NAME ...]",
	.about = "The commands that scripts written for Dovecot call, done on this server.",
	.more = "Options, fields, queries and forms are those of doveadm(1), as far as they mean something here; without "
		"-u the user is the one named by USER in the environment. The exit status is 0, 64 when it was called "
		"wrongly, 67 when there is no such user, 68 when there is no such mailbox or session, 75 when no server is "
		"running or pw has nothing to print, 77 when a login fails, and 65 for anything else. auth test asks this server, or with -a "
		"whoever speaks Dovecot's auth protocol at that socket; with -M whether the master user's password lets him in as USER. Commands of "
		"Dovecot's that make no sense here say what does it. index and purge have nothing to do, for both are done by the server itself; an "
		"import goes below the mailbox PARENT with INBOX and folders, or beside the INBOX when PARENT is empty. backup and sync -1 write into the "
		"Maildir what it has not yet, as message export does, or with -R take from it, as message import does; neither removes anything on "
		"either side.",
	.run = run_doveadm,
};

static int do_batch(struct dove *, const char *verb);

/* ---- by our own commands ---- */

/* As if called by itself. */
int
doveadm_run_as(const struct dove *d, const struct command *command, const char *const *argv)
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
	const char *misfit = who_misfit(d->argc, d->argv);

	(void)verb;
	if (misfit != NULL)
		return doveadm_usage("", misfit);
	return who_readers(d->call, d->argc, d->argv, d->on['1'],
	                   d->formed ? d->form : OUTPUT_TABLE);
}

static int
do_kick(struct dove *d, const char *verb)
{
	const char *misfit = who_misfit(d->argc, d->argv);

	(void)verb;
	return misfit != NULL ? doveadm_usage("", misfit) : who_kick(d->call, d->argc, d->argv);
}

static int
do_reload(struct dove *d, const char *verb)
{
	return doveadm_run_as(d, &command_reload, (const char *const[]){ verb, NULL });
}

static int
do_stop(struct dove *d, const char *verb)
{
	return doveadm_run_as(d, &command_stop, (const char *const[]){ verb, NULL });
}

static int
do_resync(struct dove *d, const char *verb)
{
	(void)verb;
	return doveadm_run_as(d, &command_store,
	                      (const char *const[]){ "store", "check", d->who, "--quiet", NULL });
}

static int
do_path(struct dove *d, const char *verb)
{
	int status = path_print(d->call, d->who, doveadm_many(d->who), d->value['t'], d->argv[0],
	                        d->formed ? d->form : OUTPUT_FLOW);

	(void)verb;
	return status == PATH_WRONG_TYPE
	               ? doveadm_usage("mailbox path: not a type: ", d->value['t'])
	               : status;
}

/* maildir:PATH, as LAYOUT=maildir++ has its folders; its path. */
static bool
maildir_of(const char *place, char *path, size_t room)
{
	struct bytes rest = bytes_of(place), kind;

	return bytes_split(&rest, ':', &kind) && bytes_is(kind, "maildir") &&
	       bytes_split(&rest, ':', &kind) && bytes_string(kind, path, room) && path[0] == '/' &&
	       (rest.len == 0 || bytes_is(rest, "LAYOUT=maildir++"));
}

/* One way, and nothing is removed where it comes from or where it goes to. */
static int
do_backup(struct dove *d, const char *verb)
{
	const char *mailbox = d->value['m'];
	char        path[4096];

	if (strcmp(verb, "sync") == 0 && !d->on['1'])
		return doveadm_usage(
			"sync: both ways at once is not done here; right would be sync -1 (from here), sync -1 -R "
			"(to here), or mbsync over IMAP",
			"");
	if (doveadm_many(d->who))
		return doveadm_usage("one account at a time: -u USER, not -A for ", verb);
	if (!maildir_of(d->argv[0], path, sizeof path))
		return doveadm_usage(
			"a place is named by maildir:/PATH here, its folders as LAYOUT=maildir++ has them, not ",
			d->argv[0]);
	if (d->on['R'] && mailbox != NULL)
		return doveadm_usage("with -R all folders come, not only -m ", mailbox);
	if (d->on['R'])
		return doveadm_run_as(d, &command_message,
		                      (const char *const[]){ "message", "import", d->who, path,
		                                             "--quiet", NULL });
	return doveadm_run_as(d, &command_message,
	                      (const char *const[]){ "message", "export", d->who, path, "--format",
	                                             "maildir", "--quiet",
	                                             mailbox != NULL ? "mailbox" : NULL, mailbox,
	                                             NULL });
}

/* What is done by itself, or is always so: that the account is there is looked at. */
static int
do_nothing(struct dove *d, const char *verb)
{
	struct people people;
	int           status = client_people(d->call, d->who, &people);

	(void)verb;
	people_close(&people);
	return status;
}

static int
do_rescan(struct dove *d, const char *verb)
{
	(void)verb;
	return doveadm_run_as(d, &command_mailbox,
	                      (const char *const[]){ "mailbox", "index", d->who, "--rebuild",
	                                             NULL });
}

/* As query_read() splits it again. */
static void
one_word(int argc, char *const *argv, struct buffer *out)
{
	for (int i = 0; i < argc; i++) {
		buffer_add_string(out, argc > 1 ? "\"" : "");
		for (const char *c = argv[i]; *c != '\0'; c++) {
			if (argc > 1 && (*c == '"' || *c == '\\'))
				buffer_add_char(out, '\\');
			buffer_add_char(out, *c);
		}
		buffer_add_string(out, argc > 1 ? "\" " : " ");
	}
	buffer_add_char(out, '\0');
}

/* maildir:PATH[:...] or mbox:PATH[:...], PARENT or "", a query */
static int
do_import(struct dove *d, const char *verb)
{
	const char   *into = d->argv[1];
	struct bytes  path = bytes_of(d->argv[0]), kind;
	char          plain[4096];
	struct buffer query = { 0 };
	int           status;

	(void)verb;
	if (!bytes_split(&path, ':', &kind) ||
	    (!bytes_is(kind, "maildir") && !bytes_is(kind, "mbox")))
		return (void)doveadm_usage("import reads maildir:PATH and mbox:PATH, not ",
		                           d->argv[0]),
		       COMMAND_WRONG;
	if (!bytes_split(&path, ':', &kind) || !bytes_string(kind, plain, sizeof plain))
		return doveadm_usage("that path is too long: ", d->argv[0]);
	one_word(d->argc - 2, d->argv + 2, &query);
	status = doveadm_run_as(d, &command_message,
	                        (const char *const[]){ "message", "import", d->who, plain,
	                                               "--quiet", "--query", query.at,
	                                               *into != '\0' ? "--mailbox" : NULL, into,
	                                               "--inbox", NULL });
	buffer_free(&query);
	return status;
}

static int
do_doveconf(struct dove *d, const char *verb)
{
	const char *argv[12] = { "doveconf" };

	(void)verb;
	for (int i = 0; i < d->argc && i < 10; i++)
		argv[i + 1] = d->argv[i];
	return doveadm_run_as(d, &command_doveconf, argv);
}

static int
do_help(struct dove *d, const char *verb)
{
	(void)verb;
	return doveadm_run_as(d, &command_help, (const char *const[]){ "help", "doveadm", NULL });
}

static int
do_log(struct dove *d, const char *verb)
{
	if (strcmp(verb, "reopen") == 0)
		return log_reopen(d->call);
	return strcmp(verb, "find") == 0   ? log_find(d->call)
	       : strcmp(verb, "test") == 0 ? log_test(d->call)
	                                   : log_errors(d->call, d->value['s'], d->form, d->formed);
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

/* What one root holds: rows of its two resources. */
static void
quota_rows(struct output *o, const char *user, struct bytes root, const struct quota_told *q)
{
	for (int row = 0; row < 2; row++) {
		uint64_t held = row == 0 ? (q->bytes + 1023) / 1024 : q->messages;
		uint64_t most = row == 0 ? q->bytes_most / 1024 : q->messages_most;
		if (user != NULL)
			output_value(o, bytes_of(user));
		output_value(o, root);
		output_value(o, row == 0 ? BYTES("STORAGE") : BYTES("MESSAGE"));
		output_text(o, "%llu", (unsigned long long)held);
		if (most > 0)
			output_text(o, "%llu", (unsigned long long)most);
		else
			output_value(o, BYTES("-"));
		output_text(o, "%llu", (unsigned long long)(most > 0 ? held * 100 / most : 0));
	}
}

/* The line of the user's domain in what the clerk said of all that are limited as a whole. */
static bool
domain_of_user(struct bytes said, const char *user, struct quota_told *q)
{
	const char  *at = strrchr(user, '@');
	struct bytes domain;

	while (at != NULL && quota_totals_next(&said, &domain, q))
		if (bytes_is(domain, at + 1))
			return true;
	return false;
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
	bool           several = doveadm_many(d->who);
	struct people  people;
	int            status = client_people(d->call, d->who, &people);
	bool           recount = strcmp(verb, "recalc") == 0;
	struct buffer  domains = { 0 };
	struct output *o =
		recount ? NULL
			: output_open_as_doveadm(d->formed ? d->form : OUTPUT_TABLE,
	                                         several ? columns : columns + 1, several ? 6 : 5);

	if (!recount && people.count > 0)
		(void)quota_totals_ask(d->call, NULL, &domains);
	for (size_t i = 0; i < people.count; i++) {
		struct quota_told q;
		if (!quota_ask(d->call, &people.one[i], recount, &q)) {
			status = COMMAND_FAILED;
			continue;
		}
		if (recount)
			continue;
		quota_rows(o, several ? people.one[i].user : NULL, BYTES("User quota"), &q);
		if (domain_of_user(buffer_bytes(&domains), people.one[i].user, &q))
			quota_rows(o, several ? people.one[i].user : NULL, BYTES("Domain quota"),
			           &q);
	}
	buffer_free(&domains);
	output_close(&o);
	people_close(&people);
	return status;
}

/* ---- the table ---- */

/* clang-format off */
static const struct name {
	const char *name, *verb;       /* verb: the second word, or "" */
	const char *options;           /* as getopt(3) has them; NULL: words like others */
	bool        user;              /* it is about somebody         */
	int         least, most;       /* most 0: any number           */
	int       (*run)(struct dove *, const char *verb);
} names[] = {
	{ "mailbox", "list",        "78AF:S:su:",    true,  0, 0, doveadm_mailbox  },
	{ "mailbox", "status",      "AF:S:tu:",      true,  1, 0, doveadm_mailbox  },
	{ "mailbox", "create",      "AF:S:g:su:",    true,  1, 0, doveadm_mailbox  },
	{ "mailbox", "delete",      "AF:S:serZu:",   true,  1, 0, doveadm_mailbox  },
	{ "mailbox", "rename",      "AF:S:su:",      true,  2, 2, doveadm_mailbox  },
	{ "mailbox", "subscribe",   "AF:S:u:",       true,  1, 0, doveadm_mailbox  },
	{ "mailbox", "unsubscribe", "AF:S:u:",       true,  1, 0, doveadm_mailbox  },
	{ "mailbox", "metadata get",   "AF:S:su:",   true,  2, 2, doveadm_metadata },
	{ "mailbox", "metadata set",   "AF:S:su:",   true,  3, 3, doveadm_metadata },
	{ "mailbox", "metadata unset", "AF:S:su:",   true,  2, 2, doveadm_metadata },
	{ "mailbox", "metadata list",  "AF:S:psu:",  true,  1, 2, doveadm_metadata },
	{ "mailbox", "path",        "AF:S:t:u:",     true,  1, 1, do_path          },
	{ "mailbox", "cache purge", "AF:S:u:",       true,  1, 0, doveadm_exists   },
	{ "mailbox", "mutf7",       "78",            false, 1, 0, doveadm_mutf7    },
	{ "acl",     "get",         "AF:S:mu:",      true,  1, 1, doveadm_acl      },
	{ "acl",     "rights",      "AF:S:u:",       true,  1, 1, doveadm_acl      },
	{ "acl",     "set",         "AF:S:u:",       true,  3, 0, doveadm_acl      },
	{ "acl",     "add",         "AF:S:u:",       true,  3, 0, doveadm_acl      },
	{ "acl",     "remove",      "AF:S:u:",       true,  3, 0, doveadm_acl      },
	{ "acl",     "delete",      "AF:S:u:",       true,  2, 2, doveadm_acl      },
	{ "acl",     "recalc",      "AF:S:u:",       true,  0, 0, do_nothing       },
	{ "search",  "",            "AF:S:u:",       true,  1, 0, doveadm_message  },
	{ "fetch",   "",            "AF:S:u:",       true,  2, 0, doveadm_message  },
	{ "expunge", "",            "AF:S:du:",      true,  1, 0, doveadm_expunge  },
	{ "flags",   "add",         "AF:S:u:",       true,  2, 0, doveadm_flags    },
	{ "flags",   "remove",      "AF:S:u:",       true,  2, 0, doveadm_flags    },
	{ "flags",   "replace",     "AF:S:u:",       true,  2, 0, doveadm_flags    },
	{ "copy",    "",            "AF:S:u:",       true,  2, 0, doveadm_transfer },
	{ "move",    "",            "AF:S:u:",       true,  2, 0, doveadm_transfer },
	{ "save",    "",            "AF:S:m:u:",     true,  0, 1, doveadm_save     },
	{ "import",  "",            "AF:S:sU:u:",    true,  3, 0, do_import        },
	{ "backup",  "",            "AF:PRS:Ufl:m:O:r:s:u:", true, 1, 1, do_backup        },
	{ "sync",    "",            "1AF:PRS:Ufl:m:O:r:s:u:", true, 1, 1, do_backup        },
	{ "batch",   "",            "AF:S:u:",       true,  2, 0, do_batch         },
	{ "index",   "",            "AF:S:n:qu:",    true,  1, 1, do_nothing       },
	{ "fts",     "rescan",      "AF:S:u:",       true,  0, 0, do_rescan        },
	{ "fts",     "optimize",    "AF:S:u:",       true,  0, 0, do_nothing       },
	{ "purge",   "",            "AF:S:u:",       true,  0, 0, do_nothing       },
	{ "quota",   "get",         "AF:S:u:",       true,  0, 0, do_quota         },
	{ "quota",   "recalc",      "AF:S:u:",       true,  0, 0, do_quota         },
	{ "who",     "",            "1a:",           false, 0, 2, do_who           },
	{ "kick",    "",            "a:f",           false, 1, 2, do_kick          },
	{ "auth",    "test",        "M:a:x:",      false, 1, 2, do_auth          },
	{ "pw",      "",            "lp:r:s:t:u:V",  false, 0, 0, do_password      },
	{ "auth",    "lookup",      "a:f:x:",        false, 1, 0, do_user          },
	{ "user",    "",            "a:e:f:ux:",     false, 1, 0, do_user          },
	{ "force-resync", "",       "AF:S:fu:",      true,  1, 0, do_resync        },
	{ "reload",  "",            "",              false, 0, 0, do_reload        },
	{ "stop",    "",            "",              false, 0, 0, do_stop          },
	{ "log",     "find",        "",              false, 0, 1, do_log           },
	{ "log",     "errors",      "s:",            false, 0, 0, do_log           },
	{ "log",     "test",        "",              false, 0, 0, do_log           },
	{ "log",     "reopen",      "",              false, 0, 0, do_log           },
	{ "config",  "",            NULL,            false, 0, 9, do_doveconf      },
	{ "help",    "",            "",              false, 0, 1, do_help          },
};
/* clang-format on */

int
doveadm_usage(const char *why, const char *what)
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
				return doveadm_usage("not an option here: ", word);
			if (known[1] != ':') {
				d->on[(unsigned char)*o & 127] = true;
				continue;
			}
			if (o[1] == '\0' && d->argc == 0)
				return doveadm_usage("a value is missing behind ", word);
			d->value[(unsigned char)*o & 127] = o[1] != '\0' ? o + 1 : d->argv[0];
			if (*o == 'x' && d->facts == FACTS_MOST)
				return doveadm_usage("too many of ", word);
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
	(void)doveadm_usage("not a formatter: ", name);
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
	int status = n->options != NULL ? take_options(d, n->options) : 0;

	if (status != 0)
		return status;
	if (d->argc < n->least || (n->most > 0 && d->argc > n->most))
		return doveadm_usage("too few or too many words behind ", n->name);
	if (d->value['F'] != NULL || d->value['S'] != NULL || d->value['g'] != NULL)
		return doveadm_usage("-F, -S and -g mean nothing here", "");
	if (n->user) {
		d->who = d->on['A'] ? "*" : d->value['u'] != NULL ? d->value['u'] : getenv("USER");
		if (d->who == NULL || *d->who == '\0')
			return doveadm_usage("whose? -u USER, or -A for everybody", "");
	}
	status = n->run(d, *n->verb != '\0' ? n->verb : n->name);
	return status < 0 ? doveadm_usage("too few words behind ", n->name) : status_of(status);
}

/* Of how many words its name is, if the arguments begin with it; else 0. */
static int
words_of(const struct name *n, const struct dove *d)
{
	struct bytes rest = bytes_of(n->verb), word;
	int          words = 1;

	if (strcmp(d->argv[0], n->name) != 0)
		return 0;
	for (; bytes_split(&rest, ' ', &word) && word.len > 0; words++)
		if (words >= d->argc || !bytes_equal(bytes_of(d->argv[words]), word))
			return 0;
	return words;
}

/* The row that the arguments begin with, its words taken off; NULL: there is none. */
static const struct name *
name_taken(struct dove *d)
{
	for (size_t i = 0; i < COUNT(names) && d->argc > 0; i++) {
		int words = words_of(&names[i], d);
		if (words == 0)
			continue;
		d->argc -= words;
		d->argv += words;
		return &names[i];
	}
	return NULL;
}

/* One command of a batch, or with `run` false only a look whether it is one that is about somebody. */
static int
batch_one(const struct dove *d, int from, int count, bool run)
{
	struct dove        one = { .call = d->call,
		                   .form = d->form,
		                   .formed = d->formed,
		                   .argc = count,
		                   .argv = d->argv + from };
	const struct name *n;

	if (count == 0)
		return doveadm_usage("batch: nothing stands between two of ", d->argv[0]);
	n = name_taken(&one);
	if (n == NULL || !n->user || n->run == do_batch)
		return doveadm_usage("batch: not a command about somebody's mail: ", d->argv[from]);
	one.on['A'] = d->on['A'];
	one.value['u'] = d->who;
	return run ? run_named(&one, n) : 0;
}

/* SEP COMMAND ... [SEP COMMAND ...]: none is done when one of them is no command, and none behind one that fails. */
static int
do_batch(struct dove *d, const char *verb)
{
	int status = 0;

	(void)verb;
	for (int run = 0; run < 2; run++)
		for (int from = 1, end; from <= d->argc && status == 0; from = end + 1) {
			for (end = from; end < d->argc && strcmp(d->argv[end], d->argv[0]) != 0;)
				end++;
			status = batch_one(d, from, end - from, run == 1);
		}
	return status;
}

static int
run_doveadm(struct call *c)
{
	struct dove        d = { .call = c, .argc = c->argc - 1, .argv = c->argv + 1 };
	const struct name *n;
	const char        *elsewhere;
	int                status = take_options(&d, "Dvf:o:c:i:");

	if (status == 0)
		status = take_form(&d);
	if (status != 0)
		return status;
	if (d.value['c'] != NULL)
		c->config = d.value['c'];
	memset(d.on, 0, sizeof d.on);
	if ((n = name_taken(&d)) != NULL)
		return run_named(&d, n);
	if (d.argc > 0 &&
	    (elsewhere = doveadm_elsewhere(d.argv[0], d.argc > 1 ? d.argv[1] : "")) != NULL) {
		(void)fprintf(stderr, "doveadm: %s: not done so here; %s\n", d.argv[0], elsewhere);
		return EXIT_USAGE;
	}
	return doveadm_usage("there is no such command: ", d.argc > 0 ? d.argv[0] : "");
}
