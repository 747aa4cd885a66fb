/*
 * receiver-ask -- what sessions ask: who is this, is that ours, is it too much
 */
#include "role/debug.h"
#include "role/receiver.h"

#include <string.h>

#include "base/clock.h"
#include "dns/peername.h"

enum {
	CACHE_MS = 60000,
	CACHE_MOST = 4096,
	CLERK_PATIENCE_MS = 30000,
	POLICY_PATIENCE_MS = 240000,
	NAME_MS = 500
};

/* What the clerk said of an address; only what is good is kept. */
struct known {
	enum resolve_class class;
};
static struct known known_local = { RESOLVE_LOCAL }, known_foreign = { RESOLVE_FOREIGN };

_Static_assert((int)SENDER_OWN == (int)OWNER_SELF && (int)SENDER_LATER == (int)OWNER_LATER,
               "the clerk's words are the session's");
_Static_assert((int)RESOLVE_LOCAL == (int)RESOLVED_LOCAL &&
                       (int)RESOLVE_LOOP == (int)RESOLVED_LOOP &&
                       (int)RESOLVE_FULL_NOW == (int)RESOLVED_FULL_NOW &&
                       (int)RESOLVE_FULL == (int)RESOLVED_FULL &&
                       (int)RESOLVE_REFUSED == (int)RESOLVED_REFUSED &&
                       (int)RESOLVE_DISCARDED == (int)RESOLVED_DISCARDED &&
                       (int)RESOLVE_UNKNOWN == (int)RESOLVED_UNKNOWN &&
                       (int)RESOLVE_LATER == (int)RESOLVED_LATER,
               "the wire and the session mean the same");
_Static_assert((int)AUTH_OK == (int)AUTHENTICATED &&
                       (int)AUTH_DISABLED == (int)AUTH_ACCOUNT_DISABLED &&
                       (int)AUTH_LATER == (int)AUTH_NOT_NOW,
               "here too");
_Static_assert((int)FETCHED == (int)URL_BEGUN && (int)FETCHED_NOT == (int)URL_NOT &&
                       (int)FETCHED_UNTRUSTED == (int)URL_UNTRUSTED &&
                       (int)FETCHED_LATER == (int)URL_LATER,
               "and of URLs");
_Static_assert((int)PEERNAME_CONFIRMED == (int)NAMED && (int)PEERNAME_NONE == (int)NAMED_NOT &&
                       (int)PEERNAME_FOREIGN == (int)NAMED_FOREIGN &&
                       (int)PEERNAME_NO_HOST == (int)NAMED_NO_HOST &&
                       (int)PEERNAME_LATER == (int)NAMED_LATER,
               "and here");

static struct visit *
visit_of(struct session *s)
{
	return *session_held(s);
}

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

void
ask_open(struct receiver *r)
{
	r->visits = map_open();
	r->resolved = map_open();
	r->rewriting = map_open();
	r->scanning = map_open();
	r->proxied = map_open();
	r->authors = map_open();
	r->filterings = map_open();
	r->comers = map_open();
}

void
visit_name_network(struct visit *v, const struct receiver_config *config, const struct peer *peer)
{
	char   network[48];
	size_t n = strlen(config->listener);

	peer_network_of(peer, (unsigned)config->set.bits_four, (unsigned)config->set.bits_six,
	                network);
	memcpy(v->network, config->listener, n);
	v->network[n] = ' ';
	memcpy(v->network + n + 1, network, strlen(network) + 1);
}

struct visit *
visit_begin(struct receiver *r, const struct receiver_config *config, const struct peer *peer)
{
	struct visit *v = memory_take(sizeof *v);

	visit_name_network(v, config, peer);
	crowd_come(r, v);
	v->ticket = ++r->next_ticket;
	v->number = v->ticket;
	v->story = story_begin();
	v->receiver = r;
	return v;
}

void
visit_end(struct receiver *r, struct visit *v)
{
	if (v->resolving || v->authenticating || v->owning || v->judging || v->flushing)
		(void)map_drop(r->visits, ticket_key(&v->ticket));
	question_drop(&r->questions, &v->question);
	milter_forget(v);
	need_look_drop(v);
	timer_close(&v->name_by);
	if (v->counted)
		tally_go(r->tally, v->network);
	crowd_go(r, v);
	memory_free(v);
}

