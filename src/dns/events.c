#include "dns/events.h"

#include <sys/time.h>
#include <unbound-event.h>

#include "base/arena.h"

struct events {
	struct ub_event_base base; /* first: it is what libunbound knows   */
	struct loop         *loop;
};

/* A descriptor, a patience, or both; not PERSIST: once. */
struct event {
	struct ub_event super; /* first, here too                      */
	struct events  *of;
	int             fd;
	short           bits;
	void (*call)(int fd, short bits, void *arg);
	void         *arg;
	struct watch *watch;
	struct timer *timer;
	int64_t       patience; /* ms; -1 none                          */
};

static struct event *
event_of(struct ub_event *e)
{
	return (struct event *)e;
}

static void
rest(struct event *e)
{
	watch_close(&e->watch);
	if (e->timer != NULL)
		timer_clear(e->timer);
}

/* The call may free the event. */
static void
happen(struct event *e, short bits)
{
	if ((e->bits & UB_EV_PERSIST) == 0)
		rest(e);
	else if (e->patience >= 0)
		timer_set(e->timer, e->patience);
	e->call(e->fd, bits, e->arg);
}

static void
watch_ready(void *ctx, int bits)
{
	struct event *e = ctx;
	int           said = 0;

	if ((bits & LOOP_READ) != 0)
		said |= UB_EV_READ;
	if ((bits & LOOP_WRITE) != 0)
		said |= UB_EV_WRITE;
	said &= e->bits;
	if (said != 0)
		happen(e, (short)said);
}

static void
timer_due(void *ctx)
{
	happen(ctx, UB_EV_TIMEOUT);
}

static void
event_add_bits(struct ub_event *u, short bits)
{
	event_of(u)->bits = (short)(event_of(u)->bits | bits);
}

static void
event_del_bits(struct ub_event *u, short bits)
{
	event_of(u)->bits = (short)(event_of(u)->bits & ~bits);
}

static void
event_set_fd(struct ub_event *u, int fd)
{
	event_of(u)->fd = fd;
}

static void
event_free(struct ub_event *u)
{
	struct event *e = event_of(u);

	rest(e);
	timer_close(&e->timer);
	memory_free(e);
}

static void
set_patience(struct event *e, const struct timeval *tv)
{
	e->patience = tv == NULL ? -1 : (int64_t)tv->tv_sec * 1000 + (tv->tv_usec + 999) / 1000;
	if (tv == NULL)
		return;
	if (e->timer == NULL)
		e->timer = timer_open(e->of->loop, timer_due, e);
	timer_set(e->timer, e->patience);
}

static int
event_add(struct ub_event *u, struct timeval *tv)
{
	struct event *e = event_of(u);
	int           want = 0;

	rest(e);
	if ((e->bits & UB_EV_READ) != 0)
		want |= LOOP_READ;
	if ((e->bits & UB_EV_WRITE) != 0)
		want |= LOOP_WRITE;
	if (e->fd >= 0 && want != 0) {
		e->watch = watch_open(e->of->loop, e->fd, watch_ready, e);
		watch_want(e->watch, want);
	}
	set_patience(e, tv);
	return 0;
}

static int
event_del(struct ub_event *u)
{
	rest(event_of(u));
	return 0;
}

static int
event_add_timer(struct ub_event *u, struct ub_event_base *base, void (*call)(int, short, void *),
                void *arg, struct timeval *tv)
{
	struct event *e = event_of(u);

	(void)base;
	e->call = call;
	e->arg = arg;
	e->bits = UB_EV_TIMEOUT;
	set_patience(e, tv);
	return 0;
}

static int
no_signal(struct ub_event *u, struct timeval *tv)
{
	(void)u;
	(void)tv;
	return -1;
}

static int
no_signal_gone(struct ub_event *u)
{
	(void)u;
	return -1;
}

static void
no_windows(struct ub_event *u)
{
	(void)u;
}

static void
no_windows_block(struct ub_event *u, int bit)
{
	(void)u;
	(void)bit;
}

/* clang-format off */
static struct ub_event_vmt event_calls = {
	.add_bits = event_add_bits,
	.del_bits = event_del_bits,
	.set_fd = event_set_fd,
	.free = event_free,
	.add = event_add,
	.del = event_del,
	.add_timer = event_add_timer,
	.del_timer = event_del,
	.add_signal = no_signal,
	.del_signal = no_signal_gone,
	.winsock_unregister_wsaevent = no_windows,
	.winsock_tcp_wouldblock = no_windows_block,
};
/* clang-format on */

static struct ub_event *
event_open(struct ub_event_base *base, int fd, short bits, void (*call)(int, short, void *),
           void *arg)
{
	struct event *e = memory_take(sizeof *e);

	*e = (struct event){ .super = { UB_EVENT_MAGIC, &event_calls },
		             .of = (struct events *)base,
		             .fd = fd,
		             .bits = bits,
		             .call = call,
		             .arg = arg,
		             .patience = -1 };
	return &e->super;
}

static struct ub_event *
no_signals(struct ub_event_base *base, int fd, void (*call)(int, short, void *), void *arg)
{
	(void)base;
	(void)fd;
	(void)call;
	(void)arg;
	return NULL;
}

static struct ub_event *
no_windows_events(struct ub_event_base *base, void *event, void (*call)(int, short, void *),
                  void *arg)
{
	(void)base;
	(void)event;
	(void)call;
	(void)arg;
	return NULL;
}

static void
base_free(struct ub_event_base *base)
{
	(void)base;
}

static int
base_dispatch(struct ub_event_base *base)
{
	(void)base;
	return 0;
}

static int
base_exit(struct ub_event_base *base, struct timeval *tv)
{
	(void)base;
	(void)tv;
	return 0;
}

/* clang-format off */
static struct ub_event_base_vmt base_calls = {
	.free = base_free,
	.dispatch = base_dispatch,
	.loopexit = base_exit,
	.new_event = event_open,
	.new_signal = no_signals,
	.winsock_register_wsaevent = no_windows_events,
};
/* clang-format on */

struct ub_event_base *
events_open(struct loop *loop)
{
	struct events *e = memory_take(sizeof *e);

	e->base = (struct ub_event_base){ UB_EVENT_MAGIC, &base_calls };
	e->loop = loop;
	return &e->base;
}

void
events_close(struct ub_event_base **base)
{
	memory_free(*base);
	*base = NULL;
}
