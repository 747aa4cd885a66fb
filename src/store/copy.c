/* copy.c -- messages of one mailbox in another, of the same account or not (store.h) */
#include "store/foreign.h"

#include "base/clock.h"
#include "base/journal.h"
#include "store/digests.h"

#include <errno.h>

/* Keyword sets have other names in another mailbox; what finds no room there is left behind. */
struct translation {
	struct mailbox       *from, *to;
	const struct copy_as *as;
	uint32_t             *name; /* by the name there, ours + 1; NULL: the same */
};

/* The name in `to` of a set of `from`, its keywords made where they are new: each is a fact of its own. */
static uint32_t
translate(const struct translation *t, uint32_t name)
{
	struct keyset set = keysets_at(&t->from->rows.sets, name), out = { { 0 } };

	for (int i = 0; i < t->from->keywords; i++) {
		int there;
		if (!keyset_has(&set, i))
			continue;
		there = mailbox_keyword(t->to, bytes_of(t->from->keyword[i]), true);
		if (there >= 0)
			keyset_add(&out, there - KEYWORD_FIRST);
	}
	return keysets_name(&t->to->rows.sets, &out);
}

/* Every set in use gets its name before the first row is added. */
static void
translate_all(struct translation *t, const struct uid_set *set)
{
	const struct rows *r = &t->from->rows;

	if (t->from == t->to || !t->as->keywords)
		return;
	t->name = memory_take((r->sets.count + 1) * sizeof *t->name);
	for (size_t k = 0; k < set->count; k++)
		for (uint32_t i = rows_first_at_least(r, set->range[k].first);
		     i < r->count && r->uid[i] <= set->range[k].last; i++) {
			uint32_t name = r->flags[i] >> KEYWORD_FIRST;
			if (name != 0 && t->name[name] == 0 && t->to->account->failed == 0)
				t->name[name] = translate(t, name) + 1;
		}
}

static uint64_t
translated(const struct translation *t, uint64_t flags)
{
	uint64_t system = flags & SYSTEM_FLAGS & t->as->keep;
	uint32_t name = (uint32_t)(flags >> KEYWORD_FIRST);

	if (!t->as->keywords || name == 0)
		return system;
	if (t->name != NULL)
		name = t->name[name] - 1;
	return system | (uint64_t)name << KEYWORD_FIRST;
}

/* The row of a message of one account becomes one of another's, too; `size` is as that other has it. */
static int
bring(struct account *from, struct account *to, uint64_t id, uint32_t *size)
{
	struct arena  *scratch = arena_open(NULL);
	struct message m;
	int            why = message_read(to, id, scratch, &m);

	if (why == ENOENT && (why = message_read(from, id, scratch, &m)) == 0) {
		struct arrival v = { .letter = id,
			             .place = m.place,
			             .head = m.head,
			             .prefix_len = m.prefix_len,
			             .size = m.size,
			             .internal_date = m.internal_date,
			             .zone = m.zone,
			             .sent_date = m.sent_date };
		why = message_put(to->index, &v, true);
		text_note(to, v.letter);
		digests_note(to);
	}
	*size = m.size > UINT32_MAX ? UINT32_MAX : (uint32_t)m.size;
	arena_close(&scratch);
	return why;
}

int
mailbox_bring(struct mailbox *from, const struct uid_set *set, struct mailbox *to, uint32_t *after,
              uint32_t most)
{
	const struct rows *r = &from->rows;
	uint32_t           size;
	int                why;

	if (from->gone || to->gone)
		return ENOENT;
	if (to->folder != NULL)
		return 0; /* each is written when it is copied */
	if (from->folder != NULL)
		return EXDEV;
	if ((why = store_room(to->account->store)) != 0 || (why = mailbox_ready(from)) != 0 ||
	    (why = account_change(to->account)) != 0)
		return why;
	for (size_t k = 0; k < set->count; k++) {
		uint32_t low = set->range[k].first > *after ? set->range[k].first : *after + 1;
		for (uint32_t i = rows_first_at_least(r, low);
		     i < r->count && r->uid[i] <= set->range[k].last; i++) {
			if (most-- == 0)
				return EAGAIN;
			if ((why = bring(from->account, to->account, r->message[i], &size)) != 0)
				return account_fail(to->account, why);
			*after = r->uid[i];
		}
	}
	return 0;
}

const struct copy_as copy_all = { .keep = UINT64_MAX, .keywords = true };

/* Where copied uids go, and what of the source they came from. */
struct copying {
	struct uid_list exact, joined;
	uint64_t        bytes, modseq, gone_bytes;
	uint32_t        first, count, saved;
	int             why;
};

