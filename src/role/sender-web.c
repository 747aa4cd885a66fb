/* sender-web -- one request to a web server: a policy is fetched (rfc8461:3.3), a report is given (rfc8460:3) */
#include "role/sender.h"
#include "smtp/sender/route.h"
#include "smtp/sender/webreply.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Whoever says a byte at a time has it read anew as often: not for ever. */
enum {
	HTTPS = 443,
	WEB_MS = 30000,
	ADDRESSES_MOST = 8,
	QUESTIONS = 2,
	PIECES_MOST = 4000,
	SMTP_PORT = 25
};

struct web_asked {
	struct web   *web;
	struct lookup lookup;
	bool          open;
};

struct web {
	struct house           *house;
	struct arena           *life;
	const char             *host;
	struct web_request      r;
	web_done               *done;
	void                   *ctx;
	struct web_asked        asked[QUESTIONS];
	struct sockaddr_storage address[ADDRESSES_MOST];
	socklen_t               len[ADDRESSES_MOST];
	size_t                  addresses, at;
	unsigned                pieces;
	int                     fd;
	struct watch           *watch;
	struct stream          *stream;
	struct tls             *tls;
	struct tls_demand       wish;
	struct timer           *timer;
	struct errand           end;
	enum web_trouble        trouble;
	const char             *why;
	struct webreply         reply;
	bool                    over;
};

static void web_try(struct web *);

/* What hangs on it is let go at the beginning of the next turn. */
static void
web_close(void *ctx)
{
	struct web   *w = ctx;
	struct arena *life = w->life;

	if (w->done != NULL)
		w->done(w->ctx, w->trouble, w->trouble == WEB_GOOD ? "" : w->why, &w->reply);
	for (size_t i = 0; i < COUNT(w->asked); i++)
		lookup_clear(&w->asked[i].lookup);
	errand_clear(&w->end);
	timer_close(&w->timer);
	watch_close(&w->watch);
	if (w->fd >= 0)
		(void)close(w->fd);
	if (w->stream != NULL)
		stream_close(&w->stream);
	if (w->tls != NULL)
		tls_close(&w->tls);
	arena_close(&life);
}

static void
web_over(struct web *w, enum web_trouble t, const char *why)
{
	if (w->over)
		return;
	w->over = true;
	w->trouble = t;
	w->why = arena_copy(w->life, bytes_of(why));
	errand_set(w->house->loop, &w->end);
}

static void
time_over(void *ctx)
{
	web_over(ctx, WEB_UNREACHED, "it took too long");
}

/* ---- the connection ---- */

static void
say_request(struct web *w)
{
	struct buffer *out = stream_out(w->stream);

	buffer_printf(out,
	              "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Mansio\r\nConnection: close\r\n",
	              w->r.content.len > 0 ? "POST" : "GET", w->r.path, w->host);
	if (w->r.content.len > 0)
		buffer_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", w->r.type,
		              w->r.content.len);
	buffer_add_string(out, "\r\n");
	buffer_add(out, w->r.content);
}

static void
secured(void *ctx, bool ok, const char *why)
{
	struct web      *w = ctx;
	struct tls_facts facts;

	if (w->over)
		return;
	if (!ok || !stream_tls_facts(w->stream, &facts))
		web_over(w, WEB_UNTRUSTED, why);
	else if (!facts.trusted)
		web_over(w, WEB_UNTRUSTED, facts.doubt);
	else if (!stream_tls_is_for(w->stream, w->host))
		web_over(w, WEB_UNTRUSTED, "its certificate is for another name");
	else
		say_request(w);
}

static void
read_reply(struct web *w, bool ended)
{
	if (++w->pieces > PIECES_MOST) {
		web_over(w, WEB_NONSENSE, "its answer comes in too many pieces");
		return;
	}
	switch (webreply_read(stream_peek(w->stream), ended, w->r.most, w->life, &w->reply)) {
	case WEB_MORE: return;
	case WEB_WHOLE: web_over(w, WEB_GOOD, ""); return;
	case WEB_BROKEN:
		web_over(w, WEB_NONSENSE,
		         ended ? "its answer is not whole" : "its answer is too long, or no HTTP");
	}
}

static void
arrived(void *ctx)
{
	struct web *w = ctx;

	if (!w->over)
		read_reply(w, false);
}

static void
closed(void *ctx, const char *why)
{
	struct web *w = ctx;

	if (w->over)
		return;
	if (strcmp(why, "end of file") == 0)
		read_reply(w, true);
	web_over(w, WEB_UNREACHED, why);
}

static const struct stream_events events = { .arrived = arrived,
	                                     .secured = secured,
	                                     .closed = closed };

