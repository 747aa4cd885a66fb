/* folder-look.c -- what others did to a folder: new files, vanished ones, other flags (foreign.h) */
#include "store/foreign.h"

#include "base/clock.h"
#include "base/journal.h"
#include "message/digest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* A uid that somebody else gave leaves us as many as there are below. */
enum { FOREIGN_UID_MOST = INT32_MAX };
/* Letters of one folder that are with verifiers at a time. */
enum { ASKED_MOST = 8 };
/* A stamp as young as this may hide a change that came with it. */
enum { STAMP_SURE_S = 2 };
/* What took a thread to look at is not looked at again for so long while its stamp is the same, however young that is. */
enum { LONG_LOOK_MS = 1000 };
/* A file that cannot be read is tried again after so long, and told of once in that time. */
enum { UNREADABLE_S = 10 };
/* Whoever waits for another program's lock waits no longer than this. */
enum { LOCKED_MOST_MS = 10000 };
/* More than a turn of a conversion brings. */
enum { STRANGERS_MOST = 4096 };

/* ---- files that are no messages yet ---- */

static int
by_age(const void *one, const void *other)
{
	const struct fresh *a = one, *b = other;

	if (a->uid != b->uid && (a->uid != 0 || b->uid != 0))
		return a->uid == 0 ? 1 : b->uid == 0 ? -1 : a->uid < b->uid ? -1 : 1;
	if (a->file->at != b->file->at)
		return a->file->at < b->file->at ? -1 : 1;
	if (a->date != b->date)
		return a->date < b->date ? -1 : 1;
	return strcmp(a->file->name, b->file->name);
}

static struct file *
fresh_add(struct folder *f, const struct found *found)
{
	struct file *file = memory_take(sizeof *file);

	file->name = memcpy(memory_take(found->name.len + 1), found->name.at, found->name.len);
	file->where = memcpy(memory_take(found->where.len + 1), found->where.at, found->where.len);
	file->at = found->at;
	file->len = found->len;
	file->outside = file->flags = found->flags;
	file->seen = true;
	if (f->fresh_count == f->fresh_room) {
		f->fresh_room = f->fresh_room ? f->fresh_room * 2 : 64;
		f->fresh = memory_resize(f->fresh, f->fresh_room * sizeof *f->fresh);
	}
	f->fresh[f->fresh_count++] = (struct fresh){
		.file = file, .date = found->date, .zone = found->zone, .uid = found->uid
	};
	return file;
}

static void settle(struct folder *);

/* In the order they came, whatever order the verifiers answered in. */
static int
enter_one(struct folder *f, struct fresh *x)
{
	struct mailbox *m = f->mailbox;
	struct account *a = m->account;
	struct arrival  v = { .size = x->size,
		              .internal_date = x->date,
		              .zone = x->zone,
		              .flags = flags_inner(m, 0, x->file->outside) };
	struct digest   digest;
	struct file    *file = x->file;
	uint32_t        uid = x->uid != 0 ? x->uid : f->former; /* those that had uids come first */
	int             why;

	if (digest_view(buffer_bytes(&x->digest), &digest))
		v.sent_date = digest.sent;
	if ((why = account_change(a)) != 0)
		return why;
	if ((file->message = place_message(a)) == 0)
		return EDQUOT;
	/* The former owner's next uid: what it gave before is not given again (rfc9051:2.3.1.1). */
	if (uid >= m->uidnext && uid <= FOREIGN_UID_MOST)
		m->uidnext = uid;
	x->file = NULL;
	return folder_enter(f, file, &v, buffer_bytes(&x->digest), &uid);
}

/* EPERM is our own word: the kernel would have let us read it (driver.h). */
static void
unreadable(struct folder *f, const struct file *file, int why)
{
	struct buffer path = { 0 };

	if (f->again > clock_wall())
		return;
	folder_path(f, file, &path);
	warn_("account %" PRIu64 ", mailbox %s: %.*s cannot be read: %s", f->mailbox->account->id,
	      f->mailbox->name, (int)path.len, path.at,
	      why == EPERM
	              ? "it is another user's than the directory it lies in, or no file; give it to that user (chown)"
	              : strerror(why));
	buffer_free(&path);
	f->again = clock_wall() + UNREADABLE_S;
}