/* Events are counted for whom they are said of; connections for whom they are with. */
void
need_changed(void *house, struct session *s)
{
	struct visit *v = visit_of(s);

	if (v->counted)
		tally_go(receiver_of(house)->tally, v->network);
	v->counted = false;
	crowd_go(receiver_of(house), v);
	visit_name_network(v, session_config(s), session_peer(s));
	crowd_come(receiver_of(house), v);
}

void
need_gone(void *house, struct session *s)
{
	struct visit *v = visit_of(s);

	if (v != NULL) {
		need_fetch_drop(house, s);
		visit_end(receiver_of(house), v);
	}
	*session_held(s) = NULL;
}

/* Whether somebody wants to see what is said in this session, as far as is known whose it is. */
void
visit_look(struct visit *v, bool known)
{
	struct session    *s = v->session;
	const struct peer *peer = session_peer(s);
	const char        *client = peer->text;
	char               name[300] = "", user[400] = "";
	ptrdiff_t          end;

	if (!debug_is_on(v->receiver->house))
		return;
	if (known)
		client = session_client(s);
	if ((end = bytes_find(bytes_of(client), '[')) > 0)
		(void)bytes_string(bytes_cut(bytes_of(client), 0, (size_t)end), name, sizeof name);
	(void)bytes_string(session_user(s), user, sizeof user);
	debug_look(v->receiver->house, connection_stream(s),
	           &(struct debug_facts){ .protocol = TRANSCRIPT_SMTP,
	                                  .service = session_config(s)->service,
	                                  .client = client,
	                                  .peer = peer,
	                                  .name = name[0] != '\0' ? name : NULL,
	                                  .user = user[0] != '\0' ? user : NULL });
}

/*
 * LOOKUP
 */

static void
named(struct visit *v, const struct word_looked *w)
{
	timer_close(&v->name_by);
	session_named(v->session, (enum named)w->class, w->name, w->reverse);
	visit_look(v, true);
}

static void
give_up_name(void *ctx)
{
	struct visit      *v = ctx;
	struct word_looked w = { .class = PEERNAME_LATER };

	question_drop(&v->receiver->questions, &v->question);
	named(v, &w);
}

static void
ask_name(struct question *q)
{
	struct visit      *v = (struct visit *)q;
	struct link       *l = house_link(v->receiver->house, VERIFIER, q->verifier);
	struct word_lookup w = { *session_peer(v->session) };

	word_pack_lookup(link_begin(l, WORD_LOOKUP, q->ticket), &w);
	link_end(l);
}

/* What does not unpack is heard as nothing: hear_looked() has looked before. */
static void
name_answered(struct question *q, const struct bytes *body)
{
	struct visit      *v = (struct visit *)q;
	struct word_looked w = { .class = PEERNAME_LATER };

	arena_clear(v->receiver->scratch);
	if (body != NULL && !word_unpack_looked(*body, v->receiver->scratch, &w))
		w = (struct word_looked){ .class = PEERNAME_LATER };
	named(v, &w);
}

bool
hear_looked(struct house *h, uint32_t ticket, struct bytes body)
{
	struct receiver   *r = receiver_of(h);
	struct word_looked w;

	arena_clear(r->scratch);
	return word_unpack_looked(body, r->scratch, &w) && w.class <= PEERNAME_LATER &&
	       (w.name.len == 0 || hostname_valid(w.name)) &&
	       (w.reverse.len == 0 || hostname_valid(w.reverse)) &&
	       question_heard(&r->questions, ticket, body);
}

bool
need_name(void *house, struct session *s)
{
	struct receiver *r = receiver_of(house);
	struct visit    *v = visit_of(s);

	if (!r->names)
		return false;
	v->name_by = timer_open(r->house->loop, give_up_name, v);
	timer_set(v->name_by, r->house->common.dns_timeout + NAME_MS);
	v->question.ask = ask_name;
	v->question.answered = name_answered;
	question_ask(&r->questions, &v->question);
	return true;
}

/*
 * RESOLVE
 */

void
ask_forget(struct receiver *r)
{
	map_close(&r->resolved);
	r->resolved = map_open();
}

