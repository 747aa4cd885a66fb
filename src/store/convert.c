#include "store/convert.h"

#include "base/journal.h"
#include "spool/disk.h"
#include "store/foreign.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 65536 };

struct conversion {
	struct account *account;
	char           *location;
	struct place   *target; /* NULL: the letter log                     */
	struct map     *done;   /* mailbox << 32 | uid -> message           */
	struct map *
		resumed; /* mailboxes whose files were looked for, as far as a conversion goes on */
	struct mailbox *mailbox; /* where we are                             */
	struct folder  *folder;  /* of it, in the new place                  */
	uint32_t        row;
	uint32_t        uid; /* of the letter in hand: rows move when others go */
	struct arena   *scratch;
	struct message  message; /* the letter in hand                       */
	struct bytes    prefix, digest;
};

static uint64_t
key_of(const struct mailbox *m, uint32_t uid)
{
	return m->id << 32 | uid;
}

static uint64_t
converted(const struct conversion *c, const struct mailbox *m, uint32_t row)
{
	uint64_t key = key_of(m, m->rows.uid[row]);

	return (uint64_t)(uintptr_t)map_get(c->done, map_number(&key));
}

static int
read_done(struct conversion *c)
{
	sqlite3_stmt *s = index_ready(c->account->index, CONVERTED_ALL);
	int           more;

	if (s == NULL)
		return index_why(c->account->index);
	while ((more = index_row(c->account->index, s)) == 1) {
		uint64_t key = (uint64_t)sqlite3_column_int64(s, 0) << 32 |
		               (uint64_t)sqlite3_column_int64(s, 1);
		(void)map_put(c->done, map_number(&key),
		              (void *)(uintptr_t)sqlite3_column_int64(s, 2));
	}
	return more < 0 ? index_why(c->account->index) : 0;
}

static int
run(struct account *a, enum statement which, const char *text)
{
	sqlite3_stmt *s = index_ready(a->index, which);

	if (s == NULL)
		return index_why(a->index);
	if (text != NULL)
		(void)sqlite3_bind_text(s, 1, text, -1, SQLITE_STATIC);
	return index_do(a->index, s);
}

/* ---- whether anything lies there ---- */

struct tenants {
	struct conversion *conversion;
	int                why;
};

static void
letter_there(void *ctx, const struct found *found)
{
	struct tenants *t = ctx;

	(void)found;
	t->why = EEXIST;
}

/* A letter in this folder of the new place: it would become one more message. */
static void
folder_there(void *ctx, const char *name)
{
	struct tenants      *t = ctx;
	struct place        *p = t->conversion->target;
	struct mailbox       m = { .account = t->conversion->account };
	const struct driver *d = p->driver;
	struct folder       *f;
	int                  why = 0;

	if (t->why != 0)
		return;
	m.name = arena_copy(t->conversion->scratch, bytes_of(name));
	if ((f = folder_make(&m, p, &why)) == NULL) {
		t->why = why == ENOENT ? 0 : why;
		return;
	}
	do
		why = d->scan_some != NULL ? d->scan_some(f, letter_there, t)
		                           : d->scan(f, letter_there, t);
	while (why == EAGAIN && t->why == 0);
	if (t->why == 0 && why != ENOENT)
		t->why = why;
	folder_free(f);
}

/* Letters of an earlier stay, or of others, would come in beside those that are converted. */
static int
is_free(struct conversion *c)
{
	struct tenants t = { .conversion = c };

	if (c->target == NULL)
		return 0;
	folder_there(&t, "INBOX");
	if (t.why == 0) {
		int why = c->target->driver->folders(c->target, folder_there, &t);
		if (t.why == 0 && why != ENOENT)
			t.why = why;
	}
	return t.why;
}

/* What was begun for another place is begun anew: the files that were brought there are no messages of ours. */
static int
resume(struct conversion *c)
{
	struct account *a = c->account;
	sqlite3_stmt   *s = index_ready(a->index, CONVERTING_GET);
	bool            same = false;
	int             why;

	if (s == NULL)
		return index_why(a->index);
	if (index_row(a->index, s) == 1)
		same = bytes_equal(index_blob(s, 0), bytes_of(c->location));
	(void)sqlite3_reset(s);
	if (same) {
		c->resumed = map_open();
		return read_done(c);
	}
	if ((why = is_free(c)) != 0 || (why = account_change(a)) != 0)
		return why;
	if ((why = run(a, CONVERTED_FORGET, NULL)) != 0 ||
	    (why = run(a, FILE_ABANDONED, NULL)) != 0 ||
	    (why = run(a, CONVERTING_PUT, c->location)) != 0)
		return account_fail(a, why);
	return 0;
}

