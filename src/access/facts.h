/*
 * facts -- what the front says about a reader when it hands the session over
 *
 * From:     access/login, through role/login and role/keeper (word SESSION)
 * To:       access/imap, access/pop3
 *
 * All strings and views are the giver's; imap_open() and pop3_open() copy
 * what they keep.
 */
#ifndef ACCESS_FACTS_H
#define ACCESS_FACTS_H

#include "channel/peer.h"

struct stream;
struct access_facts {
	const char  *user;        /* "jack@example.com"                             */
	uint64_t     account;
	bool         shares;      /* accounts of one domain may show one another something */
	const char *const *group; /* addresses of the groups this reader is a member of */
	const uint64_t *group_account;
	size_t       groups;
	const char  *session;     /* the id that stands in every line of the log    */
	const char  *tag;         /* IMAP: of LOGIN or AUTHENTICATE, still unanswered; POP3: "UTF8" or "" */
	const char  *offers;      /* POP3: what CAPA told of logins, lines with CRLF; NULL nothing */
	struct peer  peer, here;
	bool         tls;
	bool         command;     /* of ours, not a reader: what it sees stays \Recent */
	struct bytes unread;      /* what the client sent behind its last command   */
	/* Told of the session's stream before anything is said; NULL nobody. */
	void       (*met)(void *ctx, struct stream *, const struct access_facts *);
	void        *met_ctx;
};

#endif
