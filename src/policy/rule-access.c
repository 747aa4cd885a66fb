/* rule-access.c -- access tables: what is looked for in them, in which order, and what their answers mean */
#include "policy/rule.h"

#include <string.h>

enum { LABELS_MOST = 128 };

/*
 * Actions
 */

struct action {
	struct rule_work *work;
	const char       *table;
	struct bytes      key, text, name; /* text: behind the word              */
	const char *class;
};
typedef enum rule_result action_fn(const struct action *);
/* NULL, or why the text behind the word cannot be obeyed. */
typedef const char *fault_fn(struct bytes text);

/* "4.7.9 words": the status, else this one; *text is what is left. */
static const char *
split_status(const struct action *a, const char *standard, const char **text, const char *otherwise)
{
	struct bytes rest = a->text, status;
	size_t       dots = 0, digits = 0;
	bool         good = bytes_split(&rest, ' ', &status) && status.len >= 5 && status.len < 12;

	*text = a->text.len > 0 ? rule_shown(a->work, a->text) : otherwise;
	for (size_t i = 0; good && i < status.len; i++) {
		dots += status.at[i] == '.';
		digits += status.at[i] >= '0' && status.at[i] <= '9';
	}
	if (!good || dots != 2 || dots + digits != status.len ||
	    strchr("245", status.at[0]) == NULL || status.at[1] != '.')
		return standard;
	rest = bytes_trim(rest);
	*text = rest.len > 0 ? rule_shown(a->work, rest) : otherwise;
	return arena_copy(a->work->life, status);
}

static enum rule_result
act_dunno(const struct action *a)
{
	rule_tell(a->work, "%s: DUNNO", a->table);
	return RULE_DUNNO;
}

static enum rule_result
act_ok(const struct action *a)
{
	const char *before = a->work->rule;

	for (size_t i = 0; i < a->work->set->permit_log.count; i++)
		if (bytes_is(BYTES("OK"), a->work->set->permit_log.item[i]))
			a->work->rule = "OK";
	rule_permit(a->work, a->table);
	a->work->rule = before;
	return RULE_OK;
}

static enum rule_result
act_reject(const struct action *a)
{
	const char *text, *status = split_status(a, "5.7.1", &text, "Access denied");

	return rule_reject_of(a->work, (int)a->work->set->map_reject, status, a->name, a->class,
	                      text);
}

static enum rule_result
act_defer(const struct action *a)
{
	const char *text, *status = split_status(a, "4.7.1", &text, "Access denied");

	return rule_reject_of(a->work, (int)a->work->set->map_defer, status, a->name, a->class,
	                      text);
}

static enum rule_result
act_defer_if_permit(const struct action *a)
{
	const char *text, *status = split_status(a, "4.7.1", &text, "Service unavailable");

	return rule_defer_if_permit(a->work, (int)a->work->set->map_defer,
	                            rule_status(a->work, status, a->class), "<%s>: %s rejected: %s",
	                            rule_shown(a->work, a->name), a->class, text);
}

static enum rule_result
act_defer_if_reject(const struct action *a)
{
	const char *text, *status = split_status(a, "4.7.1", &text, "Service unavailable");

	return rule_defer_if_reject(a->work, (int)a->work->set->map_defer,
	                            rule_status(a->work, status, a->class), "<%s>: %s rejected: %s",
	                            rule_shown(a->work, a->name), a->class, text);
}

static void
note_of(const struct action *a, const char *what, const char *standard)
{
	rule_note(a->work, what, "<%s>: %s %s", rule_shown(a->work, a->name), a->class,
	          a->text.len > 0 ? rule_shown(a->work, a->text) : standard);
}

static enum rule_result
act_warn(const struct action *a)
{
	note_of(a, "warn", "triggers WARN action");
	return RULE_DUNNO;
}

static enum rule_result
act_info(const struct action *a)
{
	note_of(a, "info", "triggers INFO action");
	return RULE_DUNNO;
}

/* An entry that is not as it must be does nothing, and the log says so. */
static enum rule_result
useless(const struct action *a, const char *why)
{
	rule_note(a->work, "warn", "access table %s entry \"%s\" %s", a->table,
	          rule_shown(a->work, a->key), why);
	return RULE_DUNNO;
}

/* Whether the letter is still to be made: what rides along with it must come before it ends. */
static bool
is_late(const struct action *a)
{
	return a->work->facts->moment == AT_ETRN || a->work->facts->moment == AT_VRFY;
}

