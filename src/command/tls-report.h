/*
 * tls-report -- what a certificate says, in words; and what is wrong with it
 *
 * From:     command tls
 *
 * report_chain()  tells the leaf and those above it; what is wrong goes to report_wrong(): expired or nearly so,
 *     not for `host` (NULL: any), of a staging authority (R242), a weak key or signature.
 * report_grade() tells the grade and what it is because of (R241): A; B: what is newer or better is missing; C: what is weak is
 *     spoken; F: a client that looks turns away.  report_wrong() means F, report_flaw() what it says, and report_lowers() has no
 *     line of its own.
 */
#ifndef COMMAND_TLS_REPORT_H
#define COMMAND_TLS_REPORT_H

#include <openssl/x509.h>

#include "base/buffer.h"

struct report {
	struct buffer wrong, noted;    /* a line each                            */
	char          grade;           /* 0: A                                   */
	char          why[120];
};
void report_wrong(struct report *, const char *form, ...) __attribute__((format(printf, 2, 3)));
void report_flaw(struct report *, char grade, const char *form, ...) __attribute__((format(printf, 3, 4)));
void report_lowers(struct report *, char grade, const char *form, ...) __attribute__((format(printf, 3, 4)));
void report_note(struct report *, const char *form, ...) __attribute__((format(printf, 2, 3)));
void report_line(const char *what, const char *form, ...) __attribute__((format(printf, 2, 3)));
void report_chain(struct report *, STACK_OF(X509) * chain, const char *host);
/* Prints what was gathered and forgets it; whether anything was wrong. */
bool report_end(struct report *);
void report_grade(const struct report *);

#endif
