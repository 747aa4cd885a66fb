/*
 * pipe -- a transport that gives letters to a command: what stands in its setting, and what the command is told
 *
 * From:     role/transports, role/keeper-pipe
 * Pure: text in, views and copies in the arena out.  Postfix's pipe(8) in what it takes and what it makes of it.
 *
 * pipe_read()    "flags=DRhu user=vmail:vmail null_sender= argv=/usr/bin/maildrop -d ${recipient}"; argv= is the last.
 *     A word with blanks stands in {braces}.  False with *why.
 * pipe_words()   the command's words, each with a NUL behind, with what is known of the letter put in; a word that
 *     asks for something of a recipient stands once for each.  False with *why.
 * pipe_head()    the fields before the letter that the flags ask for (CRLF).
 * pipe_sender()  the sender, or what null_sender says instead of nobody.
 */
#ifndef DELIVERY_PIPE_H
#define DELIVERY_PIPE_H

#include "base/arena.h"
#include "base/buffer.h"

enum { PIPE_WORDS_MOST = 4000 };
enum pipe_flag { PIPE_BLANK = 1, PIPE_DELIVERED = 2, PIPE_FROM = 4, PIPE_ORIGINAL = 8, PIPE_RETURN = 16, PIPE_FINAL = 32,
                 PIPE_FOLD_DOMAIN = 64, PIPE_QUOTE = 128, PIPE_FOLD_USER = 256, PIPE_DOTS = 512, PIPE_FROM_QUOTED = 1024 };
struct pipe_command {
	unsigned     flags;            /* enum pipe_flag                          */
	struct bytes user, group;      /* group "" the user's                     */
	struct bytes directory, eol, null_sender;
	int64_t      size_most;        /* 0 any                                   */
	struct bytes argv;             /* words by blanks                         */
};
bool pipe_read(struct bytes text, struct arena *, struct pipe_command *, const char **why) __attribute__((warn_unused_result));

struct pipe_recipient { struct bytes address, original; };
struct pipe_facts {
	struct bytes sender, nexthop, queue_id, envid;
	struct bytes client_address, client_hostname, client_helo, client_protocol, client_port;
	struct bytes sasl_method, sasl_sender, sasl_username;
	uint64_t     size;
	const char  *delimiters;       /* recipient_delimiter                     */
	const struct pipe_recipient *recipient; size_t recipients;
};
bool pipe_words(const struct pipe_command *, const struct pipe_facts *, struct arena *, struct buffer *out, const char **why) __attribute__((warn_unused_result));
void pipe_head(const struct pipe_command *, const struct pipe_facts *, struct buffer *out);
struct bytes pipe_sender(const struct pipe_command *, struct bytes sender);

#endif