struct conversion *
conversion_open(struct account *a, const char *location, int *why)
{
	struct conversion *c = memory_take(sizeof *c);
	size_t             n = strlen(location) + 1;

	c->account = a;
	c->location = memcpy(memory_take(n), location, n);
	c->done = map_open();
	c->scratch = arena_open(NULL);
	*why = strcmp(location, account_location(a)) == 0 ? EALREADY : 0;
	if (*why == 0 && *location != '\0')
		*why = place_make(a, location, &c->target);
	if (*why == 0)
		*why = resume(c);
	store_hold(a);
	if (*why != 0)
		conversion_close(&c);
	return c;
}

void
conversion_close(struct conversion **cp)
{
	struct conversion *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	if (c->folder != NULL)
		folder_free(c->folder);
	place_free(c->target);
	map_close(&c->done);
	map_close(&c->resumed);
	arena_close(&c->scratch);
	memory_free(c->location);
	account_drop(&c->account);
	memory_free(c);
}

void
conversion_count(const struct conversion *c, uint64_t *done, uint64_t *all)
{
	*done = map_count(c->done);
	*all = 0;
	for (struct mailbox *m = c->account->mailboxes; m != NULL; m = m->next)
		if (!m->gone && m->loaded)
			*all += m->rows.count;
}

void
conversion_damaged(const struct conversion *c, struct buffer *mailbox, struct buffer *file)
{
	const struct mailbox *m = c->mailbox;
	const struct file    *f = NULL;

	if (m == NULL || m->gone || c->row >= m->rows.count)
		return;
	buffer_add_string(mailbox, m->name);
	if (m->folder != NULL)
		f = folder_file(m->folder, m->rows.message[c->row]);
	if (f != NULL)
		folder_path(m->folder, f, file);
}

/* ---- one letter ---- */

/* The files of this mailbox that are not there: they were to come to their place with a sync that we did not live to
   see, or somebody took them away.  Each letter is converted anew. */
static int
forget_missing(struct conversion *c, bool *any)
{
	struct account *a = c->account;
	struct map     *missing = map_open();
	int             why = 0;

	for (struct map_place p = { 0 }; map_next(c->done, &p);) {
		struct file *file = folder_file(c->folder, (uint64_t)(uintptr_t)p.value);
		uint64_t     key;
		memcpy(&key, p.key.at, sizeof key);
		if (key >> 32 == c->mailbox->id && (file == NULL || !file->seen))
			(void)map_put(missing, p.key, p.value);
	}
	*any = map_count(missing) > 0;
	if (*any)
		why = account_change(a);
	for (struct map_place p = { 0 }; why == 0 && map_next(missing, &p);) {
		uint64_t message = (uint64_t)(uintptr_t)p.value;
		(void)map_drop(c->done, p.key);
		if ((why = file_say(a, CONVERTED_DROP, message, 0)) != 0 ||
		    (why = file_say(a, FILE_DELETE, message, 0)) != 0)
			why = account_fail(a, why);
	}
	map_close(&missing);
	return why;
}

/* What is added is found where it was put. */
static int
look_there(struct conversion *c)
{
	bool again = false;
	int  why;

	if (c->resumed == NULL || map_get(c->resumed, map_number(&c->mailbox->id)) != NULL) {
		(void)folder_refresh(c->folder);
		return 0;
	}
	if ((why = folder_resume(c->folder)) != 0 || (why = forget_missing(c, &again)) != 0)
		return why;
	if (again) {
		folder_free(c->folder);
		if ((c->folder = folder_make(c->mailbox, c->target, &why)) == NULL ||
		    (why = folder_resume(c->folder)) != 0)
			return why;
	}
	(void)map_put(c->resumed, map_number(&c->mailbox->id), c);
	return 0;
}

/* In a place without levels what has others below it is a directory. */
static bool
is_only_a_level(const struct conversion *c, const struct mailbox *m)
{
	return !c->target->driver->levels && strcmp(m->name, "INBOX") != 0 &&
	       account_has_children(c->account, m->name);
}

static int
enter(struct conversion *c, struct mailbox *m)
{
	int why;

	if (c->folder != NULL)
		folder_free(c->folder);
	c->folder = NULL;
	c->mailbox = m;
	c->row = 0;
	if (m == NULL || m->gone)
		return 0;
	if ((why = mailbox_load(m)) != 0 || c->target == NULL || is_only_a_level(c, m))
		return why;
	if ((why = c->target->driver->make(c->target, m->name)) != 0)
		return why;
	c->folder = folder_make(m, c->target, &why);
	return c->folder != NULL ? look_there(c) : why;
}

