/*
 * receiver -- SMTP and LMTP come in
 *
 * From:     the world, through the listeners smtp, submission, submissions, lmtp
 * To:       clerk (who is this, is that ours), verifier (what is in it), queue (it is yours)
 * Touches:  the sockets it accepts, the segments lent to it
 */
#include "role/receiver.h"
#include "policy/settings.h"
#include "role/askers.h"
#include "role/sasl-settings.h"
#include "role/tables.h"
#include "role/tls.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"

enum { TICK_MS = 1000 };

static const struct receiver_needs from_the_house = {
	.name = need_name,
	.resolve = need_resolve,
	.expand = need_expand,
	.flush = need_flush,
	.owner = need_owner,
	.wants_owner = need_wants_owner,
	.policy = need_policy,
	.remember = need_remember,
	.fetch = need_fetch,
	.fetch_more = need_fetch_more,
	.fetch_drop = need_fetch_drop,
	.told = need_told,
	.complain = need_complain,
	.thrown = need_thrown,
	.auth_start = need_auth_start,
	.auth_step = need_auth_step,
	.auth_drop = need_auth_drop,
	.count = need_count,
	.pass = need_pass,
	.spend = need_spend,
	.room = need_room,
	.stream_open = need_stream_open,
	.stream_add = need_stream_add,
	.stream_waiting = need_stream_waiting,
	.stream_drop = need_stream_drop,
	.judge = need_judge,
	.look = need_look,
	.look_at_client = need_look_at_client,
	.keep = need_keep,
	.filter = need_filter,
	.filter_abort = need_filter_abort,
	.changed = need_changed,
	.gone = need_gone,
};

/*
 * The world comes
 */

/* Who may say XCLIENT brings the connections of many: none of them is its own. */
bool
crowd_is_excepted(struct session *s)
{
	const struct receiver_config *c = session_config(s);

	return networks_hold(&c->exceptions, session_peer(s)) ||
	       networks_hold(&c->xclient_hosts, session_peer(s));
}

/* NULL, or why this client may not come in now. */
static const char *
too_many(struct receiver *r, struct session *s, struct visit *v)
{
	const struct receiver_settings *set = &session_config(s)->set;
	uint32_t                        now;

	if (r->tally == NULL || crowd_is_excepted(s))
		return NULL;
	now = v->connections = tally_come(r->tally, v->network);
	v->counted = true;
	peak_count(r, s, v->network, PEAK_CONNECTIONS, now);
	if (set->connection_count > 0 && now > set->connection_count) {
		warn_as(session_config(s)->service,
		        "Connection concurrency limit exceeded: %u from %s for service %s", now,
		        session_client(s), session_config(s)->listener);
		return "too many connections";
	}
	if (!need_count(r->house, s, COUNT_CONNECTION,
	                set->connection_rate > 0 ? set->connection_rate : INT64_MAX, &now)) {
		warn_as(session_config(s)->service,
		        "Connection rate limit exceeded: %u from %s for service %s", now,
		        session_client(s), session_config(s)->listener);
		return "too many connections";
	}
	if (set->tls_wrappermode && set->tls_rate > 0 &&
	    !need_count(r->house, s, COUNT_TLS_KNOWN, set->tls_rate, &now)) {
		warn_as(session_config(s)->service,
		        "Refusing TLS service request from %s for service %s", session_client(s),
		        session_config(s)->listener);
		return "too many new TLS sessions";
	}
	return NULL;
}

/* Where logins are guessed at; mail from there may still come where nobody logs in. */
static void
turn_away_banned(struct door *d, int fd, const struct peer *peer)
{
	char reply[400];

	note_as(d->config->service, "connect from banned %s refused", peer->text);
	snprintf(reply, sizeof reply, "554 5.7.1 %s Error: too many failed logins from %s\r\n",
	         d->config->myhostname, peer->text);
	bans_turn_away(fd, d->config->set.tls_wrappermode ? "" : reply);
}

