/*
 * milter-header -- the fields of a letter as filters see them, and change them one after the other
 *
 * From:     policy/milter-content
 * Touches:  nothing but its arena
 *
 * milter_header_read()    the header section `head`, whose bytes must live as long.
 * milter_header_append()  whole fields that the letter lacked, at its end.
 * milter_header_add()     a field at the end; milter_header_insert() with `index` fields before it, at the end if there are
 *     fewer.  Our own Received field is the first, though filters are not told of it.
 * milter_header_change()  the `index`th of that name; an empty value takes it out, one that is not there is added.
 *     False of these three: that is no field, or there are too many changes; nothing was done.
 * milter_header_edits()   all that was done, as edits of the section; *front gets what comes before our own Received field.
 *     False: they are too many.
 *
 * `space` is what stands between the colon and a value that is written: a blank, or nothing when the filter gives it
 * itself.  Lines of a value that are not its first begin with a blank in any case.
 */
#ifndef POLICY_MILTER_HEADER_H
#define POLICY_MILTER_HEADER_H

#include "message/edits.h"

enum { MILTER_CHANGES_MOST = 5000, MILTER_ADDED_MOST = 4 << 20 };

struct milter_field {
	struct bytes name, value;      /* as it stands after the colon, without its last line end */
	uint64_t at, len;              /* of it in the section; len 0: it is new    */
	struct bytes text;             /* the whole new field, with its CRLF; at NULL: as it was */
	bool own;                      /* our own Received field, which is not in the section    */
};
struct milter_header {
	struct arena *life;
	struct milter_field *field;
	size_t count, _room;
	uint64_t len;                  /* of the section, without the empty line    */
	uint32_t _changes;
	uint64_t _added;
};
void milter_header_read(struct milter_header *, struct arena *, struct bytes head);
void milter_header_append(struct milter_header *, struct bytes fields);
bool milter_header_add(struct milter_header *, struct bytes name, const char *space, struct bytes value);
bool milter_header_insert(struct milter_header *, uint32_t index, struct bytes name, const char *space, struct bytes value);
bool milter_header_change(struct milter_header *, uint32_t index, struct bytes name, const char *space, struct bytes value);
bool milter_header_edits(const struct milter_header *, struct edits *, struct buffer *front) __attribute__((warn_unused_result));
/* Whether it was changed at all. */
bool milter_header_changed(const struct milter_header *);

#endif
