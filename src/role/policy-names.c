#include "role/policy-names.h"

#include <string.h>

#include "base/journal.h"
#include "base/map.h"
#include "policy/dnsfilter.h"
#include "policy/witness.h"
#include "role/enquiry.h"
#include "role/names.h"
#include "role/policy.h"

enum { LISTS_MOST = 256 };

/* How a list has behaved. */
struct list {
	char   *name;
	int64_t failures;   /* one after the other                               */
	int64_t until;      /* rests until then, 0 not                           */
	bool    in_silence; /* nothing else was answered either when it began    */
	bool    tried;      /* a question is out while it rests                  */
};
struct policy_names {
	struct house                *house;
	struct resolver             *resolver; /* NULL: no names are asked        */
	struct policy_names_patience patience;
	struct map                  *lists; /* name -> struct list                */
	struct policy_name_question *first;
	int64_t                      heard; /* when anything was answered last    */
};
/* What a table that is elsewhere has for a record. */
struct line_asked {
	struct enquiry               enquiry; /* first */
	struct line_asked           *next;
	struct policy_name_question *of;
	const char                  *table;
	struct bytes                 line, value;
	enum table_outcome           outcome; /* WAIT: it is asked */
};
struct policy_name_question {
	struct policy_name_question *next, **at;
	struct policy_names         *names;
	struct lookup                lookup;
	struct list                 *list;
	struct timer                *timer; /* of a list's                        */
	uint16_t                     type;
	const struct setting_list   *filter; /* NULL: none                    */
	struct arena                *life; /* of the answer while it is filtered; NULL: it is not */
	struct answer                said;
	struct line_asked           *lines;
	size_t                       waiting;
	int64_t                      since;
	policy_names_answered       *answered;
	void                        *ctx;
};

/*
 * Lists
 */

static struct list *
list_of(struct policy_names *n, const char *name)
{
	struct list *l = map_get(n->lists, bytes_of(name));

	if (l != NULL || map_count(n->lists) >= LISTS_MOST)
		return l;
	l = memory_take(sizeof *l);
	l->name = memory_take(strlen(name) + 1);
	memcpy(l->name, name, strlen(name) + 1);
	(void)map_put(n->lists, bytes_of(name), l);
	return l;
}

static bool
is_resting(struct policy_names *n, struct list *l)
{
	if (l == NULL || l->until == 0 || n->patience.failures == 0)
		return false;
	if (l->tried || loop_now_ms(n->house->loop) < l->until)
		return true;
	l->tried = true;
	return false;
}

/* Something is answered: what seemed silent when all was may be asked. */
static void
wake_lists(struct policy_names *n)
{
	for (struct map_place p = { 0 }; map_next(n->lists, &p);) {
		struct list *l = p.value;
		if (!l->in_silence)
			continue;
		l->until = 0;
		l->failures = 0;
		l->in_silence = false;
	}
}

static void
list_failed(struct policy_names *n, struct list *l, int64_t since, const char *why)
{
	bool rested = l->until != 0;

	l->tried = false;
	if (++l->failures < n->patience.failures || n->patience.failures == 0)
		return;
	l->until = loop_now_ms(n->house->loop) + n->patience.rest;
	l->in_silence = n->heard < since;
	if (!rested)
		warn_("dnsbl %s: %lld questions failed one after the other (%s): it is not asked for "
		      "%lld seconds, and knows nobody",
		      l->name, (long long)l->failures, why, (long long)(n->patience.rest / 1000));
}

static void
list_answered(struct list *l)
{
	if (l->until != 0)
		note("dnsbl %s: answers again", l->name);
	l->failures = l->until = 0;
	l->tried = l->in_silence = false;
}

/*
 * Questions
 */

static void
question_end(struct policy_name_question *q)
{
	for (struct line_asked *l = q->lines; l != NULL; l = l->next)
		if (l->outcome == TABLE_WAIT)
			enquiry_drop(policy_of(q->names->house)->enquiries, &l->enquiry);
	arena_close(&q->life);
	lookup_clear(&q->lookup);
	timer_close(&q->timer);
	*q->at = q->next;
	if (q->next != NULL)
		q->next->at = q->at;
	memory_free(q);
}

