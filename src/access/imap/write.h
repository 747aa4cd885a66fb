/*
 * write -- words of the grammar on their way out (rfc3501:9)
 *
 * write_string()   a quoted string, or a literal where that is needed.
 * write_text()     the same; to who enabled it, UTF-8 between the quotes (rfc6855:3, rfc9051:9).
 * write_astring()  an atom where it is one, else as write_string().
 * write_mailbox()  a name as the client knows it: UTF-8, or modified UTF-7 (rfc3501:5.1.3).
 * write_flags()    "(\Seen $Forwarded)" of an entry of this mailbox.
 */
#ifndef ACCESS_IMAP_WRITE_H
#define ACCESS_IMAP_WRITE_H

#include "base/buffer.h"
#include "store/store.h"

void write_string (struct buffer *, struct bytes);
void write_astring(struct buffer *, struct bytes);
void write_text   (struct buffer *, struct bytes, bool utf8);
void write_mailbox(struct buffer *, const char *name, bool utf8);
void write_flags  (struct buffer *, const struct mailbox *, uint64_t flags, bool recent);
/* The same, remembering the words of a few: good for one turn, keywords may be new in the next. */
struct flags_said { struct { uint64_t flags; bool recent; uint8_t len; char text[110]; } last[8]; };
void write_flags_again(struct buffer *, struct flags_said *, const struct mailbox *, uint64_t flags, bool recent);
/* The flags known in this mailbox. */
void write_flags_known(struct buffer *, const struct mailbox *);
/* Those that may be changed; with keywords and \* when other flags than \Seen and \Deleted are among them. */
void write_flags_may(struct buffer *, const struct mailbox *, uint64_t may);
uint8_t keywords_known(const struct mailbox *);
/* "\Sent"; NULL for USE_NONE. */
const char *use_word(enum mailbox_use);
enum mailbox_use use_of(struct bytes word);               /* USE_NONE: unknown */

#endif
