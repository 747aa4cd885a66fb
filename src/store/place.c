/* place.c -- an account whose letters lie outside: where, and which folders there are (foreign.h) */
#include "store/foreign.h"

#include "base/clock.h"
#include "base/journal.h"
#include "spool/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TOLD_S = 60 };

static const struct driver *const drivers[] = {
	[LOCATION_MAILDIR] = &maildir_driver,
	[LOCATION_MAILDIR_FS] = &maildir_fs_driver,
	[LOCATION_MBOX] = &mbox_driver,
};

/* ---- the way there ---- */

/* A directory that was made is durable with its name.  One that may be written to but not read is synced with the
   file system some time later. */
static int
sync_above(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), why;

	if (fd < 0)
		return errno;
	why = disk_sync_name(fd);
	(void)close(fd);
	return why;
}

/* One that only root can make, move or remove: nobody can put another in its place meanwhile. */
bool
path_is_link_of_root(int dir, const char *name)
{
	struct stat above, st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode) &&
	       st.st_uid == 0 && fstatat(dir, "", &above, AT_EMPTY_PATH) == 0 &&
	       above.st_uid == 0 &&
	       ((above.st_mode & (S_IWGRP | S_IWOTH)) == 0 || (above.st_mode & S_ISVTX) != 0);
}

/* One step down.  A link is followed if root made it: /var/mail is one on many a machine. */
static int
step_down(int dir, const char *name, bool make)
{
	int fd, how = O_RDONLY | O_DIRECTORY | O_CLOEXEC, why = EEXIST;

	if (make) {
		if (mkdirat(dir, name, 0700) == 0)
			(void)sync_above(dir);
		else if ((why = errno) != EEXIST && why != EROFS && why != EACCES)
			return -1;
	}
	if ((fd = openat(dir, name, how | O_NOFOLLOW)) >= 0)
		return fd;
	/* It is not there because it could not be made. */
	if (errno == ENOENT && why != EEXIST)
		errno = why;
	if (errno != ELOOP && errno != ENOTDIR)
		return -1;
	if (!path_is_link_of_root(dir, name)) {
		errno = ELOOP;
		return -1;
	}
	return openat(dir, name, how);
}

/* Directories above a place may be ones we can pass but not read. */
static int
pass_down(int dir, const char *name)
{
	int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0 || (errno != ELOOP && errno != ENOTDIR))
		return fd;
	if (!path_is_link_of_root(dir, name)) {
		errno = ELOOP;
		return -1;
	}
	return openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int
place_directory(const char *path, bool make)
{
	struct bytes rest = bytes_of(path), part;
	char         name[256];
	int          fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), next, why;

	while (fd >= 0 && bytes_split(&rest, '/', &part)) {
		bool last = rest.len == 0;
		if (part.len == 0)
			continue;
		if (!bytes_string(part, name, sizeof name)) {
			next = -1;
			errno = ENAMETOOLONG;
		} else if ((next = last ? step_down(fd, name, make) : pass_down(fd, name)) < 0 &&
		           errno == ENOENT && make && !last) {
			next = step_down(fd, name, true);
		}
		why = errno;
		(void)close(fd);
		errno = why;
		fd = next;
	}
	return fd;
}

void
stamp_add(struct stamp *out, int dir)
{
	struct stat st;

	if (fstat(dir, &st) < 0)
		return;
	out->at[1] += st.st_mtim.tv_nsec;
	out->at[3] += st.st_mtim.tv_sec;
	if (st.st_mtim.tv_sec > out->at[0])
		out->at[0] = st.st_mtim.tv_sec;
}

bool
location_folder(const struct location *l, const char *folder, struct buffer *out)
{
	size_t before = out->len;

	if (l->kind != LOCATION_LOG)
		drivers[l->kind]->path(l, folder, out);
	return out->len > before;
}

/* ---- opening ---- */

