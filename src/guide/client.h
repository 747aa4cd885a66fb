/*
 * client -- how mail programs are told to reach this server: what Mozilla's and Microsoft's look for, and words for people
 *
 * From:     role/guide, command domain client-settings
 * Touches:  nothing
 *
 * client_mozilla()  the file config-v1.1.xml for a domain, as Thunderbird, Evolution, KMail, K-9 and others read it.
 * client_outlook()  the answer to autodiscover of the schema outlook/responseschema/2006a.
 * client_words()    the same for people.
 * client_add_xml()  text as it stands within an element.
 *
 * The order of `server` is that in which they are to be tried.  All of them are with TLS: none is named that would take a password
 * without.  A host is a name as the DNS has it, and so is a domain.
 */
#ifndef GUIDE_CLIENT_H
#define GUIDE_CLIENT_H

#include "base/buffer.h"

enum { CLIENT_SERVERS_MOST = 8 };
enum client_protocol { CLIENT_IMAP, CLIENT_POP3, CLIENT_SMTP };
enum { CLIENT_PASSWORD = 1, CLIENT_TOKEN = 2, CLIENT_KERBEROS = 4 };     /* ways to say who one is */
struct client_server { enum client_protocol protocol; unsigned port; bool tls_first; unsigned ways; };
struct client_facts {
	char   host[256];
	struct client_server server[CLIENT_SERVERS_MOST];
	size_t servers;
};
void client_mozilla(const struct client_facts *, struct bytes domain, struct buffer *out);
void client_outlook(const struct client_facts *, struct bytes address, struct buffer *out);
void client_words(const struct client_facts *, struct bytes domain, struct buffer *out);
void client_add_xml(struct bytes text, struct buffer *out);

#endif
