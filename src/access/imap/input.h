/*
 * input -- gathers what the client says into whole commands
 *
 * From:     the session's stream
 * To:       imap/session: imap_begin() for a whole command
 *
 * A command is lines and literals.  Literals are asked for with "+" unless
 * they come unasked (rfc7888), and stand in the command with their {n}.  The literal of
 * an APPEND or REPLACE is not gathered: the command is begun without it and takes its bytes with
 * input_peek() and input_eat() as they come.
 *
 * Bounded: a line imap_max_line_length, a literal and all literals of a command
 * imap_literal_limit; what is longer is answered BAD [TOOBIG] and skipped, or ends
 * the session when skipping it would take too long.
 *
 * input_hear()  one step; false when more must come first.
 * input_ask()   sends "+ words" if the literal that ended the command waits for it.
 * input_line()  the next line for IDLE; false: not here yet.
 */
#ifndef ACCESS_IMAP_INPUT_H
#define ACCESS_IMAP_INPUT_H

#include "access/imap/session.h"

struct imap_input *input_open(struct imap *, struct bytes unread);
void input_close(struct imap_input **);
bool input_hear(struct imap_input *);
struct bytes input_peek(struct imap_input *);
void input_eat(struct imap_input *, size_t);
bool input_line(struct imap_input *, struct bytes *line, size_t *used);
void input_ask(struct imap_input *, const char *words);
/* Of an APPEND whose literal has not been read: true with its size, and whether its
   sender waits to be asked. */
bool input_letter(const struct imap_input *, uint64_t *size, bool *waits);
/* The rest of the command is skipped: n bytes, to the end of the line, and what that line and
   those behind it announce and send unasked (rfc7888:4). */
void input_skip(struct imap_input *, uint64_t n);
/* What the login had read ahead and no command has taken is appended. */
void input_unread(struct imap_input *, struct buffer *);
/* The command is over: its memory goes. */
void input_done(struct imap_input *);

#endif
