/* account.c -- an open account: its list of mailboxes, its transaction (store.h) */
#include "store/foreign.h"

#include "base/clock.h"
#include "base/journal.h"
#include "spool/disk.h"
#include "store/digests.h"
#include "store/rights.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { NAME_MOST = 1000, DEPTH_MOST = 20, MAILBOXES_MOST = 10000 };

/* clang-format off */
static const struct { const char *name; enum mailbox_use use; } first_mailboxes[] = {
	{ "INBOX",   USE_NONE    },
	{ "Drafts",  USE_DRAFTS  },
	{ "Sent",    USE_SENT    },
	{ "Junk",    USE_JUNK    },
	{ "Trash",   USE_TRASH   },
	{ "Archive", USE_ARCHIVE },
};
/* clang-format on */

/* ---- names ---- */

/* The name as it is kept: INBOX in capitals, no '/' at the end.  EINVAL: cannot be a mailbox's; nor can
   "." and "..", since clients make folders of these names on disks of their own. */
static int
name_right(const char *in, char out[static NAME_MOST + 1])
{
	struct bytes rest = bytes_of(in), level;
	int          depth = 0;

	if (rest.len > 1 && rest.at[rest.len - 1] == '/')
		rest.len--;
	if (rest.len == 0 || rest.len > NAME_MOST)
		return EINVAL;
	for (struct bytes left = rest; left.len > 0;) {
		uint32_t rune;
		size_t   n = bytes_utf8(left, &rune);
		if (n == 0 || rune < 0x20 || (rune >= 0x7f && rune < 0xa0))
			return EINVAL;
		left.at += n;
		left.len -= n;
	}
	memcpy(out, rest.at, rest.len);
	out[rest.len] = '\0';
	if (rest.at[0] == '/' || rest.at[rest.len - 1] == '/')
		return EINVAL;
	while (bytes_split(&rest, '/', &level))
		if (level.len == 0 || ++depth > DEPTH_MOST || bytes_is(level, ".") ||
		    bytes_is(level, ".."))
			return EINVAL;
	if (bytes_is(bytes_cut(bytes_of(out), 0, 5), "INBOX") && (out[5] == '\0' || out[5] == '/'))
		memcpy(out, "INBOX", 5);
	return 0;
}

static bool
is_under(const char *name, const char *level)
{
	size_t n = strlen(level);

	return strncmp(name, level, n) == 0 && name[n] == '/';
}

struct mailbox *
account_mailbox(struct account *a, const char *name)
{
	return map_get(a->by_name, bytes_of(name));
}

bool
account_has_children(const struct account *a, const char *name)
{
	for (const struct mailbox *m = a->mailboxes; m != NULL; m = m->next)
		if (!m->gone && is_under(m->name, name))
			return true;
	return false;
}

/* ---- opening ---- */

static char *
copied(const char *text)
{
	size_t n = strlen(text) + 1;

	return memcpy(memory_take(n), text, n);
}

