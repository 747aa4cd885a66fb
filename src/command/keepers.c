#include "command/keepers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "role/wire.h"

bool
mask_fits(const char *mask, const char *name)
{
	const char *star = NULL, *again = NULL;

	while (*name != '\0') {
		if (*mask == '*') {
			star = ++mask;
			again = name;
		} else if (*mask != '\0' &&
		           (*mask == '?' || ascii_lower(*mask) == ascii_lower(*name))) {
			mask++;
			name++;
		} else if (star != NULL) {
			mask = star;
			name = ++again;
		} else
			return false;
	}
	while (*mask == '*')
		mask++;
	return *mask == '\0';
}

void
keeper_socket(uint32_t index, char out[static 32])
{
	if (index == 0)
		(void)snprintf(out, 32, "keeper");
	else
		(void)snprintf(out, 32, "keeper-%" PRIu32, index);
}

int
keepers_ask(struct call *c, int argc, const char *const *argv, struct buffer *said)
{
	static const char *const count[] = { "keeper", "count" };
	const struct word_ask    ask = { argv, (uint32_t)argc, { NULL, 0 } };
	struct buffer            n = { 0 };
	uint64_t                 keepers = 0;
	int                      status, worst;

	worst = command_talk(c, "clerk", &(struct word_ask){ count, 2, { NULL, 0 } }, -1, &n);
	if (worst == COMMAND_DONE)
		(void)bytes_number(bytes_trim(buffer_bytes(&n)), &keepers);
	buffer_free(&n);
	for (uint64_t i = 0; i < keepers; i++) {
		char role[32];

		keeper_socket((uint32_t)i, role);
		status = command_talk(c, role, &ask, -1, said);
		worst = status > worst ? status : worst;
	}
	return worst;
}
