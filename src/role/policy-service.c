#include "role/policy-service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/journal.h"
#include "base/map.h"
#include "channel/stream.h"

enum { ADDRESSES_MOST = 8 };

struct place {
	socklen_t len;
	union {
		struct sockaddr     any;
		struct sockaddr_in  four;
		struct sockaddr_in6 six;
		struct sockaddr_un  path;
	} at;
};

/* A service, as one word of the settings names it. */
struct pool {
	struct services        *services;
	struct arena           *life;
	struct service          service;
	struct connection      *idle; /* the last used first */
	struct service_request *waiting, **last;
	size_t                  connections;
	bool                    failing;
};
struct connection {
	struct connection      *next, **at; /* of all of its services */
	struct connection      *idler;      /* among the idle ones    */
	struct pool            *pool;
	struct service_request *request; /* NULL: idle             */
	struct stream          *stream;  /* NULL: being connected  */
	struct watch           *watch;
	int                     fd;
	int64_t                 opened, requests;
};
struct service_request {
	struct service_request      *next; /* waiting for a connection, `queued` */
	struct pool                 *pool;
	struct connection           *connection;
	struct policy_name_question *question; /* where the host is      */
	struct timer                *timer;
	struct errand                again;
	struct buffer                text;
	struct place                 place[ADDRESSES_MOST];
	size_t                       places, tried;
	int64_t                      failures;
	bool                         queued, pausing;
	service_answered            *answered;
	void                        *ctx;
};
struct services {
	struct house        *house;
	struct policy_names *names;
	struct map          *pools; /* word -> struct pool    */
	struct connection   *all;
	uint64_t             asked, failed;
};

static void request_go(struct service_request *);
static void request_failed(struct service_request *, bool was_idle, const char *why);

/*
 * Connections
 */

static void
unlist_idle(struct connection *c)
{
	for (struct connection **at = &c->pool->idle; *at != NULL; at = &(*at)->idler)
		if (*at == c) {
			*at = c->idler;
			return;
		}
}

static void
connection_close(struct connection *c)
{
	if (c->request == NULL)
		unlist_idle(c);
	else
		c->request->connection = NULL;
	watch_close(&c->watch);
	if (c->stream != NULL)
		stream_close(&c->stream);
	else if (c->fd >= 0)
		(void)close(c->fd);
	*c->at = c->next;
	if (c->next != NULL)
		c->next->at = c->at;
	c->pool->connections--;
	memory_free(c);
}

/* Whoever has waited longest has the next turn. */
static void
pool_next(struct pool *p)
{
	struct service_request *r = p->waiting;

	if (r == NULL || (p->idle == NULL && p->connections >= SERVICE_CONNECTIONS_MOST))
		return;
	p->waiting = r->next;
	if (p->waiting == NULL)
		p->last = &p->waiting;
	r->queued = false;
	request_go(r);
}

/* It served; may it once more?  Whoever says more than was asked would be heard as the answer to the next question. */
static void
connection_rest(struct connection *c)
{
	const struct service_settings *set = &c->pool->service.set;
	int64_t                        now = loop_now_ms(c->pool->services->house->loop);

	c->request->connection = NULL;
	c->request = NULL;
	c->idler = c->pool->idle;
	c->pool->idle = c;
	c->requests++;
	if ((set->request_limit > 0 && c->requests >= set->request_limit) ||
	    now - c->opened >= set->max_ttl || stream_peek(c->stream).len > 0)
		connection_close(c);
	else
		stream_patience(c->stream, set->max_idle);
}

static void
request_end(struct service_request *r)
{
	policy_names_drop(&r->question);
	timer_close(&r->timer);
	errand_clear(&r->again);
	buffer_free(&r->text);
	memory_free(r);
}

static void
answered(struct connection *c, struct bytes action, size_t used)
{
	struct service_request *r = c->request;
	struct pool            *p = c->pool;
	struct arena           *scratch = arena_open(NULL);

	action = arena_keep(scratch, action);
	stream_eat(c->stream, used);
	connection_rest(c);
	if (p->failing)
		note("policy service %.*s: answers again", (int)p->service.word.len,
		     p->service.word.at);
	p->failing = false;
	r->answered(r->ctx, true, action);
	request_end(r);
	arena_close(&scratch);
	pool_next(p);
}