static bool
enter_ready(struct folder *f)
{
	struct account *a = f->mailbox->account;

	while (f->entered < f->asked && f->fresh[f->entered].answered) {
		struct fresh *x = &f->fresh[f->entered++];
		int           why = x->why;
		if (why == 0)
			why = enter_one(f, x);
		if (a->failed != 0)
			return false; /* all was loaded anew: f is no more */
		if (why == 0)
			continue;
		if (why == EBUSY) {
			/* Locked just now by another program: the next look finds it once more, and soon. */
			f->stamped = 0;
			(void)folder_locked(f);
		} else if (x->file != NULL && why != ENOENT)
			unreadable(f, x->file, why);
	}
	return true;
}

static void
digested(void *who, int why, struct bytes digest)
{
	struct inquiry *q = who, **p;
	struct folder  *f = q->folder;

	if (f != NULL) {
		struct account *a = f->mailbox->account;
		struct fresh   *x = &f->fresh[q->which];
		for (p = &f->inquiries; *p != q; p = &(*p)->next)
			;
		*p = q->next;
		f->open--;
		x->answered = true;
		/* What kills verifiers is a message nobody can look into: the rest goes on. */
		if (why == 0)
			buffer_add(&x->digest, digest);
		store_hold(a);
		if (!f->scanning) /* else when all is known */
			settle(f);
		account_drop(&a);
	}
	memory_free(q);
}

static void
ask_one(struct folder *f, size_t which)
{
	struct store   *s = f->mailbox->account->store;
	struct fresh   *x = &f->fresh[which];
	struct inquiry *q;
	struct stat     st;
	uint64_t        at, len;
	int             fd, lies;

	lies = f->place->driver->content(f, x->file, &at, &len);
	if (lies >= 0 && !f->place->driver->dated && fstat(lies, &st) == 0)
		x->date = st.st_mtim.tv_sec;
	if (lies < 0 || (fd = content_crlf(s, lies, false, &at, &len)) < 0) {
		x->why = errno;
		x->answered = true;
		return;
	}
	x->size = len;
	q = memory_take(sizeof *q);
	*q = (struct inquiry){ f, which, f->inquiries };
	f->inquiries = q;
	f->open++;
	s->needs.digest(s->ctx, fd, at, len, digested, q);
	(void)close(fd);
}

/* That its messages are being taken over is a row of the index from the first of them to the last: whoever is killed in
   between goes on with the uids of the rest. */
static const char *
taking_name(const struct mailbox *m, char out[static 40])
{
	(void)snprintf(out, 40, "former %" PRIu64, m->id);
	return out;
}

static void
taking_ends(struct mailbox *m)
{
	char          name[40];
	sqlite3_stmt *s;

	if (account_change(m->account) != 0 ||
	    (s = index_ready(m->account->index, META_DROP)) == NULL)
		return;
	(void)sqlite3_bind_text(s, 1, taking_name(m, name), -1, SQLITE_STATIC);
	(void)index_do(m->account->index, s);
}

/* All that had uids have them: those given to what was expunged are not given again (rfc9051:2.3.1.1). */
static void
take_uidnext(struct folder *f)
{
	struct mailbox *m = f->mailbox;

	if (f->former > m->uidnext && account_change(m->account) == 0 && mailbox_flush(m) == 0) {
		m->uidnext = f->former;
		(void)mailbox_snapshot(m);
	}
	if (f->former != 0 && m->account->failed == 0)
		taking_ends(m);
	f->former = 0;
}

/* Asks as long as there is something to ask; tells who waits when all are in. */
static void
settle(struct folder *f)
{
	const struct store *store = f->mailbox->account->store;

	do {
		while (f->asked < f->fresh_count && f->open < ASKED_MOST &&
		       store->needs.digest != NULL)
			ask_one(f, f->asked++);
		if (!enter_ready(f))
			return;
	} while (f->entered == f->asked && f->asked < f->fresh_count &&
	         store->needs.digest != NULL);
	if (f->entered < f->fresh_count)
		return;
	for (size_t i = 0; i < f->fresh_count; i++) {
		file_free(f->fresh[i].file);
		buffer_free(&f->fresh[i].digest);
	}
	f->fresh_count = f->asked = f->entered = 0;
	take_uidnext(f);
	folder_settled(f);
}

/* ---- comparing ---- */

