/* queue-choice -- which letters a command of the queue means: ids and filters */
#include "base/arena.h"
#include "role/queue.h"
#include <string.h>

/* clang-format off */
const char *const queue_state_names[RECIPIENT_STATES] = {
	[RECIPIENT_NEW] = "new", [RECIPIENT_WAITING] = "deferred", [RECIPIENT_TRYING] = "active",
	[RECIPIENT_HELD] = "hold", [RECIPIENT_DONE] = "done",
};
/* clang-format on */

/* "*" and "?", in any case. */
bool
queue_mask_fits(struct bytes mask, struct bytes name)
{
	size_t m = 0, n = 0, star = SIZE_MAX, from = 0;

	while (n < name.len) {
		if (m < mask.len && mask.at[m] == '*') {
			star = m++;
			from = n;
		} else if (m < mask.len && (mask.at[m] == '?' ||
		                            ascii_lower(mask.at[m]) == ascii_lower(name.at[n]))) {
			m++;
			n++;
		} else if (star != SIZE_MAX) {
			m = star + 1;
			n = ++from;
		} else {
			return false;
		}
	}
	while (m < mask.len && mask.at[m] == '*')
		m++;
	return m == mask.len;
}

/* ---- a choice is read ---------------------------------------------------------------------- */

/* "90", "15m", "-2d": so many units; true for a sign in front. */
static bool
read_amount(const char *text, const char *units, const uint64_t *worth, bool *less, uint64_t *out)
{
	struct bytes t = bytes_of(text);
	const char  *unit;
	uint64_t     n;

	*less = t.len > 0 && t.at[0] == '-';
	if (t.len > 0 && (t.at[0] == '-' || t.at[0] == '+'))
		t = bytes_cut(t, 1, t.len);
	unit = t.len > 0 ? strchr(units, ascii_lower(t.at[t.len - 1])) : NULL;
	if (unit != NULL)
		t.len--;
	if (!bytes_number(t, &n) || n > INT64_MAX / 10000000000)
		return false;
	*out = n * (unit != NULL ? worth[unit - units] : 1);
	return true;
}

static bool
set_age(struct queue_choice *c, const char *value)
{
	static const uint64_t seconds[] = { 1, 60, 3600, 86400, 604800 };
	uint64_t              n;
	bool                  less;

	if (!read_amount(value, "smhdw", seconds, &less, &n))
		return false;
	*(less ? &c->age_most_s : &c->age_least_s) = (int64_t)n;
	return true;
}

static bool
set_size(struct queue_choice *c, const char *value)
{
	static const uint64_t bytes[] = { 1, 1 << 10, 1 << 20, 1 << 30 };
	uint64_t              n;
	bool                  less;

	if (!read_amount(value, "bkmg", bytes, &less, &n))
		return false;
	*(less ? &c->size_most : &c->size_least) = n;
	return true;
}

/* "incoming" is Postfix's word for what is new. */
static bool
set_state(struct queue_choice *c, const char *value)
{
	struct bytes rest = bytes_of(value), word;

	while (bytes_split(&rest, ',', &word)) {
		bool known = false;

		for (int i = 0; i < RECIPIENT_DONE; i++)
			if (bytes_is(word, queue_state_names[i]) ||
			    (i == RECIPIENT_NEW && bytes_is(word, "incoming"))) {
				c->states |= 1U << i;
				known = true;
			}
		if (!known)
			return false;
	}
	return true;
}

static bool
set_sender(struct queue_choice *c, const char *value)
{
	c->sender = value;
	return true;
}

static bool
set_recipient(struct queue_choice *c, const char *value)
{
	c->recipient = value;
	return true;
}

static bool
set_domain(struct queue_choice *c, const char *value)
{
	c->domain = value;
	return true;
}

static bool
set_reason(struct queue_choice *c, const char *value)
{
	c->reason = value;
	return true;
}

static bool
set_route(struct queue_choice *c, const char *value)
{
	c->route = value;
	return true;
}

