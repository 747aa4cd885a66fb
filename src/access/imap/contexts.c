#include "access/imap/contexts.h"

#include <string.h>

#include "access/imap/fetch.h"
#include "access/imap/finder.h"
#include "access/imap/write.h"

enum { CONTEXTS_MOST = 16 };

struct context {
	struct arena      *life;
	struct bytes       tag;
	bool               uid; /* it is told by uids                      */
	struct program     program;
	struct ranges      found;
	bool               sorted;
	struct ordering    order; /* its criteria                            */
	uint32_t          *list;  /* the uids in that order                  */
	size_t             count;
	struct fetch_list *fetch; /* NULL: nothing is told of who is new     */
	struct context    *next;
};
struct contexts {
	struct context *first;
	size_t          count;
	uint32_t        limit; /* uids below it were looked at            */
	uint32_t        fresh; /* uids from it on are new in this round   */
	/* One look at what is new, with each context in turn. */
	struct ranges   round;
	struct arena   *scratch; /* NULL: none is under way                 */
	struct context *at;
	bool            finding, telling, ordering;
	uint32_t        told; /* so far FETCH has gone                   */
	struct finder   finder;
	struct ranges   came, went;
	struct ordering order;
};

bool
contexts_named(const struct imap *s, struct bytes tag)
{
	if (s->contexts != NULL)
		for (const struct context *c = s->contexts->first; c != NULL; c = c->next)
			if (bytes_equal(c->tag, tag))
				return true;
	return false;
}

static void
context_drop(struct context *c)
{
	struct arena *life = c->life;

	ranges_free(&c->found);
	memory_free(c->list);
	arena_close(&life);
}

static void
context_order(struct context *c, const struct ordering *o)
{
	memory_free(c->list);
	c->list = memory_take((o->count + 1) * sizeof *c->list);
	c->count = o->count;
	for (size_t i = 0; i < o->count; i++)
		c->list[i] = o->item[i].number;
}

void
contexts_add(struct imap *s, const struct program *p, const struct uid_set *found,
             const struct ordering *order, struct bytes fetch)
{
	struct context *c, **last;
	struct arena   *life;

	if (s->contexts == NULL) {
		s->contexts = memory_take(sizeof *s->contexts);
		s->contexts->limit = s->view->limit;
	}
	if (s->contexts->count == CONTEXTS_MOST || found == NULL) {
		buffer_add_string(imap_out(s), "* NO [NOUPDATE ");
		write_string(imap_out(s), s->tag);
		buffer_printf(imap_out(s), "] Too many %s.\r\n",
		              found == NULL ? "messages, or an order by relevancy" : "contexts");
		return;
	}
	s->view->tracks = true;
	life = arena_open(NULL);
	c = arena_take(life, sizeof *c);
	c->life = life;
	c->tag = arena_keep(life, s->tag);
	c->uid = s->uid;
	program_keep(p, life, &c->program);
	ranges_add_set(&c->found, found);
	if (fetch.len > 0) {
		struct scan r = scan_of(fetch);
		c->fetch = fetch_list_read(s, &r, life);
	}
	c->sorted = order != NULL;
	if (order != NULL) {
		memcpy(c->order.criterion, order->criterion, sizeof c->order.criterion);
		c->order.criteria = order->criteria;
		context_order(c, order);
	}
	for (last = &s->contexts->first; *last != NULL; last = &(*last)->next)
		;
	*last = c;
	s->contexts->count++;
}

/* ---- what is told --------------------------------------------------------------------- */

static void
say_begin(struct imap *s, const struct context *c, const char *item)
{
	struct buffer *out = imap_out(s);

	buffer_add_string(out, "* ESEARCH (TAG ");
	write_string(out, c->tag);
	buffer_printf(out, ")%s %s (", c->uid ? " UID" : "", item);
}

/* Of an unsorted result the client knows itself where they stand (rfc5267:4.3.3). */
static void
say_set(struct imap *s, const struct context *c, const char *item, const struct ranges *set)
{
	struct buffer *out = imap_out(s);

	if (set->count == 0)
		return;
	say_begin(s, c, item);
	buffer_add_string(out, "0 ");
	for (size_t i = 0; i < set->count; i++) {
		uint32_t width = set->at[i].last - set->at[i].first;
		uint32_t first = c->uid ? set->at[i].first : view_number(s->view, set->at[i].first);

		buffer_printf(out, "%s%u", i > 0 ? "," : "", first);
		if (width > 0)
			buffer_printf(out, ":%u", first + width);
	}
	buffer_add_string(out, ")\r\n");
}