struct looking {
	struct folder *folder;
	size_t         first;   /* of what is fresh                        */
	struct map    *waiting; /* what is fresh, by name                  */
	struct stamp   stamp;   /* of the folder when it was begun         */
	int64_t        began;
	bool           again; /* for the second time                     */
	bool           now;   /* we are in it                            */
	bool           wide;  /* it took more than one turn              */
};

static void
set_where(struct file *f, const struct found *found)
{
	f->at = found->at;
	f->len = found->len;
	if (f->where != NULL && bytes_equal(bytes_of(f->where), found->where))
		return;
	memory_free(f->where);
	f->where = memcpy(memory_take(found->where.len + 1), found->where.at, found->where.len);
}

static struct map *
waiting(const struct folder *f)
{
	struct map *names = map_open();

	for (size_t i = f->entered; i < f->fresh_count; i++)
		if (f->fresh[i].file != NULL)
			(void)map_put(names, bytes_of(f->fresh[i].file->name), f->fresh[i].file);
	return names;
}

static void
there(void *ctx, const struct found *found)
{
	struct looking *l = ctx;
	struct folder  *f = l->folder;
	struct file    *file = map_get(f->by_name, found->name);

	if (file == NULL)
		file = map_get(l->waiting, found->name);
	if (file == NULL) {
		/* Met again when the list is read once more, it is no other. */
		(void)map_put(l->waiting, found->name, fresh_add(f, found));
		return;
	}
	if (file->seen && file->message != 0)
		return; /* it was moved while we read the list */
	set_where(file, found);
	file->seen = true;
	file->found = found->flags;
}

/* Flags of both sides: whoever changed one last time it was looked at is right. */
static void
merge(struct folder *f, struct file *file, uint32_t row, uint64_t mask)
{
	struct mailbox  *m = f->mailbox;
	uint64_t         ours = flags_outer(m, m->rows.flags[row]), now = file->found & mask;
	uint64_t         delta = (now ^ file->outside) & mask;
	struct uid_range one = { m->rows.uid[row], m->rows.uid[row] };
	struct uid_set   set = { &one, 1 };
	uint64_t         both = (ours & ~delta) | (now & delta);

	if (delta != 0) {
		sqlite3_stmt *s;
		file->outside = (file->outside & ~mask) | now;
		if (account_change(m->account) != 0 ||
		    (s = index_ready(m->account->index, FILE_OUTSIDE)) == NULL)
			return;
		(void)sqlite3_bind_int64(s, 1, (int64_t)file->message);
		(void)sqlite3_bind_int64(s, 2, (int64_t)file->outside);
		(void)index_do(m->account->index, s);
	}
	if (both != ours &&
	    mailbox_flags(m, &set, FLAGS_SET, flags_inner(m, m->rows.flags[row], both), UINT64_MAX,
	                  NULL, NULL, NULL) != 0)
		return;
	file->flags = both;
	file->changed = (both & mask) != now;
}

/* Files that are not there any more, but for those on their way. */
static size_t
missing(const struct folder *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->count; i++)
		n += !f->file[i]->seen && !f->file[i]->landing;
	return n;
}

/* What the owner before us called it, so that clients need not fetch it all again. */
static int
take_over(struct folder *f)
{
	struct mailbox *m = f->mailbox;
	struct account *a = m->account;
	uint32_t        uidvalidity, uidnext;
	uint64_t        begun = 0;
	char            name[40];
	int             why = 0;

	if (f->former != 0 || f->fresh_count > 0)
		return 0;
	if ((m->uidnext > 1 || m->rows.count > 0 || f->count > 0) &&
	    account_meta_get(a, taking_name(m, name), &begun) != 0)
		return 0;
	errno = 0;
	if (!f->place->driver->former(f, &uidvalidity, &uidnext)) {
		f->former = (uint32_t)begun;
		return errno == EBUSY ? EBUSY : 0;
	}
	if (uidnext > FOREIGN_UID_MOST)
		uidnext = 0;
	if (begun == 0 && uidvalidity != 0 && uidvalidity != m->uidvalidity)
		why = mailbox_validity(m, uidvalidity);
	if (why == 0 && uidnext > begun && (why = account_change(a)) == 0 &&
	    (why = account_meta_put(a, taking_name(m, name), uidnext)) != 0)
		why = account_fail(a, why);
	if (why == 0)
		f->former = uidnext > begun ? uidnext : (uint32_t)begun;
	return why;
}

