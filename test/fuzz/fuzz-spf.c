/* SPF records, as anybody's name server has them. */
#include <stdlib.h>

#include "identity/spf-record.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct spf_term term[SPF_TERMS_MOST];
	struct bytes    text = { (const char *)at, len }, where = { "", 0 };
	const char     *wrong;
	size_t          n;

	if (spf_is_record(text) && spf_parse(text, term, &n, &wrong, &where) != (wrong == NULL))
		abort();
	return 0;
}
