/*
 * spf-record -- what a domain says of who may send in its name, as it is written (rfc7208:4.5, 12)
 *
 * spf_is_record()  whether a TXT is one of SPF: "v=spf1" alone or with a blank behind it.
 * spf_parse()      its terms, in their order; views into the text.  False: *wrong says what, *where is the word it
 *     is about; a domain with such a record is a permanent error (rfc7208:4.6).  More than SPF_TERMS_MOST are wrong, too.
 * spf_asks()       whether a term costs one of the ten lookups (rfc7208:4.6.4).
 *
 * A pure function of its text; nothing is asked here.
 */
#ifndef IDENTITY_SPF_RECORD_H
#define IDENTITY_SPF_RECORD_H

#include "channel/peer.h"

enum { SPF_TERMS_MOST = 200, SPF_LOOKUPS_MOST = 10, SPF_VOID_MOST = 2 };
enum spf_kind {
	SPF_ALL, SPF_INCLUDE, SPF_A, SPF_MX, SPF_PTR, SPF_IP4, SPF_IP6, SPF_EXISTS,
	SPF_REDIRECT, SPF_EXP, SPF_UNKNOWN_MODIFIER
};
struct spf_term {
	enum spf_kind kind;
	char          qualifier;       /* + - ~ ?; of a modifier 0                 */
	struct bytes  text;            /* the whole word                           */
	struct bytes  domain;          /* empty: the domain whose record it is     */
	bool          has_macros;      /* the domain is made of the letter's facts */
	struct network network;        /* of ip4 and ip6                           */
	int           bits4, bits6;    /* of a and mx: 32, 128 if not said         */
};

bool spf_is_record(struct bytes text);
bool spf_parse(struct bytes text, struct spf_term out[static SPF_TERMS_MOST], size_t *count, const char **wrong, struct bytes *where);
bool spf_asks(enum spf_kind);

#endif
