#include "directory/lookup.h"

#include <string.h>

#include "base/map.h"
#include "message/domain.h"

enum { LABELS_MOST = 128, BUCKETS_LEAST = 64 };

/* A question to a remote table; they are in the order they were met. */
struct asked {
	struct asked          *next, *beside; /* of all; in its bucket            */
	uint64_t               hash;
	struct lookup_question question;
};

struct lookups {
	const struct lookup_needs *needs;
	void                      *ctx;
	struct arena              *arena;
	struct asked              *first, **last;
	size_t                     count, waiting;
	struct asked             **bucket; /* a power of two of them           */
	size_t                     buckets;
	struct asked *open, *told; /* none before it waits; the last that lookups_next() gave */
	size_t        open_at, told_at;
};

struct lookups *
lookups_open(const struct lookup_needs *needs, void *ctx, struct arena *arena)
{
	struct lookups *l = arena_take(arena, sizeof *l);

	*l = (struct lookups){ .needs = needs, .ctx = ctx, .arena = arena };
	l->last = &l->first;
	l->buckets = BUCKETS_LEAST;
	l->bucket = arena_take_array(arena, l->buckets, sizeof(struct asked *));
	memset(l->bucket, 0, l->buckets * sizeof(struct asked *));
	return l;
}

/*
 * One question
 */

static uint64_t
question_hash(const char *table, struct bytes key)
{
	return hash_of(key) * 31 + hash_of(bytes_of(table));
}

static struct asked **
bucket_of(const struct lookups *l, uint64_t hash)
{
	return &l->bucket[hash & (l->buckets - 1)];
}

static void
put_in_bucket(struct lookups *l, struct asked *a)
{
	struct asked **at;

	if (l->count >= 2 * l->buckets) {
		l->buckets *= 4;
		l->bucket = arena_take_array(l->arena, l->buckets, sizeof(struct asked *));
		memset(l->bucket, 0, l->buckets * sizeof(struct asked *));
		for (struct asked *old = l->first; old != NULL; old = old->next) {
			at = bucket_of(l, old->hash);
			old->beside = *at;
			*at = old;
		}
	}
	at = bucket_of(l, a->hash);
	a->beside = *at;
	*at = a;
}

static struct asked *
asked_find(const struct lookups *l, const char *table, struct bytes key)
{
	uint64_t hash = question_hash(table, key);

	for (struct asked *a = *bucket_of(l, hash); a != NULL; a = a->beside)
		if (a->hash == hash && bytes_equal(a->question.key, key) &&
		    strcmp(a->question.table, table) == 0)
			return a;
	return NULL;
}

/* What was kept from before is an answer to this work as much as one that comes: asked for again
   in the next pass it is the same. */
static struct asked *
ask(struct lookups *l, const char *table, struct bytes key)
{
	struct asked *a = arena_take(l->arena, sizeof *a);

	a->question = (struct lookup_question){ arena_copy(l->arena, bytes_of(table)),
		                                arena_keep(l->arena, key),
		                                TABLE_WAIT,
		                                { NULL, 0 } };
	if (l->needs->kept != NULL)
		a->question.outcome =
			l->needs->kept(l->ctx, table, key, l->arena, &a->question.value);
	a->next = NULL;
	a->hash = question_hash(table, key);
	put_in_bucket(l, a);
	if (l->open == NULL) {
		l->open = a;
		l->open_at = l->count;
	}
	*l->last = a;
	l->last = &a->next;
	l->count++;
	l->waiting += a->question.outcome == TABLE_WAIT;
	return a;
}

static enum table_outcome
find(struct lookups *l, const char *table, struct bytes key, struct bytes *value)
{
	struct table *local = l->needs->local(l->ctx, table);
	struct asked *a;

	*value = (struct bytes){ NULL, 0 };
	if (local != NULL)
		return table_find(local, key, l->arena, value);
	a = asked_find(l, table, key);
	if (a == NULL && l->count >= LOOKUPS_MOST) {
		*value = BYTES("too many questions to tables for one address");
		return TABLE_LATER;
	}
	if (a == NULL)
		a = ask(l, table, key);
	*value = a->question.value;
	return a->question.outcome;
}

