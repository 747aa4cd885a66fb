/*
 * scheme_inner -- what scheme.c (the table) and the files of the schemes share
 */
#ifndef DIRECTORY_SCHEME_INNER_H
#define DIRECTORY_SCHEME_INNER_H

#include "directory/password.h"
#include "directory/scheme.h"

enum scheme_written { WRITTEN_PLAIN, WRITTEN_BASE64, WRITTEN_HEX };

struct scheme;
/* One check, or one making. */
struct scheme_work {
	const struct scheme *scheme;
	struct bytes  user, password;
	char          word[PASSWORD_MOST + 1];  /* the password                          */
	struct bytes  stored;                   /* as it was written, decoded            */
	unsigned long rounds;                   /* making: 0 none said                   */
	const char   *why;                      /* of SCHEME_BROKEN                      */
};
struct scheme {
	const char   *name, *detail;            /* a digest's name, a prefix of crypt(5) */
	enum scheme_outcome (*check)(struct scheme_work *);
	bool        (*make)(struct scheme_work *, struct buffer *out);
	enum scheme_written written;
	size_t        size;                     /* of a digest; 0 not fixed              */
	unsigned long least, most;              /* rounds                                */
};
enum scheme_outcome scheme_broken(struct scheme_work *, const char *why);
enum scheme_outcome scheme_compare(const void *made, size_t len, struct bytes with);
/* Base64 with or without its padding, and with "." for "+" as passlib has it. */
bool scheme_base64(struct bytes text, struct buffer *out);
bool scheme_hex(struct bytes text, struct buffer *out);

/* scheme-crypt.c */
enum scheme_outcome scheme_crypt_check(struct scheme_work *);
bool scheme_crypt_make(struct scheme_work *, struct buffer *);
enum scheme_outcome scheme_argon_check(struct scheme_work *);
bool scheme_argon_make(struct scheme_work *, struct buffer *);
/* scheme-keys.c */
enum scheme_outcome scheme_pbkdf2_check(struct scheme_work *);
bool scheme_pbkdf2_make(struct scheme_work *, struct buffer *);
enum scheme_outcome scheme_scram_check(struct scheme_work *);
bool scheme_scram_make(struct scheme_work *, struct buffer *);
enum scheme_outcome scheme_cram_check(struct scheme_work *);
bool scheme_cram_make(struct scheme_work *, struct buffer *);

#endif
