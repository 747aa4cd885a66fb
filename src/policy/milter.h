/*
 * milter -- the words of the milter protocol, versions 2 to 6: what a mail server says to a filter,
 * and what the filter answers
 *
 * From:     policy/milter-line, which holds the conversation
 * Touches:  nothing but the bytes it is given
 *
 * A frame is a length of four bytes, most significant first, that counts what follows it; one byte
 * that is the word; and what belongs to the word.
 *
 * milter_begin() and milter_end() make a frame; between them the body is appended.  The milter_say_*()
 *     make whole ones.
 * milter_frame()  looks at the front of what has arrived.  MILTER_WHOLE: *word and *body are set, *used
 *     is how much to eat.  MILTER_NONSENSE: no filter says that.
 * milter_answer_read()  takes the body of an answer apart; false: it is not as it should be.
 * milter_reply_clean()  the text of a reply code, as it goes to a client: its lines joined by CRLF, no end after
 *     the last; false: it is none.
 */
#ifndef POLICY_MILTER_H
#define POLICY_MILTER_H

#include "base/arena.h"
#include "base/buffer.h"
#include "policy/milter-event.h"

/* What the server says. */
enum milter_command {
	MILTER_ABORT = 'A', MILTER_BODY = 'B', MILTER_CONNECT = 'C', MILTER_MACROS = 'D', MILTER_BODY_END = 'E',
	MILTER_HELO = 'H', MILTER_QUIT_NEXT = 'K', MILTER_HEADER = 'L', MILTER_MAIL = 'M', MILTER_HEADER_END = 'N',
	MILTER_NEGOTIATE = 'O', MILTER_QUIT = 'Q', MILTER_RCPT = 'R', MILTER_DATA = 'T', MILTER_UNKNOWN = 'U',
};
/* What the filter answers. */
enum milter_answer_word {
	MILTER_ADD_RCPT = '+', MILTER_DELETE_RCPT = '-', MILTER_ADD_RCPT_PAR = '2', MILTER_SHUTDOWN = '4', MILTER_ACCEPT = 'a',
	MILTER_REPLACE_BODY = 'b', MILTER_CONTINUE = 'c', MILTER_DISCARD = 'd', MILTER_CHANGE_FROM = 'e', MILTER_CONNECTION_FAIL = 'f',
	MILTER_ADD_HEADER = 'h', MILTER_INSERT_HEADER = 'i', MILTER_CHANGE_HEADER = 'm', MILTER_PROGRESS = 'p',
	MILTER_QUARANTINE = 'q', MILTER_REJECT = 'r', MILTER_SKIP = 's', MILTER_TEMPFAIL = 't', MILTER_REPLY_CODE = 'y',
};

/* What a filter may do to a letter. */
enum milter_action {
	ACTION_ADD_HEADER = 0x1, ACTION_CHANGE_BODY = 0x2, ACTION_ADD_RCPT = 0x4, ACTION_DELETE_RCPT = 0x8,
	ACTION_CHANGE_HEADER = 0x10, ACTION_QUARANTINE = 0x20, ACTION_CHANGE_FROM = 0x40, ACTION_ADD_RCPT_PAR = 0x80,
	ACTION_SET_SYMBOLS = 0x100,
};
/* What it does not want to hear, and what it does not answer. */
enum milter_step {
	STEP_NO_CONNECT = 0x1, STEP_NO_HELO = 0x2, STEP_NO_MAIL = 0x4, STEP_NO_RCPT = 0x8, STEP_NO_BODY = 0x10,
	STEP_NO_HEADERS = 0x20, STEP_NO_HEADER_END = 0x40, STEP_MUTE_HEADER = 0x80, STEP_NO_UNKNOWN = 0x100,
	STEP_NO_DATA = 0x200, STEP_SKIP = 0x400, STEP_RCPT_REFUSED = 0x800, STEP_MUTE_CONNECT = 0x1000,
	STEP_MUTE_HELO = 0x2000, STEP_MUTE_MAIL = 0x4000, STEP_MUTE_RCPT = 0x8000, STEP_MUTE_DATA = 0x10000,
	STEP_MUTE_UNKNOWN = 0x20000, STEP_MUTE_HEADER_END = 0x40000, STEP_MUTE_BODY = 0x80000, STEP_LEADING_BLANK = 0x100000,
};
/* What versions 2, 3, 4 and 6 know; 0: there is no such version here. */
uint32_t milter_actions_of(int version);
uint32_t milter_steps_of(int version);

enum { MILTER_STAGES_OF_FILTERS = STAGE_UNKNOWN };

/* CHUNK: bytes of a body in one frame.  FRAME: of the longest frame that is taken. */
enum { MILTER_CHUNK = 65535, MILTER_FRAME_MOST = 1 << 20, MILTER_REPLY_LINES = 32, MILTER_REPLY_LINE = 980 };

enum milter_outcome { MILTER_WHOLE, MILTER_SHORT, MILTER_NONSENSE };
enum milter_outcome milter_frame(struct bytes arrived, uint8_t *word, struct bytes *body, size_t *used)
	__attribute__((warn_unused_result));

size_t milter_begin(struct buffer *, enum milter_command);
void milter_end(struct buffer *, size_t begun);
void milter_text(struct buffer *, struct bytes);            /* and its NUL; one inside it ends it */
void milter_say(struct buffer *, enum milter_command);
void milter_say_options(struct buffer *, uint32_t version, uint32_t actions, uint32_t steps);
/* family: 'U' unknown, 'L' a socket of this machine, '4', '6'. */
void milter_say_connect(struct buffer *, struct bytes name, char family, uint16_t port, struct bytes address);
void milter_say_arguments(struct buffer *, enum milter_command, const struct bytes *, size_t count);
void milter_say_header(struct buffer *, struct bytes name, struct bytes value);
void milter_say_body(struct buffer *, struct bytes);

struct milter_options {
	uint32_t version, actions, steps;
	struct bytes symbols[MILTER_STAGES_OF_FILTERS];     /* names of macros by blanks; at NULL: not said */
};
bool milter_options_read(struct bytes body, struct milter_options *) __attribute__((warn_unused_result));

struct milter_answer {
	uint8_t word;                  /* enum milter_answer_word             */
	uint32_t index;                /* of INSERT_HEADER and CHANGE_HEADER  */
	struct bytes name, value;      /* of a header; an address and its parameters; text in `value` */
};
bool milter_answer_read(uint8_t word, struct bytes body, struct milter_answer *) __attribute__((warn_unused_result));
bool milter_reply_clean(struct bytes text, struct buffer *out) __attribute__((warn_unused_result));

#endif