static void
remember(struct receiver *r, struct bytes address, enum resolve_class class)
{
	if (class != RESOLVE_LOCAL && class != RESOLVE_FOREIGN)
		return;
	if (map_count(r->resolved) >= CACHE_MOST)
		ask_forget(r);
	if (map_count(r->resolved) == 0)
		r->resolved_at = clock_patient_ms();
	(void)map_put(r->resolved, address, class == RESOLVE_LOCAL ? &known_local : &known_foreign);
}

static void
say_resolve(struct receiver *r, struct visit *v)
{
	struct link        *l = house_link(r->house, CLERK, 0);
	struct word_resolve w = { .address = v->address,
		                  .sender = session_letter_sender(v->session),
		                  .sent = session_has_letter(v->session),
		                  .notice = session_is_notice(v->session),
		                  .size = session_letter_size(v->session) };

	if (l == NULL)
		return;
	word_pack_resolve(link_begin(l, WORD_RESOLVE, v->ticket), &w);
	link_end(l);
}

static void
ask_clerk(struct receiver *r, struct visit *v, struct bytes address)
{
	v->address = address;
	v->resolving = true;
	v->asked_at = clock_patient_ms();
	(void)map_put(r->visits, ticket_key(&v->ticket), v);
	say_resolve(r, v);
}

void
need_resolve(void *house, struct session *s, struct bytes address)
{
	struct receiver    *r = receiver_of(house);
	struct visit       *v = visit_of(s);
	const struct known *k;

	if (map_count(r->resolved) > 0 && clock_patient_ms() - r->resolved_at > CACHE_MS)
		ask_forget(r);
	if ((k = map_get(r->resolved, address)) != NULL) {
		session_resolved(s, (enum resolved)k->class, "");
		return;
	}
	ask_clerk(r, v, address);
}

/* The targets are wanted, which are not kept. */
void
need_expand(void *house, struct session *s, struct bytes address)
{
	struct visit *v = visit_of(s);

	v->expanding = true;
	ask_clerk(receiver_of(house), v, address);
}

/* The visit whose question this answers; NULL: it has gone. */
static struct visit *
visit_asked(struct receiver *r, uint32_t ticket, bool auth)
{
	struct visit *v = map_get(r->visits, ticket_key(&ticket));

	if (v == NULL || (auth ? !v->authenticating : !v->resolving))
		return NULL;
	return v;
}

static void
resolved(struct receiver *r, struct visit *v, enum resolve_class class, const char *table)
{
	(void)map_drop(r->visits, ticket_key(&v->ticket));
	v->resolving = false;
	if (v->expanding) {
		v->expanding = false;
		session_expanded(v->session, (enum resolved) class, table, NULL, 0);
		return;
	}
	session_resolved(v->session, (enum resolved) class, table);
}

static void
expanded(struct receiver *r, struct visit *v, const struct word_resolved *w)
{
	struct bytes *member = arena_take_array(r->scratch, w->targets + 1, sizeof *member);

	for (uint32_t i = 0; i < w->targets; i++)
		member[i] = w->target[i].address;
	(void)map_drop(r->visits, ticket_key(&v->ticket));
	v->resolving = v->expanding = false;
	session_expanded(v->session, (enum resolved)w->class,
	                 w->table[0] != '\0' ? w->table : "virtual mailbox table", member,
	                 w->targets);
}

bool
hear_resolved_address(struct house *h, uint32_t ticket, struct bytes body)
{
	struct receiver     *r = receiver_of(h);
	struct visit        *v = visit_asked(r, ticket, false);
	struct word_resolved w;

	arena_clear(r->scratch);
	if (!word_unpack_resolved(body, r->scratch, &w) || w.class > RESOLVE_DISCARDED)
		return false;
	if (v == NULL)
		return true;
	if (v->expanding) {
		expanded(r, v, &w);
		return true;
	}
	if (!w.passing && w.filter[0] == '\0')
		remember(r, v->address, (enum resolve_class)w.class);
	if (!r->unfiltered[receiver_place(h, session_config(v->session))])
		session_filter(v->session, w.filter);
	resolved(r, v, (enum resolve_class)w.class,
	         w.table[0] != '\0' || w.class == RESOLVE_FOREIGN ? w.table
	                                                          : "virtual mailbox table");
	return true;
}

