/*
 * keeper-command -- what the command line asks of a keeper
 *
 *     session ID USER       the descriptor that came with the question becomes an IMAP session of
 *                           this account, as after a login: `mansio mailbox` and `mansio message` speak it
 *     convert ID USER TO    its letters go to another mail_location (keeper-convert.c)
 *     place ID USER         where its letters lie, if not where the settings say (keeper-place.c)
 *     who                   a line for each session: user, protocol, address, TLS, session, since, process, state
 *     index ID USER [drop]  letters in its text index and its bytes; or forgets it, to be made anew (keeper-text.c)
 *     kick session ID       ends it; says how many there were
 *     quota ID USER [recount]
 *                          bytes held and allowed, messages held and allowed, whether the count was right
 *     store check [ID]      the index of every account, or of this one, and its letters
 *
 * A check goes on in turns: a few letters in each, and none while the asker has much to hear.
 */
#include "base/clock.h"
#include "role/keeper.h"
#include "store/quota.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CHECK_TURN_MS = 5, CHECK_WAIT_MS = 20 };

/* ---- session ----------------------------------------------------------------------- */

static void
run_session(struct house *h, struct caller *caller, const struct word_ask *w)
{
	keeper_session_command(h, caller, w->argv[1], w->argv[2], caller_fd(caller));
}

void
keeper_session_command(struct house *h, struct caller *caller, const char *number, const char *user,
                       int fd)
{
	struct keeper *k = keeper_of(h);
	struct visit  *v;
	uint64_t       id;
	char           name[32];
	int            why;

	if (fd < 0 || !bytes_number(bytes_of(number), &id) || house_keeper_of(h, id) != h->index ||
	    map_get(k->gone, map_number(&id)) != NULL) {
		if (fd >= 0)
			close(fd);
		caller_complain(caller, "mansio: this keeper does not have the account %s\n",
		                number);
		caller_done(caller, 1);
		return;
	}
	if (!keeper_place_known(h, id, bytes_of(user)) ||
	    ((why = keeper_locate(k, id, bytes_of(user))) == EAGAIN && !k->personal && !k->told)) {
		keeper_early_add(k, caller, fd, number, user);
		return;
	}
	if (why != 0 && (k->personal || k->misplaced != NULL)) {
		close(fd);
		caller_complain(caller, "mansio: %s: the mailboxes cannot be opened: %s\n", user,
		                k->misplaced != NULL ? k->misplaced : strerror(why));
		caller_done(caller, 1);
		return;
	}
	v = memory_take(sizeof *v);
	*v = (struct visit){ .command = true };
	uint32_t            ticket = keeper_visit(h, v);
	struct access_facts facts = {
		.user = user,
		.account = id,
		.session = name,
		.tag = "session",
		.command = true,
		.peer = { .text = "local" },
		.here = { .text = "local" },
	};
	(void)snprintf(name, sizeof name, "command-%" PRIu32, ticket);
	keeper_limit(h, id, bytes_of(facts.user));
	keeper_groups(h, &facts, k->scratch);
	imap_open(k->imap, fd, &facts, ticket);
	caller_done(caller, 0);
}

/* ---- who and kick -------------------------------------------------------------------- */

/* One look at all sessions: to tell of them, or to gather those to be ended. */
struct look {
	struct keeper *keeper;
	struct caller *caller;
	const char    *protocol, *session;
	struct buffer  tickets; /* of those that fit                */
};

static const struct visit *
visit_of(struct keeper *k, uint32_t ticket)
{
	return map_get(k->sessions, (struct bytes){ (const char *)&ticket, sizeof ticket });
}

static void
tell_session(void *ctx, uint32_t ticket, const struct access_facts *f, const char *state)
{
	struct look        *w = ctx;
	const struct visit *v = visit_of(w->keeper, ticket);

	if (v != NULL && !v->command)
		caller_say(w->caller, "%s\t%s\t%s\t%s\t%s\t%" PRId64 "\t%ld\t%s\n", f->user,
		           w->protocol, f->peer.text, f->tls ? "TLS" : "-", f->session, v->since,
		           (long)getpid(), state);
}

