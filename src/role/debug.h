/*
 * debug -- transcripts of chosen sessions, for a while
 *
 * From:     receiver, login, keeper, at each point where more is known of a session
 * To:       role proxymap, where debug_peer_list has tables of databases
 * Touches:  the log, or debug_peer_file (resource transcripts)
 *
 * Whose sessions: debug_peer_list, and what `mansio debug on` has told the postmaster: resource debug, a line each:
 * PEER TAB the second it ends TAB (nothing more).  A peer is an address, a network, a name, a domain (and what is
 * below it), or a user, user@example.com.
 *
 * debug_look()     if this session is meant and is not overheard yet, from now on its lines are told in the log, as
 *     "< client: EHLO x" and "> client: 250 x"; until the stream ends or the time is over.
 *     While a database is asked about it its lines are kept, and told when it is meant, though it be over; nobody waits for that.
 * debug_ask_by()   by whose enquiries it is asked.  A role that has none says debug_heard() of TABLE_SAID, and
 *     debug_proxymap() when that role has come or died.
 * debug_end()      no more: another process goes on with it.
 * debug_check()    what is wrong with debug_peer_list and debug_peer_file, its name before it; NULL: nothing.
 * debug_peer_wrong() what is wrong with one of them; NULL: nothing.
 */
#ifndef ROLE_DEBUG_H
#define ROLE_DEBUG_H

#include "channel/peer.h"
#include "channel/stream.h"
#include "channel/transcript.h"
#include "role/house.h"

struct debug_facts {
	enum transcript_protocol protocol;
	const char        *service;    /* as the log names it                     */
	const char        *client;     /* as the log names it, "name[address]"    */
	const struct peer *peer;
	const char        *name;       /* of the client, NULL not known           */
	const char        *user;       /* who has logged in, NULL nobody          */
};
bool debug_is_on(struct house *);              /* whether anybody's are       */
void debug_look(struct house *, struct stream *, const struct debug_facts *);
void debug_end(struct stream *);
struct enquiries;
void debug_ask_by(struct enquiries *);
bool debug_heard(uint32_t ticket, struct bytes body);
void debug_proxymap(bool came);
const char *debug_check(struct settings *, struct arena *);
const char *debug_peer_wrong(const char *peer);
extern const struct setting_table debug_setting_table;

/* The postmaster's: what is switched on, as text of the resource. */
enum { DEBUG_FOR_S = 600, DEBUG_MOST_S = 86400, DEBUG_PEERS = 64 };
bool debug_switch_on(struct buffer *list, const char *peer, int64_t until_s);
bool debug_switch_off(struct buffer *list, const char *peer);          /* "": all           */
bool debug_switch_tidy(struct buffer *list, int64_t now_s);            /* whether some were over */
void debug_switch_tell(struct bytes list, int64_t now_s, struct buffer *out);

#endif
