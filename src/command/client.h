/*
 * client -- the other half of an IMAP session: a command reads somebody's mailboxes
 *
 * From:     command mailbox, message, who
 * To:       the clerk (who has which id and keeper), then that keeper, by their control sockets
 * Touches:  one end of a socket pair; the keeper has the other, and serves IMAP on it as after a login
 *
 * So all that a reader can do a command can do, with the same checks, and nothing large is ever
 * whole in memory: the keeper waits when we do not read, we wait when it does not.
 *
 * client_people()   the accounts a word means: an address, a mask ("*@example.com"), a domain; "" everybody.
 *                   Returns 0, COMMAND_NO_USER, or 2 when no server runs; says so.
 * client_place()    where the letters of one of them lie, a location or "log", if that is not where the directory and
 *                   main.cf say; else *place stays empty.  False: said why not.
 * client_open()     a session as this account.  NULL after saying why.
 * client_begin()    begins a command; its words go to client_out().  client_put_...() write a string, a
 *                   mailbox name (UTF-8 here and on the wire: the session has it enabled, rfc6855).
 * client_run()      sends it and calls `each` for every untagged answer, until the tagged one.
 *                   `each` may read the answer's values with client_next(); what it leaves is skipped.
 * client_said()     the text of the last tagged answer, "[NONEXISTENT] ..." with its code.
 * client_send()     sends what was gathered, without an answer: between a literal's pieces.
 *
 * client_next()     the next value of an answer.  A literal is announced with its size; its bytes are taken
 *                   with client_take() (false: no more), or skipped by the next call.
 * client_gather()   all of a string, literal or not, up to `most` bytes.
 *
 * Fails:    a keeper that dies is CLIENT_LOST, then and ever after.
 */
#ifndef COMMAND_CLIENT_H
#define COMMAND_CLIENT_H

#include "command/command.h"

struct person { uint64_t id; uint32_t keeper; const char *user; };
struct people { struct arena *life; struct person *one; size_t count; };
int  client_people(struct call *, const char *who, struct people *);
int  client_people_if_any(struct call *, const char *who, struct people *);    /* a mask that fits nobody is no mistake */
void people_close(struct people *);
bool client_place(struct call *, const struct person *, struct buffer *place);

enum client_outcome { CLIENT_OK, CLIENT_NO, CLIENT_BAD, CLIENT_LOST };
/* "* 12 FETCH ...": number 12, word FETCH; "* SEARCH ...": number 0.  For "* OK [...] text" and its
   like `text` is the rest of the line. */
struct client_answer { uint32_t number; struct bytes word, text; };
enum value_kind { VALUE_ATOM, VALUE_STRING, VALUE_LITERAL, VALUE_OPEN, VALUE_CLOSE, VALUE_END };
struct client_value { enum value_kind kind; struct bytes text; uint64_t size; };

struct client;
typedef void client_each(void *ctx, struct client *, const struct client_answer *);
struct client *client_open(struct call *, const struct person *);
void client_close(struct client **);
const char *client_user(const struct client *);
bool client_can(const struct client *, const char *capability);

struct buffer *client_begin(struct client *);
struct buffer *client_out(struct client *);
void client_put_string(struct client *, struct bytes);
void client_put_mailbox(struct client *, const char *name);
void client_put_literal(struct client *, uint64_t size);       /* {size+}, its bytes follow */
bool client_send(struct client *);
enum client_outcome client_run(struct client *, client_each *, void *ctx);
const char *client_said(const struct client *);
/* client_run() of one line. */
enum client_outcome client_say(struct client *, client_each *, void *ctx, const char *form, ...)
	__attribute__((format(printf, 4, 5)));

/* A session over a descriptor, which it owns; not greeted.  For client_open(), and for tests. */
struct client *client_over(int fd);

void client_next(struct client *, struct client_value *);
bool client_take(struct client *, struct bytes *piece);
void client_gather(struct client *, const struct client_value *, struct buffer *out, size_t most);

#endif
