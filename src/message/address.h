/*
 * address -- rfc5321:4.1.2 paths and mailboxes, rfc5322:3.4 address lists
 *
 * path_parse() reads what stands after "MAIL FROM:" or "RCPT TO:".  Source
 *      routes are read and dropped (rfc5321:4.1.1.3).  Quoted local parts are
 *      unquoted to their meaning; address literals are kept with brackets.
 *      `lenient` also takes blanks after the colon and inside brackets, an address
 *      without brackets (R66) or without a domain, and a dot behind the domain.  The rest of the line (parameters) stays in scan.
 *      Limits rfc5321:4.5.3.1: local 64, domain 255, path 256 octets; the
 *      lenient take a local part of 255 in a path of 512 (VERP senders) and
 *      dots in any place of it.
 *      UTF-8 local parts and domains only with `utf8` (rfc6531).
 * Only the domain is lower-cased, and its U-labels are A-labels (message/domain.h), and only in struct address.
 */
#ifndef MESSAGE_ADDRESS_H
#define MESSAGE_ADDRESS_H

#include "base/arena.h"
#include "base/scan.h"

struct address {
	struct bytes local;      /* unquoted; may hold blanks and '@' when it was quoted */
	struct bytes domain;     /* lower case; "" for <> and <postmaster>               */
};
/* `style` is made of these. */
enum path_style { PATH_STRICT = 0, PATH_LENIENT = 1, PATH_UTF8 = 2 };

/* False with a reason in r->fault.  Memory from the arena. */
bool path_parse(struct scan *r, unsigned style, struct arena *, struct address *out);
/* A bare "local@domain" as administrators type it. */
bool address_parse(struct bytes, struct arena *, struct address *out);
/* "local@domain", the local part quoted again if it must be. */
struct bytes address_text(struct arena *, const struct address *);
/* A host name rfc1035 letters-digits-hyphen (underscore allowed), or with
   brackets an address literal that is a real IPv4 or IPv6 address. */
bool domain_valid(struct bytes);
bool address_literal_valid(struct bytes);

/* rfc5322 address-list with the liberties of rfc7103 (obs-syntax, comments, groups). */
struct mailbox {
	struct bytes name;       /* display name, raw bytes unquoted (not rfc2047-decoded); "" none */
	struct bytes route;      /* obs-route, "" none                                */
	struct bytes local, domain;
	bool group_start, group_end;   /* rfc3501:7.4.2: a group's begin (name in local) and end */
};
/* At most `most`; returns how many. Linear time. */
size_t mailboxes_parse(struct bytes field, struct arena *, struct mailbox *out, size_t most);
/* The same one by one, for fields of any length; false at the end.  A group that
   was begun is always ended.  The field must live as long as the reader. */
struct mailboxes {
	const char *at, *end;
	char *room;              /* where words are put together      */
	const char *plain_quotes, *plain_comments;   /* from here on they have no end */
	struct bytes comment;
	bool in_group;
};
struct mailboxes mailboxes_of(struct bytes field, struct arena *);
bool mailboxes_next(struct mailboxes *, struct mailbox *out);

#endif
