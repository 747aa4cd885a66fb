#include "role/policy-milter.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/map.h"
#include "role/policy-milter-checks.h"
#include "smtp/receiver/settings.h"

enum { WAITING_MOST = 1000 };

/* A word that waits until the filters have answered to the one before. */
struct waiting {
	struct waiting *next;
	struct buffer   body;
	enum word       word;
	int             fd;
};
struct milter_session {
	struct enquiry       enquiry; /* first: of a table of smtpd_milter_maps */
	struct milters      *milters;
	struct milter_chain *chain;
	struct arena        *life;           /* of the letter in hand                  */
	struct milter_file  *content, *body; /* body: a new one                 */
	struct buffer        made; /* what filters made of it, while tables are asked of that */
	struct inquest      *inquest;
	struct waiting      *first, **last;
	size_t               waits;
	uint32_t             receiver, ticket;
	size_t               place; /* of its listener                     */
	size_t               map;   /* of smtpd_milter_maps, that is looked into */
	char                 client[48];
	bool                 looking; /* tables are asked of what filters made */
	bool                 finding; /* a table is asked: chain is NULL until then */
	bool                 mute;    /* the answer to the event in hand is not waited for */
	bool                 going, over;
};
struct milters {
	struct house          *house;
	struct tables        **tables;
	struct enquiries     **enquiries;
	struct inquests      **inquests;
	struct milter_set     *set[LISTENERS_MOST];
	struct milter_settings settings[LISTENERS_MOST];
	struct map            *sessions; /* receiver and ticket -> session           */
};

static uint64_t
key_of(uint32_t receiver, uint32_t ticket)
{
	return (uint64_t)receiver << 32 | ticket;
}

/*
 * Settings
 */

static void
forget_set(struct milter_set **set)
{
	if (*set != NULL)
		milter_set_let_go(*set);
	milter_set_drop(set);
}

void
milters_reload(struct milters *m)
{
	for (size_t i = 0; i < m->house->listeners.count; i++) {
		const char            *name = m->house->listeners.one[i].name;
		struct buffer          errors = { 0 };
		struct milter_settings s;
		struct milter_set     *set = NULL;

		if (house_settings(m->house, &milter_setting_table, name, &s))
			set = milter_set_open(&s, &s.smtpd, &errors);
		if (set != NULL) {
			forget_set(&m->set[i]);
			m->set[i] = set;
			m->settings[i] = s;
		} else
			fault("%s: %.*s", name, (int)errors.len, errors.at);
		/* The settings were looked at before: there is always something. */
		if (m->set[i] == NULL)
			m->set[i] = milter_set_open(
				&(struct milter_settings){ .macro_daemon = "",
			                                   .macro_v = "",
			                                   .protocol = { .count = 0 } },
				&(struct setting_list){ NULL, 0 }, &errors);
		buffer_free(&errors);
	}
}

struct milters *
milters_open(struct house *h, struct tables **tables, struct enquiries **enquiries,
             struct inquests **inquests)
{
	struct milters *m = memory_take(sizeof *m);

	m->house = h;
	m->tables = tables;
	m->enquiries = enquiries;
	m->inquests = inquests;
	m->sessions = map_open();
	milters_reload(m);
	return m;
}

void
milters_status(const struct milters *m, struct buffer *out)
{
	buffer_printf(out, " milter_sessions=%zu milter_connections=%zu", map_count(m->sessions),
	              milter_connections());
}

/*
 * Saying
 */

static struct word_milter_said
said_of(const struct milter_said *s)
{
	return (struct word_milter_said){ .reply = s->reply != NULL ? s->reply : "",
		                          .shut = s->shut,
		                          .discard = s->discard,
		                          .hold = s->hold,
		                          .wants = s->wants,
		                          .by = s->by,
		                          .reason = s->reason };
}

