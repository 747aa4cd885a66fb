/*
 * mishaps -- sessions in which something went wrong, told to the postmaster as notify_classes say
 *
 * From:     role/receiver (a session has ended, or was long), role/sender-session (a connection has), role/certifier
 * To:       queue (MISHAP, ALERT), which writes the letter (role/queue-mishap.c)
 *
 * mishap_classes()  what of is wanted to be heard, enum fault_class; 0: nothing need be kept of any session.
 * mishap_alert()    lines that the postmaster should read before somebody is harmed: they go to error_notice_recipient if
 *                      notify_classes have software or resource.
 * mishap_say()      a session's history.  No more than MISHAPS_MOST in an hour from each process: whoever does wrong all day
 *                      long fills nobody's mailbox, and the next one says how many were left out.
 */
#ifndef ROLE_MISHAPS_H
#define ROLE_MISHAPS_H

#include "role/house.h"
#include "smtp/history.h"

enum { MISHAPS_MOST = 30 };
struct mishaps { int64_t since_ms; uint32_t said, unsaid; };

struct mishap_settings {
	struct setting_list classes;          /* notify_classes                  */
	const char *error_to, *bounce_to;
};
extern const struct setting_table mishap_setting_table;
/* The word of notify_classes that is none; NULL they are all. */
const char *mishap_class_wrong(const struct setting_list *);

unsigned mishap_classes(struct house *, const char *listener);        /* NULL: of no listener */
void mishap_alert(struct house *, const char *subject, const char *text);
struct mishap_from { const char *listener, *what, *who; };           /* "SMTP server", "name[192.0.2.1]" */
void mishap_say(struct house *, struct mishaps *, const struct mishap_from *, const struct history *);

#endif
