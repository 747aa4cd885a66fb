/*
 * command -- the command line: mansio [-c MAIN_CF] COMMAND ...
 *
 * From:     role/main
 * To:       the running server, by its control sockets; or role/postmaster (run)
 *
 * One row for each command, one file each, opened by its row: command_account in
 * account.c.  Help and the manual page mansio(8) are printed from the rows.
 *
 * Exit status: 0 done; 1 could not be done, words say why; 2 wrongly called, or no
 * server is running.  (For `status` that is what Nagios expects.)
 *
 * command_ask()      asks a role of the running server, prints what it says, returns the
 *     status it gives; with words and 2 where no server is running.
 * command_hear()     the same, and what is said is kept in *said, unless that is NULL.
 * command_stream()   the same, and `take` gets what is said in whole lines, as it comes.
 * command_talk()     the same with a descriptor to go with the question (-1 none); complaints are printed.
 * command_settings() reads and checks main.cf; NULL after saying why on the standard error.
 * command_option()   takes "--name VALUE" or "--name=VALUE" out of the arguments; for a
 *     switch `value` is NULL.  Arguments behind "--" are left alone.
 * command_wrong()    says what is wrong and how the command is called; returns 2.
 */
#ifndef COMMAND_COMMAND_H
#define COMMAND_COMMAND_H

#include "base/buffer.h"
#include "role/settings.h"

#include <stdio.h>

enum { COMMAND_DONE = 0, COMMAND_FAILED = 1, COMMAND_WRONG = 2,
       COMMAND_NO_USER = 67, COMMAND_NOT_FOUND = 68, COMMAND_NO_PERMISSION = 77 };   /* to doveadm alone; 1 to others (but test, who has its own) */

struct command;
/* argv[0] is the command's name; argv[argc] is NULL. */
struct call {
	const struct command *command;
	const char *config;          /* the file of -c, absolute             */
	int         argc;
	char      **argv;
};
struct command {
	const char *name;
	const char *forms;           /* how it is called, without "mansio", one form a line     */
	const char *about;           /* one sentence                                            */
	const char *more;            /* paragraphs for the manual, "" none; blank line between  */
	int       (*run)(struct call *);
};
/* Every command, in the order of the manual: NULL at the end. */
const struct command *command_at(size_t index);
int command_main(int argc, char **argv);

/* What sendmail is called with, and mailq, which is sendmail by another name. */
#define SENDMAIL_OPTIONS "+A:B:b:C:F:f:Gh:IiL:mN:nO:o:p:q::R:r:tUV:vX:"

int command_ask(struct call *, const char *role, int argc, const char *const *argv, struct bytes input);
struct word_ask;
/* A role whose name begins so is the keeper of the operating-system user whose uid follows. */
#define KEEPER_FOR_USER "keeper-of-"
int command_hear(struct call *, const char *role, const struct word_ask *, struct buffer *said);
int command_talk(struct call *, const char *role, const struct word_ask *, int fd, struct buffer *said);
int command_stream(struct call *, const char *role, const struct word_ask *, void (*take)(void *ctx, struct bytes lines), void *ctx);
struct settings *command_settings(struct call *, struct common_settings *);
bool command_option(struct call *, const char *name, const char **value);
/* Whether somebody answers at this server's sockets. */
bool command_runs(const struct common_settings *);
/* Connected to run/NAME.sock of the state directory; -1 with errno. */
int command_call(const struct common_settings *, const char *name);
int  command_wrong(const struct call *, const char *form, ...) __attribute__((format(printf, 2, 3)));
void command_print(struct bytes, FILE *);
/* A whole file, or standard input for "-"; false after saying why. */
bool command_read(const char *path, struct buffer *out);

extern const struct command command_run, command_status, command_reload, command_stop, command_config,
	command_domain, command_account, command_alias, command_address, command_auth, command_import_users, command_import_aliases, command_sasl, command_group, command_queue, command_trace, command_policy, command_tls, command_dns, command_doctor, command_test, command_debug, command_store, command_who, command_kick, command_mailbox, command_message, command_quota, command_doveadm, command_doveconf,
	command_mailq, command_postqueue, command_postsuper, command_postcat, command_sendmail,
	command_maildirmake, command_setup, command_postmap, command_postalias, command_newaliases, command_postconf, command_sasldb,
	command_demo, command_manual, command_help, command_version;

#endif
