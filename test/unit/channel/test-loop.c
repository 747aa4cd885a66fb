#include "unit.h"

#include "channel/kit.h"
#include "channel/loop.h"

#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct kit kit;
static char   heard[256];

static void
say(const char *what)
{
	strncat(heard, what, sizeof heard - strlen(heard) - 1);
}

static void
begin(void)
{
	kit_open(&kit);
	heard[0] = '\0';
}

static void say_a(void *ctx) { (void)ctx; say("a"); }
static void say_b(void *ctx) { (void)ctx; say("b"); }
static void say_done(void *ctx) { (void)ctx; say("."); kit_done(&kit); }

static void
test_timers_ring_in_their_order(void **state)
{
	struct timer *a, *b, *c, *never;

	(void)state;
	begin();
	a = timer_open(kit.loop, say_a, NULL);
	b = timer_open(kit.loop, say_b, NULL);
	c = timer_open(kit.loop, say_done, NULL);
	never = timer_open(kit.loop, say_a, NULL);
	timer_set(c, 30);
	timer_set(b, 5);
	timer_set(a, 1);
	timer_set(a, 15);       /* moved */
	timer_set(never, 10);
	timer_clear(never);
	assert_true(kit_run(&kit, 5000));
	SAME("moved behind, cleared", bytes_of(heard), BYTES("ba."));
	timer_close(&a);
	timer_close(&b);
	timer_close(&c);
	timer_close(&never);
	timer_close(&never);    /* nothing */
	kit_close(&kit);
}

static void
slow(void *ctx)
{
	struct timer *t = ctx;

	usleep(60000);
	timer_set(t, 50);
}

/* A turn of work that goes on in the next one, and how often the process slept between two. */
struct worker {
	struct timer *timer;
	int           turns, naps;
	long          slept;
};

static long
naps(void)
{
	struct rusage used;

	(void)getrusage(RUSAGE_THREAD, &used);
	return used.ru_nvcsw;
}

