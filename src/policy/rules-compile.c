/* rules-compile.c -- lists of rules out of settings */
#include "policy/rule-witness.h"

#include <string.h>

enum { LIST_MOST = 1000, CLASSES_MOST = 1000, CLASSES_DEEP = 100 };

static const struct rule_rows *const kinds[] = {
	&rule_rows_plain,   &rule_rows_helo,   &rule_rows_address,
	&rule_rows_login,   &rule_rows_access, &rule_rows_names,
	&rule_rows_servers, &rule_rows_lists,  &rule_rows_others,
};

static const struct rule *
rule_named(const char *name)
{
	for (size_t k = 0; k < COUNT(kinds); k++)
		for (size_t i = 0; i < kinds[k]->count; i++)
			if (bytes_is(bytes_of(name), kinds[k]->row[i].name))
				return &kinds[k]->row[i];
	return NULL;
}

bool
rule_is(const char *name)
{
	return rule_named(name) != NULL;
}

/* One list being read. */
struct reading {
	struct rules            *rules;
	const struct rule_world *world; /* NULL: what a table said     */
	struct arena            *life;
	const char              *list;     /* its name, for complaints    */
	const char              *standard; /* the rule a bare table means, NULL none */
	unsigned                 deep;
	const char              *wrong;
};

static const struct rule_list *class_named(struct reading *, const char *name);

static bool
wrong(struct reading *r, const char *why)
{
	if (r->wrong == NULL)
		r->wrong = why;
	return false;
}

static bool
is_table(const char *word)
{
	return strchr(word, ':') != NULL;
}

static bool
take_table(struct reading *r, const char *table, struct rule_step *s)
{
	const char *fault;

	if (r->world == NULL)
		return wrong(r,
		             arena_printf(r->life, "%s: a table's answer names no tables", table));
	fault = r->world->table_fault(r->world->ctx, table, r->life);
	if (fault != NULL)
		return wrong(r, arena_printf(r->life, "%s: %s", table, fault));
	s->argument = arena_copy(r->life, bytes_of(table));
	s->pattern = r->world->is_pattern(r->world->ctx, table);
	return true;
}

static bool
take_argument(struct reading *r, const char *word, struct rule_step *s)
{
	const char *why;

	if (s->rule->takes == TAKES_NOTHING)
		return true;
	if (word == NULL)
		return wrong(r, arena_printf(r->life, "%s wants %s behind it", s->name,
		                             s->rule->takes == TAKES_TABLE    ? "a table"
		                             : s->rule->takes == TAKES_NUMBER ? "a number"
		                                                              : "a word"));
	if (s->rule->takes == TAKES_TABLE)
		return take_table(r, word, s);
	s->argument = arena_copy(r->life, bytes_of(word));
	if (s->rule->takes == TAKES_NUMBER &&
	    (!bytes_number(bytes_of(word), &s->number) || s->number > RULE_SLEEP_MOST_S))
		return wrong(r, arena_printf(r->life, "%s %s: write a number from 0 to %d", s->name,
		                             word, RULE_SLEEP_MOST_S));
	why = s->rule->wrong == NULL ? NULL : s->rule->wrong(s->argument, r->life);
	return why == NULL || wrong(r, arena_printf(r->life, "%s %s: %s", s->name, word, why));
}

/* How many letters are alike from either end. */
static size_t
likeness(const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b), least = na < nb ? na : nb, from = 0, to = 0;

	while (from < least && a[from] == b[from])
		from++;
	while (to < least - from && a[na - to - 1] == b[nb - to - 1])
		to++;
	return from + to;
}

static const char *
nearest(const char *name)
{
	const char *best = "reject_unauth_destination";
	size_t      most = 0;

	for (size_t k = 0; k < COUNT(kinds); k++)
		for (size_t i = 0; i < kinds[k]->count; i++) {
			const char *is = kinds[k]->row[i].name;
			size_t      n = likeness(is, name);
			if (n > most) {
				most = n;
				best = is;
			}
		}
	return best;
}

