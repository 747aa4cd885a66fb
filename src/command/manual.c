/* manual -- the manual pages, printed from the rows in mdoc(7) */

#include <stdio.h>
#include <string.h>

#include "command/command.h"
#include "command/conformance.h"
#include "directory/table.h"
#include "role/wire.h"

/* The day of this edition; the pages of a release do not change with the day they are built. */
#define EDITION "November 22, 2026"

static int run_manual(struct call *);

const struct command command_manual = {
	.name = "manual",
	.forms = "manual mansio\n"
		 "manual main.cf\n"
		 "manual conformance-imap",
	.about =
		"Prints a manual page: mansio(8) or main.cf(5), to be read with man -l -; or which documents IMAP obeys, in Markdown.",
	.more = "",
	.run = run_manual,
};

/*
 * Plain text into mdoc: no line is long, and none begins with a request
 */

enum { LINE_MOST = 76 };

static void
put_word(struct bytes word, bool first)
{
	if (first && (word.at[0] == '.' || word.at[0] == '\''))
		(void)fputs("\\&", stdout);
	for (size_t i = 0; i < word.len; i++) {
		if (word.at[i] == '\\')
			(void)fputs("\\e", stdout);
		else if (word.at[i] == '-' && (i == 0 || word.at[i - 1] == '-'))
			(void)fputs("\\-", stdout);
		else
			(void)putchar(word.at[i]);
	}
}

/* A new sentence begins a new line, as mdoc wants it. */
/* As put_word() writes it: a hyphen takes two characters. */
static size_t
word_width(struct bytes word)
{
	size_t width = word.len;

	for (size_t i = 0; i < word.len; i++)
		width += word.at[i] == '-';
	return width;
}

static void
put_sentences(const char *text)
{
	struct bytes rest = bytes_of(text), word;
	size_t       column = 0;
	bool         ended = false;

	while (bytes_split(&rest, ' ', &word)) {
		if (word.len == 0)
			continue;
		if (column > 0 && (ended || column + 1 + word_width(word) > LINE_MOST)) {
			(void)putchar('\n');
			column = 0;
		} else if (column > 0) {
			(void)putchar(' ');
			column++;
		}
		put_word(word, column == 0);
		column += word_width(word);
		ended = word.at[word.len - 1] == '.';
	}
	(void)putchar('\n');
}

static void
put_paragraphs(const char *text)
{
	for (const char *end; *text != '\0'; text = end) {
		char paragraph[2048];
		end = strstr(text, "\n\n");
		if (end == NULL)
			end = text + strlen(text);
		if (bytes_string((struct bytes){ text, (size_t)(end - text) }, paragraph,
		                 sizeof paragraph)) {
			(void)puts(".Pp");
			put_sentences(paragraph);
		}
		end += *end == '\0' ? 0 : 2;
	}
}

static void
put_head(const char *title, int section, const char *name, const char *about)
{
	(void)printf(".\\\" Printed from the rows of the program by: mansio manual %s\n", name);
	(void)printf(".Dd %s\n.Dt %s %d\n.Os\n.Sh NAME\n.Nm %s\n.Nd %s\n", EDITION, title, section,
	             name, about);
}

/*
 * mansio(8)
 */

static bool
is_to_fill_in(struct bytes word)
{
	for (size_t i = 0; i < word.len; i++)
		if (word.at[i] >= 'a' && word.at[i] <= 'z')
			return false;
	return word.at[0] >= 'A' && word.at[0] <= 'Z';
}

/* One word of a form, without its brackets. */
static void
put_form_word(struct bytes word)
{
	if (bytes_equal(word, BYTES("|")))
		(void)fputs(" \\*(Ba", stdout);
	else if (bytes_equal(word, BYTES("...")))
		(void)fputs(" No ...", stdout);
	else {
		(void)printf(" %s ", is_to_fill_in(word) ? "Ar" : "Cm");
		put_word(word, false);
	}
}

/* "account add ADDRESS [--password-file FILE]... ": words in capitals are to be filled in,
   brackets stand around what may be left out, dots behind what may come again. */
