#include "policy/rule-witness.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "policy/prober.h"

enum { CLASSES_DEEP = 100, SHOWN_MOST = 256, REPLY_MOST = 480 };

const char *const rule_list_names[RULE_STAGES] = {
	[RULE_CLIENT] = "smtpd_client_restrictions",
	[RULE_HELO] = "smtpd_helo_restrictions",
	[RULE_SENDER] = "smtpd_sender_restrictions",
	[RULE_RELAY] = "smtpd_relay_restrictions",
	[RULE_RECIPIENT] = "smtpd_recipient_restrictions",
	[RULE_DATA] = "smtpd_data_restrictions",
	[RULE_END_OF_DATA] = "smtpd_end_of_data_restrictions",
	[RULE_ETRN] = "smtpd_etrn_restrictions",
};

const char rule_class_client[] = "Client host", rule_class_reverse[] = "Unverified Client host",
	   rule_class_certificate[] = "Client certificate", rule_class_login[] = "SASL login name",
	   rule_class_helo[] = "Helo command", rule_class_sender[] = "Sender address",
	   rule_class_recipient[] = "Recipient address", rule_class_etrn[] = "Etrn command",
	   rule_class_data[] = "Data command", rule_class_end[] = "End-of-data";

static enum rule_answer
ask_nothing(void *ctx, enum rule_question_kind kind, const char *name, struct bytes key,
            struct arena *life, struct bytes *value)
{
	(void)ctx;
	(void)kind;
	(void)name;
	(void)key;
	(void)life;
	*value = (struct bytes){ NULL, 0 };
	return RULE_ANSWER_WAIT;
}
const struct rule_needs rule_needs_nothing = { ask_nothing };

/*
 * Words
 */

/* The bytes of one character that may be shown, 0 none. */
static size_t
shows(const struct rule_work *w, struct bytes rest)
{
	unsigned char c = (unsigned char)rest.at[0];
	uint32_t      rune;

	if (c >= ' ' && c < 127)
		return 1;
	return c >= 0xC2 && w->facts->utf8 ? bytes_utf8(rest, &rune) : 0;
}

static const char *
shown(struct rule_work *w, struct bytes b, size_t most)
{
	struct bytes rest = bytes_cut(b, 0, most);
	char        *out = arena_take(w->life, rest.len + 4), *end = out;

	while (rest.len > 0) {
		size_t n = shows(w, rest);

		if (n > 0)
			memcpy(end, rest.at, n);
		else
			*end = '?';
		end += n > 0 ? n : 1;
		rest = bytes_cut(rest, n > 0 ? n : 1, SIZE_MAX);
	}
	if (b.len > most)
		memcpy(end, "...", 3);
	return out;
}

/* Quoted-string of rfc5321:4.1.2: the backslash is of the writing, as the quotes are. */
struct bytes
rule_meant(struct rule_work *w, struct bytes address)
{
	char  *out, *end;
	size_t i = 1;

	if (address.len == 0 || address.at[0] != '"')
		return address;
	end = out = arena_take(w->life, address.len);
	for (; i < address.len && address.at[i] != '"'; i++) {
		if (address.at[i] == '\\' && i + 1 < address.len)
			i++;
		*end++ = address.at[i];
	}
	for (i++; i < address.len; i++)
		*end++ = address.at[i];
	return (struct bytes){ out, (size_t)(end - out) };
}

const char *
rule_shown(struct rule_work *w, struct bytes b)
{
	return shown(w, b, SHOWN_MOST);
}

const char *
rule_shown_reply(struct rule_work *w, struct bytes b)
{
	return shown(w, b, REPLY_MOST);
}

void
rule_tell(struct rule_work *w, const char *form, ...)
{
	va_list list;

	if (w->trace == NULL)
		return;
	for (unsigned i = 0; i < w->depth && i < CLASSES_DEEP; i++)
		buffer_add(w->trace, BYTES("  "));
	va_start(list, form);
	buffer_vprintf(w->trace, form, list);
	va_end(list);
	buffer_add_char(w->trace, '\n');
}

__attribute__((format(printf, 2, 0))) static struct bytes
printed(struct rule_work *w, const char *form, va_list list)
{
	struct buffer b = { 0 };
	struct bytes  out;

	buffer_vprintf(&b, form, list);
	out = arena_keep(w->life, buffer_bytes(&b));
	buffer_free(&b);
	return out;
}

static void
add_note(struct rule_work *w, const char *what, struct bytes text)
{
	struct rule_note *n = arena_take(w->life, sizeof *n);

	*n = (struct rule_note){ NULL, arena_keep(w->life, bytes_of(what)), text };
	*w->last_note = n;
	w->last_note = &n->next;
	rule_tell(w, "%s: %.*s", what, (int)text.len, text.at);
}

