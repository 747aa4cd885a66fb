/*
 * login -- accepts readers, learns from the clerk who they are, and hands them to the keeper
 * of their account.  A plain connection goes to the keeper whole; of a TLS one the
 * login keeps the outer end and carries bytes.
 */
#include "access/login/login.h"
#include "access/pop3/pop3.h"
#include "base/clock.h"
#include "base/map.h"
#include "channel/bans.h"
#include "channel/listener.h"
#include "channel/proxyline.h"
#include "directory/directory.h"
#include "role/debug.h"
#include "role/house.h"
#include "role/login-auth.h"
#include "role/login-doors.h"
#include "role/sasl-settings.h"
#include "role/settings.h"
#include "role/tls.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A client that has not logged in. */
struct guest {
	struct house *house;
	struct door  *door;
	struct login *login;
	uint32_t      ticket;    /* of the question at the clerk; 0 none */
	bool          unasked;   /* there was no clerk to ask            */
	bool          answering; /* the client is to answer a challenge  */
	char          network[48];
};

/* A session that a keeper serves; for TLS its bytes go through us. */
struct carried {
	struct house *house;
	struct door  *door;
	uint32_t      ticket, keeper;
	bool          tls;
	struct peer   peer;
	char          session[24];
};

struct login_role {
	struct door       *doors;
	struct map        *guests;   /* by address of the login              */
	struct map        *asked;    /* ticket -> guest                      */
	struct map        *networks; /* guests of each network, counted      */
	struct map        *carried;  /* ticket -> struct carried             */
	struct auth_doors *auth;
	struct bans       *bans;       /* that the clerk has told of */
	struct proxylines *proxylines; /* sockets whose proxy is to say who it is */
	uint32_t           next_ticket;
	struct expected   *expected;
	struct timer      *orphans, *farewell;
	int64_t            leave_by_ms;
};

enum { REST_ROOM = 64 << 10, FAREWELL_LOOK_MS = 20, FAREWELL_MS = 1000, EXPECTED_MS = 20000 };

static struct login_role *
role_of(struct house *h)
{
	return h->mine;
}

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

static uint32_t
ticket_new(struct login_role *k)
{
	uint32_t t;

	while (t = ++k->next_ticket, t == 0 || map_get(k->asked, ticket_key(&t)) != NULL ||
	                                     map_get(k->carried, ticket_key(&t)) != NULL ||
	                                     auth_ticket_used(k->auth, t))
		continue;
	return t;
}

static uint32_t
ticket_new_of(struct house *h)
{
	return ticket_new(role_of(h));
}

/* ---- guests ------------------------------------------------------------------------- */

static uintptr_t
network_count(struct login_role *k, const char *network, int change)
{
	uintptr_t n = (uintptr_t)map_get(k->networks, bytes_of(network));

	n = (uintptr_t)((intptr_t)n + change);
	if (n == 0)
		(void)map_drop(k->networks, bytes_of(network));
	else if (change != 0)
		(void)map_put(k->networks, bytes_of(network), (void *)n);
	return n;
}

static void
question_over(struct guest *g)
{
	if (g->ticket != 0)
		(void)map_drop(role_of(g->house)->asked, ticket_key(&g->ticket));
	g->ticket = 0;
	g->unasked = g->answering = false;
}

/* Said after this turn: the login is in the middle of asking. */
static void
unasked(struct guest *g)
{
	g->unasked = true;
	timer_set(role_of(g->house)->orphans, 0);
}

