/*
 * queue -- what the files of the queue role share
 *
 *     queue.c            the card; letters come, are resolved, delivered, forgotten
 *     queue-spool.c      segments lent and taken back; recovery after a crash
 *     queue-notice.c     what cannot be delivered goes back to its sender
 *     queue-compact.c    space comes back
 *     queue-command.c    the command line: queue list|flush, store compact
 */
#ifndef ROLE_QUEUE_H
#define ROLE_QUEUE_H

#include "base/map.h"
#include "queue/ledger.h"
#include "queue/queue.h"
#include "role/house.h"
#include "role/question.h"
#include "role/settings.h"
#include "spool/spool.h"
#include "spool/writer.h"

struct queue_settings { int64_t least_ms, most_ms, lifetime_ms, compaction_ms; };
extern const struct setting_table queue_setting_table;

struct compaction;
struct queue_role {
	struct queue_settings  rows;
	struct common_settings common;
	struct queue    *queue;
	struct ledger   *ledger;
	struct spool    *spool;
	struct map      *asked;            /* ticket -> recipient: RESOLVE and DELIVER that are open */
	struct map      *known;            /* address -> packed RESOLVED, until DIRECTORY_NEW        */
	size_t           asking;
	uint32_t         next_ticket;
	struct timer    *due, *checkpoint, *compact;
	bool             pumping;
	struct map      *lent;             /* segment -> role and index                              */
	struct map      *sealed;           /* segment -> when, patient ms                            */
	bool             preparing;
	struct writer   *writer;           /* for notices                                            */
	struct questions questions;
	struct letter  **returning;        /* letters with refused recipients, this turn             */
	size_t           returnings, returning_room;
	struct compaction *compaction;
	struct arena    *scratch;
};

static inline struct queue_role *
queue_of(struct house *h)
{
	return h->mine;
}

enum queue_service { SERVICE_QMGR, SERVICE_VIRTUAL, SERVICE_BOUNCE, SERVICES };
extern char queue_services[SERVICES][64];               /* "mansio/qmgr" */
int64_t queue_now_ms(void);
void queue_pump(struct house *);
/* A letter of the log enters the queue; false: it is known. */
bool queue_letter_enter(struct house *, const struct word_letter *);

bool queue_spool_open(struct house *);
void queue_spool_recover(struct house *);
bool hear_segment_want(struct house *, enum role, uint32_t index, struct bytes body);
bool hear_segment_done(struct house *, enum role, uint32_t index, struct bytes body);
void queue_spool_lost(struct house *, enum role, uint32_t index);
void queue_prepare(struct house *);

void queue_notice_open(struct house *);
void queue_refused(void *house, struct recipient *);
void queue_notices(void *house);                                 /* at rest */

void queue_compact_command(struct house *, struct caller *);
void queue_compact_start(struct house *, int64_t least_age_ms);
bool hear_referred(struct house *, uint32_t index, uint32_t ticket, struct bytes body);
bool hear_moved_done(struct house *, uint32_t index, uint32_t ticket, struct bytes body);
void queue_compact_lost(struct house *);

void queue_command(struct house *, struct caller *, const struct word_ask *);

#endif
