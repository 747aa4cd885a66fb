/*
 * What a stranger says to POP3 before logging in.  The first byte chooses how it is cut into pieces; the
 * answers must be those to the whole at once.  (SCRAM's nonce is chance: its challenges are left out.)
 */
#include <stdlib.h>

#include "../unit/access/login-kit.h"
#include "access/login/login.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kit    k;
	static struct buffer whole;
	struct bytes         said = { (const char *)data + 1, size - 1 };

	if (size < 2 || size > 30000)
		return 0;
	kit_begin(&k, &login_pop3, (data[0] & 0x80) == 0, NULL);
	kit_say(&k, said, 0);
	buffer_reset(&whole);
	buffer_add(&whole, buffer_bytes(&k.out));
	kit_end(&k);
	kit_begin(&k, &login_pop3, (data[0] & 0x80) == 0, NULL);
	kit_say(&k, said, 1 + (data[0] & 0x7f) + size / 64);
	if (!bytes_equal(buffer_bytes(&k.out), buffer_bytes(&whole)) &&
	    bytes_search_nocase(said, BYTES("SCRAM")) < 0)
		abort();
	kit_end(&k);
	return 0;
}
