/*
 * grammar -- the productions of rfc3501:9 that several commands share
 *
 * All read from a struct scan that keeps its first fault (base/scan.h).  The
 * command stands in memory whole, literals in their places; results are views
 * into it, or the arena's where a quoted string had to be unquoted.  Nothing is touched.
 *
 * Bounded: parentheses and NOT/OR 32 deep, sequence sets of 10 000 ranges.
 */
#ifndef ACCESS_IMAP_GRAMMAR_H
#define ACCESS_IMAP_GRAMMAR_H

#include "base/arena.h"
#include "base/scan.h"
#include "store/store.h"

enum { NESTING_MOST = 32, SEQUENCE_RANGES_MOST = 10000, FLAGS_MOST = 256 };

bool is_atom_char(char);
bool is_astring_char(char);
bool is_tag_char(char);

void         read_space  (struct scan *);
struct bytes read_atom   (struct scan *);
struct bytes read_quoted (struct scan *, struct arena *);
struct bytes read_literal(struct scan *);
struct bytes read_string (struct scan *, struct arena *);
struct bytes read_astring(struct scan *, struct arena *);
struct bytes read_nstring(struct scan *, struct arena *, bool *nil);
struct bytes read_list_mailbox(struct scan *, struct arena *);
uint32_t     read_nz_number(struct scan *);
uint64_t     read_modseq (struct scan *);                   /* mod-sequence-valzer, below 2^63 */
/* A mailbox name as the store has it: UTF-8, INBOX in capitals. */
/* It comes in modified UTF-7 (rfc3501:5.1.3), or as it is when `utf8`. */
const char  *read_mailbox(struct scan *, struct arena *, bool utf8);
const char  *mailbox_name_of(struct bytes coded, struct arena *, bool utf8);  /* NULL: malformed */

/* sequence-set, or "$" (rfc5182:2.1); UINT32_MAX + `star` true stands for "*". */
struct sequence_range { uint32_t first, last; bool first_star, last_star; };
struct sequence { struct sequence_range *range; size_t count; bool saved; };
struct sequence read_sequence(struct scan *, struct arena *);

/* flag-list or flag *(SP flag); keywords stay words until a mailbox is known. */
struct flag_words { uint64_t system; struct bytes *keyword; size_t keywords; };
struct flag_words read_flags(struct scan *, struct arena *);   /* with or without parentheses */
struct flag_words read_flag_list(struct scan *, struct arena *);   /* with                     */

/* The literal that ends a line, {n} or {n+} (rfc7888): false when there is none. */
bool literal_announced(struct bytes line, uint64_t *size, bool *waits);

#endif
