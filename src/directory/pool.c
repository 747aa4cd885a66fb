/* pool -- connections to the servers of a table, and which of these are worth a try */

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "directory/remote.h"

enum { AWAY_LEAST_MS = 500, AWAY_MOST_MS = 15000, IDLE_MS = 60000, ATTEMPT_LEAST_MS = 100 };

struct server {
	const char *name;
	int64_t     again_ms; /* when it may be tried; 0: it works            */
	int64_t     wait_ms;  /* how long it was left alone                   */
};
struct connection {
	struct connection *next;
	void              *own;
	size_t             server;
	int64_t            since_ms; /* lying about */
	bool               fresh;
};
struct pool {
	struct pool            *next; /* of all that are open                */
	pthread_mutex_t         lock;
	struct server          *server;
	size_t                  servers, local; /* those on this machine come first */
	size_t                  turn;
	int64_t                 timeout_ms, idle_ms;
	int64_t                 retry_ms; /* -1: longer each time                */
	struct connection      *idle;     /* the one used last first             */
	const struct pool_ways *ways;
	void                   *ctx;
};

/* Of this process; its lock is taken before that of a pool. */
static pthread_mutex_t pools_lock = PTHREAD_MUTEX_INITIALIZER;
static struct pool    *pools;

static bool
is_local(const char *server)
{
	return strncmp(server, "unix:", 5) == 0 || server[0] == '/';
}

struct pool *
pool_open(const struct setting_list *servers, bool shuffle, int64_t timeout_ms,
          const struct pool_ways *ways, void *ctx)
{
	struct pool *p = memory_take(sizeof *p);

	p->server = memory_take((servers->count + 1) * sizeof *p->server);
	for (int local = 1; local >= 0; local--) {
		for (size_t i = 0; i < servers->count; i++)
			if (!shuffle ? local == 1 : is_local(servers->item[i]) == (local == 1))
				p->server[p->servers++].name = servers->item[i];
		if (local == 1)
			p->local = p->servers;
	}
	p->turn = (size_t)random_below(p->servers + 1);
	p->timeout_ms = timeout_ms;
	p->idle_ms = IDLE_MS;
	p->retry_ms = -1;
	p->ways = ways;
	p->ctx = ctx;
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_mutex_lock(&pools_lock);
	p->next = pools;
	pools = p;
	(void)pthread_mutex_unlock(&pools_lock);
	return p;
}

void
pool_intervals(struct pool *p, int64_t idle_ms, int64_t retry_ms)
{
	p->idle_ms = idle_ms;
	p->retry_ms = retry_ms;
}

static void
connection_close(struct pool *p, struct connection *c)
{
	p->ways->disconnect(p->ctx, c->own);
	memory_free(c);
}

/* Out of the idle ones: all of a server, or those nobody used for long (server: none). */
static struct connection *
take_out(struct pool *p, size_t server, int64_t before_ms)
{
	struct connection **at = &p->idle, *c, *out = NULL;

	while ((c = *at) != NULL) {
		if (c->server != server && c->since_ms >= before_ms) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		c->next = out;
		out = c;
	}
	return out;
}

static void
close_all(struct pool *p, struct connection *c)
{
	for (struct connection *next; c != NULL; c = next) {
		next = c->next;
		connection_close(p, c);
	}
}

/* No pool is closed meanwhile. */
bool
pools_tidy(void)
{
	bool any = false;

	(void)pthread_mutex_lock(&pools_lock);
	for (struct pool *p = pools; p != NULL; p = p->next) {
		struct connection *old;
		(void)pthread_mutex_lock(&p->lock);
		old = take_out(p, SIZE_MAX, clock_patient_ms() - p->idle_ms);
		any = any || p->idle != NULL;
		(void)pthread_mutex_unlock(&p->lock);
		close_all(p, old);
	}
	(void)pthread_mutex_unlock(&pools_lock);
	return any;
}

void
pool_close(struct pool **pp)
{
	struct pool *p = *pp, **at = &pools;

	*pp = NULL;
	if (p == NULL)
		return;
	(void)pthread_mutex_lock(&pools_lock);
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	(void)pthread_mutex_unlock(&pools_lock);
	close_all(p, take_out(p, SIZE_MAX, INT64_MAX));
	(void)pthread_mutex_destroy(&p->lock);
	memory_free(p->server);
	memory_free(p);
}

/* The server that is to be tried as the n-th. */
static size_t
in_turn(const struct pool *p, size_t n)
{
	size_t far = p->servers - p->local;

	return n < p->local ? n : p->local + (n - p->local + p->turn) % far;
}

/* One to be connected to now.  Of several who ask while it is away, one is the first to try again. */
static bool
choose_server(struct pool *p, int64_t now, const bool *tried, size_t *server)
{
	for (size_t n = 0; n < p->servers; n++) {
		struct server *s = &p->server[ *server = in_turn(p, n)];
		if (tried[*server] || s->again_ms > now)
			continue;
		if (s->again_ms > 0)
			s->again_ms = now + p->timeout_ms;
		return true;
	}
	return false;
}

