/*
 * tally -- how much each client network, and each account, asks of all receivers together
 *
 * From:     role/receiver (and whoever else shares the memory)
 * Touches:  one shared memory file, given by the postmaster, all zeros at first
 *
 * The memory is two tables of fixed size, open addressing, no locks: each network has a
 * slot of counters, atomically counted, and so has each account.  They are two, so that nobody
 * who comes from many networks makes us forget what an account has sent.  Connections are counted in one column for
 * each process, so that a process that dies and comes again begins by zeroing its own.
 * Rates are counted in windows of `unit` milliseconds; a window that has passed is zero.
 *
 * tally_open()   maps it; `column` is the index of this process, its column is zeroed.
 *                NULL with errno.
 * tally_come()   a connection more; the count of all processes with it.
 * tally_go()     one less.
 * tally_passed() whether the network has passed a test that holds till now (by the wall's clock, as it outlives us); with
 *                `ms` it has, for so long.
 * tally_event()  one event more of a kind in this window; the count with it.
 * tally_known()  that count, and nothing is counted.
 * tally_account() so many more of an account.
 *
 * A network is what peer_network() says, as text; names of networks and accounts are hashed with a key of
 * this memory, so nobody can choose networks that collide.  When the table has no
 * room near where a network belongs, the slot that has rested longest is taken over;
 * when all are in use the network is not counted (0): a limit then does not hold, but
 * nobody is refused for another's deeds.
 */
#ifndef POLICY_TALLY_H
#define POLICY_TALLY_H

#include "base/buffer.h"

enum { TALLY_COLUMNS = 64, TALLY_SLOTS = 7168, TALLY_ACCOUNTS = 16384 };
enum tally_kind { TALLY_CONNECTIONS, TALLY_MESSAGES, TALLY_RECIPIENTS, TALLY_AUTHS, TALLY_TLS, TALLY_HOUR, TALLY_DAY, TALLY_KINDS };

struct tally;
size_t tally_size(void);                          /* of the memory */
struct tally *tally_open(int fd, uint32_t column);
void     tally_close(struct tally **);
uint32_t tally_come(struct tally *, const char *network);
void     tally_go(struct tally *, const char *network);
uint32_t tally_event(struct tally *, const char *network, enum tally_kind, int64_t now_ms, int64_t unit_ms);
uint32_t tally_known(struct tally *, const char *network, enum tally_kind, int64_t now_ms, int64_t unit_ms);
uint32_t tally_account(struct tally *, const char *account, enum tally_kind, uint32_t events, int64_t now_ms, int64_t unit_ms);
/* What accounts have sent in hours and days (TALLY_HOUR, TALLY_DAY), and which networks have passed a test that holds
   still, to be kept; and into a memory nobody counts in yet.  False: it is broken, and nothing is there. */
void     tally_pack(const struct tally *, int64_t now_ms, struct buffer *);
bool     tally_unpack(struct tally *, struct bytes);
bool     tally_passed(struct tally *, const char *network, int64_t now_ms, int64_t ms);

#endif