void
rule_note(struct rule_work *w, const char *what, const char *form, ...)
{
	va_list list;

	va_start(list, form);
	add_note(w, what, printed(w, form, list));
	va_end(list);
}

void
rule_act(struct rule_work *w, enum rule_deed deed, struct bytes text)
{
	struct rule_action *a = arena_take(w->life, sizeof *a);

	*a = (struct rule_action){ NULL, (uint8_t)deed, arena_keep(w->life, text) };
	*w->last_action = a;
	w->last_action = &a->next;
	w->discard = w->discard || deed == DEED_DISCARD;
}

/* X.1.1 is said of recipients, X.1.7 of senders, of others neither.  As Postfix has it. */
const char *
rule_status(struct rule_work *w, const char *status, const char *class)
{
	static const struct {
		char        digit;
		const char *sender, *recipient;
	} of[] = {
		{ '1', "1.7", "1.1" }, { '2', "1.8", "1.2" }, { '3', "1.7", "1.3" },
		{ '4', "1.7", "1.4" }, { '5', "1.0", "1.5" }, { '6', "1.7", "1.6" },
		{ '7', "1.7", "1.3" }, { '8', "1.8", "1.2" },
	};
	bool recipient = strcmp(class, rule_class_recipient) == 0;

	if (strlen(status) < 5 || memcmp(status + 1, ".1.", 3) != 0)
		return status;
	if (!recipient && strcmp(class, rule_class_sender) != 0)
		return arena_printf(w->life, "%c.0.0", status[0]);
	for (size_t i = 0; i < COUNT(of); i++)
		if (status[4] == of[i].digit && status[5] == '\0')
			return arena_printf(w->life, "%c.%s", status[0],
			                    recipient ? of[i].recipient : of[i].sender);
	return arena_printf(w->life, "%c.1.0", status[0]);
}

/*
 * Verdicts
 */

static enum rule_result
reject(struct rule_work *w, int code, const char *status, struct bytes text)
{
	struct rule_deferral d = w->if_reject;
	char                *reply;

	if (code < 400 || code > 599)
		code = status[0] == '4' ? 450 : 554;
	if (w->warn == 0 && d.active && code >= 500) {
		w->if_reject.active = false;
		return reject(w, d.code, d.status, bytes_of(d.text));
	}
	reply = arena_printf(w->life, "%d %s %.*s", code, status, (int)text.len, text.at);
	reply[4] = reply[0];
	if (strlen(reply) > REPLY_MOST)
		reply[REPLY_MOST] = '\0';
	if (w->warn > 0) {
		add_note(w, "reject_warning", bytes_of(reply));
		return RULE_DUNNO;
	}
	w->verdict.outcome = RULE_REFUSES;
	w->verdict.reply = bytes_of(reply);
	w->verdict.list = bytes_of(rule_list_names[w->stage]);
	w->verdict.rule = bytes_of(w->rule);
	rule_tell(w, "%s: refuses: %s", w->rule, reply);
	return RULE_REJECT;
}

enum rule_result
rule_reject(struct rule_work *w, int code, const char *status, const char *form, ...)
{
	va_list      list;
	struct bytes text;

	va_start(list, form);
	text = printed(w, form, list);
	va_end(list);
	return reject(w, code, status, text);
}

enum rule_result
rule_reject_of(struct rule_work *w, int code, const char *status, struct bytes name,
               const char *class, const char *text)
{
	return rule_reject(w, code, rule_status(w, status, class), "<%s>: %s rejected: %s",
	                   rule_shown(w, name), class, text);
}

enum rule_result
rule_reject_here(struct rule_work *w, int code, const char *status, const char *text)
{
	return rule_reject_of(w, code, status, w->name, w->class, text);
}

static void
defer(struct rule_work *w, struct rule_deferral *d, const char *when, int code, const char *status,
      struct bytes text)
{
	rule_tell(w, "%s: %s: %d %s %.*s", w->rule, when, code, status, (int)text.len, text.at);
	if (!d->active)
		*d = (struct rule_deferral){ true, (uint16_t)code,
			                     arena_copy(w->life, bytes_of(status)),
			                     arena_copy(w->life, text) };
}

/* Where only a warning is asked for, it is one. */
enum rule_result
rule_defer_if_permit(struct rule_work *w, int code, const char *status, const char *form, ...)
{
	va_list      list;
	struct bytes text;

	va_start(list, form);
	text = printed(w, form, list);
	va_end(list);
	if (w->warn > 0)
		return reject(w, code, status, text);
	defer(w, &w->if_permit, "defer_if_permit", code, status, text);
	return RULE_DUNNO;
}

