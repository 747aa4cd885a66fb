/*
 * doveadm-elsewhere -- what Dovecot's doveadm has and ours has not: what does it here
 *
 * From:     command doveadm
 *
 * doveadm_elsewhere()  the sentence for a command ("backup", or "log" with "test" behind it); NULL: there is no such command
 *                      there, either.
 */
#ifndef COMMAND_DOVEADM_ELSEWHERE_H
#define COMMAND_DOVEADM_ELSEWHERE_H

const char *doveadm_elsewhere(const char *name, const char *verb);

#endif
