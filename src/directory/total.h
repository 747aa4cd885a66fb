/*
 * total -- what all accounts of a domain hold together, and how much that may be
 *
 * From:     role/clerk-total, which hears from keepers what each account holds
 * Touches:  tables total_limit and total_share of directory.db
 *
 * Only domains with such a limit are counted, and only these are in memory: a name and some numbers each.  What one account holds
 * is a row on disk.  The sum is that of the rows, so it can always be made anew: whoever counts tells each account again.
 *
 * What holds:  whoever takes a letter asks first (total_take()), and what was promised counts until it was told (total_share())
 * or is put back.  So however many keepers take at once, all of them together never pass the limit; but for the one letter
 * that came while there was room and may be over by the grace, and for what nobody had counted yet when the limit was set.
 * Limits bind who adds: one that is set below what is held throws nothing away.
 *
 * total_find()     of a domain; NULL: it has no limit.
 * total_of()       of the domain an account counts in.  An operating-system user that is bound to accounts counts once, in the domain of
 *                  the first of them; any other in `origin`.
 * total_limit()    sets what is not NULL, 0 is no limit; when both are none the domain is not counted any more.  The domain's
 *                  name as the directory has it.  Durable; when the directory fails all is as before.
 * total_share()    so much the account holds now; of another domain than before, it has moved.  When the directory fails it is
 *                  counted as before, until it is told again.
 * total_gone()     an account is no more.
 * total_take()     0: promised.  EDQUOT: too much.  EAGAIN: too much if all that was promised comes, and else not.
 * total_room()     how large the next letter may be; 0 where there is no room, UINT64_MAX where bytes are not limited.
 * total_warning()  the percent that was just passed and not yet told of, 0: none.  It is told of again when the use has been
 *                  TOTAL_EASE percent below it.
 * total_next()     walks over the accounts of a domain, in order of name; false at the end, or when the directory fails.
 * Rows of shares are not synced each: what a power cut takes is told again when the server comes.
 */
#ifndef DIRECTORY_TOTAL_H
#define DIRECTORY_TOTAL_H

#include "base/map.h"
#include "directory/directory.h"

enum { TOTAL_EASE = 5 };

struct total_use { uint64_t bytes, messages; };
struct total {
	struct total_use limit;        /* 0: none                       */
	struct total_use used, held;   /* told by keepers; promised     */
	unsigned         warned;       /* percent                       */
	bool             little;       /* for who asks: as it was last  */
	char             domain[];
};
struct totals;

/* NULL: the directory failed, and has said so. */
struct totals *totals_open(struct directory *);
void totals_close(struct totals **);
size_t totals_count(const struct totals *);
struct total *totals_next(const struct totals *, struct map_place *);

struct total *total_find(const struct totals *, struct bytes domain);
struct total *total_of(const struct totals *, uint64_t account, const char *origin);
enum directory_outcome total_limit(struct totals *, struct bytes domain, const char *origin, const uint64_t *bytes, const uint64_t *messages);
enum directory_outcome total_share(struct totals *, struct total *, uint64_t account, struct total_use now);
void total_gone(struct totals *, uint64_t account);

int  total_take(struct total *, struct total_use more, unsigned grace);
void total_hold(struct total *, struct total_use);       /* as taken, without asking */
void total_put_back(struct total *, struct total_use);
uint64_t total_room(const struct total *, unsigned grace);
unsigned total_warning(struct totals *, struct total *, const unsigned *percent, size_t count);

struct total_account { uint64_t account; const char *address; char local[300]; };
bool total_next(struct totals *, struct bytes domain, struct arena *, struct total_account *);

#endif