/* How much is borne depends on how many there are. */
static void
look_at_crowd(const struct receiver_config *c)
{
	size_t  now = connections_count();
	int64_t most = c->set.connections;

	receiver_mood(most > 0 && now >= (size_t)(most / 5 * 4) ? STRESS : CALM);
}

static bool
full(struct door *d, int fd, const struct peer *peer)
{
	const struct receiver_config *c = d->config;
	char                          reply[400];

	look_at_crowd(c);
	if (c->set.connections <= 0 || connections_count() < (size_t)c->set.connections ||
	    crowd_make_way(d->receiver, c, peer))
		return false;
	warn_as(c->service, "too many connections, refused: %s (smtpd_connection_limit)",
	        peer->text);
	snprintf(reply, sizeof reply, "421 4.3.2 %s Error: too many connections\r\n",
	         c->myhostname);
	bans_turn_away(fd, c->set.tls_wrappermode ? "" : reply);
	return true;
}

/* Whoever runs sendmail is who the kernel says it is. */
static bool
user_of(int fd, uint32_t *uid)
{
	struct ucred who = { 0 };
	socklen_t    n = sizeof who;
	bool known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 && n == sizeof who;

	*uid = who.uid;
	return known;
}

/* authorized_submit_users */
static bool
may_submit(struct door *d, int fd)
{
	const char *lines = house_resource_text(d->receiver->house, "askers");
	uint32_t    uid;
	char        reply[400];

	if (user_of(fd, &uid) && lines != NULL && askers_may(lines, "submit", uid)) {
		note_as(d->config->service, "connect from user %" PRIu32, uid);
		return true;
	}
	warn_as(d->config->service, "user %" PRIu32 " is not allowed to submit mail, refused", uid);
	snprintf(reply, sizeof reply,
	         "554 5.7.1 %s Error: user %" PRIu32 " is not allowed to submit mail\r\n",
	         d->config->myhostname, uid);
	bans_turn_away(fd, reply);
	return false;
}

static void
enter_known(struct door *d, int fd, const struct peer *peer)
{
	struct receiver *r = d->receiver;
	struct visit    *v;
	uint32_t         uid;
	char             reply[400];
	const char      *why;

	if (full(d, fd, peer))
		return;
	if (d->config->set.auth_enable && bans_hold(r->bans, peer, clock_patient_ms())) {
		turn_away_banned(d, fd, peer);
		return;
	}
	v = visit_begin(r, d->config, peer);
	if (d->pickup)
		v->here = *peer;
	else if (!peer_here(fd, &v->here))
		v->here = (struct peer){ .family = AF_UNSPEC };

	v->session =
		connection_open(r->house->loop, fd, d->config, peer, &from_the_house, r->house);
	*session_held(v->session) = v;
	if (strcmp(peer->text, v->here.text) == 0)
		session_is_neighbour(v->session);
	if (d->pickup && user_of(fd, &uid))
		session_is_user(v->session, uid);
	visit_look(v, false);
	if (connections_count() == 1)
		timer_set(r->tick, TICK_MS);
	if ((why = too_many(r, v->session, v)) == NULL) {
		session_meet(v->session);
		if (v->name_by == NULL) /* nobody has to be asked for it */
			visit_look(v, true);
		return;
	}
	snprintf(reply, sizeof reply, "421 4.7.0 %s Error: %s from %s", d->config->myhostname, why,
	         peer->text);
	session_turn_away(v->session, reply);
}

static void
enter(struct door *d, int fd, const struct peer *peer)
{
	client_arrives(d, fd, peer, enter_known);
}

static void
proxy_said(void *ctx, int fd, const struct peer *peer, const char *why)
{
	struct door *d = ctx;

	if (fd >= 0)
		enter(d, fd, peer);
	else
		warn_as(d->config->service, "proxy %s: %s (smtpd_upstream_proxy_protocol)",
		        peer->text, why);
}

