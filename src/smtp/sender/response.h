/*
 * response -- what another host's server answers (rfc5321:4.2): lines of three digits, the last with a blank behind them
 *
 * From:     smtp/sender/outgoing
 *
 * response_begin() before the first byte of each.
 * response_take()  eats whole lines from the front of what has arrived.  RESPONSE_WHOLE: the last line of a response was
 *     taken; RESPONSE_SHORT: more must come; RESPONSE_NONSENSE: no server says that, or it says too much: the
 *     connection is to be given up.  *used tells how many bytes were eaten in each case.
 *
 * The first digit decides, whatever words follow (rfc5321:4.2.1).  Lines that end in LF alone will do.  The lines of one
 * response may have different codes: the last line's holds.  A line is at most RESPONSE_LINE_MOST long and a
 * response RESPONSE_LINES_MOST lines; of its text the first RESPONSE_TEXT_MOST bytes are kept, with what is not
 * printable as '?'.
 *
 * A filter may say what stands instead of a line.  While it waits for that, the line is not eaten: call again then.
 * RESPONSE_UNSURE: it cannot be told now; the line is not eaten.
 */
#ifndef SMTP_SENDER_RESPONSE_H
#define SMTP_SENDER_RESPONSE_H

#include "base/buffer.h"

enum { RESPONSE_LINE_MOST = 8192, RESPONSE_LINES_MOST = 500, RESPONSE_TEXT_MOST = 16384 };

enum response_filtered {
	FILTERED_NOT,                  /* it stays as it is                        */
	FILTERED,
	FILTERED_WAIT,                 /* somebody is asked                        */
	FILTERED_LATER,                /* who is to be asked cannot answer now     */
};
struct response {
	uint16_t      code;            /* 250                                      */
	uint32_t      lines;
	struct buffer text;            /* lines with their codes, '\n' between them */
	/* What stands instead of a line, appended.  NULL: all stay as they are. */
	enum response_filtered (*filter)(void *ctx, struct bytes line, struct buffer *instead);
	void         *ctx;
	struct buffer instead;
};
enum response_outcome { RESPONSE_SHORT, RESPONSE_WHOLE, RESPONSE_NONSENSE, RESPONSE_UNSURE };
void response_begin(struct response *);
enum response_outcome response_take(struct response *, struct bytes arrived, size_t *used) __attribute__((warn_unused_result));
void response_free(struct response *);

/* The lines in turn, without their codes; from *rest = buffer_bytes(&r->text).  False at the end. */
bool response_line(struct bytes *rest, struct bytes *words);
/* rfc3463: "5.1.1" where the text begins with one of the same class; else CLASS.0.0. */
void response_status(const struct response *, char out[static 12]);
/* The whole as one line for logs and notices. */
void response_words(const struct response *, struct buffer *out);

#endif