/* Names that look like rules, of places where there are others. */
static const char *
advice(struct arena *life, const char *name)
{
	static const struct {
		const char *name, *instead;
	} known[] = {
		{ "reject_unknown_forward_client_hostname",
		  "Postfix reserves the name and has none either: reject_unknown_client_hostname is for "
		  "names that do not lead back to the client" },
		{ "check_address_map",
		  "it is a word of local_header_rewrite_clients; here write check_client_access" },
		{ "permit_mx_backup_networks",
		  "it is a setting, and the rule is permit_mx_backup" },
		{ "reject_rbl", "write reject_rbl_client with the name of the list" },
	};

	for (size_t i = 0; i < COUNT(known); i++)
		if (bytes_is(bytes_of(name), known[i].name))
			return known[i].instead;
	return arena_printf(life, "one is %s", nearest(name));
}

/* One rule and what it takes off the front of the words. */
static bool
take_step(struct reading *r, const char *const **word, const char *const *end, struct rule_step *s)
{
	const char *name = *(*word)++;
	bool        bare = is_table(name);

	if (bare && r->standard == NULL)
		return wrong(
			r, arena_printf(
				   r->life,
				   "%s: say what is asked for in it, as check_recipient_access %s",
				   name, name));
	if (bare) {
		name = r->standard;
		(*word)--;
	}
	s->name = arena_copy(r->life, bytes_of(name));
	s->argument = "";
	s->rule = rule_named(name);
	if (s->rule == NULL && (s->class = class_named(r, name)) != NULL)
		return true;
	if (s->rule == NULL)
		return wrong(r, arena_printf(r->life, "%s is no rule; %s", name,
		                             advice(r->life, name)));
	if (!take_argument(r, *word < end ? **word : NULL, s))
		return false;
	*word += s->rule->takes != TAKES_NOTHING;
	r->rules->wants_owner = r->rules->wants_owner || s->rule->owner;
	return true;
}

static bool
read_list(struct reading *r, const struct setting_list *words, struct rule_list *out)
{
	const char *const *word = words->item, *const *end = words->item + words->count;
	bool               warn = false;

	out->name = r->list;
	out->step = arena_take_array(r->life, words->count + 1, sizeof *out->step);
	out->count = 0;
	if (words->count > LIST_MOST)
		return wrong(r, "too many words");
	while (word < end) {
		struct rule_step *s = &out->step[out->count];
		if (bytes_is(bytes_of(*word), "warn_if_reject")) {
			warn = true;
			word++;
			continue;
		}
		if (!take_step(r, &word, end, s))
			return false;
		s->warn = warn;
		warn = false;
		out->count++;
	}
	return r->wrong == NULL;
}

static bool
is_class(const struct rules *rules, const char *name)
{
	for (size_t i = 0; i < rules->set.classes.count; i++)
		if (strcmp(rules->set.classes.item[i], name) == 0)
			return true;
	return false;
}

static struct rule_class *
class_known(const struct rules *rules, const char *name)
{
	struct rule_class *c = rules->class;

	while (c != NULL && strcmp(c->list.name, name) != 0)
		c = c->next;
	return c;
}

/* Read when it is first named; one within itself is stopped when it is asked. */
static const struct rule_list *
class_named(struct reading *r, const char *name)
{
	struct rule_class  *c = class_known(r->rules, name);
	struct setting_list words;
	struct reading      inner = *r;

	if (c != NULL)
		return &c->list;
	if (r->world == NULL || !is_class(r->rules, name) || r->deep >= CLASSES_DEEP)
		return NULL;
	c = arena_take(r->rules->life, sizeof *c);
	c->list.name = arena_copy(r->rules->life, bytes_of(name));
	c->next = r->rules->class;
	r->rules->class = c;
	if (!r->world->class_of(r->world->ctx, name, &words)) {
		(void)wrong(r, arena_printf(r->life, "the class %s is nowhere set", name));
		return &c->list;
	}
	inner.list = c->list.name;
	inner.deep++;
	if (!read_list(&inner, &words, &c->list))
		(void)wrong(r, arena_printf(r->life, "class %s: %s", name, inner.wrong));
	return &c->list;
}

const struct rule_list *
rule_list_read(const struct rules *rules, struct bytes text, struct arena *life, const char **why)
{
	struct reading      r = { .life = life, .list = "" };
	struct setting_list words = { NULL, 0 };
	struct rule_list   *out = arena_take(life, sizeof *out);
	const char        **item = arena_take_array(life, text.len / 2 + 2, sizeof *item);
	struct rules        copy = *rules; /* a view: what is there stays as it is */

	r.rules = &copy;
	for (size_t i = 0, from = 0; i <= text.len; i++) {
		if (i < text.len && strchr(", \t\r\n", text.at[i]) == NULL && text.at[i] != '\0')
			continue;
		if (i > from)
			item[words.count++] = arena_copy(life, bytes_cut(text, from, i - from));
		from = i + 1;
	}
	words.item = item;
	if (read_list(&r, &words, out))
		return out;
	*why = r.wrong;
	return NULL;
}

