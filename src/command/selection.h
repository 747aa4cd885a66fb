/*
 * selection -- the messages a query means: in every account, every mailbox that may hold them
 *
 * selection_run()   opens each account's session, each mailbox (to be read alone unless `write`), searches, and
 *                   calls `each` where something was found.  Returns an exit status: the highest of all.
 * uids_next()       takes a piece off the front of a uid set, short enough for one command.
 * uid_walk_next()   the uids of a set one by one; begin with { .rest = set }.
 */
#ifndef COMMAND_SELECTION_H
#define COMMAND_SELECTION_H

#include "command/query.h"

struct chosen {
	struct client *client;
	const char    *mailbox, *id;   /* id: as folder_id() gives it     */
	uint32_t       uidvalidity;
	struct bytes   uids;           /* "1:3,7"                         */
};
struct selection {
	struct query query;
	bool         write;
	int        (*each)(void *ctx, const struct chosen *);
	void        *ctx;
};
int  selection_run(struct call *, const char *who, const struct selection *);
bool uids_next(struct bytes *set, struct bytes *piece);
struct uid_walk { struct bytes rest; uint64_t next, last; };
bool uid_walk_next(struct uid_walk *, uint32_t *uid);

#endif
