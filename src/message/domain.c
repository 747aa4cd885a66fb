#include "message/domain.h"

#include <idn2.h>
#include <string.h>

enum { NAME_MOST = 1020 }; /* 255 characters of four bytes */

static bool
is_ascii(struct bytes name)
{
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.at[i] >= 0x80)
			return false;
	return true;
}

/* What stands between the others is looked at here, not by the conversion. */
static bool
is_written_well(struct bytes name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = ascii_lower(name.at[i]);

		if ((unsigned char)c < 0x80 && (c < 'a' || c > 'z') && (c < '0' || c > '9') &&
		    c != '-' && c != '_' && c != '.')
			return false;
	}
	return name.len <= NAME_MOST;
}

bool
domain_canonical(struct bytes name, struct arena *a, struct bytes *out)
{
	char *ascii = NULL;

	*out = arena_lower(a, name);
	if (is_ascii(name))
		return true;
	if (!is_written_well(name))
		return false;
	/* Without its own rules for ASCII: those would take away what may not be there, not refuse it. */
	if (idn2_to_ascii_8z(arena_copy(a, name), &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) !=
	    IDN2_OK)
		return false;
	*out = arena_lower(a, bytes_of(ascii));
	idn2_free(ascii);
	/* What others are mapped to can be anything: U+00A0 becomes a blank. */
	return is_written_well(*out);
}

bool
domain_is_encoded(struct bytes name)
{
	static const struct bytes mark = { "xn--", 4 };

	return bytes_starts_nocase(name, mark) || bytes_search_nocase(name, BYTES(".xn--")) >= 0;
}

struct bytes
domain_unicode(struct bytes name, struct arena *a)
{
	bool         dot = name.len > 0 && name.at[0] == '.';
	char        *unicode = NULL;
	struct bytes out = name;

	if (name.len > NAME_MOST || bytes_find(name, '\0') >= 0 ||
	    !domain_is_encoded(bytes_cut(name, dot, name.len)))
		return name;
	if (idn2_to_unicode_8z8z(arena_copy(a, bytes_cut(name, dot, name.len)), &unicode, 0) ==
	    IDN2_OK) {
		out = bytes_of(arena_printf(a, "%s%s", dot ? "." : "", unicode));
		idn2_free(unicode);
	}
	return out;
}