static enum table_outcome
find_and_tell(struct lookups *l, const char *table, struct bytes key, struct bytes *value)
{
	enum table_outcome o = find(l, table, key, value);

	if (l->needs->told != NULL)
		l->needs->told(l->ctx, table, key, o, *value);
	return o;
}

/* The key as people may have typed it, with the U-labels of its domain; false: it has none. */
static bool
in_unicode(struct arena *a, struct bytes key, struct bytes *out)
{
	ptrdiff_t    at = bytes_find_last(key, '@');
	struct bytes domain = bytes_cut(key, (size_t)(at + 1), key.len), unicode;

	if (!domain_is_encoded(domain.len > 0 && domain.at[0] == '.'
	                               ? bytes_cut(domain, 1, domain.len)
	                               : domain))
		return false;
	unicode = domain_unicode(domain, a);
	*out = bytes_of(
		arena_printf(a, "%.*s%.*s", (int)(at + 1), key.at, (int)unicode.len, unicode.at));
	return !bytes_equal(*out, key);
}

enum table_outcome
lookup_find(struct lookups *l, const char *table, struct bytes key, struct bytes *value)
{
	enum table_outcome o = find_and_tell(l, table, key, value);
	struct bytes       other;

	if (o == TABLE_NONE && in_unicode(l->arena, key, &other))
		o = find_and_tell(l, table, other, value);
	return o;
}

size_t
lookups_waiting(const struct lookups *l)
{
	return l->waiting;
}

const struct lookup_question *
lookups_next(struct lookups *l, size_t *place)
{
	struct asked *a;
	size_t        i;

	for (; l->open != NULL && l->open->question.outcome != TABLE_WAIT; l->open_at++)
		l->open = l->open->next;
	a = l->open;
	i = l->open_at;
	if (l->told != NULL && l->told_at >= i && l->told_at < *place) {
		a = l->told;
		i = l->told_at;
	}
	for (; a != NULL; a = a->next, i++)
		if (i >= *place && a->question.outcome == TABLE_WAIT) {
			*place = i + 1;
			l->told = a;
			l->told_at = i;
			return &a->question;
		}
	return NULL;
}

void
lookup_answer(struct lookups *l, const char *table, struct bytes key, enum table_outcome outcome,
              struct bytes value)
{
	struct asked *a = asked_find(l, table, key);

	if (a == NULL || a->question.outcome != TABLE_WAIT || outcome == TABLE_WAIT)
		return;
	a->question.outcome = outcome;
	a->question.value = arena_keep(l->arena, value);
	l->waiting--;
}

/*
 * Keys
 */

static bool
ends_with(struct bytes b, const char *end)
{
	return bytes_ends_nocase(b, bytes_of(end));
}

/* Names that mean something as a whole. */
static bool
stays_whole(struct bytes local, bool owners)
{
	static const char *const names[] = { "postmaster", "mailer-daemon", "double-bounce" };

	for (size_t i = 0; i < COUNT(names); i++)
		if (bytes_is(local, names[i]))
			return true;
	return owners &&
	       (bytes_starts_nocase(local, BYTES("owner-")) || ends_with(local, "-request"));
}

static bool
split(struct bytes local, struct bytes delimiters, bool owners, struct bytes *name,
      struct bytes *extension)
{
	size_t n = 0;

	*name = local;
	*extension = (struct bytes){ NULL, 0 };
	if (delimiters.len == 0 || stays_whole(local, owners))
		return false;
	while (n < local.len && bytes_find(delimiters, local.at[n]) < 0)
		n++;
	if (n == 0 || n == local.len)
		return false;
	*name = bytes_cut(local, 0, n);
	*extension = bytes_cut(local, n, local.len);
	return true;
}

bool
lookup_split(struct bytes local, struct bytes delimiters, struct bytes *name,
             struct bytes *extension)
{
	return split(local, delimiters, bytes_find(delimiters, '-') >= 0, name, extension);
}

