/*
 * table_inner -- what the files of the lookup tables share
 *
 * table.c         names, rows, what is the same for all types
 * table-read.c    files and their logical lines, complaints
 * table-TYPE.c    one type, or those that are one
 */
#ifndef DIRECTORY_TABLE_INNER_H
#define DIRECTORY_TABLE_INNER_H

#include "directory/table.h"

enum {
	TABLE_KEY_MOST = 64 << 10,
	TABLE_VALUE_MOST = 16 << 20,   /* a list of half a million addresses      */
	TABLE_FILE_MOST = 1 << 30,
	TABLE_DEPTH_MOST = 8,          /* braces within braces in a name          */
	TABLE_PARTS_MOST = 64,         /* of a union or pipe                      */
	TABLE_FAULTS_MOST = 20,        /* complaints about one file               */
};

extern const struct table_type table_btree, table_cdb, table_dbm, table_hash, table_lmdb, table_texthash;
extern const struct table_type table_ldap, table_mysql, table_oauth, table_pgsql, table_socketmap, table_sqlite, table_tcp, table_unix;
extern const struct table_type table_inline, table_static, table_fail, table_randmap;
extern const struct table_type table_regexp, table_pcre, table_cidr;
extern const struct table_type table_unionmap, table_pipemap;

/* A name taken apart; NULL when there is no such type.  *rest is what stands behind "type:". */
const struct table_type *table_type_of(struct bytes name, const char *default_type, struct bytes *rest);

/* The whole of a file, appended; false after complaining. */
bool table_read(const struct table_source *, const char *path, struct buffer *out, struct buffer *errors);

/* "FILE:12: what is wrong; what would be right".  After some of them about one file nothing more is said: `said`
   counts. */
struct table_faults { const char *file; struct buffer *to; unsigned said; };
void table_fault(struct table_faults *, int line, const char *form, ...) __attribute__((format(printf, 3, 4)));
/* A blank of a file of lines, whatever wrote it; a line end in it is \r. */
static inline bool
table_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* What stands in a message: short, and harmless to a terminal. */
const char *table_shown(struct bytes, char out[static 64]);

/* Keys and values packed one behind the other, and where each is. */
struct table_index;
struct table_index *table_index_open(unsigned how, size_t room);        /* TABLE_KEEP_CASE ...; bytes that are likely to come */
/* False: the key was there, and holds.  The bounds are the caller's to keep. */
bool table_index_put(struct table_index *, struct bytes key, struct bytes value);
enum table_outcome table_index_find(void *index, struct bytes key, struct arena *, struct bytes *value);
void table_index_each(void *index, void (*each)(void *, struct bytes, struct bytes), void *);
void table_index_close(void *index);

/* Logical lines: comments and empty lines left out, continuations joined as they stand; what stands behind a NUL is none of it.
   Of an empty line at[0] may be looked at: it is the NUL. */
struct table_lines {
	struct bytes  rest;
	int           number;          /* of the line last read                   */
	int           first;           /* where the logical line began            */
	struct buffer joined;
};
/* False at the end; *line lives until the next call. */
bool table_line(struct table_lines *, struct bytes *line);
void table_lines_end(struct table_lines *);

/* The parts of "{a, b}": by comma and blank, braces counted.  False when the outer braces are not there;
   then of the next part, without trimming off its own braces; false at the end. */
bool table_unbrace(struct bytes text, struct bytes *inner);
bool table_part(struct bytes *rest, struct bytes *part);

/*
 * Rules: a pattern and a result a line, perhaps with ! before it, and blocks of them from "if PATTERN" to "endif".
 * The first that fits holds.  In a file, or in the name itself: {{rule}, {rule}}.
 */
enum table_rule_what { TABLE_RULE, TABLE_RULE_IF, TABLE_RULE_ENDIF };
struct table_rule {
	enum table_rule_what what;
	bool         negated;
	int          line;
	size_t       end;              /* of an if: where its endif stands        */
	void        *pattern;
	struct bytes result;
};
enum table_fit { TABLE_FITS, TABLE_FITS_NOT, TABLE_FITS_LATER };    /* LATER: it took too long */
struct table_rules_kind {
	const char *type;
	/* Takes a pattern off the front: NULL with it in *pattern, or what is wrong (in the arena). */
	const char *(*take)(struct bytes *line, struct arena *, void **pattern);
	/* What is wrong with a result, or NULL. */
	const char *(*result)(const struct table_rule *, struct arena *);
	enum table_fit (*fits)(const struct table_rule *, struct bytes key, void *how);
	void (*drop)(void *pattern);
};
struct table_rules {
	const struct table_rules_kind *kind;
	struct arena      *life;
	const char        *file;
	struct table_rule *rule;
	size_t             count, room;
};
struct table_rules *table_rules_open(const struct table_rules_kind *, struct bytes name, const struct table_source *, struct buffer *errors);
/* The rule that holds; NULL with NONE, or with LATER and *why. */
const struct table_rule *table_rules_find(struct table_rules *, struct bytes key, void *how, enum table_outcome *, struct arena *, struct bytes *why);
void table_rules_close(struct table_rules *);

/* A regular expression of regex(7) in the words of PCRE, appended; NULL, or what is wrong with it.  `basic`: the
   obsolete form; `lines`: a newline ends what . and [^x] match. */
const char *table_posix(struct bytes pattern, bool basic, bool lines, struct buffer *out);

#endif
