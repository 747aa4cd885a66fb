/*
 * sendmail-letter -- a letter as programs give it to sendmail, and who sends it to whom
 *
 * post_complain()  says it on standard error as sendmail does, and gives the status.
 * post_add_list()  adds whom an address list names, as in a header; what is no address is told, and makes post.wrong.
 * post_sender()    the address as programs write it; "" for nobody.
 * post_login()     the name of the user who calls.
 * post_letter()    the letter of these lines, with CRLF and, unless it is `gateway`, the fields it lacks; with -t its recipients are added.
 */
#ifndef COMMAND_SENDMAIL_LETTER_H
#define COMMAND_SENDMAIL_LETTER_H

#include "base/buffer.h"
#include "command/command.h"

struct asked_of;
struct talk;

struct post {
	struct call           *call;
	struct arena          *life;
	struct common_settings common;
	struct setting_list    pickup; /* where the listener of that name is besides, if anywhere */
	bool                   no_socket; /* of pickup: it is asked by the network */
	const char            *sender, *name, *notify, *ret, *envid, *verp;
	bool                   from_header, dots, eight_bit; /* -t; a dot does not end it */
	bool                   gateway; /* -G: it is somebody else's, and gets no fields */
	bool                   report, verify; /* -v, -bv: of the first try of each; of who would take it */
	const char           **to;
	size_t                 recipients, room;
	bool                   wrong; /* something was no address */
	struct asked_of       *asked; /* what -bv has heard                         */
	size_t                 answers;
	struct settings       *settings;
	struct talk           *talk;
	struct buffer          reply; /* its last line */
	char                   offers[1024];
	int                    status;
};

int post_complain(int status, const char *form, const char *what);
void post_add_list(struct post *, struct bytes list);
const char *post_sender(struct post *, const char *text);
const char *post_login(void);
void post_letter(struct post *, struct bytes in, struct buffer *out);

#endif
