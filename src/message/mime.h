/*
 * mime -- a letter taken apart: its parts, their ranges, what they say of
 * themselves (rfc2045, rfc2046, rfc2183, rfc2231)
 *
 * To:    digest and search, which make of it what they need
 *
 * mime_parse() goes once over the content, without recursion.  It never fails.
 * All views point into the content or into the arena.
 * mime_value_parse() reads "type/subtype; name=value ..." or, without the
 *     slash, a disposition.  Continued parameters are joined (rfc2231:3); when
 *     a piece of one is extended the whole is, and its name keeps its star.
 */
#ifndef MESSAGE_MIME_H
#define MESSAGE_MIME_H

#include "message/digest.h"
#include "message/header.h"

enum {                         /* security: "Default limits" */
	MIME_NEST       = 100,
	MIME_PARTS      = 10000,
	MIME_FIELDS     = 2000,       /* noted of one header                 */
	MIME_FIELDS_ALL = 10000,      /* of all headers of letters together  */
	MIME_HEADER     = 1 << 20,    /* bytes of To, Cc and Bcc together, and of the others we know by name */
	MIME_BOUNDARY   = 200,
	MIME_PARAMETERS = 100,
};

struct mime_parameter { struct bytes name, value; };
struct mime_value {
	struct bytes type, subtype;
	struct mime_parameter *parameter;
	size_t parameters;
};

/* The first field of each name; those that may be repeated are joined with a
   comma (To, Cc, Bcc).  Not there: `at` is NULL.  Values as they stand. */
enum letter_field {
	FIELD_DATE, FIELD_SUBJECT, FIELD_FROM, FIELD_SENDER, FIELD_REPLY_TO,
	FIELD_TO, FIELD_CC, FIELD_BCC, FIELD_IN_REPLY_TO, FIELD_MESSAGE_ID,
	FIELD_REFERENCES, LETTER_FIELDS
};
struct mime_letter { struct bytes field[LETTER_FIELDS]; };

struct mime_part {
	struct digest_part range;
	struct mime_value  type;          /* the default where the field is none  */
	struct mime_value  disposition;   /* type.at NULL: none                   */
	struct bytes id, description, encoding, md5, language, location;  /* values; at NULL: none */
	struct mime_letter *letter;       /* of part 0 and of letters inside, else NULL */
	bool opaque;                      /* beyond a limit: shown as application/octet-stream */
};

struct mime {
	struct bytes content;
	struct mime_part *part;
	uint32_t parts;
	struct digest_field *field;
	uint32_t fields;
	uint32_t received;
	uint32_t flags;            /* DIGEST_8BIT, _NUL, _CUT_SHORT, _8BIT_HEADER */
};

struct mime *mime_parse(struct bytes content, struct arena *);
/* False when there is no type (or, with slash, no subtype). */
bool mime_value_parse(struct bytes value, bool slash, struct arena *, struct mime_value *out);
/* The value of a parameter, or a view whose `at` is NULL. */
struct bytes mime_parameter_of(const struct mime_value *, const char *name);
/* mechanism = token, its comments left out; `at` is NULL when there is none. */
struct bytes mime_token_of(struct bytes value);
bool mime_type_is(const struct mime_part *, const char *type, const char *subtype);
/* The body of a part with its transfer encoding taken off, appended to *out. */
void mime_decode(struct bytes body, enum digest_encoding, struct buffer *out);

#endif