static enum rule_result
do_deed(const struct action *a, enum rule_deed deed, const char *what, const char *triggers)
{
	if (is_late(a))
		return useless(a, "is for letters");
	rule_note(a->work, what, "<%s>: %s triggers %s%s%s", rule_shown(a->work, a->name), a->class,
	          triggers, a->text.len > 0 ? " " : "", rule_shown(a->work, a->text));
	rule_act(a->work, deed, a->text);
	return RULE_DUNNO;
}

static enum rule_result
act_hold(const struct action *a)
{
	if (is_late(a))
		return useless(a, "is for letters");
	note_of(a, "hold", "triggers HOLD action");
	rule_act(a->work, DEED_HOLD, a->text);
	return RULE_DUNNO;
}

static enum rule_result
act_discard(const struct action *a)
{
	if (is_late(a))
		return useless(a, "is for letters");
	note_of(a, "discard", "triggers DISCARD action");
	rule_act(a->work, DEED_DISCARD, a->text);
	return RULE_OK;
}

static const char *
filter_fault(struct bytes text)
{
	return bytes_find(text, ':') > 0 ? NULL : "requires transport:destination";
}

static enum rule_result
act_filter(const struct action *a)
{
	const char *why = filter_fault(a->text);

	if (why != NULL)
		return useless(a, why);
	return do_deed(a, DEED_FILTER, "filter", "FILTER");
}

static bool
is_address(struct bytes b)
{
	ptrdiff_t at = bytes_find_last(b, '@');

	for (size_t i = 0; i < b.len; i++)
		if ((unsigned char)b.at[i] <= ' ' || b.at[i] == 127)
			return false;
	return at > 0 && (size_t)at + 1 < b.len && b.len < 500;
}

static const char *
address_fault(struct bytes text)
{
	return is_address(text) ? NULL : "requires user@domain target";
}

static enum rule_result
act_redirect(const struct action *a)
{
	const char *why = address_fault(a->text);

	if (why != NULL)
		return useless(a, why);
	return do_deed(a, DEED_REDIRECT, "redirect", "REDIRECT");
}

static enum rule_result
act_bcc(const struct action *a)
{
	const char *why = address_fault(a->text);

	if (why != NULL)
		return useless(a, why);
	return do_deed(a, DEED_BCC, "bcc", "BCC");
}

/* rfc5322:2.2  field-name ":" and no more lines than one */
static bool
is_field(struct bytes b)
{
	ptrdiff_t colon = bytes_find(b, ':');

	if (colon <= 0 || b.len > 900)
		return false;
	for (size_t i = 0; i < b.len; i++) {
		unsigned char c = (unsigned char)b.at[i];
		if (c < ' ' || c == 127 || (i < (size_t)colon && (c == ' ' || c > 126)))
			return false;
	}
	return true;
}

static const char *
field_fault(struct bytes text)
{
	return is_field(text) ? NULL : "requires header: text argument";
}

static enum rule_result
act_prepend(const struct action *a)
{
	const char *why = a->work->facts->moment == AT_END ? "comes too late for PREPEND"
	                                                   : field_fault(a->text);

	if (why != NULL)
		return useless(a, why);
	return do_deed(a, DEED_PREPEND, "prepend", "PREPEND");
}

/* clang-format off */
static const struct {
	const char *word;
	action_fn  *act;
	fault_fn   *fault;            /* NULL: any text will do */
} actions[] = {
	{ "DUNNO",           act_dunno, NULL },
	{ "REJECT",          act_reject, NULL },
	{ "DEFER",           act_defer, NULL },
	{ "WARN",            act_warn, NULL },
	{ "INFO",            act_info, NULL },
	{ "FILTER",          act_filter, filter_fault },
	{ "HOLD",            act_hold, NULL },
	{ "DISCARD",         act_discard, NULL },
	{ "REDIRECT",        act_redirect, address_fault },
	{ "BCC",             act_bcc, address_fault },
	{ "DEFER_IF_PERMIT", act_defer_if_permit, NULL },
	{ "DEFER_IF_REJECT", act_defer_if_reject, NULL },
	{ "PREPEND",         act_prepend, field_fault },
	{ "OK",              act_ok, NULL },
	{ "RELAY",           act_ok, NULL },
};
/* clang-format on */

static bool
is_digits(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		if (b.at[i] < '0' || b.at[i] > '9')
			return false;
	return b.len > 0;
}