static void
put_form(struct bytes form)
{
	struct bytes word;
	size_t       inside = 0; /* brackets opened within a word: "HOST[:PORT]" */

	(void)fputs(".It", stdout);
	while (bytes_split(&form, ' ', &word)) {
		size_t closed = 0, own;
		bool   again = word.len > 3 && bytes_ends_nocase(word, BYTES("..."));
		for (; word.len > 0 && word.at[0] == '['; word = bytes_cut(word, 1, word.len))
			(void)fputs(" Oo", stdout);
		if (again)
			word = bytes_cut(word, 0, word.len - 3);
		for (size_t i = 0; i < word.len; i++)
			inside += word.at[i] == '[';
		for (size_t i = word.len; i > 0 && word.at[i - 1] == ']'; i--)
			closed++;
		own = closed < inside ? closed : inside;
		inside -= own;
		closed -= own;
		word = bytes_cut(word, 0, word.len - closed);
		if (word.len > 0)
			put_form_word(word);
		while (closed-- > 0)
			(void)fputs(" Oc", stdout);
		if (again)
			(void)fputs(" No ...", stdout);
	}
	(void)putchar('\n');
}

static void
put_commands(void)
{
	const struct command *c;

	(void)puts(".Sh COMMANDS\n.Bl -tag -width Ds");
	for (size_t i = 0; (c = command_at(i)) != NULL; i++) {
		struct bytes rest = bytes_of(c->forms), form;
		bool         more = bytes_split(&rest, '\n', &form);
		while (more) {
			put_form(form);
			more = bytes_split(&rest, '\n', &form);
		}
		put_sentences(c->about);
		put_paragraphs(c->more);
	}
	(void)puts(".El");
}

static const struct {
	const char *name, *does;
} roles[] = {
	{ "postmaster",
	  "opens ports and directories, starts the others and starts again those that die." },
	{ "receiver",
	  "speaks SMTP and LMTP with those who bring letters; says 250 when a letter is safe on disk." },
	{ "login", "speaks IMAP and POP3 until a reader has logged in, and TLS for them." },
	{ "verifier", "parses letters; it can open nothing and reach nobody." },
	{ "queue", "owns every accepted letter until it is delivered or returned." },
	{ "keeper", "owns the mailboxes: delivers into them and serves their readers." },
	{ "clerk", "knows domains, accounts, aliases and passwords." },
	{ "sender",
	  "takes letters to other hosts by SMTP and LMTP; it alone has the passwords for that." },
	{ "signer", "has the private keys and gives signatures." },
	{ "policy",
	  "decides with restriction lists what strangers may do, and asks others what it must know for that." },
	{ "chronicle", "keeps for some weeks what happened to letters, and tells it." },
	{ "proxymap",
	  "asks databases and programs that keep tables, and has their passwords; it is there only when the settings name one." },
};

static int
manual_mansio(void)
{
	put_head("MANSIO", 8, "mansio", "a complete mail server");
	(void)puts(
		".Sh SYNOPSIS\n.Nm mansio\n.Op Fl c Ar main.cf\n.Ar command\n.Op Ar argument ...");
	(void)puts(".Sh DESCRIPTION\n.Nm");
	put_sentences(
		"receives letters by SMTP and LMTP, keeps them, and gives them to their readers by IMAP and POP3. "
		"Its settings stand in");
	(void)puts(".Xr main.cf 5 ;");
	put_sentences("domains, accounts and aliases are kept by commands.");
	(void)puts(".Pp\nThe options are:\n.Bl -tag -width Ds\n.It Fl c Ar main.cf\n"
	           "The file of settings, and with it the server a command speaks to;\n"
	           ".Pa /etc/mansio/main.cf\nif not given.\n.El\n.Pp");
	put_sentences(
		"The server is several processes, each with a trade, an account and a cage of its own:");
	(void)puts(".Bl -tag -width postmaster");
	for (size_t i = 0; i < COUNT(roles); i++) {
		(void)printf(".It Sy %s\n", roles[i].name);
		put_sentences(roles[i].does);
	}
	(void)puts(".El");
	put_commands();
	(void)puts(".Sh FILES\n.Bl -tag -width Ds\n"
	           ".It Pa /etc/mansio/main.cf\nThe settings.\n"
	           ".It Pa /var/lib/mansio/spool\nThe letter log and the queue.\n"
	           ".It Pa /var/lib/mansio/store\nThe mailboxes.\n"
	           ".It Pa /var/lib/mansio/directory\nDomains, accounts and aliases.\n"
	           ".It Pa /var/lib/mansio/run\nThe process id and the sockets commands use.\n.El");
	(void)puts(".Sh EXIT STATUS");
	put_sentences(
		"0 when the command did what it was asked; 1 when it could not, and words say why; 2 when it was "
		"called wrongly or no server is running.");
	(void)puts(".Sh SEE ALSO\n.Xr main.cf 5");
	return COMMAND_DONE;
}

