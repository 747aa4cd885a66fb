/*
 * digest -- all that the house will ever ask about a letter's inside
 *
 * From:     role/verifier, which alone parses hostile content
 * To:       the envelope record in the letter log, then the account's index
 *
 * digest_make() parses `content` (a whole letter with CRLF lines) once and
 * appends the packed digest to *out.  It never fails: strange mail gives a
 * poorer digest (rfc7103).  Bounded: nesting 100, parts 10 000, 2000 noted fields of
 * one header and 10 000 of all letters inside together, 1 MiB of To, Cc and Bcc and 1 MiB of the other
 * fields that are known by name, addresses 10 000, boundary 200 (threats: "Default limits"); what lies beyond
 * is treated as plain bytes of the part it is in, and DIGEST_CUT_SHORT is set: who asks for a
 * field then must look into the letter.
 * A multipart in which no part is found has one: all of its body, as text.
 * Time is linear in the size of the content; no recursion over input.
 *
 * digest_view() reads a packed digest without copying: every offset and length
 * in it is checked against content_size, so a keeper can use the ranges
 * without parsing anything.  False when it is broken or of an unknown version.
 *
 * digest_strings_valid() looks through the strings: whole IMAP lists, and lines
 * of UTF-8 without controls.  For the one who takes a digest from a verifier
 * and will put them on the wire as they are; once is enough.
 *
 * Strings `envelope`, `bodystructure`, `body` are ready IMAP syntax
 * (rfc3501:7.4.2): nstring values as quoted strings when they are printable
 * ASCII of at most 998 bytes, else as literals {n}CRLF bytes.  8-bit header bytes go
 * out as they stand (literal).  Without the word ENVELOPE: the parenthesised list.
 */
#ifndef MESSAGE_DIGEST_H
#define MESSAGE_DIGEST_H

#include "base/arena.h"
#include "base/buffer.h"

enum { DIGEST_VERSION = 1 };

enum digest_flag {
	DIGEST_8BIT        = 1 << 0,  /* a byte above 127 somewhere           */
	DIGEST_NUL         = 1 << 1,  /* a NUL byte somewhere                 */
	DIGEST_ATTACHMENT  = 1 << 2,  /* a part a person would call attached  */
	DIGEST_HAS_DATE    = 1 << 3,
	DIGEST_HAS_MESSAGE_ID = 1 << 4,
	DIGEST_HAS_FROM    = 1 << 5,
	DIGEST_CUT_SHORT   = 1 << 6,  /* a limit was met; see docs            */
	DIGEST_8BIT_HEADER = 1 << 7,
	DIGEST_DELIVERED_TO = 1 << 8, /* it has a Delivered-To field: it came out of a mailbox, or by way of one */
};

/* One part, in the order of the letter; part 0 is the whole letter.  Ranges are
   offsets in the content.  The header range ends after its empty line. */
struct digest_part {
	uint32_t parent;           /* index of the part it is in; 0 for part 0     */
	uint32_t number;           /* 1-based place among its parent's children; 0 for part 0 */
	uint64_t header_at, header_len;
	uint64_t body_at, body_len;
	uint32_t lines;            /* of the body                                  */
	uint8_t  kind;             /* enum digest_kind                             */
	uint8_t  encoding;         /* enum digest_encoding                         */
};
enum digest_kind { PART_LEAF, PART_MULTIPART, PART_MESSAGE };  /* MESSAGE: message/rfc822, its one
                                   child (number 1) is the letter inside: header and body of it */
enum digest_encoding { ENCODED_7BIT, ENCODED_8BIT, ENCODED_BINARY, ENCODED_QP, ENCODED_BASE64, ENCODED_OTHER };

struct digest {
	uint32_t flags;
	uint64_t content_size;
	int64_t  sent;             /* the Date field as seconds since 1970; 0: none or unreadable */
	int32_t  sent_zone;        /* its zone in minutes east                     */
	struct bytes envelope, bodystructure, body;   /* IMAP syntax              */
	struct bytes message_id;   /* with brackets, "" if none                    */
	struct bytes references;   /* ids by blank: References, else In-Reply-To   */
	struct bytes subject;      /* decoded UTF-8                                */
	struct bytes base_subject; /* rfc5256:2.1                                  */
	struct bytes from;         /* decoded UTF-8 text of the From field         */
	struct bytes from_addr;    /* first address, "local@domain"                */
	struct bytes to, cc, bcc;  /* decoded UTF-8 text of these fields           */
	struct bytes preview;      /* at most 200 characters of text, UTF-8 (rfc8970) */
	uint32_t received_count;   /* Received fields, for loops (rfc5321:6.3)     */
	struct bytes _parts;       /* packed; read with digest_part_at()           */
	uint32_t parts;
	struct bytes _fields;      /* packed; read with digest_field_at()          */
	uint32_t fields;
};

/* One header field of a letter's header (part 0, and letters inside letters).
   at..at+len is the whole field with its line ends; the name is its first name_len bytes. */
struct digest_field { uint32_t part; uint16_t name_len; uint64_t at, len; };

void digest_make(struct bytes content, struct arena *scratch, struct buffer *out);
bool digest_view(struct bytes packed, struct digest *out) __attribute__((warn_unused_result));
bool digest_strings_valid(const struct digest *) __attribute__((warn_unused_result));
struct digest_part  digest_part_at (const struct digest *, uint32_t index);
struct digest_field digest_field_at(const struct digest *, uint32_t index);
/* The part with this parent and number, or -1.  rfc3501:6.4.5 section paths are
   walked by the caller with this and `kind`. */
int64_t digest_child(const struct digest *, uint32_t parent, uint32_t number);

#endif
