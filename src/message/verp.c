#include "message/verp.h"

#include <string.h>

bool
verp_delimiters(struct bytes delimiters, const char *allowed)
{
	if (delimiters.len != 2)
		return false;
	for (size_t i = 0; i < delimiters.len; i++)
		if (delimiters.at[i] == '\0' || strchr(allowed, delimiters.at[i]) == NULL)
			return false;
	return true;
}

const char *
verp_make(struct arena *a, struct bytes sender, struct bytes recipient, struct bytes delimiters)
{
	ptrdiff_t from = bytes_find_last(sender, '@'), to = bytes_find_last(recipient, '@');

	if (from <= 0 || to <= 0 || delimiters.len != 2 || sender.at[0] == '"' ||
	    recipient.at[0] == '"')
		return arena_copy(a, sender);
	return arena_printf(a, "%.*s%c%.*s%c%.*s%.*s", (int)from, sender.at, delimiters.at[0],
	                    (int)to, recipient.at, delimiters.at[1],
	                    (int)(recipient.len - (size_t)to - 1), recipient.at + to + 1,
	                    (int)(sender.len - (size_t)from), sender.at + from);
}
