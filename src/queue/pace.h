/*
 * pace -- how many deliveries to a destination may be under way, as its answers teach
 *
 * From:     role/queue
 * Touches:  nothing
 *
 * pace_begin()     nothing is known of it.
 * pace_good()      a host talked to us; `busy` deliveries are under way, this one among them.  The window does not grow far
 *                  beyond what is used.
 * pace_bad()       nobody was reached: true when so many have failed one after another that it is dead.
 * pace_probe()     it is dead: when its time is over one goes to see.
 * pace_feedback_read()  "1", "0.5/concurrency", "1/sqrt_concurrency": false when it is nothing of that.
 *
 * Postfix's settings and its arithmetic: postconf(5), default_destination_concurrency_positive_feedback and what
 * stands there beside it.
 */
#ifndef QUEUE_PACE_H
#define QUEUE_PACE_H

#include "base/bytes.h"

struct pace_feedback { double amount; uint8_t by; };          /* by: 0 alone, 1 through the window, 2 through its root */
struct pace_rules {
	uint32_t first, most;          /* initial_destination_concurrency, _destination_concurrency_limit */
	struct pace_feedback good, bad;
	uint32_t cohorts;              /* _destination_concurrency_failed_cohort_limit; 0 never dead */
};
struct pace {
	uint32_t window;
	double   good, bad, cohorts;
};

void pace_begin(struct pace *, const struct pace_rules *);
void pace_good(struct pace *, const struct pace_rules *, uint32_t busy);
bool pace_bad(struct pace *, const struct pace_rules *);
void pace_probe(struct pace *);
bool pace_feedback_read(struct bytes, struct pace_feedback *out);

#endif