/* The next row nobody has converted.  EAGAIN: there is none. */
static int
find_next(struct conversion *c)
{
	int why;

	if (c->mailbox == NULL && (why = enter(c, c->account->mailboxes)) != 0)
		return why;
	for (;;) {
		struct mailbox *m = c->mailbox;
		while (m != NULL && !m->gone && c->row < m->rows.count) {
			if (converted(c, m, c->row) == 0)
				return 0;
			c->row++;
		}
		if (m == NULL || m->next == NULL) {
			(void)enter(c, NULL);
			return EAGAIN;
		}
		if ((why = enter(c, m->next)) != 0)
			return why;
	}
}

static int
open_letter(struct conversion *c)
{
	struct account *a = c->account;
	struct digest   digest;
	int             why;

	arena_clear(c->scratch);
	c->uid = c->mailbox->rows.uid[c->row];
	if ((why = message_read(a, c->mailbox->rows.message[c->row], c->scratch, &c->message)) !=
	            0 ||
	    (why = message_digest(a, &c->message, c->scratch, &digest, &c->prefix)) != 0)
		return why;
	c->digest = message_packed_digest(a, &c->message, c->scratch);
	return 0;
}

uint64_t
conversion_letter(const struct conversion *c)
{
	return c->message.size;
}

int
conversion_bytes(struct conversion *c, uint64_t at, void *out, size_t len)
{
	return message_bytes(c->account, &c->message, c->prefix, at, out, len);
}

static int
source_read(void *ctx, uint64_t at, void *out, size_t len)
{
	return conversion_bytes(ctx, at, out, len);
}

/* What was written is what was read. */
static int
compare(struct conversion *c, const struct file *file)
{
	char     one[PIECE], other[PIECE];
	uint64_t at, len, done = 0;
	int      why = 0, fd = c->target->driver->content(c->folder, file, &at, &len);

	if (fd < 0 || (fd = content_crlf(c->account->store, fd, file->plain, &at, &len)) < 0)
		return errno;
	if (len != c->message.size)
		why = EBADMSG;
	while (why == 0 && done < len) {
		size_t n = len - done < PIECE ? (size_t)(len - done) : PIECE;
		if ((why = disk_read(fd, one, n, at + done)) == 0 &&
		    (why = conversion_bytes(c, done, other, n)) == 0 && memcmp(one, other, n) != 0)
			why = EBADMSG;
		done += n;
	}
	(void)close(fd);
	return why;
}

static int
write_down(struct conversion *c, uint64_t message)
{
	uint64_t      key = key_of(c->mailbox, c->uid);
	sqlite3_stmt *s = index_ready(c->account->index, CONVERTED_PUT);

	if (s == NULL)
		return index_why(c->account->index);
	(void)sqlite3_bind_int64(s, 1, (int64_t)c->mailbox->id);
	(void)sqlite3_bind_int64(s, 2, (int64_t)c->uid);
	(void)sqlite3_bind_int64(s, 3, (int64_t)message);
	(void)map_put(c->done, map_number(&key), (void *)(uintptr_t)message);
	return index_do(c->account->index, s);
}

static struct arrival
arrival_of(const struct conversion *c, uint64_t id)
{
	return (struct arrival){
		.letter = id,
		.place = { .content_at = letter_offset(id) + RECORD_HEADER,
		           .content_len = c->message.place.content_len },
		.prefix_len = (uint32_t)(c->message.size - c->message.place.content_len),
		.size = c->message.size,
		.internal_date = c->message.internal_date,
		.zone = c->message.zone,
		.sent_date = c->message.sent_date,
		.saved = c->message.saved,
		.email = c->message.email,
		.mark = c->message.mark,
	};
}

static int
put_letter(struct conversion *c)
{
	struct account *a = c->account;
	struct mailbox *m = c->mailbox;
	struct source   source = { c->message.size, source_read, c };
	struct file    *file = memory_take(sizeof *file);
	struct arrival  v;
	int             why;

	*file = (struct file){ .flags = flags_outer(m, m->rows.flags[c->row]),
		               .email = c->message.email,
		               .landing = true,
		               .coming = true };
	if ((file->message = place_message(a)) == 0)
		why = EDQUOT;
	else
		why = c->target->driver->put(c->folder, file, &source, c->message.internal_date,
		                             &a->landing);
	if (why == 0)
		why = compare(c, file);
	if (why == 0) {
		v = arrival_of(c, file->message);
		if ((why = file_keep(a, m, file, 0, c->digest)) != 0 ||
		    (why = message_put(a->index, &v, false)) != 0 ||
		    (why = write_down(c, file->message)) != 0)
			why = account_fail(a, why);
	}
	if (why == 0)
		folder_add(c->folder, file);
	else
		file_free(file);
	return why;
}

