/*
 * milter-line -- one connection to a filter: agreed on, spoken through, and kept for the next session
 *
 * From:     policy/milter-chain, whose member holds one; role/policy-milter, which has the socket
 * Touches:  no descriptor: it speaks through struct milter_needs
 *
 * milter_line_open()   one to this filter, for these ears.  An idle one is ready at once, and true is
 *      returned in *ready; else `ready` is called when the filter has answered to what we offer, or `lost`.
 * milter_line_rest()   the session is over: the filter hears QUIT_NEXT and the connection waits for another, or
 *      QUIT and it ends.  milter_line_close()  ends it in any case.
 * milter_line_macros() tells the macros of this stage that have values.
 * milter_line_wait()   an answer, one, is expected within this time.  What comes when none is, is nonsense.
 *
 * The house tells: milter_line_connected(), milter_line_heard() (how much of it was used), milter_line_drained(),
 * milter_line_silent() (patience has an end), milter_line_lost() (its mouth is gone already).
 */
#ifndef POLICY_MILTER_LINE_H
#define POLICY_MILTER_LINE_H

#include "policy/milter-settings.h"

enum { MILTER_IDLE_MOST = 8, MILTER_IDLE_MS = 60000, MILTER_PENDING_MOST = 256 << 10 };

struct milter_line;
/* What it wants from the house. */
struct milter_needs {
	/* Begins to connect: milter_line_connected() or milter_line_lost() follows, not from within.  NULL: nothing will. */
	void *(*connect)(void *house, struct milter_line *);
	struct buffer *(*out)(void *mouth);
	size_t (*pending)(void *mouth);
	void (*patience)(void *mouth, int64_t ms);       /* milter_line_silent() if nothing moves for so long; 0 never */
	void (*hang_up)(void *mouth);                    /* when what was said is out; nothing is told of it any more   */
	/* The content of a letter: how many bytes were read, 0 at the end, -1 when it cannot be. */
	int64_t (*read)(void *source, uint64_t at, char *to, size_t room);
	/* A new one: NULL, false when there is no room. */
	void *(*source_open)(void *house);
	bool (*source_add)(void *source, struct bytes);
	void (*source_close)(void **source);
};
struct milter_ears {
	void (*ready)(void *ctx);
	void (*answer)(void *ctx, const struct milter_answer *);
	void (*drained)(void *ctx);
	/* The line is gone already; `old`: it was kept from another session, and nothing came of it in this one. */
	void (*lost)(void *ctx, const char *why, bool old);
};

enum milter_line_state { LINE_CONNECTING, LINE_OFFERED, LINE_READY, LINE_IDLE };
struct milter_line {
	struct milter_line *next;      /* of the idle ones                          */
	struct milter_set *set;
	struct milter *milter;
	const struct milter_needs *needs;
	void *house, *mouth;
	const struct milter_ears *ears;
	void *ctx;
	struct arena *life;
	uint32_t version, actions, steps;
	struct bytes symbols[MILTER_STAGES_OF_FILTERS];  /* at NULL: those of the settings */
	uint8_t state;                 /* enum milter_line_state                    */
	bool waits;                    /* for an answer                             */
	bool used;                     /* it was idle, and nothing was heard since  */
};
struct milter_line *milter_line_open(struct milter_set *, struct milter *, const struct milter_needs *, void *house,
                                     const struct milter_ears *, void *ctx, bool *ready);
void milter_line_rest(struct milter_line **);
void milter_line_close(struct milter_line **);
struct buffer *milter_line_out(struct milter_line *);
void milter_line_macros(struct milter_line *, enum milter_stage, const struct milter_macros *lists, size_t count);
void milter_line_wait(struct milter_line *, int64_t ms);
/* Idle connections of a set whose settings are no longer. */
void milter_set_let_go(struct milter_set *);

void milter_line_connected(struct milter_line *);
size_t milter_line_heard(struct milter_line *, struct bytes arrived);
void milter_line_drained(struct milter_line *);
void milter_line_silent(struct milter_line *);
void milter_line_lost(struct milter_line *, const char *why);

#endif
