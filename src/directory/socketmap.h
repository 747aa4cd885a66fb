/*
 * socketmap -- what is said to the programs behind socketmap: and tcp: tables, and what they answer
 *
 * From:     table-socketmap
 * Touches:  nothing; bytes in, values out
 *
 * socketmap  a netstring "name key"; the reply is a netstring "OK value", "NOTFOUND ", "TEMP why",
 *            "TIMEOUT why" or "PERM why" (socketmap_table(5)).
 * tcp        "get key\n" with %XX; the reply a line "200 value", "500 nothing" or "400 why" (tcp_table(5)).
 * A reply is SHORT until it is whole; more than SOCKETMAP_REPLY_MOST bytes, or bytes behind it, are NONSENSE.
 */
#ifndef DIRECTORY_SOCKETMAP_H
#define DIRECTORY_SOCKETMAP_H

#include "base/buffer.h"

enum { SOCKETMAP_REPLY_MOST = 1 << 20 };
enum socketmap_reply { SOCKETMAP_SHORT, SOCKETMAP_NONSENSE, SOCKETMAP_OK, SOCKETMAP_NONE, SOCKETMAP_LATER };

void socketmap_question(struct bytes map, struct bytes key, struct buffer *out);
enum socketmap_reply socketmap_reply_read(struct bytes arrived, struct buffer *value);
void tcp_question(struct bytes key, struct buffer *out);
enum socketmap_reply tcp_reply_read(struct bytes arrived, struct buffer *value);

#endif