static void
gather_session(void *ctx, uint32_t ticket, const struct access_facts *f, const char *state)
{
	struct look        *w = ctx;
	const struct visit *v = visit_of(w->keeper, ticket);

	(void)state;
	if (v != NULL && !v->command && strcmp(f->session, w->session) == 0)
		buffer_add(&w->tickets, (struct bytes){ (const char *)&ticket, sizeof ticket });
}

static void
look_at_all(struct look *w,
            void (*each)(void *, uint32_t, const struct access_facts *, const char *))
{
	w->protocol = "imap";
	imap_service_each(w->keeper->imap, each, w);
	w->protocol = "pop3";
	pop3_service_each(w->keeper->pop3, each, w);
}

static void
run_who(struct house *h, struct caller *caller, const struct word_ask *ask)
{
	struct look w = { .keeper = keeper_of(h), .caller = caller };

	(void)ask;
	look_at_all(&w, tell_session);
	caller_done(caller, 0);
}

static void
run_kick(struct house *h, struct caller *caller, const struct word_ask *ask)
{
	struct keeper *k = keeper_of(h);
	struct look    w = { .keeper = k, .caller = caller, .session = ask->argv[2] };
	uint32_t       ticket;
	size_t         n = 0;

	look_at_all(&w, gather_session);
	for (; w.tickets.len > 0; n++) {
		memcpy(&ticket, w.tickets.at, sizeof ticket);
		buffer_eat(&w.tickets, sizeof ticket);
		if (!imap_service_end(k->imap, ticket, "[UNAVAILABLE] Ended by the administrator"))
			(void)pop3_service_end(k->pop3, ticket, "Ended by the administrator");
	}
	buffer_free(&w.tickets);
	caller_say(caller, "%zu\n", n);
	caller_done(caller, 0);
}

/* ---- quota ----------------------------------------------------------------------------- */

static void
run_quota(struct house *h, struct caller *caller, const struct word_ask *w)
{
	struct account *a = NULL;
	struct quota    q = { 0 };
	uint64_t        id;
	bool            right = true;
	int             why = ENOENT;

	if (bytes_number(bytes_of(w->argv[1]), &id) && house_keeper_of(h, id) == h->index) {
		why = keeper_of(h)->user != NULL
		              ? keeper_locate(keeper_of(h), id, bytes_of(w->argv[2]))
		              : 0;
		keeper_limit(h, id, bytes_of(w->argv[2]));
		a = why == 0 ? account_take(keeper_of(h)->store, id, &why) : NULL;
	}
	if (a != NULL)
		why = w->argc > 3 ? account_recount(a, &right) : 0;
	if (a != NULL && why == 0)
		why = account_quota(a, &q);
	account_drop(&a);
	if (why != 0)
		caller_complain(caller, "mansio: account %s: %s\n", w->argv[1], strerror(why));
	else
		caller_say(caller, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %d\n", q.bytes,
		           q.limit.bytes, q.messages, q.limit.messages, right);
	caller_done(caller, why == 0 ? 0 : 1);
}

/* ---- store check ----------------------------------------------------------------------- */

struct inspection {
	struct house         *house;
	struct caller        *caller;
	struct timer         *turn;
	struct buffer         accounts; /* ids not looked at yet            */
	struct account_check *check;    /* of the first of them             */
	size_t                wrong;
	struct inspection    *next;
};

static void
inspection_end(struct inspection *i, int status)
{
	struct inspection **at = &keeper_of(i->house)->inspections;

	while (*at != i)
		at = &(*at)->next;
	*at = i->next;
	i->wrong += account_check_close(&i->check);
	caller_say(i->caller, "%zu\n", i->wrong);
	caller_done(i->caller, status);
	timer_close(&i->turn);
	buffer_free(&i->accounts);
	memory_free(i);
}

static bool
inspection_enter(struct inspection *i)
{
	uint64_t id;
	int      why = 0;

	if (i->accounts.len == 0)
		return false;
	memcpy(&id, i->accounts.at, sizeof id);
	buffer_eat(&i->accounts, sizeof id);
	i->check = account_check_open(keeper_of(i->house)->store, id, &why);
	if (i->check == NULL && map_get(keeper_of(i->house)->gone, map_number(&id)) == NULL) {
		caller_say(i->caller, "account %" PRIu64 ": cannot be opened: %s\n", id,
		           strerror(why));
		i->wrong++;
	}
	return true;
}