static void filter(struct policy_name_question *);

static void
line_heard(struct enquiry *e, enum table_outcome outcome, struct bytes value)
{
	struct line_asked           *l = (struct line_asked *)e;
	struct policy_name_question *q = l->of;

	l->outcome = outcome;
	l->value = arena_keep(q->life, value);
	if (--q->waiting == 0)
		filter(q);
}

static enum table_outcome
ask_line(struct policy_name_question *q, const char *table, struct bytes line, struct bytes *value)
{
	struct enquiries  *all = policy_of(q->names->house)->enquiries;
	struct line_asked *l = q->lines;

	while (l != NULL && !(bytes_equal(l->line, line) && strcmp(l->table, table) == 0))
		l = l->next;
	if (l != NULL) {
		*value = l->value;
		return l->outcome;
	}
	l = arena_take(q->life, sizeof *l);
	*l = (struct line_asked){ .enquiry = { .answered = line_heard },
		                  .next = q->lines,
		                  .of = q,
		                  .table = arena_copy(q->life, bytes_of(table)),
		                  .line = arena_keep(q->life, line) };
	q->lines = l;
	l->outcome = enquiry_kept(all, l->table, l->line, q->life, &l->value);
	*value = l->value;
	if (l->outcome == TABLE_WAIT) {
		q->waiting++;
		enquiry_ask(all, &l->enquiry, l->table, l->line);
	}
	return l->outcome;
}

/* The first table that has the line decides. */
static enum dnsfilter_found
find_line(void *ctx, struct bytes line, struct arena *a, struct bytes *value)
{
	static const enum dnsfilter_found of[] = { [TABLE_FOUND] = DNSFILTER_FOUND,
		                                   [TABLE_LATER] = DNSFILTER_LATER,
		                                   [TABLE_WAIT] = DNSFILTER_WAIT };
	struct policy_name_question      *q = ctx;
	struct house                     *h = q->names->house;
	const struct setting_list        *tables = q->filter;

	for (size_t i = 0; i < tables->count; i++) {
		const char        *name = tables->item[i];
		struct table      *t = tables_local(policy_of(h)->tables, name);
		enum table_outcome o = TABLE_LATER;

		if (t != NULL)
			o = table_find(t, line, a, value);
		else if (table_is_remote(name, tables_default_type(h->settings)))
			o = ask_line(q, name, line, value);
		if (o != TABLE_NONE)
			return of[o];
	}
	return DNSFILTER_NONE;
}

/* A name of which all is left out is there; a list that says nothing knows nobody. */
static void
finish(struct policy_name_question *q, const struct answer *a)
{
	static const enum policy_names_outcome of[] = {
		[ANSWER_FOUND] = POLICY_NAME_FOUND,
		[ANSWER_NO_RECORD] = POLICY_NAME_NONE,
		[ANSWER_NO_NAME] = POLICY_NAME_NONE,
		[ANSWER_LATER] = POLICY_NAME_LATER,
	};
	struct buffer text = { 0 };
	bool          nothing = a->status == ANSWER_FOUND && a->records == 0 &&
	               (q->list != NULL || q->type == DNS_TXT);

	witness_text(a, q->type, &text);
	q->answered(q->ctx, nothing ? POLICY_NAME_NONE : of[a->status], buffer_bytes(&text));
	buffer_free(&text);
	question_end(q);
}

/* When all is known of its records. */
static void
filter(struct policy_name_question *q)
{
	struct answer left;

	if (dnsfilter_apply("smtpd_dns_reply_filter", &q->said, q->type, find_line, q, q->life,
	                    &left))
		finish(q, &left);
}

static void
tell(struct policy_name_question *q, const struct answer *a)
{
	struct policy_names *n = q->names;

	timer_close(&q->timer);
	if (a->status != ANSWER_LATER) {
		n->heard = loop_now_ms(n->house->loop);
		wake_lists(n);
	}
	if (q->list != NULL && a->status == ANSWER_LATER)
		list_failed(n, q->list, q->since, a->why);
	else if (q->list != NULL)
		list_answered(q->list);
	if (q->filter == NULL || q->filter->count == 0 || a->status != ANSWER_FOUND) {
		finish(q, a);
		return;
	}
	q->life = arena_open(NULL);
	q->said = answer_keep(q->life, a);
	filter(q);
}