enum rule_result
rule_defer_if_reject(struct rule_work *w, int code, const char *status, const char *form, ...)
{
	va_list      list;
	struct bytes text;

	va_start(list, form);
	text = printed(w, form, list);
	va_end(list);
	defer(w, &w->if_reject, "defer_if_reject", code, status, text);
	return RULE_DUNNO;
}

enum rule_result
rule_permit(struct rule_work *w, const char *why)
{
	const struct setting_list *l = &w->set->permit_log;

	rule_tell(w, "%s: permits%s%s", w->rule, *why != '\0' ? ": " : "", why);
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->item[i], "static:all") == 0 ||
		    bytes_is(bytes_of(w->rule), l->item[i])) {
			rule_note(w, "permit", "<%s>: %s %s", rule_shown(w, w->name), w->rule, why);
			break;
		}
	return RULE_OK;
}

enum rule_result
rule_unsure(struct rule_work *w, struct bytes address)
{
	return rule_reject(w, 451, "4.3.0", "<%s>: Temporary lookup failure",
	                   rule_shown(w, rule_meant(w, address)));
}

enum rule_result
rule_misconfigured(struct rule_work *w, const char *why)
{
	rule_note(w, "warn", "%s: %s", w->rule, why);
	return rule_reject(w, 451, "4.3.5", "Server configuration error");
}

enum rule_answer
rule_ask(struct rule_work *w, enum rule_question_kind kind, const char *name, struct bytes key,
         struct bytes *value)
{
	static const char *const kinds[RULE_QUESTION_KINDS] = {
		[ASK_TABLE] = "table", [ASK_RESOLVE] = "directory", [ASK_OWNER] = "owner",
		[ASK_DNS] = "dns",     [ASK_SERVICE] = "service",   [ASK_GREY] = "greylist",
		[ASK_PROBE] = "probe",
	};
	static const char *const said[] = { "says ", "has nothing",
		                            "cannot tell now: ", "is asked" };
	enum rule_answer         a = w->needs->ask(w->ctx, kind, name, key, w->life, value);
	bool                     plain = kind != ASK_RESOLVE && kind != ASK_OWNER;

	if (w->trace == NULL)
		return a;
	if (a == RULE_ANSWER_NONE || a == RULE_ANSWER_WAIT || !plain)
		rule_tell(w, "  %s %s \"%s\" %s", kinds[kind], name, rule_shown(w, key),
		          plain || a != RULE_ANSWER_FOUND ? said[a] : "knows");
	else
		rule_tell(w, "  %s %s \"%s\" %s%s", kinds[kind], name, rule_shown(w, key), said[a],
		          rule_shown(w, *value));
	return a;
}

/*
 * Lists
 */

/* A rule that lets it go on without a word is told of, too: it was asked. */
static void
tell_of_nothing(struct rule_work *w, const char *name, size_t told)
{
	struct bytes said = bytes_cut(buffer_bytes(w->trace), told, w->trace->len);
	const char  *word = arena_printf(w->life, "%s: ", name);

	if (bytes_search(said, bytes_of(word)) < 0)
		rule_tell(w, "%s: has no objection", name);
}

static enum rule_result
ask_step(struct rule_work *w, const struct rule_step *s)
{
	enum rule_result r;
	const char      *before = w->rule;
	size_t           told = w->trace != NULL ? w->trace->len : 0;

	if (++w->steps > RULE_STEPS_MOST)
		return rule_misconfigured(w, "too many rules are asked");
	w->rule = s->name;
	if (s->class != NULL) {
		rule_tell(w, "%s:", s->name);
		r = rule_list_ask(w, s->class);
	} else
		r = s->rule->run(w, s);
	if (r == RULE_DUNNO && s->class == NULL && w->trace != NULL)
		tell_of_nothing(w, s->name, told);
	w->rule = before;
	return r;
}

/* While one waits, the questions of those behind it that ask the DNS alone are asked, too: all is judged again anyhow, and
   only in its order.  The first that permits, refuses, or asks somebody else ends that. */
static void
ask_ahead(struct rule_work *w, const struct rule_list *l, size_t from)
{
	unsigned warn = w->warn;

	for (size_t i = from; i < l->count; i++) {
		const struct rule_step *s = &l->step[i];
		enum rule_result        r;

		if (s->rule == NULL || !s->rule->ahead)
			break;
		w->warn = s->warn ? w->depth : 0;
		r = ask_step(w, s);
		if (r == RULE_OK || r == RULE_REJECT)
			break;
	}
	w->warn = warn;
}