static void
ask(void *ctx, struct login *login, const struct login_attempt *a)
{
	struct guest      *g = login_tied(login);
	struct login_role *k = role_of(g->house);
	struct link       *l = house_link(g->house, CLERK, 0);
	struct buffer      channel = { 0 };
	(void)ctx;

	g->ticket = ticket_new(k);
	(void)map_put(k->asked, ticket_key(&g->ticket), g);
	if (l == NULL) {
		unasked(g);
		return;
	}
	login_channel(login, &channel);
	word_pack_auth_start(link_begin(l, WORD_AUTH_START, g->ticket),
	                     &(struct word_auth_start){
				     .service = login_protocol_name(login),
				     .mechanism = a->mechanism,
				     .has_initial = a->has_initial,
				     .initial = a->initial,
				     .user = a->user,
				     .password = a->password,
				     .peer = *login_peer(login),
				     .tls = login_secure(login),
				     .binding = buffer_bytes(&channel),
				     .plus = login_offers_binding(login),
			     });
	link_end(l);
	buffer_free(&channel);
}

static void
ask_step(void *ctx, struct login *login, struct bytes response)
{
	struct guest *g = login_tied(login);
	struct link  *l = house_link(g->house, CLERK, 0);
	(void)ctx;

	g->answering = false;
	if (l != NULL && g->ticket != 0)
		link_say(l, WORD_AUTH_STEP, g->ticket, response, -1);
	else {
		/* The clerk that knew of it is gone. */
		if (g->ticket == 0) {
			g->ticket = ticket_new(role_of(g->house));
			(void)map_put(role_of(g->house)->asked, ticket_key(&g->ticket), g);
		}
		unasked(g);
	}
}

static void
ask_forget(void *ctx, struct login *login)
{
	struct guest *g = login_tied(login);
	struct link  *l = house_link(g->house, CLERK, 0);
	(void)ctx;

	if (l != NULL && g->ticket != 0)
		link_say(l, WORD_AUTH_DROP, g->ticket, (struct bytes){ NULL, 0 }, -1);
	question_over(g);
}

/* Those whom no clerk can answer hear it from us, after the turn in which they asked.  Whose client
   is to speak (`all`: the clerk died) hears so when it has spoken. */
static void
orphans_refuse(struct house *h, bool all)
{
	struct login_role *k = role_of(h);
	struct map_place   p = { 0 };

	while (map_next(k->asked, &p)) {
		struct guest *g = p.value;

		if (!all && !g->unasked)
			continue;
		if (g->answering) {
			question_over(g);
			continue;
		}
		question_over(g);
		login_refuse(g->login, LOGIN_TEMPORARY, "",
		             "Disconnected (no authentication service)");
		p = (struct map_place){ 0 }; /* the refused may have asked again */
	}
}

static void
orphans_due(void *house)
{
	orphans_refuse(house, false);
}

static bool
hear_auth_more(struct house *h, uint32_t ticket, struct bytes body)
{
	struct guest *g = map_get(role_of(h)->asked, ticket_key(&ticket));

	if (g == NULL && auth_guest_more(role_of(h)->auth, ticket, body))
		return true;
	if (g != NULL) {
		g->answering = true;
		login_challenge(g->login, body);
	}
	return true;
}

static bool
hear_auth_done(struct house *h, uint32_t ticket, struct bytes body)
{
	/* clang-format off */
	static const enum login_refusal refusals[] = {
		[AUTH_BAD] = LOGIN_WRONG, [AUTH_SYNTAX] = LOGIN_SYNTAX, [AUTH_NO_MECHANISM] = LOGIN_NO_MECHANISM,
		[AUTH_LATER] = LOGIN_TEMPORARY, [AUTH_DISABLED] = LOGIN_DISABLED,
	};
	/* clang-format on */
	struct guest         *g = map_get(role_of(h)->asked, ticket_key(&ticket));
	struct arena         *scratch = arena_open(NULL);
	struct word_auth_done w;
	bool whole = word_unpack_auth_done(body, scratch, &w) && w.answer < COUNT(refusals);

	if (whole && g == NULL)
		(void)auth_guest_done(role_of(h)->auth, ticket, &w);
	if (whole && g != NULL) {
		question_over(g);
		if (w.answer == AUTH_OK)
			login_welcome(g->login, w.user, w.account, w.pass, w.last);
		else
			login_refuse(g->login, refusals[w.answer], w.user,
			             arena_printf(scratch, "Login failed (%s)", w.text));
	}
	arena_close(&scratch);
	return whole;
}

