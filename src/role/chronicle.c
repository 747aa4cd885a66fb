/*
 * chronicle -- keeps for some weeks what happened to letters, and tells it
 *
 * From:     receivers, the queue, senders (EVENT); the command line
 * Touches:  events/ of the mail directory
 *
 * Nobody waits for it, and mail goes on without it.
 */
#include "role/chronicle.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/journal.h"
#include "role/events.h"

enum { TICK_MS = 5000 };

#define AT(f) offsetof(struct chronicle_settings, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "event_lifetime", SETTING_TIME, AT(lifetime_ms), "30d", "How long mansio trace knows what happened to a letter; 0: as long as event_size_limit lets it.", NULL, 0, 0, "0.3" },
	{ "event_size_limit", SETTING_SIZE, AT(size_most), "2G", "How much room on disk that may take; the oldest goes first; 0: no limit.", NULL, 0, 0, "0.3" },
	{ "event_addresses", SETTING_CHOICE, AT(addresses), "whole",
	  "How mail addresses are kept there: whole; pseudonym, a word that is always the same stands before the @ and mansio trace ADDRESS still finds it; domain, nothing before the @.",
	  "whole,pseudonym,domain", 0, 0, "0.3" },
	{ "event_clients", SETTING_CHOICE, AT(clients), "whole",
	  "How clients are kept there: whole; network, their address without its end (/24, /48) and no name; none.", "whole,network,none", 0, 0, "0.3" },
};
/* clang-format on */
#undef AT
const struct setting_table chronicle_setting_table = { "What happened to letters", rows,
	                                               COUNT(rows) };

/*
 * Hearing
 */

/* Who may say what of whom: each role tells of what it does. */
static const unsigned tellers[LIFE_KINDS] = {
	[LIFE_ACCEPTED] = FROM(RECEIVER), [LIFE_REFUSED] = FROM(RECEIVER),
	[LIFE_RULE] = FROM(RECEIVER),     [LIFE_ENTERED] = FROM(QUEUE),
	[LIFE_CONTACT] = FROM(SENDER),    [LIFE_ATTEMPT] = FROM(QUEUE),
	[LIFE_NOTICE] = FROM(QUEUE),      [LIFE_ORDER] = FROM(QUEUE),
	[LIFE_REMOVED] = FROM(QUEUE),     [LIFE_DISCARDED] = FROM(RECEIVER),
};

static bool
may_be_said(struct bytes events, enum role from)
{
	struct bytes packed;
	struct event e;
	bool         broken = false;

	while (event_next(&events, &packed, &e, &broken))
		if ((tellers[e.kind] & FROM(from)) == 0)
			return false;
	return !broken;
}

static bool
hear_event(struct house *h, enum role from, struct bytes body)
{
	struct chronicler *c = chronicler_of(h);
	struct arena      *a = arena_open(NULL);
	struct word_event  w;
	struct bytes       packed;
	struct event       e;
	bool good = word_unpack_event(body, a, &w) && may_be_said(w.events, from), broken = false;

	arena_close(&a);
	if (!good)
		return false;
	if (w.lost > 0)
		chronicle_lost(c->chronicle, w.lost);
	c->lost += w.lost;
	while (event_next(&w.events, &packed, &e, &broken)) {
		chronicle_add(c->chronicle, &e);
		c->heard++;
	}
	loop_again(h->loop);
	return true;
}

/*
 * The day
 */

static void
packed(void *ctx)
{
	struct house      *h = ctx;
	struct chronicler *c = chronicler_of(h);

	c->packing = false;
	chronicle_packed(c->chronicle);
	if (c->stopping)
		house_leave(h);
}

static void
pack(void *ctx)
{
	chronicle_pack(chronicler_of(ctx)->chronicle);
}

/* The end of a turn: what came is written; a file that is full goes to a thread. */
static void
at_rest(void *ctx)
{
	struct house      *h = ctx;
	struct chronicler *c = chronicler_of(h);

	if (c->stopping)
		return;
	chronicle_flush(c->chronicle);
	if (c->packing || !chronicle_turn(c->chronicle))
		return;
	c->packing = true;
	loop_job(h->loop, pack, packed, h);
}

static void
tick(void *ctx)
{
	struct chronicler *c = chronicler_of(ctx);

	chronicle_sweep(c->chronicle);
	timer_set(c->tick, TICK_MS);
}

static void
limits_of(struct house *h, struct chronicle_limits *l)
{
	struct chronicler *c = chronicler_of(h);

	(void)house_settings(h, &chronicle_setting_table, NULL, &c->rows);
	*l = (struct chronicle_limits){
		.lifetime_s = c->rows.lifetime_ms / 1000,
		.size_most = (uint64_t)c->rows.size_most,
		.free_least = (uint64_t)h->common.queue_minfree,
		.redaction = { c->rows.addresses, c->rows.clients },
	};
}

static bool
chronicle_start(struct house *h)
{
	struct chronicler      *c = memory_take(sizeof *c);
	struct buffer           errors = { 0 };
	struct chronicle_limits limits;

	h->mine = c;
	limits_of(h, &limits);
	c->chronicle = chronicle_open(house_path(h, "events"), &limits, &errors);
	if (c->chronicle == NULL) {
		fault("%.*s", (int)errors.len, errors.at);
		buffer_free(&errors);
		return false;
	}
	c->tick = timer_open(h->loop, tick, h);
	loop_at_rest(h->loop, at_rest, h);
	return true;
}

static void
chronicle_work(struct house *h)
{
	int fd = house_resource(h, "control/chronicle");

	if (fd >= 0)
		house_commands(h, fd, trace_command);
	tick(h);
}

static bool
chronicle_hear(struct house *h, enum role from, uint32_t index, enum word word, uint32_t ticket,
               struct bytes body, int fd)
{
	(void)index;
	(void)ticket;
	if (fd >= 0)
		(void)close(fd);
	return word == WORD_EVENT && hear_event(h, from, body);
}

static void
chronicle_reload(struct house *h)
{
	struct chronicle_limits limits;

	limits_of(h, &limits);
	chronicle_limit(chronicler_of(h)->chronicle, &limits);
}

static void
chronicle_stop(struct house *h)
{
	struct chronicler *c = chronicler_of(h);

	traces_end(h);
	chronicle_flush(c->chronicle);
	c->stopping = true;
	if (!c->packing)
		house_leave(h);
}

static void
chronicle_status(struct house *h, uint32_t *connections, struct buffer *text)
{
	struct chronicler      *c = chronicler_of(h);
	struct chronicle_counts n;

	chronicle_count(c->chronicle, &n);
	*connections = 0;
	buffer_printf(text,
	              "heard=%" PRIu64 " lost=%" PRIu64 " events=%" PRIu64 " files=%" PRIu32
	              " bytes=%" PRIu64,
	              c->heard, c->lost + n.dropped, n.events, n.files, n.bytes);
}

const struct role_card chronicle_card = {
	.name = "chronicle",
	.start = chronicle_start,
	.work = chronicle_work,
	.hear = chronicle_hear,
	.reload = chronicle_reload,
	.stop = chronicle_stop,
	.status = chronicle_status,
};
