#include "access/pop3/uniqueid.h"

#include <string.h>

enum { ID_MOST = 70, NUMBER_MOST = 10 }; /* rfc1939:7 */

/* One piece of a form: a code, or a character that stands for itself. */
struct piece {
	char   what; /* u, v, or 0: itself             */
	char   self;
	bool   hex;
	size_t width;
};

/* Takes the next piece off the form; false: a code there is not. */
static bool
take_piece(const char **form, struct piece *out)
{
	const char *at = *form;

	*out = (struct piece){ .self = *at++ };
	if (out->self == '%' && *at == '%')
		at++;
	else if (out->self == '%') {
		for (bool filled = *at == '0'; filled && *at >= '0' && *at <= '9'; at++)
			if ((out->width = out->width * 10 + (size_t)(*at - '0')) > ID_MOST)
				return false;
		if ((out->hex = *at == 'X'))
			at++;
		if (*at != 'u' && *at != 'v')
			return false;
		out->what = *at++;
	}
	*form = at;
	return true;
}

const char *
uniqueid_complain(const char *form)
{
	struct piece p;
	size_t       most = 0;
	bool         uid = false;

	while (*form != '\0') {
		if (!take_piece(&form, &p))
			return "only %u (the uid) and %v (the uidvalidity) are known, each with a width that begins with 0 "
			       "and an X for hexadecimal; right would be %08Xu%08Xv";
		if (p.what == 0 && (p.self <= ' ' || p.self > '~'))
			return "an id has no blanks, and only what ASCII prints (rfc1939:7)";
		uid = uid || p.what == 'u';
		most += p.what == 0 ? 1 : p.width > NUMBER_MOST ? p.width : NUMBER_MOST;
	}
	if (!uid)
		return "without %u two messages would have one id; right would be %08Xu%08Xv";
	return most > ID_MOST ? "an id has 70 characters at most (rfc1939:7)" : NULL;
}

void
uniqueid_say(struct buffer *out, const char *form, uint32_t uid, uint32_t uidvalidity)
{
	struct piece p;

	while (*form != '\0' && take_piece(&form, &p)) {
		uint32_t n = p.what == 'u' ? uid : uidvalidity;
		if (p.what == 0)
			buffer_add_char(out, p.self);
		else if (p.hex)
			buffer_printf(out, "%0*x", (int)p.width, n);
		else
			buffer_printf(out, "%0*u", (int)p.width, n);
	}
}
