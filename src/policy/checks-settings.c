/* checks-settings.c -- the rows of header and body checks */
#include "policy/checks.h"

#define AT(f) offsetof(struct checks_settings, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "header_checks", SETTING_TABLES, AT(list[CHECK_HEADER]), "",
	  "Tables that are asked about each field of a letter's header, folded as it stands, and our Received before it; their answers are actions (header_checks(5)). regexp and pcre are the types for it.", NULL, 0, 0, "0.3" },
	{ "mime_header_checks", SETTING_TABLES, AT(list[CHECK_MIME]), "$header_checks",
	  "The same for the headers of MIME parts, and for MIME-Version and Content-Type and its like wherever they stand.", NULL, 0, 0, "0.3" },
	{ "nested_header_checks", SETTING_TABLES, AT(list[CHECK_NESTED]), "$header_checks",
	  "The same for the headers of letters inside of letters.", NULL, 0, 0, "0.3" },
	{ "body_checks", SETTING_TABLES, AT(list[CHECK_BODY]), "",
	  "The same for each line that belongs to no header.", NULL, 0, 0, "0.3" },
	{ "body_checks_size_limit", SETTING_SIZE, AT(body_most), "51200",
	  "So much of the text of each part body_checks look at; 0: all of it.", NULL, 0, 0, "0.3" },
	{ "mime_boundary_length_limit", SETTING_SIZE, AT(boundary_most), "2048",
	  "So much of the boundary of a multipart the checks compare.", NULL, 1, -1, "0.3" },
	{ "mime_nesting_limit", SETTING_NUMBER, AT(nest_most), "100",
	  "Multiparts within multiparts, past which a letter that checks look at is refused.", NULL, 1, 120, "0.3" },
	{ "strict_8bitmime", SETTING_BOOL, AT(strict), "no",
	  "Refuse letters with 8-bit bytes in a header, or in a body that does not say so: the two settings that follow.", NULL, 0, 0, "0.3" },
	{ "strict_8bitmime_body", SETTING_BOOL, AT(strict_body), "no",
	  "Refuse letters with 8-bit bytes in a body whose Content-Transfer-Encoding does not say so.", NULL, 0, 0, "0.3" },
	{ "strict_7bit_headers", SETTING_BOOL, AT(strict_header), "no",
	  "Refuse letters with 8-bit bytes in a header.", NULL, 0, 0, "0.3" },
	{ "strict_mime_encoding_domain", SETTING_BOOL, AT(strict_encoding), "no",
	  "Refuse letters with base64 or quoted-printable around a multipart or a letter inside (rfc2045:6.4).", NULL, 0, 0, "0.3" },
	{ "disable_mime_input_processing", SETTING_BOOL, AT(no_mime), "no",
	  "For the checks all behind the first header is text.", NULL, 0, 0, "0.3" },
};
/* clang-format on */
#undef AT
const struct setting_table checks_setting_table = { "Header and body checks", rows, COUNT(rows) };