static void
copy_rows(const struct translation *t, const struct uid_set *set, struct copying *c)
{
	struct rows *r = &t->from->rows;
	uint32_t     count =
		r->count; /* of what was there before: a copy may go into its own mailbox */
	struct entry e;
	uint64_t     flags;
	uint32_t     size;
	int64_t      last = -2;

	for (size_t k = 0; k < set->count; k++) {
		uint32_t i = rows_first_at_least(r, set->range[k].first);
		for (; i < count && r->uid[i] <= set->range[k].last; i++) {
			uid_list_add(&c->exact, r->uid[i], false);
			uid_list_add(&c->joined, r->uid[i], last == (int64_t)i - 1);
			last = i;
			size = r->size[i];
			c->gone_bytes += size;
			if (t->from->account != t->to->account &&
			    (c->why = bring(t->from->account, t->to->account, r->message[i],
			                    &size)) != 0)
				return;
			flags = t->as->eyes != NULL
			                ? seen_entry(t->as->eyes, mailbox_entry(t->from, i)).flags
			                : r->flags[i];
			c->bytes += size;
			e = (struct entry){ t->to->uidnext++,
				            translated(t, flags),
				            r->message[i],
				            c->modseq,
				            size,
				            c->saved };
			rows_add(&t->to->rows, &e);
			c->count++;
		}
	}
}

static uint64_t
set_size(const struct rows *r, const struct uid_set *set)
{
	uint64_t n = 0;

	for (size_t k = 0; k < set->count; k++) {
		uint32_t first = rows_first_at_least(r, set->range[k].first);
		uint32_t end = set->range[k].last == UINT32_MAX
		                       ? r->count
		                       : rows_first_at_least(r, set->range[k].last + 1);
		n += end > first ? end - first : 0;
	}
	return n;
}

int
mailbox_copy(struct mailbox *from, const struct uid_set *set, struct mailbox *to, bool move,
             struct arena *arena, struct uid_set *source, struct uid_range *made,
             const struct mailbox_watch *by)
{
	return mailbox_copy_as(from, set, to, move, &copy_all, arena, source, made, by);
}

int
mailbox_copy_as(struct mailbox *from, const struct uid_set *set, struct mailbox *to, bool move,
                const struct copy_as *as, struct arena *arena, struct uid_set *source,
                struct uid_range *made, const struct mailbox_watch *by)
{
	struct translation t = { .from = from, .to = to, .as = as };
	struct copying     c = { 0 };
	struct uid_set     told;
	struct uid_range   range;
	uint64_t           count;
	int                why;

	*made = (struct uid_range){ 0, 0 };
	*source = (struct uid_set){ NULL, 0 };
	if ((why = mailbox_ready(from)) != 0)
		return why;
	if ((count = set_size(&from->rows, set)) == 0)
		return from->gone || to->gone ? ENOENT : 0;
	mailbox_pass_promises(to);
	if (count >= UINT32_MAX - to->uidnext)
		return EDQUOT;
	if ((!move && (why = store_room(from->account->store)) != 0) ||
	    (why = mailbox_change(to)) != 0 || (move && (why = mailbox_change(from)) != 0))
		return why;
	INSIDE(!move || from->account == to->account);
	if (to->folder != NULL)
		return folder_copy(from, set, to, move, as, arena, source, made, by);
	if (from->folder != NULL)
		return EXDEV;
	translate_all(&t, set);
	if ((why = to->account->failed) != 0) {
		memory_free(t.name);
		return why;
	}
	c.saved = (uint32_t)clock_wall();
	c.modseq = account_next_modseq(to->account);
	c.first = to->uidnext;
	rows_make_room(&to->rows, (uint32_t)count);
	copy_rows(&t, set, &c);
	memory_free(t.name);
	if ((why = c.why) != 0) {
		uid_list_free(&c.exact);
		uid_list_free(&c.joined);
		return account_fail(to->account, why);
	}
	to->bytes += c.bytes;
	account_uses(to->account, c.count, (int64_t)c.bytes);
	to->highest = c.modseq;
	to->unwritten = c.count;
	to->unwritten_from = from->account == to->account ? from->id : 0;
	if ((why = mailbox_flush(to)) != 0) {
		why = account_fail(to->account, why);
	} else {
		*source = uid_list_keep(&c.exact, arena);
		*made = range = (struct uid_range){ c.first, to->uidnext - 1 };
		told = (struct uid_set){ &range, 1 };
		mailbox_tell(to, MAILBOX_ARRIVED, &told, by);
		if (move)
			why = mailbox_remove(from, &c.exact, &c.joined, c.gone_bytes, by);
	}
	to->unwritten_from = 0;
	uid_list_free(&c.exact);
	uid_list_free(&c.joined);
	return why;
}
