/*
 * charset -- bytes in any charset a letter may name, to UTF-8
 *
 * Called through message/encoding.h; here is what its neighbours share.
 *
 * Only the charsets of one table are known, so that a letter cannot have
 * strange converters loaded.  UTF-8, ASCII, the two Latin ones and the shifts of HZ are our own
 * work; the others are glibc's iconv, one converter kept for each.
 *
 * charset_warm()  opens every converter (glibc loads them from files): to be
 *     called before a cage closes.  Without it each is opened at first need.
 * charset_known()  whether the table has it; charset_names() the name of each row, blanks between.
 * charset_is_seven()  whether bytes that are all ASCII may be other characters in it.
 * charset_guess_to_utf8()  for bytes that name no charset: UTF-8 if it is
 *     valid, then GB2312, Big5 or GBK if all of it looks like that, else Latin-1.
 * utf8_take()  gives the next character and moves *at past it; U+FFFD and one
 *     byte for what is not UTF-8.
 * utf8_put()   writes a character; how many bytes it took.
 * utf8_cut()   at most `most` bytes of a valid text, not through a character.
 *
 * Not for threads: the converters belong to the process.
 */
#ifndef MESSAGE_CHARSET_H
#define MESSAGE_CHARSET_H

#include "base/buffer.h"

void charset_warm(void);
bool charset_known(struct bytes name);
bool charset_is_seven(struct bytes name);
void charset_names(struct buffer *out);
void charset_guess_to_utf8(struct bytes text, struct buffer *out);
uint32_t utf8_take(struct bytes, size_t *at);
size_t utf8_put(uint32_t, char out[static 4]);
struct bytes utf8_cut(struct bytes, size_t most);
bool bytes_are_ascii(struct bytes);

#endif
