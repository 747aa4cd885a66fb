/*
 * output -- rows of values, in the form that is asked for
 *
 *     table   a head and columns of equal width, for people
 *     flow    name=value name=value, a row a line
 *     tab     a head and values between tabs, as doveadm writes them
 *     pager   name: value, a line each; a form feed between rows
 *     json    a list of objects
 *     values  the values alone, by blanks
 *
 * output_open()   with the names of the columns, which must stay.
 * output_open_as_doveadm()  the same forms byte for byte as doveadm of Dovecot 2.3 writes them: columns without a
 *                 title in some of them, JSON on one line, tab without escapes.  What is begun by output_begin() is
 *                 there a value of several lines, whose pager says its name on a line of its own.
 * output_value()  the next column's value.  A long one comes in pieces: output_begin(), output_piece(),
 *                 output_end().  Only a table gathers what is said until output_close().
 */
#ifndef COMMAND_OUTPUT_H
#define COMMAND_OUTPUT_H

#include "base/buffer.h"
#include "command/command.h"

enum output_form { OUTPUT_TABLE, OUTPUT_FLOW, OUTPUT_TAB, OUTPUT_PAGER, OUTPUT_JSON, OUTPUT_VALUES, OUTPUT_FORMS };
struct output;
/* The form of --json, -f or --format taken out of the arguments; `standard` without them.  False: said why. */
bool output_option(struct call *, enum output_form standard, enum output_form *out);
struct output *output_open(enum output_form, const char *const *column, size_t columns);
struct output_column {
	const char *title, *key;       /* key: in JSON; NULL: the title      */
	bool        untitled;          /* flow and pager show the value alone */
	bool        right;             /* in a table                         */
};
struct output *output_open_as_doveadm(enum output_form, const struct output_column *, size_t columns);
void output_value(struct output *, struct bytes);
void output_text(struct output *, const char *form, ...) __attribute__((format(printf, 2, 3)));
void output_begin(struct output *);
void output_piece(struct output *, struct bytes);
void output_end(struct output *);
void output_close(struct output **);

#endif