/*
 * All lists of a listener
 */

/* The rule that a table alone stands for. */
static const char *const standards[RULE_STAGES] = {
	[RULE_CLIENT] = "check_client_access",       [RULE_HELO] = "check_helo_access",
	[RULE_SENDER] = "check_sender_access",       [RULE_RELAY] = "check_recipient_access",
	[RULE_RECIPIENT] = "check_recipient_access", [RULE_ETRN] = "check_etrn_access",
};

static bool
is_final(const struct rule_list *l, unsigned deep)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct rule_step *s = &l->step[i];

		if (s->warn)
			continue;
		/* What stands behind it is never asked. */
		if (s->rule != NULL && strcmp(s->rule->name, "permit") == 0 && !s->warn)
			return false;
		if (s->rule != NULL ? s->rule->final
		                    : deep < CLASSES_DEEP && is_final(s->class, deep + 1))
			return true;
	}
	return false;
}

/* Whoever cannot relay must be told so by somebody: else everybody may send everywhere. */
static bool
check_final(const struct rules *rules, struct buffer *errors)
{
	if (is_final(rules->list[RULE_RELAY], 0) || is_final(rules->list[RULE_RECIPIENT], 0))
		return true;
	buffer_add_string(
		errors,
		"smtpd_relay_restrictions: in smtpd_relay_restrictions or smtpd_recipient_restrictions, "
		"specify at least one working instance of: reject_unauth_destination, "
		"defer_unauth_destination, reject, defer, defer_if_permit\n");
	return false;
}

static bool
check_sites(const struct setting_list *sites, struct buffer *errors)
{
	struct rule_site site;
	const char      *why = "";

	for (size_t i = 0; i < sites->count; i++)
		if (!rule_site_parse(bytes_of(sites->item[i]), &site, &why)) {
			buffer_printf(errors, "postscreen_dnsbl_sites: %s: %s\n", sites->item[i],
			              why);
			return false;
		}
	return true;
}

static void
warn_of_rest(const struct rule_list *l, struct buffer *warnings)
{
	for (size_t i = 0; i + 1 < l->count; i++)
		if (l->step[i].rule != NULL && !l->step[i].warn &&
		    (strcmp(l->step[i].rule->name, "permit") == 0 ||
		     strcmp(l->step[i].rule->name, "reject") == 0 ||
		     strcmp(l->step[i].rule->name, "defer") == 0)) {
			buffer_printf(warnings, "%s: %s behind %s is never asked\n", l->name,
			              l->step[i + 1].name, l->step[i].name);
			return;
		}
}

static void
warn_of_old(const struct rule_list *l, struct buffer *warnings)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->step[i].rule != NULL && l->step[i].rule->doubt != NULL)
			buffer_printf(warnings, "%s: %s: %s\n", l->name, l->step[i].name,
			              l->step[i].rule->doubt);
}

static struct setting_list
copy_list(struct arena *a, const struct setting_list *list)
{
	const char **item = arena_take_array(a, list->count + 1, sizeof *item);

	for (size_t i = 0; i < list->count; i++)
		item[i] = arena_copy(a, bytes_of(list->item[i]));
	return (struct setting_list){ item, list->count };
}

/* What lies behind the pointers may go with the settings. */
static void
keep_witness(struct arena *a, struct witness_settings *w)
{
	const char **const texts[] = {
		&w->sender_reason, &w->recipient_reason,       &w->rbl_reply,
		&w->grey_text,     &w->service.default_action, &w->service.policy_context,
		&w->verify_map,    &w->verify_sender,          &w->myhostname,
		&w->myorigin,
	};
	struct setting_list *const lists[] = {
		&w->rbl_domains,     &w->score_sites,      &w->score_replies,  &w->rbl_reply_maps,
		&w->backup_networks, &w->proxy_interfaces, &w->verify_domains, &w->grey_clients,
		&w->grey_recipients, &w->dns_filter,
	};

	for (size_t i = 0; i < COUNT(texts); i++)
		*texts[i] = arena_copy(a, bytes_of(*texts[i]));
	for (size_t i = 0; i < COUNT(lists); i++)
		*lists[i] = copy_list(a, lists[i]);
}

