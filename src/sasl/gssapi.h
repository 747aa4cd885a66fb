/*
 * gssapi -- the keys of a Kerberos service (sasl/gssapi.c)
 *
 * gssapi_open()   reads a keytab, before the cage closes: the keys are kept in memory and the file is not opened
 *                 again.  False with words in *errors.
 * gssapi_ready()  whether that was done.  gssapi_realm(): that of the keys.
 * gssapi_user()   who a principal ("jack@EXAMPLE.COM") is here.  `realms` are pairs "EXAMPLE.COM=example.com"; where there
 *                 are none, a principal of our own realm is a user of the domain of that name in small letters.
 *                 Services ("imap/host@REALM") are nobody.  False: nobody here.
 */
#ifndef SASL_GSSAPI_H
#define SASL_GSSAPI_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/setting.h"

bool gssapi_open(const char *path, struct buffer *errors);
bool gssapi_ready(void);
const char *gssapi_realm(void);
bool gssapi_user(struct bytes principal, struct bytes our_realm, const struct setting_list *realms, struct arena *, struct bytes *user);

#endif
