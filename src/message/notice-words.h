/*
 * notice-words -- what notices say to people, in each language they speak
 *
 * notice_words()    by its tag, "en", "zh", with or without a region behind it ("zh-CN", "zh_CN.UTF-8"); NULL: not spoken.
 * notice_explain()  what a status (rfc3463) means for the person, and what may be done; never NULL.
 *                   `told`: another host has said it; else nobody is blamed for it.
 * notice_language() the number'th tag there is, NULL at the end.
 */
#ifndef MESSAGE_NOTICE_WORDS_H
#define MESSAGE_NOTICE_WORDS_H

#include "message/notice.h"

struct notice_words {
	const char *name;
	const char *from;                       /* "Mail Delivery System"             */
	const char *subject[NOTICE_KINDS], *copy_subject[NOTICE_KINDS];
	const char *text[NOTICE_KINDS];         /* lines                              */
	const char *copy;                       /* of a copy for the postmaster, before the sender's address */
	const char *letter, *sent;              /* "Subject", "Sent"                  */
	const char *until, *over;               /* "tried until", "its time is over"  */
	const char *stop;                       /* what a sentence ends with          */
	const char *help;                       /* how to ask; before the postmaster's address */
	const char *number;                     /* of the letter here                 */
};
const struct notice_words *notice_words(struct bytes tag);
const char *notice_explain(const struct notice_words *, struct bytes status, bool told);
const char *notice_language(size_t number);

#endif