/* Whoever wants the account runs into it, some of them again and again.  One that is locked for now is no matter of the log. */
int
place_refuses(struct account *a, const char *location, int why)
{
	int64_t now = clock_wall();
	size_t  i = a->id % COUNT(a->store->told);

	if (why == 0 || why == EBUSY ||
	    (a->store->told[i].account == a->id && a->store->told[i].why == why &&
	     now < a->store->told[i].until))
		return why;
	a->store->told[i].account = a->id;
	a->store->told[i].why = why;
	a->store->told[i].until = now + TOLD_S;
	fault("account %" PRIu64 ": %s: %s", a->id, location, strerror(why));
	return why;
}

int
place_make(struct account *a, const char *text, struct place **out)
{
	struct place *p = memory_take(sizeof *p);
	int           why = 0;

	p->account = a;
	p->root = -1;
	p->life = arena_open(NULL);
	if (!location_read(text, p->life, &p->location) || p->location.kind == LOCATION_LOG) {
		why = EINVAL;
	} else {
		p->driver = drivers[p->location.kind];
		if ((p->root = place_directory(p->location.root, true)) < 0)
			why = errno;
		else
			why = p->driver->open(p);
	}
	if (why == 0) {
		*out = p;
		return 0;
	}
	(void)place_refuses(a, text, why);
	if (p->root >= 0)
		(void)close(p->root);
	arena_close(&p->life);
	memory_free(p);
	return why;
}

void
place_free(struct place *p)
{
	if (p == NULL)
		return;
	p->driver->close(p);
	(void)close(p->root);
	arena_close(&p->life);
	memory_free(p);
}

int
place_open(struct account *a, const char *text)
{
	return place_make(a, text, &a->place);
}

void
place_close(struct account *a)
{
	struct place *p = a->place;

	a->place = NULL;
	if (p != NULL)
		landing_free(&a->landing, true);
	place_free(p);
}

const char *
account_location(const struct account *a)
{
	return a->location != NULL ? a->location : "";
}

static bool
has_mail(struct account *a)
{
	for (struct mailbox *m = a->mailboxes; m != NULL; m = m->next)
		if (!m->gone && (mailbox_load(m) != 0 || m->rows.count > 0 || m->uidnext > 1 ||
		                 m->promised > 0))
			return true;
	return false;
}

bool
mailbox_is_outside(const struct mailbox *m)
{
	return m->folder != NULL;
}

bool
account_is_settled(struct account *a)
{
	return a->place != NULL || has_mail(a);
}

static int
put_location(struct account *a, const char *location)
{
	sqlite3_stmt *s;
	int           why = account_change(a);

	if (why != 0)
		return why;
	if ((s = index_ready(a->index, LOCATION_PUT)) == NULL)
		return account_fail(a, index_why(a->index));
	(void)sqlite3_bind_text(s, 1, location, -1, SQLITE_STATIC);
	why = index_do(a->index, s);
	return why == 0 ? 0 : account_fail(a, why);
}

/* What was loaded was of the letter log, and empty: whoever has it open goes on in the place. */
static void
load_anew(struct account *a)
{
	for (struct mailbox *m = a->mailboxes; m != NULL; m = m->next) {
		mailbox_unload(m);
		if (m->gone || m->users == 0)
			continue;
		if (mailbox_load(m) != 0)
			m->gone = true;
		seen_reload(m);
		if (m->folder != NULL && m->watches != NULL)
			folder_watch(m);
		mailbox_tell(m, MAILBOX_LOST, &(struct uid_set){ NULL, 0 }, NULL);
	}
}

int
account_locate(struct account *a, const char *location)
{
	size_t        n = strlen(location) + 1;
	struct place *p;
	int           why;

	if (a->warned || strcmp(account_location(a), location) == 0)
		return 0;
	if (account_is_settled(a)) {
		if (a->place == NULL)
			warn_("account %" PRIu64
			      ": mail_location is \"%s\" now, but its mail lies in \"%s\" and stays there; "
			      "mansio mailbox convert moves it",
			      a->id, location,
			      *account_location(a) ? account_location(a) : "the letter log");
		a->warned = true;
		return 0;
	}
	if ((why = place_make(a, location, &p)) != 0)
		return why;
	if ((why = put_location(a, location)) != 0) {
		place_free(p);
		return why;
	}
	a->place = p;
	memory_free(a->location);
	a->location = memcpy(memory_take(n), location, n);
	load_anew(a);
	place_look(a);
	return 0;
}

