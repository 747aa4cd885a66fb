#include "base/arena.h"
#include "base/journal.h"
#include "channel/loop_inner.h"

#include <poll.h>
#include <signal.h>
#include <uv.h>

/* How often the hooks may send one another round before the world is heard. */
enum { ROUNDS_MOST = 8 };
/* A brief job is done here and now while none took longer; after one that did, so many are thought long. */
enum { BRIEF_US = 2000, LONG_MOST = 16 };

struct hook {
	void (*rest)(void *ctx);
	void *ctx;
};

struct shelf {
	void *thing;
	void (*rest)(void *thing);
	void (*end)(void *thing);
};

struct loop {
	uv_loop_t     uv;
	uv_prepare_t  before_sleep;
	uv_idle_t     awake; /* runs while there are errands, or a timer that is due at once */
	struct errand errands, running; /* heads of two rings               */
	struct hook  *hook;
	size_t        hooks;
	struct shelf  shelf[LOOP_SHELVES];
	char         *in, *out;
	struct job   *brief, **brief_last; /* run at the end of the turn       */
	struct job   *ended;               /* ran here; `done` is still to come */
	int           thought_long;
	size_t        soon; /* timers that are due at once      */
	bool          again, stop, closing;
};

struct timer {
	uv_timer_t   uv;
	struct loop *loop;
	bool         soon;
	void (*due)(void *ctx);
	void *ctx;
};

struct watch {
	uv_poll_t uv;
	void (*ready)(void *ctx, int bits);
	void *ctx;
	int   want;
};

struct ear {
	uv_signal_t uv;
	void (*heard)(void *ctx, int signal);
	void *ctx;
};

struct job {
	uv_work_t    uv;
	struct loop *loop;
	void (*run)(void *ctx);
	void (*done)(void *ctx);
	void         *ctx;
	bool          brief;
	uint64_t      took_us;
	struct errand errand;
	struct job   *next;
};

/* libuv fails here only when the machine or we are out of order. */
static void
must(int outcome, const char *what)
{
	if (outcome < 0)
		panic("loop: %s: %s", what, uv_strerror(outcome));
}

/* Errands: two rings, so that one set while errands run waits for its turn. */

static void
ring_init(struct errand *head)
{
	head->next = head->before = head;
}

static void
ring_append(struct errand *head, struct errand *e)
{
	e->next = head;
	e->before = head->before;
	head->before->next = e;
	head->before = e;
}

void
errand_clear(struct errand *e)
{
	if (e->next == NULL)
		return;
	e->next->before = e->before;
	e->before->next = e->next;
	e->next = e->before = NULL;
}

static void
run_errands(uv_idle_t *uv)
{
	struct loop   *l = uv->data;
	struct errand *e;

	while ((e = l->errands.next) != &l->errands) {
		errand_clear(e);
		ring_append(&l->running, e);
	}
	while ((e = l->running.next) != &l->running) {
		errand_clear(e);
		e->go(e->ctx);
	}
	if (l->errands.next == &l->errands && l->soon == 0)
		uv_idle_stop(&l->awake);
}

/* libuv does not sleep while an idle handle is active. */
static void
stay_awake(struct loop *l)
{
	must(uv_idle_start(&l->awake, run_errands), "idle");
}

void
errand_set(struct loop *l, struct errand *e)
{
	if (e->next != NULL)
		return;
	ring_append(&l->errands, e);
	stay_awake(l);
}

/* Hooks of the house first: what they say, links and streams then send. */
static void
rest_once(struct loop *l)
{
	for (size_t i = 0; i < l->hooks; i++)
		l->hook[i].rest(l->hook[i].ctx);
	for (int i = 0; i < LOOP_SHELVES; i++)
		if (l->shelf[i].rest != NULL)
			l->shelf[i].rest(l->shelf[i].thing);
}

static void
rest(struct loop *l)
{
	for (int round = 0; round < ROUNDS_MOST; round++) {
		l->again = false;
		rest_once(l);
		if (!l->again)
			return;
	}
	stay_awake(l);
}

static void briefs_run(struct loop *);

static void
before_sleep(uv_prepare_t *uv)
{
	struct loop *l = uv->data;

	rest(l);
	briefs_run(l);
}

void
loop_at_rest(struct loop *l, void (*hook)(void *ctx), void *ctx)
{
	l->hook = memory_resize(l->hook, (l->hooks + 1) * sizeof *l->hook);
	l->hook[l->hooks++] = (struct hook){ hook, ctx };
}

void
loop_again(struct loop *l)
{
	l->again = true;
}

/* The loop itself. */

struct loop *
loop_open(void)
{
	struct loop *l = memory_take(sizeof *l);

	(void)signal(SIGPIPE, SIG_IGN);
	must(uv_loop_init(&l->uv), "loop");
	must(uv_prepare_init(&l->uv, &l->before_sleep), "prepare");
	must(uv_idle_init(&l->uv, &l->awake), "idle");
	l->uv.data = l->before_sleep.data = l->awake.data = l;
	ring_init(&l->errands);
	ring_init(&l->running);
	l->brief_last = &l->brief;
	l->thought_long = LONG_MOST / 4;
	must(uv_prepare_start(&l->before_sleep, before_sleep), "prepare");
	return l;
}

