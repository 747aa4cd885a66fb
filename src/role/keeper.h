/*
 * keeper -- what the files of the keeper share
 *
 *     keeper.c          the card; deliveries and sessions
 *     keeper-append.c   a literal becomes a letter: log, verifier, envelope
 *     keeper-care.c     compaction and sweeping
 *
 * A keeper owns every account whose id leaves its index when divided by the number of
 * keepers; no other process opens those indexes.
 */
#ifndef ROLE_KEEPER_H
#define ROLE_KEEPER_H

#include "access/imap/imap.h"
#include "access/pop3/pop3.h"
#include "base/map.h"
#include "role/house.h"
#include "role/settings.h"
#include "spool/writer.h"
#include "store/store.h"

struct keeper_settings { int64_t history_ms, per_user_address, append_most; };
extern const struct setting_table keeper_setting_table;

/* A question to a verifier that waits for its answer; asked again of another
   verifier, once, when the first one dies. */
struct question {
	struct house *house;
	uint32_t      ticket, verifier;
	bool          again;
	void        (*ask)(struct question *);                     /* says the word       */
	void        (*answered)(struct question *, const struct bytes *body);  /* NULL: nobody can */
};

struct keeper {
	struct keeper_settings rows;
	struct common_settings common;
	struct letters      *letters;
	struct store        *store;
	struct writer       *writer;
	struct imap_service *imap;
	struct pop3_service *pop3;
	struct map          *sessions;       /* ticket -> struct visit           */
	struct map          *callers;        /* "account address" -> how many    */
	struct map          *questions;      /* ticket -> struct question        */
	uint32_t             next_ticket;
	struct timer        *sweep;
	struct arena        *scratch;
};

static inline struct keeper *
keeper_of(struct house *h)
{
	return h->mine;
}

extern const struct imap_needs keeper_imap_needs;              /* keeper-append.c     */

void question_ask(struct question *);                          /* takes a ticket, chooses a verifier */
void question_drop(struct question *);
bool question_heard(struct house *, uint32_t ticket, struct bytes body);
void questions_lost(struct house *, uint32_t verifier);
void questions_wait_over(struct house *);                      /* a verifier came     */

void keeper_writer_open(struct house *);
bool hear_segment(struct house *, enum word, struct bytes body, int fd);
bool hear_refers(struct house *, uint32_t ticket, struct bytes body);
bool hear_moved(struct house *, uint32_t ticket, struct bytes body);
bool hear_segment_gone(struct house *, struct bytes body);
void keeper_care_start(struct house *);
void keeper_session_over(void *house, uint32_t ticket, uint64_t account);

#endif
