/* system-users.c -- accounts that are operating-system users (directory.h) */
#include "directory/inside.h"

enum directory_outcome
directory_account_bind(struct directory *d, struct bytes address, uint32_t uid)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct directory_key   k;
	sqlite3_stmt          *s;

	if (directory_key(address, NULL, a, &k)) {
		s = directory_query(d, uid != 0 ? BIND_PUT : BIND_DELETE, k.local, k.domain);
		if (uid != 0)
			sqlite3_bind_int64(s, 3, uid);
		o = directory_change(d, s, uid != 0 ? DIRECTORY_NONE : DIRECTORY_OK);
	}
	arena_close(&a);
	return o;
}
