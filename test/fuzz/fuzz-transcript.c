/* A transcript of whatever two sides say.  The first byte is the protocol and whether content is shown; then pieces: a
   byte with the side and a length, and so many bytes.  A password is put in the middle of an exchange that a client cannot
   undo by what it said before it: it must not be shown. */
#include "channel/transcript.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look(void *ctx, bool client, const char *text)
{
	(void)ctx, (void)client;
	for (const char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			abort();
	if (strlen(text) > TRANSCRIPT_LINE + 64)
		abort();
}

static void
look_for_secret(void *ctx, bool client, const char *text)
{
	(void)ctx, (void)client;
	if (strstr(text, "xyzzyplugh") != NULL)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const tabbed[] = { "AUTH\tPLAIN xyzzyplugh\r\n", "a\tLOGIN jack xyzzyplugh\r\n", "PASS\txyzzyplugh\r\n" };
	static const char *const secrets[] = { "AUTH PLAIN xyzzyplugh\r\n", "a LOGIN jack xyzzyplugh\r\n", "PASS xyzzyplugh\r\n" };
	enum transcript_protocol protocol = size > 0 ? (enum transcript_protocol)(data[0] % 3) : TRANSCRIPT_SMTP;
	struct transcript       *t = transcript_open(protocol, size > 0 && data[0] >= 128, look, NULL);

	for (size_t at = 1; at < size;) {
		size_t n = data[at] & 127;

		n = n < size - at - 1 ? n : size - at - 1;
		transcript_hear(t, data[at] >= 128, (struct bytes){ (const char *)data + at + 1, n });
		at += n + 1;
	}
	transcript_file(t, size);
	transcript_close(&t);
	if (bytes_search((struct bytes){ (const char *)data, size }, BYTES("xyzzyplugh")) >= 0)
		return 0; /* the server says it */
	t = transcript_open(protocol, true, look_for_secret, NULL);
	transcript_hear(t, true, bytes_of((size % 2 == 0 ? secrets : tabbed)[protocol]));
	for (size_t at = 1; at < size; at += 64)
		transcript_hear(t, false, (struct bytes){ (const char *)data + at, size - at < 64 ? size - at : 64 });
	transcript_close(&t);
	return 0;
}
