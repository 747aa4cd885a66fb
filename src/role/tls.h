/*
 * tls -- the TLS of one listener, as settings and the postmaster's files say it
 *
 * From:     receiver, login, guide; sender, for what it shows to hosts that ask
 * Touches:  the signer, who is asked whether it has the keys
 *
 * house_tls()  a new one, or NULL: no certificate is set, or none works (said in the log).  A file of certificates
 *     that is broken, or whose key the signer has not, counts as it was when it last was good.
 */
#ifndef ROLE_TLS_H
#define ROLE_TLS_H

#include "channel/tls.h"
#include "role/house.h"

struct tls_wish {
	const char *listener;      /* "imaps"                                  */
	bool        mandatory;     /* nothing goes on without TLS there        */
	bool        for_strangers; /* nobody logs in there: no certificate is asked for, and no other process goes on with its sessions */
	const char *session_id, *alpn;
	int64_t     handshake_ms;
	void      (*trace)(const char *line);
	enum tls_dump dump;
};
struct tls *house_tls(struct house *, const struct tls_wish *);
/* The certificates of these files (by TAB; resources KIND/PATH): as they are now if the signer has their keys, else as they
   were when it last had; NULL: never. */
const char *house_tls_chain(struct house *, const char *kind, struct bytes files, const struct tls_signer *);
bool house_tls_is_set(struct house *, const char *listener);   /* whether a certificate is meant to be shown there */

#endif
