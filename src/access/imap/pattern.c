#include "access/imap/pattern.h"

#include <string.h>

/* Every place in the pattern where we can be after the bytes so far; `on` has
   one for each, the last is the end.  Stars are passed over for nothing. */
static void
pass_stars(struct bytes pattern, bool *on)
{
	for (size_t i = 0; i < pattern.len; i++)
		if (on[i] && (pattern.at[i] == '*' || pattern.at[i] == '%'))
			on[i + 1] = true;
}

static bool
takes(char in_pattern, char c, bool blind)
{
	if (in_pattern == '*')
		return true;
	if (in_pattern == '%')
		return c != '/';
	return blind ? ascii_lower(in_pattern) == ascii_lower(c) : in_pattern == c;
}

bool
pattern_matches(struct bytes pattern, struct bytes name)
{
	bool now[PATTERN_MOST + 1], next[PATTERN_MOST + 1];
	bool inbox =
		bytes_is(bytes_cut(name, 0, 5), "INBOX") && (name.len == 5 || name.at[5] == '/');

	if (pattern.len > PATTERN_MOST)
		return false;
	memset(now, 0, pattern.len + 1);
	now[0] = true;
	for (size_t k = 0; k < name.len; k++) {
		bool blind = inbox && k < 5;
		pass_stars(pattern, now);
		memset(next, 0, pattern.len + 1);
		for (size_t i = 0; i < pattern.len; i++) {
			if (!now[i] || !takes(pattern.at[i], name.at[k], blind))
				continue;
			/* A star stays where it is; a letter is passed. */
			if (pattern.at[i] == '*' || pattern.at[i] == '%')
				next[i] = true;
			else
				next[i + 1] = true;
		}
		memcpy(now, next, pattern.len + 1);
	}
	pass_stars(pattern, now);
	return now[pattern.len];
}
