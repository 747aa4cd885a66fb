/*
 * query -- which messages a command is about, in the words of IMAP's SEARCH and of doveadm
 *
 * From:     command message; doveadm search, fetch, expunge, flags, copy, move
 * To:       the SEARCH command of a client
 *
 * Beyond rfc3501:6.4.4 and rfc5032 it knows MAILBOX name (with * and %), MAILBOX-GUID id, "a OR b" between
 * parentheses, dates as 2026-11-22, seconds since 1970 or an age (3d, 2weeks), and sizes with k, M, G.
 *
 * query_read()   reads the words; false after saying what is wrong with them.  One argument with blanks in
 *                it is split as a line of a shell, quotes and all.
 * query_wants()  whether any message of this mailbox can be meant.
 * query_write()  the search keys for this mailbox into the client's command.
 * query_covers() whether every branch of it (those that OR joins) has a key that says which mailbox or, with false, one
 *                that says which messages there.
 * query_key_name() how the key of a node is called; "" are numbers.
 * query_means()  whether a letter that is in no mailbox of ours is meant, by what a file says of it (query-letter.c).
 * query_beyond_letter() a key of it that no file answers ("" are numbers); NULL: there is none.
 * query_named()  the mailboxes it names without a wildcard: NULL at the end.
 */
#ifndef COMMAND_QUERY_H
#define COMMAND_QUERY_H

#include "base/arena.h"
#include "command/client.h"

struct query_key;
enum query_join { QUERY_KEY, QUERY_ALL, QUERY_EITHER, QUERY_NOT };
struct query_node {
	enum query_join         join;
	const struct query_key *key;
	struct bytes            word[2];       /* what the key takes, as IMAP wants it */
	bool                    within;        /* an age: OLDER or YOUNGER             */
	struct query_node      *first, *next;  /* what is joined                       */
};
struct query {
	struct arena      *life;
	struct query_node *root;
	const char       **named;
	size_t             names;
};

/* A letter as another program keeps it. */
struct query_letter {
	const char  *mailbox;
	struct bytes flags;            /* with blanks between            */
	struct bytes header;
	int64_t      date;             /* when it came; 0 not known      */
	uint64_t     size;
};

bool query_read(struct query *, int argc, char *const *argv);
bool query_wants(const struct query *, const char *mailbox, const char *id);
void query_write(const struct query *, struct client *, const char *mailbox, const char *id);
bool query_covers(const struct query *, bool mailbox);
const char *query_named(const struct query *, size_t index);
const char *query_key_name(const struct query_node *);
bool query_means(const struct query *, const struct query_letter *);
const char *query_beyond_letter(const struct query *);
void query_close(struct query *);

#endif
