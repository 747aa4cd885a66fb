/*
 * message -- what `mansio message` and the doveadm commands for messages have in common
 *
 * message_do()   a verb for the messages of a query in the mailboxes of `who`: argv are the verb's own words
 *                (fields, flags, a destination) and then those of the query.
 * plain_piece()  a piece of a letter whose lines shall end with LF alone; plain_end() at its end.
 */
#ifndef COMMAND_MESSAGE_H
#define COMMAND_MESSAGE_H

#include "command/output.h"
#include "command/selection.h"

struct message_work {
	struct call     *call;
	const char      *who;
	int              argc;
	char           **argv;
	enum output_form form;
	bool             doveadm;      /* said as doveadm says it: ids of mailboxes, its forms */
	bool             many;         /* several accounts are meant: rows tell whose          */
	bool             empty;        /* expunge removes mailboxes that are empty then        */
	const char      *owner;        /* copy, move: the account of the destination; NULL the same */
	const char      *how;          /* flags: "+FLAGS", "-FLAGS", "FLAGS"                   */
};
/* A status, or this. */
enum { MESSAGE_CALLED_WRONGLY = -1 };
int message_do(const char *verb, struct message_work *);
int message_fetch_run(struct message_work *);              /* message-fetch.c  */
int message_complain(struct client *, const char *mailbox);     /* what the server said; COMMAND_FAILED */

struct plain { bool cr; };
void plain_piece(struct plain *, struct bytes, void (*put)(void *ctx, struct bytes), void *ctx);
void plain_end(struct plain *, void (*put)(void *ctx, struct bytes), void *ctx);

int message_append(struct call *);                         /* message-import.c */
int message_import(struct call *);
int message_export(struct call *);                         /* message-export.c */
/* "\Seen $Forwarded": nothing that would break the line of a command. */
bool flags_right(const char *flags);

#endif
