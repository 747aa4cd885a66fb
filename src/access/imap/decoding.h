/*
 * decoding -- what only a verifier can take out of a letter: a part without its transfer encoding, or
 * fields of a header that is too long for the letter's digest
 *
 * From:     imap/fetch (BINARY), imap/urlfetch
 * To:       the house's need `decode`
 *
 * A zeroed struct is idle.  decoding_ask() asks for `most` bytes of the decoded part from `from` on;
 * while `state` is DECODING_ASKED the command returns STEP_WAIT and is woken.  Then `total`, `nul` and
 * `part` are there, or DECODING_FAILED.  Where `fields` was set before, the span is a header, and they are what is
 * wanted of it.  decoding_on() asks for what follows: nothing is decoded twice.
 * decoding_drop() makes it idle, whatever it was.
 */
#ifndef ACCESS_IMAP_DECODING_H
#define ACCESS_IMAP_DECODING_H

#include "access/imap/letter.h"
#include "access/imap/section.h"
#include "access/imap/session.h"

enum { DECODING_ROOM = 1 << 20 };      /* asked for at one time                   */
enum decoding_state { DECODING_IDLE, DECODING_ASKED, DECODING_HERE, DECODING_FAILED };
struct decoding {
	struct imap         *session;
	struct imap_decode  *open;
	enum decoding_state  state;
	bool                 nul;
	bool                 counted;  /* `total` and `nul` are known             */
	uint64_t             total;
	uint64_t             coded, plain; /* from where on, of the coded and the decoded bytes */
	struct buffer        part;
	struct bytes         fields;   /* each with LF behind it (imap_coded); ""  */
	bool                 others;
};

/* Is there something to take off?  ENCODED_OTHER: nobody knows how. */
enum digest_encoding decoding_of(const struct letter *, const struct section *, const struct section_span *);
void decoding_ask(struct decoding *, struct imap *, struct letter *, const struct section_span *,
                  enum digest_encoding, uint64_t from, uint64_t most);
void decoding_on(struct decoding *, struct imap *, struct letter *, const struct section_span *,
                 enum digest_encoding, uint64_t from, uint64_t most);
void decoding_drop(struct decoding *);

#endif