static int
put_mailbox_row(struct index *x, const struct mailbox *m)
{
	sqlite3_stmt *s = index_ready(x, MAILBOX_PUT);

	if (s == NULL)
		return index_why(x);
	(void)sqlite3_bind_int64(s, 1, (int64_t)m->id);
	(void)sqlite3_bind_text(s, 2, m->name, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int(s, 3, (int)m->use);
	(void)sqlite3_bind_int64(s, 4, m->uidvalidity);
	(void)sqlite3_bind_int64(s, 5, m->recent);
	(void)sqlite3_bind_int64(s, 6, (int64_t)m->made);
	(void)sqlite3_bind_int64(s, 7, (int64_t)m->forgotten);
	return index_do(x, s);
}

static int
put_subscription(struct index *x, const char *name, bool yes)
{
	sqlite3_stmt *s = index_ready(x, yes ? SUBSCRIPTION_PUT : SUBSCRIPTION_DELETE);

	if (s == NULL)
		return index_why(x);
	(void)sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
	return index_do(x, s);
}

static int
put_meta(struct index *x, const char *name, uint64_t value)
{
	sqlite3_stmt *s = index_ready(x, META_PUT);

	if (s == NULL)
		return index_why(x);
	(void)sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(s, 2, (int64_t)value);
	return index_do(x, s);
}

int
account_meta_put(struct account *a, const char *name, uint64_t value)
{
	return put_meta(a->index, name, value);
}

/* Uidvalidities of one account only grow; the clock gives the first. */
static uint32_t
uidvalidity_after(uint32_t last)
{
	int64_t now = clock_wall();

	return now > last && now < UINT32_MAX ? (uint32_t)now : last + 1;
}

/* What a new account begins with. */
static int
first_rows(struct index *x)
{
	uint32_t validity = 0;
	int      why = 0;

	for (size_t i = 0; i < COUNT(first_mailboxes) && why == 0; i++) {
		struct mailbox m = {
			.id = i + 1, .use = first_mailboxes[i].use, .recent = 1, .made = 1
		};
		char name[16];
		(void)bytes_string(bytes_of(first_mailboxes[i].name), name, sizeof name);
		m.name = name;
		m.uidvalidity = validity = uidvalidity_after(validity);
		why = put_mailbox_row(x, &m);
		if (why == 0)
			why = put_subscription(x, m.name, true);
	}
	if (why == 0)
		why = put_meta(x, "mailbox", COUNT(first_mailboxes) + 1);
	if (why == 0)
		why = put_meta(x, "uidvalidity", validity);
	if (why == 0)
		why = put_meta(x, "quota_bytes", 0);
	if (why == 0)
		why = put_meta(x, "quota_messages", 0);
	return why == 0 ? put_meta(x, "modseq", 1) : why;
}

static int
get_meta(struct index *x, const char *name, uint64_t *value)
{
	sqlite3_stmt *s = index_ready(x, META_GET);
	int           more;

	if (s == NULL)
		return index_why(x);
	(void)sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
	if ((more = index_row(x, s)) == 1)
		*value = (uint64_t)sqlite3_column_int64(s, 0);
	(void)sqlite3_reset(s);
	return more < 0 ? index_why(x) : more == 0 ? EBADMSG : 0;
}

int
account_meta_get(struct account *a, const char *name, uint64_t *value)
{
	int why = get_meta(a->index, name, value);

	return why == EBADMSG ? ENOENT : why;
}

/* Where its letters lie. */
static int
read_location(struct account *a)
{
	sqlite3_stmt *s = index_ready(a->index, LOCATION_GET);
	int           more;

	if (s == NULL)
		return index_why(a->index);
	memory_free(a->location);
	a->location = NULL;
	if ((more = index_row(a->index, s)) == 1 && sqlite3_column_bytes(s, 0) > 0)
		a->location = copied((const char *)sqlite3_column_text(s, 0));
	(void)sqlite3_reset(s);
	return more < 0 ? index_why(a->index) : 0;
}

static int
newest_of(struct index *x, enum statement which, uint64_t mailbox, uint64_t *modseq)
{
	sqlite3_stmt *s = index_ready(x, which);
	int           more;

	if (s == NULL)
		return index_why(x);
	if (sqlite3_bind_parameter_count(s) > 0)
		(void)sqlite3_bind_int64(s, 1, (int64_t)mailbox);
	if ((more = index_row(x, s)) == 1 && (uint64_t)sqlite3_column_int64(s, 0) > *modseq)
		*modseq = (uint64_t)sqlite3_column_int64(s, 0);
	(void)sqlite3_reset(s);
	return more < 0 ? index_why(x) : 0;
}

static struct mailbox *
mailbox_with(struct account *a, uint64_t id)
{
	struct mailbox *m = a->mailboxes;

	while (m != NULL && m->id != id)
		m = m->next;
	return m;
}

/* One row of the table: the mailbox it tells of, made or renewed. */
static void
take_mailbox_row(struct account *a, sqlite3_stmt *s)
{
	uint64_t        id = (uint64_t)sqlite3_column_int64(s, 0);
	const char     *name = (const char *)sqlite3_column_text(s, 1);
	struct mailbox *m = mailbox_with(a, id);

	if (m == NULL) {
		m = memory_take(sizeof *m);
		m->account = a;
		m->id = id;
		m->next = a->mailboxes;
		a->mailboxes = m;
	}
	memory_free(m->name);
	m->name = copied(name != NULL ? name : "?");
	m->use = (enum mailbox_use)sqlite3_column_int(s, 2);
	m->uidvalidity = (uint32_t)sqlite3_column_int64(s, 3);
	m->recent = (uint32_t)sqlite3_column_int64(s, 4);
	m->made = (uint64_t)sqlite3_column_int64(s, 5);
	m->forgotten = (uint64_t)sqlite3_column_int64(s, 6);
	m->gone = false;
	(void)map_put(a->by_name, bytes_of(m->name), m);
}

static int
read_lists(struct account *a)
{
	sqlite3_stmt *s = index_ready(a->index, MAILBOX_ALL);
	int           more;

	if (s == NULL)
		return index_why(a->index);
	while ((more = index_row(a->index, s)) == 1)
		take_mailbox_row(a, s);
	if (more < 0 || (s = index_ready(a->index, SUBSCRIPTION_ALL)) == NULL)
		return index_why(a->index);
	while ((more = index_row(a->index, s)) == 1)
		(void)map_put(a->subscribed, index_blob(s, 0), a);
	return more < 0 ? index_why(a->index) : 0;
}

/* All that is known without opening a mailbox. */
static int
read_account(struct account *a)
{
	uint64_t validity = 0;
	int      why;

	if ((why = get_meta(a->index, "mailbox", &a->next_mailbox)) != 0 ||
	    (why = get_meta(a->index, "uidvalidity", &validity)) != 0 ||
	    (why = get_meta(a->index, "modseq", &a->modseq)) != 0 || (why = read_lists(a)) != 0 ||
	    (why = newest_of(a->index, FACT_LAST, 0, &a->modseq)) != 0 ||
	    (why = newest_of(a->index, SEEN_LAST, 0, &a->modseq)) != 0 ||
	    (why = account_usage_read(a)) != 0)
		return why;
	a->uidvalidity = (uint32_t)validity;
	for (struct mailbox *m = a->mailboxes; m != NULL; m = m->next) {
		m->highest = m->made;
		if ((why = newest_of(a->index, FACT_LAST, m->id, &m->highest)) != 0 ||
		    (why = newest_of(a->index, SNAPSHOT_LAST, m->id, &m->highest)) != 0)
			return why;
		if (m->highest > a->modseq)
			a->modseq = m->highest;
	}
	return account_mailbox(a, "INBOX") == NULL ? EBADMSG : 0;
}

/* A keeper that was killed had committed what no sync was waited for, and we read it: it is on disk before anybody sees it.
   What is older than this the kernel has written by itself; what is younger than we are was ours, and was synced. */
enum { WRITTEN_BACK_S = 120 };

static int
settle_what_was_left(struct account *a)
{
	struct stat st;
	int         wal = index_wal(a->index);

	if (wal < 0 || fstat(wal, &st) < 0 || st.st_mtime > a->store->begun ||
	    a->store->begun - st.st_mtime > WRITTEN_BACK_S)
		return 0;
	return disk_sync(wal);
}

struct account *
account_open(struct store *s, uint64_t id, bool make, int *why)
{
	struct account *a = memory_take(sizeof *a);

	a->store = s;
	a->id = id;
	a->by_name = map_open();
	a->subscribed = map_open();
	if ((a->index = index_open(s->accounts, id, make ? first_rows : NULL, why)) != NULL &&
	    (*why = read_account(a)) == 0 && (*why = read_location(a)) == 0 &&
	    (!make ||
	     ((*why = receipts_replay(a)) == 0 && (*why = settle_what_was_left(a)) == 0))) {
		a->safe = a->modseq;
		if (a->location == NULL || (*why = place_open(a, a->location)) == 0)
			return a;
	} else if (a->index != NULL)
		fault("account %" PRIu64
		      ": its index.db cannot be read (%s); the account is refused",
		      id, strerror(*why));
	account_close(&a);
	return NULL;
}

void
account_close(struct account **ap)
{
	struct account *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	tallies_keep(a);
	while (a->mailboxes != NULL) {
		struct mailbox *m = a->mailboxes;
		a->mailboxes = m->next;
		mailbox_free(m);
	}
	receipts_close(a);
	place_close(a);
	memory_free(a->location);
	text_close(a);
	digests_close(a);
	map_close(&a->by_name);
	map_close(&a->subscribed);
	index_close(&a->index);
	memory_free(a);
}

/* After a failure: memory is made equal to the disk again, and everybody watching hears it. */
int
account_reload(struct account *a)
{
	uint64_t told = a->modseq; /* what somebody may have seen is no other change's */
	int      why;

	a->sweeping = false;
	place_forget(a);
	map_close(&a->by_name);
	map_close(&a->subscribed);
	a->by_name = map_open();
	a->subscribed = map_open();
	for (struct mailbox *m = a->mailboxes; m != NULL; m = m->next) {
		mailbox_unload(m);
		m->gone = true;
	}
	why = read_account(a);
	if (why == 0)
		why = receipts_replay(a);
	a->safe = a->modseq;
	if (a->modseq < told)
		a->modseq = told;
	for (struct mailbox *m = a->mailboxes; m != NULL; m = m->next) {
		if (why == 0 && !m->gone && m->users > 0 && mailbox_load(m) != 0)
			m->gone = true;
		seen_reload(m);
		mailbox_tell(m, MAILBOX_LOST, &(struct uid_set){ NULL, 0 }, NULL);
	}
	return a->refused = why;
}

/* ---- the transaction ---- */

int
account_change(struct account *a)
{
	int why;

	if (a->refused != 0)
		return a->refused;
	if ((why = index_begin(a->index)) != 0)
		return account_fail(a, why);
	if (!a->dirty)
		store_note_dirty(a);
	return 0;
}

int
account_fail(struct account *a, int why)
{
	warn_("account %" PRIu64 ": its changes could not be kept: %s", a->id, strerror(why));
	index_rollback(a->index);
	a->failed = a->lost = why;
	if (!a->dirty)
		store_note_dirty(a); /* its barriers must hear */
	(void)account_reload(a);
	return why;
}

uint64_t
account_next_modseq(struct account *a)
{
	return ++a->modseq;
}

int
account_fact(struct account *a, uint64_t mailbox, uint64_t modseq, enum fact_kind kind,
             struct buffer *data)
{
	struct fact_key key = {
		.mailbox = mailbox, .modseq = modseq, .kind = kind, .time = clock_wall()
	};
	sqlite3_stmt *s = index_ready(a->index, FACT_PUT);

	if (s == NULL)
		return index_why(a->index);
	fact_close(data, &key);
	(void)sqlite3_bind_int64(s, 1, (int64_t)mailbox);
	(void)sqlite3_bind_int64(s, 2, (int64_t)modseq);
	(void)sqlite3_bind_int(s, 3, (int)kind);
	(void)sqlite3_bind_int64(s, 4, key.time);
	(void)sqlite3_bind_blob64(s, 5, data->at, data->len, SQLITE_STATIC);
	return index_do(a->index, s);
}

int
account_flush(struct account *a)
{
	int why = 0;

	for (struct mailbox *m = a->mailboxes; m != NULL && why == 0; m = m->next)
		why = mailbox_flush(m);
	if (why == 0)
		why = receipts_flush(a);
	return why == 0 ? account_usage_flush(a) : why;
}

uint64_t
account_id(const struct account *a)
{
	return a->id;
}

uint64_t
account_modseq(const struct account *a)
{
	return a->modseq;
}

/* ---- changes of the list ---- */

static int
list_fact(struct account *a, enum fact_kind kind, uint64_t id, uint64_t more, uint64_t validity,
          const char *name, const char *other)
{
	struct buffer data = { 0 };
	int           why;

	fact_list(&data, id, more, validity, name, other);
	why = account_fact(a, 0, account_next_modseq(a), kind, &data);
	buffer_free(&data);
	return why;
}

static size_t
mailboxes_of(const struct account *a)
{
	return map_count(a->by_name);
}

/* What the nearest level above grants, a new mailbox grants too (rfc4314:4). */
static int
inherit(struct account *a, const struct mailbox *m)
{
	struct bytes name = bytes_of(m->name);
	ptrdiff_t    slash;

	while ((slash = bytes_find_last(name, '/')) > 0) {
		const struct mailbox *above;
		name.len = (size_t)slash;
		if ((above = map_get(a->by_name, name)) != NULL)
			return acl_inherit(a, above->id, m->id);
	}
	return 0;
}

/* A file of messages is no directory of others. */
static bool
is_below_a_file(const struct account *a, const char *name)
{
	struct bytes level = bytes_of(name);
	ptrdiff_t    slash;

	if (a->place == NULL || a->place->driver->levels)
		return false;
	while ((slash = bytes_find_last(level, '/')) > 0) {
		level.len = (size_t)slash;
		if (!bytes_is(level, "INBOX") && map_get(a->by_name, level) != NULL)
			return true;
	}
	return false;
}

/* One mailbox whose name is free.  The transaction is begun. */
static int
make_one(struct account *a, const char *name, enum mailbox_use use, struct mailbox **out)
{
	struct mailbox *m;
	int             why;

	if (mailboxes_of(a) >= MAILBOXES_MOST)
		return EDQUOT;
	if (is_below_a_file(a, name))
		return ENOTDIR;
	if (a->place != NULL && (why = a->place->driver->make(a->place, name)) != 0)
		return why;
	m = memory_take(sizeof *m);
	m->account = a;
	m->id = a->next_mailbox++;
	m->name = copied(name);
	m->use = use;
	m->recent = m->uidnext = 1;
	m->uidvalidity = a->uidvalidity = uidvalidity_after(a->uidvalidity);
	m->loaded = a->place == NULL;
	m->next = a->mailboxes;
	a->mailboxes = m;
	(void)map_put(a->by_name, bytes_of(name), m);
	if ((why = list_fact(a, FACT_MADE, m->id, use, m->uidvalidity, name, NULL)) != 0)
		return account_fail(a, why);
	m->made = m->highest = a->modseq;
	if ((why = put_mailbox_row(a->index, m)) != 0 ||
	    (why = put_meta(a->index, "mailbox", a->next_mailbox)) != 0 ||
	    (why = put_meta(a->index, "uidvalidity", a->uidvalidity)) != 0)
		return account_fail(a, why);
	if (out != NULL)
		*out = m;
	if ((why = inherit(a, m)) == 0)
		account_tell(a, &(struct account_event){ .what = ACCOUNT_MADE, .name = m->name });
	return why;
}

/* The levels above a name become mailboxes, too (rfc3501:6.3.3). */
static int
make_levels(struct account *a, char *name)
{
	int why = 0;

	if (a->place != NULL && !a->place->driver->levels)
		return 0;
	for (char *p = strchr(name, '/'); p != NULL && why == 0; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (account_mailbox(a, name) == NULL)
			why = make_one(a, name, USE_NONE, NULL);
		*p = '/';
	}
	return why;
}

/* A name that is to be a mailbox's: before any level above it is made. */
static int
name_new(const struct account *a, const char *given, char name[static NAME_MOST + 1])
{
	int why = name_right(given, name);

	if (why == 0 && a->place != NULL && a->place->driver->fits != NULL &&
	    !a->place->driver->fits(name))
		why = EINVAL;
	return why;
}

int
account_create(struct account *a, const char *given, enum mailbox_use use)
{
	char name[NAME_MOST + 1];
	int  why;

	if ((why = name_new(a, given, name)) != 0)
		return why;
	if (account_mailbox(a, name) != NULL)
		return EEXIST;
	if ((why = store_room(a->store)) != 0 || (why = account_change(a)) != 0 ||
	    (why = make_levels(a, name)) != 0)
		return why;
	return make_one(a, name, use, NULL);
}

/* The rows that are the mailbox, and those that tell of it alone (rfc4314:4, rfc5464:4.1, rfc4467:2.2). */
static int
drop_belongings(struct account *a, uint64_t id)
{
	static const enum statement all[] = { MAILBOX_DELETE, METADATA_DROP, ACL_DROP,
		                              SEEN_DROP,      URLKEY_DROP,   TALLY_DROP };
	int                         why = 0;

	for (size_t i = 0; i < COUNT(all) && why == 0; i++) {
		sqlite3_stmt *s = index_ready(a->index, all[i]);
		if (s == NULL)
			return index_why(a->index);
		(void)sqlite3_bind_int64(s, 1, (int64_t)id);
		why = index_do(a->index, s);
	}
	a->acl_changes++;
	return why;
}

/* A folder that is there outside becomes a mailbox, with the uidvalidity it had. */
int
account_adopt(struct account *a, const char *name)
{
	int why;

	if (name_right(name, (char[NAME_MOST + 1]){ 0 }) != 0)
		return 0; /* it has a name no client could say */
	why = account_change(a);
	return why == 0 ? make_one(a, name, USE_NONE, NULL) : why;
}

int
account_disown(struct account *a, struct mailbox *m)
{
	int why = account_change(a);

	if (why != 0)
		return why;
	if (mailbox_load(m) == 0)
		account_uses(a, -(int64_t)m->rows.count, -(int64_t)m->bytes);
	else
		a->counted = false; /* nobody knows what goes: counted anew */
	if ((why = mailbox_flush(m)) != 0 ||
	    (why = list_fact(a, FACT_DELETED, m->id, 0, 0, m->name, NULL)) != 0 ||
	    (why = drop_belongings(a, m->id)) != 0)
		return account_fail(a, why);
	(void)map_drop(a->by_name, bytes_of(m->name));
	m->gone = true;
	mailbox_tell(m, MAILBOX_LOST, &(struct uid_set){ NULL, 0 }, NULL);
	account_tell(a, &(struct account_event){ .what = ACCOUNT_DELETED, .name = m->name });
	return 0;
}

int
account_delete(struct account *a, const char *given)
{
	char            name[NAME_MOST + 1];
	struct mailbox *m;
	int             why;

	if ((why = name_right(given, name)) != 0)
		return ENOENT;
	if (strcmp(name, "INBOX") == 0)
		return EINVAL;
	if ((m = account_mailbox(a, name)) == NULL)
		return account_has_children(a, name) ? EINVAL
		                                     : ENOENT; /* \Noselect: rfc3501:6.3.4 */
	if ((why = account_change(a)) != 0)
		return why;
	if (a->place != NULL && (why = a->place->driver->remove(a->place, name)) != 0)
		return why;
	return account_disown(a, m);
}

static int
rename_one(struct account *a, struct mailbox *m, const char *to)
{
	sqlite3_stmt *s;
	int           why;

	if (is_below_a_file(a, to))
		return ENOTDIR;
	if (a->place != NULL && (why = a->place->driver->rename(a->place, m->name, to)) != 0)
		return why;
	if ((why = list_fact(a, FACT_RENAMED, m->id, 0, 0, m->name, to)) != 0)
		return account_fail(a, why);
	if ((s = index_ready(a->index, MAILBOX_NAME)) == NULL)
		return account_fail(a, index_why(a->index));
	(void)sqlite3_bind_int64(s, 1, (int64_t)m->id);
	(void)sqlite3_bind_text(s, 2, to, -1, SQLITE_STATIC);
	if ((why = index_do(a->index, s)) != 0)
		return account_fail(a, why);
	(void)map_drop(a->by_name, bytes_of(m->name));
	memory_free(m->name);
	m->name = copied(to);
	(void)map_put(a->by_name, bytes_of(to), m);
	if (m->folder != NULL)
		folder_renamed(m);
	mailbox_tell(m, MAILBOX_RENAMED, &(struct uid_set){ NULL, 0 }, NULL);
	return 0;
}

/* RENAME INBOX: its messages go, it stays (rfc3501:6.3.5). */
static int
rename_inbox(struct account *a, char *to)
{
	struct mailbox  *inbox = account_mailbox(a, "INBOX"), *made;
	struct uid_range all = { 1, UINT32_MAX };
	struct uid_set   set = { &all, 1 }, source;
	struct uid_range range;
	struct arena    *scratch;
	sqlite3_stmt    *notes;
	int              why;

	if ((why = make_levels(a, to)) != 0 || (why = make_one(a, to, USE_NONE, &made)) != 0)
		return why;
	if ((why = mailbox_load(inbox)) != 0 || (why = mailbox_load(made)) != 0)
		return why;
	scratch = arena_open(NULL);
	why = mailbox_copy(inbox, &set, made, true, scratch, &source, &range, NULL);
	arena_close(&scratch);
	if (why != 0)
		return why;
	/* rfc5464:4.1: its notes are on both then. */
	if ((notes = index_ready(a->index, METADATA_COPY)) == NULL)
		return account_fail(a, index_why(a->index));
	(void)sqlite3_bind_int64(notes, 1, (int64_t)inbox->id);
	(void)sqlite3_bind_int64(notes, 2, (int64_t)made->id);
	return (why = index_do(a->index, notes)) == 0 ? 0 : account_fail(a, why);
}

/* Whether every new name of the mailboxes under `from` is right and free. */
static int
names_fit(struct account *a, const char *from, const char *to)
{
	for (const struct mailbox *m = a->mailboxes; m != NULL; m = m->next) {
		char          fresh[NAME_MOST + 1];
		struct buffer whole = { 0 };
		int           why;

		if (m->gone || !is_under(m->name, from))
			continue;
		buffer_printf(&whole, "%s%s", to, m->name + strlen(from));
		buffer_add_char(&whole, '\0');
		why = name_right(whole.at, fresh);
		buffer_free(&whole);
		if (why == 0 && account_mailbox(a, fresh) != NULL)
			why = EEXIST;
		if (why != 0)
			return why;
	}
	return 0;
}

int
account_rename(struct account *a, const char *given_from, const char *given_to)
{
	char            from[NAME_MOST + 1], to[NAME_MOST + 1];
	struct mailbox *m;
	int             why;

	if (name_right(given_from, from) != 0)
		return ENOENT;
	if ((why = name_new(a, given_to, to)) != 0)
		return why;
	m = account_mailbox(a, from);
	if (m == NULL && !account_has_children(a, from))
		return ENOENT;
	if (account_mailbox(a, to) != NULL || strcmp(to, "INBOX") == 0)
		return EEXIST;
	if (is_under(to, from) && strcmp(from, "INBOX") != 0)
		return EINVAL;
	if ((why = store_room(a->store)) != 0 || (why = account_change(a)) != 0)
		return why;
	if (strcmp(from, "INBOX") == 0)
		return rename_inbox(a, to);
	if ((why = names_fit(a, from, to)) != 0 || (why = make_levels(a, to)) != 0)
		return why;
	if (m != NULL && (why = rename_one(a, m, to)) != 0)
		return why;
	for (m = a->mailboxes; m != NULL; m = m->next) {
		struct buffer whole = { 0 };
		if (m->gone || !is_under(m->name, from))
			continue;
		buffer_printf(&whole, "%s%s", to, m->name + strlen(from));
		buffer_add_char(&whole, '\0');
		why = rename_one(a, m, whole.at);
		buffer_free(&whole);
		if (why != 0)
			return why;
	}
	/* Of those below nothing is said (rfc5465:5.4). */
	account_tell(a, &(struct account_event){
				.what = ACCOUNT_RENAMED, .name = to, .before = from });
	return 0;
}

int
account_subscribe(struct account *a, const char *given, bool yes)
{
	char name[NAME_MOST + 1];
	bool before;
	int  why;

	if ((why = name_right(given, name)) != 0)
		return why;
	before = map_get(a->subscribed, bytes_of(name)) != NULL;
	if (!yes && !before)
		return ENOENT;
	if (yes == before)
		return 0;
	if (map_count(a->subscribed) >= MAILBOXES_MOST && yes)
		return EDQUOT;
	if ((why = account_change(a)) != 0)
		return why;
	if ((why = list_fact(a, FACT_SUBSCRIBED, 0, yes, 0, name, NULL)) != 0 ||
	    (why = put_subscription(a->index, name, yes)) != 0)
		return account_fail(a, why);
	if (yes)
		(void)map_put(a->subscribed, bytes_of(name), a);
	else
		(void)map_drop(a->subscribed, bytes_of(name));
	account_tell(a, &(struct account_event){ .what = ACCOUNT_SUBSCRIBED, .name = name });
	return 0;
}

int
account_use(struct account *a, uint64_t mailbox, enum mailbox_use use)
{
	struct mailbox *m = mailbox_with(a, mailbox);
	sqlite3_stmt   *s;
	int             why;

	if (m == NULL || m->gone)
		return ENOENT;
	if ((why = account_change(a)) != 0)
		return why;
	if ((s = index_ready(a->index, MAILBOX_USE)) == NULL)
		return account_fail(a, index_why(a->index));
	(void)sqlite3_bind_int64(s, 1, (int64_t)mailbox);
	(void)sqlite3_bind_int(s, 2, (int)use);
	if ((why = index_do(a->index, s)) != 0)
		return account_fail(a, why);
	m->use = use;
	return 0;
}

enum mailbox_use
account_use_of(struct account *a, const char *given)
{
	char                  name[NAME_MOST + 1];
	const struct mailbox *m = name_right(given, name) == 0 ? account_mailbox(a, name) : NULL;

	return m != NULL ? m->use : USE_NONE;
}

uint64_t
account_find(struct account *a, const char *given)
{
	char                  name[NAME_MOST + 1];
	const struct mailbox *m;

	if (name_right(given, name) != 0 || (m = account_mailbox(a, name)) == NULL)
		return 0;
	return m->id;
}

int
account_status(struct account *a, const char *name, struct mailbox_status *out)
{
	int             why;
	struct mailbox *m = mailbox_glance(a, name, &why);

	if (m == NULL)
		return why;
	mailbox_status(m, out);
	mailbox_drop(&m);
	return 0;
}

static struct mailbox *
take(struct account *a, const char *given, bool glance, int *why)
{
	char            name[NAME_MOST + 1];
	struct mailbox *m;

	if ((*why = a->refused) != 0)
		return NULL;
	if (a->place != NULL)
		place_look(a);
	if (name_right(given, name) != 0 || (m = account_mailbox(a, name)) == NULL) {
		*why = ENOENT;
		return NULL;
	}
	if (!(glance && mailbox_glanced(m)) && (*why = mailbox_load(m)) != 0)
		return NULL;
	if (m->folder != NULL && (*why = folder_look(m, false)) == EBUSY) {
		(void)folder_locked(m->folder); /* what we know of it is there; the rest comes */
		*why = 0;
	}
	if (*why != 0)
		return NULL;
	m->users++;
	a->users++;
	return m;
}

struct mailbox *
mailbox_take(struct account *a, const char *name, int *why)
{
	return take(a, name, false, why);
}

struct mailbox *
mailbox_glance(struct account *a, const char *name, int *why)
{
	return take(a, name, true, why);
}
