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
	TABLE_VALUE_MOST = 1 << 20,
	TABLE_FILE_MOST = 1 << 30,
	TABLE_DEPTH_MOST = 8,          /* braces within braces in a name          */
	TABLE_PARTS_MOST = 64,         /* of a union or pipe                      */
	TABLE_FAULTS_MOST = 20,        /* complaints about one file               */
};

extern const struct table_type table_btree, table_cdb, table_dbm, table_hash, table_lmdb, table_texthash;
extern const struct table_type table_ldap, table_mysql, table_pgsql, table_socketmap, table_sqlite, table_tcp, table_unix;
extern const struct table_type table_inline, table_static;

/* A name taken apart; NULL when there is no such type.  *rest is what stands behind "type:". */
const struct table_type *table_type_of(struct bytes name, const char *default_type, struct bytes *rest);

/* The whole of a file, appended; false after complaining. */
bool table_read(const struct table_source *, const char *path, struct buffer *out, struct buffer *errors);

/* "FILE:12: what is wrong; what would be right".  After some of them about one file nothing more is said: `said`
   counts. */
struct table_faults { const char *file; struct buffer *to; unsigned said; };
void table_fault(struct table_faults *, int line, const char *form, ...) __attribute__((format(printf, 3, 4)));
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

/* Logical lines: comments and empty lines left out, continuations joined as they stand. */
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

#endif
