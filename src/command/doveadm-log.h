/*
 * doveadm-log -- `doveadm log find` and `doveadm log errors`
 *
 * From:     command doveadm
 * Touches:  the file of the log, which it only reads
 *
 * log_find()    says where the log goes.
 * log_errors()  prints the last thousand warnings and errors of the log file that are not older than `since` (seconds since 1970,
 *               or NULL).  A log that goes to syslog is not read: it says how to.
 */
#ifndef COMMAND_DOVEADM_LOG_H
#define COMMAND_DOVEADM_LOG_H

#include "command/output.h"

int log_find(struct call *);
int log_errors(struct call *, const char *since, enum output_form, bool formed);

#endif
