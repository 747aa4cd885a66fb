/*
 * urlauth -- URLs that carry leave to read what they name (rfc4467)
 *
 * From:     GENURLAUTH, which signs; imap/urlfetch, which believes
 * To:       store/urlkeys
 *
 * A signed URL ends in ";URLAUTH=access:internal:token".  The token is "01", which names the way it is made, and in
 * hexadecimal digits the HMAC-SHA256, by the mailbox's key, of all that stands before the ":" behind `access`.
 *
 * urlauth_address()  the whole address a userid of a URL means, folded as names of accounts are; the domain may be left out when it is the
 *                    one of `beside`.
 * urlauth_is_ours()  does the URL name no host, or one of these (imap_urlauth_host) or below one?  The port is not looked at.
 * urlauth_sign()     appends ":internal:token".
 * urlauth_holds()    is the token the one the key makes?  Takes the same time whatever is wrong.
 * urlauth_admits()   may this reader use a URL that `owner` signed, now?  Looks at access and expiry alone.
 * urlauth_submits()  may a submission server use it on behalf of `user`, who has logged in there (rfc4468:3.3)?
 */
#ifndef ACCESS_IMAP_URLAUTH_H
#define ACCESS_IMAP_URLAUTH_H

#include "access/imap/session.h"
#include "access/imap/url.h"
#include "store/urlkeys.h"

const char *urlauth_address(struct arena *, struct bytes userid, const char *beside);
bool urlauth_is_ours(const struct setting_list *hosts, const struct imap_url *);
void urlauth_sign(struct buffer *, const struct imap_url *, const unsigned char key[static URLKEY_LEN]);
bool urlauth_holds(const struct imap_url *, const unsigned char key[static URLKEY_LEN]);
bool urlauth_admits(struct imap *, const struct imap_url *, const char *owner);
bool urlauth_submits(const struct imap_url *, const char *owner, const char *user, struct arena *);

#endif
