#include "command/keepers.h"

#include <dirent.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "role/owner.h"

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
	if ((index & KEEPER_OF_USER) != 0)
		(void)snprintf(out, 32, KEEPER_FOR_USER "%" PRIu32, index & ~KEEPER_OF_USER);
	else if (index == 0)
		(void)snprintf(out, 32, "keeper");
	else
		(void)snprintf(out, 32, "keeper-%" PRIu32, index);
}

/* The first line is how many are of the pool; then uids of users whose keepers are at work. */
static int
keepers_at_work(struct call *c, uint64_t *pool, struct buffer *uids)
{
	static const char *const count[] = { "keeper", "count" };
	struct bytes             rest, line;
	int                      status;

	*pool = 0;
	status = command_talk(c, "clerk", &(struct word_ask){ count, 2, { NULL, 0 } }, -1, uids);
	rest = buffer_bytes(uids);
	if (status == COMMAND_DONE && bytes_split(&rest, '\n', &line))
		(void)bytes_number(line, pool);
	buffer_eat(uids, uids->len - rest.len);
	return status;
}

static int
ask_one(struct call *c, uint32_t index, const struct word_ask *ask, struct buffer *said)
{
	char role[32];

	keeper_socket(index, role);
	return command_talk(c, role, ask, -1, said);
}

int
keepers_ask(struct call *c, int argc, const char *const *argv, struct buffer *said)
{
	const struct word_ask ask = { argv, (uint32_t)argc, { NULL, 0 } };
	struct buffer         uids = { 0 };
	struct bytes          rest, line;
	uint64_t              pool, uid;
	int                   status, worst = keepers_at_work(c, &pool, &uids);

	for (uint64_t i = 0; i < pool; i++) {
		status = ask_one(c, (uint32_t)i, &ask, said);
		worst = status > worst ? status : worst;
	}
	rest = buffer_bytes(&uids);
	while (bytes_split(&rest, '\n', &line))
		if (bytes_number(line, &uid)) {
			status = ask_one(c, KEEPER_OF_USER | (uint32_t)uid, &ask, said);
			worst = status > worst ? status : worst;
		}
	buffer_free(&uids);
	return worst;
}

int
keepers_ask_all(struct call *c, int argc, const char *const *argv, int users, struct buffer *said)
{
	const struct word_ask ask = { argv, (uint32_t)argc, { NULL, 0 } };
	struct buffer         uids = { 0 };
	struct dirent        *e;
	uint64_t              pool, uid;
	int                   status, worst = keepers_at_work(c, &pool, &uids);
	DIR                  *d = users >= 0 ? fdopendir(users) : NULL;

	buffer_free(&uids);
	for (uint64_t i = 0; i < pool; i++) {
		status = ask_one(c, (uint32_t)i, &ask, said);
		worst = status > worst ? status : worst;
	}
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (!bytes_number(bytes_of(e->d_name), &uid) || uid >= KEEPER_OF_USER)
			continue;
		if (!is_owner_index(KEEPER_OF_USER | (uint32_t)uid) &&
		    getpwuid((uid_t)uid) == NULL) {
			buffer_printf(said, "users/%s: there is no such user any more\n",
			              e->d_name);
			continue;
		}
		status = ask_one(c, KEEPER_OF_USER | (uint32_t)uid, &ask, said);
		worst = status > worst ? status : worst;
	}
	if (d != NULL)
		(void)closedir(d);
	return worst;
}
