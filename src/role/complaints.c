#include "role/complaints.h"

#include "base/journal.h"

void
complaints_warn(struct bytes lines)
{
	struct bytes line;

	while (bytes_split(&lines, '\n', &line))
		if (line.len > 0)
			warn_("%.*s", (int)line.len, line.at);
}