/* EAGAIN: some of it was read, and there is more. */
static int
scan_some(struct folder *f, struct looking *l)
{
	const struct driver *d = f->place->driver;

	if (d->scan_some == NULL || f->mailbox->account->store->needs.later == NULL)
		return d->scan(f, there, l);
	return d->scan_some(f, there, l);
}

/* A file that is renamed while the directory is read may be seen under neither name: once more. */
static int
scan(struct folder *f, struct looking *l)
{
	int why;

	if ((why = scan_some(f, l)) != 0 || f->place->driver->sure || l->again || missing(f) == 0)
		return why;
	l->again = true;
	return scan_some(f, l);
}

/* What is not there is gone from the mailbox too; nobody needs to remove it. */
static int
vanish(struct folder *f)
{
	struct mailbox *m = f->mailbox;
	struct uid_list gone = { 0 };
	struct uid_set  set;
	size_t          kept = 0;
	int             why = 0;

	for (uint32_t i = 0; i < m->rows.count; i++) {
		struct file *file = folder_file(f, m->rows.message[i]);
		if (file == NULL || (!file->seen && !file->landing))
			uid_list_add(&gone, m->rows.uid[i], false);
	}
	if (missing(f) > 0 && (why = account_change(m->account)) == 0) {
		for (size_t i = 0; i < f->count; i++) {
			struct file  *file = f->file[i];
			sqlite3_stmt *s;
			if (file->seen || file->landing) {
				f->file[kept++] = file;
				continue;
			}
			if ((s = index_ready(m->account->index, FILE_OVER)) != NULL) {
				(void)sqlite3_bind_int64(s, 1, (int64_t)file->message);
				(void)index_do(m->account->index, s);
			}
			contents_forget(m->account->store, m->account->id, file->message);
			(void)map_drop(f->by_name, bytes_of(file->name));
			file_free(file);
		}
		f->count = kept;
	}
	set = uid_list_set(&gone);
	if (gone.count > 0 && why == 0)
		why = mailbox_expunge(m, &set, true, NULL, NULL, NULL);
	uid_list_free(&gone);
	return why;
}

static int
compare(struct folder *f, uint64_t mask)
{
	struct mailbox *m = f->mailbox;
	bool            changes = false;
	int             why;

	for (uint32_t i = 0; i < m->rows.count; i++) {
		struct file *file = folder_file(f, m->rows.message[i]);
		if (file == NULL || !file->seen || file->gone || file->landing)
			continue;
		if (((file->found ^ file->outside) & mask) != 0 ||
		    ((flags_outer(m, m->rows.flags[i]) ^ file->outside) & mask) != 0)
			merge(f, file, i, mask);
		if (m->account->failed != 0)
			return m->account->failed;
	}
	if ((why = vanish(f)) != 0)
		return why;
	for (size_t i = 0; i < f->count; i++)
		changes = changes || f->file[i]->changed || f->file[i]->gone;
	if (changes && !m->account->dirty && !m->account->syncing)
		place_durable(m->account);
	return 0;
}

static bool
unchanged(struct folder *f, struct stamp *now)
{
	if (!f->place->driver->stamp(f, now))
		return false;
	if (f->again != 0 && clock_wall() >= f->again)
		return false;
	if (memcmp(now, &f->stamp, sizeof *now) != 0)
		return false;
	/* Whoever waited for a long look does not begin the next. */
	if (clock_patient_ms() - f->looked < LONG_LOOK_MS)
		return true;
	return f->stamped != 0 && (!f->stale || f->place->driver->sure);
}

static int
look_begin(struct folder *f, const struct stamp *now)
{
	struct looking *l = memory_take(sizeof *l);

	*l = (struct looking){ .folder = f,
		               .first = f->fresh_count,
		               .waiting = waiting(f),
		               .stamp = *now,
		               .began = clock_wall() };
	f->looking = l;
	f->scanning = true;
	f->stale = false;
	if (f->again <= l->began)
		f->again = 0;
	for (size_t i = 0; i < f->count; i++)
		f->file[i]->seen = false;
	return take_over(f);
}

void
folder_look_end(struct folder *f)
{
	struct looking *l = f->looking;

	f->looking = NULL;
	f->scanning = false;
	if (l == NULL)
		return;
	map_close(&l->waiting);
	memory_free(l);
}

