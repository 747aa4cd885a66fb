/*
 * postmaster-asked -- what the command line asks of the postmaster: status, reload, stop, debug
 */
#include "role/postmaster_inner.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "role/debug.h"

enum { STATUS_MS = 1000 }; /* for the roles to answer */

/* A `mansio status` that waits for the roles' answers. */
struct inquiry {
	struct inquiry    *next;
	struct postmaster *postmaster;
	struct caller     *caller;
	struct timer      *timer;
	uint32_t           ticket;
	size_t             waiting; /* so many have not answered yet */
	bool               json;
};

static void
debug_list(const struct postmaster *p, struct buffer *out)
{
	const struct holding *h = estate_find(p->estate, "debug");

	if (h != NULL)
		buffer_add_string(out, h->text);
}

static void
inquiry_answer(struct inquiry *q)
{
	struct postmaster *p = q->postmaster;
	struct inquiry   **at = &p->inquiries;
	struct buffer      out = { 0 }, debugged = { 0 };

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	if (q->json)
		status_json(&p->children, p->file, p->began_ms, &out);
	else
		status_table(&p->children, p->file, p->began_ms, &out);
	if (!q->json) {
		debug_list(p, &debugged);
		debug_switch_tell(buffer_bytes(&debugged), clock_wall(), &out);
		buffer_free(&debugged);
	}
	caller_say(q->caller, "%.*s", (int)out.len, out.at);
	caller_done(q->caller, children_ready(&p->children) ? 0 : 1);
	buffer_free(&out);
	timer_close(&q->timer);
	memory_free(q);
}

static void
inquiry_late(void *ctx)
{
	inquiry_answer(ctx);
}

static void
ask_status(struct postmaster *p, struct caller *caller, const struct word_ask *ask)
{
	struct inquiry *q = memory_take(sizeof *q);

	*q = (struct inquiry){ .next = p->inquiries,
		               .postmaster = p,
		               .caller = caller,
		               .timer = timer_open(p->house.loop, inquiry_late, q),
		               .ticket = ++p->tickets,
		               .json = ask->argc > 1 && strcmp(ask->argv[1], "--json") == 0 };
	p->inquiries = q;
	q->waiting = children_ask(&p->children, ANYONE, q->ticket);
	timer_set(q->timer, q->waiting == 0 ? 0 : STATUS_MS);
}

void
inquiry_heard(struct postmaster *p, uint32_t ticket)
{
	for (struct inquiry *q = p->inquiries; q != NULL; q = q->next)
		if (q->ticket == ticket) {
			if (--q->waiting == 0)
				inquiry_answer(q);
			return;
		}
}

static void
ask_reload(struct postmaster *p, struct caller *caller, const struct word_ask *ask)
{
	struct buffer errors = { 0 }, warnings = { 0 };
	bool          good = reload_and_tell(p, &errors, &warnings);

	(void)ask;
	if (errors.len + warnings.len > 0)
		caller_complain(caller, "%.*s%.*s", (int)errors.len, errors.at, (int)warnings.len,
		                warnings.at);
	if (!good)
		caller_complain(caller, "the settings from before stay in force\n");
	if (good)
		reload_await(p, caller);
	else
		caller_done(caller, 1);
	buffer_free(&errors);
	buffer_free(&warnings);
}

static void
ask_stop(struct postmaster *p, struct caller *caller, const struct word_ask *ask)
{
	(void)ask;
	if (p->stopper != NULL) {
		caller_complain(caller, "stopping already\n");
		caller_done(caller, 1);
		return;
	}
	p->stopper = caller;
	postmaster_stop(p, "asked to");
}

/* What is switched on now; the house hears of it. */
static void
debug_give(struct postmaster *p, struct buffer *list)
{
	const struct holding *h;

	buffer_add_char(list, '\0');
	h = estate_debug(p->estate, list->at);
	list->len--;
	children_give(&p->children, h);
}

/* "debug on PEER SECONDS", "debug off [PEER]", "debug list" */
static void
ask_debug(struct postmaster *p, struct caller *caller, const struct word_ask *ask)
{
	const char *what = ask->argc > 1 ? ask->argv[1] : "list",
		   *peer = ask->argc > 2 ? ask->argv[2] : "";
	struct buffer list = { 0 }, said = { 0 };
	uint64_t      seconds = 0;
	int           status = 0;

	debug_list(p, &list);
	(void)debug_switch_tidy(&list, clock_wall());
	if (strcmp(what, "on") == 0) {
		if (ask->argc != 4 || debug_peer_wrong(peer) != NULL ||
		    !bytes_number(bytes_of(ask->argv[3]), &seconds) || seconds == 0 ||
		    seconds > DEBUG_MOST_S ||
		    !debug_switch_on(&list, peer, clock_wall() + (int64_t)seconds)) {
			caller_complain(caller, "%s: %s\n", peer,
			                debug_peer_wrong(peer) != NULL
			                        ? debug_peer_wrong(peer)
			                        : "no more can be switched on");
			status = 1;
		} else {
			note("debug: sessions of %s are told for %" PRIu64 " seconds", peer,
			     seconds);
			debug_give(p, &list);
		}
	} else if (strcmp(what, "off") == 0) {
		if (!debug_switch_off(&list, peer)) {
			caller_complain(caller, "%s is not switched on\n",
			                *peer != '\0' ? peer : "debug");
			status = 1;
		} else {
			note("debug: off%s%s", *peer != '\0' ? " for " : "", peer);
			debug_give(p, &list);
		}
	}
	debug_switch_tell(buffer_bytes(&list), clock_wall(), &said);
	caller_say(caller, "%.*s", (int)said.len, said.len > 0 ? said.at : "");
	caller_done(caller, status);
	buffer_free(&list);
	buffer_free(&said);
}

void
postmaster_asked(struct house *h, struct caller *caller, const struct word_ask *ask)
{
	static const struct {
		const char *name;
		void (*ask)(struct postmaster *, struct caller *, const struct word_ask *);
	} questions[] = { { "status", ask_status },
		          { "reload", ask_reload },
		          { "stop", ask_stop },
		          { "debug", ask_debug } };

	for (size_t i = 0; i < COUNT(questions) && ask->argc > 0; i++)
		if (strcmp(ask->argv[0], questions[i].name) == 0) {
			questions[i].ask((struct postmaster *)h, caller, ask);
			return;
		}
	caller_complain(caller, "the postmaster does not know \"%s\"\n",
	                ask->argc > 0 ? ask->argv[0] : "");
	caller_done(caller, 1);
}
