/*
 * clerk-lookup -- `address lookup`: where many addresses lead, each by the way a recipient takes
 *
 * They are looked up one after the other, some milliseconds in a turn; where a table that lives elsewhere must be
 * asked, the next waits for its answer.
 */
#include "base/clock.h"
#include "role/clerk-resolve.h"

enum { TURN_MS = 2, LATER_MS = 5, ANSWER_MOST = 32 << 10 };

struct lookup_order {
	struct house  *house;
	struct caller *caller;
	struct arena  *life;
	struct bytes   rest; /* addresses, a line each               */
	struct buffer  said; /* what the caller has not been told    */
	struct errand  again;
	struct timer  *later;   /* the caller does not listen now       */
	bool           looking; /* at one whose answer is not here      */
	bool           going;   /* lookups_go() is under way            */
	bool           any, put_off;
};

static void lookups_go(struct lookup_order *);

static void
add_target(struct buffer *out, const struct directory_target *t)
{
	bool is_way =
		is_system_account(t->account) && (system_kind_of(t->account) == SYSTEM_COMMAND ||
	                                          system_kind_of(t->account) == SYSTEM_FILE);

	buffer_add(out, is_way ? t->detail : t->address);
}

/* "address	target, target", as postmap -q - answers; of one that nobody has, nothing. */
static void
say_found(struct lookup_order *l, struct bytes address, const struct resolve_answer *found)
{
	l->any = true;
	buffer_add(&l->said, address);
	buffer_add_char(&l->said, '\t');
	for (size_t i = 0; i < found->count; i++) {
		if (i > 0)
			buffer_add_string(&l->said, ", ");
		add_target(&l->said, &found->target[i]);
	}
	buffer_add_char(&l->said, '\n');
}

static enum directory_outcome
pass_lookup(struct work *w)
{
	struct resolving       r = resolving_of(w);
	struct resolve_answer  found = { .table = "", .reply = "", .filter = "" };
	struct lookup_order   *l = w->lookup;
	enum directory_outcome o = resolve_in_turns(w, &r, &found);

	if (o == DIRECTORY_MORE || (o == DIRECTORY_WAIT && !w->for_good))
		return o;
	if (o == DIRECTORY_OK)
		say_found(l, w->address, &found);
	if (o == DIRECTORY_LATER || o == DIRECTORY_WAIT) {
		l->put_off = true;
		caller_complain(l->caller, "%.*s: cannot be told now\n", (int)w->address.len,
		                w->address.at);
	}
	l->looking = false;
	if (!l->going)
		errand_set(l->house->loop, &l->again);
	return o;
}

static void
go_on(void *ctx)
{
	lookups_go(ctx);
}

static void
tell(struct lookup_order *l)
{
	if (l->said.len > 0)
		caller_say(l->caller, "%.*s", (int)l->said.len, l->said.at);
	buffer_reset(&l->said);
}

static void
lookups_end(struct lookup_order *l)
{
	struct arena *life = l->life;

	tell(l);
	caller_done(l->caller, l->any && !l->put_off ? 0 : 1);
	timer_close(&l->later);
	buffer_free(&l->said);
	arena_close(&life);
}

static void
look_up(struct lookup_order *l, struct bytes address)
{
	struct work *w = work_open(l->house, COMMAND, 0, 0);

	w->address = arena_keep(w->life, address);
	w->lookup = l;
	w->pass = pass_lookup;
	l->looking = true;
	work_on(w);
}

/* As many as this turn has time for. */
static void
lookups_go(struct lookup_order *l)
{
	int64_t      until = clock_patient_ms() + TURN_MS;
	struct bytes address;
	bool         more = true;

	l->going = true;
	for (size_t n = 0; !l->looking && (more = bytes_split(&l->rest, '\n', &address)); n++) {
		if (address.len > 0)
			look_up(l, address);
		if (l->said.len > ANSWER_MOST || (n % 16 == 15 && clock_patient_ms() >= until))
			break;
	}
	l->going = false;
	if (!more || caller_gone(l->caller)) {
		if (!l->looking)
			lookups_end(l);
		return;
	}
	tell(l);
	if (l->looking)
		return;
	if (caller_hears(l->caller))
		errand_set(l->house->loop, &l->again);
	else
		timer_set(l->later, LATER_MS);
}

/* address lookup: the addresses come as input */
int
run_address_lookup(struct order *e)
{
	struct arena        *life = arena_open(NULL);
	struct lookup_order *l = arena_take(life, sizeof *l);

	*l = (struct lookup_order){ .house = e->house, .caller = e->caller, .life = life };
	l->rest = arena_keep(life, e->ask->input);
	l->again = (struct errand){ .go = go_on, .ctx = l };
	l->later = timer_open(e->house->loop, go_on, l);
	lookups_go(l);
	return -1;
}