/* All was seen: what is different becomes facts. */
static int
look_over(struct folder *f, const struct looking *l)
{
	const struct stamp *now = &l->stamp;
	int                 why;

	f->locked = 0;
	if (l->wide)
		f->looked = clock_patient_ms();
	if ((why = compare(f, f->place->driver->letters(f))) != 0)
		return why;
	f->stamp = *now;
	f->stamped = l->began;
	for (size_t i = 0; i < COUNT(now->at); i += 2)
		if (now->at[i] != 0 && l->began - now->at[i] < STAMP_SURE_S)
			f->stamped = 0;
	if (f->fresh_count > l->first)
		qsort(f->fresh + l->first, f->fresh_count - l->first, sizeof *f->fresh, by_age);
	if (f->fresh_count > 0)
		settle(f);
	else
		take_uidnext(f);
	return 0;
}

int
folder_look(struct mailbox *m, bool force)
{
	struct folder *f = m->folder;
	struct looking l;
	struct stamp   now = { { 0 } };
	int            why = 0;

	if (f == NULL || m->gone || (f->looking != NULL && f->looking->now))
		return 0;
	if (f->looking == NULL) {
		if (unchanged(f, &now) && !force)
			return 0;
		why = look_begin(f, &now);
		if (m->folder != f)
			return why; /* all was loaded anew */
	}
	f->looking->now = true;
	if (why == 0)
		why = scan(f, f->looking);
	f->looking->now = false;
	if (why == EAGAIN) {
		f->looking->wide = true;
		return EBUSY; /* with its list being read */
	}
	l = *f->looking;
	folder_look_end(f);
	if (why != 0 && why != EBUSY)
		warn_("account %" PRIu64 ", mailbox %s: %s cannot be read: %s", m->account->id,
		      m->name, account_location(m->account), strerror(why));
	if (why != 0 && f->fresh_count > 0 && why != EBUSY)
		settle(f);
	/* What the system forbids us is no right that the reader lacks. */
	return why == EACCES || why == EPERM ? EIO : why != 0 ? why : look_over(f, &l);
}

static void
only_where(void *ctx, const struct found *found)
{
	struct folder *f = ctx;
	struct file   *file = map_get(f->by_name, found->name);

	if (file != NULL)
		set_where(file, found);
}

int
folder_refresh(struct folder *f)
{
	f->stamped = 0;
	return f->place->driver->scan(f, only_where, f);
}

/* What a conversion that was cut short had written last, it may not have written down. */
static void
ours_or_not(void *ctx, const struct found *found)
{
	struct folder *f = ctx;
	struct file   *file = map_get(f->by_name, found->name);

	if (file == NULL && map_count(f->strangers) < STRANGERS_MOST) {
		file = memory_take(sizeof *file);
		file->name =
			memcpy(memory_take(found->name.len + 1), found->name.at, found->name.len);
		file->outside = found->flags;
		file_free(map_put(f->strangers, found->name, file));
	}
	if (file != NULL) {
		set_where(file, found);
		file->seen = true;
	}
}

int
folder_resume(struct folder *f)
{
	f->stamped = 0;
	f->strangers = map_open();
	for (size_t i = 0; i < f->count; i++)
		f->file[i]->seen = false;
	return f->place->driver->scan(f, ours_or_not, f);
}

/* ---- what is waited for ---- */

static void
wait_for(struct folder *f, void (*fn)(void *ctx), void *ctx)
{
	struct settling *s = memory_take(sizeof *s);

	*s = (struct settling){ fn, ctx, f->settling };
	f->settling = s;
}

bool
folder_locked(struct folder *f)
{
	struct store *s = f->mailbox->account->store;
	int64_t       now = clock_patient_ms();

	if (f->locked == 0)
		f->locked = now;
	if (s->needs.later == NULL)
		return false;
	f->retry = true;
	s->needs.later(s->ctx);
	return now - f->locked < LOCKED_MOST_MS;
}

bool
mailbox_wait(struct mailbox *m, void (*fn)(void *ctx), void *ctx)
{
	if (m->folder == NULL || !folder_locked(m->folder))
		return false;
	wait_for(m->folder, fn, ctx);
	return true;
}

/* However fast others change it, who waited for a long look is answered; what came since is known by the next. */
static bool
was_just_looked_at(const struct folder *f)
{
	return f->looked != 0 && f->fresh_count == 0 &&
	       clock_patient_ms() - f->looked < LONG_LOOK_MS;
}

