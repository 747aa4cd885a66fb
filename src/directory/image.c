#include "directory/image.h"

#include <string.h>

#include "base/journal.h"
#include "directory/table_inner.h"

/* A turn is so many rows; what one name has to say is kept up to so many bytes, and an image of more than MOST is none.
   It is made anew when what its changes left behind is as much as half of it. */
enum { TURN_ROWS = 500, VALUE_MOST = 16 << 10, KEY_MOST = 700, MOST = 256 << 20, LITTLE = 1 << 20 };

/* What stands before a value. */
enum standing {
	SAID = '=',   /* the answer follows                              */
	NOBODY = '-', /* there is no such row                            */
	VOID = '?',   /* something was changed: to be read again         */
	LARGE = '>',  /* too much to be kept: the database is asked      */
};

struct image {
	struct directory   *directory;
	struct table_index *index; /* NULL: not begun */
	struct arena       *scratch;
	bool                whole, given_up;
	size_t              bytes, since; /* put in all, and since it was whole */
	/* which rows are read, and the last name that was: */
	enum image_kind kind;
	struct buffer   domain, local;
	struct buffer   value; /* being put together */
};

/* What is asked for one name, and for all from one name on; and how a row of either begins its value. */
static void add_domain(struct buffer *, sqlite3_stmt *);
static void add_account(struct buffer *, sqlite3_stmt *);
static void add_alias(struct buffer *, sqlite3_stmt *);
static const struct {
	enum directory_query one, from;
	void (*add)(struct buffer *, sqlite3_stmt *);
} kinds[IMAGE_KINDS] = {
	[IMAGE_DOMAIN] = { DOMAIN_HAS, DOMAIN_FROM, add_domain },
	[IMAGE_ACCOUNT] = { ACCOUNT_WHOSE, ACCOUNT_FROM, add_account },
	[IMAGE_ALIAS] = { ALIAS_FIND, ALIAS_FROM, add_alias },
};

/* Whatever an answer is made of: a row that comes, goes or is another voids it.  The numbers are enum image_kind. */
static const char triggers[] =
	"CREATE TEMP TRIGGER image_domain_new AFTER INSERT ON domain BEGIN SELECT image_void(0, '', new.name); END;"
	"CREATE TEMP TRIGGER image_domain_other AFTER UPDATE OF name, catch_all, shadow ON domain"
	" BEGIN SELECT image_void(0, '', old.name), image_void(0, '', new.name); END;"
	"CREATE TEMP TRIGGER image_domain_gone AFTER DELETE ON domain BEGIN SELECT image_void(0, '', old.name); END;"
	"CREATE TEMP TRIGGER image_account_new AFTER INSERT ON account"
	" BEGIN SELECT image_void(1, new.local, new.domain); END;"
	"CREATE TEMP TRIGGER image_account_other AFTER UPDATE OF id, local, domain, source ON account"
	" BEGIN SELECT image_void(1, old.local, old.domain), image_void(1, new.local, new.domain); END;"
	"CREATE TEMP TRIGGER image_account_gone AFTER DELETE ON account"
	" BEGIN SELECT image_void(1, old.local, old.domain); END;"
	"CREATE TEMP TRIGGER image_alias_new AFTER INSERT ON alias"
	" BEGIN SELECT image_void(2, new.local, new.domain); END;"
	"CREATE TEMP TRIGGER image_alias_other AFTER UPDATE ON alias"
	" BEGIN SELECT image_void(2, old.local, old.domain), image_void(2, new.local, new.domain); END;"
	"CREATE TEMP TRIGGER image_alias_gone AFTER DELETE ON alias"
	" BEGIN SELECT image_void(2, old.local, old.domain); END;"
	/* An account's id is another when it is a user's, or somebody's; owner.c puts a minus before one for a while. */
	"CREATE TEMP TRIGGER image_user_new AFTER INSERT ON system_user"
	" BEGIN SELECT image_void(1, local, domain) FROM account WHERE id=new.account; END;"
	"CREATE TEMP TRIGGER image_user_other AFTER UPDATE ON system_user"
	" BEGIN SELECT image_void(1, local, domain) FROM account WHERE id IN (old.account, new.account); END;"
	"CREATE TEMP TRIGGER image_user_gone AFTER DELETE ON system_user"
	" BEGIN SELECT image_void(1, local, domain) FROM account WHERE id=old.account; END;"
	"CREATE TEMP TRIGGER image_owned_new AFTER INSERT ON owned"
	" BEGIN SELECT image_void(1, local, domain) FROM account WHERE id=abs(new.account); END;"
	"CREATE TEMP TRIGGER image_owned_other AFTER UPDATE ON owned"
	" BEGIN SELECT image_void(1, local, domain) FROM account WHERE id IN (abs(old.account), abs(new.account)); END;"
	"CREATE TEMP TRIGGER image_owned_gone AFTER DELETE ON owned"
	" BEGIN SELECT image_void(1, local, domain) FROM account WHERE id=abs(old.account); END;";

/* ---- names and what is said of them ------------------------------------------ */

static void
add_domain(struct buffer *value, sqlite3_stmt *s)
{
	buffer_add(value, directory_column(s, 0));
}

