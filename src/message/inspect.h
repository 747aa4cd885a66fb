/*
 * inspect -- a letter gone through as header and body checks see it: field by field, line by line
 *
 * To:       policy/checks, in the verifier
 *
 * inspect_of()    stands before the first field; `content` has CRLF lines and outlives it.
 * inspect_next()  the next field, line or fault; false at the end.  Linear in the size of the content, without recursion.
 * inspect_end()   frees what it holds.
 *
 * The headers of parts are read by the rules of Postfix's MIME processor, not those of digest.h, so that one set of
 * patterns says the same in both: a multipart's boundary begins a part where a line begins with it; the header of a letter
 * inside (message/rfc822, message/global, whatever its encoding) is a header; a first line that is no field ends a header.
 * Every other line is text, boundaries and what stands around the parts too.
 */
#ifndef MESSAGE_INSPECT_H
#define MESSAGE_INSPECT_H

#include "base/arena.h"
#include "base/buffer.h"

enum inspected_what {
	INSPECTED_HEADER,      /* of the letter                                     */
	INSPECTED_MIME,        /* of a part; and wherever it stands, one that tells what a body is */
	INSPECTED_NESTED,      /* of a letter inside                                */
	INSPECTED_LINE,
	INSPECTED_FAULT,
};
enum inspect_fault { FAULT_NONE, FAULT_NESTING, FAULT_8BIT_HEADER, FAULT_8BIT_BODY, FAULT_ENCODING, INSPECT_FAULTS };

struct inspect_rules {
	bool     no_mime;              /* all behind the header is text             */
	bool     no_8bit_header, no_8bit_body, strict_encoding;
	size_t   line_most;            /* a longer line comes in pieces             */
	size_t   boundary_most;
	unsigned nest_most;
};
struct inspected {
	enum inspected_what what;
	enum inspect_fault fault;
	uint64_t at, len;              /* in the content, with the line end         */
	struct bytes text;             /* without it; folds are LF; until the next call */
	uint64_t from;                 /* of a line: where in its part's text it begins */
	bool     piece;                /* more of the line follows                  */
};
enum { INSPECT_NEST = 128 };
struct inspect {
	struct bytes content;
	struct inspect_rules rules;
	struct arena *scratch;
	size_t   at, text_at;
	uint8_t  room, next_room;      /* header of what kind, or text              */
	uint8_t  domain;               /* enum of inspect.c                         */
	bool     composite, inside_line, faulted[INSPECT_FAULTS];
	struct bytes encoding;
	struct inspect_boundary { struct bytes word; bool digest; } boundary[INSPECT_NEST];
	unsigned boundaries;
	struct buffer text;
};

void inspect_of(struct inspect *, struct bytes content, const struct inspect_rules *, struct arena *);
bool inspect_next(struct inspect *, struct inspected *);
void inspect_end(struct inspect *);

#endif
