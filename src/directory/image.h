/*
 * image -- what resolving asks of the directory, in memory beside the database
 *
 * From:     directory.c, which opens it; resolve.c, which asks it
 * Touches:  the directory's connection: triggers of its own, which are in no file
 *
 * The database is the truth.  The image is read from it in short turns, and until it is whole it knows nothing.  Whatever then
 * changes a row that it was made of, by whichever way, voids the answers of that name (the triggers say so, within the
 * change); they are read again when somebody asks and no change is half done.  What cannot be read makes it know
 * nothing from then on.
 *
 * image_knows()  true: *o is OK with the value in the arena, or NONE.  False: ask the database.
 *                IMAGE_DOMAIN   the catch-all of a domain that is ours; `local` is ""
 *                IMAGE_ACCOUNT  its id in IMAGE_ID bytes, then its source
 *                IMAGE_ALIAS    the targets in their order: image_target() takes them off the front
 * image_wants()  whether there is something to read; image_turn() reads some of it, for about a millisecond.
 *
 * A name costs what it and its answer are long, and some 20 bytes: a quarter of a gigabyte, which is the most there is, holds
 * five million addresses.
 */
#ifndef DIRECTORY_IMAGE_H
#define DIRECTORY_IMAGE_H

#include "directory/inside.h"

enum image_kind { IMAGE_DOMAIN, IMAGE_ACCOUNT, IMAGE_ALIAS, IMAGE_KINDS };
enum { IMAGE_ID = 8 };
struct image;
/* NULL: the connection does not take the triggers; sqlite3_errmsg() says why. */
struct image *image_open(struct directory *);
void image_close(struct image **);
bool image_knows(struct image *, enum image_kind, struct bytes local, struct bytes domain, struct arena *,
	enum directory_outcome *o, struct bytes *value);
bool image_target(struct bytes *value, struct bytes *target);       /* false: there are no more */
bool image_wants(const struct image *);
void image_turn(struct image *);

#endif