static void
writable(void *ctx, int bits)
{
	struct web *w = ctx;
	int         why = 0;
	socklen_t   len = sizeof why;

	(void)bits;
	if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0)
		why = errno;
	watch_close(&w->watch);
	if (why != 0) {
		w->why = strerrordesc_np(why);
		(void)close(w->fd);
		w->fd = -1;
		web_try(w);
		return;
	}
	w->stream = stream_open(w->house->loop, w->fd, &events, w);
	w->fd = -1;
	stream_most_unread(w->stream, WEB_HEADER_MOST + 2 * w->r.most);
	stream_secure_to(w->stream, w->tls, &w->wish);
}

/* The next address. */
static void
web_try(struct web *w)
{
	for (; w->at < w->addresses; w->at++) {
		const struct sockaddr *to = (const struct sockaddr *)&w->address[w->at];

		w->fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (w->fd >= 0 &&
		    (connect(w->fd, to, w->len[w->at]) == 0 || errno == EINPROGRESS)) {
			w->at++;
			w->watch = watch_open(w->house->loop, w->fd, writable, w);
			watch_want(w->watch, LOOP_WRITE);
			return;
		}
		w->why = strerrordesc_np(errno);
		if (w->fd >= 0)
			(void)close(w->fd);
		w->fd = -1;
	}
	web_over(w, WEB_UNREACHED, w->why);
}

/* ---- addresses ---- */

/* Whose web server it is, others say: it does not lead us to our own machine, nor where the settings forbid it.  Who has no mail of
   the world (another port than 25) has their web server where they like. */
static bool
is_to_be_asked(struct web *w, const struct sockaddr_storage *to)
{
	const struct sender_settings *rows = &sender_of(w->house)->rows;
	struct peer                   p;

	if (!peer_from(to, &p) || route_is_nowhere(&rows->forbidden, &p) ||
	    (rows->tcp_port == SMTP_PORT && route_is_inside(&p))) {
		w->why = "its address is not one to be asked";
		return false;
	}
	return true;
}

static void
add_address(struct web *w, const struct answer_record *r)
{
	struct sockaddr_storage *to = &w->address[w->addresses];
	struct sockaddr_in      *v4 = (void *)to;
	struct sockaddr_in6     *v6 = (void *)to;

	if (w->addresses == ADDRESSES_MOST || (r->data.len != 4 && r->data.len != 16))
		return;
	*to = (struct sockaddr_storage){ 0 };
	if (r->data.len == 4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(HTTPS);
		memcpy(&v4->sin_addr, r->data.at, 4);
	} else {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(HTTPS);
		memcpy(&v6->sin6_addr, r->data.at, 16);
	}
	if (is_to_be_asked(w, to))
		w->len[w->addresses++] = r->data.len == 4 ? sizeof *v4 : sizeof *v6;
}

static void
answered(void *ctx, const struct answer *x)
{
	struct web_asked *q = ctx;
	struct web       *w = q->web;

	q->open = false;
	for (size_t i = 0; x->status == ANSWER_FOUND && i < x->records; i++)
		add_address(w, &x->record[i]);
	for (size_t i = 0; i < COUNT(w->asked); i++)
		if (w->asked[i].open)
			return;
	if (!w->over)
		web_try(w);
}

void
sender_web(struct house *h, const char *host, const struct web_request *r, web_done *done,
           void *ctx)
{
	static const uint16_t types[] = { DNS_A, DNS_AAAA };
	struct sender_role   *s = sender_of(h);
	struct arena         *life = arena_open(NULL);
	struct web           *w = arena_take(life, sizeof *w);
	struct tls           *tls = sender_tls_web(h);

	*w = (struct web){ .house = h, .life = life, .fd = -1, .done = done, .ctx = ctx };
	w->why = "it has no address";
	w->host = arena_copy(life, bytes_of(host));
	w->wish.name = w->host;
	w->r = (struct web_request){ .path = arena_copy(life, bytes_of(r->path)),
		                     .type = r->type,
		                     .content = arena_keep(life, r->content),
		                     .most = r->most };
	w->end = (struct errand){ .go = web_close, .ctx = w };
	w->timer = timer_open(h->loop, time_over, w);
	timer_set(w->timer, WEB_MS);
	if (tls == NULL || s->resolver == NULL) {
		web_over(w, WEB_UNREACHED, "no authority is trusted, or no resolver is set");
		return;
	}
	w->tls = tls_share(tls);
	for (size_t i = 0; i < COUNT(types); i++) {
		w->asked[i].web = w;
		w->asked[i].open = true;
		w->asked[i].lookup = (struct lookup){ .answered = answered, .ctx = &w->asked[i] };
	}
	for (size_t i = 0; i < COUNT(types); i++)
		resolver_ask(s->resolver, &w->asked[i].lookup, bytes_of(w->host), types[i]);
}