static void
looked(void *ctx, const struct answer *a)
{
	tell(ctx, a);
}

static void
too_late(void *ctx)
{
	static const struct answer late = { .status = ANSWER_LATER, .why = "no answer in time" };

	tell(ctx, &late);
}

struct policy_name_question *
policy_names_ask(struct policy_names *n, const struct setting_list *tables, const char *what,
                 struct bytes name, policy_names_answered *answered, void *ctx)
{
	bool         filtered = *what != '+';
	const char  *blank = strchr(what += !filtered, ' ');
	struct bytes type =
		bytes_cut(bytes_of(what), 0, blank == NULL ? SIZE_MAX : (size_t)(blank - what));
	struct list                 *list = blank == NULL ? NULL : list_of(n, blank + 1);
	struct policy_name_question *q;
	char                         word[8];

	if (n->resolver == NULL) {
		answered(ctx, POLICY_NAME_LATER, BYTES("no resolver is set"));
		return NULL;
	}
	if (is_resting(n, list)) {
		answered(ctx, POLICY_NAME_LATER, bytes_of(witness_resting));
		return NULL;
	}
	q = memory_take(sizeof *q);
	*q = (struct policy_name_question){ .next = n->first,
		                            .at = &n->first,
		                            .names = n,
		                            .lookup = { .answered = looked, .ctx = q },
		                            .list = list,
		                            .filter = filtered ? tables : NULL,
		                            .since = loop_now_ms(n->house->loop),
		                            .answered = answered,
		                            .ctx = ctx };
	if (n->first != NULL)
		n->first->at = &q->next;
	n->first = q;
	q->type = bytes_string(type, word, sizeof word) ? witness_type(word) : 0;
	if (list != NULL) {
		q->timer = timer_open(n->house->loop, too_late, q);
		timer_set(q->timer, n->patience.timeout);
	}
	resolver_ask(n->resolver, &q->lookup, name, q->type);
	return q;
}

void
policy_names_drop(struct policy_name_question **qp)
{
	struct policy_name_question *q = *qp;

	*qp = NULL;
	if (q == NULL)
		return;
	if (q->list != NULL)
		q->list->tried = false;
	question_end(q);
}

/*
 * The day
 */

struct policy_names *
policy_names_open(struct house *h, const struct policy_names_patience *patience)
{
	struct policy_names *n = memory_take(sizeof *n);

	n->house = h;
	n->patience = *patience;
	n->lists = map_open();
	n->resolver = house_resolver(h);
	return n;
}

static void
answer_all(struct policy_names *n)
{
	static const struct answer later = { .status = ANSWER_LATER,
		                             .why = "the settings are new" };

	while (n->first != NULL) {
		n->first->list = NULL;
		tell(n->first, &later);
	}
}

void
policy_names_reload(struct policy_names *n, const struct policy_names_patience *patience)
{
	n->patience = *patience;
	answer_all(n);
	resolver_close(&n->resolver);
	n->resolver = house_resolver(n->house);
	for (struct map_place p = { 0 }; map_next(n->lists, &p);) {
		struct list *l = p.value;
		(void)map_drop(n->lists, p.key);
		memory_free(l->name);
		memory_free(l);
	}
}

void
policy_names_close(struct policy_names **np)
{
	struct policy_names *n = *np;

	*np = NULL;
	if (n == NULL)
		return;
	while (n->first != NULL)
		question_end(n->first);
	for (struct map_place p = { 0 }; map_next(n->lists, &p);) {
		struct list *l = p.value;
		memory_free(l->name);
		memory_free(l);
	}
	map_close(&n->lists);
	resolver_close(&n->resolver);
	memory_free(n);
}

void
policy_names_status(const struct policy_names *n, struct buffer *out)
{
	size_t resting = 0;

	for (struct map_place p = { 0 }; map_next(n->lists, &p);)
		resting += ((const struct list *)p.value)->until != 0;
	buffer_printf(out, "lists=%zu resting=%zu", map_count(n->lists), resting);
}