/*
 * main.cf(5)
 */

static const char *const kinds[] = {
	[SETTING_BOOL] = "yes or no",
	[SETTING_NUMBER] = "a number",
	[SETTING_SIZE] = "a size",
	[SETTING_TIME] = "a time",
	[SETTING_WORD] = "a word",
	[SETTING_TEXT] = "a text",
	[SETTING_LIST] = "a list",
	[SETTING_CHOICE] = "one of",
	[SETTING_TABLES] = "a list of lookup tables",
	[SETTING_MATCHES] = "a list of patterns, files and lookup tables",
	[SETTING_RULES] = "a list of rules",
};

static void
put_row(const struct setting *row)
{
	(void)printf(".It Va %s\n", row->name);
	put_sentences(row->about);
	(void)puts(".Pp");
	(void)printf("Type: %s", kinds[row->kind]);
	if (row->choices != NULL && row->kind == SETTING_CHOICE) {
		(void)putchar(' ');
		put_word(bytes_of(row->choices), false);
	}
	if (row->choices != NULL && row->kind == SETTING_SIZE)
		(void)fputs(" or a part of the machine's memory such as 4%", stdout);
	if (row->most > 0)
		(void)printf(", %lld to %lld", (long long)row->least, (long long)row->most);
	(void)fputs(".\nDefault:\n", stdout);
	if (*row->standard == '\0')
		(void)puts("empty.");
	else {
		(void)fputs(".Ql ", stdout);
		put_word(bytes_of(row->standard), true);
		(void)puts("\\& .");
	}
}

/* What stands behind the types of lookup tables: mansio postconf -m tells their names. */
static void
put_tables(void)
{
	static const struct {
		const char *types, *about;
	} rows[] = {
		{ "hash:/path, btree, lmdb, cdb, dbm, texthash",
		  "A text file, read as it is: a key, blanks, its value, a line for each." },
		{ "inline:{key=value, {key = two words}}", "What stands there." },
		{ "static:value", "This value for every key." },
		{ "randmap:{value, value}", "One of these for every key, by chance." },
		{ "regexp:/path, pcre:/path",
		  "A file of /pattern/ and a value for each; the first that fits counts." },
		{ "cidr:/path",
		  "A file of networks and a value for each; the first that fits counts." },
		{ "unionmap:{TYPE:NAME, TYPE:NAME}",
		  "What all of these say, with commas between." },
		{ "pipemap:{TYPE:NAME, TYPE:NAME}", "What the first says is asked of the next." },
		{ "unix:passwd.byname, unix:group.byname",
		  "Users and groups of the operating system." },
		{ "sqlite:/path, pgsql, mysql, ldap",
		  "A database; the next chapter is about their files." },
		{ "socketmap:inet:host:port:name, socketmap:unix:/path:name, tcp:host:port",
		  "A server that is asked for each key." },
	};

	(void)puts(".Sh LOOKUP TABLES");
	put_sentences(
		"Where a setting takes tables, each is TYPE:NAME; a name without a type is of default_database_type. "
		"proxy:TYPE:NAME is TYPE:NAME.");
	(void)puts(".Bl -tag -width Ds");
	for (size_t i = 0; i < COUNT(rows); i++) {
		(void)printf(".It %s\n", rows[i].types);
		put_sentences(rows[i].about);
	}
	(void)puts(".El");
}