static void
came(void *ctx, int fd, const struct peer *peer)
{
	/* What it sends is looked at as what comes from this machine by the network. */
	static const struct peer        here = { AF_INET, 0, { 127, 0, 0, 1 }, "127.0.0.1" };
	struct door                    *d = ctx;
	const struct receiver_settings *set = &d->config->set;

	if (d->pickup) {
		if (may_submit(d, fd))
			enter(d, fd, &here);
	} else if (set->proxy == 0)
		enter(d, fd, peer);
	else
		proxylines_wait(d->receiver->proxylines, fd, peer, set->proxy_timeout, proxy_said,
		                d);
}

static void
tick(void *ctx)
{
	struct receiver *r = ctx;

	if (r->doors != NULL)
		look_at_crowd(r->doors->config);
	connections_tick();
	ask_tick(r);
	milter_tick(r);
	letters_look(r);
	if (connections_count() > 0 || r->passing > 0 || r->refused != 0)
		timer_set(r->tick, TICK_MS);
}

/*
 * Doors
 */

static void
trace_tls(const char *line)
{
	note("TLS: %s", line);
}

/* When no certificate works any more, what was in force stays. */
static struct tls *
open_tls(struct house *h, const struct receiver_config *c, struct tls *before)
{
	const struct tls_wish wish = {
		.listener = c->listener,
		.mandatory = c->set.tls_wrappermode || c->set.tls_level == TLS_ENCRYPT,
		.session_id = "smtp",
		.alpn = c->kind == KIND_LMTP ? "lmtp" : "smtp esmtp",
		.handshake_ms = c->set.starttls_timeout,
		.trace = c->set.tls_loglevel >= 2 ? trace_tls : NULL,
		.dump = c->set.tls_loglevel >= 4   ? TLS_DUMPS_ALL
		        : c->set.tls_loglevel >= 3 ? TLS_DUMPS_HANDSHAKES
		                                   : TLS_DUMPS_NOTHING,
	};
	struct tls *t = house_tls(h, &wish);

	if (t == NULL && before != NULL && house_tls_is_set(h, c->listener))
		t = tls_share(before);
	return t;
}

/* "mansio/submission/smtpd", or as the listener's own syslog_name says. */
static void
service_name(struct house *h, enum receiver_kind kind, const char *listener, char *out, size_t room)
{
	struct common_settings common;
	bool                   named, plain;

	if (!house_settings(h, &common_setting_table, listener, &common))
		common = h->common;
	named = strcmp(common.syslog_name, h->common.syslog_name) != 0;
	plain = named || strcmp(listener, "smtp") == 0 || strcmp(listener, "lmtp") == 0;
	snprintf(out, room, "%s%s%s/%s", common.syslog_name, plain ? "" : "/",
	         plain ? "" : listener, kind == KIND_LMTP ? "lmtpd" : "smtpd");
}

static struct setting_list
known_certificates(struct house *h, const char *listener)
{
	struct policy_settings policy;

	if (!house_settings(h, &policy_setting_table, listener, &policy))
		return (struct setting_list){ NULL, 0 };
	return policy.client_certs;
}

/* The socket in the state directory needs neither TLS nor a test of its client's manners, and who sends to a
   list sends it whole, as by Postfix's. */
static bool
fill(struct house *h, enum receiver_kind kind, const char *listener, bool pickup,
     struct receiver_settings *set, struct buffer *errors)
{
	if (!receiver_settings_fill(h->settings, kind, listener, set, errors))
		return false;
	if (pickup) {
		set->tls_wrappermode = false;
		set->tls_level = TLS_NONE;
		set->screen = false;
		set->recipients = 0;
		set->session_domains = 0;
	}
	return true;
}

static struct receiver_config *
open_config(struct house *h, enum receiver_kind kind, const char *listener, bool pickup,
            struct network_tables *tables, struct tls *before)
{
	struct arena            *life = arena_open(NULL);
	struct common_settings   common;
	struct setting_list      mynetworks;
	struct receiver_settings set = { 0 };
	struct receiver_config  *c = NULL;
	struct buffer            errors = { 0 };
	char                     service[128];