/* ---- handing over ------------------------------------------------------------------------ */

static void
carried_end(struct carried *c)
{
	(void)map_drop(role_of(c->house)->carried, ticket_key(&c->ticket));
	memory_free(c);
}

static void
joined_over(void *ctx, uint64_t in, uint64_t out, const char *why)
{
	struct carried *c = ctx;

	detail("session=<%s>: carried in=%llu out=%llu: %s", c->session, (unsigned long long)in,
	       (unsigned long long)out, why);
	carried_end(c);
}

/* The end of the session that the keeper will read: the socket itself, or one end of a pair.
   -1 with errno; the stream is gone in any case. */
static int
keepers_end(struct carried *c, struct stream **stream, struct buffer *unread)
{
	static const struct stream_events none = { 0 };
	struct stream                    *inner;
	struct bytes                      rest;
	int                               pair[2];

	if (!c->tls)
		return stream_detach(stream, unread);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	rest = stream_peek(*stream);
	buffer_add(unread, rest);
	stream_eat(*stream, rest.len);
	inner = stream_open(c->house->loop, pair[0], &none, NULL);
	stream_join(stream, &inner, joined_over, c);
	return pair[1];
}

/* A session for a user's keeper that is being started; the client waits. */
struct expected {
	struct house       *house;
	struct stream      *stream;
	struct carried     *carried;
	uint32_t            keeper;
	struct timer       *late;
	struct arena       *life;
	struct word_session word;
	struct login_result told;
	struct expected    *next;
};

/* Nobody serves these mailboxes now. */
static void
turn_away(struct stream **stream, const char *protocol, const char *user)
{
	stream_say_string(
		*stream,
		strcmp(protocol, "imap") == 0
			? "* BYE [UNAVAILABLE] The mailboxes are not available now, try again later.\r\n"
			: "-ERR [SYS/TEMP] The mailbox is not available now, try again later.\r\n");
	stream_finish(stream);
	warn_("no keeper for %s", user);
}

static void
session_say(struct house *h, struct carried *c, struct stream *stream, struct word_session *w,
            const struct login_result *told)
{
	struct link  *l = house_link(h, KEEPER, c->keeper);
	struct buffer unread = { 0 };
	int           fd;

	c->ticket = ticket_new(role_of(h));
	(void)map_put(role_of(h)->carried, ticket_key(&c->ticket), c);
	fd = keepers_end(c, &stream, &unread);
	if (fd < 0) {
		fault("session=<%s>: cannot be handed over: %s", c->session, strerror(errno));
		stream_close(&stream);
		carried_end(c);
	} else {
		note_as(told->service, "%s, mpid=%u%s", told->who,
		        house_peer_pid(h, KEEPER, c->keeper), told->how);
		w->unread = buffer_bytes(&unread);
		word_pack_session(link_begin(l, WORD_SESSION, c->ticket), w);
		link_end_fd(l, fd);
		close(fd);
	}
	buffer_free(&unread);
}

/* It came, will not come, or the client has gone. */
static void
expected_end(struct expected *e)
{
	struct expected **at = &role_of(e->house)->expected;

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	timer_close(&e->late);
	arena_close(&e->life);
	memory_free(e);
}

static void
expected_refuse(void *ctx)
{
	struct expected *e = ctx;

	turn_away(&e->stream, e->word.protocol, e->word.user);
	memory_free(e->carried);
	expected_end(e);
}

static void
client_gone(void *ctx, const char *why)
{
	struct expected *e = ctx;

	(void)why;
	stream_close(&e->stream);
	memory_free(e->carried);
	expected_end(e);
}

