/*
 * notes -- METADATA as LIST asks for it too (rfc5464, rfc9590)
 *
 * notes_read_entries()  "(" entry *(SP entry) ")" or one entry; names in lower case, checked.
 * notes_write()         METADATA with the values of these entries; `nil`: those that are not there are NIL.
 *                       Nothing is said of a mailbox whose notes the reader may not see: EACCES or ENOENT.
 */
#ifndef ACCESS_IMAP_NOTES_H
#define ACCESS_IMAP_NOTES_H

#include "access/imap/session.h"

enum { NOTES_MOST = 64 };
struct notes_asked {
	struct bytes entry[NOTES_MOST];
	size_t       count;
	unsigned     depth;            /* 0, 1, UINT_MAX                         */
	uint64_t     most;             /* MAXSIZE                                */
	uint64_t     longest;          /* of those that were larger; 0: none     */
};
void notes_read_entries(struct scan *, struct arena *, struct notes_asked *);
int  notes_write(struct imap *, const char *name, struct notes_asked *, bool nil);

#endif