static void
add_account(struct buffer *value, sqlite3_stmt *s)
{
	int64_t id = sqlite3_column_int64(s, 0);

	_Static_assert(sizeof id == IMAGE_ID, "an id is so long");
	buffer_add(value, (struct bytes){ (const char *)&id, sizeof id });
	buffer_add(value, directory_column(s, 1));
}

static void
add_alias(struct buffer *value, sqlite3_stmt *s)
{
	struct bytes target = directory_column(s, 0);
	uint16_t     len = (uint16_t)target.len;

	if (target.len > VALUE_MOST) /* all of it is too much then, whatever stands before it */
		len = 0;
	buffer_add(value, (struct bytes){ (const char *)&len, sizeof len });
	buffer_add(value, target);
}

bool
image_target(struct bytes *value, struct bytes *target)
{
	uint16_t len;

	if (value->len < sizeof len)
		return false;
	memcpy(&len, value->at, sizeof len);
	*target = bytes_cut(*value, sizeof len, len);
	*value = bytes_cut(*value, sizeof len + len, SIZE_MAX);
	return true;
}

static void
give_up(struct image *i, const char *why)
{
	if (!i->given_up)
		warn_("directory: kept in memory no longer: %s", why);
	i->given_up = true;
	i->whole = false;
	if (i->index != NULL)
		table_index_close(i->index);
	i->index = NULL;
}

/* The kind, the local part, a NUL, the domain.  False: nobody can ask for it. */
static bool
name_of(char room[static KEY_MOST], enum image_kind kind, struct bytes local, struct bytes domain,
        struct bytes *name)
{
	if (local.len + domain.len + 2 > KEY_MOST || bytes_find(local, '\0') >= 0 ||
	    bytes_find(domain, '\0') >= 0)
		return false;
	room[0] = (char)('a' + kind);
	if (local.len > 0)
		memcpy(room + 1, local.at, local.len);
	room[1 + local.len] = '\0';
	if (domain.len > 0)
		memcpy(room + 2 + local.len, domain.at, domain.len);
	*name = (struct bytes){ room, local.len + domain.len + 2 };
	return true;
}

/* i->value with its standing is what is said from now on. */
static void
put(struct image *i, struct bytes name)
{
	size_t more = name.len + i->value.len;

	if (i->bytes + more > MOST) {
		give_up(i, "too many names");
		return;
	}
	(void)table_index_put(i->index, name, buffer_bytes(&i->value));
	i->bytes += more;
	if (i->whole)
		i->since += more;
}

static void
value_begin(struct image *i, enum standing standing)
{
	buffer_reset(&i->value);
	buffer_add_char(&i->value, (char)standing);
}

/* One more row of the name at hand; false: it is too much. */
static bool
value_add(struct image *i, enum image_kind kind, sqlite3_stmt *s)
{
	kinds[kind].add(&i->value, s);
	if (i->value.len <= VALUE_MOST)
		return true;
	value_begin(i, LARGE);
	return false;
}

/* ---- what was changed ---------------------------------------------------------- */

static bool
is_void(struct image *i, struct bytes name)
{
	struct bytes was;
	bool         is = table_index_find(i->index, name, i->scratch, &was) == TABLE_FOUND &&
	          was.at[0] == VOID;

	arena_clear(i->scratch);
	return is;
}

/* Of the triggers: image_void(kind, local, domain). */
static void
image_void(sqlite3_context *to, int count, sqlite3_value **value)
{
	struct image *i = sqlite3_user_data(to);
	struct bytes  part[2], name;
	char          room[KEY_MOST];

	(void)count;
	sqlite3_result_null(to);
	if (i->index == NULL)
		return;
	for (int k = 0; k < 2; k++) {
		/* Nothing here writes any other; it would be compared otherwise than we do. */
		if (sqlite3_value_type(value[k + 1]) != SQLITE_TEXT) {
			give_up(i, "a name is no text");
			return;
		}
		part[k] = (struct bytes){ (const char *)sqlite3_value_text(value[k + 1]),
			                  (size_t)sqlite3_value_bytes(value[k + 1]) };
	}
	if (!name_of(room, (enum image_kind)sqlite3_value_int(value[0]), part[0], part[1], &name) ||
	    is_void(i, name))
		return;
	value_begin(i, VOID);
	put(i, name);
}

/* A change may still be taken back, and is not the truth before it is done. */
static bool
changes(const struct image *i)
{
	return sqlite3_get_autocommit(i->directory->db) == 0;
}

/* What the database says of the name now; false: it does not, or too much. */
static bool
read_again(struct image *i, enum image_kind kind, struct bytes local, struct bytes domain,
           struct bytes name)
{
	bool          domains = kind == IMAGE_DOMAIN;
	sqlite3_stmt *s =
		directory_query(i->directory, kinds[kind].one, domains ? domain : local, domain);
	enum directory_outcome o;
	bool                   any = false;