/* The words are kept: what they point to is the login's. */
static void
expect(struct house *h, struct carried *c, struct stream *stream, const struct word_session *w,
       const struct login_result *told)
{
	static const struct stream_events waiting = { .closed = client_gone };
	struct expected                  *e = memory_take(sizeof *e);
	struct arena                     *life = arena_open(NULL);

	*e = (struct expected){ .house = h,
		                .stream = stream,
		                .carried = c,
		                .keeper = c->keeper,
		                .life = life,
		                .word = *w };
	e->word.protocol = arena_copy(life, bytes_of(w->protocol));
	e->word.user = arena_copy(life, bytes_of(w->user));
	e->word.method = arena_copy(life, bytes_of(w->method));
	e->word.tls_text = arena_copy(life, bytes_of(w->tls_text));
	e->word.session = arena_copy(life, bytes_of(w->session));
	e->word.tag = arena_copy(life, bytes_of(w->tag));
	e->word.offers = arena_copy(life, bytes_of(w->offers));
	e->word.pass = arena_keep(life, w->pass);
	e->told.service = arena_copy(life, bytes_of(told->service));
	e->told.who = arena_copy(life, bytes_of(told->who));
	e->told.how = arena_copy(life, bytes_of(told->how));
	e->next = role_of(h)->expected;
	role_of(h)->expected = e;
	stream_adopt(stream, &waiting, e);
	e->late = timer_open(h->loop, expected_refuse, e);
	timer_set(e->late, EXPECTED_MS);
	house_keeper_want(h, c->keeper);
}

/* The keeper is there, or will not be. */
static void
expected_now(struct house *h, uint32_t keeper)
{
	struct expected *next;

	for (struct expected *e = role_of(h)->expected; e != NULL; e = next) {
		next = e->next;
		if (e->keeper != keeper)
			continue;
		if (house_link(h, KEEPER, keeper) != NULL) {
			session_say(h, e->carried, e->stream, &e->word, &e->told);
			expected_end(e);
		} else {
			expected_refuse(e);
		}
	}
}

static void
hand_over(void *ctx, struct login *login, struct stream *stream, const struct login_result *r)
{
	struct house   *h = ctx;
	uint32_t        keepers = house_peers(h, KEEPER), keeper = house_keeper_of(h, r->account);
	struct link    *l = keepers > 0 ? house_link(h, KEEPER, keeper) : NULL;
	struct carried *c;
	struct word_session w = {
		.protocol = login_protocol_name(login),
		.user = r->user,
		.account = r->account,
		.method = r->method,
		.peer = *login_peer(login),
		.here = *login_here(login),
		.tls = login_secure(login),
		.tls_text = login_secure(login) ? "TLS" : "",
		.session = login_session(login),
		.tag = r->tag,
		.offers = r->offers,
		.pass = r->pass,
	};

	debug_end(stream); /* the keeper tells the rest */
	if (l == NULL && (keeper & KEEPER_OF_USER) == 0) {
		turn_away(&stream, w.protocol, r->user);
		return;
	}
	c = memory_take(sizeof *c);
	*c = (struct carried){ .house = h,
		               .door = ((struct guest *)login_tied(login))->door,
		               .keeper = keeper,
		               .tls = w.tls,
		               .peer = w.peer };
	(void)bytes_string(bytes_of(w.session), c->session, sizeof c->session);
	if (l == NULL)
		expect(h, c, stream, &w, r);
	else
		session_say(h, c, stream, &w, r);
}

/* ---- guests come and go --------------------------------------------------------------------- */

static struct bytes
guest_key(struct login *const *login)
{
	return (struct bytes){ (const char *)login, sizeof *login };
}

static void
guest_over(void *ctx, struct login *login)
{
	struct guest *g = login_tied(login);
	(void)ctx;

	question_over(g);
	(void)map_drop(role_of(g->house)->guests, guest_key(&login));
	(void)network_count(role_of(g->house), g->network, -1);
	memory_free(g);
}

