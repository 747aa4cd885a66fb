/*
 * guide -- tells mail programs by HTTP how to reach this server (guide.h)
 *
 * A visit is one connection with one request: it is read (guide/webrequest), it is found out what it wants (guide/webwish), the clerk is
 * asked whether the domain is ours, and it is answered.  Who comes to see the answer to a challenge of the ACME server goes on
 * to the certifier, with the socket and what was read of it.
 */
#include "role/guide.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/random.h"
#include "channel/listener.h"
#include "channel/stream.h"
#include "guide/webwish.h"
#include "role/house.h"
#include "role/tls.h"

/* A web server before us brings all its clients from one address. */
enum { VISITS_MOST = 256, VISITS_OF_ONE = 64, PATIENCE_MS = 10000 };

struct web_door {
	struct house    *house;
	struct web_door *next;
	struct listener *listener;
	int              fd;
	bool             tls, seen;
};
struct visit {
	struct house  *house;
	bool           tls, head, told_to_go_on, asked;
	struct stream *stream;
	struct timer  *late;
	struct arena  *life;
	struct peer    peer;
	char           network[48];
	uint32_t       ticket;
	struct webwish wish;
};
struct guide {
	struct web_door    *doors;
	struct tls         *tls;
	struct map         *visits;   /* ticket -> struct visit   */
	struct map         *networks; /* visits of each, counted  */
	uint32_t            last_ticket;
	struct client_facts facts;
	uint64_t            told, refused;
};

static struct guide *
guide_of(struct house *h)
{
	return h->mine;
}

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

/* ---- what is told ---- */

/* Of one listener, the chains it shows: "USE TAB NAME TAB file TAB file". */
static void
add_chains(struct house *h, const char *listener, struct buffer *out)
{
	const struct tls_signer signer = house_signer(h);
	char                    name[64];
	struct bytes            rest, line, skipped;
	const char             *list, *text;

	(void)snprintf(name, sizeof name, "certificates/%s", listener);
	if ((list = house_resource_text(h, name)) == NULL)
		return;
	for (rest = bytes_of(list); bytes_split(&rest, '\n', &line);)
		if (bytes_split(&line, '\t', &skipped) && bytes_split(&line, '\t', &skipped) &&
		    (text = house_tls_chain(h, "certificate", line, &signer)) != NULL)
			buffer_printf(out, "%s# key\n", text);
}

static bool
shows(void *ctx, const char *listener)
{
	return house_tls_is_set(ctx, listener);
}

/* The certificate that readers see is the one that counts; submission has the same, unless somebody says otherwise. */
static void
find_facts(struct house *h)
{
	struct client_facts  *f = &guide_of(h)->facts;
	struct guide_settings r;
	struct buffer         chains = { 0 };

	guide_services(h->settings, &h->common, shows, h, f);
	if (f->servers == 0)
		warn_("autoconfig: no listener of readers or submission has TLS, so mail programs are told nothing: set smtpd_tls_cert_file and smtpd_tls_key_file");
	if (house_settings(h, &guide_setting_table, NULL, &r) && *r.host != '\0')
		(void)snprintf(f->host, sizeof f->host, "%.255s", r.host);
	else {
		add_chains(h, listener_names[LISTEN_IMAPS], &chains);
		if (chains.len == 0)
			add_chains(h, listener_names[LISTEN_SUBMISSIONS], &chains);
		(void)guide_name(buffer_bytes(&chains), h->common.myhostname, f->host);
		if (strcmp(f->host, h->common.myhostname) != 0)
			warn_("autoconfig: no certificate has the name %s (myhostname), so mail programs are told %s; autoconfig_host says another",
			      h->common.myhostname, f->host);
	}
	buffer_free(&chains);
}

/* ---- visits ---- */

static uintptr_t
network_count(struct guide *g, const char *network, int change)
{
	uintptr_t n = (uintptr_t)map_get(g->networks, bytes_of(network));

	n = (uintptr_t)((intptr_t)n + change);
	if (n == 0)
		(void)map_drop(g->networks, bytes_of(network));
	else if (change != 0)
		(void)map_put(g->networks, bytes_of(network), (void *)n);
	return n;
}

