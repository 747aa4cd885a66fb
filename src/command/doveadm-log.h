/*
 * doveadm-log -- `doveadm log find`, `doveadm log errors` and `doveadm log test`
 *
 * From:     command doveadm
 * Touches:  the file of the log
 *
 * log_find()    says where the log goes.
 * log_test()    writes one line of each severity to the log, where a server that runs writes its own.
 * log_reopen()  has the server that runs open it anew, after it was rotated.
 * log_errors()  prints the last thousand warnings and errors of the log file that are not older than `since` (seconds since 1970,
 *               or NULL).  A log that goes to syslog is not read: it says how to.
 */
#ifndef COMMAND_DOVEADM_LOG_H
#define COMMAND_DOVEADM_LOG_H

#include "command/output.h"

int log_find(struct call *);
int log_test(struct call *);
int log_reopen(struct call *);
int log_errors(struct call *, const char *since, enum output_form, bool formed);

#endif