static void
work_on(void *ctx)
{
	struct worker  *w = ctx;
	struct timespec now, begin;

	w->naps += w->turns > 0 && naps() > w->slept;
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	do
		(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	while (now.tv_sec == begin.tv_sec && now.tv_nsec - begin.tv_nsec < 5000000);
	if (++w->turns == 20) {
		kit_done(&kit);
		return;
	}
	timer_set(w->timer, 0);
	w->slept = naps();
}

static void
test_the_loop_does_not_sleep_before_a_timer_that_is_due_at_once(void **state)
{
	struct worker w = { 0 };

	(void)state;
	begin();
	w.timer = timer_open(kit.loop, work_on, &w);
	timer_set(w.timer, 0);
	assert_true(kit_run(&kit, 60000));
	HOLDS("it goes on without a nap", w.naps <= 2);
	timer_close(&w.timer);
	kit_close(&kit);
}

static int64_t rang_at;
static void rang(void *ctx) { (void)ctx; rang_at = loop_now_ms(kit.loop); kit_done(&kit); }

static void
test_a_timer_counts_from_now_in_a_long_turn(void **state)
{
	struct timer *first, *second;
	int64_t start;

	(void)state;
	begin();
	start = loop_now_ms(kit.loop);
	second = timer_open(kit.loop, rang, NULL);
	first = timer_open(kit.loop, slow, second);
	timer_set(first, 0);
	assert_true(kit_run(&kit, 5000));
	HOLDS("60 of the turn and 50", rang_at - start >= 105);
	timer_close(&first);
	timer_close(&second);
	kit_close(&kit);
}

struct hooks { int left; struct errand errand; };

static void
first_hook(void *ctx)
{
	(void)ctx;
	say("1");
}

/* Makes work for the first hook, three times. */
static void
second_hook(void *ctx)
{
	struct hooks *h = ctx;

	say("2");
	if (h->left-- > 0)
		loop_again(kit.loop);
	else
		kit_done(&kit);
}

static void
test_hooks_go_round_until_all_is_quiet(void **state)
{
	struct hooks h = { .left = 3 };

	(void)state;
	begin();
	loop_at_rest(kit.loop, first_hook, &h);
	loop_at_rest(kit.loop, second_hook, &h);
	assert_true(kit_run(&kit, 5000));
	HOLDS("in order, as often as asked", strncmp(heard, "12121212", 8) == 0);
	kit_close(&kit);
}

/* A hook that never has enough must not keep the world from being heard. */
static void greedy_hook(void *ctx) { (void)ctx; loop_again(kit.loop); }

static void
test_a_greedy_hook_does_not_starve_the_rest(void **state)
{
	struct timer *t;

	(void)state;
	begin();
	loop_at_rest(kit.loop, greedy_hook, NULL);
	t = timer_open(kit.loop, say_done, NULL);
	timer_set(t, 5);
	assert_true(kit_run(&kit, 5000));
	timer_close(&t);
	kit_close(&kit);
}

static struct errand ea, eb, ec;
static void do_a(void *ctx) { (void)ctx; say("a"); errand_set(kit.loop, &eb); errand_clear(&ec); }
static void do_b(void *ctx) { (void)ctx; say("b"); kit_done(&kit); }
static void do_c(void *ctx) { (void)ctx; say("c"); }
static void rest_line(void *ctx) { (void)ctx; say("|"); }

static void
test_errands_run_in_the_next_turn_and_can_be_cleared(void **state)
{
	(void)state;
	begin();
	ea = (struct errand){ .go = do_a };
	eb = (struct errand){ .go = do_b };
	ec = (struct errand){ .go = do_c };
	loop_at_rest(kit.loop, rest_line, NULL);
	errand_set(kit.loop, &ea);
	errand_set(kit.loop, &ea);      /* once */
	errand_set(kit.loop, &ec);
	assert_true(kit_run(&kit, 5000));
	SAME("a, rest, b; c was cleared while it waited", bytes_of(heard), BYTES("a|b||"));
	errand_clear(&ea);              /* nothing */
	kit_close(&kit);
}

static pthread_t where;
static void job_run(void *ctx) { (void)ctx; where = pthread_self(); say("r"); }
static void job_done(void *ctx) { (void)ctx; say("d"); kit_done(&kit); }

static void
test_a_job_runs_elsewhere_and_is_done_here(void **state)
{
	(void)state;
	begin();
	loop_warm(kit.loop);
	loop_job(kit.loop, job_run, job_done, NULL);
	assert_true(kit_run(&kit, 5000));
	SAME("run, then done", bytes_of(heard), BYTES("rd"));
	HOLDS("in another thread", !pthread_equal(where, pthread_self()));
	kit_close(&kit);
}

static void job_slow(void *ctx) { (void)ctx; usleep(20000); }

static void
test_closing_waits_for_jobs_and_tells_nobody(void **state)
{
	(void)state;
	begin();
	loop_job(kit.loop, job_slow, job_done, NULL);
	kit_close(&kit);
	SAME("nothing", bytes_of(heard), BYTES(""));
}

/* Quick ones prove themselves in the pool first; then the loop does them, after the hooks, `done` a turn later. */
static pthread_t brief_where;
static void brief_run(void *ctx) { (void)ctx; brief_where = pthread_self(); }
static void brief_slow(void *ctx) { (void)ctx; usleep(10000); brief_where = pthread_self(); }
static void brief_done(void *ctx) { *(int *)ctx += 1; kit_done(&kit); }

static void
brief(void (*run)(void *))
{
	int done = 0;

	loop_job_brief(kit.loop, run, brief_done, &done);
	HOLDS("never inside the call", done == 0);
	assert_true(kit_run(&kit, 5000));
	HOLDS("done once", done == 1);
}

static void
test_a_brief_job_is_done_here_while_it_is_quick(void **state)
{
	bool here = false;

	(void)state;
	begin();
	loop_warm(kit.loop);
	brief(brief_run);
	HOLDS("a stranger goes to the pool", !pthread_equal(brief_where, pthread_self()));
	for (int i = 0; i < 1000 && !here; i++) {
		brief(brief_run);
		here = pthread_equal(brief_where, pthread_self());
	}
	HOLDS("one that is always quick does not", here);
	brief(brief_slow);
	brief(brief_slow);
	HOLDS("after a slow one the pool takes them", !pthread_equal(brief_where, pthread_self()));
	kit_close(&kit);
}

static void
test_brief_jobs_left_over_are_freed(void **state)
{
	int done = 0;

	(void)state;
	begin();
	loop_job_brief(kit.loop, brief_run, brief_done, &done);
	kit_close(&kit);
	HOLDS("nobody was told", done == 0);
}

static void
on_signal(void *ctx, int number)
{
	(void)ctx;
	HOLDS("that one", number == SIGUSR1);
	say("s");
	kit_done(&kit);
}

static void
test_a_signal_is_a_callback(void **state)
{
	(void)state;
	begin();
	loop_signal(kit.loop, SIGUSR1, on_signal, NULL);
	kill(getpid(), SIGUSR1);
	assert_true(kit_run(&kit, 5000));
	kit_close(&kit);
}

static int pair[2];
static struct watch *watch;

static void
on_ready(void *ctx, int bits)
{
	char c;

	(void)ctx;
	if (bits & LOOP_WRITE)
		say("w");
	if (bits & LOOP_READ) {
		say("r");
		if (read(pair[0], &c, 1) <= 0) {
			watch_close(&watch);
			kit_done(&kit);
			return;
		}
	}
	watch_want(watch, LOOP_READ);
	close(pair[1]);
}

static void
test_a_watch_tells_what_was_wanted(void **state)
{
	(void)state;
	begin();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	watch = watch_open(kit.loop, pair[0], on_ready, NULL);
	watch_want(watch, LOOP_WRITE);
	assert_true(kit_run(&kit, 5000));
	SAME("writable; then the end", bytes_of(heard), BYTES("wr"));
	close(pair[0]);
	kit_close(&kit);
}

/* What a cage takes away from a role after loop_warm(). */
static void
close_the_cage(void)
{
	static const int gone[] = {
		SCMP_SYS(eventfd2), SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(pipe2),
		SCMP_SYS(epoll_create1), SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(socket),
	};
	scmp_filter_ctx cage = seccomp_init(SCMP_ACT_ALLOW);

	seccomp_attr_set(cage, SCMP_FLTATR_CTL_TSYNC, 1);
	for (size_t i = 0; i < COUNT(gone); i++)
		seccomp_rule_add(cage, SCMP_ACT_KILL_PROCESS, gone[i], 0);
	if (seccomp_load(cage) < 0)
		_exit(0);               /* none on this machine: nothing to see */
	seccomp_release(cage);
}

static void
live_in_a_cage(void)
{
	struct timer *t;
	int fd[2];

	begin();
	loop_warm(kit.loop);
	(void)!socketpair(AF_UNIX, SOCK_STREAM, 0, fd);
	close_the_cage();
	t = timer_open(kit.loop, say_a, NULL);
	timer_set(t, 1);
	loop_job(kit.loop, job_run, job_done, NULL);
	if (!kit_run(&kit, 5000))
		_exit(1);
	loop_signal(kit.loop, SIGUSR1, on_signal, NULL);
	kill(getpid(), SIGUSR1);
	if (!kit_run(&kit, 5000))
		_exit(2);
	watch = watch_open(kit.loop, fd[0], on_ready, NULL);
	watch_want(watch, LOOP_WRITE);
	pair[0] = fd[0];
	pair[1] = fd[1];
	_exit(kit_run(&kit, 5000) ? 0 : 3);
}

static void
test_a_warm_loop_lives_in_a_cage(void **state)
{
	pid_t pid = fork();
	int how;

	(void)state;
	if (pid == 0)
		live_in_a_cage();
	assert_int_equal(waitpid(pid, &how, 0), pid);
	HOLDS("no call that the cage forbids", WIFEXITED(how) && WEXITSTATUS(how) == 0);
}

static void
test_what_is_left_on_a_loop_is_freed_with_it(void **state)
{
	struct timer *t;
	struct watch *w;

	(void)state;
	begin();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	t = timer_open(kit.loop, say_a, NULL);
	w = watch_open(kit.loop, pair[0], on_ready, NULL);
	timer_set(t, 1);
	watch_want(w, LOOP_WRITE);
	loop_close(&kit.loop);
	loop_close(&kit.loop);  /* nothing */
	close(pair[0]);
	close(pair[1]);
}

static void
test_a_loop_stopped_before_it_runs_rests_and_returns(void **state)
{
	(void)state;
	begin();
	loop_at_rest(kit.loop, rest_line, NULL);
	loop_stop(kit.loop);
	loop_run(kit.loop);
	SAME("what was said goes out", bytes_of(heard), BYTES("|"));
	kit_close(&kit);
}

UNIT(test_timers_ring_in_their_order, test_a_timer_counts_from_now_in_a_long_turn,
     test_the_loop_does_not_sleep_before_a_timer_that_is_due_at_once,
     test_hooks_go_round_until_all_is_quiet, test_a_greedy_hook_does_not_starve_the_rest,
     test_errands_run_in_the_next_turn_and_can_be_cleared,
     test_a_job_runs_elsewhere_and_is_done_here, test_closing_waits_for_jobs_and_tells_nobody,
     test_a_brief_job_is_done_here_while_it_is_quick, test_brief_jobs_left_over_are_freed,
     test_a_signal_is_a_callback, test_a_watch_tells_what_was_wanted,
     test_what_is_left_on_a_loop_is_freed_with_it,
     test_a_warm_loop_lives_in_a_cage,
     test_a_loop_stopped_before_it_runs_rests_and_returns)
