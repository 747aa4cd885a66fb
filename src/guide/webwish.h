/*
 * webwish -- what a request to the guide wants, and whose settings it asks for
 *
 * From:     role/guide
 * Touches:  nothing
 *
 * webwish_of()  `status` 0: it can be done for `domain`, lower case and in A-labels; else that is the answer, and with 405
 *              `allow` says what there is.  WEBWISH_CHALLENGE has no domain: the certifier knows.
 *
 * Where there are settings:
 *     GET /mail/config-v1.1.xml, GET /.well-known/autoconfig/mail/config-v1.1.xml   Mozilla's, also with ?emailaddress=ADDRESS
 *     POST /autodiscover/autodiscover.xml                                           Outlook's, with the address in it
 * The domain is the address's, else that of the host with its "autoconfig." or "autodiscover." taken off.  Of the address no more
 * is looked at than what stands behind its @: who asks does not learn whether there is such a person.
 */
#ifndef GUIDE_WEBWISH_H
#define GUIDE_WEBWISH_H

#include "base/arena.h"
#include "guide/webrequest.h"

enum { WEBWISH_ADDRESS_MOST = 320 };
enum webwish_kind { WEBWISH_NOTHING, WEBWISH_MOZILLA, WEBWISH_OUTLOOK, WEBWISH_CHALLENGE };
struct webwish {
	enum webwish_kind kind;
	unsigned     status;
	const char  *allow;
	struct bytes domain;
	struct bytes address;          /* of Outlook's: as it was given          */
};
void webwish_of(const struct webrequest *, struct arena *, struct webwish *out);

#endif
