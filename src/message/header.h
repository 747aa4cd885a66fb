/*
 * header -- the fields of a header, one after the other (rfc5322:2.2)
 *
 * header_of()    stands before the first field of a letter or of a part.
 * header_next()  gives the next field; false at the end of the header, when
 *                `at` stands where the body begins.
 *
 * A header ends with its first empty line, or with the bytes (`divides` below).  A line that is
 * no field belongs to the field before it (rfc7103:7.2); such lines before
 * every field are skipped if a field follows before an empty line, else there
 * is no header at all.  LF alone ends a line too.
 *
 * field_chosen()  is this name one of those, each of which has LF behind it, or with `others` none of them?
 * field_unfold()  the value on one line, blanks off both ends: each fold is
 *                 one blank.  A view of the field when nothing is folded.
 */
#ifndef MESSAGE_HEADER_H
#define MESSAGE_HEADER_H

#include "base/arena.h"

struct field {
	struct bytes whole;      /* with its line ends                    */
	struct bytes name;       /* without blanks before the colon       */
	struct bytes value;      /* what follows the colon, as it stands  */
};
struct header {
	const char *at, *end;
	bool begun;
	/* A part's header also ends before a line that begins with "--" and
	   divides a multipart around it. */
	bool (*divides)(const void *whom, const char *line);
	const void *whom;
};

enum { FIELD_NAME_MOST = 998 };

struct header header_of(struct bytes);
bool header_next(struct header *, struct field *out);
bool field_chosen(struct bytes names, bool others, struct bytes name);
/* Where the line at p ends, its LF included. */
const char *line_end(const char *p, const char *end);
/* Without its line end, which is LF or CRLF. */
struct bytes line_unended(struct bytes line);
/* Is there an empty line at p?  Its length, or 0. */
size_t line_empty(const char *p, const char *end);
struct bytes field_unfold(struct arena *, struct bytes value);
/* Length of the name of the field that begins at p; 0 when no field does.
   The colon stands at *colon. */
size_t field_name(const char *p, const char *end, const char **colon);

#endif