static const struct login_needs login_needs = { ask, ask_step, ask_forget, hand_over, guest_over };

/* Whether somebody wants to see what is said here; of a user, the keeper knows. */
static void
look_into(struct door *d, struct login *login)
{
	const struct peer *peer = login_peer(login);
	char               service[160];

	(void)snprintf(service, sizeof service, "%s/%s-login", d->config.syslog_name,
	               login_protocol_name(login));
	debug_look(d->house, login_stream(login),
	           &(struct debug_facts){ .protocol = d->protocol == &login_pop3 ? TRANSCRIPT_POP3
	                                                                         : TRANSCRIPT_IMAP,
	                                  .service = service,
	                                  .client = peer->text,
	                                  .peer = peer });
}

static void
guest_enters(struct door *d, const char *network, struct login *login)
{
	struct login_role *k = role_of(d->house);
	struct guest      *g = memory_take(sizeof *g);

	*g = (struct guest){ .house = d->house, .door = d, .login = login };
	(void)bytes_string(bytes_of(network), g->network, sizeof g->network);
	(void)network_count(k, network, +1);
	login_tie(login, g);
	look_into(d, login);
	(void)map_put(k->guests, guest_key(&g->login), g);
}

static void
turn_away_banned(struct door *d, int fd, const struct peer *peer)
{
	note("%s: connect from banned %s refused", d->name, peer->text);
	bans_turn_away(fd,
	               d->tls_first ? ""
	               : d->protocol == &login_imap
	                       ? "* BYE Too many failed logins from your address.\r\n"
	                       : "-ERR [SYS/PERM] Too many failed logins from your address.\r\n");
}

static void
enter(void *ctx, int fd, const struct peer *peer)
{
	struct door       *d = ctx;
	struct login_role *k = role_of(d->house);
	char               network[48];

	peer_network(peer, network);
	if (bans_hold(k->bans, peer, clock_patient_ms())) {
		turn_away_banned(d, fd, peer);
		return;
	}
	if (d->config.rows.per_address > 0 &&
	    network_count(k, network, 0) >= (uintptr_t)d->config.rows.per_address) {
		warn_("%s: too many connections that have not logged in from %s (login_client_connection_limit)",
		      d->name, network);
		close(fd);
		return;
	}
	if (d->tls_first && d->config.tls == NULL) {
		warn_("%s: no certificate, so no TLS: set smtpd_tls_cert_file and smtpd_tls_key_file",
		      d->name);
		close(fd);
		return;
	}
	guest_enters(d, network,
	             login_open(d->house->loop, fd, d->protocol, d->tls_first, &d->config, peer,
	                        &login_needs, d->house));
}

static void
proxy_said(void *ctx, int fd, const struct peer *peer, const char *why)
{
	struct door *d = ctx;

	if (fd >= 0)
		enter(d, fd, peer);
	else
		warn_("%s: proxy %s: %s (login_upstream_proxy_protocol)", d->name, peer->text, why);
}

static void
came(void *ctx, int fd, const struct peer *peer)
{
	struct door                 *d = ctx;
	const struct login_settings *set = &d->config.rows;

	if (set->proxy == 0)
		enter(d, fd, peer);
	else
		proxylines_wait(role_of(d->house)->proxylines, fd, peer, set->proxy_timeout,
		                proxy_said, d);
}

/* ---- and come back ---------------------------------------------------------------------------- */

/* What the keeper's end of a pair had not read yet. */
static void
read_rest(int fd, struct buffer *unread)
{
	ssize_t n;

	while ((n = read(fd, buffer_room(unread, REST_ROOM), REST_ROOM)) > 0)
		buffer_took(unread, (size_t)n);
}

/* A client whose session is over and whose connection is not (UNAUTHENTICATE). */
static void
guest_again(const struct carried *c, struct stream *stream, struct bytes unread)
{
	struct door *d = c->door;
	char         network[48];

	peer_network(&c->peer, network);
	stream_unread(stream, unread);
	guest_enters(d, network,
	             login_again(d->house->loop, stream, d->protocol, c->tls, &d->config, &c->peer,
	                         &login_needs, d->house));
}

