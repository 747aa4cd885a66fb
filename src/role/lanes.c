#include "role/lanes.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"

enum { STACK = 512 << 10, IDLE_SECONDS = 30 };

struct lane {
	struct lane     *next;
	struct lanes    *all;
	pthread_cond_t   wake;
	struct lane_job *first, **last; /* those that wait                     */
	unsigned         waiting, most;
	unsigned         threads, threads_most, idle;
	unsigned         out; /* jobs whose `done` is still to come  */
	bool             closed;
};

struct lanes {
	pthread_mutex_t  lock;
	pthread_cond_t   empty; /* the last thread has gone            */
	struct lane     *first;
	struct lane_job *done, **last_done;
	unsigned         threads;
	bool             closing;
	int              fd; /* told when something is done         */
	struct watch    *watch;
};

/*
 * In a thread of a lane
 */

static struct lane_job *
take_job(struct lane *l)
{
	struct timespec until;
	int             why = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_SECONDS;
	l->idle++;
	while (l->first == NULL && !l->closed && !l->all->closing && why == 0)
		why = pthread_cond_timedwait(&l->wake, &l->all->lock, &until);
	l->idle--;
	struct lane_job *j = l->all->closing ? NULL : l->first;
	if (j != NULL) {
		l->waiting--;
		if ((l->first = j->next) == NULL)
			l->last = &l->first;
		j->next = NULL;
	}
	return j;
}

static void
give_back(struct lanes *all, struct lane_job *j)
{
	const uint64_t one = 1;

	*all->last_done = j;
	all->last_done = &j->next;
	/* A counter that cannot be added to was not looked at yet. */
	if (write(all->fd, &one, sizeof one) < 0)
		return;
}

static void *
thread(void *ctx)
{
	struct lane     *l = ctx;
	struct lanes    *all = l->all;
	struct lane_job *j;

	(void)pthread_mutex_lock(&all->lock);
	while ((j = take_job(l)) != NULL) {
		(void)pthread_mutex_unlock(&all->lock);
		j->run(j);
		(void)pthread_mutex_lock(&all->lock);
		give_back(all, j);
	}
	l->threads--;
	if (--all->threads == 0)
		(void)pthread_cond_broadcast(&all->empty);
	(void)pthread_mutex_unlock(&all->lock);
	return NULL;
}

/*
 * In the loop
 */

/* One that is closed goes when nobody is in it any more. */
static void
lane_end(struct lane *l)
{
	struct lane **at = &l->all->first;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	(void)pthread_cond_destroy(&l->wake);
	memory_free(l);
}

static void
sweep(struct lanes *all)
{
	for (struct lane *l = all->first, *next; l != NULL; l = next) {
		next = l->next;
		if (l->closed && l->threads == 0 && l->out == 0)
			lane_end(l);
	}
}

static void
something_done(void *ctx, int bits)
{
	struct lanes    *all = ctx;
	struct lane_job *j, *next;
	uint64_t         count;

	(void)bits;
	if (read(all->fd, &count, sizeof count) < 0)
		return;
	(void)pthread_mutex_lock(&all->lock);
	j = all->done;
	all->done = NULL;
	all->last_done = &all->done;
	for (struct lane_job *k = j; k != NULL; k = k->next)
		k->lane->out--;
	sweep(all);
	(void)pthread_mutex_unlock(&all->lock);
	for (; j != NULL; j = next) {
		next = j->next;
		j->done(j);
	}
}

struct lanes *
lanes_open(struct loop *loop)
{
	struct lanes *all;
	int           fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return NULL;
	all = memory_take(sizeof *all);
	all->fd = fd;
	all->last_done = &all->done;
	(void)pthread_mutex_init(&all->lock, NULL);
	(void)pthread_cond_init(&all->empty, NULL);
	all->watch = watch_open(loop, fd, something_done, all);
	watch_want(all->watch, LOOP_READ);
	return all;
}

struct lane *
lane_open(struct lanes *all, unsigned threads, unsigned most)
{
	struct lane       *l = memory_take(sizeof *l);
	pthread_condattr_t how;

	l->all = all;
	l->last = &l->first;
	l->threads_most = threads;
	l->most = most;
	(void)pthread_condattr_init(&how);
	(void)pthread_condattr_setclock(&how, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&l->wake, &how);
	(void)pthread_condattr_destroy(&how);
	(void)pthread_mutex_lock(&all->lock);
	l->next = all->first;
	all->first = l;
	(void)pthread_mutex_unlock(&all->lock);
	return l;
}

void
lane_close(struct lane **lp)
{
	struct lane  *l = *lp;
	struct lanes *all;

	*lp = NULL;
	if (l == NULL)
		return;
	all = l->all;
	(void)pthread_mutex_lock(&all->lock);
	l->closed = true;
	(void)pthread_cond_broadcast(&l->wake);
	sweep(all);
	(void)pthread_mutex_unlock(&all->lock);
}

/* Signals are the loop's. */
static bool
make_thread(struct lane *l)
{
	pthread_attr_t how;
	pthread_t      id;
	sigset_t       all, before;
	int            why;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	(void)pthread_attr_init(&how);
	(void)pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&how, STACK);
	why = pthread_create(&id, &how, thread, l);
	(void)pthread_attr_destroy(&how);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	l->threads += why == 0;
	l->all->threads += why == 0;
	return why == 0;
}

bool
lane_put(struct lane *l, struct lane_job *j)
{
	bool good;

	(void)pthread_mutex_lock(&l->all->lock);
	good = l->waiting < l->most;
	if (good && l->idle <= l->waiting && l->threads < l->threads_most)
		good = make_thread(l) || l->threads > 0;
	if (good) {
		j->next = NULL;
		j->lane = l;
		*l->last = j;
		l->last = &j->next;
		l->waiting++;
		l->out++;
		(void)pthread_cond_signal(&l->wake);
	}
	(void)pthread_mutex_unlock(&l->all->lock);
	return good;
}

void
lanes_close(struct lanes **ap)
{
	struct lanes *all = *ap;

	*ap = NULL;
	if (all == NULL)
		return;
	(void)pthread_mutex_lock(&all->lock);
	all->closing = true;
	for (struct lane *l = all->first; l != NULL; l = l->next)
		(void)pthread_cond_broadcast(&l->wake);
	while (all->threads > 0)
		(void)pthread_cond_wait(&all->empty, &all->lock);
	while (all->first != NULL)
		lane_end(all->first);
	(void)pthread_mutex_unlock(&all->lock);
	watch_close(&all->watch);
	(void)close(all->fd);
	(void)pthread_mutex_destroy(&all->lock);
	(void)pthread_cond_destroy(&all->empty);
	memory_free(all);
}
