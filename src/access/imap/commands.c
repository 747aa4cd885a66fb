/* All that an IMAP client can ask of us once it is known. */
#include "access/imap/session.h"

/* clang-format off */
#define COMMANDS(X) \
	X(capability) X(noop) X(logout) X(starttls) X(authenticate) X(login) \
	X(select) X(examine) X(create) X(delete) X(rename) X(subscribe) X(unsubscribe) \
	X(list) X(lsub) X(status) X(append) X(replace) X(namespace) X(id) X(enable) X(compress) X(unauthenticate) X(idle) \
	X(check) X(close) X(unselect_command) X(expunge) X(search) X(sort) X(thread) X(fetch) X(store) X(copy) X(move) \
	X(esearch) X(cancelupdate) X(uidbatches) X(notify) X(genurlauth) X(resetkey) X(urlfetch) \
	X(setacl) X(deleteacl) X(getacl) X(listrights) X(myrights) \
	X(getquota) X(getquotaroot) X(setquota) X(getmetadata) X(setmetadata)
/* clang-format on */

#define X(name) extern const struct imap_command imap_##name;
COMMANDS(X)
#undef X

const struct imap_command *const imap_commands[] = {
#define X(name) &imap_##name,
	COMMANDS(X)
#undef X
};
const size_t imap_command_count = COUNT(imap_commands);
