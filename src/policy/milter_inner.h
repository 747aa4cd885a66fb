/*
 * milter_inner -- what milter-chain and milter-content share: the filters of a session, and where each stands
 */
#ifndef POLICY_MILTER_INNER_H
#define POLICY_MILTER_INNER_H

#include "policy/milter-chain.h"

enum member_state {
	MEMBER_NEW,                    /* not yet spoken to                         */
	MEMBER_ON,
	MEMBER_CONTENT,                /* has accepted this transaction             */
	MEMBER_CONTENT_FOR_GOOD,       /* has accepted the session                  */
	MEMBER_REFUSES,                /* has refused the session: `reply`          */
	MEMBER_DOWN,                   /* failed: its default action                */
};
struct milter_member {
	struct milter_chain *chain;
	struct milter *milter;
	struct milter_line *line;
	uint8_t state;                 /* enum member_state                         */
	bool in_mail;                  /* it has heard of MAIL                      */
	bool shut;
	char *reply;                   /* of REFUSES                                */
};
enum content_phase { PHASE_FIELDS, PHASE_END_OF_HEADER, PHASE_BODY, PHASE_END };
struct milter_source { void *source; uint64_t at, len; };
/* The letter on its way through the chain. */
struct milter_pass {
	struct arena *life;
	struct milter_content in;
	struct milter_header header;
	struct milter_source body;     /* as the next filter sees it                */
	uint64_t body_at;              /* where it began                            */
	bool no_body;                  /* not even the empty line                   */
	void *new_body, *coming;       /* what a filter made; what one is making    */
	uint64_t new_len, coming_len;
	bool coming_cr, coming_line;   /* it ends with a CR; within a line          */
	uint8_t phase;                 /* enum content_phase, of the present filter */
	bool skipped;
	size_t field;
	uint64_t told;                 /* of the body                               */
	struct milter_envelope *envelope;
	size_t envelopes, envelope_room;
};
enum member_step { STEP_NEXT, STEP_WAIT, STEP_STOP };
struct milter_chain {
	struct milter_set *set;
	const struct milter_needs *needs;
	void *house, *ctx;
	void (*said)(void *ctx, const struct milter_said *);
	void (*made)(void *ctx, const struct milter_made *);
	struct arena *session, *transaction, *scratch;
	struct milter_macro *macro[2];     /* of the transaction, of the session       */
	size_t macros[2], macro_room[2];
	struct milter_event event;         /* in hand                                  */
	struct milter_pass *pass;          /* a letter is; then `event` is not         */
	struct milter_said answer;
	bool busy;
	size_t at;                         /* the filter that is spoken to             */
	size_t members;
	struct milter_member member[];
};

/* milter-chain.c */
void chain_go(struct milter_chain *);
enum member_step member_failed(struct milter_member *, const char *why);
enum member_step member_default(struct milter_member *);
enum member_step member_refuses(struct milter_member *, const char *reply, bool shut);
void chain_macros(struct milter_chain *, struct milter_macros out[static 2]);
/* An answer that ends the turn of a filter, in words for the client; NULL: it is none. */
enum member_step member_verdict(struct milter_member *, const struct milter_answer *, bool whole_session);
bool is_verdict(uint8_t word);

/* milter-content.c */
/* False: it cannot be read; the answer says so. */
bool content_read_header(struct milter_chain *);
enum member_step content_step(struct milter_member *);
enum member_step content_answer(struct milter_member *, const struct milter_answer *);
void content_begin_member(struct milter_pass *);
void content_end(struct milter_chain *);
void content_drop(struct milter_chain *);

#endif