	/* Who is trusted, and what it calls itself, may be its own. */
	if (!house_settings(h, &common_setting_table, listener, &common))
		common = h->common;
	mynetworks = common.mynetworks;
	service_name(h, kind, listener, service, sizeof service);
	if (fill(h, kind, listener, pickup, &set, &errors)) {
		client_patterns(h, life, &mynetworks);
		client_patterns(h, life, &set.limit_exceptions);
		client_patterns(h, life, &set.bare_newline_exclusions);
		client_patterns(h, life, &set.expn_hosts);
		client_patterns(h, life, &set.screen_allow);
		client_patterns(h, life, &set.xclient_hosts);
		client_patterns(h, life, &set.xforward_hosts);
		client_patterns(h, life, &set.verp_clients);
		tables_patterns(h, life, &set.flush_domains);
		tables_patterns(h, life, &set.forbidden_commands);
		tables_patterns(h, life, &set.noops);
		scan_hides(h, listener, life, &set.drop_fields);
		set.known_certificates = known_certificates(h, listener);
		c = receiver_config_open(&set, kind, listener, service, common.myhostname,
		                         common.myorigin, common.mail_name, &mynetworks, tables,
		                         &errors);
	}
	settings_stress(h->settings, true);
	if (c != NULL && fill(h, kind, listener, pickup, &set, &errors))
		receiver_config_stress(c, &set);
	settings_stress(h->settings, false);
	if (c != NULL && common.append_dot_mydomain)
		c->within = arena_copy(c->life, bytes_of(common.mydomain));
	if (c != NULL)
		c->notify = mishap_classes(h, listener);
	if (c != NULL)
		c->filters = receiver_of(h)->filters[receiver_place(h, c)];
	if (c != NULL)
		c->proxied = receiver_of(h)->proxies[receiver_place(h, c)];
	if (c != NULL && !policy_lists(h, c, &errors))
		receiver_config_drop(&c);
	if (c != NULL)
		c->tls = open_tls(h, c, before);
	else
		fault("%.*s", (int)errors.len, errors.at);
	buffer_free(&errors);
	arena_close(&life);
	return c;
}

static bool
kind_of(const struct house *h, const char *listener, enum receiver_kind *kind)
{
	size_t place = listener_place(&h->listeners, bytes_of(listener));

	if (place == h->listeners.count || h->listeners.one[place].service > LISTEN_LMTP)
		return false;
	*kind = (enum receiver_kind)h->listeners.one[place].service;
	return true;
}

size_t
receiver_place(const struct house *h, const struct receiver_config *c)
{
	size_t place = listener_place(&h->listeners, bytes_of(c->listener));

	return place < h->listeners.count ? place : (size_t)c->kind;
}

/* A door for this socket: the one there is, with new settings, or a new one. */
static bool
open_door(struct house *h, const char *listener, int fd, struct network_tables *tables)
{
	struct receiver        *r = receiver_of(h);
	enum receiver_kind      kind;
	struct receiver_config *config;
	struct door            *d = r->doors;
	struct peer             here;
	bool                    pickup =
		strcmp(listener, "pickup") == 0 && peer_here(fd, &here) && here.family == AF_UNIX;

	if (!kind_of(h, listener, &kind))
		return true;
	while (d != NULL && d->fd != fd)
		d = d->next;
	config = open_config(h, kind, listener, pickup, tables,
	                     d == NULL || d->config == NULL ? NULL : d->config->tls);
	if (config == NULL)
		return false;
	if (d == NULL) {
		d = memory_take(sizeof *d);
		d->receiver = r;
		d->fd = fd;
		d->next = r->doors;
		r->doors = d;
	}
	receiver_config_drop(&d->config);
	d->config = config;
	d->pickup = pickup;
	d->wanted = true;
	return true;
}

static bool
open_doors(struct house *h)
{
	const char            *name;
	size_t                 place = 0;
	bool                   good = true;
	int                    fd;
	struct network_tables *tables = client_tables_open(receiver_of(h));

	while (house_resource_next(h, "listener/", &place, &name, &fd))
		if (fd >= 0)
			good = open_door(h, name + strlen("listener/"), fd, tables) && good;
	if (--tables->users == 0)
		tables->close(tables);
	return good;
}