static void
visit_end(struct visit *v)
{
	struct guide *g = guide_of(v->house);

	(void)map_drop(g->visits, ticket_key(&v->ticket));
	(void)network_count(g, v->network, -1);
	timer_close(&v->late);
	stream_close(&v->stream);
	arena_close(&v->life);
	memory_free(v);
}

static const char *
reason_of(unsigned status)
{
	static const struct {
		unsigned    status;
		const char *words;
	} rows[] = {
		{ 200, "OK" },
		{ 302, "Found" },
		{ 400, "Bad Request" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 411, "Length Required" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 417, "Expectation Failed" },
		{ 431, "Request Header Fields Too Large" },
		{ 501, "Not Implemented" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		if (rows[i].status == status)
			return rows[i].words;
	return "Error";
}

/* rfc9110:5.6.7, in the words of the RFC whatever the locale. */
static void
add_date(struct buffer *out)
{
	static const char days[] = "SunMonTueWedThuFriSat",
			  months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t    now = (time_t)clock_wall();
	struct tm t;

	if (gmtime_r(&now, &t) != NULL)
		buffer_printf(out, "Date: %.3s, %02d %.3s %d %02d:%02d:%02d GMT\r\n",
		              days + 3 * t.tm_wday, t.tm_mday, months + 3 * t.tm_mon,
		              t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

/* The one answer of a visit; `fields` end with CRLF each. */
static void
reply(struct visit *v, unsigned status, const char *fields, struct bytes body)
{
	struct guide  *g = guide_of(v->house);
	struct buffer *out = stream_out(v->stream);

	buffer_printf(out, "HTTP/1.1 %u %s\r\n", status, reason_of(status));
	add_date(out);
	buffer_printf(out, "%sContent-Length: %zu\r\nConnection: close\r\n\r\n", fields, body.len);
	if (!v->head)
		buffer_add(out, body);
	if (status == 200)
		g->told++;
	else
		g->refused++;
	if (v->wish.domain.len > 0)
		note("autoconfig: %s for %.*s from %s: %u",
		     v->wish.kind == WEBWISH_OUTLOOK ? "autodiscover" : "config-v1.1.xml",
		     (int)v->wish.domain.len, v->wish.domain.at, v->peer.text, status);
	stream_finish(&v->stream);
	visit_end(v);
}

static void
refuse(struct visit *v, unsigned status)
{
	char fields[64] = "";

	if (status == 405)
		(void)snprintf(fields, sizeof fields, "Allow: %s\r\n",
		               v->wish.allow != NULL ? v->wish.allow : "GET, HEAD, POST");
	if (status == 503)
		(void)snprintf(fields, sizeof fields, "Retry-After: 10\r\n");
	reply(v, status, fields, BYTES(""));
}

static void
tell(struct visit *v)
{
	const struct client_facts *f = &guide_of(v->house)->facts;
	struct buffer              body = { 0 };

	if (v->wish.kind == WEBWISH_OUTLOOK)
		client_outlook(f, v->wish.address, &body);
	else
		client_mozilla(f, v->wish.domain, &body);
	reply(v, 200,
	      "Content-Type: text/xml; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n",
	      buffer_bytes(&body));
	buffer_free(&body);
}

/* Outlook asks by GET, without TLS, whether it is to go elsewhere: with TLS it sends an address. */
static void
lead_on(struct visit *v)
{
	char fields[400];

	(void)snprintf(fields, sizeof fields,
	               "Location: https://%s/autodiscover/autodiscover.xml\r\n",
	               guide_of(v->house)->facts.host);
	reply(v, 302, fields, BYTES(""));
}

static size_t
doors_open(const struct guide *g, bool tls)
{
	size_t n = 0;

	for (const struct web_door *d = g->doors; d != NULL; d = d->next)
		n += d->tls == tls && d->listener != NULL;
	return n;
}

static bool
has_https(const struct guide *g)
{
	return g->tls != NULL && doors_open(g, true) > 0;
}

/* The certifier has the answer, and the connection from here on. */
static void
hand_on(struct visit *v)
{
	struct link  *l = house_link(v->house, CERTIFIER, 0);
	struct buffer unread = { 0 };
	int           fd;

	if (l == NULL || v->tls) {
		refuse(v, 404);
		return;
	}
	buffer_add(&unread, stream_peek(v->stream));
	stream_eat(v->stream, unread.len);
	if ((fd = stream_detach(&v->stream, &unread)) >= 0) {
		link_say(l, WORD_VISIT, 0, buffer_bytes(&unread), fd);
		(void)close(fd);
	}
	buffer_free(&unread);
	visit_end(v);
}

static void
ask(struct visit *v)
{
	struct link *l = house_link(v->house, CLERK, 0);

	if (guide_of(v->house)->facts.servers == 0) {
		refuse(v, 404);
		return;
	}
	if (l == NULL) {
		refuse(v, 503);
		return;
	}
	v->asked = true;
	link_say(l, WORD_DOMAIN_ASK, v->ticket, v->wish.domain, -1);
}

static void
obey(struct visit *v, const struct webrequest *r)
{
	struct webwish *e = &v->wish;

	v->head = r->method == WEB_HEAD;
	webwish_of(r, v->life, e);
	if (e->kind == WEBWISH_OUTLOOK && e->status == 405 && r->method == WEB_GET && !v->tls &&
	    has_https(guide_of(v->house)))
		lead_on(v);
	else if (e->status != 0)
		refuse(v, e->status);
	else if (e->kind == WEBWISH_CHALLENGE)
		hand_on(v);
	else
		ask(v);
}

static void
arrived(void *ctx)
{
	struct visit     *v = ctx;
	struct webrequest r;

	if (v->asked)
		return;
	switch (webrequest_read(stream_peek(v->stream), &r)) {
	case WEBREQUEST_MORE:
		if (r.expects && !v->told_to_go_on)
			stream_say_string(v->stream, "HTTP/1.1 100 Continue\r\n\r\n");
		v->told_to_go_on = v->told_to_go_on || r.expects;
		break;
	case WEBREQUEST_WHOLE: obey(v, &r); break;
	case WEBREQUEST_BAD: refuse(v, r.status); break;
	}
}

static void
closed(void *ctx, const char *why)
{
	(void)why;
	visit_end(ctx);
}

/* Who has asked, and waits for the clerk, hears that it may ask again. */
static void
late(void *ctx)
{
	struct visit *v = ctx;

	if (v->asked)
		refuse(v, 503);
	else
		visit_end(v);
}

static void
came(void *ctx, int fd, const struct peer *peer)
{
	static const struct stream_events events = { .arrived = arrived, .closed = closed };
	struct web_door                  *d = ctx;
	struct guide                     *g = guide_of(d->house);
	struct visit                     *v;
	char                              network[48];

	peer_network(peer, network);
	if (map_count(g->visits) >= VISITS_MOST || (d->tls && g->tls == NULL) ||
	    network_count(g, network, 0) >= VISITS_OF_ONE) {
		(void)close(fd);
		return;
	}
	v = memory_take(sizeof *v);
	*v = (struct visit){ .house = d->house, .tls = d->tls, .peer = *peer };
	v->life = arena_open(NULL);
	(void)bytes_string(bytes_of(network), v->network, sizeof v->network);
	while (v->ticket = ++g->last_ticket,
	       v->ticket == 0 || map_get(g->visits, ticket_key(&v->ticket)) != NULL)
		continue;
	(void)map_put(g->visits, ticket_key(&v->ticket), v);
	(void)network_count(g, network, +1);
	v->late = timer_open(d->house->loop, late, v);
	timer_set(v->late, PATIENCE_MS);
	v->stream = stream_open(d->house->loop, fd, &events, v);
	stream_most_unread(v->stream, WEBREQUEST_HEAD_MOST + WEBREQUEST_BODY_MOST + 8);
	if (d->tls)
		stream_secure(v->stream, g->tls);
}

/* ---- doors ---- */

static void
door_set(struct house *h, const char *name, int fd)
{
	struct guide    *g = guide_of(h);
	bool             tls = strcmp(name, "listener/guide-https") == 0;
	struct web_door *d;

	for (d = g->doors; d != NULL; d = d->next)
		if (d->fd == fd && d->tls == tls && d->listener != NULL) {
			d->seen = true;
			return;
		}
	d = memory_take(sizeof *d);
	*d = (struct web_door){ .house = h, .next = g->doors, .fd = fd, .tls = tls, .seen = true };
	d->listener = listener_open(h->loop, fd, came, d);
	g->doors = d;
}

static void
doors_set(struct house *h)
{
	const char *name;
	size_t      place = 0;
	int         fd;

	for (struct web_door *d = guide_of(h)->doors; d != NULL; d = d->next)
		d->seen = false;
	while (house_resource_next(h, "listener/", &place, &name, &fd))
		door_set(h, name, fd);
	for (struct web_door *d = guide_of(h)->doors; d != NULL; d = d->next)
		if (!d->seen)
			listener_close(&d->listener);
}

/* The postmaster has said which, before there was a log: another has the port, or the certifier. */
static void
look_for_doors(struct house *h)
{
	struct guide_settings r;

	if (!house_settings(h, &guide_setting_table, NULL, &r))
		return;
	if (doors_open(guide_of(h), false) < r.http_listen.count)
		warn_("autoconfig_http_listen: there is not all of it to be had, so mail programs that ask there are told nothing by us: another program has the port; "
		      "leave it out there, or let that web server hand the names autoconfig.DOMAIN to an address that is set here");
	if (doors_open(guide_of(h), true) < r.https_listen.count)
		warn_("autoconfig_https_listen: there is not all of it to be had, so mail programs that ask there are told nothing by us: another program has the port");
}

/* Nobody logs in here.  When no certificate works any more, what was in force stays. */
static void
set_tls(struct house *h)
{
	const struct tls_wish wish = {
		.listener = GUIDE_LISTENER,
		.mandatory = true,
		.for_strangers = true,
		.session_id = "http",
		.alpn = "http/1.1",
		.handshake_ms = PATIENCE_MS,
	};
	struct guide *g = guide_of(h);
	struct tls *new = house_tls(h, &wish);

	if (new == NULL && g->tls != NULL &&house_tls_is_set(h, GUIDE_LISTENER))
		return;
	tls_close(&g->tls);
	g->tls = new;
}

/* ---- the day ---- */

static bool
guide_start(struct house *h)
{
	struct guide *g = memory_take(sizeof *g);

	h->mine = g;
	g->last_ticket =
		(uint32_t)random_number(); /* an answer to a guide before us is none to us */
	g->visits = map_open();
	g->networks = map_open();
	set_tls(h);
	find_facts(h);
	return true;
}

static void
guide_work(struct house *h)
{
	doors_set(h);
	look_for_doors(h);
}

static bool
guide_hear(struct house *h, enum role from, uint32_t index, enum word word, uint32_t ticket,
           struct bytes body, int fd)
{
	struct unpack u = unpack_of(body);
	uint8_t       answer = unpack_u8(&u);
	struct visit *v = map_get(guide_of(h)->visits, ticket_key(&ticket));

	(void)from, (void)index;
	if (fd >= 0)
		(void)close(fd);
	if (word != WORD_DOMAIN_IS || !unpack_done(&u) || answer > DOMAIN_LATER)
		return false;
	if (v == NULL || !v->asked)
		return true;
	if (answer == DOMAIN_OURS)
		tell(v);
	else
		refuse(v, answer == DOMAIN_LATER ? 503 : 404);
	return true;
}

/* Who waits for it hears that it is away. */
static void
guide_lost(struct house *h, enum role role, uint32_t index)
{
	(void)index;
	if (role != CLERK)
		return;
	for (struct map_place p = { 0 }; map_next(guide_of(h)->visits, &p);)
		if (((struct visit *)p.value)->asked)
			refuse(p.value, 503);
}

static void
guide_reload(struct house *h)
{
	set_tls(h);
	find_facts(h);
	doors_set(h);
	look_for_doors(h);
}

static void
guide_stop(struct house *h)
{
	for (struct web_door *d = guide_of(h)->doors; d != NULL; d = d->next)
		listener_close(&d->listener);
	for (struct map_place p = { 0 }; map_next(guide_of(h)->visits, &p);)
		visit_end(p.value);
	house_leave(h);
}

static void
guide_status(struct house *h, uint32_t *connections, struct buffer *text)
{
	const struct guide *g = guide_of(h);

	*connections = (uint32_t)map_count(g->visits);
	buffer_printf(text, "http=%zu https=%zu told=%" PRIu64 " refused=%" PRIu64,
	              doors_open(g, false), doors_open(g, true), g->told, g->refused);
}

const struct role_card guide_card = {
	.name = "guide",
	.start = guide_start,
	.work = guide_work,
	.hear = guide_hear,
	.lost = guide_lost,
	.reload = guide_reload,
	.stop = guide_stop,
	.status = guide_status,
};
