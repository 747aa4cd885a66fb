#include "access/imap/resync.h"

/* Ranges on one VANISHED line; and pairs of numbers and uids that are looked at. */
enum { LINE_RANGES = 500, PAIRS_MOST = 100000 };

static struct uid_set
keep(struct arena *arena, struct ranges *r)
{
	struct uid_range *kept = arena_take_array(arena, r->count + 1, sizeof *kept);
	struct uid_set    set = { kept, r->count };

	for (size_t i = 0; i < r->count; i++)
		kept[i] = r->at[i];
	ranges_free(r);
	return set;
}

struct uid_set
resync_common(struct arena *arena, const struct uid_set *one, const struct uid_set *other)
{
	struct ranges both = { 0 };

	for (size_t i = 0, k = 0; i < one->count && k < other->count;) {
		struct uid_range a = one->range[i], b = other->range[k];
		uint32_t         first = a.first > b.first ? a.first : b.first;
		uint32_t         last = a.last < b.last ? a.last : b.last;
		if (first <= last)
			ranges_add(&both, first, last);
		if (a.last <= b.last)
			i++;
		if (b.last <= a.last)
			k++;
	}
	return keep(arena, &both);
}

struct uid_set
resync_set(struct arena *arena, const struct sequence *sequence)
{
	struct ranges all = { 0 };

	for (size_t i = 0; i < sequence->count; i++) {
		uint32_t a = sequence->range[i].first, b = sequence->range[i].last;
		ranges_add(&all, a < b ? a : b, a < b ? b : a);
	}
	return keep(arena, &all);
}

/* Without history: every uid from `first` on that nobody has any more. */
static struct uid_set
not_there(struct imap *s, uint32_t first)
{
	struct mailbox *m = s->view->mailbox;
	struct ranges   gone = { 0 };
	uint32_t        next = first;

	for (uint32_t i = mailbox_first_at_least(m, first); i < mailbox_count(m); i++) {
		uint32_t uid = mailbox_entry(m, i).uid;
		if (uid > next)
			ranges_add(&gone, next, uid - 1);
		next = uid + 1;
	}
	if (next < s->view->limit)
		ranges_add(&gone, next, s->view->limit - 1);
	return keep(s->scratch, &gone);
}

void
resync_begin(struct imap *s, struct resync *r, uint64_t since, const struct uid_set *known,
             uint32_t sure)
{
	struct mailbox *m = s->view->mailbox;

	*r = (struct resync){ 0 };
	mailbox_changed(m, since, s->scratch, &r->changed);
	if (!mailbox_vanished(m, since, s->scratch, &r->vanished))
		r->vanished = not_there(s, sure + 1);
	if (known == NULL)
		return;
	r->changed = resync_common(s->scratch, &r->changed, known);
	r->vanished = resync_common(s->scratch, &r->vanished, known);
}

/* expunged-resp = "VANISHED" [SP "(EARLIER)"] SP known-uids   rfc7162:7 */
bool
resync_vanished(struct imap *s, struct resync *r)
{
	while (r->told < r->vanished.count) {
		size_t         left = r->vanished.count - r->told;
		struct uid_set some = { r->vanished.range + r->told,
			                left < LINE_RANGES ? left : LINE_RANGES };
		if (imap_full(s))
			return false;
		buffer_add_string(imap_out(s), "* VANISHED (EARLIER) ");
		uid_set_text(&some, imap_out(s));
		buffer_add_string(imap_out(s), "\r\n");
		r->told += some.count;
	}
	return true;
}

/* rfc7162:3.2.5.2: number after number stands beside uid after uid; where the pair is ours too,
   nothing before it was expunged unheard. */
uint32_t
resync_match(struct imap *s, const struct sequence *numbers, const struct sequence *uids)
{
	struct uid_set n = resync_set(s->scratch, numbers), u = resync_set(s->scratch, uids);
	uint32_t       sure = 0;
	size_t         i = 0, k = 0;
	uint32_t       number = n.count > 0 ? n.range[0].first : 0;
	uint32_t       uid = u.count > 0 ? u.range[0].first : 0;

	for (size_t pairs = 0; i < n.count && k < u.count && pairs < PAIRS_MOST; pairs++) {
		if (number > view_count(s->view) || view_uid(s->view, number) != uid)
			break;
		sure = uid;
		if (number++ == n.range[i].last && ++i < n.count)
			number = n.range[i].first;
		if (uid++ == u.range[k].last && ++k < u.count)
			uid = u.range[k].first;
	}
	return sure;
}
