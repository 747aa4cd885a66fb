/* Lists with weights (postscreen_dnsbl_sites): what is taken has a weight that many of cannot overflow, and a list that can be asked. */
#include <stdlib.h>

#include "policy/rule-witness.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes     in = { (const char *)at, len };
	struct arena    *a = arena_open(NULL);
	struct peer      peer = { .family = AF_INET };
	struct rule_site site;
	const char      *wrong = NULL;

	if (rule_site_parse(in, &site, &wrong)) {
		if (site.weight > 1000000 || site.weight < -1000000 || site.list.domain.len == 0 || site.list.domain.len > len)
			abort();
		(void)dnsbl_counts(&site.list, (struct bytes){ "\x7f\0\0\2", 4 });
		(void)dnsbl_address(a, &site.list, &peer);
	} else if (wrong == NULL) {
		abort();
	}
	arena_close(&a);
	return 0;
}
