/*
 * queue-notice -- what the files of the queue role share that tell people of their letters
 *
 *     queue-notice.c     a notice: whom it concerns, what stands in it, its road into the log
 *     queue-gather.c     when it is made: one for those that end, or are put off, one after the other
 *
 * notice_look_again()   at rest it is looked whether somebody is to be told of this letter, with what else became of it meanwhile.
 * notice_return()       one notice for all recipients of a letter that ended alike and have one sender; true: there are more.
 * notice_report()       sendmail -v and -bv: all that became of its recipients, once each was tried.
 * notice_warn()         it takes long: once, for all its recipients that are meant and have the same sender, and the letter goes on.
 * notice_was_put_off()  whom that may concern.
 * notice_gather_open()  nobody waits.
 */
#ifndef ROLE_QUEUE_NOTICE_H
#define ROLE_QUEUE_NOTICE_H

#include "role/queue.h"

void notice_look_again(struct queue_role *, struct letter *);
bool notice_return(struct house *, struct letter *);
void notice_report(struct house *, struct letter *);
void notice_warn(struct house *, struct letter *, bool (*meant)(const struct recipient *, const void *), const void *which);
bool notice_was_put_off(const struct recipient *, const void *);
void notice_gather_open(struct house *);

#endif