int
conversion_step(struct conversion *c)
{
	struct account *a = c->account;
	int             why;

	if (a->failed != 0)
		return a->failed;
	if (a->place != NULL && c->mailbox == NULL)
		for (struct mailbox *m = a->mailboxes; m != NULL; m = m->next)
			if (!m->gone && mailbox_load(m) == 0)
				(void)folder_look(m, false);
	if ((why = find_next(c)) != 0)
		return why;
	if (c->target != NULL && c->folder == NULL)
		return EISDIR;
	if ((why = open_letter(c)) != 0)
		return why;
	if (c->target == NULL)
		return ENOSYS;
	if ((why = store_room(a->store)) != 0 || (why = account_change(a)) != 0)
		return why;
	return put_letter(c);
}

int
conversion_came(struct conversion *c, uint64_t letter, const struct letter_place *place,
                int64_t sent_date)
{
	struct account *a = c->account;
	struct arrival  v = arrival_of(c, letter);
	int             why = account_change(a);

	if (why != 0)
		return why;
	v.place = *place;
	v.prefix_len = 0;
	v.sent_date = sent_date;
	if (v.place.content_len != v.size)
		return EBADMSG;
	if ((why = message_put(a->index, &v, false)) != 0 || (why = write_down(c, letter)) != 0)
		return account_fail(a, why);
	return 0;
}

/* ---- the switch ---- */

/* Whether every letter has its place, and nobody looks. */
static int
is_ready(struct conversion *c)
{
	int why;

	if (c->account->landing != NULL || c->account->syncing)
		return EAGAIN;
	for (struct mailbox *m = c->account->mailboxes; m != NULL; m = m->next) {
		if (m->gone)
			continue;
		if (m->users > 0)
			return EBUSY;
		if ((why = mailbox_load(m)) != 0)
			return why;
		/* What others put there until now comes along. */
		if ((why = folder_look(m, false)) == EBUSY && m->folder != NULL)
			(void)folder_locked(m->folder);
		if (why != 0)
			return why == EBUSY ? EAGAIN : why;
		if (m->folder != NULL && m->folder->fresh_count > 0)
			return EAGAIN;
		for (uint32_t i = 0; i < m->rows.count; i++)
			if (converted(c, m, i) == 0)
				return EAGAIN;
	}
	return 0;
}

static int
mailbox_say(struct mailbox *m, enum statement which)
{
	sqlite3_stmt *s = index_ready(m->account->index, which);

	if (s == NULL)
		return index_why(m->account->index);
	(void)sqlite3_bind_int64(s, 1, (int64_t)m->id);
	if (which == MAILBOX_FORGOT)
		(void)sqlite3_bind_int64(s, 2, (int64_t)m->highest);
	return index_do(m->account->index, s);
}

/* The rows point at the letters' new places; a snapshot tells it, and no older history is read. */
static int
point(struct conversion *c, struct mailbox *m)
{
	int why = mailbox_flush(m);

	for (uint32_t i = 0; i < m->rows.count; i++)
		m->rows.message[i] = converted(c, m, i);
	if (why == 0)
		why = mailbox_snapshot(m);
	if (why == 0)
		why = mailbox_say(m, MAILBOX_FORGOT);
	if (why == 0)
		m->forgotten = m->highest;
	return why;
}

/* What was expunged after it was converted goes from the new place, too. */
static int
leave_expunged(struct conversion *c, struct mailbox *m)
{
	int why = 0;

	for (struct map_place p = { 0 }; map_next(c->done, &p) && why == 0;) {
		uint64_t key;
		memcpy(&key, p.key.at, sizeof key);
		if (key >> 32 == m->id && mailbox_find(m, (uint32_t)key) < 0)
			why = file_say(c->account, FILE_GONE, (uint64_t)(uintptr_t)p.value, 0);
	}
	return why;
}

int
conversion_over(struct conversion *c)
{
	struct account *a = c->account;
	int             why = is_ready(c);

	if (why != 0 || (why = account_change(a)) != 0)
		return why;
	for (struct mailbox *m = a->mailboxes; m != NULL && why == 0; m = m->next) {
		folder_close(m); /* of what was deleted, too: the place goes */
		if (m->gone)
			continue;
		if ((why = mailbox_say(m, FILE_LEFT)) == 0 &&
		    (why = mailbox_say(m, FILE_CAME)) == 0 && (why = leave_expunged(c, m)) == 0)
			why = point(c, m);
	}
	if (why == 0)
		why = run(a, LOCATION_PUT, c->location);
	if (why == 0)
		why = run(a, CONVERTED_FORGET, NULL);
	if (why == 0)
		why = account_meta_put(a, "place", 1);
	if (why != 0)
		return account_fail(a, why);
	contents_forget(a->store, a->id, 0);
	place_close(a);
	a->place = c->target;
	c->target = NULL;
	memory_free(a->location);
	a->location = *c->location != '\0' ? c->location : NULL;
	if (a->location != NULL)
		c->location = NULL;
	for (struct mailbox *m = a->mailboxes; m != NULL; m = m->next)
		mailbox_unload(m);
	return 0;
}
