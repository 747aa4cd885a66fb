/* keyword.c -- the keywords of a mailbox, and sets of them in words of flags (store.h) */
#include "store/inside.h"

#include "base/journal.h"

#include <string.h>

enum { KEYWORD_LEN_MOST = 64 };

void
mailbox_keyword_add(struct mailbox *m, struct bytes name)
{
	char *copy = memory_take(name.len + 1);

	if (name.len > 0)
		memcpy(copy, name.at, name.len);
	m->keyword[m->keywords++] = copy;
}

int
mailbox_keyword(struct mailbox *m, struct bytes name, bool create)
{
	struct buffer data = { 0 };

	for (int i = 0; i < m->keywords; i++)
		if (bytes_is(name, m->keyword[i]))
			return KEYWORD_FIRST + i;
	if (!create || m->keywords == KEYWORDS_MOST || name.len == 0 ||
	    name.len > KEYWORD_LEN_MOST || bytes_find(name, '\0') >= 0 || mailbox_change(m) != 0)
		return -1;
	fact_keyword(&data, KEYWORD_FIRST + m->keywords, name);
	if (mailbox_put_fact(m, account_next_modseq(m->account), FACT_KEYWORD, &data) != 0)
		return -1;
	mailbox_keyword_add(m, name);
	return KEYWORD_FIRST + m->keywords - 1;
}

const char *
mailbox_keyword_name(const struct mailbox *m, int keyword)
{
	return keyword >= KEYWORD_FIRST && keyword < KEYWORD_FIRST + m->keywords
	               ? m->keyword[keyword - KEYWORD_FIRST]
	               : NULL;
}

static struct keyset
set_of(const struct keysets *sets, uint64_t flags)
{
	return keysets_at(sets, (uint32_t)(flags >> KEYWORD_FIRST));
}

static uint64_t
word_of(struct keysets *sets, uint64_t system, const struct keyset *set)
{
	return (system & SYSTEM_FLAGS) | (uint64_t)keysets_name(sets, set) << KEYWORD_FIRST;
}

uint64_t
mailbox_flags_with(struct mailbox *m, uint64_t flags, int keyword)
{
	struct keyset set = set_of(&m->rows.sets, flags);

	INSIDE(keyword >= KEYWORD_FIRST && keyword < KEYWORD_FIRST + KEYWORDS_MOST);
	keyset_add(&set, keyword - KEYWORD_FIRST);
	return word_of(&m->rows.sets, flags, &set);
}

bool
mailbox_flags_have(const struct mailbox *m, uint64_t flags, int keyword)
{
	struct keyset set = set_of(&m->rows.sets, flags);

	return flags >> KEYWORD_FIRST != 0 && keyset_has(&set, keyword - KEYWORD_FIRST);
}

/* Most messages have no keywords and most changes touch none. */
uint64_t
flags_after(struct keysets *sets, uint64_t before, enum flags_how how, uint64_t flags)
{
	struct keyset one, other;
	uint64_t      system = how == FLAGS_ADD ? before | flags : before & ~flags;

	if (how == FLAGS_SET)
		return flags;
	if (flags >> KEYWORD_FIRST == 0)
		return (before & ~(uint64_t)SYSTEM_FLAGS) | (system & SYSTEM_FLAGS);
	one = set_of(sets, before);
	other = set_of(sets, flags);
	one = how == FLAGS_ADD ? keyset_both(&one, &other) : keyset_less(&one, &other);
	return word_of(sets, system, &one);
}
