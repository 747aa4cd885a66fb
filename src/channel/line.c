#include "channel/line.h"

#include <string.h>

/* Looks no further than a line may reach: most bytes, CR, LF. */
enum line_outcome
line_read(struct bytes arrived, size_t most, struct bytes *line, size_t *used, bool *bare)
{
	size_t      reach = arrived.len, end;
	const char *lf;

	if (most < SIZE_MAX - 2 && reach > most + 2)
		reach = most + 2;
	lf = reach > 0 ? memchr(arrived.at, '\n', reach) : NULL;
	if (lf == NULL) {
		end = reach;
		if (end > 0 && arrived.at[end - 1] == '\r')
			end--; /* perhaps half of its end */
		return end > most ? LINE_LONG : LINE_SHORT;
	}
	end = (size_t)(lf - arrived.at);
	*bare = end == 0 || arrived.at[end - 1] != '\r';
	*used = end + 1;
	*line = (struct bytes){ arrived.at, *bare ? end : end - 1 };
	return line->len > most ? LINE_LONG : LINE_WHOLE;
}

bool
line_skip(struct bytes arrived, size_t *used)
{
	const char *lf = arrived.len > 0 ? memchr(arrived.at, '\n', arrived.len) : NULL;

	*used = lf != NULL ? (size_t)(lf - arrived.at) + 1 : arrived.len;
	return lf != NULL;
}
