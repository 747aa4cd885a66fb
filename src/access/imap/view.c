#include "access/imap/view.h"

#include <string.h>

#include "base/journal.h"

enum { RANGES_MOST = 4096 };  /* of changed flags, before they are told as one */
enum { VANISH_RANGES = 500 }; /* told in one line */

/* Gone numbers that lie in ranges before the one at `i`, and were not told. */
static uint32_t
gone_before(const struct view *v, size_t i)
{
	return v->gone[i].before - v->gone_told;
}

static uint32_t
gone_left(const struct view *v)
{
	if (v->gone_head == v->gone_count)
		return 0;
	const struct view_gone *last = &v->gone[v->gone_count - 1];
	return last->before + (last->last - last->first + 1) - v->gone_told;
}

/* The first range of `gone` that ends at or after uid. */
static size_t
gone_place(const struct view *v, uint32_t uid)
{
	size_t low = v->gone_head, high = v->gone_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (v->gone[middle].last < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* How many of `gone` are less than uid. */
static uint32_t
gone_below(const struct view *v, uint32_t uid)
{
	size_t i = gone_place(v, uid);

	if (i == v->gone_count)
		return gone_left(v);
	return gone_before(v, i) + (uid > v->gone[i].first ? uid - v->gone[i].first : 0);
}

/* Put the set among `gone`; uids are new there, so ranges never overlap. */
static void
gone_add(struct view *v, const struct uid_set *set)
{
	struct ranges all = { 0 };
	uint32_t      before = 0;

	for (size_t i = v->gone_head; i < v->gone_count; i++)
		ranges_add(&all, v->gone[i].first, v->gone[i].last);
	for (size_t i = 0; i < set->count; i++) {
		uint32_t last = set->range[i].last;
		if (set->range[i].first >= v->limit)
			break;
		ranges_add(&all, set->range[i].first, last < v->limit ? last : v->limit - 1);
	}
	if (all.count > v->gone_room) {
		v->gone_room = all.count;
		v->gone = memory_resize(v->gone, v->gone_room * sizeof *v->gone);
	}
	for (size_t i = 0; i < all.count; i++) {
		v->gone[i] = (struct view_gone){ all.at[i].first, all.at[i].last, before };
		before += all.at[i].last - all.at[i].first + 1;
	}
	v->gone_head = 0;
	v->gone_told = 0;
	v->gone_count = all.count;
	ranges_free(&all);
}

static void
gone_forget(struct view *v)
{
	memory_free(v->gone);
	v->gone = NULL;
	v->gone_head = v->gone_count = v->gone_room = 0;
	v->gone_told = 0;
}

/* What is there below limit, and what is gone, make up what the client counts. */
static bool
view_holds(const struct view *v)
{
	return mailbox_first_at_least(v->mailbox, v->limit) + gone_left(v) == v->count;
}

static void
note_changed(struct ranges *changed, const struct uid_set *set)
{
	ranges_add_set(changed, set);
	if (changed->count > RANGES_MOST) {
		changed->at[0].last = changed->at[changed->count - 1].last;
		changed->count = 1;
	}
}

/* The account was read anew from disk: what nobody made durable is undone.  If
   that leaves the messages the client counts, only flags may differ. */
static void
view_relearn(struct view *v)
{
	struct uid_range      all = { 1, UINT32_MAX };
	struct mailbox_status now;

	gone_forget(v);
	mailbox_facts(v->mailbox, &now);
	if (mailbox_gone(v->mailbox) || now.uidvalidity != v->uidvalidity || !view_holds(v)) {
		v->lost = true;
		return;
	}
	note_changed(&v->changed, &(struct uid_set){ &all, 1 });
	if (v->tracks)
		note_changed(&v->touched, &(struct uid_set){ &all, 1 });
}

static void
view_news(void *ctx, enum mailbox_news what, const struct uid_set *set,
          const struct mailbox_watch *by)
{
	struct view *v = ctx;

	switch (what) {
	case MAILBOX_ARRIVED: v->arrived = true; break;
	case MAILBOX_FLAGS:
		if (by == v->watch ? !v->hush : !v->deaf)
			note_changed(&v->changed, set);
		if (v->tracks)
			note_changed(&v->touched, set);
		break;
	case MAILBOX_EXPUNGED:
		gone_add(v, set);
		if (!view_holds(v))
			v->lost = true;
		break;
	case MAILBOX_LOST: view_relearn(v); break;
	case MAILBOX_RENAMED: break;
	}
	v->news(v->ctx);
}

struct view *
view_open(struct mailbox *mailbox, bool read_only, bool claims, void (*news)(void *ctx), void *ctx)
{
	struct view          *v = memory_take(sizeof *v);
	struct mailbox_status status;

	mailbox_facts(mailbox, &status);
	v->mailbox = mailbox;
	v->read_only = read_only;
	v->claims = claims;
	v->uidvalidity = status.uidvalidity;
	v->limit = status.uidnext;
	v->count = mailbox_count(mailbox);
	v->recent = mailbox_recent(mailbox, claims);
	v->news = news;
	v->ctx = ctx;
	v->watch = mailbox_watch(mailbox, view_news, v);
	return v;
}

void
view_close(struct view **vp)
{
	struct view *v = *vp;

	*vp = NULL;
	if (v == NULL)
		return;
	mailbox_unwatch(&v->watch);
	seen_drop(&v->seen);
	mailbox_drop(&v->mailbox);
	gone_forget(v);
	ranges_free(&v->changed);
	ranges_free(&v->stamped);
	ranges_free(&v->touched);
	memory_free(v->before);
	memory_free(v);
}

int
view_look_as(struct view *v, uint64_t reader)
{
	int why = 0;

	v->seen = seen_take(v->mailbox, reader, &why);
	if (v->seen != NULL)
		mailbox_watch_as(v->watch, v->seen);
	return why;
}

struct entry
view_entry(const struct view *v, uint32_t index)
{
	struct entry e = mailbox_entry(v->mailbox, index);

	return v->seen != NULL ? seen_entry(v->seen, e) : e;
}

int
view_see(struct view *v, const struct uid_set *set, struct arena *arena)
{
	if (v->seen != NULL)
		return seen_change(v->seen, set, true, UINT64_MAX, arena, NULL, v->watch);
	return mailbox_flags(v->mailbox, set, FLAGS_ADD, FLAG_SEEN, UINT64_MAX, arena, NULL,
	                     v->watch);
}

void
view_status(const struct view *v, struct mailbox_status *status)
{
	mailbox_status(v->mailbox, status);
	if (v->seen != NULL)
		seen_count(v->seen, status);
}

uint32_t
view_count(const struct view *v)
{
	return v->count;
}

uint32_t
view_uid(const struct view *v, uint32_t number)
{
	uint32_t before = 0, place = number - 1;
	size_t   low = v->gone_head, high = v->gone_count;

	/* The last gone range whose first uid has a number at or below ours. */
	while (low < high) {
		size_t   middle = low + (high - low) / 2;
		uint32_t first = v->gone[middle].first;
		if (mailbox_first_at_least(v->mailbox, first) + gone_before(v, middle) <= place)
			low = middle + 1;
		else
			high = middle;
	}
	if (low > v->gone_head) {
		const struct view_gone *g = &v->gone[low - 1];
		uint32_t                size = g->last - g->first + 1;
		uint32_t                start =
			mailbox_first_at_least(v->mailbox, g->first) + gone_before(v, low - 1);
		if (place < start + size)
			return g->first + (place - start);
		before = gone_before(v, low - 1) + size;
	}
	return mailbox_entry(v->mailbox, place - before).uid;
}

static bool
is_gone(const struct view *v, uint32_t uid)
{
	size_t i = gone_place(v, uid);
	return i < v->gone_count && v->gone[i].first <= uid;
}

uint32_t
view_number(const struct view *v, uint32_t uid)
{
	if (uid >= v->limit || (mailbox_find(v->mailbox, uid) < 0 && !is_gone(v, uid)))
		return 0;
	return mailbox_first_at_least(v->mailbox, uid) + gone_below(v, uid) + 1;
}

bool
view_find(const struct view *v, uint32_t uid, struct entry *out)
{
	int64_t index = uid < v->limit ? mailbox_find(v->mailbox, uid) : -1;

	if (index < 0)
		return false;
	*out = view_entry(v, (uint32_t)index);
	return true;
}

uint32_t
view_next(const struct view *v, uint32_t uid)
{
	uint32_t next = UINT32_MAX;
	uint32_t index = mailbox_first_at_least(v->mailbox, uid);
	size_t   i = gone_place(v, uid);

	if (index < mailbox_count(v->mailbox))
		next = mailbox_entry(v->mailbox, index).uid;
	if (i < v->gone_count) {
		uint32_t gone = uid > v->gone[i].first ? uid : v->gone[i].first;
		if (gone < next)
			next = gone;
	}
	return next < v->limit ? next : 0;
}

uint32_t
view_last_uid(const struct view *v)
{
	return v->count == 0 ? 0 : view_uid(v, v->count);
}

bool
view_has_gone(const struct view *v, const struct uid_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		size_t place = gone_place(v, set->range[i].first);
		if (place < v->gone_count && v->gone[place].first <= set->range[i].last)
			return true;
	}
	return false;
}

uint32_t
view_expunge_next(struct view *v)
{
	if (gone_left(v) == 0) {
		gone_forget(v);
		return 0;
	}
	struct view_gone *g = &v->gone[v->gone_head];
	uint32_t          number = mailbox_first_at_least(v->mailbox, g->first) + 1;

	/* All that is gone before it has been told: its own first uid is next. */
	v->gone_told++;
	v->count--;
	g->before++;
	if (g->first++ == g->last)
		v->gone_head++;
	return number;
}

bool
view_vanish(struct view *v, struct ranges *out)
{
	for (size_t n = 0; n < VANISH_RANGES && v->gone_head < v->gone_count; n++) {
		const struct view_gone *g = &v->gone[v->gone_head++];
		uint32_t                size = g->last - g->first + 1;
		ranges_add(out, g->first, g->last);
		v->gone_told += size;
		v->count -= size;
	}
	if (v->gone_head == v->gone_count)
		gone_forget(v);
	return out->count > 0;
}

void
view_gone_set(const struct view *v, struct ranges *out)
{
	for (size_t i = v->gone_head; i < v->gone_count; i++)
		ranges_add(out, v->gone[i].first, v->gone[i].last);
}

bool
view_arrive(struct view *v)
{
	struct mailbox_status status;
	uint32_t              count, recent = mailbox_recent(v->mailbox, v->claims);

	v->arrived = false;
	mailbox_facts(v->mailbox, &status);
	/* Where another session came between, we may call its message recent too:
	   rfc3501:2.3.2 prefers that to the opposite. */
	if (v->recent >= v->limit)
		v->recent = recent;
	v->limit = status.uidnext;
	count = mailbox_count(v->mailbox) + gone_left(v);
	if (count == v->count)
		return false;
	v->count = count;
	return true;
}

bool
view_has_news(const struct view *v, bool expunges)
{
	return v->arrived || v->lost || v->changed.count > 0 || v->stamped.count > 0 ||
	       (expunges && gone_left(v) > 0);
}

void
view_hush(struct view *v, bool hush)
{
	v->hush = hush;
}

uint32_t
view_recent_count(const struct view *v)
{
	uint32_t first, end;

	if (v->recent >= v->limit)
		return 0;
	first = mailbox_first_at_least(v->mailbox, v->recent);
	end = mailbox_first_at_least(v->mailbox, v->limit);
	return end > first ? end - first : 0;
}