static void
arrived(void *ctx)
{
	struct connection      *c = ctx;
	struct service_request *r = c->request;
	struct bytes            action;
	size_t                  used;

	if (r == NULL) { /* nobody asked */
		connection_close(c);
		return;
	}
	switch (service_reply(stream_peek(c->stream), &used, &action)) {
	case SERVICE_SHORT: return;
	case SERVICE_ANSWERED: answered(c, action, used); return;
	case SERVICE_BROKEN:
		connection_close(c);
		request_failed(r, false, "what it says is no answer");
		return;
	}
}

static void
closed(void *ctx, const char *why)
{
	struct connection      *c = ctx;
	struct service_request *r = c->request;
	bool                    was_idle = c->requests > 0 && stream_peek(c->stream).len == 0;

	connection_close(c);
	if (r != NULL)
		request_failed(r, was_idle, why);
}

static void
silent(void *ctx)
{
	struct connection *c = ctx;

	if (c->request == NULL)
		connection_close(c);
}

static void
say_request(struct connection *c)
{
	stream_patience(c->stream, 0);
	stream_say(c->stream, buffer_bytes(&c->request->text));
	stream_say(c->stream, BYTES("\n"));
}

static void
connection_begin(struct connection *c)
{
	static const struct stream_events events = { .arrived = arrived,
		                                     .closed = closed,
		                                     .silent = silent };

	watch_close(&c->watch);
	c->stream = stream_open(c->pool->services->house->loop, c->fd, &events, c);
	c->fd = -1;
	stream_most_unread(c->stream, SERVICE_REPLY_MOST * 2);
	say_request(c);
}

static void
connected(void *ctx, int bits)
{
	struct connection      *c = ctx;
	struct service_request *r = c->request;
	int                     why = 0;
	socklen_t               len = sizeof why;

	(void)bits;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0)
		why = errno;
	if (why == 0) {
		connection_begin(c);
		return;
	}
	connection_close(c);
	request_failed(r, r->tried < r->places, strerror(why));
}

