/*
 * auth-client -- a login tried at a socket that speaks Dovecot's auth protocol: our auth_socket, or Dovecot's own
 *
 * From:     command auth bridge, doveadm auth test -a
 * Touches:  the socket at `path`, with the rights of whoever started the command
 *
 * auth_client_open()   connects to nobody yet; `path` stays the caller's.
 * auth_client_try()    one login by PLAIN: `facts` is what goes along, "service=imap\tsecured\t", every fact with its tab behind
 *     it, and `proof` is the message of rfc4616:2.  TAKEN, REFUSED, or SILENT when nobody answers: errno then says why if the
 *     socket could not be had, and is 0 if it was.  *words is then what was said behind the number, "user=jack\tnologin".
 * The server may have been started anew between two of them; a connection that is no good is made again.
 */
#ifndef COMMAND_AUTH_CLIENT_H
#define COMMAND_AUTH_CLIENT_H

#include "base/buffer.h"

enum auth_client_said { AUTH_CLIENT_SILENT, AUTH_CLIENT_REFUSED, AUTH_CLIENT_TAKEN };

struct auth_client;
struct auth_client *auth_client_open(const char *path);
enum auth_client_said auth_client_try(struct auth_client *, const char *facts, struct bytes proof, struct buffer *words);
void auth_client_close(struct auth_client **);

#endif
