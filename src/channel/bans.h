/*
 * bans -- networks whose connections are closed as they come
 *
 * From:     role/clerk decides; role/receiver and role/login hold one each and ask it at the door
 *
 * bans_put()    a network ("192.0.2.1", "2001:db8::/64", "198.51.100.0/24") until a moment; 0 lifts it.
 *               False: it is not a network, or too many ranges are there already.
 * bans_hold()   whether this client is shut out now.  One lookup; ranges other than what peer_network()
 *               gives are looked through one by one, RANGES_MOST of them.
 * A ban that has passed is forgotten when it is met, and all of them when room is needed.
 */
#ifndef CHANNEL_BANS_H
#define CHANNEL_BANS_H

#include "base/buffer.h"
#include "channel/peer.h"

enum { BANS_MOST = 65536, BAN_RANGES_MOST = 1000 };

struct bans;
struct bans *bans_open(void);
void bans_close(struct bans **);
bool bans_put(struct bans *, struct bytes network, int64_t until_ms, int64_t now_ms);
bool bans_hold(struct bans *, const struct peer *, int64_t now_ms);
size_t bans_count(const struct bans *);
void bans_clear(struct bans *);
/* As it is kept: what peer_network() says of one address or /64; false: it is no network. */
bool bans_network(struct bytes text, char out[static 64]);
/* Whether all of the one network lies within the other, both as they are kept. */
bool bans_covers(const char *outer, const char *inner);
/* A change on its way to those who hold bans: milliseconds from now, 0 lifts it. */
void bans_pack(struct buffer *, const char *network, int64_t ms);
bool bans_hear(struct bans *, struct bytes packed, int64_t now_ms);
/* One line to the client and the end; nothing is waited for. */
void bans_turn_away(int fd, const char *line);

#endif
