#include "queue/through.h"

/* Of a longer way the beginning is forgotten. */
enum { PASSED_MOST = 8192 };

struct bytes
through_entered(const char *through)
{
	struct bytes rest = bytes_of(through), first = { NULL, 0 };

	(void)bytes_split(&rest, '\n', &first);
	return first;
}

struct bytes
through_passed(const char *through)
{
	struct bytes all = bytes_of(through);
	ptrdiff_t    end = bytes_find(all, '\n');

	return end < 0 ? (struct bytes){ NULL, 0 } : bytes_cut(all, (size_t)end + 1, SIZE_MAX);
}

bool
through_circles(const char *through, struct bytes name)
{
	struct bytes passed = through_passed(through), line;

	if (passed.len > 0)
		(void)bytes_split(&passed, '\n', &line);
	while (passed.len > 0 && bytes_split(&passed, '\n', &line))
		if (line.len > 0 && bytes_equal_nocase(line, name))
			return true;
	return false;
}

const char *
through_enter(const char *through, struct bytes name, struct arena *a)
{
	struct bytes passed = through_passed(through);

	if (through_entered(through).len > 0 || name.len == 0)
		return through;
	return arena_printf(a, "%.*s\n%.*s", (int)name.len, name.at, (int)passed.len, passed.at);
}

/* Whole lines, as many as there is room for. */
static struct bytes
lines_within(struct bytes lines, size_t most)
{
	if (lines.len <= most)
		return lines;
	lines = bytes_cut(lines, 0, most);
	return bytes_cut(lines, 0, (size_t)(bytes_find_last(lines, '\n') + 1));
}

const char *
through_leave(const char *through, struct bytes own, struct arena *a)
{
	struct bytes name = through_entered(through), passed = through_passed(through);

	if (name.len > 0)
		own = name;
	own = arena_lower(a, own);
	passed = lines_within(passed, PASSED_MOST);
	return arena_printf(a, "\n%.*s\n%.*s", (int)own.len, own.at, (int)passed.len, passed.at);
}