/* "550", "451" */
static bool
is_code(struct bytes b)
{
	return b.len == 3 && (b.at[0] == '4' || b.at[0] == '5') && is_digits(b);
}

/* The first word, and what stands behind it. */
static struct bytes
split_action(struct bytes value, struct bytes *word)
{
	size_t n = 0;

	while (n < value.len && value.at[n] != ' ' && value.at[n] != '\t')
		n++;
	*word = bytes_cut(value, 0, n);
	return bytes_trim(bytes_cut(value, n, SIZE_MAX));
}

/* "550 5.7.1 go away" */
static enum rule_result
act_code(const struct action *a, struct bytes code)
{
	uint64_t    n = 0;
	const char *text, *status;

	(void)bytes_number(code, &n);
	status = split_status(a, n < 500 ? "4.7.1" : "5.7.1", &text, "Access denied");
	return rule_reject_of(a->work, (int)n, status, a->name, a->class, text);
}

/* Names of rules and classes: what they refuse is about what was looked for. */
static enum rule_result
act_rules(const struct action *a, struct bytes value)
{
	struct rule_work       *w = a->work;
	const char             *wrong = "", *class = w->class;
	struct bytes            name = w->name;
	const struct rule_list *l = rule_list_read(w->rules, value, w->life, &wrong);
	enum rule_result        r;

	if (l == NULL)
		return rule_misconfigured(w,
		                          arena_printf(w->life, "access table %s entry \"%s\": %s",
		                                       a->table, rule_shown(w, a->key), wrong));
	w->name = a->name;
	w->class = a->class;
	r = rule_list_ask(w, l);
	w->name = name;
	w->class = class;
	return r;
}

enum rule_result
rule_take_action(struct rule_work *w, const char *table, struct bytes value, struct bytes key,
                 struct bytes name, const char *class)
{
	struct bytes  text, word;
	struct action a = { w, table, key, { NULL, 0 }, name, class };

	value = bytes_trim(value);
	text = split_action(value, &word);
	a.text = text;
	for (size_t i = 0; i < COUNT(actions); i++)
		if (bytes_is(word, actions[i].word))
			return actions[i].act(&a);
	if (is_digits(value))
		return act_ok(&a);
	if (is_code(word) && text.len > 0)
		return act_code(&a, word);
	return act_rules(&a, value);
}

/* Names of rules and classes. */
static const char *
rules_fault(struct bytes value, const struct setting_list *classes, struct arena *life)
{
	struct rules view = { .life = life };
	struct bytes first = value;
	const char  *why = "", *name;
	size_t       n = 0;
	bool         known;

	while (n < value.len && strchr(" \t,", value.at[n]) == NULL)
		n++;
	first.len = n;
	name = arena_copy(life, first);
	known = rule_is(name);
	for (size_t i = 0; i < classes->count; i++) {
		struct rule_class *c = arena_take(life, sizeof *c);

		c->list.name = classes->item[i];
		c->next = view.class;
		view.class = c;
		known = known || strcmp(name, classes->item[i]) == 0;
	}
	if (rule_list_read(&view, value, life, &why) != NULL)
		return NULL;
	if (!known)
		why = arena_printf(
			life,
			"\"%s\" is no action, as OK, REJECT, DUNNO, HOLD, or 554 and words; "
			"nor is it a rule or a class of smtpd_restriction_classes",
			name);
	return arena_printf(life, "%s; who it is found for is put off with 451", why);
}

/* What "$1" stands for in a pattern's result nobody can tell before. */
const char *
rules_action_fault(struct bytes value, const struct setting_list *classes, struct arena *life)
{
	struct bytes word, text;
	const char  *why;

	value = bytes_trim(value);
	text = split_action(value, &word);
	if (bytes_find(value, '$') >= 0)
		return NULL;
	for (size_t i = 0; i < COUNT(actions); i++)
		if (bytes_is(word, actions[i].word)) {
			why = actions[i].fault == NULL ? NULL : actions[i].fault(text);
			return why == NULL ? NULL
			                   : arena_printf(life, "%s %s; the line does nothing",
			                                  actions[i].word, why);
		}
	if (is_code(value))
		return arena_printf(life,
		                    "%.*s alone means OK, as every number does; write words behind "
		                    "it, or REJECT",
		                    (int)value.len, value.at);
	return is_digits(value) || is_code(word) ? NULL : rules_fault(value, classes, life);
}

/*
 * What is looked for
 */