/* warn_if_reject holds for the rule behind it and, if that is a class, for all in it. */
enum rule_result
rule_list_ask(struct rule_work *w, const struct rule_list *l)
{
	enum rule_result r = RULE_DUNNO;

	if (w->depth >= CLASSES_DEEP)
		return rule_misconfigured(w, "classes of rules lead in a circle");
	w->depth++;
	for (size_t i = 0; i < l->count && !w->discard; i++) {
		if (l->step[i].warn && w->warn == 0)
			w->warn = w->depth;
		r = ask_step(w, &l->step[i]);
		if (w->warn >= w->depth)
			w->warn = 0;
		if (r == RULE_WAITS)
			ask_ahead(w, l, i + 1);
		if (r != RULE_DUNNO)
			break;
		if (w->if_reject.active && w->if_permit.active)
			break; /* it is put off in any case */
	}
	w->depth--;
	return r;
}

/* What the list's refusals are about. */
static void
name_stage(struct rule_work *w, enum rule_stage stage)
{
	const struct rule_facts *f = w->facts;
	const struct {
		struct bytes name;
		const char *class;
	} of[RULE_STAGES] = {
		[RULE_CLIENT] = { f->name, rule_class_client },
		[RULE_HELO] = { f->helo, rule_class_helo },
		[RULE_SENDER] = { rule_meant(w, f->sender), rule_class_sender },
		[RULE_RELAY] = { rule_meant(w, f->recipient), rule_class_recipient },
		[RULE_RECIPIENT] = { rule_meant(w, f->recipient), rule_class_recipient },
		[RULE_DATA] = { BYTES("DATA"), rule_class_data },
		[RULE_END_OF_DATA] = { BYTES("END-OF-MESSAGE"), rule_class_end },
		[RULE_ETRN] = { f->etrn, rule_class_etrn },
	};

	w->stage = stage;
	w->name = of[stage].name;
	w->class = of[stage].class;
	if (stage == RULE_CLIENT && w->rules->list[stage]->count > 0)
		w->name = bytes_of(arena_printf(w->life, "%s[%s]", rule_shown(w, f->name),
		                                rule_shown(w, f->address)));
}

/*
 * Moments
 */

static void
reset(struct rule_work *w)
{
	w->depth = w->warn = 0;
	w->if_reject.active = false;
}

static enum rule_result
ask_stage(struct rule_work *w, enum rule_stage stage)
{
	const struct rule_list *l = w->rules->list[stage];
	enum rule_result        r;

	name_stage(w, stage);
	if (l->count == 0)
		return RULE_DUNNO;
	rule_tell(w, "%s:", rule_list_names[stage]);
	r = rule_list_ask(w, l);
	if (r != RULE_REJECT && r != RULE_WAITS)
		rule_tell(w, "%s %s", rule_list_names[stage],
		          r == RULE_OK ? "permits" : "has no objection");
	return r;
}

static enum rule_result
ask_sender(struct rule_work *w)
{
	enum rule_result r;

	if (!w->facts->has_sender)
		return RULE_DUNNO;
	reset(w);
	r = ask_stage(w, RULE_SENDER);
	if (r == RULE_REJECT || r == RULE_WAITS || w->discard)
		return r;
	if ((r = rule_sender_checked(w)) != RULE_DUNNO)
		return r;
	return w->set->unlisted_sender && !w->sender_asked ? rule_sender_unlisted(w) : RULE_DUNNO;
}

/* What was to be put off if it is permitted, and it is. */
static enum rule_result
force(struct rule_work *w)
{
	const struct rule_deferral *d = &w->if_permit;

	if (!d->active || w->discard)
		return RULE_DUNNO;
	w->warn = 0;
	w->if_reject.active = false;
	w->rule = "defer_if_permit";
	return reject(w, d->code, d->status, bytes_of(d->text));
}

/* Those that were put off to this moment. */
static enum rule_result
ask_delayed(struct rule_work *w)
{
	enum rule_result r = RULE_DUNNO;

	if (!w->set->delay)
		return r;
	reset(w);
	r = ask_stage(w, RULE_CLIENT);
	if (r != RULE_REJECT && r != RULE_WAITS && w->facts->helo_said) {
		reset(w);
		r = ask_stage(w, RULE_HELO);
	}
	return r;
}

static bool
is_over(enum rule_result r)
{
	return r == RULE_REJECT || r == RULE_WAITS;
}

static enum rule_result
ask_score(struct rule_work *w)
{
	reset(w);
	name_stage(w, RULE_CLIENT);
	return rule_score(w);
}