static bool
read_stage(struct rules *rules, const struct rule_world *world, enum rule_stage stage,
           struct buffer *errors, struct buffer *warnings)
{
	struct reading    r = { .rules = rules,
		                .world = world,
		                .life = rules->life,
		                .list = rule_list_names[stage],
		                .standard = standards[stage] };
	struct rule_list *l = arena_take(rules->life, sizeof *l);

	rules->list[stage] = l;
	if (read_list(&r, &rules->set.list[stage], l)) {
		warn_of_rest(l, warnings);
		warn_of_old(l, warnings);
		return true;
	}
	l->count = 0;
	buffer_printf(errors, "%s: %s\n", r.list, r.wrong);
	return false;
}

struct rules *
rules_compile(const struct policy_settings *set, const struct rule_world *world,
              struct buffer *errors, struct buffer *warnings)
{
	struct arena *life = arena_open(NULL);
	struct rules *rules = arena_take(life, sizeof *rules);
	bool          good = true;

	rules->users = 1;
	rules->life = life;
	rules->set = *set;
	rules->lmtp = world->lmtp;
	rules->bare_parents = world->bare_parents;
	rules->delimiters = arena_copy(life, bytes_of(world->delimiters));
	rules->null_key = arena_copy(life, bytes_of(set->null_key));
	for (size_t i = 0; i < POLICY_LISTS; i++)
		rules->set.list[i] = copy_list(life, &set->list[i]);
	rules->set.classes = copy_list(life, &set->classes);
	rules->set.client_certs = copy_list(life, &set->client_certs);
	rules->set.permit_log = copy_list(life, &set->permit_log);
	keep_witness(life, &rules->set.witness);
	for (enum rule_stage i = 0; i < RULE_STAGES; i++)
		good = read_stage(rules, world, i, errors, warnings) && good;
	/* Access tables may name classes that no list does. */
	for (size_t i = 0; good && i < set->classes.count; i++) {
		struct reading r = { .rules = rules,
			             .world = world,
			             .life = life,
			             .list = "smtpd_restriction_classes" };
		(void)class_named(&r, set->classes.item[i]);
		if (r.wrong != NULL)
			buffer_printf(errors, "%s: %s\n", r.list, r.wrong);
		good = r.wrong == NULL;
	}
	if (good && check_sites(&rules->set.witness.score_sites, errors) &&
	    check_final(rules, errors))
		return rules;
	arena_close(&life);
	return NULL;
}

struct rules *
rules_take(struct rules *rules)
{
	if (rules != NULL)
		rules->users++;
	return rules;
}

void
rules_drop(struct rules **rp)
{
	struct rules *rules = *rp;
	struct arena *life;

	*rp = NULL;
	if (rules == NULL || --rules->users > 0)
		return;
	life = rules->life;
	arena_close(&life);
}

const struct policy_settings *
rules_settings(const struct rules *rules)
{
	return &rules->set;
}

bool
rules_want_owner(const struct rules *rules, const struct rule_facts *f)
{
	enum policy_sender_check check = (enum policy_sender_check)rules->set.sender_check;

	if (f->sender_whole.len == 0 || rules->lmtp)
		return false;
	if (rules->wants_owner ||
	    (f->user.len > 0 && check != LOGIN_UNCHECKED && check != LOGIN_OF_STRANGERS))
		return true;
	return f->user.len == 0 && check > LOGIN_OF_USERS && !f->trusted;
}

bool
rules_score_first(const struct policy_settings *set)
{
	return set->witness.score_action == SCORE_DROP || set->witness.score_allow < 0;
}

bool
rules_have(const struct rules *rules, enum rule_moment moment)
{
	const struct policy_settings *set = &rules->set;

	switch (moment) {
	case AT_CONNECT:
		return (!set->delay && rules->list[RULE_CLIENT]->count > 0) ||
		       (set->witness.score_sites.count > 0 && rules_score_first(set));
	case AT_HELO: return !set->delay && rules->list[RULE_HELO]->count > 0;
	case AT_MAIL:
		return !set->delay &&
		       (rules->list[RULE_SENDER]->count > 0 || set->unlisted_sender ||
		        set->sender_check != LOGIN_UNCHECKED);
	case AT_DATA: return rules->list[RULE_DATA]->count > 0;
	case AT_END: return rules->list[RULE_END_OF_DATA]->count > 0;
	default: return true;
	}
}
