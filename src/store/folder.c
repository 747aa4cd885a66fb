/* folder.c -- a mailbox whose letters lie outside: which file is which message (foreign.h) */
#include "store/foreign.h"

#include "base/journal.h"
#include "message/envelope.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- files ---- */

void
file_free(struct file *f)
{
	if (f == NULL)
		return;
	memory_free(f->name);
	memory_free(f->where);
	memory_free(f);
}

static char *
copied(struct bytes text)
{
	char *out = memory_take(text.len + 1);

	if (text.len > 0)
		memcpy(out, text.at, text.len);
	return out;
}

/* Ids grow, so that the newest stands last. */
void
folder_add(struct folder *f, struct file *file)
{
	if (f->count == f->room) {
		f->room = f->room ? f->room * 2 : 16;
		f->file = memory_resize(f->file, f->room * sizeof(struct file *));
	}
	file->seen = true; /* a look that has begun need not find it */
	file->found = file->outside;
	f->file[f->count++] = file;
	(void)map_put(f->by_name, bytes_of(file->name), file);
}

static size_t
file_place(const struct folder *f, uint64_t message)
{
	size_t low = 0, high = f->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (f->file[middle]->message < message)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct file *
folder_file(const struct folder *f, uint64_t message)
{
	size_t i = file_place(f, message);

	return i < f->count && f->file[i]->message == message ? f->file[i] : NULL;
}

void
folder_path(const struct folder *f, const struct file *file, struct buffer *out)
{
	const struct location *l = &f->place->location;

	if (location_folder(l, f->mailbox->name, out) && l->kind != LOCATION_MBOX)
		buffer_printf(out, "/%s", file->where != NULL ? file->where : file->name);
}

int
file_keep(struct account *a, const struct mailbox *m, const struct file *f, uint64_t letter,
          struct bytes digest)
{
	sqlite3_stmt *s = index_ready(a->index, FILE_PUT);

	if (s == NULL)
		return index_why(a->index);
	(void)sqlite3_bind_int64(s, 1, (int64_t)f->message);
	(void)sqlite3_bind_int64(s, 2, (int64_t)m->id);
	(void)sqlite3_bind_text(s, 3, f->name, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(s, 4, (int64_t)f->outside);
	(void)sqlite3_bind_int(s, 5, f->plain | (int)f->cut << 1);
	(void)sqlite3_bind_int(s, 6, f->coming ? 3 : 0);
	if (letter != 0)
		(void)sqlite3_bind_int64(s, 7, (int64_t)letter);
	if (digest.len > 0)
		(void)sqlite3_bind_blob64(s, 8, digest.at, digest.len, SQLITE_STATIC);
	(void)sqlite3_bind_int64(s, 9, (int64_t)(f->email != 0 ? f->email : f->message));
	return index_do(a->index, s);
}

int
file_say(struct account *a, enum statement which, uint64_t message, uint64_t value)
{
	sqlite3_stmt *s = index_ready(a->index, which);

	if (s == NULL)
		return index_why(a->index);
	(void)sqlite3_bind_int64(s, 1, (int64_t)message);
	if (which == FILE_OUTSIDE)
		(void)sqlite3_bind_int64(s, 2, (int64_t)value);
	return index_do(a->index, s);
}

/* ---- flags ---- */

static const uint64_t outer_keywords = UINT64_MAX >> KEYWORD_FIRST;

uint64_t
flags_outer(const struct mailbox *m, uint64_t flags)
{
	struct keyset set = keysets_at(&m->rows.sets, (uint32_t)(flags >> KEYWORD_FIRST));

	return (flags & SYSTEM_FLAGS) | (set.word[0] & outer_keywords) << KEYWORD_FIRST;
}

uint64_t
flags_inner(struct mailbox *m, uint64_t before, uint64_t outer)
{
	struct keyset set = keysets_at(&m->rows.sets, (uint32_t)(before >> KEYWORD_FIRST));

	set.word[0] = (set.word[0] & ~outer_keywords) | outer >> KEYWORD_FIRST;
	return (outer & SYSTEM_FLAGS) | (uint64_t)keysets_name(&m->rows.sets, &set)
	                                        << KEYWORD_FIRST;
}

/* ---- opening ---- */

static int
read_files(struct folder *f, enum statement which)
{
	struct index *x = f->mailbox->account->index;
	sqlite3_stmt *s = index_ready(x, which);
	int           more;

	if (s == NULL)
		return index_why(x);
	(void)sqlite3_bind_int64(s, 1, (int64_t)f->mailbox->id);
	while ((more = index_row(x, s)) == 1) {
		struct file *file = memory_take(sizeof *file);
		*file = (struct file){
			.message = (uint64_t)sqlite3_column_int64(s, 0),
			.name = copied(index_blob(s, 1)),
			.outside = (uint64_t)sqlite3_column_int64(s, 2),
			.plain = sqlite3_column_int(s, 3) & 1,
			.cut = (uint8_t)(sqlite3_column_int(s, 3) >> 1 & 3),
			.gone = sqlite3_column_int(s, 4) == 1,
		};
		folder_add(f, file);
	}
	return more < 0 ? index_why(x) : 0;
}

struct folder *
folder_make(struct mailbox *m, struct place *place, int *why)
{
	struct folder *f = memory_take(sizeof *f);

	*f = (struct folder){
		.mailbox = m, .place = place, .by_name = map_open(), .watch = { -1, -1 }
	};
	if ((*why = place->driver->enter(f)) == 0) {
		if (place == m->account->place || (*why = read_files(f, FILE_COMING)) == 0)
			return f;
		folder_free(f);
		return NULL;
	}
	map_close(&f->by_name);
	memory_free(f);
	return NULL;
}

/* A row whose file an earlier process did not bring to its place: nobody was told of it.  Both are forgotten, so that
   whoever brings the letter again brings it for the first time; the mailbox loses it at the next look.  The file stays:
   it says so again if we die before this is written. */
static void
strand(void *ctx, const char *name)
{
	struct folder *f = ctx;
	struct file   *file = map_get(f->by_name, bytes_of(name));
	sqlite3_stmt  *s;

	if (file == NULL || account_change(f->mailbox->account) != 0 ||
	    (s = index_ready(f->mailbox->account->index, FILE_DELETE)) == NULL)
		return;
	(void)sqlite3_bind_int64(s, 1, (int64_t)file->message);
	if (index_do(f->mailbox->account->index, s) != 0)
		return;
	(void)map_drop(f->by_name, bytes_of(name));
	for (size_t i = 0; i < f->count; i++)
		if (f->file[i] == file) {
			memmove(&f->file[i], &f->file[i + 1], (--f->count - i) * sizeof *f->file);
			break;
		}
	file_free(file);
}

/* What is ours is on its way. */
static void
look_for_stranded(struct folder *f)
{
	const struct account *a = f->mailbox->account;

	if (f->place->driver->stranded != NULL && a->landing == NULL && !a->syncing)
		f->place->driver->stranded(f, strand, f);
}

int
folder_open(struct mailbox *m)
{
	struct folder *f;
	int            why;

	if ((f = folder_make(m, m->account->place, &why)) == NULL)
		return why;
	m->folder = f;
	if ((why = read_files(f, FILE_ALL)) != 0)
		folder_close(m);
	else
		look_for_stranded(f);
	return why;
}

static void
fresh_free(struct folder *f)
{
	for (size_t i = 0; i < f->fresh_count; i++) {
		file_free(f->fresh[i].file);
		buffer_free(&f->fresh[i].digest);
	}
	memory_free(f->fresh);
	f->fresh = NULL;
	f->fresh_count = f->fresh_room = f->asked = f->entered = 0;
}

/* Whoever waited for it waits no more. */
void
folder_settled(struct folder *f)
{
	struct settling *s;

	while ((s = f->settling) != NULL) {
		f->settling = s->next;
		s->fn(s->ctx);
		memory_free(s);
	}
}

void
folder_close(struct mailbox *m)
{
	struct folder *f = m->folder;

	m->folder = NULL;
	if (f != NULL)
		folder_free(f);
}

void
folder_free(struct folder *f)
{
	folder_settled(f);
	for (struct inquiry *q = f->inquiries; q != NULL; q = q->next)
		q->folder = NULL;
	folder_unwatch(f);
	folder_look_end(f);
	fresh_free(f);
	for (struct map_place p = { 0 }; f->strangers != NULL && map_next(f->strangers, &p);)
		file_free(p.value);
	map_close(&f->strangers);
	f->place->driver->leave(f);
	for (size_t i = 0; i < f->count; i++)
		file_free(f->file[i]);
	memory_free(f->file);
	map_close(&f->by_name);
	memory_free(f);
}

void
folder_renamed(struct mailbox *m)
{
	struct folder *f = m->folder;

	folder_unwatch(f);
	folder_look_end(f);
	f->place->driver->leave(f);
	f->stamped = 0;
	if (f->place->driver->enter(f) != 0)
		mailbox_unload(m);
	else if (m->watches != NULL)
		folder_watch(m);
}

/* ---- what was changed here goes outside ---- */

static void
note_flags(struct folder *f, uint32_t row)
{
	struct mailbox *m = f->mailbox;
	struct file    *file = folder_file(f, m->rows.message[row]);

	if (file == NULL)
		return;
	file->flags = flags_outer(m, m->rows.flags[row]);
	file->changed = true;
}

void
folder_changed(struct mailbox *m, const struct uid_set *set)
{
	for (size_t k = 0; k < set->count; k++)
		for (uint32_t i = rows_first_at_least(&m->rows, set->range[k].first);
		     i < m->rows.count && m->rows.uid[i] <= set->range[k].last; i++)
			note_flags(m->folder, i);
}

int
folder_gone(struct mailbox *m, const struct uid_set *set)
{
	int why = 0;

	for (size_t k = 0; k < set->count && why == 0; k++)
		for (uint32_t i = rows_first_at_least(&m->rows, set->range[k].first);
		     why == 0 && i < m->rows.count && m->rows.uid[i] <= set->range[k].last; i++) {
			struct file *file = folder_file(m->folder, m->rows.message[i]);
			if (file == NULL || file->gone)
				continue;
			file->gone = true;
			why = file_say(m->account, FILE_GONE, file->message, 0);
		}
	return why == 0 ? 0 : account_fail(m->account, why);
}

/* Those that are over leave the list. */
static void
drop_over(struct folder *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->count; i++) {
		struct file *file = f->file[i];
		if (!file->over) {
			f->file[kept++] = file;
			continue;
		}
		if (map_get(f->by_name, bytes_of(file->name)) == file)
			(void)map_drop(f->by_name, bytes_of(file->name));
		contents_forget(f->mailbox->account->store, f->mailbox->account->id, file->message);
		file_free(file);
	}
	f->count = kept;
}

/* It is tried again at the next look, many times a second: told of once. */
static void
not_applied(struct folder *f, int why)
{
	f->stamped = 0;
	if ((why == EBUSY && folder_locked(f)) || why == f->unwritten)
		return;
	f->unwritten = why;
	warn_("account %" PRIu64 ", mailbox %s: changes could not be written to %s: %s",
	      f->mailbox->account->id, f->mailbox->name, account_location(f->mailbox->account),
	      why == EBUSY
	              ? "another program has it locked for long; they are written when it gives it back"
	              : strerror(why));
}

/* What was changed here once more since then stays to be written. */
void
folder_applied(struct folder *f, const struct applied *done, size_t count, int why)
{
	struct account *a = f->mailbox->account;

	if (why != 0) {
		not_applied(f, why);
		return;
	}
	f->unwritten = 0;
	why = account_change(a);
	for (size_t i = 0; i < count && why == 0; i++) {
		struct file *file = folder_file(f, done[i].message);
		if (file == NULL)
			continue;
		file->outside = done[i].outside;
		file->over = done[i].gone;
		file->changed = file->changed && file->flags != file->outside;
		why = file_say(a, file->over ? FILE_OVER : FILE_OUTSIDE, file->message,
		               file->outside);
	}
	if (why == 0)
		drop_over(f);
	else if (a->failed == 0)
		(void)account_fail(a, why);
}

/* What is to be written outside.  How many of them. */
static size_t
gather_changes(struct folder *f, struct file **out, size_t most)
{
	uint64_t letters = f->place->driver->letters(f);
	size_t   n = 0;

	for (size_t i = 0; i < f->count && n < most; i++) {
		struct file *file = f->file[i];
		if (!file->gone && !file->changed)
			continue;
		if (!file->gone && (file->flags & letters) == (file->outside & letters)) {
			file->changed = false;
			continue;
		}
		if (!file->landing)
			out[n++] = file;
	}
	return n;
}

bool
folder_apply(struct folder *f)
{
	enum { AT_ONCE = 256 };
	bool            all = f->place->driver->together;
	size_t          most = all ? f->count : AT_ONCE, n;
	struct file   **some;
	struct applied *done;
	int             why;

	if (f->scanning)
		return false;
	if (f->mailbox->account->landing == NULL)
		for (size_t i = 0; i < f->count; i++)
			f->file[i]->landing = false;
	some = memory_take((most + 1) * sizeof(struct file *));
	n = gather_changes(f, some, most);
	why = n > 0 ? f->place->driver->apply(f, some, n) : 0;
	if (why == 0 && n > 0) {
		done = memory_take(n * sizeof *done);
		for (size_t i = 0; i < n; i++) {
			some[i]->changed = false;
			done[i] = (struct applied){ some[i]->message, some[i]->outside,
				                    some[i]->gone };
		}
		folder_applied(f, done, n, 0);
		memory_free(done);
	}
	memory_free(some);
	if (why != 0 && why != EINPROGRESS)
		not_applied(f, why);
	return why == 0 && !all && n == AT_ONCE;
}

/* ---- a letter comes by us ---- */

static bool
came_before(struct account *a, uint64_t letter)
{
	sqlite3_stmt *s = index_ready(a->index, FILE_LETTER);
	bool          found;

	if (s == NULL)
		return false;
	(void)sqlite3_bind_int64(s, 1, (int64_t)letter);
	found = index_row(a->index, s) == 1;
	(void)sqlite3_reset(s);
	return found;
}

struct logged {
	struct store         *store;
	const struct arrival *arrival;
	struct bytes          prefix;
};

static int
logged_read(void *ctx, uint64_t at, void *out, size_t len)
{
	struct logged *l = ctx;
	uint64_t       own = l->arrival->head.len + l->prefix.len;
	char          *to = out;

	for (; len > 0 && at < own; at++, len--)
		*to++ = at < l->arrival->head.len ? l->arrival->head.at[at]
		                                  : l->prefix.at[at - l->arrival->head.len];
	return len == 0 ? 0
	                : letters_read(l->store->letters, &l->arrival->place, at - own, to, len);
}

/* The row of a file: like a letter of the log, but that its id says it is none. */
static int
add_message(struct folder *f, struct file *file, struct arrival *v, uint64_t letter,
            struct bytes digest, uint32_t *uid)
{
	struct mailbox *m = f->mailbox;
	struct account *a = m->account;
	uint64_t        own = v->head.len + v->prefix_len;
	int             why;

	v->letter = file->message;
	v->place =
		(struct letter_place){ .content_at = letter_offset(file->message) + RECORD_HEADER,
		                       .content_len = v->size - own };
	v->prefix_len = (uint32_t)own;
	v->head = (struct bytes){ NULL, 0 };
	if ((why = file_keep(a, m, file, letter, digest)) != 0) {
		file_free(file);
		return account_fail(a, why);
	}
	folder_add(f, file);
	why = mailbox_arrive(m, v, uid);
	if (why != 0 && a->failed == 0) {
		(void)file_say(a, FILE_DELETE, file->message, 0);
		file->over = true;
		drop_over(f);
	}
	return why;
}

int
folder_enter(struct folder *f, struct file *file, struct arrival *v, struct bytes digest,
             uint32_t *uid)
{
	return add_message(f, file, v, 0, digest, uid);
}

/* Its digest and prefix, which the log keeps with it. */
static int
logged_open(struct account *a, struct logged *l, struct arena *arena, struct bytes *digest)
{
	const struct letter_place *p = &l->arrival->place;
	struct envelope            e;
	struct bytes               packed;
	int why = letters_envelope(a->store->letters, p->envelope_segment, p->envelope_at,
	                           l->arrival->letter, arena, &packed);

	if (why != 0)
		return why;
	if (!envelope_unpack(packed, arena, &e) || e.prefix.len != l->arrival->prefix_len)
		return EBADMSG;
	l->prefix = e.prefix;
	*digest = e.digest;
	return 0;
}

/* As long as messages come in with the uids a former owner gave them, no other gets one: it would take a uid of
   theirs. */
static int
is_taken_over(const struct folder *f)
{
	return f->former != 0 ? EBUSY : 0;
}

/* Where the system forbids it, nobody lacks a right of ours (rfc5530:3): it is the server's trouble, and the log has the path. */
static int
put_refused(struct folder *f, int why)
{
	struct account *a = f->mailbox->account;
	struct buffer   path = { 0 };

	if (why != EACCES && why != EPERM)
		return place_refuses(a, account_location(a), why);
	f->place->driver->path(&f->place->location, f->mailbox->name, &path);
	buffer_add_char(&path, '\0');
	(void)place_refuses(a, path.at, why);
	buffer_free(&path);
	return EIO;
}

int
folder_arrive(struct mailbox *m, const struct arrival *given, uint32_t *uid)
{
	struct account *a = m->account;
	struct folder  *f = m->folder;
	struct arrival  v = *given;
	struct logged   l = { .store = a->store, .arrival = given };
	struct source   source = { given->size, logged_read, &l };
	struct arena   *scratch;
	struct bytes    digest = { NULL, 0 };
	struct file    *file;
	int             why;

	*uid = 0;
	if (came_before(a, given->letter))
		return EEXIST;
	if ((why = is_taken_over(f)) != 0 || (why = store_room(a->store)) != 0 ||
	    (why = account_change(a)) != 0)
		return why;
	scratch = arena_open(NULL);
	file = memory_take(sizeof *file);
	*file = (struct file){ .flags = flags_outer(m, v.flags), .landing = true };
	file->message = given->letter; /* for its name */
	if ((why = logged_open(a, &l, scratch, &digest)) == 0)
		why = put_refused(f,
		                  f->place->driver->put(f, file, &source,
		                                        v.arrived_us != 0 ? v.arrived_us / 1000000
		                                                          : v.internal_date,
		                                        &a->landing));
	if (why == 0 && (file->message = place_message(a)) == 0)
		why = EDQUOT;
	if (why == 0)
		why = add_message(f, file, &v, given->letter, digest, uid);
	else
		file_free(file);
	arena_close(&scratch);
	return why;
}

/* ---- copies ---- */

/* So many letters are written before others have their turn. */
enum { SOME_MOST = 32 };

/* What goes along; keywords by name, for each mailbox has numbers of its own. */
static uint64_t
same_flags(struct mailbox *from, struct mailbox *to, const struct copy_as *as, uint32_t row)
{
	uint64_t flags = as->eyes != NULL ? seen_entry(as->eyes, mailbox_entry(from, row)).flags
	                                  : from->rows.flags[row];
	uint64_t out = flags & SYSTEM_FLAGS & as->keep;

	for (int k = KEYWORD_FIRST; as->keywords && k < KEYWORD_FIRST + from->keywords; k++) {
		int there;
		if (!mailbox_flags_have(from, flags, k))
			continue;
		there = mailbox_keyword(to, bytes_of(from->keyword[k - KEYWORD_FIRST]), true);
		if (there > 0)
			out = mailbox_flags_with(to, out, there);
	}
	return out;
}

/* A letter of the other mailbox, as it would be fetched. */
struct fetched {
	struct account *account;
	struct message  message;
	struct bytes    prefix;
};

static int
fetched_read(void *ctx, uint64_t at, void *out, size_t len)
{
	struct fetched *f = ctx;

	return message_bytes(f->account, &f->message, f->prefix, at, out, len);
}

/* The file of the copy: a second name for the same, or written anew when it comes from elsewhere. */
static int
copy_file(struct mailbox *from, struct mailbox *to, struct fetched *letter, struct file *file,
          struct bytes *packed, struct arena *scratch)
{
	const struct driver *driver = to->folder->place->driver;
	struct source        source = { letter->message.size, fetched_read, letter };
	struct file         *old =
                from->folder != NULL ? folder_file(from->folder, letter->message.id) : NULL;
	struct digest digest;
	int           why;

	*packed = message_packed_digest(from->account, &letter->message, scratch);
	if (old != NULL && from->folder->place->driver == driver && driver->link != NULL) {
		uint64_t at;
		if (content_open(from->account, old->message, letter->message.size, &at) < 0)
			return errno; /* what cannot be read is not copied */
		file->plain = old->plain;
		why = driver->link(from->folder, old, to->folder, file, &to->account->landing);
		/* Of another user's file there is no second name, nor on another file system. */
		if (why != EPERM && why != EXDEV && why != EMLINK && why != EOPNOTSUPP)
			return why;
	}
	why = message_digest(from->account, &letter->message, scratch, &digest, &letter->prefix);
	if (why == 0)
		why = place_refuses(to->account, account_location(to->account),
		                    driver->put(to->folder, file, &source,
		                                letter->message.internal_date,
		                                &to->account->landing));
	return why;
}

static int
copy_one(struct mailbox *from, uint32_t row, struct mailbox *to, const struct copy_as *as,
         struct arena *scratch, uint32_t *uid)
{
	struct account *a = to->account;
	uint64_t        flags = same_flags(from, to, as, row);
	struct fetched  letter = { .account = from->account };
	struct bytes    digest;
	struct arrival  v;
	struct file    *file;
	int             why;

	if ((why = message_read(from->account, from->rows.message[row], scratch,
	                        &letter.message)) != 0)
		return why;
	file = memory_take(sizeof *file);
	*file = (struct file){ .flags = flags_outer(to, flags),
		               .email = letter.message.email,
		               .len = letter.message.size,
		               .landing = true };
	if ((file->message = place_message(a)) == 0)
		why = EDQUOT;
	else
		why = copy_file(from, to, &letter, file, &digest, scratch);
	if (why != 0) {
		file_free(file);
		return why;
	}
	v = (struct arrival){
		.prefix_len = letter.message.prefix_len + (uint32_t)letter.message.head.len,
		.size = letter.message.size,
		.internal_date = letter.message.internal_date,
		.zone = letter.message.zone,
		.sent_date = letter.message.sent_date,
		.mark = letter.message.mark,
		.flags = flags,
	};
	return add_message(to->folder, file, &v, 0, digest, uid);
}

int
folder_copy(struct mailbox *from, const struct uid_set *set, struct mailbox *to, bool move,
            const struct copy_as *as, struct arena *arena, struct uid_set *source,
            struct uid_range *made, const struct mailbox_watch *by)
{
	struct uid_list list = { 0 };
	struct arena   *scratch = arena_open(NULL);
	uint32_t        last = from->rows.count > 0 ? from->rows.uid[from->rows.count - 1] : 0, uid;
	size_t          left = as->some ? SOME_MOST : SIZE_MAX;
	int             why = is_taken_over(to->folder);

	if (why == 0)
		why = store_room(from->account->store);
	if (why == 0)
		why = account_change(to->account);
	for (size_t k = 0; k < set->count && why == 0 && left > 0; k++)
		for (uint32_t i = rows_first_at_least(&from->rows, set->range[k].first);
		     why == 0 && left > 0 && i < from->rows.count &&
		     from->rows.uid[i] <= set->range[k].last && from->rows.uid[i] <= last;
		     i++, left--) {
			arena_clear(scratch);
			why = copy_one(from, i, to, as, scratch, &uid);
			if (why != 0)
				break;
			if (made->first == 0)
				made->first = uid;
			made->last = uid;
			uid_list_add(&list, from->rows.uid[i], false);
		}
	arena_close(&scratch);
	if (why != 0 && as->some && made->first != 0 && to->account->failed == 0)
		why = 0; /* whoever asks for the rest hears of it */
	if (why != 0 && made->first != 0 && to->account->failed == 0)
		why = account_fail(to->account, why); /* all of them, or none */
	*source = uid_list_keep(&list, arena);
	if (why == 0 && move)
		why = mailbox_expunge(from, source, true, arena, NULL, by);
	uid_list_free(&list);
	return why;
}