/*
 * FLUSH
 */

static void
flushed(struct receiver *r, struct visit *v, int64_t letters)
{
	(void)map_drop(r->visits, ticket_key(&v->ticket));
	v->flushing = false;
	v->ticket = ++r->next_ticket;
	session_flushed(v->session, letters);
}

void
need_flush(void *house, struct session *s, struct bytes domain, bool below)
{
	struct receiver *r = receiver_of(house);
	struct visit    *v = visit_of(s);
	struct link     *l = house_link(house, QUEUE, 0);
	struct buffer   *b;

	if (l == NULL) {
		session_flushed(s, -1);
		return;
	}
	v->flushing = true;
	v->asked_at = clock_patient_ms();
	(void)map_put(r->visits, ticket_key(&v->ticket), v);
	b = link_begin(l, WORD_FLUSH, v->ticket);
	pack_bytes(b, domain);
	pack_bool(b, below);
	link_end(l);
}

bool
hear_flushed(struct house *h, uint32_t ticket, struct bytes body)
{
	struct receiver *r = receiver_of(h);
	struct visit    *v = map_get(r->visits, ticket_key(&ticket));
	struct unpack    u = unpack_of(body);
	uint32_t         letters = unpack_u32(&u);

	if (!unpack_done(&u))
		return false;
	if (v != NULL && v->flushing)
		flushed(r, v, letters);
	return true;
}

/*
 * SENDER_ASK
 */

void
need_owner(void *house, struct session *s, struct bytes user, struct bytes address)
{
	struct receiver *r = receiver_of(house);
	struct visit    *v = visit_of(s);
	struct link     *l = house_link(house, CLERK, 0);
	struct buffer   *b;

	if (l == NULL) {
		session_owner(s, OWNER_LATER);
		return;
	}
	v->owning = true;
	v->asked_at = clock_patient_ms();
	(void)map_put(r->visits, ticket_key(&v->ticket), v);
	b = link_begin(l, WORD_SENDER_ASK, v->ticket);
	pack_bytes(b, user);
	pack_bytes(b, address);
	link_end(l);
}

static void
owned(struct receiver *r, struct visit *v, enum owner o)
{
	(void)map_drop(r->visits, ticket_key(&v->ticket));
	v->owning = false;
	v->ticket = ++r->next_ticket; /* an answer that is still under way is for nobody */
	session_owner(v->session, o);
}

bool
hear_sender_said(struct house *h, uint32_t ticket, struct bytes body)
{
	struct receiver *r = receiver_of(h);
	struct visit    *v = map_get(r->visits, ticket_key(&ticket));
	struct unpack    u = unpack_of(body);
	uint8_t          o = unpack_u8(&u);

	if (!unpack_done(&u) || o > OWNER_LATER)
		return false;
	if (v != NULL && v->owning)
		owned(r, v, (enum owner)o);
	return true;
}

/*
 * AUTH
 */

void
need_auth_start(void *house, struct session *s, struct bytes mechanism, bool has_initial,
                struct bytes initial)
{
	struct receiver       *r = receiver_of(house);
	struct visit          *v = visit_of(s);
	struct link           *l = house_link(house, CLERK, 0);
	struct word_auth_start w = {
		.service = listener_names[session_config(s)->kind],
		.mechanism = mechanism,
		.has_initial = has_initial,
		.initial = initial,
		.peer = *session_peer(s),
		.tls = session_is_secure(s),
		.plus = session_offers_binding(s),
	};
	struct buffer channel = { 0 };

	if (l == NULL) {
		session_auth_done(s, AUTH_NOT_NOW, "", "the clerk is away", BYTES(""));
		return;
	}
	v->authenticating = true;
	v->asked_at = clock_patient_ms();
	(void)map_put(r->visits, ticket_key(&v->ticket), v);
	session_channel(s, &channel);
	w.binding = buffer_bytes(&channel);
	word_pack_auth_start(link_begin(l, WORD_AUTH_START, v->ticket), &w);
	link_end(l);
	buffer_free(&channel);
}