static void
say(struct milter_session *s, const struct word_milter_said *w)
{
	struct link *l = house_link(s->milters->house, RECEIVER, s->receiver);

	if (l == NULL || s->mute)
		return;
	word_pack_milter_said(link_begin(l, WORD_MILTER_SAID, s->ticket), w);
	link_end(l);
}

static void session_go(struct milter_session *);

static void
session_said(void *ctx, const struct milter_said *said)
{
	struct milter_session  *s = ctx;
	struct word_milter_said w = said_of(said);

	say(s, &w);
	s->mute = false;
	session_go(s);
}

/* The answer to a letter, as it is: the filters' own, and what tables say of the fields that are new in it. */
static void
say_made(struct milter_session *s, struct word_milter_made *w, const struct edits *edits)
{
	struct link  *l = house_link(s->milters->house, RECEIVER, s->receiver);
	struct buffer packed = { 0 };
	int           fd = s->body != NULL ? milter_file_fd(s->body, &w->body_len) : -1;

	edits_pack(edits, &packed);
	w->edits = buffer_bytes(&packed);
	if (l != NULL) {
		word_pack_milter_made(link_begin(l, WORD_MILTER_MADE, s->ticket), w);
		link_end_fd(l, fd);
	}
	buffer_free(&packed);
	if (s->body != NULL)
		milter_sockets.source_close((void **)&s->body);
	milter_sockets.source_close((void **)&s->content);
	arena_close(&s->life);
}

static void look_at_made(void *ctx);

/* False: they cannot be asked, so the letter is put off. */
static bool
ask_elsewhere(struct milter_session *s, const struct milter_looking *looking)
{
	struct milters *m = s->milters;

	if (s->inquest == NULL)
		s->inquest = inquest_open(*m->inquests, look_at_made, s);
	s->looking = inquest_ask(s->inquest, buffer_bytes(&looking->wanted), looking->names, 1);
	return s->looking;
}

/* What the filters made is kept packed as long as tables that are elsewhere are asked about it. */
static void
look_at_made(void *ctx)
{
	struct milter_session  *s = ctx;
	struct milters         *m = s->milters;
	struct arena           *life = arena_open(NULL);
	struct word_milter_made w;
	struct edits            edits;
	struct milter_looking   looking = {
		  .names = &m->settings[s->place].checks,
		  .tables = *m->tables,
		  .default_type = tables_default_type(m->house->settings),
		  .known = s->inquest == NULL ? BYTES("") : inquest_known(s->inquest),
	};

	s->looking = false;
	INSIDE(word_unpack_milter_made(buffer_bytes(&s->made), life, &w) &&
	       edits_unpack(w.edits, life, &edits));
	w.checks = milter_checks(&looking, life, &edits, &w.front);
	if (looking.wanted.len == 0 || !ask_elsewhere(s, &looking)) {
		if (looking.wanted.len > 0)
			w.said = (struct word_milter_said){
				.reply = "451 4.3.0 Error: queue file write error",
				.by = "",
				.reason = ""
			};
		inquest_close(&s->inquest);
		say_made(s, &w, &edits);
		buffer_free(&s->made);
	}
	buffer_free(&looking.wanted);
	arena_close(&life);
	if (!s->looking)
		session_go(s);
}

static void
session_made(void *ctx, const struct milter_made *made)
{
	struct milter_session  *s = ctx;
	struct word_milter_made w = { .said = said_of(&made->said),
		                      .front = made->front,
		                      .envelope = made->envelope,
		                      .envelopes = (uint32_t)made->envelopes };
	struct buffer           edits = { 0 };

	s->body = made->body;
	if (s->milters->settings[s->place].checks.count == 0) {
		say_made(s, &w, &made->edits);
		session_go(s);
		return;
	}
	edits_pack(&made->edits, &edits);
	w.edits = buffer_bytes(&edits);
	buffer_reset(&s->made);
	word_pack_milter_made(&s->made, &w);
	buffer_free(&edits);
	look_at_made(s);
}

/*
 * Sessions
 */

