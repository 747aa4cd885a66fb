#include "policy/milter_inner.h"

#include <string.h>

#include "base/journal.h"

/* What each stage is to a filter. */
/* clang-format off */
static const struct stage_row {
	uint32_t left_out, mute;       /* steps                                 */
	bool session;                  /* what it says holds for the session    */
} stages[MILTER_STAGES] = {
	[STAGE_CONNECT] = { STEP_NO_CONNECT, STEP_MUTE_CONNECT, true },
	[STAGE_HELO]    = { STEP_NO_HELO,    STEP_MUTE_HELO,    true },
	[STAGE_MAIL]    = { STEP_NO_MAIL,    STEP_MUTE_MAIL,    false },
	[STAGE_RCPT]    = { STEP_NO_RCPT,    STEP_MUTE_RCPT,    false },
	[STAGE_DATA]    = { STEP_NO_DATA,    STEP_MUTE_DATA,    false },
	[STAGE_UNKNOWN] = { STEP_NO_UNKNOWN, STEP_MUTE_UNKNOWN, false },
};
/* clang-format on */

/* What version 2 does not know of is left out for a filter that speaks it. */
static uint32_t
left_out(const struct milter_line *l)
{
	return l->steps | (l->version < 3 ? STEP_NO_UNKNOWN : 0) |
	       (l->version < 4 ? STEP_NO_DATA : 0);
}

/*
 * Macros
 */

static void
keep_macro(struct milter_chain *c, int which, const struct milter_macro *m)
{
	struct arena *life = which == 0 ? c->transaction : c->session;
	size_t        i = 0;

	while (i < c->macros[which] && !bytes_equal(c->macro[which][i].name, m->name))
		i++;
	if (i == c->macro_room[which]) {
		size_t               room = i == 0 ? 16 : 2 * i;
		struct milter_macro *more = arena_take_array(life, room, sizeof *more);

		if (i > 0)
			memcpy(more, c->macro[which], i * sizeof *more);
		c->macro[which] = more;
		c->macro_room[which] = room;
	}
	if (i == c->macros[which]) {
		c->macro[which][i].name = arena_keep(life, m->name);
		c->macros[which]++;
	}
	c->macro[which][i].value = arena_keep(life, m->value);
}

static void
keep_macros(struct milter_chain *c, const struct milter_macros *list, bool session)
{
	for (size_t i = 0; i < list->count; i++)
		keep_macro(c, session ? 1 : 0, &list->each[i]);
}

void
chain_macros(struct milter_chain *c, struct milter_macros out[static 2])
{
	for (int i = 0; i < 2; i++)
		out[i] = (struct milter_macros){ c->macro[i], c->macros[i] };
}

static void
forget_transaction(struct milter_chain *c)
{
	arena_clear(c->transaction);
	c->macro[0] = NULL;
	c->macros[0] = c->macro_room[0] = 0;
}

/*
 * What a filter's word means
 */

enum member_step
member_refuses(struct milter_member *m, const char *reply, bool shut)
{
	struct milter_chain *c = m->chain;

	c->answer.reply = arena_copy(c->scratch, bytes_of(reply));
	c->answer.shut = shut;
	c->answer.by = m->milter->name;
	return STEP_STOP;
}

enum member_step
member_default(struct milter_member *m)
{
	switch ((enum milter_default)m->milter->default_action) {
	case DEFAULT_ACCEPT: return STEP_NEXT;
	case DEFAULT_REJECT: return member_refuses(m, "550 5.5.0 Service unavailable", false);
	case DEFAULT_TEMPFAIL: break;
	case DEFAULT_QUARANTINE:
		m->chain->answer.hold = true;
		m->chain->answer.by = m->milter->name;
		m->chain->answer.reason = "default_action";
		return STEP_NEXT;
	case DEFAULT_SHUTDOWN:
		return member_refuses(m, "421 4.7.0 Server closing connection", true);
	}
	return member_refuses(m, "451 4.7.1 Service unavailable - try again later", false);
}

