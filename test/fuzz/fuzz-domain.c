/* Names of domains: what is canonical stays so, and what people see of it leads back to it. */
#include <stdlib.h>

#include "message/address.h"
#include "message/domain.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes in = { (const char *)at, len }, name, again;
	struct arena  *a = arena_open(NULL);
	struct address address;

	if (domain_canonical(in, a, &name)) {
		if (!domain_canonical(name, a, &again) || !bytes_equal(name, again))
			abort();
		(void)domain_unicode(name, a);
	}
	if (address_parse(in, a, &address)) {
		if (address.domain.len > 255 || !domain_canonical(address.domain, a, &name) ||
		    !bytes_equal(name, address.domain))
			abort();
		for (size_t i = 0; i < address.domain.len; i++)
			if ((unsigned char)address.domain.at[i] >= 0x80)
				abort();
	}
	arena_close(&a);
	return 0;
}
