/* A header of the PROXY protocol: what is whole is the same however it comes, and no piece of it is whole. */
#include <stdlib.h>

#include "channel/proxyline.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes           all = { (const char *)data, size };
	struct proxyline       p, q;
	size_t                 used, u;
	enum proxyline_outcome o = proxyline_parse(all, &p, &used);

	if (used > size || used > PROXYLINE_MOST || (o == PROXYLINE_MORE && size >= PROXYLINE_MOST))
		abort();
	if (o != PROXYLINE_DONE)
		return 0;
	if (!p.local && p.client.family != AF_INET && p.client.family != AF_INET6)
		abort();
	if (proxyline_parse(bytes_cut(all, 0, used), &q, &u) != PROXYLINE_DONE || u != used)
		abort();
	for (size_t n = 0; n < used && n < 200; n++)
		if (proxyline_parse(bytes_cut(all, 0, n), &q, &u) != PROXYLINE_MORE)
			abort();
	return 0;
}