enum member_step
member_failed(struct milter_member *m, const char *why)
{
	static const char *const actions[] = {
		[DEFAULT_ACCEPT] = "mail passes without it",
		[DEFAULT_REJECT] = "mail is refused",
		[DEFAULT_TEMPFAIL] = "clients are told to try again later",
		[DEFAULT_QUARANTINE] = "mail is taken and held",
		[DEFAULT_SHUTDOWN] = "clients are sent away",
	};

	milter_line_close(&m->line);
	m->state = MEMBER_DOWN;
	m->milter->failed++;
	if (!m->milter->failing)
		warn_("milter %s: %s; meanwhile %s (milter_default_action)", m->milter->name, why,
		      actions[m->milter->default_action]);
	m->milter->failing = true;
	return member_default(m);
}

bool
is_verdict(uint8_t word)
{
	return word == MILTER_CONTINUE || word == MILTER_ACCEPT || word == MILTER_DISCARD ||
	       word == MILTER_REJECT || word == MILTER_TEMPFAIL || word == MILTER_REPLY_CODE ||
	       word == MILTER_SHUTDOWN || word == MILTER_CONNECTION_FAIL;
}

/* A refusal of the session is for all that comes in it. */
static enum member_step
refused(struct milter_member *m, const char *reply, bool shut, bool whole_session)
{
	shut = shut || bytes_starts(bytes_of(reply), BYTES("421"));
	if (whole_session) {
		milter_line_rest(&m->line);
		m->state = MEMBER_REFUSES;
		m->reply = arena_copy(m->chain->session, bytes_of(reply));
		m->shut = shut;
	}
	return member_refuses(m, reply, shut);
}

static enum member_step
reply_code(struct milter_member *m, struct bytes text, bool whole_session)
{
	struct buffer    clean = { 0 };
	enum member_step step;

	if (!milter_reply_clean(text, &clean)) {
		buffer_free(&clean);
		return member_failed(m, "its reply is none of SMTP");
	}
	buffer_add_char(&clean, '\0');
	step = refused(m, clean.at, false, whole_session);
	buffer_free(&clean);
	return step;
}

enum member_step
member_verdict(struct milter_member *m, const struct milter_answer *a, bool whole_session)
{
	switch (a->word) {
	case MILTER_CONTINUE: return STEP_NEXT;
	case MILTER_ACCEPT:
		m->state = whole_session ? MEMBER_CONTENT_FOR_GOOD : MEMBER_CONTENT;
		return STEP_NEXT;
	case MILTER_DISCARD:
		if (whole_session)
			break;
		m->state = MEMBER_CONTENT;
		m->chain->answer.discard = true;
		m->chain->answer.by = m->milter->name;
		return STEP_STOP;
	case MILTER_REJECT: return refused(m, "550 5.7.1 Command rejected", false, whole_session);
	case MILTER_TEMPFAIL:
		return refused(m, "451 4.7.1 Service unavailable - try again later", false,
		               whole_session);
	case MILTER_SHUTDOWN:
	case MILTER_CONNECTION_FAIL:
		return refused(m, "421 4.7.0 Server closing connection", true, whole_session);
	case MILTER_REPLY_CODE: return reply_code(m, a->value, whole_session);
	default: break;
	}
	return member_failed(m, "its answer does not belong there");
}

/*
 * Events
 */

static void
say_event(struct milter_member *m)
{
	/* clang-format off */
	static const uint8_t commands[MILTER_STAGES] = {
		[STAGE_HELO] = MILTER_HELO, [STAGE_MAIL] = MILTER_MAIL, [STAGE_RCPT] = MILTER_RCPT,
		[STAGE_DATA] = MILTER_DATA, [STAGE_UNKNOWN] = MILTER_UNKNOWN,
	};
	/* clang-format on */
	struct milter_chain       *c = m->chain;
	const struct milter_event *e = &c->event;
	struct milter_macros       lists[2];

	chain_macros(c, lists);
	milter_line_macros(m->line, e->stage, lists, 2);
	if (e->stage == STAGE_CONNECT)
		milter_say_connect(milter_line_out(m->line), e->argument[0], e->family, e->port,
		                   e->argument[1]);
	else
		milter_say_arguments(milter_line_out(m->line), commands[e->stage], e->argument,
		                     e->arguments);
}

static enum member_step
tell_event(struct milter_member *m)
{
	const struct milter_event *e = &m->chain->event;
	const struct stage_row    *row = &stages[e->stage];
	uint32_t                   not_told = left_out(m->line);

	if (not_told & row->left_out || (e->refused && !(m->line->steps & STEP_RCPT_REFUSED)))
		return STEP_NEXT;
	m->in_mail = m->in_mail || e->stage == STAGE_MAIL || e->stage == STAGE_RCPT;
	say_event(m);
	if (m->line->steps & row->mute)
		return STEP_NEXT;
	milter_line_wait(m->line, m->milter->command_ms);
	return STEP_WAIT;
}

