/* What policy services answer, and how they are written: bounded, and the same when it comes in pieces. */
#include <stdlib.h>

#include "policy/service.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void
try_reply(struct bytes in)
{
	struct bytes         action = { "", 0 };
	size_t               used = 0;
	enum service_outcome is = service_reply(in, &used, &action);

	if (is == SERVICE_SHORT && in.len > SERVICE_REPLY_MOST + 1)
		abort();
	if (is != SERVICE_ANSWERED)
		return;
	if (used == 0 || used > in.len || action.len >= used || bytes_find(action, '\n') >= 0)
		abort();
	/* Without its last byte it is not whole. */
	if (service_reply(bytes_cut(in, 0, used - 1), &used, &action) != SERVICE_SHORT)
		abort();
}

static void
try_word(struct bytes in)
{
	static const struct service_settings set = { .try_limit = 2, .default_action = "DUNNO", .policy_context = "" };
	struct arena  *a = arena_open(NULL);
	struct service s;
	const char    *wrong = NULL;

	if (service_parse(in, &set, a, &s, &wrong)) {
		if ((s.path.len > 0) == (s.host.len > 0) || s.set.try_limit < 1)
			abort();
	} else if (wrong == NULL) {
		abort();
	}
	arena_close(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes in = { (const char *)at, len };

	try_reply(in);
	try_word(in);
	return 0;
}