/* Those of a sorted list that are in the set, each with its place among those that are there when it is told. */
static void
say_places(struct imap *s, const struct context *c, const char *item, const struct ranges *set,
           bool leave)
{
	size_t told = 0;

	if (set->count == 0)
		return;
	for (size_t i = 0; i < c->count; i++) {
		uint32_t uid = c->list[i];

		if (!ranges_hold(set, uid))
			continue;
		if (told == 0)
			say_begin(s, c, item);
		buffer_printf(imap_out(s), "%s%zu %u", told > 0 ? " " : "",
		              i + 1 - (leave ? told : 0), c->uid ? uid : view_number(s->view, uid));
		told++;
	}
	if (told > 0)
		buffer_add_string(imap_out(s), ")\r\n");
}

static void
forget(struct ranges *set, const struct ranges *gone)
{
	struct ranges left = { 0 };

	if (set->count == 0)
		return;
	ranges_differ(set, gone, &left);
	ranges_free(set);
	*set = left;
}

/* These leave the result. */
static void
context_leave(struct imap *s, struct context *c, const struct ranges *went)
{
	size_t n = 0;

	if (went->count == 0)
		return;
	if (c->sorted)
		say_places(s, c, "REMOVEFROM", went, true);
	else
		say_set(s, c, "REMOVEFROM", went);
	for (size_t i = 0; i < c->count; i++)
		if (!ranges_hold(went, c->list[i]))
			c->list[n++] = c->list[i];
	c->count = n;
	forget(&c->found, went);
}

void
contexts_expunge(struct imap *s)
{
	struct contexts *all = s->contexts;
	struct ranges    gone = { 0 };

	if (all == NULL || all->first == NULL)
		return;
	view_gone_set(s->view, &gone);
	for (struct context *c = all->first; c != NULL && gone.count > 0; c = c->next) {
		struct ranges stay = { 0 }, went = { 0 };

		ranges_differ(&c->found, &gone, &stay);
		ranges_differ(&c->found, &stay, &went);
		context_leave(s, c, &went);
		ranges_free(&stay);
		ranges_free(&went);
	}
	forget(&all->finder.found, &gone);
	forget(&all->came, &gone);
	ranges_free(&gone);
}

/* ---- looking again ------------------------------------------------------------------------ */

static void
look_over(struct contexts *all)
{
	if (all->finding)
		finder_close(&all->finder);
	if (all->ordering)
		ordering_close(&all->order);
	all->finding = all->telling = all->ordering = false;
	ranges_free(&all->came);
	ranges_free(&all->went);
	if (all->scratch != NULL)
		arena_close(&all->scratch);
}

/* Anything that was touched since the last look? */
static bool
round_begins(struct imap *s, struct contexts *all)
{
	struct ranges *touched = &s->view->touched;

	ranges_free(&all->round);
	all->round = *touched;
	*touched = (struct ranges){ 0 };
	if (all->round.count > 0)
		ranges_clip(&all->round, 1, all->limit - 1);
	all->fresh = all->limit;
	if (s->view->limit > all->limit)
		ranges_add(&all->round, all->limit, s->view->limit - 1);
	all->limit = s->view->limit;
	all->at = all->round.count > 0 ? all->first : NULL;
	return all->at != NULL;
}

static void
finding_begins(struct imap *s, struct contexts *all)
{
	struct arena *command = s->scratch;

	all->scratch = arena_open(NULL);
	s->scratch = all->scratch;
	finder_open(&all->finder, s, s->view, &all->at->program, all->scratch);
	s->scratch = command;
	all->finder.within = &all->round;
	all->finding = true;
}

/* What is found now against what was found before, of those looked at. */
static void
compare(struct contexts *all)
{
	struct context *c = all->at;
	struct ranges   others = { 0 }, before = { 0 };

	ranges_differ(&c->found, &all->round, &others);
	ranges_differ(&c->found, &others, &before);
	ranges_differ(&before, &all->finder.found, &all->went);
	ranges_differ(&all->finder.found, &before, &all->came);
	ranges_free(&others);
	ranges_free(&before);
}

/* What the client asked for of new messages stands between EXISTS and ADDTO; who came by a flag is known to it
   (rfc5465:7).  False: it should read first. */
