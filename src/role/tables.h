/*
 * tables -- the lookup tables that settings name, and the road of their files to the roles
 *
 * From:     postmaster, who opens the files and watches them; roles that use tables
 * Touches:  files and directories (postmaster); RESOURCE "table/PATH" (roles)
 *
 * tables_named()  every table in settings of the kinds TABLES and MATCHES, each once, and every
 *     "/file" of the latter.  One that any row reads as aliases is read so everywhere.
 *     One that only the standard of a setting names, as hash:/etc/aliases, need not be there: it is empty then.
 * tables_files()  every file these need; `remote`: only role proxymap is to have it.  A file that aliases include has
 *     a colon before its path, so that it is no table's (nor a table's file one to be included); and where a user's alias
 *     file includes it, that user's number: ":1000/path", which nobody else's aliases read.
 * tables_included_path(), tables_included_for()  the two parts of such a name; a file of a table is its own path, for 0.
 * tables_open_included()  opens it by this name with the rights of that user, and of who could have put it there.
 * tables_may_include()  whether what it includes in turn is read: only root's lists do.
 * tables_secret() whether it is the clerk's alone, as srs_secrets are.
 * tables_roles()  who gets this file, FROM() bits: most tables are the clerk's, a list of clients' networks (mynetworks)
 *     receivers' too, header and body checks the verifiers', smtp_sasl_password_maps, smtp_tls_policy_maps and their like senders' alone; those of remote tables proxymap's.
 * tables_patterns() puts the words of every "/file" among patterns in its place; all in the arena.
 * tables_source() is that of a command: files by path, and databases whose settings stand in main.cf, which are named as
 *     "ldap:accounts" (directory/table.h).  tables_know_parameters() makes their names known to the settings;
 *     tables_parameters() is the text of such a file, every line with its number in main.cf, and
 *     tables_open_parameters() it as a descriptor, -1 with errno; tables_hide_parameters() empties their lines in the text
 *     of main.cf, for all roles, and lines that only these ask for by $name.
 * house_table_source()  opens what the postmaster gave to this role, by the same path; in the loop's
 *     thread alone.
 *
 * struct tables: the local tables that are a role's, built and kept.
 * tables_open()   builds all before it returns.  One that is not as it should be is said in the log,
 *     file:line, and answers TABLE_LATER to everything until it is.
 * tables_reload() call it when settings are new (card.reload) and when files are (card.tables): what changed
 *     is built aside in the thread pool and takes its place when every line is good; else the last good one
 *     stays.  `changed` is called after one or more have taken their place: answers kept are void.
 * tables_local()  by its name as the setting has it; NULL when it is remote or no setting names it.
 *
 * struct table_watch: in the postmaster. `changed` is called some moment after something happened in a
 *     directory where a table's file is, was, or is to come; and once a minute.
 */
#ifndef ROLE_TABLES_H
#define ROLE_TABLES_H

#include "channel/loop.h"
#include "directory/table.h"
#include "role/house.h"

struct table_named {
	const char *name;              /* "hash:/etc/postfix/virtual", "/etc/postfix/domains" */
	const char *setting;           /* the first that names it                             */
	bool        is_file;           /* a "/file" of a MATCHES                              */
	bool        standard;          /* nobody but the standard of a row names it           */
	enum table_grammar grammar;
	unsigned    roles;             /* FROM() bits: who looks in it, when it is local          */
	bool        access;            /* a list of rules names it: what is in it is actions          */
	bool        text;              /* letters are looked at with it: their text is asked for as it stands, not in lower case */
};
void tables_named(struct settings *, void (*each)(void *, const struct table_named *), void *);
void tables_files(struct settings *, void (*each)(void *, const char *path, bool remote), void *);
const char *tables_included_path(const char *name);
uint32_t tables_included_for(const char *name);
int  tables_open_included(const char *name);
bool tables_may_include(int fd);
/* Whether only tables that need not be there want it. */
bool tables_spares(struct settings *, const char *path);
const char *tables_default_type(struct settings *);
unsigned tables_roles(struct settings *, const char *path);
bool tables_secret(struct settings *, const char *path);
bool table_is_of_clients(const struct table_named *);
void tables_patterns(struct house *, struct arena *, struct setting_list *);

struct table_source tables_source(struct settings *);
void tables_know_parameters(struct settings *);
bool tables_parameters(struct settings *, const char *name, struct buffer *out);
int  tables_open_parameters(struct settings *, const char *name);
void tables_hide_parameters(struct settings *, struct buffer *text);

/* Opens each by path and closes it again: false with every complaint, file:line. */
bool tables_check(struct settings *, struct buffer *errors, struct buffer *warnings);
/* Of tables that lists of rules or checks of content name, and of smtp_bind_address_maps: a warning for each line that says what cannot
   be obeyed (policy/rules.h, policy/checks.h, role/bindable.h).  access_lines_for() says whether it is such a table.  Behind access_lines_begin() one table is read, with access_lines_hear() as the `entry` of its table_source. */
struct access_lines;
struct access_lines *access_lines_open(struct settings *, struct buffer *warnings);
bool access_lines_for(const struct table_named *);
void access_lines_begin(struct access_lines *, const struct table_named *);
void access_lines_hear(void *, const char *file, int line, struct bytes value);
void access_lines_close(struct access_lines **);

/* How a file of aliases is opened to be looked at: TABLE_NO_COMMANDS where allow_mail_to_commands lacks alias. */
unsigned tables_alias_how(struct settings *);

struct table_source house_table_source(struct house *);

struct tables;
struct tables *tables_open(struct house *, void (*changed)(void *ctx), void *ctx);
struct table  *tables_local(struct tables *, const char *name);
void           tables_reload(struct tables *);

struct table_watch;
struct table_watch *table_watch_open(struct loop *, void (*changed)(void *ctx), void *ctx);
void table_watch_files(struct table_watch *, struct settings *);
void table_watch_close(struct table_watch **);

#endif
