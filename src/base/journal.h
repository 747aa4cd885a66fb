/*
 * journal -- the log: one line, one fact
 *
 * Lines look like Postfix's and Dovecot's so that pflogsumm and fail2ban read
 * them:  Nov 22 01:35:19 host mansio/smtpd[123]: 1A00F3: client=...
 * With log_format=json each line is one object: time, level, host, service,
 * pid, id, message.
 *
 * A line is gathered in memory; journal_flush() writes all of them with one
 * call.  The loop flushes before it sleeps; fault, panic and exit flush at once.
 *
 * note   it happened           warn   an operator should look
 * fault  we failed a user      panic  a promise inside the house was broken:
 *                                     the line is written and the process aborts
 *
 * The severity stands before the text: "warning: ", "error: ", "panic: ";
 * nothing before a note.  In JSON a letter's id before the text ("1A00F3: ")
 * is taken out of it and becomes id.
 *
 * Control bytes and anything not printable ASCII/UTF-8 in the text are written
 * as \xNN, so a client cannot forge a line.  A line is cut at 2000 bytes.
 * What cannot be written is kept for the next flush, up to 64 KiB; what is lost
 * then is counted.  Before journal_open() every line goes to stderr at once.
 * errno is left alone.  Never give it a secret.
 *
 * journal_open(): `target` is "syslog", "stderr" or "file"; for "file" and
 * "stderr" `fd` is the descriptor to write to; for "syslog" fd is a connected
 * datagram socket to /dev/log (journal_syslog_socket() makes one before the
 * cage closes).  `service` is e.g. "mansio/smtpd".
 */
#ifndef BASE_JOURNAL_H
#define BASE_JOURNAL_H

#include <stdbool.h>

enum journal_target { JOURNAL_STDERR, JOURNAL_FILE, JOURNAL_SYSLOG };

void journal_open(enum journal_target, int fd, bool json, const char *host);
int  journal_syslog_socket(void);                   /* -1 with errno        */
void journal_reopen(int fd);                        /* after log rotation   */
void journal_service(const char *service);          /* default for lines    */
void journal_flush(void);

void note (const char *form, ...) __attribute__((format(printf, 1, 2)));
void warn_(const char *form, ...) __attribute__((format(printf, 1, 2)));
void fault(const char *form, ...) __attribute__((format(printf, 1, 2)));
void panic(const char *form, ...) __attribute__((format(printf, 1, 2), noreturn));
/* The same with a service of its own ("mansio/submission/smtpd"). */
void note_as(const char *service, const char *form, ...) __attribute__((format(printf, 2, 3)));
void warn_as(const char *service, const char *form, ...) __attribute__((format(printf, 2, 3)));
/* A detail for developers, written only after journal_verbose(true). */
void detail(const char *form, ...) __attribute__((format(printf, 1, 2)));
void journal_verbose(bool);

#define INSIDE(promise) \
	((promise) ? (void)0 : panic("broken promise at %s:%d: %s", __FILE__, __LINE__, #promise))

#endif