	value_begin(i, SAID);
	while ((o = directory_row(i->directory, s)) == DIRECTORY_OK) {
		any = true;
		if (!value_add(i, kind, s))
			break;
	}
	sqlite3_reset(s);
	if (o == DIRECTORY_LATER)
		return false;
	if (!any)
		value_begin(i, NOBODY);
	put(i, name);
	return !i->given_up;
}

bool
image_knows(struct image *i, enum image_kind kind, struct bytes local, struct bytes domain,
            struct arena *a, enum directory_outcome *o, struct bytes *value)
{
	struct bytes name, found;
	char         room[KEY_MOST];

	if (!i->whole || !name_of(room, kind, local, domain, &name))
		return false;
	*o = DIRECTORY_NONE;
	if (table_index_find(i->index, name, a, &found) != TABLE_FOUND)
		return true;
	if (found.at[0] == VOID) {
		if (changes(i) || !read_again(i, kind, local, domain, name))
			return false;
		found = arena_keep(a, buffer_bytes(&i->value));
	}
	if (found.at[0] == SAID)
		*o = DIRECTORY_OK;
	*value = bytes_cut(found, 1, SIZE_MAX);
	return found.at[0] != LARGE;
}

/* ---- reading all of it ------------------------------------------------------------ */

bool
image_wants(const struct image *i)
{
	return !i->given_up && !changes(i) && (!i->whole || i->since > i->bytes / 3 + LITTLE);
}

static void
begin(struct image *i)
{
	if (i->index != NULL)
		table_index_close(i->index);
	i->index = table_index_open(TABLE_KEEP_CASE | TABLE_LAST_HOLDS, 0);
	i->whole = false;
	i->bytes = i->since = 0;
	i->kind = 0;
	buffer_reset(&i->domain);
	buffer_reset(&i->local);
}

static bool
is_text(sqlite3_stmt *s)
{
	return sqlite3_column_type(s, 2) == SQLITE_TEXT && sqlite3_column_type(s, 3) == SQLITE_TEXT;
}

static void
put_read(struct image *i)
{
	struct bytes name;
	char         room[KEY_MOST];

	if (name_of(room, i->kind, buffer_bytes(&i->local), buffer_bytes(&i->domain), &name))
		put(i, name);
}

/* Rows in the order of their names, up to the end of one.  NONE: there are no more. */
static enum directory_outcome
read_some(struct image *i)
{
	/* What is bound is compared with every row: it must not become another on the way. */
	struct bytes domain_from = arena_keep(i->scratch, buffer_bytes(&i->domain)),
		     local_from = arena_keep(i->scratch, buffer_bytes(&i->local));
	sqlite3_stmt *s =
		directory_query(i->directory, kinds[i->kind].from, domain_from, local_from);
	enum directory_outcome o = DIRECTORY_LATER;
	bool                   at_hand = false;
	int                    rows = 0;

	while (!i->given_up && (o = directory_row(i->directory, s)) == DIRECTORY_OK) {
		struct bytes domain = directory_column(s, 2), local = directory_column(s, 3);

		if (!is_text(s)) {
			give_up(i, "a name is no text");
			break;
		}
		if (!at_hand || !bytes_equal(domain, buffer_bytes(&i->domain)) ||
		    !bytes_equal(local, buffer_bytes(&i->local))) {
			if (at_hand)
				put_read(i);
			at_hand = false;
			if (rows >= TURN_ROWS)
				break;
			buffer_reset(&i->domain);
			buffer_add(&i->domain, domain);
			buffer_reset(&i->local);
			buffer_add(&i->local, local);
			value_begin(i, SAID);
			at_hand = true;
		}
		rows++;
		if (!value_add(i, i->kind, s))
			break;
	}
	sqlite3_reset(s);
	arena_clear(i->scratch);
	if (at_hand && !i->given_up)
		put_read(i);
	return i->given_up ? DIRECTORY_LATER : o;
}

void
image_turn(struct image *i)
{
	enum directory_outcome o;

	if (!image_wants(i))
		return;
	if (i->whole || i->index == NULL)
		begin(i);
	o = read_some(i);
	if (o == DIRECTORY_LATER)
		give_up(i, "it cannot be read");
	if (o != DIRECTORY_NONE)
		return;
	buffer_reset(&i->domain);
	buffer_reset(&i->local);
	i->whole = ++i->kind == IMAGE_KINDS;
}

struct image *
image_open(struct directory *d)
{
	struct image *i = memory_take(sizeof *i);

	i->directory = d;
	i->scratch = arena_open(NULL);
	if (sqlite3_create_function(d->db, "image_void", 3, SQLITE_UTF8, i, image_void, NULL,
	                            NULL) != SQLITE_OK ||
	    sqlite3_exec(d->db, triggers, NULL, NULL, NULL) != SQLITE_OK)
		image_close(&i);
	return i;
}

/* The triggers end with the connection, of which nothing may be asked any more. */
void
image_close(struct image **ip)
{
	struct image *i = *ip;

	*ip = NULL;
	if (i == NULL)
		return;
	if (i->index != NULL)
		table_index_close(i->index);
	buffer_free(&i->domain);
	buffer_free(&i->local);
	buffer_free(&i->value);
	arena_close(&i->scratch);
	memory_free(i);
}
