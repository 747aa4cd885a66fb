/* policy.db as whoever has the disk may write it: what cannot be read is refused in words, and the rest ends. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/journal.h"
#include "policy/greylist.h"
#include "policy/verified.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static const struct greylist_settings grey = {
	.delay = 1000, .window = 100000, .max_age = 1000000, .bits = 24, .bits6 = 64, .allow = 2, .most = 10,
};
static const struct verified_settings verified = {
	.positive_expire = 1000, .positive_refresh = 500, .negative_expire = 1000, .negative_refresh = 500, .negative = true, .most = 10,
};

static void
each_grey(void *ctx, const struct greylist_triplet *t, const struct greylist_known *k)
{
	*(size_t *)ctx += t->network.len + t->sender.len + t->recipient.len + (size_t)(k->tries & 1);
}

static void
each_verified(void *ctx, struct bytes address, const struct verified_known *k)
{
	*(size_t *)ctx += address.len + k->text.len;
}

static void
use(struct policydb *db, struct bytes in)
{
	struct greylist_triplet t = { BYTES("192.0.2.0/24"), bytes_cut(in, 0, 10), bytes_cut(in, 10, 10) };
	struct greylist_triplet begin = { { "", 0 }, { "", 0 }, { "", 0 } };
	struct greylist_answer  answer;
	struct verified_known   known;
	struct arena           *a = arena_open(NULL);
	size_t                  seen = 0;

	greylist_ask(db, &grey, &t, 1000, &answer);
	greylist_ask(db, &grey, &t, 2000, &answer);
	(void)greylist_list(db, &begin, 100, each_grey, &seen);
	(void)greylist_sweep(db, &grey, 3000);
	(void)verified_find(db, &verified, bytes_cut(in, 0, 10), 1000, a, &known);
	verified_keep(db, &verified, bytes_cut(in, 0, 10), VERIFIED_BAD, bytes_cut(in, 5, 50), 1000);
	(void)verified_list(db, BYTES(""), 100, each_verified, &seen);
	(void)verified_sweep(db, &verified, 3000);
	arena_close(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	static const char *const files[] = { "", "-wal", "-shm" };
	struct bytes             in = { (const char *)at, len };
	struct buffer            errors = { 0 };
	struct policydb         *db;
	char                     dir[] = "/tmp/fuzz-greylist-XXXXXX", path[64], name[80];
	int                      fd;

	/* what is said of a broken file is not what is looked for here */
	static int silent = -1;
	if (silent < 0 && (silent = open("/dev/null", O_WRONLY | O_CLOEXEC)) >= 0)
		journal_open(JOURNAL_FILE, silent, false, "fuzz");
	if (mkdtemp(dir) == NULL)
		return 0;
	(void)snprintf(path, sizeof path, "%s/policy.db", dir);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd >= 0 && write(fd, in.at, in.len) == (ssize_t)in.len &&
	    (db = policydb_open(path, &errors)) != NULL) {
		use(db, in);
		policydb_close(&db);
	}
	if (fd >= 0)
		(void)close(fd);
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(name, sizeof name, "%s%s", path, files[i]);
		(void)unlink(name);
	}
	(void)rmdir(dir);
	buffer_free(&errors);
	return 0;
}
