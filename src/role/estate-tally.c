/*
 * estate-tally -- the memory in which receivers and logins count together, and what of it outlives them: how much each
 * account has sent in this hour and day, and who has passed the tests before the greeting (mail_directory/tally)
 *
 * It is written aside and renamed, not synced: what a power cut takes is at most what was counted since the file before.
 */
#include "role/estate_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/clock.h"
#include "base/journal.h"
#include "policy/tally.h"
#include "role/house.h"

enum { POSTMASTERS_COLUMN = TALLY_COLUMNS - 1, KEPT_MOST = 1 << 20 };
_Static_assert(TALLY_COLUMNS <= 64, "no other process has the last column");

static struct tally *counted; /* the memory, as the postmaster sees it */
static uint32_t      written; /* checksum of what was written last     */

static void
path_of(const struct common_settings *common, const char *end, char out[static 1100])
{
	(void)snprintf(out, 1100, "%s/tally%s", common->mail_directory, end);
}

static void
restore(const struct common_settings *common)
{
	struct buffer text = { 0 };
	char          path[1100];

	path_of(common, "", path);
	if (estate_read(path, &text) && text.len <= KEPT_MOST &&
	    !tally_unpack(counted, buffer_bytes(&text)))
		warn_("%s is not what was written there: accounts begin anew, and clients are tested again",
		      path);
	buffer_free(&text);
}

bool
estate_open_tally(struct opening *o)
{
	static const unsigned fronts = FROM(RECEIVER) | FROM(LOGIN);
	int                   fd;

	if (estate_take_over(o, "tally", "", fronts) != NULL)
		return true;
	if ((fd = memfd_create("tally", MFD_CLOEXEC | MFD_ALLOW_SEALING)) < 0 ||
	    ftruncate(fd, TALLY_SIZE) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) < 0) {
		buffer_printf(o->errors, "tally: %s\n", strerror(errno));
		return false;
	}
	(void)estate_hold(o, "tally", "", fd, fronts);
	if (tally_size() <= TALLY_SIZE && (counted = tally_open(fd, POSTMASTERS_COLUMN)) != NULL)
		restore(o->common);
	return true;
}

static bool
write_whole(const char *path, struct bytes text)
{
	int  fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool good = fd >= 0 && write(fd, text.at, text.len) == (ssize_t)text.len;

	if (fd >= 0 && close(fd) < 0)
		good = false;
	return good;
}

void
estate_keep_tally(const struct common_settings *common)
{
	struct buffer text = { 0 };
	char          path[1100], aside[1100];

	if (counted == NULL)
		return;
	tally_pack(counted, clock_wall() * 1000, &text);
	path_of(common, "", path);
	path_of(common, ".new", aside);
	if (checksum_of(buffer_bytes(&text)) != written) {
		if (!write_whole(aside, buffer_bytes(&text)) || rename(aside, path) < 0)
			warn_("%s: %s", path, strerror(errno));
		written = checksum_of(buffer_bytes(&text));
	}
	buffer_free(&text);
}
