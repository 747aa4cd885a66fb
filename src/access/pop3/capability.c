#include "access/pop3/capability.h"

#include <inttypes.h>

enum { SECOND = 1000 };
static const int64_t day = 86400 * (int64_t)SECOND;

void
pop3_capabilities(const struct pop3_settings *set, struct buffer *out)
{
	buffer_add_string(out, "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n"
	                       "UTF8\r\nLANG\r\n");
	/* rfc2449:6.7: days a message is kept at least */
	if (set->expire_ms == 0)
		buffer_add_string(out, "EXPIRE NEVER\r\n");
	else
		buffer_printf(out, "EXPIRE %" PRId64 "\r\n", set->expire_ms / day);
	/* rfc2449:6.5 */
	if (set->login_delay_ms > 0)
		buffer_printf(out, "LOGIN-DELAY %" PRId64 "\r\n",
		              (set->login_delay_ms + SECOND - 1) / SECOND);
}

/* rfc4647:3.4: a range is shortened at its last dash until it is a language we have. */
static bool
range_is(struct bytes range, const char *language)
{
	ptrdiff_t dash;

	while (!bytes_is(range, language)) {
		if ((dash = bytes_find_last(range, '-')) < 0)
			return false;
		range = bytes_cut(range, 0, (size_t)dash);
	}
	return true;
}

bool
pop3_language(struct bytes range, struct buffer *out)
{
	if (range.len == 0) {
		buffer_add_string(out, "+OK Language listing follows:\r\nen English\r\n.\r\n");
		return true;
	}
	if (bytes_equal(range, BYTES("*")) || range_is(range, "en")) {
		buffer_add_string(out, "+OK en This is English.\r\n");
		return true;
	}
	buffer_add_string(out, "-ERR en This language is not spoken here.\r\n");
	return false;
}
