/* Policies that domains publish about their own hosts, and the records that announce them. */
#include <stdlib.h>
#include <string.h>

#include "smtp/sender/sts.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes         text = { (const char *)at, len };
	struct answer_record record = { .data = text };
	struct answer        x = { .status = ANSWER_FOUND, .record = &record, .records = 1 };
	struct arena        *life = arena_open(NULL);
	struct sts_policy    p;
	const char          *why;
	char                 id[STS_ID_MOST + 1];

	if (sts_read(text, life, &p, &why)) {
		if (why != NULL || p.age_s < 0 || p.age_s > STS_AGE_MOST_S ||
		    (p.mode != STS_NONE && p.mxs == 0))
			abort();
		for (size_t i = 0; i < p.mxs; i++)
			if (p.mx[i][0] != '*' && !sts_allows(&p, p.mx[i]))
				abort();
	} else if (why == NULL) {
		abort();
	}
	if (sts_record(&x, id) && (id[0] == '\0' || strnlen(id, sizeof id) > STS_ID_MOST))
		abort();
	arena_close(&life);
	return 0;
}