/* Who is asked about an address may ask about who asks, and is let in whatever the lists say: else both would wait. */
static bool
is_prober(const struct rule_work *w)
{
	const struct witness_settings *set = &w->set->witness;
	const struct prober            p = { set->verify_sender, set->myorigin,
		                             set->verify_sender_ttl / 1000 };

	return w->facts->recipient_is == RECIPIENT_DISCARDED &&
	       prober_is(&p, clock_wall(), w->facts->recipient_whole);
}

static enum rule_result
ask_recipient(struct rule_work *w)
{
	bool             relay_first = w->set->relay_first;
	enum rule_result r;

	/* rfc5321:4.5.1 "postmaster" alone is always taken. */
	if (bytes_is(w->facts->recipient, "postmaster"))
		return w->facts->recipient_is == RECIPIENT_LOCAL ? RULE_DUNNO
		                                                 : rule_recipient_refused(w);
	if (is_prober(w))
		return RULE_DUNNO;
	if (w->set->witness.score_action != SCORE_DROP && is_over(r = ask_score(w)))
		return r;
	if (is_over(r = ask_delayed(w)) || (w->set->delay && is_over(r = ask_sender(w))))
		return r;
	reset(w);
	if (is_over(r = ask_stage(w, relay_first ? RULE_RELAY : RULE_RECIPIENT)) ||
	    is_over(r = ask_stage(w, relay_first ? RULE_RECIPIENT : RULE_RELAY)) ||
	    is_over(r = force(w)))
		return r;
	w->warn = 0;
	w->rule = "smtpd_reject_unlisted_recipient";
	if (w->discard || (!w->unlisted_asked && is_over(r = rule_recipient_refused(w))))
		return w->discard ? RULE_DUNNO : r;
	w->rule = "recipient_verify_domains";
	return rule_recipient_verified(w);
}

static enum rule_result
ask_moment(struct rule_work *w)
{
	enum rule_result r = RULE_DUNNO;
	bool             now = !w->set->delay;

	switch ((enum rule_moment)w->facts->moment) {
	case AT_CONNECT:
		if (rules_score_first(w->set) && is_over(r = ask_score(w)))
			return r;
		return now ? ask_stage(w, RULE_CLIENT) : RULE_DUNNO;
	case AT_HELO: return now ? ask_stage(w, RULE_HELO) : r;
	case AT_MAIL: return now ? ask_sender(w) : r;
	case AT_RCPT:
	case AT_VRFY: return ask_recipient(w);
	case AT_ETRN:
		if (is_over(r = ask_delayed(w)))
			return r;
		reset(w);
		r = ask_stage(w, RULE_ETRN);
		return is_over(r) ? r : force(w);
	case AT_DATA:
	case AT_END:
		w->if_permit.active = false;
		r = ask_stage(w, w->facts->moment == AT_DATA ? RULE_DATA : RULE_END_OF_DATA);
		return is_over(r) ? r : force(w);
	default: return r;
	}
}

/* "450 4.7.1 words", as an earlier moment left it. */
static void
take_deferred(struct rule_work *w)
{
	struct bytes rest = w->facts->deferred, code, status;
	uint64_t     n;

	if (bytes_split(&rest, ' ', &code) && bytes_number(code, &n) && n >= 400 && n <= 599 &&
	    bytes_split(&rest, ' ', &status) && status.len >= 5)
		w->if_permit = (struct rule_deferral){ true, (uint16_t)n, rule_shown(w, status),
			                               rule_shown(w, rest) };
}

struct rule_verdict
rules_judge(const struct rules *rules, const struct rule_facts *facts,
            const struct rule_needs *needs, void *ctx, struct arena *life, struct buffer *trace)
{
	struct rule_work w = {
		.rules = rules,
		.set = &rules->set,
		.facts = facts,
		.needs = needs,
		.ctx = ctx,
		.life = life,
		.trace = trace,
		.rule = "",
		.class = "",
	};
	enum rule_result r;

	w.last_action = &w.verdict.action;
	w.last_note = &w.verdict.note;
	take_deferred(&w);
	r = ask_moment(&w);
	w.verdict.outcome = r == RULE_REJECT  ? RULE_REFUSES
	                    : r == RULE_WAITS ? RULE_WAIT
	                                      : RULE_PASSES;
	/* A client may go on after a HELO that was refused; what was to be put off is. */
	if (w.if_permit.active && (r != RULE_REJECT || facts->moment == AT_HELO))
		w.verdict.deferred = bytes_of(arena_printf(life, "%d %s %s", w.if_permit.code,
		                                           w.if_permit.status, w.if_permit.text));
	return w.verdict;
}