int
account_locatable(struct account *a, const char *location)
{
	struct place *p = NULL;
	int           why;

	if (account_is_settled(a) || strcmp(account_location(a), location) == 0)
		return 0;
	why = place_make(a, location, &p);
	place_free(p);
	return why;
}

uint64_t
place_message(struct account *a)
{
	uint64_t id = 1;

	if (account_meta_get(a, "message", &id) != 0)
		id = 1;
	if (id > UINT32_MAX || account_meta_put(a, "message", id + 1) != 0)
		return 0;
	return id;
}

/* ---- the list of folders ---- */

struct listing {
	struct account *account;
	struct map     *there;
	int             why;
};

static void
there(void *ctx, const char *name)
{
	struct listing *l = ctx;

	(void)map_put(l->there, bytes_of(name), l);
	if (l->why == 0 && account_mailbox(l->account, name) == NULL)
		l->why = account_adopt(l->account, name);
}

static void
subscribed(void *ctx, const char *name)
{
	(void)account_subscribe(ctx, name, true);
}

/* False: where nothing may be made it is no mailbox, else every look at it would fail. */
static bool
make_first(struct account *a, const char *name)
{
	int why = a->place->driver->make(a->place, name);

	if (why != 0)
		warn_("account %" PRIu64 ": %s: the mailbox %s cannot be made there: %s", a->id,
		      account_location(a), name, strerror(why));
	return why != EACCES && why != EPERM && why != EROFS;
}

/* Folders we know and that are not there: made, when we never saw the place; else somebody took them away. */
static void
missing(struct account *a, const struct listing *l, bool first)
{
	for (struct mailbox *m = a->mailboxes; m != NULL; m = m->next) {
		if (m->gone || strcmp(m->name, "INBOX") == 0 ||
		    map_get(l->there, bytes_of(m->name)) != NULL)
			continue;
		if (!first || !make_first(a, m->name))
			(void)account_disown(a, m);
	}
}

void
place_look(struct account *a)
{
	struct place  *p = a->place;
	struct stamp   now;
	struct listing l = { .account = a };
	uint64_t       seen = 0;
	bool           first;

	if (p == NULL || p->looking || a->refused != 0 || !p->driver->list_stamp(p, &now))
		return;
	if (p->known && memcmp(&now, &p->listed, sizeof now) == 0)
		return;
	p->looking = true;
	first = account_meta_get(a, "place", &seen) != 0;
	l.there = map_open();
	if ((l.why = p->driver->folders(p, there, &l)) == 0)
		missing(a, &l, first);
	else
		warn_("account %" PRIu64 ": %s: the folders cannot be listed: %s", a->id,
		      account_location(a), strerror(l.why));
	if (first && l.why == 0) {
		p->driver->subscriptions(p, subscribed, a);
		if (account_change(a) == 0)
			(void)account_meta_put(a, "place", 1);
	}
	map_close(&l.there);
	p->known = p->driver->list_stamp(p, &p->listed) && l.why == 0 &&
	           memcmp(&now, &p->listed, sizeof now) == 0;
	p->looking = false;
}

/* ---- after the transaction ---- */

static void
nothing(void *ctx)
{
	(void)ctx;
}

static void
apply_turn(void *ctx)
{
	struct account *a = ctx;

	a->applying = false;
	if (!a->dirty &&
	    !a->syncing) /* else after the batch: what is landing is not to be missed before */
		place_durable(a);
	account_drop(&a);
}

void
place_durable(struct account *a)
{
	bool more = false;

	if (a->place == NULL || a->applying || a->refused != 0)
		return;
	for (struct mailbox *m = a->mailboxes; m != NULL && !more; m = m->next)
		if (m->folder != NULL && !m->gone)
			more = folder_apply(m->folder);
	if (!more)
		return;
	a->applying = true;
	store_hold(a);
	a->store->needs.job(a->store->ctx, nothing, apply_turn, a);
}

void
place_forget(struct account *a)
{
	landing_free(&a->landing, true);
	if (a->place != NULL)
		a->place->known = false;
}