void
loop_run(struct loop *l)
{
	while (!l->stop)
		uv_run(&l->uv, UV_RUN_DEFAULT);
	l->stop = false;
	rest(l); /* what the last callbacks said goes out too */
}

void
loop_stop(struct loop *l)
{
	l->stop = true;
	uv_stop(&l->uv);
}

int64_t
loop_now_ms(const struct loop *l)
{
	return (int64_t)uv_now(&l->uv);
}

char *
loop_scratch_in(struct loop *l)
{
	if (l->in == NULL)
		l->in = memory_take(LOOP_SCRATCH_IN);
	return l->in;
}

char *
loop_scratch_out(struct loop *l)
{
	if (l->out == NULL)
		l->out = memory_take(LOOP_SCRATCH_OUT);
	return l->out;
}

void *
loop_shelf(const struct loop *l, enum loop_shelf which)
{
	return l->shelf[which].thing;
}

void
loop_shelve(struct loop *l, enum loop_shelf which, void *thing, void (*at_rest)(void *thing),
            void (*end)(void *thing))
{
	l->shelf[which] = (struct shelf){ thing, at_rest, end };
}

/* Each kind of handle lives in a struct of ours that begins with it. */
static void
free_handle(uv_handle_t *uv)
{
	memory_free(uv);
}

static void
close_left_over(uv_handle_t *uv, void *ctx)
{
	struct loop *l = ctx;
	bool         ours = uv == (uv_handle_t *)&l->before_sleep || uv == (uv_handle_t *)&l->awake;

	if (!uv_is_closing(uv))
		uv_close(uv, ours ? NULL : free_handle);
}

static void
jobs_free(struct job *j)
{
	while (j != NULL) {
		struct job *next = j->next;
		memory_free(j);
		j = next;
	}
}

void
loop_close(struct loop **lp)
{
	struct loop *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	l->closing = true;
	for (int i = 0; i < LOOP_SHELVES; i++)
		if (l->shelf[i].end != NULL)
			l->shelf[i].end(l->shelf[i].thing);
	uv_walk(&l->uv, close_left_over, l);
	while (uv_run(&l->uv, UV_RUN_DEFAULT) != 0)
		continue;
	must(uv_loop_close(&l->uv), "close");
	jobs_free(l->brief);
	jobs_free(l->ended);
	memory_free(l->hook);
	memory_free(l->in);
	memory_free(l->out);
	memory_free(l);
}

/* Timers. */

static void
timer_soon(struct timer *t, bool soon)
{
	if (soon && !t->soon)
		t->loop->soon++;
	if (!soon && t->soon)
		t->loop->soon--;
	t->soon = soon;
	if (soon && !t->loop->closing)
		stay_awake(t->loop);
}

static void
timer_rang(uv_timer_t *uv)
{
	struct timer *t = (struct timer *)uv;

	timer_soon(t, false);
	t->due(t->ctx);
}

struct timer *
timer_open(struct loop *l, void (*due)(void *ctx), void *ctx)
{
	struct timer *t = memory_take(sizeof *t);

	must(uv_timer_init(&l->uv, &t->uv), "timer");
	t->loop = l;
	t->due = due;
	t->ctx = ctx;
	return t;
}

/* The loop's clock stands still during a turn; a timer counts from now.  How long to sleep is reckoned by that clock, too:
   where a turn that took a while sets a timer that is due at once, the loop would sleep for as long as the turn took. */
void
timer_set(struct timer *t, int64_t ms)
{
	int64_t late = (int64_t)(uv_hrtime() / 1000000) - (int64_t)uv_now(t->uv.loop);

	if (ms < 0)
		ms = 0;
	timer_soon(t, ms == 0);
	if (late > 0)
		ms += late;
	must(uv_timer_start(&t->uv, timer_rang, (uint64_t)ms, 0), "timer");
}

void
timer_clear(struct timer *t)
{
	timer_soon(t, false);
	uv_timer_stop(&t->uv);
}

void
timer_close(struct timer **tp)
{
	struct timer *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	timer_soon(t, false);
	uv_close((uv_handle_t *)&t->uv, free_handle);
}

/* Watches. */

static void watch_poll(struct watch *);

/* libuv stops a handle whose descriptor has an error: whoever reads or writes
   now will find it.  If it is still wanted afterwards, go on watching. */
static void
watch_ready(uv_poll_t *uv, int status, int events)
{
	struct watch *w = (struct watch *)uv;
	int bits = (events & UV_READABLE ? LOOP_READ : 0) | (events & UV_WRITABLE ? LOOP_WRITE : 0);

	w->ready(w->ctx, status < 0 ? LOOP_READ | LOOP_WRITE : bits);
	if (!uv_is_closing((uv_handle_t *)uv) && !uv_is_active((uv_handle_t *)uv))
		watch_poll(w);
}

