/*
 * sender-session -- connections to other hosts: how they come about, how they end, and which are kept for a moment because more
 * waits for the same destination
 */
#include "base/clock.h"
#include "role/sender-contact.h"
#include "sasl/supplicant.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- those that wait for a letter, by what makes two alike -------------------------------------- */

void
contact_idle(struct contact *c)
{
	struct map *all = sender_of(c->house)->idle;

	sender_of(c->house)->idles++;
	c->idle = true;
	c->idle_before = NULL;
	c->idle_next = map_put(all, bytes_of(c->key), c);
	if (c->idle_next != NULL)
		c->idle_next->idle_before = c;
}

static void
idle_end(struct contact *c)
{
	struct map *all = sender_of(c->house)->idle;

	if (!c->idle)
		return;
	sender_of(c->house)->idles--;
	c->idle = false;
	if (c->idle_next != NULL)
		c->idle_next->idle_before = c->idle_before;
	if (c->idle_before != NULL)
		c->idle_before->idle_next = c->idle_next;
	else if (c->idle_next != NULL)
		(void)map_put(all, bytes_of(c->key), c->idle_next);
	else
		(void)map_drop(all, bytes_of(c->key));
}

/* ---- the end ---------------------------------------------------------------------------------- */

/* What was said goes to the postmaster (notify_classes). */
static void
tell_history(const struct contact *c)
{
	const struct history *said = outgoing_history(c->session);

	if (history_is_wanted(said))
		mishap_say(c->house, &sender_of(c->house)->mishaps,
		           &(struct mishap_from){ .what = c->config.lmtp ? "LMTP client"
		                                                         : "SMTP client",
		                                  .who = c->relay },
		           said);
}

static void
contact_close(void *ctx)
{
	struct contact *c = ctx;
	struct arena   *life = c->life;

	if (c->session != NULL)
		tell_history(c);

	errand_clear(&c->end);
	timer_close(&c->timer);
	watch_close(&c->watch);
	if (c->fd >= 0)
		(void)close(c->fd);
	if (c->stream != NULL)
		stream_finish(&c->stream);
	outgoing_close(&c->session);
	reply_filter_close(&c->replies);
	if (c->secret != NULL)
		tls_close(&c->secret);
	*c->at = c->next;
	if (c->next != NULL)
		c->next->at = c->at;
	sender_of(c->house)->sessions--;
	loop_again(c->house->loop);
	arena_close(&life);
}

void
contact_end(struct contact *c)
{
	c->closing = true;
	idle_end(c);
	errand_set(c->house->loop, &c->end);
}

void
contact_part(struct delivery *d)
{
	struct contact *c = d->contact;

	d->contact = NULL;
	if (c == NULL)
		return;
	c->delivery = NULL;
	contact_end(c);
}

/* ---- what the stream tells -------------------------------------------------------------------------- */

/* A host that says its answers to MAIL, RCPT and DATA one by one waits after each until it has heard that the one before came (rfc896), and
   the kernel takes its time with that while we have nothing to say. */
