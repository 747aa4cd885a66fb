#include "policy/milter-line.h"

#include <string.h>

/*
 * Life
 */

static void
end_line(struct milter_line *l, bool quit)
{
	struct arena *life = l->life;

	if (l->mouth != NULL) {
		if (quit)
			milter_say(l->needs->out(l->mouth), MILTER_QUIT);
		l->needs->hang_up(l->mouth);
	}
	l->mouth = NULL;
	milter_set_drop(&l->set);
	arena_close(&life);
}

static struct milter_line *
take_idle(struct milter *m)
{
	struct milter_line *l = m->idle;

	if (l == NULL)
		return NULL;
	m->idle = l->next;
	m->idles--;
	return l;
}

static void
forget_idle(struct milter_line *l)
{
	struct milter_line **at = &l->milter->idle;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	l->milter->idles--;
}

struct milter_line *
milter_line_open(struct milter_set *set, struct milter *m, const struct milter_needs *needs,
                 void *house, const struct milter_ears *ears, void *ctx, bool *ready)
{
	struct milter_line *l = take_idle(m);
	struct arena       *life;

	*ready = l != NULL;
	if (l != NULL) {
		l->state = LINE_READY;
		l->used = true;
		l->ears = ears;
		l->ctx = ctx;
		needs->patience(l->mouth, 0);
		return l;
	}
	life = arena_open(NULL);
	l = arena_take(life, sizeof *l);
	l->life = life;
	l->set = milter_set_take(set);
	l->milter = m;
	l->needs = needs;
	l->house = house;
	l->ears = ears;
	l->ctx = ctx;
	l->mouth = needs->connect(house, l);
	if (l->mouth != NULL)
		needs->patience(l->mouth, m->connect_ms);
	else
		milter_line_close(&l);
	return l;
}

void
milter_line_close(struct milter_line **lp)
{
	struct milter_line *l = *lp;

	*lp = NULL;
	if (l != NULL)
		end_line(l, l->state == LINE_READY || l->state == LINE_IDLE);
}

/* Debian's libmilter passes over QUIT_NEXT, and takes what follows for the old session: so it must be said of a
   filter that it knows the word. */
void
milter_line_rest(struct milter_line **lp)
{
	struct milter_line *l = *lp;
	struct milter      *m;

	*lp = NULL;
	if (l == NULL)
		return;
	m = l->milter;
	if (l->state != LINE_READY || l->waits || !m->reuse || l->version < 6 || l->set->gone ||
	    m->idles >= MILTER_IDLE_MOST || l->needs->pending(l->mouth) > 0) {
		end_line(l, l->state == LINE_READY);
		return;
	}
	milter_say(l->needs->out(l->mouth), MILTER_QUIT_NEXT);
	l->state = LINE_IDLE;
	l->ears = NULL;
	l->ctx = NULL;
	l->next = m->idle;
	m->idle = l;
	m->idles++;
	l->needs->patience(l->mouth, MILTER_IDLE_MS);
}

void
milter_set_let_go(struct milter_set *set)
{
	struct milter_set *kept = milter_set_take(set);

	set->gone = true;
	for (size_t i = 0; i < kept->count; i++)
		for (struct milter_line *l; (l = take_idle(&kept->each[i])) != NULL;)
			end_line(l, true);
	milter_set_drop(&kept);
}

/*
 * Speaking
 */

struct buffer *
milter_line_out(struct milter_line *l)
{
	return l->needs->out(l->mouth);
}

void
milter_line_wait(struct milter_line *l, int64_t ms)
{
	l->waits = true;
	l->needs->patience(l->mouth, ms);
}

static bool
macro_value(struct bytes name, const struct milter_macros *lists, size_t count, struct bytes *value)
{
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < lists[i].count; k++)
			if (bytes_equal(lists[i].each[k].name, name)) {
				*value = lists[i].each[k].value;
				return value->len > 0;
			}
	return false;
}

static bool
macro_own(const struct milter_set *set, struct bytes name, struct bytes *value)
{
	if (bytes_equal(name, BYTES("{daemon_name}")))
		*value = bytes_of(set->daemon);
	else if (bytes_equal(name, BYTES("v")))
		*value = bytes_of(set->v);
	else
		return false;
	return value->len > 0;
}

/* milter_macro_defaults = name=value ... */
static bool
macro_default(const struct setting_list *defaults, struct bytes name, struct bytes *value)
{
	for (size_t i = 0; i < defaults->count; i++) {
		struct bytes item = bytes_of(defaults->item[i]);

		if (bytes_starts(item, name) && item.len > name.len && item.at[name.len] == '=') {
			*value = bytes_cut(item, name.len + 1, item.len);
			return value->len > 0;
		}
	}
	return false;
}

static void
add_macro(struct milter_line *l, struct bytes name, const struct milter_macros *lists, size_t count,
          struct buffer *out)
{
	struct bytes value;

	if (!macro_value(name, lists, count, &value) && !macro_own(l->set, name, &value) &&
	    !macro_default(&l->set->macro_defaults, name, &value))
		return;
	milter_text(out, name);
	milter_text(out, value);
}