static void
waiting_free(struct milter_session *s)
{
	struct waiting *w = s->first;

	s->first = w->next;
	if (s->first == NULL)
		s->last = &s->first;
	s->waits--;
	if (w->fd >= 0)
		(void)close(w->fd);
	buffer_free(&w->body);
	memory_free(w);
}

static void
session_end(struct milter_session *s)
{
	uint64_t key = key_of(s->receiver, s->ticket);

	(void)map_drop(s->milters->sessions, map_number(&key));
	if (s->finding)
		enquiry_drop(*s->milters->enquiries, &s->enquiry);
	while (s->first != NULL)
		waiting_free(s);
	milter_chain_close(&s->chain);
	inquest_close(&s->inquest);
	buffer_free(&s->made);
	if (s->body != NULL)
		milter_sockets.source_close((void **)&s->body);
	milter_sockets.source_close((void **)&s->content);
	arena_close(&s->life);
	memory_free(s);
}

/* The filters a value of smtpd_milter_maps lists; NULL: they are written wrong. */
static struct milter_set *
set_of_value(const struct milter_settings *set, struct bytes value, struct buffer *errors)
{
	struct arena      *a = arena_open(NULL);
	const char        *item[MILTERS_MOST + 1];
	struct bytes       rest = bytes_trim(value), one;
	size_t             count = 0;
	struct milter_set *found = NULL;
	bool               good = true;

	while (good && rest.len > 0 && count <= MILTERS_MOST) {
		good = setting_item(&rest, &one);
		if (good && one.len > 0)
			item[count++] = arena_copy(a, one);
	}
	if (!good)
		buffer_add_string(errors, "a \"{\" is opened and never closed");
	else if (count == 1 && bytes_is(bytes_of(item[0]), "DISABLE"))
		found = milter_set_open(set, &(struct setting_list){ item, 0 }, errors);
	else
		found = milter_set_open(set, &(struct setting_list){ item, count }, errors);
	arena_close(&a);
	return found;
}

/* The session has its filters, and what waited for that goes on. */
static void
session_shown_to(struct milter_session *s, struct milter_set *set)
{
	struct milters *m = s->milters;

	if (set == NULL)
		set = milter_set_take(m->set[s->place]);
	s->chain = milter_chain_open(set, &milter_sockets, m->house, session_said, session_made, s);
	milter_set_drop(&set);
}

/* A table that does not know now has nothing: the filters of the listener look at such a client. */
static struct milter_set *
take_answer(struct milter_session *s, enum table_outcome outcome, struct bytes value)
{
	const struct milter_settings *set = &s->milters->settings[s->place];
	struct milter_set            *found = NULL;
	struct buffer                 errors = { 0 };

	if (outcome == TABLE_LATER)
		warn_("smtpd_milter_maps: %s cannot be asked now: smtpd_milters are used for %s",
		      set->maps.item[s->map], s->client);
	if (outcome == TABLE_FOUND)
		found = set_of_value(set, value, &errors);
	if (outcome == TABLE_FOUND && found == NULL)
		warn_("smtpd_milter_maps: %.*s", (int)errors.len, errors.at);
	buffer_free(&errors);
	return found;
}

static void session_find(struct milter_session *);

static void
map_answered(struct enquiry *e, enum table_outcome outcome, struct bytes value)
{
	struct milter_session *s = (struct milter_session *)e;
	struct milter_set     *set = take_answer(s, outcome, value);

	s->finding = false;
	if (set != NULL || outcome == TABLE_LATER)
		session_shown_to(s, set);
	else {
		s->map++;
		session_find(s);
	}
	session_go(s);
}