static void
close_doors(struct receiver *r, bool all)
{
	for (struct door **at = &r->doors, *d; (d = *at) != NULL;) {
		if (d->wanted && !all) {
			at = &d->next;
			continue;
		}
		*at = d->next;
		listener_close(&d->listener);
		proxylines_forget(r->proxylines, d);
		client_arrivals_forget(r, d);
		receiver_config_drop(&d->config);
		memory_free(d);
	}
}

static void
listen_at_doors(struct receiver *r)
{
	for (struct door *d = r->doors; d != NULL; d = d->next)
		if (d->listener == NULL)
			d->listener = listener_open(r->house->loop, d->fd, came, d);
}

/*
 * The role's day
 */

/* All is said and safe: the segments go back, so that nobody needs to read what they hold. */
static void
leave(struct receiver *r)
{
	writer_release(r->writer);
	if (!writer_idle(r->writer))
		return;
	r->gone = true;
	house_leave(r->house);
}

/* What must come after all else of a turn, and what must come when there is room. */
static void
at_rest(void *ctx)
{
	struct receiver *r = ctx;

	if (r->gone)
		return;
	letters_unpark(r);
	letters_at_rest(r);
	connections_rest();
	if (r->room_wanted && (writer_ready(r->writer, 0) || r->refused != 0)) {
		r->room_wanted = false;
		connections_room();
	}
	if (r->house->leaving && connections_count() == 0 && r->passing == 0)
		leave(r);
}

static bool
receiver_start(struct house *h)
{
	struct receiver *r = memory_take(sizeof *r);
	int              fd = house_resource(h, "tally");

	h->mine = r;
	r->house = h;
	/* An answer to a receiver before us is none to us; half of all numbers are left to count on. */
	r->next_ticket = (uint32_t)random_below(INT32_MAX);
	r->scratch = arena_open(NULL);
	r->bans = bans_open();
	r->proxylines = proxylines_open(h->loop);
	ask_open(r);
	questions_open(&r->questions, h);
	r->inquests = inquests_open(h);
	client_answers_renew(r);
	letters_open_writer(h);
	r->names = house_resource_text(h, "resolver") != NULL;
	rewrite_settings(r);
	checks_settings(r);
	scan_settings_read(r);
	proxy_settings_read(r);
	milter_settings_new(r);
	r->tick = timer_open(h->loop, tick, r);
	r->peaks = timer_open(h->loop, peaks_tell, r);
	if (fd < 0 || tally_size() > TALLY_SIZE ||
	    (r->tally = tally_open(fd, h->index % TALLY_COLUMNS)) == NULL)
		warn_("clients are not counted: %s", strerror(fd < 0 ? ENOENT : errno));
	r->tables = tables_open(h, NULL, NULL);
	return open_doors(h);
}

static void
receiver_work(struct house *h)
{
	struct receiver *r = receiver_of(h);

	loop_at_rest(h->loop, at_rest, r);
	(void)writer_ready(r->writer,
	                   0); /* the first segment is asked for before the first letter */
	listen_at_doors(r);
}

