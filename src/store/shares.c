#include "store/shares.h"

#include "store/inside.h"

#include "base/file.h"
#include "base/journal.h"
#include "spool/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MOST = 1 << 20, NAMED_MOST = 10000 };

/* One account's file. */
struct shown {
	struct share  share;
	struct arena *life;
	const char  **who;
	size_t        count, room;
};

struct shares {
	struct map *by_id; /* -> struct shown */
};

struct shares_watch {
	void (*news)(void *ctx);
	void                *ctx;
	struct shares_watch *next;
};

static void
shown_free(struct shown *w)
{
	memory_free(w->who);
	arena_close(&w->life);
	memory_free(w);
}

static bool
names(const struct shown *w, const char *who)
{
	for (size_t i = 0; i < w->count; i++)
		if (strcmp(w->who[i], who) == 0)
			return true;
	return false;
}

static void
name_add(struct shown *w, struct bytes who)
{
	if (w->count == w->room) {
		w->room = w->room ? w->room * 2 : 8;
		w->who = memory_resize(w->who, w->room * sizeof *w->who);
	}
	w->who[w->count++] = arena_copy(w->life, who);
}

/* ---- files ---- */

/* "user jill@example.com\n" and a line for each identifier. */
static struct shown *
shown_read(uint64_t id, struct bytes text)
{
	struct bytes  line;
	struct shown *w;
	bool          group, first = bytes_split(&text, '\n', &line);

	group = first && bytes_starts(line, BYTES("group "));
	if (!first || (!group && !bytes_starts(line, BYTES("user "))))
		return NULL;
	w = memory_take(sizeof *w);
	w->life = arena_open(NULL);
	w->share =
		(struct share){ id, arena_copy(w->life, bytes_cut(line, group ? 6 : 5, SIZE_MAX)),
		                group };
	while (bytes_split(&text, '\n', &line) && w->count < NAMED_MOST)
		if (line.len > 0)
			name_add(w, line);
	return w;
}

