/* What an account may send in an hour and a day: past it letters are taken and held, and the postmaster hears of it once */
#include "smtp/receiver/session_inner.h"

#include <string.h>

#include "base/journal.h"
#include "message/envelope.h"

/* "100/1000": to so many recipients in an hour and in a day; 0: to any number. */
bool
spending_parse(struct bytes text, struct spending *out)
{
	struct bytes hour;
	uint64_t     n[2];

	if (!bytes_split(&text, '/', &hour) || !bytes_number(hour, &n[0]) ||
	    !bytes_number(text, &n[1]) || n[0] > INT32_MAX || n[1] > INT32_MAX)
		return false;
	*out = (struct spending){ (int64_t)n[0], (int64_t)n[1] };
	return true;
}

/* "jack@example.com=100/1000", or "@example.com=..." for all of a domain. */
bool
spending_entry(struct bytes text, struct bytes *who, struct spending *out)
{
	ptrdiff_t equals = bytes_find_last(text, '=');

	if (equals < 1)
		return false;
	*who = bytes_cut(text, 0, (size_t)equals);
	return spending_parse(bytes_cut(text, (size_t)equals + 1, text.len), out);
}

static struct spending
limits_of(const struct session *s)
{
	const struct receiver_settings *set = &s->config->set;
	struct spending                 found = { set->account_hour, set->account_day }, one;
	bool                            exact = false;

	for (size_t i = 0; i < set->account_limits.count && !exact; i++) {
		struct bytes who;

		if (!spending_entry(bytes_of(set->account_limits.item[i]), &who, &one))
			continue;
		exact = bytes_equal_nocase(who, s->user);
		if (exact || (who.at[0] == '@' && bytes_ends_nocase(s->user, who)))
			found = one;
	}
	return found;
}

void
letter_spends(struct session *s, struct letter *l)
{
	static const char *const names[] = { "an hour", "a day" };
	struct spending          most = limits_of(s);
	int64_t                  limit[] = { most.hour, most.day };

	if (s->user.len == 0 || s->lmtp)
		return;
	for (size_t i = 0; i < COUNT(limit); i++) {
		enum spent how = limit[i] > 0
		                         ? s->needs->spend(s->house, s, i == 1, l->rcpts, limit[i])
		                         : SPENT_WITHIN;

		if (how == SPENT_WITHIN)
			continue;
		warn_as(s->config->service,
		        "account %.*s sends to more than %lld recipients in %s: held",
		        (int)s->user.len, s->user.at, (long long)limit[i], names[i]);
		l->handling.hold = bytes_of(
			arena_printf(l->life, "%.*s has sent to more than %lld recipients in %s",
		                     (int)s->user.len, s->user.at, (long long)limit[i], names[i]));
		if (how == SPENT_JUST_PAST)
			l->flags |= ENVELOPE_ALARM;
	}
}
