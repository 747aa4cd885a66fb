#include "message/status.h"

#include <string.h>

/* rfc3463:2 status-code = class "." subject "." detail, 1*3digit each but the class */
size_t
status_len(struct bytes text)
{
	size_t n = 0, digits;

	for (int part = 0; part < 3; part++) {
		if (part > 0 && (n >= text.len || text.at[n++] != '.'))
			return 0;
		for (digits = 0; n < text.len && text.at[n] >= '0' && text.at[n] <= '9'; n++)
			digits++;
		if (digits == 0 || digits > (part == 0 ? 1 : 3))
			return 0;
	}
	return n == text.len || text.at[n] == ' ' || text.at[n] == '\t' ? n : 0;
}

bool
status_is(struct bytes text, const char *classes)
{
	return text.len > 0 && status_len(text) == text.len && strchr(classes, text.at[0]) != NULL;
}