static void
shown_load(struct store *s, int dir, const char *name)
{
	struct buffer text = { 0 };
	char          piece[4096];
	uint64_t      id;
	ssize_t       n = 0;
	int           fd;
	struct shown *w;

	if (!bytes_number(bytes_of(name), &id) ||
	    (s->needs.ours != NULL && !s->needs.ours(s->ctx, id)) ||
	    (fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)
		return;
	while (text.len < FILE_MOST && (n = read(fd, piece, sizeof piece)) > 0)
		buffer_add(&text, (struct bytes){ piece, (size_t)n });
	(void)close(fd);
	w = n < 0 ? NULL : shown_read(id, buffer_bytes(&text));
	if (w != NULL)
		(void)map_put(s->shares->by_id, map_number(&id), w);
	else
		warn_("accounts/shared/%s cannot be read; what this account shows is not seen",
		      name);
	buffer_free(&text);
}

static struct shares *
shares_of(struct store *s)
{
	struct dirent *e;
	DIR           *d;
	int            fd;

	if (s->shares != NULL)
		return s->shares;
	s->shares = memory_take(sizeof *s->shares);
	s->shares->by_id = map_open();
	fd = openat(s->accounts, "shared", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || (d = fdopendir(fd)) == NULL) {
		if (errno != ENOENT)
			warn_("accounts/shared: %s", strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return s->shares;
	}
	while ((e = readdir(d)) != NULL)
		shown_load(s, dirfd(d), e->d_name);
	(void)closedir(d);
	return s->shares;
}

void
shares_close(struct store *s)
{
	if (s->shares == NULL)
		return;
	for (struct map_place p = { 0 }; map_next(s->shares->by_id, &p);)
		shown_free(p.value);
	map_close(&s->shares->by_id);
	memory_free(s->shares);
	s->shares = NULL;
}

static int
write_new(int dir, const char *name, struct bytes text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int why;

	if (fd < 0)
		return errno;
	why = file_write(fd, text);
	if (why == 0)
		why = disk_sync(fd);
	(void)close(fd);
	return why;
}

/* The whole file anew, under its name when it is on disk. */
static int
shown_write(struct store *s, const struct shown *w)
{
	struct buffer text = { 0 };
	char          name[64], fresh[72];
	int           why = disk_make(s->accounts, "shared", 0700), fd;

	if (why != 0 && why != EEXIST)
		return why;
	(void)snprintf(name, sizeof name, "shared/%" PRIu64, w->share.account);
	(void)snprintf(fresh, sizeof fresh, "%s.new", name);
	buffer_printf(&text, "%s %s\n", w->share.group ? "group" : "user", w->share.address);
	for (size_t i = 0; i < w->count; i++)
		buffer_printf(&text, "%s\n", w->who[i]);
	why = write_new(s->accounts, fresh, buffer_bytes(&text));
	buffer_free(&text);
	if (why != 0 || (why = disk_rename(s->accounts, fresh, name)) != 0)
		return why;
	if ((fd = openat(s->accounts, "shared", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return errno;
	if ((why = disk_sync_name(fd)) == 0)
		why = disk_sync_name(s->accounts);
	(void)close(fd);
	return why;
}

struct shares_watch *
shares_watch(struct store *s, void (*news)(void *ctx), void *ctx)
{
	struct shares_watch *w = memory_take(sizeof *w);

	*w = (struct shares_watch){ news, ctx, s->shares_watches };
	s->shares_watches = w;
	return w;
}

void
shares_unwatch(struct store *s, struct shares_watch **wp)
{
	struct shares_watch *w = *wp, **p;

	*wp = NULL;
	if (w == NULL)
		return;
	for (p = &s->shares_watches; *p != w; p = &(*p)->next)
		;
	*p = w->next;
	if (s->shares_telling == w)
		s->shares_telling = w->next;
	memory_free(w);
}

static void
shares_tell(struct store *s)
{
	struct shares_watch *w = s->shares_watches;

	while (w != NULL) {
		s->shares_telling = w->next;
		w->news(w->ctx);
		w = s->shares_telling;
	}
}

int
shares_note(struct store *s, const struct share *share, const char *who)
{
	struct map   *all = shares_of(s)->by_id;
	struct shown *w = map_get(all, map_number(&share->account));
	uint64_t      id = share->account;
	int           why;

	if (strchr(who, '\n') != NULL)
		return EINVAL;
	if (w == NULL) {
		w = memory_take(sizeof *w);
		w->life = arena_open(NULL);
		w->share = (struct share){ id, arena_copy(w->life, bytes_of(share->address)),
			                   share->group };
		(void)map_put(all, map_number(&id), w);
	} else if (names(w, who)) {
		return 0;
	}
	if (w->count >= NAMED_MOST)
		return EDQUOT;
	name_add(w, bytes_of(who));
	if ((why = shown_write(s, w)) != 0)
		w->count--; /* noted when it is tried again */
	else
		shares_tell(s);
	return why;
}

bool
shares_find(struct store *s, const char *address, bool group, struct share *out)
{
	for (struct map_place p = { 0 }; map_next(shares_of(s)->by_id, &p);) {
		const struct shown *w = p.value;
		if (w->share.group == group && strcmp(w->share.address, address) == 0) {
			*out = w->share;
			return true;
		}
	}
	return false;
}

static bool
names_reader(const struct shown *w, const struct reader *r)
{
	char group[IDENTIFIER_MOST + 2];

	if (names(w, "anyone") || names(w, "authenticated") || names(w, r->address))
		return true;
	for (size_t i = 0; i < r->groups; i++) {
		(void)snprintf(group, sizeof group, "$%s", r->group[i]);
		if (names(w, group))
			return true;
	}
	return false;
}

static int
by_address(const void *one, const void *other)
{
	return strcmp(((const struct share *)one)->address, ((const struct share *)other)->address);
}

size_t
shares_each(struct store *s, const struct reader *r, struct arena *arena, struct share **out)
{
	struct map *all = shares_of(s)->by_id;
	size_t      n = 0;

	*out = arena_take_array(arena, map_count(all) + 1, sizeof **out);
	for (struct map_place p = { 0 }; map_next(all, &p);) {
		const struct shown *w = p.value;
		if (w->share.account == r->account || !names_reader(w, r))
			continue;
		(*out)[n] = w->share;
		(*out)[n++].address = arena_copy(arena, bytes_of(w->share.address));
	}
	qsort(*out, n, sizeof **out, by_address);
	return n;
}

static bool
names_address(const struct shown *w, struct bytes address)
{
	for (size_t i = 0; i < w->count; i++) {
		struct bytes who = bytes_of(w->who[i]);
		while (who.len > 0 && (who.at[0] == '-' || who.at[0] == '$'))
			who = bytes_cut(who, 1, SIZE_MAX);
		if (bytes_equal(who, address))
			return true;
	}
	return false;
}

void
shares_revoke(struct store *s, struct bytes address, int64_t until)
{
	for (struct map_place p = { 0 }; map_next(shares_of(s)->by_id, &p);) {
		const struct shown *w = p.value;
		int                 why = 0;
		struct account     *a;

		if (!names_address(w, address))
			continue;
		if ((a = account_take(s, w->share.account, &why)) != NULL)
			why = acl_revoke(a, address, until);
		if (why != 0)
			warn_("account %" PRIu64 " still shows something to %.*s, who is gone: %s",
			      w->share.account, (int)address.len, address.at, strerror(why));
		account_drop(&a);
	}
}

void
shares_forget(struct store *s, uint64_t account)
{
	struct shown *w = map_drop(shares_of(s)->by_id, map_number(&account));
	char          name[64];

	if (w == NULL)
		return;
	shown_free(w);
	(void)snprintf(name, sizeof name, "shared/%" PRIu64, account);
	(void)disk_unlink(s->accounts, name, 0);
}