void
need_auth_step(void *house, struct session *s, struct bytes answer)
{
	struct link  *l = house_link(house, CLERK, 0);
	struct visit *v = visit_of(s);

	v->asked_at = clock_patient_ms();
	if (l != NULL && v->authenticating)
		link_say(l, WORD_AUTH_STEP, v->ticket, answer, -1);
	else
		session_auth_done(s, AUTH_NOT_NOW, "", "the clerk is away", BYTES(""));
}

static void
auth_ended(struct receiver *r, struct visit *v)
{
	if (v->authenticating)
		(void)map_drop(r->visits, ticket_key(&v->ticket));
	v->authenticating = false;
}

void
need_auth_drop(void *house, struct session *s)
{
	struct receiver *r = receiver_of(house);
	struct link     *l = house_link(house, CLERK, 0);
	struct visit    *v = visit_of(s);

	if (v->authenticating && l != NULL)
		link_say(l, WORD_AUTH_DROP, v->ticket, BYTES(""), -1);
	auth_ended(r, v);
	v->ticket = ++r->next_ticket; /* what is still under way is for nobody */
}

bool
hear_auth_more(struct house *h, uint32_t ticket, struct bytes body)
{
	struct visit *v = visit_asked(receiver_of(h), ticket, true);

	if (v != NULL) {
		v->asked_at = 0;
		session_auth_more(v->session, body);
	}
	return true;
}

bool
hear_auth_done(struct house *h, uint32_t ticket, struct bytes body)
{
	struct receiver      *r = receiver_of(h);
	struct visit         *v = visit_asked(r, ticket, true);
	struct arena         *life = arena_open(NULL);
	struct word_auth_done w;
	bool good = word_unpack_auth_done(body, life, &w) && w.answer <= AUTH_DISABLED;

	if (good && v != NULL) {
		auth_ended(r, v);
		v->account = w.answer == AUTH_OK ? w.account : 0;
		session_auth_done(v->session, (enum authenticated)w.answer, w.user, w.text, w.last);
		visit_look(v, true);
	}
	arena_close(&life);
	return good;
}

/*
 * The clerk comes and goes
 */

/* The visits that wait, gathered first: an answer may end a visit or begin a question. */
static struct visit **
waiting(struct receiver *r, size_t *n)
{
	struct visit **list;

	arena_clear(r->scratch);
	list = arena_take_array(r->scratch, map_count(r->visits) + 1, sizeof *list);
	*n = 0;
	for (struct map_place p = { 0 }; map_next(r->visits, &p);)
		list[(*n)++] = p.value;
	return list;
}

static void
give_up_auth(struct receiver *r, struct visit *v)
{
	auth_ended(r, v);
	v->ticket = ++r->next_ticket;
	session_auth_done(v->session, AUTH_NOT_NOW, "", "the clerk is away", BYTES(""));
}

/* An exchange died with it (whose client is to speak hears so then); a question about an
   address waits for its successor. */
void
ask_lost(struct receiver *r)
{
	size_t         n;
	struct visit **list = waiting(r, &n);

	ask_forget(r);
	for (size_t i = 0; i < n; i++)
		if (list[i]->judging)
			continue;
		else if (list[i]->owning)
			owned(r, list[i], OWNER_LATER);
		else if (list[i]->authenticating && list[i]->asked_at != 0)
			give_up_auth(r, list[i]);
		else if (list[i]->authenticating)
			auth_ended(r, list[i]);
}

void
ask_queue_lost(struct receiver *r)
{
	size_t         n;
	struct visit **list = waiting(r, &n);

	for (size_t i = 0; i < n; i++)
		if (list[i]->flushing)
			flushed(r, list[i], -1);
}

void
ask_again(struct receiver *r)
{
	size_t         n;
	struct visit **list = waiting(r, &n);

	for (size_t i = 0; i < n; i++)
		if (list[i]->resolving)
			say_resolve(r, list[i]);
}

void
ask_judges(struct receiver *r)
{
	size_t         n;
	struct visit **list = waiting(r, &n);

	for (size_t i = 0; i < n; i++)
		if (list[i]->judging)
			policy_again(r, list[i]);
}