static bool
tell_fresh(struct imap *s, struct contexts *all)
{
	struct arena *command = s->scratch;
	uint32_t      uid;

	if (all->at->fetch == NULL || all->came.count == 0)
		return true;
	s->scratch = all->scratch;
	while ((uid = view_next(s->view, all->told)) != 0 && !imap_full(s)) {
		if (ranges_hold(&all->came, uid))
			fetch_list_say(s, all->at->fetch, uid);
		all->told = uid + 1;
	}
	s->scratch = command;
	return uid == 0;
}

/* Went is told and forgotten; what came is told when its places are known. */
static enum imap_step
context_go(struct imap *s, struct contexts *all)
{
	struct context  *c = all->at;
	struct uid_set   set;
	enum finder_step step;

	if (!all->finding)
		finding_begins(s, all);
	if (!all->telling && !all->ordering) {
		step = finder_go(&all->finder);
		if (step != FINDER_OVER)
			return step == FINDER_WAIT ? STEP_WAIT : STEP_AGAIN;
		compare(all);
		context_leave(s, c, &all->went);
		set = ranges_set(&all->came);
		ranges_add_set(&c->found, &set);
		all->told = all->fresh;
		all->telling = true;
	}
	if (all->telling) {
		if (!tell_fresh(s, all))
			return STEP_AGAIN;
		all->telling = false;
		if (c->sorted && all->came.count > 0) {
			all->order = c->order;
			set = ranges_set(&c->found);
			ordering_begin(&all->order, s->view, &set, all->scratch);
			all->ordering = true;
		} else
			say_set(s, c, "ADDTO", &all->came);
	}
	if (all->ordering) {
		if (!ordering_go(&all->order, s))
			return STEP_AGAIN;
		context_order(c, &all->order);
		say_places(s, c, "ADDTO", &all->came, false);
	}
	look_over(all);
	all->at = c->next;
	return STEP_DONE;
}

enum imap_step
contexts_go(struct imap *s)
{
	struct contexts *all = s->contexts;
	enum imap_step   step;

	if (all == NULL || all->first == NULL || s->view == NULL)
		return STEP_DONE;
	while (all->at != NULL || round_begins(s, all)) {
		if (imap_full(s) || imap_turn_over(s))
			return STEP_AGAIN;
		if ((step = context_go(s, all)) != STEP_DONE)
			return step;
	}
	return STEP_DONE;
}

void
contexts_cancel(struct imap *s, struct bytes tag)
{
	struct contexts *all = s->contexts;

	for (struct context **p = all != NULL ? &all->first : NULL; p != NULL && *p != NULL;) {
		struct context *c = *p;

		if (!bytes_equal(c->tag, tag)) {
			p = &c->next;
			continue;
		}
		if (all->at == c) {
			look_over(all);
			all->at = c->next;
		}
		*p = c->next;
		all->count--;
		context_drop(c);
	}
}

void
contexts_close(struct imap *s)
{
	struct contexts *all = s->contexts;

	if (all == NULL)
		return;
	s->contexts = NULL;
	look_over(all);
	for (struct context *c = all->first, *next; c != NULL; c = next) {
		next = c->next;
		context_drop(c);
	}
	ranges_free(&all->round);
	memory_free(all);
}

/* ---- the command ---------------------------------------------------------------------------- */

struct cancel_work {
	struct bytes tag[CONTEXTS_MOST * 2];
	size_t       tags;
};

/* cancelupdate = "CANCELUPDATE" 1*(SP quoted)   rfc5267:5 */
static void
cancelupdate_parse(struct imap *s, struct scan *r)
{
	struct cancel_work *w = s->work = arena_take(s->scratch, sizeof *w);

	do {
		if (w->tags == COUNT(w->tag))
			scan_fail(r, "fewer tags");
		read_space(r);
		if (scan_ok(r))
			w->tag[w->tags++] = read_quoted(r, s->scratch);
	} while (scan_ok(r) && scan_next_is(r, ' '));
}

static enum imap_step
cancelupdate_run(struct imap *s)
{
	const struct cancel_work *w = s->work;

	for (size_t i = 0; i < w->tags; i++)
		contexts_cancel(s, w->tag[i]);
	return imap_ok(s, "No further updates.");
}

const struct imap_command imap_cancelupdate = {
	.name = "CANCELUPDATE",
	.rfc = "rfc5267:4.3.5",
	.in = IN_SELECTED,
	.effect = MAY_EXPUNGE,
	.parse = cancelupdate_parse,
	.run = cancelupdate_run,
};