static bool
receiver_hear(struct house *h, enum role from, uint32_t index, enum word word, uint32_t ticket,
              struct bytes body, int fd)
{
	(void)from;
	(void)index;
	if (word == WORD_SEGMENT_LENT)
		return hear_segment_lent(h, body, fd);
	if (word == WORD_MILTER_MADE)
		return hear_milter_made(h, ticket, body, fd);
	if (fd >= 0)
		(void)close(fd);
	switch (word) {
	case WORD_RESOLVED: return hear_resolved_address(h, ticket, body);
	case WORD_REWRITTEN: return hear_rewritten(h, ticket, body);
	case WORD_AUTH_MORE: return hear_auth_more(h, ticket, body);
	case WORD_AUTH_DONE: return hear_auth_done(h, ticket, body);
	case WORD_MUTE: return hear_mute(body);
	case WORD_DIRECTORY_NEW: ask_forget(receiver_of(h)); return true;
	case WORD_POLICY_SAID: return hear_policy_said(h, ticket, body);
	case WORD_MILTER_SAID: return hear_milter_said(h, ticket, body);
	case WORD_SENDER_SAID:
		return author_heard(receiver_of(h), ticket, body) ||
		       hear_sender_said(h, ticket, body);
	case WORD_BAN: return bans_hear(receiver_of(h)->bans, body, clock_patient_ms());
	case WORD_FLUSHED: return hear_flushed(h, ticket, body);
	case WORD_LOOKED: return hear_looked(h, ticket, body);
	case WORD_PROXIED: return hear_proxied(h, ticket, body);
	case WORD_SCANNED: return hear_scanned(h, ticket, body);
	case WORD_TABLE_SAID: return hear_client_answer(receiver_of(h), ticket, body);
	case WORD_TABLE_SAID_ALL: return inquests_heard(receiver_of(h)->inquests, ticket, body);
	case WORD_JUDGED: return question_heard(&receiver_of(h)->questions, ticket, body);
	case WORD_SEGMENT_REFUSED: return hear_segment_refused(h, body);
	default: return false;
	}
}

static void
receiver_peer(struct house *h, enum role role, uint32_t index)
{
	struct receiver *r = receiver_of(h);

	(void)index;
	if (role == VERIFIER)
		questions_wait_over(&r->questions);
	if (role == PROXYMAP) {
		inquests_met(r->inquests);
		client_answers_met(r);
	}
	if (role == CLERK)
		ask_again(r);
	if (role == POLICY) {
		ask_judges(r);
		milter_again(r);
	}
	rewrite_again(r);
	if (role == QUEUE)
		letters_queue_came(r);
}

static void
receiver_lost(struct house *h, enum role role, uint32_t index)
{
	struct receiver *r = receiver_of(h);

	if (role == VERIFIER)
		questions_lost(&r->questions, index);
	if (role == PROXYMAP) {
		inquests_lost(r->inquests);
		client_answers_lost(r);
	}
	if (role == CLERK) {
		ask_lost(r);
		authors_lost(r);
	}
	if (role == QUEUE) {
		letters_queue_lost(r);
		ask_queue_lost(r);
	}
	if (role == POLICY) {
		scans_lost(r);
		proxies_lost(r);
		milter_lost(r);
	}
}

/* Lists of clients may be in files; sessions go on with what they began with. */
static void
receiver_tables(struct house *h)
{
	client_answers_renew(receiver_of(h));
	tables_reload(receiver_of(h)->tables);
	(void)open_doors(h);
}

/* Sessions go on with the settings they began with. */
static void
receiver_reload(struct house *h)
{
	struct receiver *r = receiver_of(h);

	r->names = house_resource_text(h, "resolver") != NULL;
	client_answers_renew(r);
	tables_reload(r->tables);
	rewrite_settings(r);
	checks_settings(r);
	scan_settings_read(r);
	proxy_settings_read(r);
	milter_settings_new(r);
	for (struct door *d = r->doors; d != NULL; d = d->next)
		d->wanted = false;
	if (!open_doors(h)) {
		for (struct door *d = r->doors; d != NULL; d = d->next)
			d->wanted = true;
	}
	close_doors(r, false);
	listen_at_doors(r);
}

static void
receiver_stop(struct house *h)
{
	struct receiver *r = receiver_of(h);

	peaks_tell(r);
	close_doors(r, true);
	connections_leave();
	loop_again(h->loop);
}

static void
receiver_status(struct house *h, uint32_t *connections, struct buffer *text)
{
	struct receiver *r = receiver_of(h);

	*connections = (uint32_t)connections_count();
	buffer_printf(text, "letters=%u bytes=%llu", r->passing,
	              (unsigned long long)letters_in_hand());
}

const struct role_card receiver_card = {
	.name = "receiver",
	.start = receiver_start,
	.work = receiver_work,
	.hear = receiver_hear,
	.peer = receiver_peer,
	.lost = receiver_lost,
	.tables = receiver_tables,
	.reload = receiver_reload,
	.stop = receiver_stop,
	.status = receiver_status,
};
