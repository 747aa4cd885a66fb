/*
 * setting -- main.cf: the grammar, and settings as rows
 *
 * Grammar (docs and main.cf(5)):  name = value ; a line that begins with
 * blank continues the one before; # begins a comment line; $name, ${name},
 * ${name?text}, ${name:text}, ${name?{text}:{text}} expand and $$ is a dollar;
 * the last of two wins, with a warning that names both lines.
 * `service/name = value` (e.g. submission/smtpd_tls_security_level) holds for
 * one listener only, and $name in its values means that listener's name too.
 * A $name that neither the file nor any row knows stays as it is written: the
 * delivery may know it ($user, $home, $extension).
 *
 * settings_read()  parses a text (`file` is for messages).  Complaints are
 *      appended to *errors and *warnings, each "main.cf:12: ..." and a newline,
 *      saying what is wrong and what would be right.  Returns NULL when there
 *      were errors of grammar.  The settings own copies of everything.
 * settings_fill()  fills a struct from rows: every row's standard, or the
 *      file's value (with `listener`, that listener's override first).
 *      Bad values are complained of with file:line and the right form; false then.
 *      What is filled in lives as long as the settings.
 * settings_unknown() complains of every name, set or asked for by $name, that no
 *      row of any of the tables knows, with what settings_elsewhere() knows of it or
 *      the nearest known name as advice;
 *      true when there was one.  A name set for use as $name is no complaint.  What NAME/transport asks for
 *      its command knows (delivery/pipe.h), and is not looked at.
 * settings_value() raw (expanded) value, or the row's standard, NULL if unknown.
 *
 * A row:  { "message_size_limit", SETTING_SIZE, AT(struct, field), "50M", "Largest ..." }
 * kinds:  BOOL yes|no; NUMBER; SIZE with K M G, where `choices` is "memory" also "4%" of the machine's; TIME in seconds with ms s m h d w
 *         (stored as milliseconds in int64_t); WORD; TEXT; LIST (of words by
 *         comma and blank; {a, b} is one word); CHOICE: one of the words in
 *         `choices` ("may,encrypt"; ",may" lets it be empty);
 *         WORD, TEXT: "variables" lets %u, %n, %d and %h have their long names (base/variable.h);
 *         TEXT: "shell" leaves every $ to the shell that runs it;
 *         TABLES: a list of lookup tables, "type:name" (directory/table.h); `choices`
 *         "aliases" when their files have the grammar of aliases(5);
 *         MATCHES: a list of patterns (what they are the reader of it says), each perhaps
 *         with ! before it, of "/file" with more of them, and of tables.  The files of both
 *         kinds are opened by the postmaster (role/tables.h);
 *         RULES: a list of names of rules (policy/rules.h) and what they take, tables among it.
 */
#ifndef BASE_SETTING_H
#define BASE_SETTING_H

#include "base/arena.h"
#include "base/buffer.h"

enum setting_kind {
	SETTING_BOOL,      /* bool                                     */
	SETTING_NUMBER,    /* int64_t                                  */
	SETTING_SIZE,      /* int64_t, bytes                           */
	SETTING_TIME,      /* int64_t, milliseconds                    */
	SETTING_WORD,      /* const char *, no blanks, "" when empty   */
	SETTING_TEXT,      /* const char *, as it stands               */
	SETTING_LIST,      /* struct setting_list                      */
	SETTING_CHOICE,    /* int, index into choices                  */
	SETTING_TABLES,    /* struct setting_list                      */
	SETTING_MATCHES,   /* struct setting_list                      */
	SETTING_RULES,     /* struct setting_list                      */
};

struct setting_list { const char *const *item; size_t count; };
/* The next item of a list as it is written, in place: braces hold blanks and commas.  False: one is never closed. */
bool setting_item(struct bytes *rest, struct bytes *item);

struct setting {
	const char       *name;
	enum setting_kind kind;
	size_t            where;      /* offsetof in the struct to fill          */
	const char       *standard;   /* the default, in the grammar of the file; may use $name */
	const char       *about;      /* one sentence for main.cf(5)             */
	const char       *choices;    /* for CHOICE: words by comma; for NUMBER "ports": smtp is 25; for SIZE "memory": 4% of it */
	int64_t           least, most;/* as stored; most below least: no upper end; both 0: from 0 up */
	const char       *since;      /* the stage it came with: "0.3" is the third on the way to 0.1.0; no version has been given out before that */
};
struct setting_table { const char *about; const struct setting *row; size_t count; };

/* A name other servers have and this one has not, or all that begin so ("tlsproxy_*"), and what there is in its place:
   "listen_smtp says it". */
struct setting_elsewhere { const char *name, *instead; };

struct settings;
struct settings *settings_read(struct bytes text, const char *file,
                               struct buffer *errors, struct buffer *warnings);
void settings_close(struct settings **);
/* Every table of the house, for $name of a default and for unknown names. */
void settings_tables(struct settings *, const struct setting_table *, size_t count);
/* While so, $stress is "yes" wherever the file does not set it. */
void settings_stress(struct settings *, bool);
/* What settings_unknown() says of names of other servers. */
void settings_elsewhere(struct settings *, const struct setting_elsewhere *, size_t count);
bool settings_fill(struct settings *, const struct setting_table *,
                   const char *listener, void *into, struct buffer *errors);
bool settings_unknown(struct settings *, struct buffer *warnings);
const char *settings_value(struct settings *, const char *name);
/* A text whose names are settled only now ($client_address, ${rbl_reason?; $rbl_reason}), appended with what `know` says of
   each; a name it does not know is empty, and what is broken stays as it is written.  Bounded. */
void settings_expand_later(struct bytes text, bool (*know)(void *ctx, struct bytes name, struct bytes *value), void *ctx, struct buffer *out);
/* A name that a setting of the file makes known, as a class of rules is: neither complained of nor in any table. */
void settings_know(struct settings *, const char *name);
/* The same for a row whose name is made of what the file says; it is copied, but for its other words. */
void settings_know_row(struct settings *, const struct setting *);
/* "main.cf:7: text", with the line where the name is set, if it is. */
void settings_complain(const struct settings *, struct buffer *to, const char *name, const char *form, ...)
	__attribute__((format(printf, 4, 5)));
/* Every $name a value asks for, those within ${name?...} too; and whether a name is a setting of some table. */
void settings_asks(struct bytes value, void (*each)(void *ctx, struct bytes name), void *ctx);
bool settings_has_row(const struct settings *, struct bytes name);
bool setting_table_has(const struct setting_table *, const char *name);
/* Names set in the file, in its order, for `config show -n`: false at the end. */
struct setting_entry { const char *name, *value; int line; };
bool settings_entry(const struct settings *, size_t index, struct setting_entry *);
/* The line of the file that sets it; 0: none does. */
int settings_line(const struct settings *, const char *name);
/* The text of the file with name set to value: in place where the last one
   stood, comments and order kept, appended if absent.  A value of NULL takes
   the name out.  Appends to *out. */
void settings_edit(struct bytes text, const char *name, const char *value, struct buffer *out);

#endif