static void
watch_poll(struct watch *w)
{
	int events =
		(w->want & LOOP_READ ? UV_READABLE : 0) | (w->want & LOOP_WRITE ? UV_WRITABLE : 0);

	if (events == 0)
		must(uv_poll_stop(&w->uv), "watch");
	else
		must(uv_poll_start(&w->uv, events, watch_ready), "watch");
}

struct watch *
watch_open(struct loop *l, int fd, void (*ready)(void *ctx, int bits), void *ctx)
{
	struct watch *w = memory_take(sizeof *w);

	must(uv_poll_init(&l->uv, &w->uv, fd), "watch");
	w->ready = ready;
	w->ctx = ctx;
	return w;
}

void
watch_want(struct watch *w, int bits)
{
	if (w->want == bits)
		return;
	w->want = bits;
	watch_poll(w);
}

void
watch_close(struct watch **wp)
{
	struct watch *w = *wp;

	*wp = NULL;
	if (w != NULL)
		uv_close((uv_handle_t *)&w->uv, free_handle);
}

/* Signals. */

static void
signal_heard(uv_signal_t *uv, int number)
{
	struct ear *e = (struct ear *)uv;

	e->heard(e->ctx, number);
}

void
loop_signal(struct loop *l, int number, void (*heard)(void *ctx, int signal), void *ctx)
{
	struct ear *e = memory_take(sizeof *e);

	must(uv_signal_init(&l->uv, &e->uv), "signal");
	e->heard = heard;
	e->ctx = ctx;
	must(uv_signal_start(&e->uv, signal_heard, number), "signal");
}

/* Jobs. */

static void
job_run(uv_work_t *uv)
{
	struct job *j = (struct job *)uv;
	uint64_t    began = uv_hrtime();

	j->run(j->ctx);
	j->took_us = (uv_hrtime() - began) / 1000;
}

static void
brief_judge(struct loop *l, const struct job *j)
{
	if (j->took_us > BRIEF_US)
		l->thought_long = LONG_MOST;
	else if (l->thought_long > 0)
		l->thought_long--;
}

static void
job_done(uv_work_t *uv, int status)
{
	struct job *j = (struct job *)uv;

	(void)status;
	if (j->brief)
		brief_judge(j->loop, j);
	if (!j->loop->closing)
		j->done(j->ctx);
	memory_free(j);
}

static struct job *
job_make(struct loop *l, void (*run)(void *ctx), void (*done)(void *ctx), void *ctx)
{
	struct job *j = memory_take(sizeof *j);

	*j = (struct job){ .loop = l, .run = run, .done = done, .ctx = ctx };
	return j;
}

static void
job_queue(struct job *j)
{
	must(uv_queue_work(&j->loop->uv, &j->uv, job_run, job_done), "job");
}

void
loop_job(struct loop *l, void (*run)(void *ctx), void (*done)(void *ctx), void *ctx)
{
	job_queue(job_make(l, run, done, ctx));
}

void
loop_job_brief(struct loop *l, void (*run)(void *ctx), void (*done)(void *ctx), void *ctx)
{
	struct job *j = job_make(l, run, done, ctx);

	j->brief = true;
	*l->brief_last = j;
	l->brief_last = &j->next;
}

static void
brief_ended(void *ctx)
{
	struct job  *j = ctx;
	struct job **p = &j->loop->ended;

	while (*p != j)
		p = &(*p)->next;
	*p = j->next;
	j->done(j->ctx);
	memory_free(j);
}

/* Nobody who could be served meanwhile: nothing arrived, nothing is to be done. */
static bool
nobody_waits(struct loop *l)
{
	struct pollfd arrived = { .fd = uv_backend_fd(&l->uv), .events = POLLIN };

	return l->errands.next == &l->errands && poll(&arrived, 1, 0) == 0;
}

/* Going to a thread and back are two wake-ups, together often longer than what is done there. */
static void
briefs_run(struct loop *l)
{
	struct job *j;

	while ((j = l->brief) != NULL) {
		if ((l->brief = j->next) == NULL)
			l->brief_last = &l->brief;
		j->next = NULL;
		if (l->closing || l->thought_long > 0 || !nobody_waits(l)) {
			job_queue(j);
			continue;
		}
		job_run(&j->uv);
		brief_judge(l, j);
		j->next = l->ended;
		l->ended = j;
		j->errand = (struct errand){ .go = brief_ended, .ctx = j };
		errand_set(l, &j->errand);
	}
}

static void
nothing(void *ctx)
{
	(void)ctx;
}

static void
warmed(void *ctx)
{
	*(bool *)ctx = true;
}

/* The first job starts every thread of the pool; the first signal handle makes
   libuv's pipe for signals. */
void
loop_warm(struct loop *l)
{
	uv_signal_t *ear = memory_take(sizeof *ear);
	bool         warm = false;

	must(uv_signal_init(&l->uv, ear), "signal");
	uv_close((uv_handle_t *)ear, free_handle);
	loop_job(l, nothing, warmed, &warm);
	while (!warm)
		uv_run(&l->uv, UV_RUN_ONCE);
	(void)loop_scratch_in(l);
	(void)loop_scratch_out(l);
}
