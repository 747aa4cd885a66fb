/*
 * lanes -- work that may block, each kind in threads of its own
 *
 * From:     role/proxymap
 *
 * A lane belongs to one back end: what waits for a server that is away stands in the way of nobody
 * else.  Its threads are made when they are wanted and end when they had nothing to do for a while.
 *
 * lane_put()    `run` in a thread of the lane, then `done` in the loop.  False: the lane is full, or
 *               no thread can be had; nothing is called then.  The job lives in the asker's struct.
 * lane_close()  what waits is still done; then it is gone.
 * lanes_close() waits for what runs; nobody is called back.
 */
#ifndef ROLE_LANES_H
#define ROLE_LANES_H

#include "channel/loop.h"

struct lane_job {
	void (*run)(struct lane_job *);
	void (*done)(struct lane_job *);
	struct lane_job *next;          /* the lane's own */
	struct lane     *lane;
};
struct lanes;
struct lane;
struct lanes *lanes_open(struct loop *);               /* NULL with errno */
void lanes_close(struct lanes **);
struct lane *lane_open(struct lanes *, unsigned threads, unsigned most);
void lane_close(struct lane **);
bool lane_put(struct lane *, struct lane_job *);

#endif