/* What smtpd_milter_maps says of this client, or else the list of its listener; a table elsewhere is asked first. */
static void
session_find(struct milter_session *s)
{
	struct milters               *m = s->milters;
	const struct milter_settings *rows = &m->settings[s->place];
	struct arena                 *a = arena_open(NULL);
	struct milter_set            *set = NULL;

	for (; set == NULL && s->map < rows->maps.count && *m->tables != NULL; s->map++) {
		const char        *name = rows->maps.item[s->map];
		struct table      *t = tables_local(*m->tables, name);
		struct bytes       value = { NULL, 0 }, key = bytes_of(s->client);
		enum table_outcome o = t != NULL
		                               ? table_find(t, key, a, &value)
		                               : enquiry_kept(*m->enquiries, name, key, a, &value);

		if (o == TABLE_WAIT) {
			s->finding = true;
			s->enquiry = (struct enquiry){ .answered = map_answered };
			enquiry_ask(*m->enquiries, &s->enquiry, name, key);
			arena_close(&a);
			return;
		}
		set = take_answer(s, o, value);
		if (o == TABLE_LATER)
			break;
	}
	arena_close(&a);
	session_shown_to(s, set);
}

static void
session_begin(struct milters *m, uint32_t receiver, uint32_t ticket,
              const struct word_milter_event *w)
{
	uint64_t               key = key_of(receiver, ticket);
	struct milter_session *s = map_get(m->sessions, map_number(&key));
	size_t                 place;

	if (s != NULL)
		session_end(s);
	place = listener_place(&m->house->listeners, bytes_of(w->listener));
	if (place == m->house->listeners.count)
		place = LISTEN_SMTP;
	s = memory_take(sizeof *s);
	*s = (struct milter_session){
		.milters = m, .receiver = receiver, .ticket = ticket, .place = place
	};
	(void)bytes_string(bytes_of(w->peer.text), s->client, sizeof s->client);
	s->last = &s->first;
	(void)map_put(m->sessions, map_number(&key), s);
	session_find(s);
}

static char
family_of(const struct peer *p)
{
	return p->family == AF_INET ? '4' : p->family == AF_INET6 ? '6' : 'U';
}

static bool
do_event(struct milter_session *s, struct bytes body)
{
	struct arena            *a = arena_open(NULL);
	struct word_milter_event w;
	bool                     good = word_unpack_milter_event(body, a, &w);

	if (good) {
		s->mute = w.refused;
		milter_chain_event(s->chain,
		                   &(struct milter_event){ .stage = (enum milter_stage)w.stage,
		                                           .argument = w.argument,
		                                           .arguments = w.arguments,
		                                           .family = family_of(&w.peer),
		                                           .port = w.peer.port,
		                                           .refused = w.refused,
		                                           .macros = w.macros });
	}
	arena_close(&a);
	return good;
}