static bool
hear_session_back(struct house *h, uint32_t index, uint32_t ticket, struct bytes body, int fd)
{
	static const struct stream_events none = { 0 };
	struct carried                   *c = map_get(role_of(h)->carried, ticket_key(&ticket));
	struct buffer                     unread = { 0 };
	struct stream                    *stream = NULL;

	if (c != NULL && c->keeper != index) {
		if (fd >= 0)
			close(fd);
		return false; /* another keeper has it */
	}
	buffer_add(&unread, body);
	if (c != NULL && c->tls && fd >= 0 && !h->leaving) {
		read_rest(fd, &unread);
		stream = stream_part(h->loop, c, &unread);
	} else if (c != NULL && fd >= 0 && !h->leaving)
		stream = stream_open(h->loop, fd, &none, NULL);
	/* A TLS session that cannot be parted ends by its bytes. */
	if (fd >= 0 && (stream == NULL || c->tls))
		close(fd);
	if (stream != NULL)
		guest_again(c, stream, buffer_bytes(&unread));
	if (c != NULL && (stream != NULL || !c->tls))
		carried_end(c);
	buffer_free(&unread);
	return true;
}

/* ---- the card -------------------------------------------------------------------------------------- */

static void
login_reload(struct house *h)
{
	struct login_role *k = role_of(h);

	login_doors_set(h, &k->doors, k->proxylines);
	auth_doors_set(k->auth, !h->leaving);
	for (struct door *d = k->doors; d != NULL; d = d->next)
		if (d->seen && d->listener == NULL && !h->leaving)
			d->listener = listener_open(h->loop, d->fd, came, d);
}

static bool
login_start(struct house *h)
{
	struct login_role *k = memory_take(sizeof *k);

	h->mine = k;
	k->guests = map_open();
	k->asked = map_open();
	k->networks = map_open();
	k->carried = map_open();
	k->bans = bans_open();
	k->proxylines = proxylines_open(h->loop);
	k->auth = auth_doors_open(h, ticket_new_of);
	k->orphans = timer_open(h->loop, orphans_due, h);
	login_doors_set(h, &k->doors, k->proxylines);
	return true;
}

static void
login_work(struct house *h)
{
	auth_doors_set(role_of(h)->auth, true);
	for (struct door *d = role_of(h)->doors; d != NULL; d = d->next)
		if (d->seen && d->listener == NULL)
			d->listener = listener_open(h->loop, d->fd, came, d);
}

static bool
hear_session_over(struct house *h, uint32_t index, uint32_t ticket)
{
	struct carried *c = map_get(role_of(h)->carried, ticket_key(&ticket));

	if (c != NULL && c->keeper != index)
		return false; /* another keeper has it */
	/* A TLS session ends when its bytes have gone. */
	if (c != NULL && !c->tls)
		carried_end(c);
	return true;
}

/* It may go when it carries none of our sessions. */
static bool
hear_keeper_done(struct house *h, uint32_t index)
{
	for (struct map_place p = { 0 }; map_next(role_of(h)->carried, &p);)
		if (((struct carried *)p.value)->keeper == index)
			return true;
	house_keeper_let_go(h, index);
	return true;
}

static bool
hear_keeper_away(struct house *h, struct bytes body)
{
	struct unpack u = unpack_of(body);
	uint32_t      index = unpack_u32(&u);

	expected_now(h, index);
	return !u.broken;
}