enum rule_result
rule_access_key(struct rule_work *w, const struct rule_step *s, struct bytes key, bool whole,
                struct bytes name, const char *class, bool *found)
{
	struct bytes value;

	*found = false;
	if (!whole && s->pattern)
		return RULE_DUNNO;
	switch (rule_ask(w, ASK_TABLE, s->argument, arena_lower(w->life, key), &value)) {
	case RULE_ANSWER_WAIT: return RULE_WAITS;
	case RULE_ANSWER_NONE: return RULE_DUNNO;
	case RULE_ANSWER_LATER:
		*found = true;
		rule_note(w, "warn", "%s: table lookup problem", s->argument);
		return rule_reject(w, 451, "4.3.0", "<%s>: Temporary lookup failure",
		                   rule_shown(w, name));
	case RULE_ANSWER_FOUND: break;
	}
	*found = true;
	return rule_take_action(w, s->argument, value, key, name, class);
}

/* The name, then its parents: with a dot before them, or as they are. */
enum rule_result
rule_access_host(struct rule_work *w, const struct rule_step *s, struct bytes host, bool whole,
                 struct bytes name, const char *class, bool *found)
{
	bool      bare = w->rules->bare_parents, number = rule_host_address(host);
	ptrdiff_t dot;

	*found = false;
	for (unsigned i = 0; host.len > 0 && i < LABELS_MOST; i++) {
		enum rule_result r = rule_access_key(w, s, host, whole, name, class, found);

		if (r != RULE_DUNNO || *found || number)
			return r;
		if ((dot = bytes_find(bytes_cut(host, 1, SIZE_MAX), '.')) < 0)
			break;
		host = bytes_cut(host, (size_t)dot + 1 + bare, SIZE_MAX);
		whole = false;
	}
	return RULE_DUNNO;
}

/* 192.0.2.1, 192.0.2, 192.0, 192 */
enum rule_result
rule_access_network(struct rule_work *w, const struct rule_step *s, struct bytes address,
                    bool whole, struct bytes name, const char *class, bool *found)
{
	char part = bytes_find(address, ':') >= 0 ? ':' : '.';

	*found = false;
	while (address.len > 0) {
		ptrdiff_t        last = bytes_find_last(address, part);
		enum rule_result r = rule_access_key(w, s, address, whole, name, class, found);

		if (r != RULE_DUNNO || *found)
			return r;
		whole = false;
		address = bytes_cut(address, 0, last < 0 ? 0 : (size_t)last);
	}
	return RULE_DUNNO;
}

static enum rule_result
look_at_client(struct rule_work *w, const struct rule_step *s, struct bytes host, struct bytes name,
               const char *class)
{
	bool             found;
	enum rule_result r = rule_access_host(w, s, host, true, name, class, &found);

	if (r != RULE_DUNNO || found)
		return r;
	return rule_access_network(w, s, w->facts->address, true, name, class, &found);
}

static enum rule_result
check_client(struct rule_work *w, const struct rule_step *s)
{
	struct bytes shown = bytes_of(arena_printf(w->life, "%s[%s]", rule_shown(w, w->facts->name),
	                                           rule_shown(w, w->facts->address)));

	return look_at_client(w, s, w->facts->name, shown, rule_class_client);
}

/* Whoever says the name may say any: nobody is let in for it. */
static enum rule_result
check_reverse(struct rule_work *w, const struct rule_step *s)
{
	enum rule_result r =
		look_at_client(w, s, w->facts->reverse, w->facts->reverse, rule_class_reverse);

	if (r != RULE_OK)
		return r;
	return rule_misconfigured(w, arena_printf(w->life,
	                                          "OK for %s is not allowed, for its name is not "
	                                          "sure; write DUNNO to make an exception",
	                                          rule_shown(w, w->facts->reverse)));
}

static enum rule_result
check_helo(struct rule_work *w, const struct rule_step *s)
{
	bool found;

	if (!w->facts->helo_said)
		return RULE_DUNNO;
	return rule_access_host(w, s, w->facts->helo, true, w->facts->helo, rule_class_helo,
	                        &found);
}

static enum rule_result
check_etrn(struct rule_work *w, const struct rule_step *s)
{
	bool found;

	if (w->facts->etrn.len == 0)
		return RULE_DUNNO;
	return rule_access_host(w, s, w->facts->etrn, true, w->facts->etrn, rule_class_etrn,
	                        &found);
}