static bool
do_letter(struct milter_session *s, struct bytes body, int fd)
{
	struct arena             *a = arena_open(NULL);
	struct word_milter_letter w;

	body = arena_keep(a, body);
	if (!word_unpack_milter_letter(body, a, &w) || w.inside != (fd < 0)) {
		arena_close(&a);
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	s->life = a;
	s->content = milter_file_open(w.content, fd, w.at, w.inside ? w.content.len : w.len);
	milter_chain_content(s->chain,
	                     &(struct milter_content){ .source = s->content,
	                                               .len = w.inside ? w.content.len : w.len,
	                                               .most = w.most,
	                                               .fields = w.fields,
	                                               .macros = w.macros });
	return true;
}

/* False: broken.  The session may be gone afterwards. */
static bool
do_word(struct milter_session *s, enum word word, struct bytes body, int fd)
{
	struct unpack u;
	uint8_t       whole;

	if (word == WORD_MILTER_EVENT)
		return do_event(s, body);
	if (word == WORD_MILTER_LETTER)
		return do_letter(s, body, fd);
	u = unpack_of(body);
	whole = unpack_u8(&u);
	if (!unpack_done(&u) || whole > 1)
		return false;
	if (whole == 0)
		milter_chain_abort(s->chain);
	else
		s->over = true;
	return true;
}

static bool
is_busy(const struct milter_session *s)
{
	return s->finding || s->looking || milter_chain_busy(s->chain);
}

/* The words that have waited, until one has to be answered by a filter. */
static void
session_go(struct milter_session *s)
{
	if (s->going || s->finding || s->looking)
		return;
	s->going = true;
	while (s->first != NULL && !s->over && !is_busy(s)) {
		struct waiting *w = s->first;
		int             fd = w->fd;

		w->fd = -1;
		if (!do_word(s, w->word, buffer_bytes(&w->body), fd))
			s->over = true;
		waiting_free(s);
	}
	s->going = false;
	if (s->over && !is_busy(s))
		session_end(s);
}

/*
 * Receivers
 */

static bool
hear_connect(struct milters *m, uint32_t receiver, uint32_t ticket, struct bytes body)
{
	struct arena            *a = arena_open(NULL);
	struct word_milter_event w;
	bool good = word_unpack_milter_event(body, a, &w) && w.stage == STAGE_CONNECT &&
	            w.arguments == 2;

	if (good && map_count(m->sessions) < MILTER_SESSIONS_MOST)
		session_begin(m, receiver, ticket, &w);
	arena_close(&a);
	return good;
}

/* What belongs to no session is of one whose policy role has died: it is answered as one that is too busy would. */
static void
say_nobody(struct milters *m, uint32_t receiver, uint32_t ticket, enum word word)
{
	struct link            *l = house_link(m->house, RECEIVER, receiver);
	struct word_milter_said w = { .reply = "451 4.7.1 Service unavailable - try again later",
		                      .by = "",
		                      .reason = "" };

	if (l == NULL || word == WORD_MILTER_OVER)
		return;
	if (word == WORD_MILTER_EVENT)
		word_pack_milter_said(link_begin(l, WORD_MILTER_SAID, ticket), &w);
	else
		word_pack_milter_made(link_begin(l, WORD_MILTER_MADE, ticket),
		                      &(struct word_milter_made){ .said = w });
	link_end(l);
}

static void
put_off(struct milter_session *s, enum word word, struct bytes body, int fd)
{
	struct waiting *w = memory_take(sizeof *w);

	w->word = word;
	w->fd = fd;
	buffer_add(&w->body, body);
	*s->last = w;
	s->last = &w->next;
	s->waits++;
}

/* The first byte of an event is its stage. */
static bool
begins_session(enum word word, struct bytes body)
{
	return word == WORD_MILTER_EVENT && body.len > 0 && body.at[0] == STAGE_CONNECT;
}

bool
milters_hear(struct milters *m, uint32_t receiver, enum word word, uint32_t ticket,
             struct bytes body, int fd)
{
	uint64_t               key = key_of(receiver, ticket);
	struct milter_session *s;
	bool good = !begins_session(word, body) || hear_connect(m, receiver, ticket, body);

	s = map_get(m->sessions, map_number(&key));
	if (good && s == NULL)
		say_nobody(m, receiver, ticket, word);
	if (!good || s == NULL || s->waits >= WAITING_MOST) {
		if (fd >= 0)
			(void)close(fd);
		return good && (s == NULL || s->waits < WAITING_MOST);
	}
	if (s->first != NULL || is_busy(s)) {
		put_off(s, word, body, fd);
		return true;
	}
	s->going = true;
	good = do_word(s, word, body, fd);
	s->going = false;
	session_go(s);
	return good;
}

void
milters_lost(struct milters *m, uint32_t receiver)
{
	for (struct map_place p = { 0 }; map_next(m->sessions, &p);) {
		struct milter_session *s = p.value;

		if (s->receiver == receiver)
			session_end(s);
	}
}

void
milters_close(struct milters **mp)
{
	struct milters *m = *mp;

	*mp = NULL;
	if (m == NULL)
		return;
	for (struct map_place p = { 0 }; map_next(m->sessions, &p);)
		session_end(p.value);
	for (size_t i = 0; i < LISTENERS_MOST; i++)
		forget_set(&m->set[i]);
	map_close(&m->sessions);
	memory_free(m);
}