static bool
login_hear(struct house *h, enum role from, uint32_t index, enum word word, uint32_t ticket,
           struct bytes body, int fd)
{
	(void)from;
	if (word == WORD_SESSION_BACK)
		return hear_session_back(h, index, ticket, body, fd);
	if (fd >= 0)
		close(fd);
	switch (word) {
	case WORD_AUTH_MORE: return hear_auth_more(h, ticket, body);
	case WORD_AUTH_DONE: return hear_auth_done(h, ticket, body);
	case WORD_SESSION_OVER: return hear_session_over(h, index, ticket);
	case WORD_KEEPER_NOT: return hear_keeper_away(h, body);
	case WORD_KEEPER_REST: return hear_keeper_done(h, index);
	case WORD_BAN: return bans_hear(role_of(h)->bans, body, clock_patient_ms());
	case WORD_MUTE: return hear_mute(body);
	case WORD_TABLE_SAID: return debug_heard(ticket, body);
	case WORD_DIRECTORY_NEW: return true; /* a login keeps no answers of the clerk */
	default: return false;
	}
}

static void
login_peer_came(struct house *h, enum role role, uint32_t index)
{
	if (role == KEEPER)
		expected_now(h, index);
	if (role == PROXYMAP)
		debug_proxymap(true);
}

static void
login_peer_lost(struct house *h, enum role role, uint32_t index)
{
	struct login_role *k = role_of(h);

	if (role == CLERK) {
		auth_clerk_lost(k->auth);
		orphans_refuse(h, true);
	}
	if (role == PROXYMAP)
		debug_proxymap(false);
	if (role != KEEPER)
		return;
	/* A dead keeper's plain sessions ended with it, and it cannot say so; TLS ones end by their bytes. */
	for (struct map_place p = { 0 }; map_next(k->carried, &p);) {
		struct carried *c = p.value;
		if (!c->tls && c->keeper == index)
			carried_end(c);
	}
}

/* What was said last goes out before we go. */
static void
farewell(void *house)
{
	struct house      *h = house;
	struct login_role *k = role_of(h);

	if (clock_patient_ms() < k->leave_by_ms &&
	    (map_count(k->carried) > 0 || stream_leaving(h->loop) > 0))
		timer_set(k->farewell, FAREWELL_LOOK_MS);
	else
		house_leave(h);
}

static void
say_sessions_end(struct house *h, uint32_t keeper)
{
	struct link *l = house_link(h, KEEPER, keeper);

	if (l != NULL)
		link_say(l, WORD_SESSIONS_END, 0, (struct bytes){ NULL, 0 }, -1);
}

static void
login_stop(struct house *h)
{
	struct login_role *k = role_of(h);
	uint32_t           index;

	auth_doors_close(k->auth);
	for (struct door *d = k->doors; d != NULL; d = d->next)
		listener_close(&d->listener);
	proxylines_forget(k->proxylines, NULL);
	for (struct map_place p = { 0 }; map_next(k->guests, &p); p = (struct map_place){ 0 }) {
		struct guest *g = p.value;
		struct login *login = g->login;
		login_close(&login, "Server is shutting down.");
	}
	while (k->expected != NULL)
		expected_refuse(k->expected);
	for (uint32_t i = 0; i < house_peers(h, KEEPER); i++)
		say_sessions_end(h, i);
	for (size_t place = 0; house_user_keeper_next(h, &place, &index);)
		say_sessions_end(h, index);
	k->leave_by_ms = clock_patient_ms() + FAREWELL_MS;
	k->farewell = timer_open(h->loop, farewell, h);
	timer_set(k->farewell, 0);
}

static void
login_status(struct house *h, uint32_t *connections, struct buffer *text)
{
	struct login_role *k = role_of(h);

	*connections = (uint32_t)(map_count(k->guests) + map_count(k->carried));
	buffer_printf(text, "guests=%zu carried=%zu", map_count(k->guests), map_count(k->carried));
}

const struct role_card login_card = {
	.name = "login",
	.start = login_start,
	.work = login_work,
	.hear = login_hear,
	.peer = login_peer_came,
	.lost = login_peer_lost,
	.reload = login_reload,
	.stop = login_stop,
	.status = login_status,
};