/* False: it is over. */
static bool
inspection_step(struct inspection *i)
{
	struct buffer out = { 0 };
	bool          more;

	if (i->check == NULL)
		return inspection_enter(i);
	more = account_check_step(i->check, &out);
	if (out.len > 0)
		caller_say(i->caller, "%.*s", (int)out.len, out.at);
	buffer_free(&out);
	if (!more)
		i->wrong += account_check_close(&i->check);
	return true;
}

static void
inspection_turn(void *ctx)
{
	struct inspection *i = ctx;
	int64_t            ends = clock_patient_ms() + CHECK_TURN_MS;

	if (caller_gone(i->caller)) {
		inspection_end(i, 1);
		return;
	}
	if (!caller_hears(i->caller)) {
		timer_set(i->turn, CHECK_WAIT_MS);
		return;
	}
	do {
		if (!inspection_step(i)) {
			inspection_end(i, i->wrong == 0 ? 0 : 1);
			return;
		}
	} while (clock_patient_ms() < ends);
	timer_set(i->turn, 1);
}

static int
inspection_add(void *ctx, uint64_t id)
{
	struct inspection *i = ctx;

	buffer_add(&i->accounts, map_number(&id));
	return 0;
}

static void
run_check(struct house *h, struct caller *caller, const struct word_ask *w)
{
	struct keeper     *k = keeper_of(h);
	struct inspection *i = memory_take(sizeof *i);
	uint64_t           id;
	int                why = 0;

	*i = (struct inspection){ .house = h, .caller = caller, .next = k->inspections };
	k->inspections = i;
	i->turn = timer_open(h->loop, inspection_turn, i);
	if (k->personal)
		why = keeper_user_ready(h);
	if (why == 0 && w->argc > 2 && bytes_number(bytes_of(w->argv[2]), &id))
		why = house_keeper_of(h, id) == h->index ? inspection_add(i, id) : ENOENT;
	else if (why == 0)
		why = store_each_account(k->store, inspection_add, i);
	if (why != 0) {
		caller_complain(caller, "mansio: the accounts cannot be listed: %s\n",
		                strerror(why));
		inspection_end(i, 1);
		return;
	}
	timer_set(i->turn, 0);
}

/* ---- the table -------------------------------------------------------------------------- */

/* clang-format off */
static const struct {
	const char *noun, *verb;     /* verb "": the noun alone  */
	uint32_t    least;           /* words in all             */
	void      (*run)(struct house *, struct caller *, const struct word_ask *);
} orders[] = {
	{ "session", "",      3, run_session },
	{ "convert", "",      4, keeper_convert },
	{ "index",   "",      3, keeper_index },
	{ "locate",  "",      4, keeper_locate_new },
	{ "place",   "",      3, keeper_place_say },
	{ "who",     "",      1, run_who     },
	{ "kick",    "",      3, run_kick    },
	{ "quota",   "",      3, run_quota   },
	{ "store",   "check", 2, run_check   },
};
/* clang-format on */

void
keeper_command(struct house *h, struct caller *caller, const struct word_ask *w)
{
	for (size_t i = 0; i < COUNT(orders); i++)
		if (w->argc >= orders[i].least && strcmp(w->argv[0], orders[i].noun) == 0 &&
		    (*orders[i].verb == '\0' || strcmp(w->argv[1], orders[i].verb) == 0)) {
			orders[i].run(h, caller, w);
			return;
		}
	caller_complain(caller, "mansio: a keeper does not know this command\n");
	caller_done(caller, 2);
}

void
keeper_commands_end(struct house *h)
{
	struct keeper *k = keeper_of(h);

	keeper_conversions_end(h);
	keeper_indexes_end(h);
	while (k->inspections != NULL) {
		caller_complain(k->inspections->caller, "mansio: the server stops\n");
		inspection_end(k->inspections, 1);
	}
	house_commands_end(h);
}