bool
mailbox_sync(struct mailbox *m, void (*fn)(void *ctx), void *ctx)
{
	int why;

	if (m->folder != NULL && was_just_looked_at(m->folder))
		return true;
	why = m->folder != NULL ? folder_look(m, false) : 0;
	if (m->folder == NULL || (why != 0 && why != EBUSY))
		return true;
	if (why == EBUSY ? !folder_locked(m->folder)
	                 : m->folder->fresh_count == 0 || m->account->store->needs.digest == NULL)
		return true;
	if (fn != NULL)
		wait_for(m->folder, fn, ctx);
	return false;
}

bool
folder_retry(struct mailbox *m)
{
	struct account *a = m->account;
	struct folder  *f = m->folder;
	int             why;

	f->retry = false;
	store_hold(a);
	why = folder_look(m, false);
	if (m->folder == f && why == EBUSY && !folder_locked(f))
		folder_settled(f);
	else if (m->folder == f && why != EBUSY && f->fresh_count == 0)
		folder_settled(f);
	if (m->folder == f && !a->dirty && !a->syncing)
		place_durable(a);
	account_drop(&a);
	return m->folder != f;
}

void
store_later(struct store *s)
{
	for (struct account *a = s->all; a != NULL; a = a->next)
		for (struct mailbox *m = a->mailboxes; a->place != NULL && m != NULL; m = m->next)
			if (m->folder != NULL && m->folder->retry && folder_retry(m)) {
				s->needs.later(s->ctx); /* the list is another now */
				return;
			}
}

void
mailbox_sync_drop(struct mailbox *m, void *ctx)
{
	if (m->folder == NULL)
		return;
	for (struct settling **p = &m->folder->settling; *p != NULL;) {
		struct settling *s = *p;
		if (s->ctx != ctx) {
			p = &s->next;
			continue;
		}
		*p = s->next;
		memory_free(s);
	}
}

/* ---- news from the kernel ---- */

int
store_news_fd(struct store *s)
{
	if (s->news < 0) {
		s->news = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
		s->watched = map_open();
	}
	return s->news;
}

static struct bytes
watch_key(const int *n)
{
	return (struct bytes){ (const char *)n, sizeof *n };
}

void
folder_watch(struct mailbox *m)
{
	struct folder *f = m->folder;
	struct store  *s = m->account->store;
	char           path[2][1200];
	unsigned       n;

	if (s->news < 0 || f->watch[0] >= 0)
		return;
	n = f->place->driver->paths(f, path);
	for (unsigned i = 0; i < n; i++) {
		f->watch[i] = inotify_add_watch(s->news, path[i],
		                                IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM |
		                                        IN_DELETE | IN_MODIFY | IN_DONT_FOLLOW);
		if (f->watch[i] >= 0)
			(void)map_put(s->watched, watch_key(&f->watch[i]), f);
	}
}

void
folder_unwatch(struct folder *f)
{
	struct store *s = f->mailbox->account->store;

	for (unsigned i = 0; i < 2; i++) {
		if (f->watch[i] < 0)
			continue;
		(void)inotify_rm_watch(s->news, f->watch[i]);
		(void)map_drop(s->watched, watch_key(&f->watch[i]));
		f->watch[i] = -1;
	}
}

/* What we did ourselves is no news: the file is known under that name, or not known by it any more. */
static bool
is_ours(struct folder *f, const struct inotify_event *e)
{
	return e->len > 0 &&
	       f->place->driver->ours(f, e->name, (e->mask & (IN_MOVED_FROM | IN_DELETE)) != 0);
}

void
store_news(struct store *s)
{
	_Alignas(struct inotify_event) char room[16384];
	ssize_t                             n;

	while (s->news >= 0 && (n = read(s->news, room, sizeof room)) > 0)
		for (char *p = room; p < room + n;) {
			const struct inotify_event *e = (const void *)p;
			struct folder              *f = map_get(s->watched, watch_key(&e->wd));
			p += sizeof *e + e->len;
			if (f != NULL && !is_ours(f, e))
				f->stale = true;
		}
	for (struct account *a = s->all; a != NULL; a = a->next)
		for (struct mailbox *m = a->mailboxes; a->place != NULL && m != NULL; m = m->next)
			if (m->folder != NULL && m->folder->stale && m->watches != NULL &&
			    folder_look(m, false) == EBUSY)
				(void)folder_locked(m->folder);
}
