/*
 * Lines of any kind with any limit: the first two bytes choose the limit.  What
 * the pieces say together is the whole again, and no line breaks the promises
 * of line.h.
 */
#include <stdlib.h>
#include <string.h>

#include "channel/line.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void
promise(bool kept)
{
	if (!kept)
		abort();
}

/* One line as if only the first `n` bytes had come: short or long, never a
   whole one before its end is here. */
static void
check_pieces(struct bytes all, size_t most, size_t used)
{
	struct bytes line;
	size_t u;
	bool bare;

	for (size_t n = 0; n < used && n < 64; n++)
		promise(line_read(bytes_cut(all, 0, n), most, &line, &u, &bare) == LINE_SHORT);
}

static size_t
step(struct bytes all, size_t most)
{
	struct bytes line = { 0 };
	size_t used = 0;
	bool bare = false;

	switch (line_read(all, most, &line, &used, &bare)) {
	case LINE_WHOLE:
		promise(line.len <= most && line.at == all.at);
		promise(used == line.len + (bare ? 1 : 2) && used <= all.len);
		promise(all.at[used - 1] == '\n' && bytes_find(line, '\n') < 0);
		promise(bare ? line.len == 0 || line.at[line.len - 1] != '\r' : all.at[used - 2] == '\r');
		check_pieces(all, most, used);
		return used;
	case LINE_SHORT:
		promise(all.len <= most + 1 && bytes_find(all, '\n') < 0);
		return 0;
	default:
		promise(all.len > most);
		promise(line_skip(all, &used) == (bytes_find(all, '\n') >= 0));
		promise(used > most && used <= all.len);
		return used;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes all = { (const char *)at, len };
	size_t most, used;

	if (len < 2)
		return 0;
	most = (size_t)(at[0] | at[1] << 8) % 600;
	all = bytes_cut(all, 2, len);
	while ((used = step(all, most)) > 0)
		all = bytes_cut(all, used, all.len);
	return 0;
}