void
ask_tick(struct receiver *r)
{
	int64_t        now = clock_patient_ms(), late = now - CLERK_PATIENCE_MS;
	size_t         n;
	struct visit **list;

	if (map_count(r->visits) == 0)
		return;
	list = waiting(r, &n);
	for (size_t i = 0; i < n; i++) {
		struct visit *v = list[i];

		if (v->judging) {
			if (v->asked_at < now - POLICY_PATIENCE_MS)
				policy_late(r, v);
			continue;
		}
		if (v->asked_at == 0 || v->asked_at > late)
			continue;
		if (v->owning)
			owned(r, v, OWNER_LATER);
		else if (v->flushing)
			flushed(r, v, -1);
		else if (v->resolving)
			resolved(r, v, RESOLVE_LATER, "");
		else
			give_up_auth(r, v);
	}
}

/*
 * The tally
 */

/* So many more of the account that has logged in. */
static uint32_t
account_adds(struct receiver *r, struct session *s, enum tally_kind kind, uint32_t events,
             int64_t now_ms, int64_t unit_ms)
{
	struct arena *scratch = arena_open(NULL);
	struct bytes  user = session_user(s);
	const char   *name = arena_printf(scratch, "account %.*s", (int)user.len, user.at);
	uint32_t      now = tally_account(r->tally, name, kind, events, now_ms, unit_ms);

	arena_close(&scratch);
	return now;
}

bool
need_count(void *house, struct session *s, enum counted kind, int64_t limit, uint32_t *now)
{
	/* clang-format off */
	static const enum tally_kind kinds[COUNTED] = {
		[COUNT_MESSAGE] = TALLY_MESSAGES, [COUNT_RECIPIENT] = TALLY_RECIPIENTS, [COUNT_AUTH] = TALLY_AUTHS,
		[COUNT_TLS] = TALLY_TLS, [COUNT_TLS_KNOWN] = TALLY_TLS, [COUNT_CONNECTION] = TALLY_CONNECTIONS,
		[COUNT_ACCOUNT_MESSAGE] = TALLY_MESSAGES, [COUNT_ACCOUNT_RECIPIENT] = TALLY_RECIPIENTS,
	};
	static const enum peak_kind peaks[COUNTED] = {
		[COUNT_MESSAGE] = PEAK_MESSAGES, [COUNT_RECIPIENT] = PEAK_RECIPIENTS, [COUNT_AUTH] = PEAK_AUTHS,
		[COUNT_TLS] = PEAK_TLS, [COUNT_CONNECTION] = PEAK_CONNECTION_RATE,
	};
	/* clang-format on */
	struct receiver *r = receiver_of(house);
	struct visit    *v = visit_of(s);
	int64_t          unit = session_config(s)->set.rate_unit;

	if (r->tally == NULL || v == NULL)
		return true;
	if (kind >= COUNT_ACCOUNT_MESSAGE)
		*now = account_adds(r, s, kinds[kind], 1, clock_patient_ms(), unit);
	else if (kind == COUNT_TLS_KNOWN)
		*now = tally_known(r->tally, v->network, kinds[kind], clock_patient_ms(), unit);
	else {
		*now = tally_event(r->tally, v->network, kinds[kind], clock_patient_ms(), unit);
		peak_count(r, s, v->network, peaks[kind], *now);
	}
	return *now <= limit;
}

/* The greeting can wait: has this client shown so? */
bool
need_pass(void *house, struct session *s, int64_t ms)
{
	struct receiver *r = receiver_of(house);
	struct visit    *v = visit_of(s);

	return r->tally != NULL && v != NULL &&
	       tally_passed(r->tally, v->network, clock_wall() * 1000, ms);
}

/* Who comes past the limit first is the one the postmaster hears of. */
enum spent
need_spend(void *house, struct session *s, bool day, uint32_t recipients, int64_t limit)
{
	struct receiver *r = receiver_of(house);
	uint32_t         now = 0;

	if (r->tally != NULL)
		now = account_adds(r, s, day ? TALLY_DAY : TALLY_HOUR, recipients,
		                   clock_wall() * 1000, day ? 86400000 : 3600000);
	if (now <= limit)
		return SPENT_WITHIN;
	return now - recipients <= limit ? SPENT_JUST_PAST : SPENT_PAST;
}
