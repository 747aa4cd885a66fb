/*
 * table -- lookup tables: a key in, a value out, wherever they are kept
 *
 * From:     role/clerk and role/proxymap; the commands postmap, postalias and config check
 * Touches:  nothing for local types but what a table_source hands out; remote types
 *           connect to what their .cf names
 *
 * A table is named `type:name`; a name without a type is of `default_database_type`.
 * Types are rows in table.c, each a file table-TYPE.c:
 *     local     hash btree lmdb cdb dbm texthash   a text file of "key value" lines, indexed here
 *               inline static randmap regexp pcre cidr  and unionmap, pipemap of local ones
 *     remote    sqlite pgsql mysql ldap socketmap tcp unix, and unionmap, pipemap with a remote part
 * Local ones answer at once.  Remote ones may block for as long as their settings
 * say: they are asked in a thread pool, and one table may be asked by several threads.
 *
 * table_open()   reads and builds all of it.  NULL with complaints in *errors, each
 *                "FILE:12: what is wrong; what would be right" and a newline.
 * table_find()   TABLE_FOUND with the value in *value (in the arena); TABLE_NONE; TABLE_LATER
 *                when it cannot be told now (*value says why, for the log), which is never
 *                to be taken for "not there".  The key is data, whatever bytes it has: a key
 *                that the type cannot ask for (NUL, too long) is NONE.
 * What a key is tried as (user+ext@domain, user@domain, @domain, ...) is lookup.h's.
 *
 * Text files: key, blanks, value; a key in double quotes may hold blanks; `#` comments; a line
 *     beginning with blank goes on.  With TABLE_ALIASES the grammar of aliases(5): "name: value, value".
 *     Keys are compared without regard to case (message/casefold.h).  Of two lines with one key the first holds, and
 *     the second is warned of.  They are read whole and kept packed, with an index of
 *     16 bytes or so a key: a lookup costs the same in a table of any size.
 * `proxy:TYPE:NAME` is TYPE:NAME.
 *
 * Bounded: a key of 64 KiB, a value of 16 MiB, nesting of 8, 64 parts of a union or pipe.
 */
#ifndef DIRECTORY_TABLE_H
#define DIRECTORY_TABLE_H

#include "base/arena.h"
#include "base/buffer.h"

enum table_outcome {
	TABLE_FOUND,
	TABLE_NONE,
	TABLE_LATER,           /* the database failed or is away                     */
	TABLE_WAIT,            /* asked of another process; ask again when it has answered (directory/lookup.h) */
};
enum table_grammar { TABLE_PLAIN, TABLE_ALIASES };

/* Where the text of a file comes from: a command opens it by path, a role has it from the
   postmaster as a descriptor.  The descriptor belongs to the caller of open(); -1 with errno. */
struct table_source {
	int  (*open)(void *ctx, const char *path);
	void *ctx;
	const char *default_type;       /* "hash" */
	unsigned    how;                /* TABLE_KEEP_CASE and others: of a command */
	/* Told of each entry as it is read, with its line; line 0: it stands in the name.  NULL: nobody wants to hear.  What is
	   put together of several tables is not told of. */
	void (*entry)(void *entry_ctx, const char *file, int line, struct bytes value);
	void *entry_ctx;
};
enum {
	TABLE_KEEP_CASE  = 1,  /* keys as they are written, and asked for so          */
	TABLE_LAST_HOLDS = 2,  /* of two lines with one key, without a warning        */
	TABLE_NO_WARNING = 4,
	TABLE_USERS      = 16, /* with it: what user_query tells, or user_filter      */
	TABLE_ITERATES   = 64, /* with it: what iterate_query tells, all rows of it   */
	TABLE_LEAVES_OUT = 128, /* a wrong line is complained of and left out, and not the whole file */
	TABLE_NO_COMMANDS = 32, /* of aliases: |command is warned of, since it is not run  */
	TABLE_COLUMNS    = 8,  /* of SQL: what password_query tells, as lines "column=value" (directory/credential.h) */
};
extern const struct table_source table_source_files;    /* by path */

struct table;
struct reach;
struct setting_table;
struct table *table_open(const char *name, enum table_grammar, const struct table_source *, struct buffer *errors, struct buffer *warnings);
void table_close(struct table **);
/* Where it leads, added (directory/remote.h). */
void table_reach(const struct table *, struct reach *);
/* What stands for a table that cannot be opened: every answer is TABLE_LATER with `why`; and for one that nobody
   asked for and that is not there: TABLE_NONE. */
struct table *table_failing(const char *name, const char *why);
struct table *table_empty(const char *name);
enum table_outcome table_find(struct table *, struct bytes key, struct arena *, struct bytes *value);
const char *table_name(const struct table *);
/* Whether it is to be asked of role proxymap; by its name alone, nothing is opened.  False also when the name is wrong. */
bool table_is_remote(const char *name, const char *default_type);
/* Whether it has patterns, which are asked for whole names alone and not for parts of them; by its name alone. */
bool table_is_pattern(const char *name, const char *default_type);
/* Every file that a table of this name reads, nested ones too: for the postmaster, who opens them.  What a database
   wants to know stands in main.cf when its name is no path (ldap:accounts: accounts_server_host and so on); it is
   named with its type then, as "ldap:accounts", here and by the source that is asked to open it. */
void table_files(const char *name, const char *default_type, void (*each)(void *, const char *path, bool remote), void *);
/* Every key and value in the order of the file (postmap -s); false for types that cannot be listed. */
bool table_each(struct table *, void (*each)(void *, struct bytes key, struct bytes value), void *);

/* Whether a word begins as the name of a table does: "hash:...", and no host, network or path. */
bool table_is_name(const char *word);
/* NULL, or what is wrong with the name itself: an unknown type, braces that do not fit.  Nothing is opened. */
const char *table_name_fault(const char *name, const char *default_type, struct arena *);

/* ---- for the files of the types --------------------------------------------- */
/* `name` is what stands behind "type:"; with `file` it is the path of the only file.  A row of table.c and a
   file table-TYPE.c each; what they share is in table_inner.h. */
struct table_type {
	const char *name;
	bool  remote, file, pattern, nested;           /* nested: the name has tables in braces */
	void *(*open)(struct bytes name, enum table_grammar, const struct table_source *, struct buffer *errors, struct buffer *warnings);
	enum table_outcome (*find)(void *own, struct bytes key, struct arena *, struct bytes *value);
	void  (*each)(void *own, void (*each)(void *, struct bytes, struct bytes), void *);   /* NULL: cannot be listed */
	void  (*close)(void *own);
	void  (*reach)(void *own, struct reach *);     /* where it leads (directory/remote.h); NULL: nowhere */
	const struct setting_table *rows;              /* of its file, which may be lines of main.cf; NULL: no such thing */
};
const struct table_type *table_type_at(size_t);         /* NULL at the end; in the order of postconf -m */

#endif