/* clang-format off */
static const struct { const char *name; bool (*set)(struct queue_choice *, const char *); const char *right; } filters[] = {
	{ "--sender",    set_sender,    "" },
	{ "--recipient", set_recipient, "" },
	{ "--domain",    set_domain,    "" },
	{ "--age",       set_age,       "15m, 2h or 5d for older letters, -15m for younger ones" },
	{ "--size",      set_size,      "10k or 2m for larger letters, -10k for smaller ones" },
	{ "--state",     set_state,     "new, active, deferred, hold, or some of them with commas" },
	{ "--reason",    set_reason,    "" },
	{ "--to",        set_route,     "" },
};
/* clang-format on */

/* The filter a word names: "--age", or "--age=2h" with its value behind; COUNT(filters) none. */
static size_t
filter_named(const char *word, const char **value)
{
	struct bytes rest = bytes_of(word), name;
	size_t       f = 0;

	(void)bytes_split(&rest, '=', &name);
	while (f < COUNT(filters) && !bytes_equal(bytes_of(filters[f].name), name))
		f++;
	*value = name.len < strlen(word) ? word + name.len + 1 : NULL;
	return f;
}

static bool
complain_of(struct caller *caller, const char *name, const char *right)
{
	caller_complain(caller, "%s wants a value%s%s\n", name, *right != '\0' ? ": " : "", right);
	return false;
}

/* In any order: "delete ID --dry-run" deletes nothing, either. */
bool
queue_choice_read(struct caller *caller, const struct word_ask *w, struct arena *life,
                  struct queue_choice *c)
{
	const char **ids = arena_take_array(life, w->argc + 1, sizeof *ids);

	*c = (struct queue_choice){ .id = ids, .age_most_s = INT64_MAX, .size_most = UINT64_MAX };
	for (uint32_t i = 2; i < w->argc; i++) {
		const char *word = w->argv[i], *value;
		size_t      f = filter_named(word, &value);

		if (strcmp(word, "--dry-run") == 0) {
			c->dry = true;
		} else if (f < COUNT(filters)) {
			if (value == NULL && i + 1 < w->argc)
				value = w->argv[++i];
			if (value == NULL || !filters[f].set(c, value))
				return complain_of(caller, filters[f].name, filters[f].right);
			c->filtered |= filters[f].set != set_route;
		} else if (strncmp(word, "--", 2) == 0) {
			caller_complain(caller, "%s is no filter\n", word);
			return false;
		} else {
			ids[c->ids++] = word;
		}
	}
	return true;
}

/* ---- and asked ------------------------------------------------------------------------------- */

static struct bytes
domain_of(const char *address)
{
	struct bytes a = bytes_of(address);
	ptrdiff_t    at = bytes_find_last(a, '@');

	return at < 0 ? a : bytes_cut(a, (size_t)(at + 1), a.len);
}

/* "example.com", or ".example.com" for all that are below. */
static bool
domain_fits(const char *domain, const char *address)
{
	struct bytes d = bytes_of(domain), has = domain_of(address);

	if (d.len > 0 && d.at[0] == '.')
		return bytes_ends_nocase(has, d);
	return queue_mask_fits(d, has);
}

bool
queue_choice_letter(const struct queue_choice *c, const struct letter *l)
{
	int64_t age_s = (queue_now_ms() - l->arrived_us / 1000) / 1000;

	if (age_s < 0)
		age_s = 0; /* the clock was set back: it is there all the same */

	if (age_s < c->age_least_s || age_s > c->age_most_s || l->content_len < c->size_least ||
	    l->content_len > c->size_most)
		return false;
	if (c->sender == NULL)
		return true;
	return queue_mask_fits(bytes_of(strcmp(c->sender, "<>") == 0 ? "" : c->sender),
	                       bytes_of(l->sender));
}

bool
queue_choice_recipient(const struct queue_choice *c, const struct recipient *r)
{
	if (r->state == RECIPIENT_DONE || (c->states != 0 && (c->states & 1U << r->state) == 0))
		return false;
	if (c->recipient != NULL &&
	    !queue_mask_fits(bytes_of(c->recipient), bytes_of(r->address)) &&
	    !queue_mask_fits(bytes_of(c->recipient), bytes_of(r->original)))
		return false;
	if (c->domain != NULL && !domain_fits(c->domain, r->address))
		return false;
	return c->reason == NULL ||
	       (strchr(c->reason, '*') != NULL
	                ? queue_mask_fits(bytes_of(c->reason), bytes_of(r->text))
	                : bytes_search_nocase(bytes_of(r->text), bytes_of(c->reason)) >= 0);
}
