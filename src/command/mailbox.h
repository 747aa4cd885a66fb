/*
 * mailbox -- what `mansio mailbox` and `doveadm mailbox` have in common
 *
 * A verb is done for each account `who` means, in a session of its own.  Its arguments are what stands
 * behind the account; switches were taken out of them before.
 */
#ifndef COMMAND_MAILBOX_H
#define COMMAND_MAILBOX_H

#include "command/client.h"
#include "command/output.h"

struct mailbox_work {
	struct call     *call;
	int              argc;         /* behind the account               */
	char           **argv;
	bool             subscribe;    /* -s: or, of delete, unsubscribe   */
	bool             recursive, empty;   /* of delete                  */
	bool             many;         /* accounts: rows tell whose        */
	bool             total;        /* of status: sums                  */
	const char      *use;          /* of create: a special use         */
	enum output_form form;
	bool             doveadm;      /* said as doveadm says it          */
	const char      *fields;       /* of status; NULL all              */
	const char      *rights_as_words;    /* of acl: get, set, add, remove, delete or rights, in doveadm's words; or NULL */
	const char      *notes;        /* of metadata: get, set, unset or list, as doveadm; or NULL */
	bool             told;         /* it has a value                   */
	struct output   *out;
	struct status_work *status;    /* the fields of status, read       */
};
/* A status; the caller prints how the command is called when it is this one. */
enum { MAILBOX_CALLED_WRONGLY = -1, MAILBOX_NO_SUCH_RIGHT = 64 };       /* the latter of doveadm alone */
int mailbox_do(const char *verb, const char *who, struct mailbox_work *);

/* What the server said of this mailbox, and the status for it. */
int mailbox_refused(struct client *, const char *name, enum client_outcome);
int mailbox_acl(struct client *, struct mailbox_work *);          /* mailbox-rights.c */
int mailbox_metadata(struct client *, struct mailbox_work *);

#endif
