/* Lists and their filters: what is taken counts at least one answer or none, and never reads beyond. */
#include <stdlib.h>

#include "policy/dnsbl.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes  in = { (const char *)at, len }, name;
	struct arena *a = arena_open(NULL);
	struct peer   peer = { .family = AF_INET6 };
	struct dnsbl  list;
	const char   *wrong = NULL;

	if (dnsbl_parse(in, &list, &wrong)) {
		(void)dnsbl_counts(&list, (struct bytes){ "\x7f\0\0\2", 4 });
		if (dnsbl_counts(&list, (struct bytes){ "\x7f", 1 }))
			abort();
		name = dnsbl_address(a, &list, &peer);
		if (name.len != 64 + list.domain.len)
			abort();
		name = dnsbl_name(a, &list, in);
		if (name.len > HOSTNAME_MOST)
			abort();
	} else if (wrong == NULL) {
		abort();
	}
	(void)dnsbl_name(a, &list, in);
	arena_close(&a);
	return 0;
}
