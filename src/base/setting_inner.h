/*
 * setting_inner -- what the files of the settings share
 *
 * setting.c         the file, its entries, advice, edits
 * setting_expand.c  $name in a value
 * setting_kinds.c   values put where the rows say
 */
#ifndef BASE_SETTING_INNER_H
#define BASE_SETTING_INNER_H

#include "base/map.h"
#include "base/setting.h"

enum { SETTING_DEPTH_MOST = 64 }; /* names within names */

/* One name of the file and the value that counts. */
struct entry {
	struct entry *next;  /* in the order of the file */
	const char   *name;  /* with the listener, "submission/name" */
	const char   *value; /* as written, continuations joined */
	int           line;
	bool          overruled; /* a later line set it again */
};

struct settings {
	struct arena  *life;
	const char    *file;
	struct entry  *first, **last;
	struct entry **counting; /* those not overruled */
	size_t         count;
	struct map    *entry_of; /* name -> struct entry that counts */
	struct map    *row_of;   /* name -> const struct setting */
	struct map    *expanded; /* name -> what settings_value() gave */
	const struct setting_elsewhere *elsewhere;
	size_t                          elsewheres;
	bool                            stress;
};

void setting_complain(const struct settings *, struct buffer *to, int line, const char *form, ...)
	__attribute__((format(printf, 4, 5)));
/* A value in a message: short, and harmless to a terminal. */
struct bytes          setting_quoted(struct arena *scratch, struct bytes value);
struct entry         *setting_entry_find(const struct settings *, struct bytes name);
const struct setting *setting_row_find(const struct settings *, struct bytes name);
void                  setting_know_rows(struct settings *, const struct setting_table *);
bool                  setting_is_name_char(char);
/* Settled when a letter is delivered, not when the file is read. */
bool setting_is_later_name(struct bytes name);
/* What is after a $ there is the shell's. */
bool setting_is_for_shell(const struct settings *, struct bytes name);

/* One $name, ${name}, ${name?then} or ${name:otherwise}; or in the place of the name {left} == {right}. */
struct macro {
	struct bytes whole, name;
	bool         asks;            /* ? or : was there */
	struct bytes then, otherwise; /* what is meant by it */
	const char  *sign;            /* of a comparison: "==", "!=", "<", "<=", ">", ">="; NULL: it is none */
	bool         levels;          /* by numbers between dots, as "<=level" does */
	struct bytes left, right;
	const char  *fault;
};

/* `b` begins with the dollar. */
struct macro macro_of(struct bytes b);
/* Whether a comparison of these, expanded, is true. */
bool macro_holds(const struct macro *, struct bytes left, struct bytes right);
/* The length of "{...}" or "(...)" at the front, brackets inside it counted;
   0 if it does not end. */
size_t bracket_length(struct bytes b);
/* The file's value for this listener, the file's for all, or the standard. */
const char *setting_raw(struct settings *, const char *listener, struct bytes name,
                        struct entry **);
/* The expanded text in *out.  NULL, or what is wrong, from the scratch. */
const char *setting_expand(struct settings *, const char *listener, const char *name,
                           const char *raw, struct arena *scratch, struct buffer *out);

#endif