/* The files that sqlite:/path and its like name, and sql:/path and ldap:/path of auth_backends. */
static void
put_databases(void)
{
	const struct table_type *t;

	(void)puts(".Sh FILES OF DATABASES");
	put_sentences(
		"A lookup table that a database keeps is TYPE:/path, and the file says which database that is and what it is asked: "
		"name = value, with the names below. A dollar sign means nothing there. For such a table query is asked (of LDAP query_filter): "
		"%s is the key, %u and %d what stands before and behind its @, %1, %2 and so on parts of the domain, from its end; each is "
		"quoted as the database wants it, and may stand in quotes. result_format makes a value of what is told, which is %s there, and "
		"%S, %U and %D are of the key. Without a slash before it the name is the beginning of settings of main.cf: of ldap:people it is asked with "
		"people_server_host, people_search_base and so on.");
	(void)puts(".Pp");
	put_sentences(
		"Where auth_backends has sql:/path the file says driver, which is sqlite, pgsql or mysql, and has the names of that type besides: "
		"password_query is asked for a login and user_query for a recipient, or password_query for both; %u is the whole name, %n what "
		"stands before its @, %d the domain, as in Dovecot. The columns are: password, with its scheme in braces or of "
		"default_pass_scheme; user, the name that is meant; nopassword; nologin; allow_nets; and home, mail and quota_rule, with userdb_ "
		"in front or without; uid and gid say to whom its mailboxes belong, as mail_uid does. ldap:/path is asked with pass_filter and user_filter, and pass_attrs and user_attrs say "
		"which attribute is which of these; with auth_bind the server compares the password.");
	for (size_t i = 0; (t = table_type_at(i)) != NULL; i++) {
		if (t->rows == NULL)
			continue;
		(void)printf(".Ss FILES OF %s\n.Bl -tag -width Ds\n", t->name);
		for (size_t r = 0; r < t->rows->count; r++)
			put_row(&t->rows->row[r]);
		(void)puts(".El");
	}
}

static int
manual_main_cf(void)
{
	const struct setting_table *t;

	put_head("MAIN.CF", 5, "main.cf", "the settings of mansio");
	(void)puts(
		".Sh DESCRIPTION\nThe file holds settings, each on a line of its own:\n.Dl name = value\n"
		"A line that begins with a blank continues the one before it.\n"
		"A line whose first character that is no blank is # is a comment.\n"
		"Of two lines that set one name the last counts, and the check warns of it.\n"
		".Pp\nIn a value\n.Ql $name\nand\n.Ql ${name}\nstand for the value of another setting,\n"
		".Ql ${name?text}\nfor the text when that setting is not empty,\n.Ql ${name:text}\nfor the text when it is empty, and\n"
		".Ql $$\nfor a dollar sign.\n"
		".Pp\nLists are separated by commas or blanks.\n"
		"Sizes may end in K, M or G; times in s, m, h, d or w.\n"
		".Pp\nA setting holds for one listener alone when its name stands before it:\n"
		".Dl submission/smtpd_tls_security_level = encrypt\n"
		"The listeners are smtp, submission, submissions, lmtp, imap, imaps, pop3\nand pop3s.\n"
		".Pp\nWhere Postfix has a setting for the same thing, it has the same name here.");
	for (size_t i = 0; (t = house_setting_table(i)) != NULL; i++) {
		(void)printf(".Sh %s\n.Bl -tag -width Ds\n", t->about);
		for (size_t r = 0; r < t->count; r++)
			put_row(&t->row[r]);
		(void)puts(".El");
	}
	put_tables();
	put_databases();
	(void)puts(".Sh SEE ALSO\n.Xr mansio 8");
	return COMMAND_DONE;
}

static int
run_manual(struct call *c)
{
	static const struct {
		const char *name;
		int (*print)(void);
	} pages[] = { { "mansio", manual_mansio },
		      { "main.cf", manual_main_cf },
		      { "conformance-imap", conformance_imap } };

	for (size_t i = 0; i < COUNT(pages) && c->argc == 2; i++)
		if (strcmp(c->argv[1], pages[i].name) == 0)
			return pages[i].print();
	return command_wrong(c, "which page?");
}