static void
answers_hurry(const struct contact *c)
{
	int on = 1;

	if (stream_pending(c->stream) == 0)
		(void)setsockopt(stream_fd(c->stream), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

static void
arrived(void *ctx)
{
	struct contact *c = ctx;

	if (c->session == NULL || c->closing)
		return;
	c->heard_ms = clock_patient_ms();
	stream_eat(c->stream, outgoing_take(c->session, stream_peek(c->stream)));
	if (c->secures && !c->closing)
		stream_secure_to(c->stream, c->secret, &c->wish);
	c->secures = false;
	if (!c->closing && !c->idle)
		answers_hurry(c);
}

static void gone(struct contact *, const char *why, bool patience);

/* What was asked about a line is known. */
static void
line_known(void *ctx)
{
	struct contact *c = ctx;

	arrived(c);
	if (c->gone != NULL && !reply_filter_waits(c->replies))
		gone(c, c->gone, false);
}

static void
session_begin(struct contact *c)
{
	if (c->config.filters)
		c->replies = reply_filter_open(c->house, &c->rows->reply_filter, line_known, c);
	c->session = outgoing_open(&c->config, &contact_needs, c);
}

static void
drained(void *ctx)
{
	struct contact *c = ctx;

	if (c->session != NULL && !c->closing)
		outgoing_drained(c->session);
}

static void
secured(void *ctx, bool ok, const char *why)
{
	struct contact  *c = ctx;
	struct delivery *d = c->delivery;
	const char      *doubt;

	if (c->closing)
		return;
	if (ok && (doubt = contact_tls_doubt(c)) != NULL) {
		c->delivery = NULL;
		contact_end(c);
		if (d != NULL)
			delivery_failed(d, FATE_ELSEWHERE, "4.7.5", doubt);
		return;
	}
	c->config.verified = ok && c->security.level >= SECURITY_DANE;
	if (c->session != NULL) {
		if (c->config.verified)
			outgoing_verified(c->session);
		outgoing_secured(c->session, ok, why);
		return;
	}
	/* TLS came first; a failure is told by `closed`. */
	if (ok)
		session_begin(c);
}

static void
gone(struct contact *c, const char *why, bool patience)
{
	struct delivery *d = c->delivery;

	if (c->closing)
		return;
	/* It may have said that the letter is taken, and gone. */
	if (!patience && reply_filter_waits(c->replies)) {
		c->gone = arena_copy(c->life, bytes_of(why));
		return;
	}
	if (c->session != NULL) {
		outgoing_lost(c->session, why, patience);
		if (!c->closing)
			contact_end(c);
		return;
	}
	c->delivery = NULL;
	contact_end(c);
	if (d != NULL)
		delivery_failed(d, FATE_ELSEWHERE, "4.4.1",
		                arena_printf(d->life, "connect to %s: %s", c->relay, why));
}

static void
silent(void *ctx)
{
	gone(ctx, "", true);
}

static void
closed(void *ctx, const char *why)
{
	gone(ctx, why, false);
}

static const struct stream_events stream_events = { .arrived = arrived,
	                                            .drained = drained,
	                                            .secured = secured,
	                                            .silent = silent,
	                                            .closed = closed };

static void
time_over(void *ctx)
{
	struct contact *c = ctx;

	if (c->idle) {
		idle_end(c);
		outgoing_quit(c->session);
	} else if (c->session == NULL || !outgoing_paused(c->session)) {
		gone(c, "Connection timed out", true);
	}
}

/* ---- coming about ------------------------------------------------------------------------------------- */

static void
connected(struct contact *c)
{
	int fd = c->fd, on = 1;

	watch_close(&c->watch);
	timer_clear(c->timer);
	c->fd = -1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	c->heard_ms = clock_patient_ms();
	if (c->delivery != NULL)
		c->delivery->sessions++;
	sender_met(c->delivery, fd, NULL);
	c->stream = stream_open(c->house->loop, fd, &stream_events, c);
	if (!c->config.secured) {
		session_begin(c);
		return;
	}
	timer_set(c->timer, c->rows->starttls_ms);
	stream_secure_to(c->stream, c->secret, &c->wish);
}

static void
writable(void *ctx, int bits)
{
	struct contact *c = ctx;
	int             why = 0;
	socklen_t       len = sizeof why;

	(void)bits;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0)
		why = errno;
	if (why != 0)
		gone(c, strerror(why), false);
	else
		connected(c);
}

static bool
address_of(const struct peer *p, struct sockaddr_storage *out, socklen_t *len)
{
	struct sockaddr_in  *v4 = (void *)out;
	struct sockaddr_in6 *v6 = (void *)out;

	*out = (struct sockaddr_storage){ .ss_family = (sa_family_t)p->family };
	if (p->family == AF_INET) {
		memcpy(&v4->sin_addr, p->raw, sizeof v4->sin_addr);
		v4->sin_port = htons(p->port);
		*len = sizeof *v4;
	} else {
		memcpy(&v6->sin6_addr, p->raw, sizeof v6->sin6_addr);
		v6->sin6_port = htons(p->port);
		*len = sizeof *v6;
	}
	return true;
}

/* 0 and *fd; EINPROGRESS and *fd; or another errno. */
static int
connect_to(struct contact *c, const struct peer *p, int *fd)
{
	struct sockaddr_storage at;
	socklen_t               len;
	int                     why = 0;

	(void)address_of(p, &at, &len);
	if ((*fd = socket(p->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) < 0)
		return errno;
	if (sender_bind(c->rows, *fd, p->family, c->from) &&
	    connect(*fd, (struct sockaddr *)&at, len) == 0)
		return 0;
	why = errno;
	if (why != EINPROGRESS) {
		(void)close(*fd);
		*fd = -1;
	}
	return why;
}

/* ---- how it is to be spoken to -------------------------------------------------------------------------- */

/* False: it cannot be known now. */
static bool
password_find(struct contact *c, struct delivery *d)
{
	struct bytes       value;
	ptrdiff_t          colon;
	enum table_outcome o = sender_password(d, c->name, &value);

	if (o != TABLE_FOUND)
		return o == TABLE_NONE;
	colon = bytes_find(value, ':');
	c->config.user =
		arena_copy(c->life, bytes_cut(value, 0, colon < 0 ? value.len : (size_t)colon));
	c->config.password =
		arena_copy(c->life,
	                   colon < 0 ? BYTES("") : bytes_cut(value, (size_t)colon + 1, SIZE_MAX));
	c->config.login_refused = sender_login_noted(c->house, c->rows, &c->config, c->life);
	return true;
}

static struct setting_list
list_keep(struct arena *life, const struct setting_list *from)
{
	const char **item = arena_take_array(life, from->count, sizeof *item);

	for (size_t i = 0; i < from->count; i++)
		item[i] = arena_copy(life, bytes_of(from->item[i]));
	return (struct setting_list){ item, from->count };
}

/* What TLSA records prove is part of what makes two connections alike. */
static void
wish_make(struct contact *c, const struct delivery *d)
{
	const struct tlsa *from = &d->dane;
	struct tls_record *record = arena_take_array(c->life, from->records, sizeof *record);
	const char       **name = arena_take_array(c->life, from->names, sizeof *name);
	struct buffer      text = { 0 };

	c->wish = (struct tls_demand){ .record = record, .other_name = name };
	c->wish.name = security_name(&c->security, c->name, d->w.nexthop, c->life);
	c->by_sts = d->by_sts;
	buffer_printf(&text, "%s %d%d%d", d->row, c->security.level, c->by_sts, c->security.public);
	if (c->security.level == SECURITY_DANE) {
		c->wish.name = arena_copy(c->life, bytes_of(from->base));
		for (size_t i = 0; i < from->names; i++)
			name[c->wish.names++] = arena_copy(c->life, bytes_of(from->name[i]));
		for (size_t i = 0; i < from->records; i++) {
			record[i] = from->record[i];
			record[i].data = arena_keep(c->life, from->record[i].data);
			buffer_add_char(&text, ' ');
			tlsa_write(&record[i], &text);
		}
		c->wish.records = from->records;
	}
	c->policy = arena_copy(c->life, buffer_bytes(&text));
	buffer_free(&text);
}

/* What is asked of the host, and the TLS that does it. */
static bool
security_make(struct contact *c, struct delivery *d, const char **why)
{
	struct security *want = &c->security;
	struct tls      *secret = NULL;

	*want = security_keep(c->life, &d->security);
	c->wrapped = c->rows->tls_wrapper || (!d->w.lmtp && c->port == SMTPS);
	if (c->wrapped && want->level < SECURITY_ENCRYPT)
		want->level = SECURITY_ENCRYPT;
	wish_make(c, d);
	if (want->level >= SECURITY_MAY && !d->clear)
		secret = sender_tls_for(c->house, c->rows, want);
	if (secret != NULL)
		c->secret = tls_share(secret);
	*why = "client TLS configuration problem";
	return sender_anchors(c->house, want, c->life, &c->wish) &&
	       (c->secret != NULL || want->level <= SECURITY_MAY);
}

static bool
is_known(enum table_outcome o)
{
	return o == TABLE_FOUND || o == TABLE_NONE;
}

static bool
config_make(struct contact *c, struct delivery *d, const char *address, const char **why)
{
	const struct sender_settings *r = c->rows;
	const struct sender_login    *login = &r->login[d->w.lmtp];
	struct setting_list           mechanisms = { NULL, 0 };

	*why = "smtp_sasl_mechanism_filter cannot be asked";
	if (login->on && sender_mechanisms(d, &mechanisms) != TABLE_FOUND)
		return false;
	c->filter = list_keep(c->life, &mechanisms);
	c->config = (struct outgoing_config){
		.host = arena_printf(c->life, "%s[%s]", c->name, address),
		.hello = arena_copy(c->life, bytes_of(d->w.lmtp ? r->lhlo_name : r->helo_name)),
		.lmtp = d->w.lmtp,
		.never_ehlo = r->never_ehlo,
		.always_ehlo = r->always_ehlo,
		.verify_data = r->verify_target == 1,
		.secured = c->wrapped,
		.tls = c->secret == NULL                       ? OUTGOING_CLEAR
		       : c->security.level >= SECURITY_ENCRYPT ? OUTGOING_ENCRYPT
		                                               : OUTGOING_MAY,
		.line_most = r->line_most,
		.skip_5xx_greeting = r->skip_5xx,
		.skip_quit = r->skip_quit,
		.auth = login->on,
		.pix_delay = d->w.age_s * 1000 >= r->pix_after_ms,
		.server = c->name,
		.port = c->port,
		.demands = sender_demands(&login->options),
		.demands_tls = sender_demands(&login->tls_options),
		.demands_verified = sender_demands(&login->verified_options),
		.xforward = r->xforward,
		.dummy_auth = r->dummy_auth,
		.filters = r->reply_filter.count > 0,
		.filter = &c->filter,
		.auth_soft = r->auth_soft,
		.history = sender_of(c->house)->notify,
	};
	d->clear = false;
	*why = "smtp_pix_workaround_maps cannot be asked";
	if (!is_known(sender_pix(d, address, &c->config.pix)))
		return false;
	*why = "smtp_discard_ehlo_keyword_address_maps cannot be asked";
	if (!is_known(sender_discards(d, address, &c->config.discard)))
		return false;
	if (sender_is_chunkless(c->house, c->relay))
		c->config.discard |= OFFERS_CHUNKING;
	if ((c->from = sender_bind_words(d, why)) == NULL)
		return false;
	c->from = arena_copy(c->life, bytes_of(c->from));
	*why = "smtp_sasl_password_maps cannot be asked";
	return !c->config.auth || password_find(c, d);
}

/* What makes two connections the same: where to, and how it is spoken to. */
static const char *
key_of(struct contact *c, const char *where, const char *nexthop)
{
	return arena_printf(c->life, "%p %s %s %s %d %d %s %s %s", (const void *)c->rows, where,
	                    c->name, nexthop, c->config.lmtp, c->config.tls, c->policy,
	                    c->config.user != NULL ? c->config.user : "", c->from);
}

static struct contact *
contact_open(struct delivery *d)
{
	struct sender_role *s = sender_of(d->house);
	struct arena       *life = arena_open(NULL);
	struct contact     *c = arena_take(life, sizeof *c);

	*c = (struct contact){ .next = s->contacts,
		               .at = &s->contacts,
		               .house = d->house,
		               .rows = d->rows,
		               .life = life,
		               .fd = -1,
		               .made_ms = clock_patient_ms() };
	c->end = (struct errand){ .go = contact_close, .ctx = c };
	c->timer = timer_open(d->house->loop, time_over, c);
	if (s->contacts != NULL)
		s->contacts->at = &c->next;
	s->contacts = c;
	s->sessions++;
	return c;
}

/* Before it comes about. */
static void
contact_fail(struct contact *c, const char *status, const char *words)
{
	struct delivery *d = c->delivery;

	c->delivery = NULL;
	contact_end(c);
	delivery_failed(d, FATE_ELSEWHERE, status, words);
}

void
contact_begin(struct delivery *d, const struct route_host *h, const char *path)
{
	struct sender_role *s = sender_of(d->house);
	struct contact     *c = contact_open(d), *idle;
	const char         *where = h != NULL ? h->peer.text : path, *wrong = "";
	int                 why;

	c->name = arena_copy(c->life,
	                     bytes_of(h != NULL ? sender_host_name(d) : s->common.myhostname));
	c->port = h != NULL ? h->peer.port : 0;
	c->relay = h != NULL ? arena_printf(c->life, "%s[%s]:%u", c->name, where, h->peer.port)
	                     : arena_printf(c->life, "%s[%s]", c->name, where);
	d->relay = arena_copy(d->life, bytes_of(c->relay));
	d->contact = c;
	c->delivery = d;
	if (!security_make(c, d, &wrong)) {
		contact_fail(c, "4.7.5", wrong);
		return;
	}
	if (!config_make(c, d, where, &wrong)) {
		contact_fail(c, "4.3.0", wrong);
		return;
	}
	sender_name_own(d, h, c->life, &c->config);
	c->key = key_of(c, c->relay, d->w.nexthop);
	c->wish.session = c->key;
	if ((idle = map_get(s->idle, bytes_of(c->key))) != NULL) {
		c->delivery = NULL;
		contact_end(c);
		idle_end(idle);
		idle->delivery = d;
		d->sessions++;
		d->contact = idle;
		contact_send(idle);
		return;
	}
	why = h != NULL ? connect_to(c, &h->peer, &c->fd)
	                : sender_connect_path(path, &s->common.socket_directories, &c->fd);
	if (why == 0) {
		connected(c);
	} else if (why == EINPROGRESS) {
		c->watch = watch_open(d->house->loop, c->fd, writable, c);
		watch_want(c->watch, LOOP_WRITE);
		if (c->rows->connect_ms > 0) /* else as long as the system tries */
			timer_set(c->timer, c->rows->connect_ms);
	} else {
		gone(c, strerror(why), false);
	}
}

/* It has said who it is, and nothing more for so long that others may have its place; of the letter it has nothing yet. */
static bool
hangs(const struct contact *c)
{
	static const bool before_content[WAITS] = {
		[WAIT_STARTTLS] = true, [WAIT_AUTH] = true, [WAIT_XFORWARD] = true,
		[WAIT_MAIL] = true,     [WAIT_RCPT] = true, [WAIT_DATA_INIT] = true,
	};

	return before_content[c->waits] && clock_patient_ms() - c->heard_ms >= HURRY_HANGS_MS;
}

/* Others want its place: a host that has not said who it is has had time enough. */
bool
hear_hurry(struct house *h, uint32_t ticket)
{
	for (struct contact *c = sender_of(h)->contacts; c != NULL; c = c->next)
		if (c->delivery != NULL && !c->delivery->probe && c->delivery->ticket == ticket) {
			if (!c->idle && !c->closing && (!c->met || hangs(c)))
				gone(c, "Connection timed out", true);
			break;
		}
	return true;
}

/* ---- leaving -------------------------------------------------------------------------------------------- */

void
contacts_leave(struct house *h)
{
	for (struct contact *c = sender_of(h)->contacts; c != NULL; c = c->next) {
		c->leave = true;
		if (c->idle)
			time_over(c);
	}
}

bool
contacts_busy(const struct house *h)
{
	return ((struct sender_role *)h->mine)->contacts != NULL;
}
