/*
 * policy-milter -- the sessions of receivers and the filters they are shown to, in role policy
 *
 * From:     receivers, by MILTER_EVENT, MILTER_LETTER, MILTER_OVER
 * To:       filters, through sockets of its own; receivers, by MILTER_SAID and MILTER_MADE
 * Touches:  the socket of a letter's content, read only; memory files for new bodies
 *
 * milters_open()   milters_reload() compiles the lists anew: sessions keep those they began with.
 * milters_hear()   a word of a receiver; fd is the milters' from then on.  False: it is broken.
 * milters_lost()   a receiver died: its sessions end.
 *
 * policy-milter.c has the sessions, policy-milter-line.c the sockets.
 */
#ifndef ROLE_POLICY_MILTER_H
#define ROLE_POLICY_MILTER_H

#include "policy/milter-chain.h"
#include "role/enquiry.h"
#include "role/inquest.h"
#include "role/house.h"
#include "role/tables.h"

enum { MILTER_SESSIONS_MOST = 20000 };
struct milters;
struct milters *milters_open(struct house *, struct tables **, struct enquiries **, struct inquests **);
void milters_reload(struct milters *);
void milters_close(struct milters **);
bool milters_hear(struct milters *, uint32_t receiver, enum word, uint32_t ticket, struct bytes body, int fd);
void milters_lost(struct milters *, uint32_t receiver);
/* "milter_sessions=2 milter_connections=4" */
void milters_status(const struct milters *, struct buffer *out);

/* policy-milter-line.c: struct milter_needs; `house` is the struct house. */
extern const struct milter_needs milter_sockets;
/* A content: bytes that live as long, or a part of a file, which is the source's from then on. */
struct milter_file;
struct milter_file *milter_file_open(struct bytes inside, int fd, uint64_t at, uint64_t len);
int milter_file_fd(const struct milter_file *, uint64_t *len);
size_t milter_connections(void);

#endif