static const struct milter_ears member_ears;

static enum member_step
connect_member(struct milter_member *m)
{
	bool ready;

	m->milter->asked++;
	m->line = milter_line_open(m->chain->set, m->milter, m->chain->needs, m->chain->house,
	                           &member_ears, m, &ready);
	if (m->line == NULL)
		return member_failed(m, "it cannot be reached");
	if (!ready)
		return STEP_WAIT;
	m->state = MEMBER_ON;
	return tell_event(m);
}

static enum member_step
event_step(struct milter_member *m)
{
	switch ((enum member_state)m->state) {
	case MEMBER_NEW:
		return m->chain->event.stage == STAGE_CONNECT ? connect_member(m) : STEP_NEXT;
	case MEMBER_ON: return tell_event(m);
	case MEMBER_REFUSES: return member_refuses(m, m->reply, m->shut);
	case MEMBER_DOWN: return member_default(m);
	case MEMBER_CONTENT:
	case MEMBER_CONTENT_FOR_GOOD: break;
	}
	return STEP_NEXT;
}

/*
 * One after the other
 */

static uint32_t
wanted_by(const struct milter_member *m)
{
	const uint32_t all = 1u << STAGE_HELO | 1u << STAGE_MAIL | 1u << STAGE_RCPT |
	                     1u << STAGE_DATA | 1u << STAGE_UNKNOWN | 1u << STAGE_END_OF_DATA;
	uint32_t wants = 1u << STAGE_END_OF_DATA;

	if (m->state == MEMBER_DOWN && m->milter->default_action == DEFAULT_ACCEPT)
		return 0;
	if (m->state == MEMBER_REFUSES || m->state == MEMBER_DOWN)
		return all;
	if (m->state == MEMBER_CONTENT_FOR_GOOD || m->line == NULL)
		return 0;
	for (int i = 0; i < MILTER_STAGES; i++)
		if (stages[i].left_out != 0 && !(left_out(m->line) & stages[i].left_out))
			wants |= 1u << i;
	if (m->line->steps & STEP_RCPT_REFUSED)
		wants |= MILTER_WANTS_REFUSED;
	return wants;
}

static void
finish(struct milter_chain *c)
{
	c->busy = false;
	for (size_t i = 0; i < c->members; i++)
		c->answer.wants |= wanted_by(&c->member[i]);
	if (c->pass != NULL) {
		content_end(c);
		return;
	}
	c->said(c->ctx, &c->answer);
}

void
chain_go(struct milter_chain *c)
{
	enum member_step step = STEP_NEXT;

	while (c->at < c->members && step == STEP_NEXT) {
		struct milter_member *m = &c->member[c->at];

		step = c->pass != NULL ? content_step(m) : event_step(m);
		if (step == STEP_NEXT && ++c->at < c->members && c->pass != NULL)
			content_begin_member(c->pass);
	}
	if (step != STEP_WAIT)
		finish(c);
}

/* The filter in hand has said something, or something of it. */
static void
go_on(struct milter_member *m, enum member_step step)
{
	struct milter_chain *c = m->chain;

	if (step == STEP_WAIT)
		return;
	if (step == STEP_STOP) {
		finish(c);
		return;
	}
	if (++c->at < c->members && c->pass != NULL)
		content_begin_member(c->pass);
	chain_go(c);
}

static void
member_ready(void *ctx)
{
	struct milter_member *m = ctx;

	m->state = MEMBER_ON;
	go_on(m, tell_event(m));
}

static void
member_answer(void *ctx, const struct milter_answer *a)
{
	struct milter_member *m = ctx;
	struct milter_chain  *c = m->chain;

	if (a->word == MILTER_PROGRESS) {
		milter_line_wait(m->line,
		                 c->pass != NULL ? m->milter->content_ms : m->milter->command_ms);
		return;
	}
	if (c->pass != NULL)
		go_on(m, content_answer(m, a));
	else
		go_on(m, member_verdict(m, a, stages[c->event.stage].session));
}

static void
member_drained(void *ctx)
{
	struct milter_member *m = ctx;
	struct milter_chain  *c = m->chain;

	if (c->busy && c->pass != NULL && m == &c->member[c->at] && !m->line->waits)
		chain_go(c);
}