static uint8_t
command_of(enum milter_stage stage)
{
	/* clang-format off */
	static const uint8_t commands[MILTER_STAGES] = {
		[STAGE_CONNECT] = MILTER_CONNECT, [STAGE_HELO] = MILTER_HELO, [STAGE_MAIL] = MILTER_MAIL,
		[STAGE_RCPT] = MILTER_RCPT, [STAGE_DATA] = MILTER_DATA, [STAGE_END_OF_DATA] = MILTER_BODY_END,
		[STAGE_END_OF_HEADER] = MILTER_HEADER_END, [STAGE_UNKNOWN] = MILTER_UNKNOWN,
	};
	/* clang-format on */

	return commands[stage];
}

void
milter_line_macros(struct milter_line *l, enum milter_stage stage,
                   const struct milter_macros *lists, size_t count)
{
	struct buffer             *out = milter_line_out(l);
	const struct setting_list *named = &l->set->macros[stage];
	size_t                     begun = milter_begin(out, MILTER_MACROS), empty;
	struct bytes               own = { NULL, 0 }, name;

	buffer_add_char(out, (char)command_of(stage));
	empty = out->len;
	if ((int)stage < (int)MILTER_STAGES_OF_FILTERS)
		own = l->symbols[stage];
	while (own.at != NULL && bytes_split(&own, ' ', &name))
		if (name.len > 0)
			add_macro(l, name, lists, count, out);
	for (size_t i = 0; own.at == NULL && i < named->count; i++)
		add_macro(l, bytes_of(named->item[i]), lists, count, out);
	if (out->len > empty)
		milter_end(out, begun);
	else
		out->len = begun;
}

/*
 * What the house tells
 */

/* The owner hears of it, and holds the line no more. */
static void
fail(struct milter_line *l, const char *why)
{
	const struct milter_ears *ears = l->ears;
	void                     *ctx = l->ctx;
	bool                      old = l->used;

	if (l->state == LINE_IDLE)
		forget_idle(l);
	end_line(l, false);
	if (ears != NULL)
		ears->lost(ctx, why, old);
}

void
milter_line_lost(struct milter_line *l, const char *why)
{
	l->mouth = NULL;
	fail(l, why);
}

void
milter_line_silent(struct milter_line *l)
{
	if (l->state == LINE_IDLE) {
		forget_idle(l);
		end_line(l, true);
	} else if (l->state == LINE_CONNECTING)
		fail(l, "Connection timed out");
	else if (l->waits)
		fail(l, "it does not answer in time");
}

void
milter_line_connected(struct milter_line *l)
{
	int version = l->milter->version;

	l->state = LINE_OFFERED;
	milter_say_options(milter_line_out(l), (uint32_t)version, milter_actions_of(version),
	                   milter_steps_of(version) |
	                           (l->milter->mute_headers ? STEP_MUTE_HEADER : 0));
	milter_line_wait(l, l->milter->connect_ms);
}

/* NULL, or what is wrong with what it wants. */
static const char *
agree(struct milter_line *l, struct bytes body)
{
	struct milter_options o;
	int                   version = l->milter->version;
	uint32_t              steps =
		milter_steps_of(version) | (l->milter->mute_headers ? STEP_MUTE_HEADER : 0);

	if (!milter_options_read(body, &o))
		return "its answer to what we offer is broken";
	if (o.version < 2 || o.version > (uint32_t)version)
		return "it speaks another version of the protocol";
	if (o.actions & ~milter_actions_of(version))
		return "it wants to do what was not offered";
	if (o.steps & ~steps)
		return "it wants steps left out that we cannot";
	l->version = o.version;
	l->actions = o.actions;
	l->steps = o.steps;
	for (size_t i = 0; i < MILTER_STAGES_OF_FILTERS; i++)
		if (o.symbols[i].at != NULL)
			l->symbols[i] = arena_keep(l->life, o.symbols[i]);
	return NULL;
}

static void
take_frame(struct milter_line *l, uint8_t word, struct bytes body)
{
	struct milter_answer answer;
	const char          *wrong = NULL;

	if (l->state == LINE_OFFERED) {
		wrong = word == MILTER_NEGOTIATE ? agree(l, body)
		                                 : "it does not answer to what we offer";
	} else if (l->state != LINE_READY || !l->waits)
		wrong = "it speaks though it was asked nothing";
	else if (!milter_answer_read(word, body, &answer))
		wrong = "its answer is none of the protocol";
	if (wrong != NULL) {
		fail(l, wrong);
		return;
	}
	l->used = l->waits = false;
	l->needs->patience(l->mouth, 0);
	if (l->state == LINE_OFFERED) {
		l->state = LINE_READY;
		l->ears->ready(l->ctx);
	} else
		l->ears->answer(l->ctx, &answer);
}

size_t
milter_line_heard(struct milter_line *l, struct bytes arrived)
{
	struct bytes body;
	uint8_t      word;
	size_t       used;

	switch (milter_frame(arrived, &word, &body, &used)) {
	case MILTER_SHORT: return 0;
	case MILTER_NONSENSE: fail(l, "what it says is none of the protocol"); return 0;
	case MILTER_WHOLE: break;
	}
	take_frame(l, word, body);
	return used;
}

void
milter_line_drained(struct milter_line *l)
{
	if (l->state == LINE_READY && l->ears->drained != NULL)
		l->ears->drained(l->ctx);
}
