/*
 * scheme -- "{SCHEME}stored": what other servers keep instead of a password
 *
 * From:     directory/password, the back ends of credentials, `doveadm pw`
 * Touches:  its arguments alone.  Slow on purpose: call it in a thread pool.
 *
 * A stored password names its scheme in braces, or is of the `fallback` scheme.  Names are Dovecot's;
 * `.b64`, `.base64` and `.hex` behind a name say how what is stored is written.  A scheme is a row in scheme.c.
 *
 * scheme_check()  whether the password fits.  SCHEME_BROKEN: no scheme we know, not of its form, or made to cost more
 *                 time or memory than SCHEME_MEMORY and SCHEME_ROUNDS allow: nobody logs in by it, and *why says so for the log.
 * scheme_make()   appends "{SCHEME}stored".  rounds 0: as many as are right.  False: no such scheme, or
 *                 not to be had for this password.
 * scheme_plain()  the password itself, where the scheme keeps it; false otherwise.
 * scheme_derived()  what the scheme of this name ("CRAM-MD5", "DIGEST-MD5") keeps instead, decoded; false: it is not what is stored.
 * scheme_scram()  the verifier of SCRAM-SHA-1 or SCRAM-SHA-256, where that is what is stored; in base64, in the arena.
 *
 * scheme_wrong()  why nobody can ever log in by what is stored, as far as its form shows; NULL: it may be good.  Quick.
 *
 * Bounded:  SCHEME_MEMORY for one check, some seconds at the costliest; no threads of its own.
 */
#ifndef DIRECTORY_SCHEME_H
#define DIRECTORY_SCHEME_H

#include "base/arena.h"
#include "base/buffer.h"

#define SCHEME_MEMORY ((uint64_t)256 << 20)
enum { SCHEME_ROUNDS = 2000000, SCHEME_BCRYPT = 15, SCHEME_STORED_MOST = 4096 };

enum scheme_outcome { SCHEME_RIGHT, SCHEME_WRONG, SCHEME_BROKEN };
struct scheme_scram { uint32_t iterations; const char *salt, *stored, *server; };

enum scheme_outcome scheme_check(struct bytes stored, const char *fallback, struct bytes user, struct bytes password, const char **why);
bool scheme_make(struct bytes name, unsigned long rounds, struct bytes user, struct bytes password, struct buffer *out);
bool scheme_plain(struct bytes stored, const char *fallback, struct arena *, struct bytes *out);
bool scheme_derived(struct bytes stored, const char *fallback, const char *name, struct arena *, struct bytes *out);
bool scheme_scram(struct bytes stored, const char *fallback, const char *name, struct arena *, struct scheme_scram *out);
const char *scheme_wrong(struct bytes stored, const char *fallback);
/* The part before and behind "}"; `scheme` is the fallback where there is none. */
void scheme_split(struct bytes stored, const char *fallback, struct bytes *scheme, struct bytes *rest);
/* Every name, NULL at the end; how many rounds it takes, 0 0: none. */
const char *scheme_name(size_t index, unsigned long *least, unsigned long *most);

#endif
