/*
 * srs -- the sender rewriting scheme: what is forwarded to another host goes out in our own name, and what comes
 * back to that name finds its sender again
 *
 *     SRS0=HASH=TT=domain=local@ours      local@domain sent it, we forwarded it on day TT
 *     SRS1=HASH=first=REST@ours           first had made SRS0REST@first of it; it comes back to first at once
 *
 * From:     role/clerk (ROUTE makes such a name, RESOLVE opens it)
 *
 * The hash is the beginning of the base64 of an HMAC-SHA-1 over what stands behind it, in small letters, as Mail::SRS,
 * libsrs2 and postsrsd make it: what one of them made with the same secret the others open.  It is compared
 * without regard to case, since hosts on the way may have changed that.
 *
 * srs_make()  with the first secret.  False: it cannot be (no secret, no address, or what comes out is too long for a path).
 * srs_open()  with any of them, so that one can follow another.
 *             SRS_NOT is no such address at all: it means what any address does.
 *
 * Fails:    in the sentences of the enum.  No memory but the arena; days are days of the wall clock (seconds / 86400).
 */
#ifndef DIRECTORY_SRS_H
#define DIRECTORY_SRS_H

#include "base/arena.h"
#include "base/setting.h"

struct srs_settings {
	/* rows */
	const char *domain;             /* "": nothing is rewritten, nothing is opened     */
	struct setting_list secrets;    /* the first makes, each opens                     */
	struct setting_list exclude;    /* domains of senders that stay                    */
	int64_t age_ms, hash_length;
	bool    own;                    /* senders of our own domains too                  */
	int     separator;              /* behind SRS0 and SRS1: index into "=+-"         */
};
extern const struct setting_table srs_setting_table;

enum srs_outcome {
	SRS_OPENED,                     /* *out is whom it stands for                      */
	SRS_NOT,                        /* it has another form                             */
	SRS_FORGED,                     /* the hash is not ours                            */
	SRS_EXPIRED,                    /* made longer ago than srs_max_age, or tomorrow   */
};
bool srs_make(const struct srs_settings *, struct bytes sender, int64_t wall, struct arena *, struct bytes *out);
enum srs_outcome srs_open(const struct srs_settings *, struct bytes address, int64_t wall, struct arena *, struct bytes *out);
/* Whether it looks like one: "SRS0=", "srs1+". */
bool srs_is(struct bytes address);

#endif
