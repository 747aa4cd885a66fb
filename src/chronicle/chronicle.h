/*
 * chronicle -- what happened to letters, for some weeks: written as it comes, found by id, message-id and address
 *
 * From:     role/chronicle; a bench
 * Touches:  one directory: daybooks and volumes, each with a number
 *
 * chronicle_open()   NULL in words when the directory cannot be read.  Files that are damaged are told of in the log, set
 *                    aside (.damaged), and the others serve.
 * chronicle_add()    gathers an event; its time is ours where it is far from it.
 * chronicle_flush()  writes what was gathered.  On a full disk, or with less than `free_least` bytes left on it, events
 *                    are dropped and counted, the log says so once, and when there is room again a GAP tells how many.
 * chronicle_turn()   there is a daybook to pack: then chronicle_pack() in a thread, and chronicle_packed() after it;
 *                    meanwhile all else may be called.  No other turn until then.
 * chronicle_sweep()  files that are too old, or too many, go.
 *
 * chronicle_walk()   the events that have a key, newest first, one file a call: false when there are no more, or `each`
 *                    said that it has enough.  The event and its texts are valid during the call.
 * chronicle_pass()   the same for all events, whatever their key, and one block a call: for who looks for thousands.
 */
#ifndef CHRONICLE_CHRONICLE_H
#define CHRONICLE_CHRONICLE_H

#include "chronicle/redact.h"

struct chronicle;
struct chronicle_limits { int64_t lifetime_s; uint64_t size_most, free_least; struct redaction redaction; };
struct chronicle_counts { uint64_t events, bytes, dropped; uint32_t files; int64_t first_us; };

struct chronicle *chronicle_open(const char *directory, const struct chronicle_limits *, struct buffer *errors);
void chronicle_close(struct chronicle **);
void chronicle_limit(struct chronicle *, const struct chronicle_limits *);
void chronicle_add(struct chronicle *, const struct event *);
void chronicle_lost(struct chronicle *, uint64_t events);       /* before they came to us */
void chronicle_flush(struct chronicle *);
bool chronicle_turn(struct chronicle *);
void chronicle_pack(void *chronicle);
void chronicle_packed(struct chronicle *);
void chronicle_sweep(struct chronicle *);
void chronicle_count(const struct chronicle *, struct chronicle_counts *);

struct chronicle_walk {
	uint64_t key;
	int64_t  since_us, until_us;   /* 0: any                                   */
	uint64_t next;                 /* file numbers below this one; begin with UINT64_MAX */
	uint32_t left;                 /* chronicle_pass(): blocks of that file, 0: begin another */
	bool     enough;
};
uint64_t chronicle_key(const struct chronicle *, enum key_kind, struct bytes value);
uint64_t chronicle_key_number(const struct chronicle *, enum key_kind, uint64_t value);
/* Of an address where pseudonyms are kept. */
uint64_t chronicle_key_hidden(const struct chronicle *, struct bytes address);
bool chronicle_pass(struct chronicle *, struct chronicle_walk *, bool (*each)(void *ctx, const struct event *), void *ctx);
bool chronicle_walk(struct chronicle *, struct chronicle_walk *, bool (*each)(void *ctx, const struct event *), void *ctx);

#endif
