#include "base/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"
#include "base/journal.h"

/* No 0 o, no 1 i l: people read these words to each other. */
static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789";
#define LETTERS (sizeof letters - 1)

void
random_fill(void *out, size_t len)
{
	char *at = out;

	while (len > 0) {
		ssize_t n = getrandom(at, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			panic("getrandom: %s", strerror(errno));
		at += n;
		len -= (size_t)n;
	}
}

uint64_t
random_number(void)
{
	uint64_t n;

	random_fill(&n, sizeof n);
	return n;
}

uint64_t
random_below(uint64_t limit)
{
	uint64_t n, uneven;

	INSIDE(limit > 0);
	uneven = -limit % limit; /* so many at the bottom would come too often */
	do
		n = random_number();
	while (n < uneven);
	return n % limit;
}

void
random_word(char *out, size_t room)
{
	unsigned char dice[64];
	size_t        left = 0;

	if (room == 0)
		return;
	for (char *end = out + room - 1; out < end;) {
		if (left == 0) {
			random_fill(dice, sizeof dice);
			left = sizeof dice;
		}
		unsigned char d = dice[--left];
		if (d < 256 / LETTERS * LETTERS)
			*out++ = letters[d % LETTERS];
	}
	*out = '\0';
}
