#include "command/dane.h"

#include <unistd.h>

#include "base/arena.h"
#include "command/inquiry.h"

enum dane_found
dane_find(struct call *c, const char *host, int port, void (*each)(void *ctx, struct bytes record),
          void *ctx)
{
	struct common_settings common = { .dns_resolver = "",
		                          .dns_trust_anchor_file = "/usr/share/dns/root.key" };
	struct settings       *settings =
                access(c->config, R_OK) == 0 ? command_settings(c, &common) : NULL;
	struct buffer   errors = { 0 };
	struct arena   *a = arena_open(NULL);
	struct inquiry *q = inquiry_open(&common, &errors);
	enum dane_found found = DANE_UNKNOWN;

	if (q != NULL) {
		const char          *name = arena_printf(a, "_%d._tcp.%s", port, host);
		const struct answer *got = inquiry_ask(q, bytes_of(name), DNS_TLSA);

		if (got->status == ANSWER_FOUND)
			found = got->trust == ANSWER_SECURE ? DANE_SECURE : DANE_UNPROVED;
		else if (got->status != ANSWER_LATER)
			found = DANE_NONE;
		for (size_t i = 0; i < got->records; i++)
			each(ctx, got->record[i].data);
	}
	inquiry_close(&q);
	buffer_free(&errors);
	settings_close(&settings);
	arena_close(&a);
	return found;
}
