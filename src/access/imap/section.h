/*
 * section -- BODY[...] of FETCH: which bytes of a letter are meant (rfc3501:6.4.5)
 *
 * section_read()   reads from behind the "[": section "]" ["<" number "." nz-number ">"].
 * section_write()  "[1.2.HEADER.FIELDS (To)]<0>" as the answer has it.
 * section_label()  the same behind a word, with a blank.
 * section_find()   walks the digest's parts.  False: the letter has no such part (NIL).
 *                  The span is in the letter as the reader sees it, whose first `own`
 *                  bytes are head and prefix.  For FIELDS and FIELDS_NOT the span is the whole
 *                  header, and span.part says whose fields they are.
 * section_structure() of a letter's BODYSTRUCTURE, or BODY, what is said of the part that is meant; empty: there is none.
 * section_names()  those fields, each with LF behind it.
 * section_own()    the chosen ones of our own.
 * section_fields() the chosen fields of that header and its empty line (appended).
 */
#ifndef ACCESS_IMAP_SECTION_H
#define ACCESS_IMAP_SECTION_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/scan.h"
#include "message/digest.h"

enum { SECTION_DEPTH_MOST = 32, SECTION_FIELDS_MOST = 256 };
enum section_what {
	SECTION_ALL, SECTION_HEADER, SECTION_FIELDS, SECTION_FIELDS_NOT, SECTION_TEXT, SECTION_MIME,
};
struct section {
	uint32_t          path[SECTION_DEPTH_MOST];
	size_t            depth;
	enum section_what what;
	struct bytes     *field;
	size_t            fields;
	bool              partial;
	uint64_t          from, most;
};
struct section_span { uint64_t at, len; uint32_t part; };

void section_read(struct scan *, struct arena *, struct section *);
void section_write(struct buffer *, const struct section *);
struct bytes section_label(const char *word, const struct section *, struct arena *);
bool section_find(const struct section *, const struct digest *, uint64_t own, struct section_span *);
struct bytes section_structure(const struct section *, const struct digest *, struct bytes bodystructure);
struct bytes section_names(const struct section *, struct arena *);
void section_own(const struct section *, struct bytes own, struct buffer *out);
/* `own` is head and prefix when part is 0, else empty; `header` the bytes of
   the part's header in the content, which begins there at header_at. */
void section_fields(const struct section *, const struct digest *, uint32_t part, struct bytes own,
                    struct bytes header, uint64_t header_at, struct buffer *out);

#endif