/* One that had been kept from another session may have ended meanwhile: that is no fault of this one. */
static void
member_lost(void *ctx, const char *why, bool old)
{
	struct milter_member *m = ctx;
	struct milter_chain  *c = m->chain;
	bool                  in_hand = c->busy && c->at < c->members && m == &c->member[c->at];
	bool                  stale = in_hand && old && m->state == MEMBER_ON && c->pass == NULL &&
	             c->event.stage == STAGE_CONNECT;

	m->line = NULL;
	if (stale) {
		m->state = MEMBER_NEW;
		chain_go(c);
	} else if (in_hand)
		go_on(m, member_failed(m, why));
	else if (m->state == MEMBER_ON || m->state == MEMBER_CONTENT) {
		struct milter_said kept = c->answer;

		(void)member_failed(m, why);
		c->answer = kept;
	}
}

static const struct milter_ears member_ears = {
	.ready = member_ready,
	.answer = member_answer,
	.drained = member_drained,
	.lost = member_lost,
};

/*
 * The session
 */

struct milter_chain *
milter_chain_open(struct milter_set *set, const struct milter_needs *needs, void *house,
                  void (*said)(void *, const struct milter_said *),
                  void (*made)(void *, const struct milter_made *), void *ctx)
{
	struct arena        *life = arena_open(NULL);
	struct milter_chain *c =
		arena_take(life, sizeof *c + set->count * sizeof(struct milter_member));

	c->session = life;
	c->transaction = arena_open(life);
	c->scratch = arena_open(life);
	c->set = milter_set_take(set);
	c->needs = needs;
	c->house = house;
	c->said = said;
	c->made = made;
	c->ctx = ctx;
	c->members = set->count;
	for (size_t i = 0; i < c->members; i++)
		c->member[i] = (struct milter_member){ .chain = c, .milter = &set->each[i] };
	return c;
}

bool
milter_chain_busy(const struct milter_chain *c)
{
	return c->busy;
}

static void
begin(struct milter_chain *c)
{
	INSIDE(!c->busy);
	c->busy = true;
	c->at = 0;
	c->answer = (struct milter_said){ .by = "", .reason = "" };
}

void
milter_chain_event(struct milter_chain *c, const struct milter_event *e)
{
	struct bytes *argument;

	begin(c);
	arena_clear(c->scratch);
	argument = arena_take_array(c->scratch, e->arguments + 2, sizeof *argument);
	for (size_t i = 0; i < e->arguments; i++)
		argument[i] = arena_keep(c->scratch, e->argument[i]);
	keep_macros(c, &e->macros, stages[e->stage].session);
	c->event = *e;
	c->event.argument = argument;
	chain_go(c);
}

void
milter_chain_content(struct milter_chain *c, const struct milter_content *content)
{
	begin(c);
	arena_clear(c->scratch);
	keep_macros(c, &content->macros, false);
	c->pass = arena_take(c->transaction, sizeof *c->pass);
	c->pass->in = *content;
	c->pass->life = c->transaction;
	if (content_read_header(c))
		chain_go(c);
	else
		finish(c);
}

void
milter_chain_abort(struct milter_chain *c)
{
	INSIDE(!c->busy);
	for (size_t i = 0; i < c->members; i++) {
		struct milter_member *m = &c->member[i];

		if (m->line != NULL && m->line->state == LINE_READY && m->in_mail)
			milter_say(milter_line_out(m->line), MILTER_ABORT);
		m->in_mail = false;
		if (m->state == MEMBER_CONTENT)
			m->state = MEMBER_ON;
	}
	forget_transaction(c);
}

/* A session went well to its end. */
static void
answers_again(struct milter_member *m)
{
	if (m->line == NULL || m->line->state != LINE_READY || m->line->waits)
		return;
	if (m->milter->failing)
		note("milter %s: answers again", m->milter->name);
	m->milter->failing = false;
}

void
milter_chain_close(struct milter_chain **cp)
{
	struct milter_chain *c = *cp;
	struct arena        *life;

	*cp = NULL;
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->members; i++) {
		answers_again(&c->member[i]);
		milter_line_rest(&c->member[i].line);
	}
	content_drop(c);
	milter_set_drop(&c->set);
	life = c->session;
	arena_close(&life);
}
