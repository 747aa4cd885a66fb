/*
 * queue-ask -- the rows in which the queue tells of letters, taken apart
 *
 * From:     command queue, mailq, postqueue, postsuper, postcat, sendmail
 *
 * queue_rows()     asks `verb` ("rows") with these arguments; what was said lies in *said.  The status.
 * queue_stream()   the same, and `take` gets the rows as they come.
 * queue_row_next() the next recipient's row; letters stand together.  False: no more.
 * queue_order()    does `verb` to letters; *letters and *recipients are how many, `each` (or NULL) hears of every
 *                  letter.  The status.
 * queue_print()    the list as Postfix's commands print it, or its JSON: one object a line.
 * queue_content()  the letter, with our lines in front, in a file without a name; -1 after complaining.
 */
#ifndef COMMAND_QUEUE_ASK_H
#define COMMAND_QUEUE_ASK_H

#include "command/command.h"

enum queue_field { ROW_ID, ROW_LETTER_STATE, ROW_ARRIVED, ROW_SIZE, ROW_SENDER, ROW_ADDRESS, ROW_ORIGINAL, ROW_STATE, ROW_STATUS,
	           ROW_REASON, ROW_DUE, ROW_TRIES, ROW_FIELDS };
struct queue_row { struct bytes field[ROW_FIELDS]; };

int  queue_rows(struct call *, const char *verb, int argc, const char *const *argv, struct buffer *said);
int  queue_stream(struct call *, const char *verb, int argc, const char *const *argv, void (*take)(void *ctx, struct bytes lines), void *ctx);
bool queue_row_next(struct bytes *rest, struct queue_row *);
int  queue_order(struct call *, const char *verb, int argc, const char *const *argv,
                 void (*each)(void *ctx, struct bytes id), void *ctx, size_t *letters, size_t *recipients);
int  queue_print(struct call *, int argc, const char *const *argv, bool json);
int  queue_content(struct call *, const char *id);
/* A string of JSON with its quotes. */
void json_string(struct bytes);

#endif