struct bytes
lookup_extended(struct arena *arena, struct bytes address, struct bytes extension)
{
	ptrdiff_t at = bytes_find_last(address, '@');
	size_t    n = at < 0 ? address.len : (size_t)at;
	char     *out;

	if (extension.len == 0)
		return address;
	out = arena_take(arena, address.len + extension.len + 1);
	if (n > 0)
		memcpy(out, address.at, n);
	memcpy(out + n, extension.at, extension.len);
	if (address.len > n)
		memcpy(out + n + extension.len, address.at + n, address.len - n);
	return (struct bytes){ out, address.len + extension.len };
}

/* One key to all tables; `whole`: to those with patterns too. */
static enum table_outcome
ask_all(struct lookups *l, const struct setting_list *tables, struct bytes key, bool whole,
        struct bytes *value)
{
	enum table_outcome outcome = TABLE_NONE;

	for (size_t i = 0; i < tables->count && outcome == TABLE_NONE; i++)
		if (whole || !table_is_pattern(tables->item[i], "hash"))
			outcome = lookup_find(l, tables->item[i], key, value);
	return outcome;
}

static struct bytes
joined(struct arena *arena, struct bytes local, const char *between, struct bytes domain)
{
	size_t n = strlen(between);
	char  *out = arena_take(arena, local.len + n + domain.len + 1);

	if (local.len > 0)
		memcpy(out, local.at, local.len);
	memcpy(out + local.len, between, n);
	if (domain.len > 0)
		memcpy(out + local.len + n, domain.at, domain.len);
	return (struct bytes){ out, local.len + n + domain.len };
}

/* What is asked of all tables in turn, until one says something. */
struct search {
	struct lookups            *lookups;
	const struct setting_list *tables;
	struct bytes              *value;
	bool                       asked; /* the first key was */
};

static bool
found(struct search *s, struct bytes key, enum table_outcome *outcome)
{
	*outcome = ask_all(s->lookups, s->tables, key, !s->asked, s->value);
	s->asked = true;
	return *outcome != TABLE_NONE;
}

/* domain, .parent, .grandparent ...; or without their dots. */
static bool
found_domain(struct search *s, struct bytes domain, bool bare_parents, enum table_outcome *outcome)
{
	ptrdiff_t dot;

	if (domain.len == 0)
		return false;
	if (found(s, domain, outcome))
		return true;
	for (int i = 0; i < LABELS_MOST && domain.at[0] != '['; i++) {
		dot = bytes_find(bytes_cut(domain, 1, domain.len), '.');
		if (dot < 0 || (size_t)dot + 2 >= domain.len)
			return false;
		domain = bytes_cut(domain, (size_t)dot + 1, domain.len);
		if (found(s, bytes_cut(domain, bare_parents, domain.len), outcome))
			return true;
	}
	return false;
}

/* The whole of it and, when there is an extension, the same without it. */
static bool
found_both(struct search *s, const struct lookup_key *k, struct bytes name, const char *between,
           struct bytes domain, struct bytes *extension, enum table_outcome *outcome)
{
	struct arena *a = s->lookups->arena;
	struct bytes  behind = *extension;

	*extension = (struct bytes){ NULL, 0 };
	if (found(s, joined(a, k->local, between, domain), outcome))
		return true;
	*extension = behind;
	return behind.len > 0 && found(s, joined(a, name, between, domain), outcome);
}

enum table_outcome
lookup_address(struct lookups *l, const struct setting_list *tables, const struct lookup_key *k,
               struct bytes *value, struct bytes *extension)
{
	struct search      s = { l, tables, value, false };
	struct bytes       name, behind, none = { NULL, 0 };
	enum table_outcome outcome = TABLE_NONE;
	const char        *at = k->domain.len > 0 ? "@" : "";