static void
server_works(struct pool *p, size_t server)
{
	(void)pthread_mutex_lock(&p->lock);
	p->server[server].again_ms = 0;
	p->server[server].wait_ms = 0;
	(void)pthread_mutex_unlock(&p->lock);
}

/* What else is connected to it is of no use either. */
static void
server_is_away(struct pool *p, size_t server, bool leave_alone)
{
	struct connection *lost;
	struct server     *s = &p->server[server];

	(void)pthread_mutex_lock(&p->lock);
	lost = take_out(p, server, 0);
	if (leave_alone) {
		s->wait_ms = p->retry_ms >= 0                ? p->retry_ms
		             : s->wait_ms == 0               ? AWAY_LEAST_MS
		             : s->wait_ms * 2 > AWAY_MOST_MS ? AWAY_MOST_MS
		                                             : s->wait_ms * 2;
		s->again_ms = clock_patient_ms() + s->wait_ms;
	}
	(void)pthread_mutex_unlock(&p->lock);
	close_all(p, lost);
}

static struct connection *
connect_to(struct pool *p, size_t server, int timeout_ms, struct buffer *why)
{
	struct connection *c;
	void              *own = p->ways->connect(p->ctx, p->server[server].name, timeout_ms, why);

	if (own == NULL) {
		server_is_away(p, server, true);
		return NULL;
	}
	c = memory_take(sizeof *c);
	*c = (struct connection){ .own = own, .server = server, .fresh = true };
	return c;
}

/* One that lies about, or a new one; NULL when there is no server left to try. */
static struct connection *
connection_take(struct pool *p, bool *tried, int timeout_ms, struct buffer *why)
{
	int64_t            now = clock_patient_ms();
	struct connection *c, *old;
	size_t             server;
	bool               chosen;

	(void)pthread_mutex_lock(&p->lock);
	old = take_out(p, SIZE_MAX, now - p->idle_ms);
	if ((c = p->idle) != NULL)
		p->idle = c->next;
	chosen = c == NULL && choose_server(p, now, tried, &server);
	(void)pthread_mutex_unlock(&p->lock);
	close_all(p, old);
	if (!chosen)
		return c;
	tried[server] = true;
	return connect_to(p, server, timeout_ms, why);
}

static void
connection_give(struct pool *p, struct connection *c)
{
	server_works(p, c->server);
	c->fresh = false;
	c->since_ms = clock_patient_ms();
	(void)pthread_mutex_lock(&p->lock);
	c->next = p->idle;
	p->idle = c;
	(void)pthread_mutex_unlock(&p->lock);
}

static bool
any_left(struct pool *p, const bool *tried)
{
	int64_t now = clock_patient_ms();
	bool    any = false;

	(void)pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < p->servers; i++)
		any = any || (!tried[i] && p->server[i].again_ms <= now);
	any = any || p->idle != NULL;
	(void)pthread_mutex_unlock(&p->lock);
	return any;
}

/* A fresh one that is lost, or one that let us wait, means that its server is away. */
static void
connection_lost(struct pool *p, struct connection *c, bool waited)
{
	server_is_away(p, c->server, c->fresh || waited);
	connection_close(p, c);
}

static bool
ask_on(struct pool *p, int64_t until,
       enum pool_asked (*ask)(void *asker, void *connection, int timeout_ms, struct buffer *why),
       void *asker, struct buffer *why)
{
	bool   *tried = memory_take(p->servers + 1);
	bool    done = false;
	int64_t share = p->timeout_ms / (int64_t)(p->servers > 0 ? p->servers : 1);

	for (int64_t left;
	     !done && (left = until - clock_patient_ms()) > 0 && any_left(p, tried);) {
		int64_t            most = left < share               ? left
		                          : share > ATTEMPT_LEAST_MS ? share
		                                                     : ATTEMPT_LEAST_MS;
		struct connection *c = connection_take(p, tried, (int)most, why);
		int64_t            before = clock_patient_ms();
		if (c == NULL)
			continue;
		if ((left = until - before) > 0 &&
		    ask(asker, c->own, (int)(left < most ? left : most), why) == POOL_DONE) {
			connection_give(p, c);
			done = true;
		} else {
			connection_lost(p, c, clock_patient_ms() - before >= most / 2);
		}
	}
	memory_free(tried);
	return done;
}

bool
pool_ask(struct pool *p,
         enum pool_asked (*ask)(void *asker, void *connection, int timeout_ms, struct buffer *why),
         void *asker, struct buffer *why)
{
	if (ask_on(p, clock_patient_ms() + p->timeout_ms, ask, asker, why))
		return true;
	if (why->len == 0)
		buffer_add_string(why,
		                  "it did not answer a moment ago and is left alone for a while");
	return false;
}
