/*
 * tables-ask -- every table and back end of credentials that another server keeps is asked once for somebody nobody has: does it answer?
 *
 * From:     config check
 * Touches:  those servers; nothing is changed there
 *
 * tables_ask()  What is wrong is said with the file and the line that it comes from: in *errors what the server itself does not want
 *               (a password, a table, a column, a base), in *warnings that it cannot be reached now, which may be nobody's mistake.
 *               False: something is in *errors.  What cannot be opened tables_check() has told of.
 * Bounded:      each by its own timeout, and all of them by PATIENCE_MS: who comes later is told to be not asked.
 */
#ifndef ROLE_TABLES_ASK_H
#define ROLE_TABLES_ASK_H

#include "base/buffer.h"
#include "base/setting.h"

bool tables_ask(struct settings *, const char *file, struct buffer *errors, struct buffer *warnings);

#endif
