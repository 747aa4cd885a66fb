/*
 * doveadm -- what the files of `mansio doveadm` know of one another
 *
 * doveadm.c        the table of its names, options, batches, and what our own commands do as they are
 * doveadm-mail.c   mailboxes and messages
 *
 * doveadm_usage()    says what is wrong with a call; the status for it.
 * doveadm_run_as()   another command of ours, as if called by itself with these words.
 * doveadm_many()     whether a word means several users.
 * The others are rows of the table: `verb` is the second word of the name, or the first where it has one.
 */
#ifndef COMMAND_DOVEADM_H
#define COMMAND_DOVEADM_H

#include "command/output.h"

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

int  doveadm_usage(const char *why, const char *what);
int  doveadm_run_as(const struct dove *, const struct command *, const char *const *argv);
bool doveadm_many(const char *who);
int  doveadm_mailbox(struct dove *, const char *verb);
int  doveadm_acl(struct dove *, const char *verb);
int  doveadm_metadata(struct dove *, const char *verb);
int  doveadm_mutf7(struct dove *, const char *verb);
int  doveadm_message(struct dove *, const char *verb);
int  doveadm_expunge(struct dove *, const char *verb);
int  doveadm_flags(struct dove *, const char *verb);
int  doveadm_transfer(struct dove *, const char *verb);
int  doveadm_exists(struct dove *, const char *verb);
int  doveadm_save(struct dove *, const char *verb);

#endif