	(void)split(k->local, k->delimiters,
	            bytes_find(k->delimiters, '-') >= 0 && !k->owners_parted, &name, &behind);
	*extension = behind;
	*value = none;
	if ((k->forms & LOOKUP_FULL) != 0 &&
	    found_both(&s, k, name, at, k->domain, extension, &outcome))
		return outcome;
	*extension = behind;
	if ((k->forms & LOOKUP_LOCAL) != 0 &&
	    found_both(&s, k, name, "", none, extension, &outcome))
		return outcome;
	*extension = none;
	if ((k->forms & LOOKUP_DOMAIN) != 0 && k->domain.len > 0 &&
	    found(&s, joined(l->arena, none, "@", k->domain), &outcome))
		return outcome;
	if ((k->forms & LOOKUP_BARE) != 0 && found_domain(&s, k->domain, k->bare_parents, &outcome))
		return outcome;
	*extension = behind;
	if ((k->forms & LOOKUP_AT) != 0 && found_both(&s, k, name, "@", none, extension, &outcome))
		return outcome;
	*extension = none;
	return TABLE_NONE;
}

bool
lookup_is_here(const struct lookups *l, const char *table)
{
	return l->needs->local(l->ctx, table) != NULL;
}

enum table_outcome
lookup_domain(struct lookups *l, const struct setting_list *tables, struct bytes domain,
              bool bare_parents, struct bytes *value)
{
	struct search      s = { l, tables, value, false };
	enum table_outcome outcome;

	*value = (struct bytes){ NULL, 0 };
	return found_domain(&s, domain, bare_parents, &outcome) ? outcome : TABLE_NONE;
}

/*
 * Lists of patterns
 */

static bool
fits(struct bytes pattern, struct bytes domain, bool bare_parents)
{
	if (bytes_equal_nocase(pattern, domain))
		return true;
	if (pattern.len == 0 || pattern.len >= domain.len || !bytes_ends_nocase(domain, pattern))
		return false;
	return bare_parents ? domain.at[domain.len - pattern.len - 1] == '.' : pattern.at[0] == '.';
}

struct bytes
lookup_pattern(struct lookups *l, const char *pattern)
{
	struct bytes name = bytes_of(pattern), canonical;
	bool         dot = *pattern == '.';

	for (size_t i = 0; i < name.len; i++) {
		if ((unsigned char)name.at[i] < 0x80)
			continue;
		if (!domain_canonical(bytes_cut(name, dot, name.len), l->arena, &canonical))
			return name;
		return bytes_of(arena_printf(l->arena, "%s%.*s", dot ? "." : "", (int)canonical.len,
		                             canonical.at));
	}
	return name;
}

static enum table_outcome match_list(struct lookups *, const struct setting_list *, struct bytes,
                                     bool bare_parents, bool in_file, bool *yes);

/* TABLE_FOUND: this one fits. */
static enum table_outcome
match_one(struct lookups *l, const char *pattern, struct bytes domain, bool bare_parents,
          bool in_file, bool *yes)
{
	const struct setting_list *inside;
	struct bytes               unused;
	bool                       inside_yes;
	enum table_outcome         outcome;

	for (*yes = true; *pattern == '!'; pattern++)
		*yes = !*yes;
	if (*pattern == '/' && !in_file && l->needs->file != NULL) {
		if ((inside = l->needs->file(l->ctx, pattern)) == NULL)
			return TABLE_LATER;
		outcome = match_list(l, inside, domain, bare_parents, true, &inside_yes);
		*yes = *yes == inside_yes;
		return outcome;
	}
	if (!in_file && table_is_name(pattern))
		return lookup_find(l, pattern, domain, &unused);
	return fits(lookup_pattern(l, pattern), domain, bare_parents) ? TABLE_FOUND : TABLE_NONE;
}

static enum table_outcome
match_list(struct lookups *l, const struct setting_list *patterns, struct bytes domain,
           bool bare_parents, bool in_file, bool *yes)
{
	enum table_outcome outcome = TABLE_NONE;

	for (size_t i = 0; i < patterns->count && outcome == TABLE_NONE; i++)
		outcome = match_one(l, patterns->item[i], domain, bare_parents, in_file, yes);
	return outcome;
}

enum table_outcome
lookup_match(struct lookups *l, const struct setting_list *patterns, struct bytes domain,
             bool bare_parents)
{
	bool               yes = false;
	enum table_outcome outcome = match_list(l, patterns, domain, bare_parents, false, &yes);

	return outcome == TABLE_FOUND && !yes ? TABLE_NONE : outcome;
}
