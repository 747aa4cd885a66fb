/*
 * loop -- the one place that waits (libuv underneath)
 *
 * One loop for each process.  Everything that can be called back can be
 * closed; after *_close() no callback comes any more.
 *
 * loop_run()      works until loop_stop().
 * loop_at_rest()  `rest` is called once in every turn, after all callbacks and
 *                 before the loop sleeps: links are flushed there, lines of the
 *                 journal written, letters committed in groups.  Called in the
 *                 order of registration; if a hook caused more work for an
 *                 earlier one, the loop goes round once more before sleeping
 *                 (loop_again()).
 * loop_warm()     starts the threads and makes the descriptors the loop will ever
 *                 need.  Call it before the cage closes (and close the cage for
 *                 every thread of the process: SECCOMP_FILTER_FLAG_TSYNC).
 * errand          something to do in the next turn, never inside the present
 *                 call.  It lives in the owner's struct; errand_clear() before
 *                 that goes away.  Setting it twice is setting it once.
 * timer           a moment in milliseconds; timer_set() again moves it.
 * watch           a descriptor; `ready` gets LOOP_READ / LOOP_WRITE bits.  Not closed by us.
 * job             `run` in the thread pool, then `done` in the loop.  For
 *                 fdatasync, argon2, anything slow.  `run` must touch only `ctx`.
 * loop_job_brief() the same for what is mostly over before a thread is awake, the sync of a small file:
 *                 done by the loop itself at the end of a turn in which nothing else waits, while the last
 *                 ones took less than two milliseconds; else in the thread pool.
 * loop_signal     a signal as a callback.
 *
 * Open the loop after the fork; SIGPIPE is ignored from then on.  Close timers,
 * watches, streams and links before their loop: loop_close() frees what is left
 * on it, waits for jobs that run, and calls nobody back.
 */
#ifndef CHANNEL_LOOP_H
#define CHANNEL_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct timer;
struct watch;
struct errand {
	void (*go)(void *ctx);
	void *ctx;
	struct errand *next, *before;     /* the loop's own */
};
enum { LOOP_READ = 1, LOOP_WRITE = 2 };

struct loop *loop_open(void);
void loop_close(struct loop **);
void loop_run(struct loop *);
void loop_stop(struct loop *);
void loop_warm(struct loop *);
void loop_again(struct loop *);
void loop_at_rest(struct loop *, void (*rest)(void *ctx), void *ctx);
void loop_signal(struct loop *, int signal, void (*heard)(void *ctx, int signal), void *ctx);
int64_t loop_now_ms(const struct loop *);       /* patient clock of this turn */

void errand_set(struct loop *, struct errand *);
void errand_clear(struct errand *);

struct timer *timer_open(struct loop *, void (*due)(void *ctx), void *ctx);
void timer_set(struct timer *, int64_t ms);     /* once, from now            */
void timer_clear(struct timer *);
void timer_close(struct timer **);

struct watch *watch_open(struct loop *, int fd, void (*ready)(void *ctx, int bits), void *ctx);
void watch_want(struct watch *, int bits);      /* 0: nothing for now        */
void watch_close(struct watch **);

void loop_job(struct loop *, void (*run)(void *ctx), void (*done)(void *ctx), void *ctx);
void loop_job_brief(struct loop *, void (*run)(void *ctx), void (*done)(void *ctx), void *ctx);

#endif
