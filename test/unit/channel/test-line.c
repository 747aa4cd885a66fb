#include "unit.h"

#include "channel/line.h"

#include <string.h>

struct line_case {
	const char       *why, *arrived;
	size_t            most;
	enum line_outcome outcome;
	const char       *line;         /* of a whole one */
	size_t            used;
	bool              bare;
};

static const struct line_case cases[] = {
	{ "rfc5321:2.3.8 a line ends with CRLF",  "NOOP\r\nQUIT\r\n", 100, LINE_WHOLE, "NOOP", 6, false },
	{ "a bare LF is told",                    "NOOP\nQUIT\r\n",   100, LINE_WHOLE, "NOOP", 5, true  },
	{ "an empty line",                        "\r\n",             100, LINE_WHOLE, "",     2, false },
	{ "an empty line, bare",                  "\n",               100, LINE_WHOLE, "",     1, true  },
	{ "a CR inside is part of the line",      "A\rB\r\n",         100, LINE_WHOLE, "A\rB", 5, false },
	{ "two CR: one belongs to the line",      "A\r\r\n",          100, LINE_WHOLE, "A\r",  4, false },
	{ "nothing yet",                          "",                 100, LINE_SHORT, NULL,   0, false },
	{ "no end yet",                           "NOO",              100, LINE_SHORT, NULL,   0, false },
	{ "half an end",                          "NOOP\r",           100, LINE_SHORT, NULL,   0, false },
	{ "just long enough",                     "1234\r\n",           4, LINE_WHOLE, "1234", 6, false },
	{ "just long enough, bare",               "1234\n",             4, LINE_WHOLE, "1234", 5, true  },
	{ "just long enough so far",              "1234",               4, LINE_SHORT, NULL,   0, false },
	{ "just long enough, with half its end",  "1234\r",             4, LINE_SHORT, NULL,   0, false },
	{ "one too long, its end here",           "12345\r\n",          4, LINE_LONG,  NULL,   0, false },
	{ "one too long, bare",                   "12345\n",            4, LINE_LONG,  NULL,   0, false },
	{ "one too long, no end",                 "12345",              4, LINE_LONG,  NULL,   0, false },
	{ "a CR that is no end counts",           "1234\rx",            4, LINE_LONG,  NULL,   0, false },
	{ "far too long",                         "1234567890\r\n",     4, LINE_LONG,  NULL,   0, false },
	{ "nothing may stand before the end",     "\r\n",               0, LINE_WHOLE, "",     2, false },
	{ "and something does",                   "x\r\n",              0, LINE_LONG,  NULL,   0, false },
	{ "no limit",                             "1234567890\r\n", SIZE_MAX, LINE_WHOLE, "1234567890", 12, false },
};

static void
test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct line_case *c = &cases[i];
		struct bytes line = { 0 };
		size_t used = 0;
		bool bare = false;

		HOLDS(c->why, line_read(bytes_of(c->arrived), c->most, &line, &used, &bare) == c->outcome);
		if (c->outcome != LINE_WHOLE)
			continue;
		SAME(c->why, line, bytes_of(c->line));
		HOLDS(c->why, used == c->used);
		HOLDS(c->why, bare == c->bare);
	}
}

static void
test_a_long_line_is_skipped_in_pieces(void **state)
{
	size_t used;

	(void)state;
	HOLDS("no end in this piece", !line_skip(BYTES("aaaa"), &used) && used == 4);
	HOLDS("nothing at all", !line_skip(BYTES(""), &used) && used == 0);
	HOLDS("the end, and a new line", line_skip(BYTES("aa\r\nNOOP\r\n"), &used) && used == 4);
}

UNIT(test_lines, test_a_long_line_is_skipped_in_pieces)