/* A connection to the next of its addresses. */
static void
connection_open(struct service_request *r)
{
	struct services    *s = r->pool->services;
	const struct place *to = &r->place[r->tried++];
	struct connection  *c = memory_take(sizeof *c);
	int fd = socket(to->at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int why = fd < 0 || connect(fd, &to->at.any, to->len) < 0 ? errno : 0;

	*c = (struct connection){ .next = s->all,
		                  .at = &s->all,
		                  .pool = r->pool,
		                  .request = r,
		                  .fd = fd,
		                  .opened = loop_now_ms(s->house->loop) };
	if (s->all != NULL)
		s->all->at = &c->next;
	s->all = c;
	r->pool->connections++;
	r->connection = c;
	if (why == 0)
		connection_begin(c);
	else if (why == EINPROGRESS) {
		c->watch = watch_open(s->house->loop, fd, connected, c);
		watch_want(c->watch, LOOP_WRITE);
	} else {
		connection_close(c);
		request_failed(r, r->tried < r->places, strerror(why));
	}
}

/*
 * Where it is
 */

static void
add_address(struct service_request *r, struct bytes text)
{
	struct place *p = &r->place[r->places];
	uint64_t      port = 0;
	char          name[64];

	if (r->places == ADDRESSES_MOST || !bytes_string(text, name, sizeof name) ||
	    !bytes_number(r->pool->service.port, &port) || port == 0 || port > UINT16_MAX)
		return;
	*p = (struct place){ 0 };
	if (inet_pton(AF_INET, name, &p->at.four.sin_addr) == 1) {
		p->at.four.sin_family = AF_INET;
		p->at.four.sin_port = htons((uint16_t)port);
		p->len = sizeof p->at.four;
	} else if (inet_pton(AF_INET6, name, &p->at.six.sin6_addr) == 1) {
		p->at.six.sin6_family = AF_INET6;
		p->at.six.sin6_port = htons((uint16_t)port);
		p->len = sizeof p->at.six;
	} else {
		return;
	}
	r->places++;
}

static void
add_path(struct service_request *r, const char *directory, struct bytes path)
{
	struct place *p = &r->place[r->places];
	int           n;

	if (r->places == ADDRESSES_MOST)
		return;
	*p = (struct place){ .len = sizeof p->at.path };
	p->at.path.sun_family = AF_UNIX;
	n = snprintf(p->at.path.sun_path, sizeof p->at.path.sun_path, "%s%s%.*s", directory,
	             *directory == '\0' ? "" : "/", (int)path.len, path.at);
	if (n > 0 && (size_t)n < sizeof p->at.path.sun_path)
		r->places++;
}

/* "address name name ..." in lines (hosts(5)). */
static void
add_from_hosts(struct service_request *r)
{
	const char  *hosts = house_resource_text(r->pool->services->house, "hosts");
	struct bytes rest = bytes_of(hosts), line;

	while (bytes_split(&rest, '\n', &line)) {
		struct bytes word, address = { NULL, 0 };
		ptrdiff_t    comment = bytes_find(line, '#');
		size_t       i = 0;
		line = bytes_cut(line, 0, comment < 0 ? line.len : (size_t)comment);
		while (i < line.len) {
			size_t from = i;
			while (i < line.len && line.at[i] != ' ' && line.at[i] != '\t')
				i++;
			word = bytes_cut(line, from, i - from);
			i++;
			if (word.len == 0)
				continue;
			if (address.at == NULL)
				address = word;
			else if (bytes_equal_nocase(word, r->pool->service.host))
				add_address(r, address);
		}
	}
}

static void
host_found(void *ctx, enum policy_names_outcome outcome, struct bytes text)
{
	struct service_request *r = ctx;
	struct bytes            part;

	r->question = NULL;
	while (outcome == POLICY_NAME_FOUND && bytes_split(&text, ' ', &part))
		add_address(r, part);
	if (r->places > 0)
		connection_open(r);
	else
		request_failed(r, false, "its host has no address");
}

/* A name in each of the directories. */
static void
add_paths(struct service_request *r, struct bytes name)
{
	const char *in =
		settings_value(r->pool->services->house->settings, "lmtp_socket_directories");
	struct bytes rest = bytes_of(in), one;

	while (bytes_split(&rest, ' ', &one))
		if (one.len > 1 && one.at[0] == '/') {
			char directory[108];
			if (bytes_string(one, directory, sizeof directory))
				add_path(r, directory, name);
		}
}

static void
find_places(struct service_request *r)
{
	const struct service *s = &r->pool->service;
	ptrdiff_t             slash = bytes_find_last(s->path, '/');

	r->places = r->tried = 0;
	if (s->path.len > 0 && s->path.at[0] == '/')
		add_path(r, "", s->path);
	else if (s->path.len > 0)
		add_paths(r, bytes_cut(s->path, (size_t)(slash + 1), SIZE_MAX));
	else {
		add_address(r, s->host);
		if (r->places == 0)
			add_from_hosts(r);
		if (r->places == 0 && bytes_is(s->host, "localhost")) {
			add_address(r, BYTES("127.0.0.1"));
			add_address(r, BYTES("::1"));
		}
	}
}

/*
 * Requests
 */

static void
out_of_time(void *ctx)
{
	struct service_request *r = ctx;

	if (r->pausing) {
		r->pausing = false;
		request_go(r);
		return;
	}
	if (r->connection != NULL)
		connection_close(r->connection);
	request_failed(r, false, "no answer in time");
}

static void
leave_queue(struct service_request *r)
{
	struct service_request **at = &r->pool->waiting;

	while (r->queued && *at != NULL && *at != r)
		at = &(*at)->next;
	if (!r->queued || *at == NULL)
		return;
	*at = r->next;
	if (*at == NULL)
		r->pool->last = at;
	r->queued = false;
}

static void
give_up(struct service_request *r, const char *why)
{
	struct pool *p = r->pool;

	p->services->failed++;
	if (!p->failing)
		warn_("policy service %.*s: %s", (int)p->service.word.len, p->service.word.at, why);
	p->failing = true;
	r->answered(r->ctx, false, bytes_of(why));
	request_end(r);
	pool_next(p);
}

/* What an idle connection lost, or an address that has a neighbour, is tried again at once. */
static void
request_failed(struct service_request *r, bool at_once, const char *why)
{
	const struct service_settings *set = &r->pool->service.set;

	policy_names_drop(&r->question);
	leave_queue(r);
	if (at_once) {
		errand_set(r->pool->services->house->loop, &r->again);
		return;
	}
	if (++r->failures >= set->try_limit) {
		give_up(r, why);
		return;
	}
	r->tried = 0;
	r->pausing = true;
	timer_set(r->timer, set->retry_delay);
}

static void
request_go(struct service_request *r)
{
	struct pool       *p = r->pool;
	struct connection *c = p->idle;

	if (r->tried == 0 || r->tried >= r->places)
		timer_set(r->timer, p->service.set.timeout);
	if (c != NULL) {
		p->idle = c->idler;
		c->request = r;
		r->connection = c;
		say_request(c);
		return;
	}
	if (p->connections >= SERVICE_CONNECTIONS_MOST) {
		r->queued = true;
		r->next = NULL;
		*p->last = r;
		p->last = &r->next;
		return;
	}
	if (r->tried == 0 || r->tried >= r->places)
		find_places(r);
	if (r->places > 0)
		connection_open(r);
	else if (p->service.path.len > 0)
		request_failed(r, false, "there is no such path");
	else
		r->question = policy_names_ask(p->services->names, NULL, "A", p->service.host,
		                               host_found, r);
}

static void
begin(void *ctx)
{
	request_go(ctx);
}

static struct pool *
pool_of(struct services *s, const struct service *service)
{
	struct pool *p = map_get(s->pools, service->word);
	const char  *wrong;

	if (p == NULL) {
		p = memory_take(sizeof *p);
		p->services = s;
		p->life = arena_open(NULL);
		p->last = &p->waiting;
		(void)map_put(s->pools, service->word, p);
		if (!service_parse(arena_keep(p->life, service->word), &service->set, p->life,
		                   &p->service, &wrong))
			p->service = (struct service){ .word = arena_keep(p->life, service->word) };
	}
	/* What all have in common may be new, and what stands in its braces is not. */
	p->service.set = service->set;
	p->service.set.default_action = p->service.set.policy_context = "";
	return p;
}

struct service_request *
services_ask(struct services *s, const struct service *service, struct bytes request,
             service_answered *answer, void *ctx)
{
	struct service_request *r;

	if (map_count(s->pools) >= SERVICES_MOST && map_get(s->pools, service->word) == NULL) {
		answer(ctx, false, BYTES("too many policy services"));
		return NULL;
	}
	r = memory_take(sizeof *r);
	r->pool = pool_of(s, service);
	r->timer = timer_open(s->house->loop, out_of_time, r);
	r->again = (struct errand){ .go = begin, .ctx = r };
	r->answered = answer;
	r->ctx = ctx;
	buffer_add(&r->text, request);
	s->asked++;
	errand_set(s->house->loop, &r->again);
	return r;
}

/* An answer on its way would be taken for another's: the connection ends with it. */
void
services_drop(struct service_request **rp)
{
	struct service_request *r = *rp;
	struct pool            *p;

	*rp = NULL;
	if (r == NULL)
		return;
	p = r->pool;
	leave_queue(r);
	if (r->connection != NULL)
		connection_close(r->connection);
	request_end(r);
	pool_next(p);
}

struct services *
services_open(struct house *h, struct policy_names *names)
{
	struct services *s = memory_take(sizeof *s);

	s->house = h;
	s->names = names;
	s->pools = map_open();
	return s;
}

void
services_reload(struct services *s)
{
	for (struct map_place at = { 0 }; map_next(s->pools, &at);) {
		struct pool *p = at.value;
		while (p->idle != NULL)
			connection_close(p->idle);
		p->failing = false;
	}
}

void
services_close(struct services **sp)
{
	struct services *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	services_reload(s);
	for (struct map_place at = { 0 }; map_next(s->pools, &at);) {
		struct pool *p = at.value;
		arena_close(&p->life);
		memory_free(p);
	}
	map_close(&s->pools);
	memory_free(s);
}

void
services_status(const struct services *s, struct buffer *out)
{
	buffer_printf(out, "services=%zu service_requests=%llu service_failures=%llu",
	              map_count(s->pools), (unsigned long long)s->asked,
	              (unsigned long long)s->failed);
}
