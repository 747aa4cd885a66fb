/*
 * domain -- names of domains, as people write them and as the DNS has them (rfc5890)
 *
 * domain_canonical()  lower case, and every label beyond US-ASCII as its A-label ("xn--..."), so
 *                     that both are one domain wherever names are compared: in addresses, the directory,
 *                     lists of settings.  An address literal stays what it is.  False: a label
 *                     cannot be one (rfc5891:4, rfc5892), or the name is too long.
 * domain_unicode()    the same for people, U-labels as far as there are any; with a "." in front
 *                     it keeps that.
 * domain_is_encoded() whether it has an A-label at all.
 */
#ifndef MESSAGE_DOMAIN_H
#define MESSAGE_DOMAIN_H

#include "base/arena.h"

bool domain_canonical(struct bytes name, struct arena *, struct bytes *out);
struct bytes domain_unicode(struct bytes name, struct arena *);
bool domain_is_encoded(struct bytes name);

#endif