static enum rule_result
check_login(struct rule_work *w, const struct rule_step *s)
{
	bool found;

	if (w->facts->user.len == 0)
		return RULE_DUNNO;
	return rule_access_key(w, s, w->facts->user, true, w->facts->user, rule_class_login,
	                       &found);
}

static enum rule_result
check_certificate(struct rule_work *w, const struct rule_step *s)
{
	const struct bytes prints[] = { w->facts->fingerprint, w->facts->key_fingerprint };
	bool               found = false;
	enum rule_result   r = RULE_DUNNO;

	for (size_t i = 0; i < COUNT(prints) && r == RULE_DUNNO && !found; i++)
		if (w->facts->tls && prints[i].len > 0)
			r = rule_access_key(w, s, prints[i], true, w->facts->subject,
			                    rule_class_certificate, &found);
	return r;
}

/* user+ext@domain, user@domain, the domain and its parents, user+ext@, user@ */
static enum rule_result
look_at_address(struct rule_work *w, const struct rule_step *s, struct bytes whole,
                struct bytes name, const char *class)
{
	ptrdiff_t        at = bytes_find_last(whole, '@');
	struct bytes     local, domain, user;
	enum rule_result r;
	size_t           n = 0;
	bool             found;

	if (at < 0)
		return RULE_DUNNO;
	local = user = bytes_cut(whole, 0, (size_t)at);
	domain = bytes_cut(whole, (size_t)at + 1, SIZE_MAX);
	while (n < local.len && strchr(w->rules->delimiters, local.at[n]) == NULL)
		n++;
	if (n > 0 && n < local.len)
		user = bytes_cut(local, 0, n);
#define ASK(form, ...) bytes_of(arena_printf(w->life, form, __VA_ARGS__))
	if ((r = rule_access_key(w, s, whole, true, name, class, &found)) != RULE_DUNNO || found)
		return r;
	if (user.len < local.len &&
	    ((r = rule_access_key(
		      w, s, ASK("%.*s@%.*s", (int)user.len, user.at, (int)domain.len, domain.at),
		      false, name, class, &found)) != RULE_DUNNO ||
	     found))
		return r;
	if ((r = rule_access_host(w, s, domain, false, name, class, &found)) != RULE_DUNNO || found)
		return r;
	r = rule_access_key(w, s, bytes_cut(whole, 0, (size_t)at + 1), false, name, class, &found);
	if (r != RULE_DUNNO || found || user.len == local.len)
		return r;
	return rule_access_key(w, s, ASK("%.*s@", (int)user.len, user.at), false, name, class,
	                       &found);
#undef ASK
}

/* The null sender is asked for as smtpd_null_access_lookup_key says. */
static enum rule_result
check_sender(struct rule_work *w, const struct rule_step *s)
{
	bool found;

	if (!w->facts->has_sender)
		return RULE_DUNNO;
	if (w->facts->sender.len == 0)
		return rule_access_key(w, s, bytes_of(w->rules->null_key), true, w->facts->sender,
		                       rule_class_sender, &found);
	return look_at_address(w, s, rule_meant(w, w->facts->sender_whole),
	                       rule_meant(w, w->facts->sender), rule_class_sender);
}

static enum rule_result
check_recipient(struct rule_work *w, const struct rule_step *s)
{
	if (!w->facts->has_recipient || w->facts->recipient.len == 0)
		return RULE_DUNNO;
	return look_at_address(w, s, rule_meant(w, w->facts->recipient_whole),
	                       rule_meant(w, w->facts->recipient), rule_class_recipient);
}

/* clang-format off */
static const struct rule rows[] = {
	{ .name = "check_client_access",                  .run = check_client,      .takes = TAKES_TABLE },
	{ .name = "check_reverse_client_hostname_access", .run = check_reverse,     .takes = TAKES_TABLE },
	{ .name = "check_helo_access",                    .run = check_helo,        .takes = TAKES_TABLE },
	{ .name = "check_sender_access",                  .run = check_sender,      .takes = TAKES_TABLE },
	{ .name = "check_recipient_access",               .run = check_recipient,   .takes = TAKES_TABLE },
	{ .name = "check_sasl_access",                    .run = check_login,       .takes = TAKES_TABLE },
	{ .name = "check_etrn_access",                    .run = check_etrn,        .takes = TAKES_TABLE },
	{ .name = "check_ccert_access",                   .run = check_certificate, .takes = TAKES_TABLE },
};
/* clang-format on */
const struct rule_rows rule_rows_access = { rows, COUNT(rows) };
