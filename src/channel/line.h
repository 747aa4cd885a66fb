/*
 * line -- one reader of lines for every protocol; it knows CRLF
 *
 * line_read() looks at what has arrived.  LINE_WHOLE: *line is without its
 * end, *used is how many bytes to eat (line and end).  A line ended by a bare
 * LF is whole too, with *bare true: the protocol decides (commands typed by
 * hand are let through, content is judged by its own reader).  A CR that is
 * not followed by LF is part of the line.
 * LINE_SHORT: no end yet, and not longer than `most`.
 * LINE_LONG:  longer than `most` (without its end): reply and close, or eat
 *             until the end with line_skip().
 *
 * line_skip() tells how much of a line that is too long to eat; true when its
 * end is among it: what follows is a new line.
 */
#ifndef CHANNEL_LINE_H
#define CHANNEL_LINE_H

#include "base/bytes.h"

enum line_outcome { LINE_WHOLE, LINE_SHORT, LINE_LONG };
enum line_outcome line_read(struct bytes arrived, size_t most, struct bytes *line,
                            size_t *used, bool *bare) __attribute__((warn_unused_result));
bool line_skip(struct bytes arrived, size_t *used) __attribute__((warn_unused_result));

#endif
