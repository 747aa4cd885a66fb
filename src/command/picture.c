#include "command/picture.h"

#ifdef MANSIO_QRENCODE
#include <qrencode.h>

enum { QUIET = 4 }; /* modules around it, which scanners want */

/* Beyond its edge it is light. */
static bool
is_dark(const QRcode *q, int x, int y)
{
	return x >= 0 && y >= 0 && x < q->width && y < q->width && (q->data[y * q->width + x] & 1);
}

bool
picture_print(FILE *to, const char *text)
{
	/* upper, lower: both light, lower dark, upper dark, both dark */
	static const char *const block[2][2] = { { "\xe2\x96\x88", "\xe2\x96\x80" },
		                                 { "\xe2\x96\x84", " " } };
	QRcode                  *q = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);

	if (q == NULL)
		return false;
	for (int y = -QUIET; y < q->width + QUIET; y += 2) {
		(void)fputs("\x1b[97;40m", to);
		for (int x = -QUIET; x < q->width + QUIET; x++)
			(void)fputs(block[is_dark(q, x, y)][is_dark(q, x, y + 1)], to);
		(void)fputs("\x1b[0m\n", to);
	}
	QRcode_free(q);
	return true;
}

#else

bool
picture_print(FILE *to, const char *text)
{
	(void)to;
	(void)text;
	return false;
}

#endif
